/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLB flushes. One flush at a time: its requester holds flush_lock, with interrupts on, and so serves others'
 * requests while it waits for the lock or for the answers. A request is a bit per CPU in flush.pending.
 *
 * The clock tells uses that ended before a CPU's last flush from later ones. Who ends a use notes the clock's
 * value and that it was noted (tlb_clock()); the next flush of any CPU sees that, and moves the clock on;
 * each CPU notes the value at its flush. It has flushed since a use ended if its note is larger. Races only
 * make notes look older than they are. When the clock wraps it stays at 0, which tells everybody to flush
 * always.
 *
 * Only the hypervisor's own mappings are global, and those never change: a load of CR3 flushes all that
 * matters.
 */
#include "hw/tlb.h"
#include "hw/apic.h"
#include "hw/cpu.h"
#include "hw/lock.h"
#include "hw/vectors.h"
#include "hw/smp.h"
#include "lib/log.h"

#define NO_PAGE 1ull /* not page aligned: a full flush */

static spinlock_t flush_lock = SPINLOCK(RANK_TLB);
static struct {
	cpumask_t pending;
	uint64_t page;
} flush;

struct tlb_clock tlb_time = { .now = 1 };
struct tlb_note tlb_flushed[NR_CPUS];

uint32_t tlb_clock(void)
{
	if (!READ_ONCE(tlb_time.noted))
		__atomic_store_n(&tlb_time.noted, true, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&tlb_time.now, __ATOMIC_SEQ_CST);
}

void tlb_clock_advance(void)
{
	uint32_t now = __atomic_load_n(&tlb_time.now, __ATOMIC_SEQ_CST);

	__atomic_store_n(&tlb_time.noted, false, __ATOMIC_SEQ_CST);
	while (now && !__atomic_compare_exchange_n(&tlb_time.now, &now, now + 1, false, __ATOMIC_SEQ_CST,
	                                           __ATOMIC_SEQ_CST))
		;
}

static bool needs_flush(unsigned cpu, uint32_t stamp)
{
	uint32_t now = __atomic_load_n(&tlb_time.now, __ATOMIC_SEQ_CST);
	uint32_t at = READ_ONCE(tlb_flushed[cpu].at);

	/* A stamp ahead of the clock is from before it wrapped, and everybody flushed then; one of 0 from when it
	 * stood still, for which nobody knows. */
	return !now || !stamp || (at <= stamp && stamp <= now);
}

void tlb_filter(cpumask_t *mask, uint32_t stamp)
{
	unsigned cpu;

	for_each_cpu_in(cpu, mask)
		if (!needs_flush(cpu, stamp))
			mask->bits[cpu / BITS_PER_WORD] &= ~(1ull << (cpu % BITS_PER_WORD));
}

void fastpath_allow(bool allowed)
{
	WRITE_ONCE(tlb_time.fastpath_off, !allowed);
}

void cache_write_back(void *arg)
{
	(void)arg;
	__builtin_ia32_wbinvd();
}

void tlb_flush_local(void)
{
	uint64_t flags = irq_save();

	cr3_load(cr3_read());
	irq_restore(flags);
}

void tlb_flush_page_local(gva_t va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va.v) : "memory");
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

/* While it waits: with interrupts on, others' requests come by themselves; a caller that broke the rule
 * answers by hand. */
static void serve(void)
{
	if (unlikely(!irq_enabled()))
		tlb_flush_interrupt();
	cpu_relax();
}

static void take_flush_lock(void)
{
	if (likely(irq_enabled())) {
		spin_lock(&flush_lock);
		return;
	}
	while (!spin_trylock(&flush_lock))
		serve();
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
	assert(irq_enabled());
	take_flush_lock();
	flush.page = page;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for_each_cpu_in(cpu, &others)
		cpumask_set(&flush.pending, cpu);
	for_each_cpu_in(cpu, &others)
		apic_send_ipi(cpu_ids[cpu].apic_id, VECTOR_FLUSH);
	while (!cpumask_empty(&flush.pending))
		serve();
	spin_unlock(&flush_lock);
}

/* After the wrap: once everybody flushed at clock 0, all notes are 0, and no earlier stamp is trusted. */
static void clock_restart(void)
{
	uint32_t zero = 0;

	flush_cpus(&cpus_online, NO_PAGE);
	__atomic_compare_exchange_n(&tlb_time.now, &zero, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

void tlb_flush(const cpumask_t *mask)
{
	if (unlikely(!READ_ONCE(tlb_time.now)))
		clock_restart();
	else
		flush_cpus(mask, NO_PAGE);
}

void tlb_flush_page(const cpumask_t *mask, gva_t va)
{
	flush_cpus(mask, va.v & PAGE_MASK);
}
