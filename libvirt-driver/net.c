/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the host does for a guest's interfaces beyond their bridge: limits, filters, VLANs, isolated ports. xylemd holds such an
 * interface down in each of the guest's domains until it is let go here, so that nothing passes before.
 *
 * The limits are libvirt's (tc), the filters those of its nwfilter driver. Both belong to the interface in dom0, which is
 * another one after each reboot; one with a filter keeps its name.
 */
#include "net.h"
#include "xylem.h"

#include "check.h"
#include "compat.h"
#include "conf.h"
#include "datatypes.h"
#include "domain.h"
#include "domain_nwfilter.h"
#include "events.h"
#include "monitor.h"
#include "process.h"
#include "viraccessapicheck.h"
#include "virdomainjob.h"
#include "virerror.h"
#include "virlog.h"
#include "virmacaddr.h"
#include "virnetdev.h"
#include "virnetdevbandwidth.h"
#include "virnetdevbridge.h"
#include "virnwfilterbindingdef.h"
#include "virtypedparam.h"
#include "viruuid.h"
#include "vlan.h"

VIR_LOG_INIT("xylem.net");

/* Limits are told as the guest sees them; dom0's end of the wire is the other one. */
static int set_limits(const char *ifname, const virNetDevBandwidth *limits)
{
	return virNetDevBandwidthSet(
	        ifname, limits, VIR_NETDEV_BANDWIDTH_SET_DIR_SWAPPED | VIR_NETDEV_BANDWIDTH_SET_CLEAR_ALL);
}

int net_name(virDomainNetDef *net)
{
	if (!net->filter)
		return 0;
	if (!net->ifname)
		return virNetDevGenerateName(&net->ifname, VIR_NET_DEV_GEN_NAME_VNET);
	virNetDevReserveName(net->ifname);
	return 0;
}

void net_reserve_names(const virDomainDef *def)
{
	for (size_t i = 0; i < def->nnets; i++) {
		if (def->nets[i]->filter && def->nets[i]->ifname)
			virNetDevReserveName(def->nets[i]->ifname);
	}
}

/* Ends the filter of an interface, if it is this guest's: another one's may have the same name. */
static void drop_filter(const unsigned char *uuid, const virDomainNetDef *net)
{
	g_autoptr(virConnect) conn = virGetConnectNWFilter();
	virNWFilterBindingPtr binding = conn ? virNWFilterBindingLookupByPortDev(conn, net->ifname) : NULL;
	g_autofree char *xml = binding ? virNWFilterBindingGetXMLDesc(binding, 0) : NULL;
	virNWFilterBindingDef *def = xml ? virNWFilterBindingDefParse(xml, NULL, 0) : NULL;

	if (def && memcmp(def->owneruuid, uuid, VIR_UUID_BUFLEN) == 0 &&
	    virMacAddrCmp(&def->mac, &net->mac) == 0 && virNWFilterBindingDelete(binding) < 0)
		VIR_WARN("the filter of %s stays: %s", net->ifname, virGetLastErrorMessage());
	virNWFilterBindingDefFree(def);
	virObjectUnref(binding);
	virResetLastError();
}

/*
 * A filter that learns the guest's address listens on an interface that is up: so it is, outside of its bridge, until the
 * filter is there.
 */
static int set_filter(const virDomainDef *def, virDomainNetDef *net, bool online)
{
	const char *bridge = virDomainNetGetActualBridgeName(net);

	if (online)
		return virDomainConfNWFilterInstantiate(def->name, def->uuid, net, true);
	drop_filter(def->uuid, net);
	if (virNetDevBridgeRemovePort(bridge, net->ifname) < 0 || virNetDevSetOnline(net->ifname, true) < 0 ||
	    virDomainConfNWFilterInstantiate(def->name, def->uuid, net, false) < 0)
		return -1;
	/* As a port it is in the bridge's default VLAN at first. */
	if ((net->linkstate == VIR_DOMAIN_NET_INTERFACE_LINK_STATE_DOWN || virDomainNetGetActualVlan(net)) &&
	    virNetDevSetOnline(net->ifname, false) < 0)
		return -1;
	return virNetDevBridgeAddPort(bridge, net->ifname, NULL);
}

