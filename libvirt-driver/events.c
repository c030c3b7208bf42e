/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What happens without a client: guests end, reboot, crash; others create and destroy domains; libvirtd and
 * xylemd are restarted. The hypervisor is the truth, and the objects follow it.
 *
 * One thread with a main loop of its own (nothing here runs in libvirtd's) hears xenstored's @introduceDomain
 * and
 * @releaseDomain and xylemd's events. It takes object locks for moments only and never waits for a job: what
 * an end brings with it (hooks, networks) is done by a few helpers, or by whoever has the domain's job at
 * present.
 */
#include "events.h"
#include "domain.h"
#include "halfway.h"
#include "locks.h"
#include "migrate.h"
#include "monitor.h"
#include "net.h"
#include "parse.h"
#include "process.h"
#include "save.h"
#include "screen.h"
#include "xylem.h"

#include <gio/gio.h>
#include <xenctrl.h>

#include "domain_event.h"
#include "virdomainjob.h"
#include "virdomainobjlist.h"
#include "virerror.h"
#include "virhook.h"
#include "virlog.h"
#include "virthread.h"
#include "virtime.h"
#include "viruuid.h"

VIR_LOG_INIT("xylem.events");

#define RECONCILE_MS 20
#define AGAIN_MS     500
#define SETTLE_MS    2000
#define ASK_MS       5000
/* How long a guest that the hypervisor does not list is taken to be alive while xylemd cannot be asked. */
#define MISSING_MS 60000
#define HELPERS    8

/* What a helper does for the event thread. */
struct errand {
	virDomainObj *vm;     /* NULL: of no guest, but what is halfway */
	events_work_fn *work; /* NULL: what follows from its end */
	unsigned long life;
	int domid;
	int reason;
	int detail;
};

static GMainLoop *loop;
static virThread thread;
static bool thread_runs;
static GThreadPool *helpers;
static GSource *reconcile_source; /* event thread only */
static GSource *ask_source;       /* likewise */
static bool reconcile_again;      /* event thread only, or before it runs */
static bool xylemd_is_new;        /* likewise: since the last reconciling */
static gint settle_awaited;       /* atomic */
static struct xyl_watch *watches[2];

static void settle(void);

static void help(void *data, void *opaque G_GNUC_UNUSED)
{
	struct errand *e = data;

	act_as_libvirtd();
	if (!e->vm) {
		settle();
		g_free(e);
		return;
	}
	virObjectLock(e->vm);
	if (e->work)
		e->work(e->vm, e->life);
	else
		process_gone(e->vm, e->domid, e->reason, e->detail);
	virDomainObjEndAPI(&e->vm);
	g_free(e);
}

/* vm is locked, and stays so. */
static void ended(virDomainObj *vm, int domid, int reason, int detail)
{
	struct errand *e = g_new0(struct errand, 1);

	e->vm = virObjectRef(vm);
	e->domid = domid;
	e->reason = reason;
	e->detail = detail;
	g_thread_pool_push(helpers, e, NULL);
}

void events_later(virDomainObj *vm, events_work_fn *work)
{
	struct domain_private *priv = vm->privateData;
	struct errand *e = g_new0(struct errand, 1);

	e->vm = virObjectRef(vm);
	e->work = work;
	e->life = priv->life;
	g_thread_pool_push(helpers, e, NULL);
}

/* vm is locked, and stays so; it is under a new number. devices: as process_renumber() takes them. */
static void renumbered(virDomainObj *vm, int domid, GVariant *devices)
{
	process_renumber(vm, domid, devices);
	if (virHookPresent(VIR_HOOK_DRIVER_LIBXL))
		events_later(vm, process_rebooted);
}

static gboolean reconcile_now(void *data G_GNUC_UNUSED)
{
	g_clear_pointer(&reconcile_source, g_source_unref);
	events_reconcile(false);
	return G_SOURCE_REMOVE;
}

static void reconcile_later(unsigned int delay_ms)
{
	if (reconcile_source)
		return;
	reconcile_source = g_timeout_source_new(delay_ms);
	g_source_set_callback(reconcile_source, reconcile_now, NULL, NULL);
	g_source_attach(reconcile_source, xylem->context);
}

static gboolean ask_now(void *data G_GNUC_UNUSED)
{
	g_clear_pointer(&ask_source, g_source_unref);
	reconcile_later(RECONCILE_MS);
	return G_SOURCE_REMOVE;
}

/* xylemd, which does not answer now. */
static void ask_later(void)
{
	if (ask_source)
		return;
	ask_source = g_timeout_source_new(ASK_MS);
	g_source_set_callback(ask_source, ask_now, NULL, NULL);
	g_source_attach(ask_source, xylem->context);
}

static void on_store(struct xyl_store *store G_GNUC_UNUSED, const char *path G_GNUC_UNUSED,
                     void *data G_GNUC_UNUSED)
{
	reconcile_later(RECONCILE_MS);
}

/* ---- what is halfway ---- */

static gboolean settle_now(void *data G_GNUC_UNUSED)
{
	g_atomic_int_set(&settle_awaited, 0);
	g_thread_pool_push(helpers, g_new0(struct errand, 1), NULL);
	return G_SOURCE_REMOVE;
}

void events_settle_later(void)
{
	g_autoptr(GSource) source = NULL;

	if (!g_atomic_int_compare_and_exchange(&settle_awaited, 0, 1))
		return;
	source = g_timeout_source_new(SETTLE_MS);
	g_source_set_callback(source, settle_now, NULL, NULL);
	g_source_attach(source, xylem->context);
}

static gboolean settled(void *data G_GNUC_UNUSED)
{
	reconcile_later(RECONCILE_MS);
	return G_SOURCE_REMOVE;
}

/* A helper: xylemd may take its time. */
static void settle(void)
{
	if (!halfway_recover(false))
		events_settle_later();
	/* What runs is not yet attributed to anybody. */
	g_main_context_invoke(xylem->context, settled, NULL);
}

static void on_connected(void)
{
	xylemd_is_new = true;
	reconcile_later(RECONCILE_MS);
}

/* A domain without UUID (all zero is Domain-0's) gets one from its number. */
static void info_uuid(const struct xyl_dominfo *info, unsigned char uuid[VIR_UUID_BUFLEN])
{
	size_t i;

	memcpy(uuid, info->uuid, VIR_UUID_BUFLEN);
	for (i = 0; i < VIR_UUID_BUFLEN; i++) {
		if (uuid[i])
			return;
	}
	uuid[VIR_UUID_BUFLEN - 2] = (unsigned char)(info->domid >> 8);
	uuid[VIR_UUID_BUFLEN - 1] = (unsigned char)info->domid;
}

/* ---- xylemd's events ---- */

static void set_why(struct domain_private *priv, int reason, int detail)
{
	if (priv->why_reason >= 0)
		return;
	priv->why_reason = reason;
	priv->why_detail = detail;
}

static void event_shutdown(virDomainObj *vm, unsigned int domid, bool crashed, const char *detail)
{
	struct domain_private *priv = vm->privateData;

	if (STREQ(detail, "suspend"))
		return reconcile_later(RECONCILE_MS);
	if (crashed)
		set_why(priv, VIR_DOMAIN_SHUTOFF_CRASHED, VIR_DOMAIN_EVENT_STOPPED_CRASHED);
	else
		set_why(priv, VIR_DOMAIN_SHUTOFF_SHUTDOWN, VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN);
	domain_ended(vm, domid,
	             crashed                   ? XYL_SHUTDOWN_CRASH
	             : STREQ(detail, "reboot") ? XYL_SHUTDOWN_REBOOT
	                                       : XYL_SHUTDOWN_POWEROFF);
}

static void event_destroyed(virDomainObj *vm, const char *detail)
{
	struct domain_private *priv = vm->privateData;

	if (STREQ(detail, "restart"))
		priv->rebuilding = true;
	else if (STREQ(detail, "rate-limit"))
		set_why(priv, VIR_DOMAIN_SHUTOFF_FAILED, VIR_DOMAIN_EVENT_STOPPED_FAILED);
	else if (STREQ(detail, "request") || STREQ(detail, "other"))
		set_why(priv, VIR_DOMAIN_SHUTOFF_DESTROYED, VIR_DOMAIN_EVENT_STOPPED_DESTROYED);
}

/* A guest that is known as paused, and has rebooted, was let run by somebody, and runs when it is there again. */
static void event_rebuilding(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;

	priv->rebuilding = true;
	if (virDomainObjGetState(vm, NULL) != VIR_DOMAIN_PAUSED)
		return;
	virDomainObjSetState(vm, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_UNPAUSED);
	domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_RESUMED,
	                                               VIR_DOMAIN_EVENT_RESUMED_UNPAUSED));
}

