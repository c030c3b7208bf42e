/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU pools: each operation with its error numbers, and that a vcpu is chosen on the CPUs of its pool only, whatever
 * moves, sleeps, comes and goes. Every choice of the scheduler is looked at.
 */
#include "dom/cpupool.h"
#include "dom/domtable.h"
#include "dom/hotplug.h"
#include "dom/sched.h"
#include "dom/sched_private.h"
#include "dom/vcpu.h"
#include "fake/machine.h"
#include "hw/options.h"
#include "hw/smp.h"
#include "hypercall/domctl.h"
#include "hypercall/sysctl.h"

#define CPUS    4
#define GUESTS  3
#define VCPUS   3
#define STEP_NS (MS / 2)
#define ANY     XEN_SYSCTL_CPUPOOL_PAR_ANY

static struct domain *doms[GUESTS + 1]; /* 0: dom0 */
static uint64_t used[GUESTS + 1];       /* steps that its vcpus ran */
static unsigned strays, choices;
static cpumask_t told; /* by the last bitmap_out() */
static uint64_t seed = 11;

/* What domctl.c supplies. */
int bitmap_out(const struct xenctl_bitmap *map, const cpumask_t *mask)
{
	(void)map;
	told = *mask;
	return 0;
}

static unsigned rnd(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static struct vcpu *on_cpu(unsigned cpu)
{
	fake_set_cpu(cpu);
	return current_vcpu();
}

static void look(const struct vcpu *next)
{
	if (next->is_idle)
		return;
	choices++;
	strays += !cpumask_test(&next->domain->pool->cpus, this_cpu()) ||
	          !cpumask_test(&next->hard_affinity, this_cpu());
}

static void step(void)
{
	fake_time_ns += STEP_NS;
	for (unsigned round = 0; round < 2; round++)
		for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
			work_raise(cpu, WORK_TIMER);
			machine_run(cpu);
		}
	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		struct vcpu *v = on_cpu(cpu);

		if (!v->is_idle && v->domain->domid <= GUESTS)
			used[v->domain->domid]++;
	}
}

static void run(unsigned steps)
{
	memset(used, 0, sizeof(used));
	while (steps--)
		step();
}

/* ---- the operations, as dom0 calls them ---- */

static int once(struct xen_sysctl_cpupool_op *q)
{
	machine_become(0, dom0->vcpus[0]);
	return sysctl_cpupool(q);
}

/* As a call is continued: others run meanwhile. The caller's own vcpu is the scheduler's again then. */
static int op(struct xen_sysctl_cpupool_op *q)
{
	struct vcpu *was;
	int rc = -ERESTART_HV;

	for (unsigned tries = 0; tries < 50 && rc == -ERESTART_HV; tries++) {
		was = on_cpu(0);
		rc = once(q);
		fake_set_vcpu(was);
		for (unsigned cpu = 0; cpu < cpu_count && rc == -ERESTART_HV; cpu++)
			machine_run(cpu);
	}
	return rc;
}

static int create(uint32_t id, uint32_t sched, uint32_t *out)
{
	struct xen_sysctl_cpupool_op q = { .op = XEN_SYSCTL_CPUPOOL_OP_CREATE,
		                           .cpupool_id = id,
		                           .sched_id = sched };
	int rc = op(&q);

	if (out)
		*out = q.cpupool_id;
	return rc;
}

static int simple(uint32_t what, uint32_t id, uint32_t cpu, uint32_t domid)
{
	struct xen_sysctl_cpupool_op q = { .op = what, .cpupool_id = id, .cpu = cpu, .domid = domid };

	return op(&q);
}

static int destroy(uint32_t id)
{
	return simple(XEN_SYSCTL_CPUPOOL_OP_DESTROY, id, 0, 0);
}

static int add(uint32_t id, uint32_t cpu)
{
	return simple(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, id, cpu, 0);
}

static int take(uint32_t id, uint32_t cpu)
{
	return simple(XEN_SYSCTL_CPUPOOL_OP_RMCPU, id, cpu, 0);
}

/* The one thread cannot wait for vcpus to leave their CPUs: this domain's have, before. */
static void stop(struct domain *d)
{
	fake_set_cpu(0);
	domain_pause_nosync(d);
	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		machine_run(cpu);
}

