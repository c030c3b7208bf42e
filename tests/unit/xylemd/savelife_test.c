/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests that are saved, restored and dumped through xylemd's socket, on a host that the test plays: whatever fails, is
 * cancelled or destroyed, there is one guest that can run or one complete stream.
 */
#include "lifecycle.h"

/* ---- saving ---- */

static struct call *begin_stream(const char *method, GVariant *args, int fd)
{
	g_autoptr(GUnixFDList) fds = g_unix_fd_list_new();
	struct call *call = g_new0(struct call, 1);

	if (fd >= 0)
		g_unix_fd_list_append(fds, fd, NULL);
	g_dbus_connection_call_with_unix_fd_list(client, NULL, OBJECT, INTERFACE, method, args, NULL,
	                                         G_DBUS_CALL_FLAGS_NONE, G_MAXINT, fds, NULL, answered, call);
	return call;
}

static struct call *begin_save(const struct test_guest *g, int fd)
{
	return begin_stream("Save", g_variant_new("(shu)", g->uuid, 0, 0), fd);
}

/* It has a kernel that can suspend. */
static uint32_t saveable(struct test_guest *g, bool paused)
{
	g_autofree char *path = NULL;
	uint32_t domid;

	new_guest(g);
	create(g, paused);
	domid = fake_find(g->id);
	path = g_strdup_printf("/local/domain/%u/control/feature-suspend", domid);
	fake_write(path, "1");
	return domid;
}

static bool refused(struct call *call, const char *name)
{
	g_autofree char *full = g_strconcat("org.xylem.Error.", name, NULL);
	bool is;

	UNTIL(call->done);
	is = !call->good && !g_strcmp0(call->error, full);
	if (!is)
		printf("# %s instead of %s\n", call->good ? "success" : call->error, name);
	end(call);
	return is;
}

static bool succeeded(struct call *call)
{
	bool good;

	UNTIL(call->done);
	good = call->good;
	if (!good)
		printf("# %s\n", call->error);
	end(call);
	return good;
}

static bool runs(uint32_t domid)
{
	const struct fake_domain *d = &fake_domains[domid];
	bool is;

	fake_lock();
	is = d->there && !d->dying && !d->shutdown && !d->pauses;
	fake_unlock();
	return is;
}

static bool asked(uint32_t domid)
{
	g_autofree char *path = g_strdup_printf("/local/domain/%u/control/shutdown", domid);
	g_autofree char *value = fake_read(path);

	return value && *value;
}

static bool destroyed(const struct test_guest *g)
{
	bool good = succeeded(begin("Destroy", g_variant_new("(s)", g->uuid)));

	settle(g);
	return good && !fake_find(g->id);
}

static int scratch(void)
{
	g_autofree char *name = NULL;
	int fd = g_file_open_tmp("stream-XXXXXX", &name, NULL);

	if (fd < 0)
		exit(1);
	g_unlink(name);
	return fd;
}

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
	fake_stop(domid, XYL_SHUTDOWN_SUSPEND);
	scan_request();
	UNTIL(runs(domid));
	tap_ok(true, "and does so later: it goes on");
	fake_suspend = FAKE_SUSPENDS;
	fake_write(path, "");
	tap_ok(refused(begin_save(&g, fd), "NotSupported") && runs(domid) && !asked(domid),
	       "a kernel that cannot suspend is not asked");
	fake_write(path, "1");
	pending = g_strdup_printf("/local/domain/%u/control/shutdown", domid);
	fake_write(pending, "poweroff");
	tap_ok(refused(begin_save(&g, fd), "Busy") && asked(domid), "an earlier request is not overwritten");
	fake_write(pending, "");
	fake_suspend = FAKE_IGNORES;
	call = begin_save(&g, fd);
	UNTIL(asked(domid));
	fake_stop(domid, XYL_SHUTDOWN_POWEROFF);
	tap_ok(refused(call, "Busy"), "a guest that powers off instead");
	settle(&g);
	tap_ok(!fake_find(g.id), "is dealt with by its policy");
	fake_suspend = FAKE_SUSPENDS;
	domid = saveable(&g, false);
	fake_gate(GATE_SAVE, false);
	call = begin_save(&g, fd);
	UNTIL(fake_waiting(GATE_SAVE));
	tap_ok(destroyed(&g) && !succeeded(call), "Destroy ends a save and its guest");
	fake_gate(GATE_SAVE, true);
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

int main(void)
{
	g_log_set_writer_func(quiet, NULL, NULL);
	set_up();
	test_save_and_restore();
	test_resume();
	test_save_fails();
	test_job();
	test_dump();
	g_rmdir(dir);
	g_free(dir);
	return tap_end();
}
