/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors and the tables of them: what may stand in a GDT or LDT, how frames become one and cease to be, and by which
 * calls. Every type of descriptor is tried. */
#include "mm/internal.h"
#include "hypercall/hypercall.h"
#include "fake/pv.h"
#include "hw/segment.h"
#include "../../lib/check.h"
#include "mm/perdomain.h"
#include "mm/ptype.h"
#include "mm/validate.h"
#include "pv/address.h"

#define CODE64 0x00affb000000ffffull
#define DATA   0x00cff3000000ffffull
#define FLAGS  (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)

static struct domain *d;
static struct vcpu *v;
static unsigned gs_loaded;

void segment_user_gs_load(uint16_t selector)
{
	gs_loaded = selector;
}

static uint64_t call(hc_fn *fn, uint64_t a, uint64_t b)
{
	struct hc_args args = { { a, b } };

	return (uint64_t)fn(&args);
}

static bool is_segdesc(mfn_t mfn)
{
	uint64_t x = mfn_frame(mfn)->type;

	return type_of(x) == PTYPE_SEGDESC && (x & TYPE_COUNT);
}

static unsigned count_of(mfn_t mfn)
{
	return (unsigned)(mfn_frame(mfn)->count & COUNT_MASK);
}

/* ---- one descriptor ---- */

/* By the manuals (SDM Vol. 3, 3.4.5.1 and 3.5; APM Vol. 2, 4.7 and 4.8). */
static void all_descriptors(void)
{
	for (unsigned access = 0; access < 256; access++)
		for (unsigned rest = 0; rest < 2; rest++) {
			uint64_t given = (uint64_t)access << 40 | (rest ? 0xffff00ffffffffffull : 0),
			         desc = given;
			bool present = access & 0x80, segment = access & 0x10;
			int rc = descriptor_check(&desc);

			if (!present)
				CHECK_THAT(rc == 0 && desc == given);
			else if (segment) /* at level 3, and otherwise as it was */
				CHECK_THAT(rc == 0 && desc == (given | 0x60ull << 40));
			else if (access & 15) /* LDT, TSS, gates */
				CHECK_THAT(rc == -EINVAL);
			else
				CHECK_THAT(rc == 0 && desc == given);
		}
	verdict("of all 256 access bytes segments come to level 3, system descriptors are refused, absent ones are anything");
}

static void update(void)
{
	mfn_t page = fake_pv_frame(d), table = fake_pv_frame(d), other = fake_pv_frame(fake_pv_domain(2, 0));
	uint64_t at = page.m << PAGE_SHIFT;

	CHECK_THAT(call(hc_update_descriptor, at + 8, CODE64 & ~(3ull << 45)) == 0);
	CHECK_THAT(((uint64_t *)mfn_map_own(page))[1] == CODE64);
	CHECK_THAT(call(hc_update_descriptor, at + PAGE_SIZE - 8, DATA) == 0 &&
	           ((uint64_t *)mfn_map_own(page))[511] == DATA);
	for (unsigned odd = 1; odd < 8; odd++)
		CHECK_THAT(call(hc_update_descriptor, at + odd, DATA) == (uint64_t)-EINVAL);
	CHECK_THAT(call(hc_update_descriptor, at + 8, 0x00008c0000000000) == (uint64_t)-EINVAL);
	CHECK_THAT(((uint64_t *)mfn_map_own(page))[1] == CODE64);
	CHECK_THAT(call(hc_update_descriptor, other.m << PAGE_SHIFT, DATA) == (uint64_t)-EINVAL);
	CHECK_THAT(call(hc_update_descriptor, 3ull << PAGE_SHIFT, DATA) == (uint64_t)-EINVAL);
	CHECK_THAT(call(hc_update_descriptor, ~7ull, DATA) == (uint64_t)-EINVAL);
	CHECK_THAT(!pt_get(&d->mm, table, PTYPE_L1, false));
	CHECK_THAT(call(hc_update_descriptor, table.m << PAGE_SHIFT, DATA) == (uint64_t)-EINVAL);
	CHECK_THAT(!pt_put(&d->mm, table, false));
	CHECK_THAT(count_of(page) == 1 && !(mfn_frame(page)->type & TYPE_COUNT));
	verdict("update_descriptor writes checked ones into pages and tables of descriptors of its own, nowhere else");
}

/* ---- tables ---- */

static void put_list(unsigned at, const mfn_t *frames, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		memcpy(fake_guest + at + 8 * i, &frames[i].m, 8);
}

