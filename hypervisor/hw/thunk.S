/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the compiler sends every indirect call and jump (-mindirect-branch=thunk-extern). Here they are retpolines: the
 * return's prediction is a loop of our own, whatever a guest has taught the branch predictor. hw/spec_apply.c writes a
 * plain jump over them where the processor needs no such thing. In the order of the registers' numbers.
 */
#include "hw/entry.h"

	.text
	.balign	THUNK_BYTES
	.globl	indirect_thunks
	.hidden	indirect_thunks
indirect_thunks:
	.irp	reg, rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	.balign	THUNK_BYTES, 0xcc
	.globl	__x86_indirect_thunk_\reg
	.hidden	__x86_indirect_thunk_\reg
__x86_indirect_thunk_\reg:
	call	2f
1:	pause
	lfence
	jmp	1b
2:	movq	%\reg, (%rsp)
	ret
	int3
	.endr
	.balign	THUNK_BYTES, 0xcc

	.section .note.GNU-stack, "", @progbits
