/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is said about guests and asked of the driver itself: title, description and metadata, another name, who is
 * at work on a guest.
 */
#include "meta.h"
#include "check.h"
#include "compat.h"
#include "define.h"
#include "domain.h"
#include "xylem.h"

#include "datatypes.h"
#include "domain_event.h"
#include "viraccessapicheck.h"
#include "virdomainjob.h"
#include "virdomainobjlist.h"
#include "virerror.h"
#include "virfile.h"
#include "virlog.h"
#include "virtime.h"

VIR_LOG_INIT("xylem.meta");

struct metadata {
	int type;
	const char *text, *key, *uri;
};

/* libvirt gives metadata to objects only: here to one that nobody else knows and that is saved nowhere. */
static int edit_metadata(virDomainDef *def, void *data)
{
	virDomainObj *object = virDomainObjNew(xylem->xmlopt);
	const struct metadata *m = data;
	unsigned int order, delay_s;
	int ret;

	if (!object)
		return -1;
	object->def = def;
	object->persistent = 1;
	ret = virDomainObjSetMetadata(object, m->type, m->text, m->key, m->uri, xylem->xmlopt, NULL, NULL,
	                              VIR_DOMAIN_AFFECT_CONFIG);
	object->def = NULL;
	virDomainObjEndAPI(&object);
	return ret < 0 ? -1 : conf_start_order(def, &order, &delay_s);
}

static int set_metadata_live(virDomainObj *vm, void *data)
{
	const struct metadata *m = data;

	if (virDomainObjSetMetadata(vm, m->type, m->text, m->key, m->uri, xylem->xmlopt, NULL, NULL,
	                            VIR_DOMAIN_AFFECT_LIVE) < 0)
		return -1;
	domain_save_status(vm);
	return 0;
}

static int set_metadata(virDomainObj *vm, struct metadata *m, unsigned int flags)
{
	static const struct domain_change change = { edit_metadata, set_metadata_live };

	if (virDomainObjUpdateModificationImpact(vm, &flags) < 0)
		return -1;
	/* No guest is asked: what can fail is the definition's file alone, and comes first. */
	if ((flags & VIR_DOMAIN_AFFECT_CONFIG) && domain_change(vm, VIR_DOMAIN_AFFECT_CONFIG, &change, m) < 0)
		return -1;
	return flags & VIR_DOMAIN_AFFECT_LIVE ? domain_change(vm, VIR_DOMAIN_AFFECT_LIVE, &change, m) : 0;
}

int meta_set(virDomainPtr dom, int type, const char *metadata, const char *key, const char *uri,
             unsigned int flags)
{
	struct metadata m = { type, metadata, key, uri };
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainSetMetadataEnsureACL(dom->conn, vm->def, flags) < 0 ||
	    domain_refuse_dom0(vm, "described") < 0 || domain_begin_job(vm, VIR_JOB_MODIFY) < 0)
		goto cleanup;
	ret = set_metadata(vm, &m, flags);
	if (ret == 0)
		domain_event(virDomainEventMetadataChangeNewFromObj(vm, type, uri));
	domain_end_job(vm);
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

char *meta_get(virDomainPtr dom, int type, const char *uri, unsigned int flags)
{
	virDomainObj *vm = domain_get(dom);
	char *text = NULL;

	if (!vm)
		return NULL;
	if (virDomainGetMetadataEnsureACL(dom->conn, vm->def) == 0)
		text = virDomainObjGetMetadata(vm, type, uri, flags);
	virDomainObjEndAPI(&vm);
	return text;
}

/* The file under the new name comes first: whatever happens between, the domain is there after a restart. */
static int rename_files(virDomainDef *def, const char *old_name, bool autostart)
{
	g_autofree char *old_file = virDomainConfigFile(xylem->config_dir, old_name);
	virErrorPtr saved;

	if (domain_save_config(def) < 0)
		return -1;
	if (autostart && define_autostart_link(def->name, true) < 0) {
		g_autofree char *new_file = virDomainConfigFile(xylem->config_dir, def->name);

		virErrorPreserveLast(&saved);
		unlink(new_file);
		virErrorRestore(&saved);
		return -1;
	}
	if (autostart && define_autostart_link(old_name, false) < 0)
		VIR_WARN("%s: %s", old_name, virGetLastErrorMessage());
	if (unlink(old_file) < 0 && errno != ENOENT)
		VIR_WARN("%s cannot be removed: %s", old_file, g_strerror(errno));
	virResetLastError();
	return 0;
}

