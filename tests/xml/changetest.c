/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What calls change of a guest: of its definition, of the running guest, of both; and that nothing has changed where a
 * call fails. libvirt's real objects, with an xylemd and a hypervisor that the test plays.
 */
#include "xylem.h"
#include "define.h"
#include "devices.h"
#include "lifecycle.h"
#include "meta.h"
#include "tune.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>

#include "../lib/tap.h"
#include "played_xylemd.h"
#include "virerror.h"
#include "virthread.h"

static void ok(bool good, const char *name)
{
	if (!tap_ok(good, "%s", name))
		printf("# last error: %s\n", virGetLastErrorMessage());
}

static bool says(virDomainPtr dom, unsigned int flags, const char *text)
{
	g_autofree char *xml = define_get_xml(dom, flags);

	return xml && strstr(xml, text);
}

/* Numbers that a client may say are refused before anything is made of their size. */
static void test_numbers(virDomainPtr dom)
{
	static const unsigned int vcpus[] = { 129, 65536, 2147483647, 4294967295u };
	static const unsigned long memories[] = { 4, 4092, 4098, (16UL << 30) + 4, ULONG_MAX - 3, ULONG_MAX };
	g_autofree char *before = define_get_xml(dom, VIR_DOMAIN_XML_INACTIVE), *after = NULL;
	unsigned int config = VIR_DOMAIN_AFFECT_CONFIG, refused = 0, i;

	for (i = 0; i < G_N_ELEMENTS(vcpus); i++) {
		refused += tune_set_vcpus_flags(dom, vcpus[i], config) < 0;
		refused += tune_set_vcpus_flags(dom, vcpus[i], config | VIR_DOMAIN_VCPU_MAXIMUM) < 0;
	}
	ok(refused == 2 * G_N_ELEMENTS(vcpus), "129 vcpus, and four billion, are refused");
	refused = 0;
	for (i = 0; i < G_N_ELEMENTS(memories); i++) {
		refused += tune_set_memory_flags(dom, memories[i], config) < 0;
		refused += tune_set_memory_flags(dom, memories[i], config | VIR_DOMAIN_MEM_MAXIMUM) < 0;
	}
	ok(refused == 2 * G_N_ELEMENTS(memories), "so is memory that no guest can have");
	after = define_get_xml(dom, VIR_DOMAIN_XML_INACTIVE);
	ok(before && after && STREQ(before, after), "and the definition is what it was");
	ok(tune_set_vcpus_flags(dom, 128, config | VIR_DOMAIN_VCPU_MAXIMUM) == 0 &&
	           tune_set_vcpus_flags(dom, 1, config | VIR_DOMAIN_VCPU_MAXIMUM) == 0,
	   "128 vcpus are not refused");
}

/* Title, description, metadata; of the definition and of the running guest. */
static void test_metadata(virDomainPtr dom)
{
	const char *uri = "urn:example", *text = "<tag>kept</tag>";
	g_autofree char *title = NULL, *metadata = NULL, *live = NULL;

	ok(meta_set(dom, VIR_DOMAIN_METADATA_TITLE, "A title", NULL, NULL, VIR_DOMAIN_AFFECT_CONFIG) == 0 &&
	           meta_set(dom, VIR_DOMAIN_METADATA_ELEMENT, text, "x", uri,
	                    VIR_DOMAIN_AFFECT_CONFIG | VIR_DOMAIN_AFFECT_LIVE) == 0,
	   "title and metadata are set");
	title = meta_get(dom, VIR_DOMAIN_METADATA_TITLE, NULL, VIR_DOMAIN_AFFECT_CONFIG);
	metadata = meta_get(dom, VIR_DOMAIN_METADATA_ELEMENT, uri, VIR_DOMAIN_AFFECT_LIVE);
	live = meta_get(dom, VIR_DOMAIN_METADATA_TITLE, NULL, VIR_DOMAIN_AFFECT_LIVE);
	ok(STREQ_NULLABLE(title, "A title") && metadata && strstr(metadata, "kept") &&
	           STREQ_NULLABLE(live, "defined"),
	   "and read, each from where it was set");
	ok(meta_set(dom, VIR_DOMAIN_METADATA_TITLE, "defined", NULL, NULL, VIR_DOMAIN_AFFECT_CONFIG) == 0,
	   "the title is changed back");
}

