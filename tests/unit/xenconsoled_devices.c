/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenconsoled's consoles that are devices, on a hypervisor and a store that the test plays: the handshake, each kind of
 * end, and guests that do not keep to either.
 */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "xenconsoled_play.h"

#define SHORT_US (G_USEC_PER_SEC / 20)
#define TRIES    40

static char folder[] = "/tmp/xenconsoled-XXXXXX";

static char *back_path(uint32_t domid, uint32_t id, const char *leaf)
{
	static char path[4][128];
	static int turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof(path[0]), "/local/domain/0/backend/console/%u/%u/%s", domid, id, leaf);
	return p;
}

static char *front_path(uint32_t domid, uint32_t id, const char *leaf)
{
	static char path[4][128];
	static int turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof(path[0]), "/local/domain/%u/device/console/%u/%s", domid, id, leaf);
	return p;
}

static void ignore(ssize_t n)
{
	(void)n;
}

static bool node_is(const char *path, const char *value)
{
	const char *there = g_hash_table_lookup(nodes, path);

	return there ? value && !strcmp(there, value) : !value;
}

static void add_nodes(uint32_t domid, uint32_t id, const char *const *more)
{
	put(front_path(domid, id, "state"), "1");
	put(back_path(domid, id, "frontend"), front_path(domid, id, ""));
	put(back_path(domid, id, "state"), "1");
	put(back_path(domid, id, "type"), "xenconsoled");
	for (; *more; more += 2)
		put(back_path(domid, id, more[0]), more[1]);
}

/* The toolstack's nodes, with pairs of leaf and value in the backend. */
#define add_device(domid, id, ...) add_nodes(domid, id, (const char *const[]){ __VA_ARGS__, NULL })

static void set_front(uint32_t domid, uint32_t id, const char *state)
{
	put_and_tell(front_path(domid, id, "state"), state);
	run_for(SHORT_US);
}

/* As a guest's driver does it; the watch on its state has fired once before. */
static void connect_front(uint32_t domid, uint32_t id)
{
	char text[16];

	fire(front_path(domid, id, "state"));
	snprintf(text, sizeof(text), "%u", LINE_REF + id);
	put(front_path(domid, id, "ring-ref"), text);
	snprintf(text, sizeof(text), "%u", LINE_PORT + id);
	put(front_path(domid, id, "port"), text);
	set_front(domid, id, "3");
	set_front(domid, id, "4");
}

/* Reads from fd what comes in the time that a line takes. */
static bool hears(int fd, const char *text)
{
	char got[256] = "";
	size_t used = 0;

	for (int i = 0; i < TRIES && used < strlen(text); i++) {
		ssize_t n = read(fd, got + used, strlen(text) - used);

		if (n > 0)
			used += (size_t)n;
		run_for(SHORT_US / 5);
	}
	return !strcmp(got, text);
}

/* Whether the guest is given that. */
static bool guest_hears(uint32_t line, const char *text)
{
	struct xencons_interface *p = lines[line].page;
	bool same = true;

	for (int i = 0; i < TRIES && p->in_prod - p->in_cons < strlen(text); i++)
		run_for(SHORT_US / 5);
	same = p->in_prod - p->in_cons == strlen(text);
	for (size_t i = 0; same && i < strlen(text); i++)
		same = p->in[MASK_XENCONS_IDX(p->in_cons + i, p->in)] == text[i];
	p->in_cons = p->in_prod;
	return same;
}

static int connect_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* A listening TCP socket on a port that is free; *service becomes the port. */
static int listen_tcp(char service[8])
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t bytes = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (bind(fd, (struct sockaddr *)&address, bytes) || listen(fd, 4) ||
	    getsockname(fd, (struct sockaddr *)&address, &bytes))
		abort();
	snprintf(service, 8, "%u", ntohs(address.sin_port));
	return fd;
}

static int connect_tcp(const char *service)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_port = htons((uint16_t)atoi(service)),
		                       .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* ---- the handshake ------------------------------------------------------------------------------- */

