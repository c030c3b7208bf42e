/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Settings that the toolstack reads or changes in more than one call, and the version that all of them tell. */
#ifndef HYPERCALL_SETTINGS_H
#define HYPERCALL_SETTINGS_H

#define XYLEM_ABI_MAJOR       4
#define XYLEM_ABI_MINOR       17
#define XYLEM_EXTRAVERSION    "-xylem"

#define GRANT_FRAMES_LIMIT    65536
#define MAPTRACK_FRAMES_LIMIT 65536

/* What a new domain gets that asks for the default; changed through hypfs. READ_ONCE, WRITE_ONCE. domctl.c. */
extern unsigned default_grant_frames, default_maptrack_frames;

#endif