static void event_died(virDomainObj *vm, unsigned int domid, const char *detail)
{
	struct domain_private *priv = vm->privateData;

	if (STREQ(detail, "restart"))
		return event_rebuilding(vm);
	if (STREQ(detail, "failed")) {
		priv->rebuilding = false;
		priv->why_reason = VIR_DOMAIN_SHUTOFF_FAILED;
		priv->why_detail = VIR_DOMAIN_EVENT_STOPPED_FAILED;
		/* The restart failed: the number may be that of the attempt. */
		if (vm->def->id >= 0)
			domid = (unsigned int)vm->def->id;
	}
	ended(vm, (int)domid, VIR_DOMAIN_SHUTOFF_DESTROYED, VIR_DOMAIN_EVENT_STOPPED_DESTROYED);
}

/* Its devices as xylemd made them, or NULL. */
static GVariant *guest_devices(const char *handle)
{
	g_autoptr(GVariant) domain = monitor_get(xylem->monitor, handle, NULL);

	return domain ? g_variant_lookup_value(domain, "devices", G_VARIANT_TYPE("aa{sv}")) : NULL;
}

static void on_event(unsigned int domid, const char *uuid_text, const char *name, const char *event,
                     const char *detail)
{
	g_autoptr(GVariant) devices = NULL;
	unsigned char uuid[VIR_UUID_BUFLEN];
	struct domain_private *priv;
	bool new_screen = STREQ(event, "config") && STREQ(detail, "screen");
	virDomainObj *vm;

	VIR_DEBUG("domain %u (%s): %s %s", domid, name, event, detail);
	if (STREQ(event, "rebooted") || new_screen)
		devices = guest_devices(uuid_text);
	/* A guest that ends between two domains has no number. */
	if ((domid == 0 && STRNEQ(event, "died")) || virUUIDParse(uuid_text, uuid) < 0)
		return;
	vm = virDomainObjListFindByUUID(xylem->domains, uuid);
	if (!vm) {
		reconcile_later(RECONCILE_MS);
		return;
	}
	priv = vm->privateData;
	if (STREQ(event, "rebooted")) {
		if (vm->def->id < 0)
			reconcile_later(RECONCILE_MS);
		else if (vm->def->id != (int)domid) /* reconciling may have been quicker */
			renumbered(vm, (int)domid, devices);
	} else if (vm->def->id != (int)domid && !priv->starting && STRNEQ(detail, "failed")) {
		/* Of a life that we did not see, or do not know of yet. */
		reconcile_later(RECONCILE_MS);
	} else if (new_screen) {
		screen_take_port(vm->def, devices);
		domain_save_status(vm);
	} else if (STREQ(event, "shutdown")) {
		event_shutdown(vm, domid, false, detail);
	} else if (STREQ(event, "crashed")) {
		event_shutdown(vm, domid, true, detail);
	} else if (STREQ(event, "destroyed")) {
		event_destroyed(vm, detail);
	} else if (STREQ(event, "died")) {
		event_died(vm, domid, detail);
	} else if (STREQ(event, "kept")) {
		event_rebuilding(vm); /* its domain is another guest's, which reconciling finds */
	} else {
		reconcile_later(RECONCILE_MS);
	}
	virDomainObjEndAPI(&vm);
}

