/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Configuration files of xl and domain XML, each from the other: the calls. */
#ifndef XYLEM_CONVERT_H
#define XYLEM_CONVERT_H

#include "internal.h"

char *convert_from_native(virConnectPtr conn, const char *format_name, const char *text, unsigned int flags);
char *convert_to_native(virConnectPtr conn, const char *format_name, const char *xml, unsigned int flags);

#endif
