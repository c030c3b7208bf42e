/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memory_op: frames come, go and are exchanged; memory maps; frames of shared resources for a toolstack.
 *
 * Extent lists are worked off one extent at a time; how far it came, and how far in an extent that is given back,
 * stands in the upper bits of the command when the call is continued (and in nr_exchanged for an exchange).
 * Source: xen/memory.h. What concerns translated guests only is refused: docs/abi.md lists it.
 */
#include "hypercall/hypercall.h"
#include "dom/domtable.h"
#include "hw/smp.h"
#include "lib/log.h"
#include "lib/string.h"
#include "hw/mem.h"
#include "hw/trace.h"
#include "mm/boot.h"
#include "mm/heap.h"
#include "mm/pagetable.h"
#include "dom/grant.h"
#include <xen/memory.h>

#define MEMOP_EXTENT_SHIFT 6
#define MEMOP_CMD_MASK     ((1u << MEMOP_EXTENT_SHIFT) - 1)
#define PROGRESS_SHIFT     32 /* in the command of a continuation: frames of an extent that are done */
#define FRAMES_SLICE       64 /* between looks at work_pending() */
#define EXTENT_ORDER_MAX   9  /* 2 MiB */
#define CLEAR_ORDER_MAX    6  /* what is cleared in one go */
#define EXTENT_FRAMES_MAX  (1u << EXTENT_ORDER_MAX)
#define RESOURCE_BATCH     32
#define MAP_ENTRIES_MAX    128
#define GPFN_LIMIT         (1ul << (52 - PAGE_SHIFT))

struct e820_entry { /* as the PC's BIOS has it */
	uint64_t addr, size;
	uint32_t type;
} __attribute__((packed));

/* XENMEMF_* as heap flags; -ENOMEM or -EOPNOTSUPP where the wish cannot be met. */
static int alloc_flags(unsigned mem_flags, unsigned *flags)
{
	unsigned bits = mem_flags & 0xff;

	*flags = 0;
	if (mem_flags & XENMEMF_populate_on_demand)
		return -EOPNOTSUPP;
	if (mem_flags & XENMEMF_vnode)
		return -EOPNOTSUPP;
	if (!bits || bits >= 64 || max_mfn <= 1ull << (MAX(bits, 12u) - PAGE_SHIFT))
		return 0;
	if (bits < 32)
		return -ENOMEM;
	*flags = HEAP_LOW;
	return 0;
}

/* ---- reservations ---- */

struct extent_op {
	struct domain *d;
	unsigned cmd, order, flags;
	unsigned frames_done; /* of the extent that a continuation is in the middle of */
	bool have_list;
};

/* A large extent is cleared in parts, before it is taken. Whoever frees memory faster than this clears it, waits. */
static int clear_ahead(const struct domain *d, unsigned order, unsigned flags)
{
	for (unsigned i = 0; i < 2u << order && heap_clear_ahead(&d->mm, order, flags); i += FRAMES_SLICE)
		if (work_pending())
			return -ERESTART_HV;
	return 0;
}

static int extent_populate(const struct extent_op *op, XEN_GUEST_HANDLE(xen_pfn_t) list, uint64_t i)
{
	xen_pfn_t pfn = 0;
	mfn_t mfn;
	int rc = op->order > CLEAR_ORDER_MAX ? clear_ahead(op->d, op->order, op->flags) : 0;

	if (rc)
		return rc;
	if (op->cmd == XENMEM_populate_physmap) {
		if (copy_from_handle(&pfn, list, i, 1))
			return -EFAULT;
		rc = domain_frame_populate(&op->d->mm, op->order, op->flags, pfn, &mfn);
	} else {
		rc = domain_frame_alloc(&op->d->mm, op->order, op->flags, &mfn);
	}
	if (rc)
		return rc;
	pfn = mfn.m;
	return op->have_list ? copy_to_handle(list, i, &pfn, 1) : 0;
}