static void test_handshake(void)
{
	struct guest *g;
	char *name;
	int tty = -1;

	set_up();
	add_device(1, 1, "connection", "pty");
	g = open_guest(1);
	tap_ok(node_is(back_path(1, 1, "state"), "2"), "a backend waits for its frontend");
	connect_front(1, 1);
	tap_ok(node_is(back_path(1, 1, "state"), "4") && mapped == 2, "and connects");
	name = xyl_console_device_tty(NULL, 1, 1, &tty);
	tap_ok(name && !strcmp(name, tty_of(g->consoles[1])), "its terminal is found");
	free(name);
	say(LINE(1, 1), "hello");
	tap_ok(hears(tty, "hello"), "output");
	tap_ok(write(tty, "there", 5) == 5 && guest_hears(LINE(1, 1), "there"), "input");
	close(tty);
	put_and_tell(back_path(1, 1, "state"), "1");
	tap_ok(node_is(back_path(1, 1, "state"), "4"), "somebody else's state is written over");
	set_front(1, 1, "5");
	tap_ok(node_is(back_path(1, 1, "state"), "5") && mapped == 1, "it lets go");
	set_front(1, 1, "6");
	tap_ok(node_is(back_path(1, 1, "state"), "6"), "and is closed");
	set_front(1, 1, "1");
	connect_front(1, 1);
	tap_ok(node_is(back_path(1, 1, "state"), "4") && mapped == 2, "another driver of the guest's comes");
	put(front_path(1, 1, "ring-ref"), "102");
	put(front_path(1, 1, "port"), "52");
	set_front(1, 1, "3");
	tap_ok(mapped == 2 && g->consoles[1]->port == LINE(1, 2), "or one with another ring at once");
	guest_free(g);
	tap_ok(!mapped, "an xenconsoled that ends lets go of all");
	written = 0;
	g = open_guest(1);
	fire(front_path(1, 1, "state"));
	run_for(SHORT_US);
	say(LINE(1, 2), "again");
	tty = open(tty_of(g->consoles[1]), O_RDWR | O_NOCTTY | O_NONBLOCK);
	tap_ok(hears(tty, "again") && node_is(back_path(1, 1, "state"), "4"), "the next one goes on");
	close(tty);
	put(back_path(1, 2, "state"), "1");
	fire(back_path(1, 2, "state"));
	tap_ok(!g->consoles[2] && node_is(back_path(1, 2, "state"), "1"),
	       "what is not marked as ours is somebody else's");
	remove_and_tell((char[]){ "/local/domain/0/backend/console/1" });
	tap_ok(!g->consoles[1] && mapped == 1 && node_is(back_path(1, 1, "state"), NULL),
	       "nodes that go take the console with them");
	guest_free(g);
	tear_down();
}

/* ---- ends ---------------------------------------------------------------------------------------- */

static void test_unix(void)
{
	g_autofree char *path = g_strconcat(folder, "/socket", NULL);
	struct guest *g;
	int first, second;

	set_up();
	add_device(1, 1, "connection", "socket", "path", path);
	g = open_guest(1);
	connect_front(1, 1);
	say(LINE(1, 1), "early ");
	run_for(SHORT_US);
	first = connect_unix(path);
	say(LINE(1, 1), "late");
	tap_ok(first >= 0 && hears(first, "early late"), "a UNIX socket, also what was said before");
	tap_ok(write(first, "in", 2) == 2 && guest_hears(LINE(1, 1), "in"), "and input");
	second = connect_unix(path);
	say(LINE(1, 1), "first's");
	tap_ok(hears(first, "first's") && read(second, &(char){ 0 }, 1) < 0, "one client at a time");
	close(first);
	run_for(SHORT_US);
	say(LINE(1, 1), "second's");
	tap_ok(hears(second, "second's"), "the next one when it has gone");
	guest_free(g);
	tap_ok(access(path, F_OK) && errno == ENOENT && read(second, &(char){ 0 }, 1) == 0,
	       "a guest that goes takes its path away");
	close(second);
	tear_down();
}

/* The same guest's next domain, while this one's has not ended. */
static void test_handed_over(void)
{
	g_autofree char *path = g_strconcat(folder, "/socket", NULL);
	char service[8];
	struct guest *g, *next;
	int client;

	set_up();
	close(listen_tcp(service));
	for (uint32_t domid = 1; domid <= 2; domid++) {
		add_device(domid, 1, "connection", "socket", "path", path);
		add_device(domid, 2, "connection", "tcp", "host", "127.0.0.1", "service", service);
	}
	g = open_guest(1);
	connect_front(1, 1);
	say(LINE(1, 1), "kept");
	next = open_guest(2);
	run_for(G_USEC_PER_SEC + SHORT_US);
	client = connect_unix(path);
	tap_ok(client >= 0 && hears(client, "kept") && write(client, "in", 2) == 2 &&
	               guest_hears(LINE(1, 1), "in"),
	       "another domain that waits for a path disturbs nobody there");
	close(client);
	tap_ok(node_is(back_path(2, 1, "state"), "1") && node_is(back_path(2, 2, "state"), "1"),
	       "it is neither offered nor refused meanwhile");
	guest_free(g);
	run_for(SHORT_US);
	tap_ok(node_is(back_path(2, 1, "state"), "2") && node_is(back_path(2, 2, "state"), "2"),
	       "and listens as soon as the first lets go");
	connect_front(2, 1);
	client = connect_unix(path);
	say(LINE(2, 1), "next");
	tap_ok(client >= 0 && hears(client, "next"), "at the path");
	close(client);
	run_for(4 * G_USEC_PER_SEC);
	tap_ok(node_is(back_path(2, 1, "state"), "4"), "and stays so");
	guest_free(next);
	tap_ok(access(path, F_OK) && errno == ENOENT, "and the last one takes it away");
	tear_down();
}

