/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xylemd: the daemon that owns running guests. Start, socket, main loop.
 *
 * The main loop takes calls and store events and hands them to threads; it never waits. Being killed is not
 * the end of any guest: the next xylemd adopts them (scan.c).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixsocketaddress.h>
#include <glib-unix.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/daemon.h"
#include "error.h"
#include "guest.h"
#include "scan.h"
#include "screen.h"
#include "service.h"
#include "storeio.h"
#include "worker.h"

#define PROTOCOL_VERSION 2
#define OBJECT_PATH      "/org/xylem/Xylemd1"

static char *run_dir;
static const char *dump_dir = DUMP_DIR;

static gboolean authorize_peer(GDBusAuthObserver *observer, GIOStream *stream, GCredentials *credentials,
                               gpointer data)
{
	(void)observer;
	(void)stream;
	(void)data;
	return credentials && g_credentials_get_unix_user(credentials, NULL) == 0;
}

static gboolean allow_mechanism(GDBusAuthObserver *observer, const char *mechanism, gpointer data)
{
	(void)observer;
	(void)data;
	return !strcmp(mechanism, "EXTERNAL");
}

static void connection_closed(GDBusConnection *connection, gboolean vanished, GError *error, gpointer data)
{
	(void)vanished;
	(void)error;
	(void)data;
	g_dbus_interface_skeleton_unexport_from_connection(G_DBUS_INTERFACE_SKELETON(xylemd.service),
	                                                   connection);
	g_object_unref(connection);
}

static gboolean new_connection(GDBusServer *server, GDBusConnection *connection, gpointer data)
{
	g_autoptr(GError) error = NULL;

	(void)server;
	(void)data;
	if (!g_dbus_interface_skeleton_export(G_DBUS_INTERFACE_SKELETON(xylemd.service), connection,
	                                      OBJECT_PATH, &error)) {
		g_warning("a new client: %s", error->message);
		return FALSE;
	}
	g_object_ref(connection);
	g_signal_connect(connection, "closed", G_CALLBACK(connection_closed), NULL);
	return TRUE;
}

/* Two daemons would fight over the guests. The lock goes with the process. */
static gboolean take_lock(GError **error)
{
	g_autofree char *path = g_build_filename(run_dir, "xylemd.lock", NULL);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return xd_fail(error, XD_ERROR_INTERNAL, "%s: %s", path, g_strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB))
		return xd_fail(error, XD_ERROR_INTERNAL, "%s: another xylemd is running", path);
	return TRUE;
}

static GDBusServer *serve(GError **error)
{
	g_autofree char *path = g_build_filename(run_dir, "xylemd.sock", NULL);
	g_autofree char *address = g_strdup_printf("unix:path=%s", path);
	g_autofree char *guid = g_dbus_generate_guid();
	g_autoptr(GDBusAuthObserver) observer = g_dbus_auth_observer_new();
	GDBusServer *server;
	mode_t mask;

	g_signal_connect(observer, "authorize-authenticated-peer", G_CALLBACK(authorize_peer), NULL);
	g_signal_connect(observer, "allow-mechanism", G_CALLBACK(allow_mechanism), NULL);
	if (unlink(path) && errno != ENOENT) {
		xd_fail(error, XD_ERROR_INTERNAL, "%s: %s", path, g_strerror(errno));
		return NULL;
	}
	mask = umask(0077);
	server = g_dbus_server_new_sync(address, G_DBUS_SERVER_FLAGS_NONE, guid, observer, NULL, error);
	umask(mask);
	if (!server)
		return NULL;
	g_signal_connect(server, "new-connection", G_CALLBACK(new_connection), NULL);
	g_dbus_server_start(server);
	return server;
}

static gboolean end(gpointer data)
{
	g_main_loop_quit(data);
	return G_SOURCE_REMOVE;
}

/* Many guests with several disks each keep as many descriptors open. */
static void raise_limits(void)
{
	struct rlimit files;

	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files))
			g_warning("the limit of open files stays as it is: %s", g_strerror(errno));
	}
}

static gboolean start(GError **error)
{
	g_autofree char *guests = g_build_filename(run_dir, "guests", NULL);

	if (g_mkdir_with_parents(guests, 0700) || chmod(run_dir, 0700))
		return xd_fail(error, XD_ERROR_INTERNAL, "%s: %s", guests, g_strerror(errno));
	if (!take_lock(error))
		return FALSE;
	daemon_init(guests, dump_dir);
	screen_init(run_dir, SCREEN_DEV_DIR, NULL, SCREEN_USER);
	xylemd.worker = worker_new("/proc/self/exe");
	xylemd.xen = xyl_open();
	if (!xylemd.xen)
		return xd_fail(error, XD_ERROR_HYPERVISOR, "%s", xyl_error());
	xylemd.io = storeio_open(error);
	if (!xylemd.io)
		return FALSE;
	xylemd.service = xd_xylemd1_skeleton_new();
	xd_xylemd1_set_protocol_version(xylemd.service, PROTOCOL_VERSION);
	xd_xylemd1_set_version(xylemd.service, PACKAGE_VERSION);
	service_start(xylemd.service);
	scan_adopt_all();
	return scan_start(error);
}

static int usage(FILE *stream)
{
	fputs("usage: xylemd [--run-dir=DIR] [--dump-dir=DIR]\n"
	      "Owns the running guests: builds them, connects their devices, restarts and removes them.\n"
	      "  --run-dir=DIR   socket, lock and journal [/run/xylem]\n"
	      "  --dump-dir=DIR  core files of guests that end [" DUMP_DIR "]\n"
	      "  --version       print the version\n",
	      stream);
	return stream == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
	g_autoptr(GMainLoop) loop = NULL;
	g_autoptr(GDBusServer) server = NULL;
	g_autoptr(GError) error = NULL;

	setlocale(LC_ALL, "");
	if (argc == 2 && !strcmp(argv[1], WORKER_ARGUMENT))
		return worker_main();
	run_dir = g_strdup("/run/xylem");
	for (int i = 1; i < argc; i++) {
		if (g_str_has_prefix(argv[i], "--run-dir=/")) {
			g_free(run_dir);
			run_dir = g_strdup(argv[i] + strlen("--run-dir="));
		} else if (g_str_has_prefix(argv[i], "--dump-dir=/")) {
			dump_dir = argv[i] + strlen("--dump-dir=");
		} else if (!strcmp(argv[i], "--version")) {
			puts("xylemd (" PACKAGE_STRING ")");
			return 0;
		} else {
			return usage(!strcmp(argv[i], "--help") ? stdout : stderr);
		}
	}
	raise_limits();
	loop = g_main_loop_new(NULL, FALSE);
	g_unix_signal_add(SIGTERM, end, loop);
	g_unix_signal_add(SIGINT, end, loop);
	if (!start(&error) || !(server = serve(&error))) {
		fprintf(stderr, "xylemd: %s\n", error->message);
		return 1;
	}
	if (daemon_ready(NULL))
		g_warning("systemd could not be notified of the start");
	g_main_loop_run(loop);
	g_dbus_server_stop(server);
	/* Threads may be stuck in the kernel: the process ends without waiting for them, the journal knows the rest. */
	_exit(0);
}
