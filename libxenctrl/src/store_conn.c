/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The connection to xenstored: this file has the thread, the socket, opening and closing; store_request.c the
 * requests and transactions; store_watch.c the callbacks; store.c the calls of the protocol.
 *
 * One thread per connection does all reading, the rest of writes that did not go out at once, and
 * reconnecting.
 *
 * When the connection breaks, pending requests outside of transactions stay and are sent again on the next
 * one (they are all idempotent), those within fail with EAGAIN; a transaction's handle carries the
 * connection's generation. Each connection registers each watch once: either its caller's own request is
 * still pending, or the connection makes one, which goes with it when it breaks unanswered.
 *
 * Locking: s->lock guards everything in struct xyl_store but the immutable fields; no callback runs under it.
 */
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "store_conn.h"

#define SOCKET_PATH        "/run/xenstored/socket"
#define DEVICE_PATH        "/dev/xen/xenbus"
#define BACKEND_PATH       "/dev/xen/xenbus_backend"
#define DEFAULT_TIMEOUT_MS 30000u
#define RETRY_FIRST_MS     20
#define SEND_BATCH         32 /* messages in one call */
#define RETRY_LAST_MS      1000

static void *run(void *data);

/* Needs s->lock, and something in the queue. Sends from its head on; the kernel's device takes one message at
 * a time. */
static ssize_t send_some(struct xyl_store *s)
{
	struct iovec iov[SEND_BATCH];
	struct msghdr message = { .msg_iov = iov };
	const struct outgoing *first = s->outgoing.head->data;

	if (s->device)
		return write(s->fd, first->data + first->sent, first->bytes - first->sent);
	for (GList *l = s->outgoing.head; l && message.msg_iovlen < SEND_BATCH; l = l->next) {
		struct outgoing *o = l->data;

		iov[message.msg_iovlen++] = (struct iovec){ o->data + o->sent, o->bytes - o->sent };
	}
	return sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Needs s->lock. Sends what the connection takes now; breaks it on errors (the thread will notice). */
void store_flush(struct xyl_store *s)
{
	while (s->fd >= 0 && !g_queue_is_empty(&s->outgoing)) {
		ssize_t n = send_some(s);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && !s->device)
			shutdown(s->fd, SHUT_RDWR);
		if (n < 0)
			break;
		while (n > 0) {
			struct outgoing *o = g_queue_peek_head(&s->outgoing);
			size_t part = MIN((size_t)n, o->bytes - o->sent);

			o->sent += part;
			n -= (ssize_t)part;
			if (o->sent == o->bytes)
				free(g_queue_pop_head(&s->outgoing));
		}
	}
}

/* Needs s->lock. */
void store_enqueue(struct xyl_store *s, const char *message, size_t bytes)
{
	struct outgoing *o = malloc(sizeof(*o) + bytes);

	if (!o)
		abort(); /* as GLib does: a few bytes cannot be had */
	o->bytes = bytes;
	o->sent = 0;
	memcpy(o->data, message, bytes);
	g_queue_push_tail(&s->outgoing, o);
}

void store_kick(struct xyl_store *s)
{
	const uint64_t one = 1;
	ssize_t n = write(s->wake, &one, sizeof(one));

	(void)n; /* full means that it is awake anyway */
}

void store_unref(struct xyl_store *s)
{
	struct delivery *d;
	GHashTableIter iter;
	gpointer value;

	if (__atomic_sub_fetch(&s->references, 1, __ATOMIC_ACQ_REL))
		return;
	while ((d = g_queue_pop_head(&s->deliveries)))
		store_delivery_free(d);
	g_queue_clear_full(&s->outgoing, free);
	g_hash_table_iter_init(&iter, s->pending);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		store_request_free(value);
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
		store_take_event(s, body, header->len);
		return;
	}
	r = g_hash_table_lookup(s->pending, GUINT_TO_POINTER(header->req_id));
	if (!r)
		return; /* its caller has given up */
	g_hash_table_remove(s->pending, GUINT_TO_POINTER(header->req_id));
	if (header->type == XS_ERROR)
		store_complete(s, r, error_number(body), "", 0);
	else
		store_complete(s, r, 0, body, header->len);
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

/*
 * The kernel's device answers only while a xenstored serves the kernel, and otherwise lets requests wait. So
 * it is used where it is named, and by itself only in a domain that has no xenstored of its own: the control
 * domain's kernel has the backend device, and there the missing socket means that xenstored does not run.
 */
static int connect_device(const char *path)
{
	if (!path && access(BACKEND_PATH, F_OK) == 0) {
		errno = ENOENT;
		return -1;
	}
	return open(path ? path : DEVICE_PATH, O_RDWR | O_CLOEXEC | O_NONBLOCK);
}

/* Returns a file descriptor, or -1 with errno. */
static int connect_any(struct xyl_store *s, bool *device)
{
	const char *path = s->path ? s->path : getenv("XENSTORED_PATH");
	int fd;

	*device = path && strncmp(path, "/dev/", 5) == 0;
	if (*device)
		return connect_device(path);
	fd = connect_socket(path ? path : SOCKET_PATH);
	if (fd >= 0 || path || errno != ENOENT)
		return fd;
	*device = true;
	return connect_device(NULL);
}

static gint by_id(gconstpointer a, gconstpointer b)
{
	const struct request *p = a, *q = b;

	return (p->id > q->id) - (p->id < q->id);
}

/* Needs s->lock. A new connection: watches first, then what nobody has answered yet, in the order of asking. */
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
		struct xyl_watch *w = value;
		struct store_part parts[2];
		struct request *r;
		char token[24];
		unsigned n;

		if (w->asking)
			continue;
		n = store_watch_parts(w, token, parts);
		r = store_request_new(XS_WATCH, 0, parts, n);
		if (r) {
			r->renews = true;
			store_submit(s, r);
		}
	}
	for (GList *l = pending; l; l = l->next) {
		struct request *r = l->data;

		store_enqueue(s, r->message, r->bytes);
	}
	g_list_free(pending);
	store_flush(s);
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

		if (!r->in_tx && !r->renews)
			continue;
		g_hash_table_iter_remove(&iter);
		store_complete(s, r, EAGAIN, "", 0);
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
		store_flush(s);
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
		/* Only closing wakes it early; a request that comes meanwhile waits for the connection anyway. */
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
	s->transactions = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, store_transaction_free);
	s->watches = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, store_watch_free);
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
	store_kick(s);
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