static const char *refused(uint32_t domid, uint32_t id)
{
	g_autofree char *path =
	        g_strdup_printf("/local/domain/0/error/backend/console/%u/%u/error", domid, id);
	const char *error = g_hash_table_lookup(nodes, path);

	printf("# %s\n", error ? error : "no error");
	return error && node_is(back_path(domid, id, "state"), "6") ? error : "";
}

static int listen_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 4))
		abort();
	return fd;
}

/* A path that somebody else listens at is not taken away; one that nobody listens at is. */
static void test_taken(void)
{
	g_autofree char *path = g_strconcat(folder, "/socket", NULL),
	                *alien = g_strconcat(folder, "/alien", NULL),
	                *stale = g_strconcat(folder, "/stale", NULL),
	                *file = g_strconcat(folder, "/plain", NULL);
	struct guest *g, *other;
	int listener, client;

	set_up();
	listener = listen_unix(alien);
	close(listen_unix(stale));
	g_file_set_contents(file, "text", -1, NULL);
	add_device(1, 1, "connection", "socket", "path", path);
	add_device(2, 1, "connection", "socket", "path", path);
	add_device(2, 2, "connection", "socket", "path", alien);
	add_device(2, 3, "connection", "socket", "path", stale);
	add_device(2, 4, "connection", "socket", "path", file);
	g = open_guest(1);
	other = open_guest(2);
	tap_ok(strstr(refused(2, 4), file) && g_file_test(file, G_FILE_TEST_IS_REGULAR),
	       "what is no socket stays there");
	client = connect_unix(stale);
	tap_ok(node_is(back_path(2, 3, "state"), "2") && client >= 0,
	       "a socket that nobody listens at makes room");
	close(client);
	run_for(4 * G_USEC_PER_SEC);
	tap_ok(strstr(refused(2, 1), path) && strstr(refused(2, 1), "domain 1, console 1 has it"),
	       "one at which another guest's console listens is refused, after a while");
	tap_ok(strstr(refused(2, 2), alien) && strstr(refused(2, 2), "another program has it"),
	       "and one at which another program listens");
	tap_ok(accept(listener, NULL, NULL) < 0 && errno == EAGAIN, "which is not disturbed");
	guest_free(other);
	client = connect_unix(alien);
	tap_ok(client >= 0 && accept(listener, NULL, NULL) >= 0, "and keeps its path");
	close(client);
	close(listener);
	client = connect_unix(path);
	tap_ok(client >= 0, "so does the first guest");
	close(client);
	guest_free(g);
	unlink(alien);
	unlink(file);
	tear_down();
}

static void test_tcp(void)
{
	char service[8], other[8];
	int listener, client;
	struct guest *g;

	set_up();
	listener = listen_tcp(service);
	add_device(1, 1, "connection", "tcp", "mode", "connect", "host", "127.0.0.1", "service", service);
	close(listen_tcp(other));
	add_device(1, 2, "connection", "tcp", "host", "127.0.0.1", "service", other);
	add_device(1, 3, "connection", "tcp", "host", "127.0.0.1", "service", service);
	g = open_guest(1);
	connect_front(1, 1);
	connect_front(1, 2);
	client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	say(LINE(1, 1), "calling");
	tap_ok(client >= 0 && hears(client, "calling"), "a TCP socket that connects");
	tap_ok(write(client, "answer", 6) == 6 && guest_hears(LINE(1, 1), "answer"), "and input");
	close(client);
	for (client = -1; client < 0 && g->consoles[1]; run_for(SHORT_US))
		client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	tap_ok(client >= 0, "it connects again");
	close(client);
	client = connect_tcp(other);
	say(LINE(1, 2), "answered");
	tap_ok(client >= 0 && hears(client, "answered"), "a TCP socket that listens");
	close(client);
	run_for(3 * G_USEC_PER_SEC);
	tap_ok(node_is(back_path(1, 3, "state"), "6") &&
	               g_hash_table_lookup(nodes, "/local/domain/0/error/backend/console/1/3/error"),
	       "a port that is in use fails the guest's start, with its reason");
	close(listener);
	guest_free(g);
	tear_down();
}

