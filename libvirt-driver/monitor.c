/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client of xylemd (docs/xylemd-protocol.md): one connection for the whole driver, made and remade by the
 * event thread. Calls come from any thread and wait for their answers; events are delivered in the event
 * thread. When xylemd is away, calls wait a short while for it to come back and then say so.
 */
#include "monitor.h"

#include <gio/gio.h>
#include <gio/gunixfdlist.h>

#include "virerror.h"
#include "virlog.h"
#include "xylem.h"

VIR_LOG_INIT("xylem.monitor");

#define ADDRESS         "unix:path=/run/xylem/xylemd.sock"
#define OBJECT          "/org/xylem/Xylemd1"
#define INTERFACE       "org.xylem.Xylemd1"
#define PROTOCOL        2
#define RETRY_MS        1000
#define CONNECT_WAIT_US (5 * G_USEC_PER_SEC)
/* xylemd bounds its own waiting; these are for an xylemd that hangs. */
#define BUILD_MS   300000
#define DEVICE_MS  120000
#define DESTROY_MS 75000
#define SHORT_MS   20000
#define STREAM_MS  G_MAXINT /* as long as a file or a peer takes; it can be cancelled */

struct monitor {
	GMainContext *context;
	monitor_event_fn *on_event;
	void (*on_connected)(void);
	GCancellable *cancel;
	GSource *retry; /* event thread only */
	bool refused;   /* logged that it is away; event thread only */
	GMutex lock;
	GCond changed;
	GDBusConnection *connection; /* NULL while there is none; guarded by lock */
	bool closing;                /* guarded by lock */
};

static void connect_later(struct monitor *m, unsigned int delay_ms);

static void set_connection(struct monitor *m, GDBusConnection *connection)
{
	g_mutex_lock(&m->lock);
	g_clear_object(&m->connection);
	if (!m->closing)
		m->connection = connection;
	else if (connection)
		g_object_unref(connection);
	g_cond_broadcast(&m->changed);
	g_mutex_unlock(&m->lock);
}

static void closed(GDBusConnection *connection G_GNUC_UNUSED, gboolean remote G_GNUC_UNUSED, GError *error,
                   void *data)
{
	struct monitor *m = data;

	VIR_WARN("xylemd has gone away: %s", error ? error->message : "closed");
	set_connection(m, NULL);
	connect_later(m, 100);
}

static void signalled(GDBusConnection *connection G_GNUC_UNUSED, const char *sender G_GNUC_UNUSED,
                      const char *object G_GNUC_UNUSED, const char *interface G_GNUC_UNUSED,
                      const char *name G_GNUC_UNUSED, GVariant *args, void *data)
{
	struct monitor *m = data;
	const char *uuid, *guest, *event, *detail;
	guint32 domid;

	if (!g_variant_is_of_type(args, G_VARIANT_TYPE("(ussss)")))
		return;
	g_variant_get(args, "(u&s&s&s&s)", &domid, &uuid, &guest, &event, &detail);
	m->on_event(domid, uuid, guest, event, detail);
}

