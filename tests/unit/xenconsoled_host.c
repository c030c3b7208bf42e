/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenconsoled's consoles on a hypervisor and a store that the test plays: a guest that writes or kicks without end, and
 * clients that ask for a terminal after its xenconsoled has gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <pty.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../libxenctrl/common/daemon.h"
#include "../../libxenctrl/common/events.h"
#include "../../libxenctrl/xenconsoled/console.h"
#include "../lib/tap.h"

#define GUESTS 3 /* domids 1 to 3; the port of a guest is its domid */

/* ---- the hypervisor ------------------------------------------------------------------------------ */

static struct guest {
	struct xencons_interface *page;
	bool pending, masked;
	bool floods, kicks; /* fills its ring, or fires its event, whenever it can */
	unsigned int looks, taken;
} guests[GUESTS + 1];

void daemon_log(int priority, const char *fmt, ...)
{
	va_list ap;

	(void)priority;
	va_start(ap, fmt);
	printf("# ");
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
}

int xyl_evtchn_pending(struct xyl_evtchn *e)
{
	(void)e;
	for (int i = 1; i <= GUESTS; i++) {
		if (guests[i].pending && !guests[i].masked) {
			guests[i].pending = false;
			guests[i].masked = true;
			guests[i].looks++;
			return i;
		}
	}
	errno = EAGAIN;
	return -1;
}

int xyl_evtchn_unmask(struct xyl_evtchn *e, uint32_t port)
{
	(void)e;
	guests[port].masked = false;
	guests[port].pending |= guests[port].kicks;
	return 0;
}

int xyl_evtchn_notify(struct xyl_evtchn *e, uint32_t port)
{
	struct guest *g = &guests[port];

	(void)e;
	if (g->floods) {
		g->taken += sizeof(g->page->out) - (g->page->out_prod - g->page->out_cons);
		g->page->out_prod = g->page->out_cons + sizeof(g->page->out);
		g->pending = true;
	}
	return 0;
}

int xyl_evtchn_bind_interdomain(struct xyl_evtchn *e, uint32_t domid, uint32_t port)
{
	(void)e, (void)port;
	guests[domid].masked = false;
	return (int)domid;
}

int xyl_evtchn_unbind(struct xyl_evtchn *e, uint32_t port)
{
	(void)e, (void)port;
	return 0;
}

void *xyl_gnt_map(struct xyl_gnt *g, uint32_t domid, const uint32_t *refs, uint32_t n, int prot)
{
	(void)g, (void)refs, (void)n, (void)prot;
	return guests[domid].page;
}

int xyl_gnt_unmap(struct xyl_gnt *g, void *address, uint32_t n)
{
	(void)g, (void)address, (void)n;
	return 0;
}

void *xyl_foreign_map(struct xyl *x, uint32_t domid, int prot, const uint64_t *gfns, size_t n, int *errors)
{
	(void)x, (void)domid, (void)prot, (void)gfns, (void)n, (void)errors;
	return NULL;
}

int xyl_foreign_unmap(struct xyl *x, void *address, size_t n)
{
	(void)x, (void)address, (void)n;
	return 0;
}

/* ---- the store ----------------------------------------------------------------------------------- */

static GHashTable *nodes;

char *xyl_store_readf(struct xyl_store *s, xyl_tx tx, const char *format, ...)
{
	g_autofree char *path = NULL;
	const char *value;
	va_list ap;

	(void)s, (void)tx;
	va_start(ap, format);
	path = g_strdup_vprintf(format, ap);
	va_end(ap);
	value = g_hash_table_lookup(nodes, path);
	return value ? strdup(value) : NULL;
}

int xyl_store_printf(struct xyl_store *s, xyl_tx tx, const char *path, const char *format, ...)
{
	va_list ap;

	(void)s, (void)tx;
	va_start(ap, format);
	g_hash_table_insert(nodes, g_strdup(path), g_strdup_vprintf(format, ap));
	va_end(ap);
	return 0;
}

static void put(const char *path, const char *value)
{
	g_hash_table_insert(nodes, g_strdup(path), g_strdup(value));
}

int xyl_store_transaction(struct xyl_store *s, int (*body)(struct xyl_store *s, xyl_tx tx, void *data),
                          void *data)
{
	return body(s, 1, data);
}

static xyl_watch_fn *watch_fn;

struct xyl_watch *xyl_store_watch(struct xyl_store *s, const char *path, xyl_watch_fn *fn, void *data)
{
	(void)s, (void)path, (void)data;
	watch_fn = fn;
	return (struct xyl_watch *)&watch_fn;
}

int xyl_store_unwatch(struct xyl_store *s, struct xyl_watch *w)
{
	(void)s, (void)w;
	return 0;
}

/* ---- the daemon ---------------------------------------------------------------------------------- */

static struct daemon d;

static void set_up(void)
{
	nodes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	d.ports = g_hash_table_new(NULL, NULL);
	for (int i = 1; i <= GUESTS; i++) {
		char path[64];

		memset(&guests[i], 0, sizeof(guests[i]));
		guests[i].page = g_malloc0(4096);
		snprintf(path, sizeof(path), "/local/domain/%d/console/ring-ref", i);
		put(path, "77");
		snprintf(path, sizeof(path), "/local/domain/%d/console/port", i);
		put(path, "5");
	}
}

static void tear_down(void)
{
	for (int i = 1; i <= GUESTS; i++)
		g_free(guests[i].page);
	g_hash_table_destroy(d.ports);
	g_hash_table_destroy(nodes);
	if (d.idle)
		g_source_remove(d.idle);
	d.idle = 0;
}

