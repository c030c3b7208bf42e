/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernels and ramdisks in dom0's memory; see image.h. */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

/* Of dom0's memory, what is left for everybody else. */
#define RESERVE_BYTES (UINT64_C(32) << 20)

#ifndef SEAL_US /* the tests' is shorter */
#define SEAL_US (INT64_C(10) * 1000000)
#endif
/* How long a build that has begun may still wait for others: twice what the slowest kernel may take, and no longer than who
 * wants the guest started waits for that. */
#ifndef ROOM_US /* the tests' is shorter */
#define ROOM_US (INT64_C(120) * 1000000)
#endif

const char *image_meminfo = "/proc/meminfo";

/* What is being copied: MemAvailable does not tell of it yet. */
static GMutex room_lock;
static guint64 room_promised;

/* Builds between image_use_begin() and _end(), and those of them that wait for another's end. */
static GCond room_freed;
static guint room_users;
static guint room_waiting;
/* That of this thread. */
static _Thread_local struct {
	const gint *doomed;
	const char *restarted; /* a guest that may wait longer */
	gint64 end_us;         /* it waits until then */
} build;

void image_clear(struct image *image)
{
	if (image->data)
		munmap(image->data, image->bytes);
	memset(image, 0, sizeof(*image));
}

gboolean image_map(struct image *image, int memory, gsize bytes)
{
	image->bytes = bytes;
	image->data = NULL;
	if (!bytes)
		return TRUE;
	image->data = mmap(NULL, bytes, PROT_READ, MAP_SHARED, memory, 0);
	if (image->data != MAP_FAILED)
		return TRUE;
	image->data = NULL;
	image->bytes = 0;
	return FALSE;
}

/* ---- dom0's memory ---- */

/* Without /proc there is no limit but the kernel's own. */
static guint64 available(void)
{
	g_autofree char *text = NULL;
	const char *line;

	if (!g_file_get_contents(image_meminfo, &text, NULL, NULL) || !(line = strstr(text, "MemAvailable:")))
		return G_MAXUINT64;
	return g_ascii_strtoull(line + strlen("MemAvailable:"), NULL, 10) * 1024;
}

static guint64 room_left(void)
{
	guint64 there = available(), taken = room_promised + RESERVE_BYTES;

	return there > taken ? there - taken : 0;
}

guint64 image_room(void)
{
	guint64 left;

	g_mutex_lock(&room_lock);
	left = room_left();
	g_mutex_unlock(&room_lock);
	return left;
}

void image_use_begin(const gint *doomed, const char *restarted)
{
	build.doomed = doomed;
	build.restarted = restarted;
	build.end_us = g_get_monotonic_time() + ROOM_US;
	g_mutex_lock(&room_lock);
	room_users++;
	g_mutex_unlock(&room_lock);
}

void image_use_end(void)
{
	g_mutex_lock(&room_lock);
	room_users--;
	build.doomed = NULL;
	g_cond_broadcast(&room_freed);
	g_mutex_unlock(&room_lock);
}

guint image_waiting(void)
{
	guint waiting;

	g_mutex_lock(&room_lock);
	waiting = room_waiting;
	g_mutex_unlock(&room_lock);
	return waiting;
}

gboolean image_may_wait(void)
{
	if (build.doomed && g_atomic_int_get(build.doomed))
		return FALSE;
	if (g_get_monotonic_time() < build.end_us)
		return TRUE;
	if (!build.restarted)
		return FALSE;
	g_message("guest \"%s\": its restart still waits for other guests' kernels, or for dom0's memory",
	          build.restarted);
	build.end_us = g_get_monotonic_time() + ROOM_US;
	return TRUE;
}

/*
 * Where all wait, none ends: the last to come has to do without. So has one that has waited for long, as others begin anew all
 * the time, or have a disk that does not answer.
 */
static gboolean room_take(guint64 bytes, guint64 *left)
{
	gboolean ok;

	g_mutex_lock(&room_lock);
	room_waiting++;
	while (bytes > (*left = room_left()) && room_users > room_waiting && image_may_wait())
		g_cond_wait_until(&room_freed, &room_lock, g_get_monotonic_time() + IMAGE_LOOK_US);
	room_waiting--;
	ok = bytes <= *left;
	if (ok)
		room_promised += bytes;
	g_mutex_unlock(&room_lock);
	return ok;
}

static void room_used(guint64 bytes)
{
	g_mutex_lock(&room_lock);
	room_promised -= bytes;
	g_cond_broadcast(&room_freed);
	g_mutex_unlock(&room_lock);
}