/* ---- reconciling ---- */

static bool info_better(const struct xyl_dominfo *a, const struct xyl_dominfo *b)
{
	if (a->dying != b->dying)
		return !a->dying;
	return a->domid > b->domid;
}

static const struct xyl_dominfo *find_uuid(const struct xyl_dominfo *infos, int count,
                                           const unsigned char *uuid)
{
	const struct xyl_dominfo *best = NULL;
	unsigned char other[VIR_UUID_BUFLEN];
	int i;

	for (i = 0; i < count; i++) {
		if (infos[i].domid == 0)
			continue;
		info_uuid(&infos[i], other);
		if (memcmp(uuid, other, VIR_UUID_BUFLEN) == 0 && (!best || info_better(&infos[i], best)))
			best = &infos[i];
	}
	return best;
}

static char *store_name(unsigned int domid)
{
	char *value = xyl_store_readf(xylem->store, XYL_TX_NONE, "/local/domain/%u/name", domid);
	char *name = value && value[0] && !strpbrk(value, "/\n") ? g_strdup(value) : NULL;

	free(value);
	return name;
}

/* A definition for a domain that others made, from what the hypervisor and the store say. */
static virDomainDef *foreign_def(const struct xyl_dominfo *info, const unsigned char *uuid, bool last_try)
{
	g_autoptr(virDomainDef) def = NULL;
	char *name = store_name(info->domid);

	if (!name && !last_try)
		return NULL;
	def = virDomainDefNew(xylem->xmlopt);
	if (!def) {
		g_free(name);
		return NULL;
	}
	def->name = name ? name : g_strdup_printf("domain-%u", info->domid);
	def->id = (int)info->domid;
	memcpy(def->uuid, uuid, VIR_UUID_BUFLEN);
	def->virtType = VIR_DOMAIN_VIRT_XEN;
	def->os.type = info->hvm ? VIR_DOMAIN_OSTYPE_HVM : VIR_DOMAIN_OSTYPE_XEN;
	def->os.arch = VIR_ARCH_X86_64;
	def->onPoweroff = def->onCrash = VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY;
	def->onReboot = VIR_DOMAIN_LIFECYCLE_ACTION_RESTART;
	virDomainDefSetMemoryTotal(def, MAX(info->max_memory_pages, info->memory_pages) * 4);
	def->mem.cur_balloon = info->memory_pages * 4;
	if (virDomainDefSetVcpusMax(def, MAX(info->max_vcpus, 1), xylem->xmlopt) < 0 ||
	    virDomainDefSetVcpus(def, CLAMP(info->online_vcpus, 1, MAX(info->max_vcpus, 1))) < 0)
		return NULL;
	if (!info->hvm) {
		def->consoles = g_new0(virDomainChrDef *, 1);
		def->consoles[0] = virDomainChrDefNew(NULL);
		def->consoles[0]->deviceType = VIR_DOMAIN_CHR_DEVICE_TYPE_CONSOLE;
		def->consoles[0]->targetType = VIR_DOMAIN_CHR_CONSOLE_TARGET_TYPE_XEN;
		def->consoles[0]->target.port = 0;
		def->consoles[0]->source->type = VIR_DOMAIN_CHR_TYPE_PTY;
		def->nconsoles = 1;
	}
	return g_steal_pointer(&def);
}

