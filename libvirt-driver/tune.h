/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory, vcpus, affinity, scheduler, and the nodes of memory. */
#ifndef XYLEM_TUNE_H
#define XYLEM_TUNE_H

#include "internal.h"

int tune_set_vcpus_flags(virDomainPtr dom, unsigned int count, unsigned int flags);
int tune_set_vcpus(virDomainPtr dom, unsigned int count);
int tune_get_vcpus_flags(virDomainPtr dom, unsigned int flags);
int tune_get_max_vcpus(virDomainPtr dom);
int tune_pin_vcpu_flags(virDomainPtr dom, unsigned int vcpu, unsigned char *map, int map_bytes,
                        unsigned int flags);
int tune_pin_vcpu(virDomainPtr dom, unsigned int vcpu, unsigned char *map, int map_bytes);
int tune_get_pin_info(virDomainPtr dom, int count, unsigned char *maps, int map_bytes, unsigned int flags);
int tune_get_vcpus(virDomainPtr dom, virVcpuInfoPtr info, int count, unsigned char *maps, int map_bytes);
int tune_set_memory_flags(virDomainPtr dom, unsigned long kib, unsigned int flags);
int tune_set_memory(virDomainPtr dom, unsigned long kib);
int tune_set_max_memory(virDomainPtr dom, unsigned long kib);
unsigned long long tune_get_max_memory(virDomainPtr dom);
char *tune_get_scheduler_type(virDomainPtr dom, int *count);
int tune_get_scheduler_flags(virDomainPtr dom, virTypedParameterPtr params, int *count, unsigned int flags);
int tune_get_scheduler(virDomainPtr dom, virTypedParameterPtr params, int *count);
int tune_set_scheduler_flags(virDomainPtr dom, virTypedParameterPtr params, int count, unsigned int flags);
int tune_set_scheduler(virDomainPtr dom, virTypedParameterPtr params, int count);
/*
 * What the hypervisor does of itself, since no definition has <numatune>: a running guest's pages come from nodes in turn, which
 * libvirt calls interleave, and others only when these have none. As libvirt's own driver has it.
 */
int tune_get_numa(virDomainPtr dom, virTypedParameterPtr params, int *count, unsigned int flags);

#endif
