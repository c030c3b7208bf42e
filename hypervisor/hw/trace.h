/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace records: what happened, when, on which CPU, in a buffer for each CPU that dom0 reads (xen/trace.h; xentrace).
 * Who has something to record asks trace_on() first, which is one read of a byte that hardly ever changes.
 */
#ifndef HW_TRACE_H
#define HW_TRACE_H

#include "lib/bits.h"
#include <xen/trace.h>

/* What records something on a path that is often taken: it keeps all registers itself, so that its callers save none for it
 * while tracing is off. */
#if __STDC_HOSTED__
#define __trace __attribute__((cold, noinline))
#else
#define __trace __attribute__((cold, noinline, no_caller_saved_registers))
#endif

/* In a cache line of its own. Changed by one toolstack operation at a time, and by a CPU that finds its buffer spoilt. */
extern struct trace_control {
	bool on;
	uint32_t events; /* TRC_* classes and subclasses that are recorded */
	cpumask_t cpus;
	/* Set once, before on: the reader's table of all buffers' frames, which nobody but the hypervisor writes. */
	const struct t_info *info;
	uint32_t data_bytes; /* for records, in each buffer */
} __aligned_to(64) trace_control;

static inline bool trace_on(void)
{
	return unlikely(READ_ONCE(trace_control.on));
}

/*
 * Writes a record of n words (up to TRACE_EXTRA_MAX), with the time if it is timed, into this CPU's buffer, or counts it
 * as lost. Any context: a record that an NMI would put into the middle of another one is lost.
 */
void trace_record(uint32_t event, bool timed, const uint32_t *words, unsigned n);

/* A timed record of these words, which are not computed while tracing is off. */
#define TRACE(event, ...)                                                        \
	do {                                                                     \
		if (trace_on()) {                                                \
			const uint32_t words_[] = { __VA_ARGS__ };               \
			trace_record((event), true, words_, ARRAY_SIZE(words_)); \
		}                                                                \
	} while (0)

/* Once: the buffers of all CPUs, pages frames each, empty. */
void trace_set_buffers(const struct t_info *info, unsigned pages);
void trace_start(void); /* there are buffers */
/* Afterwards no record is written, and none counts as lost. Interrupts on. */
void trace_stop(void);

#endif
