/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See end.h.
 *
 * A socket is in one of three states: it waits for a client (wait_source: the listening socket, or the timer after which
 * it connects again), it is connecting (fd, out_source), or somebody is there (fd). A client that hangs up leads back to
 * the first. An address at which another program listens is left to it; an end that waits for it tries again each second, and as
 * soon as another end of this daemon lets go.
 */
#include "end.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <netdb.h>
#include <poll.h>
#include <pty.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "xenctrl.h"

#include "../common/daemon.h"

#define BACKLOG_BYTES (64 * 1024)
#define FILE_WAITING  (64 * 1024)
#define RETRY_MS      1000
#define INPUT_BYTES   1024         /* at once */
#define KEPT_BYTES    (256 * 1024) /* more than a UNIX socket or an idle TCP connection holds */
/* A TCP client that has gone is no G_IO_HUP before our side is shut down as well. */
#define HANG_UP (G_IO_HUP | (GIOCondition)POLLRDHUP)

struct end {
	const struct end_owner *owner;
	void *data;
	enum end_kind kind;
	bool listens, reliable;
	char *what, *path, *host, *service;
	char *error;
	bool taken; /* error is that somebody listens there */

	int fd; /* the terminal's master, or a connection; -1: nobody is there */
	int slave, listener;
	bool connecting;
	dev_t bound_dev; /* the UNIX socket that is ours, under its path */
	ino_t bound_ino;
	char *tty;
	bool locked;
	guint wait_source, in_source, out_source;
	bool input_on; /* in_source hears input; otherwise that the client hangs up */
	struct backlog backlog;
	struct backlog kept; /* input of clients that have gone, while there is some */
	uint64_t input_lost;
	struct log *file;
};

static GList *sockets; /* the ends that are some */

static void wait_for_client(struct end *e);
static void retry_later(struct end *e);

static void forget_source(guint *source)
{
	if (*source)
		g_source_remove(*source);
	*source = 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static bool is_socket(const struct end *e)
{
	return e->kind == END_UNIX || e->kind == END_TCP;
}

/* ---- input that clients left behind --------------------------------------------------------------- */

/* How much of whoever is there may be read. */
static size_t input_room(const struct end *e)
{
	return e->kept.used ? 0 : e->owner->room(e->data);
}

/* No more than there is room for now: a guest that makes room byte by byte meanwhile is given the rest when it says so. */
static void give_kept(struct end *e)
{
	size_t n, room, left = e->owner->room(e->data);

	for (; left && e->kept.used && (room = e->owner->room(e->data)); left -= n) {
		const char *bytes = backlog_peek(&e->kept, &n);

		n = MIN(n, MIN(room, left));
		e->owner->input(e->data, bytes, n);
		backlog_take(&e->kept, n);
	}
	if (e->kept.data && !e->kept.used)
		backlog_fini(&e->kept);
}

/* What the client that goes has sent, and the guest had no room for yet. */
static void keep_rest(struct end *e)
{
	char bytes[INPUT_BYTES];
	ssize_t n;
	uint64_t lost = 0;

	while (lost < KEPT_BYTES && (n = read(e->fd, bytes, sizeof(bytes))) > 0) {
		size_t fits = MIN((size_t)n, KEPT_BYTES - e->kept.used);

		if (!e->kept.data)
			backlog_init(&e->kept, KEPT_BYTES);
		backlog_put(&e->kept, bytes, fits);
		lost += (size_t)n - fits;
	}
	if (lost && !e->input_lost)
		daemon_log(LOG_WARNING,
		           "%s: input of clients that have gone is lost: the guest does not read it",
		           e->what);
	e->input_lost += lost;
	give_kept(e);
}

/* ---- whoever is there ---------------------------------------------------------------------------- */

static void hang_up(struct end *e)
{
	forget_source(&e->in_source);
	forget_source(&e->out_source);
	keep_rest(e);
	close_fd(&e->fd);
	e->connecting = false;
	/* The next client is not given the rest of what this one has not read. */
	if (e->reliable)
		backlog_take(&e->backlog, e->backlog.used);
	/* A peer that takes connections only to close them is not connected to without a pause. */
	if (e->listens)
		wait_for_client(e);
	else
		retry_later(e);
	e->owner->takes(e->data);
}

static gboolean on_writable(gint fd, GIOCondition condition, gpointer data);

/* Gives what is taken; the rest waits in the backlog. */
static void flush(struct end *e)
{
	size_t had = e->backlog.used;

	if (e->fd < 0 || e->connecting)
		return;
	while (e->backlog.used) {
		size_t n;
		const char *bytes = backlog_peek(&e->backlog, &n);
		ssize_t done = is_socket(e) ? send(e->fd, bytes, n, MSG_NOSIGNAL) : write(e->fd, bytes, n);

		if (done < 0 && is_socket(e) && errno != EAGAIN && errno != EINTR) {
			hang_up(e);
			return;
		}
		if (done <= 0)
			break;
		backlog_take(&e->backlog, (size_t)done);
	}
	if (e->backlog.used && !e->out_source)
		e->out_source = g_unix_fd_add(e->fd, G_IO_OUT, on_writable, e);
	if (had && !e->backlog.used)
		e->owner->takes(e->data);
}

static gboolean on_input(gint fd, GIOCondition condition, gpointer data)
{
	struct end *e = data;
	char bytes[INPUT_BYTES];
	size_t room = MIN(input_room(e), sizeof(bytes));
	ssize_t n = room ? read(fd, bytes, room) : 0;
	bool over = room ? n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)
	                 : condition & (HANG_UP | G_IO_ERR);

	if (n > 0)
		e->owner->input(e->data, bytes, (size_t)n);
	if (over && is_socket(e)) {
		e->in_source = 0;
		hang_up(e);
		return G_SOURCE_REMOVE;
	}
	if (input_room(e))
		return G_SOURCE_CONTINUE;
	/* The guest tells us by its event when it has read. */
	e->in_source = 0;
	e->input_on = false;
	if (is_socket(e))
		e->in_source = g_unix_fd_add(fd, HANG_UP, on_input, e);
	return G_SOURCE_REMOVE;
}

