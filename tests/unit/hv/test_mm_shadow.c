/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shadow page tables and the dirty log, one case per rule of docs/page-types.md. test_mm_random drives them by chance.
 */
#include "dom/grant.h"
#include "hw/rflags.h"
#include "hw/spec.h"
#include "hw/tlb.h"
#include "hypercall/hypercall.h"
#include "mm/dirtylog.h"
#include "mm/heap.h"
#include "mm/internal.h"
#include "mm/l4copy.h"
#include "mm/perdomain.h"
#include "mm/ptype.h"
#include "mm/shadow.h"
#include "fake/dom.h"
#include "../../lib/check.h"

#define FLAGS  (PTE_P | PTE_RW | PTE_US)
#define TABLES 60 /* L1 tables of a large tree, more than the pool has pages for */

static struct domain_mm *d0, *d1;
static unsigned next_pfn;

static mfn_t frame_of(struct domain_mm *d)
{
	mfn_t mfn = INVALID_MFN;

	if (domain_frame_alloc(d, 0, 0, &mfn))
		abort();
	m2p_set(mfn, next_pfn++);
	return mfn;
}

static uint64_t *words(mfn_t mfn)
{
	return mfn_map_own(mfn);
}

static void store(struct domain_mm *d, mfn_t mfn, unsigned index, uint64_t value)
{
	if (frame_get_type(mfn, d, PTYPE_WRITABLE))
		abort();
	words(mfn)[index] = value;
	frame_put_type(mfn);
}

static uint64_t pte(mfn_t mfn, uint64_t flags)
{
	return mfn.m << PAGE_SHIFT | flags;
}

static int write_to(mfn_t table, unsigned index, uint64_t value)
{
	return pt_entry_write(d1, d1, MADDR(table.m << PAGE_SHIFT | index * 8), value, PT_WRITE, NULL);
}

static bool marked(mfn_t mfn)
{
	uint64_t pfn = m2p_get(mfn);

	return dirty_log_word(d1, pfn & ~63ull, false) >> pfn % 64 & 1;
}

static void with_vcpus_off(void (*fn)(void))
{
	mfn_t l4[FAKE_CPUS];

	for (unsigned cpu = 1; cpu < 3; cpu++) {
		l4[cpu] = fake_loaded(cpu);
		fake_load(cpu, d1, INVALID_MFN);
	}
	fn();
	for (unsigned cpu = 1; cpu < 3; cpu++)
		fake_load(cpu, d1, l4[cpu]);
}

static void on(void)
{
	dirty_log_start(d1);
	shadow_start(d1);
}

static void off(void)
{
	shadow_stop(d1);
	dirty_log_stop(d1);
}

static void clear(void)
{
	shadow_protect(d1);
	for (uint64_t pfn = 0; pfn < dirty_log_limit(d1); pfn += 64)
		(void)dirty_log_word(d1, pfn, true);
}

/* One tree, whose L1 table maps pages at 0 (written before: A, D), 1 (as new), 2 (not for writing), 3 (not for executing). */
static struct tree {
	mfn_t t[5], page[4];
} tree;

static void fresh(bool log)
{
	static const uint64_t flags[4] = { FLAGS | PTE_A | PTE_D, FLAGS, PTE_P | PTE_US, FLAGS | PTE_NX };

	next_pfn = 100;
	for (unsigned i = 0; i < 2; i++)
		fake_domain_create(i, 4096);
	d0 = &fake_domains[0].mm;
	d1 = &fake_domains[1].mm;
	for (unsigned level = 1; level <= 4; level++)
		tree.t[level] = frame_of(d1);
	for (unsigned i = 0; i < 4; i++) {
		tree.page[i] = frame_of(d1);
		store(d1, tree.t[1], i, pte(tree.page[i], flags[i]));
	}
	for (unsigned level = 2; level <= 4; level++)
		store(d1, tree.t[level], 0, pte(tree.t[level - 1], FLAGS));
	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++) {
		fake_set_cpu(cpu);
		fake_load(cpu, cpu == 0 ? d0 : cpu < 3 ? d1 : NULL, INVALID_MFN);
		fake_set_vcpu(fake_vcpu(cpu, cpu != 0));
	}
	fake_set_cpu(1);
	CHECK_THAT(pt_pin(d1, tree.t[4], PTYPE_L4) == 0);
	fake_load(1, d1, tree.t[4]);
	fake_load(2, d1, tree.t[4]);
	if (!log)
		return;
	CHECK_THAT(dirty_log_make(d1, 1000) == 0);
	CHECK_THAT(shadow_set_pool(d1, 64) == 0 && shadow_pool(d1) == 64);
	with_vcpus_off(clear);
	with_vcpus_off(on);
	CHECK_THAT(d1->shadowed && d1->l4_copied && dirty_logs == 1);
}

