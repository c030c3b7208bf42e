/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sysctl (xen/sysctl.h): what the toolstack asks of the whole machine. dom0 alone may call it. One NUMA node.
 * Pools are in cpupool.c; what is not there answers in unavailable.c.
 */
#include "hypercall/domctl.h"
#include "dom/cpupool.h"
#include "dom/domtable.h"
#include "dom/hotplug.h"
#include "dom/sched.h"
#include "hw/console.h"
#include "hw/cpu.h"
#include "hw/mem.h"
#include "hw/smp.h"
#include "hw/time.h"
#include "hypercall/sysctl.h"
#include "hypercall/unavailable.h"
#include "lib/string.h"
#include "mm/heap.h"

#define DOMAINS_SLICE 16 /* with all their vcpus */

/* ---- console and domains ---- */

static int readconsole(struct xen_sysctl_readconsole *q)
{
	uint32_t index = q->incremental ? q->index : 0, done = 0;
	char chunk[512];

	while (done < q->count) {
		uint32_t n = console_ring_read(chunk, MIN(q->count - done, (uint32_t)sizeof(chunk)), &index);

		if (!n)
			break;
		if (guest_copy_out(GVA(handle_gva(q->buffer).v + done), chunk, n))
			return -EFAULT;
		done += n;
	}
	q->count = done;
	q->index = index;
	if (q->clear)
		console_ring_clear();
	return 0;
}

/*
 * Each domain costs as much as the last one, however many there are. A continuation finds the next number, plus one, above
 * the command in cmd, and how many it has told in num_domains.
 */
static int getdomaininfolist(struct xen_sysctl *op)
{
	struct xen_sysctl_getdomaininfolist *q = &op->u.getdomaininfolist;
	struct xen_domctl_getdomaininfo info;
	unsigned next = op->cmd >> CMD_BITS, domid = next ? next - 1 : q->first_domain;
	unsigned n = next ? q->num_domains : 0, first = n;

	while (n < q->max_domains && domid < DOMID_FIRST_RESERVED) {
		struct domain *d;

		if (n != first && n % DOMAINS_SLICE == 0 && work_pending()) {
			op->cmd = XEN_SYSCTL_getdomaininfolist | (domid + 1) << CMD_BITS;
			q->num_domains = n;
			return -ERESTART_HV;
		}
		d = domain_get_next((uint16_t)domid);
		if (!d)
			break;
		domctl_info(d, &info);
		domid = d->domid + 1u;
		domain_put(d);
		if (copy_to_handle(q->buffer, n, &info, 1))
			return -EFAULT;
		n++;
	}
	q->num_domains = n;
	return 0;
}

/* ---- the machine ---- */

static unsigned online_cpus(void)
{
	unsigned n = 0, cpu;

	for_each_cpu_in(cpu, &cpus_in_use)
		n++;
	return n;
}

/* What the machine has, as Xen counts it: all RAM of the firmware's map, with the hypervisor's own share. */
static uint64_t ram_pages(void)
{
	uint64_t pages = 0;

	for (unsigned i = 0; i < memory_map_count; i++) {
		uint64_t first = ROUND_UP(memory_map[i].start, PAGE_SIZE) >> PAGE_SHIFT;
		uint64_t end = MIN(memory_map[i].end >> PAGE_SHIFT, max_mfn);

		if (memory_map[i].type == 1 && first < end)
			pages += end - first;
	}
	return pages;
}

static bool same_core(unsigned a, unsigned b)
{
	return cpu_ids[a].package == cpu_ids[b].package && cpu_ids[a].core == cpu_ids[b].core;
}

