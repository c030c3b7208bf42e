/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Linear page tables: entries that name a table of their own level. One case per rule of docs/page-types.md. */
#include "mm/internal.h"
#include "hw/tlb.h"
#include "hypercall/hypercall.h"
#include "fake/dom.h"
#include "../../lib/check.h"
#include "mm/audit.h"
#include "mm/boot.h"
#include "mm/heap.h"
#include "mm/l4copy.h"
#include "mm/perdomain.h"
#include "mm/ptype.h"
#include <xen/grant_table.h>

#define TABLE_FLAGS (PTE_P | PTE_RW | PTE_US | PTE_A)
#define LINEAR      (PTE_P | PTE_US | PTE_A)
#define SLOT        5 /* of linear entries; lower half */

static struct domain_mm *d0, *d1;

static mfn_t frame_of(struct domain_mm *d)
{
	mfn_t mfn = INVALID_MFN;

	if (domain_frame_alloc(d, 0, 0, &mfn))
		abort();
	return mfn;
}

static void store(struct domain_mm *d, mfn_t mfn, unsigned index, uint64_t value)
{
	if (frame_get_type(mfn, d, PTYPE_WRITABLE))
		abort();
	((uint64_t *)mfn_map_own(mfn))[index] = value;
	frame_put_type(mfn);
}

static uint64_t entry(mfn_t table, unsigned index)
{
	return ((uint64_t *)mfn_map_own(table))[index];
}

static uint64_t pte(mfn_t mfn, uint64_t flags)
{
	return mfn.m << PAGE_SHIFT | flags;
}

/* Levels 1 to 4, each naming the one below in its entry 0. */
struct tree {
	mfn_t t[5], page;
};

static struct tree make_tree(struct domain_mm *d)
{
	struct tree r = { .page = frame_of(d) };

	for (unsigned level = 1; level <= 4; level++)
		r.t[level] = frame_of(d);
	store(d, r.t[1], 0, pte(r.page, TABLE_FLAGS));
	for (unsigned level = 2; level <= 4; level++)
		store(d, r.t[level], 0, pte(r.t[level - 1], TABLE_FLAGS));
	return r;
}

/* mmu_update, and what goes on until it is through: each CPU comes by its exit path. */
static int write_to(struct domain_mm *d, mfn_t table, unsigned index, uint64_t value)
{
	maddr_t at = MADDR(table.m << PAGE_SHIFT | index * 8);
	int rc;

	while ((rc = pt_entry_write(d, d, at, value, PT_WRITE, NULL)) == -ERESTART_HV)
		fake_exits();
	return rc;
}

static int pin(struct domain_mm *d, mfn_t table, enum ptype level)
{
	int rc;

	while ((rc = pt_pin(d, table, level)) == -ERESTART_HV)
		fake_exits();
	return rc;
}

static enum ptype type_now(mfn_t mfn)
{
	bool pinned;

	return mfn_frame(mfn)->type & TYPE_COUNT ? frame_type(mfn, &pinned) : PTYPE_NONE;
}

static unsigned count_of(mfn_t mfn)
{
	return (unsigned)(mfn_frame(mfn)->count & COUNT_MASK);
}

static unsigned types_of(mfn_t mfn)
{
	return (unsigned)(mfn_frame(mfn)->type & TYPE_COUNT);
}

static void audit(void)
{
	struct domain_mm *domains[] = { d0, d1 };
	struct audit_root roots[FAKE_CPUS];

	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++)
		roots[cpu] = (struct audit_root){ NULL, { fake_loaded(cpu), INVALID_MFN } };
	CHECK_THAT(mm_audit(domains, ARRAY_SIZE(domains), roots, ARRAY_SIZE(roots), true) == 0);
}

static void destroy(struct domain_mm *d)
{
	while (domain_mm_relinquish(d) == -ERESTART_HV)
		;
	CHECK_THAT(!d->tot_pages);
}

