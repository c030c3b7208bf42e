/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests to files and back: save, managed save, restore, and the definitions in such files.
 *
 * Save: 1. the file with the definition, marked as incomplete, and its name in the guest's state file, 2. xylemd has the guest
 * suspend and writes its memory (unlocked, in a job), 3. the file is completed, 4. the guest is destroyed. What fails before
 * 3 has the guest go on; so does a libvirtd that is started again and finds an incomplete file. After 3 the file is the
 * guest: a libvirtd that finds it complete does step 4.
 */
#include "save.h"

#include <xenctrl.h>

#include "xylem.h"

#include "aside.h"
#include "domain.h"
#include "job.h"
#include "lifecycle.h"
#include "monitor.h"
#include "parse.h"
#include "process.h"
#include "savefile.h"

#include "datatypes.h"
#include "viraccessapicheck.h"
#include "virdomainjob.h"
#include "virdomainobjlist.h"
#include "virerror.h"
#include "virfile.h"
#include "virlog.h"
#include "virtypedparam.h"
#include "viruuid.h"

VIR_LOG_INIT("xylem.save");

#define RESTORE_FLAGS (VIR_DOMAIN_SAVE_BYPASS_CACHE | VIR_DOMAIN_SAVE_RUNNING | VIR_DOMAIN_SAVE_PAUSED)

static virDomainDef *parse_image(const char *xml)
{
	return parse_domain(xml, xylem->xmlopt,
	                    VIR_DOMAIN_DEF_PARSE_INACTIVE | VIR_DOMAIN_DEF_PARSE_SKIP_VALIDATE);
}

virDomainDef *save_changed_def(virDomainDef *def, const char *xml)
{
	g_autoptr(virDomainDef) changed = parse_domain(xml, xylem->xmlopt, VIR_DOMAIN_DEF_PARSE_INACTIVE);

	if (!changed || !virDomainDefCheckABIStability(def, changed, xylem->xmlopt))
		return NULL;
	return g_steal_pointer(&changed);
}

char *save_format(virDomainDef *def)
{
	return virDomainDefFormat(def, xylem->xmlopt,
	                          VIR_DOMAIN_DEF_FORMAT_SECURE | VIR_DOMAIN_DEF_FORMAT_INACTIVE |
	                                  VIR_DOMAIN_DEF_FORMAT_MIGRATABLE);
}

/* ---- save ---- */

int save_check(virDomainObj *vm, const char *done)
{
	const struct domain_private *priv = vm->privateData;
	int state = virDomainObjGetState(vm, NULL);

	if (virDomainObjCheckActive(vm) < 0 || domain_refuse_dom0(vm, done) < 0)
		return -1;
	if (priv->foreign) {
		virReportError(VIR_ERR_OPERATION_INVALID,
		               "%s was made by another tool, and cannot be %s by this one", vm->def->name,
		               done);
		return -1;
	}
	if (state != VIR_DOMAIN_RUNNING && state != VIR_DOMAIN_PAUSED) {
		virReportError(VIR_ERR_OPERATION_INVALID, "%s cannot be %s in the state '%s'", vm->def->name,
		               done, virDomainStateTypeToString(state));
		return -1;
	}
	return 0;
}

static char *image_xml(virDomainObj *vm, const char *dxml)
{
	g_autoptr(virDomainDef) changed = NULL;

	if (!dxml)
		return save_format(vm->def);
	changed = save_changed_def(vm->def, dxml);
	return changed ? save_format(changed) : NULL;
}

/* Step 2. */
int save_write(virDomainObj *vm, int fd, unsigned int how)
{
	struct sampler *sampler;
	char handle[VIR_UUID_STRING_BUFLEN];
	int ret;

	domain_handle(vm, handle);
	sampler = job_watch(vm);
	virObjectUnlock(vm);
	ret = monitor_save(xylem->monitor, handle, fd, how);
	job_unwatch(sampler);
	virObjectLock(vm);
	return ret;
}

