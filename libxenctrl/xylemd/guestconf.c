/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest configuration: decode, check, encode; see guestconf.h. */
#include "guestconf.h"

#include <string.h>

#include "confkeys.h"
#include "consoleconf.h"
#include "cpuconf.h"
#include "error.h"
#include "limitconf.h"

#define MAX_NAME_BYTES  255
#define DOWNTIME_US_MAX 60000000u
#define THROTTLE_MAX    99u

static const struct key guest_keys[] = {
	{ "name", "s", true },          { "uuid", "s", true },
	{ "memory_kib", "t", true },    { "max_memory_kib", "t", false },
	{ "vcpus", "u", false },        { "max_vcpus", "u", false },
	{ "kernel", "s", true },        { "ramdisk", "s", false },
	{ "cmdline", "s", false },      { "on_poweroff", "s", false },
	{ "on_reboot", "s", false },    { "on_crash", "s", false },
	{ "weight", "u", false },       { "cap", "u", false },
	{ "cpumap", "ay", false },      { "vcpu_pins", "a(uay)", false },
	{ "clock_offset", "s", false }, { "clock_adjustment", "x", false },
	{ "consoles", "u", false },     { "console_devices", "aa{sv}", false },
	{ "disks", "aa{sv}", false },   { "nics", "aa{sv}", false },
	{ "screens", "aa{sv}", false }, { "tsc", "s", false },
	{ "opaque", "s", false },       { "cpu_hidden", "a(uuuuuu)", false },
};

static const struct key disk_keys[] = {
	{ "class", "s", false },  { "vdev", "s", true },        { "source", "s", true },
	{ "type", "s", true },    { "readonly", "b", false },   { "shareable", "b", false },
	{ "cache", "s", false },  { "discard", "b", false },    { "device", "s", false },
	{ "format", "s", false }, { "limits", "a{st}", false },
};

static const struct key nic_keys[] = {
	{ "class", "s", false }, { "mac", "s", true },    { "bridge", "s", true }, { "ifname", "s", false },
	{ "mtu", "u", false },   { "model", "s", false }, { "link", "b", false },  { "hold", "b", false },
};

static const struct key screen_keys[] = {
	{ "class", "s", false }, { "type", "s", true },    { "listen", "s", false },
	{ "port", "u", false },  { "socket", "s", false },
};

static const struct key scheduler_keys[] = {
	{ "weight", "u", false },
	{ "cap", "u", false },
};

static const struct key migration_keys[] = {
	{ "bandwidth", "t", false },
	{ "max_downtime_us", "t", false },
	{ "throttle_initial", "u", false },
	{ "throttle_increment", "u", false },
};

static const struct key ref_keys[] = {
	{ "class", "s", true },
	{ "vdev", "s", false },
	{ "mac", "s", false },
	{ "force", "b", false },
};

static const char *const action_names[] = { "destroy",        "restart",          "preserve",
	                                    "rename-restart", "coredump-destroy", "coredump-restart" };
static const char *const cache_names[] = { "default", "none", "writeback" };
static const char *const format_names[] = { "raw", "qcow2" };
static const char *const clock_names[] = { "utc", "localtime", "variable" };
static const char *const tsc_names[] = { "default", "emulate", "native" };

static bool get_action(GVariantDict *dict, const char *key, const char *what, enum policy_action *out,
                       GError **error)
{
	int action = (int)*out;

	if (!keys_choice(dict, key, action_names, G_N_ELEMENTS(action_names), what, &action, error))
		return false;
	*out = (enum policy_action)action;
	return true;
}

static bool cpumap_ok(GBytes *map)
{
	gsize size, i;
	const uint8_t *bytes = g_bytes_get_data(map, &size);

	if (size > GUESTCONF_MAX_CPUMAP)
		return false;
	for (i = 0; i < size; i++) {
		if (bytes[i])
			return true;
	}
	return false;
}

static GBytes *cpumap_from_variant(GVariant *array)
{
	gsize size;
	const void *bytes = g_variant_get_fixed_array(array, &size, 1);

	return g_bytes_new(bytes, size);
}

