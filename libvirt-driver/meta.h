/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Titles, descriptions, metadata, names, and the state of the control interface. */
#ifndef XYLEM_META_H
#define XYLEM_META_H

#include "internal.h"

int meta_set(virDomainPtr dom, int type, const char *metadata, const char *key, const char *uri,
             unsigned int flags);
char *meta_get(virDomainPtr dom, int type, const char *uri, unsigned int flags);
int meta_rename(virDomainPtr dom, const char *new_name, unsigned int flags);
int meta_control_info(virDomainPtr dom, virDomainControlInfoPtr info, unsigned int flags);
int meta_messages(virDomainPtr dom, char ***messages, unsigned int flags);

#endif