static void test_file(void)
{
	g_autofree char *path = g_strconcat(folder, "/file", NULL);
	g_autofree char *text = NULL;
	struct guest *g;

	set_up();
	g_file_set_contents(path, "before\n", -1, NULL);
	d.writer = logwriter_new();
	d.limits = (struct log_limits){ 1 << 20, 1, 1 << 20, 1 << 20 };
	add_device(1, 1, "connection", "file", "path", path);
	g = open_guest(1);
	connect_front(1, 1);
	say(LINE(1, 1), "line\n");
	run_for(SHORT_US);
	guest_free(g);
	logwriter_free(d.writer, G_USEC_PER_SEC);
	d.writer = NULL;
	tap_ok(g_file_get_contents(path, &text, NULL, NULL) && !strcmp(text, "before\nline\n"),
	       "a file is appended to");
	tear_down();
}

/* A channel carries a protocol: a client gets each byte, and none of what was for another. */
static void test_channel(void)
{
	g_autofree char *path = g_strconcat(folder, "/channel", NULL);
	struct xencons_interface *p;
	size_t sent = 0, got = 0;
	bool same = true, waited = false;
	struct guest *g;
	int client;

	set_up();
	add_device(1, 1, "connection", "socket", "path", path, "name", "org.example");
	g = open_guest(1);
	connect_front(1, 1);
	say(LINE(1, 1), "nobody is there");
	run_for(SHORT_US);
	client = connect_unix(path);
	run_for(SHORT_US);
	p = lines[LINE(1, 1)].page;
	while (sent < (4u << 20) && !waited) {
		for (; p->out_prod - p->out_cons < sizeof(p->out); sent++)
			p->out[MASK_XENCONS_IDX(p->out_prod++, p->out)] = (char)(sent * 7 + sent / 251);
		lines[LINE(1, 1)].pending = true;
		run_for(2000);
		waited = p->out_prod - p->out_cons == sizeof(p->out);
	}
	tap_ok(waited, "the guest waits for a channel's client that does not read");
	for (int i = 0; i < 1000 && got < sent; i++) {
		char bytes[65536];
		ssize_t n = read(client, bytes, sizeof(bytes));

		for (ssize_t k = 0; k < n; k++, got++)
			same &= bytes[k] == (char)(got * 7 + got / 251);
		run_for(2000);
	}
	printf("# %zu of %zu bytes\n", got, sent);
	tap_ok(same && got == sent, "which gets all when it does, and nothing from before it came");
	close(client);
	guest_free(g);
	tear_down();
}

/* ---- hostile guests ------------------------------------------------------------------------------ */

/* Its ring and its nodes are nonsense. */
static void test_nonsense(void)
{
	static const char *const states[] = { "", "-1", "3x", "7", "4294967299", "0" };
	static const char *const numbers[] = {
		"", "-1", "4294967296", "12345678901234567890123", "abc", "9"
	};
	unsigned int before;
	bool held = true;
	struct guest *g;

	set_up();
	add_device(1, 1, "connection", "pty");
	g = open_guest(1);
	fire(front_path(1, 1, "state"));
	for (size_t i = 0; i < G_N_ELEMENTS(states); i++) {
		set_front(1, 1, states[i]);
		held &= !g->consoles[1]->port && mapped == 1;
	}
	tap_ok(held, "states that are none connect nothing");
	before = logged;
	for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
		set_front(1, 1, "1");
		put(front_path(1, 1, "ring-ref"), i % 2 ? "101" : numbers[i]);
		put(front_path(1, 1, "port"), i % 2 ? numbers[i] : "51");
		set_front(1, 1, "3");
		held &= !g->consoles[1]->port && mapped == 1;
	}
	put(front_path(1, 1, "port"), "70");
	set_front(1, 1, "1");
	set_front(1, 1, "3");
	tap_ok(held && mapped == 1 && node_is(back_path(1, 1, "state"), "5"),
	       "nor do rings and ports that are none");
	put(front_path(1, 1, "port"), "51");
	set_front(1, 1, "3");
	tap_ok(mapped == 1, "and a guest that does not close its side first is not served");
	tap_ok(logged - before == 1, "one line in the log for all of them");
	set_front(1, 1, "1");
	connect_front(1, 1);
	lines[LINE(1, 1)].page->out_prod = 0x80000000u;
	lines[LINE(1, 1)].page->in_cons = 0x80000000u;
	lines[LINE(1, 1)].pending = true;
	run_for(SHORT_US);
	tap_ok(node_is(back_path(1, 1, "state"), "4"), "and impossible indices harm nobody");
	g_hash_table_remove(nodes, front_path(1, 1, "state"));
	fire(front_path(1, 1, "state"));
	run_for(SHORT_US);
	tap_ok(mapped == 1 && node_is(back_path(1, 1, "state"), "6"), "nor a frontend that vanishes");
	guest_free(g);
	tear_down();
}

