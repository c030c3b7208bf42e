/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a program of dom0 sees of hypercalls that fail, through the kernel's own devices. Runs in a dom0, started by
 * tests/system/test-dom0-calls.
 *
 *	dom0_calls args          prints what each call wrote, as the test guests args-* do (tests/guests/transcript.h)
 *	dom0_calls map DOMID N   maps N frames of a domain; prints the error of each
 *	dom0_calls race N        N domains are made and destroyed while others map their frames and grants, bind their
 *	                         event channels and ask about them
 *	dom0_calls hotplug N     CPU 1 is taken out of use and put back N times, with busy processes beside
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/domctl.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hypfs.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/vcpu.h>
#include <xen/version.h>
#include <xen/arch-x86/xen-mca.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntdev.h>
#include <xen/sys/privcmd.h>

#define PAGE       4096
#define DOM_ABSENT 4242
#define DOM_FIRST  20000 /* of the race's domains */
#define DOM_COUNT  8     /* numbers in use at once */
#define DOM_LIVING 19999 /* of the flow's domain */

static int privcmd;
static unsigned char *page; /* the arguments; the page behind it is not there */
static unsigned calls;

static long hypercall(unsigned number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	privcmd_hypercall_t call = { .op = number, .arg = { a, b, c, d } };
	long rc = ioctl(privcmd, IOCTL_PRIVCMD_HYPERCALL, &call);

	return rc < 0 ? -errno : rc;
}

/* ---- the transcript ---- */

static void told(const char *name, uint16_t domid, long rc, const unsigned char *before, size_t size)
{
	printf("args: %s, %x: %ld", name, domid, rc);
	for (size_t i = 0; i < size; i++) {
		if (page[i] == before[i])
			continue;
		if (!i || page[i - 1] == before[i - 1])
			printf(" A+%zx=", i);
		printf("%02x", page[i]);
	}
	printf("\n");
	calls++;
}

/* One call whose structure is at the page's beginning, size bytes of it. */
static void call(const char *name, uint16_t domid, unsigned number, uint64_t first, uint64_t count,
                 size_t size)
{
	unsigned char before[PAGE];
	uint64_t at = (uintptr_t)page;

	memcpy(before, page, size);
	if (number == __HYPERVISOR_domctl || number == __HYPERVISOR_sysctl ||
	    number == __HYPERVISOR_platform_op)
		told(name, domid, hypercall(number, at, 0, 0, 0), before, size);
	else
		told(name, domid, hypercall(number, first, at, count, 0), before, size);
}

static const uint16_t domids[] = { DOM_ABSENT, DOMID_SELF,    DOMID_IO,   DOMID_XEN,
	                           DOMID_COW,  DOMID_INVALID, DOMID_IDLE, 0xffff };
#define FOR_DOMIDS(id) \
	for (const uint16_t *p_ = domids; p_ < domids + sizeof(domids) / 2 && ((id) = *p_, 1); p_++)

/* Every domctl of a domain that is not there. Those of SELF could do something. */
static void domctls(void)
{
	for (unsigned cmd = 1; cmd < 90; cmd++) {
		struct xen_domctl *op = (void *)page;
		char name[32];
		uint16_t id;

		if (cmd == XEN_DOMCTL_createdomain || cmd == XEN_DOMCTL_getdomaininfo)
			continue;
		snprintf(name, sizeof(name), "domctl %u", cmd);
		FOR_DOMIDS(id)
		{
			if (id == DOMID_SELF)
				continue;
			memset(page, 0, PAGE);
			op->cmd = cmd;
			op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
			op->domain = id;
			call(name, id, __HYPERVISOR_domctl, 0, 0, sizeof(*op));
		}
	}
	for (unsigned version = XEN_DOMCTL_INTERFACE_VERSION - 1; version < XEN_DOMCTL_INTERFACE_VERSION + 2;
	     version += 2) {
		memset(page, 0, PAGE);
		((struct xen_domctl *)page)->cmd = XEN_DOMCTL_getdomaininfo;
		((struct xen_domctl *)page)->interface_version = version;
		call("domctl, another version", (uint16_t)version, __HYPERVISOR_domctl, 0, 0,
		     sizeof(struct xen_domctl));
		memset(page, 0, PAGE);
		((struct xen_sysctl *)page)->cmd = XEN_SYSCTL_physinfo;
		((struct xen_sysctl *)page)->interface_version = version;
		call("sysctl, another version", (uint16_t)version, __HYPERVISOR_sysctl, 0, 0,
		     sizeof(struct xen_sysctl));
		memset(page, 0, PAGE);
		((struct xen_platform_op *)page)->cmd = XENPF_get_cpuinfo;
		((struct xen_platform_op *)page)->interface_version = version;
		call("platform_op, another version", (uint16_t)version, __HYPERVISOR_platform_op, 0, 0,
		     sizeof(struct xen_platform_op));
	}
}

static void getdomaininfos(void)
{
	uint16_t id;

	FOR_DOMIDS(id)
	{
		struct xen_domctl *op = (void *)page;

		memset(page, 0, PAGE);
		op->cmd = XEN_DOMCTL_getdomaininfo;
		op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
		op->domain = id;
		call("getdomaininfo", id, __HYPERVISOR_domctl, 0, 0, sizeof(*op));
	}
}

