/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Host test of the kernel worker: a real worker process (this program again), with good, packed, bad and
 * missing kernels, with a worker that is killed, and its confinement. Not under the sanitizers, whose
 * run-time does not live behind the worker's filter.
 */
#include <bzlib.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

/* Before xen/xen.h, which makes a macro of console_mfn. */
#include "xenctrl.h"

#include "../lib/makeelf.h"
#include "../../lib/tap.h"
#include "error.h"
#include "worker.h"
/* For what is private to them: which process is at work, confine(). */
#include "worker.c"
#include "worker_main.c"

/* Other programs in the worker's place. */
#define KEEPS_WRITING "keeps-writing"
#define STOPS         "stops"
#define HANDS_BACK    "hands-back"
#define HANDS_OUT     "hands-out"

static char *dir;

static char *write_file(const char *name, const void *bytes, gsize size)
{
	char *path = g_build_filename(dir, name, NULL);

	if (!g_file_set_contents(path, bytes, (gssize)size, NULL))
		g_error("cannot write %s", path);
	return path;
}

static gsize gzip_bytes(const void *in, gsize size, guint8 *out, gsize room)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)in,
		       .avail_in = (uInt)size,
		       .next_out = out,
		       .avail_out = (uInt)room };

	if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK ||
	    deflate(&z, Z_FINISH) != Z_STREAM_END)
		g_error("deflate");
	deflateEnd(&z);
	return z.total_out;
}

static gsize bzip2_bytes(const void *in, gsize size, guint8 *out, gsize room)
{
	unsigned int n = (unsigned int)room;

	if (BZ2_bzBuffToBuffCompress((char *)out, &n, (char *)(uintptr_t)in, (unsigned int)size, 9, 0, 0) !=
	    BZ_OK)
		g_error("bzip2");
	return n;
}

static void check_unpacked(struct worker *worker, const char *path, const void *want, gsize size,
                           const char *what)
{
	g_autoptr(GError) error = NULL;
	struct image image = { 0 };
	gboolean ok = worker_unpack(worker, path, "g", &image, &error);

	tap_ok(ok && image.bytes == size && !memcmp(image.data, want, size), "%s%s%s", what,
	       error ? ": " : "", error ? error->message : "");
	image_clear(&image);
}

static void check_refused(struct worker *worker, const char *path, const char *says, const char *what)
{
	g_autoptr(GError) error = NULL;
	struct image image = { 0 };
	gboolean ok = worker_unpack(worker, path, "g", &image, &error);

	tap_ok(!ok && error->code == XD_ERROR_KERNEL && strstr(error->message, "\"g\"") &&
	               strstr(error->message, says),
	       "%s: %s", what, error ? error->message : "(accepted)");
	image_clear(&image);
}

/* A process that a thread of this one has started; 0: there is none. */
static pid_t worker_pid(void)
{
	g_autoptr(GDir) threads = g_dir_open("/proc/self/task", 0, NULL);
	const char *thread;
	pid_t pid = 0;

	while (!pid && (thread = g_dir_read_name(threads))) {
		g_autofree char *path = g_strdup_printf("/proc/self/task/%s/children", thread), *text = NULL;

		if (g_file_get_contents(path, &text, NULL, NULL))
			pid = (pid_t)atoi(text);
	}
	return pid;
}

