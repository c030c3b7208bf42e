/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Timers: a pairing heap per CPU, run by WORK_TIMER.
 *
 * A timer lies in the heap of one CPU, and its function runs there. The heap is intrusive: to set a timer
 * cannot fail. Functions run without the heap's lock and may set their own timer again.
 */
#include "dom/timer.h"
#include "hw/smp.h"
#include "lib/log.h"
#include "hw/cpu.h"
#include "hw/lock.h"
#include "hw/time.h"

struct timer_heap {
	spinlock_t lock;
	struct timer *root;
	struct timer *running;  /* whose function this CPU is in */
	uint64_t programmed_ns; /* what the hardware was asked for; 0: nothing */
};

static struct timer_heap heaps[NR_CPUS];

/* ---- pairing heap ---- */

static struct timer *heap_link(struct timer *a, struct timer *b)
{
	struct timer *t;

	if (!a || !b)
		return a ? a : b;
	if (b->expires_ns < a->expires_ns) {
		t = a;
		a = b;
		b = t;
	}
	b->next = a->child;
	if (a->child)
		a->child->prev = b;
	b->prev = a;
	a->child = b;
	a->next = a->prev = NULL;
	return a;
}

/* Joins a list of siblings into one tree: in pairs from the left, then the pairs from the right. */
static struct timer *heap_combine(struct timer *first)
{
	struct timer *pairs = NULL, *root = NULL;

	while (first) {
		struct timer *a = first, *b = a->next, *pair;

		first = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		pair = heap_link(a, b);
		pair->next = pairs;
		pairs = pair;
	}
	while (pairs) {
		struct timer *next = pairs->next;

		pairs->next = NULL;
		root = heap_link(root, pairs);
		pairs = next;
	}
	return root;
}

static void heap_insert(struct timer_heap *h, struct timer *t)
{
	t->child = t->next = t->prev = NULL;
	t->active = true;
	h->root = heap_link(h->root, t);
}

static void heap_remove(struct timer_heap *h, struct timer *t)
{
	struct timer *below = heap_combine(t->child);

	if (h->root == t) {
		h->root = below;
	} else {
		if (t->prev->child == t)
			t->prev->child = t->next;
		else
			t->prev->next = t->next;
		if (t->next)
			t->next->prev = t->prev;
		h->root = heap_link(h->root, below);
	}
	t->child = t->next = t->prev = NULL;
	t->active = false;
}

/* ---- locking and hardware ---- */

static struct timer_heap *timer_lock(struct timer *t, uint64_t *flags)
{
	for (;;) {
		unsigned cpu = READ_ONCE(t->cpu);
		struct timer_heap *h = &heaps[cpu];

		*flags = spin_lock_irqsave(&h->lock);
		if (t->cpu == cpu)
			return h;
		spin_unlock_irqrestore(&h->lock, *flags);
	}
}

/* Own CPU, heap locked. fired: what was programmed is no more. */
static void heap_program(struct timer_heap *h, bool fired)
{
	uint64_t want = h->root ? MAX(h->root->expires_ns, 1) : 0;

	if (want == h->programmed_ns && !fired)
		return;
	h->programmed_ns = want;
	timer_hw_set(want);
}

static void heap_changed(struct timer_heap *h, unsigned cpu)
{
	if (cpu == this_cpu())
		heap_program(h, false);
	else if (h->root && (!h->programmed_ns || h->root->expires_ns < h->programmed_ns))
		work_raise(cpu, WORK_TIMER);
}

/* ---- interface ---- */

void timer_init(struct timer *t, void (*fn)(void *), void *data, unsigned cpu)
{
	*t = (struct timer){ .fn = fn, .data = data, .cpu = cpu };
}

