/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Vcpus and their pinning, memory and its nodes, scheduler parameters; each of the running guest, of its definition, or of
 * both. All of it goes through xylemd, which keeps it for the guest's next domain; of Domain-0 and of domains that
 * others made, pinning and the scheduler are set in the hypervisor.
 */
#include "tune.h"

#include <xenctrl.h>

#include "xylem.h"

#include "../libxenctrl/src/guestlimits.h"
#include "conf.h"
#include "datatypes.h"
#include "domain.h"
#include "domain_event.h"
#include "host.h"
#include "monitor.h"
#include "viraccessapicheck.h"
#include "virdomainjob.h"
#include "virerror.h"
#include "virlog.h"
#include "virtypedparam.h"
#include "viruuid.h"

VIR_LOG_INIT("xylem.tune");

#define SCHEDULER_PARAMS 2
#define NUMA_PARAMS      2
#define CAP_PERIOD_US    100000

typedef int change_fn(virDomainObj *vm, unsigned long value, unsigned int flags);
typedef int acl_fn(virConnectPtr conn, virDomainDef *def, unsigned int flags);

/* One number of a guest is changed, in a job. what: for Domain-0, which it is refused. */
static int change(virDomainPtr dom, unsigned long value, unsigned int flags, acl_fn *acl, const char *what,
                  change_fn *fn)
{
	virDomainObj *vm = domain_get(dom);
	int ret = -1;

	if (!vm)
		return -1;
	if (acl(dom->conn, vm->def, flags) == 0 && domain_refuse_dom0(vm, what) == 0 &&
	    domain_begin_job(vm, VIR_JOB_MODIFY) == 0) {
		ret = fn(vm, value, flags);
		domain_end_job(vm);
	}
	virDomainObjEndAPI(&vm);
	return ret;
}

/* A number that xylemd asks of the guest; the object is unlocked meanwhile. */
static int ask_guest(virDomainObj *vm, unsigned long value,
                     int (*ask)(struct monitor *m, const char *handle, unsigned long value))
{
	char handle[VIR_UUID_STRING_BUFLEN];
	int ret;

	domain_handle(vm, handle);
	if (slot_take(SLOT_GUEST, vm) < 0)
		return -1;
	virObjectUnlock(vm);
	ret = ask(xylem->monitor, handle, value);
	virObjectLock(vm);
	slot_give(SLOT_GUEST);
	return ret < 0 ? -1 : virDomainObjCheckActive(vm);
}

/* Whether xylemd keeps its settings. */
static bool is_kept(const virDomainObj *vm)
{
	const struct domain_private *priv = vm->privateData;

	return !domain_is_dom0(vm) && !priv->foreign;
}

/* ---- vcpus ---- */

static int ask_vcpus(struct monitor *m, const char *handle, unsigned long count)
{
	return monitor_set_vcpus(m, handle, (unsigned int)count);
}

static int check_vcpus(const virDomainDef *def, unsigned int count)
{
	if (count <= virDomainDefGetVcpusMax(def))
		return 0;
	virReportError(VIR_ERR_INVALID_ARG, "%u vcpus are more than the most that %s may have, %u", count,
	               def->name, virDomainDefGetVcpusMax(def));
	return -1;
}

static int edit_vcpus(virDomainDef *def, void *data)
{
	const unsigned int *count = data;

	return check_vcpus(def, *count) < 0 ? -1 : virDomainDefSetVcpus(def, *count);
}

static int set_vcpus_live(virDomainObj *vm, void *data)
{
	const unsigned int *count = data;

	if (check_vcpus(vm->def, *count) < 0 || ask_guest(vm, *count, ask_vcpus) < 0 ||
	    virDomainDefSetVcpus(vm->def, *count) < 0)
		return -1;
	domain_save_status(vm);
	return 0;
}

static int edit_vcpus_max(virDomainDef *def, void *data)
{
	const unsigned int *count = data;

	return virDomainDefSetVcpusMax(def, *count, xylem->xmlopt);
}

