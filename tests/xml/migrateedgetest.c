/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What happens beside a migration's protocol: definitions, limits, locks and aborts that come meanwhile, disks that are full, an
 * xylemd that comes back, hosts that do not answer.
 */
#include <sys/resource.h>
#include <time.h>

#include "migrateplay.h"

#include "job.h"
#include "process.h"
#include "virerror.h"

static bool is_running_idle(virDomainPtr d)
{
	return idle(d) && runs(d);
}

static char *config_file(void)
{
	return g_build_filename(xylem->config_dir, "one.xml", NULL);
}

static bool is_defined_on_disk(const char *text)
{
	g_autofree char *path = config_file();
	g_autofree char *xml = NULL;

	return g_file_get_contents(path, &xml, NULL, NULL) && strstr(xml, text);
}

/* ---- the destination ---- */

static void test_define_meanwhile(void)
{
	const char *others = XML("one", UUID1, "<!-- another -->");
	g_autofree char *to = NULL;
	unsigned int restores = one->restores;
	int fd;

	if (prepare(&to, VIR_MIGRATE_PERSIST_DEST) < 0)
		abort();
	ok(!define_xml(conn, others) && says("one") && says("comes from"),
	   "a definition for a guest that is about to come is refused");
	fd = connect_and_send(to, STREAM);
	wait_restored(restores);
	ok(!define_xml(conn, others) && says("comes from"), "for one that has come, too");
	ok(finish(VIR_MIGRATE_PERSIST_DEST, false) == 0 && heard(fd) == OUTCOME_RUNS && runs(dom) &&
	           define_is_persistent(dom) == 1 && is_defined_on_disk("<name>one</name>"),
	   "what came with it is kept");
	lifecycle_destroy(dom);
	define_undefine(dom);
}

/* Where the definition cannot be kept, the source still has guest and definition. */
static void test_config_first(void)
{
	g_autofree char *path = config_file();
	char *config_dir = xylem->config_dir;
	g_autofree char *to = NULL;
	virDomainPtr kept;
	int fd;

	if (prepare(&to, VIR_MIGRATE_PERSIST_DEST) < 0)
		abort();
	fd = connect_and_send(to, STREAM);
	xylem->config_dir = (char *)"/proc/self/none";
	ok(finish(VIR_MIGRATE_PERSIST_DEST, false) < 0 && heard(fd) == OUTCOME_FAILED && !one->exists &&
	           not_listed(dom),
	   "a definition that cannot be written: the guest does not run here");
	xylem->config_dir = config_dir;
	to = (g_free(to), NULL);
	if (prepare(&to, VIR_MIGRATE_PERSIST_DEST) < 0)
		abort();
	fd = connect_and_send(to, STREAM);
	fails.pause = true;
	ok(finish(VIR_MIGRATE_PERSIST_DEST, false) < 0 && heard(fd) == OUTCOME_FAILED && access(path, F_OK) &&
	           not_listed(dom),
	   "a guest that cannot be let run leaves none");
	fails.pause = false;
	kept = define_xml(conn, XML("one", UUID1, "<input type='mouse' bus='xen'/>"));
	to = (g_free(to), NULL);
	if (!kept || prepare(&to, VIR_MIGRATE_PERSIST_DEST) < 0)
		abort();
	fd = connect_and_send(to, STREAM);
	fails.pause = true;
	ok(finish(VIR_MIGRATE_PERSIST_DEST, false) < 0 && heard(fd) == OUTCOME_FAILED &&
	           is_defined_on_disk("mouse") && define_is_persistent(kept) == 1,
	   "or the one that was there");
	fails.pause = false;
	define_undefine(kept);
	virObjectUnref(kept);
}

static void test_long_definition(void)
{
	g_autofree char *padding = g_strnfill(GUEST_OPAQUE_MAX, 'x');
	g_autofree char *xml = g_strdup_printf("<domain type='xen'><name>one</name><uuid>" UUID1
	                                       "</uuid><description>%s</description>"
	                                       "<memory unit='KiB'>65536</memory><vcpu>1</vcpu>"
	                                       "<os><type>linux</type><kernel>/k</kernel></os></domain>",
	                                       padding);
	g_autofree char *to = NULL;
	unsigned int restores = one->restores;
	int fd;

	if (prepare_as(xml, NULL, cookie_good, (int)strlen(cookie_good) + 1, "tcp:127.0.0.1", &to, 0) < 0)
		abort();
	fd = connect_and_send(to, STREAM);
	wait_restored(restores);
	ok(one->opaque && STRPREFIX(one->opaque, PROCESS_INCOMING_MARK),
	   "a guest whose definition is too long for xylemd is marked as well");
	ok(finish(0, false) == 0 && heard(fd) == OUTCOME_RUNS && runs(dom) &&
	           !STRPREFIX(one->opaque, PROCESS_INCOMING_MARK),
	   "and runs when the source has let go");
	lifecycle_destroy(dom);
}

