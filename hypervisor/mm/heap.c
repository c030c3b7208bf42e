/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Free memory.
 *
 * A buddy allocator with two zones, below and above 4 GiB; guests' ordinary allocations leave a reserve of the low
 * zone for the exchange of frames that dom0's devices need (swiotlb). A frame that was a domain's is handed out only
 * after all CPUs have flushed since it was freed, and cleared, unless the caller overwrites it. Idle CPUs do both
 * ahead of time (heap_scrub()): in a free list, blocks that they have finished lie at the end. Whoever is handed a
 * block waits until nobody clears frames of it any more. Small objects of the hypervisor's own lie in slabs of one
 * frame, by powers of two; each struct frame keeps its slab's books. One lock for all of it; clearing and flushing
 * happen outside.
 */
#include "mm/heap.h"
#include "hw/paging.h"
#include "hw/tlb.h"
#include "mm/internal.h"

#define ZONE_LOW         0
#define ZONE_HIGH        1
#define LOW_LIMIT_MFN    (1ull << (32 - PAGE_SHIFT))
#define RESERVE_MAX      (128ull << (20 - PAGE_SHIFT)) /* frames */
#define RESERVE_SHARE    32                            /* of the low zone: one part in so many */
#define SLAB_MIN_SHIFT   4
#define SLAB_CLASSES     8 /* 16 .. 2048 bytes */
#define OBJECT_MAX_ORDER 4
#define SCRUB_LOOK       64 /* frames that heap_scrub() looks at, and clears, in one go */
#define SCRUB_CLEAR      8
#define AHEAD_CLEAR      64 /* heap_clear_ahead() likewise */

static spinlock_t heap_lock = SPINLOCK(RANK_HEAP);
static struct list free_lists[2][HEAP_MAX_ORDER + 1];
static uint64_t zone_free[2], zone_total[2]; /* frames */
static uint64_t claimed_total;               /* frames set aside for domains (XENMEM_claim_pages) */
static struct list slabs[SLAB_CLASSES];      /* frames with a free object */
static struct {
	struct frame *block; /* free, of frames that may hold something; NULL: look for one */
	uint64_t done;       /* of its frames */
	/* Who clears frames does it without the lock, one CPU at a time. */
	bool busy;
	struct frame *claimed;   /* the free block that they are of; NULL when it was taken meanwhile */
	uint64_t writing, count; /* they are among [writing, writing + count) */
} scrub;
static uint32_t scrub_writes;       /* odd while frames are written; atomic */
static bool heap_ready, heap_dirty; /* dirty: heap_scrub() may find something */

static void heap_init(void)
{
	if (heap_ready)
		return;
	for (unsigned z = 0; z < 2; z++)
		for (unsigned o = 0; o <= HEAP_MAX_ORDER; o++)
			list_init(&free_lists[z][o]);
	for (unsigned c = 0; c < SLAB_CLASSES; c++)
		list_init(&slabs[c]);
	heap_ready = true;
}

static unsigned zone_of(uint64_t mfn)
{
	return mfn < LOW_LIMIT_MFN ? ZONE_LOW : ZONE_HIGH;
}

/* Lock held. clean: all of its frames are FRAME_ZERO. */
static void block_insert(uint64_t mfn, unsigned order, bool clean)
{
	struct frame *f = &frame_table[mfn];
	struct list *free = &free_lists[zone_of(mfn)][order];

	f->order = (uint8_t)order;
	f->flags |= FRAME_FREE | (clean ? FRAME_CLEAN : 0);
	if (clean)
		list_add_tail(&f->link, free);
	else
		list_add_head(&f->link, free);
}

/* Lock held. Whether it was clean. */
static bool block_remove(struct frame *f)
{
	bool clean = f->flags & FRAME_CLEAN;

	if (scrub.block == f)
		scrub.block = NULL;
	if (scrub.claimed == f)
		scrub.claimed = NULL;
	f->flags &= ~(FRAME_FREE | FRAME_CLEAN);
	list_del(&f->link);
	return clean;
}

/* Lock held: joins a block with its free buddies. clean: as for block_insert(). */
static void block_free(uint64_t mfn, unsigned order, bool clean)
{
	zone_free[zone_of(mfn)] += 1ull << order;
	while (order < HEAP_MAX_ORDER) {
		uint64_t buddy = mfn ^ 1ull << order;

		if (!frame_is_ram(buddy) || !(frame_table[buddy].flags & FRAME_FREE) ||
		    frame_table[buddy].order != order)
			break;
		clean = block_remove(&frame_table[buddy]) && clean;
		mfn &= ~(1ull << order);
		order++;
	}
	block_insert(mfn, order, clean);
	heap_dirty |= !clean;
}

