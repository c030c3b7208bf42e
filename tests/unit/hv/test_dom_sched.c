/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scheduler as a simulation: fake time in steps, each CPU's timers and work run at each step, what runs
 * is charged to its domain. Shares are compared with weights and caps; random orders check that no vcpu is
 * lost or runs twice.
 */
#include "dom/sched_private.h"
#include "dom/sched.h"
#include "fake/machine.h"
#include "hw/options.h"
#include "hw/smp.h"

#define STEP  (MS / 2)
#define VCPUS 8

static struct domain
        *doms[7]; /* the last one has 8 vcpus and runs in test_cap_turns() and test_turns() only */
static uint64_t used[7][VCPUS]; /* nanoseconds that each vcpu ran */
static unsigned where[7];       /* CPUs that the vcpus of a domain were seen on */
static unsigned twice;

static struct vcpu *on_cpu(unsigned cpu)
{
	fake_set_cpu(cpu);
	return current_vcpu();
}

static void step(void)
{
	fake_time_ns += STEP;
	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		work_raise(cpu, WORK_TIMER);
		machine_run(cpu);
	}
	/* Once more: a CPU that ran first may have been given work by a later one. */
	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		machine_run(cpu);
	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		struct vcpu *v = on_cpu(cpu);

		for (unsigned other = 0; other < cpu; other++)
			twice += on_cpu(other) == v && !v->is_idle;
		if (!v->is_idle)
			used[v->domain->domid][v->id] += STEP;
		if (!v->is_idle)
			where[v->domain->domid] |= 1u << cpu;
	}
}

static void run_for(uint64_t ns)
{
	memset(used, 0, sizeof(used));
	memset(where, 0, sizeof(where));
	for (uint64_t t = 0; t < ns; t += STEP)
		step();
}

static uint64_t used_by(unsigned domid)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < VCPUS; i++)
		sum += used[domid][i];
	return sum;
}

static void set(struct domain *d, unsigned weight, unsigned cap)
{
	struct xen_domctl_scheduler_op op = { .sched_id = cpupool0.sched_id,
		                              .cmd = XEN_DOMCTL_SCHEDOP_putinfo };

	op.u.credit.weight = (uint16_t)weight;
	op.u.credit.cap = (uint16_t)cap;
	if (sched_adjust(d, &op))
		abort();
}

static bool about(uint64_t part, uint64_t whole, unsigned percent, unsigned slack)
{
	uint64_t is = part * 1000 / whole;
	bool good = is + slack * 10 >= percent * 10 && is <= percent * 10 + slack * 10;

	if (!good)
		printf("# %lu of %lu is %lu permille, not %u percent\n", (unsigned long)part,
		       (unsigned long)whole, (unsigned long)is, percent);
	return good;
}

static void affinity(struct vcpu *v, uint64_t mask)
{
	cpumask_t m = { { mask } }, any = cpumask_all();

	if (vcpu_set_affinity(v, &m, &any))
		abort();
}

static void soft_affinity(struct vcpu *v, uint64_t mask)
{
	cpumask_t m = { { mask } }, any = cpumask_all();

	if (vcpu_set_affinity(v, &any, &m))
		abort();
}

static void only(unsigned count) /* the first count domains run, the others are paused */
{
	static bool paused[6];

	fake_set_cpu(0);
	for (unsigned i = 1; i < 6; i++) {
		bool want = i > count;

		if (want && !paused[i])
			domain_pause_nosync(doms[i]);
		if (!want && paused[i])
			domain_unpause(doms[i]);
		paused[i] = want;
	}
	run_for(200 * MS);
}

