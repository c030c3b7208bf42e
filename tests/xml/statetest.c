/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each lifecycle call in each state that a guest can be in: libvirt's real objects and this driver, an xylemd and a
 * hypervisor that the test plays. What a call reports is compared with what has become of the guest, no call waits
 * for ever, and the driver's own idea of the guest is the truth afterwards.
 */
#include "xylem.h"

#include <arpa/inet.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <xenctrl.h>

#include "../lib/tap.h"
#include "datatypes.h"
#include "define.h"
#include "devices.h"
#include "dirtyrate.h"
#include "dump.h"
#include "events.h"
#include "iotune.h"
#include "lifecycle.h"
#include "meta.h"
#include "migrate.h"
#include "monitor.h"
#include "played.h"
#include "save.h"
#include "savefile.h"
#include "stateplay.h"
#include "stats.h"
#include "tune.h"
#include "virdomainobjlist.h"
#include "virerror.h"
#include "virthread.h"
#include "virtypedparam.h"
#include "viruuid.h"

#define MAC      "00:16:3e:00:00:01"
#define WAIT_US  (20 * G_USEC_PER_SEC) /* xylemd's own time-outs are played as short ones */
#define BLOCK_US 150000                /* after which a call is taken to wait */
#define DISK_A   "<disk type='block'><source dev='/dev/a'/><target dev='xvda' bus='xen'/></disk>"
#define DISK_B   "<disk type='block'><source dev='/dev/b'/><target dev='xvdb' bus='xen'/></disk>"
#define IMAGE                                                                                        \
	"<disk type='file'><driver name='qemu' type='qcow2'/><source file='/q'/><target dev='xvdq' " \
	"bus='xen'/></disk>"
#define NIC(link) \
	"<interface type='bridge'><mac address='" MAC "'/><source bridge='br0'/>" link "</interface>"
#define XML                                                                                               \
	"<domain type='xen'><name>one</name><uuid>" UUID "</uuid><memory unit='KiB'>65536</memory>"       \
	"<vcpu current='1'>2</vcpu><os><type>linux</type><kernel>/k</kernel></os><on_crash>%s</on_crash>" \
	"<devices>" DISK_A "%s" NIC("") "</devices></domain>"

/* ---- calls ---- */

static virDomainPtr dom;
static const char *image = ""; /* of a guest that has one, which is not migrated */

static int do_start(void)
{
	return lifecycle_create(dom);
}

