/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that pv/ calls of higher layers; tests/lint/layers.py compares this list with the objects' symbols. */
#ifndef PV_UPWARD_H
#define PV_UPWARD_H

struct cpu_user_regs;
struct vcpu;

/* hypercall/dispatch.c: the number is in rax, the arguments where the ABI has them; the result goes to rax. */
void hypercall_from_guest(struct vcpu *v, struct cpu_user_regs *regs);

#endif
