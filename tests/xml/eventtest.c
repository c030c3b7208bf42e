/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a client that knows guests by events only believes, against the truth: a guest, an xylemd and a
 * hypervisor that the test plays, 1,000 steps at random from a fixed seed. After each step the client must
 * believe what is so, and no event may come in a state in which it cannot.
 */

#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <xenctrl.h>

#include "../lib/tap.h"
#include "define.h"
#include "domain_event.h"
#include "events.h"
#include "lifecycle.h"
#include "monitor.h"
#include "played.h"
#include "stats.h"
#include "virerror.h"
#include "virthread.h"
#include "viruuid.h"

#define STEPS     1000
#define SETTLE_US (20 * G_USEC_PER_SEC)
#define UUID      "5f2b7e10-0000-4000-8000-000000000001"
#define XML                                                      \
	"<domain type='xen'><name>one</name><uuid>" UUID         \
	"</uuid><memory unit='KiB'>65536</memory><vcpu>1</vcpu>" \
	"<os><type>linux</type><kernel>/k</kernel></os><on_crash>%s</on_crash></domain>"

enum belief { OFF, RUNNING, PAUSED, CRASHED, ENDED };

static const char *const belief_names[] = { "off", "running", "paused", "crashed", "shut down" };

static GMutex lock;
static enum belief belief;   /* guarded by lock */
static unsigned int reboots; /* events; guarded by lock */
static unsigned int stops;   /* events of Crashed and Shutdown; guarded by lock */
static char *impossible;     /* guarded by lock */
static GString *history;     /* of the step; guarded by lock */
static unsigned int event_count;

/* The guest as the hypervisor has it; guarded by lock. */
static struct {
	bool exists, paused, shutdown, dying;
	unsigned int domid, reason;
} guest;

static void (*meanwhile)(void); /* what happens between a list of all domains and its use */
static virDomainPtr dom;

/* ---- libvirt's events, seen as they are made ---- */

static void believe(enum belief next, unsigned int from, const char *name)
{
	g_mutex_lock(&lock);
	g_string_append_printf(history, " %s", name);
	if (!(from & 1u << belief) && !impossible)
		impossible = g_strdup_printf("%s while %s", name, belief_names[belief]);
	belief = next;
	stops += next == CRASHED || next == ENDED;
	event_count++;
	g_mutex_unlock(&lock);
}

virObjectEvent *virDomainEventLifecycleNewFromObj(virDomainObj *obj G_GNUC_UNUSED, int type,
                                                  int detail G_GNUC_UNUSED)
{
	switch (type) {
	case VIR_DOMAIN_EVENT_STARTED:
		/* A rebuilt guest starts from where the client believes it to be. */
		believe(RUNNING, 1u << OFF | 1u << CRASHED | 1u << ENDED | 1u << PAUSED, "Started");
		break;
	case VIR_DOMAIN_EVENT_SUSPENDED:
		believe(PAUSED, 1u << RUNNING, "Suspended");
		break;
	case VIR_DOMAIN_EVENT_RESUMED:
		believe(RUNNING, 1u << PAUSED, "Resumed");
		break;
	case VIR_DOMAIN_EVENT_CRASHED:
		believe(CRASHED, 1u << RUNNING | 1u << PAUSED, "Crashed");
		break;
	case VIR_DOMAIN_EVENT_SHUTDOWN:
		believe(ENDED, 1u << RUNNING | 1u << PAUSED, "Shutdown");
		break;
	case VIR_DOMAIN_EVENT_STOPPED:
		believe(OFF, 1u << RUNNING | 1u << PAUSED | 1u << CRASHED | 1u << ENDED, "Stopped");
		break;
	default:
		break;
	}
	return NULL;
}

virObjectEvent *virDomainEventRebootNewFromObj(virDomainObj *obj G_GNUC_UNUSED)
{
	g_mutex_lock(&lock);
	g_string_append(history, " Reboot");
	reboots++;
	g_mutex_unlock(&lock);
	return NULL;
}

/* ---- xylemd ---- */

bool monitor_connected(struct monitor *m G_GNUC_UNUSED)
{
	return true;
}

GVariant *monitor_get(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, bool *known)
{
	if (known)
		*known = false;
	return NULL;
}

static unsigned int built(bool paused)
{
	unsigned int domid;

	g_mutex_lock(&lock);
	domid = guest.domid + 1;
	memset(&guest, 0, sizeof(guest));
	guest.exists = true;
	guest.paused = paused;
	guest.domid = domid;
	g_mutex_unlock(&lock);
	return domid;
}

int monitor_create(struct monitor *m G_GNUC_UNUSED, GVariant *config, bool paused, unsigned int *domid,
                   GVariant **devices)
{
	*devices = NULL;
	g_variant_unref(g_variant_ref_sink(config));
	*domid = built(paused);
	played_say(UUID, *domid, "created", "");
	played_say(UUID, *domid, "started", "");
	return 0;
}

