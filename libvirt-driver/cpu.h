/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's CPU, and the calls on models of CPUs. */
#ifndef XYLEM_CPU_H
#define XYLEM_CPU_H

#include "internal.h"

/* Finds out the host's CPU for its capabilities. */
void cpu_probe(virNodeInfo *node);

int cpu_compare(virConnectPtr conn, const char *xml, unsigned int flags);
int cpu_compare_hypervisor(virConnectPtr conn, const char *emulator, const char *arch, const char *machine,
                           const char *type, const char *xml, unsigned int flags);
char *cpu_baseline(virConnectPtr conn, const char **xmls, unsigned int count, unsigned int flags);
char *cpu_baseline_hypervisor(virConnectPtr conn, const char *emulator, const char *arch, const char *machine,
                              const char *type, const char **xmls, unsigned int count, unsigned int flags);
int cpu_models(virConnectPtr conn, const char *name, char ***models, unsigned int flags);
int cpu_node_stats(virConnectPtr conn, int cpu, virNodeCPUStatsPtr params, int *count, unsigned int flags);

#endif
