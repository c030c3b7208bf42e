/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vcpus: made and destroyed, their timers, what of them lies in shared memory. */
#ifndef DOM_VCPU_H
#define DOM_VCPU_H

#include "dom/domain.h"
#include "lib/types.h"

int vcpu_create(struct domain *d, unsigned id) __must_check; /* down and uninitialised */
struct vcpu *idle_vcpu_create(unsigned cpu);                 /* boot */

void vcpu_mark_events_pending(struct vcpu *v);
/* VCPUOP_register_vcpu_info */
int vcpu_register_info(struct vcpu *v, mfn_t mfn, unsigned offset) __must_check;
void vcpu_unregister_info(struct vcpu *v); /* the vcpu does not run; puts it on a page that nobody reads */
void vcpu_destroy(struct vcpu *v);         /* frees it; no reference is left */
/* VCPUOP timers. Period 0: stop. */
void vcpu_set_periodic(struct vcpu *v, uint64_t period_ns);
void vcpu_set_singleshot(struct vcpu *v, uint64_t expires_ns);
void vcpu_periodic_resume(struct vcpu *v, uint64_t now_ns); /* at switch-in */
/* Refreshes the pvclock page of a vcpu, on its own CPU: when it is switched in, and at the end of a slice
 * when this CPU's clock was steered meanwhile (vcpu_time_stale()). */
void vcpu_time_update(struct vcpu *v, bool force);
bool vcpu_time_stale(const struct vcpu *v);
void domain_wallclock_update(struct domain *d);

#endif
