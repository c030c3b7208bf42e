/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a PV kernel finds when it starts (xen/xen.h, start-of-day memory layout) */
#include "guest.h"

const char test_name[] = "start-of-day";

static bool starts_with(const char *s, const char *prefix)
{
	while (*prefix)
		if (*s++ != *prefix++)
			return false;
	return true;
}

void run(void)
{
	const unsigned long *list = (const unsigned long *)start_info->mfn_list;
	const uint64_t *m2p = (const uint64_t *)0xffff800000000000;

	EXPECT(starts_with(start_info->magic, "xen-3.0-x86_64"));
	EXPECT(start_info->nr_pages >= 1024);
	EXPECT((start_info->flags & (SIF_PRIVILEGED | SIF_INITDOMAIN)) == (SIF_PRIVILEGED | SIF_INITDOMAIN));
	EXPECT_EQ(start_info->shared_info & (PAGE - 1), 0);
	EXPECT_EQ(start_info->pt_base & (PAGE - 1), 0);
	EXPECT(start_info->nr_pt_frames >= 4);
	EXPECT(start_info->pt_base > (unsigned long)start_info);
	for (unsigned long pfn = 0; pfn < start_info->nr_pages; pfn++)
		if (m2p[list[pfn]] != pfn)
			FAIL("pfn %lu: mfn %lu, whose M2P entry is %lu", pfn, list[pfn], m2p[list[pfn]]);
	/* Page tables are mapped read-only, everything else writable. */
	for (unsigned long i = 0; i < start_info->nr_pt_frames; i++)
		EXPECT(!(*entry_of((void *)(start_info->pt_base + i * PAGE), 1) & RW));
	EXPECT(*entry_of(start_info, 1) & RW);
	EXPECT(*entry_of(page_alloc(), 1) & RW);
	EXPECT_EQ(shared->vcpu_info[0].evtchn_upcall_mask, 1);
}