/* As the fullest package and core have them: an uneven machine has less than the product. */
static void topology(struct xen_sysctl_physinfo *p)
{
	bool first[NR_CPUS]; /* of its core */

	p->threads_per_core = p->cores_per_socket = 1;
	for (unsigned i = 0; i < cpu_count; i++) {
		first[i] = true;
		for (unsigned k = 0; k < i; k++)
			first[i] = first[i] && !same_core(i, k);
	}
	for (unsigned i = 0; i < cpu_count; i++) {
		uint32_t threads = 0, cores = 0;

		for (unsigned k = 0; k < cpu_count; k++) {
			threads += same_core(i, k);
			cores += first[k] && cpu_ids[k].package == cpu_ids[i].package;
		}
		p->threads_per_core = MAX(p->threads_per_core, threads);
		p->cores_per_socket = MAX(p->cores_per_socket, cores);
	}
}

static int physinfo(struct xen_sysctl_physinfo *p)
{
	uint32_t words[FEATURESET_WORDS];

	memset(p, 0, sizeof(*p));
	(void)cpu_policy_featureset(&policy_host, words);
	p->nr_cpus = online_cpus();
	topology(p);
	p->max_cpu_id = cpu_count - 1;
	p->nr_nodes = 1;
	p->cpu_khz = (uint32_t)time_tsc_khz();
	p->capabilities = XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_gnttab_v1;
	p->total_pages = ram_pages();
	p->free_pages = heap_spare_pages();
	p->outstanding_pages = heap_claimed_pages();
	p->max_mfn = max_mfn - 1;
	for (unsigned i = 0; i < ARRAY_SIZE(p->hw_cap); i++)
		p->hw_cap[i] = words[i];
	return 0;
}

static int getcpuinfo(struct xen_sysctl_getcpuinfo *q)
{
	unsigned n = MIN(q->max_cpus, cpu_count);

	for (unsigned i = 0; i < n; i++) {
		struct xen_sysctl_cpuinfo info = { .idletime = cpu_idle_ns(i) };

		if (copy_to_handle(q->info, i, &info, 1))
			return -EFAULT;
	}
	q->nr_cpus = n;
	return 0;
}

static int cputopoinfo(struct xen_sysctl_cputopoinfo *q)
{
	unsigned n = cpu_count;

	if (!handle_is_null(q->cputopo)) {
		n = MIN(q->num_cpus, cpu_count);
		for (unsigned i = 0; i < n; i++) {
			struct xen_sysctl_cputopo t = { .core = cpu_ids[i].core,
				                        .socket = cpu_ids[i].package };

			if (copy_to_handle(q->cputopo, i, &t, 1))
				return -EFAULT;
		}
	}
	q->num_cpus = cpu_count;
	return 0;
}

static int numainfo(struct xen_sysctl_numainfo *q)
{
	struct xen_sysctl_meminfo mem = { .memsize = max_mfn << PAGE_SHIFT,
		                          .memfree = heap_spare_pages() << PAGE_SHIFT };
	uint32_t distance = 10; /* to itself, by ACPI's convention */

	if (q->num_nodes) {
		if (!handle_is_null(q->meminfo) && copy_to_handle(q->meminfo, 0, &mem, 1))
			return -EFAULT;
		if (!handle_is_null(q->distance) && copy_to_handle(q->distance, 0, &distance, 1))
			return -EFAULT;
	}
	q->num_nodes = 1;
	return 0;
}

/* Zones by address width are not kept: a question for one is answered for all that it may mean. */
static int availheap(struct xen_sysctl_availheap *q)
{
	if (q->node > 0)
		return -EINVAL;
	if (q->min_bitwidth || q->max_bitwidth)
		return -EOPNOTSUPP;
	q->avail_bytes = heap_spare_pages() << PAGE_SHIFT;
	return 0;
}

