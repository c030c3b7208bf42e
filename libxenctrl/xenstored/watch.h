/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Watches and their events. */
#ifndef XENSTORED_WATCH_H
#define XENSTORED_WATCH_H

#include "store.h"

int watch_add(struct conn *c, const char *path, const char *token, uint32_t strip);
/* The event that each new watch gets at once; for the youngest watch of c. */
void watch_first_event(struct conn *c);
int watch_remove(struct conn *c, const char *path, const char *token);
void watch_remove_all(struct conn *c);
/* Something changed at path. exact: only watches on this very path (it went with a parent). */
void watch_fire(struct store *s, const char *path, bool exact, const struct content *before,
                const struct content *after, const struct content *parent);
void watch_fire_special(struct store *s, const char *path);
void watch_event_begun(struct message *m); /* the first byte of an event is being sent, or it is dropped */

#endif
