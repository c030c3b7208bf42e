/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Consoles that are devices: the backend's half of their handshake (xen/io/xenbus.h).
 *
 *	backend                          frontend
 *	1 -> 2 (InitWait)                1
 *	2                                grants its ring, allocates its channel, 3 (Initialised)
 *	maps, binds, 4 (Connected)       4
 *	lets go, 5 or 6, as the frontend 5 (Closing), 6 (Closed)
 *	2                                1: another driver, or the guest's kernel anew
 *
 * A kernel that resumes, or that was loaded over another one, comes with another ring and channel and 3 at once.
 *
 * What the backend's own nodes say is dom0's. Of the frontend's only state, ring-ref and port are read, and only when the
 * state was written; a guest pays a look for each time. A ring or channel that cannot be had is one that nobody serves,
 * until the guest closes its side and comes again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "device.h"
#include "../common/daemon.h"
#include "console.h"
#include "guest.h"

/* How long a console waits for an address that somebody else has: a domain that makes room for its guest's next one. */
#define PATIENCE_MS 3000

static char *back_text(struct console *c, const char *leaf)
{
	return guest_read(c->guest, XYL_TX_NONE, "%s/%s", c->path, leaf);
}

static bool front_number(struct console *c, const char *leaf, uint64_t max, uint64_t *out)
{
	char *text = guest_read(c->guest, XYL_TX_NONE, "%s/%s", c->front, leaf);
	bool good = text && g_ascii_string_to_unsigned(text, 10, 0, max, out, NULL);

	free(text);
	return good;
}

/* ---- the backend's state ------------------------------------------------------------------------- */

/* Nothing may stay behind nodes that are being removed. */
static int write_state(struct xyl_store *s, xyl_tx tx, void *data)
{
	struct console *c = data;
	char *state = guest_read(c->guest, tx, "%s/state", c->path);
	g_autofree char *path = g_strdup_printf("%s/state", c->path);
	g_autofree char *wanted = g_strdup_printf("%d", (int)c->state);
	int ret = state || errno == ENOENT ? 0 : -1;

	if (state && strcmp(state, wanted))
		ret = xyl_store_printf(s, tx, path, "%s", wanted);
	free(state);
	return ret;
}

void device_restate(struct console *c)
{
	if (c->state == XenbusStateUnknown || !xyl_store_transaction(c->guest->d->store, write_state, c))
		return;
	daemon_log(LOG_ERR, "%s: cannot write its state: %s", c->what, xyl_error());
	guest_look_again(c->guest);
}

static void set_state(struct console *c, enum xenbus_state state)
{
	if (c->state == state)
		return;
	c->state = state;
	device_restate(c);
}

/* ---- the frontend -------------------------------------------------------------------------------- */

struct where {
	uint64_t ring_ref, port;
};

static bool read_where(struct console *c, struct where *w)
{
	return front_number(c, "ring-ref", UINT32_MAX, &w->ring_ref) &&
	       front_number(c, "port", UINT32_MAX, &w->port);
}

static bool attach(struct console *c)
{
	struct guest *g = c->guest;
	struct where w;
	const char *reason = "its frontend names no ring-ref or no port";
	bool read = read_where(c, &w);
	void *page;

	if (g->unread)
		return false;
	if (read) {
		c->ring_ref = (uint32_t)w.ring_ref;
		page = xyl_gnt_map(g->d->gnt, g->domid, &c->ring_ref, 1, PROT_READ | PROT_WRITE);
		if (page) {
			console_adopt(c, page, true);
			if (console_bind(c, (uint32_t)w.port))
				return true;
		}
		reason = xyl_error();
	}
	if (!c->attach_complained)
		daemon_log(LOG_WARNING, "%s: %s", c->what, reason);
	c->attach_complained = true;
	console_detach(c);
	return false;
}

/* Whether the frontend has begun anew without having closed. */
static bool has_moved(struct console *c, uint64_t front)
{
	struct where w;

	return c->port && front == XenbusStateInitialised && read_where(c, &w) &&
	       (w.ring_ref != c->ring_ref || w.port != c->remote_port);
}

static bool is_connecting(uint64_t state)
{
	return state == XenbusStateInitialised || state == XenbusStateConnected;
}

