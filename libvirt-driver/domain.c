/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domain objects: their private data, jobs, the cap on waiting calls, hook scripts, and their state as the
 * hypervisor sees it.
 */
#include "domain.h"

#include <libxml/tree.h>

#include "xylem.h"

#include "job.h"
#include "process.h"
#include "savefile.h"

#include "datatypes.h"
#include "domain_event.h"
#include "virchrdev.h"
#include "virdomainobjlist.h"
#include "virerror.h"
#include "virfile.h"
#include "virhook.h"
#include "viridentity.h"
#include "virlog.h"
#include "virthread.h"
#include "virtime.h"
#include "viruuid.h"

VIR_LOG_INIT("xylem.domain");

/*
 * libvirtd has 20 workers, and five more for calls that mostly do not wait (destroy is one that may). Of the 20 no more than
 * the sum of what stands here waits while nothing moves. Where slots are taken and given back all the time, any number of
 * calls may wait for their turn; where none has moved for calm_ms, no more than `awaited` go on waiting.
 */
#define WAITING_MAX 18

static const struct {
	unsigned int taken;
	unsigned int awaited;
	unsigned int calm_ms;
	unsigned int wait_ms;
} slots_max[SLOT_KINDS] = {
	/* Each build ends, but any of them may take long. */
	[SLOT_BUILD] = { .taken = 5, .awaited = 3, .calm_ms = 0, .wait_ms = 300000 },
	[SLOT_GUEST] = { .taken = 3, .awaited = 0, .calm_ms = 1000, .wait_ms = 30000 },
	[SLOT_JOB] = { .taken = 1, .awaited = 0, .calm_ms = 1000, .wait_ms = 30000 },
	[SLOT_ASK] = { .taken = 1, .awaited = 0, .calm_ms = 1000, .wait_ms = 5000 },
	[SLOT_DISK] = { .taken = 1, .awaited = 0, .calm_ms = 1000, .wait_ms = 5000 },
	[SLOT_END] = { .taken = 4, .awaited = 0, .calm_ms = 1000, .wait_ms = 30000 },
};

G_STATIC_ASSERT(5 + 3 + 3 + 0 + 1 + 0 + 1 + 0 + 1 + 0 + 4 + 0 <= WAITING_MAX);

void act_as_libvirtd(void)
{
	g_autoptr(virIdentity) system = virIdentityGetSystem();

	ignore_value(virIdentitySetCurrent(system));
}

static void *private_alloc(void *opaque G_GNUC_UNUSED)
{
	struct domain_private *priv = g_new0(struct domain_private, 1);

	priv->chrdevs = virChrdevAlloc();
	if (!priv->chrdevs) {
		g_free(priv);
		return NULL;
	}
	priv->why_reason = -1;
	priv->why_detail = -1;
	return priv;
}

static void private_free(void *data)
{
	struct domain_private *priv = data;

	virChrdevFree(priv->chrdevs);
	job_free(priv->job);
	job_free(priv->completed);
	g_free(priv->save_file);
	g_free(priv);
}

/* What of enum migration is of use to a libvirtd that is started again. */
static const char *const phases[] = {
	[MIGRATION_SENDING] = "sending",
	[MIGRATION_SENT] = "sent",
	[MIGRATION_LEFT] = "left",
	[MIGRATION_INCOMING] = "incoming",
};

static int private_format(virBuffer *buf, virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;

	if (priv->foreign)
		virBufferAddLit(buf, "<foreign/>\n");
	if (priv->locked)
		virBufferAddLit(buf, "<locked/>\n");
	virBufferEscapeString(buf, "<save file='%s'/>\n", priv->save_file);
	if (phases[priv->migration])
		virBufferAsprintf(buf, "<migration phase='%s'/>\n", phases[priv->migration]);
	return 0;
}

static int private_parse(xmlXPathContextPtr ctxt, virDomainObj *vm,
                         virDomainDefParserConfig *config G_GNUC_UNUSED)
{
	struct domain_private *priv = vm->privateData;
	g_autofree char *phase = virXPathString("string(./migration/@phase)", ctxt);
	size_t i;

	for (i = 0; phase && i < G_N_ELEMENTS(phases); i++) {
		if (STREQ_NULLABLE(phase, phases[i]))
			priv->migration = (enum migration)i;
	}
	priv->foreign = priv->untold = virXPathBoolean("boolean(./foreign)", ctxt) == 1;
	priv->locked = virXPathBoolean("boolean(./locked)", ctxt) == 1;
	priv->save_file = virXPathString("string(./save/@file)", ctxt);
	return 0;
}

