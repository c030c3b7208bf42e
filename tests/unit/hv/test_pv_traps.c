/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a paravirtual kernel is entered and left: exception frames, HYPERVISOR_iret, I/O privilege, the end of
 * an emulated instruction, and the FPU of a vcpu context. The guest's stack is ordinary memory of the test.
 */
#include "pv/cpuid.h"
#include "hw/upward.h"
#include "mm/heap.h"
#include "mm/pagetable.h"
#include "pv/address.h"
#include "pv/bounce.h"
#include "pv/decode.h"
#include "hw/entry.h"
#include "hw/fpu.h"
#include "hw/trace.h"
#include "mm/shadow.h"
#include "fake/pv.h"
#include "../../lib/check.h"
#include "pv/msr.h"
#include "pv/upward.h"
#include "pv/vcpu.h"

#define LEAF_FLAGS (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define HANDLER    0x401000ull
#define CALLBACK   0x402000ull
#define CODE       0x100

static struct domain *d;
static struct vcpu *v;
static struct cpu_user_regs *regs;
static uint64_t kernel_stack[64], user_stack[64];
#define KERNEL_TOP ((uint64_t)(uintptr_t)(kernel_stack + 64))

/* ---- what the test leaves out ---- */

struct cpu_policy policy_pv_default;

uint64_t pv_cr4_allowed(const struct domain *of)
{
	(void)of;
	return 0x20;
}

struct cpuid_regs pv_cpuid(struct vcpu *of, uint32_t leaf, uint32_t subleaf)
{
	(void)of;
	return (struct cpuid_regs){ leaf, subleaf, 1, 2 };
}

uint64_t cpu_policy_xcr0(const struct cpu_policy *policy)
{
	(void)policy;
	return 0;
}

int pv_msr_read(struct vcpu *of, uint32_t msr, uint64_t *value)
{
	(void)of;
	*value = 0x1234;
	return msr == 0x10 ? 0 : -EINVAL;
}

int pv_msr_write(struct vcpu *of, uint32_t msr, uint64_t value)
{
	(void)of, (void)msr, (void)value;
	return -EINVAL;
}

void hypercall_from_guest(struct vcpu *of, struct cpu_user_regs *r)
{
	(void)of;
	r->rax = 0;
}

/* A kernel at CODE with a handler for everything, events open, on its stack. */
static void begin(void)
{
	fake_pv_crashes = 0;
	memset(kernel_stack, 0xee, sizeof(kernel_stack));
	memset(fake_guest, 0, sizeof(fake_guest));
	memset(&v->pv.traps, 0, sizeof(v->pv.traps));
	for (unsigned i = 0; i < 32; i++)
		v->pv.traps[i] = (struct trap_gate){ .address = HANDLER + i, .cs = SEL_RING3_CS64 };
	v->pv.event_callback = v->pv.failsafe_callback = v->pv.syscall_callback = CALLBACK;
	v->pv.kernel_sp = KERNEL_TOP;
	v->pv.kernel_mode = true;
	v->pv.iopl = 0;
	v->pv.iobmp_limit = 0;
	v->pv.cr0_ts_em = 0;
	v->pv.dr[6] = 0xffff0ff0;
	v->pv.nmi_pending = v->pv.nmi_masked = v->pv.failsafe_pending = false;
	v->info->evtchn_upcall_mask = v->info->evtchn_upcall_pending = 0;
	d->vm_assist = 0;
	*regs = (struct cpu_user_regs){ .rip = CODE,
		                        .cs = SEL_RING3_CS64,
		                        .rflags = 0x202,
		                        .rsp = (uint64_t)(uintptr_t)(user_stack + 60),
		                        .ss = SEL_RING3_DS,
		                        .rcx = 0xcc,
		                        .r11 = 0x11 };
}

static void in_kernel(void)
{
	regs->rsp = KERNEL_TOP - 64;
}

static void in_user(void)
{
	v->pv.kernel_mode = false;
	pv_load_address_space(v);
}

static const uint64_t *frame(void)
{
	return (const uint64_t *)(uintptr_t)regs->rsp;
}

/* ---- exception frames ---- */

