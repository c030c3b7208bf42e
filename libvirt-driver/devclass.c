/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See devclass.h. */
#include "devclass.h"

#include "check.h"
#include "compat.h"
#include "conf.h"
#include "locks.h"
#include "monitor.h"
#include "net.h"
#include "process.h"
#include "virerror.h"
#include "virlog.h"

VIR_LOG_INIT("xylem.devclass");

/* ---- disks: known by the name of the target, with locks ---- */

static char *disk_alias(const virDomainDeviceDef *dev)
{
	return g_strdup_printf("vbd-%s", dev->data.disk->dst);
}

static int disk_refuse_twin(const virDomainDef *def, const virDomainDeviceDef *dev)
{
	const virDomainDiskDef *found = virDomainDiskByTarget((virDomainDef *)def, dev->data.disk->dst);

	if (!found || found == dev->data.disk)
		return 0;
	virReportError(VIR_ERR_OPERATION_INVALID,
	               "<disk><target dev='%s'/>: %s has a disk with this name already", dev->data.disk->dst,
	               def->name);
	return -1;
}

static int disk_find(virDomainDef *def, const virDomainDeviceDef *dev)
{
	int index = virDomainDiskIndexByName(def, dev->data.disk->dst, true);

	if (index < 0)
		virReportError(VIR_ERR_DEVICE_MISSING, "%s has no disk %s", def->name, dev->data.disk->dst);
	return index;
}

static void disk_get(const virDomainDef *def, int index, virDomainDeviceDef *dev)
{
	dev->data.disk = def->disks[index];
}

static int disk_insert(virDomainDef *def, virDomainDeviceDef *dev)
{
	const char *name = dev->data.disk->dst;

	virDomainDiskInsert(def, g_steal_pointer(&dev->data.disk));
	return virDomainDiskIndexByName(def, name, false);
}

static void disk_remove(virDomainDef *def, int index, virDomainDeviceDef *dev)
{
	dev->data.disk = virDomainDiskRemove(def, (size_t)index);
}

static void disk_exchange(virDomainDef *def, int index, virDomainDeviceDef *dev)
{
	virDomainDiskDef *old = def->disks[index];

	def->disks[index] = dev->data.disk;
	dev->data.disk = old;
}

static void disk_copy_key(virDomainDeviceDef *key, const virDomainDeviceDef *dev)
{
	key->data.disk = virDomainDiskDefNew(xylem->xmlopt);
	key->data.disk->dst = g_strdup(dev->data.disk->dst);
}

static disk_locks_t *disk_prepare(virDomainObj *vm, virDomainDeviceDef *dev)
{
	const struct domain_private *priv = vm->privateData;

	return priv->foreign ? NULL : locks_new(vm->def, dev->data.disk->src);
}

static disk_locks_t *disk_locks(virDomainObj *vm, const virDomainDeviceDef *dev)
{
	const struct domain_private *priv = vm->privateData;

	return priv->locked ? locks_new(vm->def, dev->data.disk->src) : NULL;
}

static const struct device_class device_disk = {
	.alias = disk_alias,
	.refuse_twin = disk_refuse_twin,
	.find = disk_find,
	.get = disk_get,
	.insert = disk_insert,
	.remove = disk_remove,
	.exchange = disk_exchange,
	.copy_key = disk_copy_key,
	.prepare = disk_prepare,
	.locks = disk_locks,
};

/* ---- interfaces: known by their address, with a part of a network, a filter and limits ---- */

static char *net_alias(const virDomainDeviceDef *dev)
{
	const unsigned char *mac = dev->data.net->mac.addr;

	return g_strdup_printf("vif-%02x%02x%02x%02x%02x%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
	                       mac[5]);
}

static int net_refuse_twin(const virDomainDef *def, const virDomainDeviceDef *dev)
{
	g_autofree char *element = NULL;
	const char *what = check_twin(def, dev->data.net, &element);

	if (!what)
		return 0;
	virReportError(VIR_ERR_OPERATION_INVALID, "<interface>%s: %s has an interface with this %s already",
	               element, def->name, what);
	return -1;
}

static int net_find(virDomainDef *def, const virDomainDeviceDef *dev)
{
	return virDomainNetFindIdx(def, dev->data.net);
}

static void net_get(const virDomainDef *def, int index, virDomainDeviceDef *dev)
{
	dev->data.net = def->nets[index];
}

static int net_insert(virDomainDef *def, virDomainDeviceDef *dev)
{
	virDomainNetInsert(def, dev->data.net);
	dev->data.net = NULL;
	return (int)def->nnets - 1;
}

static void net_remove(virDomainDef *def, int index, virDomainDeviceDef *dev)
{
	dev->data.net = virDomainNetRemove(def, (size_t)index);
}

static void net_exchange(virDomainDef *def, int index, virDomainDeviceDef *dev)
{
	virDomainNetDef *old = def->nets[index];

	def->nets[index] = dev->data.net;
	dev->data.net = old;
}

static void net_copy_key(virDomainDeviceDef *key, const virDomainDeviceDef *dev)
{
	key->data.net = virDomainNetDefNew(xylem->xmlopt);
	key->data.net->mac = dev->data.net->mac;
}

static disk_locks_t *net_prepare(virDomainObj *vm, virDomainDeviceDef *dev)
{
	struct domain_private *priv = vm->privateData;

	priv->held = priv->held || conf_net_held(dev->data.net);
	return NULL;
}

/* The guest's domain at this moment, 0 where there is none. No object may be locked. */
static unsigned int present_domain(const char *handle)
{
	g_autoptr(GVariant) domain = monitor_get(xylem->monitor, handle, NULL);
	guint32 domid = 0;

	if (domain)
		g_variant_lookup(domain, "domid", "u", &domid);
	return domid;
}

static int net_connect(virDomainObj *vm, const char *handle, virDomainDeviceDef *dev, GVariant *made)
{
	virDomainNetDef *net = dev->data.net;
	const char *ifname;
	virErrorPtr saved;

	process_warn_mac(vm->def, net);
	if (g_variant_lookup(made, "ifname", "&s", &ifname)) {
		g_free(net->ifname);
		net->ifname = g_strdup(ifname);
	}
	if (!conf_net_held(net) || net_plug(vm->def, net, present_domain(handle)) == 0)
		return 0;
	virErrorPreserveLast(&saved);
	if (monitor_detach(xylem->monitor, handle, conf_device_key(dev, true)) < 0)
		VIR_WARN("%s: %s", handle, virGetLastErrorMessage());
	virErrorRestore(&saved);
	return -1;
}

static void net_disconnect(virDomainDef *def, virDomainDeviceDef *dev)
{
	net_unplug(def, dev->data.net);
	process_release_net(def, dev->data.net);
}

static const struct device_class device_net = {
	.alias = net_alias,
	.refuse_twin = net_refuse_twin,
	.find = net_find,
	.get = net_get,
	.insert = net_insert,
	.remove = net_remove,
	.exchange = net_exchange,
	.copy_key = net_copy_key,
	.prepare = net_prepare,
	.connect = net_connect,
	.disconnect = net_disconnect,
};

const struct device_class *device_class_of(const virDomainDeviceDef *dev)
{
	static const struct device_class *const classes[VIR_DOMAIN_DEVICE_LAST] = {
		[VIR_DOMAIN_DEVICE_DISK] = &device_disk,
		[VIR_DOMAIN_DEVICE_NET] = &device_net,
	};

	return classes[dev->type];
}
