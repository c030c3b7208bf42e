/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domains: creating, destroying, pausing, describing. Source: xen/domctl.h, xen/sysctl.h, xen/sched.h. */
#include <stdlib.h>
#include <string.h>

#include "private.h"
#include <xen/sched.h>

#define DEFAULT_EVENT_PORTS 1024
#define LIST_CHUNK          256

#ifndef ERESTART
#define ERESTART 85
#endif

int xyl_domain_create(struct xyl *x, const struct xyl_create *config, uint32_t *domid)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_createdomain, .domain = (domid_t)config->domid };
	struct xen_domctl_createdomain *c = &op.u.createdomain;

	if (!config->max_vcpus)
		return xyl_fail_text(EINVAL, "cannot create a domain without vcpus");
	if (config->domid >= XYL_DOMID_FIRST_RESERVED)
		return xyl_fail_text(EINVAL, "cannot create domain %u: the number is reserved",
		                     config->domid);
	memcpy(c->handle, config->uuid, sizeof(c->handle));
	c->flags = config->iommu ? XEN_DOMCTL_CDF_iommu : 0;
	c->max_vcpus = config->max_vcpus;
	c->max_evtchn_port = (config->max_event_ports ? config->max_event_ports : DEFAULT_EVENT_PORTS) - 1;
	c->max_grant_frames = config->max_grant_frames;
	c->max_maptrack_frames = config->max_maptrack_frames;
	c->grant_opts = XEN_DOMCTL_GRANT_version(1);
	c->cpupool_id = config->cpupool;
	if (xyl_domctl(x, &op, "create it") < 0) {
		int error = errno;

		if (error == EEXIST)
			return xyl_fail_text(error, "cannot create domain %u: the number is taken",
			                     config->domid);
		if (error == ESRCH || error == ENODEV)
			return xyl_fail_text(error, "cannot create a domain in CPU pool %u: %s",
			                     config->cpupool,
			                     error == ESRCH ? "there is no such pool" : "it has no CPU");
		return xyl_fail(error, "cannot create a domain with %u vcpus", config->max_vcpus);
	}
	*domid = op.domain;
	if (xyl_domain_set_max_vcpus(x, *domid, config->max_vcpus) < 0) {
		int error = errno;

		xyl_domain_destroy(x, *domid);
		return xyl_fail(error, "cannot create a domain with %u vcpus", config->max_vcpus);
	}
	return 0;
}

int xyl_domain_destroy(struct xyl *x, uint32_t domid)
{
	struct xen_domctl op;

	do {
		memset(&op, 0, sizeof(op));
		op.cmd = XEN_DOMCTL_destroydomain;
		op.domain = (domid_t)domid;
		if (xyl_domctl(x, &op, "destroy it") == 0)
			return 0;
	} while (errno == EAGAIN || errno == ERESTART);
	return -1;
}

static int simple(struct xyl *x, uint32_t domid, uint32_t cmd, const char *what)
{
	struct xen_domctl op = { .cmd = cmd, .domain = (domid_t)domid };

	return xyl_domctl(x, &op, what);
}

int xyl_domain_pause(struct xyl *x, uint32_t domid)
{
	return simple(x, domid, XEN_DOMCTL_pausedomain, "pause it");
}

int xyl_domain_unpause(struct xyl *x, uint32_t domid)
{
	return simple(x, domid, XEN_DOMCTL_unpausedomain, "unpause it");
}

/* vcpu 0 is in the hypercall, or about to return from it. */
static int cancel_suspend(struct xyl *x, uint32_t domid)
{
	vcpu_guest_context_t *c = malloc(sizeof(*c));
	int rc;

	if (!c)
		return xyl_fail(ENOMEM, "domain %u: cannot resume it", domid);
	rc = xyl_vcpu_get_context(x, domid, 0, c);
	c->user_regs.rax = 1;
	if (rc == 0)
		rc = xyl_vcpu_set_context(x, domid, 0, c);
	free(c);
	return rc;
}

int xyl_domain_resume(struct xyl *x, uint32_t domid)
{
	struct xyl_dominfo info;

	if (xyl_domain_info(x, domid, &info) < 0)
		return -1;
	if (info.shutdown && info.shutdown_reason == XYL_SHUTDOWN_SUSPEND) {
		if (info.hvm)
			return xyl_fail(EOPNOTSUPP, "domain %u: cannot resume an HVM guest", domid);
		if (cancel_suspend(x, domid) < 0)
			return -1;
	}
	return simple(x, domid, XEN_DOMCTL_resumedomain, "resume it");
}

int xyl_domain_shutdown(struct xyl *x, uint32_t domid, enum xyl_shutdown reason)
{
	struct sched_remote_shutdown op = { .domain_id = (domid_t)domid, .reason = reason };

	if (xyl_struct_op(x, __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, &op, sizeof(op)) < 0)
		return xyl_fail(errno, "domain %u: cannot stop it", domid);
	return 0;
}

