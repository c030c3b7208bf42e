/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Migrates a guest live within one host, so that one counter sees both ends, and prints how many nanoseconds it took:
 *
 *	1. xylemd is asked for a live Save into a pipe, and for a Restore from it, paused, under another name and UUID
 *	2. when both have answered: the copy is let run, the source is destroyed
 *
 * as libvirt's driver asks the xylemds of two hosts. Marks (opcount.c) stand around it. With the UUID alone it is the source's
 * part of that: what comes out of the pipe is thrown away unseen. The pipe holds as much as a connection between hosts has on its
 * way, not 64 KiB, which would have the two ends take turns.
 *
 * usage: migrate UUID [NEW-NAME NEW-UUID]
 */
#define _GNU_SOURCE /* splice(), F_SETPIPE_SZ */
#include <fcntl.h>
#include <gio/gio.h>
#include <gio/gunixfdlist.h>
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SOCKET     "unix:path=/run/xylem/xylemd.sock"
#define OBJECT     "/org/xylem/Xylemd1"
#define INTERFACE  "org.xylem.Xylemd1"
#define ON_ITS_WAY (1 << 20) /* bytes */

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

/* Costs next to nothing: no byte is copied. */
static gpointer throw_away(gpointer fd)
{
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

	while (splice(GPOINTER_TO_INT(fd), NULL, nowhere, NULL, ON_ITS_WAY, 0) > 0)
		;
	return NULL;
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
	g_unix_open_pipe(ends, FD_CLOEXEC, &error);
	check(error, "pipe");
	if (fcntl(ends[1], F_SETPIPE_SZ, ON_ITS_WAY) < 0) {
		perror("migrate: F_SETPIPE_SZ");
		return 1;
	}

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
