/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is left of guests that end: core files and domains that are kept, on a host that the test plays. Whatever fails on the
 * way, what the policy says besides is done.
 */
#include <sys/statvfs.h>

#include "lifecycle.h"
#include "ended.h"

static GString *warnings; /* guarded by warnings_lock */
static GMutex warnings_lock;

static GLogWriterOutput collect(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
	gsize i;

	for (i = 0; level & G_LOG_LEVEL_WARNING && i < n; i++) {
		if (strcmp(fields[i].key, "MESSAGE"))
			continue;
		g_mutex_lock(&warnings_lock);
		g_string_append_printf(warnings, "%s\n", (const char *)fields[i].value);
		g_mutex_unlock(&warnings_lock);
	}
	return quiet(level, fields, n, data);
}

/* Whether a warning has all of these words in it; what was said is forgotten. */
static bool warned(const char *first, const char *second)
{
	bool is;

	g_mutex_lock(&warnings_lock);
	is = first && second && strstr(warnings->str, first) && strstr(warnings->str, second);
	if (!is)
		printf("# warnings: %s\n", warnings->str);
	g_string_truncate(warnings, 0);
	g_mutex_unlock(&warnings_lock);
	return is;
}

static bool set_policy(const struct test_guest *g, const char *event, const char *action)
{
	struct call *call = make("SetPolicy", g_variant_new("(sss)", g->uuid, event, action));
	bool good = call->good;

	end(call);
	return good;
}

static uint32_t crash_guest(struct test_guest *g, const char *action)
{
	new_guest(g);
	create(g, false);
	if (!set_policy(g, "crash", action)) {
		printf("Bail out! %s is refused\n", action);
		exit(1);
	}
	return fake_find(g->id);
}

/* The guest's domain ends, and what follows from that. */
static void crash(const struct test_guest *g, uint32_t domid)
{
	fake_stop(domid, XYL_SHUTDOWN_CRASH);
	settle(g);
}

static void age(const struct test_guest *g)
{
	struct guest *guest = guest_by_uuid(g->uuid);

	guest->journal->policy.started_us = 1;
	guest_unref(guest);
}

/* How many files begin so. */
static int files(const char *prefix)
{
	g_autoptr(GDir) folder = g_dir_open(dump_dir, 0, NULL);
	const char *name;
	int count = 0;

	while (folder && (name = g_dir_read_name(folder)) != NULL)
		count += g_str_has_prefix(name, prefix);
	return count;
}

static char *first_file(const char *prefix)
{
	g_autoptr(GDir) folder = g_dir_open(dump_dir, 0, NULL);
	const char *name;

	while (folder && (name = g_dir_read_name(folder)) != NULL) {
		if (g_str_has_prefix(name, prefix))
			return g_build_filename(dump_dir, name, NULL);
	}
	return NULL;
}

static void touch(const char *name)
{
	g_autofree char *path = g_build_filename(dump_dir, name, NULL);

	if (!g_file_set_contents(path, "x", 1, NULL))
		exit(1);
}

static bool there(const char *name)
{
	g_autofree char *path = g_build_filename(dump_dir, name, NULL);

	return !access(path, F_OK);
}

static void clean_dumps(void)
{
	for (;;) {
		g_autofree char *path = first_file("");

		if (!path)
			break;
		g_unlink(path);
	}
}

static void destroy(const char *uuid)
{
	end(make("Destroy", g_variant_new("(s)", uuid)));
}

/* ---- core files ---- */

