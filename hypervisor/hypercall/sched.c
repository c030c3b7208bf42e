/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sched_op (xen/sched.h) and set_timer_op. */
#include "hypercall/hypercall.h"
#include "dom/sched.h"
#include "dom/vcpu.h"
#include "hw/time.h"
#include "hw/trace.h"
#include "lib/log.h"

#define POLL_PORTS_MAX 128

static int poll(gva_t at)
{
	struct sched_poll op;
	evtchn_port_t ports[POLL_PORTS_MAX];

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	if (op.nr_ports > POLL_PORTS_MAX)
		return -EINVAL;
	if (op.nr_ports && copy_from_handle(ports, op.ports, 0, op.nr_ports))
		return -EFAULT;
	return vcpu_poll(ports, op.nr_ports, op.timeout);
}

static int remote_shutdown(gva_t at)
{
	struct sched_remote_shutdown op;
	struct domain *d;
	int rc;

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	if (!current_domain()->privileged)
		return -EPERM;
	rc = hc_target_domain(op.domain_id, &d);
	if (rc)
		return rc;
	domain_shutdown(d, (uint8_t)op.reason);
	domain_put(d);
	return 0;
}

/* Shut down now, or (SCHEDOP_shutdown_code) note the reason for a shutdown to come. */
static int shutdown(gva_t at, bool now)
{
	struct domain *d = current_domain();
	struct sched_shutdown op;

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	TRACE(now ? TRC_SCHED_SHUTDOWN : TRC_SCHED_SHUTDOWN_CODE, d->domid, current_vcpu()->id, op.reason);
	op.reason = (uint8_t)op.reason; /* any, told to the toolstack as it is */
	if (now) {
		log_guest(LOG_INFO, d->domid, "vcpu %u shuts the domain down, reason %u", current_vcpu()->id,
		          op.reason);
		domain_shutdown(d, op.reason);
	} else {
		__atomic_store_n(&d->shutdown_code, op.reason, __ATOMIC_SEQ_CST);
	}
	return 0;
}

static int watchdog(gva_t at)
{
	struct sched_watchdog op;

	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	return domain_watchdog(current_domain(), op.id, op.timeout);
}

int64_t hc_sched_op(struct hc_args *a)
{
	gva_t at = GVA(a->arg[1]);

	switch ((uint32_t)a->arg[0]) {
	case SCHEDOP_yield:
		vcpu_yield();
		return 0;
	case SCHEDOP_block:
		vcpu_block();
		return 0;
	case SCHEDOP_poll:
		return poll(at);
	case SCHEDOP_shutdown:
		return shutdown(at, true);
	case SCHEDOP_shutdown_code:
		return shutdown(at, false);
	case SCHEDOP_remote_shutdown:
		return remote_shutdown(at);
	case SCHEDOP_watchdog:
		return watchdog(at);
	default: /* pin_override too: nobody may pin a vcpu against its affinity */
		return -ENOSYS;
	}
}

/* The old form: the reason of a shutdown is the argument itself. */
int64_t hc_sched_op_compat(struct hc_args *a)
{
	switch ((uint32_t)a->arg[0]) {
	case SCHEDOP_yield:
		vcpu_yield();
		return 0;
	case SCHEDOP_block:
		vcpu_block();
		return 0;
	case SCHEDOP_shutdown:
		TRACE(TRC_SCHED_SHUTDOWN, current_domain()->domid, current_vcpu()->id, (uint32_t)a->arg[1]);
		domain_shutdown(current_domain(), (uint8_t)a->arg[1]);
		return 0;
	default:
		return -ENOSYS;
	}
}

#define FAR_NS  (1ull << 50) /* 13 days */
#define SOON_NS 100000000u

/* Old kernels' counters wrap, and they ask for a time that never comes where they have work to do now; others mean no
 * time by that. Xen's way between the two: it comes soon. */
static uint64_t timeout_within_reach(uint64_t timeout_ns)
{
	uint64_t now = time_now_ns();
	bool far = timeout_ns > now && timeout_ns - now >= FAR_NS;

	return (int64_t)timeout_ns < 0 || far ? now + SOON_NS : timeout_ns;
}

/* set_timer_op(timeout): absolute system time in nanoseconds; 0 stops the timer. */
int64_t hc_set_timer_op(struct hc_args *a)
{
	struct vcpu *v = current_vcpu();

	if (!a->arg[0])
		timer_stop(&v->singleshot_timer);
	else
		vcpu_set_singleshot(v, timeout_within_reach(a->arg[0]));
	return 0;
}
