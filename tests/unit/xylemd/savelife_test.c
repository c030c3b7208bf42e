/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests that are saved, restored and dumped through xylemd's socket, on a host that the test plays: whatever fails, is
 * cancelled or destroyed, there is one guest that can run or one complete stream.
 */
#include "drain.h"
#include "save.h"
#include "savelife.h"

/* ---- saving ---- */

static void test_save_and_restore(void)
{
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	g_autofree char *path = NULL;
	g_autofree char *node = NULL;
	char text[64] = "";
	int fd = scratch();
	struct call *call;

	tap_ok(succeeded(begin_save(&g, fd)), "save: the guest suspends and is written");
	settle(&g);
	tap_ok(pread(fd, text, sizeof(text) - 1, 0) > 0 && !strcmp(text, FAKE_STREAM) &&
	               fake_find(g.id) == domid && !runs(domid),
	       "the stream is complete; the guest is kept, and does not run");
	call = make("Pause", g_variant_new("(s)", g.uuid));
	tap_ok(refused(call, "Busy"), "what needs a guest that runs is refused meanwhile");
	tap_ok(refused(begin_save(&g, fd), "Busy"), "another save too");
	tap_ok(destroyed(&g), "Destroy ends it");
	lseek(fd, 0, SEEK_SET);
	tap_ok(succeeded(begin_stream("Restore", g_variant_new("(@a{sv}hu)", configuration(&g), 0, 0), fd)) &&
	               runs(fake_find(g.id)),
	       "restore: it runs again");
	path = g_strdup_printf("/local/domain/%u/control/feature-suspend", fake_find(g.id));
	node = fake_read(path);
	tap_ok(!g_strcmp0(node, "1"),
	       "and can be saved again, although its kernel does not say so a second time");
	tap_ok(destroyed(&g), "and ends as any other");
	lseek(fd, 3, SEEK_SET);
	tap_ok(refused(begin_stream("Restore", g_variant_new("(@a{sv}hu)", configuration(&g), 0, 0), fd),
	               "Stream"),
	       "a damaged stream is refused");
	settle(&g);
	tap_ok(!fake_find(g.id) && !guest_by_uuid(g.uuid), "and nothing is left of the guest");
	tap_ok(refused(begin_stream("Restore", g_variant_new("(@a{sv}hu)", configuration(&g), 0, 0), -1),
	               "InvalidArgument") &&
	               refused(begin_stream("Restore", g_variant_new("(@a{sv}hu)", configuration(&g), 7, 0),
	                                    fd),
	                       "InvalidArgument"),
	       "a call without a descriptor is refused");
	close(fd);
}

static void test_resume(void)
{
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	int fd = scratch();

	tap_ok(refused(begin("Resume", g_variant_new("(s)", g.uuid)), "Busy"),
	       "resume: one that runs cannot be resumed");
	tap_ok(succeeded(begin_save(&g, fd)) && succeeded(begin("Resume", g_variant_new("(s)", g.uuid))) &&
	               runs(domid),
	       "a saved guest goes on");
	tap_ok(succeeded(begin_save(&g, fd)) && succeeded(begin("Resume", g_variant_new("(s)", g.uuid))) &&
	               runs(domid),
	       "and is saved again, and goes on");
	fake_stop(domid, XYL_SHUTDOWN_POWEROFF);
	settle(&g);
	tap_ok(!fake_find(g.id), "its own end is noticed as before");
	domid = saveable(&g, true);
	tap_ok(succeeded(begin_save(&g, fd)) && succeeded(begin("Resume", g_variant_new("(s)", g.uuid))) &&
	               !runs(domid) && fake_domains[domid].pauses == 1 && !fake_domains[domid].shutdown,
	       "one that was paused is saved, and paused again");
	destroyed(&g);
	close(fd);
}

