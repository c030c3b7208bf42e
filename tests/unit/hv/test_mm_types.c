/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Page types, entries and their life: one case per rule of docs/page-types.md. */
#include "mm/internal.h"
#include "hypercall/hypercall.h"
#include "hw/spec.h"
#include "fake/dom.h"
#include "../../lib/check.h"
#include "mm/boot.h"
#include "mm/heap.h"
#include "mm/perdomain.h"
#include "mm/ptype.h"
#include "mm/validate.h"
#include <xen/grant_table.h>
#include <xen/memory.h>

#define TABLE_FLAGS (PTE_P | PTE_RW | PTE_US | PTE_A)
#define VA_KERNEL   (0xffff000000000000 | 272ull << 39)

static struct domain_mm *d0, *d1, *d2;

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

static void put(unsigned at, const void *what, size_t n)
{
	memcpy(fake_guest + at, what, n);
}

static uint64_t entry(mfn_t table, unsigned index)
{
	return ((uint64_t *)mfn_map_own(table))[index];
}

static uint64_t pte(mfn_t mfn, uint64_t flags)
{
	return mfn.m << PAGE_SHIFT | flags;
}

struct tree {
	mfn_t t[5]; /* by level */
};

/* Four tables that map VA_KERNEL; not pinned. */
static struct tree make_tree(struct domain_mm *d)
{
	struct tree r;

	for (unsigned level = 1; level <= 4; level++)
		r.t[level] = frame_of(d);
	store(d, r.t[2], 0, pte(r.t[1], TABLE_FLAGS));
	store(d, r.t[3], 0, pte(r.t[2], TABLE_FLAGS));
	store(d, r.t[4], 272, pte(r.t[3], TABLE_FLAGS));
	return r;
}

/* Non-present entries that are not zero, so that a table takes a whole slice. */
static mfn_t full_table(struct domain_mm *d)
{
	mfn_t table = frame_of(d);

	for (unsigned i = 0; i < 512; i++)
		store(d, table, i, 0x200);
	return table;
}

static int write_to(struct domain_mm *d, struct domain_mm *owner, mfn_t table, unsigned index, uint64_t value)
{
	return pt_entry_write(d, owner, MADDR(table.m << PAGE_SHIFT | index * 8), value, PT_WRITE, NULL);
}

static enum ptype type_now(mfn_t mfn)
{
	bool pinned;

	return frame_type(mfn, &pinned);
}

static unsigned count_of(mfn_t mfn)
{
	return (unsigned)(mfn_frame(mfn)->count & COUNT_MASK);
}

static void destroy(struct domain_mm *d)
{
	while (domain_mm_relinquish(d) == -ERESTART_HV)
		;
}

static void fresh(void)
{
	static bool again;

	if (again) {
		for (unsigned i = 0; i < FAKE_DOMAINS; i++) {
			destroy(&fake_domains[i].mm);
			fake_load(i, NULL, INVALID_MFN);
			domain_mm_destroy(&fake_domains[i].mm);
		}
	}
	again = true;
	for (unsigned i = 0; i < FAKE_DOMAINS; i++) {
		fake_domain_create(i, 4096);
		fake_set_cpu(i);
		fake_load(i, &fake_domains[i].mm, INVALID_MFN);
		fake_set_vcpu(fake_vcpu(i, i));
	}
	fake_set_cpu(1);
	fake_preempt = 0;
	d0 = &fake_domains[0].mm;
	d1 = &fake_domains[1].mm;
	d2 = &fake_domains[2].mm;
	good = true;
}

/* ---- cases ---- */

static void pin_and_unpin(void)
{
	struct tree r = make_tree(d1);
	mfn_t page = frame_of(d1);

	store(d1, r.t[1], 3, pte(page, PTE_P | PTE_RW | PTE_G));
	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == 0);
	for (unsigned level = 1; level <= 4; level++)
		CHECK_THAT(type_now(r.t[level]) == (enum ptype)level);
	CHECK_THAT(type_now(page) == PTYPE_WRITABLE && count_of(page) == 2);
	CHECK_THAT(entry(r.t[1], 3) == pte(page, PTE_P | PTE_RW | PTE_US));
	CHECK_THAT(entry(r.t[4], 256) == entry(pt_idle_l4(), 256) &&
	           PTE_MFN(entry(r.t[4], 260)).m == d1->perdomain_l3.m);
	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == -EINVAL);
	CHECK_THAT(frame_get_type(r.t[1], d1, PTYPE_WRITABLE) == -EINVAL);
	CHECK_THAT(pt_unpin(d1, r.t[4]) == 0 && pt_unpin(d1, r.t[4]) == -EINVAL);
	for (unsigned level = 1; level <= 4; level++)
		CHECK_THAT(type_now(r.t[level]) == PTYPE_NONE && count_of(r.t[level]) == 1);
	CHECK_THAT(count_of(page) == 1 && entry(r.t[4], 256) == 0);
	store(d1, r.t[1], 0, 0);
	CHECK_THAT(type_now(r.t[1]) == PTYPE_NONE);
}

static void no_writable_table(void)
{
	struct tree r = make_tree(d1);

	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == 0);
	for (unsigned level = 1; level <= 4; level++) {
		CHECK_THAT(write_to(d1, d1, r.t[1], 1, pte(r.t[level], PTE_P | PTE_RW)) == -EBUSY);
		CHECK_THAT(write_to(d1, d1, r.t[1], 1, pte(r.t[level], PTE_P)) == 0);
		CHECK_THAT(write_to(d1, d1, r.t[1], 1, pte(r.t[level], PTE_P | PTE_RW)) == -EBUSY);
	}
	CHECK_THAT(write_to(d1, d1, r.t[1], 1, 0) == 0);
}

static void refused_build_is_undone(void)
{
	struct tree r = make_tree(d1);

	/* An L2 entry that names the L4: the L3 and L2 on the way are built already. */
	store(d1, r.t[2], 5, pte(r.t[4], TABLE_FLAGS));
	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == -EINVAL);
	for (unsigned level = 1; level <= 4; level++)
		store(d1, r.t[level], 500, 0);
	CHECK_THAT(count_of(r.t[1]) == 1 && count_of(r.t[4]) == 1);
	/* Linear tables: a table that names one of its own level, or itself. */
	store(d1, r.t[2], 5, 0);
	store(d1, r.t[4], 7, pte(r.t[4], TABLE_FLAGS));
	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == -EINVAL);
	store(d1, r.t[4], 7, 0);
	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == 0);
}

static void hypervisor_slots(void)
{
	struct tree r = make_tree(d1);

	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == 0);
	for (unsigned i = HV_L4_FIRST; i <= HV_L4_LAST; i++) {
		CHECK_THAT(write_to(d1, d1, r.t[4], i, pte(r.t[3], TABLE_FLAGS)) == -EINVAL);
		CHECK_THAT(write_to(d1, d1, r.t[4], i, 0) == -EINVAL);
	}
	CHECK_THAT(write_to(d1, d1, r.t[4], 255, pte(r.t[3], TABLE_FLAGS)) == 0);
	CHECK_THAT(pt_va_write(d1, d1, r.t[4], GVA(M2P_RO_BASE), 0) == -EINVAL);
}