static void others(void)
{
	static const struct {
		const char *name;
		unsigned number, cmd;
		size_t size, domid_at;
	} ops[] = {
		{ "current_reservation", __HYPERVISOR_memory_op, XENMEM_current_reservation, 2, 0 },
		{ "maximum_gpfn", __HYPERVISOR_memory_op, XENMEM_maximum_gpfn, 2, 0 },
		{ "populate_physmap", __HYPERVISOR_memory_op, XENMEM_populate_physmap,
		  sizeof(struct xen_memory_reservation), offsetof(struct xen_memory_reservation, domid) },
		{ "acquire_resource", __HYPERVISOR_memory_op, XENMEM_acquire_resource,
		  sizeof(struct xen_mem_acquire_resource), 0 },
		{ "claim_pages", __HYPERVISOR_memory_op, XENMEM_claim_pages,
		  sizeof(struct xen_memory_reservation), offsetof(struct xen_memory_reservation, domid) },
		{ "get_vnumainfo", __HYPERVISOR_memory_op, XENMEM_get_vnumainfo,
		  sizeof(struct xen_vnuma_topology_info), 0 },
		{ "query_size", __HYPERVISOR_grant_table_op, GNTTABOP_query_size,
		  sizeof(struct gnttab_query_size), 0 },
		{ "get_version", __HYPERVISOR_grant_table_op, GNTTABOP_get_version,
		  sizeof(struct gnttab_get_version), 0 },
		{ "map_grant_ref", __HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref,
		  sizeof(struct gnttab_map_grant_ref), offsetof(struct gnttab_map_grant_ref, dom) },
		{ "alloc_unbound", __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound,
		  sizeof(struct evtchn_alloc_unbound), 0 },
		{ "bind_interdomain", __HYPERVISOR_event_channel_op, EVTCHNOP_bind_interdomain,
		  sizeof(struct evtchn_bind_interdomain), 0 },
		{ "status", __HYPERVISOR_event_channel_op, EVTCHNOP_status, sizeof(struct evtchn_status), 0 },
		{ "map_pirq", __HYPERVISOR_physdev_op, PHYSDEVOP_map_pirq, sizeof(struct physdev_map_pirq),
		  0 },
		{ "unmap_pirq", __HYPERVISOR_physdev_op, PHYSDEVOP_unmap_pirq,
		  sizeof(struct physdev_unmap_pirq), 0 },
	};

	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		uint16_t id;

		FOR_DOMIDS(id)
		{
			if (id == DOMID_SELF)
				continue;
			memset(page, 0, PAGE);
			memcpy(page + ops[i].domid_at, &id, sizeof(id));
			call(ops[i].name, id, ops[i].number, ops[i].cmd, 1, ops[i].size);
		}
	}
}

/* ---- mapping ---- */

static int map_frames(uint16_t domid, unsigned n, uint64_t first, int *errors)
{
	void *at = mmap(NULL, (size_t)n * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, privcmd, 0);
	xen_pfn_t frames[64];
	privcmd_mmapbatch_v2_t batch = {
		.num = n, .dom = domid, .addr = (uintptr_t)at, .arr = frames, .err = errors
	};
	int rc;

	if (at == MAP_FAILED)
		return -errno;
	for (unsigned i = 0; i < n; i++)
		frames[i] = first + i;
	rc = ioctl(privcmd, IOCTL_PRIVCMD_MMAPBATCH_V2, &batch);
	rc = rc < 0 ? -errno : 0;
	munmap(at, (size_t)n * PAGE);
	return rc;
}

static void map_one(uint16_t domid, unsigned n)
{
	int errors[64] = { 0 };
	int rc = map_frames(domid, n, 0x1000, errors);

	printf("map: %d:", rc);
	for (unsigned i = 0; i < n; i++)
		printf(" %d", errors[i]);
	printf("\n");
}

/* ---- the race ---- */

static long domctl(uint16_t domid, unsigned cmd, struct xen_domctl *op)
{
	op->cmd = cmd;
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op->domain = domid;
	return hypercall(__HYPERVISOR_domctl, (uintptr_t)op, 0, 0, 0);
}

/* A domain with a page, whose frame is returned; 0: it could not be made. */
static uint64_t domain_make(uint16_t domid)
{
	struct xen_domctl *op = (void *)page;
	struct xen_memory_reservation *r = (void *)page;
	xen_pfn_t *frame = (void *)(page + 1024);

	memset(page, 0, PAGE);
	op->u.createdomain.max_vcpus = 1;
	op->u.createdomain.max_evtchn_port = 127;
	op->u.createdomain.max_grant_frames = 4;
	op->u.createdomain.max_maptrack_frames = 4;
	op->u.createdomain.grant_opts = XEN_DOMCTL_GRANT_version(1);
	if (domctl(domid, XEN_DOMCTL_createdomain, op))
		return 0;
	memset(page, 0, PAGE);
	op->u.max_mem.max_memkb = 256;
	if (domctl(domid, XEN_DOMCTL_max_mem, op))
		return 0;
	memset(page, 0, PAGE);
	r->nr_extents = 1;
	r->domid = domid;
	r->extent_start.p = frame;
	return hypercall(__HYPERVISOR_memory_op, XENMEM_populate_physmap, (uintptr_t)r, 0, 0) == 1 ? *frame
	                                                                                           : 0;
}

