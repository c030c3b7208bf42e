/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the host does for interfaces beyond their bridge, and when: before the interface is let go, in each life of the guest.
 * The test plays xylemd, tc, the bridge and the nwfilter driver, and looks at the order in which they were called.
 */

#include <stdio.h>
#include <stdlib.h>
#include <xenctrl.h>

#include "../lib/tap.h"
#include "datatypes.h"
#include "define.h"
#include "devices.h"
#include "domain_nwfilter.h"
#include "events.h"
#include "lifecycle.h"
#include "monitor.h"
#include "net.h"
#include "nettest.h"
#include "network_conf.h"
#include "played.h"
#include "virerror.h"
#include "virmacaddr.h"
#include "virnetdev.h"
#include "virnetdevbridge.h"
#include "virtypedparam.h"
#include "viruuid.h"
#include "vlan.h"

#define UUID "5f2b7e10-0000-4000-8000-000000000001"
#define GUEST(nics)                                                                                 \
	"<domain type='xen'><name>one</name><uuid>" UUID "</uuid><memory unit='KiB'>65536</memory>" \
	"<vcpu>1</vcpu><os><type>linux</type><kernel>/k</kernel></os><devices>" nics "</devices></domain>"
#define NIC(mac, more) \
	"<interface type='bridge'><mac address='" mac "'/><source bridge='br0'/>" more "</interface>"
#define PLAIN NIC("00:16:3e:00:00:01", "")
#define LIMITED \
	NIC("00:16:3e:00:00:02", "<bandwidth><inbound average='100'/><outbound average='50'/></bandwidth>")
#define ISOLATED NIC("00:16:3e:00:00:03", "<port isolated='yes'/>")
#define FILTERED NIC("00:16:3e:00:00:04", "<filterref filter='clean-traffic'/><port isolated='no'/>")
#define DOWN     NIC("00:16:3e:00:00:05", "<link state='down'/><port isolated='yes'/>")

#define TAGGED   NIC("00:16:3e:00:00:07", "<vlan><tag id='42'/></vlan>")
#define TAGGED_FILTERED \
	NIC("00:16:3e:00:00:08", "<filterref filter='clean-traffic'/><vlan><tag id='7'/><tag id='9'/></vlan>")

#define ON_NETWORK \
	"<interface type='network'><mac address='00:16:3e:00:00:06'/><source network='n'/></interface>"

#define FILTER "unfilter vnet0; leave vnet0; online vnet0 1; filter one vnet0 clean-traffic; enter vnet0; "

static void ok(bool good, const char *name)
{
	if (!tap_ok(good, "%s", name))
		printf("# last error: %s\n", virGetLastErrorMessage());
}

/* ---- what is called ---- */

static GMutex lock;
static GString *calls;
static const char *failing; /* the call that fails */
static bool is_up;          /* what xylemd has made: it was released before */

static int call(const char *format, ...) G_GNUC_PRINTF(1, 2);

static int call(const char *format, ...)
{
	g_autofree char *text = NULL;
	bool fails;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	g_mutex_lock(&lock);
	g_string_append_printf(calls, "%s; ", text);
	fails = failing && g_str_has_prefix(text, failing);
	g_mutex_unlock(&lock);
	if (!fails)
		return 0;
	virReportError(VIR_ERR_OPERATION_FAILED, "%s fails as the test wants it", text);
	return -1;
}

/* Whether these were the calls since it was last asked. */
static bool called(const char *expected)
{
	bool good;

	g_mutex_lock(&lock);
	good = STREQ(calls->str, expected);
	if (!good)
		printf("# called: %s\n# wanted: %s\n", calls->str, expected);
	g_string_truncate(calls, 0);
	g_mutex_unlock(&lock);
	return good;
}

int play_limits(const char *ifname, const virNetDevBandwidth *limits, bool as_guest_sees)
{
	if (!as_guest_sees)
		abort();
	return call("limit %s %llu/%llu", ifname, limits->in ? limits->in->average : 0,
	            limits->out ? limits->out->average : 0);
}

/* Whose addresses are asked for: those of the last interface. */
int virDomainNetARPInterfaces(virDomainDef *def, virDomainInterfacePtr **interfaces)
{
	*interfaces = NULL;
	return call("arp %s", def->nets[def->nnets - 1]->ifname);
}

int virNetDevBridgePortSetIsolated(const char *bridge, const char *ifname, bool on)
{
	return call("isolate %s %s %d", bridge, ifname, on);
}

