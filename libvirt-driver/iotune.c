/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits of a disk's requests, as libvirt's QEMU driver has them. Only images have some: of the running guest xylemd has QEMU keep
 * them, and keeps them itself for the guest's next domain.
 */
#include "iotune.h"
#include "xylem.h"

#include <stdlib.h>

#include "datatypes.h"
#include "conf.h"
#include "domain.h"
#include "domain_event.h"
#include "iotunecheck.h"
#include "monitor.h"
#include "process.h"
#include "viraccessapicheck.h"
#include "virdomainjob.h"
#include "virerror.h"
#include "virtypedparam.h"
#include "viruuid.h"

#define VIR_FROM_THIS VIR_FROM_XEN

/* What a client names of a disk; the rest stays as each has it, the running guest and its definition. */
struct wanted {
	const char *path;
	struct io_limits limits;
	bool named[IO_LIMITS];
	virTypedParameterPtr params;
	int count;
};

static int want(struct wanted *wanted)
{
	int i;

	for (i = 0; i < wanted->count; i++) {
		const virTypedParameter *param = &wanted->params[i];
		unsigned int which = io_limit_named(param->field);

		if (STREQ(param->field, VIR_DOMAIN_BLOCK_IOTUNE_GROUP_NAME)) {
			virReportError(VIR_ERR_CONFIG_UNSUPPORTED, "%s: " IOTUNE_GROUP, param->field);
			return -1;
		}
		if (which == IO_LIMITS || param->type != VIR_TYPED_PARAM_ULLONG) {
			virReportError(VIR_ERR_INVALID_ARG,
			               "parameter '%s' is no limit of a disk, or of another type",
			               param->field);
			return -1;
		}
		if (wanted->named[which]) {
			virReportError(VIR_ERR_INVALID_ARG, "parameter '%s' is given twice", param->field);
			return -1;
		}
		wanted->named[which] = true;
		wanted->limits.value[which] = param->value.ul;
	}
	return 0;
}

/* Total, read and written of one kind belong together: what is named of them is all that there is then. */
static void merge(struct io_limits *limits, const struct wanted *wanted)
{
	unsigned int first, members, i;

	for (first = 0; first < IO_LIMITS; first += members) {
		bool named = false;

		members = first == IO_SIZE ? 1 : 3;
		for (i = first; i < first + members; i++)
			named = named || wanted->named[i];
		for (i = first; named && i < first + members; i++)
			limits->value[i] = wanted->limits.value[i];
	}
}

static virDomainDiskDef *find(virDomainDef *def, const char *path)
{
	virDomainDiskDef *disk = virDomainDiskByName(def, path, def->id < 0);

	if (!disk)
		virReportError(VIR_ERR_INVALID_ARG, "%s has no disk '%.200s'", def->name, path);
	return disk;
}

/* What the disk is to have; NULL and an error where it cannot. */
static virDomainDiskDef *prepare(virDomainDef *def, const struct wanted *wanted, struct io_limits *limits)
{
	virDomainDiskDef *disk = find(def, wanted->path);
	char *why;

	if (!disk)
		return NULL;
	if (!conf_is_image(disk)) {
		virReportError(VIR_ERR_OPERATION_UNSUPPORTED, "disk %s of %s: " IOTUNE_RAW, disk->dst,
		               def->name);
		return NULL;
	}
	iotune_take(limits, &disk->blkdeviotune);
	merge(limits, wanted);
	why = io_limits_refusal(limits);
	if (!why)
		return disk;
	virReportError(VIR_ERR_INVALID_ARG, "disk %s of %s: %s", disk->dst, def->name, why);
	free(why);
	return NULL;
}

static int edit(virDomainDef *def, void *data)
{
	struct io_limits limits;
	virDomainDiskDef *disk = prepare(def, data, &limits);

	if (!disk)
		return -1;
	iotune_store(&disk->blkdeviotune, &limits);
	return 0;
}