static void entry_flags(void)
{
	struct tree r = make_tree(d1);
	mfn_t page = frame_of(d1);

	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == 0);
	CHECK_THAT(write_to(d1, d1, r.t[2], 1, pte(page, TABLE_FLAGS | PTE_PSE)) == -EINVAL);
	CHECK_THAT(write_to(d1, d1, r.t[3], 1, pte(page, TABLE_FLAGS | PTE_PSE)) == -EINVAL);
	CHECK_THAT(write_to(d1, d1, r.t[1], 1, pte(page, PTE_P | PTE_PCD)) == -EINVAL);
	CHECK_THAT(write_to(d1, d1, r.t[1], 1, pte(page, PTE_P | PTE_GRANT)) == -EINVAL);
	CHECK_THAT(write_to(d1, d1, r.t[1], 1, pte(MFN(1ull << 39), PTE_P)) == -EPERM);
	CHECK_THAT(write_to(d1, d1, r.t[1], 1, pte(page, PTE_P | PTE_NX | 1ull << 58 | 7ull << 9)) == 0);
	CHECK_THAT(entry(r.t[1], 1) == pte(page, PTE_P | PTE_US | PTE_NX | 1ull << 58 | 7ull << 9));
	CHECK_THAT(write_to(d1, d1, r.t[1], 1, pte(page, PTE_RW | 0xff0)) == 0); /* not present: any bits */
	CHECK_THAT(count_of(page) == 1);
}

static void accessed_and_dirty(void)
{
	struct tree r = make_tree(d1);
	mfn_t page = frame_of(d1);
	maddr_t at = MADDR(r.t[1].m << PAGE_SHIFT);
	uint64_t old;

	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == 0);
	CHECK_THAT(write_to(d1, d1, r.t[1], 0, pte(page, PTE_P | PTE_RW | PTE_A | PTE_D)) == 0);
	CHECK_THAT(pt_entry_write(d1, d1, at, pte(page, PTE_P), PT_WRITE_PRESERVE_AD, NULL) == 0);
	CHECK_THAT(entry(r.t[1], 0) == pte(page, PTE_P | PTE_US | PTE_A | PTE_D));
	old = pte(page, PTE_P | PTE_US);
	CHECK_THAT(pt_entry_write(d1, d1, at, 0, PT_CMPXCHG, &old) == -EAGAIN && old == entry(r.t[1], 0));
	CHECK_THAT(pt_entry_write(d1, d1, at, 0, PT_CMPXCHG, &old) == 0 && entry(r.t[1], 0) == 0);
	CHECK_THAT(count_of(page) == 1);
}

static void foreign_frames(void)
{
	struct tree r = make_tree(d0), own = make_tree(d1);
	mfn_t page = frame_of(d1);

	CHECK_THAT(pt_pin(d0, r.t[4], PTYPE_L4) == 0);
	CHECK_THAT(write_to(d0, d0, r.t[1], 0, pte(page, PTE_P)) == -EBUSY);
	CHECK_THAT(write_to(d0, d1, r.t[1], 0, pte(page, PTE_P)) == 0);
	/* Flags of the same frame: the right to write has to be asked of its owner again. */
	CHECK_THAT(write_to(d0, d0, r.t[1], 0, pte(page, PTE_P | PTE_RW)) == -EBUSY);
	CHECK_THAT(write_to(d0, d1, r.t[1], 0, pte(page, PTE_P | PTE_RW)) == 0 &&
	           type_now(page) == PTYPE_WRITABLE);
	CHECK_THAT(write_to(d0, d1, r.t[1], 0, 0) == 0 && count_of(page) == 1);
	/* Tables are nobody else's. */
	CHECK_THAT(write_to(d0, d1, r.t[2], 1, pte(own.t[1], TABLE_FLAGS)) == -EINVAL);
	CHECK_THAT(pt_pin(d0, own.t[1], PTYPE_L1) == -EINVAL);
}

static void foreign_writer_flushes(void)
{
	struct tree r = make_tree(d0);
	mfn_t page = frame_of(d1);

	CHECK_THAT(pt_pin(d0, r.t[4], PTYPE_L4) == 0);
	fake_load(0, d0, r.t[4]);
	CHECK_THAT(write_to(d0, d1, r.t[1], 0, pte(page, PTE_P | PTE_RW)) == 0);
	CHECK_THAT(fake_touch(0, VA_KERNEL, true));
	CHECK_THAT(write_to(d0, d1, r.t[1], 0, 0) == 0);
	/* CPU 0 runs another domain than the owner, and has the translation still. */
	CHECK_THAT(fake_touch(0, VA_KERNEL, true));
	CHECK_THAT(pt_pin(d1, page, PTYPE_L1) == 0);
	CHECK_THAT(fake_tlb_check() == 0 && !fake_touch(0, VA_KERNEL, true));
	fake_load(0, d0, INVALID_MFN);
}

static void flushed_once_is_enough(void)
{
	struct tree r = make_tree(d1);
	mfn_t page[8];
	unsigned before;

	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == 0);
	fake_load(1, d1, r.t[4]);
	for (unsigned i = 0; i < 8; i++) {
		page[i] = frame_of(d1);
		CHECK_THAT(write_to(d1, d1, r.t[1], i, pte(page[i], PTE_P | PTE_RW)) == 0);
		CHECK_THAT(fake_touch(1, VA_KERNEL + i * PAGE_SIZE, true));
	}
	for (unsigned i = 0; i < 8; i++)
		CHECK_THAT(write_to(d1, d1, r.t[1], i, 0) == 0);
	before = fake_flushes;
	for (unsigned i = 0; i < 8; i++)
		CHECK_THAT(pt_pin(d1, page[i], PTYPE_L1) == 0);
	CHECK_THAT(fake_flushes == before + 1 && fake_tlb_check() == 0);
	fake_load(1, d1, INVALID_MFN);
}

static void dropped_link_flushes(void)
{
	struct tree r = make_tree(d1);
	mfn_t page = frame_of(d1);

	store(d1, r.t[1], 0, pte(page, PTE_P | PTE_RW));
	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == 0);
	fake_load(1, d1, r.t[4]);
	CHECK_THAT(fake_touch(1, VA_KERNEL, true));
	CHECK_THAT(write_to(d1, d1, r.t[2], 0, 0) == 0);
	CHECK_THAT(type_now(r.t[1]) == PTYPE_NONE && type_now(page) == PTYPE_NONE);
	/* The table becomes an ordinary page: a processor that remembers it as a table would follow what we store. */
	store(d1, r.t[1], 0, pte(r.t[4], PTE_P | PTE_RW | PTE_US));
	CHECK_THAT(fake_tlb_check() == 0 && !fake_touch(1, VA_KERNEL, true));
	fake_load(1, d1, INVALID_MFN);
}

static void moved_frame_flushes(void)
{
	struct tree r = make_tree(d1);
	mfn_t page = frame_of(d1);

	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == 0);
	fake_load(1, d1, r.t[4]);
	CHECK_THAT(write_to(d1, d1, r.t[1], 0, pte(page, PTE_P)) == 0 && fake_touch(1, VA_KERNEL, false));
	CHECK_THAT(domain_frame_steal(d1, page) == -EINVAL);
	CHECK_THAT(write_to(d1, d1, r.t[1], 0, 0) == 0);
	CHECK_THAT(domain_frame_steal(d1, page) == 0 && domain_frame_steal(d1, page) == -EINVAL);
	CHECK_THAT(domain_frame_reserve(d2) == 0);
	domain_frame_return(d2, page);
	domain_frame_forget(d1);
	CHECK_THAT(fake_tlb_check() == 0 && frame_owner(page) == d2);
	fake_load(1, d1, INVALID_MFN);
}