static void frame_from_the_kernel(void)
{
	begin();
	in_kernel();
	regs->entry_vector = TRAP_DE;
	regs->rflags = 0x10202 | RFLAGS_TF | RFLAGS_NT | RFLAGS_AC | RFLAGS_DF;
	trap_from_guest(regs);
	CHECK_THAT(regs->rip == HANDLER + TRAP_DE && regs->cs == SEL_RING3_CS64 && regs->ss == SEL_RING3_DS);
	CHECK_THAT(regs->rsp == KERNEL_TOP - 64 - 56 && !(regs->rsp & 7));
	CHECK_THAT(frame()[0] == 0xcc && frame()[1] == 0x11 && frame()[2] == CODE);
	CHECK_THAT(frame()[3] == (SEL_RING3_CS64 & ~3u)); /* RPL 0: kernel; the event mask above is clear */
	CHECK_THAT(frame()[4] == (0x10202 | RFLAGS_TF | RFLAGS_NT | RFLAGS_AC | RFLAGS_DF));
	CHECK_THAT(frame()[5] == KERNEL_TOP - 64 && frame()[6] == SEL_RING3_DS);
	CHECK_THAT(regs->rflags == 0x202);
	CHECK_THAT(!v->info->evtchn_upcall_mask && !fake_pv_crashes);
	verdict("an exception of the kernel: frame, flags of the handler");
}

static void frame_from_user_mode(void)
{
	begin();
	in_user();
	v->info->evtchn_upcall_mask = 1;
	v->pv.traps[TRAP_GP].mask_events = true;
	regs->entry_vector = TRAP_GP;
	regs->error_code = 0x58;
	trap_from_guest(regs);
	CHECK_THAT(v->pv.kernel_mode && fake_loaded(0).m == v->l4_kernel.m);
	CHECK_THAT(regs->rip == HANDLER + TRAP_GP && regs->rsp == KERNEL_TOP - 64);
	CHECK_THAT(frame()[2] == 0x58 && frame()[3] == CODE);
	CHECK_THAT(frame()[4] == (SEL_RING3_CS64 | 1ull << 32));
	CHECK_THAT(!(frame()[5] & RFLAGS_IF)); /* the mask's complement */
	CHECK_THAT(frame()[6] == (uint64_t)(uintptr_t)(user_stack + 60));
	CHECK_THAT(v->info->evtchn_upcall_mask == 1);
	verdict("an exception of user mode: error code, the kernel's tables and stack, the event mask");
}

static void frames_that_cannot_be(void)
{
	static const uint64_t stacks[] = { HV_VIRT_END,        HV_VIRT_END + 40,   DIRECTMAP_BASE + 4096,
		                           0x0000800000000000, 0x0000800000000020, 0x8000000000000000 };

	begin();
	for (unsigned i = 0; i < ARRAY_SIZE(stacks); i++) {
		in_kernel();
		regs->rsp = stacks[i];
		regs->entry_vector = TRAP_DE;
		fake_pv_crashes = 0;
		trap_from_guest(regs);
		CHECK_THAT(fake_pv_crashes == 1);
	}
	begin();
	in_kernel();
	v->pv.traps[TRAP_OF].address = 0;
	regs->entry_vector = TRAP_OF;
	trap_from_guest(regs);
	CHECK_THAT(fake_pv_crashes == 1 && regs->rip == CODE);
	verdict("without a handler, or on a stack that is not the guest's, the domain crashes and nothing is written");
}

static void page_faults(void)
{
	begin();
	in_user();
	fake_pv_cpus[0].cr2 = 0xdead000;
	regs->entry_vector = TRAP_PF;
	regs->error_code = PF_WRITE | PF_USER;
	trap_from_guest(regs);
	CHECK_THAT(regs->rip == HANDLER + TRAP_PF && frame()[2] == (PF_WRITE | PF_USER));
	CHECK_THAT(v->info->arch.cr2 == 0xdead000 && v->pv.cr2 == 0xdead000);
	begin();
	in_kernel();
	regs->entry_vector = TRAP_PF;
	regs->error_code = PF_WRITE | PF_USER;
	trap_from_guest(regs);
	CHECK_THAT(frame()[2] == PF_WRITE); /* the kernel, which runs in ring 3, is supervisor to itself */
	verdict("page faults: address and error code of user and kernel");
}

