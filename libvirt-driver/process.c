/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest begins, is taken over, gets a new number, ends. What libvirt keeps of it changes here only.
 *
 * Start: 1. copy the definition, 2. hook "prepare", 3. resolve networks and volumes, lock disks, 4. guest configuration,
 * 5. hook "start", 6. xylemd builds it (unlocked, in a job), 7. the copy becomes the live definition, 8. state file,
 * event, hook "started". Until 7 the domain is inactive for everybody, so that nothing has to be undone. Another call may
 * give it up at each of the steps before 7: it ends then, and leaves nothing.
 *
 * Where xylemd does not tell what came of 6, what was taken in 3 stays taken until it does (halfway.c).
 */
#include "process.h"
#include "xylem.h"

#include "../libxenctrl/src/guestlimits.h"
#include "aside.h"
#include "check.h"
#include "compat.h"
#include "conf.h"
#include "console.h"
#include "devices.h"
#include "domain.h"
#include "elements.h"
#include "events.h"
#include "halfway.h"
#include "job.h"
#include "locks.h"
#include "monitor.h"
#include "net.h"
#include "savefile.h"
#include "screen.h"

#include "datatypes.h"
#include "domain_event.h"
#include "virchrdev.h"
#include "virclosecallbacks.h"
#include "virdomainjob.h"
#include "virdomainobjlist.h"
#include "virerror.h"
#include "virfile.h"
#include "virhook.h"
#include "virlog.h"
#include "virmacaddr.h"
#include "virthread.h"
#include "viruuid.h"

VIR_LOG_INIT("xylem.process");

/* How long a start that was left halfway waits for its "release" script. */
#define RELEASE_SCRIPT_MS 5000

static int resolve_net(virDomainDef *def, virDomainNetDef *net, virConnectPtr *conn)
{
	if (net_name(net) < 0)
		return -1;
	if (net->type != VIR_DOMAIN_NET_TYPE_NETWORK)
		return 0;
	if (!*conn && !(*conn = virGetConnectNetwork()))
		return -1;
	return virDomainNetAllocateActualDevice(*conn, def, net);
}

int process_resolve(virDomainDef *def, virDomainDeviceDef *dev)
{
	g_autoptr(virConnect) conn = NULL;
	size_t i;

	if (dev && dev->type == VIR_DOMAIN_DEVICE_DISK)
		return virDomainDiskTranslateSourcePool(dev->data.disk);
	if (dev && dev->type == VIR_DOMAIN_DEVICE_NET)
		return resolve_net(def, dev->data.net, &conn);
	if (dev)
		return 0;
	for (i = 0; i < def->ndisks; i++) {
		if (virDomainDiskTranslateSourcePool(def->disks[i]) < 0)
			return -1;
	}
	for (i = 0; i < def->nnets; i++) {
		if (resolve_net(def, def->nets[i], &conn) < 0)
			return -1;
	}
	return 0;
}

void process_release_net(virDomainDef *def, virDomainNetDef *net)
{
	g_autoptr(virConnect) conn = NULL;

	if (net->type != VIR_DOMAIN_NET_TYPE_NETWORK || !net->data.network.actual)
		return;
	conn = virGetConnectNetwork();
	if (conn)
		compat_release_net(conn, def, net);
	else
		VIR_WARN("the network driver cannot be reached; a port of %s stays taken",
		         net->data.network.name);
}

static void release_nets(virDomainDef *def)
{
	virErrorPtr saved;
	size_t i;

	virErrorPreserveLast(&saved);
	for (i = 0; i < def->nnets; i++) {
		net_unplug(def, def->nets[i]);
		process_release_net(def, def->nets[i]);
	}
	virErrorRestore(&saved);
}

/* Elements that are accepted for the sake of existing definitions, although they have no effect. */
static void log_without_effect(const virDomainDef *def)
{
	if (def->emulator)
		VIR_WARN("%s: <emulator> has no effect, a paravirtual guest needs none", def->name);
	if (def->features[VIR_DOMAIN_FEATURE_ACPI] || def->features[VIR_DOMAIN_FEATURE_APIC] ||
	    def->features[VIR_DOMAIN_FEATURE_PAE])
		VIR_WARN("%s: <acpi>, <apic> and <pae> have no effect on a paravirtual guest", def->name);
	if (def->nserials)
		VIR_WARN("%s: <serial> is the first console, hvc0 in the guest", def->name);
}

