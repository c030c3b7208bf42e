/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests to files and back, by the driver's calls, with an xylemd that the test plays: at each step there is one guest that
 * can run or one complete file, never both and never neither, whatever fails and whoever dies.
 */
#include "xylem.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <xenctrl.h>

#include "../lib/tap.h"
#include "define.h"
#include "domain.h"
#include "lifecycle.h"
#include "monitor.h"
#include "played.h"
#include "save.h"
#include "savefile.h"
#include "virerror.h"
#include "virfile.h"
#include "viruuid.h"

#define UUID "5f2b7e10-0000-4000-8000-000000000001"
#define XML                                                                         \
	"<domain type='xen'><name>one</name><uuid>" UUID "</uuid><title>%s</title>" \
	"<memory unit='KiB'>65536</memory><vcpu>%u</vcpu><os><type>linux</type><kernel>/k</kernel></os></domain>"
#define STREAM "a guest's memory"

/* The guest, as hypervisor and xylemd have it. */
static struct {
	bool exists, suspended, paused;
	unsigned int domid;
	unsigned int saves, resumes, destroys, creates, restores, cancels;
	bool save_fails, save_dies; /* it says no; it is gone, and the guest is as it was */
	bool restore_fails, pause_fails;
	bool away; /* xylemd cannot be asked */
	bool created_paused;
	char read[64]; /* what Restore found */
} guest;

static void ok(bool good, const char *name)
{
	if (!tap_ok(good, "%s", name))
		printf("# last error: %s\n", virGetLastErrorMessage());
}

static int fail(const char *why)
{
	virReportError(VIR_ERR_OPERATION_FAILED, "%s", why);
	return -1;
}

int monitor_create(struct monitor *m G_GNUC_UNUSED, GVariant *config, bool paused, unsigned int *domid,
                   GVariant **devices)
{
	*devices = NULL;
	g_variant_unref(g_variant_ref_sink(config));
	guest.creates++;
	guest.exists = true;
	guest.suspended = false;
	guest.paused = paused;
	*domid = ++guest.domid;
	return 0;
}

int monitor_restore(struct monitor *m, GVariant *config, bool paused, int stream, unsigned int *domid,
                    GVariant **devices)
{
	guest.restores++;
	memset(guest.read, 0, sizeof(guest.read));
	if (read(stream, guest.read, sizeof(guest.read) - 1) < 0 || guest.restore_fails) {
		g_variant_unref(g_variant_ref_sink(config));
		return fail("the stream is damaged");
	}
	guest.creates--;
	return monitor_create(m, config, paused, domid, devices);
}

int monitor_save(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, int stream,
                 unsigned int how G_GNUC_UNUSED)
{
	guest.saves++;
	if (guest.save_fails)
		return fail("the guest does not answer");
	guest.suspended = true;
	if (guest.save_dies)
		return fail("xylemd went away");
	return write(stream, STREAM, strlen(STREAM)) == (ssize_t)strlen(STREAM) ? 0 : -1;
}

