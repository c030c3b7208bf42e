/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TAP for the tests of this folder: tap_ok() per verdict, tap_end() prints the plan and gives main's result. */
#ifndef XYLEM_TEST_TAP_H
#define XYLEM_TEST_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static unsigned tap_count, tap_failed;

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

static inline int tap_end(void)
{
	printf("1..%u\n", tap_count);
	return tap_failed ? 1 : 0;
}

#endif
