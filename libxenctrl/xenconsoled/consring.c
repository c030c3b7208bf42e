/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See consring.h. Indices run freely modulo 2^32; a byte stands at its index modulo its queue's size. */
#include "consring.h"

#include <string.h>

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

void consring_adopt(struct consring *r, struct xencons_interface *page)
{
	r->page = page;
	r->out_cons = __atomic_load_n(&page->out_cons, __ATOMIC_ACQUIRE);
	r->in_prod = __atomic_load_n(&page->in_prod, __ATOMIC_ACQUIRE);
}

int consring_read(struct consring *r, void *to, size_t max)
{
	struct xencons_interface *p = r->page;
	uint32_t prod = __atomic_load_n(&p->out_prod, __ATOMIC_ACQUIRE);
	uint32_t at = MASK_XENCONS_IDX(r->out_cons, p->out);
	size_t n, first;
	int ret;

	if (prod - r->out_cons > sizeof(p->out)) {
		r->out_cons = prod;
		ret = -1;
	} else {
		n = smaller(prod - r->out_cons, max);
		first = smaller(n, sizeof(p->out) - at);
		memcpy(to, p->out + at, first);
		memcpy((char *)to + first, p->out, n - first);
		r->out_cons += n;
		ret = n;
	}
	/* The bytes are ours before the guest sees that their room is free. */
	__atomic_store_n(&p->out_cons, r->out_cons, __ATOMIC_SEQ_CST);
	return ret;
}

size_t consring_room(const struct consring *r)
{
	uint32_t used = r->in_prod - __atomic_load_n(&r->page->in_cons, __ATOMIC_ACQUIRE);

	return used > sizeof(r->page->in) ? 0 : sizeof(r->page->in) - used;
}

int consring_write(struct consring *r, const void *from, size_t bytes)
{
	struct xencons_interface *p = r->page;
	uint32_t at = MASK_XENCONS_IDX(r->in_prod, p->in);
	size_t n = smaller(consring_room(r), bytes);
	size_t first = smaller(n, sizeof(p->in) - at);

	memcpy(p->in + at, from, first);
	memcpy(p->in, (const char *)from + first, n - first);
	r->in_prod += n;
	__atomic_store_n(&p->in_prod, r->in_prod, __ATOMIC_SEQ_CST);
	return n;
}
