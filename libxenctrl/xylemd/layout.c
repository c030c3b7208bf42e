/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's xenstore nodes; see layout.h. */
#include "layout.h"

#include <string.h>

static void node_clear(gpointer data)
{
	struct layout_node *node = data;

	g_clear_pointer(&node->path, g_free);
	g_clear_pointer(&node->value, g_free);
}

GArray *layout_new(void)
{
	GArray *nodes = g_array_sized_new(FALSE, FALSE, sizeof(struct layout_node), 64);

	g_array_set_clear_func(nodes, node_clear);
	return nodes;
}

/* Takes the path and the value. */
static void add_taken(GArray *nodes, enum layout_perms perms, char *path, char *value)
{
	struct layout_node node = { .path = path, .value = value, .perms = perms };

	g_array_append_val(nodes, node);
}

static void add(GArray *nodes, enum layout_perms perms, const char *base, const char *leaf, const char *value)
{
	add_taken(nodes, perms, leaf ? g_strconcat(base, "/", leaf, NULL) : g_strdup(base), g_strdup(value));
}

static void add_number(GArray *nodes, const char *base, const char *leaf, guint64 value)
{
	add_taken(nodes, LAYOUT_INHERIT, g_strconcat(base, "/", leaf, NULL),
	          g_strdup_printf("%" G_GUINT64_FORMAT, value));
}

char *layout_frontend(uint32_t domid, const char *type, uint32_t devid)
{
	/* To the guest all disks are of one kind. */
	return g_strdup_printf("/local/domain/%u/device/%s/%u", domid, strcmp(type, "qdisk") ? type : "vbd",
	                       devid);
}

char *layout_backend(uint32_t domid, const char *type, uint32_t devid)
{
	return g_strdup_printf("/local/domain/0/backend/%s/%u/%u", type, domid, devid);
}

static void add_console(GArray *nodes, const char *base, const struct layout_ids *ids)
{
	add_number(nodes, base, "console/port", ids->console_port);
	add_number(nodes, base, "console/ring-ref", ids->console_mfn);
	add(nodes, LAYOUT_INHERIT, base, "console/limit", "1048576");
	add(nodes, LAYOUT_INHERIT, base, "console/type", "xenconsoled");
	add(nodes, LAYOUT_INHERIT, base, "console/output", "pty");
	add(nodes, LAYOUT_INHERIT, base, "console/tty", "");
}

void layout_add_guest(GArray *nodes, const struct guestconf *conf, uint32_t domid)
{
	/* What the guest itself may write, or acknowledge by removing. */
	static const char *const guest_owned[] = { "control/shutdown",
		                                   "control/feature-poweroff",
		                                   "control/feature-reboot",
		                                   "control/feature-suspend",
		                                   "control/sysrq",
		                                   "data",
		                                   "drivers",
		                                   "feature",
		                                   "attr",
		                                   "error",
		                                   "device/suspend/event-channel" };
	g_autofree char *base = g_strdup_printf("/local/domain/%u", domid);
	g_autofree char *vm = g_strconcat("/vm/", conf->uuid, NULL);
	guint i;

	add(nodes, LAYOUT_GUEST_READS, vm, NULL, "");
	add(nodes, LAYOUT_INHERIT, vm, "uuid", conf->uuid);
	add(nodes, LAYOUT_INHERIT, vm, "name", conf->name);

	add(nodes, LAYOUT_GUEST_READS, base, NULL, "");
	add(nodes, LAYOUT_INHERIT, base, "vm", vm);
	add(nodes, LAYOUT_INHERIT, base, "name", conf->name);
	add_number(nodes, base, "domid", domid);
	add(nodes, LAYOUT_INHERIT, base, "device", "");
	add(nodes, LAYOUT_INHERIT, base, "control/platform-feature-multiprocessor-suspend", "1");
	add(nodes, LAYOUT_INHERIT, base, "control/platform-feature-xs_reset_watches", "1");
	for (i = 0; i < G_N_ELEMENTS(guest_owned); i++)
		add(nodes, LAYOUT_GUEST_OWNS, base, guest_owned[i], "");
	for (i = 0; i < conf->max_vcpus; i++) {
		char leaf[40];

		g_snprintf(leaf, sizeof(leaf), "cpu/%u/availability", i);
		add(nodes, LAYOUT_INHERIT, base, leaf, i < conf->vcpus ? "online" : "offline");
	}
	add_number(nodes, base, "memory/static-max", conf->max_memory_kib);
	add_number(nodes, base, "memory/target", conf->memory_kib);
}

