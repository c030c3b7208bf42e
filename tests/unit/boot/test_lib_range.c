/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Range sets against a plain bitmap: the set must say the same, sorted, merged, and keep what it had when
 * memory ends. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/range.h"
#include "../../lib/tap.h"

#define SPACE 64

static int allocations_left = 1 << 30;
static size_t allocated;

void *range_realloc(void *old, size_t old_bytes, size_t new_bytes)
{
	void *p;

	if (!new_bytes) {
		free(old);
		allocated -= old_bytes;
		return NULL;
	}
	if (allocations_left-- <= 0)
		return NULL;
	p = realloc(old, new_bytes);
	allocated += new_bytes - old_bytes;
	return p;
}

static bool well_formed(const struct rangeset *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		if (s->ranges[i].first > s->ranges[i].last)
			return false;
		/* Neighbours are apart, or they would be one. */
		if (i && (s->ranges[i].first <= s->ranges[i - 1].last ||
		          s->ranges[i].first == s->ranges[i - 1].last + 1))
			return false;
	}
	return s->count <= s->capacity;
}

static bool agrees(const struct rangeset *s, const bool *map)
{
	for (unsigned a = 0; a < SPACE; a++) {
		bool all = true;

		for (unsigned b = a; b < SPACE; b++) {
			all = all && map[b];
			if (rangeset_contains(s, a, b) != all)
				return false;
		}
	}
	return true;
}

static void random_operations(void)
{
	struct rangeset s = { 0 };
	bool map[SPACE] = { 0 }, good = true;

	srandom(1);
	for (unsigned i = 0; i < 4000 && good; i++) {
		unsigned a = (unsigned)random() % SPACE, b = a + (unsigned)random() % (SPACE - a) / 4;
		bool add = random() & 1;
		int rc = add ? rangeset_add(&s, a, b) : rangeset_remove(&s, a, b);

		for (unsigned j = a; j <= b; j++)
			map[j] = add;
		good = !rc && well_formed(&s) && agrees(&s, map);
	}
	tap_ok(good, "4,000 random additions and removals agree with a bitmap");
	rangeset_free(&s);
	tap_ok(!s.count && !s.ranges && !allocated, "freeing gives all memory back");
}

/* Every second number, one range each, until that is too many. */
static void bounded(void)
{
	struct rangeset s = { 0 };
	bool good = true;

	for (uint64_t i = 0; i < RANGES_MAX; i++)
		good &= !rangeset_add(&s, 2 * i, 2 * i);
	tap_ok(good && s.count == RANGES_MAX && rangeset_add(&s, 1ull << 40, 1ull << 40) == -ENOMEM,
	       "4,096 ranges and no more");
	tap_ok(!rangeset_add(&s, 2 * RANGES_MAX - 1, 1ull << 40) &&
	               rangeset_remove(&s, 1ull << 39, 1ull << 39) == -ENOMEM &&
	               rangeset_contains(&s, 1ull << 39, 1ull << 39) && s.count == RANGES_MAX,
	       "also not by a hole in one, which grows none the less");
	tap_ok(allocated <= RANGES_MAX * sizeof(s.ranges[0]), "they hold 64 KiB at most");
	tap_ok(!rangeset_remove(&s, 0, UINT64_MAX) && !s.count, "and go all at once");
	rangeset_free(&s);
}

int main(void)
{
	struct rangeset s = { 0 };

	tap_ok(!rangeset_contains(&s, 0, 0), "an empty set contains nothing");
	tap_ok(rangeset_add(&s, 5, 4) == -EINVAL, "a range that ends before it begins is refused");
	tap_ok(!rangeset_add(&s, 0, UINT64_MAX) && rangeset_contains(&s, 0, UINT64_MAX),
	       "the whole range of numbers");
	tap_ok(!rangeset_remove(&s, 0, 0) && s.count == 1 && s.ranges[0].first == 1, "its first number goes");
	tap_ok(!rangeset_remove(&s, UINT64_MAX, UINT64_MAX) && s.ranges[0].last == UINT64_MAX - 1,
	       "its last number goes");
	tap_ok(!rangeset_add(&s, UINT64_MAX, UINT64_MAX) && s.count == 1, "and comes back as one range");
	tap_ok(!rangeset_add(&s, 0, 0) && s.count == 1 && !s.ranges[0].first, "at the low end too");
	rangeset_free(&s);
	tap_ok(!rangeset_add(&s, 10, 20) && !rangeset_add(&s, 21, 30) && s.count == 1,
	       "ranges that touch are one");
	tap_ok(!rangeset_remove(&s, 0, 9) && s.count == 1 && s.ranges[0].first == 10,
	       "removing beside it changes nothing");
	allocations_left = 0;
	for (unsigned i = 1; i < 4; i++)
		(void)!rangeset_add(&s, 100 * i, 100 * i);
	tap_ok(rangeset_remove(&s, 15, 15) == -ENOMEM && rangeset_contains(&s, 10, 30),
	       "without memory for the split nothing is removed");
	tap_ok(rangeset_add(&s, 1000, 1000) == -ENOMEM && !rangeset_contains(&s, 1000, 1000), "nor added");
	tap_ok(!rangeset_add(&s, 20, 40) && rangeset_contains(&s, 10, 40), "growing a range needs no memory");
	allocations_left = 1 << 30;
	rangeset_free(&s);
	bounded();
	random_operations();
	return tap_end();
}