void end_input_wanted(struct end *e)
{
	give_kept(e);
	if (e->fd < 0 || e->connecting || (e->in_source && e->input_on) || !input_room(e))
		return;
	forget_source(&e->in_source);
	e->in_source = g_unix_fd_add(e->fd, G_IO_IN, on_input, e);
	e->input_on = true;
}

static void client_is_there(struct end *e)
{
	e->input_on = false;
	g_clear_pointer(&e->error, g_free);
	end_input_wanted(e);
	if (!e->in_source)
		e->in_source = g_unix_fd_add(e->fd, HANG_UP, on_input, e);
	flush(e);
}

/* ---- sockets ------------------------------------------------------------------------------------- */

static void __attribute__((format(printf, 2, 3))) fail(struct end *e, const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	text = g_strdup_vprintf(format, ap);
	va_end(ap);
	/* Once for all tries. */
	if (!e->error)
		daemon_log(LOG_ERR, "%s: %s", e->what, text);
	g_free(e->error);
	e->error = text;
}

/* A socket for the end's address, which it becomes in *address; -1 with an error. */
static int make_socket(struct end *e, struct sockaddr_storage *address, socklen_t *bytes)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	struct sockaddr_un *un = (struct sockaddr_un *)address;
	struct addrinfo *found;
	int fd, err, one = 1;

	memset(address, 0, sizeof(*address));
	if (e->kind == END_UNIX) {
		if (g_strlcpy(un->sun_path, e->path, sizeof(un->sun_path)) >= sizeof(un->sun_path)) {
			fail(e, "%s is too long for a socket", e->path);
			return -1;
		}
		un->sun_family = AF_UNIX;
		*bytes = sizeof(*un);
	} else {
		err = getaddrinfo(e->host, e->service, &hints, &found);
		if (err) {
			fail(e, "%s, port %s: %s", e->host, e->service, gai_strerror(err));
			return -1;
		}
		memcpy(address, found->ai_addr, found->ai_addrlen);
		*bytes = found->ai_addrlen;
		freeaddrinfo(found);
	}
	fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		fail(e, "no socket: %s", strerror(errno));
	else if (e->kind == END_TCP && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	                                setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one))))
		fail(e, "a socket's options: %s", strerror(errno));
	return fd;
}

static void say_failed(struct end *e, const char *verb)
{
	const char *reason = strerror(errno);

	if (e->kind == END_UNIX)
		fail(e, "cannot %s %s: %s", verb, e->path, reason);
	else
		fail(e, "cannot %s %s, port %s: %s", verb, e->host, e->service, reason);
}

static gboolean on_retry(gpointer data)
{
	struct end *e = data;

	e->wait_source = 0;
	wait_for_client(e);
	return G_SOURCE_REMOVE;
}

static void retry_in(struct end *e, guint ms)
{
	forget_source(&e->wait_source);
	e->wait_source = g_timeout_add(ms, on_retry, e);
}

