/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ticket spinlocks with a rank. Locks are taken in rising rank; debug builds check it at each acquire
 * (docs/locking.md explains the order). Two locks of one rank may be held only where the rank says so, and
 * then lower address first. All locks are taken with interrupts on unless *_irqsave is used; a lock that an
 * interrupt handler takes is always taken with *_irqsave.
 */
#ifndef HW_LOCK_H
#define HW_LOCK_H

#include "lib/types.h"

enum lock_rank {
	RANK_DOMCTL,      /* one toolstack operation at a time */
	RANK_DOMAIN,      /* struct domain's own fields */
	RANK_GRANT,       /* a grant table; never two at once */
	RANK_MMU,         /* a domain's page tables and the types of its frames */
	RANK_EVTCHN,      /* a domain's event channels; two at once: lower address first */
	RANK_PIRQ,        /* pirq bindings */
	RANK_OWNED_PAGES, /* a domain's list of frames */
	RANK_HEAP,        /* free frames */
	RANK_ACCOUNT,     /* the scheduler's lists of domains and vcpus, weights */
	RANK_SCHED,       /* run queues; irqsave; others' are only tried */
	RANK_TIMER,       /* a CPU's timers; irqsave */
	RANK_IRQ,         /* interrupt descriptors; irqsave */
	RANK_APIC,        /* I/O APIC and PCI configuration registers; irqsave */
	RANK_SHADOW,      /* a domain's shadow page tables; irqsave */
	RANK_L4_COPY,     /* a CPU's copies of L4 tables; irqsave */
	RANK_TLB,         /* the flush in progress; irqsave never: waits for other CPUs */
	RANK_TIME,        /* clock parameters; irqsave */
	RANK_CONSOLE,     /* irqsave */
};

typedef struct {
	uint16_t next, owner; /* tickets */
	uint8_t rank;
	uint8_t seen; /* debug: taken with interrupts on (1), off (2) */
} spinlock_t;

#define SPINLOCK(r) ((spinlock_t){ .rank = (r) })

/* Debug builds, after bring-up: a lock is taken either always with interrupts on or always with them off. Whoever
 * waits for other CPUs while holding one of the first kind (a TLB flush) would wait for ever for one that
 * spins on it with them off. */
void lock_check_interrupts(void);

void spin_lock(spinlock_t *l);
void spin_unlock(spinlock_t *l);
bool spin_trylock(spinlock_t *l) __must_check;
bool spin_is_locked(const spinlock_t *l);
/* Returns the interrupt flag to hand to spin_unlock_irqrestore. */
uint64_t spin_lock_irqsave(spinlock_t *l) __must_check;
void spin_unlock_irqrestore(spinlock_t *l, uint64_t flags);

#endif