static void freed_frame_is_cleared(void)
{
	struct tree r = make_tree(d1);
	mfn_t page = frame_of(d1), first = page;
	bool clean = true;

	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == 0);
	fake_load(1, d1, r.t[4]);
	CHECK_THAT(write_to(d1, d1, r.t[1], 0, pte(page, PTE_P | PTE_RW)) == 0 &&
	           fake_touch(1, VA_KERNEL, true));
	memset(mfn_map_own(page), 0xa5, PAGE_SIZE);
	CHECK_THAT(write_to(d1, d1, r.t[1], 0, 0) == 0);
	CHECK_THAT(domain_frame_release(d1, page) == 0 && domain_frame_release(d1, page) == -EINVAL);
	CHECK_THAT(m2p_get(page) == M2P_INVALID);
	/* CPU 1 has its translation of the free frame still; whoever gets the frame must not see it used. */
	for (unsigned i = 0; i < 32; i++) {
		first = frame_of(d2);
		clean &= entry(first, 0) == 0;
		if (mfn_eq(first, page))
			break;
	}
	CHECK_THAT(clean && mfn_eq(first, page) && fake_tlb_check() == 0);
	fake_load(1, d1, INVALID_MFN);
}

static void grants_and_what_takes_their_place(void)
{
	struct tree r = make_tree(d2);
	mfn_t page = frame_of(d1), third = frame_of(d1), own = frame_of(d2);
	uint64_t at = r.t[1].m << PAGE_SHIFT;

	CHECK_THAT(pt_pin(d2, r.t[4], PTYPE_L4) == 0);
	CHECK_THAT(write_to(d2, d2, r.t[1], 1, pte(own, PTE_P)) == 0);
	CHECK_THAT(frame_get_type(page, d1, PTYPE_WRITABLE) == 0);
	CHECK_THAT(pt_grant_map(d2, r.t[4], VA_KERNEL, page, 0) == GNTST_okay);
	CHECK_THAT(pt_grant_unmap(d2, r.t[4], at, page, GNTMAP_contains_pte, VA_KERNEL + PAGE_SIZE) !=
	           GNTST_okay);
	CHECK_THAT(pt_grant_unmap(d2, r.t[4], VA_KERNEL, page, GNTMAP_readonly, 0) != GNTST_okay);
	CHECK_THAT(pt_grant_unmap(d2, r.t[4], VA_KERNEL, own, 0, 0) != GNTST_okay);
	CHECK_THAT(pt_grant_unmap(d2, r.t[4], VA_KERNEL, page, 0, VA_KERNEL + PAGE_SIZE) == GNTST_okay);
	CHECK_THAT(entry(r.t[1], 0) == pte(own, PTE_P | PTE_US) && entry(r.t[1], 1) == 0 &&
	           count_of(own) == 2);
	CHECK_THAT(pt_grant_unmap(d2, r.t[4], VA_KERNEL, page, 0, 0) != GNTST_okay);
	frame_put_type(page);
	CHECK_THAT(count_of(page) == 1);
	/* Others in its place, a grant and an ordinary entry: nobody's reference is lost or found. */
	CHECK_THAT(frame_get_type(page, d1, PTYPE_WRITABLE) == 0 && frame_get(third, d1));
	CHECK_THAT(pt_grant_map(d2, r.t[4], VA_KERNEL, page, 0) == GNTST_okay);
	CHECK_THAT(pt_grant_map(d2, r.t[4], at, third, GNTMAP_contains_pte | GNTMAP_readonly) == GNTST_okay);
	CHECK_THAT(pt_grant_unmap(d2, r.t[4], VA_KERNEL, page, 0, 0) != GNTST_okay);
	CHECK_THAT(write_to(d2, d2, r.t[1], 0, pte(third, PTE_P)) ==
	           -EBUSY); /* flags of a frame that is not its own */
	CHECK_THAT(write_to(d2, d2, r.t[1], 0, pte(own, PTE_P | PTE_RW)) == 0 && count_of(own) == 2);
	CHECK_THAT(pt_grant_unmap(d2, r.t[4], at, third, GNTMAP_contains_pte | GNTMAP_readonly, 0) !=
	           GNTST_okay);
	CHECK_THAT(pt_grant_map(d2, r.t[4], VA_KERNEL, page, 0) == GNTST_okay && count_of(own) == 1);
	CHECK_THAT(pt_grant_unmap(d2, r.t[4], VA_KERNEL, page, 0, 0) == GNTST_okay);
	frame_put_type(page);
	frame_put(third);
	CHECK_THAT(count_of(page) == 1 && count_of(third) == 1);
	/* A table that is released under a grant mapping leaves the mapping's references alone. */
	CHECK_THAT(frame_get(page, d1));
	CHECK_THAT(pt_grant_map(d2, r.t[4], VA_KERNEL + 2 * PAGE_SIZE, page, GNTMAP_readonly) == GNTST_okay);
	CHECK_THAT(pt_unpin(d2, r.t[4]) == 0 && count_of(page) == 2);
	frame_put(page);
}

static void overflow_is_refused(void)
{
	struct tree r = make_tree(d1);
	mfn_t page = frame_of(d1);
	struct frame *f = mfn_frame(page);

	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == 0);
	CHECK_THAT(frame_get_type(page, d1, PTYPE_WRITABLE) == 0);
	f->type += TYPE_LIMIT - 1;
	CHECK_THAT(frame_get_type(page, d1, PTYPE_WRITABLE) == -EINVAL);
	CHECK_THAT(write_to(d1, d1, r.t[1], 0, pte(page, PTE_P | PTE_RW)) == -EBUSY && count_of(page) == 2);
	f->type -= TYPE_LIMIT - 1;
	f->count += COUNT_LIMIT - 2;
	CHECK_THAT(!frame_get(page, d1) && write_to(d1, d1, r.t[1], 0, pte(page, PTE_P)) == -EBUSY);
	f->count -= COUNT_LIMIT - 2;
	frame_put_type(page);
}

