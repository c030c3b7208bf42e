/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes of QEMU that serve screens and images; see screen.h. */
#include "screen.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "qmp.h"
#include "screen_spawn.h"

#define START_MS      60000
#define START_LOOK_MS 20
#define KILL_MS       5000
#define QUIT_MS       30000 /* for what is left to be written */
#define LOG_PIECE     8192  /* bytes that are taken at a time */
#define LOG_REST_MS   100   /* between two pieces: nobody keeps the main loop busy with its log */
#define PICTURE_MAX   (64 * 1024 * 1024)
#define FDSET         1

static struct {
	const char *run_dir, *dev_dir, *program, *user;
} host;

struct screen {
	gint refs;
	gint forgotten; /* atomic */
	char *what;     /* for messages */
	char *folder;
	uint32_t port;
	int pidfd;
	pid_t pid;
	struct screen_owner owner;
	GSource *exit_source;
	/* of the main context */
	int log, file;
	gsize file_bytes;
};

static const char *const programs[] = { "/usr/libexec/xen-qemu-system-i386",
	                                "/usr/lib/xen-4.17/bin/qemu-system-i386",
	                                "/usr/lib/xen/bin/qemu-system-i386" };

/* Xen's devices that QEMU opens for each disk, and what it tries locks with. */
static const char *const devices[] = { "null", "xen/gntdev", "xen/evtchn", "xen/xenbus" };

void screen_init(const char *run_dir, const char *dev_dir, const char *program, const char *user)
{
	host.run_dir = run_dir;
	host.dev_dir = dev_dir;
	host.program = program;
	host.user = user;
}

static const char *find_program(void)
{
	gsize i;

	if (host.program)
		return host.program;
	for (i = 0; i < G_N_ELEMENTS(programs); i++)
		if (!access(programs[i], X_OK))
			return programs[i];
	return NULL;
}

static bool find_user(uint32_t *uid, uint32_t *gid)
{
	struct passwd entry, *found = NULL;
	char text[4096];

	if (getpwnam_r(host.user, &entry, text, sizeof(text), &found) || !found)
		return false;
	*uid = entry.pw_uid;
	*gid = entry.pw_gid;
	return true;
}

static char *folder_of(const char *uuid)
{
	return g_build_filename(host.run_dir, "screens", uuid, NULL);
}

/* Where it finds nothing but what is made for it. */
static char *root_of(const char *folder)
{
	g_autofree char *uuid = g_path_get_basename(folder);

	return host.dev_dir ? g_build_filename(host.dev_dir, uuid, NULL)
	                    : g_build_filename(folder, "root", NULL);
}

bool screen_check(const struct screen_conf *conf, const char *guest, GError **error)
{
	const char *part = conf ? "screen" : "disks";
	uint32_t uid, gid;
	GStatBuf info;

	if (!find_program())
		return xd_fail(
		        error, XD_ERROR_DEVICE,
		        "guest \"%s\", %s: there is no QEMU for Xen (%s; Debian's package qemu-system-xen)",
		        guest, part, programs[0]);
	if (!find_user(&uid, &gid))
		return xd_fail(
		        error, XD_ERROR_DEVICE,
		        "guest \"%s\", %s: there is no user %s that its QEMU could be (systemd-sysusers makes it)",
		        guest, part, host.user);
	if (conf && conf->socket && !g_lstat(conf->socket, &info) && !S_ISSOCK(info.st_mode))
		return xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", screen: socket %s is something else",
		               guest, conf->socket);
	return true;
}

/* ---- the program's arguments ---- */

/* In QEMU's options a comma ends a value, two are one. */
static char *escaped(const char *text)
{
	GString *made = g_string_new(text);

	g_string_replace(made, ",", ",,", 0);
	return g_string_free(made, FALSE);
}

static char *vnc_option(const struct screen_conf *conf, uint32_t port)
{
	g_autofree char *path = conf->socket ? escaped(conf->socket) : NULL;
	bool six = conf->listen && strchr(conf->listen, ':');
	uint32_t first = conf->port ? conf->port : MAX(port, GUEST_VNC_PORT_MIN);
	GString *made = g_string_new(NULL);

	if (path) {
		g_string_append_printf(made, "unix:%s", path);
	} else {
		g_string_append_printf(made, "%s%s%s:%u", six ? "[" : "", conf->listen, six ? "]" : "",
		                       first - GUEST_VNC_PORT_MIN);
		if (!conf->port)
			g_string_append_printf(made, ",to=%u", GUEST_VNC_PORT_MAX - GUEST_VNC_PORT_MIN);
	}
	return g_string_free(made, FALSE);
}

