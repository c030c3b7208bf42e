/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints the hypervisor's console ring; with -f goes on with what is new, when the hypervisor says that there
 * is some. */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xenctrl.h>

#define VIRQ_CON_RING 8u /* xen/xen.h */

static int print_new(struct xyl *x, uint32_t *index)
{
	char text[16384];
	int n;

	while ((n = xyl_console_read(x, text, sizeof(text), false, index)) > 0)
		fwrite(text, 1, (size_t)n, stdout);
	fflush(stdout);
	return n;
}

static int follow(struct xyl *x, uint32_t *index)
{
	struct xyl_evtchn *e = xyl_evtchn_open();
	int port = e ? xyl_evtchn_bind_virq(e, VIRQ_CON_RING) : -1;

	while (port >= 0 && print_new(x, index) >= 0) {
		struct pollfd p = { .fd = xyl_evtchn_fd(e), .events = POLLIN };

		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			break;
		if (xyl_evtchn_pending(e) == port && xyl_evtchn_unmask(e, (uint32_t)port) < 0)
			break;
	}
	xyl_evtchn_close(e);
	return -1;
}

int main(int argc, char **argv)
{
	struct xyl *x = xyl_open();
	uint32_t index = 0;
	int rc = x ? print_new(x, &index) : -1;

	if (rc >= 0 && argc > 1 && strcmp(argv[1], "-f") == 0)
		rc = follow(x, &index);
	if (rc < 0)
		fprintf(stderr, "console-ring: %s\n", xyl_error());
	xyl_close(x);
	return rc < 0;
}
