/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domain XML to guest configuration. Pure: no hypervisor, no store, no file is touched.
 */
#ifndef XYLEM_CONF_H
#define XYLEM_CONF_H

#include "internal.h"
#include "domain_conf.h"

/*
 * The guest configuration that xylemd's Create takes (docs/xylemd-protocol.md, "Guest", without "opaque"): an
 * a{sv}, floating. Refuses what check_domain refuses. Disks of storage pools and interfaces of networks must
 * have been resolved before. Errors: NULL with libvirt's error set, which names the element.
 */
GVariant *conf_guest(const virDomainDef *def);
/* One disk or interface as xylemd's AttachDevice takes it: an a{sv} with "class", floating; NULL and an error. */
GVariant *conf_device(const virDomainDeviceDef *dev, const virDomainDef *def);
/* The same reduced to what DetachDevice needs; force: without waiting for the guest. */
GVariant *conf_device_key(const virDomainDeviceDef *dev, bool force);

/* The number of a Xen virtual disk, which is part of its backend's name; -1 when no disk has that name. */
int conf_disk_number(const char *name);
/* Whether a QEMU of the guest's serves the disk, and not the kernel. */
bool conf_is_image(const virDomainDiskDef *disk);

/* An interface in a message: its MAC address, or, where libvirt has made that up, what was written in the place of it. */
char *conf_net_name(const virDomainNetDef *net);
/* Whether the host has to do more for an interface than to enter it into its bridge: it is held down until that is done. */
bool conf_net_held(const virDomainNetDef *net);
/* libvirt's own answer is a tristate: 'no' is not false. */
bool conf_net_isolated(const virDomainNetDef *net);

/* Scheduler weight and cap that <cputune> asks for; 0 where it does not. */
unsigned int conf_weight(const virDomainDef *def);
unsigned int conf_cap(const virDomainDef *def);

#endif