static void preempted_and_continued(void)
{
	struct tree r = make_tree(d1);
	unsigned slices = 0;
	int rc, other;

	for (unsigned i = 1; i < 20; i++)
		store(d1, r.t[2], i, pte(full_table(d1), TABLE_FLAGS));
	fake_preempt = 1;
	rc = pt_pin(d1, r.t[4], PTYPE_L4);
	CHECK_THAT(rc == -ERESTART_HV);
	/* Meanwhile the tables are neither writable nor of another type, and entries of unfinished ones do
	 * not change. */
	CHECK_THAT(frame_get_type(r.t[2], d1, PTYPE_WRITABLE) == -EINVAL &&
	           frame_get_type(r.t[4], d1, PTYPE_SEGDESC) == -EINVAL);
	CHECK_THAT(write_to(d1, d1, r.t[2], 0, 0) == -EINVAL);
	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L3) == -EINVAL);
	/* Another vcpu makes the same call; the two go on by turns and both come to an end. */
	do {
		other = pt_get(d1, r.t[4], PTYPE_L4, true);
		if (rc == -ERESTART_HV)
			rc = pt_pin(d1, r.t[4], PTYPE_L4);
	} while ((rc == -ERESTART_HV || other == -ERESTART_HV) && ++slices < 100);
	CHECK_THAT(rc == 0 && other == 0 && slices > 1 && count_of(r.t[4]) == 3);
	/* Release is sliced too, and any later call goes on with it. */
	CHECK_THAT(pt_put(d1, r.t[4], true) == 0 && pt_unpin(d1, r.t[4]) == 0 && d1->release_head);
	for (slices = 0; pt_drain(d1, true) == -ERESTART_HV && slices < 100; slices++)
		;
	CHECK_THAT(slices > 1 && slices < 100 && !d1->release_head && count_of(r.t[1]) == 1);
	fake_preempt = 0;
}

static void abandoned_build_goes_with_the_domain(void)
{
	struct tree r = make_tree(d1);
	int rc;

	fake_preempt = 1;
	for (unsigned i = 1; i < 5; i++)
		store(d1, r.t[2], i, pte(full_table(d1), TABLE_FLAGS));
	rc = pt_pin(d1, r.t[4], PTYPE_L4);
	CHECK_THAT(rc == -ERESTART_HV);
	destroy(d1);
	CHECK_THAT(d1->tot_pages == 0 && fake_holds[1] == 0);
	fake_preempt = 0;
}

static void foreign_reference_outlives_the_domain(void)
{
	struct tree r = make_tree(d0);
	mfn_t page = frame_of(d1);

	CHECK_THAT(pt_pin(d0, r.t[4], PTYPE_L4) == 0 &&
	           write_to(d0, d1, r.t[1], 0, pte(page, PTE_P | PTE_RW)) == 0);
	destroy(d1);
	CHECK_THAT(d1->tot_pages == 1 && fake_holds[1] == 1 && frame_owner(page) == d1);
	CHECK_THAT(write_to(d0, d1, r.t[1], 1, pte(page, PTE_P)) == -EBUSY);
	CHECK_THAT(write_to(d0, d1, r.t[1], 0, 0) == 0);
	CHECK_THAT(d1->tot_pages == 0 && fake_holds[1] == 0);
}

static void io_and_cacheability(void)
{
	struct tree r = make_tree(d1), z = make_tree(d0);
	mfn_t io = MFN(0xb8), page = frame_of(d0);

	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == 0 && pt_pin(d0, z.t[4], PTYPE_L4) == 0);
	CHECK_THAT(rangeset_add(&d0->iomem, 0xa0, 0xbf) == 0);
	CHECK_THAT(write_to(d1, d1, r.t[1], 0, pte(io, PTE_P | PTE_RW)) == -EPERM);
	CHECK_THAT(write_to(d1, NULL, r.t[1], 0, pte(io, PTE_P | PTE_RW)) == -EPERM);
	CHECK_THAT(write_to(d0, d0, z.t[1], 0, pte(io, PTE_P | PTE_RW | PTE_PCD)) == 0);
	CHECK_THAT(write_to(d0, NULL, z.t[1], 1, pte(io, PTE_P | PTE_RW)) == 0);
	CHECK_THAT(write_to(d0, d1, z.t[1], 2, pte(io, PTE_P | PTE_RW)) == -EPERM);
	CHECK_THAT(write_to(d0, d0, z.t[1], 2, pte(MFN(0x10), PTE_P)) == -EPERM);
	CHECK_THAT(write_to(d0, d0, z.t[1], 2, pte(page, PTE_P | PTE_PCD)) == -EINVAL);
	CHECK_THAT(write_to(d0, NULL, z.t[1], 2, pte(page, PTE_P)) == -EBUSY);
	CHECK_THAT(write_to(d0, d0, z.t[1], 2, pte(pt_idle_l4(), PTE_P)) == -EBUSY);
	/* A right that was taken away: what is mapped stays, but does not become writable. */
	CHECK_THAT(write_to(d0, d0, z.t[1], 3, pte(io, PTE_P)) == 0);
	CHECK_THAT(write_to(d0, d0, z.t[1], 3, pte(io, PTE_P | PTE_RW)) == 0 &&
	           write_to(d0, d0, z.t[1], 3, pte(io, PTE_P)) == 0);
	CHECK_THAT(rangeset_remove(&d0->iomem, io.m, io.m) == 0);
	CHECK_THAT(write_to(d0, d0, z.t[1], 3, pte(io, PTE_P | PTE_A)) == 0);
	CHECK_THAT(write_to(d0, d0, z.t[1], 3, pte(io, PTE_P | PTE_RW)) == -EPERM);
}

/* Registers of devices are never cached, whatever a domain says; firmware's memory is what it says. */
static void devices_are_never_cached(void)
{
	static const struct {
		uint64_t asked, got;
	} types[] = { { 0, PTE_PCD },
		      { PTE_PWT, PTE_PCD },
		      { PTE_PSE | PTE_PWT, PTE_PCD },
		      { PTE_PCD, PTE_PCD },
		      { PTE_PCD | PTE_PWT, PTE_PCD | PTE_PWT },
		      { PTE_PSE, PTE_PSE }, /* write combining */
		      { PTE_CACHE, PTE_CACHE } };
	uint64_t device = 0xfe000, firmware = 0xe0000;
	struct tree z = make_tree(d0);

	memory_map[memory_map_count++] = (struct memory_region){ .start = firmware << PAGE_SHIFT,
		                                                 .end = (firmware + 16) << PAGE_SHIFT,
		                                                 .type = 2 };
	CHECK_THAT(rangeset_add(&d0->iomem, firmware, device) == 0);
	store(d0, z.t[1], 3, pte(MFN(device), PTE_P | PTE_RW)); /* also where a table is built */
	CHECK_THAT(pt_pin(d0, z.t[4], PTYPE_L4) == 0);
	CHECK_THAT(entry(z.t[1], 3) == pte(MFN(device), PTE_P | PTE_RW | PTE_US | PTE_PCD));
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		uint64_t flags = PTE_P | PTE_US | (i & 1 ? PTE_RW : 0);

		CHECK_THAT(write_to(d0, d0, z.t[1], 0, pte(MFN(device), flags | types[i].asked)) == 0);
		CHECK_THAT(entry(z.t[1], 0) == pte(MFN(device), flags | types[i].got));
		/* The same again, other flags: no way round. */
		CHECK_THAT(write_to(d0, d0, z.t[1], 0, pte(MFN(device), (flags ^ PTE_RW) | types[i].asked)) ==
		           0);
		CHECK_THAT(entry(z.t[1], 0) == pte(MFN(device), (flags ^ PTE_RW) | types[i].got));
		CHECK_THAT(write_to(d0, d0, z.t[1], 1, pte(MFN(firmware + 1), flags | types[i].asked)) == 0);
		CHECK_THAT(entry(z.t[1], 1) == pte(MFN(firmware + 1), flags | types[i].asked));
	}
	memory_map_count--;
}

