/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests' kernels and ramdisks in dom0's memory: sealed memfds, so that no disk can die and no file be cut off under them.
 * They are all that xylemd has that can be large. What would leave dom0 with nearly no memory is refused: its kernel would
 * end processes for it, xenstored as soon as any.
 */
#ifndef XYLEMD_IMAGE_H
#define XYLEMD_IMAGE_H

#include <glib.h>

#define IMAGE_MAX_KERNEL_BYTES  (UINT64_C(512) << 20)
#define IMAGE_MAX_RAMDISK_BYTES (UINT64_C(1) << 30)

/* A file's content, or an unpacked kernel, mapped read-only and unchangeable. */
struct image {
	void *data; /* NULL when the size is 0 */
	gsize bytes;
};

void image_clear(struct image *image);
/* Maps the first bytes of a sealed memfd; the descriptor can be closed then. */
gboolean image_map(struct image *image, int memory, gsize bytes);

/* Makes a memfd unchangeable; with errno. Its kernel answers EBUSY while it holds one of the pages itself, as where memory is
 * short: it is asked again for some seconds. */
gboolean image_seal(int memory);

/* What can be told without reading it: a regular file of 1 to max_bytes that fits into the guest's memory.
 * key ("kernel", "ramdisk") and guest go into the message: XD_ERROR_KERNEL. */
gboolean image_check(const char *path, guint64 max_bytes, guint64 guest_kib, const char *guest,
                     const char *key, GError **error);

/* Around all that a build reads, until its images are cleared. Where dom0's memory is short for one, it waits for other builds
 * to end, as long as any of them does not wait itself: guests that are started together start one after the other then. It waits
 * two minutes at most, and no longer when doomed (atomic; NULL: never) is set. Nobody waits for a guest that comes back by itself
 * (restarted, its name; NULL: another one), and it would be lost: it waits as long as it takes, and the log says so each two
 * minutes. Both, and what is read, in one thread. */
void image_use_begin(const gint *doomed, const char *restarted);
void image_use_end(void);
/* Whether this thread's build may wait still, for whatever it is. It looks again after IMAGE_LOOK_US at most. */
gboolean image_may_wait(void);
#define IMAGE_LOOK_US 120000
/* How many wait so, for tests. */
guint image_waiting(void);

/* A regular file's content as a sealed memfd, or -1: XD_ERROR_KERNEL, XD_ERROR_NO_MEMORY. */
int image_open(const char *path, guint64 max_bytes, const char *guest, const char *key, gsize *bytes,
               GError **error);
/* The same, mapped. */
gboolean image_read(struct image *image, const char *path, guint64 max_bytes, const char *guest,
                    const char *key, GError **error);

/* How much of dom0's memory images may still take, in bytes. */
guint64 image_room(void);
/* proc(5), for tests. */
extern const char *image_meminfo;

#endif
