/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls of the driver one by one: the host's CPUs and memory, reset, NMI, the end with its connection, an aborted start, the rate
 * at which a guest changes its memory.
 */
#include "xylem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <xenctrl.h>

#include "../lib/tap.h"
#include "console.h"
#include "cpu.h"
#include "cpu_conf.h"
#include "datatypes.h"
#include "define.h"
#include "devices.h"
#include "dirtyrate.h"
#include "domain_event.h"
#include "events.h"
#include "host.h"
#include "iotune.h"
#include "lifecycle.h"
#include "monitor.h"
#include "played.h"
#include "stats.h"
#include "tune.h"
#include "virclosecallbacks.h"
#include "virdomainobjlist.h"
#include "virerror.h"
#include "virtypedparam.h"
#include "viruuid.h"
#include "xmlopt.h"

#define UUID "5f2b7e10-0000-4000-8000-000000000001"
/* The second console's file keeps its path, which shares its place with a terminal's name. */
#define CONSOLES                                                                              \
	"<console type='pty'/><console type='file'><source path='/srv/out'/></console>"       \
	"<console type='pty'/><channel type='unix'><source mode='bind' path='/run/no/such'/>" \
	"<target type='xen' name='org.example'/></channel>"                                   \
	"<channel type='pty'><target type='xen' name='org.example.tty'/></channel>"
#define XML                                                                                         \
	"<domain type='xen'><name>one</name><uuid>" UUID "</uuid><memory unit='KiB'>65536</memory>" \
	"<vcpu current='2'>3</vcpu><os><type>linux</type><kernel>/k</kernel></os>"                  \
	"<devices><disk type='file'><source file='/d'/><target dev='xvda'/></disk></devices></domain>"

static void ok(bool good, const char *name)
{
	if (!tap_ok(good, "%s", name))
		printf("# last error: %s\n", virGetLastErrorMessage());
}

/* ---- xylemd and the hypervisor ---- */

static GMutex gate; /* held by the test: a build waits */
static gint builds; /* that have begun */
static gint destructions;
static unsigned int domid, sent_nmis, asked_shutdown;
static bool stopped;

int monitor_create(struct monitor *m G_GNUC_UNUSED, GVariant *guest, bool paused G_GNUC_UNUSED,
                   unsigned int *number, GVariant **devices)
{
	g_variant_unref(g_variant_ref_sink(guest));
	*devices = NULL;
	g_atomic_int_inc(&builds);
	g_mutex_lock(&gate);
	g_mutex_unlock(&gate);
	*number = ++domid;
	return 0;
}