static void test_worker(void)
{
	guint8 *elf = g_malloc0(MAKEELF_BYTES), *packed = g_malloc0(2 * MAKEELF_BYTES);
	struct makeelf shape = makeelf_modern();
	gsize size = makeelf(&shape, elf), packed_size = gzip_bytes(elf, size, packed, 2 * MAKEELF_BYTES);
	g_autofree char *plain = write_file("plain", elf, size), *gz = write_file("gz", packed, packed_size);
	g_autofree char *damaged = NULL, *empty = write_file("empty", "", 0),
	                *text = write_file("text", "hello", 5);
	guint8 *again = g_malloc0(2 * MAKEELF_BYTES);
	g_autofree char *twice =
	        write_file("twice", again, gzip_bytes(packed, packed_size, again, 2 * MAKEELF_BYTES));
	g_autofree char *bz2 = write_file("bz2", again, bzip2_bytes(elf, size, again, 2 * MAKEELF_BYTES));
	g_autofree char *framed = write_file("framed", "\x04\x22\x4d\x18\x64\x40\xa7\0\0\0\0\0\0\0\0\0", 16);
	struct worker *worker = worker_new("/proc/self/exe");

	packed[packed_size / 2] ^= 0x55;
	damaged = write_file("damaged", packed, packed_size);
	check_unpacked(worker, plain, elf, size, "a plain ELF kernel comes back as it is");
	check_unpacked(worker, gz, elf, size, "a gzipped one unpacked");
	check_refused(worker, damaged, "kernel", "a damaged one is refused");
	check_refused(worker, twice, "packed twice, by gzip what is packed by gzip",
	              "one that is packed twice");
	check_unpacked(worker, bz2, elf, size, "one that is packed with bzip2");
	check_refused(worker, framed, "compressed by lz4 in frames", "an ELF in an LZ4 frame");
	check_refused(worker, text, "kernel", "text is no kernel");
	check_refused(worker, empty, "bytes", "an empty file");
	check_refused(worker, "/nonexistent", "No such file", "a missing file");
	check_refused(worker, "/dev/zero", "regular", "a device");
	tap_ok(worker_pid() == 0, "no process outlives its kernel");
	worker_free(worker);
	g_unlink(plain);
	g_unlink(gz);
	g_unlink(damaged);
	g_unlink(twice);
	g_unlink(bz2);
	g_unlink(framed);
	g_free(again);
	g_unlink(empty);
	g_unlink(text);
	g_free(elf);
	g_free(packed);
}

static void check_image(const char *path, guint64 max, guint64 guest_kib, const char *says, const char *what)
{
	g_autoptr(GError) error = NULL;
	gboolean ok = image_check(path, max, guest_kib, "g", "ramdisk", &error);

	tap_ok(says ? !ok && strstr(error->message, says) : ok, "%s%s%s", what, error ? ": " : "",
	       error ? error->message : "");
}

static void say_available(const char *meminfo, unsigned kib)
{
	g_autofree char *text = g_strdup_printf("MemTotal: 999999 kB\nMemAvailable:   %u kB\n", kib);

	if (!g_file_set_contents(meminfo, text, -1, NULL))
		g_error("cannot write %s", meminfo);
}

/* An initial RAM disk of 900 MiB once had dom0's kernel end xenstored, libvirtd and xylemd. */
static void test_large_ramdisk(void)
{
	g_autofree char *path = write_file("large", "x", 1), *meminfo = write_file("meminfo", "", 0);
	g_autoptr(GError) error = NULL;
	struct image image = { 0 };

	if (truncate(path, 20 << 20))
		g_error("truncate");
	check_image(path, 1 << 20, 1 << 20, "1 to 1048576 are possible", "larger than any may be");
	check_image(path, IMAGE_MAX_RAMDISK_BYTES, 16384, "has 20480 KiB; the guest's memory is 16384 KiB",
	            "larger than its guest");
	check_image(path, IMAGE_MAX_RAMDISK_BYTES, 65536, NULL, "one that fits");
	check_image(dir, IMAGE_MAX_RAMDISK_BYTES, 65536, "not a regular file", "a folder");
	check_image("/nonexistent", IMAGE_MAX_RAMDISK_BYTES, 65536, "No such file", "none");
	image_meminfo = meminfo;
	say_available(meminfo, 40960);
	tap_ok(image_room() == 8 << 20, "of 40 MiB that dom0 has available, images may take 8");
	tap_ok(!image_read(&image, path, IMAGE_MAX_RAMDISK_BYTES, "g", "ramdisk", &error) &&
	               g_error_matches(error, xd_error_quark(), XD_ERROR_NO_MEMORY) &&
	               strstr(error->message, "dom0 has 8192 KiB of its own memory left"),
	       "what would leave dom0 without memory: %s", error ? error->message : "taken");
	say_available(meminfo, 65536);
	g_clear_error(&error);
	tap_ok(image_read(&image, path, IMAGE_MAX_RAMDISK_BYTES, "g", "ramdisk", &error) &&
	               image.bytes == 20 << 20 && image_room() == 32 << 20,
	       "with more it is read, and nothing stays promised");
	image_clear(&image);
	say_available(meminfo, 1024);
	tap_ok(!image_room(), "less than what is kept for others: none");
	image_meminfo = "/nonexistent";
	tap_ok(image_room() > UINT64_C(1) << 40, "without /proc the kernel's limits alone hold");
	image_meminfo = "/proc/meminfo";
	g_unlink(path);
	g_unlink(meminfo);
}

