/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each lifecycle call in each state that a guest can be in: libvirt's real objects and this driver, an xylemd and a
 * hypervisor that the test plays. What a call reports is compared with what has become of the guest, no call waits
 * for ever, and the driver's own idea of the guest is the truth afterwards.
 */
#include "xylem.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <xenctrl.h>

#include "../lib/tap.h"
#include "define.h"
#include "devices.h"
#include "events.h"
#include "lifecycle.h"
#include "monitor.h"
#include "played.h"
#include "stats.h"
#include "tune.h"
#include "virerror.h"
#include "virhook.h"
#include "virthread.h"
#include "viruuid.h"

#define UUID     "5f2b7e10-0000-4000-8000-000000000001"
#define MAC      "00:16:3e:00:00:01"
#define WAIT_US  (20 * G_USEC_PER_SEC) /* xylemd's own time-outs are played as short ones */
#define BLOCK_US 150000                /* after which a call is taken to wait */
#define DISK_A   "<disk type='block'><source dev='/dev/a'/><target dev='xvda' bus='xen'/></disk>"
#define DISK_B   "<disk type='block'><source dev='/dev/b'/><target dev='xvdb' bus='xen'/></disk>"
#define NIC(link) \
	"<interface type='bridge'><mac address='" MAC "'/><source bridge='br0'/>" link "</interface>"
#define XML                                                                                               \
	"<domain type='xen'><name>one</name><uuid>" UUID "</uuid><memory unit='KiB'>65536</memory>"       \
	"<vcpu current='1'>2</vcpu><os><type>linux</type><kernel>/k</kernel></os><on_crash>%s</on_crash>" \
	"<devices>" DISK_A NIC("") "</devices></domain>"

/* ---- the guest, as hypervisor and xylemd have it ---- */

static GMutex lock;
static GCond changed;

static struct guest {
	bool known;  /* xylemd has it */
	bool exists; /* the hypervisor has its domain */
	bool paused, shutdown, dying;
	unsigned int domid, reason;
	unsigned long long memory_kib;
	unsigned int vcpus, weight, cap, affinity, asked;
	bool disk_a, disk_b, link_down;
	unsigned int lives; /* how often it was built */
} guest;                    /* guarded by lock */

static bool hold_build; /* Create waits; guarded by lock */
static bool held;       /* something keeps a dying domain; guarded by lock */
static bool away;       /* xylemd; guarded by lock */
static bool hung;       /* xylemd takes calls and does not answer; guarded by lock */
static int waiting;     /* calls in xylemd that wait; guarded by lock */

static int fail(int code, const char *what)
{
	virReportError(code, "%s, says the test's xylemd", what);
	return -1;
}

static void wait_changed(void)
{
	waiting++;
	g_cond_wait(&changed, &lock);
	waiting--;
}

/* lock is held; xylemd's answer when it cannot be asked at all. */
static int reachable(void)
{
	gint64 until = g_get_monotonic_time() + G_USEC_PER_SEC;

	while (hung) {
		waiting++;
		if (!g_cond_wait_until(&changed, &lock, until)) {
			waiting--;
			return fail(VIR_ERR_OPERATION_TIMEOUT, "no answer");
		}
		waiting--;
	}
	return away ? fail(VIR_ERR_OPERATION_FAILED, "xylemd is not reachable") : 0;
}

/* lock is held. A call on a guest's domain: one that stops is waited for, what becomes of it then decides. */
static int live(void)
{
	if (reachable() < 0)
		return -1;
	for (;;) {
		if (!guest.known)
			return fail(VIR_ERR_OPERATION_INVALID, "it is gone");
		if (guest.dying && guest.exists)
			return fail(VIR_ERR_OPERATION_INVALID, "it is being destroyed");
		if (guest.exists && guest.shutdown && guest.reason == XYL_SHUTDOWN_CRASH)
			return fail(VIR_ERR_OPERATION_INVALID, "it has stopped, and is kept");
		if (guest.exists && !guest.shutdown)
			return 0;
		wait_changed();
	}
}

