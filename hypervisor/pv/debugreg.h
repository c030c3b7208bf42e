/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Debug registers. 0, -EPERM or -EINVAL; n 0 .. 7. */
#ifndef PV_DEBUGREG_H
#define PV_DEBUGREG_H

#include "dom/domain.h"
#include "lib/types.h"

int pv_debugreg_set(struct vcpu *v, unsigned n, uint64_t value) __must_check;
uint64_t pv_debugreg_get(const struct vcpu *v, unsigned n);
void pv_debugregs_load(const struct vcpu *v); /* at switch-in, when DR7 enables any */
void pv_debugregs_off(void);

/* An instruction of the current vcpu was carried out for it, or one element of a repeated one: what the
 * processor does at its end. RF goes; a set TF is a #DB with DR6.BS (SDM Vol. 3, 17.3.1.4). */
void pv_instruction_done(struct vcpu *v, struct cpu_user_regs *regs);

#endif
