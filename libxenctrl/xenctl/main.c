/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xenctl: commands, and the two ends that they talk to; see xenctl.h. */
#include "config.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xenctl.h"

#define OBJECT_PATH      "/org/xylem/Xylemd1"
#define PROTOCOL_VERSION 2
#define ANSWER_S         60

struct command {
	const char *name;
	int (*run)(struct context *ctx, int argc, char **argv);
	int min_args, max_args; /* -1: any number */
	const char *usage;
	const char *help;
};

static const struct command commands[] = {
	{ "list", cmd_list, 0, 0, "", "domains and their states" },
	{ "get", cmd_get, 1, 1, "DOMAIN", "all that xylemd knows of one domain" },
	{ "create", cmd_create, 1, 2, "[-p] FILE",
	  "start the guest that FILE describes (-p: leave it paused)" },
	{ "destroy", cmd_destroy, 1, 1, "DOMAIN", "kill it at once" },
	{ "shutdown", cmd_shutdown, 1, 1, "DOMAIN", "ask it to power off" },
	{ "reboot", cmd_reboot, 1, 1, "DOMAIN", "ask it to reboot" },
	{ "pause", cmd_pause, 1, 1, "DOMAIN", "stop its vcpus" },
	{ "unpause", cmd_unpause, 1, 1, "DOMAIN", "let them run" },
	{ "save", cmd_save, 2, 4, "[--live] [--checkpoint] DOMAIN FILE",
	  "write its memory and state to a new file, and end it (--live: while it runs, but for the last of it; "
	  "--checkpoint: it goes on)" },
	{ "restore", cmd_restore, 2, 3, "[-p] FILE DESCRIPTION",
	  "start from such a file the guest that was saved" },
	{ "resume", cmd_resume, 1, 1, "DOMAIN", "let one that stopped for a save go on" },
	{ "attach", cmd_attach, 2, -1, "DOMAIN disk|nic KEY=VALUE...", "add a disk or nic" },
	{ "detach", cmd_detach, 3, 4, "[-f] DOMAIN disk|nic VDEV|MAC",
	  "remove a disk or nic (-f: by force)" },
	{ "memory", cmd_memory, 2, 2, "DOMAIN KIB", "set its balloon's target" },
	{ "vcpus", cmd_vcpus, 2, 2, "DOMAIN COUNT", "set how many vcpus it has online" },
	{ "link", cmd_link, 3, 3, "DOMAIN MAC up|down", "take its interface in domain 0 up or down" },
	{ "console", cmd_console, 1, 1, "DOMAIN", "talk to its console; Ctrl-] ends" },
	{ "events", cmd_events, 0, 0, "", "print what happens to domains, until interrupted" },
	{ "info", cmd_info, 0, 0, "", "the host and the hypervisor" },
	{ "dmesg", cmd_dmesg, 0, 1, "[-c]", "the hypervisor's messages (-c: and empty their ring)" },
	{ "vcpu-list", cmd_vcpu_list, 0, 1, "[DOMAIN]", "vcpus: where they run, and where they may" },
	{ "pin", cmd_pin, 3, 3, "DOMAIN VCPU CPUS", "where a vcpu may run: like 0-2,5 or all" },
	{ "sched", cmd_sched, 1, 3, "DOMAIN [WEIGHT [CAP]]", "show or set its share and limit" },
	{ "debug-keys", cmd_debug_keys, 1, 1, "KEYS", "as if pressed on the hypervisor's console" },
};

static int usage(FILE *stream)
{
	guint i;

	fputs("usage: xenctl [--socket=PATH] COMMAND [ARGUMENTS]\nDOMAIN is a number, a name or a UUID.\n\n",
	      stream);
	for (i = 0; i < G_N_ELEMENTS(commands); i++) {
		g_autofree char *left = g_strdup_printf("%s %s", commands[i].name, commands[i].usage);

		fprintf(stream, "  %-42s %s\n", left, commands[i].help);
	}
	return stream == stdout ? 0 : EXIT_USAGE;
}

int fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("xenctl: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return 1;
}

int fail_error(GError *error)
{
	g_autofree char *name = g_dbus_error_get_remote_error(error);
	const char *last;

	g_dbus_error_strip_remote_error(error);
	last = name ? strrchr(name, '.') : NULL;
	if (last && g_str_has_prefix(name, "org.xylem.Error."))
		fail("%s (%s)", error->message, last + 1);
	else
		fail("%s", error->message);
	g_error_free(error);
	return 1;
}

struct xyl *context_xen(struct context *ctx)
{
	if (!ctx->xen)
		ctx->xen = xyl_open();
	if (!ctx->xen)
		fail("%s", xyl_error());
	return ctx->xen;
}