static void test_shares(void)
{
	uint64_t second = 3000 * MS, whole;

	/* All on CPU 0. */
	for (unsigned i = 1; i < 6; i++)
		for (unsigned k = 0; k < doms[i]->max_vcpus; k++)
			affinity(doms[i]->vcpus[k], 1);
	only(2);
	run_for(second);
	tap_ok(about(used[1][0] + used[1][1], second, 50, 5) && about(used_by(2), second, 50, 5),
	       "equal weights share a CPU equally, whatever the number of vcpus");
	set(doms[1], 512, 0);
	set(doms[2], 256, 0);
	run_for(second);
	tap_ok(about(used_by(1), second, 67, 6), "weight 512 gets twice the time of weight 256");
	/* One vcpu each. */
	bit_set(&doms[1]->vcpus[1]->pause_flags, PAUSE_DOWN);
	vcpu_sleep(doms[1]->vcpus[1]);
	for (unsigned i = 0; i < 4; i++) {
		static const unsigned weights[] = { 3, 4, 16, 65535 };

		set(doms[1], weights[i] < 65535 ? 256 * weights[i] : 65535, 0);
		set(doms[2], weights[i] < 65535 ? 256 : 1, 0);
		run_for(second);
		tap_ok(about(used_by(2), second, 100 / (1 + weights[i]), 2), "weight %u to 1", weights[i]);
	}
	bit_clear(&doms[1]->vcpus[1]->pause_flags, PAUSE_DOWN);
	vcpu_wake(doms[1]->vcpus[1]);
	set(doms[2], 256, 0);
	set(doms[1], 256, 25);
	run_for(second);
	tap_ok(about(used_by(1), second, 25, 4) && about(used_by(2), second, 75, 4),
	       "a cap of 25 holds, the rest goes to the other");
	only(1);
	run_for(second);
	tap_ok(about(used_by(1), second, 25, 4), "a cap holds also when nobody else wants the time");
	set(doms[1], 256, 0);
	run_for(second);
	tap_ok(about(used_by(1), second, 100, 1), "without a cap a lone domain has the CPU");
	only(5);
	run_for(second);
	whole = 0;
	for (unsigned i = 1; i < 6; i++)
		whole += used_by(i);
	tap_ok(whole == second, "a CPU is never idle while somebody waits");
}

static void test_cpus(void)
{
	uint64_t second = 3000 * MS, whole = 0, least = ~0ull;

	for (unsigned i = 1; i < 6; i++)
		for (unsigned k = 0; k < doms[i]->max_vcpus; k++)
			affinity(doms[i]->vcpus[k], ~0ull);
	only(1);
	run_for(second);
	tap_ok(about(used[1][0], second, 100, 1) && about(used[1][1], second, 100, 1),
	       "idle CPUs take waiting vcpus");
	affinity(doms[1]->vcpus[0], 2);
	affinity(doms[1]->vcpus[1], 2);
	run_for(second);
	tap_ok(about(used_by(1), second, 100, 1) && about(used[1][0], second, 50, 5),
	       "two vcpus bound to one CPU share it");
	tap_ok(doms[1]->vcpus[0]->cpu == 1 && doms[1]->vcpus[1]->cpu == 1, "and run nowhere else");
	affinity(doms[1]->vcpus[0], ~0ull);
	affinity(doms[1]->vcpus[1], ~0ull);
	only(5);
	run_for(second);
	for (unsigned i = 1; i < 6; i++) {
		whole += used_by(i);
		least = MIN(least, used_by(i));
	}
	tap_ok(whole == cpu_count * second, "all CPUs are busy with five domains");
	/* Five equal domains on 3 CPUs: 60 % of one CPU each; one has a single vcpu. */
	tap_ok(about(least, second, 60, 9), "and each domain gets its share of three CPUs");
}

static void test_soft(void)
{
	uint64_t second = 1000 * MS;

	for (unsigned i = 1; i < 6; i++)
		for (unsigned k = 0; k < doms[i]->max_vcpus; k++)
			affinity(doms[i]->vcpus[k], ~0ull);
	only(2);
	domain_pause_nosync(doms[1]);
	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		soft_affinity(doms[2]->vcpus[0], 1ull << cpu);
		run_for(100 * MS);
		run_for(second);
		tap_ok(where[2] == 1u << cpu && used[2][0] == second,
		       "alone, a vcpu moves to the CPU that it prefers");
	}
	domain_unpause(doms[1]);
	soft_affinity(doms[1]->vcpus[0], 4);
	soft_affinity(doms[1]->vcpus[1], 4);
	run_for(second);
	tap_ok(about(used_by(1), second, 200, 1) && about(used_by(2), second, 100, 1),
	       "three vcpus that prefer one of three CPUs use all three");
	only(4);
	for (unsigned i = 2; i < 5; i++)
		for (unsigned k = 0; k < doms[i]->max_vcpus; k++)
			affinity(doms[i]->vcpus[k], 3);
	run_for(100 * MS);
	run_for(second);
	tap_ok(where[1] == 4 && about(used_by(1), second, 100, 1),
	       "with all CPUs busy they stay where they prefer to be");
	affinity(doms[1]->vcpus[0], 2);
	run_for(100 * MS);
	run_for(second);
	tap_ok(where[1] == 6, "a preference outside of the hard affinity counts for nothing");
	for (unsigned k = 0; k < 2; k++)
		affinity(doms[1]->vcpus[k], ~0ull);
}

