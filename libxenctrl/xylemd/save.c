/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Saving a guest to a stream, and letting it go on afterwards; core files.
 *
 *	1. the guest's kernel is asked to suspend, as it alone can take its frames out of its own tables: by the event channel
 *	   that it names for that, or by control/shutdown. There it acknowledges by clearing the request. It stops
 *	2. its memory and state are written to the client's file, pipe or socket, and dom0 writes what it has of its disks
 *	3. it is kept as it is. The client makes what was written durable, and then has the guest destroyed, or resumed
 *
 * A live save writes most of the memory before the first step, while the guest runs, and is given up when it stops by itself.
 *
 * So there is a guest that can run at each moment, and never two: one that is kept does not run by itself. What fails on
 * the way has the guest go on where it stopped. A guest that does not suspend in time, or whose save is cancelled when it has
 * been asked already, is left alone; when it suspends later all the same, it goes on too: once for each such request, since
 * the guest may see each. That two of them were one event for it cannot be known; then a suspend of its own is undone.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "save.h"
#include "drain.h"
#include "error.h"
#include "scan.h"
#include "storeio.h"

/* For the acknowledgement, and again for the suspend itself. */
#ifndef SUSPEND_US /* the tests' is shorter */
#define SUSPEND_US (INT64_C(60) * 1000000)
#endif
/* From an acknowledgement until it is asked once more: what comes after Linux's 20 s. */
#define AGAIN_US (SUSPEND_US * 5 / 12)
#define LOOK_US  (SUSPEND_US / 60)

/* Flags of Save. */
#define SAVE_LIVE          1u
#define SAVE_ZEROS_BY_TYPE 2u

/* ---- jobs ---- */

bool job_begin(struct guest *guest, const char *what, GError **error)
{
	g_mutex_lock(&xylemd.lock);
	guest->job.what = what;
	guest->job.since_us = g_get_monotonic_time();
	memset(&guest->job.progress, 0, sizeof(guest->job.progress));
	g_atomic_int_set(&guest->job.cancelled, 0);
	g_mutex_unlock(&xylemd.lock);
	return guest_alive(guest, error);
}

bool job_end(struct guest *guest)
{
	bool cancelled;

	g_mutex_lock(&xylemd.lock);
	cancelled = guest->job.what && g_atomic_int_get(&guest->job.cancelled);
	guest->job.what = NULL;
	g_mutex_unlock(&xylemd.lock);
	return cancelled;
}

bool job_fail_cancelled(const struct guest *guest, const char *call, GError **error)
{
	return xd_fail(error, XD_ERROR_CANCELLED, "guest \"%s\": %s was cancelled", guest->name, call);
}

bool job_progress(const struct xyl_progress *progress, void *data)
{
	struct guest *guest = data;

	g_mutex_lock(&xylemd.lock);
	guest->job.progress = *progress;
	g_mutex_unlock(&xylemd.lock);
	return !g_atomic_int_get(&guest->job.cancelled) && !g_atomic_int_get(&guest->doomed);
}

bool job_cancel(struct guest *guest)
{
	bool there;

	g_mutex_lock(&xylemd.lock);
	there = guest->job.what != NULL;
	if (there)
		g_atomic_int_set(&guest->job.cancelled, 1);
	g_cond_broadcast(&xylemd.scanned);
	g_mutex_unlock(&xylemd.lock);
	return there;
}

bool job_client_waits(struct op *op)
{
	bool waits;

	g_mutex_lock(&xylemd.lock);
	waits = op->call && !g_dbus_connection_is_closed(g_dbus_method_invocation_get_connection(op->call));
	g_mutex_unlock(&xylemd.lock);
	return waits;
}

