/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a start, of a guest or of libvirtd, waits for and may never get: a disk, the lock manager, a hook script. It is done on a
 * thread of its own, so that a start which is given up (domain_doom) ends without it; the thread then stays behind until it can
 * end, and undoes what it has done. As long as one is behind the driver stays as it is, also when libvirtd ends.
 *
 * The number of threads that stay behind is bounded: beyond it nobody is let in who might add to them.
 */
#include "aside.h"
#include "xylem.h"

#include "virerror.h"
#include "viridentity.h"
#include "virlog.h"
#include "virthread.h"
#include "virtime.h"

VIR_LOG_INIT("xylem.aside");

#define LEFT_MAX 16

struct aside {
	aside_run_fn *run;
	aside_undo_fn *undo;
	void *data;
	virIdentity *identity;
	int ret;
	virErrorPtr error;
	/* Guarded by driver.lock. */
	bool over, left;
};

static void aside_free(struct aside *a)
{
	if (a->error)
		virFreeError(a->error);
	g_clear_object(&a->identity);
	g_free(a);
}

static void aside_main(void *opaque)
{
	struct aside *a = opaque;
	bool left;

	/* libvirt's other drivers ask who it is that calls. */
	ignore_value(virIdentitySetCurrent(a->identity));
	a->ret = a->run(a->data);
	virErrorPreserveLast(&a->error);
	virMutexLock(&xylem->lock);
	a->over = true;
	left = a->left;
	virCondBroadcast(&xylem->slot_free);
	virMutexUnlock(&xylem->lock);
	if (!left)
		return;
	a->undo(a->data, a->ret);
	virMutexLock(&xylem->lock);
	xylem->left_count--;
	virMutexUnlock(&xylem->lock);
	aside_free(a);
}

/* Until it is over, or the start is given up, or then; 0: for ever. No object is locked. Whether it is over. */
static bool wait_for(struct aside *a, const bool *doomed, unsigned long long until_ms)
{
	virMutexLock(&xylem->lock);
	while (!a->over && !*doomed &&
	       (until_ms ? virCondWaitUntil(&xylem->slot_free, &xylem->lock, until_ms)
	                 : virCondWait(&xylem->slot_free, &xylem->lock)) == 0)
		;
	a->left = !a->over;
	xylem->left_count += a->left;
	virMutexUnlock(&xylem->lock);
	return !a->left;
}

static bool may_begin(void)
{
	unsigned int left;

	virMutexLock(&xylem->lock);
	left = xylem->left_count;
	virMutexUnlock(&xylem->lock);
	if (left < LEFT_MAX)
		return true;
	virReportError(
	        VIR_ERR_OPERATION_FAILED,
	        "%u starts that were given up still wait for disks, for the lock manager or for scripts",
	        left);
	return false;
}

/* NULL with an error, and nothing has begun. */
static struct aside *begin(aside_run_fn *run, aside_undo_fn *undo, void *data)
{
	struct aside *a;
	virThread thread;

	if (!may_begin())
		return NULL;
	a = g_new0(struct aside, 1);
	a->run = run;
	a->undo = undo;
	a->data = data;
	a->identity = virIdentityGetCurrent();
	if (virThreadCreateFull(&thread, false, aside_main, "xylem-aside", false, a) == 0)
		return a;
	virReportSystemError(errno, "%s", "there is no thread for what may not answer");
	aside_free(a);
	return NULL;
}

/* What it gave. */
static int take_result(struct aside *a)
{
	int ret = a->ret;

	virErrorRestore(&a->error);
	aside_free(a);
	return ret;
}

int aside(virDomainObj *vm, aside_run_fn *run, aside_undo_fn *undo, void **data)
{
	struct domain_private *priv = vm->privateData;
	struct aside *a = begin(run, undo, *data);
	int ret = -1;

	if (!a)
		return -1;
	virObjectUnlock(vm);
	if (wait_for(a, &priv->doomed, 0)) {
		ret = take_result(a);
	} else {
		*data = NULL;
		virReportError(VIR_ERR_OPERATION_ABORTED, "%s", "the start was given up");
	}
	virObjectLock(vm);
	return ret;
}

int aside_briefly(unsigned int wait_ms, aside_run_fn *run, aside_undo_fn *undo, void *data)
{
	struct aside *a = begin(run, undo, data);
	unsigned long long now = 0;
	bool never = false;

	if (!a) {
		undo(data, -1);
		return -1;
	}
	ignore_value(virTimeMillisNow(&now));
	if (wait_for(a, &never, now + wait_ms))
		return take_result(a);
	virReportError(VIR_ERR_OPERATION_TIMEOUT, "no answer in %u ms", wait_ms);
	return -1;
}

bool aside_busy(void)
{
	bool busy;

	virMutexLock(&xylem->lock);
	busy = xylem->left_count > 0;
	virMutexUnlock(&xylem->lock);
	return busy;
}
