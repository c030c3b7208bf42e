/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sources of disks; see disk.h. */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "diskimage.h"
#include "error.h"
#include "fileuse.h"

#define LOOP_ATTEMPTS 256
/* How long a new disk waits until those of the guests that were found running are known. */
#define ADOPT_WAIT_US (5 * G_USEC_PER_SEC)

/* A source, whatever its path: a block device's number, or a file's device and inode. */
struct source_key {
	dev_t dev;
	ino_t ino; /* 0: block device */
};

struct claim {
	struct source_key key;
	GPtrArray *users; /* struct disk */
};

struct disk {
	struct source_key key;
	char *guest;
	char *vdev;
	bool readonly;
	bool shareable;
	bool claimed;
	bool served;    /* an image: QEMU has it */
	char *adopting; /* its source, while it is not yet known what that is */
	int fd;         /* keeps the device (or the loop device) open; -1 when adopted and not to be had */
	dev_t device;
};

static GMutex claims_lock;
static GHashTable *claims;  /* struct claim by key; guarded by claims_lock */
static GPtrArray *adopting; /* struct disk; guarded by claims_lock */
static GCond adopted;       /* one of them has been claimed */

static guint key_hash(gconstpointer data)
{
	const struct source_key *key = data;

	return (guint)(key->dev * 31 + key->ino);
}

static gboolean key_equal(gconstpointer a, gconstpointer b)
{
	const struct source_key *first = a, *second = b;

	return first->dev == second->dev && first->ino == second->ino;
}

static void claim_free(gpointer data)
{
	struct claim *claim = data;

	g_ptr_array_unref(claim->users);
	g_free(claim);
}

/* Two users get along when both only read, or when both say that they share. */
static bool users_agree(const struct disk *a, const struct disk *b)
{
	return (a->readonly && b->readonly) || (a->shareable && b->shareable);
}

/* force: enter the claim even when somebody else has the source (it does run already). */
static bool claim_take(struct disk *disk, bool force, GError **error)
{
	struct claim *claim;
	guint i;

	g_mutex_lock(&claims_lock);
	if (!claims)
		claims = g_hash_table_new_full(key_hash, key_equal, NULL, claim_free);
	claim = g_hash_table_lookup(claims, &disk->key);
	for (i = 0; claim && !force && i < claim->users->len; i++) {
		const struct disk *other = g_ptr_array_index(claim->users, i);

		if (users_agree(disk, other))
			continue;
		xd_fail(error, XD_ERROR_DEVICE,
		        "guest \"%s\", disk %s: guest \"%s\" uses the same source as %s%s", disk->guest,
		        disk->vdev, other->guest, other->vdev,
		        disk->shareable ? ", without shareable" : "; it is not declared shareable");
		g_mutex_unlock(&claims_lock);
		return false;
	}
	if (!claim) {
		claim = g_new0(struct claim, 1);
		claim->key = disk->key;
		claim->users = g_ptr_array_new();
		g_hash_table_insert(claims, &claim->key, claim);
	}
	g_ptr_array_add(claim->users, disk);
	disk->claimed = true;
	g_mutex_unlock(&claims_lock);
	return true;
}

static void claim_drop(struct disk *disk)
{
	struct claim *claim;

	if (!disk->claimed)
		return;
	g_mutex_lock(&claims_lock);
	claim = g_hash_table_lookup(claims, &disk->key);
	g_ptr_array_remove_fast(claim->users, disk);
	if (!claim->users->len)
		g_hash_table_remove(claims, &disk->key);
	g_mutex_unlock(&claims_lock);
}

/* Whether a user of the same source that may be open exclusively came before this one. */
static bool claim_is_shared(const struct disk *disk)
{
	struct claim *claim;
	bool shared;

	g_mutex_lock(&claims_lock);
	claim = g_hash_table_lookup(claims, &disk->key);
	shared = claim->users->len > 1;
	g_mutex_unlock(&claims_lock);
	return shared;
}

