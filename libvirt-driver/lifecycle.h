/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls that start, stop and end guests. */
#ifndef XYLEM_LIFECYCLE_H
#define XYLEM_LIFECYCLE_H

#include "internal.h"
#include "domain_conf.h"

/* Whether it ends with a client's connection. */
bool lifecycle_is_autodestroyed(virDomainObj *vm);
virDomainPtr lifecycle_create_xml(virConnectPtr conn, const char *xml, unsigned int flags);
int lifecycle_create_flags(virDomainPtr dom, unsigned int flags);
int lifecycle_create(virDomainPtr dom);
int lifecycle_suspend(virDomainPtr dom);
int lifecycle_resume(virDomainPtr dom);
int lifecycle_shutdown_flags(virDomainPtr dom, unsigned int flags);
int lifecycle_shutdown(virDomainPtr dom);
int lifecycle_reboot(virDomainPtr dom, unsigned int flags);
int lifecycle_destroy_flags(virDomainPtr dom, unsigned int flags);
int lifecycle_destroy(virDomainPtr dom);
int lifecycle_set_action(virDomainPtr dom, unsigned int type, unsigned int action, unsigned int flags);
int lifecycle_reset(virDomainPtr dom, unsigned int flags);
int lifecycle_inject_nmi(virDomainPtr dom, unsigned int flags);
int lifecycle_abort_job(virDomainPtr dom);
int lifecycle_abort_job_flags(virDomainPtr dom, unsigned int flags);
int lifecycle_get_state(virDomainPtr dom, int *state, int *reason, unsigned int flags);
/* Enters a definition into the list and begins a job; what is running already is refused. */
virDomainObj *lifecycle_add(virDomainDef **def);
/* Ends that; good: it has been started. */
void lifecycle_added(virDomainObj **vm, bool good);
/* What xylemd writes or reads of the guest ends: 0, or -1 with an error. Locked, unlocks meanwhile. */
int lifecycle_cancel(virDomainObj *vm);

#endif