/* A toolstack's call that gives a domain memory, while another CPU destroys the domain. */
static void frames_on_their_way_to_a_dying_domain(void)
{
	uint64_t before = heap_free_pages();
	mfn_t page = frame_of(d1), other = frame_of(d1);

	CHECK_THAT(domain_frame_steal(d1, page) == 0);
	CHECK_THAT(domain_mm_relinquish(d1) == -ERESTART_HV && domain_mm_relinquish(d1) == -ERESTART_HV);
	/* Nothing new may begin any more; what has begun ends well. */
	CHECK_THAT(domain_frame_reserve(d1) == -EINVAL && domain_frame_steal(d1, other) == -EINVAL);
	CHECK_THAT(frame_owner(other) == d1 && d1->tot_pages == 2);
	domain_frame_return(d1, page);
	destroy(d1);
	CHECK_THAT(d1->tot_pages == 0 && fake_holds[1] == 0 && heap_free_pages() == before);
	CHECK_THAT(domain_frame_alloc(d2, 0, 0, &page) == 0 && domain_frame_reserve(d2) == 0);
	CHECK_THAT(domain_mm_relinquish(d2) == -ERESTART_HV);
	domain_frame_forget(d2);
	destroy(d2);
	CHECK_THAT(d2->tot_pages == 0 && heap_free_pages() == before);
}

static bool told_while_nobodys;

/* The other CPU, at any time: whoever owns a frame may give it away at once, and a third one may have it then. */
static void look_at_the_m2p(void)
{
	for (uint64_t mfn = FAKE_RAM_FIRST; mfn < max_mfn; mfn++)
		if (m2p_get(MFN(mfn)) == 0x1234 && !frame_owner(MFN(mfn)))
			told_while_nobodys = true;
}

static void m2p_before_the_owner(void)
{
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };
	struct hc_args a = { { XENMEM_populate_physmap, 0x100 } };
	xen_pfn_t pfn = 0x1234;

	r.extent_start.p = (void *)0x400;
	put(0x100, &r, sizeof(r));
	put(0x400, &pfn, sizeof(pfn));
	told_while_nobodys = false;
	fake_hook = look_at_the_m2p;
	CHECK_THAT(hc_memory_op(&a) == 1);
	fake_hook = NULL;
	CHECK_THAT(told_while_nobodys);
}

static void lowered_maximum_loses_nothing(void)
{
	struct xen_memory_exchange x = { .in = { .nr_extents = 2, .domid = DOMID_SELF },
		                         .out = { .nr_extents = 2, .domid = DOMID_SELF } };
	struct hc_args a = { { XENMEM_exchange, 0x100 } };
	mfn_t page[2] = { frame_of(d1), frame_of(d1) };
	xen_pfn_t list[2] = { page[0].m, page[1].m + max_mfn }, pfns[2] = { 7, 8 }, got;

	d1->max_pages = 1;
	x.in.extent_order = x.out.extent_order = 0;
	x.in.extent_start.p = (void *)0x400;
	x.out.extent_start.p = (void *)0x500;
	put(0x100, &x, sizeof(x));
	put(0x400, list, sizeof(list));
	put(0x500, pfns, sizeof(pfns));
	/* The first is exchanged although the domain has more than its maximum already; the second is no frame. */
	CHECK_THAT(hc_memory_op(&a) == -EINVAL && d1->tot_pages == 2);
	memcpy(&got, fake_guest + 0x500, sizeof(got));
	CHECK_THAT(frame_owner(MFN(got)) == d1 && m2p_get(MFN(got)) == 7 && frame_owner(page[1]) == d1);
	CHECK_THAT(domain_frame_steal(d1, page[1]) == 0);
	d1->max_pages = 0;
	domain_frame_return(d1, page[1]);
	CHECK_THAT(frame_owner(page[1]) == d1 && d1->tot_pages == 2 && fake_crashes == 0);
}

/* 2 MiB that are given back: at most 64 frames between looks at other work, and every frame once. */
static void large_extent_in_slices(void)
{
	struct xen_memory_reservation r = { .nr_extents = 2, .extent_order = 8, .domid = DOMID_SELF };
	struct hc_args a = { { XENMEM_decrease_reservation, 0x100 } };
	xen_pfn_t list[2];
	unsigned slices = 0;
	int64_t rc;
	mfn_t mfn;

	for (unsigned i = 0; i < 2; i++) {
		CHECK_THAT(domain_frame_alloc(d1, 8, 0, &mfn) == 0);
		list[i] = mfn.m;
	}
	r.extent_start.p = (void *)0x400;
	put(0x100, &r, sizeof(r));
	put(0x400, list, sizeof(list));
	fake_preempt = 1;
	do {
		uint64_t before = d1->tot_pages;

		rc = hc_memory_op(&a);
		CHECK_THAT(before - d1->tot_pages <= 64);
	} while (rc == -ERESTART_HV && ++slices < 100);
	fake_preempt = 0;
	CHECK_THAT(rc == 2 && slices == 7 && d1->tot_pages == 0);
	/* Progress that nobody made is no way out of the extent. */
	CHECK_THAT(domain_frame_alloc(d1, 0, 0, &mfn) == 0);
	for (unsigned bit = 32; bit < 64; bit++) {
		a = (struct hc_args){ { XENMEM_decrease_reservation | 1ull << bit, 0x100 } };
		r.nr_extents = 1;
		r.extent_order = 0;
		put(0x100, &r, sizeof(r));
		CHECK_THAT(hc_memory_op(&a) == 0 && d1->tot_pages == 1);
	}
}

static void l1tf(void)
{
	struct tree r = make_tree(d1), z = make_tree(d0);

	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == 0 && pt_pin(d0, z.t[4], PTYPE_L4) == 0);
	CHECK_THAT(d0->l1tf_exempt && d1->l1tf_exempt);
	d1->l1tf_exempt = false;
	CHECK_THAT(write_to(d1, d1, r.t[1], 0, 0x200) == 0 && write_to(d1, d1, r.t[1], 0, PTE_ADDR) == 0);
	CHECK_THAT(write_to(d1, d1, r.t[1], 0, (uint64_t)max_mfn << PAGE_SHIFT) == 0 && !d1->shadowed);
	CHECK_THAT(!entry_is_l1tf_unsafe(PTYPE_L1, 0xfff) && entry_is_l1tf_unsafe(PTYPE_L1, 0x1000));
	CHECK_THAT(entry_is_l1tf_unsafe(PTYPE_L2, PTE_PSE) && !entry_is_l1tf_unsafe(PTYPE_L1, PTE_PSE));
	CHECK_THAT(entry_is_l1tf_unsafe(PTYPE_L1, 1ull << 44 | 0x1000));
	/* An address beyond memory is safe, what the entry has besides or not. */
	CHECK_THAT(!entry_is_l1tf_unsafe(PTYPE_L1, (uint64_t)max_mfn << PAGE_SHIFT | 0xffe));
	CHECK_THAT(write_to(d0, d0, z.t[1], 0, pte(z.t[1], 0)) == 0 && !d0->shadowed);
}

