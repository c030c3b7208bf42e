/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The connection to xenstored.
 *
 * One thread per connection does all reading, the rest of writes that did not go out at once, and
 * reconnecting. Callers put a request on the list of pending ones, send what the socket takes, and sleep on
 * the request's own condition.
 *
 * Callbacks (watch events and answers of _async calls) are queued here and run by an idle source in the main
 * context. The queue is bounded for watches, whose events others cause: one entry per watch and path, at most
 * EVENTS_MAX per watch; beyond that the watch's entries are replaced by one for the watched path itself,
 * "look at all of it".
 *
 * When the connection breaks, pending requests outside of transactions stay and are sent again on the next
 * one (they are all idempotent), those within fail with EAGAIN; a transaction's handle carries the
 * connection's generation.
 *
 * Locking: s->lock guards everything in struct xyl_store but the immutable fields; no callback runs under it.
 */
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "store_conn.h"

#define SOCKET_PATH        "/run/xenstored/socket"
#define DEVICE_PATH        "/dev/xen/xenbus"
#define DEFAULT_TIMEOUT_MS 30000u
#define EVENTS_MAX         1024u
#define RETRY_FIRST_MS     20
#define RETRY_LAST_MS      1000
#define DEFERRED_MAX       512u /* unanswered requests of a transaction */
#define DISPATCH_BATCH     64   /* callbacks per turn of the main loop */

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

static gboolean deliver(gpointer data);
static void transaction_free(void *data);
static void *run(void *data);

/* ---- requests ---- */

static void request_free(struct request *r)
{
	pthread_cond_destroy(&r->finished);
	free(r->reply);
	free(r->message);
	free(r);
}

/* Needs s->lock. Has the idle source run deliver(). */
static void schedule(struct xyl_store *s)
{
	if (s->source || s->closing)
		return;
	s->source = g_idle_source_new();
	g_source_set_priority(s->source, G_PRIORITY_DEFAULT);
	g_source_set_callback(s->source, deliver, s, NULL);
	g_source_attach(s->source, s->context);
}

/* Needs s->lock. A deferred request has been answered. */
static void settle(struct request *r)
{
	struct transaction *t = r->deferred;

	if (r->error && !t->error) {
		t->error = r->error;
		t->subject = strdup(r->message + sizeof(struct xsd_sockmsg)); /* its path */
	}
	if (!--t->outstanding)
		pthread_cond_signal(&t->idle);
}

/* Needs s->lock; r is no longer in s->pending. */
static void complete(struct xyl_store *s, struct request *r, int error, const char *reply, size_t bytes)
{
	r->error = error;
	r->generation = s->generation;
	r->reply = malloc(bytes + 1);
	if (r->reply) {
		memcpy(r->reply, reply, bytes);
		r->reply[bytes] = '\0';
		r->reply_bytes = bytes;
	} else {
		r->error = ENOMEM;
	}
	r->complete = true;
	if (r->waiting) {
		pthread_cond_signal(&r->finished);
	} else if (r->done) {
		struct delivery *d = g_new0(struct delivery, 1);

		d->request = r;
		g_queue_push_tail(&s->deliveries, d);
		schedule(s);
	} else {
		if (r->deferred)
			settle(r);
		request_free(r);
	}
}

/* Needs s->lock. Sends what the connection takes now; breaks it on errors (the thread will notice). */
static void flush(struct xyl_store *s)
{
	while (s->fd >= 0 && !g_queue_is_empty(&s->outgoing)) {
		struct outgoing *o = g_queue_peek_head(&s->outgoing);
		ssize_t n;

		if (s->device)
			n = write(s->fd, o->data + o->sent, o->bytes - o->sent);
		else
			n = send(s->fd, o->data + o->sent, o->bytes - o->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && !s->device)
			shutdown(s->fd, SHUT_RDWR);
		if (n < 0)
			break;
		o->sent += (size_t)n;
		if (o->sent == o->bytes)
			free(g_queue_pop_head(&s->outgoing));
	}
}

