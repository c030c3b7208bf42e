/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Domain definitions become configuration files of xl, or of xm. The definition has passed check.c, so that all in it
 * is what this driver carries out; what the file cannot say of that is refused by its element. Titles, descriptions,
 * metadata and aliases are notes of libvirt's clients, which such a file has no place for: the log names them.
 */
#include "native.h"
#include "conf.h"

#include "virerror.h"
#include "virlog.h"
#include "virmacaddr.h"
#include "viruuid.h"

#define VIR_FROM_THIS VIR_FROM_XEN

VIR_LOG_INIT("xylem.nativewrite");

#define NOT_IN_XL "a configuration file of xl cannot say it"

static void put_string(GString *out, const char *key, const char *value)
{
	if (!value)
		return;
	g_string_append_printf(out, "%s = ", key);
	native_quote(out, value);
	g_string_append_c(out, '\n');
}

static void put_number(GString *out, const char *key, long long value)
{
	g_string_append_printf(out, "%s = %lld\n", key, value);
}

static void put_list(GString *out, const char *key, char **items)
{
	size_t i;

	if (!items[0])
		return;
	g_string_append_printf(out, "%s = [", key);
	for (i = 0; items[i]; i++) {
		g_string_append(out, i ? ", " : " ");
		native_quote(out, items[i]);
	}
	g_string_append(out, " ]\n");
}

/* Texts that a line of such a file holds. */
static int check_line(const char *element, const char *text)
{
	for (; text && *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return native_refuse("%s: control characters: " NOT_IN_XL, element);
	}
	return 0;
}

/* ---- what cannot be said ---- */

static int check_expressible(const virDomainDef *def)
{
	if (virDomainDefGetMemoryTotal(def) % 1024)
		return native_refuse("<memory>: %llu KiB are no whole MiB: " NOT_IN_XL,
		                     virDomainDefGetMemoryTotal(def));
	if (def->mem.cur_balloon % 1024)
		return native_refuse("<currentMemory>: %llu KiB are no whole MiB: " NOT_IN_XL,
		                     def->mem.cur_balloon);
	if (def->memballoon && def->memballoon->model == VIR_DOMAIN_MEMBALLOON_MODEL_NONE)
		return native_refuse("<memballoon model='none'>: " NOT_IN_XL);
	if (def->ngraphics)
		return native_refuse("<graphics>: screens are not converted; remove the element");
	if (!def->os.kernel && !def->ndisks)
		return native_refuse("<os> without <kernel>, and no <disk>: there is nothing to boot");
	if (!def->os.kernel && (def->os.initrd || def->os.cmdline))
		return native_refuse("<os><%s> without <kernel>: PV GRUB takes it from the guest's disk",
		                     def->os.initrd ? "initrd" : "cmdline");
	if (check_line("<os><cmdline>", def->os.cmdline) < 0)
		return -1;
	if (def->title || def->description || def->metadata)
		VIR_WARN("%s: <title>, <description> and <metadata> have no place in a file of xl",
		         def->name);
	return 0;
}

/* ---- vcpus ---- */

/* What xl calls a list of CPUs. */
static char *cpu_list(virBitmap *cpus)
{
	return cpus ? virBitmapFormat(cpus) : g_strdup("all");
}

static void put_cpus(GString *out, const virDomainDef *def)
{
	g_autoptr(GPtrArray) pins = g_ptr_array_new_with_free_func(g_free);
	bool pinned = false;
	size_t i;

	for (i = 0; i < def->maxvcpus; i++) {
		virBitmap *own = def->vcpus[i]->cpumask;

		pinned |= own != NULL;
		g_ptr_array_add(pins, cpu_list(own ? own : def->cpumask));
	}
	g_ptr_array_add(pins, NULL);
	if (pinned) {
		put_list(out, "cpus", (char **)pins->pdata);
	} else if (def->cpumask) {
		g_autofree char *all = cpu_list(def->cpumask);

		put_string(out, "cpus", all);
	}
}

