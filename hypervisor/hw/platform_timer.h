/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The counter that the TSC is measured against, and the battery-backed clock. */
#ifndef HW_PLATFORM_TIMER_H
#define HW_PLATFORM_TIMER_H

#include "lib/types.h"

/* Chooses: "hpet", "acpi", "pit", or by what there is. */
void platform_timer_init(const char *wanted);
const char *platform_timer_name(void);
uint64_t platform_timer_hz(void);
uint64_t platform_timer_mask(void); /* the counter wraps beyond it */
uint64_t platform_timer_read(void);
/* Whether it can be read for longer than one round of calibration (the PIT's counter wraps too soon). */
bool platform_timer_lasting(void);
/* Nanoseconds since platform_timer_start(); must be called at least once per wrap (some seconds). Any CPU. */
void platform_timer_start(void);
uint64_t platform_timer_ns(void);

/* Seconds since 1970 by the CMOS clock, taken as UTC. */
uint64_t cmos_read_seconds(void);

#endif
