/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The per-domain window, and the hypervisor's slots in guests' L4s. */
#ifndef MM_PERDOMAIN_H
#define MM_PERDOMAIN_H

#include "mm/frame.h"
#include "lib/types.h"

/* The window's top table, which all L4s of d share: exists before the first of them is validated. d's lock
 * held (at creation not needed). 0 or -ENOMEM. */
int perdomain_init(struct domain_mm *d);

void domain_mm_destroy(struct domain_mm *d); /* after relinquish and the last reference */

/* Writes the hypervisor's slots into a frame that becomes an L4 of d. */
void pt_fill_hv_slots(struct domain_mm *d, uint64_t *l4);
/* The machine-to-physical table is for a guest's kernel; its user programs have no use for where other domains'
 * memory lies. The caller holds l4, which it is about to load for one of the two. */
void pt_show_m2p(struct domain_mm *d, mfn_t l4, bool show);
/* The per-domain window: page 0..31 of one vcpu (hw/layout.h). mfn INVALID_MFN unmaps; the tables on the way
 * are made either way. No flush. 0, -EINVAL, -ENOMEM. */
int perdomain_map(struct domain_mm *d, unsigned vcpu, unsigned page, mfn_t mfn, bool writable) __must_check;
/* The same where perdomain_map() was there before, without a lock: for the switch to a vcpu, with interrupts
 * off, when who holds d's lock may be waiting for this CPU to flush. The page is that vcpu's own business.
 * False: no tables. */
bool perdomain_set(struct domain_mm *d, unsigned vcpu, unsigned page, mfn_t mfn, bool writable) __must_check;
mfn_t perdomain_lookup(struct domain_mm *d, unsigned vcpu, unsigned page);

#endif
