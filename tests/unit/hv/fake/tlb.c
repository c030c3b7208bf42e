/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The TLB oracle. A fake CPU keeps what it has walked: translations of pages, and tables on the way (the
 * processor's paging-structure caches). Nothing leaves but by a flush, or when the cache is full. Walks set
 * accessed and dirty bits in the tables as the processor does.
 */
#include "mm/dirtylog.h"
#include "hw/tlb.h"
#include "mm/internal.h"
#include "mm/l4copy.h"
#include "mm/shadow.h"
#include "fake.h"
#include "hw/rflags.h"
#include "hw/spec.h"
#include "hw/trace.h"
#include "mm/validate.h"

#define LEAVES 64
#define TABLES 64

struct leaf {
	uint64_t va, mfn;
	bool valid, writable;
	const struct domain_mm *owner;
};

struct table_ref {
	uint64_t va, mfn; /* va: with the bits below the table's reach cleared */
	enum ptype level;
	bool valid, writable; /* by the entries on the way */
	enum ptype type;      /* the frame's then; a higher level's where a linear entry led to it */
	uint64_t use;         /* of a shadow's page: its generation */
	const struct domain_mm *owner;
};

static struct fake_tlb {
	struct domain_mm *d;
	mfn_t root, l4; /* the guest's L4, and what is loaded: that, or its copy */
	struct leaf leaf[LEAVES];
	struct table_ref table[TABLES];
	unsigned next_leaf, next_table;
	uint32_t flushed; /* clock after the last full flush */
} tlbs[FAKE_CPUS];

static uint32_t clock_now = 1;
static bool enabled = true;
static unsigned hv_walks; /* that came to the hypervisor's slots later than in their first step */
static unsigned
        wrong; /* what shadows allowed and the guest's tables do not, bits they did not set, stores not logged */
unsigned fake_flushes;

void fake_tlb_enable(bool on)
{
	enabled = on;
}

static void forget(struct fake_tlb *t)
{
	for (unsigned i = 0; i < LEAVES; i++)
		t->leaf[i].valid = false;
	for (unsigned i = 0; i < TABLES; i++)
		t->table[i].valid = false;
	t->flushed = __atomic_add_fetch(&clock_now, 1, __ATOMIC_SEQ_CST);
}

uint32_t tlb_clock(void)
{
	uint32_t now;

	if (fake_hook)
		fake_hook();
	now = __atomic_load_n(&clock_now, __ATOMIC_SEQ_CST);
	return now;
}

void tlb_filter(cpumask_t *mask, uint32_t stamp)
{
	uint32_t now = __atomic_load_n(&clock_now, __ATOMIC_SEQ_CST);

	/* As hw/tlb.c: a stamp ahead of the clock is from before it wrapped, when everybody flushed. */
	for (unsigned cpu = 0; stamp && cpu < FAKE_CPUS; cpu++)
		if (READ_ONCE(tlbs[cpu].flushed) > stamp || stamp > now)
			cpumask_clear(mask, cpu);
}

void fake_tlb_clock(uint32_t now)
{
	clock_now = now;
}

void tlb_flush(const cpumask_t *mask)
{
	fake_rank_check(RANK_TLB);
	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++)
		if (cpumask_test(mask, cpu)) {
			__atomic_fetch_add(&fake_flushes, 1, __ATOMIC_SEQ_CST);
			forget(&tlbs[cpu]);
		}
}

void tlb_flush_page(const cpumask_t *mask, gva_t va)
{
	fake_rank_check(RANK_TLB);
	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++) {
		if (!cpumask_test(mask, cpu))
			continue;
		for (unsigned i = 0; i < LEAVES; i++)
			if (tlbs[cpu].leaf[i].va == (va.v & PAGE_MASK))
				tlbs[cpu].leaf[i].valid = false;
	}
}

void fastpath_allow(bool allowed)
{
	(void)allowed;
}

void trace_places_set(bool on)
{
	(void)on;
}

void cache_write_back(void *arg)
{
	(void)arg;
}

void tlb_flush_local(void)
{
	forget(&tlbs[this_cpu()]);
}