/* One that is up has been released already, by a libvirtd that has ended since. */
static int set_up(const virDomainDef *def, virDomainNetDef *net)
{
	const virNetDevBandwidth *limits = virDomainNetGetActualBandwidth(net);
	const virNetDevVlan *vlan = virDomainNetGetActualVlan(net);
	const char *bridge = virDomainNetGetActualBridgeName(net);
	bool online = false;

	if (virNetDevGetOnline(net->ifname, &online) < 0)
		return -1;
	if (limits && (limits->in || limits->out) && set_limits(net->ifname, limits) < 0)
		return -1;
	if (net->filter && set_filter(def, net, online) < 0)
		return -1;
	if (vlan && !online && vlan_set(bridge, net->ifname, vlan) < 0)
		return -1;
	return conf_net_isolated(net) ? virNetDevBridgePortSetIsolated(bridge, net->ifname, true) : 0;
}

static int plug(const virDomainDef *def, virDomainNetDef *net, unsigned int domid)
{
	char handle[VIR_UUID_STRING_BUFLEN], mac[VIR_MAC_STRING_BUFLEN];

	if (!net->ifname) {
		virReportError(VIR_ERR_INTERNAL_ERROR, "the interface %s has no name yet",
		               virMacAddrFormat(&net->mac, mac));
		return -1;
	}
	if (set_up(def, net) < 0)
		return -1;
	virUUIDFormat(def->uuid, handle);
	return monitor_release_nic(xylem->monitor, handle, domid, virMacAddrFormat(&net->mac, mac));
}

int net_plug(const virDomainDef *def, virDomainNetDef *net, unsigned int domid)
{
	return conf_net_held(net) ? plug(def, net, domid) : 0;
}

int net_plug_all(const virDomainDef *def)
{
	for (size_t i = 0; i < def->nnets; i++) {
		if (net_plug(def, def->nets[i], (unsigned int)def->id) < 0)
			return -1;
	}
	return 0;
}

void net_unplug(const virDomainDef *def, virDomainNetDef *net)
{
	virErrorPtr saved;

	virErrorPreserveLast(&saved);
	if (net->filter && net->ifname)
		drop_filter(def->uuid, net);
	virErrorRestore(&saved);
}

virDomainNetDef *net_copy(const virDomainNetDef *net)
{
	virDomainNetDef *copy = virDomainNetDefNew(xylem->xmlopt);

	copy->type = VIR_DOMAIN_NET_TYPE_BRIDGE;
	copy->data.bridge.brname = g_strdup(virDomainNetGetActualBridgeName((virDomainNetDef *)net));
	copy->ifname = g_strdup(net->ifname);
	copy->mac = net->mac;
	copy->linkstate = net->linkstate;
	copy->isolatedPort = conf_net_isolated(net) ? VIR_TRISTATE_BOOL_YES : VIR_TRISTATE_BOOL_ABSENT;
	copy->filter = g_strdup(net->filter);
	if (net->filterparams) {
		copy->filterparams = virHashNew(virNWFilterVarValueHashFree);
		ignore_value(virNWFilterHashTablePutAll(net->filterparams, copy->filterparams));
	}
	ignore_value(virNetDevBandwidthCopy(&copy->bandwidth, virDomainNetGetActualBandwidth(net)));
	virNetDevVlanCopy(&copy->vlan, virDomainNetGetActualVlan(net));
	return copy;
}

/* Whether xylemd holds the interface, by what its Get says of the guest. */
static bool is_held(GVariant *nics, const virMacAddr *mac)
{
	char text[VIR_MAC_STRING_BUFLEN];

	virMacAddrFormat(mac, text);
	for (gsize i = 0; nics && i < g_variant_n_children(nics); i++) {
		g_autoptr(GVariant) nic = g_variant_get_child_value(nics, i);
		const char *address = "";
		gboolean hold = FALSE;

		if (g_variant_lookup(nic, "mac", "&s", &address) && g_ascii_strcasecmp(address, text) == 0)
			return g_variant_lookup(nic, "hold", "b", &hold) && hold;
	}
	return false;
}

