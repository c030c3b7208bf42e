/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xenstore for xylemd; see storeio.h. */
#include "storeio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "layout.h"

/* A thread that waits for a backend. Freed in the main context, after its last callback. */
struct waiter {
	struct storeio *io;
	bool woken; /* guarded by io->lock */
};

struct storeio {
	struct xyl_store *store;
	GMutex lock; /* guards waiters and their woken */
	GCond changed;
	GPtrArray *waiters; /* struct waiter */
};

static void state_changed(struct xyl_store *store, const char *path, void *data)
{
	struct waiter *waiter = data;

	(void)store;
	(void)path;
	g_mutex_lock(&waiter->io->lock);
	waiter->woken = true;
	g_cond_broadcast(&waiter->io->changed);
	g_mutex_unlock(&waiter->io->lock);
}

static gboolean waiter_free(gpointer data)
{
	g_free(data);
	return G_SOURCE_REMOVE;
}

struct storeio *storeio_open(GError **error)
{
	struct storeio *io = g_new0(struct storeio, 1);

	g_mutex_init(&io->lock);
	g_cond_init(&io->changed);
	io->waiters = g_ptr_array_new();
	io->store = xyl_store_open(NULL);
	if (!io->store) {
		xd_fail(error, XD_ERROR_STORE, "cannot use xenstore: %s", xyl_error());
		storeio_close(io);
		return NULL;
	}
	return io;
}

void storeio_close(struct storeio *io)
{
	if (!io)
		return;
	if (io->store)
		xyl_store_close(io->store);
	g_ptr_array_unref(io->waiters);
	g_cond_clear(&io->changed);
	g_mutex_clear(&io->lock);
	g_free(io);
}

struct xyl_store *storeio_store(struct storeio *io)
{
	return io->store;
}

struct write_job {
	const GArray *nodes;
	uint32_t domid;
};

static int set_perms(struct xyl_store *store, xyl_tx tx, const struct layout_node *node, uint32_t domid)
{
	struct xyl_perms guest_reads[] = { { 0, XYL_PERM_NONE }, { domid, XYL_PERM_READ } };
	struct xyl_perms guest_owns[] = { { domid, XYL_PERM_NONE } };
	struct xyl_perms frontend[] = { { domid, XYL_PERM_NONE }, { 0, XYL_PERM_READ } };

	switch (node->perms) {
	case LAYOUT_GUEST_READS:
		return xyl_store_set_perms(store, tx, node->path, guest_reads, 2);
	case LAYOUT_GUEST_OWNS:
		return xyl_store_set_perms(store, tx, node->path, guest_owns, 1);
	case LAYOUT_FRONTEND:
		return xyl_store_set_perms(store, tx, node->path, frontend, 2);
	default:
		return 0;
	}
}

static int write_nodes(struct xyl_store *store, xyl_tx tx, void *data)
{
	const struct write_job *job = data;
	guint i;

	for (i = 0; i < job->nodes->len; i++) {
		const struct layout_node *node = &g_array_index(job->nodes, struct layout_node, i);

		if (xyl_store_write(store, tx, node->path, node->value, strlen(node->value)) ||
		    set_perms(store, tx, node, job->domid))
			return -1;
	}
	return 0;
}

bool storeio_write(struct storeio *io, const GArray *nodes, uint32_t domid, const char *what, GError **error)
{
	struct write_job job = { .nodes = nodes, .domid = domid };

	if (xyl_store_transaction(io->store, write_nodes, &job))
		return xd_fail(error, XD_ERROR_STORE, "%s: cannot write its nodes to xenstore: %s", what,
		               xyl_error());
	return true;
}

static int remove_nodes(struct xyl_store *store, xyl_tx tx, void *data)
{
	const char *const *path;

	for (path = data; *path; path++) {
		if (xyl_store_rm(store, tx, *path) && errno != ENOENT)
			return -1;
	}
	return 0;
}

bool storeio_remove(struct storeio *io, const char *const *paths, const char *what, GError **error)
{
	/* A single removal is atomic by itself, and nobody's writing can be in its way. */
	int result = paths[0] && !paths[1] ? remove_nodes(io->store, XYL_TX_NONE, (void *)paths)
	                                   : xyl_store_transaction(io->store, remove_nodes, (void *)paths);

	if (result)
		return xd_fail(error, XD_ERROR_STORE, "%s: cannot remove its nodes from xenstore: %s", what,
		               xyl_error());
	return true;
}

