/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Single words of the current guest's memory, for frames on its stack: one instruction each.
 * Between begin and end nothing else is done; the range is checked once for all words.
 */
#ifndef HW_UACCESS_WORDS_H
#define HW_UACCESS_WORDS_H

#include "hw/cpu.h"
#include "hw/layout.h"

/* The same address, also under speculation, where one that is not the guest's becomes HV_VIRT_END (Spectre
 * v1): the guest's two halves are one range that starts there and wraps. */
static inline uint64_t guest_address_nospec(uint64_t a)
{
	return index_nospec(a - HV_VIRT_END, 0x0000800000000000ull - HV_VIRT_END) + HV_VIRT_END;
}

/* True when [*a, *a + bytes) is the guest's to use; bytes is small and not 0. guest_words_end() follows then,
 * also after a fault. */
static inline bool guest_words_begin(uint64_t *a, size_t bytes)
{
	uint64_t last = *a + bytes - 1;

	if (unlikely(last < *a || (last >= 0x0000800000000000ull && *a < HV_VIRT_END)))
		return false;
	*a = guest_address_nospec(*a);
	if (cpu_features.smap)
		__asm__ volatile("stac" : : : "memory");
	return true;
}

static inline void guest_words_end(void)
{
	if (cpu_features.smap)
		__asm__ volatile("clac" : : : "memory");
}

/* A fault sets bad, a bool, and goes on behind the access. */
#define GUEST_WORD_ACCESS(access)          \
	"1: " access "\n"                  \
	"2:\n"                             \
	".subsection 1\n"                  \
	"3: movb $1, %b[bad]\n"            \
	"jmp 2b\n"                         \
	".previous\n"                      \
	".pushsection __ex_table, \"a\"\n" \
	".balign 4\n"                      \
	".long 1b - ., 3b - .\n"           \
	".popsection"

static inline void guest_word_put(uint64_t a, uint64_t value, bool *bad)
{
	__asm__ volatile(GUEST_WORD_ACCESS("movq %[v], (%[p])")
	                 : [bad] "+q"(*bad)
	                 : [p] "r"(a), [v] "er"(value)
	                 : "memory");
}

static inline uint64_t guest_word_get(uint64_t a, bool *bad)
{
	uint64_t value = 0;

	__asm__ volatile(GUEST_WORD_ACCESS("movq (%[p]), %[v]")
	                 : [bad] "+q"(*bad), [v] "+r"(value)
	                 : [p] "r"(a)
	                 : "memory");
	return value;
}

#endif
