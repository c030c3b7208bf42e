/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clocks: system time since boot, the TSC behind it, wall-clock time, and one timer per CPU. */
#ifndef HW_TIME_H
#define HW_TIME_H

#include "lib/types.h"

/* Nanoseconds since boot; monotonic on each CPU and, within the warp bound that boot measured, across CPUs. */
uint64_t time_now_ns(void);
/* What a guest needs to compute system time from the TSC on this CPU (vcpu_time_info). */
struct time_scale {
	uint64_t tsc_stamp, system_ns; /* a pair taken at one instant */
	uint32_t tsc_to_ns_mul;        /* 0.32 fixed point, after the shift */
	int8_t tsc_shift;
	bool tsc_stable; /* TSCs of all CPUs run in step */
};
struct time_scale time_scale_read(void);
/* ns = ((ticks << shift) * mul) >> 32, as the ABI has it: shift and mul for a rate above 0. */
static inline void time_scale_of_rate(uint64_t hz, uint32_t *mul, int8_t *shift)
{
	const uint64_t second_ns = 1000000000;
	uint64_t rate = hz;

	*shift = 0;
	for (; rate > 2 * second_ns; rate >>= 1)
		--*shift;
	for (; rate <= second_ns; rate <<= 1)
		++*shift;
	*mul = (uint32_t)((second_ns << 32) / rate);
}
uint64_t time_tsc_khz(void);
/* Wall-clock time at system time 0: seconds and nanoseconds since 1970. */
void time_wallclock(uint64_t *sec, uint32_t *nsec);
void time_wallclock_set(uint64_t sec, uint32_t nsec, uint64_t system_ns);
/* Asks for this CPU's timer interrupt at deadline (0: none). It raises WORK_TIMER. */
void timer_hw_set(uint64_t deadline_ns);

void time_init(void);
void time_init_cpu(unsigned cpu); /* each other CPU, while the first is in time_sync_with() */
void time_sync_with(unsigned cpu);

void time_interrupt(void);

void udelay(unsigned us); /* busy; before calibration too (PIT) */

#endif