/* In a copy, as all that is changed of a definition; domain_change() knows of one file only. */
static int rename_one(virDomainObj *vm, const char *new_name, unsigned int flags G_GNUC_UNUSED,
                      void *opaque G_GNUC_UNUSED)
{
	g_autoptr(virDomainDef) def = virDomainObjCopyPersistentDef(vm, xylem->xmlopt, NULL);
	virObjectEvent *gone;

	if (!def)
		return -1;
	g_free(def->name);
	def->name = g_strdup(new_name);
	if (rename_files(def, vm->def->name, vm->autostart) < 0)
		return -1;
	gone = virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_UNDEFINED,
	                                         VIR_DOMAIN_EVENT_UNDEFINED_RENAMED);
	virDomainObjAssignDef(vm, &def, false, NULL);
	domain_event(gone);
	domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_DEFINED,
	                                               VIR_DOMAIN_EVENT_DEFINED_RENAMED));
	return 0;
}

static int rename_check(virDomainObj *vm, const char *new_name)
{
	if (virDomainObjIsActive(vm)) {
		virReportError(VIR_ERR_OPERATION_INVALID,
		               "%s is running; only a guest that is off can be renamed", vm->def->name);
		return -1;
	}
	if (!vm->persistent || vm->hasManagedSave) {
		virReportError(VIR_ERR_OPERATION_INVALID, "%s %s and cannot be renamed", vm->def->name,
		               vm->persistent ? "has a managed save under its name" : "is transient");
		return -1;
	}
	if (strchr(new_name, '/') || STREQ(new_name, "Domain-0") || !*new_name) {
		virReportError(VIR_ERR_INVALID_ARG, "a guest cannot be called '%.250s'", new_name);
		return -1;
	}
	return check_name(new_name);
}

int meta_rename(virDomainPtr dom, const char *new_name, unsigned int flags)
{
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(0, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainRenameEnsureACL(dom->conn, vm->def) < 0 || domain_refuse_dom0(vm, "renamed") < 0 ||
	    domain_begin_job(vm, VIR_JOB_MODIFY) < 0)
		goto cleanup;
	if (rename_check(vm, new_name) == 0)
		ret = virDomainObjListRename(xylem->domains, vm, new_name, flags, rename_one, NULL);
	domain_end_job(vm);
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

/* How long the present job has lasted; 0 without one. */
static unsigned long long job_ms(virDomainObj *vm)
{
	unsigned long long now;

	if (vm->job->active == VIR_JOB_NONE || virTimeMillisNow(&now) < 0 || now < vm->job->started)
		return 0;
	return now - vm->job->started;
}

int meta_control_info(virDomainPtr dom, virDomainControlInfoPtr info, unsigned int flags)
{
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(0, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainGetControlInfoEnsureACL(dom->conn, vm->def) < 0 || virDomainObjCheckActive(vm) < 0)
		goto cleanup;
	memset(info, 0, sizeof(*info));
	info->state = vm->job->active == VIR_JOB_NONE ? VIR_DOMAIN_CONTROL_OK : VIR_DOMAIN_CONTROL_OCCUPIED;
	info->stateTime = (unsigned int)job_ms(vm);
	ret = 0;
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

/* What libvirt itself has noted of the guest. */
int meta_messages(virDomainPtr dom, char ***messages, unsigned int flags)
{
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_MESSAGE_DEPRECATION | VIR_DOMAIN_MESSAGE_TAINTING, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainGetMessagesEnsureACL(dom->conn, vm->def) == 0)
		ret = compat_messages(vm, messages, flags);
	virDomainObjEndAPI(&vm);
	return ret;
}
