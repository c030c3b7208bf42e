/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest cannot have here is refused by name. Pure, as conf.h is. */
#ifndef XYLEM_CHECK_H
#define XYLEM_CHECK_H

#include "internal.h"
#include "domain_conf.h"

/*
 * When a guest is started with the host, which libvirt has no element for: in <metadata>, <start order= delay=/> of this
 * namespace. order: the lower the earlier, UINT_MAX without it; delay: seconds from its start to that of the next order. 0, or
 * -1 with an error, and the values as if there were none.
 */
#define CONF_START_URI   "urn:xylem:start"
#define CONF_ORDER_MAX   65535
#define CONF_DELAY_S_MAX 3600
int conf_start_order(const virDomainDef *def, unsigned int *order, unsigned int *delay_s);

/*
 * Refuse by name what a guest cannot have here: 0, or -1 with VIR_ERR_CONFIG_UNSUPPORTED. Both run when a
 * domain is defined and again when it is started, but not when definitions are loaded, so that none vanishes.
 */
int check_domain(const virDomainDef *def);
int check_device(const virDomainDeviceDef *dev, const virDomainDef *def);
/*
 * Of two interfaces with one name or one address the second would fail when the first is there. What net has in common
 * with another interface of def: "name" or "address", and its element, which the caller frees; NULL: nothing.
 */
const char *check_twin(const virDomainDef *def, const virDomainNetDef *net, char **element);
/* Reports VIR_ERR_CONFIG_UNSUPPORTED with a sentence made as by printf; -1. */
int conf_refuse(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* What check_domain says of a guest's name. */
int check_name(const char *name);
/* For what is done at one of the ends of a guest (virDomainLifecycle, virDomainLifecycleAction). */
int check_action(unsigned int type, unsigned int action);
/* Whether a <bootloader> stands for PV GRUB. */
bool check_bootloader(const char *bootloader);
/* What a definition may lack, but a guest that starts may not; and CPUs that the host does not have. */
int check_start(const virDomainDef *def, unsigned int host_cpus);

#endif
