/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HYPERVISOR_iret in a list of calls: the list ends there, the frame on the stack is taken, to kernel and to
 * user */
#include "guest.h"

const char test_name[] = "multicall-iret";

#define UNTOUCHED 0x5a5a5a5a5a5a5a5a

static struct multicall_entry list[4];
static struct {
	uint64_t rax, rcx, r11, rsp;
} after;
static char user_stack[4096] __attribute__((aligned(16)));
void multicall_with_frame(struct multicall_entry *list, unsigned long count, uint64_t cs, void *user_sp);
void user_part(void), back_from_user(void);

/* A frame to "taken" (or to user_part), then the multicall. What follows the SYSCALL is never reached. */
__asm__(".text\n"
        "multicall_with_frame:\n"
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "mov %rsp, after + 24(%rip)\n"
        "mov %rsp, %rax\n"
        "lea taken(%rip), %r8\n"
        "test $3, %dl\n"
        "jz 1f\n"
        "mov %rcx, %rax\n"
        "lea user_part(%rip), %r8\n"
        "1: push $0xe02b\n"
        "push %rax\n"
        "push $0x202\n"
        "push %rdx\n"
        "push %r8\n"
        "push $0\n"
        "movabs $0x1111222233334444, %rax\n"
        "push %rax\n" /* rcx */
        "movabs $0x5555666677778888, %rax\n"
        "push %rax\n" /* r11 */
        "movabs $0x12345678f2345678, %rax\n"
        "push %rax\n"
        "mov $13, %eax\n"
        "syscall\n"
        "ud2\n"
        "taken:\n"
        "mov %rax, after(%rip)\n"
        "mov %rcx, after + 8(%rip)\n"
        "mov %r11, after + 16(%rip)\n"
        "back_from_user:\n"
        "mov after + 24(%rip), %rsp\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "ret\n"
        "user_part:\n" /* rax, rcx and r11 go to the kernel in registers that SYSCALL keeps */
        "mov %rcx, %rsi\n"
        "mov %r11, %rdi\n"
        "syscall\n"
        "ud2\n");

static bool from_user(struct regs *regs)
{
	if (regs->vector != 257 || (regs->cs & 3) != 3)
		return false;
	after.rax = regs->rax;
	after.rcx = regs->rsi;
	after.r11 = regs->rdi;
	regs->cs = 0xe030;
	regs->rip = (uint64_t)back_from_user;
	regs->rsp = after.rsp;
	shared->vcpu_info[0].evtchn_upcall_mask = 1;
	return true;
}

static void one(uint64_t cs)
{
	memset(&after, 0, sizeof(after));
	memset(list, 0, sizeof(list));
	for (unsigned i = 0; i < 4; i++) {
		list[i].op = __HYPERVISOR_xen_version;
		list[i].result = UNTOUCHED;
	}
	list[1].op = __HYPERVISOR_iret;
	multicall_with_frame(list, 4, cs, user_stack + sizeof(user_stack) - 64);
	EXPECT_EQ(list[0].result >> 16, 4);
	EXPECT_EQ(list[1].result, 0x12345678f2345678);
	EXPECT_EQ(list[2].result, UNTOUCHED);
	EXPECT_EQ(list[3].result, UNTOUCHED);
	EXPECT_EQ(after.rax, (long)(int)0xf2345678);
	EXPECT_EQ(after.rcx, 0x1111222233334444);
	EXPECT_EQ(after.r11, 0x5555666677778888);
}

void run(void)
{
	trap_hook = from_user;
	one(0xe030);
	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of((void *)start_info->pt_base), 0), 0);
	one(0xe033);
	/* The list is over: another one starts from its beginning. */
	list[0].op = __HYPERVISOR_xen_version;
	EXPECT_EQ(HC(multicall, list, 1), 0);
	EXPECT_EQ(list[0].result >> 16, 4);
}