static bool fail_errno(GError **error, const struct disk *disk, const struct disk_conf *conf,
                       const char *problem)
{
	return xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", disk %s: %s %s: %s", disk->guest, disk->vdev,
	               problem, conf->source, g_strerror(errno));
}

/* Where dom0 has the device mounted, for the message; NULL when nowhere. */
static char *find_mount(dev_t device)
{
	g_autofree char *number = g_strdup_printf("%u:%u", major(device), minor(device));
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;
	guint i;

	if (!g_file_get_contents("/proc/self/mountinfo", &text, NULL, NULL))
		return NULL;
	lines = g_strsplit(text, "\n", 0);
	for (i = 0; lines[i]; i++) {
		g_auto(GStrv) fields = g_strsplit(lines[i], " ", 6);

		if (g_strv_length(fields) == 6 && !strcmp(fields[2], number))
			return g_strdup(fields[4]);
	}
	return NULL;
}

static bool open_block(struct disk *disk, const struct disk_conf *conf, GError **error)
{
	bool exclusive = !disk->shareable && !claim_is_shared(disk);
	int flags = (disk->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | (exclusive ? O_EXCL : 0);
	g_autofree char *mount = NULL;
	struct stat info;

	disk->fd = open(conf->source, flags);
	if (disk->fd < 0 && errno == EBUSY) {
		mount = find_mount(disk->device);
		if (mount)
			return xd_fail(error, XD_ERROR_DEVICE,
			               "guest \"%s\", disk %s: %s is mounted in dom0 on %s", disk->guest,
			               disk->vdev, conf->source, mount);
		return xd_fail(
		        error, XD_ERROR_DEVICE,
		        "guest \"%s\", disk %s: %s is in use in dom0 (mounted, swap, or part of another device)",
		        disk->guest, disk->vdev, conf->source);
	}
	if (disk->fd < 0)
		return fail_errno(error, disk, conf, "cannot open");
	if (fstat(disk->fd, &info) || !S_ISBLK(info.st_mode) || info.st_rdev != disk->device)
		return xd_fail(error, XD_ERROR_DEVICE,
		               "guest \"%s\", disk %s: %s changed while it was opened", disk->guest,
		               disk->vdev, conf->source);
	return true;
}

/* An open file, checked to be the one that is claimed, not empty, and (unless shareable) not written by others. */
static int open_file(struct disk *disk, const struct disk_conf *conf, GError **error)
{
	int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY, probe = -1, fd = -1;
	struct stat info;

	if (!disk->shareable && !claim_is_shared(disk)) {
		probe = open(conf->source, O_RDONLY | flags);
		if (probe >= 0 && !fileuse_quiet(probe)) {
			xd_fail(error, XD_ERROR_DEVICE,
			        "guest \"%s\", disk %s: another process in dom0 has %s open for writing",
			        disk->guest, disk->vdev, conf->source);
			close(probe);
			return -1;
		}
		if (probe >= 0)
			close(probe);
	}
	fd = open(conf->source, (disk->readonly ? O_RDONLY : O_RDWR) | flags);
	if (fd < 0) {
		fail_errno(error, disk, conf, "cannot open");
		return -1;
	}
	if (fstat(fd, &info) || info.st_dev != disk->key.dev || info.st_ino != disk->key.ino)
		xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", disk %s: %s changed while it was opened",
		        disk->guest, disk->vdev, conf->source);
	else if (info.st_size < 512)
		xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", disk %s: %s is smaller than one sector",
		        disk->guest, disk->vdev, conf->source);
	else
		return fd;
	close(fd);
	return -1;
}

/* A free loop device, opened; others look for one at the same time, so it may be taken when we come to it. */
static int open_free_loop(int control, bool readonly)
{
	char path[32];
	int number = ioctl(control, LOOP_CTL_GET_FREE);

	if (number < 0)
		return -1;
	snprintf(path, sizeof(path), "/dev/loop%d", number);
	return open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_EXCL);
}

