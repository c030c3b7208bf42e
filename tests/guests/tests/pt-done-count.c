/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mmu_update tells exactly how many entries it carried out */
#include "guest.h"

const char test_name[] = "pt-done-count";

void run(void)
{
	char *pages[8];
	struct mmu_update u[8];
	unsigned done = 99;

	for (unsigned i = 0; i < 8; i++) {
		pages[i] = page_alloc();
		u[i] = (struct mmu_update){ entry_maddr(pages[i], 1), PTE_RO(mfn_of(pages[i])) };
	}
	EXPECT_EQ(HC(mmu_update, u, 8, &done, DOMID_SELF), 0);
	EXPECT_EQ(done, 8);
	u[5].val = PTE(mfn_of((void *)start_info->pt_base));
	for (unsigned i = 0; i < 5; i++)
		u[i].val |= RW;
	EXPECT_EQ(HC(mmu_update, u, 8, &done, DOMID_SELF), -EBUSY);
	EXPECT_EQ(done, 5);
	for (unsigned i = 0; i < 8; i++)
		EXPECT_EQ(!!(*entry_of(pages[i], 1) & RW), i < 5);
	done = 99;
	EXPECT_EQ(HC(mmu_update, u, 0, &done, DOMID_SELF), 0);
	EXPECT_EQ(done, 0);
}
