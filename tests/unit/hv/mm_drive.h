/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drives mm and the memory hypercalls by a string of bytes: from a random generator in the property test,
 * from libFuzzer in the fuzz target. Three domains, four CPUs with stale TLBs. After each operation no stale
 * translation may break isolation; now and then, and at the end, every reference is recounted; at the end the
 * domains are destroyed and all memory must be back.
 */
#ifndef MM_DRIVE_H
#define MM_DRIVE_H

#include <stddef.h>
#include <stdint.h>

/* Once per process. */
void mm_drive_init(void);
/* 0, or the number of violations; *failure says which was the first. */
unsigned mm_drive(const uint8_t *data, size_t n, const char **failure);
/* What the runs so far reached: sequences that reach nothing test nothing. */
struct mm_drive_stats {
	unsigned long operations, built, entries, links, grants, preempted, refused, touches, linear,
	        shadowed, cleared, forced;
};
extern struct mm_drive_stats mm_drive_stats;

#endif
