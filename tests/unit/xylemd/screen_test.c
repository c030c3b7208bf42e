/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Screens' processes, with a QEMU that this test plays itself: started as QEMU is, with QEMU's arguments, it behaves as
 * the guest's name says. What it may not do is tried by it and told in its log.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/tap.h"
#include "error.h"
#include "qmp.h"
#include "screen.h"

#define UUID      "11111111-2222-3333-4444-555555555501"
#define DEADLINE  (20 * G_USEC_PER_SEC)

#define HUGE_ROWS 256 /* of a MiB */

/* ---- the QEMU that is played ---- */

static void say(int fd, const char *text)
{
	if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		_exit(1);
}

static void say_often(int fd, const char *text, int times)
{
	while (times-- && send(fd, text, strlen(text), MSG_NOSIGNAL) > 0)
		;
}

static int dels;
static bool huge;

/* A picture as large as its guest wants. */
static void draw_huge(int fd, int given)
{
	static char row[1 << 20] = "P6\n";
	int rows = 0;

	while (rows < HUGE_ROWS && given >= 0 && write(given, row, sizeof(row)) == (ssize_t)sizeof(row)) {
		rows++;
		g_usleep(3000);
	}
	fprintf(stderr, "drew %d rows\n", rows);
	say(fd, "{\"return\": {}}\r\n");
}

static void answer(int fd, const char *command, int given)
{
	say(fd, "{\"event\": \"VNC_CONNECTED\", \"data\": {\"a\": [1, 2, \"]]\"]}}\r\n");
	if (strstr(command, "query-vnc"))
		say(fd, "{\"return\": {\"enabled\": true, \"service\": \"5907\"}}\r\n");
	else if (strstr(command, "screendump") && huge)
		draw_huge(fd, given);
	else if (strstr(command, "screendump") && (given < 0 || write(given, "P6\n1 1\n255\nabc", 14) != 14))
		say(fd, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no descriptor\"}}\r\n");
	else if (strstr(command, "blockdev-add") || strstr(command, "device_add") ||
	         strstr(command, "object-") || strstr(command, "qom-set"))
		fprintf(stderr, "asked: %s", command),
		        say(fd, strstr(command, "\"vdev\":\"xvdz\"") || strstr(command, "\"bps-read\":13")
		                        ? "{\"error\": {\"desc\": \"no more\"}}\r\n"
		                        : "{\"return\": {}}\r\n");
	else if (strstr(command, "blockdev-del") && dels++ < 2)
		say(fd, "{\"error\": {\"desc\": \"Node image5 is in use\"}}\r\n");
	else if (strstr(command, "quit"))
		_exit(0);
	else if (strstr(command, "send-key") && !strstr(command, "\"number\",\"data\":30"))
		say(fd, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\\nsuch\\u0007key\"}}\r\n");
	else
		say(fd, "{\"return\": {}}\r\n");
}

/* One client, to its end. */
static void converse(int fd)
{
	char control[CMSG_SPACE(sizeof(int))], command[4096];
	struct iovec part = { command, sizeof(command) - 1 };
	int given = -1;

	say(fd, "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n");
	for (;;) {
		struct msghdr message = { .msg_iov = &part,
			                  .msg_iovlen = 1,
			                  .msg_control = control,
			                  .msg_controllen = sizeof(control) };
		ssize_t count = recvmsg(fd, &message, 0);

		if (count <= 0)
			break;
		command[count] = '\0';
		if (CMSG_FIRSTHDR(&message))
			memcpy(&given, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
		answer(fd, command, given);
	}
	if (given >= 0)
		close(given);
	close(fd);
}

/* Says what of all that it tries is possible to it. */
static void try_to_break_out(void)
{
	char *const argv[] = { (char *)(uintptr_t) "/bin/true", NULL };
	struct rlimit core;
	pid_t child = fork();

	if (!child)
		_exit(0);
	fprintf(stderr, "fork: %s\n", child < 0 ? "refused" : "possible");
	execve("/bin/true", argv, argv + 1);
	fprintf(stderr, "exec: %s\n", errno == EPERM ? "refused" : "possible");
	fprintf(stderr, "core: %s\n", !getrlimit(RLIMIT_CORE, &core) && !core.rlim_cur ? "none" : "some");
	fprintf(stderr, "mask: %03o\n", umask(0));
	fprintf(stderr, "its number: %s\n", pwrite(3, "1\n", 2, 0) < 0 ? "kept" : "changed");
	fprintf(stderr, "descriptor 4: %s\n", fcntl(4, F_GETFD) < 0 ? "closed" : "open");
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1))
		_exit(1);
	return fd;
}

