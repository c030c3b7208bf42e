/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VLANs of a port of the kernel's bridge. Source: bridge(8), linux/if_bridge.h, rtnetlink(7). */
#ifndef XYLEM_VLAN_H
#define XYLEM_VLAN_H

#include "internal.h"
#include "virnetdevvlan.h"

#define VLAN_FIRST 1
#define VLAN_LAST  4094

/*
 * The interface, a port of the bridge, belongs to these VLANs and to no others: to one, whose frames pass without a tag, or as a
 * trunk to all, of which the native one takes what has no tag. Ids: VLAN_FIRST to VLAN_LAST. 0, or -1 with an error that names
 * the bridge, as where it does not tell VLANs apart. The interface should be down: meanwhile it is in none.
 */
int vlan_set(const char *bridge, const char *ifname, const virNetDevVlan *vlan);

#endif