void layout_add_rings(GArray *nodes, const struct guestconf *conf, const struct layout_ids *ids)
{
	g_autofree char *base = g_strdup_printf("/local/domain/%u", ids->domid);

	add_number(nodes, base, "store/port", ids->store_port);
	add_number(nodes, base, "store/ring-ref", ids->store_mfn);
	if (conf->console)
		add_console(nodes, base, ids);
}

/* The two directories, pointing at each other, both in state Initialising. */
static void add_sides(GArray *nodes, uint32_t domid, const char *front, const char *back, const char *online)
{
	add(nodes, LAYOUT_FRONTEND, front, NULL, "");
	add(nodes, LAYOUT_INHERIT, front, "backend", back);
	add(nodes, LAYOUT_INHERIT, front, "backend-id", "0");
	add(nodes, LAYOUT_INHERIT, front, "state", "1");
	add(nodes, LAYOUT_GUEST_READS, back, NULL, "");
	add(nodes, LAYOUT_INHERIT, back, "frontend", front);
	add_number(nodes, back, "frontend-id", domid);
	add(nodes, LAYOUT_INHERIT, back, "online", online);
	add(nodes, LAYOUT_INHERIT, back, "state", "1");
}

static void add_pair(GArray *nodes, uint32_t domid, const char *front, const char *back)
{
	add_sides(nodes, domid, front, back, "1");
}

void layout_add_restored(GArray *nodes, uint32_t domid)
{
	g_autofree char *base = g_strdup_printf("/local/domain/%u", domid);

	add(nodes, LAYOUT_GUEST_OWNS, base, "control/feature-suspend", "1");
}

const char *layout_disk_type(const struct disk_conf *disk)
{
	return disk->format == DISK_RAW ? "vbd" : "qdisk";
}

void layout_add_disk(GArray *nodes, uint32_t domid, const struct disk_conf *disk, uint32_t major,
                     uint32_t minor)
{
	const char *type = layout_disk_type(disk), *device = disk->cdrom ? "cdrom" : "disk";
	g_autofree char *front = layout_frontend(domid, type, disk->devid);
	g_autofree char *back = layout_backend(domid, type, disk->devid);
	bool kernels = disk->format == DISK_RAW;

	/* What is online and new QEMU would make a disk of by itself, with whatever its image names behind it. */
	add_sides(nodes, domid, front, back, kernels ? "1" : "0");
	add_number(nodes, front, "virtual-device", disk->devid);
	/* This one is what blkback looks at. */
	add(nodes, LAYOUT_INHERIT, front, "device-type", device);
	add(nodes, LAYOUT_INHERIT, back, "removable", disk->cdrom ? "1" : "0");
	add(nodes, LAYOUT_INHERIT, back, "bootable", "1");
	add(nodes, LAYOUT_INHERIT, back, "dev", disk->vdev);
	add(nodes, LAYOUT_INHERIT, back, "type", kernels ? "phy" : type);
	add(nodes, LAYOUT_INHERIT, back, "device-type", device);
	add(nodes, LAYOUT_INHERIT, back, "mode", disk->readonly ? "r" : "w");
	add(nodes, LAYOUT_INHERIT, back, "discard-enable", disk->discard ? "1" : "0");
	if (!kernels) {
		add_taken(nodes, LAYOUT_INHERIT, g_strconcat(back, "/params", NULL),
		          g_strconcat(disk_format_name(disk->format), ":", disk->source, NULL));
		return;
	}
	add(nodes, LAYOUT_INHERIT, back, "params", disk->source);
	add_taken(nodes, LAYOUT_INHERIT, g_strconcat(back, "/physical-device", NULL),
	          g_strdup_printf("%x:%x", major, minor));
	add(nodes, LAYOUT_INHERIT, back, "hotplug-status", "connected");
}