/* The job may be another call's for long; this one has to be had as long as the guest lives. */
static bool take_job(virDomainObj *vm, unsigned long life)
{
	const struct domain_private *priv = vm->privateData;

	while (vm->def->id > 0 && priv->life == life && !vm->removing) {
		if (virDomainObjBeginJob(vm, VIR_JOB_DESTROY) == 0)
			return true;
		virResetLastError();
	}
	return false;
}

static void plug_held(virDomainObj *vm, GVariant *domain, unsigned int domid)
{
	struct domain_private *priv = vm->privateData;
	g_autoptr(GVariant) devices = g_variant_lookup_value(domain, "devices", G_VARIANT_TYPE("aa{sv}"));
	g_autoptr(GVariant) config = g_variant_lookup_value(domain, "config", G_VARIANT_TYPE_VARDICT);
	g_autoptr(GVariant) nics =
	        config ? g_variant_lookup_value(config, "nics", G_VARIANT_TYPE("aa{sv}")) : NULL;

	process_name_interfaces(vm->def, devices);
	priv->held = false;
	/* The job keeps the list; names change all the same. */
	for (size_t i = 0; vm->def->id == (int)domid && i < vm->def->nnets; i++) {
		g_autoptr(virDomainNetDef) net = net_copy(vm->def->nets[i]);
		char mac[VIR_MAC_STRING_BUFLEN];
		int ret;

		if (!is_held(nics, &net->mac))
			continue;
		priv->held = true;
		virObjectUnlock(vm);
		ret = plug(vm->def, net, domid);
		virObjectLock(vm);
		if (ret < 0)
			VIR_ERROR("%s: its interface %s stays down: %s", vm->def->name,
			          virMacAddrFormat(&net->mac, mac), virGetLastErrorMessage());
		virResetLastError();
	}
}

/* The guest has a new domain, in which its interfaces are held again. What fails stays down, and the log says so. */
static void plug_again(virDomainObj *vm, unsigned long life)
{
	struct domain_private *priv = vm->privateData;
	g_autoptr(GVariant) domain = NULL;
	char handle[VIR_UUID_STRING_BUFLEN];
	guint32 domid = 0;

	if (!take_job(vm, life))
		return;
	domain_handle(vm, handle);
	virObjectUnlock(vm);
	domain = monitor_get(xylem->monitor, handle, NULL);
	virObjectLock(vm);
	if (domain)
		g_variant_lookup(domain, "domid", "u", &domid);
	else
		VIR_ERROR("%s: xylemd does not say which of its interfaces it holds; they stay down",
		          vm->def->name);
	if (domid && vm->def->id == (int)domid && priv->life == life)
		plug_held(vm, domain, domid);
	virResetLastError();
	domain_end_job(vm);
}

void net_plug_later(virDomainObj *vm)
{
	const struct domain_private *priv = vm->privateData;

	if (priv->held && vm->def->nnets)
		events_later(vm, plug_again);
}

/* ---- domiftune ---- */

/* Parts of the limits, by their names. */
struct limit_field {
	const char *name;
	bool in; /* to the guest */
	size_t offset;
};

#define FIELD(name, in, member)                                    \
	{                                                          \
		name, in, offsetof(virNetDevBandwidthRate, member) \
	}

static const struct limit_field fields[] = {
	FIELD(VIR_DOMAIN_BANDWIDTH_IN_AVERAGE, true, average),
	FIELD(VIR_DOMAIN_BANDWIDTH_IN_PEAK, true, peak),
	FIELD(VIR_DOMAIN_BANDWIDTH_IN_BURST, true, burst),
	FIELD(VIR_DOMAIN_BANDWIDTH_IN_FLOOR, true, floor),
	FIELD(VIR_DOMAIN_BANDWIDTH_OUT_AVERAGE, false, average),
	FIELD(VIR_DOMAIN_BANDWIDTH_OUT_PEAK, false, peak),
	FIELD(VIR_DOMAIN_BANDWIDTH_OUT_BURST, false, burst),
};