/* Lock held. zeroed: better one that is clean. */
static mfn_t block_alloc(unsigned zone, unsigned order, bool zeroed)
{
	for (unsigned o = order; o <= HEAP_MAX_ORDER; o++) {
		struct list *free = &free_lists[zone][o];
		struct frame *f;
		uint64_t mfn;
		bool clean;

		if (list_empty(free))
			continue;
		f = list_entry(zeroed ? free->prev : free->next, struct frame, link);
		mfn = frame_mfn(f).m;
		clean = block_remove(f);
		while (o > order) {
			o--;
			block_insert(mfn + (1ull << o), o, clean);
		}
		zone_free[zone] -= 1ull << order;
		return MFN(mfn);
	}
	return INVALID_MFN;
}

void heap_add(mfn_t first, uint64_t count)
{
	uint64_t mfn = first.m, end = first.m + count;

	heap_init();
	spin_lock(&heap_lock);
	while (mfn < end) {
		unsigned order = mfn ? (unsigned)__builtin_ctzll(mfn) : HEAP_MAX_ORDER;

		order = MIN(order, (unsigned)HEAP_MAX_ORDER);
		while ((1ull << order) > end - mfn)
			order--;
		zone_total[zone_of(mfn)] += 1ull << order;
		block_free(mfn, order, false);
		mfn += 1ull << order;
	}
	spin_unlock(&heap_lock);
}

/* Flushes where a frame of the block may still be reached by its former owner, then clears what is not clear. */
static void block_prepare(mfn_t first, unsigned order, unsigned flags)
{
	struct frame *block = frame_at(first.m), *end = block + (1ull << order);
	cpumask_t cpus = { { 0 } };
	uint32_t last = 0;
	bool any = false;

	/* Each stamp by itself: which one is newer cannot be told when the clock has wrapped in between. */
	for (struct frame *f = block; f < end; f++) {
		cpumask_t stale = cpus_online;

		if (!(f->flags & FRAME_FLUSH))
			continue;
		f->flags &= ~FRAME_FLUSH;
		if (any && f->tlb_stamp == last)
			continue;
		tlb_filter(&stale, f->tlb_stamp);
		cpus = cpumask_or(&cpus, &stale);
		last = f->tlb_stamp;
		any = true;
	}
	if (!cpumask_empty(&cpus))
		tlb_flush(&cpus);
	for (struct frame *f = block; f < end; f++) {
		if (!(flags & HEAP_NOSCRUB) && !(f->flags & FRAME_ZERO))
			memset(mfn_map_own(frame_mfn(f)), 0, PAGE_SIZE);
		f->flags &= ~FRAME_ZERO;
	}
}

/* Lock held: a free block that may hold something. */
static struct frame *dirty_block(void)
{
	for (unsigned zone = 0; zone < 2 && !scrub.block; zone++)
		for (unsigned o = 0; o <= HEAP_MAX_ORDER && !scrub.block; o++) {
			struct list *free = &free_lists[zone][o];
			struct frame *f = list_entry(free->next, struct frame, link);

			if (list_empty(free) || f->flags & FRAME_CLEAN)
				continue;
			scrub.block = f;
			scrub.done = 0;
		}
	return scrub.block;
}

/* Lock held. Whether nobody reaches a free frame any more; else the CPUs of the mask must flush first. */
static bool frame_unreached(struct frame *f, cpumask_t *cpus)
{
	if (!(f->flags & FRAME_FLUSH))
		return true;
	if (!f->tlb_stamp) /* from when the clock had wrapped: a later one does no harm, and a flush makes it true */
		f->tlb_stamp = tlb_clock();
	*cpus = cpus_online;
	tlb_filter(cpus, f->tlb_stamp);
	return cpumask_empty(cpus);
}

/* What of a free block is cleared in one go. */
struct sweep {
	struct frame *block;
	uint64_t at, end; /* its frames from here on; at moves on */
	unsigned looks, clears;
	struct frame *frames[AHEAD_CLEAR];
	unsigned count;
	cpumask_t cpus; /* that must flush before it can go on */
};

