/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images of disks in a guest's QEMU; see screen.h.
 *
 * Each is a node of QEMU's block layer and a device of Xen's, both named by the virtual device's number. The store says
 * nothing from which QEMU would make one by itself.
 */
#include "screen.h"

#include <string.h>

#include "error.h"

#define OPEN_MS   60000 /* the disk below may be slow */
#define CLOSE_MS  60000
#define LOOK_MS   20
#define FDSET_MIN 16

static char *node_name(uint32_t devid)
{
	return g_strdup_printf("image%u", devid);
}

static JsonObject *cache_of(const struct screen_image *image)
{
	JsonObject *cache = json_object_new();

	json_object_set_boolean_member(cache, "direct", image->direct);
	return cache;
}

static void add_common(JsonObject *layer, const struct screen_image *image)
{
	json_object_set_boolean_member(layer, "read-only", image->readonly);
	json_object_set_string_member(layer, "discard", image->discard ? "unmap" : "ignore");
	json_object_set_object_member(layer, "cache", cache_of(image));
}

static JsonObject *node_of(const struct screen_image *image, int set)
{
	JsonObject *node = json_object_new(), *file = json_object_new();
	g_autofree char *name = node_name(image->devid);
	g_autofree char *path = g_strdup_printf("/dev/fdset/%d", set);

	json_object_set_string_member(file, "driver", image->block ? "host_device" : "file");
	json_object_set_string_member(file, "filename", path);
	add_common(file, image);
	json_object_set_string_member(node, "driver", disk_format_name(image->format));
	json_object_set_string_member(node, "node-name", name);
	/* Whatever the image says. */
	json_object_set_null_member(node, "backing");
	add_common(node, image);
	json_object_set_object_member(node, "file", file);
	return node;
}

static JsonObject *device_of(const struct screen_image *image)
{
	JsonObject *device = json_object_new();
	g_autofree char *name = node_name(image->devid);
	g_autofree char *id = g_strdup_printf("vbd%u", image->devid);

	json_object_set_string_member(device, "driver", image->cdrom ? "xen-cdrom" : "xen-disk");
	json_object_set_string_member(device, "id", id);
	json_object_set_string_member(device, "vdev", image->vdev);
	json_object_set_string_member(device, "drive", name);
	return device;
}

static JsonObject *named(const char *key, const char *value)
{
	JsonObject *made = json_object_new();

	json_object_set_string_member(made, key, value);
	return made;
}

static JsonObject *numbered(const char *key, int value)
{
	JsonObject *made = json_object_new();

	json_object_set_int_member(made, key, value);
	return made;
}

bool screen_image_add(struct screen *screen, const struct screen_image *image, const gint *cancelled,
                      GError **error)
{
	g_autofree char *name = node_name(image->devid);
	/* Virtual devices' numbers have 29 bits. The set goes when the image is closed, or with the connection. */
	int set = FDSET_MIN + (int)image->devid;
	struct qmp *qmp;
	bool opened, ok;

	if (!screen_lift_limit(screen, error))
		return false;
	qmp = screen_talk(screen, OPEN_MS, cancelled, error);
	if (!qmp)
		return false;
	opened = qmp_call(qmp, "add-fd", numbered("fdset-id", set), image->fd, NULL, error) &&
	         qmp_call(qmp, "blockdev-add", node_of(image, set), -1, NULL, error);
	ok = opened && qmp_call(qmp, "device_add", device_of(image), -1, NULL, error);
	if (opened && !ok)
		(void)qmp_call(qmp, "blockdev-del", named("node-name", name), -1, NULL, NULL);
	qmp_close(qmp);
	return ok;
}

bool screen_image_remove(struct screen *screen, uint32_t devid, const gint *cancelled, GError **error)
{
	gint64 deadline = g_get_monotonic_time() + (gint64)CLOSE_MS * 1000;
	g_autofree char *name = node_name(devid);
	struct qmp *qmp = screen_talk(screen, CLOSE_MS, cancelled, error);
	bool ok = false;

	/* The device lets go of it a moment after its frontend has. */
	while (qmp && !ok) {
		g_autoptr(GError) local = NULL;

		ok = qmp_call(qmp, "blockdev-del", named("node-name", name), -1, NULL, &local) ||
		     strstr(screen_reason(screen, local), "Failed to find node");
		if (ok)
			break;
		if ((!strstr(screen_reason(screen, local), "is busy") &&
		     !strstr(screen_reason(screen, local), "in use") &&
		     !strstr(screen_reason(screen, local), "is being used")) ||
		    g_get_monotonic_time() >= deadline) {
			g_propagate_error(error, g_steal_pointer(&local));
			break;
		}
		g_usleep(LOOK_MS * 1000);
	}
	qmp_close(qmp);
	return ok;
}

bool screen_image_resize(struct screen *screen, uint32_t devid, uint64_t bytes, const gint *cancelled,
                         GError **error)
{
	g_autofree char *name = node_name(devid);
	struct qmp *qmp = screen_talk(screen, OPEN_MS, cancelled, error);
	JsonObject *size;
	bool ok;

	if (!qmp)
		return false;
	size = named("node-name", name);
	json_object_set_int_member(size, "size", (gint64)bytes);
	ok = qmp_call(qmp, "block_resize", size, -1, NULL, error);
	qmp_close(qmp);
	return ok;
}

bool screen_settle(struct screen *screen, const gint *cancelled, GError **error)
{
	struct qmp *qmp = screen_talk(screen, CLOSE_MS, cancelled, error);
	bool ok;

	if (!qmp)
		return false;
	/* What stops it has it write all; there is nothing else in it that could stop. */
	ok = qmp_call(qmp, "stop", NULL, -1, NULL, error) && qmp_call(qmp, "cont", NULL, -1, NULL, error);
	qmp_close(qmp);
	return ok;
}
