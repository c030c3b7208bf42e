/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a program of dom0 sees of hypercalls that fail, through the kernel's own devices. Runs in a dom0, started by
 * tests/system/test-dom0-calls.
 *
 *	dom0_calls args          prints what each call wrote, as the test guests args-* do (tests/guests/transcript.h)
 *	dom0_calls map DOMID N   maps N frames of a domain; prints the error of each
 *	dom0_calls race N        N domains are made and destroyed while others map their frames and grants, bind their
 *	                         event channels and ask about them
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
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sysctl.h>
#include <xen/sys/evtchn.h>
#include <xen/sys/gntdev.h>
#include <xen/sys/privcmd.h>

#define PAGE       4096
#define DOM_ABSENT 4242
#define DOM_FIRST  20000 /* of the race's domains */
#define DOM_COUNT  8     /* numbers in use at once */

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
		printf("args-count: %u\n", calls);
		return 0;
	}
	if (argc == 4 && !strcmp(argv[1], "map")) {
		map_one((uint16_t)atoi(argv[2]), (unsigned)atoi(argv[3]) % 65);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "race"))
		return race((unsigned)atoi(argv[2]));
	fprintf(stderr, "usage: dom0_calls args | map DOMID COUNT | race COUNT\n");
	return 2;
}
