/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watches, indexed by the path they watch, and their events.
 *
 * A change at /a/b/c looks up "/", "/a", "/a/b" and "/a/b/c" in the index: its cost depends on the depth of
 * the path and on the watches that match, never on how many there are. At each path the watches of one
 * connection stand in a row: a row whose client may not know of the change costs as much as one watch, so
 * that nobody makes others' changes slow by watching what is not its own. A client that does not read cannot
 * make the store grow: when a connection has too many unsent events, those of a watch are merged into one
 * that names the watched path itself, which the protocol allows at any time and which tells the client to
 * look again.
 */
#include "watch.h"
#include "conn.h"
#include "domain.h"
#include "store.h"

#include <errno.h>
#include <string.h>

static struct watch_path *path_get(struct store *s, const char *path)
{
	struct watch_path *wp = (struct watch_path *)pathtab_find(&s->watch_paths, path);

	if (!wp) {
		wp = g_new0(struct watch_path, 1);
		pathtab_add(&s->watch_paths, &wp->ent, path);
	}
	return wp;
}

/* The first of c's watches at the path, or NULL; *before: that of the row in front, if there is one. */
static struct watch *row_of(const struct watch_path *wp, const struct conn *c, struct watch **before)
{
	struct watch *row = wp ? wp->first : NULL;

	for (*before = NULL; row && row->conn != c; row = row->row_next)
		*before = row;
	return row;
}

static struct watch *watch_find(struct conn *c, const char *path, const char *token)
{
	struct watch_path *wp = (struct watch_path *)pathtab_find(&c->store->watch_paths, path);
	struct watch *before, *w;

	for (w = row_of(wp, c, &before); w && w->conn == c; w = w->path_next)
		if (!strcmp(w->token, token))
			return w;
	return NULL;
}

/* The youngest watch is the first of its row, a new row the first at its path. */
static void path_link(struct watch *w)
{
	struct watch *before, *row = row_of(w->at, w->conn, &before);

	w->path_next = row ? row : w->at->first;
	w->path_prev = row ? row->path_prev : NULL;
	w->row_next = row ? row->row_next : w->at->first;
	if (w->path_next)
		w->path_next->path_prev = w;
	if (w->path_prev)
		w->path_prev->path_next = w;
	else
		w->at->first = w;
	if (row && before)
		before->row_next = w;
}

static void path_unlink(struct watch *w)
{
	struct watch *before, *row = row_of(w->at, w->conn, &before), *next = w->path_next;

	if (row == w) {
		if (next && next->conn == w->conn)
			next->row_next = w->row_next;
		else
			next = w->row_next;
		if (before)
			before->row_next = next;
	}
	if (w->path_prev)
		w->path_prev->path_next = w->path_next;
	else
		w->at->first = w->path_next;
	if (w->path_next)
		w->path_next->path_prev = w->path_prev;
}

static size_t watch_bytes(const struct watch *w)
{
	return sizeof(*w) + w->at->ent.len + strlen(w->token);
}

static void event_unlink(struct message *m)
{
	struct watch *w = m->watch;

	if (m->wprev)
		m->wprev->wnext = m->wnext;
	else
		w->ev_first = m->wnext;
	if (m->wnext)
		m->wnext->wprev = m->wprev;
	else
		w->ev_last = m->wprev;
	m->wprev = m->wnext = NULL;
	m->watch = NULL;
}

void watch_event_begun(struct message *m)
{
	if (!m->watch)
		return;
	m->watch->merged = false;
	event_unlink(m);
}

static void drop_events(struct watch *w)
{
	while (w->ev_first) {
		struct message *m = w->ev_first;

		event_unlink(m);
		conn_unqueue(w->conn, m);
	}
	w->merged = false;
}

static void queue_event(struct watch *w, const char *path, size_t path_len)
{
	size_t token_len = strlen(w->token), len = path_len + 1 + token_len + 1;
	struct message *m;

	if (len > XENSTORE_PAYLOAD_MAX)
		return; /* WATCH refuses tokens with which this could happen */
	m = conn_message(w->conn, XS_WATCH_EVENT, 0, 0, NULL, len);
	memcpy(m->data + sizeof(struct xsd_sockmsg), path, path_len);
	m->data[sizeof(struct xsd_sockmsg) + path_len] = '\0';
	memcpy(m->data + sizeof(struct xsd_sockmsg) + path_len + 1, w->token, token_len + 1);
	m->watch = w;
	m->wprev = w->ev_last;
	if (w->ev_last)
		w->ev_last->wnext = m;
	else
		w->ev_first = m;
	w->ev_last = m;
}

/* Unsent events that are looked at before another of the same path is queued. */
#define REPEATS_LOOKED_AT 8

/* An unsent event that names the same path says all that one more would. */
static bool is_repeat(const struct watch *w, const char *path, size_t len)
{
	const struct message *m = w->ev_last;

	for (unsigned int i = 0; m && i < REPEATS_LOOKED_AT; m = m->wprev, i++) {
		const char *last = m->data + sizeof(struct xsd_sockmsg);

		if (!strncmp(last, path, len) && !last[len])
			return true;
	}
	return false;
}

