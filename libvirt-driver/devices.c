/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disks and interfaces come and go: in the running guest by xylemd, in the definition by domain_change(), or both.
 */
#include "devices.h"
#include "xylem.h"

#include "check.h"
#include "compat.h"
#include "conf.h"
#include "datatypes.h"
#include "devclass.h"
#include "domain.h"
#include "domain_event.h"
#include "events.h"
#include "halfway.h"
#include "locks.h"
#include "monitor.h"
#include "net.h"
#include "nwfilter_params.h"
#include "parse.h"
#include "process.h"
#include "viraccessapicheck.h"
#include "virdomainjob.h"
#include "virerror.h"
#include "virlog.h"
#include "virmacaddr.h"
#include "virnetdevbandwidth.h"
#include "viruuid.h"

VIR_LOG_INIT("xylem.devices");

/* Its name in the XML: libvirt has one word for consoles, channels and ports. */
static const char *element_of(const virDomainDeviceDef *dev)
{
	return dev->type == VIR_DOMAIN_DEVICE_CHR ? virDomainChrDeviceTypeToString(dev->data.chr->deviceType)
	                                          : virDomainDeviceTypeToString(dev->type);
}

static int refuse_kind(const virDomainDeviceDef *dev, const char *operation)
{
	if (device_class_of(dev))
		return 0;
	virReportError(VIR_ERR_CONFIG_UNSUPPORTED, "<%s> cannot be %s: only disks and interfaces can",
	               element_of(dev), operation);
	return -1;
}

/* Said at once, and by name: a guest that is asked for what it has already may take long to fail. */
static int refuse_present(virDomainDef *def, const virDomainDeviceDef *dev)
{
	const char *alias = virDomainDeviceGetInfo(dev)->alias;
	virDomainDeviceDef found;

	if (device_class_of(dev)->refuse_twin(def, dev) < 0)
		return -1;
	if (!alias || virDomainDefFindDevice(def, alias, &found, false) < 0)
		return 0;
	virReportError(VIR_ERR_OPERATION_INVALID,
	               "<%s><alias name='%s'/>: %s has a device with this alias already", element_of(dev),
	               alias, def->name);
	return -1;
}

/* Its alias. */
static const char *name_device(virDomainDeviceDef *dev)
{
	virDomainDeviceInfo *info = virDomainDeviceGetInfo(dev);

	if (!info->alias)
		info->alias = device_class_of(dev)->alias(dev);
	return info->alias;
}

void devices_name(virDomainDef *def)
{
	virDomainDeviceDef disk = { .type = VIR_DOMAIN_DEVICE_DISK }, net = { .type = VIR_DOMAIN_DEVICE_NET };
	size_t i;

	for (i = 0; i < def->ndisks; i++) {
		disk.data.disk = def->disks[i];
		name_device(&disk);
	}
	for (i = 0; i < def->nnets; i++) {
		net.data.net = def->nets[i];
		name_device(&net);
	}
}

/* Consumes the device. *asked: xylemd was, and where it fails the locks are still there, as the device may be. */
static int attach_locked(const char *handle, GVariant *device, disk_locks_t *locks, GVariant **made,
                         bool *asked)
{
	*asked = locks_take(locks) == 0;
	if (*asked)
		return monitor_attach(xylem->monitor, handle, device, made);
	g_variant_unref(g_variant_ref_sink(device));
	return -1;
}

/* Of an attach, or a detach, that has failed: what came of it only xylemd knows. Until it answers, a lock stays. The
 * caller has the job; unlocks the object meanwhile. The error stays. */
static void settle(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;
	virErrorPtr saved;

	virErrorPreserveLast(&saved);
	if (halfway_settle(vm) < 0) {
		VIR_WARN("%s", virGetLastErrorMessage());
		priv->locked = priv->locked || xylem->lock_manager;
		domain_save_status(vm);
		events_settle_later();
	}
	virErrorRestore(&saved);
}