static void shared_frames(void)
{
	struct tree r = make_tree(d1);
	mfn_t rw = share_alloc(d1, true), ro = share_alloc(d1, false);

	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == 0);
	CHECK_THAT(write_to(d1, d1, r.t[1], 0, pte(rw, PTE_P | PTE_RW)) == 0);
	CHECK_THAT(write_to(d1, d1, r.t[1], 1, pte(ro, PTE_P | PTE_RW)) == -EBUSY);
	CHECK_THAT(write_to(d1, d1, r.t[1], 1, pte(ro, PTE_P)) == 0);
	CHECK_THAT(pt_pin(d1, rw, PTYPE_L1) == -EINVAL && pt_pin(d1, ro, PTYPE_L1) == -EINVAL);
	CHECK_THAT(domain_frame_release(d1, rw) == -EINVAL && domain_frame_steal(d1, ro) == -EINVAL);
	share_free(rw);
	share_free(ro);
	CHECK_THAT(d1->shared_count == 2);
	CHECK_THAT(write_to(d1, d1, r.t[1], 0, 0) == 0 && write_to(d1, d1, r.t[1], 1, 0) == 0 &&
	           d1->shared_count == 0);
}

static void descriptors(void)
{
	mfn_t gdt = frame_of(d1);
	uint64_t kernel_code = 0x00af9b000000ffff, call_gate = 0x0000ec0000100000, tss = 0x00008b0000000067;

	store(d1, gdt, 2, kernel_code);
	CHECK_THAT(frame_get_type(gdt, d1, PTYPE_SEGDESC) == 0 &&
	           frame_get_type(gdt, d1, PTYPE_SEGDESC) == 0);
	CHECK_THAT(entry(gdt, 2) == (kernel_code | 3ull << 45));
	CHECK_THAT(frame_get_type(gdt, d1, PTYPE_WRITABLE) == -EINVAL &&
	           pt_pin(d1, gdt, PTYPE_L1) == -EINVAL);
	frame_put_type(gdt);
	frame_put_type(gdt);
	store(d1, gdt, 3, call_gate);
	CHECK_THAT(frame_get_type(gdt, d1, PTYPE_SEGDESC) == -EINVAL && count_of(gdt) == 1);
	store(d1, gdt, 3, tss);
	CHECK_THAT(frame_get_type(gdt, d1, PTYPE_SEGDESC) == -EINVAL);
	store(d1, gdt, 3, tss & ~(1ull << 47));
	CHECK_THAT(frame_get_type(gdt, d1, PTYPE_SEGDESC) == 0);
	frame_put_type(gdt);
}

static void window(void)
{
	mfn_t gdt = frame_of(d1);

	CHECK_THAT(perdomain_map(d1, 3, PERDOMAIN_VCPU_PAGES, gdt, true) == -EINVAL);
	CHECK_THAT(mfn_eq(perdomain_lookup(d1, 127, 31), INVALID_MFN));
	CHECK_THAT(perdomain_map(d1, 127, 31, gdt, true) == 0 && mfn_eq(perdomain_lookup(d1, 127, 31), gdt));
	CHECK_THAT(mfn_eq(perdomain_lookup(d1, 127, 30), INVALID_MFN));
	CHECK_THAT(perdomain_map(d1, 127, 31, INVALID_MFN, false) == 0 &&
	           mfn_eq(perdomain_lookup(d1, 127, 31), INVALID_MFN));
}

/* ---- hypercalls ---- */

static void done_count_is_exact(void)
{
	struct tree r = make_tree(d1);
	mfn_t page = frame_of(d1);
	struct hc_args a = { { 0x100, 80, 0x80, DOMID_SELF } };
	uint32_t done;
	unsigned calls = 0;
	int64_t rc;

	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == 0);
	for (unsigned i = 0; i < 80; i++) {
		struct mmu_update u = { r.t[1].m << PAGE_SHIFT | i * 8,
			                pte(i == 70 ? r.t[1] : page, PTE_P | PTE_RW) };

		put(0x100 + i * sizeof(u), &u, sizeof(u));
	}
	fake_preempt = 1;
	do {
		rc = hc_mmu_update(&a);
		calls++;
	} while (rc == -ERESTART_HV && calls < 100);
	memcpy(&done, fake_guest + 0x80, sizeof(done));
	CHECK_THAT(rc == -EBUSY && done == 70 && calls == 3 && count_of(page) == 71);
	fake_preempt = 0;
	a = (struct hc_args){ { sizeof(fake_guest) - 5 * sizeof(struct mmu_update), 9, 0x80, DOMID_SELF } };
	for (unsigned i = 0; i < 5; i++) {
		struct mmu_update u = { r.t[1].m << PAGE_SHIFT | i * 8, 0 };

		put(sizeof(fake_guest) - (5 - i) * sizeof(u), &u, sizeof(u));
	}
	rc = hc_mmu_update(&a);
	memcpy(&done, fake_guest + 0x80, sizeof(done));
	CHECK_THAT(rc == -EFAULT && done == 5 && count_of(page) == 66);
}

/* What a guest's fork does: it fills a new table that it still has mapped, gives the mapping up, and links
 * it. */
static void words_of_ordinary_pages_in_a_run(void)
{
	struct tree r = make_tree(d1);
	mfn_t table = frame_of(d1), page = frame_of(d1), foreign = frame_of(d2);
	uint64_t l1 = r.t[1].m << PAGE_SHIFT;
	struct mmu_update u[] = {
		{ table.m << PAGE_SHIFT | 3 * 8, pte(page, PTE_P | PTE_RW) },
		{ table.m << PAGE_SHIFT | 4 * 8, pte(page, PTE_P) },
		{ l1 | 6 * 8, pte(page, PTE_P) },
		{ table.m << PAGE_SHIFT | 511 * 8, 0x200 },
		{ l1 | 5 * 8, 0 },
		{ r.t[2].m << PAGE_SHIFT | 1 * 8, pte(table, TABLE_FLAGS) },
		{ table.m << PAGE_SHIFT | 4 * 8, 0 },
		{ foreign.m << PAGE_SHIFT, 1 },
	};
	struct hc_args a = { { 0x100, 8, 0x80, DOMID_SELF } };
	uint32_t done;

	CHECK_THAT(pt_pin(d1, r.t[4], PTYPE_L4) == 0);
	CHECK_THAT(write_to(d1, d1, r.t[1], 5, pte(table, PTE_P | PTE_RW)) == 0);
	put(0x100, u, sizeof(u));
	CHECK_THAT(hc_mmu_update(&a) == -EINVAL);
	memcpy(&done, fake_guest + 0x80, sizeof(done));
	CHECK_THAT(done == 7 && type_now(table) == PTYPE_L1);
	CHECK_THAT(entry(table, 3) == pte(page, PTE_P | PTE_RW | PTE_US) && !entry(table, 4) &&
	           entry(table, 511) == 0x200);
	CHECK_THAT(count_of(page) == 3 && count_of(table) == 2 && count_of(foreign) == 1 &&
	           !entry(foreign, 0));
	/* A page that is mapped nowhere is written, too; a table's A and D bits are kept in tables only. */
	u[0] = (struct mmu_update){ page.m << PAGE_SHIFT | MMU_PT_UPDATE_PRESERVE_AD, 1 };
	put(0x100, u, sizeof(u[0]));
	a = (struct hc_args){ { 0x100, 1, 0x80, DOMID_SELF } };
	CHECK_THAT(hc_mmu_update(&a) == -EINVAL && !entry(page, 0));
	CHECK_THAT(write_to(d1, d1, r.t[1], 6, 0) == 0 && write_to(d1, d1, table, 3, 0) == 0);
	u[0].ptr = page.m << PAGE_SHIFT;
	put(0x100, u, sizeof(u[0]));
	CHECK_THAT(hc_mmu_update(&a) == 0 && entry(page, 0) == 1 && count_of(page) == 1);
}

