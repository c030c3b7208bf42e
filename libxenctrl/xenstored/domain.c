/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The domains that the store knows, what they own and what they may use.
 *
 * A domain enters when it is introduced, or when dom0 first names it in permissions while the hypervisor
 * knows it; it leaves when the hypervisor no longer does, and everything it owned goes with it. A serial
 * keeps the permissions of an earlier domain of the same number from being those of the new one.
 */
#include "domain.h"
#include "conn.h"
#include "store.h"
#include "tree.h"
#include "view.h"
#include "watch.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

static const struct quotas default_quotas = {
	.nodes = 1000,
	.watches = 128,
	.transactions = 10,
	.value_bytes = 2048,
	.perms = 5,
	.transaction_nodes = 1024,
	.path_bytes = XENSTORE_REL_PATH_MAX,
	.path_depth = 64,
	.memory_bytes = 2560 * 1024,
	.events = 512,
	.replies = 16,
};

struct domain *domain_find(struct store *s, uint16_t domid)
{
	return g_hash_table_lookup(s->domains, GUINT_TO_POINTER((guint)domid));
}

static struct domain *domain_add(struct store *s, uint16_t domid)
{
	struct domain *d = g_new0(struct domain, 1);

	d->domid = domid;
	d->serial = ++s->serial;
	g_hash_table_insert(s->domains, GUINT_TO_POINTER((guint)domid), d);
	return d;
}

/* To ask the hypervisor costs as much as so many requests. */
#define ASKING_WORK 8

struct domain *domain_get(struct store *s, uint16_t domid)
{
	struct domain *d = domain_find(s, domid);

	if (d || domid >= DOMID_FIRST_RESERVED)
		return d;
	s->work += ASKING_WORK;
	return s->host->domain_exists(s->host->arg, domid) ? domain_add(s, domid) : NULL;
}

static size_t node_bytes(const struct node *n)
{
	return sizeof(*n) + n->ent.len + content_bytes(n->content);
}

void domain_own(struct domain *d, struct node *n)
{
	n->owner = d;
	n->own_prev = NULL;
	n->own_next = d->owned;
	if (d->owned)
		d->owned->own_prev = n;
	d->owned = n;
	d->node_count++;
	d->memory_bytes += node_bytes(n);
}

void domain_disown(struct node *n)
{
	struct domain *d = n->owner;

	if (n->own_prev)
		n->own_prev->own_next = n->own_next;
	else
		d->owned = n->own_next;
	if (n->own_next)
		n->own_next->own_prev = n->own_prev;
	d->node_count--;
	d->memory_bytes -= node_bytes(n);
	n->owner = NULL;
}

bool quota_nodes(struct conn *c, unsigned int more)
{
	return conn_privileged(c) || c->dom->node_count + more <= c->store->quotas.nodes;
}

bool quota_memory(struct conn *c, size_t more)
{
	return conn_privileged(c) || c->dom->memory_bytes + more <= c->store->quotas.memory_bytes;
}

static bool perm_is_of(const struct perm *p, const struct domain *d)
{
	return d && p->domid == d->domid && p->serial == d->serial;
}

unsigned int perm_for(const struct conn *c, const struct content *of)
{
	if (conn_privileged(c) || perm_is_of(&of->perms[0], c->dom) || perm_is_of(&of->perms[0], c->target))
		return PERM_READ | PERM_WRITE | PERM_OWNER;
	for (unsigned int i = 1; i < of->perm_count; i++)
		if (perm_is_of(&of->perms[i], c->dom) || perm_is_of(&of->perms[i], c->target))
			return of->perms[i].bits;
	return of->perms[0].bits;
}

static void domain_disconnect(struct store *s, struct domain *d)
{
	struct conn *c = d->conn;
	GHashTableIter it;
	gpointer value;

	if (!c)
		return;
	d->introduced = false;
	d->conn = NULL;
	g_hash_table_iter_init(&it, s->domains);
	while (g_hash_table_iter_next(&it, NULL, &value)) {
		struct domain *other = value;

		if (other->conn && other->conn->target == d)
			other->conn->target = NULL;
	}
	s->host->release(s->host->arg, c);
	conn_free(c);
}

void domain_gone(struct store *s, struct domain *d)
{
	domain_disconnect(s, d);
	while (d->owned) {
		struct node *n = d->owned;

		/* Go up first: removing a parent takes its children along, and is one event instead of many. */
		while (n->parent && n->parent->owner == d)
			n = n->parent;
		if (!n->parent) {
			/* The root cannot go; it falls back to domain 0. */
			struct perm p = { .serial = s->dom0->serial, .domid = 0, .bits = 0 };

			tree_put(s, "/",
			         content_new(&p, 1, content_value(n->content), n->content->value_len));
			continue;
		}
		view_drop(s, n->ent.path, 0);
	}
	g_hash_table_remove(s->domains, GUINT_TO_POINTER((guint)d->domid));
	watch_fire_special(s, PATH_RELEASE);
}

void domain_shut_down(struct store *s, struct domain *d)
{
	if (!d->introduced || d->shutdown)
		return;
	d->shutdown = true;
	watch_fire_special(s, PATH_RELEASE);
}

int domain_introduce(struct store *s, uint16_t domid, uint64_t gfn, uint32_t port)
{
	struct domain *d = domain_get(s, domid);
	char name[32];
	int err;

	if (!d)
		return ENOENT;
	if (d->introduced) {
		conn_reset(d->conn);
		return s->host->introduce(s->host->arg, d->conn, domid, gfn, port);
	}
	g_snprintf(name, sizeof(name), "domain %u", domid);
	d->conn = conn_new(s, d, false, name, NULL);
	err = s->host->introduce(s->host->arg, d->conn, domid, gfn, port);
	if (err) {
		conn_free(d->conn);
		d->conn = NULL;
		return err;
	}
	d->introduced = true;
	d->shutdown = false;
	watch_fire_special(s, PATH_INTRODUCE);
	return 0;
}

