/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scheduler: credit with weight, cap, hard and soft affinity; one run queue per CPU, idle CPUs steal.
 */
#ifndef DOM_SCHED_H
#define DOM_SCHED_H

#include "dom/domain.h"
#include <xen/sysctl.h>
#include <xen/event_channel.h>

/* Bring-up, per CPU: timers_init_cpu(), idle_vcpu_create(), then sched_init_cpu() on it. sched_init(): boot
 * CPU, after those of CPU 0 and before the first domain. */
void sched_init(void);
void sched_init_cpu(unsigned cpu);                    /* makes its idle vcpu current */
void sched_set_idle(unsigned cpu, struct vcpu *idle); /* idle_vcpu_create()'s */
int sched_vcpu_init(struct vcpu *v) __must_check;
void sched_vcpu_destroy(struct vcpu *v);
int sched_domain_init(struct domain *d) __must_check;
void sched_domain_destroy(struct domain *d);
const char *sched_name(unsigned id); /* XEN_SCHEDULER_CREDIT or XEN_SCHEDULER_CREDIT2 */
/* XEN_DOMCTL_scheduler_op and XEN_SYSCTL_scheduler_op, get and put; domctl_lock. 0, -EINVAL, -ESRCH (no such pool). */
int sched_adjust(struct domain *d, struct xen_domctl_scheduler_op *op) __must_check;
int sched_adjust_pool(struct xen_sysctl_scheduler_op *op) __must_check;
/* Where it may run, and where it had rather. domctl_lock. -EINVAL: no CPU of hard is in its pool. A soft set without a CPU that
 * it may use counts for nothing. */
int vcpu_set_affinity(struct vcpu *v, const cpumask_t *hard, const cpumask_t *soft) __must_check;

/* CPUs that are in a pool, leaving one, or free, and those that are being taken out of use (hotplug.c); atomic. */
extern cpumask_t cpus_in_use, cpus_leaving;
/* Gives a vcpu that waits or sleeps on this CPU another one of its pool. */
void vcpu_leave_cpu(struct vcpu *v, unsigned cpu);
bool sched_cpu_idle(unsigned cpu);

/* Copies up to max vcpus that wait for a CPU, in their order; returns how many there are. */
struct sched_view {
	uint16_t domid;
	unsigned vcpu;
	int64_t credit_ns;
	bool boosted;
};
unsigned sched_look(unsigned cpu, struct sched_view *out, unsigned max);

/* SCHEDOP_*, of the current vcpu. */
void vcpu_yield(void);
void vcpu_block(void);
int vcpu_poll(const evtchn_port_t *ports, unsigned count, uint64_t timeout_ns) __must_check;
/* A consistent copy with the time in the present state added; state_entry_time is when that state began. */
void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out);
uint64_t cpu_idle_ns(unsigned cpu); /* time that CPU's idle vcpu ran */

/* ---- running ---- */
void domain_pause(struct domain *d); /* waits until no vcpu of it runs; not for the caller's own domain */
void domain_pause_nosync(struct domain *d);
void domain_unpause(struct domain *d);
void vcpu_pause(struct vcpu *v);
void vcpu_unpause(struct vcpu *v);
/* After pause_flags or an event changed: lets it run, or makes a running one look at its events. */
void vcpu_wake(struct vcpu *v);
void vcpu_kick(struct vcpu *v);
/* After something began to keep it from running (a pause flag): takes it off its CPU, without waiting. */
void vcpu_sleep(struct vcpu *v);
/* Whether nothing keeps it from running. */
bool vcpu_runnable(const struct vcpu *v);

/* SCHEDOP_poll ends; returns whether it was polling. */
bool vcpu_unpoll(struct vcpu *v);

#endif
