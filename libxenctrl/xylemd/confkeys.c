/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See confkeys.h. */
#include "confkeys.h"

#include <arpa/inet.h>
#include <string.h>

#include "error.h"

#define MAX_PATH_BYTES 4095

/* Every key known, of its type, there once; every required key there. Fills *dict with what is there: each
 * look into the dictionary as it came would search through it from its beginning. */
bool keys_take(GVariant *given, const struct key *keys, guint key_count, const char *what, GVariantDict *dict,
               GError **error)
{
	GVariantIter iter;
	const char *name;
	GVariant *value;
	guint i;

	g_variant_iter_init(&iter, given);
	while (g_variant_iter_next(&iter, "{&sv}", &name, &value)) {
		g_autoptr(GVariant) held = value;

		for (i = 0; i < key_count && strcmp(keys[i].name, name); i++)
			;
		if (i == key_count)
			return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: unknown key \"%.64s\"", what,
			               name);
		if (!g_variant_is_of_type(held, G_VARIANT_TYPE(keys[i].type)))
			return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: %s has type %s, not %s", what,
			               name, g_variant_get_type_string(held), keys[i].type);
		if (g_variant_dict_contains(dict, name))
			return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: %s is given twice", what, name);
		g_variant_dict_insert_value(dict, name, held);
	}
	for (i = 0; i < key_count; i++) {
		if (keys[i].required && !g_variant_dict_contains(dict, keys[i].name))
			return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: %s is missing", what,
			               keys[i].name);
	}
	return true;
}

char *keys_string(GVariantDict *dict, const char *key)
{
	char *text = NULL;

	g_variant_dict_lookup(dict, key, "s", &text);
	return text;
}

bool keys_has_control_chars(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	}
	return false;
}

bool keys_check_path(const char *path, const char *what, const char *key, GError **error)
{
	if (path[0] != '/' || strlen(path) > MAX_PATH_BYTES || keys_has_control_chars(path))
		return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: %s \"%.128s\" is not an absolute path",
		               what, key, path);
	return true;
}

/* Looks one of `names` up; an absent key leaves *out alone. */
bool keys_choice(GVariantDict *dict, const char *key, const char *const *names, int name_count,
                 const char *what, int *out, GError **error)
{
	g_autofree char *text = keys_string(dict, key);
	int i;

	if (!text)
		return true;
	for (i = 0; i < name_count; i++) {
		if (!strcmp(text, names[i])) {
			*out = i;
			return true;
		}
	}
	return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: %s has no value \"%.64s\"", what, key, text);
}

bool keys_is_address(const char *text)
{
	struct in6_addr address;

	return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}