/* One of the processes that meddle with domains that come and go, until it is told to end. */
static void meddle(unsigned kind, const volatile uint64_t *frames)
{
	int gntdev = open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC),
	    evtchn = open("/dev/xen/evtchn", O_RDWR | O_CLOEXEC);
	unsigned seed = kind + 1;

	for (;;) {
		unsigned i = (seed = seed * 1103515245 + 12345) / 65536 % DOM_COUNT;
		uint16_t domid = (uint16_t)(DOM_FIRST + i);
		struct ioctl_evtchn_bind_interdomain bind = { .remote_domain = domid, .remote_port = 1 };
		struct ioctl_gntdev_map_grant_ref map = { .count = 1,
			                                  .refs = { { .domid = domid, .ref = 8 } } };
		struct ioctl_evtchn_unbind unbind;
		int errors[16], port;

		switch (kind % 4) {
		case 0:
			(void)map_frames(domid, 1, frames[i], errors);
			break;
		case 1:
			(void)map_frames(domid, 16, frames[i], errors);
			break;
		case 2:
			if (!ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, &map)) {
				struct ioctl_gntdev_unmap_grant_ref unmap = { .index = map.index,
					                                      .count = 1 };
				void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, gntdev,
				                (off_t)map.index);

				if (at != MAP_FAILED)
					munmap(at, PAGE);
				(void)ioctl(gntdev, IOCTL_GNTDEV_UNMAP_GRANT_REF, &unmap);
			}
			break;
		case 3:
			port = ioctl(evtchn, IOCTL_EVTCHN_BIND_INTERDOMAIN, &bind);
			if (port > 0) {
				unbind.port = (unsigned)port;
				(void)ioctl(evtchn, IOCTL_EVTCHN_UNBIND, &unbind);
			}
			break;
		}
	}
}

/* A channel of the domain's that dom0 may bind. */
static void channel_make(uint16_t domid)
{
	struct evtchn_alloc_unbound *op = (void *)page;

	*op = (struct evtchn_alloc_unbound){ .dom = domid, .remote_dom = 0 };
	(void)hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, (uintptr_t)op, 0, 0);
}

/* ---- numbers by which libxl, libxc, the tools or Linux's drivers choose their way ---- */

enum kind { DOMCTL, SYSCTL, PLATFORM, OTHER };