static void fresh(void)
{
	for (unsigned i = 0; i < 2; i++)
		fake_domain_create(i, 4096);
	d0 = &fake_domains[0].mm;
	d1 = &fake_domains[1].mm;
	/* CPU 0 runs dom0, 1 and 2 the guest, 3 nobody. */
	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++) {
		fake_set_cpu(cpu);
		fake_load(cpu, cpu == 0 ? d0 : cpu < 3 ? d1 : NULL, INVALID_MFN);
		fake_set_vcpu(fake_vcpu(cpu, cpu != 0));
	}
	fake_set_cpu(1);
	fake_preempt = 0;
}

static void finish(void)
{
	fake_preempt = 0;
	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++) {
		mfn_t l4 = fake_loaded(cpu);

		fake_load(cpu, NULL, INVALID_MFN);
		if (!mfn_eq(l4, INVALID_MFN))
			CHECK_THAT(!pt_put(d1, l4, false));
	}
	destroy(d0);
	destroy(d1);
	domain_mm_destroy(d0);
	domain_mm_destroy(d1);
}

static void load(unsigned cpu, mfn_t l4)
{
	int rc;

	while ((rc = pt_get(d1, l4, PTYPE_L4, true)) == -ERESTART_HV)
		fake_exits();
	CHECK_THAT(!rc);
	fake_load(cpu, d1, l4);
}

static uint64_t va(unsigned i4, unsigned i3, unsigned i2, unsigned i1)
{
	uint64_t a = (uint64_t)i4 << 39 | (uint64_t)i3 << 30 | (uint64_t)i2 << 21 | (uint64_t)i1 << 12;

	return i4 & 256 ? a | 0xffff000000000000 : a;
}

/* ---- cases ---- */

static void own_table(void)
{
	struct tree r = make_tree(d1);

	CHECK_THAT(pin(d1, r.t[4], PTYPE_L4) == 0);
	for (enum ptype level = PTYPE_L2; level <= PTYPE_L4; level++) {
		mfn_t t = r.t[level];
		unsigned count = count_of(t), types = types_of(t);

		CHECK_THAT(write_to(d1, t, SLOT, pte(t, LINEAR | PTE_RW)) == -EINVAL);
		CHECK_THAT(write_to(d1, t, SLOT, pte(t, LINEAR | PTE_PSE)) == -EINVAL);
		CHECK_THAT(entry(t, SLOT) == 0);
		CHECK_THAT(write_to(d1, t, SLOT, pte(t, LINEAR)) == 0);
		CHECK_THAT(entry(t, SLOT) == pte(t, LINEAR));
		CHECK_THAT(write_to(d1, t, SLOT, pte(t, LINEAR | PTE_RW)) == -EINVAL);
		CHECK_THAT(write_to(d1, t, SLOT, pte(t, LINEAR | PTE_NX | 1ull << 9)) == 0);
		CHECK_THAT(count_of(t) == count && types_of(t) == types && mfn_frame(t)->linear == 0);
		audit();
		CHECK_THAT(write_to(d1, t, SLOT, 0) == 0);
		CHECK_THAT(write_to(d1, t, SLOT, pte(t, LINEAR)) == 0);
		CHECK_THAT(count_of(t) == count && types_of(t) == types);
	}
	/* A page table of the lowest level has none: there it is data. */
	CHECK_THAT(write_to(d1, r.t[1], SLOT, pte(r.t[1], LINEAR | PTE_RW)) == -EBUSY);
	CHECK_THAT(write_to(d1, r.t[1], SLOT, pte(r.t[1], LINEAR)) == 0);
	audit();
	CHECK_THAT(pt_unpin(d1, r.t[4]) == 0);
	for (enum ptype level = PTYPE_L1; level <= PTYPE_L4; level++)
		CHECK_THAT(type_now(r.t[level]) == PTYPE_NONE);
}

