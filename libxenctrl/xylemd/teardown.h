/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests and their devices are taken down. */
#ifndef XYLEMD_TEARDOWN_H
#define XYLEMD_TEARDOWN_H

#include "guest.h"

/* Takes down whatever the guest has now. keep_disks: they stay open for the guest's next domain. */
void teardown_guest(struct guest *guest, bool keep_disks, const char *detail);
/* The same for a domain that is not ours. */
void teardown_domain(uint32_t domid, const char *uuid);
void op_destroy(struct op *op);
void op_lost(struct op *op);
/* Takes its devices away from a domain that has stopped and is kept; the disks stay open. */
void teardown_devices(struct guest *guest);

#endif