void tlb_flush_page_local(gva_t va)
{
	cpumask_t self = { { 0 } };

	cpumask_set(&self, this_cpu());
	tlb_flush_page(&self, va);
}

void cr3_load(uint64_t cr3)
{
	if (fake_hook)
		fake_hook();
	if (cr3 >> PAGE_SHIFT >= max_mfn)
		panic("CR3 is loaded with %lx", (unsigned long)cr3);
	tlbs[this_cpu()].root = tlbs[this_cpu()].l4 = MFN((cr3 & PTE_ADDR) >> PAGE_SHIFT);
	forget(&tlbs[this_cpu()]);
}

void fake_load(unsigned cpu, struct domain_mm *d, mfn_t l4)
{
	struct fake_tlb *t = &tlbs[cpu];
	unsigned self = this_cpu();
	mfn_t load = l4;

	if (d && !mfn_eq(l4, INVALID_MFN)) {
		fake_set_cpu(cpu);
		load = pt_root(d, l4, true, true);
		fake_set_cpu(self);
	}
	if (d)
		cpumask_set(&d->dirty_cpus, cpu);
	forget(t);
	if (t->d && t->d != d)
		cpumask_clear(&t->d->dirty_cpus, cpu);
	t->d = d;
	t->root = l4;
	t->l4 = load;
	if (d) {
		fake_set_cpu(cpu);
		pt_root_loaded(d, l4, load);
		fake_set_cpu(self);
	}
}

void fake_exit(void)
{
	unsigned cpu = this_cpu();
	struct fake_tlb *t = &tlbs[cpu];

	if (!t->d || pt_root_is_new(t->d))
		return;
	fake_load(cpu, t->d, t->root);
	if (mfn_eq(t->root, INVALID_MFN))
		cpumask_clear(&t->d->dirty_cpus, cpu);
}

void fake_exits(void)
{
	unsigned self = this_cpu();

	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++) {
		fake_set_cpu(cpu);
		fake_exit();
	}
	fake_set_cpu(self);
}

mfn_t fake_loaded(unsigned cpu)
{
	return tlbs[cpu].root;
}

/* ---- walks ---- */

static unsigned shift_of(enum ptype level)
{
	return PAGE_SHIFT + 9 * (unsigned)(level - 1);
}

static void remember_table(struct fake_tlb *t, uint64_t va, enum ptype level, uint64_t mfn, bool writable)
{
	struct table_ref *r = &t->table[t->next_table++ % TABLES];

	*r = (struct table_ref){ .va = va >> shift_of(level + 1),
		                 .mfn = mfn,
		                 .level = level,
		                 .type = type_of(READ_ONCE(mfn_frame(MFN(mfn))->type)),
		                 .use = READ_ONCE(mfn_frame(MFN(mfn))->type) & TYPE_GEN_MASK,
		                 .valid = true,
		                 .writable = writable,
		                 .owner = frame_owner(MFN(mfn)) };
}

/* Where a walk for va starts: a remembered table, the lowest there is, or the root. */
static uint64_t walk_start(const struct fake_tlb *t, uint64_t va, enum ptype *level, bool *writable)
{
	*writable = true;
	for (*level = PTYPE_L1; *level < PTYPE_L4; (*level)++)
		for (unsigned i = 0; i < TABLES; i++)
			if (t->table[i].valid && t->table[i].level == *level &&
			    t->table[i].va == va >> shift_of(*level + 1)) {
				*writable = t->table[i].writable;
				return t->table[i].mfn;
			}
	return t->l4.m;
}

/* Of a shadowed domain's walk that began at the root and went well: the guest's entries allow it, and have the bits. */
static void check_walk(struct fake_tlb *t, uint64_t va, bool write)
{
	struct pt_walk w;

	pt_walk(t->root, GVA(va), &w);
	if (w.level != 1 || (write && !w.writable) || !(w.e[3] & w.e[2] & w.e[1] & w.e[0] & PTE_A) ||
	    (write && !(w.e[0] & PTE_D))) {
		printf("# shadows led to %lx (write %d), entries %lx %lx %lx %lx\n", (unsigned long)va, write,
		       (unsigned long)w.e[3], (unsigned long)w.e[2], (unsigned long)w.e[1],
		       (unsigned long)w.e[0]);
		wrong++;
	}
}

