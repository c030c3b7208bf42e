/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vcpu_op (xen/vcpu.h): a guest brings its own vcpus up and down and registers their pages and timers. */
#include "hypercall/hypercall.h"
#include "dom/sched.h"
#include "dom/vcpu.h"
#include "mm/heap.h"
#include "hw/smp.h"
#include "hw/time.h"
#include "pv/vcpu.h"

#define PERIOD_MIN_NS 1000000u
#define PERIOD_MAX_NS (1ull << 62)

/* The context is copied at each continuation; pv/ goes on where it was. */
static int initialise(struct vcpu *v, gva_t at)
{
	struct vcpu_guest_context *c = hv_alloc(sizeof(*c));
	int rc = -EFAULT;

	if (!c)
		return -ENOMEM;
	if (!guest_copy_in(c, at, sizeof(*c))) {
		spin_lock(&v->domain->lock);
		rc = v->initialised ? -EEXIST : pv_vcpu_set_context(v, c);
		spin_unlock(&v->domain->lock);
	}
	hv_free(c);
	return rc;
}

static int up(struct vcpu *v)
{
	bool woken;

	spin_lock(&v->domain->lock);
	if (!v->initialised) {
		spin_unlock(&v->domain->lock);
		return -EINVAL;
	}
	woken = bit_test_and_clear(&v->pause_flags, PAUSE_DOWN);
	spin_unlock(&v->domain->lock);
	if (woken)
		vcpu_wake(v);
	return 0;
}

static int down(struct vcpu *v)
{
	struct domain *d = v->domain;
	bool others = false;

	spin_lock(&d->lock);
	for (unsigned i = 0; i < d->max_vcpus; i++)
		if (d->vcpus[i] && d->vcpus[i] != v && !bit_test(&d->vcpus[i]->pause_flags, PAUSE_DOWN))
			others = true;
	if (others)
		bit_set(&v->pause_flags, PAUSE_DOWN);
	spin_unlock(&d->lock);
	if (others)
		vcpu_sleep(v);
	else /* nobody would be left */
		domain_shutdown(d, SHUTDOWN_poweroff);
	return 0;
}

static int get_runstate(struct vcpu *v, gva_t at)
{
	struct vcpu_runstate_info r;

	vcpu_runstate_get(v, &r);
	return guest_copy_out(at, &r, sizeof(r)) ? -EFAULT : 0;
}

static int register_runstate(struct vcpu *v, gva_t at)
{
	struct vcpu_register_runstate_memory_area area;

	if (guest_copy_in(&area, at, sizeof(area)))
		return -EFAULT;
	if (!guest_range_ok(handle_gva(area.addr.h), sizeof(struct vcpu_runstate_info)))
		return -EFAULT;
	/* Another vcpu reads the handle once, when it is switched in: it sees the old or the new one. */
	__atomic_store_n(&v->runstate_area.p, area.addr.h.p, __ATOMIC_RELEASE);
	return v == current_vcpu() ? get_runstate(v, handle_gva(area.addr.h)) : 0;
}

static int register_time(struct vcpu *v, gva_t at)
{
	struct vcpu_register_time_memory_area area;

	if (guest_copy_in(&area, at, sizeof(area)))
		return -EFAULT;
	if (!guest_range_ok(handle_gva(area.addr.h), sizeof(struct vcpu_time_info)))
		return -EFAULT;
	__atomic_store_n(&v->time_area.p, area.addr.h.p, __ATOMIC_RELEASE);
	if (v == current_vcpu())
		vcpu_time_update(v, true);
	return 0;
}

static int register_info(struct vcpu *v, gva_t at)
{
	struct vcpu_register_vcpu_info info;
	int rc;

	if (guest_copy_in(&info, at, sizeof(info)))
		return -EFAULT;
	rc = vcpu_register_info(v, MFN(info.mfn), info.offset);
	if (!rc && v == current_vcpu())
		vcpu_time_update(v, true);
	return rc;
}

static int set_periodic(struct vcpu *v, gva_t at)
{
	struct vcpu_set_periodic_timer op;

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	if (op.period_ns < PERIOD_MIN_NS || op.period_ns > PERIOD_MAX_NS)
		return -EINVAL;
	vcpu_set_periodic(v, op.period_ns);
	return 0;
}

static int set_singleshot(struct vcpu *v, gva_t at)
{
	struct vcpu_set_singleshot_timer op;

	if (v != current_vcpu())
		return -EINVAL;
	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	/* A time that is over is an event at once, VCPU_SSHOTTMR_future or not: Xen 4.17 has no -ETIME any more. */
	vcpu_set_singleshot(v, op.timeout_abs_ns);
	return 0;
}

/* Where a vcpu of dom0's runs, if it is bound to one CPU. */
static int get_physid(struct vcpu *v, gva_t at)
{
	unsigned cpu, only = 0, n = 0;
	struct vcpu_get_physid id;

	if (!v->domain->privileged)
		return -EINVAL;
	for_each_cpu_in(cpu, &v->hard_affinity) {
		if (cpumask_test(&cpus_online, cpu)) {
			only = cpu;
			n++;
		}
	}
	if (n != 1)
		return -EINVAL;
	id.phys_id = cpu_apic_id(only) | (uint64_t)cpu_acpi_id(only) << 32;
	return guest_copy_out(at, &id, sizeof(id)) ? -EFAULT : 0;
}

int64_t hc_vcpu_op(struct hc_args *a)
{
	struct domain *d = current_domain();
	gva_t at = GVA(a->arg[2]);
	uint32_t id = (uint32_t)a->arg[1];
	struct vcpu *v;

	if (id >= d->max_vcpus)
		return -ENOENT;
	v = d->vcpus[index_nospec(id, d->max_vcpus)];
	if (!v)
		return -ENOENT;
	switch ((uint32_t)a->arg[0]) {
	case VCPUOP_initialise:
		return initialise(v, at);
	case VCPUOP_up:
		return up(v);
	case VCPUOP_down:
		return down(v);
	case VCPUOP_is_up:
		return !bit_test(&v->pause_flags, PAUSE_DOWN);
	case VCPUOP_get_runstate_info:
		return get_runstate(v, at);
	case VCPUOP_register_runstate_memory_area:
		return register_runstate(v, at);
	case VCPUOP_register_vcpu_info:
		return register_info(v, at);
	case VCPUOP_register_vcpu_time_memory_area:
		return register_time(v, at);
	case VCPUOP_set_periodic_timer:
		return set_periodic(v, at);
	case VCPUOP_stop_periodic_timer:
		vcpu_set_periodic(v, 0);
		return 0;
	case VCPUOP_set_singleshot_timer:
		return set_singleshot(v, at);
	case VCPUOP_stop_singleshot_timer:
		timer_stop(&v->singleshot_timer);
		return 0;
	case VCPUOP_send_nmi:
		WRITE_ONCE(v->pv.nmi_pending, true);
		vcpu_kick(v);
		return 0;
	case VCPUOP_get_physid:
		return get_physid(v, at);
	default:
		return -ENOSYS;
	}
}
