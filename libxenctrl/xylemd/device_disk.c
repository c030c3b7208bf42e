/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disks as a class of devices (device.h). What a disk is by itself, without a guest: disk.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "device.h"
#include "disk.h"
#include "error.h"
#include "layout.h"
#include "storeio.h"

static GVariant *describe_disk(const struct disk_conf *conf, const struct disk *disk)
{
	bool gone = conf->format != DISK_RAW && !disk_is_served(disk);
	g_autofree char *path = gone ? g_strdup("") : disk_path(disk, conf);
	GVariantBuilder b;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "class", g_variant_new_string("disk"));
	g_variant_builder_add(&b, "{sv}", "vdev", g_variant_new_string(conf->vdev));
	g_variant_builder_add(&b, "{sv}", "devid", g_variant_new_uint32(conf->devid));
	g_variant_builder_add(&b, "{sv}", "device", g_variant_new_string(path));
	if (conf->format != DISK_RAW)
		g_variant_builder_add(&b, "{sv}", "format",
		                      g_variant_new_string(disk_format_name(conf->format)));
	return g_variant_builder_end(&b);
}

static void list_disks(const struct guest *guest, GVariantBuilder *list)
{
	const struct guestconf *conf = guest->journal->conf;
	guint i;

	/* Of a guest whose disks are not open yet there is nothing to tell. */
	for (i = 0; i < conf->disks->len && i < guest->disks->len; i++) {
		if (g_ptr_array_index(guest->disks, i))
			g_variant_builder_add_value(list, describe_disk(g_ptr_array_index(conf->disks, i),
			                                                g_ptr_array_index(guest->disks, i)));
	}
}

/* What could not be read may be the very disk. */
static bool cannot_tell(const struct guest *guest, const struct disk_conf *conf, GError **error)
{
	return xd_fail(error, XD_ERROR_DEVICE,
	               "guest \"%s\", disk %s: cannot tell whether another domain uses %s: %s", guest->name,
	               conf->vdev, conf->source, xyl_error());
}

/* One disk of somebody else's domain: an error when it is the same block device and one of the two writes. */
static bool foreign_disk_agrees(struct guest *guest, const struct disk_conf *conf, const struct disk *disk,
                                const char *domid, const char *devid, GError **error)
{
	struct xyl_store *store = storeio_store(xylemd.io);
	g_autofree char *back = g_strdup_printf("/local/domain/0/backend/vbd/%s/%s", domid, devid);
	char *device = xyl_store_readf(store, XYL_TX_NONE, "%s/physical-device", back), *mode;
	unsigned major, minor;
	bool same = device && sscanf(device, "%x:%x", &major, &minor) == 2 && major == disk_major(disk) &&
	            minor == disk_minor(disk);
	bool both_read;

	if (!device && errno != ENOENT)
		return cannot_tell(guest, conf, error);
	free(device);
	if (!same)
		return true;
	mode = xyl_store_readf(store, XYL_TX_NONE, "%s/mode", back);
	both_read = conf->readonly && mode && mode[0] == 'r';
	free(mode);
	return both_read ||
	       xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", disk %s: domain %s uses %s already",
	               guest->name, conf->vdev, domid, conf->source);
}

/* A list of children, empty where there is none; NULL after an error. */
static char **children(const char *path, size_t *count)
{
	char **names = xyl_store_directory(storeio_store(xylemd.io), XYL_TX_NONE, path, count);

	if (names || errno != ENOENT)
		return names;
	*count = 0;
	return calloc(1, sizeof(*names));
}

/* Those of one domain that is not ours. */
static bool foreign_disks_agree(struct guest *guest, const struct disk_conf *conf, const struct disk *disk,
                                const char *domid, GError **error)
{
	g_autofree char *path = g_strconcat("/local/domain/0/backend/vbd/", domid, NULL);
	size_t count;
	char **disks = children(path, &count);
	bool ok = disks || cannot_tell(guest, conf, error);

	for (size_t i = 0; disks && ok && i < count; i++)
		ok = foreign_disk_agrees(guest, conf, disk, domid, disks[i], error);
	free(disks);
	return ok;
}