static void who_may_name_whom(void)
{
	mfn_t page = frame_of(d2);
	struct mmu_update u = { page.m << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, 0x1234 };
	struct hc_args a = { { 0x100, 1, 0, 2 } }, b = { { 0x100, 1, 0, (2 + 1) << 16 | DOMID_SELF } };

	put(0x100, &u, sizeof(u));
	CHECK_THAT(hc_mmu_update(&a) == -EPERM && hc_mmu_update(&b) == -EPERM);
	fake_set_cpu(0);
	CHECK_THAT(hc_mmu_update(&a) == 0 && m2p_get(page) == 0x1234);
	a.arg[3] = 77;
	CHECK_THAT(hc_mmu_update(&a) == -ESRCH);
	fake_set_cpu(1);
}

static void base_pointers(void)
{
	struct tree r = make_tree(d1), s = make_tree(d1);
	struct mmuext_op op[3] = { { .cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = r.t[4].m },
		                   { .cmd = MMUEXT_NEW_BASEPTR, .arg1.mfn = r.t[4].m },
		                   { .cmd = MMUEXT_NEW_USER_BASEPTR, .arg1.mfn = s.t[4].m } };
	struct hc_args a = { { 0x100, 3, 0, DOMID_SELF } };
	struct vcpu *v = current_vcpu();

	put(0x100, op, sizeof(op));
	CHECK_THAT(hc_mmuext_op(&a) == 0);
	CHECK_THAT(mfn_eq(v->l4_kernel, r.t[4]) && mfn_eq(v->l4_user, s.t[4]) &&
	           mfn_eq(fake_loaded(1), r.t[4]));
	CHECK_THAT(mfn_eq(fake_offered[0], s.t[4]) && mfn_eq(fake_offered[1], r.t[4]));
	CHECK_THAT(count_of(r.t[4]) == 3 && count_of(s.t[4]) == 2);
	op[0] = (struct mmuext_op){ .cmd = MMUEXT_NEW_USER_BASEPTR };
	op[1] = (struct mmuext_op){ .cmd = MMUEXT_NEW_BASEPTR, .arg1.mfn = r.t[3].m };
	put(0x100, op, sizeof(op));
	a = (struct hc_args){ { 0x100, 2, 0x80, DOMID_SELF } };
	CHECK_THAT(hc_mmuext_op(&a) == -EINVAL && fake_guest[0x80] == 1);
	CHECK_THAT(mfn_eq(v->l4_user, INVALID_MFN) && type_now(s.t[4]) == PTYPE_NONE &&
	           mfn_eq(v->l4_kernel, r.t[4]));
	CHECK_THAT(mfn_eq(fake_offered[0], INVALID_MFN) && mfn_eq(fake_offered[1], r.t[4]));
	op[0] = (struct mmuext_op){ .cmd = MMUEXT_NEW_BASEPTR, .arg1.mfn = s.t[4].m };
	put(0x100, op, sizeof(op));
	a = (struct hc_args){ { 0x100, 1, 0, DOMID_SELF } };
	CHECK_THAT(hc_mmuext_op(&a) == 0 && mfn_eq(fake_offered[1], s.t[4]));
	fake_load(1, d1, INVALID_MFN);
	CHECK_THAT(pt_put(d1, v->l4_kernel, false) == 0);
	v->l4_kernel = INVALID_MFN;
}

/* No number that a guest passes stands for "none", whatever our own code uses for that. */
static void guest_numbers_are_no_sentinels(void)
{
	static const uint64_t edges[] = { ~0ull,      ~0ull >> 1, 1ull << 63, ~0ull >> 12, 1ull << 52,
		                          1ull << 40, 0xffffffff, 1ull << 32, ~0ull - 1,   0 };
	struct tree r = make_tree(d1);
	struct mmuext_op op = { .cmd = MMUEXT_NEW_BASEPTR, .arg1.mfn = r.t[4].m };
	struct hc_args a = { { 0x100, 1, 0, DOMID_SELF } };
	struct vcpu *v = current_vcpu();
	struct xen_memory_reservation res = { .nr_extents = 1, .extent_order = 2, .domid = DOMID_SELF };
	xen_pfn_t pfn = ~0ull, first;
	domid_t self = DOMID_SELF;

	put(0x100, &op, sizeof(op));
	CHECK_THAT(hc_mmuext_op(&a) == 0 && mfn_eq(v->l4_kernel, r.t[4]));
	for (unsigned user = 0; user < 2; user++)
		for (unsigned i = 0; i < ARRAY_SIZE(edges); i++) {
			if (user && !edges[i])
				continue; /* no user tables: Xen's ABI */
			op = (struct mmuext_op){ .cmd = user ? MMUEXT_NEW_USER_BASEPTR : MMUEXT_NEW_BASEPTR,
				                 .arg1.mfn = edges[i] };
			put(0x100, &op, sizeof(op));
			a = (struct hc_args){ { 0x100, 1, 0, DOMID_SELF } };
			CHECK_THAT(hc_mmuext_op(&a) == -EINVAL);
			CHECK_THAT(mfn_eq(v->l4_kernel, r.t[4]) && mfn_eq(fake_loaded(1), r.t[4]) &&
			           mfn_eq(v->l4_user, INVALID_MFN));
		}
	/* The one that is loaded already: no reference comes or goes. */
	op = (struct mmuext_op){ .cmd = MMUEXT_NEW_BASEPTR, .arg1.mfn = r.t[4].m };
	put(0x100, &op, sizeof(op));
	CHECK_THAT(hc_mmuext_op(&a) == 0 && count_of(r.t[4]) == 2);
	fake_load(1, d1, INVALID_MFN);
	CHECK_THAT(pt_put(d1, v->l4_kernel, false) == 0);
	v->l4_kernel = INVALID_MFN;
	/* Frames at a pfn that looks like "no pfn": the guest gets what it asked for. */
	res.extent_start.p = (void *)0x400;
	put(0x200, &res, sizeof(res));
	put(0x400, &pfn, sizeof(pfn));
	a = (struct hc_args){ { XENMEM_populate_physmap, 0x200 } };
	CHECK_THAT(hc_memory_op(&a) == 1);
	memcpy(&first, fake_guest + 0x400, sizeof(first));
	CHECK_THAT(m2p_get(MFN(first)) == ~0ull && m2p_get(MFN(first + 1)) == 0 &&
	           m2p_get(MFN(first + 3)) == 2);
	/* A number that the guest wrote is no restart for whoever asks. */
	put(0x80, &self, sizeof(self));
	current_domain()->shared_info->arch.max_pfn = (uint64_t)(1 - ERESTART_HV);
	a = (struct hc_args){ { XENMEM_maximum_gpfn, 0x80 } };
	CHECK_THAT(hc_memory_op(&a) == (1ll << 40) - 1);
}

