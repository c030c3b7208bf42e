/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private: page tables of a PV guest between frames (in memory) and pfns (in a stream). */
#ifndef XYLEM_LIBXENCTRL_PVTABLES_H
#define XYLEM_LIBXENCTRL_PVTABLES_H

#include "private.h"

/* What stands for a frame or pfn in the other numbering; XYL_PAGE_NONE: nothing does. */
typedef uint64_t pvtables_fn(const void *data, uint64_t frame);

enum pvtables_result { PVTABLES_OK, PVTABLES_UNKNOWN, PVTABLES_LARGE };

/*
 * Copies a table of a level (1 to 4) and turns the frame of each present entry into what fn says. The entries of an L4 that
 * belong to the hypervisor become 0. What cannot be is told, and *entry is the one: PVTABLES_UNKNOWN fn does not know its
 * frame, PVTABLES_LARGE it maps a large page. from and to may be the same.
 */
XYL_HIDDEN enum pvtables_result pvtables_translate(const uint64_t from[512], uint64_t to[512], unsigned level,
                                                   pvtables_fn *fn, const void *data,
                                                   uint64_t *entry) XYL_MUST_USE;

#endif
