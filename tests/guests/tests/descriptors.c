/* SPDX-License-Identifier: GPL-2.0-or-later */
/* set_gdt and update_descriptor: what may be in a GDT and who may write it */
#include "guest.h"

const char test_name[] = "descriptors";

static uint16_t selector;

static void load_ds(void *unused)
{
	(void)unused;
	__asm__ volatile("mov %0, %%ds" : : "r"(selector));
}

void run(void)
{
	uint64_t *gdt = page_alloc();
	unsigned long frame = mfn_of(gdt);
	struct fault f;

	gdt[1] = 0x00cff2000000ffff;                  /* flat data, DPL 3 */
	EXPECT_EQ(HC(set_gdt, &frame, 512), -EINVAL); /* mapped writable */
	EXPECT_EQ(map_read_only(gdt), 0);
	EXPECT_EQ(HC(set_gdt, &frame, 512), 0);
	EXPECT_EQ(HC(set_gdt, &frame, 8192), -EINVAL);
	EXPECT_EQ(map_writable(gdt), -EBUSY);
	selector = 8 | 3;
	EXPECT_EQ(guarded(load_ds, NULL).vector, -1);
	selector = 16 | 3; /* null descriptor: not present */
	f = guarded(load_ds, NULL);
	EXPECT(f.vector == 13 || f.vector == 11);
	EXPECT_EQ(HC(update_descriptor, frame * PAGE + 16, 0x00cff2000000ffff), 0);
	EXPECT_EQ(guarded(load_ds, NULL).vector, -1);
	EXPECT_EQ(HC(update_descriptor, frame * PAGE + 24, 0x0000890000000067), -EINVAL); /* a TSS */
	EXPECT_EQ(HC(update_descriptor, frame * PAGE + 24, 0x0000820000000067), -EINVAL); /* an LDT */
	EXPECT_EQ(HC(update_descriptor, frame * PAGE + 3, 0), -EINVAL);
	EXPECT_EQ(HC(update_descriptor, mfn_of((void *)start_info->pt_base) * PAGE, 0), -EINVAL);
	selector = 0;
	load_ds(NULL);
	EXPECT_EQ(HC(set_gdt, &frame, 0), 0);
	EXPECT_EQ(map_writable(gdt), 0);
	gdt[3] = 0x0000890000000067;
	EXPECT_EQ(map_read_only(gdt), 0);
	EXPECT_EQ(HC(set_gdt, &frame, 512), -EINVAL);
	EXPECT_EQ(map_writable(gdt), 0);
}