/* What xylemd is given to keep of a definition: nothing of one that is too long. xml: or NULL. */
static const char *keepable(const virDomainDef *def, const char *xml)
{
	if (xml && strlen(PROCESS_INCOMING_MARK) + strlen(xml) <= GUEST_OPAQUE_MAX)
		return xml;
	VIR_WARN("%s: its definition is too long for xylemd, which cannot give it back if /run is lost",
	         def->name);
	return "";
}

/* The guest's dictionary with the definition in it, so that the domain can be recognised without its state file. */
static GVariant *with_opaque(GVariant *guest, virDomainDef *def, bool incoming)
{
	g_autofree char *text = virDomainDefFormat(def, xylem->xmlopt, VIR_DOMAIN_DEF_FORMAT_SECURE);
	const char *mark = incoming ? PROCESS_INCOMING_MARK : "";
	g_autofree char *xml = g_strconcat(mark, keepable(def, text), NULL);
	GVariantDict dict;

	g_variant_ref_sink(guest);
	g_variant_dict_init(&dict, guest);
	if (*xml)
		g_variant_dict_insert(&dict, "opaque", "s", xml);
	g_variant_unref(guest);
	return g_variant_dict_end(&dict);
}

/* The name of the interface with this address among what xylemd made; NULL when it is not there. */
static char *made_ifname(GVariant *devices, const virMacAddr *mac)
{
	char text[VIR_MAC_STRING_BUFLEN];
	gsize i;

	virMacAddrFormat(mac, text);
	for (i = 0; devices && i < g_variant_n_children(devices); i++) {
		g_autoptr(GVariant) device = g_variant_get_child_value(devices, i);
		const char *address = "", *ifname = NULL;

		if (g_variant_lookup(device, "mac", "&s", &address) &&
		    g_ascii_strcasecmp(address, text) == 0 &&
		    g_variant_lookup(device, "ifname", "&s", &ifname))
			return g_strdup(ifname);
	}
	return NULL;
}

void process_name_interfaces(virDomainDef *def, GVariant *devices)
{
	size_t i;

	for (i = 0; i < def->nnets; i++) {
		virDomainNetDef *net = def->nets[i];
		char *name = made_ifname(devices, &net->mac);

		if (!name)
			continue;
		g_free(net->ifname);
		net->ifname = name;
	}
	screen_take_port(def, devices);
}

struct mac_search {
	const virDomainDef *def;
	const virDomainNetDef *net;
};

static int same_mac(virDomainObj *vm, void *opaque)
{
	const struct mac_search *search = opaque;
	char mac[VIR_MAC_STRING_BUFLEN];
	size_t i;

	virObjectLock(vm);
	for (i = 0; vm->def->id > 0 && memcmp(vm->def->uuid, search->def->uuid, VIR_UUID_BUFLEN) &&
	            i < vm->def->nnets;
	     i++) {
		if (virMacAddrCmp(&vm->def->nets[i]->mac, &search->net->mac) == 0)
			VIR_WARN("%s: its interface %s has the address of one of %s, which is running",
			         search->def->name, virMacAddrFormat(&search->net->mac, mac), vm->def->name);
	}
	virObjectUnlock(vm);
	return 0;
}

void process_warn_mac(const virDomainDef *def, const virDomainNetDef *net)
{
	struct mac_search search = { def, net };

	virDomainObjListForEach(xylem->domains, false, same_mac, &search);
}

int process_put_definition(virDomainObj *vm)
{
	g_autofree char *xml = virDomainDefFormat(vm->def, xylem->xmlopt, VIR_DOMAIN_DEF_FORMAT_SECURE);
	char handle[VIR_UUID_STRING_BUFLEN];
	const char *kept;
	int ret;

	if (!xml)
		return -1;
	kept = keepable(vm->def, xml);
	domain_handle(vm, handle);
	virObjectUnlock(vm);
	ret = monitor_set_opaque(xylem->monitor, handle, kept);
	virObjectLock(vm);
	return ret;
}