/* Taken down in two steps, between which everybody may look. */
static void take_down(const char *detail)
{
	unsigned int domid = guest.domid;

	g_mutex_lock(&lock);
	guest.dying = true;
	g_mutex_unlock(&lock);
	played_say(UUID, domid, "destroyed", detail);
	played_heard();
	ignore_value(define_is_active(dom));
	played_reconcile();
	g_mutex_lock(&lock);
	guest.exists = false;
	g_mutex_unlock(&lock);
	played_say(UUID, domid, "died", detail);
}

int monitor_destroy(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
{
	take_down("request");
	return 0;
}

int monitor_pause(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, bool pause)
{
	g_mutex_lock(&lock);
	guest.paused = pause;
	g_mutex_unlock(&lock);
	return 0;
}

/* ---- the hypervisor and the store ---- */

static void fill(struct xyl_dominfo *info)
{
	memset(info, 0, sizeof(*info));
	info->domid = guest.domid;
	info->paused = guest.paused;
	info->shutdown = guest.shutdown;
	info->shutdown_reason = guest.reason;
	info->dying = guest.dying;
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
	void (*then)(void) = g_atomic_pointer_get(&meanwhile);
	int count;

	*infos = calloc(1, sizeof(**infos));
	g_mutex_lock(&lock);
	count = guest.exists;
	if (count)
		fill(*infos);
	g_mutex_unlock(&lock);
	if (then && g_atomic_pointer_compare_and_exchange(&meanwhile, then, NULL))
		then();
	return count;
}

int xyl_host_info(struct xyl *x G_GNUC_UNUSED, struct xyl_hostinfo *info)
{
	memset(info, 0, sizeof(*info));
	return 0;
}

/* ---- steps ---- */

/* xylemd is at times so quick to take it down that nobody else has seen it stand still. */
static void guest_ends(unsigned int reason, const char *event, const char *detail, bool stays)
{
	static unsigned int turn;

	g_mutex_lock(&lock);
	guest.shutdown = true;
	guest.paused = false;
	guest.reason = reason;
	guest.dying = !stays && turn++ % 2;
	g_mutex_unlock(&lock);
	played_say(UUID, guest.domid, event, detail);
	played_heard();
	played_reconcile();
}

static void rebuild(const char *why)
{
	take_down("restart");
	played_heard();
	played_reconcile();
	played_say(UUID, built(false), "rebooted", why);
}

static void step_start(void)
{
	ignore_value(lifecycle_create_flags(dom, 0));
}

static void step_start_paused(void)
{
	ignore_value(lifecycle_create_flags(dom, VIR_DOMAIN_START_PAUSED));
}

static void step_destroy(void)
{
	ignore_value(lifecycle_destroy(dom));
}

static void step_suspend(void)
{
	ignore_value(lifecycle_suspend(dom));
}

static void step_resume(void)
{
	ignore_value(lifecycle_resume(dom));
}

static void step_poweroff(void)
{
	guest_ends(XYL_SHUTDOWN_POWEROFF, "shutdown", "poweroff", false);
	take_down("policy");
}

static void step_reboot(void)
{
	guest_ends(XYL_SHUTDOWN_REBOOT, "shutdown", "reboot", false);
	rebuild("reboot");
}

static const char *on_crash = "destroy";

/* Its ended domain gets another UUID and stays. */
static void keep_and_rebuild(void)
{
	unsigned int domid = guest.domid;

	g_mutex_lock(&lock);
	guest.exists = false;
	g_mutex_unlock(&lock);
	played_reconcile();
	played_say(UUID, domid, "kept", "one-20261129T0400Z");
	played_heard();
	played_reconcile();
	played_say(UUID, built(false), "rebooted", "crash");
}

static void step_crash(void)
{
	guest_ends(XYL_SHUTDOWN_CRASH, "crashed", "crash", STREQ(on_crash, "preserve"));
	if (STREQ(on_crash, "destroy"))
		take_down("policy");
	else if (STREQ(on_crash, "restart"))
		rebuild("crash");
	else if (STREQ(on_crash, "rename-restart"))
		keep_and_rebuild();
}

static void step_killed_by_others(void)
{
	take_down("other");
}

static void step_rebuild_fails(void)
{
	guest_ends(XYL_SHUTDOWN_REBOOT, "shutdown", "reboot", false);
	take_down("restart");
	played_heard();
	played_say(UUID, 0, "died", "failed");
}

static void step_domstats(void)
{
	virDomainStatsRecordPtr *records = NULL;

	/* Another client acts between the list and its use. */
	g_atomic_pointer_set(&meanwhile, guest.paused ? step_resume : step_suspend);
	if (stats_all(conn, NULL, 0, VIR_DOMAIN_STATS_STATE, &records, 0) > 0)
		virDomainStatsRecordListFree(records);
}

static void step_redefine(void)
{
	static const char *const actions[] = { "destroy", "restart", "preserve", "rename-restart" };
	static unsigned int turn;
	g_autofree char *xml = NULL;
	virDomainPtr again;

	/* What is defined counts from the next start on. */
	if (guest.exists)
		return;
	on_crash = actions[turn++ % G_N_ELEMENTS(actions)];
	xml = g_strdup_printf(XML, on_crash);
	again = define_xml(conn, xml);
	virObjectUnref(again);
}

static const struct {
	const char *name;
	void (*run)(void);
	bool off, runs, paused, ended; /* states of the guest in which it can be */
	unsigned int reboots, stops;   /* events that must come */
} steps[] = {
	{ "start", step_start, true, true, true, true, 0, 0 },
	{ "start --paused", step_start_paused, true, true, true, true, 0, 0 },
	{ "destroy", step_destroy, true, true, true, true, 0, 0 },
	{ "suspend", step_suspend, true, true, true, true, 0, 0 },
	{ "resume", step_resume, true, true, true, true, 0, 0 },
	{ "the guest powers off", step_poweroff, false, true, false, false, 0, 1 },
	{ "the guest reboots", step_reboot, false, true, false, false, 1, 0 },
	{ "the guest crashes", step_crash, false, true, false, false, 0, 1 },
	{ "others kill it", step_killed_by_others, false, true, true, true, 0, 0 },
	{ "a reboot fails", step_rebuild_fails, false, true, false, false, 0, 0 },
	{ "domstats", step_domstats, true, true, true, true, 0, 0 },
	{ "define", step_redefine, true, true, true, true, 0, 0 },
};

static enum belief truth(void)
{
	if (!guest.exists)
		return OFF;
	if (guest.shutdown)
		return guest.reason == XYL_SHUTDOWN_CRASH ? CRASHED : ENDED;
	return guest.paused ? PAUSED : RUNNING;
}

static bool possible(size_t step)
{
	switch (truth()) {
	case OFF:
		return steps[step].off;
	case RUNNING:
		return steps[step].runs;
	case PAUSED:
		return steps[step].paused;
	default:
		return steps[step].ended;
	}
}

/* True when the client believes the truth, and keeps to it. */
static bool settled(void)
{
	gint64 until = g_get_monotonic_time() + SETTLE_US;
	bool same = false;

	while (!same && g_get_monotonic_time() < until) {
		played_heard();
		g_mutex_lock(&lock);
		same = belief == truth();
		g_mutex_unlock(&lock);
		/* libvirt's own word on it is the same. */
		same = same && define_is_active(dom) == (truth() != OFF);
		if (!same)
			g_usleep(500);
	}
	return same;
}

static bool walk(void)
{
	g_autoptr(GRand) random = g_rand_new_with_seed(20);
	enum belief before = OFF;
	unsigned int i, rebooted, stopped;
	size_t n = 0;

	for (i = 0; i < STEPS; i++) {
		do {
			n = (size_t)g_rand_int_range(random, 0, G_N_ELEMENTS(steps));
		} while (!possible(n));
		before = truth();
		rebooted = reboots;
		stopped = stops;
		g_string_truncate(history, 0);
		steps[n].run();
		if (!settled() || impossible || stops - stopped != steps[n].stops ||
		    reboots - rebooted !=
		            (STREQ(steps[n].name, "the guest crashes") && strstr(on_crash, "restart")
		                     ? 1
		                     : steps[n].reboots))
			break;
		/* A reboot is one for a client that asks for it, and nothing else has happened. */
		if (STREQ(steps[n].name, "the guest reboots") && STRNEQ(history->str, " Reboot"))
			break;
	}
	if (i == STEPS)
		return true;
	printf("# step %u, '%s' of a guest that was %s: events%s; it is %s, and a client believes %s%s%s\n",
	       i, steps[n].name, belief_names[before], history->str, belief_names[truth()],
	       belief_names[belief], impossible ? "; impossible: " : "", impossible ? impossible : "");
	return false;
}

static bool setup(const char *dir)
{
	history = g_string_new(NULL);
	guest.domid = 1;
	return played_setup(dir) && events_start() == 0;
}

int main(void)
{
	g_autofree char *dir = g_dir_make_tmp("xylem-events-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);
	g_autofree char *xml = g_strdup_printf(XML, "destroy");
	bool good;

	if (!dir || !setup(dir) || !(dom = define_xml(conn, xml))) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		return 1;
	}
	good = walk();
	tap_ok(good, "in %d steps, with %u events, a client that knows a guest by events knows its state",
	       STEPS, event_count);
	return tap_end() || system(remove) ? 1 : 0;
}
