/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's consoles: which there are, and how often they may be looked at; see console.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "../common/daemon.h"
#include "console.h"
#include "device.h"

unsigned int guest_retry_ms = 1000;

static void find_devices(struct guest *g);

/* ---- a store that fails -------------------------------------------------------------------------- */

static gboolean on_retry(gpointer data)
{
	struct guest *g = data;

	g->retry = 0;
	find_devices(g);
	console_attach(g->consoles[0]);
	for (unsigned int i = 0; i < G_N_ELEMENTS(g->consoles); i++) {
		struct console *c = g->consoles[i];

		if (!c || !c->end)
			continue;
		console_announce(c);
		if (!i)
			continue;
		device_restate(c);
		c->front_changed = c->watch;
		console_queue(c);
	}
	return G_SOURCE_REMOVE;
}

void guest_look_again(struct guest *g)
{
	g->unread = true;
	if (!g->retry)
		g->retry = g_timeout_add(guest_retry_ms, on_retry, g);
}

char *guest_read(struct guest *g, xyl_tx tx, const char *format, ...)
{
	g_autofree char *path = NULL;
	va_list ap;
	char *text;

	va_start(ap, format);
	path = g_strdup_vprintf(format, ap);
	va_end(ap);
	text = xyl_store_readf(g->d->store, tx, "%s", path);
	/* EAGAIN: a transaction that is to begin again. */
	if (text || errno == ENOENT || errno == EAGAIN)
		return text;
	if (!g->store_complained)
		daemon_log(LOG_WARNING, "domain %u: %s", g->domid, xyl_error());
	g->store_complained = true;
	guest_look_again(g);
	return NULL;
}

/* ---- how often it is looked at ------------------------------------------------------------------- */

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

/* ---- which there are ----------------------------------------------------------------------------- */

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

	if (!names && errno != ENOENT) {
		guest_look_again(g);
		return;
	}
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
	if (g->retry)
		g_source_remove(g->retry);
	g_free(g->backends);
	g_free(g);
}
