/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locks of guests' disks. */
#ifndef XYLEM_LOCKS_H
#define XYLEM_LOCKS_H

#include "internal.h"
#include "domain_conf.h"

#include "xylem.h"

/* Reads the stock driver's file; logs each setting that has no effect here, and returns how many there are. */
unsigned int locks_read_conf(const char *file);
void locks_close(void);
/* The locks of a guest's disks, or of one; NULL when there are none to be taken. Later changes of def are of no concern. */
struct disk_locks *locks_new(const virDomainDef *def, virStorageSource *only);
void locks_free(struct disk_locks *locks);
/* All or none, 0 or -1 with an error. Asks another process: no object may be locked. locks may be NULL in both. */
int locks_take(struct disk_locks *locks);
/* Whether the kernel still serves a disk of a domain that xylemd does not tell of: what is on its way is written yet. */
bool locks_needed(int domid);
/* The same of a guest's disks that QEMU serves. */
bool locks_image_served(const virDomainDef *def);
extern const char *locks_backends_dir; /* where it shows that; the tests' is another one */
extern const char *locks_qemus_dir;    /* of xylemd's folders of QEMUs, likewise */
/* What cannot be released is logged. */
void locks_drop(struct disk_locks *locks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(disk_locks_t, locks_free)

#endif
