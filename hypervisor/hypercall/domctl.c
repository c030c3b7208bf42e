/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domctl (xen/domctl.h, interface version 0x15): the toolstack's operations on one domain. dom0 alone may
 * call it.
 *
 * What stock tools of 4.17 need for paravirtual guests is here; what is not there answers in unavailable.c.
 */
#include "hypercall/domctl.h"
#include "dom/domtable.h"
#include "dom/sched.h"
#include "dom/vcpu.h"
#include "hw/smp.h"
#include "hypercall/settings.h"
#include "dom/cpupool.h"
#include "dom/evtchn.h"
#include "hypercall/unavailable.h"
#include "lib/log.h"
#include "lib/pvbuild.h"
#include "lib/release.h"
#include "lib/string.h"
#include "mm/dirtylog.h"
#include "mm/frame.h"
#include "mm/ptype.h"
#include "pv/vcpu.h"

unsigned default_grant_frames = 64, default_maptrack_frames = 1024;

spinlock_t domctl_lock = SPINLOCK(RANK_DOMCTL);

/* ---- creation ---- */

static int create_check(const struct xen_domctl_createdomain *c)
{
	const uint32_t harmless = XEN_DOMCTL_CDF_s3_integrity | XEN_DOMCTL_CDF_oos_off;

	/* Hardware-virtualised guests, IOMMU, nested, PMU, store domains: as on a Xen without. */
	if ((c->flags & ~harmless) || c->iommu_opts || c->vmtrace_size || c->arch.emulation_flags)
		return -EINVAL;
	if (!release_options_good(c))
		return -EINVAL;
	if (!c->max_vcpus || c->max_vcpus > VCPUS_MAX)
		return -EINVAL;
	if (!c->max_grant_frames || c->max_grant_frames > (int64_t)READ_ONCE(default_grant_frames) ||
	    c->max_maptrack_frames > (int64_t)READ_ONCE(default_maptrack_frames))
		return -EINVAL;
	if (XEN_DOMCTL_GRANT_version(c->grant_opts) != 1 || c->grant_opts & ~XEN_DOMCTL_GRANT_version_mask)
		return -EINVAL;
	return 0;
}

/* Creates the domain under a number of its own, counting up from the last one given, so that numbers return late. */
static int create_anywhere(struct domain_config *config, struct domain **d)
{
	static uint16_t last; /* domctl_lock */
	int rc = -EEXIST;

	for (unsigned tries = 0; rc == -EEXIST && tries < DOMID_FIRST_RESERVED; tries++) {
		last = last + 1u < DOMID_FIRST_RESERVED ? (uint16_t)(last + 1) : 1;
		*d = domain_get(last);
		if (*d) {
			domain_put(*d);
			continue;
		}
		config->domid = last;
		rc = domain_create(config, d);
	}
	return rc;
}

static int createdomain(struct xen_domctl *op, bool *out)
{
	const struct xen_domctl_createdomain *c = &op->u.createdomain;
	struct domain_config config = {
		.kind = &pv_guest,
		.domid = op->domain,
		.max_vcpus = c->max_vcpus,
		.max_evtchn_port = c->max_evtchn_port,
		.max_grant_frames = c->max_grant_frames < 0 ? READ_ONCE(default_grant_frames)
		                                            : (unsigned)c->max_grant_frames,
		.max_maptrack_frames = c->max_maptrack_frames < 0 ? READ_ONCE(default_maptrack_frames)
		                                                  : (unsigned)c->max_maptrack_frames,
		.ssidref = c->ssidref,
		.cpupool_id = c->cpupool_id,
	};
	struct domain *d;
	int rc = create_check(c);

	if (rc)
		return rc;
	memcpy(config.handle, c->handle, sizeof(config.handle));
	if (op->domain && op->domain < DOMID_FIRST_RESERVED)
		rc = domain_create(&config, &d);
	else
		rc = create_anywhere(&config, &d);
	if (rc)
		return rc;
	op->domain = d->domid;
	*out = true;
	return 0;
}

