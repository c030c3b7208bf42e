/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guests that start with the host: several at once, in an order that their definitions tell, none kept waiting forever by
 * another one. Once for each boot of the host, as libvirt's other drivers do it.
 *
 * Guests with a lower <start order=> come first, those without one last; those of one order are started together, in the order
 * of their names. The next order begins when all before have started or failed, and the longest delay= of those of the last
 * order that started is over. A start that is late counts neither for the order nor among those that are under way at once.
 * Each start has a thread of its own, so that none takes a place of a client's (domain.c, slot_take).
 */
#include "autostart.h"
#include "check.h"
#include "domain.h"
#include "save.h"
#include "xylem.h"

#include "virdomainjob.h"
#include "virdomainobjlist.h"
#include "virerror.h"
#include "virfile.h"
#include "virlog.h"
#include "virthread.h"

VIR_LOG_INIT("xylem.autostart");

#define AT_ONCE 4

struct entry {
	struct start *all;
	virDomainObj *vm;
	char *name;
	unsigned int order, delay_s;
	virThread thread;
	/* Guarded by the lock of all. */
	gint64 ended_us; /* 0: not yet */
	bool begun, late, good;
};

struct start {
	GMutex lock;
	GCond ended; /* one of the starts */
	gint64 late_us;
	struct entry *entries;
	size_t count;
};

static int busy; /* atomic */

bool autostart_busy(void)
{
	return g_atomic_int_get(&busy);
}

/* A client may be starting it, too, which is waited for. Locked. */
static int start_locked(virDomainObj *vm)
{
	struct domain_private *priv = vm->privateData;
	int ret = 0;

	if (virDomainObjBeginJob(vm, VIR_JOB_MODIFY) < 0)
		return -1;
	if (!virDomainObjIsActive(vm) && !vm->removing) {
		priv->unhurried = true;
		ret = save_start(vm, false, false, VIR_DOMAIN_EVENT_STARTED_BOOTED);
		priv->unhurried = false;
	}
	domain_end_job(vm);
	return ret;
}

static void start_main(void *data)
{
	struct entry *e = data;
	bool good;

	act_as_libvirtd();
	virObjectLock(e->vm);
	good = start_locked(e->vm) == 0;
	virObjectUnlock(e->vm);
	if (!good)
		VIR_ERROR("%s is not started with the host: %s", e->name, virGetLastErrorMessage());
	g_mutex_lock(&e->all->lock);
	e->good = good;
	e->ended_us = g_get_monotonic_time();
	g_cond_signal(&e->all->ended);
	g_mutex_unlock(&e->all->lock);
}

static void begin(struct entry *e)
{
	e->begun = virThreadCreateFull(&e->thread, true, start_main, "xylem-start", false, e) == 0;
	if (!e->begun)
		VIR_ERROR("%s is not started with the host: no thread: %s", e->name, g_strerror(errno));
}

/* Until no more than that many of the first `count` are under way; each is given late_us from now on. The lock is held. */
static void wait_for(struct start *all, size_t count, size_t most)
{
	gint64 until = g_get_monotonic_time() + all->late_us;
	size_t under_way, i;
	bool in_time = true;

	for (;;) {
		for (under_way = i = 0; i < count; i++)
			under_way +=
			        all->entries[i].begun && !all->entries[i].ended_us && !all->entries[i].late;
		if (under_way <= most || !in_time)
			break;
		in_time = g_cond_wait_until(&all->ended, &all->lock, until);
	}
	for (i = 0; under_way > most && i < count; i++) {
		if (!all->entries[i].begun || all->entries[i].ended_us || all->entries[i].late)
			continue;
		all->entries[i].late = true;
		VIR_WARN("%s does not get started: others are, meanwhile", all->entries[i].name);
	}
}

/* The lock is held. */
static void wait_delay(struct start *all, const struct entry *from, const struct entry *end)
{
	gint64 until = 0;
	const struct entry *e;

	for (e = from; e < end; e++) {
		if (e->good)
			until = MAX(until, e->ended_us + e->delay_s * G_USEC_PER_SEC);
	}
	while (g_get_monotonic_time() < until)
		ignore_value(g_cond_wait_until(&all->ended, &all->lock, until));
}

static void start_free(struct start *all)
{
	size_t i;

	for (i = 0; i < all->count; i++) {
		virObjectUnref(all->entries[i].vm);
		g_free(all->entries[i].name);
	}
	g_free(all->entries);
	g_cond_clear(&all->ended);
	g_mutex_clear(&all->lock);
	g_free(all);
	g_atomic_int_set(&busy, 0);
}

static void start_all(void *data)
{
	struct start *all = data;
	size_t first = 0, i;

	g_mutex_lock(&all->lock);
	for (i = 0; i < all->count; i++) {
		if (all->entries[i].order != all->entries[first].order) {
			wait_for(all, i, 0);
			wait_delay(all, &all->entries[first], &all->entries[i]);
			first = i;
		}
		wait_for(all, i, AT_ONCE - 1);
		begin(&all->entries[i]);
	}
	g_mutex_unlock(&all->lock);
	for (i = 0; i < all->count; i++) {
		if (all->entries[i].begun)
			virThreadJoin(&all->entries[i].thread);
	}
	start_free(all);
}

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return strcmp(x->name, y->name);
}

static struct start *collect(unsigned int late_ms)
{
	struct start *all = g_new0(struct start, 1);
	virDomainObj **vms = NULL;
	size_t count = 0, i;

	virDomainObjListCollectAll(xylem->domains, &vms, &count);
	g_mutex_init(&all->lock);
	g_cond_init(&all->ended);
	all->late_us = late_ms * 1000ll;
	all->entries = g_new0(struct entry, count + 1);
	for (i = 0; i < count; i++) {
		struct entry *e = &all->entries[all->count];

		virObjectLock(vms[i]);
		if (vms[i]->autostart && !virDomainObjIsActive(vms[i])) {
			e->all = all;
			e->vm = virObjectRef(vms[i]);
			e->name = g_strdup(vms[i]->def->name);
			/* One that was loaded may hold anything; what is wrong with it its start says. */
			if (conf_start_order(vms[i]->def, &e->order, &e->delay_s) < 0)
				virResetLastError();
			all->count++;
		}
		virObjectUnlock(vms[i]);
	}
	virObjectListFreeCount(vms, count);
	qsort(all->entries, all->count, sizeof(*all->entries), compare);
	return all;
}

void autostart_begin(unsigned int late_ms)
{
	struct start *all = collect(late_ms);
	virThread thread;

	g_atomic_int_set(&busy, 1);
	if (virThreadCreateFull(&thread, false, start_all, "xylem-autostart", false, all) == 0)
		return;
	VIR_ERROR("guests are not started with the host: %s", g_strerror(errno));
	start_free(all);
}
