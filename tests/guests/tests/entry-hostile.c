/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ways into and out of the hypervisor as nobody takes them who means well: iret to every kind of selector, address and
 * flag; breakpoints on what the hypervisor reads and writes, and such that a MOV SS holds back until the hypervisor
 * runs; single steps into it. Each ends as an exception of the guest's or is done, and the machine goes on.
 */
#include "guest.h"

const char test_name[] = "entry-hostile";

#define USER_CS    0xe033ul
#define USER_SS    0xe02bul
#define IF         0x200ul
#define IN_SYSCALL 0x100ul

/* ---- iret ---- */

static uint64_t frame[9]; /* rax, r11, rcx, flags, rip, cs, rflags, rsp, ss */
static char stack[PAGE] __attribute__((aligned(4096)));
extern char landed[];
__asm__("landed: ud2\n");

static void iret(void *unused)
{
	(void)unused;
	__asm__ volatile("mov %0, %%rsp; mov $23, %%eax; syscall; ud2" : : "r"(frame) : "memory");
}

/* To user mode: what comes of it is an exception, #UD where it has got there. */
static int iret_to(uint64_t flags, uint64_t rip, uint64_t cs, uint64_t rflags, uint64_t rsp, uint64_t ss)
{
	struct fault f;

	frame[3] = flags;
	frame[4] = rip;
	frame[5] = cs | 3;
	frame[6] = rflags;
	frame[7] = rsp;
	frame[8] = ss;
	shared->vcpu_info[0].evtchn_upcall_mask = 1; /* an upcall would land below the frame */
	f = guarded(iret, NULL);
	if (f.vector < 0)
		FAIL("iret to %#lx:%#lx, flags %#lx, stack %#lx:%#lx: nothing", cs, rip, rflags, ss, rsp);
	return f.vector;
}

static const uint64_t addresses[] = { 0,
	                              1,
	                              0x00007fffffffffff,
	                              0x0000800000000000,
	                              0x8000000000000000,
	                              0xffff7fffffffffff,
	                              0xffff800000000000,
	                              0xffff82d040000000,
	                              0xffff830000000000,
	                              0xffff87ffffffffff,
	                              0xffff880000000000,
	                              0xfffffffffffffff8,
	                              ~0ul };

static void irets(void)
{
	uint64_t rsp = (uint64_t)stack + sizeof(stack) - 64, rip = (uint64_t)landed;
	unsigned reached = 0;

	for (uint64_t flags = 0; flags <= IN_SYSCALL; flags += IN_SYSCALL) {
		for (unsigned i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
			iret_to(flags, addresses[i], USER_CS, IF | 2, rsp, USER_SS);
			iret_to(flags, rip, USER_CS, IF | 2, addresses[i], USER_SS);
		}
		for (unsigned bit = 0; bit < 64; bit++) {
			iret_to(flags, rip, USER_CS, IF | 2 | 1ul << bit, rsp, USER_SS);
			iret_to(flags, rip, USER_CS, ~(1ul << bit), rsp, USER_SS);
		}
		for (uint64_t sel = 0; sel <= 0xffff; sel += sel < 0x100 || sel >= 0xdff0 ? 4 : 0xffc) {
			reached += iret_to(flags, rip, sel, IF | 2, rsp, USER_SS) == 6;
			reached += iret_to(flags, rip, USER_CS, IF | 2, rsp, sel | 3) == 6;
			reached += iret_to(flags, rip, sel, IF | 2, rsp, sel) == 6;
		}
	}
	EXPECT(reached > 4);
}

/* ---- breakpoints on what the hypervisor touches ---- */

static unsigned hits;

static bool count_hits(struct regs *r)
{
	hits += r->vector == 1;
	return r->vector == 1;
}

/* A breakpoint for reads and writes of the word at va. */
static void watch(const volatile void *va)
{
	EXPECT_EQ(HC(set_debugreg, 7, 0), 0);
	if (!va)
		return;
	EXPECT_EQ(HC(set_debugreg, 0, va), 0);
	EXPECT_EQ(HC(set_debugreg, 7, 1 | 3 << 16 | 2 << 18), 0);
}