static void test_dumped(void)
{
	struct test_guest g;
	g_autofree char *path = NULL;
	g_autofree char *text = NULL;
	uint32_t domid = crash_guest(&g, "coredump-destroy");
	GStatBuf info;

	g_rmdir(dump_dir); /* its folder is made */
	crash(&g, domid);
	path = first_file(g.uuid);
	tap_ok(path && g_file_get_contents(path, &text, NULL, NULL) && !strcmp(text, "core, 0 pauses"),
	       "coredump-destroy: there is a core file");
	tap_ok(path && !g_stat(path, &info) && (info.st_mode & 0777) == 0600,
	       "for root alone, as a guest's memory is");
	tap_ok(path && g_regex_match_simple(
	                       "/ab[-0-9a-f]{34}-\\d{4}-\\d\\d-\\d\\d-\\d\\d:\\d\\d:\\d\\d\\.core$", path, 0,
	                       0),
	       "with guest and time in its name: %s", path ? path : "none");
	tap_ok(!fake_find(g.id) && !guest_by_uuid(g.uuid) && files(".") == 0, "then the guest is gone");
	clean_dumps();
	domid = crash_guest(&g, "coredump-restart");
	crash(&g, domid);
	tap_ok(files(g.uuid) == 1 && fake_find(g.id) && fake_find(g.id) != domid,
	       "coredump-restart: and it is started again");
	tap_ok(set_policy(&g, "poweroff", "coredump-destroy"), "any end may leave one");
	clean_dumps();
	fake_stop(fake_find(g.id), XYL_SHUTDOWN_POWEROFF);
	settle(&g);
	tap_ok(files(g.uuid) == 1 && !fake_find(g.id), "as a poweroff");
	clean_dumps();
}

static int64_t started_us(const struct test_guest *g)
{
	struct guest *guest = guest_by_uuid(g->uuid);
	int64_t at = guest ? guest->journal->policy.started_us : 0;

	guest_unref(guest);
	return at;
}

static void test_dump_time(void)
{
	struct test_guest g;
	uint32_t domid = crash_guest(&g, "coredump-restart");
	int64_t written;

	fake_gate(GATE_SAVE, false);
	fake_stop(domid, XYL_SHUTDOWN_CRASH);
	scan_request();
	UNTIL(fake_waiting(GATE_SAVE));
	g_usleep(1000);
	written = boottime_us();
	fake_gate(GATE_SAVE, true);
	settle(&g);
	tap_ok(fake_find(g.id) && fake_find(g.id) != domid && started_us(&g) >= written,
	       "the time that the core file took is not its next run's");
	if (!set_policy(&g, "crash", "rename-restart"))
		exit(1);
	domid = fake_find(g.id);
	fake_gate(GATE_GONE, false);
	fake_stop(domid, XYL_SHUTDOWN_CRASH);
	scan_request();
	UNTIL(fake_waiting(GATE_GONE));
	g_usleep(1000);
	written = boottime_us();
	fake_gate(GATE_GONE, true);
	settle(&g);
	tap_ok(fake_find(g.id) && fake_find(g.id) != domid && started_us(&g) >= written,
	       "nor is that which its devices took to let go");
	destroy(g.uuid);
	{
		struct guest *kept = guest_by_domid(domid);

		destroy(kept ? kept->uuid : "");
		guest_unref(kept);
	}
	clean_dumps();
}

/* What fails is logged with guest, path and reason, and leaves nothing; the policy goes on. */
static void test_dump_fails(void)
{
	struct test_guest g;
	uint32_t domid = crash_guest(&g, "coredump-restart");
	g_autofree char *aside = g_strconcat(dump_dir, ".aside", NULL);
	g_autofree char *part = g_strdup_printf(".%s.part", g.uuid);

	fake_save_error = ENOSPC;
	crash(&g, domid);
	fake_save_error = 0;
	tap_ok(warned(g.uuid, dump_dir) && files("") == 0 && fake_find(g.id) && fake_find(g.id) != domid,
	       "a disk that is full: it is said, nothing is left, and the guest is started again");
	domid = fake_find(g.id);
	fake_lock();
	fake_domains[domid].memory_pages = UINT64_C(1) << 50;
	fake_unlock();
	crash(&g, domid);
	tap_ok(warned(dump_dir, "KiB free") && files("") == 0 && fake_find(g.id) != domid && fake_find(g.id),
	       "a core that does not fit is not begun");
	domid = fake_find(g.id);
	if (g_rename(dump_dir, aside) || !g_file_set_contents(dump_dir, "x", 1, NULL))
		exit(1);
	crash(&g, domid);
	tap_ok(warned(g.uuid, dump_dir) && fake_find(g.id) != domid && fake_find(g.id), "no folder");
	if (g_unlink(dump_dir) || g_rename(aside, dump_dir))
		exit(1);
	domid = fake_find(g.id);
	touch(part);
	crash(&g, domid);
	tap_ok(files(g.uuid) == 1 && files(".") == 0 && fake_find(g.id) != domid && fake_find(g.id),
	       "what a killed xylemd had begun goes");
	destroy(g.uuid);
	clean_dumps();
}

