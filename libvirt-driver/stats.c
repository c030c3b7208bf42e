/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What guests use: CPU time and memory from the hypervisor, disks from blkback's counters in sysfs,
 * interfaces from the counters of their vifs. The bulk call lists all domains with one hypercall.
 */
#include "stats.h"
#include "xylem.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <xenctrl.h>

#include "compat.h"
#include "conf.h"
#include "datatypes.h"
#include "dirtyrate.h"
#include "domain.h"
#include "host.h"
#include "monitor.h"
#include "viraccessapicheck.h"
#include "virdomainobjlist.h"
#include "virerror.h"
#include "virfile.h"
#include "virlog.h"
#include "virmacaddr.h"
#include "virnetdevtap.h"
#include "virstring.h"
#include "virtypedparam.h"

VIR_LOG_INIT("xylem.stats");

#define SECTOR_BYTES 512

struct disk_counters {
	unsigned long long rd_req, rd_sectors, wr_req, wr_sectors, flush_req;
};

int stats_get_info(virDomainPtr dom, virDomainInfoPtr info)
{
	struct xyl_dominfo live = { 0 };
	virDomainObj *vm = domain_get(dom);
	int ret = -1;

	if (!vm)
		return -1;
	if (virDomainGetInfoEnsureACL(dom->conn, vm->def) < 0)
		goto cleanup;
	memset(info, 0, sizeof(*info));
	info->maxMem = virDomainDefGetMemoryTotal(vm->def);
	if (vm->def->id >= 0) {
		int known = domain_query(vm, &live);

		if (known < 0)
			goto cleanup;
		if (known == 0)
			domain_refresh(vm, &live);
		info->cpuTime = live.cpu_time_ns;
		info->memory = live.memory_pages * 4;
		info->maxMem = MAX(info->maxMem, info->memory);
		info->nrVirtCpu = (unsigned short)live.online_vcpus;
	} else {
		info->memory = vm->def->mem.cur_balloon;
		info->nrVirtCpu = (unsigned short)virDomainDefGetVcpus(vm->def);
	}
	info->state = (unsigned char)domain_state(vm, &live, NULL);
	ret = 0;
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

/* ---- disks ---- */

static int read_counter(const char *dir, const char *name, unsigned long long *value)
{
	g_autofree char *path = g_strdup_printf("%s/%s", dir, name);
	g_autofree char *text = NULL;

	if (virFileReadAllQuiet(path, 32, &text) < 0)
		return -1;
	if (!g_ascii_isdigit(*text))
		return -1;
	*value = g_ascii_strtoull(text, NULL, 10);
	return 0;
}

static int disk_counters(int domid, const virDomainDiskDef *disk, struct disk_counters *c)
{
	g_autofree char *dir = NULL;
	int number = conf_disk_number(disk->dst);

	memset(c, 0, sizeof(*c));
	if (number < 0)
		return -1;
	dir = g_strdup_printf("/sys/bus/xen-backend/devices/vbd-%d-%d/statistics", domid, number);
	if (read_counter(dir, "rd_req", &c->rd_req) < 0 || read_counter(dir, "rd_sect", &c->rd_sectors) < 0 ||
	    read_counter(dir, "wr_req", &c->wr_req) < 0 || read_counter(dir, "wr_sect", &c->wr_sectors) < 0 ||
	    read_counter(dir, "f_req", &c->flush_req) < 0)
		return -1;
	return 0;
}

/* The named disk's counters, or with an empty path the sum over all; 0 or -1 with an error. */
static int counters_of(virDomainObj *vm, const char *path, struct disk_counters *sum)
{
	virDomainDiskDef *disk = NULL;
	struct disk_counters c;
	size_t i;

	if (virDomainObjCheckActive(vm) < 0)
		return -1;
	memset(sum, 0, sizeof(*sum));
	if (*path && !(disk = virDomainDiskByName(vm->def, path, false))) {
		virReportError(VIR_ERR_INVALID_ARG, "%s has no disk '%s'", vm->def->name, path);
		return -1;
	}
	for (i = 0; i < vm->def->ndisks; i++) {
		if (disk && disk != vm->def->disks[i])
			continue;
		if (conf_is_image(vm->def->disks[i])) {
			virReportError(
			        VIR_ERR_OPERATION_UNSUPPORTED,
			        "disk %s of %s is an image that QEMU serves: its requests are not counted",
			        vm->def->disks[i]->dst, vm->def->name);
			return -1;
		}
		if (disk_counters(vm->def->id, vm->def->disks[i], &c) < 0) {
			virReportError(VIR_ERR_OPERATION_FAILED,
			               "disk %s of %s is not connected, it has no counters",
			               vm->def->disks[i]->dst, vm->def->name);
			return -1;
		}
		sum->rd_req += c.rd_req;
		sum->rd_sectors += c.rd_sectors;
		sum->wr_req += c.wr_req;
		sum->wr_sectors += c.wr_sectors;
		sum->flush_req += c.flush_req;
	}
	return 0;
}

int stats_block(virDomainPtr dom, const char *path, virDomainBlockStatsPtr stats)
{
	virDomainObj *vm = domain_get(dom);
	struct disk_counters c;
	int ret = -1;

	if (!vm)
		return -1;
	if (virDomainBlockStatsEnsureACL(dom->conn, vm->def) == 0 && counters_of(vm, path, &c) == 0) {
		stats->rd_req = (long long)c.rd_req;
		stats->rd_bytes = (long long)(c.rd_sectors * SECTOR_BYTES);
		stats->wr_req = (long long)c.wr_req;
		stats->wr_bytes = (long long)(c.wr_sectors * SECTOR_BYTES);
		stats->errs = -1;
		ret = 0;
	}
	virDomainObjEndAPI(&vm);
	return ret;
}

int stats_block_flags(virDomainPtr dom, const char *path, virTypedParameterPtr params, int *count,
                      unsigned int flags)
{
	struct disk_counters c;
	virDomainObj *vm;
	int ret = -1, i;

	virCheckFlags(VIR_TYPED_PARAM_STRING_OKAY, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainBlockStatsFlagsEnsureACL(dom->conn, vm->def) < 0 || counters_of(vm, path, &c) < 0)
		goto cleanup;
	{
		const struct {
			const char *name;
			unsigned long long value;
		} list[] = {
			{ VIR_DOMAIN_BLOCK_STATS_READ_REQ, c.rd_req },
			{ VIR_DOMAIN_BLOCK_STATS_READ_BYTES, c.rd_sectors * SECTOR_BYTES },
			{ VIR_DOMAIN_BLOCK_STATS_WRITE_REQ, c.wr_req },
			{ VIR_DOMAIN_BLOCK_STATS_WRITE_BYTES, c.wr_sectors * SECTOR_BYTES },
			{ VIR_DOMAIN_BLOCK_STATS_FLUSH_REQ, c.flush_req },
		};

		if (*count == 0) {
			*count = G_N_ELEMENTS(list);
			ret = 0;
			goto cleanup;
		}
		*count = MIN(*count, (int)G_N_ELEMENTS(list));
		for (i = 0; i < *count; i++) {
			if (virTypedParameterAssign(&params[i], list[i].name, VIR_TYPED_PARAM_LLONG,
			                            (long long)list[i].value) < 0)
				goto cleanup;
		}
	}
	ret = 0;
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

/* Sizes without opening the device: a dead one would block. 0 or -1 with errno. */
static int source_size(const char *path, unsigned long long *capacity, unsigned long long *allocation)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -1;
	if (S_ISBLK(st.st_mode)) {
		g_autofree char *file =
		        g_strdup_printf("/sys/dev/block/%u:%u/size", major(st.st_rdev), minor(st.st_rdev));
		g_autofree char *text = NULL;

		if (virFileReadAllQuiet(file, 32, &text) < 0)
			return -1;
		*capacity = *allocation = g_ascii_strtoull(text, NULL, 10) * SECTOR_BYTES;
		return 0;
	}
	*capacity = (unsigned long long)st.st_size;
	*allocation = (unsigned long long)st.st_blocks * 512;
	return 0;
}

/* How large the guest's disk is that a qcow2 image holds: its header says so, which whoever writes it may change. */
static int image_size(const char *path, unsigned long long *capacity)
{
	const int magic = 4, place = 24;
	unsigned char head[32];
	VIR_AUTOCLOSE fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int i;

	if (fd < 0)
		return -1;
	if (pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    memcmp(head, "QFI\xfb", (size_t)magic)) {
		errno = EINVAL;
		return -1;
	}
	for (*capacity = 0, i = place; i < place + 8; i++)
		*capacity = *capacity << 8 | head[i];
	return 0;
}

int stats_block_info(virDomainPtr dom, const char *path, virDomainBlockInfoPtr info, unsigned int flags)
{
	g_autofree char *source = NULL;
	virDomainDiskDef *disk;
	virDomainObj *vm;
	bool is_image;
	int ret = -1;

	virCheckFlags(0, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainGetBlockInfoEnsureACL(dom->conn, vm->def) < 0)
		goto cleanup;
	disk = virDomainDiskByName(vm->def, path, false);
	if (!disk || !disk->src->path) {
		virReportError(VIR_ERR_INVALID_ARG, "%s has no disk '%s'", vm->def->name, path);
		goto cleanup;
	}
	source = g_strdup(disk->src->path);
	is_image = conf_is_image(disk);
	/* A file system that does not answer keeps few callers. */
	if (slot_take(SLOT_DISK, vm) < 0)
		goto cleanup;
	virObjectUnlock(vm);
	ret = source_size(source, &info->capacity, &info->allocation);
	/* As "ls" has it, for a file (libvirt-domain.h). */
	info->physical = info->capacity;
	if (ret == 0 && is_image)
		ret = image_size(source, &info->capacity);
	if (ret < 0)
		virReportSystemError(errno, "the size of %s is not known", source);
	virObjectLock(vm);
	slot_give(SLOT_DISK);
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

/* How many of the guest's disks have errors; as many as there is room for. */
static int disk_errors(GVariant *domain, virDomainDiskErrorPtr errors, unsigned int room)
{
	g_autoptr(GVariant) devices = g_variant_lookup_value(domain, "devices", G_VARIANT_TYPE("aa{sv}"));
	unsigned int found = 0;
	GVariantIter iter;
	GVariant *device;

	if (!devices)
		return 0;
	g_variant_iter_init(&iter, devices);
	while (found < room && (device = g_variant_iter_next_value(&iter))) {
		const char *vdev, *format, *path;

		/* Of an image nobody serves: docs/xylemd-protocol.md. */
		if (g_variant_lookup(device, "vdev", "&s", &vdev) &&
		    g_variant_lookup(device, "format", "&s", &format) &&
		    g_variant_lookup(device, "device", "&s", &path) && !*path)
			errors[found++] =
			        (virDomainDiskError){ g_strdup(vdev), VIR_DOMAIN_DISK_ERROR_UNSPEC };
		g_variant_unref(device);
	}
	return (int)found;
}

int stats_block_errors(virDomainPtr dom, virDomainDiskErrorPtr errors, unsigned int room, unsigned int flags)
{
	g_autoptr(GVariant) domain = NULL;
	char handle[VIR_UUID_STRING_BUFLEN];
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(0, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainGetDiskErrorsEnsureACL(dom->conn, vm->def) < 0 || virDomainObjCheckActive(vm) < 0)
		goto cleanup;
	ret = (int)vm->def->ndisks;
	if (!errors)
		goto cleanup;
	ret = -1;
	domain_handle(vm, handle);
	if (slot_take(SLOT_ASK, vm) < 0)
		goto cleanup;
	virObjectUnlock(vm);
	domain = monitor_get(xylem->monitor, handle, NULL);
	virObjectLock(vm);
	slot_give(SLOT_ASK);
	if (domain)
		ret = disk_errors(domain, errors, room);
	else if (!virGetLastError())
		virReportError(VIR_ERR_OPERATION_FAILED, "xylemd does not know the guest %s", vm->def->name);
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

/* ---- interfaces ---- */

int stats_interface(virDomainPtr dom, const char *device, virDomainInterfaceStatsPtr stats)
{
	virDomainObj *vm = domain_get(dom);
	char mac[VIR_MAC_STRING_BUFLEN];
	virDomainNetDef *net = NULL;
	int ret = -1;
	size_t i;

	if (!vm)
		return -1;
	if (virDomainInterfaceStatsEnsureACL(dom->conn, vm->def) < 0 || virDomainObjCheckActive(vm) < 0)
		goto cleanup;
	for (i = 0; i < vm->def->nnets && !net; i++) {
		virMacAddrFormat(&vm->def->nets[i]->mac, mac);
		if (STREQ_NULLABLE(vm->def->nets[i]->ifname, device) || STRCASEEQ(mac, device))
			net = vm->def->nets[i];
	}
	if (!net || !net->ifname)
		virReportError(VIR_ERR_INVALID_ARG, "%s has no interface '%s'", vm->def->name, device);
	else /* what the guest receives, dom0 sends */
		ret = virNetDevTapInterfaceStats(net->ifname, stats, !virDomainNetTypeSharesHostView(net));
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

int stats_memory(virDomainPtr dom, virDomainMemoryStatPtr stats, unsigned int count, unsigned int flags)
{
	struct xyl_dominfo info;
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(0, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainMemoryStatsEnsureACL(dom->conn, vm->def) < 0 || virDomainObjCheckActive(vm) < 0 ||
	    domain_query(vm, &info) < 0)
		goto cleanup;
	ret = 0;
	if (count > 0) {
		stats[ret].tag = VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON;
		stats[ret++].val = info.memory_pages * 4;
	}
	if (count > 1) {
		stats[ret].tag = VIR_DOMAIN_MEMORY_STAT_AVAILABLE;
		stats[ret++].val = MAX(virDomainDefGetMemoryTotal(vm->def), info.memory_pages * 4);
	}
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

/*
 * As libvirt's own driver has it, a place is a vcpu's: the hypervisor does not count a guest's time on each of the host's
 * CPUs. Those behind the last are left empty. Returns 0, or -1 and an error.
 */
static int add_vcpu_times(virDomainObj *vm, virTypedParameterPtr params, unsigned int count,
                          unsigned int start, unsigned int vcpus)
{
	unsigned int max = virDomainDefGetVcpusMax(vm->def), i;
	struct xyl_dominfo info;
	int known = domain_query(vm, &info);

	if (known < 0)
		return -1;
	for (i = start; i < max && i - start < vcpus; i++) {
		struct xyl_vcpuinfo vcpu = { 0 }; /* of a guest between two domains: none yet */

		if (known == 0 && xyl_vcpu_info(xylem->xen, (uint32_t)vm->def->id, i, &vcpu) < 0)
			return host_report_xyl();
		if (virTypedParameterAssign(&params[(size_t)(i - start) * count],
		                            VIR_DOMAIN_CPU_STATS_CPUTIME, VIR_TYPED_PARAM_ULLONG,
		                            (unsigned long long)vcpu.cpu_time_ns) < 0)
			return -1;
	}
	return 0;
}

static int add_total_time(virDomainObj *vm, virTypedParameterPtr params)
{
	struct xyl_dominfo info;

	if (domain_query(vm, &info) < 0)
		return -1;
	return virTypedParameterAssign(&params[0], VIR_DOMAIN_CPU_STATS_CPUTIME, VIR_TYPED_PARAM_ULLONG,
	                               (unsigned long long)info.cpu_time_ns);
}

int stats_cpu(virDomainPtr dom, virTypedParameterPtr params, unsigned int count, int start, unsigned int cpus,
              unsigned int flags)
{
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_TYPED_PARAM_STRING_OKAY, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainGetCPUStatsEnsureACL(dom->conn, vm->def) < 0 || virDomainObjCheckActive(vm) < 0)
		goto cleanup;
	if (count == 0) {
		ret = cpus ? 1 : (int)virDomainDefGetVcpusMax(vm->def);
		goto cleanup;
	}
	memset(params, 0, sizeof(*params) * count * cpus);
	if ((start < 0 ? add_total_time(vm, params)
	               : add_vcpu_times(vm, params, count, (unsigned int)start, cpus)) == 0)
		ret = 1;
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

/* ---- bulk ---- */

static void add_vcpus(virTypedParamList *list, virDomainObj *vm, const struct xyl_dominfo *info)
{
	size_t i, max = virDomainDefGetVcpusMax(vm->def);
	struct xyl_vcpuinfo vcpu;

	virTypedParamListAddUInt(list, info ? info->online_vcpus : virDomainDefGetVcpus(vm->def),
	                         "vcpu.current");
	virTypedParamListAddUInt(list, (unsigned int)max, "vcpu.maximum");
	for (i = 0; info && i < max; i++) {
		if (xyl_vcpu_info(xylem->xen, info->domid, (uint32_t)i, &vcpu) < 0)
			continue;
		virTypedParamListAddInt(list,
		                        !vcpu.online   ? VIR_VCPU_OFFLINE
		                        : vcpu.blocked ? VIR_VCPU_BLOCKED
		                                       : VIR_VCPU_RUNNING,
		                        "vcpu.%zu.state", i);
		virTypedParamListAddULLong(list, vcpu.cpu_time_ns, "vcpu.%zu.time", i);
	}
}

static void add_nets(virTypedParamList *list, virDomainObj *vm)
{
	virDomainDef *def = vm->def;
	size_t i;

	if (def->id < 0)
		return;
	virTypedParamListAddUInt(list, (unsigned int)def->nnets, "net.count");
	for (i = 0; i < def->nnets; i++) {
		virDomainInterfaceStatsStruct s = { -1, -1, -1, -1, -1, -1, -1, -1 };

		if (!def->nets[i]->ifname)
			continue;
		virTypedParamListAddString(list, def->nets[i]->ifname, "net.%zu.name", i);
		if (virNetDevTapInterfaceStats(def->nets[i]->ifname, &s,
		                               !virDomainNetTypeSharesHostView(def->nets[i])) < 0) {
			virResetLastError();
			continue;
		}
		virTypedParamListAddULLong(list, (unsigned long long)s.rx_bytes, "net.%zu.rx.bytes", i);
		virTypedParamListAddULLong(list, (unsigned long long)s.rx_packets, "net.%zu.rx.pkts", i);
		virTypedParamListAddULLong(list, (unsigned long long)s.rx_errs, "net.%zu.rx.errs", i);
		virTypedParamListAddULLong(list, (unsigned long long)s.rx_drop, "net.%zu.rx.drop", i);
		virTypedParamListAddULLong(list, (unsigned long long)s.tx_bytes, "net.%zu.tx.bytes", i);
		virTypedParamListAddULLong(list, (unsigned long long)s.tx_packets, "net.%zu.tx.pkts", i);
		virTypedParamListAddULLong(list, (unsigned long long)s.tx_errs, "net.%zu.tx.errs", i);
		virTypedParamListAddULLong(list, (unsigned long long)s.tx_drop, "net.%zu.tx.drop", i);
	}
}

static void add_disks(virTypedParamList *list, virDomainObj *vm)
{
	virDomainDef *def = vm->def;
	size_t i;

	virTypedParamListAddUInt(list, (unsigned int)def->ndisks, "block.count");
	for (i = 0; i < def->ndisks; i++) {
		struct disk_counters c;

		virTypedParamListAddString(list, def->disks[i]->dst, "block.%zu.name", i);
		if (def->disks[i]->src->path)
			virTypedParamListAddString(list, def->disks[i]->src->path, "block.%zu.path", i);
		if (def->id < 0 || disk_counters(def->id, def->disks[i], &c) < 0)
			continue;
		virTypedParamListAddULLong(list, c.rd_req, "block.%zu.rd.reqs", i);
		virTypedParamListAddULLong(list, c.rd_sectors * SECTOR_BYTES, "block.%zu.rd.bytes", i);
		virTypedParamListAddULLong(list, c.wr_req, "block.%zu.wr.reqs", i);
		virTypedParamListAddULLong(list, c.wr_sectors * SECTOR_BYTES, "block.%zu.wr.bytes", i);
		virTypedParamListAddULLong(list, c.flush_req, "block.%zu.fl.reqs", i);
	}
}

static void add_state(virTypedParamList *list, virDomainObj *vm)
{
	int reason, state = virDomainObjGetState(vm, &reason);

	virTypedParamListAddInt(list, state, "state.state");
	virTypedParamListAddInt(list, reason, "state.reason");
}

static void add_balloon(virTypedParamList *list, virDomainObj *vm, const struct xyl_dominfo *info)
{
	unsigned long long current = info ? info->memory_pages * 4 : vm->def->mem.cur_balloon;

	virTypedParamListAddULLong(list, current, "balloon.current");
	virTypedParamListAddULLong(list, MAX(virDomainDefGetMemoryTotal(vm->def), current),
	                           "balloon.maximum");
}

static void add_all(virTypedParamList *list, virDomainObj *vm, const struct xyl_dominfo *info,
                    unsigned int stats)
{
	if (stats & VIR_DOMAIN_STATS_STATE)
		add_state(list, vm);
	if ((stats & VIR_DOMAIN_STATS_CPU_TOTAL) && info)
		virTypedParamListAddULLong(list, info->cpu_time_ns, "cpu.time");
	if (stats & VIR_DOMAIN_STATS_BALLOON)
		add_balloon(list, vm, info);
	if (stats & VIR_DOMAIN_STATS_VCPU)
		add_vcpus(list, vm, info);
	if (stats & VIR_DOMAIN_STATS_INTERFACE)
		add_nets(list, vm);
	if (stats & VIR_DOMAIN_STATS_BLOCK)
		add_disks(list, vm);
	if (stats & VIR_DOMAIN_STATS_DIRTYRATE)
		dirtyrate_add_stats(list, vm);
}

static virDomainStatsRecordPtr record(virConnectPtr conn, virDomainObj *vm, const struct xyl_dominfo *infos,
                                      int count, unsigned int stats)
{
	g_autoptr(virTypedParamList) list = virTypedParamListNew();
	const struct xyl_dominfo *info = NULL;
	virDomainStatsRecordPtr r = NULL;
	virTypedParameterPtr params;
	virDomainPtr dom;
	int i, params_count;

	virObjectLock(vm);
	for (i = 0; i < count && vm->def->id >= 0 && !info; i++)
		info = (int)infos[i].domid == vm->def->id ? &infos[i] : NULL;
	if (info)
		domain_refresh(vm, info);
	add_all(list, vm, info, stats);
	dom = virGetDomain(conn, vm->def->name, vm->def->uuid, vm->def->id);
	if (!dom)
		goto out;
	if (virTypedParamListSteal(list, &params, &params_count) < 0) {
		virObjectUnref(dom);
		goto out;
	}
	r = g_new0(virDomainStatsRecord, 1);
	r->dom = dom;
	r->params = params;
	r->nparams = params_count;
out:
	virObjectUnlock(vm);
	return r;
}

int stats_all(virConnectPtr conn, virDomainPtr *doms, unsigned int count, unsigned int stats,
              virDomainStatsRecordPtr **records, unsigned int flags)
{
	const unsigned int known = VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_CPU_TOTAL |
	                           VIR_DOMAIN_STATS_BALLOON | VIR_DOMAIN_STATS_VCPU |
	                           VIR_DOMAIN_STATS_INTERFACE | VIR_DOMAIN_STATS_BLOCK |
	                           VIR_DOMAIN_STATS_DIRTYRATE;
	unsigned int filters = flags & (VIR_CONNECT_LIST_DOMAINS_FILTERS_ACTIVE |
	                                VIR_CONNECT_LIST_DOMAINS_FILTERS_PERSISTENT |
	                                VIR_CONNECT_LIST_DOMAINS_FILTERS_STATE);
	struct xyl_dominfo *infos = NULL;
	virDomainStatsRecordPtr *list;
	virDomainObj **vms = NULL;
	size_t vm_count = 0, i;
	int info_count, done = 0, ret = -1;

	virCheckFlags(VIR_CONNECT_LIST_DOMAINS_FILTERS_ACTIVE | VIR_CONNECT_LIST_DOMAINS_FILTERS_PERSISTENT |
	                      VIR_CONNECT_LIST_DOMAINS_FILTERS_STATE |
	                      VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS |
	                      VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT,
	              -1);

	if (virConnectGetAllDomainStatsEnsureACL(conn) < 0)
		return -1;
	if ((flags & VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS) && (stats & ~known)) {
		virReportError(VIR_ERR_ARGUMENT_UNSUPPORTED, "statistics 0x%x are not supported",
		               stats & ~known);
		return -1;
	}
	if (!stats)
		stats = known;
	if (count) {
		if (virDomainObjListConvert(xylem->domains, conn, doms, count, &vms, &vm_count,
		                            virConnectGetAllDomainStatsCheckACL, filters, true) < 0)
			return -1;
	} else {
		virDomainObjListCollect(xylem->domains, conn, &vms, &vm_count,
		                        virConnectGetAllDomainStatsCheckACL, filters);
	}
	list = g_new0(virDomainStatsRecordPtr, vm_count + 1);
	info_count = xyl_domain_list_all(xylem->xen, &infos);
	if (info_count < 0) {
		virReportError(VIR_ERR_OPERATION_FAILED, "%s", xyl_error());
		goto out;
	}
	for (i = 0; i < vm_count; i++) {
		list[done] = record(conn, vms[i], infos, info_count, stats);
		if (!list[done])
			goto out;
		done++;
	}
	*records = g_steal_pointer(&list);
	ret = done;
out:
	if (list)
		virDomainStatsRecordListFree(list);
	free(infos);
	virObjectListFreeCount(vms, vm_count);
	return ret;
}