static int be_qemu(int argc, char **argv)
{
	g_autofree char *name = NULL;
	g_autofree char *path = NULL;
	int sock, client, i;

	for (i = 1; i + 1 < argc; i++) {
		if (!strcmp(argv[i], "-name"))
			name = g_strdup(argv[i + 1] + strlen("guest="));
		if (!strcmp(argv[i], "-chardev")) {
			path = g_strdup(strstr(argv[i + 1], "path=") + strlen("path="));
			*strchr(path, ',') = '\0';
		}
	}
	setvbuf(stderr, NULL, _IOLBF, 0);
	if (!strcmp(name, "refuses")) {
		fputs("a line before\nport 5900 is in use\n", stderr);
		_exit(1);
	}
	huge = !strcmp(name, "huge");
	if (!strcmp(name, "serves"))
		try_to_break_out();
	sock = listen_at(path);
	for (;;) {
		client = accept(sock, NULL, NULL);
		if (!strcmp(name, "silent"))
			pause();
		if (!strcmp(name, "deep"))
			say_often(client, "[[[[[[[[", 1000), say(client, "\n"), pause();
		if (!strcmp(name, "endless"))
			say_often(client, "{\"QMP\":                                 ", 4000), pause();
		converse(client);
		for (i = 0; !strcmp(name, "loud") && i < 1 << 20; i++) {
			fprintf(stderr, "%0*d\n", 1023, i);
			usleep(100);
		}
	}
}

/* ---- the tests ---- */

static char *dir;
static gint cancelled;
static int told, freed;

static void ended(void *data)
{
	(void)data;
	told++;
}

static void count_free(void *data)
{
	(void)data;
	freed++;
}

static const struct screen_owner owner = { .ended = ended, .free = count_free };
static struct screen_conf conf = { .listen = (char *)(uintptr_t) "127.0.0.1" };

static struct screen *begin(const char *name, GError **error)
{
	struct screen_identity who = { .guest = name, .uuid = UUID, .part = "screen", .domid = 7 };

	told = freed = 0;
	return screen_start(&conf, &who, 0, &cancelled, &owner, error);
}

static bool until(bool (*condition)(void))
{
	gint64 end = g_get_monotonic_time() + DEADLINE;

	while (!condition() && g_get_monotonic_time() < end) {
		g_main_context_iteration(NULL, FALSE);
		g_usleep(2000);
	}
	return condition();
}

static char *in_folder(const char *name)
{
	return g_build_filename(dir, "screens", UUID, name, NULL);
}

static bool said_all(void)
{
	g_autofree char *path = in_folder("log");
	g_autofree char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) && strstr(text, "descriptor 4");
}

static bool was_told(void)
{
	return told != 0;
}

static bool was_freed(void)
{
	return freed != 0;
}

