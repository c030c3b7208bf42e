/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who in dom0 has a disk's file open besides this process. */
#ifndef XYLEMD_FILEUSE_H
#define XYLEMD_FILEUSE_H

#include <stdbool.h>

/* fd: the file, open for reading only. False when another process has it open for writing, unless that is libvirt's lock
 * manager alone. File systems without leases do not say. */
bool fileuse_quiet(int fd);
/* Whether libvirt's lock manager has the file open, and nobody else: it locks a disk for its guest, and keeps it open for
 * that. Root's own processes are trusted to be what their name says. */
bool fileuse_only_lock_manager(int fd);

#endif