/* Needs s->lock. */
static void enqueue(struct xyl_store *s, const char *message, size_t bytes)
{
	struct outgoing *o = malloc(sizeof(*o) + bytes);

	if (!o)
		abort(); /* as GLib does: a few bytes cannot be had */
	o->bytes = bytes;
	o->sent = 0;
	memcpy(o->data, message, bytes);
	g_queue_push_tail(&s->outgoing, o);
}

static void kick(struct xyl_store *s)
{
	const uint64_t one = 1;
	ssize_t n = write(s->wake, &one, sizeof(one));

	(void)n; /* full means that it is awake anyway */
}

/* Time-outs count on the monotonic clock. */
static void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

static struct request *request_new(uint32_t type, uint32_t tx_id, const struct store_part *parts,
                                   unsigned count)
{
	struct request *r = calloc(1, sizeof(*r));
	struct xsd_sockmsg header = { .type = type, .tx_id = tx_id };
	size_t at = sizeof(header);

	for (unsigned i = 0; i < count; i++)
		header.len += (uint32_t)parts[i].bytes;
	if (r)
		r->message = malloc(sizeof(header) + header.len);
	if (!r || !r->message) {
		free(r);
		return NULL;
	}
	r->bytes = sizeof(header) + header.len;
	memcpy(r->message, &header, sizeof(header));
	for (unsigned i = 0; i < count; i++) {
		memcpy(r->message + at, parts[i].data, parts[i].bytes);
		at += parts[i].bytes;
	}
	r->in_tx = tx_id != 0;
	cond_init(&r->finished);
	return r;
}

/* Needs s->lock. Numbers the request and sends it when there is a connection; otherwise it goes out with the
 * next. */
static void submit(struct xyl_store *s, struct request *r)
{
	do {
		r->id = ++s->next_id;
	} while (!r->id || g_hash_table_contains(s->pending, GUINT_TO_POINTER(r->id)));
	memcpy(r->message + offsetof(struct xsd_sockmsg, req_id), &r->id, sizeof(r->id));
	g_hash_table_insert(s->pending, GUINT_TO_POINTER(r->id), r);
	if (s->fd < 0)
		return;
	enqueue(s, r->message, r->bytes);
	flush(s);
	if (!g_queue_is_empty(&s->outgoing))
		kick(s);
}

static int too_long(const struct store_part *parts, unsigned count)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < count; i++) {
		if (parts[i].bytes > XENSTORE_PAYLOAD_MAX)
			return -1;
		bytes += parts[i].bytes;
	}
	return bytes > XENSTORE_PAYLOAD_MAX ? -1 : 0;
}

static void deadline_in(struct timespec *t, unsigned ms)
{
	clock_gettime(CLOCK_MONOTONIC, t);
	t->tv_sec += ms / 1000;
	t->tv_nsec += (long)(ms % 1000) * 1000000;
	if (t->tv_nsec >= 1000000000) {
		t->tv_nsec -= 1000000000;
		t->tv_sec++;
	}
}

/* Needs s->lock. Whether tx belongs to a connection that is gone. */
static bool tx_is_stale(struct xyl_store *s, xyl_tx tx)
{
	return tx != XYL_TX_NONE && (uint32_t)(tx >> 32) != s->generation;
}

/* Needs s->lock, which is released while it sleeps. Returns an errno value. */
static int wait_for(struct xyl_store *s, struct request *r)
{
	struct timespec deadline;

	deadline_in(&deadline, s->timeout_ms);
	while (!r->complete) {
		if (pthread_cond_timedwait(&r->finished, &s->lock, &deadline) == ETIMEDOUT && !r->complete) {
			g_hash_table_remove(s->pending, GUINT_TO_POINTER(r->id));
			return ETIMEDOUT;
		}
	}
	return r->error;
}

/* Sends r and waits for it, unless tx is stale. Returns an errno value; r stays the caller's. */
static int exchange(struct xyl_store *s, struct request *r, xyl_tx tx)
{
	int error = EAGAIN;

	r->waiting = true;
	pthread_mutex_lock(&s->lock);
	if (!tx_is_stale(s, tx)) {
		submit(s, r);
		error = wait_for(s, r);
	}
	pthread_mutex_unlock(&s->lock);
	return error;
}

