/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Boot of memory management: frame table, machine-to-physical table, heap.
 *
 *  1. the frame table is mapped with 2 MiB pages; where a whole page of it describes no RAM, one page of zeroes
 *     is mapped read-only: such frames are no RAM. What lies below 1 MiB is the firmware's and the trampoline's,
 *     and counts as I/O;
 *  2. likewise the M2P, once writable for us and once read-only for guests, only where there is RAM;
 *  3. what is left of RAM goes to the heap.
 */
#include "mm/boot.h"
#include "hw/bootmem.h"
#include "mm/heap.h"
#include "mm/internal.h"
#include "hw/paging.h"

#define BIG_FRAMES 512ull /* frames of a 2 MiB page */
#define BIG_SIZE   (BIG_FRAMES * PAGE_SIZE)
#define LOW_FRAMES 256 /* below 1 MiB */

mfn_t pt_idle_l4(void)
{
	return hv_l4_mfn();
}

/* The i-th part of RAM between two frames; false where the i-th entry of the memory map has none. */
static bool ram_part(unsigned i, uint64_t *first, uint64_t *end)
{
	uint64_t a = ROUND_UP(memory_map[i].start, PAGE_SIZE) >> PAGE_SHIFT;
	uint64_t b = memory_map[i].end >> PAGE_SHIFT;

	*first = MAX(MAX(a, *first), (uint64_t)LOW_FRAMES);
	*end = MIN(MIN(b, *end), max_mfn);
	return memory_map[i].type == 1 && *first < *end;
}

static bool has_ram(uint64_t first, uint64_t end)
{
	for (unsigned i = 0; i < memory_map_count; i++) {
		uint64_t a = first, b = end;

		if (ram_part(i, &a, &b))
			return true;
	}
	return false;
}

static mfn_t big_page(int fill)
{
	mfn_t mfn = boot_alloc(BIG_FRAMES, BIG_FRAMES);

	for (uint64_t i = 0; i < BIG_FRAMES; i++)
		memset(mfn_map_own(mfn_add(mfn, i)), fill, PAGE_SIZE);
	return mfn;
}

static void build_frame_table(void)
{
	const uint64_t per_page = BIG_SIZE / sizeof(struct frame);
	mfn_t hole = INVALID_MFN;

	for (uint64_t mfn = 0; mfn < max_mfn; mfn += per_page) {
		uintptr_t va = FRAMETABLE_BASE + mfn * sizeof(struct frame);

		if (has_ram(mfn, mfn + per_page)) {
			hv_map(va, big_page(0), BIG_FRAMES, HV_PTE_P | HV_PTE_RW | HV_PTE_NX);
			continue;
		}
		if (mfn_eq(hole, INVALID_MFN))
			hole = big_page(0);
		hv_map(va, hole, BIG_FRAMES, HV_PTE_P | HV_PTE_NX);
	}
	frame_table = (struct frame *)FRAMETABLE_BASE;
	for (unsigned i = 0; i < memory_map_count; i++) {
		uint64_t mfn = 0, end = max_mfn;

		for (bool any = ram_part(i, &mfn, &end); any && mfn < end; mfn++) {
			frame_table[mfn].flags = FRAME_RAM;
			list_init(&frame_table[mfn].link);
		}
	}
}

static void build_m2p(void)
{
	const uint64_t per_page = BIG_SIZE / sizeof(uint64_t);

	for (uint64_t mfn = 0; mfn < max_mfn; mfn += per_page) {
		mfn_t page;

		if (!has_ram(mfn, mfn + per_page))
			continue;
		page = big_page(0xff);
		frames_share_with_dom0(page, BIG_FRAMES, false);
		hv_map(M2P_RW_BASE + mfn * sizeof(uint64_t), page, BIG_FRAMES,
		       HV_PTE_P | HV_PTE_RW | HV_PTE_NX);
		hv_map(M2P_RO_BASE + mfn * sizeof(uint64_t), page, BIG_FRAMES,
		       HV_PTE_P | HV_PTE_US | HV_PTE_NX);
	}
	m2p_table = (uint64_t *)M2P_RW_BASE;
}

unsigned m2p_extent_count(void)
{
	return (unsigned)((max_mfn * sizeof(uint64_t) + BIG_SIZE - 1) / BIG_SIZE);
}

mfn_t m2p_extent(unsigned i)
{
	struct pt_walk w;

	pt_walk(pt_idle_l4(), GVA(M2P_RO_BASE + i * BIG_SIZE), &w);
	return w.level == 2 ? PTE_MFN(w.e[1] & ~(BIG_SIZE - 1)) : INVALID_MFN;
}

#define FRAMES_MAX (DIRECTMAP_SIZE / PAGE_SIZE)
_Static_assert(DIRECTMAP_BASE + DIRECTMAP_SIZE == HV_VIRT_END, "the direct map is the last");
_Static_assert(FRAMES_MAX * sizeof(struct frame) <= DIRECTMAP_BASE - FRAMETABLE_BASE,
               "room for the frame table");
_Static_assert(FRAMES_MAX * sizeof(uint64_t) <= FRAMETABLE_BASE - M2P_RW_BASE, "room for the M2P");
_Static_assert(FRAMES_MAX * sizeof(uint64_t) <= PERDOMAIN_BASE - M2P_RO_BASE, "room for the M2P of guests");

void mm_init(void)
{
	_Static_assert(sizeof(struct frame) == 64, "2 MiB of the frame table describe whole frames");
	struct memory_region r;

	CHECK(max_mfn <= FRAMES_MAX); /* boot/ cut what lies above */
	build_frame_table();
	build_m2p();
	for (unsigned i = 0; boot_free_range(i, &r); i++) {
		uint64_t first = MAX(ROUND_UP(r.start, PAGE_SIZE) >> PAGE_SHIFT, (uint64_t)LOW_FRAMES);
		uint64_t end = MIN(r.end >> PAGE_SHIFT, max_mfn);

		if (first < end)
			heap_add(MFN(first), end - first);
	}
	log_info("memory: %lu MiB free, machine addresses up to %lu MiB",
	         (unsigned long)(heap_free_pages() >> 8), (unsigned long)(max_mfn >> 8));
}
