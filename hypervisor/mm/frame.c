/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames: general references, ownership, and the machine-to-physical table.
 *
 * A frame belongs to a domain while its count is not zero. The domain itself holds one of the references (the
 * allocated bit says so) until it gives the frame back; every mapping and every other user holds one. The
 * last one that goes frees the frame. Contents are cleared when the frame is handed out again, after every
 * CPU that could still reach it has flushed (heap.c).
 */
#include "mm/frame.h"
#include "hw/tlb.h"
#include "mm/heap.h"
#include "mm/internal.h"
#include "mm/ptype.h"

struct frame *frame_table;
uint64_t *m2p_table;
struct domain_mm xen_mm = {
	.domid = DOMID_XEN,
	.lock = SPINLOCK(RANK_MMU),
	.pages_lock = SPINLOCK(RANK_OWNED_PAGES),
	.pages = { &xen_mm.pages, &xen_mm.pages },
	.shared_pages = { &xen_mm.shared_pages, &xen_mm.shared_pages },
};

struct frame *mfn_frame(mfn_t mfn)
{
	CHECK(frame_is_ram(mfn.m));
	return frame_at(mfn.m);
}

mfn_t frame_mfn(const struct frame *f)
{
	return MFN(f - frame_table);
}

bool mfn_is_ram(mfn_t mfn)
{
	return frame_is_ram(mfn.m);
}

bool frame_get(mfn_t mfn, const struct domain_mm *d)
{
	return frame_is_ram(mfn.m) && count_get_owned(frame_at(mfn.m), d);
}

void frame_put(mfn_t mfn)
{
	count_dec(mfn_frame(mfn));
}

struct domain_mm *frame_owner(mfn_t mfn)
{
	return frame_is_ram(mfn.m) ? READ_ONCE(frame_at(mfn.m)->owner) : NULL;
}

enum ptype frame_type(mfn_t mfn, bool *pinned)
{
	uint64_t x = READ_ONCE(frame_at(mfn.m)->type);

	*pinned = x & TYPE_PINNED;
	return x & TYPE_COUNT ? type_of(x) : PTYPE_NONE;
}

bool frame_is_l1_table(mfn_t mfn, const struct domain_mm *d)
{
	return frame_owner(mfn) == d && type_of(READ_ONCE(frame_at(mfn.m)->type)) == PTYPE_L1;
}

void m2p_set(mfn_t mfn, uint64_t pfn)
{
	if (frame_is_ram(mfn.m))
		WRITE_ONCE(m2p_table[index_nospec(mfn.m, max_mfn)], pfn);
	frame_written(mfn); /* what page pfn holds, if it is anybody's */
}

/* n frames from an allocation hold pfn (any number that a guest likes) and those that follow it. */
static void m2p_set_run(mfn_t first, uint64_t n, uint64_t pfn)
{
	CHECK(frame_is_ram(first.m) && n <= max_mfn - first.m);
	for (uint64_t i = 0; i < n; i++)
		WRITE_ONCE(m2p_table[first.m + i], pfn + i);
}

static void m2p_clear_run(mfn_t first, uint64_t n)
{
	CHECK(frame_is_ram(first.m) && n <= max_mfn - first.m);
	for (uint64_t i = 0; i < n; i++)
		WRITE_ONCE(m2p_table[first.m + i], M2P_INVALID);
}

uint64_t m2p_get(mfn_t mfn)
{
	return frame_is_ram(mfn.m) ? READ_ONCE(m2p_table[index_nospec(mfn.m, max_mfn)]) : M2P_INVALID;
}

/* ---- the owner's books ---- */

/* pages_lock held. True: the domain had no frame before, or has none any more. */
static bool owner_count(struct domain_mm *d, int64_t pages, int64_t shared)
{
	bool had = d->tot_pages || d->shared_count;

	d->tot_pages += (uint64_t)pages;
	d->shared_count += (uint64_t)shared;
	return had != (d->tot_pages || d->shared_count);
}