void process_keep_definition(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;
	int ret;

	if (priv->foreign || vm->def->id < 0)
		return;
	ret = slot_take(SLOT_GUEST, vm);
	if (ret == 0) {
		ret = process_put_definition(vm);
		slot_give(SLOT_GUEST);
	}
	if (ret == 0)
		return;
	VIR_WARN("xylemd does not keep the new definition of %s: %s", vm->def->name,
	         virGetLastErrorMessage());
	virResetLastError();
}

/* -1 when somebody has destroyed it while it is being started. */
static int check_doomed(const virDomainObj *vm)
{
	const struct domain_private *priv = vm->privateData;

	if (!priv->doomed)
		return 0;
	virReportError(VIR_ERR_OPERATION_ABORTED, "%s was destroyed while it was started", vm->def->name);
	return -1;
}

/* What xylemd has of a start that fails goes. -1: it is gone; MONITOR_LOST: it may be there. The error stays. No object is
 * locked. */
static int take_back(const virDomainDef *live)
{
	g_autoptr(GVariant) domain = NULL;
	char handle[VIR_UUID_STRING_BUFLEN];
	virErrorPtr saved;
	bool gone;

	virErrorPreserveLast(&saved);
	virUUIDFormat(live->uuid, handle);
	gone = monitor_destroy(xylem->monitor, handle) == 0;
	if (!gone) {
		VIR_WARN("%s: %s", live->name, virGetLastErrorMessage());
		domain = monitor_get(xylem->monitor, handle, &gone);
		gone = gone && !domain;
	}
	virErrorRestore(&saved);
	if (gone)
		return -1;
	VIR_WARN("%s: what was taken for its start stays taken until xylemd tells what came of it",
	         live->name);
	return MONITOR_LOST;
}

/* The guest, which is paused, may run: from now on its file is not its state any more. 0, -1 or MONITOR_LOST. No object is
 * locked. */
static int use_file(virDomainDef *live, const char *path, bool paused)
{
	char handle[VIR_UUID_STRING_BUFLEN];
	virErrorPtr saved;
	bool used;
	int ran = 0, ret;

	virUUIDFormat(live->uuid, handle);
	used = savefile_use(path, true) == 0;
	if (used && (paused || (ran = monitor_pause(xylem->monitor, handle, false)) == 0))
		return 0;
	ret = take_back(live);
	virErrorPreserveLast(&saved);
	/* It has not run, if xylemd has refused that, and it is gone now. */
	if (ret == -1 && used && ran == -1 && savefile_use(path, false) < 0)
		VIR_WARN("%s: %s", live->name, virGetLastErrorMessage());
	virErrorRestore(&saved);
	return ret;
}

/* 0; -1: there is no guest; MONITOR_LOST: there may be one. */
static int build(virDomainObj *vm, virDomainDef *live, bool paused, int stream, const char *once)
{
	g_autoptr(GVariant) devices = NULL;
	struct domain_private *priv = vm->privateData;
	bool incoming = priv->migration == MIGRATION_INCOMING;
	struct sampler *sampler;
	unsigned int domid;
	GVariant *guest;
	size_t i;
	int ret;

	guest = conf_guest(live);
	if (!guest)
		return -1;
	guest = with_opaque(guest, live, incoming);
	g_variant_ref_sink(guest);
	priv->held = false;
	for (i = 0; i < live->nnets; i++)
		priv->held = priv->held || conf_net_held(live->nets[i]);
	if (check_doomed(vm) < 0) {
		g_variant_unref(guest);
		return -1;
	}
	sampler = stream < 0 ? NULL : job_watch(vm);
	virObjectUnlock(vm);
	for (i = 0; i < live->nnets; i++)
		process_warn_mac(live, live->nets[i]);
	ret = stream < 0 ? monitor_create(xylem->monitor, guest, paused, &domid, &devices)
	                 : monitor_restore(xylem->monitor, guest, paused || once, stream, &domid, &devices);
	job_unwatch(sampler);
	if (ret == 0) {
		live->id = (int)domid;
		process_name_interfaces(live, devices);
		ret = net_plug_all(live) < 0 ? take_back(live) : 0;
	} else if (ret == MONITOR_LOST) {
		ret = take_back(live);
	}
	if (ret == 0 && once)
		ret = use_file(live, once, paused);
	virObjectLock(vm);
	g_variant_unref(guest);
	priv->missing_ms = 0;
	if (ret == 0 && check_doomed(vm) < 0) {
		virObjectUnlock(vm);
		ret = take_back(live);
		virObjectLock(vm);
	}
	return ret;
}

