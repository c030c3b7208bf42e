/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists of a domain's frames: what each is in use as, for who saves the domain, and its contents (lib/framecopy.h). Answers
 * stand where the questions did: a continuation goes on behind them.
 */
#include "hypercall/domctl.h"
#include "hw/smp.h"
#include "lib/framecopy.h"
#include "lib/string.h"
#include "hw/mem.h"
#include "mm/dirtylog.h"
#include "mm/frame.h"
#include "mm/ptype.h"

#define TYPES_SLICE  64u /* frames between two looks at pending work */
#define COPIES_SLICE 8u

static uint64_t type_of(mfn_t mfn)
{
	static const uint32_t types[] = { [PTYPE_L1] = XEN_DOMCTL_PFINFO_L1TAB,
		                          [PTYPE_L2] = XEN_DOMCTL_PFINFO_L2TAB,
		                          [PTYPE_L3] = XEN_DOMCTL_PFINFO_L3TAB,
		                          [PTYPE_L4] = XEN_DOMCTL_PFINFO_L4TAB,
		                          [PTYPE_SEGDESC] = 0,
		                          [PTYPE_WRITABLE] = 0 };
	bool pinned = false;

	return types[frame_type(mfn, &pinned)] | (pinned ? XEN_DOMCTL_PFINFO_LPINTAB : 0);
}

#define WORDS_AT_ONCE 64

static bool is_zero(mfn_t mfn)
{
	const uint64_t *w = mfn_map(mfn), *end = w + PAGE_SIZE / sizeof(*w);
	uint64_t all = 0;

	for (; !all && w < end; w += WORDS_AT_ONCE)
#pragma GCC unroll 64
		for (unsigned i = 0; i < WORDS_AT_ONCE; i++)
			all |= w[i];
	return !all;
}

/* One frame of a list: the answer in place of its number. to: where its contents go, if they are wanted. */
static int read_frame(struct domain *d, uint64_t *entry, unsigned what, gva_t to)
{
	mfn_t mfn = MFN(*entry);
	int rc = 0;

	*entry = XEN_DOMCTL_PFINFO_XTAB;
	if (!frame_get(mfn, &d->mm))
		return 0;
	*entry = type_of(mfn);
	if (what != FRAMECOPY_WHOLE && is_zero(mfn))
		*entry |= FRAMECOPY_ZERO;
	else if (what != FRAMECOPY_LOOK && guest_copy_out(to, mfn_map(mfn), PAGE_SIZE))
		rc = -EFAULT;
	frame_put(mfn);
	return rc;
}

static int write_frame(struct domain *d, mfn_t mfn, gva_t from)
{
	int rc = frame_get_type(mfn, &d->mm, PTYPE_WRITABLE);

	if (rc)
		return -EINVAL;
	if (guest_copy_in(frame_map_to_write(mfn), from, PAGE_SIZE))
		rc = -EFAULT;
	frame_written(mfn);
	frame_put_type(mfn);
	return rc;
}

/* A continued call's first frame is in cmd. */
static bool continue_at(struct xen_domctl *op, unsigned i, unsigned slice)
{
	unsigned first = op->cmd >> CMD_BITS;

	if (i == first || i % slice || !work_pending())
		return false;
	op->cmd = (op->cmd & CMD_MASK) | i << CMD_BITS;
	return true;
}

static uint64_t type_or_none(struct domain *d, mfn_t mfn)
{
	uint64_t type = XEN_DOMCTL_PFINFO_XTAB;

	if (frame_get(mfn, &d->mm)) {
		type = type_of(mfn);
		frame_put(mfn);
	}
	return type;
}

static int types(struct domain *d, struct xen_domctl *op)
{
	const struct xen_domctl_getpageframeinfo3 *q = &op->u.getpageframeinfo3;

	if (q->num > 1024)
		return -E2BIG;
	for (unsigned i = op->cmd >> CMD_BITS; i < q->num; i++) {
		xen_pfn_t entry;

		if (continue_at(op, i, TYPES_SLICE))
			return -ERESTART_HV;
		if (copy_from_handle(&entry, q->array, i, 1))
			return -EFAULT;
		entry = type_or_none(d, MFN(entry));
		if (copy_to_handle(q->array, i, &entry, 1))
			return -EFAULT;
	}
	return 0;
}

static int copies(struct domain *d, struct xen_domctl *op)
{
	struct xylem_copy_frames q;

	memcpy(&q, &op->u, sizeof(q));
	if (q.num > FRAMECOPY_MAX)
		return -E2BIG;
	if (q.what > FRAMECOPY_WHOLE)
		return -EINVAL;
	for (unsigned i = op->cmd >> CMD_BITS; i < q.num; i++) {
		gva_t at = GVA(q.frames + i * sizeof(uint64_t)),
		      content = GVA(q.buffer + (uint64_t)i * PAGE_SIZE);
		uint64_t entry;
		int rc;

		if (continue_at(op, i, COPIES_SLICE))
			return -ERESTART_HV;
		if (guest_copy_in(&entry, at, sizeof(entry)))
			return -EFAULT;
		rc = q.what == FRAMECOPY_WRITE ? write_frame(d, MFN(entry), content)
		                               : read_frame(d, &entry, q.what, content);
		if (rc)
			return rc;
		if (q.what != FRAMECOPY_WRITE && guest_copy_out(at, &entry, sizeof(entry)))
			return -EFAULT;
	}
	return 0;
}

bool domctl_is_of_frames(uint32_t cmd)
{
	return (cmd & CMD_MASK) == XEN_DOMCTL_getpageframeinfo3 ||
	       (cmd & CMD_MASK) == XYLEM_DOMCTL_copy_frames;
}

int domctl_frames(struct domain *d, struct xen_domctl *op)
{
	switch (op->cmd & CMD_MASK) {
	case XEN_DOMCTL_getpageframeinfo3:
		return types(d, op);
	case XYLEM_DOMCTL_copy_frames:
		return copies(d, op);
	default:
		return -ENOSYS;
	}
}
