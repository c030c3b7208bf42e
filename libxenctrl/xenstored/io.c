/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Moves bytes between transports (unix sockets, rings) and the core's connections, fairly.
 *
 * Connections with work stand in one queue; each gets requests up to a bounded amount of work, then the next one's
 * turn comes. A request that costs more than that is paid for by the turns that follow: who asks for what takes long
 * gets less of it. A connection whose replies are not taken is no longer read, nor, for a while, one whose writes make
 * dom0's transactions fail. A connection that breaks the protocol, or a ring whose indices are impossible, is
 * closed or marked broken alone.
 *
 * The main loop polls a handful of descriptors however many clients there are: guests' channels stand behind
 * one, and sockets behind one epoll descriptor.
 */
#include "io.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../common/daemon.h"
#include "conn.h"
#include "domain.h"
#include "host.h"

#define WORK_PER_TURN     16 /* simple requests; costly ones count as several */
#define IOV_MAX_MESSAGES  16
#define SOCKETS_PER_ROUND 64
#define HOLD_FIRST_MS     10u
#define HOLD_LAST_MS      1000u
#define HOLD_FORGET_US    (2 * G_USEC_PER_SEC)

struct io {
	struct store *store;
	struct store_host ops;
	struct host *host;
	GQueue work;
	guint idle;
	GQueue sockets; /* of struct transport */
	int epoll_fd;
	guint epoll_source;
	int listen_fd;
	guint listen_source;
	char *socket_path;
};

struct store *io_store(struct io *io)
{
	return io->store;
}

struct host *io_host(struct io *io)
{
	return io->host;
}

/* ---- transports ---------------------------------------------------------------------------------- */

struct transport *transport_new(struct io *io, struct conn *c)
{
	struct transport *t = g_new0(struct transport, 1);

	t->io = io;
	t->conn = c;
	t->fd = -1;
	t->link.data = t;
	c->io = t;
	return t;
}

void transport_free(struct transport *t)
{
	if (t->held)
		g_source_remove(t->held);
	if (t->queued)
		g_queue_unlink(&t->io->work, &t->link);
	if (t->fd >= 0)
		close(t->fd);
	t->conn->io = NULL;
	g_free(t);
}

static gboolean on_idle(gpointer data)
{
	struct io *io = data;

	io->idle = 0;
	io_run(io);
	return G_SOURCE_REMOVE;
}

void transport_queue(struct transport *t)
{
	if (t->queued || t->conn->broken)
		return;
	t->queued = true;
	g_queue_push_tail_link(&t->io->work, &t->link);
	if (!t->io->idle)
		t->io->idle = g_idle_add_full(G_PRIORITY_DEFAULT, on_idle, t->io, NULL);
}

/* Bytes, 0 for "not now", -1 for "never again". */
static int transport_read(struct transport *t, char *to, size_t max)
{
	ssize_t n;

	if (t->ring.page) {
		n = ring_read(&t->ring, to, max);
		t->notify |= n > 0;
		return n;
	}
	if (t->ahead_at == t->ahead_end) {
		n = recv(t->fd, t->ahead, sizeof(t->ahead), MSG_DONTWAIT);
		if (n <= 0)
			return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
		t->ahead_at = 0;
		t->ahead_end = n;
	}
	n = MIN(max, t->ahead_end - t->ahead_at);
	memcpy(to, t->ahead + t->ahead_at, n);
	t->ahead_at += n;
	return n;
}

static int transport_write(struct transport *t, struct iovec *iov, size_t count)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = count };
	int total = 0;
	ssize_t n;

	if (!t->ring.page) {
		n = sendmsg(t->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? 0 : -1;
	}
	for (size_t i = 0; i < count; i++) {
		n = ring_write(&t->ring, iov[i].iov_base, iov[i].iov_len);
		if (n < 0)
			return -1;
		total += n;
		if ((size_t)n < iov[i].iov_len)
			break;
	}
	t->notify |= total > 0;
	return total;
}

static int transport_flush(struct transport *t)
{
	struct iovec iov[IOV_MAX_MESSAGES];

	while (t->conn->out_first) {
		int n = transport_write(t, iov, conn_output(t->conn, iov, IOV_MAX_MESSAGES));

		if (n <= 0)
			return n;
		conn_output_done(t->conn, n);
	}
	return 0;
}

static void socket_close(struct transport *t)
{
	struct conn *c = t->conn;

	g_queue_remove(&t->io->sockets, t);
	transport_free(t);
	conn_free(c);
}

/* The connection cannot go on; a guest learns it from the error field of its ring. */
static void transport_break(struct transport *t, uint32_t reason)
{
	if (!t->ring.page) {
		socket_close(t);
		return;
	}
	conn_complain(t->conn, "%s; its connection is shut",
	              reason == XENSTORE_ERROR_RINGIDX ? "impossible ring index"
	                                               : "violation of the protocol");
	conn_reset(t->conn);
	t->conn->broken = true;
	t->ring.page->error = reason;
	host_notify(t->io->host, t);
}

