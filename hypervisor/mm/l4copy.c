/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies of L4 tables, some for the kernel's and some for the user's on each CPU, that are loaded in the place of the guest's
 * own: for domains that are shadowed, whose copies lead to shadows (shadow.c), and for those with linear L4 entries (an L4
 * entry that names an L4).
 *
 * Through such an entry the processor takes an L4 for a table of a lower level, at addresses outside of the hypervisor's
 * range. If that L4 held the hypervisor's slots, a hypercall that is given such an address, or a processor that does not
 * heed the user bit under speculation, would read the hypervisor's tables and memory. So:
 *
 *  - an L4 that a linear entry names has empty slots in the hypervisor's place, always (l4_close());
 *  - no CPU loads an L4 of such a domain itself: each loads a copy with the guest's slots of the L4 and the hypervisor's
 *    own, and nothing a guest can write ever names a copy.
 *
 * Then a walk finds the hypervisor's slots in its first step or not at all, whoever walks, in whichever ring, and however
 * often it comes through linear entries. No access to guest memory needs a check of its own.
 *
 * The first linear L4 entry of a domain is refused with -ERESTART_HV until all its CPUs have left its L4s, which each does
 * on its way back to the guest (guest_exit_prepare()): l4_leave(). A copy follows its L4 at once: whoever writes an entry
 * writes it to the copies before dropping what the old entry held. tests/model/l4copy.pml is both in Promela.
 */
#include "mm/l4copy.h"
#include "hw/paging.h"
#include "hw/tlb.h"
#include "mm/boot.h"
#include "mm/heap.h"
#include "mm/internal.h"
#include "mm/perdomain.h"
#include "mm/shadow.h"

#define COPIES 4u /* of each mode, so that a guest goes between a few processes without a copy being made */

static struct l4_copies {
	spinlock_t lock;
	const struct domain_mm *d; /* whose copy was loaded last; NULL: none */
	struct l4_copy {
		uint64_t *l4;
		mfn_t of;
		const struct domain_mm *d;
		uint64_t generation; /* the domain's when it was made */
	} copy[2 * COPIES];          /* the user's, then the kernel's */
	unsigned next[2];            /* the one of each mode that is made anew next */
} copies[NR_CPUS];

#define for_each_copy(copy, c) for (struct l4_copy *copy = (c)->copy; copy < (c)->copy + 2 * COPIES; copy++)

void pt_copies_init(unsigned cpu)
{
	copies[cpu].lock = SPINLOCK(RANK_L4_COPY);
	for_each_copy(copy, &copies[cpu]) {
		mfn_t page = heap_alloc(0, 0);

		if (mfn_eq(page, INVALID_MFN))
			panic("no memory for the copies of page tables");
		copy->l4 = mfn_map_own(page);
		copy->of = INVALID_MFN;
	}
}

/* Whether CPUs run on copies of d's L4s in the place of themselves. */
static bool runs_on_copies(const struct domain_mm *d)
{
	return READ_ONCE(d->linear_l4) || READ_ONCE(d->shadowed);
}

static uint64_t copied_entry(const struct domain_mm *d, bool shadowed, uint64_t e)
{
	return shadowed ? shadow_l4e(d, e) : e;
}

#define SLOTS_AT_ONCE 8

/* Nearly all are empty on both sides. A writer that comes meanwhile writes to the copy, afterwards. */
static void copy_slots(const struct domain_mm *d, bool shadowed, uint64_t *to, const uint64_t *from,
                       unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i += SLOTS_AT_ONCE) {
		uint64_t any = 0;

#pragma GCC unroll 8
		for (unsigned k = 0; k < SLOTS_AT_ONCE; k++)
			any |= from[i + k] | to[i + k];
		for (unsigned k = i; any && k < i + SLOTS_AT_ONCE; k++)
			WRITE_ONCE(to[k], copied_entry(d, shadowed, READ_ONCE(from[k])));
	}
}

