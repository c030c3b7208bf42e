/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stand-ins for bounce.c, cpuid.c and msr.c of pv/, for tests that are not about them. */
#include "pv.h"
#include "pv/bounce.h"
#include "pv/cpuid.h"
#include "pv/msr.h"

struct cpu_policy policy_pv_default;

uint64_t pv_cr4_allowed(const struct domain *d)
{
	(void)d;
	return 0x26;
}

struct cpuid_regs pv_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf)
{
	(void)v;
	return (struct cpuid_regs){ leaf, subleaf, 0, 0 };
}

uint64_t cpu_policy_xcr0(const struct cpu_policy *policy)
{
	(void)policy;
	return 0;
}

int pv_msr_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)v;
	fake_pv_msr_touched++;
	*value = msr;
	return msr & 1 ? -EINVAL : 0;
}

int pv_msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	(void)v;
	(void)value;
	fake_pv_msr_touched++;
	return msr & 1 ? -EINVAL : 0;
}

void pv_inject_page_fault(struct vcpu *v, gva_t cr2, uint32_t error_code)
{
	(void)v;
	(void)error_code;
	fake_pv_faults++;
	fake_pv_fault_address = cr2.v;
}

void pv_inject_exception(struct vcpu *v, unsigned vector, uint32_t error_code)
{
	(void)v;
	(void)error_code;
	fake_pv_exception = vector;
}