/* A guest that is off gets another name, with its file and its link; one that runs does not. */
static void test_rename(virDomainPtr running)
{
	static const char *const bad[] = { "", "a/b", "..", "a\tb", "Domain-0", "one" };
	g_autofree char *old_file = g_build_filename(xylem->config_dir, "named.xml", NULL);
	g_autofree char *new_file = g_build_filename(xylem->config_dir, "renamed.xml", NULL);
	g_autofree char *new_link = g_build_filename(xylem->autostart_dir, "renamed.xml", NULL);
	g_autofree char *old_link = g_build_filename(xylem->autostart_dir, "named.xml", NULL);
	g_autofree char *xml = NULL;
	virDomainPtr dom, found;
	unsigned int refused = 0, i;

	dom = define_xml(conn, "<domain type='xen'><name>named</name><memory>65536</memory><vcpu>1</vcpu>"
	                       "<os><type>linux</type><kernel>/k</kernel></os></domain>");
	if (!dom || define_set_autostart(dom, 1) < 0)
		abort();
	for (i = 0; i < G_N_ELEMENTS(bad); i++)
		refused += meta_rename(dom, bad[i], 0) < 0;
	ok(refused == G_N_ELEMENTS(bad), "names that are none, or another guest's, are refused");
	ok(meta_rename(running, "two", 0) < 0 && strstr(virGetLastErrorMessage(), "one is running"),
	   "a running guest keeps its name");
	ok(meta_rename(dom, "renamed", 0) == 0 && !g_file_test(old_file, G_FILE_TEST_EXISTS) &&
	           g_file_test(new_file, G_FILE_TEST_EXISTS) &&
	           g_file_test(new_link, G_FILE_TEST_IS_SYMLINK) &&
	           !g_file_test(old_link, G_FILE_TEST_IS_SYMLINK),
	   "a guest is renamed, with its file and its link");
	found = define_lookup_name(conn, "renamed");
	xml = found ? define_get_xml(found, 0) : NULL;
	ok(xml && strstr(xml, "<name>renamed</name>"), "and found under its new name");
	ok(define_undefine(dom) == 0 && !g_file_test(new_file, G_FILE_TEST_EXISTS), "and undefined");
	virObjectUnref(found);
	virObjectUnref(dom);
}

#define DISK "<disk type='block'><source dev='/dev/null'/><target dev='xvd%s' bus='xen'/>%s</disk>"
#define NIC  "<interface type='bridge'><mac address='00:16:3e:00:00:01'/><source bridge='br0'/></interface>"

#define NIC_LINK(link) \
	"<interface type='bridge'><mac address='00:16:3e:00:00:01'/><source bridge='%s'/>" link "</interface>"

static int update(virDomainPtr dom, const char *format, const char *bridge, unsigned int flags)
{
	g_autofree char *xml = g_strdup_printf(format, bridge);

	return devices_update_flags(dom, xml, flags);
}

/* Where the new version of a guest's file would be written there is a folder: it cannot be, as on a full disk. */
static char *block(const char *name)
{
	g_autofree char *file = g_strdup_printf("%s.xml.new", name);
	char *obstacle = g_build_filename(xylem->config_dir, file, NULL);

	if (g_mkdir(obstacle, 0700))
		abort();
	return obstacle;
}

static void unblock(char *obstacle)
{
	if (g_rmdir(obstacle))
		abort();
	g_free(obstacle);
}

static char *titled(const char *name, const char *title)
{
	return g_strdup_printf("<domain type='xen'><name>%s</name><uuid>5f2b7e10-0000-4000-8000-000000000002"
	                       "</uuid><title>%s</title><memory>65536</memory><vcpu>1</vcpu>"
	                       "<os><type>linux</type><kernel>/k</kernel></os></domain>",
	                       name, title);
}

