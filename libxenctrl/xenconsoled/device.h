/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Consoles that are devices: the backend's side. */
#ifndef XENCONSOLED_DEVICE_H
#define XENCONSOLED_DEVICE_H

#include "console.h"

/* The backend's nodes are there; NULL: they are another's, or wrong. */
struct console *device_new(struct guest *g, unsigned int id);
/* Its end stands: the guest may connect. */
void device_offer(struct console *c);
/* What the guest has made of its side is followed. */
void device_look(struct console *c);
/* The backend's state is as this daemon had it, whoever wrote over it. */
void device_restate(struct console *c);

#endif
