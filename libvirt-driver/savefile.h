/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file of a saved guest, in the format of libvirt's own Xen driver (libvirt 9.0.0, src/libxl/libxl_conf.h), so that each
 * of the two restores what the other has saved: a header of 64 bytes, the domain's XML, and libxl's stream (libxenctrl).
 *
 * A file says by its magic whether it is complete: it gets that when all of it is on the disk.
 */
#ifndef XYLEM_SAVEFILE_H
#define XYLEM_SAVEFILE_H

#include <stdbool.h>

/* All report a libvirt error that names the file. The descriptors are the caller's. */

/* A new file, or what was there is overwritten; the stream goes where the descriptor stands. -1: failed. */
int savefile_create(const char *path, const char *xml, bool paused);
/* All of the stream is in it: now it is complete, and durable. no_cache: it leaves dom0's page cache. 0 or -1. */
int savefile_complete(const char *path, int fd, bool no_cache);
/* A complete one, for reading (or, with write, for savefile_set_xml() too); the descriptor stands at the stream. xml: to be
 * freed with g_free(). -1: failed. */
int savefile_open(const char *path, bool write, char **xml, bool *paused);
/* Another XML and state for a file that was opened with write; it has to fit into the room of the old one. 0 or -1. */
int savefile_set_xml(const char *path, int fd, const char *xml, bool paused);
/* used: its guest is about to run, so that what is saved is of no use any more; false takes that back. 0 or -1. */
int savefile_use(const char *path, bool used);
/* Whether the file is there and complete; whether it is one that never becomes so, or was used. No error is reported. */
bool savefile_is_complete(const char *path);
bool savefile_is_dead(const char *path);
/* Whatever it says, it is not complete any more; it goes, if it is a regular file. */
void savefile_discard(const char *path);

#endif