static void test_arguments(void)
{
	struct screen_identity who = { .guest = "a,b", .uuid = UUID, .part = "screen", .domid = 7 };
	const struct {
		struct screen_conf conf;
		uint32_t port;
		const char *vnc;
	} cases[] = {
		{ { .listen = (char *)(uintptr_t) "127.0.0.1" }, 0, " -vnc 127.0.0.1:0,to=59635 " },
		{ { .listen = (char *)(uintptr_t) "127.0.0.1" }, 5907, " -vnc 127.0.0.1:7,to=59635 " },
		{ { .listen = (char *)(uintptr_t) "::1", .port = 5901 }, 5907, " -vnc [::1]:1 " },
		{ { .socket = (char *)(uintptr_t) "/run/a,b" }, 0, " -vnc unix:/run/a,,b " },
	};
	gsize i;

	for (i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_auto(GStrv) argv =
		        screen_arguments(&cases[i].conf, &who, cases[i].port, "/q", "/run/x", "/r", 12, 34);
		g_autofree char *line = g_strjoinv(" ", argv);

		tap_ok(strstr(line, cases[i].vnc) && strstr(line, " -name guest=a,,b ") &&
		               strstr(line, " -runas 12:34 -chroot /r"),
		       "arguments: %s", line);
	}
	tap_ok(qmp_is_shallow("{\"a\": \"[[[[[[[[[[[[[[[[[[[[\\\"[\"}", 29) && qmp_is_shallow("]]]", 3) &&
	               !qmp_is_shallow("[[[[[[[[[[[[[[[[[", 17),
	       "brackets are counted outside of strings alone");
	tap_ok(!qmp_is_shallow("/*\"*/[[[[", 9) && !qmp_is_shallow("//\"\n[[", 6) &&
	               !qmp_is_shallow("'\"'[[", 5),
	       "comments and other quotes, which could hide a string's end, are refused");
}

static void test_serves(void)
{
	struct screen_identity who = { .guest = "serves", .uuid = UUID, .part = "screen", .domid = 7 };
	const uint32_t right[] = { 30 }, wrong[] = { 31 };
	g_autoptr(GError) error = NULL;
	struct screen *screen = begin("serves", &error), *found;
	g_autofree char *path = in_folder("log");
	g_autofree char *text = NULL;
	g_autofree char *how = NULL;
	char bytes[16] = "";
	int picture;
	bool ok;

	tap_ok(screen && screen_port(screen) == 5907, "it serves, on the port that it tells%s%s",
	       error ? ": " : "", error ? error->message : "");
	if (!screen)
		return;
	until(said_all);
	tap_ok(g_file_get_contents(path, &text, NULL, NULL) && strstr(text, "fork: refused") &&
	               strstr(text, "exec: refused") && strstr(text, "core: none") &&
	               strstr(text, "mask: 077") && strstr(text, "descriptor 4: closed"),
	       "it starts no program, dumps no core and has nothing of ours");
	tap_ok(strstr(text, "its number: kept"), "it cannot have another process taken for itself");
	picture = screen_shoot(screen, &cancelled, &error);
	tap_ok(picture >= 0 && read(picture, bytes, sizeof(bytes)) == 14 && !memcmp(bytes, "P6", 2),
	       "a picture is read from its beginning");
	if (picture >= 0)
		close(picture);
	tap_ok(screen_send_keys(screen, right, 1, 0, &cancelled, &error), "a key is sent");
	ok = !screen_send_keys(screen, wrong, 1, 0, &cancelled, &error) && error &&
	     strstr(error->message, "no such");
	tap_ok(ok, "what it refuses is told in one line: %s", error ? error->message : "");
	screen_forget(screen);
	tap_ok(until(was_freed) && !told, "who forgets a screen hears no more of it");
	found = screen_adopt(&who, 5907, &owner);
	tap_ok(found && screen_port(found) == 5907 && !screen_has_ended(found, &how),
	       "another one finds it again");
	told = 0;
	g_clear_error(&error);
	picture = found ? screen_shoot(found, &cancelled, &error) : -1;
	tap_ok(picture >= 0, "and talks to it");
	if (picture >= 0)
		close(picture);
	screen_forget(found);
	screen_end(UUID, "serves");
	tap_ok(access(path, F_OK) && !screen_adopt(&who, 0, &owner), "ended, nothing is left of it");
}

static bool said_device(void)
{
	g_autofree char *path = in_folder("log");
	g_autofree char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) && strstr(text, "xen-disk");
}

static bool said_new_limits(void)
{
	g_autofree char *path = in_folder("log");
	g_autofree char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) && strstr(text, "qom-set");
}