static void reservations(void)
{
	struct xen_memory_reservation r = { .nr_extents = 4, .extent_order = 1, .domid = DOMID_SELF };
	struct hc_args a = { { XENMEM_populate_physmap, 0x100 } };
	xen_pfn_t list[4] = { 100, 200, 300, 400 };

	d1->max_pages = 6;
	r.extent_start.p = (void *)0x400;
	put(0x100, &r, sizeof(r));
	put(0x400, list, sizeof(list));
	fake_preempt = 1;
	while (hc_memory_op(&a) == -ERESTART_HV)
		;
	fake_preempt = 0;
	a.arg[0] = XENMEM_current_reservation;
	put(0x80, &r.domid, sizeof(r.domid));
	a.arg[1] = 0x80;
	CHECK_THAT(hc_memory_op(&a) == 6); /* three of four extents: then max_pages was reached */
	memcpy(list, fake_guest + 0x400, sizeof(list));
	CHECK_THAT(list[3] == 400 && m2p_get(MFN(list[1])) == 200 && m2p_get(MFN(list[1] + 1)) == 201);
	a = (struct hc_args){ { XENMEM_decrease_reservation, 0x100 } };
	r.nr_extents = 3;
	put(0x100, &r, sizeof(r));
	CHECK_THAT(hc_memory_op(&a) == 3 && d1->tot_pages == 0);
	CHECK_THAT(hc_memory_op(&a) == 0);
	r.extent_order = 10;
	put(0x100, &r, sizeof(r));
	CHECK_THAT(hc_memory_op(&a) == 0);
}

static void exchange(void)
{
	struct xen_memory_exchange x = { .in = { .nr_extents = 8, .domid = DOMID_SELF },
		                         .out = { .nr_extents = 1, .extent_order = 3, .domid = DOMID_SELF } };
	struct hc_args a = { { XENMEM_exchange, 0x100 } };
	xen_pfn_t list[8], pfn = 0x800, got;

	d1->max_pages = 8;
	for (unsigned i = 0; i < 8; i++)
		list[i] = frame_of(d1).m;
	x.in.extent_start.p = (void *)0x400;
	x.out.extent_start.p = (void *)0x500;
	put(0x100, &x, sizeof(x));
	put(0x400, list, sizeof(list));
	put(0x500, &pfn, sizeof(pfn));
	CHECK_THAT(frame_get(MFN(list[5]), d1));
	CHECK_THAT(hc_memory_op(&a) == -EINVAL && d1->tot_pages == 8 && frame_owner(MFN(list[0])) == d1);
	frame_put(MFN(list[5]));
	CHECK_THAT(hc_memory_op(&a) == 0 && d1->tot_pages == 8);
	memcpy(&got, fake_guest + 0x500, sizeof(got));
	memcpy(&x, fake_guest + 0x100, sizeof(x));
	CHECK_THAT(x.nr_exchanged == 8 && got % 8 == 0 && m2p_get(MFN(got + 7)) == 0x807 &&
	           frame_owner(MFN(got + 7)) == d1);
	x.out.nr_extents = 2;
	x.nr_exchanged = 0;
	put(0x100, &x, sizeof(x));
	CHECK_THAT(hc_memory_op(&a) == -EINVAL);
}

static void claims(void)
{
	uint64_t all = heap_spare_pages();
	mfn_t mfn;

	d1->max_pages = d2->max_pages = all * 2;
	CHECK_THAT(heap_claim(d1, all - 20) == 0 && heap_claimed_pages() == all - 20);
	CHECK_THAT(heap_claim(d2, 100) == -ENOMEM && heap_claim(d2, all * 3) == -EINVAL);
	CHECK_THAT(domain_frame_alloc(d2, 5, 0, &mfn) == -ENOMEM && d2->tot_pages == 0);
	CHECK_THAT(domain_frame_alloc(d1, 5, 0, &mfn) == 0 && heap_claimed_pages() == all - 20 - 32);
	CHECK_THAT(heap_claim(d1, 0) == 0 && heap_claimed_pages() == 0);
	CHECK_THAT(heap_claim(d2, 100) == 0 && heap_claimed_pages() == 100);
	destroy(d2);
	CHECK_THAT(heap_claimed_pages() == 0);
	/* Nobody would give it back: what is dying has given up its claims, and makes no more. */
	CHECK_THAT(heap_claim(d2, 100) == -EINVAL && heap_claimed_pages() == 0 && heap_claim(d2, 0) == 0);
}

static const struct {
	const char *name;
	void (*fn)(void);
} cases[] = {
	{ "pin types a whole tree, unpin gives everything back", pin_and_unpin },
	{ "no writable mapping of a table", no_writable_table },
	{ "a refused build is undone, also of linear tables", refused_build_is_undone },
	{ "the hypervisor's L4 slots are out of reach", hypervisor_slots },
	{ "flags of entries", entry_flags },
	{ "accessed and dirty bits, compare-and-exchange", accessed_and_dirty },
	{ "foreign frames need their owner's name", foreign_frames },
	{ "a foreign writer is flushed before the frame becomes a table", foreign_writer_flushes },
	{ "one flush serves all frames that were unmapped before it", flushed_once_is_enough },
	{ "a dropped table is forgotten before it is written", dropped_link_flushes },
	{ "a frame that moves to another domain is forgotten first", moved_frame_flushes },
	{ "a freed frame comes back clear", freed_frame_is_cleared },
	{ "grant mappings and what takes their place", grants_and_what_takes_their_place },
	{ "counts do not overflow", overflow_is_refused },
	{ "building and releasing are preempted and continued by anybody", preempted_and_continued },
	{ "an abandoned build goes with the domain", abandoned_build_goes_with_the_domain },
	{ "a foreign mapping outlives the owner's death", foreign_reference_outlives_the_domain },
	{ "memory-mapped I/O and cacheability", io_and_cacheability },
	{ "registers of devices are never cached", devices_are_never_cached },
	{ "frames on their way to a domain that dies", frames_on_their_way_to_a_dying_domain },
	{ "a maximum that was lowered loses no frame", lowered_maximum_loses_nothing },
	{ "a large extent is given back in slices", large_extent_in_slices },
	{ "the M2P is written before a frame has its owner", m2p_before_the_owner },
	{ "non-present entries on a processor with L1TF", l1tf },
	{ "shared frames of the hypervisor", shared_frames },
	{ "descriptors", descriptors },
	{ "the per-domain window", window },
	{ "mmu_update counts exactly, also across preemption and faults", done_count_is_exact },
	{ "a run of updates mixes entries of tables and words of pages", words_of_ordinary_pages_in_a_run },
	{ "unprivileged domains name nobody else", who_may_name_whom },
	{ "base pointers of kernel and user", base_pointers },
	{ "no number of a guest's is one of our sentinels", guest_numbers_are_no_sentinels },
	{ "reservations grow and shrink in slices", reservations },
	{ "exchange of frames for contiguous ones", exchange },
	{ "claims set memory aside", claims },
};

int main(void)
{
	uint64_t free_before;

	tap_plan(ARRAY_SIZE(cases) + 1);
	fake_init(2048, 0);
	free_before = heap_free_pages();
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		fresh();
		cases[i].fn();
		CHECK_THAT(fake_tlb_check() == 0);
		tap_ok(good, cases[i].name);
	}
	fresh();
	tap_ok(heap_free_pages() == free_before, "all memory is back");
	return tap_end();
}
