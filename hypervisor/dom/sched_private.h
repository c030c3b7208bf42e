/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the scheduler's files share: sched.c decides, sched_account.c hands out credit, sched_parameters.c changes settings and
 * shows the state.
 */
#ifndef DOM_SCHED_PRIVATE_H
#define DOM_SCHED_PRIVATE_H

#include "dom/cpupool.h"
#include "dom/timer.h"

#define MS                   1000000ull
#define ACCOUNT_NS           (30 * MS)
#define SCHED_WEIGHT_DEFAULT 256

struct sched_domain {
	struct list link;  /* cpupool.domains; sched_account_lock, as all here */
	struct list vcpus; /* sched_vcpu.link */
	unsigned weight;
	unsigned cap; /* percent of one CPU; 0: none. Read without the lock */
	unsigned active_count;
	int64_t limit, share; /* of this period */
	bool settled;
	/* What a cap leaves to all vcpus together, nanoseconds; 0 without a cap. Atomic. Not one for each: a domain
	 * could have its vcpus take turns then, and spend what the sleeping ones had saved. */
	int64_t budget;
};

struct sched_vcpu {
	struct list link; /* sched_account_lock */
	struct vcpu *vcpu;
	int64_t credit;        /* nanoseconds, atomic */
	uint64_t burnt_ns;     /* time up to which it paid; queue lock */
	bool boosted, yielded; /* queue lock */
	bool ran;              /* since the last accounting; atomic */
};

struct sched_cpu {
	spinlock_t lock;
	struct list queue; /* vcpu.run_link */
	struct vcpu *curr, *idle;
	struct timer slice;
	bool slice_over;
	bool held; /* curr goes on until the rate limit is over; the slice's timer then makes the CPU look
	              again */
};

static inline struct sched_vcpu *sv_of(const struct vcpu *v)
{
	return v->sched_private;
}

extern struct sched_cpu sched_cpus[NR_CPUS];
/* Guards weights, and the lists that accounting walks: pools, their domains, and these domains' vcpus. */
extern spinlock_t sched_account_lock;

/* v, which runs, pays for the time since it paid last. Its queue's lock. */
void sched_burn(struct vcpu *v, uint64_t now);
/* Each ACCOUNT_NS: what was paid goes to the domains and their vcpus, caps are filled. Interrupts on. */
void sched_account(void);

/* Reads the options, at boot: what Pool-0 is. */
void sched_parameters_init(void);
/* What the options say, for a pool whose sched_id is set. */
void sched_parameters_default(struct cpupool *p);
/* Of a paused domain: its vcpus are in the new pool, with weight, cap and affinities of a new domain. */
void sched_domain_move(struct domain *d, struct cpupool *p);

#endif
