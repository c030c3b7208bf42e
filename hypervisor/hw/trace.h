/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace records: what happened, when, on which CPU, in a buffer for each CPU that dom0 reads (xen/trace.h; xentrace).
 * Who has something to record asks trace_on() first, which costs one no-op while tracing is off (hw/trace_places.c).
 */
#ifndef HW_TRACE_H
#define HW_TRACE_H

#include "lib/bits.h"
#include <xen/trace.h>
#include <xen/xen.h>

/* What records something on a path that is often taken: it keeps all registers itself, so that its callers save none for it
 * while tracing is off. */
#if __STDC_HOSTED__
#define __trace __attribute__((cold, noinline))
#else
#define __trace __attribute__((cold, noinline, no_caller_saved_registers))
#endif

/* In a cache line of its own. Changed by one toolstack operation at a time, and by a CPU that finds its buffer spoilt: it
 * clears on alone, and the places still jump until the next operation. */
extern struct trace_control {
	bool on;
	uint32_t events; /* TRC_* classes and subclasses that are recorded */
	cpumask_t cpus;
	/* Set once, before on: the reader's table of all buffers' frames, which nobody but the hypervisor writes. */
	const struct t_info *info;
	uint32_t data_bytes; /* for records, in each buffer */
} __aligned_to(64) trace_control;

/* A place in the text: a no-op or a jump of TRACE_PLACE_BYTES, which goes to where trace_on() is true. */
struct trace_place {
	int32_t at, to; /* relative to the field's own address */
};
#define TRACE_PLACE_BYTES 5

/* In an NMI's handler it must not be asked. */
#if __STDC_HOSTED__ && !defined(TRACE_PLACES)
static inline bool trace_on(void)
{
	return unlikely(READ_ONCE(trace_control.on));
}
#else
static inline __attribute__((always_inline)) bool trace_on(void)
{
	__asm__ goto("1: .byte 0x0f, 0x1f, 0x44, 0, 0\n"
	             ".pushsection __trace_places, \"a\"\n"
	             ".long 1b - ., %l0 - .\n"
	             ".popsection"
	             :
	             :
	             :
	             : on);
	return false;
on:
	__attribute__((cold));
	return true;
}
#endif

/* Makes all places jumps, or no-ops. One caller at a time, interrupts on; afterwards each CPU does as told. */
void trace_places_set(bool on);
/* Whether #BP came from a place that is just being changed; then regs continue behind it, as if tracing were off. */
bool trace_places_breakpoint(struct cpu_user_regs *regs);

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
void trace_start(void); /* there are buffers; interrupts on */
/* Afterwards no record is written, and none counts as lost. Interrupts on. */
void trace_stop(void);

#endif
