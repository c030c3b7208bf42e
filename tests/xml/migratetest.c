/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Migration by the driver's calls, each side with an xylemd and another host that the test plays: whatever fails and whoever
 * dies, at each step one copy of the guest can run at most, and where both hosts live one does.
 */
#include "migrateplay.h"

#include "domain_event.h"
#include "job.h"
#include "process.h"
#include "viruuid.h"

static void test_begin(void)
{
	g_autofree char *cookie = NULL;
	g_autofree char *xml = NULL;
	g_autofree char *second = NULL;
	g_autofree char *other_cookie = NULL;
	struct params p = { 0 };
	int length = 0;

	ok(!begin(0, &cookie) && says("not running") && idle(dom), "a guest that is off cannot be migrated");
	start();
	xml = begin(VIR_MIGRATE_LIVE, &cookie);
	ok(xml && strstr(xml, "<name>one</name>") && cookie &&
	           STRPREFIX(cookie, "<libxl-migration>\n  <name>one</name>") &&
	           strstr(cookie, "<migration-stream-version>2</migration-stream-version>"),
	   "Begin gives the definition, and a cookie as libvirt's own Xen driver writes it");
	virSetErrorFunc(NULL, NULL);
	ok(confirm(0, true) == 0 && runs(dom) && idle(dom), "given up after that, it has run all the time");
	xml = (g_free(xml), begin(0, &other_cookie));
	leave_client();
	ok(xml && soon(idle, dom) && runs(dom), "so it has when the client goes");
	add(&p, VIR_MIGRATE_PARAM_DEST_XML, "<domain type='xen'><name>other</name></domain>");
	second = migrate_begin(dom, p.list, p.count, NULL, &length, 0);
	ok(!second && idle(dom) && runs(dom), "another guest's definition is refused");
	clear(&p);
}

static void test_refusals(void)
{
	static const unsigned int flags[] = { VIR_MIGRATE_POSTCOPY,        VIR_MIGRATE_COMPRESSED,
		                              VIR_MIGRATE_NON_SHARED_DISK, VIR_MIGRATE_TLS,
		                              VIR_MIGRATE_PARALLEL,        VIR_MIGRATE_ZEROCOPY,
		                              VIR_MIGRATE_RDMA_PIN_ALL };
	struct params p = { 0 };
	bool good = true;
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(flags); i++)
		good = good && !begin(flags[i], NULL) &&
		       virGetLastErrorCode() == VIR_ERR_ARGUMENT_UNSUPPORTED;
	ok(good, "what is not to be had is refused, and named");
	ok(!begin(1u << 30, NULL) && says("unsupported flags"), "so is a flag that nobody knows");
	add(&p, VIR_MIGRATE_PARAM_COMPRESSION, "xbzrle");
	ok(!migrate_begin(dom, p.list, p.count, NULL, NULL, 0) && says("compression"), "and a parameter");
	clear(&p);
	add(&p, VIR_MIGRATE_PARAM_PERSIST_XML, "<domain/>");
	ok(!migrate_begin(dom, p.list, p.count, NULL, NULL, 0) && says("--persistent"),
	   "a persistent definition without --persistent");
	clear(&p);
	ok(!begin(VIR_MIGRATE_OFFLINE, NULL) && says("--persistent") &&
	           !begin(VIR_MIGRATE_OFFLINE | VIR_MIGRATE_PERSIST_DEST, NULL) && says("runs"),
	   "an offline migration of a guest that runs");
	ok(perform("tcp://127.0.0.1:1", NULL, VIR_MIGRATE_TUNNELLED) < 0 && says("--p2p") && idle(dom),
	   "a tunnel without a connection of libvirtd's own");
	ok(confirm(0, false) < 0 && says("not being migrated") && runs(dom), "a Confirm of nothing");
}

static void test_disks(const char *dir)
{
	g_autofree char *path = g_build_filename(dir, "disk.img", NULL);
	g_autofree char *xml = g_strdup_printf(XML("two", UUID2, DISK("%s")), path);
	virDomainPtr two = define_xml(conn, xml);
	g_autofree char *definition = NULL;

	if (!two || !g_file_set_contents(path, "", 0, NULL) || lifecycle_create(two) < 0)
		abort();
	ok(!migrate_begin(two, NULL, 0, NULL, NULL, 0) && virGetLastErrorCode() == VIR_ERR_MIGRATE_UNSAFE &&
	           says(path),
	   "a disk that the other host has not is named");
	definition = migrate_begin(two, NULL, 0, NULL, NULL, VIR_MIGRATE_UNSAFE);
	ok(definition != NULL && idle(two), "unless the client knows better");
	lifecycle_destroy(two);
	define_undefine(two);
	virObjectUnref(two);
}

