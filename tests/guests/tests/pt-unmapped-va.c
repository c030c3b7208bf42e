/* SPDX-License-Identifier: GPL-2.0-or-later */
/* update_va_mapping where no L1 table is */
#include "guest.h"

const char test_name[] = "pt-unmapped-va";

void run(void)
{
	void *page = page_alloc();

	EXPECT_EQ(map((void *)0x123456000, PTE(mfn_of(page))), -EINVAL);
	EXPECT_EQ(map((void *)0xffff830000000000, PTE(mfn_of(page))), -EINVAL);
	EXPECT_EQ(map((void *)0xffff800000000000, PTE(mfn_of(page))), -EINVAL);
	EXPECT_EQ(map(page, 0), 0);
	EXPECT_EQ(map(page, PTE(mfn_of(page))), 0);
	*(volatile char *)page = 1;
}
