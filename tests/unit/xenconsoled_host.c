/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenconsoled's consoles on a hypervisor and a store that the test plays: a guest that writes or kicks without end, and
 * clients that ask for a terminal after its xenconsoled has gone.
 */
#include <pty.h>

#include "xenconsoled_play.h"

/* ---- tests --------------------------------------------------------------------------------------- */

static void test_flood(void)
{
	struct guest *g[GUESTS];
	gint64 begun;
	unsigned int most;
	char line[16] = "";
	int tty;

	set_up();
	for (uint32_t i = 0; i < GUESTS; i++)
		g[i] = open_guest(i + 1);
	lines[1].floods = lines[2].kicks = true;
	say(1, "flood");
	lines[2].pending = true;
	begun = g_get_monotonic_time();
	run_for(2 * G_USEC_PER_SEC);
	most = LOOKS_AT_ONCE +
	       (unsigned int)((g_get_monotonic_time() - begun) / 1000 + 1) * LOOKS_PER_SECOND / 1000 + 2;
	printf("# looked %u times at one that writes, %u at one that kicks; %u allowed\n", lines[1].looks,
	       lines[2].looks, most);
	tap_ok(lines[1].taken / sizeof(lines[1].page->out) <= most,
	       "a guest that writes without end is slowed down");
	/* While it is held it may kick once for each time. */
	most += (unsigned int)((g_get_monotonic_time() - begun) / HOLD_US) + 1;
	tap_ok(lines[2].looks <= most, "so is one that kicks without end");
	tap_ok(lines[1].taken > sizeof(lines[1].page->out) * LOOKS_AT_ONCE, "and still goes on");
	tty = open(tty_of(g[2]->consoles[0]), O_RDWR | O_NOCTTY | O_NONBLOCK);
	say(3, "hello\n");
	run_for(G_USEC_PER_SEC / 5);
	tap_ok(read(tty, line, sizeof(line) - 1) == 6 && !strcmp(line, "hello\n"),
	       "another guest's line comes through");
	close(tty);
	for (int i = 0; i < GUESTS; i++)
		guest_free(g[i]);
	run_for(G_USEC_PER_SEC / 20);
	tear_down();
}

/* The store still names for guest 1 what an earlier xenconsoled had: path is somebody else's terminal by now. */
static void name_stale(const char *path)
{
	put("/local/domain/1/console/tty", path);
	put("/local/domain/1/console/tty-lock", path);
}

static void test_stale_tty(void)
{
	struct guest *a, *b;
	char *path, name[64] = "";
	int tty = -1, master, slave;

	set_up();
	a = open_guest(1);
	path = xyl_console_tty(NULL, 1, &tty);
	tap_ok(path && tty >= 0 && !strcmp(path, tty_of(a->consoles[0])),
	       "the terminal of a guest's console");
	free(path);
	close(tty);
	guest_free(a);
	if (openpty(&master, &slave, NULL, NULL, NULL) || ttyname_r(slave, name, sizeof(name)))
		abort();
	name_stale(name);
	path = xyl_console_tty(NULL, 1, &tty);
	tap_ok(!path && errno == ESTALE, "a terminal that is a shell's by now is not opened");
	close(master);
	close(slave);
	b = open_guest(2);
	name_stale(tty_of(b->consoles[0]));
	path = xyl_console_tty(NULL, 1, &tty);
	tap_ok(!path && errno == ESTALE, "nor one that is another guest's");
	a = open_guest(1);
	path = xyl_console_tty(NULL, 1, &tty);
	tap_ok(path && !strcmp(path, tty_of(a->consoles[0])), "a new xenconsoled's terminal is");
	free(path);
	close(tty);
	guest_free(a);
	guest_free(b);
	tear_down();
}

/* What stands in the store may be anything, and of Xen's xenconsoled only so much can be checked. */
static void test_odd_tty(void)
{
	static const char *const odd[] = { "/dev/null", "/dev/pts/", "/dev/pts/../null", "/etc/passwd",
		                           "/dev/pts/1x" };
	int tty = -1, master, slave;
	char *path, name[64] = "";
	bool all = true;

	set_up();
	path = xyl_console_tty(NULL, 1, &tty);
	tap_ok(!path && errno == ENOENT, "there may be none yet");
	for (size_t i = 0; i < G_N_ELEMENTS(odd); i++) {
		put("/local/domain/1/console/tty", odd[i]);
		all &= !xyl_console_tty(NULL, 1, &tty) && errno == ENXIO;
	}
	tap_ok(all, "only pseudo-terminals are opened");
	if (openpty(&master, &slave, NULL, NULL, NULL) || ttyname_r(slave, name, sizeof(name)))
		abort();
	put("/local/domain/1/console/tty", name);
	path = xyl_console_tty(NULL, 1, &tty);
	tap_ok(path && !strcmp(path, name), "the terminal of an xenconsoled that locks nothing");
	free(path);
	close(tty);
	close(master);
	close(slave);
	tear_down();
}

int main(void)
{
	test_flood();
	test_stale_tty();
	test_odd_tty();
	return tap_end();
}