/* Whatever goes wrong, the guest runs on. */
static void test_save_fails(void)
{
	g_autofree char *pending = NULL;
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	g_autofree char *path = g_strdup_printf("/local/domain/%u/control/feature-suspend", domid);
	int fd = scratch();
	struct call *call;

	fake_save_error = EIO;
	tap_ok(refused(begin_save(&g, fd), "Stream") && runs(domid),
	       "a stream that cannot be written: it runs on");
	fake_save_error = 0;
	fake_gate(GATE_SAVE, false);
	call = begin_save(&g, fd);
	UNTIL(fake_waiting(GATE_SAVE));
	tap_ok(succeeded(begin("Cancel", g_variant_new("(s)", g.uuid))) && refused(call, "Cancelled") &&
	               runs(domid),
	       "cancelled while it is written: it runs on");
	fake_gate(GATE_SAVE, true);
	tap_ok(refused(begin("Cancel", g_variant_new("(s)", g.uuid)), "NotFound"),
	       "then there is nothing to cancel");
	fake_suspend = FAKE_IGNORES;
	tap_ok(refused(begin_save(&g, fd), "Timeout") && runs(domid) && !asked(domid),
	       "a guest that does not answer: the request is taken back");
	fake_suspend = FAKE_ACKNOWLEDGES;
	tap_ok(refused(begin_save(&g, fd), "Timeout") && runs(domid),
	       "one that answers and does not suspend");
	tap_ok(suspends_and_goes_on(domid), "and does so later: it goes on");
	fake_suspend = FAKE_SUSPENDS;
	fake_write(path, "0");
	tap_ok(refused(begin_save(&g, fd), "NotSupported") && runs(domid) && !asked(domid),
	       "a kernel that says that it cannot suspend is not asked");
	fake_write(path, "1");
	pending = g_strdup_printf("/local/domain/%u/control/shutdown", domid);
	fake_write(pending, "poweroff");
	tap_ok(refused(begin_save(&g, fd), "Busy") && asked(domid), "an earlier request is not overwritten");
	fake_write(pending, "\xff\xfe\n\x1b]0;title\x07");
	tap_ok(refused(begin_save(&g, fd), "Busy"), "nor one that is no text, which is told as such");
	fake_write(pending, "poweroff");
	fake_write(pending, "");
	fake_suspend = FAKE_IGNORES;
	call = begin_save(&g, fd);
	UNTIL(asked(domid));
	fake_stop(domid, XYL_SHUTDOWN_POWEROFF);
	tap_ok(refused(call, "Busy"), "a guest that powers off instead");
	settle(&g);
	tap_ok(!fake_find(g.id), "is dealt with by its policy");
	fake_suspend = FAKE_SUSPENDS;
	saveable(&g, false);
	fake_gate(GATE_SAVE, false);
	call = begin_save(&g, fd);
	UNTIL(fake_waiting(GATE_SAVE));
	tap_ok(destroyed(&g) && !succeeded(call), "Destroy ends a save and its guest");
	fake_gate(GATE_SAVE, true);
	close(fd);
}

/* Linux before 4.11, and NetBSD, do not say that they can, and one that boots does not say it yet. */
static void test_suspend_unsaid(void)
{
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	g_autofree char *feature = g_strdup_printf("/local/domain/%u/control/feature-suspend", domid);
	int fd = scratch();

	fake_write(feature, "");
	tap_ok(succeeded(begin_save(&g, fd)) && succeeded(begin("Resume", g_variant_new("(s)", g.uuid))) &&
	               succeeded(begin_live(&g, fd)) &&
	               succeeded(begin("Resume", g_variant_new("(s)", g.uuid))) && runs(domid),
	       "a kernel that does not say that it can suspend is asked, and does");
	fake_suspend = FAKE_IGNORES;
	tap_ok(refused(begin_save(&g, fd), "Timeout") && runs(domid) && !asked(domid),
	       "one that cannot: the request is taken back");
	fake_suspend = FAKE_SUSPENDS;
	destroyed(&g);
	close(fd);
}

/* A Linux whose processes did not freeze in time goes on as if nobody had asked. */
static void test_suspend_second(void)
{
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	int fd = scratch(), asks = g_atomic_int_get(&fake_asks);

	fake_suspend = FAKE_SECOND;
	tap_ok(succeeded(begin_save(&g, fd)) && succeeded(begin("Resume", g_variant_new("(s)", g.uuid))) &&
	               runs(domid) && !asked(domid) && g_atomic_int_get(&fake_asks) == asks + 2,
	       "a guest that let go of a request is asked a second time");
	tap_ok(stays_suspended(&g, domid), "and no answer is expected any more");
	destroyed(&g);
	domid = saveable(&g, false);
	asks = g_atomic_int_get(&fake_asks);
	fake_suspend = FAKE_ACKNOWLEDGES;
	tap_ok(refused(begin_save(&g, fd), "Timeout") && runs(domid) && !asked(domid) &&
	               g_atomic_int_get(&fake_asks) == asks + 2,
	       "one that lets go of each is asked twice, and runs on");
	tap_ok(suspends_and_goes_on(domid), "a late answer of it is undone");
	destroyed(&g);
	domid = saveable(&g, false);
	asks = g_atomic_int_get(&fake_asks);
	{
		struct call *call = begin_save(&g, fd);

		UNTIL(g_atomic_int_get(&fake_asks) == asks + 1);
		fake_suspend = FAKE_IGNORES;
		UNTIL(asked(domid));
		fake_stop(domid, XYL_SHUTDOWN_SUSPEND);
		tap_ok(succeeded(call) && !asked(domid), "one that was only slow does not find the second");
	}
	fake_suspend = FAKE_SUSPENDS;
	destroyed(&g);
	close(fd);
}

