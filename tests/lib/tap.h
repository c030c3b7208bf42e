/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TAP, for every test in C: tap_ok() per verdict, and tap_end() prints the plan and gives main's result. With tap_plan()
 * before the first verdict another number of them is a failure too.
 */
#ifndef XYLEM_TEST_TAP_H
#define XYLEM_TEST_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static unsigned tap_count, tap_failed, tap_planned;

static inline bool __attribute__((format(printf, 2, 3))) tap_ok(bool ok, const char *format, ...)
{
	va_list ap;

	printf("%s %u - ", ok ? "ok" : "not ok", ++tap_count);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	tap_failed += !ok;
	return ok;
}

static inline void tap_skip(const char *name, const char *why)
{
	printf("ok %u - %s # SKIP %s\n", ++tap_count, name, why);
}

static inline void tap_plan(unsigned count)
{
	tap_planned = count;
}

static inline int tap_end(void)
{
	printf("1..%u\n", tap_planned ? tap_planned : tap_count);
	if (tap_planned && tap_planned != tap_count)
		printf("# %u verdicts planned, %u given\n", tap_planned, tap_count);
	return tap_failed || (tap_planned && tap_planned != tap_count) ? 1 : 0;
}

#endif