static unsigned long long *part_of(virNetDevBandwidthRate *rate, const struct limit_field *field)
{
	return (unsigned long long *)((char *)rate + field->offset);
}

struct limits_change {
	const char *device;
	virTypedParameterPtr params;
	int count;
};

/* The limits as they become: a direction of which anything is said is what is said, and unlimited without an average. */
static virNetDevBandwidth *changed_limits(const virNetDevBandwidth *old, const struct limits_change *change)
{
	virNetDevBandwidth *new = g_new0(virNetDevBandwidth, 1);
	bool said_in = false, said_out = false;

	new->in = g_new0(virNetDevBandwidthRate, 1);
	new->out = g_new0(virNetDevBandwidthRate, 1);
	for (int i = 0; i < change->count; i++) {
		for (size_t k = 0; k < G_N_ELEMENTS(fields); k++) {
			if (STRNEQ(change->params[i].field, fields[k].name))
				continue;
			*part_of(fields[k].in ? new->in : new->out, &fields[k]) = change->params[i].value.ui;
			*(fields[k].in ? &said_in : &said_out) = true;
		}
	}
	if (!said_in && old && old->in)
		*new->in = *old->in;
	if (!said_out && old && old->out)
		*new->out = *old->out;
	/* libvirt's parser takes them with an average alone. */
	if (!new->in->average)
		new->in->peak = new->in->burst = 0;
	if (!new->in->average && !new->in->floor)
		g_clear_pointer(&new->in, g_free);
	if (!new->out->average)
		g_clear_pointer(&new->out, g_free);
	return new;
}

static int keep_limits(virDomainNetDef *net, virNetDevBandwidth *limits)
{
	virNetDevBandwidthFree(net->bandwidth);
	net->bandwidth = limits;
	if (net->type != VIR_DOMAIN_NET_TYPE_NETWORK || !net->data.network.actual)
		return 0;
	virNetDevBandwidthFree(net->data.network.actual->bandwidth);
	net->data.network.actual->bandwidth = NULL;
	return virNetDevBandwidthCopy(&net->data.network.actual->bandwidth, limits);
}

static int check_limits(virDomainNetDef *net, virDomainDef *def)
{
	virDomainDeviceDef dev = { .type = VIR_DOMAIN_DEVICE_NET, .data.net = net };

	return check_device(&dev, def);
}

static int edit_limits(virDomainDef *def, void *data)
{
	const struct limits_change *change = data;
	virDomainNetDef *net = virDomainNetFind(def, change->device);

	return net && keep_limits(net, changed_limits(net->bandwidth, change)) == 0 ? check_limits(net, def)
	                                                                            : -1;
}

/* On the wire, and where it is a network's, in what the network has promised. Unlocked. */
static int apply_limits(virDomainNetDef *net, const char *ifname, virNetDevBandwidth *limits)
{
	if (net->type == VIR_DOMAIN_NET_TYPE_NETWORK && virDomainNetBandwidthUpdate(net, limits) < 0)
		return -1;
	return set_limits(ifname, limits);
}

int net_change_limits(virDomainObj *vm, virDomainNetDef *net, const virNetDevBandwidth *limits)
{
	virNetDevBandwidth *old = (virNetDevBandwidth *)virDomainNetGetActualBandwidth(net), *kept = NULL;
	virNetDevBandwidth none = { 0 };
	g_autoptr(virNetDevBandwidth) new = NULL;
	/* A reboot gives it another one meanwhile. */
	g_autofree char *ifname = g_strdup(net->ifname);
	int ret;

	if (virNetDevBandwidthCopy(&new, limits ? limits : &none) < 0)
		return -1;
	virObjectUnlock(vm);
	ret = apply_limits(net, ifname, new);
	if (ret < 0) {
		virErrorPtr saved;

		virErrorPreserveLast(&saved);
		ignore_value(apply_limits(net, ifname, old ? old : &none));
		virErrorRestore(&saved);
	}
	virObjectLock(vm);
	if (ret < 0 || virDomainObjCheckActive(vm) < 0)
		return -1;
	if (new->in || new->out)
		kept = g_steal_pointer(&new);
	return keep_limits(net, kept);
}

