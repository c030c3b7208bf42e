/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Settings that the toolstack reads or changes in more than one call, and the version that all of them tell. */
#ifndef HYPERCALL_SETTINGS_H
#define HYPERCALL_SETTINGS_H

#include "lib/types.h"
#include "lib/release.h"

#define XYLEM_ABI_MAJOR    XEN_RELEASE_MAJOR
#define XYLEM_ABI_MINOR    XEN_RELEASE_MINOR
#define XYLEM_EXTRAVERSION "-xylem"

/* What a new domain gets that asks for the default, and can ask for at the most; changed through hypfs. READ_ONCE,
 * WRITE_ONCE. domctl.c. */
extern unsigned default_grant_frames, default_maptrack_frames;

#endif
