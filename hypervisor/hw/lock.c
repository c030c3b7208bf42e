/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ticket locks: who waits longest comes next. A hypervisor below us may have taken that waiter's CPU away, and
 * all others would wait with it; there the first one who sees the lock free takes it. In debug builds each
 * CPU keeps the ranks that it holds, apart for interrupt context, and each acquire must have a rank that is
 * not below the highest one held.
 */
#include "hw/lock.h"
#include "hw/cpu.h"
#include "hw/irq.h"
#include "hw/lock_rank.h"
#include "lib/log.h"

#ifdef XYLEM_DEBUG
static struct locks_held held[NR_CPUS][2];

static bool checking_interrupts;

void lock_check_interrupts(void)
{
	checking_interrupts = true;
}

static void interrupts_check(spinlock_t *l)
{
	uint8_t seen;

	if (!checking_interrupts)
		return;
	seen = __atomic_or_fetch(&l->seen, irq_enabled() ? 1 : 2, __ATOMIC_RELAXED);
	if (seen == 3)
		panic("lock %p of rank %u is taken with interrupts on and off", (const void *)l, l->rank);
}

static struct locks_held *held_now(void)
{
	return &held[this_cpu()][irq_context_active()];
}

static void rank_check(spinlock_t *l, bool trying)
{
	const char *fault = lock_rank_fault(held_now(), l, trying);

	if (!trying)
		interrupts_check(l);
	if (fault)
		panic("lock %p of rank %u %s", (const void *)l, l->rank, fault);
}

static void rank_push(const spinlock_t *l)
{
	if (!lock_rank_push(held_now(), l))
		panic("lock %p of rank %u is one too many", (const void *)l, l->rank);
}

static void rank_pop(const spinlock_t *l)
{
	if (!lock_rank_pop(held_now(), l))
		panic("lock %p of rank %u is released but not held", (const void *)l, l->rank);
}
#else
void lock_check_interrupts(void)
{
}
static void rank_check(const spinlock_t *l, bool trying)
{
	(void)l;
	(void)trying;
}
static void rank_push(const spinlock_t *l)
{
	(void)l;
}
static void rank_pop(const spinlock_t *l)
{
	(void)l;
}
#endif

/* Both tickets in one word: the next to be handed out in the low half, the one being served above. */
static inline uint32_t *tickets(spinlock_t *l)
{
	return (uint32_t *)(void *)&l->next;
}

_Static_assert(offsetof(spinlock_t, owner) == offsetof(spinlock_t, next) + 2, "tickets form one word");

/* Takes it if it is free. */
static bool try_take(spinlock_t *l)
{
	uint32_t seen = __atomic_load_n(tickets(l), __ATOMIC_RELAXED);
	uint16_t next = (uint16_t)seen, owner = (uint16_t)(seen >> 16);

	return next == owner &&
	       __atomic_compare_exchange_n(tickets(l), &seen, (uint32_t)owner << 16 | (uint16_t)(next + 1),
	                                   false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void take_in_turn(spinlock_t *l)
{
	uint16_t mine = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != mine)
		cpu_relax();
}

void spin_lock(spinlock_t *l)
{
	rank_check(l, false);
	if (unlikely(cpu_features.hypervisor))
		while (!try_take(l))
			cpu_relax();
	else
		take_in_turn(l);
	rank_push(l);
}

void spin_unlock(spinlock_t *l)
{
	rank_pop(l);
	__atomic_store_n(&l->owner, (uint16_t)(l->owner + 1), __ATOMIC_RELEASE);
}

bool spin_trylock(spinlock_t *l)
{
	if (spin_is_locked(l))
		return false;
	rank_check(l, true);
	if (!try_take(l))
		return false;
	rank_push(l);
	return true;
}

bool spin_is_locked(const spinlock_t *l)
{
	return READ_ONCE(l->next) != READ_ONCE(l->owner);
}

uint64_t spin_lock_irqsave(spinlock_t *l)
{
	uint64_t flags = irq_save();

	spin_lock(l);
	return flags;
}

void spin_unlock_irqrestore(spinlock_t *l, uint64_t flags)
{
	spin_unlock(l);
	irq_restore(flags);
}
