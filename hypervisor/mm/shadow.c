/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shadow page tables.
 *
 * A shadow is a page for one table of the guest's, as a table of one level (a table that a linear entry names is walked as
 * one of a lower level, too). Each CPU has its own copies of the L4s that it runs on (mm/l4copy.c); their entries lead to
 * shadows of L3s, and so on. A shadow's entry is empty, or
 *
 *  - above L1, leads to the shadow of the table that the guest's entry names, with the same rights;
 *  - of L1, names the guest's page with the same rights, but is writable only where the guest's entry is, has its dirty bit,
 *    and the page is marked in the log.
 *
 * Only an entry whose accessed bit is set has one that is not empty. What is empty is filled when the processor faults
 * there: the accessed and dirty bits are set in the guest's entries then, as the processor would have done.
 *
 * Who changes an entry of the guest's calls shadow_written() before dropping what the old one held, and a table's shadows go
 * before the frame is used as anything else. So a shadow never allows more than the guest's tables do, and flushes for the
 * guest's tables are enough for the shadows. The pages that shadows are made of change their use too: one that is taken
 * again was in no CPU's reach since a flush (.stamp).
 *
 * The pool is a cache. When it is used up a new epoch begins: all copies of L4s are emptied, after a flush no shadow of an
 * older epoch is in reach, and the oldest are taken. One that is found again comes into the present epoch by being linked:
 * then entries that lead to others are made anew, and those of L1, if the log was cleared meanwhile, lose the right to write.
 *
 * Locks: the pool's (RANK_SHADOW, irqsave), which faults take in any context; never held over a flush. A walk of the
 * guest's tables under it meets only tables that are in use: who takes one out of use comes by here first.
 */
#include "mm/shadow.h"
#include "hw/paging.h"
#include "hw/tlb.h"
#include "mm/dirtylog.h"
#include "mm/heap.h"
#include "mm/internal.h"
#include "hw/rflags.h"
#include "mm/l4copy.h"

#define CHUNK      64   /* pages of the pool whose books lie in one object */
#define CHUNKS_MAX 1024 /* 256 MiB */
#define RESERVE    24   /* free pages that are left to faults which cannot wait */

struct shadow_page {
	struct list
	        link; /* in the pool's list of free ones, or of those in use, the one linked last at its end */
	uint64_t *entries;     /* the page */
	struct frame *table;   /* whose shadow it is */
	uint64_t epoch;        /* in which it was linked last */
	uint32_t stamp;        /* free: tlb_clock() when it became so */
	uint32_t number, next; /* its own and that of the table's next one, 0: none */
	enum ptype level;      /* as which the table is walked */
};

struct shadow {
	spinlock_t lock;
	struct list used, free;
	uint32_t free_count;
	uint64_t epoch, protect_epoch; /* the present one, and the one that began when the log was cleared */
	uint32_t epoch_stamp;
	uint32_t faults;
	bool copied_before; /* l4_copied without shadows */
	uint32_t pages;     /* whole chunks */
	struct shadow_page *chunk[CHUNKS_MAX];
};

/* ---- shadows of a table ---- */

static struct shadow_page *page_number(const struct shadow *s, uint32_t number)
{
	uint64_t i = index_nospec(number - 1, s->pages);

	return number && number <= s->pages ? &s->chunk[i / CHUNK][i % CHUNK] : NULL;
}

static struct shadow_page *find(const struct shadow *s, const struct frame *table, enum ptype level)
{
	struct shadow_page *p = page_number(s, READ_ONCE(table->shadow));

	while (p && p->level != level)
		p = page_number(s, p->next);
	return p;
}

/* From the table and from the list of those in use. */
static void unhook(struct shadow *s, struct shadow_page *p)
{
	uint32_t *at = &p->table->shadow;

	while (*at != p->number)
		at = &page_number(s, *at)->next;
	*at = p->next;
	p->next = 0;
	p->table = NULL;
	list_del(&p->link);
}

static void make_free(struct shadow *s, struct shadow_page *p, uint32_t stamp)
{
	p->stamp = stamp;
	list_add_tail(&p->link, &s->free);
	s->free_count++;
}

/* ---- entries ---- */

/* Of a table that is walked as one of a level above L1. */
static uint64_t upper_entry(const struct domain_mm *d, enum ptype level, uint64_t e)
{
	const struct shadow *s = d->shadow;
	const struct shadow_page *p;

	if ((e & (PTE_P | PTE_A)) != (PTE_P | PTE_A))
		return 0;
	p = find(s, frame_at(PTE_MFN(e).m), level - 1);
	if (!p || p->epoch != s->epoch)
		return 0;
	return mfn_of(p->entries).m << PAGE_SHIFT | (e & (PTE_P | PTE_RW | PTE_US | PTE_NX)) | PTE_A;
}

