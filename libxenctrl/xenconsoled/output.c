/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See output.h. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/daemon.h"

#define REOPEN_US (5 * G_USEC_PER_SEC)

void backlog_init(struct backlog *b, size_t size)
{
	memset(b, 0, sizeof(*b));
	b->data = g_malloc(size);
	b->size = size;
}

void backlog_fini(struct backlog *b)
{
	g_free(b->data);
	b->data = NULL;
}

void backlog_put(struct backlog *b, const char *bytes, size_t n)
{
	if (n > b->size) {
		b->dropped += n - b->size;
		bytes += n - b->size;
		n = b->size;
	}
	if (b->used + n > b->size) {
		size_t excess = b->used + n - b->size;

		b->dropped += excess;
		backlog_take(b, excess);
	}
	for (size_t done = 0; done < n;) {
		size_t at = (b->start + b->used) % b->size;
		size_t piece = MIN(n - done, b->size - at);

		memcpy(b->data + at, bytes + done, piece);
		b->used += piece;
		done += piece;
	}
}

const char *backlog_peek(const struct backlog *b, size_t *n)
{
	*n = MIN(b->used, b->size - b->start);
	return b->data + b->start;
}

void backlog_take(struct backlog *b, size_t n)
{
	b->start = (b->start + n) % b->size;
	b->used -= n;
}

void throttle_init(struct throttle *t, int64_t now_us)
{
	t->filled_us = now_us;
	t->looks = LOOKS_AT_ONCE;
}

bool throttle_take(struct throttle *t, int64_t now_us, int64_t *wait_us)
{
	int64_t elapsed_us = MIN(now_us - t->filled_us, (int64_t)G_USEC_PER_SEC * 3600);
	int64_t more = elapsed_us * LOOKS_PER_SECOND / (int64_t)G_USEC_PER_SEC;

	if (more > 0) {
		t->looks = (unsigned int)MIN(t->looks + more, LOOKS_AT_ONCE);
		t->filled_us = now_us;
	}
	if (!t->looks) {
		*wait_us = HOLD_US;
		return false;
	}
	t->looks--;
	return true;
}

static int open_append(struct logfile *l, int64_t now_us)
{
	struct stat st;
	int err;

	l->opened_us = now_us;
	l->fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK,
	             0640);
	if (l->fd < 0) {
		err = errno;
		if (!l->failed)
			daemon_log(LOG_ERR, "cannot open %s: %s", l->path, strerror(err));
		l->failed = true;
		return err;
	}
	l->rotates = !fstat(l->fd, &st) && S_ISREG(st.st_mode);
	l->size = l->rotates ? (uint64_t)st.st_size : 0;
	return 0;
}

int logfile_open(struct logfile *l, const char *path, const struct log_limits *limits, int64_t now_us)
{
	memset(l, 0, sizeof(*l));
	l->limits = limits;
	l->path = g_strdup(path);
	l->tokens = limits->burst_bytes;
	l->filled_us = now_us;
	return open_append(l, now_us);
}

void logfile_close(struct logfile *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	g_free(l->path);
	l->path = NULL;
}

static void rotate(struct logfile *l, int64_t now_us)
{
	close(l->fd);
	l->fd = -1;
	for (unsigned int i = l->limits->old_files; i > 0; i--) {
		g_autofree char *to = g_strdup_printf("%s.%u", l->path, i);
		g_autofree char *from = i > 1 ? g_strdup_printf("%s.%u", l->path, i - 1) : g_strdup(l->path);

		if (rename(from, to) && errno != ENOENT)
			daemon_log(LOG_WARNING, "cannot rename %s: %s", from, strerror(errno));
	}
	if (!l->limits->old_files)
		unlink(l->path);
	open_append(l, now_us);
}

static void append(struct logfile *l, const char *bytes, size_t n, int64_t now_us)
{
	ssize_t done;

	if (l->rotates && l->size && l->size + n > l->limits->file_bytes)
		rotate(l, now_us);
	if (l->fd < 0) {
		l->dropped += n;
		return;
	}
	done = write(l->fd, bytes, n);
	if (done < 0) {
		l->dropped += n;
		if (!l->failed)
			daemon_log(LOG_ERR, "cannot write %s: %s", l->path, strerror(errno));
		l->failed = true;
		return;
	}
	l->failed = false;
	l->size += done;
	l->dropped += n - done;
}

static void refill(struct logfile *l, int64_t now_us)
{
	int64_t elapsed_us = now_us - l->filled_us;
	uint64_t more;

	if (elapsed_us <= 0)
		return;
	if (elapsed_us > (int64_t)G_USEC_PER_SEC * 3600)
		elapsed_us = (int64_t)G_USEC_PER_SEC * 3600;
	more = (uint64_t)elapsed_us * l->limits->bytes_per_second / G_USEC_PER_SEC;
	if (!more)
		return;
	l->filled_us = now_us;
	l->tokens = MIN(l->tokens + more, l->limits->burst_bytes);
}

void logfile_write(struct logfile *l, const char *bytes, size_t n, int64_t now_us)
{
	size_t allowed;

	/* A disk that was full when the log rotated has room again some time. */
	if (l->fd < 0 && now_us - l->opened_us >= REOPEN_US && !open_append(l, now_us))
		l->failed = false;
	if (l->fd < 0) {
		l->dropped += n;
		return;
	}
	refill(l, now_us);
	allowed = MIN(n, l->tokens);
	if (allowed && l->dropped && !l->failed) {
		char note[80];
		int len = snprintf(note, sizeof(note),
		                   "\n[xenconsoled: %" G_GUINT64_FORMAT " bytes were dropped]\n", l->dropped);

		l->dropped = 0;
		append(l, note, len, now_us);
	}
	l->tokens -= allowed;
	l->dropped += n - allowed;
	if (allowed)
		append(l, bytes, allowed, now_us);
}
