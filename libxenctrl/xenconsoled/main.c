/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenconsoled: options, start and end, which domains there are, the hypervisor's log.
 *
 * The hypervisor says which domains exist, the store when to look: at each @introduceDomain and
 * @releaseDomain the two lists are brought together. All guests' event channels are read through one
 * descriptor.
 */
#include "console.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../common/daemon.h"
#include "../common/events.h"
#include "../common/program.h"
#include "guest.h"

#define STORE_RETRIES   120
#define STORE_RETRY_US  250000
#define DEFAULT_LOG_DIR "/var/log/xen/console"
#define DEFAULT_LOG_KIB 1024
#define DEFAULT_LOG_OLD 3
#define LOG_RATE_BYTES  (256 * 1024)
#define LOG_BURST_BYTES (1024 * 1024)
#define HV_LOG_WAITING  (1024 * 1024)
#define LOG_LAST_US     (2 * G_USEC_PER_SEC)

static char *opt_log, *opt_log_dir;
static gint opt_log_kib = DEFAULT_LOG_KIB, opt_log_old = DEFAULT_LOG_OLD;

static const GOptionEntry options[] = { { "log", 0, 0, G_OPTION_ARG_STRING, &opt_log,
	                                  "What to log: none, guest, hv or all (default guest)", "WHAT" },
	                                { "log-dir", 0, 0, G_OPTION_ARG_FILENAME, &opt_log_dir,
	                                  "Where (default " DEFAULT_LOG_DIR ")", "DIR" },
	                                { "log-size", 0, 0, G_OPTION_ARG_INT, &opt_log_kib,
	                                  "Rotate a log of this size (default 1024)", "KIB" },
	                                { "log-files", 0, 0, G_OPTION_ARG_INT, &opt_log_old,
	                                  "Keep so many rotated logs (default 3)", "N" },
	                                { NULL, 0, 0, 0, NULL, NULL, NULL } };

/* ---- the hypervisor's log ------------------------------------------------------------------------ */

static void hv_log_read(struct daemon *d)
{
	char bytes[8192];
	int n;

	while ((n = xyl_console_read(d->xyl, bytes, sizeof(bytes), false, &d->hv_index)) > 0)
		log_put(d->hv_log, bytes, n);
	if (n < 0)
		daemon_log(LOG_ERR, "cannot read the hypervisor's log: %s", xyl_error());
}

static void hv_log_start(struct daemon *d, const char *dir)
{
	g_autofree char *file = g_strdup_printf("%s/hypervisor.log", dir);

	d->hv_log = log_new(d->writer, file, &d->limits, HV_LOG_WAITING);
	d->hv_port = xyl_evtchn_bind_virq(d->evtchn, VIRQ_CON_RING);
	if (d->hv_port < 0)
		daemon_log(LOG_ERR, "cannot follow the hypervisor's log: %s", xyl_error());
	hv_log_read(d);
}

/* ---- domains ------------------------------------------------------------------------------------- */

static void on_domains_changed(struct xyl_store *s, const char *path, void *data)
{
	struct daemon *d = data;
	struct xyl_dominfo *info = NULL;
	GHashTable *alive;
	GHashTableIter it;
	gpointer value;
	int count = xyl_domain_list_all(d->xyl, &info);

	(void)s;
	(void)path;
	if (count < 0) {
		daemon_log(LOG_ERR, "cannot list the domains: %s", xyl_error());
		return;
	}
	alive = g_hash_table_new(NULL, NULL);
	for (int i = 0; i < count; i++)
		if (!info[i].dying && info[i].domid)
			g_hash_table_insert(alive, GUINT_TO_POINTER(info[i].domid), &info[i]);
	/* First those that went, or whose number another domain has now. */
	g_hash_table_iter_init(&it, d->domains);
	while (g_hash_table_iter_next(&it, NULL, &value)) {
		struct guest *g = value;
		const struct xyl_dominfo *now = g_hash_table_lookup(alive, GUINT_TO_POINTER(g->domid));

		if (!now || memcmp(now->uuid, g->uuid, sizeof(g->uuid)))
			g_hash_table_iter_remove(&it);
	}
	for (int i = 0; i < count; i++) {
		gpointer key = GUINT_TO_POINTER(info[i].domid);

		if (g_hash_table_contains(alive, key) && !g_hash_table_contains(d->domains, key))
			g_hash_table_insert(d->domains, key, guest_new(d, &info[i]));
	}
	g_hash_table_destroy(alive);
	free(info);
}

