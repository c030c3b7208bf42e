/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libxl.conf, and what its lock_manager asks for: the disks of a guest are locked while it is active, so that no
 * other host that shares them starts a guest on them.
 *
 * The locks are libvirt's lock manager's (virtlockd, sanlock). Each disk is locked by itself, since a manager that
 * fails at one disk of several keeps those before. A manager that is asked for and cannot be had keeps guests from
 * being started; those that run are left alone.
 */
#include "locks.h"
#include "xylem.h"

#include <fcntl.h>
#include <sys/file.h>

#include "conf.h"
#include "locking/domain_lock.h"
#include "virconf.h"
#include "virerror.h"
#include "virfile.h"
#include "virlog.h"
#include "viruuid.h"

VIR_LOG_INIT("xylem.locks");

struct disk_locks {
	virDomainObj *owner; /* as much of a domain as the lock manager looks at */
	GPtrArray *sources;  /* virStorageSource, referenced */
};

static void refuse_starts(const char *why)
{
	g_free(xylem->lock_refusal);
	xylem->lock_refusal = g_strdup(why);
	VIR_ERROR("guests are not started: %s", why);
}

static void load_manager(const char *name)
{
	g_autofree char *why = NULL;

	if (!name || STREQ(name, "nop"))
		return;
	xylem->lock_manager =
	        virLockManagerPluginNew(name, "libxl", xylem->conf_base_dir ? xylem->conf_base_dir : "", 0);
	if (xylem->lock_manager)
		return;
	why = g_strdup_printf("lock_manager = \"%s\" of libxl.conf cannot be used: %s", name,
	                      virGetLastErrorMessage());
	refuse_starts(why);
}

struct settings {
	char *lock_manager;
	unsigned int idle;
	bool bad;
};

/* What a setting of the stock driver's file is here. */
static int read_setting(const char *name, virConfValue *value, void *opaque)
{
	static const struct {
		const char *name, *why;
		bool off_is_so; /* 0 says what is so anyway */
	} known[] = {
		{ "autoballoon",
		  "Domain-0 is not made smaller for guests; give it less with dom0_mem=", true },
		{ "nested_hvm", "there are no HVM guests", true },
		{ "keepalive_interval",
		  "a connection to another host, of a peer-to-peer migration, does not use it", false },
		{ "keepalive_count",
		  "a connection to another host, of a peer-to-peer migration, does not use it", false },
	};
	struct settings *settings = opaque;
	const char *why = "it is not known";
	size_t i;

	if (STREQ(name, "lock_manager")) {
		g_free(settings->lock_manager);
		settings->lock_manager = value->type == VIR_CONF_STRING ? g_strdup(value->str) : NULL;
		settings->bad = !settings->lock_manager;
		return 0;
	}
	for (i = 0; i < G_N_ELEMENTS(known); i++) {
		if (STRNEQ(name, known[i].name))
			continue;
		if (known[i].off_is_so && value->type == VIR_CONF_ULLONG && value->l == 0)
			return 0;
		why = known[i].why;
	}
	VIR_WARN("libxl.conf: '%s' has no effect: %s", name, why);
	settings->idle++;
	return 0;
}

unsigned int locks_read_conf(const char *file)
{
	g_autoptr(virConf) conf = NULL;
	g_autofree char *why = NULL;
	struct settings settings = { 0 };

	if (!virFileExists(file))
		return 0;
	conf = virConfReadFile(file, 0);
	if (conf)
		ignore_value(virConfWalk(conf, read_setting, &settings));
	/* It may have asked for locks. */
	if (!conf || settings.bad) {
		why = g_strdup_printf("%s cannot be read: %s", file,
		                      conf ? "lock_manager is no string" : virGetLastErrorMessage());
		refuse_starts(why);
	}
	load_manager(settings.lock_manager);
	g_free(settings.lock_manager);
	virResetLastError();
	return settings.idle;
}

void locks_close(void)
{
	if (xylem->lock_manager)
		virLockManagerPluginUnref(xylem->lock_manager);
	xylem->lock_manager = NULL;
	g_clear_pointer(&xylem->lock_refusal, g_free);
}

