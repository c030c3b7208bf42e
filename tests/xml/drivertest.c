/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The driver's calls beside each other, in this process: libvirt's real objects, an xylemd and a hypervisor
 * that the test plays, and calls that wait when it wants them to. What calls change of a guest is changetest's.
 */
#include "xylem.h"
#include "convert.h"
#include "define.h"
#include "devices.h"
#include "host.h"
#include "job.h"
#include "lifecycle.h"
#include "locks.h"
#include "meta.h"
#include "stats.h"
#include "tune.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>

#include "../lib/tap.h"
#include "played_xylemd.h"
#include "locking/domain_lock.h"
#include "virerror.h"
#include "virlog.h"
#include "virthread.h"
#include "viruuid.h"

#define XML                                                                                \
	"<domain type='xen'><name>one</name><uuid>" PLAYED_UUID "</uuid><title>%s</title>" \
	"<memory unit='KiB'>65536</memory><vcpu>1</vcpu><os><type>linux</type><kernel>/k</kernel></os></domain>"

static void ok(bool good, const char *name)
{
	if (!tap_ok(good, "%s", name))
		printf("# last error: %s\n", virGetLastErrorMessage());
}

/* ---- libvirt's lock manager: the paths of what is locked, each with a line break ---- */

static bool manager_is_there;
static const char *busy_path; /* another host has it locked */
static bool manager_answers = true;
static GString *locked;

virLockManagerPlugin *virLockManagerPluginNew(const char *name, const char *driver G_GNUC_UNUSED,
                                              const char *dir G_GNUC_UNUSED, unsigned int flags G_GNUC_UNUSED)
{
	if (manager_is_there)
		return (virLockManagerPlugin *)&manager_is_there;
	virReportError(VIR_ERR_SYSTEM_ERROR, "no plugin %s", name);
	return NULL;
}

void virLockManagerPluginUnref(virLockManagerPlugin *plugin G_GNUC_UNUSED)
{
}

int virDomainLockImageAttach(virLockManagerPlugin *plugin G_GNUC_UNUSED, const char *uri G_GNUC_UNUSED,
                             virDomainObj *vm G_GNUC_UNUSED, virStorageSource *src)
{
	if (!manager_answers) {
		virReportError(VIR_ERR_SYSTEM_ERROR, "%s", "no socket");
		return -1;
	}
	if (STREQ_NULLABLE(src->path, busy_path)) {
		/* As virtlockd does with file_lockspace_dir: a digest of the path. */
		virReportError(VIR_ERR_RESOURCE_BUSY, "%s", "Lockspace resource 'c0ffee' is locked");
		return -1;
	}
	g_string_append_printf(locked, "%s\n", src->path);
	return 0;
}

int virDomainLockImageDetach(virLockManagerPlugin *plugin G_GNUC_UNUSED, virDomainObj *vm G_GNUC_UNUSED,
                             virStorageSource *src)
{
	g_autofree char *line = g_strdup_printf("%s\n", src->path);
	const char *at = strstr(locked->str, line);

	if (!at) {
		virReportError(VIR_ERR_RESOURCE_BUSY, "%s is not locked", src->path);
		return -1;
	}
	g_string_erase(locked, at - locked->str, (gssize)strlen(line));
	return 0;
}

/* ---- calls on threads ---- */

struct caller {
	virThread thread;
	virDomainPtr dom;
	const char *xml;
	int ret;
	int code; /* of its error */
};

static void note(struct caller *c, bool good)
{
	c->code = good ? 0 : virGetLastErrorCode();
	g_atomic_int_set(&c->ret, good ? 0 : -1);
}

static void call_start(void *data)
{
	struct caller *c = data;

	note(c, lifecycle_create(c->dom) == 0);
}

static void call_create_xml(void *data)
{
	struct caller *c = data;
	virDomainPtr dom = lifecycle_create_xml(conn, c->xml, 0);

	note(c, dom != NULL);
	virObjectUnref(dom);
}

static void call_set_memory(void *data)
{
	struct caller *c = data;

	note(c, tune_set_memory_flags(c->dom, 65536, VIR_DOMAIN_AFFECT_LIVE) == 0);
}

static void call_shutdown(void *data)
{
	struct caller *c = data;

	note(c, lifecycle_shutdown(c->dom) == 0);
}

