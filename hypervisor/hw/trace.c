/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The recorder of traces.
 *
 * 1. A buffer is struct t_buf, then data_bytes of records; its frames are named in struct t_info. prod and cons run from
 *    0 to twice data_bytes, so that a full buffer is not taken for an empty one. A record does not go round the end: what
 *    is left there becomes a record of its own that says nothing.
 * 2. Each CPU writes its own buffer alone, with interrupts off; prod moves on when the record is complete.
 * 3. What finds no room is counted. The next record that fits comes behind one that tells how many were lost.
 * 4. Half full: WORK_TRACE, which has the reader notified later, since records are written under any lock.
 *
 * dom0 may write all of the buffer at any time. What lies in it is never read here but cons, once for each record and
 * checked; where to write is this file's own. A cons that cannot be ends all tracing, as on Xen.
 */
#include "hw/trace.h"
#include "hw/cpu.h"
#include "hw/mem.h"
#include "hw/smp.h"
#include "hw/tlb.h"
#include "hw/upward.h"
#include "lib/log.h"

#define TIMED_WORDS 2
#define LOST_WORDS  4 /* how many, whose vcpu ran, time of the first */

struct trace_control trace_control = { .events = TRC_ALL, .cpus = { { ~0ull, ~0ull } } };
_Static_assert(BITMAP_WORDS(NR_CPUS) == 2, "all CPUs at first");

/* Of each CPU; its own. */
static struct {
	uint32_t prod;
	bool busy;     /* writing a record */
	uint32_t lost; /* since the last record; atomic */
	uint64_t lost_tsc;
} __aligned_to(64) writers[NR_CPUS];

/* ---- places in a buffer: 0 <= at < 2 * data_bytes ---- */

static uint32_t move_on(uint32_t at, uint32_t bytes)
{
	at += bytes;
	return at < 2 * trace_control.data_bytes ? at : at - 2 * trace_control.data_bytes;
}

static uint32_t offset_of(uint32_t at)
{
	return at < trace_control.data_bytes ? at : at - trace_control.data_bytes;
}

static uint32_t left_to_end(uint32_t at)
{
	return trace_control.data_bytes - offset_of(at);
}

static uint32_t record_bytes(bool timed, unsigned n)
{
	return (1 + (timed ? TIMED_WORDS : 0) + n) * (uint32_t)sizeof(uint32_t);
}

/* What a record takes up at that place, with the end of the buffer if it does not fit in there. */
static uint32_t bytes_taken(uint32_t at, uint32_t bytes)
{
	return bytes <= left_to_end(at) ? bytes : left_to_end(at) + bytes;
}

static void *buffer_page(unsigned n)
{
	const struct t_info *info = trace_control.info;

	return mfn_map_own(MFN(((const uint32_t *)info)[info->mfn_offset[this_cpu()] + n]));
}

static void put_word(uint32_t *at, uint32_t word)
{
	uint32_t x = (uint32_t)sizeof(struct t_buf) + offset_of(*at);
	uint32_t *page = buffer_page(x >> PAGE_SHIFT);

	WRITE_ONCE(page[x % PAGE_SIZE / sizeof(*page)], word);
	*at = move_on(*at, sizeof(word));
}

/* ---- records ---- */

static void put_plain(uint32_t *at, uint32_t event, bool timed, const uint32_t *words, unsigned n)
{
	uint64_t tsc = timed ? rdtsc() : 0;

	put_word(at, event | n << TRACE_EXTRA_SHIFT | (timed ? (uint32_t)TRC_HD_CYCLE_FLAG : 0));
	if (timed) {
		put_word(at, (uint32_t)tsc);
		put_word(at, (uint32_t)(tsc >> 32));
	}
	for (unsigned i = 0; i < n; i++)
		put_word(at, words ? words[i] : 0);
}

/* Fills the rest of the buffer, which is less than a record. */
static void put_filler(uint32_t *at)
{
	unsigned n = left_to_end(*at) / sizeof(uint32_t) - 1;
	bool timed = n > TRACE_EXTRA_MAX;

	put_plain(at, TRC_TRACE_WRAP_BUFFER, timed, NULL, timed ? n - TIMED_WORDS : n);
}

static void put_record(uint32_t *at, uint32_t event, bool timed, const uint32_t *words, unsigned n)
{
	if (record_bytes(timed, n) > left_to_end(*at))
		put_filler(at);
	put_plain(at, event, timed, words, n);
}

