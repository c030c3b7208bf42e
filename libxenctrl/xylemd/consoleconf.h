/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The key "console_devices" of a guest's configuration, to and from struct console_conf. */
#ifndef XYLEMD_CONSOLECONF_H
#define XYLEMD_CONSOLECONF_H

#include "guestconf.h"

bool console_confs_parse(GVariantDict *guest, GPtrArray *consoles, const char *what, GError **error);
GVariant *console_confs_to_variant(const GPtrArray *consoles);
const char *console_type_name(const struct console_conf *console);
void console_conf_free(struct console_conf *console);

#endif
