/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a libvirtd that died has left halfway: the start of a guest, the attach or the detach of a device.
 *
 * Before such a step takes anything from others, the definition as it is going to be (of a detach: as it was) is put into a
 * file beside the state file; it goes when the state file tells the outcome. A libvirtd that finds one asks xylemd what has come
 * of it, and makes the definition agree. A lock or a network's port that was taken for what does not exist is given back.
 *
 * A guest that is still being built, or that was restored and has not run, is destroyed: its client was told that the call has
 * failed, and its file is its state still.
 */
#include "xylem.h"

#include <unistd.h>

#include "conf.h"
#include "virfile.h"
#include "virmacaddr.h"

VIR_LOG_INIT("xylem.halfway");

#define SUFFIX ".halfway"

static char *mark_file(const char *name)
{
	return g_strdup_printf("%s/%s" SUFFIX, xylem->state_dir, name);
}

void halfway_begin(const virDomainDef *def)
{
	g_auto(virBuffer) buf = VIR_BUFFER_INITIALIZER;
	unsigned int flags = VIR_DOMAIN_DEF_FORMAT_SECURE | VIR_DOMAIN_DEF_FORMAT_STATUS |
	                     VIR_DOMAIN_DEF_FORMAT_ACTUAL_NET;
	g_autofree char *file = mark_file(def->name);
	g_autofree char *xml = NULL;

	if (virDomainDefFormatInternal((virDomainDef *)def, xylem->xmlopt, &buf, flags) == 0)
		xml = virBufferContentAndReset(&buf);
	if (xml && virFileRewriteStr(file, 0600, xml) == 0)
		return;
	VIR_WARN("%s cannot be written: should libvirtd end now, locks may stay: %s", file,
	         virGetLastErrorMessage());
	virResetLastError();
}

void halfway_begin_device(virDomainObj *vm, virDomainDeviceDef *dev)
{
	/* As it is when the device is in it; nobody sees it meanwhile. */
	if (dev->type == VIR_DOMAIN_DEVICE_DISK)
		virDomainDiskInsert(vm->def, dev->data.disk);
	else
		virDomainNetInsert(vm->def, dev->data.net);
	halfway_begin(vm->def);
	if (dev->type == VIR_DOMAIN_DEVICE_DISK)
		ignore_value(virDomainDiskRemove(
		        vm->def, virDomainDiskIndexByName(vm->def, dev->data.disk->dst, false)));
	else
		ignore_value(virDomainNetRemove(vm->def, vm->def->nnets - 1));
}

void halfway_end(const virDomainDef *def)
{
	g_autofree char *file = mark_file(def->name);

	if (unlink(file) < 0 && errno != ENOENT)
		VIR_WARN("%s cannot be removed: %s", file, g_strerror(errno));
}

static virDomainDef *read_mark(const char *file)
{
	g_autofree char *xml = NULL;

	if (virFileReadAllQuiet(file, 16 << 20, &xml) < 0)
		return NULL;
	return virDomainDefParseString(xml, xylem->xmlopt, NULL,
	                               VIR_DOMAIN_DEF_PARSE_STATUS | VIR_DOMAIN_DEF_PARSE_ACTUAL_NET |
	                                       VIR_DOMAIN_DEF_PARSE_SKIP_VALIDATE |
	                                       VIR_DOMAIN_DEF_PARSE_ALLOW_POST_PARSE_FAIL);
}

/* ---- what was taken is given back ---- */

struct search {
	const unsigned char *uuid;
	const char *path;
	bool found;
};

static int uses_path(virDomainObj *vm, void *opaque)
{
	struct search *search = opaque;
	size_t i;

	virObjectLock(vm);
	for (i = 0;
	     vm->def->id > 0 && memcmp(vm->def->uuid, search->uuid, VIR_UUID_BUFLEN) && i < vm->def->ndisks;
	     i++)
		search->found = search->found || STREQ_NULLABLE(vm->def->disks[i]->src->path, search->path);
	virObjectUnlock(vm);
	return 0;
}

/* It need not have been locked: the lock manager knows guests of this host by the host alone, and another one may have it. */
static void drop_lock(const virDomainDef *def, virDomainDiskDef *disk)
{
	struct search search = { def->uuid, disk->src->path, false };
	g_autoptr(disk_locks_t) locks = NULL;

	virDomainObjListForEach(xylem->domains, false, uses_path, &search);
	if (search.found)
		return;
	locks = locks_new(def, disk->src);
	locks_drop(locks);
}

