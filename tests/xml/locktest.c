/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From when, and until when, the disks of a guest are locked. What serves a disk may write to it after its guest was killed,
 * and only xylemd, or the kernel, knows when that is over.
 */
#include "xylem.h"

#include <stdio.h>
#include <stdlib.h>

#include "../lib/tap.h"
#include "aside.h"
#include "define.h"
#include "domain.h"
#include "events.h"
#include "halfway.h"
#include "lifecycle.h"
#include "played.h"
#include "played_guests.h"
#include "virerror.h"
#include "virhook.h"

#define XML                                                                                          \
	"<domain type='xen'><name>one</name><uuid>" UUID1 "</uuid><memory unit='KiB'>65536</memory>" \
	"<vcpu>1</vcpu><os><type>linux</type><kernel>/k</kernel></os></domain>"

static struct guest *const one = &guests[0];
static virDomainPtr dom;

static void ok(bool good, const char *name)
{
	if (!tap_ok(good, "%s", name))
		printf("# %d locked, last error: %s\n", locks_held, virGetLastErrorMessage());
}

static void start(void)
{
	if (lifecycle_create(dom) == 0)
		return;
	printf("Bail out! the guest cannot be started: %s\n", virGetLastErrorMessage());
	exit(1);
}

static int state(void)
{
	int now = -1;

	return lifecycle_get_state(dom, &now, NULL, 0) < 0 ? -1 : now;
}

/* The guest is dead, and its disks are nobody else's yet. */
static bool held(void)
{
	return !one->exists && locks_held == 1 && define_is_active(dom) == 1 &&
	       state() == VIR_DOMAIN_SHUTDOWN && lifecycle_create(dom) < 0;
}

static bool let_go(void)
{
	unsigned int i;

	for (i = 0; i < 20000 && (locks_held || define_is_active(dom) == 1); i++)
		g_usleep(1000);
	return locks_held == 0 && state() == VIR_DOMAIN_SHUTOFF;
}

static void test_xylemd_hangs(void)
{
	start();
	fails.destroy = fails.away = true;
	ok(lifecycle_destroy(dom) == 0 && held(),
	   "a guest that is killed without xylemd: its disks stay locked, and it shuts down");
	ok(lifecycle_destroy(dom) < 0 && held(), "and is not killed again");
	fails.destroy = fails.away = false;
	played_say(UUID1, one->domid, "died", "other");
	ok(let_go(), "until xylemd says that it is gone");
}

static void test_no_slot(void)
{
	unsigned int slots;

	start();
	for (slots = 0; slot_try(SLOT_END); slots++)
		;
	ok(lifecycle_destroy(dom) == 0 && held(), "so do those of one whose destroy cannot wait for xylemd");
	while (slots--)
		slot_give(SLOT_END);
	played_say(UUID1, one->domid, "died", "other");
	ok(let_go(), "likewise");
}

static void test_xylemd_gone(void)
{
	start();
	fails.destroy = fails.away = fails.served = true;
	ok(lifecycle_destroy(dom) == 0 && held(), "xylemd is gone");
	events_reconcile(true);
	ok(held(), "a libvirtd that begins then does not let go of disks that the kernel serves");
	fails.served = false;
	events_reconcile(true);
	ok(let_go(), "and does when it does not");
	fails.destroy = fails.away = false;
}

static void test_unlocked(void)
{
	fails.no_manager = true;
	start();
	fails.destroy = fails.away = true;
	ok(lifecycle_destroy(dom) == 0 && state() == VIR_DOMAIN_SHUTOFF,
	   "without a lock manager a guest that is dead is off at once");
	fails.destroy = fails.away = fails.no_manager = false;
}

/* ---- a script that the guest is destroyed in ---- */

static bool hooks, hook_hangs;
static int hanging_op = VIR_HOOK_LIBXL_OP_PREPARE;
static gint hooks_inside;
static GMutex hook_gate;
static GString *ops;

int virHookPresent(int driver G_GNUC_UNUSED)
{
	return hooks;
}

