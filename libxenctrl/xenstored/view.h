/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tree as a transaction, or nobody's, sees it (t is NULL outside of transactions). */
#ifndef XENSTORED_VIEW_H
#define XENSTORED_VIEW_H

#include "store.h"

struct txn *txn_start(struct conn *c, uint32_t *id);
struct txn *txn_find(struct conn *c, uint32_t id);
void txn_abort(struct txn *t);
void txn_abort_all(struct conn *c);
int txn_commit(struct txn *t); /* 0, EAGAIN on conflict, ENOSPC over quota; t is gone in any case */
/* The client changed path, which was put before: an event is due at commit. */
void txn_changed(struct txn *t, const char *path);
int view_get(struct conn *c, struct txn *t, const char *path, struct content **out); /* *out NULL: absent */
/* The first bytes of a path, and their hash: who looks at all nodes above one computes that once. */
struct pathref {
	const char *path;
	size_t len;
	uint64_t hash;
};
int view_get_at(struct conn *c, struct txn *t, const struct pathref *p, struct content **out);
int view_put(struct conn *c, struct txn *t, const char *path, struct content *content);
int view_remove(struct conn *c, struct txn *t, const char *path);
/* Removes path and what is below from the tree itself, in the name of the domain writer, and tells the
 * watches. */
void view_drop(struct store *s, const char *path, uint16_t writer);
/* Leaf names with their NULs; gen changes whenever the list does (outside transactions). What *names points to
 * stands in the tree or in made, and is valid until the next change. */
int view_list(struct conn *c, struct txn *t, const char *path, GString *made, const char **names,
              size_t *bytes, uint64_t *gen);

#endif
