/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Definitions: define, undefine, autostart, XML, lookup and lists. No guest is touched here.
 */
#include "define.h"

#include <xenctrl.h>

#include "console.h"
#include "domain.h"
#include "parse.h"
#include "xylem.h"

#include "datatypes.h"
#include "domain_event.h"
#include "viraccessapicheck.h"
#include "virdomainjob.h"
#include "virdomainobjlist.h"
#include "virerror.h"
#include "virfile.h"
#include "virlog.h"
#include "viruuid.h"
#include "virxml.h"

VIR_LOG_INIT("xylem.define");

/* Undoes virDomainObjListAdd(): what was defined is so again; old: what it gave, NULL for none. */
static void take_back(virDomainObj *vm, virDomainDef **old)
{
	virDomainDef **at = virDomainObjIsActive(vm) ? &vm->newDef : &vm->def;

	if (!*old && !virDomainObjIsActive(vm)) {
		virDomainObjListRemove(xylem->domains, vm);
		return;
	}
	virDomainDefFree(*at);
	*at = g_steal_pointer(old);
}

/* What is defined then comes with the guest, or it would be restored with what is not its own. */
static int refuse_incoming(const virDomainObj *vm)
{
	const struct domain_private *priv = vm->privateData;

	if (!priv->incoming)
		return 0;
	virReportError(VIR_ERR_OPERATION_INVALID,
	               "%s comes from another host just now: it can be defined when it is here",
	               vm->def->name);
	return -1;
}

virDomainPtr define_xml_flags(virConnectPtr conn, const char *xml, unsigned int flags)
{
	unsigned int parse_flags = VIR_DOMAIN_DEF_PARSE_INACTIVE;
	g_autoptr(virDomainDef) def = NULL;
	g_autoptr(virDomainDef) old = NULL;
	virDomainPtr dom = NULL;
	virDomainObj *vm;

	virCheckFlags(VIR_DOMAIN_DEFINE_VALIDATE, NULL);

	if (flags & VIR_DOMAIN_DEFINE_VALIDATE)
		parse_flags |= VIR_DOMAIN_DEF_PARSE_VALIDATE_SCHEMA;
	def = parse_domain(xml, xylem->xmlopt, parse_flags);
	if (!def || virXMLCheckIllegalChars("name", def->name, "\n") < 0)
		return NULL;
	if (virDomainDefineXMLFlagsEnsureACL(conn, def) < 0)
		return NULL;
	if (STREQ(def->name, "Domain-0")) {
		virReportError(VIR_ERR_OPERATION_INVALID, "%s",
		               "Domain-0 is this host itself and cannot be defined");
		return NULL;
	}
	vm = virDomainObjListAdd(xylem->domains, &def, xylem->xmlopt, 0, &old);
	if (!vm)
		return NULL;
	if (refuse_incoming(vm) < 0 || domain_save_config(vm->newDef ? vm->newDef : vm->def) < 0) {
		take_back(vm, &old);
		virDomainObjEndAPI(&vm);
		return NULL;
	}
	vm->persistent = 1;
	dom = virGetDomain(conn, vm->def->name, vm->def->uuid, vm->def->id);
	domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_DEFINED,
	                                               old ? VIR_DOMAIN_EVENT_DEFINED_UPDATED
	                                                   : VIR_DOMAIN_EVENT_DEFINED_ADDED));
	virDomainObjEndAPI(&vm);
	return dom;
}

virDomainPtr define_xml(virConnectPtr conn, const char *xml)
{
	return define_xml_flags(conn, xml, 0);
}

int define_forget(virDomainObj *vm)
{
	if (virDomainDeleteConfig(xylem->config_dir, xylem->autostart_dir, vm) < 0)
		return -1;
	vm->autostart = 0;
	domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_UNDEFINED,
	                                               VIR_DOMAIN_EVENT_UNDEFINED_REMOVED));
	vm->persistent = 0;
	if (!virDomainObjIsActive(vm))
		virDomainObjListRemove(xylem->domains, vm);
	return 0;
}

/* Whether there is none that the client would lose without knowing; it is looked for, since others may have put it there. */
static int check_no_save(virDomainObj *vm)
{
	g_autofree char *file = domain_save_file(vm);
	bool there;

	virObjectUnlock(vm);
	there = domain_look_for_save(file);
	virObjectLock(vm);
	domain_know_save(vm, there);
	if (!there)
		return 0;
	virReportError(VIR_ERR_OPERATION_INVALID, "%s has a managed save; undefine it with --managed-save",
	               vm->def->name);
	return -1;
}

/* Also one that is of no use. */
static int remove_save(virDomainObj *vm, bool refuse)
{
	int ret;

	if (slot_take(SLOT_BUILD, vm) < 0)
		return -1;
	ret = refuse && check_no_save(vm) < 0 ? -1 : domain_remove_save(vm);
	slot_give(SLOT_BUILD);
	return ret;
}

