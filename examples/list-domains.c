/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists the domains with their state, memory and CPU time. Build: cc list-domains.c $(pkg-config --cflags
 * --libs xylem-xenctrl) */
#include <stdio.h>
#include <stdlib.h>
#include <xenctrl.h>

static const char *state(const struct xyl_dominfo *d)
{
	if (d->dying)
		return "dying";
	if (d->shutdown)
		return d->shutdown_reason == XYL_SHUTDOWN_CRASH ? "crashed" : "shut down";
	if (d->paused)
		return "paused";
	return d->running ? "running" : "blocked";
}

int main(void)
{
	struct xyl *x = xyl_open();
	struct xyl_store *s = x ? xyl_store_open(NULL) : NULL;
	struct xyl_dominfo *list;
	int n;

	if (!x || !s || (n = xyl_domain_list_all(x, &list)) < 0) {
		fprintf(stderr, "list-domains: %s\n", xyl_error());
		xyl_store_close(s);
		xyl_close(x);
		return 1;
	}
	printf("%5s %-20s %-10s %6s %10s %10s\n", "ID", "NAME", "STATE", "VCPUS", "KIB", "CPU S");
	for (int i = 0; i < n; i++) {
		char *name = xyl_store_readf(s, XYL_TX_NONE, "/local/domain/%u/name", list[i].domid);

		printf("%5u %-20s %-10s %6u %10llu %10.1f\n", list[i].domid, name ? name : "-",
		       state(&list[i]), list[i].online_vcpus, (unsigned long long)list[i].memory_pages * 4,
		       (double)list[i].cpu_time_ns / 1e9);
		free(name);
	}
	free(list);
	xyl_store_close(s);
	xyl_close(x);
	return 0;
}
