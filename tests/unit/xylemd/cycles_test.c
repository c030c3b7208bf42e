/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests that come and go leave no memory: what is in use after some hundred cycles is what was after the first ones. Each kind of
 * cycle is measured by itself, on a host that the test plays. $XYLEM_CYCLES: so many.
 */
#include <malloc.h>
#include <stdlib.h>

#include "lifecycle.h"

#define WARM_UP 60
/* Much less than what a cycle that keeps anything keeps. */
#define GROWTH_BYTES 4096

static int cycles = 300;

static struct call *must(struct call *call)
{
	if (!call->good) {
		printf("Bail out! %s\n", call->error);
		exit(1);
	}
	return call;
}

static void destroy(const struct test_guest *g)
{
	end(must(make("Destroy", g_variant_new("(s)", g->uuid))));
}

static void cycle_plain(struct test_guest *g)
{
	create(g, false);
	destroy(g);
}

static void cycle_devices(struct test_guest *g)
{
	create(g, false);
	end(must(make("AttachDevice",
	              g_variant_new_parsed("(%s, {'class': <'disk'>, 'vdev': <'xvdb'>, 'source': <'/disk2'>,"
	                                   " 'type': <'file'>})",
	                                   g->uuid))));
	end(must(make("DetachDevice",
	              g_variant_new_parsed("(%s, {'class': <'disk'>, 'vdev': <'xvdb'>})", g->uuid))));
	end(must(make("Get", g_variant_new("(s)", g->uuid))));
	end(must(make("SetOpaque", g_variant_new("(ss)", g->uuid, "<domain/>"))));
	destroy(g);
}

/* Every call that brings something along. */
static void cycle_settings(struct test_guest *g)
{
	const char *u = g->uuid;

	create(g, false);
	end(must(make("SetScheduler", g_variant_new_parsed("(%s, {'weight': <uint32 300>})", u))));
	end(must(make("SetAffinity", g_variant_new_parsed("(%s, uint32 0, [byte 1])", u))));
	end(must(make("SetMemory", g_variant_new("(st)", u, G_GUINT64_CONSTANT(65536)))));
	end(must(make("SetVcpus", g_variant_new("(su)", u, 1))));
	end(must(make("SetLink", g_variant_new("(ssb)", u, MAC, FALSE))));
	end(must(make("SetPolicy", g_variant_new("(sss)", u, "reboot", "destroy"))));
	end(must(make("SetMigration", g_variant_new_parsed("(%s, {'bandwidth': <uint64 1000000>})", u))));
	end(must(make("SetOpaque", g_variant_new("(ss)", u, "<domain/>"))));
	end(make("ResizeDisk", g_variant_new("(sst)", u, "xvda", G_GUINT64_CONSTANT(512))));
	end(make("ReleaseNic", g_variant_new("(sus)", u, fake_find(g->id), MAC)));
	end(make("SendKeys", g_variant_new_parsed("(%s, uint32 0, [uint32 30])", u)));
	end(make("Screenshot", g_variant_new("(s)", u)));
	end(make("Shutdown", g_variant_new("(ss)", u, "poweroff")));
	end(must(make("Pause", g_variant_new("(s)", u))));
	end(must(make("Unpause", g_variant_new("(s)", u))));
	end(must(make("List", NULL)));
	/* And what is refused. */
	end(make("SetScheduler", g_variant_new_parsed("(%s, {'wight': <uint32 300>})", u)));
	end(make("SetScheduler", g_variant_new_parsed("('nobody', {'weight': <uint32 300>})")));
	end(make("AttachDevice", g_variant_new_parsed("(%s, {'class': <'disk'>})", u)));
	end(make("DetachDevice", g_variant_new_parsed("(%s, {'class': <'pci'>})", u)));
	end(make("Cancel", g_variant_new("(s)", u)));
	destroy(g);
}