char **screen_arguments(const struct screen_conf *conf, const struct screen_identity *who, uint32_t port,
                        const char *program, const char *folder, const char *root, uint32_t uid, uint32_t gid)
{
	static const char *const fixed[] = { "-machine",
		                             "xenpv",
		                             "-xen-attach",
		                             "-nodefaults",
		                             "-no-user-config",
		                             "-display",
		                             "none",
		                             "-vga",
		                             "none",
		                             "-monitor",
		                             "none",
		                             "-serial",
		                             "none",
		                             "-parallel",
		                             "none",
		                             "-mon",
		                             "chardev=qmp,mode=control" };
	GPtrArray *argv = g_ptr_array_new();
	g_autofree char *name = escaped(who->guest);
	g_autofree char *place = escaped(folder);
	gsize i;

	g_ptr_array_add(argv, g_strdup(program));
	for (i = 0; i < G_N_ELEMENTS(fixed); i++)
		g_ptr_array_add(argv, g_strdup(fixed[i]));
	g_ptr_array_add(argv, g_strdup("-name"));
	g_ptr_array_add(argv, g_strconcat("guest=", name, NULL));
	g_ptr_array_add(argv, g_strdup("-xen-domid"));
	g_ptr_array_add(argv, g_strdup_printf("%u", who->domid));
	g_ptr_array_add(argv, g_strdup("-chardev"));
	g_ptr_array_add(argv, g_strdup_printf("socket,id=qmp,path=%s/qmp,server=on,wait=off", place));
	if (conf) {
		g_ptr_array_add(argv, g_strdup("-vnc"));
		g_ptr_array_add(argv, vnc_option(conf, port));
	}
	g_ptr_array_add(argv, g_strdup("-runas"));
	g_ptr_array_add(argv, g_strdup_printf("%u:%u", uid, gid));
	g_ptr_array_add(argv, g_strdup("-chroot"));
	g_ptr_array_add(argv, g_strdup(root));
	g_ptr_array_add(argv, NULL);
	return (char **)g_ptr_array_free(argv, FALSE);
}

/* ---- its log: in the main context ---- */

static void screen_unref(void *data)
{
	struct screen *screen = data;

	if (!g_atomic_int_dec_and_test(&screen->refs))
		return;
	if (screen->pidfd >= 0)
		close(screen->pidfd);
	if (screen->log >= 0)
		close(screen->log);
	if (screen->file >= 0)
		close(screen->file);
	screen->owner.free(screen->owner.data);
	g_free(screen->what);
	g_free(screen->folder);
	g_free(screen);
}

static struct screen *screen_ref(struct screen *screen)
{
	g_atomic_int_inc(&screen->refs);
	return screen;
}

static void attach(struct screen *screen, GSource *source, GSourceFunc run)
{
	g_source_set_callback(source, run, screen_ref(screen), screen_unref);
	g_source_attach(source, NULL);
}

static char *log_path(const char *folder)
{
	return g_build_filename(folder, "log", NULL);
}

/* In memory, below /run: no disk holds the main loop. */
static void log_write(struct screen *screen, const char *bytes, gsize count)
{
	g_autofree char *path = log_path(screen->folder);
	g_autofree char *old = g_strconcat(path, ".1", NULL);

	if (screen->file >= 0 && screen->file_bytes + count > SCREEN_LOG_MAX) {
		close(screen->file);
		screen->file = -1;
		if (rename(path, old))
			unlink(path);
	}
	if (screen->file < 0) {
		GStatBuf info;

		screen->file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
		screen->file_bytes = !g_lstat(path, &info) ? (gsize)info.st_size : 0;
	}
	if (screen->file >= 0 && write(screen->file, bytes, count) > 0)
		screen->file_bytes += count;
}

static gboolean log_ready(gint fd, GIOCondition condition, gpointer data);