static void test_no_source(void)
{
	g_autofree char *to = NULL;
	struct rlimit files, few;
	unsigned int before, ms = migrate_connect_ms;
	clock_t cpu;
	int fd;

	migrate_connect_ms = 300;
	if (prepare(&to, 0) < 0)
		abort();
	g_usleep(1500000);
	ok(connect_and_send(to, STREAM) < 0 && finish(0, false) < 0 && says("has not connected") &&
	           not_listed(dom),
	   "a source that does not connect is not waited for for ever");
	migrate_connect_ms = ms;
	to = (g_free(to), NULL);
	if (prepare(&to, 0) < 0 || getrlimit(RLIMIT_NOFILE, &files))
		abort();
	before = one->restores;
	few = files;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	few.rlim_cur = (rlim_t)fd; /* the lowest free one */
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	{
		struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		unsigned int port;

		if (sscanf(to, "tcp://127.0.0.1:%u", &port) != 1 || setrlimit(RLIMIT_NOFILE, &few))
			abort();
		at.sin_port = htons((uint16_t)port);
		if (connect(fd, (struct sockaddr *)&at, sizeof(at)))
			abort();
	}
	cpu = clock();
	g_usleep(1000000);
	cpu = clock() - cpu;
	if (setrlimit(RLIMIT_NOFILE, &files))
		abort();
	ok(cpu < CLOCKS_PER_SEC / 2, "no descriptor is left for the source: that costs no time");
	if (send(fd, STREAM, strlen(STREAM), MSG_NOSIGNAL) != (ssize_t)strlen(STREAM))
		abort();
	shutdown(fd, SHUT_WR);
	wait_restored(before);
	ok(finish(0, false) == 0 && heard(fd) == OUTCOME_RUNS && runs(dom), "and it comes when there is one");
	lifecycle_destroy(dom);
}

/* ---- the source ---- */

static void test_autodestroy(void)
{
	if (lifecycle_create_flags(dom, VIR_DOMAIN_START_AUTODESTROY) < 0)
		abort();
	ok(!begin(0, NULL) && says("one") && says("autodestroy") && idle(dom) && runs(dom),
	   "a guest that ends with its client's connection is not migrated");
	lifecycle_destroy(dom);
}

static void *perform_limited(void *data)
{
	struct params p = { 0 };
	int ret;

	add(&p, VIR_MIGRATE_PARAM_URI, data);
	ignore_value(virTypedParamsAddULLong(&p.list, &p.count, &p.max, VIR_MIGRATE_PARAM_BANDWIDTH, 7));
	ret = migrate_perform(dom, NULL, p.list, p.count, NULL, 0, NULL, NULL,
	                      VIR_MIGRATE_LIVE | VIR_MIGRATE_CHANGE_PROTECTION);
	clear(&p);
	return GINT_TO_POINTER(ret);
}

static bool refuses_percent(const char *name, int percent, unsigned int flags, const char *text)
{
	struct params p = { 0 };
	bool good;

	ignore_value(virTypedParamsAddInt(&p.list, &p.count, &p.max, name, percent));
	good = !migrate_begin(dom, p.list, p.count, NULL, NULL, flags) && says(text) && says(name) &&
	       idle(dom);
	clear(&p);
	return good;
}

static void *perform_converging(void *data)
{
	struct params p = { 0 };
	const int *percents = data;
	int ret;

	add(&p, VIR_MIGRATE_PARAM_URI, peer.uri);
	if (percents[0])
		ignore_value(virTypedParamsAddInt(&p.list, &p.count, &p.max,
		                                  VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL, percents[0]));
	if (percents[1])
		ignore_value(virTypedParamsAddInt(&p.list, &p.count, &p.max,
		                                  VIR_MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT, percents[1]));
	ret = migrate_perform(dom, NULL, p.list, p.count, NULL, 0, NULL, NULL,
	                      VIR_MIGRATE_LIVE | VIR_MIGRATE_AUTO_CONVERGE | VIR_MIGRATE_CHANGE_PROTECTION);
	clear(&p);
	return GINT_TO_POINTER(ret);
}