static void test_dump_bounds(void)
{
	static const char *const others[] = { "-2001-01-01-00:00:00", "-2001-01-01-00:00:00.core.gz",
		                              "-2-2001-01-01-00:00:00.core", "-2001-01-01-00:00:0x.core" };
	struct test_guest g;
	uint32_t domid = crash_guest(&g, "coredump-restart");
	g_autofree char *oldest = g_strdup_printf("%s-2001-01-01-00:00:00.core", g.uuid);
	bool all = true;
	guint i;

	for (i = 0; i < 5; i++) {
		g_autofree char *name = g_strdup_printf("%s-2001-01-01-00:00:%02u.core", g.uuid, i);

		touch(name);
	}
	for (i = 0; i < G_N_ELEMENTS(others); i++) {
		g_autofree char *name = g_strconcat(g.uuid, others[i], NULL);

		touch(name);
	}
	crash(&g, domid);
	tap_ok(files(g.uuid) == 3 + (int)G_N_ELEMENTS(others) && !there(oldest),
	       "of core files the newest three stay");
	for (i = 0; i < G_N_ELEMENTS(others); i++) {
		g_autofree char *name = g_strconcat(g.uuid, others[i], NULL);

		all = all && there(name);
	}
	tap_ok(all, "and whatever has another name");
	for (i = 0; i < POLICY_QUICK_RUNS_MAX && fake_find(g.id); i++)
		crash(&g, fake_find(g.id));
	tap_ok(!fake_find(g.id) && i == POLICY_QUICK_RUNS_MAX - 1,
	       "a guest that crashes in a loop is not started again, either");
	clean_dumps();
}

static void crash_soon(const struct test_guest *g)
{
	fake_stop(fake_find(g->id), XYL_SHUTDOWN_CRASH);
	scan_request();
}

static void finish_dumps(const struct test_guest *a, const struct test_guest *b)
{
	fake_gate(GATE_SAVE, true);
	settle(a);
	settle(b);
}

/* Two guests crash at once. */
static void test_dump_two(void)
{
	g_autofree char *long_name = g_strnfill(200, 'x');
	struct test_guest a, b;
	struct statvfs fs;
	uint32_t domids[2];
	int i;

	name_prefix = long_name;
	crash_guest(&a, "coredump-restart");
	crash_guest(&b, "coredump-restart");
	name_prefix = "";
	fake_gate(GATE_SAVE, false);
	crash_soon(&a);
	crash_soon(&b);
	UNTIL(fake_waiting(GATE_SAVE) == 2);
	tap_ok(files(".") == 2, "two guests whose long names begin alike are dumped at once");
	finish_dumps(&a, &b);
	tap_ok(files("x") == 2 && files(".") == 0, "each has its core file");
	for (i = 0; i < 5; i++) {
		g_autofree char *name =
		        g_strdup_printf("%.180s-%s-2001-01-01-00:00:%02u.core", long_name, a.uuid, i);

		touch(name);
	}
	crash(&a, fake_find(a.id));
	tap_ok(files("x") == 4, "and the one's old ones go, and not the other's");
	clean_dumps();
	if (statvfs(dump_dir, &fs))
		exit(1);
	domids[0] = fake_find(a.id);
	domids[1] = fake_find(b.id);
	fake_lock();
	for (i = 0; i < 2; i++)
		fake_domains[domids[i]].memory_pages = (uint64_t)fs.f_bavail * fs.f_frsize / 4096 * 6 / 10;
	fake_unlock();
	fake_gate(GATE_SAVE, false);
	warned(NULL, NULL);
	crash_soon(&a);
	UNTIL(fake_waiting(GATE_SAVE) == 1);
	crash_soon(&b);
	settle(&b);
	tap_ok(warned(b.uuid, "KiB free") && fake_waiting(GATE_SAVE) == 1 && fake_find(b.id) != domids[1],
	       "where there is room for either, and not for both, the second is not dumped");
	finish_dumps(&a, &b);
	tap_ok(files("x") == 1, "and the first is");
	domids[0] = fake_find(a.id);
	fake_lock();
	fake_domains[domids[0]].memory_pages = (uint64_t)fs.f_bavail * fs.f_frsize / 4096 * 6 / 10;
	fake_unlock();
	clean_dumps();
	crash(&a, domids[0]);
	tap_ok(files("x") == 1, "then there is room again");
	destroy(a.uuid);
	destroy(b.uuid);
	clean_dumps();
}

