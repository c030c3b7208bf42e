/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests' network interfaces on dom0's side, by netlink: no scripts.
 *
 * netback makes the interface vif<domid>.<devid> by itself once it has seen the backend's nodes; here it is
 * waited for, named, entered into its bridge and set up. It goes, with its place in the bridge, when the
 * backend closes.
 */
#ifndef XYLEMD_NIC_H
#define XYLEMD_NIC_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "guestconf.h"

/* Errors: XD_ERROR_DEVICE there is no such bridge, or a wanted ifname is taken. *mtu is the bridge's. */
bool nic_check(const struct nic_conf *conf, const char *guest, uint32_t *mtu, GError **error);

/* A listener for new interfaces: opened before the backend is made, so that no event is missed. */
struct nic_waiter;
struct nic_waiter *nic_waiter_open(const char *guest, GError **error);
void nic_waiter_close(struct nic_waiter *waiter);
/*
 * Waits for the guest's interface number devid and connects it. Errors: XD_ERROR_TIMEOUT netback did not make
 * it in timeout_ms, XD_ERROR_DEVICE the kernel refused. Stops when *cancelled is not 0, with XD_ERROR_DEVICE.
 */
bool nic_connect(struct nic_waiter *waiter, const struct nic_conf *conf, uint32_t domid, uint32_t devid,
                 uint32_t mtu, int timeout_ms, const gint *cancelled, const char *guest, GError **error);

/* Takes the guest's interface number devid up or down. Errors: XD_ERROR_DEVICE. */
bool nic_set_link(const struct nic_conf *conf, uint32_t domid, uint32_t devid, bool up, const char *guest,
                  GError **error);
/* Its name in dom0; free with g_free(). */
char *nic_ifname(const struct nic_conf *conf, uint32_t domid, uint32_t devid);

#endif
