/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The memory map: order, overlaps, joins, mem=. Random maps are compared address by address. */
#include <stdlib.h>
#include <string.h>

#include "boot/boot.h"
#include "../../lib/tap.h"

#define NO_LIMIT UINT64_MAX

static unsigned left_out;
static struct memory_region out[128];

static bool is(unsigned n, unsigned i, uint64_t start, uint64_t end, uint32_t type)
{
	return i < n && out[i].start == start && out[i].end == end && out[i].type == type;
}

static unsigned rank(uint32_t type)
{
	return type == 1 ? 1 : type == 3 ? 2 : type == 4 ? 3 : type == 5 ? 5 : 4;
}

static uint32_t expected(const struct memory_region *raw, unsigned count, uint64_t limit, uint64_t at)
{
	uint32_t type = 0;

	for (unsigned i = 0; i < count; i++)
		if (at >= raw[i].start && at < raw[i].end && !(raw[i].type == 1 && at >= limit) &&
		    (!type || rank(raw[i].type) > rank(type)))
			type = raw[i].type;
	return type;
}

static uint32_t found(unsigned n, uint64_t at)
{
	for (unsigned i = 0; i < n; i++)
		if (at >= out[i].start && at < out[i].end)
			return out[i].type;
	return 0;
}

static void random_maps(void)
{
	bool good = true;

	srandom(2);
	for (unsigned round = 0; round < 500 && good; round++) {
		struct memory_region raw[12];
		unsigned count = (unsigned)random() % 12, n;
		uint64_t limit = random() % 4 ? NO_LIMIT : (uint64_t)random() % 100;

		for (unsigned i = 0; i < count; i++) {
			raw[i].start = (uint64_t)random() % 90;
			raw[i].end = raw[i].start + 1 + (uint64_t)random() % 20;
			raw[i].type = 1 + (uint32_t)random() % 6;
		}
		n = e820_sanitise(raw, count, limit, out, 128, &left_out);
		for (uint64_t at = 0; at < 120; at++)
			good = good && found(n, at) == expected(raw, count, limit, at);
		for (unsigned i = 1; i < n; i++)
			good = good && out[i].start >= out[i - 1].end &&
			       !(out[i].start == out[i - 1].end && out[i].type == out[i - 1].type);
	}
	tap_ok(good, "500 random maps, each address has the type that wins, sorted and joined");
}

/* Machine memory above what the hypervisor maps (hw/layout.h). */
static void end_of_the_direct_map(void)
{
	const uint64_t end = DIRECTMAP_SIZE, gib = 1ull << 30;
	struct memory_region raw[4] = { { 0x100000, 3 * gib, 1 },
		                        { 4 * gib, end + 2 * gib, 1 },
		                        { end + 4 * gib, end + 5 * gib, 2 },
		                        { end + 5 * gib, end + 8 * gib, 1 } };
	unsigned n = e820_sanitise(raw, 4, DIRECTMAP_SIZE, out, 128, &left_out);

	tap_ok(n == 3 && !left_out && is(n, 1, 4 * gib, end, 1) && is(n, 2, end + 4 * gib, end + 5 * gib, 2),
	       "RAM ends where the direct map does, in the middle of a region too");
	tap_ok(e820_ram_above(raw, 4, DIRECTMAP_SIZE) == 5 * gib && !e820_ram_above(raw, 1, DIRECTMAP_SIZE) &&
	               e820_ram_above(raw, 4, end + 8 * gib) == 0,
	       "and what is left out is told");
}

int main(void)
{
	struct memory_region raw[4] = { { 0x100000, 0x200000, 1 },
		                        { 0, 0x9fc00, 1 },
		                        { 0x180000, 0x1c0000, 2 } };
	unsigned n = e820_sanitise(raw, 3, NO_LIMIT, out, 128, &left_out);

	tap_ok(n == 4 && is(n, 0, 0, 0x9fc00, 1) && is(n, 1, 0x100000, 0x180000, 1) &&
	               is(n, 2, 0x180000, 0x1c0000, 2) && is(n, 3, 0x1c0000, 0x200000, 1),
	       "unsorted, and what is reserved splits RAM");
	n = e820_sanitise(raw, 3, 0x150000, out, 128, &left_out);
	tap_ok(n == 3 && is(n, 1, 0x100000, 0x150000, 1) && is(n, 2, 0x180000, 0x1c0000, 2),
	       "mem= cuts RAM only");
	raw[2] = (struct memory_region){ 0x200000, 0x300000, 1 };
	n = e820_sanitise(raw, 3, NO_LIMIT, out, 128, &left_out);
	tap_ok(n == 2 && is(n, 1, 0x100000, 0x300000, 1), "neighbours are joined");
	tap_ok(e820_sanitise(raw, 0, NO_LIMIT, out, 128, &left_out) == 0, "an empty map");
	raw[0] = (struct memory_region){ UINT64_MAX - 0xfff, UINT64_MAX, 1 };
	n = e820_sanitise(raw, 1, NO_LIMIT, out, 128, &left_out);
	tap_ok(n == 1 && is(n, 0, UINT64_MAX - 0xfff, UINT64_MAX, 1), "the end of the address space");
	tap_ok(e820_sanitise(raw, 3, NO_LIMIT, out, 1, &left_out) == 1 && left_out == 2,
	       "no more than there is room for, and how much that leaves out");
	end_of_the_direct_map();
	random_maps();
	return tap_end();
}
