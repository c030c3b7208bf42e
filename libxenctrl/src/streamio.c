/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes to and from the descriptor of a save, restore or dump. Makes no hypercalls. */
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "streamformat.h"
#include "streamio.h"

#define WAIT_MS 1000 /* after which a waiting caller is asked whether to go on */

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

int stream_tick(struct stream *s)
{
	if (!s->fn || s->fn(&s->progress, s->data))
		return 0;
	return stream_fail(s, ECANCELED, "it was told to stop");
}

/* Waits until the descriptor is ready; what has an error is ready, since the call itself will say which. */
static int wait_for(struct stream *s, short events)
{
	struct pollfd p = { .fd = s->fd, .events = events };

	for (;;) {
		int n = poll(&p, 1, WAIT_MS);

		if (n > 0)
			return 0;
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

		if (wait_for(s, POLLIN) < 0)
			return -1;
		n = read(s->fd, at, bytes < SSIZE_MAX ? bytes : SSIZE_MAX);
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

int stream_skip(struct stream *s, size_t bytes, const char *what)
{
	char drop[4096];

	while (bytes) {
		size_t n = bytes < sizeof(drop) ? bytes : sizeof(drop);

		if (stream_read(s, drop, n, what) < 0)
			return -1;
		bytes -= n;
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
	if (*count) {
		parts->iov_base = (char *)parts->iov_base + n;
		parts->iov_len -= n;
	}
	return parts;
}

int stream_write(struct stream *s, struct iovec *parts, size_t count)
{
	parts = advance(parts, &count, 0);
	while (count) {
		ssize_t n = writev(s->fd, parts, count < IOV_MAX ? (int)count : IOV_MAX);

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