/* Whether none is left in the end. */
static bool files_go(void)
{
	gint64 until = g_get_monotonic_time() + DEADLINE;

	while (files("") && g_get_monotonic_time() < until)
		g_main_context_iteration(NULL, TRUE);
	return !files("");
}

/* The disk of the core files hangs: whoever waits for it goes on, and the others, too. */
static void test_dump_hangs(void)
{
	struct test_guest a, b;
	uint32_t domid = crash_guest(&a, "coredump-restart"), domid_b = crash_guest(&b, "coredump-restart");
	struct call *call;

	fake_gate(GATE_DISK, false);
	crash_soon(&a);
	UNTIL(fake_waiting(GATE_DISK) == 1);
	UNTIL(fake_find(a.id) && fake_find(a.id) != domid);
	settle(&a);
	tap_ok(warned(a.uuid, "does not answer"),
	       "a disk that does not answer: the guest is started without");
	crash(&b, domid_b);
	tap_ok(warned(b.uuid, "an earlier one") && fake_find(b.id) && fake_find(b.id) != domid_b &&
	               fake_waiting(GATE_DISK) == 1,
	       "another one is not dumped");
	fake_gate(GATE_DISK, true);
	tap_ok(files_go(), "when it answers nothing is left of it");
	crash(&b, fake_find(b.id));
	tap_ok(files(b.uuid) == 1, "and the next is dumped again");
	clean_dumps();
	fake_gate(GATE_DISK, false);
	crash_soon(&a);
	UNTIL(fake_waiting(GATE_DISK) == 1);
	call = make("Destroy", g_variant_new("(s)", a.uuid));
	tap_ok(call->good && !fake_find(a.id) && fake_waiting(GATE_DISK) == 1,
	       "Destroy does not wait for it");
	end(call);
	fake_gate(GATE_DISK, true);
	UNTIL(files("") == 0);
	destroy(b.uuid);
}

static void test_dumps_begun(void)
{
	static const char *const others[] = { ".notes.part", "x.part",
		                              ".ab000000-0000-0000-0000-000000000001",
		                              ".ab000000-0000-0000-0000-0000000000x1.part" };
	static const char begun[] = ".ab000000-0000-0000-0000-00000000ffff.part";
	bool all = true;
	guint i;

	touch(begun);
	for (i = 0; i < G_N_ELEMENTS(others); i++)
		touch(others[i]);
	ended_begin();
	UNTIL(!there(begun));
	for (i = 0; i < G_N_ELEMENTS(others); i++)
		all = all && there(others[i]);
	tap_ok(all, "what an earlier xylemd had begun goes, and nothing else");
	clean_dumps();
}

static void test_dump_cut_off(void)
{
	struct test_guest g;
	uint32_t domid = crash_guest(&g, "coredump-restart");
	struct call *call;

	fake_gate(GATE_SAVE, false);
	fake_stop(domid, XYL_SHUTDOWN_CRASH);
	scan_request();
	UNTIL(fake_waiting(GATE_SAVE));
	end(make("Cancel", g_variant_new("(s)", g.uuid)));
	settle(&g);
	tap_ok(warned(g.uuid, "cancelled") && files("") == 0 && fake_find(g.id) && fake_find(g.id) != domid,
	       "Cancel: no core file, and the guest is started again");
	domid = fake_find(g.id);
	fake_stop(domid, XYL_SHUTDOWN_CRASH);
	scan_request();
	UNTIL(fake_waiting(GATE_SAVE));
	call = make("Destroy", g_variant_new("(s)", g.uuid));
	tap_ok(call->good && files("") == 0 && !fake_find(g.id) && !guest_by_uuid(g.uuid),
	       "Destroy does not wait for it");
	end(call);
	fake_gate(GATE_SAVE, true);
}

/* ---- a domain that is kept ---- */

/* The guest that has this domain, a reference, or NULL. */
static char *text_of(uint32_t domid, const char *leaf)
{
	g_autofree char *path = g_strdup_printf("/local/domain/%u/%s", domid, leaf);

	return fake_read(path);
}

