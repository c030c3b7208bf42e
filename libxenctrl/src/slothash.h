/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Private: where a frame's number belongs in a hash table of 2^bits slots with linear probing. Numbers come in long runs,
 * and who gives them may wish them to collide, which the key prevents: odd, and drawn for each table. A product by the
 * key alone would lay a run of numbers into one heap for some keys.
 */
#ifndef XYLEM_LIBXENCTRL_SLOTHASH_H
#define XYLEM_LIBXENCTRL_SLOTHASH_H

#include <stdint.h>
#include <sys/random.h>

#define SLOTHASH_GOLDEN UINT64_C(0x9e3779b97f4a7c15) /* 2^64 by the golden ratio */

static inline uint64_t slothash_key(void)
{
	uint64_t key;

	return (getrandom(&key, sizeof(key), GRND_NONBLOCK) == sizeof(key) ? key : SLOTHASH_GOLDEN) | 1;
}

static inline uint64_t slothash(uint64_t number, uint64_t key, unsigned bits)
{
	uint64_t product = number * key;

	return (product ^ product >> 32) * SLOTHASH_GOLDEN >> (64 - bits);
}

#endif