static void begin(struct caller *c, void (*call)(void *))
{
	c->ret = 1;
	if (virThreadCreate(&c->thread, true, call, c) < 0)
		abort();
}

static void wait_inside(int calls)
{
	while (g_atomic_int_get(&xylemd.inside) < calls)
		g_usleep(1000);
}

static virDomainPtr define(const char *title)
{
	g_autofree char *xml = g_strdup_printf(XML, title);

	return define_xml(conn, xml);
}

/* ---- tests ---- */

/* "virsh start" and "virsh create" of the same domain at the same time. */
static void test_two_starts(virDomainPtr dom)
{
	g_autofree char *other = g_strdup_printf(XML, "transient");
	struct caller first = { .dom = dom }, second = { .xml = other };
	g_autofree char *live = NULL, *inactive = NULL;
	int id;

	g_atomic_int_set(&xylemd.creations, 0);
	g_mutex_lock(&xylemd.gate);
	begin(&first, call_start);
	wait_inside(1);
	begin(&second, call_create_xml);
	g_usleep(300000);
	g_mutex_unlock(&xylemd.gate);
	virThreadJoin(&first.thread);
	virThreadJoin(&second.thread);
	ok(first.ret == 0 && g_atomic_int_get(&xylemd.creations) == 1,
	   "a start, and a create meanwhile: one guest is built");
	ok(second.ret == -1 && second.code == VIR_ERR_OPERATION_INVALID,
	   "the second call is told that it runs");
	ok(define_is_active(dom) == 1 && define_list_ids(conn, &id, 1) == 1 && id == PLAYED_DOMID,
	   "it is active, with its number");
	live = define_get_xml(dom, 0);
	inactive = define_get_xml(dom, VIR_DOMAIN_XML_INACTIVE);
	ok(live && strstr(live, "<title>defined</title>") && inactive &&
	           strstr(inactive, "<title>defined</title>"),
	   "with the definition with which it was started, which stays what is defined");
}

#define NO_KERNEL \
	"<domain type='xen'><name>later</name><memory>65536</memory><vcpu>1</vcpu><os><type>linux</type></os>"

/* What virt-install leaves behind, and what has a disk to boot from. */
static void test_no_kernel(void)
{
	virDomainPtr dom = define_xml(conn, NO_KERNEL "</domain>");
	int before = g_atomic_int_get(&xylemd.creations);
	g_autofree char *live = NULL;

	ok(dom != NULL, "a definition that cannot start yet is accepted");
	if (!dom)
		return;
	ok(lifecycle_create(dom) < 0 && virGetLastErrorCode() == VIR_ERR_CONFIG_UNSUPPORTED &&
	           strstr(virGetLastErrorMessage(), "<os> without <kernel>, and no <disk>") &&
	           g_atomic_int_get(&xylemd.creations) == before && !define_is_active(dom),
	   "and says at start what it lacks");
	ok(define_undefine(dom) == 0, "it can be undefined");
	virObjectUnref(dom);
	dom = define_xml(conn, NO_KERNEL "<bootloader>/usr/bin/pygrub</bootloader><devices><disk type='file'>"
	                                 "<source file='/d'/><target dev='xvda'/></disk></devices></domain>");
	ok(dom && lifecycle_create(dom) < 0 && strstr(virGetLastErrorMessage(), xylem->pvgrub) &&
	           g_atomic_int_get(&xylemd.creations) == before,
	   "with a disk, where PV GRUB is not installed: which file is missing");
	if (!dom || !g_file_set_contents(xylem->pvgrub, "x", 1, NULL))
		return;
	ok(lifecycle_create(dom) == 0 && g_atomic_int_get(&xylemd.creations) == before + 1,
	   "where it is, it is the guest's kernel");
	live = define_get_xml(dom, 0);
	ok(live && strstr(live, xylem->pvgrub), "which its live definition tells");
	ok(lifecycle_destroy(dom) == 0 && define_undefine(dom) == 0, "it can be undefined");
	virObjectUnref(dom);
}

