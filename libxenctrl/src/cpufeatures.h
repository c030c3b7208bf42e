/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What CPUID tells of a processor's features, but for those that the hypervisor answers by itself: APIC, HTT, OSXSAVE, HYPERVISOR,
 * X2APIC, CMP_LEGACY, ARCH_CAPS, and those of leaf 1 that AMD repeats (xen/arch-x86/cpufeatureset.h). The same for the library,
 * which hides them and compares hosts by them, and for libvirt's driver, which refuses others earlier.
 */
#ifndef XYLEM_CPUFEATURES_H
#define XYLEM_CPUFEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cpu_features_at {
	uint32_t leaf, subleaf; /* 0 where the leaf has none */
	uint32_t a, b, c, d;
};

static const struct cpu_features_at cpu_features_known[] = {
	{ 1, 0, 0, 0, ~0x88200000u, ~0x10000200u },
	{ 7, 0, 0, ~0u, ~0u, ~0x20000000u },
	{ 7, 1, ~0u, ~0u, ~0u, ~0u },
	{ 7, 2, 0, 0, 0, ~0u },
	{ 0xd, 1, ~0u, 0, 0, 0 },
	{ 0x80000001, 0, 0, 0, ~2u, ~0x0183f3ffu },
	{ 0x80000007, 0, 0, 0, 0, ~0u },
	{ 0x80000008, 0, 0, ~0u, 0, 0 },
	{ 0x80000021, 0, ~0u, 0, ~0u, 0 },
};
#define CPU_FEATURES_KNOWN (sizeof(cpu_features_known) / sizeof(cpu_features_known[0]))

/* Whether all of these bits are such features. */
static inline bool cpu_features_are_known(const struct cpu_features_at *bits)
{
	struct cpu_features_at known = { 0 };

	for (size_t i = 0; i < CPU_FEATURES_KNOWN; i++)
		if (cpu_features_known[i].leaf == bits->leaf &&
		    cpu_features_known[i].subleaf == bits->subleaf)
			known = cpu_features_known[i];
	return !(bits->a & ~known.a) && !(bits->b & ~known.b) && !(bits->c & ~known.c) &&
	       !(bits->d & ~known.d);
}

#endif
