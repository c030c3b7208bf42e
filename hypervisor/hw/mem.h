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
mfn_t mfn_of(const void *direct_map_va);
/* Uncached mapping of device registers, or of what firmware left; one more reference where it is there. NULL when the window is
 * full. */
void *device_map(maddr_t base, size_t size);
/* Drops a reference of device_map()'s, by any address in it; the last one unmaps it. Interrupts on, once there are other CPUs. */
void device_unmap(const volatile void *va);
/*
 * The same for what comes and goes often: the page of registers that base is in, in place of what the page with this number
 * mapped before. The caller owns the number. Interrupts on.
 */
#define DEVICE_PAGES 512 /* numbers: 0 .. 511 */
void *device_map_page(unsigned number, maddr_t base);
void device_unmap_page(unsigned number);

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