/* The guest names a port for its suspend: any text that it likes. */
static void test_suspend_port(void)
{
	static const char *const hostile[] = { "0",  "-1",   "+5",         " 5", "5 ", "0x5",  "4294967301",
		                               "5x", "1e99", "4294967295", "6",  "%s", "\377", "" };
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	g_autofree char *node = g_strdup_printf("/local/domain/%u/device/suspend/event-channel", domid);
	g_autofree char *feature = g_strdup_printf("/local/domain/%u/control/feature-suspend", domid);
	g_autofree char *endless = g_strnfill(2000, '5');
	int fd = scratch();
	bool all = true;
	unsigned i;

	fake_suspend_port = 5;
	fake_write(node, "5");
	fake_write(feature, "0");
	tap_ok(succeeded(begin_save(&g, fd)) && !asked(domid) && !fake_channels,
	       "a guest that names an event channel is asked by it, and the channel is closed again");
	tap_ok(succeeded(begin("Resume", g_variant_new("(s)", g.uuid))) && succeeded(begin_live(&g, fd)) &&
	               succeeded(begin("Resume", g_variant_new("(s)", g.uuid))) && runs(domid),
	       "once more, live");
	fake_suspend = FAKE_IGNORES;
	tap_ok(refused(begin_save(&g, fd), "Timeout") && runs(domid) && !asked(domid),
	       "one that does not answer: it runs on");
	tap_ok(suspends_and_goes_on(domid), "and does so later: it goes on");
	fake_suspend = FAKE_SUSPENDS;
	fake_write(feature, "1");
	fake_no_event = true;
	tap_ok(succeeded(begin_save(&g, fd)) && succeeded(begin("Resume", g_variant_new("(s)", g.uuid))),
	       "where no event can be sent it is asked through the store");
	fake_no_event = false;
	for (i = 0; i <= G_N_ELEMENTS(hostile); i++) {
		fake_write(node, i < G_N_ELEMENTS(hostile) ? hostile[i] : endless);
		all = all && succeeded(begin_save(&g, fd)) && !fake_channels &&
		      succeeded(begin("Resume", g_variant_new("(s)", g.uuid)));
	}
	tap_ok(all, "and where what it names is no port, or not one of its own");
	fake_write(feature, "0");
	fake_write(node, "no port");
	tap_ok(refused(begin_save(&g, fd), "NotSupported") && runs(domid),
	       "that alone says nothing of its kernel");
	fake_suspend_port = 0;
	destroyed(&g);
	close(fd);
}

/* A save that the guest has been asked for. */
static struct call *begin_asked(const struct test_guest *g, int fd)
{
	int before = g_atomic_int_get(&fake_asks);
	struct call *call = begin_save(g, fd);

	UNTIL(g_atomic_int_get(&fake_asks) > before);
	return call;
}

static bool cancelled(const struct test_guest *g, struct call *call)
{
	return succeeded(begin("Cancel", g_variant_new("(s)", g->uuid))) && refused(call, "Cancelled");
}

/* Requests that cannot be taken back: what each of them brings about later is undone, and nothing else. */
static void test_cancelled_asked(bool by_event)
{
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	g_autofree char *node = g_strdup_printf("/local/domain/%u/device/suspend/event-channel", domid);
	const char *how = by_event ? "by an event" : "in its store";
	int fd = scratch();

	fake_suspend_port = by_event ? 5 : 0;
	fake_write(node, by_event ? "5" : "");
	fake_suspend = by_event ? FAKE_IGNORES : FAKE_ACKNOWLEDGES;
	tap_ok(cancelled(&g, begin_asked(&g, fd)) && runs(domid),
	       "a save that is cancelled when its guest was asked %s ends at once", how);
	tap_ok(suspends_and_goes_on(domid), "the guest suspends then: it goes on");
	tap_ok(cancelled(&g, begin_asked(&g, fd)) && cancelled(&g, begin_asked(&g, fd)), "two of them");
	tap_ok(suspends_and_goes_on(domid) && suspends_and_goes_on(domid), "it suspends twice, and goes on");
	if (!cancelled(&g, begin_asked(&g, fd)))
		exit(1);
	{
		struct call *call = begin_asked(&g, fd);

		suspend_late(domid);
		tap_ok(succeeded(call) && succeeded(begin("Resume", g_variant_new("(s)", g.uuid))) &&
		               runs(domid),
		       "one, and another that succeeds");
	}
	tap_ok(suspends_and_goes_on(domid), "the second request comes after that was resumed: it goes on");
	tap_ok(stays_suspended(&g, domid) && fake_find(g.id) == domid, "a suspend of its own is its own");
	fake_suspend = FAKE_SUSPENDS;
	fake_suspend_port = 0;
	destroyed(&g);
	close(fd);
}

static bool dumps(const struct test_guest *g, guint flags, const char *wanted)
{
	char text[64] = "";
	int fd = scratch();
	bool good = succeeded(begin_stream("Dump", g_variant_new("(shu)", g->uuid, 0, flags), fd)) &&
	            pread(fd, text, sizeof(text) - 1, 0) > 0 && !strcmp(text, wanted);

	close(fd);
	return good;
}