static int attach_live(virDomainObj *vm, virDomainDeviceDef *dev)
{
	const struct device_class *class = device_class_of(dev);
	struct domain_private *priv = vm->privateData;
	g_autoptr(disk_locks_t) locks = NULL;
	g_autoptr(GVariant) made = NULL;
	char handle[VIR_UUID_STRING_BUFLEN];
	g_autofree char *alias = NULL;
	GVariant *device;
	bool asked = false;
	int ret;

	domain_handle(vm, handle);
	if (halfway_settle(vm) < 0 || refuse_present(vm->def, dev) < 0 || slot_take(SLOT_GUEST, vm) < 0)
		return -1;
	/* The storage and the network driver may wait for a disk or a script. */
	virObjectUnlock(vm);
	ret = process_resolve(vm->def, dev);
	virObjectLock(vm);
	device = ret < 0 || virDomainObjCheckActive(vm) < 0 ? NULL : conf_device(dev, vm->def);
	alias = g_strdup(name_device(dev));
	locks = class->prepare(vm, dev);
	if (!device) {
		slot_give(SLOT_GUEST);
		goto error;
	}
	if (!priv->foreign)
		halfway_begin_device(vm, dev);
	virObjectUnlock(vm);
	ret = attach_locked(handle, device, locks, &made, &asked);
	if (ret == 0 && class->connect)
		ret = class->connect(vm, handle, dev, made);
	virObjectLock(vm);
	slot_give(SLOT_GUEST);
	if (ret < 0 && asked && !priv->foreign) {
		settle(vm);
		return -1;
	}
	if (ret < 0)
		goto error;
	if (virDomainObjCheckActive(vm) < 0) {
		virObjectUnlock(vm);
		locks_drop(locks);
		virObjectLock(vm);
		goto error;
	}
	class->insert(vm->def, dev);
	priv->locked = priv->locked || locks;
	domain_event(virDomainEventDeviceAddedNewFromObj(vm, alias));
	domain_save_status(vm);
	halfway_end(vm->def);
	process_keep_definition(vm);
	return 0;
error:
	if (class->disconnect)
		class->disconnect(vm->def, dev);
	halfway_end(vm->def);
	return -1;
}

/* The guest has not let go of its device. */
static void tell_kept(virDomainObj *vm, const virDomainDeviceDef *dev)
{
	const char *alias = virDomainDeviceGetInfo(dev)->alias;
	virErrorPtr saved;

	virErrorPreserveLast(&saved);
	if (alias)
		domain_event(virDomainEventDeviceRemovalFailedNewFromObj(vm, alias));
	virErrorRestore(&saved);
}

static int detach_live(virDomainObj *vm, virDomainDeviceDef *dev, bool force)
{
	const struct device_class *class = device_class_of(dev);
	struct domain_private *priv = vm->privateData;
	g_autoptr(disk_locks_t) locks = NULL;
	char handle[VIR_UUID_STRING_BUFLEN];
	int index = halfway_settle(vm) < 0 ? -1 : class->find(vm->def, dev);
	g_autoptr(virDomainDeviceDef) gone = NULL;
	virDomainDeviceDef found = { .type = dev->type };
	const char *alias;
	GVariant *key;
	int ret;

	if (index < 0)
		return -1;
	class->get(vm->def, index, &found);
	locks = class->locks ? class->locks(vm, &found) : NULL;
	key = conf_device_key(&found, force);
	domain_handle(vm, handle);
	if (slot_take(SLOT_GUEST, vm) < 0) {
		g_variant_unref(g_variant_ref_sink(key));
		return -1;
	}
	if (!priv->foreign)
		halfway_begin(vm->def);
	virObjectUnlock(vm);
	ret = monitor_detach(xylem->monitor, handle, key);
	if (ret == 0)
		locks_drop(locks);
	virObjectLock(vm);
	slot_give(SLOT_GUEST);
	if (ret == MONITOR_LOST && !priv->foreign) {
		settle(vm);
		return -1;
	}
	if (ret < 0)
		halfway_end(vm->def);
	if (ret < 0 && virGetLastErrorCode() == VIR_ERR_OPERATION_TIMEOUT)
		tell_kept(vm, &found);
	if (ret < 0 || virDomainObjCheckActive(vm) < 0)
		return -1;
	gone = g_new0(virDomainDeviceDef, 1);
	gone->type = dev->type;
	class->remove(vm->def, index, gone);
	if (class->disconnect)
		class->disconnect(vm->def, gone);
	alias = virDomainDeviceGetInfo(gone)->alias;
	if (alias)
		domain_event(virDomainEventDeviceRemovedNewFromObj(vm, alias));
	domain_save_status(vm);
	halfway_end(vm->def);
	process_keep_definition(vm);
	return 0;
}

