/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An answer of xylemd's that is lost, of a start, an attach or a detach: what it was for may have been done, or be done yet. Locks
 * of disks are held until xylemd has said that the guest, or the device, is not there.
 *
 * xylemd, the hypervisor and the lock manager are the test's.
 */
#include "xylem.h"

#include <stdio.h>
#include <stdlib.h>

#include "../lib/tap.h"
#include "define.h"
#include "devices.h"
#include "domain.h"
#include "events.h"
#include "lifecycle.h"
#include "locking/domain_lock.h"
#include "monitor.h"
#include "played_one.h"
#include "savefile.h"
#include "virerror.h"
#include "virfile.h"

#define DISK(n) "<disk type='block'><source dev='/d/" n "'/><target dev='xvd" n "' bus='xen'/></disk>"
#define XML                                                                                        \
	"<domain type='xen'><name>one</name><uuid>" UUID "</uuid>"                                 \
	"<memory unit='KiB'>65536</memory><vcpu>1</vcpu><os><type>linux</type><kernel>/k</kernel>" \
	"</os><devices>" DISK("a") "</devices></domain>"
#define DISKS 2

static const char *const paths[DISKS] = { "/d/a", "/d/b" }, *const targets[DISKS] = { "xvda", "xvdb" };

static struct {
	bool exists, paused, building;
	bool disk[DISKS];
	int locks[DISKS]; /* more than 1, or less than 0: a mistake */
	int wrong;
	bool away;      /* it does not answer */
	bool loses;     /* its next answer to a start, an attach or a detach */
	bool loses_run; /* to an unpause */
	bool idle;      /* and does nothing of that */
	bool refuses;   /* that, and the device stays */
	char *opaque;
} world;

static virDomainPtr dom;

static int index_of(const char *const list[DISKS], const char *text)
{
	return STREQ(text, list[1]) ? 1 : 0;
}

/* ---- the lock manager ---- */

int virDomainLockImageAttach(virLockManagerPlugin *plugin G_GNUC_UNUSED, const char *uri G_GNUC_UNUSED,
                             virDomainObj *vm G_GNUC_UNUSED, virStorageSource *src)
{
	int i = index_of(paths, src->path);

	if (g_atomic_int_get(&world.locks[i])) {
		virReportError(VIR_ERR_RESOURCE_BUSY, "%s is locked", src->path);
		return -1;
	}
	g_atomic_int_inc(&world.locks[i]);
	return 0;
}

int virDomainLockImageDetach(virLockManagerPlugin *plugin G_GNUC_UNUSED, virDomainObj *vm G_GNUC_UNUSED,
                             virStorageSource *src)
{
	int i = index_of(paths, src->path);

	/* Nothing is let go that a guest has, or may get. */
	if (world.disk[i] || (world.building && i == 0))
		g_atomic_int_inc(&world.wrong);
	if (!g_atomic_int_get(&world.locks[i])) {
		virReportError(VIR_ERR_INTERNAL_ERROR, "%s is not locked", src->path);
		return -1;
	}
	g_atomic_int_add(&world.locks[i], -1);
	return 0;
}

/* ---- xylemd ---- */

static int gone(int code)
{
	virReportError(VIR_ERR_OPERATION_FAILED, "%s", "xylemd: the connection is closed");
	return code;
}

/* Whether the answer to a call that changes something is lost. */
static int answer(void)
{
	if (!world.loses)
		return world.away ? gone(-1) : 0;
	world.loses = false;
	return gone(MONITOR_LOST);
}

int monitor_create(struct monitor *m G_GNUC_UNUSED, GVariant *config, bool paused, unsigned int *domid,
                   GVariant **devices)
{
	const char *opaque = "";

	*devices = NULL;
	*domid = 1;
	g_variant_ref_sink(config);
	g_variant_lookup(config, "opaque", "&s", &opaque);
	g_free(world.opaque);
	world.opaque = g_strdup(opaque);
	g_variant_unref(config);
	if (!world.idle) {
		world.building = world.loses;
		world.exists = !world.loses;
		world.disk[0] = !world.loses;
	}
	world.paused = paused;
	return answer();
}

int monitor_restore(struct monitor *m, GVariant *config, bool paused, int stream G_GNUC_UNUSED,
                    unsigned int *domid, GVariant **devices)
{
	return monitor_create(m, config, paused, domid, devices);
}