/* A call with up to four numbers in its structure; what it answers is all that counts. */
static const struct flow {
	const char *name; /* who goes by it */
	enum kind kind;
	unsigned number, cmd; /* number: of OTHER */
	uint64_t count;       /* third argument of OTHER */
	struct {
		unsigned at, size;
		uint64_t value;
	} set[4];
} flows[] = {
#define D(m, v)                                                                              \
	{                                                                                    \
		offsetof(struct xen_domctl, u.m), sizeof(((struct xen_domctl *)0)->u.m), (v) \
	}
#define S(m, v)                                                                              \
	{                                                                                    \
		offsetof(struct xen_sysctl, u.m), sizeof(((struct xen_sysctl *)0)->u.m), (v) \
	}
#define P(m, v)                                                                                        \
	{                                                                                              \
		offsetof(struct xen_platform_op, u.m), sizeof(((struct xen_platform_op *)0)->u.m), (v) \
	}
#define M(t, m, v)                                                     \
	{                                                              \
		offsetof(struct t, m), sizeof(((struct t *)0)->m), (v) \
	}
#define ROOM         0xfeed0000ull /* the page's second half */
#define DOMCTL(c)    DOMCTL, 0, XEN_DOMCTL_##c, 0
#define SYSCTL(c)    SYSCTL, 0, XEN_SYSCTL_##c, 0
#define PLATFORM(c)  PLATFORM, 0, XENPF_##c, 0
#define OTHER(n, c)  OTHER, __HYPERVISOR_##n, c, 0
#define OTHER1(n, c) OTHER, __HYPERVISOR_##n, c, 1
	/* libxl and libxc */
	{ "libxl: vcpus", DOMCTL(max_vcpus), { D(max_vcpus.max, 1) } },
	{ "libxl takes another number: a number in use",
	  DOMCTL(createdomain),
	  { D(createdomain.max_vcpus, 1), D(createdomain.max_evtchn_port, 127),
	    D(createdomain.max_grant_frames, 4), D(createdomain.grant_opts, 1) } },
	{ "libxl save: vNUMA",
	  OTHER(memory_op, XENMEM_get_vnumainfo),
	  { M(xen_vnuma_topology_info, domid, DOM_LIVING) } },
	{ "libxc boot: grant table as a resource",
	  OTHER(memory_op, XENMEM_acquire_resource),
	  { M(xen_mem_acquire_resource, domid, DOM_LIVING), M(xen_mem_acquire_resource, type, 1) } },
	{ "libxc: I/O servers as a resource",
	  OTHER(memory_op, XENMEM_acquire_resource),
	  { M(xen_mem_acquire_resource, domid, DOM_LIVING), M(xen_mem_acquire_resource, type, 0),
	    M(xen_mem_acquire_resource, nr_frames, 1), M(xen_mem_acquire_resource, frame_list.p, ROOM) } },
	{ "libxc: trace buffer as a resource",
	  OTHER(memory_op, XENMEM_acquire_resource),
	  { M(xen_mem_acquire_resource, domid, DOM_LIVING), M(xen_mem_acquire_resource, type, 2),
	    M(xen_mem_acquire_resource, nr_frames, 1), M(xen_mem_acquire_resource, frame_list.p, ROOM) } },
	{ "libxl claim: without",
	  OTHER(memory_op, XENMEM_claim_pages),
	  { M(xen_memory_reservation, domid, DOM_LIVING) } },
	{ "libxl claim: more than there is",
	  OTHER(memory_op, XENMEM_claim_pages),
	  { M(xen_memory_reservation, domid, DOM_LIVING), M(xen_memory_reservation, nr_extents, 1u << 30) } },
	{ "libxl info: shared frames", OTHER(memory_op, XENMEM_get_sharing_shared_pages), { { 0 } } },
	{ "libxl info: frames freed by sharing",
	  OTHER(memory_op, XENMEM_get_sharing_freed_pages),
	  { { 0 } } },
	{ "libxl cpuid: too few words",
	  SYSCTL(get_cpu_featureset),
	  { S(cpu_featureset.index, 1), S(cpu_featureset.nr_features, 1),
	    S(cpu_featureset.features.p, ROOM) } },
	{ "libxc cpuid: no such set",
	  SYSCTL(get_cpu_featureset),
	  { S(cpu_featureset.index, 99), S(cpu_featureset.nr_features, 1),
	    S(cpu_featureset.features.p, ROOM) } },
	{ "xen-cpuid -p: no such policy", SYSCTL(get_cpu_policy), { S(cpu_policy.index, 99) } },
	{ "xen-cpuid -p: too few leaves",
	  SYSCTL(get_cpu_policy),
	  { S(cpu_policy.nr_leaves, 1), S(cpu_policy.leaves.p, ROOM) } },
	{ "libxc cpuid: too few leaves of a domain",
	  DOMCTL(get_cpu_policy),
	  { D(cpu_policy.nr_leaves, 1), D(cpu_policy.leaves.p, ROOM) } },
	{ "libxl cmt: attach", DOMCTL(psr_cmt_op), { { 0 } } },
	{ "libxl cmt: query", DOMCTL(psr_cmt_op), { D(psr_cmt_op.cmd, 2) } },
	{ "libxl cat: get", DOMCTL(psr_alloc), { D(psr_alloc.cmd, 6) } },
	{ "libxl cmt: enabled", SYSCTL(psr_cmt_op), { { 0 } } },
	{ "libxl cat: info", SYSCTL(psr_alloc), { { 0 } } },
	{ "libxl pci: an interrupt that is none",
	  DOMCTL(irq_permission),
	  { D(irq_permission.pirq, 9999), D(irq_permission.allow_access, 1) } },
	{ "libxl pci: a GSI that is none",
	  OTHER(physdev_op, PHYSDEVOP_map_pirq),
	  { M(physdev_map_pirq, domid, DOM_LIVING), M(physdev_map_pirq, type, 1),
	    M(physdev_map_pirq, index, 9999), M(physdev_map_pirq, pirq, 0xffffffff) } },
	{ "libxl pci: unmap of what is not mapped",
	  OTHER(physdev_op, PHYSDEVOP_unmap_pirq),
	  { M(physdev_unmap_pirq, domid, DOM_LIVING), M(physdev_unmap_pirq, pirq, 20) } },
	{ "libxc iomem: nothing", DOMCTL(memory_mapping), { { 0 } } },
	{ "libxc iomem: too much at once",
	  DOMCTL(memory_mapping),
	  { D(memory_mapping.nr_mfns, 65536), D(memory_mapping.add_mapping, 1) } },
	{ "libxc iomem: beyond all memory",
	  DOMCTL(memory_mapping),
	  { D(memory_mapping.first_mfn, ~0ull), D(memory_mapping.nr_mfns, 2),
	    D(memory_mapping.add_mapping, 1) } },
	{ "libxl flask: xsm_op", OTHER(xsm_op, 0), { { 0 } } },
	{ "libxc: HVM parameter of a PV domain",
	  OTHER(hvm_op, HVMOP_get_param),
	  { M(xen_hvm_param, domid, DOM_LIVING) } },
	{ "libxc: HVM parameter set for a PV domain",
	  OTHER(hvm_op, HVMOP_set_param),
	  { M(xen_hvm_param, domid, DOM_LIVING) } },
	{ "libxc: HVM context of a PV domain", DOMCTL(gethvmcontext), { { 0 } } },
	{ "libxc: part of an HVM context", DOMCTL(gethvmcontext_partial), { { 0 } } },
	{ "libxl cpupool: info of none",
	  SYSCTL(cpupool_op),
	  { S(cpupool_op.op, 3), S(cpupool_op.cpupool_id, 77) } },
	{ "libxl cpupool: destroy none",
	  SYSCTL(cpupool_op),
	  { S(cpupool_op.op, 2), S(cpupool_op.cpupool_id, 77) } },
	{ "libxl cpupool: move to none",
	  SYSCTL(cpupool_op),
	  { S(cpupool_op.op, 6), S(cpupool_op.cpupool_id, 77), S(cpupool_op.domid, DOM_LIVING) } },
	{ "libxl cpupool: move nobody",
	  SYSCTL(cpupool_op),
	  { S(cpupool_op.op, 6), S(cpupool_op.domid, DOM_ABSENT) } },
	{ "libxl cpupool: add a CPU that is none",
	  SYSCTL(cpupool_op),
	  { S(cpupool_op.op, 4), S(cpupool_op.cpu, 99) } },
	{ "libxl cpupool: add a CPU to none",
	  SYSCTL(cpupool_op),
	  { S(cpupool_op.op, 4), S(cpupool_op.cpupool_id, 77), S(cpupool_op.cpu, 1) } },
	{ "libxl cpupool: remove a CPU that is none",
	  SYSCTL(cpupool_op),
	  { S(cpupool_op.op, 5), S(cpupool_op.cpu, 99) } },
	{ "libxl cpupool: remove from none",
	  SYSCTL(cpupool_op),
	  { S(cpupool_op.op, 5), S(cpupool_op.cpupool_id, 77), S(cpupool_op.cpu, 1) } },
	{ "libxl cpupool: no such operation", SYSCTL(cpupool_op), { S(cpupool_op.op, 99) } },
	{ "libxl sched: pool that is none",
	  SYSCTL(scheduler_op),
	  { S(scheduler_op.cpupool_id, 77), S(scheduler_op.cmd, 1) } },
	{ "libxl sched: another scheduler",
	  SYSCTL(scheduler_op),
	  { S(scheduler_op.sched_id, 7), S(scheduler_op.cmd, 1) } },
	{ "libxl sched: another scheduler of a domain",
	  DOMCTL(scheduler_op),
	  { D(scheduler_op.sched_id, 7), D(scheduler_op.cmd, 1) } },
	{ "libxl vcpu-list: a vcpu that is none", DOMCTL(getvcpuinfo), { D(getvcpuinfo.vcpu, 99) } },
	{ "libxl vcpu-pin: a vcpu that is none",
	  DOMCTL(getvcpuaffinity),
	  { D(vcpuaffinity.vcpu, 99), D(vcpuaffinity.flags, 1) } },
	{ "libxl vcpu-pin: nothing asked", DOMCTL(setvcpuaffinity), { { 0 } } },
	{ "libxc: context of a vcpu that has none", DOMCTL(getvcpucontext), { { 0 } } },
	{ "libxc: context of a vcpu that is none", DOMCTL(getvcpucontext), { D(vcpucontext.vcpu, 99) } },
	{ "libxc restore: context of a vcpu that is none",
	  DOMCTL(setvcpucontext),
	  { D(vcpucontext.vcpu, 99) } },
	{ "libxc save: extended context", DOMCTL(get_ext_vcpucontext), { { 0 } } },
	{ "libxc save: extended context of a vcpu that is none",
	  DOMCTL(get_ext_vcpucontext),
	  { D(ext_vcpucontext.vcpu, 99) } },
	{ "libxc save: size of the extended state", DOMCTL(getvcpuextstate), { { 0 } } },
	{ "libxc save: number of MSRs", DOMCTL(get_vcpu_msrs), { { 0 } } },
	{ "libxc save: log-dirty off", DOMCTL(shadow_op), { D(shadow_op.op, 0) } },
	{ "libxc save: log-dirty bitmap", DOMCTL(shadow_op), { D(shadow_op.op, 12) } },
	{ "libxc: shadow allocation", DOMCTL(shadow_op), { D(shadow_op.op, 30) } },
	{ "libxc: no such shadow operation", DOMCTL(shadow_op), { D(shadow_op.op, 99) } },
	{ "libxl: more vcpus than it has", DOMCTL(max_vcpus), { D(max_vcpus.max, 2) } },
	{ "libxl: no vcpus", DOMCTL(max_vcpus), { { 0 } } },
	{ "libxl unpause", DOMCTL(unpausedomain), { { 0 } } },
	{ "libxl unpause: twice", DOMCTL(unpausedomain), { { 0 } } },
	{ "libxl: target of a PV domain", DOMCTL(set_target), { D(set_target.target, DOM_ABSENT) } },
	{ "libxl trigger: NMI of a vcpu that is none", DOMCTL(sendtrigger), { D(sendtrigger.vcpu, 99) } },
	{ "libxl trigger: NMI of one without context", DOMCTL(sendtrigger), { { 0 } } },
	{ "libxl trigger: power of a PV domain", DOMCTL(sendtrigger), { D(sendtrigger.trigger, 3) } },
	{ "libxl trigger: what is none", DOMCTL(sendtrigger), { D(sendtrigger.trigger, 99) } },
	{ "libxl: VIRQ handler that is none", DOMCTL(set_virq_handler), { D(set_virq_handler.virq, 99) } },
	{ "libxl: VIRQ handler of a vcpu's", DOMCTL(set_virq_handler), { { 0 } } },
	{ "libxl restore: TSC of a PV domain", DOMCTL(settscinfo), { D(tsc_info.tsc_mode, 99) } },
	{ "libxl: paging pool of a PV domain", DOMCTL(get_paging_mempool_size), { { 0 } } },
	{ "libxl: I/O ports that are none",
	  DOMCTL(ioport_permission),
	  { D(ioport_permission.first_port, 65535), D(ioport_permission.nr_ports, 2),
	    D(ioport_permission.allow_access, 1) } },
	{ "libxl: memory map of a PV domain",
	  OTHER(memory_op, XENMEM_set_memory_map),
	  { M(xen_foreign_memory_map, domid, DOM_LIVING), M(xen_foreign_memory_map, map.nr_entries, 1),
	    M(xen_foreign_memory_map, map.buffer.p, ROOM) } },
	{ "libxl restore: soft reset", DOMCTL(soft_reset), { { 0 } } },
	/* tools; not vm_event_op of a paravirtual domain with a vcpu, which ends stock Xen */
	{ "xen-livepatch: too long a list",
	  SYSCTL(livepatch_op),
	  { S(livepatch.cmd, 2), S(livepatch.u.list.nr, 1025) } },
	{ "xen-livepatch: state of a patch that is none",
	  SYSCTL(livepatch_op),
	  { S(livepatch.cmd, 1), S(livepatch.u.get.name.size, 5), S(livepatch.u.get.name.name.p, ROOM) } },
	{ "xen-livepatch: apply a patch that is none",
	  SYSCTL(livepatch_op),
	  { S(livepatch.cmd, 3), S(livepatch.u.action.name.size, 5), S(livepatch.u.action.name.name.p, ROOM),
	    S(livepatch.u.action.cmd, 3) } },
	{ "xen-livepatch: no such operation", SYSCTL(livepatch_op), { S(livepatch.cmd, 99) } },
	{ "xen-hptool: a CPU that is none goes off line",
	  SYSCTL(cpu_hotplug),
	  { S(cpu_hotplug.cpu, 99), S(cpu_hotplug.op, 1) } },
	{ "xen-hptool: a CPU that is none comes", SYSCTL(cpu_hotplug), { S(cpu_hotplug.cpu, 99) } },
	{ "xen-hptool: CPU 0 goes", SYSCTL(cpu_hotplug), { S(cpu_hotplug.op, 1) } },
	{ "xen-hptool: CPU 0 comes", SYSCTL(cpu_hotplug), { { 0 } } },
	{ "xen-hptool: CPU 1 comes twice", SYSCTL(cpu_hotplug), { S(cpu_hotplug.cpu, 1) } },
	{ "xen-hptool: no such operation", SYSCTL(cpu_hotplug), { S(cpu_hotplug.op, 99) } },
	{ "xen-hptool mem-status: beyond memory",
	  SYSCTL(page_offline_op),
	  { S(page_offline.cmd, 3), S(page_offline.start, 0xfffffff), S(page_offline.end, 0xfffffff),
	    S(page_offline.status.p, ROOM) } },
	{ "xen-hptool mem-status: the wrong way round",
	  SYSCTL(page_offline_op),
	  { S(page_offline.cmd, 3), S(page_offline.start, 5), S(page_offline.end, 4),
	    S(page_offline.status.p, ROOM) } },
	{ "xenpm: frequencies", SYSCTL(get_pmstat), { S(get_pmstat.type, 0x11) } },
	{ "xenpm: frequency statistics", SYSCTL(get_pmstat), { S(get_pmstat.type, 0x12) } },
	{ "xenpm: states of a CPU that is none",
	  SYSCTL(get_pmstat),
	  { S(get_pmstat.type, 0x21), S(get_pmstat.cpuid, 99) } },
	{ "xenpm: no such statistics", SYSCTL(get_pmstat), { S(get_pmstat.type, 0x99) } },
	{ "xenpm: governor", SYSCTL(pm_op), { S(pm_op.cmd, 0x12) } },
	{ "xenpm: parameters", SYSCTL(pm_op), { S(pm_op.cmd, 0x11) } },
	{ "xenpm: a parameter set", SYSCTL(pm_op), { S(pm_op.cmd, 0x13) } },
	{ "xenpm: average frequency", SYSCTL(pm_op), { S(pm_op.cmd, 0x14) } },
	{ "xenpm: turbo", SYSCTL(pm_op), { S(pm_op.cmd, 0x26) } },
	{ "xenpm: no such operation", SYSCTL(pm_op), { S(pm_op.cmd, 0x99) } },
	{ "xenperf", SYSCTL(perfc_op), { S(perfc_op.cmd, 2) } },
	{ "xenlockprof", SYSCTL(lockprof_op), { S(lockprof_op.cmd, 2) } },
	{ "xencov", SYSCTL(coverage_op), { { 0 } } },
	{ "xentrace: no such operation", SYSCTL(tbuf_op), { S(tbuf_op.cmd, 99) } },
	{ "xentrace_setsize: no pages", SYSCTL(tbuf_op), { S(tbuf_op.cmd, 3) } },
	{ "xentrace: recording into no buffers", SYSCTL(tbuf_op), { S(tbuf_op.cmd, 4) } },
	{ "xen-memshare: control", DOMCTL(mem_sharing_op), { { 0 } } },
	{ "xen-access: what can be monitored", DOMCTL(monitor_op), { D(monitor_op.op, 2) } },
	{ "xen-access: monitor an event", DOMCTL(monitor_op), { { 0 } } },
	{ "xen-vmtrace", DOMCTL(vmtrace_op), { { 0 } } },
	{ "xen-ucode: an empty blob", PLATFORM(microcode_update), { { 0 } } },
	{ "xen-kdd: no such domctl", DOMCTL, 0, 999, 0, { { 0 } } },
	{ "no such sysctl", SYSCTL, 0, 999, 0, { { 0 } } },
	{ "no such platform_op", PLATFORM, 0, 999, 0, { { 0 } } },
	/* Linux */
	{ "Linux mcelog: a CPU's report for nobody", OTHER(mca, 0), { { 0 } } },
	{ "Linux pcpu: a CPU that is none", PLATFORM(get_cpuinfo), { P(pcpu_info.xen_cpuid, 99) } },
	{ "Linux pcpu: a CPU that is none comes", PLATFORM(cpu_online), { P(cpu_ol.cpuid, 99) } },
	{ "Linux pcpu: a CPU that is none goes", PLATFORM(cpu_offline), { P(cpu_ol.cpuid, 99) } },
	{ "Linux pcpu: CPU 0 comes", PLATFORM(cpu_online), { { 0 } } },
	{ "Linux pcpu: CPU 0 goes", PLATFORM(cpu_offline), { { 0 } } },
	{ "Linux acpi: states of a CPU that is none",
	  PLATFORM(set_processor_pminfo),
	  { P(set_pminfo.id, 9999), P(set_pminfo.type, 1) } },
	{ "Linux acpi: no such information", PLATFORM(set_processor_pminfo), { P(set_pminfo.type, 99) } },
	{ "Linux efi: where there is none", PLATFORM(efi_runtime_call), { P(efi_runtime_call.function, 1) } },
	{ "Linux firmware: disk that is none",
	  PLATFORM(firmware_info),
	  { P(firmware_info.type, 1), P(firmware_info.index, 99) } },
	{ "Linux firmware: no such information", PLATFORM(firmware_info), { P(firmware_info.type, 99) } },
	{ "Linux xen-symbols: behind the last", PLATFORM(get_symbol), { P(symdata.symnum, 0xffffff) } },
	{ "Linux gnttab: version 2",
	  OTHER1(grant_table_op, GNTTABOP_set_version),
	  { M(gnttab_set_version, version, 3) } },
	{ "Linux gnttab: no such operation", OTHER1(grant_table_op, 99), { { 0 } } },
	{ "Linux evtchn: FIFO for a vcpu that is none",
	  OTHER(event_channel_op, EVTCHNOP_init_control),
	  { M(evtchn_init_control, vcpu, 9999) } },
	{ "Linux evtchn: priority of a port that is none",
	  OTHER(event_channel_op, EVTCHNOP_set_priority),
	  { M(evtchn_set_priority, port, 0xfffffff) } },
	{ "Linux evtchn: VIRQ that is none",
	  OTHER(event_channel_op, EVTCHNOP_bind_virq),
	  { M(evtchn_bind_virq, virq, 99) } },
	{ "Linux evtchn: VIRQ that is bound",
	  OTHER(event_channel_op, EVTCHNOP_bind_virq),
	  { M(evtchn_bind_virq, virq, 0) } },
	{ "Linux evtchn: global VIRQ of vcpu 1",
	  OTHER(event_channel_op, EVTCHNOP_bind_virq),
	  { M(evtchn_bind_virq, virq, VIRQ_CONSOLE), M(evtchn_bind_virq, vcpu, 1) } },
	{ "Linux evtchn: pirq that is none",
	  OTHER(event_channel_op, EVTCHNOP_bind_pirq),
	  { M(evtchn_bind_pirq, pirq, 99999) } },
	{ "Linux evtchn: a port that is none",
	  OTHER(event_channel_op, EVTCHNOP_unmask),
	  { M(evtchn_unmask, port, 0xfffffff) } },
	{ "Linux evtchn: no such operation", OTHER(event_channel_op, 99), { { 0 } } },
	{ "Linux pirq: a GSI that is set up",
	  OTHER(physdev_op, PHYSDEVOP_setup_gsi),
	  { M(physdev_setup_gsi, gsi, 4), M(physdev_setup_gsi, triggering, 0) } },
	{ "Linux pirq: a GSI that is none",
	  OTHER(physdev_op, PHYSDEVOP_setup_gsi),
	  { M(physdev_setup_gsi, gsi, 9999) } },
	{ "Linux pirq: status of one that is none",
	  OTHER(physdev_op, PHYSDEVOP_irq_status_query),
	  { M(physdev_irq_status_query, irq, 99999) } },
	{ "Linux pirq: end of one that is none",
	  OTHER(physdev_op, PHYSDEVOP_eoi),
	  { M(physdev_eoi, irq, 99999) } },
	{ "Linux pci: a device of segment 99 goes",
	  OTHER(physdev_op, PHYSDEVOP_pci_device_remove),
	  { M(physdev_pci_device, seg, 99) } },
	{ "Linux pci: MSI of no device restored",
	  OTHER(physdev_op, PHYSDEVOP_restore_msi_ext),
	  { M(physdev_pci_device, seg, 99) } },
	{ "Linux pci: MSI-X of no device prepared",
	  OTHER(physdev_op, PHYSDEVOP_prepare_msix),
	  { M(physdev_pci_device, seg, 99) } },
	{ "Linux usb: debug port", OTHER(physdev_op, PHYSDEVOP_dbgp_op), { M(physdev_dbgp_op, op, 99) } },
	{ "Linux physdev: no such operation", OTHER(physdev_op, 99), { { 0 } } },
	{ "Linux memory: no such operation", OTHER(memory_op, 63), { { 0 } } },
	{ "Linux balloon: map of the machine in no room",
	  OTHER(memory_op, XENMEM_machine_memory_map),
	  { { 0 } } },
	{ "Linux vcpu: one that is none goes", OTHER, __HYPERVISOR_vcpu_op, VCPUOP_down, 9999, { { 0 } } },
	{ "Linux kexec: no such operation", OTHER(kexec_op, 99), { { 0 } } },
	{ "Linux xenoprof", OTHER(xenoprof_op, 0), { { 0 } } },
	{ "Linux: no such version", OTHER(xen_version, 99), { { 0 } } },
	{ "Linux: features beyond the last",
	  OTHER(xen_version, XENVER_get_features),
	  { M(xen_feature_info, submap_idx, 99) } },
	{ "Linux: no such assistance", OTHER, __HYPERVISOR_vm_assist, 0, 0, { { 0 } } },
	{ "libargo", OTHER(argo_op, 0), { { 0 } } },
	{ "libxendevicemodel of a PV domain", OTHER, __HYPERVISOR_dm_op, DOM_LIVING, 0, { { 0 } } },
	{ "libxenhypfs: no such command", OTHER(hypfs_op, 99), { { 0 } } },
	{ "libxc: tmem", OTHER, 38, 0, 0, { { 0 } } },
#undef D
#undef S
#undef P
#undef M
};

