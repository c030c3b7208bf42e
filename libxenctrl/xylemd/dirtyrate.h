/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many of its pages a guest changes in a time. */
#ifndef XYLEMD_DIRTYRATE_H
#define XYLEMD_DIRTYRATE_H

#include "guest.h"

#define DIRTYRATE_US_MAX (60 * G_USEC_PER_SEC)

/* argument: t, microseconds, 1 to DIRTYRATE_US_MAX. */
void op_dirty_rate(struct op *op);
/* Of a guest that was found running: its pages are watched no more. */
void dirtyrate_adopt(struct guest *guest);

#endif
