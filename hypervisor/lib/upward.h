/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that lib/ calls of higher layers; tests/lint/layers.py compares this list with the objects' symbols. */
#ifndef LIB_UPWARD_H
#define LIB_UPWARD_H

#include <stddef.h>

/* mm/heap.c, or the host's: the allocator behind range sets. NULL when out of memory. */
void *range_realloc(void *old, size_t old_bytes, size_t new_bytes);

#endif
