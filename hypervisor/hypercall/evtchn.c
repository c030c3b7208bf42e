/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * event_channel_op (xen/event_channel.h): copies the operation in, calls dom/evtchn.c, copies the result out.
 * FIFO channels answer as on an older Xen: -ENOSYS.
 */
#include "hypercall/hypercall.h"
#include "dom/evtchn.h"

union evtchn_any {
	struct evtchn_alloc_unbound alloc_unbound;
	struct evtchn_bind_interdomain bind_interdomain;
	struct evtchn_bind_virq bind_virq;
	struct evtchn_bind_pirq bind_pirq;
	struct evtchn_bind_ipi bind_ipi;
	struct evtchn_close close;
	struct evtchn_send send;
	struct evtchn_status status;
	struct evtchn_bind_vcpu bind_vcpu;
	struct evtchn_unmask unmask;
	struct evtchn_reset reset;
};

struct evtchn_call {
	uint8_t size;
	bool out; /* has results */
};

static const struct evtchn_call calls[] = {
	[EVTCHNOP_bind_interdomain] = { sizeof(struct evtchn_bind_interdomain), true },
	[EVTCHNOP_bind_virq] = { sizeof(struct evtchn_bind_virq), true },
	[EVTCHNOP_bind_pirq] = { sizeof(struct evtchn_bind_pirq), true },
	[EVTCHNOP_close] = { sizeof(struct evtchn_close), false },
	[EVTCHNOP_send] = { sizeof(struct evtchn_send), false },
	[EVTCHNOP_status] = { sizeof(struct evtchn_status), true },
	[EVTCHNOP_alloc_unbound] = { sizeof(struct evtchn_alloc_unbound), true },
	[EVTCHNOP_bind_ipi] = { sizeof(struct evtchn_bind_ipi), true },
	[EVTCHNOP_bind_vcpu] = { sizeof(struct evtchn_bind_vcpu), false },
	[EVTCHNOP_unmask] = { sizeof(struct evtchn_unmask), false },
	[EVTCHNOP_reset] = { sizeof(struct evtchn_reset), false },
};

static int alloc_unbound(struct evtchn_alloc_unbound *op)
{
	struct domain *d;
	int rc = hc_target_domain(op->dom, &d);

	if (rc)
		return rc;
	rc = evtchn_alloc_unbound(d, op->remote_dom, &op->port);
	domain_put(d);
	return rc;
}

static int reset(const struct evtchn_reset *op)
{
	struct domain *d;
	int rc = hc_target_domain(op->dom, &d);

	if (rc)
		return rc;
	rc = evtchn_reset(d);
	domain_put(d);
	return rc;
}

static int evtchn_call(unsigned cmd, union evtchn_any *op)
{
	switch (cmd) {
	case EVTCHNOP_alloc_unbound:
		return alloc_unbound(&op->alloc_unbound);
	case EVTCHNOP_bind_interdomain:
		return evtchn_bind_interdomain(op->bind_interdomain.remote_dom,
		                               op->bind_interdomain.remote_port,
		                               &op->bind_interdomain.local_port);
	case EVTCHNOP_bind_virq:
		return evtchn_bind_virq(op->bind_virq.virq, op->bind_virq.vcpu, &op->bind_virq.port);
	case EVTCHNOP_bind_ipi:
		return evtchn_bind_ipi(op->bind_ipi.vcpu, &op->bind_ipi.port);
	case EVTCHNOP_bind_pirq:
		return evtchn_bind_pirq(op->bind_pirq.pirq, op->bind_pirq.flags & BIND_PIRQ__WILL_SHARE,
		                        &op->bind_pirq.port);
	case EVTCHNOP_close:
		return evtchn_close(current_domain(), op->close.port);
	case EVTCHNOP_send:
		return evtchn_send(current_domain(), op->send.port);
	case EVTCHNOP_status:
		return evtchn_status(&op->status);
	case EVTCHNOP_bind_vcpu:
		return evtchn_bind_vcpu(op->bind_vcpu.port, op->bind_vcpu.vcpu);
	case EVTCHNOP_unmask:
		return evtchn_unmask(op->unmask.port);
	case EVTCHNOP_reset:
		return reset(&op->reset);
	default:
		return -ENOSYS;
	}
}

static int64_t evtchn_op_at(unsigned cmd, gva_t at)
{
	union evtchn_any op;
	const struct evtchn_call *c;
	int rc;

	if (cmd >= ARRAY_SIZE(calls))
		return -ENOSYS;
	c = &calls[index_nospec(cmd, ARRAY_SIZE(calls))];
	if (!c->size)
		return -ENOSYS;
	if (guest_copy_in(&op, at, c->size))
		return -EFAULT;
	rc = evtchn_call(cmd, &op);
	if (!rc && c->out && guest_copy_out(at, &op, c->size))
		rc = -EFAULT;
	return rc;
}

int64_t hc_event_channel_op(struct hc_args *a)
{
	return evtchn_op_at((unsigned)a->arg[0], GVA(a->arg[1]));
}

/* The old form: command and operation in one structure. */
int64_t hc_event_channel_op_compat(struct hc_args *a)
{
	gva_t at = GVA(a->arg[0]);
	uint32_t cmd;

	if (guest_copy_in(&cmd, at, sizeof(cmd)))
		return -EFAULT;
	return evtchn_op_at(cmd, GVA(at.v + offsetof(struct evtchn_op, u)));
}
