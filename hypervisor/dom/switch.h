/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The switch from one vcpu to another. */
#ifndef DOM_SWITCH_H
#define DOM_SWITCH_H

#include "dom/domain.h"
#include "lib/types.h"

/* prev leaves this CPU, and next goes on, on the exit path to the guest or in the idle loop. Called with interrupts off,
 * from the WORK_SCHEDULE handler, after the run queues agreed. Sets cpu_info()->current, and clears prev->running with
 * release once prev is saved. */
void vcpu_switch(struct vcpu *prev, struct vcpu *next) __noreturn;
/* The domain is no more: one that gets its memory is another one. */
void switch_forget(const struct domain *d);

#endif
