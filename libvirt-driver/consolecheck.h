/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Consoles and channels of a definition: refused by name, or as xylemd takes them. Pure, as conf.h is. */
#ifndef XYLEM_CONSOLECHECK_H
#define XYLEM_CONSOLECHECK_H

#include "internal.h"
#include "domain_conf.h"

/* Of all of its consoles and channels, and of each. */
int check_consoles(const virDomainDef *def);
int check_chr(const virDomainChrDef *chr, const virDomainDef *def);
/* Both are numbered in one row: the consoles, of which 0 is always there, and behind them the channels. */
size_t conf_console_count(const virDomainDef *def);
virDomainChrDef *conf_console_at(const virDomainDef *def, size_t number); /* NULL: it is not described */
/* From number 1 on, as xylemd takes them: an aa{sv}, floating. */
GVariant *conf_consoles(const virDomainDef *def);
/* The socket of a channel whose definition has none; the caller frees it. */
#define CONF_CHANNEL_DIR "/run/xylem/channels"
char *conf_channel_path(const virDomainDef *def, size_t number);

#endif
