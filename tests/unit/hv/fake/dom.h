/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domains of the fake hardware layer that have nothing but memory: number 0 is privileged. */
#ifndef FAKE_DOM_H
#define FAKE_DOM_H

#include "dom/domain.h"
#include "fake.h"

#define FAKE_DOMAINS 3
extern struct domain fake_domains[FAKE_DOMAINS];
extern int fake_holds[FAKE_DOMAINS]; /* mm_owner_hold() minus mm_owner_drop() */
extern unsigned fake_crashes;
extern mfn_t fake_offered[2]; /* the L4s for user and kernel mode that pv_fastpath_tables() saw last */

void fake_domain_create(unsigned i, uint64_t max_pages);
/* The vcpu of that CPU, of that domain, without tables. */
struct vcpu *fake_vcpu(unsigned cpu, unsigned domain);
/* Afterwards all free memory holds something. */
void fake_dirty_all(void);

#endif