/* Asked again after a continuation: the vcpus that exist are passed over. */
static int max_vcpus(struct domain *d, unsigned count)
{
	if (d == current_domain() || count != d->max_vcpus)
		return -EINVAL;
	for (unsigned i = 0; i < count; i++) {
		int rc;

		if (d->vcpus[i])
			continue;
		if (READ_ONCE(d->life) != DOMAIN_ALIVE)
			return -EINVAL; /* nobody would take it apart */
		rc = vcpu_create(d, i);
		if (rc)
			return rc;
		if (i + 1 < count && work_pending())
			return -ERESTART_HV;
	}
	return 0;
}

/* ---- information ---- */

/* The reason of a shutdown is told also when there was none, or one that is yet to come, as Xen does. */
void domctl_info(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
	enum domain_life life = READ_ONCE(d->life);

	memset(info, 0, sizeof(*info));
	info->domain = d->domid;
	info->max_vcpu_id = XEN_INVALID_MAX_VCPU_ID;
	info->flags = XEN_DOMINF_blocked;
	for (unsigned i = 0; i < d->max_vcpus; i++) {
		struct vcpu *v = d->vcpus[i];
		struct vcpu_runstate_info r;

		if (!v)
			continue;
		vcpu_runstate_get(v, &r);
		info->cpu_time += r.time[RUNSTATE_running];
		info->max_vcpu_id = i;
		if (bit_test(&v->pause_flags, PAUSE_DOWN))
			continue;
		info->nr_online_vcpus++;
		if (!bit_test(&v->pause_flags, PAUSE_BLOCKED))
			info->flags &= ~XEN_DOMINF_blocked;
		if (r.state == RUNSTATE_running)
			info->flags |= XEN_DOMINF_running;
	}
	if (!info->nr_online_vcpus)
		info->flags = 0;
	if (life == DOMAIN_DEAD)
		info->flags |= XEN_DOMINF_dying;
	if (READ_ONCE(d->shut_down))
		info->flags |= XEN_DOMINF_shutdown;
	info->flags |= READ_ONCE(d->shutdown_code) << XEN_DOMINF_shutdownshift;
	if (READ_ONCE(d->controller_pause_count))
		info->flags |= XEN_DOMINF_paused;
	info->tot_pages = READ_ONCE(d->mm.tot_pages);
	info->max_pages = READ_ONCE(d->mm.max_pages);
	info->outstanding_pages = READ_ONCE(d->mm.claimed_pages);
	info->shared_info_frame = d->shared_info_mfn.m;
	info->ssidref = d->ssidref;
	info->cpupool = cpupool_of(d);
	memcpy(info->handle, d->handle, sizeof(info->handle));
	info->gpaddr_bits = cpu_features.phys_bits;
}

/* The domain of that number or the next one. */
static int getdomaininfo(struct xen_domctl *op, bool *out)
{
	struct domain *d;

	if (op->domain >= DOMID_FIRST_RESERVED)
		return -EINVAL;
	d = domain_get_next(op->domain);
	if (!d)
		return -ESRCH;
	domctl_info(d, &op->u.getdomaininfo);
	op->domain = d->domid;
	domain_put(d);
	*out = true;
	return 0;
}

/* ---- the domain's own settings ---- */

static int hypercall_init(struct domain *d, mfn_t mfn)
{
	int rc = frame_get_type(mfn, &d->mm, PTYPE_WRITABLE);

	if (rc)
		return -EACCES;
	pv_hypercall_page(frame_map_to_write(mfn));
	frame_written(mfn);
	frame_put_type(mfn);
	return 0;
}

static int setdomainhandle(struct domain *d, const xen_domain_handle_t handle)
{
	spin_lock(&d->lock);
	memcpy(d->handle, handle, sizeof(d->handle));
	spin_unlock(&d->lock);
	return 0;
}

static int settimeoffset(struct domain *d, int64_t seconds)
{
	spin_lock(&d->lock);
	d->time_offset_seconds = seconds;
	spin_unlock(&d->lock);
	domain_wallclock_update(d);
	return 0;
}

static int nodeaffinity_out(const struct xenctl_bitmap *map)
{
	cpumask_t node0 = { { 1 } };

	return bitmap_out(map, &node0);
}

