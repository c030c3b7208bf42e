/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has a disk's file open, with real processes: children of this test that have other names, open the file, lock parts
 * of it as libvirt's lock manager does, and die.
 */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/tap.h"
#include "fileuse.h"

#define LOCK_MANAGER "virtlockd"
#define NOBODY       65534

static char *path, *other_path;
static bool leases; /* the file system has them */

/* ---- processes ---- */

static void lock_range(int fd, short type, off_t first, off_t count)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = first, .l_len = count };

	if (fcntl(fd, F_SETLK, &lock))
		_exit(1);
}

static uid_t start_as; /* 0: who runs the test */

static void hold(const char *name, const char *file, int flags, unsigned ranges)
{
	int fd = open(file, flags);

	if (fd < 0 || (start_as && setuid(start_as)) || prctl(PR_SET_NAME, name))
		_exit(1);
	for (unsigned i = 0; i < ranges; i++)
		lock_range(fd, i % 2 ? F_RDLCK : F_WRLCK, 100 * i, 1 + i);
}

/* A child of that name, which has the file open, and so many ranges of it locked. */
static pid_t start(const char *name, const char *file, int flags, unsigned ranges)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready))
		exit(1);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		hold(name, file, flags, ranges);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (pid < 0 || read(ready[0], &byte, 1) != 1) {
		printf("Bail out! no process %s\n", name);
		exit(1);
	}
	close(ready[0]);
	return pid;
}

static void reap(pid_t pid)
{
	if (waitpid(pid, NULL, 0) != pid)
		exit(1);
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	reap(pid);
}

/* ---- what is asked ---- */

static bool only_lock_manager(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool only = fileuse_only_lock_manager(fd);

	close(fd);
	return only;
}

static bool quiet(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is = fileuse_quiet(fd);

	close(fd);
	return is;
}

/* While nobody has it. */
static bool have_leases(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool have = !fcntl(fd, F_SETLEASE, F_RDLCK);

	close(fd);
	return have;
}

/* What a disk's opening goes by, besides; where the file system has no leases, it goes by nothing. */
static void says(bool only, bool is_quiet, const char *when)
{
	bool as_wanted = only_lock_manager() == only && (!leases || quiet() == is_quiet);

	tap_ok(as_wanted, "%s: %s", when, only ? "the lock manager alone" : is_quiet ? "quiet" : "refused");
}

/* The same by a process that may not look into those of root, nor into those that hide. */
static bool only_for_nobody(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (!getuid() && setuid(NOBODY))
			_exit(2);
		_exit(only_lock_manager());
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) > 1)
		exit(1);
	return WEXITSTATUS(status);
}

/* ---- cases ---- */

static void names(void)
{
	static const char *const like[] = { "virtlock", "virtlockd2", "virtlogd", "Virtlockd", "qemu" };
	pid_t manager, writer;

	says(false, true, "nobody has it");
	manager = start(LOCK_MANAGER, path, O_RDWR, 1);
	says(true, true, "the lock manager has it locked");
	for (unsigned i = 0; i < G_N_ELEMENTS(like); i++) {
		g_autofree char *when = g_strdup_printf("%s has it beside the lock manager", like[i]);

		writer = start(like[i], path, O_RDWR, 0);
		says(false, false, when);
		stop(writer);
	}
	says(true, true, "it is gone again");
	writer = start(LOCK_MANAGER, path, O_RDWR, 0);
	says(true, true, "two lock managers have it");
	stop(manager);
	stop(writer);
	writer = start("writer", path, O_RDWR, 1);
	says(false, false, "another process has it locked");
	stop(writer);
}

static void ways_to_have_it(void)
{
	pid_t manager = start(LOCK_MANAGER, path, O_RDWR, 7), other;

	says(true, true, "the lock manager has seven ranges of it locked");
	other = start("reader", path, O_RDONLY, 0);
	says(false, false, "a process reads it beside the lock manager");
	stop(other);
	other = start("writer", other_path, O_RDWR, 1);
	says(true, true, "a process writes another file");
	stop(other);
	stop(manager);
	other = start("reader", path, O_RDONLY, 0);
	says(false, true, "a process only reads it");
	stop(other);
	manager = start(LOCK_MANAGER, other_path, O_RDWR, 1);
	says(false, true, "the lock manager has another file");
	other = start("writer", path, O_WRONLY, 0);
	says(false, false, "and a process writes this one");
	stop(other);
	stop(manager);
}

