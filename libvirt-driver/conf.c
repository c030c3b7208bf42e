/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A domain definition becomes the dictionary that xylemd builds a guest from.
 *
 * A pure function of the definition: the same XML gives the same dictionary, key by key in a fixed order,
 * which the golden tests in tests/xml rely on. What cannot be expressed was refused by check.c, which runs
 * first.
 */
#include "conf.h"
#include "check.h"
#include "consolecheck.h"
#include "iotunecheck.h"
#include "screencheck.h"

#include "compat.h"
#include "cpuhide.h"
#include "virerror.h"
#include "virlog.h"
#include "virmacaddr.h"
#include "virstring.h"
#include "viruuid.h"

#define VIR_FROM_THIS VIR_FROM_XEN

VIR_LOG_INIT("xylem.conf");

static void add_string(GVariantBuilder *b, const char *key, const char *value)
{
	if (value)
		g_variant_builder_add(b, "{sv}", key, g_variant_new_string(value));
}

static void add_flag(GVariantBuilder *b, const char *key, bool value)
{
	if (value)
		g_variant_builder_add(b, "{sv}", key, g_variant_new_boolean(true));
}

static void add_uint(GVariantBuilder *b, const char *key, uint32_t value)
{
	g_variant_builder_add(b, "{sv}", key, g_variant_new_uint32(value));
}

static GVariant *cpumap_variant(virBitmap *map)
{
	g_autofree unsigned char *bytes = NULL;
	int length = 0;

	virBitmapToData(map, &bytes, &length);
	return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, bytes, (gsize)length, 1);
}

/*
 * xvda to xvdzz, sda to sdp and hda to hdd, with the number of a partition or without: what the front ends of
 * guests know.
 */
int conf_disk_number(const char *name)
{
	static const struct {
		const char *prefix;
		unsigned int disks, partitions;
	} kinds[] = { { "xvd", 26 * 27, 255 }, { "sd", 16, 15 }, { "hd", 4, 63 } };
	unsigned int disk = 0, partition = 0, letters = 0;
	const char *p;
	size_t kind;

	for (kind = 0; name && kind < G_N_ELEMENTS(kinds) && !STRPREFIX(name, kinds[kind].prefix); kind++)
		;
	if (!name || kind == G_N_ELEMENTS(kinds))
		return -1;
	for (p = name + strlen(kinds[kind].prefix); g_ascii_islower(*p) && letters < 3; p++, letters++)
		disk = disk * 26 + (unsigned int)(*p - 'a') + 1;
	if (!letters || disk-- > kinds[kind].disks)
		return -1;
	if (*p && (!g_ascii_isdigit(*p) || *p == '0' || virStrToLong_ui(p, NULL, 10, &partition) < 0 ||
	           partition > kinds[kind].partitions))
		return -1;
	if (kind == 0)
		return (int)(disk < 16 && partition < 16 ? 202u << 8 | disk << 4 | partition
		                                         : 1u << 28 | disk << 8 | partition);
	if (kind == 1)
		return (int)(8u << 8 | disk << 4 | partition);
	return (int)((disk < 2 ? 3u : 22u) << 8 | (disk & 1) << 6 | partition);
}

bool conf_is_image(const virDomainDiskDef *disk)
{
	return virDomainDiskGetFormat((virDomainDiskDef *)disk) == VIR_STORAGE_FILE_QCOW2;
}

static const char *cache_word(const virDomainDiskDef *disk)
{
	switch (disk->cachemode) {
	case VIR_DOMAIN_DISK_CACHE_DISABLE:
		return "none";
	case VIR_DOMAIN_DISK_CACHE_WRITEBACK:
		return "writeback";
	default:
		return NULL;
	}
}

