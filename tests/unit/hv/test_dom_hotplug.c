/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUs that are taken out of use and put back while vcpus run, sleep, wake and set timers: nobody is on a CPU that is out,
 * nobody is lost, and all is as before when it is back.
 */
#include "dom/hotplug.h"
#include "dom/sched.h"
#include "dom/sched_private.h"
#include "fake/machine.h"
#include "hw/options.h"
#include "hw/smp.h"

#define CPUS    4
#define GUESTS  3
#define VCPUS   4
#define STEP_NS (MS / 2)

static struct domain *doms[GUESTS + 1]; /* 0: dom0 */
static uint64_t ran[GUESTS + 1][VCPUS];
static uint64_t seed = 7;

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

		if (!v->is_idle)
			ran[v->domain->domid][v->id]++;
	}
}

/* As the call is continued: its vcpu goes through the exit path between. Returns how it ended, and how many tries it took. */
static int take_out(unsigned cpu, unsigned *tries)
{
	int rc;

	for (*tries = 1; *tries < 50; ++*tries) {
		fake_set_cpu(0);
		rc = cpu_take_out(cpu);
		if (rc != -ERESTART_HV)
			return rc;
		for (unsigned other = 0; other < cpu_count; other++)
			machine_run(other);
	}
	return -ERESTART_HV;
}

/* Whether anything is left on that CPU. */
static bool empty(unsigned cpu)
{
	struct timer_view views[4];
	bool good = on_cpu(cpu)->is_idle && list_empty(&sched_cpus[cpu].queue) && !timers_look(cpu, views, 4);

	for (unsigned i = 0; i <= GUESTS; i++)
		for (unsigned j = 0; j < doms[i]->max_vcpus; j++)
			good = good && doms[i]->vcpus[j]->cpu != cpu;
	return good;
}

static void wake(struct vcpu *v)
{
	if (bit_test_and_clear(&v->pause_flags, PAUSE_BLOCKED))
		vcpu_wake(v);
}

/* Some vcpu sleeps, with a timer or without, or wakes. */
static void event(void)
{
	unsigned cpu = rnd(CPUS);
	struct vcpu *v = on_cpu(cpu);

	if (!v->is_idle && !rnd(3)) {
		if (rnd(2)) {
			timer_migrate(&v->singleshot_timer, cpu);
			timer_set(&v->singleshot_timer, fake_time_ns + MS * rnd(20));
		}
		v->info->evtchn_upcall_pending = 0;
		vcpu_block();
	} else {
		wake(doms[rnd(GUESTS + 1)]->vcpus[rnd(VCPUS)]);
	}
}

static void test_answers(void)
{
	unsigned tries;
	bool all_ran = true;

	tap_ok(take_out(0, &tries) == -EINVAL && take_out(CPUS, &tries) == -EINVAL &&
	               take_out(~0u, &tries) == -EINVAL,
	       "CPU 0 stays, and one that is not there cannot go");
	tap_ok(cpu_put_back(0) == -EEXIST && cpu_put_back(1) == -EEXIST && cpu_put_back(CPUS) == -EINVAL,
	       "nor come, if it is there or does not exist");
	for (unsigned i = 0; i < 20; i++)
		step();
	tap_ok(!on_cpu(1)->is_idle && !take_out(1, &tries) && tries > 1,
	       "a busy one goes when its vcpu has left it");
	tap_ok(empty(1), "and nobody is there");
	tap_ok(machine_irqs_left == 16, "its interrupts go to CPU 0");
	tap_ok(take_out(1, &tries) == -EEXIST, "once");
	memset(ran, 0, sizeof(ran));
	for (unsigned i = 0; i < 400; i++)
		step();
	tap_ok(empty(1), "nobody comes there");
	for (unsigned i = 0; i < VCPUS; i++)
		all_ran = all_ran && ran[1][i];
	tap_ok(all_ran, "who was there runs elsewhere");
	tap_ok(!take_out(2, &tries) && !take_out(3, &tries) && empty(2) && empty(3), "all but CPU 0 may go");
	for (unsigned i = 0; i < 400; i++)
		step();
	tap_ok(empty(1) && empty(2) && empty(3), "then CPU 0 does it all");
	tap_ok(!cpu_put_back(1) && !cpu_put_back(2) && !cpu_put_back(3), "they come back");
	for (unsigned i = 0; i < 20; i++)
		step();
	tap_ok(!on_cpu(1)->is_idle && !on_cpu(2)->is_idle && !on_cpu(3)->is_idle, "and run vcpus at once");
}

