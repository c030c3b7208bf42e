/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tests of xylemd's operations have in common: its socket's interface in this process, calls, and guests to call for. */
#ifndef XYLEMD_LIFECYCLE_H
#define XYLEMD_LIFECYCLE_H

#include <gio/gio.h>
#include <gio/gunixfdlist.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../lib/tap.h"
#include "fakehost.h"
#include "guest.h"
#include "scan.h"
#include "service.h"

#define OBJECT    "/org/xylem/Xylemd1"
#define INTERFACE "org.xylem.Xylemd1"
#define MAC       "02:00:00:00:00:01"
#define DEADLINE  (60 * G_USEC_PER_SEC)

static GDBusConnection *server, *client;
static char *dir, *dump_dir;
static unsigned int serial;

/* ---- the main loop ---- */

static inline gboolean tick(gpointer data)
{
	(void)data;
	return G_SOURCE_CONTINUE;
}

/* Runs the main loop until the condition holds; the test ends when it never does. */
#define UNTIL(condition)                                                                              \
	do {                                                                                          \
		gint64 end_ = g_get_monotonic_time() + DEADLINE;                                      \
		while (!(condition)) {                                                                \
			g_main_context_iteration(NULL, TRUE);                                         \
			if (g_get_monotonic_time() > end_) {                                          \
				printf("Bail out! waited for: %s (line %d)\n", #condition, __LINE__); \
				exit(1);                                                              \
			}                                                                             \
		}                                                                                     \
	} while (0)

static inline void connected(GObject *source, GAsyncResult *result, gpointer data)
{
	GDBusConnection **connection = data;

	(void)source;
	*connection = g_dbus_connection_new_finish(result, NULL);
}

static inline void set_up(void)
{
	GDBusConnectionFlags both = G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_ALLOW_ANONYMOUS;
	g_autofree char *guid = g_dbus_generate_guid();
	GSocketConnection *ends[2];
	int fds[2], i;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		exit(1);
	for (i = 0; i < 2; i++) {
		GSocket *sock = g_socket_new_from_fd(fds[i], NULL);

		ends[i] = g_socket_connection_factory_create_connection(sock);
		g_object_unref(sock);
	}
	dir = g_dir_make_tmp("xylemd-XXXXXX", NULL);
	g_timeout_add(5, tick, NULL);
	dump_dir = g_dir_make_tmp("xylemd-dump-XXXXXX", NULL);
	daemon_init(dir, dump_dir);
	xylemd.service = xd_xylemd1_skeleton_new();
	service_start(xylemd.service);
	g_dbus_connection_new(G_IO_STREAM(ends[0]), guid,
	                      both | G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER, NULL, NULL, connected,
	                      &server);
	g_dbus_connection_new(G_IO_STREAM(ends[1]), NULL, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL,
	                      NULL, connected, &client);
	UNTIL(server && client);
	if (!g_dbus_interface_skeleton_export(G_DBUS_INTERFACE_SKELETON(xylemd.service), server, OBJECT,
	                                      NULL))
		exit(1);
	if (!scan_start(NULL))
		exit(1);
}

/* ---- calls ---- */

struct call {
	bool done, good;
	char *error;
	GVariant *answer;
};

static inline void answered(GObject *source, GAsyncResult *result, gpointer data)
{
	struct call *call = data;
	g_autoptr(GError) error = NULL;

	call->answer = g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, &error);
	call->good = call->answer != NULL;
	if (error)
		call->error = g_dbus_error_get_remote_error(error);
	if (error && !call->error)
		call->error = g_strdup(error->message);
	call->done = true;
}

static inline struct call *begin(const char *method, GVariant *args)
{
	struct call *call = g_new0(struct call, 1);

	g_dbus_connection_call(client, NULL, OBJECT, INTERFACE, method, args, NULL, G_DBUS_CALL_FLAGS_NONE,
	                       G_MAXINT, NULL, answered, call);
	return call;
}