/* A managed save of the stock driver is not ignored: a start would change the disks under it. */
static void test_managed_save(virDomainPtr dom)
{
	g_autofree char *file = g_strdup_printf("%s/one.save", xylem->save_dir);
	int before = g_atomic_int_get(&xylemd.creations);

	ok(define_has_save(dom, 0) == 0, "hasManagedSaveImage says no");
	if (g_mkdir(xylem->save_dir, 0700) < 0 || !g_file_set_contents(file, "x", 1, NULL))
		abort();
	ok(lifecycle_create(dom) < 0 && strstr(virGetLastErrorMessage(), file) &&
	           strstr(virGetLastErrorMessage(), "--force-boot") &&
	           g_atomic_int_get(&xylemd.creations) == before,
	   "such a guest is not started, and the error names the file and what to do");
	ok(define_has_save(dom, 0) == 1, "and yes where a start has found one of libvirt's own driver");
	ok(define_undefine(dom) < 0 && g_file_test(file, G_FILE_TEST_EXISTS), "nor is it undefined");
	ok(lifecycle_create_flags(dom, VIR_DOMAIN_START_FORCE_BOOT) == 0 &&
	           !g_file_test(file, G_FILE_TEST_EXISTS),
	   "force boot throws it away");
	ok(lifecycle_destroy(dom) == 0, "the guest ran");
	ok(g_file_set_contents(file, "x", 1, NULL) && define_remove_save(dom, 0) == 0 &&
	           define_has_save(dom, 0) == 0,
	   "managedsave-remove removes it");
}

/* Settings of the stock driver that have no effect are counted, and so logged, each. */
static unsigned int write_conf(const char *text)
{
	g_autofree char *file = g_build_filename(xylem->config_dir, "libxl.conf", NULL);

	locks_close();
	if (!g_file_set_contents(file, text, -1, NULL))
		abort();
	return locks_read_conf(file);
}

static void test_conf(void)
{
	g_autofree char *file = g_build_filename(xylem->config_dir, "libxl.conf", NULL);

	ok(locks_read_conf(file) == 0, "no libxl.conf: nothing to say");
	ok(write_conf("# autoballoon = 1\nautoballoon = 0\nnested_hvm = 0\n") == 0,
	   "settings that say what is so are not named");
	ok(write_conf("autoballoon = 1\nnested_hvm = 1\nkeepalive_interval = 5\nkeepalive_count = 5\n"
	              "another = 1\n") == 5,
	   "each other setting of libxl.conf is named in the log");
}

#define BLOCK(path, target) \
	"<disk type='block'><source dev='" path "'/><target dev='" target "' bus='xen'/></disk>"

/* lock_manager of libxl.conf: what a guest has is locked while it is active, and none starts unguarded. */
/* A QEMU holds a lock on its number as long as it lives. */
static void test_image_lock(void)
{
	virDomainDiskDef *image = virDomainDiskDefNew(xylem->xmlopt);
	virDomainDef def = { .disks = &image, .ndisks = 1 };
	g_autofree char *folder = NULL;
	g_autofree char *path = NULL;
	char uuid[VIR_UUID_STRING_BUFLEN];
	int fd;

	def.uuid[0] = 1;
	virUUIDFormat(def.uuid, uuid);
	locks_qemus_dir = xylem->config_dir;
	folder = g_build_filename(locks_qemus_dir, uuid, NULL);
	path = g_build_filename(folder, "pid", NULL);
	virDomainDiskSetFormat(image, VIR_STORAGE_FILE_QCOW2);
	ok(!locks_image_served(&def) && g_mkdir(folder, 0700) == 0, "no QEMU serves an image");
	fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	ok(fd >= 0 && !locks_image_served(&def), "nor does one that has ended");
	ok(flock(fd, LOCK_EX) == 0 && locks_image_served(&def), "one that lives does");
	virDomainDiskSetFormat(image, VIR_STORAGE_FILE_RAW);
	ok(!locks_image_served(&def), "and no raw disk");
	if (close(fd) < 0 || g_unlink(path) < 0 || g_rmdir(folder) < 0)
		abort();
	virDomainDiskDefFree(image);
}