/* A definition that cannot be saved is refused, and the domain is as it was. */
static void test_unsaved_define(void)
{
	g_autofree char *file = g_build_filename(xylem->config_dir, "kept.xml", NULL);
	g_autofree char *first = titled("kept", "first"), *second = titled("kept", "second");
	g_autofree char *before = NULL, *after = NULL;
	char *obstacle = block("kept");
	virDomainPtr dom;

	ok(!define_xml(conn, first) && strstr(virGetLastErrorMessage(), "kept.xml.new"),
	   "a new definition that cannot be saved is refused, and the file is named");
	ok(!define_lookup_name(conn, "kept") && define_count_names(conn) == 1, "no domain is left of it");
	unblock(obstacle);
	dom = define_xml(conn, first);
	if (!dom || !g_file_get_contents(file, &before, NULL, NULL))
		abort();
	obstacle = block("kept");
	ok(!define_xml(conn, second) && strstr(virGetLastErrorMessage(), "kept.xml.new"),
	   "so is one of a domain that has one");
	ok(says(dom, 0, "first") && g_file_get_contents(file, &after, NULL, NULL) && STREQ(before, after),
	   "the former stays, here and on the disk");
	ok(lifecycle_create(dom) == 0 && !define_xml(conn, second) &&
	           says(dom, VIR_DOMAIN_XML_INACTIVE, "first") && says(dom, 0, "first"),
	   "also while the guest runs");
	ok(lifecycle_destroy(dom) == 0 && says(dom, 0, "first"), "and afterwards");
	unblock(obstacle);
	if (define_undefine(dom) < 0)
		abort();
	virObjectUnref(dom);

	dom = lifecycle_create_xml(conn, first, 0);
	if (!dom)
		abort();
	obstacle = block("kept");
	ok(!define_xml(conn, second) && define_is_persistent(dom) == 0 &&
	           says(dom, VIR_DOMAIN_XML_INACTIVE, "first"),
	   "a guest without a definition gets none");
	unblock(obstacle);
	ok(lifecycle_destroy(dom) == 0 && !define_lookup_name(conn, "kept"), "and is gone when it ends");
	virObjectUnref(dom);
}

/* What fails is not done: the definition stays what it was when it cannot be saved, whatever its file says by now. */
static void test_unsaved_changes(void)
{
	static const char xml[] =
	        "<domain type='xen'><name>unsaved</name><memory>65536</memory><vcpu>2</vcpu>"
	        "<os><type>linux</type><kernel>/k</kernel></os><devices>" NIC
	        "<disk type='block'><source dev='/dev/null'/><target dev='xvda' bus='xen'/>"
	        "<alias name='ua-root'/></disk></devices></domain>";
	g_autofree char *file = g_build_filename(xylem->config_dir, "unsaved.xml", NULL);
	g_autofree char *disk_a = g_strdup_printf(DISK, "a", ""), *disk_b = g_strdup_printf(DISK, "b", "");
	virTypedParameter weight = { .field = VIR_DOMAIN_SCHEDULER_WEIGHT, .type = VIR_TYPED_PARAM_UINT };
	g_autofree char *before = NULL, *after = NULL, *now = NULL;
	virDomainPtr dom = define_xml(conn, xml);
	const unsigned int config = VIR_DOMAIN_AFFECT_CONFIG;
	unsigned char map = 1;
	unsigned int refused = 0;
	char *obstacle;

	weight.value.ui = 777;
	before = dom ? define_get_xml(dom, VIR_DOMAIN_XML_INACTIVE) : NULL;
	if (!before || !g_file_set_contents(file, "edited by hand", -1, NULL))
		abort();
	obstacle = block("unsaved");
	refused += tune_set_vcpus_flags(dom, 1, config | VIR_DOMAIN_VCPU_MAXIMUM) < 0;
	refused += tune_set_vcpus_flags(dom, 1, config) < 0;
	refused += tune_set_memory_flags(dom, 131072, config | VIR_DOMAIN_MEM_MAXIMUM) < 0;
	refused += tune_set_memory_flags(dom, 32768, config) < 0;
	refused += tune_set_scheduler_flags(dom, &weight, 1, config) < 0;
	refused += tune_pin_vcpu_flags(dom, 0, &map, 1, config) < 0;
	refused += meta_set(dom, VIR_DOMAIN_METADATA_TITLE, "t", NULL, NULL, config) < 0;
	refused += meta_set(dom, VIR_DOMAIN_METADATA_DESCRIPTION, "d", NULL, NULL, config) < 0;
	refused += meta_set(dom, VIR_DOMAIN_METADATA_ELEMENT, "<e/>", "k", "urn:x", config) < 0;
	refused += devices_attach_flags(dom, disk_b, config) < 0;
	refused += devices_detach_flags(dom, disk_a, config) < 0;
	refused += devices_detach_alias(dom, "ua-root", config) < 0;
	refused += update(dom, NIC_LINK("<link state='down'/>"), "br0", config) < 0;
	ok(refused == 13 && strstr(virGetLastErrorMessage(), "unsaved.xml.new"),
	   "changes of a definition that cannot be saved fail, and the file is named");
	after = define_get_xml(dom, VIR_DOMAIN_XML_INACTIVE);
	ok(STREQ_NULLABLE(before, after), "and none of them is made");
	ok(g_file_get_contents(file, &now, NULL, NULL) && STREQ(now, "edited by hand"), "nor on the disk");
	unblock(obstacle);
	ok(tune_set_memory_flags(dom, 32768, config) == 0 && says(dom, VIR_DOMAIN_XML_INACTIVE, ">32768<"),
	   "when it can be saved again, it is");
	ok(define_undefine(dom) == 0, "the guest is undefined");
	virObjectUnref(dom);
}