static void software_interrupts(void)
{
	begin();
	in_user();
	fake_guest[CODE] = 0xcd;
	fake_guest[CODE + 1] = 0x30;
	v->pv.traps[0x30] = (struct trap_gate){ .address = HANDLER + 0x30, .dpl = 3 };
	regs->entry_vector = TRAP_GP;
	regs->error_code = 0x30 * 8 + 2;
	trap_from_guest(regs);
	CHECK_THAT(regs->rip == HANDLER + 0x30 && frame()[2] == CODE + 2);
	begin();
	in_user();
	fake_guest[CODE] = 0xcd;
	fake_guest[CODE + 1] = 0x30;
	v->pv.traps[0x30] = (struct trap_gate){ .address = HANDLER + 0x30, .dpl = 0 };
	regs->entry_vector = TRAP_GP;
	regs->error_code = 0x30 * 8 + 2;
	trap_from_guest(regs);
	CHECK_THAT(regs->rip == HANDLER + TRAP_GP && frame()[2] == 0x30 * 8 + 2 && frame()[3] == CODE);
	begin();
	in_user();
	regs->entry_vector = VECTOR_INT80;
	regs->rip = CODE + 2;
	trap_from_guest(regs);
	CHECK_THAT(regs->rip == HANDLER + TRAP_GP && frame()[2] == 0x80 * 8 + 2 && frame()[3] == CODE);
	verdict("INT n: by a gate of its DPL, else a protection fault at the instruction");
}

static void events_nmis_and_failsafe(void)
{
	begin();
	in_kernel();
	v->info->evtchn_upcall_pending = 1;
	guest_exit_prepare(regs);
	CHECK_THAT(regs->rip == CALLBACK && v->info->evtchn_upcall_mask && frame()[4] & RFLAGS_IF);
	guest_exit_prepare(regs);
	CHECK_THAT(regs->rsp == KERNEL_TOP - 64 - 56); /* masked now: once */
	begin();
	in_kernel();
	v->pv.nmi_pending = true;
	guest_exit_prepare(regs);
	CHECK_THAT(regs->rip == HANDLER + TRAP_NMI && v->pv.nmi_masked && !v->pv.nmi_pending);
	v->pv.nmi_pending = true;
	guest_exit_prepare(regs);
	CHECK_THAT(v->pv.nmi_pending && regs->rsp == KERNEL_TOP - 64 - 56);
	begin();
	in_user();
	v->pv.failsafe_pending = true;
	v->pv.ds = 0x1111;
	v->pv.gs = 0x4444;
	guest_exit_prepare(regs);
	CHECK_THAT(regs->rip == CALLBACK && frame()[2] == 0x1111 && frame()[5] == 0x4444 &&
	           frame()[6] == CODE);
	verdict("events, NMIs and the failsafe callback come once each");
}

static unsigned published;

/* While an area is written an interrupt brings an event. */
static void area_written(void)
{
	CHECK_THAT(fake_irqs_on && v->pv.kernel_mode);
	published++;
	v->info->evtchn_upcall_pending = 1;
}

/* Where an access that may not wait has found no shadow page, the exit path does it again, and waits. */
static void accesses_of_a_shadowed_guest(void)
{
	mfn_t l4 = v->l4_kernel;

	begin();
	in_kernel();
	CHECK_THAT(!shadow_set_pool(&d->mm, 64));
	shadow_start(&d->mm);
	v->l4_kernel = INVALID_MFN; /* refuses all */
	CHECK_THAT(!guest_access_fault(GVA(0x1000), PF_WRITE, true) && !v->pv.areas_missed);
	CHECK_THAT(!guest_access_fault(GVA(0x1000), PF_WRITE, false) && v->pv.areas_missed);
	v->l4_kernel = l4;
	irq_disable();
	published = 0;
	fake_pv_fault_point = area_written;
	guest_exit_prepare(regs);
	CHECK_THAT(published == 1 && !v->pv.areas_missed && !fake_irqs_on);
	CHECK_THAT(regs->rip == CALLBACK && v->info->evtchn_upcall_mask && frame()[2] == CODE);
	fake_pv_fault_point = NULL;
	/* A stack that is not there ends the domain, and not in a loop. */
	begin();
	in_kernel();
	regs->rsp = HV_VIRT_END + 40;
	v->info->evtchn_upcall_pending = 1;
	fake_preempt = 1; /* there is work: the domain has crashed */
	guest_exit_prepare(regs);
	CHECK_THAT(fake_pv_crashes == 1 && !fake_irqs_on);
	fake_preempt = 0;
	shadow_stop(&d->mm);
	CHECK_THAT(!shadow_set_pool(&d->mm, 0));
	irq_enable();
	verdict("what a shadowed guest's areas have missed is written on the way out, with interrupts on");
}