static void test_dump(void)
{
	struct test_guest g;
	int fd = scratch();
	uint32_t domid;

	new_guest(&g);
	create(&g, false);
	domid = fake_find(g.id);
	tap_ok(dumps(&g, 0, "core, 1 pauses") && runs(domid), "dump: the guest is paused for it");
	tap_ok(dumps(&g, 1, "core, 0 pauses") && runs(domid), "or not");
	fake_save_error = EIO;
	tap_ok(refused(begin_stream("Dump", g_variant_new("(shu)", g.uuid, 0, 0), fd), "Stream") &&
	               runs(domid),
	       "a file that cannot be written: it runs on");
	fake_save_error = 0;
	tap_ok(refused(begin_stream("Dump", g_variant_new("(shu)", g.uuid, 0, 2), fd), "InvalidArgument") &&
	               refused(begin_stream("Dump", g_variant_new("(shu)", g.uuid, 0, 0), -1),
	                       "InvalidArgument"),
	       "flags and descriptors are checked");
	tap_ok(succeeded(begin("SetPolicy", g_variant_new("(sss)", g.uuid, "crash", "preserve"))),
	       "a guest that is kept");
	fake_stop(domid, XYL_SHUTDOWN_CRASH);
	settle(&g);
	tap_ok(dumps(&g, 0, "core, 1 pauses") && !runs(domid), "is dumped, too, and stays as it is");
	destroyed(&g);
	close(fd);
}

static void test_job(void)
{
	struct test_guest g;
	g_autoptr(GVariant) domain = NULL;
	g_autoptr(GVariant) job = NULL;
	guint64 done = 0, total = 0;
	const char *what = "";
	struct call *call, *get;
	int fd = scratch();

	saveable(&g, false);
	fake_gate(GATE_SAVE, false);
	call = begin_save(&g, fd);
	UNTIL(fake_waiting(GATE_SAVE));
	get = make("Get", g_variant_new("(s)", g.uuid));
	domain = g_variant_get_child_value(get->answer, 0);
	job = g_variant_lookup_value(domain, "job", G_VARIANT_TYPE_VARDICT);
	if (job) {
		g_variant_lookup(job, "what", "&s", &what);
		g_variant_lookup(job, "pages_done", "t", &done);
		g_variant_lookup(job, "pages_total", "t", &total);
	}
	tap_ok(job && !strcmp(what, "save") && total == 100 && done <= 50,
	       "Get tells how far a save has come");
	end(get);
	fake_gate(GATE_SAVE, true);
	tap_ok(succeeded(call), "and it ends");
	destroyed(&g);
	close(fd);
}

/* ---- live ---- */

static struct call *set_migration(const char *uuid, const char *limits)
{
	return make("SetMigration", g_variant_new("(s@a{sv})", uuid, g_variant_new_parsed(limits)));
}

static bool limits_are(uint64_t bandwidth, uint64_t max_downtime_us)
{
	bool are;

	fake_lock();
	are = fake_live_limits.bandwidth == bandwidth && fake_live_limits.max_downtime_us == max_downtime_us;
	fake_unlock();
	return are;
}

static void test_live(void)
{
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	char text[64] = "";
	int fd = scratch();
	struct call *call;

	fake_gate(GATE_ROUNDS, false);
	fake_gate(GATE_SAVE, false);
	call = begin_live(&g, fd);
	UNTIL(fake_waiting(GATE_ROUNDS));
	tap_ok(runs(domid) && logs(domid) && !asked(domid), "live: the guest runs while it is written");
	UNTIL(job_number(&g, "round") == 1);
	tap_ok(job_number(&g, "dirty_pages") == 60 && job_number(&g, "rate") == 7 &&
	               !job_number(&g, "downtime_us"),
	       "Get tells of its rounds");
	tap_ok(succeeded(set_migration(g.uuid, "{'bandwidth': <uint64 5>, 'max_downtime_us': <uint64 6>}")),
	       "SetMigration answers meanwhile");
	fake_gate(GATE_ROUNDS, true);
	UNTIL(fake_waiting(GATE_SAVE));
	tap_ok(limits_are(5, 6), "and holds for it");
	UNTIL(job_number(&g, "downtime_us") == 8);
	tap_ok(!runs(domid) && job_number(&g, "round") == 2, "then it is suspended");
	fake_gate(GATE_SAVE, true);
	tap_ok(succeeded(call) && !logs(domid), "and saved");
	settle(&g);
	tap_ok(pread(fd, text, sizeof(text) - 1, 0) > 0 && !strcmp(text, FAKE_STREAM) &&
	               fake_find(g.id) == domid && !runs(domid),
	       "the stream is complete; the guest is kept, and does not run");
	tap_ok(succeeded(begin("Resume", g_variant_new("(s)", g.uuid))) && runs(domid), "it may be resumed");
	tap_ok(succeeded(set_migration(g.uuid, "{'bandwidth': <uint64 0>}")) &&
	               succeeded(begin_live(&g, fd)) && limits_are(0, 6),
	       "what SetMigration is not given stays, for the next save as well");
	tap_ok(destroyed(&g), "Destroy ends it");
	saveable(&g, true);
	tap_ok(succeeded(begin_live(&g, fd)) && limits_are(0, 0), "another guest has the defaults");
	tap_ok(succeeded(begin("Resume", g_variant_new("(s)", g.uuid))) && !runs(fake_find(g.id)),
	       "one that was paused is paused again");
	destroyed(&g);
	close(fd);
}

