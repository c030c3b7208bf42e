/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a start waits for and may never get. */
#ifndef XYLEM_ASIDE_H
#define XYLEM_ASIDE_H

#include "internal.h"
#include "domain_conf.h"

/* run: 0, or -1 with an error. undo: of what is not wanted any more; ret: what run gave. Takes the data. */
typedef int aside_run_fn(void *data);
typedef void aside_undo_fn(void *data, int ret);
/*
 * run(*data) on a thread of its own, with the object unlocked: what it gives; or -1 and VIR_ERR_OPERATION_ABORTED when the start
 * was given up first. Then *data is NULL, and undo() will get it. Between process_begin() and process_finish().
 */
int aside(virDomainObj *vm, aside_run_fn *run, aside_undo_fn *undo, void **data);
/* The same, of no guest, and for so long: -1 with an error when it is not over by then, and undo() gets, or has got, the data. */
int aside_briefly(unsigned int wait_ms, aside_run_fn *run, aside_undo_fn *undo, void *data);
/* Whether a thread has stayed behind, which uses the driver still. */
bool aside_busy(void);

#endif
