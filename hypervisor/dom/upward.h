/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that dom/ calls of higher layers; tests/lint/layers.py compares this list with the objects' symbols. */
#ifndef DOM_UPWARD_H
#define DOM_UPWARD_H

#include "lib/types.h"

struct domain;
struct vcpu;

/* pv/switch.c: saves prev, loads next, and continues next on the exit path to the guest (or in the idle loop). Called with
 * interrupts off, from the WORK_SCHEDULE handler, after the run queues agreed. Sets cpu_info()->current, clears
 * prev->running with release once prev is saved, updates runstate area and time page of next. */
void vcpu_switch(struct vcpu *prev, struct vcpu *next) __noreturn;
/* pv/switch.c: v goes on running after its turn; brings its time page up to date. Called like vcpu_switch(). */
void vcpu_stay(struct vcpu *v);

/* pv/vcpu.c: prepares what pv keeps for a vcpu or a domain, and frees it. */
int pv_vcpu_create(struct vcpu *v) __must_check;
void pv_vcpu_destroy(struct vcpu *v);
int pv_domain_create(struct domain *d) __must_check;
void pv_domain_destroy(struct domain *d);
/* pv/vcpu.c: drops the vcpu's references to tables, GDT, LDT, info page. Preemptible. */
int pv_vcpu_relinquish(struct vcpu *v) __must_check;

#endif