static int move(uint32_t id, uint32_t domid)
{
	struct domain *d = domid && domid <= GUESTS ? doms[domid] : NULL;
	int rc;

	if (d)
		stop(d);
	rc = simple(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, id, 0, domid);
	fake_set_cpu(0);
	if (d)
		domain_unpause(d);
	return rc;
}

static uint64_t free_cpus(void)
{
	return simple(XEN_SYSCTL_CPUPOOL_OP_FREEINFO, 0, 0, 0) ? ~0ull : told.bits[0];
}

/* Whether info's answer for this number is this pool, with so many domains and these CPUs. */
static bool is(uint32_t asked, uint32_t id, uint32_t domains, uint64_t cpus)
{
	struct xen_sysctl_cpupool_op q = { .op = XEN_SYSCTL_CPUPOOL_OP_INFO, .cpupool_id = asked };
	bool good = !op(&q) && q.cpupool_id == id && q.n_dom == domains && told.bits[0] == cpus;

	if (!good)
		printf("# pool %u: %u with %u domains, CPUs %lx\n", asked, q.cpupool_id, q.n_dom,
		       (unsigned long)told.bits[0]);
	return good;
}

static int take_out(unsigned cpu)
{
	int rc = -ERESTART_HV;

	for (unsigned tries = 0; tries < 50 && rc == -ERESTART_HV; tries++) {
		fake_set_cpu(0);
		rc = cpu_take_out(cpu);
		for (unsigned other = 0; other < cpu_count && rc == -ERESTART_HV; other++)
			machine_run(other);
	}
	return rc;
}

/* ---- tests ---- */

static void test_pools(void)
{
	uint32_t id, other;

	tap_ok(is(0, 0, GUESTS + 1, 0xf) && !free_cpus(), "at first all is in Pool-0");
	tap_ok(create(0, XEN_SCHEDULER_CREDIT2, NULL) == -EEXIST && destroy(0) == -EBUSY,
	       "which is there, and stays");
	tap_ok(create(ANY, XEN_SCHEDULER_RTDS, NULL) == -ENOENT &&
	               create(ANY, XEN_SCHEDULER_NULL, NULL) == -ENOENT &&
	               create(ANY, XEN_SCHEDULER_ARINC653, NULL) == -ENOENT &&
	               create(ANY, ~0u, NULL) == -ENOENT,
	       "a scheduler that is not there");
	tap_ok(!create(ANY, XEN_SCHEDULER_CREDIT2, &id) && id == 1 && is(1, 1, 0, 0),
	       "the first free number is 1; a new pool is empty");
	tap_ok(!create(7, XEN_SCHEDULER_CREDIT, &other) && other == 7 &&
	               create(7, XEN_SCHEDULER_CREDIT, NULL) == -EEXIST,
	       "a number may be given, once");
	tap_ok(is(2, 7, 0, 0) && simple(XEN_SYSCTL_CPUPOOL_OP_INFO, 8, 0, 0) == -ENOENT,
	       "info walks to the next one");
	tap_ok(!create(ANY, XEN_SCHEDULER_CREDIT2, &other) && other == 8,
	       "the next number is one more than the last");
	tap_ok(!destroy(8) && destroy(8) == -ENOENT && destroy(3) == -ENOENT, "an empty pool goes, once");
	tap_ok(!create(ANY - 1, XEN_SCHEDULER_CREDIT2, NULL) && !create(ANY, XEN_SCHEDULER_CREDIT2, &other) &&
	               other == 2,
	       "at the end of numbers the first gap is taken");
	for (unsigned i = 0; i < 2 * CPUS - 5; i++)
		if (create(ANY, XEN_SCHEDULER_CREDIT2, NULL))
			tap_ok(false, "creating");
	tap_ok(create(0, XEN_SCHEDULER_CREDIT2, NULL) == -ENOSPC, "there are two for each CPU");
	for (uint32_t i = 2; i < 10; i++)
		if (i != 7)
			(void)!destroy(i);
	tap_ok(!destroy(ANY - 1) && is(1, 1, 0, 0) && is(2, 7, 0, 0), "all of them go again");
	tap_ok(simple(0, 0, 0, 0) == -ENOSYS && simple(8, 0, 0, 0) == -ENOSYS,
	       "other operations do not exist");
}

