/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a domain sees of CPUID and MSRs. A policy is the list of leaves and MSRs in the toolstack's own format
 * (xen/arch-x86/xen.h: xen_cpuid_leaf_t, xen_msr_entry_t); values that depend on the vcpu or its state are
 * filled in when the guest asks.
 */
#ifndef PV_CPUID_H
#define PV_CPUID_H

#include "dom/domain.h"
#include "hw/cpu.h"
#include <xen/arch-x86/xen.h>
#include <xen/sysctl.h>

#define POLICY_LEAVES_MAX 128
#define POLICY_MSRS_MAX   8

struct cpu_policy {
	unsigned leaf_count, msr_count;
	xen_cpuid_leaf_t leaves[POLICY_LEAVES_MAX]; /* sorted by leaf, subleaf */
	xen_msr_entry_t msrs[POLICY_MSRS_MAX];
};

/* Boot: the policies that SYSCTL_get_cpu_policy names, from CPUID of the boot CPU. */
void cpuid_init(void);
extern struct cpu_policy policy_raw, policy_host, policy_pv_max, policy_pv_default;
/* XEN_DOMCTL_set_cpu_policy: leaves and msrs replace those of d's policy, less the features that pv_max has not. 0 or
 * -EINVAL with the offending msr (~0: none). d has not run yet. */
int cpu_policy_update(struct domain *d, const xen_cpuid_leaf_t *leaves, unsigned leaf_count,
                      const xen_msr_entry_t *msrs, unsigned msr_count, uint32_t *bad_msr) __must_check;
/* XEN_SYSCTL_get_cpu_featureset: words in the order of xen/arch-x86/cpufeatureset.h; returns how many there are. */
#define FEATURESET_WORDS 19
unsigned cpu_policy_featureset(const struct cpu_policy *p, uint32_t words[FEATURESET_WORDS]);

/* State components that a policy's features offer; 0: no XSAVE. */
uint64_t cpu_policy_xcr0(const struct cpu_policy *policy);
/* Whether the policy shows one of these bits of a word of the feature set. */
bool cpu_policy_has(const struct cpu_policy *p, unsigned word, uint32_t bits);
/* Bytes of an XSAVE area for these state components of the host's, standard format. */
uint32_t cpu_policy_xsave_bytes(uint64_t components);

/* As the current vcpu v sees it. */
struct cpuid_regs pv_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf);

#define MSR_ARCH_CAPS   0x10a
#define ARCH_CAPS_WORSE (1ull << 2 | 1ull << 19) /* RSBA, RRSBA (SDM Vol. 4, table 2-2) */

/* CR4 bits that a guest may set. */
uint64_t pv_cr4_allowed(const struct domain *d);

#endif
