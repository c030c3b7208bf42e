/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Toolstack operations that are not there, and what they answer. Tools tell their users what an error number says, and
 * libxl's flow depends on some: so each operation that Xen refuses for a paravirtual domain, or on a machine without the
 * hardware for it, is refused here with the number that Xen gives. -EOPNOTSUPP beside those is what Xen does and we
 * do not (docs/abi.md lists it), -ENOSYS what no Xen of that version knows.
 */
#include "hypercall/unavailable.h"
#include "dom/domtable.h"
#include "hw/uaccess.h"
#include "hypercall/hypercall.h"
#include "lib/release.h"
#include "lib/string.h"
#include <xen/vm_event.h>
#include <xen/hvm/hvm_op.h>

/* ---- domctl ---- */

static int vm_event_version(struct xen_domctl_vm_event_op *q, bool *out)
{
	q->u.version = VM_EVENT_INTERFACE_VERSION;
	*out = true;
	return 0;
}

static int vm_event_op(const struct domain *d, struct xen_domctl_vm_event_op *q, bool *out)
{
	if (q->op == XEN_VM_EVENT_GET_VERSION)
		return vm_event_version(q, out);
	return d == current_domain() || !d->max_vcpus || !d->vcpus[0] ||
	                       q->mode == XEN_DOMCTL_VM_EVENT_OP_MONITOR
	               ? -EINVAL
	               : -ENOSYS;
}

/* A paravirtual domain has no event that could be monitored. */
static int monitor_op(const struct domain *d, struct xen_domctl_monitor_op *q, bool *out)
{
	if (d == current_domain())
		return -EPERM;
	switch (q->op) {
	case XEN_DOMCTL_MONITOR_OP_GET_CAPABILITIES:
		q->event = 0;
		*out = true;
		return 0;
	case XEN_DOMCTL_MONITOR_OP_ENABLE:
	case XEN_DOMCTL_MONITOR_OP_DISABLE:
		return q->event > 31 ? -EINVAL : -EOPNOTSUPP;
	}
	return -EOPNOTSUPP;
}

/* Nobody has a device model that runs in a domain of its own. */
static int set_target(uint32_t target)
{
	struct domain *d = target < DOMID_FIRST_RESERVED ? domain_get((uint16_t)target) : NULL;

	if (!d)
		return -ESRCH;
	domain_put(d);
	return -EINVAL;
}

int domctl_without_domain(struct xen_domctl *op, bool *out)
{
	switch (op->cmd) {
	case XEN_DOMCTL_assign_device:
	case XEN_DOMCTL_deassign_device:
		return op->domain == DOMID_IO ? -EOPNOTSUPP : -ESRCH; /* the device's quarantine */
	case XEN_DOMCTL_test_assign_device:
		return op->domain == DOMID_INVALID ? -EOPNOTSUPP : -ESRCH;
	case XEN_DOMCTL_vm_event_op:
		if (op->domain == DOMID_INVALID && op->u.vm_event_op.op == XEN_VM_EVENT_GET_VERSION)
			return vm_event_version(&op->u.vm_event_op, out);
	}
	return -ESRCH;
}

int domctl_unavailable(struct domain *d, struct xen_domctl *op, bool *out)
{
	switch (op->cmd) {
	case XEN_DOMCTL_vm_event_op:
		return vm_event_op(d, &op->u.vm_event_op, out);
	case XEN_DOMCTL_monitor_op:
		return monitor_op(d, &op->u.monitor_op, out);
	case XEN_DOMCTL_set_target:
		return set_target(op->u.set_target.target);
	/* of hardware-virtualised domains */
	case XEN_DOMCTL_sethvmcontext:
	case XEN_DOMCTL_gethvmcontext:
	case XEN_DOMCTL_gethvmcontext_partial:
	case XEN_DOMCTL_bind_pt_irq:
	case XEN_DOMCTL_unbind_pt_irq:
	case XEN_DOMCTL_set_broken_page_p2m:
	case XEN_DOMCTL_debug_op:
	case XEN_DOMCTL_vmtrace_op:
	case XEN_DOMCTL_soft_reset:
	case XEN_DOMCTL_soft_reset_cont:
		return -EINVAL;
	case XEN_DOMCTL_ioport_mapping:
	case XEN_DOMCTL_get_paging_mempool_size:
	case XEN_DOMCTL_set_paging_mempool_size:
		return -EOPNOTSUPP;
	/* no processor with resource monitoring */
	case XEN_DOMCTL_psr_cmt_op:
	case XEN_DOMCTL_psr_alloc:
		return -ENODEV;
	/* no IOMMU */
	case XEN_DOMCTL_assign_device:
	case XEN_DOMCTL_deassign_device:
	case XEN_DOMCTL_test_assign_device:
	case XEN_DOMCTL_get_device_group:
	/* on Xen only */
	case XEN_DOMCTL_set_access_required:
	case XEN_DOMCTL_setvnumainfo:
		return -EOPNOTSUPP;
	}
	return -ENOSYS; /* gdbsx's too: Xen has them in special builds */
}

