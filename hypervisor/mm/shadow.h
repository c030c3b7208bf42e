/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shadow page tables: the second way of paging, for a domain whose dirty pages are logged (mm/dirtylog.h), and for one with
 * entries that a processor with L1TF must not walk. Processors walk copies of the guest's tables, the shadows, which allow at
 * most what the guest's own entries allow, and a store only where it is logged. The guest sees nothing of it: its tables,
 * their accessed and dirty bits and its faults are as in direct mode.
 */
#ifndef MM_SHADOW_H
#define MM_SHADOW_H

#include "mm/frame.h"
#include "lib/types.h"

/* Memory for shadows, in pages, made or given back: 0, -ENOMEM, -ERESTART_HV: call again. 0 pages: all of it, for a domain
 * that is not shadowed. */
int shadow_set_pool(struct domain_mm *d, uint64_t pages) __must_check;
uint64_t shadow_pool(const struct domain_mm *d); /* pages */
/* Enough for the tables of a domain that is full of processes. */
uint64_t shadow_pool_for(const struct domain_mm *d);
void shadow_free(struct domain_mm *d); /* with the domain, after its pool */

/* From now on, or no more. No vcpu of d runs; there is a pool. A domain that is shadowed permanently stays so: for that start
 * is shadow_protect(), and stop nothing. */
void shadow_start(struct domain_mm *d);
void shadow_stop(struct domain_mm *d);
/* No store of before is allowed any more without a look at the log, which the caller clears. No vcpu of d runs. */
void shadow_protect(struct domain_mm *d);

/*
 * A fault at va while the current vcpu of d ran on its L4 l4, in the guest or in an access of the hypervisor's to its memory.
 * True: do it again. False: the guest's tables refuse it; *error_code says what a processor would that walks them. wait:
 * interrupts are on, and the caller may wait for other CPUs; where it may not, the answer can be false for lack of pages
 * that are ready, which a small reserve makes rare.
 */
bool shadow_fault(struct domain_mm *d, mfn_t l4, gva_t va, uint32_t *error_code, bool wait) __must_check;
uint32_t shadow_faults(const struct domain_mm *d); /* served since shadow_protect() */

/* ---- for mm/ alone ---- */
/* Permanently from now on, also while its vcpus run. 0: no CPU walks d's own tables any more. -ERESTART_HV: some still do, or
 * the pool is not made yet; call again, from the beginning of the hypercall. -ENOMEM: not even for the smallest pool. d's
 * lock. */
int shadow_force(struct domain_mm *d) __must_check;
/* d is shadowed, and an entry of one of its tables has changed: the shadows follow. d's lock. */
void shadow_written(struct domain_mm *d, const uint64_t *pe);
/* Likewise, and the table is none any more. d's lock. */
void shadow_forget(struct domain_mm *d, struct frame *table);
/* Around what follows: shadows stay what they are. Before RANK_L4_COPY. False: d is not shadowed, and nothing is locked. */
bool shadow_lock(struct domain_mm *d, uint64_t *flags) __must_check;
void shadow_unlock(struct domain_mm *d, bool locked, uint64_t flags);
/* What stands in a copy of an L4 for the guest's entry e; of a shadowed domain. */
uint64_t shadow_l4e(const struct domain_mm *d, uint64_t e);

#endif
