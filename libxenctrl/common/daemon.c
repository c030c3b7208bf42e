/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See daemon.h. systemd's readiness protocol is one datagram (sd_notify(3)); a library is not needed for it. */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static bool log_to_stderr = true, log_debug;
static const char *log_name = "";
static int ready_fd = -1;

void daemon_log_open(const char *name, bool foreground, bool verbose)
{
	log_name = name;
	log_to_stderr = foreground;
	log_debug = verbose;
	if (!foreground)
		openlog(name, LOG_PID, LOG_DAEMON);
}

void daemon_log(int priority, const char *fmt, ...)
{
	va_list ap;

	if (priority == LOG_DEBUG && !log_debug)
		return;
	va_start(ap, fmt);
	if (log_to_stderr) {
		fprintf(stderr, "%s: ", log_name);
		vfprintf(stderr, fmt, ap);
		fputc('\n', stderr);
	} else {
		vsyslog(priority, fmt, ap);
	}
	va_end(ap);
}

static void wait_for_child(int fd, pid_t pid)
{
	char byte;
	ssize_t n;

	do {
		n = read(fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(0);
	waitpid(pid, NULL, 0);
	_exit(1);
}

int daemon_background(bool foreground)
{
	int fds[2], null;
	pid_t pid;

	if (foreground)
		return 0;
	if (pipe2(fds, O_CLOEXEC))
		return errno;
	pid = fork();
	if (pid < 0)
		return errno;
	if (pid > 0) {
		close(fds[1]);
		wait_for_child(fds[0], pid);
	}
	close(fds[0]);
	ready_fd = fds[1];
	setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || chdir("/"))
		return errno;
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	if (null > 2)
		close(null);
	return 0;
}

static void notify_systemd(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (!path || strlen(path) >= sizeof(addr.sun_path))
		return;
	strcpy(addr.sun_path, path);
	if (addr.sun_path[0] == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&addr,
	           offsetof(struct sockaddr_un, sun_path) + strlen(path)) < 0)
		daemon_log(LOG_WARNING, "cannot notify the service manager: %s", strerror(errno));
	close(fd);
}

int daemon_ready(const char *pid_file)
{
	if (pid_file) {
		FILE *f = fopen(pid_file, "we");

		if (!f)
			return errno;
		fprintf(f, "%d\n", (int)getpid());
		if (fclose(f))
			return errno;
	}
	notify_systemd("READY=1");
	if (ready_fd >= 0) {
		if (write(ready_fd, "", 1) != 1)
			daemon_log(LOG_WARNING, "the starting process is gone");
		close(ready_fd);
		ready_fd = -1;
	}
	return 0;
}

void daemon_done(const char *pid_file)
{
	notify_systemd("STOPPING=1");
	if (pid_file)
		unlink(pid_file);
}