/* Reserves n frames of the domain's allowance. */
static int owner_reserve(struct domain_mm *d, uint64_t n)
{
	bool first = false;
	int rc = 0;

	spin_lock(&d->pages_lock);
	if (d->dying)
		rc = -EINVAL;
	else if (d->max_pages < d->tot_pages || n > d->max_pages - d->tot_pages)
		rc = -E2BIG;
	else
		first = owner_count(d, (int64_t)n, 0);
	if (!rc)
		d->transit_pages += n;
	spin_unlock(&d->pages_lock);
	if (first)
		mm_owner_hold(d);
	return rc;
}

static void owner_unreserve(struct domain_mm *d, uint64_t n)
{
	bool last;

	spin_lock(&d->pages_lock);
	d->transit_pages -= n;
	last = owner_count(d, -(int64_t)n, 0);
	spin_unlock(&d->pages_lock);
	if (last)
		mm_owner_drop(d);
}

/* Unowned frames become d's; the allowance is reserved. */
static void owner_take(struct domain_mm *d, struct frame *f, uint64_t n)
{
	spin_lock(&d->pages_lock);
	d->transit_pages -= n;
	for (uint64_t i = 0; i < n; i++) {
		f[i].owner = d;
		list_add_tail(&f[i].link, &d->pages);
		__atomic_store_n(&f[i].count, COUNT_ALLOCATED | 1, __ATOMIC_RELEASE);
	}
	spin_unlock(&d->pages_lock);
}

/* A frame is about to leave d's list while d keeps its allowance: not when nothing may come back any more. */
static bool transit_begin(struct domain_mm *d)
{
	bool ok;

	spin_lock(&d->pages_lock);
	ok = !d->dying;
	d->transit_pages += ok;
	spin_unlock(&d->pages_lock);
	return ok;
}

static void transit_end(struct domain_mm *d)
{
	spin_lock(&d->pages_lock);
	d->transit_pages--;
	spin_unlock(&d->pages_lock);
}

/* A frame whose count is zero leaves its owner; transit: the allowance for it stays. */
static void owner_remove(struct frame *f, bool transit)
{
	struct domain_mm *d = f->owner;
	bool shared = f->flags & FRAME_SHARED, last = false;

	WRITE_ONCE(f->tlb_stamp, tlb_clock());
	f->type = type_word(f->type, PTYPE_NONE, 0);
	f->flags = (f->flags & ~FRAME_SHARED) | FRAME_FLUSH;
	spin_lock(&d->pages_lock);
	list_del(&f->link);
	WRITE_ONCE(f->owner, NULL);
	if (!transit)
		last = owner_count(d, shared ? 0 : -1, shared ? -1 : 0);
	spin_unlock(&d->pages_lock);
	if (last)
		mm_owner_drop(d);
}

void frame_free(struct frame *f)
{
	CHECK(f->owner && !(f->type & (TYPE_COUNT | TYPE_PINNED | TYPE_BUILDING | TYPE_RELEASING)));
	m2p_set(frame_mfn(f), M2P_INVALID);
	owner_remove(f, false);
	heap_free(frame_mfn(f), 0);
}

/* pfn: what the M2P is to say, NULL: nothing. It says so before anybody can give the frames away again. */
static int frames_alloc(struct domain_mm *d, unsigned order, unsigned flags, const uint64_t *pfn,
                        mfn_t *first)
{
	uint64_t n = 1ull << order;
	int rc = owner_reserve(d, n);

	if (rc)
		return rc;
	*first = heap_alloc_for(d, order, flags);
	if (mfn_eq(*first, INVALID_MFN)) {
		owner_unreserve(d, n);
		return -ENOMEM;
	}
	if (pfn)
		m2p_set_run(*first, n, *pfn);
	else
		m2p_clear_run(*first, n);
	owner_take(d, frame_at(first->m), n);
	for (uint64_t i = 0; unlikely(d->logged) && i < n; i++)
		dirty_log_mark(d, mfn_add(*first, i));
	return 0;
}

int domain_frame_alloc(struct domain_mm *d, unsigned order, unsigned flags, mfn_t *first)
{
	return frames_alloc(d, order, flags, NULL, first);
}

