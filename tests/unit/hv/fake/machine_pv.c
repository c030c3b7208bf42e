/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In pv/'s place, for tests of the real dom/ that do not link it. */
#include "machine.h"
#include "dom/vcpu.h"
#include "hw/fpu.h"
#include "mm/heap.h"
#include "mm/pagetable.h"

static int create(struct vcpu *v)
{
	v->pv.kernel_mode = true;
	/* pv/ owns the area for extended state, and nobody else. */
	v->fpu_area = hv_alloc_aligned(cpu_features.xsave_size, 64);
	return v->fpu_area ? 0 : -ENOMEM;
}

static void destroy(struct vcpu *v)
{
	hv_free(v->fpu_area);
	v->fpu_area = NULL;
}

static int create_domain(struct domain *d)
{
	(void)d;
	return 0;
}

static void destroy_domain(struct domain *d)
{
	(void)d;
}

static int relinquish(struct vcpu *v)
{
	int rc = 0;

	if (!mfn_eq(v->l4_kernel, INVALID_MFN))
		rc = pt_put(&v->domain->mm, v->l4_kernel, true);
	if (!rc)
		v->l4_kernel = INVALID_MFN;
	return rc;
}

static void stay(struct vcpu *v)
{
	vcpu_time_update(v, false);
}

/* vcpu_switch() is machine.c's: nothing leaves and nothing enters. */
const struct guest_kind pv_guest = {
	.domain_create = create_domain,
	.domain_destroy = destroy_domain,
	.vcpu_create = create,
	.vcpu_destroy = destroy,
	.vcpu_relinquish = relinquish,
	.stay = stay,
};

void fpu_init_area(void *area)
{
	memset(area, 0, cpu_features.xsave_size);
}