static void no_fpu(void)
{
	begin();
	in_kernel();
	v->pv.cr0_ts_em = 8;
	fake_pv_cpus[0].ts = true;
	regs->entry_vector = TRAP_NM;
	trap_from_guest(regs);
	CHECK_THAT(regs->rip == HANDLER + TRAP_NM && !v->pv.cr0_ts_em && !fake_pv_cpus[0].ts);
	verdict("the handler of #NM finds CR0.TS clear");
}

/* ---- the exit path ---- */

static void put_iret(uint64_t rip, uint64_t cs, uint64_t rflags, uint64_t flags)
{
	struct iret_context *c = (struct iret_context *)(kernel_stack + 20);

	*c = (struct iret_context){ .rax = 0xaa,
		                    .r11 = 0xbb,
		                    .rcx = 0xcccc,
		                    .flags = flags,
		                    .rip = rip,
		                    .cs = cs,
		                    .rflags = rflags,
		                    .rsp = 0x7000,
		                    .ss = 0x2b };
	regs->rsp = (uint64_t)(uintptr_t)c;
	regs->entry_vector = ENTRY_SYSCALL;
}

static void irets(void)
{
	begin();
	put_iret(0x5000, 0x10000e033, ~0ull, 0);
	pv_iret(v, regs);
	CHECK_THAT(!v->pv.kernel_mode && regs->rip == 0x5000 && regs->cs == SEL_RING3_CS64 &&
	           regs->ss == 0x2b);
	CHECK_THAT(regs->rax == 0xaa && regs->rcx == 0xcccc && regs->r11 == 0xbb && !regs->entry_vector);
	CHECK_THAT(!(regs->rflags & ((uint64_t)RFLAGS_IOPL | RFLAGS_VM | RFLAGS_VIF | RFLAGS_VIP)));
	CHECK_THAT((regs->rflags & (RFLAGS_IF | RFLAGS_ONE)) == (RFLAGS_IF | RFLAGS_ONE));
	CHECK_THAT(!v->info->evtchn_upcall_mask && !v->pv.iopl);
	begin();
	put_iret(0x5000, 0xe030, 0, VGCF_in_syscall);
	pv_iret(v, regs);
	CHECK_THAT(v->pv.kernel_mode && regs->cs == SEL_RING3_CS64 && regs->entry_vector == ENTRY_SYSCALL);
	CHECK_THAT(v->info->evtchn_upcall_mask == 1 && regs->rcx == 0xcc);
	begin();
	put_iret(0x5000, 0xe033, 0, 0);
	regs->rsp = HV_VIRT_END - 8;
	pv_iret(v, regs);
	CHECK_THAT(fake_pv_crashes == 1);
	verdict("iret: to user, to kernel, flags that it may set, a frame that is not the guest's");
}

/* ---- I/O privilege ---- */

static bool runs(uint8_t opcode, bool user)
{
	memset(kernel_stack, 0xee, sizeof(kernel_stack));
	v->pv.kernel_mode = true;
	in_kernel();
	if (user)
		in_user();
	regs->rip = CODE;
	regs->rdx = 0x70;
	regs->rflags = 0x202;
	v->info->evtchn_upcall_mask = 0;
	fake_guest[CODE] = opcode;
	regs->entry_vector = TRAP_GP;
	regs->error_code = 0;
	trap_from_guest(regs);
	if (regs->rip == CODE + 1)
		return !v->info->evtchn_upcall_mask;
	CHECK_THAT(regs->rip == HANDLER + TRAP_GP && frame()[3] == CODE);
	return false;
}

static void io_privilege(void)
{
	static const uint8_t opcodes[] = { 0xfa, 0xfb, 0xec, 0xee };
	uint64_t ports[1024] = { [1] = ~0ull };

	begin();
	d->ioports = ports;
	for (unsigned assist = 0; assist < 2; assist++)
		for (unsigned iopl = 0; iopl < 4; iopl++)
			for (unsigned i = 0; i < ARRAY_SIZE(opcodes); i++) {
				d->vm_assist = assist << VMASST_TYPE_architectural_iopl;
				v->pv.iopl = iopl;
				CHECK_THAT(runs(opcodes[i], false) == (assist || iopl >= 1));
				CHECK_THAT(runs(opcodes[i], true) == (iopl == 3));
			}
	d->ioports = NULL;
	verdict("IOPL 0 to 3, with and without architectural_iopl: CLI, STI, IN and OUT of kernel and user");
}

