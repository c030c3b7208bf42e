/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The strings of disk=[] and vif=[]: xl-disk-configuration(5), with the syntax of xm that it still takes, and
 * xl-network-configuration(5). Each of their words is carried out, refused, or without meaning and noted.
 */
#include "native.h"
#include "conf.h"

#include "compat.h"
#include "virerror.h"
#include "virmacaddr.h"
#include "virstring.h"

#define VIR_FROM_THIS VIR_FROM_XEN

/* xl's own, where nothing is said. */
#define DEFAULT_BRIDGE "xenbr0"
/* Of bytes or bits in a second: no card is that fast. */
#define RATE_MAX (1ULL << 42)

/* One string of either. */
struct spec {
	struct native *n;
	const char *key;  /* "disk" or "vif" */
	const char *text; /* all of it */
};

static int G_GNUC_PRINTF(2, 3) refuse(const struct spec *spec, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	return native_refuse("%s '%.120s': %s", spec->key, spec->text, text);
}

static bool is_dom0(const char *backend)
{
	return STREQ(backend, "0") || STREQ(backend, "Domain-0") || STREQ(backend, "dom0");
}

/* ---- disks ---- */

/* What has been read of a disk; NULL: not yet. */
struct disk {
	struct spec spec;
	char *target, *format, *vdev, *access;
	const char *driver;
	bool old_syntax; /* a prefix began it: no format follows the target */
	bool block;      /* and it was phy: */
	bool cdrom;
	virDomainDiskDiscard discard;
};

/* What was empty may be given again. */
static int save(struct disk *disk, const char *what, char **where, const char *value)
{
	if (*where && **where)
		return refuse(&disk->spec, "%s is given twice", what);
	g_free(*where);
	*where = g_strdup(value);
	return 0;
}

/* "xvda:cdrom" and "xvda:disk", which xm knew. */
static int save_vdev(struct disk *disk, const char *value)
{
	const char *colon = strrchr(value, ':');
	g_autofree char *vdev = colon ? g_strndup(value, (gsize)(colon - value)) : g_strdup(value);

	if (STRPREFIX(value, "ioemu:"))
		return refuse(&disk->spec, "ioemu: is of HVM guests");
	if (colon && STREQ(colon, ":cdrom"))
		disk->cdrom = true;
	else if (colon && STRNEQ(colon, ":disk"))
		return refuse(&disk->spec, "'%.20s' is no kind of disk", colon + 1);
	return save(disk, "vdev", &disk->vdev, vdev);
}

static int disk_positional(struct disk *disk, const char *value)
{
	if (!disk->target)
		return save(disk, "target", &disk->target, value);
	if (!disk->old_syntax && !disk->format) {
		/* An empty drive of xm. */
		if (!*disk->target && strchr(value, ':'))
			return save_vdev(disk, value);
		return save(disk, "format", &disk->format, value);
	}
	if (!disk->vdev)
		return save_vdev(disk, value);
	if (!disk->access)
		return save(disk, "access", &disk->access, value);
	return refuse(&disk->spec, "'%.40s': there are too many parts", value);
}

static int disk_backendtype(struct disk *disk, const char *value)
{
	static const struct {
		const char *type, *driver;
	} types[] = { { "phy", "phy" }, { "qdisk", "qemu" }, { "tap", "tap" } };
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(types); i++) {
		if (STREQ(value, types[i].type)) {
			disk->driver = types[i].driver;
			return 0;
		}
	}
	return refuse(&disk->spec, "backendtype=%.40s: disks are served by the kernel; leave it out", value);
}

static int disk_devtype(struct disk *disk, const char *value)
{
	if (STREQ(value, "cdrom"))
		disk->cdrom = true;
	else if (STRNEQ(value, "disk"))
		return refuse(&disk->spec, "'%.20s' is no kind of disk", value);
	return 0;
}