static uint32_t cap_of(uint32_t domid)
{
	uint32_t cap;

	fake_lock();
	cap = fake_domains[domid].cap;
	fake_unlock();
	return cap;
}

static struct call *begin_throttled(const struct test_guest *g, int fd, const char *percent)
{
	g_autofree char *limits = g_strdup_printf("{'throttle_initial': <uint32 %s>}", percent);
	struct call *call;

	tap_ok(succeeded(set_migration(g->uuid, limits)), "SetMigration: throttle_initial %s", percent);
	fake_gate(GATE_THROTTLED, false);
	call = begin_live(g, fd);
	UNTIL(fake_waiting(GATE_THROTTLED));
	return call;
}

static void test_throttled(void)
{
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	struct guest *guest = guest_by_uuid(g.uuid);
	int fd = scratch();
	uint32_t whole = 100 * guest->journal->conf->vcpus;
	struct call *call;

	call = begin_throttled(&g, fd, "40");
	tap_ok(cap_of(domid) == whole * 60 / 100 && job_number(&g, "throttle") == 40,
	       "40 percent less CPU time: cap %u", cap_of(domid));
	fake_gate(GATE_THROTTLED, true);
	tap_ok(succeeded(call) && cap_of(domid) == 0, "it has all of it when it is saved");
	destroyed(&g);

	domid = saveable(&g, false);
	tap_ok(succeeded(make(
	               "SetScheduler",
	               g_variant_new("(s@a{sv})", g.uuid,
	                             g_variant_new_parsed("{'cap': <uint32 50>, 'weight': <uint32 7>}")))),
	       "a guest with a cap of its own");
	call = begin_throttled(&g, fd, "99");
	fake_lock();
	tap_ok(fake_domains[domid].cap == 1 && fake_domains[domid].weight == 7,
	       "gets of that so much less, and 1 at least");
	fake_unlock();
	tap_ok(succeeded(make("Cancel", g_variant_new("(s)", g.uuid))) && refused(call, "Cancelled") &&
	               cap_of(domid) == 50,
	       "it has its own again when the save is cancelled");
	fake_gate(GATE_THROTTLED, true);
	fake_no_caps = true;
	tap_ok(succeeded(begin_live(&g, fd)), "a scheduler that has no caps is no reason to fail");
	fake_no_caps = false;
	destroyed(&g);
	close(fd);
}

static void test_set_migration(void)
{
	static const char *const bad[] = { "{'speed': <uint64 5>}",
		                           "{'bandwidth': <uint32 5>}",
		                           "{'max_downtime_us': <uint64 0>}",
		                           "{'max_downtime_us': <uint64 60000001>}",
		                           "{'throttle_initial': <uint32 100>}",
		                           "{'throttle_increment': <uint32 100>}",
		                           "{'throttle_increment': <uint32 0>}",
		                           "{'bandwidth': <uint64 9>, 'max_downtime_us': <'long'>}" };
	struct test_guest g, none;
	int fd = scratch();
	unsigned i;

	saveable(&g, false);
	new_guest(&none);
	for (i = 0; i < G_N_ELEMENTS(bad); i++)
		tap_ok(refused(set_migration(g.uuid, bad[i]), "InvalidArgument"), "SetMigration refuses %s",
		       bad[i]);
	tap_ok(refused(set_migration(none.uuid, "@a{sv} {}"), "NotFound"), "and whom it does not know");
	tap_ok(succeeded(set_migration(g.uuid, "@a{sv} {}")) && succeeded(begin_live(&g, fd)) &&
	               limits_are(0, 0),
	       "what was refused has changed nothing");
	destroyed(&g);
	close(fd);
}

/* Bit 1 of Save is the library's business, live or not. */
static void test_zeros_by_type(void)
{
	struct test_guest g;
	int fd = scratch();
	guint flags;
	bool good = true;

	saveable(&g, false);
	for (flags = 0; flags < 4; flags++) {
		fake_zeros_by_type = false;
		good = good &&
		       succeeded(begin_stream("Save", g_variant_new("(shu)", g.uuid, 0, flags), fd)) &&
		       fake_zeros_by_type == (flags >= 2) &&
		       succeeded(begin("Resume", g_variant_new("(s)", g.uuid)));
	}
	tap_ok(good, "pages of zeros go by their type when that is asked for");
	destroyed(&g);
	close(fd);
}

