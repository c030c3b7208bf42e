/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The xenstore client against a server of the test's own that does what it is told: answers, refuses, keeps
 * silent, sends garbage, dies with requests outstanding, and comes back.
 */
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xen/io/xs_wire.h>

#include "libxenctrl/include/xenctrl.h"
#include "../../lib/tap.h"

#define BODY_MAX 65536u

/* One connection's life: serve() runs the script until it returns; then the connection is closed. */
struct server {
	char path[64];
	int listener;
	int fd;
	pthread_t thread;
	void (*script)(struct server *s);
};

static void server_listen(struct server *s)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	strcpy(a.sun_path, s->path);
	unlink(s->path);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(s->listener, 8) < 0)
		abort();
}

static void *server_run(void *data)
{
	struct server *s = data;

	s->script(s);
	return NULL;
}

static void server_start(struct server *s, void (*script)(struct server *s))
{
	s->script = script;
	if (pthread_create(&s->thread, NULL, server_run, s))
		abort();
}

static void server_end(struct server *s)
{
	pthread_join(s->thread, NULL);
}

static void server_accept(struct server *s)
{
	s->fd = accept(s->listener, NULL, NULL);
	if (s->fd < 0)
		abort();
}

static bool get(int fd, void *to, size_t bytes)
{
	char *at = to;

	while (bytes) {
		ssize_t n = read(fd, at, bytes);

		if (n <= 0)
			return false;
		at += n;
		bytes -= (size_t)n;
	}
	return true;
}

/* The next request; body is terminated. False at the connection's end. */
static bool server_take(struct server *s, struct xsd_sockmsg *h, char *body)
{
	if (!get(s->fd, h, sizeof(*h)) || h->len > BODY_MAX - 1 || !get(s->fd, body, h->len))
		return false;
	body[h->len] = '\0';
	return true;
}

static void server_say(struct server *s, uint32_t type, uint32_t id, const void *body, size_t bytes)
{
	struct xsd_sockmsg h = { .type = type, .req_id = id, .len = (uint32_t)bytes };
	ssize_t n = send(s->fd, &h, sizeof(h), MSG_NOSIGNAL);

	if (n == (ssize_t)sizeof(h) && bytes)
		n = send(s->fd, body, bytes, MSG_NOSIGNAL);
	(void)n; /* the client may be gone: its side is what is tested */
}

static void server_ok(struct server *s, const struct xsd_sockmsg *h)
{
	server_say(s, h->type, h->req_id, "OK", 3);
}

static void new_server(struct server *s)
{
	memset(s, 0, sizeof(*s));
	snprintf(s->path, sizeof(s->path), "/tmp/xylem-store-test.%ld", (long)getpid());
	server_listen(s);
}

static void end_server(struct server *s)
{
	close(s->listener);
	unlink(s->path);
}

static struct xyl_store *open_client(struct server *s)
{
	setenv("XENSTORED_PATH", s->path, 1);
	return xyl_store_open(NULL);
}

/* ---- plain answers ---- */

static void script_answers(struct server *s)
{
	static char body[BODY_MAX];
	struct xsd_sockmsg h;

	server_accept(s);
	while (server_take(s, &h, body)) {
		if (h.type == XS_READ && strcmp(body, "/value") == 0)
			server_say(s, XS_READ, h.req_id, "a\0b", 3);
		else if (h.type == XS_READ && strcmp(body, "/odd") == 0)
			server_say(s, XS_ERROR, h.req_id, "ENEWERROR", 10);
		else if (h.type == XS_READ)
			server_say(s, XS_ERROR, h.req_id, "ENOENT", 7);
		else if (h.type == XS_DIRECTORY)
			server_say(s, XS_DIRECTORY, h.req_id, "one\0two\0three", 14);
		else if (h.type == XS_GET_PERMS)
			server_say(s, XS_GET_PERMS, h.req_id, "n0\0r12\0b7", 10);
		else if (h.type == XS_WRITE && h.len == 7 && memcmp(body, "/w\0x\0yz", 7) == 0)
			server_ok(s, &h);
		else if (h.type == XS_SET_PERMS && memcmp(body, "/p\0w3\0r4", 9) == 0)
			server_ok(s, &h);
		else if (h.type == XS_INTRODUCE && memcmp(body,
		                                          "5\0"
		                                          "4660\0"
		                                          "9",
		                                          9) == 0)
			server_ok(s, &h);
		else
			server_say(s, XS_ERROR, h.req_id, "EINVAL", 7);
	}
	close(s->fd);
}

