/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reboot and crash policy; see policy.h. */
#include "policy.h"

#include "xenctrl.h"

static bool run_was_quick(const struct policy_state *state, int64_t now_us)
{
	return now_us - state->started_us < POLICY_QUICK_RUN_US;
}

/* What an action means step by step. */
static void take_apart(struct policy_verdict *verdict)
{
	switch (verdict->action) {
	case POLICY_RENAME_RESTART:
		verdict->keep = true;
		verdict->action = POLICY_RESTART;
		return;
	case POLICY_COREDUMP_DESTROY:
		verdict->dump = true;
		verdict->action = POLICY_DESTROY;
		return;
	case POLICY_COREDUMP_RESTART:
		verdict->dump = true;
		verdict->action = POLICY_RESTART;
		return;
	default:
		return;
	}
}

struct policy_verdict policy_decide(const struct guestconf *conf, const struct policy_state *state,
                                    int reason, int64_t now_us)
{
	struct policy_verdict verdict = { .event = "crashed" };

	switch (reason) {
	case XYL_SHUTDOWN_POWEROFF:
		verdict.action = conf->on_poweroff;
		verdict.event = "shutdown";
		verdict.reason = "poweroff";
		break;
	case XYL_SHUTDOWN_REBOOT:
		verdict.action = conf->on_reboot;
		verdict.event = "shutdown";
		verdict.reason = "reboot";
		break;
	case XYL_SHUTDOWN_SUSPEND:
		/* Its memory is worth keeping: somebody may resume it. */
		verdict.action = POLICY_PRESERVE;
		verdict.event = "shutdown";
		verdict.reason = "suspend";
		break;
	case XYL_SHUTDOWN_WATCHDOG:
		verdict.action = conf->on_crash;
		verdict.reason = "watchdog";
		break;
	case XYL_SHUTDOWN_CRASH:
		verdict.action = conf->on_crash;
		verdict.reason = "crash";
		break;
	default:
		verdict.action = conf->on_crash;
		verdict.reason = "other";
		break;
	}
	take_apart(&verdict);
	if (verdict.action == POLICY_RESTART && run_was_quick(state, now_us) &&
	    state->quick_runs + 1 >= POLICY_QUICK_RUNS_MAX) {
		verdict.action = POLICY_DESTROY;
		verdict.keep = false;
		verdict.rate_limited = true;
	}
	return verdict;
}

struct policy_state policy_restarted(const struct policy_state *state, int64_t now_us)
{
	struct policy_state next = { .started_us = now_us };

	if (run_was_quick(state, now_us))
		next.quick_runs = state->quick_runs + 1;
	return next;
}