static inline void end(struct call *call)
{
	if (call->answer)
		g_variant_unref(call->answer);
	g_free(call->error);
	g_free(call);
}

static inline struct call *make(const char *method, GVariant *args)
{
	struct call *call = begin(method, args);

	UNTIL(call->done);
	return call;
}

/* With a descriptor; -1: without. */
static inline struct call *begin_stream(const char *method, GVariant *args, int fd)
{
	g_autoptr(GUnixFDList) fds = g_unix_fd_list_new();
	struct call *call = g_new0(struct call, 1);

	if (fd >= 0)
		g_unix_fd_list_append(fds, fd, NULL);
	g_dbus_connection_call_with_unix_fd_list(client, NULL, OBJECT, INTERFACE, method, args, NULL,
	                                         G_DBUS_CALL_FLAGS_NONE, G_MAXINT, fds, NULL, answered, call);
	return call;
}

/* A file without a name. */
static inline int scratch(void)
{
	g_autofree char *name = NULL;
	int fd = g_file_open_tmp("stream-XXXXXX", &name, NULL);

	if (fd < 0)
		exit(1);
	g_unlink(name);
	return fd;
}

/* ---- guests ---- */

struct test_guest {
	char uuid[40];
	uint8_t id[16];
	struct call *under_way; /* the call that brought it into its state */
};

static const char *clock_base = "utc"; /* of the guests that are made */
static const char *tsc = "default";    /* likewise */

static bool hold; /* of its nic */
static const char *name_prefix = "";
static bool with_screen;
static bool with_image;   /* its disk is one */
static bool with_console; /* besides number 0 */

static inline GVariant *configuration(const struct test_guest *g)
{
	GVariantBuilder b, disks, nics, screens, one;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "name",
	                      g_variant_new_take_string(g_strconcat(name_prefix, g->uuid, NULL)));
	g_variant_builder_add(&b, "{sv}", "uuid", g_variant_new_string(g->uuid));
	g_variant_builder_add(&b, "{sv}", "memory_kib", g_variant_new_uint64(65536));
	g_variant_builder_add(&b, "{sv}", "max_memory_kib", g_variant_new_uint64(131072));
	g_variant_builder_add(&b, "{sv}", "vcpus", g_variant_new_uint32(1));
	g_variant_builder_add(&b, "{sv}", "max_vcpus", g_variant_new_uint32(2));
	g_variant_builder_add(&b, "{sv}", "kernel", g_variant_new_string("/kernel"));
	g_variant_builder_add(&b, "{sv}", "ramdisk", g_variant_new_string("/ramdisk"));
	g_variant_builder_add(&b, "{sv}", "clock_offset", g_variant_new_string(clock_base));
	g_variant_builder_add(&b, "{sv}", "tsc", g_variant_new_string(tsc));
	g_variant_builder_add(
	        &b, "{sv}", "cpu_hidden",
	        g_variant_new_parsed("[(uint32 1, uint32 0, uint32 0, uint32 0, uint32 1048576, uint32 0)]"));
	g_variant_builder_init(&one, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&one, "{sv}", "vdev", g_variant_new_string("xvda"));
	g_variant_builder_add(&one, "{sv}", "source", g_variant_new_string("/disk"));
	g_variant_builder_add(&one, "{sv}", "type", g_variant_new_string("file"));
	if (with_image)
		g_variant_builder_add(&one, "{sv}", "format", g_variant_new_string("qcow2"));
	g_variant_builder_init(&disks, G_VARIANT_TYPE("aa{sv}"));
	g_variant_builder_add_value(&disks, g_variant_builder_end(&one));
	g_variant_builder_add(&b, "{sv}", "disks", g_variant_builder_end(&disks));
	if (with_screen) {
		g_variant_builder_init(&one, G_VARIANT_TYPE_VARDICT);
		g_variant_builder_add(&one, "{sv}", "type", g_variant_new_string("vnc"));
		g_variant_builder_init(&screens, G_VARIANT_TYPE("aa{sv}"));
		g_variant_builder_add_value(&screens, g_variant_builder_end(&one));
		g_variant_builder_add(&b, "{sv}", "screens", g_variant_builder_end(&screens));
	}
	if (with_console)
		g_variant_builder_add(&b, "{sv}", "console_devices",
		                      g_variant_new_parsed("[{'type': <'unix'>, 'path': <'/s'>}]"));
	g_variant_builder_init(&one, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&one, "{sv}", "mac", g_variant_new_string(MAC));
	g_variant_builder_add(&one, "{sv}", "bridge", g_variant_new_string("br0"));
	g_variant_builder_add(&one, "{sv}", "hold", g_variant_new_boolean(hold));
	g_variant_builder_init(&nics, G_VARIANT_TYPE("aa{sv}"));
	g_variant_builder_add_value(&nics, g_variant_builder_end(&one));
	g_variant_builder_add(&b, "{sv}", "nics", g_variant_builder_end(&nics));
	return g_variant_builder_end(&b);
}

