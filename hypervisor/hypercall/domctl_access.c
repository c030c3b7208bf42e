/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domctl: a domain's rights to ports, device memory and interrupts, and what it sees of CPUID and the TSC.
 * The caller holds domctl_lock and a reference. Nobody gives what he does not have.
 */
#include "hypercall/domctl.h"
#include "dom/pirq.h"
#include "hw/time.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/heap.h"

#define PORTS 65536

static int iomem_permission(struct domain *d, uint64_t first, uint64_t count, bool allow)
{
	uint64_t last = first + count - 1;
	int rc;

	if (!count || last < first || last >= 1ull << (cpu_features.phys_bits - PAGE_SHIFT))
		return -EINVAL;
	if (!rangeset_contains(&current_domain()->mm.iomem, first, last))
		return -EPERM;
	spin_lock(&d->mm.lock);
	if (allow)
		rc = rangeset_add(&d->mm.iomem, first, last);
	else
		rc = rangeset_remove(&d->mm.iomem, first, last);
	spin_unlock(&d->mm.lock);
	return rc;
}

static int ioport_permission(struct domain *d, const struct xen_domctl_ioport_permission *q)
{
	const uint64_t *own = current_domain()->ioports;
	uint64_t *map = d->ioports;

	if (q->first_port >= PORTS || q->nr_ports > PORTS - q->first_port)
		return -EINVAL;
	for (unsigned i = 0; i < q->nr_ports; i++)
		if (!own || !bit_test(own, q->first_port + i))
			return -EPERM;
	if (!map && q->allow_access) {
		map = hv_alloc(PORTS / 8);
		if (!map)
			return -ENOMEM;
		__atomic_store_n(&d->ioports, map, __ATOMIC_RELEASE);
	}
	for (unsigned i = 0; map && i < q->nr_ports; i++) {
		if (q->allow_access)
			bit_set(map, q->first_port + i);
		else
			bit_clear(map, q->first_port + i);
	}
	return 0;
}

static int set_tsc(struct domain *d, const struct xen_domctl_tsc_info *q)
{
	/* The guest reads the machine's own TSC: to emulate another is not offered. */
	if (q->tsc_mode != 0 /* default */ && q->tsc_mode != 2 /* never emulate */)
		return -EOPNOTSUPP;
	d->tsc_mode = q->tsc_mode;
	return 0;
}

static int get_tsc(const struct domain *d, struct xen_domctl_tsc_info *q)
{
	q->tsc_mode = d->tsc_mode;
	q->gtsc_khz = (uint32_t)time_tsc_khz();
	q->incarnation = 0;
	q->elapsed_nsec = time_now_ns();
	return 0;
}

static int set_policy(struct domain *d, struct xen_domctl_cpu_policy *q)
{
	struct policy_copy {
		xen_cpuid_leaf_t leaves[POLICY_LEAVES_MAX];
		xen_msr_entry_t msrs[POLICY_MSRS_MAX];
	} * copy;
	int rc = -EFAULT;

	q->err_leaf = q->err_subleaf = q->err_msr = ~0u;
	if (q->nr_leaves > POLICY_LEAVES_MAX || q->nr_msrs > POLICY_MSRS_MAX)
		return -E2BIG;
	if (d == current_domain())
		return -EINVAL;
	for (unsigned i = 0; i < d->max_vcpus; i++)
		if (d->vcpus[i] && d->vcpus[i]->runstate.time[RUNSTATE_running])
			return -EEXIST; /* it has seen its processor */
	copy = hv_alloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	if (!(q->nr_leaves && copy_from_handle(copy->leaves, q->leaves, 0, q->nr_leaves)) &&
	    !(q->nr_msrs && copy_from_handle(copy->msrs, q->msrs, 0, q->nr_msrs)))
		rc = cpu_policy_update(d, copy->leaves, q->nr_leaves, copy->msrs, q->nr_msrs, &q->err_leaf,
		                       &q->err_subleaf, &q->err_msr);
	hv_free(copy);
	return rc;
}

int domctl_access(struct domain *d, struct xen_domctl *op, bool *out)
{
	switch (op->cmd) {
	case XEN_DOMCTL_irq_permission:
		return pirq_permit(d, op->u.irq_permission.pirq, op->u.irq_permission.allow_access);
	case XEN_DOMCTL_iomem_permission:
		return iomem_permission(d, op->u.iomem_permission.first_mfn, op->u.iomem_permission.nr_mfns,
		                        op->u.iomem_permission.allow_access);
	case XEN_DOMCTL_memory_mapping: /* a paravirtual guest maps what it is permitted by itself */
		return 0;
	case XEN_DOMCTL_ioport_permission:
		return ioport_permission(d, &op->u.ioport_permission);
	case XEN_DOMCTL_settscinfo:
		return set_tsc(d, &op->u.tsc_info);
	case XEN_DOMCTL_gettscinfo:
		*out = true;
		return get_tsc(d, &op->u.tsc_info);
	case XEN_DOMCTL_get_cpu_policy:
		*out = true;
		return policy_out(d->cpu_policy, op->u.cpu_policy.leaves, &op->u.cpu_policy.nr_leaves,
		                  op->u.cpu_policy.msrs, &op->u.cpu_policy.nr_msrs);
	case XEN_DOMCTL_set_cpu_policy:
		*out = true;
		return set_policy(d, &op->u.cpu_policy);
	default:
		return -ENOSYS;
	}
}
