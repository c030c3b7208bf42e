/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See lock_rank.h. */
#include "hw/lock_rank.h"

/* Two of this rank may be held at once, lower address first (enum lock_rank). */
static bool pair_allowed(unsigned rank)
{
	return rank == RANK_EVTCHN;
}

const char *lock_rank_fault(const struct locks_held *held, const spinlock_t *l, bool trying)
{
	for (unsigned i = 0; i < held->count; i++) {
		const spinlock_t *h = held->lock[i];

		if (h == l)
			return "is taken twice";
		if (trying)
			continue;
		if (h->rank > l->rank)
			return "is taken under one of a higher rank";
		if (h->rank == l->rank && !pair_allowed(l->rank))
			return "is taken under another one of its rank";
		if (h->rank == l->rank && h > l)
			return "is taken under one of its rank with a higher address";
	}
	return NULL;
}

bool lock_rank_push(struct locks_held *held, const spinlock_t *l)
{
	if (held->count == LOCKS_HELD_MAX)
		return false;
	held->lock[held->count++] = l;
	return true;
}

bool lock_rank_pop(struct locks_held *held, const spinlock_t *l)
{
	unsigned i = held->count;

	while (i && held->lock[i - 1] != l)
		i--;
	if (!i)
		return false;
	for (held->count--; i <= held->count; i++)
		held->lock[i - 1] = held->lock[i];
	return true;
}