static void test_locks(void)
{
	const char *xml =
	        "<domain type='xen'><name>guarded</name><memory>65536</memory><vcpu>1</vcpu><os><type>linux"
	        "</type><kernel>/k</kernel></os><devices>" BLOCK("/dev/a", "xvda")
	                BLOCK("/dev/b", "xvdb") "</devices></domain>";
	virDomainPtr dom = define_xml(conn, xml);

	if (!dom)
		abort();
	locked = g_string_new(NULL);
	write_conf("lock_manager = \"lockd\"\n");
	ok(lifecycle_create(dom) < 0 && strstr(virGetLastErrorMessage(), "no plugin lockd"),
	   "a lock manager that is not there: the guest is not started");
	write_conf("lock_manager = 1\n");
	ok(lifecycle_create(dom) < 0 && strstr(virGetLastErrorMessage(), "lock_manager"),
	   "nor where the file says no name");
	write_conf("lock_manager = \n");
	ok(lifecycle_create(dom) < 0 && strstr(virGetLastErrorMessage(), "libxl.conf"),
	   "nor where it cannot be read");
	manager_is_there = true;
	ok(write_conf("lock_manager = \"lockd\"\n") == 0, "lock_manager has an effect");
	busy_path = "/dev/b";
	ok(lifecycle_create(dom) < 0 && virGetLastErrorCode() == VIR_ERR_RESOURCE_BUSY && !locked->len,
	   "another host has one of the disks: it is not started, and the other disk is let go");
	ok(strstr(virGetLastErrorMessage(), "guarded: its disk /dev/b is in use") &&
	           strstr(virGetLastErrorMessage(), "c0ffee"),
	   "the error names guest and disk, and what the lock manager says");
	busy_path = NULL;
	manager_answers = false;
	ok(lifecycle_create(dom) < 0 && virGetLastErrorCode() == VIR_ERR_SYSTEM_ERROR &&
	           strstr(virGetLastErrorMessage(), "guarded: its disk /dev/a cannot be locked") &&
	           strstr(virGetLastErrorMessage(), "no socket"),
	   "so it does where the lock manager does not answer");
	manager_answers = true;
	ok(lifecycle_create(dom) == 0 && STREQ(locked->str, "/dev/a\n/dev/b\n"),
	   "the disks of a guest are locked");
	ok(devices_attach(dom, BLOCK("/dev/c", "xvdc")) == 0 &&
	           STREQ(locked->str, "/dev/a\n/dev/b\n/dev/c\n"),
	   "also one that is attached");
	busy_path = "/dev/d";
	ok(devices_attach(dom, BLOCK("/dev/d", "xvdd")) < 0 && virGetLastErrorCode() == VIR_ERR_RESOURCE_BUSY,
	   "one that another host has is not attached");
	busy_path = NULL;
	ok(devices_detach(dom, BLOCK("/dev/a", "xvda")) == 0 && STREQ(locked->str, "/dev/b\n/dev/c\n"),
	   "one that is detached is let go");
	ok(lifecycle_destroy(dom) == 0 && !locked->len, "and all when the guest ends");
	locks_backends_dir = g_build_filename(xylem->config_dir, "vbd-7-51712", NULL);
	ok(!locks_needed(7) && g_mkdir(locks_backends_dir, 0700) == 0, "the kernel serves no disk");
	locks_backends_dir = xylem->config_dir;
	ok(locks_needed(7) && !locks_needed(71) && !locks_needed(5),
	   "one of the domain with this number, and of no other");
	test_image_lock();
	write_conf("");
	ok(lifecycle_create(dom) == 0 && !locked->len && lifecycle_destroy(dom) == 0,
	   "without the setting nothing is locked");
	if (define_undefine(dom) < 0)
		abort();
	virObjectUnref(dom);
	g_string_free(locked, TRUE);
}

/* What clients get fits libvirt's schemas. */
static void test_schemas(virDomainPtr dom)
{
	static const char *const forms[][3] = { { NULL, NULL, NULL },
		                                { NULL, "x86_64", NULL },
		                                { NULL, NULL, "xenpv" },
		                                { XYLEM_XYLEMD, "x86_64", "xenpv" } };
	g_autofree char *xml = NULL, *domain = define_get_xml(dom, VIR_DOMAIN_XML_UPDATE_CPU);
	unsigned int good = 0, i;

	for (i = 0; i < G_N_ELEMENTS(forms); i++) {
		g_free(xml);
		xml = host_domain_capabilities(conn, forms[i][0], forms[i][1], forms[i][2], NULL, 0);
		good += played_valid("domaincaps.rng", xml);
	}
	ok(good == G_N_ELEMENTS(forms), "domain capabilities are valid by libvirt's schema");
	ok(xml && strstr(xml, "<mode name='host-passthrough' supported='yes'"),
	   "host-passthrough is reported");
	ok(played_valid("domain.rng", domain), "so is a domain, asked for with --update-cpu");
}