/* *table: it was a pinned one, which had more to give back than itself. */
static int frame_give_back(struct domain_mm *mm, mfn_t mfn, bool *table)
{
	int rc;

	if (!frame_get(mfn, mm))
		return -EINVAL;
	*table = !pt_unpin(mm, mfn);
	rc = domain_frame_release(mm, mfn);
	if (!rc)
		m2p_set(mfn, M2P_INVALID);
	frame_put(mfn);
	return rc;
}

/* Without a time, as on Xen. */
static void trace_decrease(const struct extent_op *op, uint64_t first)
{
	const uint32_t words[] = { (uint32_t)first, (uint32_t)(first >> 32), op->d->domid | op->order << 16 };

	trace_record(TRC_MEM_DECREASE_RESERVATION, false, words, ARRAY_SIZE(words));
}

static int extent_decrease(struct extent_op *op, XEN_GUEST_HANDLE(xen_pfn_t) list, uint64_t i)
{
	xen_pfn_t first;

	if (copy_from_handle(&first, list, i, 1))
		return -EFAULT;
	if (trace_on() && !op->frames_done)
		trace_decrease(op, first);
	while (op->frames_done < 1u << op->order) {
		bool table;
		int rc = frame_give_back(&op->d->mm, MFN(first + op->frames_done), &table);

		if (rc)
			return rc;
		op->frames_done++;
		if ((table || op->frames_done % FRAMES_SLICE == 0) && op->frames_done < 1u << op->order &&
		    work_pending())
			return -ERESTART_HV;
	}
	op->frames_done = 0;
	return 0;
}

static int64_t reservation_op(struct hc_args *a, unsigned cmd, uint64_t start)
{
	XEN_GUEST_HANDLE(xen_memory_reservation_t) arg = { (void *)(uintptr_t)a->arg[1] };
	struct extent_op op = { .cmd = cmd, .frames_done = (uint32_t)(a->arg[0] >> PROGRESS_SHIFT) };
	struct xen_memory_reservation r;
	uint64_t i;
	int rc;

	if (copy_from_handle(&r, arg, 0, 1))
		return (int64_t)start;
	if (r.nr_extents > UINT32_MAX >> MEMOP_EXTENT_SHIFT || start >= r.nr_extents ||
	    r.extent_order > EXTENT_ORDER_MAX || op.frames_done >> r.extent_order)
		return (int64_t)start;
	op.order = r.extent_order;
	op.have_list = !handle_is_null(r.extent_start);
	if (!op.have_list && cmd != XENMEM_increase_reservation)
		return (int64_t)start;
	if (alloc_flags(r.mem_flags, &op.flags))
		return (int64_t)start;
	if (hc_target_domain(r.domid, &op.d))
		return (int64_t)start;
	rc = pt_drain(&op.d->mm, true);
	for (i = start; !rc && i < r.nr_extents; i++) {
		if (i != start && work_pending()) {
			rc = -ERESTART_HV;
			break;
		}
		rc = cmd == XENMEM_decrease_reservation ? extent_decrease(&op, r.extent_start, i)
		                                        : extent_populate(&op, r.extent_start, i);
		if (rc)
			break;
	}
	domain_put(op.d);
	if (rc == -ERESTART_HV) {
		a->arg[0] = cmd | i << MEMOP_EXTENT_SHIFT | (uint64_t)op.frames_done << PROGRESS_SHIFT;
		return rc;
	}
	return (int64_t)i;
}

/* ---- exchange ---- */

/* One chunk: 2^k extents of one side against one extent of the other. */
struct exchange {
	struct domain *d;
	struct xen_memory_exchange x;
	unsigned order; /* frames of a chunk: the larger extent's */
	unsigned flags;
	uint64_t *taken, *given; /* EXTENT_FRAMES_MAX frames each */
	unsigned taken_count, given_count;
	unsigned cleared; /* small extents */
};

