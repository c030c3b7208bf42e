/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What happens beside a migration's protocol: definitions, limits, locks and aborts that come meanwhile, disks that are full, an
 * xylemd that comes back, hosts that do not answer.
 */
#include <sys/resource.h>
#include <time.h>

#include "migrateplay.h"

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

int main(void)
{
	g_autofree char *dir = g_dir_make_tmp("xylem-migrate-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);

	migrateplay_begin(dir);
	define_undefine(dom);
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