int monitor_destroy(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
{
	if (world.away)
		return gone(MONITOR_LOST);
	if (!world.exists && !world.building) {
		virReportError(VIR_ERR_OPERATION_INVALID, "%s", "there is no guest");
		return -1;
	}
	world.exists = world.building = world.disk[0] = world.disk[1] = false;
	return 0;
}

int monitor_pause(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, bool pause)
{
	if (world.away)
		return gone(-1);
	world.paused = pause;
	if (!world.loses_run)
		return 0;
	world.loses_run = false;
	return gone(MONITOR_LOST);
}

static int change(GVariant *device, bool there)
{
	const char *vdev = "";

	g_variant_ref_sink(device);
	if (g_variant_lookup(device, "vdev", "&s", &vdev) && !world.idle)
		world.disk[index_of(targets, vdev)] = there;
	g_variant_unref(device);
	if (world.refuses) {
		virReportError(VIR_ERR_OPERATION_FAILED, "%s", "the backend gave up");
		return -1;
	}
	return answer();
}

int monitor_attach(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, GVariant *device,
                   GVariant **made)
{
	int ret;

	g_variant_ref_sink(device);
	ret = change(g_variant_ref(device), true);
	*made = ret < 0 ? NULL : g_variant_ref(device);
	g_variant_unref(device);
	return ret;
}

int monitor_detach(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, GVariant *device)
{
	return change(device, false);
}

int monitor_set_opaque(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, const char *text)
{
	if (world.away || !world.exists)
		return gone(-1);
	g_free(world.opaque);
	world.opaque = g_strdup(text);
	return 0;
}

bool monitor_connected(struct monitor *m G_GNUC_UNUSED)
{
	return !world.away;
}

static void describe(GVariantBuilder *devices, const char *value)
{
	g_variant_builder_open(devices, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(devices, "{sv}", "vdev", g_variant_new_string(value));
	g_variant_builder_close(devices);
}

GVariant *monitor_get(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, bool *known)
{
	GVariantBuilder devices;
	GVariantDict domain, config;
	int i;

	if (known)
		*known = !world.away;
	if (world.away || (!world.exists && !world.building))
		return NULL;
	g_variant_builder_init(&devices, G_VARIANT_TYPE("aa{sv}"));
	for (i = 0; i < DISKS; i++) {
		if (world.disk[i])
			describe(&devices, targets[i]);
	}
	g_variant_dict_init(&config, NULL);
	g_variant_dict_insert(&config, "opaque", "s", world.opaque);
	g_variant_dict_init(&domain, NULL);
	g_variant_dict_insert(&domain, "owner", "s", "xylemd");
	g_variant_dict_insert(&domain, "state", "s",
	                      world.building ? "building"
	                      : world.paused ? "paused"
	                                     : "running");
	g_variant_dict_insert_value(&domain, "config", g_variant_dict_end(&config));
	g_variant_dict_insert_value(&domain, "devices", g_variant_builder_end(&devices));
	return g_variant_ref_sink(g_variant_dict_end(&domain));
}

/* ---- the hypervisor ---- */

static bool one_is_there(void)
{
	return world.exists || world.building;
}

static bool one_is_paused(void)
{
	return world.paused || world.building;
}

/* ---- the tests ---- */

static void ok(bool good, const char *name)
{
	if (!tap_ok(good && !world.wrong, "%s", name))
		printf("# locks %d %d, %d let go too early, active %d, guest %d; last error: %s\n",
		       world.locks[0], world.locks[1], world.wrong, define_is_active(dom), world.exists,
		       virGetLastErrorMessage());
	world.wrong = 0;
	virResetLastError();
}

static int disks_of_guest(void)
{
	virDomainObj *vm = domain_get(dom);
	int count = (int)vm->def->ndisks;

	virDomainObjEndAPI(&vm);
	return count;
}

/* Within ten seconds, in which the driver asks again by itself. */
static bool comes(int lock_a, int lock_b, bool active, int disks)
{
	int i;

	for (i = 0; i < 10000; i++) {
		if (g_atomic_int_get(&world.locks[0]) == lock_a &&
		    g_atomic_int_get(&world.locks[1]) == lock_b && define_is_active(dom) == active &&
		    disks_of_guest() == disks)
			return true;
		g_usleep(1000);
	}
	return false;
}

static bool locked(int a, int b)
{
	return g_atomic_int_get(&world.locks[0]) == a && g_atomic_int_get(&world.locks[1]) == b;
}

static void xylemd_answers(void)
{
	world.away = false;
	played_say(UUID, 0, "started", "");
}

static bool ends(void)
{
	return lifecycle_destroy(dom) == 0 && comes(0, 0, false, 1);
}

static void test_start_comes_late(void)
{
	world.loses = world.away = true;
	ok(lifecycle_create(dom) < 0 && locked(1, 0), "a start whose answer is lost: its disks stay locked");
	ok(lifecycle_create(dom) < 0 && locked(1, 0), "it is not started again while xylemd does not tell");
	world.exists = world.disk[0] = true;
	world.building = false;
	played_reconcile();
	ok(define_is_active(dom) == 0 && locked(1, 0), "nor is it taken for somebody else's guest");
	xylemd_answers();
	ok(comes(1, 0, true, 1), "it runs, when xylemd is asked again: it is taken over with its locks");
	ok(ends(), "which go with it");
}

static void test_start_is_not_there(void)
{
	world.loses = world.away = world.idle = true;
	ok(lifecycle_create(dom) < 0 && locked(1, 0), "likewise one that xylemd has not heard");
	world.idle = false;
	xylemd_answers();
	ok(comes(0, 0, false, 1), "xylemd says that there is no guest: its disks are let go");
	ok(lifecycle_create(dom) == 0 && locked(1, 0) && ends(), "and it can be started");
}

static void test_start_is_building(void)
{
	world.loses = world.away = true;
	ok(lifecycle_create(dom) < 0 && locked(1, 0), "likewise one that is still built");
	xylemd_answers();
	ok(comes(0, 0, false, 1) && !world.building, "which is destroyed, and then its disks are let go");
}

static void test_start_is_destroyed(void)
{
	world.loses = true;
	ok(lifecycle_create(dom) < 0 && locked(0, 0) && !world.exists && !world.building,
	   "where xylemd answers, what was begun is destroyed before the locks go");
}

/* From a managed save, whose guest is built paused; where it has not run the file is its state. */
static void set_save(bool there)
{
	virDomainObj *vm = domain_get(dom);

	vm->hasManagedSave = there;
	virDomainObjEndAPI(&vm);
}

static void make_save(const char *path)
{
	int fd = g_mkdir_with_parents(xylem->save_dir, 0700) < 0 ? -1 : savefile_create(path, XML, false);

	set_save(fd >= 0 && savefile_complete(path, fd, false) == 0);
	VIR_FORCE_CLOSE(fd);
}

/* It is built paused. */
static void test_restore(void)
{
	g_autofree char *path = g_build_filename(xylem->save_dir, "one.save", NULL);

	make_save(path);
	world.loses = world.away = true;
	ok(lifecycle_create(dom) < 0 && locked(1, 0), "a restore whose answer is lost: likewise");
	world.exists = world.disk[0] = true;
	world.building = false;
	xylemd_answers();
	ok(comes(0, 0, false, 1) && !world.exists && domain_look_for_save(path),
	   "it has not run, is destroyed, and its managed save is its state");
	world.loses_run = true;
	ok(lifecycle_create(dom) < 0 && locked(0, 0) && !world.exists && !domain_look_for_save(path),
	   "one that may have run before it was destroyed is not restored again");
	unlink(path);
	set_save(false);
}

static void test_attach(void)
{
	world.loses = world.away = true;
	ok(devices_attach(dom, DISK("b")) < 0 && locked(1, 1),
	   "an attach whose answer is lost: the disk stays locked");
	xylemd_answers();
	ok(comes(1, 1, true, 2), "it was attached: the guest has it, and the lock");
	world.loses = world.away = true;
	ok(devices_detach(dom, DISK("b")) < 0 && locked(1, 1), "a detach whose answer is lost: likewise");
	xylemd_answers();
	ok(comes(1, 0, true, 1), "until xylemd says that it is gone");
	world.loses = world.away = world.idle = true;
	ok(devices_attach(dom, DISK("b")) < 0 && locked(1, 1), "an attach that xylemd has not heard");
	world.idle = false;
	xylemd_answers();
	ok(comes(1, 0, true, 1), "likewise until xylemd says that it is not there");
	world.refuses = true;
	ok(devices_attach(dom, DISK("b")) < 0 && locked(1, 1) && disks_of_guest() == 2,
	   "an attach that fails, and the device stays: the guest has it, and the lock");
	world.refuses = false;
	ok(devices_detach(dom, DISK("b")) == 0 && locked(1, 0), "until it is detached");
	world.refuses = world.idle = true;
	ok(devices_attach(dom, DISK("b")) < 0 && locked(1, 0), "an attach that fails, and leaves nothing");
	world.refuses = world.idle = false;
}

static void test_attach_and_end(void)
{
	world.loses = world.away = true;
	ok(devices_attach(dom, DISK("b")) < 0 && locked(1, 1), "a guest that ends while that is not known");
	world.exists = world.disk[0] = world.disk[1] = false;
	world.away = false;
	played_say(UUID, 1, "died", "other");
	ok(comes(0, 0, false, 1), "lets go of what it may have had");
}

static void test_doomed(void)
{
	world.loses = world.away = true;
	ok(lifecycle_create(dom) < 0 && locked(1, 0), "xylemd is away when libvirtd ends");
	world.exists = world.disk[0] = true;
	world.building = false;
	events_stop();
	world.away = false;
	ok(events_start() == 0 && comes(1, 0, true, 1) && ends(), "and tells the next one");
}

int main(void)
{
	static char manager;
	g_autofree char *dir = g_dir_make_tmp("xylem-lost-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);

	if (!dir || !played_setup(dir) || events_start() < 0 || !(dom = define_xml(conn, XML))) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		return 1;
	}
	xylem->lock_manager = (virLockManagerPlugin *)&manager;
	test_start_comes_late();
	test_start_is_not_there();
	test_start_is_building();
	test_start_is_destroyed();
	test_restore();
	if (lifecycle_create(dom) < 0)
		printf("Bail out! the guest cannot be started: %s\n", virGetLastErrorMessage());
	test_attach();
	test_attach_and_end();
	test_doomed();
	events_stop();
	virObjectUnref(dom);
	return tap_end() || system(remove) ? 1 : 0;
}
