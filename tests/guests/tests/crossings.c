/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SYSCALL and HYPERVISOR_iret to the bit: registers, flags, the frame and the event mask, in the plain case
 * (which a hypervisor may have a fast path for) and in each that is next to it.
 */
#include "guest.h"

const char test_name[] = "crossings";

#define USER_CS    0xe033ul
#define USER_SS    0xe02bul
#define IF         0x200ul
#define OF         0x800ul
#define AC         0x40000ul
#define NT         0x4000ul
#define IN_SYSCALL 0x100ul
#define MASK       shared->vcpu_info[0].evtchn_upcall_mask
#define PENDING    shared->vcpu_info[0].evtchn_upcall_pending

/* What iret is given, and what was found where the guest came out. */
struct gprs {
	uint64_t rbx, rdx, rsi, rdi, rbp, r8, r9, r10, r12, r13, r14, r15, rax;
};
struct crossing {
	uint64_t frame[9]; /* rax, r11, rcx, flags, rip, cs, rflags, rsp, ss */
	struct gprs in;
	uint64_t where; /* 1: syscall callback, 2: the guest's kernel */
	struct gprs out;
	uint64_t rflags; /* the kernel's, at the callback */
	uint64_t mask;
	uint64_t sp;        /* where the frame lay */
	uint64_t bounce[7]; /* rcx, r11, rip, cs, rflags, rsp, ss */
} crossing;
enum { RAX, R11, RCX, FLAGS, RIP, CS, RFLAGS, RSP, SS };
enum { B_RCX, B_R11, B_RIP, B_CS, B_RFLAGS, B_RSP, B_SS };

uint8_t *mask_byte;
uint64_t kept_sp, iret_sp; /* iret_sp: where the frame for iret is built, 0: on the stack */
void cross(void);
extern char user_code[], user_end[], kernel_code[], on_syscall[];

__asm__(".text\n"
        "cross:\n"
        "	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "	mov %rsp, kept_sp(%rip)\n"
        "	mov iret_sp(%rip), %rax\n"
        "	test %rax, %rax\n"
        "	jz 1f\n"
        "	lea 72(%rax), %rsp\n"
        "1:	lea crossing(%rip), %rax\n"
        "	push 64(%rax); push 56(%rax); push 48(%rax); push 40(%rax); push 32(%rax)\n"
        "	push 24(%rax); push 16(%rax); push 8(%rax); push (%rax)\n"
        "	mov 72(%rax), %rbx; mov 80(%rax), %rdx; mov 88(%rax), %rsi; mov 96(%rax), %rdi\n"
        "	mov 104(%rax), %rbp; mov 112(%rax), %r8; mov 120(%rax), %r9; mov 128(%rax), %r10\n"
        "	mov 136(%rax), %r12; mov 144(%rax), %r13; mov 152(%rax), %r14; mov 160(%rax), %r15\n"
        "	mov $23, %eax\n"
        "	syscall\n"
        "	ud2\n"
        /* rcx and r11 as they came are seen in r14 and r15. */
        "user_code:\n"
        "	mov %rcx, %r14; mov %r11, %r15\n"
        "	syscall\n"
        "user_end:\n"
        "	ud2\n"
        "kernel_code:\n"
        "	mov %rcx, %r14; mov %r11, %r15\n"
        "	push $0; push $0; push $0; push $0; push $0; push $0; push $0\n"
        "	push $2\n"
        "	jmp landed\n"
        "on_syscall:\n"
        "	push $1\n"
        "landed:\n"
        "	pushfq\n"
        "	push %rax\n"
        "	cld\n"
        "	lea crossing(%rip), %rax\n"
        "	mov %rbx, 184(%rax); mov %rdx, 192(%rax); mov %rsi, 200(%rax); mov %rdi, 208(%rax)\n"
        "	mov %rbp, 216(%rax); mov %r8, 224(%rax); mov %r9, 232(%rax); mov %r10, 240(%rax)\n"
        "	mov %r12, 248(%rax); mov %r13, 256(%rax); mov %r14, 264(%rax); mov %r15, 272(%rax)\n"
        "	pop %rbx; mov %rbx, 280(%rax)\n"
        "	pop 288(%rax)\n"
        "	pop 176(%rax)\n"
        "	mov mask_byte(%rip), %rbx; movzbl (%rbx), %ebx; mov %rbx, 296(%rax)\n"
        "	mov %rsp, 304(%rax)\n"
        "	pop 312(%rax); pop 320(%rax); pop 328(%rax); pop 336(%rax); pop 344(%rax); pop 352(%rax); pop 360(%rax)\n"
        "	mov kept_sp(%rip), %rsp\n"
        "	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "	ret\n");

_Static_assert(offsetof(struct crossing, in) == 72 && offsetof(struct crossing, where) == 176 &&
                       offsetof(struct crossing, out) == 184 && offsetof(struct crossing, rflags) == 288 &&
                       offsetof(struct crossing, bounce) == 312,
               "the assembly above knows them");

static char stacks[4][PAGE] __attribute__((aligned(4096)));
static unsigned upcalls;

static void upcall(struct regs *r)
{
	(void)r;
	upcalls++;
	PENDING = 0;
	EXPECT_EQ(MASK, 1);
}

/* To code with these flags of the frame, RFLAGS and CS; comes back with everything looked at. */
static void go(void *code, uint64_t flags, uint64_t rflags, uint64_t cs)
{
	struct crossing *c = &crossing;
	const uint64_t *in = &c->in.rbx, *out = &c->out.rbx;

	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < 12; i++)
		((uint64_t *)&c->in)[i] = 0x1111111100000000ul * (i + 1) + i;
	c->frame[RAX] = 23; /* which is iret's number to a kernel, and nothing to a user program */
	c->frame[R11] = 0xb11b11;
	c->frame[RCX] = 0xccccc;
	c->frame[FLAGS] = flags;
	c->frame[RIP] = (uint64_t)code;
	c->frame[CS] = cs;
	c->frame[RFLAGS] = rflags;
	c->frame[RSP] = (uint64_t)stacks[1] - 24;
	c->frame[SS] = USER_SS & ~(cs == USER_CS ? 0 : 3ul);
	MASK = 1;
	cross();
	for (unsigned i = 0; i < 10; i++)
		EXPECT_EQ(out[i], in[i]);
	EXPECT_EQ(c->out.rax, 23);
	if (!(flags & IN_SYSCALL)) {
		EXPECT_EQ(c->out.r14, 0xccccc);
		EXPECT_EQ(c->out.r15, 0xb11b11);
	}
}

