/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's address space and descriptor tables on this CPU.
 *
 * Without XPTI the guest's own L4 is loaded. With XPTI the hypervisor runs on the guest's L4 and the guest on
 * a reduced copy of it, one per CPU and mode, whose hypervisor slots hold only the M2P table, the per-domain
 * window and what entry code touches. A copy is as new as the domain's l4_generation says. Where the guest is shadowed or has
 * linear L4 entries, a full copy stands in the place of its L4, with XPTI or without (mm/l4copy.c).
 */
#include "pv/address.h"
#include "mm/l4copy.h"
#include "mm/perdomain.h"
#include "mm/ptype.h"
#include "pv/pv.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "lib/string.h"
#include "hw/desc.h"
#include "hw/mem.h"
#include "hw/paging.h"
#include "hw/segment.h"
#include "hw/tlb.h"
#include "hw/uaccess.h"
#include "mm/heap.h"
#include "mm/pagetable.h"
#include "pv/vcpu.h"

struct reduced {
	uint64_t *l4; /* NULL where no domain uses xpti */
	mfn_t of;
	const struct domain *domain;
	/* No two domains ever have the same one, whatever becomes of their numbers and frames. */
	uint64_t generation;
};

static struct reduced reduced_tables[NR_CPUS][2]; /* the CPU itself; [0] user, [1] kernel */

/* M2P table and per-domain window as in the full tables; of the image only what entry code of this CPU touches. */
static void fill_reduced_slots(uint64_t *reduced, const uint64_t *full)
{
	memset(reduced + HV_L4_FIRST, 0, (HV_L4_LAST - HV_L4_FIRST + 1) * 8);
	reduced[256] = full[256];
	reduced[260] = full[260];
	reduced[261] = mfn_to_maddr(hv_reduced_l3(this_cpu())).a | PTE_P | PTE_RW | PTE_A | PTE_D;
}

void pv_address_init(unsigned cpu)
{
	for (unsigned i = 0; i < 2; i++) {
		mfn_t page = heap_alloc(0, 0);

		if (mfn_eq(page, INVALID_MFN))
			panic("no memory for the reduced page tables that xpti needs");
		reduced_tables[cpu][i].l4 = mfn_map_own(page);
		reduced_tables[cpu][i].of = INVALID_MFN;
	}
}

/* full: l4, or the copy that the hypervisor runs on in its place. */
static uint64_t reduced_cr3(struct vcpu *v, mfn_t l4, mfn_t full)
{
	struct reduced *r = &reduced_tables[this_cpu()][v->pv.kernel_mode];
	const uint64_t *from = mfn_map(full);
	uint64_t generation = READ_ONCE(v->domain->mm.l4_generation);

	if (!mfn_eq(r->of, l4) || r->generation != generation || r->domain != v->domain) {
		memcpy(r->l4, from, HV_L4_FIRST * 8);
		memcpy(r->l4 + HV_L4_LAST + 1, from + HV_L4_LAST + 1, (511 - HV_L4_LAST) * 8);
		fill_reduced_slots(r->l4, from);
		r->of = l4;
		r->domain = v->domain;
		r->generation = generation;
	}
	/* Whether the M2P is there goes with the kernel's L4 as well, which may have changed. */
	r->l4[256] = from[256];
	return mfn_to_maddr(mfn_of(r->l4)).a;
}

static uint64_t cr3_or_none(mfn_t root)
{
	return mfn_eq(root, INVALID_MFN) ? 0 : mfn_to_maddr(root).a;
}

/* For the fast path: the table of that mode, where this CPU need do nothing before it loads it. */
static void offer(const struct vcpu *v, bool kernel)
{
	mfn_t l4 = kernel ? v->l4_kernel : v->l4_user, root = INVALID_MFN;

	if (!v->domain->xpti && !mfn_eq(l4, INVALID_MFN))
		root = pt_root_ready(&v->domain->mm, l4, kernel, kernel || mfn_eq(l4, v->l4_kernel));
	cpu_info()->fast_cr3[kernel] = cr3_or_none(root);
}

