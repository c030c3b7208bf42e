/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dirty logs: which pages of a guest have changed, or have become page tables or pinned, or ceased to be; a bit for each of
 * its frame numbers (pfn), for whoever copies its memory while it runs. A page is named by what the M2P says of its frame.
 * Stores of the guest's own are seen by its shadow page tables (mm/shadow.h); whoever else writes to a guest's frame calls
 * frame_written() afterwards.
 */
#ifndef MM_DIRTYLOG_H
#define MM_DIRTYLOG_H

#include "mm/frame.h"

extern unsigned dirty_logs; /* domains that are logged at present; atomic */

/* Makes room for pfns below count (rounded up), all clean; what is there stays there as long as the domain. d is logged from
 * dirty_log_start() on. 0, -ENOMEM, -ERESTART_HV: call again. domctl_lock. */
int dirty_log_make(struct domain_mm *d, uint64_t count) __must_check;
void dirty_log_start(struct domain_mm *d);
void dirty_log_stop(struct domain_mm *d);
void dirty_log_free(struct domain_mm *d); /* with the domain */

/* The bits of 64 pfns from first (a multiple of 64) on; clear: they are clean then. 0 where there is no room. */
uint64_t dirty_log_word(struct domain_mm *d, uint64_t first, bool clear);
void dirty_log_restore(struct domain_mm *d, uint64_t first, uint64_t bits); /* what dirty_log_word() took */
uint64_t dirty_log_limit(const struct domain_mm *d);                        /* pfns that there is room for */

/* A frame of d's, if it is logged, has changed, or is about to by a mapping that is seen by nobody. The caller holds it. */
void dirty_log_mark(struct domain_mm *d, mfn_t mfn);
/* Whether a store to the frame needs no further look: its bit is set, or it has none. */
bool dirty_log_is_marked(const struct domain_mm *d, mfn_t mfn);
void dirty_log_frame(mfn_t mfn); /* frame_written() of a frame of any owner */

/* The caller, who holds the frame, has written to it behind the guest's tables. */
static inline void frame_written(mfn_t mfn)
{
	if (unlikely(READ_ONCE(dirty_logs)))
		dirty_log_frame(mfn);
}

#endif