static int refuse_vcpus_max(virDomainObj *vm, void *data G_GNUC_UNUSED)
{
	virReportError(VIR_ERR_OPERATION_UNSUPPORTED,
	               "%s is running, the most vcpus that it may have cannot be changed; use --config",
	               vm->def->name);
	return -1;
}

static int set_vcpus(virDomainObj *vm, unsigned long value, unsigned int flags)
{
	static const struct domain_change now = { edit_vcpus, set_vcpus_live };
	static const struct domain_change most = { edit_vcpus_max, refuse_vcpus_max };
	unsigned int count = (unsigned int)value;

	/* Before libvirt makes room for them. */
	if (count < 1 || count > GUEST_VCPUS_MAX) {
		virReportError(VIR_ERR_INVALID_ARG, "%u vcpus for %s: a guest has 1 to %d", count,
		               vm->def->name, GUEST_VCPUS_MAX);
		return -1;
	}
	return domain_change(vm, flags & (VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG),
	                     flags & VIR_DOMAIN_VCPU_MAXIMUM ? &most : &now, &count);
}

int tune_set_vcpus_flags(virDomainPtr dom, unsigned int count, unsigned int flags)
{
	virCheckFlags(VIR_DOMAIN_VCPU_LIVE | VIR_DOMAIN_VCPU_CONFIG | VIR_DOMAIN_VCPU_MAXIMUM, -1);

	return change(dom, count, flags, virDomainSetVcpusFlagsEnsureACL, "given vcpus here", set_vcpus);
}

int tune_set_vcpus(virDomainPtr dom, unsigned int count)
{
	return tune_set_vcpus_flags(dom, count, VIR_DOMAIN_VCPU_LIVE);
}

int tune_get_vcpus_flags(virDomainPtr dom, unsigned int flags)
{
	struct xyl_dominfo info;
	virDomainDef *def;
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_VCPU_LIVE | VIR_DOMAIN_VCPU_CONFIG | VIR_DOMAIN_VCPU_MAXIMUM, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainGetVcpusFlagsEnsureACL(dom->conn, vm->def, flags) < 0)
		goto cleanup;
	def = virDomainObjGetOneDef(vm, flags & (VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG));
	if (!def)
		goto cleanup;
	if (flags & VIR_DOMAIN_VCPU_MAXIMUM)
		ret = (int)virDomainDefGetVcpusMax(def);
	else if (def->id < 0)
		ret = (int)virDomainDefGetVcpus(def);
	else if (domain_query(vm, &info) >= 0)
		ret = (int)info.online_vcpus;
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

int tune_get_max_vcpus(virDomainPtr dom)
{
	return tune_get_vcpus_flags(dom, VIR_DOMAIN_AFFECT_CURRENT | VIR_DOMAIN_VCPU_MAXIMUM);
}

static int host_cpus(unsigned int *count)
{
	struct xyl_hostinfo host;

	if (xyl_host_info(xylem->xen, &host) < 0)
		return host_report_xyl();
	*count = host.max_cpu_id + 1;
	return 0;
}

/* One of the CPUs must be there: the hypervisor would only say "Invalid argument". */
static int check_map(virDomainObj *vm, unsigned int vcpu, const unsigned char *map, int map_bytes)
{
	g_autoptr(virBitmap) mask = virBitmapNewData(map, map_bytes);
	ssize_t first = virBitmapNextSetBit(mask, -1);
	unsigned int cpus;

	if (host_cpus(&cpus) < 0)
		return -1;
	if (first >= 0 && (size_t)first < cpus)
		return 0;
	virReportError(VIR_ERR_INVALID_ARG,
	               "vcpu %u of %s needs a CPU to run on, and this host has the CPUs 0-%u", vcpu,
	               vm->def->name, cpus - 1);
	return -1;
}

