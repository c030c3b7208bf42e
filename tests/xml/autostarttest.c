/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests that start with the host: in their order, so many at once, and none kept from it by one that hangs or fails. libvirt's
 * real objects and this driver; an xylemd that the test plays, and that hangs where it wants.
 */
#include "xylem.h"

#include <stdio.h>
#include <stdlib.h>
#include <xenctrl.h>

#include "../lib/tap.h"
#include "autostart.h"
#include "define.h"
#include "lifecycle.h"
#include "meta.h"
#include "monitor.h"
#include "played.h"
#include "virerror.h"
#include "viridentity.h"
#include "virlog.h"

#define LATE_MS 400   /* where some hang */
#define LONG_MS 60000 /* where none does */
#define WAIT_US (20 * G_USEC_PER_SEC)
#define XML                                                                                                \
	"<domain type='xen'><name>%s</name><memory unit='KiB'>65536</memory><vcpu>1</vcpu><os><type>linux" \
	"</type><kernel>/k</kernel></os><metadata>%s</metadata></domain>"
#define START(attributes) "<x:start xmlns:x='urn:xylem:start' " attributes "/>"

/* ---- xylemd ---- */

static GMutex lock;
static GCond changed;
static bool hold;                 /* all builds wait; guarded by lock */
static GString *began, *ended;    /* the guests' names, each with a blank; guarded by lock */
static gint64 began_us;           /* the last one; guarded by lock */
static unsigned int inside, most; /* builds under way, and the most of them; guarded by lock */
static unsigned int domids;
static unsigned int
        anonymous; /* builds by a thread that libvirt's other drivers do not know; guarded by lock */

static int fail(const char *what)
{
	virReportError(VIR_ERR_OPERATION_FAILED, "%s, says the test's xylemd", what);
	return -1;
}

/* Guests named hang... wait until they are destroyed or let go, those named bad... cannot be built. */
static bool doomed;

int monitor_create(struct monitor *m G_GNUC_UNUSED, GVariant *config, bool paused G_GNUC_UNUSED,
                   unsigned int *domid, GVariant **devices)
{
	g_autoptr(virIdentity) caller = virIdentityGetCurrent();
	const char *name = "";
	int ret = 0;

	*devices = NULL;
	g_variant_ref_sink(config);
	g_variant_lookup(config, "name", "&s", &name);
	g_mutex_lock(&lock);
	began_us = g_get_monotonic_time();
	g_string_append_printf(began, "%s ", name);
	inside++;
	anonymous += !caller;
	most = MAX(most, inside);
	g_cond_broadcast(&changed);
	while (hold || (STRPREFIX(name, "hang") && !doomed))
		g_cond_wait(&changed, &lock);
	if (STRPREFIX(name, "hang"))
		ret = fail("it was destroyed");
	if (STRPREFIX(name, "bad"))
		ret = fail("no such kernel");
	inside--;
	*domid = ++domids;
	g_string_append_printf(ended, "%s ", name);
	g_cond_broadcast(&changed);
	g_mutex_unlock(&lock);
	g_variant_unref(config);
	return ret;
}

