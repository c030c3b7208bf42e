/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree as a request sees it: directly, or through its transaction.
 *
 * A transaction is an overlay: one struct tnode for each path that it touched, with the content found there
 * at first (base) and the content it has given it (cur); NULL stands for absent. Contents are immutable, so
 * base is also the proof that nothing changed: at commit the tree's content must still be the same object,
 * and where children were listed or removed, the list must not have changed either. Only then is anything
 * applied, so a transaction happens at the moment of its commit or not at all. Two transactions that add
 * different children to one node do not conflict.
 *
 * Reading one path twice gives one answer, whatever happens outside. Two paths may be read at different
 * states of the tree; such a transaction cannot commit.
 *
 * Permissions and paths have been checked by request.c.
 */
#include "view.h"
#include "conn.h"
#include "domain.h"
#include "store.h"
#include "tree.h"
#include "watch.h"

#include <errno.h>
#include <string.h>

struct tnode {
	struct pathent ent; /* first: in txn.nodes */
	struct content *base, *cur;
	uint64_t children_gen; /* valid with list_dep */
	bool list_dep;         /* the list of children was looked at */
	bool linked;           /* stands in its parent's list of created children */
	bool fire, fire_exact; /* queued among the events */
	unsigned int seq, depth;
	struct tnode *created_first, *created_last, *created_next;
};

struct txn {
	struct conn *conn;
	uint32_t id;
	struct pathtab nodes;
	GPtrArray *order;  /* of struct tnode, as they were touched */
	GPtrArray *events; /* of struct tnode, as they were changed */
	size_t memory_bytes;
};

struct txn *txn_start(struct conn *c, uint32_t *id)
{
	struct txn *t = g_new0(struct txn, 1);

	do {
		t->id = ++c->next_txn;
	} while (!t->id || g_hash_table_contains(c->txns, GUINT_TO_POINTER(t->id)));
	t->conn = c;
	pathtab_init(&t->nodes);
	t->order = g_ptr_array_new();
	t->events = g_ptr_array_new();
	g_hash_table_insert(c->txns, GUINT_TO_POINTER(t->id), t);
	c->dom->txn_count++;
	*id = t->id;
	return t;
}

struct txn *txn_find(struct conn *c, uint32_t id)
{
	return g_hash_table_lookup(c->txns, GUINT_TO_POINTER(id));
}

void txn_abort(struct txn *t)
{
	struct conn *c = t->conn;

	g_hash_table_remove(c->txns, GUINT_TO_POINTER(t->id));
	c->dom->txn_count--;
	c->dom->memory_bytes -= t->memory_bytes;
	for (guint i = 0; i < t->order->len; i++) {
		struct tnode *tn = t->order->pdata[i];

		content_unref(tn->base);
		content_unref(tn->cur);
		pathtab_remove(&t->nodes, &tn->ent);
		g_free(tn);
	}
	g_ptr_array_free(t->order, TRUE);
	g_ptr_array_free(t->events, TRUE);
	pathtab_fini(&t->nodes);
	g_free(t);
}

void txn_abort_all(struct conn *c)
{
	GHashTableIter it;
	gpointer value;

	/* Each abort changes the table: look for the next one from the start. */
	for (;;) {
		g_hash_table_iter_init(&it, c->txns);
		if (!g_hash_table_iter_next(&it, NULL, &value))
			return;
		txn_abort(value);
	}
}

static void txn_charge(struct txn *t, size_t bytes)
{
	t->memory_bytes += bytes;
	t->conn->dom->memory_bytes += bytes;
}

/* So many paths looked up, noted or gone through in a transaction cost as much as a request. */
#define PATHS_PER_WORK 4

static struct node *find_at(struct store *s, const struct pathref *p)
{
	return (struct node *)pathtab_find_hashed(&s->nodes, p->path, p->len, p->hash);
}

static struct pathref ref_of(const struct pathent *e)
{
	return (struct pathref){ e->path, e->len, e->hash };
}