static gboolean log_rested(gpointer data)
{
	struct screen *screen = data;

	if (!g_atomic_int_get(&screen->forgotten)) {
		g_autoptr(GSource) source = g_unix_fd_source_new(screen->log, G_IO_IN | G_IO_HUP);

		attach(screen, source, (GSourceFunc)(void (*)(void))log_ready);
	}
	return G_SOURCE_REMOVE;
}

static gboolean log_ready(gint fd, GIOCondition condition, gpointer data)
{
	struct screen *screen = data;
	char bytes[LOG_PIECE];
	ssize_t count = read(fd, bytes, sizeof(bytes));

	(void)condition;
	if (count > 0)
		log_write(screen, bytes, (gsize)count);
	/* At its end nobody writes any more. */
	if (count && !g_atomic_int_get(&screen->forgotten)) {
		g_autoptr(GSource) source = g_timeout_source_new(LOG_REST_MS);

		attach(screen, source, log_rested);
	}
	return G_SOURCE_REMOVE;
}

/* ---- its end ---- */

static gboolean process_ended(gint fd, GIOCondition condition, gpointer data)
{
	struct screen *screen = data;

	(void)fd;
	(void)condition;
	if (!g_atomic_int_get(&screen->forgotten))
		screen->owner.ended(screen->owner.data);
	return G_SOURCE_REMOVE;
}

bool screen_has_ended(struct screen *screen, char **how)
{
	siginfo_t info = { 0 };

	if (!screen_pidfd_ended(screen->pidfd, 0))
		return false;
	if (waitid(P_PIDFD, (id_t)screen->pidfd, &info, WEXITED | WNOHANG) || !info.si_pid)
		*how = g_strdup("it has ended");
	else if (info.si_code == CLD_EXITED)
		*how = g_strdup_printf("it has ended with status %d", info.si_status);
	else
		*how = g_strdup_printf("it was ended by signal %d (%s)", info.si_status,
		                       strsignal(info.si_status));
	return true;
}

uint32_t screen_port(const struct screen *screen)
{
	return screen->port;
}

void screen_forget(struct screen *screen)
{
	if (!screen)
		return;
	g_atomic_int_set(&screen->forgotten, 1);
	if (screen->exit_source) {
		g_source_destroy(screen->exit_source);
		g_source_unref(screen->exit_source);
	}
	screen_unref(screen);
}

/* The process that holds the lock in the folder, by a descriptor; -1: there is none. */
static int find_process(const char *folder, pid_t *pid)
{
	g_autofree char *path = g_build_filename(folder, "pid", NULL);
	int lock = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), pidfd = -1;
	char text[24] = "";
	ssize_t count;

	if (lock < 0)
		return -1;
	/* Shared: others that look do not take each other for it. */
	count = flock(lock, LOCK_SH | LOCK_NB) ? read(lock, text, sizeof(text) - 1) : 0;
	*pid = count > 0 ? atoi(text) : 0;
	if (*pid > 1)
		pidfd = screen_pidfd_open(*pid);
	/* Locked still, it is the one that wrote its number there: no other process can have that meanwhile. */
	if (pidfd >= 0 && !flock(lock, LOCK_SH | LOCK_NB)) {
		close(pidfd);
		pidfd = -1;
	}
	close(lock);
	return pidfd;
}

static void unlink_all(const char *folder, const char *const *names, gsize count)
{
	gsize i;

	for (i = 0; i < count; i++) {
		g_autofree char *path = g_build_filename(folder, names[i], NULL);

		unlink(path);
	}
}

static void remove_root(const char *folder)
{
	g_autofree char *root = root_of(folder);
	g_autofree char *xen = g_build_filename(root, "dev", "xen", NULL);
	g_autofree char *dev = g_build_filename(root, "dev", NULL);

	unlink_all(dev, devices, G_N_ELEMENTS(devices));
	rmdir(xen);
	rmdir(dev);
	if (rmdir(root) && errno != ENOENT)
		g_warning("%s: %s", root, g_strerror(errno));
}

static void remove_folder(const char *folder)
{
	static const char *const names[] = { "qmp", "stderr", "log", "log.1", "pid" };
	g_autofree char *old_root = g_build_filename(folder, "root", NULL);

	unlink_all(folder, names, G_N_ELEMENTS(names));
	remove_root(folder);
	/* An earlier xylemd had it there. */
	rmdir(old_root);
	if (rmdir(folder) && errno != ENOENT)
		g_warning("%s: %s", folder, g_strerror(errno));
}

