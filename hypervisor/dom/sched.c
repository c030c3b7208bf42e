/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The credit scheduler.
 *
 * 1. Each CPU has a run queue of the vcpus that wait for it; the vcpu that runs is not in it.
 * 2. (sched_account.c) A vcpu pays one unit of credit per nanosecond that it runs. Every ACCOUNT_NS as much as was paid is
 *    handed out anew: to domains in proportion to their weight, limited by their cap and by the number of their
 *    active vcpus, and within a domain evenly to its active vcpus. What was paid, and not the time of all CPUs:
 *    affinity may keep CPUs idle, and credit in excess of what can be used would make weights meaningless.
 *    Whoever is in debt counts as active, also asleep: debt is paid back from the domain's share alone. Else vcpus
 *    that take turns would have their debts forgiven, and be boosted one after the other.
 * 3. A CPU takes from its queue by class: boosted (woken while in credit), in credit, in debt; in order of
 *    arrival within the first two, and of those in debt the one that owes least: when nobody is in credit, weights
 *    show in how deep the debts are. Credit only orders; a capped domain's vcpus pay from its budget besides, which is
 *    filled each time with the cap's share, and do not run at all while that is spent.
 * 4. A CPU that would run something in debt, or nothing, takes a better one from another CPU's queue; a CPU
 *    that leaves somebody waiting notifies an idle one. Who goes idle says so before it looks at the other queues,
 *    and who queues somebody looks for idle CPUs afterwards: one of the two sees the other.
 * 5. A vcpu that came onto its CPU less than sched_ratelimit_ns ago and can go on is not displaced by a better one:
 *    who is woken by many small events would otherwise be switched to for each of them, and do the work of each
 *    alone. What gives the CPU up by itself (blocks, yields, is paused) is not held back.
 * 6. A vcpu runs outside of its soft affinity only where a CPU would be idle otherwise: it goes back at the end
 *    of a slice when somebody else waits, or a CPU of that set is idle.
 * 7. A vcpu runs on the CPUs of its domain's pool only (cpupool.c), and each pool's time is shared out by itself.
 *
 * Locks: a queue's lock (RANK_SCHED) guards the queue and the vcpus whose .cpu names it. sched_account_lock guards the
 * lists of domains and vcpus that accounting walks, and weights; it is taken with interrupts on, since the walk takes as
 * long as there are vcpus. Credit is changed atomically.
 */
#include "dom/sched.h"
#include "dom/sched_private.h"
#include "dom/evtchn.h"
#include "dom/guest.h"
#include "dom/switch.h"
#include "dom/vcpu.h"
#include "hw/options.h"
#include "hw/smp.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "hw/time.h"
#include "hw/trace.h"

#define BOOST_NS     (10 * MS)
#define SLICE_MIN_NS (1 * MS)

enum sched_class { CLASS_BOOST, CLASS_UNDER, CLASS_OVER, CLASS_NONE };

struct sched_cpu sched_cpus[NR_CPUS];
cpumask_t cpus_in_use, cpus_leaving;
static cpumask_t idle_cpus; /* CPUs whose curr is the idle vcpu; atomic */
static struct timer account_timer;

/* ---- small pieces ---- */

static struct sched_cpu *vcpu_lock(struct vcpu *v, uint64_t *flags)
{
	for (;;) {
		unsigned cpu = READ_ONCE(v->cpu);
		struct sched_cpu *sc = &sched_cpus[cpu];

		*flags = spin_lock_irqsave(&sc->lock);
		if (v->cpu == cpu)
			return sc;
		spin_unlock_irqrestore(&sc->lock, *flags);
	}
}

bool vcpu_runnable(const struct vcpu *v)
{
	return !READ_ONCE(v->pause_flags) && !READ_ONCE(v->pause_count) && !READ_ONCE(v->domain->pause_count);
}

static enum sched_class class_of(const struct vcpu *v)
{
	const struct sched_vcpu *sv = sv_of(v);
	int64_t credit;

	if (v->is_idle)
		return CLASS_NONE;
	credit = READ_ONCE(sv->credit);
	if (READ_ONCE(v->domain->sched->budget) < 0 && READ_ONCE(v->domain->sched->cap))
		return CLASS_NONE;
	if (sv->yielded || credit < 0)
		return CLASS_OVER;
	return sv->boosted ? CLASS_BOOST : CLASS_UNDER;
}