static void versioned(GObject *source, GAsyncResult *result, void *data)
{
	GDBusConnection *connection = G_DBUS_CONNECTION(source);
	g_autoptr(GVariant) value = NULL;
	g_autoptr(GVariant) answer = NULL;
	g_autoptr(GError) error = NULL;
	struct monitor *m;

	answer = g_dbus_connection_call_finish(connection, result, &error);
	if (!answer && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
		return;
	m = data;
	if (!answer) {
		VIR_WARN("xylemd does not answer: %s", error->message);
		connect_later(m, RETRY_MS);
		return;
	}
	g_variant_get(answer, "(v)", &value);
	if (!g_variant_is_of_type(value, G_VARIANT_TYPE_UINT32) || g_variant_get_uint32(value) != PROTOCOL) {
		VIR_ERROR(
		        "xylemd speaks another version of its protocol than %d; restart libvirtd after upgrades",
		        PROTOCOL);
		connect_later(m, 10 * RETRY_MS);
		return;
	}
	VIR_INFO("connected to xylemd");
	m->refused = false;
	g_signal_connect(connection, "closed", G_CALLBACK(closed), m);
	g_dbus_connection_signal_subscribe(connection, NULL, INTERFACE, "DomainEvent", OBJECT, NULL,
	                                   G_DBUS_SIGNAL_FLAGS_NONE, signalled, m, NULL);
	set_connection(m, g_object_ref(connection));
	if (g_dbus_connection_is_closed(connection)) {
		set_connection(m, NULL);
		connect_later(m, 100);
		return;
	}
	m->on_connected();
}

static void connected(GObject *source G_GNUC_UNUSED, GAsyncResult *result, void *data)
{
	g_autoptr(GDBusConnection) connection = NULL;
	g_autoptr(GError) error = NULL;
	struct monitor *m;

	connection = g_dbus_connection_new_for_address_finish(result, &error);
	if (!connection && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
		return;
	m = data;
	if (!connection) {
		if (!m->refused)
			VIR_WARN("xylemd is not reachable at %s: %s", ADDRESS, error->message);
		m->refused = true;
		connect_later(m, RETRY_MS);
		return;
	}
	g_dbus_connection_call(connection, NULL, OBJECT, "org.freedesktop.DBus.Properties", "Get",
	                       g_variant_new("(ss)", INTERFACE, "ProtocolVersion"), G_VARIANT_TYPE("(v)"),
	                       G_DBUS_CALL_FLAGS_NONE, SHORT_MS, m->cancel, versioned, m);
}

static gboolean connect_now(void *data)
{
	struct monitor *m = data;

	g_clear_pointer(&m->retry, g_source_unref);
	g_dbus_connection_new_for_address(ADDRESS, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL,
	                                  m->cancel, connected, m);
	return G_SOURCE_REMOVE;
}

static void connect_later(struct monitor *m, unsigned int delay_ms)
{
	if (m->retry)
		return;
	m->retry = g_timeout_source_new(delay_ms);
	g_source_set_callback(m->retry, connect_now, m, NULL);
	g_source_attach(m->retry, m->context);
}

struct monitor *monitor_new(GMainContext *context, monitor_event_fn *on_event, void (*on_connected)(void))
{
	struct monitor *m = g_new0(struct monitor, 1);

	m->context = context;
	m->on_event = on_event;
	m->on_connected = on_connected;
	m->cancel = g_cancellable_new();
	g_mutex_init(&m->lock);
	g_cond_init(&m->changed);
	connect_later(m, 0);
	return m;
}

void monitor_wait_first(struct monitor *m)
{
	gint64 until = g_get_monotonic_time() + CONNECT_WAIT_US;

	while (!monitor_connected(m) && !m->refused && g_get_monotonic_time() < until) {
		if (!g_main_context_iteration(m->context, FALSE))
			g_usleep(2000);
	}
}

/* The event thread must have ended. */
void monitor_free(struct monitor *m)
{
	if (!m)
		return;
	g_cancellable_cancel(m->cancel);
	g_mutex_lock(&m->lock);
	m->closing = true;
	if (m->connection)
		g_signal_handlers_disconnect_by_data(m->connection, m);
	g_clear_object(&m->connection);
	g_mutex_unlock(&m->lock);
	if (m->retry) {
		g_source_destroy(m->retry);
		g_source_unref(m->retry);
	}
	g_object_unref(m->cancel);
	g_mutex_clear(&m->lock);
	g_cond_clear(&m->changed);
	g_free(m);
}

bool monitor_connected(struct monitor *m)
{
	bool ret;

	g_mutex_lock(&m->lock);
	ret = m->connection != NULL;
	g_mutex_unlock(&m->lock);
	return ret;
}

static GDBusConnection *get_connection(struct monitor *m, bool wait)
{
	gint64 until = g_get_monotonic_time() + CONNECT_WAIT_US;
	GDBusConnection *connection = NULL;

	g_mutex_lock(&m->lock);
	while (wait && !m->connection && !m->closing) {
		if (!g_cond_wait_until(&m->changed, &m->lock, until))
			break;
	}
	if (m->connection)
		connection = g_object_ref(m->connection);
	g_mutex_unlock(&m->lock);
	return connection;
}

/* xylemd's errors in libvirt's words; its message is a sentence already. */
static void report(GError *error)
{
	static const struct {
		const char *name;
		int code;
	} codes[] = {
		{ "org.xylem.Error.InvalidArgument", VIR_ERR_INVALID_ARG },
		{ "org.xylem.Error.NotSupported", VIR_ERR_CONFIG_UNSUPPORTED },
		{ "org.xylem.Error.NotFound", VIR_ERR_OPERATION_INVALID },
		{ "org.xylem.Error.Busy", VIR_ERR_OPERATION_INVALID },
		{ "org.xylem.Error.Timeout", VIR_ERR_OPERATION_TIMEOUT },
		{ "org.xylem.Error.Cancelled", VIR_ERR_OPERATION_ABORTED },
	};
	g_autofree char *name = g_dbus_error_get_remote_error(error);
	int code = VIR_ERR_OPERATION_FAILED;
	size_t i;

	for (i = 0; name && i < G_N_ELEMENTS(codes); i++) {
		if (STREQ(name, codes[i].name))
			code = codes[i].code;
	}
	if (!name && error->domain == G_IO_ERROR && error->code == G_IO_ERROR_TIMED_OUT)
		code = VIR_ERR_OPERATION_TIMEOUT;
	if (name)
		g_dbus_error_strip_remote_error(error);
	virReportError(code, "%s%s", name ? "" : "xylemd: ", error->message);
}

/* args is consumed. fd: handle 0 in them, or -1; *answer is NULL where there is none; *given: what comes with it, or NULL. 0; with
 * a libvirt error -1 or MONITOR_LOST. */
static int call_with(struct monitor *m, const char *method, GVariant *args, int fd, const char *type,
                     GVariant **answer, GUnixFDList **given, int timeout_ms)
{
	g_autoptr(GDBusConnection) connection = get_connection(m, true);
	g_autoptr(GError) error = NULL;
	g_autoptr(GUnixFDList) fds = fd < 0 ? NULL : g_unix_fd_list_new();
	bool refused;

	*answer = NULL;
	if (!connection) {
		g_variant_unref(g_variant_ref_sink(args));
		virReportError(VIR_ERR_OPERATION_FAILED,
		               "xylemd is not reachable at %s; is its service running?", ADDRESS);
		return -1;
	}
	if (fds && g_unix_fd_list_append(fds, fd, &error) < 0) {
		g_variant_unref(g_variant_ref_sink(args));
		report(error);
		return -1;
	}
	*answer = g_dbus_connection_call_with_unix_fd_list_sync(
	        connection, NULL, OBJECT, INTERFACE, method, args, type ? G_VARIANT_TYPE(type) : NULL,
	        G_DBUS_CALL_FLAGS_NONE, timeout_ms, fds, given, NULL, &error);
	if (*answer)
		return 0;
	refused = g_dbus_error_is_remote_error(error);
	report(error);
	return refused ? -1 : MONITOR_LOST;
}

static int call(struct monitor *m, const char *method, GVariant *args, const char *type, GVariant **answer,
                int timeout_ms)
{
	return call_with(m, method, args, -1, type, answer, NULL, timeout_ms);
}

static int call_void(struct monitor *m, const char *method, GVariant *args, int timeout_ms)
{
	g_autoptr(GVariant) answer = NULL;

	return call(m, method, args, NULL, &answer, timeout_ms);
}

int monitor_create(struct monitor *m, GVariant *guest, bool paused, unsigned int *domid, GVariant **devices)
{
	g_autoptr(GVariant) answer = NULL;
	guint32 number;
	int ret = call(m, "Create", g_variant_new("(@a{sv}u)", guest, paused ? 1 : 0), "(uaa{sv})", &answer,
	               BUILD_MS);

	if (ret < 0)
		return ret;
	g_variant_get(answer, "(u@aa{sv})", &number, devices);
	*domid = number;
	return 0;
}

int monitor_restore(struct monitor *m, GVariant *guest, bool paused, int stream, unsigned int *domid,
                    GVariant **devices)
{
	g_autoptr(GVariant) answer = NULL;
	guint32 number;
	int ret = call_with(m, "Restore", g_variant_new("(@a{sv}hu)", guest, 0, paused ? 1 : 0), stream,
	                    "(uaa{sv})", &answer, NULL, STREAM_MS);

	if (ret < 0)
		return ret;
	g_variant_get(answer, "(u@aa{sv})", &number, devices);
	*domid = number;
	return 0;
}

int monitor_save(struct monitor *m, const char *handle, int stream, unsigned int how)
{
	g_autoptr(GVariant) answer = NULL;

	return call_with(m, "Save", g_variant_new("(shu)", handle, 0, how), stream, NULL, &answer, NULL,
	                 STREAM_MS);
}

int monitor_set_migration(struct monitor *m, const char *handle, const struct monitor_limits *limits)
{
	GVariantBuilder b;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "bandwidth", g_variant_new_uint64(limits->bandwidth));
	g_variant_builder_add(&b, "{sv}", "max_downtime_us", g_variant_new_uint64(limits->max_downtime_us));
	g_variant_builder_add(&b, "{sv}", "throttle_initial", g_variant_new_uint32(limits->throttle_initial));
	if (limits->throttle_increment)
		g_variant_builder_add(&b, "{sv}", "throttle_increment",
		                      g_variant_new_uint32(limits->throttle_increment));
	return call_void(m, "SetMigration", g_variant_new("(s@a{sv})", handle, g_variant_builder_end(&b)),
	                 DEVICE_MS);
}

int monitor_dump(struct monitor *m, const char *handle, int file, bool live)
{
	g_autoptr(GVariant) answer = NULL;

	return call_with(m, "Dump", g_variant_new("(shu)", handle, 0, live ? 1 : 0), file, NULL, &answer,
	                 NULL, STREAM_MS);
}

int monitor_dirty_rate(struct monitor *m, const char *handle, unsigned long long duration_us,
                       unsigned long long *pages, unsigned long long *elapsed_us)
{
	g_autoptr(GVariant) answer = NULL;
	guint64 count, us;
	int ret = call(m, "DirtyRate", g_variant_new("(st)", handle, (guint64)duration_us), "(tt)", &answer,
	               DEVICE_MS + (int)(duration_us / 1000));

	if (ret < 0)
		return ret;
	g_variant_get(answer, "(tt)", &count, &us);
	*pages = count;
	*elapsed_us = us;
	return 0;
}

int monitor_resume(struct monitor *m, const char *handle)
{
	return call_void(m, "Resume", g_variant_new("(s)", handle), DEVICE_MS);
}

int monitor_cancel(struct monitor *m, const char *handle)
{
	return call_void(m, "Cancel", g_variant_new("(s)", handle), SHORT_MS);
}

int monitor_destroy(struct monitor *m, const char *handle)
{
	return call_void(m, "Destroy", g_variant_new("(s)", handle), DESTROY_MS);
}

int monitor_shutdown(struct monitor *m, const char *handle, const char *mode)
{
	return call_void(m, "Shutdown", g_variant_new("(ss)", handle, mode), SHORT_MS);
}

int monitor_pause(struct monitor *m, const char *handle, bool pause)
{
	return call_void(m, pause ? "Pause" : "Unpause", g_variant_new("(s)", handle), DEVICE_MS);
}

int monitor_attach(struct monitor *m, const char *handle, GVariant *device, GVariant **made)
{
	g_autoptr(GVariant) answer = NULL;
	int ret = call(m, "AttachDevice", g_variant_new("(s@a{sv})", handle, device), "(a{sv})", &answer,
	               DEVICE_MS);

	if (ret < 0)
		return ret;
	*made = g_variant_get_child_value(answer, 0);
	return 0;
}

int monitor_detach(struct monitor *m, const char *handle, GVariant *device)
{
	return call_void(m, "DetachDevice", g_variant_new("(s@a{sv})", handle, device), DEVICE_MS);
}

int monitor_set_memory(struct monitor *m, const char *handle, unsigned long long memory_kib)
{
	return call_void(m, "SetMemory", g_variant_new("(st)", handle, (guint64)memory_kib), DEVICE_MS);
}

int monitor_set_vcpus(struct monitor *m, const char *handle, unsigned int vcpus)
{
	return call_void(m, "SetVcpus", g_variant_new("(su)", handle, vcpus), DEVICE_MS);
}

int monitor_set_scheduler(struct monitor *m, const char *handle, const struct xyl_sched *sched)
{
	GVariantBuilder b;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "weight", g_variant_new_uint32(sched->weight));
	g_variant_builder_add(&b, "{sv}", "cap", g_variant_new_uint32(sched->cap));
	return call_void(m, "SetScheduler", g_variant_new("(s@a{sv})", handle, g_variant_builder_end(&b)),
	                 DEVICE_MS);
}

