/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Private: the bytes of a regular file past the page cache. A page of a guest that goes through the cache costs ten times what
 * its copy costs, and takes memory of dom0's, where nobody wants it a second time.
 *
 * Whole blocks are read and written by a descriptor of our own, for which O_DIRECT holds; the rest, and all of it where the
 * file cannot do that, by the caller's. The caller's stands where it should at the beginning and after streamfile_end_*.
 */
#ifndef XYLEM_LIBXENCTRL_STREAMFILE_H
#define XYLEM_LIBXENCTRL_STREAMFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "private.h"

struct streamfile;

/* Of a regular file that is open for writing (or for reading); NULL: this file has to be taken through the cache. */
XYL_HIDDEN struct streamfile *streamfile_open(int fd, bool writes);
XYL_HIDDEN void streamfile_free(struct streamfile *f);

/* The errors are errno's of write(2). data NULL: zeros, which become holes where they are whole blocks. */
XYL_HIDDEN int streamfile_write(struct streamfile *f, const void *data, size_t bytes) XYL_MUST_USE;
/* Where what comes next may be put, and *bytes: how much there is room for, at least one. Then: so much stands there. */
XYL_HIDDEN uint8_t *streamfile_room(const struct streamfile *f, size_t *bytes);
XYL_HIDDEN int streamfile_filled(struct streamfile *f, size_t bytes) XYL_MUST_USE;
XYL_HIDDEN int streamfile_end_write(struct streamfile *f) XYL_MUST_USE;

/* As read(2): up to so many bytes; 0 at the end. */
XYL_HIDDEN ssize_t streamfile_read(struct streamfile *f, void *data, size_t bytes) XYL_MUST_USE;
/*
 * What comes next, read ahead: *data of so many bytes, which stand there until the next call, or NULL where it is a hole of so
 * many. 0: the end; -1 as read(2).
 */
XYL_HIDDEN ssize_t streamfile_next(struct streamfile *f, const uint8_t **data) XYL_MUST_USE;
/*
 * What the file has so far ahead of the next byte: a hole, or data; *bytes becomes how far that goes (more than 0, though the
 * file may end before). A file that is changed meanwhile may have something else by now.
 */
XYL_HIDDEN bool streamfile_hole(const struct streamfile *f, uint64_t ahead, uint64_t *bytes);
/* Passes over bytes of a hole, or that streamfile_next() has shown. */
XYL_HIDDEN void streamfile_pass(struct streamfile *f, uint64_t bytes);
/* The caller's descriptor stands behind what was read. */
XYL_HIDDEN void streamfile_end_read(struct streamfile *f);

#endif
