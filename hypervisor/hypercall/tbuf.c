/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace buffers as the toolstack sets them up (XEN_SYSCTL_tbuf_op; xen/trace.h): one for each CPU, made once and kept for
 * ever, in frames that dom0 maps as DOMID_XEN's. hw/trace.c writes the records.
 *
 * struct t_info, which dom0 may read but not write, names the frames: behind its header of NR_CPUS offsets lie the
 * numbers of all of them, CPU by CPU. As there may be many, they are taken, and then shared, in slices: a call that was
 * interrupted finds in tbuf how far it came.
 */
#include "hypercall/domctl.h"
#include "hw/smp.h"
#include "hw/trace.h"
#include "hypercall/sysctl.h"
#include "lib/log.h"
#include "mm/heap.h"

#define SLICE      64 /* frames, before it looks for other work */
#define LIST_FIRST ((uint32_t)(ROUND_UP(offsetof(struct t_info, mfn_offset[NR_CPUS]), 4) / 4)) /* in words */

enum tbuf_state { TBUF_NONE, TBUF_TAKING, TBUF_GIVING_BACK, TBUF_SHARING, TBUF_THERE };

/* domctl_lock */
static struct {
	enum tbuf_state state;
	uint32_t asked, pages; /* of each buffer; pages: that many can be had */
	uint32_t total, done;  /* frames of all buffers */
	mfn_t info_mfn;
	struct t_info *info;
	unsigned info_order;
	uint32_t info_pages;
} tbuf;

static uint32_t *frame_list(void)
{
	return (uint32_t *)tbuf.info + LIST_FIRST;
}

/* How large a buffer can be: the offset of the last CPU's frames in t_info has 16 bits, and so has their number. */
static uint32_t pages_limit(void)
{
	uint32_t room = UINT16_MAX - LIST_FIRST;

	return cpu_count > 1 ? room / (cpu_count - 1) : UINT16_MAX;
}

static bool slice_ends(void)
{
	return tbuf.done % SLICE == 0 && work_pending();
}

/* ---- making them ---- */

static int begin(uint32_t pages)
{
	uint64_t bytes;

	if (!pages)
		return -EINVAL;
	tbuf.asked = pages;
	tbuf.pages = MIN(pages, pages_limit());
	tbuf.total = tbuf.pages * cpu_count;
	tbuf.done = 0;
	bytes = (LIST_FIRST + (uint64_t)tbuf.total) * sizeof(uint32_t);
	tbuf.info_pages = (uint32_t)((bytes + PAGE_SIZE - 1) / PAGE_SIZE);
	tbuf.info_order = 0;
	while (1u << tbuf.info_order < tbuf.info_pages)
		tbuf.info_order++;
	if (heap_spare_pages() < heap_claimed_pages() + (1u << tbuf.info_order) + tbuf.total)
		return -ENOMEM;
	tbuf.info_mfn = heap_alloc(tbuf.info_order, 0);
	if (mfn_eq(tbuf.info_mfn, INVALID_MFN))
		return -ENOMEM;
	tbuf.info = mfn_map_own(tbuf.info_mfn);
	tbuf.info->tbuf_size = (uint16_t)tbuf.pages;
	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		tbuf.info->mfn_offset[cpu] = (uint16_t)(LIST_FIRST + cpu * tbuf.pages);
	tbuf.state = TBUF_TAKING;
	return 0;
}

static int take(void)
{
	while (tbuf.done < tbuf.total) {
		mfn_t mfn = heap_alloc(0, 0);

		if (mfn_eq(mfn, INVALID_MFN)) {
			tbuf.state = TBUF_GIVING_BACK;
			return 0;
		}
		frame_list()[tbuf.done++] = (uint32_t)mfn.m;
		if (slice_ends())
			return -ERESTART_HV;
	}
	tbuf.state = TBUF_SHARING;
	tbuf.done = 0;
	return 0;
}

static int give_back(void)
{
	while (tbuf.done) {
		heap_free_clear(MFN(frame_list()[--tbuf.done]), 0);
		if (tbuf.done && slice_ends())
			return -ERESTART_HV;
	}
	heap_free(tbuf.info_mfn, tbuf.info_order);
	tbuf.state = TBUF_NONE;
	return -ENOMEM;
}