static void test_cpus(void)
{
	tap_ok(add(5, 1) == -ENOENT && take(5, 1) == -ENOENT, "no such pool");
	tap_ok(add(1, CPUS) == -EINVAL && take(0, CPUS) == -EINVAL && take(0, 0) == -EINVAL &&
	               take(1, ANY) == -EINVAL,
	       "no such CPU, and CPU 0 stays in Pool-0");
	tap_ok(add(1, 1) == -ENODEV && add(1, ANY) == -ENODEV && take(1, 1) == -EADDRNOTAVAIL,
	       "a CPU of another pool is neither free nor in this one");
	tap_ok(!take(0, ANY) && free_cpus() == 8 && is(0, 0, GUESTS + 1, 7), "any is the last one");
	tap_ok(!take(0, 1) && free_cpus() == 10 && add(1, 99) == -EINVAL && add(1, 2) == -ENODEV,
	       "two are free");
	run(100);
	tap_ok(on_cpu(1)->is_idle && on_cpu(3)->is_idle && !on_cpu(0)->is_idle && !on_cpu(2)->is_idle,
	       "nobody runs on them");
	tap_ok(!add(1, ANY) && is(1, 1, 0, 2) && free_cpus() == 8 && destroy(1) == -EBUSY,
	       "one goes into a pool");
	run(20);
	tap_ok(on_cpu(1)->is_idle, "where nobody runs either, as there is no domain");
	tap_ok(!take(1, 1) && !destroy(1) && !create(1, XEN_SCHEDULER_CREDIT2, NULL) && !add(1, 1),
	       "and out of it");
}

static void test_moving(void)
{
	struct domain *d = doms[1];
	struct xen_domctl_scheduler_op s = { .sched_id = XEN_SCHEDULER_CREDIT2,
		                             .cmd = XEN_DOMCTL_SCHEDOP_putinfo };
	cpumask_t two = { { 4 } }, first = { { 1 } }, all = cpumask_all();

	s.u.credit2.weight = 999;
	s.u.credit2.cap = 50;
	fake_set_cpu(0);
	if (sched_adjust(d, &s) || vcpu_set_affinity(d->vcpus[0], &two, &first))
		abort();
	tap_ok(move(1, 99) == -ESRCH && move(5, 1) == -ENOENT && move(7, 1) == -ENOENT,
	       "no such domain, no such pool, a pool without CPUs");
	tap_ok(move(0, 0) == -EPERM && move(1, 0) == -EPERM && move(0, DOMID_SELF) == -ESRCH,
	       "dom0 does not move itself");
	tap_ok(!move(0, 1) && d->sched->weight == 999, "a domain that is there already is left as it is");
	timer_migrate(&d->vcpus[1]->singleshot_timer, 2);
	timer_set(&d->vcpus[1]->singleshot_timer, fake_time_ns + 100000 * MS);
	tap_ok(!move(1, 1) && cpupool_of(d) == 1 && is(0, 0, GUESTS, 5) && is(1, 1, 1, 2), "a domain moves");
	tap_ok(d->vcpus[1]->singleshot_timer.cpu == 1, "with its timers");
	timer_stop(&d->vcpus[1]->singleshot_timer);
	s.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
	tap_ok(!sched_adjust(d, &s) && s.u.credit2.weight == 256 && !s.u.credit2.cap &&
	               !memcmp(&d->vcpus[0]->hard_affinity, &all, sizeof(all)) &&
	               !memcmp(&d->vcpus[0]->soft_affinity, &all, sizeof(all)),
	       "weight, cap and affinities are new, as on Xen");
	run(200);
	tap_ok(used[1] == 200, "it has the CPU of its pool for itself, and no other");
	tap_ok(vcpu_set_affinity(d->vcpus[0], &two, &all) == -EINVAL,
	       "it is not pinned to a CPU of another pool");
	tap_ok(take(1, 1) == -EBUSY && destroy(1) == -EBUSY && is(1, 1, 1, 2), "its last CPU does not go");
	tap_ok(!add(1, 3) && !take(1, 1) && !vcpu_set_affinity(d->vcpus[0], &(cpumask_t){ { 8 } }, &all) &&
	               !add(1, 1),
	       "with another one it does");
	tap_ok(!take(1, 3) && !memcmp(&d->vcpus[0]->hard_affinity, &all, sizeof(all)),
	       "who was pinned to one that goes may run on all of the pool");
	run(200);
	tap_ok(used[1] == 200, "and has what is left");
}

