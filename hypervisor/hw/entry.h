/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Offsets of struct cpu_info for assembly (hw/syscall.c asserts them), and the vectors that entry code knows.
 */
#ifndef HW_ENTRY_H
#define HW_ENTRY_H

#define UREGS_r15     0
#define UREGS_r11     48
#define UREGS_rax     80
#define UREGS_rcx     88
#define UREGS_rdi     112
#define UREGS_error   120
#define UREGS_vector  124
#define UREGS_rip     128
#define UREGS_cs      136
#define UREGS_rflags  144
#define UREGS_rsp     152
#define UREGS_ss      160
#define UREGS_es      168 /* the stack pointer at a trap from a guest: TSS.rsp0; 16-byte aligned */
#define CI_work       212
#define CI_hv_cr3     216
#define CI_guest_cr3  224
#define CI_scratch    248
#define CI_spec       272
#define CI_guest_spec 276
#define CI_SIZE       280

#define VECTOR_INT80  0x80
/* In entry_vector: the guest came by SYSCALL and may go back by SYSRET (rcx and r11 need not survive). */
#define ENTRY_SYSCALL 0x100

/* cpu_info.spec_flags */
#define SPEC_ENTRY_IBRS 1 /* write SPEC_CTRL = IBRS on entry from a guest, the guest's on exit */
#define SPEC_EXIT_VERW  2 /* clear buffers on exit (MDS) */
#define SPEC_ENTRY_RSB  4 /* overwrite the return stack buffer on entry */

#define THUNK_BYTES     32 /* of each of the 16 in hw/thunk.S */

#ifndef __ASSEMBLER__
#include "lib/types.h"

/* Continues on this CPU's stack at the return to the guest whose frame is in cpu_info()->regs. */
void exit_to_guest(void) __noreturn;
/* Empties the stack and runs fn, which does not return. */
void stack_reset_and_call(void (*fn)(void)) __noreturn;
#endif

#endif
