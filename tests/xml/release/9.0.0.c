/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt 9.0.0's functions that nettest.c plays. */
#include "nettest.h"

#include "virnetdevbridge.h"

int virNetDevBandwidthSet(const char *ifname, const virNetDevBandwidth *limits, bool hierarchical,
                          bool swapped)
{
	return play_limits(ifname, limits, swapped && !hierarchical);
}

int virNetDevBridgeAddPort(const char *bridge G_GNUC_UNUSED, const char *ifname)
{
	return play_enter(ifname);
}