bool shadow_lock(struct domain_mm *d, uint64_t *flags)
{
	*flags = 0;
	if (!READ_ONCE(d->shadowed))
		return false;
	*flags = spin_lock_irqsave(&d->shadow->lock);
	return true;
}

void shadow_unlock(struct domain_mm *d, bool locked, uint64_t flags)
{
	if (locked)
		spin_unlock_irqrestore(&d->shadow->lock, flags);
}

uint64_t shadow_l4e(const struct domain_mm *d, uint64_t e)
{
	return upper_entry(d, PTYPE_L4, e);
}

/* A page is logged for its owner; what nobody logs is written as the guest likes. */
static bool may_store(uint64_t e)
{
	struct frame *f = ram_frame(PTE_MFN(e).m);

	return (e & PTE_D) && (!f || !f->owner || dirty_log_is_marked(f->owner, PTE_MFN(e)));
}

static uint64_t leaf_entry(uint64_t e)
{
	uint64_t bits = PTE_P | PTE_RW | PTE_US | PTE_CACHE | PTE_A | PTE_D | PTE_ADDR | PTE_NX;

	if ((e & (PTE_P | PTE_A)) != (PTE_P | PTE_A))
		return 0;
	return e & (may_store(e) ? bits : bits & ~PTE_RW);
}

static uint64_t entry_for(const struct domain_mm *d, enum ptype level, uint64_t e)
{
	return level == PTYPE_L1 ? leaf_entry(e) : upper_entry(d, level, e);
}

static void fill(const struct domain_mm *d, struct shadow_page *p)
{
	const uint64_t *table = mfn_map(frame_mfn(p->table));

	for (unsigned i = 0; i < TABLE_ENTRIES; i++)
		WRITE_ONCE(p->entries[i], slot_is_hv(type_of(p->table->type), i)
		                                  ? 0
		                                  : entry_for(d, p->level, READ_ONCE(table[i])));
}

/* Its entries are what they should be, but for what they permit: the log knows of nothing any more. */
static void protect(struct shadow_page *p)
{
	for (unsigned i = 0; i < TABLE_ENTRIES; i++)
		if (p->entries[i] & PTE_RW)
			WRITE_ONCE(p->entries[i], p->entries[i] & ~PTE_RW);
}

void shadow_written(struct domain_mm *d, const uint64_t *pe)
{
	struct shadow *s = d->shadow;
	mfn_t table = mfn_of(pe);
	unsigned i = (uintptr_t)pe % PAGE_SIZE / sizeof(*pe);
	uint64_t flags = spin_lock_irqsave(&s->lock);

	for (struct shadow_page *p = page_number(s, frame_at(table.m)->shadow); p;
	     p = page_number(s, p->next))
		WRITE_ONCE(p->entries[i], entry_for(d, p->level, READ_ONCE(*pe)));
	spin_unlock_irqrestore(&s->lock, flags);
	dirty_log_mark(d, table);
}

void shadow_forget(struct domain_mm *d, struct frame *table)
{
	struct shadow *s = d->shadow;
	uint64_t flags = spin_lock_irqsave(&s->lock);
	struct shadow_page *p;

	while ((p = page_number(s, table->shadow))) {
		unhook(s, p);
		make_free(s, p, tlb_clock());
	}
	spin_unlock_irqrestore(&s->lock, flags);
}

/* ---- the pool ---- */

static bool out_of_reach(const struct domain_mm *d, uint32_t stamp)
{
	cpumask_t cpus = cpumask_and(&d->dirty_cpus, &cpus_online);

	tlb_filter(&cpus, stamp);
	return cpumask_empty(&cpus);
}

/* A page that no CPU reaches, or NULL. */
static struct shadow_page *take(struct domain_mm *d, uint32_t leave)
{
	struct shadow *s = d->shadow;
	struct shadow_page *p;

	/* Stamps of while the clock stood still are of no use: from now on, then. */
	if (unlikely(!s->epoch_stamp))
		s->epoch_stamp = tlb_clock();
	if (s->free_count > leave) {
		p = list_entry(s->free.next, struct shadow_page, link);
		if (unlikely(!p->stamp))
			p->stamp = tlb_clock();
		if (out_of_reach(d, p->stamp)) {
			list_del(&p->link);
			s->free_count--;
			return p;
		}
	}
	if (list_empty(&s->used))
		return NULL;
	p = list_entry(s->used.next, struct shadow_page, link);
	if (p->epoch == s->epoch || !out_of_reach(d, s->epoch_stamp))
		return NULL;
	unhook(s, p);
	return p;
}

