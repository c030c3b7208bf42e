/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words of a command line and their values, as Xen's options spell them. Pure. */
#ifndef LIB_OPTION_H
#define LIB_OPTION_H

#include "lib/types.h"

/*
 * Copies the next word of *line (separated by blanks) into word, cut to size - 1 characters, and moves *line
 * behind it. False at the end.
 */
bool option_next_word(const char **line, char *word, size_t size);
/* Copies the next item of a list separated by sep; false at the end. *list is NULL behind the last one. */
bool option_next_item(const char **list, char sep, char *item, size_t size);
/* yes/on/true/enable/1 -> 1, no/off/false/disable/0 -> 0, anything else -1. */
int option_bool(const char *value);
/* A decimal or 0x number that fills the whole word. */
bool option_number(const char *value, uint64_t *number);
/* A size: number with B, K, M, G or T behind it, KiB without; no overflow. Moves *value behind it. */
bool option_size(const char **value, uint64_t *bytes);
/* "LEVEL" or "LEVEL/LEVEL" of none, error, warning, info, debug, all: how many levels are printed, and how many as long
 * as their rate is low; 0 to 4. */
bool option_levels(const char *value, int *print, int *rate);
const char *option_level_name(int level);
/* Copies text cut to size - 1 characters. */
void option_copy(char *to, size_t size, const char *text);

#endif
