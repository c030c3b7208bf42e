/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The message of the calling thread's last failure. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "private.h"

static __thread char message[512] = "no error";

const char *xyl_error(void)
{
	return message;
}

int xyl_fail(int error, const char *format, ...)
{
	char reason[128];
	va_list ap;
	size_t n;

	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	n = strlen(message);
	snprintf(message + n, sizeof(message) - n, ": %s", strerror_r(error, reason, sizeof(reason)));
	errno = error;
	return -1;
}

int xyl_fail_text(int error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	errno = error;
	return -1;
}