/* A device as a client has written it, for the definition it is to be in. done: "attached", "updated". */
static virDomainDeviceDef *parse(const char *xml, const virDomainDef *def, const char *done)
{
	g_autoptr(virDomainDeviceDef) dev =
	        parse_device(xml, def, xylem->xmlopt, VIR_DOMAIN_DEF_PARSE_INACTIVE);

	return dev && refuse_kind(dev, done) == 0 ? g_steal_pointer(&dev) : NULL;
}

struct attachment {
	const char *xml;
	bool has_mac;
	virMacAddr mac;
};

/* An address that libvirt makes up is the same one in the running guest and in the definition. */
static virDomainDeviceDef *parse_attachment(struct attachment *a, const virDomainDef *def)
{
	virDomainDeviceDef *dev = parse(a->xml, def, "attached");

	if (!dev || dev->type != VIR_DOMAIN_DEVICE_NET)
		return dev;
	if (a->has_mac)
		dev->data.net->mac = a->mac;
	a->mac = dev->data.net->mac;
	a->has_mac = true;
	return dev;
}

static int edit_attach(virDomainDef *def, void *data)
{
	g_autoptr(virDomainDeviceDef) dev = parse_attachment(data, def);

	if (!dev || refuse_present(def, dev) < 0)
		return -1;
	device_class_of(dev)->insert(def, dev);
	return 0;
}

static int attach_parsed(virDomainObj *vm, void *data)
{
	g_autoptr(virDomainDeviceDef) dev = parse_attachment(data, vm->def);

	return dev ? attach_live(vm, dev) : -1;
}

static int attach(virDomainObj *vm, const char *xml, unsigned int flags)
{
	static const struct domain_change change = { edit_attach, attach_parsed };
	struct attachment attachment = { .xml = xml };

	return domain_change(vm, flags, &change, &attachment);
}

struct detachment {
	virDomainDeviceDef *dev;
	bool force;
};

static int edit_detach(virDomainDef *def, void *data)
{
	const struct detachment *d = data;
	const struct device_class *class = device_class_of(d->dev);
	g_autoptr(virDomainDeviceDef) gone = NULL;
	int index = class->find(def, d->dev);

	if (index < 0)
		return -1;
	gone = g_new0(virDomainDeviceDef, 1);
	gone->type = d->dev->type;
	class->remove(def, index, gone);
	return 0;
}

static int detach_found(virDomainObj *vm, void *data)
{
	const struct detachment *d = data;

	return detach_live(vm, d->dev, d->force);
}

static int detach_device(virDomainObj *vm, virDomainDeviceDef *dev, unsigned int flags)
{
	static const struct domain_change change = { edit_detach, detach_found };
	struct detachment detachment = { dev, (flags & VIR_DOMAIN_DEVICE_MODIFY_FORCE) != 0 };

	if (refuse_kind(dev, "detached") < 0)
		return -1;
	return domain_change(vm, flags & (VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG), &change,
	                     &detachment);
}

static int detach(virDomainObj *vm, const char *xml, unsigned int flags)
{
	unsigned int parse_flags = VIR_DOMAIN_DEF_PARSE_INACTIVE | VIR_DOMAIN_DEF_PARSE_SKIP_VALIDATE;
	g_autoptr(virDomainDeviceDef) dev = parse_device(xml, vm->def, xylem->xmlopt, parse_flags);

	return dev ? detach_device(vm, dev, flags) : -1;
}

/* The alias is that of the running guest's device, or of the definition's where only that is meant. */
static int detach_alias(virDomainObj *vm, const char *alias, unsigned int flags)
{
	g_autoptr(virDomainDeviceDef) key = NULL;
	virDomainDeviceDef found;
	virDomainDef *def;

	if (virDomainObjUpdateModificationImpact(vm, &flags) < 0)
		return -1;
	def = flags & VIR_DOMAIN_AFFECT_LIVE ? vm->def
	                                     : virDomainObjGetPersistentDef(xylem->xmlopt, vm, NULL);
	if (!def || virDomainDefFindDevice(def, alias, &found, true) < 0)
		return -1;
	if (refuse_kind(&found, "detached") < 0)
		return -1;
	/* What it is known by: the definition may be replaced while the guest is asked. */
	key = g_new0(virDomainDeviceDef, 1);
	key->type = found.type;
	device_class_of(key)->copy_key(key, &found);
	return detach_device(vm, key, flags);
}

