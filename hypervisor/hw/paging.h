/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypervisor's own page tables (L4 slots of hw/layout.h), and memory for bring-up before there is a heap.
 *
 * Everything here but hv_entry() and text_write() is for bring-up on the boot CPU. The tables of slots 256 .. 271 are
 * complete, at the level that the L4 names, before the first guest's L4 is made: a guest's L4 copies the
 * entries of these slots.
 */
#ifndef HW_PAGING_H
#define HW_PAGING_H

#include "lib/types.h"

#define HV_PTE_P   (1ull << 0)
#define HV_PTE_RW  (1ull << 1)
#define HV_PTE_US  (1ull << 2)
#define HV_PTE_UC  (1ull << 3 | 1ull << 4) /* PWT and PCD: PAT entry 3 */
#define HV_PTE_PSE (1ull << 7)
#define HV_PTE_G   (1ull << 8)
#define HV_PTE_NX  (1ull << 63)

/* The root; pt_idle_l4() of mm/ names it too. */
mfn_t hv_l4_mfn(void);
/*
 * Maps pages frames from mfn on at va, with the largest pages that fit, under L4 slots that are the
 * hypervisor's. flags: HV_PTE_* without PSE; NX is dropped where the CPU lacks it. Tables come from
 * boot_alloc(). Nothing may be mapped there.
 */
void hv_map(uintptr_t va, mfn_t mfn, uint64_t pages, uint64_t flags);

/* The entry of this level for va; the tables above are there. */
uint64_t *hv_entry(uintptr_t va, unsigned level);

/* The window of devices: L1 tables for small mappings, then 2 MiB pages; all its tables are made by paging_init(). */
#define DEVICE_SMALL (64ull << 20)
#define DEVICE_END   (2ull << 30)

/* An L3 table for slot 261 that maps only what entry code of this CPU touches (xpti): text, IDT, its own
 * stack, TSS, GDT. */
mfn_t hv_reduced_l3(unsigned cpu);

/* Writes over the hypervisor's own text, at any time; who may run there meanwhile is the caller's concern. */
void text_write(void *at, const uint8_t *bytes, unsigned n);

void paging_init(void); /* final tables of the image and of all memory; loads them */
void cpu_area_init(unsigned cpu);
mfn_t cpu_area_gdt_mfn(unsigned cpu);

mfn_t mfn_of(const void *direct_map_va);

#endif