static bool converges(int initial, int increment, unsigned int told_initial, unsigned int told_increment)
{
	int percents[] = { initial, increment };
	g_autofree char *xml = NULL;
	GThread *thread;
	bool good;

	start();
	xml = begin(VIR_MIGRATE_LIVE | VIR_MIGRATE_AUTO_CONVERGE, NULL);
	peer_start(NULL, false);
	thread = g_thread_new("perform", perform_converging, percents);
	good = GPOINTER_TO_INT(g_thread_join(thread)) == 0 && one->throttle_initial == told_initial &&
	       one->throttle_increment == told_increment;
	peer_end();
	confirm(0, false);
	return good && xml;
}

static void test_auto_converge(void)
{
	static const char *const names[] = { VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL,
		                             VIR_MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT };
	unsigned int flags = VIR_MIGRATE_LIVE | VIR_MIGRATE_AUTO_CONVERGE;
	size_t i;

	start();
	for (i = 0; i < G_N_ELEMENTS(names); i++)
		ok(refuses_percent(names[i], 0, flags, "outside 1 to 99") &&
		           refuses_percent(names[i], 100, flags, "outside 1 to 99") &&
		           refuses_percent(names[i], -1, flags, "outside 1 to 99") &&
		           refuses_percent(names[i], 50, VIR_MIGRATE_LIVE, "--auto-converge"),
		   "a percentage has bounds, and is for --auto-converge");
	ok(!begin(VIR_MIGRATE_AUTO_CONVERGE, NULL) && says("--live") && idle(dom), "which is for --live");
	lifecycle_destroy(dom);
	ok(converges(0, 0, 20, 0), "--auto-converge: 20 percent less at first, and xylemd's own increment");
	ok(converges(35, 5, 35, 5), "or as it is told");
}

static void test_limits(void)
{
	g_autofree char *xml = NULL;
	virDomainJobInfo info = { 0 };
	GThread *thread;

	start();
	xml = begin(VIR_MIGRATE_LIVE, NULL);
	peer_start(NULL, false);
	g_mutex_lock(&save_gate);
	thread = g_thread_new("perform", perform_limited, peer.uri);
	while (info.memTotal != 100 * 4096) {
		g_usleep(1000);
		if (job_info(dom, &info) < 0)
			abort();
	}
	ok(one->bandwidth == 7 << 20 && job_set_downtime(dom, 50, 0) == 0 && one->downtime_us == 50000 &&
	           one->bandwidth == 7 << 20 && !one->throttle_initial,
	   "another downtime leaves a migration the bandwidth that its client gave it");
	ok(job_set_speed(dom, 9, 0) == 0 && one->bandwidth == 9 << 20 && job_set_downtime(dom, 60, 0) == 0 &&
	           one->bandwidth == 9 << 20,
	   "another speed is one");
	g_mutex_unlock(&save_gate);
	ok(GPOINTER_TO_INT(g_thread_join(thread)) == 0 && peer_end() && confirm(0, true) == 0 && runs(dom),
	   "and it ends");
	lifecycle_destroy(dom);
}

static void test_resume_fails(void)
{
	fails.save_late = fails.resume = true;
	ok(send_to(NULL, true, 0) < 0 && one->suspended && idle(dom) && status_says("phase='sending'"),
	   "xylemd cannot resume the guest: what is to be done stays written down");
	fails.save_late = fails.resume = false;
	ok(lifecycle_resume(dom) == 0 && runs(dom) && !status_says("<migration"), "and is done by a resume");
	lifecycle_destroy(dom);
}

static bool dropped, locked_on_disk;

static void see_drop(void)
{
	dropped = true;
	locked_on_disk = status_says("<locked/>");
}

/* A libvirtd that ends between the two takes locks once too often, and does not believe to have what it has not. */
static void test_lock_order(void)
{
	start();
	on_drop = see_drop;
	ok(send_to(NULL, true, 0) == 0 && dropped && !locked_on_disk,
	   "it is written down that the disks are not locked before they are not");
	on_drop = NULL;
	ok(confirm(0, true) == 0 && runs(dom) && status_says("<locked/>"), "and the other way round");
	lifecycle_destroy(dom);
}