/* As long as it takes: what it has under way in the kernel may still be written to its images. */
static void kill_and_wait(int pidfd, pid_t pid, const char *what)
{
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) && errno != ESRCH)
		g_warning("%s: QEMU %d: %s", what, (int)pid, g_strerror(errno));
	if (screen_pidfd_ended(pidfd, KILL_MS))
		return;
	g_warning(
	        "%s: QEMU %d is killed and does not end: a disk below its images does not answer; it is waited for",
	        what, (int)pid);
	while (!screen_pidfd_ended(pidfd, KILL_MS))
		;
}

static void kill_process(const char *folder, const char *guest)
{
	g_autofree char *what = g_strdup_printf("guest \"%s\"", guest);
	pid_t pid = 0;
	int pidfd = find_process(folder, &pid);
	siginfo_t info;

	if (pidfd < 0)
		return;
	kill_and_wait(pidfd, pid, what);
	/* Of an earlier xylemd's child somebody else is told. */
	(void)!waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
	close(pidfd);
}

void screen_kill(struct screen *screen)
{
	if (screen && screen->pidfd >= 0)
		kill_and_wait(screen->pidfd, screen->pid, screen->what);
}

void screen_end(const char *uuid, const char *guest)
{
	g_autofree char *folder = folder_of(uuid);

	if (access(folder, F_OK))
		return;
	kill_process(folder, guest);
	remove_folder(folder);
}

/* ---- its beginning ---- */

static struct screen *screen_new(const struct screen_identity *who, char *folder,
                                 const struct screen_owner *owner)
{
	struct screen *screen = g_new0(struct screen, 1);

	screen->refs = 1;
	screen->what = g_strdup_printf("guest \"%s\", %s", who->guest, who->part);
	screen->folder = folder;
	screen->pidfd = -1;
	screen->log = -1;
	screen->file = -1;
	screen->owner = *owner;
	return screen;
}

/* From here on the main context sees what it says, and its end. */
static void watch(struct screen *screen)
{
	g_autoptr(GSource) log =
	        screen->log >= 0 ? g_unix_fd_source_new(screen->log, G_IO_IN | G_IO_HUP) : NULL;

	if (log)
		attach(screen, log, (GSourceFunc)(void (*)(void))log_ready);
	screen->exit_source = g_unix_fd_source_new(screen->pidfd, G_IO_IN);
	attach(screen, screen->exit_source, (GSourceFunc)(void (*)(void))process_ended);
}

/* The last line that it wrote, to be freed with g_free(). */
static char *last_words(int log)
{
	char bytes[LOG_PIECE + 1];
	ssize_t count = read(log, bytes, LOG_PIECE);
	g_autofree char *valid = NULL;
	char *line;

	bytes[count > 0 ? count : 0] = '\0';
	g_strchomp(bytes);
	line = strrchr(bytes, '\n');
	line = line ? line + 1 : bytes;
	line[MIN(strlen(line), 300)] = '\0';
	valid = g_utf8_make_valid(line, -1);
	return g_strdup(*valid ? valid : "it says nothing");
}

/* One of dom0's devices, for QEMU's user alone. One that dom0 has not is missed by who opens it. */
static bool make_device(const char *dev, const char *name, uint32_t uid)
{
	g_autofree char *from = g_build_filename("/dev", name, NULL);
	g_autofree char *path = g_build_filename(dev, name, NULL);
	GStatBuf info;

	if (g_stat(from, &info) || !S_ISCHR(info.st_mode))
		return true;
	return !mknod(path, S_IFCHR | 0600, info.st_rdev) && !lchown(path, uid, (gid_t)-1) &&
	       !chmod(path, 0600);
}