static void finish(void)
{
	int rc;

	spec_policy.l1tf_domu = false;

	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++)
		fake_load(cpu, NULL, INVALID_MFN);
	for (unsigned i = 0; i < 2; i++) {
		while ((rc = domain_mm_relinquish(&fake_domains[i].mm)) == -ERESTART_HV)
			;
		CHECK_THAT(!rc && !fake_domains[i].mm.tot_pages);
		domain_mm_destroy(&fake_domains[i].mm);
	}
	CHECK_THAT(!dirty_logs && !fake_tlb_check());
}

/* ---- cases ---- */

static void stores(void)
{
	CHECK_THAT(!marked(tree.page[0]) && !marked(tree.page[1]));
	CHECK_THAT(fake_touch(1, 0x0, false) && !marked(tree.page[0]));
	CHECK_THAT(fake_touch(1, 0x0, true) && marked(tree.page[0]));
	CHECK_THAT(fake_touch(2, 0x1000, true) && marked(tree.page[1]));
	with_vcpus_off(clear);
	CHECK_THAT(!marked(tree.page[0]) && !marked(tree.page[1]));
	CHECK_THAT(fake_touch(1, 0x1000, false) && !marked(tree.page[1]));
	CHECK_THAT(fake_touch(1, 0x1000, true) && marked(tree.page[1]) && !marked(tree.page[0]));
	CHECK_THAT(!fake_touch(1, 0x2000, true) && fake_touch(1, 0x2000, false) && !marked(tree.page[2]));
	verdict("a store marks its page, once more after the log is cleared; what only is read is not marked");
}

static void bits(void)
{
	CHECK_THAT(!(words(tree.t[4])[0] & PTE_A) && !(words(tree.t[1])[1] & PTE_A));
	CHECK_THAT(fake_touch(1, 0x1000, false));
	for (unsigned level = 1; level <= 4; level++)
		CHECK_THAT(words(tree.t[level])[level == 1] & PTE_A);
	CHECK_THAT(!(words(tree.t[1])[1] & PTE_D) && marked(tree.t[1]) && marked(tree.t[4]));
	CHECK_THAT(fake_touch(1, 0x1000, true) && (words(tree.t[1])[1] & PTE_D));
	/* The guest takes the bits away, flushes, and finds them again after the next access. */
	CHECK_THAT(write_to(tree.t[1], 1, pte(tree.page[1], FLAGS)) == 0);
	tlb_flush(&d1->dirty_cpus);
	CHECK_THAT(!(words(tree.t[1])[1] & (PTE_A | PTE_D)));
	CHECK_THAT(fake_touch(2, 0x1000, true) && (words(tree.t[1])[1] & PTE_A) &&
	           (words(tree.t[1])[1] & PTE_D));
	CHECK_THAT(write_to(tree.t[4], 0, pte(tree.t[3], FLAGS)) == 0);
	tlb_flush(&d1->dirty_cpus);
	CHECK_THAT(fake_touch(1, 0x0, false) && (words(tree.t[4])[0] & PTE_A));
	verdict("accessed and dirty bits are the processor's, and mark the tables they stand in");
}

static uint32_t code_of(gva_t va, uint32_t code)
{
	CHECK_THAT(!shadow_fault(d1, tree.t[4], va, &code, true));
	return code;
}

