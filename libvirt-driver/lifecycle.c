/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What clients do to running guests: create, suspend, resume, shutdown, reboot, destroy, and their state.
 *
 * Destroy acts before it waits for anything: the guest is dead before the call takes a job, so that a call
 * which is stuck in that guest ends too.
 */
#include "lifecycle.h"

#include <xenctrl.h>

#include "xylem.h"

#include "check.h"
#include "datatypes.h"
#include "domain.h"
#include "domain_event.h"
#include "events.h"
#include "job.h"
#include "migrate.h"
#include "monitor.h"
#include "parse.h"
#include "process.h"
#include "save.h"
#include "savefile.h"
#include "viraccessapicheck.h"
#include "virclosecallbacks.h"
#include "virdomainjob.h"
#include "virdomainobjlist.h"
#include "virerror.h"
#include "virlog.h"
#include "viruuid.h"

VIR_LOG_INIT("xylem.lifecycle");

/* How often, and for how long, a start that is given up is looked for in xylemd. */
#define LATE_US    50000
#define LATE_TRIES 200

/* The domain of the guest, whose number may be another one's by now. */
static bool domain_is(unsigned int domid, const unsigned char *uuid, struct xyl_dominfo *info)
{
	return xyl_domain_info(xylem->xen, domid, info) == 0 &&
	       memcmp(info->uuid, uuid, VIR_UUID_BUFLEN) == 0;
}

/*
 * Kills the guest, in whatever state it is, and has xylemd take down what belonged to it. Unlocked, no job. 0: it is
 * gone, and does not come back; 1: it is dead, and its devices are still there.
 */
static int kill_domain(const char *handle, const unsigned char *uuid, unsigned int domid)
{
	struct xyl_dominfo info = { 0 };

	if (monitor_destroy(xylem->monitor, handle) == 0)
		return 0;
	/* xylemd has the last word on its guests: one that has no domain may be about to get one. */
	if (monitor_connected(xylem->monitor)) {
		g_autoptr(GVariant) domain = NULL;
		bool known;

		domain = monitor_get(xylem->monitor, handle, &known);
		if (domain)
			return -1;
		if (known) {
			virResetLastError();
			return 0;
		}
	}
	/* At least the guest stops, if xylemd hangs or is gone: it takes the rest down when it is back. */
	if (!domain_is(domid, uuid, &info) || info.dying)
		return -1;
	if (xyl_domain_destroy(xylem->xen, domid) < 0 && errno != ESRCH) {
		virReportError(VIR_ERR_OPERATION_FAILED, "%s", xyl_error());
		return -1;
	}
	VIR_WARN("domain %u was killed without xylemd (%s), which takes down its devices when it can", domid,
	         virGetLastErrorMessage());
	virResetLastError();
	return 1;
}

/* So many destroys wait already that this one may not: its guest is killed, and what is left of it is taken down by xylemd
 * and by whoever has the job. Locked, unlocks it meanwhile; an error is set, and stays when there was nothing to kill. */
static int kill_now(virDomainObj *vm, const unsigned char *uuid, unsigned int domid)
{
	struct xyl_dominfo info;
	virErrorPtr saved;
	bool killed;

	virErrorPreserveLast(&saved);
	virObjectUnlock(vm);
	killed = domain_is(domid, uuid, &info) && !info.dying && xyl_domain_destroy(xylem->xen, domid) == 0;
	virObjectLock(vm);
	virErrorRestore(&saved);
	if (!killed)
		return -1;
	VIR_WARN("domain %u was killed without waiting for xylemd to take down its devices: %s", domid,
	         virGetLastErrorMessage());
	virResetLastError();
	if (vm->def->id == (int)domid)
		process_killed(vm);
	return 0;
}

/* False where xylemd does not know of it; otherwise it gives up, or cannot be asked. Locked; unlocks it meanwhile. */
static bool destroy_unfinished(virDomainObj *vm)
{
	char handle[VIR_UUID_STRING_BUFLEN];
	bool known;

	domain_handle(vm, handle);
	virObjectUnlock(vm);
	known = monitor_destroy(xylem->monitor, handle) == 0 ||
	        virGetLastErrorCode() != VIR_ERR_OPERATION_INVALID;
	virResetLastError();
	virObjectLock(vm);
	return known;
}