static int do_create(void)
{
	g_autofree char *xml = g_strdup_printf(XML, "preserve", image);
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

static int do_limit(void)
{
	virTypedParameter param = { .field = VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC,
		                    .type = VIR_TYPED_PARAM_ULLONG };

	param.value.ul = 1 << 20;
	return iotune_set(dom, "xvdq", &param, 1, VIR_DOMAIN_AFFECT_LIVE);
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
	if (tune_get_numa(dom, params, &count, 0) < 0)
		return -1;
	virTypedParamsClear(params, count);
	return tune_get_scheduler_flags(dom, params, &count, VIR_DOMAIN_AFFECT_LIVE);
}

static char *save_path, *image_path, *core_path;

static int do_save(void)
{
	return save_to(dom, save_path);
}

static int do_managed_save(void)
{
	return save_managed(dom, 0);
}

/* A file of the same guest. */
static int do_restore(void)
{
	return save_restore(conn, image_path);
}

static int do_dump(void)
{
	return dump_core(dom, core_path, 0);
}

/* And what comes of it, as clients ask the statistics for it: now and then. */
static int do_count(void)
{
	int status = VIR_DOMAIN_DIRTYRATE_MEASURING;

	if (dirtyrate_start(dom, 1, 0) < 0)
		return -1;
	while (status == VIR_DOMAIN_DIRTYRATE_MEASURING) {
		virDomainObj *vm = virDomainObjListFindByUUID(xylem->domains, dom->uuid);

		status = vm ? ((struct domain_private *)vm->privateData)->dirty_rate.status
		            : VIR_DOMAIN_DIRTYRATE_UNSTARTED;
		virDomainObjEndAPI(&vm);
		g_usleep(1000);
	}
	if (status == VIR_DOMAIN_DIRTYRATE_MEASURED)
		return 0;
	virReportError(VIR_ERR_OPERATION_FAILED, "%s", "nothing came of it");
	return -1;
}

static int do_reset(void)
{
	return lifecycle_reset(dom, 0);
}

static int do_nmi(void)
{
	return lifecycle_inject_nmi(dom, 0);
}

static int do_abort(void)
{
	return lifecycle_abort_job(dom);
}

static int do_action(void)
{
	return lifecycle_set_action(dom, VIR_DOMAIN_LIFECYCLE_POWEROFF, VIR_DOMAIN_LIFECYCLE_ACTION_PRESERVE,
	                            VIR_DOMAIN_AFFECT_LIVE);
}

static int do_rename(void)
{
	return meta_rename(dom, "two", 0);
}

/* The other host. It says nothing of what becomes of the guest, as libvirt's own driver does. */
static void *hear_guest(void *data)
{
	int listener = GPOINTER_TO_INT(data), fd = accept(listener, NULL, NULL);
	char got[sizeof(STREAM)] = "";
	size_t have = 0;
	ssize_t n;

	while (fd >= 0 && have < strlen(STREAM) && (n = read(fd, got + have, strlen(STREAM) - have)) > 0)
		have += (size_t)n;
	if (fd >= 0)
		close(fd);
	return GINT_TO_POINTER(STREQ(got, STREAM));
}

static int perform(const char *uri)
{
	const unsigned int flags = VIR_MIGRATE_CHANGE_PROTECTION | VIR_MIGRATE_UNSAFE;
	g_autofree char *cookie = NULL;
	g_autofree char *out = NULL;
	g_autofree char *xml = NULL;
	virTypedParameterPtr params = NULL;
	int length = 0, count = 0, max = 0, ret;
	virErrorPtr saved;

	xml = migrate_begin(dom, NULL, 0, &cookie, &length, flags);
	if (!xml)
		return -1;
	ignore_value(virTypedParamsAddString(&params, &count, &max, VIR_MIGRATE_PARAM_URI, uri));
	ret = migrate_perform(dom, NULL, params, count, NULL, 0, &out, &length, flags);
	virTypedParamsFree(params, count);
	virErrorPreserveLast(&saved);
	if (migrate_confirm(dom, NULL, 0, NULL, 0, flags, ret < 0) < 0 && ret == 0)
		return -1;
	virErrorRestore(&saved);
	return ret;
}

static bool arrived; /* at the other host */

/* As virsh does it, with a destination that takes whatever comes. */
static int do_migrate(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), ret;
	socklen_t length = sizeof(at);
	g_autofree char *uri = NULL;
	GThread *thread;

	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&at, &length))
		abort();
	uri = g_strdup_printf("tcp://127.0.0.1:%u", ntohs(at.sin_port));
	thread = g_thread_new("destination", hear_guest, GINT_TO_POINTER(listener));
	ret = perform(uri);
	/* All may be sent before it is accepted: then it is heard yet. */
	if (ret)
		shutdown(listener, SHUT_RDWR);
	arrived = GPOINTER_TO_INT(g_thread_join(thread));
	close(listener);
	return ret;
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