/* Floods on several consoles, its state rewritten without end: one throttle for all of them. */
static void test_busy(void)
{
	gint64 begun, end;
	unsigned int most, taken = 0, rewrites = 0;
	struct guest *g, *other;
	int tty;

	set_up();
	for (uint32_t id = 1; id <= 3; id++)
		add_device(1, id, "connection", "pty");
	add_device(1, 4, "connection", "pty");
	add_device(2, 1, "connection", "pty");
	g = open_guest(1);
	other = open_guest(2);
	connect_front(2, 1);
	for (uint32_t id = 1; id <= 3; id++)
		connect_front(1, id);
	connect_front(1, 4);
	written = 0;
	begun = g_get_monotonic_time();
	for (uint32_t id = 1; id <= 3; id++) {
		lines[LINE(1, id)].floods = true;
		say(LINE(1, id), "flood");
	}
	for (end = begun + 2 * G_USEC_PER_SEC; g_get_monotonic_time() < end; rewrites++) {
		put_and_tell(front_path(1, 4, "state"), rewrites % 2 ? "3" : "1");
		run_for(100);
	}
	most = LOOKS_AT_ONCE +
	       (unsigned int)((g_get_monotonic_time() - begun) / 1000 + 1) * LOOKS_PER_SECOND / 1000 + 2;
	for (uint32_t id = 1; id <= 3; id++) {
		tap_ok(lines[LINE(1, id)].taken > 100 * sizeof(lines[1].page->out),
		       "console %u of a guest that floods goes on", id);
		taken += lines[LINE(1, id)].taken / sizeof(lines[1].page->out);
	}
	printf("# %u rings taken, %u states written for %u rewritten; %u looks allowed\n", taken, written,
	       rewrites, most);
	tap_ok(taken + written <= most + 3, "all its consoles together are looked at so often and not more");
	say(LINE(2, 1), "hello");
	tty = open(tty_of(other->consoles[1]), O_RDWR | O_NOCTTY | O_NONBLOCK);
	tap_ok(hears(tty, "hello"), "another guest's console is not held up");
	close(tty);
	guest_free(g);
	guest_free(other);
	tap_ok(!mapped, "all rings are let go of");
	tear_down();
}

/* Never reads its input, while clients come and go. */
static void test_deaf(void)
{
	g_autofree char *path = g_strconcat(folder, "/deaf", NULL);
	char bytes[4096] = { 0 };
	size_t sent = 0;
	struct guest *g;
	int client;

	set_up();
	add_device(1, 1, "connection", "socket", "path", path);
	g = open_guest(1);
	connect_front(1, 1);
	client = connect_unix(path);
	for (int i = 0; i < 1000; i++) {
		ssize_t n = write(client, bytes, sizeof(bytes));

		sent += n > 0 ? (size_t)n : 0;
		run_for(500);
	}
	tap_ok(sent < 1 << 20, "what a guest does not read stays with the client");
	close(client);
	run_for(SHORT_US);
	client = connect_unix(path);
	say(LINE(1, 1), "next");
	tap_ok(client >= 0 && hears(client, "next"), "and a client that leaves makes room for the next one");
	close(client);
	guest_free(g);
	tear_down();
}

static char pattern(size_t i)
{
	return (char)(i * 7 + i / 251);
}

/* Sends at most so many bytes, while the other side takes them. */
static size_t send_pattern(int fd, size_t max)
{
	char bytes[1000];
	size_t sent = 0;

	while (sent < max) {
		size_t n = MIN(sizeof(bytes), max - sent);
		ssize_t done;

		for (size_t i = 0; i < n; i++)
			bytes[i] = pattern(sent + i);
		done = send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (done <= 0)
			break;
		sent += (size_t)done;
	}
	return sent;
}

/* The guest reads what there is, and tells; until it has that many, or nothing more comes. */
static size_t guest_reads(uint32_t line, char *to, size_t max)
{
	struct xencons_interface *p = lines[line].page;
	size_t got = 0;

	for (int idle = 0; got < max && idle < 10; idle++) {
		for (; p->in_cons != p->in_prod && got < max; idle = 0)
			to[got++] = p->in[MASK_XENCONS_IDX(p->in_cons++, p->in)];
		lines[line].pending = true;
		run_for(500);
	}
	return got;
}

