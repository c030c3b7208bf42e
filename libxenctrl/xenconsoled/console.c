/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One console: its ring, its event channel and what it says; see console.h. */
#include "console.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <xen/grant_table.h>

#include "../common/daemon.h"
#include "device.h"
#include "guest.h"

#define LOG_WAITING (64 * 1024)

/* ---- terminal ------------------------------------------------------------------------------------ */

/* Within a transaction, because somebody may be removing the domain's nodes: nothing may stay behind them. */
static int announce(struct xyl_store *s, xyl_tx tx, void *data)
{
	struct console *c = data;
	bool locked;
	const char *name = end_tty(c->end, &locked), *wanted_lock = locked ? name : "";
	char *there = guest_read(c->guest, tx, "%s/%s", c->path, c->id ? "frontend" : "ring-ref");
	int ret = there || errno == ENOENT ? 0 : -1;
	/* What cannot be read is written. */
	char *tty = xyl_store_readf(s, tx, "%s/tty", c->path);
	char *lock = xyl_store_readf(s, tx, "%s/tty-lock", c->path);
	g_autofree char *path = g_strdup_printf("%s/tty", c->path);
	g_autofree char *lock_path = g_strdup_printf("%s/tty-lock", c->path);

	if (there && (!lock || strcmp(lock, wanted_lock)))
		ret = xyl_store_printf(s, tx, lock_path, "%s", wanted_lock);
	if (there && !ret && (!tty || strcmp(tty, name)))
		ret = xyl_store_printf(s, tx, path, "%s", name);
	free(lock);
	free(there);
	free(tty);
	return ret;
}

void console_announce(struct console *c)
{
	bool locked;

	if (!end_tty(c->end, &locked) || !xyl_store_transaction(c->guest->d->store, announce, c))
		return;
	daemon_log(LOG_ERR, "%s: cannot write %s/tty: %s", c->what, c->path, xyl_error());
	guest_look_again(c->guest);
}

/* ---- input --------------------------------------------------------------------------------------- */

static void notify(struct console *c)
{
	if (xyl_evtchn_notify(c->guest->d->evtchn, (uint32_t)c->port))
		daemon_log(LOG_DEBUG, "%s: cannot notify: %s", c->what, xyl_error());
}

static size_t input_room(void *data)
{
	struct console *c = data;

	return c->port ? consring_room(&c->ring) : 0;
}

static void input(void *data, const char *bytes, size_t n)
{
	struct console *c = data;

	consring_write(&c->ring, bytes, n);
	notify(c);
}

static void output_taken(void *data)
{
	console_queue(data);
}

static void end_stands(void *data)
{
	struct console *c = data;

	/* Not before it is whole. */
	if (c->patience)
		device_offer(c);
}

struct end *console_end_new(struct console *c, const struct end_conf *conf)
{
	static const struct end_owner owner = { input_room, input, output_taken, end_stands };
	struct daemon *d = c->guest->d;

	return end_new(conf, c->guest->domid, c->what, d->writer, &d->limits, &owner, c);
}

/* ---- output -------------------------------------------------------------------------------------- */

/* One turn: one ring's worth at most. Returns whether there may be more. */
static bool output_turn(struct console *c)
{
	char bytes[sizeof(c->ring.page->out)];
	int n;

	/* It stays with the guest until the client has read, and the end says so. */
	if (!end_takes(c->end))
		return false;
	n = consring_read(&c->ring, bytes, sizeof(bytes));
	if (n < 0) {
		if (!c->ring_complained)
			daemon_log(LOG_WARNING, "%s: impossible index in its ring; output is lost", c->what);
		c->ring_complained = true;
	}
	if (!n)
		return false;
	notify(c);
	if (n < 0)
		return false;
	log_put(c->log, bytes, (size_t)n);
	end_put(c->end, bytes, (size_t)n);
	return true;
}

