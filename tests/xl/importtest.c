/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xylem-import, which is a function of this process: the driver's calls are registered here as a driver of their own, so
 * that libvirt's public API finds them without a daemon.
 */
#include "xylem.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xenctrl.h>

#include "../lib/tap.h"
#include "convert.h"
#include "define.h"
#include "monitor.h"
#include "played.h"
#include "datatypes.h"
#include "virconftypes.h"
#include "virerror.h"
#include "viruuid.h"

int import_main(int argc, char **argv);

#define main import_main
#include "../../tools/xylem-import.c"
#undef main

#define URI "xyltest:///system"

static char *dir;

static void ok(bool good, const char *name)
{
	if (!tap_ok(good, "%s", name))
		printf("# last error: %s\n", virGetLastErrorMessage());
}

/* ---- the driver, and a hypervisor of eight CPUs ---- */

int xyl_domain_info(struct xyl *x G_GNUC_UNUSED, uint32_t domid G_GNUC_UNUSED,
                    struct xyl_dominfo *info G_GNUC_UNUSED)
{
	return -1;
}

int xyl_host_info(struct xyl *x G_GNUC_UNUSED, struct xyl_hostinfo *info)
{
	memset(info, 0, sizeof(*info));
	info->max_cpu_id = 7;
	return 0;
}

GVariant *monitor_get(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                      bool *known G_GNUC_UNUSED)
{
	return NULL;
}

bool monitor_connected(struct monitor *m G_GNUC_UNUSED)
{
	return false;
}

int monitor_set_vcpus(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                      unsigned int vcpus G_GNUC_UNUSED)
{
	return -1;
}

int monitor_set_affinity(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                         unsigned int vcpu G_GNUC_UNUSED, const unsigned char *map G_GNUC_UNUSED,
                         size_t map_bytes G_GNUC_UNUSED)
{
	return -1;
}

static virDrvOpenStatus open_conn(virConnectPtr new, virConnectAuthPtr auth G_GNUC_UNUSED,
                                  virConf *conf G_GNUC_UNUSED, unsigned int flags G_GNUC_UNUSED)
{
	new->privateData = xylem;
	return VIR_DRV_OPEN_SUCCESS;
}

static int close_conn(virConnectPtr old)
{
	old->privateData = NULL;
	return 0;
}

static virHypervisorDriver calls = {
	.name = "Xen",
	.connectOpen = open_conn,
	.connectClose = close_conn,
	.connectDomainXMLFromNative = convert_from_native,
	.domainLookupByName = define_lookup_name,
	.domainDefineXML = define_xml,
	.domainIsPersistent = define_is_persistent,
	.domainGetXMLDesc = define_get_xml,
	.domainGetAutostart = define_get_autostart,
	.domainSetAutostart = define_set_autostart,
};

static virConnectDriver driver = {
	.localOnly = true,
	.uriSchemes = (const char *[]){ "xyltest", NULL },
	.hypervisorDriver = &calls,
};

/* ---- the program ---- */

static void put_file(const char *name, const char *text)
{
	g_autofree char *path = g_build_filename(dir, "etc", name, NULL);

	if (!g_file_set_contents(path, text, -1, NULL))
		abort();
}

static void put_link(const char *target, const char *name)
{
	g_autofree char *path = g_build_filename(dir, "etc", "auto", name, NULL);

	if (symlink(target, path))
		abort();
}

/* What it says, with the folder of the test as @; status: its exit status. */
static char *run(int *status, const char *const *args)
{
	g_autofree char *path = g_build_filename(dir, "said", NULL), *text = NULL;
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	g_auto(GStrv) pieces = NULL;
	int kept;

	g_ptr_array_add(argv, (char *)"xylem-import");
	g_ptr_array_add(argv, (char *)"--connect=" URI);
	for (; *args; args++)
		g_ptr_array_add(argv, (char *)*args);
	g_ptr_array_add(argv, NULL);
	fflush(stdout);
	kept = dup(1);
	if (kept < 0 || !freopen(path, "w", stdout))
		abort();
	*status = import_main((int)argv->len - 1, (char **)argv->pdata);
	fflush(stdout);
	if (dup2(kept, 1) < 0 || close(kept) || !g_file_get_contents(path, &text, NULL, NULL))
		abort();
	pieces = g_strsplit(text, dir, 0);
	return g_strjoinv("@", pieces);
}

static bool says(int status, const char *expected, const char *const *args)
{
	g_autofree char *said = NULL;
	int actual;

	said = run(&actual, args);
	if (actual == status && STREQ(said, expected))
		return true;
	printf("# exit status %d, and it says:\n%s", actual, said);
	return false;
}

static bool defined(virConnectPtr c, const char *name, bool at_boot, const char *words)
{
	virDomainPtr dom = virDomainLookupByName(c, name);
	g_autofree char *xml = dom ? virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_INACTIVE) : NULL;
	int autostart = -1;
	bool good = dom && virDomainGetAutostart(dom, &autostart) == 0 && autostart == at_boot && xml &&
	            strstr(xml, words);

	if (dom)
		virDomainFree(dom);
	return good;
}

static char *uuid_of(virConnectPtr c, const char *name)
{
	char uuid[VIR_UUID_STRING_BUFLEN] = "";
	virDomainPtr dom = virDomainLookupByName(c, name);

	if (dom) {
		virDomainGetUUIDString(dom, uuid);
		virDomainFree(dom);
	}
	return g_strdup(uuid);
}