int monitor_set_affinity(struct monitor *m, const char *handle, unsigned int vcpu, const unsigned char *map,
                         size_t map_bytes)
{
	GVariant *cpus = g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, map, map_bytes, 1);

	return call_void(m, "SetAffinity", g_variant_new("(su@ay)", handle, vcpu, cpus), DEVICE_MS);
}

int monitor_release_nic(struct monitor *m, const char *handle, unsigned int domid, const char *mac)
{
	return call_void(m, "ReleaseNic", g_variant_new("(sus)", handle, (guint32)domid, mac), DEVICE_MS);
}

int monitor_resize(struct monitor *m, const char *handle, const char *vdev, unsigned long long bytes)
{
	return call_void(m, "ResizeDisk", g_variant_new("(sst)", handle, vdev, (guint64)bytes), DEVICE_MS);
}

int monitor_set_disk_limits(struct monitor *m, const char *handle, const char *vdev, GVariant *limits)
{
	return call_void(m, "SetDiskLimits", g_variant_new("(ss@a{st})", handle, vdev, limits), DEVICE_MS);
}

int monitor_set_link(struct monitor *m, const char *handle, const char *mac, bool up)
{
	return call_void(m, "SetLink", g_variant_new("(ssb)", handle, mac, up), DEVICE_MS);
}

