/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See played.h. */
#include "played.h"

#include <glib/gstdio.h>
#include <xenctrl.h>

#include "datatypes.h"
#include "domain.h"
#include "events.h"
#include "migrate.h"
#include "monitor.h"
#include "viraccessmanager.h"
#include "virdomainobjlist.h"
#include "virportallocator.h"
#include "virthread.h"
#include "virxml.h"
#include "xmlopt.h"
#include "xylem.h"

struct xylem_driver *xylem;
virConnectPtr conn;

static monitor_event_fn *on_event;

bool played_setup(const char *dir)
{
	static virHypervisorDriver table = { .name = "Xen" };
	virAccessManager *access;

	if (virInitialize() < 0 || !(access = virAccessManagerNew("none")))
		return false;
	virAccessManagerSetDefault(access);
	xylem = g_new0(struct xylem_driver, 1);
	if (virMutexInit(&xylem->lock) < 0 || virCondInit(&xylem->slot_free) < 0)
		return false;
	xylem->context = g_main_context_new();
	xylem->domains = virDomainObjListNew();
	xylem->events = virObjectEventStateNew();
	xylem->xmlopt = xmlopt_new(&domain_private_data);
	xylem->config_dir = g_strdup(dir);
	xylem->autostart_dir = g_build_filename(dir, "autostart", NULL);
	xylem->state_dir = g_build_filename(dir, "state", NULL);
	xylem->save_dir = g_build_filename(dir, "save", NULL);
	xylem->pvgrub = g_build_filename(dir, "pvgrub.bin", NULL);
	xylem->migration_ports = virPortAllocatorRangeNew("migration", MIGRATE_PORT_MIN, MIGRATE_PORT_MAX);
	conn = virGetConnect();
	if (!conn || !xylem->domains || !xylem->xmlopt ||
	    (g_mkdir(xylem->state_dir, 0700) && errno != EEXIST))
		return false;
	conn->driver = &table;
	conn->privateData = xylem;
	return true;
}

bool played_valid(const char *schema, const char *xml)
{
	const char *dir = g_getenv("LIBVIRT_SCHEMAS");
	g_autofree char *path = g_build_filename(dir ? dir : "/usr/share/libvirt/schemas", schema, NULL);
	g_autoptr(xmlDoc) doc = xml ? virXMLParseStringCtxt(xml, "(answer)", NULL) : NULL;

	return doc && virXMLValidateAgainstSchema(path, doc) == 0;
}

/* ---- xylemd's events ---- */

struct message {
	const char *uuid, *event, *detail;
	unsigned int domid;
};

static gboolean deliver(void *data)
{
	struct message *m = data;

	on_event(m->domid, m->uuid, "one", m->event, m->detail);
	g_free(m);
	return G_SOURCE_REMOVE;
}

void played_say(const char *uuid, unsigned int domid, const char *event, const char *detail)
{
	struct message *m = g_new0(struct message, 1);

	*m = (struct message){ uuid, event, detail, domid };
	g_main_context_invoke(xylem->context, deliver, m);
}

static gboolean done(void *data)
{
	g_atomic_int_set((gint *)data, 1);
	return G_SOURCE_REMOVE;
}

void played_heard(void)
{
	gint over = 0;

	g_main_context_invoke(xylem->context, done, &over);
	while (!g_atomic_int_get(&over))
		g_usleep(100);
}

static gboolean reconcile(void *data G_GNUC_UNUSED)
{
	events_reconcile(false);
	return G_SOURCE_REMOVE;
}

void played_reconcile(void)
{
	g_main_context_invoke(xylem->context, reconcile, NULL);
	played_heard();
}

struct monitor *monitor_new(GMainContext *context G_GNUC_UNUSED, monitor_event_fn *fn,
                            void (*on_connected)(void) G_GNUC_UNUSED)
{
	static char monitor;

	on_event = fn;
	return (struct monitor *)&monitor;
}

void monitor_wait_first(struct monitor *m G_GNUC_UNUSED)
{
}

void monitor_free(struct monitor *m G_GNUC_UNUSED)
{
}

/* ---- a store with nothing in it ---- */

char *xyl_store_readf(struct xyl_store *s G_GNUC_UNUSED, xyl_tx tx G_GNUC_UNUSED,
                      const char *format G_GNUC_UNUSED, ...)
{
	errno = ENOENT;
	return NULL;
}