/* A capped domain whose vcpus take turns: in every other period all of them run, else only one. */
static void test_cap_turns(void)
{
	struct domain *d = doms[6];
	uint64_t sum = 0;

	only(0);
	machine_start(d);
	set(d, 256, 30);
	run_for(300 * MS);
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned k = 1; k < d->max_vcpus; k++) {
			if (round & 1) {
				vcpu_kick(d->vcpus[k]);
			} else {
				bit_set(&d->vcpus[k]->pause_flags, PAUSE_BLOCKED);
				vcpu_sleep(d->vcpus[k]);
			}
		}
		run_for(30 * MS);
		sum += used_by(6);
	}
	tap_ok(about(sum, 3000 * MS, 30, 4), "a cap holds for a domain whose vcpus take turns");
	domain_pause_nosync(d);
	run_for(10 * MS);
}

/* Vcpus that take turns: each runs for less than a boost lasts, kicks the next one, which has slept, and blocks. */
static uint64_t take_turns(struct domain *d, uint64_t ns)
{
	uint64_t sum = 0, turn = 0;
	unsigned k = 0;

	for (unsigned i = 1; i < d->max_vcpus; i++) {
		bit_set(&d->vcpus[i]->pause_flags, PAUSE_BLOCKED);
		vcpu_sleep(d->vcpus[i]);
	}
	vcpu_kick(d->vcpus[0]);
	for (uint64_t t = 0; t < ns; t += STEP) {
		step();
		if (on_cpu(0) != d->vcpus[k])
			continue;
		sum += STEP;
		turn += STEP;
		if (turn < 8 * MS)
			continue;
		turn = 0;
		vcpu_kick(d->vcpus[(k + 1) % d->max_vcpus]);
		bit_set(&d->vcpus[k]->pause_flags, PAUSE_BLOCKED);
		work_raise(0, WORK_SCHEDULE);
		machine_run(0);
		k = (k + 1) % d->max_vcpus;
	}
	return sum;
}

/* The same without a cap, against one vcpu that never sleeps. */
static void test_turns(void)
{
	struct domain *d = doms[6];
	uint64_t second = 3000 * MS;

	set(d, 256, 0);
	for (unsigned k = 0; k < d->max_vcpus; k++)
		affinity(d->vcpus[k], 1);
	affinity(doms[2]->vcpus[0], 1);
	only(2);
	domain_pause_nosync(doms[1]);
	domain_unpause(d);
	(void)take_turns(d, second); /* the debts settle */
	tap_ok(about(take_turns(d, second), second, 50, 4), "vcpus that take turns get their domain's share");
	set(doms[2], 1024, 0);
	(void)take_turns(d, second); /* the debts settle */
	tap_ok(about(take_turns(d, second), second, 20, 4), "also where it is a fifth");
	set(doms[2], 256, 0);
	domain_pause_nosync(d);
	domain_unpause(doms[1]);
	run_for(10 * MS);
}

static void test_time_page(void)
{
	struct vcpu *v = doms[2]->vcpus[0];

	only(2);
	domain_pause_nosync(doms[1]);
	run_for(1000 * MS);
	tap_ok(used[2][0] == 1000 * MS && v->info->time.system_time + 70 * MS >= fake_time_ns,
	       "the time page of a vcpu that never leaves its CPU follows the clock");
	domain_unpause(doms[1]);
}

static void test_wake(void)
{
	struct vcpu *v = doms[1]->vcpus[0];
	unsigned quick = 0, rounds = 50;

	for (unsigned i = 1; i < 6; i++)
		for (unsigned k = 0; k < doms[i]->max_vcpus; k++)
			affinity(doms[i]->vcpus[k], 1);
	only(3);
	bit_set(&doms[1]->vcpus[1]->pause_flags, PAUSE_DOWN);
	vcpu_sleep(doms[1]->vcpus[1]);
	for (unsigned i = 0; i < rounds; i++) {
		bit_set(&v->pause_flags, PAUSE_BLOCKED);
		vcpu_sleep(v);
		for (unsigned k = 0; k < 40; k++)
			step();
		fake_set_cpu(1);
		vcpu_kick(v);
		step();
		quick += on_cpu(0) == v;
	}
	tap_ok(quick > rounds * 8 / 10,
	       "a vcpu that mostly sleeps runs at once when it wakes, on a busy CPU");
	bit_clear(&doms[1]->vcpus[1]->pause_flags, PAUSE_DOWN);
	vcpu_wake(doms[1]->vcpus[1]);
}