static void depth_of(enum ptype level)
{
	struct tree a = make_tree(d1), b = make_tree(d1), c = make_tree(d1);
	mfn_t f = a.t[level], t = b.t[level], u = c.t[level];

	CHECK_THAT(write_to(d1, f, SLOT, pte(t, LINEAR)) == 0); /* ordinary memory so far */
	CHECK_THAT(pin(d1, t, level) == 0);
	CHECK_THAT(pin(d1, f, level) == 0);
	CHECK_THAT(mfn_frame(f)->linear == 1 && mfn_frame(t)->linear == -1);
	CHECK_THAT(count_of(t) == 3 && types_of(t) == 2);
	CHECK_THAT(pin(d1, u, level) == 0);
	/* Neither may the named one name others, nor the naming one be named. */
	CHECK_THAT(write_to(d1, t, SLOT, pte(u, LINEAR)) == -EINVAL);
	CHECK_THAT(write_to(d1, t, SLOT, pte(f, LINEAR)) == -EINVAL);
	CHECK_THAT(write_to(d1, u, SLOT, pte(f, LINEAR)) == -EINVAL);
	/* Itself is no chain; nor are two that name one, or one that names two. */
	CHECK_THAT(write_to(d1, t, SLOT, pte(t, LINEAR)) == 0);
	CHECK_THAT(write_to(d1, f, SLOT + 1, pte(f, LINEAR)) == 0);
	CHECK_THAT(write_to(d1, u, SLOT, pte(t, LINEAR)) == 0);
	CHECK_THAT(write_to(d1, f, SLOT + 2, pte(t, LINEAR)) == 0);
	CHECK_THAT(mfn_frame(f)->linear == 2 && mfn_frame(t)->linear == -3 && mfn_frame(u)->linear == 1);
	/* With write permission neither a new one nor an old one. */
	CHECK_THAT(write_to(d1, f, SLOT + 3, pte(t, LINEAR | PTE_RW)) == -EINVAL);
	CHECK_THAT(write_to(d1, f, SLOT + 2, pte(t, LINEAR | PTE_RW)) == -EINVAL);
	CHECK_THAT(write_to(d1, f, SLOT + 2, pte(t, LINEAR | PTE_NX)) == 0);
	audit();
	/* A table stays one as long as it is named. */
	CHECK_THAT(pt_unpin(d1, t) == 0);
	CHECK_THAT(type_now(t) == level && frame_get_type(t, d1, PTYPE_WRITABLE) == -EINVAL);
	CHECK_THAT(write_to(d1, f, SLOT, 0) == 0);
	CHECK_THAT(write_to(d1, u, SLOT, pte(u, LINEAR)) == 0);
	CHECK_THAT(type_now(t) == level);
	audit();
	CHECK_THAT(pt_unpin(d1, f) == 0);
	CHECK_THAT(type_now(f) == PTYPE_NONE && type_now(t) == PTYPE_NONE);
	CHECK_THAT(mfn_frame(f)->linear == 0 && mfn_frame(t)->linear == 0 && mfn_frame(u)->linear == 0);
	CHECK_THAT(count_of(t) == 1 && count_of(f) == 1);
	/* The other way round now: what was named names. */
	CHECK_THAT(write_to(d1, t, SLOT, pte(u, LINEAR)) == 0);
	CHECK_THAT(pin(d1, t, level) == 0 && mfn_frame(u)->linear == -1);
	CHECK_THAT(pt_unpin(d1, u) == 0 && pt_unpin(d1, t) == 0);
	CHECK_THAT(type_now(u) == PTYPE_NONE && type_now(t) == PTYPE_NONE);
	audit();
}

static void depth(void)
{
	for (enum ptype level = PTYPE_L2; level <= PTYPE_L4; level++)
		depth_of(level);
}