static int set_limits_live(virDomainObj *vm, void *data)
{
	const struct limits_change *change = data;
	virDomainNetDef *net = virDomainNetFind(vm->def, change->device);
	g_autoptr(virNetDevBandwidth) wanted = NULL;

	if (!net)
		return -1;
	wanted = changed_limits(virDomainNetGetActualBandwidth(net), change);
	if (wanted->in && wanted->in->floor && net->type != VIR_DOMAIN_NET_TYPE_NETWORK) {
		virReportError(VIR_ERR_CONFIG_UNSUPPORTED, "%s",
		               "inbound floor: only a network can promise it");
		return -1;
	}
	if (net_change_limits(vm, net, wanted) < 0)
		return -1;
	domain_save_status(vm);
	process_keep_definition(vm);
	return 0;
}

int net_set_parameters(virDomainPtr dom, const char *device, virTypedParameterPtr params, int count,
                       unsigned int flags)
{
	static const struct domain_change how = { edit_limits, set_limits_live };
	struct limits_change change = { device, params, count };
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG, -1);
	if (virTypedParamsValidate(
	            params, count, VIR_DOMAIN_BANDWIDTH_IN_AVERAGE, VIR_TYPED_PARAM_UINT,
	            VIR_DOMAIN_BANDWIDTH_IN_PEAK, VIR_TYPED_PARAM_UINT, VIR_DOMAIN_BANDWIDTH_IN_BURST,
	            VIR_TYPED_PARAM_UINT, VIR_DOMAIN_BANDWIDTH_IN_FLOOR, VIR_TYPED_PARAM_UINT,
	            VIR_DOMAIN_BANDWIDTH_OUT_AVERAGE, VIR_TYPED_PARAM_UINT, VIR_DOMAIN_BANDWIDTH_OUT_PEAK,
	            VIR_TYPED_PARAM_UINT, VIR_DOMAIN_BANDWIDTH_OUT_BURST, VIR_TYPED_PARAM_UINT, NULL) < 0)
		return -1;

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainSetInterfaceParametersEnsureACL(dom->conn, vm->def, flags) == 0 &&
	    domain_refuse_dom0(vm, "limited") == 0 && domain_begin_job(vm, VIR_JOB_MODIFY) == 0) {
		ret = domain_change(vm, flags, &how, &change);
		domain_end_job(vm);
	}
	virDomainObjEndAPI(&vm);
	return ret;
}

int net_get_parameters(virDomainPtr dom, const char *device, virTypedParameterPtr params, int *count,
                       unsigned int flags)
{
	virNetDevBandwidthRate none = { 0 };
	const virNetDevBandwidth *limits;
	virDomainNetDef *net;
	virDomainDef *def;
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG | VIR_TYPED_PARAM_STRING_OKAY, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainGetInterfaceParametersEnsureACL(dom->conn, vm->def) < 0 ||
	    !(def = virDomainObjGetOneDef(vm, flags & (VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG))) ||
	    !(net = virDomainNetFind(def, device)))
		goto cleanup;
	limits = virDomainNetGetActualBandwidth(net);
	if (*count > 0)
		*count = MIN(*count, (int)G_N_ELEMENTS(fields));
	for (int i = 0; i < *count; i++) {
		virNetDevBandwidthRate *rate = limits ? (fields[i].in ? limits->in : limits->out) : NULL;

		if (virTypedParameterAssign(&params[i], fields[i].name, VIR_TYPED_PARAM_UINT,
		                            (unsigned int)*part_of(rate ? rate : &none, &fields[i])) < 0)
			goto cleanup;
	}
	if (*count == 0)
		*count = G_N_ELEMENTS(fields);
	ret = 0;
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

