/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes and contents.
 *
 * Invariants: every node but "/" has a parent; a node's owner (the first permission entry) is a domain that
 * the store knows, and the node is in that domain's list; counts and bytes of the owner include it. Does not
 * check permissions, fire watches or know transactions.
 */
#include "tree.h"
#include "domain.h"
#include "store.h"

#include <string.h>

struct content *content_new(const struct perm *perms, unsigned int perm_count, const void *value,
                            uint32_t len)
{
	struct content *c = g_malloc(sizeof(*c) + perm_count * sizeof(*perms) + len);

	c->refs = 1;
	c->perm_count = perm_count;
	c->value_len = len;
	c->writer = 0;
	memcpy(c->perms, perms, perm_count * sizeof(*perms));
	if (len)
		memcpy(&c->perms[perm_count], value, len);
	return c;
}

struct content *content_ref(struct content *c)
{
	c->refs++;
	return c;
}

void content_unref(struct content *c)
{
	if (c && --c->refs == 0)
		g_free(c);
}

size_t content_bytes(const struct content *c)
{
	return sizeof(*c) + c->perm_count * sizeof(c->perms[0]) + c->value_len;
}

char *path_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (path[1] == '\0')
		return NULL;
	return slash == path ? g_strdup("/") : g_strndup(path, slash - path);
}

struct node *tree_find(struct store *s, const char *path)
{
	return (struct node *)pathtab_find(&s->nodes, path);
}

static void children_changed(struct store *s, struct node *n, uint16_t writer)
{
	n->children_gen = ++s->gen;
	n->children_writer = writer;
	g_clear_pointer(&n->list, g_free);
	s->work++;
}

static size_t leaf_bytes(const struct node *n)
{
	return n->ent.len - n->leaf_at + 1;
}

/* So many bytes of a list that is made cost as much as a request. */
#define LIST_BYTES_PER_WORK 64

const char *tree_list(struct store *s, struct node *n)
{
	char *to;

	if (n->list || !n->first)
		return n->list;
	to = n->list = g_malloc(n->children_bytes);
	for (struct node *child = n->first; child; child = child->next) {
		memcpy(to, node_leaf(child), leaf_bytes(child));
		to += leaf_bytes(child);
	}
	s->work += n->children_bytes / LIST_BYTES_PER_WORK;
	return n->list;
}

static void node_link(struct store *s, struct node *n, struct node *parent, uint16_t writer)
{
	n->parent = parent;
	if (!parent)
		return;
	n->prev = parent->last;
	if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	parent->last = n;
	parent->children_bytes += leaf_bytes(n);
	children_changed(s, parent, writer);
}

struct node *tree_put(struct store *s, const char *path, struct content *c)
{
	struct node *n = tree_find(s, path);
	struct domain *owner = domain_find(s, c->perms[0].domid);

	if (n) {
		domain_disown(n);
		content_unref(n->content);
	} else {
		g_autofree char *up = path_parent(path);

		n = g_new0(struct node, 1);
		pathtab_add(&s->nodes, &n->ent, path);
		n->leaf_at = strrchr(path, '/') + 1 - path;
		n->children_gen = ++s->gen;
		node_link(s, n, up ? tree_find(s, up) : NULL, c->writer);
	}
	n->content = c;
	domain_own(owner, n);
	return n;
}

void tree_drop(struct store *s, struct node *n, uint16_t writer)
{
	struct node *parent = n->parent;

	g_assert(!n->first && parent);
	if (n->prev)
		n->prev->next = n->next;
	else
		parent->first = n->next;
	if (n->next)
		n->next->prev = n->prev;
	else
		parent->last = n->prev;
	parent->children_bytes -= leaf_bytes(n);
	children_changed(s, parent, writer);
	domain_disown(n);
	content_unref(n->content);
	pathtab_remove(&s->nodes, &n->ent);
	g_free(n->list);
	g_free(n);
}