/* A guest without a kernel boots from its own disk. */
static int use_pvgrub(virDomainDef *def)
{
	if (def->os.kernel)
		return 0;
	if (!virFileExists(xylem->pvgrub)) {
		virReportError(
		        VIR_ERR_CONFIG_UNSUPPORTED,
		        "<os> without <kernel>: to boot from its own disk it needs PV GRUB, and there is no %s "
		        "(package grub-xen-host)",
		        xylem->pvgrub);
		return -1;
	}
	def->os.kernel = g_strdup(xylem->pvgrub);
	g_clear_pointer(&def->os.bootloader, g_free);
	return 0;
}

/* What keeps it from starting is said before any script has run: a definition that was loaded may hold
 * anything. */
static int check_host(virDomainDef *def)
{
	struct xyl_hostinfo host;

	if (xyl_host_info(xylem->xen, &host) < 0) {
		virReportError(VIR_ERR_OPERATION_FAILED, "%s", xyl_error());
		return -1;
	}
	if (check_domain(def) < 0 || check_start(def, host.max_cpu_id + 1) < 0 || use_pvgrub(def) < 0)
		return -1;
	return elements_check_def(def, xylem->xmlopt);
}

/* live becomes the definition; what was defined is kept for the next start: it is so already where a client gave another
 * definition for this one. */
static void install_live(virDomainObj *vm, virDomainDef *live)
{
	if (vm->persistent && !vm->newDef) {
		vm->newDef = vm->def;
	} else {
		virDomainDefFree(vm->def);
	}
	vm->def = live;
}

static int run_locks(void *data)
{
	return locks_take(data);
}

static void undo_locks(void *data, int ret)
{
	if (ret == 0)
		locks_drop(data);
	locks_free(data);
}

/* Of a start, which may be given up meanwhile. */
static int take_locks(virDomainObj *vm, const virDomainDef *live, bool *locked)
{
	struct disk_locks *locks = locks_new(live, NULL);
	int ret = locks ? aside(vm, run_locks, undo_locks, (void **)&locks) : locks_take(NULL);

	*locked = ret == 0 && locks;
	locks_free(locks);
	return ret;
}

static void drop_locks(virDomainObj *vm, disk_locks_t *locks)
{
	if (!locks)
		return;
	virObjectUnlock(vm);
	locks_drop(locks);
	virObjectLock(vm);
}

int process_lock(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;

	g_autoptr(disk_locks_t) locks = NULL;
	int ret;

	if (priv->locked)
		return 0;
	locks = locks_new(vm->def, NULL);
	virObjectUnlock(vm);
	ret = locks_take(locks);
	virObjectLock(vm);
	priv->locked = ret == 0 && locks;
	return ret;
}

void process_unlock(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;
	g_autoptr(disk_locks_t) locks = priv->locked ? locks_new(vm->def, NULL) : NULL;

	priv->locked = false;
	drop_locks(vm, locks);
}

struct script {
	char *name, *xml;
	int op;
};

static void script_free(struct script *s)
{
	g_free(s->name);
	g_free(s->xml);
	g_free(s);
}

static int run_script(void *data)
{
	const struct script *s = data;

	return virHookCall(VIR_HOOK_DRIVER_LIBXL, s->name, s->op, VIR_HOOK_SUBOP_BEGIN, NULL, s->xml, NULL) <
	                       0
	               ? -1
	               : 0;
}

static void undo_script(void *data, int ret G_GNUC_UNUSED)
{
	struct script *s = data;

	ignore_value(virHookCall(VIR_HOOK_DRIVER_LIBXL, s->name, VIR_HOOK_LIBXL_OP_RELEASE,
	                         VIR_HOOK_SUBOP_END, NULL, s->xml, NULL));
	script_free(s);
}

static int run_release(void *data)
{
	const struct script *s = data;

	ignore_value(
	        virHookCall(VIR_HOOK_DRIVER_LIBXL, s->name, s->op, VIR_HOOK_SUBOP_END, NULL, s->xml, NULL));
	return 0;
}

static void release_is_left(void *data, int ret G_GNUC_UNUSED)
{
	script_free(data);
}

