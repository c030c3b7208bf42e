/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands that need the hypervisor only; they work without xylemd when the domain is given as a number. */
#include "xenctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_info(struct context *ctx, int argc, char **argv)
{
	struct xyl_hostinfo host;
	struct xyl_version *version;
	enum xyl_scheduler scheduler;
	int result = 1;

	(void)argc;
	(void)argv;
	if (!context_xen(ctx))
		return 1;
	version = g_new0(struct xyl_version, 1);
	if (xyl_host_info(ctx->xen, &host) || xyl_host_version(ctx->xen, version) ||
	    xyl_scheduler_id(ctx->xen, &scheduler)) {
		fail("%s", xyl_error());
	} else {
		printf("version           %u.%u%s\n", version->major, version->minor, version->extra);
		printf("capabilities      %s\n", version->capabilities);
		printf("changeset         %s\n", version->changeset);
		printf("compiler          %s\n", version->compiler);
		printf("commandline       %s\n", version->commandline);
		printf("scheduler         %s\n", xyl_scheduler_name(scheduler));
		printf("cpus              %u\n", host.cpus);
		printf("threads_per_core  %u\n", host.threads_per_core);
		printf("cores_per_socket  %u\n", host.cores_per_socket);
		printf("nodes             %u\n", host.nodes);
		printf("cpu_khz           %u\n", host.cpu_khz);
		printf("memory_kib        %" G_GUINT64_FORMAT "\n", host.total_pages * 4);
		printf("free_kib          %" G_GUINT64_FORMAT "\n", host.free_pages * 4);
		printf("claimed_kib       %" G_GUINT64_FORMAT "\n", host.outstanding_pages * 4);
		printf("guests            %s%s\n", host.cap_pv ? "pv" : "", host.cap_hvm ? " hvm" : "");
		result = 0;
	}
	g_free(version);
	return result;
}

int cmd_dmesg(struct context *ctx, int argc, char **argv)
{
	gboolean clear = argc == 1 && !strcmp(argv[0], "-c");
	char buffer[16384];
	guint32 index = 0;
	int bytes;

	if (argc && !clear) {
		fprintf(stderr, "usage: xenctl dmesg [-c]\n");
		return EXIT_USAGE;
	}
	if (!context_xen(ctx))
		return 1;
	while ((bytes = xyl_console_read(ctx->xen, buffer, sizeof(buffer), false, &index)) > 0) {
		if (fwrite(buffer, 1, (size_t)bytes, stdout) != (size_t)bytes)
			return fail("standard output: write error");
	}
	if (bytes < 0 || (clear && xyl_console_read(ctx->xen, buffer, sizeof(buffer), true, NULL) < 0))
		return fail("%s", xyl_error());
	return 0;
}

/* 0-2,5 */
static char *map_text(const guint8 *map, guint cpus)
{
	GString *text = g_string_new(NULL);
	guint cpu, first;

	for (cpu = 0; cpu < cpus; cpu++) {
		if (!(map[cpu / 8] & 1u << cpu % 8))
			continue;
		first = cpu;
		while (cpu + 1 < cpus && (map[(cpu + 1) / 8] & 1u << (cpu + 1) % 8))
			cpu++;
		g_string_append_printf(text, first == cpu ? "%s%u" : "%s%u-%u", text->len ? "," : "", first,
		                       cpu);
	}
	return g_string_free(text, FALSE);
}

/* A bitmap for the host's CPUs; *bytes is its size. */
static guint8 *new_map(struct context *ctx, guint *cpus, gsize *bytes)
{
	struct xyl_hostinfo host;

	if (xyl_host_info(ctx->xen, &host)) {
		fail("%s", xyl_error());
		return NULL;
	}
	*cpus = host.max_cpu_id + 1;
	*bytes = (*cpus + 7) / 8;
	return g_malloc0(*bytes);
}

static int list_vcpus(struct context *ctx, guint domid, guint count)
{
	g_autofree guint8 *map = NULL;
	gsize bytes;
	guint cpus, i;

	map = new_map(ctx, &cpus, &bytes);
	if (!map)
		return 1;
	for (i = 0; i < count; i++) {
		g_autofree char *text = NULL;
		struct xyl_vcpuinfo info;

		if (xyl_vcpu_info(ctx->xen, domid, i, &info) ||
		    xyl_vcpu_get_affinity(ctx->xen, domid, i, map, NULL, bytes))
			return fail("%s", xyl_error());
		text = map_text(map, cpus);
		printf("%5u %5u %5u %-8s %12.1f  %s\n", domid, i, info.cpu,
		       !info.online   ? "offline"
		       : info.running ? "running"
		       : info.blocked ? "blocked"
		                      : "ready",
		       (double)info.cpu_time_ns / 1e9, text);
	}
	return 0;
}

