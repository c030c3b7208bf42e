/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What tests of the driver's calls have in common: libvirt and the driver set up in this process, a store with nothing in
 * it, and xylemd's side of the events. The rest of xylemd and of the hypervisor is each test's own; a call to xylemd that it
 * does not define ends it.
 */
#ifndef PLAYED_H
#define PLAYED_H

#include "xylem.h"

extern virConnectPtr conn;

/* dir: an empty folder, for the driver's files. False with libvirt's error. */
bool played_setup(const char *dir);
/* Whether the document is as libvirt's schema, "domain.rng" for one, wants it; NULL is not. */
bool played_valid(const char *schema, const char *xml);
/* Has xylemd tell of an event of the guest; detail and event stay where they are. Any thread. */
void played_say(const char *uuid, unsigned int domid, const char *event, const char *detail);
/* Returns when all that xylemd has told has been heard. Not for the event thread. */
void played_heard(void);
/* Has objects and hypervisor agree: in the event thread, whose work that is. Not for it. */
void played_reconcile(void);

#endif