static bool is_pattern(const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] != pattern(i))
			return false;
	return true;
}

/* Sends and hangs up, while the guest's ring is full; the next client comes before the guest reads. */
static void test_last_words(void)
{
	g_autofree char *path = g_strconcat(folder, "/last", NULL), *got = g_malloc(4 << 20);
	const size_t much = 50000;
	char service[8];
	struct guest *g;
	int client;

	set_up();
	close(listen_tcp(service));
	add_device(1, 1, "connection", "socket", "path", path);
	add_device(1, 2, "connection", "tcp", "host", "127.0.0.1", "service", service);
	g = open_guest(1);
	for (uint32_t id = 1; id <= 2; id++) {
		const char *kind = id == 1 ? "UNIX" : "TCP";
		size_t sent;

		connect_front(1, id);
		client = id == 1 ? connect_unix(path) : connect_tcp(service);
		run_for(SHORT_US);
		sent = send_pattern(client, much);
		run_for(SHORT_US);
		close(client);
		run_for(SHORT_US);
		client = id == 1 ? connect_unix(path) : connect_tcp(service);
		say(LINE(1, id), "next");
		tap_ok(hears(client, "next"),
		       "%s: a client that hung up while the guest read nothing is gone", kind);
		ignore(write(client, "behind", 6));
		tap_ok(sent == much && guest_reads(LINE(1, id), got, much + 6) == much + 6 &&
		               is_pattern(got, much) && !memcmp(got + much, "behind", 6),
		       "%s: the guest gets its last bytes, before the next one's", kind);
		/* What the guest says finds out first that nobody is there. */
		sent = send_pattern(client, 3000);
		close(client);
		say(LINE(1, id), "nobody hears that");
		console_event(g->consoles[id]);
		console_run(&d);
		tap_ok(guest_reads(LINE(1, id), got, 3000) == 3000 && is_pattern(got, 3000),
		       "%s: also when it is writing to the guest fails", kind);
	}
	guest_free(g);
	tear_down();
}

/* One client after the other hangs up, and the guest reads nothing. */
static void test_kept_input_is_bounded(void)
{
	g_autofree char *path = g_strconcat(folder, "/kept", NULL), *got = g_malloc(4 << 20);
	size_t sent = 0, first = 0, read_back;
	struct guest *g;

	set_up();
	add_device(1, 1, "connection", "socket", "path", path);
	g = open_guest(1);
	connect_front(1, 1);
	for (int i = 0; i < 20; i++) {
		int client = connect_unix(path);

		run_for(SHORT_US / 5);
		sent += send_pattern(client, 200000);
		first = first ? first : sent;
		run_for(SHORT_US / 5);
		close(client);
		run_for(SHORT_US / 5);
	}
	read_back = guest_reads(LINE(1, 1), got, 4 << 20);
	printf("# %zu bytes of %zu\n", read_back, sent);
	tap_ok(read_back > first && read_back <= 300000 && is_pattern(got, first),
	       "of what clients leave behind a bounded number is kept, the first ones");
	guest_free(g);
	tear_down();
}

/* The ring is full before a client comes that goes again: its going is heard, so that the next one is served. */
static void test_deaf_to_all(void)
{
	g_autofree char *path = g_strconcat(folder, "/deaf", NULL);
	char service[8];
	struct guest *g;

	set_up();
	close(listen_tcp(service));
	/* A channel: what is said to one that has gone unheard is lost to the next. */
	add_device(1, 1, "connection", "socket", "path", path, "name", "channel");
	add_device(1, 2, "connection", "tcp", "host", "127.0.0.1", "service", service);
	g = open_guest(1);
	for (uint32_t id = 1; id <= 2; id++) {
		int client;

		connect_front(1, id);
		client = id == 1 ? connect_unix(path) : connect_tcp(service);
		run_for(SHORT_US);
		send_pattern(client, 5000);
		run_for(SHORT_US);
		for (int i = 0; i < 3; i++) {
			close(client);
			run_for(SHORT_US);
			client = id == 1 ? connect_unix(path) : connect_tcp(service);
			run_for(SHORT_US);
			say(LINE(1, id), "to the next");
			tap_ok(hears(client, "to the next"),
			       "%s: client %d of a guest that reads nothing is served",
			       id == 1 ? "UNIX" : "TCP", i + 2);
		}
		close(client);
	}
	guest_free(g);
	tear_down();
}

