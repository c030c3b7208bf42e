/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The small guest of fakeguest.h against what was restored of it in domain 2. */
#ifndef XYLEM_TEST_RESTOREDGUEST_H
#define XYLEM_TEST_RESTOREDGUEST_H

#include "../../lib/check.h"
#include "fakeguest.h"

static uint64_t new_frames[PFNS];

static bool read_new_p2m(void)
{
	const struct start_info *start;
	uint64_t root = fake_domains[2].contexts[0].user_regs.rdx, leaf[3];
	const uint64_t *l1 = NULL;

	/* by the same way as the guest's own: its L4, to what L2 entry 1 maps */
	if (fake_owner(root) != 2)
		return false;
	start = (const struct start_info *)(const void *)fake_page(root);
	if (start->store_evtchn != 8 || start->console.domU.evtchn != 7)
		return false;
	l1 = (const uint64_t *)(const void *)fake_page(fake_domains[2].contexts[0].ctrlreg[3] >> 12);
	for (unsigned i = 0; i < 3; i++)
		l1 = (const uint64_t *)(const void *)fake_page((l1[i == 2] & UINT64_C(0xffffffffff000)) >>
		                                               12);
	for (unsigned i = 0; i < 3; i++) {
		leaf[i] = (l1[i] & UINT64_C(0xffffffffff000)) >> 12;
		for (unsigned j = 0; j < 512 && 512 * i + j < PFNS; j++) {
			uint64_t entry = ((const uint64_t *)(const void *)fake_page(leaf[i]))[j];

			new_frames[512 * i + j] = entry == UINT64_MAX ? 0 : entry;
		}
	}
	return true;
}

/* A page table of the new domain against the one of the old: the same but for its frames. */
static bool same_table(unsigned pfn, bool l4)
{
	const uint64_t *old = guest_words(pfn),
	               *new = (const uint64_t *)(const void *)fake_page(new_frames[pfn]);

	for (unsigned i = 0; i < 512; i++) {
		uint64_t want = old[i];

		if (l4 && i == 256)
			want = 0;
		for (unsigned j = 0; want & 1 && j < PFNS; j++)
			if (guest_frames[j] && guest_frames[j] == old[i] >> 12) {
				want = new_frames[j] << 12 | (old[i] & 0xfff);
				break;
			}
		if (new[i] != want)
			return false;
	}
	return true;
}

static void check_memory(void)
{
	unsigned type;

	CHECK_THAT(read_new_p2m());
	for (unsigned pfn = 0; pfn < PFNS; pfn++) {
		CHECK_THAT(!guest_frames[pfn] == !new_frames[pfn]);
		if (!guest_frames[pfn] || !new_frames[pfn])
			continue;
		CHECK_THAT(fake_owner(new_frames[pfn]) == 2);
		type = *fake_type(guest_frames[pfn]) & 7;
		if (type)
			CHECK_THAT(same_table(pfn, type == 4));
		else if (pfn != START_INFO && (pfn < LEAF || pfn >= LEAF + 3))
			CHECK_THAT(memcmp(fake_page(guest_frames[pfn]), fake_page(new_frames[pfn]),
			                  XYL_PAGE_BYTES) == 0);
	}
}

#endif
