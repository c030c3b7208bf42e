/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Model-specific registers as a guest sees them; everything that is not named here does not exist (#GP). */
#include "pv/msr.h"
#include "pv/cpuid.h"
#include "pv/mce.h"
#include "pv/pv.h"
#include "hw/spec.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "pv/vcpu.h"
#include <xen/arch-x86/cpufeatureset.h>

#define MSR_PLATFORM_ID     0x17
#define MSR_APIC_BASE       0x1b
#define MSR_SPEC_CTRL       0x48
#define MSR_PRED_CMD        0x49
#define MSR_UCODE_REV       0x8b
#define MSR_PLATFORM_INFO   0xce
#define MSR_FLUSH_CMD       0x10b
#define MSR_MISC_FEATURES   0x140
#define MSR_MISC_ENABLE     0x1a0
#define MSR_PAT             0x277
#define MSR_EFER            0xc0000080
#define MSR_FS_BASE         0xc0000100
#define MSR_GS_BASE         0xc0000101
#define MSR_KERNEL_GS       0xc0000102
#define MSR_TSC             0x10
#define MSR_TSC_AUX         0xc0000103
#define MSR_AMD_SYSCFG      0xc0010010
#define MSR_AMD_HWCR        0xc0010015
#define MSR_AMD_NB_CFG      0xc001001f
#define MSR_AMD_INT_PENDING 0xc0010055
#define MSR_AMD_PATCHLEVEL  MSR_UCODE_REV
#define MSR_AMD_DE_CFG      0xc0011029

#define PAT_OF_THE_ABI      0x050100070406ull
#define EFER_GUEST          0xd01ull /* SCE LME LMA NX */

#define F(name)             (1u << (XEN_X86_FEATURE_##name % 32))

/* Bits of SPEC_CTRL that the domain's CPUID shows; 0: it has no such register. (Words of a feature set: 8 and 9.) */
static uint64_t spec_ctrl_bits(const struct domain *d)
{
	uint64_t bits = 0;

	if (!cpu_features.spec_ctrl)
		return 0;
	if (cpu_policy_has(d->cpu_policy, 9, F(IBRSB)))
		bits |= 1;
	if (cpu_features.stibp && cpu_policy_has(d->cpu_policy, 9, F(STIBP)))
		bits |= 2;
	if (cpu_features.ssbd && cpu_policy_has(d->cpu_policy, 9, F(SSBD)))
		bits |= 4;
	return bits;
}

/* Processor identification and firmware settings: harmless to read, and kernels do without checking. */
static bool readable_as_is(uint32_t msr)
{
	switch (msr) {
	case MSR_PLATFORM_ID:
	case MSR_UCODE_REV:
	case MSR_MISC_ENABLE:
		return true;
	case MSR_AMD_SYSCFG:
	case MSR_AMD_HWCR:
	case MSR_AMD_NB_CFG:
	case MSR_AMD_INT_PENDING:
	case MSR_AMD_DE_CFG:
		return cpu_features.is_amd;
	}
	return false;
}

int pv_msr_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	switch (msr) {
	case MSR_FS_BASE:
	case MSR_GS_BASE:
	case MSR_KERNEL_GS:
		*value = rdmsr(msr);
		return 0;
	case MSR_TSC:
		*value = pv_tsc(v);
		return 0;
	case MSR_EFER:
		*value = rdmsr(MSR_EFER) & EFER_GUEST;
		return 0;
	case MSR_APIC_BASE:
		*value = rdmsr(MSR_APIC_BASE) & ~0x400ull;
		return 0;
	case MSR_PAT:
		*value = PAT_OF_THE_ABI;
		return 0;
	case MSR_TSC_AUX:
		*value = v->pv.tsc_aux;
		return cpu_features.rdtscp ? 0 : -EINVAL;
	case MSR_SPEC_CTRL:
		*value = v->pv.spec_ctrl;
		return spec_ctrl_bits(v->domain) ? 0 : -EINVAL;
	case MSR_ARCH_CAPS:
		*value = v->domain->cpu_policy->msrs[0].val;
		if (cpu_policy_has(v->domain->cpu_policy, 9, F(ARCH_CAPS)))
			return 0;
		if (!cpu_features.arch_capabilities || !v->domain->privileged)
			return -EINVAL;
		return rdmsr_safe(msr, value) ? -EINVAL : 0;
	}
	if (pv_mce_msr(msr)) {
		*value = pv_mce_read(v, msr);
		return 0;
	}
	if (readable_as_is(msr))
		return rdmsr_safe(msr, value) ? -EINVAL : 0;
	return -EINVAL;
}

const uint32_t pv_msrs_kept[PV_MSRS_KEPT] = { MSR_SPEC_CTRL, MSR_TSC_AUX };

uint64_t pv_msr_kept(const struct vcpu *v, uint32_t msr)
{
	return msr == MSR_SPEC_CTRL ? v->pv.spec_ctrl : msr == MSR_TSC_AUX ? v->pv.tsc_aux : 0;
}

int pv_msr_keep(struct vcpu *v, uint32_t msr, uint64_t value)
{
	switch (msr) {
	case MSR_TSC_AUX:
		if (!cpu_features.rdtscp || value >> 32)
			return -EINVAL;
		v->pv.tsc_aux = value;
		return 0;
	case MSR_SPEC_CTRL:
		if (!spec_ctrl_bits(v->domain) || value & ~spec_ctrl_bits(v->domain))
			return -EINVAL;
		v->pv.spec_ctrl = value;
		return 0;
	case MSR_MISC_FEATURES: /* reads as zero */
		return value ? -EINVAL : 0;
	}
	return -EINVAL;
}

int pv_msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	uint64_t now;

	switch (msr) {
	case MSR_FS_BASE:
	case MSR_GS_BASE:
	case MSR_KERNEL_GS:
		if (!pv_address_ok(value))
			return -EINVAL;
		wrmsr(msr, value);
		return 0;
	case MSR_TSC_AUX:
		if (pv_msr_keep(v, msr, value))
			return -EINVAL;
		wrmsr(msr, value);
		return 0;
	case MSR_SPEC_CTRL:
		if (pv_msr_keep(v, msr, value))
			return -EINVAL;
		cpu_info()->guest_spec_ctrl = (uint32_t)value;
		if (!(cpu_info()->spec_flags & SPEC_ENTRY_IBRS))
			wrmsr(MSR_SPEC_CTRL, value);
		return 0;
	case MSR_UCODE_REV: /* kernels clear it before they ask the processor for its revision */
		return value ? -EINVAL : 0;
	case MSR_PRED_CMD:
		if (!cpu_features.ibpb || (value & ~1ull) ||
		    !(cpu_policy_has(v->domain->cpu_policy, 9, F(IBRSB)) ||
		      cpu_policy_has(v->domain->cpu_policy, 8, F(IBPB))))
			return -EINVAL;
		wrmsr(MSR_PRED_CMD, value);
		return 0;
	case MSR_FLUSH_CMD:
		if (!cpu_features.l1d_flush || (value & ~1ull) ||
		    !cpu_policy_has(v->domain->cpu_policy, 9, F(L1D_FLUSH)))
			return -EINVAL;
		wrmsr(MSR_FLUSH_CMD, value);
		return 0;
	}
	if (pv_mce_msr(msr))
		return pv_mce_write(v, msr, value);
	/* Writing what is there already changes nothing. */
	if (!pv_msr_read(v, msr, &now) && now == value)
		return 0;
	log_guest(LOG_DEBUG, v->domain->domid, "write of %#lx to MSR %#x refused", value, msr);
	return -EINVAL;
}