static void test_settings(void)
{
	struct xen_sysctl_scheduler_op g = { .sched_id = XEN_SCHEDULER_CREDIT2,
		                             .cmd = XEN_SYSCTL_SCHEDOP_putinfo };
	struct xen_domctl_scheduler_op s = { .sched_id = XEN_SCHEDULER_CREDIT2,
		                             .cmd = XEN_DOMCTL_SCHEDOP_getinfo };

	g.cpupool_id = 1;
	g.u.sched_credit2.ratelimit_us = 5000;
	tap_ok(!sched_adjust_pool(&g) && doms[1]->pool->ratelimit_ns == 5 * MS && !cpupool0.ratelimit_ns,
	       "a rate limit is one pool's");
	g.cpupool_id = 7;
	tap_ok(sched_adjust_pool(&g) == -EINVAL, "of its scheduler");
	g.cpupool_id = 5;
	tap_ok(sched_adjust_pool(&g) == -ESRCH, "and there must be one");
	g.cmd = 99;
	tap_ok(sched_adjust_pool(&g) == -EINVAL, "the command is looked at first");
	g.cmd = XEN_SYSCTL_SCHEDOP_getinfo;
	g.cpupool_id = 7;
	g.sched_id = XEN_SCHEDULER_CREDIT;
	tap_ok(!sched_adjust_pool(&g) && g.u.sched_credit.tslice_ms == 30, "credit's has a time slice");
	if (add(7, 3) || move(7, 2))
		abort();
	tap_ok(sched_adjust(doms[2], &s) == -EINVAL, "a domain's settings are those of its pool's scheduler");
	s.sched_id = XEN_SCHEDULER_CREDIT;
	tap_ok(!sched_adjust(doms[2], &s) && s.u.credit.weight == 256, "which are there");
	if (move(0, 2))
		abort();
}

/* Two vcpus of different domains on one CPU; in another pool there is time for all. */
static void test_shares(void)
{
	struct xen_domctl_scheduler_op s = { .sched_id = XEN_SCHEDULER_CREDIT,
		                             .cmd = XEN_DOMCTL_SCHEDOP_putinfo };

	if (move(7, 2) || move(7, 3))
		abort();
	s.u.credit.weight = 512;
	if (sched_adjust(doms[2], &s))
		abort();
	run(1000);
	run(6000);
	printf("# %lu and %lu, in another pool %lu\n", (unsigned long)used[2], (unsigned long)used[3],
	       (unsigned long)used[1]);
	tap_ok(used[2] + used[3] == 6000 && used[2] > 3700 && used[2] < 4300 && used[1] == 6000,
	       "weights count within a pool, whatever another pool uses");
	if (move(0, 2) || move(0, 3) || take(7, 3))
		abort();
}

static void test_ratelimit(void)
{
	struct vcpu *v = doms[1]->vcpus[0];
	unsigned often[2];

	/* v is woken at each step while the others of its pool's CPU run on. */
	for (unsigned i = 0; i < 2; i++) {
		doms[1]->pool->ratelimit_ns = i ? 5 * MS : 0;
		often[i] = 0;
		for (unsigned k = 0; k < 1000; k++) {
			step();
			if (on_cpu(1) != v)
				continue;
			often[i]++;
			bit_set(&v->pause_flags, PAUSE_BLOCKED);
			vcpu_sleep(v);
			machine_run(1);
			v->info->evtchn_upcall_pending = 0;
			vcpu_kick(v);
		}
	}
	printf("# ran %u times, %u with the limit\n", often[0], often[1]);
	tap_ok(often[1] && often[0] > 2 * often[1], "its pool's rate limit holds for a vcpu");
	doms[1]->pool->ratelimit_ns = 0;
}