bool mac_parse(const char *text, uint8_t mac[6])
{
	int i;

	if (strlen(text) != 17)
		return false;
	for (i = 0; i < 6; i++) {
		int high = g_ascii_xdigit_value(text[3 * i]), low = g_ascii_xdigit_value(text[3 * i + 1]);

		if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* The letters after the prefix: a..z, then aa..zz; -1 when there is none or too many. */
static int disk_letters(const char **text)
{
	int value = -1, count = 0;

	while (**text >= 'a' && **text <= 'z') {
		if (++count > 2)
			return -1;
		value = (value + 1) * 26 + (**text - 'a');
		(*text)++;
	}
	return value;
}

bool vdev_to_devid(const char *vdev, uint32_t *devid)
{
	static const struct {
		const char *prefix;
		int disk_max, partition_max;
	} kinds[] = { { "xvd", 26 * 27 - 1, 255 }, { "sd", 15, 15 }, { "hd", 3, 63 } };
	const char *text;
	int kind, disk;
	guint64 partition = 0;

	for (kind = 0; kind < 3 && !g_str_has_prefix(vdev, kinds[kind].prefix); kind++)
		;
	if (kind == 3)
		return false;
	text = vdev + strlen(kinds[kind].prefix);
	disk = disk_letters(&text);
	if (disk < 0 || disk > kinds[kind].disk_max)
		return false;
	if (*text &&
	    (*text == '0' ||
	     !g_ascii_string_to_unsigned(text, 10, 1, (guint64)kinds[kind].partition_max, &partition, NULL)))
		return false;
	switch (kind) {
	case 0:
		if (disk < 16 && partition < 16)
			*devid = 202u << 8 | (uint32_t)disk << 4 | (uint32_t)partition;
		else
			*devid = 1u << 28 | (uint32_t)disk << 8 | (uint32_t)partition;
		return true;
	case 1:
		*devid = 8u << 8 | (uint32_t)disk << 4 | (uint32_t)partition;
		return true;
	default:
		*devid = (disk < 2 ? 3u : 22u) << 8 | (uint32_t)(disk & 1) << 6 | (uint32_t)partition;
		return true;
	}
}

struct disk_conf *disk_conf_parse(GVariant *given, const char *what, GError **error)
{
	static const char *const types[] = { "block", "file" }, *const devices[] = { "disk", "cdrom" };
	g_auto(GVariantDict) held = G_VARIANT_DICT_INIT(NULL);
	GVariantDict *dict = &held;
	g_autoptr(GVariant) limits = NULL;
	struct disk_conf *disk;
	gboolean flag;
	int type = 0, device = 0, cache = DISK_CACHE_DEFAULT, format = DISK_RAW;

	if (!keys_take(given, disk_keys, G_N_ELEMENTS(disk_keys), what, dict, error))
		return NULL;
	disk = g_new0(struct disk_conf, 1);
	disk->vdev = keys_string(dict, "vdev");
	disk->source = keys_string(dict, "source");
	disk->discard = true;
	if (g_variant_dict_lookup(dict, "readonly", "b", &flag))
		disk->readonly = flag;
	if (g_variant_dict_lookup(dict, "shareable", "b", &flag))
		disk->shareable = flag;
	if (g_variant_dict_lookup(dict, "discard", "b", &flag))
		disk->discard = flag;
	if (!vdev_to_devid(disk->vdev, &disk->devid)) {
		xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: vdev \"%.64s\" is no virtual disk's name",
		        what, disk->vdev);
		goto fail;
	}
	if (!keys_check_path(disk->source, what, "source", error) ||
	    !keys_choice(dict, "type", types, G_N_ELEMENTS(types), what, &type, error) ||
	    !keys_choice(dict, "device", devices, G_N_ELEMENTS(devices), what, &device, error) ||
	    !keys_choice(dict, "cache", cache_names, G_N_ELEMENTS(cache_names), what, &cache, error) ||
	    !keys_choice(dict, "format", format_names, G_N_ELEMENTS(format_names), what, &format, error))
		goto fail;
	disk->is_file = type == 1;
	disk->cdrom = device == 1;
	disk->readonly = disk->readonly || disk->cdrom;
	disk->cache = (enum disk_cache)cache;
	disk->format = (enum disk_format)format;
	if (disk->format != DISK_RAW && disk->shareable) {
		xd_fail(error, XD_ERROR_NOT_SUPPORTED,
		        "%s: format=\"%s\" cannot be shareable: two QEMUs that write to it would spoil it",
		        what, format_names[disk->format]);
		goto fail;
	}
	if (!disk->is_file && disk->cache == DISK_CACHE_WRITEBACK) {
		xd_fail(error, XD_ERROR_NOT_SUPPORTED, "%s: cache=\"writeback\" needs a file disk", what);
		goto fail;
	}
	limits = g_variant_dict_lookup_value(dict, "limits", G_VARIANT_TYPE("a{st}"));
	if (limits && !disk_conf_limits(disk, limits, what, error))
		goto fail;
	return disk;
fail:
	disk_conf_free(disk);
	return NULL;
}

bool disk_conf_limits(struct disk_conf *disk, GVariant *given, const char *what, GError **error)
{
	struct io_limits limits;

	if (!limits_parse(given, what, &limits, error))
		return false;
	if (disk->format == DISK_RAW)
		return xd_fail(
		        error, XD_ERROR_NOT_SUPPORTED,
		        "%s: limits: the kernel serves raw disks, and limits none; QEMU serves qcow2 images",
		        what);
	disk->limits = limits;
	return true;
}

/* What the kernel accepts as an interface's name. */
static bool ifname_ok(const char *name)
{
	gsize length = strlen(name), i;

	if (length < 1 || length > 15 || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (i = 0; i < length; i++) {
		if ((unsigned char)name[i] <= 0x20 || (unsigned char)name[i] >= 0x7f ||
		    strchr("/:%", name[i]))
			return false;
	}
	return true;
}

struct nic_conf *nic_conf_parse(GVariant *given, const char *what, GError **error)
{
	g_auto(GVariantDict) held = G_VARIANT_DICT_INIT(NULL);
	GVariantDict *dict = &held;
	g_autofree char *mac = NULL;
	g_autofree char *model = NULL;
	struct nic_conf *nic;
	gboolean up = TRUE, hold = FALSE;
	static const uint8_t zero[6];

	if (!keys_take(given, nic_keys, G_N_ELEMENTS(nic_keys), what, dict, error))
		return NULL;
	nic = g_new0(struct nic_conf, 1);
	mac = keys_string(dict, "mac");
	model = keys_string(dict, "model");
	nic->bridge = keys_string(dict, "bridge");
	nic->ifname = keys_string(dict, "ifname");
	g_variant_dict_lookup(dict, "link", "b", &up);
	g_variant_dict_lookup(dict, "hold", "b", &hold);
	nic->link_down = !up;
	nic->hold = hold;
	if (!mac_parse(mac, nic->mac) || (nic->mac[0] & 1) || !memcmp(nic->mac, zero, 6))
		xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: mac \"%.32s\" is no unicast address", what,
		        mac);
	else if (!ifname_ok(nic->bridge))
		xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: bridge \"%.32s\" is no interface's name", what,
		        nic->bridge);
	else if (nic->ifname && !ifname_ok(nic->ifname))
		xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: ifname \"%.32s\" is no interface's name", what,
		        nic->ifname);
	else if (nic->ifname && g_str_has_prefix(nic->ifname, "vif"))
		xd_fail(error, XD_ERROR_INVALID_ARGUMENT,
		        "%s: ifname \"%.32s\": names that begin with vif are the kernel's own", what,
		        nic->ifname);
	else if (model && strcmp(model, "netfront"))
		xd_fail(error, XD_ERROR_NOT_SUPPORTED, "%s: model \"%.32s\" is not available, only netfront",
		        what, model);
	else if (g_variant_dict_lookup(dict, "mtu", "u", &nic->mtu) &&
	         (nic->mtu < GUEST_MTU_MIN || nic->mtu > GUEST_MTU_MAX))
		xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: mtu %u is outside 68..65535", what, nic->mtu);
	else {
		g_snprintf(nic->mac_text, sizeof(nic->mac_text), "%02x:%02x:%02x:%02x:%02x:%02x", nic->mac[0],
		           nic->mac[1], nic->mac[2], nic->mac[3], nic->mac[4], nic->mac[5]);
		return nic;
	}
	nic_conf_free(nic);
	return NULL;
}

