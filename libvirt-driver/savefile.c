/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of saved guests; see savefile.h. */
#include "savefile.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "virerror.h"
#include "virfile.h"

#define VIR_FROM_THIS VIR_FROM_LIBXL

#define MAGIC_BYTES   16
#define FILE_VERSION  2
#define XML_MAX       (16u << 20)
/* Room for a longer XML, as "save-image-edit" may leave one; readers stop at its end, a zero byte. */
#define XML_ROOM 4096

static const char magic_complete[MAGIC_BYTES + 1] = "libvirt-xml\n \0 \r";
static const char magic_partial[MAGIC_BYTES + 1] = "xylem-partial\n\0\0";
static const char magic_used[MAGIC_BYTES + 1] = "xylem-used\n\0\0\0\0\0";

struct header {
	char magic[MAGIC_BYTES];
	uint32_t version;
	uint32_t xml_bytes;
	uint32_t paused; /* libvirt's own driver has zero here, and does not look */
	uint32_t unused[9];
};

G_STATIC_ASSERT(sizeof(struct header) == 64);

static int write_xml(const char *path, int fd, struct header *h, const char *xml)
{
	g_autofree char *padded = g_new0(char, h->xml_bytes);

	memcpy(padded, xml, strlen(xml));
	if (lseek(fd, 0, SEEK_SET) == 0 && safewrite(fd, h, sizeof(*h)) == (ssize_t)sizeof(*h) &&
	    safewrite(fd, padded, h->xml_bytes) == (ssize_t)h->xml_bytes)
		return 0;
	virReportSystemError(errno, "%s cannot be written", path);
	return -1;
}

/* Nobody reads or writes it meanwhile: it is the caller's, and for root's eyes. */
static int empty(const char *path, int fd)
{
	struct stat st;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		virReportSystemError(errno, "%s is being saved to, or restored from", path);
		return -1;
	}
	if (fstat(fd, &st) == 0 && (!S_ISREG(st.st_mode) || (fchmod(fd, 0600) == 0 && ftruncate(fd, 0) == 0)))
		return 0;
	virReportSystemError(errno, "%s cannot be created", path);
	return -1;
}

int savefile_create(const char *path, const char *xml, bool paused)
{
	struct header h = { .version = FILE_VERSION, .paused = paused };
	int fd;

	if (strlen(xml) > XML_MAX - XML_ROOM) {
		virReportError(VIR_ERR_OPERATION_FAILED, "%s: the domain's XML is too long for it", path);
		return -1;
	}
	memcpy(h.magic, magic_partial, MAGIC_BYTES);
	h.xml_bytes = (uint32_t)((strlen(xml) + 1 + XML_ROOM) / 8 * 8);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || empty(path, fd) < 0) {
		if (fd < 0)
			virReportSystemError(errno, "%s cannot be created", path);
		VIR_FORCE_CLOSE(fd);
		return -1;
	}
	if (write_xml(path, fd, &h, xml) < 0) {
		VIR_FORCE_CLOSE(fd);
		savefile_discard(path);
		return -1;
	}
	return fd;
}

/* The name of a new file is durable when its folder is. */
static int sync_folder(const char *path)
{
	g_autofree char *folder = g_path_get_dirname(path);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? -1 : fsync(fd);

	VIR_FORCE_CLOSE(fd);
	return rc;
}

static int put_magic(int fd, const char *magic)
{
	return pwrite(fd, magic, MAGIC_BYTES, 0) == MAGIC_BYTES ? fsync(fd) : -1;
}

int savefile_complete(const char *path, int fd, bool no_cache)
{
	if (fsync(fd) < 0 || sync_folder(path) < 0 || put_magic(fd, magic_complete) < 0) {
		virReportSystemError(errno, "%s cannot be completed", path);
		ignore_value(put_magic(fd, magic_partial));
		return -1;
	}
	if (no_cache)
		ignore_value(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	return 0;
}

static int rewrite_magic(const char *path, const char *from, const char *to)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), rc = -1;
	char magic[MAGIC_BYTES];

	if (fd >= 0 && saferead(fd, magic, sizeof(magic)) == (ssize_t)sizeof(magic) &&
	    memcmp(magic, from, sizeof(magic)) == 0)
		rc = put_magic(fd, to);
	VIR_FORCE_CLOSE(fd);
	return rc;
}