struct pin {
	unsigned int vcpu;
	const unsigned char *map;
	int map_bytes;
};

static int check_pin(virDomainDef *def, const struct pin *pin)
{
	if (virDomainDefGetVcpu(def, pin->vcpu))
		return 0;
	virReportError(VIR_ERR_INVALID_ARG, "%s has no vcpu %u", def->name, pin->vcpu);
	return -1;
}

static int edit_pin(virDomainDef *def, void *data)
{
	const struct pin *pin = data;
	virDomainVcpuDef *info;

	if (check_pin(def, pin) < 0)
		return -1;
	info = virDomainDefGetVcpu(def, pin->vcpu);
	virBitmapFree(info->cpumask);
	info->cpumask = virBitmapNewData(pin->map, pin->map_bytes);
	return 0;
}

static int ask_pin(virDomainObj *vm, const struct pin *pin)
{
	char handle[VIR_UUID_STRING_BUFLEN];
	int ret;

	if (!is_kept(vm))
		return xyl_vcpu_set_affinity(xylem->xen, (uint32_t)vm->def->id, pin->vcpu, pin->map, NULL,
		                             (size_t)pin->map_bytes) < 0
		               ? host_report_xyl()
		               : 0;
	domain_handle(vm, handle);
	if (slot_take(SLOT_GUEST, vm) < 0)
		return -1;
	virObjectUnlock(vm);
	ret = monitor_set_affinity(xylem->monitor, handle, pin->vcpu, pin->map, (size_t)pin->map_bytes);
	virObjectLock(vm);
	slot_give(SLOT_GUEST);
	return ret < 0 ? -1 : virDomainObjCheckActive(vm);
}

/* Clients hear of what was tuned live. */
static void tell_pin(virDomainObj *vm, unsigned int vcpu)
{
	g_autofree char *cpus = virBitmapFormat(virDomainDefGetVcpu(vm->def, vcpu)->cpumask);
	char name[VIR_TYPED_PARAM_FIELD_LENGTH];
	virTypedParameterPtr params = NULL;
	int count = 0, max = 0;

	g_snprintf(name, sizeof(name), VIR_DOMAIN_TUNABLE_CPU_VCPUPIN, vcpu);
	if (virTypedParamsAddString(&params, &count, &max, name, cpus) == 0)
		domain_event(virDomainEventTunableNewFromObj(vm, &params, count));
	virTypedParamsFree(params, count);
}

static int pin_live(virDomainObj *vm, void *data)
{
	struct pin *pin = data;

	if (check_pin(vm->def, pin) < 0 || ask_pin(vm, pin) < 0 || edit_pin(vm->def, pin) < 0)
		return -1;
	tell_pin(vm, pin->vcpu);
	if (!domain_is_dom0(vm))
		domain_save_status(vm);
	return 0;
}

int tune_pin_vcpu_flags(virDomainPtr dom, unsigned int vcpu, unsigned char *map, int map_bytes,
                        unsigned int flags)
{
	static const struct domain_change change = { edit_pin, pin_live };
	struct pin pin = { vcpu, map, map_bytes };
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainPinVcpuFlagsEnsureACL(dom->conn, vm->def, flags) < 0 ||
	    domain_begin_job(vm, VIR_JOB_MODIFY) < 0)
		goto cleanup;
	if (domain_is_dom0(vm) && (flags & VIR_DOMAIN_AFFECT_CONFIG)) {
		virReportError(VIR_ERR_OPERATION_UNSUPPORTED, "%s", "Domain-0 has no stored definition");
		goto endjob;
	}
	if (check_map(vm, vcpu, map, map_bytes) == 0)
		ret = domain_change(vm, flags, &change, &pin);
endjob:
	domain_end_job(vm);
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

int tune_pin_vcpu(virDomainPtr dom, unsigned int vcpu, unsigned char *map, int map_bytes)
{
	return tune_pin_vcpu_flags(dom, vcpu, map, map_bytes, VIR_DOMAIN_AFFECT_LIVE);
}