/* One that is being built: whoever builds it gives up. Locked, no job, a slot. */
static int end_building(virDomainObj *vm)
{
	const struct domain_private *priv = vm->privateData;
	int ret = 0, tries = 0;

	/* xylemd need not know of it yet, nor any more. The start may be just about to tell it: doomed is until it has ended. */
	while (!destroy_unfinished(vm) && priv->doomed && tries++ < LATE_TRIES) {
		virObjectUnlock(vm);
		g_usleep(LATE_US);
		virObjectLock(vm);
	}
	ignore_value(migrate_release(vm));
	if (virDomainObjBeginJob(vm, VIR_JOB_DESTROY) < 0) {
		/* A transient one has left the list by now. */
		if (!vm->removing)
			return -1;
		virResetLastError();
		return 0;
	}
	if (virDomainObjIsActive(vm)) {
		virReportError(VIR_ERR_OPERATION_FAILED, "%s was started meanwhile", vm->def->name);
		ret = -1;
	}
	domain_end_job(vm);
	return ret;
}

/* The same without a slot. */
static int destroy_building(virDomainObj *vm)
{
	int ret;

	/* At once: one that is not with xylemd yet needs no more. */
	domain_doom(vm);
	if (slot_take(SLOT_END, vm) < 0)
		return -1;
	ret = end_building(vm);
	slot_give(SLOT_END);
	return ret;
}

/* One that runs. Locked, no job, a slot. */
static int end_running(virDomainObj *vm, const char *handle, const unsigned char *uuid, unsigned int domid)
{
	struct domain_private *priv = vm->privateData;
	unsigned long life = priv->life;
	int ret;

	virObjectUnlock(vm);
	ret = kill_domain(handle, uuid, domid);
	virObjectLock(vm);
	if (ret < 0) {
		if (priv->life == life)
			priv->why_reason = priv->why_detail = -1;
		return -1;
	}
	ignore_value(migrate_release(vm));
	if (ret > 0) {
		if (vm->def->id == (int)domid && priv->life == life)
			process_killed(vm);
		return 0;
	}
	/* Whoever was stuck in the guest has been let go of by now; its job ends soon. Its number may have changed: it was
	 * rebuilt before it was killed. */
	if (virDomainObjBeginJob(vm, VIR_JOB_DESTROY) == 0) {
		if (vm->def->id > 0 && priv->life == life)
			process_stopped(vm, VIR_DOMAIN_SHUTOFF_DESTROYED, VIR_DOMAIN_EVENT_STOPPED_DESTROYED);
		domain_end_job(vm);
		return 0;
	}
	if (vm->def->id < 0 || priv->life != life || vm->removing) {
		virResetLastError();
		return 0;
	}
	return -1;
}

/* In whatever state it is. Locked, no job; unlocks it meanwhile. */
static int destroy(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;
	char handle[VIR_UUID_STRING_BUFLEN];
	unsigned char uuid[VIR_UUID_BUFLEN];
	unsigned long life = priv->life;
	bool slot;
	int ret;

	if (priv->starting && !virDomainObjIsActive(vm))
		return destroy_building(vm);
	if (virDomainObjCheckActive(vm) < 0)
		return -1;
	memcpy(uuid, vm->def->uuid, sizeof(uuid));
	domain_handle(vm, handle);
	/* A guest that shuts down at this very moment has been destroyed all the same: the caller is told so. */
	priv->why_reason = VIR_DOMAIN_SHUTOFF_DESTROYED;
	priv->why_detail = VIR_DOMAIN_EVENT_STOPPED_DESTROYED;
	slot = slot_take(SLOT_END, vm) == 0;
	if (priv->life != life || vm->def->id < 0) {
		/* It has ended while this waited: that is what was wanted. */
		virResetLastError();
		ret = 0;
	} else if (slot) {
		ret = end_running(vm, handle, uuid, (unsigned int)vm->def->id);
	} else {
		ret = kill_now(vm, uuid, (unsigned int)vm->def->id);
	}
	if (slot)
		slot_give(SLOT_END);
	return ret;
}

/*
 * Enters the definition into the list and begins a job. What is defined already may be starting at this very
 * moment: its job is waited for first, since whoever has it relies on the definition.
 */
