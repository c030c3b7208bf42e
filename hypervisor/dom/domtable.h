/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of domains: found by number, with a reference. */
#ifndef DOM_DOMTABLE_H
#define DOM_DOMTABLE_H

#include "dom/domain.h"
#include "lib/types.h"

/* With a reference, or NULL. DOMID_SELF is not resolved here. */
struct domain *domain_get(uint16_t domid);
/* Next domain with number >= domid, with a reference, or NULL: for walking all of them. */
struct domain *domain_get_next(uint16_t domid);
unsigned domain_count(void);
/* Entered while it has a reference: 0 or -EEXIST. Taken out when it has none; freed after domtable_wait(), which calls
 * all CPUs (interrupts on, no lock that is taken with interrupts off). */
int domtable_add(struct domain *d) __must_check;
void domtable_remove(struct domain *d);
void domtable_wait(void);
void domain_ref(struct domain *d);

#endif
