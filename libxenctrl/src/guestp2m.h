/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private: the table of a PV guest that says which frame stands for which pfn, as the guest keeps it. */
#ifndef XYLEM_LIBXENCTRL_GUESTP2M_H
#define XYLEM_LIBXENCTRL_GUESTP2M_H

#include "streamio.h"

struct guestp2m_page {
	uint64_t pfn;
	uint64_t mfn;
};

struct guestp2m {
	uint64_t pfn_count;
	struct guestp2m_page
	        *pages;            /* pfns with a frame, in their order; each frame once, at its first pfn */
	uint64_t used_count, room; /* of pages */
	uint64_t *leaves;          /* mfns of the guest's own pages that hold the table */
	uint64_t leaf_count;
	uint32_t *slots; /* hash of the frames: index in pages + 1, 0: free */
	unsigned slot_bits;
	uint64_t key; /* of the hash, not for the guest to know */
};

/*
 * Reads the table of a domain by what its shared info says: the list at arch.p2m_vaddr below arch.p2m_cr3, or the tree of
 * arch.pfn_to_mfn_frame_list_list. The guest wrote all of it, and may have written anything; it should not run. Entries that
 * name no frame (missing, foreign, identity) are left out. memory_pages is how many the domain owns, or may own: what is
 * taken of the host's memory is bounded by that. old: NULL, or what was read of it before; 1 is returned, and p is empty, where it
 * has not changed; what stands in the pages that hold it is not compared if nobody has written there since (written false).
 * s: of the domain, whose progress is told meanwhile. Errors: EINVAL the
 * table is none; ECANCELED.
 */
XYL_HIDDEN int guestp2m_read(struct xyl *x, struct stream *s, const struct shared_info *info,
                             uint64_t memory_pages, const struct guestp2m *old, bool written,
                             struct guestp2m *p) XYL_MUST_USE;
XYL_HIDDEN void guestp2m_free(struct guestp2m *p);
/* The pfn of a frame, or XYL_PAGE_NONE: it is not the guest's, as the guest says. */
XYL_HIDDEN uint64_t guestp2m_pfn(const struct guestp2m *p, uint64_t mfn);

#endif
