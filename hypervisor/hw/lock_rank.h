/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rule of docs/locking.md: which locks may be taken while others are held. One piece of code for debug builds of
 * the hypervisor (hw/lock.c) and for the stub hardware layer of the host tests.
 */
#ifndef HW_LOCK_RANK_H
#define HW_LOCK_RANK_H

#include "hw/lock.h"

#define LOCKS_HELD_MAX 24

/* What one CPU holds, in one context: interrupt handlers have a list of their own. */
struct locks_held {
	const spinlock_t *lock[LOCKS_HELD_MAX];
	unsigned count;
};

/* Why l may not be taken now, or NULL. trying: spin_trylock(), which waits for nobody and may take any lock but one
 * that is held. */
const char *lock_rank_fault(const struct locks_held *held, const spinlock_t *l, bool trying);
/* False where there is no room. */
bool lock_rank_push(struct locks_held *held, const spinlock_t *l) __must_check;
/* False where it is not held. */
bool lock_rank_pop(struct locks_held *held, const spinlock_t *l) __must_check;

#endif
