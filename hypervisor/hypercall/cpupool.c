/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sysctl: XEN_SYSCTL_cpupool_op, with the error numbers of Xen's. The caller holds domctl_lock. */
#include "dom/cpupool.h"
#include "dom/domtable.h"
#include "hypercall/domctl.h"
#include "hypercall/sysctl.h"

static int create(struct xen_sysctl_cpupool_op *q)
{
	struct cpupool *p;
	int rc;

	_Static_assert(CPUPOOL_ANY == XEN_SYSCTL_CPUPOOL_PAR_ANY, "any is any");
	rc = cpupool_create(q->cpupool_id, q->sched_id, &p);
	if (!rc)
		q->cpupool_id = p->id;
	return rc;
}

static int info(struct xen_sysctl_cpupool_op *q)
{
	const struct cpupool *p = cpupool_find_next(q->cpupool_id);

	if (!p)
		return -ENOENT;
	q->cpupool_id = p->id;
	q->sched_id = p->sched_id;
	q->n_dom = READ_ONCE(p->domain_count);
	return bitmap_out(&q->cpumap, &p->cpus);
}

static int add_cpu(struct cpupool *p, uint32_t cpu)
{
	if (cpu != XEN_SYSCTL_CPUPOOL_PAR_ANY)
		return cpupool_add_cpu(p, cpu);
	cpu = bit_next(cpus_free.bits, NR_CPUS, 0);
	return cpu < NR_CPUS ? cpupool_add_cpu(p, cpu) : -ENODEV;
}

/* A continuation finds the CPU's number where any was asked for. */
static int remove_cpu(struct cpupool *p, uint32_t *cpu)
{
	unsigned i;

	if (*cpu == XEN_SYSCTL_CPUPOOL_PAR_ANY)
		for_each_cpu_in(i, &p->cpus)
			*cpu = i; /* the last one */
	return cpupool_remove_cpu(p, *cpu);
}

static int move_domain(const struct xen_sysctl_cpupool_op *q)
{
	struct domain *d = domain_get((uint16_t)q->domid);
	struct cpupool *p = cpupool_find(q->cpupool_id);
	int rc;

	if (!d)
		return -ESRCH;
	if (d == current_domain())
		rc = -EPERM;
	else if (READ_ONCE(d->life) !=
	         DOMAIN_ALIVE) /* it is in Pool-0, or on its way: it shall keep no pool from its end */
		rc = -EINVAL;
	else
		rc = p ? cpupool_move_domain(d, p) : -ENOENT;
	domain_put(d);
	return rc;
}

int sysctl_cpupool(struct xen_sysctl_cpupool_op *q)
{
	struct cpupool *p = cpupool_find(q->cpupool_id);

	switch (q->op) {
	case XEN_SYSCTL_CPUPOOL_OP_CREATE:
		return create(q);
	case XEN_SYSCTL_CPUPOOL_OP_DESTROY:
		return p ? cpupool_destroy(p) : -ENOENT;
	case XEN_SYSCTL_CPUPOOL_OP_INFO:
		return info(q);
	case XEN_SYSCTL_CPUPOOL_OP_ADDCPU:
		return p ? add_cpu(p, q->cpu) : -ENOENT;
	case XEN_SYSCTL_CPUPOOL_OP_RMCPU:
		return p ? remove_cpu(p, &q->cpu) : -ENOENT;
	case XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN:
		return move_domain(q);
	case XEN_SYSCTL_CPUPOOL_OP_FREEINFO:
		return bitmap_out(&q->cpumap, &cpus_free);
	}
	return -ENOSYS;
}
