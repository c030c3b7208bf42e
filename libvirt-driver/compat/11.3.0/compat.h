/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt 11.3.0, whose interface the driver is written to; compat/9.0.0/ has the same for that release. */
#ifndef XYLEM_COMPAT_H
#define XYLEM_COMPAT_H

#include "internal.h"
#include "domain_conf.h"

#include "virfile.h"

static inline bool compat_has_watchdog(const virDomainDef *def)
{
	return def->nwatchdogs != 0;
}

static inline bool compat_has_acpi_tables(const virDomainOSDef *os)
{
	return os->nacpiTables != 0;
}

static inline void compat_release_net(virConnectPtr conn, virDomainDef *def G_GNUC_UNUSED,
                                      virDomainNetDef *net)
{
	virDomainNetReleaseActualDevice(conn, net);
}

static inline int compat_is_shared_fs(const char *path)
{
	return virFileIsSharedFS(path, NULL);
}

static inline int compat_messages(virDomainObj *vm, char ***messages, unsigned int flags)
{
	g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
	int count;

	virDomainObjGetMessages(vm, found, flags);
	count = (int)found->len;
	g_ptr_array_add(found, NULL);
	*messages = (char **)g_ptr_array_steal(found, NULL);
	return count;
}
#endif
