/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a libvirtd that died has left halfway, or what xylemd has not answered: the start of a guest, the attach or the detach of a
 * device.
 *
 * Before such a step takes anything from others, the definition as it is going to be (of a detach: as it was) is put into a
 * file beside the state file; it goes when the state file tells the outcome. A libvirtd that finds one asks xylemd what has come
 * of it, and makes the definition agree; so does one whose call to xylemd has failed without an answer (MONITOR_LOST), until it
 * has that. A lock or a network's port that was taken for what does not exist is given back then, and not before.
 *
 * A guest that is still being built, or that was restored and has not run, is destroyed: its client was told that the call has
 * failed, and its file is its state still.
 */
#include "halfway.h"
#include "devices.h"
#include "domain.h"
#include "events.h"
#include "locks.h"
#include "monitor.h"
#include "net.h"
#include "process.h"
#include "xylem.h"

#include <unistd.h>

#include "compat.h"
#include "devclass.h"
#include "domain_event.h"
#include "virdomainjob.h"
#include "virdomainobjlist.h"
#include "virerror.h"
#include "virfile.h"
#include "virlog.h"
#include "virmacaddr.h"
#include "viruuid.h"

VIR_LOG_INIT("xylem.halfway");

#define SUFFIX ".halfway"

/* Held while it is found out what came of a start, so that what is given back is not given back twice. No object is locked by
 * whoever takes it. */
static GMutex settling;

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
	const struct device_class *class = device_class_of(dev);
	int index = class->insert(vm->def, dev);

	/* As it is when the device is in it; nobody sees it meanwhile. */
	halfway_begin(vm->def);
	class->remove(vm->def, index, dev);
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
		VIR_WARN("%s: its disk %s was detached, which xylemd had not confirmed", vm->def->name,
		         gone->dst);
		if (gone->info.alias)
			domain_event(virDomainEventDeviceRemovedNewFromObj(vm, gone->info.alias));
		virObjectUnlock(vm);
		drop_lock(vm->def, gone);
		virObjectLock(vm);
	}
	for (i = mark->ndisks; i-- > 0;) {
		const char *dst = mark->disks[i]->dst;

		if (has_disk(vm->def, dst))
			continue;
		if (guest_has(devices, "vdev", dst)) {
			VIR_WARN("%s: its disk %s was attached, which xylemd had not confirmed",
			         vm->def->name, dst);
			if (mark->disks[i]->info.alias)
				domain_event(
				        virDomainEventDeviceAddedNewFromObj(vm, mark->disks[i]->info.alias));
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
		VIR_WARN("%s: its interface %s was detached, which xylemd had not confirmed", vm->def->name,
		         mac);
		gone = virDomainNetRemove(vm->def, i);
		if (gone->info.alias)
			domain_event(virDomainEventDeviceRemovedNewFromObj(vm, gone->info.alias));
		drop_net(vm->def, gone);
		virDomainNetDefFree(gone);
	}
	for (i = mark->nnets; i-- > 0;) {
		if (find_net(vm->def, &mark->nets[i]->mac))
			continue;
		if (guest_has(devices, "mac", virMacAddrFormat(&mark->nets[i]->mac, mac))) {
			VIR_WARN("%s: its interface %s was attached, which xylemd had not confirmed",
			         vm->def->name, mac);
			if (mark->nets[i]->info.alias)
				domain_event(
				        virDomainEventDeviceAddedNewFromObj(vm, mark->nets[i]->info.alias));
			virDomainNetInsert(vm->def, virDomainNetRemove(mark, i));
		} else {
			drop_net(mark, mark->nets[i]);
		}
	}
	process_name_interfaces(vm->def, devices);
}

/* What xylemd still does for whoever began it comes before its answer. The caller has the job. */
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
		        "%s was to be given a device, or to lose one, and xylemd does not tell what came of it",
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

/* What a guest that ends had, or may have had, besides what its definition tells. */
virDomainDef *halfway_rest(const virDomainDef *have)
{
	g_autofree char *file = mark_file(have->name);
	virDomainDef *mark = virFileExists(file) ? read_mark(file) : NULL;
	size_t i;

	for (i = mark ? mark->ndisks : 0; i-- > 0;) {
		if (has_disk(have, mark->disks[i]->dst))
			virDomainDiskDefFree(virDomainDiskRemove(mark, i));
	}
	for (i = mark ? mark->nnets : 0; i-- > 0;) {
		if (find_net(have, &mark->nets[i]->mac))
			virDomainNetDefFree(virDomainNetRemove(mark, i));
	}
	return mark;
}

void halfway_drop_rest(virDomainObj *vm, virDomainDef *rest)
{
	if (!rest)
		return;
	virObjectUnlock(vm);
	drop_all(rest, NULL);
	virObjectLock(vm);
	halfway_end(rest);
}

/* ---- a start ---- */

