/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of mm/ share: the bits of struct frame's words, and the hot reference operations.
 * docs/page-types.md explains the states.
 */
#ifndef MM_INTERNAL_H
#define MM_INTERNAL_H

#include "lib/errno.h"
#include "lib/log.h"
#include "lib/string.h"
#include "hw/cpu.h"
#include "hw/mem.h"
#include "hw/smp.h"
#include "mm/dirtylog.h"
#include "mm/pagetable.h"
#include "mm/ptype.h"

/* ---- struct frame.count ---- */
#define COUNT_ALLOCATED (1ull << 63) /* the owner's own reference is among them */
#define COUNT_MASK      0xffffffffull
#define COUNT_LIMIT     0x7fffffffull /* no further reference is given out here */

/* ---- struct frame.type: [63:61] type, state bits, [55:32] generation, [31:0] typed references ---- */
#define TYPE_SHIFT     61
#define TYPE_PINNED    (1ull << 60) /* one of the references is the guest's pin */
#define TYPE_VALID     (1ull << 59) /* tables and descriptors: contents are validated; count >= 1 */
#define TYPE_BUILDING  (1ull << 58) /* entries [0, progress) hold references; one general reference, count 0 */
#define TYPE_RELEASING (1ull << 57) /* likewise, and in the owner's release queue */
#define TYPE_FOREIGN   (1ull << 56) /* written through another domain's tables since it became writable */
#define TYPE_GEN_ONE   (1ull << 32)
#define TYPE_GEN_MASK  (0xffffffull << 32)
#define TYPE_COUNT     0xffffffffull
#define TYPE_LIMIT     0x7fffffffull

/* ---- struct frame.flags ---- */
#define FRAME_RAM    (1u << 0) /* RAM; clear in the frame table's holes */
#define FRAME_FREE   (1u << 1) /* first frame of a free block */
#define FRAME_FLUSH  (1u << 2) /* was a domain's: CPUs that did not flush since tlb_stamp may still reach it */
#define FRAME_SHARED (1u << 3) /* the hypervisor's, in its owner's shared_pages */
#define FRAME_SLAB   (1u << 4) /* small objects */
#define FRAME_LARGE  (1u << 5) /* an object of 2^order frames */
#define FRAME_ZERO   (1u << 6) /* free and cleared, and no TLB reaches it */
#define FRAME_CLEAN  (1u << 7) /* first frame of a free block whose frames are all FRAME_ZERO */

/* Bit 62 of a present L1 entry: a grant mapping; its references belong to the grant table. */
#define PTE_GRANT     (1ull << 62)
#define PTE_CACHE     (PTE_PWT | PTE_PCD | PTE_PSE)
#define PTE_AVAIL     0x3ff0000000000e00ull /* bits 9..11 and 52..61 */

#define TABLE_ENTRIES 512
#define SLICE_ENTRIES 512

extern struct frame *frame_table; /* [0, max_mfn): set before the first use of mm */
extern uint64_t *m2p_table;

static inline enum ptype type_of(uint64_t word)
{
	return (enum ptype)(word >> TYPE_SHIFT);
}

static inline bool type_is_table(enum ptype t)
{
	return t >= PTYPE_L1 && t <= PTYPE_L4;
}

/* The word that follows old: other type, state and count; the generation grows, so that a
 * compare-and-exchange notices that a frame was used as something else in between. */
static inline uint64_t type_word(uint64_t old, enum ptype t, uint64_t state_and_count)
{
	return (uint64_t)t << TYPE_SHIFT | ((old + TYPE_GEN_ONE) & TYPE_GEN_MASK) | state_and_count;
}