bool device_check_foreign(struct guest *guest, const struct disk_conf *conf, const struct disk *disk,
                          GError **error)
{
	size_t count;
	char **domains;
	bool ok;

	/* Files: whoever writes to one has it open, which disk_open() has seen. */
	if (conf->is_file || conf->shareable)
		return true;
	domains = children("/local/domain/0/backend/vbd", &count);
	ok = domains || cannot_tell(guest, conf, error);
	for (size_t i = 0; domains && ok && i < count; i++) {
		guint64 domid;
		struct guest *ours;

		if (!g_ascii_string_to_unsigned(domains[i], 10, 1, XYL_DOMID_FIRST_RESERVED - 1, &domid,
		                                NULL))
			continue;
		ours = guest_by_domid((uint32_t)domid);
		guest_unref(ours);
		ok = ours || foreign_disks_agree(guest, conf, disk, domains[i], error);
	}
	free(domains);
	return ok;
}

/* Its nodes are in the store: dom0's side takes it. */
static bool connect(struct guest *guest, const struct disk_conf *conf, struct disk *disk, GError **error)
{
	if (conf->format == DISK_RAW)
		return device_wait_offered(guest, device_disk.type, conf->devid, conf->vdev, error);
	return device_screen_need(guest, error) && device_image_serve(guest, conf, disk, error);
}

/* After that failed; false: the device stays. */
static bool disconnect(struct guest *guest, const struct disk_conf *conf, struct disk *disk)
{
	g_autoptr(GError) error = NULL;

	if (!device_undo(guest, layout_disk_type(conf), conf->devid))
		return false;
	if (conf->format == DISK_RAW || device_image_release(guest, conf, disk, &error)) {
		device_screen_spare(guest);
		return true;
	}
	g_warning("%s; the device stays until it is detached", error->message);
	return false;
}

static bool attach_disk(struct guest *guest, GVariant *dict, GVariant **made, GError **error)
{
	struct guestconf *conf = guest->journal->conf;
	g_autofree char *what = g_strdup_printf("guest \"%s\", disk", guest->name);
	struct disk_conf *disk = disk_conf_parse(dict, what, error);
	g_autoptr(GArray) nodes = layout_new();
	struct disk *opened = NULL;
	bool ok = true;
	guint i;

	if (!disk)
		return false;
	for (i = 0; i < conf->disks->len; i++) {
		if (((struct disk_conf *)g_ptr_array_index(conf->disks, i))->devid == disk->devid) {
			xd_fail(error, XD_ERROR_EXISTS, "guest \"%s\": it has a disk %s already", guest->name,
			        disk->vdev);
			goto fail;
		}
	}
	if (conf->disks->len >= GUEST_DISKS_MAX) {
		xd_fail(error, XD_ERROR_LIMIT, "guest \"%s\": it has %d disks already", guest->name,
		        GUEST_DISKS_MAX);
		goto fail;
	}
	opened = disk_open(disk, guest->name, error);
	if (!opened || !device_check_foreign(guest, disk, opened, error))
		goto fail;
	layout_add_disk(nodes, guest->journal->domid, disk, disk_major(opened), disk_minor(opened));
	if (!storeio_write(xylemd.io, nodes, guest->journal->domid, what, error))
		goto fail;
	if (!connect(guest, disk, opened, error)) {
		if (disconnect(guest, disk, opened))
			goto fail;
		ok = false;
	}
	g_ptr_array_add(conf->disks, disk);
	g_ptr_array_add(guest->disks, opened);
	device_publish(guest, "attach");
	if (ok) {
		*made = describe_disk(disk, opened);
		device_watch_taken(guest, layout_disk_type(disk), disk->devid, disk->vdev);
	}
	return ok;
fail:
	disk_close(opened);
	disk_conf_free(disk);
	return false;
}

static bool detach_disk(struct guest *guest, const struct device_ref *ref, GError **error)
{
	struct guestconf *conf = guest->journal->conf;
	guint index = 0;
	struct disk_conf *disk = guestconf_find_disk(conf, ref->vdev, &index);

	if (!disk)
		return xd_fail(error, XD_ERROR_NOT_FOUND, "guest \"%s\": it has no disk %.64s", guest->name,
		               ref->vdev);
	if (!device_release(guest, layout_disk_type(disk), disk->devid, disk->vdev, ref->force, error) ||
	    !device_image_release(guest, disk, g_ptr_array_index(guest->disks, index), error))
		return false;
	g_ptr_array_remove_index(guest->disks, index);
	g_ptr_array_remove_index(conf->disks, index);
	device_screen_spare(guest);
	return true;
}