void device_look(struct console *c)
{
	struct guest *g = c->guest;
	uint64_t front;

	g->unread = false;
	if (!front_number(c, "state", XenbusStateClosed, &front))
		front = XenbusStateUnknown;
	if (g->unread)
		return;
	if (is_connecting(front)) {
		bool moved = has_moved(c, front);

		if (g->unread)
			return;
		if (moved)
			console_detach(c);
		else if (c->state != XenbusStateInitWait && c->state != XenbusStateUnknown)
			return; /* it is attached, or failed to be and shall close first */
		if (!attach(c)) {
			if (g->unread)
				return;
			set_state(c, XenbusStateClosing);
			return;
		}
		set_state(c, XenbusStateConnected);
		console_event(c);
		return;
	}
	console_detach(c);
	if (front == XenbusStateClosing)
		set_state(c, XenbusStateClosing);
	else if (front == XenbusStateInitialising || front == XenbusStateInitWait)
		set_state(c, XenbusStateInitWait);
	else
		set_state(c, XenbusStateClosed);
}

static void on_front_changed(struct xyl_store *s, const char *path, void *data)
{
	struct console *c = data;

	(void)s, (void)path;
	c->front_changed = true;
	console_queue(c);
}

/* ---- coming -------------------------------------------------------------------------------------- */

/* Its end, as the backend's nodes have it; false: they are wrong. */
static bool make_end(struct console *c)
{
	static const struct {
		const char *connection;
		enum end_kind kind;
	} kinds[] = { { "pty", END_PTY }, { "file", END_FILE }, { "socket", END_UNIX }, { "tcp", END_TCP } };
	char *connection = back_text(c, "connection"), *mode = back_text(c, "mode"),
	     *path = back_text(c, "path"), *host = back_text(c, "host"), *service = back_text(c, "service"),
	     *name = back_text(c, "name");
	struct end_conf conf = { .path = path,
		                 .host = host,
		                 .service = service,
		                 .listens = !mode || strcmp(mode, "connect"),
		                 .reliable = name != NULL };
	unsigned int i;
	bool good;

	for (i = 0; i < G_N_ELEMENTS(kinds) && connection && strcmp(kinds[i].connection, connection); i++)
		;
	good = !c->guest->unread && connection && i < G_N_ELEMENTS(kinds);
	if (good) {
		conf.kind = kinds[i].kind;
		good = conf.kind == END_PTY || (conf.kind == END_TCP ? host && service : path != NULL);
	}
	if (good)
		c->end = console_end_new(c, &conf);
	else if (!c->guest->unread)
		daemon_log(LOG_ERR, "%s: %s says not where it ends", c->what, c->path);
	free(connection);
	free(mode);
	free(path);
	free(host);
	free(service);
	free(name);
	return good;
}

/* Whoever started the guest is told by these two, while it waits for the backend. */
static void give_up(struct console *c)
{
	g_autofree char *path =
	        g_strdup_printf("/local/domain/0/error/backend/console/%u/%u/error", c->guest->domid, c->id);

	if (xyl_store_printf(c->guest->d->store, XYL_TX_NONE, path, "%s", end_error(c->end)))
		daemon_log(LOG_ERR, "%s: cannot write %s: %s", c->what, path, xyl_error());
	set_state(c, XenbusStateClosed);
}

static void watch_front(struct console *c)
{
	g_autofree char *path = g_strconcat(c->front, "/state", NULL);

	c->watch = xyl_store_watch(c->guest->d->store, path, on_front_changed, c);
	if (!c->watch)
		daemon_log(LOG_ERR, "%s: cannot watch %s: %s", c->what, path, xyl_error());
}

void device_offer(struct console *c)
{
	if (c->patience)
		g_source_remove(c->patience);
	c->patience = 0;
	set_state(c, XenbusStateInitWait);
	watch_front(c);
}

static gboolean on_patience_over(gpointer data)
{
	struct console *c = data;

	c->patience = 0;
	give_up(c);
	return G_SOURCE_REMOVE;
}

static bool is_ours(struct console *c)
{
	char *type = back_text(c, "type");
	bool ours = type && !strcmp(type, "xenconsoled");

	free(type);
	return ours;
}

struct console *device_new(struct guest *g, unsigned int id)
{
	struct console *c = console_new(g, id);
	char *state;
	bool is_new;

	g->unread = false;
	state = back_text(c, "state");
	is_new = state && !strcmp(state, "1");
	c->front = g_strdup_printf("/local/domain/%u/device/console/%u", g->domid, id);
	if (!state || !is_ours(c) || !make_end(c)) {
		free(state);
		console_free(c);
		return NULL;
	}
	free(state);
	/* What an earlier daemon wrote holds until the frontend has been looked at. */
	c->state = XenbusStateUnknown;
	console_announce(c);
	/* Only a guest that is being started has somebody who waits; a later daemon's socket is tried again. */
	if (!is_new)
		watch_front(c);
	else if (!end_error(c->end))
		device_offer(c);
	else if (end_is_taken(c->end))
		c->patience = g_timeout_add(PATIENCE_MS, on_patience_over, c);
	else
		give_up(c);
	return c;
}