static void test_source(void)
{
	unsigned int saves = one->saves;

	ok(send_to(NULL, true, VIR_MIGRATE_LIVE) == 0 && STREQ(peer.got, STREAM) && one->saves == saves + 1 &&
	           one->live && suspended(dom) && !idle(dom) && status_says("phase='sent'"),
	   "Perform sends the guest; it is suspended then, which is written down");
	ok(migrate_confirm(dom, NULL, 0, NULL, 0, 0, false) == 0 && !one->exists &&
	           is(dom, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_MIGRATED) && idle(dom),
	   "confirmed, it is off here");
	ok(send_to(NULL, false, 0) == 0 && !one->live && confirm(0, true) == 0 && runs(dom) && idle(dom),
	   "given up, it goes on; to libvirt's own driver, which says nothing");
	ok(!one->zeros_by_type &&
	           send_after(COOKIE(UUID1, "<xylem host='" HOST "' outcome='yes' zeros='by-type'/>"), NULL,
	                      0) == 0 &&
	           one->zeros_by_type && confirm(0, true) == 0 && runs(dom),
	   "pages of zeros go by their type where the destination takes that, and only there");
	ok(send_to("failed: no memory\n", true, 0) == 0 && confirm(0, true) == 0 && runs(dom) && idle(dom),
	   "to ours, which says that it does not run it");
	ok(send_to(NULL, true, 0) == 0 && confirm(0, true) == 0 && runs(dom),
	   "or has gone without a message");
	ok(send_to("starts\n", true, 0) == 0 && confirm(0, true) < 0 && says("not known") && suspended(dom) &&
	           idle(dom),
	   "where it may run there, it stays suspended");
	ok(!begin(0, NULL) && says("resume or destroy") && lifecycle_resume(dom) == 0 && runs(dom) &&
	           !status_says("<migration"),
	   "until it is resumed");
	ok(send_to("starts\nruns\n", true, 0) == 0 && confirm(0, true) == 0 && !one->exists &&
	           is(dom, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_MIGRATED),
	   "where it does run there, it is off here, whatever the client heard");
	ok(send_to("starts\nfailed: no bridge\n", true, 0) == 0 && confirm(0, true) == 0 && runs(dom),
	   "and goes on where that failed in the end");
	ok(send_to("runs\nnonsense\n", true, 0) == 0 && confirm(0, true) == 0 && !one->exists,
	   "the first certain word counts");
	ok(send_to("what?\n", true, 0) == 0 && confirm(0, true) < 0 && suspended(dom),
	   "what nobody understands is no word");
}

/* What fails before the stream has ended. */
static void test_source_failures(void)
{
	g_autofree char *cookie = NULL;
	g_autofree char *xml = NULL;

	start();
	xml = begin(0, &cookie);
	ok(xml && perform("tcp://127.0.0.1:1", NULL, VIR_MIGRATE_CHANGE_PROTECTION) < 0 && says("one") &&
	           says("127.0.0.1:1") && runs(dom) && idle(dom),
	   "a destination that is not there: the guest runs on, and the error names both");
	fails.save = true;
	ok(send_to(NULL, true, 0) < 0 && says("does not answer") && runs(dom) && idle(dom) &&
	           !status_says("<migration"),
	   "a guest that cannot be suspended runs on");
	fails.save = false;
	fails.save_late = true;
	ok(send_to("failed: out of memory\n", true, 0) < 0 && says("out of memory") && runs(dom) && idle(dom),
	   "a destination that refuses in the middle says why");
	ok(send_to("failed: \033[31m\001\n", true, 0) < 0 && !strchr(virGetLastErrorMessage(), '\033') &&
	           runs(dom),
	   "which cannot harm a terminal");
	fails.away = true;
	ok(send_to(NULL, true, 0) < 0 && one->suspended && idle(dom) && status_says("phase='sending'"),
	   "where xylemd has gone, it is written down that it goes on");
	fails.away = fails.save_late = false;
	events_reconcile(true);
	ok(soon(runs, dom) && soon(idle, dom), "and it does when xylemd is back");
	ok(send_to(NULL, true, 0) == 0 && lifecycle_destroy(dom) == 0 && !one->exists && idle(dom) &&
	           confirm(0, false) < 0,
	   "destroyed between two calls, it is gone at once");
	fails.destroy = false;
	if (send_to(NULL, true, 0) < 0)
		abort();
	fails.destroy = true;
	ok(confirm(0, false) < 0 && suspended(dom) && status_says("phase='left'") &&
	           lifecycle_resume(dom) < 0 && says("another host"),
	   "one that cannot be destroyed here does not run again");
	fails.destroy = false;
	events_reconcile(true);
	while (one->exists || !idle(dom))
		g_usleep(1000);
	ok(is(dom, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_MIGRATED), "and is off when xylemd can be asked");
}