static void iopl_in_frames(void)
{
	begin();
	v->pv.iopl = 2;
	put_iret(0x5000, 0xe030, 0x1202, 0);
	pv_iret(v, regs);
	CHECK_THAT(v->pv.iopl == 2);
	in_kernel();
	regs->entry_vector = TRAP_DE;
	trap_from_guest(regs);
	CHECK_THAT(!(frame()[4] & RFLAGS_IOPL));
	d->vm_assist = 1u << VMASST_TYPE_architectural_iopl;
	put_iret(0x5000, 0xe030, 0x1202, 0);
	pv_iret(v, regs);
	CHECK_THAT(v->pv.iopl == 1 && !(regs->rflags & RFLAGS_IOPL));
	in_kernel();
	regs->entry_vector = TRAP_DE;
	trap_from_guest(regs);
	CHECK_THAT((frame()[4] & RFLAGS_IOPL) == 1u << 12);
	verdict("architectural_iopl: frames carry the level, and iret takes it");
}

/* stack_switch of one vcpu while another one changes vm_assist: between the new stack and what the fast path goes by. */
static void assist_beside_stack_switch(void)
{
	struct vcpu *other = d->vcpus[1];

	begin();
	other->pv.syscall_masks_events = true;
	other->pv.syscall_callback = 0xffffffff80001000;
	other->pv.kernel_sp = 0xffffffff80020000;
	pv_fastpath_update(other);
	CHECK_THAT(other->pv.syscall_frame == 0xffffffff80020000 - 56);
	other->pv.syscall_frame =
	        0xffffffff80030000 - 56; /* its next stack's; kernel_sp was read too early */
	d->vm_assist = 1u << VMASST_TYPE_architectural_iopl;
	pv_assist_update(d);
	CHECK_THAT(other->pv.iopl_in_frames && other->pv.syscall_frame == 0xffffffff80030000 - 56);
	d->vm_assist = 0;
	pv_assist_update(d);
	CHECK_THAT(!other->pv.iopl_in_frames && other->pv.syscall_frame == 0xffffffff80030000 - 56);
	verdict("vm_assist leaves the stack of another vcpu that is switching it alone");
}

/* ---- the end of an emulated instruction ---- */

static void single_steps(void)
{
	static const struct {
		uint8_t bytes[8];
		unsigned length, vector;
	} insns[] = {
		{ { 0x0f, 0x31 }, 2, TRAP_GP },                            /* rdtsc */
		{ { 0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2 }, 7, TRAP_UD }, /* cpuid */
		{ { 0x0f, 0x20, 0xc0 }, 3, TRAP_GP },                      /* mov %cr0, %rax */
		{ { 0x0f, 0x32 }, 2, TRAP_GP },                            /* rdmsr */
		{ { 0xec }, 1, TRAP_GP },                                  /* in */
		{ { 0xfa }, 1, TRAP_GP },                                  /* cli */
		{ { 0x6c }, 1, TRAP_GP },                                  /* ins */
	};

	for (unsigned i = 0; i < ARRAY_SIZE(insns); i++) {
		begin();
		in_kernel();
		v->pv.iopl = 1;
		regs->rcx = 0x10;
		regs->rdi = 0x2000;
		regs->rflags = 0x202 | RFLAGS_TF | RFLAGS_RF;
		regs->entry_vector = (uint16_t)insns[i].vector;
		memcpy(fake_guest + CODE, insns[i].bytes, sizeof(insns[i].bytes));
		trap_from_guest(regs);
		CHECK_THAT(regs->rip == HANDLER + TRAP_DB && frame()[2] == CODE + insns[i].length);
		CHECK_THAT((frame()[4] & (RFLAGS_TF | RFLAGS_RF)) == RFLAGS_TF);
		CHECK_THAT(v->pv.dr[6] & 1u << 14);
	}
	begin();
	in_kernel();
	regs->rflags = 0x202 | RFLAGS_RF;
	regs->entry_vector = TRAP_GP;
	memcpy(fake_guest + CODE, "\x0f\x31", 2);
	trap_from_guest(regs);
	CHECK_THAT(regs->rip == CODE + 2 && regs->rflags == 0x202);
	verdict("behind an emulated instruction RF is clear, and a set TF is a #DB");
}

/* Where the processor lets CPUID fault, user mode's goes the same way as the kernel's. */
static void faulting_cpuid(void)
{
	for (unsigned user = 0; user < 2; user++) {
		begin();
		in_kernel();
		if (user)
			in_user();
		memcpy(fake_guest + CODE, "\x0f\xa2", 2);
		regs->rax = 7;
		regs->rcx = 3;
		regs->entry_vector = TRAP_GP;
		trap_from_guest(regs);
		CHECK_THAT(regs->rip == CODE + 2 && v->pv.kernel_mode == !user);
		CHECK_THAT(regs->rax == 7 && regs->rbx == 3 && regs->rcx == 1 && regs->rdx == 2);
	}
	verdict("a CPUID that faults answers from the policy, in kernel and user mode");
}

