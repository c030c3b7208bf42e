/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's consoles: which there are, and how often they may be looked at; see console.h. */
#include <stdlib.h>
#include <string.h>

#include "../common/daemon.h"
#include "console.h"

static gboolean hold_over(gpointer data)
{
	struct guest *g = data;

	g->held = 0;
	for (unsigned int i = 0; i < G_N_ELEMENTS(g->consoles); i++) {
		if (!g->consoles[i])
			continue;
		console_unmask(g->consoles[i]);
		console_queue(g->consoles[i]);
	}
	return G_SOURCE_REMOVE;
}

bool guest_may_look(struct guest *g)
{
	int64_t wait_us;

	if (g->held)
		return false;
	if (throttle_take(&g->throttle, g_get_monotonic_time(), &wait_us))
		return true;
	g->held = g_timeout_add((guint)(wait_us / 1000), hold_over, g);
	if (!g->throttled)
		daemon_log(LOG_WARNING, "domain %u: its consoles are busy without end; they are slowed down",
		           g->domid);
	g->throttled = true;
	return false;
}

static unsigned int number(const char *name)
{
	guint64 id;

	return g_ascii_string_to_unsigned(name, 10, 1, GUEST_CONSOLES_MAX, &id, NULL) ? (unsigned int)id : 0;
}

/* Brings the consoles that are devices and their backends in the store together. */
static void find_devices(struct guest *g)
{
	bool there[G_N_ELEMENTS(g->consoles)] = { true };
	size_t count = 0;
	char **names = xyl_store_directory(g->d->store, XYL_TX_NONE, g->backends, &count);

	for (size_t i = 0; names && i < count; i++)
		there[number(names[i])] = true;
	free(names);
	for (unsigned int i = 1; i < G_N_ELEMENTS(g->consoles); i++) {
		if (!there[i])
			console_free(g_steal_pointer(&g->consoles[i]));
		else if (!g->consoles[i])
			g->consoles[i] = device_new(g, i);
	}
}

/* A guest cannot write there. */
static void on_backends_changed(struct xyl_store *s, const char *path, void *data)
{
	struct guest *g = data;
	size_t base = strlen(g->backends);
	g_autofree char *id = NULL;
	const char *leaf;

	(void)s;
	if (strncmp(path, g->backends, base))
		return;
	leaf = path[base] ? strchr(path + base + 1, '/') : NULL;
	if (leaf && strcmp(leaf, "/state"))
		return;
	find_devices(g);
	if (!leaf)
		return;
	id = g_strndup(path + base + 1, (gsize)(leaf - path) - base - 1);
	if (number(id) && g->consoles[number(id)])
		device_restate(g->consoles[number(id)]);
}

struct guest *guest_new(struct daemon *d, const struct xyl_dominfo *info)
{
	struct guest *g = g_new0(struct guest, 1);

	g->d = d;
	g->domid = info->domid;
	memcpy(g->uuid, info->uuid, sizeof(g->uuid));
	throttle_init(&g->throttle, g_get_monotonic_time());
	g->backends = g_strdup_printf("/local/domain/0/backend/console/%u", g->domid);
	g->consoles[0] = console_new(g, 0);
	g->watch = xyl_store_watch(d->store, g->backends, on_backends_changed, g);
	if (!g->watch)
		daemon_log(LOG_ERR, "domain %u: cannot watch %s: %s", g->domid, g->backends, xyl_error());
	return g;
}

void guest_free(struct guest *g)
{
	if (g->watch)
		xyl_store_unwatch(g->d->store, g->watch);
	for (unsigned int i = 0; i < G_N_ELEMENTS(g->consoles); i++)
		console_free(g->consoles[i]);
	if (g->held)
		g_source_remove(g->held);
	g_free(g->backends);
	g_free(g);
}
