/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The errors that cross xylemd's socket, as one GError domain.
 * Each code has the D-Bus name org.xylem.Error.<Name> (docs/xylemd-protocol.md). A message is one sentence
 * that names the guest and the element that it is about.
 */
#ifndef XYLEMD_ERROR_H
#define XYLEMD_ERROR_H

#include <glib.h>

enum xd_error {
	XD_ERROR_INVALID_ARGUMENT,
	XD_ERROR_NOT_SUPPORTED,
	XD_ERROR_NOT_FOUND,
	XD_ERROR_EXISTS,
	XD_ERROR_BUSY,
	XD_ERROR_LIMIT,
	XD_ERROR_KERNEL,
	XD_ERROR_NO_MEMORY,
	XD_ERROR_DEVICE,
	XD_ERROR_TIMEOUT,
	XD_ERROR_HYPERVISOR,
	XD_ERROR_STORE,
	XD_ERROR_STREAM,
	XD_ERROR_CANCELLED,
	XD_ERROR_INTERNAL,
};

/* The error domain; its first use registers the D-Bus names. */
GQuark xd_error_quark(void);

/* Sets *error and returns false, so that a check can end in `return xd_fail(error, ...)`. */
gboolean xd_fail(GError **error, enum xd_error code, const char *format, ...) G_GNUC_PRINTF(3, 4);

#endif
