/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef XYLEMD_DRAIN_H
#define XYLEMD_DRAIN_H

#include "guest.h"

/*
 * Until dom0 has written what a suspended guest has asked it to, so that nothing of this domain reaches a disk any more, which
 * another one may write to from then on. False: it has not, or the guest is doomed, or its job was cancelled.
 */
bool drain_disks(struct guest *guest, GError **error);

/* Where the kernel tells of devices; tests have their own. */
extern const char *drain_sys;

#endif
