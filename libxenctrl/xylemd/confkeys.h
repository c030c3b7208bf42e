/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Dictionaries of guests' configurations by their keys; what is wrong is InvalidArgument and names the key. Pure. */
#ifndef XYLEMD_CONFKEYS_H
#define XYLEMD_CONFKEYS_H

#include <glib.h>
#include <stdbool.h>

struct key {
	const char *name;
	const char *type;
	bool required;
};

/* Every key known, of its type, there once; every required key there. Fills *dict with what is there: each
 * look into the dictionary as it came would search through it from its beginning. */
bool keys_take(GVariant *given, const struct key *keys, guint key_count, const char *what, GVariantDict *dict,
               GError **error);
/* NULL: it is not there. */
char *keys_string(GVariantDict *dict, const char *key);
bool keys_has_control_chars(const char *text);
bool keys_check_path(const char *path, const char *what, const char *key, GError **error);
/* Looks one of `names` up; an absent key leaves *out alone. */
bool keys_choice(GVariantDict *dict, const char *key, const char *const *names, int name_count,
                 const char *what, int *out, GError **error);
/* An IPv4 or IPv6 address in figures: a name would have to be looked up, which may take for ever. */
bool keys_is_address(const char *text);

#endif
