/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mappings of device registers, and of what firmware left in memory, in a window of the hypervisor's address space. */
#ifndef HW_DEVICE_MAP_H
#define HW_DEVICE_MAP_H

#include "lib/types.h"

/* In bring-up, when the tables of the window are there. */
void device_window_open(void);

/* An uncached mapping; one more reference where it is there. NULL when the window is full. */
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

#endif
