/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the host is and has. */
#ifndef XYLEM_HOST_H
#define XYLEM_HOST_H

#include "internal.h"

#include "virerror.h"
#include "xylem.h"

#include <xenctrl.h>

int host_init(void);
int host_add_dom0(void);
/* The library's last error becomes libvirt's; -1. */
static inline int host_report_xyl(void)
{
	virReportError(VIR_ERR_OPERATION_FAILED, "%s", xyl_error());
	return -1;
}
/* Refuses what capabilities may be asked for and guests cannot be; each may be NULL. 0 or -1. */
int host_check_kind(const char *emulator, const char *arch, const char *machine, const char *type);

char *host_capabilities(virConnectPtr conn);
char *host_domain_capabilities(virConnectPtr conn, const char *emulator, const char *arch,
                               const char *machine, const char *type, unsigned int flags);
int host_node_info(virConnectPtr conn, virNodeInfoPtr info);
int host_max_vcpus(virConnectPtr conn, const char *type);
unsigned long long host_free_memory(virConnectPtr conn);
int host_cells_free(virConnectPtr conn, unsigned long long *free_bytes, int start, int max);
int host_cpu_map(virConnectPtr conn, unsigned char **map, unsigned int *online, unsigned int flags);
int host_version(virConnectPtr conn, unsigned long *version);
char *host_sysinfo(virConnectPtr conn, unsigned int flags);
int host_memory_stats(virConnectPtr conn, int cell, virNodeMemoryStatsPtr params, int *count,
                      unsigned int flags);
int host_security_model(virConnectPtr conn, virSecurityModelPtr model);
int host_free_pages(virConnectPtr conn, unsigned int size_count, unsigned int *sizes_kib, int start,
                    unsigned int max, unsigned long long *counts, unsigned int flags);

#endif