static void disk_fill(GVariantBuilder *b, const virDomainDiskDef *disk)
{
	struct io_limits limits;

	add_string(b, "vdev", disk->dst);
	add_string(b, "source", disk->src->path);
	add_string(b, "type",
	           virStorageSourceGetActualType(disk->src) == VIR_STORAGE_TYPE_BLOCK ? "block" : "file");
	add_flag(b, "readonly", disk->src->readonly);
	add_flag(b, "shareable", disk->src->shared);
	add_string(b, "cache", cache_word(disk));
	if (disk->device == VIR_DOMAIN_DISK_DEVICE_CDROM)
		add_string(b, "device", "cdrom");
	if (conf_is_image(disk))
		add_string(b, "format", virStorageFileFormatTypeToString(disk->src->format));
	iotune_take(&limits, &disk->blkdeviotune);
	if (io_limits_any(&limits))
		g_variant_builder_add(b, "{sv}", "limits", conf_limits(&limits));
	if (disk->discard == VIR_DOMAIN_DISK_DISCARD_IGNORE)
		g_variant_builder_add(b, "{sv}", "discard", g_variant_new_boolean(false));
}

bool conf_net_isolated(const virDomainNetDef *net)
{
	return virDomainNetGetActualPortOptionsIsolated(net) == VIR_TRISTATE_BOOL_YES;
}

bool conf_net_held(const virDomainNetDef *net)
{
	const virNetDevBandwidth *limits = virDomainNetGetActualBandwidth(net);

	return net->filter || (limits && (limits->in || limits->out)) || conf_net_isolated(net) ||
	       virDomainNetGetActualVlan(net);
}

static void nic_fill(GVariantBuilder *b, const virDomainNetDef *net)
{
	char mac[VIR_MAC_STRING_BUFLEN];

	add_string(b, "mac", virMacAddrFormat(&net->mac, mac));
	add_string(b, "bridge", virDomainNetGetActualBridgeName((virDomainNetDef *)net));
	add_string(b, "ifname", net->ifname);
	if (net->mtu)
		add_uint(b, "mtu", net->mtu);
	add_string(b, "model", "netfront");
	if (net->linkstate == VIR_DOMAIN_NET_INTERFACE_LINK_STATE_DOWN)
		g_variant_builder_add(b, "{sv}", "link", g_variant_new_boolean(false));
	if (conf_net_held(net))
		g_variant_builder_add(b, "{sv}", "hold", g_variant_new_boolean(true));
}

static GVariant *disks_variant(const virDomainDef *def)
{
	GVariantBuilder list;
	size_t i;

	g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
	for (i = 0; i < def->ndisks; i++) {
		g_variant_builder_open(&list, G_VARIANT_TYPE("a{sv}"));
		disk_fill(&list, def->disks[i]);
		g_variant_builder_close(&list);
	}
	return g_variant_builder_end(&list);
}

static GVariant *nics_variant(const virDomainDef *def)
{
	GVariantBuilder list;
	size_t i;

	g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
	for (i = 0; i < def->nnets; i++) {
		g_variant_builder_open(&list, G_VARIANT_TYPE("a{sv}"));
		nic_fill(&list, def->nets[i]);
		g_variant_builder_close(&list);
	}
	return g_variant_builder_end(&list);
}

unsigned int conf_weight(const virDomainDef *def)
{
	return def->cputune.sharesSpecified ? (unsigned int)def->cputune.shares : 0;
}

/*
 * <global_quota> over <global_period> limits the whole guest, <quota> over <period> each of its vcpus;
 * libvirt's periods are 100,000 us where they are not given. A cap is in per cent of one CPU.
 */
unsigned int conf_cap(const virDomainDef *def)
{
	const virDomainCputune *tune = &def->cputune;
	unsigned long long cap = 0;

	if (tune->global_quota > 0)
		cap = tune->global_quota * 100ULL / (tune->global_period ? tune->global_period : 100000);
	else if (tune->quota > 0)
		cap = tune->quota * 100ULL * virDomainDefGetVcpus(def) /
		      (tune->period ? tune->period : 100000);
	else
		return 0;
	return cap ? (unsigned int)MIN(cap, 100ULL * virDomainDefGetVcpusMax(def)) : 1;
}

/* Who answers the guest's readings of the TSC; checked. NULL: as the hypervisor decides. */
static const char *tsc_mode(const virDomainDef *def)
{
	size_t i;

	for (i = 0; i < def->clock.ntimers; i++) {
		if (def->clock.timers[i]->name == VIR_DOMAIN_TIMER_NAME_TSC)
			return def->clock.timers[i]->mode == VIR_DOMAIN_TIMER_MODE_EMULATE ? "emulate"
			                                                                   : "native";
	}
	return NULL;
}