/* xm has the most in vcpus, and a bit for each that is there at start: as libvirt wrote its files. */
static int put_vcpus(GString *out, const virDomainDef *def, enum native_format format)
{
	unsigned int vcpus = virDomainDefGetVcpus(def), most = virDomainDefGetVcpusMax(def);

	if (format == NATIVE_XL) {
		put_number(out, "vcpus", vcpus);
		if (most != vcpus)
			put_number(out, "maxvcpus", most);
	} else {
		put_number(out, "vcpus", most);
		if (most != vcpus && vcpus > 62)
			return native_refuse("<vcpu current='%u'>: a file of xm has room for 62", vcpus);
		if (most != vcpus)
			put_number(out, "vcpu_avail", (1LL << vcpus) - 1);
	}
	put_cpus(out, def);
	if (conf_weight(def))
		put_number(out, "cpu_weight", conf_weight(def));
	if (conf_cap(def))
		put_number(out, "cap", conf_cap(def));
	return 0;
}

/* ---- boot and clock ---- */

static void put_boot(GString *out, const virDomainDef *def, enum native_format format)
{
	const virDomainOSDef *os = &def->os;
	const char *last = os->bootloader ? strrchr(os->bootloader, '/') : NULL;

	if (!os->kernel) {
		/* PV GRUB has other names on other hosts, and this one all of them know. */
		put_string(out, "bootloader", last && STREQ(last, "/pygrub") ? os->bootloader : "pygrub");
		return;
	}
	put_string(out, "kernel", os->kernel);
	put_string(out, "ramdisk", os->initrd);
	put_string(out, format == NATIVE_XL ? "cmdline" : "extra", os->cmdline);
}

static void put_clock(GString *out, const virDomainDef *def, enum native_format format)
{
	const virDomainClockDef *clock = &def->clock;
	bool localtime = clock->offset == VIR_DOMAIN_CLOCK_OFFSET_LOCALTIME;
	size_t i;

	if (clock->offset == VIR_DOMAIN_CLOCK_OFFSET_VARIABLE)
		localtime = clock->data.variable.basis == VIR_DOMAIN_CLOCK_BASIS_LOCALTIME;
	if (localtime)
		put_number(out, "localtime", 1);
	if (clock->offset == VIR_DOMAIN_CLOCK_OFFSET_VARIABLE && clock->data.variable.adjustment)
		put_number(out, "rtc_timeoffset", clock->data.variable.adjustment);
	for (i = 0; i < clock->ntimers; i++) {
		bool emulated = clock->timers[i]->mode == VIR_DOMAIN_TIMER_MODE_EMULATE;

		if (clock->timers[i]->name != VIR_DOMAIN_TIMER_NAME_TSC)
			continue; /* one that is not there */
		if (format == NATIVE_XL)
			put_string(out, "tsc_mode", emulated ? "always_emulate" : "native");
		else
			put_number(out, "tsc_mode", emulated ? 1 : 2);
	}
}

/* ---- devices ---- */

/* xl finds out for itself what is a block device, and this driver only below /dev: elsewhere "phy:" says it. */
static bool is_phy(const virDomainDiskDef *disk)
{
	return virStorageSourceGetActualType(disk->src) == VIR_STORAGE_TYPE_BLOCK &&
	       !STRPREFIX(disk->src->path, "/dev/");
}

static int disk_check(const virDomainDiskDef *disk, enum native_format format)
{
	const char *path = disk->src->path;
	size_t length = path ? strlen(path) : 0;

	if (virStorageSourceGetActualType(disk->src) == VIR_STORAGE_TYPE_VOLUME)
		return native_refuse("<disk type='volume'> %s: xl knows no storage pools; name the file or "
		                     "the device",
		                     disk->dst);
	if (disk->cachemode != VIR_DOMAIN_DISK_CACHE_DEFAULT)
		return native_refuse("<disk> %s, cache='%s': " NOT_IN_XL, disk->dst,
		                     virDomainDiskCacheTypeToString(disk->cachemode));
	if (virDomainBlockIoTuneInfoHasAny(&disk->blkdeviotune))
		return native_refuse("<disk> %s, <iotune>: " NOT_IN_XL, disk->dst);
	if (conf_is_image(disk) && is_phy(disk))
		return native_refuse("<disk type='block'> %s, a %s image: " NOT_IN_XL " outside of /dev",
		                     disk->dst, virStorageFileFormatTypeToString(disk->src->format));
	if (disk->src->shared && format == NATIVE_XL)
		return native_refuse("<disk> %s, <shareable/>: " NOT_IN_XL, disk->dst);
	if (disk->discard != VIR_DOMAIN_DISK_DISCARD_DEFAULT && format == NATIVE_XM)
		return native_refuse("<disk> %s, discard='%s': a file of xm cannot say it", disk->dst,
		                     virDomainDiskDiscardTypeToString(disk->discard));
	/* Both have a meaning between the parts, unless the path is the last of them. */
	if (path[length - 1] == ',' || (strpbrk(path, ",=") && (format == NATIVE_XM || is_phy(disk))))
		return native_refuse("<disk> %s, <source> '%.120s': ',' or '=' in the path: " NOT_IN_XL,
		                     disk->dst, path);
	return 0;
}

