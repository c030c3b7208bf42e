/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks of guests on dom0's side: what a disk's source is, who uses it, and loop devices for files.
 *
 * Invariants: for each source in use there is one claim, which names its users. A block device that is not
 * shareable is held open exclusively (O_EXCL), so that dom0 cannot mount it, nor md or device-mapper take it,
 * while a guest has it. Loop devices are autoclearing: they go when their last user (blkback, or this
 * process) closes them, even if this process is killed. No lock is held across a call that may wait for a
 * disk.
 */
#ifndef XYLEMD_DISK_H
#define XYLEMD_DISK_H

#include <glib.h>
#include <stdint.h>

#include "guestconf.h"

struct disk;

/*
 * Opens and claims a disk for the guest called `guest`. Errors: XD_ERROR_DEVICE missing, of the wrong kind,
 * in use, mounted, no loop device to be had; the message names guest, vdev and source.
 */
struct disk *disk_open(const struct disk_conf *conf, const char *guest, GError **error);
/*
 * For a guest that runs already (found at start): claims without the checks that its own backend would fail, and
 * without making a loop device. Never fails; what cannot be claimed is logged.
 *
 * In two steps, because the disk may not answer: the first remembers the source and does not touch it; until the second,
 * which does, is through, disk_open() refuses the same path, and waits a while for all others.
 */
struct disk *disk_adopt_begin(const struct disk_conf *conf, const char *guest);
void disk_adopt(struct disk *disk, const struct disk_conf *conf);
void disk_close(struct disk *disk);
/* Whether this process holds the device. What was adopted and not to be had must be closed and opened again
 * before the guest's next domain: its number is not known, or is free to be somebody else's. */
bool disk_is_open(const struct disk *disk);

/*
 * An image that QEMU serves: it is handed a descriptor. What the image says of itself is looked at once more, since its
 * last user may have been a QEMU that a guest had in its hands. direct: it goes past the page cache. The descriptor stays the
 * disk's. -1: XD_ERROR_DEVICE, XD_ERROR_NOT_SUPPORTED.
 */
int disk_image(struct disk *disk, const struct disk_conf *conf, bool *direct, GError **error);
/* Whether QEMU has it, as far as is known. */
bool disk_is_served(const struct disk *disk);
void disk_set_served(struct disk *disk, bool served);
/* What was written to it is on its disk; waits as long as that takes. Errors: XD_ERROR_DEVICE. */
bool disk_sync(struct disk *disk, GError **error);

/*
 * Makes a disk that a guest uses *bytes long, and says there how long it is: a file grows, and its loop device with it; a
 * block device must have that size by now. Errors: XD_ERROR_INVALID_ARGUMENT it would shrink, XD_ERROR_DEVICE.
 */
bool disk_resize(const struct disk_conf *conf, const char *guest, uint32_t major, uint32_t minor,
                 uint64_t *bytes, GError **error);

/* Its path in dom0: the loop device, or the source; free with g_free(). */
char *disk_path(const struct disk *disk, const struct disk_conf *conf);

/* The block device behind it. */
uint32_t disk_major(const struct disk *disk);
uint32_t disk_minor(const struct disk *disk);

#endif
