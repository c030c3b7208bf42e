/* SPDX-License-Identifier: GPL-2.0-or-later */
/* NEW_BASEPTR and NEW_USER_BASEPTR take L4 tables only */
#include "guest.h"

const char test_name[] = "pt-baseptr";

void run(void)
{
	unsigned long l4 = mfn_of((void *)start_info->pt_base);
	unsigned long l3 = (((const uint64_t *)start_info->pt_base)[511] & ADDR) / PAGE;

	EXPECT_EQ(mmuext(MMUEXT_NEW_BASEPTR, l3, 0), -EINVAL);
	EXPECT_EQ(mmuext(MMUEXT_NEW_BASEPTR, mfn_of(page_alloc()), 0), -EINVAL);
	EXPECT_EQ(mmuext(MMUEXT_NEW_BASEPTR, ~0ul >> 12, 0), -EINVAL);
	EXPECT_EQ(mmuext(MMUEXT_NEW_BASEPTR, l4, 0), 0);
	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, l3, 0), -EINVAL);
	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, l4, 0), 0);
	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
}