void pv_fastpath_tables(const struct vcpu *v)
{
	if (unlikely(READ_ONCE(v->domain->mm.l4_copied))) {
		offer(v, false);
		offer(v, true);
	} else {
		cpu_info()->fast_cr3[false] = cr3_or_none(v->l4_user);
		cpu_info()->fast_cr3[true] = cr3_or_none(v->l4_kernel);
	}
}

static void load_copies(struct vcpu *v, mfn_t l4)
{
	struct cpu_info *info = cpu_info();
	struct domain_mm *mm = &v->domain->mm;
	uint64_t flags = irq_save();
	mfn_t full = pt_root(mm, l4, v->pv.kernel_mode, v->pv.kernel_mode || mfn_eq(l4, v->l4_kernel));

	info->hv_cr3 = v->domain->xpti ? mfn_to_maddr(full).a : 0;
	cr3_load(mfn_to_maddr(full).a);
	pt_root_loaded(mm, l4, full);
	/* After the load, which counts as this CPU's flush: whoever drops an L4 entry that the copy still has asks for another
	 * flush then, and so makes the CPU look again. */
	info->guest_cr3 = v->domain->xpti ? reduced_cr3(v, l4, full) : 0;
	/* Of both modes: the other one's may still be the guest's own L4. */
	pv_fastpath_tables(v);
	irq_restore(flags);
}

void pv_load_address_space(struct vcpu *v)
{
	mfn_t l4 = v->pv.kernel_mode ? v->l4_kernel : v->l4_user;

	if (unlikely(READ_ONCE(v->domain->mm.l4_copied)))
		load_copies(v, l4);
	else
		cr3_load(mfn_to_maddr(l4).a);
}

bool pv_refresh_copies(struct vcpu *v)
{
	const struct reduced *r = &reduced_tables[this_cpu()][v->pv.kernel_mode];
	const struct domain_mm *mm = &v->domain->mm;
	bool fresh = !v->domain->xpti || r->generation == READ_ONCE(mm->l4_generation);

	if (fresh && pt_root_is_new(mm))
		return false;
	pv_load_address_space(v);
	return true;
}

void pv_toggle_mode(struct vcpu *v)
{
	v->pv.kernel_mode = !v->pv.kernel_mode;
	swapgs();
	pv_load_address_space(v);
}

size_t pv_kernel_copy_in(struct vcpu *v, void *dst, gva_t src, size_t n)
{
	size_t left;

	if (pv_in_kernel(v))
		return guest_copy_in(dst, src, n);
	v->pv.kernel_mode = true;
	pv_load_address_space(v);
	left = guest_copy_in(dst, src, n);
	v->pv.kernel_mode = false;
	pv_load_address_space(v);
	return left;
}

/* ---- descriptors ---- */

static mfn_t zero_frame(void)
{
	static mfn_t zero = { ~0ull };

	if (mfn_eq(zero, INVALID_MFN))
		zero = heap_alloc(0, 0);
	return zero;
}

void pv_load_descriptors(struct vcpu *v)
{
	uintptr_t window = PERDOMAIN_BASE + (uintptr_t)v->id * PERDOMAIN_VCPU_PAGES * PAGE_SIZE;
	mfn_t own = gdt_hv_page(this_cpu());

	if (!mfn_eq(perdomain_lookup(&v->domain->mm, v->id, GDT_PAGES_MAX), own)) {
		/* The window was made when the vcpu was. */
		CHECK(perdomain_set(&v->domain->mm, v->id, GDT_PAGES_MAX, own, true));
		tlb_flush_page_local(GVA(window + GDT_PAGES_MAX * PAGE_SIZE));
	}
	gdt_load(window, (GDT_PAGES_MAX + 1) * PAGE_SIZE - 1);
	ldt_load(window + PERDOMAIN_LDT_PAGE * PAGE_SIZE, v->pv.ldt_entries);
}

