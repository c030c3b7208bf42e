/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The places that ask trace_on(): a no-op in the text while tracing is off, and a jump while it is on.
 *
 * CPUs run there while five bytes change, which the processor forbids (SDM volume 3, "Handling Self- and Cross-Modifying
 * Code"; APM volume 2, "Cross-Modifying Code"). So the first byte becomes INT3, then the others change, then the first
 * one does; after each step every CPU executes a serialising instruction. Who meets INT3 goes on behind the place.
 */
#include "hw/trace.h"
#include "hw/cpu.h"
#include "hw/paging.h"
#include "hw/smp.h"
#include "lib/string.h"

#define INT3 0xcc
#define JMP  0xe9 /* with 32 bits of displacement */

extern const struct trace_place trace_places_start[], trace_places_end[];

static uint8_t *place_at(const struct trace_place *p)
{
	return (uint8_t *)&p->at + p->at;
}

static void code_of(const struct trace_place *p, bool on, uint8_t code[TRACE_PLACE_BYTES])
{
	static const uint8_t nop[TRACE_PLACE_BYTES] = { 0x0f, 0x1f, 0x44, 0, 0 };
	int32_t distance = (int32_t)((uintptr_t)&p->to + (uintptr_t)(intptr_t)p->to - (uintptr_t)place_at(p) -
	                             TRACE_PLACE_BYTES);

	memcpy(code, nop, sizeof(nop));
	if (on) {
		code[0] = JMP;
		memcpy(code + 1, &distance, sizeof(distance));
	}
}

static void serialise(void *unused)
{
	(void)unused;
	(void)cpuid(0, 0);
}

void trace_places_set(bool on)
{
	const uint8_t int3 = INT3;
	uint8_t code[TRACE_PLACE_BYTES];

	for (const struct trace_place *p = trace_places_start; p < trace_places_end; p++)
		text_write(place_at(p), &int3, 1);
	cpu_call(&cpus_online, serialise, NULL);
	for (const struct trace_place *p = trace_places_start; p < trace_places_end; p++) {
		code_of(p, on, code);
		text_write(place_at(p) + 1, code + 1, sizeof(code) - 1);
	}
	cpu_call(&cpus_online, serialise, NULL);
	for (const struct trace_place *p = trace_places_start; p < trace_places_end; p++) {
		code_of(p, on, code);
		text_write(place_at(p), code, 1);
	}
	cpu_call(&cpus_online, serialise, NULL);
}

bool trace_places_breakpoint(struct cpu_user_regs *regs)
{
	for (const struct trace_place *p = trace_places_start; p < trace_places_end; p++)
		if (regs->rip == (uintptr_t)place_at(p) + 1) {
			regs->rip += TRACE_PLACE_BYTES - 1;
			return true;
		}
	return false;
}