static void test_abort_early(void)
{
	g_autofree char *cookie = NULL;
	g_autofree char *xml = NULL;

	start();
	xml = begin(0, &cookie);
	ok(xml && lifecycle_abort_job(dom) == 0 &&
	           perform("tcp://127.0.0.1:1", NULL, VIR_MIGRATE_CHANGE_PROTECTION) < 0 &&
	           virGetLastErrorCode() == VIR_ERR_OPERATION_ABORTED && runs(dom) && idle(dom),
	   "a migration that is aborted before it is performed is not");
	there.aborts = true;
	ok(peer_to_peer(0, NULL) < 0 && virGetLastErrorCode() == VIR_ERR_OPERATION_ABORTED && there.gave_up &&
	           runs(dom) && idle(dom),
	   "nor is a peer-to-peer one, while the destination prepares");
	there.aborts = false;
	lifecycle_destroy(dom);
}

/* xylemd is away while the guest is sent, and back before the call ends. */
static void test_xylemd_back(void)
{
	fails.save_late = fails.away = there.xylemd_back = true;
	ok(peer_to_peer(0, NULL) < 0 && soon(is_running_idle, dom),
	   "an xylemd that comes back within a peer-to-peer migration: the guest goes on");
	fails.save_late = fails.away = there.xylemd_back = false;
	lifecycle_destroy(dom);
}

static void test_slots(void)
{
	ok(peer_to_peer(0, "starts\nruns\n") == 0 && there.least_slots == 1 &&
	           !xylem->slots[SLOT_BUILD].taken,
	   "a call that waits for another host has a slot");
	there.unreachable = true;
	ok(peer_to_peer(0, NULL) < 0 && there.least_slots == 1 && !xylem->slots[SLOT_BUILD].taken,
	   "also for one that does not answer");
	there.unreachable = false;
	lifecycle_destroy(dom);
}

static gint impatient;

/* The others end in the end, so that a test that fails does so soon. */
static void *end_others(void *data)
{
	unsigned int i;

	for (i = 0; i < 5000 && !g_atomic_int_get(&impatient); i++)
		g_usleep(1000);
	others_give();
	return data;
}

static GThread *limit_others(void)
{
	g_atomic_int_set(&impatient, 0);
	return g_thread_new("others", end_others, NULL);
}

/* Whether they were there to the end. */
static bool others_stayed(GThread *thread)
{
	bool there_still = others_have[SLOT_BUILD] && others_have[SLOT_GUEST] && others_have[SLOT_ASK];

	g_atomic_int_set(&impatient, 1);
	g_thread_join(thread);
	return there_still;
}

static void *finish_early(void *data G_GNUC_UNUSED)
{
	return GINT_TO_POINTER(finish(0, false));
}

/* Two hosts that send guests to each other: each has slots for what it waits for at the other one, and nothing of what it does
 * for the other one waits for them. */
static void test_no_slots(void)
{
	g_autofree char *to = NULL;
	GThread *limit, *early;
	int fd;

	there.crowd = true;
	limit = limit_others();
	ok(peer_to_peer(VIR_MIGRATE_LIVE, "starts\nruns\n") == 0 && others_stayed(limit),
	   "what has been begun at another host comes to its end without a slot");
	there.crowd = false;
	if (send_to(NULL, true, 0) < 0)
		abort();
	others_take();
	limit = limit_others();
	ok(confirm(0, true) == 0 && runs(dom) && others_stayed(limit), "so does what a client confirms");
	lifecycle_destroy(dom);
	define_undefine(dom);
	if (prepare(&to, 0) < 0)
		abort();
	others_take();
	limit = limit_others();
	fd = connect_only(to);
	early = g_thread_new("finish", finish_early, NULL);
	g_usleep(100000);
	fd = send_all(fd, STREAM);
	ok(GPOINTER_TO_INT(g_thread_join(early)) == 0 && heard(fd) == OUTCOME_RUNS && runs(dom) &&
	           others_stayed(limit),
	   "so does what another host has begun here");
	lifecycle_destroy(dom);
}

int main(void)
{
	g_autofree char *dir = g_dir_make_tmp("xylem-migrate-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);

	migrateplay_begin(dir);
	there_begin();
	there.tells = true;
	test_autodestroy();
	test_auto_converge();
	test_limits();
	test_resume_fails();
	test_lock_order();
	test_abort_early();
	test_xylemd_back();
	test_slots();
	test_no_slots();
	test_define_meanwhile();
	test_config_first();
	test_long_definition();
	test_no_source();
	events_stop();
	virObjectUnref(dom);
	if (system(remove))
		return 1;
	return tap_end();
}