static void test_life(void)
{
	struct domain_config c = { .kind = &pv_guest,
		                   .domid = 9,
		                   .max_vcpus = 2,
		                   .max_evtchn_port = 100,
		                   .max_grant_frames = 4,
		                   .max_maptrack_frames = 2 };
	struct domain *d;

	fake_set_cpu(0);
	c.cpupool_id = 5;
	tap_ok(domain_create(&c, &d) == -ESRCH, "no domain without a pool");
	c.cpupool_id = 7;
	tap_ok(domain_create(&c, &d) == -ENODEV && is(7, 7, 0, 0), "nor in one without a CPU");
	if (add(7, 3))
		abort();
	c.domid = 1;
	tap_ok(domain_create(&c, &d) == -EEXIST && is(7, 7, 0, 8),
	       "one that cannot be created is not counted");
	c.domid = 9;
	if (domain_create(&c, &d) || vcpu_create(d, 0) || vcpu_create(d, 1))
		abort();
	tap_ok(cpupool_of(d) == 7 && is(7, 7, 1, 8) && d->vcpus[0]->cpu == 3 && d->vcpus[1]->cpu == 3,
	       "a domain is created in a pool");
	machine_start(d);
	run(20);
	tap_ok(on_cpu(3)->domain == d, "and runs there");
	/* Somebody holds it: it stays as a dead one. */
	domain_ref(d);
	stop(d);
	machine_destroy(d);
	run(4);
	tap_ok(cpupool_of(d) == 0 && is(7, 7, 0, 8) && is(0, 0, GUESTS + 1, 5), "a dead one is Pool-0's");
	tap_ok(simple(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 7, 0, 9) == -EINVAL && is(7, 7, 0, 8),
	       "and stays there");
	domain_put(d);
	run(4);
	tap_ok(is(0, 0, GUESTS, 5), "until its last reference goes");
	if (domain_create(&c, &d) || vcpu_create(d, 0))
		abort();
	d->life = DOMAIN_DYING;
	tap_ok(!take(7, 3) && is(7, 7, 0, 0) && cpupool_of(d) == 0, "a dying one does not keep the last CPU");
	d->life = DOMAIN_ALIVE;
	machine_destroy(d);
	run(4);
	tap_ok(!destroy(7) && is(0, 0, GUESTS, 5), "and its pool goes");
}

static void test_leaving(void)
{
	struct xen_sysctl_cpupool_op q = { .op = XEN_SYSCTL_CPUPOOL_OP_RMCPU, .cpupool_id = 0, .cpu = ANY };
	struct vcpu *was;

	if (create(7, XEN_SCHEDULER_CREDIT2, NULL))
		abort();
	run(10);
	was = on_cpu(0);
	tap_ok(once(&q) == -ERESTART_HV && q.cpu == 2, "a busy CPU leaves later; the call names it then");
	fake_set_vcpu(was);
	tap_ok(add(7, 2) == -EADDRNOTAVAIL && take(7, 2) == -EADDRNOTAVAIL && take_out(2) == -ENODEV &&
	               free_cpus() == 8,
	       "meanwhile it is nobody's");
	tap_ok(!add(0, 2) && is(0, 0, GUESTS, 5), "but its pool may have it back");
	tap_ok(!take(0, 2) && free_cpus() == 12, "it goes when it is asked again");
	tap_ok(!take_out(3) && free_cpus() == 4 && take_out(3) == -EEXIST, "a free one may go out of use");
	tap_ok(add(7, 3) == -ENODEV && take(0, 3) == -EINVAL, "and is not there then");
	tap_ok(take_out(1) == -ENODEV && !cpu_put_back(3) && is(0, 0, GUESTS, 9),
	       "one of a pool stays; it comes into Pool-0");
	tap_ok(!add(0, 2) && !destroy(7), "all is as before");
}

static void event(void)
{
	unsigned cpu = rnd(CPUS);
	struct vcpu *v = on_cpu(cpu);
	struct domain *d = doms[rnd(GUESTS + 1)];
	cpumask_t m = { { 1 + rnd(15) } }, all = cpumask_all();

	if (!v->is_idle && !rnd(3)) {
		if (rnd(2)) {
			timer_migrate(&v->singleshot_timer, cpu);
			timer_set(&v->singleshot_timer, fake_time_ns + MS * rnd(20));
		}
		v->info->evtchn_upcall_pending = 0;
		vcpu_block();
	} else if (!rnd(20)) {
		(void)!vcpu_set_affinity(d->vcpus[rnd(VCPUS)], rnd(2) ? &m : &all, rnd(2) ? &m : &all);
	} else {
		v = d->vcpus[rnd(VCPUS)];
		if (bit_test_and_clear(&v->pause_flags, PAUSE_BLOCKED))
			vcpu_wake(v);
	}
}

