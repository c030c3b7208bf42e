/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domctl: a domain's rights to ports, device memory and interrupts, and what it sees of CPUID and the TSC.
 * The caller holds domctl_lock and a reference. No domain is given what the caller does not have.
 */
#include "hypercall/domctl.h"
#include "dom/pirq.h"
#include "dom/sched.h"
#include "hw/time.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/validate.h"

#define PORTS 65536

static int iomem_permission(struct domain *d, uint64_t first, uint64_t count, bool allow)
{
	uint64_t last = first + count - 1;

	if (!count || last < first || last >= 1ull << (cpu_features.phys_bits - PAGE_SHIFT))
		return -EINVAL;
	if (!mm_iomem_contains(&current_domain()->mm, first, last))
		return -EPERM;
	return mm_iomem_permit(&d->mm, first, last, allow);
}

/* Of a map's word, the bits of ports [first, end), which it has some of. */
static uint64_t port_bits(unsigned word, unsigned first, unsigned end)
{
	unsigned from = MAX(first, word * BITS_PER_WORD) % BITS_PER_WORD;
	unsigned count = MIN(end, (word + 1) * BITS_PER_WORD) - MAX(first, word * BITS_PER_WORD);

	return ~0ull >> (BITS_PER_WORD - count) << from;
}

/* All 65,536 ports are 1,024 words: done at once. */
static int ioport_permission(struct domain *d, const struct xen_domctl_ioport_permission *q)
{
	const uint64_t *own = current_domain()->ioports;
	uint64_t *map = d->ioports;
	unsigned first = q->first_port, end = first + q->nr_ports;

	if (q->first_port >= PORTS || q->nr_ports > PORTS - q->first_port)
		return -EINVAL;
	if (!q->nr_ports)
		return 0;
	if (!own)
		return -EPERM;
	for (unsigned i = first / BITS_PER_WORD; i * BITS_PER_WORD < end; i++)
		if (port_bits(i, first, end) & ~READ_ONCE(own[i]))
			return -EPERM;
	if (!map && q->allow_access) {
		map = hv_alloc(PORTS / 8);
		if (!map)
			return -ENOMEM;
		__atomic_store_n(&d->ioports, map, __ATOMIC_RELEASE);
	}
	for (unsigned i = first / BITS_PER_WORD; map && i * BITS_PER_WORD < end; i++) {
		if (q->allow_access)
			__atomic_fetch_or(&map[i], port_bits(i, first, end), __ATOMIC_SEQ_CST);
		else
			__atomic_fetch_and(&map[i], ~port_bits(i, first, end), __ATOMIC_SEQ_CST);
	}
	return 0;
}

/* A paravirtual guest maps what it is permitted by itself. */
static int memory_mapping(const struct xen_domctl_memory_mapping *q)
{
	uint64_t last = q->first_mfn + q->nr_mfns - 1, limit = 1ull << (cpu_features.phys_bits - PAGE_SHIFT);

	return !q->nr_mfns || last < q->first_mfn || last >= limit ||
	                       q->first_gfn + q->nr_mfns - 1 < q->first_gfn
	               ? -EINVAL
	               : 0;
}

/* By default the guest reads the machine's own TSC, whatever its quality and that of the host where the guest began: its time
 * page has the scale. */
static int set_tsc(struct domain *d, const struct xen_domctl_tsc_info *q)
{
	if (d == current_domain() || q->tsc_mode > VTSC_NEVER_EMULATE)
		return -EINVAL;
	domain_pause(d);
	if (q->tsc_mode != VTSC_NEVER_EMULATE) {
		d->vtsc.offset_ns = time_now_ns() - q->elapsed_nsec;
		d->vtsc.khz = q->gtsc_khz ? q->gtsc_khz : (uint32_t)time_tsc_khz();
	}
	d->vtsc.emulated = q->tsc_mode == VTSC_ALWAYS_EMULATE;
	d->vtsc.mode = q->tsc_mode;
	d->vtsc.incarnation = q->incarnation + 1;
	domain_unpause(d);
	return 0;
}

static int get_tsc(const struct domain *d, struct xen_domctl_tsc_info *q)
{
	uint64_t elapsed_ns = time_now_ns();

	q->tsc_mode = d->vtsc.mode;
	q->incarnation = d->vtsc.incarnation;
	q->gtsc_khz = d->vtsc.emulated ? d->vtsc.khz : (uint32_t)time_tsc_khz();
	if (d->vtsc.emulated)
		elapsed_ns -= d->vtsc.offset_ns;
	q->elapsed_nsec = (int64_t)elapsed_ns < 0 ? 0 : elapsed_ns;
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
	if (d == current_domain())
		return -EINVAL;
	/* It may have seen its processor. Until then no vcpu of it can be looking, while domctl_lock is held. */
	if (!d->paused_at_creation)
		return -EEXIST;
	if (q->nr_leaves > POLICY_LEAVES_MAX || q->nr_msrs > POLICY_MSRS_MAX)
		return -E2BIG;
	copy = hv_alloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	if (!(q->nr_leaves && copy_from_handle(copy->leaves, q->leaves, 0, q->nr_leaves)) &&
	    !(q->nr_msrs && copy_from_handle(copy->msrs, q->msrs, 0, q->nr_msrs)))
		rc = cpu_policy_update(d, copy->leaves, q->nr_leaves, copy->msrs, q->nr_msrs, &q->err_msr);
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
	case XEN_DOMCTL_memory_mapping:
		return memory_mapping(&op->u.memory_mapping);
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