struct screen_conf *screen_conf_parse(GVariant *given, const char *what, GError **error)
{
	g_auto(GVariantDict) held = G_VARIANT_DICT_INIT(NULL);
	GVariantDict *dict = &held;
	g_autofree char *type = NULL;
	struct screen_conf *screen;

	if (!keys_take(given, screen_keys, G_N_ELEMENTS(screen_keys), what, dict, error))
		return NULL;
	screen = g_new0(struct screen_conf, 1);
	type = keys_string(dict, "type");
	screen->listen = keys_string(dict, "listen");
	screen->socket = keys_string(dict, "socket");
	g_variant_dict_lookup(dict, "port", "u", &screen->port);
	if (strcmp(type, "vnc"))
		xd_fail(error, XD_ERROR_NOT_SUPPORTED, "%s: type \"%.32s\" is not available, only vnc", what,
		        type);
	else if (screen->socket && (screen->listen || screen->port))
		xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: a socket has neither listen nor port", what);
	else if (screen->socket && strlen(screen->socket) > GUEST_SOCKET_MAX)
		xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: socket is longer than %d bytes", what,
		        GUEST_SOCKET_MAX);
	else if (screen->socket && !keys_check_path(screen->socket, what, "socket", error))
		;
	else if (screen->listen && !keys_is_address(screen->listen))
		xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: listen \"%.64s\" is no address in figures",
		        what, screen->listen);
	else if (screen->port && (screen->port < GUEST_VNC_PORT_MIN || screen->port > GUEST_VNC_PORT_MAX))
		xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: port %u is outside %d..%d", what, screen->port,
		        GUEST_VNC_PORT_MIN, GUEST_VNC_PORT_MAX);
	else {
		if (!screen->socket && !screen->listen)
			screen->listen = g_strdup("127.0.0.1");
		return screen;
	}
	screen_conf_free(screen);
	return NULL;
}

const char *disk_format_name(enum disk_format format)
{
	return format_names[format];
}

bool guestconf_has_images(const struct guestconf *conf)
{
	guint i;

	for (i = 0; i < conf->disks->len; i++)
		if (((struct disk_conf *)g_ptr_array_index(conf->disks, i))->format != DISK_RAW)
			return true;
	return false;
}

void disk_conf_free(struct disk_conf *disk)
{
	if (!disk)
		return;
	g_free(disk->vdev);
	g_free(disk->source);
	g_free(disk);
}

void nic_conf_free(struct nic_conf *nic)
{
	if (!nic)
		return;
	g_free(nic->bridge);
	g_free(nic->ifname);
	g_free(nic);
}

void screen_conf_free(struct screen_conf *screen)
{
	if (!screen)
		return;
	g_free(screen->listen);
	g_free(screen->socket);
	g_free(screen);
}

const char *device_class(GVariant *given, GError **error)
{
	const char *class = NULL;

	g_variant_lookup(given, "class", "&s", &class);
	if (class && !strcmp(class, "disk"))
		return "disk";
	if (class && !strcmp(class, "nic"))
		return "nic";
	if (class && !strcmp(class, "screen"))
		return "screen";
	if (class && !strcmp(class, "console"))
		return "console";
	xd_fail(error, XD_ERROR_INVALID_ARGUMENT,
	        "device: class is \"%.32s\", not disk, nic, screen or console", class ? class : "");
	return NULL;
}