/* A store of d's went to that frame. One to another domain's is known by the grant only. */
static void check_logged(const struct domain_mm *d, uint64_t mfn)
{
	if (frame_owner(MFN(mfn)) != d || !d->logged || dirty_log_is_marked(d, MFN(mfn)))
		return;
	printf("# a store to frame %lx is not logged\n", (unsigned long)mfn);
	wrong++;
}

/* Whether no processor may walk an unsafe entry of t's domain. */
static bool l1tf_guarded(const struct fake_tlb *t)
{
	return t->d && (t->d->privileged ? spec_policy.l1tf_dom0 : spec_policy.l1tf_domu);
}

/* Of a table that the processor may walk at any time, by itself. */
static unsigned l1tf_unsafe(uint64_t mfn, enum ptype level)
{
	const uint64_t *table = mfn_map(MFN(mfn));

	for (unsigned i = 0; i < TABLE_ENTRIES; i++)
		if (table[i] && !slot_is_hv(level, i) && entry_is_l1tf_unsafe(level, table[i])) {
			printf("# an unsafe entry %lx of the L%d table in frame %lx is in a processor's reach\n",
			       (unsigned long)table[i], (int)level, (unsigned long)mfn);
			return 1;
		}
	return 0;
}

static bool walk(struct fake_tlb *t, uint64_t va, bool write)
{
	bool writable;
	enum ptype level;
	uint64_t mfn = walk_start(t, va, &level, &writable);
	bool from_root = level == PTYPE_L4;

	for (;; level--) {
		uint64_t *pe = (uint64_t *)mfn_map_own(MFN(mfn)) + (va >> shift_of(level) & 511);
		uint64_t e = READ_ONCE(*pe), seen;

		if (level < PTYPE_L4 && type_of(READ_ONCE(mfn_frame(MFN(mfn))->type)) == PTYPE_L4 &&
		    slot_is_hv(PTYPE_L4, va >> shift_of(level) & 511) && (e & PTE_P))
			hv_walks++;
		do {
			seen = e;
			if (!(e & PTE_P) || (write && !(writable && (e & PTE_RW))) || !(e & PTE_US))
				return false;
		} while (!word_cas(pe, &e, seen | PTE_A | (write && level == PTYPE_L1 ? PTE_D : 0)));
		mfn = PTE_MFN(e).m;
		writable = writable && (e & PTE_RW);
		if (level == PTYPE_L1) {
			struct leaf *l = &t->leaf[t->next_leaf++ % LEAVES];

			*l = (struct leaf){ .va = va & PAGE_MASK,
				            .mfn = mfn,
				            .valid = frame_is_ram(mfn),
				            .writable = writable,
				            .owner = frame_owner(MFN(mfn)) };
			if (t->d->shadowed && from_root)
				check_walk(t, va, write);
			if (write && t->d->shadowed)
				check_logged(t->d, mfn);
			return true;
		}
		remember_table(t, va, level - 1, mfn, writable);
	}
}

/* The page fault: its answer is the guest's tables', and the access goes well then. */
static bool shadow_touch(struct fake_tlb *t, uint64_t va, bool write)
{
	uint32_t error_code = PF_USER | (write ? PF_WRITE : 0);
	unsigned self = this_cpu();
	struct pt_walk w;
	bool fixed;

	/* In the middle of an operation of its own: a lock may be held that a flush must not wait for. */
	if (fake_locks_held())
		return false;
	for (unsigned i = 0; i < LEAVES; i++)
		t->leaf[i].valid &= t->leaf[i].va != (va & PAGE_MASK); /* SDM Vol. 3, 4.10.4.1 */
	for (unsigned i = 0; i < TABLES; i++)
		t->table[i].valid &= t->table[i].va != va >> shift_of(t->table[i].level + 1);
	pt_walk(t->root, GVA(va), &w);
	fake_set_cpu((unsigned)(t - tlbs));
	fixed = shadow_fault(t->d, t->root, GVA(va), &error_code, true);
	fake_set_cpu(self);
	if (fixed != (w.level == 1 && (!write || w.writable)) ||
	    (!fixed && !(error_code & PF_PRESENT) != !w.level) || (fixed && !walk(t, va, write))) {
		printf("# a fault at %lx (write %d) of level %d, writable %d: served %d\n", (unsigned long)va,
		       write, w.level, w.writable, fixed);
		wrong++;
	}
	return fixed;
}

