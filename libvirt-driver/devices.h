/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices that come, go and change. */
#ifndef XYLEM_DEVICES_H
#define XYLEM_DEVICES_H

#include "internal.h"
#include "domain_conf.h"

int devices_attach_flags(virDomainPtr dom, const char *xml, unsigned int flags);
int devices_attach(virDomainPtr dom, const char *xml);
int devices_detach_flags(virDomainPtr dom, const char *xml, unsigned int flags);
int devices_detach(virDomainPtr dom, const char *xml);
int devices_update_flags(virDomainPtr dom, const char *xml, unsigned int flags);
int devices_resize(virDomainPtr dom, const char *path, unsigned long long size, unsigned int flags);
int devices_detach_alias(virDomainPtr dom, const char *alias, unsigned int flags);
/* Gives each disk and interface of a running guest the name by which clients and events mean it. */
void devices_name(virDomainDef *def);

#endif