static void other_owner(void)
{
	struct tree a = make_tree(d1), b = make_tree(d0);

	CHECK_THAT(pin(d1, a.t[3], PTYPE_L3) == 0 && pin(d0, b.t[3], PTYPE_L3) == 0);
	CHECK_THAT(write_to(d1, a.t[3], SLOT, pte(b.t[3], LINEAR)) == -EINVAL);
	/* Neither of this nor of the next level. */
	CHECK_THAT(write_to(d1, a.t[3], SLOT, pte(a.t[1], LINEAR)) == -EINVAL);
	CHECK_THAT(write_to(d1, a.t[3], SLOT, pte(MFN(FAKE_RAM_FIRST), LINEAR)) == -EINVAL);
	CHECK_THAT(write_to(d1, a.t[3], SLOT, pte(MFN(3), LINEAR)) == -EINVAL);
	audit();
}

static void refused_build(void)
{
	for (enum ptype level = PTYPE_L2; level <= PTYPE_L4; level++) {
		struct tree a = make_tree(d1), b = make_tree(d1);
		mfn_t f = a.t[level];

		CHECK_THAT(pin(d1, b.t[level], level) == 0);
		store(d1, f, SLOT, pte(f, LINEAR));
		store(d1, f, SLOT + 1, pte(b.t[level], LINEAR));
		store(d1, f, SLOT + 2, pte(f, LINEAR | PTE_RW));
		CHECK_THAT(pin(d1, f, level) == -EINVAL);
		CHECK_THAT(type_now(f) == PTYPE_NONE && count_of(f) == 1 && mfn_frame(f)->linear == 0);
		CHECK_THAT(types_of(b.t[level]) == 1 && mfn_frame(b.t[level])->linear == 0);
		store(d1, f, SLOT + 2, 0);
		CHECK_THAT(pin(d1, f, level) == 0 && mfn_frame(b.t[level])->linear == -1);
		audit();
	}
}

/* Builds that are preempted with linear entries done, and that nobody continues; tables that are released in slices. */
static void preempted(void)
{
	struct tree a = make_tree(d1), b = make_tree(d1);
	int rc;

	for (unsigned i = 16; i < 200; i++) {
		store(d1, a.t[3], i, i % 3 ? pte(b.t[3], LINEAR) : pte(a.t[3], LINEAR));
		store(d1, a.t[2], i, 0x200);
	}
	for (unsigned i = 200; i < 512; i++)
		store(d1, a.t[3], i, 0x200);
	CHECK_THAT(pin(d1, b.t[3], PTYPE_L3) == 0);
	fake_preempt = 1;
	CHECK_THAT(pt_pin(d1, a.t[3], PTYPE_L3) == -ERESTART_HV);
	CHECK_THAT(mfn_frame(a.t[3])->linear > 0 && mfn_frame(b.t[3])->linear == -mfn_frame(a.t[3])->linear);
	audit();
	/* In the middle the other one goes. */
	CHECK_THAT(pt_unpin(d1, b.t[3]) == 0);
	CHECK_THAT(type_now(b.t[3]) == PTYPE_L3);
	while ((rc = pt_pin(d1, a.t[3], PTYPE_L3)) == -ERESTART_HV)
		audit();
	CHECK_THAT(!rc);
	audit();
	CHECK_THAT(pt_unpin(d1, a.t[3]) == 0);
	CHECK_THAT(d1->release_head); /* not through */
	audit();
	while (pt_drain(d1, true))
		audit();
	CHECK_THAT(type_now(b.t[3]) == PTYPE_NONE && mfn_frame(b.t[3])->linear == 0);
	/* Once more, and the domain ends with it. */
	CHECK_THAT(pin(d1, b.t[3], PTYPE_L3) == 0);
	CHECK_THAT(pt_pin(d1, a.t[3], PTYPE_L3) == -ERESTART_HV);
	CHECK_THAT(pt_unpin(d1, b.t[3]) == 0);
}

