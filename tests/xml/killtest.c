/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirtd is killed at each step of a start, an attach and a detach, and started again: its definition is what the guest has,
 * and the locks of disks are held for what runs, and for nothing else. Each libvirtd is a process of its own, with libvirt's
 * real objects and this driver; xylemd, the hypervisor and the lock manager are the test's, and outlive it.
 *
 * A step is each moment before and after something reaches a file, xylemd or the lock manager.
 */
#include "xylem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

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
#include "virdomainjob.h"
#include "virdomainobjlist.h"
#include "virerror.h"
#include "virfile.h"

#define DISK "<disk type='block'><source dev='%s'/><target dev='%s' bus='xen'/></disk>"
#define NET  "<interface type='bridge'><mac address='00:16:3e:00:00:01'/><source bridge='br0'/></interface>"
#define XML                                                                                        \
	"<domain type='xen'><name>one</name><uuid>" UUID "</uuid>"                                 \
	"<memory unit='KiB'>65536</memory><vcpu>1</vcpu><os><type>linux</type><kernel>/k</kernel>" \
	"</os><devices>%s</devices></domain>"
#define DISKS     2
#define STEPS_MAX 200

static const char *const paths[DISKS] = { "/d/a", "/d/b" }, *const targets[DISKS] = { "xvda", "xvdb" };

/* What outlives libvirtd. */
static struct world {
	bool exists, paused, building, has_run;
	bool silent;           /* xylemd does not answer */
	bool disk[DISKS], nic; /* what the guest has */
	unsigned int locks[DISKS];
	unsigned int lives;
	char opaque[16384];
} * world;

static int steps, die_at; /* die_at 0: never */

static void step(void)
{
	if (++steps == die_at)
		_exit(9);
}

static int index_of(const char *const list[DISKS], const char *text)
{
	return STREQ(text, list[1]) ? 1 : 0;
}

/* ---- the lock manager ---- */

int virDomainLockImageAttach(virLockManagerPlugin *plugin G_GNUC_UNUSED, const char *uri G_GNUC_UNUSED,
                             virDomainObj *vm G_GNUC_UNUSED, virStorageSource *src)
{
	int i = index_of(paths, src->path);

	step();
	if (world->locks[i]) {
		virReportError(VIR_ERR_RESOURCE_BUSY, "%s is locked", src->path);
		return -1;
	}
	world->locks[i]++;
	step();
	return 0;
}

int virDomainLockImageDetach(virLockManagerPlugin *plugin G_GNUC_UNUSED, virDomainObj *vm G_GNUC_UNUSED,
                             virStorageSource *src)
{
	int i = index_of(paths, src->path);

	step();
	if (!world->locks[i]) {
		virReportError(VIR_ERR_INTERNAL_ERROR, "%s is not locked", src->path);
		return -1;
	}
	world->locks[i]--;
	step();
	return 0;
}

/* ---- files ---- */

int rename(const char *from, const char *to)
{
	int ret;

	step();
	ret = renameat(AT_FDCWD, from, AT_FDCWD, to);
	step();
	return ret;
}

int unlink(const char *path)
{
	int ret;

	step();
	ret = unlinkat(AT_FDCWD, path, 0);
	step();
	return ret;
}

/* ---- xylemd ---- */

static void take_devices(GVariant *config)
{
	g_autoptr(GVariant) disks = g_variant_lookup_value(config, "disks", G_VARIANT_TYPE("aa{sv}"));
	g_autoptr(GVariant) nics = g_variant_lookup_value(config, "nics", G_VARIANT_TYPE("aa{sv}"));
	const char *opaque = "", *vdev;
	gsize i;

	for (i = 0; disks && i < g_variant_n_children(disks); i++) {
		g_autoptr(GVariant) disk = g_variant_get_child_value(disks, i);

		if (g_variant_lookup(disk, "vdev", "&s", &vdev))
			world->disk[index_of(targets, vdev)] = true;
	}
	world->nic = nics && g_variant_n_children(nics) > 0;
	g_variant_lookup(config, "opaque", "&s", &opaque);
	g_strlcpy(world->opaque, opaque, sizeof(world->opaque));
}

/* Between its steps it is being built, for whoever asks; nobody goes on with that. */
int monitor_create(struct monitor *m G_GNUC_UNUSED, GVariant *config, bool paused, unsigned int *domid,
                   GVariant **devices)
{
	*devices = NULL;
	g_variant_ref_sink(config);
	step();
	world->building = true;
	take_devices(config);
	step();
	world->building = false;
	world->exists = true;
	world->paused = paused;
	world->has_run = !paused;
	*domid = 1;
	g_variant_unref(config);
	step();
	return 0;
}

int monitor_restore(struct monitor *m, GVariant *config, bool paused, int stream G_GNUC_UNUSED,
                    unsigned int *domid, GVariant **devices)
{
	return monitor_create(m, config, paused, domid, devices);
}

