/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A control call of Xylem's own, beside Xen's: the contents of a domain's frames, copied instead of mapped. To map a frame,
 * look at it once and unmap it costs a PV dom0 many times what the copy costs. It goes by XEN_DOMCTL's interface and version.
 * Xen refuses it (ENOSYS, or EOPNOTSUPP without an IOMMU), so who makes it has another way.
 */
#ifndef LIB_FRAMECOPY_H
#define LIB_FRAMECOPY_H

/* A number that Xen's own, which count up from 1, will not reach. */
#define XYLEM_DOMCTL_copy_frames 0x7859

#define FRAMECOPY_MAX            1024u /* frames of one call */
/* What is to be done: */
#define FRAMECOPY_READ  0u
#define FRAMECOPY_WRITE 1u
#define FRAMECOPY_LOOK  2u /* as READ, without any contents */
#define FRAMECOPY_WHOLE 3u /* as READ, with contents that are zero */
#define FRAMECOPY_ZERO  1u /* in an answer, where XEN_DOMCTL_PFINFO_* have no bits: all of the frame is zero */

/*
 * In place of union u of struct xen_domctl. frames: the caller's array of num frame numbers (uint64_t); buffer: num pages.
 * Read: each number becomes what the frame is in use as (XEN_DOMCTL_PFINFO_*; XTAB: it is not the domain's), or'ed with ZERO;
 * contents are put to the same place of the buffer, but for those that are zero or not the domain's, whose place stays as it is.
 * Write: the contents go into the frames, which must not be in use as what the domain itself may not write to. The first one
 * that is ends the call with EINVAL, and those before it are written.
 * E2BIG: num; EFAULT: an address; EINVAL: what. After an error part of the list may be answered. Nothing is answered in the structure.
 */
struct xylem_copy_frames {
	unsigned int num;
	unsigned int what;
	unsigned long long frames;
	unsigned long long buffer;
};

#endif