/* NULL with an error. */
static struct script *script_new(virDomainDef *live, int op)
{
	char *xml = virDomainDefFormat(live, xylem->xmlopt, 0);
	struct script *s;

	if (!xml)
		return NULL;
	s = g_new0(struct script, 1);
	s->name = g_strdup(live->name);
	s->xml = xml;
	s->op = op;
	return s;
}

void process_release_script(virDomainDef *def)
{
	struct script *s;

	if (!virHookPresent(VIR_HOOK_DRIVER_LIBXL))
		return;
	s = script_new(def, VIR_HOOK_LIBXL_OP_RELEASE);
	if (s && aside_briefly(RELEASE_SCRIPT_MS, run_release, release_is_left, s) == 0) {
		script_free(s);
		return;
	}
	VIR_WARN("%s: its \"release\" script: %s", def->name, virGetLastErrorMessage());
	virResetLastError();
}

/* Of a start, which may be given up while the script runs: *left, then "release" follows when it ends. */
static int start_hook(virDomainObj *vm, virDomainDef *live, int op, bool *left)
{
	void *data;
	int ret;

	if (!virHookPresent(VIR_HOOK_DRIVER_LIBXL))
		return 0;
	data = script_new(live, op);
	if (!data)
		return -1;
	ret = aside(vm, run_script, undo_script, &data);
	*left = !data;
	if (data)
		script_free(data);
	return ret;
}

/* What was done for a start that fails is undone; the error stays. scripted: a script of it runs still. */
static void unwind(virDomainObj *vm, virDomainDef *live, bool locked, bool scripted)
{
	g_autoptr(disk_locks_t) locks = locked ? locks_new(live, NULL) : NULL;
	virErrorPtr saved;

	virErrorPreserveLast(&saved);
	drop_locks(vm, locks);
	release_nets(live);
	halfway_end(live);
	if (!scripted)
		ignore_value(domain_hook(vm, live, VIR_HOOK_LIBXL_OP_RELEASE, VIR_HOOK_SUBOP_END));
	virErrorRestore(&saved);
}

int process_begin(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;

	priv->starting = true;
	/* What comes from another host has a thread of its own, and takes as long as that one wants. */
	priv->in_slot = priv->migration != MIGRATION_INCOMING && !priv->unhurried;
	if (!priv->in_slot || slot_take(SLOT_BUILD, vm) == 0)
		return 0;
	priv->in_slot = false;
	process_finish(vm);
	return -1;
}

void process_finish(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;

	if (priv->in_slot)
		slot_give(SLOT_BUILD);
	priv->starting = priv->in_slot = false;
	virMutexLock(&xylem->lock);
	priv->doomed = false;
	virMutexUnlock(&xylem->lock);
}

/* The storage and the network driver, which have locks of their own, may wait for a disk or a script. */
static int resolve_unlocked(virDomainObj *vm, virDomainDef *live)
{
	int ret;

	virObjectUnlock(vm);
	ret = process_resolve(live, NULL);
	virObjectLock(vm);
	return ret;
}

/* Whether a start takes what others lack as long as nobody gives it back. */
static bool takes(const virDomainDef *live, const char *once)
{
	bool ports = false;
	size_t i;

	for (i = 0; i < live->nnets; i++)
		ports = ports || live->nets[i]->type == VIR_DOMAIN_NET_TYPE_NETWORK;
	return once || ports || (xylem->lock_manager && live->ndisks);
}

/* Steps 2 and 3. It may be given up in each step that waits for somebody. */
static int take(virDomainObj *vm, virDomainDef *live, const char *once, bool *locked, bool *scripted)
{
	const struct domain_private *priv = vm->privateData;

	if (start_hook(vm, live, VIR_HOOK_LIBXL_OP_PREPARE, scripted) < 0 || check_doomed(vm) < 0 ||
	    resolve_unlocked(vm, live) < 0 || check_doomed(vm) < 0)
		return -1;
	if (takes(live, once))
		halfway_begin(live);
	if (priv->migration != MIGRATION_INCOMING && take_locks(vm, live, locked) < 0)
		return -1;
	return check_doomed(vm);
}

