/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images of disks in a guest's QEMU; see screen.h.
 *
 * Each is a node of QEMU's block layer and a device of Xen's, both named by the virtual device's number. The node that has the
 * name passes on to the image below it what the limits of an object of its own let through, and is there without limits too, since
 * none can be put in while the device uses it. The store says nothing from which QEMU would make one by itself.
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

static char *limits_name(uint32_t devid)
{
	return g_strdup_printf("limits%u", devid);
}

/* All of them: those that are not named would stay as they are. */
static JsonObject *limits_of(const struct io_limits *limits)
{
	static const char *const rates[IO_RATES] = { "bps-total",  "bps-read",  "bps-write",
		                                     "iops-total", "iops-read", "iops-write" };
	JsonObject *made = json_object_new();
	unsigned int i;

	for (i = 0; i < IO_RATES; i++) {
		g_autofree char *burst = g_strconcat(rates[i], "-max", NULL);
		g_autofree char *seconds = g_strconcat(burst, "-length", NULL);

		json_object_set_int_member(made, rates[i], (gint64)limits->value[IO_RATE + i]);
		json_object_set_int_member(made, burst, (gint64)limits->value[IO_BURST + i]);
		json_object_set_int_member(made, seconds, (gint64)MAX(limits->value[IO_SECONDS + i], 1));
	}
	json_object_set_int_member(made, "iops-size", (gint64)limits->value[IO_SIZE]);
	return made;
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
	JsonObject *node = json_object_new(), *format = json_object_new(), *file = json_object_new();
	g_autofree char *name = node_name(image->devid);
	g_autofree char *limits = limits_name(image->devid);
	g_autofree char *path = g_strdup_printf("/dev/fdset/%d", set);

	json_object_set_string_member(file, "driver", image->block ? "host_device" : "file");
	json_object_set_string_member(file, "filename", path);
	add_common(file, image);
	json_object_set_string_member(format, "driver", disk_format_name(image->format));
	/* Whatever the image says. */
	json_object_set_null_member(format, "backing");
	add_common(format, image);
	json_object_set_object_member(format, "file", file);
	json_object_set_string_member(node, "driver", "throttle");
	json_object_set_string_member(node, "node-name", name);
	json_object_set_string_member(node, "throttle-group", limits);
	add_common(node, image);
	json_object_set_object_member(node, "file", format);
	return node;
}

static JsonObject *group_of(const struct screen_image *image)
{
	JsonObject *group = json_object_new();
	g_autofree char *name = limits_name(image->devid);

	json_object_set_string_member(group, "qom-type", "throttle-group");
	json_object_set_string_member(group, "id", name);
	json_object_set_object_member(group, "limits", limits_of(&image->limits));
	return group;
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

static bool open_image(struct qmp *qmp, const struct screen_image *image, GError **error)
{
	g_autofree char *limits = limits_name(image->devid);
	/* Virtual devices' numbers have 29 bits. The set goes when the image is closed, or with the connection. */
	int set = FDSET_MIN + (int)image->devid;

	if (!qmp_call(qmp, "add-fd", numbered("fdset-id", set), image->fd, NULL, error) ||
	    !qmp_call(qmp, "object-add", group_of(image), -1, NULL, error))
		return false;
	if (qmp_call(qmp, "blockdev-add", node_of(image, set), -1, NULL, error))
		return true;
	(void)qmp_call(qmp, "object-del", named("id", limits), -1, NULL, NULL);
	return false;
}

/* False, with an error, also when it is used yet. */
static bool close_image(struct screen *screen, struct qmp *qmp, uint32_t devid, GError **error)
{
	g_autofree char *name = node_name(devid);
	g_autofree char *limits = limits_name(devid);
	g_autoptr(GError) local = NULL;
	bool ok;

	ok = qmp_call(qmp, "blockdev-del", named("node-name", name), -1, NULL, &local) ||
	     strstr(screen_reason(screen, local), "Failed to find node");
	if (ok) {
		g_clear_error(&local);
		ok = qmp_call(qmp, "object-del", named("id", limits), -1, NULL, &local) ||
		     strstr(screen_reason(screen, local), "not found");
	}
	if (!ok)
		g_propagate_error(error, g_steal_pointer(&local));
	return ok;
}

bool screen_image_add(struct screen *screen, const struct screen_image *image, const gint *cancelled,
                      GError **error)
{
	struct qmp *qmp;
	bool opened, ok;

	if (!screen_lift_limit(screen, error))
		return false;
	qmp = screen_talk(screen, OPEN_MS, cancelled, error);
	if (!qmp)
		return false;
	opened = open_image(qmp, image, error);
	ok = opened && qmp_call(qmp, "device_add", device_of(image), -1, NULL, error);
	if (opened && !ok)
		(void)close_image(screen, qmp, image->devid, NULL);
	qmp_close(qmp);
	return ok;
}

bool screen_image_remove(struct screen *screen, uint32_t devid, const gint *cancelled, GError **error)
{
	gint64 deadline = g_get_monotonic_time() + (gint64)CLOSE_MS * 1000;
	struct qmp *qmp = screen_talk(screen, CLOSE_MS, cancelled, error);
	bool ok = false;

	/* The device lets go of it a moment after its frontend has. */
	while (qmp && !ok) {
		g_autoptr(GError) local = NULL;

		ok = close_image(screen, qmp, devid, &local);
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

bool screen_image_limit(struct screen *screen, uint32_t devid, const struct io_limits *limits,
                        const gint *cancelled, GError **error)
{
	g_autofree char *name = limits_name(devid);
	g_autofree char *path = g_strconcat("/objects/", name, NULL);
	struct qmp *qmp = screen_talk(screen, QMP_WAIT_MS, cancelled, error);
	JsonObject *property;
	bool ok;

	if (!qmp)
		return false;
	property = named("path", path);
	json_object_set_string_member(property, "property", "limits");
	json_object_set_object_member(property, "value", limits_of(limits));
	ok = qmp_call(qmp, "qom-set", property, -1, NULL, error);
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