/* A sparse file: what it may hold, what it takes of its file system, and how long it is (libvirt-domain.h). */
static void test_block_info(void)
{
	g_autofree char *image = g_build_filename(xylem->config_dir, "sparse.img", NULL);
	g_autofree char *xml = g_strdup_printf(
	        "<domain type='xen'><name>sparse</name><memory>65536</memory><vcpu>1</vcpu>"
	        "<os><type>linux</type><kernel>/k</kernel></os><devices><disk type='file' device='disk'>"
	        "<source file='%s'/><target dev='xvda' bus='xen'/></disk></devices></domain>",
	        image);
	virDomainBlockInfo info = { 0 };
	virDomainPtr dom = define_xml(conn, xml);

	if (!dom || !g_file_set_contents(image, "x", 1, NULL) || truncate(image, 64 << 20))
		abort();
	ok(stats_block_info(dom, "xvda", &info, 0) == 0 && info.capacity == 64 << 20 &&
	           info.physical == 64 << 20 && info.allocation && info.allocation < 1 << 20,
	   "a sparse file's capacity, physical size and allocation");
	ok(define_undefine(dom) == 0, "its guest is undefined");
	unlink(image);
	virObjectUnref(dom);
}

/* Several ways to ask a guest may be named; one of them must be one that it has. */
static void test_shutdown_modes(virDomainPtr dom)
{
	static const unsigned int bad[] = { VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN,
		                            VIR_DOMAIN_SHUTDOWN_GUEST_AGENT, VIR_DOMAIN_SHUTDOWN_INITCTL,
		                            VIR_DOMAIN_SHUTDOWN_SIGNAL };
	static const unsigned int good[] = { 0, VIR_DOMAIN_SHUTDOWN_PARAVIRT,
		                             VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN |
		                                     VIR_DOMAIN_SHUTDOWN_PARAVIRT };
	static const struct {
		int (*call)(virDomainPtr dom, unsigned int flags);
		const char *asked;
	} calls[] = { { lifecycle_shutdown_flags, "poweroff" }, { lifecycle_reboot, "reboot" } };

	for (size_t n = 0; n < G_N_ELEMENTS(calls); n++) {
		unsigned int asked = 0, refused = 0, i;

		for (i = 0; i < G_N_ELEMENTS(good); i++) {
			xylemd.asked[0] = '\0';
			asked += calls[n].call(dom, good[i]) == 0 && STREQ(xylemd.asked, calls[n].asked);
		}
		xylemd.asked[0] = '\0';
		for (i = 0; i < G_N_ELEMENTS(bad); i++)
			refused += calls[n].call(dom, bad[i]) < 0 &&
			           virGetLastErrorCode() == VIR_ERR_ARGUMENT_UNSUPPORTED &&
			           strstr(virGetLastErrorMessage(), "paravirt");
		tap_ok(asked == G_N_ELEMENTS(good), "%s: no mode, paravirt, and acpi,paravirt ask the guest",
		       calls[n].asked);
		tap_ok(refused == G_N_ELEMENTS(bad) && calls[n].call(dom, 1u << 5) < 0 &&
		               virGetLastErrorCode() == VIR_ERR_INVALID_ARG && !xylemd.asked[0],
		       "%s: modes that it does not have are refused, and the one that it has is named",
		       calls[n].asked);
	}
	ok(lifecycle_shutdown(dom) == 0 && STREQ(xylemd.asked, "poweroff"),
	   "shutdown without flags is the same");
}

/* Who is at work on a guest, and what it has used. */
static void test_jobs(virDomainPtr dom)
{
	struct caller caller = { .dom = dom };
	virTypedParameterPtr list = NULL;
	virDomainControlInfo control;
	virTypedParameter cpu[1];
	virDomainJobInfo job;
	int type, count = -1;

	ok(meta_control_info(dom, &control, 0) == 0 && control.state == VIR_DOMAIN_CONTROL_OK &&
	           job_info(dom, &job) == 0 && job.type == VIR_DOMAIN_JOB_NONE,
	   "nobody is at work on it");
	ok(job_stats(dom, &type, &list, &count, 0) == 0 && type == VIR_DOMAIN_JOB_NONE && count == 0,
	   "so there are no statistics of a job");
	g_mutex_lock(&xylemd.gate);
	begin(&caller, call_set_memory);
	wait_inside(1);
	ok(meta_control_info(dom, &control, 0) == 0 && control.state == VIR_DOMAIN_CONTROL_OCCUPIED &&
	           job_info(dom, &job) == 0 && job.type == VIR_DOMAIN_JOB_UNBOUNDED &&
	           job_stats(dom, &type, &list, &count, 0) == 0 && count == 1,
	   "while a call waits for xylemd, it is occupied");
	g_mutex_unlock(&xylemd.gate);
	virThreadJoin(&caller.thread);
	virTypedParamsFree(list, count);
	ok(stats_cpu(dom, NULL, 0, -1, 1, 0) == 1 && stats_cpu(dom, cpu, 1, -1, 1, 0) == 1 &&
	           STREQ(cpu[0].field, VIR_DOMAIN_CPU_STATS_CPUTIME),
	   "CPU time in all");
}

