/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Machine-check registers, which any PV guest may read and write: 0, or -EINVAL: #GP. */
#ifndef PV_MCE_H
#define PV_MCE_H

#include "dom/domain.h"
#include "lib/types.h"

#define MSR_MCG_CAP 0x179

bool pv_mce_msr(uint32_t msr);
uint64_t pv_mce_read(const struct vcpu *v, uint32_t msr);
int pv_mce_write(struct vcpu *v, uint32_t msr, uint64_t value) __must_check;

#endif
