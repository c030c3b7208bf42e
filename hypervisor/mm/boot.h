/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bring-up of the memory management. */
#ifndef MM_BOOT_H
#define MM_BOOT_H

#include "lib/types.h"

mfn_t pt_idle_l4(void); /* the hypervisor's own tables */

/* Boot: builds the frame table and the M2P, and gives what hw's boot_alloc() left of RAM to the heap. What
 * was taken before (the image, modules, hw's tables) stays unowned. */
void mm_init(void);

/* The M2P as guests may see it, in extents of 2 MiB: first frame of each, INVALID_MFN where it has a hole. */
unsigned m2p_extent_count(void);
mfn_t m2p_extent(unsigned i);

#endif
