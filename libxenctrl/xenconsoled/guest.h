/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest: its consoles, what the store says of it, and how often it is looked at. */
#ifndef XENCONSOLED_GUEST_H
#define XENCONSOLED_GUEST_H

#include "console.h"

extern unsigned int guest_retry_ms; /* after which a store that failed is asked again */
struct guest *guest_new(struct daemon *d, const struct xyl_dominfo *info);
void guest_free(struct guest *g);
/* Whether one of its consoles may be looked at now; otherwise all are held for a while. */
bool guest_may_look(struct guest *g);

/* A node's value, or NULL. Of a failure that does not mean that there is none, guest->unread tells until somebody clears
 * it: nothing is concluded then, all is looked at again later. */
char *guest_read(struct guest *g, xyl_tx tx, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The store failed: the same. */
void guest_look_again(struct guest *g);

#endif
