/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot of memory management: frame table, machine-to-physical table, heap.
 *
 *  1. what is RAM and not reserved becomes a list of free ranges of frames, from 1 MiB up (what lies below is
 *     the firmware's and the trampoline's, and counts as I/O);
 *  2. the frame table is mapped with 2 MiB pages, taken from the highest free range; where a whole page of it
 *     describes no RAM, one page of zeroes is mapped read-only: such frames are no RAM;
 *  3. likewise the M2P, once writable for us and once read-only for guests, only where there is RAM;
 *  4. the rest goes to the heap.
 * hw's boot code has mapped all RAM in the direct map, and the page tables in use are the idle ones.
 */
#include "mm/internal.h"

#define BIG_FRAMES   512ull /* frames of a 2 MiB page */
#define BIG_SIZE     (BIG_FRAMES * PAGE_SIZE)
#define LOW_RESERVED 256 /* frames below 1 MiB */
#define RANGES_MAX   256

#define MAP_RW	      (PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX)
#define MAP_RO	      (PTE_P | PTE_A | PTE_NX)
#define MAP_GUEST_RO  (PTE_P | PTE_US | PTE_A | PTE_NX)
#define LINK_HV	      (PTE_P | PTE_RW | PTE_A | PTE_D)
#define LINK_GUEST    (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)

struct free_range {
	uint64_t first, end; /* frames */
};

static struct free_range ranges[RANGES_MAX];
static unsigned range_count;
static mfn_t idle_l4 = { ~0ull };

mfn_t pt_idle_l4(void)
{
	if (mfn_eq(idle_l4, INVALID_MFN))
		idle_l4 = maddr_to_mfn(MADDR(cr3_read() & PTE_ADDR));
	return idle_l4;
}

static void range_append(uint64_t first, uint64_t end)
{
	if (first >= end)
		return;
	if (range_count == RANGES_MAX)
		panic("memory map is too fragmented");
	ranges[range_count++] = (struct free_range){ first, end };
}

/* Cuts [first, end) out of all ranges. */
static void range_cut(uint64_t first, uint64_t end)
{
	for (unsigned i = 0; i < range_count; i++) {
		struct free_range r = ranges[i];

		if (end <= r.first || first >= r.end)
			continue;
		ranges[i].end = MAX(r.first, MIN(first, r.end));
		range_append(end, r.end);
	}
}

/* Takes count aligned frames from the end of the highest range that has them. */
static mfn_t boot_alloc(uint64_t count)
{
	struct free_range *best = NULL;
	uint64_t at = 0;

	for (unsigned i = 0; i < range_count; i++) {
		struct free_range *r = &ranges[i];
		uint64_t first;

		if (r->end - r->first < count)
			continue;
		first = (r->end - count) & ~(count - 1);
		if (first < r->first || (best && first < at))
			continue;
		best = r;
		at = first;
	}
	if (!best)
		panic("not enough memory to start");
	range_cut(at, at + count);
	return MFN(at);
}

/* Maps one 2 MiB page into the idle tables. link: flags of tables that are missing on the way. */
static void map_big(uintptr_t va, mfn_t mfn, uint64_t flags, uint64_t link)
{
	uint64_t *table = mfn_map(pt_idle_l4());

	for (unsigned level = 4; level > 2; level--) {
		uint64_t *pe = &table[va >> (PAGE_SHIFT + 9 * (level - 1)) & (TABLE_ENTRIES - 1)];

		if (!(*pe & PTE_P)) {
			mfn_t next = boot_alloc(1);

			memset(mfn_map(next), 0, PAGE_SIZE);
			*pe = next.m << PAGE_SHIFT | link;
		}
		*pe |= link & PTE_US;
		table = mfn_map(PTE_MFN(*pe));
	}
	table[va >> (PAGE_SHIFT + 9) & (TABLE_ENTRIES - 1)] = mfn.m << PAGE_SHIFT | flags | PTE_PSE;
}

