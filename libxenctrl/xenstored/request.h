/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One complete message: one reply. */
#ifndef XENSTORED_REQUEST_H
#define XENSTORED_REQUEST_H

#include "store.h"

void request_process(struct conn *c, const struct xsd_sockmsg *hdr, char *payload);
const char *request_name(uint32_t type);

#endif
