/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Event channels: for guests by hypercall, for ourselves by /dev/xen/evtchn. Source: xen/event_channel.h,
 * xen/sys/evtchn.h. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "private.h"
#include <xen/event_channel.h>
#include <xen/sys/evtchn.h>

#define EVTCHN_PATH "/dev/xen/evtchn"

struct xyl_evtchn {
	int fd;
};

int xyl_evtchn_alloc(struct xyl *x, uint32_t domid, uint32_t remote_domid)
{
	struct evtchn_alloc_unbound op = { .dom = (domid_t)domid, .remote_dom = (domid_t)remote_domid };

	if (xyl_struct_op(x, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, &op, sizeof(op)) < 0)
		return xyl_fail(errno, "domain %u: cannot allocate an event channel to domain %u", domid,
		                remote_domid);
	return (int)op.port;
}

struct xyl_evtchn *xyl_evtchn_open(void)
{
	struct xyl_evtchn *e = malloc(sizeof(*e));

	if (!e) {
		xyl_fail(ENOMEM, "%s", EVTCHN_PATH);
		return NULL;
	}
	e->fd = open(EVTCHN_PATH, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (e->fd < 0) {
		int error = errno;

		free(e);
		xyl_fail(error, "%s (kernel module xen_evtchn)", EVTCHN_PATH);
		return NULL;
	}
	return e;
}

void xyl_evtchn_close(struct xyl_evtchn *e)
{
	if (!e)
		return;
	close(e->fd);
	free(e);
}

int xyl_evtchn_fd(struct xyl_evtchn *e)
{
	return e->fd;
}

int xyl_evtchn_bind_unbound(struct xyl_evtchn *e, uint32_t remote_domid)
{
	struct ioctl_evtchn_bind_unbound_port op = { .remote_domain = remote_domid };
	int port = ioctl(e->fd, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &op);

	return port < 0 ? xyl_fail(errno, "cannot offer an event channel to domain %u", remote_domid) : port;
}

int xyl_evtchn_bind_interdomain(struct xyl_evtchn *e, uint32_t remote_domid, uint32_t remote_port)
{
	struct ioctl_evtchn_bind_interdomain op = { .remote_domain = remote_domid,
		                                    .remote_port = remote_port };
	int port = ioctl(e->fd, IOCTL_EVTCHN_BIND_INTERDOMAIN, &op);

	if (port < 0)
		return xyl_fail(errno, "cannot bind to event channel %u of domain %u", remote_port,
		                remote_domid);
	return port;
}

int xyl_evtchn_bind_virq(struct xyl_evtchn *e, uint32_t virq)
{
	struct ioctl_evtchn_bind_virq op = { .virq = virq };
	int port = ioctl(e->fd, IOCTL_EVTCHN_BIND_VIRQ, &op);

	return port < 0 ? xyl_fail(errno, "cannot bind virtual interrupt %u", virq) : port;
}

int xyl_evtchn_unbind(struct xyl_evtchn *e, uint32_t port)
{
	struct ioctl_evtchn_unbind op = { .port = port };

	return ioctl(e->fd, IOCTL_EVTCHN_UNBIND, &op) < 0
	               ? xyl_fail(errno, "cannot close event channel %u", port)
	               : 0;
}

int xyl_evtchn_notify(struct xyl_evtchn *e, uint32_t port)
{
	struct ioctl_evtchn_notify op = { .port = port };

	return ioctl(e->fd, IOCTL_EVTCHN_NOTIFY, &op) < 0
	               ? xyl_fail(errno, "cannot notify event channel %u", port)
	               : 0;
}

int xyl_evtchn_pending(struct xyl_evtchn *e)
{
	uint32_t port;
	ssize_t n;

	do {
		n = read(e->fd, &port, sizeof(port));
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(port))
		return (int)port;
	return xyl_fail(n < 0 ? errno : EIO, "cannot read pending event channels");
}

int xyl_evtchn_unmask(struct xyl_evtchn *e, uint32_t port)
{
	ssize_t n;

	do {
		n = write(e->fd, &port, sizeof(port));
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(port)
	               ? 0
	               : xyl_fail(n < 0 ? errno : EIO, "cannot unmask event channel %u", port);
}
