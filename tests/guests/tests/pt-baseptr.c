/* SPDX-License-Identifier: GPL-2.0-or-later */
/* NEW_BASEPTR and NEW_USER_BASEPTR take L4 tables only; no number stands for anything else, but 0 for "no
 * user tables" */
#include "guest.h"

const char test_name[] = "pt-baseptr";

static const unsigned long edges[] = { ~0ul,      ~0ul >> 1,  1ul << 63, ~0ul >> 12, 1ul << 52,
	                               1ul << 40, 0xffffffff, 1ul << 32, ~0ul - 1,   0xfffff };

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
	for (unsigned i = 0; i < sizeof(edges) / sizeof(*edges); i++) {
		EXPECT_EQ(mmuext(MMUEXT_NEW_BASEPTR, edges[i], 0), -EINVAL);
		EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, edges[i], 0), -EINVAL);
	}
	EXPECT_EQ(mmuext(MMUEXT_NEW_BASEPTR, 0, 0), -EINVAL);
	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
	/* Without user tables, "none" is no number either. */
	for (unsigned i = 0; i < sizeof(edges) / sizeof(*edges); i++)
		EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, edges[i], 0), -EINVAL);
	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
}