bool device_ref_parse(GVariant *given, struct device_ref *ref, GError **error)
{
	g_auto(GVariantDict) held = G_VARIANT_DICT_INIT(NULL);
	GVariantDict *dict = &held;
	const char *class = device_class(given, error);
	g_autofree char *mac = NULL;
	uint8_t bytes[6];
	gboolean force = FALSE;

	memset(ref, 0, sizeof(*ref));
	if (!class || !keys_take(given, ref_keys, G_N_ELEMENTS(ref_keys), class, dict, error))
		return false;
	ref->class = class;
	mac = keys_string(dict, "mac");
	g_variant_dict_lookup(dict, "force", "b", &force);
	ref->force = force;
	ref->vdev = keys_string(dict, "vdev");
	if (!strcmp(class, "disk") && (!ref->vdev || mac))
		xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "disk: vdev, and nothing else, says which one");
	else if (!strcmp(class, "nic") && (!mac || ref->vdev || !mac_parse(mac, bytes)))
		xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "nic: mac, and nothing else, says which one");
	else if ((!strcmp(class, "screen") || !strcmp(class, "console")) && (mac || ref->vdev))
		xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: it has neither mac nor vdev", class);
	else {
		if (mac) {
			g_autofree char *lower = g_ascii_strdown(mac, -1);

			g_strlcpy(ref->mac_text, lower, sizeof(ref->mac_text));
		}
		return true;
	}
	device_ref_clear(ref);
	return false;
}

void device_ref_clear(struct device_ref *ref)
{
	g_clear_pointer(&ref->vdev, g_free);
}

struct disk_conf *guestconf_find_disk(const struct guestconf *conf, const char *vdev, guint *index)
{
	guint i;

	for (i = 0; i < conf->disks->len; i++) {
		struct disk_conf *disk = g_ptr_array_index(conf->disks, i);

		if (!strcmp(disk->vdev, vdev)) {
			if (index)
				*index = i;
			return disk;
		}
	}
	return NULL;
}

struct nic_conf *guestconf_find_nic(const struct guestconf *conf, const char *mac_text, guint *index)
{
	guint i;

	for (i = 0; i < conf->nics->len; i++) {
		struct nic_conf *nic = g_ptr_array_index(conf->nics, i);

		if (!strcmp(nic->mac_text, mac_text)) {
			if (index)
				*index = i;
			return nic;
		}
	}
	return NULL;
}

struct nic_conf *guestconf_find_nic_text(const struct guestconf *conf, const char *text, guint *index)
{
	g_autofree char *lower = g_ascii_strdown(text, -1);

	return guestconf_find_nic(conf, lower, index);
}

static void vcpu_pin_clear(gpointer data)
{
	struct vcpu_pin *pin = data;

	g_clear_pointer(&pin->cpumap, g_bytes_unref);
}

void guestconf_free(struct guestconf *conf)
{
	if (!conf)
		return;
	g_free(conf->name);
	g_free(conf->uuid);
	g_free(conf->kernel);
	g_free(conf->ramdisk);
	g_free(conf->cmdline);
	g_free(conf->opaque);
	g_clear_pointer(&conf->cpumap, g_bytes_unref);
	g_clear_pointer(&conf->pins, g_array_unref);
	g_clear_pointer(&conf->cpu_hidden, g_array_unref);
	g_clear_pointer(&conf->disks, g_ptr_array_unref);
	g_clear_pointer(&conf->nics, g_ptr_array_unref);
	g_clear_pointer(&conf->consoles, g_ptr_array_unref);
	screen_conf_free(conf->screen);
	g_free(conf);
}

static bool parse_identity(struct guestconf *conf, GVariantDict *dict, GError **error)
{
	g_autofree char *uuid = keys_string(dict, "uuid");

	conf->name = keys_string(dict, "name");
	if (!conf->name[0] || strlen(conf->name) > MAX_NAME_BYTES || keys_has_control_chars(conf->name) ||
	    strchr(conf->name, '/') || !strcmp(conf->name, ".") || !strcmp(conf->name, "..") ||
	    !strcmp(conf->name, "Domain-0"))
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "guest: name \"%.255s\" cannot be a guest's",
		               conf->name);
	if (!g_uuid_string_is_valid(uuid) || strspn(uuid, "0-") == strlen(uuid))
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "guest \"%s\": uuid \"%.64s\" is none",
		               conf->name, uuid);
	conf->uuid = g_ascii_strdown(uuid, -1);
	return true;
}

static bool parse_memory(struct guestconf *conf, GVariantDict *dict, const char *what, GError **error)
{
	g_variant_dict_lookup(dict, "memory_kib", "t", &conf->memory_kib);
	conf->max_memory_kib = conf->memory_kib;
	g_variant_dict_lookup(dict, "max_memory_kib", "t", &conf->max_memory_kib);
	if (conf->memory_kib < GUEST_MEMORY_MIN_KIB || conf->memory_kib > GUEST_MEMORY_MAX_KIB ||
	    conf->memory_kib % 4)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT,
		               "%s: memory_kib %" G_GUINT64_FORMAT
		               " is not a multiple of 4 between %llu and 2^34",
		               what, conf->memory_kib, GUEST_MEMORY_MIN_KIB);
	if (conf->max_memory_kib < conf->memory_kib || conf->max_memory_kib > GUEST_MEMORY_MAX_KIB ||
	    conf->max_memory_kib % 4)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT,
		               "%s: max_memory_kib %" G_GUINT64_FORMAT
		               " is not a multiple of 4 from memory_kib to 2^34",
		               what, conf->max_memory_kib);
	return true;
}

