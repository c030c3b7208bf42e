/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private: a save under way, shared by save.c (records), savememory.c and savelive.c. */
#ifndef XYLEM_LIBXENCTRL_SAVER_H
#define XYLEM_LIBXENCTRL_SAVER_H

#include "framecopy.h"
#include "guestp2m.h"
#include "streamformat.h"

#define SAVER_TYPE \
	0x0f /* of saver.sent: enum stream_page that the page was last sent with; NONE: it was not */
#define SAVER_DUE 0x80 /* it is to be sent, or sent again */

struct saver {
	struct xyl *x;
	uint32_t domid;
	struct stream s;
	struct shared_info *shared; /* mapped */
	uint32_t vcpu_count;
	bool running;       /* the guest runs: what cannot be sent as it is right now stays due */
	bool zeros_by_type; /* pages of zeros are sent as STREAM_PAGE_ALLOCATED, without their contents */

	/* memory */
	struct guestp2m p2m;
	uint8_t *sent;       /* of each of p2m.pages */
	uint64_t due_count;  /* of them */
	uint64_t *leaf_pfns; /* where the table itself lies */
	uint64_t leaf_count;
	uint64_t pfn_count;
	bool written;     /* live: somebody has written where the table lies since it was read */
	bool may_be_gone; /* pages that were sent may have none now */
	bool told;        /* by X86_PV_P2M_FRAMES, as it is */
	uint64_t *ever;   /* live: a bit for each pfn below STREAM_PFNS_MAX that was sent with content */

	/* of one batch */
	uint64_t pages[XYL_BATCH]; /* pfn and type, as they stand in the stream */
	uint64_t mfns[XYL_BATCH];
	uint64_t at[XYL_BATCH];       /* where they stand in p2m.pages */
	struct framecopy *copy;       /* NULL: frames are mapped */
	uint8_t *contents[XYL_BATCH]; /* mapped or copied; NULL: zeros */
	uint8_t *tables;              /* XYL_BATCH pages for page tables with pfns in them */
	struct iovec parts[XYL_BATCH + 3];
};

/* ---- savememory.c ---- */

/*
 * Reads the guest's table of frames, first or anew. What was sent stays so where pfn and frame are the same; the rest is
 * due. Where frames have changed places so are all page tables, as these were sent with the pfns of then. After an error all
 * is as before; of a guest that runs, any but ENOMEM and ECANCELED may be a table that is about to change. Errors: as
 * guestp2m_read; EBUSY the table has become shorter.
 */
XYL_HIDDEN int savememory_read(struct saver *v, uint64_t memory_pages) XYL_MUST_USE;
/* Writes X86_PV_P2M_FRAMES, unless it was written and is the same. */
XYL_HIDDEN int savememory_write_table(struct saver *v) XYL_MUST_USE;
/* The page of this pfn is due. */
XYL_HIDDEN void savememory_mark(struct saver *v, uint64_t pfn);
/* Live: whether the table is to be read anew, by a bitmap of so many pfns that were written to. */
XYL_HIDDEN void savememory_mark_table(struct saver *v, const uint64_t *bitmap, uint64_t pfns);
/* The pages whose bits are set in a bitmap of so many pfns are due. */
XYL_HIDDEN void savememory_mark_all(struct saver *v, const uint64_t *bitmap, uint64_t pfns);
/* Sends up to XYL_BATCH pages that are due, from p2m.pages[*at] on, which is moved behind them. 1: there may be more; 0. */
XYL_HIDDEN int savememory_send(struct saver *v, uint64_t *at) XYL_MUST_USE;
/* Live: tells of the pfns that were sent and have no page any more. */
XYL_HIDDEN int savememory_drop(struct saver *v) XYL_MUST_USE;
XYL_HIDDEN void savememory_free(struct saver *v);

/* ---- save.c ---- */

/* NULL after an error. */
XYL_HIDDEN struct saver *saver_new(struct xyl *x, uint32_t domid, int fd, xyl_progress_fn *progress,
                                   void *data);
XYL_HIDDEN void saver_free(struct saver *v);
/* Asks for the domain, which must be shut down for suspend. */
XYL_HIDDEN int saver_check_suspended(struct saver *v, struct xyl_dominfo *info) XYL_MUST_USE;
/* Its vcpu 0 must be online. */
XYL_HIDDEN int saver_check_vcpus(struct saver *v) XYL_MUST_USE;
/* Checks what cannot change, and maps its shared info. */
XYL_HIDDEN int saver_open(struct saver *v, const struct xyl_dominfo *info) XYL_MUST_USE;
/* Headers, and what does not change while a domain runs. */
XYL_HIDDEN int saver_write_static(struct saver *v) XYL_MUST_USE;
/* What a suspended domain has beside its memory; and the end, with which the stream is complete. */
XYL_HIDDEN int saver_write_state(struct saver *v) XYL_MUST_USE;
XYL_HIDDEN int saver_write_end(struct saver *v) XYL_MUST_USE;

#endif