static inline void new_guest(struct test_guest *g)
{
	memset(g, 0, sizeof(*g));
	g->id[0] = 0xab;
	g->id[14] = (uint8_t)(++serial >> 8);
	g->id[15] = (uint8_t)serial;
	g_snprintf(g->uuid, sizeof(g->uuid), "ab000000-0000-0000-0000-00000000%04x", serial);
}

static inline bool is_idle(const struct test_guest *g)
{
	struct guest *guest = guest_by_uuid(g->uuid);
	bool idle = true;

	if (guest) {
		g_mutex_lock(&xylemd.lock);
		idle = !guest->busy && !guest->phase;
		g_mutex_unlock(&xylemd.lock);
		guest_unref(guest);
	}
	return idle;
}

static inline unsigned lists(void)
{
	unsigned n;

	fake_lock();
	n = fake_lists;
	fake_unlock();
	return n;
}

/* All that was going to happen to the guest has happened. Domains are looked at one time after another: when a second look has
 * begun, what the first one found is being dealt with. */
static inline void settle(const struct test_guest *g)
{
	gint64 quiet = 0;

	for (unsigned i = 0; i < 2; i++) {
		unsigned before = lists();

		scan_request();
		UNTIL(lists() != before);
	}
	UNTIL(is_idle(g) ? (quiet ? g_get_monotonic_time() - quiet > 30000
	                          : ((quiet = g_get_monotonic_time()), false))
	                 : ((quiet = 0), false));
}

static inline void create(struct test_guest *g, bool paused)
{
	struct call *call = make("Create", g_variant_new("(@a{sv}u)", configuration(g), paused ? 1 : 0));

	if (!call->good) {
		printf("Bail out! a guest cannot be created: %s\n", call->error);
		exit(1);
	}
	end(call);
}

static inline struct call *begin_save(const struct test_guest *g, int fd)
{
	return begin_stream("Save", g_variant_new("(shu)", g->uuid, 0, 0), fd);
}

/* Its kernel says that it can. */
static inline void can_suspend(const struct test_guest *g)
{
	g_autofree char *path = g_strdup_printf("/local/domain/%u/control/feature-suspend", fake_find(g->id));

	fake_write(path, "1");
}

/* What is logged is text that a terminal can be shown, whatever a guest has written; what GLib calls critical ends the test. */
static inline GLogWriterOutput quiet(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
	gsize i;
	const char *c;

	for (i = 0; i < n; i++) {
		if (strcmp(fields[i].key, "MESSAGE"))
			continue;
		for (c = fields[i].value; *c; c = g_utf8_next_char(c))
			if (!g_utf8_validate(fields[i].value, -1, NULL) ||
			    g_unichar_iscntrl(g_utf8_get_char(c)))
				level |= G_LOG_LEVEL_CRITICAL;
	}
	if (!(level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL)))
		return G_LOG_WRITER_HANDLED;
	g_log_writer_default(level, fields, n, data);
	abort();
}

#endif
