/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hash table whose keys are store paths.
 *
 * Duty: find an entry by its path in constant time, and find the entries of all prefixes of a path in one
 * pass over the path (that is how a change finds the watches above it). Entries are embedded as the first
 * member of their owner's structure; the table owns the buckets only.
 * The hash of a path is the value of a polynomial modulo a prime, whose point is random and secret: whoever does
 * not know the point cannot choose paths that collide.
 */
#ifndef XENSTORED_PATHTAB_H
#define XENSTORED_PATHTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pathent {
	struct pathent *next;
	uint64_t hash;
	uint32_t len;
	char *path; /* NUL-terminated, owned by the structure around */
};

struct pathtab {
	struct pathent **buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
};

/* Seeds the hash; call once, before the first table is filled. */
void pathtab_seed(uint64_t start, uint64_t point);

uint64_t pathtab_hash(const char *path, size_t len);
uint64_t pathtab_hash_start(void);

#define PATHTAB_PRIME ((UINT64_C(1) << 61) - 1)

extern uint64_t pathtab_point; /* below PATHTAB_PRIME */

/* One more byte; the hash of a prefix is the state before the next byte is added. */
static inline uint64_t pathtab_hash_step(uint64_t h, char c)
{
	unsigned __int128 product = (unsigned __int128)(h + (unsigned char)c) * pathtab_point;
	uint64_t folded = (uint64_t)(product & PATHTAB_PRIME) + (uint64_t)(product >> 61);

	return folded >= PATHTAB_PRIME ? folded - PATHTAB_PRIME : folded;
}

void pathtab_init(struct pathtab *t);

/* Frees the buckets; the entries must be gone already or owned elsewhere. */
void pathtab_fini(struct pathtab *t);

/* Returns the entry, or NULL. path need not be NUL-terminated. */
struct pathent *pathtab_find_hashed(const struct pathtab *t, const char *path, size_t len, uint64_t hash);
struct pathent *pathtab_find(const struct pathtab *t, const char *path);

/* Adds e under path, of which it takes a copy; the path must not be there yet. */
void pathtab_add(struct pathtab *t, struct pathent *e, const char *path);
/* The same for the first len bytes of path, whose hash is known. */
void pathtab_add_hashed(struct pathtab *t, struct pathent *e, const char *path, size_t len, uint64_t hash);

/* Takes e out and frees its copy of the path. */
void pathtab_remove(struct pathtab *t, struct pathent *e);

#endif