int virHookCall(int driver G_GNUC_UNUSED, const char *id G_GNUC_UNUSED, int op, int sub_op G_GNUC_UNUSED,
                const char *extra G_GNUC_UNUSED, const char *input G_GNUC_UNUSED, char **output G_GNUC_UNUSED)
{
	virDomainObj *vm;

	g_string_append(ops, op == VIR_HOOK_LIBXL_OP_PREPARE   ? "prepare "
	                     : op == VIR_HOOK_LIBXL_OP_RELEASE ? "release "
	                                                       : "other ");
	if (op != hanging_op)
		return 0;
	if (hook_hangs) {
		g_atomic_int_inc(&hooks_inside);
		g_mutex_lock(&hook_gate);
		g_mutex_unlock(&hook_gate);
		return 0;
	}
	vm = domain_get(dom);
	domain_doom(vm);
	virDomainObjEndAPI(&vm);
	return 0;
}

static bool scripts_end(void)
{
	int i;

	for (i = 0; i < 10000 && aside_busy(); i++)
		g_usleep(1000);
	return !aside_busy();
}

static void test_doomed(void)
{
	unsigned int before = locks_takes;

	ops = g_string_new(NULL);
	hooks = true;
	ok(lifecycle_create(dom) < 0 && virGetLastErrorCode() == VIR_ERR_OPERATION_ABORTED && scripts_end() &&
	           locks_takes == before && STREQ(ops->str, "prepare release "),
	   "a guest that is destroyed while its first script runs: nothing else is done for it");
	hooks = false;
	g_string_free(ops, TRUE);
}

static gpointer start_it(gpointer data G_GNUC_UNUSED)
{
	return GINT_TO_POINTER(lifecycle_create(dom) < 0 &&
	                       virGetLastErrorCode() == VIR_ERR_OPERATION_ABORTED);
}

static void test_hook_hangs(void)
{
	gint64 begun = g_get_monotonic_time();
	int held_before = locks_held;
	GThread *thread;
	bool good;

	ops = g_string_new(NULL);
	hooks = hook_hangs = true;
	g_mutex_lock(&hook_gate);
	thread = g_thread_new("start", start_it, NULL);
	while (!g_atomic_int_get(&hooks_inside))
		g_usleep(1000);
	good = lifecycle_destroy(dom) == 0 && g_get_monotonic_time() - begun < 10 * G_USEC_PER_SEC;
	ok(good && aside_busy(), "a guest whose first script hangs can be destroyed");
	g_mutex_unlock(&hook_gate);
	ok(g_thread_join(thread) && scripts_end() && STREQ(ops->str, "prepare release ") &&
	           locks_held == held_before,
	   "its start ends, and what the script has done is undone when it ends");
	hooks = hook_hangs = false;
	g_string_free(ops, TRUE);
}

/* A start that a libvirtd began which is no more. */
static void test_release_hangs(void)
{
	virDomainObj *vm = domain_get(dom);
	gint64 begun = g_get_monotonic_time();
	bool good;

	halfway_begin(vm->def);
	virDomainObjEndAPI(&vm);
	ops = g_string_new(NULL);
	hooks = hook_hangs = true;
	hanging_op = VIR_HOOK_LIBXL_OP_RELEASE;
	g_atomic_int_set(&hooks_inside, 0);
	g_mutex_lock(&hook_gate);
	good = halfway_recover(false) && g_atomic_int_get(&hooks_inside) == 1;
	ok(good && g_get_monotonic_time() - begun < 60 * G_USEC_PER_SEC && aside_busy(),
	   "a \"release\" script that hangs does not keep what is halfway");
	hook_hangs = false;
	ok(lifecycle_create(dom) == 0 && lifecycle_destroy(dom) == 0, "nor the next start");
	g_mutex_unlock(&hook_gate);
	ok(scripts_end() && g_str_has_prefix(ops->str, "release "), "and ends by itself");
	hooks = false;
	hanging_op = VIR_HOOK_LIBXL_OP_PREPARE;
	g_string_free(ops, TRUE);
}

int main(void)
{
	g_autofree char *dir = g_dir_make_tmp("xylem-lock-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);

	if (!dir || !played_setup(dir) || events_start() < 0 || !(dom = define_xml(conn, XML))) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		return 1;
	}
	test_xylemd_hangs();
	test_no_slot();
	test_xylemd_gone();
	test_unlocked();
	test_doomed();
	test_hook_hangs();
	test_release_hangs();
	events_stop();
	virObjectUnref(dom);
	return tap_end() || system(remove) ? 1 : 0;
}
