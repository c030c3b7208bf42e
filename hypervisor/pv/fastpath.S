/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fast paths for the two crossings that a guest makes most often: SYSCALL of a user program into its kernel, and the
 * return by HYPERVISOR_iret. Each does what pv/bounce.c does (bounce_to() and pv_iret()), for the plain case only: no
 * XPTI, no work or event pending, no option of the ABI in use that is rare, the tables of the other mode ready to be loaded
 * (cpu_info.fast_cr3: the guest's own L4s, or copies of them). In every other case, and after a fault on the guest's stack,
 * it has changed nothing that matters and leaves the way through C to decide.
 *
 * There is no call, return or indirect branch here, so that what a guest has taught the branch predictor has no effect:
 * SPEC_CTRL stays the guest's, and its return stack is left alone. An address that a guest supplies was checked when it
 * was set, or is forced into its own range by arithmetic as well (Spectre v1).
 *
 * Entered with interrupts off from hw/entry.S: struct cpu_user_regs is complete from error_code on, the guest's rax is
 * in cpu_info.scratch[0], the other registers are the guest's; rax, rcx and r11 are free.
 */
#include "hw/entry.h"
#include "hw/layout.h"
#include "pv/offsets.h"

/* A field of struct cpu_info, once rdi, rsi and rdx are saved (SAVE_SOME). */
#define INFO(offset) ((offset) - UREGS_rdx)(%rsp)

/* An access to the guest's memory. */
.macro GUEST fault, insn:vararg
.Lguest\@:
	\insn
	.pushsection __ex_table, "a"
	.balign	4
	.long	.Lguest\@ - ., \fault - .
	.popsection
.endm

/* SMAP: the processor may not have the instruction. */
.macro SMAP insn
	cmpb	$0, cpu_features + FEATURES_smap(%rip)
	je	.Lwithout\@
	\insn
.Lwithout\@:
.endm

/* As cr3_load() of hw/tlb.h, where no use of a mapping has been noted. rax and r11 are lost. */
.macro LOAD_CR3 l4
	leaq	tlb_flushed(%rip), %rax
	movl	INFO(CI_cpu), %r11d
	shll	$TLB_NOTE_SHIFT, %r11d
	addq	%r11, %rax
	movl	tlb_time + TLB_now(%rip), %r11d
	movl	%r11d, (%rax)
	movq	\l4, %cr3
.endm

/* Refuses an address below the end of the hypervisor's range; also under speculation. limit is lost. */
.macro CHECK_ADDRESS address, limit, refused
	movabsq	$HV_VIRT_END, \limit
	cmpq	\limit, \address
	jb	\refused
	sbbq	\limit, \limit
	orq	\limit, \address
.endm

.macro VERW_TO_GUEST
	testl	$SPEC_EXIT_VERW, INFO(CI_spec)
	jz	.Lno_verw\@
	pushq	$HV_DS
	verw	(%rsp)
	addq	$8, %rsp
.Lno_verw\@:
.endm

/* rdi: the vcpu, from rcx; rdx: its vcpu_info. What would need more than the fast path has is declined. */
.macro SAVE_SOME
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	movq	%rcx, %rdi
	cmpl	$0, INFO(CI_work)
	jne	decline
	cmpw	$0, tlb_time + TLB_noted(%rip) /* and fastpath_off */
	jne	decline
	movq	V_info(%rdi), %rdx
.endm

	.text
	.globl	syscall_fastpath
	.hidden	syscall_fastpath
syscall_fastpath:
	movq	(CI_current - UREGS_error)(%rsp), %rcx
	cmpb	$0, V_kernel_mode(%rcx)
	jne	from_kernel

	/* ---- from a user program ---- */
	SAVE_SOME
	movq	V_syscall_frame(%rdi), %rsi /* 0: pv_fastpath_update() found something rare; it checked both addresses */
	testq	%rsi, %rsi
	jz	decline
	cmpb	$0, V_iopl_in_frames(%rdi)
	jne	decline
	cmpb	$0, INFO_mask(%rdx)
	jne	decline
	movq	INFO(CI_fast_kernel), %rdx
	testq	%rdx, %rdx
	jz	decline
	movq	V_syscall_callback(%rdi), %rcx

	movb	$1, V_kernel_mode(%rdi)
	swapgs
	LOAD_CR3 %rdx

	SMAP	stac
	movq	INFO(UREGS_rip), %rax
	movq	INFO(UREGS_rflags), %r11
	movq	INFO(UREGS_rsp), %rdx
	GUEST	no_frame, movq %rax, 0(%rsi) /* rcx, where SYSCALL left rip */
	GUEST	no_frame, movq %r11, 8(%rsi)
	GUEST	no_frame, movq %rax, 16(%rsi)
	GUEST	no_frame, movq $SEL_RING3_CS64, 24(%rsi)
	andl	$~FLAGS_IOPL, %r11d
	orl	$FLAGS_IF, %r11d
	GUEST	no_frame, movq %r11, 32(%rsi)
	GUEST	no_frame, movq %rdx, 40(%rsi)
	GUEST	no_frame, movq $SEL_RING3_DS, 48(%rsi)
	SMAP	clac
	movq	V_info(%rdi), %rax
	movb	$1, INFO_mask(%rax)

	VERW_TO_GUEST
	andl	$~FLAGS_NOT_AT_ENTRY, %r11d
	orl	$FLAGS_FORCED, %r11d
	movq	%rsi, INFO(UREGS_rsp)
	movq	INFO(CI_scratch0), %rax
	popq	%rdx
	popq	%rsi
	popq	%rdi
	movq	(UREGS_rsp - UREGS_error)(%rsp), %rsp
	sysretq

	/* As the way through C finds it: still at the user program, which is then what it reports. */
no_frame:
	SMAP	clac
	movb	$0, V_kernel_mode(%rdi)
	swapgs
decline:
	popq	%rdx
	popq	%rsi
	popq	%rdi
	movq	(UREGS_rflags - UREGS_error)(%rsp), %r11
other_hypercall:
	movq	(UREGS_rip - UREGS_error)(%rsp), %rcx
	jmp	syscall_in_full

	/* ---- HYPERVISOR_iret ---- */
from_kernel:
	cmpq	$HYPERCALL_IRET, (CI_scratch0 - UREGS_error)(%rsp)
	jne	other_hypercall
	SAVE_SOME
	cmpw	$0, V_nmi_masked(%rdi) /* and V_iopl_in_frames */
	jne	decline
	movq	INFO(UREGS_rsp), %rsi
	CHECK_ADDRESS %rsi, %rax, decline
	cmpq	$-IRET_BYTES, %rsi
	ja	decline

	/* The frame moves into cpu_info.regs, which is of no other use now; only rsp has to come back for C. */
	SMAP	stac
	GUEST	no_iret, movq IRET_rflags(%rsi), %rax
	testl	$FLAGS_IF, %eax
	setz	%r11b /* the new event mask */
	jz	1f
	cmpb	$0, INFO_pending(%rdx)
	jne	no_iret
1:	andl	$FLAGS_IRET, %eax
	orl	$FLAGS_FORCED, %eax
	movq	%rax, INFO(UREGS_rflags)
	GUEST	no_iret, movq IRET_ss(%rsi), %rax
	movzwl	%ax, %eax
	orl	$3, %eax
	movq	%rax, INFO(UREGS_ss)
	GUEST	no_iret, movq IRET_rsp(%rsi), %rax
	movq	%rax, INFO(UREGS_rsp)
	GUEST	no_iret, movq IRET_cs(%rsi), %rcx
	GUEST	no_iret, movq IRET_rip(%rsi), %rax
	movq	%rax, INFO(UREGS_rip)
	GUEST	no_iret, movq IRET_flags(%rsi), %rdx
	testl	$IRET_IN_SYSCALL, %edx
	jz	2f
	shlq	$16, %rax /* SYSRET: canonical rip, flat 64-bit code */
	sarq	$16, %rax
	cmpq	%rax, INFO(UREGS_rip)
	jne	no_iret
	movl	%ecx, %eax
	orl	$3, %eax
	cmpw	$SEL_RING3_CS64, %ax
	jne	no_iret
	jmp	3f
2:	movzwl	%cx, %eax
	orl	$3, %eax
	movq	%rax, INFO(UREGS_cs)
	GUEST	no_iret, movq IRET_r11(%rsi), %rax
	movq	%rax, INFO(CI_scratch1)
	GUEST	no_iret, movq IRET_rcx(%rsi), %rax
	movq	%rax, INFO(CI_scratch2)
3:	GUEST	no_iret, movq IRET_rax(%rsi), %rax
	andl	$3, %ecx
	cmpl	$3, %ecx
	jne	4f
	cmpq	$0, INFO(CI_fast_user)
	je	no_iret

	/* Nothing can go wrong any more. */
4:	SMAP	clac
	movq	V_info(%rdi), %rsi
	movb	%r11b, INFO_mask(%rsi)
	cmpl	$3, %ecx
	jne	5f
	movq	%rax, INFO(CI_scratch0)
	movb	$0, V_kernel_mode(%rdi)
	swapgs
	movq	INFO(CI_fast_user), %rcx
	LOAD_CR3 %rcx
	movq	INFO(CI_scratch0), %rax
5:	VERW_TO_GUEST
	testl	$IRET_IN_SYSCALL, %edx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	jz	by_iret
	movq	(UREGS_rip - UREGS_error)(%rsp), %rcx
	movq	(UREGS_rflags - UREGS_error)(%rsp), %r11
	movq	(UREGS_rsp - UREGS_error)(%rsp), %rsp
	sysretq
by_iret:
	movq	(CI_scratch1 - UREGS_error)(%rsp), %r11
	movq	(CI_scratch2 - UREGS_error)(%rsp), %rcx
	addq	$8, %rsp
	jmp	exit_iretq

no_iret:
	SMAP	clac
	movq	%rsi, INFO(UREGS_rsp)
	jmp	decline

	.section .note.GNU-stack, "", @progbits