void locks_free(struct disk_locks *locks)
{
	if (!locks)
		return;
	if (locks->sources)
		g_ptr_array_unref(locks->sources);
	virObjectUnref(locks->owner);
	g_free(locks);
}

struct disk_locks *locks_new(const virDomainDef *def, virStorageSource *only)
{
	struct disk_locks *locks;
	size_t i;

	if (!xylem->lock_manager)
		return NULL;
	locks = g_new0(struct disk_locks, 1);
	locks->sources = g_ptr_array_new_with_free_func(virObjectUnref);
	locks->owner = virDomainObjNew(xylem->xmlopt);
	/* It comes locked, and nobody else has it: another thread may free it. */
	if (locks->owner)
		virObjectUnlock(locks->owner);
	if (!locks->owner || !(locks->owner->def = virDomainDefNew(xylem->xmlopt))) {
		locks_free(locks);
		return NULL;
	}
	locks->owner->def->name = g_strdup(def->name);
	locks->owner->def->id = def->id;
	memcpy(locks->owner->def->uuid, def->uuid, VIR_UUID_BUFLEN);
	if (only)
		g_ptr_array_add(locks->sources, virObjectRef(only));
	for (i = 0; !only && i < def->ndisks; i++)
		g_ptr_array_add(locks->sources, virObjectRef(def->disks[i]->src));
	return locks;
}

static void release(struct disk_locks *locks, guint count)
{
	virErrorPtr saved;

	virErrorPreserveLast(&saved);
	while (count--) {
		virStorageSource *src = g_ptr_array_index(locks->sources, count);

		if (virDomainLockImageDetach(xylem->lock_manager, locks->owner, src) < 0)
			VIR_WARN("%s: the lock of %s cannot be released: %s", locks->owner->def->name,
			         NULLSTR(src->path), virGetLastErrorMessage());
	}
	virErrorRestore(&saved);
}

/* The lock manager knows no guest, and of a disk maybe a digest. The last error is given both. */
static void explain(const struct disk_locks *locks, const virStorageSource *src)
{
	g_autofree char *why = g_strdup(virGetLastErrorMessage());
	int code = virGetLastErrorCode();

	virReportError(code, "%s: its disk %s %s: %s", locks->owner->def->name, NULLSTR(src->path),
	               code == VIR_ERR_RESOURCE_BUSY ? "is in use by a guest, of this host or another one"
	                                             : "cannot be locked",
	               why);
}

int locks_take(struct disk_locks *locks)
{
	guint i;

	if (xylem->lock_refusal) {
		virReportError(VIR_ERR_CONFIG_UNSUPPORTED, "no guest is started and no disk is attached: %s",
		               xylem->lock_refusal);
		return -1;
	}
	for (i = 0; locks && i < locks->sources->len; i++) {
		virStorageSource *src = g_ptr_array_index(locks->sources, i);

		if (virDomainLockImageAttach(xylem->lock_manager, "xen:///system", locks->owner, src) < 0) {
			explain(locks, src);
			release(locks, i);
			return -1;
		}
	}
	return 0;
}

const char *locks_backends_dir = "/sys/devices", *locks_qemus_dir = "/run/xylem/screens";

bool locks_needed(int domid)
{
	g_autofree char *served = g_strdup_printf("vbd-%d-", domid);
	g_autoptr(GDir) dir = g_dir_open(locks_backends_dir, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir)) != NULL) {
		if (STRPREFIX(name, served))
			return true;
	}
	return false;
}

bool locks_image_served(const virDomainDef *def)
{
	char uuid[VIR_UUID_STRING_BUFLEN];
	g_autofree char *path = NULL;
	VIR_AUTOCLOSE fd = -1;
	size_t i;

	for (i = 0; i < def->ndisks && !conf_is_image(def->disks[i]); i++)
		;
	if (i == def->ndisks)
		return false;
	virUUIDFormat(def->uuid, uuid);
	path = g_strdup_printf("%s/%s/pid", locks_qemus_dir, uuid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* QEMU holds a lock as long as it lives. */
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

void locks_drop(struct disk_locks *locks)
{
	if (locks)
		release(locks, locks->sources->len);
}
