/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames that are not the domain's own cannot be mapped or typed */
#include "guest.h"

const char test_name[] = "pt-foreign";

void run(void)
{
	void *page = page_alloc();
	struct mmuext_op op = { .cmd = MMUEXT_PIN_L1_TABLE, .arg1.mfn = mfn_of(page) };
	struct mmu_update u = { entry_maddr(page, 1), PTE(mfn_of(page)) };
	unsigned long hv = 0;

	/* The frame of the hypervisor's tables behind our own L4's slot 261: surely not ours. */
	hv = (((const uint64_t *)start_info->pt_base)[261] & ADDR) / PAGE;
	if (hv) {
		EXPECT_EQ(map(page, PTE(hv)), -EBUSY);
		EXPECT_EQ(map(page, PTE_RO(hv)), -EBUSY);
		EXPECT_EQ(mmuext(MMUEXT_PIN_L1_TABLE, hv, 0), -EINVAL);
	}
	EXPECT_EQ(map(page, PTE(0xffffffffful)), -EPERM);
	EXPECT_EQ(HC(mmu_update, &u, 1, NULL, 77), -ESRCH);
	EXPECT_EQ(HC(mmuext_op, &op, 1, NULL, 77), -ESRCH);
	EXPECT_EQ(HC(update_va_mapping_otherdomain, page, u.val, 0, 77), -ESRCH);
}
