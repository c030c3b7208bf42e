/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Private: what may stand in a stream that is restored. All of it decides about bytes that are there already and changes
 * nothing but struct stream_order; errors are EBADMSG (ENOTSUP: right, but nothing that is restored here).
 */
#ifndef XYLEM_LIBXENCTRL_STREAMCHECK_H
#define XYLEM_LIBXENCTRL_STREAMCHECK_H

#include "streamformat.h"
#include "streamio.h"

#define STREAM_PAGES_MAX    32768u      /* of one PAGE_DATA record: 128 MiB */
#define STREAM_OPTIONAL_MAX (64u << 20) /* bytes of a record that is passed over */

/* What has come so far. */
struct stream_order {
	uint32_t version; /* of libxc's layer */
	uint32_t seen;    /* bit n: a record of enum stream_type n */
	bool zeros_by_type;
};

XYL_HIDDEN int stream_check_xl_header(const struct stream *s, const struct stream_xl_header *h) XYL_MUST_USE;
/* A record of libxl's layer; started: LIBXC_CONTEXT has been. */
XYL_HIDDEN int stream_check_xl_record(const struct stream *s, const struct stream_record *r,
                                      bool started) XYL_MUST_USE;
XYL_HIDDEN int stream_check_xc_header(const struct stream *s, const struct stream_xc_header *h,
                                      struct stream_order *order) XYL_MUST_USE;
XYL_HIDDEN int stream_check_domain_header(const struct stream *s,
                                          const struct stream_domain_header *h) XYL_MUST_USE;

/* The name of a record's type; "unknown" for others. */
XYL_HIDDEN const char *stream_name(uint32_t type);
/* Whether this record may come now, and be so long; notes that it has come. Optional ones that are unknown may. */
XYL_HIDDEN int stream_check_record(const struct stream *s, struct stream_order *order,
                                   const struct stream_record *r) XYL_MUST_USE;
XYL_HIDDEN bool stream_seen(const struct stream_order *order, enum stream_type type);

XYL_HIDDEN int stream_check_pv_info(const struct stream *s, const struct stream_pv_info *i) XYL_MUST_USE;
/* bytes: of the record's body. *count receives how many pages hold the table of the guest. */
XYL_HIDDEN int stream_check_p2m_frames(const struct stream *s, const struct stream_p2m_frames *f,
                                       uint32_t bytes, uint64_t *count) XYL_MUST_USE;
/* The count of a PAGE_DATA record of so many bytes. */
XYL_HIDDEN int stream_check_page_count(const struct stream *s, const struct stream_page_data *p,
                                       uint32_t bytes) XYL_MUST_USE;
/* Its list: each pfn is below pfn_count and of a type that there is, and bytes are right for their contents. */
XYL_HIDDEN int stream_check_pages(const struct stream *s, const uint64_t *pages, uint32_t count,
                                  uint64_t pfn_count, uint32_t bytes) XYL_MUST_USE;
/* A record of a vcpu with bytes behind its head. */
XYL_HIDDEN int stream_check_vcpu(const struct stream *s, uint32_t type, uint32_t vcpu, uint32_t vcpu_count,
                                 uint32_t bytes) XYL_MUST_USE;

#endif
