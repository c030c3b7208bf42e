/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A regular file past the page cache; see streamfile.h. Makes no hypercalls. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "streamfile.h"

#define ALIGNMENT \
	4096u /* of memory, places in the file and lengths: enough for all but odd devices, which say so */
#define BUFFER     (1u << 20)
#define HOLE_BYTES (8u << 10) /* zeros that are worth a write of their own before them */

struct streamfile {
	int fd;     /* the caller's */
	int direct; /* ours; -1: it turned out that it cannot */
	uint8_t *buffer;
	uint64_t at;       /* where the buffer lies in the file, aligned */
	size_t begin;      /* writing: what is before it in the buffer is not ours */
	size_t filled;     /* bytes in the buffer from its start on */
	size_t next;       /* reading: the next one in the buffer */
	uint64_t hole_end; /* reading: up to there from where it reads all is zeros */
	uint64_t data_end; /* reading: up to there are no holes */
};

struct streamfile *streamfile_open(int fd, bool writes)
{
	struct streamfile *f = calloc(1, sizeof(*f));
	off_t at = lseek(fd, 0, SEEK_CUR);
	char path[32];

	if (!f || at < 0) {
		free(f);
		return NULL;
	}
	f->fd = fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	f->direct = open(path, (writes ? O_WRONLY : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	if (f->direct < 0 || posix_memalign((void **)&f->buffer, ALIGNMENT, BUFFER)) {
		f->buffer = NULL;
		streamfile_free(f);
		return NULL;
	}
	f->begin = (uint64_t)at % ALIGNMENT;
	f->at = (uint64_t)at - f->begin;
	f->filled = writes ? f->begin : 0;
	f->next = writes ? 0 : f->begin;
	return f;
}

void streamfile_free(struct streamfile *f)
{
	int error = errno;

	if (!f)
		return;
	if (f->direct >= 0)
		close(f->direct);
	free(f->buffer);
	free(f);
	errno = error;
}

/* ---- writing ---- */

/* Bytes first..end of the buffer. */
static int put(struct streamfile *f, size_t first, size_t end)
{
	while (first < end) {
		bool whole = f->direct >= 0 && first % ALIGNMENT == 0 && end - first >= ALIGNMENT;
		size_t n = end - first;
		ssize_t done;

		if (whole)
			n -= n % ALIGNMENT;
		else if (f->direct >= 0 && first % ALIGNMENT && n > ALIGNMENT - first % ALIGNMENT)
			n = ALIGNMENT - first % ALIGNMENT; /* up to where whole blocks begin */
		done = pwrite(whole ? f->direct : f->fd, f->buffer + first, n, (off_t)(f->at + first));
		if (done > 0) {
			first += (size_t)done;
		} else if (whole && done < 0 && errno == EINVAL) {
			close(f->direct);
			f->direct = -1;
		} else if (done == 0 || errno != EINTR) {
			errno = done == 0 ? ENOSPC : errno;
			return -1;
		}
	}
	return 0;
}

static int flush(struct streamfile *f)
{
	if (put(f, f->begin, f->filled) < 0)
		return -1;
	f->at += f->filled;
	f->begin = f->filled = 0;
	return 0;
}

/* Zeros: up to the next whole block they are written, the last ones, behind whole blocks, stand in the buffer. */
static int write_zeros(struct streamfile *f, size_t bytes)
{
	while (bytes) {
		size_t room = BUFFER - f->filled;
		size_t n = bytes < room ? bytes : room;

		if (bytes >= HOLE_BYTES && f->filled % ALIGNMENT)
			n = ALIGNMENT - f->filled % ALIGNMENT;
		else if (bytes >= HOLE_BYTES) {
			if (flush(f) < 0)
				return -1;
			f->at += bytes - bytes % ALIGNMENT;
			bytes %= ALIGNMENT;
			continue;
		}
		memset(f->buffer + f->filled, 0, n);
		f->filled += n;
		bytes -= n;
		if (f->filled == BUFFER && flush(f) < 0)
			return -1;
	}
	return 0;
}

int streamfile_write(struct streamfile *f, const void *data, size_t bytes)
{
	const uint8_t *from = data;

	if (!data)
		return write_zeros(f, bytes);
	while (bytes) {
		size_t n = bytes < BUFFER - f->filled ? bytes : BUFFER - f->filled;

		memcpy(f->buffer + f->filled, from, n);
		f->filled += n;
		from += n;
		bytes -= n;
		if (f->filled == BUFFER && flush(f) < 0)
			return -1;
	}
	return 0;
}

uint8_t *streamfile_room(const struct streamfile *f, size_t *bytes)
{
	*bytes = BUFFER - f->filled;
	return f->buffer + f->filled;
}

int streamfile_filled(struct streamfile *f, size_t bytes)
{
	f->filled += bytes;
	return f->filled == BUFFER ? flush(f) : 0;
}

int streamfile_end_write(struct streamfile *f)
{
	uint64_t end = f->at + f->filled;

	/* a file that ends in a hole gets its length */
	if (put(f, f->begin, f->filled) < 0 || ftruncate(f->fd, (off_t)end) < 0)
		return -1;
	f->begin = f->filled;
	return lseek(f->fd, (off_t)end, SEEK_SET) < 0 ? -1 : 0;
}

/* ---- reading ---- */

/* Whether a hole is at this place; *end: where that changes, behind it. All is data where the file system does not know. */
static bool hole_at(const struct streamfile *f, uint64_t place, uint64_t *end)
{
	off_t data = lseek(f->direct, (off_t)place, SEEK_DATA), hole;
	struct stat st;

	if (data < 0 && errno == ENXIO && fstat(f->fd, &st) == 0)
		data = st.st_size; /* the last of it is a hole, or nothing is there */
	if (data > (off_t)place) {
		*end = (uint64_t)data;
		return true;
	}
	hole = data < 0 ? -1 : lseek(f->direct, (off_t)place, SEEK_HOLE);
	*end = hole > (off_t)place ? (uint64_t)hole : UINT64_MAX;
	return false;
}

bool streamfile_hole(const struct streamfile *f, uint64_t ahead, uint64_t *bytes)
{
	uint64_t place = f->at + f->next + ahead, end = UINT64_MAX;
	bool hole = f->direct >= 0 && hole_at(f, place, &end);

	*bytes = end - place;
	return hole;
}

void streamfile_pass(struct streamfile *f, uint64_t bytes)
{
	f->next += bytes;
}

/* Reads the buffer anew, from the block on in which the place lies. */
static ssize_t fill(struct streamfile *f, uint64_t place)
{
	size_t bytes = BUFFER;
	ssize_t n;

	f->at = place - place % ALIGNMENT;
	f->next = place % ALIGNMENT;
	f->filled = 0;
	/* not far into a hole, whose zeros cost more as bytes */
	if (f->data_end > place && f->data_end - f->at < BUFFER)
		bytes = (f->data_end - f->at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	do
		n = pread(f->direct >= 0 ? f->direct : f->fd, f->buffer, bytes, (off_t)f->at);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EINVAL && f->direct >= 0) {
		close(f->direct);
		f->direct = -1;
		return fill(f, place);
	}
	if (n > 0)
		f->filled = (size_t)n;
	return n;
}

ssize_t streamfile_next(struct streamfile *f, const uint8_t **data)
{
	uint64_t place = f->at + f->next;

	if (f->next >= f->filled) {
		if (f->direct >= 0 && place >= f->data_end && place >= f->hole_end) {
			uint64_t end = place;

			*(hole_at(f, place, &end) ? &f->hole_end : &f->data_end) = end;
		}
		if (place < f->hole_end) {
			*data = NULL;
			return f->hole_end - place < SSIZE_MAX ? (ssize_t)(f->hole_end - place) : SSIZE_MAX;
		}
		if (fill(f, place) < 0)
			return -1;
		if (f->next >= f->filled)
			return 0;
	}
	*data = f->buffer + f->next;
	return (ssize_t)(f->filled - f->next);
}

ssize_t streamfile_read(struct streamfile *f, void *data, size_t bytes)
{
	const uint8_t *from = NULL;
	ssize_t n = streamfile_next(f, &from);

	if (n <= 0)
		return n;
	if ((size_t)n > bytes)
		n = (ssize_t)bytes;
	if (from)
		memcpy(data, from, (size_t)n);
	else
		memset(data, 0, (size_t)n);
	f->next += (size_t)n;
	return n;
}

void streamfile_end_read(struct streamfile *f)
{
	(void)!lseek(f->fd, (off_t)(f->at + f->next), SEEK_SET);
}
