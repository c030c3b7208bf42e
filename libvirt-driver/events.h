/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happens without a client. */
#ifndef XYLEM_EVENTS_H
#define XYLEM_EVENTS_H

#include "internal.h"
#include "domain_conf.h"

int events_start(void);
void events_stop(void);
/* Makes objects and hypervisor agree; called before the event thread runs, and by it. */
void events_reconcile(bool at_start);
/* Does work that may wait on a thread of its own, with vm locked. life: as it is now. vm is locked, and stays so. */
typedef void events_work_fn(virDomainObj *vm, unsigned long life);
void events_later(virDomainObj *vm, events_work_fn *work);
/* Xylemd is asked again, until it tells, what came of what is halfway (halfway_recover). Any thread. */
void events_settle_later(void);

#endif