static int clock_fill(GVariantBuilder *b, const virDomainDef *def)
{
	const char *tsc = tsc_mode(def);

	if (tsc)
		add_string(b, "tsc", tsc);
	switch (def->clock.offset) {
	case VIR_DOMAIN_CLOCK_OFFSET_UTC:
		add_string(b, "clock_offset", "utc");
		return 0;
	case VIR_DOMAIN_CLOCK_OFFSET_LOCALTIME:
		add_string(b, "clock_offset", "localtime");
		return 0;
	case VIR_DOMAIN_CLOCK_OFFSET_VARIABLE:
		add_string(b, "clock_offset",
		           def->clock.data.variable.basis == VIR_DOMAIN_CLOCK_BASIS_LOCALTIME ? "localtime"
		                                                                              : "utc");
		g_variant_builder_add(b, "{sv}", "clock_adjustment",
		                      g_variant_new_int64(def->clock.data.variable.adjustment));
		return 0;
	default:
		virReportError(VIR_ERR_CONFIG_UNSUPPORTED, "<clock offset='%s'> is not supported",
		               virDomainClockOffsetTypeToString(def->clock.offset));
		return -1;
	}
}

static int cpu_fill(GVariantBuilder *b, const virDomainDef *def)
{
	unsigned int weight = conf_weight(def), cap = conf_cap(def);
	GVariant *hidden = cpuhide_variant(def->cpu);
	GVariantBuilder pins;
	bool pinned = false;
	size_t i;

	add_uint(b, "vcpus", virDomainDefGetVcpus(def));
	add_uint(b, "max_vcpus", virDomainDefGetVcpusMax(def));
	if (weight)
		add_uint(b, "weight", weight);
	if (cap)
		add_uint(b, "cap", cap);
	if (hidden)
		g_variant_builder_add(b, "{sv}", "cpu_hidden", hidden);
	if (def->cpumask)
		g_variant_builder_add(b, "{sv}", "cpumap", cpumap_variant(def->cpumask));
	g_variant_builder_init(&pins, G_VARIANT_TYPE("a(uay)"));
	for (i = 0; i < def->maxvcpus; i++) {
		if (!def->vcpus[i]->cpumask)
			continue;
		g_variant_builder_add(&pins, "(u@ay)", (uint32_t)i, cpumap_variant(def->vcpus[i]->cpumask));
		pinned = true;
	}
	if (pinned)
		g_variant_builder_add(b, "{sv}", "vcpu_pins", g_variant_builder_end(&pins));
	else
		g_variant_builder_clear(&pins);
	return 0;
}

char *conf_net_name(const virDomainNetDef *net)
{
	char mac[VIR_MAC_STRING_BUFLEN];

	if (!net->mac_generated)
		return g_strdup(virMacAddrFormat(&net->mac, mac));
	if (net->ifname)
		return g_strdup_printf("%.40s", net->ifname);
	if (net->type == VIR_DOMAIN_NET_TYPE_BRIDGE && net->data.bridge.brname)
		return g_strdup_printf("on %.40s", net->data.bridge.brname);
	if (net->type == VIR_DOMAIN_NET_TYPE_NETWORK && net->data.network.name)
		return g_strdup_printf("on the network %.40s", net->data.network.name);
	if (net->type == VIR_DOMAIN_NET_TYPE_DIRECT && net->data.direct.linkdev)
		return g_strdup_printf("on %.40s", net->data.direct.linkdev);
	return g_strdup("without <mac>");
}

/* What the checks let through because it is resolved at start must have been resolved by now. */
static int check_resolved(const virDomainDeviceDef *dev)
{
	if (dev->type == VIR_DOMAIN_DEVICE_DISK &&
	    virStorageSourceGetActualType(dev->data.disk->src) == VIR_STORAGE_TYPE_VOLUME) {
		virReportError(VIR_ERR_CONFIG_UNSUPPORTED, "<disk> %s: its storage volume has not been found",
		               dev->data.disk->dst);
		return -1;
	}
	if (dev->type == VIR_DOMAIN_DEVICE_NET &&
	    virDomainNetGetActualType(dev->data.net) != VIR_DOMAIN_NET_TYPE_BRIDGE &&
	    !virDomainNetGetActualBridgeName(dev->data.net)) {
		g_autofree char *name = conf_net_name(dev->data.net);

		virReportError(VIR_ERR_CONFIG_UNSUPPORTED,
		               "<interface type='network'> %s: the network has no bridge", name);
		return -1;
	}
	return 0;
}

