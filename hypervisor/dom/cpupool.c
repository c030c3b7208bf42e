/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU pools.
 *
 * The scheduler lets a vcpu run on a CPU of its domain's pool only (allowed_cpus() in sched.c). What changes that:
 *
 * 1. A domain moves while it is paused: none of its vcpus runs or waits in a queue, so nobody looks at their pool.
 * 2. A CPU leaves in two steps. It is taken out of the pool's set, so that nobody is placed there any more; then those who
 *    are there go elsewhere. The one that runs goes when it gives the CPU up, to which it is told; until then the call is
 *    continued, for it may be the caller itself. Meanwhile the CPU is neither free nor in a pool.
 * 3. The last CPU leaves a pool only when no domain that is alive is in it; dying ones go to Pool-0, since their memory may
 *    be held for long.
 *
 * A pool's memory outlives whoever found it with interrupts off: cpupool_destroy() calls all CPUs before it frees it.
 */
#include "dom/cpupool.h"
#include "dom/domtable.h"
#include "dom/sched.h"
#include "dom/sched_private.h"
#include "hw/irq.h"
#include "hw/smp.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "mm/heap.h"

#define ID_MAX (CPUPOOL_ANY - 1)

struct list cpupools = { &cpupool0.link, &cpupool0.link };
struct cpupool cpupool0 = { .link = { &cpupools, &cpupools },
	                    .sched_id = XEN_SCHEDULER_CREDIT2,
	                    .granularity = "cpu",
	                    .domains = { &cpupool0.domains, &cpupool0.domains } };
cpumask_t cpus_free;
static unsigned pool_count = 1;

static struct cpupool *pool_at(struct list *l)
{
	return list_entry(l, struct cpupool, link);
}

/* ---- pools ---- */

struct cpupool *cpupool_find_next(uint32_t id)
{
	struct list *l;

	list_for_each(l, &cpupools)
		if (pool_at(l)->id >= id)
			return pool_at(l);
	return NULL;
}

struct cpupool *cpupool_find(uint32_t id)
{
	struct cpupool *p = cpupool_find_next(id);

	return p && p->id == id ? p : NULL;
}

/* One more than the last; at the end of numbers the first that is not taken. */
static uint32_t free_id(void)
{
	uint32_t id = pool_at(cpupools.prev)->id + 1;
	struct list *l;

	if (id <= ID_MAX)
		return id;
	id = 0;
	list_for_each(l, &cpupools)
		if (pool_at(l)->id == id)
			id++;
	return id;
}

int cpupool_create(uint32_t id, uint32_t sched_id, struct cpupool **out)
{
	struct cpupool *p, *next;

	if (pool_count >= 2 * cpu_count)
		return -ENOSPC;
	if (id == CPUPOOL_ANY)
		id = free_id();
	else if (cpupool_find(id))
		return -EEXIST;
	if (sched_id != XEN_SCHEDULER_CREDIT && sched_id != XEN_SCHEDULER_CREDIT2)
		return -ENOENT;
	p = hv_alloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->id = id;
	p->sched_id = sched_id;
	p->granularity = "cpu";
	list_init(&p->domains);
	sched_parameters_default(p);
	next = cpupool_find_next(id);
	spin_lock(&sched_account_lock);
	list_add_before(&p->link, next ? &next->link : &cpupools);
	spin_unlock(&sched_account_lock);
	pool_count++;
	*out = p;
	return 0;
}

static void nothing(void *arg)
{
	(void)arg;
}

int cpupool_destroy(struct cpupool *p)
{
	if (READ_ONCE(p->domain_count) || !cpumask_empty(&p->cpus) || !cpumask_empty(&p->leaving))
		return -EBUSY;
	spin_lock(&sched_account_lock);
	list_del(&p->link);
	spin_unlock(&sched_account_lock);
	pool_count--;
	cpu_call(&cpus_online, nothing, NULL);
	hv_free(p);
	return 0;
}

/* ---- domains ---- */

/* Its timers on these CPUs go to where it is. */
static void vcpu_timers_follow(struct vcpu *v, const cpumask_t *from)
{
	struct timer *const timers[] = { &v->singleshot_timer, &v->periodic_timer, &v->poll_timer };

	for (unsigned i = 0; i < ARRAY_SIZE(timers); i++)
		if (cpumask_test(from, READ_ONCE(timers[i]->cpu)))
			timer_migrate(timers[i], READ_ONCE(v->cpu));
}

int cpupool_join(struct domain *d, uint32_t id)
{
	struct cpupool *p = cpupool_find(id);

	if (!p)
		return -ESRCH;
	if (cpumask_empty(&p->cpus))
		return -ENODEV;
	__atomic_fetch_add(&p->domain_count, 1, __ATOMIC_SEQ_CST);
	d->pool = p;
	return 0;
}

/* Those that lived are in Pool-0, which stays. */
void cpupool_leave(struct domain *d)
{
	if (d->pool)
		__atomic_fetch_sub(&d->pool->domain_count, 1, __ATOMIC_SEQ_CST);
	d->pool = NULL;
}

uint32_t cpupool_of(const struct domain *d)
{
	uint64_t flags = irq_save();
	uint32_t id = READ_ONCE(d->pool)->id;

	irq_restore(flags);
	return id;
}