static bool said_limits_gone(void)
{
	g_autofree char *path = in_folder("log");
	g_autofree char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) &&
	       strstr(text, "\"object-del\",\"arguments\":{\"id\":\"limits5\"}");
}

/* All limits, named as QEMU does; what is not limited, too, as it would stay otherwise. */
#define QEMU_LIMITS(total, read, size)                                                                                     \
	"{\"bps-total\":" total ",\"bps-total-max\":0,\"bps-total-max-length\":1,\"bps-read\":" read                       \
	",\"bps-read-max\":0,\"bps-read-max-length\":1,\"bps-write\":0,\"bps-write-max\":0,\"bps-write-max-length\":1,"    \
	"\"iops-total\":7,\"iops-total-max\":8,\"iops-total-max-length\":9,\"iops-read\":0,\"iops-read-max\":0,"           \
	"\"iops-read-max-length\":1,\"iops-write\":0,\"iops-write-max\":0,\"iops-write-max-length\":1,\"iops-size\":" size \
	"}"

/* The image's limits are there before it is, and change while it is served. */
static void test_limits(struct screen *screen, struct screen_image *image)
{
	g_autofree char *path = in_folder("log");
	g_autofree char *text = NULL;
	g_autofree char *after = NULL;
	g_autoptr(GError) error = NULL;
	const char *object, *node;
	bool ok;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		text = g_strdup("");
	object = strstr(text, "{\"qom-type\":\"throttle-group\",\"id\":\"limits5\",\"limits\":" QEMU_LIMITS(
	                              "1000", "0", "4096") "}");
	node = strstr(text,
	              "{\"driver\":\"throttle\",\"node-name\":\"image5\",\"throttle-group\":\"limits5\","
	              "\"read-only\":false,\"discard\":\"unmap\"");
	tap_ok(object && node && object < node, "its limits are there before it is: %s", text);
	image->limits.value[IO_RATE] = 0;
	image->limits.value[IO_RATE + 1] = 5;
	image->limits.value[IO_SIZE] = 0;
	ok = screen_image_limit(screen, 5, &image->limits, &cancelled, &error);
	until(said_new_limits);
	tap_ok(ok && g_file_get_contents(path, &after, NULL, NULL) &&
	               strstr(after,
	                      "{\"path\":\"/objects/limits5\",\"property\":\"limits\",\"value\":" QEMU_LIMITS(
	                              "0", "5", "0") "}"),
	       "and others are set in their place");
	image->limits.value[IO_RATE + 1] = 13;
	ok = !screen_image_limit(screen, 5, &image->limits, &cancelled, &error) && error &&
	     strstr(error->message, "\"images\"") && strstr(error->message, "no more");
	tap_ok(ok, "what it refuses is told: %s", error ? error->message : "");
	image->limits.value[IO_RATE + 1] = 5;
}