static bool parse_pins(struct guestconf *conf, GVariantDict *dict, const char *what, GError **error)
{
	g_autoptr(GVariant) pins = g_variant_dict_lookup_value(dict, "vcpu_pins", G_VARIANT_TYPE("a(uay)"));
	g_autoptr(GVariant) all = g_variant_dict_lookup_value(dict, "cpumap", G_VARIANT_TYPE("ay"));
	bool seen[GUEST_VCPUS_MAX] = { false };
	gsize i, count = pins ? g_variant_n_children(pins) : 0;

	if (all) {
		conf->cpumap = cpumap_from_variant(all);
		if (!cpumap_ok(conf->cpumap))
			return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: cpumap holds no CPU", what);
	}
	for (i = 0; i < count; i++) {
		struct vcpu_pin pin;
		GVariant *map;

		g_variant_get_child(pins, i, "(u@ay)", &pin.vcpu, &map);
		pin.cpumap = cpumap_from_variant(map);
		g_variant_unref(map);
		g_array_append_val(conf->pins, pin);
		if (pin.vcpu >= conf->max_vcpus || seen[pin.vcpu])
			return xd_fail(error, XD_ERROR_INVALID_ARGUMENT,
			               "%s: vcpu_pins names vcpu %u twice, or there is none such", what,
			               pin.vcpu);
		if (!cpumap_ok(pin.cpumap))
			return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: vcpu_pins: no CPU for vcpu %u",
			               what, pin.vcpu);
		seen[pin.vcpu] = true;
	}
	return true;
}

/* An absent key leaves what it is for alone. */
static bool get_scheduler(GVariantDict *dict, const struct guestconf *conf, const char *what,
                          uint32_t *weight, uint32_t *cap, GError **error)
{
	g_variant_dict_lookup(dict, "weight", "u", weight);
	if (*weight < 1 || *weight > GUEST_WEIGHT_MAX)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: weight %u is outside 1..65535", what,
		               *weight);
	g_variant_dict_lookup(dict, "cap", "u", cap);
	if (*cap > 100 * conf->max_vcpus)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: cap %u is over 100 for each vcpu", what,
		               *cap);
	return true;
}

static bool parse_vcpus(struct guestconf *conf, GVariantDict *dict, const char *what, GError **error)
{
	conf->vcpus = 1;
	g_variant_dict_lookup(dict, "vcpus", "u", &conf->vcpus);
	conf->max_vcpus = conf->vcpus;
	g_variant_dict_lookup(dict, "max_vcpus", "u", &conf->max_vcpus);
	if (conf->vcpus < 1 || conf->max_vcpus < conf->vcpus || conf->max_vcpus > GUEST_VCPUS_MAX)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT,
		               "%s: vcpus %u and max_vcpus %u are not 1..%u in order", what, conf->vcpus,
		               conf->max_vcpus, GUEST_VCPUS_MAX);
	conf->weight = 256;
	return get_scheduler(dict, conf, what, &conf->weight, &conf->cap, error) &&
	       parse_pins(conf, dict, what, error) && cpu_hidden_parse(dict, what, &conf->cpu_hidden, error);
}

bool policy_parse(GVariant *argument, struct guestconf *conf, GError **error)
{
	const struct {
		const char *event;
		enum policy_action *action;
	} events[] = {
		{ "poweroff", &conf->on_poweroff },
		{ "reboot", &conf->on_reboot },
		{ "crash", &conf->on_crash },
	};
	const char *event, *action;
	guint i, k;

	g_variant_get(argument, "(&s&s)", &event, &action);
	for (i = 0; i < G_N_ELEMENTS(events) && strcmp(events[i].event, event); i++)
		;
	for (k = 0; k < G_N_ELEMENTS(action_names) && strcmp(action_names[k], action); k++)
		;
	if (i == G_N_ELEMENTS(events))
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT,
		               "guest \"%s\": event \"%.32s\" is not poweroff, reboot or crash", conf->name,
		               event);
	if (k == G_N_ELEMENTS(action_names))
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT,
		               "guest \"%s\": action \"%.32s\" is not destroy, restart, preserve, "
		               "rename-restart, coredump-destroy or coredump-restart",
		               conf->name, action);
	*events[i].action = (enum policy_action)k;
	return true;
}

bool scheduler_parse(GVariant *given, const struct guestconf *conf, uint32_t *weight, uint32_t *cap,
                     GError **error)
{
	g_autofree char *what = g_strdup_printf("guest \"%s\"", conf->name);
	g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

	*weight = conf->weight;
	*cap = conf->cap;
	return keys_take(given, scheduler_keys, G_N_ELEMENTS(scheduler_keys), what, &dict, error) &&
	       get_scheduler(&dict, conf, what, weight, cap, error);
}

/* A percentage; what is absent stays. */
static bool get_throttle(GVariantDict *dict, const char *key, guint32 least, const char *what,
                         uint32_t *percent, GError **error)
{
	guint32 given;

	if (!g_variant_dict_lookup(dict, key, "u", &given))
		return true;
	if (given < least || given > THROTTLE_MAX)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: %s %u is outside %u..%u", what, key,
		               given, least, THROTTLE_MAX);
	*percent = given;
	return true;
}

