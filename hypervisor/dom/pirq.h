/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Physical interrupts as a guest sees them: pirq numbers mapped to irqs, bound to event channels. */
#ifndef DOM_PIRQ_H
#define DOM_PIRQ_H

#include "dom/domain.h"
#include <xen/physdev.h>

#define PIRQS_MAX 1024 /* numbers of a domain's interrupts */

int pirq_domain_init(struct domain *d) __must_check;
/* After the event channels are closed: gives up MSIs and the EOI page. The table itself stays as long as the
 * domain: dom0 may be looking at it. */
void pirq_domain_relinquish(struct domain *d);
void pirq_domain_free(struct domain *d); /* no reference is left */
/* PHYSDEVOP_map_pirq / unmap_pirq for d: -EPERM where d may not, -EINVAL, -ENOSPC. *pirq < 0 asks for any. */
int pirq_map(struct domain *d, struct physdev_map_pirq *map) __must_check;
int pirq_unmap(struct domain *d, int pirq) __must_check;
int pirq_bind(struct domain *d, unsigned pirq, bool share) __must_check; /* from evtchn_bind_pirq */
void pirq_unbind(struct domain *d, unsigned pirq);
void pirq_follow_vcpu(struct domain *d, unsigned pirq, const struct vcpu *v); /* interrupts where v runs */
int pirq_free_number(struct domain *d, int *pirq) __must_check; /* PHYSDEVOP_get_free_pirq: reserves it */
int pirq_eoi(struct domain *d, unsigned pirq) __must_check;
int pirq_eoi_all(struct domain *d) __must_check;       /* PHYSDEVOP_IRQ_UNMASK_NOTIFY: whatever it owes */
uint32_t pirq_status(struct domain *d, unsigned pirq); /* XENIRQSTAT_* */
/* pirq_eoi_gmfn_v1 (EOI also unmasks the event channel) and _v2. 0, -EBUSY, -EINVAL. */
int pirq_set_eoi_map(struct domain *d, mfn_t mfn, bool unmask) __must_check;
void pirq_log_mapped(struct domain *d); /* marks that page in d's dirty log */
/* Domctl: lets d map these GSIs, or takes that back. Guests but dom0 have none at first. */
int pirq_permit(struct domain *d, unsigned gsi, bool allow) __must_check;

#endif