/* The definition that xylemd keeps for us; NULL when it did not make the domain or was not given one. *known: it has told.
 * *incoming: it came from another host, and must not run. */
static virDomainDef *kept_def(const struct xyl_dominfo *info, bool *known, bool *owned, bool *incoming)
{
	g_autoptr(GVariant) domain = NULL;
	g_autoptr(virDomainDef) def = NULL;
	g_autoptr(GVariant) config = NULL;
	g_autofree char *xml = NULL;
	unsigned char uuid[VIR_UUID_BUFLEN];
	char handle[VIR_UUID_STRING_BUFLEN];
	const char *owner = "";

	virUUIDFormat(info->uuid, handle);
	*incoming = false;
	domain = monitor_get(xylem->monitor, handle, known);
	*owned = domain && g_variant_lookup(domain, "owner", "&s", &owner) && STREQ(owner, "xylemd");
	if (!*owned)
		return NULL;
	config = g_variant_lookup_value(domain, "config", G_VARIANT_TYPE_VARDICT);
	if (!config || !g_variant_lookup(config, "opaque", "s", &xml))
		return NULL;
	*incoming = STRPREFIX(xml, PROCESS_INCOMING_MARK);
	def = parse_domain(xml, xylem->xmlopt,
	                   VIR_DOMAIN_DEF_PARSE_STATUS | VIR_DOMAIN_DEF_PARSE_ACTUAL_NET |
	                           VIR_DOMAIN_DEF_PARSE_SKIP_VALIDATE |
	                           VIR_DOMAIN_DEF_PARSE_ALLOW_POST_PARSE_FAIL);
	/* Another client of xylemd may have put anything there. */
	info_uuid(info, uuid);
	return def && memcmp(def->uuid, uuid, VIR_UUID_BUFLEN) == 0 ? g_steal_pointer(&def) : NULL;
}