int vlan_set(const char *bridge, const char *ifname, const virNetDevVlan *vlan)
{
	return call("vlan %s %s %d:%u..%u", bridge, ifname, vlan->trunk, vlan->tag[0],
	            vlan->tag[vlan->nTags - 1]);
}

int virNetDevGenerateName(char **ifname, virNetDevGenNameType type G_GNUC_UNUSED)
{
	*ifname = g_strdup("vnet0");
	return 0;
}

void virNetDevReserveName(const char *name G_GNUC_UNUSED)
{
}

int virDomainConfNWFilterInstantiate(const char *name, const unsigned char *uuid G_GNUC_UNUSED,
                                     virDomainNetDef *net, bool there)
{
	if (there != is_up)
		abort();
	return call("filter %s %s %s", name, net->ifname, net->filter);
}

/* Another guest has the filter of this name. */
static bool others_filter;

int virNetDevGetOnline(const char *ifname G_GNUC_UNUSED, bool *online)
{
	*online = is_up;
	return 0;
}

int virNetDevSetOnline(const char *ifname, bool online)
{
	return call("online %s %d", ifname, online);
}

int virNetDevBridgeRemovePort(const char *bridge G_GNUC_UNUSED, const char *ifname)
{
	return call("leave %s", ifname);
}

int play_enter(const char *ifname)
{
	return call("enter %s", ifname);
}

virConnectPtr virGetConnectNWFilter(void)
{
	return virObjectRef(conn);
}

virNWFilterBindingPtr virNWFilterBindingLookupByPortDev(virConnectPtr c, const char *portdev)
{
	return virGetNWFilterBinding(c, portdev, "clean-traffic");
}

char *virNWFilterBindingGetXMLDesc(virNWFilterBindingPtr binding, unsigned int flags G_GNUC_UNUSED)
{
	return g_strdup_printf(
	        "<filterbinding><owner><name>x</name><uuid>%s</uuid></owner><portdev name='%s'/>"
	        "<mac address='00:16:3e:00:00:04'/><filterref filter='clean-traffic'/></filterbinding>",
	        others_filter ? "5f2b7e10-0000-4000-8000-00000000ffff" : UUID, binding->portdev);
}

int virNWFilterBindingDelete(virNWFilterBindingPtr binding)
{
	return call("unfilter %s", binding->portdev);
}

/* ---- the network driver, which has one network: a bridge ---- */

static bool libvirt_keeps_table; /* of that bridge's MAC addresses */

virConnectPtr virGetConnectNetwork(void)
{
	return virObjectRef(conn);
}

/* In the place of libvirt's; by this name, as the type of def is not the same in all versions. */
int allocate_actual_device(virConnectPtr c, const virDomainDef *def,
                           virDomainNetDef *net) __asm__("virDomainNetAllocateActualDevice");

int allocate_actual_device(virConnectPtr c G_GNUC_UNUSED, const virDomainDef *def G_GNUC_UNUSED,
                           virDomainNetDef *net)
{
	virDomainActualNetDef *actual = g_new0(virDomainActualNetDef, 1);

	actual->type = VIR_DOMAIN_NET_TYPE_BRIDGE;
	actual->data.bridge.brname = g_strdup("br0");
	actual->data.bridge.macTableManager = libvirt_keeps_table
	                                              ? VIR_NETWORK_BRIDGE_MAC_TABLE_MANAGER_LIBVIRT
	                                              : VIR_NETWORK_BRIDGE_MAC_TABLE_MANAGER_KERNEL;
	net->data.network.actual = actual;
	return 0;
}

/* ---- xylemd and the hypervisor ---- */

static unsigned int domid;
static bool exists;

static char *name_of(const char *mac, const char *ifname)
{
	return ifname ? g_strdup(ifname) : g_strdup_printf("vif%u.%c", domid, mac[16]);
}

static GVariant *made(GVariant *nic)
{
	g_autofree char *name = NULL;
	const char *mac = "", *ifname = NULL;
	GVariantDict dict;

	g_variant_lookup(nic, "mac", "&s", &mac);
	g_variant_lookup(nic, "ifname", "&s", &ifname);
	name = name_of(mac, ifname);
	g_variant_dict_init(&dict, NULL);
	g_variant_dict_insert(&dict, "mac", "s", mac);
	g_variant_dict_insert(&dict, "ifname", "s", name);
	return g_variant_dict_end(&dict);
}

