/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests' descriptions: text to the a{sv} of docs/xylemd-protocol.md. Only the form is checked here (known
 * key, number where a number belongs); what the values may be is the daemon's business.
 */
#include "guestfile.h"

#include <string.h>

struct key {
	const char *name;
	char type; /* s, u, t, x, b; c: list of CPUs, as ay */
};

static const struct key guest_keys[] = {
	{ "name", 's' },
	{ "uuid", 's' },
	{ "memory_kib", 't' },
	{ "max_memory_kib", 't' },
	{ "vcpus", 'u' },
	{ "max_vcpus", 'u' },
	{ "kernel", 's' },
	{ "ramdisk", 's' },
	{ "cmdline", 's' },
	{ "on_poweroff", 's' },
	{ "on_reboot", 's' },
	{ "on_crash", 's' },
	{ "weight", 'u' },
	{ "cap", 'u' },
	{ "cpumap", 'c' },
	{ "clock_offset", 's' },
	{ "clock_adjustment", 'x' },
	{ "tsc", 's' },
	{ "consoles", 'u' },
	{ NULL, 0 },
};

static const struct key disk_keys[] = {
	{ "vdev", 's' },  { "source", 's' },  { "type", 's' },   { "readonly", 'b' }, { "shareable", 'b' },
	{ "cache", 's' }, { "discard", 'b' }, { "device", 's' }, { "format", 's' },   { NULL, 0 },
};

static const struct key nic_keys[] = {
	{ "mac", 's' }, { "bridge", 's' }, { "ifname", 's' }, { "mtu", 'u' }, { "model", 's' }, { NULL, 0 },
};

static gboolean bad(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean bad(GError **error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (error && !*error)
		*error = g_error_new_valist(G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, format, args);
	va_end(args);
	return FALSE;
}

/* 0-2,5 as a bitmap; NULL when it is none. */
static GVariant *cpu_list(const char *text)
{
	g_auto(GStrv) parts = g_strsplit(text, ",", 0);
	guint8 map[1024] = { 0 };
	gsize used = 0;
	guint i;

	if (!parts[0])
		return NULL;
	for (i = 0; parts[i]; i++) {
		g_auto(GStrv) ends = g_strsplit(g_strstrip(parts[i]), "-", 2);
		guint64 first, last, cpu;

		if (!ends[0] ||
		    !g_ascii_string_to_unsigned(ends[0], 10, 0, sizeof(map) * 8 - 1, &first, NULL))
			return NULL;
		last = first;
		if (ends[1] &&
		    !g_ascii_string_to_unsigned(ends[1], 10, first, sizeof(map) * 8 - 1, &last, NULL))
			return NULL;
		for (cpu = first; cpu <= last; cpu++) {
			map[cpu / 8] |= (guint8)(1u << cpu % 8);
			used = MAX(used, (gsize)cpu / 8 + 1);
		}
	}
	return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, map, used, 1);
}

static GVariant *value_of(char type, const char *text)
{
	guint64 number;
	gint64 signed_number;

	switch (type) {
	case 's':
		return g_utf8_validate(text, -1, NULL) ? g_variant_new_string(text) : NULL;
	case 'u':
		return g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32, &number, NULL)
		               ? g_variant_new_uint32((guint32)number)
		               : NULL;
	case 't':
		return g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &number, NULL)
		               ? g_variant_new_uint64(number)
		               : NULL;
	case 'x':
		return g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &signed_number, NULL)
		               ? g_variant_new_int64(signed_number)
		               : NULL;
	case 'b':
		if (strcmp(text, "yes") && strcmp(text, "no"))
			return NULL;
		return g_variant_new_boolean(!strcmp(text, "yes"));
	default:
		return cpu_list(text);
	}
}

/* Enters "key = value" into the dictionary. */
static gboolean add_pair(GVariantBuilder *dict, const struct key *keys, char *pair, GError **error)
{
	char *equals = strchr(pair, '='), *name, *text;
	GVariant *value;

	if (!equals)
		return bad(error, "\"%s\" is not key = value", pair);
	*equals = '\0';
	name = g_strstrip(pair);
	text = g_strstrip(equals + 1);
	for (; keys->name && strcmp(keys->name, name); keys++)
		;
	if (!keys->name)
		return bad(error, "unknown key \"%s\"", name);
	value = value_of(keys->type, text);
	if (!value)
		return bad(error, "%s: \"%s\" is no %s", name, text,
		           keys->type == 'b'   ? "yes or no"
		           : keys->type == 'c' ? "list of CPUs"
		           : keys->type == 's' ? "UTF-8"
		                               : "number in range");
	g_variant_builder_add(dict, "{sv}", name, value);
	return TRUE;
}

struct reader {
	GVariantBuilder guest, disks, nics, device;
	const struct key *device_keys; /* NULL: not within a section */
};

static void end_section(struct reader *r)
{
	if (r->device_keys)
		g_variant_builder_add_value(r->device_keys == disk_keys ? &r->disks : &r->nics,
		                            g_variant_builder_end(&r->device));
	r->device_keys = NULL;
}

static gboolean read_line(struct reader *r, char *line, GError **error)
{
	g_strstrip(line);
	if (!*line || *line == '#')
		return TRUE;
	if (*line != '[')
		return add_pair(r->device_keys ? &r->device : &r->guest,
		                r->device_keys ? r->device_keys : guest_keys, line, error);
	end_section(r);
	if (strcmp(line, "[disk]") && strcmp(line, "[nic]"))
		return bad(error, "there is no section %s", line);
	r->device_keys = line[1] == 'd' ? disk_keys : nic_keys;
	g_variant_builder_init(&r->device, G_VARIANT_TYPE_VARDICT);
	return TRUE;
}

GVariant *guestfile_read(const char *path, GError **error)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;
	struct reader r = { 0 };
	gboolean ok = TRUE;
	guint i;

	if (!g_file_get_contents(path, &text, NULL, error))
		return NULL;
	lines = g_strsplit(text, "\n", 0);
	g_variant_builder_init(&r.guest, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_init(&r.disks, G_VARIANT_TYPE("aa{sv}"));
	g_variant_builder_init(&r.nics, G_VARIANT_TYPE("aa{sv}"));
	for (i = 0; lines[i] && ok; i++) {
		ok = read_line(&r, lines[i], error);
		if (!ok)
			g_prefix_error(error, "%s:%u: ", path, i + 1);
	}
	end_section(&r);
	if (!ok) {
		g_variant_builder_clear(&r.guest);
		g_variant_builder_clear(&r.disks);
		g_variant_builder_clear(&r.nics);
		return NULL;
	}
	g_variant_builder_add(&r.guest, "{sv}", "disks", g_variant_builder_end(&r.disks));
	g_variant_builder_add(&r.guest, "{sv}", "nics", g_variant_builder_end(&r.nics));
	return g_variant_ref_sink(g_variant_builder_end(&r.guest));
}

GVariant *device_from_words(const char *class, char **words, int count, GError **error)
{
	const struct key *keys = !strcmp(class, "disk") ? disk_keys : !strcmp(class, "nic") ? nic_keys : NULL;
	GVariantBuilder dict;
	int i;

	if (!keys) {
		bad(error, "\"%s\" is neither disk nor nic", class);
		return NULL;
	}
	g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&dict, "{sv}", "class", g_variant_new_string(class));
	for (i = 0; i < count; i++) {
		if (!add_pair(&dict, keys, words[i], error)) {
			g_variant_builder_clear(&dict);
			return NULL;
		}
	}
	return g_variant_ref_sink(g_variant_builder_end(&dict));
}
