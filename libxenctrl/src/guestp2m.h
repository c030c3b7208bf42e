/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private: the table of a PV guest that says which frame stands for which pfn, as the guest keeps it. */
#ifndef XYLEM_LIBXENCTRL_GUESTP2M_H
#define XYLEM_LIBXENCTRL_GUESTP2M_H

#include "private.h"

#define GUESTP2M_PFNS_MAX UINT64_C(0xffffffff) /* 16 TiB: the stream has 32 bits for the last pfn */

struct guestp2m {
	uint64_t pfn_count;
	uint64_t *frames;    /* mfn + 1 of each pfn, 0: none; memory is used where something stands */
	uint64_t used_count; /* pfns with a frame */
	uint64_t *leaves;    /* mfns of the guest's own pages that hold the table */
	uint64_t leaf_count;
	uint32_t *slots; /* hash of the frames: pfn + 1, 0: free */
	unsigned slot_bits;
	uint64_t factor; /* of the hash: odd, not for the guest to know */
};

/*
 * Reads the table of a domain by what its shared info says: the list at arch.p2m_vaddr below arch.p2m_cr3, or the tree of
 * arch.pfn_to_mfn_frame_list_list. The guest wrote all of it, and may have written anything; it should not run. Entries that
 * name no frame (missing, foreign, identity) are left out. memory_pages is how many the domain owns. Error: EINVAL the
 * table is none.
 */
XYL_HIDDEN int guestp2m_read(struct xyl *x, uint32_t domid, const struct shared_info *info,
                             uint64_t memory_pages, struct guestp2m *p) XYL_MUST_USE;
XYL_HIDDEN void guestp2m_free(struct guestp2m *p);
/* The frame of a pfn, or XYL_PAGE_NONE. */
XYL_HIDDEN uint64_t guestp2m_mfn(const struct guestp2m *p, uint64_t pfn);
/* The (first) pfn of a frame, or XYL_PAGE_NONE: it is not the guest's, as the guest says. */
XYL_HIDDEN uint64_t guestp2m_pfn(const struct guestp2m *p, uint64_t mfn);

#endif
