/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See played_xylemd.h. */
#include "played_xylemd.h"

#include <stdlib.h>
#include <xenctrl.h>

#include "monitor.h"
#include "virerror.h"
#include "viruuid.h"

struct played_xylemd xylemd;

static int pass(void)
{
	g_atomic_int_inc(&xylemd.calls);
	g_atomic_int_inc(&xylemd.inside);
	g_mutex_lock(&xylemd.gate);
	g_mutex_unlock(&xylemd.gate);
	g_atomic_int_add(&xylemd.inside, -1);
	if (!xylemd.refuses)
		return 0;
	virReportError(VIR_ERR_OPERATION_FAILED, "%s", "as the test wants it");
	return -1;
}

int monitor_create(struct monitor *m G_GNUC_UNUSED, GVariant *guest, bool paused G_GNUC_UNUSED,
                   unsigned int *domid, GVariant **devices)
{
	*devices = NULL;
	g_variant_unref(g_variant_ref_sink(guest));
	g_atomic_int_inc(&xylemd.creations);
	*domid = PLAYED_DOMID;
	return pass();
}

int monitor_destroy(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED)
{
	if (!xylemd.destroy_code)
		return pass();
	virReportError(xylemd.destroy_code, "%s", "as the test wants it");
	return -1;
}

int monitor_shutdown(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, const char *mode)
{
	g_strlcpy(xylemd.asked, mode, sizeof(xylemd.asked));
	return pass();
}

int monitor_attach(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, GVariant *device,
                   GVariant **made)
{
	*made = g_variant_ref_sink(device); /* it became what was asked for */
	return pass();
}

int monitor_detach(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, GVariant *device)
{
	gboolean force = FALSE;

	g_variant_ref_sink(device);
	xylemd.forced += g_variant_lookup(device, "force", "b", &force) && force;
	g_variant_unref(device);
	return pass();
}

int monitor_set_memory(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                       unsigned long long memory_kib G_GNUC_UNUSED)
{
	return pass();
}

int monitor_set_vcpus(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                      unsigned int vcpus G_GNUC_UNUSED)
{
	return pass();
}

int monitor_pause(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, bool pause G_GNUC_UNUSED)
{
	return pass();
}

int monitor_set_scheduler(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                          const struct xyl_sched *sched G_GNUC_UNUSED)
{
	return pass();
}

int monitor_set_affinity(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                         unsigned int vcpu G_GNUC_UNUSED, const unsigned char *map G_GNUC_UNUSED,
                         size_t map_bytes G_GNUC_UNUSED)
{
	return pass();
}

int monitor_set_link(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, const char *mac,
                     bool up)
{
	if (STRNEQ(mac, "00:16:3e:00:00:01"))
		abort();
	xylemd.links_down += up ? -1 : 1;
	return pass();
}

int monitor_set_opaque(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED,
                       const char *text G_GNUC_UNUSED)
{
	return pass();
}

GVariant *monitor_get(struct monitor *m G_GNUC_UNUSED, const char *handle G_GNUC_UNUSED, bool *known)
{
	if (known)
		*known = xylemd.answers;
	if (!xylemd.answers || !xylemd.has_guest)
		return NULL;
	return g_variant_ref_sink(g_variant_new_parsed(xylemd.guest ? xylemd.guest : "@a{sv} {}"));
}

bool monitor_connected(struct monitor *m G_GNUC_UNUSED)
{
	return true;
}

int xyl_domain_info(struct xyl *x G_GNUC_UNUSED, uint32_t domid, struct xyl_dominfo *info)
{
	memset(info, 0, sizeof(*info));
	info->domid = domid;
	info->dying = xylemd.dying;
	ignore_value(virUUIDParse(PLAYED_UUID, info->uuid));
	return 0;
}

int xyl_host_info(struct xyl *x G_GNUC_UNUSED, struct xyl_hostinfo *info)
{
	memset(info, 0, sizeof(*info));
	info->max_cpu_id = 1;
	return 0;
}

int xyl_domain_destroy(struct xyl *x G_GNUC_UNUSED, uint32_t domid G_GNUC_UNUSED)
{
	g_atomic_int_inc(&xylemd.kills);
	return 0;
}