/* The transaction's view of a path, which becomes part of what the commit depends on. */
static int txn_touch_at(struct txn *t, const struct pathref *p, struct tnode **out)
{
	struct tnode *tn = (struct tnode *)pathtab_find_hashed(&t->nodes, p->path, p->len, p->hash);
	struct conn *c = t->conn;
	struct node *n;

	if (!tn) {
		size_t bytes = sizeof(*tn) + p->len;

		/* It keeps what it found, even when others replace that. */
		n = find_at(c->store, p);
		if (n)
			bytes += content_bytes(n->content);
		if (!conn_privileged(c) && t->order->len >= c->store->quotas.transaction_nodes)
			return ENOSPC;
		if (!quota_memory(c, bytes))
			return ENOMEM;
		txn_charge(t, bytes);
		tn = g_new0(struct tnode, 1);
		tn->seq = t->order->len;
		pathtab_add_hashed(&t->nodes, &tn->ent, p->path, p->len, p->hash);
		g_ptr_array_add(t->order, tn);
		c->store->work += t->order->len % PATHS_PER_WORK == 0;
		if (n) {
			tn->base = content_ref(n->content);
			tn->cur = content_ref(n->content);
		}
	}
	*out = tn;
	return 0;
}

static int txn_touch(struct txn *t, const char *path, struct tnode **out)
{
	size_t len = strlen(path);
	struct pathref p = { path, len, pathtab_hash(path, len) };

	return txn_touch_at(t, &p, out);
}

static void txn_event(struct txn *t, struct tnode *tn, bool exact)
{
	if (!tn->fire && !tn->fire_exact)
		g_ptr_array_add(t->events, tn);
	if (exact)
		tn->fire_exact = true;
	else
		tn->fire = true;
}

int view_get_at(struct conn *c, struct txn *t, const struct pathref *p, struct content **out)
{
	struct node *n;
	struct tnode *tn;
	int err;

	if (!t) {
		n = find_at(c->store, p);
		*out = n ? n->content : NULL;
		return 0;
	}
	err = txn_touch_at(t, p, &tn);
	*out = err ? NULL : tn->cur;
	return err;
}

int view_get(struct conn *c, struct txn *t, const char *path, struct content **out)
{
	size_t len = strlen(path);
	struct pathref p = { path, len, pathtab_hash(path, len) };

	return view_get_at(c, t, &p, out);
}

static int txn_put(struct txn *t, const char *path, struct content *content)
{
	g_autofree char *up = path_parent(path);
	struct tnode *tn, *parent;
	int err = txn_touch(t, path, &tn);

	if (!err && !quota_memory(t->conn, content_bytes(content)))
		err = ENOMEM;
	if (!err && up)
		err = txn_touch(t, up, &parent);
	if (err) {
		content_unref(content);
		return err;
	}
	txn_charge(t, content_bytes(content));
	if (tn->cur && tn->cur != tn->base)
		txn_charge(t, -content_bytes(tn->cur));
	content_unref(tn->cur);
	tn->cur = content;
	if (!tn->base && up && !tn->linked) {
		tn->linked = true;
		if (parent->created_last)
			parent->created_last->created_next = tn;
		else
			parent->created_first = tn;
		parent->created_last = tn;
	}
	return 0;
}

int view_put(struct conn *c, struct txn *t, const char *path, struct content *content)
{
	if (t)
		return txn_put(t, path, content);
	tree_put(c->store, path, content);
	return 0;
}

static void fire_removed(struct store *s, const char *path, bool exact, const struct content *before)
{
	g_autofree char *up = path_parent(path);
	struct node *parent = tree_find(s, up);

	watch_fire(s, path, exact, before, NULL, parent ? parent->content : NULL);
}

void view_drop(struct store *s, const char *path, uint16_t writer)
{
	struct node *top = tree_find(s, path), *n = top;
	struct content *content = content_ref(top->content);
	g_autofree char *top_path = g_strdup(path);

	/* Depth first, without recursion: always down to a leaf, which goes. */
	for (;;) {
		struct node *up = n->parent;

		if (n->first) {
			n = n->first;
			continue;
		}
		if (n == top) {
			tree_drop(s, n, writer);
			break;
		}
		watch_fire(s, n->ent.path, true, n->content, NULL, up->content);
		tree_drop(s, n, writer);
		n = up;
	}
	fire_removed(s, top_path, false, content);
	content_unref(content);
}

