/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Saving a PV domain that runs, in steps:
 *	1. the hypervisor begins to log which pages it changes
 *	2. headers; all of its memory
 *	3. rounds: what is in the log, and what could not be sent before, until that is little or the limits are reached; where
 *	   the caller wants that, a guest that outruns them gets less and less of its CPUs
 *	4. the caller has the guest suspend
 *	5. the last of the log, what the guest has not any more, its state, the end
 * The log is off again whatever happens. What each step writes stands in save.c and savememory.c. A guest may change
 * everything all the time: rounds and bytes are bounded, and nothing waits for it but the caller's function.
 * Source: xen/domctl.h (struct xen_domctl_shadow_op).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "clock.h"
#include "dirtylog.h"
#include "saver.h"

#define DOWNTIME_US   300000u
#define ROUNDS        30u
#define MEMORY_TIMES  3u  /* as much is sent at most before the guest is suspended */
#define FEW_PAGES     50u /* these are not worth a round */
#define BEHIND_ROUNDS 2u  /* in a row, in which it changed half of what was sent, or more: it is throttled */
#define THROTTLE_STEP 10u /* percent */
#define THROTTLE_MOST 99u
#define RATE_US       50000u /* what takes less time says little about the rate */
#define WAIT_US       100000u
#define PACE_US       1000000u /* so much that was not used of a bandwidth is made up for */
#define TABLE_TRIES   20u      /* of a table of frames that the guest changes just now */
#define TABLE_WAIT_US 10000u

struct live {
	struct saver *v;
	const struct xyl_live *how;
	xyl_progress_fn *fn;
	void *data;
	struct xyl_live_limits limits;
	bool logging;    /* the hypervisor's log is on */
	bool stopped;    /* the domain has, by itself */
	unsigned behind; /* rounds in a row in which it changed half of what was sent, or more */
	uint64_t round_us, round_bytes; /* when this round began, and what had been written by then */
	uint64_t suspend_us;            /* when the guest was asked to; 0: it was not */
	uint64_t pace_us, pace_bytes;   /* where what may be sent by now is counted from */
	uint64_t pace;                  /* the limit that it was counted by */
};

/* ---- the log ---- */

static int begin_log(struct live *l)
{
	struct saver *v = l->v;

	if (dirtylog_begin(v->x, v->domid, &l->logging) == 0)
		return 0;
	if (errno == ENOTSUP)
		return stream_fail(&v->s, ENOTSUP, "this hypervisor cannot save a guest while it runs");
	return stream_because(&v->s);
}

static int end_log(struct live *l)
{
	if (xyl_domain_save_live_end(l->v->x, l->v->domid) < 0)
		return stream_because(&l->v->s);
	l->logging = false;
	return 0;
}

/* Takes what is in the log, and empties it; bitmap is hypercall memory. */
static int take_log(struct live *l, uint64_t *bitmap, uint64_t pfns)
{
	struct saver *v = l->v;
	struct xen_domctl op = { .cmd = XEN_DOMCTL_shadow_op, .domain = (domid_t)v->domid };

	op.u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_CLEAN;
	op.u.shadow_op.mode = v->running ? 0 : XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL;
	op.u.shadow_op.pages = pfns;
	set_xen_guest_handle(op.u.shadow_op.dirty_bitmap, (uint8_t *)bitmap);
	if (xyl_domctl(v->x, &op, "ask which pages it has changed") < 0)
		return stream_because(&v->s);
	if (op.u.shadow_op.pages < pfns)
		return stream_fail(&v->s, EIO, "the hypervisor tells of %llu of its %llu pages",
		                   (unsigned long long)op.u.shadow_op.pages, (unsigned long long)pfns);
	return 0;
}

/* ---- progress ---- */

/* In place of the caller's function, for all that is sent: it is asked, and while the guest should run, the guest, too. */
static bool watch(const struct xyl_progress *progress, void *data)
{
	struct live *l = data;
	struct xyl_progress *own = &l->v->s.progress;
	struct xyl_dominfo info;

	(void)progress;
	if (l->suspend_us)
		own->downtime_us = clock_now_us() - l->suspend_us;
	else if (xyl_domain_info(l->v->x, l->v->domid, &info) < 0)
		l->stopped = errno == ESRCH;
	else
		l->stopped = info.dying || info.shutdown;
	return !l->stopped && (!l->fn || l->fn(own, l->data));
}

static void ask_limits(struct live *l)
{
	memset(&l->limits, 0, sizeof(l->limits));
	if (l->how->limits)
		l->how->limits(&l->limits, l->data);
	if (!l->limits.max_downtime_us)
		l->limits.max_downtime_us = DOWNTIME_US;
	if (!l->limits.max_rounds)
		l->limits.max_rounds = ROUNDS;
}

/* a * b / c, or the most that there is. */
static uint64_t scale(uint64_t a, uint64_t b, uint64_t c)
{
	unsigned __int128 n = (unsigned __int128)a * b / c;

	return n > UINT64_MAX ? UINT64_MAX : (uint64_t)n;
}