static void gdt(void)
{
	mfn_t a[2] = { fake_pv_frame(d), fake_pv_frame(d) }, bad = fake_pv_frame(d), list[3];

	fake_pv_store(d, a[0], 3, CODE64 & ~(3ull << 45));
	fake_pv_store(d, bad, 511, 0x0000890000000000); /* a TSS */
	put_list(64, a, 2);
	CHECK_THAT(call(hc_set_gdt, 64, 513) == 0);
	CHECK_THAT(is_segdesc(a[0]) && is_segdesc(a[1]) && v->pv.gdt_entries == 513);
	CHECK_THAT(((uint64_t *)mfn_map_own(a[0]))[3] == CODE64);
	CHECK_THAT(mfn_eq(perdomain_lookup(&d->mm, 0, 0), a[0]) &&
	           mfn_eq(perdomain_lookup(&d->mm, 0, 1), a[1]));
	CHECK_THAT(frame_get_type(a[0], &d->mm, PTYPE_WRITABLE) == -EINVAL);
	CHECK_THAT(call(hc_update_descriptor, (a[0].m << PAGE_SHIFT) + 16, DATA) == 0 &&
	           ((uint64_t *)mfn_map_own(a[0]))[2] == DATA);
	/* A list with a bad frame changes nothing. */
	list[0] = a[1];
	list[1] = bad;
	put_list(128, list, 2);
	CHECK_THAT(call(hc_set_gdt, 128, 513) == (uint64_t)-EINVAL);
	CHECK_THAT(is_segdesc(a[0]) && is_segdesc(a[1]) && count_of(a[1]) == 2 && count_of(bad) == 1 &&
	           v->pv.gdt_entries == 513);
	CHECK_THAT(mfn_eq(perdomain_lookup(&d->mm, 0, 0), a[0]));
	CHECK_THAT(call(hc_set_gdt, sizeof(fake_guest) - 8, 513) == (uint64_t)-EFAULT);
	CHECK_THAT(call(hc_set_gdt, 64, 7169) == (uint64_t)-EINVAL &&
	           call(hc_set_gdt, 64, 0xffffffff) == (uint64_t)-EINVAL);
	/* One page less, then none: they are ordinary memory again. */
	CHECK_THAT(call(hc_set_gdt, 64, 512) == 0 && is_segdesc(a[0]) && !is_segdesc(a[1]) &&
	           count_of(a[1]) == 1);
	CHECK_THAT(!mfn_eq(perdomain_lookup(&d->mm, 0, 1), a[1]));
	CHECK_THAT(call(hc_set_gdt, 64, 0) == 0 && !is_segdesc(a[0]) && count_of(a[0]) == 1);
	CHECK_THAT(!frame_get_type(a[0], &d->mm, PTYPE_WRITABLE));
	frame_put_type(a[0]);
	verdict("a GDT is taken whole or not at all, cannot be written, and is memory again afterwards");
}

static void ldt(void)
{
	mfn_t page = fake_pv_frame(d), bad = fake_pv_frame(d);
	struct fake_pv_tree t = fake_pv_tree(d, page, FLAGS & ~PTE_RW);

	fake_pv_store(d, page, 7, DATA & ~(3ull << 45));
	fake_pv_store(d, bad, 0, 0x0000ec0000000000); /* a call gate */
	fake_pv_store(d, t.l1, 1, bad.m << PAGE_SHIFT | (FLAGS & ~PTE_RW));
	CHECK_THAT(!pt_get(&d->mm, t.l4, PTYPE_L4, false));
	v->l4_kernel = t.l4;
	CHECK_THAT(pv_set_ldt(v, GVA(0), 512) == 0 && is_segdesc(page) &&
	           ((uint64_t *)mfn_map_own(page))[7] == DATA);
	CHECK_THAT(mfn_eq(perdomain_lookup(&d->mm, 0, PERDOMAIN_LDT_PAGE), page));
	CHECK_THAT(pv_set_ldt(v, GVA(0), 513) == -EINVAL); /* its second page has a gate */
	CHECK_THAT(pv_set_ldt(v, GVA(0x2000), 1) == -EINVAL);
	CHECK_THAT(pv_set_ldt(v, GVA(8), 1) == -EINVAL && pv_set_ldt(v, GVA(1ull << 47), 1) == -EINVAL);
	CHECK_THAT(pv_set_ldt(v, GVA(0), 8193) == -EINVAL);
	CHECK_THAT(is_segdesc(page) && count_of(page) == 3 && v->pv.ldt_entries == 512);
	CHECK_THAT(pv_set_ldt(v, GVA(0), 0) == 0 && !is_segdesc(page));
	CHECK_THAT(mfn_eq(perdomain_lookup(&d->mm, 0, PERDOMAIN_LDT_PAGE), INVALID_MFN));
	verdict("an LDT is found by its address, checked page by page, and a refused one leaves the old one");
}

static unsigned maps;

static void note_map(mfn_t mfn)
{
	(void)mfn;
	maps++;
}

/* The largest tables there are: 7,168 and 8,192 entries. All at once, so each page is looked at no more than once, and
 * whoever still has them writable is flushed once. */