static __trace void trace_vcpu(uint32_t event, const struct vcpu *v)
{
	TRACE(event, v->domain->domid, v->id);
}

static __trace void trace_runstate(const struct vcpu *v, int state)
{
	if (v->runstate.state != state)
		TRACE(TRC_SCHED_RUNSTATE_CHANGE | (uint32_t)v->runstate.state << 8 | (uint32_t)state << 4,
		      v->id | (uint32_t)v->domain->domid << 16);
}

static void runstate_change(struct vcpu *v, int state, uint64_t now)
{
	struct vcpu_runstate_info *r = &v->runstate;

	if (trace_on())
		trace_runstate(v, state);
	if (now > r->state_entry_time) {
		r->time[r->state] += now - r->state_entry_time;
		r->state_entry_time = now;
	}
	r->state = state;
}

/* State of a vcpu that is not on a CPU. */
static int state_off_cpu(const struct vcpu *v)
{
	if (vcpu_runnable(v))
		return RUNSTATE_runnable;
	if (READ_ONCE(v->pause_flags) & ((1ull << PAUSE_BLOCKED) | (1ull << PAUSE_POLL)) &&
	    !(READ_ONCE(v->pause_flags) & (1ull << PAUSE_DOWN)))
		return RUNSTATE_blocked;
	return RUNSTATE_offline;
}

/* Its pool does not change while it runs, waits or may be queued, whose queue's lock the caller holds (cpupool.c). */
static cpumask_t allowed_cpus(const struct vcpu *v)
{
	const struct cpupool *p = v->domain->pool;
	cpumask_t m = cpumask_and(&v->hard_affinity, &p->cpus);

	return cpumask_empty(&m) ? p->cpus : m;
}

/* Those of them that are in its soft affinity, or all where none is. */
static cpumask_t preferred_cpus(const struct vcpu *v)
{
	cpumask_t allowed = allowed_cpus(v), m = cpumask_and(&allowed, &v->soft_affinity);

	return cpumask_empty(&m) ? allowed : m;
}

/* ---- waking and sleeping ---- */

/* An idle one of these CPUs, its own if that is idle, or NR_CPUS. */
static unsigned idle_cpu_in(const struct vcpu *v, const cpumask_t *mask)
{
	cpumask_t idle = cpumask_and(mask, &idle_cpus);

	return cpumask_test(&idle, v->cpu) ? v->cpu : bit_next(idle.bits, NR_CPUS, 0);
}

/* The CPU where v had best wait: an idle one that it prefers, any idle one that it may use, its own. */
static unsigned choose_cpu(const struct vcpu *v)
{
	cpumask_t allowed = allowed_cpus(v), preferred = preferred_cpus(v);
	unsigned cpu = idle_cpu_in(v, &preferred);

	if (cpu >= NR_CPUS)
		cpu = idle_cpu_in(v, &allowed);
	if (cpu < NR_CPUS)
		return cpu;
	return cpumask_test(&preferred, v->cpu) ? v->cpu : bit_next(preferred.bits, NR_CPUS, 0);
}

/* Queues a vcpu that is neither queued nor current anywhere, and makes its CPU look if it is the better one.
 * Queue of v->cpu locked. */
static void enqueue(struct sched_cpu *sc, struct vcpu *v)
{
	unsigned cpu = v->cpu;

	list_add_tail(&v->run_link, &sc->queue);
	if (sc->curr->is_idle || (!sc->held && class_of(v) < class_of(sc->curr)))
		work_raise(cpu, WORK_SCHEDULE);
}

/* Moves a vcpu that is neither queued nor current to the CPU where it had best wait. Returns with that queue locked. */
static struct sched_cpu *settle(struct sched_cpu *sc, struct vcpu *v, uint64_t *flags)
{
	unsigned cpu = choose_cpu(v);

	if (cpu == v->cpu)
		return sc;
	WRITE_ONCE(v->cpu, cpu);
	spin_unlock_irqrestore(&sc->lock, *flags);
	return vcpu_lock(v, flags);
}