/* Lock held, nobody else clears: chooses frames. */
static void sweep_begin(struct sweep *w)
{
	uint64_t first = w->at;

	for (; w->at < w->end && w->looks && w->count < w->clears; w->at++, w->looks--) {
		struct frame *f = &w->block[w->at];

		if (f->flags & FRAME_ZERO)
			continue;
		if (!frame_unreached(f, &w->cpus))
			break;
		w->frames[w->count++] = f;
	}
	if (!w->count)
		return;
	scrub.busy = true;
	scrub.claimed = w->block;
	scrub.writing = frame_mfn(w->block).m + first;
	scrub.count = w->at - first;
	__atomic_fetch_add(&scrub_writes, 1, __ATOMIC_SEQ_CST);
}

/* Without the lock. */
static void sweep_clear(const struct sweep *w)
{
	if (!w->count)
		return;
	for (unsigned i = 0; i < w->count; i++)
		memset(mfn_map_own(frame_mfn(w->frames[i])), 0, PAGE_SIZE);
	__atomic_fetch_add(&scrub_writes, 1, __ATOMIC_SEQ_CST);
}

/* Lock held. False: somebody took the block meanwhile, and what was done counts for nothing. */
static bool sweep_end(const struct sweep *w)
{
	bool claimed = scrub.claimed == w->block;

	scrub.claimed = NULL;
	scrub.busy = false;
	for (unsigned i = 0; i < w->count && claimed; i++)
		w->frames[i]->flags = (w->frames[i]->flags & ~FRAME_FLUSH) | FRAME_ZERO;
	return claimed;
}

bool heap_scrub(void)
{
	struct sweep w = { .looks = SCRUB_LOOK, .clears = SCRUB_CLEAR };
	struct frame *f;

	/* What is right only under the lock is looked at again there. */
	if (!READ_ONCE(heap_dirty))
		return false;
	spin_lock(&heap_lock);
	f = scrub.busy ? NULL : dirty_block();
	if (!f) {
		heap_dirty = scrub.busy;
		spin_unlock(&heap_lock);
		return false;
	}
	w.block = f;
	w.at = scrub.done;
	w.end = 1ull << f->order;
	sweep_begin(&w);
	if (w.count) {
		spin_unlock(&heap_lock);
		sweep_clear(&w);
		spin_lock(&heap_lock);
	}
	if (!w.count || sweep_end(&w)) {
		scrub.done = w.at;
		if (w.at == w.end) {
			block_remove(f);
			block_insert(frame_mfn(f).m, f->order, true);
		}
	}
	spin_unlock(&heap_lock);
	if (!cpumask_empty(&w.cpus))
		tlb_flush(&w.cpus);
	return true;
}

/* Of so many free frames of the low zone, those that domains may have: all but the reserve. */
static uint64_t low_spare(uint64_t low)
{
	uint64_t reserve = MIN(zone_total[ZONE_LOW] / RESERVE_SHARE, RESERVE_MAX);

	return low > reserve ? low - reserve : 0;
}

uint64_t heap_spare_pages(void)
{
	return low_spare(READ_ONCE(zone_free[ZONE_LOW])) + READ_ONCE(zone_free[ZONE_HIGH]);
}

/* Whether a domain may take n frames of the zone: it leaves the low reserve and what others have claimed, which is never in the
 * reserve. dom0 may take from that by name, and so from nobody's claim. */
static bool domain_may_take(const struct domain_mm *d, unsigned zone, unsigned flags, uint64_t n)
{
	uint64_t others = claimed_total - d->claimed_pages, high = zone_free[ZONE_HIGH],
	         low = zone_free[ZONE_LOW], spare = low_spare(low);
	bool by_name = zone == ZONE_LOW && (flags & HEAP_LOW) && d->privileged;

	if (zone_free[zone] < n)
		return false;
	if (by_name && low_spare(low - n) == spare)
		return true;
	if (spare + high < n + others)
		return false;
	return zone == ZONE_HIGH || by_name || spare >= n;
}

/* Lock held: the zone that d (NULL: the hypervisor) is given such a block from, if it has one. */
static int zone_for(const struct domain_mm *d, unsigned order, unsigned flags, int zone)
{
	while (zone >= ZONE_LOW && d && !domain_may_take(d, (unsigned)zone, flags, 1ull << order))
		zone--;
	return zone;
}

static int first_zone(unsigned flags)
{
	return flags & HEAP_LOW ? ZONE_LOW : ZONE_HIGH;
}

