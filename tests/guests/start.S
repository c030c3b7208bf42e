/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entry, hypercall page, trap stubs. The stack frame of a trap: RCX, R11, error code where there is one, then RIP .. SS. */
	.section .text.start, "ax"
	.globl	_start
_start:
	cld
	leaq	stack_top(%rip), %rsp
	movq	%rsi, %rdi
	xorl	%ebp, %ebp
	call	guest_main
	ud2

	.text
	.balign	4096
	.globl	hypercall_page
hypercall_page:
	.skip	4096

	.globl	hypercall
hypercall:
	movl	%edi, %eax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	%r8, %r10
	movq	%r9, %r8
	syscall
	.globl	hypercall_end
hypercall_end:
	ret

	/* What is kept lies a good way below the caller's frame: it stays right, and guard_return comes back here once
	 * more, until the caller's caller goes on or the next guard_call is made, whatever is pushed in between. */
	.equ	GUARD_GAP, 2048
	.globl	guard_call
guard_call:	/* rdi fn, rsi arg, rdx: where to keep the stack pointer. Returns 0, or 1 by guard_return */
	popq	%r11
	subq	$GUARD_GAP, %rsp
	pushq	%r11
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdx)
	movq	%rdi, %rax
	movq	%rsi, %rdi
	call	*%rax
	xorl	%eax, %eax
guard_pop:
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	popq	%r11
	addq	$GUARD_GAP, %rsp
	jmpq	*%r11
	.globl	guard_return
guard_return:	/* rdi: the kept stack pointer */
	movq	%rdi, %rsp
	movl	$1, %eax
	jmp	guard_pop

	.globl	trap_stubs
	.balign	16
trap_stubs:
	vector = 0
	.rept	257
	.balign	16
	popq	%rcx
	popq	%r11
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
	pushq	$0
	.endif
	pushq	$vector
	jmp	trap_common
	vector = vector + 1
	.endr

	.globl	syscall_stub
syscall_stub:
	popq	%rcx
	popq	%r11
	pushq	$0
	pushq	$257
trap_common:
	cld	/* stock Xen leaves it as it was */
	pushq	%rcx
	pushq	%r11
	pushq	%rax
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, %rdi
	movq	%rsp, %rbx
	andq	$-16, %rsp
	call	trap
	movq	%rbx, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rax
	popq	%r11
	popq	%rcx
	/* vector and error make room: iret wants rax, r11, rcx, flags below rip */
	addq	$16, %rsp
	pushq	$0
	pushq	%rcx
	pushq	%r11
	pushq	%rax
	movl	$23, %eax
	syscall
	ud2

	/* user_enter(rip, rsp, keep): to user mode; comes back through guard_return, which takes what guard_call leaves */
	.globl	user_enter
user_enter:
	popq	%r11
	subq	$GUARD_GAP, %rsp
	pushq	%r11
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdx)
	pushq	$0xe02b
	pushq	%rsi
	pushq	user_rflags(%rip)
	pushq	$0xe033
	pushq	%rdi
	pushq	$0
	pushq	$0
	pushq	$0
	pushq	$0
	movl	$23, %eax
	syscall
	ud2

	.bss
	.balign	4096
	.skip	32768
stack_top:
	.globl	kernel_stack_top
	.skip	16384
kernel_stack_top:

	.macro	NOTE type, size, value:vararg
	.balign	4
	.long	4, 2f - 1f, \type
	.asciz	"Xen"
1:	\size	\value
2:	.balign	4
	.endm
	.section .note.Xen, "a", @note
	NOTE	6, .asciz, "xylem-test"
	NOTE	7, .asciz, "1"
	NOTE	5, .asciz, "xen-3.0"
	NOTE	3, .quad, 0xffffffff80000000
	NOTE	4, .quad, 0
	NOTE	1, .quad, _start
	NOTE	2, .quad, hypercall_page
#ifdef OLDER_FEATURES_NOTE
	NOTE	10, .asciz, "!writable_page_tables|pae_pgdir_above_4gb"
#else
	NOTE	10, .asciz, ""
	NOTE	17, .long, 0x801 /* dom0, writable page tables */
#endif
	NOTE	9, .asciz, "yes"
	NOTE	8, .asciz, "generic"
	.section .note.GNU-stack, "", @progbits
