/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Further consoles as a class of devices (device.h). They come and go with the guest; xenconsoled serves them. */
#include "device.h"
#include "error.h"
#include "layout.h"

static void list_consoles(const struct guest *guest, GVariantBuilder *list)
{
	const struct guestconf *conf = guest->journal->conf;
	guint i;

	for (i = 0; i < conf->consoles->len; i++) {
		const struct console_conf *console = g_ptr_array_index(conf->consoles, i);
		GVariantBuilder b;

		g_variant_builder_init(&b, G_VARIANT_TYPE_VARDICT);
		g_variant_builder_add(&b, "{sv}", "class", g_variant_new_string("console"));
		g_variant_builder_add(&b, "{sv}", "devid", g_variant_new_uint32(console->number));
		g_variant_builder_add_value(list, g_variant_builder_end(&b));
	}
}

static bool attach_console(struct guest *guest, GVariant *dict, GVariant **made, GError **error)
{
	(void)dict;
	(void)made;
	return xd_fail(error, XD_ERROR_NOT_SUPPORTED, "guest \"%s\": a console comes with the guest's start",
	               guest->name);
}

static bool detach_console(struct guest *guest, const struct device_ref *ref, GError **error)
{
	(void)ref;
	return xd_fail(error, XD_ERROR_NOT_SUPPORTED, "guest \"%s\": a console goes with the guest",
	               guest->name);
}

bool device_console_connect(struct guest *guest, GError **error)
{
	const struct guestconf *conf = guest->journal->conf;
	guint i;

	for (i = 0; i < conf->consoles->len; i++) {
		const struct console_conf *console = g_ptr_array_index(conf->consoles, i);
		g_autofree char *name = g_strdup_printf("console %u", console->number);

		if (!device_wait_offered(guest, device_console.type, console->number, name, error))
			return false;
	}
	return true;
}

const struct device_class device_console = {
	.name = "console",
	.type = "console",
	.list = list_consoles,
	.attach = attach_console,
	.detach = detach_console,
};
