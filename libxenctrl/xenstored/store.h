/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store's pure core: tree, permissions, watches, transactions, quotas, requests.
 *
 * Everything a running store knows hangs from one struct store; no file of the core performs I/O or keeps
 * state of its own, so that the core builds into the daemon, the unit tests and the fuzzer alike. What it
 * needs from outside goes through struct store_host.
 *
 * - request.c: one complete message -> one reply
 * - view.c: the tree as a transaction, or nobody's, sees it; commit with conflict detection
 * - watch.c: watches indexed by path; events bounded per connection
 * - conn.c: a connection: input assembler, output queue
 * - domain.c: domains known to the store: ownership, quotas
 * - tree.c: nodes and their contents
 * - pathtab.c: hash table by path
 *
 * Files listed lower know nothing of those above. The protocol is that of xen/io/xs_wire.h and of Xen's
 * docs/misc/xenstore.txt. Errors are errno values, 0 for success.
 *
 * Memory: g_malloc, which aborts when dom0 has none left; what a guest can make the store hold is bounded by
 * its quotas, so that it is never a guest that decides this.
 */
#ifndef XENSTORED_STORE_H
#define XENSTORED_STORE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <xen/xen.h>
#include <xen/io/xs_wire.h>

#include "pathtab.h"

#define PERM_READ      1
#define PERM_WRITE     2
#define PERM_OWNER     4

#define PATH_INTRODUCE "@introduceDomain"
#define PATH_RELEASE   "@releaseDomain"

/* ---- contents and nodes (tree.c) ----------------------------------------------------------------- */

/*
 * One permission entry. The serial tells a domain from an earlier one with the same number; 0: there was none
 * when the entry was made, and the number may be one that no domain can have.
 */
struct perm {
	uint64_t serial;
	uint32_t domid;
	uint8_t bits; /* PERM_READ | PERM_WRITE */
};

/*
 * What a node says: immutable and counted, so that transactions and the tree share it, and so that "has it
 * changed" is a comparison of pointers. perms[0] is the owner; the value stands behind the permissions.
 */
struct content {
	unsigned int refs;
	uint32_t value_len;
	uint16_t perm_count;
	uint16_t writer; /* domid of who made it */
	struct perm perms[];
};

static inline const char *content_value(const struct content *c)
{
	return (const char *)&c->perms[c->perm_count];
}

struct node {
	struct pathent ent; /* first: in store.nodes, keyed by the whole path */
	struct content *content;
	struct node *parent, *prev, *next, *first, *last;
	struct domain *owner;
	struct node *own_prev, *own_next;
	uint64_t children_gen;    /* changes whenever a child comes or goes */
	uint16_t children_writer; /* domid of who made the last such change */
	size_t children_bytes;    /* of all leaf names with their NULs */
	char *list;       /* these names, as DIRECTORY gives them; NULL: not asked for since a change */
	uint32_t leaf_at; /* the leaf's name starts here in ent.path */
};

static inline const char *node_leaf(const struct node *n)
{
	return n->ent.path + n->leaf_at;
}

/* ---- domains (domain.c) -------------------------------------------------------------------------- */

/*
 * What one guest may use. None of them binds domain 0, neither its programs nor its kernel: the kernel that misses
 * an event about its backends misses a guest's devices. For domain 0 there are the limits of the protocol, and the
 * constants below against a client that does not read.
 */
struct quotas {
	unsigned int nodes, watches, transactions, value_bytes, perms, transaction_nodes, path_bytes,
	        path_depth;
	unsigned int memory_bytes; /* of nodes, watches and transactions together */
	unsigned int events;       /* unsent watch events of a connection before they are merged */
	unsigned int replies;      /* unsent replies of a connection before it is no longer read */
};

#define DOM0_EVENTS     65536
#define DOM0_REPLIES    16
#define DOM0_PATH_DEPTH 64

struct domain {
	uint16_t domid;
	bool introduced, shutdown;
	uint64_t serial;
	struct conn *conn; /* when introduced */
	struct node *owned;
	unsigned int node_count, watch_count, txn_count;
	size_t memory_bytes;
};

/* ---- watches, transactions, connections ---------------------------------------------------------- */

struct message {
	struct message *prev, *next;   /* the connection's output queue */
	struct message *wprev, *wnext; /* the watch's unsent events */
	struct watch *watch;           /* NULL for replies, and as soon as sending has begun */
	uint32_t len, sent;
	bool event;
	char data[];
};

struct watch_path {
	struct pathent ent; /* first: in store.watch_paths */
	struct watch *first;
};

struct watch {
	struct watch_path *at;
	struct watch *path_prev, *path_next; /* those of one connection stand in a row */
	struct watch *row_next;              /* of the first of a row: the first of the next one */
	struct watch *conn_prev, *conn_next;
	struct conn *conn;
	struct message *ev_first, *ev_last; /* unsent events */
	bool merged;                        /* the one unsent event names the watched path itself */
	uint32_t strip;                     /* bytes of the domain's base path that clients did not give */
	char *token;
};

struct txn;

struct conn {
	struct store *store;
	struct domain *dom; /* whose rights it has; domain 0 for programs in dom0 */
	struct domain *target;
	bool is_socket, broken;
	void *io;   /* the transport's own */
	char *name; /* for the log */

