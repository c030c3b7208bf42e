/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests' screens: where they listen, pictures and keys. */
#ifndef XYLEM_SCREEN_H
#define XYLEM_SCREEN_H

#include "internal.h"
#include "domain_conf.h"

/* A running guest's screen listens where xylemd tells, aa{sv} or NULL. */
void screen_take_port(virDomainDef *def, GVariant *devices);

char *screen_shoot(virDomainPtr dom, virStreamPtr stream, unsigned int screen, unsigned int flags);
int screen_send_key(virDomainPtr dom, unsigned int codeset, unsigned int holdtime, unsigned int *keycodes,
                    int nkeycodes, unsigned int flags);
int screen_open(virDomainPtr dom, unsigned int index, int fd, unsigned int flags);
int screen_open_fd(virDomainPtr dom, unsigned int index, unsigned int flags);

#endif