/* Addresses in a linear map have no L1 entry: what is at the place of one is of a higher level. */
static void addresses(void)
{
	struct tree r = make_tree(d1);
	uint64_t before;

	for (enum ptype level = PTYPE_L2; level <= PTYPE_L4; level++)
		store(d1, r.t[level], SLOT, pte(r.t[level], LINEAR));
	load(1, r.t[4]);
	before = entry(r.t[2], 0);
	CHECK_THAT(pt_va_write(d1, d1, r.t[4], GVA(va(0, 0, 0, 0)), pte(r.page, LINEAR)) == 0);
	CHECK_THAT(pt_va_write(d1, d1, r.t[4], GVA(va(SLOT, 0, 0, 0)), pte(r.page, TABLE_FLAGS)) == -EINVAL);
	CHECK_THAT(pt_va_write(d1, d1, r.t[4], GVA(va(0, SLOT, 0, 0)), pte(r.page, TABLE_FLAGS)) == -EINVAL);
	CHECK_THAT(pt_va_write(d1, d1, r.t[4], GVA(va(0, 0, SLOT, 0)), pte(r.page, TABLE_FLAGS)) == -EINVAL);
	CHECK_THAT(pt_va_write(d1, d1, r.t[4], GVA(va(SLOT, SLOT, SLOT, SLOT)), 0) == -EINVAL);
	CHECK_THAT(pt_va_write(d1, d1, r.t[4], GVA(va(SLOT, 261, 0, 0)), 0) == -EINVAL);
	CHECK_THAT(pt_grant_map(d1, r.t[4], va(SLOT, 0, 0, 0), r.page, 0) == GNTST_general_error);
	CHECK_THAT(pt_grant_map(d1, r.t[4], r.t[2].m << PAGE_SHIFT, r.page, GNTMAP_contains_pte) ==
	           GNTST_general_error);
	CHECK_THAT(entry(r.t[2], 0) == before);
	audit();
}

static bool slots_empty(mfn_t l4)
{
	for (unsigned i = HV_L4_FIRST; i <= HV_L4_LAST; i++)
		if (entry(l4, i))
			return false;
	return true;
}

/* What CPU loads for l4, and that it has the hypervisor's slots and the guest's of l4. */
static mfn_t copy_of(unsigned cpu, mfn_t l4)
{
	mfn_t copy;

	fake_set_cpu(cpu);
	copy = pt_root(d1, l4, false, false); /* user mode's: without the M2P table */
	CHECK_THAT(!entry(copy, HV_L4_FIRST) && entry(copy, HV_L4_FIRST + 5) &&
	           mfn_eq(pt_root(d1, l4, false, true), copy));
	CHECK_THAT(entry(copy, HV_L4_FIRST));
	copy = pt_root(d1, l4, true, true);
	fake_set_cpu(1);
	CHECK_THAT(!mfn_eq(copy, l4));
	for (unsigned i = 0; i < 512; i++)
		if (slot_is_hv(PTYPE_L4, i))
			CHECK_THAT(i == 260 ? PTE_MFN(entry(copy, i)).m == d1->perdomain_l3.m
			                    : entry(copy, i) == entry(pt_idle_l4(), i));
		else
			CHECK_THAT(entry(copy, i) == entry(l4, i));
	return copy;
}

