/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory before there is a heap. */
#ifndef HW_BOOTMEM_H
#define HW_BOOTMEM_H

#include "hw/mem.h"
#include "lib/types.h"

void boot_alloc_init(const struct memory_region *busy, unsigned count);
void boot_alloc_unlimit(void); /* the direct map is complete: memory above 4 GiB too */

/* Frames that are never given back, not cleared; align_pages is a power of two. Panics when there are none. Until the heap
 * takes over. */
mfn_t boot_alloc(uint64_t pages, uint64_t align_pages);
/*
 * What is left of RAM besides the image, the modules and what boot_alloc() gave away: the i-th free range,
 * false behind the last one. mm_init() gives these to the heap, after its own calls of boot_alloc().
 */
bool boot_free_range(unsigned i, struct memory_region *range);

#endif