static bool is_limited(const struct guest *g, const struct guest *before G_GNUC_UNUSED)
{
	return g->exists && g->limited;
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

/* It was saved, besides a save that was under way, and is not here any more. */
static bool has_left(const struct guest *g, const struct guest *before)
{
	return g->saves == before->saves + 1 + before->saving && !g->exists && !g->known;
}

static bool is_saved(const struct guest *g, const struct guest *before)
{
	return has_left(g, before) && savefile_is_complete(save_path);
}

static bool is_managed_saved(const struct guest *g, const struct guest *before)
{
	g_autofree char *file = g_build_filename(xylem->save_dir, "one.save", NULL);

	return has_left(g, before) && savefile_is_complete(file);
}

static bool is_migrated(const struct guest *g, const struct guest *before)
{
	return has_left(g, before) && arrived;
}

static bool is_dumped(const struct guest *g, const struct guest *before)
{
	g_autofree char *text = NULL;

	return g->dumps == before->dumps + 1 && g_file_get_contents(core_path, &text, NULL, NULL) &&
	       STREQ(text, CORE);
}

static bool is_counted(const struct guest *g, const struct guest *before)
{
	return g->counts == before->counts + 1;
}

static bool is_reset(const struct guest *g, const struct guest *before)
{
	return g->lives == before->lives + 1 ||
	       (g->exists && !g->dying && g->shutdown && g->reason == XYL_SHUTDOWN_REBOOT);
}

/* By its kernel: of one that runs, or will when it is not paused any more. */
static bool is_sent_nmi(const struct guest *g, const struct guest *before G_GNUC_UNUSED)
{
	return g->exists && !g->dying && !g->shutdown && g->nmis == (1u << g->vcpus) - 1;
}

/* Its save, or its start. */
static bool is_aborted(const struct guest *g, const struct guest *before)
{
	return before->saving ? g->cancelled : before->known && !before->exists && is_destroyed(g, before);
}

static bool is_kept_off(const struct guest *g, const struct guest *before G_GNUC_UNUSED)
{
	return g->exists && g->kept_off;
}

static bool is_renamed(const struct guest *g G_GNUC_UNUSED, const struct guest *before G_GNUC_UNUSED)
{
	g_autofree char *one = g_build_filename(xylem->config_dir, "one.xml", NULL);
	g_autofree char *two = g_build_filename(xylem->config_dir, "two.xml", NULL);

	return !g_file_test(one, G_FILE_TEST_EXISTS) && g_file_test(two, G_FILE_TEST_EXISTS);
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

/* ---- states ---- */

enum state { OFF, BUILDING, RUNNING, PAUSED, SAVING, STOPPING, CRASHED, BETWEEN, DYING, AWAY, HUNG, STATES };

static const char *const state_names[STATES] = { "off",
	                                         "being built",
	                                         "running",
	                                         "paused",
	                                         "being saved",
	                                         "shut down, not yet taken down",
	                                         "crashed and preserved",
	                                         "between death and rebuild",
	                                         "dying, held by dom0",
	                                         "running, xylemd restarting",
	                                         "running, xylemd hung" };

#define IN(state) (1u << (state))
#define EACH      (IN(STATES) - 1)
#define STEADY    (IN(RUNNING) | IN(PAUSED))
/* What waits for the domain that is about to be there. */
#define LIVE (STEADY | IN(BUILDING) | IN(BETWEEN))

static const struct {
	const char *name;
	int (*run)(void);
	bool (*so)(const struct guest *now, const struct guest *before);
	unsigned int good; /* the states in which it has to succeed */
	bool reads;        /* at once */
} calls[] = {
	{ "start", do_start, is_started, IN(OFF), false },
	{ "create", do_create, is_started, IN(OFF), false },
	{ "destroy", do_destroy, is_destroyed, EACH & ~(IN(OFF) | IN(DYING)), false },
	{ "shutdown", do_shutdown, is_asked_off, STEADY, false },
	{ "reboot", do_reboot, is_asked_reboot, STEADY, false },
	{ "suspend", do_suspend, is_paused, LIVE, false },
	{ "resume", do_resume, is_resumed, STEADY, false },
	{ "setvcpus", do_vcpus, is_vcpus, LIVE | IN(HUNG), false },
	{ "setmem", do_memory, is_memory, LIVE | IN(HUNG), false },
	{ "schedinfo", do_scheduler, is_scheduled, LIVE | IN(HUNG), false },
	{ "vcpupin", do_pin, is_pinned, LIVE | IN(HUNG), false },
	{ "attach", do_attach, is_attached, LIVE | IN(HUNG), false },
	{ "detach", do_detach, is_detached, LIVE | IN(HUNG), false },
	{ "blkdeviotune", do_limit, is_limited, LIVE | IN(HUNG), false },
	{ "link down", do_link, is_link_down, LIVE | IN(HUNG), false },
	{ "set-lifecycle-action", do_action, is_kept_off, LIVE | IN(HUNG), false },
	{ "save", do_save, is_saved, LIVE | IN(HUNG), false },
	{ "managedsave", do_managed_save, is_managed_saved, LIVE | IN(HUNG), false },
	{ "migrate", do_migrate, is_migrated, LIVE | IN(HUNG), false },
	{ "restore", do_restore, is_started, IN(OFF), false },
	{ "dump", do_dump, is_dumped, STEADY | IN(BUILDING) | IN(STOPPING) | IN(CRASHED), false },
	{ "domdirtyrate-calc", do_count, is_counted, LIVE | IN(HUNG), false },
	{ "reset", do_reset, is_reset, STEADY | IN(SAVING) | IN(AWAY) | IN(HUNG), false },
	{ "inject-nmi", do_nmi, is_sent_nmi, STEADY | IN(AWAY) | IN(HUNG), false },
	{ "domjobabort", do_abort, is_aborted, IN(BUILDING) | IN(SAVING), false },
	{ "rename", do_rename, is_renamed, IN(OFF), false },
	{ "undefine", do_undefine, is_undefined, EACH, false },
	{ "dominfo", do_info, is_told, EACH, true },
	{ "domstate", do_state, is_told, EACH, true },
	{ "statistics", do_stats, is_any, EACH, true },
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

static struct caller helper; /* that has the guest in its state */

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

/* The call waits in xylemd. */
static void hold(bool *gate, const char *call)
{
	bool there = false;

	g_mutex_lock(&lock);
	*gate = true;
	g_mutex_unlock(&lock);
	begin(&helper, call);
	while (!there) {
		g_usleep(1000);
		g_mutex_lock(&lock);
		there = waiting;
		g_mutex_unlock(&lock);
	}
}

static void reach(enum state state)
{
	if (state == OFF)
		return;
	if (state == BUILDING) {
		hold(&hold_build, "start");
		return;
	}
	must(lifecycle_create_flags(dom, state == PAUSED ? VIR_DOMAIN_START_PAUSED : 0), "start");
	switch (state) {
	case SAVING:
		hold(&hold_save, "save");
		break;
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
	hold_build = hold_save = held = away = hung = false;
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
	if (state == BUILDING || state == SAVING) {
		virThreadJoin(&helper.thread);
		g_free(helper.error);
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
	g_autofree char *xml = g_strdup_printf(XML, on_crash, image);
	gint64 until = g_get_monotonic_time() + WAIT_US;

	virObjectUnref(dom);
	/* libvirt refuses a name that is just about to go. */
	while (!(dom = define_xml(conn, xml)) && virGetLastErrorCode() == VIR_ERR_OPERATION_FAILED &&
	       strstr(virGetLastErrorMessage(), "already being removed") && g_get_monotonic_time() < until)
		g_usleep(2000);
	must(dom ? 0 : -1, "define");
}

static void clear(void)
{
	g_autofree char *managed = g_build_filename(xylem->save_dir, "one.save", NULL);

	if (define_is_active(dom) == 1)
		must(lifecycle_destroy(dom), "destroy");
	played_heard();
	must(agrees() ? 0 : -1, "the guest is gone");
	if (is_renamed(&guest, &guest))
		must(meta_rename(dom, "one", 0), "rename");
	if (g_file_test(managed, G_FILE_TEST_EXISTS))
		must(define_remove_save(dom, 0), "the managed save goes");
	arrived = false;
	redefine("preserve");
	g_unlink(save_path);
	g_unlink(core_path);
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

	if (calls[call].run == do_limit) {
		image = IMAGE;
		redefine("preserve");
	}
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
	word = true_word(&c) && (c.good || !(calls[call].good & IN(state))) &&
	       (!calls[call].reads || at_once);
	same = agrees();
	tap_ok(word && same, name);
	printf("# %s%s%s%s\n",
	       at_once ? "at once: " : "later: ", c.good ? "done" : "refused: ", c.good ? "" : c.error,
	       c.so ? "; it is so" : "");
	if (!same)
		printf("# the driver does not know what the guest is\n");
	g_free(c.error);
	image = "";
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
	save_path = g_build_filename(dir, "file.save", NULL);
	image_path = g_build_filename(dir, "file.image", NULL);
	core_path = g_build_filename(dir, "file.core", NULL);
	return played_setup(dir) && events_start() == 0;
}

/* A saved guest, as do_restore() finds it. */
static void make_image(void)
{
	g_autofree char *xml = g_strdup_printf(XML, "preserve", image);
	int fd = savefile_create(image_path, xml, false);

	if (fd < 0 || write(fd, STREAM, strlen(STREAM)) < 0 || savefile_complete(image_path, fd, false) < 0)
		abort();
	close(fd);
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
	make_image();
	redefine("preserve");
	for (state = 0; state < STATES; state++) {
		for (call = 0; call < G_N_ELEMENTS(calls); call++)
			test_call(state, call);
	}
	test_resumed_by_others();
	test_hooks();
	return tap_end() || system(remove) ? 1 : 0;
}
