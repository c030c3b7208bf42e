/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's configuration: the a{sv} of docs/xylemd-protocol.md, decoded and checked.
 *
 * Pure: nothing here looks at the host. guestconf_parse() refuses what it does not know, by name, so that no
 * wish is silently ignored; guestconf_to_variant() gives back a dictionary that parses to the same
 * configuration.
 */
#ifndef XYLEMD_GUESTCONF_H
#define XYLEMD_GUESTCONF_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "../src/guestlimits.h"
#include "../src/iolimits.h"
#include "xenctrl.h"

#define GUESTCONF_MAX_CPUMAP 1024 /* bytes: 8192 physical CPUs */

enum policy_action {
	POLICY_DESTROY,
	POLICY_RESTART,
	POLICY_PRESERVE,
	POLICY_RENAME_RESTART,
	POLICY_COREDUMP_DESTROY,
	POLICY_COREDUMP_RESTART,
};

enum disk_cache {
	DISK_CACHE_DEFAULT,
	DISK_CACHE_NONE,
	DISK_CACHE_WRITEBACK,
};

/* What an image is. The kernel serves raw ones, all others a QEMU of the guest's own. */
enum disk_format {
	DISK_RAW,
	DISK_QCOW2,
};

enum clock_base {
	CLOCK_UTC,
	CLOCK_LOCALTIME,
	CLOCK_VARIABLE,
};

enum tsc_mode {
	TSC_DEFAULT,
	TSC_EMULATE,
	TSC_NATIVE,
};

struct disk_conf {
	char *vdev;
	char *source;
	bool is_file;
	bool readonly;
	bool shareable;
	bool discard;
	bool cdrom; /* which is read-only */
	enum disk_cache cache;
	enum disk_format format;
	struct io_limits limits; /* of what QEMU serves */
	uint32_t devid;          /* number of the virtual device, from vdev */
};

struct nic_conf {
	uint8_t mac[6];
	char mac_text[18];
	char *bridge;
	char *ifname; /* NULL: vif<domid>.<devid> */
	uint32_t mtu; /* 0: the bridge's */
	bool link_down;
	bool hold;     /* down until ReleaseNic, in each life of the guest */
	bool released; /* in its present life; not kept */
};

/* A screen with keyboard and mouse, as a VNC server shows it. */
struct screen_conf {
	char *listen;  /* address in figures; NULL: it listens on the socket */
	uint32_t port; /* 0: the first free one from GUEST_VNC_PORT_MIN */
	char *socket;  /* path */
};

enum console_type {
	CONSOLE_PTY,
	CONSOLE_FILE,
	CONSOLE_UNIX,
	CONSOLE_TCP,
};

/* A console besides number 0. */
struct console_conf {
	uint32_t number;
	enum console_type type;
	char *path; /* file, UNIX socket */
	char *host; /* TCP: address in figures */
	uint32_t port;
	bool connects; /* sockets: otherwise it listens */
	char *name;    /* a channel's; NULL: it is none */
};

struct vcpu_pin {
	uint32_t vcpu;
	GBytes *cpumap;
};

struct guestconf {
	char *name;
	char *uuid; /* lower case */
	uint64_t memory_kib;
	uint64_t max_memory_kib;
	uint32_t vcpus;
	uint32_t max_vcpus;
	char *kernel;
	char *ramdisk; /* NULL: none */
	char *cmdline; /* never NULL */
	enum policy_action on_poweroff;
	enum policy_action on_reboot;
	enum policy_action on_crash;
	uint32_t weight;
	uint32_t cap;
	GBytes *cpumap;     /* NULL: all */
	GArray *pins;       /* struct vcpu_pin */
	GArray *cpu_hidden; /* struct xyl_cpuid */
	enum clock_base clock_base;
	int64_t clock_adjustment_s;
	enum tsc_mode tsc;
	bool console;               /* number 0 */
	GPtrArray *consoles;        /* struct console_conf: further ones */
	GPtrArray *disks;           /* struct disk_conf */
	GPtrArray *nics;            /* struct nic_conf */
	struct screen_conf *screen; /* NULL: none */
	char *opaque;               /* NULL: none */
};

/* Decodes and checks; NULL and InvalidArgument or NotSupported when something is wrong. */
struct guestconf *guestconf_parse(GVariant *dict, GError **error);
void guestconf_free(struct guestconf *conf);
/* A floating a{sv} which guestconf_parse() accepts. */
GVariant *guestconf_to_variant(const struct guestconf *conf);

/*
 * One disk, nic or screen by itself, for attaching; `what` names it in messages ("disk 3").
 * The key "class" is accepted and not looked at.
 */
struct disk_conf *disk_conf_parse(GVariant *dict, const char *what, GError **error);
struct nic_conf *nic_conf_parse(GVariant *dict, const char *what, GError **error);
struct screen_conf *screen_conf_parse(GVariant *dict, const char *what, GError **error);
void disk_conf_free(struct disk_conf *disk);
/* What SetDiskLimits is given, and the key "limits": in place of those that it has. An error changes nothing. */
bool disk_conf_limits(struct disk_conf *disk, GVariant *dict, const char *what, GError **error);
/* As QEMU and the key "format" call it. */
const char *disk_format_name(enum disk_format format);
/* Whether a disk of the guest is QEMU's to serve. */
bool guestconf_has_images(const struct guestconf *conf);
void nic_conf_free(struct nic_conf *nic);
void screen_conf_free(struct screen_conf *screen);

/* What DetachDevice is given: of vdev and mac the one that the class has. */
struct device_ref {
	const char *class; /* as device_class() */
	char *vdev;
	char mac_text[18];
	bool force;
};
bool device_ref_parse(GVariant *dict, struct device_ref *ref, GError **error);
void device_ref_clear(struct device_ref *ref);

/* "disk", "nic", "screen", "console" or NULL with an error: the class of a device dictionary. */
const char *device_class(GVariant *dict, GError **error);

/* What SetScheduler is given: what is absent keeps the configuration's value. */
bool scheduler_parse(GVariant *dict, const struct guestconf *conf, uint32_t *weight, uint32_t *cap,
                     GError **error);
/* What SetMigration is given: what is absent stays as it is in *limits, which an error may leave changed in part. */
bool migration_parse(GVariant *dict, const char *name, struct xyl_live_limits *limits, GError **error);
/* What SetPolicy is given, (ss): an event and what is done then. */
bool policy_parse(GVariant *argument, struct guestconf *conf, GError **error);
/* What SetAffinity is given, (uay); the map belongs to the caller. */
bool pin_parse(GVariant *argument, const struct guestconf *conf, struct vcpu_pin *pin, GError **error);
/* Takes the pin's map. */
void guestconf_set_pin(struct guestconf *conf, struct vcpu_pin *pin);

struct disk_conf *guestconf_find_disk(const struct guestconf *conf, const char *vdev, guint *index);
struct nic_conf *guestconf_find_nic(const struct guestconf *conf, const char *mac_text, guint *index);
/* The same for text of any case. */
struct nic_conf *guestconf_find_nic_text(const struct guestconf *conf, const char *text, guint *index);

/* Number of a virtual block device (xvda, sda1, hdb ...) as frontends expect it; false when the name is none. */
bool vdev_to_devid(const char *vdev, uint32_t *devid);
/* aa:bb:cc:dd:ee:ff, any case; false when it is something else. */
bool mac_parse(const char *text, uint8_t mac[6]);

#endif