int monitor_destroy(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
{
	g_atomic_int_inc(&destructions);
	return 0;
}

int monitor_set_scheduler(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                          const struct xyl_sched *sched G_GNUC_UNUSED)
{
	return 0;
}

int monitor_set_affinity(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                         unsigned int vcpu G_GNUC_UNUSED, const unsigned char *map G_GNUC_UNUSED,
                         size_t map_bytes G_GNUC_UNUSED)
{
	return 0;
}

int xyl_sched_get(struct xyl *x G_GNUC_UNUSED, uint32_t number G_GNUC_UNUSED, struct xyl_sched *sched)
{
	*sched = (struct xyl_sched){ .weight = 256 };
	return 0;
}

/* The guest never lets go. */
int monitor_detach(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, GVariant *device)
{
	g_variant_unref(g_variant_ref_sink(device));
	virReportError(VIR_ERR_OPERATION_TIMEOUT, "%s", "the guest does not let go of it");
	return -1;
}

/* ---- events ---- */

static GString *told;

virObjectEvent *virDomainEventTunableNewFromObj(virDomainObj *vm G_GNUC_UNUSED, virTypedParameterPtr *params,
                                                int count)
{
	for (int i = 0; i < count; i++) {
		g_autofree char *value = virTypedParameterToString(&(*params)[i]);

		g_string_append_printf(told, "%s=%s; ", (*params)[i].field, value);
	}
	virTypedParamsFree(*params, count);
	*params = NULL;
	return NULL;
}

virObjectEvent *virDomainEventDeviceRemovalFailedNewFromObj(virDomainObj *vm G_GNUC_UNUSED, const char *alias)
{
	g_string_append_printf(told, "kept %s; ", alias);
	return NULL;
}

static char resized[64];

int monitor_resize(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, const char *vdev,
                   unsigned long long bytes)
{
	g_snprintf(resized, sizeof(resized), "%s %llu", vdev, bytes);
	return 0;
}

static char limited[200]; /* what a disk was last, "" where xylemd refuses it */
static bool no_limits;

int monitor_set_disk_limits(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                            const char *vdev, GVariant *limits)
{
	g_autoptr(GVariant) held = g_variant_ref_sink(limits);
	g_autofree char *text = g_variant_print(held, FALSE);

	g_snprintf(limited, sizeof(limited), "%s %s", vdev, no_limits ? "" : text);
	if (no_limits)
		virReportError(VIR_ERR_OPERATION_FAILED, "%s", "as the test wants it");
	return no_limits ? -1 : 0;
}

int monitor_set_opaque(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                       const char *text G_GNUC_UNUSED)
{
	return 0;
}

/* Each terminal is one of its own. */
char *xyl_console_device_tty(struct xyl_store *s G_GNUC_UNUSED, uint32_t guest, uint32_t number, int *fd)
{
	g_autofree char *name = g_strdup_printf("/dev/pts/no-%u-%u", guest, number);

	*fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return strdup(name);
}

static char policy[64];

int monitor_set_policy(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, const char *event,
                       const char *action)
{
	g_snprintf(policy, sizeof(policy), "%s %s", event, action);
	return 0;
}

static bool unconnected;

bool monitor_connected(struct monitor *m G_GNUC_UNUSED)
{
	return !unconnected;
}

static GMutex count_gate; /* held by the test: a count waits */
static gint dirty_counts; /* that have begun */
static bool count_fails;
static unsigned long long counted_us;

/* 10.5 MiB a second. */
int monitor_dirty_rate(struct monitor *m G_GNUC_UNUSED, const char *handle, unsigned long long duration_us,
                       unsigned long long *pages, unsigned long long *elapsed_us)
{
	bool good = STREQ(handle, UUID);

	counted_us = duration_us;
	g_atomic_int_inc(&dirty_counts);
	g_mutex_lock(&count_gate);
	g_mutex_unlock(&count_gate);
	*pages = 5376;
	*elapsed_us = 2000000;
	if (good && !count_fails)
		return 0;
	virReportError(VIR_ERR_OPERATION_INVALID, "%s", "it gave way");
	return -1;
}

GVariant *monitor_get(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, bool *known)
{
	if (known)
		*known = false;
	return NULL;
}

int xyl_domain_info(struct xyl *x G_GNUC_UNUSED, uint32_t number, struct xyl_dominfo *info)
{
	memset(info, 0, sizeof(*info));
	info->domid = number;
	info->max_vcpus = 3;
	info->shutdown = stopped;
	ignore_value(virUUIDParse(UUID, info->uuid));
	return 0;
}

int xyl_domain_list_all(struct xyl *x G_GNUC_UNUSED, struct xyl_dominfo **list)
{
	*list = NULL;
	return 0;
}

int xyl_domain_shutdown(struct xyl *x G_GNUC_UNUSED, uint32_t number G_GNUC_UNUSED, enum xyl_shutdown reason)
{
	asked_shutdown += reason == XYL_SHUTDOWN_REBOOT;
	return 0;
}

int xyl_vcpu_info(struct xyl *x G_GNUC_UNUSED, uint32_t number G_GNUC_UNUSED, uint32_t vcpu,
                  struct xyl_vcpuinfo *info)
{
	memset(info, 0, sizeof(*info));
	info->online = vcpu != 1;
	info->cpu_time_ns = 100 * (vcpu + 1);
	return 0;
}

int xyl_vcpu_nmi(struct xyl *x G_GNUC_UNUSED, uint32_t number G_GNUC_UNUSED, uint32_t vcpu)
{
	sent_nmis |= 1u << vcpu;
	return 0;
}

static uint32_t last_node = 1;
static uint64_t host_pages = 500;

int xyl_host_info(struct xyl *x G_GNUC_UNUSED, struct xyl_hostinfo *info)
{
	memset(info, 0, sizeof(*info));
	info->max_cpu_id = 2;
	info->cpus = 2;
	info->max_node_id = last_node;
	info->total_pages = host_pages;
	info->free_pages = last_node ? 5 : 2;
	return 0;
}

int xyl_host_cpu_times(struct xyl *x G_GNUC_UNUSED, uint64_t *idle_ns, uint32_t max, uint64_t *now_ns)
{
	if (max != 3)
		abort();
	idle_ns[0] = 700;
	idle_ns[1] = UINT64_MAX; /* offline */
	idle_ns[2] = 400;
	*now_ns = 1000;
	return 0;
}

int xyl_host_numa(struct xyl *x G_GNUC_UNUSED, struct xyl_numanode *nodes, uint32_t *distance G_GNUC_UNUSED,
                  uint32_t max)
{
	if (max != last_node + 1)
		abort();
	for (uint32_t i = 0; i < max; i++)
		nodes[i] = (struct xyl_numanode){ 1 << 20, 8192 + 4096 * i };
	return (int)max;
}

static unsigned int nodes_of; /* the domain for which they were asked for */

int xyl_memory_get_nodes(struct xyl *x G_GNUC_UNUSED, uint32_t number, uint8_t *map, size_t bytes)
{
	nodes_of = number;
	memset(map, 0xfe, bytes); /* others than the host has, too */
	return 0;
}

/* ---- the host ---- */

static unsigned long long stat_of(int cpu, const char *field)
{
	virNodeCPUStats stats[8];
	int count = 0;

	if (cpu_node_stats(conn, cpu, NULL, &count, 0) < 0 || count > 8 ||
	    cpu_node_stats(conn, cpu, stats, &count, 0) < 0)
		return 0;
	for (int i = 0; i < count; i++) {
		if (STREQ(stats[i].field, field))
			return stats[i].value;
	}
	return 0;
}

/* What a node has, or the host, in KiB; 0 on an error. */
static unsigned long long memory_of(int cell, const char *field)
{
	virNodeMemoryStats stats[8];
	int count = 0;

	if (host_memory_stats(conn, cell, NULL, &count, 0) < 0 || count > 8 ||
	    host_memory_stats(conn, cell, stats, &count, 0) < 0)
		return 0;
	for (int i = 0; i < count; i++) {
		if (STREQ(stats[i].field, field))
			return stats[i].value;
	}
	return 0;
}

/* The hypervisor tells how far a node's memory reaches: 256 pages each, of 500 that the host has. */
static void test_node_memory(void)
{
	ok(memory_of(VIR_NODE_MEMORY_STATS_ALL_CELLS, "total") == 2000 && memory_of(0, "total") == 976 &&
	           memory_of(1, "total") == 1024,
	   "nodes have no more memory than the host: the holes are the first one's");
	ok(memory_of(VIR_NODE_MEMORY_STATS_ALL_CELLS, "free") == 20 && memory_of(0, "free") == 8 &&
	           memory_of(1, "free") == 12,
	   "what is free of it");
	host_pages = 100;
	ok(memory_of(0, "total") == 8 && memory_of(1, "total") == 392,
	   "a node has what is free of it, and others have holes too");
	host_pages = 159;
	last_node = 0;
	ok(memory_of(0, "total") == 636 && memory_of(VIR_NODE_MEMORY_STATS_ALL_CELLS, "total") == 636,
	   "the only node has what the host has");
	ok(memory_of(1, "total") == 0 && strstr(virGetLastErrorMessage(), "NUMA node 1"),
	   "one that is not there has an error");
	last_node = 1;
	host_pages = 500;
}

static void test_node(void)
{
	unsigned int sizes[] = { 4 }, huge[] = { 2048 };
	unsigned long long counts[2] = { 0 };

	ok(stat_of(0, "idle") == 700 && stat_of(0, "user") == 300, "a CPU's time, idle and not");
	ok(stat_of(VIR_NODE_CPU_STATS_ALL_CPUS, "idle") == 1100 &&
	           stat_of(VIR_NODE_CPU_STATS_ALL_CPUS, "user") == 900,
	   "that of all that are online");
	ok(stat_of(1, "idle") == 0 && strstr(virGetLastErrorMessage(), "CPU 1") && stat_of(3, "idle") == 0 &&
	           stat_of(-2, "idle") == 0,
	   "one that is offline, or not there, is an error");
	ok(host_free_pages(conn, 1, sizes, 0, 9, counts, 0) == 2 && counts[0] == 2 && counts[1] == 3,
	   "free pages of each node");
	ok(host_free_pages(conn, 1, sizes, 2, 1, counts, 0) < 0 &&
	           host_free_pages(conn, 1, sizes, -1, 1, counts, 0) < 0 &&
	           host_free_pages(conn, 1, huge, 0, 1, counts, 0) < 0,
	   "of a node that is not there, and of another size, an error");
}

#define EMPTY_CPU "<cpu><arch>x86_64</arch><model>qemu64</model></cpu>"

static void test_cpu(void)
{
	virNodeInfo node = { .cpus = 2, .nodes = 1, .sockets = 1, .cores = 2, .threads = 1 };
	g_autofree char *host = NULL;
	g_autofree char *common = NULL;
	const char *list[2];
	char **models = NULL;

	xylem->caps = xmlopt_caps_new();
	cpu_probe(&node);
	ok(xylem->caps->host.cpu != NULL, "libvirt knows this CPU");
	if (!xylem->caps->host.cpu)
		return;
	host = virCPUDefFormat(xylem->caps->host.cpu, NULL);
	ok(cpu_compare(conn, host, 0) == VIR_CPU_COMPARE_IDENTICAL, "the host's CPU is the host's CPU");
	ok(cpu_compare_hypervisor(conn, NULL, "x86_64", "xenpv", "xen", host, 0) == VIR_CPU_COMPARE_IDENTICAL,
	   "so is that of guests");
	ok(cpu_compare_hypervisor(conn, NULL, "x86_64", "pc", "xen", host, 0) == VIR_CPU_COMPARE_ERROR,
	   "which are of one machine only");
	list[0] = host;
	list[1] = EMPTY_CPU;
	common = cpu_baseline(conn, list, 2, 0);
	ok(common && strstr(common, "<model"), "what two CPUs have in common");
	ok(cpu_models(conn, "x86_64", &models, 0) > 10 && models &&
	           g_strv_contains((const char *const *)models, "qemu64"),
	   "the models that libvirt knows");
	g_strfreev(models);
	ok(cpu_models(conn, "z80000", NULL, 0) < 0, "of an architecture that there is not: an error");
}

/* ---- a guest ---- */

static void wait_for(gint *counter, gint least)
{
	while (g_atomic_int_get(counter) < least)
		g_usleep(1000);
}

static void wait_inactive(virDomainPtr dom)
{
	for (unsigned int ms = 0; define_is_active(dom) == 1 && ms < 120000; ms++)
		g_usleep(1000);
}

static void test_reset(virDomainPtr dom)
{
	ok(lifecycle_reset(dom, 0) < 0 && !asked_shutdown, "a guest that is off is not reset");
	if (lifecycle_create(dom) < 0)
		abort();
	ok(lifecycle_reset(dom, 0) == 0 && asked_shutdown == 1, "one that runs stops as for a reboot");
	stopped = true;
	ok(lifecycle_reset(dom, 0) < 0 && asked_shutdown == 1, "one that has stopped is not reset");
	stopped = false;
	ok(lifecycle_inject_nmi(dom, 0) == 0 && sent_nmis == 5, "an NMI goes to each vcpu that is online");
	ok(lifecycle_abort_job(dom) < 0 && strstr(virGetLastErrorMessage(), "not being started"),
	   "a guest that runs has no job to abort");
	ok(lifecycle_destroy(dom) == 0, "it ends");
	ok(lifecycle_inject_nmi(dom, 0) < 0 && lifecycle_abort_job(dom) < 0,
	   "then it gets no NMI, and has no job");
}

/* As virsh cpu-stats asks, and a client that has a place more for each vcpu, and asks for more than there are. */
static void test_cpu_stats(virDomainPtr dom)
{
	virTypedParameter params[6];
	unsigned int i, good = 0;

	ok(stats_cpu(dom, NULL, 0, 0, 0, 0) < 0, "of a guest that is off there is no CPU time");
	if (lifecycle_create(dom) < 0)
		abort();
	ok(stats_cpu(dom, NULL, 0, 0, 0, 0) == 3 && stats_cpu(dom, NULL, 0, 0, 1, 0) == 1,
	   "CPU time: there is one of each vcpu, also of one that is offline");
	ok(stats_cpu(dom, params, 1, 0, 3, 0) == 1, "they are told");
	for (i = 0; i < 3; i++)
		good += STREQ(params[i].field, VIR_DOMAIN_CPU_STATS_CPUTIME) &&
		        params[i].type == VIR_TYPED_PARAM_ULLONG && params[i].value.ul == 100 * (i + 1);
	ok(good == 3, "each with its own");
	memset(params, 0xff, sizeof(params));
	ok(stats_cpu(dom, params, 2, 1, 3, 0) == 1 && params[0].value.ul == 200 && params[2].value.ul == 300,
	   "from the second on, in a client's own steps");
	ok(!params[1].type && !params[3].type && !params[4].type && !params[5].type,
	   "what is not told is empty");
	memset(params, 0xff, sizeof(params));
	ok(stats_cpu(dom, params, 1, 3, 2, 0) == 1 && !params[0].type && !params[1].type,
	   "so is all behind the last");
	ok(stats_cpu(dom, params, 1, INT_MAX, 2, 0) == 1 && !params[0].type, "however far");
	ok(lifecycle_destroy(dom) == 0, "it ends");
}

/* As virsh numatune asks. */
static void test_numa(virDomainPtr dom)
{
	virTypedParameter params[3];
	int count = 0;

	memset(params, 0, sizeof(params));
	ok(tune_get_numa(dom, params, &count, 0) < 0 && virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID,
	   "of a guest that is off there are no nodes");
	if (lifecycle_create(dom) < 0)
		abort();
	ok(tune_get_numa(dom, NULL, &count, 0) == 0 && count == 2, "NUMA: there is a mode, and nodes");
	count = 1;
	ok(tune_get_numa(dom, params, &count, VIR_DOMAIN_AFFECT_LIVE) == 0 && count == 1 &&
	           STREQ(params[0].field, VIR_DOMAIN_NUMA_MODE) && !params[1].type,
	   "a client that has room for one is told the mode");
	count = 3;
	ok(tune_get_numa(dom, params, &count, VIR_TYPED_PARAM_STRING_OKAY) == 0 && count == 2 &&
	           params[0].type == VIR_TYPED_PARAM_INT &&
	           params[0].value.i == VIR_DOMAIN_NUMATUNE_MEM_INTERLEAVE,
	   "pages are taken from the nodes in turn");
	ok(STREQ(params[1].field, VIR_DOMAIN_NUMA_NODESET) && params[1].type == VIR_TYPED_PARAM_STRING &&
	           STREQ(params[1].value.s, "1") && nodes_of == domid,
	   "from those of the guest that the host has");
	virTypedParamsClear(params, count);
	ok(tune_get_numa(dom, params, &count, VIR_DOMAIN_AFFECT_CONFIG) < 0 &&
	           virGetLastErrorCode() == VIR_ERR_INVALID_ARG,
	   "in a definition they are not");
	ok(lifecycle_destroy(dom) == 0, "it ends");
}

static void test_auto_destroy(virDomainPtr dom)
{
	int before = g_atomic_int_get(&destructions);
	virConnectPtr other = virGetConnect();

	ok(lifecycle_create_flags(dom, VIR_DOMAIN_START_AUTODESTROY) == 0,
	   "a guest is started for as long as its connection");
	virCloseCallbacksDomainRunForConn(xylem->domains, other);
	virObjectUnref(other);
	ok(define_is_active(dom) == 1, "another connection ends");
	virCloseCallbacksDomainRunForConn(xylem->domains, conn);
	wait_inactive(dom);
	ok(g_atomic_int_get(&destructions) == before + 1, "its own ends, and it is destroyed");
	if (lifecycle_create_flags(dom, VIR_DOMAIN_START_AUTODESTROY) < 0 || lifecycle_destroy(dom) < 0 ||
	    lifecycle_create(dom) < 0)
		abort();
	before = g_atomic_int_get(&destructions);
	virCloseCallbacksDomainRunForConn(xylem->domains, conn);
	g_usleep(200000);
	ok(g_atomic_int_get(&destructions) == before && define_is_active(dom) == 1,
	   "its next life is not bound to it");
	ignore_value(lifecycle_destroy(dom));
}

static void test_policy(virDomainPtr dom)
{
	unsigned int both = VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG;
	g_autofree char *live = NULL;
	g_autofree char *inactive = NULL;

	if (lifecycle_create(dom) < 0)
		abort();
	ok(lifecycle_set_action(dom, VIR_DOMAIN_LIFECYCLE_REBOOT, VIR_DOMAIN_LIFECYCLE_ACTION_PRESERVE,
	                        both) == 0 &&
	           STREQ(policy, "reboot preserve"),
	   "xylemd is told what is done at a reboot");
	live = define_get_xml(dom, 0);
	inactive = define_get_xml(dom, VIR_DOMAIN_XML_INACTIVE);
	ok(live && inactive && strstr(live, "<on_reboot>preserve<") &&
	           strstr(inactive, "<on_reboot>preserve<"),
	   "and it stands in both definitions");
	ok(lifecycle_set_action(dom, VIR_DOMAIN_LIFECYCLE_CRASH, VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_DESTROY,
	                        both) == 0 &&
	           STREQ(policy, "crash coredump-destroy"),
	   "a core file of one that crashes");
	ok(lifecycle_set_action(dom, VIR_DOMAIN_LIFECYCLE_REBOOT, VIR_DOMAIN_LIFECYCLE_ACTION_RESTART_RENAME,
	                        both) == 0 &&
	           STREQ(policy, "reboot rename-restart"),
	   "a domain that is kept at a reboot");
	ok(lifecycle_set_action(dom, VIR_DOMAIN_LIFECYCLE_REBOOT,
	                        VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_RESTART, both) < 0 &&
	           lifecycle_set_action(dom, VIR_DOMAIN_LIFECYCLE_CRASH, 4711, both) < 0 &&
	           lifecycle_set_action(dom, 3, VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY, both) < 0 &&
	           STREQ(policy, "reboot rename-restart"),
	   "what cannot be done is refused");
	ignore_value(lifecycle_destroy(dom));
}

static bool has_all(const char *xml, const char *const *parts)
{
	for (; xml && *parts; parts++) {
		if (!strstr(xml, *parts)) {
			printf("# no %s in %s\n", *parts, xml);
			return false;
		}
	}
	return xml != NULL;
}

static void test_consoles(void)
{
	static const char *const live[] = { "<alias name='console0'/>",   "<source path='/srv/out'/>",
		                            "<alias name='console2'/>",   "<alias name='channel0'/>",
		                            "path='/run/no/such'/>",      "<alias name='channel1'/>",
		                            "<source path='/dev/pts/no-", NULL };
	g_auto(GStrv) pieces = g_strsplit(XML, "</devices>", 2);
	g_autofree char *text = g_strconcat(pieces[0], CONSOLES "</devices>", pieces[1], NULL);
	virDomainPtr dom = define_xml(conn, text);
	g_autofree char *first = NULL, *again = NULL, *inactive = NULL, *tty = NULL;
	virStreamPtr stream = virStreamNew(conn, VIR_STREAM_NONBLOCK);

	if (!dom || lifecycle_create(dom) < 0)
		abort();
	first = define_get_xml(dom, 0);
	ok(has_all(first, live),
	   "consoles and channels of a running guest have aliases, terminals and paths");
	tty = g_strdup_printf("<source path='/dev/pts/no-%u-4'/>", domid);
	ok(first && strstr(first, tty), "the channel's terminal is the fifth");
	ok(console_open(dom, "console9", stream, 0) < 0 &&
	           strstr(virGetLastErrorMessage(), "has no console 'console9'"),
	   "a console that there is not");
	ok(console_open(dom, "channel0", stream, 0) < 0 &&
	           strstr(virGetLastErrorMessage(), "has no console 'channel0'"),
	   "a channel is no console");
	ok(console_open(dom, "console1", stream, 0) < 0 &&
	           strstr(virGetLastErrorMessage(), "neither a pseudo-terminal nor a socket"),
	   "a file is no stream");
	ok(console_open(dom, "console2", stream, 0) < 0 && strstr(virGetLastErrorMessage(), "/dev/pts/no-"),
	   "a terminal is opened by its console's alias");
	ok(console_open_channel(dom, "org.example", stream, 0) < 0 &&
	           strstr(virGetLastErrorMessage(), "/run/no/such"),
	   "a socket by its channel's name");
	ok(console_open_channel(dom, NULL, stream, 0) < 0 && strstr(virGetLastErrorMessage(), "/run/no/such"),
	   "without a name it is the first channel");
	inactive = define_get_xml(dom, VIR_DOMAIN_XML_INACTIVE);
	ok(inactive && !strstr(inactive, "/dev/pts/") && !strstr(inactive, "console0") &&
	           strstr(inactive, "<source path='/srv/out'/>"),
	   "the definition for the next start has none of that");
	ignore_value(lifecycle_destroy(dom));
	again = define_get_xml(dom, 0);
	ok(again && inactive && strstr(again, "<source path='/srv/out'/>") && !strstr(again, "/dev/pts/"),
	   "nor has a guest that is off");
	virObjectUnref(stream);
	virObjectUnref(dom);
}

static void test_resize(virDomainPtr dom)
{
	ok(devices_resize(dom, "xvda", 8, 0) < 0,
	   "the disk of a guest that is off is nobody's to resize here");
	if (lifecycle_create(dom) < 0)
		abort();
	ok(devices_resize(dom, "xvda", 8, 0) == 0 && STREQ(resized, "xvda 8192"), "blockresize in KiB");
	ok(devices_resize(dom, "/d", 4096, VIR_DOMAIN_BLOCK_RESIZE_BYTES) == 0 && STREQ(resized, "xvda 4096"),
	   "in bytes, by its source");
	ok(devices_resize(dom, "xvdb", 8, 0) < 0 && devices_resize(dom, "xvda", ULLONG_MAX, 0) < 0 &&
	           STREQ(resized, "xvda 4096"),
	   "no disk, or no size: an error");
	ignore_value(lifecycle_destroy(dom));
}

/* What clients hear of changes of a running guest. */
static void test_events(virDomainPtr dom)
{
	unsigned char map = 2;
	virTypedParameter params[2];

	if (lifecycle_create(dom) < 0 ||
	    virTypedParameterAssign(&params[0], "weight", VIR_TYPED_PARAM_UINT, 512) < 0 ||
	    virTypedParameterAssign(&params[1], "cap", VIR_TYPED_PARAM_UINT, 50) < 0)
		abort();
	g_string_truncate(told, 0);
	ok(tune_pin_vcpu_flags(dom, 1, &map, 1, VIR_DOMAIN_AFFECT_LIVE) == 0 &&
	           STREQ(told->str, "cputune.vcpupin1=1; "),
	   "a vcpu that is pinned");
	g_string_truncate(told, 0);
	ok(tune_set_scheduler_flags(dom, params, 2, VIR_DOMAIN_AFFECT_LIVE) == 0 &&
	           STREQ(told->str,
	                 "cputune.cpu_shares=512; cputune.global_period=100000; cputune.global_quota=50000; "),
	   "weight and cap");
	g_string_truncate(told, 0);
	ok(tune_set_scheduler_flags(dom, params, 2, VIR_DOMAIN_AFFECT_CONFIG) == 0 && !told->len,
	   "a change of the definition is none of the guest");
	ok(devices_detach(dom, "<disk type='file'><source file='/d'/><target dev='xvda'/></disk>") < 0 &&
	           virGetLastErrorCode() == VIR_ERR_OPERATION_TIMEOUT && STREQ(told->str, "kept vbd-xvda; "),
	   "a device that the guest does not let go of");
	ignore_value(lifecycle_destroy(dom));
}

/* ---- limits of disks ---- */

#define IMAGES                                                                                             \
	"<domain type='xen'><name>images</name><memory>65536</memory><vcpu>1</vcpu><os><type>linux</type>" \
	"<kernel>/k</kernel></os><devices><disk type='file'><driver name='qemu' type='qcow2'/><source "    \
	"file='/q'/><target dev='xvda' bus='xen'/></disk><disk type='file'><source file='/raw'/><target "  \
	"dev='xvdb' bus='xen'/></disk></devices></domain>"

/* "total_bytes_sec=5 read_iops_sec=7", as virsh would say it. */
static int limit(virDomainPtr dom, const char *disk, const char *text, unsigned int flags)
{
	g_auto(GStrv) words = g_strsplit(text, " ", 0);
	virTypedParameterPtr params = NULL;
	int count = 0, max = 0, ret;
	char **word;

	for (word = words; *word; word++) {
		char *value = strchr(*word, '=');

		*value++ = '\0';
		ignore_value(STREQ(*word, "group_name")
		                     ? virTypedParamsAddString(&params, &count, &max, *word, value)
		                     : virTypedParamsAddULLong(&params, &count, &max, *word,
		                                               g_ascii_strtoull(value, NULL, 10)));
	}
	limited[0] = '\0';
	ret = iotune_set(dom, disk, params, count, flags);
	virTypedParamsFree(params, count);
	return ret;
}

static bool limit_refused(virDomainPtr dom, const char *disk, const char *text, unsigned int flags,
                          const char *says)
{
	bool is = limit(dom, disk, text, flags) < 0 && !limited[0] && strstr(virGetLastErrorMessage(), says);

	if (!is)
		printf("# %s, not %s\n", virGetLastErrorMessage(), says);
	return is;
}

/* What is not 0 of them. */
static char *limits_of(virDomainPtr dom, const char *disk, unsigned int flags)
{
	GString *text = g_string_new(NULL);
	virTypedParameter params[32];
	int count = 0, i;

	if (iotune_get(dom, disk, NULL, &count, flags) < 0 || count != 19 ||
	    iotune_get(dom, disk, params, &count, flags) < 0 || count != 19)
		g_string_append(text, "an error");
	for (i = 0; i < count && !text->len; i++)
		if (params[i].type != VIR_TYPED_PARAM_ULLONG)
			g_string_append(text, "a wrong type");
	for (i = 0; i < count; i++)
		if (params[i].value.ul)
			g_string_append_printf(text, "%s=%llu ", params[i].field, params[i].value.ul);
	return g_string_free(text, FALSE);
}

static bool limits_are(virDomainPtr dom, const char *disk, unsigned int flags, const char *wanted)
{
	g_autofree char *text = limits_of(dom, disk, flags);

	if (STRNEQ(text, wanted))
		printf("# %s, not %s\n", text, wanted);
	return STREQ(text, wanted);
}

static void test_limits_refused(virDomainPtr dom, unsigned int flags, const char *part)
{
	ok(limit_refused(dom, "xvdb", "total_bytes_sec=5", flags, "type='qcow2'") &&
	           strstr(virGetLastErrorMessage(), "disk xvdb of images"),
	   part);
	ok(limit_refused(dom, "xvdz", "total_bytes_sec=5", flags, "images has no disk 'xvdz'"),
	   "one that it has not");
	ok(limit_refused(dom, "xvda", "group_name=a total_bytes_sec=5", flags, "group_name: "),
	   "groups of disks");
	ok(limit_refused(dom, "xvda", "colour=5", flags, "'colour'") &&
	           limit_refused(dom, "xvda", "read_iops_sec=5 read_iops_sec=6", flags, "given twice"),
	   "what is no limit, or twice one");
	ok(limit_refused(dom, "xvda", "total_iops_sec=5 write_iops_sec=6", flags,
	                 "total_iops_sec and write_iops_sec exclude each other") &&
	           limit_refused(dom, "xvda", "total_iops_sec=1000000000000001", flags, "is more than") &&
	           limit_refused(dom, "xvda", "read_bytes_sec_max=8", flags, "without read_bytes_sec"),
	   "what cannot be kept");
	ok(limits_are(dom, "xvda", flags, "") && limits_are(dom, "xvdb", flags, ""),
	   "and nothing is changed");
}

static void test_limits(void)
{
	const unsigned int live = VIR_DOMAIN_AFFECT_LIVE, config = VIR_DOMAIN_AFFECT_CONFIG;
	virDomainPtr dom = define_xml(conn, IMAGES);
	virTypedParameter few[2];
	g_autofree char *xml = NULL;
	int count = 2;

	if (!dom)
		abort();
	test_limits_refused(dom, config, "limits of a definition's raw disk are refused");
	ok(limit_refused(dom, "xvda", "total_bytes_sec=5", live, "not running"), "so are live ones of none");
	ok(limit(dom, "/q", "read_bytes_sec=5 read_bytes_sec_max=50", 0) == 0 &&
	           limits_are(dom, "xvda", 0, "read_bytes_sec=5 read_bytes_sec_max=50 ") && !limited[0],
	   "an image's are kept in the definition");
	ok(limit(dom, "xvda", "read_bytes_sec=0 read_bytes_sec_max=0", config) == 0 &&
	           limits_are(dom, "xvda", config, ""),
	   "and taken back");
	if (lifecycle_create(dom) < 0)
		abort();
	test_limits_refused(dom, live, "limits of a running guest's raw disk are refused");
	g_string_truncate(told, 0);
	ok(limit(dom, "xvda", "total_bytes_sec=1000 size_iops_sec=512 total_iops_sec=8", live) == 0 &&
	           STREQ(limited,
	                 "xvda {'total_bytes_sec': 1000, 'total_iops_sec': 8, 'size_iops_sec': 512}"),
	   "an image of a running guest is limited");
	ok(STREQ(told->str, "blkdeviotune.disk=xvda; blkdeviotune.total_bytes_sec=1000; "
	                    "blkdeviotune.size_iops_sec=512; blkdeviotune.total_iops_sec=8; "),
	   "clients hear of it");
	ok(limits_are(dom, "xvda", live, "total_bytes_sec=1000 total_iops_sec=8 size_iops_sec=512 ") &&
	           limits_are(dom, "xvda", config, ""),
	   "its definition is not");
	xml = define_get_xml(dom, 0);
	ok(xml && strstr(xml, "<total_bytes_sec>1000</total_bytes_sec>") && played_valid("domain.rng", xml),
	   "its XML shows it");
	ok(limit(dom, "xvda", "read_bytes_sec=7", live) == 0 &&
	           STREQ(limited, "xvda {'read_bytes_sec': 7, 'total_iops_sec': 8, 'size_iops_sec': 512}"),
	   "a limit of what is read is in the place of the one of all, and all else stays");
	ok(limit_refused(dom, "xvda", "total_iops_sec=0", live, "size_iops_sec without") &&
	           limit_refused(dom, "xvda", "read_bytes_sec_max_length=2", live,
	                         "without read_bytes_sec_max"),
	   "what stays has to fit");
	g_string_truncate(told, 0);
	no_limits = true;
	ok(limit(dom, "xvda", "write_bytes_sec=9", live | config) < 0 && STREQ(limited, "xvda ") &&
	           limits_are(dom, "xvda", live, "read_bytes_sec=7 total_iops_sec=8 size_iops_sec=512 ") &&
	           limits_are(dom, "xvda", config, "") && !told->len,
	   "what xylemd refuses is nowhere");
	no_limits = false;
	ok(limit(dom, "xvda", "write_bytes_sec=9", live | config) == 0 &&
	           limits_are(dom, "xvda", live, "write_bytes_sec=9 total_iops_sec=8 size_iops_sec=512 ") &&
	           limits_are(dom, "xvda", config, "write_bytes_sec=9 "),
	   "both have what is set in both, and each the rest of its own");
	ok(iotune_get(dom, "xvda", few, &count, live) == 0 && count == 2 &&
	           STREQ(few[1].field, "read_bytes_sec"),
	   "who has room for two is told two");
	ok(lifecycle_destroy(dom) == 0 && limits_are(dom, "xvda", 0, "write_bytes_sec=9 "),
	   "when it has ended the definition's hold");
	ok(define_undefine(dom) == 0, "it is undefined");
	virObjectUnref(dom);
}

static void *start(void *data)
{
	return lifecycle_create(data) == 0 ? data : NULL;
}

static void test_abort(virDomainPtr dom)
{
	GThread *thread;
	int before = g_atomic_int_get(&builds);

	g_mutex_lock(&gate);
	thread = g_thread_new("start", start, dom);
	wait_for(&builds, before + 1);
	g_mutex_unlock(&gate);
	/* Whether the abort or the build's end comes first: what is told is so. */
	if (lifecycle_abort_job(dom) == 0)
		ok(g_thread_join(thread) == NULL && define_is_active(dom) == 0,
		   "a start that is aborted fails");
	else
		ok(g_thread_join(thread) != NULL && define_is_active(dom) == 1,
		   "a start that was done is not aborted");
	ignore_value(lifecycle_destroy(dom));
}

/* ---- how much of its memory it changes ---- */

/* As "domstats --dirtyrate" has it, without its start: "status 1, 2 s, dirty-bitmap"; *start: its start. */
static char *rate_of(virDomainPtr dom, long long *start)
{
	virDomainStatsRecordPtr *records = NULL;
	long long mib = -1;
	const char *mode = NULL;
	int status = -1, seconds = -1;
	char *text;

	if (stats_all(conn, &dom, 1, VIR_DOMAIN_STATS_DIRTYRATE, &records,
	              VIR_CONNECT_GET_ALL_DOMAINS_STATS_ENFORCE_STATS) != 1)
		return g_strdup("no statistics");
	*start = -1;
	ignore_value(virTypedParamsGetInt(records[0]->params, records[0]->nparams, "dirtyrate.calc_status",
	                                  &status));
	ignore_value(virTypedParamsGetInt(records[0]->params, records[0]->nparams, "dirtyrate.calc_period",
	                                  &seconds));
	ignore_value(virTypedParamsGetLLong(records[0]->params, records[0]->nparams,
	                                    "dirtyrate.calc_start_time", start));
	ignore_value(virTypedParamsGetString(records[0]->params, records[0]->nparams, "dirtyrate.calc_mode",
	                                     &mode));
	ignore_value(virTypedParamsGetLLong(records[0]->params, records[0]->nparams,
	                                    "dirtyrate.megabytes_per_second", &mib));
	text = records[0]->nparams == 0
	               ? g_strdup("none")
	               : g_strdup_printf("status %d, %d s, %s, %lld MiB/s", status, seconds, mode, mib);
	virDomainStatsRecordListFree(records);
	return text;
}

static bool rate_is(virDomainPtr dom, const char *wanted)
{
	long long start;
	g_autofree char *text = rate_of(dom, &start);

	if (STRNEQ(text, wanted))
		printf("# %s\n", text);
	return STREQ(text, wanted);
}

static void wait_counted(void)
{
	for (unsigned int ms = 0; dirtyrate_busy() && ms < 120000; ms++)
		g_usleep(1000);
}

static bool refused(virDomainPtr dom, int seconds, unsigned int flags, const char *word)
{
	int before = g_atomic_int_get(&dirty_counts);
	bool is = dirtyrate_start(dom, seconds, flags) < 0 && strstr(virGetLastErrorMessage(), word);

	printf("# %s\n", virGetLastErrorMessage());
	return is && g_atomic_int_get(&dirty_counts) == before;
}

#define NO_RATE "status 0, 0 s, dirty-bitmap, -1 MiB/s"

static void test_rate_refused(virDomainPtr dom)
{
	virDomainObj *vm;

	ok(refused(dom, 0, 0, "seconds 0 is outside 1..60") && refused(dom, 61, 0, "outside 1..60") &&
	           refused(dom, -1, 0, "outside"),
	   "rate: a time that there is not");
	ok(refused(dom, 1, VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_RING, "dirty-ring"), "a ring, which is not there");
	ok(refused(dom, 1, 4, "unsupported flags"), "other flags");
	stopped = true;
	ok(refused(dom, 1, 0, "one has stopped"), "a guest that has stopped and is kept");
	stopped = false;
	unconnected = true;
	ok(refused(dom, 1, 0, "xylemd is not reachable"), "without xylemd");
	unconnected = false;
	vm = virDomainObjListFindByUUID(xylem->domains, dom->uuid);
	((struct domain_private *)vm->privateData)->foreign = true;
	virDomainObjEndAPI(&vm);
	ok(refused(dom, 1, 0, "made by another tool") && rate_is(dom, "none"), "another tool's guest");
	vm = virDomainObjListFindByUUID(xylem->domains, dom->uuid);
	((struct domain_private *)vm->privateData)->foreign = false;
	virDomainObjEndAPI(&vm);
	ok(rate_is(dom, NO_RATE), "nothing of it has begun");
}

static void test_rate(virDomainPtr dom)
{
	unsigned char map = 1;
	long long start, now;
	g_autofree char *text = NULL;

	ok(refused(dom, 1, 0, "not running") && rate_is(dom, "none"),
	   "rate: of a guest that is off there is none");
	if (lifecycle_create(dom) < 0)
		abort();
	ok(rate_is(dom, NO_RATE), "one that runs has none yet");
	test_rate_refused(dom);
	g_mutex_lock(&count_gate);
	now = g_get_real_time() / G_USEC_PER_SEC;
	ok(dirtyrate_start(dom, 2, 0) == 0, "a count begins, without a mode");
	wait_for(&dirty_counts, 1);
	text = rate_of(dom, &start);
	ok(STREQ(text, "status 1, 2 s, dirty-bitmap, -1 MiB/s") && start >= now && start <= now + 60,
	   "and is told of");
	ok(refused(dom, 2, 0, "being counted already"), "there is one at a time");
	ok(tune_pin_vcpu_flags(dom, 0, &map, 1, VIR_DOMAIN_AFFECT_LIVE) == 0 && dirtyrate_busy(),
	   "other calls do not wait for it");
	g_mutex_unlock(&count_gate);
	wait_counted();
	ok(counted_us == 2000000 && rate_is(dom, "status 2, 2 s, dirty-bitmap, 11 MiB/s"),
	   "what came of it is told");
	ok(dirtyrate_start(dom, 60, VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_BITMAP) == 0,
	   "then there is another one, with its mode");
	wait_counted();
	ok(counted_us == 60000000 && rate_is(dom, "status 2, 60 s, dirty-bitmap, 11 MiB/s"),
	   "and is told of");
	count_fails = true;
	ok(dirtyrate_start(dom, 1, 0) == 0, "one that fails");
	wait_counted();
	ok(rate_is(dom, NO_RATE), "tells nothing, nor does the one before");
	count_fails = false;
}

/* Of a guest that ends, and is started again. */
static void test_rate_ends(virDomainPtr dom)
{
	gint before;

	ok(dirtyrate_start(dom, 1, 0) == 0, "rate: once more");
	wait_counted();
	ok(lifecycle_destroy(dom) == 0 && rate_is(dom, "none"), "with the guest it is gone");
	if (lifecycle_create(dom) < 0)
		abort();
	ok(rate_is(dom, NO_RATE), "the next one has none");
	g_mutex_lock(&count_gate);
	before = g_atomic_int_get(&dirty_counts);
	ok(dirtyrate_start(dom, 1, 0) == 0 && lifecycle_destroy(dom) == 0, "a destroy does not wait for it");
	wait_for(&dirty_counts, before + 1);
	if (lifecycle_create(dom) < 0)
		abort();
	ok(rate_is(dom, NO_RATE) && refused(dom, 1, 0, "already"),
	   "what xylemd has not given up yet is not the next guest's");
	g_mutex_unlock(&count_gate);
	wait_counted();
	ok(rate_is(dom, NO_RATE) && dirtyrate_start(dom, 1, 0) == 0, "which then has its own");
	wait_counted();
	ok(rate_is(dom, "status 2, 1 s, dirty-bitmap, 11 MiB/s"), "and is told of it");
	ignore_value(lifecycle_destroy(dom));
}

int main(void)
{
	g_autofree char *dir = g_dir_make_tmp("xylem-calls-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);
	virDomainPtr dom;

	told = g_string_new(NULL);
	if (!dir || !played_setup(dir) || events_start() < 0 || !(dom = define_xml(conn, XML))) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		return 1;
	}
	test_node();
	test_node_memory();
	test_cpu();
	test_reset(dom);
	test_cpu_stats(dom);
	test_numa(dom);
	test_auto_destroy(dom);
	test_policy(dom);
	test_resize(dom);
	test_events(dom);
	test_limits();
	test_rate(dom);
	test_rate_ends(dom);
	for (unsigned int i = 0; i < 20; i++)
		test_abort(dom);
	virObjectUnref(dom);
	test_consoles();
	events_stop();
	return tap_end() || system(remove) ? 1 : 0;
}