/* The generation of a frame's type tells one use from the next; nobody else looks at it, or changes it, of this page. */
static void use_begins(const struct shadow_page *p)
{
	struct frame *f = mfn_frame(mfn_of(p->entries));

	WRITE_ONCE(f->type, type_word(f->type, PTYPE_NONE, 0));
}

/* The shadow of a table in the present epoch, or NULL: there is no page for it. */
static struct shadow_page *shadow_of(struct domain_mm *d, struct frame *table, enum ptype level,
                                     uint32_t leave)
{
	struct shadow *s = d->shadow;
	struct shadow_page *p = find(s, table, level);

	if (p && p->epoch == s->epoch)
		return p;
	if (!p) {
		p = take(d, leave);
		if (!p)
			return NULL;
		use_begins(p);
		p->table = table;
		p->level = level;
		p->next = table->shadow;
		p->epoch = 0;
		table->shadow = p->number;
	} else {
		list_del(&p->link);
	}
	list_add_tail(&p->link, &s->used);
	if (level > PTYPE_L1 || !p->epoch)
		fill(d, p);
	else if (p->epoch < s->protect_epoch)
		protect(p);
	p->epoch = s->epoch;
	return p;
}

/* All shadows are of an older epoch now. Pool locked. */
static void begin_epoch(struct domain_mm *d)
{
	struct shadow *s = d->shadow;

	s->epoch++;
	l4_copies_empty(d);
	s->epoch_stamp = tlb_clock();
}

static void flush_all(struct domain_mm *d)
{
	cpumask_t cpus = cpumask_and(&d->dirty_cpus, &cpus_online);

	tlb_flush(&cpus);
}

/* Has pages be had: those that wait for a flush, or the oldest ones. */
static void make_room(struct domain_mm *d)
{
	struct shadow *s = d->shadow;
	uint64_t flags = spin_lock_irqsave(&s->lock);
	struct shadow_page *oldest =
	        list_empty(&s->used) ? NULL : list_entry(s->used.next, struct shadow_page, link);

	if (oldest && oldest->epoch == s->epoch && s->free_count <= RESERVE)
		begin_epoch(d);
	while (s->free_count < RESERVE && !list_empty(&s->used)) {
		oldest = list_entry(s->used.next, struct shadow_page, link);
		if (oldest->epoch == s->epoch)
			break;
		unhook(s, oldest);
		make_free(s, oldest, s->epoch_stamp);
	}
	spin_unlock_irqrestore(&s->lock, flags);
	flush_all(d);
}

/* ---- faults ---- */

static unsigned index_at(gva_t va, enum ptype level)
{
	return va.v >> (PAGE_SHIFT + 9 * (level - 1)) & (TABLE_ENTRIES - 1);
}

/* The guest's entries on the way to an address: where they stand, and what they were. */
struct way {
	struct {
		uint64_t *pe, e;
	} at[PTYPE_L4 + 1]; /* by level */
};

enum answer { SHADOW_MAPPED, SHADOW_REFUSED, SHADOW_CHANGED, SHADOW_NO_PAGE };

/* Whether the guest's entries allow the access; *error_code says so. Pool locked. */
static bool guest_allows(mfn_t l4, gva_t va, uint32_t *error_code, struct way *way)
{
	mfn_t table = l4;
	bool refused = false;

	for (enum ptype level = PTYPE_L4; level >= PTYPE_L1; level--) {
		uint64_t *pe = (uint64_t *)mfn_map_own(table) + index_at(va, level), e = READ_ONCE(*pe);

		if (!(e & PTE_P)) {
			*error_code &= ~PF_PRESENT;
			return false;
		}
		refused |= (*error_code & PF_WRITE) && !(e & PTE_RW);
		refused |= (*error_code & PF_FETCH) && (e & PTE_NX);
		way->at[level].pe = pe;
		way->at[level].e = e;
		table = PTE_MFN(e);
	}
	if (refused)
		*error_code |= PF_PRESENT;
	return !refused;
}

/* As the processor does it, and the table has changed then. False: the entry is another one meanwhile. */
static bool set_bits(struct domain_mm *d, struct way *way, enum ptype level, uint64_t bits)
{
	uint64_t e = way->at[level].e;

	if ((e & bits) == bits)
		return true;
	if (!word_cas(way->at[level].pe, &e, e | bits))
		return false;
	way->at[level].e = e | bits;
	dirty_log_mark(d, mfn_of(way->at[level].pe));
	return true;
}