static void faults(void)
{
	uint32_t code = PF_USER;

	CHECK_THAT(code_of(GVA(0x2000), PF_WRITE | PF_USER) == (PF_PRESENT | PF_WRITE | PF_USER));
	CHECK_THAT(code_of(GVA(0x3000), PF_FETCH | PF_USER) == (PF_PRESENT | PF_FETCH | PF_USER));
	CHECK_THAT(code_of(GVA(0x9000), PF_PRESENT | PF_USER) == PF_USER);
	CHECK_THAT(code_of(GVA(0x4000000000), PF_PRESENT | PF_WRITE) == PF_WRITE);
	CHECK_THAT(code_of(GVA(M2P_RO_BASE), PF_PRESENT | PF_WRITE | PF_USER) ==
	           (PF_PRESENT | PF_WRITE | PF_USER));
	CHECK_THAT(shadow_fault(d1, tree.t[4], GVA(0x3000), &code, true));
	/* A page that is not there in the guest's tables is not in the shadows, which had it. */
	CHECK_THAT(fake_touch(1, 0x0, true) && write_to(tree.t[1], 0, 0) == 0);
	tlb_flush(&d1->dirty_cpus);
	CHECK_THAT(!fake_touch(1, 0x0, false) && !fake_touch(2, 0x0, false));
	CHECK_THAT(fake_touch(1, 0x1000, true) && write_to(tree.t[2], 0, 0) == 0);
	tlb_flush(&d1->dirty_cpus);
	CHECK_THAT(!fake_touch(1, 0x1000, false) && !fake_touch(2, 0x1000, true));
	verdict("what the guest's tables refuse is its fault, with the error code that they give");
}

static void writers(void)
{
	mfn_t fresh_page, gone;

	CHECK_THAT(write_to(tree.page[0], 7, 42) == 0 && marked(tree.page[0]));
	CHECK_THAT(write_to(tree.t[1], 9, 0) == 0 && marked(tree.t[1]));
	with_vcpus_off(clear);
	frame_written(tree.page[1]);
	CHECK_THAT(marked(tree.page[1]) && !marked(tree.page[0]));
	m2p_set(tree.page[2], 700);
	CHECK_THAT(dirty_log_word(d1, 640, false) == 1ull << 60);
	CHECK_THAT(domain_frame_populate(d1, 0, 0, 701, &fresh_page) == 0);
	CHECK_THAT(dirty_log_word(d1, 640, false) == 3ull << 60);
	/* One that comes from elsewhere. */
	CHECK_THAT(domain_frame_alloc(d0, 0, 0, &gone) == 0 && domain_frame_steal(d0, gone) == 0);
	CHECK_THAT(domain_frame_reserve(d1) == 0);
	m2p_set(gone, 702);
	domain_frame_return(d1, gone);
	domain_frame_forget(d0);
	CHECK_THAT(dirty_log_word(d1, 640, false) == 7ull << 60);
	/* Beyond the log's room, and of nobody's number: no bit, and no harm. */
	m2p_set(tree.page[3], 1ull << 60);
	m2p_set(tree.page[3], M2P_INVALID);
	frame_written(tree.page[3]);
	CHECK_THAT(fake_touch(1, 0x3000, true));
	verdict("who writes to a frame otherwise marks it: entries, words, new pages, another number");
}

/* The hypervisor's slots of an L4, which no save takes along, but they are the page's contents; and what a pin adds. */
static void tables_changed(void)
{
	mfn_t bad = frame_of(d1);

	m2p_set(bad, 11);
	for (unsigned i = 0; i < 2; i++) {
		with_vcpus_off(clear);
		pt_show_m2p(d1, tree.t[4], i);
		CHECK_THAT(marked(tree.t[4]));
		with_vcpus_off(clear);
		pt_show_m2p(d1, tree.t[4], i);
		CHECK_THAT(!marked(tree.t[4]));
	}
	with_vcpus_off(clear);
	l4_close(frame_at(tree.t[4].m));
	CHECK_THAT(marked(tree.t[4]));
	store(d1, bad, 0, pte(tree.page[0], FLAGS & ~PTE_US));
	store(d1, bad, 1, pte(frame_of(d0), FLAGS));
	with_vcpus_off(clear);
	CHECK_THAT(pt_pin(d1, bad, PTYPE_L1) && words(bad)[0] & PTE_US && marked(bad));
	verdict("who changes a table without writing an entry marks it: the M2P shown or hidden, a pin that fails");
}