/* A QEMU without a screen, which is given an image: whatever that names, it is told to open nothing else. */
static void test_image(void)
{
	struct screen_identity who = { .guest = "images", .uuid = UUID, .part = "disks", .domid = 7 };
	struct screen_image image = {
		.vdev = "xvda", .devid = 5, .format = DISK_QCOW2, .discard = true, .fd = 0
	};
	g_autoptr(GError) error = NULL;
	g_autofree char *path = in_folder("log");
	g_autofree char *text = NULL;
	struct screen *screen;
	g_autofree char *how = NULL;
	bool ok;

	image.limits.value[IO_RATE] = 1000;
	image.limits.value[IO_RATE + 3] = 7;
	image.limits.value[IO_BURST + 3] = 8;
	image.limits.value[IO_SECONDS + 3] = 9;
	image.limits.value[IO_SIZE] = 4096;
	told = freed = 0;
	screen = screen_start(NULL, &who, 0, &cancelled, &owner, &error);
	if (!tap_ok(screen && !screen_port(screen), "one without a screen%s%s", error ? ": " : "",
	            error ? error->message : ""))
		return;
	ok = screen_image_add(screen, &image, &cancelled, &error);
	until(said_device);
	tap_ok(ok && g_file_get_contents(path, &text, NULL, NULL) && strstr(text, "\"backing\":null") &&
	               strstr(text, "\"filename\":\"/dev/fdset/21\"") && strstr(text, "\"driver\":\"qcow2\""),
	       "an image is given, and nothing behind it");
	test_limits(screen, &image);
	image.vdev = "xvdz";
	ok = !screen_image_add(screen, &image, &cancelled, &error) && error &&
	     strstr(error->message, "no more");
	tap_ok(ok, "what it refuses is told: %s", error ? error->message : "");
	g_clear_error(&error);
	tap_ok(screen_image_remove(screen, 5, &cancelled, &error),
	       "one that is used for a moment yet is waited for");
	tap_ok(until(said_limits_gone), "and its limits go with it");
	tap_ok(screen_settle(screen, &cancelled, &error) &&
	               screen_image_resize(screen, 5, 1 << 20, &cancelled, &error),
	       "it writes all, and grows");
	screen_quit(screen);
	tap_ok(screen_has_ended(screen, &how) && strstr(how, "status 0"), "it ends by itself: %s",
	       how ? how : "");
	screen_forget(screen);
	screen_end(UUID, "images");
}

static bool said_rows(void)
{
	g_autofree char *path = in_folder("log");
	g_autofree char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) && strstr(text, " rows\n");
}

/* A guest with a screen and an image: the one that serves both may write files of any size, and the guest says how large its
 * screen is. A picture of half a GiB was held in dom0's memory. */
static void test_huge_picture(void)
{
	struct screen_identity who = { .guest = "huge", .uuid = UUID, .part = "disks", .domid = 7 };
	g_autoptr(GError) error = NULL;
	struct screen *screen = screen_start(NULL, &who, 0, &cancelled, &owner, &error);
	g_autofree char *path = in_folder("log");
	g_autofree char *text = NULL;
	int picture = screen ? screen_shoot(screen, &cancelled, &error) : 0;
	const char *drew;

	tap_ok(picture < 0 && error && strstr(error->message, "writes more than 67108864 bytes"),
	       "a picture that is too large is refused: %s", error ? error->message : "");
	drew = until(said_rows) && g_file_get_contents(path, &text, NULL, NULL) ? strstr(text, "drew ")
	                                                                        : NULL;
	tap_ok(drew && atoi(drew + strlen("drew ")) >= 64 && atoi(drew + strlen("drew ")) < HUGE_ROWS,
	       "and does not grow any further: %.8s", drew ? drew : "");
	if (picture > 0)
		close(picture);
	screen_forget(screen);
	screen_end(UUID, "huge");
}

static void test_dies(void)
{
	g_autoptr(GError) error = NULL;
	struct screen *screen = begin("dies", &error);
	g_autofree char *path = in_folder("pid");
	g_autofree char *text = NULL;
	g_autofree char *how = NULL;
	bool ok;

	if (!tap_ok(screen && g_file_get_contents(path, &text, NULL, NULL), "its number is written down"))
		return;
	kill(atoi(text), SIGKILL);
	ok = until(was_told) && screen_has_ended(screen, &how) && strstr(how, "signal 9");
	tap_ok(ok, "its death is seen: %s", how ? how : "");
	screen_forget(screen);
	screen_end(UUID, "dies");
}

static void test_stopped(void)
{
	g_autoptr(GError) error = NULL;
	struct screen *screen = begin("stopped", &error);
	g_autofree char *path = in_folder("pid");
	g_autofree char *text = NULL;
	gint64 begun = g_get_monotonic_time();
	bool ok;

	if (!tap_ok(screen && g_file_get_contents(path, &text, NULL, NULL), "another one is started"))
		return;
	kill(atoi(text), SIGSTOP);
	ok = screen_shoot(screen, &cancelled, &error) < 0 && error->code == XD_ERROR_TIMEOUT &&
	     g_get_monotonic_time() - begun < 2 * QMP_WAIT_MS * 1000;
	tap_ok(ok, "a stopped one is waited for, but not for long: %s", error ? error->message : "");
	begun = g_get_monotonic_time();
	screen_forget(screen);
	screen_end(UUID, "stopped");
	tap_ok(g_get_monotonic_time() - begun < QMP_WAIT_MS * 1000 && access(path, F_OK),
	       "and ended at once");
}