/* The same of names and links, which have files of their own. */
static void test_unsaved_name(void)
{
	g_autofree char *old_file = g_build_filename(xylem->config_dir, "former.xml", NULL);
	g_autofree char *new_file = g_build_filename(xylem->config_dir, "latter.xml", NULL);
	g_autofree char *xml = titled("former", "t");
	virDomainPtr dom = define_xml(conn, xml);
	char *obstacle = block("latter");
	int autostart = -1;

	if (!dom)
		abort();
	ok(meta_rename(dom, "latter", 0) < 0 && says(dom, 0, "<name>former</name>") &&
	           !define_lookup_name(conn, "latter") && g_file_test(old_file, G_FILE_TEST_EXISTS),
	   "a guest whose file cannot be written under the new name keeps the former");
	unblock(obstacle);
	if (define_set_autostart(dom, 1) < 0 || unlink(xylem->autostart_dir) == 0)
		abort();
	g_free(xylem->autostart_dir);
	xylem->autostart_dir = g_build_filename(old_file, "autostart", NULL);
	ok(meta_rename(dom, "latter", 0) < 0 && says(dom, 0, "<name>former</name>") &&
	           !g_file_test(new_file, G_FILE_TEST_EXISTS) && !define_lookup_name(conn, "latter"),
	   "so does one that starts at boot, where the link cannot be made");
	ok(define_get_autostart(dom, &autostart) == 0 && autostart == 1, "and it still does");
	if (define_set_autostart(dom, 0) < 0)
		abort();
	ok(define_set_autostart(dom, 1) < 0 && define_get_autostart(dom, &autostart) == 0 && !autostart,
	   "one for which no link can be made does not start at boot");
	g_free(xylem->autostart_dir);
	xylem->autostart_dir = g_build_filename(xylem->config_dir, "autostart", NULL);
	if (define_undefine(dom) < 0)
		abort();
	virObjectUnref(dom);
}

