/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See console.h. */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include <xen/grant_table.h>

#include "../common/daemon.h"

#define BACKLOG_BYTES (64 * 1024)
#define LOG_WAITING   (64 * 1024)

static void input_wanted(struct console *c);

/* ---- terminal ------------------------------------------------------------------------------------ */

static gboolean on_writable(gint fd, GIOCondition condition, gpointer data);

/* Gives the terminal what it takes; the rest waits in the backlog until somebody reads. */
static void terminal_flush(struct console *c)
{
	while (c->backlog.used) {
		size_t n;
		const char *bytes = backlog_peek(&c->backlog, &n);
		ssize_t done = write(c->master, bytes, n);

		if (done <= 0)
			break;
		backlog_take(&c->backlog, done);
	}
	if (c->backlog.used && !c->out_source)
		c->out_source = g_unix_fd_add(c->master, G_IO_OUT, on_writable, c);
}

static gboolean on_writable(gint fd, GIOCondition condition, gpointer data)
{
	struct console *c = data;

	(void)fd;
	(void)condition;
	c->out_source = 0;
	terminal_flush(c);
	return G_SOURCE_REMOVE;
}

static int terminal_open(struct console *c)
{
	struct termios term;
	char name[64];

	if (openpty(&c->master, &c->slave, NULL, NULL, NULL))
		return errno;
	/* Our own slave stays open, so that the terminal outlives its readers. */
	if (tcgetattr(c->slave, &term) || ttyname_r(c->slave, name, sizeof(name)))
		return errno;
	cfmakeraw(&term);
	if (tcsetattr(c->slave, TCSANOW, &term))
		return errno;
	fcntl(c->master, F_SETFL, O_NONBLOCK);
	fcntl(c->master, F_SETFD, FD_CLOEXEC);
	fcntl(c->slave, F_SETFD, FD_CLOEXEC);
	c->tty = g_strdup(name);
	/* Clients would refuse what says that it is locked and is not. */
	c->locked = !xyl_console_lock(c->slave, c->domid);
	if (!c->locked)
		daemon_log(LOG_WARNING, "%s", xyl_error());
	return 0;
}

/* Within a transaction, because somebody may be removing the domain's nodes: nothing may stay behind them. */
static int announce(struct xyl_store *s, xyl_tx tx, void *data)
{
	struct console *c = data;
	char *ring = xyl_store_readf(s, tx, "%s/ring-ref", c->path);
	char *tty = xyl_store_readf(s, tx, "%s/tty", c->path);
	char *lock = xyl_store_readf(s, tx, "%s/tty-lock", c->path);
	const char *wanted_lock = c->locked ? c->tty : "";
	g_autofree char *path = g_strdup_printf("%s/tty", c->path);
	g_autofree char *lock_path = g_strdup_printf("%s/tty-lock", c->path);
	int ret = 0;

	if (ring && (!lock || strcmp(lock, wanted_lock)))
		ret = xyl_store_printf(s, tx, lock_path, "%s", wanted_lock);
	if (ring && !ret && (!tty || strcmp(tty, c->tty)))
		ret = xyl_store_printf(s, tx, path, "%s", c->tty);
	free(lock);
	free(ring);
	free(tty);
	return ret;
}

static void terminal_announce(struct console *c)
{
	if (xyl_store_transaction(c->d->store, announce, c))
		daemon_log(LOG_ERR, "domain %u: cannot write %s/tty: %s", c->domid, c->path, xyl_error());
}

/* ---- input --------------------------------------------------------------------------------------- */

static void notify(struct console *c)
{
	if (xyl_evtchn_notify(c->d->evtchn, c->port))
		daemon_log(LOG_DEBUG, "domain %u: cannot notify: %s", c->domid, xyl_error());
}

static gboolean on_typed(gint fd, GIOCondition condition, gpointer data)
{
	struct console *c = data;
	char bytes[sizeof(c->ring.page->in)];
	size_t room = consring_room(&c->ring);
	ssize_t n = room ? read(fd, bytes, room) : 0;

	(void)condition;
	if (n > 0) {
		consring_write(&c->ring, bytes, n);
		notify(c);
	}
	if (consring_room(&c->ring))
		return G_SOURCE_CONTINUE;
	/* The guest tells us by its event when it has read. */
	c->in_source = 0;
	return G_SOURCE_REMOVE;
}

