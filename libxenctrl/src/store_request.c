/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests to xenstored and the transactions that they belong to; see store_conn.c for the whole.
 *
 * A caller puts its request on the list of pending ones, sends what the socket takes, and sleeps on the
 * request's own condition until the connection's thread has the answer. Within a transaction, requests whose
 * answers do not matter are not waited for: the transaction counts them and keeps their first error.
 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store_conn.h"

#define DEFERRED_MAX   512u /* unanswered requests of a transaction */
#define DEFERRED_BATCH 64u  /* of them, those that wait to be sent */

void store_request_free(struct request *r)
{
	pthread_cond_destroy(&r->finished);
	free(r->reply);
	free(r->message);
	free(r);
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
void store_complete(struct xyl_store *s, struct request *r, int error, const char *reply, size_t bytes)
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
		store_schedule(s);
	} else {
		if (r->deferred)
			settle(r);
		store_request_free(r);
	}
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

struct request *store_request_new(uint32_t type, uint32_t tx_id, const struct store_part *parts,
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

/* Needs s->lock. Sends what stands in the queue; the thread does what the connection does not take now. */
static void send_queued(struct xyl_store *s)
{
	store_flush(s);
	if (!g_queue_is_empty(&s->outgoing))
		store_kick(s);
}

/* Needs s->lock. Numbers the request and puts it behind the others, when there is a connection; otherwise it
 * goes out with the next. */
static void enqueue(struct xyl_store *s, struct request *r)
{
	do {
		r->id = ++s->next_id;
	} while (!r->id || g_hash_table_contains(s->pending, GUINT_TO_POINTER(r->id)));
	memcpy(r->message + offsetof(struct xsd_sockmsg, req_id), &r->id, sizeof(r->id));
	g_hash_table_insert(s->pending, GUINT_TO_POINTER(r->id), r);
	if (s->fd < 0)
		return;
	store_enqueue(s, r->message, r->bytes);
}

void store_submit(struct xyl_store *s, struct request *r)
{
	enqueue(s, r);
	send_queued(s);
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
		store_submit(s, r);
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
	r = store_request_new(type, (uint32_t)tx, parts, count);
	if (!r)
		return call_failed(ENOMEM, what, subject);
	error = exchange(s, r, tx);
	if (!error && reply) {
		*reply = r->reply;
		r->reply = NULL;
		if (reply_bytes)
			*reply_bytes = r->reply_bytes;
	}
	store_request_free(r);
	return error ? call_failed(error, what, subject) : 0;
}

void store_transaction_free(void *data)
{
	struct transaction *t = data;

	pthread_cond_destroy(&t->idle);
	free(t->subject);
	free(t);
}

int store_begin(struct xyl_store *s, xyl_tx *tx)
{
	const struct store_part nothing = { "", 1 };
	struct request *r = store_request_new(XS_TRANSACTION_START, 0, &nothing, 1);
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
		store_request_free(r);
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
	r = store_request_new(type, (uint32_t)tx, parts, count);
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
		/* Nobody waits yet: many of them are sent together, by whoever does. */
		enqueue(s, r);
		if (g_queue_get_length(&s->outgoing) >= DEFERRED_BATCH)
			send_queued(s);
		pthread_mutex_unlock(&s->lock);
		return 0;
	}
	pthread_mutex_unlock(&s->lock);
	store_request_free(r);
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
	send_queued(s);
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
	r = store_request_new(type, (uint32_t)tx, parts, count);
	if (!r)
		return xyl_fail(ENOMEM, "xenstore: cannot send a request");
	r->done = done;
	r->data = data;
	pthread_mutex_lock(&s->lock);
	if (tx_is_stale(s, tx))
		store_complete(s, r, EAGAIN, "", 0);
	else
		store_submit(s, r);
	pthread_mutex_unlock(&s->lock);
	return 0;
}
