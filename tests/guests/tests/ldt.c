/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MMUEXT_SET_LDT: selectors of the local table */
#include "guest.h"

const char test_name[] = "ldt";

static void load_ldt_ds(void *unused)
{
	(void)unused;
	__asm__ volatile("mov %0, %%ds" : : "r"((uint16_t)(8 | 4 | 3)));
}

static void load_null_ds(void *unused)
{
	(void)unused;
	__asm__ volatile("mov %0, %%ds" : : "r"((uint16_t)0));
}

void run(void)
{
	uint64_t *ldt = page_alloc();

	ldt[1] = 0x00cff2000000ffff;
	EXPECT_EQ(guarded(load_ldt_ds, NULL).vector, 13);
	EXPECT_EQ(map_read_only(ldt), 0);
	EXPECT_EQ(mmuext(MMUEXT_SET_LDT, (unsigned long)ldt, 9000), -EINVAL);
	EXPECT_EQ(mmuext(MMUEXT_SET_LDT, (unsigned long)ldt + 8, 2), -EINVAL);
	EXPECT_EQ(mmuext(MMUEXT_SET_LDT, (unsigned long)ldt, 512), 0);
	EXPECT_EQ(guarded(load_ldt_ds, NULL).vector, -1);
	guarded(load_null_ds, NULL);
	EXPECT_EQ(map_writable(ldt), -EBUSY);
	EXPECT_EQ(mmuext(MMUEXT_SET_LDT, 0, 0), 0);
	EXPECT_EQ(guarded(load_ldt_ds, NULL).vector, 13);
	EXPECT_EQ(map_writable(ldt), 0);
}