static bool has_devices(uint32_t domid)
{
	g_autofree char *path = g_strdup_printf("/local/domain/0/backend/vbd/%u", domid);
	size_t count = 0;
	char **names = xyl_store_directory(NULL, XYL_TX_NONE, path, &count);

	free(names);
	return count > 0;
}

static void test_kept(void)
{
	struct test_guest g;
	uint32_t domid = crash_guest(&g, "rename-restart"), next;
	g_autofree char *name = NULL;
	g_autofree char *vm = NULL;
	g_autofree char *uuid = NULL;
	struct guest *kept, *second;

	crash(&g, domid);
	next = fake_find(g.id);
	kept = guest_by_domid(domid);
	name = text_of(domid, "name");
	tap_ok(next && next != domid && kept && fake_domains[domid].there && fake_domains[domid].shutdown,
	       "rename-restart: the guest is started again, and its ended domain stays");
	uuid = g_strdup(kept ? kept->uuid : "none");
	vm = text_of(domid, "vm");
	tap_ok(name && !g_strcmp0(name, kept ? kept->name : NULL) && g_str_has_prefix(name, g.uuid) &&
	               g_regex_match_simple("-\\d{8}T\\d{4}Z$", name, 0, 0) && vm &&
	               g_str_has_suffix(vm, uuid),
	       "under the name that xl gives it: %s", name ? name : "none");
	tap_ok(!has_devices(domid) && has_devices(next), "its disks are the guest's next domain's");
	guest_unref(kept);
	age(&g);
	crash(&g, next);
	tap_ok(warned(g.uuid, name) && fake_find(g.id) && fake_find(g.id) != next &&
	               !fake_domains[next].there && fake_domains[domid].there,
	       "there is one at a time: of the next end nothing stays");
	/* xylemd is killed and started again. */
	second = guest_by_uuid(g.uuid);
	kept = guest_by_uuid(uuid);
	guest_unregister(kept);
	guest_unregister(second);
	guest_unref(kept);
	guest_unref(second);
	scan_adopt_all();
	settle(&g);
	next = fake_find(g.id);
	kept = guest_by_uuid(uuid);
	tap_ok(kept && fake_domains[domid].there && fake_domains[next].there && !fake_domains[next].shutdown,
	       "both are taken over by the next xylemd");
	guest_unref(kept);
	age(&g);
	crash(&g, next);
	tap_ok(!fake_domains[next].there && fake_domains[domid].there, "which knows that there is one");
	destroy(uuid);
	tap_ok(!fake_domains[domid].there && fake_find(g.id), "Destroy ends the kept one alone");
	age(&g);
	next = fake_find(g.id);
	crash(&g, next);
	kept = guest_by_domid(next);
	tap_ok(kept && fake_domains[next].there && fake_find(g.id), "then there may be another one");
	destroy(g.uuid);
	tap_ok(fake_domains[next].there, "which is there without the guest, too");
	destroy(kept ? kept->uuid : "");
	guest_unref(kept);
	tap_ok(!fake_domains[next].there, "and ends");
}