bool migration_parse(GVariant *given, const char *name, struct xyl_live_limits *limits, GError **error)
{
	g_autofree char *what = g_strdup_printf("guest \"%s\"", name);
	g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
	guint64 downtime;

	if (!keys_take(given, migration_keys, G_N_ELEMENTS(migration_keys), what, &dict, error))
		return false;
	g_variant_dict_lookup(&dict, "bandwidth", "t", &limits->bandwidth);
	if (g_variant_dict_lookup(&dict, "max_downtime_us", "t", &downtime)) {
		if (!downtime || downtime > DOWNTIME_US_MAX)
			return xd_fail(error, XD_ERROR_INVALID_ARGUMENT,
			               "%s: max_downtime_us %" G_GUINT64_FORMAT " is outside 1..%u", what,
			               downtime, DOWNTIME_US_MAX);
		limits->max_downtime_us = downtime;
	}
	return get_throttle(&dict, "throttle_initial", 0, what, &limits->throttle_initial, error) &&
	       get_throttle(&dict, "throttle_increment", 1, what, &limits->throttle_increment, error);
}

bool pin_parse(GVariant *argument, const struct guestconf *conf, struct vcpu_pin *pin, GError **error)
{
	g_autoptr(GVariant) map = NULL;

	g_variant_get(argument, "(u@ay)", &pin->vcpu, &map);
	pin->cpumap = cpumap_from_variant(map);
	if (pin->vcpu >= conf->max_vcpus)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "guest \"%s\": it has no vcpu %u",
		               conf->name, pin->vcpu);
	if (!cpumap_ok(pin->cpumap))
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT,
		               "guest \"%s\": cpumap holds no CPU for vcpu %u", conf->name, pin->vcpu);
	return true;
}

void guestconf_set_pin(struct guestconf *conf, struct vcpu_pin *pin)
{
	guint i;

	for (i = 0; i < conf->pins->len; i++) {
		if (g_array_index(conf->pins, struct vcpu_pin, i).vcpu == pin->vcpu) {
			g_array_remove_index(conf->pins, i);
			break;
		}
	}
	g_array_append_vals(conf->pins, pin, 1);
}

static bool parse_boot(struct guestconf *conf, GVariantDict *dict, const char *what, GError **error)
{
	conf->kernel = keys_string(dict, "kernel");
	conf->ramdisk = keys_string(dict, "ramdisk");
	conf->cmdline = keys_string(dict, "cmdline");
	if (!conf->cmdline)
		conf->cmdline = g_strdup("");
	if (!keys_check_path(conf->kernel, what, "kernel", error))
		return false;
	if (conf->ramdisk && !keys_check_path(conf->ramdisk, what, "ramdisk", error))
		return false;
	if (strlen(conf->cmdline) > GUEST_CMDLINE_MAX)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: cmdline is longer than %d bytes", what,
		               GUEST_CMDLINE_MAX);
	return true;
}

static bool parse_behaviour(struct guestconf *conf, GVariantDict *dict, const char *what, GError **error)
{
	uint32_t consoles = 1;
	int base = CLOCK_UTC, tsc = TSC_DEFAULT;

	conf->on_poweroff = POLICY_DESTROY;
	conf->on_reboot = POLICY_RESTART;
	conf->on_crash = POLICY_DESTROY;
	if (!get_action(dict, "on_poweroff", what, &conf->on_poweroff, error) ||
	    !get_action(dict, "on_reboot", what, &conf->on_reboot, error) ||
	    !get_action(dict, "on_crash", what, &conf->on_crash, error) ||
	    !keys_choice(dict, "clock_offset", clock_names, G_N_ELEMENTS(clock_names), what, &base, error) ||
	    !keys_choice(dict, "tsc", tsc_names, G_N_ELEMENTS(tsc_names), what, &tsc, error))
		return false;
	conf->clock_base = (enum clock_base)base;
	conf->tsc = (enum tsc_mode)tsc;
	g_variant_dict_lookup(dict, "clock_adjustment", "x", &conf->clock_adjustment_s);
	if (conf->clock_adjustment_s < -GUEST_CLOCK_MAX_S || conf->clock_adjustment_s > GUEST_CLOCK_MAX_S)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT,
		               "%s: clock_adjustment is over a hundred years", what);
	g_variant_dict_lookup(dict, "consoles", "u", &consoles);
	if (consoles > 1)
		return xd_fail(error, XD_ERROR_NOT_SUPPORTED,
		               "%s: consoles %u: there can be one, and console_devices besides", what,
		               consoles);
	conf->console = consoles == 1;
	conf->opaque = keys_string(dict, "opaque");
	if (conf->opaque && strlen(conf->opaque) > GUEST_OPAQUE_MAX)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: opaque is longer than 256 KiB", what);
	return true;
}

static bool parse_disks(struct guestconf *conf, GVariantDict *dict, const char *what, GError **error)
{
	g_autoptr(GVariant) disks = g_variant_dict_lookup_value(dict, "disks", G_VARIANT_TYPE("aa{sv}"));
	gsize i, count = disks ? g_variant_n_children(disks) : 0;
	guint j;

	if (count > GUEST_DISKS_MAX)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: more than %d disks", what,
		               GUEST_DISKS_MAX);
	for (i = 0; i < count; i++) {
		g_autoptr(GVariant) child = g_variant_get_child_value(disks, i);
		g_autofree char *where = g_strdup_printf("%s, disk %u", what, (guint)i);
		struct disk_conf *disk = disk_conf_parse(child, where, error);

		if (!disk)
			return false;
		g_ptr_array_add(conf->disks, disk);
		for (j = 0; j + 1 < conf->disks->len; j++) {
			struct disk_conf *other = g_ptr_array_index(conf->disks, j);

			if (other->devid == disk->devid)
				return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: vdev %s is used twice",
				               where, disk->vdev);
		}
	}
	return true;
}

