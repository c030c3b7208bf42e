/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* State of vcpus beside their registers, and CPU policies. Source: xen/domctl.h, xen/sysctl.h. */
#include <stdlib.h>
#include <string.h>

#include "cpufeatures.h"
#include "vcpustate.h"

#define POLICY_LEAVES_MAX (VCPUSTATE_BYTES_MAX / sizeof(xen_cpuid_leaf_t))
#define POLICY_MSRS_MAX   (VCPUSTATE_BYTES_MAX / sizeof(xen_msr_entry_t))

void blob_free(struct blob *b)
{
	free(b->data);
	*b = (struct blob){ NULL, 0 };
}

static int blob_copy(struct blob *out, uint32_t domid, const void *data, size_t bytes)
{
	*out = (struct blob){ NULL, 0 };
	if (!bytes)
		return 0;
	out->data = malloc(bytes);
	if (!out->data)
		return xyl_fail(ENOMEM, "domain %u: cannot copy %zu bytes of its state", domid, bytes);
	memcpy(out->data, data, bytes);
	out->bytes = bytes;
	return 0;
}

static int too_long(uint32_t domid, uint32_t vcpu, const char *what, uint64_t bytes)
{
	return xyl_fail_text(EPROTO, "domain %u: the %s of vcpu %u has %llu bytes, which cannot be", domid,
	                     what, vcpu, (unsigned long long)bytes);
}

int vcpustate_get_extended(struct xyl *x, uint32_t domid, uint32_t vcpu, struct blob *out)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_get_ext_vcpucontext, .domain = (domid_t)domid };

	op.u.ext_vcpucontext.vcpu = vcpu;
	if (xyl_domctl(x, &op, "read a vcpu's entry points") < 0)
		return -1;
	if (op.u.ext_vcpucontext.size > sizeof(op.u))
		return too_long(domid, vcpu, "extended state", op.u.ext_vcpucontext.size);
	return blob_copy(out, domid, &op.u.ext_vcpucontext, op.u.ext_vcpucontext.size);
}

int vcpustate_set_extended(struct xyl *x, uint32_t domid, uint32_t vcpu, const struct blob *b)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_set_ext_vcpucontext, .domain = (domid_t)domid };

	memcpy(&op.u.ext_vcpucontext, b->data, b->bytes);
	op.u.ext_vcpucontext.vcpu = vcpu;
	return xyl_domctl(x, &op, "set a vcpu's entry points");
}

int vcpustate_get_xsave(struct xyl *x, uint32_t domid, uint32_t vcpu, struct blob *out)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuextstate, .domain = (domid_t)domid };
	uint64_t bytes;
	void *buffer;
	int rc;

	*out = (struct blob){ NULL, 0 };
	op.u.vcpuextstate.vcpu = vcpu;
	if (xyl_domctl(x, &op, "ask for a vcpu's extended registers") < 0)
		return -1;
	if (!op.u.vcpuextstate.xfeature_mask || !op.u.vcpuextstate.size)
		return 0;
	bytes = op.u.vcpuextstate.size;
	if (bytes > VCPUSTATE_BYTES_MAX)
		return too_long(domid, vcpu, "extended registers", bytes);
	buffer = xyl_hypercall_alloc(x, bytes);
	if (!buffer)
		return -1;
	set_xen_guest_handle(op.u.vcpuextstate.buffer, buffer);
	rc = xyl_domctl(x, &op, "read a vcpu's extended registers");
	if (rc == 0)
		rc = op.u.vcpuextstate.size > bytes
		             ? too_long(domid, vcpu, "extended registers", op.u.vcpuextstate.size)
		             : blob_copy(out, domid, buffer, op.u.vcpuextstate.size);
	xyl_hypercall_free(x, buffer, bytes);
	return rc;
}

int vcpustate_set_xsave(struct xyl *x, uint32_t domid, uint32_t vcpu, const struct blob *b)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_setvcpuextstate, .domain = (domid_t)domid };
	void *buffer = xyl_hypercall_alloc(x, b->bytes);
	int rc;

	if (!buffer)
		return -1;
	memcpy(buffer, b->data, b->bytes);
	op.u.vcpuextstate.vcpu = vcpu;
	op.u.vcpuextstate.size = b->bytes;
	set_xen_guest_handle(op.u.vcpuextstate.buffer, buffer);
	rc = xyl_domctl(x, &op, "set a vcpu's extended registers, which this host's processors may not have");
	xyl_hypercall_free(x, buffer, b->bytes);
	return rc;
}

