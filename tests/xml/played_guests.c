/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See played_guests.h. */
#include "played_guests.h"

#include "../../libxenctrl/src/guestlimits.h"
#include "locks.h"
#include "monitor.h"
#include "virerror.h"
#include "viruuid.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include <xenctrl.h>

struct guest guests[GUESTS] = { { .uuid = UUID1 }, { .uuid = UUID2 } };
unsigned int last_domid;
struct played_failures fails;
GMutex save_gate;
static gint cancelled;

int played_fail(const char *why)
{
	virReportError(VIR_ERR_OPERATION_FAILED, "%s", why);
	return -1;
}

static struct guest *find(const char *uuid)
{
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(guests); i++) {
		if (STREQ(uuid, guests[i].uuid))
			return &guests[i];
	}
	abort();
}

static struct guest *build(GVariant *config, bool paused, unsigned int *domid, GVariant **devices)
{
	const char *uuid, *opaque;
	struct guest *g;

	if (!g_variant_lookup(config, "uuid", "&s", &uuid) ||
	    !g_variant_lookup(config, "opaque", "&s", &opaque))
		abort();
	g = find(uuid);
	g->exists = true;
	g->suspended = false;
	g->paused = paused;
	g_free(g->opaque);
	g->opaque = g_strdup(opaque);
	*domid = g->domid = ++last_domid;
	*devices = NULL;
	return g;
}

int monitor_create(struct monitor *m G_GNUC_UNUSED, GVariant *config, bool paused, unsigned int *domid,
                   GVariant **devices)
{
	g_variant_ref_sink(config);
	build(config, paused, domid, devices);
	g_variant_unref(config);
	return 0;
}

/* To the end of the stream, or until Cancel. */
static bool read_stream(int fd)
{
	char data[sizeof(STREAM)] = "";
	size_t have = 0;
	ssize_t got = 0;

	while (have < strlen(STREAM) && !g_atomic_int_get(&cancelled)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, 5) <= 0)
			continue;
		got = read(fd, data + have, strlen(STREAM) - have);
		if (got <= 0)
			return false;
		have += (size_t)got;
	}
	return STREQ(data, STREAM);
}

int monitor_restore(struct monitor *m G_GNUC_UNUSED, GVariant *config, bool paused, int stream,
                    unsigned int *domid, GVariant **devices)
{
	struct guest *g;

	g_atomic_int_set(&cancelled, 0);
	g_variant_ref_sink(config);
	if (!read_stream(stream) || fails.restore) {
		g_variant_unref(config);
		return played_fail("the stream is damaged");
	}
	g = build(config, paused, domid, devices);
	g->restores++;
	g_variant_unref(config);
	return 0;
}

int monitor_save(struct monitor *m G_GNUC_UNUSED, const char *handle, int stream, unsigned int how)
{
	struct guest *g = find(handle);
	ssize_t wrote;

	g_atomic_int_set(&cancelled, 0);
	g->saves++;
	g->live = how & MONITOR_SAVE_LIVE;
	g->zeros_by_type = how & MONITOR_SAVE_ZEROS_BY_TYPE;
	g->saving = true;
	g_mutex_lock(&save_gate);
	g_mutex_unlock(&save_gate);
	g->saving = false;
	if (g_atomic_int_get(&cancelled)) {
		virReportError(VIR_ERR_OPERATION_ABORTED, "%s", "it was cancelled");
		return -1;
	}
	if (fails.save)
		return played_fail("the guest does not answer");
	g->suspended = true;
	wrote = write(stream, STREAM, strlen(STREAM));
	if (fails.save_late || wrote != (ssize_t)strlen(STREAM))
		return played_fail("the stream cannot be written");
	return 0;
}

int monitor_set_migration(struct monitor *m G_GNUC_UNUSED, const char *handle,
                          const struct monitor_limits *limits)
{
	struct guest *g = find(handle);

	g->bandwidth = limits->bandwidth;
	g->downtime_us = limits->max_downtime_us;
	g->throttle_initial = limits->throttle_initial;
	g->throttle_increment = limits->throttle_increment;
	return 0;
}

int monitor_resume(struct monitor *m G_GNUC_UNUSED, const char *handle)
{
	struct guest *g = find(handle);

	if (fails.away)
		return played_fail("xylemd is not reachable");
	if (fails.resume)
		return played_fail("the hypervisor does not resume it");
	g->resumes++;
	g->suspended = false;
	return 0;
}

