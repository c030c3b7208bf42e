/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ring 3 "user": system calls, exceptions and privileges */
#include "guest.h"

const char test_name[] = "user-mode";

static void do_syscall(void)
{
	__asm__ volatile("mov $0x1234, %eax; syscall");
}

static void do_cli(void)
{
	__asm__ volatile("cli");
}

static void do_rdmsr(void)
{
	__asm__ volatile("rdmsr" : : "c"(0xc0000080));
}

static void do_int80(void)
{
	__asm__ volatile("int $0x80");
}

static void do_int20(void)
{
	__asm__ volatile("int $0x20");
}

static void do_load(void)
{
	(void)*(volatile char *)0x7000;
}

void run(void)
{
	struct user_result r;

	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of((void *)start_info->pt_base), 0), 0);
	r = user_run(do_syscall);
	EXPECT_EQ(r.vector, 256);
	EXPECT_EQ(r.rax, 0x1234);
	EXPECT_EQ(r.cs & 3, 3);
	r = user_run(do_cli);
	EXPECT_EQ(r.vector, 13);
	EXPECT_EQ(r.error, 0);
	EXPECT_EQ(user_run(do_rdmsr).vector, 13);
	EXPECT_EQ(user_run(do_int80).vector, 0x80);
	EXPECT_EQ(user_run(do_int20).vector, 13);
	r = user_run(do_load);
	EXPECT_EQ(r.vector, 14);
	EXPECT_EQ(r.error & 7, 4);
	EXPECT_EQ(r.cr2, 0x7000);
}
