/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a PV guest does that faults, and is carried out for it: pv/trap.c asks one after the other. */
#ifndef PV_EMULATE_H
#define PV_EMULATE_H

#include "dom/domain.h"
#include "lib/types.h"

/* Each returns true when the instruction was carried out or an exception injected. */
bool pv_emulate_privileged(struct vcpu *v, struct cpu_user_regs *regs); /* privileged.c */
/* privileged.c: ud2; "xen"; cpuid */
bool pv_emulate_forced_cpuid(struct vcpu *v, struct cpu_user_regs *regs);
bool pv_emulate_table_write(struct vcpu *v, struct cpu_user_regs *regs, gva_t cr2); /* table_write.c */
struct insn;
bool pv_emulate_io(struct vcpu *v, struct cpu_user_regs *regs, const struct insn *insn); /* io.c */

#endif
