/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fpu_taskswitch: the next FPU instruction is a #NM, once */
#include "guest.h"

const char test_name[] = "fpu";

static void use_fpu(void *p)
{
	(void)p;
	__asm__ volatile("fnop");
}

void run(void)
{
	unsigned long cr0;
	struct fault f;

	EXPECT_EQ(HC(fpu_taskswitch, 0), 0);
	EXPECT_EQ(guarded(use_fpu, NULL).vector, -1);
	EXPECT_EQ(HC(fpu_taskswitch, 1), 0);
	f = guarded(use_fpu, NULL);
	EXPECT_EQ(f.vector, 7);
	/* The handler finds the flag clear. */
	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	EXPECT_EQ(cr0 & 8, 0);
	EXPECT_EQ(guarded(use_fpu, NULL).vector, -1);
}