/* Listens to the terminal while the guest has room for what is typed. */
static void input_wanted(struct console *c)
{
	if (!c->in_source && consring_room(&c->ring))
		c->in_source = g_unix_fd_add(c->master, G_IO_IN, on_typed, c);
}

/* ---- output -------------------------------------------------------------------------------------- */

/* One turn: one ring's worth at most. Returns whether there may be more. */
static bool output_turn(struct console *c)
{
	char bytes[sizeof(c->ring.page->out)];
	int n = consring_read(&c->ring, bytes, sizeof(bytes));

	if (n < 0) {
		if (!c->ring_complained)
			daemon_log(LOG_WARNING,
			           "domain %u: impossible index in its console ring; output is lost",
			           c->domid);
		c->ring_complained = true;
	}
	if (!n)
		return false;
	notify(c);
	if (n < 0)
		return false;
	log_put(c->log, bytes, n);
	backlog_put(&c->backlog, bytes, n);
	terminal_flush(c);
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
	struct daemon *d = c->d;

	if (c->queued || !c->port)
		return;
	c->queued = true;
	g_queue_push_tail_link(&d->work, &c->link);
	if (!d->idle)
		d->idle = g_idle_add_full(G_PRIORITY_DEFAULT, on_idle, d, NULL);
}

static void unmask(struct console *c)
{
	if (c->masked && c->port > 0 && xyl_evtchn_unmask(c->d->evtchn, (uint32_t)c->port))
		daemon_log(LOG_ERR, "domain %u: cannot unmask its console's event channel: %s", c->domid,
		           xyl_error());
	c->masked = false;
}

static gboolean hold_over(gpointer data)
{
	struct console *c = data;

	c->held = 0;
	unmask(c);
	console_queue(c);
	return G_SOURCE_REMOVE;
}

/* Whether the console may be looked at now; otherwise it is held for a while. */
static bool may_look(struct console *c)
{
	int64_t wait_us;

	if (c->held)
		return false;
	if (throttle_take(&c->throttle, g_get_monotonic_time(), &wait_us))
		return true;
	c->held = g_timeout_add((guint)(wait_us / 1000), hold_over, c);
	if (!c->throttled)
		daemon_log(LOG_WARNING, "domain %u: its console is busy without end; it is slowed down",
		           c->domid);
	c->throttled = true;
	return false;
}

void console_run(struct daemon *d)
{
	for (guint count = d->work.length; count; count--) {
		struct console *c = d->work.head->data;

		g_queue_unlink(&d->work, &c->link);
		c->queued = false;
		if ((c->paid || may_look(c)) && output_turn(c))
			console_queue(c);
		c->paid = false;
	}
}

bool console_event(struct console *c)
{
	input_wanted(c);
	/* Each event costs, also one with nothing behind it. */
	c->paid = may_look(c);
	if (c->paid)
		console_queue(c);
	c->masked = !c->paid;
	return c->paid;
}

/* ---- coming and going ---------------------------------------------------------------------------- */

static void log_open(struct console *c)
{
	struct daemon *d = c->d;
	g_autofree char *file = NULL;
	char *name;

	if (!d->log_dir)
		return;
	name = xyl_store_readf(d->store, XYL_TX_NONE, "/local/domain/%u/name", c->domid);
	if (name && *name)
		file = log_path(d->log_dir, name);
	else
		file = g_strdup_printf("%s/guest-domain-%u.log", d->log_dir, c->domid);
	free(name);
	c->log = log_new(d->writer, file, &d->limits, LOG_WAITING);
}

static bool read_number(struct console *c, const char *leaf, uint64_t *out)
{
	char *text = xyl_store_readf(c->d->store, XYL_TX_NONE, "%s/%s", c->path, leaf);
	bool good = text && g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, out, NULL);

	free(text);
	return good;
}

/* Whether somebody else, such as QEMU, serves this console. */
static bool is_foreign(struct console *c)
{
	char *type = xyl_store_readf(c->d->store, XYL_TX_NONE, "%s/type", c->path);
	bool foreign = type && strcmp(type, "xenconsoled");

	free(type);
	return foreign;
}

