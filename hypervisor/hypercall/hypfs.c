/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hypfs_op (xen/hypfs.h): a small tree of facts and settings, for xenhypfs and "xl set-parameters". dom0 only.
 *
 * The tree is one table of absolute paths, in alphabetical order. A file is text or one unsigned number; settings are
 * text, and the option's own parser judges what is written. Content is made when it is asked for, so that nothing is
 * kept twice and nothing here needs a lock.
 */
#include "config.h"
#include "hypercall/hypercall.h"
#include "hypercall/settings.h"
#include "hw/options.h"
#include "lib/log.h"
#include "lib/option.h"
#include "lib/string.h"
#include <xen/hypfs.h>

#define TEXT_MAX  160 /* of a file's content */
#define VALUE_MAX 32  /* of what is written, with its end */
#define DIR_BYTES 512 /* what the longest list of entries may take */

struct node {
	const char *path;
	uint8_t type;
	void (*text)(char *to, size_t size);
	uint32_t number;
	/* 0 or -EINVAL and the like; NULL: cannot be changed. */
	int (*write)(const char *value);
};

/* ---- contents ---- */

static void text_changeset(char *to, size_t size)
{
	snprintf(to, size, "xylem " PACKAGE_VERSION);
}

static void text_compiler(char *to, size_t size)
{
	snprintf(to, size, "gcc " __VERSION__);
}

static void text_empty(char *to, size_t size)
{
	snprintf(to, size, "%s", "");
}

static void text_config(char *to, size_t size)
{
#ifdef XYLEM_DEBUG
	snprintf(to, size, "debug=y");
#else
	snprintf(to, size, "debug=n");
#endif
}

static void text_extra(char *to, size_t size)
{
	snprintf(to, size, XYLEM_EXTRAVERSION);
}

static void text_levels(char *to, size_t size, int print, int rate)
{
	snprintf(to, size, "%s/%s", option_level_name(print), option_level_name(rate));
}

static void text_loglvl(char *to, size_t size)
{
	text_levels(to, size, READ_ONCE(options.loglvl_print), READ_ONCE(options.loglvl_rate));
}

static void text_guest_loglvl(char *to, size_t size)
{
	text_levels(to, size, READ_ONCE(options.guest_loglvl_print), READ_ONCE(options.guest_loglvl_rate));
}

static void text_grant_frames(char *to, size_t size)
{
	snprintf(to, size, "%u", READ_ONCE(default_grant_frames));
}

static void text_maptrack_frames(char *to, size_t size)
{
	snprintf(to, size, "%u", READ_ONCE(default_maptrack_frames));
}

static void text_granularity(char *to, size_t size)
{
	snprintf(to, size, "cpu");
}

/* ---- settings ---- */

static int write_loglvl(const char *value)
{
	int print, rate;

	if (!option_levels(value, &print, &rate))
		return -EINVAL;
	WRITE_ONCE(options.loglvl_print, print);
	WRITE_ONCE(options.loglvl_rate, rate);
	return 0;
}

static int write_guest_loglvl(const char *value)
{
	int print, rate;

	if (!option_levels(value, &print, &rate))
		return -EINVAL;
	WRITE_ONCE(options.guest_loglvl_print, print);
	WRITE_ONCE(options.guest_loglvl_rate, rate);
	return 0;
}

static int write_count(const char *value, unsigned *to, unsigned min, unsigned max)
{
	uint64_t n;

	if (!option_number(value, &n) || n < min || n > max)
		return -EINVAL;
	WRITE_ONCE(*to, (unsigned)n);
	return 0;
}

static int write_grant_frames(const char *value)
{
	return write_count(value, &default_grant_frames, 1, GRANT_FRAMES_LIMIT);
}

static int write_maptrack_frames(const char *value)
{
	return write_count(value, &default_maptrack_frames, 0, MAPTRACK_FRAMES_LIMIT);
}

/* Cores and sockets are not scheduled as units; and a pool with CPUs keeps what it has. */
static int write_granularity(const char *value)
{
	if (strcmp(value, "cpu") && strcmp(value, "core") && strcmp(value, "socket"))
		return -EINVAL;
	return -EBUSY;
}