/* What libvirt notes of a guest is told, and no kind of message that there is not. */
static void test_messages(virDomainPtr dom)
{
	char **messages = NULL;
	int before = meta_messages(dom, &messages, 0);
	virDomainObj *vm;

	g_strfreev(messages);
	messages = NULL;
	vm = virDomainObjListFindByName(xylem->domains, virDomainGetName(dom));
	virDomainObjTaint(vm, VIR_DOMAIN_TAINT_HOOK);
	virDomainObjEndAPI(&vm);
	ok(before == 0 && meta_messages(dom, &messages, VIR_DOMAIN_MESSAGE_TAINTING) == 1 &&
	           strstr(messages[0], "hook"),
	   "messages: what libvirt notes of a guest");
	g_strfreev(messages);
	ok(meta_messages(dom, &messages, 0x80000000u) < 0, "and no others");
}

/* An image that nobody serves has an error, and no other disk. */
static void test_disk_errors(virDomainPtr dom)
{
	virDomainDiskError errors[4] = { 0 };

	ok(stats_block_errors(dom, errors, G_N_ELEMENTS(errors), 0) < 0,
	   "errors of disks: where xylemd does not tell, that is one");
	xylemd.answers = xylemd.has_guest = true;
	xylemd.guest = "{'devices': <[{'class': <'disk'>, 'vdev': <'xvda'>, 'device': <''>},"
	               "{'class': <'disk'>, 'vdev': <'xvdb'>, 'device': <'/b'>, 'format': <'qcow2'>},"
	               "{'class': <'disk'>, 'vdev': <'xvdc'>, 'device': <''>, 'format': <'qcow2'>},"
	               "{'class': <'disk'>, 'vdev': <'xvdd'>, 'device': <''>, 'format': <'qcow2'>}]>}";
	ok(stats_block_errors(dom, NULL, 0, 0) == 0, "as many as the guest has disks are asked for");
	ok(stats_block_errors(dom, errors, 1, 0) == 1 && STREQ(errors[0].disk, "xvdc") &&
	           errors[0].error == VIR_DOMAIN_DISK_ERROR_UNSPEC && !errors[1].disk,
	   "an image that nobody serves, and no more of them than asked for");
	g_free(errors[0].disk);
	xylemd.guest = NULL;
	ok(stats_block_errors(dom, errors, G_N_ELEMENTS(errors), 0) == 0, "else none");
	xylemd.answers = xylemd.has_guest = false;
}

#define NIC "<interface type='bridge'><mac address='00:16:3e:00:00:01'/><source bridge='br0'/></interface>"

/* Two running guests with one MAC address: the log names both. */
static void test_same_mac(void)
{
	static const char *const names[] = { "first", "second" };
	g_autofree char *file = g_build_filename(xylem->config_dir, "log", NULL), *text = NULL;
	g_autofree char *outputs = g_strdup_printf("3:file:%s", file);
	unsigned int started = 0, i;

	if (virLogSetOutputs(outputs) < 0)
		abort();
	for (i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *xml = g_strdup_printf(
		        "<domain type='xen'><name>%s</name><memory>65536</memory><vcpu>1</vcpu><os>"
		        "<type>linux</type><kernel>/k</kernel></os><devices>" NIC "</devices></domain>",
		        names[i]);
		virDomainPtr dom = lifecycle_create_xml(conn, xml, 0);

		started += dom != NULL;
		virObjectUnref(dom);
	}
	ok(started == 2 && g_file_get_contents(file, &text, NULL, NULL) &&
	           strstr(text, "second: its interface 00:16:3e:00:00:01 has the address of one of first"),
	   "a MAC address that two running guests have is logged");
	for (i = 0; i < G_N_ELEMENTS(names); i++) {
		virDomainPtr dom = define_lookup_name(conn, names[i]);

		if (!dom || lifecycle_destroy(dom) < 0)
			abort();
		virObjectUnref(dom);
	}
	ignore_value(virLogSetOutputs("3:stderr"));
}