static int call_failed(int error, const char *what, const char *subject)
{
	if (error == ETIMEDOUT)
		return xyl_fail_text(error, "xenstore: cannot %s %s: xenstored does not answer", what,
		                     subject);
	return xyl_fail(error, "xenstore: cannot %s %s", what, subject);
}

int store_call(struct xyl_store *s, uint32_t type, xyl_tx tx, const struct store_part *parts, unsigned count,
               char **reply, size_t *reply_bytes, const char *what, const char *subject)
{
	struct request *r;
	int error;

	if (too_long(parts, count) < 0)
		return call_failed(E2BIG, what, subject);
	r = request_new(type, (uint32_t)tx, parts, count);
	if (!r)
		return call_failed(ENOMEM, what, subject);
	error = exchange(s, r, tx);
	if (!error && reply) {
		*reply = r->reply;
		r->reply = NULL;
		if (reply_bytes)
			*reply_bytes = r->reply_bytes;
	}
	request_free(r);
	return error ? call_failed(error, what, subject) : 0;
}

static void transaction_free(void *data)
{
	struct transaction *t = data;

	pthread_cond_destroy(&t->idle);
	free(t->subject);
	free(t);
}

int store_begin(struct xyl_store *s, xyl_tx *tx)
{
	const struct store_part nothing = { "", 1 };
	struct request *r = request_new(XS_TRANSACTION_START, 0, &nothing, 1);
	struct transaction *t = calloc(1, sizeof(*t));
	int error = ENOMEM;

	if (r && t)
		error = exchange(s, r, XYL_TX_NONE);
	if (!error) {
		*tx = ((xyl_tx)r->generation << 32) | (uint32_t)strtoul(r->reply, NULL, 10);
		t->tx = *tx;
		cond_init(&t->idle);
		pthread_mutex_lock(&s->lock);
		g_hash_table_replace(s->transactions, &t->tx, t);
		pthread_mutex_unlock(&s->lock);
		t = NULL;
	}
	free(t);
	if (r)
		request_free(r);
	return error ? call_failed(error, "begin", "a transaction") : 0;
}

int store_defer(struct xyl_store *s, uint32_t type, xyl_tx tx, const struct store_part *parts, unsigned count,
                const char *what, const char *subject)
{
	struct transaction *t;
	struct request *r;
	int error = 0;

	if (too_long(parts, count) < 0)
		return call_failed(E2BIG, what, subject);
	r = request_new(type, (uint32_t)tx, parts, count);
	if (!r)
		return call_failed(ENOMEM, what, subject);
	pthread_mutex_lock(&s->lock);
	t = g_hash_table_lookup(s->transactions, &tx);
	if (tx_is_stale(s, tx))
		error = EAGAIN;
	else if (t && t->error)
		error = t->error;
	if (!error && t && t->outstanding < DEFERRED_MAX) {
		r->deferred = t;
		t->outstanding++;
		submit(s, r);
		pthread_mutex_unlock(&s->lock);
		return 0;
	}
	pthread_mutex_unlock(&s->lock);
	request_free(r);
	if (error)
		return call_failed(error, what, subject);
	/* Enough is on its way, or the transaction is not of this handle's making: wait. */
	return store_call(s, type, tx, parts, count, NULL, NULL, what, subject);
}

/* Needs s->lock. Nobody will ask for the answers of t any more. */
static void disown(struct xyl_store *s, struct transaction *t)
{
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, s->pending);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct request *r = value;

		if (r->deferred == t)
			r->deferred = NULL;
	}
}

/* Waits until everything that was deferred is answered. Returns the first error; *subject is to be freed. */
static int settle_all(struct xyl_store *s, xyl_tx tx, char **subject)
{
	struct timespec deadline;
	struct transaction *t;
	int error = 0;

	*subject = NULL;
	pthread_mutex_lock(&s->lock);
	deadline_in(&deadline, s->timeout_ms);
	t = g_hash_table_lookup(s->transactions, &tx);
	while (t && t->outstanding && error != ETIMEDOUT)
		error = pthread_cond_timedwait(&t->idle, &s->lock, &deadline);
	if (t) {
		error = t->outstanding ? ETIMEDOUT : t->error;
		*subject = t->subject;
		t->subject = NULL;
		if (t->outstanding)
			disown(s, t);
		g_hash_table_remove(s->transactions, &tx);
	}
	pthread_mutex_unlock(&s->lock);
	return error;
}

