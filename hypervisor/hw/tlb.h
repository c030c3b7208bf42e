/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Translation look-aside buffers. A clock counts full flushes of any CPU; a frame that notes the clock when
 * its last writable or table use ended needs no flush on a CPU that has flushed since.
 */
#ifndef HW_TLB_H
#define HW_TLB_H

#include "lib/bits.h"
#include "hw/cpu.h"

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
/* This CPU's data caches: written back and emptied. For cpu_call(); arg is not used. */
void cache_write_back(void *arg);
/* Whether plain cases of SYSCALL and iret may go past C (pv/fastpath.S), where nothing of them is recorded. */
void fastpath_allow(bool allowed);
/* Loads CR3, which flushes all translations of guests on this CPU. */
#if __STDC_HOSTED__ /* host tests: the fake hardware layer supplies it */
void cr3_load(uint64_t cr3);
#else
/* tlb.c's own. */
extern struct tlb_clock {
	uint32_t now;
	bool noted;
	bool fastpath_off; /* behind noted: pv/fastpath.S looks at both at once */
} tlb_time;
extern struct tlb_note {
	uint32_t at; /* written by the CPU itself */
} __aligned_to(64) tlb_flushed[NR_CPUS];
void tlb_clock_advance(void);

static inline void cr3_load(uint64_t cr3)
{
	/* The note comes before the flush: a use that ends in between is not taken for flushed. */
	if (READ_ONCE(tlb_time.noted))
		tlb_clock_advance();
	WRITE_ONCE(tlb_flushed[this_cpu()].at, READ_ONCE(tlb_time.now));
	__asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}
#endif

void tlb_flush_interrupt(void);

#endif