static bool parse_nics(struct guestconf *conf, GVariantDict *dict, const char *what, GError **error)
{
	g_autoptr(GVariant) nics = g_variant_dict_lookup_value(dict, "nics", G_VARIANT_TYPE("aa{sv}"));
	gsize i, count = nics ? g_variant_n_children(nics) : 0;

	if (count > GUEST_NICS_MAX)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: more than %d nics", what,
		               GUEST_NICS_MAX);
	for (i = 0; i < count; i++) {
		g_autoptr(GVariant) child = g_variant_get_child_value(nics, i);
		g_autofree char *where = g_strdup_printf("%s, nic %u", what, (guint)i);
		struct nic_conf *nic = nic_conf_parse(child, where, error);

		if (!nic)
			return false;
		if (guestconf_find_nic(conf, nic->mac_text, NULL)) {
			xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: mac %s is used twice", where,
			        nic->mac_text);
			nic_conf_free(nic);
			return false;
		}
		g_ptr_array_add(conf->nics, nic);
	}
	return true;
}

static bool parse_screens(struct guestconf *conf, GVariantDict *dict, const char *what, GError **error)
{
	g_autoptr(GVariant) screens = g_variant_dict_lookup_value(dict, "screens", G_VARIANT_TYPE("aa{sv}"));
	gsize count = screens ? g_variant_n_children(screens) : 0;
	g_autofree char *where = g_strdup_printf("%s, screen", what);
	g_autoptr(GVariant) child = NULL;

	if (count > GUEST_SCREENS_MAX)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: more than %d screen", what,
		               GUEST_SCREENS_MAX);
	if (!count)
		return true;
	child = g_variant_get_child_value(screens, 0);
	conf->screen = screen_conf_parse(child, where, error);
	return conf->screen != NULL;
}

struct guestconf *guestconf_parse(GVariant *given, GError **error)
{
	g_auto(GVariantDict) held = G_VARIANT_DICT_INIT(NULL);
	GVariantDict *dict = &held;
	g_autofree char *what = NULL;
	struct guestconf *conf;

	if (!g_variant_is_of_type(given, G_VARIANT_TYPE_VARDICT)) {
		xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "guest: the configuration is no dictionary");
		return NULL;
	}
	if (!keys_take(given, guest_keys, G_N_ELEMENTS(guest_keys), "guest", dict, error))
		return NULL;
	conf = g_new0(struct guestconf, 1);
	conf->pins = g_array_new(FALSE, FALSE, sizeof(struct vcpu_pin));
	g_array_set_clear_func(conf->pins, vcpu_pin_clear);
	conf->disks = g_ptr_array_new_with_free_func((GDestroyNotify)disk_conf_free);
	conf->nics = g_ptr_array_new_with_free_func((GDestroyNotify)nic_conf_free);
	conf->consoles = g_ptr_array_new_with_free_func((GDestroyNotify)console_conf_free);
	if (!parse_identity(conf, dict, error))
		goto fail;
	what = g_strdup_printf("guest \"%s\"", conf->name);
	if (!parse_memory(conf, dict, what, error) || !parse_vcpus(conf, dict, what, error) ||
	    !parse_boot(conf, dict, what, error) || !parse_behaviour(conf, dict, what, error) ||
	    !parse_disks(conf, dict, what, error) || !parse_nics(conf, dict, what, error) ||
	    !parse_screens(conf, dict, what, error) ||
	    !console_confs_parse(dict, conf->consoles, what, error))
		goto fail;
	return conf;
fail:
	guestconf_free(conf);
	return NULL;
}

static GVariant *cpumap_to_variant(GBytes *map)
{
	gsize size;
	const void *bytes = g_bytes_get_data(map, &size);

	return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, bytes, size, 1);
}

static GVariant *disk_to_variant(const struct disk_conf *disk)
{
	GVariantBuilder b;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "vdev", g_variant_new_string(disk->vdev));
	g_variant_builder_add(&b, "{sv}", "source", g_variant_new_string(disk->source));
	g_variant_builder_add(&b, "{sv}", "type", g_variant_new_string(disk->is_file ? "file" : "block"));
	g_variant_builder_add(&b, "{sv}", "readonly", g_variant_new_boolean(disk->readonly));
	g_variant_builder_add(&b, "{sv}", "shareable", g_variant_new_boolean(disk->shareable));
	g_variant_builder_add(&b, "{sv}", "discard", g_variant_new_boolean(disk->discard));
	g_variant_builder_add(&b, "{sv}", "cache", g_variant_new_string(cache_names[disk->cache]));
	if (disk->cdrom)
		g_variant_builder_add(&b, "{sv}", "device", g_variant_new_string("cdrom"));
	if (disk->format != DISK_RAW)
		g_variant_builder_add(&b, "{sv}", "format", g_variant_new_string(format_names[disk->format]));
	if (io_limits_any(&disk->limits))
		g_variant_builder_add(&b, "{sv}", "limits", limits_to_variant(&disk->limits));
	return g_variant_builder_end(&b);
}