virDomainObj *lifecycle_add(virDomainDef **def)
{
	virDomainObj *old = virDomainObjListFindByUUID(xylem->domains, (*def)->uuid), *vm;

	if (old && domain_begin_job(old, VIR_JOB_MODIFY) < 0) {
		virDomainObjEndAPI(&old);
		return NULL;
	}
	if (old)
		virObjectUnlock(old);
	vm = virDomainObjListAdd(xylem->domains, def, xylem->xmlopt,
	                         VIR_DOMAIN_OBJ_LIST_ADD_LIVE | VIR_DOMAIN_OBJ_LIST_ADD_CHECK_LIVE, NULL);
	if (old && vm == old) {
		virObjectUnref(old);
		return vm;
	}
	if (old) {
		virErrorPtr saved;

		virErrorPreserveLast(&saved);
		virObjectLock(old);
		domain_end_job(old);
		virDomainObjEndAPI(&old);
		virErrorRestore(&saved);
	}
	if (vm && domain_begin_job(vm, VIR_JOB_MODIFY) < 0) {
		if (!vm->persistent)
			virDomainObjListRemove(xylem->domains, vm);
		virDomainObjEndAPI(&vm);
	}
	return vm;
}

void lifecycle_added(virDomainObj **vm, bool good)
{
	if (!good && (*vm)->persistent)
		virDomainObjRemoveTransientDef(*vm);
	else if (!good)
		virDomainObjListRemove(xylem->domains, *vm);
	domain_end_job(*vm);
	virDomainObjEndAPI(vm);
}

static void destroy_later(virDomainObj *vm, unsigned long life)
{
	struct domain_private *priv = vm->privateData;

	if (vm->def->id > 0 && priv->life == life && destroy(vm) < 0)
		VIR_WARN("%s, which was to end with its connection, is not destroyed: %s", vm->def->name,
		         virGetLastErrorMessage());
	virResetLastError();
}

/* The connection that started it has ended. Locked; libvirtd's main thread, which must not wait. */
static void auto_destroy(virDomainObj *vm, virConnectPtr conn G_GNUC_UNUSED)
{
	events_later(vm, destroy_later);
}

bool lifecycle_is_autodestroyed(virDomainObj *vm)
{
	return virCloseCallbacksDomainIsRegistered(vm, NULL, auto_destroy);
}

static int start(virDomainObj *vm, virConnectPtr conn, unsigned int flags)
{
	if (save_start(vm, flags & VIR_DOMAIN_START_PAUSED, flags & VIR_DOMAIN_START_FORCE_BOOT,
	               VIR_DOMAIN_EVENT_STARTED_BOOTED) < 0)
		return -1;
	if (flags & VIR_DOMAIN_START_AUTODESTROY)
		virCloseCallbacksDomainAdd(vm, conn, auto_destroy);
	return 0;
}

virDomainPtr lifecycle_create_xml(virConnectPtr conn, const char *xml, unsigned int flags)
{
	unsigned int parse_flags = VIR_DOMAIN_DEF_PARSE_INACTIVE;
	g_autoptr(virDomainDef) def = NULL;
	virDomainPtr dom = NULL;
	virDomainObj *vm;
	bool good;

	virCheckFlags(VIR_DOMAIN_START_PAUSED | VIR_DOMAIN_START_AUTODESTROY | VIR_DOMAIN_START_VALIDATE,
	              NULL);

	if (flags & VIR_DOMAIN_START_VALIDATE)
		parse_flags |= VIR_DOMAIN_DEF_PARSE_VALIDATE_SCHEMA;
	def = parse_domain(xml, xylem->xmlopt, parse_flags);
	if (!def || virDomainCreateXMLEnsureACL(conn, def) < 0)
		return NULL;
	vm = lifecycle_add(&def);
	if (!vm)
		return NULL;
	good = start(vm, conn, flags) == 0;
	if (good)
		dom = virGetDomain(conn, vm->def->name, vm->def->uuid, vm->def->id);
	lifecycle_added(&vm, good);
	return dom;
}

int lifecycle_create_flags(virDomainPtr dom, unsigned int flags)
{
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_START_PAUSED | VIR_DOMAIN_START_AUTODESTROY | VIR_DOMAIN_START_FORCE_BOOT,
	              -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainCreateWithFlagsEnsureACL(dom->conn, vm->def) < 0 ||
	    domain_begin_job(vm, VIR_JOB_MODIFY) < 0)
		goto cleanup;
	if (virDomainObjIsActive(vm)) {
		virReportError(VIR_ERR_OPERATION_INVALID, "domain %s is running already", vm->def->name);
	} else {
		ret = start(vm, dom->conn, flags);
		if (ret == 0)
			dom->id = vm->def->id;
	}
	domain_end_job(vm);
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

