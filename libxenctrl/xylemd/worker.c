/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's side of the kernel worker; see worker.h. */
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "worker_protocol.h"

/* Several times what the slowest emulated machine needs for the largest kernel: one made to take long is given up then. */
#define ANSWER_TIMEOUT_MS 60000
/* So many kernels at a time: one that takes long, as its owner can make it, does not keep those of others. */
#define PROCESSES 3
/* As large as a kernel may be however little of dom0's memory is left: twice what Debian's take. */
#define UNPACKED_MIN_BYTES (UINT64_C(128) << 20)

struct worker {
	GMutex lock;
	GCond freed;
	guint at_work; /* guarded by lock, as is the next */
	GQueue waiting;
	char *program;
};

/* One kernel's. */
struct process {
	int socket; /* -1: not running */
	pid_t pid;
};

struct worker *worker_new(const char *program)
{
	struct worker *worker = g_new0(struct worker, 1);

	g_mutex_init(&worker->lock);
	g_cond_init(&worker->freed);
	g_queue_init(&worker->waiting);
	worker->program = g_strdup(program);
	return worker;
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	g_mutex_clear(&worker->lock);
	g_cond_clear(&worker->freed);
	g_free(worker->program);
	g_free(worker);
}

/* First come, first served; for as long as its build may wait. */
static gboolean begin(struct worker *worker, const char *guest, const char *path, GError **error)
{
	gboolean turn;
	int self;

	g_mutex_lock(&worker->lock);
	g_queue_push_tail(&worker->waiting, &self);
	while (!(turn = worker->at_work < PROCESSES && g_queue_peek_head(&worker->waiting) == &self) &&
	       image_may_wait())
		g_cond_wait_until(&worker->freed, &worker->lock, g_get_monotonic_time() + IMAGE_LOOK_US);
	g_queue_remove(&worker->waiting, &self);
	worker->at_work += turn ? 1 : 0;
	g_cond_broadcast(&worker->freed);
	g_mutex_unlock(&worker->lock);
	return turn ||
	       xd_fail(error, XD_ERROR_TIMEOUT,
	               "guest \"%s\": kernel %s: kernels of others take too long to unpack", guest, path);
}

static void end(struct worker *worker)
{
	g_mutex_lock(&worker->lock);
	worker->at_work--;
	g_cond_broadcast(&worker->freed);
	g_mutex_unlock(&worker->lock);
}

