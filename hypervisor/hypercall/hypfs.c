/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hypfs_op (xen/hypfs.h): a small tree of facts and settings, for xenhypfs and "xl set-parameters". dom0 only.
 *
 * The tree is one table of absolute paths, in alphabetical order. A file is text or one unsigned number; settings are
 * text, and the option's own parser judges what is written. Content is made when it is asked for, so that nothing is
 * kept twice. Under /cpupool is a folder for each pool: one row, where * stands for the number; domctl_lock keeps them.
 */
#include "config.h"
#include "dom/cpupool.h"
#include "dom/grant.h"
#include "hw/options.h"
#include "hypercall/domctl.h"
#include "hypercall/settings.h"
#include "hw/smp.h"
#include "lib/log.h"
#include "lib/option.h"
#include "lib/string.h"
#include <xen/hypfs.h>

#define TEXT_MAX  160 /* of a file's content */
#define VALUE_MAX 32  /* of what is written, with its end */
#define NAME_MAX  32  /* of an entry, with its end */

struct node {
	const char *path;
	uint8_t type;
	void (*text)(char *to, size_t size);
	uint32_t number;
	/* 0 or -EINVAL and the like; NULL: cannot be changed. */
	int (*write)(const char *value);
	/* In place of text and write: a pool's. */
	const char *(*pool_text)(const struct cpupool *p);
	int (*pool_write)(struct cpupool *p, const char *value);
};

/* What a path names: a row, and the pool that it names besides, or NULL. */
struct place {
	const struct node *node;
	struct cpupool *pool;
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

static const char *text_granularity(const struct cpupool *p)
{
	return p->granularity;
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
	return write_count(value, &default_grant_frames, 1, GRANT_FRAMES_MAX);
}

static int write_maptrack_frames(const char *value)
{
	return write_count(value, &default_maptrack_frames, 0, GRANT_TRACK_FRAMES_MAX);
}

static bool same_unit(unsigned a, unsigned b, bool socket)
{
	return cpu_ids[a].package == cpu_ids[b].package && (socket || cpu_ids[a].core == cpu_ids[b].core);
}

/* CPUs of each core or socket, 0 if some have more than others. */
static unsigned unit_size(bool socket)
{
	unsigned size = 0;

	for (unsigned i = 0; i < cpu_count; i++) {
		unsigned n = 0;

		for (unsigned k = 0; k < cpu_count; k++)
			n += same_unit(i, k, socket);
		if (size && n != size)
			return 0;
		size = n;
	}
	return size;
}

/* A pool with CPUs keeps what it has. CPUs are scheduled one by one: cores and sockets are taken where they are one CPU each. */
static int write_granularity(struct cpupool *p, const char *value)
{
	static const char *const names[] = { "cpu", "core", "socket" };
	unsigned which = 0, size;

	while (which < ARRAY_SIZE(names) && strcmp(value, names[which]))
		which++;
	if (which == ARRAY_SIZE(names))
		return -EINVAL;
	size = which ? unit_size(which == 2) : 1;
	if (!size)
		return -EINVAL;
	if (!cpumask_empty(&p->cpus))
		return -EBUSY;
	if (size > 1)
		return -EOPNOTSUPP;
	p->granularity = names[which];
	return 0;
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
	DIR("/cpupool/*"),
	{ .path = "/cpupool/*/sched-gran",
	  .type = XEN_HYPFS_TYPE_STRING,
	  .pool_text = text_granularity,
	  .pool_write = write_granularity },
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

/* Writes a * in place of a pool's number, and finds that pool. 0 or -ENOENT. */
static int find_pool(char *path, struct cpupool **p)
{
	static const char folder[] = "/cpupool/";
	char *name = path + strlen(folder), *end = name;
	uint64_t id = 0;

	*p = NULL;
	if (strncmp(path, folder, strlen(folder)))
		return 0;
	for (; *end >= '0' && *end <= '9' && id <= CPUPOOL_ANY; end++)
		id = id * 10 + (uint64_t)(*end - '0');
	if (end == name || (*end && *end != '/') || id > CPUPOOL_ANY)
		return -ENOENT;
	*p = cpupool_find((uint32_t)id);
	*name = '*';
	memmove(name + 1, end, strlen(end) + 1);
	return *p ? 0 : -ENOENT;
}

/* 0, -EINVAL (not absolute), -ENOENT. */
static int find(char *path, struct place *found)
{
	int rc;

	if (path[0] != '/')
		return -EINVAL;
	if (!path[1])
		path[0] = 0;
	rc = find_pool(path, &found->pool);
	if (rc)
		return rc;
	for (size_t i = 0; i < ARRAY_SIZE(tree); i++) {
		found->node = &tree[i];
		if (!strcmp(tree[i].path, path))
			return 0;
	}
	return -ENOENT;
}

/* ---- reading ---- */

static size_t entry_bytes(const char *name)
{
	return offsetof(struct xen_hypfs_dirlistentry, name) + (strlen(name) + 1 + 3) / 4 * 4;
}

static bool is_any(const char *name)
{
	return !strcmp(name, "*");
}

static void pool_name(const struct cpupool *p, char *to)
{
	snprintf(to, NAME_MAX, "%u", p->id);
}

static size_t pools_bytes(void)
{
	char name[NAME_MAX];
	size_t sum = 0;
	struct list *l;

	list_for_each(l, &cpupools) {
		pool_name(list_entry(l, struct cpupool, link), name);
		sum += entry_bytes(name);
	}
	return sum;
}

static size_t list_bytes(const struct node *dir)
{
	size_t sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(tree); i++) {
		const char *name = child_name(dir, &tree[i]);

		if (name)
			sum += is_any(name) ? pools_bytes() : entry_bytes(name);
	}
	return sum;
}

/* A file's content; returns its length. */
static size_t content(struct place at, char *to)
{
	const struct node *n = at.node;

	if (n->type == XEN_HYPFS_TYPE_UINT) {
		memcpy(to, &n->number, sizeof(n->number));
		return sizeof(n->number);
	}
	if (n->pool_text)
		snprintf(to, TEXT_MAX, "%s", n->pool_text(at.pool));
	else
		n->text(to, TEXT_MAX);
	return strlen(to) + 1;
}

static struct xen_hypfs_direntry describe(struct place at)
{
	const struct node *n = at.node;
	char buf[TEXT_MAX];
	size_t bytes = n->type == XEN_HYPFS_TYPE_DIR ? list_bytes(n) : content(at, buf);
	bool writable = n->write || n->pool_write;