static void retry_later(struct end *e)
{
	retry_in(e, RETRY_MS);
}

static gboolean on_client(gint fd, GIOCondition condition, gpointer data)
{
	struct end *e = data;

	(void)condition;
	e->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	/* It may have gone again. Without descriptors it stays in the queue, and is not looked at without end. */
	e->wait_source = 0;
	if (e->fd < 0)
		retry_later(e);
	else
		client_is_there(e);
	return G_SOURCE_REMOVE;
}

/* Who listens at a path, for messages. */
static const char *holder(const struct stat *info)
{
	for (GList *l = sockets; l; l = l->next) {
		const struct end *e = l->data;

		if (e->listener >= 0 && e->kind == END_UNIX && e->bound_dev == info->st_dev &&
		    e->bound_ino == info->st_ino)
			return e->what;
	}
	return "another program";
}

/* The path may be left of an earlier xenconsoled: a socket that is nobody's any more makes room. Whether it is somebody's is
 * asked by a socket of another kind, which whoever listens there does not notice. Returns whether the path is free. */
static bool make_room(struct end *e, const struct sockaddr_storage *address, socklen_t bytes)
{
	struct stat info;
	int fd;
	bool dead;

	if (lstat(e->path, &info) || !S_ISSOCK(info.st_mode))
		return true; /* for bind() to say */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	dead = fd >= 0 && connect(fd, (const struct sockaddr *)address, bytes) && errno == ECONNREFUSED;
	close_fd(&fd);
	if (dead)
		return !unlink(e->path) || errno == ENOENT;
	e->taken = true;
	fail(e, "cannot listen on %s: %s has it", e->path, holder(&info));
	return false;
}

static int bind_socket(struct end *e, int fd, const struct sockaddr_storage *address, socklen_t bytes)
{
	struct stat info;

	if (bind(fd, (const struct sockaddr *)address, bytes) || listen(fd, 1)) {
		e->taken = e->kind == END_TCP && errno == EADDRINUSE;
		return -1;
	}
	if (e->kind == END_UNIX) {
		if (chmod(e->path, 0600) || lstat(e->path, &info))
			return -1;
		e->bound_dev = info.st_dev;
		e->bound_ino = info.st_ino;
	}
	return 0;
}

static void start_listening(struct end *e)
{
	struct sockaddr_storage address;
	socklen_t bytes;
	int fd = make_socket(e, &address, &bytes);

	e->taken = false;
	if (fd < 0)
		return;
	if (e->kind == END_UNIX && !make_room(e, &address, bytes)) {
		close(fd);
		return;
	}
	if (bind_socket(e, fd, &address, bytes)) {
		say_failed(e, "listen on");
		close(fd);
		return;
	}
	e->listener = fd;
	if (e->error)
		e->owner->stands(e->data);
	g_clear_pointer(&e->error, g_free);
}

/* Those that wait for an address may have that one. */
static void wake_waiting(void)
{
	for (GList *l = sockets; l; l = l->next) {
		struct end *e = l->data;

		if (e->listens && e->listener < 0)
			retry_in(e, 0);
	}
}

static void start_connecting(struct end *e)
{
	struct sockaddr_storage address;
	socklen_t bytes;

	e->fd = make_socket(e, &address, &bytes);
	if (e->fd < 0) {
		retry_later(e);
	} else if (!connect(e->fd, (struct sockaddr *)&address, bytes)) {
		client_is_there(e);
	} else if (errno == EINPROGRESS) {
		e->connecting = true;
		e->out_source = g_unix_fd_add(e->fd, G_IO_OUT, on_writable, e);
	} else {
		say_failed(e, "connect to");
		close_fd(&e->fd);
		retry_later(e);
	}
}

static gboolean on_writable(gint fd, GIOCondition condition, gpointer data)
{
	struct end *e = data;
	socklen_t bytes = sizeof(errno);
	int err = 0;

	(void)condition;
	e->out_source = 0;
	if (!e->connecting) {
		flush(e);
		return G_SOURCE_REMOVE;
	}
	e->connecting = false;
	if (!getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &bytes) && !err) {
		client_is_there(e);
	} else {
		errno = err;
		say_failed(e, "connect to");
		close_fd(&e->fd);
		retry_later(e);
	}
	return G_SOURCE_REMOVE;
}