/* Whether the interface has the parts that the client's text names. */
static bool same_net(const virDomainNetDef *net, const virDomainNetDef *wanted)
{
	const char *source = wanted->type == VIR_DOMAIN_NET_TYPE_NETWORK
	                             ? wanted->data.network.name
	                             : virDomainNetGetActualBridgeName((virDomainNetDef *)wanted);
	const char *present =
	        wanted->type == VIR_DOMAIN_NET_TYPE_NETWORK
	                ? (net->type == VIR_DOMAIN_NET_TYPE_NETWORK ? net->data.network.name : NULL)
	                : virDomainNetGetActualBridgeName((virDomainNetDef *)net);

	return STREQ_NULLABLE(source, present) && net->mtu == wanted->mtu &&
	       (!wanted->ifname || STREQ_NULLABLE(wanted->ifname, net->ifname)) &&
	       STREQ_NULLABLE(net->filter, wanted->filter) &&
	       virNWFilterHashTableEqual(net->filterparams, wanted->filterparams) &&
	       virNetDevVlanEqual(&net->vlan, &wanted->vlan) &&
	       conf_net_isolated(net) == conf_net_isolated(wanted);
}

static bool link_is_up(const virDomainNetDef *net)
{
	return net->linkstate != VIR_DOMAIN_NET_INTERFACE_LINK_STATE_DOWN;
}

static int set_link(virDomainObj *vm, virDomainNetDef *net, bool up)
{
	g_autoptr(virDomainNetDef) copy = conf_net_held(net) ? net_copy(net) : NULL;
	char handle[VIR_UUID_STRING_BUFLEN], mac[VIR_MAC_STRING_BUFLEN];
	unsigned int domid = (unsigned int)vm->def->id;
	int ret;

	if (copy)
		copy->linkstate = VIR_DOMAIN_NET_INTERFACE_LINK_STATE_UP;
	domain_handle(vm, handle);
	if (slot_take(SLOT_GUEST, vm) < 0)
		return -1;
	virObjectUnlock(vm);
	ret = monitor_set_link(xylem->monitor, handle, virMacAddrFormat(&net->mac, mac), up);
	/* One that is still held, or could not be set up, must not pass anything before it is. */
	if (ret == 0 && up && copy)
		ret = net_plug(vm->def, copy, domid);
	virObjectLock(vm);
	slot_give(SLOT_GUEST);
	return ret < 0 ? -1 : virDomainObjCheckActive(vm);
}

/* A guest sees a device with another backend as another device; link and limits of an interface are all that changes while
 * it runs. */
static int update_live(virDomainObj *vm, const virDomainDeviceDef *dev)
{
	virDomainNetDef *net, *wanted;
	int index = device_class_of(dev)->find(vm->def, dev);

	if (index < 0)
		return -1;
	if (dev->type == VIR_DOMAIN_DEVICE_DISK &&
	    vm->def->disks[index]->device == VIR_DOMAIN_DISK_DEVICE_CDROM) {
		virReportError(
		        VIR_ERR_OPERATION_UNSUPPORTED,
		        "%s is running, and what is in its drive %s cannot be changed: its backend opens that "
		        "once; detach the drive and attach another one, or use --config",
		        vm->def->name, vm->def->disks[index]->dst);
		return -1;
	}
	net = dev->type == VIR_DOMAIN_DEVICE_NET ? vm->def->nets[index] : NULL;
	wanted = dev->data.net;
	if (!net || !same_net(net, wanted)) {
		virReportError(
		        VIR_ERR_OPERATION_UNSUPPORTED,
		        "%s is running, and of its devices only <link> and <bandwidth> of an interface can be "
		        "changed; detach the device and attach it again, or use --config",
		        vm->def->name);
		return -1;
	}
	if (!virNetDevBandwidthEqual(virDomainNetGetActualBandwidth(net), wanted->bandwidth) &&
	    net_change_limits(vm, net, wanted->bandwidth) < 0)
		return -1;
	domain_save_status(vm);
	if (link_is_up(net) != link_is_up(wanted) && set_link(vm, net, link_is_up(wanted)) < 0)
		return -1;
	net->linkstate = wanted->linkstate;
	domain_save_status(vm);
	process_keep_definition(vm);
	return 0;
}

static int update_parsed(virDomainObj *vm, void *data)
{
	g_autoptr(virDomainDeviceDef) dev = parse(data, vm->def, "updated");

	return dev ? update_live(vm, dev) : -1;
}