void layout_add_nic(GArray *nodes, uint32_t domid, const struct nic_conf *nic, uint32_t devid, uint32_t mtu)
{
	g_autofree char *front = layout_frontend(domid, "vif", devid);
	g_autofree char *back = layout_backend(domid, "vif", devid);
	g_autofree char *ifname =
	        nic->ifname ? g_strdup(nic->ifname) : g_strdup_printf("vif%u.%u", domid, devid);

	add_pair(nodes, domid, front, back);
	add_number(nodes, front, "handle", devid);
	add(nodes, LAYOUT_INHERIT, front, "mac", nic->mac_text);
	if (mtu)
		add_number(nodes, front, "mtu", mtu);
	add_number(nodes, back, "handle", devid);
	add(nodes, LAYOUT_INHERIT, back, "type", "vif");
	add(nodes, LAYOUT_INHERIT, back, "mac", nic->mac_text);
	add(nodes, LAYOUT_INHERIT, back, "bridge", nic->bridge);
	add(nodes, LAYOUT_INHERIT, back, "vifname", ifname);
	/* netback does not start without one, which it would pass on to a hot-plug script. */
	add(nodes, LAYOUT_INHERIT, back, "script", "none");
	if (mtu)
		add_number(nodes, back, "mtu", mtu);
}

/* QEMU, which serves both, is told the rest by its arguments. */
void layout_add_screen(GArray *nodes, uint32_t domid)
{
	static const char *const types[] = { "vfb", "vkbd" };
	guint i;

	for (i = 0; i < G_N_ELEMENTS(types); i++) {
		g_autofree char *front = layout_frontend(domid, types[i], 0);
		g_autofree char *back = layout_backend(domid, types[i], 0);

		add_pair(nodes, domid, front, back);
	}
}

/* The guest sees what kind it is and, of a channel, its name. What xenconsoled goes by is the backend's part. */
void layout_add_console(GArray *nodes, uint32_t domid, const struct console_conf *console)
{
	static const char *const connections[] = { "pty", "file", "socket", "tcp" };
	g_autofree char *front = layout_frontend(domid, "console", console->number);
	g_autofree char *back = layout_backend(domid, "console", console->number);

	add_pair(nodes, domid, front, back);
	add(nodes, LAYOUT_INHERIT, front, "protocol", "vt100");
	add(nodes, LAYOUT_INHERIT, front, "limit", "1048576");
	add(nodes, LAYOUT_INHERIT, front, "type", "xenconsoled");
	add(nodes, LAYOUT_INHERIT, front, "output", connections[console->type]);
	add(nodes, LAYOUT_INHERIT, back, "protocol", "vt100");
	add(nodes, LAYOUT_INHERIT, back, "type", "xenconsoled");
	add(nodes, LAYOUT_INHERIT, back, "connection", connections[console->type]);
	if (console->path)
		add(nodes, LAYOUT_INHERIT, back, "path", console->path);
	if (console->host) {
		add(nodes, LAYOUT_INHERIT, back, "host", console->host);
		add_number(nodes, back, "service", console->port);
	}
	if (console->connects)
		add(nodes, LAYOUT_INHERIT, back, "mode", "connect");
	if (console->name) {
		add(nodes, LAYOUT_INHERIT, front, "name", console->name);
		add(nodes, LAYOUT_INHERIT, back, "name", console->name);
	}
}

char *layout_to_text(const GArray *nodes)
{
	static const char *const names[] = { "", " guest-reads", " guest-owns", " frontend" };
	GString *text = g_string_new(NULL);
	guint i;

	for (i = 0; i < nodes->len; i++) {
		const struct layout_node *node = &g_array_index(nodes, struct layout_node, i);

		g_string_append_printf(text, "%s = \"%s\"%s\n", node->path, node->value, names[node->perms]);
	}
	return g_string_free(text, FALSE);
}
