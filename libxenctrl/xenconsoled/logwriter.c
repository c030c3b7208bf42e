/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See logwriter.h.
 *
 * One thread writes while files answer. One more watches: when nobody has taken a log for a while that could be written,
 * it starts another, up to WRITERS_MAX; threads stay once they are there. A log is with one thread at a time, and two logs of
 * one path are written in their order. The logs of one folder, which a dead file system takes down together, never
 * occupy all threads.
 *
 * Locks: logwriter.lock guards all but what is a log's thread's. No file is touched under it.
 */
#include "logwriter.h"

#include <glib.h>
#include <string.h>

#include "../common/daemon.h"

/* Of the longest file name, less "guest-", ".log" and the number of a rotated log. */
#define NAME_MAX_BYTES 240
#define DIGEST_DIGITS  16

#define WRITERS_MAX    64
#define FOLDER_WRITERS 16 /* of these for the logs of one folder */
#define STUCK_US       (100 * INT64_C(1000))
#define SILENT_US      (5 * G_USEC_PER_SEC) /* after which the daemon's log says so */
#define ENDED_MAX      64                   /* logs of guests that have gone which are still to be written */

struct log {
	struct logwriter *w; /* immutable, and so are waiting_max, path, folder and limits */
	size_t waiting_max;
	char *path, *folder;
	const struct log_limits *limits;

	GByteArray *waiting; /* NULL: nothing */
	uint64_t dropped;    /* not yet written to the file */
	bool queued, ended, silent;
	gint64 busy_since; /* a thread has it; 0: none */

	/* that thread's */
	struct logfile file;
	bool opened;
};

struct logwriter {
	GMutex lock;
	GCond work, stuck,
	        gone; /* for the threads that write, the one that watches, who waits for their end */
	GQueue queue; /* struct log that have something to be done */
	GThread *writers[WRITERS_MAX], *watcher;
	struct log *busy[WRITERS_MAX];
	unsigned int count, idle, running;
	unsigned int ended;
	uint64_t taken;
	bool stopping;
};

/* ---- choosing; these need the lock --------------------------------------------------------------- */

static bool may_be_written(const struct logwriter *w, const struct log *l)
{
	unsigned int same = 0;

	for (unsigned int i = 0; i < w->count; i++) {
		if (!w->busy[i])
			continue;
		if (!strcmp(w->busy[i]->path, l->path))
			return false;
		same += !strcmp(w->busy[i]->folder, l->folder);
	}
	return same < FOLDER_WRITERS;
}

static GList *find_next(struct logwriter *w)
{
	for (GList *i = w->queue.head; i; i = i->next)
		if (may_be_written(w, i->data))
			return i;
	return NULL;
}

static void queue(struct log *l)
{
	struct logwriter *w = l->w;

	if (l->queued || l->busy_since)
		return;
	l->queued = true;
	g_queue_push_tail(&w->queue, l);
	g_cond_signal(w->idle ? &w->work : &w->stuck);
}

/* ---- threads that write -------------------------------------------------------------------------- */

/* Without the lock. */
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
	if (l->waiting)
		g_byte_array_unref(l->waiting);
	g_free(l->path);
	g_free(l->folder);
	g_free(l);
}

/* With the lock, which it gives up meanwhile. */
static void say_answered(struct log *l)
{
	uint64_t lost = l->dropped;

	l->silent = false;
	l->busy_since = g_get_monotonic_time();
	g_mutex_unlock(&l->w->lock);
	daemon_log(LOG_WARNING, "%s: its disk answers again; %" G_GUINT64_FORMAT " bytes were lost", l->path,
	           lost);
	g_mutex_lock(&l->w->lock);
}

/* With the lock, which it gives up meanwhile. */
static void serve(struct logwriter *w, struct log *l, unsigned int self)
{
	GByteArray *bytes = g_steal_pointer(&l->waiting);
	uint64_t dropped = l->dropped;
	bool ended = l->ended;

	w->taken++;
	w->busy[self] = l;
	l->dropped = 0;
	l->queued = false;
	l->busy_since = g_get_monotonic_time();
	if (!w->idle && w->queue.length)
		g_cond_signal(&w->stuck);
	g_mutex_unlock(&w->lock);
	write_out(l, bytes, dropped);
	if (ended)
		logfile_close(&l->file);
	g_mutex_lock(&w->lock);
	if (l->silent)
		say_answered(l);
	w->busy[self] = NULL;
	l->busy_since = 0;
	if (ended) {
		l->opened = false;
		w->ended--;
		log_free(l);
	} else if (l->ended) { /* before the next log of that path */
		l->queued = true;
		g_queue_push_head(&w->queue, l);
	} else if (l->waiting || l->dropped) {
		queue(l);
	}
}

struct start {
	struct logwriter *w;
	unsigned int self;
};

