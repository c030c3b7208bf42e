/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far the long jobs of a guest have come; see job.c. All: with the object locked, if nothing else is said. */
#ifndef XYLEM_JOB_H
#define XYLEM_JOB_H

#include "internal.h"
#include "domain_conf.h"

struct job;
struct sampler;
struct send_limits;

/* A job begins (virDomainJobOperation), and ends; what became of it can be asked for then, and clients hear of it. */
void job_begin(virDomainObj *vm, int operation);
void job_end(virDomainObj *vm, bool good);
/* xylemd is at work on it: it is asked now and then how far it has come. job_unwatch(): unlocked; NULL does nothing. */
struct sampler *job_watch(virDomainObj *vm);
void job_unwatch(struct sampler *s);
/* Tells xylemd the limits of a live migration that begins. 0, or -1 with an error. The caller has a slot. Unlocks the object
 * meanwhile. */
int job_begin_limits(virDomainObj *vm, const struct send_limits *limits);
/* What is left of it is sent at once, while the guest is suspended. 0, or -1 with an error. Likewise, without a slot. */
int job_hurry(virDomainObj *vm);

void job_free(struct job *job);
int job_info(virDomainPtr dom, virDomainJobInfoPtr info);
int job_stats(virDomainPtr dom, int *type, virTypedParameterPtr *params, int *count, unsigned int flags);
int job_set_speed(virDomainPtr dom, unsigned long mib, unsigned int flags);
int job_get_speed(virDomainPtr dom, unsigned long *mib, unsigned int flags);
int job_set_downtime(virDomainPtr dom, unsigned long long ms, unsigned int flags);
int job_get_downtime(virDomainPtr dom, unsigned long long *ms, unsigned int flags);

#endif
