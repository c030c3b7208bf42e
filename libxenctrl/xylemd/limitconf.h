/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Limits of a disk's requests as a client gives them: the a{st} of docs/xylemd-protocol.md. Pure. */
#ifndef XYLEMD_LIMITCONF_H
#define XYLEMD_LIMITCONF_H

#include <glib.h>
#include <stdbool.h>

#include "../src/iolimits.h"

/* What is absent is 0. False and InvalidArgument, by name, when something is wrong. */
bool limits_parse(GVariant *dict, const char *what, struct io_limits *limits, GError **error);
/* A floating a{st} that limits_parse() accepts. */
GVariant *limits_to_variant(const struct io_limits *limits);

#endif
