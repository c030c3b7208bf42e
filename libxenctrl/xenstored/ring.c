/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See ring.h. Indices run freely modulo 2^32; a byte stands at its index modulo the ring's size. */
#include "ring.h"

#include <string.h>

void ring_adopt(struct store_ring *r, struct xenstore_domain_interface *page)
{
	r->page = page;
	r->req_cons = __atomic_load_n(&page->req_cons, __ATOMIC_ACQUIRE);
	r->rsp_prod = __atomic_load_n(&page->rsp_prod, __ATOMIC_ACQUIRE);
}

void ring_reset(struct store_ring *r)
{
	r->req_cons = r->rsp_prod = 0;
	__atomic_store_n(&r->page->req_prod, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&r->page->rsp_cons, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&r->page->req_cons, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&r->page->rsp_prod, 0, __ATOMIC_SEQ_CST);
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

int ring_read(struct store_ring *r, void *to, size_t max)
{
	uint32_t prod = __atomic_load_n(&r->page->req_prod, __ATOMIC_ACQUIRE);
	uint32_t at = MASK_XENSTORE_IDX(r->req_cons);
	size_t n, first;

	if (prod - r->req_cons > XENSTORE_RING_SIZE)
		return -1;
	n = smaller(prod - r->req_cons, max);
	first = smaller(n, XENSTORE_RING_SIZE - at);
	memcpy(to, r->page->req + at, first);
	memcpy((char *)to + first, r->page->req, n - first);
	r->req_cons += n;
	/* The bytes are ours before the guest sees that their room is free. */
	__atomic_store_n(&r->page->req_cons, r->req_cons, __ATOMIC_SEQ_CST);
	return n;
}

int ring_write(struct store_ring *r, const void *from, size_t bytes)
{
	uint32_t cons = __atomic_load_n(&r->page->rsp_cons, __ATOMIC_ACQUIRE);
	uint32_t at = MASK_XENSTORE_IDX(r->rsp_prod);
	size_t n, first;

	if (r->rsp_prod - cons > XENSTORE_RING_SIZE)
		return -1;
	n = smaller(XENSTORE_RING_SIZE - (r->rsp_prod - cons), bytes);
	first = smaller(n, XENSTORE_RING_SIZE - at);
	memcpy(r->page->rsp + at, from, first);
	memcpy(r->page->rsp, (const char *)from + first, n - first);
	r->rsp_prod += n;
	__atomic_store_n(&r->page->rsp_prod, r->rsp_prod, __ATOMIC_SEQ_CST);
	return n;
}