#define LIVE_CALL(change)              \
	do {                           \
		int ret_;              \
		g_mutex_lock(&lock);   \
		ret_ = live();         \
		if (ret_ == 0) {       \
			change;        \
		}                      \
		g_mutex_unlock(&lock); \
		return ret_;           \
	} while (0)

static void built(bool paused)
{
	unsigned int domid = guest.domid + 1;

	guest.known = guest.exists = true;
	guest.paused = paused;
	guest.shutdown = guest.dying = false;
	guest.asked = 0;
	guest.domid = domid;
	guest.lives++;
}

int monitor_create(struct monitor *m G_GNUC_UNUSED, GVariant *config, bool paused, unsigned int *domid,
                   GVariant **devices)
{
	int ret;

	*devices = NULL;
	g_variant_unref(g_variant_ref_sink(config));
	g_mutex_lock(&lock);
	ret = reachable();
	if (ret == 0 && guest.known)
		ret = fail(VIR_ERR_OPERATION_FAILED, "a guest with this uuid is there already");
	if (ret == 0) {
		guest.known = true;
		while (hold_build && guest.known)
			wait_changed();
		if (!guest.known)
			ret = fail(VIR_ERR_OPERATION_FAILED, "it was destroyed meanwhile");
	}
	if (ret == 0) {
		guest.memory_kib = 65536;
		guest.vcpus = 1;
		guest.weight = 256;
		guest.cap = guest.affinity = 0;
		guest.disk_a = true;
		guest.disk_b = guest.link_down = false;
		built(paused);
		*domid = guest.domid;
	}
	g_mutex_unlock(&lock);
	return ret;
}

