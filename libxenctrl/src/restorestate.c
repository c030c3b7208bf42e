/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a restored domain has beside its memory: start info, shared info, clock, vcpus, grants of console and store. Its page
 * tables are pinned by now. Source: xen/xen.h (start_info, shared_info, vcpu_guest_context), xen/domctl.h.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "restore.h"

#define GDT_ENTRIES_MAX (14u * 512)

_Static_assert(sizeof(struct shared_info) <= XYL_PAGE_BYTES, "it is a page");

/* What the guest finds in its start info when it wakes: the new domain's ports and frames. */
static int fill_start_info(struct restore *r, struct start_info *info, struct xyl_pv_restored *out)
{
	out->store_mfn = restore_normal_mfn(r, info->store_mfn, "its store's page");
	if (out->store_mfn == XYL_PAGE_NONE)
		return -1;
	out->console_mfn = restore_normal_mfn(r, info->console.domU.mfn, "its console's page");
	if (out->console_mfn == XYL_PAGE_NONE)
		return -1;
	info->nr_pages = r->pfn_count; /* as Xen's own tools do */
	info->shared_info = r->shared_info_mfn * XYL_PAGE_BYTES;
	info->flags = 0;
	info->store_mfn = out->store_mfn;
	info->store_evtchn = r->how->store_port;
	info->console.domU.mfn = out->console_mfn;
	info->console.domU.evtchn = r->how->console_port;
	return 0;
}

static int write_start_info(struct restore *r, vcpu_guest_context_t *c, struct xyl_pv_restored *out)
{
	uint64_t mfn = restore_normal_mfn(r, c->user_regs.rdx, "the start info");
	struct start_info *info;
	int rc;

	if (mfn == XYL_PAGE_NONE)
		return -1;
	info = xyl_foreign_map(r->x, r->domid, PROT_READ | PROT_WRITE, &mfn, 1, NULL);
	if (!info)
		return stream_because(&r->s);
	rc = fill_start_info(r, info, out);
	if (xyl_foreign_unmap(r->x, info, 1) < 0)
		return -1;
	c->user_regs.rdx = mfn;
	return rc;
}

/*
 * The guest's event channels are gone: nothing is pending, all is masked until it has bound them anew. Where its table of
 * frames lies was said in frames of the old domain; it says that anew when it wakes.
 */
static int write_shared_info(struct restore *r)
{
	struct shared_info *new =
	        xyl_foreign_map(r->x, r->domid, PROT_READ | PROT_WRITE, &r->shared_info_mfn, 1, NULL);

	if (!new)
		return stream_because(&r->s);
	memcpy(new->vcpu_info, r->shared->vcpu_info, sizeof(new->vcpu_info));
	memcpy(&new->arch, &r->shared->arch, sizeof(new->arch));
	new->arch.pfn_to_mfn_frame_list_list = 0;
	new->arch.p2m_cr3 = 0;
	for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
		new->vcpu_info[i].evtchn_pending_sel = 0;
	memset(new->evtchn_pending, 0, sizeof(new->evtchn_pending));
	memset(new->evtchn_mask, 0xff, sizeof(new->evtchn_mask));
	return xyl_foreign_unmap(r->x, new, 1);
}

static int set_tsc(struct restore *r)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_settscinfo, .domain = (domid_t)r->domid };

	if (!stream_seen(&r->order, STREAM_X86_TSC_INFO))
		return 0;
	op.u.tsc_info.tsc_mode = r->tsc.mode;
	op.u.tsc_info.gtsc_khz = r->tsc.khz;
	op.u.tsc_info.elapsed_nsec = r->tsc.elapsed_ns;
	op.u.tsc_info.incarnation = r->tsc.incarnation;
	return xyl_domctl(r->x, &op, "set its clock's mode") < 0 ? stream_because(&r->s) : 0;
}

