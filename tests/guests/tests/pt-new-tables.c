/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A new address range, built from nothing: L3, L2, L1 linked bottom up, then taken down */
#include "guest.h"

const char test_name[] = "pt-new-tables";

void run(void)
{
	uint64_t *l1 = page_alloc(), *l2 = page_alloc(), *l3 = page_alloc();
	char *page = page_alloc();
	volatile char *there = (char *)0x8000000000; /* L4 slot 1 */
	unsigned long l4 = mfn_of((void *)start_info->pt_base) * PAGE;
	unsigned long bits = P | RW | US | A;

	page[0] = 77;
	l1[0] = PTE(mfn_of(page));
	l2[0] = mfn_of(l1) * PAGE | bits;
	l3[0] = mfn_of(l2) * PAGE | bits;
	EXPECT_EQ(mmu_update(l4 + 8, mfn_of(l3) * PAGE | bits), -EINVAL); /* still writable */
	EXPECT_EQ(map_read_only(l1), 0);
	EXPECT_EQ(map_read_only(l2), 0);
	EXPECT_EQ(map_read_only(l3), 0);
	EXPECT_EQ(mmu_update(l4 + 8, mfn_of(l3) * PAGE | bits), 0);
	EXPECT_EQ(*there, 77);
	*there = 78;
	EXPECT_EQ(page[0], 78);
	EXPECT_EQ(map_writable(l1), -EBUSY);
	EXPECT_EQ(map_writable(l3), -EBUSY);
	EXPECT_EQ(mmu_update(l4 + 8, 0), 0);
	EXPECT_EQ(mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
	EXPECT_EQ(map_writable(l1), 0);
	EXPECT_EQ(map_writable(l2), 0);
	EXPECT_EQ(map_writable(l3), 0);
	l3[0] = l2[0] = l1[0] = 0;
}
