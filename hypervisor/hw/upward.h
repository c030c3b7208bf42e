/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that hw/ takes from higher layers; tests/lint/layers.py compares this list with the objects' symbols. */
#ifndef HW_UPWARD_H
#define HW_UPWARD_H

#include "lib/types.h"
#include <xen/xen.h>

/* ---- pv/: what entry.S hands over, on the CPU's hypervisor stack, interrupts off, the register frame complete ---- */
void trap_from_guest(struct cpu_user_regs *regs);    /* pv/trap.c: exceptions 0..31 from guest context */
void syscall_from_guest(struct cpu_user_regs *regs); /* pv/bounce.c: 64-bit SYSCALL */
void syscall32_from_guest(struct cpu_user_regs *regs);
void sysenter_from_guest(struct cpu_user_regs *regs);
/* pv/bounce.c, before each return to a guest, cpu_info()->work empty: events, pending traps. */
void guest_exit_prepare(struct cpu_user_regs *regs);
/* pv/trap.c: a page fault in an access to the current guest's memory. True: do it again; false: it fails. wait: it was made
 * with interrupts on, as they are now. */
bool guest_access_fault(gva_t va, uint32_t error_code, bool wait);
/* pv/bounce.c: the processor refused the frame of a return to the guest; the fault is the guest's, as if the first
 * instruction there had it. */
void exit_fault_from_guest(struct cpu_user_regs *regs);
/* pv/fastpath.S, by a jump with the frame complete from error_code on; goes on at syscall_in_full when it declines. */
void syscall_fastpath(void);

/* ---- dom/ ---- */
/* sched.c: the vcpu that this CPU runs, for trace records: its domain below, its number above. Interrupts off. */
uint32_t trace_who(void);

/* ---- boot/ ---- */
/* cmdline.c: parsed once, immutable afterwards (hw/options.h). */
struct options;
extern struct options options;
/* start.S: the tables of the first instructions, which other CPUs start on, and the EFER that was set there. */
extern uint64_t boot_l4[512], boot_efer;

#endif
