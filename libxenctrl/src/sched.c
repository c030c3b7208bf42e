/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scheduler: which one, and a domain's weight and cap in it. Source: xen/domctl.h, xen/sysctl.h. */
#include <string.h>

#include "private.h"

int xyl_scheduler_id(struct xyl *x, enum xyl_scheduler *id)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_sched_id };

	if (xyl_sysctl(x, &op, "ask for the scheduler") < 0)
		return -1;
	*id = (enum xyl_scheduler)op.u.sched_id.sched_id;
	return 0;
}

const char *xyl_scheduler_name(enum xyl_scheduler id)
{
	switch (id) {
	case XYL_SCHED_CREDIT:
		return "credit";
	case XYL_SCHED_CREDIT2:
		return "credit2";
	case XYL_SCHED_ARINC653:
		return "arinc653";
	case XYL_SCHED_RTDS:
		return "rtds";
	case XYL_SCHED_NULL:
		return "null";
	default:
		return "unknown";
	}
}

/* That of the domain's CPU pool; Pool-0 has the host's. */
static int domain_scheduler(struct xyl *x, uint32_t domid, enum xyl_scheduler *id)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_cpupool_op };
	struct xyl_dominfo info;

	if (xyl_domain_info(x, domid, &info) < 0)
		return -1;
	if (!info.cpupool)
		return xyl_scheduler_id(x, id);
	op.u.cpupool_op.op = XEN_SYSCTL_CPUPOOL_OP_INFO;
	op.u.cpupool_op.cpupool_id = info.cpupool;
	if (xyl_sysctl(x, &op, "ask for a CPU pool's scheduler") < 0)
		return -1;
	*id = (enum xyl_scheduler)op.u.cpupool_op.sched_id;
	return 0;
}

static int prepare(struct xyl *x, uint32_t domid, struct xen_domctl *op, uint32_t cmd)
{
	enum xyl_scheduler id;

	if (domain_scheduler(x, domid, &id) < 0)
		return -1;
	if (id != XYL_SCHED_CREDIT && id != XYL_SCHED_CREDIT2)
		return xyl_fail_text(EOPNOTSUPP, "domain %u: its scheduler (%s) knows no weights and caps",
		                     domid, xyl_scheduler_name(id));
	memset(op, 0, sizeof(*op));
	op->cmd = XEN_DOMCTL_scheduler_op;
	op->domain = (domid_t)domid;
	op->u.scheduler_op.sched_id = id;
	op->u.scheduler_op.cmd = cmd;
	return 0;
}

int xyl_sched_get(struct xyl *x, uint32_t domid, struct xyl_sched *params)
{
	struct xen_domctl op;

	if (prepare(x, domid, &op, XEN_DOMCTL_SCHEDOP_getinfo) < 0)
		return -1;
	if (xyl_domctl(x, &op, "read its scheduling parameters") < 0)
		return -1;
	/* credit and credit2 have the same two fields */
	params->weight = op.u.scheduler_op.u.credit.weight;
	params->cap = op.u.scheduler_op.u.credit.cap;
	return 0;
}

int xyl_sched_set(struct xyl *x, uint32_t domid, const struct xyl_sched *params)
{
	struct xen_domctl op;

	if (!params->weight || params->weight > UINT16_MAX || params->cap > UINT16_MAX)
		return xyl_fail_text(
		        EINVAL,
		        "domain %u: weight %u or cap %u is out of range (weight 1 to 65535, cap 0 to 65535)",
		        domid, params->weight, params->cap);
	if (prepare(x, domid, &op, XEN_DOMCTL_SCHEDOP_putinfo) < 0)
		return -1;
	op.u.scheduler_op.u.credit.weight = (uint16_t)params->weight;
	op.u.scheduler_op.u.credit.cap = (uint16_t)params->cap;
	return xyl_domctl(x, &op, "set its scheduling parameters");
}