static void drop_net(virDomainDef *def, virDomainNetDef *net)
{
	net_unplug(def, net);
	process_release_net(def, net);
}

static bool has_disk(const virDomainDef *def, const char *dst)
{
	return def && virDomainDiskByTarget((virDomainDef *)def, dst);
}

static virDomainNetDef *find_net(const virDomainDef *def, const virMacAddr *mac)
{
	size_t i;

	for (i = 0; def && i < def->nnets; i++) {
		if (virMacAddrCmp(&def->nets[i]->mac, mac) == 0)
			return def->nets[i];
	}
	return NULL;
}

/* Of a mark, all that is not in have (or NULL) either. No object is locked. */
static void drop_all(virDomainDef *mark, const virDomainDef *have)
{
	size_t i;

	for (i = 0; i < mark->ndisks; i++) {
		if (!has_disk(have, mark->disks[i]->dst))
			drop_lock(mark, mark->disks[i]);
	}
	for (i = 0; i < mark->nnets; i++) {
		if (!find_net(have, &mark->nets[i]->mac))
			drop_net(mark, mark->nets[i]);
	}
}

/* ---- a device that has come or gone ---- */

/* Whether the guest has the device with this value of the key. */
static bool guest_has(GVariant *devices, const char *key, const char *value)
{
	gsize i;

	for (i = 0; devices && i < g_variant_n_children(devices); i++) {
		g_autoptr(GVariant) device = g_variant_get_child_value(devices, i);
		const char *is = "";

		if (g_variant_lookup(device, key, "&s", &is) && g_ascii_strcasecmp(is, value) == 0)
			return true;
	}
	return false;
}

static void agree_on_disks(virDomainObj *vm, virDomainDef *mark, GVariant *devices)
{
	struct domain_private *priv = vm->privateData;
	size_t i;

	for (i = vm->def->ndisks; i-- > 0;) {
		g_autoptr(virDomainDiskDef) gone = NULL;

		if (guest_has(devices, "vdev", vm->def->disks[i]->dst))
			continue;
		gone = virDomainDiskRemove(vm->def, i);
		VIR_WARN("%s: its disk %s was detached when libvirtd ended", vm->def->name, gone->dst);
		virObjectUnlock(vm);
		drop_lock(vm->def, gone);
		virObjectLock(vm);
	}
	for (i = mark->ndisks; i-- > 0;) {
		const char *dst = mark->disks[i]->dst;

		if (has_disk(vm->def, dst))
			continue;
		if (guest_has(devices, "vdev", dst)) {
			VIR_WARN("%s: its disk %s was attached when libvirtd ended", vm->def->name, dst);
			virDomainDiskInsert(vm->def, virDomainDiskRemove(mark, i));
			priv->locked = priv->locked || xylem->lock_manager;
		} else {
			virObjectUnlock(vm);
			drop_lock(mark, mark->disks[i]);
			virObjectLock(vm);
		}
	}
}

static void agree_on_nets(virDomainObj *vm, virDomainDef *mark, GVariant *devices)
{
	char mac[VIR_MAC_STRING_BUFLEN];
	size_t i;

	for (i = vm->def->nnets; i-- > 0;) {
		virDomainNetDef *gone;

		if (guest_has(devices, "mac", virMacAddrFormat(&vm->def->nets[i]->mac, mac)))
			continue;
		VIR_WARN("%s: its interface %s was detached when libvirtd ended", vm->def->name, mac);
		gone = virDomainNetRemove(vm->def, i);
		drop_net(vm->def, gone);
		virDomainNetDefFree(gone);
	}
	for (i = mark->nnets; i-- > 0;) {
		if (find_net(vm->def, &mark->nets[i]->mac))
			continue;
		if (guest_has(devices, "mac", virMacAddrFormat(&mark->nets[i]->mac, mac))) {
			VIR_WARN("%s: its interface %s was attached when libvirtd ended", vm->def->name, mac);
			virDomainNetInsert(vm->def, virDomainNetRemove(mark, i));
		} else {
			drop_net(mark, mark->nets[i]);
		}
	}
	process_name_interfaces(vm->def, devices);
}