static void put_lost(uint32_t *at, unsigned cpu)
{
	uint32_t lost = __atomic_exchange_n(&writers[cpu].lost, 0, __ATOMIC_RELAXED);
	uint64_t tsc = writers[cpu].lost_tsc;
	const uint32_t words[LOST_WORDS] = { lost, trace_who(), (uint32_t)tsc, (uint32_t)(tsc >> 32) };

	put_record(at, TRC_LOST_RECORDS, true, words, LOST_WORDS);
}

static void count_lost(unsigned cpu)
{
	if (__atomic_fetch_add(&writers[cpu].lost, 1, __ATOMIC_RELAXED) == 0)
		writers[cpu].lost_tsc = rdtsc();
}

/* How much the reader has not consumed yet; false: it cannot have consumed that much, or so little. */
static bool bytes_used(uint32_t prod, uint32_t cons, uint32_t *used)
{
	if (cons % sizeof(uint32_t) || cons >= 2 * trace_control.data_bytes)
		return false;
	*used = prod >= cons ? prod - cons : prod + 2 * trace_control.data_bytes - cons;
	return *used <= trace_control.data_bytes;
}

/* Interrupts off. Whether the buffer has become half full. */
static bool write_record(unsigned cpu, uint32_t event, bool timed, const uint32_t *words, unsigned n)
{
	struct t_buf *buffer = buffer_page(0);
	uint32_t at = writers[cpu].prod, cons = __atomic_load_n(&buffer->cons, __ATOMIC_ACQUIRE), used,
	         taken = 0;
	bool lost = READ_ONCE(writers[cpu].lost);

	if (unlikely(!bytes_used(at, cons, &used))) {
		trace_control.on = false;
		fastpath_allow(true);
		log_warn("CPU %u: the trace buffer's reader is at %#x, the writer at %#x: tracing ends", cpu,
		         cons, at);
		return false;
	}
	if (unlikely(lost))
		taken = bytes_taken(at, record_bytes(true, LOST_WORDS));
	taken += bytes_taken(move_on(at, taken), record_bytes(timed, n));
	if (taken > trace_control.data_bytes - used) {
		count_lost(cpu);
		return false;
	}
	if (unlikely(lost))
		put_lost(&at, cpu);
	put_record(&at, event, timed, words, n);
	writers[cpu].prod = at;
	__atomic_store_n(&buffer->prod, at, __ATOMIC_RELEASE);
	return used < trace_control.data_bytes / 2 && used + taken >= trace_control.data_bytes / 2;
}

/* An event has one bit of its class in [27:16] and one of its subclass in [15:12] at least: both must be wanted. */
static bool wanted(uint32_t event)
{
	uint32_t both = event & READ_ONCE(trace_control.events);

	return both & 0x0fff0000 && both & 0xf000 && cpumask_test(&trace_control.cpus, this_cpu());
}

void trace_record(uint32_t event, bool timed, const uint32_t *words, unsigned n)
{
	unsigned cpu = this_cpu();
	uint64_t flags;

	assert(n <= TRACE_EXTRA_MAX);
	if (!wanted(event))
		return;
	flags = irq_save();
	/* Asked again: trace_stop() interrupts each CPU once it has cleared it. */
	if (!READ_ONCE(trace_control.on)) {
		;
	} else if (READ_ONCE(writers[cpu].busy)) {
		count_lost(cpu);
	} else {
		WRITE_ONCE(writers[cpu].busy, true);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		if (write_record(cpu, event, timed, words, n))
			work_raise(cpu, WORK_TRACE);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		WRITE_ONCE(writers[cpu].busy, false);
	}
	irq_restore(flags);
}

/* ---- control ---- */

void trace_set_buffers(const struct t_info *info, unsigned pages)
{
	trace_control.info = info;
	trace_control.data_bytes = (uint32_t)(pages * PAGE_SIZE - sizeof(struct t_buf));
}

void trace_start(void)
{
	CHECK(trace_control.info);
	fastpath_allow(false); /* it records nothing */
	__atomic_store_n(&trace_control.on, true, __ATOMIC_RELEASE);
	trace_places_set(true);
}

static void forget_lost(void *unused)
{
	(void)unused;
	WRITE_ONCE(writers[this_cpu()].lost, 0);
}

void trace_stop(void)
{
	__atomic_store_n(&trace_control.on, false, __ATOMIC_SEQ_CST);
	trace_places_set(false);
	fastpath_allow(true);
	cpu_call(&cpus_online, forget_lost, NULL);
}