static void copies(void)
{
	struct tree r = make_tree(d1), s = make_tree(d1), u = make_tree(d1);
	maddr_t at = MADDR(r.t[4].m << PAGE_SHIFT | SLOT * 8);
	mfn_t copy[2];

	load(1, r.t[4]);
	load(2, s.t[4]);
	CHECK_THAT(!slots_empty(r.t[4]) && !d1->l4_copied);
	/* Nothing changes as long as a CPU runs on an L4 itself, the caller's and the other one's. */
	CHECK_THAT(pt_entry_write(d1, d1, at, pte(r.t[4], LINEAR), PT_WRITE, NULL) == -ERESTART_HV);
	CHECK_THAT(entry(r.t[4], SLOT) == 0 && !slots_empty(r.t[4]));
	fake_set_cpu(1);
	fake_load(1, d1, r.t[4]);
	CHECK_THAT(pt_root_is_new(d1));
	CHECK_THAT(pt_entry_write(d1, d1, at, pte(r.t[4], LINEAR), PT_WRITE, NULL) == -ERESTART_HV);
	CHECK_THAT(entry(r.t[4], SLOT) == 0 && !slots_empty(r.t[4]));
	fake_set_cpu(2);
	CHECK_THAT(!pt_root_is_new(d1));
	fake_load(2, d1, s.t[4]);
	fake_set_cpu(1);
	CHECK_THAT(pt_entry_write(d1, d1, at, pte(r.t[4], LINEAR), PT_WRITE, NULL) == 0);
	/* The L4 that is named has no slots of the hypervisor's any more; the other one nobody can name and keeps them. */
	CHECK_THAT(slots_empty(r.t[4]) && !slots_empty(s.t[4]));
	copy[0] = copy_of(1, r.t[4]);
	copy[1] = copy_of(2, s.t[4]);
	CHECK_THAT(!mfn_eq(copy[0], copy[1]));
	pt_show_m2p(d1, r.t[4], true);
	CHECK_THAT(slots_empty(r.t[4]));
	/* One that becomes an L4 from now on never has any. */
	CHECK_THAT(pin(d1, u.t[4], PTYPE_L4) == 0 && slots_empty(u.t[4]));
	/* Named: s loses its. */
	CHECK_THAT(write_to(d1, u.t[4], SLOT, pte(s.t[4], LINEAR)) == 0 && slots_empty(s.t[4]));
	/* Entries written to the L4s are in the copies at once, on every CPU. */
	fake_load(2, d1, r.t[4]);
	CHECK_THAT(!pt_get(d1, r.t[4], PTYPE_L4, true) && !pt_put(d1, s.t[4], true));
	CHECK_THAT(fake_touch(2, va(0, 0, 0, 0), true) && !fake_touch(2, va(7, 0, 0, 0), false));
	CHECK_THAT(write_to(d1, r.t[4], 7, pte(u.t[3], TABLE_FLAGS)) == 0);
	CHECK_THAT(fake_touch(2, va(7, 0, 0, 0), true) && fake_touch(1, va(7, 0, 0, 0), true));
	CHECK_THAT(write_to(d1, r.t[4], 7, 0) == 0);
	CHECK_THAT(entry(copy[0], 7) == 0 && entry(copy[1], 7) == 0);
	CHECK_THAT(write_to(d1, r.t[4], 0, 0) == 0);
	tlb_flush(&d1->dirty_cpus);
	CHECK_THAT(!fake_touch(1, va(0, 0, 0, 0), false) && !fake_touch(2, va(0, 0, 0, 0), false));
	/* Another table of the same CPU, and back. */
	fake_load(2, d1, s.t[4]);
	CHECK_THAT(!pt_get(d1, s.t[4], PTYPE_L4, true) && !pt_put(d1, r.t[4], true));
	CHECK_THAT(fake_touch(2, va(0, 0, 0, 0), true) && mfn_eq(copy_of(2, s.t[4]), copy[1]));
	CHECK_THAT(write_to(d1, r.t[4], 3, pte(u.t[3], TABLE_FLAGS)) == 0); /* not CPU 2's */
	CHECK_THAT(entry(copy[1], 3) == 0 && entry(copy[0], 3) == entry(r.t[4], 3));
	audit();
	CHECK_THAT(fake_tlb_check() == 0);
}