void timer_set(struct timer *t, uint64_t expires_ns)
{
	uint64_t flags;
	struct timer_heap *h = timer_lock(t, &flags);

	if (!t->killed) {
		if (t->active)
			heap_remove(h, t);
		t->moving = false;
		t->expires_ns = expires_ns;
		heap_insert(h, t);
		heap_changed(h, t->cpu);
	}
	spin_unlock_irqrestore(&h->lock, flags);
}

void timer_stop(struct timer *t)
{
	uint64_t flags;
	struct timer_heap *h = timer_lock(t, &flags);

	t->moving = false;
	if (t->active) {
		heap_remove(h, t);
		heap_changed(h, t->cpu);
	}
	spin_unlock_irqrestore(&h->lock, flags);
}

void timer_kill(struct timer *t)
{
	uint64_t flags;
	struct timer_heap *h;

	if (!t->fn) /* never initialised */
		return;
	h = timer_lock(t, &flags);
	t->killed = true;
	t->moving = false;
	if (t->active)
		heap_remove(h, t);
	spin_unlock_irqrestore(&h->lock, flags);
	/* It may have been moved here while its function ran on another CPU. */
	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		while (cpu != this_cpu() && __atomic_load_n(&heaps[cpu].running, __ATOMIC_ACQUIRE) == t)
			cpu_relax();
}

/* The heaps are locked one after the other: between, others may set, stop, kill or move it, and theirs counts. */
void timer_migrate(struct timer *t, unsigned cpu)
{
	uint64_t flags;
	struct timer_heap *h = timer_lock(t, &flags);
	bool active;

	if (t->cpu == cpu || t->killed) {
		spin_unlock_irqrestore(&h->lock, flags);
		return;
	}
	active = t->active;
	if (active) {
		heap_remove(h, t);
		t->moving = true;
	}
	WRITE_ONCE(t->cpu, cpu);
	spin_unlock_irqrestore(&h->lock, flags);
	if (!active)
		return;
	h = timer_lock(t, &flags);
	if (t->moving) {
		t->moving = false;
		heap_insert(h, t);
		heap_changed(h, t->cpu);
	}
	spin_unlock_irqrestore(&h->lock, flags);
}

/* WORK_TIMER: runs what is due on this CPU and asks the hardware for the next. */
static void timers_run(void)
{
	struct timer_heap *h = &heaps[this_cpu()];
	uint64_t flags = spin_lock_irqsave(&h->lock);

	h->programmed_ns = 0;
	while (h->root && h->root->expires_ns <= time_now_ns()) {
		struct timer *t = h->root;
		void (*fn)(void *) = t->fn;
		void *data = t->data;

		heap_remove(h, t);
		h->running = t;
		spin_unlock_irqrestore(&h->lock, flags);
		fn(data);
		flags = spin_lock_irqsave(&h->lock);
		h->running = NULL;
	}
	heap_program(h, true);
	spin_unlock_irqrestore(&h->lock, flags);
}

void timers_init_cpu(unsigned cpu)
{
	heaps[cpu] = (struct timer_heap){ .lock = SPINLOCK(RANK_TIMER) };
	if (cpu == 0)
		work_register(WORK_TIMER, timers_run);
}

/* The timer after t in a walk of the whole heap: children first, then siblings, then those of the parents. */
static const struct timer *heap_after(const struct timer *t)
{
	if (t->child)
		return t->child;
	while (t && !t->next) {
		/* prev leads to the first sibling, whose prev is the parent. */
		while (t->prev && t->prev->child != t)
			t = t->prev;
		t = t->prev;
	}
	return t ? t->next : NULL;
}

unsigned timers_look(unsigned cpu, struct timer_view *out, unsigned max)
{
	struct timer_heap *h = &heaps[cpu];
	uint64_t flags = spin_lock_irqsave(&h->lock);
	unsigned n = 0;

	for (const struct timer *t = h->root; t; t = heap_after(t)) {
		if (n < max)
			out[n] = (struct timer_view){ t->expires_ns, t->fn, t->data };
		n++;
	}
	spin_unlock_irqrestore(&h->lock, flags);
	return n;
}
