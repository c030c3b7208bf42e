/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory for bring-up: the free ranges of RAM, from whose ends boot_alloc() takes. Highest addresses first,
 * so that memory below 4 GiB, which some devices need, is kept; but until the direct map is complete only
 * that part is reachable.
 */
#include "hw/bootmem.h"
#include "lib/log.h"

#define FOUR_GIB (1ull << 32)

struct memory_region memory_map[128];
unsigned memory_map_count;
uint64_t max_mfn;

static struct memory_region free_ranges[192];
static unsigned free_count;
static uint64_t limit = FOUR_GIB;

static void add_free(uint64_t start, uint64_t end)
{
	start = (start + PAGE_SIZE - 1) & PAGE_MASK;
	end &= PAGE_MASK;
	if (start >= end)
		return;
	if (free_count == ARRAY_SIZE(free_ranges)) {
		log_warn("memory %#llx-%#llx is not used: the memory map has too many pieces",
		         (unsigned long long)start, (unsigned long long)end);
		return;
	}
	free_ranges[free_count++] = (struct memory_region){ start, end, 1 };
}

/* Takes [start, end) out of the free ranges; end and start are page aligned outwards. */
static void take_out(uint64_t start, uint64_t end)
{
	unsigned n = free_count;

	start &= PAGE_MASK;
	end = (end + PAGE_SIZE - 1) & PAGE_MASK;
	for (unsigned i = 0; i < n; i++) {
		struct memory_region *r = &free_ranges[i];
		uint64_t r_end = r->end;

		if (r->end <= start || r->start >= end)
			continue;
		if (r->start < start) {
			r->end = start;
			if (r_end > end)
				add_free(end, r_end);
		} else {
			r->start = MIN(end, r_end);
		}
	}
}

void boot_alloc_init(const struct memory_region *busy, unsigned count)
{
	for (unsigned i = 0; i < memory_map_count; i++)
		if (memory_map[i].type == 1) {
			add_free(memory_map[i].start, memory_map[i].end);
			max_mfn = MAX(max_mfn, memory_map[i].end >> PAGE_SHIFT);
		}
	for (unsigned i = 0; i < count; i++)
		take_out(busy[i].start, busy[i].end);
}

void boot_alloc_unlimit(void)
{
	limit = ~0ull;
}

mfn_t boot_alloc(uint64_t pages, uint64_t align_pages)
{
	uint64_t bytes = pages << PAGE_SHIFT, align = align_pages << PAGE_SHIFT, best = 0;
	unsigned from = free_count;

	for (unsigned i = 0; i < free_count; i++) {
		uint64_t end = MIN(free_ranges[i].end, limit), at;

		if (end < bytes)
			continue;
		at = (end - bytes) & ~(align - 1);
		if (at >= free_ranges[i].start && at > best) {
			best = at;
			from = i;
		}
	}
	if (from == free_count)
		panic("no memory for bring-up: %llu contiguous pages are needed", (unsigned long long)pages);
	take_out(best, best + bytes);
	return maddr_to_mfn(MADDR(best));
}

bool boot_free_range(unsigned i, struct memory_region *range)
{
	if (i >= free_count)
		return false;
	*range = free_ranges[i];
	return true;
}
