/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's further consoles in its configuration; see guestconf.h. */
#include <string.h>

#include "consoleconf.h"
#include "confkeys.h"
#include "error.h"
#include "guestconf.h"

#define NAME_MAX_BYTES 127

static const struct key console_keys[] = {
	{ "number", "u", false }, { "type", "s", true },  { "path", "s", false }, { "host", "s", false },
	{ "port", "u", false },   { "mode", "s", false }, { "name", "s", false },
};

static const char *const type_names[] = { "pty", "file", "unix", "tcp" };
static const char *const mode_names[] = { "listen", "connect" };

const char *console_type_name(const struct console_conf *console)
{
	return type_names[console->type];
}

void console_conf_free(struct console_conf *console)
{
	if (!console)
		return;
	g_free(console->path);
	g_free(console->host);
	g_free(console->name);
	g_free(console);
}

/* Of path, host, port and mode those are there that the type has. */
static bool check_end(const struct console_conf *console, bool has_mode, const char *what, GError **error)
{
	bool socket = console->type == CONSOLE_UNIX || console->type == CONSOLE_TCP;
	const char *type = console_type_name(console);

	if ((console->path != NULL) != (console->type == CONSOLE_FILE || console->type == CONSOLE_UNIX))
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: path is for file and unix, not %s",
		               what, type);
	if ((console->host && console->port) != (console->type == CONSOLE_TCP) ||
	    (!console->host && console->port))
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: host and port are for tcp, not %s",
		               what, type);
	if (has_mode && !socket)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: mode is for unix and tcp, not %s", what,
		               type);
	if (console->path && !keys_check_path(console->path, what, "path", error))
		return false;
	if (console->type == CONSOLE_UNIX && strlen(console->path) > GUEST_SOCKET_MAX)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: path is longer than %d bytes", what,
		               GUEST_SOCKET_MAX);
	if (console->host && !keys_is_address(console->host))
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT,
		               "%s: host \"%.64s\" is no address in figures", what, console->host);
	if (console->port > 65535)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: port %u is outside 1..65535", what,
		               console->port);
	return true;
}

static bool fill(struct console_conf *console, GVariantDict *dict, const char *what, GError **error)
{
	int type = CONSOLE_PTY, mode = 0;

	console->path = keys_string(dict, "path");
	console->host = keys_string(dict, "host");
	console->name = keys_string(dict, "name");
	g_variant_dict_lookup(dict, "number", "u", &console->number);
	g_variant_dict_lookup(dict, "port", "u", &console->port);
	if (!keys_choice(dict, "type", type_names, G_N_ELEMENTS(type_names), what, &type, error) ||
	    !keys_choice(dict, "mode", mode_names, G_N_ELEMENTS(mode_names), what, &mode, error))
		return false;
	console->type = (enum console_type)type;
	console->connects = mode == 1;
	if (console->number < 1 || console->number > GUEST_CONSOLES_MAX)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: number %u is outside 1..%d", what,
		               console->number, GUEST_CONSOLES_MAX);
	if (console->name && (!*console->name || strlen(console->name) > NAME_MAX_BYTES ||
	                      keys_has_control_chars(console->name)))
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT,
		               "%s: name is not 1..%d bytes without control characters", what,
		               NAME_MAX_BYTES);
	return check_end(console, g_variant_dict_contains(dict, "mode"), what, error);
}

/* Without a number it has the one after its predecessor's. */
static bool parse_one(GVariant *given, GPtrArray *consoles, const char *what, GError **error)
{
	const struct console_conf *last = consoles->len ? consoles->pdata[consoles->len - 1] : NULL;
	g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
	struct console_conf *console;
	guint i;

	if (!keys_take(given, console_keys, G_N_ELEMENTS(console_keys), what, &dict, error))
		return false;
	console = g_new0(struct console_conf, 1);
	console->number = last ? last->number + 1 : 1;
	if (!fill(console, &dict, what, error)) {
		console_conf_free(console);
		return false;
	}
	g_ptr_array_add(consoles, console);
	for (i = 0; i + 1 < consoles->len; i++) {
		const struct console_conf *other = g_ptr_array_index(consoles, i);

		if (other->number == console->number)
			return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: number %u is used twice", what,
			               console->number);
		if (console->type == CONSOLE_UNIX && other->path && !strcmp(other->path, console->path))
			return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: path %s is used twice", what,
			               console->path);
	}
	return true;
}

bool console_confs_parse(GVariantDict *guest, GPtrArray *consoles, const char *what, GError **error)
{
	g_autoptr(GVariant) given =
	        g_variant_dict_lookup_value(guest, "console_devices", G_VARIANT_TYPE("aa{sv}"));
	gsize i, count = given ? g_variant_n_children(given) : 0;

	if (count > GUEST_CONSOLES_MAX)
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: more than %d console_devices", what,
		               GUEST_CONSOLES_MAX);
	for (i = 0; i < count; i++) {
		g_autoptr(GVariant) child = g_variant_get_child_value(given, i);
		g_autofree char *where = g_strdup_printf("%s, console device %u", what, (guint)i);

		if (!parse_one(child, consoles, where, error))
			return false;
	}
	return true;
}

static GVariant *to_variant(const struct console_conf *console)
{
	GVariantBuilder b;

	g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
	g_variant_builder_add(&b, "{sv}", "number", g_variant_new_uint32(console->number));
	g_variant_builder_add(&b, "{sv}", "type", g_variant_new_string(console_type_name(console)));
	if (console->path)
		g_variant_builder_add(&b, "{sv}", "path", g_variant_new_string(console->path));
	if (console->host) {
		g_variant_builder_add(&b, "{sv}", "host", g_variant_new_string(console->host));
		g_variant_builder_add(&b, "{sv}", "port", g_variant_new_uint32(console->port));
	}
	if (console->connects)
		g_variant_builder_add(&b, "{sv}", "mode", g_variant_new_string("connect"));
	if (console->name)
		g_variant_builder_add(&b, "{sv}", "name", g_variant_new_string(console->name));
	return g_variant_builder_end(&b);
}

GVariant *console_confs_to_variant(const GPtrArray *consoles)
{
	GVariantBuilder list;
	guint i;

	g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
	for (i = 0; i < consoles->len; i++)
		g_variant_builder_add_value(&list, to_variant(g_ptr_array_index(consoles, i)));
	return g_variant_builder_end(&list);
}
