/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt 11.3.0's functions that nettest.c plays. */
#include "nettest.h"

#include "virnetdevbridge.h"

int virNetDevBandwidthSet(const char *ifname, const virNetDevBandwidth *limits, unsigned int flags)
{
	return play_limits(
	        ifname, limits,
	        flags == (VIR_NETDEV_BANDWIDTH_SET_DIR_SWAPPED | VIR_NETDEV_BANDWIDTH_SET_CLEAR_ALL));
}

int virNetDevBridgeAddPort(const char *bridge G_GNUC_UNUSED, const char *ifname, const virNetDevVlan *vlan)
{
	return vlan ? -1 : play_enter(ifname);
}