/* ---- the tree ---- */

#define DIR(p)                                          \
	{                                               \
		.path = (p), .type = XEN_HYPFS_TYPE_DIR \
	}
#define TEXT(p, t)                                                      \
	{                                                               \
		.path = (p), .type = XEN_HYPFS_TYPE_STRING, .text = (t) \
	}
#define NUMBER(p, n)                                                    \
	{                                                               \
		.path = (p), .type = XEN_HYPFS_TYPE_UINT, .number = (n) \
	}
#define SETTING(p, t, w)                                                              \
	{                                                                             \
		.path = (p), .type = XEN_HYPFS_TYPE_STRING, .text = (t), .write = (w) \
	}

static const struct node tree[] = {
	DIR(""),
	DIR("/buildinfo"),
	TEXT("/buildinfo/changeset", text_changeset),
	DIR("/buildinfo/compileinfo"),
	TEXT("/buildinfo/compileinfo/compile_by", text_empty),
	TEXT("/buildinfo/compileinfo/compile_date", text_empty),
	TEXT("/buildinfo/compileinfo/compile_domain", text_empty),
	TEXT("/buildinfo/compileinfo/compiler", text_compiler),
	TEXT("/buildinfo/config", text_config),
	DIR("/buildinfo/version"),
	TEXT("/buildinfo/version/extra", text_extra),
	NUMBER("/buildinfo/version/major", XYLEM_ABI_MAJOR),
	NUMBER("/buildinfo/version/minor", XYLEM_ABI_MINOR),
	DIR("/cpupool"),
	DIR("/cpupool/0"),
	SETTING("/cpupool/0/sched-gran", text_granularity, write_granularity),
	DIR("/params"),
	SETTING("/params/gnttab_max_frames", text_grant_frames, write_grant_frames),
	SETTING("/params/gnttab_max_maptrack_frames", text_maptrack_frames, write_maptrack_frames),
	SETTING("/params/guest_loglvl", text_guest_loglvl, write_guest_loglvl),
	SETTING("/params/loglvl", text_loglvl, write_loglvl),
};

/* The name within dir of a node that lies directly in it, or NULL. */
static const char *child_name(const struct node *dir, const struct node *n)
{
	size_t len = strlen(dir->path);
	const char *name = n->path + len + 1;

	if (n == dir || strncmp(n->path, dir->path, len) || n->path[len] != '/' || strchr(name, '/'))
		return NULL;
	return name;
}

/* 0, -EINVAL (not absolute), -ENOENT, -ENOTDIR (something below a file). */
static int find(const char *path, const struct node **found)
{
	if (path[0] != '/')
		return -EINVAL;
	if (!path[1])
		path = "";
	for (size_t i = 0; i < ARRAY_SIZE(tree); i++) {
		size_t len = strlen(tree[i].path);

		*found = &tree[i];
		if (!strcmp(tree[i].path, path))
			return 0;
		if (tree[i].type != XEN_HYPFS_TYPE_DIR && !strncmp(tree[i].path, path, len) &&
		    path[len] == '/')
			return -ENOTDIR;
	}
	return -ENOENT;
}

/* ---- reading ---- */

static size_t entry_bytes(const char *name)
{
	return offsetof(struct xen_hypfs_dirlistentry, name) + (strlen(name) + 1 + 3) / 4 * 4;
}

static struct xen_hypfs_direntry describe(const struct node *n);

