/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies to and from the current guest. Whole words first, then the rest. After a fault in the words the bytes
 * in front of it are copied one by one, as Xen does it: what is left is exact.
 */
#include "hw/uaccess.h"
#include "hw/uaccess_words.h"
#include "hw/cpu.h"
#include "hw/layout.h"

bool guest_range_ok(gva_t a, size_t n)
{
	uint64_t last = a.v + n - 1;

	if (!n)
		return true;
	if (last < a.v)
		return false;
	/* All below the hole, or all above the hypervisor. */
	return last < 0x0000800000000000ull || a.v >= HV_VIRT_END;
}

static inline void access_begin(void)
{
	if (cpu_features.smap)
		__asm__ volatile("stac" : : : "memory");
}

static inline void access_end(void)
{
	if (cpu_features.smap)
		__asm__ volatile("clac" : : : "memory");
}

/* Bytes not copied. */
static size_t copy(void *dst, const void *src, size_t n)
{
	size_t words = n / 8, rest = n % 8;

	__asm__ volatile("1: rep movsq\n"
	                 "mov %[rest], %%rcx\n"
	                 "2: rep movsb\n"
	                 "jmp 5f\n"
	                 ".subsection 1\n"
	                 "3: lea (%[rest], %%rcx, 8), %%rcx\n"
	                 "jmp 2b\n"
	                 ".previous\n"
	                 "5:\n"
	                 ".pushsection __ex_table, \"a\"\n"
	                 ".balign 4\n"
	                 ".long 1b - ., 3b - .\n"
	                 ".long 2b - ., 5b - .\n"
	                 ".popsection"
	                 : "+D"(dst), "+S"(src), "+c"(words)
	                 : [rest] "r"(rest)
	                 : "memory");
	return words;
}

static size_t clear(void *dst, size_t n)
{
	size_t words = n / 8, rest = n % 8;

	__asm__ volatile("1: rep stosq\n"
	                 "mov %[rest], %%rcx\n"
	                 "2: rep stosb\n"
	                 "jmp 5f\n"
	                 ".subsection 1\n"
	                 "3: lea (%[rest], %%rcx, 8), %%rcx\n"
	                 "jmp 2b\n"
	                 ".previous\n"
	                 "5:\n"
	                 ".pushsection __ex_table, \"a\"\n"
	                 ".balign 4\n"
	                 ".long 1b - ., 3b - .\n"
	                 ".long 2b - ., 5b - .\n"
	                 ".popsection"
	                 : "+D"(dst), "+c"(words)
	                 : [rest] "r"(rest), "a"(0ull)
	                 : "memory");
	return words;
}

/* The most frequent size: one word, one instruction that may fault. 0 or 8. */
static size_t copy_word_in(uint64_t *dst, const uint64_t *src)
{
	uint64_t value = 0;
	size_t left = 0;

	__asm__ volatile("1: movq %2, %0\n"
	                 "2:\n"
	                 ".subsection 1\n"
	                 "3: movl $8, %k1\n"
	                 "jmp 2b\n"
	                 ".previous\n"
	                 ".pushsection __ex_table, \"a\"\n"
	                 ".balign 4\n"
	                 ".long 1b - ., 3b - .\n"
	                 ".popsection"
	                 : "+r"(value), "+r"(left)
	                 : "m"(*src));
	*dst = value;
	return left;
}

size_t guest_copy_in(void *dst, gva_t src, size_t n)
{
	size_t left;

	if (unlikely(!guest_range_ok(src, n)))
		return n;
	access_begin();
	src.v = guest_address_nospec(src.v);
	left = n == 8 ? copy_word_in(dst, (const uint64_t *)src.v) : copy(dst, (const void *)src.v, n);
	access_end();
	return left;
}

size_t guest_copy_out(gva_t dst, const void *src, size_t n)
{
	size_t left;

	if (unlikely(!guest_range_ok(dst, n)))
		return n;
	access_begin();
	left = copy((void *)guest_address_nospec(dst.v), src, n);
	access_end();
	return left;
}

size_t guest_clear(gva_t dst, size_t n)
{
	size_t left;

	if (unlikely(!guest_range_ok(dst, n)))
		return n;
	access_begin();
	left = clear((void *)guest_address_nospec(dst.v), n);
	access_end();
	return left;
}