int store_end(struct xyl_store *s, xyl_tx tx, bool commit)
{
	char *subject;
	int error = settle_all(s, tx, &subject);
	const struct store_part word = { commit && !error ? "T" : "F", 2 };
	int rc = store_call(s, XS_TRANSACTION_END, tx, &word, 1, NULL, NULL, "end", "a transaction");

	if (error && commit)
		rc = call_failed(error, "write", subject ? subject : "in a transaction");
	free(subject);
	return rc;
}

int store_send(struct xyl_store *s, uint32_t type, xyl_tx tx, const struct store_part *parts, unsigned count,
               xyl_store_done_fn *done, void *data)
{
	struct request *r;

	if (too_long(parts, count) < 0)
		return xyl_fail(E2BIG, "xenstore: cannot send a request");
	r = request_new(type, (uint32_t)tx, parts, count);
	if (!r)
		return xyl_fail(ENOMEM, "xenstore: cannot send a request");
	r->done = done;
	r->data = data;
	pthread_mutex_lock(&s->lock);
	if (tx_is_stale(s, tx))
		complete(s, r, EAGAIN, "", 0);
	else
		submit(s, r);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* ---- callbacks in the main context ---- */

static void delivery_free(struct delivery *d)
{
	if (d->request)
		request_free(d->request);
	g_free(d->path);
	g_free(d->key);
	g_free(d);
}

static void store_unref(struct xyl_store *s)
{
	struct delivery *d;
	GHashTableIter iter;
	gpointer value;

	if (__atomic_sub_fetch(&s->references, 1, __ATOMIC_ACQ_REL))
		return;
	while ((d = g_queue_pop_head(&s->deliveries)))
		delivery_free(d);
	g_queue_clear_full(&s->outgoing, free);
	g_hash_table_iter_init(&iter, s->pending);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		request_free(value);
	g_hash_table_destroy(s->pending);
	g_hash_table_destroy(s->transactions);
	g_hash_table_destroy(s->watches);
	g_hash_table_destroy(s->queued_events);
	if (s->context)
		g_main_context_unref(s->context);
	if (s->wake >= 0)
		close(s->wake);
	pthread_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}

/* Runs one delivery; false when there is none. */
static bool deliver_one(struct xyl_store *s)
{
	xyl_watch_fn *fn = NULL;
	struct delivery *d;
	void *data = NULL;

	pthread_mutex_lock(&s->lock);
	d = s->closing ? NULL : g_queue_pop_head(&s->deliveries);
	if (d && d->watch) {
		struct xyl_watch *w = g_hash_table_lookup(s->watches, &d->watch);

		g_hash_table_remove(s->queued_events, d->key);
		if (w) {
			w->queued--;
			fn = w->fn;
			data = w->data;
		}
	}
	pthread_mutex_unlock(&s->lock);
	if (!d)
		return false;
	if (fn)
		fn(s, d->path, data);
	else if (d->request)
		d->request->done(s, d->request->error, d->request->reply ? d->request->reply : "",
		                 d->request->reply_bytes, d->request->data);
	delivery_free(d);
	return true;
}

static gboolean deliver(gpointer data)
{
	struct xyl_store *s = data;
	gboolean again;

	__atomic_add_fetch(&s->references, 1, __ATOMIC_ACQ_REL);
	for (int i = 0; i < DISPATCH_BATCH && deliver_one(s); i++)
		;
	pthread_mutex_lock(&s->lock);
	again = !s->closing && !g_queue_is_empty(&s->deliveries);
	if (!again && s->source) {
		g_source_unref(s->source);
		s->source = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	store_unref(s);
	return again ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* Needs s->lock. */
static void queue_event(struct xyl_store *s, struct xyl_watch *w, const char *path)
{
	struct delivery *d;
	char *key;

	if (w->queued >= EVENTS_MAX)
		path = w->path;
	key = g_strdup_printf("%" G_GUINT64_FORMAT " %s", w->id, path);
	if (g_hash_table_contains(s->queued_events, key)) {
		g_free(key);
		return;
	}
	d = g_new0(struct delivery, 1);
	d->watch = w->id;
	d->path = g_strdup(path);
	d->key = key;
	w->queued++;
	g_hash_table_add(s->queued_events, d->key);
	g_queue_push_tail(&s->deliveries, d);
	schedule(s);
}

/* ---- watches ---- */

static void watch_free(void *data)
{
	struct xyl_watch *w = data;

	free(w->path);
	free(w);
}

static unsigned watch_parts(const struct xyl_watch *w, char token[24], struct store_part parts[2])
{
	snprintf(token, 24, "%llx", (unsigned long long)w->id);
	parts[0] = (struct store_part){ w->path, strlen(w->path) + 1 };
	parts[1] = (struct store_part){ token, strlen(token) + 1 };
	return 2;
}

struct xyl_watch *xyl_store_watch(struct xyl_store *s, const char *path, xyl_watch_fn *fn, void *data)
{
	struct xyl_watch *w = calloc(1, sizeof(*w));
	struct store_part parts[2];
	bool connected;
	char token[24];
	unsigned n;

	if (w)
		w->path = strdup(path);
	if (!w || !w->path) {
		free(w);
		xyl_fail(ENOMEM, "xenstore: cannot watch %s", path);
		return NULL;
	}
	w->fn = fn;
	w->data = data;
	pthread_mutex_lock(&s->lock);
	w->id = ++s->next_watch;
	n = watch_parts(w, token, parts);
	g_hash_table_insert(s->watches, &w->id, w);
	connected = s->fd >= 0;
	pthread_mutex_unlock(&s->lock);
	/* Without a connection the next one registers it. EEXIST: it has done so meanwhile. */
	if (!connected || store_call(s, XS_WATCH, XYL_TX_NONE, parts, n, NULL, NULL, "watch", path) == 0 ||
	    errno == EEXIST)
		return w;
	n = (unsigned)errno;
	pthread_mutex_lock(&s->lock);
	g_hash_table_remove(s->watches, &w->id);
	pthread_mutex_unlock(&s->lock);
	errno = (int)n;
	return NULL;
}

int xyl_store_unwatch(struct xyl_store *s, struct xyl_watch *w)
{
	struct store_part parts[2];
	bool connected;
	char token[24];
	char *path;
	unsigned n;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	n = watch_parts(w, token, parts);
	path = w->path;
	w->path = NULL;
	g_hash_table_remove(s->watches, &w->id);
	connected = s->fd >= 0;
	pthread_mutex_unlock(&s->lock);
	if (connected)
		rc = store_send(s, XS_UNWATCH, XYL_TX_NONE, parts, n, NULL, NULL);
	free(path);
	return rc;
}

/* Needs s->lock. A message "path\0token\0" from xenstored. */
static void take_event(struct xyl_store *s, const char *body, size_t bytes)
{
	const char *end = memchr(body, '\0', bytes);
	struct xyl_watch *w;
	uint64_t id;

	if (!end || end + 1 >= body + bytes)
		return;
	id = strtoull(end + 1, NULL, 16); /* the buffer is terminated by its reader */
	w = g_hash_table_lookup(s->watches, &id);
	if (w)
		queue_event(s, w, body);
}

/* ---- the thread ---- */

static int error_number(const char *word)
{
	for (size_t i = 0; i < sizeof(xsd_errors) / sizeof(xsd_errors[0]); i++) {
		if (strcmp(xsd_errors[i].errstring, word) == 0)
			return xsd_errors[i].errnum;
	}
	return EIO;
}

/* Needs s->lock. body is followed by a NUL. */
static void take_message(struct xyl_store *s, const struct xsd_sockmsg *header, const char *body)
{
	struct request *r;

	if (header->type == XS_WATCH_EVENT) {
		take_event(s, body, header->len);
		return;
	}
	r = g_hash_table_lookup(s->pending, GUINT_TO_POINTER(header->req_id));
	if (!r)
		return; /* its caller has given up */
	g_hash_table_remove(s->pending, GUINT_TO_POINTER(header->req_id));
	if (header->type == XS_ERROR)
		complete(s, r, error_number(body), "", 0);
	else
		complete(s, r, 0, body, header->len);
}

/* Reads once and takes the complete messages. Returns -1 when the connection is of no use any more. */
static int receive(struct xyl_store *s, int fd)
{
	char body[XENSTORE_PAYLOAD_MAX + 1];
	size_t at = 0;
	ssize_t n;

	n = read(fd, s->input + s->input_bytes, sizeof(s->input) - s->input_bytes);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	s->input_bytes += (size_t)n;
	for (;;) {
		struct xsd_sockmsg header;

		if (s->input_bytes - at < sizeof(header))
			break;
		memcpy(&header, s->input + at, sizeof(header));
		if (header.len > XENSTORE_PAYLOAD_MAX)
			return -1;
		if (s->input_bytes - at < sizeof(header) + header.len)
			break;
		memcpy(body, s->input + at + sizeof(header), header.len);
		body[header.len] = '\0';
		pthread_mutex_lock(&s->lock);
		take_message(s, &header, body);
		pthread_mutex_unlock(&s->lock);
		at += sizeof(header) + header.len;
	}
	memmove(s->input, s->input + at, s->input_bytes - at);
	s->input_bytes -= at;
	return 0;
}

static int connect_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* Returns a file descriptor, or -1 with errno of the first place. */
static int connect_any(struct xyl_store *s, bool *device)
{
	const char *path = s->path ? s->path : getenv("XENSTORED_PATH");
	int fd, error;

	*device = false;
	fd = connect_socket(path ? path : SOCKET_PATH);
	if (fd >= 0 || path || errno != ENOENT)
		return fd;
	/* No socket at all: the daemon may run in another domain, reached through the kernel. */
	error = errno;
	*device = true;
	fd = open(DEVICE_PATH, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		errno = error;
	return fd;
}

static gint by_id(gconstpointer a, gconstpointer b)
{
	const struct request *p = a, *q = b;

	return (p->id > q->id) - (p->id < q->id);
}

/* Needs s->lock. A new connection: watches first, then what nobody has answered yet, in the order of asking.
 */
static void begin_connection(struct xyl_store *s, int fd, bool device)
{
	GList *pending = g_list_sort(g_hash_table_get_values(s->pending), by_id);
	GHashTableIter iter;
	gpointer value;

	s->fd = fd;
	s->device = device;
	s->generation++;
	s->input_bytes = 0;
	g_hash_table_iter_init(&iter, s->watches);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct store_part parts[2];
		struct request *r;
		char token[24];
		unsigned n = watch_parts(value, token, parts);

		r = request_new(XS_WATCH, 0, parts, n);
		if (r)
			submit(s, r);
	}
	for (GList *l = pending; l; l = l->next) {
		struct request *r = l->data;

		enqueue(s, r->message, r->bytes);
	}
	g_list_free(pending);
	flush(s);
}

/* Needs s->lock. */
static void end_connection(struct xyl_store *s)
{
	GHashTableIter iter;
	gpointer value;

	close(s->fd);
	s->fd = -1;
	g_queue_clear_full(&s->outgoing, free);
	g_hash_table_iter_init(&iter, s->pending);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct request *r = value;

		if (!r->in_tx)
			continue;
		g_hash_table_iter_remove(&iter);
		complete(s, r, EAGAIN, "", 0);
	}
}

/* One turn with a connection. */
static void serve(struct xyl_store *s, int fd)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = s->wake, .events = POLLIN } };
	uint64_t count;

	pthread_mutex_lock(&s->lock);
	if (!g_queue_is_empty(&s->outgoing))
		p[0].events |= POLLOUT;
	pthread_mutex_unlock(&s->lock);
	if (poll(p, 2, -1) < 0)
		return;
	if (p[1].revents && read(s->wake, &count, sizeof(count)) < 0)
		return;
	if (p[0].revents & POLLOUT) {
		pthread_mutex_lock(&s->lock);
		flush(s);
		pthread_mutex_unlock(&s->lock);
	}
	if ((p[0].revents & (POLLIN | POLLHUP | POLLERR)) && receive(s, fd) < 0) {
		pthread_mutex_lock(&s->lock);
		end_connection(s);
		pthread_mutex_unlock(&s->lock);
	}
}