/* A guest goes between its processes, and back to one whose copy is still there. */
static void few_copies(void)
{
	struct tree t[5];
	mfn_t copy[5];
	unsigned ready = 0;

	fake_set_cpu(1);
	for (unsigned i = 0; i < 5; i++) {
		t[i] = make_tree(d1);
		CHECK_THAT(pin(d1, t[i].t[4], PTYPE_L4) == 0);
	}
	CHECK_THAT(write_to(d1, t[0].t[4], SLOT, pte(t[0].t[4], LINEAR)) == 0);
	for (unsigned i = 0; i < 4; i++) {
		copy[i] = pt_root(d1, t[i].t[4], true, true);
		for (unsigned k = 0; k <= i; k++)
			CHECK_THAT(mfn_eq(pt_root_ready(d1, t[k].t[4], true, true), copy[k]) &&
			           (k == i || !mfn_eq(copy[k], copy[i])));
	}
	/* An entry that is written is in the copy of that L4 and in no other one, and all are made anew once. */
	CHECK_THAT(write_to(d1, t[1].t[4], 7, pte(t[2].t[3], TABLE_FLAGS)) == 0);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_THAT(entry(copy[i], 7) == entry(t[i].t[4], 7) && !entry(copy[i], 7) == (i != 1));
		CHECK_THAT(mfn_eq(pt_root_ready(d1, t[i].t[4], true, true), INVALID_MFN));
		CHECK_THAT(mfn_eq(pt_root(d1, t[i].t[4], true, true), copy[i]));
	}
	CHECK_THAT(write_to(d1, t[1].t[4], 7, 0) == 0 && !entry(copy[1], 7));
	for (unsigned i = 0; i < 4; i++)
		CHECK_THAT(mfn_eq(pt_root(d1, t[i].t[4], true, true), copy[i]));
	/* A fifth one takes the place of one, which says so. */
	copy[4] = pt_root(d1, t[4].t[4], true, true);
	for (unsigned i = 0; i < 4; i++) {
		mfn_t root = pt_root_ready(d1, t[i].t[4], true, true);

		CHECK_THAT(mfn_eq(root, mfn_eq(copy[i], copy[4]) ? INVALID_MFN : copy[i]));
		ready += !mfn_eq(root, INVALID_MFN);
	}
	CHECK_THAT(ready == 3);
	audit();
}

/* A build that comes to its first linear L4 entry behind the hypervisor's slots, which are there by then. */
static void late_in_a_build(void)
{
	struct tree r = make_tree(d1), s = make_tree(d1);

	load(1, s.t[4]);
	store(d1, r.t[4], 300, pte(r.t[4], LINEAR));
	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == -ERESTART_HV);
	CHECK_THAT(!slots_empty(r.t[4]));
	CHECK_THAT(pin(d1, r.t[4], PTYPE_L4) == 0);
	CHECK_THAT(slots_empty(r.t[4]));
	audit();
	/* dom0 does the same to a guest that runs. */
	fake_set_cpu(0);
	CHECK_THAT(write_to(d1, s.t[4], 301, pte(s.t[4], LINEAR)) == 0 && slots_empty(s.t[4]));
	fake_set_cpu(1);
	audit();
}

/* Every walk through linear entries, of one, two and three steps, to each of the hypervisor's slots ends there. */
static void hypervisor_slots(void)
{
	struct tree r = make_tree(d1), s = make_tree(d1);

	load(1, r.t[4]);
	CHECK_THAT(pin(d1, s.t[4], PTYPE_L4) == 0);
	for (unsigned slot = SLOT; slot < 512; slot += 300) { /* one in each half */
		CHECK_THAT(write_to(d1, r.t[4], slot, pte(r.t[4], LINEAR)) == 0);
		CHECK_THAT(write_to(d1, r.t[4], slot + 1, pte(s.t[4], LINEAR)) == 0);
		CHECK_THAT(fake_touch(1, va(slot, 0, 0, 0), false) &&
		           !fake_touch(1, va(slot, 0, 0, 0), true));
		CHECK_THAT(fake_touch(1, va(slot, slot, 0, 0), false) &&
		           fake_touch(1, va(slot, slot, slot, slot), false));
		CHECK_THAT(fake_touch(1, va(slot + 1, 0, 0, 0), false) &&
		           fake_touch(1, va(slot, slot + 1, 0, 0), false));
		for (unsigned h = HV_L4_FIRST; h <= HV_L4_LAST; h++)
			for (unsigned i = 0; i < 512; i += 73)
				for (unsigned n = slot; n < slot + 2; n++)
					CHECK_THAT(!fake_touch(1, va(n, h, i, i), false) &&
					           !fake_touch(1, va(n, slot, h, i), false) &&
					           !fake_touch(1, va(n, slot, slot, h), false));
	}
	CHECK_THAT(fake_tlb_check() == 0);
	audit();
}