static struct console *open_console(uint32_t domid)
{
	struct xyl_dominfo info = { .domid = domid };
	struct console *c = console_new(&d, &info);

	watch_fn(NULL, c->path, c);
	return c;
}

static bool fired(void *data, int port)
{
	struct console *c = g_hash_table_lookup(d.ports, GINT_TO_POINTER(port));

	(void)data;
	return !c || console_event(c);
}

static void run_for(gint64 us)
{
	gint64 end = g_get_monotonic_time() + us;

	while (g_get_monotonic_time() < end) {
		daemon_events(NULL, fired, NULL);
		console_run(&d);
		if (!g_main_context_iteration(NULL, FALSE) && !d.work.length)
			g_usleep(500);
	}
}

static void say(uint32_t domid, const char *text)
{
	struct xencons_interface *p = guests[domid].page;

	for (; *text; text++)
		p->out[MASK_XENCONS_IDX(p->out_prod++, p->out)] = *text;
	guests[domid].pending = true;
}

/* ---- tests --------------------------------------------------------------------------------------- */

static void test_flood(void)
{
	struct console *c[GUESTS];
	gint64 begun;
	unsigned int most;
	char line[16] = "";
	int tty;

	set_up();
	for (uint32_t i = 0; i < GUESTS; i++)
		c[i] = open_console(i + 1);
	guests[1].floods = guests[2].kicks = true;
	say(1, "flood");
	guests[2].pending = true;
	begun = g_get_monotonic_time();
	run_for(2 * G_USEC_PER_SEC);
	most = LOOKS_AT_ONCE +
	       (unsigned int)((g_get_monotonic_time() - begun) / 1000 + 1) * LOOKS_PER_SECOND / 1000 + 2;
	printf("# looked %u times at one that writes, %u at one that kicks; %u allowed\n", guests[1].looks,
	       guests[2].looks, most);
	tap_ok(guests[1].taken / sizeof(guests[1].page->out) <= most,
	       "a guest that writes without end is slowed down");
	/* While it is held it may kick once for each time. */
	most += (unsigned int)((g_get_monotonic_time() - begun) / HOLD_US) + 1;
	tap_ok(guests[2].looks <= most, "so is one that kicks without end");
	tap_ok(guests[1].taken > sizeof(guests[1].page->out) * LOOKS_AT_ONCE, "and still goes on");
	tty = open(c[2]->tty, O_RDWR | O_NOCTTY | O_NONBLOCK);
	say(3, "hello\n");
	run_for(G_USEC_PER_SEC / 5);
	tap_ok(read(tty, line, sizeof(line) - 1) == 6 && !strcmp(line, "hello\n"),
	       "another guest's line comes through");
	close(tty);
	for (int i = 0; i < GUESTS; i++)
		console_free(c[i]);
	run_for(G_USEC_PER_SEC / 20);
	tear_down();
}

/* The store still names for guest 1 what an earlier xenconsoled had: path is somebody else's terminal by now. */
static void name_stale(const char *path)
{
	put("/local/domain/1/console/tty", path);
	put("/local/domain/1/console/tty-lock", path);
}

static void test_stale_tty(void)
{
	struct console *a, *b;
	char *path, name[64] = "";
	int tty = -1, master, slave;

	set_up();
	a = open_console(1);
	path = xyl_console_tty(NULL, 1, &tty);
	tap_ok(path && tty >= 0 && !strcmp(path, a->tty), "the terminal of a guest's console");
	free(path);
	close(tty);
	console_free(a);
	if (openpty(&master, &slave, NULL, NULL, NULL) || ttyname_r(slave, name, sizeof(name)))
		abort();
	name_stale(name);
	path = xyl_console_tty(NULL, 1, &tty);
	tap_ok(!path && errno == ESTALE, "a terminal that is a shell's by now is not opened");
	close(master);
	close(slave);
	b = open_console(2);
	name_stale(b->tty);
	path = xyl_console_tty(NULL, 1, &tty);
	tap_ok(!path && errno == ESTALE, "nor one that is another guest's");
	a = open_console(1);
	path = xyl_console_tty(NULL, 1, &tty);
	tap_ok(path && !strcmp(path, a->tty), "a new xenconsoled's terminal is");
	free(path);
	close(tty);
	console_free(a);
	console_free(b);
	tear_down();
}

/* What stands in the store may be anything, and of Xen's xenconsoled only so much can be checked. */
static void test_odd_tty(void)
{
	static const char *const odd[] = { "/dev/null", "/dev/pts/", "/dev/pts/../null", "/etc/passwd",
		                           "/dev/pts/1x" };
	int tty = -1, master, slave;
	char *path, name[64] = "";
	bool all = true;

	set_up();
	path = xyl_console_tty(NULL, 1, &tty);
	tap_ok(!path && errno == ENOENT, "there may be none yet");
	for (size_t i = 0; i < G_N_ELEMENTS(odd); i++) {
		put("/local/domain/1/console/tty", odd[i]);
		all &= !xyl_console_tty(NULL, 1, &tty) && errno == ENXIO;
	}
	tap_ok(all, "only pseudo-terminals are opened");
	if (openpty(&master, &slave, NULL, NULL, NULL) || ttyname_r(slave, name, sizeof(name)))
		abort();
	put("/local/domain/1/console/tty", name);
	path = xyl_console_tty(NULL, 1, &tty);
	tap_ok(path && !strcmp(path, name), "the terminal of an xenconsoled that locks nothing");
	free(path);
	close(tty);
	close(master);
	close(slave);
	tear_down();
}

int main(void)
{
	test_flood();
	test_stale_tty();
	test_odd_tty();
	return tap_end();
}
