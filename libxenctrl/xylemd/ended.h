/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests that have ended and are looked at: core files, and domains that are kept. */
#ifndef XYLEMD_ENDED_H
#define XYLEMD_ENDED_H

#include "guest.h"

/* Removes core files that an earlier xylemd had begun; does not wait for that. */
void ended_begin(void);
/* Writes a core file of the guest's domain, which has stopped. What fails is logged: the guest's policy goes on. */
void ended_dump(struct guest *guest);
/* Makes the guest's ended domain a guest of its own. False, with the reason in the log: it is still the guest's. */
bool ended_keep(struct guest *guest);

#endif
