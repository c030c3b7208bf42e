/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where hw/entry.S hands over to C. Each is called on the CPU's hypervisor stack (NMI, #MC, #DF and a #DB in
 * the hypervisor: on their own IST stacks) with interrupts off and the register frame complete;
 * regs->entry_vector is the vector.
 */
#ifndef HW_TRAP_H
#define HW_TRAP_H

#include "hw/upward.h"
#include "lib/types.h"
#include <xen/xen.h>

/* Exception table fix-up (uaccess, rdmsr_safe, ...), a place of trace_on(), or panic. */
void trap_in_hypervisor(struct cpu_user_regs *regs);
void trap_debug_in_hypervisor(struct cpu_user_regs *regs);
void trap_nmi(struct cpu_user_regs *regs);
void trap_machine_check(struct cpu_user_regs *regs);
void trap_double_fault(struct cpu_user_regs *regs) __noreturn;

/* Exception table: a fault at the first address continues at the second. Entries come from assembly. */
struct fault_fixup {
	int32_t from, to; /* relative to the field's own address */
};

void smp_stop_others(void); /* the other CPUs halt permanently */

#endif