/* ---- files ---- */

static gboolean check(const struct stat *info, const char *path, guint64 max_bytes, const char *guest,
                      const char *key, GError **error)
{
	if (!S_ISREG(info->st_mode))
		return xd_fail(error, XD_ERROR_KERNEL, "guest \"%s\": %s %s is not a regular file", guest,
		               key, path);
	if (!info->st_size || (guint64)info->st_size > max_bytes)
		return xd_fail(error, XD_ERROR_KERNEL,
		               "guest \"%s\": %s %s has %" G_GINT64_FORMAT " bytes; 1 to %" G_GUINT64_FORMAT
		               " are possible",
		               guest, key, path, (gint64)info->st_size, max_bytes);
	return TRUE;
}

gboolean image_check(const char *path, guint64 max_bytes, guint64 guest_kib, const char *guest,
                     const char *key, GError **error)
{
	struct stat info;

	if (stat(path, &info))
		return xd_fail(error, XD_ERROR_KERNEL, "guest \"%s\": %s %s: %s", guest, key, path,
		               g_strerror(errno));
	if (!check(&info, path, max_bytes, guest, key, error))
		return FALSE;
	if ((guint64)info.st_size / 1024 < guest_kib)
		return TRUE;
	return xd_fail(error, XD_ERROR_KERNEL,
	               "guest \"%s\": %s %s has %" G_GINT64_FORMAT
	               " KiB; the guest's memory is %" G_GUINT64_FORMAT " KiB",
	               guest, key, path, (gint64)info.st_size / 1024, guest_kib);
}

gboolean image_seal(int memory)
{
	gint64 deadline = g_get_monotonic_time() + SEAL_US;

	while (fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		if (errno != EBUSY || g_get_monotonic_time() >= deadline)
			return FALSE;
		g_usleep(20000);
	}
	return TRUE;
}

/* Copies a whole file into a sealed memfd; -1 with errno. */
static int copy_to_memfd(int file, gsize bytes)
{
	int memory = memfd_create("xylemd-image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	gsize left = bytes;

	if (memory < 0)
		return -1;
	while (left) {
		ssize_t done = sendfile(memory, file, NULL, left);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			int reason = done ? errno : EIO;

			close(memory);
			errno = reason;
			return -1;
		}
		left -= (gsize)done;
	}
	if (!image_seal(memory)) {
		int reason = errno;

		close(memory);
		errno = reason;
		return -1;
	}
	return memory;
}

/* An open file that was checked. */
static int copy(int file, gsize bytes, const char *path, const char *guest, const char *key, GError **error)
{
	guint64 left;
	int memory;

	if (!room_take(bytes, &left)) {
		xd_fail(error, XD_ERROR_NO_MEMORY,
		        "guest \"%s\": %s %s has %" G_GSIZE_FORMAT " KiB; dom0 has %" G_GUINT64_FORMAT
		        " KiB of its own memory left for it",
		        guest, key, path, bytes / 1024, left / 1024);
		return -1;
	}
	memory = copy_to_memfd(file, bytes);
	room_used(bytes);
	if (memory < 0)
		xd_fail(error, XD_ERROR_KERNEL, "guest \"%s\": %s %s cannot be read: %s", guest, key, path,
		        g_strerror(errno));
	return memory;
}

int image_open(const char *path, guint64 max_bytes, const char *guest, const char *key, gsize *bytes,
               GError **error)
{
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), memory = -1;
	struct stat info;

	if (file < 0 || fstat(file, &info)) {
		xd_fail(error, XD_ERROR_KERNEL, "guest \"%s\": %s %s: %s", guest, key, path,
		        g_strerror(errno));
	} else if (check(&info, path, max_bytes, guest, key, error)) {
		*bytes = (gsize)info.st_size;
		memory = copy(file, *bytes, path, guest, key, error);
	}
	if (file >= 0)
		close(file);
	return memory;
}

gboolean image_read(struct image *image, const char *path, guint64 max_bytes, const char *guest,
                    const char *key, GError **error)
{
	gsize bytes = 0;
	int memory = image_open(path, max_bytes, guest, key, &bytes, error);
	gboolean ok;

	if (memory < 0)
		return FALSE;
	ok = image_map(image, memory, bytes);
	if (!ok)
		xd_fail(error, XD_ERROR_KERNEL, "guest \"%s\": no memory for %s %s", guest, key, path);
	close(memory);
	return ok;
}
