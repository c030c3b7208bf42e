/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What vcpus pay for the time that they ran, and how it is handed out anew: part 2 of what sched.c tells of the scheduler.
 */
#include "dom/sched_private.h"
#include "hw/time.h"

spinlock_t sched_account_lock = SPINLOCK(RANK_ACCOUNT);

void sched_burn(struct vcpu *v, uint64_t now)
{
	struct sched_vcpu *sv = sv_of(v);

	if (v->is_idle || now <= sv->burnt_ns)
		return;
	__atomic_fetch_sub(&sv->credit, (int64_t)(now - sv->burnt_ns), __ATOMIC_RELAXED);
	if (READ_ONCE(v->domain->sched->cap))
		__atomic_fetch_sub(&v->domain->sched->budget, (int64_t)(now - sv->burnt_ns),
		                   __ATOMIC_RELAXED);
	__atomic_fetch_add(&v->domain->pool->paid_ns, now - sv->burnt_ns, __ATOMIC_RELAXED);
	sv->burnt_ns = now;
	WRITE_ONCE(sv->ran, true);
}

/* Counts the active vcpus of each domain of a pool and what it may use at the most. sched_account_lock. */
static unsigned account_active(const struct cpupool *p)
{
	struct list *l, *m;
	unsigned weights = 0;

	list_for_each(l, &p->domains) {
		struct sched_domain *sd = list_entry(l, struct sched_domain, link);

		sd->active_count = 0;
		list_for_each(m, &sd->vcpus) {
			struct sched_vcpu *sv = list_entry(m, struct sched_vcpu, link);

			if (READ_ONCE(sv->vcpu->runstate.state) <= RUNSTATE_runnable ||
			    READ_ONCE(sv->credit) < 0)
				WRITE_ONCE(sv->ran, true);
			sd->active_count += READ_ONCE(sv->ran);
		}
		sd->limit = (int64_t)(sd->active_count * ACCOUNT_NS);
		if (sd->cap)
			sd->limit = MIN(sd->limit, (int64_t)(sd->cap * ACCOUNT_NS / 100));
		sd->share = 0;
		sd->settled = !sd->active_count;
		if (!sd->settled)
			weights += sd->weight;
	}
	return weights;
}

/* Shares total out by weight; what a domain cannot use goes to the others. sched_account_lock. */
static void account_share(const struct cpupool *p, int64_t total, unsigned weights)
{
	bool again = true;

	while (again && weights) {
		int64_t left = total;
		unsigned weights_left = weights;
		struct list *l;

		again = false;
		list_for_each(l, &p->domains) {
			struct sched_domain *sd = list_entry(l, struct sched_domain, link);

			if (sd->settled)
				continue;
			sd->share = total * sd->weight / weights;
			if (sd->share < sd->limit)
				continue;
			sd->share = sd->limit;
			sd->settled = again = true;
			left -= sd->limit;
			weights_left -= sd->weight;
		}
		total = MAX(left, 0);
		weights = weights_left;
	}
}

/* Fills what a cap leaves; debt is kept. Two periods' worth may be saved, for those who wait for a CPU meanwhile. */
static void fill_budget(struct sched_domain *sd)
{
	int64_t old = READ_ONCE(sd->budget), share = (int64_t)(sd->cap * ACCOUNT_NS / 100);
	int64_t new = sd->cap ? MIN(old + share, 2 * share) : 0;

	__atomic_fetch_add(&sd->budget, new - old, __ATOMIC_RELAXED);
}

static void account_pay(struct sched_domain *sd)
{
	struct list *m;

	list_for_each(m, &sd->vcpus) {
		struct sched_vcpu *sv = list_entry(m, struct sched_vcpu, link);
		int64_t old = READ_ONCE(sv->credit), new, paid;

		if (READ_ONCE(sv->ran))
			/* It may have run since it was counted: then there is no share. */
			paid = sd->share / (int64_t)MAX(sd->active_count, 1u);
		else /* sleepers keep no wealth */
			paid = -old / 2;
		WRITE_ONCE(sv->ran, false);
		new = MIN(old + paid, (int64_t)ACCOUNT_NS);
		new = MAX(new, -(int64_t)(2 * ACCOUNT_NS));
		__atomic_fetch_add(&sv->credit, new - old, __ATOMIC_RELAXED);
	}
	fill_budget(sd);
}

/* sched_account_lock */
static void account_pool(struct cpupool *p)
{
	uint64_t paid = __atomic_exchange_n(&p->paid_ns, 0, __ATOMIC_RELAXED);
	struct list *l;

	account_share(p, (int64_t)paid, account_active(p));
	list_for_each(l, &p->domains)
		account_pay(list_entry(l, struct sched_domain, link));
}

/* What runs pays for the time up to now: what is paid in a period is then the time of that period, and no domain's limit
 * cuts off what it paid for an earlier one. */
static void burn_running(void)
{
	unsigned cpu;

	for_each_cpu_in(cpu, &cpus_online) {
		struct sched_cpu *sc = &sched_cpus[cpu];
		uint64_t flags = spin_lock_irqsave(&sc->lock);

		sched_burn(sc->curr, time_now_ns());
		spin_unlock_irqrestore(&sc->lock, flags);
	}
}

void sched_account(void)
{
	struct list *l;

	burn_running();
	spin_lock(&sched_account_lock);
	list_for_each(l, &cpupools)
		account_pool(list_entry(l, struct cpupool, link));
	spin_unlock(&sched_account_lock);
}
