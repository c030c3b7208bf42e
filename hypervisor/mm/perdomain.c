/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypervisor's part of a guest's address space: its L4 slots, and the per-domain window in slot 260 where
 * the processor finds the GDT and LDT of each vcpu. The window's tables are the hypervisor's own; what they
 * name is held by the caller (pv/address.c).
 */
#include "mm/perdomain.h"
#include "mm/boot.h"
#include "mm/dirtylog.h"
#include "mm/heap.h"
#include "mm/internal.h"
#include "mm/l4copy.h"
#include "mm/shadow.h"

#define PERDOMAIN_SLOT 260
#define WINDOW_FLAGS   (PTE_P | PTE_A | PTE_D | PTE_NX)
#define LINK_FLAGS     (PTE_P | PTE_RW | PTE_A | PTE_D)

void pt_fill_hv_slots(struct domain_mm *d, uint64_t *l4)
{
	const uint64_t *idle = mfn_map(pt_idle_l4());

	for (unsigned i = HV_L4_FIRST; i <= HV_L4_LAST; i++)
		l4[i] = idle[i];
	l4[PERDOMAIN_SLOT] =
	        mfn_eq(d->perdomain_l3, INVALID_MFN) ? 0 : d->perdomain_l3.m << PAGE_SHIFT | LINK_FLAGS;
}

void pt_show_m2p(struct domain_mm *d, mfn_t l4, bool show)
{
	uint64_t *slot = (uint64_t *)mfn_map_own(l4) + M2P_SLOT;
	const uint64_t *idle = mfn_map(pt_idle_l4());

	/* The processor may have marked it as accessed. */
	if (likely(!!(PTE_P & READ_ONCE(*slot)) == show))
		return;
	spin_lock(&d->lock);
	if (!d->linear_l4) { /* else the copies have it or have it not */
		WRITE_ONCE(*slot, show ? idle[M2P_SLOT] : 0);
		dirty_log_mark(d, l4);
		l4_changed(d);
	}
	spin_unlock(&d->lock);
}

/* Index of a page of the window at each level below L4. */
static void window_index(unsigned vcpu, unsigned page, unsigned index[3])
{
	unsigned n = vcpu * PERDOMAIN_VCPU_PAGES + page;

	index[0] = n % TABLE_ENTRIES;
	index[1] = n / TABLE_ENTRIES % TABLE_ENTRIES;
	index[2] = 0;
}

int perdomain_init(struct domain_mm *d)
{
	mfn_t l3;

	if (!mfn_eq(d->perdomain_l3, INVALID_MFN))
		return 0;
	l3 = heap_alloc(0, 0);
	if (mfn_eq(l3, INVALID_MFN))
		return -ENOMEM;
	d->perdomain_l3 = l3;
	return 0;
}

int perdomain_map(struct domain_mm *d, unsigned vcpu, unsigned page, mfn_t mfn, bool writable)
{
	unsigned index[3];
	uint64_t *table, *pe;
	int rc;

	if (page >= PERDOMAIN_VCPU_PAGES)
		return -EINVAL;
	window_index(vcpu, page, index);
	spin_lock(&d->lock);
	rc = perdomain_init(d);
	if (rc)
		goto out;
	table = mfn_map_own(d->perdomain_l3);
	for (unsigned level = 2; level >= 1; level--) {
		pe = &table[index[level]];
		if (!(*pe & PTE_P)) {
			mfn_t next = heap_alloc(0, 0);

			if (mfn_eq(next, INVALID_MFN)) {
				rc = -ENOMEM;
				goto out;
			}
			WRITE_ONCE(*pe, next.m << PAGE_SHIFT | LINK_FLAGS);
		}
		table = mfn_map_own(PTE_MFN(*pe));
	}
	WRITE_ONCE(table[index[0]], mfn_eq(mfn, INVALID_MFN)
	                                    ? 0
	                                    : mfn.m << PAGE_SHIFT | WINDOW_FLAGS | (writable ? PTE_RW : 0));
out:
	spin_unlock(&d->lock);
	return rc;
}

bool perdomain_set(struct domain_mm *d, unsigned vcpu, unsigned page, mfn_t mfn, bool writable)
{
	unsigned index[3];
	uint64_t *table;

	if (page >= PERDOMAIN_VCPU_PAGES || mfn_eq(d->perdomain_l3, INVALID_MFN))
		return false;
	window_index(vcpu, page, index);
	table = mfn_map_own(d->perdomain_l3);
	for (unsigned level = 2; level >= 1; level--) {
		uint64_t e = READ_ONCE(table[index[level]]);

		if (!(e & PTE_P))
			return false;
		table = mfn_map_own(PTE_MFN(e));
	}
	WRITE_ONCE(table[index[0]], mfn.m << PAGE_SHIFT | WINDOW_FLAGS | (writable ? PTE_RW : 0));
	return true;
}

mfn_t perdomain_lookup(struct domain_mm *d, unsigned vcpu, unsigned page)
{
	unsigned index[3];
	mfn_t table = d->perdomain_l3;

	if (page >= PERDOMAIN_VCPU_PAGES || mfn_eq(table, INVALID_MFN))
		return INVALID_MFN;
	window_index(vcpu, page, index);
	for (int level = 2; level >= 0; level--) {
		uint64_t e = READ_ONCE(((const uint64_t *)mfn_map(table))[index[level]]);

		if (!(e & PTE_P))
			return INVALID_MFN;
		table = PTE_MFN(e);
	}
	return table;
}

void domain_mm_destroy(struct domain_mm *d)
{
	CHECK(!d->tot_pages && !d->shared_count && !d->release_head);
	l4_copies_forget(d);
	shadow_free(d);
	dirty_log_free(d);
	rangeset_free(&d->iomem);
	hv_free(d->map);
	if (mfn_eq(d->perdomain_l3, INVALID_MFN))
		return;
	for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
		uint64_t l2e = ((const uint64_t *)mfn_map(d->perdomain_l3))[i];

		for (unsigned j = 0; (l2e & PTE_P) && j < TABLE_ENTRIES; j++) {
			uint64_t l1e = ((const uint64_t *)mfn_map(PTE_MFN(l2e)))[j];

			if (l1e & PTE_P)
				heap_free(PTE_MFN(l1e), 0);
		}
		if (l2e & PTE_P)
			heap_free(PTE_MFN(l2e), 0);
	}
	heap_free(d->perdomain_l3, 0);
	d->perdomain_l3 = INVALID_MFN;
}
