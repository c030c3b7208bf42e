/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel worker's own side; see worker.h. After confine() it can compute, have memory, and talk on one
 * socket.
 *
 * Unpacks in three steps: map the input, xyl_kernel_unpack(), copy the result into the output memfd. Both
 * mappings are gone before the answer is sent, so that the daemon can seal the output.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker.h"
#include "worker_protocol.h"
#include "xenctrl.h"

#define ADDRESS_SPACE_BYTES (UINT64_C(3) << 30)

/* System calls without an argument worth checking. */
static const int allowed_calls[] = {
	SCMP_SYS(read),         SCMP_SYS(write),      SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),       SCMP_SYS(munmap),     SCMP_SYS(mremap),  SCMP_SYS(brk),
	SCMP_SYS(madvise),      SCMP_SYS(ftruncate),  SCMP_SYS(close),   SCMP_SYS(futex),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(exit_group), SCMP_SYS(exit),    SCMP_SYS(getrandom),
};

static int confine(void)
{
	const struct rlimit space = { ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES }, none = { 0, 0 };
	/* A memfd is no part of the address space. */
	const struct rlimit output = { WORKER_MAX_UNPACKED_BYTES, WORKER_MAX_UNPACKED_BYTES };
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int result = 0;
	size_t i;

	if (!filter)
		return -1;
	for (i = 0; i < sizeof(allowed_calls) / sizeof(allowed_calls[0]) && !result; i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed_calls[i], 0);
	/* Memory never becomes executable. */
	if (!result)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
		                          SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!result)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
		                          SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!result)
		result = setrlimit(RLIMIT_CORE, &none);
	if (!result)
		result = setrlimit(RLIMIT_FSIZE, &output);
#ifndef XYLEM_SANITIZED
	if (!result)
		result = setrlimit(RLIMIT_AS, &space);
#else
	(void)space;
#endif
	if (!result)
		result = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (!result)
		result = seccomp_load(filter);
	seccomp_release(filter);
	return result;
}

/* One request with exactly two descriptors; false at the end of the connection or when it is malformed. */
static int receive_request(struct worker_request *request, int fds[2])
{
	char control[CMSG_SPACE(2 * sizeof(int))];
	struct iovec iov = { request, sizeof(*request) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *header;
	ssize_t bytes;

	do
		bytes = recvmsg(WORKER_SOCKET_FD, &message, MSG_CMSG_CLOEXEC);
	while (bytes < 0 && errno == EINTR);
	header = bytes == (ssize_t)sizeof(*request) ? CMSG_FIRSTHDR(&message) : NULL;
	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
	    header->cmsg_len != CMSG_LEN(2 * sizeof(int)))
		return 0;
	memcpy(fds, CMSG_DATA(header), 2 * sizeof(int));
	return 1;
}

static void fail(struct worker_reply *reply, int error, const char *text)
{
	reply->error = error ? (uint32_t)error : EIO;
	strncpy(reply->message, text, sizeof(reply->message) - 1);
}

/* Puts the unpacked kernel into the output memfd. */
static void deliver(struct worker_reply *reply, int fd, const void *data, size_t bytes)
{
	void *output;

	if (ftruncate(fd, (off_t)bytes)) {
		fail(reply, errno, "no memory for the unpacked kernel");
		return;
	}
	output = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (output == MAP_FAILED) {
		fail(reply, errno, "no memory for the unpacked kernel");
		return;
	}
	memcpy(output, data, bytes);
	munmap(output, bytes);
	reply->output_bytes = bytes;
}

static void serve(const struct worker_request *request, const int fds[2], struct worker_reply *reply)
{
	size_t bytes = (size_t)request->input_bytes, unpacked_bytes = 0;
	void *input = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fds[0], 0), *unpacked = NULL;

	if (input == MAP_FAILED) {
		fail(reply, errno, "no memory for the packed kernel");
		return;
	}
	/* A kernel that is not packed is looked at where it is: a copy of it would be large. */
	if (bytes >= 4 && !memcmp(input, "\177ELF", 4))
		reply->unchanged = !xyl_kernel_check(input, bytes);
	else if (!xyl_kernel_unpack(input, bytes, (size_t)request->max_bytes, &unpacked, &unpacked_bytes))
		deliver(reply, fds[1], unpacked, unpacked_bytes);
	if (!reply->unchanged && !unpacked)
		fail(reply, errno, xyl_error());
	free(unpacked);
	munmap(input, bytes);
}

/* Where dom0's memory runs out, this process ends and no daemon (proc(5), oom_score_adj). */
static void end_first(void)
{
	int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (file < 0)
		return;
	if (write(file, "1000", 4) != 4)
		fprintf(stderr, "kernel worker: oom_score_adj: %s\n", strerror(errno));
	close(file);
}

int worker_main(void)
{
	struct worker_request request = { 0 };
	struct worker_reply reply = { 0 };
	int fds[2];

	end_first();
	/* The thread that started it waits for it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || confine())
		return 1;
	if (!receive_request(&request, fds))
		return 0;
	serve(&request, fds, &reply);
	return send(WORKER_SOCKET_FD, &reply, sizeof(reply), MSG_NOSIGNAL) != (ssize_t)sizeof(reply);
}