static int nodeaffinity_in(const struct xenctl_bitmap *map)
{
	cpumask_t nodes;

	if (bitmap_in(&nodes, map))
		return -EFAULT;
	return cpumask_test(&nodes, 0) ? 0 : -EINVAL;
}

/* ---- dispatch ---- */

/* What would give a domain something that its destruction may have taken back already, or keep it from ever being freed. All
 * other orders act on what stays until the last reference goes. */
static bool refused_while_dying(uint32_t cmd)
{
	return cmd == XEN_DOMCTL_setvcpucontext || cmd == XEN_DOMCTL_set_virq_handler ||
	       cmd == XEN_DOMCTL_hypercall_init;
}

static int on_domain(struct domain *d, struct xen_domctl *op, bool *out)
{
	bool dying = READ_ONCE(d->life) != DOMAIN_ALIVE;

	if (dying && refused_while_dying(op->cmd))
		return -EINVAL;
	if (domctl_is_of_frames(op->cmd))
		return domctl_frames(d, op);
	switch (op->cmd) {
	case XEN_DOMCTL_destroydomain:
		return domain_destroy(d);
	case XEN_DOMCTL_pausedomain:
		return domain_controller_pause(d);
	case XEN_DOMCTL_unpausedomain:
		return domain_controller_unpause(d);
	case XEN_DOMCTL_resumedomain:
		return d == current_domain() ? -EINVAL : domain_resume(d);
	case XEN_DOMCTL_subscribe: /* any port: what it is worth is seen when the guest suspends */
		WRITE_ONCE(d->suspend_port, op->u.subscribe.port);
		return 0;
	case XEN_DOMCTL_max_vcpus:
		return max_vcpus(d, op->u.max_vcpus.max);
	case XEN_DOMCTL_max_mem:
		WRITE_ONCE(d->mm.max_pages, op->u.max_mem.max_memkb >> (PAGE_SHIFT - 10));
		return 0;
	case XEN_DOMCTL_setdomainhandle:
		return setdomainhandle(d, op->u.setdomainhandle.handle);
	case XEN_DOMCTL_setdebugging: /* to be stopped at breakpoints, which nobody could look at: gdbsx's
	                                 calls are missing */
		return op->u.setdebugging.enable ? -EOPNOTSUPP : 0;
	case XEN_DOMCTL_settimeoffset:
		return settimeoffset(d, op->u.settimeoffset.time_offset_seconds);
	case XEN_DOMCTL_set_virq_handler:
		return evtchn_set_global_virq_handler(d, op->u.set_virq_handler.virq);
	case XEN_DOMCTL_hypercall_init:
		return hypercall_init(d, MFN(op->u.hypercall_init.gmfn));
	case XEN_DOMCTL_set_address_size:
		return op->u.address_size.size == 64 ? 0 : -EOPNOTSUPP;
	case XEN_DOMCTL_get_address_size:
		op->u.address_size.size = 64;
		*out = true;
		return 0;
	case XEN_DOMCTL_setnodeaffinity:
		return nodeaffinity_in(&op->u.nodeaffinity.nodemap);
	case XEN_DOMCTL_getnodeaffinity:
		return nodeaffinity_out(&op->u.nodeaffinity.nodemap);
	case XEN_DOMCTL_scheduler_op:
		*out = true;
		return sched_adjust(d, &op->u.scheduler_op);
	case XEN_DOMCTL_setvcpucontext:
	case XEN_DOMCTL_getvcpucontext:
	case XEN_DOMCTL_getvcpuinfo:
	case XEN_DOMCTL_setvcpuaffinity:
	case XEN_DOMCTL_getvcpuaffinity:
	case XEN_DOMCTL_sendtrigger:
		return domctl_vcpu(d, op, out);
	case XEN_DOMCTL_get_ext_vcpucontext:
	case XEN_DOMCTL_set_ext_vcpucontext:
	case XEN_DOMCTL_getvcpuextstate:
	case XEN_DOMCTL_setvcpuextstate:
	case XEN_DOMCTL_get_vcpu_msrs:
	case XEN_DOMCTL_set_vcpu_msrs:
		return domctl_vcpustate(d, op, out);
	case XEN_DOMCTL_shadow_op: /* Xen says so of a dying one, and does nothing */
		return dying ? 0 : domctl_shadow(d, &op->u.shadow_op, out);
	case XEN_DOMCTL_irq_permission:
	case XEN_DOMCTL_iomem_permission:
	case XEN_DOMCTL_memory_mapping:
	case XEN_DOMCTL_ioport_permission:
	case XEN_DOMCTL_gettscinfo:
	case XEN_DOMCTL_settscinfo:
	case XEN_DOMCTL_get_cpu_policy:
	case XEN_DOMCTL_set_cpu_policy:
		return domctl_access(d, op, out);
	default:
		return domctl_unavailable(d, op, out);
	}
}