bool save_is_suspended(const virDomainObj *vm)
{
	struct xyl_dominfo info;

	return vm->def->id > 0 && xyl_domain_info(xylem->xen, (uint32_t)vm->def->id, &info) == 0 &&
	       !info.dying && info.shutdown && info.shutdown_reason == XYL_SHUTDOWN_SUSPEND;
}

/* xylemd may still be about to have it suspended, so it is asked to end that, and to resume what it has done so far. */
bool save_go_on(virDomainObj *vm)
{
	char handle[VIR_UUID_STRING_BUFLEN];
	virErrorPtr saved;
	bool asked;

	virErrorPreserveLast(&saved);
	domain_handle(vm, handle);
	virObjectUnlock(vm);
	ignore_value(monitor_cancel(xylem->monitor, handle));
	asked = monitor_resume(xylem->monitor, handle) == 0;
	virObjectLock(vm);
	/* One that is not suspended says so, which is as good. */
	asked = asked || (monitor_connected(xylem->monitor) && !save_is_suspended(vm));
	if (!asked)
		VIR_WARN("%s may be suspended; it is resumed when xylemd is back, or by virsh resume: %s",
		         handle, virGetLastErrorMessage());
	virErrorRestore(&saved);
	return asked;
}

/* Where xylemd cannot be asked, the state file keeps what is to be done. Locked, with a job; the error stays. */
static void go_on(virDomainObj *vm, const char *path)
{
	struct domain_private *priv = vm->privateData;
	virErrorPtr saved;

	virErrorPreserveLast(&saved);
	virObjectUnlock(vm);
	savefile_discard(path);
	virObjectLock(vm);
	if (save_go_on(vm))
		g_clear_pointer(&priv->save_file, g_free);
	if (vm->def->id > 0)
		domain_save_status(vm);
	virErrorRestore(&saved);
}

/* Destroys it; one that xylemd does not know is gone already. Unlocked. */
static int destroy_saved(const char *handle)
{
	g_autoptr(GVariant) domain = NULL;
	bool known = false;

	if (monitor_destroy(xylem->monitor, handle) == 0)
		return 0;
	domain = monitor_get(xylem->monitor, handle, &known);
	return domain || !known ? -1 : 0;
}

/* Step 4. */
int save_end(virDomainObj *vm, int reason, int detail)
{
	struct domain_private *priv = vm->privateData;
	char handle[VIR_UUID_STRING_BUFLEN];
	unsigned long life = priv->life;
	int ret;

	priv->why_reason = reason;
	priv->why_detail = detail;
	domain_handle(vm, handle);
	virObjectUnlock(vm);
	ret = destroy_saved(handle);
	virObjectLock(vm);
	if (ret < 0)
		return -1;
	virResetLastError();
	if (vm->def->id > 0 && priv->life == life)
		process_stopped(vm, reason, detail);
	return 0;
}

static int end_saved(virDomainObj *vm)
{
	return save_end(vm, VIR_DOMAIN_SHUTOFF_SAVED, VIR_DOMAIN_EVENT_STOPPED_SAVED);
}

/* Step 3: all that the kernel still has of it goes to the disk, which may take long. */
static int complete(virDomainObj *vm, const char *path, int fd, unsigned int flags)
{
	int ret;

	virObjectUnlock(vm);
	ret = savefile_complete(path, fd, flags & VIR_DOMAIN_SAVE_BYPASS_CACHE);
	virObjectLock(vm);
	return ret;
}

/* flags: of enum virDomainSaveRestoreFlags: how the guest begins when it is restored, if not as it is now. The caller has a
 * slot. */
