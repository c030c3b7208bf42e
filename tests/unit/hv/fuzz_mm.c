/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer target: sequences of memory hypercalls and of what layers above do, checked as in test_mm_random.c. */
#include "mm_drive.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static int ready;
	const char *why;

	if (!ready)
		mm_drive_init();
	ready = 1;
	if (mm_drive(data, n, &why)) {
		fprintf(stderr, "%s\n", why);
		abort();
	}
	return 0;
}