static gint another_doomed;

/* Another build's thread: takes 20 MiB of images, and ends. */
static gpointer read_another(gpointer path)
{
	g_autoptr(GError) error = NULL;
	struct image image = { 0 };
	gboolean ok;

	image_use_begin(&another_doomed, NULL);
	ok = image_read(&image, path, IMAGE_MAX_RAMDISK_BYTES, "another", "ramdisk", &error);
	image_clear(&image);
	image_use_end();
	return GINT_TO_POINTER(ok);
}

/* Four guests that were started together in a dom0 of 512 MiB: one was refused for the memory of the others' kernels. */
static void test_images_together(void)
{
	g_autofree char *path = write_file("large", "x", 1), *meminfo = write_file("meminfo", "", 0);
	GThread *first, *second;

	if (truncate(path, 20 << 20))
		g_error("truncate");
	image_meminfo = meminfo;
	say_available(meminfo, 40960);
	image_use_begin(NULL, NULL);
	first = g_thread_new("first", read_another, path);
	while (image_waiting() < 1)
		g_usleep(1000);
	tap_ok(image_waiting() == 1, "a build waits for the memory that another holds");
	say_available(meminfo, 65536);
	image_use_end();
	tap_ok(GPOINTER_TO_INT(g_thread_join(first)), "and has it when that ends");
	say_available(meminfo, 40960);
	image_use_begin(NULL, NULL);
	first = g_thread_new("first", read_another, path);
	second = g_thread_new("second", read_another, path);
	while (image_waiting() < 2)
		g_usleep(1000);
	image_use_end();
	tap_ok(!GPOINTER_TO_INT(g_thread_join(first)) & !GPOINTER_TO_INT(g_thread_join(second)),
	       "where all wait and there is none, none waits for ever");
	image_meminfo = "/proc/meminfo";
	g_unlink(path);
	g_unlink(meminfo);
}

static gboolean ends_waiting(gint64 us)
{
	gint64 until = g_get_monotonic_time() + us;

	while (image_waiting() && g_get_monotonic_time() < until)
		g_usleep(1000);
	return !image_waiting();
}

/* Kernels can be made to take long, one after the other, and a disk may answer never: no build waits for them without an end. */
static void test_images_never(void)
{
	g_autofree char *path = write_file("large", "x", 1), *meminfo = write_file("meminfo", "", 0);
	GThread *waits;
	gint64 begun;

	if (truncate(path, 20 << 20))
		g_error("truncate");
	image_meminfo = meminfo;
	say_available(meminfo, 40960);
	image_use_begin(NULL, NULL);
	begun = g_get_monotonic_time();
	waits = g_thread_new("waits", read_another, path);
	while (image_waiting() < 1)
		g_usleep(1000);
	tap_ok(ends_waiting(20 * ROOM_US) && g_get_monotonic_time() - begun >= ROOM_US,
	       "a build waits for another for so long, and no longer");
	image_use_end();
	tap_ok(!GPOINTER_TO_INT(g_thread_join(waits)), "and is refused then");
	image_use_begin(NULL, NULL);
	waits = g_thread_new("waits", read_another, path);
	while (image_waiting() < 1)
		g_usleep(1000);
	begun = g_get_monotonic_time();
	g_atomic_int_set(&another_doomed, 1);
	tap_ok(ends_waiting(20 * ROOM_US) && g_get_monotonic_time() - begun < ROOM_US * 3 / 4,
	       "not that long when its guest is destroyed");
	image_use_end();
	g_thread_join(waits);
	g_atomic_int_set(&another_doomed, 0);
	image_meminfo = "/proc/meminfo";
	g_unlink(path);
	g_unlink(meminfo);
}

static gpointer unmap_later(gpointer page)
{
	g_usleep(500000);
	return GINT_TO_POINTER(!munmap(page, 4096));
}