static void test_memory_stats(virDomainPtr dom)
{
	virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
	int count = stats_memory(dom, stats, VIR_DOMAIN_MEMORY_STAT_NR, 0);

	ok(count == 2 && stats[0].tag == VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON &&
	           stats[1].tag == VIR_DOMAIN_MEMORY_STAT_AVAILABLE && stats[1].val == 65536,
	   "memory statistics have actual and available");
}

/* xylemd hangs: those who would ask it something in passing do not take all of libvirtd's workers. */
static void test_hung_daemon(virDomainPtr dom)
{
	struct caller callers[10];
	gint64 until = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
	int refused = 0, most = 0;
	size_t i;

	g_mutex_lock(&xylemd.gate);
	for (i = 0; i < G_N_ELEMENTS(callers); i++) {
		callers[i] = (struct caller){ .dom = dom };
		begin(&callers[i], call_shutdown);
	}
	while (refused < (int)G_N_ELEMENTS(callers) - 1 && g_get_monotonic_time() < until) {
		g_usleep(1000);
		most = MAX(most, g_atomic_int_get(&xylemd.inside));
		for (refused = 0, i = 0; i < G_N_ELEMENTS(callers); i++)
			refused += g_atomic_int_get(&callers[i].ret) == -1;
	}
	g_mutex_unlock(&xylemd.gate);
	for (i = 0; i < G_N_ELEMENTS(callers); i++)
		virThreadJoin(&callers[i].thread);
	ok(most == 1 && refused == 9,
	   "of ten calls to an xylemd that hangs one waits, the others are told so");
	begin(&callers[0], call_shutdown);
	virThreadJoin(&callers[0].thread);
	ok(callers[0].ret == 0, "and when it answers again, all is well");
}

/* A guest hangs: of the calls for it one waits for its answer and one behind that, the places of other guests are free. */
static void test_hung_guest(virDomainPtr dom)
{
	struct caller callers[6];
	gint64 until = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
	unsigned int guest, job;
	int refused = 0;
	size_t i;

	g_mutex_lock(&xylemd.gate);
	for (i = 0; i < G_N_ELEMENTS(callers); i++) {
		callers[i] = (struct caller){ .dom = dom };
		begin(&callers[i], call_set_memory);
	}
	while (refused < (int)G_N_ELEMENTS(callers) - 2 && g_get_monotonic_time() < until) {
		g_usleep(1000);
		for (refused = 0, i = 0; i < G_N_ELEMENTS(callers); i++)
			refused += g_atomic_int_get(&callers[i].ret) == -1;
	}
	virMutexLock(&xylem->lock);
	guest = xylem->slots[SLOT_GUEST].taken;
	job = xylem->slots[SLOT_JOB].taken;
	virMutexUnlock(&xylem->lock);
	g_mutex_unlock(&xylemd.gate);
	for (i = 0; i < G_N_ELEMENTS(callers); i++)
		virThreadJoin(&callers[i].thread);
	ok(guest == 1 && job == 1 && refused == 4,
	   "of six calls for a guest that hangs one waits for it, one behind that, the others are told so");
}

/* Destroy kills, whatever has become of xylemd. */
static void test_destroy(virDomainPtr dom)
{
	xylemd.kills = 0;
	xylemd.dying = true;
	xylemd.destroy_code = VIR_ERR_OPERATION_TIMEOUT;
	ok(lifecycle_destroy(dom) < 0 && !xylemd.kills && define_is_active(dom) == 1,
	   "a guest that something holds: destroy says so");
	xylemd.dying = false;
	xylemd.answers = xylemd.has_guest = true;
	ok(lifecycle_destroy(dom) < 0 && !xylemd.kills && virGetLastErrorCode() == VIR_ERR_OPERATION_TIMEOUT,
	   "xylemd works at it: destroy says what xylemd says");
	xylemd.answers = false;
	ok(lifecycle_destroy(dom) == 0 && xylemd.kills == 1 && define_is_active(dom) == 0,
	   "destroy kills a guest also when xylemd hangs");
}

