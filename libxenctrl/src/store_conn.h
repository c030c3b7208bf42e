/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private: the connection to xenstored, shared by the store_*.c files; store.c uses only the first part. */
#ifndef XYLEM_LIBXENCTRL_STORE_CONN_H
#define XYLEM_LIBXENCTRL_STORE_CONN_H

#include <glib.h>

#include "private.h"
#include <xen/io/xs_wire.h>

/* A part of a request's payload. */
struct store_part {
	const void *data;
	size_t bytes;
};

/*
 * Sends a request and waits. *reply (or NULL when only success matters) is NUL-terminated, to be freed with
 * free(). Returns 0, or -1 with errno and the message "xenstore: cannot WHAT SUBJECT: ...".
 */
XYL_HIDDEN int store_call(struct xyl_store *s, uint32_t type, xyl_tx tx, const struct store_part *parts,
                          unsigned count, char **reply, size_t *reply_bytes, const char *what,
                          const char *subject);
/*
 * As store_call within a transaction, without waiting for an answer that does not matter: an error is
 * reported by the next of these calls or by store_end.
 */
XYL_HIDDEN int store_defer(struct xyl_store *s, uint32_t type, xyl_tx tx, const struct store_part *parts,
                           unsigned count, const char *what, const char *subject);
/* Sends a request whose answer goes to done in the main context; done may be NULL: nobody cares. */
XYL_HIDDEN int store_send(struct xyl_store *s, uint32_t type, xyl_tx tx, const struct store_part *parts,
                          unsigned count, xyl_store_done_fn *done, void *data);
/* Begins a transaction; its handle names the connection on which it was begun. */
XYL_HIDDEN int store_begin(struct xyl_store *s, xyl_tx *tx);
/* Waits for what was deferred, then ends the transaction; aborts it when any of that failed. */
XYL_HIDDEN int store_end(struct xyl_store *s, xyl_tx tx, bool commit);

/* ---- within the connection ---- */

/* Bytes on their way out: at most one of these is partly sent. */
struct outgoing {
	size_t bytes;
	size_t sent;
	char data[];
};

/* A transaction of ours, and what was sent in it without waiting. */
struct transaction {
	xyl_tx tx;
	unsigned outstanding;
	int error; /* the first one */
	char *subject;
	pthread_cond_t idle;
};

struct request {
	uint32_t id;
	bool in_tx;
	bool renews;  /* registers a watch anew: of use on the connection for which it was made only */
	bool waiting; /* a caller sleeps on finished and owns this; otherwise done (perhaps NULL) gets the
	                 answer */
	bool complete;
	int error;
	char *reply;
	size_t reply_bytes;
	uint32_t generation; /* of the connection that answered */
	pthread_cond_t finished;
	struct transaction *deferred; /* takes the error; NULL: nobody's */
	xyl_store_done_fn *done;
	void *data;
	size_t bytes;
	char *message; /* header and payload, for sending again */
};

struct xyl_watch {
	uint64_t id;
	char *path;
	xyl_watch_fn *fn;
	void *data;
	unsigned queued;
	bool asking; /* xyl_store_watch() waits for its answer, on this connection or on a later one */
};

/* Something to be called in the main context. */
struct delivery {
	uint64_t watch; /* 0: the answer of request */
	char *path;
	char *key; /* in s->queued_events */
	struct request *request;
};

struct xyl_store {
	int references;
	GMainContext *context; /* immutable */
	char *path;            /* immutable: the only place to connect to, or NULL */
	bool device;           /* connected through the kernel */
	int wake;              /* immutable: eventfd that ends the thread's poll */
	pthread_t thread;
	pthread_mutex_t lock;
	int fd; /* -1: not connected */
	bool closing;
	uint32_t generation; /* of the connection; from 1 on */
	uint32_t next_id;
	uint64_t next_watch;
	unsigned timeout_ms;
	GQueue outgoing;          /* struct outgoing */
	GHashTable *pending;      /* id -> struct request */
	GHashTable *transactions; /* xyl_tx -> struct transaction */
	GHashTable *watches;      /* id -> struct xyl_watch */
	GQueue deliveries;
	GHashTable *queued_events; /* keys of the watch deliveries */
	GSource *source;           /* attached while there are deliveries */
	char input[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX]; /* the thread's own */
	size_t input_bytes;
};

/* All of these need s->lock but store_request_new, _free, store_watch_parts and store_kick. */

/* store_request.c */
XYL_HIDDEN struct request *store_request_new(uint32_t type, uint32_t tx_id, const struct store_part *parts,
                                             unsigned count);
XYL_HIDDEN void store_request_free(struct request *r);
/* Numbers the request and sends it when there is a connection; otherwise it goes out with the next. */
XYL_HIDDEN void store_submit(struct xyl_store *s, struct request *r);
/* Hands the answer to whom it belongs; r is no longer in s->pending. */
XYL_HIDDEN void store_complete(struct xyl_store *s, struct request *r, int error, const char *reply,
                               size_t bytes);
XYL_HIDDEN void store_transaction_free(void *data);

/* store_watch.c */
/* Has the main context run what is in s->deliveries. */
XYL_HIDDEN void store_schedule(struct xyl_store *s);
XYL_HIDDEN void store_delivery_free(struct delivery *d);
XYL_HIDDEN void store_watch_free(void *data);
/* The payload of XS_WATCH and XS_UNWATCH; returns the number of parts. */
XYL_HIDDEN unsigned store_watch_parts(const struct xyl_watch *w, char token[24], struct store_part parts[2]);
/* An event "path\0token\0" from xenstored. */
XYL_HIDDEN void store_take_event(struct xyl_store *s, const char *body, size_t bytes);

/* store_conn.c */
/* Puts a message behind what is to be sent. */
XYL_HIDDEN void store_enqueue(struct xyl_store *s, const char *message, size_t bytes);
/* Sends what the connection takes now; breaks it on errors (the thread will notice). */
XYL_HIDDEN void store_flush(struct xyl_store *s);
/* Ends the thread's poll. */
XYL_HIDDEN void store_kick(struct xyl_store *s);
XYL_HIDDEN void store_unref(struct xyl_store *s);

#endif
