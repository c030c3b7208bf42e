/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes to and from the descriptor of a save, restore or dump. Makes no hypercalls. */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "streamfile.h"
#include "streamformat.h"
#include "streamio.h"

#define WAIT_MS    1000 /* after which a waiting caller is asked whether to go on */
#define TICK_BYTES (1u << 20)
#define SKIP_BYTES (64u * 1024)
#define PIPE_PARTS 8
#define PIPE_BYTES (1u << 20) /* a switch to the reader and back for each */

static int fail_with(const struct stream *s, int error, const char *format, va_list ap)
{
	char text[384];

	vsnprintf(text, sizeof(text), format, ap);
	return xyl_fail_text(error, "domain %u: cannot %s it: %s", s->domid, s->verb, text);
}

int stream_bad(const struct stream *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fail_with(s, EBADMSG, format, ap);
	va_end(ap);
	return -1;
}

int stream_fail(const struct stream *s, int error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fail_with(s, error, format, ap);
	va_end(ap);
	return -1;
}

int stream_because(const struct stream *s)
{
	int error = errno;
	char prefix[32], cause[384];
	const char *text = xyl_error();
	int n = snprintf(prefix, sizeof(prefix), "domain %u: ", s->domid);

	if (strncmp(text, prefix, (size_t)n) == 0)
		text += n;
	snprintf(cause, sizeof(cause), "%s", text); /* the message is about to be overwritten */
	return stream_fail(s, error, "%s", cause);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int stream_tick(struct stream *s)
{
	s->told_ms = now_ms();
	if (!s->fn || s->fn(&s->progress, s->data))
		return 0;
	return stream_fail(s, ECANCELED, "it was told to stop");
}

/*
 * Waits until the descriptor is ready; what has an error is ready, since the call itself will say which. Who gives or takes
 * a few bytes now and then is no reason not to ask the caller.
 */
static int wait_for(struct stream *s, short events)
{
	struct pollfd p = { .fd = s->fd, .events = events };

	for (;;) {
		int n = poll(&p, 1, WAIT_MS);

		if (n > 0)
			return s->fn && now_ms() - s->told_ms >= WAIT_MS ? stream_tick(s) : 0;
		if (n < 0 && errno != EINTR)
			return stream_fail(s, errno, "cannot wait for the stream: %s", strerror(errno));
		if (n == 0 && stream_tick(s) < 0)
			return -1;
	}
}

int stream_read(struct stream *s, void *buffer, size_t bytes, const char *what)
{
	char *at = buffer;

	while (bytes) {
		ssize_t n;

		if (!s->file && wait_for(s, POLLIN) < 0)
			return -1;
		n = s->file ? streamfile_read(s->file, at, bytes)
		            : read(s->fd, at, bytes < SSIZE_MAX ? bytes : SSIZE_MAX);
		if (n == 0)
			return stream_bad(s, "the stream ends within its %s", what);
		if (n < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return stream_fail(s, errno, "cannot read its %s: %s", what, strerror(errno));
		}
		at += n;
		bytes -= (size_t)n;
		s->progress.bytes_done += (uint64_t)n;
	}
	return 0;
}

bool stream_hole(const struct stream *s, uint64_t ahead, uint64_t *bytes)
{
	*bytes = UINT64_MAX;
	return s->file && streamfile_hole(s->file, ahead, bytes);
}

const uint8_t *stream_next(struct stream *s, size_t *bytes)
{
	const uint8_t *data = NULL;
	ssize_t n = s->file ? streamfile_next(s->file, &data) : 0;

	*bytes = n > 0 ? (size_t)n : 0;
	return n > 0 ? data : NULL;
}

void stream_pass(struct stream *s, uint64_t bytes)
{
	streamfile_pass(s->file, bytes);
	s->progress.bytes_done += bytes;
}

int stream_skip(struct stream *s, size_t bytes, const char *what)
{
	char drop[SKIP_BYTES];
	size_t untold = 0;

	while (bytes) {
		size_t n = bytes < sizeof(drop) ? bytes : sizeof(drop);

		if (stream_read(s, drop, n, what) < 0)
			return -1;
		bytes -= n;
		untold += n;
		if (untold >= TICK_BYTES) {
			untold = 0;
			if (stream_tick(s) < 0)
				return -1;
		}
	}
	return 0;
}

/* Takes n written bytes off the front; *count vectors remain, from the returned one on. */
static struct iovec *advance(struct iovec *parts, size_t *count, size_t n)
{
	while (*count && n >= parts->iov_len) {
		n -= parts->iov_len;
		parts++;
		--*count;
	}
	if (*count && n) {
		parts->iov_base = (char *)parts->iov_base + n;
		parts->iov_len -= n;
	}
	return parts;
}

/* A pipe's other end may be slow; a descriptor of our own does not block, whatever the caller's does. */
static void open_pipe(struct stream *s)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd);
	s->pipe = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	s->own_pipe = s->pipe >= 0;
	if (s->own_pipe)
		(void)fcntl(s->pipe, F_SETPIPE_SZ, PIPE_BYTES);
}

void stream_begin_output(struct stream *s)
{
	int flags = fcntl(s->fd, F_GETFL);
	struct stat st;
	bool known = fstat(s->fd, &st) == 0;

	s->may_wait = known && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode);
	s->socket = known && S_ISSOCK(st.st_mode);
	if (known && S_ISFIFO(st.st_mode))
		open_pipe(s);
	s->sparse = flags >= 0 && !(flags & O_APPEND) && known && S_ISREG(st.st_mode) &&
	            lseek(s->fd, 0, SEEK_CUR) == st.st_size;
	if (s->sparse)
		s->file = streamfile_open(s->fd, true);
}

