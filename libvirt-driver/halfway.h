/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a libvirtd that died has left, or an xylemd that does not answer. */
#ifndef XYLEM_HALFWAY_H
#define XYLEM_HALFWAY_H

#include "internal.h"
#include "domain_conf.h"

/* A start, or a detach, takes or gives back locks and ports of networks from here on; def: as its devices are then. */
void halfway_begin(const virDomainDef *def);
/* The same for an attach. */
void halfway_begin_device(virDomainObj *vm, virDomainDeviceDef *dev);
/* The outcome is in the state file. */
void halfway_end(const virDomainDef *def);
/* Before a device comes or goes: what is left of an earlier libvirtd's comes first. The caller has the job; unlocks the object
 * meanwhile. 0, or -1 with an error. */
int halfway_settle(virDomainObj *vm);
/* At start, when state files are loaded and xylemd can be asked, and before the hypervisor's domains are looked at; and again
 * until it is true: nothing is left. No object is locked. */
bool halfway_recover(bool at_start);
/* Before a start: what is left of another one. Unlocks the object meanwhile. 0, or -1 with an error: xylemd does not tell, or has
 * started it. */
int halfway_recover_start(virDomainObj *vm);
/* Whether it is not known yet what is to become of a guest that runs. */
bool halfway_claims(const unsigned char *uuid);
/* What a guest that ends may have besides, or NULL. It is given back then; unlocks the object meanwhile. */
virDomainDef *halfway_rest(const virDomainDef *have);
void halfway_drop_rest(virDomainObj *vm, virDomainDef *rest);

#endif
