/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See program.h. */
#include "config.h"

#include "program.h"

#include <glib-unix.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "daemon.h"

static gboolean on_signal(gpointer loop)
{
	g_main_loop_quit(loop);
	return G_SOURCE_CONTINUE;
}

static int serve(const struct daemon_program *p, void *data, const char *pid_file)
{
	GMainLoop *loop;
	int err;

	if (!p->start(data))
		return 1;
	loop = g_main_loop_new(NULL, FALSE);
	g_unix_signal_add(SIGTERM, on_signal, loop);
	g_unix_signal_add(SIGINT, on_signal, loop);
	err = daemon_ready(pid_file);
	if (err)
		daemon_log(LOG_WARNING, "cannot write %s: %s", pid_file, strerror(err));
	daemon_log(LOG_INFO, "%s serves", PACKAGE_STRING);
	g_main_loop_run(loop);
	daemon_done(pid_file);
	p->stop(data);
	g_main_loop_unref(loop);
	return 0;
}

int daemon_program_run(const struct daemon_program *p, void *data, int argc, char **argv)
{
	gboolean foreground = FALSE, verbose = FALSE, version = FALSE;
	g_autofree char *pid_file = NULL;
	const GOptionEntry common[] = {
		{ "foreground", 'F', 0, G_OPTION_ARG_NONE, &foreground,
		  "Stay in the foreground, log to stderr", NULL },
		{ p->foreground, p->foreground_letter, 0, G_OPTION_ARG_NONE, &foreground,
		  "The same, as Xen's own daemon calls it", NULL },
		{ "pid-file", 0, 0, G_OPTION_ARG_FILENAME, &pid_file, "Write the process number there",
		  "FILE" },
		{ "verbose", 'v', 0, G_OPTION_ARG_NONE, &verbose, "Log more", NULL },
		{ "version", 'V', 0, G_OPTION_ARG_NONE, &version, "Print the version", NULL },
		{ NULL, 0, 0, 0, NULL, NULL, NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_autoptr(GError) error = NULL;
	int err;

	setlocale(LC_CTYPE, ""); /* without it GLib writes its help in ASCII alone */
	g_option_context_set_summary(context, p->summary);
	g_option_context_add_main_entries(context, common, NULL);
	g_option_context_add_main_entries(context, p->options, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error) || argc > 1) {
		fprintf(stderr, "%s: %s\n", p->name, error ? error->message : "arguments are not understood");
		return 2;
	}
	if (version) {
		puts(PACKAGE_STRING);
		return 0;
	}
	daemon_log_open(p->name, foreground, verbose);
	err = daemon_background(foreground);
	if (err) {
		fprintf(stderr, "%s: cannot go into the background: %s\n", p->name, strerror(err));
		return 1;
	}
	return serve(p, data, pid_file);
}