static int chunk_take(struct exchange *e, uint64_t chunk)
{
	unsigned extents = 1u << (e->order - e->x.in.extent_order);

	for (unsigned i = 0; i < extents; i++) {
		xen_pfn_t first;

		if (copy_from_handle(&first, e->x.in.extent_start, chunk * extents + i, 1))
			return -EFAULT;
		for (unsigned j = 0; j < 1u << e->x.in.extent_order; j++) {
			int rc = domain_frame_steal(&e->d->mm, MFN(first + j));

			if (rc)
				return rc;
			e->taken[e->taken_count++] = first + j;
		}
	}
	return 0;
}

/* Has memory for the next extent cleared before locks are taken; a chunk may be 512 small extents. */
static int extent_clear(struct exchange *e)
{
	unsigned order = e->x.out.extent_order;

	if (order > CLEAR_ORDER_MAX)
		return clear_ahead(e->d, order, e->flags);
	if (!heap_clear_ahead(&e->d->mm, order, e->flags))
		return 0;
	e->cleared += 1u << order;
	if (e->cleared < FRAMES_SLICE)
		return 0;
	e->cleared = 0;
	return work_pending() ? -ERESTART_HV : 0;
}

static int chunk_alloc(struct exchange *e)
{
	unsigned extents = 1u << (e->order - e->x.out.extent_order);

	for (unsigned i = 0; i < extents; i++) {
		int rc = extent_clear(e);
		mfn_t mfn = rc ? INVALID_MFN : heap_alloc_for(&e->d->mm, e->x.out.extent_order, e->flags);

		if (rc)
			return rc;

		if (mfn_eq(mfn, INVALID_MFN))
			return -ENOMEM;
		e->given[e->given_count++] = mfn.m;
	}
	return 0;
}

/* The old frames go, the new ones come, in as much room. Frame numbers that cannot be reported to the guest are the
 * guest's loss. */
static int chunk_give(struct exchange *e, uint64_t chunk)
{
	unsigned extents = 1u << (e->order - e->x.out.extent_order);
	int rc = 0;

	for (unsigned i = 0; i < e->taken_count; i++) {
		m2p_set(MFN(e->taken[i]), M2P_INVALID);
		heap_free(MFN(e->taken[i]), 0);
	}
	for (unsigned i = 0; i < extents; i++) {
		xen_pfn_t pfn, mfn = e->given[i];

		if (copy_from_handle(&pfn, e->x.out.extent_start, chunk * extents + i, 1))
			rc = -EFAULT;
		for (unsigned j = 0; j < 1u << e->x.out.extent_order; j++) {
			m2p_set(MFN(mfn + j), rc ? M2P_INVALID : pfn + j);
			domain_frame_return(&e->d->mm, MFN(mfn + j));
		}
		if (!rc && copy_to_handle(e->x.out.extent_start, chunk * extents + i, &mfn, 1))
			rc = -EFAULT;
	}
	return rc;
}

static int exchange_chunk(struct exchange *e, uint64_t chunk)
{
	int rc;

	e->taken_count = e->given_count = 0;
	rc = chunk_alloc(e);
	if (!rc)
		rc = chunk_take(e, chunk);
	if (!rc)
		return chunk_give(e, chunk);
	/* Clear as they are: an exchange that is preempted finds them so again. */
	for (unsigned i = 0; i < e->given_count; i++)
		heap_free_clear(MFN(e->given[i]), e->x.out.extent_order);
	for (unsigned i = 0; i < e->taken_count; i++)
		domain_frame_return(&e->d->mm, MFN(e->taken[i]));
	return rc;
}