static int attach_loop(int file, const struct disk *disk, const struct disk_conf *conf)
{
	struct loop_config config = { .fd = (uint32_t)file };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), attempt, loop;

	if (control < 0)
		return -1;
	config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (disk->readonly ? LO_FLAGS_READ_ONLY : 0) |
	                       (conf->cache != DISK_CACHE_WRITEBACK ? LO_FLAGS_DIRECT_IO : 0);
	g_strlcpy((char *)config.info.lo_file_name, conf->source, LO_NAME_SIZE);
	for (attempt = 0; attempt < LOOP_ATTEMPTS; attempt++) {
		loop = open_free_loop(control, disk->readonly);
		if (loop >= 0 && !ioctl(loop, LOOP_CONFIGURE, &config))
			break;
		if (loop >= 0) {
			int reason = errno;

			close(loop);
			loop = -1;
			errno = reason;
		}
		if (errno != EBUSY)
			break;
	}
	if (close(control))
		g_warning("/dev/loop-control: %s", g_strerror(errno));
	return loop;
}

static bool open_loop(struct disk *disk, const struct disk_conf *conf, GError **error)
{
	struct loop_info64 status;
	struct stat info;
	int file = open_file(disk, conf, error);

	if (file < 0)
		return false;
	disk->fd = attach_loop(file, disk, conf);
	if (disk->fd < 0) {
		fail_errno(error, disk, conf, "no loop device for");
		close(file);
		return false;
	}
	close(file);
	if (fstat(disk->fd, &info) || ioctl(disk->fd, LOOP_GET_STATUS64, &status))
		return fail_errno(error, disk, conf, "cannot look at the loop device of");
	disk->device = info.st_rdev;
	if (conf->cache == DISK_CACHE_NONE && !(status.lo_flags & LO_FLAGS_DIRECT_IO))
		return xd_fail(
		        error, XD_ERROR_DEVICE,
		        "guest \"%s\", disk %s: cache=\"none\": the file system of %s cannot do direct I/O",
		        disk->guest, disk->vdev, conf->source);
	return true;
}

int disk_image(struct disk *disk, const struct disk_conf *conf, bool *direct, GError **error)
{
	uint8_t head[DISKIMAGE_HEAD];
	const char *problem = NULL;
	ssize_t count;

	/* Past the page cache a piece of this size could not be read. */
	if (fcntl(disk->fd, F_SETFL, 0)) {
		fail_errno(error, disk, conf, "cannot look at");
		return -1;
	}
	count = pread(disk->fd, head, sizeof(head), 0);
	if (count < 0) {
		fail_errno(error, disk, conf, "cannot read");
		return -1;
	}
	problem = diskimage_refusal(conf->format, head, (size_t)count);
	if (problem) {
		xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", disk %s: %s %s", disk->guest, disk->vdev,
		        conf->source, problem);
		return -1;
	}
	*direct = conf->cache != DISK_CACHE_WRITEBACK && !fcntl(disk->fd, F_SETFL, O_DIRECT);
	if (!*direct && conf->cache == DISK_CACHE_NONE) {
		xd_fail(error, XD_ERROR_DEVICE,
		        "guest \"%s\", disk %s: cache=\"none\": the file system of %s cannot do direct I/O",
		        disk->guest, disk->vdev, conf->source);
		return -1;
	}
	return disk->fd;
}

/* What is open of it is what QEMU is handed, so that it is never another file. */
static bool open_image(struct disk *disk, const struct disk_conf *conf, GError **error)
{
	bool direct;

	if (conf->is_file)
		disk->fd = open_file(disk, conf, error);
	return (conf->is_file ? disk->fd >= 0 : open_block(disk, conf, error)) &&
	       disk_image(disk, conf, &direct, error) >= 0;
}

bool disk_is_served(const struct disk *disk)
{
	return disk->served;
}

void disk_set_served(struct disk *disk, bool served)
{
	disk->served = served;
}

bool disk_sync(struct disk *disk, GError **error)
{
	return disk->fd < 0 || !fdatasync(disk->fd) ||
	       xd_fail(error, XD_ERROR_DEVICE, "what was written to it is lost: %s", g_strerror(errno));
}

static struct disk *disk_new(const struct disk_conf *conf, const char *guest)
{
	struct disk *disk = g_new0(struct disk, 1);