/* Looks at the children: from now on the commit depends on which they are. */
static void txn_list_dep(struct tnode *tn, const struct node *n)
{
	if (tn->list_dep)
		return;
	tn->list_dep = true;
	tn->children_gen = n ? n->children_gen : 0;
}

static int txn_remove(struct txn *t, const char *path)
{
	struct store *s = t->conn->store;
	GPtrArray *todo = g_ptr_array_new();
	unsigned int looked = 0;
	struct tnode *tn, *top;
	struct pathref p;
	int err = txn_touch(t, path, &top);

	/*
	 * First touch the whole subtree, which may run into a quota, then change it, which cannot fail. todo
	 * grows while it is walked: parents come before their children.
	 */
	if (!err)
		g_ptr_array_add(todo, top);
	for (guint i = 0; !err && i < todo->len; i++) {
		struct node *n;

		tn = todo->pdata[i];
		p = ref_of(&tn->ent);
		n = tn->base ? find_at(s, &p) : NULL;
		txn_list_dep(tn, n);
		for (struct node *child = n ? n->first : NULL; child && !err; child = child->next) {
			struct tnode *below;

			p = ref_of(&child->ent);
			s->work += !(++looked % PATHS_PER_WORK);
			err = txn_touch_at(t, &p, &below);
			if (!err && below->cur && !below->linked)
				g_ptr_array_add(todo, below);
		}
		for (struct tnode *made = tn->created_first; made && !err; made = made->created_next) {
			s->work += !(++looked % PATHS_PER_WORK);
			if (made->cur)
				g_ptr_array_add(todo, made);
		}
	}
	for (guint i = 0; !err && i < todo->len; i++) {
		tn = todo->pdata[i];
		content_unref(tn->cur);
		tn->cur = NULL;
		txn_event(t, tn, tn != top);
	}
	g_ptr_array_free(todo, TRUE);
	return err;
}

int view_remove(struct conn *c, struct txn *t, const char *path)
{
	if (t)
		return txn_remove(t, path);
	view_drop(c->store, path, c->dom->domid);
	return 0;
}

static void list_name(GString *names, const char *path)
{
	const char *leaf = strrchr(path, '/') + 1;

	g_string_append_len(names, leaf, strlen(leaf) + 1);
}

int view_list(struct conn *c, struct txn *t, const char *path, GString *made_names, const char **names,
              size_t *bytes, uint64_t *gen)
{
	struct node *n = tree_find(c->store, path);
	unsigned int looked = 0;
	struct tnode *tn;
	int err;

	*gen = n ? n->children_gen : 0;
	if (!t) {
		*names = tree_list(c->store, n);
		*bytes = n->children_bytes;
		return 0;
	}
	err = txn_touch(t, path, &tn);
	if (err)
		return err;
	if (!tn->base)
		n = NULL;
	txn_list_dep(tn, n);
	for (struct node *child = n ? n->first : NULL; child; child = child->next) {
		struct tnode *below = (struct tnode *)pathtab_find_hashed(&t->nodes, child->ent.path,
		                                                          child->ent.len, child->ent.hash);

		if (!below || (below->cur && !below->linked))
			list_name(made_names, child->ent.path);
		c->store->work += !(++looked % PATHS_PER_WORK);
	}
	for (struct tnode *made = tn->created_first; made; made = made->created_next) {
		if (made->cur)
			list_name(made_names, made->ent.path);
		c->store->work += !(++looked % PATHS_PER_WORK);
	}
	*names = made_names->str;
	*bytes = made_names->len;
	return 0;
}

/* Who removed a node that was at path: the last to change the list in which it stood, or a list above. */
static uint16_t who_removed(struct store *s, const char *path)
{
	g_autofree char *at = path_parent(path);
	struct node *n;

	while (!(n = tree_find(s, at))) {
		char *up = path_parent(at);

		g_free(at);
		at = up;
	}
	return n->children_writer;
}