/* In both the running guest and its definition: what the definition does not allow is not asked of the guest. */
static void test_both(void)
{
	static const char xml[] =
	        "<domain type='xen'><name>both</name><memory>65536</memory><vcpu>2</vcpu>"
	        "<os><type>linux</type><kernel>/k</kernel></os><devices>" NIC "</devices></domain>";
	const unsigned int live = VIR_DOMAIN_AFFECT_LIVE, config = VIR_DOMAIN_AFFECT_CONFIG;
	g_autofree char *disk_b = g_strdup_printf(DISK, "b", ""), *before = NULL, *after = NULL;
	virTypedParameter weight = { .field = VIR_DOMAIN_SCHEDULER_WEIGHT, .type = VIR_TYPED_PARAM_UINT };
	virTypedParameter cap = { .field = VIR_DOMAIN_SCHEDULER_CAP, .type = VIR_TYPED_PARAM_UINT };
	virDomainPtr dom = define_xml(conn, xml);
	unsigned int refused = 0;
	unsigned char map = 1;
	char *obstacle;
	int calls;

	cap.value.ui = 150;
	if (!dom || lifecycle_create(dom) < 0 || tune_set_vcpus_flags(dom, 1, config) < 0 ||
	    tune_set_vcpus_flags(dom, 1, config | VIR_DOMAIN_VCPU_MAXIMUM) < 0 ||
	    tune_set_memory_flags(dom, 32768, config | VIR_DOMAIN_MEM_MAXIMUM) < 0 ||
	    devices_detach_flags(dom, NIC, config) < 0 || devices_attach_flags(dom, disk_b, config) < 0)
		abort();
	before = define_get_xml(dom, 0);
	calls = g_atomic_int_get(&xylemd.calls);
	refused += tune_set_vcpus_flags(dom, 2, live | config) < 0;
	refused += tune_set_memory_flags(dom, 65536, live | config) < 0;
	refused += tune_pin_vcpu_flags(dom, 1, &map, 1, live | config) < 0;
	refused += tune_set_scheduler_flags(dom, &cap, 1, live | config) < 0;
	refused += devices_attach_flags(dom, disk_b, live | config) < 0;
	refused += devices_detach_flags(dom, NIC, live | config) < 0;
	refused += update(dom, NIC_LINK("<link state='down'/>"), "br0", live | config) < 0;
	after = define_get_xml(dom, 0);
	ok(refused == 7 && g_atomic_int_get(&xylemd.calls) == calls && STREQ_NULLABLE(before, after),
	   "what the definition does not allow is not asked of the running guest");
	obstacle = block("both");
	ok(meta_set(dom, VIR_DOMAIN_METADATA_TITLE, "titled", NULL, NULL, live | config) < 0 &&
	           !says(dom, 0, "titled") && !says(dom, VIR_DOMAIN_XML_INACTIVE, "titled"),
	   "a title that cannot be saved is in neither");
	unblock(obstacle);
	xylemd.refuses = true;
	ok(tune_set_vcpus_flags(dom, 1, live | config) < 0 &&
	           tune_set_memory_flags(dom, 16384, live | config) < 0 &&
	           !says(dom, VIR_DOMAIN_XML_INACTIVE, "16384"),
	   "what the guest refuses is not in its definition");
	xylemd.refuses = false;
	ok(tune_set_memory_flags(dom, 16384, live | config) == 0 &&
	           says(dom, VIR_DOMAIN_XML_INACTIVE, ">16384<"),
	   "and what it accepts is");
	obstacle = block("both");
	ok(tune_set_memory_flags(dom, 8192, live | config) < 0 &&
	           says(dom, VIR_DOMAIN_XML_INACTIVE, ">16384<"),
	   "nor what cannot be saved then");
	unblock(obstacle);
	cap.value.ui = 50;
	weight.value.ui = 300;
	ok(tune_set_scheduler_flags(dom, &weight, 1, config) == 0 &&
	           tune_set_scheduler_flags(dom, &cap, 1, live | config) == 0 &&
	           says(dom, VIR_DOMAIN_XML_INACTIVE, "<shares>300</shares>") &&
	           says(dom, 0, "<shares>256</shares>") && says(dom, 0, "<global_quota>50000</global_quota>"),
	   "a cap that is set in both leaves each its weight");
	if (lifecycle_destroy(dom) < 0 || define_undefine(dom) < 0)
		abort();
	virObjectUnref(dom);
}

static void call_attach(void *data)
{
	if (devices_attach_flags(data, NIC, VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG) < 0)
		printf("# attach: %s\n", virGetLastErrorMessage());
}