static char *disk_xl(const virDomainDiskDef *disk)
{
	const char *driver = virDomainDiskGetDriver(disk), *path = disk->src->path;
	bool phy = is_phy(disk), cdrom = disk->device == VIR_DOMAIN_DISK_DEVICE_CDROM;
	GString *text = g_string_new(NULL);

	if (phy)
		g_string_append_printf(text, "phy:%s,%s%s,%s", path, disk->dst, cdrom ? ":cdrom" : "",
		                       disk->src->readonly ? "r" : "w");
	else
		g_string_append_printf(text, "format=%s,vdev=%s,access=%s%s",
		                       conf_is_image(disk) ? "qcow2" : "raw", disk->dst,
		                       disk->src->readonly ? "ro" : "rw", cdrom ? ",devtype=cdrom" : "");
	if (STREQ_NULLABLE(driver, "phy"))
		g_string_append(text, ",backendtype=phy");
	else if (STREQ_NULLABLE(driver, "qemu"))
		g_string_append(text, ",backendtype=qdisk");
	else if (driver && STRPREFIX(driver, "tap"))
		g_string_append(text, ",backendtype=tap");
	if (disk->discard != VIR_DOMAIN_DISK_DISCARD_DEFAULT)
		g_string_append(text,
		                disk->discard == VIR_DOMAIN_DISK_DISCARD_IGNORE ? ",no-discard" : ",discard");
	if (!phy)
		g_string_append_printf(text, ",target=%s", path);
	return g_string_free(text, FALSE);
}

static char *disk_xm(const virDomainDiskDef *disk)
{
	const virStorageSource *src = disk->src;

	return g_strdup_printf("%s:%s,%s%s,%s",
	                       conf_is_image(disk)                                            ? "tap:qcow2"
	                       : virStorageSourceGetActualType(src) == VIR_STORAGE_TYPE_BLOCK ? "phy"
	                                                                                      : "file",
	                       src->path, disk->dst,
	                       disk->device == VIR_DOMAIN_DISK_DEVICE_CDROM ? ":cdrom" : "",
	                       src->readonly ? "r"
	                       : src->shared ? "w!"
	                                     : "w");
}

static int put_disks(GString *out, const virDomainDef *def, enum native_format format)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
	size_t i;

	for (i = 0; i < def->ndisks; i++) {
		if (disk_check(def->disks[i], format) < 0)
			return -1;
		g_ptr_array_add(list, format == NATIVE_XL ? disk_xl(def->disks[i]) : disk_xm(def->disks[i]));
	}
	g_ptr_array_add(list, NULL);
	put_list(out, "disk", (char **)list->pdata);
	return 0;
}

static int nic_check(const virDomainNetDef *net, const char *bridge)
{
	const virNetDevBandwidth *limits = net->bandwidth;
	g_autofree char *name = conf_net_name(net);

	if (virDomainNetGetActualType(net) != VIR_DOMAIN_NET_TYPE_BRIDGE)
		return native_refuse("<interface type='%s'> %s: xl knows no networks of libvirt; name the "
		                     "bridge",
		                     virDomainNetTypeToString(net->type), name);
	if (net->linkstate == VIR_DOMAIN_NET_INTERFACE_LINK_STATE_DOWN)
		return native_refuse("<interface> %s, <link state='down'/>: " NOT_IN_XL, name);
	if (net->filter)
		return native_refuse("<interface> %s, <filterref>: " NOT_IN_XL, name);
	if (virDomainNetGetActualVlan(net))
		return native_refuse("<interface> %s, <vlan>: " NOT_IN_XL, name);
	if (conf_net_isolated(net))
		return native_refuse("<interface> %s, <port isolated='yes'>: " NOT_IN_XL, name);
	if (limits && limits->in)
		return native_refuse("<interface> %s, <bandwidth><inbound>: " NOT_IN_XL, name);
	if (limits && limits->out && (limits->out->peak || limits->out->burst))
		return native_refuse("<interface> %s, <outbound> with more than an average: " NOT_IN_XL,
		                     name);
	if (strchr(bridge, ',') || (net->ifname && strchr(net->ifname, ',')))
		return native_refuse("<interface> %s: a comma in a name: " NOT_IN_XL, name);
	return 0;
}

