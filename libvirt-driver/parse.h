/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clients' XML. Pure, as conf.h is. */
#ifndef XYLEM_PARSE_H
#define XYLEM_PARSE_H

#include "internal.h"
#include "domain_conf.h"

#include <libxml/tree.h>

/*
 * virDomainDefParseString() and virDomainDeviceDefParse() for text that a client hands in: numbers that
 * libvirt would make room for are held against limits first. NULL and an error.
 */
virDomainDef *parse_domain(const char *xml, virDomainXMLOption *xmlopt, unsigned int flags);
virDomainDeviceDef *parse_device(const char *xml, const virDomainDef *def, virDomainXMLOption *xmlopt,
                                 unsigned int flags);
/* The node after this one below top, depth first, without what stands in <metadata>; NULL at the end. */
xmlNode *parse_next(xmlNode *node, const xmlNode *top);

#endif
