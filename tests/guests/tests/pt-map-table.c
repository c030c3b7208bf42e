/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A page table cannot be mapped writable, by any route */
#include "guest.h"

const char test_name[] = "pt-map-table";

void run(void)
{
	char *table = (char *)start_info->pt_base, *page = page_alloc();
	uint64_t writable = PTE(mfn_of(table));

	EXPECT_EQ(map(page, writable), -EBUSY);
	EXPECT_EQ(mmu_update(entry_maddr(page, 1), writable), -EBUSY);
	EXPECT_EQ(mmu_update(entry_maddr(page, 1) | MMU_PT_UPDATE_PRESERVE_AD, writable), -EBUSY);
	EXPECT_EQ(map(table, writable), -EBUSY);
	/* Read-only is fine, as often as one likes. */
	EXPECT_EQ(map(page, PTE_RO(mfn_of(table))), 0);
	EXPECT(!memcmp(page, table, 64));
	EXPECT_EQ(map_writable(page), 0);
	page[0] = 1;
}