/* Where devices are: with one node there is nothing to tell, which has a value of its own. */
static int pcitopoinfo(struct xen_sysctl_pcitopoinfo *q)
{
	uint32_t nodes[64], n = MIN(q->num_devs, 4096u);

	if (handle_is_null(q->devs) || handle_is_null(q->nodes))
		return -EINVAL;
	for (unsigned i = 0; i < ARRAY_SIZE(nodes); i++)
		nodes[i] = XEN_INVALID_NODE_ID;
	for (unsigned i = 0; i < n; i += ARRAY_SIZE(nodes))
		if (copy_to_handle(q->nodes, i, nodes, MIN(n - i, (unsigned)ARRAY_SIZE(nodes))))
			return -EFAULT;
	q->num_devs = n;
	return 0;
}

/* ---- what changes CPUs and pools: one at a time, as domctl's operations ---- */

/* No SMT to be switched: cores are not told from threads. */
static int cpu_hotplug(const struct xen_sysctl_cpu_hotplug *q)
{
	if (q->op == XEN_SYSCTL_CPU_HOTPLUG_ONLINE)
		return cpu_put_back(q->cpu);
	return q->op == XEN_SYSCTL_CPU_HOTPLUG_OFFLINE ? cpu_take_out(q->cpu) : -EOPNOTSUPP;
}

static int locked(struct xen_sysctl *op)
{
	int rc = -ENOSYS;

	if (!spin_trylock(&domctl_lock))
		return -ERESTART_HV;
	if (op->cmd == XEN_SYSCTL_cpupool_op)
		rc = sysctl_cpupool(&op->u.cpupool_op);
	else if (op->cmd == XEN_SYSCTL_scheduler_op)
		rc = sched_adjust_pool(&op->u.scheduler_op);
	else if (op->cmd == XEN_SYSCTL_cpu_hotplug)
		rc = cpu_hotplug(&op->u.cpu_hotplug);
	spin_unlock(&domctl_lock);
	return rc;
}

/* ---- features ---- */

/* What a hardware-virtualised guest could see: nothing, as on Xen where the processor cannot run one. */
static const struct cpu_policy policy_hvm = { .leaf_count = 2,
	                                      .leaves = { { .subleaf = XEN_CPUID_NO_SUBLEAF },
	                                                  { .leaf = 0x80000000,
	                                                    .subleaf = XEN_CPUID_NO_SUBLEAF } } };

static int get_featureset(struct xen_sysctl_cpu_featureset *q)
{
	static const struct cpu_policy *const sets[] = {
		[XEN_SYSCTL_cpu_featureset_raw] = &policy_raw,
		[XEN_SYSCTL_cpu_featureset_host] = &policy_host,
		[XEN_SYSCTL_cpu_featureset_pv] = &policy_pv_default,
		[XEN_SYSCTL_cpu_featureset_pv_max] = &policy_pv_max,
		[XEN_SYSCTL_cpu_featureset_hvm] = &policy_hvm,
		[XEN_SYSCTL_cpu_featureset_hvm_max] = &policy_hvm,
	};
	uint32_t words[FEATURESET_WORDS], given = q->nr_features;
	unsigned n = FEATURESET_WORDS;

	if (handle_is_null(q->features)) {
		q->nr_features = FEATURESET_WORDS;
		return 0;
	}
	if (q->index > XEN_SYSCTL_cpu_featureset_hvm_max)
		return -EINVAL;
	if (q->index >= ARRAY_SIZE(sets) || !sets[q->index])
		return -EOPNOTSUPP;
	(void)cpu_policy_featureset(sets[q->index], words);
	while (n && !words[n - 1]) /* callers that know fewer words lose nothing then */
		n--;
	q->nr_features = MIN(n, given);
	if (copy_to_handle(q->features, 0, words, q->nr_features))
		return -EFAULT;
	return given < n ? -ENOBUFS : 0;
}

