/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest's part of xenstore looks like, as lists of nodes. Pure: the lists are written by storeio.c and
 * compared with golden files by the tests. Paths and values are those that the Linux frontends and backends
 * read and that Xen's own toolstack writes, so that stock tools show our guests.
 *
 * Invariants: a list is in the order of writing, parents with permissions of their own before their children,
 * which inherit them. What the guest may write is what carries LAYOUT_GUEST_OWNS or LAYOUT_FRONTEND, and
 * nothing else.
 */
#ifndef XYLEMD_LAYOUT_H
#define XYLEMD_LAYOUT_H

#include <glib.h>
#include <stdint.h>

#include "guestconf.h"

enum layout_perms {
	LAYOUT_INHERIT,     /* from the parent */
	LAYOUT_GUEST_READS, /* owner dom0, the guest reads */
	LAYOUT_GUEST_OWNS,  /* owner the guest; nobody else but dom0 */
	LAYOUT_FRONTEND,    /* owner the guest, dom0 (the backend) reads */
};

struct layout_node {
	char *path;
	char *value; /* never NULL; empty: a directory */
	enum layout_perms perms;
};

/* An array of struct layout_node; free it with g_array_unref(). */
GArray *layout_new(void);

struct layout_ids {
	uint32_t domid;
	uint32_t store_port;
	uint64_t store_mfn;
	uint32_t console_port;
	uint64_t console_mfn;
};

/* /local/domain/<id> and /vm/<uuid>, without what needs the guest's memory, and without devices. */
void layout_add_guest(GArray *nodes, const struct guestconf *conf, uint32_t domid);
/* After that: where its rings of store and console lie. */
void layout_add_rings(GArray *nodes, const struct guestconf *conf, const struct layout_ids *ids);
/* After that, for a guest that is restored: what its kernel wrote when it booted, and does not write again. */
void layout_add_restored(GArray *nodes, uint32_t domid);
/* "vbd" for a disk that the kernel serves, "qdisk" for QEMU's: of its backend's directory. */
const char *layout_disk_type(const struct disk_conf *disk);
/* Frontend and backend of one disk behind the block device major:minor of dom0; of QEMU's they have no meaning. */
void layout_add_disk(GArray *nodes, uint32_t domid, const struct disk_conf *disk, uint32_t major,
                     uint32_t minor);
/* Frontend and backend of the guest's nic number devid; mtu 0 is left to the frontend. */
void layout_add_nic(GArray *nodes, uint32_t domid, const struct nic_conf *nic, uint32_t devid, uint32_t mtu);

/* Frontends and backends of the guest's screen and its keyboard. */
void layout_add_screen(GArray *nodes, uint32_t domid);

/* Frontend and backend of one of the guest's further consoles. */
void layout_add_console(GArray *nodes, uint32_t domid, const struct console_conf *console);

/* Paths of a device's directories; type is "vbd", "qdisk", "vif", "vfb", "vkbd" or "console". Free with g_free(). */
char *layout_frontend(uint32_t domid, const char *type, uint32_t devid);
char *layout_backend(uint32_t domid, const char *type, uint32_t devid);

/* One line per node, for tests and logs: path = "value" perms. */
char *layout_to_text(const GArray *nodes);

#endif
