/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See events.h. */
#include "events.h"

#include "daemon.h"

#define EVENTS_PER_ROUND 64

void daemon_events(struct xyl_evtchn *evtchn, bool (*fired)(void *data, int port), void *data)
{
	for (int i = 0; i < EVENTS_PER_ROUND; i++) {
		int port = xyl_evtchn_pending(evtchn);

		if (port < 0)
			return;
		if (fired(data, port) && xyl_evtchn_unmask(evtchn, (uint32_t)port))
			daemon_log(LOG_ERR, "cannot unmask an event channel: %s", xyl_error());
	}
}
