/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pinning: only what is nowhere writable, as one type at a time, and once */
#include "guest.h"

const char test_name[] = "pt-pin";

void run(void)
{
	char *page = page_alloc(), *other = page_alloc();
	unsigned long mfn = mfn_of(page);

	EXPECT_EQ(mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0), -EINVAL);
	EXPECT_EQ(mmuext(MMUEXT_UNPIN_TABLE, mfn, 0), -EINVAL);
	EXPECT_EQ(map_read_only(page), 0);
	EXPECT_EQ(mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0), 0);
	EXPECT_EQ(mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0), -EINVAL);
	EXPECT_EQ(mmuext(MMUEXT_PIN_L2_TABLE, mfn, 0), -EINVAL);
	EXPECT_EQ(map_writable(page), -EBUSY);
	EXPECT_EQ(map(other, PTE(mfn)), -EBUSY);
	EXPECT_EQ(mmuext(MMUEXT_UNPIN_TABLE, mfn, 0), 0);
	EXPECT_EQ(mmuext(MMUEXT_UNPIN_TABLE, mfn, 0), -EINVAL);
	EXPECT_EQ(map_writable(page), 0);
	page[5] = 1;
	EXPECT_EQ(mmuext(MMUEXT_PIN_L1_TABLE, 0x7ffffffff, 0), -EINVAL);
	EXPECT_EQ(mmuext(MMUEXT_PIN_L1_TABLE, ~0ul, 0), -EINVAL);
}