	disk->guest = g_strdup(guest);
	disk->vdev = g_strdup(conf->vdev);
	disk->readonly = conf->readonly;
	disk->shareable = conf->shareable;
	disk->fd = -1;
	return disk;
}

/* Looks at the path and enters what it is into disk->key. */
static bool identify(struct disk *disk, const struct disk_conf *conf, GError **error)
{
	struct stat info;

	if (stat(conf->source, &info))
		return fail_errno(error, disk, conf, "cannot find");
	if (conf->is_file && !S_ISREG(info.st_mode))
		return xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", disk %s: %s is not a regular file",
		               disk->guest, disk->vdev, conf->source);
	if (!conf->is_file && !S_ISBLK(info.st_mode))
		return xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", disk %s: %s is not a block device",
		               disk->guest, disk->vdev, conf->source);
	if (conf->is_file) {
		disk->key.dev = info.st_dev;
		disk->key.ino = info.st_ino;
	} else {
		disk->key.dev = info.st_rdev;
		disk->device = info.st_rdev;
	}
	return true;
}

/* A source of a guest that was found running, of which it is not yet known what it is. */
static bool check_adopting(const struct disk *disk, const struct disk_conf *conf, GError **error)
{
	gint64 until = g_get_monotonic_time() + ADOPT_WAIT_US;
	bool ok = true;
	guint i;

	g_mutex_lock(&claims_lock);
	while (adopting && adopting->len && g_cond_wait_until(&adopted, &claims_lock, until))
		;
	for (i = 0; ok && adopting && i < adopting->len; i++) {
		const struct disk *other = g_ptr_array_index(adopting, i);

		if (!strcmp(other->adopting, conf->source) && !users_agree(disk, other))
			ok = xd_fail(
			        error, XD_ERROR_DEVICE,
			        "guest \"%s\", disk %s: guest \"%s\" uses %s as %s, and the disk does not answer",
			        disk->guest, disk->vdev, other->guest, conf->source, other->vdev);
	}
	g_mutex_unlock(&claims_lock);
	return ok;
}

struct disk *disk_open(const struct disk_conf *conf, const char *guest, GError **error)
{
	struct disk *disk = disk_new(conf, guest);

	if (check_adopting(disk, conf, error) && identify(disk, conf, error) &&
	    claim_take(disk, false, error) &&
	    (conf->format != DISK_RAW ? open_image(disk, conf, error)
	     : conf->is_file          ? open_loop(disk, conf, error)
	                              : open_block(disk, conf, error)))
		return disk;
	disk_close(disk);
	return NULL;
}

struct disk *disk_adopt_begin(const struct disk_conf *conf, const char *guest)
{
	struct disk *disk = disk_new(conf, guest);

	disk->adopting = g_strdup(conf->source);
	g_mutex_lock(&claims_lock);
	if (!adopting)
		adopting = g_ptr_array_new();
	g_ptr_array_add(adopting, disk);
	g_mutex_unlock(&claims_lock);
	return disk;
}

static void adopting_done(struct disk *disk)
{
	if (!disk->adopting)
		return;
	g_mutex_lock(&claims_lock);
	g_ptr_array_remove_fast(adopting, disk);
	g_cond_broadcast(&adopted);
	g_mutex_unlock(&claims_lock);
	g_clear_pointer(&disk->adopting, g_free);
}

void disk_adopt(struct disk *disk, const struct disk_conf *conf)
{
	g_autoptr(GError) error = NULL;

	/* An image is open in QEMU, which has it to itself. */
	if (!identify(disk, conf, &error) || !claim_take(disk, true, &error) ||
	    (!conf->is_file && conf->format == DISK_RAW && !open_block(disk, conf, &error)))
		g_warning("found running, cannot be claimed: %s", error->message);
	adopting_done(disk);
}

void disk_close(struct disk *disk)
{
	if (!disk)
		return;
	adopting_done(disk);
	if (disk->fd >= 0)
		close(disk->fd);
	claim_drop(disk);
	g_free(disk->guest);
	g_free(disk->vdev);
	g_free(disk);
}

