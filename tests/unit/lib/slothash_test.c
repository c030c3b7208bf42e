/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hash of frames' numbers: long runs of them, in tables that are half full, whatever the key. */
#include <stdbool.h>
#include <string.h>

#include "../../lib/random.h"
#include "../../lib/tap.h"
#include "libxenctrl/src/slothash.h"

#define HASHED 4096u

/* Steps on the way to the slots of so many numbers, in a table that is half full then. */
static uint64_t steps(uint64_t stride, uint64_t key)
{
	static bool used[2 * HASHED];
	unsigned bits = (unsigned)__builtin_ctz(2 * HASHED);
	uint64_t n = 0;

	memset(used, 0, sizeof(used));
	for (uint64_t i = 0; i < HASHED; i++) {
		uint64_t slot = slothash(0x12345 + i * stride, key, bits);

		for (n++; used[slot]; n++)
			slot = (slot + 1) % (2 * HASHED);
		used[slot] = true;
	}
	return n;
}

/* A restore took 25 million instructions more or less by the key that it had drawn. */
int main(void)
{
	static const uint64_t strides[] = { 1, 2, 16, 512, 1u << 18 };
	uint64_t worst = 0;

	for (unsigned i = 0; i < 3000; i++) {
		random_below(0);
		for (unsigned j = 0; j < sizeof(strides) / sizeof(strides[0]); j++) {
			uint64_t n = steps(strides[j], random_seed | 1);

			worst = n > worst ? n : worst;
		}
	}
	tap_ok(worst < 2 * HASHED, "no key lays runs of frames into a heap: %.2f steps for each at most",
	       (double)worst / HASHED);
	return tap_end();
}