static bool fired(void *data, int port)
{
	struct daemon *d = data;
	struct console *c = g_hash_table_lookup(d->ports, GINT_TO_POINTER(port));

	if (port == d->hv_port)
		hv_log_read(d);
	return !c || console_event(c);
}

static gboolean on_event(gint fd, GIOCondition condition, gpointer data)
{
	struct daemon *d = data;

	(void)fd;
	(void)condition;
	daemon_events(d->evtchn, fired, d);
	console_run(d);
	return G_SOURCE_CONTINUE;
}

static struct xyl_store *open_store(void)
{
	struct xyl_store *s = xyl_store_open(NULL);

	for (int i = 0; !s && i < STORE_RETRIES; i++) {
		g_usleep(STORE_RETRY_US);
		s = xyl_store_open(NULL);
	}
	return s;
}

static void guest_destroy(gpointer g)
{
	guest_free(g);
}

static bool start(void *data)
{
	struct daemon *d = data;
	const char *what = opt_log ? opt_log : "guest", *dir = opt_log_dir ? opt_log_dir : DEFAULT_LOG_DIR;
	bool all = !strcmp(what, "all"), guests = all || !strcmp(what, "guest"),
	     hv = all || !strcmp(what, "hv");

	if (!guests && !hv && strcmp(what, "none")) {
		daemon_log(LOG_ERR, "--log is none, guest, hv or all, not %s", what);
		return false;
	}
	if (opt_log_kib < 1 || opt_log_old < 0 || opt_log_old > 1000) {
		daemon_log(LOG_ERR, "--log-size is at least 1, --log-files 0 to 1000");
		return false;
	}
	d->limits = (struct log_limits){ (uint64_t)opt_log_kib * 1024, opt_log_old, LOG_RATE_BYTES,
		                         LOG_BURST_BYTES };
	d->hv_port = -1;
	d->ports = g_hash_table_new(NULL, NULL);
	d->domains = g_hash_table_new_full(NULL, NULL, NULL, guest_destroy);
	if ((guests || hv) && g_mkdir_with_parents(dir, 0755))
		daemon_log(LOG_ERR, "cannot make %s: %s", dir, strerror(errno));
	d->log_dir = guests ? dir : NULL;
	d->writer = logwriter_new();
	d->xyl = xyl_open();
	if (d->xyl)
		d->evtchn = xyl_evtchn_open();
	if (d->evtchn)
		d->gnt = xyl_gnt_open();
	if (d->gnt)
		d->store = open_store();
	if (!d->store) {
		daemon_log(LOG_ERR, "%s", xyl_error());
		return false;
	}
	g_unix_fd_add(xyl_evtchn_fd(d->evtchn), G_IO_IN, on_event, d);
	if (hv)
		hv_log_start(d, dir);
	if (!xyl_store_watch(d->store, "@introduceDomain", on_domains_changed, d) ||
	    !xyl_store_watch(d->store, "@releaseDomain", on_domains_changed, d)) {
		daemon_log(LOG_ERR, "cannot watch for domains: %s", xyl_error());
		return false;
	}
	return true;
}

static void stop(void *data)
{
	struct daemon *d = data;

	g_hash_table_destroy(d->domains);
	xyl_store_close(d->store);
	xyl_gnt_close(d->gnt);
	xyl_evtchn_close(d->evtchn);
	xyl_close(d->xyl);
	g_hash_table_destroy(d->ports);
	log_end(d->hv_log);
	if (!logwriter_free(d->writer, LOG_LAST_US))
		daemon_log(LOG_ERR, "the disk of the logs does not take their last lines");
}

int main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "xenconsoled",
		.summary = "Serves guests' consoles as terminals and log files.",
		.options = options,
		.foreground = "interactive",
		.foreground_letter = 'i',
		.start = start,
		.stop = stop,
	};
	struct daemon d = { 0 };

	return daemon_program_run(&program, &d, argc, argv);
}