/* A guest that found its ring in disorder asks for a fresh one. */
static void reconnect(struct transport *t)
{
	struct xenstore_domain_interface *page = t->ring.page;

	if (!page || __atomic_load_n(&page->connection, __ATOMIC_ACQUIRE) != XENSTORE_RECONNECT)
		return;
	conn_reset(t->conn);
	t->conn->broken = false;
	ring_reset(&t->ring);
	page->error = XENSTORE_ERROR_NONE;
	__atomic_store_n(&page->connection, XENSTORE_CONNECTED, __ATOMIC_SEQ_CST);
	t->notify = true;
}

static void socket_wait(struct transport *t)
{
	struct epoll_event ev = { .data.ptr = t };

	ev.events = (conn_may_process(t->conn) ? EPOLLIN : 0) | (t->conn->out_first ? EPOLLOUT : 0);
	if (ev.events == t->waiting_for)
		return;
	t->waiting_for = ev.events;
	if (epoll_ctl(t->io->epoll_fd, EPOLL_CTL_MOD, t->fd, &ev))
		daemon_log(LOG_ERR, "%s: epoll: %s", t->conn->name, strerror(errno));
}

/* What a turn may cost, less what the ones before it cost too much. */
static unsigned int work_allowed(struct transport *t)
{
	unsigned int paid = MIN(t->debt, WORK_PER_TURN);

	t->debt -= paid;
	return WORK_PER_TURN - paid;
}

/* One turn: replies out, some requests in. */
static void transport_turn(struct transport *t)
{
	struct conn *c = t->conn;
	unsigned int left = work_allowed(t);
	int n;

	reconnect(t);
	n = transport_flush(t);
	while (n >= 0 && left && !t->held && conn_may_process(c)) {
		char *where;
		size_t want = conn_input_want(c, &where);

		n = transport_read(t, where, want);
		if (n <= 0)
			break;
		if (conn_input_got(c, n)) {
			transport_break(t, XENSTORE_ERROR_PROTO);
			return;
		}
		if (!c->in_have) {
			t->debt += c->work - MIN(left, c->work);
			left -= MIN(left, c->work);
		}
		/* Replies go out together, and earlier only to make room for more. */
		if (!conn_may_process(c))
			n = transport_flush(t);
	}
	if (n >= 0)
		n = transport_flush(t);
	if (n < 0) {
		transport_break(t, XENSTORE_ERROR_RINGIDX);
		return;
	}
	if (t->ring.page) {
		if (t->notify)
			host_notify(t->io->host, t);
		t->notify = false;
	} else {
		socket_wait(t);
	}
	/* For what was read ahead no descriptor speaks up. */
	if (!left || (t->ahead_at < t->ahead_end && !t->held && conn_may_process(c)))
		transport_queue(t);
}

void io_run(struct io *io)
{
	/* Only those that wait now: new work is for the next round, after the descriptors have been looked at. */
	for (guint count = io->work.length; count && io->work.length; count--) {
		struct transport *t = io->work.head->data;

		g_queue_unlink(&io->work, &t->link);
		t->queued = false;
		transport_turn(t);
	}
	if (io->work.length && !io->idle)
		io->idle = g_idle_add_full(G_PRIORITY_DEFAULT, on_idle, io, NULL);
	if (!io->work.length && io->idle) {
		g_source_remove(io->idle);
		io->idle = 0;
	}
}

/* ---- sockets ------------------------------------------------------------------------------------- */

static gboolean on_sockets(gint fd, GIOCondition condition, gpointer data)
{
	struct epoll_event events[SOCKETS_PER_ROUND];
	int count = epoll_wait(fd, events, SOCKETS_PER_ROUND, 0);

	(void)condition;
	for (int i = 0; i < count; i++) {
		struct transport *t = events[i].data.ptr;

		/* Gone, and nothing of it may be read: else this would be reported for ever. */
		if (!conn_may_process(t->conn) && (events[i].events & (EPOLLHUP | EPOLLERR)))
			socket_close(t);
		else
			transport_queue(t);
	}
	io_run(data);
	return G_SOURCE_CONTINUE;
}

static gboolean on_connect(gint fd, GIOCondition condition, gpointer data);

static gboolean listen_again(gpointer data)
{
	struct io *io = data;

	io->listen_source = g_unix_fd_add(io->listen_fd, G_IO_IN, on_connect, io);
	return G_SOURCE_REMOVE;
}