int lifecycle_create(virDomainPtr dom)
{
	return lifecycle_create_flags(dom, 0);
}

/* Pauses or resumes: by xylemd, which knows when the guest is between two domains; a foreign domain by the hypervisor. */
static int set_paused(virDomainObj *vm, bool paused)
{
	struct domain_private *priv = vm->privateData;
	char handle[VIR_UUID_STRING_BUFLEN];
	int ret;

	if (priv->foreign) {
		ret = paused ? xyl_domain_pause(xylem->xen, (uint32_t)vm->def->id)
		             : xyl_domain_unpause(xylem->xen, (uint32_t)vm->def->id);
		if (ret < 0)
			virReportError(VIR_ERR_OPERATION_FAILED, "%s", xyl_error());
		return ret;
	}
	domain_handle(vm, handle);
	if (slot_take(SLOT_GUEST, vm) < 0)
		return -1;
	virObjectUnlock(vm);
	ret = monitor_pause(xylem->monitor, handle, paused);
	virObjectLock(vm);
	slot_give(SLOT_GUEST);
	return ret < 0 ? -1 : virDomainObjCheckActive(vm);
}

static int refuse_state(const virDomainObj *vm, const char *wanted, int state)
{
	virReportError(VIR_ERR_OPERATION_INVALID, "domain %s is not %s but in the state '%s'", vm->def->name,
	               wanted, virDomainStateTypeToString(state));
	return -1;
}

static int suspend(virDomainObj *vm)
{
	int state = virDomainObjGetState(vm, NULL);

	if (virDomainObjCheckActive(vm) < 0)
		return -1;
	if (state == VIR_DOMAIN_PAUSED)
		return 0;
	if (state != VIR_DOMAIN_RUNNING)
		return refuse_state(vm, "running", state);
	if (set_paused(vm, true) < 0)
		return -1;
	virDomainObjSetState(vm, VIR_DOMAIN_PAUSED, VIR_DOMAIN_PAUSED_USER);
	domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_SUSPENDED,
	                                               VIR_DOMAIN_EVENT_SUSPENDED_PAUSED));
	domain_save_status(vm);
	return 0;
}

/* One that stopped for a save or a migration which nobody finished, or by itself. */
static int wake(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;
	char handle[VIR_UUID_STRING_BUFLEN];
	int ret;

	if (slot_take(SLOT_GUEST, vm) < 0)
		return -1;
	if (virDomainObjCheckActive(vm) < 0 || process_lock(vm) < 0) {
		slot_give(SLOT_GUEST);
		return -1;
	}
	priv->migration = MIGRATION_NONE;
	/* What was saved is not its state any more when it runs. */
	if (priv->save_file) {
		g_autofree char *file = g_steal_pointer(&priv->save_file);

		virObjectUnlock(vm);
		savefile_discard(file);
		virObjectLock(vm);
	}
	domain_save_status(vm);
	domain_handle(vm, handle);
	virObjectUnlock(vm);
	ret = monitor_resume(xylem->monitor, handle);
	virObjectLock(vm);
	slot_give(SLOT_GUEST);
	if (ret < 0 || virDomainObjCheckActive(vm) < 0)
		return -1;
	virDomainObjSetState(vm, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_WAKEUP);
	domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_RESUMED,
	                                               VIR_DOMAIN_EVENT_RESUMED_UNPAUSED));
	domain_save_status(vm);
	return 0;
}

static int resume(virDomainObj *vm)
{
	const struct domain_private *priv = vm->privateData;
	struct xyl_dominfo info;
	int state, known;

	if (virDomainObjCheckActive(vm) < 0)
		return -1;
	if (priv->migration == MIGRATION_LEFT || priv->migration == MIGRATION_INCOMING) {
		virReportError(
		        VIR_ERR_OPERATION_INVALID,
		        "%s runs on another host, and is destroyed here as soon as xylemd can be asked",
		        vm->def->name);
		return -1;
	}
	known = domain_query(vm, &info);
	if (known < 0)
		return -1;
	if (!known && info.shutdown && info.shutdown_reason == XYL_SHUTDOWN_SUSPEND)
		return wake(vm);
	state = domain_state(vm, &info, NULL);
	if (state == VIR_DOMAIN_RUNNING)
		return 0;
	if (state != VIR_DOMAIN_PAUSED)
		return refuse_state(vm, "paused", state);
	if (set_paused(vm, false) < 0)
		return -1;
	virDomainObjSetState(vm, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_UNPAUSED);
	domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_RESUMED,
	                                               VIR_DOMAIN_EVENT_RESUMED_UNPAUSED));
	domain_save_status(vm);
	return 0;
}