static int disk_setting(struct disk *disk, const char *key, const char *value)
{
	if (STREQ(key, "format"))
		return save(disk, key, &disk->format, value);
	if (STREQ(key, "vdev"))
		return save(disk, key, &disk->vdev, value);
	if (STREQ(key, "access"))
		return save(disk, key, &disk->access, value);
	if (STREQ(key, "devtype"))
		return disk_devtype(disk, value);
	if (STREQ(key, "backendtype"))
		return disk_backendtype(disk, value);
	if (STREQ(key, "backend"))
		return is_dom0(value) ? 0 : refuse(&disk->spec, "backend=: disks are served by Domain-0");
	if (STREQ(key, "script"))
		return refuse(&disk->spec, "script=: no scripts are run");
	if (STREQ(key, "specification"))
		return STREQ(value, "xen") ? 0 : refuse(&disk->spec, "specification=: disks are Xen's only");
	if (STREQ(key, "grant_usage"))
		return STREQ(value, "1") ? 0 : refuse(&disk->spec, "grant_usage=: pages are always granted");
	if (STRPREFIX(key, "colo-") || STREQ(key, "active-disk") || STREQ(key, "hidden-disk"))
		return refuse(&disk->spec, "%.20s=: there is no COLO", key);
	return refuse(&disk->spec, "%.40s=: xl-disk-configuration(5) has no such key", key);
}

/* 1: it was one. */
static int disk_flag(struct disk *disk, const char *word)
{
	if (STREQ(word, "cdrom")) {
		disk->cdrom = true;
	} else if (STREQ(word, "discard")) {
		disk->discard = VIR_DOMAIN_DISK_DISCARD_UNMAP;
	} else if (STREQ(word, "no-discard")) {
		disk->discard = VIR_DOMAIN_DISK_DISCARD_IGNORE;
	} else if (STREQ(word, "direct-io-safe")) {
		native_note(disk->spec.n, "disk: direct-io-safe concerns QEMU, and the kernel serves disks");
	} else if (STREQ(word, "untrusted")) {
		return refuse(&disk->spec, "untrusted: this cannot be told to the guest");
	} else if (STREQ(word, "colo")) {
		return refuse(&disk->spec, "colo: there is no COLO");
	} else {
		return STREQ(word, "trusted") || STREQ(word, "no-colo");
	}
	return 1;
}

/* Skips "phy:", "tap:aio:", "raw:" and the like; each says how older tools served the disk. */
static int disk_prefixes(struct disk *disk, const char **at)
{
	static const char *const formats[] = { "raw:", "qcow:", "qcow2:", "vhd:" };
	static const char *const dropped[] = {
		"tapdisk:", "tap:", "tap2:", "aio:", "ioemu:", "file:", "phy:"
	};
	static const char *const scripts[] = { "iscsi:", "nbd:", "enbd:", "drbd:" };
	size_t length = strspn(*at, "abcdefghijklmnopqrstuvwxyz0123456789"), i;

	while ((*at)[length] == ':') {
		g_autofree char *prefix = g_strndup(*at, length + 1);

		disk->old_syntax = true;
		for (i = 0; i < G_N_ELEMENTS(scripts); i++) {
			if (STREQ(prefix, scripts[i]))
				return refuse(&disk->spec, "%s no scripts are run", prefix);
		}
		for (i = 0; i < G_N_ELEMENTS(formats) && STRNEQ(prefix, formats[i]); i++)
			;
		if (i < G_N_ELEMENTS(formats)) {
			g_autofree char *format = g_strndup(prefix, length);

			if (save(disk, "format", &disk->format, format) < 0)
				return -1;
		} else if (!g_strv_contains(dropped, prefix)) {
			return refuse(&disk->spec, "'%.20s': disks have no such prefix", prefix);
		}
		disk->block = STREQ(prefix, "phy:");
		*at += length + 1;
		length = strspn(*at, "abcdefghijklmnopqrstuvwxyz0123456789");
	}
	return 0;
}