static bool set_ratelimit(unsigned us)
{
	struct xen_sysctl_scheduler_op g = { .sched_id = XEN_SCHEDULER_CREDIT2,
		                             .cmd = XEN_SYSCTL_SCHEDOP_putinfo };

	g.u.sched_credit2.ratelimit_us = us;
	return !sched_adjust_pool(&g) && g.u.sched_credit2.ratelimit_us == us;
}

/* Wakes v at each step, for a second; it blocks as soon as it ran. How often it ran; *late: the longest wait
 * in steps. */
static unsigned wake_often(struct vcpu *v, unsigned *late)
{
	unsigned ran = 0, waited = 0;

	*late = 0;
	for (uint64_t t = 0; t < 1000 * MS; t += STEP) {
		step();
		if (on_cpu(0) == v) {
			ran++;
			waited = 0;
			bit_set(&v->pause_flags, PAUSE_BLOCKED);
			vcpu_sleep(v);
			machine_run(0);
		} else {
			waited++;
			*late = MAX(*late, waited);
		}
		fake_set_cpu(1);
		vcpu_kick(v);
	}
	return ran;
}

static void test_ratelimit(void)
{
	struct vcpu *v = doms[1]->vcpus[0], *hog;
	unsigned often, seldom, late;

	only(2);
	bit_set(&doms[1]->vcpus[1]->pause_flags, PAUSE_DOWN);
	vcpu_sleep(doms[1]->vcpus[1]);
	set(doms[1], 65535, 0); /* in credit, after a while always */
	run_for(200 * MS);
	often = wake_often(v, &late);
	tap_ok(often > 900,
	       "without a rate limit a vcpu that is woken all the time displaces the other each time");
	tap_ok(set_ratelimit(5000), "a rate limit of five milliseconds is taken");
	seldom = wake_often(v, &late);
	printf("# ran %u times, waited up to %u steps\n", seldom, late);
	tap_ok(seldom > 150 && seldom <= 200 && late <= 10,
	       "with it the other goes on for that time, and no longer");
	hog = on_cpu(0);
	step();
	fake_set_cpu(1);
	vcpu_kick(v);
	machine_run(0);
	fake_set_cpu(0);
	if (on_cpu(0) == hog) {
		vcpu_yield();
		machine_run(0);
	}
	tap_ok(on_cpu(0) == v, "who yields is not held by it");
	tap_ok(!set_ratelimit(99) && !set_ratelimit(500001) && set_ratelimit(0),
	       "limits outside of Xen's range, or longer than a slice, are refused");
	set(doms[1], 256, 0);
	bit_clear(&doms[1]->vcpus[1]->pause_flags, PAUSE_DOWN);
	vcpu_wake(doms[1]->vcpus[1]);
	if (bit_test_and_clear(&v->pause_flags, PAUSE_BLOCKED))
		vcpu_wake(v);
}

static void test_pause(void)
{
	struct vcpu_runstate_info r;
	uint64_t sum;

	only(1);
	domain_pause_nosync(doms[1]);
	step();
	run_for(100 * MS);
	tap_ok(!used_by(1) && !doms[1]->vcpus[0]->running, "a paused domain does not run");
	vcpu_runstate_get(doms[1]->vcpus[0], &r);
	tap_ok(r.state == RUNSTATE_offline, "its vcpus are offline to their runstate");
	domain_unpause(doms[1]);
	run_for(100 * MS);
	tap_ok(used_by(1), "and runs again");
	vcpu_runstate_get(doms[1]->vcpus[0], &r);
	sum = r.time[0] + r.time[1] + r.time[2] + r.time[3];
	tap_ok(sum == fake_time_ns - 1000000000, "its state times add up to its life");
}

static uint64_t seed = 42;