static gboolean on_idle(gpointer data)
{
	struct daemon *d = data;

	d->idle = 0;
	console_run(d);
	return G_SOURCE_REMOVE;
}

void console_queue(struct console *c)
{
	struct daemon *d = c->guest->d;

	if (c->queued || (!c->port && !c->front_changed))
		return;
	c->queued = true;
	g_queue_push_tail_link(&d->work, &c->link);
	if (!d->idle)
		d->idle = g_idle_add_full(G_PRIORITY_DEFAULT, on_idle, d, NULL);
}

void console_unmask(struct console *c)
{
	if (c->masked && c->port && xyl_evtchn_unmask(c->guest->d->evtchn, (uint32_t)c->port))
		daemon_log(LOG_ERR, "%s: cannot unmask its event channel: %s", c->what, xyl_error());
	c->masked = false;
}

/* Returns whether there may be more. */
static bool look(struct console *c)
{
	if (c->front_changed) {
		c->front_changed = false;
		device_look(c);
		return c->port;
	}
	return c->port && output_turn(c);
}

void console_run(struct daemon *d)
{
	for (guint count = d->work.length; count; count--) {
		struct console *c = d->work.head->data;

		g_queue_unlink(&d->work, &c->link);
		c->queued = false;
		if ((c->paid || guest_may_look(c->guest)) && look(c))
			console_queue(c);
		c->paid = false;
	}
}

bool console_event(struct console *c)
{
	end_input_wanted(c->end);
	/* Each event costs, also one with nothing behind it. */
	c->paid = guest_may_look(c->guest);
	if (c->paid)
		console_queue(c);
	c->masked = !c->paid;
	return c->paid;
}

/* ---- ring and channel ---------------------------------------------------------------------------- */

void console_adopt(struct console *c, struct xencons_interface *page, bool granted)
{
	consring_adopt(&c->ring, page);
	c->granted = granted;
}

static void unbind(struct console *c)
{
	if (!c->port)
		return;
	g_hash_table_remove(c->guest->d->ports, GINT_TO_POINTER(c->port));
	xyl_evtchn_unbind(c->guest->d->evtchn, (uint32_t)c->port);
	c->port = 0;
	c->masked = false;
}

bool console_bind(struct console *c, uint32_t remote_port)
{
	struct guest *g = c->guest;
	int port;

	unbind(c);
	port = xyl_evtchn_bind_interdomain(g->d->evtchn, g->domid, remote_port);
	if (port < 0)
		return false;
	c->port = port;
	c->remote_port = remote_port;
	g_hash_table_insert(g->d->ports, GINT_TO_POINTER(port), c);
	return true;
}

void console_detach(struct console *c)
{
	struct daemon *d = c->guest->d;

	/* The last words of a guest that died. */
	for (int i = 0; c->port && i < 2 && output_turn(c); i++)
		;
	if (c->queued)
		g_queue_unlink(&d->work, &c->link);
	c->queued = false;
	unbind(c);
	if (c->ring.page && c->granted)
		xyl_gnt_unmap(d->gnt, c->ring.page, 1);
	else if (c->ring.page)
		xyl_foreign_unmap(d->xyl, c->ring.page, 1);
	c->ring.page = NULL;
}

/* ---- number 0 ------------------------------------------------------------------------------------ */

static void log_open(struct console *c, const char *name)
{
	struct daemon *d = c->guest->d;
	g_autofree char *file = NULL;

	if (!d->log_dir)
		return;
	if (name && *name)
		file = log_path(d->log_dir, name);
	else
		file = g_strdup_printf("%s/guest-domain-%u.log", d->log_dir, c->guest->domid);
	c->log = log_new(d->writer, file, &d->limits, LOG_WAITING);
}

static bool read_number(struct console *c, const char *leaf, uint64_t *out)
{
	char *text = guest_read(c->guest, XYL_TX_NONE, "%s/%s", c->path, leaf);
	bool good = text && g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, out, NULL);

	free(text);
	return good;
}