static bool is_suspended_idle(virDomainPtr d)
{
	return idle(d) && one->suspended;
}

static bool is_gone(virDomainPtr d)
{
	return !one->exists && idle(d);
}

static bool is_running_idle(virDomainPtr d)
{
	return idle(d) && runs(d);
}

/* The client goes after Perform. */
static void test_source_orphan(void)
{
	if (send_to("starts\nruns\n", true, 0) < 0)
		abort();
	leave_client();
	ok(soon(is_gone, dom), "the client goes, and the guest runs at the destination: it is off here");
	if (send_to(NULL, true, 0) < 0)
		abort();
	leave_client();
	ok(soon(is_running_idle, dom), "it does not run there: it goes on");
	if (send_to(NULL, false, 0) < 0)
		abort();
	leave_client();
	ok(soon(is_suspended_idle, dom), "libvirt's own driver does not say it: it stays suspended");
	ok(lifecycle_resume(dom) == 0 && runs(dom), "and can be resumed");
	ok(send_to(NULL, true, 0) == 0 &&
	           migrate_confirm(dom, NULL, 0, NULL, 0, VIR_MIGRATE_UNDEFINE_SOURCE, true) == 0 &&
	           runs(dom) && define_is_persistent(dom) == 1,
	   "a definition is not lost with a migration that failed");
}

static void restart_libvirtd(enum migration phase)
{
	virDomainObj *vm = domain_get(dom);
	struct domain_private *priv = vm->privateData;

	priv->migration = phase;
	migrate_recover(vm, priv->life);
	virDomainObjEndAPI(&vm);
}

static void test_source_restart(void)
{
	start();
	one->suspended = true;
	restart_libvirtd(MIGRATION_SENDING);
	ok(runs(dom) && idle(dom), "libvirtd ends while a guest is sent: with the next one it goes on");
	one->suspended = true;
	restart_libvirtd(MIGRATION_SENT);
	ok(one->suspended && one->exists && idle(dom), "after that it stays suspended");
	ok(lifecycle_resume(dom) == 0 && runs(dom), "and can be resumed");
	one->suspended = true;
	restart_libvirtd(MIGRATION_LEFT);
	ok(!one->exists && state_of(dom, NULL) == VIR_DOMAIN_SHUTOFF, "one that has left is gone");
}

/* ---- what clients learn of it ---- */

static unsigned int iterations, job_events;

virObjectEvent *virDomainEventMigrationIterationNewFromObj(virDomainObj *obj G_GNUC_UNUSED, int iteration)
{
	iterations += iteration == 2;
	return NULL;
}

virObjectEvent *virDomainEventJobCompletedNewFromObj(virDomainObj *obj G_GNUC_UNUSED,
                                                     virTypedParameterPtr params, int count)
{
	job_events++;
	virTypedParamsFree(params, count);
	return NULL;
}

static void *perform_live(void *data)
{
	return GINT_TO_POINTER(perform(peer.uri, data, VIR_MIGRATE_LIVE | VIR_MIGRATE_CHANGE_PROTECTION));
}

static unsigned long long stat_of(int flags, const char *name, int *type)
{
	virTypedParameterPtr list = NULL;
	unsigned long long value = 0;
	int count = 0, number = 0;

	if (job_stats(dom, type, &list, &count, (unsigned int)flags) < 0)
		abort();
	if (virTypedParamsGetInt(list, count, name, &number) == 1)
		value = (unsigned long long)number;
	else
		ignore_value(virTypedParamsGetULLong(list, count, name, &value));
	virResetLastError();
	virTypedParamsFree(list, count);
	return value;
}

/* Begins a live migration, which has come half its way; ends when the gate opens. */
static GThread *begin_live(void)
{
	g_autofree char *xml = NULL;
	virDomainJobInfo info = { 0 };
	GThread *thread;

	start();
	xml = begin(VIR_MIGRATE_LIVE, NULL);
	peer_start(NULL, false);
	g_mutex_lock(&save_gate);
	thread = g_thread_new("perform", perform_live, NULL);
	while (info.memTotal != 100 * 4096) {
		g_usleep(1000);
		if (job_info(dom, &info) < 0)
			abort();
	}
	return thread;
}