static unsigned rnd(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static void chaos_one(void)
{
	struct domain *d = doms[1 + rnd(5)];
	struct vcpu *v = d->vcpus[rnd(d->max_vcpus)];

	fake_set_cpu(rnd(cpu_count));
	switch (rnd(7)) {
	case 0:
		bit_set(&v->pause_flags, PAUSE_BLOCKED);
		vcpu_sleep(v);
		break;
	case 1:
	case 2:
		vcpu_kick(v);
		break;
	case 3:
		affinity(v, 1 + rnd((1u << cpu_count) - 1));
		break;
	case 4:
		domain_pause_nosync(d);
		domain_unpause(d);
		break;
	case 5:
		if (!current_vcpu()->is_idle)
			vcpu_yield();
		break;
	default:
		set(d, 1 + rnd(1000), rnd(3) ? 0 : 1 + rnd(100));
	}
}

static void test_chaos(void)
{
	unsigned lost = 0;

	only(5);
	for (unsigned i = 0; i < 20000; i++) {
		chaos_one();
		if (!rnd(3))
			step();
	}
	for (unsigned i = 1; i < 6; i++) {
		set(doms[i], 256, 0);
		for (unsigned k = 0; k < doms[i]->max_vcpus; k++) {
			affinity(doms[i]->vcpus[k], ~0ull);
			vcpu_kick(doms[i]->vcpus[k]);
		}
	}
	run_for(2000 * MS);
	for (unsigned i = 1; i < 6; i++)
		for (unsigned k = 0; k < doms[i]->max_vcpus; k++)
			lost += !used[i][k];
	tap_ok(!lost, "after 20,000 random operations no vcpu is lost");
	tap_ok(!twice, "and none ever ran on two CPUs");
}

static bool global_refused(struct xen_sysctl_scheduler_op g)
{
	return sched_adjust_pool(&g) == -EINVAL;
}

static void test_parameters(void)
{
	struct xen_domctl_scheduler_op op = { .sched_id = XEN_SCHEDULER_CREDIT2,
		                              .cmd = XEN_DOMCTL_SCHEDOP_getinfo };
	struct xen_sysctl_scheduler_op g = { .sched_id = XEN_SCHEDULER_CREDIT2,
		                             .cmd = XEN_SYSCTL_SCHEDOP_getinfo };
	cpumask_t none = { { 1ull << 40 } };

	tap_ok(cpupool0.sched_id == XEN_SCHEDULER_CREDIT2 &&
	               !strcmp(sched_name(cpupool0.sched_id), "credit2"),
	       "by default it is credit2, as Xen's");
	set(doms[1], 777, 33);
	tap_ok(!sched_adjust(doms[1], &op) && op.u.credit2.weight == 777 && op.u.credit2.cap == 33,
	       "weight and cap are read back");
	op.cmd = XEN_DOMCTL_SCHEDOP_putinfo;
	op.u.credit2.weight = 0;
	op.u.credit2.cap = 201;
	tap_ok(sched_adjust(doms[1], &op) == -EINVAL, "a cap above what its vcpus could use is refused");
	op.u.credit2.cap = 0xffff;
	tap_ok(sched_adjust(doms[1], &op) == -EINVAL, "credit2 has no cap that means \"as it is\"");
	op.u.credit2.cap = 0;
	tap_ok(!sched_adjust(doms[1], &op) && doms[1]->sched, "cap 0 takes it away");
	op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
	tap_ok(!sched_adjust(doms[1], &op) && op.u.credit2.cap == 0 && op.u.credit2.weight == 777,
	       "and leaves the weight");
	op.cmd = XEN_DOMCTL_SCHEDOP_putvcpuinfo;
	tap_ok(sched_adjust(doms[1], &op) == -EINVAL, "settings of single vcpus are refused");
	op.cmd = ~0u;
	tap_ok(sched_adjust(doms[1], &op) == -EINVAL, "so is what no command is");
	op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
	op.sched_id = XEN_SCHEDULER_CREDIT;
	tap_ok(sched_adjust(doms[1], &op) == -EINVAL, "another scheduler's parameters are refused");
	options.sched_ratelimit_us = 1000;
	sched_parameters_init();
	tap_ok(!sched_adjust_pool(&g) && g.u.sched_credit2.ratelimit_us == 1000,
	       "the rate limit is the option's");
	tap_ok(!set_ratelimit(99) && !set_ratelimit(500001) && !set_ratelimit(~0u),
	       "rate limits outside of Xen's range are refused");
	tap_ok(set_ratelimit(100) && set_ratelimit(500000) && set_ratelimit(0) && set_ratelimit(1000),
	       "its ends and none are taken");
	g.cmd = ~0u;
	tap_ok(global_refused(g), "a global command that does not exist is refused");
	g = (struct xen_sysctl_scheduler_op){ .sched_id = XEN_SCHEDULER_CREDIT,
		                              .cmd = XEN_SYSCTL_SCHEDOP_getinfo };
	tap_ok(global_refused(g), "and another scheduler's");
	tap_ok(vcpu_set_affinity(doms[1]->vcpus[0], &none, &none) == -EINVAL,
	       "an affinity without a CPU that is online is refused");
}

/* The other face, with sched=credit. */
static void test_credit_face(void)
{
	struct xen_domctl_scheduler_op op = { .sched_id = XEN_SCHEDULER_CREDIT,
		                              .cmd = XEN_DOMCTL_SCHEDOP_putinfo };
	struct xen_sysctl_scheduler_op g = { .sched_id = XEN_SCHEDULER_CREDIT,
		                             .cmd = XEN_SYSCTL_SCHEDOP_putinfo };

	strcpy(options.sched, "credit");
	sched_parameters_init();
	tap_ok(cpupool0.sched_id == XEN_SCHEDULER_CREDIT && !strcmp(sched_name(cpupool0.sched_id), "credit"),
	       "sched=credit shows it as credit");
	set(doms[1], 512, 44);
	op.u.credit.cap = 0xffff;
	tap_ok(!sched_adjust(doms[1], &op), "there cap ~0 leaves it as it is");
	op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
	tap_ok(!sched_adjust(doms[1], &op) && op.u.credit.cap == 44 && op.u.credit.weight == 512,
	       "and weight 0 too");
	g.u.sched_credit.tslice_ms = 1001;
	tap_ok(global_refused(g), "a time slice beyond a second is refused");
	g.u.sched_credit.tslice_ms = 0;
	tap_ok(global_refused(g), "and one of nothing");
	g.u.sched_credit.tslice_ms = 10;
	g.u.sched_credit.vcpu_migr_delay_us = 1000;
	tap_ok(global_refused(g), "a migration delay, of which there is none, is refused");
	g.u.sched_credit.vcpu_migr_delay_us = 0;
	g.u.sched_credit.ratelimit_us = 10001;
	tap_ok(global_refused(g), "a rate limit longer than the slice is refused");
	g.u.sched_credit.ratelimit_us = 5000;
	tap_ok(!sched_adjust_pool(&g), "slice and rate limit are taken");
	g = (struct xen_sysctl_scheduler_op){ .sched_id = XEN_SCHEDULER_CREDIT,
		                              .cmd = XEN_SYSCTL_SCHEDOP_getinfo };
	tap_ok(!sched_adjust_pool(&g) && g.u.sched_credit.tslice_ms == 10 &&
	               g.u.sched_credit.ratelimit_us == 5000,
	       "and read back");
}

static void test_accounting_lets_interrupts_in(void)
{
	tap_ok(sched_account_lock.seen == 1 && sched_cpus[0].lock.seen == 2,
	       "accounting walks all vcpus with interrupts on");
}

static unsigned looks;

static unsigned look_at(unsigned value)
{
	looks++;
	return value;
}

/* A slice is a budget divided by a count that accounting sets to zero, and counts anew, meanwhile. */
static void test_values_that_change(void)
{
	unsigned least = MIN(look_at(3), MAX(look_at(4), 1u)), most = MAX(look_at(3), look_at(2));

	tap_ok(least == 3 && most == 3 && looks == 4, "MIN and MAX look at a value once");
}

int main(void)
{
	tap_plan(1 + 10 + 5 + 6 + 1 + 2 + 1 + 1 + 5 + 4 + 2 + 15 + 9 + 1);
	machine_init(4096, 3);
	dom0 = machine_domain(0, 1);
	for (unsigned i = 1; i < 6; i++) {
		doms[i] = machine_domain((uint16_t)i, i == 2 ? 1 : 2);
		machine_start(doms[i]);
	}
	doms[6] = machine_domain(6, VCPUS);
	test_values_that_change();
	test_shares();
	test_cpus();
	test_soft();
	test_cap_turns();
	test_turns();
	test_time_page();
	test_wake();
	test_ratelimit();
	test_pause();
	test_chaos();
	test_parameters();
	test_credit_face();
	test_accounting_lets_interrupts_in();
	return tap_end();
}