bool save_set_limits(struct guest *guest, GVariant *limits, GError **error)
{
	struct xyl_live_limits new;
	bool ok;

	g_mutex_lock(&xylemd.lock);
	new = guest->limits;
	ok = guest->domid ||
	     xd_fail(error, XD_ERROR_BUSY, "guest \"%s\" has no domain at present", guest->name);
	if (ok)
		ok = migration_parse(limits, guest->name, &new, error);
	if (ok)
		guest->limits = new;
	g_mutex_unlock(&xylemd.lock);
	return ok;
}

enum xd_error job_error(int why, enum xd_error other)
{
	switch (why) {
	case ECANCELED:
		return XD_ERROR_CANCELLED;
	case ENOMEM:
		return XD_ERROR_NO_MEMORY;
	case ENOTSUP:
		return XD_ERROR_NOT_SUPPORTED;
	default:
		return other;
	}
}

bool job_fail(const struct guest *guest, const char *call, GError **error)
{
	enum xd_error code = job_error(errno, XD_ERROR_STREAM);

	if (code == XD_ERROR_CANCELLED)
		return job_fail_cancelled(guest, call, error);
	return xd_fail(error, code, "guest \"%s\": %s: %s", guest->name, call, xyl_error());
}

/* ---- 1. suspend ---- */

static char *control_node(const struct guest *guest, const char *leaf)
{
	return g_strdup_printf("/local/domain/%u/control/%s", guest->journal->domid, leaf);
}

/* Its port on which it waits to be asked; 0: it names none. It may name whatever it likes: what is no port cannot be bound. */
static uint32_t suspend_port(struct guest *guest)
{
	char *value = xyl_store_readf(storeio_store(xylemd.io), XYL_TX_NONE,
	                              "/local/domain/%u/device/suspend/event-channel", guest->journal->domid);
	guint64 port = 0;

	if (!value || !g_ascii_string_to_unsigned(value, 10, 1, UINT32_MAX, &port, NULL))
		port = 0;
	free(value);
	return (uint32_t)port;
}

/* Nothing is left bound: the guest has its event, and its port waits for the next. */
static bool ask_by_event(struct guest *guest)
{
	uint32_t port = suspend_port(guest);
	struct xyl_evtchn *e = port ? xyl_evtchn_open() : NULL;
	int local = e ? xyl_evtchn_bind_interdomain(e, guest->journal->domid, port) : -1;
	bool ok = local >= 0 && !xyl_evtchn_notify(e, (uint32_t)local);

	if (port && !ok)
		g_info("guest \"%s\": it is asked to suspend through the store: %s", guest->name,
		       xyl_error());
	xyl_evtchn_close(e);
	return ok;
}

/*
 * Linux says what it understands when its drivers have started, and before 4.11 never, as other kernels: where nothing is said
 * it is asked all the same, and has its time to come that far.
 */
static bool can_suspend(struct guest *guest, GError **error)
{
	g_autofree char *path = control_node(guest, "feature-suspend");
	char *value = xyl_store_read(storeio_store(xylemd.io), XYL_TX_NONE, path, NULL);
	bool unread = !value && errno != ENOENT, can = !value || !*value || !strcmp(value, "1");

	free(value);
	if (unread)
		return xd_fail(error, XD_ERROR_STORE, "guest \"%s\": %s: %s", guest->name, path, xyl_error());
	return can || suspend_port(guest) ||
	       xd_fail(error, XD_ERROR_NOT_SUPPORTED, "guest \"%s\": its kernel says that it cannot suspend",
	               guest->name);
}

/* What take_back() found: the request is still there, and is gone then; or the guest has taken it. */
static int take_back_body(struct xyl_store *store, xyl_tx tx, void *data)
{
	const char *path = data;
	char *value = xyl_store_read(store, tx, path, NULL);
	bool untaken = value && !strcmp(value, "suspend");

	free(value);
	if (!untaken) {
		errno = ESTALE;
		return -1;
	}
	return xyl_store_write(store, tx, path, "", 0);
}

static bool take_back(struct guest *guest)
{
	g_autofree char *path = control_node(guest, "shutdown");

	return !xyl_store_transaction(storeio_store(xylemd.io), take_back_body, path);
}