int monitor_destroy(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
{
	g_mutex_lock(&lock);
	doomed = true;
	g_cond_broadcast(&changed);
	g_mutex_unlock(&lock);
	return 0;
}

bool monitor_connected(struct monitor *m G_GNUC_UNUSED)
{
	return true;
}

GVariant *monitor_get(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, bool *known)
{
	if (known)
		*known = true;
	return NULL;
}

int xyl_domain_info(struct xyl *x G_GNUC_UNUSED, uint32_t domid, struct xyl_dominfo *info)
{
	memset(info, 0, sizeof(*info));
	info->domid = domid;
	return 0;
}

int xyl_host_info(struct xyl *x G_GNUC_UNUSED, struct xyl_hostinfo *info)
{
	memset(info, 0, sizeof(*info));
	info->max_cpu_id = 1;
	return 0;
}

/* ---- tests ---- */

static void must(bool good, const char *what)
{
	if (good)
		return;
	printf("Bail out! %s: %s\n", what, virGetLastErrorMessage());
	exit(1);
}

static virDomainPtr add(const char *name, const char *metadata)
{
	g_autofree char *xml = g_strdup_printf(XML, name, metadata);
	virDomainPtr dom = define_xml(conn, xml);

	must(dom && define_set_autostart(dom, 1) == 0, name);
	return dom;
}

static void remove_all(void)
{
	virDomainPtr *all = NULL;
	int count = define_list_all(conn, &all, 0), i;

	for (i = 0; i < count; i++) {
		if (define_is_active(all[i]) == 1)
			must(lifecycle_destroy(all[i]) == 0, "destroy");
		must(define_undefine(all[i]) == 0, "undefine");
		virObjectUnref(all[i]);
	}
	g_free(all);
}

static void begin(bool held, unsigned int late_ms)
{
	g_mutex_lock(&lock);
	g_string_truncate(began, 0);
	g_string_truncate(ended, 0);
	hold = held;
	doomed = false;
	most = 0;
	g_mutex_unlock(&lock);
	autostart_begin(late_ms);
}

/* The names, each with a blank behind it, in any order. */
static bool reaches(const GString *text, const char *wanted)
{
	g_auto(GStrv) names = g_strsplit(wanted, " ", 0);
	gint64 until = g_get_monotonic_time() + WAIT_US;
	bool in_time = true, same = false;

	g_mutex_lock(&lock);
	while (!same && in_time) {
		char **name;

		same = text->len == strlen(wanted);
		for (name = names; *name; name++)
			same = same && strstr(text->str, *name);
		in_time = same || g_cond_wait_until(&changed, &lock, until);
	}
	if (!same)
		printf("# '%s' instead of '%s'\n", text->str, wanted);
	g_mutex_unlock(&lock);
	return same;
}

static bool runs(virDomainPtr dom)
{
	gint64 until = g_get_monotonic_time() + WAIT_US;

	while (define_is_active(dom) != 1 && g_get_monotonic_time() < until)
		g_usleep(1000);
	return define_is_active(dom) == 1;
}

static bool over(void)
{
	gint64 until = g_get_monotonic_time() + WAIT_US;

	while (autostart_busy() && g_get_monotonic_time() < until)
		g_usleep(1000);
	return !autostart_busy();
}

static void let_go(void)
{
	g_mutex_lock(&lock);
	hold = false;
	g_cond_broadcast(&changed);
	g_mutex_unlock(&lock);
}

static void test_limit(void)
{
	static const char *const names[] = { "f", "c", "a", "e", "b", "d" };
	unsigned int i, running = 0;
	virDomainPtr doms[6];

	for (i = 0; i < 6; i++)
		doms[i] = add(names[i], "");
	begin(true, LONG_MS);
	tap_ok(reaches(began, "a b c d "), "four guests are started at once, those whose names come first");
	g_usleep(100000);
	let_go();
	tap_ok(over(), "it ends");
	for (i = 0; i < 6; i++) {
		running += define_is_active(doms[i]) == 1;
		virObjectUnref(doms[i]);
	}
	tap_ok(anonymous == 0, "who starts them is libvirtd itself, for all that ask (%u are nobody's)",
	       anonymous);
	tap_ok(running == 6 && most == 4, "all six run (%u), and never more than four were under way (%u)",
	       running, most);
	remove_all();
}

static void test_order(void)
{
	virObjectUnref(add("last", ""));
	virObjectUnref(add("web", START("order='20'")));
	virObjectUnref(add("app", START("order='20'")));
	virObjectUnref(add("db", START("order='10'")));
	begin(true, LONG_MS);
	tap_ok(reaches(began, "db "), "the lowest order begins, alone");
	let_go();
	tap_ok(over() && g_str_has_prefix(began->str, "db ") && g_str_has_suffix(began->str, " last "),
	       "then the next, and last those without one: %s", began->str);
	remove_all();
}

static void test_delay(void)
{
	gint64 since = g_get_monotonic_time();

	virObjectUnref(add("first", START("order='1' delay='1'")));
	virObjectUnref(add("second", START("order='2'")));
	begin(false, LONG_MS);
	tap_ok(over() && STREQ(began->str, "first second ") && began_us - since >= G_USEC_PER_SEC,
	       "delay is waited for before the next order");
	remove_all();
}

/* More that hang than may be under way, in an order before others; and one that cannot be built. */
static void test_hung(void)
{
	g_autofree char *file = g_build_filename(xylem->config_dir, "log", NULL), *text = NULL;
	g_autofree char *outputs = g_strdup_printf("3:file:%s", file);
	static const char *const names[] = { "hang1", "hang2", "hang3", "hang4", "hang5" };
	virDomainPtr hung[5], good, next;
	unsigned int i, off = 0;

	must(virLogSetOutputs(outputs) >= 0, "log");
	for (i = 0; i < 5; i++)
		hung[i] = add(names[i], START("order='1'"));
	virObjectUnref(add("bad", START("order='1'")));
	good = add("other", START("order='1'"));
	next = add("next", "");
	begin(false, LATE_MS);
	tap_ok(reaches(ended, "bad other next "),
	       "five that hang, and one that fails, keep no others from starting");
	tap_ok(runs(good) && runs(next) && autostart_busy(), "they run, while five are still being started");
	tap_ok(lifecycle_destroy(hung[0]) == 0 && over(),
	       "one that hangs is destroyed as a client's start is");
	for (i = 0; i < 5; i++) {
		off += define_is_active(hung[i]) == 0;
		virObjectUnref(hung[i]);
	}
	tap_ok(off == 5, "and all is as it should be");
	ignore_value(virLogSetOutputs("3:stderr"));
	tap_ok(g_file_get_contents(file, &text, NULL, NULL) &&
	               strstr(text, "bad is not started with the host: operation failed: no such kernel") &&
	               strstr(text, "hang3 does not get started") &&
	               strstr(text, "hang5 does not get started") &&
	               strstr(text, "hang5 is not started with the host"),
	       "the log names each with its reason");
	virObjectUnref(good);
	virObjectUnref(next);
	remove_all();
}

/* What is wrong is said when it is said, in XML or by "virsh metadata". */
static void test_refused(void)
{
	static const char *const bad[] = { START("order='x'"), START("order='-1'"), START("order='65536'"),
		                           START("delay='3601'"), START("order='1' delay='2s'") };
	g_autofree char *fine = g_strdup_printf(XML, "web", START("order='5'"));
	virDomainPtr dom = define_xml(conn, fine);
	unsigned int refused = 0, i;

	must(dom != NULL, "a definition");
	for (i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autofree char *xml = g_strdup_printf(XML, "web2", bad[i]);

		refused += !define_xml(conn, xml) && strstr(virGetLastErrorMessage(), "<metadata>: <start ");
	}
	tap_ok(refused == G_N_ELEMENTS(bad), "an order or a delay that is none is refused by name");
	tap_ok(meta_set(dom, VIR_DOMAIN_METADATA_ELEMENT, "<start order='1 '/>", "xylem", "urn:xylem:start",
	                VIR_DOMAIN_AFFECT_CONFIG) < 0 &&
	               strstr(virGetLastErrorMessage(), "<start order='1 '>"),
	       "by virsh metadata too");
	tap_ok(meta_set(dom, VIR_DOMAIN_METADATA_ELEMENT, "<start order='1' delay='9'/>", "xylem",
	                "urn:xylem:start", VIR_DOMAIN_AFFECT_CONFIG) == 0,
	       "which sets it");
	virObjectUnref(dom);
	remove_all();
}

int main(void)
{
	g_autofree char *dir = g_dir_make_tmp("xylem-autostart-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);

	began = g_string_new(NULL);
	ended = g_string_new(NULL);
	if (!dir || !played_setup(dir)) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		return 1;
	}
	test_refused();
	test_limit();
	test_order();
	test_delay();
	test_hung();
	return tap_end() || system(remove) ? 1 : 0;
}
