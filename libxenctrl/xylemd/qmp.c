/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's machine protocol; see qmp.h. */
#include "qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "error.h"

/* How often a waiting thread looks whether it was cancelled. */
#define CANCEL_CHECK_MS 200
#define GROWTH_CHECK_MS 5 /* and how much it has written */
#define RETRY_US        20000
#define WORDS_MAX       200 /* bytes of QEMU's own in a message */

struct qmp {
	int fd;
	char *what;
	const gint *cancelled;
	gint64 deadline;
	int memory; /* -1: none */
	goffset memory_max;
	GString *input;
};

bool qmp_is_shallow(const char *text, gsize bytes)
{
	bool in_string = false;
	int depth = 0;
	gsize i;

	for (i = 0; i < bytes; i++) {
		if (in_string) {
			if (text[i] == '\\')
				i++;
			else if (text[i] == '"')
				in_string = false;
		} else if (text[i] == '"') {
			in_string = true;
		} else if (text[i] == '[' || text[i] == '{') {
			if (++depth > QMP_DEPTH_MAX)
				return false;
		} else if (text[i] == ']' || text[i] == '}') {
			depth--;
		} else if (text[i] == '/' || text[i] == '\'') {
			return false; /* the parser knows comments, and other quotes, in which it would count otherwise */
		}
	}
	return true;
}

/* False, with an error, when the time is over or nobody wants the answer any more. */
static bool has_time(const struct qmp *qmp, GError **error)
{
	if (qmp->cancelled && g_atomic_int_get(qmp->cancelled))
		return xd_fail(error, XD_ERROR_DEVICE, "%s: it was destroyed meanwhile", qmp->what);
	if (g_get_monotonic_time() >= qmp->deadline)
		return xd_fail(error, XD_ERROR_TIMEOUT, "%s: its QEMU does not answer", qmp->what);
	return true;
}

/* False, with an error, when it has written more than it may. */
static bool is_within(const struct qmp *qmp, GError **error)
{
	struct stat info;

	if (qmp->memory < 0 || fstat(qmp->memory, &info) || info.st_size <= qmp->memory_max)
		return true;
	if (fcntl(qmp->memory, F_ADD_SEALS, F_SEAL_GROW))
		g_warning("%s: what its QEMU writes cannot be limited: %s", qmp->what, g_strerror(errno));
	return xd_fail(error, XD_ERROR_DEVICE, "%s: its QEMU writes more than %" G_GINT64_FORMAT " bytes",
	               qmp->what, (gint64)qmp->memory_max);
}

static bool fail_connection(const struct qmp *qmp, int number, GError **error)
{
	/* Refused: its socket has a name, and nobody listens there yet, or any more. */
	return xd_fail(error, number == ECONNREFUSED ? XD_ERROR_BUSY : XD_ERROR_DEVICE,
	               "%s: no connection to its QEMU: %s", qmp->what, g_strerror(number));
}

static bool wait_for(const struct qmp *qmp, short events, GError **error)
{
	struct pollfd poll_fd = { .fd = qmp->fd, .events = events };

	do {
		if (!has_time(qmp, error) || !is_within(qmp, error))
			return false;
	} while (poll(&poll_fd, 1, qmp->memory < 0 ? CANCEL_CHECK_MS : GROWTH_CHECK_MS) <= 0);
	return true;
}

/* The next line, without its end, at the head of input. */
static bool read_line(struct qmp *qmp, gsize *length, GError **error)
{
	char bytes[4096];
	ssize_t count;

	for (;;) {
		char *end = memchr(qmp->input->str, '\n', qmp->input->len);

		if (end) {
			*length = (gsize)(end - qmp->input->str);
			return has_time(qmp, error);
		}
		if (qmp->input->len > QMP_LINE_MAX)
			return xd_fail(error, XD_ERROR_DEVICE, "%s: its QEMU answers without end", qmp->what);
		if (!wait_for(qmp, POLLIN, error))
			return false;
		count = recv(qmp->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (count > 0)
			g_string_append_len(qmp->input, bytes, count);
		else if (!count)
			return fail_connection(qmp, ECONNRESET, error);
		else if (errno != EAGAIN && errno != EINTR)
			return fail_connection(qmp, errno, error);
	}
}

/* The next message, an object, owned by the parser; NULL with an error. */
static JsonObject *read_message(struct qmp *qmp, JsonParser *parser, GError **error)
{
	JsonNode *root = NULL;
	gsize length;

	if (!read_line(qmp, &length, error))
		return NULL;
	if (qmp_is_shallow(qmp->input->str, length) &&
	    json_parser_load_from_data(parser, qmp->input->str, (gssize)length, NULL))
		root = json_parser_get_root(parser);
	g_string_erase(qmp->input, 0, (gssize)length + 1);
	if (!root || !JSON_NODE_HOLDS_OBJECT(root)) {
		xd_fail(error, XD_ERROR_DEVICE, "%s: its QEMU answers what is no message", qmp->what);
		return NULL;
	}
	return json_node_get_object(root);
}

static bool send_message(struct qmp *qmp, const char *text, int fd, GError **error)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { .iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *header;
	ssize_t count;

	if (fd >= 0) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &fd, sizeof(int));
	}
	if (!wait_for(qmp, POLLOUT, error))
		return false;
	/* A command is far smaller than the socket's buffer, which is empty. */
	count = sendmsg(qmp->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (count != (ssize_t)part.iov_len)
		return fail_connection(qmp, count < 0 ? errno : EIO, error);
	return true;
}