static int check_all(const virDomainDef *def)
{
	size_t i;

	if (check_domain(def) < 0)
		return -1;
	for (i = 0; i < def->ndisks; i++) {
		virDomainDeviceDef dev = { .type = VIR_DOMAIN_DEVICE_DISK, .data.disk = def->disks[i] };

		if (check_device(&dev, def) < 0 || check_resolved(&dev) < 0)
			return -1;
	}
	for (i = 0; i < def->nnets; i++) {
		virDomainDeviceDef dev = { .type = VIR_DOMAIN_DEVICE_NET, .data.net = def->nets[i] };

		if (check_device(&dev, def) < 0 || check_resolved(&dev) < 0)
			return -1;
	}
	return 0;
}

GVariant *conf_guest(const virDomainDef *def)
{
	char uuid[VIR_UUID_STRING_BUFLEN];
	GVariantBuilder b;

	if (check_all(def) < 0)
		return NULL;

	g_variant_builder_init(&b, G_VARIANT_TYPE("a{sv}"));
	virUUIDFormat(def->uuid, uuid);
	add_string(&b, "name", def->name);
	add_string(&b, "uuid", uuid);
	g_variant_builder_add(&b, "{sv}", "memory_kib", g_variant_new_uint64(def->mem.cur_balloon));
	g_variant_builder_add(&b, "{sv}", "max_memory_kib",
	                      g_variant_new_uint64(virDomainDefGetMemoryTotal(def)));
	if (cpu_fill(&b, def) < 0)
		goto error;
	add_string(&b, "kernel", def->os.kernel);
	add_string(&b, "ramdisk", def->os.initrd);
	add_string(&b, "cmdline", def->os.cmdline);
	add_string(&b, "on_poweroff", virDomainLifecycleActionTypeToString(def->onPoweroff));
	add_string(&b, "on_reboot", virDomainLifecycleActionTypeToString(def->onReboot));
	add_string(&b, "on_crash", virDomainLifecycleActionTypeToString(def->onCrash));
	if (clock_fill(&b, def) < 0)
		goto error;
	add_uint(&b, "consoles", def->nconsoles ? 1 : 0);
	if (conf_console_count(def) > 1)
		g_variant_builder_add(&b, "{sv}", "console_devices", conf_consoles(def));
	g_variant_builder_add(&b, "{sv}", "disks", disks_variant(def));
	g_variant_builder_add(&b, "{sv}", "nics", nics_variant(def));
	if (def->ngraphics)
		g_variant_builder_add(&b, "{sv}", "screens", conf_screens(def));
	return g_variant_builder_end(&b);

error:
	g_variant_builder_clear(&b);
	return NULL;
}

GVariant *conf_device(const virDomainDeviceDef *dev, const virDomainDef *def)
{
	GVariantBuilder b;

	if (check_device(dev, def) < 0 || check_resolved(dev) < 0)
		return NULL;
	g_variant_builder_init(&b, G_VARIANT_TYPE("a{sv}"));
	if (dev->type == VIR_DOMAIN_DEVICE_DISK) {
		add_string(&b, "class", "disk");
		disk_fill(&b, dev->data.disk);
	} else {
		add_string(&b, "class", "nic");
		nic_fill(&b, dev->data.net);
	}
	return g_variant_builder_end(&b);
}

GVariant *conf_device_key(const virDomainDeviceDef *dev, bool force)
{
	char mac[VIR_MAC_STRING_BUFLEN];
	GVariantBuilder b;

	g_variant_builder_init(&b, G_VARIANT_TYPE("a{sv}"));
	if (dev->type == VIR_DOMAIN_DEVICE_DISK) {
		add_string(&b, "class", "disk");
		add_string(&b, "vdev", dev->data.disk->dst);
	} else {
		add_string(&b, "class", "nic");
		add_string(&b, "mac", virMacAddrFormat(&dev->data.net->mac, mac));
	}
	add_flag(&b, "force", force);
	return g_variant_builder_end(&b);
}