static void single_steps_of_a_repeated_one(void)
{
	begin();
	in_kernel();
	v->pv.iopl = 1;
	memcpy(fake_guest + CODE, "\xf3\x6c", 2); /* rep insb */
	regs->rcx = 3;
	regs->rdi = 0x2000;
	regs->rdx = 0x70;
	for (unsigned n = 3; n-- > 0;) {
		regs->entry_vector = TRAP_GP;
		regs->rflags = 0x202 | RFLAGS_TF;
		trap_from_guest(regs);
		CHECK_THAT(regs->rip == HANDLER + TRAP_DB && regs->rcx == n);
		CHECK_THAT(frame()[2] == (n ? CODE : CODE + 2));
		regs->rip = CODE;
		in_kernel();
	}
	verdict("a repeated instruction is single-stepped element by element");
}

/* ---- the FPU of a vcpu context ---- */

static void context_again(void)
{
	struct vcpu_guest_context *c = calloc(1, sizeof(*c));
	const uint64_t rip = CODE + 64;

	begin();
	v->initialised = true;
	v->pv.xcr0 = 7;
	pv_vcpu_get_context(v, c);
	c->user_regs.rax = 1;
	c->user_regs.rip = rip;
	CHECK_THAT(!pv_vcpu_set_context(v, c) && v->regs.rax == 1 && v->regs.rip == rip && v->pv.xcr0 == 7);
	c->user_regs.rax = 2;
	c->ctrlreg[3] += PAGE_SIZE;
	CHECK_THAT(pv_vcpu_set_context(v, c) == -EOPNOTSUPP);
	c->ctrlreg[3] -= PAGE_SIZE;
	c->ctrlreg[1] ^= PAGE_SIZE;
	CHECK_THAT(pv_vcpu_set_context(v, c) == -EOPNOTSUPP);
	c->ctrlreg[1] ^= PAGE_SIZE;
	c->gdt_ents++;
	CHECK_THAT(pv_vcpu_set_context(v, c) == -EOPNOTSUPP);
	c->gdt_ents--;
	c->ldt_ents++;
	CHECK_THAT(pv_vcpu_set_context(v, c) == -EOPNOTSUPP && v->regs.rax == 1);
	c->ldt_ents--;
	v->resetting = true;
	CHECK_THAT(pv_vcpu_set_context(v, c) == -EBUSY && v->regs.rax == 1);
	v->resetting = false;
	free(c);
	verdict("a vcpu that has a context gets other registers, and no other tables");
}

static void fpu_of_a_context(bool xsave)
{
	struct vcpu_guest_context *c = calloc(1, sizeof(*c)), *back = calloc(1, sizeof(*back));
	uint8_t *legacy = (uint8_t *)&c->fpu_ctxt, *area;
	uint32_t mxcsr = 0x1f80 | 0x6000;

	begin();
	cpu_features.xsave = xsave;
	for (unsigned i = 0; i < 416; i++)
		legacy[i] = (uint8_t)(i * 7 + 1);
	memcpy(legacy + FPU_MXCSR_OFFSET, &mxcsr, 4);
	c->flags = VGCF_I387_VALID | VGCF_in_kernel;
	v->initialised = false;
	CHECK_THAT(!pv_vcpu_set_context(v, c));
	area = v->fpu_area;
	CHECK_THAT(!memcmp(area, legacy, 416));
	CHECK_THAT(!xsave || (area[512] == 3 && !area[513] && !fpu_area_check(area, 3)));
	pv_vcpu_get_context(v, back);
	CHECK_THAT(!memcmp(&back->fpu_ctxt, legacy, 416));
	if (xsave) {
		/* The CPU found both in their initial state, and left the bytes of old. */
		area[512] = 0;
		pv_vcpu_get_context(v, back);
		legacy = (uint8_t *)&back->fpu_ctxt;
		CHECK_THAT(legacy[0] == 0x7f && legacy[1] == 3 && !legacy[2] && !legacy[32] && !legacy[159] &&
		           !legacy[160] && !legacy[415]);
		CHECK_THAT(!memcmp(legacy + FPU_MXCSR_OFFSET, &mxcsr, 4));
		area[512] = 1;
		pv_vcpu_get_context(v, back);
		CHECK_THAT(legacy[32] == (uint8_t)(32 * 7 + 1) && !legacy[160]);
	}
	legacy = (uint8_t *)&c->fpu_ctxt;
	legacy[FPU_MXCSR_OFFSET + 3] = 0x80;
	v->initialised = false;
	CHECK_THAT(!pv_vcpu_set_context(v, c));
	CHECK_THAT(area[0] == 0x7f && area[FPU_MXCSR_OFFSET] == 0x80 && !area[FPU_MXCSR_OFFSET + 3]);
	free(c);
	free(back);
	cpu_features.xsave = false;
	verdict(xsave ? "FPU state of a vcpu context, with XSAVE"
	              : "FPU state of a vcpu context, with FXSAVE");
}