enum look { LOOK_RUNS, LOOK_SUSPENDED, LOOK_FAILED };

static enum look look_at(struct guest *guest, GError **error)
{
	struct xyl_dominfo info;

	if (!guest_alive(guest, error))
		return LOOK_FAILED;
	if (xyl_domain_info(xylemd.xen, guest->journal->domid, &info) || info.dying ||
	    memcmp(info.uuid, guest->id, 16)) {
		xd_fail(error, XD_ERROR_NOT_FOUND, "guest \"%s\" was destroyed meanwhile", guest->name);
		return LOOK_FAILED;
	}
	if (!info.shutdown)
		return LOOK_RUNS;
	if (info.shutdown_reason == XYL_SHUTDOWN_SUSPEND)
		return LOOK_SUSPENDED;
	xd_fail(error, XD_ERROR_BUSY, "guest \"%s\" has stopped by itself before it could suspend",
	        guest->name);
	return LOOK_FAILED;
}

/* It was asked, and nobody waits for that any more: what comes of it is undone. */
static void abandon(struct guest *guest)
{
	struct journal *journal = guest->journal;

	if (journal->abandoned_domid != journal->domid)
		journal->abandoned = 0;
	journal->abandoned_domid = journal->domid;
	journal->abandoned++;
}

/* One such request has been answered. False: there is none. */
static bool abandoned_answered(struct guest *guest)
{
	struct journal *journal = guest->journal;

	if (!journal->abandoned_domid || journal->abandoned_domid != journal->domid)
		return false;
	if (--journal->abandoned == 0)
		journal->abandoned_domid = 0;
	return true;
}

/* What has been asked of a guest by one save. */
struct request {
	bool by_event; /* such a request cannot be taken back, nor made twice */
	bool taken;
	gint64 deadline;
	gint64 look_us; /* when its node in the store is looked at next: most guests have suspended by then */
};

static void set_taken(struct request *request)
{
	request->taken = true;
	request->deadline = g_get_monotonic_time() + SUSPEND_US;
}

/* Nobody waits for its answer any more. */
static void give_up(struct guest *guest, struct request *request)
{
	bool back = !request->by_event && take_back(guest);

	if (request->taken || !back)
		abandon(guest);
}

/* It has until the deadline to take the request, and as long again to suspend. */
static bool is_late(struct guest *guest, struct request *request, GError **error)
{
	if (g_get_monotonic_time() < request->deadline)
		return false;
	if (!request->taken && !take_back(guest)) {
		set_taken(request);
		return false;
	}
	if (request->taken)
		give_up(guest, request);
	return !xd_fail(error, XD_ERROR_TIMEOUT, "guest \"%s\" %s", guest->name,
	                request->taken ? "has begun to suspend and does not come to its end"
	                               : "does not answer the request to suspend: its kernel cannot, "
	                                 "hangs, or has not come that far");
}

/*
 * Linux lets go of a request, and says so in its own log alone, when its processes cannot be frozen within 20 s, as while it
 * boots on a busy machine. If it still works on the first one it sees no second: that is taken back when it has suspended.
 * It is written down first: the next xylemd finds that one as if nothing had been taken.
 */
static void follow_up(struct guest *guest, struct request *request)
{
	struct xyl_store *store = storeio_store(xylemd.io);
	struct journal *journal = guest->journal;
	g_autofree char *path = control_node(guest, "shutdown");
	gint64 now = g_get_monotonic_time();
	char *value;

	if (request->by_event || journal->asked_again || now < request->look_us)
		return;
	request->look_us = now + LOOK_US;
	value = xyl_store_read(store, XYL_TX_NONE, path, NULL);
	if (value && !*value) {
		if (!request->taken) {
			set_taken(request);
		} else if (now >= request->deadline - SUSPEND_US + AGAIN_US) {
			journal->asked_again = true;
			guest_save(guest, JOURNAL_RUNNING);
			if (xyl_store_write(store, XYL_TX_NONE, path, "suspend", strlen("suspend")))
				g_warning("guest \"%s\": %s: %s", guest->name, path, xyl_error());
		}
	}
	free(value);
}

