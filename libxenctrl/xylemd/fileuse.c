/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has a disk's file open; see fileuse.h. */
#include "fileuse.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_same(const char *path, const struct stat *file)
{
	struct stat info;

	return !stat(path, &info) && info.st_dev == file->st_dev && info.st_ino == file->st_ino;
}

/* Whether the process has the file open. */
static bool process_has(const char *pid, const struct stat *file)
{
	g_autofree char *path = g_build_filename("/proc", pid, "fd", NULL);
	g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *fd = g_build_filename(path, name, NULL);

		if (is_same(fd, file))
			return true;
	}
	return false;
}

/* Whether a loop device of the kernel's has it. */
static bool loop_has(const struct stat *file)
{
	g_autoptr(GDir) dir = g_dir_open("/sys/block", 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *path = g_build_filename("/sys/block", name, "loop", "backing_file", NULL);
		g_autofree char *backing = NULL;

		if (g_file_get_contents(path, &backing, NULL, NULL) && is_same(g_strchomp(backing), file))
			return true;
	}
	return false;
}

/* Processes of this one's user, which is root, are trusted to be what their name says. */
static bool is_lock_manager(const char *pid)
{
	g_autofree char *path = g_build_filename("/proc", pid, "status", NULL);
	g_autofree char *text = NULL;
	const char *uids;
	unsigned effective;

	if (!g_file_get_contents(path, &text, NULL, NULL) || !g_str_has_prefix(text, "Name:\tvirtlockd\n"))
		return false;
	uids = strstr(text, "\nUid:");
	return uids && sscanf(uids, "\nUid: %*u %u", &effective) == 1 && effective == geteuid();
}

bool fileuse_only_lock_manager(int fd)
{
	g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
	const char *pid;
	struct stat file;
	bool found = false;

	if (fstat(fd, &file) || loop_has(&file))
		return false;
	while (dir && (pid = g_dir_read_name(dir)) != NULL) {
		if (!g_ascii_isdigit(*pid) || strtol(pid, NULL, 10) == getpid() || !process_has(pid, &file))
			continue;
		if (!is_lock_manager(pid))
			return false;
		found = true;
	}
	return found;
}

bool fileuse_quiet(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK))
		return errno != EAGAIN || fileuse_only_lock_manager(fd);
	fcntl(fd, F_SETLEASE, F_UNLCK);
	return true;
}