static bool off_queue(const struct sched_cpu *sc, const struct vcpu *v)
{
	return sc->curr != v && list_empty(&v->run_link);
}

/* Somebody is left waiting here: an idle CPU that may run it shall look. Queue locked; a full barrier since it grew. */
static void tell_idle(const struct sched_cpu *sc)
{
	struct list *l;

	if (cpumask_empty(&idle_cpus))
		return;
	list_for_each(l, &sc->queue) {
		const struct vcpu *v = list_entry(l, struct vcpu, run_link);
		cpumask_t allowed = allowed_cpus(v), preferred = preferred_cpus(v);
		unsigned cpu = idle_cpu_in(v, &preferred);

		if (cpu >= NR_CPUS)
			cpu = idle_cpu_in(v, &allowed);
		if (cpu >= NR_CPUS || class_of(v) == CLASS_NONE)
			continue;
		work_raise(cpu, WORK_SCHEDULE);
		return;
	}
}

static void wake(struct vcpu *v)
{
	uint64_t flags, now = time_now_ns();
	struct sched_cpu *sc = vcpu_lock(v, &flags);
	struct sched_vcpu *sv = sv_of(v);

	if (off_queue(sc, v) && !vcpu_runnable(v)) {
		runstate_change(v, state_off_cpu(v), now);
	} else if (off_queue(sc, v)) {
		if (v->runstate.state == RUNSTATE_blocked && READ_ONCE(sv->credit) >= 0)
			sv->boosted = true;
		runstate_change(v, RUNSTATE_runnable, now);
		sc = settle(sc, v, &flags);
		if (off_queue(sc, v) && vcpu_runnable(v)) {
			enqueue(sc, v);
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			if (!sc->curr->is_idle)
				tell_idle(sc);
		}
	}
	spin_unlock_irqrestore(&sc->lock, flags);
}

void vcpu_wake(struct vcpu *v)
{
	if (trace_on())
		trace_vcpu(TRC_SCHED_WAKE, v);
	wake(v);
}

void vcpu_sleep(struct vcpu *v)
{
	uint64_t flags;
	struct sched_cpu *sc = vcpu_lock(v, &flags);

	if (trace_on())
		trace_vcpu(TRC_SCHED_SLEEP, v);
	if (sc->curr == v) {
		work_raise(v->cpu, WORK_SCHEDULE);
	} else if (!vcpu_runnable(v)) {
		list_del(&v->run_link);
		runstate_change(v, state_off_cpu(v), time_now_ns());
	}
	spin_unlock_irqrestore(&sc->lock, flags);
}

static void vcpu_wait_off_cpu(struct vcpu *v)
{
	assert(v != current_vcpu());
	while (__atomic_load_n(&v->running, __ATOMIC_ACQUIRE))
		cpu_relax();
}

static void vcpu_pause_nosync(struct vcpu *v)
{
	__atomic_fetch_add(&v->pause_count, 1, __ATOMIC_SEQ_CST);
	vcpu_sleep(v);
}

void vcpu_pause(struct vcpu *v)
{
	vcpu_pause_nosync(v);
	vcpu_wait_off_cpu(v);
}

void vcpu_unpause(struct vcpu *v)
{
	if (__atomic_sub_fetch(&v->pause_count, 1, __ATOMIC_SEQ_CST) == 0)
		vcpu_wake(v);
}

void domain_pause_nosync(struct domain *d)
{
	__atomic_fetch_add(&d->pause_count, 1, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < d->max_vcpus; i++)
		if (READ_ONCE(d->vcpus[i]))
			vcpu_sleep(d->vcpus[i]);
}

void domain_pause(struct domain *d)
{
	assert(d != current_domain());
	domain_pause_nosync(d);
	for (unsigned i = 0; i < d->max_vcpus; i++)
		if (READ_ONCE(d->vcpus[i]))
			vcpu_wait_off_cpu(d->vcpus[i]);
}

void domain_unpause(struct domain *d)
{
	if (__atomic_sub_fetch(&d->pause_count, 1, __ATOMIC_SEQ_CST) != 0)
		return;
	for (unsigned i = 0; i < d->max_vcpus; i++)
		if (READ_ONCE(d->vcpus[i]))
			vcpu_wake(d->vcpus[i]);
}