/* Not before the guest has suspended, or time is up, or somebody gives up. */
static bool wait_suspended(struct guest *guest, struct request *request, GError **error)
{
	for (;;) {
		enum look seen = look_at(guest, error);

		if (seen != LOOK_RUNS)
			return seen == LOOK_SUSPENDED;
		if (g_atomic_int_get(&guest->job.cancelled)) {
			give_up(guest, request);
			return job_fail_cancelled(guest, "saving", error);
		}
		if (is_late(guest, request, error))
			return false;
		follow_up(guest, request);
		g_mutex_lock(&xylemd.lock);
		g_cond_wait_until(&xylemd.scanned, &xylemd.lock,
		                  MIN(request->deadline, g_get_monotonic_time() + LOOK_US));
		g_mutex_unlock(&xylemd.lock);
	}
}

/* From here on its stop is dealt with here, and not by its policy. */
static void set_saving(struct guest *guest, bool saving)
{
	g_mutex_lock(&xylemd.lock);
	guest->saving = saving;
	g_mutex_unlock(&xylemd.lock);
	if (!saving)
		scan_request();
}

/* Nothing else has been asked of it that it has not taken yet. */
static bool nothing_pending(struct guest *guest, const char *path, GError **error)
{
	char *value = xyl_store_read(storeio_store(xylemd.io), XYL_TX_NONE, path, NULL);
	bool unread = !value && errno != ENOENT, pending = value && *value;

	if (unread)
		xd_fail(error, XD_ERROR_STORE, "guest \"%s\": %s: %s", guest->name, path, xyl_error());
	else if (pending) {
		/* The guest may have written anything there. */
		g_autofree char *start = g_strndup(value, 32), *shown = g_strescape(start, NULL);

		xd_fail(error, XD_ERROR_BUSY, "guest \"%s\" has not yet taken an earlier request to %s",
		        guest->name, shown);
	}
	free(value);
	return !unread && !pending;
}

/* A guest that is paused answers nothing: it runs for as long as this takes, which is written down first. */
static bool request_suspend(struct guest *guest, const char *path, struct request *request, GError **error)
{
	bool paused = guest->journal->paused_before_save;

	if (paused && !guest_try_save(guest, JOURNAL_RUNNING, error))
		return false;
	request->deadline = g_get_monotonic_time() + SUSPEND_US;
	request->look_us = g_get_monotonic_time() + LOOK_US;
	request->by_event = request->taken = ask_by_event(guest);
	if (!request->by_event &&
	    xyl_store_write(storeio_store(xylemd.io), XYL_TX_NONE, path, "suspend", strlen("suspend")))
		return xd_fail(error, XD_ERROR_STORE, "guest \"%s\": %s: %s", guest->name, path, xyl_error());
	if (!paused || !xyl_domain_unpause(xylemd.xen, guest->journal->domid))
		return true;
	xd_fail(error, XD_ERROR_HYPERVISOR, "guest \"%s\": %s", guest->name, xyl_error());
	give_up(guest, request);
	return false;
}

static bool suspend(struct guest *guest, GError **error)
{
	g_autofree char *path = control_node(guest, "shutdown");
	uint32_t domid = guest->journal->domid;
	struct request request = { 0 };
	struct xyl_dominfo info;

	if (!nothing_pending(guest, path, error))
		return false;
	if (xyl_domain_info(xylemd.xen, domid, &info))
		return xd_fail(error, XD_ERROR_HYPERVISOR, "guest \"%s\": %s", guest->name, xyl_error());
	guest->journal->paused_before_save = info.paused;
	if (request_suspend(guest, path, &request, error)) {
		if (wait_suspended(guest, &request, error)) {
			/* Where it has not seen this request, it was an earlier one, and this one is void. */
			if (!request.by_event && take_back(guest) && !guest->journal->asked_again)
				abandoned_answered(guest);
			return true;
		}
		if (info.paused && xyl_domain_pause(xylemd.xen, domid))
			g_warning("guest \"%s\": %s", guest->name, xyl_error());
	}
	guest->journal->paused_before_save = false;
	return false;
}