/* Whether somebody else, such as QEMU, serves this console. */
static bool is_foreign(struct console *c)
{
	char *type = guest_read(c->guest, XYL_TX_NONE, "%s/type", c->path);
	bool foreign = type && strcmp(type, "xenconsoled");

	free(type);
	return foreign;
}

static bool map_ring(struct console *c, uint64_t gfn)
{
	struct guest *g = c->guest;
	uint32_t ref = GNTTAB_RESERVED_CONSOLE;
	void *page = xyl_gnt_map(g->d->gnt, g->domid, &ref, 1, PROT_READ | PROT_WRITE);
	bool granted = page != NULL;

	if (!page)
		page = xyl_foreign_map(g->d->xyl, g->domid, PROT_READ | PROT_WRITE, &gfn, 1, NULL);
	if (!page) {
		daemon_log(LOG_ERR, "%s: cannot map its ring: %s", c->what, xyl_error());
		return false;
	}
	console_adopt(c, page, granted);
	return true;
}

static bool make_terminal(struct console *c, uint64_t gfn)
{
	static const struct end_conf terminal = { .kind = END_PTY };
	char *name = guest_read(c->guest, XYL_TX_NONE, "/local/domain/%u/name", c->guest->domid);
	bool made = !c->guest->unread && map_ring(c, gfn);

	if (made)
		c->end = console_end_new(c, &terminal);
	if (made && !end_error(c->end))
		log_open(c, name);
	free(name);
	return made;
}

/* Once the store says where; again when the port has changed. */
void console_attach(struct console *c)
{
	uint64_t gfn, port;

	c->guest->unread = false;
	if (!read_number(c, "ring-ref", &gfn) || !read_number(c, "port", &port) || is_foreign(c) ||
	    c->guest->unread)
		return;
	if (c->port && c->remote_port == port)
		return;
	if (!c->ring.page && !make_terminal(c, gfn))
		return;
	if (end_error(c->end))
		return;
	if (!console_bind(c, (uint32_t)port)) {
		daemon_log(LOG_ERR, "%s: cannot bind event channel %" G_GUINT64_FORMAT ": %s", c->what, port,
		           xyl_error());
		return;
	}
	console_announce(c);
	console_event(c);
}

static void on_console_changed(struct xyl_store *s, const char *path, void *data)
{
	struct console *c = data;
	const char *leaf = strrchr(path, '/');
	/* At first, when the nodes go, and when the store has come back, perhaps without our node. */
	bool whole = !strcmp(path, c->path), attached = c->port;

	(void)s;
	if (whole || !strcmp(leaf, "/port") || !strcmp(leaf, "/ring-ref") || !strcmp(leaf, "/type"))
		console_attach(c);
	if (whole && attached)
		console_announce(c);
}

struct console *console_new(struct guest *g, unsigned int id)
{
	struct console *c = g_new0(struct console, 1);

	c->guest = g;
	c->id = id;
	c->link.data = c;
	if (id) {
		c->what = g_strdup_printf("domain %u, console %u", g->domid, id);
		c->path = g_strdup_printf("%s/%u", g->backends, id);
		return c;
	}
	c->what = g_strdup_printf("domain %u, its console", g->domid);
	c->path = g_strdup_printf("/local/domain/%u/console", g->domid);
	c->watch = xyl_store_watch(g->d->store, c->path, on_console_changed, c);
	if (!c->watch)
		daemon_log(LOG_ERR, "%s: cannot watch %s: %s", c->what, c->path, xyl_error());
	return c;
}

void console_free(struct console *c)
{
	if (!c)
		return;
	if (c->watch)
		xyl_store_unwatch(c->guest->d->store, c->watch);
	c->front_changed = false;
	if (c->patience)
		g_source_remove(c->patience);
	console_detach(c);
	end_free(c->end);
	log_end(c->log);
	g_free(c->front);
	g_free(c->path);
	g_free(c->what);
	g_free(c);
}