static int save_in_slot(virDomainObj *vm, const char *path, bool managed, const char *dxml,
                        unsigned int flags)
{
	struct domain_private *priv = vm->privateData;
	bool paused = virDomainObjGetState(vm, NULL) == VIR_DOMAIN_PAUSED;
	g_autofree char *xml = NULL;
	VIR_AUTOCLOSE fd = -1;

	if (flags & (VIR_DOMAIN_SAVE_RUNNING | VIR_DOMAIN_SAVE_PAUSED))
		paused = flags & VIR_DOMAIN_SAVE_PAUSED;
	if (save_check(vm, "saved") < 0 || !(xml = image_xml(vm, dxml)))
		return -1;
	virObjectUnlock(vm);
	if (managed && g_mkdir_with_parents(xylem->save_dir, 0711) < 0)
		virReportSystemError(errno, "%s cannot be made", xylem->save_dir);
	else
		fd = savefile_create(path, xml, paused);
	virObjectLock(vm);
	if (fd < 0)
		return -1;
	g_free(priv->save_file);
	priv->save_file = g_strdup(path);
	domain_save_status(vm);
	job_begin(vm, VIR_DOMAIN_JOB_OPERATION_SAVE);
	if (save_write(vm, fd, 0) < 0 || complete(vm, path, fd, flags) < 0) {
		job_end(vm, false);
		go_on(vm, path);
		return -1;
	}
	job_end(vm, true);
	return end_saved(vm);
}

/* The slot is also for what follows, of a save that fails too. */
static int save(virDomainObj *vm, const char *path, bool managed, const char *dxml, unsigned int flags)
{
	int ret;

	if (slot_take(SLOT_BUILD, vm) < 0)
		return -1;
	ret = save_in_slot(vm, path, managed, dxml, flags);
	slot_give(SLOT_BUILD);
	return ret;
}

void save_recover(virDomainObj *vm, unsigned long life)
{
	struct domain_private *priv = vm->privateData;

	if (!priv->save_file || domain_begin_job(vm, VIR_JOB_MODIFY) < 0)
		return;
	if (priv->save_file && vm->def->id > 0 && priv->life == life) {
		g_autofree char *path = g_strdup(priv->save_file);
		bool complete_file;

		virObjectUnlock(vm);
		complete_file = savefile_is_complete(path);
		virObjectLock(vm);
		if (save_is_suspended(vm) && complete_file) {
			if (end_saved(vm) < 0)
				VIR_WARN("%s, which is saved in %s, cannot be ended: %s", vm->def->name, path,
				         virGetLastErrorMessage());
		} else {
			VIR_WARN("%s goes on: its save to %s was interrupted", vm->def->name, path);
			go_on(vm, path);
		}
	}
	virResetLastError();
	domain_end_job(vm);
}