static void foreign(void)
{
	mfn_t l1 = frame_of(d0);

	store(d0, l1, 0, pte(tree.page[0], FLAGS));
	with_vcpus_off(clear);
	CHECK_THAT(pt_pin(d0, l1, PTYPE_L1) == -EBUSY); /* only its own by itself */
	store(d0, l1, 0, 0);
	CHECK_THAT(pt_pin(d0, l1, PTYPE_L1) == 0);
	CHECK_THAT(pt_entry_write(d0, d1, mfn_to_maddr(l1), pte(tree.page[0], FLAGS), PT_WRITE, NULL) == 0);
	CHECK_THAT(marked(tree.page[0]));
	with_vcpus_off(clear);
	CHECK_THAT(pt_entry_write(d0, d1, mfn_to_maddr(l1), 0, PT_WRITE, NULL) == 0 && marked(tree.page[0]));
	verdict("a mapping by another domain marks the page where it begins and where it ends");
}

/* More tables than the pool has pages for: all are used again and again. */
static void exhaustion(void)
{
	mfn_t l2 = frame_of(d1), page = frame_of(d1);
	uint32_t code = PF_USER;
	unsigned served = 0;

	for (unsigned i = 0; i < TABLES; i++) {
		mfn_t l1 = frame_of(d1);

		store(d1, l1, 0, pte(page, FLAGS));
		store(d1, l2, i, pte(l1, FLAGS));
	}
	CHECK_THAT(write_to(tree.t[3], 1, pte(l2, FLAGS)) == 0);
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < TABLES; i++) {
			CHECK_THAT(fake_touch(1 + (i & 1), 1ull << 30 | i << 21, i % 3 == 0));
			CHECK_THAT(fake_touch(1, 0x0, true) && !fake_tlb_check());
		}
	CHECK_THAT(marked(page) || !d1->logged);
	/* Faults that cannot wait are served from the reserve, for a while. */
	for (unsigned i = 0; i < TABLES; i++)
		served += shadow_fault(d1, tree.t[4], GVA(1ull << 30 | i << 21), &code, false);
	CHECK_THAT(served >= 20);
	CHECK_THAT(fake_touch(1, 1ull << 30, false) && !fake_tlb_check());
	verdict("a pool that is used up is used again, and a few pages are left for who cannot wait");
}

static void reuse_of_tables(void)
{
	CHECK_THAT(fake_touch(1, 0x1000, true) && fake_touch(2, 0x1000, true));
	/* The L1 table becomes an ordinary page, and another one is a table in its place. */
	CHECK_THAT(write_to(tree.t[2], 0, 0) == 0);
	CHECK_THAT(mfn_frame(tree.t[1])->shadow == 0);
	tlb_flush(&d1->dirty_cpus);
	store(d1, tree.t[1], 5, 0x1234);
	CHECK_THAT(!fake_touch(1, 0x1000, false) && !fake_tlb_check());
	store(d1, tree.t[1], 5, 0);
	CHECK_THAT(write_to(tree.t[2], 1, pte(tree.t[1], FLAGS)) == 0);
	CHECK_THAT(fake_touch(1, 0x201000, true) && !fake_touch(1, 0x1000, true) && !fake_tlb_check());
	verdict("a table that is none any more has no shadow");
}

/* The clock of flushes has wrapped, and stands still: what is freed then has a stamp that says nothing. */
static void clock_stands_still(void)
{
	CHECK_THAT(fake_touch(1, 0x1000, true));
	fake_tlb_clock(0);
	CHECK_THAT(write_to(tree.t[2], 0, 0) == 0); /* frees a shadow */
	with_vcpus_off(clear);                      /* begins an epoch */
	for (unsigned i = 0; i < 4; i++) {
		CHECK_THAT(write_to(tree.t[2], i, pte(tree.t[1], FLAGS)) == 0);
		CHECK_THAT(fake_touch(1, 0x1000 | i << 21, true));
		CHECK_THAT(write_to(tree.t[2], i, 0) == 0);
		tlb_flush(&d1->dirty_cpus);
	}
	CHECK_THAT(write_to(tree.t[2], 0, pte(tree.t[1], FLAGS)) == 0);
	exhaustion();
}

