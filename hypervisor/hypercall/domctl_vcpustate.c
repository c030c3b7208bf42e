/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domctl: what a vcpu has besides its context, for who saves it and restores it: entry points of 32-bit user mode and
 * machine-check registers, extended state of its FPU, model-specific registers. The caller holds domctl_lock and a
 * reference. Formats and error numbers are those of Xen 4.17 (public/domctl.h), whose streams contain all three.
 */
#include "hypercall/domctl.h"
#include "dom/sched.h"
#include "hw/fpu.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "pv/mce.h"
#include "pv/msr.h"
#include "pv/vcpu.h"

/* ---- entry points and machine checks ---- */

#define MCG_CAP_COUNT 0xffull
#define MCG_CAP_CTL   (1ull << 8) /* the guest of another host may have seen MCG_CTL, which had no effect */

static void mce_get(const struct vcpu *v, struct hvm_vmce_vcpu *saved)
{
	*saved = (struct hvm_vmce_vcpu){ .caps = pv_mce_read(v, MSR_MCG_CAP),
		                         .mci_ctl2_bank0 = v->pv.mci_ctl2[0],
		                         .mci_ctl2_bank1 = v->pv.mci_ctl2[1] };
}

/* Capabilities that ours have not are refused. */
static int mce_set(struct vcpu *v, const struct hvm_vmce_vcpu *saved)
{
	if (saved->caps & ~(pv_mce_read(v, MSR_MCG_CAP) | MCG_CAP_COUNT | MCG_CAP_CTL))
		return -EINVAL;
	v->pv.mci_ctl2[0] = saved->mci_ctl2_bank0;
	v->pv.mci_ctl2[1] = saved->mci_ctl2_bank1;
	return 0;
}

static int get_extended(struct vcpu *v, struct xen_domctl_ext_vcpucontext *q)
{
	vcpu_pause(v);
	q->size = sizeof(*q);
	q->syscall32_callback_eip = v->pv.syscall32_callback;
	q->syscall32_callback_cs = v->pv.syscall32_cs;
	q->syscall32_disables_events = v->pv.syscall32_masks_events;
	q->sysenter_callback_eip = v->pv.sysenter_callback;
	q->sysenter_callback_cs = v->pv.sysenter_cs;
	q->sysenter_disables_events = v->pv.sysenter_masks_events;
	mce_get(v, &q->vmce);
	vcpu_unpause(v);
	return 0;
}

/* Older streams end before a field of vmce, which is zero then. */
static int set_extended(struct vcpu *v, struct xen_domctl_ext_vcpucontext *q)
{
	const size_t head = offsetof(struct xen_domctl_ext_vcpucontext, vmce);
	size_t mce = q->size < head ? 0 : q->size - head;
	int rc = 0;

	if (q->size < head || !pv_address_ok(q->sysenter_callback_eip) ||
	    !pv_address_ok(q->syscall32_callback_eip))
		return -EINVAL;
	if (mce < sizeof(q->vmce))
		q->vmce.mcg_ext_ctl = 0;
	if (mce < offsetof(struct hvm_vmce_vcpu, mcg_ext_ctl))
		q->vmce.mci_ctl2_bank0 = q->vmce.mci_ctl2_bank1 = 0;
	vcpu_pause(v);
	v->pv.syscall32_callback = q->syscall32_callback_eip;
	v->pv.syscall32_cs = pv_code_selector(q->syscall32_callback_cs);
	v->pv.syscall32_masks_events = q->syscall32_disables_events;
	v->pv.sysenter_callback = q->sysenter_callback_eip;
	v->pv.sysenter_cs = pv_code_selector(q->sysenter_callback_cs);
	v->pv.sysenter_masks_events = q->sysenter_disables_events;
	if (mce >= sizeof(q->vmce.caps))
		rc = mce_set(v, &q->vmce);
	vcpu_unpause(v);
	return rc;
}

/* ---- extended state: XCR0, the components that have ever been in it, and an XSAVE area of those ---- */

struct xstate_head {
	uint64_t xcr0, accumulated;
};

static uint32_t xstate_bytes(uint64_t components)
{
	return (uint32_t)sizeof(struct xstate_head) + (components ? cpu_policy_xsave_bytes(components) : 0);
}

static uint64_t host_components(void)
{
	return cpu_features.xsave ? cpu_features.xcr0_mask : 0;
}

static int get_xstate(struct vcpu *v, struct xen_domctl_vcpuextstate *q)
{
	struct xstate_head head = { 0 };
	uint64_t size;
	int rc = 0;

	if ((!q->size && !q->xfeature_mask) || handle_is_null(q->buffer)) {
		q->xfeature_mask = host_components();
		q->size = xstate_bytes(q->xfeature_mask);
		return 0;
	}
	vcpu_pause(v);
	if (cpu_policy_xcr0(v->domain->cpu_policy)) {
		head.xcr0 = v->pv.xcr0;
		head.accumulated = fpu_area_components(v->fpu_area, v->pv.xcr0);
	}
	size = xstate_bytes(head.accumulated);
	if (q->size < size || q->xfeature_mask != host_components())
		rc = -EINVAL;
	else if (guest_copy_out(handle_gva(q->buffer), &head, sizeof(head)) ||
	         guest_copy_out(GVA(handle_gva(q->buffer).v + sizeof(head)), v->fpu_area,
	                        size - sizeof(head)))
		rc = -EFAULT;
	else
		q->size = size;
	vcpu_unpause(v);
	return rc;
}