static char *nic_text(const virDomainNetDef *net)
{
	const char *bridge = virDomainNetGetActualBridgeName((virDomainNetDef *)net);
	char mac[VIR_MAC_STRING_BUFLEN];
	GString *text;

	virMacAddrFormat(&net->mac, mac);
	if (nic_check(net, bridge) < 0)
		return NULL;
	text = g_string_new(NULL);
	g_string_append_printf(text, "mac=%s,bridge=%s", mac, bridge);
	if (net->ifname)
		g_string_append_printf(text, ",vifname=%s", net->ifname);
	if (net->script)
		g_string_append_printf(text, ",script=%s", net->script);
	if (net->mtu)
		g_string_append_printf(text, ",mtu=%u", net->mtu);
	if (net->bandwidth && net->bandwidth->out)
		g_string_append_printf(text, ",rate=%lluB/s", net->bandwidth->out->average * 1024);
	if (virDomainNetGetModelString(net))
		g_string_append_printf(text, ",model=%s", virDomainNetGetModelString(net));
	return g_string_free(text, FALSE);
}

static int put_nics(GString *out, const virDomainDef *def)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
	size_t i;

	for (i = 0; i < def->nnets; i++) {
		char *text = nic_text(def->nets[i]);

		if (!text)
			return -1;
		g_ptr_array_add(list, text);
	}
	g_ptr_array_add(list, NULL);
	put_list(out, "vif", (char **)list->pdata);
	return 0;
}

static int put_channels(GString *out, const virDomainDef *def, enum native_format format)
{
	g_autoptr(GPtrArray) list = native_write_channels(def, format);

	if (!list)
		return -1;
	if (def->nchannels)
		put_list(out, "channel", (char **)list->pdata);
	return 0;
}

static int put_cpuid(GString *out, const virDomainDef *def, enum native_format format)
{
	g_autofree char *text = NULL;

	if (!def->cpu || !def->cpu->nfeatures)
		return 0;
	if (format == NATIVE_XM)
		return native_refuse("<cpu><feature>: " NOT_IN_XL);
	text = native_write_cpuid(def->cpu);
	put_string(out, "cpuid", text);
	return 0;
}

char *native_write(const virDomainDef *def, enum native_format format)
{
	unsigned long long most = virDomainDefGetMemoryTotal(def);
	char uuid[VIR_UUID_STRING_BUFLEN];
	GString *out;

	if (check_expressible(def) < 0)
		return NULL;
	out = g_string_new(NULL);
	put_string(out, "name", def->name);
	virUUIDFormat(def->uuid, uuid);
	put_string(out, "uuid", uuid);
	if (format == NATIVE_XL)
		put_string(out, "type", "pv");
	else
		put_string(out, "builder", "linux");
	put_number(out, "memory", (long long)(def->mem.cur_balloon / 1024));
	if (most != def->mem.cur_balloon)
		put_number(out, "maxmem", (long long)(most / 1024));
	if (put_vcpus(out, def, format) < 0)
		goto error;
	if (put_cpuid(out, def, format) < 0)
		goto error;
	put_boot(out, def, format);
	put_string(out, "on_poweroff", virDomainLifecycleActionTypeToString(def->onPoweroff));
	put_string(out, "on_reboot", virDomainLifecycleActionTypeToString(def->onReboot));
	put_string(out, "on_crash", virDomainLifecycleActionTypeToString(def->onCrash));
	put_clock(out, def, format);
	if (put_disks(out, def, format) < 0 || put_nics(out, def) < 0 || put_channels(out, def, format) < 0)
		goto error;
	return g_string_free(out, FALSE);

error:
	g_string_free(out, TRUE);
	return NULL;
}
