/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies of L4s: of each CPU, and of guests whose L4s have linear entries. l4_*: under the domain's lock but for the last two. */
#ifndef MM_L4COPY_H
#define MM_L4COPY_H

#include "mm/frame.h"
#include "lib/types.h"

/* An entry of an L4 of d is another one now, or d is new: no copy that was made before is as new. */
void l4_changed(struct domain_mm *d);
/* Linear L4 entries are about to be: 0 when no CPU runs on an L4 of d itself, nor will; -ERESTART_HV: some still do. */
int l4_leave(struct domain_mm *d);
/* Likewise of a domain that is shadowed. */
int l4_left(struct domain_mm *d);
void l4_close(struct frame *f); /* takes the hypervisor's slots out of an L4 that no CPU runs on */
void l4_written(struct domain_mm *d, const uint64_t *pe); /* an entry of an L4 of d: the copies follow */
void l4_copies_forget(const struct domain_mm *d);         /* d is no more, or has none any more */
/* For shadows, under their lock in any context. This CPU's copies of l4 get the entry: whether that is a change. */
bool l4_copy_link(const struct domain_mm *d, mfn_t l4, unsigned slot, uint64_t e);
void l4_copies_empty(struct domain_mm *d); /* all copies of d's, in the guest's slots */

/* ---- what a CPU loads for an L4 of the guest: itself, or a copy where there are linear L4 entries (l4copy.c) ---- */
void pt_copies_init(unsigned cpu); /* bring-up: a switch cannot allocate */
/* The table that this CPU loads in the place of l4, which the current vcpu holds; one for its kernel and one for its user
 * mode; m2p: with the machine-to-physical table. Interrupts off until it is loaded. */
mfn_t pt_root(struct domain_mm *d, mfn_t l4, bool kernel, bool m2p);
/* The same where nothing is to be done for it, which stays so while the current vcpu keeps l4 and has no other table loaded for
 * that mode; else INVALID_MFN. */
mfn_t pt_root_ready(const struct domain_mm *d, mfn_t l4, bool kernel, bool m2p);
void pt_root_loaded(const struct domain_mm *d, mfn_t l4, mfn_t root); /* and then, not before: it is loaded */
/* Whether this CPU, which runs d, does so on such a table as pt_root() would give now. If not it has to load one on its way
 * to the guest: the one that wants to make a linear entry waits for it. */
bool pt_root_is_new(const struct domain_mm *d);

#endif
