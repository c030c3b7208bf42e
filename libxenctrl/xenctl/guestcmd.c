/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands that xylemd carries out. */
#include "xenctl.h"
#include "guestfile.h"

#include <glib-unix.h>
#include <stdio.h>
#include <string.h>

int cmd_list(struct context *ctx, int argc, char **argv)
{
	g_autoptr(GVariant) domains = NULL;
	gsize i;

	(void)argc;
	(void)argv;
	if (!list_domains(ctx, &domains))
		return 1;
	printf("%-24s %5s %11s %5s %-9s %10s  %s\n", "Name", "ID", "Mem (KiB)", "Vcpus", "State", "Time (s)",
	       "Owner");
	for (i = 0; i < g_variant_n_children(domains); i++) {
		g_autoptr(GVariant) domain = g_variant_get_child_value(domains, i);
		const char *name = "", *state = "", *owner = "";
		guint domid = 0, vcpus = 0;
		guint64 memory = 0, time_ns = 0;
		char number[12];

		g_variant_lookup(domain, "name", "&s", &name);
		g_variant_lookup(domain, "state", "&s", &state);
		g_variant_lookup(domain, "owner", "&s", &owner);
		g_variant_lookup(domain, "domid", "u", &domid);
		g_variant_lookup(domain, "vcpus", "u", &vcpus);
		g_variant_lookup(domain, "memory_kib", "t", &memory);
		g_variant_lookup(domain, "cpu_time_ns", "t", &time_ns);
		/* A guest of xylemd's may be between two domains. */
		if (domid || strcmp(owner, "xylemd"))
			g_snprintf(number, sizeof(number), "%u", domid);
		else
			strcpy(number, "-");
		printf("%-24s %5s %11" G_GUINT64_FORMAT " %5u %-9s %10.1f  %s\n", name, number, memory, vcpus,
		       state, (double)time_ns / 1e9, owner);
	}
	return 0;
}

static void print_dict(GVariant *dict, int depth)
{
	GVariantIter iter;
	const char *key;
	GVariant *value;

	g_variant_iter_init(&iter, dict);
	while (g_variant_iter_next(&iter, "{&sv}", &key, &value)) {
		g_autoptr(GVariant) held = value;
		g_autofree char *text = NULL;
		gsize i;

		if (g_variant_is_of_type(held, G_VARIANT_TYPE_VARDICT)) {
			printf("%*s%s:\n", depth, "", key);
			print_dict(held, depth + 2);
		} else if (g_variant_is_of_type(held, G_VARIANT_TYPE("aa{sv}"))) {
			for (i = 0; i < g_variant_n_children(held); i++) {
				g_autoptr(GVariant) child = g_variant_get_child_value(held, i);

				printf("%*s%s %u:\n", depth, "", key, (guint)i);
				print_dict(child, depth + 2);
			}
		} else {
			text = g_variant_is_of_type(held, G_VARIANT_TYPE_STRING)
			               ? g_variant_dup_string(held, NULL)
			               : g_variant_print(held, FALSE);
			printf("%*s%s = %s\n", depth, "", key, text);
		}
	}
}

int cmd_get(struct context *ctx, int argc, char **argv)
{
	g_autoptr(GVariant) domain = NULL;
	GError *error = NULL;
	const char *id;

	(void)argc;
	if (!find_guest(ctx, argv[0], &id, NULL))
		return 1;
	if (!xd_xylemd1_call_get_sync(ctx->daemon, id, &domain, NULL, &error))
		return fail_error(error);
	print_dict(domain, 0);
	return 0;
}

int cmd_create(struct context *ctx, int argc, char **argv)
{
	gboolean paused = argc == 2 && !strcmp(argv[0], "-p");
	g_autoptr(GVariant) guest = NULL;
	GError *error = NULL;
	guint domid;

	if (argc == 2 && !paused) {
		fprintf(stderr, "usage: xenctl create [-p] FILE\n");
		return EXIT_USAGE;
	}
	guest = guestfile_read(argv[argc - 1], &error);
	if (!guest)
		return fail_error(error);
	if (!context_daemon(ctx))
		return 1;
	if (!xd_xylemd1_call_create_sync(ctx->daemon, guest, paused ? 1 : 0, &domid, NULL, NULL, &error))
		return fail_error(error);
	printf("%u\n", domid);
	return 0;
}

int cmd_destroy(struct context *ctx, int argc, char **argv)
{
	GError *error = NULL;
	const char *id;

	(void)argc;
	if (!find_guest(ctx, argv[0], &id, NULL))
		return 1;
	if (!xd_xylemd1_call_destroy_sync(ctx->daemon, id, NULL, &error))
		return fail_error(error);
	return 0;
}

static int ask_guest(struct context *ctx, const char *domain, const char *mode)
{
	GError *error = NULL;
	const char *id;

	if (!find_guest(ctx, domain, &id, NULL))
		return 1;
	if (!xd_xylemd1_call_shutdown_sync(ctx->daemon, id, mode, NULL, &error))
		return fail_error(error);
	return 0;
}

int cmd_shutdown(struct context *ctx, int argc, char **argv)
{
	(void)argc;
	return ask_guest(ctx, argv[0], "poweroff");
}

int cmd_reboot(struct context *ctx, int argc, char **argv)
{
	(void)argc;
	return ask_guest(ctx, argv[0], "reboot");
}