bool vcpu_unpoll(struct vcpu *v)
{
	if (!bit_test_and_clear(v->domain->poll_mask, v->id))
		return false;
	bit_clear(&v->pause_flags, PAUSE_POLL);
	vcpu_wake(v);
	return true;
}

void vcpu_kick(struct vcpu *v)
{
	bool woken = bit_test_and_clear(&v->pause_flags, PAUSE_BLOCKED);

	if (woken)
		vcpu_wake(v);
	if (bit_test(v->domain->poll_mask, v->id))
		woken |= vcpu_unpoll(v);
	/* One that runs elsewhere looks at its events on the exit path: make it take that. */
	if (!woken && READ_ONCE(v->running) && v != current_vcpu())
		work_raise(READ_ONCE(v->cpu), WORK_DEFERRED);
}

/* ---- choosing ---- */

/* Orders those of CLASS_OVER. One that yielded stands behind them by a period's worth, whatever it has: somebody else is
 * meant to run before it, and not everybody for long. */
static int64_t credit_in_turn(const struct vcpu *v)
{
	const struct sched_vcpu *sv = sv_of(v);
	int64_t credit = READ_ONCE(sv->credit);

	return sv->yielded ? MIN(credit, 0) - (int64_t)ACCOUNT_NS : credit;
}

/* The best of CPU cpu's own queue that is in a better class than limit; of another CPU's queue (with preferred: of those
 * who would rather be here). */
static struct vcpu *queue_best(struct sched_cpu *sc, unsigned cpu, enum sched_class limit,
                               const struct vcpu *prev, bool preferred)
{
	struct vcpu *best = NULL;
	int64_t most = 0;
	struct list *l;

	list_for_each(l, &sc->queue) {
		struct vcpu *v = list_entry(l, struct vcpu, run_link);
		enum sched_class c = class_of(v);
		int64_t credit = c == CLASS_OVER ? credit_in_turn(v) : 0;
		cpumask_t cpus;

		if (c > limit || (c == limit && !(best && c == CLASS_OVER && credit > most)))
			continue;
		if (v != prev && __atomic_load_n(&v->running, __ATOMIC_ACQUIRE)) {
			/* Its registers are still being saved by another CPU: look again when that is done. */
			if (sc == &sched_cpus[cpu])
				work_raise(cpu, WORK_SCHEDULE);
			continue;
		}
		cpus = preferred ? preferred_cpus(v) : allowed_cpus(v);
		if (sc != &sched_cpus[cpu] && !cpumask_test(&cpus, cpu))
			continue;
		best = v;
		limit = c;
		most = credit;
	}
	return best;
}

/* Takes a vcpu better than limit out of another CPU's queue. Own queue locked: the others only by trylock. */
static struct vcpu *steal(unsigned cpu, enum sched_class limit, bool preferred)
{
	for (unsigned i = 1; i < cpu_count; i++) {
		unsigned other = (cpu + i) % cpu_count;
		struct sched_cpu *sc = &sched_cpus[other];
		struct vcpu *v;

		if (list_empty(&sc->queue))
			continue;
		if (!spin_trylock(&sc->lock)) {
			/* Whoever holds it may have missed that this CPU is going idle: look again. */
			if (limit == CLASS_NONE)
				work_raise(cpu, WORK_SCHEDULE);
			continue;
		}
		v = queue_best(sc, cpu, limit, NULL, preferred);
		if (v) {
			list_del(&v->run_link);
			WRITE_ONCE(v->cpu, cpu);
		}
		spin_unlock(&sc->lock);
		if (v)
			return v;
	}
	return NULL;
}

/* Queue locked; prev is queued if it can go on. */
static struct vcpu *choose_next(struct sched_cpu *sc, unsigned cpu, const struct vcpu *prev)
{
	struct vcpu *next = queue_best(sc, cpu, CLASS_NONE, prev, false), *better = NULL;
	enum sched_class c = next ? class_of(next) : CLASS_NONE;

	if (!next)
		cpumask_set(&idle_cpus, cpu); /* before it looks */
	if (c >= CLASS_OVER)
		better = steal(cpu, c, true);
	if (!next && !better)
		better = steal(cpu, CLASS_NONE, false);
	if (better)
		return better;
	if (!next)
		return sc->idle;
	list_del(&next->run_link);
	return next;
}