int monitor_destroy(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
{
	step();
	if (!world->exists && !world->building) {
		virReportError(VIR_ERR_OPERATION_INVALID, "%s", "there is no guest");
		return -1;
	}
	world->exists = world->building = world->nic = world->disk[0] = world->disk[1] = false;
	step();
	return 0;
}

int monitor_pause(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, bool pause)
{
	step();
	world->paused = pause;
	world->has_run |= !pause;
	step();
	return 0;
}

static bool *device_of(GVariant *device)
{
	const char *vdev;

	return g_variant_lookup(device, "vdev", "&s", &vdev) ? &world->disk[index_of(targets, vdev)]
	                                                     : &world->nic;
}

static int change(GVariant *device, bool there)
{
	g_variant_ref_sink(device);
	step();
	*device_of(device) = there;
	g_variant_unref(device);
	step();
	return 0;
}

int monitor_attach(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, GVariant *device,
                   GVariant **made)
{
	g_variant_ref_sink(device);
	*made = g_variant_ref(device);
	change(g_variant_ref(device), true);
	g_variant_unref(device);
	return 0;
}

int monitor_detach(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, GVariant *device)
{
	return change(device, false);
}

int monitor_set_opaque(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, const char *text)
{
	step();
	g_strlcpy(world->opaque, text, sizeof(world->opaque));
	step();
	return 0;
}

bool monitor_connected(struct monitor *m G_GNUC_UNUSED)
{
	return true;
}

static void describe(GVariantBuilder *devices, const char *key, const char *value)
{
	g_variant_builder_open(devices, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(devices, "{sv}", key, g_variant_new_string(value));
	g_variant_builder_close(devices);
}

GVariant *monitor_get(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, bool *known)
{
	GVariantBuilder devices;
	GVariantDict domain, config;
	int i;

	if (known)
		*known = !world->silent;
	if (world->silent || (!world->exists && !world->building))
		return NULL;
	g_variant_builder_init(&devices, G_VARIANT_TYPE("aa{sv}"));
	for (i = 0; i < DISKS; i++) {
		if (world->disk[i])
			describe(&devices, "vdev", targets[i]);
	}
	if (world->nic)
		describe(&devices, "mac", "00:16:3e:00:00:01");
	g_variant_dict_init(&config, NULL);
	g_variant_dict_insert(&config, "opaque", "s", world->opaque);
	g_variant_dict_init(&domain, NULL);
	g_variant_dict_insert(&domain, "owner", "s", "xylemd");
	g_variant_dict_insert(&domain, "state", "s",
	                      world->building ? "building"
	                      : world->paused ? "paused"
	                                      : "running");
	g_variant_dict_insert_value(&domain, "config", g_variant_dict_end(&config));
	g_variant_dict_insert_value(&domain, "devices", g_variant_builder_end(&devices));
	return g_variant_ref_sink(g_variant_dict_end(&domain));
}

/* ---- the hypervisor ---- */

static bool one_is_there(void)
{
	return world->exists || world->building;
}

static bool one_is_paused(void)
{
	return world->paused || world->building;
}

/* ---- libvirtd ---- */

static void must(bool good, const char *what)
{
	if (good)
		return;
	printf("# %s: %s\n", what, virGetLastErrorMessage());
	fflush(stdout);
	_exit(2);
}

static int count_active(virDomainObj *vm, void *opaque G_GNUC_UNUSED)
{
	if (virDomainObjIsActive(vm))
		domain_count_active(1);
	vm->hasManagedSave = domain_look_for_save(domain_save_file(vm));
	return 0;
}

/* As driver.c begins, on the files of the one before. */
static void begin_libvirtd(const char *dir)
{
	static char manager;

	must(played_setup(dir), "libvirt");
	xylem->lock_manager = (virLockManagerPlugin *)&manager;
	must(virDomainObjListLoadAllConfigs(xylem->domains, xylem->state_dir, xylem->autostart_dir, true,
	                                    xylem->xmlopt, NULL, NULL) == 0 &&
	             virDomainObjListLoadAllConfigs(xylem->domains, xylem->config_dir, xylem->autostart_dir,
	                                            false, xylem->xmlopt, NULL, NULL) == 0,
	     "the files of the one before");
	virDomainObjListForEach(xylem->domains, false, count_active, NULL);
	must(events_start() == 0, "the event thread");
}

/* Until all that its start has left for threads is done: a job of ours comes behind them. */
static void wait_for_helpers(void)
{
	g_autofree char *mark = g_strdup_printf("%s/one.halfway", xylem->state_dir);
	virDomainObj *vm;
	int i;

	for (i = 0; i < 5000 && virFileExists(mark); i++)
		g_usleep(1000);
	must(!virFileExists(mark), "what was halfway is dealt with");
	vm = virDomainObjListFindByName(xylem->domains, "one");
	if (vm && virDomainObjBeginJob(vm, VIR_JOB_MODIFY) == 0)
		domain_end_job(vm);
	virDomainObjEndAPI(&vm);
}

static virDomainPtr dom;
static bool with_save; /* with which it begins */

static int do_start(void)
{
	return lifecycle_create(dom);
}

static int do_attach_disk(void)
{
	g_autofree char *xml = g_strdup_printf(DISK, paths[1], targets[1]);

	return devices_attach(dom, xml);
}

static int do_detach_disk(void)
{
	g_autofree char *xml = g_strdup_printf(DISK, paths[0], targets[0]);

	return devices_detach(dom, xml);
}

static int do_attach_net(void)
{
	return devices_attach(dom, NET);
}

static int do_detach_net(void)
{
	return devices_detach(dom, NET);
}

static void find_dom(void)
{
	dom = define_lookup_name(conn, "one");
	must(dom != NULL, "the guest is defined");
}

/* A guest that is off, or runs; with a managed save or without. */
static void prepare(const char *xml, bool running)
{
	int fd;

	dom = define_xml(conn, xml);
	must(dom != NULL, "define");
	if (with_save) {
		g_autofree char *path = g_build_filename(xylem->save_dir, "one.save", NULL);

		must(g_mkdir_with_parents(xylem->save_dir, 0700) == 0, "the folder");
		fd = savefile_create(path, xml, false);
		must(fd >= 0 && savefile_complete(path, fd, false) == 0, "a managed save");
		VIR_FORCE_CLOSE(fd);
	}
	must(!running || lifecycle_create(dom) == 0, "start");
}

/* What is wrong, or NULL. */
static const char *disagrees(void)
{
	virDomainObj *vm = domain_get(dom);
	bool active = virDomainObjIsActive(vm), saved = vm->hasManagedSave;
	const char *why = NULL;
	int i;

	if (world->building)
		why = "something is half built";
	else if (active != world->exists)
		why = active ? "a guest that is not there is active" : "a guest that is there is off";
	for (i = 0; i < DISKS && !why; i++) {
		if (active && (virDomainDiskByTarget(vm->def, targets[i]) != NULL) != world->disk[i])
			why = "the definition has other disks than the guest";
		else if (world->locks[i] != (active && world->disk[i]))
			why = "a lock is held for nothing, or not held";
	}
	if (!why && active && (vm->def->nnets > 0) != world->nic)
		why = "the definition has other interfaces than the guest";
	if (!why && with_save && active && saved && world->has_run)
		why = "a guest has run, and its managed save is there";
	if (!why && with_save && !active && !saved)
		why = "neither guest nor managed save is there";
	virDomainObjEndAPI(&vm);
	return why;
}

/* In a process of its own: 0, 9 when it was killed, 1 when the end of it is not right, 2 when it could not be tried. */
static int in_child(const char *dir, int at, int (*call)(void), const char *first_xml, bool running)
{
	const char *why = NULL;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		begin_libvirtd(dir);
		if (first_xml) {
			prepare(first_xml, running);
		} else {
			wait_for_helpers();
			find_dom();
		}
		steps = 0;
		die_at = at;
		if (call)
			must(call() == 0, "the call");
		die_at = 0;
		if (!first_xml)
			why = disagrees();
		/* And it can be used: it ends, or starts, with its locks. */
		if (!why && !first_xml && define_is_active(dom) == 1 && lifecycle_destroy(dom) < 0)
			why = "it cannot be destroyed";
		if (!why && !first_xml && (world->locks[0] || world->locks[1]))
			why = "a lock stays when it has ended";
		if (!why && !first_xml && lifecycle_create(dom) < 0)
			why = virGetLastErrorMessage();
		if (why)
			printf("# %s\n", why);
		fflush(stdout);
		_exit(why ? 1 : 0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 2;
	return WEXITSTATUS(status);
}

static const struct {
	const char *name;
	int (*call)(void);
	bool running, disk, net, save;
} calls[] = {
	{ "a start", do_start, false, true, true, false },
	{ "a start from a managed save", do_start, false, true, false, true },
	{ "an attach of a disk", do_attach_disk, true, true, false, false },
	{ "a detach of a disk", do_detach_disk, true, true, false, false },
	{ "an attach of an interface", do_attach_net, true, true, false, false },
	{ "a detach of an interface", do_detach_net, true, true, true, false },
};

static void test_call(size_t c)
{
	g_autofree char *disk = g_strdup_printf(DISK, paths[0], targets[0]);
	g_autofree char *devices = g_strconcat(disk, calls[c].net ? NET : "", NULL);
	g_autofree char *xml = g_strdup_printf(XML, devices);
	int at, first = 9, wrong = 0, kills = 0;

	with_save = calls[c].save;
	for (at = 1; first == 9 && at < STEPS_MAX; at++) {
		g_autofree char *dir = g_dir_make_tmp("xylem-kill-XXXXXX", NULL);
		g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);

		memset(world, 0, sizeof(*world));
		first = in_child(dir, at, calls[c].call, xml, calls[c].running);
		kills += first == 9;
		if (in_child(dir, 0, NULL, NULL, false) != 0) {
			printf("# killed at step %d\n", at);
			wrong++;
		}
		if (system(remove))
			abort();
	}
	printf("# %d steps\n", kills);
	tap_ok(first == 0 && kills > 3 && !wrong,
	       "libvirtd is killed at each step of %s: all agrees afterwards", calls[c].name);
}

static int lose_state(void)
{
	g_autofree char *file = g_strdup_printf("%s/one.xml", xylem->state_dir);

	return unlink(file);
}

static bool is_foreign(void)
{
	virDomainObj *vm = domain_get(dom);
	const struct domain_private *priv = vm->privateData;
	bool is = priv->foreign;

	virDomainObjEndAPI(&vm);
	return is;
}

static int hear_xylemd(void)
{
	must(is_foreign() && define_is_active(dom) == 1, "it is shown meanwhile");
	played_reconcile();
	must(is_foreign(), "and is nobody's yet");
	world->silent = false;
	played_reconcile();
	return is_foreign() ? -1 : 0;
}

/* A libvirtd that has lost its files begins while xylemd hangs: the guest is not taken for another toolstack's forever. */
static void test_silent(void)
{
	g_autofree char *disk = g_strdup_printf(DISK, paths[0], targets[0]);
	g_autofree char *xml = g_strdup_printf(XML, disk);
	g_autofree char *dir = g_dir_make_tmp("xylem-kill-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);
	bool begun;

	with_save = false;
	memset(world, 0, sizeof(*world));
	begun = in_child(dir, 0, lose_state, xml, true) == 0;
	world->silent = true;
	tap_ok(begun && in_child(dir, 0, hear_xylemd, NULL, false) == 0,
	       "a guest that runs is xylemd's as soon as xylemd tells, with its disks and their locks");
	if (system(remove))
		abort();
}

static int attach_and_lose_state(void)
{
	must(do_attach_disk() == 0 && do_attach_net() == 0, "the devices come");
	return lose_state();
}

static int detach_and_lose_state(void)
{
	must(do_attach_disk() == 0 && do_attach_net() == 0 && do_detach_disk() == 0,
	     "the devices come and go");
	return lose_state();
}

/* Those that came while it ran, and not one that went. */
static void find_changes(void)
{
	g_autofree char *xml = define_get_xml(dom, 0);
	int i;

	must(!is_foreign() && xml, "it is xylemd's, and shown");
	for (i = 0; i < DISKS; i++)
		must((strstr(xml, targets[i]) && strstr(xml, paths[i])) == world->disk[i], targets[i]);
	must(world->disk[1] && world->nic && strstr(xml, "<mac address='00:16:3e:00:00:01'/>") &&
	             strstr(xml, "<source bridge='br0'/>"),
	     "its interface");
}

static int find_and_detach_disk(void)
{
	g_autofree char *xml = g_strdup_printf(DISK, paths[1], targets[1]);

	find_changes();
	return devices_detach(dom, xml);
}

static int find_and_detach_net(void)
{
	find_changes();
	return do_detach_net();
}

/* What has changed of a guest while it ran stands in the lost file, and in no definition: xylemd keeps it. */
static void test_changed(int (*change_and_lose)(void), int (*find_and_detach)(void), const char *what)
{
	g_autofree char *disk = g_strdup_printf(DISK, paths[0], targets[0]);
	g_autofree char *xml = g_strdup_printf(XML, disk);
	g_autofree char *dir = g_dir_make_tmp("xylem-kill-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);

	with_save = false;
	memset(world, 0, sizeof(*world));
	tap_ok(in_child(dir, 0, change_and_lose, xml, true) == 0 &&
	               in_child(dir, 0, find_and_detach, NULL, false) == 0,
	       "a libvirtd that has lost its files has the devices that %s", what);
	if (system(remove))
		abort();
}

int main(void)
{
	size_t c;

	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (world == MAP_FAILED)
		return 1;
	for (c = 0; c < G_N_ELEMENTS(calls); c++)
		test_call(c);
	test_silent();
	test_changed(attach_and_lose_state, find_and_detach_disk,
	             "came while a guest ran: its disk is detached");
	test_changed(attach_and_lose_state, find_and_detach_net,
	             "came while a guest ran: its interface is detached");
	test_changed(detach_and_lose_state, find_and_detach_disk, "are left when one was detached");
	return tap_end();
}