int domain_release(struct store *s, uint16_t domid)
{
	struct domain *d = domain_find(s, domid);

	if (!d || !d->introduced)
		return ENOENT;
	domain_disconnect(s, d);
	watch_fire_special(s, PATH_RELEASE);
	return 0;
}

struct store *store_new(const struct store_host *host)
{
	static const char *const first[] = { "/", "/tool", "/tool/xenstored", "/local", "/local/domain" };
	struct store *s = g_new0(struct store, 1);
	struct perm p = { .domid = 0, .bits = 0 };

	s->host = host;
	s->quotas = default_quotas;
	pathtab_init(&s->nodes);
	pathtab_init(&s->watch_paths);
	s->domains = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	s->dom0 = domain_add(s, 0);
	s->dom0->introduced = true;
	p.serial = s->dom0->serial;
	for (size_t i = 0; i < G_N_ELEMENTS(first); i++)
		tree_put(s, first[i], content_new(&p, 1, "", 0));
	s->root = tree_find(s, "/");
	s->special[0] = content_new(&p, 1, "", 0);
	s->special[1] = content_new(&p, 1, "", 0);
	return s;
}

void store_init_dom0(struct store *s)
{
	static const char *const nodes[][2] = {
		{ "/local/domain/0", "" },
		{ "/local/domain/0/domid", "0" },
		{ "/local/domain/0/name", "Domain-0" },
		{ "/local/pool", "" },
		{ "/local/pool/0", "" },
		{ "/local/pool/0/name", "Pool-0" },
	};
	struct perm p = { .serial = s->dom0->serial, .domid = 0, .bits = 0 };

	for (size_t i = 0; i < G_N_ELEMENTS(nodes); i++)
		tree_put(s, nodes[i][0], content_new(&p, 1, nodes[i][1], strlen(nodes[i][1])));
}

void store_free(struct store *s)
{
	GHashTableIter it;
	gpointer value;
	struct node *n = s->root;

	g_hash_table_iter_init(&it, s->domains);
	while (g_hash_table_iter_next(&it, NULL, &value)) {
		struct domain *d = value;

		if (d->conn) {
			s->host->release(s->host->arg, d->conn);
			conn_free(d->conn);
			d->conn = NULL;
		}
	}
	while (n) {
		struct node *up = n->parent;

		if (n->first) {
			n = n->first;
		} else if (up) {
			tree_drop(s, n, 0);
			n = up;
		} else {
			domain_disown(n);
			content_unref(n->content);
			pathtab_remove(&s->nodes, &n->ent);
			g_free(n->list);
			g_free(n);
			n = NULL;
		}
	}
	content_unref(s->special[0]);
	content_unref(s->special[1]);
	g_hash_table_destroy(s->domains);
	pathtab_fini(&s->nodes);
	pathtab_fini(&s->watch_paths);
	g_free(s);
}

void store_log(struct store *s, int priority, const char *fmt, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	s->host->log(s->host->arg, priority, text);
}

static char *check_node(struct store *s, struct node *n)
{
	size_t bytes = 0;
	struct node *child, *prev = NULL;

	if (n != s->root && (!n->parent || strncmp(n->ent.path, n->parent->ent.path, n->parent->ent.len)))
		return g_strdup_printf("%s: wrong parent", n->ent.path);
	if (!n->content || !n->owner || n->owner->domid != n->content->perms[0].domid ||
	    n->owner->serial != n->content->perms[0].serial)
		return g_strdup_printf("%s: owner and permissions disagree", n->ent.path);
	if (domain_find(s, n->owner->domid) != n->owner)
		return g_strdup_printf("%s: the owner is unknown", n->ent.path);
	for (child = n->first; child; prev = child, child = child->next) {
		if (child->parent != n || child->prev != prev)
			return g_strdup_printf("%s: broken list of children", n->ent.path);
		bytes += strlen(node_leaf(child)) + 1;
	}
	if (prev != n->last || bytes != n->children_bytes)
		return g_strdup_printf("%s: children miscounted", n->ent.path);
	bytes = 0;
	for (child = n->first; child && n->list; child = child->next) {
		if (strcmp(n->list + bytes, node_leaf(child)))
			return g_strdup_printf("%s: its list is not what it should be", n->ent.path);
		bytes += strlen(node_leaf(child)) + 1;
	}
	return NULL;
}

char *store_check(struct store *s)
{
	size_t seen = 0, owned = 0;
	GHashTableIter it;
	gpointer value;

	for (size_t b = 0; b < s->nodes.bucket_count; b++) {
		for (struct pathent *e = s->nodes.buckets[b]; e; e = e->next, seen++) {
			char *wrong = check_node(s, (struct node *)e);

			if (wrong)
				return wrong;
		}
	}
	if (seen != s->nodes.count)
		return g_strdup("the table of nodes is miscounted");
	g_hash_table_iter_init(&it, s->domains);
	while (g_hash_table_iter_next(&it, NULL, &value)) {
		struct domain *d = value;
		unsigned int count = 0;

		for (struct node *n = d->owned; n; n = n->own_next, count++)
			if (n->owner != d)
				return g_strdup_printf("%s: in the list of a domain that does not own it",
				                       n->ent.path);
		if (count != d->node_count)
			return g_strdup_printf("domain %u: nodes miscounted", d->domid);
		owned += count;
	}
	return owned == seen ? NULL : g_strdup("nodes without an owner");
}
