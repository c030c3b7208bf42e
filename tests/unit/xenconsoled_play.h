/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hypervisor and the store that xenconsoled's tests play, and its main loop. */
#ifndef XENCONSOLED_PLAY_H
#define XENCONSOLED_PLAY_H

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../libxenctrl/common/daemon.h"
#include "../../libxenctrl/common/events.h"
#include "../../libxenctrl/xenconsoled/console.h"
#include "../../libxenctrl/xenconsoled/guest.h"
#include "../lib/tap.h"

#include <xen/grant_table.h>

#define GUESTS    3 /* domids 1 to 3 */
#define LINE_PORT 50
#define LINE_REF  100
#define LINES     (1 + GUESTS + (GUESTS + 1) * GUEST_CONSOLES_MAX)
/* A console's line; its index is its local port. The guest's port and grant of number id are LINE_PORT and LINE_REF + id. */
#define LINE(domid, id) ((domid) + (GUESTS + 1) * (id))

/* ---- the hypervisor ------------------------------------------------------------------------------ */

static struct line {
	struct xencons_interface *page;
	bool pending, masked, bound;
	bool floods, kicks; /* fills its ring, or fires its event, whenever it can */
	unsigned int looks, taken;
} lines[LINES];

static int mapped;          /* pages */
static unsigned int logged; /* lines of the daemon's */

void daemon_log(int priority, const char *fmt, ...)
{
	va_list ap;

	(void)priority;
	logged++;
	va_start(ap, fmt);
	printf("# ");
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
}

int xyl_evtchn_pending(struct xyl_evtchn *e)
{
	(void)e;
	for (int i = 1; i < LINES; i++) {
		if (lines[i].bound && lines[i].pending && !lines[i].masked) {
			lines[i].pending = false;
			lines[i].masked = true;
			lines[i].looks++;
			return i;
		}
	}
	errno = EAGAIN;
	return -1;
}

int xyl_evtchn_unmask(struct xyl_evtchn *e, uint32_t port)
{
	(void)e;
	lines[port].masked = false;
	lines[port].pending |= lines[port].kicks;
	return 0;
}

int xyl_evtchn_notify(struct xyl_evtchn *e, uint32_t port)
{
	struct line *l = &lines[port];

	(void)e;
	if (l->floods) {
		l->taken += sizeof(l->page->out) - (l->page->out_prod - l->page->out_cons);
		l->page->out_prod = l->page->out_cons + sizeof(l->page->out);
		l->pending = true;
	}
	return 0;
}

/* Any port below those of devices is number 0's. */
int xyl_evtchn_bind_interdomain(struct xyl_evtchn *e, uint32_t domid, uint32_t port)
{
	uint32_t id = port < LINE_PORT ? 0 : port - LINE_PORT, local = LINE(domid, id);

	(void)e;
	if (id > GUEST_CONSOLES_MAX || lines[local].bound) {
		errno = EINVAL;
		return -1;
	}
	lines[local].masked = false;
	lines[local].bound = true;
	return (int)local;
}

int xyl_evtchn_unbind(struct xyl_evtchn *e, uint32_t port)
{
	(void)e;
	lines[port].bound = false;
	return 0;
}

void *xyl_gnt_map(struct xyl_gnt *g, uint32_t domid, const uint32_t *refs, uint32_t n, int prot)
{
	uint32_t id = *refs == GNTTAB_RESERVED_CONSOLE ? 0 : *refs - LINE_REF;

	(void)g, (void)n, (void)prot;
	if (id > GUEST_CONSOLES_MAX) {
		errno = EINVAL;
		return NULL;
	}
	mapped++;
	return lines[LINE(domid, id)].page;
}