static int exchange_check(struct exchange *e)
{
	const struct xen_memory_exchange *x = &e->x;
	unsigned in = x->in.extent_order, out = x->out.extent_order;

	if (in > EXTENT_ORDER_MAX || out > EXTENT_ORDER_MAX)
		return -EPERM;
	e->order = MAX(in, out);
	if (x->in.nr_extents > UINT32_MAX >> MEMOP_EXTENT_SHIFT ||
	    x->out.nr_extents > UINT32_MAX >> MEMOP_EXTENT_SHIFT ||
	    (uint64_t)x->in.nr_extents << in != (uint64_t)x->out.nr_extents << out ||
	    x->in.domid != x->out.domid || x->in.nr_extents & ((1u << (e->order - in)) - 1) ||
	    x->nr_exchanged > x->in.nr_extents)
		return -EINVAL;
	e->x.nr_exchanged &= ~((1ul << (e->order - in)) - 1); /* whole chunks */
	return alloc_flags(x->out.mem_flags, &e->flags);
}

static int64_t memory_exchange(struct hc_args *a)
{
	XEN_GUEST_HANDLE(xen_memory_exchange_t) arg = { (void *)(uintptr_t)a->arg[1] };
	struct exchange e = { .d = NULL };
	unsigned in_shift;
	int rc;

	if (copy_from_handle(&e.x, arg, 0, 1))
		return -EFAULT;
	rc = exchange_check(&e);
	if (!rc)
		rc = hc_target_domain(e.x.in.domid, &e.d);
	if (rc)
		return rc;
	e.taken = hv_alloc(EXTENT_FRAMES_MAX * sizeof(*e.taken));
	e.given = hv_alloc(EXTENT_FRAMES_MAX * sizeof(*e.given));
	rc = e.taken && e.given ? 0 : -ENOMEM;
	in_shift = e.order - e.x.in.extent_order;
	for (bool first = true; !rc && e.x.nr_exchanged < e.x.in.nr_extents; first = false) {
		if (!first && work_pending()) {
			rc = -ERESTART_HV;
			break;
		}
		rc = exchange_chunk(&e, e.x.nr_exchanged >> in_shift);
		if (!rc)
			e.x.nr_exchanged += 1ull << in_shift;
	}
	hv_free(e.taken);
	hv_free(e.given);
	domain_put(e.d);
	if (guest_copy_out(GVA(a->arg[1] + offsetof(struct xen_memory_exchange, nr_exchanged)),
	                   &e.x.nr_exchanged, sizeof(e.x.nr_exchanged)))
		return -EFAULT;
	return rc;
}

/* ---- memory maps and tables ---- */

static int map_entry_out(const struct xen_memory_map *m, unsigned i, const struct e820_entry *e)
{
	gva_t to = GVA((uintptr_t)m->buffer.p + i * sizeof(*e));

	return guest_copy_out(to, e, sizeof(*e)) ? -EFAULT : 0;
}

/* The dom0's tools may replace the map while the guest reads it; a guest that asks then may see parts of both. */
static bool map_region(struct domain_mm *mm, unsigned i, struct memory_region *r)
{
	bool found;

	spin_lock(&mm->lock);
	found = i < mm->map_count;
	if (found)
		*r = mm->map[i];
	spin_unlock(&mm->lock);
	return found;
}

static int64_t memory_map_op(struct hc_args *a, bool machine)
{
	XEN_GUEST_HANDLE(xen_memory_map_t) arg = { (void *)(uintptr_t)a->arg[1] };
	struct domain_mm *mm = &current_domain()->mm;
	unsigned count = machine ? memory_map_count : READ_ONCE(mm->map_count), i;
	struct memory_region r;
	struct xen_memory_map m;
	int rc = 0;

	if (machine && !current_domain()->privileged)
		return -EPERM;
	if (copy_from_handle(&m, arg, 0, 1))
		return -EFAULT;
	if (!machine && !count)
		return -ENOSYS;
	if (!machine)
		count = MIN(count, m.nr_entries);
	if (m.nr_entries < count)
		return -EINVAL;
	for (i = 0; i < count && !rc; i++) {
		struct e820_entry e;

		if (machine)
			r = memory_map[i];
		else if (!map_region(mm, i, &r))
			break;
		e = (struct e820_entry){ .addr = r.start, .size = r.end - r.start, .type = r.type };
		rc = map_entry_out(&m, i, &e);
	}
	m.nr_entries = i;
	if (!rc)
		rc = copy_to_handle(arg, 0, &m, 1);
	return rc;
}

