/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Screens of guests on dom0's side, and their disks of images: for each guest one process of Debian's QEMU for Xen, which
 * serves the framebuffer and the keyboard and shows them by VNC, and serves the images. A guest with neither has none.
 *
 * QEMU is not trusted, since a guest talks to it all the time. It gives up root and the file system (-runas, -chroot) as
 * soon as it has Xen's devices open, starts no program, and is asked through qmp.h alone. Images it is handed as descriptors,
 * and none of those that an image names. For each disk it opens Xen's devices once more: below <dev_dir>, which has to be on
 * devtmpfs since /run has no devices, it finds those alone. What it writes to its standard
 * error goes into a log of bounded size. It still holds /dev/xen/privcmd, which lets it map any domain's memory: the
 * kernel's restriction of that to one domain would take the store from it as well, without which it serves nothing.
 *
 * Each one has a folder below <run_dir>/screens, named by the guest's UUID: its QMP socket, its log, and a file with its
 * number, on which it holds a lock as long as it lives. By that it is found again by another xylemd, and never mistaken for
 * a process that came later. Its exit is seen through a pidfd. It outlives xylemd.
 */
#ifndef XYLEMD_SCREEN_H
#define XYLEMD_SCREEN_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "guestconf.h"
#include "qmp.h"

#define SCREEN_USER    "xylem-screen"
#define SCREEN_DEV_DIR "/dev/xylem"
#define SCREEN_LOG_MAX (64 * 1024) /* bytes; the one before is kept as well */

struct screen;

/* Once, before all others. program NULL: the one that is installed; dev_dir NULL: there are no disks. Strings are kept, not
 * copied. */
void screen_init(const char *run_dir, const char *dev_dir, const char *program, const char *user);

/* Here and below a conf of NULL is that of a guest which has only disks. */
/* What can be refused before there is a domain. Errors: XD_ERROR_DEVICE. */
bool screen_check(const struct screen_conf *conf, const char *guest, GError **error);

/* Whose screen it is. */
struct screen_identity {
	const char *guest, *uuid;
	const char *part; /* "screen" or "disks", for messages */
	uint32_t domid;
};

/* Who is told, once and in the main context, when the process has ended by itself. */
struct screen_owner {
	void (*ended)(void *data);
	void *data;
	GDestroyNotify
	        free; /* of data, when nobody is told any more; also where there is no screen after all */
};

/*
 * Starts the domain's QEMU, in place of one that the guest may still have, and waits until it serves. The nodes of the
 * backends must be in the store. port: the one to begin the search with, where the configuration names none; 0: the first.
 * Errors: XD_ERROR_DEVICE, XD_ERROR_TIMEOUT. Stops when *cancelled is not 0.
 */
struct screen *screen_start(const struct screen_conf *conf, const struct screen_identity *who, uint32_t port,
                            const gint *cancelled, const struct screen_owner *owner, GError **error);
/* The QEMU that the guest has already; NULL: none. */
struct screen *screen_adopt(const struct screen_identity *who, uint32_t port,
                            const struct screen_owner *owner);
/* Lets go of what belongs to us of it; the process goes on. ended is not called any more. */
void screen_forget(struct screen *screen);
/* Kills the process, by what we hold of it; NULL: nothing. */
void screen_kill(struct screen *screen);
/* Ends the guest's QEMU, whoever started it, and removes what is left of it. */
void screen_end(const char *uuid, const char *guest);

/* Has the process end by itself, with all written that it has of its disks, and waits for that. */
void screen_quit(struct screen *screen);
/* A conversation of that length with it. */
/* What QEMU says is wrong, without whose it is. */
const char *screen_reason(const struct screen *screen, const GError *error);
struct qmp *screen_talk(struct screen *screen, int timeout_ms, const gint *cancelled, GError **error);
/* It may write files of any size from now on. */
bool screen_lift_limit(struct screen *screen, GError **error);

/* Whether the process has ended; then how, in words, to be freed with g_free(). */
bool screen_has_ended(struct screen *screen, char **how);
/* Of a socket: 0. */
uint32_t screen_port(const struct screen *screen);

/* Waits, up to QMP_WAIT_MS. A picture of what it shows, as a PPM file in memory: a descriptor at its beginning; or -1. */
int screen_shoot(struct screen *screen, const gint *cancelled, GError **error);
/* Presses keys together and lets go of them; keys are QEMU's numbers (those of an XT keyboard). */
bool screen_send_keys(struct screen *screen, const uint32_t *keys, gsize count, uint32_t hold_ms,
                      const gint *cancelled, GError **error);
/* Serves VNC on a connected socket. */
bool screen_serve(struct screen *screen, int fd, bool skip_auth, const gint *cancelled, GError **error);

/* ---- screen_image.c: disks ---- */

struct screen_image {
	const char *vdev;
	uint32_t devid;
	enum disk_format format;
	bool block, cdrom, readonly, discard, direct;
	struct io_limits limits;
	int fd;
};

/*
 * Waits. Has QEMU serve the image, for which the nodes of both sides are there. Nothing that the image names is opened.
 * Errors: XD_ERROR_DEVICE, XD_ERROR_TIMEOUT; QEMU has none of it then, unless it hangs.
 */
bool screen_image_add(struct screen *screen, const struct screen_image *image, const gint *cancelled,
                      GError **error);
/* Once its frontend or its nodes have gone: when this succeeds the image is written and closed. */
bool screen_image_remove(struct screen *screen, uint32_t devid, const gint *cancelled, GError **error);
bool screen_image_resize(struct screen *screen, uint32_t devid, uint64_t bytes, const gint *cancelled,
                         GError **error);
/* In place of those that it has; requests that wait go by the new ones. */
bool screen_image_limit(struct screen *screen, uint32_t devid, const struct io_limits *limits,
                        const gint *cancelled, GError **error);
/* All that the guest has asked of its disks is written. */
bool screen_settle(struct screen *screen, const gint *cancelled, GError **error);

/* ---- pure ---- */

/* The program's arguments, up to NULL; free with g_strfreev(). */
char **screen_arguments(const struct screen_conf *conf, const struct screen_identity *who, uint32_t port,
                        const char *program, const char *folder, const char *root, uint32_t uid,
                        uint32_t gid);

#endif
