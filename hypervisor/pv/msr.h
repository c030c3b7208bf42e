/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MSRs of PV guests: 0, or -EINVAL: #GP. */
#ifndef PV_MSR_H
#define PV_MSR_H

#include "dom/domain.h"
#include "lib/types.h"

int pv_msr_read(struct vcpu *v, uint32_t msr, uint64_t *value) __must_check;
int pv_msr_write(struct vcpu *v, uint32_t msr, uint64_t value) __must_check;
/* Those that a vcpu keeps while it does not run, and takes along when it is saved; v does not run. Keep: 0, or -EINVAL for
 * another register or a value that the guest could not have written. */
#define PV_MSRS_KEPT 2
extern const uint32_t pv_msrs_kept[PV_MSRS_KEPT];
uint64_t pv_msr_kept(const struct vcpu *v, uint32_t msr);
int pv_msr_keep(struct vcpu *v, uint32_t msr, uint64_t value) __must_check;

#endif