static void send_event(struct watch *w, const char *path, size_t len)
{
	struct conn *c = w->conn;
	const struct quotas *q = &c->store->quotas;

	path += w->strip;
	len -= w->strip;
	if (w->merged || is_repeat(w, path, len))
		return;
	if (c->event_count >= (conn_privileged(c) ? DOM0_EVENTS : q->events)) {
		drop_events(w);
		w->merged = true;
		c->merged_events++;
		path = w->at->ent.path + w->strip;
		len = w->at->ent.len - w->strip;
	}
	queue_event(w, path, len);
	c->store->work++;
}

int watch_add(struct conn *c, const char *path, const char *token, uint32_t strip)
{
	struct store *s = c->store;
	struct watch *w;

	if (watch_find(c, path, token))
		return EEXIST;
	if (!conn_privileged(c) && c->dom->watch_count >= s->quotas.watches)
		return E2BIG;
	if (!quota_memory(c, sizeof(*w) + strlen(path) + strlen(token)))
		return ENOMEM;
	w = g_new0(struct watch, 1);
	w->conn = c;
	w->token = g_strdup(token);
	w->strip = strip;
	w->at = path_get(s, path);
	path_link(w);
	w->conn_next = c->watches;
	if (w->conn_next)
		w->conn_next->conn_prev = w;
	c->watches = w;
	c->dom->watch_count++;
	c->dom->memory_bytes += watch_bytes(w);
	return 0;
}

void watch_first_event(struct conn *c)
{
	struct watch *w = c->watches;

	send_event(w, w->at->ent.path, w->at->ent.len);
}

static void watch_free(struct watch *w)
{
	struct conn *c = w->conn;
	struct watch_path *wp = w->at;

	drop_events(w);
	c->dom->watch_count--;
	c->dom->memory_bytes -= watch_bytes(w);
	path_unlink(w);
	if (w->conn_prev)
		w->conn_prev->conn_next = w->conn_next;
	else
		c->watches = w->conn_next;
	if (w->conn_next)
		w->conn_next->conn_prev = w->conn_prev;
	if (!wp->first) {
		pathtab_remove(&c->store->watch_paths, &wp->ent);
		g_free(wp);
	}
	g_free(w->token);
	g_free(w);
}

int watch_remove(struct conn *c, const char *path, const char *token)
{
	struct watch *w = watch_find(c, path, token);

	if (!w)
		return ENOENT;
	watch_free(w);
	return 0;
}

void watch_remove_all(struct conn *c)
{
	while (c->watches)
		watch_free(c->watches);
}

/* A watcher hears of what it may read, could read until now, or could have seen in a readable parent. */
static bool may_know(const struct conn *c, const struct content *before, const struct content *after,
                     const struct content *parent)
{
	if (conn_privileged(c))
		return true;
	return (before && perm_for(c, before) & PERM_READ) || (after && perm_for(c, after) & PERM_READ) ||
	       (parent && perm_for(c, parent) & PERM_READ);
}

static void send_row(struct watch *row, const char *path, size_t len)
{
	for (struct watch *w = row; w && w->conn == row->conn; w = w->path_next)
		send_event(w, path, len);
}

struct change {
	const char *path;
	size_t len;
	const struct content *before, *after, *parent;
};

static void fire_at(struct store *s, size_t len, uint64_t hash, const struct change *ch)
{
	struct watch_path *wp =
	        (struct watch_path *)pathtab_find_hashed(&s->watch_paths, ch->path, len, hash);

	for (struct watch *row = wp ? wp->first : NULL; row; row = row->row_next)
		if (may_know(row->conn, ch->before, ch->after, ch->parent))
			send_row(row, ch->path, ch->len);
}

void watch_fire(struct store *s, const char *path, bool exact, const struct content *before,
                const struct content *after, const struct content *parent)
{
	struct change ch = { path, strlen(path), before, after, parent };
	uint64_t h = pathtab_hash_start();

	for (size_t i = 0; i < ch.len; i++) {
		if (i && path[i] == '/' && !exact)
			fire_at(s, i, h, &ch);
		h = pathtab_hash_step(h, path[i]);
		if (i == 0 && ch.len > 1 && !exact)
			fire_at(s, 1, h, &ch);
	}
	fire_at(s, ch.len, h, &ch);
}

void watch_fire_special(struct store *s, const char *path)
{
	const struct content *perms = s->special[!strcmp(path, PATH_RELEASE)];
	size_t len = strlen(path);
	struct watch_path *wp = (struct watch_path *)pathtab_find(&s->watch_paths, path);

	for (struct watch *row = wp ? wp->first : NULL; row; row = row->row_next)
		if (perm_for(row->conn, perms) & PERM_READ)
			send_row(row, path, len);
}
