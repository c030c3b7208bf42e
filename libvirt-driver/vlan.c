/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VLANs of a port of the kernel's bridge, by netlink; see vlan.h. */
#include "vlan.h"

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "virerror.h"
#include "virfile.h"

#define VIR_FROM_THIS VIR_FROM_XEN

/* All entries of the greatest trunk, and what stands before them. */
#define MESSAGE_BYTES ((size_t)(VLAN_LAST + 16) * 2 * sizeof(struct bridge_vlan_info))

/* A request of this kind about the port's VLANs; put(): the entries, 0 or an error of libnl's. */
static int request(struct nl_sock *sock, int type, int port,
                   int (*put)(struct nl_msg *, const virNetDevVlan *), const virNetDevVlan *vlan)
{
	struct ifinfomsg head = { .ifi_family = AF_BRIDGE, .ifi_index = port };
	struct nl_msg *msg = nlmsg_alloc_size(MESSAGE_BYTES);
	struct nlattr *entries = NULL;
	int result = -NLE_NOMEM;

	if (msg && nlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, type, 0, 0) &&
	    (result = nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO)) == 0) {
		entries = nla_nest_start(msg, IFLA_AF_SPEC);
		result = entries ? put(msg, vlan) : -NLE_NOMEM;
	}
	if (result < 0) {
		nlmsg_free(msg);
		return result;
	}
	nla_nest_end(msg, entries);
	return nl_send_sync(sock, msg);
}

static int put_entry(struct nl_msg *msg, unsigned int id, unsigned int flags)
{
	struct bridge_vlan_info info = { .flags = (uint16_t)flags, .vid = (uint16_t)id };

	return nla_put(msg, IFLA_BRIDGE_VLAN_INFO, sizeof(info), &info);
}

static int put_all(struct nl_msg *msg, const virNetDevVlan *vlan G_GNUC_UNUSED)
{
	int result = put_entry(msg, VLAN_FIRST, BRIDGE_VLAN_INFO_RANGE_BEGIN);

	return result < 0 ? result : put_entry(msg, VLAN_LAST, BRIDGE_VLAN_INFO_RANGE_END);
}

static unsigned int flags_of(const virNetDevVlan *vlan, unsigned int id)
{
	if (!vlan->trunk)
		return BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED;
	if (vlan->nativeMode == VIR_NATIVE_VLAN_MODE_DEFAULT || vlan->nativeTag != id)
		return 0;
	return vlan->nativeMode == VIR_NATIVE_VLAN_MODE_UNTAGGED
	               ? BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED
	               : BRIDGE_VLAN_INFO_PVID;
}

static int put_tags(struct nl_msg *msg, const virNetDevVlan *vlan)
{
	int result = 0;

	for (int i = 0; result == 0 && i < vlan->nTags; i++)
		result = put_entry(msg, vlan->tag[i], flags_of(vlan, vlan->tag[i]));
	return result;
}

static int change(const char *ifname, const virNetDevVlan *vlan)
{
	struct nl_sock *sock = nl_socket_alloc();
	int port = (int)if_nametoindex(ifname);
	int result = sock ? nl_connect(sock, NETLINK_ROUTE) : -NLE_NOMEM;

	if (result == 0 && !port)
		result = -NLE_NODEV;
	/* The kernel has put it into the bridge's default one. */
	if (result == 0)
		result = request(sock, RTM_DELLINK, port, put_all, vlan);
	if (result == 0)
		result = request(sock, RTM_SETLINK, port, put_tags, vlan);
	if (sock)
		nl_socket_free(sock);
	return result;
}

int vlan_set(const char *bridge, const char *ifname, const virNetDevVlan *vlan)
{
	int filters = 0, result;

	if (virFileReadValueInt(&filters, "/sys/class/net/%s/bridge/vlan_filtering", bridge) < 0 ||
	    !filters) {
		virReportError(VIR_ERR_OPERATION_FAILED,
		               "<vlan> of %s: the bridge %s does not tell VLANs apart; \"ip link set %s type "
		               "bridge vlan_filtering 1\" has it do so",
		               ifname, bridge, bridge);
		return -1;
	}
	result = change(ifname, vlan);
	if (result == 0)
		return 0;
	virReportError(VIR_ERR_OPERATION_FAILED, "<vlan> of %s, a port of the bridge %s: %s", ifname, bridge,
	               nl_geterror(result));
	return -1;
}