/* Whole bytes of the hypervisor's answer into the caller's map; CPUs that there are not are cleared. */
static int live_pinning(int domid, unsigned int vcpu, unsigned int cpus, unsigned char *map, int map_bytes)
{
	size_t bytes = MAX((size_t)map_bytes, (cpus + 7) / 8);
	g_autofree uint8_t *hard = g_new0(uint8_t, bytes);
	size_t i;

	if (xyl_vcpu_get_affinity(xylem->xen, (uint32_t)domid, vcpu, hard, NULL, bytes) < 0)
		return host_report_xyl();
	for (i = cpus; i < bytes * 8; i++)
		hard[i / 8] &= (uint8_t) ~(1u << i % 8);
	memcpy(map, hard, (size_t)map_bytes);
	return 0;
}

/* The same as the definition has it; how many vcpus. */
static int defined_pinning(virDomainDef *def, int count, unsigned char *maps, int map_bytes,
                           unsigned int cpus)
{
	g_autoptr(virBitmap) all = virBitmapNew(cpus);

	if (!maps)
		return count;
	virBitmapSetAll(all);
	return virDomainDefGetVcpuPinInfoHelper(def, map_bytes, count, maps, all, NULL);
}

int tune_get_pin_info(virDomainPtr dom, int count, unsigned char *maps, int map_bytes, unsigned int flags)
{
	struct xyl_dominfo info;
	unsigned int cpus;
	virDomainDef *def;
	virDomainObj *vm;
	int ret = -1, known, i;

	virCheckFlags(VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainGetVcpuPinInfoEnsureACL(dom->conn, vm->def) < 0 || host_cpus(&cpus) < 0)
		goto cleanup;
	def = virDomainObjGetOneDef(vm, flags);
	if (!def)
		goto cleanup;
	known = def->id >= 0 ? domain_query(vm, &info) : 1;
	if (known == 1)
		ret = defined_pinning(def, count, maps, map_bytes, cpus);
	if (known)
		goto cleanup;
	count = MIN(count, (int)virDomainDefGetVcpusMax(def));
	for (i = 0; i < count; i++) {
		if (live_pinning(def->id, (unsigned int)i, cpus, maps + (size_t)i * map_bytes, map_bytes) < 0)
			goto cleanup;
	}
	ret = count;
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

int tune_get_vcpus(virDomainPtr dom, virVcpuInfoPtr info, int count, unsigned char *maps, int map_bytes)
{
	virDomainObj *vm = domain_get(dom);
	struct xyl_dominfo domain;
	unsigned int cpus;
	int ret = -1, known, i;

	if (!vm)
		return -1;
	if (virDomainGetVcpusEnsureACL(dom->conn, vm->def) < 0 || virDomainObjCheckActive(vm) < 0 ||
	    host_cpus(&cpus) < 0)
		goto cleanup;
	count = MIN(count, (int)virDomainDefGetVcpusMax(vm->def));
	known = domain_query(vm, &domain);
	if (known < 0)
		goto cleanup;
	for (i = 0; known == 1 && i < count; i++) {
		if (info)
			info[i] = (virVcpuInfo){ .number = (unsigned int)i,
				                 .state = VIR_VCPU_OFFLINE,
				                 .cpu = VIR_VCPU_INFO_CPU_OFFLINE };
	}
	if (known == 1)
		ignore_value(defined_pinning(vm->def, count, maps, map_bytes, cpus));
	for (i = 0; known == 0 && i < count; i++) {
		struct xyl_vcpuinfo vcpu;

		if (xyl_vcpu_info(xylem->xen, (uint32_t)vm->def->id, (uint32_t)i, &vcpu) < 0) {
			host_report_xyl();
			goto cleanup;
		}
		if (info) {
			info[i].number = (unsigned int)i;
			info[i].cpuTime = vcpu.cpu_time_ns;
			info[i].cpu = vcpu.online ? (int)vcpu.cpu : VIR_VCPU_INFO_CPU_OFFLINE;
			info[i].state = !vcpu.online   ? VIR_VCPU_OFFLINE
			                : vcpu.blocked ? VIR_VCPU_BLOCKED
			                               : VIR_VCPU_RUNNING;
		}
		if (maps && live_pinning(vm->def->id, (unsigned int)i, cpus, maps + (size_t)i * map_bytes,
		                         map_bytes) < 0)
			goto cleanup;
	}
	ret = count;
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

/* ---- memory ---- */

static int edit_memory_max(virDomainDef *def, void *data)
{
	const unsigned long *kib = data;

	virDomainDefSetMemoryTotal(def, *kib);
	if (def->mem.cur_balloon > *kib)
		def->mem.cur_balloon = *kib;
	return 0;
}

static int refuse_memory_max(virDomainObj *vm, void *data G_GNUC_UNUSED)
{
	virReportError(VIR_ERR_OPERATION_UNSUPPORTED,
	               "%s is running, its memory limit cannot be changed; use --config", vm->def->name);
	return -1;
}

static int ask_memory(struct monitor *m, const char *handle, unsigned long kib)
{
	return monitor_set_memory(m, handle, kib);
}

static int check_memory(const virDomainDef *def, unsigned long kib)
{
	if (kib <= virDomainDefGetMemoryTotal(def))
		return 0;
	virReportError(VIR_ERR_INVALID_ARG, "%lu KiB are more than the limit of %s, %llu KiB", kib, def->name,
	               virDomainDefGetMemoryTotal(def));
	return -1;
}

static int edit_memory(virDomainDef *def, void *data)
{
	const unsigned long *kib = data;

	if (check_memory(def, *kib) < 0)
		return -1;
	def->mem.cur_balloon = *kib;
	return 0;
}

static int set_memory_live(virDomainObj *vm, void *data)
{
	const unsigned long *kib = data;

	if (check_memory(vm->def, *kib) < 0)
		return -1;
	if (vm->def->memballoon && vm->def->memballoon->model == VIR_DOMAIN_MEMBALLOON_MODEL_NONE) {
		virReportError(VIR_ERR_OPERATION_INVALID, "%s has <memballoon model='none'/>", vm->def->name);
		return -1;
	}
	if (ask_guest(vm, *kib, ask_memory) < 0)
		return -1;
	vm->def->mem.cur_balloon = *kib;
	domain_save_status(vm);
	return 0;
}

static int set_memory(virDomainObj *vm, unsigned long kib, unsigned int flags)
{
	static const struct domain_change now = { edit_memory, set_memory_live };
	static const struct domain_change most = { edit_memory_max, refuse_memory_max };

	/* What is stored must be a definition that starts, and even one that libvirt can read again. */
	if (kib < GUEST_MEMORY_MIN_KIB || kib > GUEST_MEMORY_MAX_KIB) {
		virReportError(VIR_ERR_INVALID_ARG, "%lu KiB for %s: a guest has %llu to %llu", kib,
		               vm->def->name, GUEST_MEMORY_MIN_KIB, GUEST_MEMORY_MAX_KIB);
		return -1;
	}
	if (kib % 4) {
		virReportError(VIR_ERR_INVALID_ARG, "%lu KiB for %s are no whole pages of 4 KiB", kib,
		               vm->def->name);
		return -1;
	}
	return domain_change(vm, flags & (VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG),
	                     flags & VIR_DOMAIN_MEM_MAXIMUM ? &most : &now, &kib);
}

int tune_set_memory_flags(virDomainPtr dom, unsigned long kib, unsigned int flags)
{
	virCheckFlags(VIR_DOMAIN_MEM_LIVE | VIR_DOMAIN_MEM_CONFIG | VIR_DOMAIN_MEM_MAXIMUM, -1);

	return change(dom, kib, flags, virDomainSetMemoryFlagsEnsureACL, "given memory here", set_memory);
}

int tune_set_memory(virDomainPtr dom, unsigned long kib)
{
	return tune_set_memory_flags(dom, kib, VIR_DOMAIN_MEM_LIVE);
}

int tune_set_max_memory(virDomainPtr dom, unsigned long kib)
{
	return tune_set_memory_flags(dom, kib, VIR_DOMAIN_AFFECT_CURRENT | VIR_DOMAIN_MEM_MAXIMUM);
}

unsigned long long tune_get_max_memory(virDomainPtr dom)
{
	virDomainObj *vm = domain_get(dom);
	unsigned long long kib = 0;

	if (!vm)
		return 0;
	if (virDomainGetMaxMemoryEnsureACL(dom->conn, vm->def) == 0)
		kib = virDomainDefGetMemoryTotal(vm->def);
	virDomainObjEndAPI(&vm);
	return kib;
}

/* ---- scheduler ---- */

char *tune_get_scheduler_type(virDomainPtr dom, int *count)
{
	virDomainObj *vm = domain_get(dom);
	enum xyl_scheduler id;
	char *name = NULL;

	if (!vm)
		return NULL;
	if (virDomainGetSchedulerTypeEnsureACL(dom->conn, vm->def) < 0)
		goto cleanup;
	if (xyl_scheduler_id(xylem->xen, &id) < 0) {
		host_report_xyl();
		goto cleanup;
	}
	if (count)
		*count = id == XYL_SCHED_CREDIT || id == XYL_SCHED_CREDIT2 ? SCHEDULER_PARAMS : 0;
	name = g_strdup(xyl_scheduler_name(id));
cleanup:
	virDomainObjEndAPI(&vm);
	return name;
}

static void defined_scheduler(const virDomainDef *def, struct xyl_sched *params)
{
	params->weight = conf_weight(def) ? conf_weight(def) : 256;
	params->cap = conf_cap(def);
}

static int get_scheduler(virDomainObj *vm, const virDomainDef *def, struct xyl_sched *params)
{
	struct xyl_dominfo info;
	int known = def->id >= 0 ? domain_query(vm, &info) : 1;

	if (known < 0)
		return -1;
	if (known == 0)
		return xyl_sched_get(xylem->xen, (uint32_t)def->id, params) < 0 ? host_report_xyl() : 0;
	defined_scheduler(def, params);
	return 0;
}

int tune_get_scheduler_flags(virDomainPtr dom, virTypedParameterPtr params, int *count, unsigned int flags)
{
	struct xyl_sched sched;
	virDomainDef *def;
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG | VIR_TYPED_PARAM_STRING_OKAY, -1);

	flags &= ~(unsigned int)VIR_TYPED_PARAM_STRING_OKAY;
	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainGetSchedulerParametersFlagsEnsureACL(dom->conn, vm->def) < 0)
		goto cleanup;
	def = virDomainObjGetOneDef(vm, flags);
	if (!def || get_scheduler(vm, def, &sched) < 0)
		goto cleanup;
	if (*count > 0 && virTypedParameterAssign(&params[0], VIR_DOMAIN_SCHEDULER_WEIGHT,
	                                          VIR_TYPED_PARAM_UINT, sched.weight) < 0)
		goto cleanup;
	if (*count > 1 && virTypedParameterAssign(&params[1], VIR_DOMAIN_SCHEDULER_CAP, VIR_TYPED_PARAM_UINT,
	                                          sched.cap) < 0)
		goto cleanup;
	*count = MIN(*count, SCHEDULER_PARAMS);
	ret = 0;
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

int tune_get_scheduler(virDomainPtr dom, virTypedParameterPtr params, int *count)
{
	return tune_get_scheduler_flags(dom, params, count, VIR_DOMAIN_AFFECT_CURRENT);
}

static void store_scheduler(virDomainDef *def, const struct xyl_sched *sched)
{
	def->cputune.shares = sched->weight;
	def->cputune.sharesSpecified = true;
	def->cputune.quota = 0;
	def->cputune.period = 0;
	def->cputune.global_quota = sched->cap ? (long long)sched->cap * (CAP_PERIOD_US / 100) : 0;
	def->cputune.global_period = sched->cap ? CAP_PERIOD_US : 0;
}

static int ask_scheduler(virDomainObj *vm, const struct xyl_sched *sched)
{
	char handle[VIR_UUID_STRING_BUFLEN];
	int ret;

	if (!is_kept(vm))
		return xyl_sched_set(xylem->xen, (uint32_t)vm->def->id, sched) < 0 ? host_report_xyl() : 0;
	domain_handle(vm, handle);
	if (slot_take(SLOT_GUEST, vm) < 0)
		return -1;
	virObjectUnlock(vm);
	ret = monitor_set_scheduler(xylem->monitor, handle, sched);
	virObjectLock(vm);
	slot_give(SLOT_GUEST);
	return ret < 0 ? -1 : virDomainObjCheckActive(vm);
}

/* What a client wants changed; the rest stays as each has it, the running guest and its definition. */
struct wanted {
	virTypedParameterPtr params;
	int count;
};

static int want_scheduler(const virDomainDef *def, const struct wanted *wanted, struct xyl_sched *sched)
{
	unsigned int cap_max = 100 * virDomainDefGetVcpusMax(def);

	for (int i = 0; i < wanted->count; i++) {
		if (STREQ(wanted->params[i].field, VIR_DOMAIN_SCHEDULER_WEIGHT))
			sched->weight = wanted->params[i].value.ui;
		else if (STREQ(wanted->params[i].field, VIR_DOMAIN_SCHEDULER_CAP))
			sched->cap = wanted->params[i].value.ui;
	}
	if (sched->weight < 1 || sched->weight > 65535) {
		virReportError(VIR_ERR_INVALID_ARG, "weight %u: it is 1..65535", sched->weight);
		return -1;
	}
	if (sched->cap > cap_max) {
		virReportError(VIR_ERR_INVALID_ARG,
		               "cap %u: it is at most %u, 100 for each vcpu, and 0 for none", sched->cap,
		               cap_max);
		return -1;
	}
	return 0;
}

static int edit_scheduler(virDomainDef *def, void *data)
{
	struct xyl_sched sched;

	defined_scheduler(def, &sched);
	if (want_scheduler(def, data, &sched) < 0)
		return -1;
	store_scheduler(def, &sched);
	return 0;
}

static void tell_scheduler(virDomainObj *vm, const struct xyl_sched *sched)
{
	long long quota = sched->cap ? sched->cap * (CAP_PERIOD_US / 100LL) : -1;
	virTypedParameterPtr params = NULL;
	int count = 0, max = 0;

	if (virTypedParamsAddULLong(&params, &count, &max, VIR_DOMAIN_TUNABLE_CPU_CPU_SHARES,
	                            sched->weight) == 0 &&
	    virTypedParamsAddULLong(&params, &count, &max, VIR_DOMAIN_TUNABLE_CPU_GLOBAL_PERIOD,
	                            CAP_PERIOD_US) == 0 &&
	    virTypedParamsAddLLong(&params, &count, &max, VIR_DOMAIN_TUNABLE_CPU_GLOBAL_QUOTA, quota) == 0)
		domain_event(virDomainEventTunableNewFromObj(vm, &params, count));
	virTypedParamsFree(params, count);
}

static int schedule_live(virDomainObj *vm, void *data)
{
	struct xyl_sched sched;

	if (get_scheduler(vm, vm->def, &sched) < 0 || want_scheduler(vm->def, data, &sched) < 0 ||
	    ask_scheduler(vm, &sched) < 0)
		return -1;
	store_scheduler(vm->def, &sched);
	tell_scheduler(vm, &sched);
	if (!domain_is_dom0(vm))
		domain_save_status(vm);
	return 0;
}

int tune_set_scheduler_flags(virDomainPtr dom, virTypedParameterPtr params, int count, unsigned int flags)
{
	static const struct domain_change change = { edit_scheduler, schedule_live };
	struct wanted wanted = { params, count };
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG, -1);

	if (virTypedParamsValidate(params, count, VIR_DOMAIN_SCHEDULER_WEIGHT, VIR_TYPED_PARAM_UINT,
	                           VIR_DOMAIN_SCHEDULER_CAP, VIR_TYPED_PARAM_UINT, NULL) < 0)
		return -1;
	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainSetSchedulerParametersFlagsEnsureACL(dom->conn, vm->def, flags) < 0)
		goto cleanup;
	if (domain_is_dom0(vm) && (flags & VIR_DOMAIN_AFFECT_CONFIG)) {
		virReportError(VIR_ERR_OPERATION_UNSUPPORTED, "%s", "Domain-0 has no stored definition");
		goto cleanup;
	}
	if (domain_begin_job(vm, VIR_JOB_MODIFY) < 0)
		goto cleanup;
	ret = domain_change(vm, flags, &change, &wanted);
	domain_end_job(vm);
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

