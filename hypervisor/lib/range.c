/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of integer ranges. Invariant: sorted, and between two neighbours at least one number is missing. There are no
 * more than RANGES_MAX: memory that a set holds, and what a call moves in it, are bounded by that.
 */
#include "lib/range.h"
#include "lib/errno.h"
#include "lib/string.h"

/* First range whose last number is >= value, or count. */
static unsigned find(const struct rangeset *s, uint64_t value)
{
	unsigned low = 0, high = s->count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (s->ranges[middle].last < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int make_room(struct rangeset *s)
{
	unsigned capacity = s->capacity ? s->capacity * 2 : 4;
	struct range *grown;

	if (s->count < s->capacity)
		return 0;
	if (capacity > RANGES_MAX)
		return -ENOMEM;
	grown = range_realloc(s->ranges, s->capacity * sizeof(*grown), capacity * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	s->ranges = grown;
	s->capacity = capacity;
	return 0;
}

/* Replaces ranges [from, to) by none. */
static void drop(struct rangeset *s, unsigned from, unsigned to)
{
	if (from == to)
		return;
	memmove(&s->ranges[from], &s->ranges[to], (s->count - to) * sizeof(s->ranges[0]));
	s->count -= to - from;
}

static int insert(struct rangeset *s, unsigned at, uint64_t first, uint64_t last)
{
	int rc = make_room(s);

	if (rc)
		return rc;
	memmove(&s->ranges[at + 1], &s->ranges[at], (s->count - at) * sizeof(s->ranges[0]));
	s->ranges[at] = (struct range){ first, last };
	s->count++;
	return 0;
}

int rangeset_add(struct rangeset *s, uint64_t first, uint64_t last)
{
	unsigned from, to;

	if (first > last)
		return -EINVAL;
	/* What touches the new range is merged with it. */
	from = find(s, first ? first - 1 : 0);
	for (to = from; to < s->count && (last == UINT64_MAX || s->ranges[to].first <= last + 1); to++)
		;
	if (from == to)
		return insert(s, from, first, last);
	s->ranges[from].first = MIN(s->ranges[from].first, first);
	s->ranges[from].last = MAX(s->ranges[to - 1].last, last);
	drop(s, from + 1, to);
	return 0;
}

int rangeset_remove(struct rangeset *s, uint64_t first, uint64_t last)
{
	unsigned from, to;

	if (first > last)
		return -EINVAL;
	from = find(s, first);
	if (from == s->count || s->ranges[from].first > last)
		return 0;
	if (s->ranges[from].first < first && s->ranges[from].last > last) {
		uint64_t end = s->ranges[from].last;
		int rc = insert(s, from + 1, last + 1, end);

		if (!rc)
			s->ranges[from].last = first - 1;
		return rc;
	}
	if (s->ranges[from].first < first)
		s->ranges[from++].last = first - 1;
	for (to = from; to < s->count && s->ranges[to].last <= last; to++)
		;
	if (to < s->count && s->ranges[to].first <= last)
		s->ranges[to].first = last + 1;
	drop(s, from, to);
	return 0;
}

bool rangeset_contains(const struct rangeset *s, uint64_t first, uint64_t last)
{
	unsigned i = find(s, first);

	return i < s->count && s->ranges[i].first <= first && last <= s->ranges[i].last;
}

void rangeset_free(struct rangeset *s)
{
	if (s->ranges)
		(void)range_realloc(s->ranges, s->capacity * sizeof(s->ranges[0]), 0);
	*s = (struct rangeset){ 0 };
}