/* The guest's driver looks at the size when the backend's state is written, as it is by the backend itself at the next
 * request. */
static bool tell_size(const char *back, const char *what, uint64_t bytes, GError **error)
{
	g_autofree char *sectors = g_strdup_printf("%" G_GUINT64_FORMAT, bytes / 512);
	g_autofree char *size_path = g_strconcat(back, "/sectors", NULL);
	g_autofree char *state_path = g_strconcat(back, "/state", NULL);

	if (storeio_backend_state(xylemd.io, back) != BACKEND_CONNECTED)
		return true;
	return storeio_set(xylemd.io, what, error, size_path, sectors, state_path, "4", NULL);
}

void op_resize(struct op *op)
{
	struct guest *guest = op->guest;
	struct disk_conf *disk;
	g_autofree char *back = NULL;
	g_autofree char *what = NULL;
	g_autoptr(GError) error = NULL;
	const char *vdev;
	char *device = NULL;
	unsigned major, minor;
	guint64 bytes;

	g_variant_get(op->argument, "(&st)", &vdev, &bytes);
	disk = guestconf_find_disk(guest->journal->conf, vdev, NULL);
	if (disk) {
		back = layout_backend(guest->journal->domid, device_disk.type, disk->devid);
		what = g_strdup_printf("guest \"%s\", disk %s", guest->name, vdev);
		device = xyl_store_readf(storeio_store(xylemd.io), XYL_TX_NONE, "%s/physical-device", back);
	}
	if (!disk)
		xd_fail(&error, XD_ERROR_NOT_FOUND, "guest \"%s\": it has no disk %.64s", guest->name, vdev);
	else if (disk->readonly)
		xd_fail(&error, XD_ERROR_INVALID_ARGUMENT, "%s: it is read-only", what);
	else if (!bytes || bytes % 512 || bytes > INT64_MAX)
		xd_fail(&error, XD_ERROR_INVALID_ARGUMENT,
		        "%s: %" G_GUINT64_FORMAT " bytes are no whole sectors of 512", what, bytes);
	else if (disk->format != DISK_RAW)
		device_image_resize(guest, disk, bytes, &error);
	else if (!device || sscanf(device, "%x:%x", &major, &minor) != 2)
		xd_fail(&error, XD_ERROR_DEVICE, "%s: dom0's side of it is not there", what);
	else if (disk_resize(disk, guest->name, major, minor, &bytes, &error))
		tell_size(back, what, bytes, &error);
	free(device);
	if (error)
		op_fail(op, error);
	else
		op_succeed(op);
}

void op_set_disk_limits(struct op *op)
{
	struct guest *guest = op->guest;
	g_autoptr(GVariant) limits = NULL;
	g_autofree char *what = NULL;
	g_autoptr(GError) error = NULL;
	struct disk_conf *disk, wanted;
	const char *vdev;
	guint index = 0;

	g_variant_get(op->argument, "(&s@a{st})", &vdev, &limits);
	what = g_strdup_printf("guest \"%s\", disk %.64s", guest->name, vdev);
	disk = guestconf_find_disk(guest->journal->conf, vdev, &index);
	if (!disk) {
		xd_fail(&error, XD_ERROR_NOT_FOUND, "guest \"%s\": it has no disk %.64s", guest->name, vdev);
	} else {
		wanted = *disk;
		if (disk_conf_limits(&wanted, limits, what, &error))
			device_image_limit(guest, &wanted, g_ptr_array_index(guest->disks, index), &error);
	}
	if (error) {
		op_fail(op, error);
		return;
	}
	disk->limits = wanted.limits;
	device_publish(guest, "limits");
	op_succeed(op);
}

const struct device_class device_disk = {
	.name = "disk",
	.type = "vbd",
	.second_type = "qdisk",
	.list = list_disks,
	.attach = attach_disk,
	.detach = detach_disk,
};