int tune_set_scheduler(virDomainPtr dom, virTypedParameterPtr params, int count)
{
	return tune_set_scheduler_flags(dom, params, count, VIR_DOMAIN_AFFECT_CURRENT);
}

/* ---- nodes of memory ---- */

/* As libvirt writes a set of them; of a guest between two domains all, which the next one begins with. NULL and an error. */
static char *live_nodes(const virDomainObj *vm)
{
	g_autoptr(virBitmap) nodes = NULL;
	g_autofree uint8_t *map = NULL;
	struct xyl_dominfo info;
	struct xyl_hostinfo host;
	int known = domain_query(vm, &info);
	size_t bytes, i;

	if (known < 0)
		return NULL;
	if (xyl_host_info(xylem->xen, &host) < 0) {
		host_report_xyl();
		return NULL;
	}
	bytes = host.max_node_id / 8 + 1;
	map = g_malloc(bytes);
	memset(map, 0xff, bytes);
	if (known == 0 && xyl_memory_get_nodes(xylem->xen, (uint32_t)vm->def->id, map, bytes) < 0) {
		host_report_xyl();
		return NULL;
	}
	nodes = virBitmapNew((size_t)host.max_node_id + 1);
	for (i = 0; i <= host.max_node_id; i++) {
		if (map[i / 8] & (1u << i % 8))
			ignore_value(virBitmapSetBit(nodes, i));
	}
	return virBitmapFormat(nodes);
}

int tune_get_numa(virDomainPtr dom, virTypedParameterPtr params, int *count, unsigned int flags)
{
	g_autofree char *nodes = NULL;
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_AFFECT_LIVE | VIR_TYPED_PARAM_STRING_OKAY, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainGetNumaParametersEnsureACL(dom->conn, vm->def) < 0 || virDomainObjCheckActive(vm) < 0)
		goto cleanup;
	if (*count == 0) {
		*count = NUMA_PARAMS;
		ret = 0;
		goto cleanup;
	}
	nodes = live_nodes(vm);
	if (!nodes || virTypedParameterAssign(&params[0], VIR_DOMAIN_NUMA_MODE, VIR_TYPED_PARAM_INT,
	                                      VIR_DOMAIN_NUMATUNE_MEM_INTERLEAVE) < 0)
		goto cleanup;
	if (*count > 1 && virTypedParameterAssign(&params[1], VIR_DOMAIN_NUMA_NODESET, VIR_TYPED_PARAM_STRING,
	                                          g_steal_pointer(&nodes)) < 0)
		goto cleanup;
	*count = MIN(*count, NUMA_PARAMS);
	ret = 0;
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}
