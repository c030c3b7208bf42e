/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where other CPUs start: copied to a page below 1 MiB (hw/smp.c), entered in real mode with CS:IP = page:0. The CPU takes
 * the tables that boot/start.S made, which map low memory at its own address, and leaves them in ap_entry.
 */
#include "hw/layout.h"

#define CR0_ON 0x80050033 /* PG AM WP NE ET MP PE */

	.section .trampoline, "a"
	.code16
trampoline_begin:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	movzwl	%ax, %ebx
	shll	$4, %ebx
	/* Addresses inside of the page become absolute ones. */
	leal	(trampoline_gdt - trampoline_begin)(%ebx), %eax
	movl	%eax, trampoline_gdt_pointer + 2 - trampoline_begin
	leal	(trampoline_32 - trampoline_begin)(%ebx), %eax
	movl	%eax, trampoline_jump - trampoline_begin
	movw	$8, trampoline_jump + 4 - trampoline_begin
	lgdtl	trampoline_gdt_pointer - trampoline_begin
	movl	$1, %eax
	movl	%eax, %cr0
	ljmpl	*(trampoline_jump - trampoline_begin)

	.code32
trampoline_32:
	movw	$16, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movl	$0x20, %eax
	movl	%eax, %cr4
	movl	(trampoline_cr3 - trampoline_begin)(%ebx), %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	movl	(trampoline_efer - trampoline_begin)(%ebx), %eax
	xorl	%edx, %edx
	wrmsr
	movl	$CR0_ON, %eax
	movl	%eax, %cr0
	leal	(trampoline_64 - trampoline_begin)(%ebx), %eax
	movl	%eax, (trampoline_jump - trampoline_begin)(%ebx)
	movw	$24, (trampoline_jump + 4 - trampoline_begin)(%ebx)
	ljmp	*(trampoline_jump - trampoline_begin)(%ebx)

	.code64
trampoline_64:
	movq	trampoline_entry(%rip), %rax
	jmp	*%rax

	.balign	8
trampoline_gdt:
	.quad	0
	.quad	0x00cf9b000000ffff
	.quad	0x00cf93000000ffff
	.quad	0x00af9b000000ffff
trampoline_gdt_pointer:
	.word	31
	.long	0
trampoline_jump:
	.long	0
	.word	8
	.balign	8
	.globl	trampoline_cr3, trampoline_efer, trampoline_entry
	.hidden	trampoline_cr3, trampoline_efer, trampoline_entry
trampoline_cr3:
	.quad	0
trampoline_efer:
	.quad	0
trampoline_entry:
	.quad	ap_entry

	.text
/* On the boot tables, at the image's address: the final tables, this CPU's stack, C. One CPU at a time comes here. */
ap_entry:
	movq	ap_cr3(%rip), %rax
	movq	%rax, %cr3
	lgdt	ap_gdt_pointer(%rip)
	movq	ap_stack(%rip), %rsp
	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%eax, %ss
	xorl	%ebp, %ebp
	pushq	$HV_CS
	leaq	1f(%rip), %rax
	pushq	%rax
	lretq
1:	call	smp_ap_start
	ud2

	.section .note.GNU-stack, "", @progbits
