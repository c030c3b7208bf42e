/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables with entries that are not allowed are refused when they are pinned */
#include "guest.h"

const char test_name[] = "pt-pin-contents";

static void expect_refused(uint64_t *table, int cmd, uint64_t entry, long error)
{
	long rc;

	EXPECT_EQ(map_writable(table), 0);
	table[17] = entry;
	EXPECT_EQ(map_read_only(table), 0);
	rc = mmuext((unsigned)cmd, mfn_of(table), 0);
	if (rc != error)
		FAIL("a table of kind %d with entry %#lx: %ld, not %ld", cmd, entry, rc, error);
}

void run(void)
{
	uint64_t *table = page_alloc();
	char *page = page_alloc();
	unsigned long tables = mfn_of((void *)start_info->pt_base);

	expect_refused(table, MMUEXT_PIN_L1_TABLE, PTE(tables), -EBUSY);        /* writable map of a table */
	expect_refused(table, MMUEXT_PIN_L1_TABLE, PTE(0xfffffffff), -EPERM);   /* no such frame */
	expect_refused(table, MMUEXT_PIN_L1_TABLE, PTE(mfn_of(table)), -EBUSY); /* itself, writable */
	expect_refused(table, MMUEXT_PIN_L2_TABLE, PTE(mfn_of(page)) | PSE, -EINVAL); /* superpage */
	expect_refused(table, MMUEXT_PIN_L2_TABLE, PTE(mfn_of(page)), -EINVAL); /* a writable frame as L1 */
	expect_refused(table, MMUEXT_PIN_L3_TABLE, PTE(mfn_of(page)), -EINVAL);
	expect_refused(table, MMUEXT_PIN_L4_TABLE, PTE(mfn_of(page)), -EINVAL);
	expect_refused(table, MMUEXT_PIN_L3_TABLE, PTE(mfn_of(page)) | PSE, -EINVAL);
	/* After all that it is still an ordinary page, and an empty one is a good table of any level. */
	EXPECT_EQ(map_writable(table), 0);
	memset(table, 0, PAGE);
	EXPECT_EQ(map_read_only(table), 0);
	for (int cmd = MMUEXT_PIN_L1_TABLE; cmd <= MMUEXT_PIN_L4_TABLE; cmd++) {
		EXPECT_EQ(mmuext((unsigned)cmd, mfn_of(table), 0), 0);
		EXPECT_EQ(mmuext(MMUEXT_UNPIN_TABLE, mfn_of(table), 0), 0);
	}
	EXPECT_EQ(map_writable(table), 0);
}