int monitor_destroy(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
{
	unsigned int domid = 0;
	int ret;

	g_mutex_lock(&lock);
	ret = reachable();
	if (ret == 0 && !guest.known)
		ret = fail(VIR_ERR_OPERATION_INVALID, "there is no such guest");
	if (ret == 0 && held) {
		guest.dying = guest.exists;
		ret = fail(VIR_ERR_OPERATION_TIMEOUT, "something still holds it");
	}
	if (ret == 0) {
		domid = guest.exists ? guest.domid : 0;
		guest.exists = guest.known = guest.shutdown = guest.dying = false;
		g_cond_broadcast(&changed);
	}
	g_mutex_unlock(&lock);
	if (ret == 0) {
		played_say(UUID, domid, "destroyed", "request");
		played_say(UUID, domid, "died", "request");
	}
	return ret;
}

int monitor_shutdown(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, const char *mode)
{
	int ret;

	g_mutex_lock(&lock);
	ret = reachable();
	if (ret == 0 && (!guest.exists || guest.shutdown || guest.dying))
		ret = fail(VIR_ERR_OPERATION_INVALID, "it cannot hear it");
	if (ret == 0)
		guest.asked = STREQ(mode, "reboot") ? XYL_SHUTDOWN_REBOOT + 1 : XYL_SHUTDOWN_POWEROFF + 1;
	g_mutex_unlock(&lock);
	return ret;
}

int monitor_pause(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, bool pause)
{
	LIVE_CALL(guest.paused = pause);
}

int monitor_attach(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, GVariant *device,
                   GVariant **made)
{
	*made = g_variant_ref_sink(device);
	LIVE_CALL(guest.disk_b = true);
}

int monitor_detach(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, GVariant *device)
{
	g_variant_unref(g_variant_ref_sink(device));
	LIVE_CALL(guest.disk_a = false);
}

int monitor_set_memory(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                       unsigned long long memory_kib)
{
	LIVE_CALL(guest.memory_kib = memory_kib);
}

int monitor_set_vcpus(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, unsigned int vcpus)
{
	LIVE_CALL(guest.vcpus = vcpus);
}

int monitor_set_scheduler(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                          const struct xyl_sched *sched)
{
	LIVE_CALL(guest.weight = sched->weight; guest.cap = sched->cap);
}

int monitor_set_affinity(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                         unsigned int vcpu G_GNUC_UNUSED, const unsigned char *map,
                         size_t map_bytes G_GNUC_UNUSED)
{
	LIVE_CALL(guest.affinity = map[0]);
}

int monitor_set_link(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                     const char *mac G_GNUC_UNUSED, bool up)
{
	LIVE_CALL(guest.link_down = !up);
}

int monitor_set_opaque(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                       const char *text G_GNUC_UNUSED)
{
	int ret;

	g_mutex_lock(&lock);
	ret = reachable();
	g_mutex_unlock(&lock);
	return ret;
}

GVariant *monitor_get(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, bool *known)
{
	bool there;

	g_mutex_lock(&lock);
	there = guest.known && !away && !hung;
	if (known)
		*known = !away && !hung;
	g_mutex_unlock(&lock);
	return there ? g_variant_ref_sink(g_variant_new("a{sv}", NULL)) : NULL;
}

bool monitor_connected(struct monitor *m G_GNUC_UNUSED)
{
	bool ret;

	g_mutex_lock(&lock);
	ret = !away;
	g_mutex_unlock(&lock);
	return ret;
}

/* ---- the hypervisor and the store ---- */

static void fill(struct xyl_dominfo *info)
{
	memset(info, 0, sizeof(*info));
	info->domid = guest.domid;
	info->paused = guest.paused;
	info->shutdown = guest.shutdown;
	info->shutdown_reason = (int)guest.reason;
	info->dying = guest.dying;
	info->memory_pages = guest.memory_kib / 4;
	info->online_vcpus = guest.vcpus;
	info->max_vcpus = 2;
	ignore_value(virUUIDParse(UUID, info->uuid));
}

int xyl_domain_info(struct xyl *x G_GNUC_UNUSED, uint32_t domid, struct xyl_dominfo *info)
{
	bool found;

	g_mutex_lock(&lock);
	found = guest.exists && guest.domid == domid;
	if (found)
		fill(info);
	g_mutex_unlock(&lock);
	errno = found ? 0 : ESRCH;
	return found ? 0 : -1;
}

int xyl_domain_list_all(struct xyl *x G_GNUC_UNUSED, struct xyl_dominfo **infos)
{
	int count;

	*infos = calloc(1, sizeof(**infos));
	g_mutex_lock(&lock);
	count = guest.exists;
	if (count)
		fill(*infos);
	g_mutex_unlock(&lock);
	return count;
}

int xyl_domain_destroy(struct xyl *x G_GNUC_UNUSED, uint32_t domid)
{
	g_mutex_lock(&lock);
	/* Without xylemd its devices stay; the domain goes. */
	if (guest.exists && guest.domid == domid)
		guest.exists = guest.known = false;
	g_mutex_unlock(&lock);
	return 0;
}

int xyl_host_info(struct xyl *x G_GNUC_UNUSED, struct xyl_hostinfo *info)
{
	memset(info, 0, sizeof(*info));
	info->max_cpu_id = 3;
	return 0;
}

int xyl_scheduler_id(struct xyl *x G_GNUC_UNUSED, enum xyl_scheduler *id)
{
	*id = XYL_SCHED_CREDIT2;
	return 0;
}

int xyl_sched_get(struct xyl *x G_GNUC_UNUSED, uint32_t domid, struct xyl_sched *sched)
{
	bool found;

	g_mutex_lock(&lock);
	found = guest.exists && guest.domid == domid;
	sched->weight = guest.weight;
	sched->cap = guest.cap;
	g_mutex_unlock(&lock);
	errno = found ? 0 : ESRCH;
	return found ? 0 : -1;
}

int xyl_vcpu_info(struct xyl *x G_GNUC_UNUSED, uint32_t domid, uint32_t vcpu G_GNUC_UNUSED,
                  struct xyl_vcpuinfo *info)
{
	struct xyl_dominfo domain;

	memset(info, 0, sizeof(*info));
	return xyl_domain_info(x, domid, &domain);
}

int xyl_vcpu_get_affinity(struct xyl *x, uint32_t domid, uint32_t vcpu G_GNUC_UNUSED, uint8_t *hard,
                          uint8_t *soft G_GNUC_UNUSED, size_t bytes)
{
	struct xyl_dominfo domain;

	memset(hard, 0xff, bytes);
	return xyl_domain_info(x, domid, &domain);
}

/* ---- hook scripts ---- */

static bool hooks_present;
static int refused_op = -1; /* the script says no to it */
static GString *hooks;

int virHookPresent(int driver G_GNUC_UNUSED)
{
	return hooks_present;
}

int virHookCall(int driver G_GNUC_UNUSED, const char *id G_GNUC_UNUSED, int op, int sub_op G_GNUC_UNUSED,
                const char *extra G_GNUC_UNUSED, const char *input, char **output G_GNUC_UNUSED)
{
	static const char *const names[VIR_HOOK_LIBXL_OP_LAST] = {
		[VIR_HOOK_LIBXL_OP_PREPARE] = "prepare", [VIR_HOOK_LIBXL_OP_START] = "start",
		[VIR_HOOK_LIBXL_OP_STARTED] = "started", [VIR_HOOK_LIBXL_OP_STOPPED] = "stopped",
		[VIR_HOOK_LIBXL_OP_RELEASE] = "release",
	};

	g_mutex_lock(&lock);
	g_string_append_printf(hooks, " %s", names[op] ? names[op] : "another");
	g_mutex_unlock(&lock);
	if (!strstr(input, UUID))
		abort();
	return op == refused_op ? fail(VIR_ERR_HOOK_SCRIPT_FAILED, "no") : 0;
}

/* ---- calls ---- */

static virDomainPtr dom;

static int do_start(void)
{
	return lifecycle_create(dom);
}

static int do_create(void)
{
	g_autofree char *xml = g_strdup_printf(XML, "preserve");
	virDomainPtr made = lifecycle_create_xml(conn, xml, 0);

	virObjectUnref(made);
	return made ? 0 : -1;
}

static int do_destroy(void)
{
	return lifecycle_destroy(dom);
}

static int do_shutdown(void)
{
	return lifecycle_shutdown(dom);
}

static int do_reboot(void)
{
	return lifecycle_reboot(dom, 0);
}

static int do_suspend(void)
{
	return lifecycle_suspend(dom);
}

static int do_resume(void)
{
	return lifecycle_resume(dom);
}

static int do_vcpus(void)
{
	return tune_set_vcpus_flags(dom, 2, VIR_DOMAIN_AFFECT_LIVE);
}

static int do_memory(void)
{
	return tune_set_memory_flags(dom, 32768, VIR_DOMAIN_AFFECT_LIVE);
}

static int do_scheduler(void)
{
	virTypedParameter param = { .field = VIR_DOMAIN_SCHEDULER_WEIGHT, .type = VIR_TYPED_PARAM_UINT };

	param.value.ui = 1000;
	return tune_set_scheduler_flags(dom, &param, 1, VIR_DOMAIN_AFFECT_LIVE);
}

static int do_pin(void)
{
	unsigned char map = 4;

	return tune_pin_vcpu_flags(dom, 0, &map, 1, VIR_DOMAIN_AFFECT_LIVE);
}

static int do_attach(void)
{
	return devices_attach(dom, DISK_B);
}

static int do_detach(void)
{
	return devices_detach(dom, DISK_A);
}

static int do_link(void)
{
	return devices_update_flags(dom, NIC("<link state='down'/>"), VIR_DOMAIN_AFFECT_LIVE);
}

static int do_undefine(void)
{
	return define_undefine(dom);
}

static virDomainInfo told; /* by the last call of one of these two */

static int do_info(void)
{
	return stats_get_info(dom, &told);
}

static int do_state(void)
{
	int state, reason, ret = lifecycle_get_state(dom, &state, &reason, 0);

	told.state = (unsigned char)state;
	return ret;
}

static int do_stats(void)
{
	virDomainMemoryStatStruct memory[VIR_DOMAIN_MEMORY_STAT_NR];
	virTypedParameter params[2] = { 0 };
	unsigned char maps[2];
	virVcpuInfo vcpus[2];
	int count = 2;

	if (!define_is_active(dom))
		return 0;
	if (stats_memory(dom, memory, VIR_DOMAIN_MEMORY_STAT_NR, 0) < 0 ||
	    stats_cpu(dom, params, 1, -1, 1, 0) < 0 || tune_get_vcpus_flags(dom, VIR_DOMAIN_AFFECT_LIVE) < 1)
		return -1;
	if (tune_get_vcpus(dom, vcpus, 2, maps, 1) != 2 ||
	    tune_get_pin_info(dom, 2, maps, 1, VIR_DOMAIN_AFFECT_LIVE) != 2)
		return -1;
	return tune_get_scheduler_flags(dom, params, &count, VIR_DOMAIN_AFFECT_LIVE);
}

static bool is_started(const struct guest *g, const struct guest *before)
{
	return g->exists && g->lives == before->lives + 1;
}

static bool is_destroyed(const struct guest *g, const struct guest *before)
{
	/* Nor does it come back. */
	return !g->exists && !g->known && g->lives == before->lives;
}

static bool is_asked_off(const struct guest *g, const struct guest *before G_GNUC_UNUSED)
{
	return g->asked == XYL_SHUTDOWN_POWEROFF + 1;
}

static bool is_asked_reboot(const struct guest *g, const struct guest *before G_GNUC_UNUSED)
{
	return g->asked == XYL_SHUTDOWN_REBOOT + 1;
}

static bool is_paused(const struct guest *g, const struct guest *before G_GNUC_UNUSED)
{
	return g->exists && g->paused;
}

static bool is_resumed(const struct guest *g, const struct guest *before G_GNUC_UNUSED)
{
	return g->known && !g->paused && !g->dying && (!g->shutdown || g->reason == XYL_SHUTDOWN_REBOOT);
}

static bool is_vcpus(const struct guest *g, const struct guest *before G_GNUC_UNUSED)
{
	return g->exists && g->vcpus == 2;
}

static bool is_memory(const struct guest *g, const struct guest *before G_GNUC_UNUSED)
{
	return g->exists && g->memory_kib == 32768;
}

static bool is_scheduled(const struct guest *g, const struct guest *before G_GNUC_UNUSED)
{
	return g->exists && g->weight == 1000;
}

static bool is_pinned(const struct guest *g, const struct guest *before G_GNUC_UNUSED)
{
	return g->exists && g->affinity == 4;
}

static bool is_attached(const struct guest *g, const struct guest *before G_GNUC_UNUSED)
{
	return g->exists && g->disk_b;
}

static bool is_detached(const struct guest *g, const struct guest *before G_GNUC_UNUSED)
{
	return g->exists && !g->disk_a;
}

static bool is_link_down(const struct guest *g, const struct guest *before G_GNUC_UNUSED)
{
	return g->exists && g->link_down;
}

static bool is_undefined(const struct guest *g G_GNUC_UNUSED, const struct guest *before G_GNUC_UNUSED)
{
	g_autofree char *file = g_build_filename(xylem->config_dir, "one.xml", NULL);

	return !g_file_test(file, G_FILE_TEST_EXISTS);
}

/* What a client may be told of a guest: of one that is between two domains, that it runs. */
static bool is_told(const struct guest *g, const struct guest *before G_GNUC_UNUSED)
{
	switch (told.state) {
	case VIR_DOMAIN_RUNNING:
		return g->known && !g->paused && !g->dying &&
		       (!g->shutdown || g->reason == XYL_SHUTDOWN_REBOOT);
	case VIR_DOMAIN_PAUSED:
		return g->exists && g->paused && !g->dying && !g->shutdown;
	case VIR_DOMAIN_SHUTDOWN:
		return g->exists && (g->dying || (g->shutdown && g->reason != XYL_SHUTDOWN_CRASH));
	case VIR_DOMAIN_CRASHED:
		return g->exists && g->shutdown && g->reason == XYL_SHUTDOWN_CRASH;
	case VIR_DOMAIN_SHUTOFF:
		return !g->exists;
	default:
		return false;
	}
}

static bool is_any(const struct guest *g G_GNUC_UNUSED, const struct guest *before G_GNUC_UNUSED)
{
	return true;
}

static const struct {
	const char *name;
	int (*run)(void);
	bool (*so)(const struct guest *now, const struct guest *before);
	bool reads; /* whatever the state: it succeeds, at once */
} calls[] = {
	{ "start", do_start, is_started, false },         { "create", do_create, is_started, false },
	{ "destroy", do_destroy, is_destroyed, false },   { "shutdown", do_shutdown, is_asked_off, false },
	{ "reboot", do_reboot, is_asked_reboot, false },  { "suspend", do_suspend, is_paused, false },
	{ "resume", do_resume, is_resumed, false },       { "setvcpus", do_vcpus, is_vcpus, false },
	{ "setmem", do_memory, is_memory, false },        { "schedinfo", do_scheduler, is_scheduled, false },
	{ "vcpupin", do_pin, is_pinned, false },          { "attach", do_attach, is_attached, false },
	{ "detach", do_detach, is_detached, false },      { "link down", do_link, is_link_down, false },
	{ "undefine", do_undefine, is_undefined, false }, { "dominfo", do_info, is_told, true },
	{ "domstate", do_state, is_told, true },          { "statistics", do_stats, is_any, true },
};

struct caller {
	virThread thread;
	size_t call;
	gint done;
	bool good, so;
	char *error;
	struct guest before;
};

static void run(void *data)
{
	struct caller *c = data;
	struct guest now;

	c->good = calls[c->call].run() == 0;
	g_mutex_lock(&lock);
	now = guest;
	g_mutex_unlock(&lock);
	c->so = calls[c->call].so(&now, &c->before);
	c->error = c->good ? NULL : g_strdup(virGetLastErrorMessage());
	g_atomic_int_set(&c->done, 1);
}

static void begin(struct caller *c, const char *name)
{
	memset(c, 0, sizeof(*c));
	while (STRNEQ(calls[c->call].name, name))
		c->call++;
	g_mutex_lock(&lock);
	c->before = guest;
	g_mutex_unlock(&lock);
	if (virThreadCreate(&c->thread, true, run, c) < 0)
		abort();
}

static bool ends(struct caller *c, gint64 us)
{
	gint64 until = g_get_monotonic_time() + us;

	while (!g_atomic_int_get(&c->done) && g_get_monotonic_time() < until)
		g_usleep(1000);
	return g_atomic_int_get(&c->done);
}

/* ---- states ---- */

enum state { OFF, BUILDING, RUNNING, PAUSED, STOPPING, CRASHED, BETWEEN, DYING, AWAY, HUNG, STATES };

static const char *const state_names[STATES] = { "off",
	                                         "being built",
	                                         "running",
	                                         "paused",
	                                         "shut down, not yet taken down",
	                                         "crashed and preserved",
	                                         "between death and rebuild",
	                                         "dying, held by dom0",
	                                         "running, xylemd restarting",
	                                         "running, xylemd hung" };

static struct caller builder;

static void must(int ret, const char *what)
{
	if (ret == 0)
		return;
	printf("Bail out! %s: %s\n", what, virGetLastErrorMessage());
	exit(1);
}

static void stop_guest(unsigned int reason, const char *event, const char *detail)
{
	g_mutex_lock(&lock);
	guest.shutdown = true;
	guest.reason = reason;
	g_mutex_unlock(&lock);
	played_say(UUID, guest.domid, event, detail);
	played_heard();
}

static void domain_goes(const char *detail)
{
	unsigned int domid = guest.domid;

	played_say(UUID, domid, "destroyed", detail);
	g_mutex_lock(&lock);
	guest.exists = guest.shutdown = guest.dying = false;
	guest.known = STREQ(detail, "restart");
	g_cond_broadcast(&changed);
	g_mutex_unlock(&lock);
	played_say(UUID, domid, "died", detail);
	played_heard();
}

static void reach(enum state state)
{
	if (state == OFF)
		return;
	if (state == BUILDING) {
		g_mutex_lock(&lock);
		hold_build = true;
		g_mutex_unlock(&lock);
		begin(&builder, "start");
		for (;;) {
			g_mutex_lock(&lock);
			if (waiting)
				break;
			g_mutex_unlock(&lock);
			g_usleep(1000);
		}
		g_mutex_unlock(&lock);
		return;
	}
	must(lifecycle_create_flags(dom, state == PAUSED ? VIR_DOMAIN_START_PAUSED : 0), "start");
	switch (state) {
	case STOPPING:
		stop_guest(XYL_SHUTDOWN_POWEROFF, "shutdown", "poweroff");
		break;
	case CRASHED:
		stop_guest(XYL_SHUTDOWN_CRASH, "crashed", "crash");
		break;
	case BETWEEN:
		stop_guest(XYL_SHUTDOWN_REBOOT, "shutdown", "reboot");
		domain_goes("restart");
		break;
	case DYING:
		g_mutex_lock(&lock);
		held = guest.dying = true;
		g_mutex_unlock(&lock);
		played_say(UUID, guest.domid, "destroyed", "other");
		played_heard();
		break;
	case AWAY:
	case HUNG:
		g_mutex_lock(&lock);
		away = state == AWAY;
		hung = state == HUNG;
		g_mutex_unlock(&lock);
		break;
	default:
		break;
	}
}

/* What keeps the guest in its state ends. */
static void leave(enum state state)
{
	bool rebuilt = false;

	g_mutex_lock(&lock);
	hold_build = held = away = hung = false;
	if (state == BETWEEN && guest.known && !guest.exists) {
		built(false);
		rebuilt = true;
	}
	g_cond_broadcast(&changed);
	g_mutex_unlock(&lock);
	if (rebuilt)
		played_say(UUID, guest.domid, "rebooted", "reboot");
	if (state == STOPPING && guest.exists)
		domain_goes("policy");
	if (state == DYING && guest.exists)
		domain_goes("other");
	if (state == BUILDING) {
		virThreadJoin(&builder.thread);
		g_free(builder.error);
	}
	played_heard();
}

static bool agrees(void)
{
	gint64 until = g_get_monotonic_time() + WAIT_US;
	bool same = false;

	while (!same && g_get_monotonic_time() < until) {
		int active;

		played_reconcile();
		active = define_is_active(dom);
		g_mutex_lock(&lock);
		/* A transient one that has ended is not known any more. */
		same = guest.exists ? active == 1 : active <= 0;
		g_mutex_unlock(&lock);
		if (!same)
			g_usleep(2000);
	}
	return same;
}

static void redefine(const char *on_crash)
{
	g_autofree char *xml = g_strdup_printf(XML, on_crash);

	virObjectUnref(dom);
	dom = define_xml(conn, xml);
	must(dom ? 0 : -1, "define");
}

static void clear(void)
{
	if (define_is_active(dom) == 1)
		must(lifecycle_destroy(dom), "destroy");
	played_heard();
	must(agrees() ? 0 : -1, "the guest is gone");
	redefine("preserve");
	must(define_is_active(dom), "a guest that is off");
}

/* Whether the call's word is true: what it reports has happened, what it says has failed has not. */
static bool true_word(const struct caller *c)
{
	/* A resume of what runs, a link that is as it is wanted, are no failures; a failure of what was so before tells
	 * nothing. */
	return c->good ? c->so : !c->so || calls[c->call].so(&c->before, &c->before) || !c->before.exists;
}

static void test_call(enum state state, size_t call)
{
	g_autofree char *name =
	        g_strdup_printf("%s of a guest that is %s", calls[call].name, state_names[state]);
	bool at_once, over, same, word;
	struct caller c;

	reach(state);
	begin(&c, calls[call].name);
	at_once = ends(&c, calls[call].reads ? WAIT_US : BLOCK_US);
	leave(state);
	over = at_once || ends(&c, WAIT_US);
	if (!over) {
		tap_ok(false, name);
		printf("Bail out! it does not end\n");
		exit(1);
	}
	virThreadJoin(&c.thread);
	word = true_word(&c) && (!calls[call].reads || (c.good && at_once));
	same = agrees();
	tap_ok(word && same, name);
	printf("# %s%s%s%s\n",
	       at_once ? "at once: " : "later: ", c.good ? "done" : "refused: ", c.good ? "" : c.error,
	       c.so ? "; it is so" : "");
	if (!same)
		printf("# the driver does not know what the guest is\n");
	g_free(c.error);
	clear();
}

/* A paused guest that others let run, and that reboots at once, before anybody has looked. */
static void test_resumed_by_others(void)
{
	redefine("preserve");
	must(lifecycle_create_flags(dom, VIR_DOMAIN_START_PAUSED), "start");
	g_mutex_lock(&lock);
	guest.paused = false;
	guest.shutdown = true;
	guest.reason = XYL_SHUTDOWN_REBOOT;
	g_mutex_unlock(&lock);
	played_say(UUID, guest.domid, "shutdown", "reboot");
	domain_goes("restart");
	tap_ok(do_state() == 0 && is_told(&guest, &guest) && told.state == VIR_DOMAIN_RUNNING,
	       "a paused guest that others let run, between death and rebuild, is running");
	leave(BETWEEN);
	tap_ok(do_state() == 0 && told.state == VIR_DOMAIN_RUNNING && agrees(), "and afterwards");
	clear();
}

/* A guest that reboots: the scripts see an end and a start, and one that says no to the start ends it. */
static void test_hooks(void)
{
	gint64 until;

	hooks_present = true;
	redefine("preserve");
	must(lifecycle_create(dom), "start");
	tap_ok(STREQ(hooks->str, " prepare start started"), "hooks of a start");
	g_string_truncate(hooks, 0);
	reach(OFF);
	stop_guest(XYL_SHUTDOWN_REBOOT, "shutdown", "reboot");
	domain_goes("restart");
	leave(BETWEEN);
	for (until = g_get_monotonic_time() + WAIT_US; g_get_monotonic_time() < until; g_usleep(1000)) {
		bool all;

		g_mutex_lock(&lock);
		all = strstr(hooks->str, "started") != NULL;
		g_mutex_unlock(&lock);
		if (all)
			break;
	}
	tap_ok(STREQ(hooks->str, " stopped release prepare start started") && define_is_active(dom) == 1,
	       "hooks of a guest's own reboot");
	g_string_truncate(hooks, 0);
	refused_op = VIR_HOOK_LIBXL_OP_START;
	stop_guest(XYL_SHUTDOWN_REBOOT, "shutdown", "reboot");
	domain_goes("restart");
	leave(BETWEEN);
	for (until = g_get_monotonic_time() + WAIT_US; g_get_monotonic_time() < until; g_usleep(1000)) {
		if (define_is_active(dom) == 0)
			break;
	}
	tap_ok(define_is_active(dom) == 0 && !guest.exists && agrees(),
	       "a script that says no to the new start ends the guest");
	refused_op = -1;
	hooks_present = false;
}

static bool setup(const char *dir)
{
	hooks = g_string_new(NULL);
	guest.domid = 1;
	return played_setup(dir) && events_start() == 0;
}

int main(void)
{
	g_autofree char *dir = g_dir_make_tmp("xylem-states-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);
	enum state state;
	size_t call;

	if (!dir || !setup(dir)) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		return 1;
	}
	redefine("preserve");
	for (state = 0; state < STATES; state++) {
		for (call = 0; call < G_N_ELEMENTS(calls); call++)
			test_call(state, call);
	}
	test_resumed_by_others();
	test_hooks();
	return tap_end() || system(remove) ? 1 : 0;
}