/* dom0's kernel held a page of a copy for longer than it waits for itself: "Device or resource busy", and no start. */
static void test_seal_busy(void)
{
	int memory = memfd_create("busy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *page = ftruncate(memory, 4096)
	                     ? MAP_FAILED
	                     : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	GThread *other;

	if (page == MAP_FAILED)
		g_error("memfd");
	tap_ok(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE) < 0 && errno == EBUSY,
	       "a page that is in use cannot be sealed");
	other = g_thread_new("unmap", unmap_later, page);
	tap_ok(image_seal(memory) && fcntl(memory, F_GET_SEALS) & F_SEAL_WRITE, "it is when it is let go of");
	tap_ok(GPOINTER_TO_INT(g_thread_join(other)), "and not before");
	close(memory);
	tap_ok(!image_seal(memory) && errno == EBADF, "any other failure is told at once");
}

/* Runs an action behind the worker's filter; the wait status. */
static int confined(void (*action)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		if (confine())
			_exit(7);
		action();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status;
}

static bool is_killed_by(void (*action)(void), int number)
{
	int status = confined(action);

	return WIFSIGNALED(status) && WTERMSIG(status) == number;
}

static bool is_killed(void (*action)(void))
{
	return is_killed_by(action, SIGSYS);
}

static int output_fd = -1;

static void act_large_output(void)
{
	if (!ftruncate(output_fd, (off_t)WORKER_MAX_UNPACKED_BYTES + 1))
		_exit(1);
}

static void act_largest_output(void)
{
	if (ftruncate(output_fd, (off_t)WORKER_MAX_UNPACKED_BYTES))
		_exit(1);
}

static void act_nothing(void)
{
}

static void act_open(void)
{
	if (open("/etc/passwd", O_RDONLY) >= 0)
		_exit(1);
}

static void act_socket(void)
{
	if (socket(AF_INET, SOCK_STREAM, 0) >= 0)
		_exit(1);
}

static struct worker *shared;

static gpointer unpack_in_thread(gpointer path)
{
	struct image image = { 0 };
	gboolean ok = worker_unpack(shared, path, "slow", &image, NULL);

	image_clear(&image);
	return GINT_TO_POINTER(ok);
}

/* This program under another name, which main() does something else for. */
static char *program_as(const char *name)
{
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	char *path = g_build_filename(dir, name, NULL);

	if (symlink(self, path))
		g_error("symlink");
	return path;
}

static bool is_stopped(pid_t pid)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid), *text = NULL;

	return pid && g_file_get_contents(path, &text, NULL, NULL) && strstr(text, ") T ");
}

/* A guest's owner can make a kernel that takes long: its process stands still here, until it is told to go on, or ends. */
static void test_slow_kernel(void)
{
	g_autofree char *slow = program_as(STOPS);
	guint8 *elf = g_malloc0(MAKEELF_BYTES);
	struct makeelf shape = makeelf_modern();
	gsize size = makeelf(&shape, elf);
	g_autofree char *path = write_file("slow", elf, size);
	static const int signals[] = { SIGCONT, SIGKILL };
	guint i;

	for (i = 0; i < G_N_ELEMENTS(signals); i++) {
		GThread *thread;
		pid_t pid;

		shared = worker_new(slow);
		thread = g_thread_new("slow", unpack_in_thread, path);
		while (!is_stopped(pid = worker_pid()))
			g_usleep(1000);
		g_free(shared->program);
		shared->program = g_strdup("/proc/self/exe");
		check_unpacked(shared, path, elf, size, "another's is unpacked while one takes long");
		tap_ok(is_stopped(pid), "and the one that is at work is left alone");
		kill(pid, signals[i]);
		tap_ok(GPOINTER_TO_INT(g_thread_join(thread)) == (signals[i] == SIGCONT),
		       "which is done in the end, or fails when its process is killed");
		tap_ok(worker_pid() == 0, "then none is left");
		worker_free(shared);
	}
	unlink(slow);
	unlink(path);
	g_free(elf);
}

struct waiter {
	const char *path, *restarted;
	gint doomed;
	gint64 took_us, end_us;
	enum xd_error code;
	gboolean ok;
};

