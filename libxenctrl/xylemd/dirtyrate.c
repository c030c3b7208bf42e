/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many of its pages a guest changes in a time, by the hypervisor's log, which a live save has too.
 *
 * It is a job that takes as long as somebody wants it to, for nothing but a number: it ends when anything else is asked of the guest,
 * or whoever wanted the number has gone away. The journal says that the log may be on, so that the next xylemd switches it off.
 */
#include "dirtyrate.h"

#include <errno.h>

#include "error.h"
#include "save.h"

struct counting {
	struct op *op;
	bool gave_way;
};

/* Another count waits for its turn, as anything waits behind what is like it. */
static bool something_waits(struct guest *guest)
{
	bool found = false;
	GList *i;

	g_mutex_lock(&xylemd.lock);
	for (i = guest->waiting.head; i && !found; i = i->next)
		found = ((const struct op *)i->data)->run != op_dirty_rate;
	g_mutex_unlock(&xylemd.lock);
	return found;
}

static bool go_on(const struct xyl_progress *progress, void *data)
{
	struct counting *c = data;

	c->gave_way = something_waits(c->op->guest);
	return !c->gave_way && job_progress(progress, c->op->guest) && job_client_waits(c->op);
}

static bool fail(const struct counting *c, int why, GError **error)
{
	struct guest *guest = c->op->guest;
	enum xd_error code = job_error(why, why == EBUSY ? XD_ERROR_BUSY : XD_ERROR_HYPERVISOR);

	if (!guest_alive(guest, error))
		return false;
	if (c->gave_way)
		return xd_fail(
		        error, XD_ERROR_BUSY,
		        "guest \"%s\": the count of the pages that it changes gave way to another call",
		        guest->name);
	if (code == XD_ERROR_CANCELLED)
		return job_fail_cancelled(guest, "counting the pages that it changes", error);
	return xd_fail(error, code, "guest \"%s\": %s", guest->name, xyl_error());
}

static bool count(struct op *op, struct xyl_dirty *dirty, GError **error)
{
	struct counting c = { .op = op };

	if (xyl_domain_dirty_pages(xylemd.xen, op->guest->journal->domid, g_variant_get_uint64(op->argument),
	                           dirty, go_on, &c))
		return fail(&c, errno, error);
	return true;
}

void op_dirty_rate(struct op *op)
{
	struct guest *guest = op->guest;
	g_autoptr(GError) error = NULL;
	GDBusMethodInvocation *call;
	struct xyl_dirty dirty;
	bool ok;

	guest->journal->counting = true;
	ok = guest_try_save(guest, JOURNAL_RUNNING, &error) && job_begin(guest, "dirty-rate", &error) &&
	     count(op, &dirty, &error);
	job_end(guest);
	guest->journal->counting = false;
	if (!g_atomic_int_get(&guest->doomed))
		guest_save(guest, JOURNAL_RUNNING);
	if (!ok) {
		op_fail(op, error);
		return;
	}
	call = op_take_call(op);
	if (call)
		xd_xylemd1_complete_dirty_rate(xylemd.service, call, dirty.pages, dirty.elapsed_us);
}

void dirtyrate_adopt(struct guest *guest)
{
	if (!guest->journal->counting)
		return;
	if (xyl_domain_save_live_end(xylemd.xen, guest->journal->domid))
		g_debug("guest \"%s\": %s", guest->name, xyl_error());
	guest->journal->counting = false;
	guest_save(guest, JOURNAL_RUNNING);
}
