/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What statetest.c plays: one guest, as the hypervisor and an xylemd have it, and hook scripts. */
#ifndef STATEPLAY_H
#define STATEPLAY_H

#include "xylem.h"

#include <stdlib.h>
#include <unistd.h>
#include <xenctrl.h>

#include "domain.h"
#include "monitor.h"
#include "played.h"
#include "virerror.h"
#include "virhook.h"
#include "viruuid.h"

#define UUID   "5f2b7e10-0000-4000-8000-000000000001"
#define STREAM "a guest's memory"
#define CORE   "a core file"

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
	bool disk_a, disk_b, link_down, limited;
	bool saving;        /* its save is under way */
	bool cancelled;     /* that was given up */
	bool kept_off;      /* its policy for a poweroff is "preserve" */
	unsigned int nmis;  /* the vcpus that got one, as bits */
	unsigned int lives; /* how often it was built */
	unsigned int saves, dumps, counts;
} guest; /* guarded by lock */

static bool hold_build; /* Create waits; guarded by lock */
static bool hold_save;  /* Save waits; guarded by lock */
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
		if (guest.exists && guest.shutdown && guest.reason == XYL_SHUTDOWN_SUSPEND)
			return fail(VIR_ERR_OPERATION_INVALID, "it is saved, and kept");
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
	guest.saving = guest.cancelled = false;
	guest.asked = guest.nmis = 0;
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
		guest.disk_b = guest.link_down = guest.limited = guest.kept_off = false;
		built(paused);
		*domid = guest.domid;
	}
	g_mutex_unlock(&lock);
	return ret;
}

int monitor_restore(struct monitor *m, GVariant *config, bool paused, int stream, unsigned int *domid,
                    GVariant **devices)
{
	char text[sizeof(STREAM)] = "";

	if (read(stream, text, strlen(STREAM)) == (ssize_t)strlen(STREAM) && STREQ(text, STREAM))
		return monitor_create(m, config, paused, domid, devices);
	g_variant_unref(g_variant_ref_sink(config));
	return fail(VIR_ERR_OPERATION_FAILED, "the stream is damaged");
}

/* lock is held. The guest suspends, and is kept so. */
static int suspend(void)
{
	int ret = live();

	if (ret < 0)
		return ret;
	guest.saving = true;
	guest.cancelled = false;
	while (hold_save && guest.known && !guest.cancelled)
		wait_changed();
	guest.saving = false;
	if (!guest.known)
		return fail(VIR_ERR_OPERATION_INVALID, "it was destroyed meanwhile");
	if (guest.cancelled)
		return fail(VIR_ERR_OPERATION_ABORTED, "it was cancelled");
	guest.shutdown = true;
	guest.reason = XYL_SHUTDOWN_SUSPEND;
	guest.saves++;
	return 0;
}

int monitor_save(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, int stream,
                 unsigned int how G_GNUC_UNUSED)
{
	int ret;

	g_mutex_lock(&lock);
	ret = suspend();
	g_mutex_unlock(&lock);
	if (ret == 0 && write(stream, STREAM, strlen(STREAM)) != (ssize_t)strlen(STREAM))
		abort();
	return ret;
}

int monitor_dirty_rate(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                       unsigned long long duration_us G_GNUC_UNUSED, unsigned long long *pages,
                       unsigned long long *elapsed_us)
{
	*pages = 256;
	*elapsed_us = 1000000;
	LIVE_CALL(guest.counts++);
}

int monitor_resume(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
{
	int ret;

	g_mutex_lock(&lock);
	ret = reachable();
	if (ret == 0 && (!guest.exists || !guest.shutdown || guest.reason != XYL_SHUTDOWN_SUSPEND))
		ret = fail(VIR_ERR_OPERATION_INVALID, "it is not suspended");
	if (ret == 0)
		guest.shutdown = false;
	g_mutex_unlock(&lock);
	return ret;
}

int monitor_cancel(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
{
	int ret;

	g_mutex_lock(&lock);
	ret = reachable();
	if (ret == 0 && !guest.saving)
		ret = fail(VIR_ERR_OPERATION_INVALID, "there is nothing to cancel");
	if (ret == 0)
		guest.cancelled = true;
	g_cond_broadcast(&changed);
	g_mutex_unlock(&lock);
	return ret;
}

/* Also of a guest that has stopped and is kept. */
int monitor_dump(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, int file,
                 bool run_on G_GNUC_UNUSED)
{
	int ret;

	g_mutex_lock(&lock);
	ret = reachable();
	if (ret == 0 && (!guest.exists || guest.dying))
		ret = fail(VIR_ERR_OPERATION_INVALID, "it has no domain at present");
	if (ret == 0)
		guest.dumps++;
	g_mutex_unlock(&lock);
	if (ret == 0 && write(file, CORE, strlen(CORE)) != (ssize_t)strlen(CORE))
		abort();
	return ret;
}

int monitor_set_policy(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, const char *event,
                       const char *action)
{
	bool keep = STREQ(event, "poweroff") && STREQ(action, "preserve");

	LIVE_CALL(guest.kept_off = keep);
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

int monitor_set_disk_limits(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                            const char *vdev G_GNUC_UNUSED, GVariant *limits)
{
	g_variant_unref(g_variant_ref_sink(limits));
	LIVE_CALL(guest.limited = true);
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

int xyl_domain_shutdown(struct xyl *x G_GNUC_UNUSED, uint32_t domid, enum xyl_shutdown reason)
{
	bool found;

	g_mutex_lock(&lock);
	found = guest.exists && guest.domid == domid;
	if (found && !guest.shutdown && !guest.dying) {
		guest.shutdown = true;
		guest.reason = reason;
	}
	g_mutex_unlock(&lock);
	errno = found ? 0 : ESRCH;
	return found ? 0 : -1;
}

int xyl_vcpu_nmi(struct xyl *x G_GNUC_UNUSED, uint32_t domid, uint32_t vcpu)
{
	bool found;

	g_mutex_lock(&lock);
	found = guest.exists && guest.domid == domid;
	if (found)
		guest.nmis |= 1u << vcpu;
	g_mutex_unlock(&lock);
	errno = found ? 0 : ESRCH;
	return found ? 0 : -1;
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

int xyl_vcpu_info(struct xyl *x G_GNUC_UNUSED, uint32_t domid, uint32_t vcpu, struct xyl_vcpuinfo *info)
{
	struct xyl_dominfo domain;

	memset(info, 0, sizeof(*info));
	if (xyl_domain_info(x, domid, &domain) < 0)
		return -1;
	info->online = vcpu < domain.online_vcpus;
	return 0;
}

int xyl_vcpu_get_affinity(struct xyl *x, uint32_t domid, uint32_t vcpu G_GNUC_UNUSED, uint8_t *hard,
                          uint8_t *soft G_GNUC_UNUSED, size_t bytes)
{
	struct xyl_dominfo domain;

	memset(hard, 0xff, bytes);
	return xyl_domain_info(x, domid, &domain);
}

int xyl_memory_get_nodes(struct xyl *x, uint32_t domid, uint8_t *map, size_t bytes)
{
	struct xyl_dominfo domain;

	memset(map, 0xff, bytes);
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

#endif