/* ---- 3. afterwards ---- */

static bool resume(struct guest *guest, GError **error)
{
	uint32_t domid = guest->journal->domid;

	if (guest->journal->paused_before_save && xyl_domain_pause(xylemd.xen, domid))
		return xd_fail(error, XD_ERROR_HYPERVISOR, "guest \"%s\": %s", guest->name, xyl_error());
	guest->journal->paused_before_save = false;
	if (guest->journal->abandoned)
		guest->journal->abandoned_domid = domid;
	guest->settled_domid = 0;
	g_mutex_lock(&xylemd.lock);
	guest->stopped_domid = 0;
	g_mutex_unlock(&xylemd.lock);
	if (xyl_store_resume(storeio_store(xylemd.io), domid))
		return xd_fail(error, XD_ERROR_STORE, "guest \"%s\": %s", guest->name, xyl_error());
	if (xyl_domain_resume(xylemd.xen, domid))
		return xd_fail(error, XD_ERROR_HYPERVISOR, "guest \"%s\": %s", guest->name, xyl_error());
	guest_save(guest, JOURNAL_RUNNING);
	guest_event(guest, domid, "resumed", "");
	return true;
}

/* It stopped for a save that was given up before. */
bool save_resume_abandoned(struct guest *guest)
{
	g_autoptr(GError) error = NULL;
	bool ok;

	if (!abandoned_answered(guest))
		return false;
	set_saving(guest, true);
	ok = look_at(guest, &error) == LOOK_RUNS || (!error && resume(guest, &error));
	set_saving(guest, false);
	if (!ok)
		g_warning("%s", error->message);
	guest_save(guest, JOURNAL_RUNNING);
	return ok;
}

/* One that was paused, and runs in order to suspend, which nobody waits for any more. */
static void pause_again(struct guest *guest)
{
	uint32_t domid = guest->journal->domid;
	struct xyl_dominfo info;

	if (!guest->journal->paused_before_save || xyl_domain_info(xylemd.xen, domid, &info) || info.shutdown)
		return;
	if (!info.paused && xyl_domain_pause(xylemd.xen, domid))
		g_warning("guest \"%s\": %s", guest->name, xyl_error());
	guest->journal->paused_before_save = false;
}

/*
 * So many percent less of its CPU time, by a cap in the place of the one that it is configured with, which it gets back with 0.
 * Both schedulers that have weights have caps.
 */
static bool throttle(struct guest *guest, unsigned percent)
{
	const struct guestconf *conf = guest->journal->conf;
	uint32_t most = conf->cap ? conf->cap : 100 * conf->vcpus;
	struct xyl_sched sched = { .weight = conf->weight, .cap = conf->cap };

	if (percent)
		sched.cap = MAX(1, most * (100 - percent) / 100);
	if (xyl_sched_set(xylemd.xen, guest->journal->domid, &sched)) {
		g_warning("guest \"%s\": cap %u: %s", guest->name, sched.cap, xyl_error());
		return false;
	}
	g_message("guest \"%s\": %u percent less CPU time, cap %u", guest->name, percent, sched.cap);
	return true;
}

/* It was throttled by an xylemd that is no more. */
static void unthrottle(struct guest *guest)
{
	struct xyl_sched sched;

	if (!xyl_sched_get(xylemd.xen, guest->journal->domid, &sched) &&
	    sched.cap != guest->journal->conf->cap)
		throttle(guest, 0);
}

