/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the host does for interfaces beyond their bridge. */
#ifndef XYLEM_NET_H
#define XYLEM_NET_H

#include "internal.h"
#include "domain_conf.h"

/* Gives an interface with a filter the name that it keeps; 0, or -1 with an error. */
int net_name(virDomainNetDef *net);
/* Nobody else gets the names of a running guest's, also while it reboots and has none. */
void net_reserve_names(const virDomainDef *def);
/* Sets up the interface that xylemd has made in this domain of the guest, and releases it; nothing for one that nothing is to
 * be done for. net: nobody else's. No object may be locked. */
int net_plug(const virDomainDef *def, virDomainNetDef *net, unsigned int domid);
int net_plug_all(const virDomainDef *def);
/* As much of an interface as net_plug() looks at; the caller's own. */
virDomainNetDef *net_copy(const virDomainNetDef *net);
/* What xylemd holds in the present domain of the guest is set up and released, on a thread of its own. Locked, stays so. */
void net_plug_later(virDomainObj *vm);
/* Of a running guest's interface; NULL: none. The caller has the job; unlocks the object meanwhile. */
int net_change_limits(virDomainObj *vm, virDomainNetDef *net, const virNetDevBandwidth *limits);
/* What is left of it when the interface of this guest goes. */
void net_unplug(const virDomainDef *def, virDomainNetDef *net);

int net_set_parameters(virDomainPtr dom, const char *device, virTypedParameterPtr params, int count,
                       unsigned int flags);
int net_get_parameters(virDomainPtr dom, const char *device, virTypedParameterPtr params, int *count,
                       unsigned int flags);
int net_addresses(virDomainPtr dom, virDomainInterfacePtr **interfaces, unsigned int source,
                  unsigned int flags);
char *net_hostname(virDomainPtr dom, unsigned int flags);

#endif
