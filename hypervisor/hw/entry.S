/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entry from guests and from the hypervisor itself, and the exit path.
 *
 * Every entry ends with a complete struct cpu_user_regs. From a guest it is the one in struct cpu_info at the top of
 * the CPU's stack: the stack pointer is then the address of cpu_info. The general registers are pushed in the ABI's order.
 *
 *  1. trap_stubs: 256 stubs, 16 bytes each, push a dummy error code where the processor pushes none, then the vector.
 *  2. trap_common sorts by where it came from and by vector; NMI, #MC, #DF and #DB have stacks of their own (trap_paranoid).
 *  3. syscall_entry, syscall32_entry: reached through a few bytes per CPU that hw/syscall.c writes, since SYSCALL does not
 *     switch stacks. sysenter_entry.
 *     A 64-bit SYSCALL of a guest without XPTI tries pv/fastpath.S first.
 *  4. exit_to_guest: pending work, then events (guest_exit_prepare), then SYSRET or IRET. An IRET that faults comes
 *     back at exit_fault by way of the exception table.
 *
 * XPTI: when cpu_info.hv_cr3 is set, the guest runs on reduced tables, and each entry first loads the full ones. Code
 * that runs on the reduced tables touches nothing but this file's text and the CPU's stack.
 */
#include "hw/entry.h"
#include "hw/layout.h"

#define RFLAGS_AC_BYTE2 4 /* bit 18 of RFLAGS */

	.text

.macro SAVE_ALL
	cld
	pushq	%rdi
	xorl	%edi, %edi
	pushq	%rsi
	xorl	%esi, %esi
	pushq	%rdx
	xorl	%edx, %edx
	pushq	%rcx
	xorl	%ecx, %ecx
	pushq	%rax
	xorl	%eax, %eax
	pushq	%r8
	xorl	%r8d, %r8d
	pushq	%r9
	xorl	%r9d, %r9d
	pushq	%r10
	xorl	%r10d, %r10d
	pushq	%r11
	xorl	%r11d, %r11d
	pushq	%rbx
	xorl	%ebx, %ebx
	pushq	%rbp
	xorl	%ebp, %ebp
	pushq	%r12
	xorl	%r12d, %r12d
	pushq	%r13
	xorl	%r13d, %r13d
	pushq	%r14
	xorl	%r14d, %r14d
	pushq	%r15
	xorl	%r15d, %r15d
.endm

.macro RESTORE_TO_R11
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
.endm

.macro RESTORE_FROM_R10
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rax
.endm

/* Called with cpu_info at 8(%rsp). Clobbers rax, rcx, rdx. */
entry_mitigations:
	testl	$SPEC_ENTRY_IBRS, 8+CI_spec(%rsp)
	jz	1f
	movl	$0x48, %ecx
	movl	$1, %eax
	xorl	%edx, %edx
	wrmsr
1:	testl	$SPEC_ENTRY_RSB, 8+CI_spec(%rsp)
	jz	5f
	movl	$16, %ecx
2:	call	3f
	int3
3:	call	4f
	int3
4:	decl	%ecx
	jnz	2b
	addq	$(32 * 8), %rsp
5:	ret

/* The first thing after the registers are saved: full tables, mitigations. cpu_info at (%rsp). */
.macro FROM_GUEST
	movq	CI_hv_cr3(%rsp), %rax
	testq	%rax, %rax
	jz	.Lon_full_tables\@
	movq	%rax, %cr3
.Lon_full_tables\@:
	cmpl	$0, CI_spec(%rsp)
	je	.Lmitigated\@
	call	entry_mitigations
.Lmitigated\@:
.endm

/* ---- stubs ---- */
	.balign	16
	.globl	trap_stubs
	.hidden	trap_stubs
trap_stubs:
	vector = 0
	.rept	256
	.balign	16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	pushq	$0
	.endif
	movl	$vector, 4(%rsp)
	.if vector == 2 || vector == 8 || vector == 18
	jmp	trap_paranoid
	.elseif vector == 1
	jmp	trap_debug
	.else
	jmp	trap_common
	.endif
	vector = vector + 1
	.endr

trap_common:
	SAVE_ALL
	testb	$3, UREGS_cs(%rsp)
	jz	trap_from_hypervisor
	FROM_GUEST
	/* Gates leave AC as the guest had it, and a set one would switch SMAP off. */
	testb	$(RFLAGS_AC_BYTE2), (UREGS_rflags + 2)(%rsp)
	jz	1f
	pushq	$2
	popfq
1:
	movq	%rsp, %rdi
	movl	UREGS_vector(%rsp), %eax
	cmpl	$32, %eax
	jb	3f
	cmpl	$VECTOR_INT80, %eax
	je	3f
	call	irq_entry
	jmp	guest_exit
3:	call	trap_from_guest
	jmp	guest_exit