/* Whether it has not run yet, and nobody waits for it any more. */
static bool is_unfinished(const virDomainDef *mark, GVariant *domain)
{
	g_autofree char *save = g_strdup_printf("%s/%s.save", xylem->save_dir, mark->name);
	g_autoptr(GVariant) config = g_variant_lookup_value(domain, "config", G_VARIANT_TYPE_VARDICT);
	const char *state = "", *opaque = "";
	bool incoming;

	g_variant_lookup(domain, "state", "&s", &state);
	incoming = config && g_variant_lookup(config, "opaque", "&s", &opaque) &&
	           STRPREFIX(opaque, PROCESS_INCOMING_MARK);
	return STREQ(state, "building") ||
	       (STREQ(state, "paused") && (incoming || domain_look_for_save(save)));
}

enum outcome { NOT_TOLD, GONE, RUNS };

/* What a mark tells of a guest that is not active: a start. The caller has the lock. */
static enum outcome recover_start(virDomainDef *mark)
{
	g_autoptr(GVariant) domain = NULL;
	char handle[VIR_UUID_STRING_BUFLEN];
	bool known = false;

	virUUIDFormat(mark->uuid, handle);
	domain = monitor_get(xylem->monitor, handle, &known);
	if (!domain && !known)
		return NOT_TOLD;
	/* One that runs is taken over, with what is locked for it. */
	if (domain && !is_unfinished(mark, domain))
		return RUNS;
	VIR_WARN("%s was being started, and nobody waits for it any more: what there is of it goes",
	         mark->name);
	if (domain && monitor_destroy(xylem->monitor, handle) < 0)
		return NOT_TOLD;
	drop_all(mark, NULL);
	process_release_script(mark);
	return GONE;
}

int halfway_recover_start(virDomainObj *vm)
{
	g_autofree char *file = mark_file(vm->def->name);
	g_autoptr(virDomainDef) mark = NULL;
	enum outcome outcome = GONE;

	if (!virFileExists(file))
		return 0;
	virObjectUnlock(vm);
	g_mutex_lock(&settling);
	mark = read_mark(file);
	if (mark)
		outcome = recover_start(mark);
	if (outcome != NOT_TOLD && unlink(file) < 0 && errno != ENOENT)
		VIR_WARN("%s cannot be removed: %s", file, g_strerror(errno));
	g_mutex_unlock(&settling);
	virObjectLock(vm);
	if (outcome == GONE)
		return 0;
	virReportError(VIR_ERR_OPERATION_FAILED,
	               outcome == RUNS ? "%s runs already: an earlier start has succeeded"
	                               : "%s was being started, and xylemd does not tell what came of it",
	               vm->def->name);
	events_settle_later();
	return -1;
}

/* ---- all of them ---- */

/* Whether it is dealt with. The caller has the lock. */
static bool recover_mark(const char *file, bool at_start)
{
	g_autoptr(virDomainDef) mark = read_mark(file);
	virDomainObj *vm = mark ? virDomainObjListFindByUUID(xylem->domains, mark->uuid) : NULL;
	const struct domain_private *priv = vm ? vm->privateData : NULL;
	bool active = vm && vm->def->id > 0;
	/* Whoever has begun it, or is about to ask himself. */
	bool busy = vm && !at_start && (priv->starting || vm->job->active != VIR_JOB_NONE);

	if (active && !busy)
		events_later(vm, recover_device);
	virDomainObjEndAPI(&vm);
	if (!mark && !virFileExists(file))
		return true;
	if (!mark)
		VIR_WARN("%s is of no use, and removed", file);
	if (mark && (active || busy || recover_start(mark) == NOT_TOLD))
		return false;
	if (unlink(file) < 0)
		VIR_WARN("%s cannot be removed: %s", file, g_strerror(errno));
	return true;
}

typedef bool mark_fn(const char *file, void *data);

/* Of each mark, until one says so: whether one did. */
static bool any_mark(mark_fn *fn, void *data)
{
	g_autoptr(DIR) dir = NULL;
	struct dirent *entry;
	bool found = false;

	if (virDirOpenQuiet(&dir, xylem->state_dir) < 0)
		return false;
	while (!found && virDirRead(dir, &entry, xylem->state_dir) > 0) {
		g_autofree char *file = g_build_filename(xylem->state_dir, entry->d_name, NULL);

		found = g_str_has_suffix(entry->d_name, SUFFIX) && fn(file, data);
	}
	return found;
}

struct recovery {
	bool at_start, left;
};

static bool recover_one(const char *file, void *data)
{
	struct recovery *r = data;

	g_mutex_lock(&settling);
	if (!recover_mark(file, r->at_start))
		r->left = true;
	g_mutex_unlock(&settling);
	virResetLastError();
	return false;
}

bool halfway_recover(bool at_start)
{
	struct recovery r = { .at_start = at_start };

	any_mark(recover_one, &r);
	return !r.left;
}

static bool is_of(const char *file, void *data)
{
	g_autoptr(virDomainDef) mark = read_mark(file);

	return mark && memcmp(mark->uuid, data, VIR_UUID_BUFLEN) == 0;
}

bool halfway_claims(const unsigned char *uuid)
{
	return any_mark(is_of, (void *)uuid);
}