int stream_end_output(struct stream *s)
{
	off_t end;

	if (s->file) {
		if (streamfile_end_write(s->file) < 0)
			return stream_fail(s, errno, "cannot write: %s", strerror(errno));
		return 0;
	}
	end = s->sparse ? lseek(s->fd, 0, SEEK_CUR) : 0;
	if (end < 0 || (s->sparse && ftruncate(s->fd, end) < 0))
		return stream_fail(s, errno, "cannot write: %s", strerror(errno));
	return 0;
}

void stream_begin_input(struct stream *s)
{
	struct stat st;

	if (fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode))
		s->file = streamfile_open(s->fd, false);
}

void stream_end_input(struct stream *s)
{
	if (s->file)
		streamfile_end_read(s->file);
}

void stream_close(struct stream *s)
{
	int error = errno;

	streamfile_free(s->file);
	s->file = NULL;
	if (s->own_pipe)
		close(s->pipe);
	s->own_pipe = false;
	errno = error;
}

/* What one vector instruction takes, aligned as memory of malloc and mmap is. */
typedef uint64_t words __attribute__((vector_size(16), may_alias));

bool stream_is_zero(const uint8_t *page)
{
	const words *w = (const words *)(const void *)page, *end = w + XYL_PAGE_BYTES / sizeof(*w);

	for (; w < end; w += 16) {
		words all = w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7] | w[8] | w[9] | w[10] |
		            w[11] | w[12] | w[13] | w[14] | w[15];

		if (all[0] | all[1])
			return false;
	}
	return true;
}

size_t stream_add_page(const struct stream *s, struct iovec *parts, size_t count, uint8_t *page)
{
	static const uint8_t zeros[XYL_PAGE_BYTES];
	struct iovec *last = count ? &parts[count - 1] : NULL;

	if (s->sparse && page && stream_is_zero(page))
		page = NULL;
	if (!s->sparse && !page)
		page = (uint8_t *)(uintptr_t)zeros;
	if (last &&
	    (page ? last->iov_base && (uint8_t *)last->iov_base + last->iov_len == page : !last->iov_base)) {
		last->iov_len += XYL_PAGE_BYTES;
		return count;
	}
	parts[count] = (struct iovec){ page, XYL_PAGE_BYTES };
	return count + 1;
}

/* How many of the parts, from the first on, are no holes; of those that fit into one call. */
static int solid(const struct iovec *parts, size_t count)
{
	int n = 0;

	while (n < IOV_MAX && (size_t)n < count && (parts[n].iov_base || !parts[n].iov_len))
		n++;
	return n;
}

/*
 * One write of parts that are no holes, which does not wait. Where only the caller's descriptor is there, it takes a page
 * without waiting when it is ready, and may wait for what is more than that.
 */
static ssize_t write_parts(struct stream *s, const struct iovec *parts, int count)
{
	struct iovec piece[PIPE_PARTS];
	size_t left = XYL_PAGE_BYTES;
	int n = 0;

	if (s->socket) {
		struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)parts,
			                  .msg_iovlen = (size_t)count };

		return sendmsg(s->fd, &message, MSG_DONTWAIT);
	}
	if (!s->may_wait || s->own_pipe)
		return writev(s->own_pipe ? s->pipe : s->fd, parts, count);
	for (; n < count && n < PIPE_PARTS && left; n++) {
		piece[n] = parts[n];
		if (piece[n].iov_len > left)
			piece[n].iov_len = left;
		left -= piece[n].iov_len;
	}
	return writev(s->fd, piece, n);
}

static int write_file(struct stream *s, const struct iovec *parts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (streamfile_write(s->file, parts[i].iov_base, parts[i].iov_len) < 0)
			return stream_fail(s, errno, "cannot write: %s", strerror(errno));
		s->progress.bytes_done += parts[i].iov_len;
	}
	return 0;
}

uint8_t *stream_room(const struct stream *s, size_t *bytes)
{
	*bytes = 0;
	return s->file ? streamfile_room(s->file, bytes) : NULL;
}

int stream_filled(struct stream *s, size_t bytes)
{
	s->progress.bytes_done += bytes;
	if (streamfile_filled(s->file, bytes) < 0)
		return stream_fail(s, errno, "cannot write: %s", strerror(errno));
	return 0;
}

int stream_write(struct stream *s, struct iovec *parts, size_t count)
{
	if (s->file)
		return write_file(s, parts, count);
	parts = advance(parts, &count, 0);
	while (count) {
		int filled = solid(parts, count);
		ssize_t n = (ssize_t)parts->iov_len;

		if (filled && s->may_wait && !s->own_pipe && !s->socket && wait_for(s, POLLOUT) < 0)
			return -1;
		if (filled)
			n = write_parts(s, parts, filled);
		else if (lseek(s->fd, n, SEEK_CUR) < 0)
			n = -1;
		if (n < 0) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN) {
				if (wait_for(s, POLLOUT) < 0)
					return -1;
				continue;
			}
			return stream_fail(s, errno, "cannot write: %s", strerror(errno));
		}
		s->progress.bytes_done += (uint64_t)n;
		parts = advance(parts, &count, (size_t)n);
	}
	return 0;
}

int stream_put(struct stream *s, uint32_t type, const void *head, size_t head_bytes, const void *body,
               size_t body_bytes)
{
	static const char zero[STREAM_ALIGN];
	size_t bytes = head_bytes + body_bytes;
	struct stream_record record = { type, (uint32_t)bytes };
	struct iovec parts[] = {
		{ &record, sizeof(record) },
		{ (void *)(uintptr_t)head, head_bytes },
		{ (void *)(uintptr_t)body, body_bytes },
		{ (void *)(uintptr_t)zero, (STREAM_ALIGN - bytes % STREAM_ALIGN) % STREAM_ALIGN },
	};

	return stream_write(s, parts, 4);
}
