/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands that xylemd carries out. */
#include "xenctl.h"

#include <glib-unix.h>
#include <stdio.h>
#include <string.h>

int cmd_list(struct context *ctx, int argc, char **argv)
{
	g_autoptr(GVariant) domains = NULL;
	GError *error = NULL;
	gsize i;

	(void)argc;
	(void)argv;
	if (!context_daemon(ctx))
		return 1;
	if (!xd_xylemd1_call_list_sync(ctx->daemon, &domains, NULL, &error))
		return fail_error(error);
	printf("%-24s %5s %11s %5s %-9s %10s  %s\n", "Name", "ID", "Mem (KiB)", "Vcpus", "State", "Time (s)",
	       "Owner");
	for (i = 0; i < g_variant_n_children(domains); i++) {
		g_autoptr(GVariant) domain = g_variant_get_child_value(domains, i);
		const char *name = "", *state = "", *owner = "";
		guint domid = 0, vcpus = 0;
		guint64 memory = 0, time_ns = 0;

		g_variant_lookup(domain, "name", "&s", &name);
		g_variant_lookup(domain, "state", "&s", &state);
		g_variant_lookup(domain, "owner", "&s", &owner);
		g_variant_lookup(domain, "domid", "u", &domid);
		g_variant_lookup(domain, "vcpus", "u", &vcpus);
		g_variant_lookup(domain, "memory_kib", "t", &memory);
		g_variant_lookup(domain, "cpu_time_ns", "t", &time_ns);
		printf("%-24s %5u %11" G_GUINT64_FORMAT " %5u %-9s %10.1f  %s\n", name, domid, memory, vcpus,
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
	guint domid;

	(void)argc;
	if (!find_domain(ctx, argv[0], &domid) || !context_daemon(ctx))
		return 1;
	if (!xd_xylemd1_call_get_sync(ctx->daemon, domid, &domain, NULL, &error))
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
	if (!xd_xylemd1_call_create_sync(ctx->daemon, guest, paused ? 1 : 0, &domid, NULL, &error))
		return fail_error(error);
	printf("%u\n", domid);
	return 0;
}

int cmd_destroy(struct context *ctx, int argc, char **argv)
{
	GError *error = NULL;
	guint domid;

	(void)argc;
	if (!find_domain(ctx, argv[0], &domid) || !context_daemon(ctx))
		return 1;
	if (!xd_xylemd1_call_destroy_sync(ctx->daemon, domid, NULL, &error))
		return fail_error(error);
	return 0;
}

static int ask_guest(struct context *ctx, const char *domain, const char *mode)
{
	GError *error = NULL;
	guint domid;

	if (!find_domain(ctx, domain, &domid) || !context_daemon(ctx))
		return 1;
	if (!xd_xylemd1_call_shutdown_sync(ctx->daemon, domid, mode, NULL, &error))
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
	GError *error = NULL;
	guint domid;

	device = device_from_words(argv[1], argv + 2, argc - 2, &error);
	if (!device)
		return fail_error(error);
	if (!find_domain(ctx, argv[0], &domid) || !context_daemon(ctx))
		return 1;
	if (!xd_xylemd1_call_attach_device_sync(ctx->daemon, domid, device, NULL, &error))
		return fail_error(error);
	return 0;
}

int cmd_detach(struct context *ctx, int argc, char **argv)
{
	gboolean force = argc == 4 && !strcmp(argv[0], "-f"), disk;
	GVariantBuilder dict;
	GError *error = NULL;
	guint domid;

	if (argc == 4 && !force) {
		fprintf(stderr, "usage: xenctl detach [-f] DOMAIN disk|nic VDEV|MAC\n");
		return EXIT_USAGE;
	}
	argv += force;
	disk = !strcmp(argv[1], "disk");
	if (!disk && strcmp(argv[1], "nic"))
		return fail("\"%s\" is neither disk nor nic", argv[1]);
	if (!find_domain(ctx, argv[0], &domid) || !context_daemon(ctx))
		return 1;
	g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&dict, "{sv}", "class", g_variant_new_string(argv[1]));
	g_variant_builder_add(&dict, "{sv}", disk ? "vdev" : "mac", g_variant_new_string(argv[2]));
	g_variant_builder_add(&dict, "{sv}", "force", g_variant_new_boolean(force));
	if (!xd_xylemd1_call_detach_device_sync(ctx->daemon, domid, g_variant_builder_end(&dict), NULL,
	                                        &error))
		return fail_error(error);
	return 0;
}

int cmd_memory(struct context *ctx, int argc, char **argv)
{
	GError *error = NULL;
	guint64 kib;
	guint domid;

	(void)argc;
	if (!g_ascii_string_to_unsigned(argv[1], 10, 0, G_MAXUINT64, &kib, &error))
		return fail_error(error);
	if (!find_domain(ctx, argv[0], &domid) || !context_daemon(ctx))
		return 1;
	if (!xd_xylemd1_call_set_memory_sync(ctx->daemon, domid, kib, NULL, &error))
		return fail_error(error);
	return 0;
}

int cmd_vcpus(struct context *ctx, int argc, char **argv)
{
	GError *error = NULL;
	guint64 count;
	guint domid;

	(void)argc;
	if (!g_ascii_string_to_unsigned(argv[1], 10, 0, G_MAXUINT32, &count, &error))
		return fail_error(error);
	if (!find_domain(ctx, argv[0], &domid) || !context_daemon(ctx))
		return 1;
	if (!xd_xylemd1_call_set_vcpus_sync(ctx->daemon, domid, (guint)count, NULL, &error))
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
