/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of domains with real threads: some look domains up and hold them for a while, one makes and frees them. What
 * is found has its number and is alive; under the address sanitizer nobody touches a domain that was freed. Interrupts
 * off is a counter that is odd then, and a call of all CPUs waits for each to be even or to move.
 */
#include "dom/domain.h"
#include "../../lib/tap.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

/* Between the table's entry and the first look at the domain others get their turn. */
static void dawdle(void);
#undef READ_ONCE
#define READ_ONCE(x) (dawdle(), *(const volatile __typeof__(x) *)&(x))
#include "dom/domtable.c"
#include "dom/domtable.h"
#include "hw/smp.h"
#include "lib/log.h"

#define FINDERS 3
#define NUMBERS 6
#define MAGIC   0x646f6d61696eull

cpumask_t cpus_online;
static unsigned long found, missed, wrong; /* atomic */
static unsigned long section[FINDERS + 1]; /* odd: interrupts off; atomic */
static bool over;                          /* atomic */
static struct domain *dead;                /* those without a reference; atomic stack by reap_next */
static __thread unsigned self;

static void dawdle(void)
{
	if (self && __atomic_load_n(&section[self], __ATOMIC_SEQ_CST) % 16 == 1)
		sched_yield();
}

uint64_t irq_save(void)
{
	__atomic_fetch_add(&section[self], 1, __ATOMIC_SEQ_CST);
	return 0;
}

void irq_restore(uint64_t flags)
{
	(void)flags;
	__atomic_fetch_add(&section[self], 1, __ATOMIC_SEQ_CST);
}

void cpu_call(const cpumask_t *mask, void (*fn)(void *), void *arg)
{
	(void)mask;
	for (unsigned i = 1; i <= FINDERS; i++) {
		unsigned long was = __atomic_load_n(&section[i], __ATOMIC_SEQ_CST);

		while ((was & 1) && __atomic_load_n(&section[i], __ATOMIC_SEQ_CST) == was)
			sched_yield();
	}
	fn(arg);
}

void panic(const char *fmt, ...)
{
	printf("Bail out! panic: %s\n", fmt);
	exit(1);
}

static void put(struct domain *d)
{
	if (__atomic_sub_fetch(&d->refcount, 1, __ATOMIC_SEQ_CST))
		return;
	d->reap_next = __atomic_load_n(&dead, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&dead, &d->reap_next, d, false, __ATOMIC_SEQ_CST,
	                                    __ATOMIC_SEQ_CST))
		;
}

static void *find(void *number)
{
	unsigned n = (unsigned)(uintptr_t)number, seed = n;

	self = n + 1;
	while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
		uint16_t id = (uint16_t)(1 + (seed = seed * 1103515245 + 12345) / 65536 % NUMBERS);
		struct domain *d = seed & 1 << 8 ? domain_get(id) : domain_get_next(id);

		if (!d) {
			__atomic_fetch_add(&missed, 1, __ATOMIC_SEQ_CST);
			continue;
		}
		__atomic_fetch_add(&found, 1, __ATOMIC_SEQ_CST);
		if (d->time_offset_seconds != (int64_t)MAGIC || d->domid < id ||
		    (seed & 1 << 8 && d->domid != id))
			__atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
		if (seed & 1 << 9)
			sched_yield();
		put(d);
	}
	return NULL;
}

static unsigned long reap(void)
{
	struct domain *d = __atomic_exchange_n(&dead, NULL, __ATOMIC_SEQ_CST), *i;
	unsigned long n = 0;

	for (i = d; i; i = i->reap_next)
		domtable_remove(i);
	domtable_wait();
	while (d) {
		struct domain *next = d->reap_next;

		d->time_offset_seconds = 0;
		free(d);
		d = next;
		n++;
	}
	return n;
}

static struct domain *make(uint16_t id)
{
	struct domain *d = calloc(1, sizeof(*d));

	d->domid = id;
	d->refcount = 1;
	d->time_offset_seconds = (int64_t)MAGIC;
	if (!domtable_add(d))
		return d;
	free(d);
	return NULL;
}

static void threads(void)
{
	struct domain *owned[NUMBERS] = { NULL };
	unsigned long made = 0, freed = 0;
	pthread_t thread[FINDERS];

	for (unsigned i = 0; i < FINDERS; i++)
		pthread_create(&thread[i], NULL, find, (void *)(uintptr_t)i);
	for (unsigned long r = 0; made < 5000 || __atomic_load_n(&found, __ATOMIC_SEQ_CST) < 5000; r++) {
		unsigned i = (unsigned)(r * 7 % NUMBERS);

		if (owned[i]) {
			put(owned[i]);
			owned[i] = NULL;
		} else {
			owned[i] = make((uint16_t)(i + 1));
			made += !!owned[i];
		}
		freed += reap();
		if (r % 8 == 0)
			sched_yield();
	}
	__atomic_store_n(&over, true, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < FINDERS; i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 0; i < NUMBERS; i++)
		if (owned[i])
			put(owned[i]);
	freed += reap();
	tap_ok(!wrong, "who is found has the number that was asked for, and is whole");
	tap_ok(found && missed, "domains came, were found, and went");
	tap_ok(freed == made && !domain_count() && !domain_get_next(0), "all are gone in the end");
}

int main(void)
{
	static const uint16_t none[] = { DOMID_FIRST_RESERVED, DOMID_SELF, DOMID_IO,
		                         DOMID_IDLE,           0x8000,     0xffff };
	struct domain *d = make(0), *last = make(DOMID_FIRST_RESERVED - 1);
	bool any = false;

	tap_plan(8);
	for (unsigned i = 0; i < ARRAY_SIZE(none); i++)
		any |= domain_get(none[i]) || domain_get_next(none[i]);
	tap_ok(d && last && !any, "reserved numbers are nobody's");
	tap_ok(!make(0) && domain_count() == 2, "a number is given once");
	tap_ok(domain_get_next(1) == last && domain_get(0) == d, "the next one is found, and the first");
	put(d);
	put(last);
	put(last);
	tap_ok(!domain_get(DOMID_FIRST_RESERVED - 1), "one without a reference is not found");
	put(d);
	tap_ok(reap() == 2 && !domain_count(), "and then it is gone");
	threads();
	return tap_end();
}