static gpointer cancel_soon(gpointer data)
{
	(void)data;
	g_usleep(300000);
	g_atomic_int_set(&cancelled, 1);
	return NULL;
}

static void test_refusals(void)
{
	const struct {
		const char *name, *says;
	} cases[] = { { "refuses", "port 5900 is in use" },
		      { "deep", "no message" },
		      { "endless", "without end" } };
	g_autoptr(GError) late = NULL;
	gint64 begun;
	GThread *thread;
	bool ok;
	gsize i;

	for (i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;

		ok = !begin(cases[i].name, &error) && error && strstr(error->message, cases[i].says) &&
		     freed == 1;
		tap_ok(ok, "one that %s: %s", cases[i].name, error ? error->message : "");
	}
	begun = g_get_monotonic_time();
	thread = g_thread_new("cancel", cancel_soon, NULL);
	ok = !begin("silent", &late) && g_get_monotonic_time() - begun < 5 * G_USEC_PER_SEC;
	tap_ok(ok, "one that is silent is waited for until nobody wants it: %s", late ? late->message : "");
	g_thread_join(thread);
	cancelled = 0;
}

static bool is_full(void)
{
	g_autofree char *old = in_folder("log.1");

	return !access(old, F_OK);
}

static void test_loud(void)
{
	g_autoptr(GError) error = NULL;
	struct screen *screen = begin("loud", &error);
	g_autofree char *path = in_folder("log");
	g_autofree char *old = in_folder("log.1");
	GStatBuf now = { 0 }, before = { 0 };
	bool ok;

	if (screen)
		until(is_full);
	(void)!g_stat(path, &now);
	ok = screen && !g_stat(old, &before) && now.st_size <= SCREEN_LOG_MAX &&
	     before.st_size <= SCREEN_LOG_MAX;
	tap_ok(ok, "its log is cut, %ld and %ld bytes", (long)now.st_size, (long)before.st_size);
	g_clear_error(&error);
	screen_forget(screen);
	screen_end(UUID, "loud");
}

static void test_host(void)
{
	static struct screen_conf bad = { .socket = (char *)(uintptr_t) "/dev/null" };
	g_autoptr(GError) none = NULL;
	g_autoptr(GError) user = NULL;
	g_autoptr(GError) other = NULL;
	bool ok;

	ok = !screen_check(&bad, "g", &other) && strstr(other->message, "/dev/null");
	tap_ok(ok, "refused: %s", other ? other->message : "");
	screen_init(dir, NULL, "/proc/self/exe", "no such user");
	ok = !screen_check(&conf, "g", &user) && strstr(user->message, "no such user");
	tap_ok(ok, "refused: %s", user ? user->message : "");
	screen_init(dir, NULL, NULL, g_get_user_name());
	ok = screen_check(&conf, "g", &none) || strstr(none->message, "qemu-system-xen");
	tap_ok(ok, "refused, or installed here: %s", none ? none->message : "");
}

int main(int argc, char **argv)
{
	g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *screens = NULL;

	if (argc > 2 && !strcmp(argv[1], "-machine"))
		return be_qemu(argc, argv);
	dir = g_dir_make_tmp("screens-XXXXXX", NULL);
	screens = g_build_filename(dir, "screens", NULL);
	screen_init(dir, NULL, program, g_get_user_name());
	test_arguments();
	test_serves();
	test_image();
	test_huge_picture();
	test_dies();
	test_stopped();
	test_refusals();
	test_loud();
	test_host();
	g_rmdir(screens);
	tap_ok(!g_rmdir(dir), "nothing is left behind");
	g_free(dir);
	return tap_end();
}
