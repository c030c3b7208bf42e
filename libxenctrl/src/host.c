/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host: CPUs, memory, version, console ring. Source: xen/sysctl.h, xen/version.h. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "private.h"
#include <xen/version.h>

#define CONSOLE_CHUNK ((size_t)16 * XYL_PAGE_BYTES)

int xyl_host_info(struct xyl *x, struct xyl_hostinfo *info)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_physinfo };
	const struct xen_sysctl_physinfo *p = &op.u.physinfo;

	if (xyl_sysctl(x, &op, "describe the host") < 0)
		return -1;
	memset(info, 0, sizeof(*info));
	info->cpus = p->nr_cpus;
	info->max_cpu_id = p->max_cpu_id;
	info->nodes = p->nr_nodes;
	info->max_node_id = p->max_node_id;
	info->threads_per_core = p->threads_per_core;
	info->cores_per_socket = p->cores_per_socket;
	info->cpu_khz = p->cpu_khz;
	info->total_pages = p->total_pages;
	info->free_pages = p->free_pages;
	info->scrub_pages = p->scrub_pages;
	info->outstanding_pages = p->outstanding_pages;
	info->max_mfn = p->max_mfn;
	info->cap_pv = p->capabilities & XEN_SYSCTL_PHYSCAP_pv;
	info->cap_hvm = p->capabilities & XEN_SYSCTL_PHYSCAP_hvm;
	info->cap_iommu = p->capabilities & XEN_SYSCTL_PHYSCAP_directio;
	info->cap_gnttab_v1 = p->capabilities & XEN_SYSCTL_PHYSCAP_gnttab_v1;
	info->cap_gnttab_v2 = p->capabilities & XEN_SYSCTL_PHYSCAP_gnttab_v2;
	memcpy(info->hw_cap, p->hw_cap, sizeof(info->hw_cap));
	return 0;
}

/* One XENVER_* call; text fields of the ABI are not always terminated. */
static long version(struct xyl *x, unsigned cmd, void *arg, size_t bytes)
{
	return xyl_struct_op(x, __HYPERVISOR_xen_version, cmd, arg, bytes);
}

static void version_text(struct xyl *x, unsigned cmd, char *out, size_t room)
{
	char text[1025] = "";

	if (version(x, cmd, text, 1024) < 0)
		text[0] = '\0'; /* optional: an empty field says that the hypervisor does not report it */
	snprintf(out, room, "%.*s", (int)room - 1, text);
}

static void version_details(struct xyl *x, struct xyl_version *v)
{
	struct xen_compile_info compile;
	struct {
		uint32_t len;
		uint8_t buf[sizeof(v->build_id)];
	} id = { .len = sizeof(id.buf) };
	xen_platform_parameters_t platform;
	long rc;

	memset(&compile, 0, sizeof(compile));
	if (version(x, XENVER_compile_info, &compile, sizeof(compile)) == 0) {
		snprintf(v->compiler, sizeof(v->compiler), "%.63s", compile.compiler);
		snprintf(v->compile_by, sizeof(v->compile_by), "%.15s", compile.compile_by);
		snprintf(v->compile_domain, sizeof(v->compile_domain), "%.31s", compile.compile_domain);
		snprintf(v->compile_date, sizeof(v->compile_date), "%.31s", compile.compile_date);
	}
	memset(&platform, 0, sizeof(platform));
	if (version(x, XENVER_platform_parameters, &platform, sizeof(platform)) == 0)
		v->virt_start = platform.virt_start;
	rc = version(x, XENVER_pagesize, &platform, 0);
	v->page_bytes = rc > 0 ? (uint32_t)rc : XYL_PAGE_BYTES;
	rc = version(x, XENVER_build_id, &id, sizeof(id));
	if (rc > 0 && (size_t)rc <= sizeof(v->build_id)) {
		v->build_id_bytes = (uint32_t)rc;
		memcpy(v->build_id, id.buf, (size_t)rc);
	}
}