static inline bool word_cas(uint64_t *word, uint64_t *old, uint64_t new)
{
	return __atomic_compare_exchange_n(word, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static inline bool frame_is_ram(uint64_t mfn)
{
	return mfn < max_mfn && (frame_table[index_nospec(mfn, max_mfn)].flags & FRAME_RAM);
}

/* Only for numbers that frame_is_ram() accepted. */
static inline struct frame *frame_at(uint64_t mfn)
{
	return &frame_table[index_nospec(mfn, max_mfn)];
}

/* The frame of RAM with that number, or NULL; also under speculation none behind the table. */
static inline struct frame *ram_frame(uint64_t mfn)
{
	struct frame *f;

	if (unlikely(mfn >= max_mfn))
		return NULL;
	f = &frame_table[index_nospec(mfn, max_mfn)];
	return likely(f->flags & FRAME_RAM) ? f : NULL;
}

/* One more general reference, unless there is none yet or too many. */
static inline bool count_inc(struct frame *f)
{
	uint64_t x = READ_ONCE(f->count);

	do {
		if (unlikely(!(x & COUNT_MASK) || (x & COUNT_MASK) >= COUNT_LIMIT))
			return false;
	} while (unlikely(!word_cas(&f->count, &x, x + 1)));
	return true;
}

static inline void count_dec(struct frame *f)
{
	uint64_t old = __atomic_fetch_sub(&f->count, 1, __ATOMIC_SEQ_CST) & COUNT_MASK;

	if (likely(old > 1))
		return;
	CHECK(old);
	frame_free(f);
}

static inline bool count_get_owned(struct frame *f, const struct domain_mm *d)
{
	if (READ_ONCE(f->owner) != d || unlikely(!count_inc(f)))
		return false;
	if (likely(f->owner == d))
		return true;
	count_dec(f);
	return false;
}

/* How much a long operation may still do before it looks at work_pending(). */
struct slice {
	unsigned left;
	bool preemptible;
};
#define SLICE(p) ((struct slice){ .left = SLICE_ENTRIES, .preemptible = (p) })

/* True: stop here. One call per entry or frame handled. */
static inline bool slice_over(struct slice *s)
{
	if (likely(--s->left))
		return false;
	s->left = SLICE_ENTRIES;
	return s->preemptible && work_pending();
}

/* ---- writable references (mm/ptype.h) ---- */
/* The common case, which never flushes: one more where there are some, from the owner's own tables. */
static inline bool type_get_writable_again(struct frame *f, const struct domain_mm *mapper)
{
	uint64_t x = READ_ONCE(f->type);

	return type_of(x) == PTYPE_WRITABLE && (x & TYPE_COUNT) && (x & TYPE_COUNT) < TYPE_LIMIT &&
	       f->owner == mapper && word_cas(&f->type, &x, x + 1);
}

static inline int type_get_writable(struct frame *f, const struct domain_mm *mapper)
{
	return likely(type_get_writable_again(f, mapper)) ? 0 : type_get_writable_slow(f, mapper);
}

/* Drops a reference of type_get_writable(). The last one leaves a stamp. */
static inline void type_put_writable(struct frame *f)
{
	uint64_t x = READ_ONCE(f->type);

	if (unlikely(x & TYPE_FOREIGN))
		frame_written(frame_mfn(f));

	/* As type_put_plain() would make it: the generation grows. */
	if (unlikely((x & TYPE_COUNT) <= 1) ||
	    unlikely(!word_cas(&f->type, &x,
	                       ((x + TYPE_GEN_ONE) & TYPE_GEN_MASK) | ((x - 1) & ~TYPE_GEN_MASK))))
		type_put_plain(f);
}

/* ---- plain entries of L1s (mm/validate.h) ---- */
/* What an entry of the frequent kind has: present, and of RAM, cached as RAM is. */
#define L1E_PLAIN (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D | PTE_AVAIL | PTE_ADDR | PTE_NX)

/* The bits that make an entry, with PTE_P inverted, another one than plain. */
static inline uint64_t l1e_not_plain(void)
{
	return ~(uint64_t)(L1E_PLAIN & ~PTE_P) | (likely(cpu_features.nx) ? 0 : PTE_NX);
}

/*
 * The references that a plain entry stands for; not_plain is l1e_not_plain(). False: none are taken, and l1e_get()
 * decides. It makes no difference but in time which of the two takes them.
 */
static inline bool l1e_get_plain(struct domain_mm *d, const struct domain_mm *pg_owner, uint64_t entry,
                                 uint64_t not_plain)
{
	struct frame *f;

	if (unlikely((entry ^ PTE_P) & not_plain) || unlikely(pg_owner->dying))
		return false;
	f = ram_frame(PTE_MFN(entry).m);
	if (unlikely(!f) || unlikely(!count_get_owned(f, pg_owner)))
		return false;
	if (!(entry & PTE_RW) || likely(!type_get_writable(f, d)))
		return true;
	count_dec(f);
	return false;
}

static inline void l1e_put(uint64_t entry)
{
	struct frame *f;

	if ((entry & (PTE_P | PTE_GRANT)) != PTE_P)
		return;
	f = ram_frame(PTE_MFN(entry).m);
	if (unlikely(!f))
		return;
	if (entry & PTE_RW)
		type_put_writable(f);
	count_dec(f);
}

#define M2P_SLOT HV_L4_FIRST

static inline bool slot_is_hv(enum ptype level, unsigned i)
{
	return level == PTYPE_L4 && i >= HV_L4_FIRST && i <= HV_L4_LAST;
}

#endif