/* A definition that is replaced while a guest is asked has what the guest then got, and all else as it was defined. */
static void test_define_meanwhile(void)
{
	g_autofree char *first = titled("kept", "first"), *second = titled("kept", "second");
	virDomainPtr dom = define_xml(conn, first), same;
	virThread thread;

	if (!dom || lifecycle_create(dom) < 0)
		abort();
	g_mutex_lock(&xylemd.gate);
	if (virThreadCreate(&thread, true, call_attach, dom) < 0)
		abort();
	while (!g_atomic_int_get(&xylemd.inside))
		g_usleep(1000);
	same = define_xml(conn, second);
	g_mutex_unlock(&xylemd.gate);
	virThreadJoin(&thread);
	ok(same && says(dom, VIR_DOMAIN_XML_INACTIVE, "second") && says(dom, 0, "first"),
	   "a domain can be defined while its guest is asked for something");
	ok(says(dom, VIR_DOMAIN_XML_INACTIVE, "<interface") && says(dom, 0, "<interface"),
	   "and what the guest was given is in the new definition");
	if (lifecycle_destroy(dom) < 0 || define_undefine(dom) < 0)
		abort();
	virObjectUnref(same);
	virObjectUnref(dom);
}

/* Devices come and go, named by alias. */
static void test_devices(virDomainPtr dom)
{
	g_autofree char *mine = g_strdup_printf(DISK, "a", "<alias name='ua-root'/>");
	g_autofree char *other = g_strdup_printf(DISK, "b", "");
	g_autofree char *live = NULL, *after = NULL;

	ok(devices_attach(dom, mine) == 0 && devices_attach(dom, other) == 0 && devices_attach(dom, NIC) == 0,
	   "two disks and an interface are attached");
	live = define_get_xml(dom, 0);
	ok(live && strstr(live, "<alias name='ua-root'/>") && strstr(live, "<alias name='vbd-xvdb'/>") &&
	           strstr(live, "<alias name='vif-00163e000001'/>"),
	   "each has an alias");
	ok(played_valid("domain.rng", live), "and the guest's XML is valid");
	ok(devices_detach_alias(dom, "ua-none", VIR_DOMAIN_AFFECT_LIVE) < 0,
	   "what is not there cannot be detached");
	ok(devices_detach_alias(dom, "ua-root", VIR_DOMAIN_AFFECT_LIVE) == 0 &&
	           devices_detach_alias(dom, "vif-00163e000001", VIR_DOMAIN_AFFECT_LIVE) == 0,
	   "a disk and an interface are detached by alias");
	after = define_get_xml(dom, 0);
	ok(after && !strstr(after, "ua-root") && strstr(after, "xvdb") && !strstr(after, "<interface"),
	   "and only these are gone");
	ok(devices_detach(dom, other) == 0 && !xylemd.forced, "the last is detached by its XML");
	ok(devices_attach(dom, other) == 0 &&
	           devices_detach_flags(dom, other,
	                                VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_DEVICE_MODIFY_FORCE) == 0 &&
	           xylemd.forced == 1,
	   "and without the guest's help when that is asked for");
}

/* The link of an interface: of the running guest, of its definition. */
static void test_links(virDomainPtr dom)
{
	const char *down = NIC_LINK("<link state='down'/>"), *up = NIC_LINK("<link state='up'/>");
	unsigned int live = VIR_DOMAIN_AFFECT_LIVE, config = VIR_DOMAIN_AFFECT_CONFIG;

	if (devices_attach_flags(dom, NIC, live | config) < 0)
		abort();
	xylemd.links_down = 0;
	ok(update(dom, down, "br0", live) == 0 && xylemd.links_down == 1 &&
	           says(dom, 0, "<link state='down'/>") && !says(dom, VIR_DOMAIN_XML_INACTIVE, "<link"),
	   "the link of a running guest's interface is taken down");
	ok(update(dom, down, "br0", live) == 0 && xylemd.links_down == 1,
	   "a second time nothing is to be done");
	ok(update(dom, up, "br0", live) == 0 && !xylemd.links_down && says(dom, 0, "<link state='up'/>"),
	   "and up again");
	ok(update(dom, down, "br0", config) == 0 && !xylemd.links_down &&
	           says(dom, VIR_DOMAIN_XML_INACTIVE, "<link state='down'/>"),
	   "in the definition alone");
	ok(update(dom, down, "br0", live | config) == 0 && xylemd.links_down == 1, "in both");
	ok(update(dom, up, "br1", live) < 0 && virGetLastErrorCode() == VIR_ERR_OPERATION_UNSUPPORTED &&
	           xylemd.links_down == 1,
	   "another bridge is refused while it runs");
	ok(devices_detach_flags(dom, NIC, live | config) == 0, "the interface is detached");
}

