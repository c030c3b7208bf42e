/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Core files that clients ask for. */
#ifndef XYLEM_DUMP_H
#define XYLEM_DUMP_H

#include "internal.h"

int dump_core(virDomainPtr dom, const char *to, unsigned int flags);
int dump_core_format(virDomainPtr dom, const char *to, unsigned int format, unsigned int flags);

#endif