/* stream: its memory, or -1; live: what it is going to have, taken. */
static int start_from(virDomainObj *vm, virDomainDef *definition, bool paused, int stream, const char *once,
                      int detail)
{
	g_autoptr(virDomainDef) live = definition;
	struct domain_private *priv = vm->privateData;
	bool incoming = priv->migration == MIGRATION_INCOMING, locked = false, scripted = false;
	int ret;

	if (!live || check_host(live) < 0 || console_complete(live) < 0)
		return -1;
	if (!incoming)
		priv->migration = MIGRATION_NONE;
	log_without_effect(live);
	priv->why_reason = priv->why_detail = -1;
	priv->rebuilding = priv->gone = priv->foreign = priv->untold = false;
	priv->max_speed_mib = priv->max_downtime_ms = 0;
	g_clear_pointer(&priv->save_file, g_free);
	if (halfway_recover_start(vm) < 0)
		return -1;
	ret = take(vm, live, once, &locked, &scripted) < 0 ||
	                      start_hook(vm, live, VIR_HOOK_LIBXL_OP_START, &scripted) < 0
	              ? -1
	              : build(vm, live, paused, stream, once);
	if (ret == MONITOR_LOST) {
		halfway_begin(live);
		events_settle_later();
		return -1;
	}
	if (ret < 0) {
		unwind(vm, live, locked, scripted);
		return -1;
	}
	/* What it has done meanwhile is another life than was built: reconciling finds out. */
	priv->starting = priv->rebuilding = false;
	priv->locked = locked;
	devices_name(live);
	priv->life++;
	install_live(vm, g_steal_pointer(&live));
	if (paused)
		virDomainObjSetState(vm, VIR_DOMAIN_PAUSED,
		                     incoming ? VIR_DOMAIN_PAUSED_MIGRATION : VIR_DOMAIN_PAUSED_USER);
	else
		virDomainObjSetState(vm, VIR_DOMAIN_RUNNING,
		                     stream < 0 ? VIR_DOMAIN_RUNNING_BOOTED : VIR_DOMAIN_RUNNING_RESTORED);
	domain_count_active(1);
	domain_save_status(vm);
	halfway_end(vm->def);
	domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_STARTED, detail));
	if (paused && !incoming)
		domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_SUSPENDED,
		                                               VIR_DOMAIN_EVENT_SUSPENDED_PAUSED));
	/* It runs already: too late for a script to say no. */
	ignore_value(domain_hook(vm, vm->def, VIR_HOOK_LIBXL_OP_STARTED, VIR_HOOK_SUBOP_BEGIN));
	return 0;
}

int process_start(virDomainObj *vm, bool paused, int detail)
{
	return start_from(vm, virDomainDefCopy(vm->def, xylem->xmlopt, NULL, true), paused, -1, NULL, detail);
}

/* From a stream; live: what it is going to have, taken. */
static int start_restored(virDomainObj *vm, virDomainDef *live, bool paused, int stream, const char *once,
                          int detail, int operation)
{
	int ret;

	job_begin(vm, operation);
	ret = start_from(vm, live, paused, stream, once, detail);
	job_end(vm, ret == 0);
	return ret;
}

int process_restore(virDomainObj *vm, virDomainDef *def, bool paused, int stream, const char *once)
{
	if (!def)
		def = virDomainDefCopy(vm->def, xylem->xmlopt, NULL, true);
	return start_restored(vm, def, paused, stream, once, VIR_DOMAIN_EVENT_STARTED_RESTORED,
	                      VIR_DOMAIN_JOB_OPERATION_RESTORE);
}

int process_receive(virDomainObj *vm, int stream)
{
	return start_restored(vm, virDomainDefCopy(vm->def, xylem->xmlopt, NULL, true), true, stream, NULL,
	                      VIR_DOMAIN_EVENT_STARTED_MIGRATED, VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN);
}