static mfn_t tables(void)
{
	struct fake_pv_tree t = fake_pv_tree(d, fake_pv_frame(d), LEAF_FLAGS);

	if (pt_get(&d->mm, t.l4, PTYPE_L4, false))
		abort();
	return t.l4;
}

/* ---- trace records ---- */

static struct t_buf *trace_buffer;
static struct {
	struct t_info t;
	uint16_t offset[NR_CPUS];
	uint32_t mfn;
} trace_info;

/* The record that the last entry left, or an empty one. */
static struct t_rec traced(void)
{
	struct t_rec r = { 0 };
	uint32_t bytes = trace_buffer->prod - trace_buffer->cons;

	if (bytes <= sizeof(r))
		memcpy(&r, (uint8_t *)(trace_buffer + 1) + trace_buffer->cons, bytes);
	trace_buffer->cons = trace_buffer->prod;
	if (bytes && bytes != 4u * (1 + 2 * r.cycles_included + r.extra_u32))
		printf("# %u bytes of records\n", bytes);
	return r;
}

/* At most six words; two of them are one address. */
static bool traced_as(uint32_t event, unsigned n, uint64_t first, uint64_t second, uint64_t third)
{
	const uint32_t words[] = {
		(uint32_t)first,          (uint32_t)(first >> 32), (uint32_t)second,
		(uint32_t)(second >> 32), (uint32_t)third,         (uint32_t)(third >> 32)
	};
	struct t_rec r = traced();

	return r.event == event && r.cycles_included && r.extra_u32 == n &&
	       !memcmp(r.u.cycles.extra_u32, words, n * 4);
}

static void trap(unsigned vector, uint32_t error_code)
{
	regs->entry_vector = (uint16_t)vector;
	regs->error_code = error_code;
	trap_from_guest(regs);
}

static void trace_begin(void)
{
	mfn_t mfn = heap_alloc(0, 0);

	trace_info.t.tbuf_size = 1;
	trace_info.t.mfn_offset[0] = (uint16_t)(offsetof(__typeof__(trace_info), mfn) / 4);
	trace_info.mfn = (uint32_t)mfn.m;
	trace_buffer = mfn_map_own(mfn);
	trace_set_buffers(&trace_info.t, 1);
	trace_start();
}

static void traces_of_exceptions(void)
{
	begin();
	in_user();
	fake_pv_cpus[0].cr2 = 0x123456789000;
	regs->rip = 0x7fff12345678;
	trap(TRAP_PF, PF_WRITE | PF_USER);
	CHECK_THAT(traced_as(TRC_PV_PAGE_FAULT | TRC_64_FLAG, 5, 0x7fff12345678, 0x123456789000,
	                     PF_WRITE | PF_USER));
	begin();
	in_kernel();
	trap(TRAP_GP, 0x1238);
	CHECK_THAT(traced_as(TRC_PV_TRAP | TRC_64_FLAG, 3, CODE, 0x12388000 | TRAP_GP, 0));
	begin();
	in_kernel();
	trap(TRAP_DE, 0x55);
	CHECK_THAT(traced_as(TRC_PV_TRAP | TRC_64_FLAG, 3, CODE, TRAP_DE, 0));
	begin();
	in_user();
	memcpy(fake_guest + CODE, "\xcd\x30", 2);
	v->pv.traps[0x30] = (struct trap_gate){ .address = HANDLER + 0x30, .dpl = 3 };
	trap(TRAP_GP, 0x30 * 8 + 2);
	CHECK_THAT(traced_as(TRC_PV_TRAP | TRC_64_FLAG, 3, CODE + 2, 0x30, 0));
	begin();
	in_kernel();
	v->pv.cr0_ts_em = 8;
	trap(TRAP_NM, 0);
	CHECK_THAT(traced_as(TRC_PV_TRAP | TRC_64_FLAG, 3, CODE, TRAP_NM, 0));
	begin();
	in_kernel();
	trap(TRAP_NM, 0);
	CHECK_THAT(traced_as(TRC_PV_MATH_STATE_RESTORE, 0, 0, 0, 0));
	verdict("trace records of page faults, other exceptions, INT n and the FPU");
}

