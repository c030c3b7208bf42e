/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host as the hypervisor sees it (dom0's own view of CPUs and memory is a part of it only), what guests
 * can be made of, and Domain-0.
 */
#include "host.h"
#include "cpu.h"
#include "xmlopt.h"
#include "xylem.h"

#include "../libxenctrl/src/guestlimits.h"
#include "capabilities.h"
#include "compat.h"
#include "domain_capabilities.h"
#include "viraccessapicheck.h"
#include "virdomainobjlist.h"
#include "virhostuptime.h"
#include "virlog.h"
#include "virsysinfo.h"
#include "viruuid.h"

VIR_LOG_INIT("xylem.host");

/* The CPUs of one node, as libvirt's capabilities list them; *count receives how many. */
static virCapsHostNUMACellCPU *node_cpus(const struct xyl_cputopo *topo, int total, uint32_t node, int *count)
{
	virCapsHostNUMACellCPU *cpus = g_new0(virCapsHostNUMACellCPU, total);
	int i, j, n = 0;

	for (i = 0; i < total; i++) {
		if (topo[i].core == UINT32_MAX || topo[i].node != node)
			continue;
		cpus[n].id = (unsigned int)i;
		cpus[n].socket_id = topo[i].socket;
		cpus[n].core_id = topo[i].core;
		cpus[n].siblings = virBitmapNew((size_t)total);
		for (j = 0; j < total; j++) {
			if (topo[j].socket == topo[i].socket && topo[j].core == topo[i].core &&
			    topo[j].core != UINT32_MAX)
				ignore_value(virBitmapSetBit(cpus[n].siblings, (size_t)j));
		}
		n++;
	}
	*count = n;
	return cpus;
}

/*
 * The machine's NUMA nodes. Of their sizes the hypervisor tells how far they reach, with holes where the machine has no memory;
 * these are below 4 GiB, so that what is more than the host has is taken from the first nodes, down to what is free of them.
 * Returns how many there are, or -1 and an error.
 */
static int read_nodes(const struct xyl_hostinfo *host, struct xyl_numanode **nodes)
{
	uint64_t all = host->total_pages * XYL_PAGE_BYTES, sum = 0;
	struct xyl_numanode *list = g_new0(struct xyl_numanode, host->max_node_id + 1);
	int count = xyl_host_numa(xylem->xen, list, NULL, host->max_node_id + 1), i;

	*nodes = list;
	if (count < 0)
		return host_report_xyl();
	for (i = 0; i < count; i++)
		sum += list[i].size_bytes;
	for (i = 0; i < count && sum > all; i++) {
		uint64_t used = list[i].size_bytes - MIN(list[i].free_bytes, list[i].size_bytes);
		uint64_t hole = MIN(used, sum - all);

		list[i].size_bytes -= hole;
		sum -= hole;
	}
	return count;
}

static int add_numa(virCaps *caps, const struct xyl_hostinfo *host)
{
	uint32_t max_cpus = host->max_cpu_id + 1, node;
	g_autofree struct xyl_cputopo *topo = g_new0(struct xyl_cputopo, max_cpus);
	g_autofree struct xyl_numanode *nodes = NULL;
	int cpu_count, node_count;

	cpu_count = xyl_host_cputopo(xylem->xen, topo, max_cpus);
	if (cpu_count < 0)
		return host_report_xyl();
	node_count = read_nodes(host, &nodes);
	if (node_count < 0)
		return -1;
	caps->host.numa = virCapabilitiesHostNUMANew();
	for (node = 0; node < (uint32_t)node_count; node++) {
		virCapsHostNUMACellCPU *cpus;
		int count;

		if (!nodes[node].size_bytes)
			continue;
		cpus = node_cpus(topo, MIN(cpu_count, (int)max_cpus), node, &count);
		virCapabilitiesHostNUMAAddCell(caps->host.numa, (int)node, nodes[node].size_bytes / 1024,
		                               count, &cpus, 0, NULL, 0, NULL, NULL);
	}
	return 0;
}

static void fill_node_info(const struct xyl_hostinfo *host, virNodeInfoPtr info)
{
	memset(info, 0, sizeof(*info));
	g_strlcpy(info->model, "x86_64", sizeof(info->model));
	info->memory = host->total_pages * 4;
	info->cpus = host->cpus;
	info->mhz = host->cpu_khz / 1000;
	info->nodes = MAX(host->nodes, 1);
	info->threads = MAX(host->threads_per_core, 1);
	info->cores = MAX(host->cores_per_socket, 1);
	info->sockets = MAX(host->cpus / (info->cores * info->threads * info->nodes), 1);
}

int host_init(void)
{
	struct xyl_version version;
	struct xyl_hostinfo host;
	virNodeInfo node;

	if (xyl_host_version(xylem->xen, &version) < 0 || xyl_host_info(xylem->xen, &host) < 0)
		return host_report_xyl();
	xylem->version = version.major * 1000000UL + version.minor * 1000UL;
	xylem->caps = xmlopt_caps_new();
	if (!xylem->caps || add_numa(xylem->caps, &host) < 0)
		return -1;
	fill_node_info(&host, &node);
	cpu_probe(&node);
	virCapabilitiesSetNetPrefix(xylem->caps, "vif");
	virCapabilitiesAddHostMigrateTransport(xylem->caps, "tcp");
	if (virGetHostUUID(xylem->caps->host.host_uuid) < 0)
		virResetLastError();
	return 0;
}

int host_add_dom0(void)
{
	g_autoptr(virDomainDef) def = NULL;
	struct xyl_dominfo info;
	virDomainObj *vm;

	if (xyl_domain_info(xylem->xen, 0, &info) < 0)
		return host_report_xyl();
	def = virDomainDefNew(xylem->xmlopt);
	if (!def)
		return -1;
	/* The all-zero UUID tells libvirt-guests and others to leave it alone. */
	def->id = 0;
	def->name = g_strdup("Domain-0");
	def->virtType = VIR_DOMAIN_VIRT_XEN;
	def->os.type = VIR_DOMAIN_OSTYPE_XEN;
	def->os.arch = VIR_ARCH_X86_64;
	def->onPoweroff = def->onCrash = VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY;
	def->onReboot = VIR_DOMAIN_LIFECYCLE_ACTION_RESTART;
	def->mem.cur_balloon = info.memory_pages * 4;
	/* Xen's way to say that there is no limit is a very large one. */
	virDomainDefSetMemoryTotal(def, info.max_memory_pages < (1ULL << 40) / 4096
	                                        ? MAX(info.max_memory_pages, info.memory_pages) * 4
	                                        : info.memory_pages * 4);
	if (virDomainDefSetVcpusMax(def, info.max_vcpus, xylem->xmlopt) < 0 ||
	    virDomainDefSetVcpus(def, info.online_vcpus) < 0)
		return -1;
	vm = virDomainObjListAdd(xylem->domains, &def, xylem->xmlopt, 0, NULL);
	if (!vm)
		return -1;
	vm->persistent = 1;
	virDomainObjSetState(vm, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED);
	virDomainObjEndAPI(&vm);
	return 0;
}

char *host_capabilities(virConnectPtr conn)
{
	if (virConnectGetCapabilitiesEnsureACL(conn) < 0)
		return NULL;
	return virCapabilitiesFormatXML(xylem->caps);
}

static void fill_domain_capabilities(virDomainCaps *caps)
{
	caps->maxvcpus = GUEST_VCPUS_MAX;
	caps->cpu.hostPassthrough = true;
	caps->os.supported = VIR_TRISTATE_BOOL_YES;
	caps->os.loader.supported = VIR_TRISTATE_BOOL_NO;
	caps->disk.supported = VIR_TRISTATE_BOOL_YES;
	caps->disk.diskDevice.report = true;
	VIR_DOMAIN_CAPS_ENUM_SET(caps->disk.diskDevice, VIR_DOMAIN_DISK_DEVICE_DISK,
	                         VIR_DOMAIN_DISK_DEVICE_CDROM);
	caps->disk.bus.report = true;
	VIR_DOMAIN_CAPS_ENUM_SET(caps->disk.bus, VIR_DOMAIN_DISK_BUS_XEN);
	caps->graphics.supported = VIR_TRISTATE_BOOL_YES;
	caps->graphics.type.report = true;
	VIR_DOMAIN_CAPS_ENUM_SET(caps->graphics.type, VIR_DOMAIN_GRAPHICS_TYPE_VNC);
	caps->video.supported = VIR_TRISTATE_BOOL_YES;
	caps->video.modelType.report = true;
	VIR_DOMAIN_CAPS_ENUM_SET(caps->video.modelType, VIR_DOMAIN_VIDEO_TYPE_XEN);
	caps->hostdev.supported = VIR_TRISTATE_BOOL_NO;
	caps->rng.supported = VIR_TRISTATE_BOOL_NO;
	caps->filesystem.supported = VIR_TRISTATE_BOOL_NO;
	caps->tpm.supported = VIR_TRISTATE_BOOL_NO;
	caps->redirdev.supported = VIR_TRISTATE_BOOL_NO;
	caps->channel.supported = VIR_TRISTATE_BOOL_YES;
	caps->channel.type.report = true;
	VIR_DOMAIN_CAPS_ENUM_SET(caps->channel.type, VIR_DOMAIN_CHR_TYPE_PTY, VIR_DOMAIN_CHR_TYPE_UNIX,
	                         VIR_DOMAIN_CHR_TYPE_TCP);
	caps->memoryBacking.supported = VIR_TRISTATE_BOOL_NO;
	caps->features[VIR_DOMAIN_CAPS_FEATURE_IOTHREADS] = VIR_TRISTATE_BOOL_NO;
	caps->features[VIR_DOMAIN_CAPS_FEATURE_VMCOREINFO] = VIR_TRISTATE_BOOL_NO;
	caps->features[VIR_DOMAIN_CAPS_FEATURE_GENID] = VIR_TRISTATE_BOOL_NO;
}

int host_check_kind(const char *emulator, const char *arch, const char *machine, const char *type)
{
	if (emulator && STRNEQ(emulator, XYLEM_XYLEMD))
		virReportError(VIR_ERR_INVALID_ARG, "emulator '%s': paravirtual guests have none", emulator);
	else if (type && STRNEQ(type, "xen"))
		virReportError(VIR_ERR_INVALID_ARG, "type '%s': the only one is 'xen'", type);
	else if (arch && STRNEQ(arch, "x86_64"))
		virReportError(VIR_ERR_INVALID_ARG, "architecture '%s': the only one is x86_64", arch);
	else if (machine && STRNEQ(machine, "xenpv"))
		virReportError(VIR_ERR_INVALID_ARG, "machine '%s': the only one is 'xenpv'", machine);
	else
		return 0;
	return -1;
}

char *host_domain_capabilities(virConnectPtr conn, const char *emulator, const char *arch,
                               const char *machine, const char *type, unsigned int flags)
{
	g_autoptr(virDomainCaps) caps = NULL;

	virCheckFlags(0, NULL);

	if (virConnectGetDomainCapabilitiesEnsureACL(conn) < 0)
		return NULL;
	if (host_check_kind(emulator, arch, machine, type) < 0)
		return NULL;
	/* libvirt's schema wants a path: that of the program which makes the guests. */
	caps = virDomainCapsNew(XYLEM_XYLEMD, "xenpv", VIR_ARCH_X86_64, VIR_DOMAIN_VIRT_XEN);
	if (!caps)
		return NULL;
	fill_domain_capabilities(caps);
	return virDomainCapsFormat(caps);
}

int host_node_info(virConnectPtr conn, virNodeInfoPtr info)
{
	struct xyl_hostinfo host;

	if (virNodeGetInfoEnsureACL(conn) < 0)
		return -1;
	if (xyl_host_info(xylem->xen, &host) < 0)
		return host_report_xyl();
	fill_node_info(&host, info);
	return 0;
}

int host_max_vcpus(virConnectPtr conn, const char *type)
{
	if (virConnectGetMaxVcpusEnsureACL(conn) < 0)
		return -1;
	if (type && STRCASENEQ(type, "xen")) {
		virReportError(VIR_ERR_INVALID_ARG, "type '%s': the only one is 'xen'", type);
		return -1;
	}
	return GUEST_VCPUS_MAX;
}

unsigned long long host_free_memory(virConnectPtr conn)
{
	struct xyl_hostinfo host;

	if (virNodeGetFreeMemoryEnsureACL(conn) < 0)
		return 0;
	if (xyl_host_info(xylem->xen, &host) < 0) {
		host_report_xyl();
		return 0;
	}
	return host.free_pages * XYL_PAGE_BYTES;
}

int host_cells_free(virConnectPtr conn, unsigned long long *free_bytes, int start, int max)
{
	g_autofree struct xyl_numanode *nodes = NULL;
	struct xyl_hostinfo host;
	int count, i;

	if (virNodeGetCellsFreeMemoryEnsureACL(conn) < 0)
		return -1;
	if (xyl_host_info(xylem->xen, &host) < 0)
		return host_report_xyl();
	count = read_nodes(&host, &nodes);
	if (count < 0)
		return -1;
	if (start < 0 || start >= count) {
		virReportError(VIR_ERR_INVALID_ARG, "there is no NUMA node %d", start);
		return -1;
	}
	for (i = 0; i < max && start + i < count; i++)
		free_bytes[i] = nodes[start + i].free_bytes;
	return i;
}

int host_cpu_map(virConnectPtr conn, unsigned char **map, unsigned int *online, unsigned int flags)
{
	g_autofree struct xyl_cputopo *topo = NULL;
	g_autoptr(virBitmap) bits = NULL;
	struct xyl_hostinfo host;
	unsigned int total, up = 0;
	int count, i, bytes;

	virCheckFlags(0, -1);

	if (virNodeGetCPUMapEnsureACL(conn) < 0)
		return -1;
	if (xyl_host_info(xylem->xen, &host) < 0)
		return host_report_xyl();
	total = host.max_cpu_id + 1;
	topo = g_new0(struct xyl_cputopo, total);
	count = xyl_host_cputopo(xylem->xen, topo, total);
	if (count < 0)
		return host_report_xyl();
	bits = virBitmapNew(total);
	for (i = 0; i < count && i < (int)total; i++) {
		if (topo[i].core == UINT32_MAX)
			continue;
		ignore_value(virBitmapSetBit(bits, (size_t)i));
		up++;
	}
	if (map)
		virBitmapToData(bits, map, &bytes);
	if (online)
		*online = up;
	return (int)total;
}

int host_version(virConnectPtr conn, unsigned long *version)
{
	if (virConnectGetVersionEnsureACL(conn) < 0)
		return -1;
	*version = xylem->version;
	return 0;
}

char *host_sysinfo(virConnectPtr conn, unsigned int flags)
{
	g_auto(virBuffer) text = VIR_BUFFER_INITIALIZER;
	g_autoptr(virSysinfoDef) info = NULL;

	virCheckFlags(0, NULL);

	if (virConnectGetSysinfoEnsureACL(conn) < 0)
		return NULL;
	info = virSysinfoRead();
	if (!info) {
		virReportError(VIR_ERR_CONFIG_UNSUPPORTED, "%s",
		               "this host has no SMBIOS that dmidecode could read");
		return NULL;
	}
	return virSysinfoFormat(&text, info) < 0 ? NULL : virBufferContentAndReset(&text);
}

/* Of the machine or of one of its nodes, not of Domain-0, whose memory is a part of it. */
int host_memory_stats(virConnectPtr conn, int cell, virNodeMemoryStatsPtr params, int *count,
                      unsigned int flags)
{
	static const char *const names[] = { VIR_NODE_MEMORY_STATS_TOTAL, VIR_NODE_MEMORY_STATS_FREE };
	unsigned long long kib[G_N_ELEMENTS(names)];
	g_autofree struct xyl_numanode *nodes = NULL;
	struct xyl_hostinfo host;
	int known, i;

	virCheckFlags(0, -1);

	if (virNodeGetMemoryStatsEnsureACL(conn) < 0)
		return -1;
	if (xyl_host_info(xylem->xen, &host) < 0)
		return host_report_xyl();
	kib[0] = host.total_pages * 4;
	kib[1] = host.free_pages * 4;
	if (cell != VIR_NODE_MEMORY_STATS_ALL_CELLS) {
		known = read_nodes(&host, &nodes);
		if (known < 0)
			return -1;
		if (cell < 0 || cell >= known) {
			virReportError(VIR_ERR_INVALID_ARG, "there is no NUMA node %d", cell);
			return -1;
		}
		kib[0] = nodes[cell].size_bytes / 1024;
		kib[1] = nodes[cell].free_bytes / 1024;
	}
	if (*count == 0) {
		*count = G_N_ELEMENTS(names);
		return 0;
	}
	*count = MIN(*count, (int)G_N_ELEMENTS(names));
	for (i = 0; i < *count; i++) {
		g_strlcpy(params[i].field, names[i], sizeof(params[i].field));
		params[i].value = kib[i];
	}
	return 0;
}

/* counts: for each of the nodes, how many pages of each size are free. */
int host_free_pages(virConnectPtr conn, unsigned int size_count, unsigned int *sizes_kib, int start,
                    unsigned int max, unsigned long long *counts, unsigned int flags)
{
	g_autofree struct xyl_numanode *nodes = NULL;
	struct xyl_hostinfo host;
	unsigned int node, i;
	int known;

	virCheckFlags(0, -1);

	if (virNodeGetFreePagesEnsureACL(conn) < 0)
		return -1;
	if (xyl_host_info(xylem->xen, &host) < 0)
		return host_report_xyl();
	known = read_nodes(&host, &nodes);
	if (known < 0)
		return -1;
	if (start < 0 || start >= known) {
		virReportError(VIR_ERR_INVALID_ARG, "there is no NUMA node %d", start);
		return -1;
	}
	for (i = 0; i < size_count; i++) {
		if (sizes_kib[i] != 4) {
			virReportError(VIR_ERR_OPERATION_UNSUPPORTED,
			               "pages of %u KiB: guests' memory is counted in pages of 4 KiB",
			               sizes_kib[i]);
			return -1;
		}
	}
	for (node = 0; node < max && node < (unsigned int)(known - start); node++) {
		for (i = 0; i < size_count; i++)
			counts[node * size_count + i] = nodes[(unsigned int)start + node].free_bytes / 4096;
	}
	return (int)(node * size_count);
}

/* None: what a guest can reach is the hypervisor's business. */
int host_security_model(virConnectPtr conn, virSecurityModelPtr model)
{
	if (virNodeGetSecurityModelEnsureACL(conn) < 0)
		return -1;
	memset(model, 0, sizeof(*model));
	return 0;
}