static int dispatch(struct xen_domctl *op, bool *out)
{
	struct domain *d;
	int rc;

	if (op->cmd == XEN_DOMCTL_createdomain)
		return createdomain(op, out);
	if (op->cmd == XEN_DOMCTL_getdomaininfo)
		return getdomaininfo(op, out);
	d = domain_get_self_or(op->domain);
	if (!d)
		return domctl_without_domain(op, out);
	rc = on_domain(d, op, out);
	domain_put(d);
	return rc;
}

int64_t hc_domctl(struct hc_args *a)
{
	gva_t at = GVA(a->arg[0]);
	struct xen_domctl op;
	bool out = false;
	uint32_t cmd;
	int rc;

	if (!current_domain()->privileged)
		return -EPERM;
	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION)
		return -EACCES;
	if (!spin_trylock(&domctl_lock))
		return -ERESTART_HV;
	cmd = op.cmd;
	rc = dispatch(&op, &out);
	spin_unlock(&domctl_lock);
	if (rc != -ERESTART_HV && domctl_is_of_frames(op.cmd))
		op.cmd &= CMD_MASK;
	if (op.cmd != cmd && guest_copy_out(at, &op.cmd, sizeof(op.cmd)))
		return -EFAULT;
	if (out && rc != -ERESTART_HV && guest_copy_out(at, &op, sizeof(op)))
		rc = -EFAULT;
	return rc;
}

/* ---- shared with sysctl ---- */

int bitmap_in(cpumask_t *mask, const struct xenctl_bitmap *map)
{
	unsigned bytes = MIN((map->nr_bits + 7) / 8, NR_CPUS / 8);

	memset(mask, 0, sizeof(*mask));
	if (guest_copy_in(mask, handle_gva(map->bitmap), bytes))
		return -EFAULT;
	for (unsigned i = map->nr_bits; i < NR_CPUS && i < bytes * 8; i++)
		cpumask_clear(mask, i);
	return 0;
}

int bitmap_out(const struct xenctl_bitmap *map, const cpumask_t *mask)
{
	uint32_t bytes = (map->nr_bits + 7) / 8, ours = MIN(bytes, NR_CPUS / 8);

	if (handle_is_null(map->bitmap))
		return 0;
	if (guest_copy_out(handle_gva(map->bitmap), mask, ours))
		return -EFAULT;
	if (bytes > ours && guest_clear(GVA(handle_gva(map->bitmap).v + ours), MIN(bytes - ours, 4096u)))
		return -EFAULT;
	return 0;
}

int policy_out(const struct cpu_policy *p, XEN_GUEST_HANDLE_64(xen_cpuid_leaf_t) leaves, uint32_t *leaf_count,
               XEN_GUEST_HANDLE_64(xen_msr_entry_t) msrs, uint32_t *msr_count)
{
	if (handle_is_null(leaves)) {
		*leaf_count = POLICY_LEAVES_MAX;
	} else {
		if (*leaf_count < p->leaf_count)
			return -ENOBUFS;
		if (copy_to_handle(leaves, 0, p->leaves, p->leaf_count))
			return -EFAULT;
		*leaf_count = p->leaf_count;
	}
	if (handle_is_null(msrs)) {
		*msr_count = POLICY_MSRS_MAX;
	} else {
		if (*msr_count < p->msr_count)
			return -ENOBUFS;
		if (copy_to_handle(msrs, 0, p->msrs, p->msr_count))
			return -EFAULT;
		*msr_count = p->msr_count;
	}
	return 0;
}
