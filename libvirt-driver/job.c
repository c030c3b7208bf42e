/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How far the long jobs of a guest have come (a save, a restore, a dump, a migration), and what became of the last one.
 *
 * While xylemd is at work a thread asks it now and then; what clients ask for is its last answer, so that no client waits for
 * xylemd here.
 */
#include "job.h"
#include "domain.h"
#include "monitor.h"
#include "xylem.h"

#include "datatypes.h"
#include "domain_event.h"
#include "viraccessapicheck.h"
#include "virdomainjob.h"
#include "virerror.h"
#include "virlog.h"
#include "virthread.h"
#include "virtime.h"
#include "virtypedparam.h"
#include "viruuid.h"

VIR_LOG_INIT("xylem.job");

/* When xylemd is asked for the first time, and how often when the job takes long. Most saves are over by then. */
#define SAMPLE_MS     100
#define SAMPLE_MS_MAX 1000
#define PAGE_BYTES    4096ull
/* As libvirt's QEMU driver shows that there is no limit. */
#define NO_LIMIT_MIB (INT64_MAX >> 20)
/* xylemd's (docs/xylemd-protocol.md). */
#define DOWNTIME_MS     300
#define DOWNTIME_MS_MAX 60000

struct job {
	int operation; /* virDomainJobOperation */
	unsigned long long started_ms, elapsed_ms;
	guint64 pages_total, pages_done, bytes_done, dirty_pages, rate, downtime_us;
	unsigned int round, throttle;
	bool over, good, aborted;
	char *error;
};

/* Guarded by the domain object's lock, but for what the thread alone uses. */
struct sampler {
	virDomainObj *vm;
	char handle[VIR_UUID_STRING_BUFLEN];
	virThread thread;
	virMutex lock;
	virCond ending;
	bool ended; /* guarded by lock */
};

void job_free(struct job *job)
{
	if (!job)
		return;
	g_free(job->error);
	g_free(job);
}

static unsigned long long now_ms(void)
{
	unsigned long long now;

	return virTimeMillisNow(&now) < 0 ? 0 : now;
}

void job_begin(virDomainObj *vm, int operation)
{
	struct domain_private *priv = vm->privateData;

	g_clear_pointer(&priv->job, job_free);
	g_clear_pointer(&priv->completed, job_free);
	priv->job = g_new0(struct job, 1);
	priv->job->operation = operation;
	priv->job->started_ms = now_ms();
}

/* ---- statistics ---- */

static unsigned long long elapsed(const struct job *job)
{
	unsigned long long now = now_ms();

	if (job->over)
		return job->elapsed_ms;
	return now > job->started_ms ? now - job->started_ms : 0;
}

static int job_type(const struct job *job)
{
	if (!job->over)
		return VIR_DOMAIN_JOB_UNBOUNDED;
	if (job->good)
		return VIR_DOMAIN_JOB_COMPLETED;
	return job->aborted ? VIR_DOMAIN_JOB_CANCELLED : VIR_DOMAIN_JOB_FAILED;
}

static guint64 remaining(const struct job *job)
{
	if (job->over && job->good)
		return 0;
	return job->pages_total > job->pages_done ? (job->pages_total - job->pages_done) * PAGE_BYTES : 0;
}

static int add_stats(const struct job *job, virTypedParameterPtr *params, int *count)
{
	const struct {
		const char *name;
		unsigned long long value;
		bool known;
	} values[] = {
		{ VIR_DOMAIN_JOB_TIME_ELAPSED, elapsed(job), true },
		{ VIR_DOMAIN_JOB_DOWNTIME, job->downtime_us / 1000, job->downtime_us != 0 },
		{ VIR_DOMAIN_JOB_DATA_TOTAL, job->pages_total * PAGE_BYTES, true },
		{ VIR_DOMAIN_JOB_DATA_PROCESSED, job->bytes_done, true },
		{ VIR_DOMAIN_JOB_DATA_REMAINING, remaining(job), true },
		{ VIR_DOMAIN_JOB_MEMORY_TOTAL, job->pages_total * PAGE_BYTES, true },
		{ VIR_DOMAIN_JOB_MEMORY_PROCESSED, job->bytes_done, true },
		{ VIR_DOMAIN_JOB_MEMORY_REMAINING, remaining(job), true },
		{ VIR_DOMAIN_JOB_MEMORY_BPS, job->rate, job->rate != 0 },
		{ VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE, PAGE_BYTES, true },
		{ VIR_DOMAIN_JOB_MEMORY_ITERATION, job->round, job->round != 0 },
	};
	int max = *count;
	size_t i;

	if (virTypedParamsAddInt(params, count, &max, VIR_DOMAIN_JOB_OPERATION, job->operation) < 0)
		return -1;
	if (job->throttle && virTypedParamsAddInt(params, count, &max, VIR_DOMAIN_JOB_AUTO_CONVERGE_THROTTLE,
	                                          (int)job->throttle) < 0)
		return -1;
	for (i = 0; i < G_N_ELEMENTS(values); i++) {
		if (values[i].known &&
		    virTypedParamsAddULLong(params, count, &max, values[i].name, values[i].value) < 0)
			return -1;
	}
	if (job->over && virTypedParamsAddBoolean(params, count, &max, VIR_DOMAIN_JOB_SUCCESS, job->good) < 0)
		return -1;
	if (job->over && job->error &&
	    virTypedParamsAddString(params, count, &max, VIR_DOMAIN_JOB_ERRMSG, job->error) < 0)
		return -1;
	return 0;
}