static int get_policy(struct xen_sysctl_cpu_policy *q)
{
	static const struct cpu_policy *const policies[] = {
		[XEN_SYSCTL_cpu_policy_raw] = &policy_raw,
		[XEN_SYSCTL_cpu_policy_host] = &policy_host,
		[XEN_SYSCTL_cpu_policy_pv_max] = &policy_pv_max,
		[XEN_SYSCTL_cpu_policy_pv_default] = &policy_pv_default,
		[XEN_SYSCTL_cpu_policy_hvm_max] = &policy_hvm,
		[XEN_SYSCTL_cpu_policy_hvm_default] = &policy_hvm,
	};

	if (q->_rsvd || q->index > XEN_SYSCTL_cpu_policy_hvm_default)
		return -EINVAL;
	if (q->index >= ARRAY_SIZE(policies) || !policies[q->index])
		return -EOPNOTSUPP;
	return policy_out(policies[q->index], q->leaves, &q->nr_leaves, q->msrs, &q->nr_msrs);
}

/* ---- dispatch ---- */

static int dispatch(struct xen_sysctl *op)
{
	if ((op->cmd & CMD_MASK) == XEN_SYSCTL_getdomaininfolist)
		return getdomaininfolist(op);
	switch (op->cmd) {
	case XEN_SYSCTL_readconsole:
		return readconsole(&op->u.readconsole);
	case XEN_SYSCTL_debug_keys:
		return debug_keys(&op->u.debug_keys);
	case XEN_SYSCTL_physinfo:
		return physinfo(&op->u.physinfo);
	case XEN_SYSCTL_sched_id:
		op->u.sched_id.sched_id = cpupool0.sched_id;
		return 0;
	case XEN_SYSCTL_getcpuinfo:
		return getcpuinfo(&op->u.getcpuinfo);
	case XEN_SYSCTL_availheap:
		return availheap(&op->u.availheap);
	case XEN_SYSCTL_cputopoinfo:
		return cputopoinfo(&op->u.cputopoinfo);
	case XEN_SYSCTL_numainfo:
		return numainfo(&op->u.numainfo);
	case XEN_SYSCTL_pcitopoinfo:
		return pcitopoinfo(&op->u.pcitopoinfo);
	case XEN_SYSCTL_cpupool_op:
	case XEN_SYSCTL_scheduler_op:
	case XEN_SYSCTL_cpu_hotplug:
		return locked(op);
	case XEN_SYSCTL_get_cpu_levelling_caps:
		op->u.cpu_levelling_caps.caps =
		        cpu_features.cpuid_faulting ? XEN_SYSCTL_CPU_LEVELCAP_faulting : 0;
		return 0;
	case XEN_SYSCTL_get_cpu_featureset:
		return get_featureset(&op->u.cpu_featureset);
	case XEN_SYSCTL_get_cpu_policy:
		return get_policy(&op->u.cpu_policy);
	case XEN_SYSCTL_get_pmstat:
		return pm_stat(&op->u.get_pmstat);
	case XEN_SYSCTL_pm_op:
		return pm_op(&op->u.pm_op);
	case XEN_SYSCTL_tbuf_op:
		return tbuf_op(&op->u.tbuf_op);
	default:
		return sysctl_unavailable(op);
	}
}

int64_t hc_sysctl(struct hc_args *a)
{
	gva_t at = GVA(a->arg[0]);
	struct xen_sysctl op;
	uint32_t cmd;
	int rc;

	if (!current_domain()->privileged)
		return -EPERM;
	if (guest_copy_in(&op, at, sizeof(op)))
		return -EFAULT;
	if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION)
		return -EACCES;
	cmd = op.cmd;
	rc = dispatch(&op);
	if (rc == -ERESTART_HV)
		return guest_copy_out(at, &op, sizeof(op)) ? -EFAULT : rc;
	if ((cmd & CMD_MASK) == XEN_SYSCTL_getdomaininfolist && cmd != (cmd & CMD_MASK)) {
		op.cmd &= CMD_MASK;
		if (guest_copy_out(at, &op.cmd, sizeof(op.cmd)))
			return -EFAULT;
	}
	if ((!rc || rc == -ENOBUFS) && guest_copy_out(at, &op, sizeof(op)))
		rc = -EFAULT;
	return rc;
}
