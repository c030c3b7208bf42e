/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MMU_PT_UPDATE_PRESERVE_AD keeps accessed and dirty bits that the processor set */
#include "guest.h"

const char test_name[] = "pt-preserve-ad";

void run(void)
{
	char *page = page_alloc();
	uint64_t clean = PTE(mfn_of(page)) & ~(A | D);

	EXPECT_EQ(map(page, clean), 0);
	*(volatile char *)page = 1;
	EXPECT_EQ(*entry_of(page, 1) & (A | D), A | D);
	EXPECT_EQ(mmu_update(entry_maddr(page, 1) | MMU_PT_UPDATE_PRESERVE_AD, clean & ~RW), 0);
	EXPECT_EQ(*entry_of(page, 1) & (A | D | RW), A | D);
	EXPECT_EQ(mmu_update(entry_maddr(page, 1), clean & ~RW), 0);
	EXPECT_EQ(*entry_of(page, 1) & (A | D | RW), 0);
}
