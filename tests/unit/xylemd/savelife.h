/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests that can suspend, and what becomes of them, for tests of what is done to their memory. */
#ifndef SAVELIFE_H
#define SAVELIFE_H

#include "lifecycle.h"

static inline struct call *begin_live(const struct test_guest *g, int fd)
{
	return begin_stream("Save", g_variant_new("(shu)", g->uuid, 0, 1), fd);
}

/* It has a kernel that can suspend. */
static inline uint32_t saveable(struct test_guest *g, bool paused)
{
	new_guest(g);
	create(g, paused);
	can_suspend(g);
	return fake_find(g->id);
}

static inline bool refused(struct call *call, const char *name)
{
	g_autofree char *full = g_strconcat("org.xylem.Error.", name, NULL);
	bool is;

	UNTIL(call->done);
	is = !call->good && !g_strcmp0(call->error, full);
	if (!is)
		printf("# %s instead of %s\n", call->good ? "success" : call->error, name);
	end(call);
	return is;
}

static inline bool succeeded(struct call *call)
{
	bool good;

	UNTIL(call->done);
	good = call->good;
	if (!good)
		printf("# %s\n", call->error);
	end(call);
	return good;
}

static inline bool runs(uint32_t domid)
{
	const struct fake_domain *d = &fake_domains[domid];
	bool is;

	fake_lock();
	is = d->there && !d->dying && !d->shutdown && !d->pauses;
	fake_unlock();
	return is;
}

/* Whether it does so in the end. */
static inline bool goes_on(uint32_t domid)
{
	gint64 until = g_get_monotonic_time() + DEADLINE;

	while (!runs(domid) && g_get_monotonic_time() < until)
		g_main_context_iteration(NULL, TRUE);
	return runs(domid);
}

static inline void suspend_late(uint32_t domid)
{
	fake_stop(domid, XYL_SHUTDOWN_SUSPEND);
	scan_request();
}

static inline bool suspends_and_goes_on(uint32_t domid)
{
	suspend_late(domid);
	return goes_on(domid);
}

/* Of its own, which nobody undoes. */
static inline bool stays_suspended(const struct test_guest *g, uint32_t domid)
{
	suspend_late(domid);
	settle(g);
	return !runs(domid);
}

static inline bool asked(uint32_t domid)
{
	g_autofree char *path = g_strdup_printf("/local/domain/%u/control/shutdown", domid);
	g_autofree char *value = fake_read(path);

	return value && *value;
}

static inline bool destroyed(const struct test_guest *g)
{
	bool good = succeeded(begin("Destroy", g_variant_new("(s)", g->uuid)));

	settle(g);
	return good && !fake_find(g->id);
}

static inline bool logs(uint32_t domid)
{
	bool is;

	fake_lock();
	is = fake_domains[domid].logging;
	fake_unlock();
	return is;
}

/* xylemd is killed, and another one takes over. */
static inline void next_xylemd(const struct test_guest *g)
{
	struct guest *guest = guest_by_uuid(g->uuid);

	guest_unregister(guest);
	guest_unref(guest);
	scan_adopt_all();
	settle(g);
}

/* What Get tells of the job: a number; 0: nothing. */
static inline guint64 job_number(const struct test_guest *g, const char *key)
{
	struct call *get = make("Get", g_variant_new("(s)", g->uuid));
	g_autoptr(GVariant) domain = g_variant_get_child_value(get->answer, 0);
	g_autoptr(GVariant) job = g_variant_lookup_value(domain, "job", G_VARIANT_TYPE_VARDICT);
	guint64 number = 0;
	guint32 small = 0;

	if (job && !g_variant_lookup(job, key, "t", &number) && g_variant_lookup(job, key, "u", &small))
		number = small;
	end(get);
	return number;
}

static inline bool waits(const struct call *call, gint64 us)
{
	gint64 until = g_get_monotonic_time() + us;

	UNTIL(call->done || g_get_monotonic_time() > until);
	return !call->done;
}

#endif