void save_adopt(struct guest *guest)
{
	if (!guest->journal->saving)
		return;
	unthrottle(guest);
	/* It may have been live. A hypervisor that knows no log of dirty pages has none that is on. */
	if (xyl_domain_save_live_end(xylemd.xen, guest->journal->domid))
		g_debug("guest \"%s\": %s", guest->name, xyl_error());
	/* Who asked for it is told that it failed. It goes on, now or when it comes to its suspend. */
	if (!take_back(guest) || guest->journal->asked_again)
		abandon(guest);
	pause_again(guest);
	guest->journal->saving = false;
	guest_save(guest, JOURNAL_RUNNING);
	scan_request();
}

/* Kept as it is. */
static void settle(struct guest *guest)
{
	uint32_t domid = guest->journal->domid;

	guest->settled_domid = domid;
	g_mutex_lock(&xylemd.lock);
	guest->stopped_domid = domid;
	g_mutex_unlock(&xylemd.lock);
}

/* From now on no xylemd lets it go on by itself: its journal says that its save is over, and that it is asked for nothing,
 * until it is resumed. */
static bool note_saved(struct guest *guest, GError **error)
{
	struct journal *journal = guest->journal;

	journal->saving = false;
	if (journal->abandoned_domid != journal->domid)
		journal->abandoned = 0;
	journal->abandoned_domid = 0;
	return guest_try_save(guest, JOURNAL_RUNNING, error);
}

/* Of a suspended guest: it is kept when all has been written, and goes on otherwise. */
static bool conclude(struct op *op, bool written, GError **error)
{
	struct guest *guest = op->guest;
	g_autoptr(GError) second = NULL, disks = NULL;
	/* Whoever is told that it is saved may let another one have its disks. */
	bool drained = written && drain_disks(guest, &disks);
	bool cancelled = job_end(guest) && written, wanted = job_client_waits(op);

	if (drained && wanted && !cancelled && note_saved(guest, error)) {
		settle(guest);
		return true;
	}
	if (cancelled)
		job_fail_cancelled(guest, "saving", error);
	else if (written && !drained)
		g_propagate_error(error, g_steal_pointer(&disks));
	else if (written && !wanted)
		xd_fail(error, XD_ERROR_CANCELLED,
		        "guest \"%s\": it is saved, but whoever wanted that has gone away", guest->name);
	if (!g_atomic_int_get(&guest->doomed) && !resume(guest, &second))
		g_warning("%s", second->message);
	return false;
}

static bool save_suspended(struct op *op, GError **error)
{
	struct guest *guest = op->guest;
	bool ok;

	if (!suspend(guest, error))
		return false;
	ok = !(op->number & SAVE_ZEROS_BY_TYPE ? xyl_domain_send : xyl_domain_save)(
	             xylemd.xen, guest->journal->domid, op->fd, job_progress, guest) ||
	     job_fail(guest, "saving", error);
	return conclude(op, ok, error);
}

/* What the library's functions find. */
struct live_save {
	struct op *op;
	GError *error; /* why it does not suspend */
	bool suspended;
};

static bool live_suspend(void *data)
{
	struct live_save *live = data;

	live->suspended = suspend(live->op->guest, &live->error);
	return live->suspended;
}

static void live_limits(struct xyl_live_limits *limits, void *data)
{
	struct live_save *live = data;

	g_mutex_lock(&xylemd.lock);
	*limits = live->op->guest->limits;
	g_mutex_unlock(&xylemd.lock);
}

static bool live_throttle(unsigned percent, void *data)
{
	struct live_save *live = data;

	return throttle(live->op->guest, percent);
}

static bool live_progress(const struct xyl_progress *progress, void *data)
{
	struct live_save *live = data;

	/* It may take hours, which nobody needs who has gone away. */
	return job_progress(progress, live->op->guest) && job_client_waits(live->op);
}

