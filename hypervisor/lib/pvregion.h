/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Private to the PV builder: a run of virtual addresses that is mapped to a run of pfns, and the page tables
 * that this takes.
 */
#ifndef XYLEM_PVREGION_H
#define XYLEM_PVREGION_H

#include <stdbool.h>
#include <stdint.h>

/* Tables of one level: number first .. first + count - 1, counted from address 0 of the 48-bit address space. */
struct pv_level {
	uint64_t first;
	uint64_t count;
	uint64_t pfn; /* of the first; the others follow */
};

struct pv_region {
	uint64_t page; /* 48-bit virtual address / 4096 */
	uint64_t pages;
	uint64_t pfn;
	struct pv_level level[4]; /* [1] L1 .. [3] L3; [0] unused */
};

/*
 * Describes [va, va + pages * 4096) -> pfn; false when that is not canonical, wraps, or meets the
 * hypervisor's range. Tables lie one after the other from tables_pfn on: all L3, then L2, then L1.
 */
bool pv_region_make(struct pv_region *region, uint64_t va, uint64_t pages, uint64_t pfn, uint64_t tables_pfn);

#endif
