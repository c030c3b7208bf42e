/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Machine memory through the direct map, and device registers. */
#ifndef HW_MEM_H
#define HW_MEM_H

#include "lib/types.h"
#include "hw/layout.h"

/*
 * The hypervisor's view of a frame of RAM: 4096 bytes, always mapped. mfn_map() is for reading; mfn_map_own() for writing
 * to a frame that no guest can write: the hypervisor's, or a page table, by mm. All other memory of guests is written
 * through frame_map_to_write() (mm/frame.h) or the guest's own tables (hw/uaccess.h). In a host build a fake memory's.
 */
#if __STDC_HOSTED__
void *mfn_map_own(mfn_t mfn);
#else
static inline void *mfn_map_own(mfn_t mfn)
{
	return (void *)(DIRECTMAP_BASE + (mfn.m << PAGE_SHIFT));
}
#endif
static inline const void *mfn_map(mfn_t mfn)
{
	return mfn_map_own(mfn);
}

/* First frame number behind the last frame of RAM. */
extern uint64_t max_mfn;

/* The boot memory map (machine addresses; types as E820: 1 RAM, 2 reserved, 3 ACPI, 4 NVS, 5 bad). */
struct memory_region {
	uint64_t start, end; /* [start, end) in bytes */
	uint32_t type;
};
/* As firmware reported it, sanitised: sorted, without overlaps. */
extern struct memory_region memory_map[128];
extern unsigned memory_map_count;

/* Registers that the hypervisor drives itself: APICs. Nobody else may map them. Machine addresses, type 2. */
extern struct memory_region machine_own[24];
extern unsigned machine_own_count;

#endif
