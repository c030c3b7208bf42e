/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bit operations, sequentially consistent where they say atomic, and sets of CPUs. */
#ifndef LIB_BITS_H
#define LIB_BITS_H

#include "lib/types.h"

#define BITS_PER_WORD   64
#define BITMAP_WORDS(n) (((n) + BITS_PER_WORD - 1) / BITS_PER_WORD)
#define NR_CPUS         128

static inline bool bit_test(const uint64_t *map, unsigned n)
{
	return READ_ONCE(map[n / BITS_PER_WORD]) >> (n % BITS_PER_WORD) & 1;
}

/* Sets bit n atomically; returns whether it was set before. */
static inline bool bit_test_and_set(uint64_t *map, unsigned n)
{
	uint64_t bit = 1ull << (n % BITS_PER_WORD);

	return __atomic_fetch_or(&map[n / BITS_PER_WORD], bit, __ATOMIC_SEQ_CST) & bit;
}

/* Clears bit n atomically; returns whether it was set before. */
static inline bool bit_test_and_clear(uint64_t *map, unsigned n)
{
	uint64_t bit = 1ull << (n % BITS_PER_WORD);

	return __atomic_fetch_and(&map[n / BITS_PER_WORD], ~bit, __ATOMIC_SEQ_CST) & bit;
}

static inline void bit_set(uint64_t *map, unsigned n)
{
	(void)bit_test_and_set(map, n);
}

static inline void bit_clear(uint64_t *map, unsigned n)
{
	(void)bit_test_and_clear(map, n);
}

/* The first set bit at or after from, or size where there is none. */
static inline unsigned bit_next(const uint64_t *map, unsigned size, unsigned from)
{
	while (from < size) {
		uint64_t word = READ_ONCE(map[from / BITS_PER_WORD]) >> (from % BITS_PER_WORD);

		if (word) {
			from += (unsigned)__builtin_ctzll(word);
			return from < size ? from : size;
		}
		from = (from / BITS_PER_WORD + 1) * BITS_PER_WORD;
	}
	return size;
}

static inline unsigned bits_count(uint64_t word)
{
	unsigned n = 0;

	for (; word; word &= word - 1)
		n++;
	return n;
}

typedef struct {
	uint64_t bits[BITMAP_WORDS(NR_CPUS)];
} cpumask_t;

static inline bool cpumask_test(const cpumask_t *m, unsigned cpu)
{
	return bit_test(m->bits, cpu);
}

static inline void cpumask_set(cpumask_t *m, unsigned cpu)
{
	if (!bit_test(m->bits, cpu))
		bit_set(m->bits, cpu);
}

static inline void cpumask_clear(cpumask_t *m, unsigned cpu)
{
	bit_clear(m->bits, cpu);
}

static inline bool cpumask_empty(const cpumask_t *m)
{
	uint64_t any = 0;

	for (unsigned i = 0; i < BITMAP_WORDS(NR_CPUS); i++)
		any |= READ_ONCE(m->bits[i]);
	return !any;
}

static inline cpumask_t cpumask_and(const cpumask_t *a, const cpumask_t *b)
{
	cpumask_t r;

	for (unsigned i = 0; i < BITMAP_WORDS(NR_CPUS); i++)
		r.bits[i] = a->bits[i] & b->bits[i];
	return r;
}

static inline cpumask_t cpumask_or(const cpumask_t *a, const cpumask_t *b)
{
	cpumask_t r;

	for (unsigned i = 0; i < BITMAP_WORDS(NR_CPUS); i++)
		r.bits[i] = a->bits[i] | b->bits[i];
	return r;
}

static inline cpumask_t cpumask_all(void)
{
	cpumask_t r;

	for (unsigned i = 0; i < BITMAP_WORDS(NR_CPUS); i++)
		r.bits[i] = ~0ull;
	return r;
}

#define for_each_cpu_in(cpu, mask)                                        \
	for ((cpu) = bit_next((mask)->bits, NR_CPUS, 0); (cpu) < NR_CPUS; \
	     (cpu) = bit_next((mask)->bits, NR_CPUS, (cpu) + 1))

#endif