/* All parts of the string. */
static int disk_split(struct disk *disk, const char *at)
{
	while (*(at += strspn(at, " \t"))) {
		g_autofree char *part = NULL;
		const char *equals;
		int flag;

		if (STRPREFIX(at, "target="))
			return save(disk, "target", &disk->target, at + strlen("target="));
		if (!disk->target && disk_prefixes(disk, &at) < 0)
			return -1;
		part = g_strndup(at, strcspn(at, ","));
		at += strlen(part);
		at += *at == ',';
		equals = strchr(part, '=');
		if (equals) {
			g_autofree char *key = g_strndup(part, (gsize)(equals - part));

			if (disk_setting(disk, key, equals + 1) < 0)
				return -1;
			continue;
		}
		flag = disk_flag(disk, part);
		if (flag < 0 || (!flag && disk_positional(disk, part) < 0))
			return -1;
	}
	return 0;
}

static int disk_access(struct disk *disk, virStorageSource *src)
{
	const char *access = disk->access ? disk->access : "";

	if (STREQ(access, "r") || STREQ(access, "ro"))
		src->readonly = true;
	else if (STREQ(access, "w!") || STREQ(access, "!"))
		src->shared = true;
	else if (STRNEQ(access, "") && STRNEQ(access, "w") && STRNEQ(access, "rw"))
		return refuse(&disk->spec, "'%.20s' is no access: it is r or w", access);
	return 0;
}

static int disk_complete(const struct disk *disk)
{
	const char *format = disk->format ? disk->format : "";

	if (disk->cdrom && (!disk->target || !*disk->target))
		return refuse(&disk->spec, "there are no empty drives: the kernel's backend of disks cannot "
		                           "change what is in one");
	if (!disk->vdev || !*disk->vdev)
		return refuse(&disk->spec, "vdev is missing: which disk of the guest it is");
	if (!disk->target || !*disk->target)
		return refuse(&disk->spec, "target is missing: which file or device it is");
	if (conf_disk_number(format) >= 0)
		return refuse(&disk->spec, "'%s' is where the format is to be: TARGET,FORMAT,VDEV,ACCESS",
		              format);
	if (STRNEQ(format, "") && STRNEQ(format, "raw") && STRNEQ(format, "qcow2"))
		return refuse(&disk->spec,
		              "format %.20s: only raw and qcow2 images are supported (qemu-img convert)",
		              format);
	if (STREQ(format, "qcow2") && disk->driver && STRNEQ(disk->driver, "qemu"))
		return refuse(&disk->spec, "format qcow2: QEMU serves it (backendtype=qdisk)");
	if (conf_disk_number(disk->vdev) < 0)
		return refuse(&disk->spec,
		              "'%.40s': disks are called xvda to xvdzz, with a number behind it for a "
		              "partition",
		              disk->vdev);
	return 0;
}

static int disk_insert(struct disk *disk)
{
	virDomainDef *guest = disk->spec.n->def;
	g_autoptr(virDomainDiskDef) def = virDomainDiskDefNew(disk->spec.n->xmlopt);
	g_autofree char *path = NULL;
	size_t i;

	for (i = 0; i < guest->ndisks; i++) {
		if (STREQ_NULLABLE(guest->disks[i]->dst, disk->vdev))
			return refuse(&disk->spec, "two disks are called %s", disk->vdev);
	}
	if (!def || disk_access(disk, def->src) < 0)
		return -1;
	if (STREQ_NULLABLE(disk->format, "qcow2")) {
		if (def->src->shared)
			return refuse(&disk->spec, "two guests that write to a qcow2 image would spoil it");
		def->src->format = VIR_STORAGE_FILE_QCOW2;
		disk->driver = "qemu";
	} else {
		def->src->format = VIR_STORAGE_FILE_RAW;
	}
	path = *disk->target == '/' ? g_strdup(disk->target) : g_strdup_printf("/dev/%s", disk->target);
	def->src->type =
	        disk->block || STRPREFIX(path, "/dev/") ? VIR_STORAGE_TYPE_BLOCK : VIR_STORAGE_TYPE_FILE;
	def->src->path = g_steal_pointer(&path);
	def->device = disk->cdrom ? VIR_DOMAIN_DISK_DEVICE_CDROM : VIR_DOMAIN_DISK_DEVICE_DISK;
	/* As with xl, whatever access is given. */
	def->src->readonly = def->src->readonly || disk->cdrom;
	def->bus = VIR_DOMAIN_DISK_BUS_XEN;
	def->discard = disk->discard;
	def->dst = g_strdup(disk->vdev);
	virDomainDiskSetDriver(def, disk->driver);
	virDomainDiskInsert(guest, g_steal_pointer(&def));
	return 0;
}