static gboolean on_connect(gint fd, GIOCondition condition, gpointer data)
{
	struct io *io = data;
	struct epoll_event ev = { .events = EPOLLIN };
	struct ucred peer = { .pid = 0 };
	socklen_t len = sizeof(peer);
	struct transport *t;
	char name[48];
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)condition;
	if (client < 0) {
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return G_SOURCE_CONTINUE;
		/* Out of descriptors or memory: the client still waits, and asking again at once would not end. */
		daemon_log(LOG_ERR, "cannot accept a connection: %s", strerror(errno));
		io->listen_source = g_timeout_add_seconds(1, listen_again, io);
		return G_SOURCE_REMOVE;
	}
	if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		peer.pid = 0;
	g_snprintf(name, sizeof(name), "process %d", (int)peer.pid);
	t = transport_new(io, conn_new(io->store, io->store->dom0, true, name, NULL));
	t->fd = client;
	t->waiting_for = EPOLLIN;
	ev.data.ptr = t;
	if (epoll_ctl(io->epoll_fd, EPOLL_CTL_ADD, client, &ev))
		daemon_log(LOG_ERR, "%s: epoll: %s", name, strerror(errno));
	g_queue_push_tail(&io->sockets, t);
	return G_SOURCE_CONTINUE;
}

static int socket_listen(struct io *io)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	g_autofree char *dir = g_path_get_dirname(io->socket_path);
	mode_t old;
	int err = 0;

	if (strlen(io->socket_path) >= sizeof(addr.sun_path))
		return ENAMETOOLONG;
	strcpy(addr.sun_path, io->socket_path);
	if (mkdir(dir, 0755) && errno != EEXIST)
		return errno;
	io->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (io->listen_fd < 0)
		return errno;
	if (!connect(io->listen_fd, (struct sockaddr *)&addr, sizeof(addr)))
		return EADDRINUSE; /* somebody serves it */
	unlink(io->socket_path);
	old = umask(0177);
	if (bind(io->listen_fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(io->listen_fd, 64))
		err = errno;
	umask(old);
	if (!err)
		io->listen_source = g_unix_fd_add(io->listen_fd, G_IO_IN, on_connect, io);
	return err;
}

/* ---- what the core asks for ---------------------------------------------------------------------- */

static bool op_domain_exists(void *arg, uint16_t domid)
{
	struct io *io = arg;

	return io->host && host_domain_exists(io->host, domid);
}

static int op_introduce(void *arg, struct conn *c, uint16_t domid, uint64_t gfn, uint32_t port)
{
	struct io *io = arg;

	return io->host ? host_introduce(io->host, c, domid, gfn, port) : ENOSYS;
}

static void op_release(void *arg, struct conn *c)
{
	struct io *io = arg;

	if (c->io)
		host_release(io->host, c->io);
}

static void op_output_ready(void *arg, struct conn *c)
{
	(void)arg;
	if (c->io)
		transport_queue(c->io);
}

static gboolean hold_over(gpointer data)
{
	struct transport *t = data;

	t->held = 0;
	transport_queue(t);
	return G_SOURCE_REMOVE;
}

/*
 * Whoever writes without end would make every transaction of dom0's fail that reads what it writes. So it
 * waits: a short while at first, and twice as long each time that this was not enough.
 */
static void op_conflict(void *arg, struct conn *c)
{
	struct transport *t = c->io;
	gint64 now = g_get_monotonic_time();

	(void)arg;
	if (!t || t->held)
		return;
	t->held_ms = now - t->held_until < HOLD_FORGET_US ? MIN(t->held_ms * 2, HOLD_LAST_MS) : HOLD_FIRST_MS;
	t->held_until = now + (gint64)t->held_ms * 1000;
	t->held = g_timeout_add(t->held_ms, hold_over, t);
}

static void op_log(void *arg, int priority, const char *text)
{
	(void)arg;
	daemon_log(priority, "%s", text);
}

struct io *io_start(const char *socket_path, bool domains)
{
	struct io *io = g_new0(struct io, 1);
	int err;

	io->listen_fd = io->epoll_fd = -1;
	io->socket_path = g_strdup(socket_path);
	g_queue_init(&io->work);
	g_queue_init(&io->sockets);
	io->ops = (struct store_host){ op_domain_exists, op_introduce, op_release, op_output_ready,
		                       op_conflict,      op_log,       io };
	io->store = store_new(&io->ops);
	io->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	err = io->epoll_fd < 0 ? errno : socket_listen(io);
	if (err) {
		daemon_log(LOG_ERR, "cannot listen on %s: %s", socket_path, strerror(err));
		io_stop(io);
		return NULL;
	}
	io->epoll_source = g_unix_fd_add(io->epoll_fd, G_IO_IN, on_sockets, io);
	if (domains) {
		io->host = host_start(io);
		if (!io->host) {
			io_stop(io);
			return NULL;
		}
	}
	return io;
}

void io_stop(struct io *io)
{
	if (io->listen_source) {
		g_source_remove(io->listen_source);
		unlink(io->socket_path);
	}
	if (io->listen_fd >= 0)
		close(io->listen_fd);
	while (io->sockets.head)
		socket_close(io->sockets.head->data);
	if (io->epoll_source)
		g_source_remove(io->epoll_source);
	if (io->epoll_fd >= 0)
		close(io->epoll_fd);
	store_free(io->store);
	if (io->host)
		host_stop(io->host);
	if (io->idle)
		g_source_remove(io->idle);
	g_free(io->socket_path);
	g_free(io);
}