static void test_jobs(void)
{
	virDomainJobInfo info;
	unsigned long mib = 0;
	unsigned long long ms = 0;
	GThread *thread;
	int type = -1;

	start();
	ok(job_get_speed(dom, &mib, 0) == 0 && mib > 1000000 && job_get_downtime(dom, &ms, 0) == 0 &&
	           ms == 300,
	   "limits of a migration, as they come");
	ok(job_set_speed(dom, 10, 0) == 0 && job_get_speed(dom, &mib, 0) == 0 && mib == 10 &&
	           job_set_downtime(dom, 50, 0) == 0 && job_get_downtime(dom, &ms, 0) == 0 && ms == 50 &&
	           job_set_downtime(dom, 0, 0) < 0 && job_set_downtime(dom, 60001, 0) < 0 &&
	           job_set_speed(dom, 10, VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY) < 0 && says("post-copy"),
	   "they are set");
	job_events = iterations = 0;
	thread = begin_live();
	ok(one->live && one->bandwidth == 10 << 20 && one->downtime_us == 50000, "a live migration has them");
	ok(job_info(dom, &info) == 0 && info.type == VIR_DOMAIN_JOB_UNBOUNDED &&
	           info.memRemaining == 60 * 4096 && info.dataProcessed == 200000,
	   "how far it has come is told");
	ok(stat_of(0, VIR_DOMAIN_JOB_OPERATION, &type) == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT &&
	           stat_of(0, VIR_DOMAIN_JOB_MEMORY_ITERATION, &type) == 2 && iterations == 1 &&
	           stat_of(0, VIR_DOMAIN_JOB_AUTO_CONVERGE_THROTTLE, &type) == 30 &&
	           stat_of(0, VIR_DOMAIN_JOB_DOWNTIME, &type) == 7 && type == VIR_DOMAIN_JOB_UNBOUNDED,
	   "in all detail, and each round is an event");
	ok(job_set_speed(dom, 20, 0) == 0 && one->bandwidth == 20 << 20,
	   "its limits can be changed meanwhile");
	ok(lifecycle_suspend(dom) == 0 && one->downtime_us == 60000000 && one->bandwidth == 0,
	   "a client for whom it takes too long has it suspended");
	g_mutex_unlock(&save_gate);
	ok(GPOINTER_TO_INT(g_thread_join(thread)) == 0 && peer_end() && confirm(0, false) == 0 &&
	           !one->exists && job_events == 1,
	   "its end is an event");
	ok(stat_of(VIR_DOMAIN_JOB_STATS_COMPLETED | VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED,
	           VIR_DOMAIN_JOB_MEMORY_PROCESSED, &type) == 200000 &&
	           type == VIR_DOMAIN_JOB_COMPLETED &&
	           stat_of(VIR_DOMAIN_JOB_STATS_COMPLETED, VIR_DOMAIN_JOB_MEMORY_REMAINING, &type) == 0 &&
	           type == VIR_DOMAIN_JOB_COMPLETED &&
	           stat_of(VIR_DOMAIN_JOB_STATS_COMPLETED, VIR_DOMAIN_JOB_MEMORY_TOTAL, &type) == 0 &&
	           type == VIR_DOMAIN_JOB_NONE,
	   "what became of it is told once, or as often as it is to be kept");
	thread = begin_live();
	ok(one->bandwidth == 0 && one->downtime_us == 300000,
	   "another life of the guest has limits of its own");
	ok(lifecycle_abort_job(dom) == 0, "it is aborted");
	g_mutex_unlock(&save_gate);
	ok(GPOINTER_TO_INT(g_thread_join(thread)) < 0 && runs(dom) && idle(dom), "and the guest runs on");
	peer_end();
	ok(stat_of(VIR_DOMAIN_JOB_STATS_COMPLETED, VIR_DOMAIN_JOB_MEMORY_TOTAL, &type) == 100 * 4096 &&
	           type == VIR_DOMAIN_JOB_CANCELLED && job_events == 2,
	   "which is told");
	ok(!begin(VIR_MIGRATE_LIVE, NULL) || confirm(0, true) == 0, "and nothing is left of it");
}

/* ---- the destination ---- */

