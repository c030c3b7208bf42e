/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hypervisor's slots of an L4 cannot be written, and come by themselves into a new one */
#include "guest.h"

const char test_name[] = "pt-l4-slots";

void run(void)
{
	uint64_t *l4 = page_alloc();
	const uint64_t *current = (const uint64_t *)start_info->pt_base;
	unsigned long base = mfn_of(current) * PAGE;

	for (unsigned slot = 256; slot <= 271; slot++) {
		EXPECT_EQ(mmu_update(base + slot * 8, 0), -EINVAL);
		EXPECT_EQ(mmu_update(base + slot * 8, current[511]), -EINVAL);
	}
	l4[511] = current[511];
	EXPECT_EQ(map_read_only(l4), 0);
	EXPECT_EQ(mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(l4), 0), 0);
	EXPECT_EQ(mmuext(MMUEXT_NEW_BASEPTR, mfn_of(l4), 0), 0);
	/* We run on it: the M2P table is there. */
	EXPECT_EQ(((uint64_t *)0xffff800000000000)[mfn_of(l4)], ((unsigned long)l4 - VIRT_BASE) / PAGE);
	EXPECT_EQ(mmuext(MMUEXT_NEW_BASEPTR, mfn_of(current), 0), 0);
	EXPECT_EQ(mmuext(MMUEXT_UNPIN_TABLE, mfn_of(l4), 0), 0);
	EXPECT_EQ(map_writable(l4), 0);
	EXPECT_EQ(l4[511] & ADDR, current[511] & ADDR);
}