static void traces_of_emulation(void)
{
	struct fake_pv_tree t = fake_pv_tree(d, fake_pv_frame(d), LEAF_FLAGS), window;
	mfn_t kernel = v->l4_kernel;
	uint64_t entry = fake_pv_frame(d).m << PAGE_SHIFT | LEAF_FLAGS;

	begin();
	in_kernel();
	memcpy(fake_guest + CODE, "\x0f\x31", 2); /* rdtsc */
	trap(TRAP_GP, 0);
	CHECK_THAT(traced_as(TRC_PV_EMULATE_PRIVOP | TRC_64_FLAG, 2, CODE + 2, 0, 0));
	begin();
	in_kernel();
	memcpy(fake_guest + CODE, "\x0f\x0bxen\x0f\xa2", 7);
	trap(TRAP_UD, 0);
	CHECK_THAT(traced_as(TRC_PV_FORCED_INVALID_OP | TRC_64_FLAG, 2, CODE + 7, 0, 0));
	begin();
	put_iret(0x5000, 0xe030, 0, VGCF_in_syscall);
	regs->rax = __HYPERVISOR_iret;
	syscall_from_guest(regs);
	CHECK_THAT(traced_as(TRC_PV_HYPERCALL_V2, 1, __HYPERVISOR_iret, 0, 0));
	/* An L1 table in a mapping of its own, read-only: a store becomes a table write. */
	if (pt_get(&d->mm, t.l4, PTYPE_L4, false))
		abort();
	window = fake_pv_tree(d, t.l1, LEAF_FLAGS & ~PTE_RW);
	if (pt_get(&d->mm, window.l4, PTYPE_L4, false))
		abort();
	begin();
	in_kernel();
	v->l4_kernel = window.l4;
	d->vm_assist |= 1u << VMASST_TYPE_writable_pagetables;
	memcpy(fake_guest + CODE, "\x48\x89\x07", 3); /* mov %rax, (%rdi) */
	regs->rax = entry;
	regs->rdi = fake_pv_cpus[0].cr2 = 16;
	trap(TRAP_PF, PF_PRESENT | PF_WRITE);
	CHECK_THAT(regs->rip == CODE + 3 &&
	           traced_as(TRC_PV_PTWR_EMULATION | TRC_64_FLAG, 6, entry, 16, CODE));
	/* One that is refused is a page fault. */
	regs->rip = CODE;
	regs->rax = ~0ull;
	trap(TRAP_PF, PF_PRESENT | PF_WRITE);
	CHECK_THAT(traced_as(TRC_PV_PAGE_FAULT | TRC_64_FLAG, 5, CODE, 16, PF_PRESENT | PF_WRITE));
	v->l4_kernel = kernel;
	trace_stop();
	begin();
	in_kernel();
	trap(TRAP_DE, 0);
	CHECK_THAT(trace_buffer->prod == trace_buffer->cons);
	verdict("of emulated instructions and table writes, and of iret; none while tracing is off");
}

int main(void)
{
	fake_init(4096, 0);
	cpu_features.xsave_size = 576;
	cpu_features.xcr0_mask = 3;
	d = fake_pv_domain(1, 2);
	v = d->vcpus[0];
	v->l4_kernel = tables();
	v->l4_user = tables();
	cpu_set_current(v);
	regs = &cpu_info()->regs;
	tap_plan(20);
	frame_from_the_kernel();
	frame_from_user_mode();
	frames_that_cannot_be();
	page_faults();
	software_interrupts();
	events_nmis_and_failsafe();
	accesses_of_a_shadowed_guest();
	no_fpu();
	irets();
	io_privilege();
	iopl_in_frames();
	assist_beside_stack_switch();
	single_steps();
	single_steps_of_a_repeated_one();
	faulting_cpuid();
	context_again();
	fpu_of_a_context(false);
	fpu_of_a_context(true);
	trace_begin();
	traces_of_exceptions();
	traces_of_emulation();
	return tap_end();
}