virDomainXMLPrivateDataCallbacks domain_private_data = {
	.alloc = private_alloc,
	.free = private_free,
	.format = private_format,
	.parse = private_parse,
};

virDomainObj *domain_get(virDomainPtr dom)
{
	struct xylem_driver *driver = dom->conn->privateData;
	virDomainObj *vm = virDomainObjListFindByUUID(driver->domains, dom->uuid);
	char uuid[VIR_UUID_STRING_BUFLEN];

	if (!vm) {
		virUUIDFormat(dom->uuid, uuid);
		virReportError(VIR_ERR_NO_DOMAIN, "no domain with UUID %s (%s)", uuid, dom->name);
	}
	return vm;
}

bool domain_is_dom0(const virDomainObj *vm)
{
	return vm->def->id == 0;
}

int domain_refuse_dom0(virDomainObj *vm, const char *operation)
{
	if (!domain_is_dom0(vm))
		return 0;
	virReportError(VIR_ERR_OPERATION_INVALID, "Domain-0 is this host itself and cannot be %s", operation);
	return -1;
}

/* Waits for a moment in which there is a slot, or more calls wait than may, or the start that waits for one is given up.
 * driver.lock is held. */
static int slot_wait(enum slot kind, const bool *doomed)
{
	unsigned long long now, until = 0, next;

	while (xylem->slots[kind].taken >= slots_max[kind].taken) {
		if ((doomed && *doomed) || virTimeMillisNow(&now) < 0)
			return -1;
		if (!until)
			until = now + slots_max[kind].wait_ms;
		next = xylem->slots[kind].moved_ms + slots_max[kind].calm_ms;
		if (now >= until || (now >= next && xylem->slots[kind].awaited > slots_max[kind].awaited))
			return -1;
		/* Either something moves, or it is looked again who has to go. */
		next = next > now ? next : now + 1000;
		if (virCondWaitUntil(&xylem->slot_free, &xylem->lock, MIN(next, until)) < 0 &&
		    errno != ETIMEDOUT)
			return -1;
	}
	return 0;
}

int slot_take(enum slot kind, virDomainObj *vm)
{
	static const char *const for_what[SLOT_KINDS] = {
		[SLOT_BUILD] = "for guests to be built",
		[SLOT_GUEST] = "for answers of guests",
		[SLOT_JOB] = "behind other calls for their guests",
		[SLOT_ASK] = "for xylemd, which does not answer",
		[SLOT_DISK] = "for a disk, which does not answer",
		[SLOT_END] = "for guests to end",
	};
	const struct domain_private *priv = vm ? vm->privateData : NULL;
	const bool *doomed = kind == SLOT_BUILD && priv ? &priv->doomed : NULL;
	int ret;

	if (vm)
		virObjectUnlock(vm);
	virMutexLock(&xylem->lock);
	xylem->slots[kind].awaited++;
	ret = slot_wait(kind, doomed);
	xylem->slots[kind].awaited--;
	if (ret == 0) {
		xylem->slots[kind].taken++;
		ignore_value(virTimeMillisNow(&xylem->slots[kind].moved_ms));
	} else if (doomed && *doomed) {
		virReportError(VIR_ERR_OPERATION_ABORTED, "%s", "the start was given up");
	} else {
		virReportError(VIR_ERR_OPERATION_FAILED,
		               "%u calls are waiting %s already; try again when one has finished",
		               xylem->slots[kind].taken, for_what[kind]);
	}
	virMutexUnlock(&xylem->lock);
	if (vm)
		virObjectLock(vm);
	return ret;
}

bool slot_try(enum slot kind)
{
	bool free;

	virMutexLock(&xylem->lock);
	free = xylem->slots[kind].taken < slots_max[kind].taken;
	if (free) {
		xylem->slots[kind].taken++;
		ignore_value(virTimeMillisNow(&xylem->slots[kind].moved_ms));
	}
	virMutexUnlock(&xylem->lock);
	return free;
}