static void measure(struct live *l)
{
	struct xyl_progress *p = &l->v->s.progress;
	uint64_t us = clock_now_us() - l->round_us;

	if (us >= RATE_US || (us && !p->rate))
		p->rate = scale(p->bytes_done - l->round_bytes, 1000000, us);
}

/* After a batch: not more bytes than may be by now. */
static int keep_pace(struct live *l)
{
	struct saver *v = l->v;

	for (;;) {
		uint64_t now = clock_now_us(), us = now - l->pace_us, due;

		ask_limits(l);
		measure(l);
		due = scale(v->s.progress.bytes_done - l->pace_bytes, 1000000,
		            l->pace ? l->pace : UINT64_MAX);
		/* Another limit, or long without a need of it: anew. */
		if (l->pace != l->limits.bandwidth || us > due + PACE_US) {
			l->pace = l->limits.bandwidth;
			l->pace_us = now;
			l->pace_bytes = v->s.progress.bytes_done;
			return 0;
		}
		if (!l->pace || due <= us)
			return 0;
		clock_nap(due - us < WAIT_US ? due - us : WAIT_US);
		if (stream_tick(&v->s) < 0)
			return -1;
	}
}

/* ---- rounds ---- */

/* What its table may have: one that runs may get pages between this and the look at the table. */
static uint64_t most_pages(const struct saver *v, const struct xyl_dominfo *info)
{
	uint64_t pages = info->memory_pages;

	if (v->running && info->max_memory_pages > pages)
		pages = info->max_memory_pages;
	return pages < STREAM_PFNS_MAX ? pages : STREAM_PFNS_MAX;
}

static int ask_domain(struct live *l, struct xyl_dominfo *info)
{
	struct saver *v = l->v;

	if (!v->running)
		return saver_check_suspended(v, info);
	if (xyl_domain_info(v->x, v->domid, info) < 0)
		return stream_because(&v->s);
	l->stopped = info->dying || info->shutdown;
	return l->stopped ? -1 : 0;
}

/* The first look at its table of frames, which may be changing just now. */
static int read_first(struct live *l)
{
	struct saver *v = l->v;
	struct xyl_dominfo info;

	for (unsigned i = 1;; i++) {
		if (ask_domain(l, &info) < 0)
			return -1;
		if (savememory_read(v, most_pages(v, &info)) == 0)
			return 0;
		if (i == TABLE_TRIES || errno == ENOMEM || errno == ECANCELED)
			return -1;
		clock_nap(TABLE_WAIT_US);
		if (stream_tick(&v->s) < 0)
			return -1;
	}
}

/* Its table as it is now; while it runs, one that is about to change is passed over, and the one before stands. */
static int read_again(struct live *l)
{
	struct saver *v = l->v;
	struct xyl_dominfo info;

	if (ask_domain(l, &info) < 0)
		return -1;
	if (savememory_read(v, most_pages(v, &info)) < 0 &&
	    (!v->running || errno == ENOMEM || errno == ECANCELED))
		return -1;
	return savememory_write_table(v);
}

/* What is due by now. The log is taken before the table is read: what changes in between is found in one of the two. */
static int look(struct live *l)
{
	struct saver *v = l->v;
	uint64_t pfns = v->p2m.used_count ? v->p2m.pages[v->p2m.used_count - 1].pfn + 1 : 1;
	size_t bytes = (pfns + 63) / 64 * sizeof(uint64_t);
	uint64_t *bitmap = xyl_hypercall_alloc(v->x, bytes);
	int rc;

	if (!bitmap)
		return stream_because(&v->s);
	rc = take_log(l, bitmap, pfns);
	if (rc == 0) {
		savememory_mark_table(v, bitmap, pfns);
		rc = read_again(l);
	}
	if (rc == 0)
		savememory_mark_all(v, bitmap, pfns);
	xyl_hypercall_free(v->x, bitmap, bytes);
	return rc;
}

/* Sends what is due; while the guest runs, as fast as it may be. */
static int send_due(struct live *l)
{
	struct saver *v = l->v;
	uint64_t at = 0;
	int rc;

	v->s.progress.round++;
	v->s.progress.dirty_pages = v->due_count;
	v->s.progress.pages_total = v->s.progress.pages_done + v->due_count;
	l->round_us = clock_now_us();
	l->round_bytes = v->s.progress.bytes_done;
	if (stream_tick(&v->s) < 0 || savememory_drop(v) < 0)
		return -1;
	while ((rc = savememory_send(v, &at)) > 0)
		if (v->running && keep_pace(l) < 0)
			return -1;
	return rc;
}

/* Whether the rest can be sent while the guest stands still. */
static bool is_little(const struct live *l)
{
	const struct saver *v = l->v;

	return v->due_count <= FEW_PAGES ||
	       v->due_count * XYL_PAGE_BYTES <= scale(v->s.progress.rate, l->limits.max_downtime_us, 1000000);
}

