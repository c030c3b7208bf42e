/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The locks of hw/lock.c with real threads: they exclude each other, and on a hypervisor that takes a
 * waiter's CPU away the others go on. The waiter is stopped by a signal whose handler waits.
 */
#include "hw/lock.c"
#include "hw/cpu.h"
#include "hw/irq.h"
#include "hw/lock_rank.h"
#include "../../lib/tap.h"
#include "lib/log.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct cpu_features cpu_features;

static __thread unsigned cpu;

unsigned this_cpu(void)
{
	return cpu;
}

uint64_t irq_save(void)
{
	return 0;
}

void irq_restore(uint64_t flags)
{
	(void)flags;
}

bool irq_enabled(void)
{
	return true;
}

bool irq_context_active(void)
{
	return false;
}

void panic(const char *fmt, ...)
{
	printf("Bail out! panic: %s\n", fmt);
	exit(1);
}

#define SPINNERS 4
#define ROUNDS   20000
/* Fair waiters on few CPUs, which other programs use as well, may need a time slice for each round: then this is enough. */
#define SECONDS 3

static spinlock_t lock = SPINLOCK(RANK_DOMAIN);
static unsigned long shared;

static void *count(void *number)
{
	unsigned long done = 0;

	cpu = (unsigned)(uintptr_t)number;
	for (time_t end = time(NULL) + SECONDS; done < ROUNDS && time(NULL) <= end; done++) {
		spin_lock(&lock);
		shared++;
		spin_unlock(&lock);
		if (!(done % 64)) /* fair waiters on few CPUs need it */
			usleep(1);
	}
	return (void *)done;
}

static bool exclusive(void)
{
	pthread_t t[SPINNERS];
	unsigned long sum = 0;

	shared = 0;
	for (unsigned i = 0; i < SPINNERS; i++)
		if (pthread_create(&t[i], NULL, count, (void *)(uintptr_t)(i + 1)))
			abort();
	for (unsigned i = 0; i < SPINNERS; i++) {
		void *done;

		pthread_join(t[i], &done);
		sum += (unsigned long)done;
	}
	return sum >= SPINNERS && shared == sum;
}

static int taken_away, give_back, waiter_done, waiter_here;

static void without_cpu(int signal)
{
	(void)signal;
	__atomic_store_n(&taken_away, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&give_back, __ATOMIC_SEQ_CST))
		poll(NULL, 0, 1);
}

static void *wait_for_lock(void *unused)
{
	(void)unused;
	cpu = 1;
	__atomic_store_n(&waiter_here, 1, __ATOMIC_SEQ_CST);
	spin_lock(&lock);
	__atomic_store_n(&waiter_done, 1, __ATOMIC_SEQ_CST);
	spin_unlock(&lock);
	return NULL;
}

static int other_done;

static void *come_later(void *unused)
{
	(void)unused;
	cpu = 2;
	spin_lock(&lock);
	spin_unlock(&lock);
	__atomic_store_n(&other_done, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Whether a later one gets the lock while an earlier one has no CPU. */
static bool overtakes(void)
{
	pthread_t waiter, other;
	bool got;

	taken_away = give_back = waiter_done = waiter_here = other_done = 0;
	spin_lock(&lock);
	if (pthread_create(&waiter, NULL, wait_for_lock, NULL))
		abort();
	while (!__atomic_load_n(&waiter_here, __ATOMIC_SEQ_CST))
		usleep(1000);
	usleep(50000);
	pthread_kill(waiter, SIGUSR1);
	while (!__atomic_load_n(&taken_away, __ATOMIC_SEQ_CST))
		usleep(1000);
	spin_unlock(&lock);
	if (pthread_create(&other, NULL, come_later, NULL))
		abort();
	for (unsigned i = 0; i < 1000 && !__atomic_load_n(&other_done, __ATOMIC_SEQ_CST); i++)
		usleep(1000);
	got = __atomic_load_n(&other_done, __ATOMIC_SEQ_CST);
	__atomic_store_n(&give_back, 1, __ATOMIC_SEQ_CST);
	pthread_join(waiter, NULL);
	pthread_join(other, NULL);
	return got && waiter_done;
}

/* On the same CPU the ranks forbid it. */
static bool trylock(void)
{
	bool first = !spin_is_locked(&lock) && spin_trylock(&lock), second;

	cpu = 1;
	second = spin_trylock(&lock);
	cpu = 0;
	return first && !second;
}

/* The rule of docs/locking.md, as debug builds and host tests hold everybody to it. */
static bool ranks(void)
{
	spinlock_t low = SPINLOCK(RANK_DOMAIN), high = SPINLOCK(RANK_HEAP), two[2], grants[2];
	struct locks_held mine = { .count = 0 };
	bool good;

	two[0] = two[1] = SPINLOCK(RANK_EVTCHN);
	grants[0] = grants[1] = SPINLOCK(RANK_GRANT);
	good = !lock_rank_fault(&mine, &low, false) && lock_rank_push(&mine, &low);
	good &= !lock_rank_fault(&mine, &grants[0], false) && lock_rank_push(&mine, &grants[0]);
	good &= lock_rank_fault(&mine, &grants[1], false) && !lock_rank_fault(&mine, &grants[1], true);
	good &= lock_rank_fault(&mine, &low, false) && lock_rank_fault(&mine, &low, true);
	good &= !lock_rank_fault(&mine, &two[1], false) && lock_rank_push(&mine, &two[1]);
	good &= !!lock_rank_fault(&mine, &two[0], false); /* the lower address comes first */
	good &= lock_rank_pop(&mine, &two[1]) && lock_rank_push(&mine, &two[0]);
	good &= !lock_rank_fault(&mine, &two[1], false) && !lock_rank_fault(&mine, &high, false);
	good &= lock_rank_pop(&mine, &low) && !lock_rank_pop(&mine, &low) && mine.count == 2;
	return good;
}

int main(void)
{
	signal(SIGUSR1, without_cpu);
	tap_ok(exclusive(), "fair locks exclude");
	tap_ok(!overtakes(), "and are taken in turn");
	cpu_features.hypervisor = true;
	tap_ok(exclusive(), "on a hypervisor they exclude too");
	tap_ok(overtakes(), "but a waiter whose CPU was taken away holds nobody up");
	tap_ok(trylock(), "a lock that is held is not taken by another CPU");
	tap_ok(ranks(), "locks are taken in rising rank, two of event channels' by address");
	return tap_end();
}
