/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XEN_DOMCTL_shadow_op: a domain's dirty log, which needs shadow page tables, and the memory for these.
 *
 * A domain is paused while its log is read and cleared, from the first slice of the call to the last: what it stores later
 * belongs to the next round. What the toolstack could not be given for a fault of its own stays marked.
 */
#include "hypercall/domctl.h"
#include "dom/grant.h"
#include "dom/pirq.h"
#include "dom/sched.h"
#include "hw/mem.h"
#include "hw/smp.h"
#include "lib/errno.h"
#include "mm/dirtylog.h"
#include "mm/shadow.h"

#define SLICE_PFNS    4096u /* copied at once */
#define PAGES_PER_MIB 256u
#define UNMENTIONED   (1u << 15) /* pfns beyond the domain's memory that there is room for, whatever it says */

/* What the domain says is its largest pfn, as far as that is plausible. */
static uint64_t pfns_of(const struct domain *d)
{
	uint64_t said = READ_ONCE(d->shared_info->arch.max_pfn), most = 4 * max_mfn;

	return MAX(MIN(said, most), d->mm.tot_pages) + UNMENTIONED;
}

/* ---- on and off ---- */

static int enable(struct domain *d)
{
	int rc;

	if (d->mm.logged)
		return -EINVAL;
	if (!d->max_vcpus || !d->vcpus[0])
		return -EINVAL;
	rc = dirty_log_make(&d->mm, pfns_of(d));
	if (!rc)
		rc = shadow_set_pool(&d->mm, MAX(shadow_pool(&d->mm), shadow_pool_for(&d->mm)));
	if (rc)
		return rc;
	for (uint64_t *pfn = &d->log_read.done; *pfn < dirty_log_limit(&d->mm); *pfn += BITS_PER_WORD) {
		(void)dirty_log_word(&d->mm, *pfn, true);
		if (*pfn % (16 * SLICE_PFNS) == 0 && work_pending()) {
			*pfn += BITS_PER_WORD;
			return -ERESTART_HV;
		}
	}
	d->log_read.done = 0;
	domain_pause(d);
	dirty_log_start(&d->mm);
	shadow_start(&d->mm);
	domain_unpause(d);
	return 0;
}

static void reading_ends(struct domain *d)
{
	d->log_read = (struct log_read){ .op = 0 };
	domain_unpause(d);
}

/* A domain that is shadowed permanently (L1TF) stays so, and keeps its pool. */
static int off(struct domain *d)
{
	if (!d->mm.shadowed && !shadow_pool(&d->mm))
		return -EINVAL;
	if (d->log_read.op)
		reading_ends(d);
	if (d->mm.shadowed) {
		domain_pause(d);
		shadow_stop(&d->mm);
		dirty_log_stop(&d->mm);
		domain_unpause(d);
	}
	return shadow_set_pool(&d->mm, 0);
}

/* ---- the log ---- */

/* What is written without being seen: by the hypervisor, by the processor in descriptor tables, and by other domains. */
static void mark_mapped(struct domain *d)
{
	for (unsigned i = 0; i < d->max_vcpus; i++) {
		const struct vcpu *v = d->vcpus[i];

		if (!v)
			continue;
		frame_written(v->info_mfn);
		for (unsigned j = 0; j < (v->pv.gdt_entries + 511) / 512; j++)
			frame_written(v->pv.gdt_frames[j]);
		for (unsigned j = 0; j < (v->pv.ldt_entries + 511) / 512; j++)
			frame_written(v->pv.ldt_frames[j]);
	}
	pirq_log_mapped(d);
}

/* The bits of count pfns from first on, a multiple of 64. 0 or -EFAULT. */
static int copy_slice(struct domain *d, const struct xen_domctl_shadow_op *op, uint64_t first, unsigned count,
                      bool clear)
{
	uint64_t words[SLICE_PFNS / BITS_PER_WORD];
	unsigned n = (count + BITS_PER_WORD - 1) / BITS_PER_WORD;

	/* A page that the log has no room for may have changed. */
	for (unsigned i = 0; i < n; i++)
		words[i] = first + i * BITS_PER_WORD < dirty_log_limit(&d->mm)
		                   ? dirty_log_word(&d->mm, first + i * BITS_PER_WORD, clear)
		                   : ~0ull;
	if (count % BITS_PER_WORD) {
		uint64_t beyond = words[n - 1] & ~0ull << count % BITS_PER_WORD;

		words[n - 1] &= ~beyond;
		dirty_log_restore(&d->mm, first + (n - 1) * BITS_PER_WORD, beyond);
	}
	for (unsigned i = 0; i < n; i++)
		d->log_read.dirty += bits_count(words[i]);
	if (handle_is_null(op->dirty_bitmap) ||
	    !copy_to_handle(op->dirty_bitmap, first / 8, (uint8_t *)words, (count + 7) / 8))
		return 0;
	for (unsigned i = 0; clear && i < n; i++)
		dirty_log_restore(&d->mm, first + i * BITS_PER_WORD, words[i]);
	return -EFAULT;
}

static int read_log(struct domain *d, struct xen_domctl_shadow_op *op, bool *out)
{
	bool clear = op->op == XEN_DOMCTL_SHADOW_OP_CLEAN;
	uint64_t pages = handle_is_null(op->dirty_bitmap) ? dirty_log_limit(&d->mm) : op->pages;
	struct log_read *r = &d->log_read;
	int rc = 0;

	if (!d->mm.logged)
		return -EINVAL;
	/* One at a time: the domain is paused until it ends, by the call that began it or by OFF. */
	if (r->op && r->op != op->op)
		return -EBUSY;
	if (!r->op) {
		r->op = op->op;
		r->done = 0;
		domain_pause(d);
		if (clear)
			shadow_protect(&d->mm);
		mark_mapped(d);
	}
	while (grant_log_mapped(d, &r->grant))
		if (work_pending())
			return -ERESTART_HV;
	while (!rc && r->done < pages) {
		unsigned count = (unsigned)MIN(pages - r->done, SLICE_PFNS);

		rc = copy_slice(d, op, r->done, count, clear);
		r->done += count;
		if (!rc && r->done < pages && work_pending())
			return -ERESTART_HV;
	}
	op->stats.fault_count = shadow_faults(&d->mm);
	op->stats.dirty_count = r->dirty;
	reading_ends(d);
	*out = true;
	return rc;
}

/* ---- dispatch ---- */

int domctl_shadow(struct domain *d, struct xen_domctl_shadow_op *op, bool *out)
{
	if (d == current_domain())
		return -EINVAL;
	switch (op->op) {
	case XEN_DOMCTL_SHADOW_OP_OFF:
		return off(d);
	case XEN_DOMCTL_SHADOW_OP_ENABLE:
		return op->mode & XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY ? enable(d) : -EINVAL;
	case XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY:
		return enable(d);
	case XEN_DOMCTL_SHADOW_OP_CLEAN:
	case XEN_DOMCTL_SHADOW_OP_PEEK:
		return read_log(d, op, out);
	case XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION:
		if (!shadow_pool(&d->mm))
			return -EINVAL; /* as on a Xen without shadow paging */
		op->mb = (uint32_t)((shadow_pool(&d->mm) + PAGES_PER_MIB - 1) / PAGES_PER_MIB);
		*out = true;
		return 0;
	case XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION:
		/* There are no more tables than pages. */
		return shadow_set_pool(&d->mm, MIN((uint64_t)op->mb * PAGES_PER_MIB, 128 + d->mm.tot_pages));
	default:
		return -EINVAL;
	}
}
