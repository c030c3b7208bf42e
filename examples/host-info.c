/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells what the host is: hypervisor, CPUs, memory, scheduler. */
#include <stdio.h>
#include <xenctrl.h>

int main(void)
{
	struct xyl *x = xyl_open();
	enum xyl_scheduler scheduler;
	struct xyl_version version;
	struct xyl_hostinfo host;

	if (!x || xyl_host_version(x, &version) < 0 || xyl_host_info(x, &host) < 0 ||
	    xyl_scheduler_id(x, &scheduler) < 0) {
		fprintf(stderr, "host-info: %s\n", xyl_error());
		xyl_close(x);
		return 1;
	}
	printf("hypervisor   %u.%u%s, options \"%s\"\n", version.major, version.minor, version.extra,
	       version.commandline);
	printf("guests       %s\n", version.capabilities);
	printf("cpus         %u at %u MHz, %u threads a core, %u cores a socket\n", host.cpus,
	       host.cpu_khz / 1000, host.threads_per_core, host.cores_per_socket);
	printf("memory       %llu MiB, %llu MiB free\n", (unsigned long long)host.total_pages / 256,
	       (unsigned long long)host.free_pages / 256);
	printf("scheduler    %s\n", xyl_scheduler_name(scheduler));
	xyl_close(x);
	return 0;
}