#define SMALL "name = \"small\"\nmemory = 64\nkernel = \"/k\"\n"

static bool from_fails(const char *format, const char *text, unsigned int flags, int code, const char *words)
{
	g_autofree char *xml = convert_from_native(conn, format, text, flags);

	return !xml && virGetLastErrorCode() == code && strstr(virGetLastErrorMessage(), words);
}

/* virsh domxml-from-native and domxml-to-native; tests/xl has the files. */
static void test_native(void)
{
	g_autofree char *xml = convert_from_native(conn, "xen-xl", SMALL "boot = \"c\"\n", 0);
	g_autofree char *all = convert_from_native(conn, "xen-xl", SMALL "cpus = \"all,^0\"\n", 0);
	g_autofree char *old = convert_from_native(conn, "xen-xm", SMALL "restart = \"always\"\n", 0);
	g_autofree char *text = xml ? convert_to_native(conn, "xen-xl", xml, 0) : NULL;
	g_autofree char *xm = xml ? convert_to_native(conn, "xen-xm", xml, 0) : NULL;
	g_autofree char *none = NULL;

	ok(xml && g_str_has_prefix(xml, "<!-- boot: concerns HVM guests only -->\n<domain type='xen'>") &&
	           strstr(xml, "<kernel>/k</kernel>"),
	   "a file of xl becomes XML, with a comment on what has no meaning");
	ok(all && strstr(all, "cpuset='1'"), "\"all\" are the CPUs of the host");
	ok(old && strstr(old, "<on_poweroff>restart</on_poweroff>"), "so does a file of xm");
	ok(text && g_str_has_prefix(text, "name = \"small\"\n") && strstr(text, "\ntype = \"pv\"\n"),
	   "XML becomes a file of xl");
	ok(xm && strstr(xm, "\nbuilder = \"linux\"\n"), "and one of xm");
	ok(from_fails("xen-xl", "import os\n", 0, VIR_ERR_CONF_SYNTAX, "line 1, 'import os'") &&
	           from_fails("xen-xl", SMALL "pci = [ '01:00.0' ]\n", 0, VIR_ERR_CONFIG_UNSUPPORTED,
	                      "pci: "),
	   "Python is refused with its line, what guests cannot have by its key");
	ok(from_fails("xen-sxpr", "()", 0, VIR_ERR_OPERATION_UNSUPPORTED, "xen-sxpr") &&
	           from_fails("qemu-argv", "", 0, VIR_ERR_INVALID_ARG, "xen-xl and xen-xm") &&
	           from_fails("xen-xl", SMALL, 1, VIR_ERR_INVALID_ARG, "flags"),
	   "other formats and flags are refused");
	none = convert_to_native(conn, "xen-xl", "<domain type='xen'/>", 0);
	ok(!none, "XML that is no definition does not become a file");
}

/* A client starts a defined guest with another definition for this once. */
static void test_other_definition(virDomainPtr dom)
{
	g_autofree char *other = g_strdup_printf(XML, "another");
	g_autofree char *now = NULL;
	g_autofree char *then = NULL;
	virDomainPtr made = lifecycle_create_xml(conn, other, 0);

	now = define_get_xml(dom, 0);
	then = define_get_xml(dom, VIR_DOMAIN_XML_INACTIVE);
	ok(made && strstr(now, "another") && !strstr(then, "another"),
	   "a definition is kept when its guest is started with another one");
	lifecycle_destroy(dom);
	virObjectUnref(made);
}

int main(void)
{
	g_autofree char *dir = g_dir_make_tmp("xylem-driver-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);
	virDomainPtr dom;

	if (!dir || !played_setup(dir)) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		return 1;
	}
	dom = define("defined");
	ok(dom != NULL, "a domain is defined");
	test_no_kernel();
	test_native();
	if (dom) {
		test_managed_save(dom);
		test_conf();
		test_locks();
		test_schemas(dom);
		test_other_definition(dom);
		test_two_starts(dom);
		test_memory_stats(dom);
		test_shutdown_modes(dom);
		test_block_info();
		test_jobs(dom);
		test_messages(dom);
		test_disk_errors(dom);
		test_same_mac();
		test_hung_daemon(dom);
		test_hung_guest(dom);
		test_destroy(dom);
		virObjectUnref(dom);
	}
	return tap_end() || system(remove) ? 1 : 0;
}