trap_from_hypervisor:
	/* The exit path may have loaded the reduced tables already. */
	movq	$-HV_STACK_SIZE, %rbp
	andq	%rsp, %rbp
	movq	(HV_STACK_SIZE - CI_SIZE + CI_hv_cr3)(%rbp), %rax
	testq	%rax, %rax
	jz	1f
	movq	%cr3, %rcx
	cmpq	%rcx, %rax
	je	1f
	movq	%rax, %cr3
1:	movq	%rsp, %rdi
	movl	UREGS_vector(%rsp), %eax
	cmpl	$32, %eax
	jb	2f
	call	irq_entry
	jmp	restore_and_iret
2:	call	trap_in_hypervisor
restore_and_iret:
	RESTORE_TO_R11
	popq	%r11
	RESTORE_FROM_R10
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	addq	$8, %rsp
	iretq

/*
 * #DB. A guest's MOV SS holds a breakpoint back until after the SYSCALL behind it, when the stack pointer is still the
 * guest's: so #DB has a stack of its own. From a guest the frame moves to the CPU's stack, and it is a trap like others.
 */
trap_debug:
	testb	$3, 16(%rsp)
	jz	trap_paranoid
	pushq	%rax
	pushq	%rbx
	movq	%rsp, %rbx
	movq	$-HV_STACK_SIZE, %rax
	andq	%rsp, %rax
	leaq	(HV_STACK_SIZE - CI_SIZE + UREGS_es)(%rax), %rsp
	pushq	56(%rbx)
	pushq	48(%rbx)
	pushq	40(%rbx)
	pushq	32(%rbx)
	pushq	24(%rbx)
	pushq	16(%rbx)
	movq	8(%rbx), %rax
	movq	(%rbx), %rbx
	jmp	trap_common

/* NMI, #MC, #DF, #DB in the hypervisor: they may come anywhere, also between the loads of CR3; everything is put back as it was. */
trap_paranoid:
	SAVE_ALL
	movq	$-HV_STACK_SIZE, %rbp
	andq	%rsp, %rbp
	addq	$(HV_STACK_SIZE - CI_SIZE), %rbp
	movq	%cr3, %r12
	movq	CI_hv_cr3(%rbp), %rax
	testq	%rax, %rax
	jz	1f
	movq	%rax, %cr3
1:	cmpl	$0, CI_spec(%rbp)
	je	2f
	movl	$0x48, %ecx
	testl	$SPEC_ENTRY_IBRS, CI_spec(%rbp)
	jz	2f
	rdmsr
	movl	%eax, %r13d
	movl	$1, %eax
	xorl	%edx, %edx
	wrmsr
2:	movq	%rsp, %rdi
	movl	UREGS_vector(%rsp), %eax
	cmpl	$2, %eax
	jne	3f
	call	trap_nmi
	jmp	5f
3:	cmpl	$18, %eax
	jne	4f
	call	trap_machine_check
	jmp	5f
4:	cmpl	$1, %eax
	jne	7f
	call	trap_debug_in_hypervisor
	jmp	5f
7:	call	trap_double_fault
5:	testl	$SPEC_ENTRY_IBRS, CI_spec(%rbp)
	jz	6f
	movl	$0x48, %ecx
	movl	%r13d, %eax
	xorl	%edx, %edx
	wrmsr
6:	testb	$3, UREGS_cs(%rsp)
	jz	8f
	testl	$SPEC_EXIT_VERW, CI_spec(%rbp)
	jz	8f
	pushq	$HV_DS
	verw	(%rsp)
	addq	$8, %rsp
8:	cmpq	$0, CI_hv_cr3(%rbp)
	je	restore_and_iret
	movq	%r12, %cr3
	jmp	restore_and_iret

/* ---- SYSCALL: rax holds the guest's stack pointer, its rax is in scratch[0], the stack is at regs.es ---- */
	.globl	syscall_entry
	.hidden	syscall_entry
syscall_entry:
	pushq	$SEL_RING3_DS
	pushq	%rax
	pushq	%r11
	pushq	$SEL_RING3_CS64
	pushq	%rcx
	pushq	$0
	movl	$ENTRY_SYSCALL, 4(%rsp)
	cmpq	$0, (CI_hv_cr3 - UREGS_error)(%rsp)
	je	syscall_fastpath	/* pv/fastpath.S; it may come back */
	.globl	syscall_in_full
	.hidden	syscall_in_full
syscall_in_full:
	movq	(CI_scratch - UREGS_error)(%rsp), %rax
	SAVE_ALL
	FROM_GUEST
	movq	%rsp, %rdi
	call	syscall_from_guest
	jmp	guest_exit

	.globl	syscall32_entry
	.hidden	syscall32_entry
