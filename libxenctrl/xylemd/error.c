/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The GError domain of xylemd and its D-Bus names; see error.h. */
#include "error.h"

#include <gio/gio.h>

static const GDBusErrorEntry error_entries[] = {
	{ XD_ERROR_INVALID_ARGUMENT, "org.xylem.Error.InvalidArgument" },
	{ XD_ERROR_NOT_SUPPORTED, "org.xylem.Error.NotSupported" },
	{ XD_ERROR_NOT_FOUND, "org.xylem.Error.NotFound" },
	{ XD_ERROR_EXISTS, "org.xylem.Error.Exists" },
	{ XD_ERROR_BUSY, "org.xylem.Error.Busy" },
	{ XD_ERROR_LIMIT, "org.xylem.Error.Limit" },
	{ XD_ERROR_KERNEL, "org.xylem.Error.Kernel" },
	{ XD_ERROR_NO_MEMORY, "org.xylem.Error.NoMemory" },
	{ XD_ERROR_DEVICE, "org.xylem.Error.Device" },
	{ XD_ERROR_TIMEOUT, "org.xylem.Error.Timeout" },
	{ XD_ERROR_HYPERVISOR, "org.xylem.Error.Hypervisor" },
	{ XD_ERROR_STORE, "org.xylem.Error.Store" },
	{ XD_ERROR_STREAM, "org.xylem.Error.Stream" },
	{ XD_ERROR_CANCELLED, "org.xylem.Error.Cancelled" },
	{ XD_ERROR_INTERNAL, "org.xylem.Error.Internal" },
};

G_STATIC_ASSERT(G_N_ELEMENTS(error_entries) == XD_ERROR_INTERNAL + 1);

GQuark xd_error_quark(void)
{
	static gsize quark;

	g_dbus_error_register_error_domain("xylemd-error", &quark, error_entries,
	                                   G_N_ELEMENTS(error_entries));
	return (GQuark)quark;
}

gboolean xd_fail(GError **error, enum xd_error code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (error && !*error)
		*error = g_error_new_valist(xd_error_quark(), (gint)code, format, args);
	va_end(args);
	return FALSE;
}