	return (struct xen_hypfs_direntry){ .type = n->type,
		                            .encoding = XEN_HYPFS_ENC_PLAIN,
		                            .content_len = (uint32_t)bytes,
		                            .max_write_len = writable ? VALUE_MAX : 0 };
}

/* A list of entries on its way to the caller: they lie at odd offsets, and the last one has none that follows. */
struct listing {
	gva_t to;
	size_t at, total;
};

static int list_entry_out(struct listing *l, struct place at, const char *name)
{
	char buf[offsetof(struct xen_hypfs_dirlistentry, name) + NAME_MAX] = { 0 };
	uint16_t bytes = (uint16_t)entry_bytes(name), next = l->at + bytes < l->total ? bytes : 0;
	struct xen_hypfs_direntry e = describe(at);
	gva_t to = GVA(l->to.v + l->at);

	CHECK(bytes <= sizeof(buf) && l->at + bytes <= l->total);
	memcpy(buf, &e, sizeof(e));
	memcpy(buf + offsetof(struct xen_hypfs_dirlistentry, off_next), &next, sizeof(next));
	memcpy(buf + offsetof(struct xen_hypfs_dirlistentry, name), name, strlen(name) + 1);
	l->at += bytes;
	return guest_copy_out(to, buf, bytes) ? -EFAULT : 0;
}

static int list_pools(struct listing *out, const struct node *n)
{
	char name[NAME_MAX];
	struct list *l;
	int rc = 0;

	list_for_each(l, &cpupools) {
		struct cpupool *p = list_entry(l, struct cpupool, link);

		pool_name(p, name);
		rc = rc ? rc : list_entry_out(out, (struct place){ n, p }, name);
	}
	return rc;
}

static int list(struct place dir, gva_t to, size_t bytes)
{
	struct listing out = { .to = to, .total = bytes };
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(tree) && !rc; i++) {
		const char *name = child_name(dir.node, &tree[i]);

		if (name)
			rc = is_any(name) ? list_pools(&out, &tree[i])
			                  : list_entry_out(&out, (struct place){ &tree[i], dir.pool }, name);
	}
	return rc;
}

/* What the caller has room for; where the content does not fit, its length alone. */
static int read_node(struct place at, gva_t to, uint64_t room)
{
	_Alignas(8) char buf[TEXT_MAX];
	struct xen_hypfs_direntry e;
	gva_t behind = GVA(to.v + sizeof(e));

	if (room < sizeof(e))
		return -EINVAL;
	e = describe(at);
	if (guest_copy_out(to, &e, sizeof(e)))
		return -EFAULT;
	if (room < sizeof(e) + e.content_len)
		return -ENOBUFS;
	if (at.node->type == XEN_HYPFS_TYPE_DIR)
		return list(at, behind, e.content_len);
	return guest_copy_out(behind, buf, MIN(content(at, buf), (size_t)e.content_len)) ? -EFAULT : 0;
}

static int write_node(struct place at, gva_t from, uint64_t bytes)
{
	const struct node *n = at.node;
	char value[VALUE_MAX];

	if (!n->write && !n->pool_write)
		return -EACCES;
	if (bytes > sizeof(value))
		return -ENOSPC;
	if (guest_copy_in(value, from, bytes))
		return -EFAULT;
	if (!bytes || strnlen(value, bytes) != bytes - 1)
		return -EINVAL;
	return n->write ? n->write(value) : n->pool_write(at.pool, value);
}

/* domctl_lock */
static int on_path(struct hc_args *a, char *path)
{
	struct place at;
	int rc = find(path, &at);

	if (rc)
		return rc;
	switch ((uint32_t)a->arg[0]) {
	case XEN_HYPFS_OP_read:
		return read_node(at, GVA(a->arg[3]), a->arg[4]);
	case XEN_HYPFS_OP_write_contents:
		return write_node(at, GVA(a->arg[3]), a->arg[4]);
	}
	return -EOPNOTSUPP;
}

/* hypfs_op(command, path, its length with the end, buffer, its length). */
int64_t hc_hypfs_op(struct hc_args *a)
{
	char path[XEN_HYPFS_MAX_PATHLEN];
	uint32_t cmd = (uint32_t)a->arg[0];
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
	if (!spin_trylock(&domctl_lock))
		return -ERESTART_HV;
	rc = on_path(a, path);
	spin_unlock(&domctl_lock);
	return rc;
}