static void test_answers(void)
{
	const struct xyl_perms perms[] = { { 3, XYL_PERM_WRITE }, { 4, XYL_PERM_READ } };
	char long_value[XENSTORE_PAYLOAD_MAX];
	struct xyl_perms *got;
	struct xyl_store *c;
	struct server s;
	size_t n = 0;
	char **list;
	char *value;

	new_server(&s);
	server_start(&s, script_answers);
	c = open_client(&s);
	if (!tap_ok(c != NULL, "connects"))
		exit(tap_end());
	value = xyl_store_read(c, XYL_TX_NONE, "/value", &n);
	tap_ok(value && n == 3 && memcmp(value, "a\0b", 4) == 0, "a value with a NUL in it is read whole");
	free(value);
	tap_ok(!xyl_store_read(c, XYL_TX_NONE, "/none", NULL) && errno == ENOENT &&
	               strstr(xyl_error(), "/none"),
	       "a missing node is ENOENT, and the message names it");
	tap_ok(!xyl_store_read(c, XYL_TX_NONE, "/odd", NULL) && errno == EIO, "an unknown error word is EIO");
	list = xyl_store_directory(c, XYL_TX_NONE, "/", &n);
	tap_ok(list && n == 3 && strcmp(list[2], "three") == 0 && !list[3], "a directory's names");
	free(list);
	got = xyl_store_get_perms(c, XYL_TX_NONE, "/p", &n);
	tap_ok(got && n == 3 && got[1].domid == 12 && got[1].perm == XYL_PERM_READ &&
	               got[2].perm == XYL_PERM_BOTH,
	       "permissions are read");
	free(got);
	tap_ok(xyl_store_write(c, XYL_TX_NONE, "/w", "x\0yz", 4) == 0,
	       "a value with a NUL in it is written whole");
	tap_ok(xyl_store_set_perms(c, XYL_TX_NONE, "/p", perms, 2) == 0, "permissions are written");
	tap_ok(xyl_store_introduce(c, 5, 0x1234, 9) == 0, "a domain is introduced");
	memset(long_value, 'x', sizeof(long_value));
	tap_ok(xyl_store_write(c, XYL_TX_NONE, "/w", long_value, sizeof(long_value)) < 0 && errno == E2BIG,
	       "a message that is too long is refused here");
	xyl_store_close(c);
	server_end(&s);
	end_server(&s);
}

/* ---- a long directory, whose list changes once in between ---- */

static void script_parts(struct server *s)
{
	static char body[BODY_MAX];
	struct xsd_sockmsg h;
	int changed = 0;

	server_accept(s);
	while (server_take(s, &h, body)) {
		const char *offset = body + strlen(body) + 1;

		if (h.type == XS_DIRECTORY)
			server_say(s, XS_ERROR, h.req_id, "E2BIG", 6);
		else if (strcmp(offset, "0") == 0)
			server_say(s, h.type, h.req_id, changed ? "8\0a\0bb" : "7\0a\0bb", 7);
		else if (!changed++)
			server_say(s, h.type, h.req_id, "8\0zz", 5);
		else
			server_say(s, h.type, h.req_id, "8\0ccc\0", 7);
	}
	close(s->fd);
}

static void test_parts(void)
{
	struct xyl_store *c;
	struct server s;
	size_t n = 0;
	char **list;

	new_server(&s);
	server_start(&s, script_parts);
	c = open_client(&s);
	list = xyl_store_directory(c, XYL_TX_NONE, "/long", &n);
	tap_ok(list && n == 3 && strcmp(list[0], "a") == 0 && strcmp(list[2], "ccc") == 0,
	       "a directory in parts, begun again when it changes");
	free(list);
	xyl_store_close(c);
	server_end(&s);
	end_server(&s);
}

/* Another list each time that somebody looks. */
static void script_restless(struct server *s)
{
	static char body[BODY_MAX];
	struct xsd_sockmsg h;
	unsigned changes = 0;

	server_accept(s);
	while (server_take(s, &h, body)) {
		char answer[16] = "";

		if (h.type == XS_DIRECTORY) {
			server_say(s, XS_ERROR, h.req_id, "E2BIG", 6);
			continue;
		}
		snprintf(answer, sizeof(answer), "%06u", changes++);
		memcpy(answer + 7, "a\0bb", 5);
		server_say(s, h.type, h.req_id, answer, 11);
	}
	close(s->fd);
}

static void test_restless(void)
{
	struct xyl_store *c;
	struct server s;

	new_server(&s);
	server_start(&s, script_restless);
	c = open_client(&s);
	tap_ok(!xyl_store_directory(c, XYL_TX_NONE, "/long", NULL) && errno == EAGAIN &&
	               strstr(xyl_error(), "/long"),
	       "a directory that changes all the time is given up, by name");
	xyl_store_close(c);
	server_end(&s);
	end_server(&s);
}

