/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hypervisor of a host with one guest at most, of which the test tells. */
#ifndef XYLEM_TEST_PLAYED_ONE_H
#define XYLEM_TEST_PLAYED_ONE_H

#include "played.h"

#include <xenctrl.h>

#include "viruuid.h"

#define UUID "5f2b7e10-0000-4000-8000-000000000001"

static bool one_is_there(void);
static bool one_is_paused(void);

static void fill(struct xyl_dominfo *info)
{
	memset(info, 0, sizeof(*info));
	info->domid = 1;
	info->online_vcpus = info->max_vcpus = 1;
	info->memory_pages = info->max_memory_pages = 16384;
	info->paused = one_is_paused();
	ignore_value(virUUIDParse(UUID, info->uuid));
}

int xyl_domain_info(struct xyl *x G_GNUC_UNUSED, uint32_t domid, struct xyl_dominfo *info)
{
	errno = ESRCH;
	if (domid != 1 || !one_is_there())
		return -1;
	fill(info);
	return 0;
}

int xyl_domain_list_all(struct xyl *x G_GNUC_UNUSED, struct xyl_dominfo **infos)
{
	*infos = calloc(1, sizeof(**infos));
	if (!one_is_there())
		return 0;
	fill(*infos);
	return 1;
}

int xyl_host_info(struct xyl *x G_GNUC_UNUSED, struct xyl_hostinfo *info)
{
	memset(info, 0, sizeof(*info));
	info->max_cpu_id = 1;
	return 0;
}

#endif
