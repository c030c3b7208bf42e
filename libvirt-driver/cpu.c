/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's CPUs: which model they are, how others compare with them, and how busy they are. A paravirtual guest sees the
 * host's CPU, so what the host is compared with is compared with what guests get.
 */
#include "cpu.h"

#include <xenctrl.h>

#include "host.h"
#include "xylem.h"

#include "cpu/cpu.h"
#include "cpu_conf.h"
#include "viraccessapicheck.h"
#include "virerror.h"
#include "virlog.h"

VIR_LOG_INIT("xylem.cpu");

void cpu_probe(virNodeInfo *node)
{
	xylem->caps->host.cpu = virCPUGetHost(VIR_ARCH_X86_64, VIR_CPU_TYPE_HOST, node, NULL);
	if (xylem->caps->host.cpu)
		return;
	VIR_WARN("libvirt does not know this host's CPU: %s", virGetLastErrorMessage());
	virResetLastError();
}

int cpu_compare(virConnectPtr conn, const char *xml, unsigned int flags)
{
	virCheckFlags(VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE | VIR_CONNECT_COMPARE_CPU_VALIDATE_XML,
	              VIR_CPU_COMPARE_ERROR);

	if (virConnectCompareCPUEnsureACL(conn) < 0)
		return VIR_CPU_COMPARE_ERROR;
	return virCPUCompareXML(VIR_ARCH_X86_64, xylem->caps->host.cpu, xml,
	                        (flags & VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE) != 0,
	                        (flags & VIR_CONNECT_COMPARE_CPU_VALIDATE_XML) != 0);
}

int cpu_compare_hypervisor(virConnectPtr conn, const char *emulator, const char *arch, const char *machine,
                           const char *type, const char *xml, unsigned int flags)
{
	virCheckFlags(VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE | VIR_CONNECT_COMPARE_CPU_VALIDATE_XML,
	              VIR_CPU_COMPARE_ERROR);

	if (virConnectCompareHypervisorCPUEnsureACL(conn) < 0 ||
	    host_check_kind(emulator, arch, machine, type) < 0)
		return VIR_CPU_COMPARE_ERROR;
	return virCPUCompareXML(VIR_ARCH_X86_64, xylem->caps->host.cpu, xml,
	                        (flags & VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE) != 0,
	                        (flags & VIR_CONNECT_COMPARE_CPU_VALIDATE_XML) != 0);
}

/* What all of the CPUs have. */
static char *baseline(const char **xmls, unsigned int count, unsigned int flags)
{
	virCPUDef **cpus = virCPUDefListParse(xmls, count, VIR_CPU_TYPE_HOST);
	g_autoptr(virCPUDef) common = NULL;
	char *text = NULL;

	if (!cpus)
		return NULL;
	common = virCPUBaseline(VIR_ARCH_NONE, cpus, count, NULL, NULL,
	                        (flags & VIR_CONNECT_BASELINE_CPU_MIGRATABLE) != 0);
	if (common && (!(flags & VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES) ||
	               virCPUExpandFeatures(cpus[0]->arch, common) == 0))
		text = virCPUDefFormat(common, NULL);
	virCPUDefListFree(cpus);
	return text;
}

char *cpu_baseline(virConnectPtr conn, const char **xmls, unsigned int count, unsigned int flags)
{
	virCheckFlags(VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES | VIR_CONNECT_BASELINE_CPU_MIGRATABLE, NULL);

	return virConnectBaselineCPUEnsureACL(conn) < 0 ? NULL : baseline(xmls, count, flags);
}

char *cpu_baseline_hypervisor(virConnectPtr conn, const char *emulator, const char *arch, const char *machine,
                              const char *type, const char **xmls, unsigned int count, unsigned int flags)
{
	virCheckFlags(VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES | VIR_CONNECT_BASELINE_CPU_MIGRATABLE, NULL);

	if (virConnectBaselineHypervisorCPUEnsureACL(conn) < 0 ||
	    host_check_kind(emulator, arch, machine, type) < 0)
		return NULL;
	return baseline(xmls, count, flags);
}

int cpu_models(virConnectPtr conn, const char *name, char ***models, unsigned int flags)
{
	virArch arch = virArchFromString(name);

	virCheckFlags(0, -1);

	if (virConnectGetCPUModelNamesEnsureACL(conn) < 0)
		return -1;
	if (!arch) {
		virReportError(VIR_ERR_INVALID_ARG, "'%s' is no architecture", name);
		return -1;
	}
	return virCPUGetModels(arch, models);
}

/* The sum over the CPUs that are online, or of one of them; -1 and an error. */
static int sum_times(int cpu, unsigned long long *busy_ns, unsigned long long *idle_ns)
{
	g_autofree uint64_t *idle = NULL;
	struct xyl_hostinfo host;
	uint64_t now;

	if (xyl_host_info(xylem->xen, &host) < 0)
		return host_report_xyl();
	idle = g_new0(uint64_t, host.max_cpu_id + 1);
	if (xyl_host_cpu_times(xylem->xen, idle, host.max_cpu_id + 1, &now) < 0)
		return host_report_xyl();
	if (cpu != VIR_NODE_CPU_STATS_ALL_CPUS &&
	    (cpu < 0 || (uint32_t)cpu > host.max_cpu_id || idle[cpu] == UINT64_MAX)) {
		virReportError(VIR_ERR_INVALID_ARG, "this host has no CPU %d, or it is offline", cpu);
		return -1;
	}
	*busy_ns = *idle_ns = 0;
	for (uint32_t i = 0; i <= host.max_cpu_id; i++) {
		if (idle[i] == UINT64_MAX || (cpu != VIR_NODE_CPU_STATS_ALL_CPUS && i != (uint32_t)cpu))
			continue;
		*idle_ns += idle[i];
		*busy_ns += now > idle[i] ? now - idle[i] : 0;
	}
	return 0;
}

/* The hypervisor counts idle time; all else is that of domains, Domain-0 among them. */
int cpu_node_stats(virConnectPtr conn, int cpu, virNodeCPUStatsPtr params, int *count, unsigned int flags)
{
	static const char *const names[] = { VIR_NODE_CPU_STATS_USER, VIR_NODE_CPU_STATS_IDLE };
	unsigned long long ns[G_N_ELEMENTS(names)];

	virCheckFlags(0, -1);

	if (virNodeGetCPUStatsEnsureACL(conn) < 0 || sum_times(cpu, &ns[0], &ns[1]) < 0)
		return -1;
	if (*count == 0) {
		*count = G_N_ELEMENTS(names);
		return 0;
	}
	*count = MIN(*count, (int)G_N_ELEMENTS(names));
	for (int i = 0; i < *count; i++) {
		g_strlcpy(params[i].field, names[i], sizeof(params[i].field));
		params[i].value = ns[i];
	}
	return 0;
}