void slot_give(enum slot kind)
{
	virMutexLock(&xylem->lock);
	xylem->slots[kind].taken--;
	ignore_value(virTimeMillisNow(&xylem->slots[kind].moved_ms));
	virCondBroadcast(&xylem->slot_free);
	virMutexUnlock(&xylem->lock);
}

void domain_doom(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;

	virMutexLock(&xylem->lock);
	priv->doomed = true;
	virCondBroadcast(&xylem->slot_free);
	virMutexUnlock(&xylem->lock);
}

int domain_begin_job(virDomainObj *vm, virDomainJob job)
{
	int ret;

	/* Without another's job in the way nothing is waited for. */
	if (vm->job->active == VIR_JOB_NONE)
		return virDomainObjBeginJob(vm, job) < 0 ? -1 : 0;
	if (slot_take(SLOT_JOB, vm) < 0)
		return -1;
	ret = virDomainObjBeginJob(vm, job);
	slot_give(SLOT_JOB);
	return ret < 0 ? -1 : 0;
}

void domain_end_job(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;

	if (priv->gone && vm->def->id == priv->gone_domid)
		process_stopped(vm, priv->why_reason, priv->why_detail);
	else if (priv->gone) /* an earlier life of the domain, reported late */
		priv->why_reason = priv->why_detail = -1;
	priv->gone = false;
	virDomainObjEndJob(vm);
}

char *domain_save_file(const virDomainObj *vm)
{
	return g_strdup_printf("%s/%s.save", xylem->save_dir, vm->def->name);
}

void domain_know_save(virDomainObj *vm, bool there)
{
	struct domain_private *priv = vm->privateData;

	vm->hasManagedSave = there;
	priv->save_unknown = false;
}

bool domain_look_for_save(const char *file)
{
	return virFileExists(file) && !savefile_is_dead(file);
}

int domain_remove_save(virDomainObj *vm)
{
	g_autofree char *file = domain_save_file(vm);
	bool gone;

	virObjectUnlock(vm);
	gone = unlink(file) == 0 || errno == ENOENT;
	if (!gone)
		virReportSystemError(errno, "the managed save %s cannot be removed", file);
	virObjectLock(vm);
	if (!gone)
		return -1;
	domain_know_save(vm, false);
	return 0;
}

void domain_save_status(virDomainObj *vm)
{
	if (virDomainObjSave(vm, xylem->xmlopt, xylem->state_dir) < 0)
		VIR_WARN("state of %s cannot be saved in %s", vm->def->name, xylem->state_dir);
}

int domain_save_config(virDomainDef *def)
{
	return virDomainDefSave(def, xylem->xmlopt, xylem->config_dir);
}

static virDomainDef *changed_copy(virDomainObj *vm, const struct domain_change *change, void *data)
{
	g_autoptr(virDomainDef) def = virDomainObjCopyPersistentDef(vm, xylem->xmlopt, NULL);

	return def && change->edit(def, data) == 0 ? g_steal_pointer(&def) : NULL;
}

int domain_change(virDomainObj *vm, unsigned int flags, const struct domain_change *change, void *data)
{
	g_autoptr(virDomainDef) def = NULL;

	if (virDomainObjUpdateModificationImpact(vm, &flags) < 0)
		return -1;
	if (flags & VIR_DOMAIN_AFFECT_CONFIG) {
		def = changed_copy(vm, change, data);
		if (!def)
			return -1;
	}
	if (flags & VIR_DOMAIN_AFFECT_LIVE) {
		if (change->live(vm, data) < 0)
			return -1;
		if (!def)
			return 0;
		/* Another one may have been defined while the guest was asked. */
		virDomainDefFree(def);
		def = changed_copy(vm, change, data);
	}
	if (!def || domain_save_config(def) < 0)
		return -1;
	virDomainObjAssignDef(vm, &def, false, NULL);
	return 0;
}

int domain_hook_xml(virDomainObj *vm, const char *xml, int op, int subop)
{
	g_autofree char *name = NULL;
	int ret;

	if (!virHookPresent(VIR_HOOK_DRIVER_LIBXL))
		return 0;
	name = g_strdup(vm->def->name);
	virObjectUnlock(vm);
	ret = virHookCall(VIR_HOOK_DRIVER_LIBXL, name, op, subop, NULL, xml, NULL);
	virObjectLock(vm);
	return ret < 0 ? -1 : 0;
}