static void test_destination(void)
{
	g_autofree char *to = NULL;
	unsigned int restores = one->restores;
	int fd;

	ok(prepare(&to, 0) == 0 && strspn(to + strlen("tcp://127.0.0.1:"), "0123456789") == 5 && !idle(dom),
	   "Prepare says where to send the guest");
	fd = connect_and_send(to, STREAM);
	wait_restored(restores);
	ok(one->paused && STRPREFIX(one->opaque, PROCESS_INCOMING_MARK) &&
	           is(dom, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION),
	   "it comes, is paused, and is marked as one that must not run");
	ok(finish_as(other, "one", 0, false) < 0 && says("this client") && one->paused,
	   "another client does not let it run");
	ok(finish(0, false) == 0 && runs(dom) && heard(fd) == OUTCOME_RUNS &&
	           is(dom, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_MIGRATED) &&
	           !STRPREFIX(one->opaque, PROCESS_INCOMING_MARK) && !status_says("<migration") &&
	           idle(dom) && define_is_persistent(dom) == 0,
	   "Finish lets it run, and the source hears it");
	to = (g_free(to), NULL);
	ok(prepare(&to, 0) < 0 && says("already") && runs(dom), "a guest that runs here cannot come");
	lifecycle_destroy(dom);
	ok(not_listed(dom), "one that was not to be kept is gone with its end");
	if (prepare(&to, VIR_MIGRATE_PERSIST_DEST) < 0)
		abort();
	fd = connect_and_send(to, STREAM);
	ok(finish(VIR_MIGRATE_PAUSED | VIR_MIGRATE_PERSIST_DEST, false) == 0 && one->paused &&
	           heard(fd) == OUTCOME_RUNS && is(dom, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_USER) &&
	           define_is_persistent(dom) == 1,
	   "paused, and kept, when that is asked for; it may run here now");
	lifecycle_destroy(dom);
	define_undefine(dom);
}

static void test_names(void)
{
	g_autofree char *to = NULL;
	g_autofree char *xml = NULL;
	virDomainPtr kept;
	int fd;

	if (prepare_as(XML("one", UUID1, ""), "renamed", cookie_good, (int)strlen(cookie_good) + 1,
	               "127.0.0.1", &to, VIR_MIGRATE_PERSIST_DEST) < 0)
		abort();
	fd = connect_and_send(to, STREAM);
	ok(finish_as(conn, "renamed", 0, false) == 0 && heard(fd) == OUTCOME_RUNS &&
	           (kept = define_lookup_name(conn, "renamed")),
	   "it comes under another name, to HOST without a scheme");
	lifecycle_destroy(kept);
	define_undefine(kept);
	virObjectUnref(kept);
	/* One that is defined here, off, comes back. */
	kept = define_xml(conn, XML("one", UUID1, "") "<!-- kept -->");
	to = (g_free(to), NULL);
	if (!kept || prepare(&to, 0) < 0)
		abort();
	fd = connect_and_send(to, STREAM);
	ok(finish(0, false) == 0 && heard(fd) == OUTCOME_RUNS && define_is_persistent(kept) == 1,
	   "one that is defined here comes back");
	lifecycle_destroy(kept);
	ok(listed(dom) && is(dom, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_DESTROYED),
	   "and its definition stays");
	define_undefine(kept);
	virObjectUnref(kept);
}

static void test_from_libvirts_own(void)
{
	const char *cookie = COOKIE(UUID1, "");
	g_autofree char *to = NULL;

	ok(prepare_as(XML("one", UUID1, ""), NULL, cookie, (int)strlen(cookie) + 1, "127.0.0.1", &to, 0) == 0,
	   "libvirt's own driver, which takes no cookie from Prepare, gets none");
	finish(0, true);
}

static void test_destination_failures(void)
{
	g_autofree char *to = NULL;
	unsigned int restores;
	int fd;

	fails.restore = true;
	ok(settled_failure(arrive()) && says("damaged") && says("other.example") && says("one"),
	   "a stream that is damaged: nothing is left, and the error names guest and host");
	fails.restore = false;
	if (prepare(&to, 0) < 0)
		abort();
	fd = connect_and_send(to, "half");
	ok(settled_failure(fd), "a stream that is cut off");
	fails.opaque = true;
	ok(settled_failure(arrive()), "its mark cannot be taken away");
	fails.opaque = false;
	fails.pause = true;
	ok(settled_failure(arrive()), "it cannot be let run");
	fails.pause = false;
	to = (g_free(to), NULL);
	ok(prepare(&to, 0) == 0 && finish(0, true) < 0 &&
	           virGetLastErrorCode() == VIR_ERR_MIGRATE_FINISH_OK && not_listed(dom),
	   "given up before anybody has connected");
	to = (g_free(to), NULL);
	ok(prepare(&to, 0) == 0 && lifecycle_abort_job(dom) == 0 && soon(not_listed, dom), "or aborted here");
	restores = one->restores;
	fd = arrive();
	wait_restored(restores);
	ok(finish(0, true) < 0 && heard(fd) == OUTCOME_FAILED && !one->exists && not_listed(dom),
	   "given up when it was there");
	fd = arrive();
	wait_restored(restores + 1);
	leave_client();
	ok(soon(not_listed, dom) && !one->exists && heard(fd) == OUTCOME_FAILED,
	   "the client goes when it was there");
	if (prepare(&to, 0) < 0)
		abort();
	fd = connect_and_send(to, "half");
	shutdown(fd, SHUT_RDWR);
	leave_client();
	ok(soon(not_listed, dom) && !one->exists, "and before");
	close(fd);
	fails.destroy = true;
	restores = one->restores;
	fd = arrive();
	wait_restored(restores);
	ok(finish(0, true) < 0 && one->exists && one->paused && lifecycle_resume(dom) < 0 &&
	           says("another host"),
	   "one that cannot be destroyed cannot be let run");
	ok(heard(fd) == OUTCOME_FAILED, "it has never been told that it runs");
	fails.destroy = false;
	events_reconcile(true);
	ok(soon(not_listed, dom) && !one->exists, "and is destroyed when xylemd can be asked");
}

