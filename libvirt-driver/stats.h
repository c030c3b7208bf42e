/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guests, disks and interfaces have used. */
#ifndef XYLEM_STATS_H
#define XYLEM_STATS_H

#include "internal.h"

int stats_get_info(virDomainPtr dom, virDomainInfoPtr info);
int stats_block(virDomainPtr dom, const char *path, virDomainBlockStatsPtr stats);
int stats_block_flags(virDomainPtr dom, const char *path, virTypedParameterPtr params, int *count,
                      unsigned int flags);
/* Images whose QEMU has died; of other disks dom0's kernel tells no error. */
int stats_block_errors(virDomainPtr dom, virDomainDiskErrorPtr errors, unsigned int room, unsigned int flags);
int stats_block_info(virDomainPtr dom, const char *path, virDomainBlockInfoPtr info, unsigned int flags);
int stats_interface(virDomainPtr dom, const char *device, virDomainInterfaceStatsPtr stats);
/* Of all CPUs together (start -1), or of the vcpus from that number on. */
int stats_cpu(virDomainPtr dom, virTypedParameterPtr params, unsigned int count, int start, unsigned int cpus,
              unsigned int flags);
int stats_memory(virDomainPtr dom, virDomainMemoryStatPtr stats, unsigned int count, unsigned int flags);
int stats_all(virConnectPtr conn, virDomainPtr *doms, unsigned int count, unsigned int stats,
              virDomainStatsRecordPtr **records, unsigned int flags);

#endif