/* Each way out of the rounds, and of what comes after them. */
static void test_live_fails(void)
{
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	int fd = scratch();
	struct call *call;

	tap_ok(refused(begin_stream("Save", g_variant_new("(shu)", g.uuid, 0, 4), fd), "InvalidArgument"),
	       "live: other flags are refused");
	fake_no_log = true;
	tap_ok(refused(begin_live(&g, fd), "NotSupported") && runs(domid), "a hypervisor that cannot");
	fake_no_log = false;
	fake_gate(GATE_ROUNDS, false);
	call = begin_live(&g, fd);
	UNTIL(fake_waiting(GATE_ROUNDS));
	tap_ok(succeeded(begin("Cancel", g_variant_new("(s)", g.uuid))) && refused(call, "Cancelled") &&
	               runs(domid) && !asked(domid) && !logs(domid),
	       "cancelled while it runs: it runs on, and knows nothing of it");
	fake_gate(GATE_ROUNDS, true);
	fake_suspend = FAKE_IGNORES;
	call = begin_live(&g, fd);
	UNTIL(asked(domid));
	tap_ok(succeeded(begin("Cancel", g_variant_new("(s)", g.uuid))) && refused(call, "Cancelled") &&
	               runs(domid) && !asked(domid) && !logs(domid),
	       "cancelled when it is asked to suspend: the request is taken back");
	tap_ok(refused(begin_live(&g, fd), "Timeout") && runs(domid) && !asked(domid),
	       "a guest that does not answer");
	fake_suspend = FAKE_SUSPENDS;
	fake_gate(GATE_SAVE, false);
	call = begin_live(&g, fd);
	UNTIL(fake_waiting(GATE_SAVE));
	tap_ok(succeeded(begin("Cancel", g_variant_new("(s)", g.uuid))) && refused(call, "Cancelled") &&
	               runs(domid) && !logs(domid),
	       "cancelled when it is suspended: it goes on");
	fake_gate(GATE_SAVE, true);
	fake_save_error = EIO;
	tap_ok(refused(begin_live(&g, fd), "Stream") && runs(domid), "a stream that cannot be written");
	fake_save_error = 0;
	fake_gate(GATE_ROUNDS, false);
	call = begin_live(&g, fd);
	UNTIL(fake_waiting(GATE_ROUNDS));
	fake_stop(domid, XYL_SHUTDOWN_POWEROFF);
	tap_ok(refused(call, "Busy"), "a guest that powers off while it runs");
	settle(&g);
	tap_ok(!fake_find(g.id) && !guest_by_uuid(g.uuid), "is dealt with by its policy");
	domid = saveable(&g, false);
	call = begin_live(&g, fd);
	UNTIL(fake_waiting(GATE_ROUNDS));
	fake_stop(domid, XYL_SHUTDOWN_REBOOT);
	tap_ok(refused(call, "Busy"), "one that reboots");
	settle(&g);
	tap_ok(fake_find(g.id) && fake_find(g.id) != domid && runs(fake_find(g.id)), "does so");
	destroyed(&g);
	saveable(&g, false);
	call = begin_live(&g, fd);
	UNTIL(fake_waiting(GATE_ROUNDS));
	tap_ok(destroyed(&g) && !succeeded(call), "Destroy ends a live save and its guest");
	fake_gate(GATE_ROUNDS, true);
	close(fd);
}

/* xylemd is killed within a live save: its journal says so, and the hypervisor's log of dirty pages is still on. */
static void test_live_adopted(void)
{
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	struct guest *guest = guest_by_uuid(g.uuid);
	int fd = scratch();

	guest->journal->saving = true;
	guest_save(guest, JOURNAL_RUNNING);
	fake_lock();
	fake_domains[domid].logging = true;
	fake_domains[domid].cap = 20;
	fake_unlock();
	guest_unregister(guest);
	guest_unref(guest);
	scan_adopt_all();
	settle(&g);
	tap_ok(runs(domid) && !logs(domid) && cap_of(domid) == 0,
	       "a live save whose xylemd was killed: it runs, and is neither watched nor throttled");
	tap_ok(succeeded(begin_live(&g, fd)), "and can be saved");
	destroyed(&g);
	close(fd);
}

/* The next xylemd knows how many are still to come. */
static void test_cancelled_adopted(void)
{
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	int fd = scratch();
	bool first;

	fake_suspend = FAKE_ACKNOWLEDGES;
	if (!cancelled(&g, begin_asked(&g, fd)) || !cancelled(&g, begin_asked(&g, fd)))
		exit(1);
	next_xylemd(&g);
	first = suspends_and_goes_on(domid);
	next_xylemd(&g);
	tap_ok(first && suspends_and_goes_on(domid),
	       "two requests that were given up are known to the next xylemd");
	tap_ok(stays_suspended(&g, domid), "and no third");
	if (!succeeded(begin("Resume", g_variant_new("(s)", g.uuid))) || !cancelled(&g, begin_asked(&g, fd)))
		exit(1);
	{
		struct call *call = begin_asked(&g, fd);

		suspend_late(domid);
		if (!succeeded(call))
			exit(1);
	}
	next_xylemd(&g);
	tap_ok(!runs(domid) && fake_find(g.id) == domid, "one that is saved after all stays so");
	if (!succeeded(begin("Resume", g_variant_new("(s)", g.uuid))))
		exit(1);
	tap_ok(suspends_and_goes_on(domid), "until it is resumed: then what is left comes, and it goes on");
	fake_suspend = FAKE_SUSPENDS;
	destroyed(&g);
	close(fd);
}