static uint64_t slice_of(const struct vcpu *v)
{
	const struct sched_domain *sd = v->domain->sched;
	uint64_t slice = READ_ONCE(v->domain->pool->slice_ns);

	if (sv_of(v)->boosted)
		slice = MIN(slice, BOOST_NS);
	if (READ_ONCE(sd->cap)) /* the others of the domain may be running too */
		slice = MIN(slice,
		            (uint64_t)MAX(READ_ONCE(sd->budget), 0) / MAX(READ_ONCE(sd->active_count), 1u));
	return MAX(slice, SLICE_MIN_NS);
}

/* What becomes of the vcpu that gives up the CPU: true when it must be queued on another CPU. */
static bool retire(struct sched_cpu *sc, struct vcpu *prev, unsigned cpu, uint64_t now)
{
	struct sched_vcpu *sv = sv_of(prev);
	cpumask_t allowed, preferred;

	sched_burn(prev, now);
	if (prev->is_idle || !vcpu_runnable(prev))
		return false;
	if (sc->slice_over || sv->yielded)
		sv->boosted = false;
	allowed = allowed_cpus(prev);
	preferred = preferred_cpus(prev);
	if (!cpumask_test(&allowed, cpu))
		return true;
	if (sc->slice_over && !cpumask_test(&preferred, cpu) &&
	    (!list_empty(&sc->queue) || idle_cpu_in(prev, &preferred) < NR_CPUS))
		return true;
	if (sc->slice_over || sv->yielded)
		list_add_tail(&prev->run_link, &sc->queue);
	else
		list_add_head(&prev->run_link, &sc->queue);
	return false;
}

/* Until when the rate limit lets v go on; 0: it does not. Queue locked, v is its current vcpu. */
static uint64_t held_until(const struct sched_cpu *sc, const struct vcpu *v, unsigned cpu, uint64_t now)
{
	cpumask_t allowed;
	uint64_t end;

	if (v->is_idle)
		return 0;
	end = v->runstate.state_entry_time + READ_ONCE(v->domain->pool->ratelimit_ns);
	if (sc->slice_over || now >= end || !vcpu_runnable(v) || sv_of(v)->yielded ||
	    class_of(v) == CLASS_NONE)
		return 0;
	allowed = allowed_cpus(v);
	return cpumask_test(&allowed, cpu) ? MIN(end, now + slice_of(v)) : 0;
}

/* ---- switching ---- */

uint32_t trace_who(void)
{
	const struct vcpu *v = sched_cpus[this_cpu()].curr;

	return v->domain->domid | v->id << 16;
}

/* v goes on, for slice_ns. */
static __trace void trace_continue(const struct vcpu *v, uint64_t now, uint64_t slice_ns)
{
	TRACE(TRC_SCHED_SWITCH_INFCONT, v->domain->domid, v->id,
	      (uint32_t)(now - v->runstate.state_entry_time), (uint32_t)slice_ns);
	TRACE(TRC_SCHED_CONTINUE_RUNNING, v->id | (uint32_t)v->domain->domid << 16);
}

static __trace void trace_switch(const struct vcpu *prev, const struct vcpu *next, uint64_t now,
                                 uint64_t slice_ns)
{
	const struct vcpu_runstate_info *p = &prev->runstate, *n = &next->runstate;

	TRACE(TRC_SCHED_SWITCH_INFPREV, prev->domain->domid, prev->id, (uint32_t)(now - p->state_entry_time));
	TRACE(TRC_SCHED_SWITCH_INFNEXT, next->domain->domid, next->id,
	      n->state == RUNSTATE_runnable ? (uint32_t)(now - n->state_entry_time) : 0, (uint32_t)slice_ns);
	TRACE(TRC_SCHED_SWITCH, prev->domain->domid, prev->id, next->domain->domid, next->id);
}

/*
 * prev gives the CPU to next; queue locked. Readers of a trace take what follows the two changes of state for next's, and
 * trace_who() has to say the same when records are lost: curr changes after them.
 */