int monitor_cancel(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
{
	g_atomic_int_set(&cancelled, 1);
	return 0;
}

int monitor_destroy(struct monitor *m G_GNUC_UNUSED, const char *handle)
{
	struct guest *g = find(handle);

	if (fails.destroy)
		return played_fail("xylemd is not reachable");
	g->destroys++;
	g->exists = g->suspended = false;
	return 0;
}

int monitor_pause(struct monitor *m G_GNUC_UNUSED, const char *handle, bool pause)
{
	if (fails.pause)
		return played_fail("it cannot be unpaused");
	find(handle)->paused = pause;
	return 0;
}

int monitor_set_opaque(struct monitor *m G_GNUC_UNUSED, const char *handle, const char *text)
{
	struct guest *g = find(handle);

	if (strlen(text) > GUEST_OPAQUE_MAX)
		return played_fail("opaque is too long");
	if (fails.opaque)
		return played_fail("xylemd's disk is full");
	g_free(g->opaque);
	g->opaque = g_strdup(text);
	return 0;
}

bool monitor_connected(struct monitor *m G_GNUC_UNUSED)
{
	return !fails.away;
}

GVariant *monitor_get(struct monitor *m G_GNUC_UNUSED, const char *handle, bool *known)
{
	struct guest *g = find(handle);
	GVariantDict dict, config;

	if (known)
		*known = !fails.away && !fails.destroy;
	if (!g->exists || fails.away)
		return NULL;
	g_variant_dict_init(&config, NULL);
	g_variant_dict_insert(&config, "opaque", "s", g->opaque);
	g_variant_dict_init(&dict, NULL);
	g_variant_dict_insert(&dict, "owner", "s", "xylemd");
	g_variant_dict_insert_value(&dict, "config", g_variant_dict_end(&config));
	if (g->saving)
		g_variant_dict_insert_value(
		        &dict, "job",
		        g_variant_new_parsed("{'what': <'save'>, 'pages_total': <uint64 100>,"
		                             " 'pages_done': <uint64 40>, 'bytes_done': <uint64 200000>,"
		                             " 'round': <uint32 2>, 'dirty_pages': <uint64 60>,"
		                             " 'rate': <uint64 1000000>, 'throttle': <uint32 30>, "
		                             "'downtime_us': <uint64 7000>}"));
	return g_variant_ref_sink(g_variant_dict_end(&dict));
}

static void describe(const struct guest *g, struct xyl_dominfo *info)
{
	memset(info, 0, sizeof(*info));
	info->domid = g->domid;
	info->paused = g->paused;
	info->shutdown = g->suspended;
	info->shutdown_reason = g->suspended ? XYL_SHUTDOWN_SUSPEND : -1;
	info->online_vcpus = info->max_vcpus = 1;
	info->memory_pages = info->max_memory_pages = 16384;
	ignore_value(virUUIDParse(g->uuid, info->uuid));
}

int xyl_domain_destroy(struct xyl *x G_GNUC_UNUSED, uint32_t domid)
{
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(guests); i++) {
		if (guests[i].domid != domid)
			continue;
		guests[i].exists = guests[i].suspended = false;
		guests[i].destroys++;
	}
	return 0;
}

int xyl_domain_info(struct xyl *x G_GNUC_UNUSED, uint32_t domid, struct xyl_dominfo *info)
{
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(guests); i++) {
		if (guests[i].exists && guests[i].domid == domid) {
			describe(&guests[i], info);
			return 0;
		}
	}
	errno = ESRCH;
	return -1;
}

int xyl_domain_list_all(struct xyl *x G_GNUC_UNUSED, struct xyl_dominfo **infos)
{
	int count = 0;
	size_t i;

	*infos = calloc(G_N_ELEMENTS(guests), sizeof(**infos));
	for (i = 0; i < G_N_ELEMENTS(guests); i++) {
		if (guests[i].exists)
			describe(&guests[i], &(*infos)[count++]);
	}
	return count;
}

int xyl_host_info(struct xyl *x G_GNUC_UNUSED, struct xyl_hostinfo *info)
{
	memset(info, 0, sizeof(*info));
	info->max_cpu_id = 1;
	return 0;
}

/* ---- in the place of locks.c ---- */

int locks_held;
unsigned int locks_takes;
void (*on_drop)(void);

struct disk_locks *locks_new(const virDomainDef *def G_GNUC_UNUSED, virStorageSource *only G_GNUC_UNUSED)
{
	return fails.no_manager ? NULL : g_malloc0(1);
}

bool locks_needed(int domid G_GNUC_UNUSED)
{
	return fails.served;
}

bool locks_image_served(const virDomainDef *def G_GNUC_UNUSED)
{
	return false;
}

void locks_free(struct disk_locks *locks)
{
	g_free(locks);
}

int locks_take(struct disk_locks *locks G_GNUC_UNUSED)
{
	if (fails.lock)
		return played_fail("its disk is locked");
	locks_takes++;
	locks_held++;
	return 0;
}

void locks_drop(struct disk_locks *locks G_GNUC_UNUSED)
{
	if (on_drop)
		on_drop();
	locks_held--;
}