static int edit_update(virDomainDef *def, void *data)
{
	g_autoptr(virDomainDeviceDef) dev = parse(data, def, "updated");
	const struct device_class *class = dev ? device_class_of(dev) : NULL;
	int index = dev ? class->find(def, dev) : -1;
	virDomainDeviceDef now = { 0 };

	if (index < 0)
		return -1;
	now.type = dev->type;
	class->exchange(def, index, dev);
	class->get(def, index, &now);
	return class->refuse_twin(def, &now);
}

static int update(virDomainObj *vm, const char *xml, unsigned int flags)
{
	static const struct domain_change change = { edit_update, update_parsed };

	return domain_change(vm, flags, &change, (void *)xml);
}

typedef int change_fn(virDomainObj *vm, const char *xml, unsigned int flags);
typedef int acl_fn(virConnectPtr conn, virDomainDef *def, unsigned int flags);

static int change(virDomainPtr dom, const char *xml, unsigned int flags, unsigned int more, acl_fn *acl,
                  change_fn *fn)
{
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG | more, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (acl(dom->conn, vm->def, flags) == 0 && domain_refuse_dom0(vm, "given devices") == 0 &&
	    domain_begin_job(vm, VIR_JOB_MODIFY) == 0) {
		ret = fn(vm, xml, flags);
		domain_end_job(vm);
	}
	virDomainObjEndAPI(&vm);
	return ret;
}

int devices_attach_flags(virDomainPtr dom, const char *xml, unsigned int flags)
{
	return change(dom, xml, flags, 0, virDomainAttachDeviceFlagsEnsureACL, attach);
}

int devices_attach(virDomainPtr dom, const char *xml)
{
	return devices_attach_flags(dom, xml, VIR_DOMAIN_AFFECT_LIVE);
}

int devices_detach_flags(virDomainPtr dom, const char *xml, unsigned int flags)
{
	return change(dom, xml, flags, VIR_DOMAIN_DEVICE_MODIFY_FORCE, virDomainDetachDeviceFlagsEnsureACL,
	              detach);
}

int devices_detach(virDomainPtr dom, const char *xml)
{
	return devices_detach_flags(dom, xml, VIR_DOMAIN_AFFECT_LIVE);
}

int devices_update_flags(virDomainPtr dom, const char *xml, unsigned int flags)
{
	return change(dom, xml, flags, 0, virDomainUpdateDeviceFlagsEnsureACL, update);
}

int devices_detach_alias(virDomainPtr dom, const char *alias, unsigned int flags)
{
	return change(dom, alias, flags, 0, virDomainDetachDeviceAliasEnsureACL, detach_alias);
}

static int resize(virDomainObj *vm, const char *path, unsigned long long bytes)
{
	virDomainDiskDef *disk;
	char handle[VIR_UUID_STRING_BUFLEN];
	g_autofree char *target = NULL;
	int ret;

	if (virDomainObjCheckActive(vm) < 0)
		return -1;
	disk = virDomainDiskByName(vm->def, path, false);
	if (!disk) {
		virReportError(VIR_ERR_INVALID_ARG, "%s has no disk '%.200s'", vm->def->name, path);
		return -1;
	}
	target = g_strdup(disk->dst);
	domain_handle(vm, handle);
	if (slot_take(SLOT_GUEST, vm) < 0)
		return -1;
	virObjectUnlock(vm);
	ret = monitor_resize(xylem->monitor, handle, target, bytes);
	virObjectLock(vm);
	slot_give(SLOT_GUEST);
	return ret;
}

int devices_resize(virDomainPtr dom, const char *path, unsigned long long size, unsigned int flags)
{
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_BLOCK_RESIZE_BYTES, -1);
	if (!(flags & VIR_DOMAIN_BLOCK_RESIZE_BYTES)) {
		if (size > ULLONG_MAX / 1024) {
			virReportError(VIR_ERR_OVERFLOW, "%llu KiB: no disk is that large", size);
			return -1;
		}
		size *= 1024;
	}

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainBlockResizeEnsureACL(dom->conn, vm->def) == 0 &&
	    domain_refuse_dom0(vm, "given a larger disk") == 0 && domain_begin_job(vm, VIR_JOB_MODIFY) == 0) {
		ret = resize(vm, path, size);
		domain_end_job(vm);
	}
	virDomainObjEndAPI(&vm);
	return ret;
}
