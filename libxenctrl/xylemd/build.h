/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests begin: made anew, or of a saved stream. */
#ifndef XYLEMD_BUILD_H
#define XYLEMD_BUILD_H

#include "guest.h"

/* Makes the guest's domain and connects it; leaves it running or paused. After an error: teardown_guest(). */
bool build_guest(struct guest *guest, bool paused, const char *started_event, GError **error);
void op_create(struct op *op);
void op_restore(struct op *op);

#endif