syscall32_entry:
	pushq	$SEL_RING3_DS
	pushq	%rax
	pushq	%r11
	pushq	$SEL_RING3_CS32
	pushq	%rcx
	pushq	$0
	movl	$ENTRY_SYSCALL, 4(%rsp)
	movq	(CI_scratch - UREGS_error)(%rsp), %rax
	SAVE_ALL
	FROM_GUEST
	movq	%rsp, %rdi
	call	syscall32_from_guest
	jmp	guest_exit

/* SYSENTER forgets where it came from: the guest's own convention restores it. */
	.globl	sysenter_entry
	.hidden	sysenter_entry
sysenter_entry:
	pushq	$SEL_RING3_DS
	pushq	$0
	pushfq
	pushq	$3
	pushq	$0
	pushq	$0
	movl	$ENTRY_SYSCALL, 4(%rsp)
	SAVE_ALL
	FROM_GUEST
	/* NT and AC came along from the guest, TF is left to the #DB handler. */
	pushq	$2
	popfq
	orq	$0x200, UREGS_rflags(%rsp)
	movq	%rsp, %rdi
	call	sysenter_from_guest
	jmp	guest_exit

/* ---- the exit path ---- */
	.globl	exit_to_guest
	.hidden	exit_to_guest
exit_to_guest:
	movq	$-HV_STACK_SIZE, %rax
	andq	%rax, %rsp
	addq	$(HV_STACK_SIZE - CI_SIZE), %rsp
	jmp	guest_exit

exit_work:
	sti
	call	work_run
guest_exit:
	cli
	cmpl	$0, CI_work(%rsp)
	jne	exit_work
	movq	%rsp, %rdi
	call	guest_exit_prepare
	cmpl	$0, CI_work(%rsp)
	jne	exit_work
	cmpl	$0, CI_spec(%rsp)
	jne	exit_mitigations
exit_mitigations_done:
	movq	CI_guest_cr3(%rsp), %rax
	testq	%rax, %rax
	jz	1f
	movq	%rax, %cr3
1:	testl	$ENTRY_SYSCALL, UREGS_vector(%rsp)
	jz	exit_by_iret
	/* SYSRET: flat 64-bit code, canonical rip (on Intel a bad one would fault in ring 0 on the guest's stack). */
	cmpw	$SEL_RING3_CS64, UREGS_cs(%rsp)
	jne	exit_by_iret
	movq	UREGS_rip(%rsp), %rcx
	movq	%rcx, %rax
	shlq	$16, %rax
	sarq	$16, %rax
	cmpq	%rax, %rcx
	jne	exit_by_iret
	RESTORE_TO_R11
	addq	$8, %rsp
	RESTORE_FROM_R10
	addq	$8, %rsp
	popq	%rdx
	popq	%rsi
	popq	%rdi
	movq	(UREGS_rip - UREGS_error)(%rsp), %rcx
	movq	(UREGS_rflags - UREGS_error)(%rsp), %r11
	movq	(UREGS_rsp - UREGS_error)(%rsp), %rsp
	sysretq

exit_by_iret:
	RESTORE_TO_R11
	popq	%r11
	RESTORE_FROM_R10
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	addq	$8, %rsp
	.globl	exit_iretq
	.hidden	exit_iretq
exit_iretq:
	iretq
	.section __ex_table, "a"
	.balign	4
	.long	exit_iretq - .
	.long	exit_fault - .
	.text

/*
 * IRET refused the guest's frame. trap_in_hypervisor() came back here with the guest's registers in place and the
 * stack pointer at regs.rip, on the full tables, vector and error code in scratch[1]: they become the guest's.
 */
exit_fault:
	pushq	(CI_scratch + 8 - UREGS_rip)(%rsp)
	SAVE_ALL
	FROM_GUEST	/* the exit path had undone the mitigations */
	movq	%rsp, %rdi
	call	exit_fault_from_guest
	jmp	guest_exit

exit_mitigations:
	testl	$SPEC_ENTRY_IBRS, CI_spec(%rsp)
	jz	1f
	movl	$0x48, %ecx
	movl	CI_guest_spec(%rsp), %eax
	xorl	%edx, %edx
	wrmsr
1:	testl	$SPEC_EXIT_VERW, CI_spec(%rsp)
	jz	exit_mitigations_done
	pushq	$HV_DS
	verw	(%rsp)
	addq	$8, %rsp
	jmp	exit_mitigations_done

	.globl	stack_reset_and_call
	.hidden	stack_reset_and_call
stack_reset_and_call:
	movq	$-HV_STACK_SIZE, %rax
	andq	%rax, %rsp
	addq	$(HV_STACK_SIZE - CI_SIZE - 8), %rsp
	xorl	%ebp, %ebp
	call	__x86_indirect_thunk_rdi
	ud2

/* Room for the stubs that hw/syscall.c writes: NR_CPUS times two of 32 bytes. */
	.balign	64
	.globl	syscall_stubs
	.hidden	syscall_stubs
syscall_stubs:
	.skip	128 * 64, 0xcc

	.section .note.GNU-stack, "", @progbits
