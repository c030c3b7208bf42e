/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Free memory: a buddy allocator of frames, and small objects of the hypervisor's own on top. */
#ifndef MM_HEAP_H
#define MM_HEAP_H

#include "mm/frame.h"

#define HEAP_LOW       (1u << 0) /* below 4 GiB */
#define HEAP_NOSCRUB   (1u << 1) /* contents do not matter: the caller overwrites all of it */
#define HEAP_MAX_ORDER 18        /* 1 GiB */

/* Boot: gives frames that were reserved until now (modules) to the heap. */
void heap_add(mfn_t first, uint64_t count);

/* 2^order frames of the hypervisor's own, contiguous, zeroed unless NOSCRUB. INVALID_MFN when out of memory. */
mfn_t heap_alloc(unsigned order, unsigned flags);
void heap_free(mfn_t mfn, unsigned order);
/* What heap_alloc() handed out clear, and nobody has written or mapped since: it is not cleared again. */
void heap_free_clear(mfn_t mfn, unsigned order);
/* The idle loop's work: clears a few free frames, and has the TLBs flushed that could still reach them, so
 * that nobody waits for that later. A few microseconds; interrupts on. False: nothing was left to do. */
bool heap_scrub(void);
/* Some of what an allocation of that order for d would have to clear, 64 frames at most: true, and call it again; false:
 * there is nothing to do ahead. What is done stays done, whether the allocation comes or not. */
bool heap_clear_ahead(const struct domain_mm *d, unsigned order, unsigned flags);
/* Frames that are free; of these the spare ones, all but the low reserve, which domains are not given: what the toolstack is
 * told; of these those set aside by claims. */
uint64_t heap_free_pages(void);
uint64_t heap_spare_pages(void);
uint64_t heap_claimed_pages(void);
/* 2^order frames out of d's claim and outside of what is set aside; domain_frame_alloc() is for all but mm. */
mfn_t heap_alloc_for(struct domain_mm *d, unsigned order, unsigned flags);
/* XENMEM_claim_pages: sets aside what d lacks to this many frames. 0, -EINVAL over max_pages or dying, -ENOMEM. */
int heap_claim(struct domain_mm *d, uint64_t pages) __must_check;

/* Small objects (up to 64 KiB), zeroed, 16-byte aligned; hv_alloc_aligned up to 4096. NULL when out of memory. */
void *hv_alloc(size_t bytes);
void *hv_alloc_aligned(size_t bytes, size_t align);
void hv_free(void *p);

#endif