static void remove_device(uint32_t domid, uint32_t id)
{
	char *path = back_path(domid, id, "");

	path[strlen(path) - 1] = '\0';
	remove_and_tell(path);
}

/* The store fails when the backends are listed, and when a frontend's state is read. */
static void test_store_fails(void)
{
	static const int errors[] = { EIO, ENOMEM, EACCES, ETIMEDOUT };
	struct guest *g;
	bool held = true;
	int tty;

	set_up();
	add_device(1, 1, "connection", "pty");
	g = open_guest(1);
	connect_front(1, 1);
	tty = open(tty_of(g->consoles[1]), O_RDWR | O_NOCTTY | O_NONBLOCK);
	for (size_t i = 0; i < G_N_ELEMENTS(errors); i++) {
		store_error = errors[i];
		store_bad = 1;
		fire(g->backends);
		held &= g->consoles[1] && node_is(back_path(1, 1, "state"), "4");
		store_bad = 1;
		set_front(1, 1, "4");
		held &= g->consoles[1] && node_is(back_path(1, 1, "state"), "4");
		say(LINE(1, 1), "here");
		held &= hears(tty, "here");
	}
	tap_ok(held, "a store that fails takes no console away");
	store_bad = 1;
	remove_device(1, 1);
	run_for(SHORT_US);
	tap_ok(!g->consoles[1], "and what went meanwhile has gone when it answers");
	close(tty);
	guest_free(g);
	tear_down();
}

/* Each call to the store fails once, in turn. */
static void test_each_call_fails(void)
{
	g_autofree char *path = g_strconcat(folder, "/retried", NULL);
	unsigned int calls = 1, bad = 0;

	for (unsigned int n = 0; n < calls; n++) {
		struct guest *g;
		bool good;
		int tty, client;

		set_up();
		add_device(1, 1, "connection", "socket", "path", path, "name", "channel");
		store_error = EIO;
		store_calls = 0;
		store_good = n;
		store_bad = 1;
		g = open_guest(1);
		connect_front(1, 1);
		run_for(SHORT_US);
		calls = MAX(calls, MIN(store_calls, 100));
		store_bad = 0;
		tty = g->consoles[0]->end ? open(tty_of(g->consoles[0]), O_RDWR | O_NOCTTY | O_NONBLOCK) : -1;
		client = connect_unix(path);
		run_for(SHORT_US / 5);
		say(LINE(1, 0), "zero");
		say(LINE(1, 1), "one");
		good = node_is(back_path(1, 1, "state"), "4") && tty >= 0 && client >= 0 &&
		       hears(tty, "zero") && hears(client, "one") &&
		       node_is("/local/domain/1/console/tty", tty_of(g->consoles[0]));
		if (!good)
			printf("# call %u\n", n);
		bad += !good;
		close(tty);
		close(client);
		guest_free(g);
		tear_down();
	}
	printf("# %u calls\n", calls);
	tap_ok(!bad && calls > 20, "nor does it keep one from coming, whichever call fails");
}

/* Half of the time as a driver would. */
static void random_write(GRand *r, uint32_t domid, uint32_t id)
{
	static const char *const values[] = { "1", "1", "1", "3", "3", "3", "4",
		                              "4", "4", "2", "5", "6", "x", "" };
	static const char *const refs[] = { "101", "102", "103", "110", "4294967295", "" };
	static const char *const ports[] = { "51", "52", "53", "60", "70", "4294967295", "" };
	g_autofree char *ref = g_strdup_printf("%u", LINE_REF + id),
	                *port = g_strdup_printf("%u", LINE_PORT + id);
	bool wild = g_rand_boolean(r);

	put(front_path(domid, id, "ring-ref"), wild ? refs[g_rand_int_range(r, 0, G_N_ELEMENTS(refs))] : ref);
	put(front_path(domid, id, "port"), wild ? ports[g_rand_int_range(r, 0, G_N_ELEMENTS(ports))] : port);
	put_and_tell(front_path(domid, id, "state"), values[g_rand_int_range(r, 0, G_N_ELEMENTS(values))]);
}

static void random_ring(GRand *r, uint32_t line)
{
	struct xencons_interface *p = lines[line].page;

	if (g_rand_boolean(r)) {
		p->out_prod = g_rand_int(r);
		p->in_cons = g_rand_int(r);
	} else {
		p->out_prod = p->out_cons + (uint32_t)g_rand_int_range(r, 0, 2049);
		p->in_cons = p->in_prod;
	}
	lines[line].pending = true;
}