/* XENMEM_set_memory_map: what the domain's XENMEM_memory_map answers. */
static int64_t set_memory_map(struct hc_args *a)
{
	XEN_GUEST_HANDLE(xen_foreign_memory_map_t) arg = { (void *)(uintptr_t)a->arg[1] };
	struct xen_foreign_memory_map f;
	struct memory_region *map, *old;
	struct e820_entry e;
	struct domain *d;
	int rc;

	if (copy_from_handle(&f, arg, 0, 1))
		return -EFAULT;
	if (f.map.nr_entries > MAP_ENTRIES_MAX)
		return -EINVAL;
	if (!current_domain()->privileged)
		return -EPERM;
	rc = hc_target_domain(f.domid, &d);
	if (rc)
		return rc;
	map = hv_alloc(MAX(f.map.nr_entries, 1u) * sizeof(*map));
	rc = map ? 0 : -ENOMEM;
	for (unsigned i = 0; !rc && i < f.map.nr_entries; i++) {
		if (guest_copy_in(&e, GVA((uintptr_t)f.map.buffer.p + i * sizeof(e)), sizeof(e)))
			rc = -EFAULT;
		else if (e.addr + e.size < e.addr)
			rc = -EINVAL;
		else
			map[i] = (struct memory_region){ .start = e.addr,
				                         .end = e.addr + e.size,
				                         .type = e.type };
	}
	if (!rc) {
		spin_lock(&d->mm.lock);
		old = d->mm.map;
		d->mm.map = map;
		WRITE_ONCE(d->mm.map_count, f.map.nr_entries);
		spin_unlock(&d->mm.lock);
		map = old;
	}
	hv_free(map);
	domain_put(d);
	return rc;
}

static int64_t machphys_list(struct hc_args *a, uint64_t start)
{
	XEN_GUEST_HANDLE(xen_machphys_mfn_list_t) arg = { (void *)(uintptr_t)a->arg[1] };
	struct xen_machphys_mfn_list l;
	xen_pfn_t last = 0; /* a hole repeats the extent before it */
	unsigned count, i;

	if (copy_from_handle(&l, arg, 0, 1))
		return -EFAULT;
	count = MIN(l.max_extents, m2p_extent_count());
	start = MIN(start, count);
	if (start && copy_from_handle(&last, l.extent_start, start - 1, 1))
		return -EFAULT;
	for (i = (unsigned)start; i < count; i++) {
		mfn_t mfn = m2p_extent(i);

		if (!mfn_eq(mfn, INVALID_MFN))
			last = mfn.m;
		if (copy_to_handle(l.extent_start, i, &last, 1))
			return -EFAULT;
		if ((i + 1) % FRAMES_SLICE == 0 && i + 1 < count && work_pending()) {
			a->arg[0] = XENMEM_machphys_mfn_list | (uint64_t)(i + 1) << MEMOP_EXTENT_SHIFT;
			return -ERESTART_HV;
		}
	}
	l.nr_extents = count;
	return copy_to_handle(arg, 0, &l, 1);
}

static int64_t machphys_mapping(struct hc_args *a)
{
	struct xen_machphys_mapping m = {
		.v_start = MACH2PHYS_VIRT_START,
		.v_end = MACH2PHYS_VIRT_END,
		.max_mfn = max_mfn - 1,
	};

	return guest_copy_out(GVA(a->arg[1]), &m, sizeof(m)) ? -EFAULT : 0;
}

/* ---- numbers of a domain ---- */

