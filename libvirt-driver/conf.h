/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domain XML to guest configuration, and what it refuses. Pure: no hypervisor, no store, no file is touched.
 */
#ifndef XYLEM_CONF_H
#define XYLEM_CONF_H

#include "internal.h"
#include "domain_conf.h"

#include "compat.h"

#include <libxml/tree.h>

#include "../libxenctrl/src/guestlimits.h"

/*
 * The guest configuration that xylemd's Create takes (docs/xylemd-protocol.md, "Guest", without "opaque"): an
 * a{sv}, floating. Refuses what check_domain refuses. Disks of storage pools and interfaces of networks must
 * have been resolved before. Errors: NULL with libvirt's error set, which names the element.
 */
GVariant *conf_guest(const virDomainDef *def);
/* One disk or interface as xylemd's AttachDevice takes it: an a{sv} with "class", floating; NULL and an error. */
GVariant *conf_device(const virDomainDeviceDef *dev, const virDomainDef *def);
/* The same reduced to what DetachDevice needs; force: without waiting for the guest. */
GVariant *conf_device_key(const virDomainDeviceDef *dev, bool force);

/* The number of a Xen virtual disk, which is part of its backend's name; -1 when no disk has that name. */
int conf_disk_number(const char *name);
/* Whether a QEMU of the guest's serves the disk, and not the kernel. */
bool conf_is_image(const virDomainDiskDef *disk);

/* Whether the host has to do more for an interface than to enter it into its bridge: it is held down until that is done. */
bool conf_net_held(const virDomainNetDef *net);
/* libvirt's own answer is a tristate: 'no' is not false. */
bool conf_net_isolated(const virDomainNetDef *net);

/*
 * When a guest is started with the host, which libvirt has no element for: in <metadata>, <start order= delay=/> of this
 * namespace. order: the lower the earlier, UINT_MAX without it; delay: seconds from its start to that of the next order. 0, or
 * -1 with an error, and the values as if there were none.
 */
#define CONF_START_URI   "urn:xylem:start"
#define CONF_ORDER_MAX   65535
#define CONF_DELAY_S_MAX 3600
int conf_start_order(const virDomainDef *def, unsigned int *order, unsigned int *delay_s);

/* Scheduler weight and cap that <cputune> asks for; 0 where it does not. */
unsigned int conf_weight(const virDomainDef *def);
unsigned int conf_cap(const virDomainDef *def);

/*
 * Refuse by name what a guest cannot have here: 0, or -1 with VIR_ERR_CONFIG_UNSUPPORTED. Both run when a
 * domain is defined and again when it is started, but not when definitions are loaded, so that none vanishes.
 */
int check_domain(const virDomainDef *def);
int check_device(const virDomainDeviceDef *dev, const virDomainDef *def);
/*
 * Of two interfaces with one name or one address the second would fail when the first is there. What net has in common
 * with another interface of def: "name" or "address", and its element, which the caller frees; NULL: nothing.
 */
const char *check_twin(const virDomainDef *def, const virDomainNetDef *net, char **element);
/* Reports VIR_ERR_CONFIG_UNSUPPORTED with a sentence made as by printf; -1. */
int conf_refuse(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* Of all of its screen, and of each part of one. */
#define SCREEN_VRAM_KIB 4096 /* which libvirt writes into a <video> of its own making */
int check_screen(const virDomainDef *def);
int check_graphics(const virDomainGraphicsDef *graphics);
int check_video(const virDomainVideoDef *video);
int check_input(const virDomainInputDef *input);
/* The screens of a guest that has <graphics>, as xylemd takes them: an aa{sv}, floating. */
GVariant *conf_screens(const virDomainDef *def);
/* Of all of its consoles and channels, and of each. */
int check_consoles(const virDomainDef *def);
int check_chr(const virDomainChrDef *chr, const virDomainDef *def);
/* Both are numbered in one row: the consoles, of which 0 is always there, and behind them the channels. */
size_t conf_console_count(const virDomainDef *def);
virDomainChrDef *conf_console_at(const virDomainDef *def, size_t number); /* NULL: it is not described */
/* From number 1 on, as xylemd takes them: an aa{sv}, floating. */
GVariant *conf_consoles(const virDomainDef *def);
/* The socket of a channel whose definition has none; the caller frees it. */
#define CONF_CHANNEL_DIR "/run/xylem/channels"
char *conf_channel_path(const virDomainDef *def, size_t number);
/* What check_domain says of a guest's name. */
int check_name(const char *name);
/* For what is done at one of the ends of a guest (virDomainLifecycle, virDomainLifecycleAction). */
int check_action(unsigned int type, unsigned int action);
/* Whether a <bootloader> stands for PV GRUB. */
bool check_bootloader(const char *bootloader);
/* What a definition may lack, but a guest that starts may not; and CPUs that the host does not have. */
int check_start(const virDomainDef *def, unsigned int host_cpus);

/* Whether a path of the domain XML, as "devices/disk/driver@cache", has an effect here. */
enum element_class { ELEMENT_REFUSED, ELEMENT_CARRIED, ELEMENT_IDLE };
enum element_class elements_class(const char *path);
/* The driver's list of paths, one by one; NULL behind the last. */
const char *elements_path(size_t index);
/* Refuses by name what has no effect here, in a <domain> or in one device: 0 or -1 with an error. */
int elements_check(xmlNode *top);
/* The same for a definition that libvirt has read: what it would write of it. */
int elements_check_def(virDomainDef *def, virDomainXMLOption *xmlopt);

/* Parser options: defaults and checks; private_data may be NULL. */
virDomainXMLOption *xmlopt_new(virDomainXMLPrivateDataCallbacks *private_data);
/*
 * virDomainDefParseString() and virDomainDeviceDefParse() for text that a client hands in: numbers that
 * libvirt would make room for are held against limits first. NULL and an error.
 */
virDomainDef *parse_domain(const char *xml, virDomainXMLOption *xmlopt, unsigned int flags);
virDomainDeviceDef *parse_device(const char *xml, const virDomainDef *def, virDomainXMLOption *xmlopt,
                                 unsigned int flags);
/* The node after this one below top, depth first, without what stands in <metadata>; NULL at the end. */
xmlNode *parse_next(xmlNode *node, const xmlNode *top);
/* What kinds of guests there are; host facts are added by host.c. */
virCaps *xmlopt_caps_new(void);

/* ---- native.c and its like: configuration files of xl, and of the xm before it ---- */
enum native_format { NATIVE_XL, NATIVE_XM };
/*
 * What the text describes, as a definition that could be defined; NULL and an error that names the key or the line.
 * host_cpus: what "all" among the CPUs means. Notes (char *) are added for what was passed over, as "KEY: why".
 */
virDomainDef *native_read(const char *text, enum native_format format, unsigned int host_cpus,
                          virDomainXMLOption *xmlopt, GPtrArray *notes);
/* The reverse, of a definition that check_domain and check_device let pass: NULL and an error where it cannot be said. */
char *native_write(const virDomainDef *def, enum native_format format);
/* What becomes of a key; NULL for one that is unknown. */
enum native_class { NATIVE_REFUSED, NATIVE_CARRIED, NATIVE_IDLE };
struct native_key {
	const char *name;
	enum native_class class;
	const char *why;      /* it is refused or has no meaning */
	const char *harmless; /* values that are not refused, besides 0 and what is empty */
};
const struct native_key *native_key(const char *name);
/* One by one; NULL behind the last. */
const struct native_key *native_key_at(size_t index);

#endif
