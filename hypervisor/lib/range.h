/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets of integer ranges, sorted and merged. Storage comes from the caller's allocator (mm/heap.c). */
#ifndef LIB_RANGE_H
#define LIB_RANGE_H

#include "lib/types.h"
#include "lib/upward.h"

#define RANGES_MAX 4096 /* 64 KiB */

struct range {
	uint64_t first, last; /* inclusive */
};

struct rangeset {
	struct range *ranges; /* NULL when empty */
	unsigned count, capacity;
};

/* 0, or -ENOMEM, also for more than RANGES_MAX ranges; realloc hands out or grows memory and returns NULL when there is none. */
int rangeset_add(struct rangeset *s, uint64_t first, uint64_t last) __must_check;
int rangeset_remove(struct rangeset *s, uint64_t first, uint64_t last) __must_check;
bool rangeset_contains(const struct rangeset *s, uint64_t first, uint64_t last);
void rangeset_free(struct rangeset *s);

#endif
