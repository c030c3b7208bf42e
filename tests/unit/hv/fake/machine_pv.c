/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In pv/'s place, for tests of the real dom/ that do not link it. */
#include "machine.h"
#include "hw/fpu.h"

int pv_vcpu_create(struct vcpu *v)
{
	v->pv.kernel_mode = true;
	/* pv/ owns the area for extended state, and nobody else. */
	v->fpu_area = hv_alloc_aligned(cpu_features.xsave_size, 64);
	return v->fpu_area ? 0 : -ENOMEM;
}

void pv_vcpu_destroy(struct vcpu *v)
{
	hv_free(v->fpu_area);
	v->fpu_area = NULL;
}

int pv_domain_create(struct domain *d)
{
	(void)d;
	return 0;
}

void pv_domain_destroy(struct domain *d)
{
	(void)d;
}

int pv_vcpu_relinquish(struct vcpu *v)
{
	int rc = 0;

	if (!mfn_eq(v->l4_kernel, INVALID_MFN))
		rc = pt_put(&v->domain->mm, v->l4_kernel, true);
	if (!rc)
		v->l4_kernel = INVALID_MFN;
	return rc;
}

void fpu_init_area(void *area)
{
	memset(area, 0, cpu_features.xsave_size);
}