static void empty_slots(uint64_t *l4, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i += SLOTS_AT_ONCE) {
		uint64_t any = 0;

#pragma GCC unroll 8
		for (unsigned k = 0; k < SLOTS_AT_ONCE; k++)
			any |= l4[i + k];
		for (unsigned k = i; any && k < i + SLOTS_AT_ONCE; k++)
			WRITE_ONCE(l4[k], 0);
	}
}

static bool is_copy_of(const struct l4_copy *copy, const struct domain_mm *d, mfn_t l4)
{
	return copy->d == d && mfn_eq(copy->of, l4);
}

/* NULL: there is none. */
static struct l4_copy *find_copy(struct l4_copies *c, const struct domain_mm *d, mfn_t l4, bool kernel)
{
	struct l4_copy *copy = &c->copy[kernel * COPIES];

	for (unsigned i = 0; i < COPIES; i++)
		if (is_copy_of(&copy[i], d, l4))
			return &copy[i];
	return NULL;
}

static mfn_t copy_of(struct domain_mm *d, mfn_t l4, bool kernel, bool m2p)
{
	struct l4_copies *c = &copies[this_cpu()];
	struct l4_copy *copy;
	const uint64_t *from = mfn_map(l4);
	uint64_t shadow_flags, flags, generation;
	bool shadowed;

	for (;;) {
		shadowed = shadow_lock(d, &shadow_flags);
		flags = spin_lock_irqsave(&c->lock);
		/* d may have been shadowed just now. Who does that comes by this lock afterwards, and empties what was copied. */
		if (likely(shadowed == READ_ONCE(d->shadowed)))
			break;
		spin_unlock_irqrestore(&c->lock, flags);
		shadow_unlock(d, shadowed, shadow_flags);
	}
	generation = __atomic_load_n(&d->l4_generation, __ATOMIC_SEQ_CST);
	copy = find_copy(c, d, l4, kernel);
	if (!copy)
		copy = &c->copy[kernel * COPIES + c->next[kernel]++ % COPIES];
	if (!is_copy_of(copy, d, l4) || copy->generation != generation) {
		copy_slots(d, shadowed, copy->l4, from, 0, HV_L4_FIRST);
		copy_slots(d, shadowed, copy->l4, from, HV_L4_LAST + 1, TABLE_ENTRIES);
		pt_fill_hv_slots(d, copy->l4);
		copy->d = d;
		copy->of = l4;
		copy->generation = generation;
	}
	WRITE_ONCE(copy->l4[M2P_SLOT], m2p ? ((const uint64_t *)mfn_map(pt_idle_l4()))[M2P_SLOT] : 0);
	spin_unlock_irqrestore(&c->lock, flags);
	shadow_unlock(d, shadowed, shadow_flags);
	return mfn_of(copy->l4);
}

mfn_t pt_root(struct domain_mm *d, mfn_t l4, bool kernel, bool m2p)
{
	return runs_on_copies(d) ? copy_of(d, l4, kernel, m2p) : l4;
}

mfn_t pt_root_ready(const struct domain_mm *d, mfn_t l4, bool kernel, bool m2p)
{
	struct l4_copies *c = &copies[this_cpu()];
	const struct l4_copy *copy;
	uint64_t flags;
	bool ready;

	if (!runs_on_copies(d))
		return l4;
	flags = spin_lock_irqsave(&c->lock);
	copy = find_copy(c, d, l4, kernel);
	ready = copy && copy->generation == __atomic_load_n(&d->l4_generation, __ATOMIC_SEQ_CST) &&
	        !!copy->l4[M2P_SLOT] == m2p;
	spin_unlock_irqrestore(&c->lock, flags);
	return ready ? mfn_of(copy->l4) : INVALID_MFN;
}

void pt_root_loaded(const struct domain_mm *d, mfn_t l4, mfn_t root)
{
	if (!mfn_eq(l4, root))
		WRITE_ONCE(copies[this_cpu()].d, d);
}

bool pt_root_is_new(const struct domain_mm *d)
{
	return !runs_on_copies(d) || copies[this_cpu()].d == d;
}