/* After a round in which so many pages were sent. */
static void throttle(struct live *l, uint64_t sent)
{
	struct xyl_progress *p = &l->v->s.progress;
	uint32_t percent = l->limits.throttle_initial;

	l->behind = l->v->due_count >= sent / 2 ? l->behind + 1 : 0;
	if (!percent || l->behind < BEHIND_ROUNDS || p->throttle == THROTTLE_MOST)
		return;
	if (p->throttle)
		percent = p->throttle +
		          (l->limits.throttle_increment ? l->limits.throttle_increment : THROTTLE_STEP);
	if (percent > THROTTLE_MOST)
		percent = THROTTLE_MOST;
	l->behind = 0;
	if (l->how->throttle(percent, l->data))
		p->throttle = percent;
}

static void unthrottle(struct live *l)
{
	if (l->v->s.progress.throttle)
		l->how->throttle(0, l->data);
	l->v->s.progress.throttle = 0;
}

/* Whether no further round is to be. */
static bool is_enough(const struct live *l)
{
	const struct xyl_progress *p = &l->v->s.progress;

	return p->round >= l->limits.max_rounds ||
	       (!p->throttle && p->pages_done / MEMORY_TIMES >= l->v->p2m.used_count);
}

/* Steps 2 and 3. */
static int send_running(struct live *l)
{
	struct saver *v = l->v;
	uint64_t before;

	if (read_first(l) < 0 || saver_write_static(v) < 0 || savememory_write_table(v) < 0)
		return -1;
	for (;;) {
		before = v->s.progress.pages_done;
		if (send_due(l) < 0)
			return -1;
		ask_limits(l);
		if (is_enough(l))
			return 0;
		if (look(l) < 0)
			return -1;
		if (is_little(l))
			return 0;
		throttle(l, v->s.progress.pages_done - before);
	}
}

/* ---- the end ---- */

/* The pages that it shares with dom0's daemons, which write there by mappings of their own, that no log knows. */
static int mark_shared(struct saver *v)
{
	vcpu_guest_context_t *c = malloc(sizeof(*c));
	const struct start_info *info;
	uint64_t mfn;

	if (!c)
		return stream_fail(&v->s, ENOMEM, "out of memory");
	if (xyl_vcpu_get_context(v->x, v->domid, 0, c) < 0) {
		free(c);
		return stream_because(&v->s);
	}
	mfn = c->user_regs.rdx; /* by the suspend hypercall's convention */
	free(c);
	if (guestp2m_pfn(&v->p2m, mfn) == XYL_PAGE_NONE)
		return 0; /* which is an error later */
	info = xyl_foreign_map(v->x, v->domid, PROT_READ, &mfn, 1, NULL);
	if (!info)
		return stream_because(&v->s);
	savememory_mark(v, info->store_mfn);
	savememory_mark(v, info->console.domU.mfn);
	return xyl_foreign_unmap(v->x, (void *)(uintptr_t)info, 1);
}

/* Steps 4 and 5. */
static int send_rest(struct live *l)
{
	struct saver *v = l->v;

	unthrottle(l); /* what it has to do to suspend is a time in which it does nothing else */
	l->suspend_us = clock_now_us();
	if (!l->how->suspend(l->data))
		return stream_fail(&v->s, ECANCELED, "it was not suspended");
	v->running = false;
	if (look(l) < 0 || saver_check_vcpus(v) < 0 || mark_shared(v) < 0)
		return -1;
	if (send_due(l) < 0 || savememory_drop(v) < 0 || saver_write_state(v) < 0)
		return -1;
	/* before the stream is complete, so that nothing can fail when it is */
	return end_log(l) < 0 ? -1 : saver_write_end(v);
}

static int save(struct live *l)
{
	struct saver *v = l->v;
	struct xyl_dominfo info;

	v->running = true;
	if (ask_domain(l, &info) < 0 || saver_open(v, &info) < 0 || saver_check_vcpus(v) < 0)
		return -1;
	v->ever = calloc(STREAM_PFNS_MAX / 64, sizeof(*v->ever));
	if (!v->ever)
		return stream_fail(&v->s, ENOMEM, "out of memory");
	if (begin_log(l) < 0 || send_running(l) < 0)
		return -1;
	return send_rest(l);
}

int xyl_domain_save_live(struct xyl *x, uint32_t domid, int fd, const struct xyl_live *how,
                         xyl_progress_fn *progress, void *data)
{
	struct live l = { .how = how, .fn = progress, .data = data };
	char message[512];
	int rc, error;

	l.v = saver_new(x, domid, fd, watch, &l);
	if (!l.v)
		return -1;
	l.v->zeros_by_type = how->zeros_by_type;
	ask_limits(&l);
	l.pace = l.limits.bandwidth;
	l.pace_us = clock_now_us();
	rc = save(&l);
	if (rc < 0 && l.stopped)
		rc = stream_fail(&l.v->s, EBUSY, "it has stopped by itself");
	/* Why it failed at first is what is told. */
	error = errno;
	snprintf(message, sizeof(message), "%s", xyl_error());
	unthrottle(&l);
	saver_free(l.v);
	if (rc < 0)
		rc = xyl_fail_text(error, "%s", message);
	return l.logging ? dirtylog_finish(x, domid, rc) : rc;
}