#define DRIVE(image) \
	"<disk type='file' device='cdrom'><source file='" image "'/><target dev='xvdd' bus='xen'/></disk>"

/* What is in a CD drive stays in it while the guest runs; the whole drive can be changed. */
static void test_drive(virDomainPtr dom)
{
	unsigned int live = VIR_DOMAIN_AFFECT_LIVE, config = VIR_DOMAIN_AFFECT_CONFIG;

	ok(devices_attach_flags(dom, DRIVE("/a.iso"), live | config) == 0 && says(dom, 0, "device='cdrom'"),
	   "a CD drive is attached");
	ok(devices_update_flags(dom, DRIVE("/b.iso"), live) < 0 &&
	           virGetLastErrorCode() == VIR_ERR_OPERATION_UNSUPPORTED &&
	           strstr(virGetLastErrorMessage(), "drive xvdd cannot be changed"),
	   "what is in it cannot be changed while the guest runs");
	ok(devices_update_flags(dom, "<disk type='file' device='cdrom'><target dev='xvdd' bus='xen'/></disk>",
	                        live) < 0 &&
	           strstr(virGetLastErrorMessage(), "no empty drives"),
	   "nor taken out");
	ok(devices_update_flags(dom, DRIVE("/b.iso"), config) == 0 &&
	           says(dom, VIR_DOMAIN_XML_INACTIVE, "/b.iso") && says(dom, 0, "/a.iso"),
	   "for its next start it can be changed");
	ok(devices_detach_flags(dom, DRIVE("/a.iso"), live) == 0 &&
	           devices_detach_flags(dom, DRIVE("/b.iso"), config) == 0,
	   "the drive is detached");
}

#define NIC_NAMED(mac, name)                                                                     \
	"<interface type='bridge'><mac address='00:16:3e:00:00:" mac "'/><source bridge='br0'/>" \
	"<target dev='" name "'/></interface>"

/* A device is refused, at once, in these words. */
static bool refused(virDomainPtr dom, const char *xml, unsigned int flags, const char *words)
{
	int calls = g_atomic_int_get(&xylemd.calls);

	return devices_attach_flags(dom, xml, flags) < 0 &&
	       virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID &&
	       strstr(virGetLastErrorMessage(), words) && g_atomic_int_get(&xylemd.calls) == calls;
}

