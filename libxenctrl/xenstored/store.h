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

#endif