static bool make_root(const char *folder, uint32_t uid)
{
	g_autofree char *root = root_of(folder);
	g_autofree char *dev = g_build_filename(root, "dev", NULL);
	g_autofree char *xen = g_build_filename(dev, "xen", NULL);
	bool ok;
	gsize i;

	/* Its own nodes are for nobody else, whatever rights it gives them. */
	ok = !host.dev_dir || ((!mkdir(host.dev_dir, 0700) || errno == EEXIST) && !chmod(host.dev_dir, 0700));
	ok = ok && !g_mkdir_with_parents(root, 0755) && !chmod(root, 0755);
	if (!ok || !host.dev_dir)
		return ok;
	ok = !mkdir(dev, 0755) && !chmod(dev, 0755) && !mkdir(xen, 0755) && !chmod(xen, 0755);
	for (i = 0; ok && i < G_N_ELEMENTS(devices); i++)
		ok = make_device(dev, devices[i], uid);
	return ok;
}

/* The folder and what is in it before QEMU is; *lock and *log are its own ends, *number is not. */
static bool make_folder(struct screen *screen, uint32_t uid, int *number, int *lock, int *log, GError **error)
{
	g_autofree char *pid = g_build_filename(screen->folder, "pid", NULL);
	g_autofree char *err = g_build_filename(screen->folder, "stderr", NULL);

	*number = *lock = *log = -1;
	if (!g_mkdir_with_parents(screen->folder, 0700) && make_root(screen->folder, uid) &&
	    !mkfifo(err, 0600)) {
		*number = open(pid, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		/* QEMU is not to write another's number there. */
		*lock = open(pid, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		screen->log = open(err, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		/* Read and written, so that it never waits for a reader, nor dies of there being none. */
		*log = open(err, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	}
	if (*number < 0 || *lock < 0 || *log < 0 || screen->log < 0 || flock(*lock, LOCK_EX | LOCK_NB))
		return xd_fail(error, XD_ERROR_DEVICE, "%s: %s: %s", screen->what, screen->folder,
		               g_strerror(errno));
	return true;
}

/* False, and an error, when it has ended. */
static bool is_alive(struct screen *screen, GError **error)
{
	g_autofree char *how = NULL;
	g_autofree char *words = NULL;

	if (!screen_has_ended(screen, &how))
		return true;
	words = last_words(screen->log);
	g_clear_error(error);
	return xd_fail(error, XD_ERROR_DEVICE, "%s: QEMU did not start, %s: %s", screen->what, how, words);
}

/* The port on which it listens; QEMU looked for a free one. */
static bool take_port(struct screen *screen, struct qmp *qmp, GError **error)
{
	g_autoptr(JsonNode) answer = NULL;
	const char *service = NULL;
	guint64 port = 0;

	if (!qmp_call(qmp, "query-vnc", NULL, -1, &answer, error))
		return false;
	if (JSON_NODE_HOLDS_OBJECT(answer))
		service = json_object_get_string_member_with_default(json_node_get_object(answer), "service",
		                                                     NULL);
	if (!service ||
	    !g_ascii_string_to_unsigned(service, 10, GUEST_VNC_PORT_MIN, GUEST_VNC_PORT_MAX, &port, NULL))
		return xd_fail(error, XD_ERROR_DEVICE, "%s: its QEMU listens on no port", screen->what);
	screen->port = (uint32_t)port;
	return true;
}

static bool wait_served(struct screen *screen, bool no_port, const gint *cancelled, GError **error)
{
	gint64 deadline = g_get_monotonic_time() + (gint64)START_MS * 1000;
	g_autofree char *path = g_build_filename(screen->folder, "qmp", NULL);
	struct qmp *qmp;
	bool ok;

	while (access(path, F_OK) && !screen_pidfd_ended(screen->pidfd, START_LOOK_MS)) {
		if (g_atomic_int_get(cancelled))
			return xd_fail(error, XD_ERROR_DEVICE, "%s: it was destroyed meanwhile",
			               screen->what);
		if (g_get_monotonic_time() > deadline)
			return xd_fail(error, XD_ERROR_TIMEOUT, "%s: QEMU did not start in time",
			               screen->what);
	}
	if (!is_alive(screen, error))
		return false;
	while (!(qmp = qmp_open(path, screen->what, START_MS, cancelled, error)) &&
	       g_error_matches(*error, xd_error_quark(), XD_ERROR_BUSY) &&
	       g_get_monotonic_time() < deadline && !g_atomic_int_get(cancelled) &&
	       !screen_pidfd_ended(screen->pidfd, START_LOOK_MS))
		g_clear_error(error);
	ok = qmp && (no_port || take_port(screen, qmp, error));
	qmp_close(qmp);
	/* Where it has died of something, that is what there is to tell: its connection goes first. */
	if (!ok && screen_pidfd_ended(screen->pidfd, KILL_MS / 10))
		return is_alive(screen, error);
	return ok;
}

struct screen *screen_start(const struct screen_conf *conf, const struct screen_identity *who, uint32_t port,
                            const gint *cancelled, const struct screen_owner *owner, GError **error)
{
	struct screen *screen = screen_new(who, folder_of(who->uuid), owner);
	g_auto(GStrv) argv = NULL;
	uint32_t uid = 0, gid = 0;
	int number = -1, lock = -1, log = -1;
	bool ok;

	kill_process(screen->folder, who->guest);
	remove_folder(screen->folder);
	ok = screen_check(conf, who->guest, error) && find_user(&uid, &gid) &&
	     make_folder(screen, uid, &number, &lock, &log, error);
	if (ok) {
		struct screen_spawn spawn = { .log = log, .lock = lock, .number = number, .images = !conf };
		g_autofree char *root = root_of(screen->folder);

		argv = screen_arguments(conf, who, port, find_program(), screen->folder, root, uid, gid);
		spawn.argv = argv;
		if (!screen_spawn(&spawn, &screen->pid, &screen->pidfd, error)) {
			g_prefix_error(error, "%s: ", screen->what);
			ok = false;
		}
	}
	/* Its own now: the lock is free when it ends. */
	if (lock >= 0)
		close(lock);
	if (number >= 0)
		close(number);
	if (log >= 0)
		close(log);
	if (ok && wait_served(screen, !conf || conf->socket, cancelled, error)) {
		watch(screen);
		return screen;
	}
	screen_kill(screen);
	screen_end(who->uuid, who->guest);
	screen_forget(screen);
	return NULL;
}

struct screen *screen_adopt(const struct screen_identity *who, uint32_t port,
                            const struct screen_owner *owner)
{
	struct screen *screen = screen_new(who, folder_of(who->uuid), owner);
	g_autofree char *err = g_build_filename(screen->folder, "stderr", NULL);

	screen->pidfd = find_process(screen->folder, &screen->pid);
	if (screen->pidfd < 0) {
		screen_forget(screen);
		return NULL;
	}
	screen->log = open(err, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	screen->port = port;
	watch(screen);
	return screen;
}

/* ---- what it is asked for ---- */

const char *screen_reason(const struct screen *screen, const GError *error)
{
	return g_str_has_prefix(error->message, screen->what) ? error->message + strlen(screen->what)
	                                                      : error->message;
}

struct qmp *screen_talk(struct screen *screen, int timeout_ms, const gint *cancelled, GError **error)
{
	g_autofree char *path = g_build_filename(screen->folder, "qmp", NULL);

	return qmp_open(path, screen->what, timeout_ms, cancelled, error);
}

static struct qmp *talk(struct screen *screen, const gint *cancelled, GError **error)
{
	return screen_talk(screen, QMP_WAIT_MS, cancelled, error);
}

void screen_quit(struct screen *screen)
{
	g_autoptr(GError) error = NULL;
	struct qmp *qmp;

	if (!screen || screen->pidfd < 0 || screen_pidfd_ended(screen->pidfd, 0))
		return;
	qmp = screen_talk(screen, QUIT_MS, NULL, &error);
	/* It may be gone before its answer is. */
	if (qmp)
		(void)qmp_call(qmp, "quit", NULL, -1, NULL, NULL);
	qmp_close(qmp);
	if (error || !screen_pidfd_ended(screen->pidfd, QUIT_MS))
		g_warning(
		        "%s: QEMU %d does not end by itself: what it has not written of its disks is lost: %s",
		        screen->what, (int)screen->pid, error ? error->message : "no reason is known");
}

bool screen_lift_limit(struct screen *screen, GError **error)
{
	const struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit now;

	if (!screen_pidfd_ended(screen->pidfd, 0) &&
	    (prlimit(screen->pid, RLIMIT_FSIZE, NULL, &now) ||
	     (now.rlim_max != RLIM_INFINITY && prlimit(screen->pid, RLIMIT_FSIZE, &none, NULL))))
		return xd_fail(error, XD_ERROR_DEVICE, "%s: its QEMU may not write: %s", screen->what,
		               g_strerror(errno));
	return true;
}

static JsonObject *object(const char *key, int value)
{
	JsonObject *made = json_object_new();

	json_object_set_int_member(made, key, value);
	return made;
}

static JsonObject *named(const char *key, const char *value)
{
	JsonObject *made = json_object_new();

	json_object_set_string_member(made, key, value);
	return made;
}

/* A file in memory that QEMU can only write to, since it takes descriptors as it would open them itself. */
static int write_end(int picture)
{
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", picture);

	return open(path, O_WRONLY | O_CLOEXEC);
}

/* What came is looked at as far as it is promised to be. */
static bool is_picture(int picture)
{
	GStatBuf info;
	char magic[2];

	return !fstat(picture, &info) && info.st_size <= PICTURE_MAX && pread(picture, magic, 2, 0) == 2 &&
	       magic[0] == 'P' && magic[1] == '6';
}

int screen_shoot(struct screen *screen, const gint *cancelled, GError **error)
{
	int picture = memfd_create("screen", MFD_CLOEXEC | MFD_ALLOW_SEALING),
	    end = picture >= 0 ? write_end(picture) : -1;
	struct qmp *qmp = end >= 0 ? talk(screen, cancelled, error) : NULL;
	bool ok = false;

	if (end < 0)
		xd_fail(error, XD_ERROR_DEVICE, "%s: no memory for a picture: %s", screen->what,
		        g_strerror(errno));
	if (qmp) {
		/* The guest says how large its screen is, and a QEMU with images may write more than it wants. */
		qmp_limit(qmp, picture, PICTURE_MAX);
		/* The set goes with the connection. */
		ok = qmp_call(qmp, "add-fd", object("fdset-id", FDSET), end, NULL, error) &&
		     qmp_call(qmp, "screendump", named("filename", "/dev/fdset/" G_STRINGIFY(FDSET)), -1,
		              NULL, error) &&
		     qmp_call(qmp, "remove-fd", object("fdset-id", FDSET), -1, NULL, error);
	}
	qmp_close(qmp);
	/* One that was not waited for any more may be at it still. */
	if (picture >= 0 && fcntl(picture, F_ADD_SEALS, F_SEAL_GROW))
		g_warning("%s: its picture: %s", screen->what, g_strerror(errno));
	if (end >= 0)
		close(end);
	if (ok && !is_picture(picture))
		ok = xd_fail(error, XD_ERROR_DEVICE, "%s: its QEMU gave no picture", screen->what);
	if (!ok && picture >= 0) {
		close(picture);
		picture = -1;
	}
	return picture;
}

bool screen_send_keys(struct screen *screen, const uint32_t *keys, gsize count, uint32_t hold_ms,
                      const gint *cancelled, GError **error)
{
	struct qmp *qmp = talk(screen, cancelled, error);
	JsonObject *arguments;
	JsonArray *list;
	bool ok;
	gsize i;

	if (!qmp)
		return false;
	arguments = json_object_new();
	list = json_array_new();
	for (i = 0; i < count; i++) {
		JsonObject *key = json_object_new();

		json_object_set_string_member(key, "type", "number");
		json_object_set_int_member(key, "data", keys[i]);
		json_array_add_object_element(list, key);
	}
	json_object_set_array_member(arguments, "keys", list);
	if (hold_ms)
		json_object_set_int_member(arguments, "hold-time", hold_ms);
	ok = qmp_call(qmp, "send-key", arguments, -1, NULL, error);
	qmp_close(qmp);
	return ok;
}

bool screen_serve(struct screen *screen, int fd, bool skip_auth, const gint *cancelled, GError **error)
{
	struct qmp *qmp = talk(screen, cancelled, error);
	JsonObject *client;
	bool ok;

	if (!qmp)
		return false;
	ok = qmp_call(qmp, "getfd", named("fdname", "client"), fd, NULL, error);
	if (ok) {
		client = named("fdname", "client");
		json_object_set_string_member(client, "protocol", "vnc");
		json_object_set_boolean_member(client, "skipauth", skip_auth);
		ok = qmp_call(qmp, "add_client", client, -1, NULL, error);
	}
	qmp_close(qmp);
	return ok;
}
