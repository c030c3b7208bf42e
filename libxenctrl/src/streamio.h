/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private: bytes to and from the descriptor of a save, restore or dump, its progress, and its errors' first words. */
#ifndef XYLEM_LIBXENCTRL_STREAMIO_H
#define XYLEM_LIBXENCTRL_STREAMIO_H

#include <sys/uio.h>

#include "private.h"

struct stream {
	int fd;
	uint32_t domid;
	const char *verb; /* "save", "restore", "dump": of the messages */
	xyl_progress_fn *fn;
	void *data;
	struct xyl_progress progress;
	uint64_t told_ms; /* when the progress was told */
	bool sparse;      /* pages of zeros become holes of a file */
	bool may_wait;    /* it is written to what can be full: a pipe, a socket */
	bool socket;
	bool own_pipe; /* fd is a pipe, and there is a descriptor of it that does not block: */
	int pipe;
	struct streamfile *file; /* past the page cache; or NULL */
};

/* errno EBADMSG and "domain N: cannot VERB it: TEXT". Always -1. */
XYL_HIDDEN int stream_bad(const struct stream *s, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
/* As stream_bad, with another errno value. */
XYL_HIDDEN int stream_fail(const struct stream *s, int error, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* Puts "domain N: cannot VERB it: " before the message that a call of the library has left; keeps errno. Always -1. */
XYL_HIDDEN int stream_because(const struct stream *s);

/* Tells the progress; ECANCELED when the caller wants no more. */
XYL_HIDDEN int stream_tick(struct stream *s) XYL_MUST_USE;
/*
 * Reads exactly bytes, on a blocking or a non-blocking descriptor; while none or few come, the progress function is called
 * each second. what says what they are. Errors: EBADMSG the stream ends, EIO and others of read(2), ECANCELED.
 */
XYL_HIDDEN int stream_read(struct stream *s, void *buffer, size_t bytes, const char *what) XYL_MUST_USE;
/*
 * Whether the stream has a hole of a file so far ahead, whose bytes are zeros; *bytes: how far that goes, or data.
 */
XYL_HIDDEN bool stream_hole(const struct stream *s, uint64_t ahead, uint64_t *bytes);
/* Of a file that is read past the page cache: what comes next, and of how many bytes that is known; or NULL. Stands there until the
 * next call but stream_pass(). */
XYL_HIDDEN const uint8_t *stream_next(struct stream *s, size_t *bytes);
/* Passes over bytes that stream_hole() has seen to be a hole's, or that stream_next() has shown. */
XYL_HIDDEN void stream_pass(struct stream *s, uint64_t bytes);
/* Reads and drops; the progress function is called each MiB. */
XYL_HIDDEN int stream_skip(struct stream *s, size_t bytes, const char *what) XYL_MUST_USE;
/*
 * Before the first write: finds out whether it may have to wait, and whether holes can be left, which they can in a file
 * that is written at its end.
 */
XYL_HIDDEN void stream_begin_output(struct stream *s);
/* After the last one: all is with the kernel, and a file that ends in a hole gets its length. */
XYL_HIDDEN int stream_end_output(struct stream *s) XYL_MUST_USE;
/* Before the first read, and after the last one: the descriptor stands behind what was read, not further. */
XYL_HIDDEN void stream_begin_input(struct stream *s);
XYL_HIDDEN void stream_end_input(struct stream *s);
/* Lets go of all but the caller's descriptor; keeps errno. Of a stream without its end not all may be in the file. */
XYL_HIDDEN void stream_close(struct stream *s);
/* Whether a page, aligned to 16 bytes, has nothing but zeros. */
XYL_HIDDEN bool stream_is_zero(const uint8_t *page);
/*
 * Puts a page behind count parts, to the last of them where it lies behind it, or as a hole where it is zeros and there may
 * be one. Returns how many parts there are then. The page is aligned to 16 bytes, or NULL for one of zeros.
 */
XYL_HIDDEN size_t stream_add_page(const struct stream *s, struct iovec *parts, size_t count,
                                  uint8_t *page) XYL_MUST_USE;
/*
 * Writes all of it; the vectors are used up. A part without a base is a hole. Where it has to wait, on a blocking
 * descriptor, too, the progress function is called each second.
 */
XYL_HIDDEN int stream_write(struct stream *s, struct iovec *parts, size_t count) XYL_MUST_USE;
/* Of a file that is written past the page cache: where its next bytes can be put, and how many; NULL where there is no such place.
 * Then: so many have been put there. */
XYL_HIDDEN uint8_t *stream_room(const struct stream *s, size_t *bytes);
XYL_HIDDEN int stream_filled(struct stream *s, size_t bytes) XYL_MUST_USE;
/* Writes one record: header, body in up to two parts, padding. */
XYL_HIDDEN int stream_put(struct stream *s, uint32_t type, const void *head, size_t head_bytes,
                          const void *body, size_t body_bytes) XYL_MUST_USE;

#endif
