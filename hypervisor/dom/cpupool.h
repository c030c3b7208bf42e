/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU pools: each CPU is in one pool, free, or out of use; a domain's vcpus run on the CPUs of its pool alone.
 *
 * Whoever calls anything here holds domctl_lock, unless it says otherwise.
 */
#ifndef DOM_CPUPOOL_H
#define DOM_CPUPOOL_H

#include "dom/domain.h"

struct cpupool {
	struct list link;      /* in the order of id; changed under domctl_lock and sched_account_lock */
	uint32_t id;           /* create */
	unsigned sched_id;     /* XEN_SCHEDULER_*; create */
	unsigned domain_count; /* atomic */
	/* Where its vcpus run; and what was taken out of it while somebody is still there. Bits are atomic, and change under
	 * domctl_lock. A pool with domains that are alive has a CPU. */
	cpumask_t cpus, leaving;
	const char *granularity; /* what it is called; a CPU at a time is what there is. domctl_lock */
	uint64_t slice_ns, ratelimit_ns; /* READ_ONCE, WRITE_ONCE */
	struct list domains;             /* sched_domain.link; sched_account_lock */
	uint64_t paid_ns;                /* by all its vcpus since the last accounting; atomic */
};

/* Pool-0: where CPUs and domains begin. It always has CPU 0, and dom0. */
extern struct cpupool cpupool0;
/* All of them, by id: under domctl_lock or sched_account_lock. */
extern struct list cpupools;
/* CPUs that are in use and in no pool; atomic bits. */
extern cpumask_t cpus_free;

/* XEN_SYSCTL_cpupool_op's operations, with Xen's numbers. */

/* id CPUPOOL_ANY: the next one. 0, -ENOSPC, -EEXIST, -ENOENT (no such scheduler), -ENOMEM. */
#define CPUPOOL_ANY (~0u)
int cpupool_create(uint32_t id, uint32_t sched_id, struct cpupool **out) __must_check;
/* -EBUSY: it has domains or CPUs. Waits for all CPUs, so that the caller holds no lock that is taken with interrupts off. */
int cpupool_destroy(struct cpupool *p) __must_check;
struct cpupool *cpupool_find(uint32_t id);
struct cpupool *cpupool_find_next(uint32_t id); /* that or the next one, or NULL */
/* -EINVAL: there is no such CPU; -ENODEV: it is not free; -EADDRNOTAVAIL: it is leaving another pool. */
int cpupool_add_cpu(struct cpupool *p, uint32_t cpu) __must_check;
/* -EINVAL: no such CPU, or CPU 0 of Pool-0; -EADDRNOTAVAIL: not in this pool; -EBUSY: the last one of domains that are
 * alive; -ERESTART_HV: somebody is still there. */
int cpupool_remove_cpu(struct cpupool *p, uint32_t cpu) __must_check;
/* Not the caller's own domain. Weight, cap and affinity are new, as on Xen. -ENOENT: a pool without CPUs. */
int cpupool_move_domain(struct domain *d, struct cpupool *p) __must_check;

/* A domain comes, and goes with its destruction (no lock needed). -ESRCH: no such pool; -ENODEV: it has no CPU. */
int cpupool_join(struct domain *d, uint32_t id) __must_check;
void cpupool_leave(struct domain *d);
/* No lock needed. */
uint32_t cpupool_of(const struct domain *d);

/* A CPU comes into use, in Pool-0, or goes out of use: -ENODEV if it is in another pool (hotplug.c, bring-up). */
void cpupool_plug(unsigned cpu);
int cpupool_unplug(unsigned cpu) __must_check;
/* Of a CPU that is in no pool any more: vcpus there go to other CPUs of their pool, and so do timers; interrupts go to
 * CPU 0. -ERESTART_HV: one still runs there. */
int cpupool_vacate(unsigned cpu) __must_check;

#endif