static void reload_descriptors(struct vcpu *v)
{
	uint64_t flags;

	if (v != current_vcpu())
		return;
	flags = irq_save();
	tlb_flush_local();
	pv_load_descriptors(v);
	irq_restore(flags);
}

int pv_set_gdt(struct vcpu *v, const uint64_t *mfns, unsigned entries)
{
	unsigned pages = (entries * 8 + PAGE_SIZE - 1) / PAGE_SIZE;
	mfn_t old[GDT_PAGES_MAX];
	unsigned old_pages = (v->pv.gdt_entries * 8 + PAGE_SIZE - 1) / PAGE_SIZE;

	if (entries > FIRST_RESERVED_GDT_ENTRY)
		return -EINVAL;
	for (unsigned i = 0; i < pages; i++)
		if (frame_get_type(MFN(mfns[i]), &v->domain->mm, PTYPE_SEGDESC)) {
			while (i--)
				frame_put_type(MFN(mfns[i]));
			return -EINVAL;
		}
	memcpy(old, v->pv.gdt_frames, sizeof(old));
	for (unsigned i = 0; i < GDT_PAGES_MAX; i++) {
		v->pv.gdt_frames[i] = i < pages ? MFN(mfns[i]) : INVALID_MFN;
		CHECK(!perdomain_map(&v->domain->mm, v->id, i, i < pages ? MFN(mfns[i]) : zero_frame(),
		                     i < pages));
	}
	v->pv.gdt_entries = entries;
	reload_descriptors(v);
	for (unsigned i = 0; i < old_pages; i++)
		frame_put_type(old[i]);
	return 0;
}

static void release_ldt(struct vcpu *v)
{
	unsigned pages = (v->pv.ldt_entries * 8 + PAGE_SIZE - 1) / PAGE_SIZE;

	v->pv.ldt_entries = 0;
	if (v == current_vcpu()) {
		uint64_t flags = irq_save();

		ldt_load(0, 0);
		irq_restore(flags);
	}
	for (unsigned i = 0; i < pages; i++) {
		CHECK(!perdomain_map(&v->domain->mm, v->id, PERDOMAIN_LDT_PAGE + i, INVALID_MFN, false));
		if (v == current_vcpu())
			tlb_flush_page_local(GVA(PERDOMAIN_BASE + ((uintptr_t)v->id * PERDOMAIN_VCPU_PAGES +
			                                           PERDOMAIN_LDT_PAGE + i) *
			                                                  PAGE_SIZE));
		frame_put_type(v->pv.ldt_frames[i]);
		v->pv.ldt_frames[i] = INVALID_MFN;
	}
}

int pv_set_ldt(struct vcpu *v, gva_t base, unsigned entries)
{
	unsigned pages = (entries * 8 + PAGE_SIZE - 1) / PAGE_SIZE, i;
	mfn_t frames[16];

	if (entries > 8192 || (base.v & (PAGE_SIZE - 1)) || !pv_address_ok(base.v))
		return -EINVAL;
	for (i = 0; i < pages; i++) {
		uint64_t e = pt_leaf(v->l4_kernel, GVA(base.v + i * PAGE_SIZE));

		if (!(e & PTE_P))
			break;
		frames[i] = PTE_MFN(e);
		if (frame_get_type(frames[i], &v->domain->mm, PTYPE_SEGDESC))
			break;
	}
	if (i < pages) {
		while (i--)
			frame_put_type(frames[i]);
		return -EINVAL;
	}
	release_ldt(v);
	for (i = 0; i < pages; i++) {
		v->pv.ldt_frames[i] = frames[i];
		CHECK(!perdomain_map(&v->domain->mm, v->id, PERDOMAIN_LDT_PAGE + i, frames[i], true));
	}
	v->pv.ldt_base = base;
	v->pv.ldt_entries = entries;
	reload_descriptors(v);
	return 0;
}

void pv_release_descriptors(struct vcpu *v)
{
	CHECK(!pv_set_gdt(v, NULL, 0));
	release_ldt(v);
}
