/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading guests' event channels, for daemons whose main loop has one descriptor for all of them. */
#ifndef XYLEM_DAEMON_EVENTS_H
#define XYLEM_DAEMON_EVENTS_H

#include "xenctrl.h"

/*
 * Tells fired() of the ports that have fired and unmasks those for which it returns true; what comes in between is
 * reported then. A bounded number of them: a guest can fire as fast as this reads, and whoever else the main
 * loop serves must have its turn. What is left keeps the descriptor readable.
 */
void daemon_events(struct xyl_evtchn *evtchn, bool (*fired)(void *data, int port), void *data);

#endif