int lifecycle_suspend(virDomainPtr dom)
{
	virDomainObj *vm = domain_get(dom);
	const struct domain_private *priv;
	int ret = -1;

	if (!vm)
		return -1;
	priv = vm->privateData;
	if (virDomainSuspendEnsureACL(dom->conn, vm->def) < 0 || domain_refuse_dom0(vm, "suspended") < 0) {
		ret = -1;
	} else if (priv->migration == MIGRATION_SENDING) {
		/* What clients do when a migration takes too long for them: it is suspended until it is there. */
		ret = job_hurry(vm);
	} else if (domain_begin_job(vm, VIR_JOB_SUSPEND) == 0) {
		ret = suspend(vm);
		domain_end_job(vm);
	}
	virDomainObjEndAPI(&vm);
	return ret;
}

int lifecycle_resume(virDomainPtr dom)
{
	virDomainObj *vm = domain_get(dom);
	int ret = -1;

	if (!vm)
		return -1;
	if (virDomainResumeEnsureACL(dom->conn, vm->def) == 0 && domain_refuse_dom0(vm, "resumed") == 0 &&
	    domain_begin_job(vm, VIR_JOB_MODIFY) == 0) {
		ret = resume(vm);
		domain_end_job(vm);
	}
	virDomainObjEndAPI(&vm);
	return ret;
}

/* Asks the guest through xylemd. No job: a guest in which something is stuck may still be asked. */
static int ask(virDomainObj *vm, const char *mode)
{
	char handle[VIR_UUID_STRING_BUFLEN];
	int ret;

	if (virDomainObjCheckActive(vm) < 0)
		return -1;
	domain_handle(vm, handle);
	if (slot_take(SLOT_ASK, vm) < 0)
		return -1;
	virObjectUnlock(vm);
	ret = monitor_shutdown(xylem->monitor, handle, mode);
	virObjectLock(vm);
	slot_give(SLOT_ASK);
	return ret;
}

/* The ways to ask a guest are the same bits in the flags of shutdown and of reboot. */
#define MODES                                                                   \
	(VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN | VIR_DOMAIN_SHUTDOWN_GUEST_AGENT | \
	 VIR_DOMAIN_SHUTDOWN_INITCTL | VIR_DOMAIN_SHUTDOWN_SIGNAL | VIR_DOMAIN_SHUTDOWN_PARAVIRT)
G_STATIC_ASSERT(MODES == (VIR_DOMAIN_REBOOT_ACPI_POWER_BTN | VIR_DOMAIN_REBOOT_GUEST_AGENT |
                          VIR_DOMAIN_REBOOT_INITCTL | VIR_DOMAIN_REBOOT_SIGNAL | VIR_DOMAIN_REBOOT_PARAVIRT));
G_STATIC_ASSERT((int)VIR_DOMAIN_SHUTDOWN_PARAVIRT == (int)VIR_DOMAIN_REBOOT_PARAVIRT);

/* Of several ways to ask a guest the one that it has is taken. done: what Domain-0 cannot be. */
static int ask_by(virDomainPtr dom, unsigned int flags,
                  int (*acl)(virConnectPtr conn, virDomainDef *def, unsigned int flags), const char *done,
                  const char *mode)
{
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(MODES, -1);
	if (flags && !(flags & VIR_DOMAIN_SHUTDOWN_PARAVIRT)) {
		virReportError(
		        VIR_ERR_ARGUMENT_UNSUPPORTED, "%s",
		        "a paravirtual guest has no ACPI button, guest agent or init FIFO to ask it by: "
		        "--mode paravirt, or none");
		return -1;
	}
	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (acl(dom->conn, vm->def, flags) == 0 && domain_refuse_dom0(vm, done) == 0)
		ret = ask(vm, mode);
	virDomainObjEndAPI(&vm);
	return ret;
}