int domain_hook(virDomainObj *vm, virDomainDef *def, int op, int subop)
{
	g_autofree char *xml = NULL;

	if (!virHookPresent(VIR_HOOK_DRIVER_LIBXL))
		return 0;
	xml = virDomainDefFormat(def, xylem->xmlopt, 0);
	return xml ? domain_hook_xml(vm, xml, op, subop) : -1;
}

void domain_event(virObjectEvent *event)
{
	virObjectEventStateQueue(xylem->events, event);
}

void domain_count_active(int change)
{
	bool first, last;

	virMutexLock(&xylem->lock);
	first = change > 0 && xylem->active_count == 0;
	xylem->active_count += change;
	last = change < 0 && xylem->active_count == 0;
	virMutexUnlock(&xylem->lock);
	if (xylem->inhibit && (first || last))
		xylem->inhibit(first, xylem->inhibit_opaque);
}

void domain_handle(const virDomainObj *vm, char handle[VIR_UUID_STRING_BUFLEN])
{
	const struct domain_private *priv = vm->privateData;

	if (priv->foreign)
		g_snprintf(handle, VIR_UUID_STRING_BUFLEN, "%d", vm->def->id);
	else
		virUUIDFormat(vm->def->uuid, handle);
}

int domain_query(const virDomainObj *vm, struct xyl_dominfo *info)
{
	const struct domain_private *priv = vm->privateData;
	bool kept = !domain_is_dom0(vm) && !priv->foreign;
	int ret = xyl_domain_info(xylem->xen, (uint32_t)vm->def->id, info);

	if (ret < 0 && !(kept && errno == ESRCH)) {
		virReportError(VIR_ERR_OPERATION_FAILED, "%s", xyl_error());
		return -1;
	}
	if (ret == 0 && (!kept || memcmp(info->uuid, vm->def->uuid, VIR_UUID_BUFLEN) == 0))
		return 0;
	/* Between two domains: as the next one begins. */
	memset(info, 0, sizeof(*info));
	info->domid = (uint32_t)vm->def->id;
	info->memory_pages = vm->def->mem.cur_balloon / 4;
	info->online_vcpus = virDomainDefGetVcpus(vm->def);
	info->max_vcpus = virDomainDefGetVcpusMax(vm->def);
	return 1;
}

int domain_state(virDomainObj *vm, const struct xyl_dominfo *info, int *reason)
{
	const struct domain_private *priv = vm->privateData;
	int state = virDomainObjGetState(vm, reason);

	if (!info->dying || priv->rebuilding || (state != VIR_DOMAIN_RUNNING && state != VIR_DOMAIN_PAUSED))
		return state;
	if (reason)
		*reason = VIR_DOMAIN_SHUTDOWN_UNKNOWN;
	return VIR_DOMAIN_SHUTDOWN;
}

/* What the hypervisor's flags mean in libvirt's words. */
static int state_of(const struct xyl_dominfo *info, int *reason)
{
	if (info->dying) {
		*reason = VIR_DOMAIN_SHUTDOWN_UNKNOWN;
		return VIR_DOMAIN_SHUTDOWN;
	}
	if (info->shutdown) {
		switch (info->shutdown_reason) {
		case XYL_SHUTDOWN_SUSPEND:
			*reason = VIR_DOMAIN_PMSUSPENDED_UNKNOWN;
			return VIR_DOMAIN_PMSUSPENDED;
		case XYL_SHUTDOWN_CRASH:
		case XYL_SHUTDOWN_WATCHDOG:
			*reason = VIR_DOMAIN_CRASHED_UNKNOWN;
			return VIR_DOMAIN_CRASHED;
		default:
			*reason = VIR_DOMAIN_SHUTDOWN_USER;
			return VIR_DOMAIN_SHUTDOWN;
		}
	}
	if (info->paused) {
		*reason = VIR_DOMAIN_PAUSED_UNKNOWN;
		return VIR_DOMAIN_PAUSED;
	}
	*reason = VIR_DOMAIN_RUNNING_UNKNOWN;
	return VIR_DOMAIN_RUNNING;
}