static void to_user(uint64_t flags, uint64_t rflags)
{
	struct crossing *c = &crossing;
	bool masked = !(rflags & IF);

	go(user_code, flags, rflags, USER_CS);
	EXPECT_EQ(c->where, 1);
	EXPECT_EQ(c->bounce[B_RIP], (uint64_t)user_end);
	EXPECT_EQ(c->bounce[B_RCX], (uint64_t)user_end);
	EXPECT_EQ(c->bounce[B_R11] & ~IF, rflags & ~IF);
	EXPECT_EQ(c->bounce[B_CS], USER_CS | (uint64_t)masked << 32);
	EXPECT_EQ(c->bounce[B_RFLAGS], rflags);
	EXPECT_EQ(c->bounce[B_RSP], (uint64_t)stacks[1] - 24);
	EXPECT_EQ(c->bounce[B_SS], USER_SS);
	EXPECT_EQ(c->rflags & (AC | NT | 0x100), 0);
	EXPECT_EQ(c->rflags & (IF | OF | 2), IF | (rflags & OF) | 2);
	EXPECT_EQ(c->mask, 1);
}

static void callback(uint16_t type, void *address, uint16_t flags)
{
	struct callback_register r = { .type = type, .flags = flags, .address = (unsigned long)address };

	EXPECT_EQ(HC(callback_op, CALLBACKOP_register, &r), 0);
}

static void refused(void *unused)
{
	(void)unused;
	go(user_code, 0, IF | 2, 0x10b);
}

void run(void)
{
	struct fault fault;
	static const uint64_t flags[] = { 0, IN_SYSCALL };
	uint64_t sp = (uint64_t)stacks[3];

	mask_byte = &MASK;
	event_hook = upcall;
	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of((void *)start_info->pt_base), 0), 0);
	callback(CALLBACKTYPE_syscall, on_syscall, CALLBACKF_mask_events);

	for (unsigned i = 0; i < 2; i++) {
		iret_sp = 0;
		EXPECT_EQ(HC(stack_switch, USER_SS, sp), 0);
		to_user(flags[i], IF | 2);
		EXPECT_EQ(crossing.sp, sp - 56);
		to_user(flags[i], IF | OF | 0x81 | 2);
		to_user(flags[i], IF | AC | 2);
		/* The kernel's stack: not aligned, and the frame across two pages. */
		EXPECT_EQ(HC(stack_switch, USER_SS, sp + 31), 0);
		to_user(flags[i], IF | 2);
		EXPECT_EQ(crossing.sp, sp + 16 - 56);
		/* The frame of iret across two pages. */
		iret_sp = sp - PAGE - 40;
		to_user(flags[i], IF | 2);
		iret_sp = 0;

		/* Events masked in user mode: one that is pending waits. */
		upcalls = 0;
		PENDING = 1;
		to_user(flags[i], 2);
		EXPECT_EQ(upcalls, 0);
		/* Not masked: it comes first, and the user program runs then. */
		to_user(flags[i], IF | 2);
		EXPECT_EQ(upcalls, 1);
		EXPECT_EQ(PENDING, 0);

		/* Kernel to kernel. */
		go(kernel_code, flags[i], IF | 2, USER_CS & ~3ul);
		EXPECT_EQ(crossing.where, 2);
		EXPECT_EQ(crossing.mask, 0);
		go(kernel_code, flags[i], 2, USER_CS & ~3ul);
		EXPECT_EQ(crossing.mask, 1);
		PENDING = 1;
		go(kernel_code, flags[i], IF | 2, USER_CS & ~3ul);
		EXPECT_EQ(upcalls, 2);
		MASK = 1;
	}

	/* A frame that the processor refuses: the program that it names has the fault. */
	fault = guarded(refused, NULL);
	EXPECT_EQ(fault.vector, 13);
	EXPECT_EQ(fault.error, 0x108);
	EXPECT_EQ(fault.rip, (uint64_t)user_code);
	EXPECT_EQ(fault.cs & 0xffff, 0x10b);
	MASK = 1;

	/* A syscall callback that leaves events as they are. */
	callback(CALLBACKTYPE_syscall, on_syscall, 0);
	go(user_code, IN_SYSCALL, IF | 2, USER_CS);
	EXPECT_EQ(crossing.where, 1);
	EXPECT_EQ(crossing.mask, 0);
	MASK = 1;
}