static void *run(void *data)
{
	struct pollfd p;
	struct xyl_store *s = data;
	int retry_ms = RETRY_FIRST_MS;

	for (;;) {
		bool closing, device;
		int fd;

		pthread_mutex_lock(&s->lock);
		closing = s->closing;
		fd = s->fd;
		pthread_mutex_unlock(&s->lock);
		if (closing)
			return NULL;
		if (fd >= 0) {
			serve(s, fd);
			continue;
		}
		fd = connect_any(s, &device);
		if (fd >= 0) {
			pthread_mutex_lock(&s->lock);
			begin_connection(s, fd, device);
			pthread_mutex_unlock(&s->lock);
			retry_ms = RETRY_FIRST_MS;
			continue;
		}
		/* Only closing wakes it early; a request that comes meanwhile waits for the connection
		 * anyway. */
		p = (struct pollfd){ .fd = s->wake, .events = POLLIN };
		if (poll(&p, 1, retry_ms) > 0) {
			uint64_t count;
			ssize_t n = read(s->wake, &count, sizeof(count));

			(void)n;
		}
		retry_ms = retry_ms * 2 < RETRY_LAST_MS ? retry_ms * 2 : RETRY_LAST_MS;
	}
}

/* ---- opening and closing ---- */

static struct xyl_store *store_new(struct _GMainContext *context, const char *path)
{
	struct xyl_store *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->references = 1;
	s->context = context ? g_main_context_ref(context) : NULL;
	s->path = path ? strdup(path) : NULL;
	s->fd = -1;
	s->timeout_ms = DEFAULT_TIMEOUT_MS;
	pthread_mutex_init(&s->lock, NULL);
	g_queue_init(&s->outgoing);
	g_queue_init(&s->deliveries);
	s->pending = g_hash_table_new(NULL, NULL);
	s->transactions = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, transaction_free);
	s->watches = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, watch_free);
	s->queued_events = g_hash_table_new(g_str_hash, g_str_equal);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake < 0 || (path && !s->path)) {
		store_unref(s);
		return NULL;
	}
	return s;
}

