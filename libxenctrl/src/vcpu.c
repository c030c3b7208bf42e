/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Vcpus: state, registers, affinity. Source: xen/domctl.h. */
#include <string.h>

#include "private.h"

int xyl_vcpu_info(struct xyl *x, uint32_t domid, uint32_t vcpu, struct xyl_vcpuinfo *info)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuinfo, .domain = (domid_t)domid };

	op.u.getvcpuinfo.vcpu = vcpu;
	if (xyl_domctl(x, &op, "describe a vcpu") < 0)
		return xyl_fail(errno, "domain %u: cannot describe vcpu %u", domid, vcpu);
	memset(info, 0, sizeof(*info));
	info->vcpu = vcpu;
	info->online = op.u.getvcpuinfo.online;
	info->blocked = op.u.getvcpuinfo.blocked;
	info->running = op.u.getvcpuinfo.running;
	info->cpu = op.u.getvcpuinfo.cpu;
	info->cpu_time_ns = op.u.getvcpuinfo.cpu_time;
	return 0;
}

int xyl_vcpu_nmi(struct xyl *x, uint32_t domid, uint32_t vcpu)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_sendtrigger, .domain = (domid_t)domid };

	op.u.sendtrigger.trigger = XEN_DOMCTL_SENDTRIGGER_NMI;
	op.u.sendtrigger.vcpu = vcpu;
	if (xyl_domctl(x, &op, "send an NMI") < 0)
		return xyl_fail(errno, "domain %u: cannot send vcpu %u an NMI", domid, vcpu);
	return 0;
}

static int context(struct xyl *x, uint32_t domid, uint32_t vcpu, uint32_t cmd, vcpu_guest_context_t *ctxt,
                   const char *what)
{
	struct xen_domctl op = { .cmd = cmd, .domain = (domid_t)domid };
	vcpu_guest_context_t *buffer = xyl_hypercall_alloc(x, sizeof(*buffer));
	int rc;

	if (!buffer)
		return -1;
	*buffer = *ctxt;
	op.u.vcpucontext.vcpu = vcpu;
	set_xen_guest_handle(op.u.vcpucontext.ctxt, buffer);
	rc = xyl_domctl(x, &op, what);
	if (rc < 0)
		xyl_fail(errno, "domain %u: cannot %s of vcpu %u", domid, what, vcpu);
	*ctxt = *buffer;
	xyl_hypercall_free(x, buffer, sizeof(*buffer));
	return rc;
}

int xyl_vcpu_get_context(struct xyl *x, uint32_t domid, uint32_t vcpu, struct vcpu_guest_context *ctxt)
{
	memset(ctxt, 0, sizeof(*ctxt));
	return context(x, domid, vcpu, XEN_DOMCTL_getvcpucontext, ctxt, "read the registers");
}

int xyl_vcpu_set_context(struct xyl *x, uint32_t domid, uint32_t vcpu, const struct vcpu_guest_context *ctxt)
{
	vcpu_guest_context_t copy = *ctxt;

	return context(x, domid, vcpu, XEN_DOMCTL_setvcpucontext, &copy, "set the registers");
}

/* Both maps go through one page: hard in its first half, soft in its second. */
static int affinity(struct xyl *x, uint32_t domid, uint32_t vcpu, uint32_t cmd, uint8_t *hard, uint8_t *soft,
                    size_t map_bytes, const char *what)
{
	struct xen_domctl op = { .cmd = cmd, .domain = (domid_t)domid };
	uint8_t *maps;
	int rc;

	if (!map_bytes || map_bytes > XYL_PAGE_BYTES / 2)
		return xyl_fail_text(EINVAL, "domain %u: a CPU map of %zu bytes cannot be", domid, map_bytes);
	maps = xyl_hypercall_alloc(x, XYL_PAGE_BYTES);
	if (!maps)
		return -1;
	op.u.vcpuaffinity.vcpu = vcpu;
	if (hard) {
		memcpy(maps, hard, map_bytes);
		op.u.vcpuaffinity.flags |= XEN_VCPUAFFINITY_HARD;
		set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, maps);
		op.u.vcpuaffinity.cpumap_hard.nr_bits = (uint32_t)map_bytes * 8;
	}
	if (soft) {
		memcpy(maps + XYL_PAGE_BYTES / 2, soft, map_bytes);
		op.u.vcpuaffinity.flags |= XEN_VCPUAFFINITY_SOFT;
		set_xen_guest_handle(op.u.vcpuaffinity.cpumap_soft.bitmap, maps + XYL_PAGE_BYTES / 2);
		op.u.vcpuaffinity.cpumap_soft.nr_bits = (uint32_t)map_bytes * 8;
	}
	rc = xyl_domctl(x, &op, what);
	if (rc < 0)
		xyl_fail(errno, "domain %u: cannot %s of vcpu %u", domid, what, vcpu);
	if (rc == 0 && hard)
		memcpy(hard, maps, map_bytes);
	if (rc == 0 && soft)
		memcpy(soft, maps + XYL_PAGE_BYTES / 2, map_bytes);
	xyl_hypercall_free(x, maps, XYL_PAGE_BYTES);
	return rc;
}

int xyl_vcpu_get_affinity(struct xyl *x, uint32_t domid, uint32_t vcpu, uint8_t *hard, uint8_t *soft,
                          size_t map_bytes)
{
	if (hard)
		memset(hard, 0, map_bytes);
	if (soft)
		memset(soft, 0, map_bytes);
	return affinity(x, domid, vcpu, XEN_DOMCTL_getvcpuaffinity, hard, soft, map_bytes,
	                "read the CPU affinity");
}

int xyl_vcpu_set_affinity(struct xyl *x, uint32_t domid, uint32_t vcpu, const uint8_t *hard,
                          const uint8_t *soft, size_t map_bytes)
{
	uint8_t hard_copy[XYL_PAGE_BYTES / 2], soft_copy[XYL_PAGE_BYTES / 2];

	if (map_bytes > sizeof(hard_copy))
		return xyl_fail_text(EINVAL, "domain %u: a CPU map of %zu bytes cannot be", domid, map_bytes);
	/* The hypervisor writes back what became effective; the caller's maps stay as they are. */
	if (hard)
		memcpy(hard_copy, hard, map_bytes);
	if (soft)
		memcpy(soft_copy, soft, map_bytes);
	return affinity(x, domid, vcpu, XEN_DOMCTL_setvcpuaffinity, hard ? hard_copy : NULL,
	                soft ? soft_copy : NULL, map_bytes, "set the CPU affinity");
}