/* ---- the server dies and comes back ---- */

#define SHORT_LIVES 3

static int watch_messages, resent;

/*
 * First life: takes a watch, a transaction and two requests, dies. Then a few in which it accepts and dies
 * before it reads: what the client had sent in those is lost. Last: takes the watch and what comes again.
 */
static void script_dies(struct server *s)
{
	static char body[BODY_MAX];
	struct xsd_sockmsg h;
	int requests = 0;

	server_accept(s);
	while (requests < 2 && server_take(s, &h, body)) {
		if (h.type == XS_TRANSACTION_START) {
			server_say(s, h.type, h.req_id, "77", 3);
		} else if (h.type == XS_WATCH) {
			watch_messages++;
			server_ok(s, &h);
		} else {
			requests++; /* the one in the transaction, and the one outside */
		}
	}
	close(s->fd);
	for (int i = 0; i < SHORT_LIVES; i++) {
		server_accept(s);
		close(s->fd);
	}
	close(s->listener);
	usleep(100000);
	server_listen(s);
	server_accept(s);
	while (server_take(s, &h, body)) {
		char event[128];

		if (h.type == XS_WATCH) {
			size_t path = strlen(body) + 1, token = strlen(body + path) + 1;

			watch_messages++;
			server_ok(s, &h);
			memcpy(event, body, path + token);
			server_say(s, XS_WATCH_EVENT, 0, event, path + token);
		} else if (h.type == XS_READ && h.tx_id == 0) {
			resent++;
			server_say(s, XS_READ, h.req_id, "again", 5);
		} else {
			server_say(s, XS_ERROR, h.req_id, "EINVAL", 7);
		}
	}
	close(s->fd);
}

struct in_tx {
	struct xyl_store *c;
	xyl_tx tx;
	int error;
	pthread_t thread;
};

static void *read_in_tx(void *data)
{
	struct in_tx *t = data;
	char *value = xyl_store_read(t->c, t->tx, "/in", NULL);

	t->error = value ? 0 : errno;
	free(value);
	return NULL;
}

static GMainLoop *loop;
static int events;

static void on_event(struct xyl_store *c, const char *path, void *data)
{
	(void)c;
	events += strcmp(path, data) == 0;
	g_main_loop_quit(loop);
}

static gboolean give_up(gpointer data)
{
	(void)data;
	g_main_loop_quit(loop);
	return G_SOURCE_CONTINUE;
}

static void test_reconnect(void)
{
	static char path[] = "/watched";
	struct in_tx t = { 0 };
	struct xyl_watch *w;
	struct server s;
	char *value;
	guint timer;
	xyl_tx tx;

	new_server(&s);
	server_start(&s, script_dies);
	t.c = open_client(&s);
	loop = g_main_loop_new(NULL, FALSE);
	w = xyl_store_watch(t.c, path, on_event, path);
	tap_ok(w != NULL, "reconnect: a watch");
	tap_ok(xyl_store_begin(t.c, &tx) == 0 && tx != XYL_TX_NONE, "reconnect: a transaction");
	t.tx = tx;
	pthread_create(&t.thread, NULL, read_in_tx, &t);
	value = xyl_store_read(t.c, XYL_TX_NONE, "/out", NULL);
	pthread_join(t.thread, NULL);
	tap_ok(value && strcmp(value, "again") == 0 && resent == 1,
	       "reconnect: a request outside is sent again and answered");
	free(value);
	tap_ok(t.error == EAGAIN, "reconnect: a request within the transaction fails with EAGAIN");
	tap_ok(xyl_store_end(t.c, tx, true) < 0 && errno == EAGAIN,
	       "reconnect: so does the transaction's end, unsent");
	timer = g_timeout_add_seconds(60, give_up, NULL);
	if (!events)
		g_main_loop_run(loop);
	g_source_remove(timer);
	/* Answered behind whatever else was sent for the watch: what comes twice has come when this returns. */
	free(xyl_store_read(t.c, XYL_TX_NONE, "/last", NULL));
	while (g_main_context_iteration(NULL, FALSE))
		;
	tap_ok(events == 1 && watch_messages == 2,
	       "reconnect: the watch was registered again, once, and fired (%d events, %d messages)", events,
	       watch_messages);
	tap_ok(xyl_store_unwatch(t.c, w) == 0, "reconnect: the watch ends");
	xyl_store_close(t.c);
	g_main_loop_unref(loop);
	server_end(&s);
	end_server(&s);
}