static void refresh_reason(struct domain_private *priv, const struct xyl_dominfo *info)
{
	if (!info->shutdown || priv->why_reason >= 0)
		return;
	if (info->shutdown_reason == XYL_SHUTDOWN_CRASH || info->shutdown_reason == XYL_SHUTDOWN_WATCHDOG) {
		priv->why_reason = VIR_DOMAIN_SHUTOFF_CRASHED;
		priv->why_detail = VIR_DOMAIN_EVENT_STOPPED_CRASHED;
	} else if (info->shutdown_reason != XYL_SHUTDOWN_SUSPEND) {
		priv->why_reason = VIR_DOMAIN_SHUTOFF_SHUTDOWN;
		priv->why_detail = VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN;
	}
}

/*
 * Whether a state that the hypervisor reports is one that clients are told of. A guest that reboots is running
 * for them until it runs again; one that is being taken down is as it was, and Stopped follows.
 */
static bool state_counts(virDomainObj *vm, const struct xyl_dominfo *info)
{
	struct domain_private *priv = vm->privateData;

	if (info->dying)
		return false;
	return !info->shutdown || info->shutdown_reason != XYL_SHUTDOWN_REBOOT || priv->foreign ||
	       (vm->def->onReboot != VIR_DOMAIN_LIFECYCLE_ACTION_RESTART &&
	        vm->def->onReboot != VIR_DOMAIN_LIFECYCLE_ACTION_RESTART_RENAME);
}

static void state_event(virDomainObj *vm, int state)
{
	static const struct {
		int state, type, detail;
	} events[] = {
		{ VIR_DOMAIN_PAUSED, VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_PAUSED },
		{ VIR_DOMAIN_RUNNING, VIR_DOMAIN_EVENT_RESUMED, VIR_DOMAIN_EVENT_RESUMED_UNPAUSED },
		{ VIR_DOMAIN_CRASHED, VIR_DOMAIN_EVENT_CRASHED, VIR_DOMAIN_EVENT_CRASHED_PANICKED },
		{ VIR_DOMAIN_SHUTDOWN, VIR_DOMAIN_EVENT_SHUTDOWN, VIR_DOMAIN_EVENT_SHUTDOWN_FINISHED },
		{ VIR_DOMAIN_PMSUSPENDED, VIR_DOMAIN_EVENT_PMSUSPENDED, VIR_DOMAIN_EVENT_PMSUSPENDED_MEMORY },
	};
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(events); i++) {
		if (events[i].state == state)
			domain_event(virDomainEventLifecycleNewFromObj(vm, events[i].type, events[i].detail));
	}
}

/* Whether the state is the hypervisor's to tell, and another one than clients know. */
static bool is_news(virDomainObj *vm, const struct xyl_dominfo *info)
{
	struct domain_private *priv = vm->privateData;
	int reason;

	if (vm->def->id == 0 || vm->def->id != (int)info->domid || vm->job->active != VIR_JOB_NONE ||
	    priv->starting)
		return false;
	/* One that was sent away is suspended, and stays what clients were told. */
	if ((priv->migration == MIGRATION_SENT || priv->migration == MIGRATION_LEFT) && info->shutdown)
		return false;
	return state_of(info, &reason) != (int)virDomainObjGetState(vm, NULL);
}

static void take_state(virDomainObj *vm, const struct xyl_dominfo *info)
{
	int reason, state = state_of(info, &reason);

	refresh_reason(vm->privateData, info);
	if (state == (int)virDomainObjGetState(vm, NULL) || !state_counts(vm, info))
		return;
	virDomainObjSetState(vm, state, reason);
	state_event(vm, state);
	domain_save_status(vm);
}

void domain_refresh(virDomainObj *vm, const struct xyl_dominfo *info)
{
	struct xyl_dominfo now;

	/* A list of all domains may be older than what a client has done since. */
	if (is_news(vm, info) && xyl_domain_info(xylem->xen, info->domid, &now) == 0)
		take_state(vm, &now);
}

void domain_ended(virDomainObj *vm, unsigned int domid, int shutdown_reason)
{
	struct xyl_dominfo then = { .domid = domid, .shutdown = true, .shutdown_reason = shutdown_reason };

	if (is_news(vm, &then))
		take_state(vm, &then);
}
