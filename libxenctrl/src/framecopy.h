/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Private: the contents of a domain's frames, copied by the hypervisor to and from a buffer. What Xylem has beside Xen's
 * calls (hypervisor/lib/framecopy.h); on Xen frames are mapped instead.
 */
#ifndef XYLEM_LIBXENCTRL_FRAMECOPY_H
#define XYLEM_LIBXENCTRL_FRAMECOPY_H

#include "private.h"

#define FRAMECOPY_BATCH 256u /* frames of one call, and pages of the buffer */

struct framecopy;

/* 0 with *out NULL where the hypervisor cannot. Errors: ENOMEM; ESRCH there is no such domain. */
XYL_HIDDEN int framecopy_open(struct xyl *x, uint32_t domid, struct framecopy **out) XYL_MUST_USE;
XYL_HIDDEN void framecopy_close(struct framecopy *f); /* NULL is none; keeps errno */
XYL_HIDDEN uint8_t *framecopy_buffer(const struct framecopy *f);
/* Types as of xyl_page_types(), and contents to the same place of the buffer; those that are zero are told of, not copied. */
XYL_HIDDEN int framecopy_read(const struct framecopy *f, const uint64_t *mfns, unsigned count, uint8_t *types,
                              bool *zero) XYL_MUST_USE;
/* Whether there are the next two; an older Xylem has neither. */
XYL_HIDDEN bool framecopy_looks(const struct framecopy *f);
/* As framecopy_read(), without contents. */
XYL_HIDDEN int framecopy_look(const struct framecopy *f, const uint64_t *mfns, unsigned count, uint8_t *types,
                              bool *zero) XYL_MUST_USE;
/* Types, and all contents to memory of any kind: up to FRAMECOPY_BATCH pages. */
XYL_HIDDEN int framecopy_read_to(const struct framecopy *f, const uint64_t *mfns, unsigned count,
                                 uint8_t *types, uint8_t *to) XYL_MUST_USE;
/* As framecopy_write(), from memory of any kind. Up to FRAMECOPY_BATCH. */
XYL_HIDDEN int framecopy_write_from(const struct framecopy *f, const uint64_t *mfns, unsigned count,
                                    const uint8_t *from) XYL_MUST_USE;
/* Contents from the buffer. Errors: EINVAL a frame is not the domain's, or in use as a table. */
XYL_HIDDEN int framecopy_write(const struct framecopy *f, const uint64_t *mfns, unsigned count) XYL_MUST_USE;

#endif
