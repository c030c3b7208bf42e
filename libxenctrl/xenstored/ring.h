/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two byte queues that a guest shares with the store (xen/io/xs_wire.h), seen from the store's side.
 *
 * Pure. The guest may write anything anywhere in the page at any time: our own two indices are kept outside
 * of it and only published there, the guest's are read once for each call and checked before use.
 */
#ifndef XENSTORED_RING_H
#define XENSTORED_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/io/xs_wire.h>

struct store_ring {
	struct xenstore_domain_interface *page;
	uint32_t req_cons, rsp_prod; /* ours */
};

/* Goes on where the page says that an earlier server stopped. */
void ring_adopt(struct store_ring *r, struct xenstore_domain_interface *page);
/* Empties both queues. */
void ring_reset(struct store_ring *r);
/* Up to max bytes of requests; 0 when there are none; -1 when the guest's index is impossible. */
int ring_read(struct store_ring *r, void *to, size_t max);
/* As many bytes of from as there is room for; 0 when there is none; -1 as above. */
int ring_write(struct store_ring *r, const void *from, size_t bytes);

#endif