static struct xencons_interface *map_ring(struct console *c, uint64_t gfn)
{
	uint32_t ref = GNTTAB_RESERVED_CONSOLE;
	void *page = xyl_gnt_map(c->d->gnt, c->domid, &ref, 1, PROT_READ | PROT_WRITE);

	c->granted = page != NULL;
	if (!page)
		page = xyl_foreign_map(c->d->xyl, c->domid, PROT_READ | PROT_WRITE, &gfn, 1, NULL);
	return page;
}

static void unbind(struct console *c)
{
	if (c->port <= 0)
		return;
	g_hash_table_remove(c->d->ports, GINT_TO_POINTER(c->port));
	xyl_evtchn_unbind(c->d->evtchn, c->port);
	c->port = 0;
	c->masked = false;
}

static bool bind(struct console *c, uint32_t remote_port)
{
	unbind(c);
	c->port = xyl_evtchn_bind_interdomain(c->d->evtchn, c->domid, remote_port);
	if (c->port < 0) {
		daemon_log(LOG_ERR, "domain %u: cannot bind event channel %u: %s", c->domid, remote_port,
		           xyl_error());
		c->port = 0;
		return false;
	}
	c->remote_port = remote_port;
	g_hash_table_insert(c->d->ports, GINT_TO_POINTER(c->port), c);
	return true;
}

/* Attaches once the store says where; again when the port has changed. */
static void try_attach(struct console *c)
{
	uint64_t gfn, port;

	if (!read_number(c, "ring-ref", &gfn) || !read_number(c, "port", &port) || is_foreign(c))
		return;
	if (c->port && c->remote_port == port)
		return;
	if (!c->ring.page) {
		struct xencons_interface *page = map_ring(c, gfn);
		int err;

		if (!page) {
			daemon_log(LOG_ERR, "domain %u: cannot map its console: %s", c->domid, xyl_error());
			return;
		}
		consring_adopt(&c->ring, page);
		err = terminal_open(c);
		if (err) {
			daemon_log(LOG_ERR, "domain %u: no terminal for its console: %s", c->domid,
			           strerror(err));
			return;
		}
		log_open(c);
	}
	if (!c->tty || !bind(c, port))
		return;
	terminal_announce(c);
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
		try_attach(c);
	if (whole && attached)
		terminal_announce(c);
}

struct console *console_new(struct daemon *d, const struct xyl_dominfo *info)
{
	struct console *c = g_new0(struct console, 1);

	c->d = d;
	c->domid = info->domid;
	memcpy(c->uuid, info->uuid, sizeof(c->uuid));
	c->path = g_strdup_printf("/local/domain/%u/console", c->domid);
	c->master = c->slave = -1;
	c->link.data = c;
	throttle_init(&c->throttle, g_get_monotonic_time());
	backlog_init(&c->backlog, BACKLOG_BYTES);
	c->watch = xyl_store_watch(d->store, c->path, on_console_changed, c);
	if (!c->watch)
		daemon_log(LOG_ERR, "domain %u: cannot watch %s: %s", c->domid, c->path, xyl_error());
	return c;
}

void console_free(struct console *c)
{
	if (c->watch)
		xyl_store_unwatch(c->d->store, c->watch);
	/* The last words of a guest that died. */
	for (int i = 0; c->port && i < 2 && output_turn(c); i++)
		;
	if (c->queued)
		g_queue_unlink(&c->d->work, &c->link);
	unbind(c);
	if (c->held)
		g_source_remove(c->held);
	if (c->in_source)
		g_source_remove(c->in_source);
	if (c->out_source)
		g_source_remove(c->out_source);
	if (c->ring.page && c->granted)
		xyl_gnt_unmap(c->d->gnt, c->ring.page, 1);
	else if (c->ring.page)
		xyl_foreign_unmap(c->d->xyl, c->ring.page, 1);
	if (c->master >= 0)
		close(c->master);
	if (c->slave >= 0)
		close(c->slave);
	if (c->backlog.dropped)
		daemon_log(LOG_DEBUG,
		           "domain %u: %" G_GUINT64_FORMAT " bytes of output were not read by anybody",
		           c->domid, c->backlog.dropped);
	log_end(c->log);
	backlog_fini(&c->backlog);
	g_free(c->tty);
	g_free(c->path);
	g_free(c);
}
