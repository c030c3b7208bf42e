/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt 9.0.0 under the names and with the arguments of the newest release that the driver is written to. It is found by
 * the folder of the release that configure found; nothing else in the driver knows one.
 */
#ifndef XYLEM_COMPAT_H
#define XYLEM_COMPAT_H

#include "internal.h"
#include "domain_conf.h"

#include "capabilities.h"
#include "cpu_conf.h"
#include "virbitmap.h"
#include "virfile.h"
#include "virnetdevbandwidth.h"
#include "virnetdevbridge.h"
#include "virpidfile.h"
#include "virtypedparam.h"

static inline bool compat_has_watchdog(const virDomainDef *def)
{
	return def->watchdog != NULL;
}

static inline bool compat_has_acpi_tables(const virDomainOSDef *os)
{
	return os->slic_table != NULL;
}

static inline void compat_release_net(virConnectPtr conn, virDomainDef *def, virDomainNetDef *net)
{
	virDomainNetReleaseActualDevice(conn, def, net);
}

static inline int compat_is_shared_fs(const char *path)
{
	return virFileIsSharedFS(path);
}

static inline int compat_messages(virDomainObj *vm, char ***messages, unsigned int flags)
{
	return virDomainObjGetMessages(vm, messages, flags);
}

/* It never waits for the lock. */
#define virPidFileAcquire(dir, name, pid) (virPidFileAcquire)((dir), (name), false, (pid))

/* These cannot fail any more: memory never ends in libvirt, and a list of ours has room for the names that we give. */
#define virBitmapToData(map, data, length) ignore_value((virBitmapToData)((map), (data), (length)))
#define virCPUDefUpdateFeature(cpu, name, policy) \
	ignore_value((virCPUDefUpdateFeature)((cpu), (name), (policy)))
#define virDomainNetInsert(def, net)          ignore_value((virDomainNetInsert)((def), (net)))
#define virTypedParamListAddInt(list, ...)    ignore_value((virTypedParamListAddInt)((list), __VA_ARGS__))
#define virTypedParamListAddLLong(list, ...)  ignore_value((virTypedParamListAddLLong)((list), __VA_ARGS__))
#define virTypedParamListAddUInt(list, ...)   ignore_value((virTypedParamListAddUInt)((list), __VA_ARGS__))
#define virTypedParamListAddULLong(list, ...) ignore_value((virTypedParamListAddULLong)((list), __VA_ARGS__))
#define virTypedParamListAddString(list, ...) ignore_value((virTypedParamListAddString)((list), __VA_ARGS__))

static inline virTypedParamList *virTypedParamListNew(void)
{
	return g_new0(virTypedParamList, 1);
}

static inline int virTypedParamListSteal(virTypedParamList *list, virTypedParameterPtr *params, int *count)
{
	*count = (int)virTypedParamListStealParams(list, params);
	return 0;
}

/* What was set before is always cleared. */
#define VIR_NETDEV_BANDWIDTH_SET_DIR_SWAPPED 2u
#define VIR_NETDEV_BANDWIDTH_SET_CLEAR_ALL   4u
#define virNetDevBandwidthSet(ifname, limits, flags)       \
	(virNetDevBandwidthSet)((ifname), (limits), false, \
	                        ((flags)&VIR_NETDEV_BANDWIDTH_SET_DIR_SWAPPED) != 0)

#define virNetDevVlanCopy(to, from) ignore_value((virNetDevVlanCopy)((to), (from)))
/* A port's VLANs are vlan.c's, whatever the release. */
#define virNetDevBridgeAddPort(bridge, ifname, vlan) (virNetDevBridgeAddPort)((bridge), (ifname))

static inline virCapsGuestMachine **compat_machines(const char *const *names, int *count)
{
	*count = (int)g_strv_length((char **)names);
	return virCapabilitiesAllocMachines(names, *count);
}
#define virCapabilitiesAllocMachines(names, count) compat_machines((names), (count))
#endif