static int64_t domain_number(struct hc_args *a, unsigned cmd)
{
	struct domain *d;
	int64_t result;
	domid_t domid;

	if (guest_copy_in(&domid, GVA(a->arg[1]), sizeof(domid)))
		return -EFAULT;
	result = hc_target_domain(domid, &d);
	if (result)
		return result;
	if (cmd == XENMEM_current_reservation)
		result = (int64_t)READ_ONCE(d->mm.tot_pages);
	else if (cmd == XENMEM_maximum_reservation)
		result = (int64_t)READ_ONCE(d->mm.max_pages);
	else /* The guest writes it, and must not make it look like an error or a preemption. */
		result = (int64_t)MIN(MAX(READ_ONCE(d->shared_info->arch.max_pfn), 1ul), GPFN_LIMIT) - 1;
	domain_put(d);
	return result;
}

/* Of a domain by its number, SELF is none. */
static int64_t claim_pages(struct hc_args *a)
{
	XEN_GUEST_HANDLE(xen_memory_reservation_t) arg = { (void *)(uintptr_t)a->arg[1] };
	struct xen_memory_reservation r;
	struct domain *d;
	int rc;

	if (!current_domain()->privileged)
		return -EPERM;
	if (copy_from_handle(&r, arg, 0, 1))
		return -EFAULT;
	if (!handle_is_null(r.extent_start) || r.extent_order || r.mem_flags)
		return -EINVAL;
	d = domain_get(r.domid);
	if (!d)
		return -EINVAL;
	rc = heap_claim(&d->mm, r.nr_extents);
	domain_put(d);
	return rc;
}

/* What concerns translated domains only, or what no paravirtual one has: err, if the domain is there. */
static int64_t not_for_pv(struct hc_args *a, size_t size, size_t domid_at, int err)
{
	char arg[64];
	struct domain *d;
	domid_t domid;
	int rc;

	if (guest_copy_in(arg, GVA(a->arg[1]), size))
		return -EFAULT;
	memcpy(&domid, arg + domid_at, sizeof(domid));
	rc = hc_target_domain(domid, &d);
	if (rc)
		return rc;
	domain_put(d);
	return err;
}

/* ---- XENMEM_acquire_resource: the frames of another domain's grant table ---- */

/* Frames [first, first + count) into the guest's list; those of a batch are told together or not at all. */
static int resource_frames(struct domain *d, const struct xen_mem_acquire_resource *r, uint32_t *done)
{
	xen_pfn_t frames[RESOURCE_BATCH];

	while (*done < r->nr_frames) {
		uint32_t n = MIN(r->nr_frames - *done, (uint32_t)RESOURCE_BATCH);

		for (uint32_t i = 0; i < n; i++) {
			uint64_t index = r->frame + *done + i;
			mfn_t mfn;
			int rc = index > UINT32_MAX ? -EINVAL : grant_table_frame(d, (unsigned)index, &mfn);

			if (rc)
				return rc;
			frames[i] = mfn.m;
		}
		if (copy_to_handle(r->frame_list, *done, frames, n))
			return -EFAULT;
		*done += n;
		if (*done < r->nr_frames && work_pending())
			return -ERESTART_HV;
	}
	return 0;
}

