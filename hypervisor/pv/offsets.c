/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What pv/fastpath.S knows of C's structures and constants. Never linked: the build compiles it to assembly
 * and takes the lines with "->" from there into pv/offsets.h.
 */
#include "dom/domain.h"
#include "hw/tlb.h"

#define DEFINE(name, value)        __asm__ volatile("->" #name " %c0" : : "i"((uint64_t)(value)))
#define OFFSET(name, type, member) DEFINE(name, offsetof(type, member))

void offsets(void);

void offsets(void)
{
	OFFSET(CI_current, struct cpu_info, current);
	OFFSET(CI_cpu, struct cpu_info, cpu);
	OFFSET(CI_fast_user, struct cpu_info, fast_cr3[0]);
	OFFSET(CI_fast_kernel, struct cpu_info, fast_cr3[1]);
	OFFSET(CI_scratch0, struct cpu_info, scratch[0]);
	OFFSET(CI_scratch1, struct cpu_info, scratch[1]);
	OFFSET(CI_scratch2, struct cpu_info, scratch[2]);
	OFFSET(UREGS_rdx, struct cpu_user_regs, rdx);

	OFFSET(V_info, struct vcpu, info);
	OFFSET(V_kernel_mode, struct vcpu, pv.kernel_mode);
	OFFSET(V_nmi_masked, struct vcpu, pv.nmi_masked);
	OFFSET(V_iopl_in_frames, struct vcpu, pv.iopl_in_frames);
	OFFSET(V_syscall_callback, struct vcpu, pv.syscall_callback);
	OFFSET(V_syscall_frame, struct vcpu, pv.syscall_frame);
	OFFSET(INFO_pending, struct vcpu_info, evtchn_upcall_pending);
	OFFSET(INFO_mask, struct vcpu_info, evtchn_upcall_mask);

	OFFSET(IRET_rax, struct iret_context, rax);
	OFFSET(IRET_r11, struct iret_context, r11);
	OFFSET(IRET_rcx, struct iret_context, rcx);
	OFFSET(IRET_flags, struct iret_context, flags);
	OFFSET(IRET_rip, struct iret_context, rip);
	OFFSET(IRET_cs, struct iret_context, cs);
	OFFSET(IRET_rflags, struct iret_context, rflags);
	OFFSET(IRET_rsp, struct iret_context, rsp);
	OFFSET(IRET_ss, struct iret_context, ss);
	DEFINE(IRET_BYTES, sizeof(struct iret_context));
	DEFINE(IRET_IN_SYSCALL, VGCF_in_syscall);
	DEFINE(HYPERCALL_IRET, __HYPERVISOR_iret);
	_Static_assert(offsetof(struct vcpu, pv.iopl_in_frames) == offsetof(struct vcpu, pv.nmi_masked) + 1,
	               "one word");

	OFFSET(TLB_now, struct tlb_clock, now);
	OFFSET(TLB_noted, struct tlb_clock, noted);
	_Static_assert(offsetof(struct tlb_clock, fastpath_off) == offsetof(struct tlb_clock, noted) + 1,
	               "one word");
	DEFINE(TLB_NOTE_SHIFT, __builtin_ctz(sizeof(struct tlb_note)));
	OFFSET(FEATURES_smap, struct cpu_features, smap);

	DEFINE(FLAGS_IF, RFLAGS_IF);
	DEFINE(FLAGS_IOPL, RFLAGS_IOPL);
	/* Of the flags that an iret frame may have; and those that a kernel is not entered with. */
	DEFINE(FLAGS_IRET, RFLAGS_GUEST & ~RFLAGS_IOPL);
	DEFINE(FLAGS_FORCED, RFLAGS_IF | RFLAGS_ONE);
	DEFINE(FLAGS_NOT_AT_ENTRY, RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC | RFLAGS_DF | RFLAGS_IOPL);
}
