/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Migrates a guest live within one host, so that one counter sees both ends, and prints how many nanoseconds it took:
 *
 *	1. xylemd is asked for a live Save into a TCP connection, and for a Restore from it, paused, under another name and UUID
 *	2. when both have answered: the copy is let run, the source is destroyed
 *
 * as libvirt's driver asks the xylemds of two hosts. Marks (opcount.c) stand around it. With the UUID alone it is the source's
 * part of that: what arrives is thrown away unseen.
 *
 * usage: migrate UUID [NEW-NAME NEW-UUID]
 */
#define _GNU_SOURCE /* accept4() */
#include <arpa/inet.h>
#include <gio/gio.h>
#include <gio/gunixfdlist.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET    "unix:path=/run/xylem/xylemd.sock"
#define OBJECT    "/org/xylem/Xylemd1"
#define INTERFACE "org.xylem.Xylemd1"

static GDBusConnection *daemon_;
static int answers;

static void check(const GError *error, const char *what)
{
	if (!error)
		return;
	fprintf(stderr, "migrate: %s: %s\n", what, error->message);
	exit(1);
}

static void mark_begin(void)
{
	__asm__ volatile(".byte 0x0f, 0x1f, 0x80, 0x01, 0x00, 0x41, 0x4d" ::: "memory");
}

static void mark_end(void)
{
	__asm__ volatile(".byte 0x0f, 0x1f, 0x80, 0x02, 0x00, 0x41, 0x4d" ::: "memory");
}

static void mark_moment(void)
{
	__asm__ volatile(".byte 0x0f, 0x1f, 0x80, 0x04, 0x00, 0x41, 0x4d" ::: "memory");
}

static GVariant *call(const char *method, GVariant *arguments)
{
	GError *error = NULL;
	GVariant *reply = g_dbus_connection_call_sync(daemon_, NULL, OBJECT, INTERFACE, method, arguments,
	                                              NULL, G_DBUS_CALL_FLAGS_NONE, G_MAXINT, NULL, &error);

	check(error, method);
	return reply;
}

static void answered(GObject *source, GAsyncResult *result, gpointer method)
{
	GError *error = NULL;

	g_dbus_connection_call_with_unix_fd_list_finish(G_DBUS_CONNECTION(source), NULL, result, &error);
	check(error, method);
	answers++;
}

/* Takes the descriptor. */
static void begin(const char *method, GVariant *arguments, int fd)
{
	GUnixFDList *fds = g_unix_fd_list_new_from_array(&fd, 1);

	g_dbus_connection_call_with_unix_fd_list(daemon_, NULL, OBJECT, INTERFACE, method, arguments, NULL,
	                                         G_DBUS_CALL_FLAGS_NONE, G_MAXINT, fds, NULL, answered,
	                                         (gpointer)method);
	g_object_unref(fds);
}

/* The guest's configuration as it is, but for who it is. */
static GVariant *copy_of(const char *id, const char *name, const char *uuid)
{
	GVariant *domain = g_variant_get_child_value(call("Get", g_variant_new("(s)", id)), 0);
	GVariantDict dict;

	g_variant_dict_init(&dict, g_variant_lookup_value(domain, "config", G_VARIANT_TYPE_VARDICT));
	g_variant_dict_insert(&dict, "name", "s", name);
	g_variant_dict_insert(&dict, "uuid", "s", uuid);
	return g_variant_dict_end(&dict);
}

/* Costs next to nothing: no byte is copied, and it does not wake for few. */
static gpointer throw_away(gpointer fd)
{
	int few = 1 << 20;

	setsockopt(GPOINTER_TO_INT(fd), SOL_SOCKET, SO_RCVLOWAT, &few, sizeof(few));
	while (recv(GPOINTER_TO_INT(fd), NULL, 1 << 20, MSG_TRUNC) > 0)
		;
	return NULL;
}

static int checked(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

/* As between two hosts, but that nothing is on a wire. */
static void make_connection(int ends[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(address);
	int listener = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");

	checked(bind(listener, (struct sockaddr *)&address, bytes), "bind");
	checked(listen(listener, 1), "listen");
	checked(getsockname(listener, (struct sockaddr *)&address, &bytes), "getsockname");
	ends[1] = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
	checked(connect(ends[1], (struct sockaddr *)&address, bytes), "connect");
	ends[0] = checked(accept4(listener, NULL, NULL, SOCK_CLOEXEC), "accept");
	close(listener);
}

static void receive(GVariant *copy, int fd)
{
	if (!copy) {
		g_thread_new("nowhere", throw_away, GINT_TO_POINTER(fd));
		answers++;
		return;
	}
	begin("Restore", g_variant_new("(@a{sv}hu)", copy, 0, 1), fd);
}

int main(int argc, char **argv)
{
	GError *error = NULL;
	GVariant *copy;
	gint64 started;
	int ends[2];

	if (argc != 4 && argc != 2) {
		fprintf(stderr, "usage: migrate UUID [NEW-NAME NEW-UUID]\n");
		return 2;
	}
	daemon_ = g_dbus_connection_new_for_address_sync(
	        SOCKET, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL, &error);
	check(error, SOCKET);
	copy = argc == 4 ? copy_of(argv[1], argv[2], argv[3]) : NULL;
	make_connection(ends);

	started = g_get_monotonic_time();
	mark_begin();
	begin("Save", g_variant_new("(shu)", argv[1], 0, 3), ends[1]);
	receive(copy, ends[0]);
	while (answers < 2)
		g_main_context_iteration(NULL, TRUE);
	mark_moment();
	if (copy)
		call("Unpause", g_variant_new("(s)", argv[3]));
	usleep(20000); /* between two hosts the copy runs before the source has been told to destroy the guest */
	call("Destroy", g_variant_new("(s)", argv[1]));
	mark_end();
	printf("%lld\n", (long long)(g_get_monotonic_time() - started) * 1000);
	return 0;
}