static void kinds(void)
{
	mfn_t other = frame_of(d1);

	store(d1, other, 0, pte(tree.page[1], PTE_P | PTE_RW)); /* without PTE_US, which is added */
	store(d1, other, 1, pte(MFN(0), PTE_P | PTE_RW));
	with_vcpus_off(clear);
	CHECK_THAT(pt_pin(d1, other, PTYPE_L1) != 0 && (words(other)[0] & PTE_US) && marked(other));
	store(d1, other, 1, 0);
	with_vcpus_off(clear);
	CHECK_THAT(pt_pin(d1, other, PTYPE_L1) == 0 && marked(other));
	with_vcpus_off(clear);
	CHECK_THAT(pt_unpin(d1, other) == 0 && marked(other));
	with_vcpus_off(clear);
	CHECK_THAT(pt_unpin(d1, tree.t[4]) == 0 && marked(tree.t[4]));
	with_vcpus_off(clear);
	CHECK_THAT(frame_get_type(other, d1, PTYPE_SEGDESC) == 0);
	with_vcpus_off(clear);
	frame_put_type(other);
	CHECK_THAT(marked(other));
	verdict("a page that becomes a table, or is none any more, or is pinned or not, is marked");
}

static void off_again(void)
{
	uint32_t served;

	CHECK_THAT(fake_touch(1, 0x0, true));
	with_vcpus_off(off);
	served = shadow_faults(d1);
	CHECK_THAT(!d1->shadowed && !d1->l4_copied && !d1->logged && !dirty_logs);
	CHECK_THAT(mfn_frame(tree.t[1])->shadow == 0 && mfn_frame(tree.t[3])->shadow == 0);
	CHECK_THAT(mfn_eq(pt_root(d1, tree.t[4], true, true), tree.t[4]));
	CHECK_THAT(fake_touch(1, 0x1000, true) && shadow_faults(d1) == served);
	CHECK_THAT(shadow_set_pool(d1, 0) == 0 && shadow_pool(d1) == 0);
	CHECK_THAT(shadow_set_pool(d1, 64) == 0);
	with_vcpus_off(clear);
	with_vcpus_off(on);
	CHECK_THAT(!marked(tree.page[1]) && fake_touch(2, 0x1000, true) && marked(tree.page[1]));
	verdict("off is direct mode again, and on once more a new beginning");
}

/* ---- entries that a processor with L1TF must not walk ---- */

static uint64_t unsafe_entry(void)
{
	return pte(tree.page[2], 0);
}

static void exits(unsigned cpu)
{
	fake_set_cpu(cpu);
	fake_exit();
	fake_set_cpu(1);
}

/* The case's domain is guarded from its creation on, and runs in direct mode. */
static void guard(void)
{
	CHECK_THAT(!d1->l1tf_exempt && !d1->shadowed && !shadow_pool(d1));
	CHECK_THAT(fake_touch(1, 0x0, true) && fake_touch(2, 0x1000, true));
}

static bool on_copies(void)
{
	return d1->shadowed && d1->l4_copied && !mfn_eq(pt_root(d1, tree.t[4], true, true), tree.t[4]);
}

static void unsafe_entries(void)
{
	uint64_t e = unsafe_entry();

	guard();
	/* Not before both CPUs have left the domain's own tables. */
	CHECK_THAT(write_to(tree.t[1], 8, e) == -ERESTART_HV && !words(tree.t[1])[8] && on_copies());
	CHECK_THAT(write_to(tree.t[1], 8, e) == -ERESTART_HV && !words(tree.t[1])[8]);
	exits(1);
	CHECK_THAT(write_to(tree.t[1], 8, e) == -ERESTART_HV && !words(tree.t[1])[8]);
	CHECK_THAT(fake_touch(1, 0x0, true) && fake_touch(2, 0x0, true));
	exits(2);
	CHECK_THAT(write_to(tree.t[1], 8, e) == 0 && words(tree.t[1])[8] == e && !fake_crashes);
	CHECK_THAT(!fake_touch(1, 0x8000, false) && fake_touch(1, 0x1000, true) && !fake_tlb_check());
	/* Once there, at once; and from above L1 as well. */
	CHECK_THAT(pt_va_write(d1, d1, tree.t[4], GVA(0x9000), e) == 0 && words(tree.t[1])[9] == e);
	CHECK_THAT(write_to(tree.t[2], 3, PTE_PSE) == 0 && write_to(tree.t[4], 3, e) == 0);
	CHECK_THAT(!fake_touch(2, 3ull << 39, false) && fake_touch(2, 0x0, true) && !fake_tlb_check());
	CHECK_THAT(d1->shadows_forever && !d1->logged && shadow_pool(d1) >= 128);
	/* Without a log a page may be written where the guest's entry is dirty. */
	CHECK_THAT(fake_touch(1, 0x0, false) && shadow_faults(d1));
	verdict("an entry that is unsafe with L1TF is written when no CPU walks the domain's tables any more");
}