static int save_call(virDomainPtr dom, int (*acl)(virConnectPtr conn, virDomainDef *def), const char *to,
                     const char *dxml, unsigned int flags)
{
	virDomainObj *vm;
	int ret = -1;

	if (flags & VIR_DOMAIN_SAVE_RESET_NVRAM) {
		virReportError(VIR_ERR_ARGUMENT_UNSUPPORTED, "%s", "a paravirtual guest has no NVRAM");
		return -1;
	}
	virCheckFlags(RESTORE_FLAGS, -1);
	VIR_EXCLUSIVE_FLAGS_RET(VIR_DOMAIN_SAVE_RUNNING, VIR_DOMAIN_SAVE_PAUSED, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (acl(dom->conn, vm->def) == 0 && domain_begin_job(vm, VIR_JOB_MODIFY) == 0) {
		ret = save(vm, to, false, dxml, flags);
		domain_end_job(vm);
	}
	virDomainObjEndAPI(&vm);
	return ret;
}

int save_to_flags(virDomainPtr dom, const char *to, const char *dxml, unsigned int flags)
{
	return save_call(dom, virDomainSaveFlagsEnsureACL, to, dxml, flags);
}

int save_to(virDomainPtr dom, const char *to)
{
	return save_call(dom, virDomainSaveEnsureACL, to, NULL, 0);
}

/* ---- managed save ---- */

static int save_call_managed(virDomainPtr dom, int (*acl)(virConnectPtr conn, virDomainDef *def),
                             const char *dxml, unsigned int flags)
{
	g_autofree char *path = NULL;
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(RESTORE_FLAGS, -1);
	VIR_EXCLUSIVE_FLAGS_RET(VIR_DOMAIN_SAVE_RUNNING, VIR_DOMAIN_SAVE_PAUSED, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (acl(dom->conn, vm->def) < 0 || domain_begin_job(vm, VIR_JOB_MODIFY) < 0)
		goto cleanup;
	path = domain_save_file(vm);
	if (!vm->persistent) {
		virReportError(VIR_ERR_OPERATION_INVALID,
		               "%s is transient: it has no definition that a managed save could belong to",
		               vm->def->name);
	} else {
		ret = save(vm, path, true, dxml, flags);
		if (ret == 0)
			domain_know_save(vm, true);
	}
	domain_end_job(vm);
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

int save_managed(virDomainPtr dom, unsigned int flags)
{
	return save_call_managed(dom, virDomainManagedSaveEnsureACL, NULL, flags);
}

/* What is not among them is left as it is. */
static int take_params(virTypedParameterPtr params, int count, const char **file, const char **dxml)
{
	if (virTypedParamsValidate(params, count, VIR_DOMAIN_SAVE_PARAM_FILE, VIR_TYPED_PARAM_STRING,
	                           VIR_DOMAIN_SAVE_PARAM_DXML, VIR_TYPED_PARAM_STRING, NULL) < 0 ||
	    virTypedParamsGetString(params, count, VIR_DOMAIN_SAVE_PARAM_FILE, file) < 0 ||
	    virTypedParamsGetString(params, count, VIR_DOMAIN_SAVE_PARAM_DXML, dxml) < 0)
		return -1;
	return 0;
}

int save_params(virDomainPtr dom, virTypedParameterPtr params, int count, unsigned int flags)
{
	const char *to = NULL, *dxml = NULL;

	if (take_params(params, count, &to, &dxml) < 0)
		return -1;
	if (!to)
		return save_call_managed(dom, virDomainSaveParamsEnsureACL, dxml, flags);
	return save_call(dom, virDomainSaveParamsEnsureACL, to, dxml, flags);
}

/* ---- restore ---- */

/* Opens the file; *def is the definition that its guest gets. -1: failed. */
static int open_image(const char *path, bool write, const char *dxml, virDomainDef **def, bool *paused)
{
	g_autoptr(virDomainDef) saved = NULL;
	g_autofree char *xml = NULL;
	int fd = savefile_open(path, write, &xml, paused);

	if (fd < 0)
		return -1;
	saved = parse_image(xml);
	*def = saved && dxml ? save_changed_def(saved, dxml) : g_steal_pointer(&saved);
	if (*def)
		return fd;
	VIR_FORCE_CLOSE(fd);
	return -1;
}

static bool starts_paused(unsigned int flags, bool saved_paused)
{
	if (flags & VIR_DOMAIN_SAVE_RUNNING)
		return false;
	return saved_paused || (flags & VIR_DOMAIN_SAVE_PAUSED);
}

static int restore(virConnectPtr conn, int (*acl)(virConnectPtr conn, virDomainDef *def), const char *from,
                   const char *dxml, unsigned int flags)
{
	g_autoptr(virDomainDef) def = NULL;
	bool paused = false;
	virDomainObj *vm;
	VIR_AUTOCLOSE fd = -1;
	int ret;

	if (flags & VIR_DOMAIN_SAVE_RESET_NVRAM) {
		virReportError(VIR_ERR_ARGUMENT_UNSUPPORTED, "%s", "a paravirtual guest has no NVRAM");
		return -1;
	}
	virCheckFlags(RESTORE_FLAGS, -1);
	VIR_EXCLUSIVE_FLAGS_RET(VIR_DOMAIN_SAVE_RUNNING, VIR_DOMAIN_SAVE_PAUSED, -1);

	if (slot_take(SLOT_BUILD, NULL) < 0)
		return -1;
	fd = open_image(from, false, dxml, &def, &paused);
	slot_give(SLOT_BUILD);
	if (fd < 0 || acl(conn, def) < 0)
		return -1;
	vm = lifecycle_add(&def);
	if (!vm)
		return -1;
	ret = process_begin(vm);
	if (ret == 0) {
		ret = process_restore(vm, NULL, starts_paused(flags, paused), fd, NULL);
		process_finish(vm);
	}
	lifecycle_added(&vm, ret == 0);
	return ret;
}

int save_restore_flags(virConnectPtr conn, const char *from, const char *dxml, unsigned int flags)
{
	return restore(conn, virDomainRestoreFlagsEnsureACL, from, dxml, flags);
}

int save_restore(virConnectPtr conn, const char *from)
{
	return restore(conn, virDomainRestoreEnsureACL, from, NULL, 0);
}

int save_restore_params(virConnectPtr conn, virTypedParameterPtr params, int count, unsigned int flags)
{
	const char *from = NULL, *dxml = NULL;

	if (take_params(params, count, &from, &dxml) < 0)
		return -1;
	if (!from) {
		virReportError(VIR_ERR_INVALID_ARG, "%s",
		               "the parameter \"file\" is missing: what shall be restored?");
		return -1;
	}
	return restore(conn, virDomainRestoreParamsEnsureACL, from, dxml, flags);
}

/* What is wrong with the managed save, and what can be done. The error stays the first one's. */
static int refuse_managed(const virDomainObj *vm, const char *path)
{
	g_autofree char *why = g_strdup(virGetLastErrorMessage());

	if (virGetLastErrorCode() == VIR_ERR_OPERATION_ABORTED)
		return -1;
	virReportError(
	        VIR_ERR_OPERATION_FAILED,
	        "%s has a managed save, %s, which cannot be restored: %s (start it with --force-boot, which throws "
	        "that state away, or remove it with virsh managedsave-remove)",
	        vm->def->name, path, why);
	return -1;
}

/* What a guest's managed save is, or was to be. */
struct managed {
	char *path;
	bool fresh;        /* it is thrown away */
	bool there;        /* it is, and is of use */
	int fd;            /* -1: it cannot be opened */
	virDomainDef *def; /* of the guest that it is of */
	bool paused;
};

static void managed_free(struct managed *m)
{
	VIR_FORCE_CLOSE(m->fd);
	virDomainDefFree(m->def);
	g_free(m->path);
	g_free(m);
}

static void undo_look(void *data, int ret G_GNUC_UNUSED)
{
	managed_free(data);
}

/* -1 with an error: one that is to go does not, or one that is there cannot be opened. */
static int run_look(void *data)
{
	struct managed *m = data;

	if (m->fresh || savefile_is_dead(m->path)) {
		/* That of a save that was interrupted, or of a restore: the guest has run since. */
		if (!m->fresh)
			VIR_WARN("%s, which is of no use, is removed", m->path);
		if (unlink(m->path) == 0 || errno == ENOENT)
			return 0;
		virReportSystemError(errno, "the managed save %s cannot be removed", m->path);
		return -1;
	}
	/* What cannot be looked at may be the guest's state. */
	m->there = access(m->path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
	if (m->there)
		m->fd = open_image(m->path, false, NULL, &m->def, &m->paused);
	return m->there && m->fd < 0 ? -1 : 0;
}

/* Takes its definition. */
static int restore_managed(virDomainObj *vm, struct managed *m, bool paused)
{
	if (memcmp(m->def->uuid, vm->def->uuid, VIR_UUID_BUFLEN)) {
		virReportError(VIR_ERR_OPERATION_FAILED, "%s", "it is another guest's");
		return refuse_managed(vm, m->path);
	}
	if (process_restore(vm, g_steal_pointer(&m->def), paused || m->paused, m->fd, m->path) < 0)
		return refuse_managed(vm, m->path);
	/* It is marked as used: one that stays does no harm. */
	if (domain_remove_save(vm) < 0)
		VIR_WARN("%s: %s", vm->def->name, virGetLastErrorMessage());
	domain_know_save(vm, false);
	virResetLastError();
	return 0;
}

static int start_with(virDomainObj *vm, struct managed **m, bool paused, int detail)
{
	int ret = aside(vm, run_look, undo_look, (void **)m);

	if (!*m)
		return -1;
	if (ret < 0 && !(*m)->there)
		return -1;
	domain_know_save(vm, (*m)->there);
	if (ret < 0)
		return refuse_managed(vm, (*m)->path);
	return (*m)->there ? restore_managed(vm, *m, paused) : process_start(vm, paused, detail);
}

int save_start(virDomainObj *vm, bool paused, bool fresh, int detail)
{
	struct managed *m;
	int ret;

	if (process_begin(vm) < 0)
		return -1;
	m = g_new0(struct managed, 1);
	m->fd = -1;
	m->path = domain_save_file(vm);
	m->fresh = fresh;
	ret = start_with(vm, &m, paused, detail);
	if (m)
		managed_free(m);
	process_finish(vm);
	return ret;
}

/* ---- at the start of libvirtd ---- */

/* Each stays as it is taken to be until its file has been looked at, here or by whoever starts it. */
static int run_find(void *data)
{
	GPtrArray *vms = data;
	guint i;

	for (i = 0; i < vms->len; i++) {
		virDomainObj *vm = g_ptr_array_index(vms, i);
		const struct domain_private *priv = vm->privateData;
		g_autofree char *file = NULL;
		bool there;

		virObjectLock(vm);
		file = domain_save_file(vm);
		virObjectUnlock(vm);
		there = domain_look_for_save(file);
		virObjectLock(vm);
		if (priv->save_unknown)
			domain_know_save(vm, there);
		virObjectUnlock(vm);
	}
	return 0;
}

static void undo_find(void *data, int ret)
{
	if (ret == 0)
		VIR_WARN("%s answers: the managed saves in it are known", xylem->save_dir);
	g_ptr_array_unref(data);
}

static int note_unknown(virDomainObj *vm, void *data)
{
	struct domain_private *priv = vm->privateData;

	virObjectLock(vm);
	if (!domain_is_dom0(vm)) {
		/* What is not known to be absent is not lost. */
		vm->hasManagedSave = priv->save_unknown = true;
		g_ptr_array_add(data, virObjectRef(vm));
	}
	virObjectUnlock(vm);
	return 0;
}

void save_find_all(unsigned int wait_ms)
{
	GPtrArray *vms = g_ptr_array_new_with_free_func(virObjectUnref);

	virDomainObjListForEach(xylem->domains, false, note_unknown, vms);
	if (aside_briefly(wait_ms, run_find, undo_find, vms) == 0) {
		g_ptr_array_unref(vms);
		return;
	}
	VIR_WARN("%s does not answer: until it does each guest is taken to have a managed save",
	         xylem->save_dir);
	virResetLastError();
}

/* ---- the definitions in files ---- */

static char *get_xml(const char *path, unsigned int flags, virConnectPtr conn,
                     int (*acl)(virConnectPtr conn, virDomainDef *def))
{
	g_autoptr(virDomainDef) def = NULL;
	VIR_AUTOCLOSE fd = -1;
	bool paused;

	if (slot_take(SLOT_BUILD, NULL) < 0)
		return NULL;
	fd = open_image(path, false, NULL, &def, &paused);
	slot_give(SLOT_BUILD);
	if (fd < 0 || (acl && acl(conn, def) < 0))
		return NULL;
	return virDomainDefFormat(def, xylem->xmlopt,
	                          flags & VIR_DOMAIN_SAVE_IMAGE_XML_SECURE ? VIR_DOMAIN_DEF_FORMAT_SECURE
	                                                                   : 0);
}

static int set_xml_in_slot(const char *path, const char *dxml, unsigned int flags, virConnectPtr conn,
                           int (*acl)(virConnectPtr conn, virDomainDef *def))
{
	g_autoptr(virDomainDef) def = NULL;
	g_autofree char *xml = NULL;
	VIR_AUTOCLOSE fd = -1;
	bool paused;

	fd = open_image(path, true, dxml, &def, &paused);
	if (fd < 0 || (acl && acl(conn, def) < 0) || !(xml = save_format(def)))
		return -1;
	if (flags & (VIR_DOMAIN_SAVE_RUNNING | VIR_DOMAIN_SAVE_PAUSED))
		paused = flags & VIR_DOMAIN_SAVE_PAUSED;
	return savefile_set_xml(path, fd, xml, paused);
}

static int set_xml(const char *path, const char *dxml, unsigned int flags, virConnectPtr conn,
                   int (*acl)(virConnectPtr conn, virDomainDef *def))
{
	int ret;

	if (slot_take(SLOT_BUILD, NULL) < 0)
		return -1;
	ret = set_xml_in_slot(path, dxml, flags, conn, acl);
	slot_give(SLOT_BUILD);
	return ret;
}

char *save_image_get_xml(virConnectPtr conn, const char *file, unsigned int flags)
{
	virCheckFlags(VIR_DOMAIN_SAVE_IMAGE_XML_SECURE, NULL);

	return get_xml(file, flags, conn, virDomainSaveImageGetXMLDescEnsureACL);
}

int save_image_define(virConnectPtr conn, const char *file, const char *dxml, unsigned int flags)
{
	virCheckFlags(VIR_DOMAIN_SAVE_RUNNING | VIR_DOMAIN_SAVE_PAUSED, -1);
	VIR_EXCLUSIVE_FLAGS_RET(VIR_DOMAIN_SAVE_RUNNING, VIR_DOMAIN_SAVE_PAUSED, -1);

	return set_xml(file, dxml, flags, conn, virDomainSaveImageDefineXMLEnsureACL);
}

static int check_managed(virDomainObj *vm)
{
	if (vm->hasManagedSave)
		return 0;
	virReportError(VIR_ERR_OPERATION_INVALID, "%s has no managed save", vm->def->name);
	return -1;
}

char *save_managed_get_xml(virDomainPtr dom, unsigned int flags)
{
	virDomainObj *vm;
	char *xml = NULL;

	virCheckFlags(VIR_DOMAIN_SAVE_IMAGE_XML_SECURE, NULL);

	vm = domain_get(dom);
	if (!vm)
		return NULL;
	if (virDomainManagedSaveGetXMLDescEnsureACL(dom->conn, vm->def, flags) == 0 &&
	    check_managed(vm) == 0) {
		g_autofree char *path = domain_save_file(vm);

		virObjectUnlock(vm);
		xml = get_xml(path, flags, dom->conn, NULL);
		virObjectLock(vm);
	}
	virDomainObjEndAPI(&vm);
	return xml;
}

int save_managed_define(virDomainPtr dom, const char *dxml, unsigned int flags)
{
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_SAVE_RUNNING | VIR_DOMAIN_SAVE_PAUSED, -1);
	VIR_EXCLUSIVE_FLAGS_RET(VIR_DOMAIN_SAVE_RUNNING, VIR_DOMAIN_SAVE_PAUSED, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainManagedSaveDefineXMLEnsureACL(dom->conn, vm->def) == 0 &&
	    domain_begin_job(vm, VIR_JOB_MODIFY) == 0) {
		g_autofree char *path = domain_save_file(vm);

		if (check_managed(vm) == 0) {
			virObjectUnlock(vm);
			ret = set_xml(path, dxml, flags, dom->conn, NULL);
			virObjectLock(vm);
		}
		domain_end_job(vm);
	}
	virDomainObjEndAPI(&vm);
	return ret;
}