static void compare_and_exchange(void)
{
	struct tree a = make_tree(d1), b = make_tree(d1);
	maddr_t at = MADDR(a.t[3].m << PAGE_SHIFT | SLOT * 8);
	uint64_t old = 1;

	CHECK_THAT(pin(d1, a.t[3], PTYPE_L3) == 0 && pin(d1, b.t[3], PTYPE_L3) == 0);
	CHECK_THAT(pt_entry_write(d1, d1, at, pte(b.t[3], LINEAR), PT_CMPXCHG, &old) == -EAGAIN && old == 0);
	CHECK_THAT(mfn_frame(b.t[3])->linear == 0 && types_of(b.t[3]) == 1);
	CHECK_THAT(pt_entry_write(d1, d1, at, pte(b.t[3], LINEAR), PT_CMPXCHG, &old) == 0);
	CHECK_THAT(mfn_frame(b.t[3])->linear == -1 && types_of(b.t[3]) == 2);
	old = pte(b.t[3], LINEAR);
	CHECK_THAT(pt_entry_write(d1, d1, at, pte(a.t[3], LINEAR), PT_CMPXCHG, &old) == 0);
	CHECK_THAT(mfn_frame(b.t[3])->linear == 0 && types_of(b.t[3]) == 1);
	audit();
}

/* The numbers of domains and frames come again: a copy of the domain before is none of the next. */
static void next_domain(void)
{
	struct tree r = make_tree(d1);
	mfn_t l4;

	load(1, r.t[4]);
	CHECK_THAT(write_to(d1, r.t[4], SLOT, pte(r.t[4], LINEAR)) == 0);
	finish();
	fresh();
	r = make_tree(d1);
	l4 = r.t[4];
	load(1, l4);
	CHECK_THAT(pt_entry_write(d1, d1, MADDR(l4.m << PAGE_SHIFT | SLOT * 8), pte(l4, LINEAR), PT_WRITE,
	                          NULL) == -ERESTART_HV);
	CHECK_THAT(!slots_empty(l4));
	CHECK_THAT(write_to(d1, l4, SLOT, pte(l4, LINEAR)) == 0);
	(void)copy_of(1, l4);
}

static void run(void (*fn)(void), const char *name)
{
	uint64_t free_before = heap_free_pages();

	good = true;
	fresh();
	fn();
	finish();
	CHECK_THAT(heap_free_pages() == free_before);
	tap_ok(good, name);
}

int main(void)
{
	tap_plan(12);
	fake_init(2048, 0);
	run(own_table, "an entry may name its own table, read-only, at each level, and holds nothing");
	run(depth,
	    "another table of the level: references, depth one, no write permission ever, released in turn");
	run(other_owner, "another domain's table, tables of other levels and what is none are refused");
	run(refused_build, "a build that is refused gives linear references back");
	run(preempted,
	    "builds and releases with linear entries are preempted, abandoned, and end with the domain");
	run(addresses, "no address in a linear map has an L1 entry that could be written");
	run(copies, "the first linear L4 entry waits until no CPU runs on an L4; copies follow their L4s");
	run(late_in_a_build, "a linear L4 entry behind the hypervisor's slots empties them");
	run(hypervisor_slots, "no walk through linear entries comes to the hypervisor's slots");
	run(compare_and_exchange, "a compare-and-exchange that fails gives the linear reference back");
	run(few_copies, "a CPU keeps copies of four L4s of each mode, and each follows its own L4");
	run(next_domain, "copies of a domain that is no more are nobody's");
	return tap_end();
}