/* Lock held: whether somebody clears frames of the block now; *writes: what scrub_writes is as long as that lasts. */
static bool is_written(mfn_t first, unsigned order, uint32_t *writes)
{
	*writes = __atomic_load_n(&scrub_writes, __ATOMIC_SEQ_CST);
	return (*writes & 1) && first.m < scrub.writing + scrub.count &&
	       scrub.writing < first.m + (1ull << order);
}

static mfn_t alloc_block(struct domain_mm *d, unsigned order, unsigned flags)
{
	mfn_t mfn = INVALID_MFN;
	uint32_t writes = 0;
	bool wait;

	if (order > HEAP_MAX_ORDER)
		return mfn;
	spin_lock(&heap_lock);
	for (int zone = zone_for(d, order, flags, first_zone(flags));
	     zone >= ZONE_LOW && mfn_eq(mfn, INVALID_MFN); zone = zone_for(d, order, flags, zone - 1))
		mfn = block_alloc((unsigned)zone, order, !(flags & HEAP_NOSCRUB));
	if (d && !mfn_eq(mfn, INVALID_MFN)) {
		uint64_t used = MIN(d->claimed_pages, 1ull << order);

		d->claimed_pages -= used;
		claimed_total -= used;
	}
	wait = !mfn_eq(mfn, INVALID_MFN) && is_written(mfn, order, &writes);
	spin_unlock(&heap_lock);
	while (wait && __atomic_load_n(&scrub_writes, __ATOMIC_SEQ_CST) == writes)
		cpu_relax();
	if (!mfn_eq(mfn, INVALID_MFN))
		block_prepare(mfn, order, flags);
	return mfn;
}

/* Lock held: the block whose first frames block_alloc() would hand out, zeroed, or NULL. */
static struct frame *block_next(unsigned zone, unsigned order)
{
	for (unsigned o = order; o <= HEAP_MAX_ORDER; o++)
		if (!list_empty(&free_lists[zone][o]))
			return list_entry(free_lists[zone][o].prev, struct frame, link);
	return NULL;
}

bool heap_clear_ahead(const struct domain_mm *d, unsigned order, unsigned flags)
{
	struct sweep w = { .end = 1ull << order, .clears = AHEAD_CLEAR, .looks = ~0u };
	bool busy;

	if (order > HEAP_MAX_ORDER)
		return false;
	spin_lock(&heap_lock);
	busy = scrub.busy;
	for (int zone = zone_for(d, order, flags, first_zone(flags)); zone >= ZONE_LOW && !w.block && !busy;
	     zone = zone_for(d, order, flags, zone - 1))
		w.block = block_next((unsigned)zone, order);
	if (w.block)
		sweep_begin(&w);
	spin_unlock(&heap_lock);
	if (w.count) {
		sweep_clear(&w);
		spin_lock(&heap_lock);
		(void)sweep_end(&w);
		spin_unlock(&heap_lock);
	}
	if (!cpumask_empty(&w.cpus))
		tlb_flush(&w.cpus);
	return busy || w.count || !cpumask_empty(&w.cpus);
}

mfn_t heap_alloc(unsigned order, unsigned flags)
{
	return alloc_block(NULL, order, flags);
}

mfn_t heap_alloc_for(struct domain_mm *d, unsigned order, unsigned flags)
{
	return alloc_block(d, order, flags);
}

void heap_free(mfn_t mfn, unsigned order)
{
	spin_lock(&heap_lock);
	block_free(mfn.m, order, false);
	spin_unlock(&heap_lock);
}

void heap_free_clear(mfn_t mfn, unsigned order)
{
	spin_lock(&heap_lock);
	for (uint64_t i = 0; i < 1ull << order; i++)
		frame_at(mfn.m + i)->flags |= FRAME_ZERO;
	block_free(mfn.m, order, true);
	spin_unlock(&heap_lock);
}

uint64_t heap_free_pages(void)
{
	return READ_ONCE(zone_free[ZONE_LOW]) + READ_ONCE(zone_free[ZONE_HIGH]);
}

uint64_t heap_claimed_pages(void)
{
	return READ_ONCE(claimed_total);
}

