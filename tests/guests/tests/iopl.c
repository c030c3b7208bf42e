/* SPDX-License-Identifier: GPL-2.0-or-later */
/* I/O privilege: levels 0, 1 and 3 by physdev_op and, with architectural_iopl, by iret; CLI, STI, POPF, IN of
 * kernel and user */
#include "guest.h"

const char test_name[] = "iopl";

static void cli(void *p)
{
	(void)p;
	__asm__ volatile("cli");
}

static void sti(void *p)
{
	(void)p;
	__asm__ volatile("sti");
}

static void in(void *p)
{
	(void)p;
	__asm__ volatile("inb $0x71, %%al" : : : "eax");
}

static void breakpoint(void *p)
{
	(void)p;
	__asm__ volatile("int3");
}

static void popf(void *p)
{
	(void)p;
	__asm__ volatile("pushfq; orl $0x3000, (%rsp); popfq");
}

static void cli_in_user(void)
{
	__asm__ volatile("cli; mov $7, %eax; syscall");
}

static void in_in_user(void)
{
	__asm__ volatile("inb $0x71, %al; mov $7, %eax; syscall");
}

static void set_level(unsigned level)
{
	struct physdev_set_iopl iopl = { .iopl = level };

	EXPECT_EQ(HC(physdev_op, PHYSDEVOP_set_iopl, &iopl), 0);
}

/* To the next instruction, by an iret frame of the kernel's with these flags. */
static void iret_with(unsigned long rflags)
{
	__asm__ volatile("mov %%rsp, %%rax\n"
	                 "pushq $0xe02b\n"
	                 "pushq %%rax\n"
	                 "pushq %0\n"
	                 "pushq $0xe030\n"
	                 "pushq $1f\n"
	                 "pushq $0\n"
	                 "pushq $0\n"
	                 "pushq $0\n"
	                 "pushq $0\n"
	                 "movl $23, %%eax\n"
	                 "syscall\n"
	                 "1:"
	                 :
	                 : "r"(rflags)
	                 : "rax", "rcx", "r11", "memory", "cc");
}

static void expect_kernel(bool allowed)
{
	int vector = allowed ? -1 : 13;
	uint8_t mask = shared->vcpu_info[0].evtchn_upcall_mask;

	EXPECT_EQ(guarded(cli, NULL).vector, vector);
	EXPECT_EQ(guarded(sti, NULL).vector, vector);
	EXPECT_EQ(guarded(in, NULL).vector, vector);
	EXPECT_EQ(guarded(popf, NULL).vector, -1);
	if (allowed)
		EXPECT_EQ(shared->vcpu_info[0].evtchn_upcall_mask, mask);
}

static void expect_user(bool allowed)
{
	EXPECT_EQ(user_run(cli_in_user).vector, allowed ? 256 : 13);
	EXPECT_EQ(user_run(in_in_user).vector, allowed ? 256 : 13);
}

static unsigned level_in_frame(void)
{
	struct fault f = guarded(breakpoint, NULL);

	EXPECT_EQ(f.vector, 3);
	return (unsigned)(f.rflags >> 12) & 3;
}

void run(void)
{
	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of((void *)start_info->pt_base), 0), 0);
	for (unsigned level = 0; level < 4; level++) {
		set_level(level);
		expect_kernel(level >= 1);
		expect_user(level == 3);
		EXPECT_EQ(level_in_frame(), 0);
		iret_with(0x202 | (3 - level) << 12); /* has no say */
		expect_kernel(level >= 1);
	}
	EXPECT_EQ(HC(vm_assist, VMASST_CMD_enable, VMASST_TYPE_architectural_iopl), 0);
	for (unsigned level = 0; level < 4; level++) {
		set_level(level);
		EXPECT_EQ(level_in_frame(), level);
		iret_with(0x202 | (3 - level) << 12);
		EXPECT_EQ(level_in_frame(), 3 - level);
		expect_kernel(true);
		expect_user(false); /* user_run()'s frame says 0 */
		EXPECT_EQ(level_in_frame(), 0);
	}
	EXPECT_EQ(HC(vm_assist, VMASST_CMD_disable, VMASST_TYPE_architectural_iopl), 0);
	set_level(0);
	expect_kernel(false);
}
