/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How much of its memory a guest changes: xylemd counts its pages for so many seconds, by the hypervisor's log of dirty pages.
 *
 * A thread waits for xylemd's answer, without a job of the guest's and without a slot, so that nothing waits for the count; xylemd
 * gives it up when something else is asked of the guest. What came of it is told by the statistics, for as long as the guest runs.
 */
#include "dirtyrate.h"
#include "xylem.h"

#include "compat.h"
#include "datatypes.h"
#include "domain.h"
#include "monitor.h"
#include "viraccessapicheck.h"
#include "virdomainjob.h"
#include "virerror.h"
#include "virlog.h"
#include "virthread.h"
#include "viruuid.h"

VIR_LOG_INIT("xylem.dirtyrate");

/* As libvirt's QEMU driver has it. */
#define SECONDS_MAX   60
#define PAGES_PER_MIB 256

struct count {
	virDomainObj *vm;
	char handle[VIR_UUID_STRING_BUFLEN];
	int seconds;
};

static gint threads; /* atomic */

bool dirtyrate_busy(void)
{
	return g_atomic_int_get(&threads) != 0;
}

/* To the nearest. */
static long long mib_per_s(unsigned long long pages, unsigned long long elapsed_us)
{
	unsigned long long unit = PAGES_PER_MIB * MAX(elapsed_us, 1);

	return (long long)((pages * G_USEC_PER_SEC + unit / 2) / unit);
}

static void count_main(void *opaque)
{
	struct count *c = opaque;
	unsigned long long pages = 0, elapsed_us = 0;
	int ret = monitor_dirty_rate(xylem->monitor, c->handle,
	                             (unsigned long long)c->seconds * G_USEC_PER_SEC, &pages, &elapsed_us);
	struct dirty_rate *rate;

	virObjectLock(c->vm);
	rate = &((struct domain_private *)c->vm->privateData)->dirty_rate;
	rate->status = ret < 0 ? VIR_DOMAIN_DIRTYRATE_UNSTARTED : VIR_DOMAIN_DIRTYRATE_MEASURED;
	rate->mib_per_s = mib_per_s(pages, elapsed_us);
	if (ret < 0)
		VIR_WARN("%s: how much of its memory it changes is not known: %s", c->vm->def->name,
		         virGetLastErrorMessage());
	virObjectUnlock(c->vm);
	virObjectUnref(c->vm);
	g_free(c);
	g_atomic_int_add(&threads, -1);
}

static int start_thread(virDomainObj *vm, int seconds)
{
	struct count *c = g_new0(struct count, 1);
	virThread thread;

	c->vm = virObjectRef(vm);
	c->seconds = seconds;
	domain_handle(vm, c->handle);
	g_atomic_int_inc(&threads);
	if (virThreadCreateFull(&thread, false, count_main, "xylem-dirty", false, c) == 0)
		return 0;
	virReportSystemError(errno, "%s", "cannot start a thread");
	g_atomic_int_add(&threads, -1);
	virObjectUnref(vm);
	g_free(c);
	return -1;
}

/* The caller has the job. */
static int check(virDomainObj *vm)
{
	const struct domain_private *priv = vm->privateData;
	struct xyl_dominfo info;

	if (virDomainObjCheckActive(vm) < 0 || domain_query(vm, &info) < 0)
		return -1;
	if (priv->foreign)
		virReportError(VIR_ERR_OPERATION_INVALID,
		               "%s was made by another tool; what it changes is not counted", vm->def->name);
	else if (info.shutdown || info.dying)
		virReportError(VIR_ERR_OPERATION_INVALID, "%s has stopped, and changes nothing",
		               vm->def->name);
	else if (priv->dirty_rate.status == VIR_DOMAIN_DIRTYRATE_MEASURING)
		virReportError(VIR_ERR_OPERATION_INVALID,
		               "what %s changes is being counted already; ask for its statistics",
		               vm->def->name);
	else if (!monitor_connected(xylem->monitor))
		virReportError(VIR_ERR_OPERATION_FAILED, "%s",
		               "xylemd is not reachable; is its service running?");
	else
		return 0;
	return -1;
}

static int start(virDomainObj *vm, int seconds)
{
	struct domain_private *priv = vm->privateData;

	if (check(vm) < 0 || start_thread(vm, seconds) < 0)
		return -1;
	priv->dirty_rate = (struct dirty_rate){ .status = VIR_DOMAIN_DIRTYRATE_MEASURING,
		                                .life = priv->life,
		                                .started_s = g_get_real_time() / G_USEC_PER_SEC,
		                                .seconds = seconds };
	return 0;
}

int dirtyrate_start(virDomainPtr dom, int seconds, unsigned int flags)
{
	virDomainObj *vm;
	int ret = -1;

	/* Without a flag the way is libvirt's choice, and ours: there is one. */
	virCheckFlags(VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_BITMAP | VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_RING, -1);

	if (flags & VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_RING) {
		virReportError(
		        VIR_ERR_OPERATION_UNSUPPORTED, "%s",
		        "dirty-ring: the hypervisor has no ring of dirty pages; the mode is dirty-bitmap");
		return -1;
	}
	if (seconds < 1 || seconds > SECONDS_MAX) {
		virReportError(VIR_ERR_INVALID_ARG, "seconds %d is outside 1..%d", seconds, SECONDS_MAX);
		return -1;
	}
	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainStartDirtyRateCalcEnsureACL(dom->conn, vm->def) == 0 &&
	    domain_refuse_dom0(vm, "measured") == 0 && domain_begin_job(vm, VIR_JOB_MODIFY) == 0) {
		ret = start(vm, seconds);
		domain_end_job(vm);
	}
	virDomainObjEndAPI(&vm);
	return ret;
}

void dirtyrate_add_stats(virTypedParamList *list, virDomainObj *vm)
{
	const struct domain_private *priv = vm->privateData;
	static const struct dirty_rate none = { .status = VIR_DOMAIN_DIRTYRATE_UNSTARTED };
	const struct dirty_rate *rate = &priv->dirty_rate;

	if (!virDomainObjIsActive(vm) || domain_is_dom0(vm) || priv->foreign)
		return;
	if (rate->life != priv->life || rate->status == VIR_DOMAIN_DIRTYRATE_UNSTARTED)
		rate = &none;
	virTypedParamListAddInt(list, rate->status, "dirtyrate.calc_status");
	virTypedParamListAddLLong(list, rate->started_s, "dirtyrate.calc_start_time");
	virTypedParamListAddInt(list, rate->seconds, "dirtyrate.calc_period");
	virTypedParamListAddString(list, "dirty-bitmap", "dirtyrate.calc_mode");
	if (rate->status == VIR_DOMAIN_DIRTYRATE_MEASURED)
		virTypedParamListAddLLong(list, rate->mib_per_s, "dirtyrate.megabytes_per_second");
}