/* Why a guest was not saved that was not suspended: first of all what has become of it. */
static bool live_fail(struct live_save *live, GError **error)
{
	struct guest *guest = live->op->guest;

	if (live->error) {
		g_propagate_error(error, live->error);
		return false;
	}
	job_fail(guest, "saving", &live->error);
	if (look_at(guest, error) == LOOK_FAILED)
		g_error_free(live->error);
	else
		g_propagate_error(error, live->error);
	return false;
}

static bool save_live(struct op *op, GError **error)
{
	const struct xyl_live how = { .suspend = live_suspend,
		                      .limits = live_limits,
		                      .throttle = live_throttle,
		                      .zeros_by_type = op->number & SAVE_ZEROS_BY_TYPE };
	struct live_save live = { .op = op };
	uint32_t domid = op->guest->journal->domid;
	bool ok = !xyl_domain_save_live(xylemd.xen, domid, op->fd, &how, live_progress, &live);

	if (!ok && !live.suspended)
		return live_fail(&live, error);
	if (!ok)
		job_fail(op->guest, "saving", error);
	return conclude(op, ok, error);
}

/* number: flags of Save. */
void op_save(struct op *op)
{
	struct guest *guest = op->guest;
	g_autoptr(GError) error = NULL;
	bool ok;

	set_saving(guest, true);
	guest->journal->saving = true;
	guest->journal->asked_again = false;
	ok = guest_try_save(guest, JOURNAL_RUNNING, &error) && job_begin(guest, "save", &error) &&
	     can_suspend(guest, &error) &&
	     (op->number & SAVE_LIVE ? save_live(op, &error) : save_suspended(op, &error));
	job_end(guest);
	guest->journal->saving = false;
	if (!ok && !g_atomic_int_get(&guest->doomed))
		guest_save(guest, JOURNAL_RUNNING);
	set_saving(guest, false);
	if (ok)
		op_succeed(op);
	else
		op_fail(op, error);
}

/* Of a guest that is kept after a suspend, whoever asked for it. */
void op_resume(struct op *op)
{
	struct guest *guest = op->guest;
	g_autoptr(GError) error = NULL;
	enum look seen;

	set_saving(guest, true);
	seen = look_at(guest, &error);
	if (seen == LOOK_RUNS)
		xd_fail(&error, XD_ERROR_BUSY, "guest \"%s\" is not suspended", guest->name);
	else if (seen == LOOK_SUSPENDED)
		resume(guest, &error);
	set_saving(guest, false);
	if (error)
		op_fail(op, error);
	else
		op_succeed(op);
}

/* ---- core files ---- */

/* Pauses are counted by the hypervisor: this one comes on top of any other. */
static bool dump(struct guest *guest, int fd, bool live, GError **error)
{
	uint32_t domid = guest->journal->domid;
	bool ok;

	if (!live && xyl_domain_pause(xylemd.xen, domid))
		return xd_fail(error, XD_ERROR_HYPERVISOR, "guest \"%s\": %s", guest->name, xyl_error());
	ok = !xyl_domain_dump(xylemd.xen, domid, fd, job_progress, guest);
	if (!ok)
		job_fail(guest, "writing a core file", error);
	if (!live && xyl_domain_unpause(xylemd.xen, domid))
		g_warning("guest \"%s\": %s", guest->name, xyl_error());
	return ok;
}

/* number: flags of Dump. */
void op_dump(struct op *op)
{
	struct guest *guest = op->guest;
	g_autoptr(GError) error = NULL;
	struct xyl_dominfo info;
	bool ok = false;

	if (!guest->journal->domid || xyl_domain_info(xylemd.xen, guest->journal->domid, &info) ||
	    info.dying || memcmp(info.uuid, guest->id, 16))
		xd_fail(&error, XD_ERROR_BUSY, "guest \"%s\" has no domain at present", guest->name);
	else
		ok = job_begin(guest, "dump", &error) && dump(guest, op->fd, op->number & 1, &error);
	if (job_end(guest) && ok)
		ok = job_fail_cancelled(guest, "writing a core file", &error);
	if (ok)
		op_succeed(op);
	else
		op_fail(op, error);
}