static long flow_call(const struct flow *f)
{
	uint64_t at = (uintptr_t)page;

	memset(page, 0, PAGE);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t value = f->set[i].value == ROOM ? at + PAGE / 2 : f->set[i].value;

		memcpy(page + f->set[i].at, &value, f->set[i].size);
	}
	if (f->kind == DOMCTL)
		return domctl(DOM_LIVING, f->cmd, (void *)page);
	if (f->kind == OTHER && f->number == __HYPERVISOR_vcpu_op)
		return hypercall(f->number, f->cmd, f->count, at, 0);
	if (f->kind == OTHER && f->number == __HYPERVISOR_mca)
		return hypercall(f->number, at, 0, 0, 0);
	if (f->kind == OTHER && f->number == __HYPERVISOR_dm_op)
		return hypercall(f->number, f->cmd, 1, at, 0);
	if (f->kind == OTHER)
		return hypercall(f->number, f->cmd, at, f->count, 0);
	*(uint32_t *)(void *)page = f->cmd;
	((uint32_t *)(void *)page)[1] =
	        f->kind == SYSCTL ? XEN_SYSCTL_INTERFACE_VERSION : XENPF_INTERFACE_VERSION;
	return hypercall(f->kind == SYSCTL ? __HYPERVISOR_sysctl : __HYPERVISOR_platform_op, at, 0, 0, 0);
}