int vcpustate_get_msrs(struct xyl *x, uint32_t domid, uint32_t vcpu, struct blob *out)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_get_vcpu_msrs, .domain = (domid_t)domid };
	size_t bytes;
	void *buffer;
	int rc;

	*out = (struct blob){ NULL, 0 };
	op.u.vcpu_msrs.vcpu = vcpu;
	if (xyl_domctl(x, &op, "ask for a vcpu's MSRs") < 0)
		return -1;
	if (!op.u.vcpu_msrs.msr_count)
		return 0;
	bytes = (size_t)op.u.vcpu_msrs.msr_count * sizeof(xen_domctl_vcpu_msr_t);
	if (bytes > VCPUSTATE_BYTES_MAX)
		return too_long(domid, vcpu, "list of MSRs", bytes);
	buffer = xyl_hypercall_alloc(x, bytes);
	if (!buffer)
		return -1;
	set_xen_guest_handle(op.u.vcpu_msrs.msrs, buffer);
	rc = xyl_domctl(x, &op, "read a vcpu's MSRs");
	if (rc == 0) {
		size_t got = (size_t)op.u.vcpu_msrs.msr_count * sizeof(xen_domctl_vcpu_msr_t);

		rc = got > bytes ? too_long(domid, vcpu, "list of MSRs", got)
		                 : blob_copy(out, domid, buffer, got);
	}
	xyl_hypercall_free(x, buffer, bytes);
	return rc;
}

int vcpustate_set_msrs(struct xyl *x, uint32_t domid, uint32_t vcpu, const struct blob *b)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_set_vcpu_msrs, .domain = (domid_t)domid };
	void *buffer = xyl_hypercall_alloc(x, b->bytes);
	int rc;

	if (!buffer)
		return -1;
	memcpy(buffer, b->data, b->bytes);
	op.u.vcpu_msrs.vcpu = vcpu;
	op.u.vcpu_msrs.msr_count = (uint32_t)(b->bytes / sizeof(xen_domctl_vcpu_msr_t));
	set_xen_guest_handle(op.u.vcpu_msrs.msrs, buffer);
	rc = xyl_domctl(x, &op, "set a vcpu's MSRs, which this host's processors may not have");
	xyl_hypercall_free(x, buffer, b->bytes);
	return rc;
}

/* How long a policy can be on this hypervisor. */
static int policy_size(struct xyl *x, uint32_t *leaves, uint32_t *msrs)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_get_cpu_policy };

	op.u.cpu_policy.index = XEN_SYSCTL_cpu_policy_pv_max;
	if (xyl_sysctl(x, &op, "ask for the size of a CPU policy") < 0)
		return -1;
	*leaves = op.u.cpu_policy.nr_leaves;
	*msrs = op.u.cpu_policy.nr_msrs;
	if (*leaves > POLICY_LEAVES_MAX || *msrs > POLICY_MSRS_MAX)
		return xyl_fail_text(EPROTO, "a CPU policy of %u leaves and %u MSRs cannot be", *leaves,
		                     *msrs);
	return 0;
}

int vcpustate_get_policy(struct xyl *x, uint32_t domid, struct blob *cpuid, struct blob *msrs)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_get_cpu_policy, .domain = (domid_t)domid };
	xen_cpuid_leaf_t *leaves;
	xen_msr_entry_t *entries;
	uint32_t leaf_room, msr_room;
	int rc = -1;

	*cpuid = *msrs = (struct blob){ NULL, 0 };
	if (policy_size(x, &leaf_room, &msr_room) < 0)
		return -1;
	leaves = xyl_hypercall_alloc(x, leaf_room * sizeof(*leaves));
	entries = xyl_hypercall_alloc(x, msr_room * sizeof(*entries));
	if (leaves && entries) {
		op.u.cpu_policy.nr_leaves = leaf_room;
		op.u.cpu_policy.nr_msrs = msr_room;
		set_xen_guest_handle(op.u.cpu_policy.leaves, leaves);
		set_xen_guest_handle(op.u.cpu_policy.msrs, entries);
		rc = xyl_domctl(x, &op, "read its CPU policy");
		if (rc == 0 && (op.u.cpu_policy.nr_leaves > leaf_room || op.u.cpu_policy.nr_msrs > msr_room))
			rc = xyl_fail_text(EPROTO, "domain %u: its CPU policy is longer than one can be",
			                   domid);
	}
	if (rc == 0)
		rc = blob_copy(cpuid, domid, leaves, op.u.cpu_policy.nr_leaves * sizeof(*leaves));
	if (rc == 0)
		rc = blob_copy(msrs, domid, entries, op.u.cpu_policy.nr_msrs * sizeof(*entries));
	if (rc < 0)
		blob_free(cpuid);
	xyl_hypercall_free(x, leaves, leaf_room * sizeof(*leaves));
	xyl_hypercall_free(x, entries, msr_room * sizeof(*entries));
	return rc;
}

static bool is_at(const xen_cpuid_leaf_t *l, uint32_t leaf, uint32_t subleaf)
{
	return l->leaf == leaf && (l->subleaf == subleaf || (l->subleaf == XEN_CPUID_NO_SUBLEAF && !subleaf));
}

static xen_cpuid_leaf_t leaf_of(const struct blob *policy, const struct cpu_features_at *at)
{
	xen_cpuid_leaf_t l;

	for (size_t offset = 0; offset + sizeof(l) <= policy->bytes; offset += sizeof(l)) {
		memcpy(&l, (const char *)policy->data + offset, sizeof(l));
		if (is_at(&l, at->leaf, at->subleaf))
			return l;
	}
	return (xen_cpuid_leaf_t){ 0 };
}

