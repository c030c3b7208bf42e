/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Network interfaces of guests by netlink; see nic.h. */
#include "nic.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet6.h>
#include <poll.h>
#include <string.h>

#include "error.h"

/* How often a waiting thread looks whether it was cancelled; the interface itself is announced by an event. */
#define CANCEL_CHECK_MS 500

struct nic_waiter {
	struct nl_sock *requests;
	struct nl_sock *events;
};

static int ignore_event(struct nl_msg *message, void *data)
{
	(void)message;
	(void)data;
	return NL_OK;
}

static struct nl_sock *open_socket(void)
{
	struct nl_sock *sock = nl_socket_alloc();

	if (sock && nl_connect(sock, NETLINK_ROUTE) < 0) {
		nl_socket_free(sock);
		sock = NULL;
	}
	return sock;
}

bool nic_check(const struct nic_conf *conf, const char *guest, uint32_t *mtu, GError **error)
{
	struct nl_sock *sock = open_socket();
	struct rtnl_link *bridge = NULL, *taken = NULL;
	const char *type;
	bool ok = false;

	if (!sock)
		return xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", nic %s: no netlink socket", guest,
		               conf->mac_text);
	type = rtnl_link_get_kernel(sock, 0, conf->bridge, &bridge) < 0 ? NULL : rtnl_link_get_type(bridge);
	if (!bridge)
		xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", nic %s: there is no bridge %s", guest,
		        conf->mac_text, conf->bridge);
	else if (!type || strcmp(type, "bridge"))
		xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", nic %s: interface %s is not a bridge", guest,
		        conf->mac_text, conf->bridge);
	else if (conf->ifname && rtnl_link_get_kernel(sock, 0, conf->ifname, &taken) >= 0)
		xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", nic %s: there is an interface %s already",
		        guest, conf->mac_text, conf->ifname);
	else {
		*mtu = rtnl_link_get_mtu(bridge);
		ok = true;
	}
	if (bridge)
		rtnl_link_put(bridge);
	if (taken)
		rtnl_link_put(taken);
	nl_socket_free(sock);
	return ok;
}

struct nic_waiter *nic_waiter_open(const char *guest, GError **error)
{
	struct nic_waiter *waiter = g_new0(struct nic_waiter, 1);

	waiter->requests = open_socket();
	waiter->events = open_socket();
	if (!waiter->requests || !waiter->events ||
	    nl_socket_add_membership(waiter->events, RTNLGRP_LINK) < 0 ||
	    nl_socket_set_nonblocking(waiter->events) < 0) {
		xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\": cannot listen for network interfaces", guest);
		nic_waiter_close(waiter);
		return NULL;
	}
	nl_socket_disable_seq_check(waiter->events);
	nl_socket_modify_cb(waiter->events, NL_CB_VALID, NL_CB_CUSTOM, ignore_event, NULL);
	return waiter;
}

void nic_waiter_close(struct nic_waiter *waiter)
{
	if (!waiter)
		return;
	if (waiter->requests)
		nl_socket_free(waiter->requests);
	if (waiter->events)
		nl_socket_free(waiter->events);
	g_free(waiter);
}

/* The interface once it is there; NULL after timeout_ms or when cancelled. */
static struct rtnl_link *wait_for_link(struct nic_waiter *waiter, const char *name, int timeout_ms,
                                       const gint *cancelled)
{
	gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
	struct pollfd poll_fd = { .fd = nl_socket_get_fd(waiter->events), .events = POLLIN };
	struct rtnl_link *link = NULL;

	for (;;) {
		gint64 left_ms = (deadline - g_get_monotonic_time()) / 1000;

		if (rtnl_link_get_kernel(waiter->requests, 0, name, &link) >= 0)
			return link;
		if (left_ms <= 0 || (cancelled && g_atomic_int_get(cancelled)))
			return NULL;
		/* An overrun of the event socket is an event too: the next round asks again anyway. */
		if (poll(&poll_fd, 1, (int)MIN(left_ms, CANCEL_CHECK_MS)) > 0)
			(void)nl_recvmsgs_default(waiter->events);
	}
}

