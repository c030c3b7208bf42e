/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Timers: order, replacing, stopping, migration and timers that set themselves, against a plain list. */
#include "fake/machine.h"
#include "hw/smp.h"
#include <pthread.h>
#include <unistd.h>

#define N 300

static struct timer timers[N];
static uint64_t expected[N]; /* 0: not set */
static unsigned fired_at_wrong_time, fired[N], missed;

static void run_all(void)
{
	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		work_raise(cpu, WORK_TIMER);
		machine_run(cpu);
	}
}

static void on_fire(void *data)
{
	unsigned i = (unsigned)((struct timer *)data - timers);

	fired[i]++;
	if (!expected[i] || expected[i] > time_now_ns())
		fired_at_wrong_time++;
	expected[i] = 0;
}

static uint64_t seed = 0x9e3779b97f4a7c15;

static unsigned rnd(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static void test_random(void)
{
	bool stopped_fired = false;

	for (unsigned i = 0; i < N; i++)
		timer_init(&timers[i], on_fire, &timers[i], i % cpu_count);
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = rnd(N);

		fake_set_cpu(rnd(cpu_count));
		switch (rnd(6)) {
		case 0:
			timer_stop(&timers[i]);
			expected[i] = 0;
			break;
		case 1:
			timer_migrate(&timers[i], rnd(cpu_count));
			break;
		case 2:
			fake_time_ns += rnd(50);
			run_all();
			for (unsigned k = 0; k < N; k++)
				missed += expected[k] && expected[k] <= fake_time_ns;
			break;
		default:
			expected[i] = fake_time_ns + 1 + rnd(2000);
			timer_set(&timers[i], expected[i]);
		}
	}
	fake_time_ns += 10000;
	run_all();
	for (unsigned k = 0; k < N; k++) {
		missed += !!expected[k];
		stopped_fired |= timers[k].active;
	}
	tap_ok(!missed, "every timer that is due runs");
	tap_ok(!fired_at_wrong_time, "no timer runs early, twice or after it was stopped");
	tap_ok(!stopped_fired, "no timer is left active");
}

static unsigned order[3], order_count;

static void note_order(void *data)
{
	order[order_count++] = (unsigned)(uintptr_t)data;
}

static void test_order(void)
{
	struct timer t[3];

	fake_set_cpu(0);
	for (unsigned i = 0; i < 3; i++)
		timer_init(&t[i], note_order, (void *)(uintptr_t)i, 0);
	timer_set(&t[0], fake_time_ns + 30);
	timer_set(&t[1], fake_time_ns + 10);
	timer_set(&t[2], fake_time_ns + 20);
	timer_set(&t[1], fake_time_ns + 40);
	fake_time_ns += 100;
	run_all();
	tap_ok(order_count == 3 && order[0] == 2 && order[1] == 0 && order[2] == 1,
	       "timers run in the order of their times");
}

static struct timer again;
static unsigned again_count;

static void set_again(void *data)
{
	(void)data;
	if (++again_count < 5)
		timer_set(&again, fake_time_ns + 10);
}

static void test_rearm_and_kill(void)
{
	struct timer dead;

	timer_init(&again, set_again, NULL, 1);
	timer_set(&again, fake_time_ns + 1);
	for (unsigned i = 0; i < 10; i++) {
		fake_time_ns += 10;
		run_all();
	}
	tap_ok(again_count == 5, "a timer may set itself while it runs");
	order_count = 0;
	timer_init(&dead, note_order, NULL, 0);
	timer_set(&dead, fake_time_ns + 5);
	timer_kill(&dead);
	timer_set(&dead, fake_time_ns + 5);
	fake_time_ns += 100;
	run_all();
	tap_ok(order_count == 0 && !dead.active, "a killed timer never runs and cannot be set");
}

static int slow_state; /* 1: the function runs, 2: it may go on, 3: it is done */
static struct timer slow;

static void slow_function(void *data)
{
	(void)data;
	__atomic_store_n(&slow_state, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&slow_state, __ATOMIC_SEQ_CST) != 2)
		;
	usleep(20000);
	__atomic_store_n(&slow_state, 3, __ATOMIC_SEQ_CST);
}

static void *run_slow(void *unused)
{
	(void)unused;
	work_raise(0, WORK_TIMER);
	machine_run(0);
	return NULL;
}

static void test_kill_after_move(void)
{
	pthread_t other;

	timer_init(&slow, slow_function, NULL, 0);
	fake_set_cpu(1);
	timer_set(&slow, fake_time_ns);
	if (pthread_create(&other, NULL, run_slow, NULL))
		abort();
	while (__atomic_load_n(&slow_state, __ATOMIC_SEQ_CST) != 1)
		;
	timer_migrate(&slow, 1);
	__atomic_store_n(&slow_state, 2, __ATOMIC_SEQ_CST);
	timer_kill(&slow);
	tap_ok(__atomic_load_n(&slow_state, __ATOMIC_SEQ_CST) == 3,
	       "killing a timer waits for its function, also where it came from");
	pthread_join(other, NULL);
}

/* What another CPU does between the two halves of a move. */
static struct timer moved;
static void (*between)(void);
static unsigned locks;

static void at_lock(void)
{
	if (++locks != 2)
		return;
	fake_hook = NULL;
	between();
}

static void set_near(void)
{
	timer_set(&moved, fake_time_ns + 100);
}

static void stop(void)
{
	timer_stop(&moved);
}

static void move_back(void)
{
	timer_migrate(&moved, 0);
}

static void nothing(void *data)
{
	(void)data;
}

static void move_while(void (*fn)(void))
{
	fake_set_cpu(0);
	timer_init(&moved, nothing, NULL, 0);
	timer_set(&moved, fake_time_ns + 5000);
	between = fn;
	locks = 0;
	fake_hook = at_lock;
	timer_migrate(&moved, 1);
	fake_hook = NULL;
}

static void test_change_while_moved(void)
{
	move_while(set_near);
	tap_ok(moved.active && moved.cpu == 1 && moved.expires_ns == fake_time_ns + 100,
	       "a time that is set while the timer is moved counts");
	timer_stop(&moved);
	move_while(stop);
	tap_ok(!moved.active, "one that is stopped meanwhile does not go on");
	move_while(move_back);
	tap_ok(moved.active && moved.cpu == 0 && moved.expires_ns == fake_time_ns + 5000,
	       "two who move it at once lose nothing");
	timer_kill(&moved);
}

int main(void)
{
	tap_plan(10);
	machine_init(512, 3);
	test_random();
	test_order();
	test_rearm_and_kill();
	test_kill_after_move();
	test_change_while_moved();
	return tap_end();
}