static GVariant *nic_to_variant(const struct nic_conf *nic)
{
	GVariantBuilder b;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "mac", g_variant_new_string(nic->mac_text));
	g_variant_builder_add(&b, "{sv}", "bridge", g_variant_new_string(nic->bridge));
	if (nic->ifname)
		g_variant_builder_add(&b, "{sv}", "ifname", g_variant_new_string(nic->ifname));
	if (nic->mtu)
		g_variant_builder_add(&b, "{sv}", "mtu", g_variant_new_uint32(nic->mtu));
	if (nic->link_down)
		g_variant_builder_add(&b, "{sv}", "link", g_variant_new_boolean(FALSE));
	if (nic->hold)
		g_variant_builder_add(&b, "{sv}", "hold", g_variant_new_boolean(TRUE));
	return g_variant_builder_end(&b);
}

static GVariant *screen_to_variant(const struct screen_conf *screen)
{
	GVariantBuilder b;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "type", g_variant_new_string("vnc"));
	if (screen->listen)
		g_variant_builder_add(&b, "{sv}", "listen", g_variant_new_string(screen->listen));
	if (screen->port)
		g_variant_builder_add(&b, "{sv}", "port", g_variant_new_uint32(screen->port));
	if (screen->socket)
		g_variant_builder_add(&b, "{sv}", "socket", g_variant_new_string(screen->socket));
	return g_variant_builder_end(&b);
}

static void add_cpus(GVariantBuilder *b, const struct guestconf *conf)
{
	GVariantBuilder pins;
	guint i;

	if (conf->cpumap)
		g_variant_builder_add(b, "{sv}", "cpumap", cpumap_to_variant(conf->cpumap));
	g_variant_builder_init(&pins, G_VARIANT_TYPE("a(uay)"));
	for (i = 0; i < conf->pins->len; i++) {
		struct vcpu_pin *pin = &g_array_index(conf->pins, struct vcpu_pin, i);

		g_variant_builder_add(&pins, "(u@ay)", pin->vcpu, cpumap_to_variant(pin->cpumap));
	}
	g_variant_builder_add(b, "{sv}", "vcpu_pins", g_variant_builder_end(&pins));
	if (conf->cpu_hidden->len)
		g_variant_builder_add(b, "{sv}", "cpu_hidden", cpu_hidden_to_variant(conf->cpu_hidden));
}

GVariant *guestconf_to_variant(const struct guestconf *conf)
{
	GVariantBuilder b, list;
	guint i;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "name", g_variant_new_string(conf->name));
	g_variant_builder_add(&b, "{sv}", "uuid", g_variant_new_string(conf->uuid));
	g_variant_builder_add(&b, "{sv}", "memory_kib", g_variant_new_uint64(conf->memory_kib));
	g_variant_builder_add(&b, "{sv}", "max_memory_kib", g_variant_new_uint64(conf->max_memory_kib));
	g_variant_builder_add(&b, "{sv}", "vcpus", g_variant_new_uint32(conf->vcpus));
	g_variant_builder_add(&b, "{sv}", "max_vcpus", g_variant_new_uint32(conf->max_vcpus));
	g_variant_builder_add(&b, "{sv}", "kernel", g_variant_new_string(conf->kernel));
	if (conf->ramdisk)
		g_variant_builder_add(&b, "{sv}", "ramdisk", g_variant_new_string(conf->ramdisk));
	g_variant_builder_add(&b, "{sv}", "cmdline", g_variant_new_string(conf->cmdline));
	g_variant_builder_add(&b, "{sv}", "on_poweroff",
	                      g_variant_new_string(action_names[conf->on_poweroff]));
	g_variant_builder_add(&b, "{sv}", "on_reboot", g_variant_new_string(action_names[conf->on_reboot]));
	g_variant_builder_add(&b, "{sv}", "on_crash", g_variant_new_string(action_names[conf->on_crash]));
	g_variant_builder_add(&b, "{sv}", "weight", g_variant_new_uint32(conf->weight));
	g_variant_builder_add(&b, "{sv}", "cap", g_variant_new_uint32(conf->cap));
	add_cpus(&b, conf);
	g_variant_builder_add(&b, "{sv}", "clock_offset",
	                      g_variant_new_string(clock_names[conf->clock_base]));
	g_variant_builder_add(&b, "{sv}", "clock_adjustment", g_variant_new_int64(conf->clock_adjustment_s));
	g_variant_builder_add(&b, "{sv}", "tsc", g_variant_new_string(tsc_names[conf->tsc]));
	g_variant_builder_add(&b, "{sv}", "consoles", g_variant_new_uint32(conf->console ? 1 : 0));
	g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
	for (i = 0; i < conf->disks->len; i++)
		g_variant_builder_add_value(&list, disk_to_variant(g_ptr_array_index(conf->disks, i)));
	g_variant_builder_add(&b, "{sv}", "disks", g_variant_builder_end(&list));
	g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
	for (i = 0; i < conf->nics->len; i++)
		g_variant_builder_add_value(&list, nic_to_variant(g_ptr_array_index(conf->nics, i)));
	g_variant_builder_add(&b, "{sv}", "nics", g_variant_builder_end(&list));
	if (conf->screen) {
		g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
		g_variant_builder_add_value(&list, screen_to_variant(conf->screen));
		g_variant_builder_add(&b, "{sv}", "screens", g_variant_builder_end(&list));
	}
	if (conf->consoles->len)
		g_variant_builder_add(&b, "{sv}", "console_devices",
		                      console_confs_to_variant(conf->consoles));
	if (conf->opaque)
		g_variant_builder_add(&b, "{sv}", "opaque", g_variant_new_string(conf->opaque));
	return g_variant_builder_end(&b);
}
