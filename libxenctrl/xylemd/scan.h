/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What has become of the domains: guests that stopped, and those that an earlier xylemd has left. */
#ifndef XYLEMD_SCAN_H
#define XYLEMD_SCAN_H

#include "guest.h"

/* Queues what follows from the stop that info tells of (NULL: the domain is gone), unless that was done. */
void scan_stopped(struct guest *guest, uint32_t domid, const struct xyl_dominfo *info);
bool scan_start(GError **error);
void scan_request(void);
void scan_adopt_all(void);
void op_policy(struct op *op);

#endif