/* libvirtd ended while it came: its migration has failed, and the source has it. */
static void destroy_incoming(const struct xyl_dominfo *info)
{
	char handle[VIR_UUID_STRING_BUFLEN];

	virUUIDFormat(info->uuid, handle);
	VIR_WARN("%s, which was coming from another host when libvirtd ended, is destroyed here", handle);
	if (monitor_destroy(xylem->monitor, handle) == 0)
		return;
	VIR_WARN("%s: %s", handle, virGetLastErrorMessage());
	virResetLastError();
	reconcile_again = true;
}

/*
 * A running domain that no active object stands for. First without locks: what is it. Then, if it is still
 * nobody's, it becomes a transient domain, or the live side of the defined one.
 */
static void adopt(const struct xyl_dominfo *info, bool last_try)
{
	unsigned char uuid[VIR_UUID_BUFLEN];
	g_autoptr(virDomainDef) def = NULL;
	g_autoptr(virDomainDef) old = NULL;
	struct domain_private *priv;
	virDomainObj *vm;
	bool known, owned, incoming;

	info_uuid(info, uuid);
	def = kept_def(info, &known, &owned, &incoming);
	if (incoming && info->paused) {
		destroy_incoming(info);
		return;
	}
	/* One whose start has failed without an answer of xylemd's may be about to go. */
	if (halfway_claims(uuid)) {
		reconcile_again = true;
		return;
	}
	if (!def)
		def = foreign_def(info, uuid, last_try);
	if (!def) {
		reconcile_again = true;
		return;
	}
	vm = virDomainObjListFindByUUID(xylem->domains, uuid);
	if (!vm) {
		vm = virDomainObjListAdd(xylem->domains, &def, xylem->xmlopt, VIR_DOMAIN_OBJ_LIST_ADD_LIVE,
		                         &old);
		if (!vm && def) { /* the name is taken by another one's definition */
			char *name = g_strdup_printf("%s-%u", def->name, info->domid);

			g_free(def->name);
			def->name = name;
			virResetLastError();
			vm = virDomainObjListAdd(xylem->domains, &def, xylem->xmlopt,
			                         VIR_DOMAIN_OBJ_LIST_ADD_LIVE, &old);
		}
		if (!vm) {
			VIR_WARN("domain %u cannot be shown: %s", info->domid, virGetLastErrorMessage());
			return;
		}
		process_adopt(vm, vm->def, info, !owned);
	} else {
		priv = vm->privateData;
		if (!priv->starting && vm->def->id < 0 && vm->job->active == VIR_JOB_NONE)
			process_adopt(vm, g_steal_pointer(&def), info, !owned);
		else
			reconcile_again = true;
	}
	priv = vm->privateData;
	if (priv->foreign && !known && vm->def->id == (int)info->domid) {
		priv->untold = true;
		ask_later();
	}
	virDomainObjEndAPI(&vm);
}

/* An object that is shown as foreign since xylemd did not tell whose it is: it is asked until it does. Unlocks the object
 * meanwhile. */