/* What QEMU says is wrong, in a message of ours. */
static bool fail_with_words(struct qmp *qmp, const char *command, JsonObject *message, GError **error)
{
	JsonNode *node = json_object_get_member(message, "error");
	const char *words = NULL;
	g_autofree char *cut = NULL;
	g_autofree char *valid = NULL;

	if (node && JSON_NODE_HOLDS_OBJECT(node))
		words = json_object_get_string_member_with_default(json_node_get_object(node), "desc", NULL);
	cut = g_strndup(words ? words : "it does not say why", WORDS_MAX);
	valid = g_utf8_make_valid(cut, -1);
	g_strdelimit(valid, "\r\n\t", ' ');
	return xd_fail(error, XD_ERROR_DEVICE, "%s: its QEMU refused %s: %s", qmp->what, command, valid);
}

bool qmp_call(struct qmp *qmp, const char *command, JsonObject *arguments, int fd, JsonNode **answer,
              GError **error)
{
	g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
	g_autoptr(JsonParser) parser = json_parser_new();
	g_autofree char *text = NULL;
	g_autofree char *line = NULL;
	JsonObject *message = json_object_new();

	json_object_set_string_member(message, "execute", command);
	if (arguments)
		json_object_set_object_member(message, "arguments", arguments);
	json_node_take_object(root, message);
	text = json_to_string(root, FALSE);
	line = g_strconcat(text, "\n", NULL);
	if (!send_message(qmp, line, fd, error))
		return false;
	/* Events come in between; a stream of them has its end in the conversation's. */
	do {
		message = read_message(qmp, parser, error);
		if (!message)
			return false;
	} while (json_object_has_member(message, "event"));
	if (!json_object_has_member(message, "return"))
		return fail_with_words(qmp, command, message, error);
	if (answer)
		*answer = json_node_copy(json_object_get_member(message, "return"));
	return true;
}

static bool connect_to(struct qmp *qmp, const char *path, GError **error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) >= sizeof(address.sun_path))
		return fail_connection(qmp, ENAMETOOLONG, error);
	/* A hung QEMU's queue is full one day. */
	while (connect(qmp->fd, (struct sockaddr *)&address, sizeof(address))) {
		if (errno != EAGAIN && errno != EINTR)
			return fail_connection(qmp, errno, error);
		if (!has_time(qmp, error))
			return false;
		g_usleep(RETRY_US);
	}
	return true;
}

/* The greeting, and what makes QEMU listen to commands. */
static bool begin(struct qmp *qmp, GError **error)
{
	g_autoptr(JsonParser) parser = json_parser_new();
	JsonObject *greeting = read_message(qmp, parser, error);

	if (!greeting)
		return false;
	if (!json_object_has_member(greeting, "QMP"))
		return xd_fail(error, XD_ERROR_DEVICE, "%s: what answers is no QEMU", qmp->what);
	return qmp_call(qmp, "qmp_capabilities", NULL, -1, NULL, error);
}

struct qmp *qmp_open(const char *path, const char *what, int timeout_ms, const gint *cancelled,
                     GError **error)
{
	struct qmp *qmp = g_new0(struct qmp, 1);

	qmp->what = g_strdup(what);
	qmp->cancelled = cancelled;
	qmp->deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
	qmp->memory = -1;
	qmp->input = g_string_new(NULL);
	qmp->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (qmp->fd < 0)
		fail_connection(qmp, errno, error);
	else if (connect_to(qmp, path, error) && begin(qmp, error))
		return qmp;
	qmp_close(qmp);
	return NULL;
}

void qmp_limit(struct qmp *qmp, int memory, goffset max_bytes)
{
	qmp->memory = memory;
	qmp->memory_max = max_bytes;
}

void qmp_close(struct qmp *qmp)
{
	if (!qmp)
		return;
	if (qmp->fd >= 0)
		close(qmp->fd);
	g_string_free(qmp->input, TRUE);
	g_free(qmp->what);
	g_free(qmp);
}