int heap_claim(struct domain_mm *d, uint64_t pages)
{
	uint64_t want;
	int rc = 0;

	spin_lock(&heap_lock);
	want = pages > d->tot_pages ? pages - d->tot_pages : 0;
	/* Relinquishing sets dying first and then gives the claim back under this lock: what came before goes with it. */
	if (pages > d->max_pages || (pages && READ_ONCE(d->dying)))
		rc = -EINVAL;
	else if (want && heap_spare_pages() < claimed_total - d->claimed_pages + want)
		rc = -ENOMEM;
	if (!rc) {
		claimed_total = claimed_total - d->claimed_pages + want;
		d->claimed_pages = want;
	}
	spin_unlock(&heap_lock);
	return rc;
}

/* ---- small objects ---- */

/* The slab's books lie in its struct frame: free objects (a chain through them), how many are in use, class. */
static void *slab_take(struct frame *f)
{
	void **object = (void **)(uintptr_t)f->type;

	f->type = (uintptr_t)*object;
	f->progress++;
	if (!f->type)
		list_del(&f->link);
	return object;
}

static bool slab_grow(unsigned index)
{
	mfn_t mfn = heap_alloc(0, HEAP_NOSCRUB);
	size_t size = 1ul << (index + SLAB_MIN_SHIFT);
	char *page, *next = NULL;
	struct frame *f;

	if (mfn_eq(mfn, INVALID_MFN))
		return false;
	page = mfn_map_own(mfn);
	for (size_t at = PAGE_SIZE; at >= size; at -= size) {
		*(char **)(page + at - size) = next;
		next = page + at - size;
	}
	f = frame_at(mfn.m);
	spin_lock(&heap_lock);
	f->flags |= FRAME_SLAB;
	f->order = (uint8_t)index;
	f->progress = 0;
	f->type = (uintptr_t)page;
	list_add_head(&f->link, &slabs[index]);
	spin_unlock(&heap_lock);
	return true;
}

static void *large_alloc(size_t bytes)
{
	unsigned order = 0;
	mfn_t mfn;

	while (PAGE_SIZE << order < bytes)
		order++;
	if (order > OBJECT_MAX_ORDER)
		return NULL;
	mfn = heap_alloc(order, 0);
	if (mfn_eq(mfn, INVALID_MFN))
		return NULL;
	frame_at(mfn.m)->flags |= FRAME_LARGE;
	frame_at(mfn.m)->order = (uint8_t)order;
	return mfn_map_own(mfn);
}

void *hv_alloc_aligned(size_t bytes, size_t align)
{
	size_t need = MAX(MAX(bytes, align), (size_t)1 << SLAB_MIN_SHIFT);
	unsigned index = 0;
	void *p = NULL;

	if (bytes > PAGE_SIZE << OBJECT_MAX_ORDER || align > PAGE_SIZE)
		return NULL;
	while (1ul << (index + SLAB_MIN_SHIFT) < need)
		index++;
	if (index >= SLAB_CLASSES)
		return large_alloc(need);
	do {
		spin_lock(&heap_lock);
		if (!list_empty(&slabs[index]))
			p = slab_take(list_entry(slabs[index].next, struct frame, link));
		spin_unlock(&heap_lock);
	} while (!p && slab_grow(index));
	if (p)
		memset(p, 0, 1ul << (index + SLAB_MIN_SHIFT));
	return p;
}

void *hv_alloc(size_t bytes)
{
	return hv_alloc_aligned(bytes, 1);
}

void hv_free(void *p)
{
	mfn_t mfn;
	struct frame *f;
	bool empty;

	if (!p)
		return;
	mfn = mfn_of(p);
	f = mfn_frame(mfn);
	if (f->flags & FRAME_LARGE) {
		f->flags &= ~FRAME_LARGE;
		heap_free(mfn, f->order);
		return;
	}
	CHECK(f->flags & FRAME_SLAB);
	spin_lock(&heap_lock);
	*(void **)p = (void *)(uintptr_t)f->type;
	if (!f->type)
		list_add_head(&f->link, &slabs[f->order]);
	f->type = (uintptr_t)p;
	f->progress--;
	empty = !f->progress;
	if (empty) {
		list_del(&f->link);
		f->flags &= ~FRAME_SLAB;
		f->type = 0;
		block_free(mfn.m, 0, false);
	}
	spin_unlock(&heap_lock);
}

void *range_realloc(void *old, size_t old_bytes, size_t new_bytes)
{
	void *p = NULL;

	if (new_bytes) {
		p = hv_alloc(new_bytes);
		if (!p)
			return NULL;
		if (old)
			memcpy(p, old, MIN(old_bytes, new_bytes));
	}
	hv_free(old);
	return p;
}