static void random_client(GRand *r, int *client, const char *path)
{
	char bytes[3000];

	if (*client < 0)
		*client = connect_unix(path);
	else if (g_rand_int_range(r, 0, 3) == 0) {
		close(*client);
		*client = -1;
	} else if (g_rand_boolean(r)) {
		ignore(read(*client, bytes, sizeof(bytes)));
	} else {
		memset(bytes, 'x', sizeof(bytes));
		ignore(send(*client, bytes, sizeof(bytes), MSG_NOSIGNAL));
	}
}

static void add_random(uint32_t domid, uint32_t id, const char *path)
{
	if (id == 1)
		add_device(domid, id, "connection", "pty");
	else if (id == 2)
		add_device(domid, id, "connection", "socket", "path", path);
	else
		add_device(domid, id, "connection", "socket", "path", path, "name", "channel");
}

/* Whatever guests, clients and the toolstack do, and in whatever order: what is mapped is what is attached. */
static void test_random(void)
{
	GRand *r = g_rand_new_with_seed(20261129);
	struct guest *g[2] = { NULL };
	int clients[2][4] = { { -1, -1, -1, -1 }, { -1, -1, -1, -1 } };
	char paths[2][4][64];
	bool held = true;
	int most = 0;

	set_up();
	for (int i = 0; i < 20000 && held; i++) {
		uint32_t k = (uint32_t)g_rand_int_range(r, 0, 2), id = (uint32_t)g_rand_int_range(r, 1, 4);
		int what = g_rand_int_range(r, 0, 100), attached = 0;

		snprintf(paths[k][id], sizeof(paths[k][id]), "%s/%u-%u", folder, k, id);
		if (!g[k])
			g[k] = open_guest(k + 1);
		if (what < 40)
			random_write(r, k + 1, id);
		else if (what < 65)
			random_ring(r, LINE(k + 1, id));
		else if (what < 90 && id > 1)
			random_client(r, &clients[k][id], paths[k][id]);
		else if (what < 96)
			add_random(k + 1, id, paths[k][id]);
		else if (what < 97)
			remove_device(k + 1, id);
		else if (what < 98 && i % 10 == 0)
			guest_free(g_steal_pointer(&g[k]));
		if (g[k] && what >= 90 && what < 96)
			fire(back_path(k + 1, id, "state"));
		daemon_events(NULL, fired, NULL);
		console_run(&d);
		g_main_context_iteration(NULL, FALSE);
		for (int n = 0; n < 2; n++)
			for (int c = 0; g[n] && c <= GUEST_CONSOLES_MAX; c++)
				attached += g[n]->consoles[c] && g[n]->consoles[c]->ring.page;
		held = mapped == attached;
		most = MAX(most, attached);
	}
	printf("# up to %d consoles at once\n", most);
	tap_ok(held && most > 4, "20,000 random steps of guests, clients and the toolstack");
	for (int n = 0; n < 2; n++) {
		if (g[n])
			guest_free(g[n]);
		for (int c = 0; c < 4; c++)
			if (clients[n][c] >= 0)
				close(clients[n][c]);
	}
	tap_ok(!mapped, "and all is let go of");
	g_rand_free(r);
	tear_down();
}

/* A guest that connects again and again with an impossible index in its ring is told of once. */
static void test_reconnects_are_told_of_once(void)
{
	unsigned int before;
	struct guest *g;

	set_up();
	add_device(1, 1, "connection", "pty");
	g = open_guest(1);
	connect_front(1, 1);
	before = logged;
	for (unsigned int i = 0; i < 20; i++) {
		lines[LINE(1, 1)].page->out_prod = lines[LINE(1, 1)].page->out_cons + 0x80000000u;
		set_front(1, 1, "6");
		set_front(1, 1, "1");
		set_front(1, 1, "3");
	}
	tap_ok(logged - before <= 1, "a guest that comes again with an impossible index is told of once");
	guest_free(g);
	tear_down();
}

int main(void)
{
	g_autofree char *file = NULL;

	if (!mkdtemp(folder))
		abort();
	guest_retry_ms = 10;
	file = g_strconcat(folder, "/file", NULL);
	test_handshake();
	test_unix();
	test_handed_over();
	test_taken();
	test_tcp();
	test_file();
	test_channel();
	test_nonsense();
	test_reconnects_are_told_of_once();
	test_busy();
	test_deaf();
	test_deaf_to_all();
	test_last_words();
	test_kept_input_is_bounded();
	test_random();
	test_store_fails();
	test_each_call_fails();
	if (remove(file) || rmdir(folder))
		printf("# %s is not empty\n", folder);
	return tap_end();
}
