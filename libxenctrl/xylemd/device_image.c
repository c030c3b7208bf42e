/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks that are images, between xylemd and the guest's QEMU (screen.h), which serves them.
 *
 * They come and go with QEMU: one that dies takes the guest's images with it. What the guest has asked of them and was not
 * answered nobody knows then, so no other QEMU goes on with them before the guest's next domain.
 */
#include <stdlib.h>

#include "device.h"
#include "disk.h"
#include "error.h"
#include "layout.h"
#include "screen.h"
#include "storeio.h"

static struct disk_conf *conf_at(const struct guest *guest, guint i)
{
	return g_ptr_array_index(guest->journal->conf->disks, i);
}

static struct disk *disk_at(const struct guest *guest, guint i)
{
	return i < guest->disks->len ? g_ptr_array_index(guest->disks, i) : NULL;
}

bool device_image_serve(struct guest *guest, const struct disk_conf *conf, struct disk *disk, GError **error)
{
	struct screen_image image = { .vdev = conf->vdev,
		                      .devid = conf->devid,
		                      .format = conf->format,
		                      .block = !conf->is_file,
		                      .cdrom = conf->cdrom,
		                      .readonly = conf->readonly,
		                      .discard = conf->discard,
		                      .limits = conf->limits };

	image.fd = disk_image(disk, conf, &image.direct, error);
	if (image.fd < 0)
		return false;
	if (!screen_image_add(guest->screen, &image, &guest->doomed, error)) {
		g_prefix_error(error, "disk %s: ", conf->vdev);
		/* It may have opened it, where it did not answer in time. */
		if (!screen_image_remove(guest->screen, conf->devid, &guest->doomed, NULL))
			g_warning("guest \"%s\", disk %s: its QEMU does not tell whether it has it",
			          guest->name, conf->vdev);
		return false;
	}
	disk_set_served(disk, true);
	return device_wait_offered(guest, layout_disk_type(conf), conf->devid, conf->vdev, error);
}

bool device_image_release(struct guest *guest, const struct disk_conf *conf, struct disk *disk,
                          GError **error)
{
	if (!disk_is_served(disk))
		return true;
	if (guest->screen && !screen_image_remove(guest->screen, conf->devid, &guest->doomed, error)) {
		g_prefix_error(error, "disk %s: ", conf->vdev);
		return false;
	}
	disk_set_served(disk, false);
	return true;
}

bool device_images_serve(struct guest *guest, GError **error)
{
	guint i;

	for (i = 0; i < guest->journal->conf->disks->len; i++)
		if (conf_at(guest, i)->format != DISK_RAW &&
		    !device_image_serve(guest, conf_at(guest, i), disk_at(guest, i), error))
			return false;
	return true;
}

void device_images_adopt(struct guest *guest)
{
	guint i;

	/* It may be another QEMU than the one that had them, which knows nothing of them. The store tells what the guest likes. */
	for (i = 0; i < guest->disks->len; i++)
		if (conf_at(guest, i)->format != DISK_RAW)
			disk_set_served(disk_at(guest, i), true);
}

/* The guest is told as by a backend that gives up: what it asks of the disk from now on fails at once. */
static void tell_guest(const struct guest *guest, const struct disk_conf *conf)
{
	g_autofree char *back = layout_backend(guest->journal->domid, layout_disk_type(conf), conf->devid);
	g_autofree char *state = g_strconcat(back, "/state", NULL);
	g_autofree char *what = g_strdup_printf("guest \"%s\", disk %s", guest->name, conf->vdev);
	g_autoptr(GError) error = NULL;

	if (storeio_backend_state(xylemd.io, back) != BACKEND_GONE &&
	    !storeio_set(xylemd.io, what, &error, state, "6", NULL))
		g_warning("%s", error->message);
}

bool device_images_lost(struct guest *guest, bool domain_lives)
{
	bool any = false;
	guint i;

	for (i = 0; i < guest->disks->len; i++) {
		const struct disk_conf *conf = conf_at(guest, i);

		if (!disk_at(guest, i) || !disk_is_served(disk_at(guest, i)))
			continue;
		disk_set_served(disk_at(guest, i), false);
		if (!domain_lives)
			continue;
		any = true;
		g_warning(
		        "guest \"%s\", disk %s: it is gone with its QEMU, until the guest is started anew (%s)",
		        guest->name, conf->vdev, conf->source);
		tell_guest(guest, conf);
	}
	return any;
}

bool device_images_settle(struct guest *guest, GError **error)
{
	guint i;

	bool any = false;

	for (i = 0; i < guest->disks->len; i++)
		any |= disk_at(guest, i) && disk_is_served(disk_at(guest, i));
	if (!any || !guest->screen)
		return true;
	if (!screen_settle(guest->screen, &guest->doomed, error))
		return false;
	/* QEMU does not tell whether it could write; the file does. */
	for (i = 0; i < guest->disks->len; i++)
		if (disk_at(guest, i) && disk_is_served(disk_at(guest, i)) &&
		    !disk_sync(disk_at(guest, i), error)) {
			g_prefix_error(error, "guest \"%s\", disk %s: ", guest->name,
			               conf_at(guest, i)->vdev);
			return false;
		}
	return true;
}

bool device_image_resize(struct guest *guest, const struct disk_conf *conf, uint64_t bytes, GError **error)
{
	g_autofree char *back = layout_backend(guest->journal->domid, layout_disk_type(conf), conf->devid);
	g_autofree char *path = g_strconcat(back, "/sectors", NULL);
	char *text = xyl_store_read(storeio_store(xylemd.io), XYL_TX_NONE, path, NULL);
	guint64 sectors = 0;
	bool known = text && g_ascii_string_to_unsigned(text, 10, 1, INT64_MAX / 512, &sectors, NULL);

	free(text);
	if (!known || !guest->screen)
		return xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", disk %s: no QEMU serves it",
		               guest->name, conf->vdev);
	if (bytes < sectors * 512)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT,
		               "guest \"%s\", disk %s: it has %" G_GUINT64_FORMAT
		               " bytes, and does not shrink while it is used",
		               guest->name, conf->vdev, sectors * 512);
	return screen_image_resize(guest->screen, conf->devid, bytes, &guest->doomed, error);
}

bool device_image_limit(struct guest *guest, const struct disk_conf *conf, const struct disk *disk,
                        GError **error)
{
	if (!guest->screen || !disk_is_served(disk))
		return xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", disk %s: no QEMU serves it",
		               guest->name, conf->vdev);
	if (screen_image_limit(guest->screen, conf->devid, &conf->limits, &guest->doomed, error))
		return true;
	g_prefix_error(error, "disk %s: ", conf->vdev);
	return false;
}
