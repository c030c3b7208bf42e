/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PV vcpus: contexts, and what the fast paths go by. */
#ifndef PV_VCPU_H
#define PV_VCPU_H

#include "dom/domain.h"
#include "dom/guest.h"
#include "lib/types.h"

/* After a change of what the fast paths of SYSCALL and iret go by. Callbacks and the kernel's stack: v is current or does
 * not run. vm_assist: the domain lock is held, or no vcpu runs. */
void pv_fastpath_update(struct vcpu *v);
void pv_assist_update(struct domain *d);
extern const struct guest_kind pv_guest;
/* Sets all registers of a paused vcpu from a toolstack's or guest's context; takes references to its tables and
 * descriptors, or, where it is initialised, keeps them. 0, -EINVAL, -EOPNOTSUPP it is initialised and c names others,
 * -EBUSY a reset of it has not ended, -ERESTART_HV: call again. Domain lock. */
int pv_vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c) __must_check;
/* Takes context and tables from a paused vcpu that is down. 0, -ERESTART_HV: call again. Domain lock. */
int pv_vcpu_reset(struct vcpu *v) __must_check;
void pv_vcpu_get_context(struct vcpu *v, struct vcpu_guest_context *c);
/* Address checks for callbacks: canonical. */
bool pv_address_ok(uint64_t address);
/* The selector that a guest runs code with: of ring 3, and the flat one where it named none. */
uint16_t pv_code_selector(uint16_t selector);

#endif