static void flow(void)
{
	if (!domain_make(DOM_LIVING)) {
		printf("no domain to ask about\n");
		return;
	}
	for (unsigned i = 0; i < sizeof(flows) / sizeof(flows[0]); i++)
		told(flows[i].name, DOM_LIVING, flow_call(&flows[i]), page, 0);
	memset(page, 0, PAGE);
	(void)domctl(DOM_LIVING, XEN_DOMCTL_destroydomain, (void *)page);
}

static int race(unsigned n)
{
	volatile uint64_t *frames =
	        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child[8];
	unsigned made = 0, gone = 0;

	for (unsigned i = 0; i < 8; i++) {
		child[i] = fork();
		if (!child[i])
			meddle(i, frames);
	}
	for (unsigned i = 0; i < n; i++) {
		uint16_t domid = (uint16_t)(DOM_FIRST + i % DOM_COUNT);
		uint64_t frame = domain_make(domid);

		if (frame) {
			made++;
			frames[i % DOM_COUNT] = frame;
			channel_make(domid);
			usleep(i % 5 * 200);
		}
		memset(page, 0, PAGE);
		gone += !domctl(domid, XEN_DOMCTL_destroydomain, (void *)page);
	}
	for (unsigned i = 0; i < 8; i++) {
		kill(child[i], SIGKILL);
		waitpid(child[i], NULL, 0);
	}
	printf("race: %u tries, %u made, %u destroyed\n", n, made, gone);
	return 0;
}

