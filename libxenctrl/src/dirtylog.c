/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hypervisor's log of the pages that a domain changes: how it is begun and ended, for a live save (savelive.c) as well, and how
 * many they are in a time.
 *
 * The guest pays for the log while it is on, so it is off again whatever happens. Pages are counted once, by the hypervisor: Xen
 * counts those whose bits were set since the log was emptied, and goes on from an earlier log's count where it was not; Xylem
 * counts the bits. Source: xen/domctl.h (struct xen_domctl_shadow_op).
 */
#include "dirtylog.h"

#include <stdio.h>

#include "clock.h"
#include "streamformat.h"

#define OFF_TRIES   20u /* of switching the log off */
#define OFF_WAIT_US 10000u
#define STEP_US     50000u /* between two looks at a domain whose pages are counted */
#define COUNT_US    60000000u

static int shadow_op(struct xyl *x, uint32_t domid, struct xen_domctl *op, uint32_t what)
{
	*op = (struct xen_domctl){ .cmd = XEN_DOMCTL_shadow_op, .domain = (domid_t)domid };
	op->u.shadow_op.op = what;
	/* Of so many, if the log has them, CLEAN forgets what they were. There is no bitmap. */
	op->u.shadow_op.pages = STREAM_PFNS_MAX;
	return xyl_domctl(x, op, "log which pages it changes");
}

int xyl_domain_save_live_end(struct xyl *x, uint32_t domid)
{
	struct xen_domctl op;

	for (unsigned i = 1;; i++) {
		int rc = shadow_op(x, domid, &op, XEN_DOMCTL_SHADOW_OP_OFF);

		if (rc == 0 || i == OFF_TRIES || (errno != ENOMEM && errno != EBUSY && errno != EAGAIN))
			return rc;
		clock_nap(OFF_WAIT_US);
	}
}

int dirtylog_begin(struct xyl *x, uint32_t domid, bool *on)
{
	struct xen_domctl op;
	int rc = shadow_op(x, domid, &op, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY);

	/* on already, left by somebody who ended */
	if (rc < 0 && errno == EINVAL && xyl_domain_save_live_end(x, domid) == 0)
		rc = shadow_op(x, domid, &op, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY);
	*on = rc == 0 || errno == ENOMEM; /* of which some memory may be taken */
	if (rc < 0 && (errno == ENOSYS || errno == EOPNOTSUPP || errno == EINVAL))
		return xyl_fail_text(ENOTSUP, "domain %u: this hypervisor cannot tell which pages it changes",
		                     domid);
	return rc;
}

int dirtylog_finish(struct xyl *x, uint32_t domid, int rc)
{
	int error = errno;
	char message[512];

	if (rc == 0)
		return xyl_domain_save_live_end(x, domid);
	snprintf(message, sizeof(message), "%s", xyl_error());
	(void)!xyl_domain_save_live_end(x, domid);
	return xyl_fail_text(error, "%s", message);
}

/* ---- how many ---- */

static int look(struct xyl *x, uint32_t domid, struct xyl_dominfo *info)
{
	if (xyl_domain_info(x, domid, info) < 0)
		return -1;
	if (!info->dying && !info->shutdown)
		return 0;
	return xyl_fail_text(EBUSY, "domain %u: it has stopped", domid);
}

static int wait_until(struct xyl *x, uint32_t domid, uint64_t end_us, xyl_progress_fn *progress, void *data)
{
	static const struct xyl_progress nothing;
	struct xyl_dominfo info;

	for (;;) {
		uint64_t now = clock_now_us();

		if (look(x, domid, &info) < 0)
			return -1;
		if (progress && !progress(&nothing, data))
			return xyl_fail_text(ECANCELED,
			                     "domain %u: whoever counts its changes was told to stop", domid);
		if (now >= end_us)
			return 0;
		clock_nap(end_us - now < STEP_US ? end_us - now : STEP_US);
	}
}

/* The log is on. */
static int count(struct xyl *x, uint32_t domid, uint64_t duration_us, struct xyl_dirty *out,
                 xyl_progress_fn *progress, void *data)
{
	struct xyl_dominfo before, after;
	struct xen_domctl op;
	uint64_t began;

	if (shadow_op(x, domid, &op, XEN_DOMCTL_SHADOW_OP_CLEAN) < 0)
		return -1;
	began = clock_now_us();
	if (look(x, domid, &before) < 0 || wait_until(x, domid, began + duration_us, progress, data) < 0)
		return -1;
	out->elapsed_us = clock_now_us() - began;
	/* Xen has a count of nothing for one that dies: it is looked at afterwards. */
	if (shadow_op(x, domid, &op, XEN_DOMCTL_SHADOW_OP_PEEK) < 0 || look(x, domid, &after) < 0)
		return -1;
	/* The log has pages besides that may be written to unseen, at any time; but not for a guest that does not run. */
	out->pages = after.cpu_time_ns == before.cpu_time_ns ? 0 : op.u.shadow_op.stats.dirty_count;
	return 0;
}

int xyl_domain_dirty_pages(struct xyl *x, uint32_t domid, uint64_t duration_us, struct xyl_dirty *out,
                           xyl_progress_fn *progress, void *data)
{
	struct xyl_dominfo info;
	bool on = false;
	int rc;

	if (!duration_us || duration_us > COUNT_US)
		return xyl_fail_text(EINVAL, "domain %u: %llu microseconds are outside 1..%u", domid,
		                     (unsigned long long)duration_us, COUNT_US);
	if (look(x, domid, &info) < 0)
		return -1;
	rc = dirtylog_begin(x, domid, &on);
	if (rc == 0)
		rc = count(x, domid, duration_us, out, progress, data);
	if (on)
		rc = dirtylog_finish(x, domid, rc);
	if (rc < 0 && errno == ESRCH)
		return xyl_fail_text(EBUSY, "domain %u: it was destroyed meanwhile", domid);
	return rc;
}