/* What xylemd still does for the libvirtd that died comes before its answer. The caller has the job. */
static bool agree(virDomainObj *vm, virDomainDef *mark)
{
	struct domain_private *priv = vm->privateData;
	g_autoptr(GVariant) domain = NULL;
	g_autoptr(GVariant) devices = NULL;
	char handle[VIR_UUID_STRING_BUFLEN];

	domain_handle(vm, handle);
	if (process_put_definition(vm) < 0)
		return false;
	virObjectUnlock(vm);
	domain = monitor_get(xylem->monitor, handle, NULL);
	virObjectLock(vm);
	if (domain)
		devices = g_variant_lookup_value(domain, "devices", G_VARIANT_TYPE("aa{sv}"));
	if (!devices || vm->def->id < 0)
		return false;
	agree_on_disks(vm, mark, devices);
	agree_on_nets(vm, mark, devices);
	devices_name(vm->def);
	priv->held = true;
	domain_save_status(vm);
	process_keep_definition(vm);
	net_plug_later(vm);
	return true;
}

int halfway_settle(virDomainObj *vm)
{
	g_autofree char *file = mark_file(vm->def->name);
	g_autoptr(virDomainDef) mark = NULL;

	if (!virFileExists(file))
		return 0;
	mark = read_mark(file);
	if (mark && !agree(vm, mark)) {
		virReportError(
		        VIR_ERR_OPERATION_FAILED,
		        "%s was given a device, or lost one, when libvirtd ended, and xylemd does not tell what came of it",
		        vm->def->name);
		return -1;
	}
	halfway_end(vm->def);
	return 0;
}

/* Its guest runs. Locked, no job; events_work_fn. */
static void recover_device(virDomainObj *vm, unsigned long life)
{
	const struct domain_private *priv = vm->privateData;

	if (virDomainObjBeginJob(vm, VIR_JOB_MODIFY) < 0)
		return;
	if (vm->def->id > 0 && priv->life == life && halfway_settle(vm) < 0)
		VIR_WARN("%s", virGetLastErrorMessage());
	virResetLastError();
	domain_end_job(vm);
}

/* ---- at the start of libvirtd ---- */

/* Whether it has not run yet, and nobody waits for it any more. */
static bool is_unfinished(const virDomainDef *mark, GVariant *domain)
{
	g_autofree char *save = g_strdup_printf("%s/%s.save", xylem->save_dir, mark->name);
	const char *state = "";

	g_variant_lookup(domain, "state", "&s", &state);
	return STREQ(state, "building") || (STREQ(state, "paused") && domain_look_for_save(save));
}

/* What a mark tells of a guest that is not active by any state file: a start. Whether it is dealt with. */
static bool recover_start(virDomainDef *mark)
{
	g_autoptr(GVariant) domain = NULL;
	char handle[VIR_UUID_STRING_BUFLEN];
	bool known = false;

	virUUIDFormat(mark->uuid, handle);
	domain = monitor_get(xylem->monitor, handle, &known);
	if (!domain && !known)
		return false;
	/* One that runs is taken over, with what is locked for it. */
	if (domain && !is_unfinished(mark, domain))
		return true;
	VIR_WARN("%s was being started when libvirtd ended: what there is of it goes", mark->name);
	if (domain && monitor_destroy(xylem->monitor, handle) < 0)
		return false;
	drop_all(mark, NULL);
	return true;
}

static void recover_mark(const char *file)
{
	g_autoptr(virDomainDef) mark = read_mark(file);
	virDomainObj *vm = mark ? virDomainObjListFindByUUID(xylem->domains, mark->uuid) : NULL;
	bool active = vm && vm->def->id > 0;

	if (active)
		events_later(vm, recover_device);
	virDomainObjEndAPI(&vm);
	if (!mark)
		VIR_WARN("%s is of no use, and removed", file);
	if ((!mark || (!active && recover_start(mark))) && unlink(file) < 0)
		VIR_WARN("%s cannot be removed: %s", file, g_strerror(errno));
	virResetLastError();
}

void halfway_recover(void)
{
	g_autoptr(DIR) dir = NULL;
	struct dirent *entry;

	if (virDirOpenQuiet(&dir, xylem->state_dir) < 0)
		return;
	while (virDirRead(dir, &entry, xylem->state_dir) > 0) {
		g_autofree char *file = g_build_filename(xylem->state_dir, entry->d_name, NULL);

		if (g_str_has_suffix(entry->d_name, SUFFIX))
			recover_mark(file);
	}
}

bool halfway_recover_start(virDomainObj *vm)
{
	g_autofree char *file = mark_file(vm->def->name);
	g_autoptr(virDomainDef) mark = NULL;
	bool good;

	if (!virFileExists(file))
		return true;
	mark = read_mark(file);
	virObjectUnlock(vm);
	good = !mark || recover_start(mark);
	virObjectLock(vm);
	if (good)
		halfway_end(vm->def);
	return good;
}