static void change_curr(struct sched_cpu *sc, struct vcpu *prev, struct vcpu *next, uint64_t now)
{
	runstate_change(prev, prev->is_idle ? RUNSTATE_runnable : state_off_cpu(prev), now);
	runstate_change(next, RUNSTATE_running, now);
	sc->curr = next;
	sv_of(next)->burnt_ns = now;
	WRITE_ONCE(next->running, true);
}

/* WORK_SCHEDULE: decides who runs on this CPU. Returns if that is who runs already. */
static void schedule(void)
{
	unsigned cpu = this_cpu();
	struct sched_cpu *sc = &sched_cpus[cpu];
	struct vcpu *prev = sc->curr, *next;
	uint64_t now = time_now_ns(), irq = irq_save(), flags = spin_lock_irqsave(&sc->lock);
	uint64_t until = held_until(sc, prev, cpu, now), slice = ~0ull;
	bool move;

	sc->held = until;
	if (until) {
		sched_burn(prev, now);
		timer_set(&sc->slice, until);
		tell_idle(sc);
		if (trace_on())
			trace_continue(prev, now, until - now);
		spin_unlock_irqrestore(&sc->lock, flags);
		prev->domain->kind->stay(prev);
		irq_restore(irq);
		return;
	}
	move = retire(sc, prev, cpu, now);
	next = choose_next(sc, cpu, prev);
	sc->slice_over = false;
	if (next->is_idle) {
		cpumask_set(&idle_cpus, cpu);
		timer_stop(&sc->slice);
	} else {
		cpumask_clear(&idle_cpus, cpu);
		sv_of(next)->yielded = false;
		slice = slice_of(next);
		timer_set(&sc->slice, now + slice);
		tell_idle(sc);
	}
	if (trace_on() && next == prev)
		trace_continue(next, now, slice);
	else if (trace_on())
		trace_switch(prev, next, now, slice);
	if (next != prev)
		change_curr(sc, prev, next, now);
	spin_unlock_irqrestore(&sc->lock, flags);
	if (move)
		wake(prev);
	if (next == prev) {
		if (!next->is_idle)
			next->domain->kind->stay(next);
		irq_restore(irq);
		return;
	}
	if (!next->is_idle)
		vcpu_periodic_resume(next, now);
	vcpu_switch(prev, next);
}

static void slice_expired(void *data)
{
	struct sched_cpu *sc = data;

	/* The end of the rate limit is not that of the slice: its vcpu keeps its place and its boost. */
	if (!READ_ONCE(sc->held))
		sc->slice_over = true;
	work_raise((unsigned)(sc - sched_cpus), WORK_SCHEDULE);
}

static void account(void *unused)
{
	bool waiting = false;
	unsigned cpu;

	(void)unused;
	sched_account();
	/* Whom a cap kept from running may go on now, also on another CPU than where it waits. */
	for_each_cpu_in(cpu, &cpus_online)
		waiting = waiting || !list_empty(&sched_cpus[cpu].queue);
	for_each_cpu_in(cpu, &cpus_online)
		if (waiting && cpumask_test(&idle_cpus, cpu))
			work_raise(cpu, WORK_SCHEDULE);
	timer_set(&account_timer, time_now_ns() + ACCOUNT_NS);
}

/* ---- what a guest asks of its own vcpu ---- */

void vcpu_yield(void)
{
	struct vcpu *v = current_vcpu();
	uint64_t flags;
	struct sched_cpu *sc = vcpu_lock(v, &flags);

	sv_of(v)->yielded = true;
	spin_unlock_irqrestore(&sc->lock, flags);
	if (trace_on())
		trace_vcpu(TRC_SCHED_YIELD, v);
	work_raise(this_cpu(), WORK_SCHEDULE);
}

void vcpu_block(void)
{
	struct vcpu *v = current_vcpu();

	WRITE_ONCE(v->info->evtchn_upcall_mask, 0);
	bit_set(&v->pause_flags, PAUSE_BLOCKED);
	/* Full barrier in bit_set: an event that came before is seen here, a later one sees the bit. */
	if (vcpu_event_pending(v) || vcpu_nmi_due(v)) {
		bit_clear(&v->pause_flags, PAUSE_BLOCKED);
		return;
	}
	if (trace_on())
		trace_vcpu(TRC_SCHED_BLOCK, v);
	work_raise(this_cpu(), WORK_SCHEDULE);
}

