/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which elements and attributes of the domain XML have an effect here. Pure, as conf.h is. */
#ifndef XYLEM_ELEMENTS_H
#define XYLEM_ELEMENTS_H

#include "internal.h"
#include "domain_conf.h"

#include <libxml/tree.h>

/* Whether a path of the domain XML, as "devices/disk/driver@cache", has an effect here. */
enum element_class { ELEMENT_REFUSED, ELEMENT_CARRIED, ELEMENT_IDLE };
enum element_class elements_class(const char *path);
/* The driver's list of paths, one by one; NULL behind the last. */
const char *elements_path(size_t index);
/* Refuses by name what has no effect here, in a <domain> or in one device: 0 or -1 with an error. */
int elements_check(xmlNode *top);
/* The same for a definition that libvirt has read: what it would write of it. */
int elements_check_def(virDomainDef *def, virDomainXMLOption *xmlopt);

#endif