/* ---- a CPU that goes and comes ---- */

static long cpu_hotplug(unsigned cpu, unsigned op)
{
	struct xen_sysctl *s = (void *)page;

	memset(page, 0, PAGE);
	s->cmd = XEN_SYSCTL_cpu_hotplug;
	s->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	s->u.cpu_hotplug.cpu = cpu;
	s->u.cpu_hotplug.op = op;
	return hypercall(__HYPERVISOR_sysctl, (uintptr_t)page, 0, 0, 0);
}

static int hotplug(unsigned n)
{
	unsigned gone = 0, back = 0, busy = 0;
	pid_t child[4];
	long rc;

	for (unsigned i = 0; i < 4; i++) {
		child[i] = fork();
		for (unsigned k = 0; !child[i]; k++)
			usleep(k % 4096 ? 0 : i * 500);
	}
	for (unsigned i = 0; i < n; i++) {
		/* On Xen somebody else may be at it. */
		while ((rc = cpu_hotplug(1, XEN_SYSCTL_CPU_HOTPLUG_OFFLINE)) == -EBUSY && busy++ < 1000)
			usleep(1000);
		gone += !rc;
		usleep(i % 7 * 300);
		while ((rc = cpu_hotplug(1, XEN_SYSCTL_CPU_HOTPLUG_ONLINE)) == -EBUSY && busy++ < 1000)
			usleep(1000);
		back += !rc;
		usleep(i % 5 * 300);
	}
	for (unsigned i = 0; i < 4; i++) {
		kill(child[i], SIGKILL);
		waitpid(child[i], NULL, 0);
	}
	printf("hotplug: %u tries, %u gone, %u back\n", n, gone, back);
	return gone == n && back == n ? 0 : 1;
}

int main(int argc, char **argv)
{
	privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
	page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1,
	            0);
	if (privcmd < 0 || page == MAP_FAILED || mlock(page, PAGE) || munmap(page + PAGE, PAGE)) {
		perror("dom0_calls");
		return 1;
	}
	if (argc == 2 && !strcmp(argv[1], "args")) {
		domctls();
		getdomaininfos();
		others();
		flow();
		printf("args-count: %u\n", calls);
		return 0;
	}
	if (argc == 4 && !strcmp(argv[1], "map")) {
		map_one((uint16_t)atoi(argv[2]), (unsigned)atoi(argv[3]) % 65);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "race"))
		return race((unsigned)atoi(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "hotplug"))
		return hotplug((unsigned)atoi(argv[2]));
	fprintf(stderr, "usage: dom0_calls args | map DOMID COUNT | race COUNT | hotplug COUNT\n");
	return 2;
}