static void ask_owner(virDomainObj *vm, const struct xyl_dominfo *info)
{
	struct domain_private *priv = vm->privateData;
	g_autoptr(virDomainDef) def = NULL;
	bool known, owned, incoming;
	int domid = vm->def->id;

	virObjectUnlock(vm);
	def = kept_def(info, &known, &owned, &incoming);
	if (incoming && info->paused)
		destroy_incoming(info);
	virObjectLock(vm);
	if (vm->def->id != domid || !priv->untold)
		return;
	if (!known || vm->job->active != VIR_JOB_NONE) {
		ask_later();
		return;
	}
	priv->untold = false;
	if (owned)
		process_own(vm, g_steal_pointer(&def));
}

/*
 * An active object whose domain is not listed any more: has it ended, or is it between two domains? xylemd knows. Where
 * it cannot be asked, the guest is given up after a while.
 */
static void missing(virDomainObj *vm, bool at_start)
{
	struct domain_private *priv = vm->privateData;
	g_autoptr(GVariant) domain = NULL;
	char handle[VIR_UUID_STRING_BUFLEN];
	int domid = vm->def->id;
	unsigned long long now;
	bool known = false;

	domain_handle(vm, handle);
	if (!priv->foreign) {
		virObjectUnlock(vm);
		domain = monitor_get(xylem->monitor, handle, &known);
		virObjectLock(vm);
		if (vm->def->id != domid || priv->starting)
			return;
	}
	if (domain || (!known && !priv->foreign && !at_start)) {
		if (virTimeMillisNow(&now) < 0)
			return;
		if (domain)
			priv->rebuilding = true;
		if (domain || !priv->missing_ms)
			priv->missing_ms = now;
		if (now - priv->missing_ms < MISSING_MS) {
			reconcile_again = true;
			return;
		}
	}
	if (!known && priv->locked && (locks_needed(domid) || locks_image_served(vm->def))) {
		reconcile_later(AGAIN_MS);
		return;
	}
	/* At start nobody else is at work, and the first client must not see what is over. */
	if (at_start)
		process_gone(vm, domid, VIR_DOMAIN_SHUTOFF_UNKNOWN, VIR_DOMAIN_EVENT_STOPPED_DESTROYED);
	else
		ended(vm, domid, VIR_DOMAIN_SHUTOFF_DESTROYED, VIR_DOMAIN_EVENT_STOPPED_DESTROYED);
}

/* One object against the list. True when the domain it stands for is running without it. */
static bool reconcile_object(virDomainObj *vm, const struct xyl_dominfo *info, bool at_start)
{
	struct domain_private *priv = vm->privateData;

	if (domain_is_dom0(vm))
		return false;
	if (priv->starting) {
		/* It has rebooted while whoever starts it was still at work. */
		reconcile_again = reconcile_again || priv->rebuilding;
		return false;
	}
	if (vm->def->id < 0)
		return info && !info->dying && vm->job->active == VIR_JOB_NONE;
	if (!info) {
		missing(vm, at_start);
		return false;
	}
	priv->missing_ms = 0;
	if (priv->untold)
		ask_owner(vm, info);
	if (vm->def->id < 0)
		return false;
	/* Whoever was to release its interfaces may have been gone by then: libvirtd, or xylemd. */
	if (vm->def->id == (int)info->domid && (at_start || xylemd_is_new))
		net_plug_later(vm);
	if (priv->save_file && (at_start || xylemd_is_new))
		events_later(vm, save_recover);
	if (priv->migration != MIGRATION_NONE && !priv->outgoing && !priv->incoming &&
	    (at_start || xylemd_is_new))
		events_later(vm, migrate_recover);
	if (vm->def->id != (int)info->domid && !info->dying && !priv->rebuilding)
		renumbered(vm, (int)info->domid, NULL);
	domain_refresh(vm, info);
	return false;
}