static struct xyl_store *store_start(struct xyl_store *s)
{
	int error = pthread_create(&s->thread, NULL, run, s);

	if (!error)
		return s;
	if (s->fd >= 0)
		close(s->fd);
	store_unref(s);
	xyl_fail(error, "xenstore: cannot start the connection's thread");
	return NULL;
}

struct xyl_store *xyl_store_open(struct _GMainContext *context)
{
	struct xyl_store *s = store_new(context, NULL);
	bool device;
	int fd;

	if (!s) {
		xyl_fail(ENOMEM, "xenstore: cannot connect");
		return NULL;
	}
	fd = connect_any(s, &device);
	if (fd < 0) {
		int error = errno;

		store_unref(s);
		xyl_fail(error, "xenstore: cannot connect to xenstored at %s (is it running?)",
		         getenv("XENSTORED_PATH") ? getenv("XENSTORED_PATH") : SOCKET_PATH);
		return NULL;
	}
	pthread_mutex_lock(&s->lock);
	begin_connection(s, fd, device);
	pthread_mutex_unlock(&s->lock);
	return store_start(s);
}

struct xyl_store *xyl_store_open_path(struct _GMainContext *context, const char *socket_path)
{
	struct xyl_store *s = store_new(context, socket_path);

	if (!s) {
		xyl_fail(ENOMEM, "xenstore: cannot connect");
		return NULL;
	}
	return store_start(s);
}

void xyl_store_close(struct xyl_store *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->closing = true;
	pthread_mutex_unlock(&s->lock);
	kick(s);
	pthread_join(s->thread, NULL);
	pthread_mutex_lock(&s->lock);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	if (s->source) {
		g_source_destroy(s->source);
		g_source_unref(s->source);
		s->source = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	store_unref(s);
}

void xyl_store_set_timeout(struct xyl_store *s, unsigned timeout_ms)
{
	pthread_mutex_lock(&s->lock);
	s->timeout_ms = timeout_ms;
	pthread_mutex_unlock(&s->lock);
}

bool xyl_store_connected(struct xyl_store *s)
{
	bool connected;

	pthread_mutex_lock(&s->lock);
	connected = s->fd >= 0;
	pthread_mutex_unlock(&s->lock);
	return connected;
}
