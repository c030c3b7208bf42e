/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much of its memory a guest changes: counted through xylemd's socket, and given up for all else that is asked of the guest. */
#include "savelife.h"

static struct call *begin_count(const struct test_guest *g)
{
	return begin("DirtyRate", g_variant_new("(st)", g->uuid, (guint64)1000000));
}

static bool counted(struct call *call, guint64 wanted)
{
	guint64 pages = 0, elapsed_us = 0;
	bool good;

	UNTIL(call->done);
	good = call->good;
	if (good)
		g_variant_get(call->answer, "(tt)", &pages, &elapsed_us);
	else
		printf("# %s\n", call->error);
	end(call);
	return good && pages == wanted && elapsed_us == 1000005 && fake_count_us == 1000000;
}

/* One that is under way. */
static struct call *begin_long_count(const struct test_guest *g)
{
	struct call *call;

	fake_gate(GATE_COUNT, false);
	call = begin_count(g);
	UNTIL(fake_waiting(GATE_COUNT));
	return call;
}

static bool journal_says_counting(const struct test_guest *g)
{
	g_autofree char *path = g_strdup_printf("%s/%s", dir, g->uuid);
	struct journal *journal = journal_load(path, NULL);
	bool says = journal && journal->counting;

	journal_free(journal);
	return says;
}

static void test_count(void)
{
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	struct call *call, *other;
	int fd = scratch();

	tap_ok(counted(begin_count(&g), 1234) && runs(domid) && !logs(domid) && !journal_says_counting(&g),
	       "count: pages, and the time in which they were changed");
	call = begin_long_count(&g);
	tap_ok(logs(domid) && journal_says_counting(&g) && job_number(&g, "elapsed_us") &&
	               !job_number(&g, "pages_total"),
	       "it is a job, and the journal has it");
	other = begin_count(&g);
	tap_ok(waits(other, 50000) && !call->done, "a second one waits");
	fake_gate(GATE_COUNT, true);
	tap_ok(counted(call, 1234) && counted(other, 1234) && !logs(domid), "and has its turn");
	call = begin_long_count(&g);
	tap_ok(succeeded(begin("Cancel", g_variant_new("(s)", g.uuid))) && refused(call, "Cancelled") &&
	               runs(domid) && !logs(domid) && !journal_says_counting(&g),
	       "it can be cancelled");
	call = begin_long_count(&g);
	tap_ok(succeeded(begin("SetVcpus", g_variant_new("(su)", g.uuid, 2))) && refused(call, "Busy") &&
	               !logs(domid),
	       "it gives way to what else is asked of the guest");
	call = begin_long_count(&g);
	tap_ok(succeeded(begin_live(&g, fd)) && refused(call, "Busy") && !logs(domid),
	       "to a live save too, which needs the same log");
	tap_ok(refused(begin_count(&g), "Busy") && !logs(domid), "a guest that is saved is refused");
	fake_gate(GATE_COUNT, true);
	destroyed(&g);
	saveable(&g, true);
	tap_ok(counted(begin_count(&g), 0), "one that is paused has changed nothing");
	destroyed(&g);
	close(fd);
}

static void test_count_fails(void)
{
	struct test_guest g, none;
	uint32_t domid = saveable(&g, false);
	struct call *call;

	new_guest(&none);
	tap_ok(refused(begin_count(&none), "NotFound"), "no count: of whom it does not know");
	tap_ok(refused(begin("DirtyRate", g_variant_new("(st)", g.uuid, (guint64)0)), "InvalidArgument") &&
	               refused(begin("DirtyRate", g_variant_new("(st)", g.uuid, (guint64)60000001)),
	                       "InvalidArgument"),
	       "in no time, and in more than a minute");
	fake_no_log = true;
	tap_ok(refused(begin_count(&g), "NotSupported"), "on a hypervisor that cannot");
	fake_no_log = false;
	fake_count_error = ENOMEM;
	tap_ok(refused(begin_count(&g), "NoMemory"), "where it has no memory for it");
	fake_count_error = EIO;
	tap_ok(refused(begin_count(&g), "Hypervisor") && runs(domid) && !logs(domid) &&
	               !journal_says_counting(&g),
	       "where it fails otherwise");
	fake_count_error = 0;
	call = begin_long_count(&g);
	fake_stop(domid, XYL_SHUTDOWN_POWEROFF);
	tap_ok(refused(call, "Busy"), "a guest that powers off meanwhile");
	settle(&g);
	tap_ok(!fake_find(g.id) && !guest_by_uuid(g.uuid), "is dealt with by its policy");
	domid = saveable(&g, false);
	call = begin_long_count(&g);
	tap_ok(destroyed(&g) && refused(call, "Device"), "Destroy ends a count and its guest");
	fake_gate(GATE_COUNT, true);
	saveable(&g, false);
	if (!succeeded(begin("SetPolicy", g_variant_new("(sss)", g.uuid, "crash", "preserve"))))
		exit(1);
	fake_stop(fake_find(g.id), XYL_SHUTDOWN_CRASH);
	settle(&g);
	tap_ok(refused(begin_count(&g), "Busy"), "one that has crashed and is kept is refused");
	destroyed(&g);
}

/* xylemd is killed within a count. A suspend of the guest's own afterwards is one, as nobody has asked it to. */
static void test_count_adopted(void)
{
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	struct guest *guest = guest_by_uuid(g.uuid);

	guest->journal->counting = true;
	guest_save(guest, JOURNAL_RUNNING);
	guest_unref(guest);
	fake_lock();
	fake_domains[domid].logging = true;
	fake_unlock();
	next_xylemd(&g);
	tap_ok(runs(domid) && !logs(domid) && !journal_says_counting(&g),
	       "a count whose xylemd was killed: the guest runs, and is not watched");
	tap_ok(stays_suspended(&g, domid), "and is not resumed when it suspends by itself");
	destroyed(&g);
}

/* Last: nobody can be asked for anything afterwards. */
static void test_count_client_gone(void)
{
	struct test_guest g;
	uint32_t domid = saveable(&g, false);
	struct call *call = begin_long_count(&g);

	g_dbus_connection_close_sync(client, NULL, NULL);
	UNTIL(!fake_waiting(GATE_COUNT));
	settle(&g);
	tap_ok(runs(domid) && !logs(domid) && !journal_says_counting(&g),
	       "a count ends when whoever wanted it goes away");
	UNTIL(call->done);
	end(call);
	fake_gate(GATE_COUNT, true);
}

int main(void)
{
	g_log_set_writer_func(quiet, NULL, NULL);
	set_up();
	test_count();
	test_count_fails();
	test_count_adopted();
	test_count_client_gone();
	g_rmdir(dir);
	g_rmdir(dump_dir);
	g_free(dump_dir);
	g_free(dir);
	return tap_end();
}