/* Writes the list of dir's entries, which lie at odd offsets; returns its length. */
static size_t list(const struct node *dir, char *to)
{
	size_t at = 0, last = 0;
	uint16_t none = 0;

	for (size_t i = 0; i < ARRAY_SIZE(tree); i++) {
		const char *name = child_name(dir, &tree[i]);
		struct xen_hypfs_direntry e;
		uint16_t bytes;

		if (!name)
			continue;
		bytes = (uint16_t)entry_bytes(name);
		CHECK(at + bytes <= DIR_BYTES);
		memset(to + at, 0, bytes);
		e = describe(&tree[i]);
		memcpy(to + at, &e, sizeof(e));
		memcpy(to + at + offsetof(struct xen_hypfs_dirlistentry, off_next), &bytes, sizeof(bytes));
		memcpy(to + at + offsetof(struct xen_hypfs_dirlistentry, name), name, strlen(name) + 1);
		last = at;
		at += bytes;
	}
	if (at)
		memcpy(to + last + offsetof(struct xen_hypfs_dirlistentry, off_next), &none, sizeof(none));
	return at;
}

static size_t list_bytes(const struct node *dir)
{
	size_t sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(tree); i++) {
		const char *name = child_name(dir, &tree[i]);

		sum += name ? entry_bytes(name) : 0;
	}
	return sum;
}

/* A file's content; returns its length. */
static size_t content(const struct node *n, char *to)
{
	if (n->type == XEN_HYPFS_TYPE_UINT) {
		memcpy(to, &n->number, sizeof(n->number));
		return sizeof(n->number);
	}
	n->text(to, TEXT_MAX);
	return strlen(to) + 1;
}

static struct xen_hypfs_direntry describe(const struct node *n)
{
	char buf[TEXT_MAX];
	size_t bytes = n->type == XEN_HYPFS_TYPE_DIR ? list_bytes(n) : content(n, buf);

	return (struct xen_hypfs_direntry){ .type = n->type,
		                            .encoding = XEN_HYPFS_ENC_PLAIN,
		                            .content_len = (uint32_t)bytes,
		                            .max_write_len = n->write ? VALUE_MAX : 0 };
}

/* What the caller has room for; where the content does not fit, its length alone. */
static int read_node(const struct node *n, gva_t to, uint64_t room)
{
	_Alignas(8) char buf[DIR_BYTES];
	struct xen_hypfs_direntry e;

	if (room < sizeof(e))
		return -EINVAL;
	e = describe(n);
	e.content_len = (uint32_t)(n->type == XEN_HYPFS_TYPE_DIR ? list(n, buf) : content(n, buf));
	if (guest_copy_out(to, &e, sizeof(e)))
		return -EFAULT;
	if (room < sizeof(e) + e.content_len)
		return -ENOBUFS;
	return guest_copy_out(GVA(to.v + sizeof(e)), buf, e.content_len) ? -EFAULT : 0;
}

static int write_node(const struct node *n, gva_t from, uint64_t bytes)
{
	char value[VALUE_MAX];

	if (!n->write)
		return -EACCES;
	if (bytes > sizeof(value))
		return -ENOSPC;
	if (guest_copy_in(value, from, bytes))
		return -EFAULT;
	if (!bytes || strnlen(value, bytes) != bytes - 1)
		return -EINVAL;
	return n->write(value);
}

/* hypfs_op(command, path, its length with the end, buffer, its length). */
int64_t hc_hypfs_op(struct hc_args *a)
{
	char path[XEN_HYPFS_MAX_PATHLEN];
	uint32_t cmd = (uint32_t)a->arg[0];
	const struct node *n;
	int rc;

	if (!current_domain()->privileged)
		return -EPERM;
	if (cmd == XEN_HYPFS_OP_get_version)
		return a->arg[1] || a->arg[2] || a->arg[3] || a->arg[4] ? -EINVAL : XEN_HYPFS_VERSION;
	if (a->arg[2] > sizeof(path))
		return -EINVAL;
	if (guest_copy_in(path, GVA(a->arg[1]), a->arg[2]))
		return -EFAULT;
	if (!a->arg[2] || strnlen(path, a->arg[2]) != a->arg[2] - 1)
		return -EINVAL;
	rc = find(path, &n);
	if (rc)
		return rc;
	switch (cmd) {
	case XEN_HYPFS_OP_read:
		return read_node(n, GVA(a->arg[3]), a->arg[4]);
	case XEN_HYPFS_OP_write_contents:
		return write_node(n, GVA(a->arg[3]), a->arg[4]);
	}
	return -EOPNOTSUPP;
}