/* The error is the job's, if it has failed, and stays. */
void job_end(virDomainObj *vm, bool good)
{
	struct domain_private *priv = vm->privateData;
	virTypedParameterPtr params = NULL;
	struct job *job = priv->job;
	virErrorPtr saved;
	int count = 0;

	if (!job)
		return;
	virErrorPreserveLast(&saved);
	job->elapsed_ms = elapsed(job);
	job->over = true;
	job->good = good;
	job->aborted = !good && saved && saved->code == VIR_ERR_OPERATION_ABORTED;
	job->error = good || !saved ? NULL : g_strdup(saved->message);
	g_clear_pointer(&priv->completed, job_free);
	priv->completed = g_steal_pointer(&priv->job);
	if (add_stats(job, &params, &count) == 0)
		domain_event(virDomainEventJobCompletedNewFromObj(vm, params, count));
	else
		virTypedParamsFree(params, count);
	virErrorRestore(&saved);
}

/* ---- what xylemd says of it ---- */

/* Unlocked. */
static void sample(struct sampler *s)
{
	g_autoptr(GVariant) domain = monitor_get(xylem->monitor, s->handle, NULL);
	g_autoptr(GVariant) dict =
	        domain ? g_variant_lookup_value(domain, "job", G_VARIANT_TYPE_VARDICT) : NULL;
	struct domain_private *priv;
	guint32 round = 0;

	if (!dict)
		return;
	virObjectLock(s->vm);
	priv = s->vm->privateData;
	if (priv->job) {
		struct job *job = priv->job;

		g_variant_lookup(dict, "pages_total", "t", &job->pages_total);
		g_variant_lookup(dict, "pages_done", "t", &job->pages_done);
		g_variant_lookup(dict, "bytes_done", "t", &job->bytes_done);
		g_variant_lookup(dict, "dirty_pages", "t", &job->dirty_pages);
		g_variant_lookup(dict, "rate", "t", &job->rate);
		g_variant_lookup(dict, "throttle", "u", &job->throttle);
		g_variant_lookup(dict, "downtime_us", "t", &job->downtime_us);
		if (g_variant_lookup(dict, "round", "u", &round) && round > job->round &&
		    priv->migration == MIGRATION_SENDING)
			domain_event(virDomainEventMigrationIterationNewFromObj(s->vm, (int)round));
		job->round = MAX(job->round, round);
	}
	virObjectUnlock(s->vm);
}

static void sample_main(void *opaque)
{
	struct sampler *s = opaque;

	unsigned long long wait = SAMPLE_MS, until = now_ms() + wait;

	virMutexLock(&s->lock);
	while (!s->ended) {
		if (now_ms() < until) {
			ignore_value(virCondWaitUntil(&s->ending, &s->lock, until));
			continue;
		}
		virMutexUnlock(&s->lock);
		sample(s);
		virMutexLock(&s->lock);
		wait = MIN(2 * wait, SAMPLE_MS_MAX);
		until = now_ms() + wait;
	}
	virMutexUnlock(&s->lock);
}

struct sampler *job_watch(virDomainObj *vm)
{
	struct sampler *s = g_new0(struct sampler, 1);

