/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers by xorshift (Marsaglia 2003), the same in each run: a test that fails fails again. */
#ifndef XYLEM_TEST_RANDOM_H
#define XYLEM_TEST_RANDOM_H

#include <stdint.h>

static uint64_t random_seed = 88172645463325252ull; /* not 0 */

/* 0 to n - 1; 0 where n is 0. */
static inline uint32_t random_below(uint32_t n)
{
	random_seed ^= random_seed << 13;
	random_seed ^= random_seed >> 7;
	random_seed ^= random_seed << 17;
	return n ? (uint32_t)(random_seed >> 20) % n : 0;
}

#endif