int monitor_set_policy(struct monitor *m, const char *handle, const char *event, const char *action)
{
	return call_void(m, "SetPolicy", g_variant_new("(sss)", handle, event, action), DEVICE_MS);
}

int monitor_screenshot(struct monitor *m, const char *handle)
{
	g_autoptr(GUnixFDList) fds = NULL;
	g_autoptr(GVariant) answer = NULL;
	int fd =
	        call_with(m, "Screenshot", g_variant_new("(s)", handle), -1, "(h)", &answer, &fds, DEVICE_MS);
	gint32 index;

	if (fd < 0)
		return -1;
	g_variant_get(answer, "(h)", &index);
	fd = fds ? g_unix_fd_list_get(fds, index, NULL) : -1;
	if (fd < 0)
		virReportError(VIR_ERR_OPERATION_FAILED, "%s", "xylemd gave no picture");
	return fd;
}

int monitor_send_keys(struct monitor *m, const char *handle, unsigned int hold_ms, const uint32_t *keys,
                      size_t count)
{
	GVariant *list = g_variant_new_fixed_array(G_VARIANT_TYPE_UINT32, keys, count, sizeof(*keys));

	return call_void(m, "SendKeys", g_variant_new("(su@au)", handle, (guint32)hold_ms, list), DEVICE_MS);
}