/* Whatever keeps it from being kept: the guest is started again. */
static void test_not_kept(void)
{
	struct test_guest g, other;
	uint32_t domid = crash_guest(&g, "rename-restart");
	uint64_t had = fake_free_pages;

	fake_no_rename = true;
	crash(&g, domid);
	fake_no_rename = false;
	tap_ok(warned(g.uuid, "not kept") && !fake_domains[domid].there && fake_find(g.id),
	       "a hypervisor that does not rename it");
	age(&g);
	domid = fake_find(g.id);
	fake_free_pages = 1;
	crash(&g, domid);
	fake_free_pages = had;
	tap_ok(warned(g.uuid, "memory") && !fake_domains[domid].there && fake_find(g.id),
	       "a host that has not the memory for both");
	age(&g);
	domid = fake_find(g.id);
	fake_free_pages = 65536 / 4;
	crash(&g, domid);
	fake_free_pages = had;
	tap_ok(warned(g.uuid, "memory") && !fake_domains[domid].there && fake_find(g.id),
	       "or just that, and nothing for what a domain takes besides");
	age(&g);
	domid = fake_find(g.id);
	fake_claimed_pages = had + 1;
	crash(&g, domid);
	fake_claimed_pages = 0;
	tap_ok(warned(g.uuid, "memory") && !fake_domains[domid].there && fake_find(g.id),
	       "or whose memory others have claimed, to more than there is");
	age(&g);
	domid = fake_find(g.id);
	fake_gate(GATE_GONE, false);
	fake_stop(domid, XYL_SHUTDOWN_CRASH);
	scan_request();
	UNTIL(fake_waiting(GATE_GONE));
	{
		struct call *call = begin("Destroy", g_variant_new("(s)", g.uuid));

		UNTIL(!fake_find(g.id));
		fake_gate(GATE_GONE, true);
		UNTIL(call->done);
		tap_ok(call->good && !guest_by_uuid(g.uuid) && !guest_by_domid(domid),
		       "Destroy comes meanwhile: nothing stays");
		end(call);
	}
	domid = crash_guest(&other, "rename-restart");
	while (fake_find(other.id)) {
		uint32_t now = fake_find(other.id);

		crash(&other, now);
	}
	tap_ok(guest_by_domid(domid) && !guest_by_uuid(other.uuid),
	       "one that crashes in a loop leaves one, and is not started again");
	{
		struct guest *kept = guest_by_domid(domid);

		destroy(kept->uuid);
		guest_unref(kept);
	}
}

/* xylemd is killed when the domain has its new UUID already: the one is built anew, the other one kept. */
static void test_kept_cut_off(bool renamed)
{
	static const uint8_t id[16] = { 0xee, 1 };
	struct test_guest g;
	uint32_t domid = crash_guest(&g, "rename-restart");
	struct guest *guest = guest_by_uuid(g.uuid);
	g_autoptr(GVariant) conf = g_variant_ref_sink(configuration(&g));
	struct journal *journal;
	GVariantDict dict;

	g_variant_dict_init(&dict, conf);
	g_variant_dict_insert(&dict, "name", "s", "kept");
	g_variant_dict_insert(&dict, "uuid", "s", "ee010000-0000-0000-0000-000000000000");
	g_variant_dict_insert(&dict, "on_crash", "s", "preserve");
	g_variant_dict_remove(&dict, "disks");
	g_variant_dict_remove(&dict, "nics");
	g_clear_pointer(&conf, g_variant_unref);
	conf = g_variant_ref_sink(g_variant_dict_end(&dict));
	journal = journal_new(guestconf_parse(conf, NULL));
	journal->domid = domid;
	journal->phase = JOURNAL_RUNNING;
	journal->kept_of = g_strdup(g.uuid);
	guest_save(guest, JOURNAL_RESTART);
	if (!journal_save(dir, journal, conf, NULL))
		exit(1);
	journal_free(journal);
	fake_lock();
	fake_domains[domid].shutdown = true;
	fake_domains[domid].reason = XYL_SHUTDOWN_CRASH;
	if (renamed)
		memcpy(fake_domains[domid].uuid, id, 16);
	fake_unlock();
	guest_unregister(guest);
	guest_unref(guest);
	scan_adopt_all();
	settle(&g);
	UNTIL(fake_find(g.id) && fake_find(g.id) != domid);
	settle(&g);
	guest = guest_by_domid(domid);
	tap_ok(renamed ? guest && fake_domains[domid].there : !guest && !fake_domains[domid].there,
	       "xylemd is killed %s: the guest is started again, and its domain is %s",
	       renamed ? "when the domain has its new name" : "before that", renamed ? "kept" : "gone");
	tap_ok(guest_by_domid(fake_find(g.id)) != NULL, "and known");
	if (guest)
		destroy(guest->uuid);
	guest_unref(guest);
	destroy(g.uuid);
}

int main(void)
{
	warnings = g_string_new(NULL);
	g_log_set_writer_func(collect, NULL, NULL);
	set_up();
	test_dumped();
	test_dump_time();
	test_dump_fails();
	test_dump_bounds();
	test_dump_cut_off();
	test_dump_two();
	test_dump_hangs();
	test_dumps_begun();
	test_kept();
	test_not_kept();
	test_kept_cut_off(true);
	test_kept_cut_off(false);
	g_rmdir(dir);
	g_free(dir);
	tap_ok(!g_rmdir(dump_dir), "nothing is left behind");
	g_free(dump_dir);
	return tap_end();
}
