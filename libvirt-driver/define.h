/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Definitions: made, removed, looked up and listed. */
#ifndef XYLEM_DEFINE_H
#define XYLEM_DEFINE_H

#include "internal.h"
#include "domain_conf.h"

virDomainPtr define_xml_flags(virConnectPtr conn, const char *xml, unsigned int flags);
virDomainPtr define_xml(virConnectPtr conn, const char *xml);
int define_undefine_flags(virDomainPtr dom, unsigned int flags);
int define_undefine(virDomainPtr dom);
/* A persistent guest is so no more. 0, or -1 with an error. The caller has the job. */
int define_forget(virDomainObj *vm);
int define_has_save(virDomainPtr dom, unsigned int flags);
int define_remove_save(virDomainPtr dom, unsigned int flags);
int define_get_autostart(virDomainPtr dom, int *autostart);
int define_set_autostart(virDomainPtr dom, int autostart);
char *define_get_xml(virDomainPtr dom, unsigned int flags);
int define_is_active(virDomainPtr dom);
int define_is_persistent(virDomainPtr dom);
int define_is_updated(virDomainPtr dom);
char *define_get_os_type(virDomainPtr dom);
virDomainPtr define_lookup_id(virConnectPtr conn, int id);
virDomainPtr define_lookup_uuid(virConnectPtr conn, const unsigned char *uuid);
virDomainPtr define_lookup_name(virConnectPtr conn, const char *name);
int define_list_ids(virConnectPtr conn, int *ids, int max);
int define_count_ids(virConnectPtr conn);
int define_list_names(virConnectPtr conn, char **const names, int max);
int define_count_names(virConnectPtr conn);
int define_list_all(virConnectPtr conn, virDomainPtr **domains, unsigned int flags);
/* Makes or removes the link by which a domain starts at boot; 0 or -1. */
int define_autostart_link(const char *name, bool on);

#endif
