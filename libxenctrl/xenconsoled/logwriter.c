/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See logwriter.h.
 *
 * Locks: logwriter.lock guards the queue and, of each log, all that is not the thread's. No file is touched
 * under it.
 */
#include "logwriter.h"

#include <glib.h>
#include <string.h>

#include "../common/daemon.h"

/* Of the longest file name, less "guest-", ".log" and the number of a rotated log. */
#define NAME_MAX_BYTES 240
#define DIGEST_DIGITS  16

struct log {
	struct logwriter *w; /* immutable, and so is waiting_max */
	size_t waiting_max;
	GByteArray *waiting; /* NULL: nothing */
	uint64_t dropped;    /* not yet written to the file */
	bool queued, ended;

	/* the thread's */
	struct logfile file;
	bool opened;
	char *path;
	const struct log_limits *limits;
};

struct logwriter {
	GMutex lock;
	GCond changed;
	GQueue queue; /* struct log that have something to be done */
	bool stopping, done;
	GThread *thread;
};

/* The thread's part, without the lock. */
static void write_out(struct log *l, GByteArray *bytes, uint64_t dropped)
{
	int64_t now = g_get_monotonic_time();

	if (!l->opened)
		logfile_open(&l->file, l->path, l->limits, now);
	l->opened = true;
	if (bytes) {
		logfile_write(&l->file, (const char *)bytes->data, bytes->len, now);
		g_byte_array_unref(bytes);
	}
	/* It came behind the bytes, and is mentioned before the next ones. */
	l->file.dropped += dropped;
}

static void log_free(struct log *l)
{
	if (l->opened)
		logfile_close(&l->file);
	g_free(l->path);
	g_free(l);
}

static gpointer run(gpointer data)
{
	struct logwriter *w = data;

	g_mutex_lock(&w->lock);
	for (;;) {
		struct log *l = g_queue_pop_head(&w->queue);
		GByteArray *bytes;
		uint64_t dropped;
		bool ended;

		if (!l && w->stopping)
			break;
		if (!l) {
			g_cond_wait(&w->changed, &w->lock);
			continue;
		}
		bytes = l->waiting;
		dropped = l->dropped;
		ended = l->ended;
		l->waiting = NULL;
		l->dropped = 0;
		l->queued = false;
		g_mutex_unlock(&w->lock);
		write_out(l, bytes, dropped);
		if (ended)
			log_free(l);
		g_mutex_lock(&w->lock);
	}
	w->done = true;
	g_cond_broadcast(&w->changed);
	g_mutex_unlock(&w->lock);
	return NULL;
}

struct logwriter *logwriter_new(void)
{
	struct logwriter *w = g_new0(struct logwriter, 1);

	g_mutex_init(&w->lock);
	g_cond_init(&w->changed);
	g_queue_init(&w->queue);
	w->thread = g_thread_new("log", run, w);
	return w;
}

bool logwriter_free(struct logwriter *w, int64_t at_most_us)
{
	gint64 end = g_get_monotonic_time() + at_most_us;
	bool done;

	g_mutex_lock(&w->lock);
	w->stopping = true;
	g_cond_broadcast(&w->changed);
	while (!w->done && g_cond_wait_until(&w->changed, &w->lock, end))
		;
	done = w->done;
	g_mutex_unlock(&w->lock);
	if (!done)
		return false;
	g_thread_join(w->thread);
	g_mutex_clear(&w->lock);
	g_cond_clear(&w->changed);
	g_free(w);
	return true;
}

/* Needs the lock. */
static void queue(struct log *l)
{
	if (l->queued)
		return;
	l->queued = true;
	g_queue_push_tail(&l->w->queue, l);
	g_cond_signal(&l->w->changed);
}

struct log *log_new(struct logwriter *w, const char *path, const struct log_limits *limits,
                    size_t waiting_max)
{
	struct log *l = g_new0(struct log, 1);

	l->w = w;
	l->path = g_strdup(path);
	l->limits = limits;
	l->waiting_max = waiting_max;
	g_mutex_lock(&w->lock);
	queue(l);
	g_mutex_unlock(&w->lock);
	return l;
}

void log_put(struct log *l, const char *bytes, size_t n)
{
	size_t room;

	if (!l)
		return;
	g_mutex_lock(&l->w->lock);
	if (!l->waiting)
		l->waiting = g_byte_array_new();
	room = MIN(n, l->waiting_max - l->waiting->len);
	g_byte_array_append(l->waiting, (const guint8 *)bytes, (guint)room);
	l->dropped += n - room;
	queue(l);
	g_mutex_unlock(&l->w->lock);
}

void log_end(struct log *l)
{
	struct logwriter *w;

	if (!l)
		return;
	w = l->w;
	g_mutex_lock(&w->lock);
	l->ended = true;
	queue(l);
	g_mutex_unlock(&w->lock);
}

char *log_path(const char *dir, const char *name)
{
	g_autoptr(GString) safe = g_string_new(NULL);
	g_autofree char *digest = NULL;

	for (const unsigned char *c = (const unsigned char *)name; *c; c++) {
		if (*c <= ' ' || *c == 0x7f || strchr("/\\%", *c))
			g_string_append_printf(safe, "%%%02x", *c);
		else
			g_string_append_c(safe, (char)*c);
	}
	if (safe->len <= NAME_MAX_BYTES)
		return g_strdup_printf("%s/guest-%s.log", dir, safe->str);
	/* Two long names that begin alike are still two logs; no other name contains "%-". */
	digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, name, -1);
	return g_strdup_printf("%s/guest-%.*s%%-%.*s.log", dir, NAME_MAX_BYTES - DIGEST_DIGITS - 2, safe->str,
	                       DIGEST_DIGITS, digest);
}
