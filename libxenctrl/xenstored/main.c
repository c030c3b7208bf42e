/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xenstored: options, start and end. The work is in store.h's core and in io.c. */
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "../common/daemon.h"
#include "../common/program.h"
#include "domain.h"
#include "io.h"

static gboolean opt_no_domains, opt_no_init;
static char *opt_socket;
static char **opt_quota;

static const GOptionEntry options[] = { { "socket", 0, 0, G_OPTION_ARG_FILENAME, &opt_socket,
	                                  "Listen there (default /run/xenstored/socket)", "PATH" },
	                                { "quota", 'Q', 0, G_OPTION_ARG_STRING_ARRAY, &opt_quota,
	                                  "Set a quota of guests", "NAME=VALUE" },
	                                { "no-domains", 0, 0, G_OPTION_ARG_NONE, &opt_no_domains,
	                                  "Serve the socket only, without a hypervisor", NULL },
	                                { "no-init", 0, 0, G_OPTION_ARG_NONE, &opt_no_init,
	                                  "Leave domain 0's nodes to Xen's xen-init-dom0", NULL },
	                                { NULL, 0, 0, 0, NULL, NULL, NULL } };

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

static bool start(void *data)
{
	struct io **io = data;
	uint64_t seeds[2];

	if (getrandom(seeds, sizeof(seeds), 0) == sizeof(seeds))
		pathtab_seed(seeds[0], seeds[1]);
	/* A store that is swapped out stops every guest. */
	if (!opt_no_domains && mlockall(MCL_CURRENT | MCL_FUTURE))
		daemon_log(LOG_WARNING, "cannot lock memory: %s", strerror(errno));
	*io = io_start(opt_socket ? opt_socket : "/run/xenstored/socket", !opt_no_domains);
	if (!*io)
		return false;
	if (!opt_no_init)
		store_init_dom0(io_store(*io));
	for (char **q = opt_quota; q && *q; q++) {
		if (!set_quota(&io_store(*io)->quotas, *q)) {
			daemon_log(LOG_ERR, "no such quota, or no number from 1: %s", *q);
			io_stop(*io);
			return false;
		}
	}
	return true;
}

static void stop(void *data)
{
	struct io **io = data;

	io_stop(*io);
}

int main(int argc, char **argv)
{
	static const struct daemon_program program = {
		.name = "xenstored",
		.summary = "Keeps the store that guests and tools share.",
		.options = options,
		.foreground = "no-fork",
		.foreground_letter = 'N',
		.start = start,
		.stop = stop,
	};
	struct io *io = NULL;

	return daemon_program_run(&program, &io, argc, argv);
}