/* Clients hear of what was named, and of which disk, in the caller's words. */
static void tell(virDomainObj *vm, const struct wanted *wanted)
{
	virTypedParameterPtr params = NULL;
	int count = 0, max = 0, i;
	bool ok = virTypedParamsAddString(&params, &count, &max, VIR_DOMAIN_TUNABLE_BLKDEV_DISK,
	                                  wanted->path) == 0;

	for (i = 0; ok && i < wanted->count; i++) {
		char name[VIR_TYPED_PARAM_FIELD_LENGTH];

		g_snprintf(name, sizeof(name), "blkdeviotune.%s", wanted->params[i].field);
		ok = virTypedParamsAddULLong(&params, &count, &max, name, wanted->params[i].value.ul) == 0;
	}
	if (ok)
		domain_event(virDomainEventTunableNewFromObj(vm, &params, count));
	virTypedParamsFree(params, count);
}

/* The object is unlocked meanwhile. */
static int ask(virDomainObj *vm, const char *target, const struct io_limits *limits)
{
	char handle[VIR_UUID_STRING_BUFLEN];
	int ret;

	domain_handle(vm, handle);
	if (slot_take(SLOT_GUEST, vm) < 0)
		return -1;
	virObjectUnlock(vm);
	ret = monitor_set_disk_limits(xylem->monitor, handle, target, conf_limits(limits));
	virObjectLock(vm);
	slot_give(SLOT_GUEST);
	return ret < 0 ? -1 : virDomainObjCheckActive(vm);
}

static int limit_live(virDomainObj *vm, void *data)
{
	const struct wanted *wanted = data;
	struct io_limits limits;
	virDomainDiskDef *disk = prepare(vm->def, wanted, &limits);
	g_autofree char *target = disk ? g_strdup(disk->dst) : NULL;

	if (!disk || ask(vm, target, &limits) < 0)
		return -1;
	disk = find(vm->def, target);
	if (!disk)
		return -1;
	iotune_store(&disk->blkdeviotune, &limits);
	tell(vm, wanted);
	domain_save_status(vm);
	process_keep_definition(vm);
	return 0;
}

int iotune_set(virDomainPtr dom, const char *path, virTypedParameterPtr params, int count, unsigned int flags)
{
	static const struct domain_change change = { edit, limit_live };
	struct wanted wanted = { .path = path, .params = params, .count = count };
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainSetBlockIoTuneEnsureACL(dom->conn, vm->def, flags) == 0 &&
	    domain_refuse_dom0(vm, "given limits of disks") == 0 && want(&wanted) == 0 &&
	    domain_begin_job(vm, VIR_JOB_MODIFY) == 0) {
		ret = domain_change(vm, flags, &change, &wanted);
		domain_end_job(vm);
	}
	virDomainObjEndAPI(&vm);
	return ret;
}

int iotune_get(virDomainPtr dom, const char *path, virTypedParameterPtr params, int *count,
               unsigned int flags)
{
	struct io_limits limits;
	virDomainDiskDef *disk;
	virDomainDef *def;
	virDomainObj *vm;
	int ret = -1, i;

	virCheckFlags(VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG | VIR_TYPED_PARAM_STRING_OKAY, -1);

	flags &= ~(unsigned int)VIR_TYPED_PARAM_STRING_OKAY;
	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainGetBlockIoTuneEnsureACL(dom->conn, vm->def) < 0)
		goto cleanup;
	def = virDomainObjGetOneDef(vm, flags);
	disk = def && *count ? find(def, path) : NULL;
	if (!def || (*count && !disk))
		goto cleanup;
	if (disk) {
		iotune_take(&limits, &disk->blkdeviotune);
		for (i = 0; i < MIN(*count, IO_LIMITS); i++)
			if (virTypedParameterAssign(&params[i], io_limit_name((unsigned int)i),
			                            VIR_TYPED_PARAM_ULLONG, limits.value[i]) < 0)
				goto cleanup;
	}
	*count = disk ? MIN(*count, IO_LIMITS) : IO_LIMITS;
	ret = 0;
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}