static mfn_t alloc_big(int fill)
{
	mfn_t mfn = boot_alloc(BIG_FRAMES);

	for (uint64_t i = 0; i < BIG_FRAMES; i++)
		memset(mfn_map(mfn_add(mfn, i)), fill, PAGE_SIZE);
	return mfn;
}

/* RAM of the memory map between two frames, clamped: calls fn for each part. */
static void for_each_ram(uint64_t first, uint64_t end, void (*fn)(uint64_t first, uint64_t end))
{
	for (unsigned i = 0; i < memory_map_count; i++) {
		uint64_t a = ROUND_UP(memory_map[i].start, PAGE_SIZE) >> PAGE_SHIFT;
		uint64_t b = memory_map[i].end >> PAGE_SHIFT;

		a = MAX(MAX(a, first), (uint64_t)LOW_RESERVED);
		b = MIN(MIN(b, end), max_mfn);
		if (memory_map[i].type == 1 && a < b)
			fn(a, b);
	}
}

static bool ram_seen;

static void note_ram(uint64_t first, uint64_t end)
{
	(void)first;
	(void)end;
	ram_seen = true;
}

static bool has_ram(uint64_t first, uint64_t end)
{
	ram_seen = false;
	for_each_ram(first, end, note_ram);
	return ram_seen;
}

static void mark_ram(uint64_t first, uint64_t end)
{
	for (uint64_t mfn = first; mfn < end; mfn++) {
		frame_table[mfn].flags = FRAME_RAM;
		list_init(&frame_table[mfn].link);
	}
}

static void build_frame_table(void)
{
	const uint64_t per_page = BIG_SIZE / sizeof(struct frame);
	mfn_t hole = INVALID_MFN;

	for (uint64_t mfn = 0; mfn < max_mfn; mfn += per_page) {
		uintptr_t va = FRAMETABLE_BASE + mfn * sizeof(struct frame);

		if (has_ram(mfn, mfn + per_page)) {
			map_big(va, alloc_big(0), MAP_RW, LINK_HV);
			continue;
		}
		if (mfn_eq(hole, INVALID_MFN))
			hole = alloc_big(0);
		map_big(va, hole, MAP_RO, LINK_HV);
	}
	frame_table = (struct frame *)FRAMETABLE_BASE;
	for_each_ram(0, max_mfn, mark_ram);
}

static void build_m2p(void)
{
	const uint64_t per_page = BIG_SIZE / sizeof(uint64_t);

	for (uint64_t mfn = 0; mfn < max_mfn; mfn += per_page) {
		mfn_t page;

		if (!has_ram(mfn, mfn + per_page))
			continue;
		page = alloc_big(0xff);
		map_big(M2P_RW_BASE + mfn * sizeof(uint64_t), page, MAP_RW, LINK_HV);
		map_big(M2P_RO_BASE + mfn * sizeof(uint64_t), page, MAP_GUEST_RO, LINK_GUEST);
	}
	m2p_table = (uint64_t *)M2P_RW_BASE;
}

void mm_init(const struct memory_region *reserved, unsigned count)
{
	_Static_assert(sizeof(struct frame) == 64, "2 MiB of the frame table describe whole frames");
	uint64_t free_frames = 0;

	for_each_ram(0, max_mfn, range_append);
	for (unsigned i = 0; i < count; i++)
		range_cut(reserved[i].start >> PAGE_SHIFT, ROUND_UP(reserved[i].end, PAGE_SIZE) >> PAGE_SHIFT);
	build_frame_table();
	build_m2p();
	for (unsigned i = 0; i < range_count; i++) {
		if (ranges[i].first >= ranges[i].end)
			continue;
		free_frames += ranges[i].end - ranges[i].first;
		heap_add(MFN(ranges[i].first), ranges[i].end - ranges[i].first);
	}
	range_count = 0;
	log_info("memory: %lu MiB free of %lu MiB addressable", (unsigned long)(free_frames >> 8), (unsigned long)(max_mfn >> 8));
}