int monitor_resume(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
{
	if (guest.away)
		return fail("xylemd is not reachable");
	guest.resumes++;
	guest.suspended = false;
	return 0;
}

int monitor_cancel(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
{
	guest.cancels++;
	return 0;
}

int monitor_destroy(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
{
	guest.destroys++;
	guest.exists = guest.suspended = false;
	return 0;
}

int monitor_pause(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, bool pause)
{
	if (guest.pause_fails)
		return fail("xylemd went away");
	guest.paused = pause;
	return 0;
}

bool monitor_connected(struct monitor *m G_GNUC_UNUSED)
{
	return !guest.away;
}

GVariant *monitor_get(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, bool *known)
{
	if (known)
		*known = !guest.away;
	return NULL;
}

static void describe(struct xyl_dominfo *info)
{
	memset(info, 0, sizeof(*info));
	info->domid = guest.domid;
	info->paused = guest.paused;
	info->shutdown = guest.suspended;
	info->shutdown_reason = guest.suspended ? XYL_SHUTDOWN_SUSPEND : -1;
	info->online_vcpus = info->max_vcpus = 1;
	info->memory_pages = info->max_memory_pages = 16384;
	ignore_value(virUUIDParse(UUID, info->uuid));
}

int xyl_domain_info(struct xyl *x G_GNUC_UNUSED, uint32_t domid, struct xyl_dominfo *info)
{
	if (guest.exists && domid == guest.domid) {
		describe(info);
		return 0;
	}
	errno = ESRCH;
	return -1;
}

int xyl_domain_list_all(struct xyl *x G_GNUC_UNUSED, struct xyl_dominfo **infos)
{
	*infos = calloc(1, sizeof(**infos));
	if (guest.exists)
		describe(*infos);
	return guest.exists;
}

int xyl_host_info(struct xyl *x G_GNUC_UNUSED, struct xyl_hostinfo *info)
{
	memset(info, 0, sizeof(*info));
	info->max_cpu_id = 1;
	return 0;
}

/* ---- what is looked at ---- */

static char *file;
static virDomainPtr dom;

static bool runs(void)
{
	int state = -1;

	return guest.exists && !guest.suspended && define_is_active(dom) == 1 &&
	       lifecycle_get_state(dom, &state, NULL, 0) == 0 && state == VIR_DOMAIN_RUNNING;
}

static bool is_off(int reason)
{
	int state = -1, why = -1;

	return !guest.exists && define_is_active(dom) == 0 &&
	       lifecycle_get_state(dom, &state, &why, 0) == 0 && state == VIR_DOMAIN_SHUTOFF && why == reason;
}

static bool exists(const char *path)
{
	return g_file_test(path, G_FILE_TEST_EXISTS);
}

static bool says(const char *text)
{
	const char *message = virGetLastErrorMessage();

	if (!strstr(message, text))
		printf("# \"%s\" is not in: %s\n", text, message);
	return strstr(message, text) != NULL;
}

static char *managed_file(void)
{
	return g_build_filename(xylem->save_dir, "one.save", NULL);
}

static void start(void)
{
	if (!runs() && lifecycle_create_flags(dom, VIR_DOMAIN_START_FORCE_BOOT) < 0) {
		printf("Bail out! the guest cannot be started: %s\n", virGetLastErrorMessage());
		exit(1);
	}
}

/* libvirtd ends, and is started again: the objects are read anew. */
static void restart_libvirtd(void)
{
	virDomainObj *vm = domain_get(dom);
	struct domain_private *priv = vm->privateData;
	unsigned long life = priv->life;

	save_recover(vm, life);
	virDomainObjEndAPI(&vm);
}

/* ---- tests ---- */

static void test_save(void)
{
	g_autofree char *text = NULL;
	unsigned int resumes = guest.resumes;
	struct stat st;
	gsize bytes;

	start();
	ok(save_to(dom, file) == 0 && is_off(VIR_DOMAIN_SHUTOFF_SAVED), "a guest is saved, and is off then");
	ok(guest.resumes == resumes && stat(file, &st) == 0 && (st.st_mode & 0777) == 0600,
	   "its file is for root alone");
	ok(g_file_get_contents(file, &text, &bytes, NULL) && bytes > 64 + strlen(STREAM) &&
	           memcmp(text, "libvirt-xml\n \0 \r\2\0\0\0", 20) == 0 &&
	           strstr(text + 64, "<name>one</name>") &&
	           memcmp(text + bytes - strlen(STREAM), STREAM, strlen(STREAM)) == 0,
	   "in it are libvirt's header, the definition and the stream");
	ok(save_restore(conn, file) == 0 && runs() && STREQ(guest.read, STREAM) && exists(file),
	   "it is restored from there; xylemd reads from where the stream begins");
	ok(save_restore(conn, file) < 0 && says("already"), "not while it runs");
	ok(save_to(dom, file) == 0 && save_restore_flags(conn, file, NULL, VIR_DOMAIN_SAVE_PAUSED) == 0 &&
	           guest.paused,
	   "it is restored paused when that is asked for");
	ok(save_to(dom, file) == 0 && save_restore(conn, file) == 0 && guest.paused,
	   "one that was paused is restored paused");
	ok(save_to(dom, file) == 0 && save_restore_flags(conn, file, NULL, VIR_DOMAIN_SAVE_RUNNING) == 0 &&
	           runs(),
	   "or running, when that is asked for");
	ok(save_to_flags(dom, file, NULL, VIR_DOMAIN_SAVE_RUNNING | VIR_DOMAIN_SAVE_PAUSED) < 0 &&
	           save_to_flags(dom, file, NULL, VIR_DOMAIN_SAVE_RESET_NVRAM) < 0 && says("NVRAM") && runs(),
	   "flags that contradict each other, or have no meaning, are refused");
}

/* The guest goes on, and no file is left that somebody could take for it. */
static void test_failures(void)
{
	unsigned int resumes;

	start();
	g_unlink(file);
	guest.save_fails = true;
	ok(save_to(dom, file) < 0 && says("does not answer") && runs() && !exists(file),
	   "a guest that cannot be saved runs on");
	guest.save_fails = false;
	ok(save_to(dom, "/nonexistent/file") < 0 && says("/nonexistent/file") && runs(),
	   "a file that cannot be made is named");
	guest.save_dies = true;
	resumes = guest.resumes;
	ok(save_to(dom, file) < 0 && guest.resumes == resumes + 1 && runs() && !exists(file),
	   "where xylemd dies in between the guest is resumed");
	guest.save_dies = false;
	ok(save_to_flags(dom, file, "<domain type='xen'><name>other</name></domain>", 0) < 0 && runs() &&
	           !exists(file),
	   "a definition that is none is refused first");
}

/* priv->save_file is what a state file says of a save that was under way. */
static void test_interrupted(void)
{
	virDomainObj *vm;
	struct domain_private *priv;
	int fd;

	start();
	g_unlink(file);
	vm = domain_get(dom);
	priv = vm->privateData;
	priv->save_file = g_strdup(file);
	virDomainObjEndAPI(&vm);
	fd = savefile_create(file, "<domain/>", false);
	guest.suspended = true;
	restart_libvirtd();
	ok(runs() && !exists(file) && !priv->save_file,
	   "libvirtd ends while a guest is saved: with the next one it goes on, and the half file is gone");
	priv->save_file = g_strdup(file);
	VIR_FORCE_CLOSE(fd);
	fd = savefile_create(file, "<domain/>", false);
	if (savefile_complete(file, fd, false) < 0)
		abort();
	guest.suspended = true;
	restart_libvirtd();
	ok(is_off(VIR_DOMAIN_SHUTOFF_SAVED) && exists(file) && !priv->save_file,
	   "it ends when the file is complete: the file is the guest, which goes");
	VIR_FORCE_CLOSE(fd);
}

/* What a state file said of a save is over when its guest lives on: nobody takes it for that later. */
static void test_stale(void)
{
	struct domain_private *priv;
	virDomainObj *vm;
	int fd;

	start();
	vm = domain_get(dom);
	priv = vm->privateData;
	virDomainObjEndAPI(&vm);
	fd = savefile_create(file, "<domain/>", false);
	if (savefile_complete(file, fd, false) < 0)
		abort();
	VIR_FORCE_CLOSE(fd);
	priv->save_file = g_strdup(file);
	restart_libvirtd();
	ok(runs() && !priv->save_file, "a guest that runs is not ended for a complete file");
	fd = savefile_create(file, "<domain/>", false);
	if (savefile_complete(file, fd, false) < 0)
		abort();
	VIR_FORCE_CLOSE(fd);
	priv->save_file = g_strdup(file);
	guest.suspended = true;
	ok(lifecycle_resume(dom) == 0 && runs() && !exists(file) && !priv->save_file,
	   "one that is resumed by hand is not what the file says any more: that goes");
	guest.save_dies = guest.away = true;
	ok(save_to(dom, file) < 0 && guest.suspended && priv->save_file && !exists(file),
	   "where xylemd is away it is kept in mind that the guest is to be resumed");
	guest.save_dies = guest.away = false;
	restart_libvirtd();
	ok(runs() && !priv->save_file, "which is done when it is back");
}

static void test_locks(void)
{
	struct stat st;
	int fd;

	start();
	g_unlink(file);
	if (!g_file_set_contents(file, "", 0, NULL) || g_chmod(file, 0644))
		abort();
	fd = savefile_create(file, "<domain/>", false);
	ok(fd >= 0 && stat(file, &st) == 0 && (st.st_mode & 0777) == 0600,
	   "a file that others could read is root's then");
	ok(save_to(dom, file) < 0 && says("being saved to") && runs() && exists(file),
	   "two saves to one file: the second one is refused");
	VIR_FORCE_CLOSE(fd);
}

static void write_file(const char *data, gsize bytes)
{
	if (!g_file_set_contents(file, data, (gssize)bytes, NULL))
		abort();
}

/* Each length of a header, each of its bytes another one. */
static void test_bad_files(void)
{
	g_autofree char *good = NULL;
	unsigned int refused = 0, i;
	gsize bytes;

	start();
	if (save_to(dom, file) < 0 || !g_file_get_contents(file, &good, &bytes, NULL))
		abort();
	for (i = 0; i < 64 + 100; i++) {
		write_file(good, i);
		refused += save_restore(conn, file) < 0 && !guest.exists;
	}
	ok(refused == 164, "a file that ends within its header or its XML is refused");
	refused = 0;
	for (i = 0; i < 28; i++) {
		g_autofree char *bad = g_memdup2(good, bytes);

		bad[i] = (char)(bad[i] ^ 0x80);
		write_file(bad, bytes);
		/* A shorter XML may still be all of it: then the stream begins elsewhere, which is xylemd's to see. */
		if (save_restore(conn, file) < 0 && !guest.exists)
			refused++;
		else if (i == 20)
			lifecycle_destroy(dom);
	}
	ok(refused >= 27, "so is one with another byte in its header");
	memcpy(good, "xylem-partial\n\0\0", 16);
	write_file(good, bytes);
	ok(save_restore(conn, file) < 0 && says("incomplete") && !guest.exists,
	   "an incomplete one is said to be that");
	ok(save_restore(conn, "/nonexistent") < 0 && says("/nonexistent"), "one that is not there is named");
	guest.restore_fails = true;
	memcpy(good, "libvirt-xml\n \0 \r", 16);
	write_file(good, bytes);
	ok(save_restore(conn, file) < 0 && says("damaged") && !guest.exists && exists(file),
	   "a stream that xylemd refuses: the file stays");
	guest.restore_fails = false;
}

static void test_image_xml(void)
{
	g_autofree char *changed = g_strdup_printf(XML, "changed", 1),
	                *wrong = g_strdup_printf(XML, "wrong", 2);
	g_autofree char *before = NULL, *after = NULL, *live = NULL;

	start();
	if (save_to(dom, file) < 0)
		abort();
	before = save_image_get_xml(conn, file, 0);
	ok(before && strstr(before, "<name>one</name>"), "the definition in a file is read");
	ok(save_image_define(conn, file, changed, 0) == 0, "and changed");
	after = save_image_get_xml(conn, file, 0);
	ok(after && strstr(after, "<title>changed</title>"), "which is read again");
	ok(save_image_define(conn, file, wrong, 0) < 0, "what the guest would notice is refused");
	ok(save_image_define(conn, file, changed, VIR_DOMAIN_SAVE_PAUSED) == 0 &&
	           save_restore(conn, file) == 0 && guest.paused && STREQ(guest.read, STREAM),
	   "it is restored with the change, and paused as the file says then");
	live = define_get_xml(dom, 0);
	ok(live && strstr(live, "<title>changed</title>"), "as its definition shows");
	lifecycle_destroy(dom);
}

static void test_managed(void)
{
	g_autofree char *path = managed_file();
	g_autofree char *xml = NULL;
	unsigned int creates, restores;
	int fd;

	start();
	ok(define_has_save(dom, 0) == 0 && save_managed(dom, 0) == 0 && is_off(VIR_DOMAIN_SHUTOFF_SAVED) &&
	           define_has_save(dom, 0) == 1 && exists(path),
	   "a managed save is made");
	xml = save_managed_get_xml(dom, 0);
	ok(xml && strstr(xml, "<name>one</name>"), "and its definition read");
	ok(define_undefine(dom) < 0 && says("managed save"), "such a guest is not undefined");
	creates = guest.creates;
	restores = guest.restores;
	ok(lifecycle_create(dom) == 0 && runs() && guest.restores == restores + 1 &&
	           guest.creates == creates && !exists(path) && define_has_save(dom, 0) == 0,
	   "started, it is restored, and the file is gone");
	if (save_managed(dom, VIR_DOMAIN_SAVE_PAUSED) < 0)
		abort();
	guest.restore_fails = true;
	ok(lifecycle_create(dom) < 0 && says(path) && says("damaged") && says("--force-boot") && exists(path),
	   "one that cannot be restored is kept, and the error says which file and what to do");
	guest.restore_fails = false;
	guest.pause_fails = true;
	ok(save_managed_define(dom, xml, VIR_DOMAIN_SAVE_RUNNING) == 0 && lifecycle_create(dom) < 0 &&
	           !guest.exists && define_has_save(dom, 0) == 1,
	   "one whose guest cannot be let run is kept as well");
	guest.pause_fails = false;
	ok(save_managed_define(dom, xml, VIR_DOMAIN_SAVE_PAUSED) == 0 && lifecycle_create(dom) == 0 &&
	           guest.paused,
	   "it is paused, as the file says");
	if (save_managed(dom, 0) < 0)
		abort();
	creates = guest.creates;
	ok(lifecycle_create_flags(dom, VIR_DOMAIN_START_FORCE_BOOT) == 0 && guest.creates == creates + 1 &&
	           !exists(path),
	   "with force boot it boots, and the file is thrown away");
	if (save_managed(dom, 0) < 0)
		abort();
	ok(define_remove_save(dom, 0) == 0 && !exists(path) && lifecycle_create(dom) == 0 &&
	           guest.creates == creates + 2,
	   "when it was removed, too");
	if (!g_file_set_contents(path, "LibxlFmt of another program", -1, NULL))
		abort();
	lifecycle_destroy(dom);
	ok(lifecycle_create(dom) < 0 && says(path) && !guest.exists, "a file that is none is not ignored");
	g_unlink(path);
	fd = savefile_create(path, "<domain/>", false);
	VIR_FORCE_CLOSE(fd);
	ok(!domain_look_for_save(path) && lifecycle_create(dom) == 0 && runs() && !exists(path) &&
	           define_has_save(dom, 0) == 0,
	   "an incomplete one is: its guest has gone on");
	if (save_managed(dom, 0) < 0 || savefile_use(path, true) < 0)
		abort();
	creates = guest.creates;
	ok(!domain_look_for_save(path) && save_restore(conn, path) < 0 && says("already") &&
	           lifecycle_create(dom) == 0 && guest.creates == creates + 1 && !exists(path),
	   "so is one from which its guest has run: nothing old meets its disks");
}

int main(void)
{
	g_autofree char *dir = g_dir_make_tmp("xylem-save-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);
	g_autofree char *xml = g_strdup_printf(XML, "defined", 1);

	if (!dir || !played_setup(dir) || !(dom = define_xml(conn, xml))) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		return 1;
	}
	file = g_build_filename(dir, "one.file", NULL);
	test_save();
	test_failures();
	test_interrupted();
	test_stale();
	test_locks();
	test_bad_files();
	test_image_xml();
	test_managed();
	virObjectUnref(dom);
	if (system(remove))
		return 1;
	return tap_end();
}