static gpointer wait_for_worker(gpointer data)
{
	gint64 begun = g_get_monotonic_time();
	struct waiter *waiter = data;
	g_autoptr(GError) error = NULL;
	struct image image = { 0 };

	image_use_begin(&waiter->doomed, waiter->restarted);
	waiter->ok = worker_unpack(shared, waiter->path, "waiter", &image, &error);
	image_clear(&image);
	image_use_end();
	waiter->code = error ? (enum xd_error)error->code : XD_ERROR_INTERNAL;
	waiter->end_us = g_get_monotonic_time();
	waiter->took_us = waiter->end_us - begun;
	return NULL;
}

static void until_waiting(guint count)
{
	guint waiting;

	do {
		g_usleep(1000);
		g_mutex_lock(&shared->lock);
		waiting = g_queue_get_length(&shared->waiting);
		g_mutex_unlock(&shared->lock);
	} while (waiting != count);
}

/* As many kernels that take long as there are processes: others wait in line, and not for ever. */
static void test_all_busy(void)
{
	g_autofree char *slow = program_as(STOPS);
	guint8 *elf = g_malloc0(MAKEELF_BYTES);
	struct makeelf shape = makeelf_modern();
	gsize size = makeelf(&shape, elf);
	g_autofree char *path = write_file("busy", elf, size);
	struct waiter busy[PROCESSES], first = { .path = path }, second = first, late = first;
	GThread *threads[PROCESSES], *waits[3];
	pid_t pid;
	guint i;

	shared = worker_new(slow);
	for (i = 0; i < PROCESSES; i++) {
		busy[i] = late;
		threads[i] = g_thread_new("busy", wait_for_worker, &busy[i]);
	}
	for (i = 0; i < PROCESSES; g_usleep(1000)) {
		g_mutex_lock(&shared->lock);
		i = shared->at_work;
		g_mutex_unlock(&shared->lock);
	}
	while (!is_stopped(pid = worker_pid()))
		g_usleep(1000);
	waits[0] = g_thread_new("late", wait_for_worker, &late);
	until_waiting(1);
	waits[1] = g_thread_new("first", wait_for_worker, &first);
	until_waiting(2);
	waits[2] = g_thread_new("second", wait_for_worker, &second);
	until_waiting(3);
	g_atomic_int_set(&late.doomed, 1);
	g_thread_join(waits[0]);
	tap_ok(!late.ok && late.code == XD_ERROR_TIMEOUT && late.took_us < ROOM_US,
	       "one whose guest is destroyed waits no longer for a worker");
	g_mutex_lock(&shared->lock);
	g_free(shared->program);
	shared->program = g_strdup("/proc/self/exe");
	g_mutex_unlock(&shared->lock);
	kill(pid, SIGKILL);
	g_thread_join(waits[1]);
	tap_ok(first.ok, "the next in line has the first that is free");
	g_thread_join(waits[2]);
	tap_ok(second.ok && second.end_us > first.end_us, "and the one behind it that, when it is done");
	late.doomed = 0;
	while (worker_pid()) {
		kill(worker_pid(), SIGKILL);
		g_usleep(1000);
	}
	for (i = 0; i < PROCESSES; i++)
		g_thread_join(threads[i]);
	shared->at_work = PROCESSES;
	wait_for_worker(&late);
	tap_ok(!late.ok && late.code == XD_ERROR_TIMEOUT && late.took_us >= ROOM_US,
	       "where none becomes free it is told after a while");
	late.restarted = "reboots";
	waits[0] = g_thread_new("late", wait_for_worker, &late);
	until_waiting(1);
	g_usleep(2 * ROOM_US);
	until_waiting(1);
	g_mutex_lock(&shared->lock);
	shared->at_work = 0;
	g_mutex_unlock(&shared->lock);
	g_thread_join(waits[0]);
	tap_ok(late.ok && late.took_us > 2 * ROOM_US, "a guest that reboots waits until it has its turn");
	worker_free(shared);
	unlink(slow);
	unlink(path);
	g_free(elf);
}

/* A worker that a kernel has taken over: it goes on writing to what it has handed out. */
static int keep_writing(void)
{
	struct worker_reply reply = { .output_bytes = 4096 };
	struct worker_request request = { 0 };
	int fds[2];

	while (receive_request(&request, fds)) {
		if (write(fds[1], "\177ELF", 4) != 4 || ftruncate(fds[1], 4096) ||
		    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds[1], 0) == MAP_FAILED ||
		    send(WORKER_SOCKET_FD, &reply, sizeof(reply), MSG_NOSIGNAL) != (ssize_t)sizeof(reply))
			return 1;
	}
	return 0;
}