void process_stopped(virDomainObj *vm, int reason, int detail)
{
	struct domain_private *priv = vm->privateData;
	g_autofree char *xml = virDomainDefFormat(vm->def, xylem->xmlopt, 0);
	g_autofree char *status = virDomainConfigFile(xylem->state_dir, vm->def->name);
	g_autoptr(disk_locks_t) locks = priv->locked ? locks_new(vm->def, NULL) : NULL;
	g_autoptr(virDomainDef) rest = halfway_rest(vm->def);

	if (reason < 0) {
		reason = VIR_DOMAIN_SHUTOFF_DESTROYED;
		detail = VIR_DOMAIN_EVENT_STOPPED_DESTROYED;
	}
	VIR_DEBUG("%s (%d) has ended, reason %d", vm->def->name, vm->def->id, reason);
	virDomainObjSetState(vm, VIR_DOMAIN_SHUTOFF, reason);
	domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_STOPPED, detail));
	virCloseCallbacksDomainRemove(vm, NULL, NULL);
	release_nets(vm->def);
	vm->def->id = -1;
	virDomainObjRemoveTransientDef(vm);
	if (unlink(status) < 0 && errno != ENOENT)
		VIR_WARN("%s cannot be removed: %s", status, g_strerror(errno));
	virChrdevFree(priv->chrdevs);
	priv->chrdevs = virChrdevAlloc();
	priv->gone = priv->rebuilding = false;
	g_clear_pointer(&priv->save_file, g_free);
	priv->migration = MIGRATION_NONE;
	priv->why_reason = priv->why_detail = -1;
	priv->missing_ms = 0;
	domain_count_active(-1);
	if (priv->locked && !locks)
		VIR_WARN("%s: its disks were locked by a lock manager that libxl.conf does not name any more",
		         vm->def->name);
	priv->locked = false;
	drop_locks(vm, locks);
	halfway_drop_rest(vm, rest);
	if (xml) {
		ignore_value(domain_hook_xml(vm, xml, VIR_HOOK_LIBXL_OP_STOPPED, VIR_HOOK_SUBOP_END));
		ignore_value(domain_hook_xml(vm, xml, VIR_HOOK_LIBXL_OP_RELEASE, VIR_HOOK_SUBOP_END));
	}
	if (!vm->persistent)
		virDomainObjListRemove(xylem->domains, vm);
}

void process_gone(virDomainObj *vm, int domid, int reason, int detail)
{
	struct domain_private *priv = vm->privateData;

	if (!priv->starting && vm->def->id != domid)
		return;
	if (priv->why_reason < 0) {
		priv->why_reason = reason;
		priv->why_detail = detail;
	}
	/* Whoever has the job, or is about to have it, cleans up when ending it. */
	if (priv->starting || vm->job->active != VIR_JOB_NONE ||
	    virDomainObjBeginJobNowait(vm, VIR_JOB_DESTROY) < 0) {
		priv->gone = true;
		priv->gone_domid = domid;
		return;
	}
	priv->gone = true;
	priv->gone_domid = domid;
	domain_end_job(vm);
}

void process_killed(virDomainObj *vm)
{
	const struct domain_private *priv = vm->privateData;

	if (!priv->locked) {
		process_gone(vm, vm->def->id, VIR_DOMAIN_SHUTOFF_DESTROYED,
		             VIR_DOMAIN_EVENT_STOPPED_DESTROYED);
		return;
	}
	VIR_WARN("%s is dead; its disks stay locked until nothing writes to them any more", vm->def->name);
	virDomainObjSetState(vm, VIR_DOMAIN_SHUTDOWN, VIR_DOMAIN_SHUTDOWN_UNKNOWN);
	domain_save_status(vm);
}

/* Its state file is lost: what the lock manager has of it is let go at its end. */
static void set_owner(struct domain_private *priv, bool foreign)
{
	priv->foreign = foreign;
	priv->untold = false;
	priv->locked = !foreign && xylem->lock_manager;
	priv->held = !foreign;
}

void process_own(virDomainObj *vm, virDomainDef *live)
{
	if (live) {
		/* It is listed by this name. */
		g_free(live->name);
		live->name = g_strdup(vm->def->name);
		live->id = vm->def->id;
		install_live(vm, live);
	}
	set_owner(vm->privateData, false);
	console_forget_ttys(vm->def);
	domain_save_status(vm);
	net_reserve_names(vm->def);
	net_plug_later(vm);
}

