/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the boot loader to C. Multiboot 1 enters in 32-bit mode without paging, at the image's machine address:
 *
 *  1. check for long mode;
 *  2. tables that map the first 4 GiB three times: at 0, at DIRECTMAP_BASE, and (1 GiB of it) at IMAGE_BASE;
 *  3. long mode, the hypervisor's own selectors, jump to the image's virtual address;
 *  4. a stack of the shape that each CPU has (struct cpu_info at its top), then boot_main(multiboot information).
 *
 * The tables made here are also what other CPUs start on (hw/trampoline.S). boot_main() soon replaces them.
 */
#include "hw/layout.h"
#include "hw/entry.h"

#define MULTIBOOT_MAGIC 0x1badb002
/* Modules at page boundaries, memory information, addresses below. */
#define MULTIBOOT_FLAGS 0x00010003

#define PHYS(symbol) ((symbol) - IMAGE_BASE)

#define CR0_PE 0x00000001
#define CR0_MP 0x00000002
#define CR0_ET 0x00000010
#define CR0_NE 0x00000020
#define CR0_WP 0x00010000
#define CR0_AM 0x00040000
#define CR0_PG 0x80000000
#define CR4_PAE 0x20
#define MSR_EFER 0xc0000080

	.section .multiboot, "ax"
	.balign	4
multiboot_header:
	.long	MULTIBOOT_MAGIC
	.long	MULTIBOOT_FLAGS
	.long	-(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
	.long	PHYS(multiboot_header)
	.long	phys_image_start
	.long	phys_data_end
	.long	phys_image_end
	.long	PHYS(multiboot_entry)

	.code32
	.globl	multiboot_entry
multiboot_entry:
	cli
	cld
	cmpl	$0x2badb002, %eax
	jne	hang
	movl	%ebx, %ebp
	movl	$0x80000000, %eax
	cpuid
	cmpl	$0x80000001, %eax
	jb	no_long_mode
	movl	$0x80000001, %eax
	cpuid
	testl	$(1 << 29), %edx
	jz	no_long_mode
	movl	%edx, %esi

	/* 2 MiB pages: 4 tables of 512 entries. */
	movl	$PHYS(boot_l2), %edi
	movl	$0x83, %eax
	xorl	%edx, %edx
	movl	$2048, %ecx
1:	movl	%eax, (%edi)
	movl	%edx, 4(%edi)
	addl	$0x200000, %eax
	adcl	$0, %edx
	addl	$8, %edi
	loop	1b
	movl	$(PHYS(boot_l2) + 3), PHYS(boot_l3)
	movl	$(PHYS(boot_l2) + 0x1003), PHYS(boot_l3) + 8
	movl	$(PHYS(boot_l2) + 0x2003), PHYS(boot_l3) + 16
	movl	$(PHYS(boot_l2) + 0x3003), PHYS(boot_l3) + 24
	movl	$(PHYS(boot_l2) + 3), PHYS(boot_l3_image) + 8
	movl	$(PHYS(boot_l3) + 3), PHYS(boot_l4)
	movl	$(PHYS(boot_l3_image) + 3), PHYS(boot_l4) + 261 * 8
	movl	$(PHYS(boot_l3) + 3), PHYS(boot_l4) + 262 * 8

	movl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$PHYS(boot_l4), %eax
	movl	%eax, %cr3
	/* Long mode, SYSCALL, and NX where it exists. */
	movl	$MSR_EFER, %ecx
	movl	$0x101, %eax
	xorl	%edx, %edx
	testl	$(1 << 20), %esi
	jz	2f
	orl	$0x800, %eax
2:	movl	%eax, PHYS(boot_efer)
	wrmsr
	movl	$(CR0_PG | CR0_AM | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
	movl	%eax, %cr0
	lgdt	PHYS(boot_gdt_pointer32)
	ljmp	$HV_CS, $PHYS(long_mode)

no_long_mode:
	/* White on red in the corner of a text screen: there is no console yet. */
	movl	$PHYS(no_long_mode_text), %esi
	movl	$0xb8000, %edi
	movb	$0x4f, %ah
1:	lodsb
	testb	%al, %al
	jz	hang
	stosw
	jmp	1b
hang:
	cli
	hlt
	jmp	hang

	.code64
long_mode:
	movabsq	$high, %rax
	jmp	*%rax
high:
	lgdt	boot_gdt_pointer(%rip)
	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%eax, %ss
	leaq	(boot_stack + HV_STACK_SIZE - CI_SIZE)(%rip), %rsp
	andq	$-16, %rsp
	movl	%ebp, %edi
	xorl	%ebp, %ebp
	call	boot_main
	ud2

	.section .rodata, "a"
no_long_mode_text:
	.asciz	"Xylem needs a 64-bit processor."

	.data
	.balign	8
/* The hypervisor's selectors start at GDT_HV_OFFSET: the base lies that much before the first of them. */
boot_gdt:
	.quad	0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
	.skip	96
boot_gdt_end:
	.word	0, 0, 0
boot_gdt_pointer32:
	.word	GDT_HV_OFFSET + boot_gdt_end - boot_gdt - 1
	.long	PHYS(boot_gdt) - GDT_HV_OFFSET
	.balign	8
	.word	0, 0, 0
boot_gdt_pointer:
	.word	GDT_HV_OFFSET + boot_gdt_end - boot_gdt - 1
	.quad	boot_gdt - GDT_HV_OFFSET
	.balign	8
	.globl	boot_efer
	.hidden	boot_efer
boot_efer:
	.quad	0

	.section .bss.page_aligned, "aw", @nobits
	.balign	HV_STACK_SIZE
boot_stack:
	.skip	HV_STACK_SIZE
	.balign	4096
	.globl	boot_l4
	.hidden	boot_l4
boot_l4:
	.skip	4096
boot_l3:
	.skip	4096
boot_l3_image:
	.skip	4096
boot_l2:
	.skip	4 * 4096

	.section .note.GNU-stack, "", @progbits