/* The locks of its disks go with it: never do both hosts have them. */
static void test_locks(void)
{
	unsigned int restores = one->restores;
	int fd = arrive();

	wait_restored(restores);
	ok(locks_held == 0 && finish(0, false) == 0 && heard(fd) == OUTCOME_RUNS && locks_held == 1,
	   "disks are locked when the source has let go");
	ok(send_to(NULL, true, 0) == 0 && locks_held == 0 && confirm(0, true) == 0 && runs(dom) &&
	           locks_held == 1,
	   "the source lets go when all is sent, and takes them again");
	if (send_to(NULL, true, 0) < 0)
		abort();
	fails.lock = true;
	ok(confirm(0, true) < 0 && says("cannot go on") && suspended(dom) && lifecycle_resume(dom) < 0 &&
	           suspended(dom) && locks_held == 0,
	   "where it does not get them, the guest does not run");
	lifecycle_destroy(dom);
	ok(settled_failure(arrive()) && says("locked") && locks_held == 0, "on either host");
	fails.lock = false;
}

/* libvirtd ends while a guest comes: xylemd has it, and no object stands for it. */
static void test_destination_restart(void)
{
	unsigned int i;

	one->exists = one->paused = true;
	one->suspended = false;
	one->domid = ++last_domid;
	g_free(one->opaque);
	one->opaque = g_strdup(PROCESS_INCOMING_MARK XML("one", UUID1, ""));
	/* Its object of before may still be about to leave the list. */
	for (i = 0; i < 1000 && one->exists; i++) {
		events_reconcile(true);
		g_usleep(1000);
	}
	ok(!one->exists && not_listed(dom), "one that libvirtd did not live to see come is destroyed");
	one->exists = true;
	one->paused = false;
	events_reconcile(true);
	ok(one->exists && listed(dom), "one that runs is not, whatever its mark says");
	lifecycle_destroy(dom);
}

static bool refused(const char *cookie, int length)
{
	g_autofree char *to = NULL;
	int ret = prepare_as(XML("one", UUID1, ""), NULL, cookie, length, "tcp:127.0.0.1", &to, 0);

	return ret < 0 && not_listed(dom);
}

