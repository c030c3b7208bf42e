/* SPDX-License-Identifier: GPL-2.0-or-later */
/* domctl: operations on one vcpu of a domain. The caller holds domctl_lock and a reference. */
#include "hypercall/domctl.h"
#include "dom/cpupool.h"
#include "dom/sched.h"
#include "dom/vcpu.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "pv/vcpu.h"

static struct vcpu *vcpu_of(struct domain *d, uint32_t id)
{
	return id < d->max_vcpus ? d->vcpus[index_nospec(id, d->max_vcpus)] : NULL;
}

/* Without a context the one that it has is taken away, as after a suspend that was given up: the guest's own kernel brings
 * its other vcpus up again. */
static int reset(struct vcpu *v)
{
	struct domain *d = v->domain;
	int rc;

	vcpu_pause(v);
	spin_lock(&d->lock);
	bit_set(&v->pause_flags, PAUSE_DOWN);
	rc = pv_vcpu_reset(v);
	spin_unlock(&d->lock);
	if (!rc)
		vcpu_kick(v); /* it waits for nothing any more */
	vcpu_unpause(v);
	return rc;
}

/* An initialised vcpu gets other registers, but no other tables. */
static int set_context(struct domain *d, const struct xen_domctl_vcpucontext *q)
{
	struct vcpu *v = vcpu_of(d, q->vcpu);
	struct vcpu_guest_context *c;
	int rc = -EFAULT;

	if (d == current_domain() || !v)
		return -EINVAL;
	if (handle_is_null(q->ctxt))
		return reset(v);
	c = hv_alloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	if (!copy_from_handle(c, q->ctxt, 0, 1)) {
		domain_pause(d);
		spin_lock(&d->lock);
		rc = pv_vcpu_set_context(v, c);
		spin_unlock(&d->lock);
		/* Builders clear shared_info after the domain was made, and set vcpu 0 last. */
		if (!rc && !v->id)
			domain_wallclock_update(d);
		domain_unpause(d);
	}
	hv_free(c);
	return rc;
}

static int get_context(struct domain *d, const struct xen_domctl_vcpucontext *q)
{
	struct vcpu *v = vcpu_of(d, q->vcpu);
	struct vcpu_guest_context *c;
	int rc;

	if (!v)
		return -EINVAL;
	if (!v->initialised)
		return -ENODATA;
	if (v == current_vcpu())
		return -EINVAL;
	c = hv_alloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	vcpu_pause(v);
	pv_vcpu_get_context(v, c);
	vcpu_unpause(v);
	rc = copy_to_handle(q->ctxt, 0, c, 1);
	hv_free(c);
	return rc;
}

static int get_info(struct domain *d, struct xen_domctl_getvcpuinfo *q, bool *out)
{
	struct vcpu *v = vcpu_of(d, q->vcpu);
	struct vcpu_runstate_info r;

	if (!v)
		return q->vcpu < d->max_vcpus ? -ESRCH : -EINVAL;
	vcpu_runstate_get(v, &r);
	q->online = !bit_test(&v->pause_flags, PAUSE_DOWN);
	q->blocked = bit_test(&v->pause_flags, PAUSE_BLOCKED) || bit_test(&v->pause_flags, PAUSE_POLL);
	q->running = r.state == RUNSTATE_running;
	q->cpu_time = r.time[RUNSTATE_running];
	q->cpu = READ_ONCE(v->cpu);
	*out = true;
	return 0;
}

/* Answers with what is in effect. */
static int set_affinity(struct vcpu *v, struct xen_domctl_vcpuaffinity *q)
{
	cpumask_t hard = v->hard_affinity, soft = v->soft_affinity, effective;
	int rc;

	if (!(q->flags & (XEN_VCPUAFFINITY_HARD | XEN_VCPUAFFINITY_SOFT)))
		return -EINVAL;
	if ((q->flags & XEN_VCPUAFFINITY_HARD) && bitmap_in(&hard, &q->cpumap_hard))
		return -EFAULT;
	if ((q->flags & XEN_VCPUAFFINITY_SOFT) && bitmap_in(&soft, &q->cpumap_soft))
		return -EFAULT;
	rc = vcpu_set_affinity(v, &hard, &soft);
	if (rc)
		return rc;
	effective = cpumask_and(&hard, &v->domain->pool->cpus);
	if ((q->flags & XEN_VCPUAFFINITY_HARD) && bitmap_out(&q->cpumap_hard, &effective))
		return -EFAULT;
	if (q->flags & XEN_VCPUAFFINITY_SOFT) {
		effective = cpumask_and(&effective, &soft);
		if (bitmap_out(&q->cpumap_soft, &effective))
			return -EFAULT;
	}
	return 0;
}

static int get_affinity(struct vcpu *v, struct xen_domctl_vcpuaffinity *q)
{
	if ((q->flags & XEN_VCPUAFFINITY_HARD) && bitmap_out(&q->cpumap_hard, &v->hard_affinity))
		return -EFAULT;
	if ((q->flags & XEN_VCPUAFFINITY_SOFT) && bitmap_out(&q->cpumap_soft, &v->soft_affinity))
		return -EFAULT;
	return 0;
}

static int affinity(struct domain *d, struct xen_domctl_vcpuaffinity *q, bool set)
{
	struct vcpu *v = vcpu_of(d, q->vcpu);

	if (!v)
		return q->vcpu < d->max_vcpus ? -ESRCH : -EINVAL;
	return set ? set_affinity(v, q) : get_affinity(v, q);
}

static int send_trigger(struct domain *d, const struct xen_domctl_sendtrigger *q)
{
	struct vcpu *v = vcpu_of(d, q->vcpu);

	if (!v)
		return -ESRCH;
	if (q->trigger == XEN_DOMCTL_SENDTRIGGER_POWER || q->trigger == XEN_DOMCTL_SENDTRIGGER_SLEEP)
		return -EINVAL; /* ACPI buttons, which a paravirtual guest has not */
	if (q->trigger != XEN_DOMCTL_SENDTRIGGER_NMI)
		return -ENOSYS;
	WRITE_ONCE(v->pv.nmi_pending, true);
	vcpu_kick(v);
	return 0;
}

int domctl_vcpu(struct domain *d, struct xen_domctl *op, bool *out)
{
	switch (op->cmd) {
	case XEN_DOMCTL_setvcpucontext:
		return set_context(d, &op->u.vcpucontext);
	case XEN_DOMCTL_getvcpucontext:
		return get_context(d, &op->u.vcpucontext);
	case XEN_DOMCTL_getvcpuinfo:
		return get_info(d, &op->u.getvcpuinfo, out);
	case XEN_DOMCTL_setvcpuaffinity:
		return affinity(d, &op->u.vcpuaffinity, true);
	case XEN_DOMCTL_getvcpuaffinity:
		return affinity(d, &op->u.vcpuaffinity, false);
	case XEN_DOMCTL_sendtrigger:
		return send_trigger(d, &op->u.sendtrigger);
	default:
		return -ENOSYS;
	}
}