	struct xsd_sockmsg in_hdr;
	uint32_t in_have; /* bytes of header and payload so far */
	char in[XENSTORE_PAYLOAD_MAX + 1];

	struct message *out_first, *out_last;
	unsigned int reply_count, event_count;
	uint64_t merged_events;
	unsigned int complaints; /* logged about this connection so far */
	unsigned int work;       /* what the last request cost, in simple requests */

	struct watch *watches;
	GHashTable *txns; /* id -> struct txn */
	uint32_t next_txn;
};

/*
 * What the core asks of the world around. introduce() maps the ring and binds the channel of a domain that
 * has a connection already; release() undoes it. All return errno values.
 */
struct store_host {
	bool (*domain_exists)(void *arg, uint16_t domid);
	int (*introduce)(void *arg, struct conn *c, uint16_t domid, uint64_t gfn, uint32_t port);
	void (*release)(void *arg, struct conn *c);
	void (*output_ready)(void *arg, struct conn *c); /* the output queue is no longer empty */
	/* What c's domain wrote has made a transaction of domain 0 fail: c should wait while that is tried
	 * again. */
	void (*conflict)(void *arg, struct conn *c);
	void (*log)(void *arg, int priority, const char *text);
	void *arg;
};

struct store {
	const struct store_host *host;
	struct quotas quotas;
	struct pathtab nodes, watch_paths;
	struct node *root;
	GHashTable *domains; /* domid -> struct domain */
	struct domain *dom0;
	struct content *special[2]; /* permissions of @introduceDomain, @releaseDomain */
	uint64_t gen, serial;
	bool log_requests; /* as CONTROL says */
	gint64 log_second; /* in which so many requests were logged */
	unsigned int log_count;
	uint64_t
	        work; /* nodes changed, events sent, lists made: counted so that costly requests count more */
};

struct store *store_new(const struct store_host *host);
/* Writes domain 0's first nodes, as Xen's xen-init-dom0 does. */
void store_init_dom0(struct store *s);
void store_free(struct store *s);
void store_log(struct store *s, int priority, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

/* Recounts everything from scratch; returns NULL, or what is wrong (to be freed). */
char *store_check(struct store *s);

/* tree.c */
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

/* domain.c */
struct domain *domain_find(struct store *s, uint16_t domid);
/* Finds it, or adds it when the hypervisor knows it; NULL otherwise. */
struct domain *domain_get(struct store *s, uint16_t domid);
/* The domain is gone: connection, owned nodes, everything. */
void domain_gone(struct store *s, struct domain *d);
/* @releaseDomain because it was shut down or crashed (once, until RESUME). */
void domain_shut_down(struct store *s, struct domain *d);
int domain_introduce(struct store *s, uint16_t domid, uint64_t gfn, uint32_t port);
int domain_release(struct store *s, uint16_t domid);
void domain_own(struct domain *d, struct node *n);
void domain_disown(struct node *n);
bool quota_nodes(struct conn *c, unsigned int more);
bool quota_memory(struct conn *c, size_t more);

static inline bool conn_privileged(const struct conn *c)
{
	return c->dom->domid == 0;
}

/* What c may do with a node of these permissions: PERM_* bits. */
unsigned int perm_for(const struct conn *c, const struct content *of);

/* view.c: t is NULL outside transactions */
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

/* watch.c */
int watch_add(struct conn *c, const char *path, const char *token, uint32_t strip);
/* The event that each new watch gets at once; for the youngest watch of c. */
void watch_first_event(struct conn *c);
int watch_remove(struct conn *c, const char *path, const char *token);
void watch_remove_all(struct conn *c);
/* Something changed at path. exact: only watches on this very path (it went with a parent). */
void watch_fire(struct store *s, const char *path, bool exact, const struct content *before,
                const struct content *after, const struct content *parent);
void watch_fire_special(struct store *s, const char *path);
void watch_event_begun(struct message *m); /* the first byte of an event is being sent, or it is dropped */

/* conn.c */
struct conn *conn_new(struct store *s, struct domain *d, bool is_socket, const char *name, void *io);
void conn_free(struct conn *c);
/* Drops watches, transactions, partial input and unsent output. */
void conn_reset(struct conn *c);
/* Warns of what the client did, in a sentence that begins with its name; a few times for each connection,
 * since a client decides how often it happens. */
void conn_complain(struct conn *c, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* Where the next input bytes go and how many are wanted (at least 1). */
size_t conn_input_want(struct conn *c, char **where);
/* n bytes were put there; processes the message when it is complete. EPROTO: the connection is beyond repair. */
int conn_input_got(struct conn *c, size_t n);
/* False while its owner must read replies before more requests are taken. */
bool conn_may_process(const struct conn *c);
size_t conn_output(struct conn *c, struct iovec *iov, size_t max);
void conn_output_done(struct conn *c, size_t bytes);
struct message *conn_message(struct conn *c, uint32_t type, uint32_t req_id, uint32_t tx_id, const void *data,
                             uint32_t len);
void conn_unqueue(struct conn *c, struct message *m);

/* request.c */
void request_process(struct conn *c, const struct xsd_sockmsg *hdr, char *payload);
const char *request_name(uint32_t type);

#endif
