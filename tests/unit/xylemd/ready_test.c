/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the service manager hears of daemons, on a socket that the test has in its place: READY=1, and not before the daemon
 * serves. xylemd is its own main() on a host that the test plays; the small daemons are their common course.
 */
#include <fcntl.h>
#include <gio/gio.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/tap.h"
#include "../common/program.h"
#include "fakehost.h"
#include "screen.h"
#include "storeio.h"
#include "worker.h"

#define HEAR_MS 60000

/* Its main() under another name. */
int xylemd_main(int argc, char **argv);
#define main xylemd_main
#include "main.c"
#undef main

static char *dir;

/* ---- the service manager ---- */

/* Its socket, whose name is put into NOTIFY_SOCKET as systemd does: '@' for an abstract one. */
static int manager_listen(bool abstract)
{
	g_autofree char *name = abstract ? g_strdup_printf("@xylem-ready-%d", (int)getpid())
	                                 : g_build_filename(dir, "notify", NULL);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval wait = { .tv_sec = HEAR_MS / 1000 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	g_strlcpy(addr.sun_path, name, sizeof(addr.sun_path));
	if (abstract)
		addr.sun_path[0] = '\0';
	else
		unlink(name);
	if (bind(fd, (struct sockaddr *)&addr,
	         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)))
		exit(1);
	g_setenv("NOTIFY_SOCKET", name, TRUE);
	return fd;
}

static bool hears(int fd, const char *text)
{
	char found[64] = "";
	bool is = recv(fd, found, sizeof(found) - 1, 0) >= 0 && !strcmp(found, text);

	if (!is)
		printf("# heard \"%s\" instead of \"%s\"\n", found, text);
	return is;
}

static bool hears_nothing(int fd)
{
	char found[64];

	return recv(fd, found, sizeof(found), MSG_DONTWAIT) < 0;
}

/* By the same way as what a daemon says, so that what comes first was said first. */
static void say(const char *text)
{
	const char *name = g_getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	g_strlcpy(addr.sun_path, name, sizeof(addr.sun_path));
	if (addr.sun_path[0] == '@')
		addr.sun_path[0] = '\0';
	if (sendto(fd, text, strlen(text), 0, (struct sockaddr *)&addr,
	           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))) < 0)
		exit(1);
	close(fd);
}

static int status_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* ---- xylemd ---- */

struct xyl *xyl_open(void)
{
	return (struct xyl *)&dir;
}

struct storeio *storeio_open(GError **error)
{
	(void)error;
	return (struct storeio *)&dir;
}

struct worker *worker_new(const char *program)
{
	(void)program;
	return NULL;
}

int worker_main(void)
{
	return 1;
}

void screen_init(const char *run, const char *dev_dir, const char *program, const char *user)
{
	(void)run, (void)dev_dir, (void)program, (void)user;
}

void __wrap_g_dbus_server_start(GDBusServer *server);
void __real_g_dbus_server_start(GDBusServer *server);

/* From here on clients are served. */
void __wrap_g_dbus_server_start(GDBusServer *server)
{
	__real_g_dbus_server_start(server);
	say("serves");
}

static bool can_connect(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool can;

	g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
	can = !connect(fd, (struct sockaddr *)&addr, sizeof(addr));
	close(fd);
	return can;
}

static pid_t start_xylemd(const char *folder)
{
	g_autofree char *run = g_strconcat("--run-dir=", folder, NULL);
	g_autofree char *dump = g_strconcat("--dump-dir=", folder, NULL);
	char *argv[] = { (char *)"xylemd", run, dump, NULL };
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(xylemd_main(3, argv));
	return pid;
}

static void test_xylemd(bool abstract)
{
	const char *how = abstract ? "an abstract socket" : "a socket in the file system";
	g_autofree char *folder = g_build_filename(dir, "run", NULL);
	g_autofree char *path = g_build_filename(folder, "xylemd.sock", NULL);
	int fd = manager_listen(abstract);
	pid_t pid = start_xylemd(folder), second;

	tap_ok(hears(fd, "serves") && hears(fd, "READY=1") && can_connect(path),
	       "xylemd says that it is ready when it serves (%s)", how);
	second = start_xylemd(folder);
	tap_ok(status_of(second) == 1 && hears_nothing(fd), "one that does not start says nothing");
	kill(pid, SIGTERM);
	tap_ok(status_of(pid) == 0 && hears_nothing(fd), "nor does it say so again");
	close(fd);
}

/* ---- the small daemons ---- */

static bool start_well(void *data)
{
	(void)data;
	say("serves");
	return true;
}

static bool start_badly(void *data)
{
	(void)data;
	return false;
}

static void stop(void *data)
{
	(void)data;
	say("stops");
}

static int run_small(bool good, const char *foreground, const char *pid_file)
{
	static const GOptionEntry none[] = { { NULL, 0, 0, 0, NULL, NULL, NULL } };
	const struct daemon_program program = {
		.name = "small",
		.summary = "a daemon",
		.options = none,
		.foreground = "interactive",
		.foreground_letter = 'i',
		.start = good ? start_well : start_badly,
		.stop = stop,
	};
	g_autofree char *file = g_strconcat("--pid-file=", pid_file, NULL);
	char *argv[] = { (char *)"small", file, (char *)foreground, NULL };

	return daemon_program_run(&program, NULL, foreground ? 3 : 2, argv);
}

static pid_t start_small(bool good, const char *foreground, const char *pid_file)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(run_small(good, foreground, pid_file));
	return pid;
}

static void test_small(bool abstract, const char *foreground)
{
	g_autofree char *pid_file = g_build_filename(dir, "pid", NULL);
	g_autofree char *text = NULL;
	int fd = manager_listen(abstract);
	pid_t pid = start_small(true, foreground, pid_file);
	/* The one that was started ends as soon as the one in the background serves. */
	bool started = foreground || status_of(pid) == 0;

	tap_ok(hears(fd, "serves") && hears(fd, "READY=1") && started,
	       "a small daemon in the %s says it, too", foreground ? "foreground" : "background");
	if (!g_file_get_contents(pid_file, &text, NULL, NULL) || atoi(text) <= 1)
		exit(1);
	kill(atoi(text), SIGTERM);
	tap_ok(hears(fd, "STOPPING=1") && hears(fd, "stops"), "and that it stops, before it does");
	if (foreground)
		status_of(pid);
	pid = start_small(false, foreground, pid_file);
	tap_ok(status_of(pid) == 1 && hears_nothing(fd), "one that does not start says nothing");
	close(fd);
}

/* ---- the units ---- */

static void test_unit(const char *name)
{
	g_autofree char *path = g_build_filename(g_getenv("UNITS"), name, NULL);
	g_autofree char *text = NULL;

	tap_ok(g_file_get_contents(path, &text, NULL, NULL) && strstr(text, "\n[Service]\nType=notify\n"),
	       "%s: the service manager waits for it", name);
}

int main(void)
{
	g_autofree char *remove = NULL;

	dir = g_dir_make_tmp("xylem-ready-XXXXXX", NULL);
	if (!dir || !g_getenv("UNITS"))
		return 1;
	remove = g_strdup_printf("rm -rf '%s'", dir);
	test_xylemd(false);
	test_xylemd(true);
	test_small(false, "-F");
	test_small(true, "-F");
	test_small(true, NULL);
	test_unit("xylemd.service.in");
	test_unit("xylem-xenstored.service.in");
	test_unit("xylem-xenconsoled.service.in");
	return tap_end() || system(remove) ? 1 : 0;
}