bool fake_touch(unsigned cpu, uint64_t va, bool write)
{
	struct fake_tlb *t = &tlbs[cpu];

	if (mfn_eq(t->l4, INVALID_MFN) || (va >> shift_of(PTYPE_L4) & 511) / 16 == HV_L4_FIRST / 16)
		return false;
	for (unsigned i = 0; i < LEAVES; i++)
		if (t->leaf[i].valid && t->leaf[i].va == (va & PAGE_MASK) &&
		    (!write || t->leaf[i].writable)) {
			if (write && t->d->shadowed)
				check_logged(t->d, t->leaf[i].mfn);
			return true;
		}
	return walk(t, va, write) || (t->d->shadowed && shadow_touch(t, va, write));
}

/* ---- the verdict ---- */

/* Free, or about to be, and not handed out again: that needs a flush first. */
static bool waits_for_flush(const struct frame *f)
{
	return !(READ_ONCE(f->count) & COUNT_MASK) && (f->flags & FRAME_FLUSH);
}

static bool leaf_bad(const struct leaf *l)
{
	const struct frame *f = &frame_table[l->mfn];
	enum ptype type = type_of(READ_ONCE(f->type));

	if (waits_for_flush(f))
		return false;
	return f->owner != l->owner || (l->writable && (type_is_table(type) || type == PTYPE_SEGDESC));
}

static bool table_bad(const struct table_ref *r)
{
	const struct frame *f = &frame_table[r->mfn];

	return !waits_for_flush(f) && (f->owner != r->owner || type_of(READ_ONCE(f->type)) != r->type ||
	                               (!f->owner && (READ_ONCE(f->type) & TYPE_GEN_MASK) != r->use));
}

unsigned fake_tlb_check(void)
{
	unsigned bad = 0;

	for (unsigned cpu = 0; enabled && cpu < FAKE_CPUS; cpu++) {
		const struct fake_tlb *t = &tlbs[cpu];

		if (l1tf_guarded(t) && !mfn_eq(t->l4, INVALID_MFN))
			bad += l1tf_unsafe(t->l4.m, PTYPE_L4);
		for (unsigned i = 0; l1tf_guarded(t) && i < TABLES; i++)
			if (t->table[i].valid)
				bad += l1tf_unsafe(t->table[i].mfn, t->table[i].level);

		for (unsigned i = 0; i < LEAVES; i++)
			if (t->leaf[i].valid && leaf_bad(&t->leaf[i])) {
				printf("# CPU %u: stale translation of %lx to frame %lx (writable %d), type word %lx\n",
				       cpu, (unsigned long)t->leaf[i].va, (unsigned long)t->leaf[i].mfn,
				       t->leaf[i].writable, (unsigned long)frame_table[t->leaf[i].mfn].type);
				bad++;
			}
		for (unsigned i = 0; i < TABLES; i++)
			if (t->table[i].valid && table_bad(&t->table[i])) {
				printf("# CPU %u: remembers frame %lx as an L%d table, type word %lx\n", cpu,
				       (unsigned long)t->table[i].mfn, (int)t->table[i].level,
				       (unsigned long)frame_table[t->table[i].mfn].type);
				bad++;
			}
	}
	if (hv_walks) {
		printf("# %u walks through linear entries came to the hypervisor's slots\n", hv_walks);
		bad += hv_walks;
		hv_walks = 0;
	}
	bad += wrong;
	wrong = 0;
	return bad;
}
