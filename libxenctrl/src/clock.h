/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private: time that passes, whatever the host's clock is set to. */
#ifndef XYLEM_LIBXENCTRL_CLOCK_H
#define XYLEM_LIBXENCTRL_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* A signal may end it before. */
static inline void clock_nap(uint64_t us)
{
	struct timespec t = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };

	nanosleep(&t, NULL);
}

#endif