int cmd_attach(struct context *ctx, int argc, char **argv)
{
	g_autoptr(GVariant) device = NULL;
	g_autoptr(GVariant) made = NULL;
	GError *error = NULL;
	const char *id;

	device = device_from_words(argv[1], argv + 2, argc - 2, &error);
	if (!device)
		return fail_error(error);
	if (!find_guest(ctx, argv[0], &id, NULL))
		return 1;
	if (!xd_xylemd1_call_attach_device_sync(ctx->daemon, id, device, &made, NULL, &error))
		return fail_error(error);
	print_dict(made, 0);
	return 0;
}

int cmd_detach(struct context *ctx, int argc, char **argv)
{
	gboolean force = argc == 4 && !strcmp(argv[0], "-f"), disk;
	GVariantBuilder dict;
	GError *error = NULL;
	const char *id;

	if (argc == 4 && !force) {
		fprintf(stderr, "usage: xenctl detach [-f] DOMAIN disk|nic VDEV|MAC\n");
		return EXIT_USAGE;
	}
	argv += force;
	disk = !strcmp(argv[1], "disk");
	if (!disk && strcmp(argv[1], "nic"))
		return fail("\"%s\" is neither disk nor nic", argv[1]);
	if (!find_guest(ctx, argv[0], &id, NULL))
		return 1;
	g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&dict, "{sv}", "class", g_variant_new_string(argv[1]));
	g_variant_builder_add(&dict, "{sv}", disk ? "vdev" : "mac", g_variant_new_string(argv[2]));
	g_variant_builder_add(&dict, "{sv}", "force", g_variant_new_boolean(force));
	if (!xd_xylemd1_call_detach_device_sync(ctx->daemon, id, g_variant_builder_end(&dict), NULL, &error))
		return fail_error(error);
	return 0;
}

int cmd_memory(struct context *ctx, int argc, char **argv)
{
	GError *error = NULL;
	guint64 kib;
	const char *id;

	(void)argc;
	if (!g_ascii_string_to_unsigned(argv[1], 10, 0, G_MAXUINT64, &kib, &error))
		return fail_error(error);
	if (!find_guest(ctx, argv[0], &id, NULL))
		return 1;
	if (!xd_xylemd1_call_set_memory_sync(ctx->daemon, id, kib, NULL, &error))
		return fail_error(error);
	return 0;
}

int cmd_vcpus(struct context *ctx, int argc, char **argv)
{
	GError *error = NULL;
	guint64 count;
	const char *id;

	(void)argc;
	if (!g_ascii_string_to_unsigned(argv[1], 10, 0, G_MAXUINT32, &count, &error))
		return fail_error(error);
	if (!find_guest(ctx, argv[0], &id, NULL))
		return 1;
	if (!xd_xylemd1_call_set_vcpus_sync(ctx->daemon, id, (guint)count, NULL, &error))
		return fail_error(error);
	return 0;
}

static int set_paused(struct context *ctx, const char *domain, gboolean paused)
{
	GError *error = NULL;
	const char *id;

	if (!find_guest(ctx, domain, &id, NULL))
		return 1;
	if (!(paused ? xd_xylemd1_call_pause_sync(ctx->daemon, id, NULL, &error)
	             : xd_xylemd1_call_unpause_sync(ctx->daemon, id, NULL, &error)))
		return fail_error(error);
	return 0;
}

int cmd_pause(struct context *ctx, int argc, char **argv)
{
	(void)argc;
	return set_paused(ctx, argv[0], TRUE);
}

int cmd_unpause(struct context *ctx, int argc, char **argv)
{
	(void)argc;
	return set_paused(ctx, argv[0], FALSE);
}

int cmd_link(struct context *ctx, int argc, char **argv)
{
	gboolean up = !strcmp(argv[2], "up");
	GError *error = NULL;
	const char *id;

	(void)argc;
	if (!up && strcmp(argv[2], "down"))
		return fail("\"%s\" is neither up nor down", argv[2]);
	if (!find_guest(ctx, argv[0], &id, NULL))
		return 1;
	if (!xd_xylemd1_call_set_link_sync(ctx->daemon, id, argv[1], up, NULL, &error))
		return fail_error(error);
	return 0;
}

static void print_event(XdXylemd1 *daemon, guint domid, const char *uuid, const char *name, const char *event,
                        const char *detail, gpointer data)
{
	(void)daemon;
	(void)data;
	printf("%u %s %s %s%s%s\n", domid, uuid, event, *detail ? detail : "-", *name ? " " : "", name);
	fflush(stdout);
}

static void connection_closed(GDBusConnection *connection, gboolean vanished, GError *error, gpointer data)
{
	(void)connection;
	(void)vanished;
	(void)error;
	g_main_loop_quit(data);
}

int cmd_events(struct context *ctx, int argc, char **argv)
{
	g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);

	(void)argc;
	(void)argv;
	if (!context_daemon(ctx))
		return 1;
	g_signal_connect(ctx->daemon, "domain-event", G_CALLBACK(print_event), NULL);
	g_signal_connect(g_dbus_proxy_get_connection(G_DBUS_PROXY(ctx->daemon)), "closed",
	                 G_CALLBACK(connection_closed), loop);
	g_main_loop_run(loop);
	return fail("xylemd ended the connection");
}