/* ---- the server dies over a watch that it has not yet answered ---- */

static int cut_watches;

static void script_cuts_watch(struct server *s)
{
	static char body[BODY_MAX];
	struct xsd_sockmsg h;

	server_accept(s);
	if (!server_take(s, &h, body) || h.type != XS_WATCH)
		abort();
	close(s->fd);
	server_accept(s);
	while (server_take(s, &h, body)) {
		if (h.type == XS_WATCH && cut_watches++)
			server_say(s, XS_ERROR, h.req_id, "EEXIST", 7);
		else
			server_ok(s, &h);
	}
	close(s->fd);
}

static void test_cut_watch(void)
{
	struct xyl_watch *w;
	struct xyl_store *c;
	struct server s;

	new_server(&s);
	server_start(&s, script_cuts_watch);
	c = open_client(&s);
	w = xyl_store_watch(c, "/cut", on_event, NULL);
	tap_ok(w && xyl_store_rm(c, XYL_TX_NONE, "/x") == 0 && cut_watches == 1,
	       "reconnect: a watch that was cut off is registered once (%d)", cut_watches);
	xyl_store_close(c);
	server_end(&s);
	end_server(&s);
}

/* ---- events faster than they are taken ---- */

#define FLOOD 20000

static void script_floods(struct server *s)
{
	static char body[BODY_MAX];
	struct xsd_sockmsg h;

	server_accept(s);
	while (server_take(s, &h, body)) {
		if (h.type == XS_WATCH) {
			const char *token = body + strlen(body) + 1;

			server_ok(s, &h);
			for (int i = 0; i < FLOOD; i++) {
				char event[128];
				int n = snprintf(event, sizeof(event), "/flood/%d", i) + 1;

				n += snprintf(event + n, sizeof(event) - (size_t)n, "%s", token) + 1;
				server_say(s, XS_WATCH_EVENT, 0, event, (size_t)n);
			}
		} else {
			server_ok(s, &h);
		}
	}
	close(s->fd);
}

static int flood_seen, flood_whole;

static void on_flood(struct xyl_store *c, const char *path, void *data)
{
	(void)c;
	(void)data;
	flood_seen++;
	flood_whole += strcmp(path, "/flood") == 0;
}

static void test_flood(void)
{
	struct xyl_watch *w;
	struct xyl_store *c;
	struct server s;

	new_server(&s);
	server_start(&s, script_floods);
	c = open_client(&s);
	w = xyl_store_watch(c, "/flood", on_flood, NULL);
	/* answered behind all events: they have all come when this returns */
	tap_ok(w && xyl_store_rm(c, XYL_TX_NONE, "/x") == 0, "flood: the connection still answers");
	while (g_main_context_iteration(NULL, FALSE))
		;
	tap_ok(flood_seen <= 1025 && flood_whole == 1,
	       "flood: %d events became %d callbacks, one of them \"look at all\"", FLOOD, flood_seen);
	xyl_store_close(c);
	server_end(&s);
	end_server(&s);
}

/* ---- silence, garbage, conflicts, callbacks ---- */

static int conflicts_left, garbage_sent, server_committed;

static void script_misc(struct server *s)
{
	static char body[BODY_MAX];
	struct xsd_sockmsg h;

	for (int life = 0; life < 2; life++) {
		server_accept(s);
		while (server_take(s, &h, body)) {
			if (h.type == XS_READ && strcmp(body, "/silence") == 0)
				continue;
			if (h.type == XS_READ && strcmp(body, "/garbage") == 0 && !garbage_sent++) {
				struct xsd_sockmsg bad = { .type = 3, .req_id = h.req_id, .len = 0xfffffff0 };

				if (send(s->fd, &bad, sizeof(bad), MSG_NOSIGNAL) < 0)
					break;
				continue;
			}
			if (h.type == XS_TRANSACTION_START)
				server_say(s, h.type, h.req_id, "5", 2);
			else if (h.type == XS_TRANSACTION_END && conflicts_left-- > 0)
				server_say(s, XS_ERROR, h.req_id, "EAGAIN", 7);
			else
				server_ok(s, &h);
		}
		close(s->fd);
	}
}

static int body_runs;

static int tx_body(struct xyl_store *c, xyl_tx tx, void *data)
{
	body_runs++;
	return xyl_store_write(c, tx, data, "v", 1);
}

static int tx_fails(struct xyl_store *c, xyl_tx tx, void *data)
{
	(void)c;
	(void)tx;
	(void)data;
	errno = EDOM;
	return -1;
}

static int async_error = -1;