int define_undefine_flags(virDomainPtr dom, unsigned int flags)
{
	virDomainObj *vm;
	int ret = -1;

	/* There are no snapshots or firmware variables: those flags have nothing to remove. */
	virCheckFlags(VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
	                      VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_NVRAM,
	              -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainUndefineFlagsEnsureACL(dom->conn, vm->def) < 0 ||
	    domain_refuse_dom0(vm, "undefined") < 0 || domain_begin_job(vm, VIR_JOB_MODIFY) < 0)
		goto cleanup;
	if (!vm->persistent) {
		virReportError(VIR_ERR_OPERATION_INVALID, "%s is transient: it has no definition",
		               vm->def->name);
		goto endjob;
	}
	if (remove_save(vm, !(flags & VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)) == 0)
		ret = define_forget(vm);
endjob:
	domain_end_job(vm);
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

int define_undefine(virDomainPtr dom)
{
	return define_undefine_flags(dom, 0);
}

int define_has_save(virDomainPtr dom, unsigned int flags)
{
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(0, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainHasManagedSaveImageEnsureACL(dom->conn, vm->def) == 0)
		ret = vm->hasManagedSave;
	virDomainObjEndAPI(&vm);
	return ret;
}

int define_remove_save(virDomainPtr dom, unsigned int flags)
{
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(0, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainManagedSaveRemoveEnsureACL(dom->conn, vm->def) == 0)
		ret = remove_save(vm, false);
	virDomainObjEndAPI(&vm);
	return ret;
}

int define_get_autostart(virDomainPtr dom, int *autostart)
{
	virDomainObj *vm = domain_get(dom);
	int ret = -1;

	if (!vm)
		return -1;
	if (virDomainGetAutostartEnsureACL(dom->conn, vm->def) == 0) {
		*autostart = vm->autostart;
		ret = 0;
	}
	virDomainObjEndAPI(&vm);
	return ret;
}

int define_autostart_link(const char *name, bool on)
{
	g_autofree char *file = virDomainConfigFile(xylem->config_dir, name);
	g_autofree char *link = virDomainConfigFile(xylem->autostart_dir, name);

	if (on) {
		if (g_mkdir_with_parents(xylem->autostart_dir, 0755) < 0) {
			virReportSystemError(errno, "cannot create %s", xylem->autostart_dir);
			return -1;
		}
		if (symlink(file, link) < 0 && errno != EEXIST) {
			virReportSystemError(errno, "cannot link %s to %s", link, file);
			return -1;
		}
		return 0;
	}
	if (unlink(link) < 0 && errno != ENOENT && errno != ENOTDIR) {
		virReportSystemError(errno, "cannot remove %s", link);
		return -1;
	}
	return 0;
}

int define_set_autostart(virDomainPtr dom, int autostart)
{
	virDomainObj *vm = domain_get(dom);
	int ret = -1;

	if (!vm)
		return -1;
	if (virDomainSetAutostartEnsureACL(dom->conn, vm->def) < 0 ||
	    domain_refuse_dom0(vm, "set to start") < 0 || domain_begin_job(vm, VIR_JOB_MODIFY) < 0)
		goto cleanup;
	if (!vm->persistent) {
		virReportError(VIR_ERR_OPERATION_INVALID, "%s is transient and cannot start by itself",
		               vm->def->name);
	} else if (define_autostart_link(vm->def->name, autostart != 0) == 0) {
		vm->autostart = autostart != 0;
		ret = 0;
	}
	domain_end_job(vm);
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

/* Memory and vcpus of Domain-0 and of foreign domains are whatever the hypervisor says now. */
static void refresh_live(virDomainObj *vm)
{
	struct xyl_dominfo info;

	if (vm->def->id < 0 || xyl_domain_info(xylem->xen, (uint32_t)vm->def->id, &info) < 0)
		return;
	vm->def->mem.cur_balloon = info.memory_pages * 4;
	if (vm->def->mem.cur_balloon > virDomainDefGetMemoryTotal(vm->def))
		virDomainDefSetMemoryTotal(vm->def, vm->def->mem.cur_balloon);
}

char *define_get_xml(virDomainPtr dom, unsigned int flags)
{
	virDomainObj *vm;
	char *xml = NULL;

	/* What a guest sees is the host's CPU: there is nothing to update. */
	virCheckFlags(VIR_DOMAIN_XML_COMMON_FLAGS | VIR_DOMAIN_XML_UPDATE_CPU, NULL);

	vm = domain_get(dom);
	if (!vm)
		return NULL;
	if (virDomainGetXMLDescEnsureACL(dom->conn, vm->def, flags) < 0)
		goto cleanup;
	if (virDomainObjIsActive(vm) && !domain_is_dom0(vm) && !(flags & VIR_DOMAIN_XML_INACTIVE))
		console_find_ttys(vm, 0);
	refresh_live(vm);
	if ((flags & VIR_DOMAIN_XML_INACTIVE) && vm->newDef)
		xml = virDomainDefFormat(vm->newDef, xylem->xmlopt, virDomainDefFormatConvertXMLFlags(flags));
	else
		xml = virDomainDefFormat(vm->def, xylem->xmlopt, virDomainDefFormatConvertXMLFlags(flags));
cleanup:
	virDomainObjEndAPI(&vm);
	return xml;
}

int define_is_active(virDomainPtr dom)
{
	virDomainObj *vm = domain_get(dom);
	int ret = -1;

	if (!vm)
		return -1;
	if (virDomainIsActiveEnsureACL(dom->conn, vm->def) == 0)
		ret = virDomainObjIsActive(vm);
	virDomainObjEndAPI(&vm);
	return ret;
}

int define_is_persistent(virDomainPtr dom)
{
	virDomainObj *vm = domain_get(dom);
	int ret = -1;

	if (!vm)
		return -1;
	if (virDomainIsPersistentEnsureACL(dom->conn, vm->def) == 0)
		ret = vm->persistent;
	virDomainObjEndAPI(&vm);
	return ret;
}

int define_is_updated(virDomainPtr dom)
{
	virDomainObj *vm = domain_get(dom);
	int ret = -1;

	if (!vm)
		return -1;
	if (virDomainIsUpdatedEnsureACL(dom->conn, vm->def) == 0)
		ret = vm->updated;
	virDomainObjEndAPI(&vm);
	return ret;
}

char *define_get_os_type(virDomainPtr dom)
{
	virDomainObj *vm = domain_get(dom);
	char *type = NULL;

	if (!vm)
		return NULL;
	if (virDomainGetOSTypeEnsureACL(dom->conn, vm->def) == 0)
		type = g_strdup(vm->def->os.type == VIR_DOMAIN_OSTYPE_XEN
		                        ? "linux"
		                        : virDomainOSTypeToString(vm->def->os.type));
	virDomainObjEndAPI(&vm);
	return type;
}

/* Takes over the reference; acl is one of libvirt's checks. */
static virDomainPtr lookup(virConnectPtr conn, virDomainObj *vm, int (*acl)(virConnectPtr, virDomainDef *),
                           const char *what)
{
	virDomainPtr dom = NULL;

	if (!vm) {
		virReportError(VIR_ERR_NO_DOMAIN, "no domain with %s", what);
		return NULL;
	}
	if (acl(conn, vm->def) == 0)
		dom = virGetDomain(conn, vm->def->name, vm->def->uuid, vm->def->id);
	virDomainObjEndAPI(&vm);
	return dom;
}

virDomainPtr define_lookup_id(virConnectPtr conn, int id)
{
	g_autofree char *what = g_strdup_printf("number %d", id);

	return lookup(conn, virDomainObjListFindByID(xylem->domains, id), virDomainLookupByIDEnsureACL, what);
}

virDomainPtr define_lookup_uuid(virConnectPtr conn, const unsigned char *uuid)
{
	char what[sizeof("UUID ") + VIR_UUID_STRING_BUFLEN] = "UUID ";

	virUUIDFormat(uuid, what + strlen("UUID "));
	return lookup(conn, virDomainObjListFindByUUID(xylem->domains, uuid), virDomainLookupByUUIDEnsureACL,
	              what);
}

virDomainPtr define_lookup_name(virConnectPtr conn, const char *name)
{
	g_autofree char *what = g_strdup_printf("name '%s'", name);

	return lookup(conn, virDomainObjListFindByName(xylem->domains, name), virDomainLookupByNameEnsureACL,
	              what);
}

int define_list_ids(virConnectPtr conn, int *ids, int max)
{
	if (virConnectListDomainsEnsureACL(conn) < 0)
		return -1;
	return virDomainObjListGetActiveIDs(xylem->domains, ids, max, virConnectListDomainsCheckACL, conn);
}

int define_count_ids(virConnectPtr conn)
{
	if (virConnectNumOfDomainsEnsureACL(conn) < 0)
		return -1;
	return virDomainObjListNumOfDomains(xylem->domains, true, virConnectNumOfDomainsCheckACL, conn);
}

int define_list_names(virConnectPtr conn, char **const names, int max)
{
	if (virConnectListDefinedDomainsEnsureACL(conn) < 0)
		return -1;
	return virDomainObjListGetInactiveNames(xylem->domains, names, max,
	                                        virConnectListDefinedDomainsCheckACL, conn);
}

int define_count_names(virConnectPtr conn)
{
	if (virConnectNumOfDefinedDomainsEnsureACL(conn) < 0)
		return -1;
	return virDomainObjListNumOfDomains(xylem->domains, false, virConnectNumOfDefinedDomainsCheckACL,
	                                    conn);
}

int define_list_all(virConnectPtr conn, virDomainPtr **domains, unsigned int flags)
{
	virCheckFlags(VIR_CONNECT_LIST_DOMAINS_FILTERS_ALL, -1);

	if (virConnectListAllDomainsEnsureACL(conn) < 0)
		return -1;
	return virDomainObjListExport(xylem->domains, conn, domains, virConnectListAllDomainsCheckACL, flags);
}
