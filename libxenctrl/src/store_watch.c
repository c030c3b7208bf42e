/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Watches, and the callbacks of watches and asynchronous requests; see store_conn.c for the whole.
 *
 * Callbacks are queued here and run by an idle source in the main context. The queue is bounded for watches,
 * whose events others cause: one entry per watch and path, at most EVENTS_MAX per watch; beyond that its
 * further events become one for the watched path itself, "look at all of it".
 */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_conn.h"

#define EVENTS_MAX     1024u
#define DISPATCH_BATCH 64 /* callbacks per turn of the main loop */

static gboolean deliver(gpointer data);

/* Needs s->lock. Has the idle source run deliver(). */
void store_schedule(struct xyl_store *s)
{
	if (s->source || s->closing)
		return;
	s->source = g_idle_source_new();
	g_source_set_priority(s->source, G_PRIORITY_DEFAULT);
	g_source_set_callback(s->source, deliver, s, NULL);
	g_source_attach(s->source, s->context);
}

void store_delivery_free(struct delivery *d)
{
	if (d->request)
		store_request_free(d->request);
	g_free(d->path);
	g_free(d->key);
	g_free(d);
}

/* Runs one delivery; false when there is none. */
static bool deliver_one(struct xyl_store *s)
{
	xyl_watch_fn *fn = NULL;
	struct delivery *d;
	void *data = NULL;

	pthread_mutex_lock(&s->lock);
	d = s->closing ? NULL : g_queue_pop_head(&s->deliveries);
	if (d && d->watch) {
		struct xyl_watch *w = g_hash_table_lookup(s->watches, &d->watch);

		g_hash_table_remove(s->queued_events, d->key);
		if (w) {
			w->queued--;
			fn = w->fn;
			data = w->data;
		}
	}
	pthread_mutex_unlock(&s->lock);
	if (!d)
		return false;
	if (fn)
		fn(s, d->path, data);
	else if (d->request)
		d->request->done(s, d->request->error, d->request->reply ? d->request->reply : "",
		                 d->request->reply_bytes, d->request->data);
	store_delivery_free(d);
	return true;
}

static gboolean deliver(gpointer data)
{
	struct xyl_store *s = data;
	gboolean again;

	__atomic_add_fetch(&s->references, 1, __ATOMIC_ACQ_REL);
	for (int i = 0; i < DISPATCH_BATCH && deliver_one(s); i++)
		;
	pthread_mutex_lock(&s->lock);
	again = !s->closing && !g_queue_is_empty(&s->deliveries);
	if (!again && s->source) {
		g_source_unref(s->source);
		s->source = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	store_unref(s);
	return again ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* Needs s->lock. */
static void queue_event(struct xyl_store *s, struct xyl_watch *w, const char *path)
{
	struct delivery *d;
	char *key;

	if (w->queued >= EVENTS_MAX)
		path = w->path;
	key = g_strdup_printf("%" G_GUINT64_FORMAT " %s", w->id, path);
	if (g_hash_table_contains(s->queued_events, key)) {
		g_free(key);
		return;
	}
	d = g_new0(struct delivery, 1);
	d->watch = w->id;
	d->path = g_strdup(path);
	d->key = key;
	w->queued++;
	g_hash_table_add(s->queued_events, d->key);
	g_queue_push_tail(&s->deliveries, d);
	store_schedule(s);
}

void store_watch_free(void *data)
{
	struct xyl_watch *w = data;

	free(w->path);
	free(w);
}

unsigned store_watch_parts(const struct xyl_watch *w, char token[24], struct store_part parts[2])
{
	snprintf(token, 24, "%llx", (unsigned long long)w->id);
	parts[0] = (struct store_part){ w->path, strlen(w->path) + 1 };
	parts[1] = (struct store_part){ token, strlen(token) + 1 };
	return 2;
}

struct xyl_watch *xyl_store_watch(struct xyl_store *s, const char *path, xyl_watch_fn *fn, void *data)
{
	struct xyl_watch *w = calloc(1, sizeof(*w));
	struct store_part parts[2];
	bool connected;
	char token[24];
	unsigned n;
	int error;

	if (w)
		w->path = strdup(path);
	if (!w || !w->path) {
		free(w);
		xyl_fail(ENOMEM, "xenstore: cannot watch %s", path);
		return NULL;
	}
	w->fn = fn;
	w->data = data;
	pthread_mutex_lock(&s->lock);
	w->id = ++s->next_watch;
	n = store_watch_parts(w, token, parts);
	g_hash_table_insert(s->watches, &w->id, w);
	connected = s->fd >= 0;
	w->asking = connected;
	pthread_mutex_unlock(&s->lock);
	/* Without a connection the next one registers it. */
	if (!connected)
		return w;
	error = store_call(s, XS_WATCH, XYL_TX_NONE, parts, n, NULL, NULL, "watch", path) < 0 ? errno : 0;
	pthread_mutex_lock(&s->lock);
	w->asking = false;
	if (error)
		g_hash_table_remove(s->watches, &w->id);
	pthread_mutex_unlock(&s->lock);
	errno = error;
	return error ? NULL : w;
}

int xyl_store_unwatch(struct xyl_store *s, struct xyl_watch *w)
{
	struct store_part parts[2];
	bool connected;
	char token[24];
	char *path;
	unsigned n;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	n = store_watch_parts(w, token, parts);
	path = w->path;
	w->path = NULL;
	g_hash_table_remove(s->watches, &w->id);
	connected = s->fd >= 0;
	pthread_mutex_unlock(&s->lock);
	if (connected)
		rc = store_send(s, XS_UNWATCH, XYL_TX_NONE, parts, n, NULL, NULL);
	free(path);
	return rc;
}

/* Needs s->lock. A message "path\0token\0" from xenstored. */
void store_take_event(struct xyl_store *s, const char *body, size_t bytes)
{
	const char *end = memchr(body, '\0', bytes);
	struct xyl_watch *w;
	uint64_t id;

	if (!end || end + 1 >= body + bytes)
		return;
	id = strtoull(end + 1, NULL, 16); /* the buffer is terminated by its reader */
	w = g_hash_table_lookup(s->watches, &id);
	if (w)
		queue_event(s, w, body);
}
