/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts a screen's process; see screen_spawn.h.
 *
 * The child of a process with threads may do little before it becomes another program: all that takes memory is made
 * ready by the parent. It waits until its number is written down; when xylemd dies before that, it never runs.
 */
#include "screen_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"

#define LOCK_FD        3
#define FIRST_SPARE_FD 16
#define FILE_MAX_BYTES (64 * 1024 * 1024) /* of a picture of the screen */
#define FILES_MAX      512
/* Its own memory, that of its threads' stacks with it: an image's tables and what a guest asks at once are up to others. */
#ifndef DATA_MAX_BYTES /* the sanitizers of a test's program need more */
#define DATA_MAX_BYTES (512 * 1024 * 1024)
#endif
#define STACK_MAX_BYTES (2 * 1024 * 1024)
#define FILTER_MAX      (64 * 1024) /* bytes */

/* What no device model needs, and what would be a way to other programs' memory, or into the kernel's rarer parts. */
static const int refused_calls[] = {
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
	SCMP_SYS(execveat),
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(kcmp),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(pivot_root),
	SCMP_SYS(open_tree),
	SCMP_SYS(move_mount),
	SCMP_SYS(fsopen),
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(reboot),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(keyctl),
	SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
	SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime),
	SCMP_SYS(clock_adjtime),
	SCMP_SYS(adjtimex),
	SCMP_SYS(sethostname),
	SCMP_SYS(setdomainname),
	SCMP_SYS(syslog),
	SCMP_SYS(acct),
	SCMP_SYS(quotactl),
	SCMP_SYS(personality),
};

/* The filter as the kernel takes it; NULL with an error. program: the one call of execve that is let through has it. */
static struct sock_fprog *make_filter(const char *program, GError **error)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int fd = memfd_create("filter", MFD_CLOEXEC), result = filter && fd >= 0 ? 0 : -ENOMEM;
	struct sock_fprog *made = NULL;
	struct stat info;
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(refused_calls) && !result; i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused_calls[i], 0);
	if (!result)
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(execve), 1,
		                          SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)(uintptr_t)program));
	if (!result)
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
		                          SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
	/* Its arguments are out of the filter's sight; the C library then takes clone. */
	if (!result)
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (!result)
		result = seccomp_export_bpf(filter, fd);
	if (!result && !fstat(fd, &info) && info.st_size > 0 && info.st_size <= FILTER_MAX) {
		size_t bytes = (size_t)info.st_size;

		made = g_malloc(sizeof(*made) + bytes);
		made->len = (unsigned short)(bytes / sizeof(struct sock_filter));
		made->filter = (struct sock_filter *)(made + 1);
		if (pread(fd, made->filter, bytes, 0) != info.st_size)
			g_clear_pointer(&made, g_free);
	}
	if (fd >= 0)
		close(fd);
	seccomp_release(filter);
	if (!made)
		xd_fail(error, XD_ERROR_DEVICE, "no filter of system calls for QEMU could be made");
	return made;
}

static int limit(bool images)
{
	const struct rlimit none = { 0, 0 }, file = { FILE_MAX_BYTES, FILE_MAX_BYTES },
	                    files = { FILES_MAX, FILES_MAX }, data = { DATA_MAX_BYTES, DATA_MAX_BYTES },
	                    stack = { STACK_MAX_BYTES, STACK_MAX_BYTES };

	return setrlimit(RLIMIT_CORE, &none) || (!images && setrlimit(RLIMIT_FSIZE, &file)) ||
	       setrlimit(RLIMIT_NOFILE, &files) || setrlimit(RLIMIT_STACK, &stack) ||
	       setrlimit(RLIMIT_DATA, &data);
}

/* xylemd is spared when memory runs out; this one is as good as any. */
static void be_mortal(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!write(fd, "0", 1);
		close(fd);
	}
}

/* In the child. What was a signal handler is none in another program; what is ignored would stay so. */
static void reset_signals(void)
{
	sigset_t none;
	int number;

	for (number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	/* Writing more than is allowed is an error, and no reason to die. */
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static G_GNUC_NORETURN void be_screen(const struct screen_spawn *spawn, const struct sock_fprog *filter,
                                      char *const *environment, const int fds[3], const int go[2])
{
	static const char message[] = "cannot be started\n";
	char byte;

	close(go[1]);
	if (read(go[0], &byte, 1) != 1)
		_exit(127);
	reset_signals();
	be_mortal();
	umask(0077);
	if (setsid() < 0 || dup2(fds[0], 0) < 0 || dup2(fds[1], 1) < 0 || dup2(fds[1], 2) < 0 ||
	    dup2(fds[2], LOCK_FD) < 0 || close_range(LOCK_FD + 1, ~0u, 0) || limit(spawn->images) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter))
		_exit(126);
	execve(spawn->argv[0], spawn->argv, environment);
	(void)!write(2, message, sizeof(message) - 1);
	_exit(127);
}

int screen_pidfd_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

bool screen_pidfd_ended(int pidfd, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };

	return poll(&poll_fd, 1, timeout_ms) > 0;
}

static bool write_number(int fd, pid_t pid)
{
	char text[24];
	int length = snprintf(text, sizeof(text), "%d\n", (int)pid);

	return write(fd, text, (size_t)length) == length;
}

static int spare(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, FIRST_SPARE_FD);
}

bool screen_spawn(const struct screen_spawn *spawn, pid_t *pid, int *pidfd, GError **error)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", language[] = "LC_ALL=C.UTF-8";
	static char *const environment[] = { path, language, NULL };
	struct sock_fprog *filter = make_filter(spawn->argv[0], error);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), go[2] = { -1, -1 }, i;
	int fds[3] = { spare(null), spare(spawn->log), spare(spawn->lock) };
	bool ok = false;

	*pid = -1;
	*pidfd = -1;
	if (filter && fds[0] >= 0 && fds[1] >= 0 && fds[2] >= 0 && !pipe2(go, O_CLOEXEC))
		*pid = fork();
	if (!*pid)
		be_screen(spawn, filter, environment, fds, go);
	if (*pid > 0) {
		*pidfd = screen_pidfd_open(*pid);
		ok = *pidfd >= 0 && write_number(spawn->number, *pid) && write(go[1], "", 1) == 1;
	}
	if (filter && !ok)
		xd_fail(error, XD_ERROR_DEVICE, "QEMU could not be started: %s", g_strerror(errno));
	for (i = 0; i < 2; i++)
		if (go[i] >= 0)
			close(go[i]);
	/* Not told to go, it ends by itself. */
	if (*pid > 0 && !ok)
		waitpid(*pid, NULL, 0);
	if (*pidfd >= 0 && !ok)
		close(*pidfd);
	for (i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (null >= 0)
		close(null);
	g_free(filter);
	return ok;
}
