/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLB flushes. One flush at a time: its requester holds flush_lock, with interrupts on, and so serves others' requests while
 * it waits for the lock or for the answers. A request is a bit per CPU in flush.pending.
 *
 * The clock grows with each full flush of any CPU. A CPU notes the value it grew to; a frame notes the clock's value when a
 * use of it ended: the CPU has flushed since if its note is larger. When the clock wraps it stays at 0, which tells everybody
 * to flush always, until a flush of all CPUs sets all notes back and starts it at 1 again.
 */
#include "hw/tlb.h"
#include "hw/cpu.h"
#include "hw/internal.h"
#include "hw/lock.h"
#include "hw/msr.h"
#include "hw/vectors.h"
#include "hw/smp.h"
#include "lib/log.h"

#define NO_PAGE 1ull /* not page aligned: a full flush */

static spinlock_t flush_lock = SPINLOCK(RANK_TLB);
static struct {
	cpumask_t pending;
	uint64_t page;
} flush;

static uint32_t clock = 1;
static uint32_t flushed_at[NR_CPUS]; /* written by the CPU itself */

uint32_t tlb_clock(void)
{
	return __atomic_load_n(&clock, __ATOMIC_SEQ_CST);
}

static void note_flush(unsigned cpu)
{
	uint32_t now = __atomic_load_n(&clock, __ATOMIC_SEQ_CST), next;

	do {
		if (!now) {
			next = 0;
			break;
		}
		next = now + 1;
	} while (!__atomic_compare_exchange_n(&clock, &now, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	__atomic_store_n(&flushed_at[cpu], next, __ATOMIC_SEQ_CST);
}

static bool needs_flush(unsigned cpu, uint32_t stamp)
{
	uint32_t now = __atomic_load_n(&clock, __ATOMIC_SEQ_CST);
	uint32_t at = __atomic_load_n(&flushed_at[cpu], __ATOMIC_SEQ_CST);

	/* A stamp ahead of the clock is from before it wrapped; everybody flushed then. */
	return !now || (at <= stamp && stamp <= now);
}

void tlb_filter(cpumask_t *mask, uint32_t stamp)
{
	unsigned cpu;

	for_each_cpu_in(cpu, mask)
		if (!needs_flush(cpu, stamp))
			mask->bits[cpu / BITS_PER_WORD] &= ~(1ull << (cpu % BITS_PER_WORD));
}

/* The note is made before the flush: a use that ends in between is not taken for flushed. */
void tlb_flush_local(void)
{
	uint64_t flags = irq_save(), cr4 = cr4_read();

	note_flush(this_cpu());
	if (cr4 & CR4_PGE) {
		cr4_write(cr4 & ~CR4_PGE);
		cr4_write(cr4);
	} else {
		uint64_t cr3 = cr3_read();

		__asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
	}
	irq_restore(flags);
}

void tlb_flush_page_local(gva_t va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va.v) : "memory");
}

void cr3_load(uint64_t cr3)
{
	/* With global pages on, translations that a guest marked global stay: no full flush. */
	if (!(cr4_read() & CR4_PGE)) {
		uint64_t flags = irq_save();

		note_flush(this_cpu());
		__asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
		irq_restore(flags);
		return;
	}
	__asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

static void do_flush(uint64_t page)
{
	if (page == NO_PAGE)
		tlb_flush_local();
	else
		tlb_flush_page_local(GVA(page));
}

/* On a CPU that was asked; also called while it waits with interrupts off. */
void tlb_flush_interrupt(void)
{
	unsigned cpu = this_cpu();

	if (!cpumask_test(&flush.pending, cpu))
		return;
	do_flush(READ_ONCE(flush.page));
	cpumask_clear(&flush.pending, cpu);
}

static void flush_cpus(const cpumask_t *mask, uint64_t page)
{
	cpumask_t others = cpumask_and(mask, &cpus_online);
	unsigned cpu, self = this_cpu();

	if (cpumask_test(&others, self))
		do_flush(page);
	cpumask_clear(&others, self);
	if (cpumask_empty(&others))
		return;
	CHECK(irq_enabled());
	spin_lock(&flush_lock);
	flush.page = page;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for_each_cpu_in(cpu, &others)
		cpumask_set(&flush.pending, cpu);
	for_each_cpu_in(cpu, &others)
		apic_send_ipi(cpu_ids[cpu].apic_id, VECTOR_FLUSH);
	while (!cpumask_empty(&flush.pending))
		cpu_relax();
	spin_unlock(&flush_lock);
}

/* After the wrap: once everybody flushed at clock 0, all notes are 0, and no stamp of before is believed. */
static void clock_restart(void)
{
	uint32_t zero = 0;

	flush_cpus(&cpus_online, NO_PAGE);
	__atomic_compare_exchange_n(&clock, &zero, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

void tlb_flush(const cpumask_t *mask)
{
	if (unlikely(!tlb_clock()))
		clock_restart();
	else
		flush_cpus(mask, NO_PAGE);
}

void tlb_flush_page(const cpumask_t *mask, gva_t va)
{
	flush_cpus(mask, va.v & PAGE_MASK);
}