/* Each CPU is in one place; one that is in no pool is idle and has no timer. */
static bool sane(void)
{
	unsigned sum = 0;
	bool good = true;

	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		unsigned places = cpumask_test(&cpus_free, cpu) + !cpumask_test(&cpus_in_use, cpu);
		struct timer_view views[4];
		struct list *l;

		if (places)
			good = good && on_cpu(cpu)->is_idle && list_empty(&sched_cpus[cpu].queue) &&
			       !timers_look(cpu, views, 4);
		list_for_each(l, &cpupools)
			places += cpumask_test(&list_entry(l, struct cpupool, link)->cpus, cpu);
		good = good && places == 1;
	}
	for (struct list *l = cpupools.next; l != &cpupools; l = l->next)
		sum += list_entry(l, struct cpupool, link)->domain_count;
	for (unsigned i = 0; i <= GUESTS; i++)
		for (unsigned k = 0; k < VCPUS; k++)
			good = good && cpumask_test(&doms[i]->pool->cpus, doms[i]->vcpus[k]->cpu);
	return good && sum == GUESTS + 1;
}

static void test_random(void)
{
	unsigned done = 0, moves = 0;
	bool good = true;

	for (unsigned i = 0; i < 30000 && good; i++) {
		uint32_t id = rnd(4), cpu = rnd(CPUS);
		int rc = -1;

		event();
		switch (rnd(60)) {
		case 0:
			rc = create(id, rnd(2) ? XEN_SCHEDULER_CREDIT : XEN_SCHEDULER_CREDIT2, NULL);
			break;
		case 1:
			rc = destroy(id);
			break;
		case 2:
		case 3:
		case 4:
			rc = add(id, rnd(2) ? ANY : cpu);
			break;
		case 5:
		case 6:
			rc = take(id, rnd(2) ? ANY : cpu);
			break;
		case 7:
		case 8:
			rc = move(id, 1 + rnd(GUESTS));
			moves += !rc;
			break;
		case 9:
			rc = rnd(2) ? take_out(cpu) : cpu_put_back(cpu);
			break;
		}
		done += !rc;
		good = good && rc != -ERESTART_HV && sane();
		step();
	}
	printf("# %u operations, %u moves, %u choices\n", done, moves, choices);
	tap_ok(good && done > 1000 && moves > 100,
	       "each CPU is in one place, and those that are free are left alone");
	for (unsigned i = 1; i <= GUESTS; i++)
		if (move(0, i))
			abort();
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		(void)!cpu_put_back(cpu);
	for (uint32_t id = 1; id < 4; id++)
		while (!take(id, ANY))
			;
	while (!add(0, ANY))
		;
	for (unsigned i = 0; i <= GUESTS; i++)
		for (unsigned k = 0; k < VCPUS; k++)
			if (bit_test_and_clear(&doms[i]->vcpus[k]->pause_flags, PAUSE_BLOCKED))
				vcpu_wake(doms[i]->vcpus[k]);
	run(2000);
	tap_ok(is(0, 0, GUESTS + 1, 0xf) && used[0] > 1000 && used[1] > 1000 && used[2] > 1000 &&
	               used[3] > 1000,
	       "all run on afterwards");
	tap_ok(!strays && choices > 1000, "at no choice did a vcpu come onto a CPU outside of its pool");
}

int main(void)
{
	tap_plan(12 + 9 + 12 + 7 + 1 + 1 + 10 + 8 + 3);
	options.sched_ratelimit_us = 0;
	options.sched_slice_ms = 30;
	machine_init(8192, CPUS);
	machine_on_switch = look;
	machine_domains(doms, GUESTS + 1, VCPUS);
	test_pools();
	test_cpus();
	test_moving();
	test_settings();
	test_shares();
	test_ratelimit();
	test_life();
	test_leaving();
	test_random();
	return tap_end();
}
