/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two byte queues of a guest's console page (xen/io/console.h), seen from the daemon's side.
 *
 * Pure. The guest may write anything anywhere in the page at any time: our own two indices are kept outside
 * of it and only published there, the guest's are read once for each call and checked before use.
 */
#ifndef XENCONSOLED_CONSRING_H
#define XENCONSOLED_CONSRING_H

#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/io/console.h>

struct consring {
	struct xencons_interface *page;
	uint32_t out_cons, in_prod; /* ours */
};

/* Goes on where the page says that an earlier daemon stopped. */
void consring_adopt(struct consring *r, struct xencons_interface *page);
/*
 * Takes up to max bytes of the guest's output; 0 when there is none. An impossible index (-1) is caught up
 * with, so that the guest may go on, but what it says is lost.
 */
int consring_read(struct consring *r, void *to, size_t max);
/* Gives the guest as many bytes of input as there is room for; 0 for none, also when its index is impossible. */
int consring_write(struct consring *r, const void *from, size_t bytes);
size_t consring_room(const struct consring *r);

#endif
