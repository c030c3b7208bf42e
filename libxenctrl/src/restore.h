/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private: a restore under way, shared by restore.c (records), restorememory.c and restorestate.c. */
#ifndef XYLEM_LIBXENCTRL_RESTORE_H
#define XYLEM_LIBXENCTRL_RESTORE_H

#include "framecopy.h"
#include "streamcheck.h"
#include "vcpustate.h"

/* The kinds of records of a vcpu. */
enum restore_piece { RESTORE_BASIC, RESTORE_EXTENDED, RESTORE_XSAVE, RESTORE_MSRS, RESTORE_PIECES };

struct restore_vcpu {
	struct blob pieces[RESTORE_PIECES];
	bool seen[RESTORE_PIECES];
};

/* A page of the domain. */
struct restore_page {
	uint64_t mfn; /* XYL_PAGE_NONE: it had one, which was given back */
	uint32_t pfn;
	uint8_t type; /* enum stream_page: the last that came */
	bool spare;   /* it is in restore.spare */
	bool zero;    /* it is known to have zeros, since nobody has written there */
	bool listed;  /* it is in restore.tables */
};

struct restore {
	struct xyl *x;
	uint32_t domid;
	const struct xyl_pv_restore *how;
	struct stream s;
	struct stream_order order;
	struct framecopy *copy; /* NULL: frames are mapped */
	uint64_t shared_info_mfn;
	bool clean; /* the hypervisor hands out frames of zeros: Xylem does, Xen as long as guests clear what they give back */

	/* memory: what is kept grows with what the domain has, however far apart its pfns lie */
	uint64_t pfn_count;
	struct restore_page *pages; /* in the order in which they came first */
	uint64_t page_count, page_room;
	uint64_t frame_count; /* of them that have a frame */
	uint32_t *tables;     /* index of pages that are page tables, or were; room for all pages */
	uint64_t table_count;
	uint32_t *spare; /* index of pages that were none any more when they came last, and have a frame */
	uint64_t spare_count;
	uint32_t *slots; /* hash of their pfns: index in pages + 1, 0: free */
	unsigned slot_bits;
	uint64_t key;   /* of the hash, not for the stream to know */
	uint64_t ahead; /* of a pfn, its place in pages, for the last one that was looked for; modulo 2^64 */
	uint64_t limit_pages;  /* the most that the domain may have now */
	uint64_t *table_pages; /* pfns of the guest's own table of frames */
	uint64_t table_page_count;
	uint64_t *list; /* of the PAGE_DATA record at hand: STREAM_PAGES_MAX entries */

	/* state, set when all is there */
	struct restore_vcpu *vcpus;
	uint32_t vcpu_count;
	struct blob cpuid, msrs;
	struct stream_tsc tsc;
	struct shared_info *shared; /* as saved: a page of our own */
};

/* By the hash. Remembers where it was, as the next one mostly stands behind it. */
XYL_HIDDEN struct restore_page *restore_page_far(struct restore *r, uint64_t pfn);

/* The page of a pfn, or NULL: the domain has none there. */
static inline struct restore_page *restore_page(struct restore *r, uint64_t pfn)
{
	uint64_t place = pfn + r->ahead;

	if (place < r->page_count && r->pages[place].pfn == pfn)
		return &r->pages[place];
	return restore_page_far(r, pfn);
}

/* The frame of a pfn, or XYL_PAGE_NONE. */
static inline uint64_t restore_mfn(struct restore *r, uint64_t pfn)
{
	const struct restore_page *page = restore_page(r, pfn);

	return page ? page->mfn : XYL_PAGE_NONE;
}

/* The frame of a normal page that what names; XYL_PAGE_NONE after an error was told. */
XYL_HIDDEN uint64_t restore_normal_mfn(struct restore *r, uint64_t pfn, const char *what);

/* restorememory.c: X86_PV_P2M_FRAMES and PAGE_DATA, of bytes; the head of the record is still to be read. */
XYL_HIDDEN int restore_p2m_frames(struct restore *r, uint32_t bytes) XYL_MUST_USE;
XYL_HIDDEN int restore_page_data(struct restore *r, uint32_t bytes) XYL_MUST_USE;
/* When all pages are there: frames into page tables and the guest's own table, tables pinned, limits. */
XYL_HIDDEN int restore_finish_memory(struct restore *r) XYL_MUST_USE;

/* restorestate.c: start info, shared info, clock, vcpus and grants, when memory is finished. */
XYL_HIDDEN int restore_finish_state(struct restore *r, struct xyl_pv_restored *out) XYL_MUST_USE;

#endif