int xyl_host_version(struct xyl *x, struct xyl_version *v)
{
	long rc;

	memset(v, 0, sizeof(*v));
	rc = xyl_raw(x, __HYPERVISOR_xen_version, XENVER_version, 0, 0, 0, 0);
	if (rc < 0)
		return xyl_fail(errno, "cannot ask for the hypervisor's version");
	v->major = (uint32_t)rc >> 16;
	v->minor = (uint32_t)rc & 0xffff;
	version_text(x, XENVER_extraversion, v->extra, sizeof(v->extra));
	version_text(x, XENVER_capabilities, v->capabilities, sizeof(v->capabilities));
	version_text(x, XENVER_changeset, v->changeset, sizeof(v->changeset));
	version_text(x, XENVER_commandline, v->commandline, sizeof(v->commandline));
	version_details(x, v);
	return 0;
}

int xyl_host_cputopo(struct xyl *x, struct xyl_cputopo *cpus, uint32_t max)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_cputopoinfo };
	size_t bytes = (size_t)max * sizeof(struct xen_sysctl_cputopo);
	struct xen_sysctl_cputopo *list = xyl_hypercall_alloc(x, bytes);
	int rc;

	if (!list)
		return -1;
	op.u.cputopoinfo.num_cpus = max;
	set_xen_guest_handle(op.u.cputopoinfo.cputopo, list);
	rc = xyl_sysctl(x, &op, "read the CPU topology");
	if (rc == 0) {
		rc = (int)(op.u.cputopoinfo.num_cpus < max ? op.u.cputopoinfo.num_cpus : max);
		for (int i = 0; i < rc; i++) {
			cpus[i].core = list[i].core;
			cpus[i].socket = list[i].socket;
			cpus[i].node = list[i].node;
		}
	}
	xyl_hypercall_free(x, list, bytes);
	return rc;
}

int xyl_host_numa(struct xyl *x, struct xyl_numanode *nodes, uint32_t *distance, uint32_t max)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_numainfo };
	size_t meminfo_bytes = (size_t)max * sizeof(xen_sysctl_meminfo_t);
	size_t distance_bytes = (size_t)max * max * sizeof(uint32_t);
	xen_sysctl_meminfo_t *meminfo = xyl_hypercall_alloc(x, meminfo_bytes);
	uint32_t *matrix = xyl_hypercall_alloc(x, distance_bytes);
	int rc = -1;

	if (meminfo && matrix) {
		op.u.numainfo.num_nodes = max;
		set_xen_guest_handle(op.u.numainfo.meminfo, meminfo);
		set_xen_guest_handle(op.u.numainfo.distance, matrix);
		rc = xyl_sysctl(x, &op, "read the NUMA topology");
	}
	if (rc == 0) {
		uint32_t n = op.u.numainfo.num_nodes;

		/* The matrix's rows are as long as the hypervisor's number of nodes, when that is smaller. */
		rc = (int)(n < max ? n : max);
		for (int i = 0; i < rc; i++) {
			bool absent = meminfo[i].memsize == XEN_INVALID_MEM_SZ;

			nodes[i].size_bytes = absent ? 0 : meminfo[i].memsize;
			nodes[i].free_bytes = absent ? 0 : meminfo[i].memfree;
			for (int j = 0; distance && j < rc; j++)
				distance[(size_t)i * max + (size_t)j] = matrix[i * rc + j];
		}
	}
	xyl_hypercall_free(x, meminfo, meminfo_bytes);
	xyl_hypercall_free(x, matrix, distance_bytes);
	return rc;
}

/* By the call that Xen answers only where dom0 steers the CPUs' frequencies, ours always. */
static long platform_times(struct xyl *x, uint64_t *times, uint8_t *map, uint32_t max, uint64_t *now_ns)
{
	struct xen_platform_op op = { .cmd = XENPF_getidletime,
		                      .interface_version = XENPF_INTERFACE_VERSION };
	long rc;

	memset(map, 0xff, (max + 7) / 8);
	op.u.getidletime.cpumap_nr_cpus = max;
	set_xen_guest_handle(op.u.getidletime.cpumap_bitmap, map);
	set_xen_guest_handle(op.u.getidletime.idletime, times);
	rc = xyl_arg_op(x, __HYPERVISOR_platform_op, &op, sizeof(op));
	*now_ns = op.u.getidletime.now;
	return rc;
}