/* Fills the shadows on the way. An entry that changes meanwhile is put right by shadow_written(), which waits. */
static enum answer map(struct domain_mm *d, mfn_t l4, gva_t va, struct way *way, bool write, uint32_t leave)
{
	struct shadow_page *p = NULL;

	for (enum ptype level = PTYPE_L4; level > PTYPE_L1; level--) {
		struct shadow_page *child;
		uint64_t e;

		if (!set_bits(d, way, level, PTE_A))
			return SHADOW_CHANGED;
		child = shadow_of(d, frame_at(PTE_MFN(way->at[level].e).m), level - 1, leave);
		if (!child)
			return SHADOW_NO_PAGE;
		e = upper_entry(d, level, way->at[level].e);
		if (p)
			WRITE_ONCE(p->entries[index_at(va, level)], e);
		else if (l4_copy_link(d, l4, index_at(va, level), e) && d->shadow->copied_before)
			l4_changed(d); /* for copies of the copy */
		p = child;
	}
	if (!set_bits(d, way, PTYPE_L1, write ? PTE_A | PTE_D : PTE_A))
		return SHADOW_CHANGED;
	if (write)
		dirty_log_frame(PTE_MFN(way->at[PTYPE_L1].e));
	WRITE_ONCE(p->entries[index_at(va, PTYPE_L1)], leaf_entry(way->at[PTYPE_L1].e));
	d->shadow->faults++;
	return SHADOW_MAPPED;
}

bool shadow_fault(struct domain_mm *d, mfn_t l4, gva_t va, uint32_t *error_code, bool wait)
{
	struct shadow *s = d->shadow;

	if (slot_is_hv(PTYPE_L4, index_at(va, PTYPE_L4)) || mfn_eq(l4, INVALID_MFN))
		return false;
	for (;;) {
		uint64_t flags = spin_lock_irqsave(&s->lock);
		enum answer answer = SHADOW_REFUSED;
		struct way way;

		if (guest_allows(l4, va, error_code, &way))
			answer = map(d, l4, va, &way, *error_code & PF_WRITE, wait ? RESERVE : 0);
		spin_unlock_irqrestore(&s->lock, flags);
		if (answer == SHADOW_MAPPED || answer == SHADOW_REFUSED)
			return answer == SHADOW_MAPPED;
		if (answer == SHADOW_NO_PAGE && !wait)
			return false;
		if (answer == SHADOW_NO_PAGE)
			make_room(d);
	}
}

uint32_t shadow_faults(const struct domain_mm *d)
{
	return d->shadow ? READ_ONCE(d->shadow->faults) : 0;
}

/* ---- on and off ---- */

static bool chunk_make(struct shadow *s)
{
	struct shadow_page *chunk = hv_alloc(CHUNK * sizeof(*chunk));
	unsigned n = 0;

	for (; chunk && n < CHUNK; n++) {
		mfn_t mfn = heap_alloc(0, HEAP_NOSCRUB);

		if (mfn_eq(mfn, INVALID_MFN))
			break;
		chunk[n].entries = mfn_map_own(mfn);
		chunk[n].number = s->pages + n + 1;
	}
	if (n < CHUNK) {
		while (n--)
			heap_free(mfn_of(chunk[n].entries), 0);
		hv_free(chunk);
		return false;
	}
	s->chunk[s->pages / CHUNK] = chunk;
	s->pages += CHUNK;
	for (unsigned i = 0; i < CHUNK; i++) {
		uint64_t flags = spin_lock_irqsave(&s->lock);

		make_free(s, &chunk[i], s->epoch_stamp);
		spin_unlock_irqrestore(&s->lock, flags);
	}
	return true;
}

/* The last chunk, of a domain that is not shadowed: all its pages are free and in no CPU's reach. */
static void chunk_free(struct shadow *s)
{
	struct shadow_page *chunk = s->chunk[s->pages / CHUNK - 1];

	for (unsigned i = 0; i < CHUNK; i++) {
		list_del(&chunk[i].link);
		heap_free(mfn_of(chunk[i].entries), 0);
	}
	s->free_count -= CHUNK;
	s->pages -= CHUNK;
	s->chunk[s->pages / CHUNK] = NULL;
	hv_free(chunk);
}

