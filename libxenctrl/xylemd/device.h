/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The classes of devices that a guest can have. Another class is another file like device_disk.c, a row in
 * device_classes, and its keys in guestconf.c.
 */
#ifndef XYLEMD_DEVICE_H
#define XYLEMD_DEVICE_H

#include "guest.h"

#define DEVICE_BACKEND_MS 60000 /* within which dom0's side must answer */

struct disk;

/* On a thread of the guest's operations. False with an error. */
struct device_class {
	const char *name;        /* "class" of a device dictionary */
	const char *type;        /* of its directories in the store */
	const char *second_type; /* of further ones; NULL: none */
	/* Adds a dictionary for each one that the guest has. */
	void (*list)(const struct guest *guest, GVariantBuilder *list);
	/* dict: as the configuration has it; *made: as it became, floating. */
	bool (*attach)(struct guest *guest, GVariant *dict, GVariant **made, GError **error);
	bool (*detach)(struct guest *guest, const struct device_ref *ref, GError **error);
};

extern const struct device_class device_disk, device_nic, device_screen, device_console;
extern const struct device_class *const device_classes[]; /* up to NULL */
/* NULL: there is none; guestconf.c lets no other name in than those that are there. */
const struct device_class *device_class_named(const char *name);

/* ---- device.c ---- */
void op_attach(struct op *op);
void op_detach(struct op *op);
/* The guest's devices as they are: a floating aa{sv}. */
GVariant *device_list(const struct guest *guest);

/* ---- device.c: for the classes ---- */
/* The device's backend is there and waits for its frontend, or an error. */
bool device_wait_offered(struct guest *guest, const char *type, uint32_t devid, const char *name,
                         GError **error);
/* Tells by an event when the guest has taken the device. */
void device_watch_taken(struct guest *guest, const char *type, uint32_t devid, const char *name);
/* Takes a device away whose attachment failed; false, and logged, when it stays. */
bool device_undo(struct guest *guest, const char *type, uint32_t devid);
/* Has the guest let go of the device, or with force does not wait for that, and takes it away. */
bool device_release(struct guest *guest, const char *type, uint32_t devid, const char *name, bool force,
                    GError **error);
/* The configuration changed: journal, Get and listeners. */
void device_publish(struct guest *guest, const char *detail);

/* ---- device_disk.c ---- */
void op_resize(struct op *op);
void op_set_disk_limits(struct op *op);
/* False when a domain that is not ours has the same block device, unless both only read. */
bool device_check_foreign(struct guest *guest, const struct disk_conf *conf, const struct disk *disk,
                          GError **error);

/* ---- device_image.c: disks that the guest's QEMU serves ---- */
/* Its nodes are in the store, and there is a QEMU. */
bool device_image_serve(struct guest *guest, const struct disk_conf *conf, struct disk *disk, GError **error);
/* Its nodes are gone: the image is written and closed. */
bool device_image_release(struct guest *guest, const struct disk_conf *conf, struct disk *disk,
                          GError **error);
/* The same for all that the guest has, for its beginning. */
bool device_images_serve(struct guest *guest, GError **error);
/* Its QEMU was found running. */
void device_images_adopt(struct guest *guest);
/* Its QEMU has ended by itself. Whether the guest has lost a disk. */
bool device_images_lost(struct guest *guest, bool domain_lives);
/* All that the guest has asked of them is written. */
bool device_images_settle(struct guest *guest, GError **error);
bool device_image_resize(struct guest *guest, const struct disk_conf *conf, uint64_t bytes, GError **error);
/* It has its configuration's limits from now on. */
bool device_image_limit(struct guest *guest, const struct disk_conf *conf, const struct disk *disk,
                        GError **error);

/* ---- device_console.c ---- */
/* Their nodes are in the store: xenconsoled has them. */
bool device_console_connect(struct guest *guest, GError **error);

/* ---- device_screen.c: a guest with neither a screen nor images is passed over ---- */
bool device_screen_check(struct guest *guest, GError **error);
/* Its nodes are in the store: starts what serves them. */
bool device_screen_connect(struct guest *guest, GError **error);
/* The guest has a QEMU, or is given one. */
bool device_screen_need(struct guest *guest, GError **error);
/* Ends a QEMU that has nothing to do any more. */
void device_screen_spare(struct guest *guest);
void device_screen_adopt(struct guest *guest);
void device_screen_end(struct guest *guest);
void op_screenshot(struct op *op);
void op_send_keys(struct op *op);
void op_open_screen(struct op *op);

#endif