int cpupool_move_domain(struct domain *d, struct cpupool *p)
{
	struct cpupool *from = d->pool;
	cpumask_t all = cpumask_all();

	if (p == from)
		return 0;
	if (cpumask_empty(&p->cpus))
		return -ENOENT;
	domain_pause(d);
	sched_domain_move(d, p);
	for (unsigned i = 0; i < d->max_vcpus; i++)
		if (d->vcpus[i])
			vcpu_timers_follow(d->vcpus[i], &all);
	__atomic_fetch_add(&p->domain_count, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_sub(&from->domain_count, 1, __ATOMIC_SEQ_CST);
	domain_unpause(d);
	return 0;
}

/* Dying domains leave for Pool-0. -EBUSY: there is one that is alive. */
static int domains_leave(const struct cpupool *p)
{
	struct domain *d;
	int rc = 0;

	for (unsigned id = 0; !rc && (d = domain_get_next((uint16_t)id));) {
		id = d->domid + 1u;
		if (d->pool == p)
			rc = READ_ONCE(d->life) == DOMAIN_ALIVE ? -EBUSY : cpupool_move_domain(d, &cpupool0);
		domain_put(d);
	}
	return rc;
}

/* ---- CPUs ---- */

static void unpin(struct vcpu *v)
{
	cpumask_t usable = cpumask_and(&v->hard_affinity, &v->domain->pool->cpus), all = cpumask_all();

	if (!cpumask_empty(&usable))
		return;
	log_info("d%uv%u: its CPUs are out of use, it may run on all", v->domain->domid, v->id);
	if (vcpu_set_affinity(v, &all, &v->soft_affinity))
		log_warn("d%uv%u: no CPU is left", v->domain->domid, v->id);
}

static void vcpus_leave(unsigned cpu, bool timers)
{
	cpumask_t here = { { 0 } };
	struct domain *d;

	cpumask_set(&here, cpu);
	for (unsigned id = 0; (d = domain_get_next((uint16_t)id));) {
		id = d->domid + 1u;
		for (unsigned i = 0; i < d->max_vcpus; i++) {
			struct vcpu *v = READ_ONCE(d->vcpus[i]);

			if (!v)
				continue;
			unpin(v);
			vcpu_leave_cpu(v, cpu);
			if (timers)
				vcpu_timers_follow(v, &here);
		}
		for (unsigned i = 0; i < ARRAY_SIZE(d->watchdog) && timers; i++)
			if (READ_ONCE(d->watchdog[i].cpu) == cpu)
				timer_migrate(&d->watchdog[i], bit_next(d->pool->cpus.bits, NR_CPUS, 0));
		domain_put(d);
	}
}

int cpupool_vacate(unsigned cpu)
{
	vcpus_leave(cpu, false);
	if (!sched_cpu_idle(cpu)) {
		work_raise(cpu, WORK_SCHEDULE);
		return -ERESTART_HV;
	}
	/* Who left the CPU since by falling asleep is still named to be there. */
	vcpus_leave(cpu, true);
	irqs_leave_cpu(cpu, 0);
	return 0;
}

void cpupool_plug(unsigned cpu)
{
	cpumask_set(&cpupool0.cpus, cpu);
	work_raise(cpu, WORK_SCHEDULE);
}

int cpupool_unplug(unsigned cpu)
{
	cpumask_t *in = cpumask_test(&cpupool0.cpus, cpu) ? &cpupool0.cpus : &cpus_free;

	if (!cpumask_test(in, cpu))
		return -ENODEV;
	cpumask_clear(in, cpu);
	return 0;
}

static bool leaves_a_pool(unsigned cpu)
{
	struct list *l;

	list_for_each(l, &cpupools)
		if (cpumask_test(&pool_at(l)->leaving, cpu))
			return true;
	return false;
}

int cpupool_add_cpu(struct cpupool *p, uint32_t cpu)
{
	if (cpu >= cpu_count)
		return -EINVAL;
	if (cpumask_test(&p->leaving, cpu))
		cpumask_clear(&p->leaving, cpu);
	else if (cpumask_test(&cpus_free, cpu))
		cpumask_clear(&cpus_free, cpu);
	else
		return leaves_a_pool(cpu) ? -EADDRNOTAVAIL : -ENODEV;
	cpumask_set(&p->cpus, cpu);
	work_raise(cpu, WORK_SCHEDULE);
	return 0;
}

int cpupool_remove_cpu(struct cpupool *p, uint32_t cpu)
{
	cpumask_t others;
	int rc;

	if (cpu >= cpu_count || !cpumask_test(&cpus_in_use, cpu) || (p == &cpupool0 && !cpu))
		return -EINVAL;
	if (!cpumask_test(&p->leaving, cpu)) {
		if (!cpumask_test(&p->cpus, cpu))
			return -EADDRNOTAVAIL;
		others = p->cpus;
		cpumask_clear(&others, cpu);
		rc = cpumask_empty(&others) ? domains_leave(p) : 0;
		if (rc)
			return rc;
		cpumask_set(&p->leaving, cpu);
		cpumask_clear(&p->cpus, cpu);
	}
	rc = cpupool_vacate(cpu);
	if (rc)
		return rc;
	cpumask_clear(&p->leaving, cpu);
	cpumask_set(&cpus_free, cpu);
	return 0;
}