/* What a save that was given up leaves to be done is known to the next xylemd, too. */
static void test_given_up_adopted(void)
{
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	struct guest *guest;
	int fd = scratch();

	fake_suspend = FAKE_ACKNOWLEDGES;
	tap_ok(refused(begin_save(&g, fd), "Timeout") && runs(domid),
	       "a guest that begins to suspend, and no more");
	fake_suspend = FAKE_SUSPENDS;
	next_xylemd(&g);
	tap_ok(suspends_and_goes_on(domid), "and does so later, under another xylemd: it goes on");
	destroyed(&g);
	domid = saveable(&g, true);
	tap_ok(succeeded(begin_save(&g, fd)), "one that was paused is saved");
	next_xylemd(&g);
	tap_ok(succeeded(begin("Resume", g_variant_new("(s)", g.uuid))) && fake_domains[domid].pauses == 1 &&
	               !fake_domains[domid].shutdown,
	       "and resumed under another xylemd: it is paused again");
	destroyed(&g);
	/* As it is when xylemd is killed within a save of a guest that is paused: it runs, to answer the request. */
	domid = saveable(&g, true);
	guest = guest_by_uuid(g.uuid);
	guest->journal->saving = guest->journal->paused_before_save = true;
	guest_save(guest, JOURNAL_RUNNING);
	guest_unref(guest);
	fake_lock();
	fake_domains[domid].pauses = 0;
	fake_unlock();
	next_xylemd(&g);
	tap_ok(fake_domains[domid].pauses == 1,
	       "a save of one that is paused is cut off: it is paused again");
	next_xylemd(&g);
	tap_ok(fake_domains[domid].pauses == 1, "once");
	destroyed(&g);
	close(fd);
}

/* Its guest has taken the first request and works on it, and not seen the second, when xylemd is killed. */
static void test_second_adopted(void)
{
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	g_autofree char *path = g_build_filename(dir, g.uuid, NULL), *then = NULL;
	g_autofree char *request = g_strdup_printf("/local/domain/%u/control/shutdown", domid);
	struct call *call;
	int fd = scratch();
	gsize bytes;

	fake_suspend = FAKE_ACKNOWLEDGES;
	call = begin_asked(&g, fd);
	fake_suspend = FAKE_IGNORES;
	UNTIL(asked(domid));
	if (!g_file_get_contents(path, &then, &bytes, NULL) || !cancelled(&g, call) ||
	    !g_file_set_contents(path, then, (gssize)bytes, NULL))
		exit(1);
	fake_write(request, "suspend");
	next_xylemd(&g);
	tap_ok(!asked(domid) && suspends_and_goes_on(domid),
	       "of two requests the first is answered then: it goes on");
	tap_ok(stays_suspended(&g, domid), "and no other answer is expected");
	fake_suspend = FAKE_SUSPENDS;
	destroyed(&g);
	close(fd);
}

/* When all is written, and xylemd has looked for a cancel the last time. */
static bool late_cancelled;
static const struct test_guest *last_guest;

static void cancel_late(void)
{
	struct guest *guest = guest_by_uuid(last_guest->uuid);

	fake_late = NULL;
	late_cancelled = job_cancel(guest);
	guest_unref(guest);
}

static void test_cancelled_late(void)
{
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	int fd = scratch();

	last_guest = &g;
	fake_late = cancel_late;
	tap_ok(refused(begin_save(&g, fd), "Cancelled") && late_cancelled && runs(domid),
	       "a save that is cancelled in the last moment: it is as cancelled as any");
	fake_late = cancel_late;
	tap_ok(refused(begin_live(&g, fd), "Cancelled") && late_cancelled && runs(domid), "a live one");
	fake_late = cancel_late;
	tap_ok(refused(begin_stream("Dump", g_variant_new("(shu)", g.uuid, 0, 0), fd), "Cancelled") &&
	               late_cancelled && runs(domid),
	       "a dump");
	if (ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET) || !succeeded(begin_save(&g, fd)) || !destroyed(&g))
		exit(1);
	lseek(fd, 0, SEEK_SET);
	fake_late = cancel_late;
	tap_ok(refused(begin_stream("Restore", g_variant_new("(@a{sv}hu)", configuration(&g), 0, 0), fd),
	               "Cancelled") &&
	               late_cancelled && !fake_find(g.id),
	       "a restore");
	close(fd);
}

static void lose_journals(void)
{
	g_autofree char *aside = g_strconcat(dir, ".aside", NULL);

	fake_late = NULL;
	if (g_rename(dir, aside))
		exit(1);
}