static int set_nodes(struct xyl_store *store, xyl_tx tx, void *data)
{
	GPtrArray *pairs = data;
	guint i;

	for (i = 0; i + 1 < pairs->len; i += 2) {
		const char *value = g_ptr_array_index(pairs, i + 1);

		if (xyl_store_write(store, tx, g_ptr_array_index(pairs, i), value, strlen(value)))
			return -1;
	}
	return 0;
}

bool storeio_set(struct storeio *io, const char *what, GError **error, ...)
{
	g_autoptr(GPtrArray) pairs = g_ptr_array_new();
	va_list args;
	char *text;
	int result;

	va_start(args, error);
	while ((text = va_arg(args, char *)) != NULL)
		g_ptr_array_add(pairs, text);
	va_end(args);
	/* A single write is atomic by itself. */
	if (pairs->len == 2)
		result = set_nodes(io->store, XYL_TX_NONE, pairs);
	else
		result = xyl_store_transaction(io->store, set_nodes, pairs);
	if (result)
		return xd_fail(error, XD_ERROR_STORE, "%s: cannot write to xenstore: %s", what, xyl_error());
	return true;
}

enum backend_state storeio_backend_state(struct storeio *io, const char *dir)
{
	size_t bytes = 0;
	char *text = xyl_store_readf(io->store, XYL_TX_NONE, "%s/state", dir);
	enum backend_state state = text || errno == ENOENT ? BACKEND_GONE : BACKEND_UNREAD;

	bytes = text ? strlen(text) : 0;
	if (bytes == 1 && text[0] >= '0' && text[0] <= '6')
		state = (enum backend_state)(text[0] - '0');
	free(text);
	return state;
}

/* Until the waiter is woken or the time is over; false then. */
static bool sleep_until_woken(struct waiter *waiter, gint64 deadline)
{
	struct storeio *io = waiter->io;
	bool woken;

	g_mutex_lock(&io->lock);
	while (!waiter->woken && g_cond_wait_until(&io->changed, &io->lock, deadline))
		;
	woken = waiter->woken;
	waiter->woken = false;
	g_mutex_unlock(&io->lock);
	return woken;
}

enum backend_state storeio_wait(struct storeio *io, const char *dir, unsigned wanted, int timeout_ms,
                                const gint *cancelled)
{
	gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
	enum backend_state state = storeio_backend_state(io, dir);
	g_autofree char *path = g_strconcat(dir, "/state", NULL);
	struct xyl_watch *watch;
	struct waiter *waiter;

	if (wanted & 1u << state)
		return state;
	waiter = g_new0(struct waiter, 1);
	waiter->io = io;
	g_mutex_lock(&io->lock);
	g_ptr_array_add(io->waiters, waiter);
	g_mutex_unlock(&io->lock);
	watch = xyl_store_watch(io->store, path, state_changed, waiter);
	if (!watch)
		g_warning("%s", xyl_error());
	while (watch && sleep_until_woken(waiter, deadline)) {
		state = storeio_backend_state(io, dir);
		if ((wanted & 1u << state) || (cancelled && g_atomic_int_get(cancelled)))
			break;
	}
	if (watch)
		xyl_store_unwatch(io->store, watch);
	g_mutex_lock(&io->lock);
	g_ptr_array_remove_fast(io->waiters, waiter);
	g_mutex_unlock(&io->lock);
	/* Its callback may be running in the main context right now, though none begins any more. */
	g_idle_add(waiter_free, waiter);
	return state;
}

void storeio_wake(struct storeio *io)
{
	guint i;

	g_mutex_lock(&io->lock);
	for (i = 0; i < io->waiters->len; i++)
		((struct waiter *)g_ptr_array_index(io->waiters, i))->woken = true;
	g_cond_broadcast(&io->changed);
	g_mutex_unlock(&io->lock);
}

char *storeio_backend_error(struct storeio *io, const char *dir)
{
	/* Linux's backends write to error/<their directory's path within the domain>/error. */
	char *text = xyl_store_readf(io->store, XYL_TX_NONE, "/local/domain/0/error/%s/error",
	                             dir + strlen("/local/domain/0/"));
	g_autofree char *copy = text ? g_strndup(text, 200) : NULL;

	free(text);
	return copy ? g_utf8_make_valid(copy, -1) : NULL;
}