static void fill_info(struct xyl_dominfo *out, const struct xen_domctl_getdomaininfo *in)
{
	memset(out, 0, sizeof(*out));
	out->domid = in->domain;
	out->dying = in->flags & XEN_DOMINF_dying;
	out->shutdown = in->flags & XEN_DOMINF_shutdown;
	out->paused = in->flags & XEN_DOMINF_paused;
	out->blocked = in->flags & XEN_DOMINF_blocked;
	out->running = in->flags & XEN_DOMINF_running;
	out->hvm = in->flags & XEN_DOMINF_hvm_guest;
	out->xenstore = in->flags & XEN_DOMINF_xs_domain;
	out->shutdown_reason = -1;
	if (out->shutdown)
		out->shutdown_reason = (in->flags >> XEN_DOMINF_shutdownshift) & XEN_DOMINF_shutdownmask;
	out->memory_pages = in->tot_pages;
	out->max_memory_pages = in->max_pages;
	out->outstanding_pages = in->outstanding_pages;
	out->shared_info_mfn = in->shared_info_frame;
	out->cpu_time_ns = in->cpu_time;
	out->online_vcpus = in->nr_online_vcpus;
	out->max_vcpus = in->max_vcpu_id == XEN_INVALID_MAX_VCPU_ID ? 0 : in->max_vcpu_id + 1;
	out->cpupool = in->cpupool;
	memcpy(out->uuid, in->handle, sizeof(out->uuid));
}

int xyl_domain_info(struct xyl *x, uint32_t domid, struct xyl_dominfo *info)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_getdomaininfo, .domain = (domid_t)domid };

	if (domid >= XYL_DOMID_FIRST_RESERVED)
		return xyl_fail_text(ESRCH, "domain %u: no such domain: the number is reserved", domid);
	if (xyl_domctl(x, &op, "describe it") < 0)
		return -1;
	/* Some hypervisors answer with the next domain instead of an error. */
	if (op.u.getdomaininfo.domain != domid)
		return xyl_fail_text(ESRCH, "domain %u: no such domain", domid);
	fill_info(info, &op.u.getdomaininfo);
	return 0;
}

int xyl_domain_list(struct xyl *x, uint32_t first, struct xyl_dominfo *info, uint32_t max)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_getdomaininfolist };
	size_t bytes = (size_t)max * sizeof(struct xen_domctl_getdomaininfo);
	struct xen_domctl_getdomaininfo *list;
	int rc;

	if (!max || first >= XYL_DOMID_FIRST_RESERVED)
		return 0;
	list = xyl_hypercall_alloc(x, bytes);
	if (!list)
		return -1;
	op.u.getdomaininfolist.first_domain = (domid_t)first;
	op.u.getdomaininfolist.max_domains = max;
	set_xen_guest_handle(op.u.getdomaininfolist.buffer, list);
	rc = xyl_sysctl(x, &op, "list the domains");
	if (rc == 0) {
		uint32_t n = op.u.getdomaininfolist.num_domains;

		rc = (int)(n < max ? n : max);
		for (int i = 0; i < rc; i++)
			fill_info(&info[i], &list[i]);
	}
	xyl_hypercall_free(x, list, bytes);
	return rc;
}

int xyl_domain_list_all(struct xyl *x, struct xyl_dominfo **info)
{
	struct xyl_dominfo *all = NULL, *larger;
	uint32_t first = 0;
	size_t have = 0;
	int n;

	do {
		larger = realloc(all, (have + LIST_CHUNK) * sizeof(*all));
		if (!larger) {
			free(all);
			return xyl_fail(ENOMEM, "cannot list the domains");
		}
		all = larger;
		n = xyl_domain_list(x, first, all + have, LIST_CHUNK);
		if (n < 0) {
			free(all);
			return -1;
		}
		have += (size_t)n;
		if (n)
			first = all[have - 1].domid + 1;
	} while (n == LIST_CHUNK);
	*info = all;
	return (int)have;
}

int xyl_domain_set_max_vcpus(struct xyl *x, uint32_t domid, uint32_t count)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_max_vcpus, .domain = (domid_t)domid };

	op.u.max_vcpus.max = count;
	return xyl_domctl(x, &op, "give it vcpus");
}

int xyl_domain_set_uuid(struct xyl *x, uint32_t domid, const uint8_t uuid[16])
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_setdomainhandle, .domain = (domid_t)domid };

	memcpy(op.u.setdomainhandle.handle, uuid, sizeof(op.u.setdomainhandle.handle));
	return xyl_domctl(x, &op, "set its UUID");
}

int xyl_domain_set_address_size(struct xyl *x, uint32_t domid, uint32_t bits)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_set_address_size, .domain = (domid_t)domid };

	op.u.address_size.size = bits;
	return xyl_domctl(x, &op, "set its address size");
}

int xyl_domain_set_time_offset(struct xyl *x, uint32_t domid, int64_t seconds)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_settimeoffset, .domain = (domid_t)domid };

	op.u.settimeoffset.time_offset_seconds = seconds;
	return xyl_domctl(x, &op, "set its clock offset");
}

int xyl_domain_set_tsc(struct xyl *x, uint32_t domid, enum xyl_tsc mode)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_settscinfo, .domain = (domid_t)domid };

	op.u.tsc_info.tsc_mode = mode;
	return xyl_domctl(x, &op, "set how it reads the TSC");
}

int xyl_domain_get_tsc(struct xyl *x, uint32_t domid)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_gettscinfo, .domain = (domid_t)domid };

	return xyl_domctl(x, &op, "tell how it reads the TSC") ? -1 : (int)op.u.tsc_info.tsc_mode;
}

int xyl_domain_hypercall_init(struct xyl *x, uint32_t domid, uint64_t mfn)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_hypercall_init, .domain = (domid_t)domid };

	op.u.hypercall_init.gmfn = mfn;
	return xyl_domctl(x, &op, "write its hypercall page");
}