static void largest(void)
{
	mfn_t page[17];
	struct fake_pv_tree t;
	unsigned flushes;

	for (unsigned i = 0; i < 17; i++) {
		page[i] = fake_pv_frame(d);
		for (unsigned k = 0; k < 512; k++)
			fake_pv_store(d, page[i], k, DATA);
	}
	cpumask_set(&d->mm.dirty_cpus, 0);
	cpumask_set(&d->mm.dirty_cpus, 1);
	put_list(64, page, GDT_PAGES_MAX);
	maps = 0;
	flushes = fake_flushes;
	fake_map_hook = note_map;
	CHECK_THAT(call(hc_set_gdt, 64, FIRST_RESERVED_GDT_ENTRY) == 0 && GDT_PAGES_MAX == 14);
	fake_map_hook = NULL;
	printf("# GDT: %u looks at pages, %u flushes\n", maps, fake_flushes - flushes);
	CHECK_THAT(maps <= 14 * 5 && fake_flushes - flushes <= 2);
	for (unsigned i = 0; i < 14; i++)
		CHECK_THAT(is_segdesc(page[i]) && count_of(page[i]) == 2);
	CHECK_THAT(call(hc_set_gdt, 64, 0) == 0);

	t = fake_pv_tree(d, page[0], FLAGS & ~PTE_RW);
	for (unsigned i = 1; i < 17; i++) {
		fake_pv_store(d, page[i], 0, DATA);
		fake_pv_store(d, t.l1, i, page[i].m << PAGE_SHIFT | (FLAGS & ~PTE_RW));
	}
	CHECK_THAT(!pt_get(&d->mm, t.l4, PTYPE_L4, false));
	v->l4_kernel = t.l4;
	for (unsigned again = 0; again < 2; again++) {
		maps = 0;
		flushes = fake_flushes;
		fake_map_hook = note_map;
		CHECK_THAT(pv_set_ldt(v, GVA(0), 8192) == 0);
		fake_map_hook = NULL;
		printf("# LDT: %u looks at pages, %u flushes\n", maps, fake_flushes - flushes);
		CHECK_THAT(maps <= (again ? 168 : 136) && fake_flushes - flushes <= 2);
	}
	for (unsigned i = 0; i < 16; i++)
		CHECK_THAT(is_segdesc(page[i]) && count_of(page[i]) == 3);
	CHECK_THAT(pv_set_ldt(v, GVA(0), 8193) == -EINVAL && !is_segdesc(page[16]));
	CHECK_THAT(pv_set_ldt(v, GVA(0), 0) == 0 && !is_segdesc(page[15]));
	verdict("the largest GDT and LDT: each page is checked once, and one flush does for all of them");
}

static void bases(void)
{
	const struct fake_pv_cpu *c = &fake_pv_cpus[0];
	static const uint32_t msr[] = { 0xc0000100, 0xc0000102, 0xc0000101 };

	for (unsigned which = SEGBASE_FS; which <= SEGBASE_GS_KERNEL; which++) {
		unsigned n = c->msr_count;

		CHECK_THAT(call(hc_set_segment_base, which, 0x7fff12345678) == 0);
		CHECK_THAT(c->msr_count == n + 1 && c->msr[n % FAKE_MSRS].number == msr[which] &&
		           c->msr[n % FAKE_MSRS].value == 0x7fff12345678);
		CHECK_THAT(call(hc_set_segment_base, which, 1ull << 47) == (uint64_t)-EINVAL);
		CHECK_THAT(c->msr_count == n + 1);
	}
	CHECK_THAT(call(hc_set_segment_base, SEGBASE_GS_USER_SEL, 0x12345) == 0 && gs_loaded == 0x2345);
	CHECK_THAT(call(hc_set_segment_base, 4, 0) == (uint64_t)-EINVAL);
	CHECK_THAT(call(hc_fpu_taskswitch, 1, 0) == 0 && c->ts && v->pv.cr0_ts_em == 8);
	CHECK_THAT(call(hc_fpu_taskswitch, 0, 0) == 0 && !c->ts && v->pv.cr0_ts_em == 0);
	CHECK_THAT(call(hc_set_debugreg, 8, 0) == (uint64_t)-ENODEV &&
	           call(hc_get_debugreg, 8, 0) == (uint64_t)-ENODEV);
	CHECK_THAT(call(hc_set_debugreg, 0, 0x1000) == 0 && call(hc_get_debugreg, 0, 0) == 0x1000);
	verdict("segment bases that are canonical reach their registers; selectors, TS and debug registers");
}

int main(void)
{
	tap_plan(6);
	fake_init(1024, 0);
	fake_set_cpu(0);
	d = fake_pv_domain(1, 1);
	v = d->vcpus[0];
	cpu_set_current(v);
	v->pv.kernel_mode = true;
	all_descriptors();
	update();
	gdt();
	ldt();
	largest();
	bases();
	return tap_end();
}