/* ---- addresses ---- */

/* Asks others; the guest's definition is a copy. */
static int find_addresses(virDomainDef *def, unsigned int source, virDomainInterfacePtr **interfaces)
{
	switch (source) {
	case VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE:
		return virDomainNetDHCPInterfaces(def, interfaces);
	case VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP:
		return virDomainNetARPInterfaces(def, interfaces);
	default:
		virReportError(VIR_ERR_ARGUMENT_UNSUPPORTED, "%s",
		               "paravirtual guests have no guest agent to ask: --source lease or arp");
		return -1;
	}
}

/* A copy of what the running guest has, with the names of its interfaces, so that nothing is locked while others are asked. */
static virDomainDef *live_copy(virDomainObj *vm)
{
	virDomainDef *def;

	if (virDomainObjCheckActive(vm) < 0)
		return NULL;
	def = virDomainDefCopy(vm->def, xylem->xmlopt, NULL, false);
	for (size_t i = 0; def && i < MIN(def->nnets, vm->def->nnets); i++) {
		g_free(def->nets[i]->ifname);
		def->nets[i]->ifname = g_strdup(vm->def->nets[i]->ifname);
	}
	return def;
}

int net_addresses(virDomainPtr dom, virDomainInterfacePtr **interfaces, unsigned int source,
                  unsigned int flags)
{
	g_autoptr(virDomainDef) def = NULL;
	virDomainObj *vm;

	virCheckFlags(0, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainInterfaceAddressesEnsureACL(dom->conn, vm->def, source) == 0)
		def = live_copy(vm);
	virDomainObjEndAPI(&vm);
	return def ? find_addresses(def, source, interfaces) : -1;
}

/* The name that a guest has told the DHCP server of this network; NULL. */
static char *leased_name(virNetworkPtr network, const char *mac)
{
	virNetworkDHCPLeasePtr *leases = NULL;
	int count = virNetworkGetDHCPLeases(network, mac, &leases, 0);
	char *name = NULL;

	for (int i = 0; i < count; i++) {
		if (!name)
			name = g_strdup(leases[i]->hostname);
		virNetworkDHCPLeaseFree(leases[i]);
	}
	g_free(leases);
	return name;
}

static char *find_hostname(const virDomainDef *def)
{
	g_autoptr(virConnect) network_driver = virGetConnectNetwork();
	char *name = NULL;

	for (size_t i = 0; network_driver && !name && i < def->nnets; i++) {
		g_autoptr(virNetwork) network = NULL;
		char mac[VIR_MAC_STRING_BUFLEN];

		if (def->nets[i]->type != VIR_DOMAIN_NET_TYPE_NETWORK)
			continue;
		network = virNetworkLookupByName(network_driver, def->nets[i]->data.network.name);
		if (network)
			name = leased_name(network, virMacAddrFormat(&def->nets[i]->mac, mac));
	}
	if (!name)
		virReportError(VIR_ERR_NO_HOSTNAME,
		               "no DHCP server of this host's networks knows the name of %s", def->name);
	return name;
}

char *net_hostname(virDomainPtr dom, unsigned int flags)
{
	g_autoptr(virDomainDef) def = NULL;
	virDomainObj *vm;

	virCheckFlags(VIR_DOMAIN_GET_HOSTNAME_LEASE | VIR_DOMAIN_GET_HOSTNAME_AGENT, NULL);
	if (flags & VIR_DOMAIN_GET_HOSTNAME_AGENT) {
		virReportError(VIR_ERR_ARGUMENT_UNSUPPORTED, "%s",
		               "paravirtual guests have no guest agent to ask: --source lease");
		return NULL;
	}

	vm = domain_get(dom);
	if (!vm)
		return NULL;
	if (virDomainGetHostnameEnsureACL(dom->conn, vm->def) == 0)
		def = live_copy(vm);
	virDomainObjEndAPI(&vm);
	return def ? find_hostname(def) : NULL;
}
