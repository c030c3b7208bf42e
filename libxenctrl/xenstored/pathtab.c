/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of paths; see pathtab.h. Pure: no I/O, no globals but the seed. */
#include "pathtab.h"

#include <glib.h>
#include <string.h>

#define FIRST_BUCKETS 64

static uint64_t hash_seed = 0xbf29ce484222325;
uint64_t pathtab_point = 0x9e3779b97f4a7c1;

void pathtab_seed(uint64_t start, uint64_t point)
{
	hash_seed = start % PATHTAB_PRIME;
	/* 0 and 1 would not tell paths apart. */
	pathtab_point = 2 + point % (PATHTAB_PRIME - 2);
}

uint64_t pathtab_hash_start(void)
{
	return hash_seed;
}

uint64_t pathtab_hash(const char *path, size_t len)
{
	uint64_t h = hash_seed;

	for (size_t i = 0; i < len; i++)
		h = pathtab_hash_step(h, path[i]);
	return h;
}

/* The upper half of a product depends on all bits of both factors. */
static size_t bucket_of(const struct pathtab *t, uint64_t hash)
{
	return (size_t)((hash * (pathtab_point | 1)) >> 32) & (t->bucket_count - 1);
}

void pathtab_init(struct pathtab *t)
{
	t->bucket_count = FIRST_BUCKETS;
	t->buckets = g_new0(struct pathent *, t->bucket_count);
	t->count = 0;
}

void pathtab_fini(struct pathtab *t)
{
	g_free(t->buckets);
	t->buckets = NULL;
	t->bucket_count = t->count = 0;
}

struct pathent *pathtab_find_hashed(const struct pathtab *t, const char *path, size_t len, uint64_t hash)
{
	struct pathent *e;

	for (e = t->buckets[bucket_of(t, hash)]; e; e = e->next)
		if (e->hash == hash && e->len == len && !memcmp(e->path, path, len))
			return e;
	return NULL;
}

struct pathent *pathtab_find(const struct pathtab *t, const char *path)
{
	size_t len = strlen(path);

	return pathtab_find_hashed(t, path, len, pathtab_hash(path, len));
}

static void pathtab_grow(struct pathtab *t)
{
	struct pathent **old = t->buckets;
	size_t old_count = t->bucket_count;

	t->bucket_count *= 2;
	t->buckets = g_new0(struct pathent *, t->bucket_count);
	for (size_t i = 0; i < old_count; i++) {
		struct pathent *e = old[i];

		while (e) {
			struct pathent *next = e->next;
			size_t b = bucket_of(t, e->hash);

			e->next = t->buckets[b];
			t->buckets[b] = e;
			e = next;
		}
	}
	g_free(old);
}

void pathtab_add_hashed(struct pathtab *t, struct pathent *e, const char *path, size_t len, uint64_t hash)
{
	size_t b;

	if (t->count >= t->bucket_count)
		pathtab_grow(t);
	e->len = (uint32_t)len;
	e->path = g_strndup(path, len);
	e->hash = hash;
	b = bucket_of(t, hash);
	e->next = t->buckets[b];
	t->buckets[b] = e;
	t->count++;
}

void pathtab_add(struct pathtab *t, struct pathent *e, const char *path)
{
	size_t len = strlen(path);

	pathtab_add_hashed(t, e, path, len, pathtab_hash(path, len));
}

void pathtab_remove(struct pathtab *t, struct pathent *e)
{
	struct pathent **p = &t->buckets[bucket_of(t, e->hash)];

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	t->count--;
	g_free(e->path);
	e->path = NULL;
}