/* ---- sysctl ---- */

/* What is no ELF file is told so. */
static int livepatch_upload(const struct xen_sysctl_livepatch_upload *q)
{
	uint8_t magic[4];

	if (q->size < sizeof(magic))
		return -EINVAL;
	if (copy_from_handle(magic, q->payload, 0, sizeof(magic)))
		return -EFAULT;
	return memcmp(magic, "\177ELF", sizeof(magic)) ? -EINVAL : -EOPNOTSUPP;
}

/* No payload is ever loaded. */
static int livepatch_op(struct xen_sysctl_livepatch_op *q)
{
	struct xen_sysctl_livepatch_list *l = &q->u.list;

	if (!release_livepatch_good(q))
		return -EINVAL;
	switch (q->cmd) {
	case XEN_SYSCTL_LIVEPATCH_LIST:
		if (l->nr > 1024)
			return -E2BIG;
		if (l->pad)
			return -EINVAL;
		l->nr = l->version = l->name_total_size = l->metadata_total_size = 0;
		return 0;
	case XEN_SYSCTL_LIVEPATCH_UPLOAD:
		return livepatch_upload(&q->u.upload);
	case XEN_SYSCTL_LIVEPATCH_GET:
	case XEN_SYSCTL_LIVEPATCH_ACTION:
		return -ENOENT;
	}
	return -EOPNOTSUPP;
}

static bool is_ram(uint64_t mfn)
{
	for (unsigned i = 0; i < memory_map_count; i++)
		if (memory_map[i].type == 1 && mfn >= memory_map[i].start >> PAGE_SHIFT &&
		    mfn < memory_map[i].end >> PAGE_SHIFT)
			return true;
	return false;
}

/* Every frame of RAM is on line, and stays so. */
static int page_offline_op(const struct xen_sysctl_page_offline_op *q)
{
	uint32_t status = PG_OFFLINE_INVALID;
	int rc = -EINVAL;

	if (q->end < q->start)
		return -EINVAL;
	if (q->cmd > sysctl_query_page_offline)
		return -EINVAL;
	if (q->cmd == sysctl_page_offline && is_ram(q->start))
		return -EOPNOTSUPP;
	/* One at a time, as the tools ask. */
	if (q->cmd != sysctl_page_offline && q->end == q->start && is_ram(q->start))
		rc = status = 0;
	return copy_to_handle(q->status, 0, &status, 1) ? -EFAULT : rc;
}

int sysctl_unavailable(struct xen_sysctl *op)
{
	switch (op->cmd) {
	case XEN_SYSCTL_livepatch_op:
		return livepatch_op(&op->u.livepatch);
	case XEN_SYSCTL_page_offline_op:
		return page_offline_op(&op->u.page_offline);
	case XEN_SYSCTL_psr_cmt_op: /* no processor with resource monitoring */
	case XEN_SYSCTL_psr_alloc:
		return -ENODEV;
	case XEN_SYSCTL_coverage_op: /* Xen has it in special builds */
		return -EOPNOTSUPP;
	}
	return -ENOSYS; /* performance counters and lock profiles too: Xen has them in special builds */
}

/* ---- of hardware-virtualised domains ---- */

/* dm_op(domain, buffers): a device model's. */
int64_t hc_dm_op(struct hc_args *a)
{
	struct domain *d = domain_get_self_or((uint16_t)a->arg[0]);
	bool own = d == current_domain();

	if (!d)
		return -ESRCH;
	domain_put(d);
	return !current_domain()->privileged || own ? -EPERM : -EINVAL;
}

/* hvm_op(command, argument): of parameters, no paravirtual domain has one. */
int64_t hc_hvm_op(struct hc_args *a)
{
	struct xen_hvm_param q;
	struct domain *d;

	if (a->arg[0] != HVMOP_get_param && a->arg[0] != HVMOP_set_param)
		return -ENOSYS;
	if (guest_copy_in(&q, GVA(a->arg[1]), sizeof(q)))
		return -EFAULT;
	d = domain_get_self_or(q.domid);
	if (!d)
		return -ESRCH;
	domain_put(d);
	return -EINVAL;
}