int native_read_disk(struct native *n, const char *text)
{
	struct disk disk = { .spec = { n, "disk", text } };
	int ret = -1;

	if (disk_split(&disk, text) == 0 && disk_complete(&disk) == 0)
		ret = disk_insert(&disk);
	g_free(disk.target);
	g_free(disk.format);
	g_free(disk.vdev);
	g_free(disk.access);
	return ret;
}

/* ---- interfaces ---- */

struct vif {
	struct spec spec;
	virDomainNetDef *def;
	size_t index;
	bool has_mac;
};

static int vif_mac(struct vif *vif, const char *value)
{
	if (virMacAddrParse(value, &vif->def->mac) < 0)
		return refuse(&vif->spec, "'%.40s' is no MAC address", value);
	if (virMacAddrIsMulticast(&vif->def->mac))
		return refuse(&vif->spec, "'%.40s' is the address of a group, not of an interface", value);
	vif->has_mac = true;
	return 0;
}

static int vif_number(struct vif *vif, const char *key, const char *value)
{
	unsigned int number;

	if (virStrToLong_uip(value, NULL, 10, &number) < 0)
		return refuse(&vif->spec, "%s=%.20s: this is no number", key, value);
	if (STREQ(key, "mtu"))
		vif->def->mtu = number;
	else if (number != vif->index)
		return refuse(&vif->spec, "devid=%u: interfaces are numbered as they stand, this is %zu",
		              number, vif->index);
	return 0;
}

static int vif_type(struct vif *vif, const char *value)
{
	if (STREQ(value, "vif") || STREQ(value, "netfront"))
		return 0;
	if (STREQ(value, "ioemu") || STREQ(value, "paravirtualised"))
		return refuse(&vif->spec, "type=%s: it is of HVM guests; remove it", value);
	return refuse(&vif->spec, "type=%.20s: there is no such kind", value);
}

/* A card that QEMU would play is nothing for a paravirtual guest, and xl passes over it as well. */
static int vif_model(struct vif *vif, const char *value)
{
	if (STREQ(value, "netfront"))
		return virDomainNetSetModelString(vif->def, value);
	native_note(vif->spec.n, "vif: model= concerns HVM guests only");
	return 0;
}

static int vif_string(char **where, const char *value)
{
	g_free(*where);
	*where = *value ? g_strdup(value) : NULL;
	return 0;
}

/* "10Mb/s" or "1MB/s@20ms": what the guest may send; libvirt counts in KiB. */
static int vif_rate(struct vif *vif, const char *value)
{
	static const char suffixes[] = "KMG";
	unsigned long long rate = 0, factor = 1;
	const char *unit;
	char *end = NULL;
	size_t i;

	if (!g_ascii_isdigit(*value) || virStrToLong_ullp(value, &end, 10, &rate) < 0)
		rate = 0;
	for (i = 0; rate && suffixes[i]; i++) {
		factor *= 1000;
		if (*end == suffixes[i])
			break;
	}
	if (!rate || !suffixes[i])
		factor = 1;
	unit = rate && suffixes[i] ? end + 1 : end;
	if (!rate || rate > RATE_MAX / factor || (*unit != 'B' && *unit != 'b') ||
	    !STRPREFIX(unit + 1, "/s") || (unit[3] && unit[3] != '@'))
		return refuse(&vif->spec, "rate=%.40s: it is a number like 10Mb/s or 1MB/s", value);
	if (unit[3])
		native_note(vif->spec.n, "vif: the interval behind rate= is the kernel's own");
	rate *= factor;
	if (*unit == 'b')
		rate /= 8;
	if (!vif->def->bandwidth)
		vif->def->bandwidth = g_new0(virNetDevBandwidth, 1);
	if (!vif->def->bandwidth->out)
		vif->def->bandwidth->out = g_new0(virNetDevBandwidthRate, 1);
	vif->def->bandwidth->out->average = MAX((rate + 512) / 1024, 1);
	return 0;
}