/* What a guest has one of already is refused when it is attached, as it is at define, and not by the guest in the end. */
static void test_twins(virDomainPtr dom)
{
	const unsigned int live = VIR_DOMAIN_AFFECT_LIVE, config = VIR_DOMAIN_AFFECT_CONFIG;
	const unsigned int both = live | config, each[] = { live, config, both };
	g_autofree char *disk = g_strdup_printf(DISK, "c", "<alias name='ua-c'/>");
	g_autofree char *same = g_strdup_printf(DISK, "d", "<alias name='ua-c'/>");
	const char *nic = NIC_NAMED("01", "tt"), *other = NIC_NAMED("02", "uu");
	unsigned int count[4] = { 0 }, i;

	if (devices_attach_flags(dom, nic, both) < 0 || devices_attach_flags(dom, disk, both) < 0)
		abort();
	for (i = 0; i < G_N_ELEMENTS(each); i++) {
		count[0] += refused(dom, NIC_NAMED("02", "tt"), each[i], "<target dev='tt'/>: one has");
		count[1] += refused(dom, NIC_NAMED("01", "uu"), each[i],
		                    "<mac address='00:16:3e:00:00:01'/>: one has");
		count[2] += refused(dom, disk, each[i], "<target dev='xvdc'/>: one has");
		count[3] += refused(dom, same, each[i], "<alias name='ua-c'/>: one has");
	}
	ok(count[0] == 3, "an interface with another one's name is not attached");
	ok(count[1] == 3, "nor one with another one's address");
	ok(count[2] == 3, "nor a disk with another one's name");
	ok(count[3] == 3, "nor a device with another one's alias");
	if (devices_attach_flags(dom, other, both) < 0)
		abort();
	ok(devices_update_flags(dom, NIC_NAMED("02", "tt"), config) < 0 &&
	           virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID &&
	           says(dom, VIR_DOMAIN_XML_INACTIVE, "<target dev='uu'/>"),
	   "none gets another one's name in the definition");
	ok(devices_detach_flags(dom, nic, live) == 0 && refused(dom, nic, both, "<target dev='tt'/>") &&
	           devices_attach_flags(dom, nic, live) == 0,
	   "one that only the definition has can be attached to the running guest alone");
	ok(devices_detach_flags(dom, nic, config) == 0 && refused(dom, nic, both, "<target dev='tt'/>") &&
	           !says(dom, VIR_DOMAIN_XML_INACTIVE, "<target dev='tt'/>") &&
	           devices_attach_flags(dom, nic, config) == 0,
	   "one that only the running guest has, to its definition alone");
	if (devices_detach_flags(dom, nic, both) < 0 || devices_detach_flags(dom, other, both) < 0 ||
	    devices_detach_flags(dom, disk, both) < 0)
		abort();
}

/* Other devices do not come, go or change; each is called what it is in the XML, of which libvirt has no word for four. */
static void test_kinds(virDomainPtr dom)
{
	static const char *const kinds[][2] = {
		{ "console", "<console type='pty'/>" },
		{ "serial", "<serial type='pty'/>" },
		{ "parallel", "<parallel type='pty'/>" },
		{ "channel", "<channel type='pty'><target type='xen' name='a'/></channel>" },
		{ "graphics", "<graphics type='vnc'/>" },
		{ "controller", "<controller type='xenbus'/>" },
	};
	static int (*const calls[])(virDomainPtr dom, const char *xml,
	                            unsigned int flags) = { devices_attach_flags, devices_detach_flags,
		                                            devices_update_flags };

	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *start = g_strdup_printf("unsupported configuration: <%s", kinds[i][0]);
		size_t refused = 0, n;

		for (n = 0; n < G_N_ELEMENTS(calls); n++)
			refused += calls[n](dom, kinds[i][1], VIR_DOMAIN_AFFECT_LIVE) < 0 &&
			           g_str_has_prefix(virGetLastErrorMessage(), start);
		if (!tap_ok(refused == G_N_ELEMENTS(calls),
		            "a %s that is attached, detached, updated is refused", kinds[i][0]))
			printf("# last error: %s\n", virGetLastErrorMessage());
	}
}

int main(void)
{
	static const char xml[] =
	        "<domain type='xen'><name>one</name><uuid>" PLAYED_UUID
	        "</uuid><title>defined</title><memory unit='KiB'>65536</memory><vcpu>1</vcpu>"
	        "<os><type>linux</type><kernel>/k</kernel></os></domain>";
	g_autofree char *dir = g_dir_make_tmp("xylem-change-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);
	virDomainPtr dom;

	if (!dir || !played_setup(dir)) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		return 1;
	}
	dom = define_xml(conn, xml);
	if (!dom)
		abort();
	test_numbers(dom);
	test_unsaved_define();
	test_unsaved_changes();
	test_unsaved_name();
	test_both();
	test_define_meanwhile();
	if (lifecycle_create(dom) < 0)
		abort();
	test_metadata(dom);
	test_rename(dom);
	test_devices(dom);
	test_links(dom);
	test_drive(dom);
	test_twins(dom);
	test_kinds(dom);
	virObjectUnref(dom);
	return tap_end() || system(remove) ? 1 : 0;
}
