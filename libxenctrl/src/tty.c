/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The terminal of a domain's console, opened only when it is that.
 *
 * The name in the store outlives an xenconsoled that was killed, and the kernel gives the number of a terminal to
 * whoever opens the next one: a shell of root, another guest. Our xenconsoled keeps, as long as it serves a terminal,
 * a lock on it at the byte of the domain's number, which goes with the process, and says so in console/tty-lock. Xen's
 * own does not: of its terminals only the name and the kind can be checked.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "private.h"

/* Of those that are devices dom0's half says so, where the guest cannot write. */
static char *read_leaf(struct xyl_store *s, uint32_t domid, uint32_t number, const char *leaf)
{
	if (number)
		return xyl_store_readf(s, XYL_TX_NONE, "/local/domain/0/backend/console/%u/%u/%s", domid,
		                       number, leaf);
	return xyl_store_readf(s, XYL_TX_NONE, "/local/domain/%u/console/%s", domid, leaf);
}

static int open_pts(uint32_t domid, const char *path)
{
	struct statfs fs;
	struct stat info;
	int fd;

	if (strncmp(path, "/dev/pts/", 9) || !path[9] || path[9 + strspn(path + 9, "0123456789")])
		return xyl_fail_text(ENXIO,
		                     "domain %u: its console is \"%.64s\", which is no pseudo-terminal",
		                     domid, path);
	fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return xyl_fail(errno, "domain %u: its console's terminal %s", domid, path);
	if (fstat(fd, &info) || !S_ISCHR(info.st_mode) || fstatfs(fd, &fs) ||
	    fs.f_type != DEVPTS_SUPER_MAGIC) {
		close(fd);
		return xyl_fail_text(ENXIO, "domain %u: %s is no pseudo-terminal", domid, path);
	}
	return fd;
}

/* Whether an xenconsoled that lives serves the terminal as that of the domain. */
static bool is_served(int fd, uint32_t domid)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = domid, .l_len = 1 };

	return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type == F_WRLCK;
}

int xyl_console_lock(int tty, uint32_t domid)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = domid, .l_len = 1 };

	return fcntl(tty, F_OFD_SETLK, &lock)
	               ? xyl_fail(errno, "domain %u: its console's terminal cannot be locked", domid)
	               : 0;
}

char *xyl_console_tty(struct xyl_store *s, uint32_t domid, int *fd)
{
	return xyl_console_device_tty(s, domid, 0, fd);
}

char *xyl_console_device_tty(struct xyl_store *s, uint32_t domid, uint32_t number, int *fd)
{
	char *path = read_leaf(s, domid, number, "tty"), *locked, *again;
	int tty;

	if (!path || !*path) {
		free(path);
		xyl_fail_text(ENOENT, "domain %u: its console has no terminal (is xenconsoled running?)",
		              domid);
		return NULL;
	}
	tty = open_pts(domid, path);
	if (tty < 0)
		goto fail;
	locked = read_leaf(s, domid, number, "tty-lock");
	again = read_leaf(s, domid, number, "tty");
	if (!again || strcmp(again, path) || (locked && !strcmp(locked, path) && !is_served(tty, domid))) {
		close(tty);
		tty = xyl_fail_text(
		        ESTALE,
		        "domain %u: the terminal %s is no longer its console's (xenconsoled was restarted, "
		        "or is not running)",
		        domid, path);
	}
	free(locked);
	free(again);
	if (tty < 0)
		goto fail;
	*fd = tty;
	return path;
fail:
	free(path);
	return NULL;
}