static void test_cookies(void)
{
	static const char *const bad[] = {
		"",
		"nonsense",
		"<libxl-migration/>",
		"<other/>",
		COOKIE("no-uuid", ""),
		COOKIE(UUID2, OTHERS),
		"<libxl-migration><name>one</name><uuid>" UUID1 "</uuid></libxl-migration>",
		"<libxl-migration><name>one</name><uuid>" UUID1
		"</uuid><migration-stream-version>-1</migration-stream-version></libxl-migration>",
		"<libxl-migration><name>one</name><uuid>" UUID1
		"</uuid><migration-stream-version>3</migration-stream-version></libxl-migration>",
		"<libxl-migration><name>one</name><uuid>" UUID1
		"</uuid><migration-stream-version>1</migration-stream-version></libxl-migration>",
		COOKIE(UUID1, "<xylem host='zzz'/>"),
		"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>" COOKIE(UUID1, "&e;"),
	};
	g_autofree char *same = NULL;
	g_autofree char *own = NULL;
	g_autofree char *to = NULL;
	unsigned char uuid[VIR_UUID_BUFLEN];
	char text[VIR_UUID_STRING_BUFLEN];
	migrate_cookie_t *c;
	bool good = true;
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(bad); i++) {
		if (!refused(bad[i], (int)strlen(bad[i]) + 1)) {
			printf("# %s\n", bad[i]);
			good = false;
		}
	}
	ok(good, "cookies that are none are refused");
	for (i = 0, good = true; i <= strlen(cookie_good) && good; i++)
		good = refused(cookie_good, (int)i);
	ok(good && refused(NULL, 0) && refused(cookie_good, -1), "so is each beginning of a good one");
	ok(virGetHostUUID(uuid) == 0, "this host has a UUID");
	virUUIDFormat(uuid, text);
	same = g_strdup_printf(COOKIE(UUID1, "<xylem host='%s' outcome='yes'/>"), text);
	ok(refused(same, (int)strlen(same) + 1) && says("on this host already"),
	   "a guest does not come to where it is");
	c = migrate_cookie_parse(COOKIE(UUID1, ""), (int)sizeof(COOKIE(UUID1, "")));
	ok(c && !c->outcome && !virUUIDIsValid(c->host) && STREQ(c->hostname, "other.example"),
	   "libvirt's own driver's cookie is understood");
	migrate_cookie_free(c);
	c = migrate_cookie_parse("<libxl-migration><name>one</name><uuid>" UUID1
	                         "</uuid><hostname>a b\n</hostname><migration-stream-version>2"
	                         "</migration-stream-version></libxl-migration>",
	                         (int)sizeof("<libxl-migration><name>one</name><uuid>" UUID1
	                                     "</uuid><hostname>a b\n</hostname><migration-stream-version>2"
	                                     "</migration-stream-version></libxl-migration>"));
	ok(c && !c->hostname, "a host's name that is none is not shown");
	migrate_cookie_free(c);
	ok(prepare_as(XML("one", UUID1, ""), "a/b", cookie_good, (int)strlen(cookie_good) + 1, NULL, &to, 0) <
	                   0 &&
	           prepare_as(XML("one", UUID1,
	                          "<rng model='virtio'><backend model='random'>/dev/random</backend></rng>"),
	                      NULL, cookie_good, (int)strlen(cookie_good) + 1, NULL, &to, 0) < 0 &&
	           not_listed(dom),
	   "a definition that is refused here is refused before anything is sent");
	ok(prepare_as(XML("one", UUID1, ""), NULL, cookie_good, (int)strlen(cookie_good) + 1, "rdma://here",
	              &to, 0) < 0 &&
	           says("rdma://here") && not_listed(dom),
	   "so is an address that is none");
}

static void test_ports(void)
{
	virPortAllocatorRange *all = xylem->migration_ports;
	g_autofree char *to = NULL;
	g_autofree char *second = NULL;
	const char *cookie = COOKIE(UUID2, OTHERS);
	int fd1, fd2;

	/* Below those that Linux gives to clients by itself: one of them had the port in a run of all tests. */
	xylem->migration_ports = virPortAllocatorRangeNew("test", 20300, 20301);
	virPortAllocatorSetUsed(20301);
	ok(prepare(&to, 0) == 0 &&
	           prepare_as(XML("two", UUID2, ""), NULL, cookie, (int)strlen(cookie) + 1, "tcp:127.0.0.1",
	                      &second, 0) < 0 &&
	           !virDomainObjListFindByName(xylem->domains, "two"),
	   "when no port is left, the guest does not come");
	finish(0, true);
	to = (g_free(to), NULL);
	ok(prepare(&to, 0) == 0 && strstr(to, ":20300"), "a port is given back");
	finish(0, true);
	virPortAllocatorRangeFree(xylem->migration_ports);
	xylem->migration_ports = all;
	to = (g_free(to), NULL);
	if (prepare(&to, 0) < 0 || prepare_as(XML("two", UUID2, ""), NULL, cookie, (int)strlen(cookie) + 1,
	                                      "tcp:127.0.0.1", &second, 0) < 0)
		abort();
	fd2 = connect_and_send(second, STREAM);
	fd1 = connect_and_send(to, STREAM);
	ok(finish_as(conn, "two", 0, false) == 0 && finish(0, false) == 0 && heard(fd1) == OUTCOME_RUNS &&
	           heard(fd2) == OUTCOME_RUNS && one->exists && guests[1].exists,
	   "two come at once");
	lifecycle_destroy(dom);
}

/* ---- a connection of libvirtd's own ---- */