	s->vm = virObjectRef(vm);
	virUUIDFormat(vm->def->uuid, s->handle);
	if (virMutexInit(&s->lock) < 0 || virCondInit(&s->ending) < 0 ||
	    virThreadCreateFull(&s->thread, true, sample_main, "xylem-job", false, s) < 0) {
		VIR_WARN("%s: there will be no statistics", vm->def->name);
		virResetLastError();
		virObjectUnref(vm);
		g_free(s);
		return NULL;
	}
	return s;
}

void job_unwatch(struct sampler *s)
{
	if (!s)
		return;
	virMutexLock(&s->lock);
	s->ended = true;
	virCondSignal(&s->ending);
	virMutexUnlock(&s->lock);
	virThreadJoin(&s->thread);
	virCondDestroy(&s->ending);
	virMutexDestroy(&s->lock);
	virObjectUnref(s->vm);
	g_free(s);
}

/* ---- the calls ---- */

/* A job of which nothing but its time is known. */
static bool short_job(virDomainObj *vm, struct job *job)
{
	memset(job, 0, sizeof(*job));
	if (vm->job->active == VIR_JOB_NONE)
		return false;
	job->started_ms = vm->job->started;
	return true;
}

int job_info(virDomainPtr dom, virDomainJobInfoPtr info)
{
	virDomainObj *vm = domain_get(dom);
	const struct domain_private *priv;
	const struct job *job;
	struct job other;
	int ret = -1;

	if (!vm)
		return -1;
	if (virDomainGetJobInfoEnsureACL(dom->conn, vm->def) < 0)
		goto cleanup;
	priv = vm->privateData;
	memset(info, 0, sizeof(*info));
	info->type = VIR_DOMAIN_JOB_NONE;
	job = priv->job ? priv->job : short_job(vm, &other) ? &other : NULL;
	if (job) {
		info->type = job_type(job);
		info->timeElapsed = elapsed(job);
		info->memTotal = info->dataTotal = job->pages_total * PAGE_BYTES;
		info->memProcessed = info->dataProcessed = job->bytes_done;
		info->memRemaining = info->dataRemaining = remaining(job);
	}
	ret = 0;
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

int job_stats(virDomainPtr dom, int *type, virTypedParameterPtr *params, int *count, unsigned int flags)
{
	bool completed = flags & VIR_DOMAIN_JOB_STATS_COMPLETED;
	struct domain_private *priv;
	const struct job *job;
	virDomainObj *vm;
	struct job other;
	int ret = -1, max = 0;

	virCheckFlags(VIR_DOMAIN_JOB_STATS_COMPLETED | VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	if (virDomainGetJobStatsEnsureACL(dom->conn, vm->def) < 0)
		goto cleanup;
	priv = vm->privateData;
	*count = 0;
	*params = NULL;
	*type = VIR_DOMAIN_JOB_NONE;
	job = completed ? priv->completed : priv->job;
	if (job) {
		*type = job_type(job);
		ret = add_stats(job, params, count);
		if (completed && !(flags & VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED))
			g_clear_pointer(&priv->completed, job_free);
	} else if (!completed && short_job(vm, &other)) {
		*type = job_type(&other);
		ret = virTypedParamsAddULLong(params, count, &max, VIR_DOMAIN_JOB_TIME_ELAPSED,
		                              elapsed(&other));
	} else {
		ret = 0;
	}
cleanup:
	virDomainObjEndAPI(&vm);
	return ret;
}

/* ---- limits of a migration ---- */

/* Who asks has a slot. */
static int limit(virDomainObj *vm, const struct send_limits *limits, unsigned long long downtime_ms)
{
	struct monitor_limits told = { .max_downtime_us = downtime_ms * 1000,
		                       .throttle_initial = limits->throttle_initial,
		                       .throttle_increment = limits->throttle_increment };
	char handle[VIR_UUID_STRING_BUFLEN];
	int ret;

	if (limits->bandwidth_mib < (unsigned long long)NO_LIMIT_MIB)
		told.bandwidth = limits->bandwidth_mib << 20;
	domain_handle(vm, handle);
	virObjectUnlock(vm);
	ret = monitor_set_migration(xylem->monitor, handle, &told);
	virObjectLock(vm);
	return ret;
}

int job_hurry(virDomainObj *vm)
{
	static const struct send_limits none;
	int ret;

	if (slot_take(SLOT_ASK, vm) < 0)
		return -1;
	ret = limit(vm, &none, DOWNTIME_MS_MAX);
	slot_give(SLOT_ASK);
	return ret;
}

static int apply_limits(virDomainObj *vm)
{
	const struct domain_private *priv = vm->privateData;
	struct send_limits limits = priv->sending;

	/* What an earlier migration was given is not for this one. */
	if (!limits.bandwidth_mib)
		limits.bandwidth_mib = priv->max_speed_mib;
	return limit(vm, &limits, priv->max_downtime_ms ? priv->max_downtime_ms : DOWNTIME_MS);
}

int job_begin_limits(virDomainObj *vm, const struct send_limits *limits)
{
	struct domain_private *priv = vm->privateData;

	priv->sending = *limits;
	return apply_limits(vm);
}

/* A running guest's; the values hold for its present life, also for a migration that is under way. */
static int set_limits(virDomainPtr dom, int (*acl)(virConnectPtr conn, virDomainDef *def),
                      void (*set)(struct domain_private *priv, unsigned long long value),
                      unsigned long long value)
{
	virDomainObj *vm = domain_get(dom);
	struct domain_private *priv;
	int ret = -1;

	if (!vm)
		return -1;
	priv = vm->privateData;
	if (acl(dom->conn, vm->def) == 0 && domain_refuse_dom0(vm, "migrated") == 0 &&
	    virDomainObjCheckActive(vm) == 0) {
		set(priv, value);
		ret = 0;
		if (priv->migration == MIGRATION_SENDING && (ret = slot_take(SLOT_ASK, vm)) == 0) {
			ret = apply_limits(vm);
			slot_give(SLOT_ASK);
		}
	}
	virDomainObjEndAPI(&vm);
	return ret;
}

static void set_speed(struct domain_private *priv, unsigned long long mib)
{
	priv->max_speed_mib = mib;
	priv->sending.bandwidth_mib = 0; /* also for a migration that is under way */
}

static void set_downtime(struct domain_private *priv, unsigned long long ms)
{
	priv->max_downtime_ms = ms;
}

static int check_no_postcopy(unsigned int flags)
{
	if (!flags)
		return 0;
	virReportError(VIR_ERR_ARGUMENT_UNSUPPORTED, "%s",
	               "migration here has no post-copy, and no speed of one");
	return -1;
}

int job_set_speed(virDomainPtr dom, unsigned long mib, unsigned int flags)
{
	if (check_no_postcopy(flags) < 0)
		return -1;
	if (mib > (unsigned long)NO_LIMIT_MIB) {
		virReportError(VIR_ERR_OVERFLOW, "a speed of %lu MiB/s is too large", mib);
		return -1;
	}
	return set_limits(dom, virDomainMigrateSetMaxSpeedEnsureACL, set_speed, mib);
}

int job_set_downtime(virDomainPtr dom, unsigned long long ms, unsigned int flags)
{
	virCheckFlags(0, -1);

	if (ms == 0 || ms > DOWNTIME_MS_MAX) {
		virReportError(VIR_ERR_INVALID_ARG, "a downtime of %llu ms is outside 1..%u", ms,
		               DOWNTIME_MS_MAX);
		return -1;
	}
	return set_limits(dom, virDomainMigrateSetMaxDowntimeEnsureACL, set_downtime, ms);
}

int job_get_speed(virDomainPtr dom, unsigned long *mib, unsigned int flags)
{
	const struct domain_private *priv;
	virDomainObj *vm;
	int ret = -1;

	if (check_no_postcopy(flags) < 0)
		return -1;
	vm = domain_get(dom);
	if (!vm)
		return -1;
	priv = vm->privateData;
	if (virDomainMigrateGetMaxSpeedEnsureACL(dom->conn, vm->def) == 0 &&
	    virDomainObjCheckActive(vm) == 0) {
		*mib = (unsigned long)(priv->max_speed_mib ? priv->max_speed_mib : NO_LIMIT_MIB);
		ret = 0;
	}
	virDomainObjEndAPI(&vm);
	return ret;
}

int job_get_downtime(virDomainPtr dom, unsigned long long *ms, unsigned int flags)
{
	const struct domain_private *priv;
	virDomainObj *vm;
	int ret = -1;

	virCheckFlags(0, -1);

	vm = domain_get(dom);
	if (!vm)
		return -1;
	priv = vm->privateData;
	if (virDomainMigrateGetMaxDowntimeEnsureACL(dom->conn, vm->def) == 0 &&
	    virDomainObjCheckActive(vm) == 0) {
		*ms = priv->max_downtime_ms ? priv->max_downtime_ms : DOWNTIME_MS;
		ret = 0;
	}
	virDomainObjEndAPI(&vm);
	return ret;
}
