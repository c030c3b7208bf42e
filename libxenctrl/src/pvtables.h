/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private: page tables of a PV guest between frames (in memory) and pfns (in a stream). */
#ifndef XYLEM_LIBXENCTRL_PVTABLES_H
#define XYLEM_LIBXENCTRL_PVTABLES_H

#include <stdbool.h>
#include <string.h>

#include "private.h"

/* What stands for a frame or pfn in the other numbering; XYL_PAGE_NONE: nothing does. */
typedef uint64_t pvtables_fn(void *data, uint64_t frame);
/* The same for the frame behind the one that was asked for last, if that costs less to tell; XYL_PAGE_NONE: ask for it. */
typedef uint64_t pvtables_next_fn(void *data);

enum pvtables_result { PVTABLES_OK, PVTABLES_UNKNOWN, PVTABLES_LARGE };

#define PVTABLES_ENTRIES   512u
#define PVTABLES_PRESENT   1u
#define PVTABLES_LARGE_BIT 0x80u /* at level 2 and 3; at level 1 a bit of the cache's */
#define PVTABLES_FRAMES    UINT64_C(0x000ffffffffff000) /* the bits with the frame's number */
#define PVTABLES_XEN_FIRST 256u                         /* the hypervisor's entries in an L4 */
#define PVTABLES_XEN_LAST  271u

/* Most tables are nearly empty. */
static inline bool pvtables_eight_zeros(const uint64_t *e)
{
	return !(e[0] | e[1] | e[2] | e[3] | e[4] | e[5] | e[6] | e[7]);
}

/*
 * Copies a table of a level (1 to 4) and turns the frame of each present entry into what fn says, or next, which may be NULL.
 * The entries of an L4 that belong to the hypervisor become 0. What cannot be is told, and *entry is the one:
 * PVTABLES_UNKNOWN fn does not know its frame, PVTABLES_LARGE it maps a large page. from and to may be the same. Makes no
 * hypercalls. Inline, so that the functions are, too: a guest stands still meanwhile. Source: xen/arch-x86/xen-x86_64.h, SDM
 * volume 3, 4.5.
 */
static inline enum pvtables_result pvtables_translate(const uint64_t from[512], uint64_t to[512],
                                                      unsigned level, pvtables_fn *fn, pvtables_next_fn *next,
                                                      void *data, uint64_t *entry)
{
	uint64_t large = level > 1 ? PVTABLES_LARGE_BIT : 0;
	unsigned i = 0;

	while (i < PVTABLES_ENTRIES) {
		uint64_t e = from[i], frame;

		if (i % 8 == 0 && (pvtables_eight_zeros(from + i) ||
		                   (level == 4 && i >= PVTABLES_XEN_FIRST && i <= PVTABLES_XEN_LAST))) {
			memset(to + i, 0, 8 * sizeof(*to));
			i += 8;
			continue;
		}
		if (!(e & PVTABLES_PRESENT)) {
			to[i++] = e;
			continue;
		}
		frame = e & large ? XYL_PAGE_NONE : fn(data, (e & PVTABLES_FRAMES) >> 12);
		if (frame == XYL_PAGE_NONE) {
			*entry = e;
			return e & large ? PVTABLES_LARGE : PVTABLES_UNKNOWN;
		}
		to[i++] = (e & ~PVTABLES_FRAMES) | frame << 12;
		/* What maps all of a guest's memory is most of what there is to do: one frame behind the other. */
		for (; level == 1 && next && i < PVTABLES_ENTRIES; i++) {
			if (from[i] != e + XYL_PAGE_BYTES || (frame = next(data)) == XYL_PAGE_NONE)
				break;
			e += XYL_PAGE_BYTES;
			to[i] = (e & ~PVTABLES_FRAMES) | frame << 12;
		}
	}
	return PVTABLES_OK;
}

#endif
