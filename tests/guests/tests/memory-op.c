/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reservations: giving frames back, asking for others, exchanging */
#include "guest.h"

const char test_name[] = "memory-op";

void run(void)
{
	char *page = page_alloc();
	xen_pfn_t mfn = mfn_of(page), pfn = ((unsigned long)page - VIRT_BASE) / PAGE, out;
	domid_t self = DOMID_SELF;
	struct xen_memory_reservation r = { .nr_extents = 1, .extent_order = 0, .domid = DOMID_SELF };
	struct xen_memory_exchange x = { .in = { .nr_extents = 1, .domid = DOMID_SELF },
		                         .out = { .nr_extents = 1, .domid = DOMID_SELF } };
	long before = HC(memory_op, XENMEM_current_reservation, &self);

	EXPECT(before > 0);
	EXPECT(HC(memory_op, XENMEM_maximum_reservation, &self) >= before);
	EXPECT(HC(memory_op, XENMEM_maximum_ram_page, NULL) > before);
	/* Still mapped: the frame leaves the domain, the mapping is not allowed any more. */
	EXPECT_EQ(map(page, 0), 0);
	set_xen_guest_handle(r.extent_start, &mfn);
	EXPECT_EQ(HC(memory_op, XENMEM_decrease_reservation, &r), 1);
	EXPECT_EQ(HC(memory_op, XENMEM_current_reservation, &self), before - 1);
	EXPECT_EQ(map(page, PTE(mfn)), -EBUSY);
	EXPECT_EQ(HC(memory_op, XENMEM_decrease_reservation, &r), 0);
	set_xen_guest_handle(r.extent_start, &pfn);
	EXPECT_EQ(HC(memory_op, XENMEM_populate_physmap, &r), 1);
	EXPECT_EQ(HC(memory_op, XENMEM_current_reservation, &self), before);
	EXPECT_EQ(((uint64_t *)0xffff800000000000)[pfn], ((unsigned long)page - VIRT_BASE) / PAGE);
	mfn = pfn;
	EXPECT_EQ(map(page, PTE(mfn)), 0);
	for (unsigned i = 0; i < PAGE; i++)
		EXPECT_EQ(page[i], 0);
	EXPECT_EQ(map(page, 0), 0);
	out = ((unsigned long)page - VIRT_BASE) / PAGE;
	set_xen_guest_handle(x.in.extent_start, &mfn);
	set_xen_guest_handle(x.out.extent_start, &out);
	EXPECT_EQ(HC(memory_op, XENMEM_exchange, &x), 0);
	EXPECT_EQ(x.nr_exchanged, 1);
	EXPECT_EQ(map(page, PTE(out)), 0);
	page[0] = 1;
	EXPECT_EQ(HC(memory_op, XENMEM_current_reservation, &self), before);
	r.domid = 77;
	EXPECT(HC(memory_op, XENMEM_populate_physmap, &r) <= 0);
}