static void test_peer(void)
{
	there_begin();
	there.tells = true;
	ok(peer_to_peer(VIR_MIGRATE_LIVE | VIR_MIGRATE_UNSAFE, "starts\nruns\n") == 0 &&
	           STREQ(peer.got, STREAM) && !one->exists && idle(dom) &&
	           is(dom, VIR_DOMAIN_SHUTOFF, VIR_DOMAIN_SHUTOFF_MIGRATED) &&
	           there.flags == VIR_MIGRATE_LIVE,
	   "by libvirtd's own connection, all steps in one");
	there.unreachable = true;
	ok(peer_to_peer(0, NULL) < 0 && says("no route") && runs(dom) && idle(dom),
	   "a libvirt that is not there");
	there.unreachable = false;
	there.prepare_fails = true;
	ok(peer_to_peer(0, NULL) < 0 && says("no such bridge") && runs(dom) && idle(dom),
	   "one that refuses the guest");
	there.prepare_fails = false;
	fails.save = true;
	ok(peer_to_peer(0, NULL) < 0 && says("does not answer") && there.gave_up && runs(dom) && idle(dom),
	   "a guest that cannot be sent: the destination is told");
	fails.save = false;
	there.finish_fails = true;
	ok(peer_to_peer(0, "failed: no memory\n") < 0 && says("no memory there") && says("one") &&
	           says("other") && runs(dom) && idle(dom),
	   "one that cannot be started there goes on here, and the error names both");
	there.finish_fails = false;
	there.lost = true;
	ok(peer_to_peer(0, "starts\n") < 0 && says("not known") && suspended(dom) && idle(dom),
	   "the connection is lost, and nobody knows: it stays suspended");
	ok(peer_to_peer(0, "starts\nruns\n") == 0 && !one->exists,
	   "it runs there, as its own connection says");
	ok(peer_to_peer(0, NULL) < 0 && runs(dom), "it does not");
	there.tells = false;
	ok(peer_to_peer(0, NULL) < 0 && says("not known") && suspended(dom),
	   "libvirt's own driver does not say it");
	ok(peer_to_peer(VIR_MIGRATE_TUNNELLED, NULL) < 0 && says("not known") && suspended(dom),
	   "nor does a tunnel");
	there.by_ssh = true;
	ok(peer_to_peer(VIR_MIGRATE_TUNNELLED, NULL) < 0 && says("not known") && suspended(dom),
	   "also where the connection's error is one of ssh's own");
	there.lost = there.by_ssh = false;
	ok(peer_to_peer(VIR_MIGRATE_TUNNELLED, NULL) == 0 && STREQ(there.got, STREAM) && !one->exists &&
	           idle(dom),
	   "through a tunnel");
	there.finish_fails = true;
	ok(peer_to_peer(VIR_MIGRATE_TUNNELLED, NULL) < 0 && runs(dom) && idle(dom),
	   "which fails there: it goes on");
	there.finish_fails = false;
	ok(peer_to_peer(VIR_MIGRATE_UNDEFINE_SOURCE | VIR_MIGRATE_PERSIST_DEST, "runs\n") == 0 &&
	           not_listed(dom),
	   "its definition goes with it when that is asked for");
}

static void test_offline(void)
{
	g_autofree char *cookie = NULL;
	g_autofree char *xml = NULL;
	g_autofree char *to = NULL;
	const unsigned int flags = VIR_MIGRATE_OFFLINE | VIR_MIGRATE_PERSIST_DEST;
	virDomainPtr d = define_xml(conn, XML("one", UUID1, ""));

	xml = begin(flags, &cookie);
	ok(xml && confirm(flags | VIR_MIGRATE_UNDEFINE_SOURCE, false) == 0 && not_listed(dom),
	   "offline: the definition leaves when that is asked for");
	ok(prepare(&to, flags) == 0 && finish(flags, false) == 0 && listed(dom) &&
	           define_is_persistent(dom) == 1 && state_of(dom, NULL) == VIR_DOMAIN_SHUTOFF && idle(dom),
	   "and comes");
	to = (g_free(to), NULL);
	ok(prepare(&to, flags) == 0 && finish(flags, true) < 0 && define_is_persistent(dom) == 1 && idle(dom),
	   "given up, what was here stays");
	define_undefine(dom);
	virObjectUnref(d);
}

int main(void)
{
	g_autofree char *dir = g_dir_make_tmp("xylem-migrate-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);

	migrateplay_begin(dir);
	test_begin();
	test_refusals();
	test_disks(dir);
	test_source();
	test_source_failures();
	test_source_orphan();
	test_source_restart();
	test_jobs();
	test_peer();
	test_destination();
	test_names();
	test_from_libvirts_own();
	test_destination_failures();
	test_locks();
	test_destination_restart();
	test_cookies();
	test_ports();
	test_offline();
	events_stop();
	virObjectUnref(dom);
	if (system(remove))
		return 1;
	return tap_end();
}