int domain_frame_populate(struct domain_mm *d, unsigned order, unsigned flags, uint64_t pfn, mfn_t *first)
{
	return frames_alloc(d, order, flags, &pfn, first);
}

int frame_release(struct frame *f)
{
	uint64_t x = READ_ONCE(f->count);

	do {
		if (!(x & COUNT_ALLOCATED))
			return -EINVAL;
	} while (!word_cas(&f->count, &x, (x & ~COUNT_ALLOCATED) - 1));
	return 0;
}

int domain_frame_release(struct domain_mm *d, mfn_t mfn)
{
	int rc;

	if (!frame_get(mfn, d))
		return -EINVAL;
	rc = frame_release(frame_at(mfn.m));
	frame_put(mfn);
	return rc;
}

int domain_frame_steal(struct domain_mm *d, mfn_t mfn)
{
	uint64_t x = COUNT_ALLOCATED | 2;
	struct frame *f;

	if (!frame_get(mfn, d))
		return -EINVAL;
	f = frame_at(mfn.m);
	if (!transit_begin(d)) {
		count_dec(f);
		return -EINVAL;
	}
	/* The domain's own reference and ours: nobody maps it, and a typed use would hold another one. */
	if (!word_cas(&f->count, &x, 0)) {
		transit_end(d);
		count_dec(f);
		return -EINVAL;
	}
	owner_remove(f, true);
	return 0;
}

void domain_frame_return(struct domain_mm *d, mfn_t mfn)
{
	struct frame *f = mfn_frame(mfn);

	CHECK(!f->owner && !f->count);
	if (f->flags & FRAME_FLUSH) {
		cpumask_t cpus = cpus_online;

		tlb_filter(&cpus, f->tlb_stamp);
		if (!cpumask_empty(&cpus))
			tlb_flush(&cpus);
		f->flags &= ~FRAME_FLUSH;
	}
	owner_take(d, f, 1);
	dirty_log_mark(d, mfn);
}

void domain_frame_forget(struct domain_mm *d)
{
	owner_unreserve(d, 1);
}

int domain_frame_reserve(struct domain_mm *d)
{
	return owner_reserve(d, 1);
}

/* ---- frames of the hypervisor's that a guest may map ---- */

/* The hypervisor's own typed reference keeps the frame writable, or (of no type) from ever becoming it. */
mfn_t share_alloc(struct domain_mm *d, bool writable)
{
	mfn_t mfn = heap_alloc(0, 0);
	struct frame *f;
	bool first;

	if (mfn_eq(mfn, INVALID_MFN))
		return mfn;
	f = frame_at(mfn.m);
	m2p_set(mfn, M2P_INVALID);
	f->flags |= FRAME_SHARED;
	f->type = type_word(f->type, writable ? PTYPE_WRITABLE : PTYPE_NONE, 1);
	spin_lock(&d->pages_lock);
	f->owner = d;
	list_add_tail(&f->link, &d->shared_pages);
	first = owner_count(d, 0, 1);
	__atomic_store_n(&f->count, 1, __ATOMIC_RELEASE);
	spin_unlock(&d->pages_lock);
	if (first)
		mm_owner_hold(d);
	return mfn;
}

void share_free(mfn_t mfn)
{
	frame_put_type(mfn);
}

/* As share_alloc(): the hypervisor's own typed reference, which is never dropped, says how they may be
 * mapped. */
void frames_share_with_dom0(mfn_t first, uint64_t n, bool writable)
{
	CHECK(frame_is_ram(first.m) && n <= max_mfn - first.m);
	for (uint64_t i = 0; i < n; i++) {
		struct frame *f = frame_at(first.m + i);

		CHECK(!f->owner && !f->count);
		f->flags |= FRAME_SHARED;
		f->type = type_word(f->type, writable ? PTYPE_WRITABLE : PTYPE_NONE, 1);
		f->owner = &xen_mm;
		__atomic_store_n(&f->count, 1, __ATOMIC_RELEASE);
	}
}