int lifecycle_shutdown_flags(virDomainPtr dom, unsigned int flags)
{
	return ask_by(dom, flags, virDomainShutdownFlagsEnsureACL, "shut down", "poweroff");
}

int lifecycle_shutdown(virDomainPtr dom)
{
	return lifecycle_shutdown_flags(dom, 0);
}

int lifecycle_reboot(virDomainPtr dom, unsigned int flags)
{
	return ask_by(dom, flags, virDomainRebootEnsureACL, "rebooted", "reboot");
}

/* Something that needs no job, since it acts whatever other calls wait for. done: what Domain-0 cannot be. */
static int act(virDomainPtr dom, int (*acl)(virConnectPtr conn, virDomainDef *def), const char *done,
               int (*fn)(virDomainObj *vm))
{
	virDomainObj *vm = domain_get(dom);
	int ret = -1;

	if (!vm)
		return -1;
	if (acl(dom->conn, vm->def) == 0 && domain_refuse_dom0(vm, done) == 0)
		ret = fn(vm);
	virDomainObjEndAPI(&vm);
	return ret;
}

int lifecycle_destroy_flags(virDomainPtr dom, unsigned int flags)
{
	virCheckFlags(VIR_DOMAIN_DESTROY_GRACEFUL, -1);

	return act(dom, virDomainDestroyFlagsEnsureACL, "destroyed", destroy);
}

int lifecycle_destroy(virDomainPtr dom)
{
	return lifecycle_destroy_flags(dom, 0);
}

/* As its reset button: the domain ends at once, and what its definition says of a reboot follows. */
static int reset(virDomainObj *vm)
{
	const struct domain_private *priv = vm->privateData;
	struct xyl_dominfo info;

	if (virDomainObjCheckActive(vm) < 0)
		return -1;
	if (priv->migration == MIGRATION_INCOMING || priv->migration == MIGRATION_SENT ||
	    priv->migration == MIGRATION_LEFT) {
		virReportError(VIR_ERR_OPERATION_INVALID,
		               "%s is between two hosts: it would run on both if it were reset",
		               vm->def->name);
		return -1;
	}
	if (!domain_is((unsigned int)vm->def->id, vm->def->uuid, &info) || info.shutdown || info.dying) {
		virReportError(VIR_ERR_OPERATION_INVALID, "%s has stopped already", vm->def->name);
		return -1;
	}
	if (xyl_domain_shutdown(xylem->xen, info.domid, XYL_SHUTDOWN_REBOOT) < 0) {
		virReportError(VIR_ERR_OPERATION_FAILED, "%s", xyl_error());
		return -1;
	}
	return 0;
}

int lifecycle_reset(virDomainPtr dom, unsigned int flags)
{
	virCheckFlags(0, -1);

	return act(dom, virDomainResetEnsureACL, "reset", reset);
}

/* To each vcpu that is online, as a machine's button does it. */
static int inject_nmi(virDomainObj *vm)
{
	struct xyl_dominfo info;
	uint32_t vcpu;
	int sent = 0, known;

	if (virDomainObjCheckActive(vm) < 0 || (known = domain_query(vm, &info)) < 0)
		return -1;
	if (known > 0) {
		virReportError(VIR_ERR_OPERATION_INVALID, "%s is between two domains at present",
		               vm->def->name);
		return -1;
	}
	if (info.shutdown || info.dying) {
		virReportError(VIR_ERR_OPERATION_INVALID, "%s has stopped: its kernel hears nothing",
		               vm->def->name);
		return -1;
	}
	for (vcpu = 0; vcpu < info.max_vcpus; vcpu++) {
		struct xyl_vcpuinfo state;

		if (xyl_vcpu_info(xylem->xen, info.domid, vcpu, &state) < 0 || !state.online)
			continue;
		if (xyl_vcpu_nmi(xylem->xen, info.domid, vcpu) < 0)
			break;
		sent++;
	}
	if (sent && vcpu == info.max_vcpus)
		return 0;
	virReportError(VIR_ERR_OPERATION_FAILED, "%s: %s", vm->def->name,
	               vcpu < info.max_vcpus ? xyl_error() : "none of its vcpus is online");
	return -1;
}