/* Everything in one request, so that the interface is never up outside of its bridge. */
static int change_link(struct nl_sock *sock, struct rtnl_link *link, struct rtnl_link *bridge,
                       const struct nic_conf *conf, uint32_t mtu, bool ipv6)
{
	struct rtnl_link *change = rtnl_link_alloc();
	int result;

	if (!change)
		return -NLE_NOMEM;
	rtnl_link_set_master(change, rtnl_link_get_ifindex(bridge));
	if (conf->ifname)
		rtnl_link_set_name(change, conf->ifname);
	if (mtu)
		rtnl_link_set_mtu(change, mtu);
	/* dom0 itself does not speak through the guest's port. */
	if (ipv6)
		rtnl_link_inet6_set_addr_gen_mode(change, IN6_ADDR_GEN_MODE_NONE);
	if (!conf->link_down && !conf->hold)
		rtnl_link_set_flags(change, IFF_UP);
	result = rtnl_link_change(sock, link, change, 0);
	rtnl_link_put(change);
	return result;
}

bool nic_connect(struct nic_waiter *waiter, const struct nic_conf *conf, uint32_t domid, uint32_t devid,
                 uint32_t mtu, int timeout_ms, const gint *cancelled, const char *guest, GError **error)
{
	g_autofree char *name = g_strdup_printf("vif%u.%u", domid, devid);
	struct rtnl_link *link = wait_for_link(waiter, name, timeout_ms, cancelled), *bridge = NULL;
	int result;

	if (!link) {
		if (cancelled && g_atomic_int_get(cancelled))
			return xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\" was destroyed meanwhile", guest);
		return xd_fail(
		        error, XD_ERROR_TIMEOUT,
		        "guest \"%s\", nic %s: the interface %s did not appear (is xen-netback loaded?)",
		        guest, conf->mac_text, name);
	}
	result = rtnl_link_get_kernel(waiter->requests, 0, conf->bridge, &bridge);
	if (result >= 0)
		result = change_link(waiter->requests, link, bridge, conf, mtu, true);
	/* A dom0 without IPv6 knows no address generation mode. */
	if (result == -NLE_OPNOTSUPP || result == -NLE_AF_NOSUPPORT)
		result = change_link(waiter->requests, link, bridge, conf, mtu, false);
	if (bridge)
		rtnl_link_put(bridge);
	rtnl_link_put(link);
	if (result < 0)
		return xd_fail(error, XD_ERROR_DEVICE,
		               "guest \"%s\", nic %s: cannot enter %s into bridge %s: %s", guest,
		               conf->mac_text, name, conf->bridge, nl_geterror(result));
	return true;
}

char *nic_ifname(const struct nic_conf *conf, uint32_t domid, uint32_t devid)
{
	return conf->ifname ? g_strdup(conf->ifname) : g_strdup_printf("vif%u.%u", domid, devid);
}

bool nic_set_link(const struct nic_conf *conf, uint32_t domid, uint32_t devid, bool up, const char *guest,
                  GError **error)
{
	g_autofree char *name = nic_ifname(conf, domid, devid);
	struct nl_sock *sock = open_socket();
	struct rtnl_link *link = NULL, *change = NULL;
	int result = sock ? rtnl_link_get_kernel(sock, 0, name, &link) : -NLE_FAILURE;

	if (result >= 0)
		change = rtnl_link_alloc();
	if (change) {
		if (up)
			rtnl_link_set_flags(change, IFF_UP);
		else
			rtnl_link_unset_flags(change, IFF_UP);
		result = rtnl_link_change(sock, link, change, 0);
		rtnl_link_put(change);
	}
	if (link)
		rtnl_link_put(link);
	if (sock)
		nl_socket_free(sock);
	if (result < 0)
		return xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", nic %s: interface %s: %s", guest,
		               conf->mac_text, name, nl_geterror(result));
	return true;
}