int savefile_use(const char *path, bool used)
{
	if (rewrite_magic(path, used ? magic_complete : magic_used, used ? magic_used : magic_complete) == 0)
		return 0;
	virReportSystemError(errno, "%s cannot be marked as %s", path, used ? "used" : "unused");
	return -1;
}

static int check_header(const char *path, const struct header *h)
{
	const char *why = NULL;

	if (memcmp(h->magic, magic_partial, MAGIC_BYTES) == 0)
		why = "it is incomplete: the save that wrote it was interrupted";
	else if (memcmp(h->magic, magic_used, MAGIC_BYTES) == 0)
		why = "it has been restored already, and its guest has run since";
	else if (memcmp(h->magic, magic_complete, MAGIC_BYTES) != 0)
		why = "it is no file of a saved guest";
	else if (h->version == 0 || h->version > FILE_VERSION)
		why = "it is of a version that is not known here";
	else if (h->xml_bytes == 0 || h->xml_bytes > XML_MAX)
		why = "the length of its XML is impossible";
	else if (h->paused > 1)
		why = "its header has a field that is not known here";
	if (!why)
		return 0;
	virReportError(VIR_ERR_OPERATION_FAILED, "%s cannot be restored: %s", path, why);
	return -1;
}

static int read_header(const char *path, int fd, struct header *h, char **xml)
{
	if (saferead(fd, h, sizeof(*h)) != (ssize_t)sizeof(*h)) {
		virReportError(VIR_ERR_OPERATION_FAILED, "%s cannot be restored: it has no header", path);
		return -1;
	}
	if (check_header(path, h) < 0)
		return -1;
	*xml = g_malloc0(h->xml_bytes + 1);
	if (saferead(fd, *xml, h->xml_bytes) == (ssize_t)h->xml_bytes)
		return 0;
	g_clear_pointer(xml, g_free);
	virReportError(VIR_ERR_OPERATION_FAILED, "%s cannot be restored: it ends within its XML", path);
	return -1;
}

int savefile_open(const char *path, bool write, char **xml, bool *paused)
{
	int fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	struct header h;

	if (fd < 0) {
		virReportSystemError(errno, "%s cannot be opened", path);
		return -1;
	}
	if (flock(fd, (write ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0) {
		virReportSystemError(errno, "%s is being saved to, or changed", path);
		VIR_FORCE_CLOSE(fd);
		return -1;
	}
	if (read_header(path, fd, &h, xml) < 0) {
		VIR_FORCE_CLOSE(fd);
		return -1;
	}
	*paused = h.paused;
	return fd;
}

int savefile_set_xml(const char *path, int fd, const char *xml, bool paused)
{
	struct header h;

	if (pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h)) {
		virReportSystemError(errno, "%s cannot be read", path);
		return -1;
	}
	if (strlen(xml) + 1 > h.xml_bytes) {
		virReportError(VIR_ERR_OPERATION_FAILED,
		               "%s has room for an XML of %u bytes, this one has %zu", path, h.xml_bytes - 1,
		               strlen(xml));
		return -1;
	}
	h.paused = paused;
	memcpy(h.magic, magic_partial, MAGIC_BYTES);
	if (write_xml(path, fd, &h, xml) < 0)
		return -1;
	if (fsync(fd) < 0 || put_magic(fd, magic_complete) < 0) {
		virReportSystemError(errno, "%s cannot be written", path);
		return -1;
	}
	return 0;
}

static bool has_magic(const char *path, const char *wanted)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char magic[MAGIC_BYTES];
	bool is = fd >= 0 && saferead(fd, magic, sizeof(magic)) == (ssize_t)sizeof(magic) &&
	          memcmp(magic, wanted, sizeof(magic)) == 0;

	VIR_FORCE_CLOSE(fd);
	return is;
}

bool savefile_is_complete(const char *path)
{
	return has_magic(path, magic_complete);
}

bool savefile_is_dead(const char *path)
{
	return has_magic(path, magic_partial) || has_magic(path, magic_used);
}

void savefile_discard(const char *path)
{
	struct stat st;

	ignore_value(rewrite_magic(path, magic_complete, magic_partial));
	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
		unlink(path);
}