/* One step towards a pool of that size. 0: it is there; -ENOMEM; 1: another step is needed. d's lock. */
static int pool_step(struct domain_mm *d, uint64_t pages)
{
	struct shadow *s = d->shadow;

	if (!s && !pages)
		return 0;
	if (!s) {
		s = hv_alloc(sizeof(*s));
		if (!s)
			return -ENOMEM;
		s->lock = SPINLOCK(RANK_SHADOW);
		list_init(&s->used);
		list_init(&s->free);
		s->epoch = s->protect_epoch = 1;
		s->epoch_stamp = tlb_clock();
		d->shadow = s;
	}
	pages = MIN(pages, (uint64_t)CHUNKS_MAX * CHUNK);
	if (s->pages < pages && !chunk_make(s))
		return -ENOMEM;
	if (!d->shadowed && s->pages >= pages + CHUNK)
		chunk_free(s);
	return s->pages < pages || (!d->shadowed && s->pages >= pages + CHUNK);
}

int shadow_set_pool(struct domain_mm *d, uint64_t pages)
{
	for (;;) {
		int rc;

		spin_lock(&d->lock);
		rc = pool_step(d, pages);
		spin_unlock(&d->lock);
		if (rc != 1)
			return rc;
		if (work_pending())
			return -ERESTART_HV;
	}
}

uint64_t shadow_pool_for(const struct domain_mm *d)
{
	return 128 + d->tot_pages / 32;
}

uint64_t shadow_pool(const struct domain_mm *d)
{
	return d->shadow ? d->shadow->pages : 0;
}

void shadow_free(struct domain_mm *d)
{
	CHECK(!shadow_pool(d));
	hv_free(d->shadow);
	d->shadow = NULL;
}

/* CPUs that run on copies of d's L4s have no way to its tables after a flush; those that run on L4s of d are not asked. */
static void start(struct domain_mm *d)
{
	d->shadow->copied_before = d->l4_copied;
	__atomic_store_n(&d->shadowed, true, __ATOMIC_SEQ_CST);
	/* A CPU that begins to run d is in dirty_cpus before it looks at this. */
	__atomic_store_n(&d->l4_copied, true, __ATOMIC_SEQ_CST);
	l4_copies_empty(d);
}

void shadow_start(struct domain_mm *d)
{
	bool already;

	spin_lock(&d->lock);
	already = d->shadowed;
	if (!already)
		start(d);
	spin_unlock(&d->lock);
	if (already)
		shadow_protect(d);
}

/*
 * 1. A pool, of a size that the domain can work with; with whatever is had it works too, if more slowly. A CPU may be
 *    about to write a frame on the guest's stack, with interrupts off since there were no shadows when it looked.
 * 2. From now on all CPUs load copies of d's L4s that lead to shadows. Those that run on such copies already (linear entries)
 *    find them empty after a flush.
 * 3. The others come by their exit paths, this one too; whoever calls again finds out when the last one has.
 */
int shadow_force(struct domain_mm *d)
{
	if (!d->shadows_forever) {
		while (!d->shadowed) {
			int rc = pool_step(d, MAX(shadow_pool(d), shadow_pool_for(d)));

			if (rc == 1 && work_pending())
				return -ERESTART_HV;
			if (rc == 1)
				continue;
			if (!shadow_pool(d))
				return rc;
			flush_all(d); /* so that the pages can be had at once */
			start(d);
		}
		d->shadows_forever = true;
		flush_all(d);
		log_guest(
		        LOG_WARN, d->domid,
		        "its page tables are shadowed from now on: it has an entry that is unsafe here (L1TF)");
	}
	return l4_left(d);
}

void shadow_stop(struct domain_mm *d)
{
	struct shadow *s = d->shadow;
	uint64_t flags;

	spin_lock(&d->lock);
	if (!d->shadowed || (d->shadows_forever && !d->dying)) {
		spin_unlock(&d->lock);
		return;
	}
	flags = spin_lock_irqsave(&s->lock);
	begin_epoch(d);
	for (unsigned n = 1; !list_empty(&s->used); n++) {
		struct shadow_page *p = list_entry(s->used.next, struct shadow_page, link);

		unhook(s, p);
		make_free(s, p, s->epoch_stamp);
		if (n % CHUNK == 0) {
			/* Interrupts that wait. */
			spin_unlock_irqrestore(&s->lock, flags);
			flags = spin_lock_irqsave(&s->lock);
		}
	}
	spin_unlock_irqrestore(&s->lock, flags);
	l4_copies_forget(d);
	d->shadowed = false;
	d->l4_copied = s->copied_before || d->linear_l4;
	l4_changed(d);
	spin_unlock(&d->lock);
	flush_all(d);
}

void shadow_protect(struct domain_mm *d)
{
	struct shadow *s = d->shadow;
	uint64_t flags = spin_lock_irqsave(&s->lock);

	begin_epoch(d);
	s->protect_epoch = s->epoch;
	s->faults = 0;
	spin_unlock_irqrestore(&s->lock, flags);
	flush_all(d);
}
