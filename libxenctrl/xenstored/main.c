/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xenstored: options, start and end. The work is in store.h's core and in io.c. */
#include "config.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "../common/daemon.h"
#include "io.h"

static gboolean opt_foreground, opt_verbose, opt_no_domains, opt_no_init, opt_version;
static char *opt_socket, *opt_pid_file;
static char **opt_quota;

static const GOptionEntry options[] = {
	{ "foreground", 'F', 0, G_OPTION_ARG_NONE, &opt_foreground, "Stay in the foreground, log to stderr",
	  NULL },
	{ "no-fork", 'N', 0, G_OPTION_ARG_NONE, &opt_foreground, "The same, as Xen's own daemon calls it",
	  NULL },
	{ "pid-file", 0, 0, G_OPTION_ARG_FILENAME, &opt_pid_file, "Write the process number there", "FILE" },
	{ "socket", 0, 0, G_OPTION_ARG_FILENAME, &opt_socket, "Listen there (default /run/xenstored/socket)",
	  "PATH" },
	{ "quota", 'Q', 0, G_OPTION_ARG_STRING_ARRAY, &opt_quota, "Set a quota of guests", "NAME=VALUE" },
	{ "no-domains", 0, 0, G_OPTION_ARG_NONE, &opt_no_domains,
	  "Serve the socket only, without a hypervisor", NULL },
	{ "no-init", 0, 0, G_OPTION_ARG_NONE, &opt_no_init, "Leave domain 0's nodes to Xen's xen-init-dom0",
	  NULL },
	{ "verbose", 'v', 0, G_OPTION_ARG_NONE, &opt_verbose, "Log more", NULL },
	{ "version", 'V', 0, G_OPTION_ARG_NONE, &opt_version, "Print the version", NULL },
	{ NULL, 0, 0, 0, NULL, NULL, NULL }
};

static gboolean on_signal(gpointer loop)
{
	g_main_loop_quit(loop);
	return G_SOURCE_CONTINUE;
}

static bool set_quota(struct quotas *q, const char *text)
{
	const struct {
		const char *name;
		unsigned int *value;
	} known[] = {
		{ "nodes", &q->nodes },
		{ "watches", &q->watches },
		{ "transactions", &q->transactions },
		{ "value-bytes", &q->value_bytes },
		{ "permissions", &q->perms },
		{ "transaction-nodes", &q->transaction_nodes },
		{ "path-bytes", &q->path_bytes },
		{ "path-depth", &q->path_depth },
		{ "memory-bytes", &q->memory_bytes },
		{ "events", &q->events },
		{ "replies", &q->replies },
	};
	const char *equals = strchr(text, '=');
	guint64 value;

	if (!equals || !g_ascii_string_to_unsigned(equals + 1, 10, 1, G_MAXINT32, &value, NULL))
		return false;
	for (size_t i = 0; i < G_N_ELEMENTS(known); i++)
		if (strlen(known[i].name) == (size_t)(equals - text) &&
		    !strncmp(known[i].name, text, equals - text)) {
			*known[i].value = value;
			return true;
		}
	return false;
}

static struct io *start(void)
{
	struct io *io;
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), 0) == sizeof(seed))
		pathtab_seed(seed);
	/* A store that is swapped out stops every guest. */
	if (!opt_no_domains && mlockall(MCL_CURRENT | MCL_FUTURE))
		daemon_log(LOG_WARNING, "cannot lock memory: %s", strerror(errno));
	io = io_start(opt_socket ? opt_socket : "/run/xenstored/socket", !opt_no_domains);
	if (io && !opt_no_init)
		store_init_dom0(io_store(io));
	for (char **q = opt_quota; io && q && *q; q++) {
		if (!set_quota(&io_store(io)->quotas, *q)) {
			daemon_log(LOG_ERR, "no such quota, or no number from 1: %s", *q);
			io_stop(io);
			io = NULL;
		}
	}
	return io;
}

int main(int argc, char **argv)
{
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_autoptr(GError) error = NULL;
	GMainLoop *loop;
	struct io *io;
	int err;

	g_option_context_set_summary(context, "Keeps the store that guests and tools share.");
	g_option_context_add_main_entries(context, options, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1) {
		fprintf(stderr, "xenstored: %s\n", error ? error->message : "arguments are not understood");
		return 2;
	}
	if (opt_version) {
		puts(PACKAGE_STRING);
		return 0;
	}
	daemon_log_open("xenstored", opt_foreground, opt_verbose);
	err = daemon_background(opt_foreground);
	if (err) {
		fprintf(stderr, "xenstored: cannot go into the background: %s\n", strerror(err));
		return 1;
	}
	io = start();
	if (!io)
		return 1;
	loop = g_main_loop_new(NULL, FALSE);
	g_unix_signal_add(SIGTERM, on_signal, loop);
	g_unix_signal_add(SIGINT, on_signal, loop);
	err = daemon_ready(opt_pid_file);
	if (err)
		daemon_log(LOG_WARNING, "cannot write %s: %s", opt_pid_file, strerror(err));
	daemon_log(LOG_INFO, "%s serves", PACKAGE_STRING);
	g_main_loop_run(loop);
	daemon_done(opt_pid_file);
	io_stop(io);
	g_main_loop_unref(loop);
	return 0;
}