static gpointer run(gpointer data)
{
	struct start *start = data;
	struct logwriter *w = start->w;
	unsigned int self = start->self;
	GList *next;

	g_free(start);
	g_mutex_lock(&w->lock);
	for (;;) {
		next = find_next(w);
		if (!next && w->stopping)
			break;
		if (next) {
			struct log *l = next->data;

			g_queue_delete_link(&w->queue, next);
			serve(w, l, self);
		} else {
			w->idle++;
			g_cond_wait(&w->work, &w->lock);
			w->idle--;
		}
	}
	w->running--;
	g_cond_broadcast(&w->stuck);
	g_cond_broadcast(&w->gone);
	g_mutex_unlock(&w->lock);
	return NULL;
}

/* Needs the lock. */
static void start_writer(struct logwriter *w)
{
	struct start *start = g_new(struct start, 1);

	*start = (struct start){ w, w->count };
	w->writers[w->count] = g_thread_try_new("log", run, start, NULL);
	if (!w->writers[w->count]) {
		g_free(start);
		return;
	}
	w->count++;
	w->running++;
}

/* ---- the thread that watches --------------------------------------------------------------------- */

static bool is_stuck(struct logwriter *w)
{
	return !w->idle && w->count < WRITERS_MAX && find_next(w);
}

static gpointer watch(gpointer data)
{
	struct logwriter *w = data;

	g_mutex_lock(&w->lock);
	while (!w->stopping || w->running) {
		uint64_t taken = w->taken;

		if (!is_stuck(w)) {
			g_cond_wait(&w->stuck, &w->lock);
			continue;
		}
		g_mutex_unlock(&w->lock);
		g_usleep(STUCK_US);
		g_mutex_lock(&w->lock);
		if (taken == w->taken && is_stuck(w))
			start_writer(w);
	}
	g_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- the caller's side --------------------------------------------------------------------------- */

struct logwriter *logwriter_new(void)
{
	struct logwriter *w = g_new0(struct logwriter, 1);

	g_mutex_init(&w->lock);
	g_cond_init(&w->work);
	g_cond_init(&w->stuck);
	g_cond_init(&w->gone);
	g_queue_init(&w->queue);
	g_mutex_lock(&w->lock);
	start_writer(w);
	g_mutex_unlock(&w->lock);
	w->watcher = g_thread_new("log-watch", watch, w);
	return w;
}

bool logwriter_free(struct logwriter *w, int64_t at_most_us)
{
	gint64 end = g_get_monotonic_time() + at_most_us;
	bool done;

	g_mutex_lock(&w->lock);
	w->stopping = true;
	g_cond_broadcast(&w->work);
	g_cond_broadcast(&w->stuck);
	while (w->running && g_cond_wait_until(&w->gone, &w->lock, end))
		;
	done = !w->running;
	g_mutex_unlock(&w->lock);
	if (!done)
		return false;
	g_thread_join(w->watcher);
	for (unsigned int i = 0; i < w->count; i++)
		g_thread_join(w->writers[i]);
	g_mutex_clear(&w->lock);
	g_cond_clear(&w->work);
	g_cond_clear(&w->stuck);
	g_cond_clear(&w->gone);
	g_free(w);
	return true;
}

struct log *log_new(struct logwriter *w, const char *path, const struct log_limits *limits,
                    size_t waiting_max)
{
	struct log *l = g_new0(struct log, 1);

	l->w = w;
	l->path = g_strdup(path);
	l->folder = g_path_get_dirname(path);
	l->limits = limits;
	l->waiting_max = waiting_max;
	g_mutex_lock(&w->lock);
	queue(l);
	g_mutex_unlock(&w->lock);
	return l;
}

void log_put(struct log *l, const char *bytes, size_t n)
{
	bool silent = false;
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
	if (l->busy_since && !l->silent && g_get_monotonic_time() - l->busy_since > SILENT_US)
		l->silent = silent = true;
	g_mutex_unlock(&l->w->lock);
	if (silent)
		daemon_log(LOG_WARNING,
		           "%s: its disk does not answer; what does not fit into %zu bytes is lost", l->path,
		           l->waiting_max);
}

void log_end(struct log *l)
{
	struct logwriter *w;
	bool lost;

	if (!l)
		return;
	w = l->w;
	g_mutex_lock(&w->lock);
	/* A guest that starts again and again while its file does not answer leaves so many behind and not more. */
	lost = w->ended >= ENDED_MAX && !l->busy_since && !l->opened;
	if (lost) {
		g_queue_remove(&w->queue, l);
	} else {
		l->ended = true;
		w->ended++;
		queue(l);
	}
	g_mutex_unlock(&w->lock);
	if (!lost)
		return;
	daemon_log(LOG_WARNING, "%s: its disk does not answer; the end of a log is lost", l->path);
	log_free(l);
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