void events_reconcile(bool at_start)
{
	static unsigned int tries;
	struct xyl_dominfo *infos = NULL;
	virDomainObj **vms = NULL;
	size_t vm_count = 0, n;
	g_autofree bool *known = NULL;
	int count, i;

	reconcile_again = false;
	count = xyl_domain_list_all(xylem->xen, &infos);
	if (count < 0) {
		VIR_WARN("the hypervisor does not list its domains: %s", xyl_error());
		return;
	}
	known = g_new0(bool, count + 1);
	virDomainObjListCollectAll(xylem->domains, &vms, &vm_count);
	for (n = 0; n < vm_count; n++) {
		const struct xyl_dominfo *info;
		unsigned char own[VIR_UUID_BUFLEN];
		bool free_running;

		virObjectLock(vms[n]);
		/* The definition is another one as soon as the lock is dropped. */
		memcpy(own, vms[n]->def->uuid, sizeof(own));
		info = find_uuid(infos, count, own);
		free_running = reconcile_object(vms[n], info, at_start);
		virObjectUnlock(vms[n]);
		for (i = 0; info && !free_running && i < count; i++) {
			unsigned char uuid[VIR_UUID_BUFLEN];

			info_uuid(&infos[i], uuid);
			known[i] = known[i] || memcmp(uuid, own, VIR_UUID_BUFLEN) == 0;
		}
	}
	virObjectListFreeCount(vms, vm_count);
	xylemd_is_new = false;
	for (i = 0; i < count; i++) {
		if (infos[i].domid != 0 && !infos[i].dying && !known[i])
			adopt(&infos[i], at_start || tries >= 3);
	}
	free(infos);
	tries = reconcile_again ? tries + 1 : 0;
	if (reconcile_again && !at_start)
		reconcile_later(AGAIN_MS);
}

/* ---- the thread ---- */

static void events_main(void *data G_GNUC_UNUSED)
{
	static const char *const paths[] = { "@introduceDomain", "@releaseDomain" };
	size_t i;

	g_main_context_push_thread_default(xylem->context);
	for (i = 0; i < G_N_ELEMENTS(paths); i++) {
		watches[i] = xyl_store_watch(xylem->store, paths[i], on_store, NULL);
		if (!watches[i])
			VIR_ERROR("%s cannot be watched: %s", paths[i], xyl_error());
	}
	g_main_loop_run(loop);
	for (i = 0; i < G_N_ELEMENTS(paths); i++) {
		if (watches[i])
			ignore_value(xyl_store_unwatch(xylem->store, watches[i]));
	}
	g_main_context_pop_thread_default(xylem->context);
}

int events_start(void)
{
	helpers = g_thread_pool_new(help, NULL, HELPERS, FALSE, NULL);
	xylem->monitor = monitor_new(xylem->context, on_event, on_connected);
	loop = g_main_loop_new(xylem->context, FALSE);
	/* The state as it is, before the first client comes; xylemd knows most of it. */
	g_main_context_push_thread_default(xylem->context);
	monitor_wait_first(xylem->monitor);
	g_main_context_pop_thread_default(xylem->context);
	if (!halfway_recover(true))
		events_settle_later();
	events_reconcile(true);
	if (virThreadCreateFull(&thread, true, events_main, "xylem-events", false, NULL) < 0) {
		virReportSystemError(errno, "%s", "cannot start the event thread");
		return -1;
	}
	thread_runs = true;
	return 0;
}

static gboolean quit(void *data G_GNUC_UNUSED)
{
	g_main_loop_quit(loop);
	return G_SOURCE_REMOVE;
}

static void end_source(GSource **source)
{
	if (*source)
		g_source_destroy(*source);
	g_clear_pointer(source, g_source_unref);
}

void events_stop(void)
{
	if (thread_runs) {
		g_autoptr(GSource) source = g_idle_source_new();

		g_source_set_callback(source, quit, NULL, NULL);
		g_source_attach(source, xylem->context);
		virThreadJoin(&thread);
		thread_runs = false;
	}
	if (helpers)
		g_thread_pool_free(helpers, FALSE, TRUE);
	helpers = NULL;
	g_atomic_int_set(&settle_awaited, 0);
	monitor_free(xylem->monitor);
	xylem->monitor = NULL;
	g_clear_pointer(&loop, g_main_loop_unref);
	end_source(&reconcile_source);
	end_source(&ask_source);
}