static void unsafe_and_logged(void)
{
	uint64_t e = unsafe_entry();

	guard();
	while (write_to(tree.t[1], 8, e) == -ERESTART_HV)
		fake_exits();
	CHECK_THAT(fake_touch(1, 0x0, true) && dirty_log_make(d1, 1000) == 0);
	/* The log is switched on: a page that may be written already is seen all the same. */
	with_vcpus_off(on);
	CHECK_THAT(!marked(tree.page[0]) && fake_touch(1, 0x0, true) && marked(tree.page[0]));
	with_vcpus_off(clear);
	CHECK_THAT(fake_touch(2, 0x0, false) && !marked(tree.page[0]) && fake_touch(2, 0x0, true) &&
	           marked(tree.page[0]));
	/* Off: nothing is logged, and the shadows stay, with their memory. */
	with_vcpus_off(off);
	CHECK_THAT(!d1->logged && !dirty_logs && on_copies() && shadow_set_pool(d1, 0) == 0 &&
	           shadow_pool(d1));
	CHECK_THAT(fake_touch(1, 0x1000, true) && fake_touch(2, 0x0, true) && !fake_tlb_check());
	CHECK_THAT(write_to(tree.t[1], 9, e) == 0);
	with_vcpus_off(clear);
	with_vcpus_off(on);
	CHECK_THAT(!marked(tree.page[1]) && fake_touch(1, 0x1000, true) && marked(tree.page[1]));
	with_vcpus_off(off);
	CHECK_THAT(on_copies() && !fake_tlb_check());
	verdict("a log comes and goes in a domain with such entries, its shadows stay");
}

static void unsafe_while_logged(void)
{
	d1->l1tf_exempt = false;
	spec_policy.l1tf_domu = true;
	/* Its CPUs run on shadows already. */
	CHECK_THAT(write_to(tree.t[1], 8, unsafe_entry()) == 0 && d1->shadows_forever);
	with_vcpus_off(off);
	CHECK_THAT(!d1->logged && on_copies() && fake_touch(1, 0x0, true) && !fake_tlb_check());
	verdict("an unsafe entry in a domain that is logged keeps the shadows when the log goes");
}

static void unsafe_tables(void)
{
	mfn_t l1 = frame_of(d1), l2 = frame_of(d1), other = frame_of(d1);

	guard();
	store(d1, l1, 0, pte(tree.page[1], FLAGS));
	store(d1, l1, 7, unsafe_entry());
	store(d1, l2, 5, pte(l1, FLAGS));
	CHECK_THAT(pt_pin(d1, l1, PTYPE_L1) == -ERESTART_HV && !fake_tlb_check());
	/* By a link, too; what was begun goes on. */
	CHECK_THAT(write_to(tree.t[3], 1, pte(l2, FLAGS)) == -ERESTART_HV && !words(tree.t[3])[1]);
	fake_exits();
	CHECK_THAT(write_to(tree.t[3], 1, pte(l2, FLAGS)) == 0 && pt_pin(d1, l1, PTYPE_L1) == 0);
	CHECK_THAT(fake_touch(1, 1ull << 30 | 5ull << 21, true) && !fake_tlb_check());
	store(d1, other, 511, PTE_PSE);
	CHECK_THAT(pt_pin(d1, other, PTYPE_L3) == 0 && pt_unpin(d1, other) == 0);
	verdict("a new table with an unsafe entry is none before the domain is shadowed");
}

static void unsafe_when_built(void)
{
	mfn_t l1 = frame_of(d1);

	for (unsigned cpu = 1; cpu < 3; cpu++) {
		fake_load(cpu, NULL, INVALID_MFN);
		fake_set_vcpu(NULL);
	}
	fake_set_cpu(0);
	store(d1, l1, 7, unsafe_entry());
	CHECK_THAT(!d1->l1tf_exempt && pt_pin(d1, l1, PTYPE_L1) == 0 && d1->shadows_forever &&
	           d1->l1tf_exempt);
	fake_load(1, d1, tree.t[4]);
	CHECK_THAT(fake_touch(1, 0x0, true) && on_copies() && !fake_tlb_check());
	fake_set_cpu(1);
	verdict("a domain that is built with unsafe entries begins on shadows, at once");
}