static volatile uint64_t word[2] __attribute__((aligned(16)));
static char area[PAGE] __attribute__((aligned(4096)));

static void copies(void)
{
	struct xen_feature_info *info = (void *)area;
	struct multicall_entry *list = (void *)(area + 256);
	struct vcpu_register_runstate_memory_area runstate = { .addr.p = (uint64_t)(area + 512) };
	uint64_t before;

	trap_hook = count_hits;
	watch(&word[0]);
	word[0] = 1;
	EXPECT(hits > 0);
	watch(info);
	EXPECT_EQ(HC(xen_version, XENVER_get_features, info), 0);
	list[0].op = __HYPERVISOR_xen_version;
	list[0].args[0] = XENVER_version;
	watch(list);
	EXPECT_EQ(HC(multicall, list, 1), 0);
	watch(&list[0].result);
	EXPECT_EQ(HC(multicall, list, 1), 0);
	watch(area + 512 + 8);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_register_runstate_memory_area, 0, &runstate), 0);
	for (unsigned i = 0; i < 20; i++)
		EXPECT_EQ(HC(sched_op, SCHEDOP_yield, NULL), 0);
	for (unsigned i = 0; i < 9; i++) {
		watch(&frame[i]);
		before = (uint64_t)stack + sizeof(stack) - 64;
		EXPECT_EQ(iret_to(i & 1 ? IN_SYSCALL : 0, (uint64_t)landed, USER_CS, IF | 2, before, USER_SS),
		          6);
	}
	watch(NULL);
}

/* ---- from user mode ---- */

static volatile uint64_t ss_word __attribute__((aligned(8))) = USER_SS;

#define USER_CODE(name, instructions)                                                         \
	static void ss_##name(void)                                                           \
	{                                                                                     \
		__asm__ volatile("mov %0, %%ss\n" instructions "\n ud2"                       \
		                 :                                                            \
		                 : "m"(ss_word)                                               \
		                 : "memory", "rax", "rcx", "rdx", "r11");                     \
	}                                                                                     \
	static void tf_##name(void)                                                           \
	{                                                                                     \
		__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq\n" instructions "\n ud2" \
		                 :                                                            \
		                 :                                                            \
		                 : "memory", "cc", "rax", "rcx", "rdx", "r11");               \
	}

USER_CODE(syscall, "syscall")
USER_CODE(sysenter, "sysenter")
USER_CODE(int3, "int3")
USER_CODE(int80, "int $0x80")
USER_CODE(int99, "int $99")
USER_CODE(icebp, ".byte 0xf1")
USER_CODE(undefined, "ud2")
USER_CODE(privileged, "rdmsr")
USER_CODE(port, "in $0x80, %%al")
USER_CODE(absent, "mov 0, %%al")
USER_CODE(divide, "xor %%edx, %%edx; div %%edx")

static void (*const codes[])(void) = { ss_syscall,    tf_syscall, ss_sysenter,  tf_sysenter,  ss_int3,
	                               tf_int3,       ss_int80,   tf_int80,     ss_int99,     tf_int99,
	                               ss_icebp,      tf_icebp,   ss_undefined, tf_undefined, ss_privileged,
	                               tf_privileged, ss_port,    tf_port,      ss_absent,    tf_absent,
	                               ss_divide,     tf_divide };

extern char kernel_stack_top[];

static void entries(void)
{
	static const int on_stack[] = { 8, 16, 24, 32, 40, 48, 56, 64 };

	for (unsigned i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct user_result r;

		watch(&ss_word);
		r = user_run(codes[i]);
		if (r.vector < 0 || r.vector > 256)
			FAIL("code %u: vector %d", i, r.vector);
		watch(NULL);
		for (unsigned k = 0; k < sizeof(on_stack) / sizeof(on_stack[0]); k++) {
			watch(kernel_stack_top - on_stack[k]);
			r = user_run(codes[i]);
			EXPECT(r.vector >= 0 && r.vector <= 256);
		}
		watch(NULL);
	}
}

void run(void)
{
	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of((void *)start_info->pt_base), 0), 0);
	irets();
	copies();
	entries();
	EXPECT_EQ(HC(xen_version, XENVER_version, NULL) >> 16, 4);
}
