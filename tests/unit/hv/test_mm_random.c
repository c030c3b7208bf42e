/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random sequences of what guests and layers above can do to mm, with stale TLBs, preemption and other CPUs
 * that walk the tables in the middle of operations. MM_SEED and MM_ROUNDS in the environment repeat a run.
 */
#include "fake/fake.h"
#include "mm_drive.h"

#define ROUND_BYTES 3000

static uint64_t state;

static uint8_t random_byte(void)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint8_t)(state >> 33);
}

int main(void)
{
	const char *seed = getenv("MM_SEED"), *rounds_wanted = getenv("MM_ROUNDS"), *why = NULL;
	unsigned long first = seed ? strtoul(seed, NULL, 0) : 1,
	              rounds = rounds_wanted ? strtoul(rounds_wanted, NULL, 0) : 200;
	uint8_t bytes[ROUND_BYTES];
	bool good = true;

	tap_plan(2);
	mm_drive_init();
	for (unsigned long round = first; round < first + rounds && good; round++) {
		state = round;
		for (unsigned i = 0; i < 8; i++)
			random_byte();
		for (unsigned i = 0; i < ROUND_BYTES; i++)
			bytes[i] = random_byte();
		if (mm_drive(bytes, ROUND_BYTES, &why)) {
			printf("# MM_SEED=%lu: %s\n", round, why);
			good = false;
		}
	}
	tap_ok(good, "no stale use, exact counts and all memory back after random sequences");
	printf("# operations %lu, trees %lu, entries %lu, links %lu, linear %lu, grants %lu, preempted %lu, refused %lu, touches %lu, shadowed %lu, logs cleared %lu, for ever %lu\n",
	       mm_drive_stats.operations, mm_drive_stats.built, mm_drive_stats.entries, mm_drive_stats.links,
	       mm_drive_stats.linear, mm_drive_stats.grants, mm_drive_stats.preempted, mm_drive_stats.refused,
	       mm_drive_stats.touches, mm_drive_stats.shadowed, mm_drive_stats.cleared,
	       mm_drive_stats.forced);
	tap_ok(mm_drive_stats.built > rounds && mm_drive_stats.entries > rounds &&
	               mm_drive_stats.links > rounds / 4 && mm_drive_stats.linear > rounds / 8 &&
	               mm_drive_stats.grants > rounds / 8 && mm_drive_stats.preempted > rounds &&
	               mm_drive_stats.touches > rounds && mm_drive_stats.shadowed > rounds / 4 &&
	               mm_drive_stats.cleared > rounds / 4 && mm_drive_stats.forced > rounds / 8,
	       "the sequences reach trees, entries, links, linear ones, grants, preemption and shadows");
	return tap_end();
}
