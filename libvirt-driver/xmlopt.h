/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options of libvirt's parser, and the kinds of guests. Pure, as conf.h is. */
#ifndef XYLEM_XMLOPT_H
#define XYLEM_XMLOPT_H

#include "internal.h"
#include "domain_conf.h"

#include "capabilities.h"

/* Parser options: defaults and checks; private_data may be NULL. */
virDomainXMLOption *xmlopt_new(virDomainXMLPrivateDataCallbacks *private_data);
/* What kinds of guests there are; host facts are added by host.c. */
virCaps *xmlopt_caps_new(void);

#endif