static int check_xstate(const struct vcpu *v, const struct xstate_head *head, const void *area, uint64_t size)
{
	uint64_t allowed = cpu_policy_xcr0(v->domain->cpu_policy);

	if (!head->accumulated)
		return head->xcr0 || size ? -EINVAL : 0;
	if (size != cpu_policy_xsave_bytes(head->accumulated & allowed) ||
	    (head->xcr0 & ~head->accumulated) || (head->accumulated & ~allowed) ||
	    fpu_xcr0_check(head->xcr0) || fpu_xcr0_check(head->accumulated))
		return -EINVAL;
	return fpu_area_check(area, head->accumulated);
}

static int set_xstate(struct vcpu *v, const struct xen_domctl_vcpuextstate *q)
{
	struct xstate_head *head;
	uint64_t size;
	int rc = -EFAULT;

	if (q->size < sizeof(*head) || q->size > xstate_bytes(host_components()))
		return -EINVAL;
	head = hv_alloc(q->size);
	if (!head)
		return -ENOMEM;
	size = q->size - sizeof(*head);
	if (!guest_copy_in(head, handle_gva(q->buffer), q->size))
		rc = check_xstate(v, head, head + 1, size);
	if (!rc && size) {
		vcpu_pause(v);
		fpu_init_area(v->fpu_area);
		memcpy(v->fpu_area, head + 1, size);
		v->pv.xcr0 = head->xcr0;
		vcpu_unpause(v);
	}
	hv_free(head);
	return rc;
}

/* ---- model-specific registers ---- */

static int get_msrs(struct vcpu *v, struct xen_domctl_vcpu_msrs *q)
{
	struct xen_domctl_vcpu_msr msr = { 0 };
	uint32_t told = 0;
	int rc = 0;

	if (handle_is_null(q->msrs)) {
		q->msr_count = PV_MSRS_KEPT;
		return 0;
	}
	vcpu_pause(v);
	for (unsigned i = 0; i < PV_MSRS_KEPT; i++) {
		msr.index = pv_msrs_kept[i];
		msr.value = pv_msr_kept(v, msr.index);
		if (!msr.value)
			continue;
		if (told < q->msr_count && !rc && copy_to_handle(q->msrs, told, &msr, 1))
			rc = -EFAULT;
		told++;
	}
	vcpu_unpause(v);
	if (told > q->msr_count && !rc)
		rc = -ENOBUFS;
	q->msr_count = told;
	return rc;
}

/* *out: at which the list was refused. */
static int set_msrs(struct vcpu *v, struct xen_domctl_vcpu_msrs *q, bool *out)
{
	struct xen_domctl_vcpu_msr msr;
	uint32_t i;
	int rc = 0;

	if (q->msr_count > PV_MSRS_KEPT)
		return -EINVAL;
	vcpu_pause(v);
	for (i = 0; i < q->msr_count && !rc; i++) {
		if (copy_from_handle(&msr, q->msrs, i, 1))
			rc = -EFAULT;
		else if (msr.reserved || pv_msr_keep(v, msr.index, msr.value))
			rc = -EINVAL;
	}
	vcpu_unpause(v);
	if (rc)
		q->msr_count = i - 1;
	*out = rc;
	return rc;
}

/* ---- dispatch ---- */

int domctl_vcpustate(struct domain *d, struct xen_domctl *op, bool *out)
{
	uint32_t id = op->u.vcpuextstate.vcpu; /* the first field of each */
	struct vcpu *v = id < d->max_vcpus ? d->vcpus[index_nospec(id, d->max_vcpus)] : NULL;
	bool extended =
	        op->cmd == XEN_DOMCTL_get_ext_vcpucontext || op->cmd == XEN_DOMCTL_set_ext_vcpucontext;

	_Static_assert(!offsetof(struct xen_domctl_vcpuextstate, vcpu) &&
	                       !offsetof(struct xen_domctl_vcpu_msrs, vcpu) &&
	                       !offsetof(struct xen_domctl_ext_vcpucontext, vcpu),
	               "vcpu is the first field");
	if (op->cmd == XEN_DOMCTL_getvcpuextstate || op->cmd == XEN_DOMCTL_get_vcpu_msrs)
		*out = v;
	if (!v)
		return -ESRCH;
	if (v == current_vcpu())
		return extended ? -ESRCH : -EINVAL;
	switch (op->cmd) {
	case XEN_DOMCTL_get_ext_vcpucontext:
		*out = true;
		return get_extended(v, &op->u.ext_vcpucontext);
	case XEN_DOMCTL_set_ext_vcpucontext:
		return d == current_domain() ? -ESRCH : set_extended(v, &op->u.ext_vcpucontext);
	case XEN_DOMCTL_getvcpuextstate:
		return get_xstate(v, &op->u.vcpuextstate);
	case XEN_DOMCTL_setvcpuextstate:
		return set_xstate(v, &op->u.vcpuextstate);
	case XEN_DOMCTL_get_vcpu_msrs:
		return get_msrs(v, &op->u.vcpu_msrs);
	case XEN_DOMCTL_set_vcpu_msrs:
		return set_msrs(v, &op->u.vcpu_msrs, out);
	default:
		return -ENOSYS;
	}
}
