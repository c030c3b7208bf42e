/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting for dom0 to have written what a suspended guest has asked it to; see drain.h.
 *
 * A guest that suspends does not wait for its disks: it asks again when it runs the next time. So blkback may have requests then
 * that it has not taken from the ring, and others that the device has not answered. The ring is the guest's memory and blkback
 * does not tell of it; but it counts what it takes, and the kernel what a device has under way. Where no write is under way and
 * nothing has been taken since the last look, there was nothing left to take.
 */
#include "drain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "device.h"
#include "error.h"
#include "layout.h"
#include "save.h"
#include "storeio.h"

#ifndef DRAIN_US /* the tests' is shorter */
#define DRAIN_US (INT64_C(30) * 1000000)
#endif
#define LOOK_AGAIN_US 10000

const char *drain_sys = "/sys";

struct watched {
	char *vdev;
	char *under_way;  /* the kernel's file */
	char *statistics; /* blkback's folder */
};

static void watched_free(gpointer data)
{
	struct watched *w = data;

	g_free(w->vdev);
	g_free(w->under_way);
	g_free(w->statistics);
	g_free(w);
}

static struct watched *watched_new(const struct guest *guest, const struct disk_conf *disk, unsigned major,
                                   unsigned minor)
{
	struct watched *w = g_new0(struct watched, 1);

	w->vdev = g_strdup(disk->vdev);
	w->under_way = g_strdup_printf("%s/dev/block/%u:%u/inflight", drain_sys, major, minor);
	w->statistics = g_strdup_printf("%s/devices/vbd-%u-%u/statistics", drain_sys, guest->journal->domid,
	                                disk->devid);
	return w;
}

/* What may change a disk that nobody else has. NULL: the store does not tell which one it is. */
static GPtrArray *find_disks(const struct guest *guest, GError **error)
{
	const struct guestconf *conf = guest->journal->conf;
	GPtrArray *disks = g_ptr_array_new_with_free_func(watched_free);
	guint i;

	for (i = 0; i < conf->disks->len; i++) {
		const struct disk_conf *disk = g_ptr_array_index(conf->disks, i);
		g_autofree char *back = layout_backend(guest->journal->domid, device_disk.type, disk->devid);
		unsigned major, minor;
		char *device;

		if (disk->readonly || disk->shareable || disk->format != DISK_RAW)
			continue;
		device = xyl_store_readf(storeio_store(xylemd.io), XYL_TX_NONE, "%s/physical-device", back);
		if (!device && errno != ENOENT) {
			xd_fail(error, XD_ERROR_DEVICE, "guest \"%s\", disk %s: cannot tell what it is: %s",
			        guest->name, disk->vdev, xyl_error());
			g_ptr_array_unref(disks);
			return NULL;
		}
		if (device && sscanf(device, "%x:%x", &major, &minor) == 2)
			g_ptr_array_add(disks, watched_new(guest, disk, major, minor));
		free(device);
	}
	return disks;
}

static void count(const struct watched *w, GString *counts)
{
	static const char *const names[] = { "oo_req", "rd_req", "wr_req", "f_req", "ds_req" };
	guint i;

	for (i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = g_build_filename(w->statistics, names[i], NULL);
		g_autofree char *text = NULL;

		if (g_file_get_contents(path, &text, NULL, NULL))
			g_string_append(counts, text);
	}
}

/* A disk that is being written to, or NULL. Reads change nothing, and may be a backup's that never ends. */
static const struct watched *look(GPtrArray *disks, GString *counts)
{
	const struct watched *busy = NULL;
	unsigned long reads, writes;
	guint i;

	for (i = 0; i < disks->len; i++) {
		const struct watched *w = g_ptr_array_index(disks, i);
		g_autofree char *text = NULL;

		count(w, counts);
		if (g_file_get_contents(w->under_way, &text, NULL, NULL) &&
		    sscanf(text, "%lu %lu", &reads, &writes) == 2 && writes)
			busy = w;
	}
	return busy;
}

bool drain_disks(struct guest *guest, GError **error)
{
	g_autoptr(GPtrArray) disks = find_disks(guest, error);
	gint64 deadline = g_get_monotonic_time() + DRAIN_US;
	g_autofree char *last = NULL;

	if (!disks)
		return false;
	while (disks->len) {
		g_autoptr(GString) counts = g_string_new(NULL);
		const struct watched *busy = look(disks, counts);

		if (!busy && !g_strcmp0(last, counts->str))
			break;
		if (!guest_alive(guest, error))
			return false;
		if (g_atomic_int_get(&guest->job.cancelled))
			return job_fail_cancelled(guest, "saving", error);
		if (g_get_monotonic_time() >= deadline)
			return xd_fail(
			        error, XD_ERROR_TIMEOUT,
			        "guest \"%s\", %s: dom0 has not yet written what the guest has asked it to",
			        guest->name, busy ? busy->vdev : "disks");
		g_free(last);
		last = g_strdup(counts->str);
		g_usleep(LOOK_AGAIN_US);
	}
	return device_images_settle(guest, error);
}
