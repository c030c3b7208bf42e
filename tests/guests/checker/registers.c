/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers that nothing in the guest uses but this file (it is compiled without them): x87's and SSE's control words, and the
 * 16 vector registers as wide as the guest may have them. Each vcpu has its own numbers in them from its beginning on.
 */
#include "checker.h"

#define VECTORS          16u
#define WORDS            4u /* of a YMM register */

#define CPUID1_ECX_XSAVE (1u << 26)
#define CR4_OSXSAVE      (1ul << 18)
#define XCR0_SSE         3u /* and x87 */
#define XCR0_AVX         4u

struct registers {
	uint64_t vector[VECTORS][WORDS];
	uint32_t mxcsr;
	uint16_t control; /* x87 */
};

static struct registers expected[WORKERS];
static bool wide; /* YMM registers, not XMM alone */
static uint64_t wrong;

/* As the hypervisor shows it to the guest (xen/arch-x86/xen.h, XEN_CPUID). */
static uint32_t cpuid(uint32_t leaf, uint32_t *ecx)
{
	uint32_t eax = leaf, ebx;

	__asm__ volatile("ud2a; .ascii \"xen\"; cpuid" : "+a"(eax), "=b"(ebx), "+c"(*ecx) : : "edx");
	return eax;
}

/* On a new vcpu of this domain. */
static void allow_wide(void)
{
	uint32_t ecx = 0, none = 0, components;
	unsigned long cr4;

	cpuid(1, &ecx);
	if (!(ecx & CPUID1_ECX_XSAVE))
		return;
	components = cpuid(0xd, &none) & (XCR0_SSE | XCR0_AVX);
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_OSXSAVE));
	__asm__ volatile("xsetbv" : : "a"(components), "c"(0), "d"(0));
	wide = components & XCR0_AVX;
}

#define EACH(op) \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)

static void load(const struct registers *r)
{
#define LOAD(n)      "movdqu " #n "*32(%0), %%xmm" #n "\n"
#define LOAD_WIDE(n) "vmovdqu " #n "*32(%0), %%ymm" #n "\n"
	if (wide)
		__asm__ volatile(EACH(LOAD_WIDE) : : "r"(r->vector) : "memory");
	else
		__asm__ volatile(EACH(LOAD) : : "r"(r->vector) : "memory");
	__asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(r->mxcsr), "m"(r->control));
}

static void store(struct registers *r)
{
#define STORE(n)      "movdqu %%xmm" #n ", " #n "*32(%0)\n"
#define STORE_WIDE(n) "vmovdqu %%ymm" #n ", " #n "*32(%0)\n"
	if (wide)
		__asm__ volatile(EACH(STORE_WIDE) : : "r"(r->vector) : "memory");
	else
		__asm__ volatile(EACH(STORE) : : "r"(r->vector) : "memory");
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(r->mxcsr), "=m"(r->control));
}

void registers_begin(struct worker *w)
{
	struct registers *r = &expected[w->id];

	allow_wide();
	for (unsigned i = 0; i < VECTORS; i++)
		for (unsigned word = 0; word < (wide ? WORDS : WORDS / 2); word++)
			r->vector[i][word] = random_next(w) << 20 ^ random_next(w);
	/* All exceptions masked, as ever; rounding is each vcpu's own. */
	r->mxcsr = 0x1f80 | (w->id & 3) << 13;
	r->control = (uint16_t)(0x33f | (w->id & 3) << 10);
	load(r);
}

bool registers_wide(void)
{
	return wide;
}

uint64_t registers_wrong(void)
{
	return __atomic_load_n(&wrong, __ATOMIC_RELAXED);
}

void registers_check(struct worker *w)
{
	const struct registers *r = &expected[w->id];
	struct registers now;

	memset(&now, 0, sizeof(now));
	store(&now);
	if (!memcmp(now.vector, r->vector, sizeof(now.vector)) && now.mxcsr == r->mxcsr &&
	    now.control == r->control)
		return;
	__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < VECTORS; i++)
		if (memcmp(now.vector[i], r->vector[i], sizeof(now.vector[i])))
			say("checker: wrong: vcpu %u, %s%u: %#lx %#lx %#lx %#lx, not %#lx %#lx %#lx %#lx",
			    w->id, wide ? "YMM" : "XMM", i, now.vector[i][3], now.vector[i][2],
			    now.vector[i][1], now.vector[i][0], r->vector[i][3], r->vector[i][2],
			    r->vector[i][1], r->vector[i][0]);
	if (now.mxcsr != r->mxcsr || now.control != r->control)
		say("checker: wrong: vcpu %u, MXCSR %#x and x87's control word %#x, not %#x and %#x", w->id,
		    now.mxcsr, now.control, r->mxcsr, r->control);
	load(r);
}