static void test_import(virConnectPtr c)
{
	g_autofree char *folder = g_strdup_printf("--folder=%s/etc", dir);
	g_autofree char *web = g_build_filename(dir, "etc", "web.cfg", NULL);
	g_autofree char *more = g_build_filename(dir, "etc", "more", NULL), *first = NULL, *second = NULL;
	const char *const plain[] = { folder, NULL }, *const dry[] = { folder, "--dry-run", NULL };
	const char *const force[] = { folder, "--force", web, NULL }, *const one[] = { folder, more, NULL };
	g_autofree char *zero = g_build_filename(dir, "etc", "zero", NULL);
	const char *const zeros[] = { folder, zero, NULL };
	const char *const missing[] = { folder, "/nonexistent/x.cfg", NULL };
	int status;

	put_file("web.cfg", "name = \"web\"\nmemory = 64\nkernel = \"/k\"\nboot = \"c\"\nacpi = 1\n");
	put_file("windows.cfg", "builder = \"hvm\"\nname = \"windows\"\nmemory = 64\n");
	put_file("web-old.cfg", "name = \"web\"\nmemory = 32\nkernel = \"/old\"\n");
	put_file("db", "name = \"a&b\"\nmemory = 64\nkernel = \"/k\"\n");
	put_file("notes.txt", "not a guest");
	put_file("more/third.cfg", "name = \"third\"\nmemory = 64\nkernel = \"/k\"\n");
	put_link("../web.cfg", "10-web");
	put_link("../db", "20-db");
	ok(says(1,
	        "@/etc/web-old.cfg: would be defined as web\n"
	        "@/etc/web.cfg: not imported: @/etc/web-old.cfg has the same name, web\n"
	        "@/etc/windows.cfg: not imported: unsupported configuration: builder = \"hvm\": only "
	        "paravirtual guests (type = \"pv\") are supported\n"
	        "@/etc/auto/20-db: would be defined as a&b, starts at boot\n",
	        dry),
	   "--dry-run says what would be done, one line for each file");
	ok(!virDomainLookupByName(c, "web") && !virDomainLookupByName(c, "a&b"), "and does nothing");
	put_file("web-old.cfg", "name = \"web-old\"\nmemory = 32\nkernel = \"/old\"\n");
	put_file("windows.cfg", "name = \"bsd\"\nmemory = 64\nkernel = \"/k\"\n");
	ok(says(0,
	        "@/etc/web-old.cfg: defined as web-old\n"
	        "@/etc/web.cfg: defined as web, starts at boot; notes on boot, acpi\n"
	        "@/etc/windows.cfg: defined as bsd\n"
	        "@/etc/auto/20-db: defined as a&b, starts at boot\n",
	        plain),
	   "all files are defined");
	ok(defined(c, "web", true, "<kernel>/k</kernel>") && defined(c, "a&b", true, "<kernel>/k</kernel>") &&
	           defined(c, "web-old", false, "<kernel>/old</kernel>"),
	   "those that are linked from auto/ start at boot");
	put_file("web.cfg", "name = \"web\"\nmemory = 64\nkernel = \"/new\"\n");
	ok(says(0,
	        "@/etc/web-old.cfg: left alone: web-old is defined already (--force replaces it)\n"
	        "@/etc/web.cfg: left alone: web is defined already (--force replaces it)\n"
	        "@/etc/windows.cfg: left alone: bsd is defined already (--force replaces it)\n"
	        "@/etc/auto/20-db: left alone: a&b is defined already (--force replaces it)\n",
	        plain) &&
	           defined(c, "web", true, "<kernel>/k</kernel>"),
	   "a second time nothing is changed");
	first = uuid_of(c, "web");
	ok(says(0, "@/etc/web.cfg: defined as web, starts at boot\n", force) &&
	           defined(c, "web", true, "<kernel>/new</kernel>"),
	   "--force replaces it");
	second = uuid_of(c, "web");
	ok(*first && STREQ(first, second), "under the UUID that it had");
	ok(says(0, "@/etc/more/third.cfg: defined as third\n", one), "a folder that is named");
	ok(says(1, "/nonexistent/x.cfg: not imported: No such file or directory\n", missing),
	   "a file that is not there");
	if (!g_file_set_contents(zero, "name = \"z\"\0\n", 12, NULL))
		abort();
	ok(says(1, "@/etc/zero: not imported: a byte 0 is in it\n", zeros), "a file with a byte 0");
	g_free(run(&status, (const char *const[]){ "--nonsense", NULL }));
	ok(status == 2, "an unknown option: exit status 2");
}

int main(void)
{
	g_autofree char *remove = NULL, *folder = NULL, *at_boot = NULL, *more = NULL, *state = NULL;
	virConnectPtr c;

	dir = g_dir_make_tmp("xylem-import-XXXXXX", NULL);
	/* Before libvirt's own, which would look for a daemon. */
	if (!dir || virRegisterConnectDriver(&driver, false) < 0)
		return 1;
	remove = g_strdup_printf("rm -rf '%s'", dir);
	folder = g_build_filename(dir, "etc", NULL);
	at_boot = g_build_filename(folder, "auto", NULL);
	more = g_build_filename(folder, "more", NULL);
	state = g_build_filename(dir, "driver", NULL);
	if (g_mkdir_with_parents(at_boot, 0700) || g_mkdir(more, 0700) || g_mkdir(state, 0700) ||
	    !played_setup(state) || !(c = virConnectOpen(URI))) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		return 1;
	}
	test_import(c);
	virConnectClose(c);
	return tap_end() || system(remove) ? 1 : 0;
}