/* Without the hypervisor's clock: that of dom0, which began a little later. */
static int sysctl_times(struct xyl *x, uint64_t *idle_ns, uint32_t max, uint64_t *now_ns)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_getcpuinfo };
	size_t bytes = max * sizeof(xen_sysctl_cpuinfo_t);
	xen_sysctl_cpuinfo_t *list = xyl_hypercall_alloc(x, bytes);
	struct timespec now;
	int rc;

	if (!list)
		return -1;
	op.u.getcpuinfo.max_cpus = max;
	set_xen_guest_handle(op.u.getcpuinfo.info, list);
	rc = xyl_sysctl(x, &op, "read the CPUs' idle times");
	clock_gettime(CLOCK_BOOTTIME, &now);
	*now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	for (uint32_t i = 0; rc == 0 && i < max; i++) {
		idle_ns[i] = i < op.u.getcpuinfo.nr_cpus ? list[i].idletime : UINT64_MAX;
		if (idle_ns[i] != UINT64_MAX && idle_ns[i] > *now_ns)
			*now_ns = idle_ns[i];
	}
	xyl_hypercall_free(x, list, bytes);
	return rc;
}

int xyl_host_cpu_times(struct xyl *x, uint64_t *idle_ns, uint32_t max, uint64_t *now_ns)
{
	size_t bytes = max * sizeof(uint64_t) + (max + 7) / 8;
	uint64_t *times = xyl_hypercall_alloc(x, bytes);
	uint8_t *map;
	long rc;

	if (!times)
		return -1;
	map = (uint8_t *)(times + max);
	rc = platform_times(x, times, map, max, now_ns);
	for (uint32_t i = 0; rc == 0 && i < max; i++)
		idle_ns[i] = map[i / 8] >> i % 8 & 1 ? times[i] : UINT64_MAX;
	if (rc < 0 && errno == ENOSYS)
		rc = sysctl_times(x, idle_ns, max, now_ns);
	else if (rc < 0)
		xyl_fail(errno, "cannot read the CPUs' idle times");
	xyl_hypercall_free(x, times, bytes);
	return rc < 0 ? -1 : 0;
}

int xyl_host_free_memory(struct xyl *x, int node, unsigned max_bits, uint64_t *bytes)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_availheap };

	op.u.availheap.max_bitwidth = max_bits;
	op.u.availheap.node = node;
	if (xyl_sysctl(x, &op, "read the amount of free memory") < 0)
		return -1;
	*bytes = op.u.availheap.avail_bytes;
	return 0;
}

int xyl_console_read(struct xyl *x, char *buffer, size_t bytes, bool clear, uint32_t *index)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_readconsole };
	size_t room = bytes < CONSOLE_CHUNK ? bytes : CONSOLE_CHUNK;
	char *memory = xyl_hypercall_alloc(x, room);
	int rc;

	if (!memory)
		return -1;
	op.u.readconsole.clear = clear;
	op.u.readconsole.incremental = index != NULL;
	op.u.readconsole.index = index ? *index : 0;
	op.u.readconsole.count = (uint32_t)room;
	set_xen_guest_handle(op.u.readconsole.buffer, memory);
	rc = xyl_sysctl(x, &op, "read the hypervisor's console ring");
	if (rc == 0) {
		rc = (int)(op.u.readconsole.count < room ? op.u.readconsole.count : room);
		memcpy(buffer, memory, (size_t)rc);
		if (index)
			*index = op.u.readconsole.index;
	}
	xyl_hypercall_free(x, memory, room);
	return rc;
}

int xyl_debug_keys(struct xyl *x, const char *keys)
{
	struct xen_sysctl op = { .cmd = XEN_SYSCTL_debug_keys };
	size_t n = strlen(keys);
	char *memory;
	int rc;

	if (n >= XYL_PAGE_BYTES)
		return xyl_fail_text(E2BIG, "cannot press %zu keys at once", n);
	memory = xyl_hypercall_alloc(x, XYL_PAGE_BYTES);
	if (!memory)
		return -1;
	memcpy(memory, keys, n);
	set_xen_guest_handle(op.u.debug_keys.keys, memory);
	op.u.debug_keys.nr_keys = (uint32_t)n;
	rc = xyl_sysctl(x, &op, "press the hypervisor's debug keys");
	xyl_hypercall_free(x, memory, XYL_PAGE_BYTES);
	return rc;
}