static GVariant *made_all(GVariant *guest)
{
	g_autoptr(GVariant) nics = g_variant_lookup_value(guest, "nics", G_VARIANT_TYPE("aa{sv}"));
	GVariantBuilder list;

	g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
	for (gsize i = 0; i < g_variant_n_children(nics); i++) {
		g_autoptr(GVariant) nic = g_variant_get_child_value(nics, i);

		g_variant_builder_add_value(&list, made(nic));
	}
	return g_variant_ref_sink(g_variant_builder_end(&list));
}

static GVariant *config; /* of the guest */

int monitor_create(struct monitor *m G_GNUC_UNUSED, GVariant *guest, bool paused G_GNUC_UNUSED,
                   unsigned int *number, GVariant **devices)
{
	g_clear_pointer(&config, g_variant_unref);
	config = g_variant_ref_sink(guest);
	*number = ++domid;
	exists = true;
	*devices = made_all(config);
	return 0;
}

int monitor_destroy(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
{
	exists = false;
	return call("destroy");
}

int monitor_attach(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, GVariant *device,
                   GVariant **out)
{
	g_variant_ref_sink(device);
	*out = g_variant_ref_sink(made(device));
	g_variant_unref(device);
	return 0;
}

int monitor_detach(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, GVariant *device)
{
	const char *mac = "";
	int ret;

	g_variant_ref_sink(device);
	g_variant_lookup(device, "mac", "&s", &mac);
	ret = call("detach %c", mac[16]);
	g_variant_unref(device);
	return ret;
}

int monitor_release_nic(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                        unsigned int number, const char *mac)
{
	if (number != domid)
		abort();
	return call("release %c", mac[16]);
}

int monitor_set_link(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, const char *mac,
                     bool up)
{
	return call("link %c %s", mac[16], up ? "up" : "down");
}

int monitor_set_opaque(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                       const char *text G_GNUC_UNUSED)
{
	return 0;
}

bool monitor_connected(struct monitor *m G_GNUC_UNUSED)
{
	return true;
}

GVariant *monitor_get(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, bool *known)
{
	GVariantDict dict;

	if (known)
		*known = true;
	if (!exists)
		return NULL;
	g_variant_dict_init(&dict, NULL);
	g_variant_dict_insert(&dict, "owner", "s", "xylemd");
	g_variant_dict_insert(&dict, "domid", "u", domid);
	g_variant_dict_insert_value(&dict, "devices", made_all(config));
	g_variant_dict_insert_value(&dict, "config", config);
	return g_variant_ref_sink(g_variant_dict_end(&dict));
}

int xyl_domain_info(struct xyl *x G_GNUC_UNUSED, uint32_t number, struct xyl_dominfo *info)
{
	memset(info, 0, sizeof(*info));
	info->domid = number;
	ignore_value(virUUIDParse(UUID, info->uuid));
	return 0;
}

int xyl_domain_list_all(struct xyl *x, struct xyl_dominfo **list)
{
	*list = NULL;
	if (!exists)
		return 0;
	*list = g_new0(struct xyl_dominfo, 1);
	return xyl_domain_info(x, domid, *list) < 0 ? -1 : 1;
}

int xyl_host_info(struct xyl *x G_GNUC_UNUSED, struct xyl_hostinfo *info)
{
	memset(info, 0, sizeof(*info));
	info->max_cpu_id = 1;
	return 0;
}

/* ---- tests ---- */

static virDomainPtr define(const char *xml)
{
	virDomainPtr dom = define_xml(conn, xml);

	if (!dom) {
		printf("Bail out! the test's guest is refused: %s\n", virGetLastErrorMessage());
		exit(1);
	}
	return dom;
}

static bool held(guint index)
{
	g_autoptr(GVariant) nics = g_variant_lookup_value(config, "nics", G_VARIANT_TYPE("aa{sv}"));
	g_autoptr(GVariant) nic = g_variant_get_child_value(nics, index);
	gboolean hold = FALSE;

	return g_variant_lookup(nic, "hold", "b", &hold) && hold;
}

static void test_start(void)
{
	virDomainPtr dom = define(GUEST(PLAIN LIMITED ISOLATED FILTERED DOWN));

	ok(lifecycle_create(dom) == 0 &&
	           called("limit vif1.2 100/50; release 2; isolate br0 vif1.3 1; release 3; " FILTER
	                  "release 4; isolate br0 vif1.5 1; release 5; "),
	   "a start: each is set up, then released");
	ok(!held(0) && held(1) && held(2) && held(3) && held(4),
	   "xylemd holds those that there is more to do for");
	/* By itself, in xylemd. */
	domid++;
	played_say(UUID, domid, "rebooted", "reboot");
	played_heard();
	events_stop();
	ok(called("limit vif2.2 100/50; release 2; isolate br0 vif2.3 1; release 3; " FILTER
	          "release 4; isolate br0 vif2.5 1; release 5; "),
	   "a reboot: again, on the new interfaces, the filter on the same name");
	if (events_start() < 0)
		abort();
	called("");
	ok(lifecycle_destroy(dom) == 0 && called("destroy; unfilter vnet0; "),
	   "the guest's end: nothing is left");
	virObjectUnref(dom);
}

/* What is not this guest's, and what is there already. */
static void test_others(void)
{
	virDomainPtr dom = define(GUEST(FILTERED LIMITED));
	virTypedParameter params[2];

	others_filter = true;
	failing = "filter";
	ok(lifecycle_create(dom) < 0 && !strstr(calls->str, "unfilter"),
	   "a start that fails leaves another guest's filter alone");
	failing = NULL;
	others_filter = false;
	if (lifecycle_create(dom) < 0 ||
	    virTypedParameterAssign(&params[0], "inbound.average", VIR_TYPED_PARAM_UINT, 0) < 0 ||
	    virTypedParameterAssign(&params[1], "outbound.average", VIR_TYPED_PARAM_UINT, 0) < 0 ||
	    net_set_parameters(dom, "00:16:3e:00:00:02", params, 2, VIR_DOMAIN_AFFECT_LIVE) < 0)
		abort();
	g_string_truncate(calls, 0);
	domid++;
	played_say(UUID, domid, "rebooted", "reboot");
	played_heard();
	events_stop();
	ok(strstr(calls->str, "release 4; ") && strstr(calls->str, "release 2; "),
	   "an interface whose limits have gone is held by xylemd all the same, and released");
	g_string_truncate(calls, 0);
	/* A libvirtd that has come back: what it finds is up. */
	is_up = true;
	if (events_start() < 0)
		abort();
	events_stop();
	ok(strstr(calls->str, "release 4; ") && !strstr(calls->str, "unfilter") &&
	           !strstr(calls->str, "leave"),
	   "a filter that is there, on an interface that is up, stays");
	is_up = false;
	if (events_start() < 0)
		abort();
	ignore_value(lifecycle_destroy(dom));
	g_string_truncate(calls, 0);
	virObjectUnref(dom);
}

static void test_failures(void)
{
	static const char *const each[] = { "limit",  "isolate", "leave",  "online",
		                            "filter", "enter",   "release" };
	virDomainPtr dom = define(GUEST(LIMITED ISOLATED FILTERED));

	for (size_t i = 0; i < G_N_ELEMENTS(each); i++) {
		g_autofree char *name =
		        g_strdup_printf("%s fails: the guest is not started, and nothing is left", each[i]);

		failing = each[i];
		ok(lifecycle_create(dom) < 0 && strstr(virGetLastErrorMessage(), each[i]) && !exists &&
		           define_is_active(dom) == 0,
		   name);
		failing = NULL;
		g_string_truncate(calls, 0);
	}
	virObjectUnref(dom);
}

static void test_devices(void)
{
	virDomainPtr dom = define(GUEST(PLAIN));

	if (lifecycle_create(dom) < 0)
		abort();
	g_string_truncate(calls, 0);
	ok(devices_attach(dom, FILTERED) == 0 && called(FILTER "release 4; "), "attach: the same");
	ok(devices_detach(dom, FILTERED) == 0 && called("detach 4; unfilter vnet0; "), "detach: and back");
	failing = "filter";
	ok(devices_attach(dom, FILTERED) < 0 &&
	           called("unfilter vnet0; leave vnet0; online vnet0 1; filter one vnet0 clean-traffic; detach 4; unfilter vnet0; "),
	   "a filter that fails: the interface is taken away again");
	failing = NULL;
	ok(devices_update_flags(dom,
	                        NIC("00:16:3e:00:00:01", "<bandwidth><inbound average='7'/></bandwidth>"),
	                        VIR_DOMAIN_AFFECT_LIVE) == 0 &&
	           strstr(calls->str, "limit vif") && strstr(calls->str, " 7/0; "),
	   "update-device sets limits");
	g_string_truncate(calls, 0);
	ok(devices_update_flags(dom, NIC("00:16:3e:00:00:01", "<filterref filter='other'/>"),
	                        VIR_DOMAIN_AFFECT_LIVE) < 0 &&
	           called(""),
	   "a change of the filter is refused, not ignored");
	ignore_value(lifecycle_destroy(dom));
	g_string_truncate(calls, 0);
	virObjectUnref(dom);
}

/* Before anything passes, in each life; also where the filter has the interface up. What is held is plugged now and then. */
static void test_vlan(void)
{
	virDomainPtr dom = define(GUEST(TAGGED));

	ok(lifecycle_create(dom) == 0 && held(0), "xylemd holds an interface of a VLAN");
	ok(strstr(calls->str, "vlan br0 vif") && g_str_has_suffix(calls->str, ".7 0:42..42; release 7; "),
	   "it is in its VLAN when it is released");
	g_string_truncate(calls, 0);
	ok(devices_attach(dom, TAGGED_FILTERED) == 0 &&
	           strstr(calls->str, "leave vnet0; online vnet0 1; filter one vnet0 clean-traffic; "
	                              "online vnet0 0; enter vnet0; vlan br0 vnet0 1:7..9; release 8; "),
	   "with a filter, it is down when it enters the bridge, and in its VLANs when it comes up");
	is_up = true;
	ok(devices_attach(dom, NIC("00:16:3e:00:00:09", "<vlan><tag id='1'/></vlan>")) == 0 &&
	           strstr(calls->str, "release 9; ") && !strstr(calls->str, ".9 0:1..1"),
	   "one that is up is in them already, and nothing of it is interrupted");
	is_up = false;
	failing = "vlan";
	ok(devices_attach(dom, NIC("00:16:3e:00:00:0a", "<vlan><tag id='1'/></vlan>")) < 0 &&
	           strstr(calls->str, ".a 0:1..1; detach a; ") && !strstr(calls->str, "release a"),
	   "one that cannot be put into its VLAN is taken away again");
	failing = NULL;
	g_string_truncate(calls, 0);
	ok(devices_update_flags(dom, NIC("00:16:3e:00:00:07", "<vlan><tag id='43'/></vlan>"),
	                        VIR_DOMAIN_AFFECT_LIVE) < 0 &&
	           devices_update_flags(dom, NIC("00:16:3e:00:00:07", ""), VIR_DOMAIN_AFFECT_LIVE) < 0 &&
	           !strstr(calls->str, "43..43"),
	   "another VLAN of a running guest's interface is refused, not ignored");
	domid++;
	played_say(UUID, domid, "rebooted", "reboot");
	played_heard();
	events_stop();
	ok(strstr(calls->str, ".7 0:42..42; release 7; "), "after a reboot it is in its VLAN again");
	if (events_start() < 0)
		abort();
	g_string_truncate(calls, 0);
	ignore_value(lifecycle_destroy(dom));
	g_string_truncate(calls, 0);
	virObjectUnref(dom);
}

static unsigned int limit_of(virDomainPtr dom, const char *device, const char *name, unsigned int flags)
{
	virTypedParameter params[16];
	int count = 0;

	if (net_get_parameters(dom, device, NULL, &count, flags) < 0 || count > 16 ||
	    net_get_parameters(dom, device, params, &count, flags) < 0)
		return ~0u;
	for (int i = 0; i < count; i++) {
		if (STREQ(params[i].field, name))
			return params[i].value.ui;
	}
	return ~0u;
}

static int set_limit(virDomainPtr dom, const char *device, const char *name, unsigned int value,
                     unsigned int flags)
{
	virTypedParameter param;

	if (virTypedParameterAssign(&param, name, VIR_TYPED_PARAM_UINT, value) < 0)
		abort();
	return net_set_parameters(dom, device, &param, 1, flags);
}

static bool table_is_refused(int ret)
{
	return ret < 0 && strstr(virGetLastErrorMessage(), "00:16:3e:00:00:06") &&
	       strstr(virGetLastErrorMessage(), "macTableManager='libvirt'");
}

/* What a network says of its bridge is known when the guest starts, or is given the interface. */
static void test_table(void)
{
	virDomainPtr dom = define(GUEST(PLAIN)), on_network;

	if (lifecycle_create(dom) < 0)
		abort();
	g_string_truncate(calls, 0);
	libvirt_keeps_table = true;
	ok(table_is_refused(devices_attach(dom, ON_NETWORK)) && called(""),
	   "an interface in a network with macTableManager='libvirt' is refused to a guest that runs");
	libvirt_keeps_table = false;
	ok(devices_attach(dom, ON_NETWORK) == 0, "with the kernel's table it is not");
	ignore_value(lifecycle_destroy(dom));
	virObjectUnref(dom);
	on_network = define(GUEST(ON_NETWORK));
	libvirt_keeps_table = true;
	g_string_truncate(calls, 0);
	ok(table_is_refused(lifecycle_create(on_network)) && !exists && define_is_active(on_network) == 0 &&
	           called(""),
	   "nor is a guest started with one");
	libvirt_keeps_table = false;
	ok(lifecycle_create(on_network) == 0, "which is with the kernel's");
	ignore_value(lifecycle_destroy(on_network));
	g_string_truncate(calls, 0);
	virObjectUnref(on_network);
}

#define LIMITED_MAC "00:16:3e:00:00:02"

static void test_tune(void)
{
	unsigned int live = VIR_DOMAIN_AFFECT_LIVE, config_flag = VIR_DOMAIN_AFFECT_CONFIG;
	virDomainPtr dom = define(GUEST(LIMITED));
	virDomainInterfacePtr *interfaces = NULL;

	ok(limit_of(dom, LIMITED_MAC, "inbound.average", config_flag) == 100 &&
	           limit_of(dom, LIMITED_MAC, "outbound.average", config_flag) == 50 &&
	           limit_of(dom, LIMITED_MAC, "inbound.peak", config_flag) == 0,
	   "domiftune tells what the definition says");
	ok(limit_of(dom, "00:16:3e:99:99:99", "inbound.average", config_flag) == ~0u,
	   "of no interface: an error");
	if (lifecycle_create(dom) < 0)
		abort();
	g_string_truncate(calls, 0);
	ok(set_limit(dom, LIMITED_MAC, "outbound.average", 60, live) == 0 &&
	           strstr(calls->str, " 100/60; ") &&
	           limit_of(dom, LIMITED_MAC, "outbound.average", live) == 60 &&
	           limit_of(dom, LIMITED_MAC, "outbound.average", config_flag) == 50,
	   "live: the other direction stays, and so does the definition");
	failing = "limit";
	ok(set_limit(dom, LIMITED_MAC, "outbound.average", 70, live | config_flag) < 0 &&
	           limit_of(dom, LIMITED_MAC, "outbound.average", live) == 60 &&
	           limit_of(dom, LIMITED_MAC, "outbound.average", config_flag) == 50,
	   "what fails changes nothing");
	failing = NULL;
	g_string_truncate(calls, 0);
	ok(set_limit(dom, LIMITED_MAC, "inbound.average", 0, live | config_flag) == 0 &&
	           strstr(calls->str, " 0/60; ") &&
	           limit_of(dom, LIMITED_MAC, "inbound.average", live) == 0 &&
	           limit_of(dom, LIMITED_MAC, "inbound.average", config_flag) == 0 &&
	           limit_of(dom, LIMITED_MAC, "outbound.average", config_flag) == 50,
	   "both: an average of 0 takes the limit away");
	ok(set_limit(dom, LIMITED_MAC, "inbound.floor", 5, config_flag) < 0,
	   "a floor is a network's to promise");
	g_string_truncate(calls, 0);
	ok(net_addresses(dom, &interfaces, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP, 0) == 0 &&
	           strstr(calls->str, "arp vif") &&
	           net_addresses(dom, &interfaces, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT, 0) < 0,
	   "addresses are asked for by the interface's name; not of an agent");
	ignore_value(lifecycle_destroy(dom));
	ok(net_addresses(dom, &interfaces, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP, 0) < 0,
	   "a guest that is off has none");
	virObjectUnref(dom);
}

int main(void)
{
	g_autofree char *dir = g_dir_make_tmp("xylem-net-XXXXXX", NULL);
	g_autofree char *remove = g_strdup_printf("rm -rf '%s'", dir);

	calls = g_string_new(NULL);
	if (!dir || !played_setup(dir) || events_start() < 0) {
		printf("Bail out! libvirt does not start: %s\n", virGetLastErrorMessage());
		return 1;
	}
	test_start();
	test_others();
	test_failures();
	test_devices();
	test_vlan();
	test_table();
	test_tune();
	events_stop();
	return tap_end() || system(remove) ? 1 : 0;
}
