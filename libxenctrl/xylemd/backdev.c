/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waiting for backend devices to go; see backdev.h. */
#include "backdev.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define KERNEL_EVENTS_GROUP 1
/* An event can be lost when very many come at once; so the device is looked at again after this time. */
#define LOOK_AGAIN_MS 2000

int backdev_listen(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = KERNEL_EVENTS_GROUP };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd >= 0 && !bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	g_warning("no device events: %s", g_strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

void backdev_wait_gone(int listener, const char *type, uint32_t domid, uint32_t devid)
{
	/* The device itself, not its link below the bus, which goes before the driver has let go. */
	g_autofree char *path = g_strdup_printf("/sys/devices/%s-%u-%u", type, domid, devid);
	struct pollfd poll_fd = { .fd = listener, .events = POLLIN };
	char event[8192];

	while (!access(path, F_OK)) {
		if (poll(&poll_fd, 1, LOOK_AGAIN_MS) <= 0)
			continue;
		/* What it says does not matter: the path does. */
		while (recv(listener, event, sizeof(event), 0) >= 0)
			;
	}
}
