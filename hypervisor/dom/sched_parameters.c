/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scheduler's settings, as the toolstack reads and writes them.
 *
 * There is one scheduler with two faces, of which each pool has one. Credit2 is Pool-0's by default, as it is Xen's: weight, cap
 * and rate limit. Credit (sched=credit, for Pool-0) has the same, and a time slice. Weights and caps mean the same in both.
 */
#include "dom/sched_private.h"
#include "dom/sched.h"
#include "hw/options.h"
#include "hw/trace.h"
#include "lib/errno.h"
#include "lib/string.h"

const char *sched_name(unsigned id)
{
	return id == XEN_SCHEDULER_CREDIT ? "credit" : "credit2";
}

void sched_parameters_default(struct cpupool *p)
{
	p->slice_ns = options.sched_slice_ms * MS;
	p->ratelimit_ns = options.sched_ratelimit_us * 1000ull;
	if (p->sched_id == XEN_SCHEDULER_CREDIT)
		p->ratelimit_ns = MIN(p->ratelimit_ns, p->slice_ns);
}

void sched_parameters_init(void)
{
	cpupool0.sched_id = strcmp(options.sched, "credit") ? XEN_SCHEDULER_CREDIT2 : XEN_SCHEDULER_CREDIT;
	sched_parameters_default(&cpupool0);
}

/* The cap that means "as it is": credit has one, credit2 has none. */
static bool cap_given(const struct cpupool *p, uint16_t cap)
{
	return p->sched_id == XEN_SCHEDULER_CREDIT2 || cap != (uint16_t)~0;
}

/* Credit and credit2 have the same two fields. sched_account_lock. */
static int domain_set(struct domain *d, const struct xen_domctl_sched_credit *p)
{
	struct sched_domain *sd = d->sched;
	bool given = cap_given(d->pool, p->cap);

	if (given && p->cap > d->max_vcpus * 100u)
		return -EINVAL;
	if (p->weight) /* 0 leaves it as it is */
		sd->weight = p->weight;
	if (given)
		WRITE_ONCE(sd->cap, p->cap);
	return 0;
}

int sched_adjust(struct domain *d, struct xen_domctl_scheduler_op *op)
{
	int rc = 0;

	_Static_assert(offsetof(struct xen_domctl_sched_credit, cap) ==
	                               offsetof(struct xen_domctl_sched_credit2, cap) &&
	                       sizeof(struct xen_domctl_sched_credit) ==
	                               sizeof(struct xen_domctl_sched_credit2),
	               "credit and credit2 have the same fields");
	if (op->sched_id != d->pool->sched_id)
		return -EINVAL;
	spin_lock(&sched_account_lock);
	switch (op->cmd) {
	case XEN_DOMCTL_SCHEDOP_getinfo:
		op->u.credit.weight = (uint16_t)d->sched->weight;
		op->u.credit.cap = (uint16_t)d->sched->cap;
		break;
	case XEN_DOMCTL_SCHEDOP_putinfo:
		rc = domain_set(d, &op->u.credit);
		break;
	default: /* settings for each vcpu are rtds' */
		rc = -EINVAL;
	}
	spin_unlock(&sched_account_lock);
	if (!rc)
		TRACE(TRC_SCHED_ADJDOM, d->domid);
	return rc;
}

/* 0 switches the limit off. */
static bool ratelimit_valid(uint32_t us)
{
	return !us || (us >= XEN_SYSCTL_SCHED_RATELIMIT_MIN && us <= XEN_SYSCTL_SCHED_RATELIMIT_MAX);
}

static int credit_set(struct cpupool *pool, const struct xen_sysctl_credit_schedule *p)
{
	if (p->tslice_ms > XEN_SYSCTL_CSCHED_TSLICE_MAX || p->tslice_ms < XEN_SYSCTL_CSCHED_TSLICE_MIN)
		return -EINVAL;
	if (!ratelimit_valid(p->ratelimit_us) || p->ratelimit_us > p->tslice_ms * 1000u)
		return -EINVAL;
	if (p->vcpu_migr_delay_us) /* a vcpu moves as soon as a CPU is idle */
		return -EINVAL;
	WRITE_ONCE(pool->slice_ns, p->tslice_ms * MS);
	WRITE_ONCE(pool->ratelimit_ns, p->ratelimit_us * 1000ull);
	return 0;
}

static int credit2_set(struct cpupool *pool, const struct xen_sysctl_credit2_schedule *p)
{
	if (!ratelimit_valid(p->ratelimit_us))
		return -EINVAL;
	WRITE_ONCE(pool->ratelimit_ns, p->ratelimit_us * 1000ull);
	return 0;
}

int sched_adjust_pool(struct xen_sysctl_scheduler_op *op)
{
	struct cpupool *p;
	uint32_t ratelimit_us;
	int rc = 0;

	if (op->cmd != XEN_SYSCTL_SCHEDOP_putinfo && op->cmd != XEN_SYSCTL_SCHEDOP_getinfo)
		return -EINVAL;
	p = cpupool_find(op->cpupool_id);
	if (!p)
		return -ESRCH;
	if (op->sched_id != p->sched_id)
		return -EINVAL;
	if (op->cmd == XEN_SYSCTL_SCHEDOP_putinfo)
		rc = p->sched_id == XEN_SCHEDULER_CREDIT ? credit_set(p, &op->u.sched_credit)
		                                         : credit2_set(p, &op->u.sched_credit2);
	if (rc)
		return rc;
	ratelimit_us = (uint32_t)(READ_ONCE(p->ratelimit_ns) / 1000);
	if (p->sched_id == XEN_SCHEDULER_CREDIT)
		op->u.sched_credit = (struct xen_sysctl_credit_schedule){
			.tslice_ms = (unsigned)(READ_ONCE(p->slice_ns) / MS), .ratelimit_us = ratelimit_us
		};
	else
		op->u.sched_credit2.ratelimit_us = ratelimit_us;
	return 0;
}

unsigned sched_look(unsigned cpu, struct sched_view *out, unsigned max)
{
	struct sched_cpu *sc = &sched_cpus[cpu];
	uint64_t flags = spin_lock_irqsave(&sc->lock);
	struct list *l;
	unsigned n = 0;

	list_for_each(l, &sc->queue) {
		const struct vcpu *v = list_entry(l, struct vcpu, run_link);
		const struct sched_vcpu *sv = v->sched_private;

		if (n < max)
			out[n] = (struct sched_view){ v->domain->domid, v->id, READ_ONCE(sv->credit),
				                      sv->boosted };
		n++;
	}
	spin_unlock_irqrestore(&sc->lock, flags);
	return n;
}