static void cycle_reboot(struct test_guest *g)
{
	uint32_t domid;

	create(g, false);
	domid = fake_find(g->id);
	fake_stop(domid, XYL_SHUTDOWN_REBOOT);
	scan_request();
	UNTIL(fake_find(g->id) && fake_find(g->id) != domid);
	settle(g);
	destroy(g);
}

static void cycle_refused(struct test_guest *g)
{
	struct call *call;

	fake_bad_image = "kernel";
	call = make("Create", g_variant_new("(@a{sv}u)", configuration(g), 0));
	fake_bad_image = NULL;
	if (call->good)
		destroy(g);
	end(call);
	end(make("Destroy", g_variant_new("(s)", g->uuid)));
}

/* What callbacks and threads are about to free they have freed. */
static size_t in_use(const struct test_guest *g)
{
	gint64 until = g_get_monotonic_time() + 1500000; /* the timers of whole seconds, too */

	settle(g);
	UNTIL(g_get_monotonic_time() > until);
	return mallinfo2().uordblks;
}

static void test_flat(const char *name, void (*cycle)(struct test_guest *g))
{
	struct test_guest g;
	size_t before;
	gint64 grown;
	int i;

	/* The same one each time: a new one is a key of what remembers the last restarts, for one. */
	new_guest(&g);
	for (i = 0; i < WARM_UP; i++)
		cycle(&g);
	before = in_use(&g);
	for (i = 0; i < cycles; i++)
		cycle(&g);
	grown = (gint64)in_use(&g) - (gint64)before;
	printf("# %s: %" G_GINT64_FORMAT " bytes more after %d cycles\n", name, grown, cycles);
	tap_ok(grown < GROWTH_BYTES, "%s: no memory stays", name);
}

static void use_and_free(size_t bytes)
{
	char *list = malloc(bytes);

	if (!list)
		exit(1);
	memset(list, 1, bytes);
	free(list);
}

static gpointer build_large(gpointer data)
{
	/* The second time glibc would take it from the thread's arena, and keep it. */
	use_and_free(GPOINTER_TO_SIZE(data));
	use_and_free(GPOINTER_TO_SIZE(data));
	return NULL;
}

/* Whoever builds a guest needs a list of its pages. */
static void test_large_lists(void)
{
	size_t bytes = 8 << 20, kept = mallinfo2().fordblks;
	int i;

	for (i = 0; i < 4; i++)
		g_thread_join(g_thread_new("large", build_large, GSIZE_TO_POINTER(bytes)));
	kept = mallinfo2().fordblks - MIN(kept, mallinfo2().fordblks);
	printf("# %zu bytes are free and kept\n", kept);
	tap_ok(kept < 1 << 20, "the lists of a large guest's pages are given back, by each thread");
}

/* Chunks that are kept for the next one count as in use. */
static void count_exactly(char **argv)
{
	if (g_getenv("G_SLICE") || !g_setenv("G_SLICE", "always-malloc", TRUE) ||
	    !g_setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", TRUE))
		return;
	execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	(void)argc;
	count_exactly(argv);
	if (g_getenv("XYLEM_CYCLES"))
		cycles = atoi(g_getenv("XYLEM_CYCLES"));
	g_log_set_writer_func(quiet, NULL, NULL);
	set_up();
	test_flat("start and destroy", cycle_plain);
	with_console = with_screen = true;
	test_flat("with a screen and a further console", cycle_plain);
	with_console = with_screen = false;
	fake_frontends = true;
	test_flat("with a disk that comes and goes", cycle_devices);
	with_screen = true;
	test_flat("with all settings changed", cycle_settings);
	with_screen = false;
	test_flat("with a reboot", cycle_reboot);
	test_flat("a start that is refused", cycle_refused);
	test_large_lists();
	g_rmdir(dir);
	g_rmdir(dump_dir);
	g_free(dump_dir);
	g_free(dir);
	return tap_end();
}