/* The next xylemd would find a save that was cut off, and let a guest go on whose file is complete. */
static void test_journal_full(void)
{
	g_autofree char *aside = g_strconcat(dir, ".aside", NULL);
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	int fd = scratch();

	fake_late = lose_journals;
	tap_ok(refused(begin_save(&g, fd), "Internal") && runs(domid),
	       "a save that cannot be written down is none: the guest goes on");
	if (g_rename(aside, dir))
		exit(1);
	next_xylemd(&g);
	tap_ok(runs(domid) && succeeded(begin_save(&g, fd)), "and can be saved when that can be done");
	next_xylemd(&g);
	tap_ok(!runs(domid) && fake_find(g.id) == domid, "then the next xylemd keeps it as it is");
	destroyed(&g);
	close(fd);
}

static void set_disk(const char *sys, uint32_t domid, const char *under_way, const char *taken)
{
	g_autofree char *back =
	        g_strdup_printf("/local/domain/0/backend/vbd/%u/51712/physical-device", domid);
	g_autofree char *device = fake_read(back);
	g_autofree char *folder = g_strdup_printf("%s/dev/block/7:7", sys);
	g_autofree char *file = g_build_filename(folder, "inflight", NULL);
	g_autofree char *counts = g_strdup_printf("%s/devices/vbd-%u-51712/statistics", sys, domid);
	g_autofree char *count = g_build_filename(counts, "wr_req", NULL);

	if (g_strcmp0(device, "7:7") || g_mkdir_with_parents(folder, 0700) ||
	    g_mkdir_with_parents(counts, 0700) || !g_file_set_contents(file, under_way, -1, NULL) ||
	    !g_file_set_contents(count, taken, -1, NULL))
		exit(1);
}

/* Who hears that a guest is saved may let another host have its disks. */
static void test_disk_written(void)
{
	g_autofree char *sys = g_dir_make_tmp("xylemd-sys-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", sys);
	const char *before = drain_sys;
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	struct call *call;
	int fd = scratch();

	drain_sys = sys;
	set_disk(sys, domid, "       0        1\n", "5\n");
	call = begin_save(&g, fd);
	tap_ok(waits(call, 100000), "a save is not over while a disk is written to");
	set_disk(sys, domid, "       3        0\n", "6\n");
	tap_ok(succeeded(call) && !runs(domid), "and is when that is done, though others read");
	destroyed(&g);
	domid = saveable(&g, false);
	set_disk(sys, domid, "       0        1\n", "5\n");
	tap_ok(refused(begin_save(&g, fd), "Timeout") && runs(domid),
	       "a disk that does not answer fails it: the guest goes on");
	fake_unread = "/physical-device";
	tap_ok(refused(begin_save(&g, fd), "Device") && runs(domid),
	       "so does one of which the store does not tell");
	fake_unread = "/control/feature-suspend";
	tap_ok(refused(begin_save(&g, fd), "Store") && runs(domid),
	       "a kernel is not said to know no suspend where the store does not tell");
	fake_unread = "/control/shutdown";
	tap_ok(refused(begin_save(&g, fd), "Store") && runs(domid), "nor is an earlier request overlooked");
	fake_unread = NULL;
	call = begin_save(&g, fd);
	tap_ok(waits(call, 100000) && succeeded(begin("Cancel", g_variant_new("(s)", g.uuid))) &&
	               refused(call, "Cancelled") && runs(domid),
	       "it can be cancelled meanwhile");
	call = begin_save(&g, fd);
	tap_ok(waits(call, 100000) && destroyed(&g), "and the guest destroyed");
	UNTIL(call->done);
	end(call);
	with_image = true;
	domid = saveable(&g, false);
	with_image = false;
	fake_unsynced = true;
	tap_ok(refused(begin_save(&g, fd), "Device") && runs(domid),
	       "an image that cannot be written fails a save");
	fake_unsynced = false;
	tap_ok(succeeded(begin_save(&g, fd)), "and it can be saved when that is mended");
	destroyed(&g);
	drain_sys = before;
	if (system(remove))
		exit(1);
	close(fd);
}

int main(void)
{
	g_log_set_writer_func(quiet, NULL, NULL);
	set_up();
	test_save_and_restore();
	test_resume();
	test_save_fails();
	test_suspend_unsaid();
	test_suspend_second();
	test_suspend_port();
	test_cancelled_asked(false);
	test_cancelled_asked(true);
	test_job();
	test_live();
	test_set_migration();
	test_zeros_by_type();
	test_live_fails();
	test_throttled();
	test_live_adopted();
	test_given_up_adopted();
	test_second_adopted();
	test_cancelled_adopted();
	test_cancelled_late();
	test_journal_full();
	test_disk_written();
	test_dump();
	g_rmdir(dir);
	g_rmdir(dump_dir);
	g_free(dump_dir);
	g_free(dir);
	return tap_end();
}