static void share_one(mfn_t mfn, bool writable)
{
	m2p_set(mfn, M2P_INVALID);
	frames_share_with_dom0(mfn, 1, writable);
}

static int share(void)
{
	while (tbuf.done < tbuf.total) {
		share_one(MFN(frame_list()[tbuf.done++]), true);
		if (slice_ends())
			return -ERESTART_HV;
	}
	for (uint32_t i = 0; i < 1u << tbuf.info_order; i++) {
		if (i < tbuf.info_pages)
			share_one(mfn_add(tbuf.info_mfn, i), false);
		else
			heap_free_clear(mfn_add(tbuf.info_mfn, i), 0);
	}
	trace_set_buffers(tbuf.info, tbuf.pages);
	trace_start();
	tbuf.state = TBUF_THERE;
	log_info("trace buffers: %u pages for each of %u CPUs, recording", tbuf.pages, cpu_count);
	return 0;
}

/* Once; records are written from then on, as on Xen. 0, -EINVAL (no pages, or other than there are), -EBUSY, -ENOMEM,
 * -ERESTART_HV. */
static int set_size(uint32_t pages)
{
	int rc = 0;

	if (tbuf.state == TBUF_THERE)
		return pages == tbuf.pages ? -EBUSY : -EINVAL;
	if (tbuf.state != TBUF_NONE && pages != tbuf.asked)
		return -EINVAL;
	if (tbuf.state == TBUF_NONE)
		rc = begin(pages);
	if (!rc && tbuf.state == TBUF_TAKING)
		rc = take();
	if (!rc && tbuf.state == TBUF_GIVING_BACK)
		rc = give_back();
	if (!rc && tbuf.state == TBUF_SHARING)
		rc = share();
	return rc;
}

void tbuf_start(unsigned pages, uint32_t events)
{
	int rc;

	if (events)
		trace_control.events = events;
	if (!pages)
		return;
	do {
		spin_lock(&domctl_lock);
		rc = set_size(pages);
		spin_unlock(&domctl_lock);
	} while (rc == -ERESTART_HV);
	if (rc)
		log_warn("tbuf_size=%u: no trace buffers, error %d", pages, rc);
}

/* ---- the operations ---- */

static void get_info(struct xen_sysctl_tbuf_op *q)
{
	bool there = tbuf.state == TBUF_THERE;

	q->evt_mask = trace_control.events;
	q->buffer_mfn = there ? tbuf.info_mfn.m : 0;
	q->size = there ? tbuf.info_pages * (uint32_t)PAGE_SIZE : 0;
}

/* The bits of a mask change one word after the other: records of that moment go by either. */
static int set_cpu_mask(const struct xen_sysctl_tbuf_op *q)
{
	cpumask_t cpus;

	if (bitmap_in(&cpus, &q->cpu_mask))
		return -EFAULT;
	for (unsigned i = 0; i < BITMAP_WORDS(NR_CPUS); i++)
		WRITE_ONCE(trace_control.cpus.bits[i], cpus.bits[i]);
	return 0;
}

static int operation(struct xen_sysctl_tbuf_op *q)
{
	switch (q->cmd) {
	case XEN_SYSCTL_TBUFOP_get_info:
		get_info(q);
		return 0;
	case XEN_SYSCTL_TBUFOP_set_cpu_mask:
		return set_cpu_mask(q);
	case XEN_SYSCTL_TBUFOP_set_evt_mask:
		WRITE_ONCE(trace_control.events, q->evt_mask);
		return 0;
	case XEN_SYSCTL_TBUFOP_set_size:
		return set_size(q->size);
	case XEN_SYSCTL_TBUFOP_enable:
		if (tbuf.state != TBUF_THERE)
			return -EINVAL;
		trace_start();
		return 0;
	case XEN_SYSCTL_TBUFOP_disable:
		trace_stop();
		return 0;
	}
	return -EINVAL;
}

int tbuf_op(struct xen_sysctl_tbuf_op *q)
{
	int rc;

	if (!spin_trylock(&domctl_lock))
		return -ERESTART_HV;
	rc = operation(q);
	spin_unlock(&domctl_lock);
	return rc;
}