static void test_pinned(void)
{
	struct vcpu *v = doms[1]->vcpus[0], *w = doms[1]->vcpus[1];
	cpumask_t one = { { 0 } }, two = { { 0 } }, all = cpumask_all();
	unsigned tries;

	cpumask_set(&one, 2);
	cpumask_set(&two, 2);
	cpumask_set(&two, 3);
	fake_set_cpu(0);
	if (vcpu_set_affinity(v, &one, &all) || vcpu_set_affinity(w, &two, &all))
		abort();
	for (unsigned i = 0; i < 20; i++)
		step();
	tap_ok(v->cpu == 2 && !take_out(2, &tries) && v->cpu != 2, "a vcpu that is pinned there leaves too");
	tap_ok(!memcmp(&v->hard_affinity, &all, sizeof(all)) && !memcmp(&w->hard_affinity, &two, sizeof(two)),
	       "its pinning is undone, but not that of one that may run elsewhere");
	tap_ok(vcpu_set_affinity(v, &one, &all) == -EINVAL, "nobody is pinned to a CPU that is out");
	for (unsigned i = 0; i < 50; i++)
		step();
	tap_ok(w->cpu == 3, "one that is pinned to two CPUs is on the other one");
	if (vcpu_set_affinity(w, &all, &all) || cpu_put_back(2))
		abort();
}

static void test_random(void)
{
	bool out[CPUS] = { 0 }, good = true, idle = true;
	unsigned taken = 0, tries, most = 0;

	for (unsigned i = 0; i < 20000 && good; i++) {
		unsigned cpu = 1 + rnd(CPUS - 1);

		event();
		if (!rnd(20)) {
			if (out[cpu]) {
				good = good && !cpu_put_back(cpu);
			} else {
				good = good && !take_out(cpu, &tries) && empty(cpu);
				most = MAX(most, tries);
				taken++;
			}
			out[cpu] = !out[cpu];
		}
		step();
		for (cpu = 1; cpu < CPUS; cpu++)
			idle = idle && (!out[cpu] || empty(cpu));
	}
	printf("# %u times, in %u tries at most\n", taken, most);
	tap_ok(good && taken > 300, "CPUs go and come hundreds of times under load");
	tap_ok(idle, "nobody and no timer is ever on one that is out");
	for (unsigned cpu = 1; cpu < CPUS; cpu++)
		if (out[cpu] && cpu_put_back(cpu))
			abort();
	for (unsigned i = 0; i <= GUESTS; i++)
		for (unsigned j = 0; j < VCPUS; j++)
			wake(doms[i]->vcpus[j]);
	memset(ran, 0, sizeof(ran));
	for (unsigned i = 0; i < 4000; i++)
		step();
	good = true;
	for (unsigned i = 0; i <= GUESTS; i++)
		for (unsigned j = 0; j < VCPUS; j++)
			good = good && ran[i][j] > 100;
	tap_ok(good, "every vcpu runs on afterwards");
}

int main(void)
{
	tap_plan(12 + 4 + 3);
	options.sched_ratelimit_us = 0;
	machine_init(8192, CPUS);
	machine_domains(doms, GUESTS + 1, VCPUS);
	test_answers();
	test_pinned();
	test_random();
	return tap_end();
}