int monitor_open_screen(struct monitor *m, const char *handle, int fd, bool skip_auth)
{
	g_autoptr(GVariant) answer = NULL;

	return call_with(m, "OpenScreen", g_variant_new("(shb)", handle, 0, skip_auth), fd, NULL, &answer,
	                 NULL, DEVICE_MS);
}

int monitor_set_opaque(struct monitor *m, const char *handle, const char *text)
{
	return call_void(m, "SetOpaque", g_variant_new("(ss)", handle, text), DEVICE_MS);
}

GVariant *monitor_get(struct monitor *m, const char *handle, bool *known)
{
	g_autoptr(GDBusConnection) connection = get_connection(m, false);
	g_autoptr(GVariant) answer = NULL;
	g_autoptr(GError) error = NULL;
	g_autofree char *name = NULL;

	if (known)
		*known = false;
	if (!connection)
		return NULL;
	answer = g_dbus_connection_call_sync(connection, NULL, OBJECT, INTERFACE, "Get",
	                                     g_variant_new("(s)", handle), G_VARIANT_TYPE("(a{sv})"),
	                                     G_DBUS_CALL_FLAGS_NONE, SHORT_MS, NULL, &error);
	if (error)
		name = g_dbus_error_get_remote_error(error);
	if (known)
		*known = answer || STREQ_NULLABLE(name, "org.xylem.Error.NotFound");
	return answer ? g_variant_get_child_value(answer, 0) : NULL;
}
