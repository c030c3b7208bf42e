/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machine-check registers as a guest sees them: two banks that never report anything, as Xen gives them to paravirtual
 * guests. No machine check is delivered to a guest, so what it sets here has no effect; the values were asked of Xen
 * 4.17 (SDM Vol. 3B, "Machine-Check Architecture").
 */
#include "pv/mce.h"
#include "hw/cpu.h"
#include "lib/errno.h"

#define MSR_MCG_STATUS 0x17a
#define MSR_MCG_CTL    0x17b
#define MSR_MC0_CTL2   0x280
#define MSR_MC0_CTL    0x400
#define BANKS_MAX      32
/* Recovery, threshold-based states, interrupts for corrected errors. */
#define MCG_CAP_INTEL (1u << 24 | 1u << 11 | 1u << 10)

static bool is_bank(uint32_t msr)
{
	return msr >= MSR_MC0_CTL && msr < MSR_MC0_CTL + 4 * BANKS_MAX;
}

static bool is_ctl2(uint32_t msr)
{
	return cpu_features.is_intel && msr >= MSR_MC0_CTL2 && msr < MSR_MC0_CTL2 + BANKS_MAX;
}

bool pv_mce_msr(uint32_t msr)
{
	return (msr >= MSR_MCG_CAP && msr <= MSR_MCG_CTL) || is_bank(msr) || is_ctl2(msr);
}

uint64_t pv_mce_read(const struct vcpu *v, uint32_t msr)
{
	uint32_t bank = is_bank(msr) ? (msr - MSR_MC0_CTL) / 4 : msr - MSR_MC0_CTL2;

	if (msr == MSR_MCG_CAP)
		return MCE_BANKS | (cpu_features.is_intel ? MCG_CAP_INTEL : 0);
	if (msr == MSR_MCG_STATUS)
		return v->pv.mcg_status;
	if (bank >= MCE_BANKS || msr == MSR_MCG_CTL)
		return 0;
	if (is_ctl2(msr))
		return v->pv.mci_ctl2[index_nospec(bank, MCE_BANKS)];
	return msr % 4 ? 0 : ~0ull; /* the first of a bank is its control register */
}

int pv_mce_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	uint32_t bank = is_bank(msr) ? (msr - MSR_MC0_CTL) / 4 : msr - MSR_MC0_CTL2;

	if (msr == MSR_MCG_STATUS)
		v->pv.mcg_status = value;
	if (msr <= MSR_MCG_CTL || bank >= MCE_BANKS)
		return 0;
	if (is_ctl2(msr))
		v->pv.mci_ctl2[index_nospec(bank, MCE_BANKS)] = value;
	else if (msr % 4 && value)
		return -EINVAL;
	return 0;
}