int cmd_vcpu_list(struct context *ctx, int argc, char **argv)
{
	struct xyl_dominfo *domains = NULL;
	guint only = 0;
	int count, i, result = 0;

	if (!context_xen(ctx) || (argc && !find_domain(ctx, argv[0], &only)))
		return 1;
	count = xyl_domain_list_all(ctx->xen, &domains);
	if (count < 0)
		return fail("%s", xyl_error());
	printf("%5s %5s %5s %-8s %12s  %s\n", "ID", "VCPU", "CPU", "State", "Time (s)", "Affinity");
	for (i = 0; i < count && !result; i++) {
		if (!argc || domains[i].domid == only)
			result = list_vcpus(ctx, domains[i].domid, domains[i].max_vcpus);
	}
	free(domains);
	return result;
}

static gboolean parse_map(const char *text, guint8 *map, guint cpus)
{
	g_auto(GStrv) parts = g_strsplit(text, ",", 0);
	guint i;

	for (i = 0; parts[i]; i++) {
		g_auto(GStrv) ends = g_strsplit(parts[i], "-", 2);
		guint64 first, last, cpu;

		if (!ends[0] || !g_ascii_string_to_unsigned(ends[0], 10, 0, cpus - 1, &first, NULL))
			return FALSE;
		last = first;
		if (ends[1] && !g_ascii_string_to_unsigned(ends[1], 10, first, cpus - 1, &last, NULL))
			return FALSE;
		for (cpu = first; cpu <= last; cpu++)
			map[cpu / 8] |= (guint8)(1u << cpu % 8);
	}
	return i > 0;
}

/* By xylemd for its own guests, so that it holds after their restart. */
static int set_affinity(struct context *ctx, const char *domain, guint domid, guint vcpu, const guint8 *map,
                        gsize bytes)
{
	GError *error = NULL;
	const char *id;
	gboolean ours;

	if (!find_guest(ctx, domain, &id, &ours))
		return 1;
	if (!ours)
		return xyl_vcpu_set_affinity(ctx->xen, domid, vcpu, map, NULL, bytes)
		               ? fail("%s", xyl_error())
		               : 0;
	if (!xd_xylemd1_call_set_affinity_sync(ctx->daemon, id, vcpu,
	                                       g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, map, bytes, 1),
	                                       NULL, &error))
		return fail_error(error);
	return 0;
}

static int set_scheduler(struct context *ctx, const char *domain, guint domid, const struct xyl_sched *params)
{
	GVariantBuilder dict;
	GError *error = NULL;
	const char *id;
	gboolean ours;

	if (!find_guest(ctx, domain, &id, &ours))
		return 1;
	if (!ours)
		return xyl_sched_set(ctx->xen, domid, params) ? fail("%s", xyl_error()) : 0;
	g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&dict, "{sv}", "weight", g_variant_new_uint32(params->weight));
	g_variant_builder_add(&dict, "{sv}", "cap", g_variant_new_uint32(params->cap));
	if (!xd_xylemd1_call_set_scheduler_sync(ctx->daemon, id, g_variant_builder_end(&dict), NULL, &error))
		return fail_error(error);
	return 0;
}

int cmd_pin(struct context *ctx, int argc, char **argv)
{
	g_autofree guint8 *map = NULL;
	guint64 vcpu;
	guint domid, cpus;
	gsize bytes;

	(void)argc;
	if (!find_domain(ctx, argv[0], &domid) || !context_xen(ctx))
		return 1;
	map = new_map(ctx, &cpus, &bytes);
	if (!map)
		return 1;
	if (!g_ascii_string_to_unsigned(argv[1], 10, 0, G_MAXUINT32, &vcpu, NULL))
		return fail("\"%s\" is no vcpu's number", argv[1]);
	if (!strcmp(argv[2], "all"))
		memset(map, 0xff, bytes);
	else if (!parse_map(argv[2], map, cpus))
		return fail("\"%s\": CPUs are given like 0-2,5 and end at %u", argv[2], cpus - 1);
	return set_affinity(ctx, argv[0], domid, (guint)vcpu, map, bytes);
}

int cmd_sched(struct context *ctx, int argc, char **argv)
{
	struct xyl_sched params;
	guint64 number;
	guint domid;

	if (!find_domain(ctx, argv[0], &domid) || !context_xen(ctx))
		return 1;
	if (xyl_sched_get(ctx->xen, domid, &params))
		return fail("%s", xyl_error());
	if (argc == 1) {
		printf("weight %u cap %u\n", params.weight, params.cap);
		return 0;
	}
	if (!g_ascii_string_to_unsigned(argv[1], 10, 1, 65535, &number, NULL))
		return fail("weight \"%s\" is outside 1..65535", argv[1]);
	params.weight = (guint32)number;
	if (argc == 3) {
		if (!g_ascii_string_to_unsigned(argv[2], 10, 0, 100000, &number, NULL))
			return fail("cap \"%s\" is no percentage", argv[2]);
		params.cap = (guint32)number;
	}
	return set_scheduler(ctx, argv[0], domid, &params);
}

int cmd_debug_keys(struct context *ctx, int argc, char **argv)
{
	(void)argc;
	if (!context_xen(ctx))
		return 1;
	return xyl_debug_keys(ctx->xen, argv[0]) ? fail("%s", xyl_error()) : 0;
}