void process_adopt(virDomainObj *vm, virDomainDef *live, const struct xyl_dominfo *info, bool foreign)
{
	struct domain_private *priv = vm->privateData;

	live->id = (int)info->domid;
	if (vm->def != live)
		install_live(vm, live);
	set_owner(priv, foreign);
	priv->life++;
	priv->why_reason = priv->why_detail = -1;
	priv->missing_ms = 0;
	priv->rebuilding = priv->gone = false;
	g_clear_pointer(&priv->save_file, g_free);
	priv->migration = MIGRATION_NONE;
	console_forget_ttys(vm->def);
	virDomainObjSetState(vm, info->paused ? VIR_DOMAIN_PAUSED : VIR_DOMAIN_RUNNING,
	                     info->paused ? VIR_DOMAIN_PAUSED_UNKNOWN : VIR_DOMAIN_RUNNING_UNKNOWN);
	domain_count_active(1);
	domain_save_status(vm);
	domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_STARTED,
	                                               VIR_DOMAIN_EVENT_STARTED_BOOTED));
	if (info->paused)
		domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_SUSPENDED,
		                                               VIR_DOMAIN_EVENT_SUSPENDED_PAUSED));
	net_reserve_names(vm->def);
	net_plug_later(vm);
	/* It may have stopped already. */
	domain_refresh(vm, info);
}

void process_renumber(virDomainObj *vm, int domid, GVariant *devices)
{
	struct domain_private *priv = vm->privateData;
	bool told_otherwise = virDomainObjGetState(vm, NULL) != VIR_DOMAIN_RUNNING;

	vm->def->id = domid;
	process_name_interfaces(vm->def, devices);
	console_forget_ttys(vm->def);
	priv->rebuilding = priv->gone = false;
	priv->why_reason = priv->why_detail = -1;
	priv->missing_ms = 0;
	virDomainObjSetState(vm, VIR_DOMAIN_RUNNING, VIR_DOMAIN_RUNNING_BOOTED);
	/* Clients that saw it crash or end must not show that forever. */
	if (told_otherwise)
		domain_event(virDomainEventLifecycleNewFromObj(vm, VIR_DOMAIN_EVENT_STARTED,
		                                               VIR_DOMAIN_EVENT_STARTED_BOOTED));
	domain_event(virDomainEventRebootNewFromObj(vm));
	domain_save_status(vm);
	net_plug_later(vm);
}

/* In the order of libvirt's own driver; a script can say no to the new start only. */
static int reboot_hooks(virDomainObj *vm, const char *xml)
{
	ignore_value(domain_hook_xml(vm, xml, VIR_HOOK_LIBXL_OP_STOPPED, VIR_HOOK_SUBOP_END));
	ignore_value(domain_hook_xml(vm, xml, VIR_HOOK_LIBXL_OP_RELEASE, VIR_HOOK_SUBOP_END));
	if (domain_hook_xml(vm, xml, VIR_HOOK_LIBXL_OP_PREPARE, VIR_HOOK_SUBOP_BEGIN) < 0 ||
	    domain_hook_xml(vm, xml, VIR_HOOK_LIBXL_OP_START, VIR_HOOK_SUBOP_BEGIN) < 0)
		return -1;
	ignore_value(domain_hook_xml(vm, xml, VIR_HOOK_LIBXL_OP_STARTED, VIR_HOOK_SUBOP_BEGIN));
	return 0;
}

void process_rebooted(virDomainObj *vm, unsigned long life)
{
	struct domain_private *priv = vm->privateData;
	g_autofree char *xml = NULL;
	char handle[VIR_UUID_STRING_BUFLEN];
	/* The hooks of its end come after these. Behind somebody who has the job for long they run all the same. */
	bool job = virDomainObjBeginJob(vm, VIR_JOB_MODIFY) == 0;

	if (vm->def->id > 0 && priv->life == life)
		xml = virDomainDefFormat(vm->def, xylem->xmlopt, 0);
	if (xml && reboot_hooks(vm, xml) < 0 && vm->def->id > 0 && priv->life == life) {
		VIR_ERROR("%s has rebooted, and its hook script says no: it is destroyed: %s", vm->def->name,
		          virGetLastErrorMessage());
		priv->why_reason = VIR_DOMAIN_SHUTOFF_FAILED;
		priv->why_detail = VIR_DOMAIN_EVENT_STOPPED_FAILED;
		domain_handle(vm, handle);
		virObjectUnlock(vm);
		if (monitor_destroy(xylem->monitor, handle) < 0)
			VIR_ERROR("%s cannot be destroyed: %s", handle, virGetLastErrorMessage());
		virObjectLock(vm);
	}
	virResetLastError();
	if (job)
		domain_end_job(vm);
}
