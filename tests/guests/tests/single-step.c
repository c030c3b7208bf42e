/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RFLAGS.TF and debug registers */
#include "guest.h"

const char test_name[] = "single-step";

static volatile int hits;

static bool on_trap(struct regs *regs)
{
	if (regs->vector != 1)
		return false;
	if (++hits == 5)
		regs->rflags &= ~0x100ul;
	return true;
}

void run(void)
{
	trap_hook = on_trap;
	__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop; nop; nop; nop; nop; nop; nop; nop"
	                 :
	                 :
	                 : "memory", "cc");
	EXPECT_EQ(hits, 5);
	EXPECT_EQ(HC(set_debugreg, 0, 0xffff830000000000), -EPERM);
	EXPECT_EQ(HC(set_debugreg, 9, 0), -ENODEV);
	EXPECT_EQ(HC(set_debugreg, 0, (unsigned long)run), 0);
	EXPECT_EQ(HC(get_debugreg, 0), (long)run);
	EXPECT_EQ(HC(set_debugreg, 7, 1ul << 40), -EINVAL);
}