int xyl_gnt_unmap(struct xyl_gnt *g, void *address, uint32_t n)
{
	(void)g, (void)address, (void)n;
	mapped--;
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
static unsigned int written; /* by the daemon */
static int store_error;      /* with which the next calls fail, after store_good of them; so many */
static unsigned int store_good, store_bad, store_calls;

struct xyl_watch {
	char *path;
	xyl_watch_fn *fn;
	void *data;
};

static GList *watches;

static bool is_below(const char *path, const char *base)
{
	size_t n = strlen(base);

	return !strncmp(path, base, n) && (!path[n] || path[n] == '/');
}

static void fire(const char *path)
{
	g_autoptr(GList) now = g_list_copy(watches);

	for (GList *l = now; l; l = l->next) {
		struct xyl_watch *w = l->data;

		if (g_list_find(watches, w) && is_below(path, w->path))
			w->fn(NULL, path, w->data);
	}
}

static bool store_fails(void)
{
	store_calls++;
	if (!store_bad || (store_good && store_good--))
		return false;
	store_bad--;
	errno = store_error;
	return true;
}

static char *read_node(const char *path)
{
	const char *value = g_hash_table_lookup(nodes, path);

	if (store_fails())
		return NULL;
	errno = ENOENT;
	return value ? strdup(value) : NULL;
}

char *xyl_store_readf(struct xyl_store *s, xyl_tx tx, const char *format, ...)
{
	g_autofree char *path = NULL;
	va_list ap;

	(void)s, (void)tx;
	va_start(ap, format);
	path = g_strdup_vprintf(format, ap);
	va_end(ap);
	return read_node(path);
}

int xyl_store_printf(struct xyl_store *s, xyl_tx tx, const char *path, const char *format, ...)
{
	va_list ap;

	(void)s, (void)tx;
	if (store_fails())
		return -1;
	written++;
	va_start(ap, format);
	g_hash_table_insert(nodes, g_strdup(path), g_strdup_vprintf(format, ap));
	va_end(ap);
	return 0;
}

char **xyl_store_directory(struct xyl_store *s, xyl_tx tx, const char *path, size_t *count)
{
	g_autofree char *base = g_strconcat(path, "/", NULL);
	g_autoptr(GPtrArray) names = g_ptr_array_new();
	GHashTableIter it;
	gpointer key;
	char **list;

	(void)s, (void)tx;
	if (store_fails())
		return NULL;
	g_hash_table_iter_init(&it, nodes);
	while (g_hash_table_iter_next(&it, &key, NULL))
		if (g_str_has_prefix(key, base))
			g_ptr_array_add(names, (char *)key + strlen(base));
	*count = names->len;
	errno = ENOENT;
	if (!names->len)
		return NULL;
	list = calloc(names->len + 1, sizeof(*list) + 64);
	for (guint i = 0; i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i);

		list[i] = (char *)(list + names->len + 1) + (size_t)64 * i;
		g_strlcpy(list[i], name, MIN(64, strcspn(name, "/") + 1));
	}
	return list;
}

static void put(const char *path, const char *value)
{
	g_hash_table_insert(nodes, g_strdup(path), g_strdup(value));
}

/* The guest, or the toolstack, writes. */
static G_GNUC_UNUSED void put_and_tell(const char *path, const char *value)
{
	put(path, value);
	fire(path);
}

static gboolean is_in(gpointer key, gpointer value, gpointer base)
{
	(void)value;
	return is_below(key, base);
}

static G_GNUC_UNUSED void remove_and_tell(char *base)
{
	g_hash_table_foreach_remove(nodes, is_in, base);
	fire(base);
}

int xyl_store_transaction(struct xyl_store *s, int (*body)(struct xyl_store *s, xyl_tx tx, void *data),
                          void *data)
{
	return body(s, 1, data);
}

struct xyl_watch *xyl_store_watch(struct xyl_store *s, const char *path, xyl_watch_fn *fn, void *data)
{
	struct xyl_watch *w = g_new(struct xyl_watch, 1);

	(void)s;
	*w = (struct xyl_watch){ g_strdup(path), fn, data };
	watches = g_list_append(watches, w);
	return w;
}

int xyl_store_unwatch(struct xyl_store *s, struct xyl_watch *w)
{
	(void)s;
	watches = g_list_remove(watches, w);
	g_free(w->path);
	g_free(w);
	return 0;
}

/* ---- the daemon ---------------------------------------------------------------------------------- */

static struct daemon d;

static void set_up(void)
{
	nodes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	d.ports = g_hash_table_new(NULL, NULL);
	memset(lines, 0, sizeof(lines));
	for (int i = 1; i < LINES; i++)
		lines[i].page = g_malloc0(4096);
	for (int i = 1; i <= GUESTS; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/local/domain/%d/console/ring-ref", i);
		put(path, "77");
		snprintf(path, sizeof(path), "/local/domain/%d/console/port", i);
		put(path, "5");
	}
}

static void tear_down(void)
{
	for (int i = 1; i < LINES; i++)
		g_free(lines[i].page);
	g_hash_table_destroy(d.ports);
	g_hash_table_destroy(nodes);
	if (d.idle)
		g_source_remove(d.idle);
	d.idle = 0;
}

/* Watches fire when they are set. */
static struct guest *open_guest(uint32_t domid)
{
	struct xyl_dominfo info = { .domid = domid };
	struct guest *g = guest_new(&d, &info);

	fire(g->consoles[0]->path);
	fire(g->backends);
	return g;
}

static const char *tty_of(const struct console *c)
{
	bool locked;

	return end_tty(c->end, &locked);
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

static void say(uint32_t line, const char *text)
{
	struct xencons_interface *p = lines[line].page;

	for (; *text; text++)
		p->out[MASK_XENCONS_IDX(p->out_prod++, p->out)] = *text;
	lines[line].pending = true;
}

#endif
