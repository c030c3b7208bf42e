/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Consoles and channels of guests: the calls, and what is known of their ttys. */
#ifndef XYLEM_CONSOLE_H
#define XYLEM_CONSOLE_H

#include "internal.h"
#include "domain_conf.h"

int console_open(virDomainPtr dom, const char *device, virStreamPtr stream, unsigned int flags);
int console_open_channel(virDomainPtr dom, const char *name, virStreamPtr stream, unsigned int flags);
/* Reads the ttys' names from the store into the live definition; unlocks the object meanwhile. */
void console_find_ttys(virDomainObj *vm, unsigned int wait_ms);
/* Its next domain has others. */
void console_forget_ttys(virDomainDef *def);
/* Aliases, and the sockets of channels that have none: 0, or -1 with an error. */
int console_complete(virDomainDef *def);

#endif
