/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translation look-aside buffers. A clock counts full flushes of any CPU; a frame that notes the clock when
 * its last writable or table use ended needs no flush on a CPU that has flushed since.
 */
#ifndef HW_TLB_H
#define HW_TLB_H

#include "lib/bits.h"

/* The clock's present value, noted as in use. 0 means that it wrapped: everybody has to flush. */
uint32_t tlb_clock(void);
/* Drops the CPUs from the mask that flushed everything after stamp was noted. */
void tlb_filter(cpumask_t *mask, uint32_t stamp);
/* Flushes all translations (global ones too) on the CPUs of the mask, and waits. Interrupts on. */
void tlb_flush(const cpumask_t *mask);
/* Flushes the translation of one page on these CPUs, and waits. */
void tlb_flush_page(const cpumask_t *mask, gva_t va);
void tlb_flush_local(void);
void tlb_flush_page_local(gva_t va);
/* Loads CR3, which flushes all translations of guests on this CPU. Interrupts off. */
void cr3_load(uint64_t cr3);

#endif