/* One count for all: a domain decides how often it changes its entries, and copies may outlive it. */
void l4_changed(struct domain_mm *d)
{
	static uint64_t last;

	__atomic_store_n(&d->l4_generation, __atomic_add_fetch(&last, 1, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
}

int l4_leave(struct domain_mm *d)
{
	WRITE_ONCE(d->linear_l4, true);
	/* A CPU that begins to run d is in dirty_cpus before it looks at this. */
	__atomic_store_n(&d->l4_copied, true, __ATOMIC_SEQ_CST);
	return l4_left(d);
}

int l4_left(struct domain_mm *d)
{
	cpumask_t cpus;
	unsigned cpu;

	cpus = cpumask_and(&d->dirty_cpus, &cpus_online);
	for_each_cpu_in(cpu, &cpus)
		if (READ_ONCE(copies[cpu].d) == d)
			cpumask_clear(&cpus, cpu);
	if (cpumask_empty(&cpus))
		return 0;
	tlb_flush(&cpus); /* so that they come by the exit path */
	return -ERESTART_HV;
}

void l4_close(struct frame *f)
{
	uint64_t *l4 = mfn_map_own(frame_mfn(f));

	for (unsigned i = HV_L4_FIRST; i <= HV_L4_LAST; i++)
		WRITE_ONCE(l4[i], 0);
	frame_written(frame_mfn(f));
}

void l4_written(struct domain_mm *d, const uint64_t *pe)
{
	mfn_t l4 = mfn_of(pe);
	unsigned i = (uintptr_t)pe % PAGE_SIZE / sizeof(*pe);
	uint64_t shadow_flags;
	bool shadowed = shadow_lock(d, &shadow_flags);

	for (unsigned cpu = 0; runs_on_copies(d) && cpu < cpu_count; cpu++) {
		struct l4_copies *c = &copies[cpu];
		uint64_t flags = spin_lock_irqsave(&c->lock);

		for_each_copy(copy, c)
			if (is_copy_of(copy, d, l4))
				WRITE_ONCE(copy->l4[i], copied_entry(d, shadowed, READ_ONCE(*pe)));
		spin_unlock_irqrestore(&c->lock, flags);
	}
	/* Afterwards: what was copied from a copy before that (xpti) is not as new. */
	l4_changed(d);
	shadow_unlock(d, shadowed, shadow_flags);
}

bool l4_copy_link(const struct domain_mm *d, mfn_t l4, unsigned slot, uint64_t e)
{
	struct l4_copies *c = &copies[this_cpu()];
	uint64_t flags = spin_lock_irqsave(&c->lock);
	bool changed = false;

	for_each_copy(copy, c)
		if (is_copy_of(copy, d, l4) && copy->l4[slot] != e) {
			WRITE_ONCE(copy->l4[slot], e);
			changed = true;
		}
	spin_unlock_irqrestore(&c->lock, flags);
	return changed;
}

void l4_copies_empty(struct domain_mm *d)
{
	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		struct l4_copies *c = &copies[cpu];
		uint64_t flags = spin_lock_irqsave(&c->lock);

		for_each_copy(copy, c) {
			if (copy->d != d)
				continue;
			empty_slots(copy->l4, 0, HV_L4_FIRST);
			empty_slots(copy->l4, HV_L4_LAST + 1, TABLE_ENTRIES);
		}
		spin_unlock_irqrestore(&c->lock, flags);
	}
	l4_changed(d);
}

void l4_copies_forget(const struct domain_mm *d)
{
	for (unsigned cpu = 0; runs_on_copies(d) && cpu < cpu_count; cpu++) {
		struct l4_copies *c = &copies[cpu];
		uint64_t flags = spin_lock_irqsave(&c->lock);

		if (c->d == d)
			c->d = NULL;
		for_each_copy(copy, c)
			if (copy->d == d)
				copy->d = NULL;
		spin_unlock_irqrestore(&c->lock, flags);
	}
}