static int vif_setting(struct vif *vif, const char *key, const char *value)
{
	if (STREQ(key, "mac"))
		return vif_mac(vif, value);
	if (STREQ(key, "bridge"))
		return vif_string(&vif->def->data.bridge.brname, value);
	if (STREQ(key, "vifname"))
		return vif_string(&vif->def->ifname, value);
	if (STREQ(key, "script"))
		return vif_string(&vif->def->script, value);
	if (STREQ(key, "model"))
		return vif_model(vif, value);
	if (STREQ(key, "type"))
		return vif_type(vif, value);
	if (STREQ(key, "mtu") || STREQ(key, "devid"))
		return vif_number(vif, key, value);
	if (STREQ(key, "backend"))
		return is_dom0(value) ? 0 : refuse(&vif->spec, "backend=: interfaces are served by Domain-0");
	if (STREQ(key, "rate"))
		return vif_rate(vif, value);
	if (STREQ(key, "gatewaydev") || STREQ(key, "netdev"))
		return refuse(&vif->spec, "%s=: interfaces are vifs on bridges, they are not routed", key);
	if (STREQ(key, "vlan"))
		return refuse(&vif->spec, "vlan=: it is for the script of xl; write <vlan> into the XML");
	if (STREQ(key, "accel"))
		return refuse(&vif->spec, "accel=: not supported by this driver");
	if (STRPREFIX(key, "colo") || STREQ(key, "forwarddev"))
		return refuse(&vif->spec, "%.40s=: there is no COLO", key);
	if (STREQ(key, "ip")) {
		/* vif-bridge lets this address pass, and a firewall that says no to all else needs a rule of its own. */
		native_note(vif->spec.n,
		            "vif: ip= makes no firewall rule; <filterref> keeps a guest to its address");
		return 0;
	}
	return refuse(&vif->spec, "%.40s=: xl-network-configuration(5) has no such key", key);
}

static int vif_part(struct vif *vif, char *part)
{
	char *equals;

	g_strstrip(part);
	equals = strchr(part, '=');
	if (equals) {
		*equals = '\0';
		return vif_setting(vif, g_strchomp(part), g_strchug(equals + 1));
	}
	if (STREQ(part, "") || STREQ(part, "trusted"))
		return 0;
	if (STREQ(part, "untrusted"))
		return refuse(&vif->spec, "untrusted: this cannot be told to the guest");
	return refuse(&vif->spec, "'%.40s': it is KEY=VALUE", part);
}

int native_read_vif(struct native *n, const char *text, size_t index)
{
	g_autoptr(virDomainNetDef) def = virDomainNetDefNew(n->xmlopt);
	g_auto(GStrv) parts = g_strsplit(text, ",", 0);
	struct vif vif = { .spec = { n, "vif", text }, .def = def, .index = index };
	size_t i;

	if (!def)
		return -1;
	def->type = VIR_DOMAIN_NET_TYPE_BRIDGE;
	for (i = 0; parts[i]; i++) {
		if (vif_part(&vif, parts[i]) < 0)
			return -1;
	}
	if (!vif.has_mac) {
		virDomainNetGenerateMAC(n->xmlopt, &def->mac);
		def->mac_generated = true;
	}
	if (!def->data.bridge.brname)
		def->data.bridge.brname = g_strdup(DEFAULT_BRIDGE);
	virDomainNetInsert(n->def, g_steal_pointer(&def));
	return 0;
}