int vcpu_poll(const evtchn_port_t *ports, unsigned count, uint64_t timeout_ns)
{
	struct vcpu *v = current_vcpu();
	struct domain *d = v->domain;
	int rc = 0;
	bool ready = false;

	v->poll_port = count == 1 ? ports[0] : 0;
	bit_set(&v->pause_flags, PAUSE_POLL);
	bit_set(d->poll_mask, v->id);
	ready = vcpu_event_pending(v);
	for (unsigned i = 0; i < count && !ready && !rc; i++) {
		int pending = evtchn_poll(d, ports[i]);

		rc = MIN(pending, 0);
		ready = pending > 0;
	}
	if (ready || rc) {
		(void)vcpu_unpoll(v);
		return rc;
	}
	if (timeout_ns) {
		timer_migrate(&v->poll_timer, this_cpu());
		timer_set(&v->poll_timer, timeout_ns);
	}
	if (trace_on())
		trace_vcpu(TRC_SCHED_BLOCK, v);
	work_raise(this_cpu(), WORK_SCHEDULE);
	return 0;
}

void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out)
{
	uint64_t flags, now;
	struct sched_cpu *sc = vcpu_lock(v, &flags);

	*out = v->runstate;
	now = time_now_ns();
	if (now > out->state_entry_time)
		out->time[out->state] += now - out->state_entry_time;
	spin_unlock_irqrestore(&sc->lock, flags);
}

uint64_t cpu_idle_ns(unsigned cpu)
{
	struct vcpu_runstate_info r;

	if (cpu >= NR_CPUS || !sched_cpus[cpu].idle)
		return 0;
	vcpu_runstate_get(sched_cpus[cpu].idle, &r);
	return r.time[RUNSTATE_running];
}

/* ---- where a vcpu may run ---- */

int vcpu_set_affinity(struct vcpu *v, const cpumask_t *hard, const cpumask_t *soft)
{
	cpumask_t usable = cpumask_and(hard, &v->domain->pool->cpus), preferred;
	struct sched_cpu *sc;
	uint64_t flags;
	bool requeue = false;

	if (cpumask_empty(&usable))
		return -EINVAL;
	sc = vcpu_lock(v, &flags);
	v->hard_affinity = *hard;
	v->soft_affinity = *soft;
	preferred = preferred_cpus(v);
	if (sc->curr == v && !cpumask_test(&usable, v->cpu)) {
		work_raise(v->cpu, WORK_SCHEDULE);
	} else if (sc->curr != v && !cpumask_test(&preferred, v->cpu)) {
		list_del(&v->run_link);
		requeue = true;
	}
	spin_unlock_irqrestore(&sc->lock, flags);
	if (requeue)
		wake(v);
	return 0;
}

void vcpu_leave_cpu(struct vcpu *v, unsigned cpu)
{
	uint64_t flags;
	struct sched_cpu *sc = vcpu_lock(v, &flags);

	if (v->cpu == cpu && sc->curr != v) {
		list_del(&v->run_link);
		sc = settle(sc, v, &flags);
		if (off_queue(sc, v) && vcpu_runnable(v))
			enqueue(sc, v);
	}
	spin_unlock_irqrestore(&sc->lock, flags);
}

bool sched_cpu_idle(unsigned cpu)
{
	return READ_ONCE(sched_cpus[cpu].curr) == sched_cpus[cpu].idle;
}

/* ---- life ---- */

int sched_domain_init(struct domain *d)
{
	struct sched_domain *sd = hv_alloc(sizeof(*sd));

	if (!sd)
		return -ENOMEM;
	sd->weight = SCHED_WEIGHT_DEFAULT;
	list_init(&sd->vcpus);
	d->sched = sd;
	spin_lock(&sched_account_lock);
	list_add_tail(&sd->link, &d->pool->domains);
	spin_unlock(&sched_account_lock);
	return 0;
}

