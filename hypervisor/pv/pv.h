/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of pv/ ask of the current vcpu: its mode, its I/O privilege level, its TSC. */
#ifndef PV_PV_H
#define PV_PV_H

#include "dom/domain.h"

/* Whether the guest's kernel, as opposed to its user mode, runs. */
static inline bool pv_in_kernel(const struct vcpu *v)
{
	return v->pv.kernel_mode;
}

/* What the current vcpu v reads as its TSC. */
static inline uint64_t pv_tsc(struct vcpu *v)
{
	return v->domain->vtsc.emulated ? vtsc_read(&v->domain->vtsc) : rdtsc();
}

/* Whether the vcpu's I/O privilege level allows what runs to touch ports and to execute CLI and STI. A kernel
 * stands at level 1, or, with VMASST_TYPE_architectural_iopl, at 0. */
static inline bool pv_iopl_allows(const struct vcpu *v)
{
	unsigned kernel_level = v->domain->vm_assist & (1u << VMASST_TYPE_architectural_iopl) ? 0 : 1;

	return v->pv.iopl >= (pv_in_kernel(v) ? kernel_level : 3);
}

#endif