/* The checks in Xen's order: a toolstack that asks for its own frames hears -EPERM by number and -ESRCH as SELF. */
static int64_t acquire_resource(struct hc_args *a, uint64_t start)
{
	XEN_GUEST_HANDLE(xen_mem_acquire_resource_t) arg = { (void *)(uintptr_t)a->arg[1] };
	struct xen_mem_acquire_resource r;
	struct domain *d;
	uint32_t done = (uint32_t)start;
	int rc;

	if (copy_from_handle(&r, arg, 0, 1))
		return -EFAULT;
	if (r.pad || r.frame > UINT32_MAX || r.frame + r.nr_frames > UINT32_MAX)
		return -EINVAL;
	d = domain_get(r.domid);
	if (!d)
		return -ESRCH;
	if (d == current_domain() || !current_domain()->privileged)
		rc = -EPERM;
	else if (r.type == XENMEM_resource_ioreq_server || r.type == XENMEM_resource_vmtrace_buf)
		rc = -EINVAL; /* of hardware-virtualised domains */
	else if (r.type != XENMEM_resource_grant_table)
		rc = -EOPNOTSUPP;
	else if (r.id != XENMEM_resource_grant_table_id_shared)
		rc = -EINVAL;
	else if (!handle_is_null(r.frame_list))
		rc = start >= r.nr_frames || r.nr_frames > UINT32_MAX >> MEMOP_EXTENT_SHIFT
		             ? -EINVAL
		             : resource_frames(d, &r, &done);
	else if (r.nr_frames || start)
		rc = -EINVAL;
	else {
		r.nr_frames = grant_table_frames_max(d);
		rc = guest_copy_out(GVA(a->arg[1] + offsetof(struct xen_mem_acquire_resource, nr_frames)),
		                    &r.nr_frames, sizeof(r.nr_frames))
		             ? -EFAULT
		             : 0;
	}
	domain_put(d);
	if (rc == -ERESTART_HV)
		a->arg[0] = XENMEM_acquire_resource | (uint64_t)done << MEMOP_EXTENT_SHIFT;
	return rc;
}

int64_t hc_memory_op(struct hc_args *a)
{
	unsigned cmd = a->arg[0] & MEMOP_CMD_MASK;
	uint64_t start = (uint32_t)a->arg[0] >> MEMOP_EXTENT_SHIFT;

	switch (cmd) {
	case XENMEM_increase_reservation:
	case XENMEM_decrease_reservation:
	case XENMEM_populate_physmap:
		return reservation_op(a, cmd, start);
	case XENMEM_machphys_mfn_list:
		return machphys_list(a, start);
	case XENMEM_acquire_resource:
		return acquire_resource(a, start);
	case XENMEM_add_to_physmap: /* a paravirtual guest keeps its own physical-to-machine map */
		return not_for_pv(a, sizeof(struct xen_add_to_physmap), 0, -EACCES);
	case XENMEM_add_to_physmap_batch:
		return not_for_pv(a, sizeof(struct xen_add_to_physmap_batch), 0, -EACCES);
	case XENMEM_remove_from_physmap:
		return not_for_pv(a, sizeof(struct xen_remove_from_physmap), 0, -EACCES);
	case XENMEM_get_vnumainfo: /* libxl takes this number for "none", and another one for a failure */
		return not_for_pv(a, sizeof(struct xen_vnuma_topology_info), 0, -EOPNOTSUPP);
	case XENMEM_set_pod_target:
	case XENMEM_get_pod_target:
		return not_for_pv(a, sizeof(struct xen_pod_target), offsetof(struct xen_pod_target, domid),
		                  -EINVAL);
	}
	if (start) /* nothing else is continued */
		return -EINVAL;
	switch (cmd) {
	case XENMEM_exchange:
		return memory_exchange(a);
	case XENMEM_maximum_ram_page:
		return (int64_t)max_mfn - 1;
	case XENMEM_current_reservation:
	case XENMEM_maximum_reservation:
	case XENMEM_maximum_gpfn:
		return domain_number(a, cmd);
	case XENMEM_machphys_mapping:
		return machphys_mapping(a);
	case XENMEM_memory_map:
	case XENMEM_machine_memory_map:
		return memory_map_op(a, cmd == XENMEM_machine_memory_map);
	case XENMEM_set_memory_map:
		return set_memory_map(a);
	case XENMEM_claim_pages:
		return claim_pages(a);
	case XENMEM_get_sharing_freed_pages:
	case XENMEM_get_sharing_shared_pages:
		return 0;
	default:
		return -ENOSYS;
	}
}