static void test_taken_over(void)
{
	g_autofree char *program = program_as(KEEPS_WRITING), *path = write_file("any", "x", 1);
	struct worker *worker = worker_new(program);
	g_autoptr(GError) error = NULL;
	struct image image = { 0 };

	tap_ok(worker_unpack(worker, path, "g", &image, &error) && image.bytes == 4096 && worker_pid() == 0,
	       "what a worker could still change is a kernel when that has ended");
	image_clear(&image);
	worker_free(worker);
	g_unlink(program);
	g_unlink(path);
}

/* Another one: what it says was unpacked is packed still. */
static int hand_packed(bool unchanged)
{
	struct worker_reply reply = { .unchanged = unchanged };
	struct worker_request request = { 0 };
	off_t at = 0;
	int fds[2];

	if (!receive_request(&request, fds) ||
	    sendfile(fds[1], fds[0], &at, request.input_bytes) != (ssize_t)request.input_bytes)
		return 1;
	reply.output_bytes = request.input_bytes;
	return send(WORKER_SOCKET_FD, &reply, sizeof(reply), MSG_NOSIGNAL) != (ssize_t)sizeof(reply);
}

/* xylemd itself would unpack it, where nothing confines what it does to the library that unpacks. */
static void test_packed_still(void)
{
	static const char *const names[] = { HANDS_BACK, HANDS_OUT };
	guint8 *elf = g_malloc0(MAKEELF_BYTES), *packed = g_malloc0(2 * MAKEELF_BYTES);
	struct makeelf shape = makeelf_modern();
	gsize size = gzip_bytes(elf, makeelf(&shape, elf), packed, 2 * MAKEELF_BYTES);
	g_autofree char *path = write_file("packed", packed, size);
	guint i;

	for (i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *program = program_as(names[i]);
		struct worker *worker = worker_new(program);

		check_refused(worker, path, "not unpacked properly", names[i]);
		worker_free(worker);
		g_unlink(program);
	}
	g_unlink(path);
	g_free(elf);
	g_free(packed);
}

static void act_fork(void)
{
	if (fork() >= 0)
		_exit(1);
}

static void act_exec_memory(void)
{
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		_exit(1);
}

static void act_ptrace(void)
{
	if (kill(getppid(), 0) >= 0)
		_exit(1);
}

int main(int argc, char **argv)
{
	if (argc == 2 && g_str_has_suffix(argv[0], STOPS))
		raise(SIGSTOP);
	if (argc == 2 && (g_str_has_suffix(argv[0], HANDS_BACK) || g_str_has_suffix(argv[0], HANDS_OUT)))
		return hand_packed(g_str_has_suffix(argv[0], HANDS_BACK));
	if (argc == 2 && !strcmp(argv[1], WORKER_ARGUMENT))
		return g_str_has_suffix(argv[0], KEEPS_WRITING) ? keep_writing() : worker_main();
	/* It waits for processes: where one does not start, it ends all the same. */
	alarm(600);
	dir = g_dir_make_tmp("xylemd-test-XXXXXX", NULL);
	test_worker();
	test_large_ramdisk();
	test_images_together();
	test_images_never();
	test_seal_busy();
	test_slow_kernel();
	test_all_busy();
	test_taken_over();
	test_packed_still();
	tap_ok(!confined(act_nothing), "confined, it can end");
	tap_ok(is_killed(act_open), "it cannot open a file");
	tap_ok(is_killed(act_socket), "it cannot make a socket");
	tap_ok(is_killed(act_fork), "it cannot fork");
	tap_ok(is_killed(act_exec_memory), "it cannot have new executable memory");
	tap_ok(is_killed(act_ptrace), "it cannot signal others");
	output_fd = memfd_create("output", MFD_CLOEXEC);
	tap_ok(!confined(act_largest_output), "its output may be as large as a kernel may be");
	tap_ok(is_killed_by(act_large_output, SIGXFSZ), "and no larger: dom0's memory is not its own");
	close(output_fd);
	tap_ok(g_rmdir(dir) == 0, "nothing is left of its files");
	g_free(dir);
	return tap_end();
}
