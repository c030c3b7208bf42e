/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's side of backends: the devices that xen-blkback and xen-netback serve.
 *
 * A backend lets go of everything when its directory vanishes from the store, whatever its state and its
 * frontend's, and then its device is deleted. That is what tells that a disk is closed and an interface is
 * gone: the state nodes do not (a driver does not write them when the frontend vanished first, as xenstored
 * lets it when a domain dies).
 */
#ifndef XYLEMD_BACKDEV_H
#define XYLEMD_BACKDEV_H

#include <glib.h>
#include <stdint.h>

/* Listens to the kernel's device events; opened before the directories are removed. -1 when that fails (logged). */
int backdev_listen(void);
/* Waits, as long as it takes, until the kernel has no such device (type "vbd" or "vif"). */
void backdev_wait_gone(int listener, const char *type, uint32_t domid, uint32_t devid);

#endif
