/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of a switch of vcpus that is a PV guest's. */
#ifndef PV_SWITCH_H
#define PV_SWITCH_H

#include "dom/domain.h"

/* The hypervisor's CR4 with the bits that the current vcpu chose (TSD, DE). */
void pv_load_cr4(const struct vcpu *v);
#define CR4_TSD (1ull << 2)

/* For struct guest_kind. */
void pv_leave(struct vcpu *v);
void pv_enter(struct vcpu *v);
void pv_stay(struct vcpu *v);
/* What they could not write to the areas that the guest registered, for want of a shadow page that was ready. v is current,
 * interrupts are on. */
void pv_publish_again(struct vcpu *v);

#endif