static int differs(int error, uint32_t domid, uint32_t leaf, uint32_t subleaf, uint32_t msr)
{
	return xyl_fail(
	        error,
	        "domain %u: cannot set its CPU policy: this host's processors differ (CPUID leaf %#x, "
	        "subleaf %#x, MSR %#x)",
	        domid, leaf, subleaf, msr);
}

/* Hypervisors leave out of a policy what their host has not, without an error: a guest that has run elsewhere must find all
 * that it has seen. */
static int check_features(struct xyl *x, uint32_t domid, const struct blob *wanted)
{
	struct blob got, msrs;
	int rc = vcpustate_get_policy(x, domid, &got, &msrs);

	for (size_t i = 0; rc == 0 && i < CPU_FEATURES_KNOWN; i++) {
		const struct cpu_features_at *f = &cpu_features_known[i];
		xen_cpuid_leaf_t w = leaf_of(wanted, f), g = leaf_of(&got, f);

		if ((w.a & ~g.a & f->a) | (w.b & ~g.b & f->b) | (w.c & ~g.c & f->c) | (w.d & ~g.d & f->d))
			rc = differs(EINVAL, domid, f->leaf, f->subleaf, UINT32_MAX);
	}
	blob_free(&got);
	blob_free(&msrs);
	return rc;
}

static int set_policy(struct xyl *x, uint32_t domid, const struct blob *cpuid, const struct blob *msrs)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_set_cpu_policy, .domain = (domid_t)domid };
	void *leaves = xyl_hypercall_alloc(x, cpuid->bytes);
	void *entries = xyl_hypercall_alloc(x, msrs->bytes);
	int rc = -1;

	if (leaves && entries) {
		if (cpuid->bytes)
			memcpy(leaves, cpuid->data, cpuid->bytes);
		if (msrs->bytes)
			memcpy(entries, msrs->data, msrs->bytes);
		op.u.cpu_policy.nr_leaves = (uint32_t)(cpuid->bytes / sizeof(xen_cpuid_leaf_t));
		op.u.cpu_policy.nr_msrs = (uint32_t)(msrs->bytes / sizeof(xen_msr_entry_t));
		set_xen_guest_handle(op.u.cpu_policy.leaves, leaves);
		set_xen_guest_handle(op.u.cpu_policy.msrs, entries);
		op.u.cpu_policy.err_leaf = op.u.cpu_policy.err_subleaf = op.u.cpu_policy.err_msr = UINT32_MAX;
		rc = xyl_domctl(x, &op, "set its CPU policy");
		if (rc < 0 &&
		    (op.u.cpu_policy.err_leaf != UINT32_MAX || op.u.cpu_policy.err_msr != UINT32_MAX))
			rc = differs(errno, domid, op.u.cpu_policy.err_leaf, op.u.cpu_policy.err_subleaf,
			             op.u.cpu_policy.err_msr);
	}
	xyl_hypercall_free(x, leaves, cpuid->bytes);
	xyl_hypercall_free(x, entries, msrs->bytes);
	return rc;
}

int vcpustate_set_policy(struct xyl *x, uint32_t domid, const struct blob *cpuid, const struct blob *msrs)
{
	int rc = set_policy(x, domid, cpuid, msrs);

	return rc < 0 || !cpuid->bytes ? rc : check_features(x, domid, cpuid);
}

static int check_hidden(const struct xyl_cpuid *off)
{
	const struct cpu_features_at bits = {
		off->leaf, off->subleaf, off->eax, off->ebx, off->ecx, off->edx
	};

	if (cpu_features_are_known(&bits))
		return 0;
	return xyl_fail_text(
	        EINVAL,
	        "CPUID leaf %#x, subleaf %#x: of what shall be hidden (%#x %#x %#x %#x) not all are "
	        "features of a processor",
	        off->leaf, off->subleaf, off->eax, off->ebx, off->ecx, off->edx);
}

static void hide(struct blob *policy, const struct xyl_cpuid *off)
{
	xen_cpuid_leaf_t l;

	for (size_t at = 0; at + sizeof(l) <= policy->bytes; at += sizeof(l)) {
		memcpy(&l, (const char *)policy->data + at, sizeof(l));
		if (!is_at(&l, off->leaf, off->subleaf))
			continue;
		l.a &= ~off->eax;
		l.b &= ~off->ebx;
		l.c &= ~off->ecx;
		l.d &= ~off->edx;
		memcpy((char *)policy->data + at, &l, sizeof(l));
	}
}

int xyl_domain_hide_features(struct xyl *x, uint32_t domid, const struct xyl_cpuid *off, size_t count)
{
	struct blob cpuid, msrs;
	int rc;

	for (size_t i = 0; i < count; i++)
		if (check_hidden(&off[i]) < 0)
			return -1;
	if (vcpustate_get_policy(x, domid, &cpuid, &msrs) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		hide(&cpuid, &off[i]);
	rc = set_policy(x, domid, &cpuid, &msrs);
	blob_free(&cpuid);
	blob_free(&msrs);
	return rc;
}
