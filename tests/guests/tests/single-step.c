/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RFLAGS.TF and debug registers */
#include "guest.h"

const char test_name[] = "single-step";

static volatile int hits;
static unsigned long where[5];

static bool on_trap(struct regs *regs)
{
	if (regs->vector != 1)
		return false;
	where[hits] = regs->rip;
	if (++hits == 5)
		regs->rflags &= ~0x100ul;
	return true;
}

void run(void)
{
	unsigned long after_rdmsr, after_cr0;

	trap_hook = on_trap;
	/* Instructions that the hypervisor carries out are steps like others. */
	__asm__ volatile(
	        "pushfq; orl $0x100, (%%rsp); popfq; nop; rdmsr; 1: nop; mov %%cr0, %%rax; 2: nop; nop; nop; nop\n"
	        "lea 1b(%%rip), %0; lea 2b(%%rip), %1"
	        : "=&r"(after_rdmsr), "=&r"(after_cr0)
	        : "c"(0xc0000080)
	        : "memory", "cc", "rax", "rdx");
	EXPECT_EQ(hits, 5);
	EXPECT_EQ(where[1], after_rdmsr);
	EXPECT_EQ(where[3], after_cr0);
	hits = 0;
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
