/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exceptions into a guest's kernel, and its returns from there. */
#ifndef PV_BOUNCE_H
#define PV_BOUNCE_H

#include "dom/domain.h"
#include "lib/types.h"

/* Puts an exception frame on the guest kernel's stack and continues the current vcpu at its handler. Where
 * the guest has none, or its stack cannot be written, the domain crashes. v is current; interrupts on or off. */
void pv_inject_exception(struct vcpu *v, unsigned vector, uint32_t error_code);
void pv_inject_page_fault(struct vcpu *v, gva_t cr2, uint32_t error_code);
/*
 * The iret hypercall: the frame lies on the guest's stack (struct iret_context). RPL 3 in its CS means user
 * mode. The exit path uses SYSRET when the guest says that RCX and R11 are of no interest (VGCF_in_syscall).
 * A frame that cannot be read crashes the domain.
 */
void pv_iret(struct vcpu *v, struct cpu_user_regs *regs);
/* INT n executed by the guest at regs->rip: true when its gate took it, false when it is a #GP. */
bool pv_software_interrupt(struct vcpu *v, unsigned vector, unsigned insn_bytes);

#endif