static void on_read(struct xyl_store *c, int error, const char *value, size_t bytes, void *data)
{
	(void)c;
	async_error = error;
	*(bool *)data = bytes == 3 && strcmp(value, "OK") == 0;
}

static void test_misc(void)
{
	bool right = false;
	struct xyl_store *c;
	struct server s;
	char *value;

	new_server(&s);
	server_start(&s, script_misc);
	c = open_client(&s);
	xyl_store_set_timeout(c, 300);
	tap_ok(!xyl_store_read(c, XYL_TX_NONE, "/silence", NULL) && errno == ETIMEDOUT,
	       "silence ends in ETIMEDOUT");
	xyl_store_set_timeout(c, 60000);
	conflicts_left = 4;
	tap_ok(xyl_store_transaction(c, tx_body, "/t") == 0 && body_runs == 5,
	       "a transaction is repeated while it conflicts");
	tap_ok(xyl_store_transaction(c, tx_fails, NULL) < 0 && errno == EDOM,
	       "a body's own error is handed out");
	tap_ok(xyl_store_read_async(c, XYL_TX_NONE, "/a", on_read, &right) == 0, "an asynchronous read");
	while (async_error < 0)
		g_main_context_iteration(NULL, TRUE);
	tap_ok(async_error == 0 && right, "its answer comes through the main context");
	value = xyl_store_read(c, XYL_TX_NONE, "/garbage", NULL);
	tap_ok(value && strcmp(value, "OK") == 0, "a server that sends garbage is left, and asked again");
	free(value);
	xyl_store_close(c);
	server_end(&s);
	end_server(&s);
}

/* ---- writes within a transaction go out without waiting ---- */

#define PIPELINED 100

/* Answers no write before all of them have come: a client that waits for each would never get that far. */
static void script_pipeline(struct server *s)
{
	static char body[BODY_MAX];
	struct xsd_sockmsg h, held[PIPELINED];
	int n = 0;

	server_accept(s);
	while (server_take(s, &h, body)) {
		if (h.type == XS_TRANSACTION_START) {
			server_say(s, h.type, h.req_id, "9", 2);
		} else if (h.type == XS_WRITE) {
			held[n++] = h;
			for (int i = 0; n == PIPELINED && i < n; i++)
				server_ok(s, &held[i]);
			n %= PIPELINED;
		} else if (h.type == XS_MKDIR) {
			server_say(s, XS_ERROR, h.req_id, "EACCES", 7);
		} else if (h.type == XS_TRANSACTION_END) {
			server_committed += body[0] == 'T';
			server_ok(s, &h);
		} else {
			server_ok(s, &h);
		}
	}
	close(s->fd);
}

static int many_writes(struct xyl_store *c, xyl_tx tx, void *data)
{
	for (int i = 0; i < PIPELINED; i++) {
		if (xyl_store_printf(c, tx, "/many", "%d", i) < 0)
			return -1;
	}
	return data ? xyl_store_mkdir(c, tx, data) : 0;
}

static void test_pipeline(void)
{
	static char forbidden[] = "/forbidden";
	struct xyl_store *c;
	struct server s;
	int rc;

	new_server(&s);
	server_start(&s, script_pipeline);
	c = open_client(&s);
	tap_ok(xyl_store_transaction(c, many_writes, NULL) == 0 && server_committed == 1,
	       "%d writes of a transaction are on their way at once", PIPELINED);
	rc = xyl_store_transaction(c, many_writes, forbidden);
	tap_ok(rc < 0 && errno == EACCES && strstr(xyl_error(), forbidden) && server_committed == 1,
	       "one that fails aborts the transaction, and is named");
	xyl_store_close(c);
	server_end(&s);
	end_server(&s);
}

static void test_absent(void)
{
	struct server s;
	struct xyl_store *c;

	new_server(&s);
	end_server(&s);
	tap_ok(open_client(&s) == NULL && errno == ENOENT && strstr(xyl_error(), s.path),
	       "no xenstored: ENOENT, with the path");
	c = xyl_store_open_path(NULL, s.path);
	tap_ok(c && !xyl_store_connected(c), "opening by path does not wait");
	server_listen(&s);
	server_start(&s, script_answers);
	tap_ok(c && xyl_store_introduce(c, 5, 0x1234, 9) == 0, "and connects when it can");
	xyl_store_close(c);
	server_end(&s);
	end_server(&s);
}

int main(void)
{
	test_answers();
	test_parts();
	test_restless();
	test_reconnect();
	test_cut_watch();
	test_flood();
	test_misc();
	test_pipeline();
	test_absent();
	return tap_end();
}
