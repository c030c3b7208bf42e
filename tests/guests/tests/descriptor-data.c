/* SPDX-License-Identifier: GPL-2.0-or-later */
/* update_descriptor into a page that is no descriptor table: that word changes, and no other */
#include "guest.h"

const char test_name[] = "descriptor-data";

/* What would be present data and code segments of ring 0, if it were descriptors. */
#define DATA_LIKE 0x0000900000001234ul
#define CODE_LIKE 0x0000980012340000ul

void run(void)
{
	uint64_t *page = page_alloc();
	unsigned long mfn = mfn_of(page);

	for (unsigned mapped = 0; mapped < 2; mapped++) {
		page[0] = DATA_LIKE;
		page[1] = ~0ul;
		page[5] = CODE_LIKE;
		if (!mapped) {
			EXPECT_EQ(map(page, 0), 0);
			EXPECT_EQ(mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
		}
		EXPECT_EQ(HC(update_descriptor, mfn * PAGE + 8, 0), 0);
		if (!mapped)
			EXPECT_EQ(map(page, PTE(mfn)), 0);
		EXPECT_EQ(page[0], DATA_LIKE);
		EXPECT_EQ(page[1], 0);
		EXPECT_EQ(page[5], CODE_LIKE);
	}
}