/* All of the heap but leave pages. */
static unsigned eat(mfn_t *eaten, unsigned max, uint64_t leave)
{
	unsigned n = 0;

	while (n < max && heap_free_pages() > leave && !domain_frame_alloc(d0, 0, 0, &eaten[n]))
		n++;
	return n;
}

static void unsafe_and_poor(void)
{
	static mfn_t eaten[1024];
	unsigned n = eat(eaten, ARRAY_SIZE(eaten), 8), before = fake_crashes;
	uint64_t left = heap_free_pages();

	guard();
	CHECK_THAT(n > 100 && left < 64);
	CHECK_THAT(write_to(tree.t[1], 8, unsafe_entry()) == -ENOMEM && fake_crashes == before + 1);
	CHECK_THAT(!d1->shadowed && !shadow_pool(d1) && !words(tree.t[1])[8] && !fake_tlb_check());
	/* Memory for a pool that is smaller than it ought to be. */
	while (n && heap_free_pages() < 80)
		CHECK_THAT(domain_frame_release(d0, eaten[--n]) == 0);
	while (write_to(tree.t[1], 8, unsafe_entry()) == -ERESTART_HV)
		fake_exits();
	CHECK_THAT(words(tree.t[1])[8] == unsafe_entry() && shadow_pool(d1) == 64 &&
	           fake_crashes == before + 1);
	while (n)
		CHECK_THAT(domain_frame_release(d0, eaten[--n]) == 0);
	exhaustion();
	CHECK_THAT(shadow_pool(d1) == 64 && fake_crashes == before + 1);
	fake_crashes = before;
	verdict("with little memory the pool is small and used again, with none the domain crashes");
}

static void unsafe_in_slices(void)
{
	unsigned slices = 0;

	guard();
	fake_preempt = 1;
	while (write_to(tree.t[1], 8, unsafe_entry()) == -ERESTART_HV && slices < 100) {
		slices++;
		CHECK_THAT(shadow_pool(d1) == 64 * slices && d1->shadowed == (slices == 2));
		fake_exits();
	}
	fake_preempt = 0;
	CHECK_THAT(slices == 2 && words(tree.t[1])[8] == unsafe_entry());
	verdict("the pool is made in slices");
}

static void write_unsafe(const spinlock_t *l)
{
	if (l->rank != RANK_L4_COPY)
		return;
	fake_irq_lock_hook = NULL;
	fake_set_cpu(2);
	CHECK_THAT(write_to(tree.t[1], 8, unsafe_entry()) == 0);
	fake_set_cpu(1);
}

/* Linear L4 entries: the CPUs run on copies before, with entries that lead to the guest's own tables. */
static void unsafe_on_copies(void)
{
	guard();
	while (write_to(tree.t[4], 5, pte(tree.t[4], PTE_P | PTE_US | PTE_A)) == -ERESTART_HV)
		fake_exits();
	CHECK_THAT(d1->linear_l4 && !d1->shadowed && fake_touch(1, 0x0, true) && fake_touch(2, 0x1000, true));
	/* CPU 2 writes one where CPU 1 is about to make its copy anew, and has looked whether there are shadows. */
	fake_load(1, d1, INVALID_MFN);
	l4_changed(d1);
	fake_irq_lock_hook = write_unsafe;
	fake_load(1, d1, tree.t[4]);
	CHECK_THAT(!fake_irq_lock_hook && d1->shadowed);
	CHECK_THAT(!fake_tlb_check() && !fake_touch(1, 0x8000, false) && fake_touch(1, 0x0, true) &&
	           fake_touch(2, 0x1000, true) && !fake_tlb_check());
	verdict("copies that lead to the domain's own tables are emptied, also one that is just being made");
}

static void enter_kernel(const spinlock_t *l)
{
	uint32_t code = PF_WRITE;

	if (l->rank != RANK_L4_COPY)
		return;
	fake_irq_lock_hook = NULL;
	fake_load(2, d1, tree.t[4]);
	fake_set_cpu(2);
	CHECK_THAT(d1->shadowed && shadow_fault(d1, tree.t[4], GVA(0x1000), &code, false));
	fake_set_cpu(1);
}

