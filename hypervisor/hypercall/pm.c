/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sysctl get_pmstat and pm_op: idle states and frequencies, for xenpm.
 *
 * An idle CPU halts (C1) and goes no deeper; frequencies are left to firmware and hardware, and dom0's tables about
 * either are not taken. So there are two idle states whose times are told, as Xen tells them as long as dom0 gave it no
 * tables, and everything about frequencies is refused as Xen does without a driver for them.
 */
#include "hw/time.h"
#include "dom/sched.h"
#include "hw/cpu.h"
#include "hw/options.h"
#include "hw/uaccess.h"
#include "hypercall/sysctl.h"
#include "lib/bits.h"
#include "lib/errno.h"

#define STATES 2 /* running, and halted */

static unsigned max_substate = XEN_SYSCTL_CX_UNLIMITED;
static uint32_t sched_smt; /* told and kept; vcpus are not placed by cores */

static bool cpu_valid(uint32_t cpu)
{
	return cpu < cpu_count && cpumask_test(&cpus_in_use, cpu);
}

static int idle_times(unsigned cpu, struct pm_cx_stat *q)
{
	uint64_t idle = cpu_idle_ns(cpu), now = time_now_ns();
	uint64_t entries[STATES] = { 1, 1 }, times[STATES] = { now > idle ? now - idle : 0, idle };
	uint32_t n = MIN(q->nr, (uint32_t)STATES);

	q->nr = STATES;
	q->last = 1;
	q->idle_time = idle;
	q->nr_pc = q->nr_cc = 0;
	if (copy_to_handle(q->triggers, 0, entries, n) || copy_to_handle(q->residencies, 0, times, n))
		return -EFAULT;
	return 0;
}

int pm_stat(struct xen_sysctl_get_pmstat *q)
{
	if (!cpu_valid(q->cpuid))
		return -EINVAL;
	if ((q->type & PMSTAT_CATEGORY_MASK) != PMSTAT_CX)
		return -ENODEV;
	switch (q->type) {
	case PMSTAT_get_max_cx:
		q->u.getcx.nr = STATES;
		return 0;
	case PMSTAT_get_cxstat:
		return idle_times(q->cpuid, &q->u.getcx);
	case PMSTAT_reset_cxstat:
		return 0;
	}
	return -EINVAL;
}

/* The limit of idle states (0), or of their sub-states (1). */
static int max_cstate(struct xen_sysctl_pm_op *q, bool set)
{
	unsigned *limit = q->cpuid == 0 ? &options.max_cstate : q->cpuid == 1 ? &max_substate : NULL;

	if (!limit)
		return -EINVAL;
	if (set)
		WRITE_ONCE(*limit, q->u.set_max_cstate);
	else
		q->u.get_max_cstate = READ_ONCE(*limit);
	return 0;
}

int pm_op(struct xen_sysctl_pm_op *q)
{
	switch (q->cmd) {
	case XEN_SYSCTL_pm_op_set_sched_opt_smt:
		if (q->cpuid)
			return -EINVAL;
		q->u.set_sched_opt_smt =
		        __atomic_exchange_n(&sched_smt, !!q->u.set_sched_opt_smt, __ATOMIC_RELAXED);
		return 0;
	case XEN_SYSCTL_pm_op_get_max_cstate:
		return max_cstate(q, false);
	case XEN_SYSCTL_pm_op_set_max_cstate:
		return max_cstate(q, true);
	}
	if (!cpu_valid(q->cpuid) || (q->cmd & PM_PARA_CATEGORY_MASK) == CPUFREQ_PARA)
		return -EINVAL;
	return q->cmd == XEN_SYSCTL_pm_op_enable_turbo || q->cmd == XEN_SYSCTL_pm_op_disable_turbo ? -EACCES
	                                                                                           : -ENOSYS;
}