char **xyl_store_directory(struct xyl_store *s G_GNUC_UNUSED, xyl_tx tx G_GNUC_UNUSED,
                           const char *path G_GNUC_UNUSED, size_t *count G_GNUC_UNUSED)
{
	errno = ENOENT;
	return NULL;
}

struct xyl_watch *xyl_store_watch(struct xyl_store *s G_GNUC_UNUSED, const char *path G_GNUC_UNUSED,
                                  xyl_watch_fn *fn G_GNUC_UNUSED, void *data G_GNUC_UNUSED)
{
	return NULL;
}

/* ---- what a test does not play is not called ---- */

#define NOT_CALLED(name, ...)                       \
	__attribute__((weak)) int name(__VA_ARGS__) \
	{                                           \
		abort();                            \
	}

NOT_CALLED(monitor_shutdown, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           const char *mode G_GNUC_UNUSED)
NOT_CALLED(monitor_attach, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           GVariant *device G_GNUC_UNUSED, GVariant **made G_GNUC_UNUSED)
NOT_CALLED(monitor_detach, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           GVariant *device G_GNUC_UNUSED)
NOT_CALLED(monitor_set_memory, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           unsigned long long memory_kib G_GNUC_UNUSED)
NOT_CALLED(monitor_set_vcpus, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           unsigned int vcpus G_GNUC_UNUSED)
NOT_CALLED(monitor_set_scheduler, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           const struct xyl_sched *sched G_GNUC_UNUSED)
NOT_CALLED(monitor_set_affinity, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           unsigned int vcpu G_GNUC_UNUSED, const unsigned char *map G_GNUC_UNUSED,
           size_t map_bytes G_GNUC_UNUSED)
NOT_CALLED(monitor_set_link, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           const char *mac G_GNUC_UNUSED, bool up G_GNUC_UNUSED)
NOT_CALLED(monitor_release_nic, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           unsigned int domid G_GNUC_UNUSED, const char *mac G_GNUC_UNUSED)
NOT_CALLED(monitor_resize, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           const char *vdev G_GNUC_UNUSED, unsigned long long bytes G_GNUC_UNUSED)
NOT_CALLED(monitor_set_disk_limits, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           const char *vdev G_GNUC_UNUSED, GVariant *limits G_GNUC_UNUSED)
NOT_CALLED(monitor_set_policy, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           const char *event G_GNUC_UNUSED, const char *action G_GNUC_UNUSED)
NOT_CALLED(monitor_set_opaque, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           const char *text G_GNUC_UNUSED)
NOT_CALLED(monitor_screenshot, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
NOT_CALLED(monitor_send_keys, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           unsigned int hold_ms G_GNUC_UNUSED, const uint32_t *keys G_GNUC_UNUSED, size_t count G_GNUC_UNUSED)
NOT_CALLED(monitor_open_screen, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           int fd G_GNUC_UNUSED, bool skip_auth G_GNUC_UNUSED)
NOT_CALLED(monitor_create, struct monitor *m G_GNUC_UNUSED, GVariant *guest G_GNUC_UNUSED,
           bool paused G_GNUC_UNUSED, unsigned int *domid G_GNUC_UNUSED, GVariant **devices G_GNUC_UNUSED)
NOT_CALLED(monitor_restore, struct monitor *m G_GNUC_UNUSED, GVariant *guest G_GNUC_UNUSED,
           bool paused G_GNUC_UNUSED, int stream G_GNUC_UNUSED, unsigned int *domid G_GNUC_UNUSED,
           GVariant **devices G_GNUC_UNUSED)
NOT_CALLED(monitor_save, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           int stream G_GNUC_UNUSED, unsigned int how G_GNUC_UNUSED)
NOT_CALLED(monitor_set_migration, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           const struct monitor_limits *limits G_GNUC_UNUSED)
NOT_CALLED(monitor_dump, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           int file G_GNUC_UNUSED, bool live G_GNUC_UNUSED)
NOT_CALLED(monitor_dirty_rate, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           unsigned long long duration_us G_GNUC_UNUSED, unsigned long long *pages G_GNUC_UNUSED,
           unsigned long long *elapsed_us G_GNUC_UNUSED)
NOT_CALLED(monitor_resume, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
NOT_CALLED(monitor_cancel, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
NOT_CALLED(monitor_destroy, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
NOT_CALLED(monitor_pause, struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
           bool pause G_GNUC_UNUSED)