/* A CPU of its pool to begin with: neighbours get different ones. */
static unsigned first_cpu(const struct vcpu *v)
{
	const cpumask_t *cpus = &v->domain->pool->cpus;
	unsigned cpu = bit_next(cpus->bits, NR_CPUS, (v->domain->domid + v->id) % cpu_count);

	if (cpu >= NR_CPUS)
		cpu = bit_next(cpus->bits, NR_CPUS, 0);
	CHECK(cpu < cpu_count);
	return cpu;
}

void sched_domain_move(struct domain *d, struct cpupool *p)
{
	struct sched_domain *sd = d->sched;

	spin_lock(&sched_account_lock);
	list_del(&sd->link);
	list_add_tail(&sd->link, &p->domains);
	sd->weight = SCHED_WEIGHT_DEFAULT;
	WRITE_ONCE(sd->cap, 0);
	WRITE_ONCE(sd->budget, 0);
	WRITE_ONCE(d->pool, p);
	spin_unlock(&sched_account_lock);
	for (unsigned i = 0; i < d->max_vcpus; i++) {
		struct vcpu *v = d->vcpus[i];
		struct sched_cpu *sc;
		uint64_t flags;

		if (!v)
			continue;
		sc = vcpu_lock(v, &flags);
		assert(off_queue(sc, v) && !v->running);
		v->hard_affinity = v->soft_affinity = cpumask_all();
		WRITE_ONCE(v->cpu, first_cpu(v));
		spin_unlock_irqrestore(&sc->lock, flags);
	}
}

void sched_domain_destroy(struct domain *d)
{
	if (!d->sched)
		return;
	spin_lock(&sched_account_lock);
	list_del(&d->sched->link);
	spin_unlock(&sched_account_lock);
	hv_free(d->sched);
	d->sched = NULL;
}

int sched_vcpu_init(struct vcpu *v)
{
	struct sched_vcpu *sv = hv_alloc(sizeof(*sv));

	if (!sv)
		return -ENOMEM;
	list_init(&v->run_link);
	list_init(&sv->link);
	sv->vcpu = v;
	v->sched_private = sv;
	v->runstate.state = v->is_idle ? RUNSTATE_running : RUNSTATE_offline;
	v->runstate.state_entry_time = time_now_ns();
	v->hard_affinity = v->soft_affinity = cpumask_all();
	if (v->is_idle)
		return 0;
	v->cpu = first_cpu(v);
	if (v->domain->privileged && options.dom0_vcpus_pin) {
		v->hard_affinity = (cpumask_t){ { 0 } };
		v->cpu = v->id % cpu_count;
		cpumask_set(&v->hard_affinity, v->cpu);
	}
	spin_lock(&sched_account_lock);
	list_add_tail(&sv->link, &v->domain->sched->vcpus);
	spin_unlock(&sched_account_lock);
	return 0;
}

/* The vcpu is paused permanently. */
void sched_vcpu_destroy(struct vcpu *v)
{
	struct sched_vcpu *sv = v->sched_private;

	if (!sv)
		return;
	assert(list_empty(&v->run_link) && !v->running);
	spin_lock(&sched_account_lock);
	list_del(&sv->link);
	spin_unlock(&sched_account_lock);
	v->sched_private = NULL;
	hv_free(sv);
}

/* Each CPU, after idle_vcpu_create() and timers_init_cpu(): makes its idle vcpu current. */
void sched_init_cpu(unsigned cpu)
{
	struct sched_cpu *sc = &sched_cpus[cpu];

	CHECK(sc->idle);
	sc->curr = sc->idle;
	sc->idle->running = true;
	cpumask_set(&cpus_in_use, cpu);
	cpumask_set(&cpupool0.cpus, cpu);
	cpumask_set(&idle_cpus, cpu);
	cpu_set_current(sc->idle);
}

void sched_set_idle(unsigned cpu, struct vcpu *idle)
{
	struct sched_cpu *sc = &sched_cpus[cpu];

	sc->lock = SPINLOCK(RANK_SCHED);
	list_init(&sc->queue);
	sc->curr = sc->idle = idle;
	timer_init(&sc->slice, slice_expired, sc, cpu);
}

void sched_init(void)
{
	sched_parameters_init();
	domains_init();
	work_register(WORK_SCHEDULE, schedule);
	timer_init(&account_timer, account, NULL, 0);
	timer_set(&account_timer, time_now_ns() + ACCOUNT_NS);
}
