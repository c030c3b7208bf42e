/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nodes and their contents. */
#ifndef XENSTORED_TREE_H
#define XENSTORED_TREE_H

#include "store.h"

struct content *content_new(const struct perm *perms, unsigned int perm_count, const void *value,
                            uint32_t len);
struct content *content_ref(struct content *c);
void content_unref(struct content *c);
size_t content_bytes(const struct content *c);
struct node *tree_find(struct store *s, const char *path);
/* Gives path the content c (whose reference it takes over); the parent exists, and so does the owner's domain. */
struct node *tree_put(struct store *s, const char *path, struct content *c);
/* Removes a node without children, in the name of the domain writer. */
void tree_drop(struct store *s, struct node *n, uint16_t writer);
/* The leaf names of its children with their NULs, children_bytes in all; valid until the next change. */
const char *tree_list(struct store *s, struct node *n);
/* The parent's path in a fresh string; "/" for top-level nodes; NULL for "/". */
char *path_parent(const char *path);

#endif