/* A control register that names an L4: its pfn becomes a frame. */
static int root_to_mfn(struct restore *r, uint32_t vcpu, uint64_t *cr)
{
	uint64_t pfn = *cr >> STREAM_PAGE_SHIFT;
	const struct restore_page *page = restore_page(r, pfn);

	if (!page || (page->type & ~STREAM_PAGE_PINNED) != STREAM_PAGE_L4)
		return stream_bad(&r->s, "the page table of vcpu %u lies in pfn %#llx, which is no L4", vcpu,
		                  (unsigned long long)pfn);
	*cr = page->mfn << STREAM_PAGE_SHIFT;
	return 0;
}

static int context_to_mfns(struct restore *r, uint32_t vcpu, vcpu_guest_context_t *c)
{
	if (c->gdt_ents > GDT_ENTRIES_MAX)
		return stream_bad(&r->s, "vcpu %u has %llu GDT entries; %u can be", vcpu,
		                  (unsigned long long)c->gdt_ents, GDT_ENTRIES_MAX);
	for (unsigned i = 0; i < (c->gdt_ents + 511) / 512; i++) {
		c->gdt_frames[i] = restore_normal_mfn(r, c->gdt_frames[i], "a GDT");
		if (c->gdt_frames[i] == XYL_PAGE_NONE)
			return -1;
	}
	if (root_to_mfn(r, vcpu, &c->ctrlreg[3]) < 0)
		return -1;
	/* bit 0 says that there is one; the register itself has none */
	if (!(c->ctrlreg[1] & 1))
		c->ctrlreg[1] = 0;
	else if (root_to_mfn(r, vcpu, &c->ctrlreg[1]) < 0)
		return -1;
	c->flags |= VGCF_online;
	return 0;
}

static int set_vcpu(struct restore *r, uint32_t vcpu, struct xyl_pv_restored *out)
{
	const struct blob *pieces = r->vcpus[vcpu].pieces;
	vcpu_guest_context_t *c = pieces[RESTORE_BASIC].data;

	if (!c) {
		if (vcpu == 0)
			return stream_bad(&r->s, "it has no record X86_PV_VCPU_BASIC for vcpu 0");
		for (unsigned i = 0; i < RESTORE_PIECES; i++)
			if (pieces[i].data)
				return stream_bad(&r->s,
				                  "it has state of vcpu %u, but no record X86_PV_VCPU_BASIC",
				                  vcpu);
		return 0;
	}
	if (vcpu == 0 && write_start_info(r, c, out) < 0)
		return -1;
	if (context_to_mfns(r, vcpu, c) < 0)
		return -1;
	if (xyl_vcpu_set_context(r->x, r->domid, vcpu, c) < 0)
		return stream_because(&r->s);
	if (pieces[RESTORE_EXTENDED].data &&
	    vcpustate_set_extended(r->x, r->domid, vcpu, &pieces[RESTORE_EXTENDED]) < 0)
		return stream_because(&r->s);
	if (pieces[RESTORE_XSAVE].data &&
	    vcpustate_set_xsave(r->x, r->domid, vcpu, &pieces[RESTORE_XSAVE]) < 0)
		return stream_because(&r->s);
	if (pieces[RESTORE_MSRS].data && vcpustate_set_msrs(r->x, r->domid, vcpu, &pieces[RESTORE_MSRS]) < 0)
		return stream_because(&r->s);
	return 0;
}

int restore_finish_state(struct restore *r, struct xyl_pv_restored *out)
{
	if (set_tsc(r) < 0 || write_shared_info(r) < 0)
		return -1;
	for (uint32_t i = 0; i < r->vcpu_count; i++)
		if (set_vcpu(r, i, out) < 0)
			return -1;
	if (xyl_grant_seed(r->x, r->domid, out->console_mfn, r->how->console_domid, out->store_mfn,
	                   r->how->store_domid) < 0)
		return stream_because(&r->s);
	out->pages = r->frame_count;
	return 0;
}