static void wait_for_client(struct end *e)
{
	forget_source(&e->wait_source);
	if (!e->listens) {
		start_connecting(e);
		return;
	}
	if (e->listener < 0)
		start_listening(e);
	if (e->listener < 0)
		retry_later(e);
	else
		e->wait_source = g_unix_fd_add(e->listener, G_IO_IN, on_client, e);
}

/* ---- terminals ----------------------------------------------------------------------------------- */

static int terminal_open(struct end *e, uint32_t domid)
{
	struct termios term;
	char name[64];

	if (openpty(&e->fd, &e->slave, NULL, NULL, NULL))
		return errno;
	fcntl(e->fd, F_SETFD, FD_CLOEXEC);
	fcntl(e->slave, F_SETFD, FD_CLOEXEC);
	/* Our own slave stays open, so that the terminal outlives its readers. */
	if (tcgetattr(e->slave, &term) || ttyname_r(e->slave, name, sizeof(name)))
		return errno;
	cfmakeraw(&term);
	if (tcsetattr(e->slave, TCSANOW, &term))
		return errno;
	fcntl(e->fd, F_SETFL, O_NONBLOCK);
	e->tty = g_strdup(name);
	/* Clients would refuse what says that it is locked and is not. */
	e->locked = !xyl_console_lock(e->slave, domid);
	if (!e->locked)
		daemon_log(LOG_WARNING, "%s", xyl_error());
	return 0;
}

/* ---- the end ------------------------------------------------------------------------------------- */

struct end *end_new(const struct end_conf *conf, uint32_t domid, const char *what, struct logwriter *writer,
                    const struct log_limits *limits, const struct end_owner *owner, void *data)
{
	struct end *e = g_new0(struct end, 1);
	int err;

	e->owner = owner;
	e->data = data;
	e->kind = conf->kind;
	e->listens = conf->listens;
	e->reliable = conf->reliable && is_socket(e);
	e->what = g_strdup(what);
	e->path = g_strdup(conf->path);
	e->host = g_strdup(conf->host);
	e->service = g_strdup(conf->service);
	e->fd = e->slave = e->listener = -1;
	if (e->kind == END_FILE) {
		e->file = log_new(writer, e->path, limits, FILE_WAITING);
		return e;
	}
	backlog_init(&e->backlog, BACKLOG_BYTES);
	if (e->kind == END_PTY) {
		err = terminal_open(e, domid);
		if (err) {
			close_fd(&e->fd);
			fail(e, "no terminal for it: %s", strerror(err));
		}
	} else {
		sockets = g_list_append(sockets, e);
		wait_for_client(e);
	}
	return e;
}

/* Unless somebody else listens there by now. */
static void unlink_socket(struct end *e)
{
	struct stat info;

	if (e->listener >= 0 && e->kind == END_UNIX && !lstat(e->path, &info) &&
	    info.st_dev == e->bound_dev && info.st_ino == e->bound_ino)
		unlink(e->path);
}

void end_free(struct end *e)
{
	if (!e)
		return;
	forget_source(&e->wait_source);
	forget_source(&e->in_source);
	forget_source(&e->out_source);
	unlink_socket(e);
	close_fd(&e->fd);
	close_fd(&e->slave);
	close_fd(&e->listener);
	sockets = g_list_remove(sockets, e);
	if (is_socket(e))
		wake_waiting();
	if (e->backlog.dropped)
		daemon_log(LOG_DEBUG, "%s: %" G_GUINT64_FORMAT " bytes of output were not read by anybody",
		           e->what, e->backlog.dropped);
	if (e->input_lost)
		daemon_log(LOG_DEBUG, "%s: %" G_GUINT64_FORMAT " bytes of input were lost", e->what,
		           e->input_lost);
	log_end(e->file);
	backlog_fini(&e->backlog);
	backlog_fini(&e->kept);
	g_free(e->tty);
	g_free(e->error);
	g_free(e->what);
	g_free(e->path);
	g_free(e->host);
	g_free(e->service);
	g_free(e);
}

const char *end_error(const struct end *e)
{
	return e->error;
}

bool end_is_taken(const struct end *e)
{
	return e->error && e->taken;
}

void end_put(struct end *e, const char *bytes, size_t n)
{
	if (e->kind == END_FILE) {
		log_put(e->file, bytes, n);
		return;
	}
	if (e->reliable && (e->fd < 0 || e->connecting))
		return;
	backlog_put(&e->backlog, bytes, n);
	flush(e);
}

bool end_takes(const struct end *e)
{
	return !e->reliable || !e->backlog.used;
}

const char *end_tty(const struct end *e, bool *locked)
{
	*locked = e->locked;
	return e->tty;
}
