/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See limitconf.h. */
#include "limitconf.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

bool limits_parse(GVariant *dict, const char *what, struct io_limits *limits, GError **error)
{
	bool given[IO_LIMITS] = { false };
	GVariantIter iter;
	const char *name;
	guint64 value;
	char *why;

	memset(limits, 0, sizeof(*limits));
	g_variant_iter_init(&iter, dict);
	while (g_variant_iter_next(&iter, "{&st}", &name, &value)) {
		unsigned int which = io_limit_named(name);

		if (which == IO_LIMITS)
			return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: limits: unknown \"%.64s\"",
			               what, name);
		if (given[which])
			return xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: limits: %s is given twice",
			               what, name);
		given[which] = true;
		limits->value[which] = value;
	}
	why = io_limits_refusal(limits);
	if (why)
		xd_fail(error, XD_ERROR_INVALID_ARGUMENT, "%s: limits: %s", what, why);
	free(why);
	return !why;
}

GVariant *limits_to_variant(const struct io_limits *limits)
{
	GVariantBuilder b;
	unsigned int which;

	g_variant_builder_init(&b, G_VARIANT_TYPE("a{st}"));
	for (which = 0; which < IO_LIMITS; which++)
		if (limits->value[which])
			g_variant_builder_add(&b, "{st}", io_limit_name(which), limits->value[which]);
	return g_variant_builder_end(&b);
}
