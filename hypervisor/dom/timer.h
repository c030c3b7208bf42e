/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Timers: a heap per CPU, run by WORK_TIMER outside of interrupt context. A timer needs no memory but its own. */
#ifndef DOM_TIMER_H
#define DOM_TIMER_H

#include "lib/types.h"

struct timer {
	uint64_t expires_ns;
	void (*fn)(void *data);
	void *data;
	unsigned cpu;                      /* whose heap; that heap's lock */
	struct timer *child, *next, *prev; /* pairing heap; prev of a first child is its parent */
	bool active, killed;
	bool moving; /* out of one heap and not yet in the other; whoever sets or stops it ends that */
};

void timers_init_cpu(unsigned cpu);
void timer_init(struct timer *t, void (*fn)(void *), void *data, unsigned cpu);
void timer_set(struct timer *t, uint64_t expires_ns); /* replaces an earlier time */
void timer_stop(struct timer *t);
void timer_kill(struct timer *t); /* waits until it does not run; it cannot be set again */
void timer_migrate(struct timer *t, unsigned cpu);

struct timer_view {
	uint64_t expires_ns;
	void (*fn)(void *data);
	void *data;
};
/* Copies up to max timers of a CPU, the one that is next first and the others in no order; returns how many there are. */
unsigned timers_look(unsigned cpu, struct timer_view *out, unsigned max);

#endif
