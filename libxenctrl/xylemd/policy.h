/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens when a guest has stopped by itself: its configured policy, and a brake on guests that restart
 * again and again. Pure: time is an argument.
 */
#ifndef XYLEMD_POLICY_H
#define XYLEMD_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "guestconf.h"

/* A run shorter than this counts as quick; that many quick runs in a row are the last. */
#define POLICY_QUICK_RUN_US   (INT64_C(10) * 1000 * 1000)
#define POLICY_QUICK_RUNS_MAX 5u

struct policy_state {
	int64_t started_us;  /* when the present run began, CLOCK_BOOTTIME */
	uint32_t quick_runs; /* quick runs in a row before this one */
};

struct policy_verdict {
	enum policy_action action; /* destroy, restart or preserve, after what the next two say */
	bool dump;                 /* write a core file */
	bool keep;                 /* keep the ended domain under another name */
	bool rate_limited;         /* it would have been restarted once more */
	const char *event;         /* of DomainEvent: shutdown, crashed, or rebooted's cause */
	const char *reason;        /* its detail: poweroff, reboot, suspend, crash, watchdog, other */
};

/* reason is the hypervisor's shutdown code (enum xyl_shutdown); unknown codes count as crashes. */
struct policy_verdict policy_decide(const struct guestconf *conf, const struct policy_state *state,
                                    int reason, int64_t now_us);
/* The state for the run that follows one that has ended at now_us; it begins then, or later. */
struct policy_state policy_restarted(const struct policy_state *state, int64_t now_us);

#endif