/* The file behind the loop device grows; it must be the one that the path still names. */
static bool grow_file(int loop, const struct disk_conf *conf, const char *guest, uint64_t bytes,
                      GError **error)
{
	int file = open(conf->source, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	struct loop_info64 status;
	struct stat info;
	bool ok = false;

	if (file < 0 || fstat(file, &info) || ioctl(loop, LOOP_GET_STATUS64, &status))
		xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", disk %s: %s: %s", guest, conf->vdev,
		        conf->source, g_strerror(errno));
	else if (info.st_dev != status.lo_device || info.st_ino != status.lo_inode)
		xd_fail(error, XD_ERROR_DEVICE,
		        "guest \"%s\", disk %s: %s is another file than the guest's by now", guest,
		        conf->vdev, conf->source);
	else if ((uint64_t)info.st_size < bytes && ftruncate(file, (off_t)bytes))
		xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", disk %s: %s cannot grow: %s", guest,
		        conf->vdev, conf->source, g_strerror(errno));
	else if (ioctl(loop, LOOP_SET_CAPACITY, 0))
		xd_fail(error, XD_ERROR_DEVICE,
		        "guest \"%s\", disk %s: the loop device of %s cannot grow: %s", guest, conf->vdev,
		        conf->source, g_strerror(errno));
	else
		ok = true;
	if (file >= 0 && close(file))
		g_warning("%s: %s", conf->source, g_strerror(errno));
	return ok;
}

/* As the kernel calls it; links by number are udev's, which need not run. */
static char *device_path(uint32_t major, uint32_t minor)
{
	g_autofree char *file = g_strdup_printf("/sys/dev/block/%u:%u/uevent", major, minor);
	g_autofree char *text = NULL;
	const char *name;

	if (!g_file_get_contents(file, &text, NULL, NULL) || !(name = strstr(text, "DEVNAME=")))
		return g_strdup(file);
	name += strlen("DEVNAME=");
	return g_strdup_printf("/dev/%.*s", (int)strcspn(name, "\n"), name);
}

bool disk_resize(const struct disk_conf *conf, const char *guest, uint32_t major, uint32_t minor,
                 uint64_t *bytes, GError **error)
{
	g_autofree char *path = device_path(major, minor);
	int device = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t now = 0;
	bool ok = false;

	if (device < 0 || ioctl(device, BLKGETSIZE64, &now))
		xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", disk %s: %s: %s", guest, conf->vdev, path,
		        g_strerror(errno));
	else if (*bytes < now)
		xd_fail(error, XD_ERROR_INVALID_ARGUMENT,
		        "guest \"%s\", disk %s: it has %" G_GUINT64_FORMAT
		        " bytes, and does not shrink while it is used",
		        guest, conf->vdev, now);
	else if (*bytes > now && !conf->is_file)
		xd_fail(error, XD_ERROR_DEVICE,
		        "guest \"%s\", disk %s: %s has %" G_GUINT64_FORMAT
		        " bytes; it is grown first (lvextend), then the guest is told",
		        guest, conf->vdev, conf->source, now);
	else
		ok = !conf->is_file || grow_file(device, conf, guest, *bytes, error);
	if (ok && ioctl(device, BLKGETSIZE64, bytes))
		ok = xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", disk %s: %s: %s", guest, conf->vdev, path,
		             g_strerror(errno));
	if (device >= 0 && close(device))
		g_warning("%s: %s", path, g_strerror(errno));
	return ok;
}

char *disk_path(const struct disk *disk, const struct disk_conf *conf)
{
	if (!conf->is_file || conf->format != DISK_RAW)
		return g_strdup(conf->source);
	return disk->device ? g_strdup_printf("/dev/loop%u", minor(disk->device)) : g_strdup("");
}

bool disk_is_open(const struct disk *disk)
{
	return disk->fd >= 0;
}

uint32_t disk_major(const struct disk *disk)
{
	return major(disk->device);
}

uint32_t disk_minor(const struct disk *disk)
{
	return minor(disk->device);
}