/* CPU 2 has looked whether the domain is shadowed, just before: it writes a frame onto the guest's stack with interrupts off. */
static void unsafe_without_waiting(void)
{
	guard();
	fake_irq_lock_hook = enter_kernel;
	CHECK_THAT(write_to(tree.t[1], 8, unsafe_entry()) == -ERESTART_HV && !fake_irq_lock_hook);
	exits(1);
	CHECK_THAT(write_to(tree.t[1], 8, unsafe_entry()) == 0 && fake_touch(2, 0x1000, true) &&
	           !fake_tlb_check());
	verdict("from its first moment on the pool has pages for faults that cannot wait");
}

static mfn_t ready(mfn_t l4, bool kernel, bool m2p)
{
	return pt_root_ready(d1, l4, kernel, m2p);
}

/* What the fast paths of SYSCALL and iret load by themselves. */
static void ready_copies(void)
{
	mfn_t l4 = tree.t[4], copy = pt_root(d1, l4, true, true);

	CHECK_THAT(!mfn_eq(copy, l4) && mfn_eq(ready(l4, true, true), copy));
	CHECK_THAT(mfn_eq(ready(l4, false, false), INVALID_MFN));
	copy = pt_root(d1, l4, false, false);
	CHECK_THAT(mfn_eq(ready(l4, false, false), copy) && !mfn_eq(copy, pt_root(d1, l4, true, true)));
	CHECK_THAT(mfn_eq(ready(l4, false, true), INVALID_MFN) &&
	           mfn_eq(ready(l4, true, false), INVALID_MFN));
	CHECK_THAT(mfn_eq(ready(tree.t[3], true, true), INVALID_MFN));
	d0->linear_l4 = true;
	d0->l4_generation = d1->l4_generation;
	CHECK_THAT(mfn_eq(pt_root_ready(d0, l4, true, true), INVALID_MFN));
	d0->linear_l4 = false;
	CHECK_THAT(mfn_eq(pt_root_ready(d0, l4, true, true), l4));
	fake_set_cpu(3);
	CHECK_THAT(mfn_eq(ready(l4, true, true), INVALID_MFN));
	fake_set_cpu(1);
	/* The frame may have been another table meanwhile: then it was validated anew. */
	l4_changed(d1);
	CHECK_THAT(mfn_eq(ready(l4, true, true), INVALID_MFN));
	copy = pt_root(d1, l4, true, true);
	CHECK_THAT(mfn_eq(ready(l4, true, true), copy));
	with_vcpus_off(off);
	CHECK_THAT(mfn_eq(ready(l4, true, true), l4));
	with_vcpus_off(on);
	CHECK_THAT(mfn_eq(ready(l4, false, false), INVALID_MFN));
	verdict("a copy is ready to be loaded if it is this CPU's, of that L4 and mode, and as new as any");
}

static const struct {
	void (*run)(void);
	bool l1tf; /* without a log, with a processor that has it */
} cases[] = { { stores, false },
	      { bits, false },
	      { faults, false },
	      { writers, false },
	      { tables_changed, false },
	      { foreign, false },
	      { exhaustion, false },
	      { reuse_of_tables, false },
	      { clock_stands_still, false },
	      { kinds, false },
	      { off_again, false },
	      { ready_copies, false },
	      { unsafe_while_logged, false },
	      { unsafe_entries, true },
	      { unsafe_and_logged, true },
	      { unsafe_tables, true },
	      { unsafe_when_built, true },
	      { unsafe_and_poor, true },
	      { unsafe_in_slices, true },
	      { unsafe_on_copies, true },
	      { unsafe_without_waiting, true } };

int main(void)
{
	uint64_t before;

	fake_init(1024, 0);
	before = heap_free_pages();
	tap_plan(ARRAY_SIZE(cases) + 2);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		spec_policy.l1tf_domu = cases[i].l1tf;
		fresh(!cases[i].l1tf);
		cases[i].run();
		finish();
	}
	CHECK_THAT(heap_free_pages() == before);
	verdict("all memory is back");
	return tap_end();
}
