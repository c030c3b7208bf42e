/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints what changes in xenstore below the paths that are named, for ever; it outlives restarts of
 * xenstored. Build: cc watch-store.c $(pkg-config --cflags --libs xylem-xenctrl glib-2.0) */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <xenctrl.h>

static void changed(struct xyl_store *s, const char *path, void *data)
{
	char *value = xyl_store_read(s, XYL_TX_NONE, path, NULL);

	(void)data;
	printf("%s = %s\n", path, value ? value : "(gone)");
	fflush(stdout);
	free(value);
}

int main(int argc, char **argv)
{
	struct xyl_store *s = xyl_store_open(NULL);

	if (!s || argc < 2) {
		fprintf(stderr, "watch-store: %s\n", s ? "usage: watch-store PATH..." : xyl_error());
		xyl_store_close(s);
		return 1;
	}
	for (int i = 1; i < argc; i++) {
		if (!xyl_store_watch(s, argv[i], changed, NULL))
			fprintf(stderr, "watch-store: %s\n", xyl_error());
	}
	g_main_loop_run(g_main_loop_new(NULL, FALSE));
	return 0;
}