static void names_of_the_file(void)
{
	g_autofree char *linked = g_strconcat(path, ".linked", NULL);
	pid_t manager, writer;

	if (link(path, linked))
		exit(1);
	manager = start(LOCK_MANAGER, linked, O_RDWR, 1);
	says(true, true, "the lock manager has it by another name of it");
	writer = start("writer", linked, O_RDWR, 0);
	g_unlink(linked);
	says(false, false, "a process writes it by a name that is gone");
	stop(writer);
	stop(manager);
}

static void deaths(void)
{
	pid_t manager = start(LOCK_MANAGER, path, O_RDWR, 2), writer = start("writer", path, O_RDWR, 0);
	siginfo_t info;

	kill(writer, SIGKILL);
	waitid(P_PID, (id_t)writer, &info, WEXITED | WNOWAIT);
	says(true, true, "a process that wrote it is dead, and not yet reaped");
	reap(writer);
	says(true, true, "it is reaped");
	writer = start("writer", path, O_RDWR, 0);
	kill(manager, SIGKILL);
	waitid(P_PID, (id_t)manager, &info, WEXITED | WNOWAIT);
	says(false, false, "the lock manager is dead, and a process writes it");
	stop(writer);
	says(false, true, "all are dead");
	reap(manager);
}

/* What cannot be looked into is not taken for the lock manager. */
static void hidden(void)
{
	pid_t manager = start(LOCK_MANAGER, path, O_RDWR, 1), child;
	int status;

	tap_ok(only_lock_manager(), "a process that may look finds the lock manager");
	stop(manager);
	/* Also without root's rights a process can hide from another one of the same user. */
	child = fork();
	if (!child) {
		prctl(PR_SET_DUMPABLE, 0);
		manager = start(LOCK_MANAGER, path, O_RDWR, 1);
		status = only_for_nobody();
		stop(manager);
		_exit(status);
	}
	if (waitpid(child, &status, 0) != child)
		exit(1);
	tap_ok(WIFEXITED(status) && !WEXITSTATUS(status), "one that may not does not take it for that");
}

/* A name is anybody's to take. */
static void of_another_user(void)
{
	static const char name[] = "a process of another user has the lock manager's name";
	pid_t manager;

	if (getuid()) {
		tap_skip(name, "not root");
		return;
	}
	start_as = NOBODY;
	manager = start(LOCK_MANAGER, path, O_RDWR, 1);
	start_as = 0;
	says(false, false, name);
	stop(manager);
}

static void loop_device(void)
{
	struct loop_config config = { .fd = (uint32_t)open(path, O_RDWR | O_CLOEXEC) };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	g_autofree char *device = g_strdup_printf("/dev/loop%d", number);
	int loop = number < 0 ? -1 : open(device, O_RDWR | O_CLOEXEC);
	pid_t manager;

	config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
	g_strlcpy((char *)config.info.lo_file_name, path, LO_NAME_SIZE);
	if (loop < 0 || ioctl(loop, LOOP_CONFIGURE, &config)) {
		tap_skip("a loop device has it beside the lock manager", "no loop device to be had");
	} else {
		close((int)config.fd);
		manager = start(LOCK_MANAGER, path, O_RDWR, 1);
		tap_ok(!only_lock_manager(), "a loop device has it beside the lock manager: refused");
		stop(manager);
	}
	close(loop);
	close(control);
}

int main(void)
{
	g_autofree char *dir = g_dir_make_tmp("fileuse-test-XXXXXX", NULL);

	tap_plan(10 + 6 + 2 + 4 + 2 + 1 + 1);
	path = g_build_filename(dir, "disk", NULL);
	other_path = g_build_filename(dir, "other", NULL);
	if (chmod(dir, 0755) || !g_file_set_contents(path, "disk", 4, NULL) || chmod(path, 0666) ||
	    !g_file_set_contents(other_path, "disk", 4, NULL))
		return 1;
	leases = have_leases();
	printf("# leases: %s\n", leases ? "yes" : "no");
	names();
	ways_to_have_it();
	names_of_the_file();
	deaths();
	hidden();
	of_another_user();
	loop_device();
	g_unlink(path);
	g_unlink(other_path);
	g_rmdir(dir);
	g_free(path);
	g_free(other_path);
	return tap_end();
}
