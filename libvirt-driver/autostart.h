/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guests that start with the host. */
#ifndef XYLEM_AUTOSTART_H
#define XYLEM_AUTOSTART_H

#include <stdbool.h>

/* Begins with it, in threads of its own; late_ms: after which one that does not get started keeps no others waiting. */
void autostart_begin(unsigned int late_ms);
/* Whether it is under way. */
bool autostart_busy(void);

#endif
