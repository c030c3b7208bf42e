/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Basic types. Each kind of address is a struct of one field, so that the compiler tells them apart:
 * a machine frame, a guest's pseudo-physical frame, a machine address and a guest-virtual address
 * can never be mixed up by accident.
 */
#ifndef LIB_TYPES_H
#define LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdarg.h>

typedef struct {
	uint64_t m;
} mfn_t; /* machine frame number: maddr >> 12 */

typedef struct {
	uint64_t p;
} pfn_t; /* a guest's pseudo-physical frame number */

typedef struct {
	uint64_t a;
} maddr_t; /* machine address in bytes */

typedef struct {
	uint64_t v;
} gva_t; /* guest-virtual address; never dereferenced but through hw/uaccess.h */

#define PAGE_SHIFT  12
#define PAGE_SIZE   4096ul
#define PAGE_MASK   (~(PAGE_SIZE - 1))

#define MFN(x)      ((mfn_t){ (uint64_t)(x) })
#define PFN(x)      ((pfn_t){ (uint64_t)(x) })
#define MADDR(x)    ((maddr_t){ (uint64_t)(x) })
#define GVA(x)      ((gva_t){ (uint64_t)(x) })
#define INVALID_MFN MFN(~0ull)

static inline bool mfn_eq(mfn_t a, mfn_t b)
{
	return a.m == b.m;
}

static inline mfn_t mfn_add(mfn_t a, uint64_t n)
{
	return MFN(a.m + n);
}

static inline maddr_t mfn_to_maddr(mfn_t m)
{
	return MADDR(m.m << PAGE_SHIFT);
}

static inline mfn_t maddr_to_mfn(maddr_t a)
{
	return MFN(a.a >> PAGE_SHIFT);
}

/* clang-format would take (n) and (ptr) for casts. */
/* clang-format off */
#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
/* Each operand is looked at once: a guest or another CPU may be changing it. */
#define MIN(a, b)                       CHOOSE_(<, a, b, __COUNTER__)
#define MAX(a, b)                       CHOOSE_(>, a, b, __COUNTER__)
#define CHOOSE_(op, a, b, n)            CHOOSE__(op, a, b, n)
#define CHOOSE__(op, a, b, n)                                   \
	__extension__({                                         \
		__typeof__((a) + (b)) a_##n = (a), b_##n = (b); \
		a_##n op b_##n ? a_##n : b_##n;                 \
	})
#define ROUND_UP(x, n)                  (((x) + (n) - 1) / (n) * (n))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
/* clang-format on */

#define __must_check     __attribute__((warn_unused_result))
#define __noreturn       __attribute__((noreturn))
#define __printf(f, a)   __attribute__((format(printf, f, a)))
#define __aligned_to(n)  __attribute__((aligned(n)))
#define likely(x)        __builtin_expect(!!(x), 1)
#define unlikely(x)      __builtin_expect(!!(x), 0)
#define READ_ONCE(x)     (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

/* An index from a guest, clamped under speculation: idx where idx < size, else 0 (Spectre v1). */
static inline uint64_t index_nospec(uint64_t idx, uint64_t size)
{
	uint64_t mask;

	__asm__ volatile("cmp %[size], %[idx]; sbb %[mask], %[mask]"
	                 : [mask] "=r"(mask)
	                 : [idx] "r"(idx), [size] "r"(size)
	                 : "cc");
	return idx & mask;
}

/* What a check of memory lets through, under speculation too: x where difference is 0, else 0. */
static inline uint64_t same_nospec(uint64_t x, uint64_t difference)
{
	uint64_t mask;

	__asm__ volatile("cmp $1, %[difference]; sbb %[mask], %[mask]"
	                 : [mask] "=r"(mask)
	                 : [difference] "r"(difference)
	                 : "cc");
	return x & mask;
}

#endif