int lifecycle_inject_nmi(virDomainPtr dom, unsigned int flags)
{
	virCheckFlags(0, -1);

	return act(dom, virDomainInjectNMIEnsureACL, "sent an NMI", inject_nmi);
}

struct policy {
	unsigned int type;
	virDomainLifecycleAction action;
};

static int edit_policy(virDomainDef *def, void *data)
{
	const struct policy *policy = data;

	switch (policy->type) {
	case VIR_DOMAIN_LIFECYCLE_POWEROFF:
		def->onPoweroff = policy->action;
		return 0;
	case VIR_DOMAIN_LIFECYCLE_REBOOT:
		def->onReboot = policy->action;
		return 0;
	default:
		def->onCrash = policy->action;
		return 0;
	}
}

static int set_policy_live(virDomainObj *vm, void *data)
{
	static const char *const events[] = { "poweroff", "reboot", "crash" };
	const struct policy *policy = data;
	char handle[VIR_UUID_STRING_BUFLEN];
	int ret;

	domain_handle(vm, handle);
	if (slot_take(SLOT_GUEST, vm) < 0)
		return -1;
	virObjectUnlock(vm);
	ret = monitor_set_policy(xylem->monitor, handle, events[policy->type],
	                         virDomainLifecycleActionTypeToString((int)policy->action));
	virObjectLock(vm);
	slot_give(SLOT_GUEST);
	if (ret < 0 || virDomainObjCheckActive(vm) < 0 || edit_policy(vm->def, data) < 0)
		return -1;
	domain_save_status(vm);
	process_keep_definition(vm);
	return 0;
}

int lifecycle_set_action(virDomainPtr dom, unsigned int type, unsigned int action, unsigned int flags)
{
	static const struct domain_change change = { edit_policy, set_policy_live };
	struct policy policy = { type, (virDomainLifecycleAction)action };
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainSetLifecycleActionEnsureACL(dom->conn, vm->def) < 0 ||
	    domain_refuse_dom0(vm, "given a policy") < 0 || check_action(type, action) < 0 ||
	    domain_begin_job(vm, VIR_JOB_MODIFY) < 0)
		goto cleanup;
	ret = domain_change(vm, flags, &change, &policy);
	domain_end_job(vm);
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

int lifecycle_cancel(virDomainObj *vm)
{
	char handle[VIR_UUID_STRING_BUFLEN];
	int ret;

	domain_handle(vm, handle);
	if (slot_take(SLOT_ASK, vm) < 0)
		return -1;
	virObjectUnlock(vm);
	ret = monitor_cancel(xylem->monitor, handle);
	virObjectLock(vm);
	slot_give(SLOT_ASK);
	return ret;
}

/* The jobs that can be given up are a start, a save, a dump and a migration. */
int lifecycle_abort_job_flags(virDomainPtr dom, unsigned int flags)
{
	struct domain_private *priv;
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(0, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	priv = vm->privateData;
	if (virDomainAbortJobFlagsEnsureACL(dom->conn, vm->def) < 0)
		goto cleanup;
	if (priv->starting && !virDomainObjIsActive(vm))
		ret = destroy_building(vm);
	else if (priv->save_file || priv->dumping)
		ret = lifecycle_cancel(vm);
	else if (migrate_abort(vm) == 0)
		ret = 0;
	else if (priv->incoming && !virDomainObjIsActive(vm) && migrate_release(vm))
		ret = 0; /* nobody has connected yet to send it */
	else
		virReportError(
		        VIR_ERR_OPERATION_INVALID,
		        "%s is not being started, saved, dumped or sent to another host, and nothing else of it can be aborted",
		        vm->def->name);
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

int lifecycle_abort_job(virDomainPtr dom)
{
	return lifecycle_abort_job_flags(dom, 0);
}

int lifecycle_get_state(virDomainPtr dom, int *state, int *reason, unsigned int flags)
{
	struct xyl_dominfo info;
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(0, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainGetStateEnsureACL(dom->conn, vm->def) < 0)
		goto cleanup;
	/* What cannot be asked is told as it is known. */
	if (vm->def->id > 0 && xyl_domain_info(xylem->xen, (uint32_t)vm->def->id, &info) == 0)
		domain_refresh(vm, &info);
	else
		memset(&info, 0, sizeof(info));
	*state = domain_state(vm, &info, reason);
	ret = 0;
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}