static void no_answer(int number)
{
	static const char text[] =
	        "xenctl: xylemd does not answer: it hangs, or is stopped (\"systemctl status xylemd\")\n";

	(void)number;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

/* Between the two xylemd has to answer at once, and does unless it hangs. */
static void ask(void)
{
	const char *seconds = g_getenv("XENCTL_ANSWER_SECONDS");

	signal(SIGALRM, no_answer);
	alarm(seconds ? (unsigned)g_ascii_strtoull(seconds, NULL, 10) : ANSWER_S);
}

static void answered(void)
{
	alarm(0);
}

gboolean list_domains(struct context *ctx, GVariant **domains)
{
	GError *error = NULL;
	gboolean got;

	if (!context_daemon(ctx))
		return FALSE;
	ask();
	got = xd_xylemd1_call_list_sync(ctx->daemon, domains, NULL, &error);
	answered();
	if (!got)
		fail_error(error);
	return got;
}

XdXylemd1 *context_daemon(struct context *ctx)
{
	g_autofree char *address = NULL;
	g_autoptr(GDBusConnection) connection = NULL;
	GError *error = NULL;

	if (ctx->daemon)
		return ctx->daemon;
	address = g_strdup_printf("unix:path=%s", ctx->socket_path);
	ask();
	connection = g_dbus_connection_new_for_address_sync(
	        address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL, &error);
	if (connection)
		ctx->daemon = xd_xylemd1_proxy_new_sync(connection, G_DBUS_PROXY_FLAGS_NONE, NULL,
		                                        OBJECT_PATH, NULL, &error);
	answered();
	if (!ctx->daemon) {
		g_prefix_error(&error, "xylemd cannot be reached at %s (does it run?): ", ctx->socket_path);
		fail_error(error);
		return NULL;
	}
	/* How long it takes to do something is bounded by the daemon, and by the person. */
	g_dbus_proxy_set_default_timeout(G_DBUS_PROXY(ctx->daemon), G_MAXINT);
	if (xd_xylemd1_get_protocol_version(ctx->daemon) != PROTOCOL_VERSION) {
		fail("xylemd speaks version %u of the protocol, this program %d",
		     xd_xylemd1_get_protocol_version(ctx->daemon), PROTOCOL_VERSION);
		g_clear_object(&ctx->daemon);
	}
	return ctx->daemon;
}

gboolean find_domain(struct context *ctx, const char *text, guint *domid)
{
	g_autoptr(GVariant) domains = NULL;
	guint64 number;
	gsize i;

	if (g_ascii_string_to_unsigned(text, 10, 0, XYL_DOMID_FIRST_RESERVED - 1, &number, NULL)) {
		*domid = (guint)number;
		return TRUE;
	}
	if (!list_domains(ctx, &domains))
		return FALSE;
	for (i = 0; i < g_variant_n_children(domains); i++) {
		g_autoptr(GVariant) domain = g_variant_get_child_value(domains, i);
		const char *name = "", *uuid = "", *state = "";

		g_variant_lookup(domain, "name", "&s", &name);
		g_variant_lookup(domain, "uuid", "&s", &uuid);
		g_variant_lookup(domain, "state", "&s", &state);
		if ((!strcmp(name, text) || !g_ascii_strcasecmp(uuid, text)) && strcmp(state, "dying"))
			return g_variant_lookup(domain, "domid", "u", domid);
	}
	fail("there is no domain \"%s\"", text);
	return FALSE;
}

gboolean find_guest(struct context *ctx, const char *text, const char **id, gboolean *ours)
{
	g_autoptr(GVariant) domains = NULL;
	guint64 number = G_MAXUINT64;
	gsize i;

	g_ascii_string_to_unsigned(text, 10, 0, XYL_DOMID_FIRST_RESERVED - 1, &number, NULL);
	if (!list_domains(ctx, &domains))
		return FALSE;
	for (i = 0; i < g_variant_n_children(domains); i++) {
		g_autoptr(GVariant) domain = g_variant_get_child_value(domains, i);
		const char *name = "", *uuid = "", *state = "", *owner = "";
		guint domid = 0;

		g_variant_lookup(domain, "name", "&s", &name);
		g_variant_lookup(domain, "uuid", "&s", &uuid);
		g_variant_lookup(domain, "state", "&s", &state);
		g_variant_lookup(domain, "owner", "&s", &owner);
		g_variant_lookup(domain, "domid", "u", &domid);
		if (number == G_MAXUINT64 ? (strcmp(name, text) && g_ascii_strcasecmp(uuid, text)) ||
		                                    !strcmp(state, "dying")
		                          : domid != number || (!domid && !strcmp(owner, "xylemd")))
			continue;
		g_free(ctx->id);
		ctx->id = !strcmp(owner, "xylemd") ? g_strdup(uuid) : g_strdup_printf("%u", domid);
		*id = ctx->id;
		if (ours)
			*ours = !strcmp(owner, "xylemd");
		return TRUE;
	}
	fail("there is no domain \"%s\"", text);
	return FALSE;
}

static int run_command(struct context *ctx, int argc, char **argv)
{
	guint i;

	for (i = 0; i < G_N_ELEMENTS(commands); i++) {
		const struct command *command = &commands[i];

		if (strcmp(command->name, argv[0]))
			continue;
		if (argc - 1 < command->min_args ||
		    (command->max_args >= 0 && argc - 1 > command->max_args)) {
			fprintf(stderr, "usage: xenctl %s %s\n", command->name, command->usage);
			return EXIT_USAGE;
		}
		return command->run(ctx, argc - 1, argv + 1);
	}
	fail("there is no command \"%s\"; xenctl --help lists them", argv[0]);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct context ctx = { .socket_path = "/run/xylem/xylemd.sock" };
	int result;

	setlocale(LC_ALL, "");
	argc--;
	argv++;
	if (argc && g_str_has_prefix(argv[0], "--socket=")) {
		ctx.socket_path = argv[0] + strlen("--socket=");
		argc--;
		argv++;
	}
	if (!argc)
		return usage(stderr);
	if (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"))
		return usage(stdout);
	if (!strcmp(argv[0], "--version")) {
		puts("xenctl (" PACKAGE_STRING ")");
		return 0;
	}
	result = run_command(&ctx, argc, argv);
	g_clear_object(&ctx.daemon);
	g_free(ctx.id);
	if (ctx.xen)
		xyl_close(ctx.xen);
	if (fflush(stdout) || ferror(stdout))
		result = fail("standard output: write error");
	return result;
}
