/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's console: this terminal tied to the pseudo-terminal that xenconsoled made. */
#include "xenctl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define ESCAPE_KEY 0x1d /* Ctrl-] */

static gboolean write_all(int fd, const char *bytes, ssize_t count)
{
	while (count > 0) {
		ssize_t done = write(fd, bytes, (size_t)count);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return FALSE;
		bytes += done;
		count -= done;
	}
	return TRUE;
}

/* Copies one way. Returns 1 to go on, 0 at the end, -1 on an error. */
static int copy_once(int from, int to, gboolean keyboard)
{
	char buffer[4096];
	ssize_t bytes = read(from, buffer, sizeof(buffer));
	const char *escape;

	if (bytes < 0)
		return errno == EINTR || errno == EAGAIN ? 1 : errno == EIO ? 0 : -1;
	if (bytes == 0)
		return 0;
	escape = keyboard ? memchr(buffer, ESCAPE_KEY, (size_t)bytes) : NULL;
	if (escape)
		bytes = escape - buffer;
	if (!write_all(to, buffer, bytes))
		return -1;
	return escape ? 0 : 1;
}

static int talk(int tty)
{
	struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = tty, .events = POLLIN } };
	int go = 1;

	while (go > 0) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -1;
		if (fds[1].revents)
			go = copy_once(tty, STDOUT_FILENO, FALSE);
		if (go > 0 && fds[0].revents) {
			go = copy_once(STDIN_FILENO, tty, TRUE);
			/* The end of a piped input is not the end of the guest's output. */
			if (go == 0 && !isatty(STDIN_FILENO)) {
				fds[0].fd = -1;
				fds[0].revents = 0;
				go = 1;
			}
		}
	}
	return go;
}

int cmd_console(struct context *ctx, int argc, char **argv)
{
	struct termios saved, raw;
	struct xyl_store *store;
	char *path;
	gboolean terminal;
	guint domid;
	int tty = -1, result;

	(void)argc;
	if (!find_domain(ctx, argv[0], &domid))
		return 1;
	store = xyl_store_open(NULL);
	path = store ? xyl_console_tty(store, domid, &tty) : NULL;
	if (!path) {
		fail("%s", xyl_error());
		xyl_store_close(store);
		return 1;
	}
	xyl_store_close(store);
	fcntl(tty, F_SETFL, fcntl(tty, F_GETFL) & ~O_NONBLOCK);
	if (!tcgetattr(tty, &raw)) {
		cfmakeraw(&raw);
		tcsetattr(tty, TCSANOW, &raw);
	}
	terminal = isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &saved);
	if (terminal) {
		fprintf(stderr, "console of domain %u; Ctrl-] ends\n", domid);
		raw = saved;
		cfmakeraw(&raw);
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	result = talk(tty);
	if (terminal)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
	close(tty);
	if (result < 0)
		fail("%s: %s", path, g_strerror(errno));
	free(path);
	return result < 0 ? 1 : 0;
}