/* Ends the process, whatever it does, and collects it. Returns its wait status. */
static int process_stop(struct process *process)
{
	int status = 0;

	if (process->socket < 0)
		return 0;
	close(process->socket);
	process->socket = -1;
	kill(process->pid, SIGKILL);
	while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static gboolean process_start(struct process *process, char *program, GError **error)
{
	char *argv[] = { program, (char *)WORKER_ARGUMENT, NULL };
	/* Run from a build folder, it must find the library there. */
	const char *libraries = g_getenv("LD_LIBRARY_PATH");
	g_autofree char *variable = libraries ? g_strconcat("LD_LIBRARY_PATH=", libraries, NULL) : NULL;
	char *envp[] = { variable, NULL };
	posix_spawn_file_actions_t actions;
	int pair[2], result;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return xd_fail(error, XD_ERROR_INTERNAL, "no socket for the kernel worker: %s",
		               g_strerror(errno));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pair[1], WORKER_SOCKET_FD);
	result = posix_spawn(&process->pid, program, &actions, NULL, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	close(pair[1]);
	if (result) {
		close(pair[0]);
		return xd_fail(error, XD_ERROR_INTERNAL, "cannot start the kernel worker: %s",
		               g_strerror(result));
	}
	process->socket = pair[0];
	return TRUE;
}

/* Sends the request with its two descriptors; false when the worker is gone. */
static gboolean send_request(int sock, const struct worker_request *request, int input, int output)
{
	char control[CMSG_SPACE(2 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)request, sizeof(*request) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int fds[2] = { input, output };

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(header), fds, sizeof(fds));
	return sendmsg(sock, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(*request);
}

static gboolean receive_reply(int sock, struct worker_reply *reply, gboolean *late)
{
	gint64 deadline = g_get_monotonic_time() + (gint64)ANSWER_TIMEOUT_MS * 1000;
	struct pollfd poll_fd = { .fd = sock, .events = POLLIN };
	int ready;

	*late = FALSE;
	do {
		gint64 left_ms = (deadline - g_get_monotonic_time()) / 1000;

		ready = poll(&poll_fd, 1, (int)MAX(left_ms, 0));
	} while (ready < 0 && errno == EINTR);
	*late = ready == 0;
	if (ready <= 0 || recv(sock, reply, sizeof(*reply), 0) != (ssize_t)sizeof(*reply))
		return FALSE;
	reply->message[sizeof(reply->message) - 1] = '\0';
	return TRUE;
}

/* One exchange. The reply is the confined process's: nothing in it is used unchecked. */
static gboolean exchange(struct process *process, char *program, gsize bytes, int input, int output,
                         const char *guest, const char *path, struct worker_reply *reply, GError **error)
{
	/* It is there twice for a moment: in the worker and in what comes back. Read once: it changes, and CLAMP looks thrice. */
	guint64 half = image_room() / 2;
	struct worker_request request = {
		.input_bytes = bytes, .max_bytes = CLAMP(half, UNPACKED_MIN_BYTES, WORKER_MAX_UNPACKED_BYTES)
	};
	gboolean late;
	int status;

	if (!process_start(process, program, error))
		return FALSE;
	if (!send_request(process->socket, &request, input, output))
		return xd_fail(error, XD_ERROR_INTERNAL, "the kernel worker cannot be reached");
	if (receive_reply(process->socket, reply, &late)) {
		g_autofree char *text = NULL;

		if (!reply->error)
			return TRUE;
		text = g_utf8_make_valid(reply->message, -1);
		return xd_fail(error, XD_ERROR_KERNEL, "guest \"%s\": kernel %s: %s", guest, path, text);
	}
	status = process_stop(process);
	if (late)
		return xd_fail(error, XD_ERROR_KERNEL, "guest \"%s\": kernel %s takes too long to unpack",
		               guest, path);
	return xd_fail(error, XD_ERROR_KERNEL,
	               "guest \"%s\": kernel %s made the unpacking process end (%s %d)", guest, path,
	               WIFSIGNALED(status) ? "signal" : "status",
	               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* Seals what the worker wrote and maps it. The worker has ended, and its mapping with it. */
static gboolean take_output(struct image *image, int output, guint64 bytes, const char *guest,
                            const char *path, GError **error)
{
	struct stat info;

	if (!bytes || bytes > WORKER_MAX_UNPACKED_BYTES || !image_seal(output) || fstat(output, &info) ||
	    (guint64)info.st_size < bytes || !image_map(image, output, (gsize)bytes))
		return xd_fail(error, XD_ERROR_KERNEL, "guest \"%s\": kernel %s was not unpacked properly",
		               guest, path);
	return TRUE;
}

/* Whoever builds the guest unpacks what is packed still, with nothing that confines it: a worker that a kernel has taken over
 * may say of any that it is not packed, or hand out another one. */
static gboolean is_unpacked(const struct image *image, const char *guest, const char *path, GError **error)
{
	return (image->bytes >= 4 && !memcmp(image->data, "\177ELF", 4)) ||
	       xd_fail(error, XD_ERROR_KERNEL, "guest \"%s\": kernel %s was not unpacked properly", guest,
	               path);
}

gboolean worker_unpack(struct worker *worker, const char *path, const char *guest, struct image *image,
                       GError **error)
{
	struct worker_reply reply = { 0 };
	gboolean ok = FALSE;
	gsize bytes = 0;
	int input = image_open(path, IMAGE_MAX_KERNEL_BYTES, guest, "kernel", &bytes, error), output;

	if (input < 0)
		return FALSE;
	output = memfd_create("xylemd-kernel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (output < 0) {
		xd_fail(error, XD_ERROR_KERNEL, "guest \"%s\": no memory for the kernel", guest);
	} else {
		struct process process = { .socket = -1 };

		if (begin(worker, guest, path, error)) {
			ok = exchange(&process, worker->program, bytes, input, output, guest, path, &reply,
			              error);
			process_stop(&process);
			end(worker);
		}
		if (ok && reply.unchanged)
			ok = image_map(image, input, bytes);
		else if (ok)
			ok = take_output(image, output, reply.output_bytes, guest, path, error);
		if (ok && !is_unpacked(image, guest, path, error)) {
			image_clear(image);
			ok = FALSE;
		}
		if (!ok)
			xd_fail(error, XD_ERROR_KERNEL, "guest \"%s\": no memory for kernel %s", guest, path);
		close(output);
	}
	close(input);
	return ok;
}
