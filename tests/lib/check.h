/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A verdict over several checks: CHECK_THAT() each, which tells the line of one that fails, then one verdict(). What failed
 * stays failed until the verdict that tells it.
 */
#ifndef XYLEM_TEST_CHECK_H
#define XYLEM_TEST_CHECK_H

#include "tap.h"

static bool good = true;

#define CHECK_THAT(x)                                            \
	do {                                                     \
		if (!(x)) {                                      \
			printf("# line %d: %s\n", __LINE__, #x); \
			good = false;                            \
		}                                                \
	} while (0)

#define verdict(...)                       \
	do {                               \
		tap_ok(good, __VA_ARGS__); \
		good = true;               \
	} while (0)

#endif