/* Whether something else changed what t depends on; *writer is the domid of who did. */
static bool txn_conflicts(const struct txn *t, uint16_t *writer)
{
	struct store *s = t->conn->store;

	*writer = 0;
	for (guint i = 0; i < t->order->len; i++) {
		const struct tnode *tn = t->order->pdata[i];
		struct pathref p = ref_of(&tn->ent);
		const struct node *n = find_at(s, &p);

		if ((n ? n->content : NULL) != tn->base) {
			*writer = n ? n->content->writer : who_removed(s, tn->ent.path);
			return true;
		}
		if (tn->list_dep && n && n->children_gen != tn->children_gen) {
			*writer = n->children_writer;
			return true;
		}
		if (tn->cur && tn->cur != tn->base) {
			const struct perm *owner = &tn->cur->perms[0];
			const struct domain *d = domain_find(s, owner->domid);

			if (!d || d->serial != owner->serial)
				return true;
		}
	}
	return false;
}

static int higher_first(gconstpointer a, gconstpointer b)
{
	const struct tnode *x = *(struct tnode *const *)a, *y = *(struct tnode *const *)b;

	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* How many nodes the transaction adds to its domain, less those that it removes. */
static int txn_growth(const struct txn *t)
{
	int growth = 0;

	for (guint i = 0; i < t->order->len; i++) {
		const struct tnode *tn = t->order->pdata[i];

		if (tn->base && tn->base->perms[0].domid == t->conn->dom->domid)
			growth--;
		if (tn->cur && tn->cur->perms[0].domid == t->conn->dom->domid)
			growth++;
	}
	return growth;
}

static void txn_apply(struct txn *t)
{
	struct store *s = t->conn->store;
	struct tnode *tn;
	struct pathref p;

	/*
	 * Parents before children, so additions go up, removals down; and siblings in the order in which the
	 * client named them, which is that of lists.
	 */
	for (guint i = 0; i < t->order->len; i++) {
		tn = t->order->pdata[i];
		for (size_t at = 1; at < tn->ent.len; at++)
			tn->depth += tn->ent.path[at] == '/';
		tn->depth += tn->ent.len > 1;
	}
	g_ptr_array_sort(t->order, higher_first);
	for (guint i = t->order->len; i-- > 0;) {
		tn = t->order->pdata[i];
		p = ref_of(&tn->ent);
		if (tn->base && !tn->cur)
			tree_drop(s, find_at(s, &p), t->conn->dom->domid);
	}
	for (guint i = 0; i < t->order->len; i++) {
		tn = t->order->pdata[i];
		if (tn->cur && tn->cur != tn->base)
			tree_put(s, tn->ent.path, content_ref(tn->cur));
	}
}

static void txn_fire(struct txn *t)
{
	struct store *s = t->conn->store;

	for (guint i = 0; i < t->events->len; i++) {
		struct tnode *tn = t->events->pdata[i];
		g_autofree char *up = path_parent(tn->ent.path);
		struct node *parent = up ? tree_find(s, up) : NULL;

		watch_fire(s, tn->ent.path, !tn->fire, tn->base, tn->cur, parent ? parent->content : NULL);
	}
}

/* Domain 0's work goes on whatever guests do. */
static void blame(struct txn *t, uint16_t writer)
{
	struct store *s = t->conn->store;
	struct domain *d = conn_privileged(t->conn) && writer ? domain_find(s, writer) : NULL;

	if (d && d->conn)
		s->host->conflict(s->host->arg, d->conn);
}

int txn_commit(struct txn *t)
{
	int err = 0, growth;
	uint16_t writer;

	if (txn_conflicts(t, &writer)) {
		err = EAGAIN;
		blame(t, writer);
	} else {
		growth = txn_growth(t);
		if (growth > 0 && !quota_nodes(t->conn, growth))
			err = ENOSPC;
	}
	if (!err) {
		txn_apply(t);
		txn_fire(t);
	}
	txn_abort(t);
	return err;
}

void txn_changed(struct txn *t, const char *path)
{
	txn_event(t, (struct tnode *)pathtab_find(&t->nodes, path), false);
}
