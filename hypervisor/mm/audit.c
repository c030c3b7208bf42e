/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit: every reference counted from scratch.
 *
 *  1. each frame of each domain starts with what its own words say it holds: the domain's reference, a pin, the
 *     reference that an unfinished or releasing table holds, the hypervisor's on a shared frame;
 *  2. every table adds what its entries stand for, the vcpus add their roots, the windows their descriptors;
 *  3. the sums are compared with the counts.
 * It runs with all domains paused, in debug builds and host tests. It changes nothing.
 */
#include "mm/audit.h"
#include "mm/heap.h"
#include "mm/internal.h"
#include "mm/perdomain.h"
#include "mm/ptype.h"

#define AUDIT_WINDOW_VCPUS 128

struct tally {
	uint32_t count, type;
	int32_t linear;
};

struct audit {
	struct tally *tally; /* by frame number */
	unsigned differences;
	bool exact;
};

static void add(struct audit *a, uint64_t mfn, unsigned count, unsigned type)
{
	if (!frame_is_ram(mfn))
		return;
	a->tally[mfn].count += count;
	a->tally[mfn].type += type;
}

static void count_own(struct audit *a, const struct frame *f)
{
	uint64_t mfn = frame_mfn(f).m;
	bool table = type_is_table(type_of(f->type));

	add(a, mfn, (f->count & COUNT_ALLOCATED) ? 1 : 0, 0);
	if (f->flags & FRAME_SHARED)
		add(a, mfn, 1, 1);
	if (f->type & TYPE_PINNED)
		add(a, mfn, 1, 1);
	if (table && (f->type & (TYPE_BUILDING | TYPE_RELEASING)))
		add(a, mfn, 1, 0);
}

/* Of the hypervisor's slots a linear L4 entry must not lead to any. */
static void count_linear(struct audit *a, const struct frame *f, enum ptype level, uint64_t e)
{
	const struct frame *t = frame_at(PTE_MFN(e).m);
	const uint64_t *table = mfn_map(PTE_MFN(e));
	bool bad = e & PTE_RW;

	for (unsigned i = HV_L4_FIRST; i <= HV_L4_LAST; i++)
		bad |= level == PTYPE_L4 && table[i];
	if (bad) {
		a->differences++;
		log_err("audit: linear entry %lx in frame %lx", (unsigned long)e,
		        (unsigned long)frame_mfn(f).m);
	}
	if (t == f)
		return;
	add(a, PTE_MFN(e).m, 1, 1);
	a->tally[frame_mfn(f).m].linear++;
	a->tally[PTE_MFN(e).m].linear--;
}

static void count_entries(struct audit *a, const struct frame *f)
{
	const uint64_t *table = mfn_map(frame_mfn(f));
	enum ptype level = type_of(f->type);
	unsigned end = 0;

	if (!type_is_table(level))
		return;
	if (f->type & TYPE_VALID)
		end = TABLE_ENTRIES;
	else if (f->type & (TYPE_BUILDING | TYPE_RELEASING))
		end = f->progress;
	for (unsigned i = 0; i < end; i++) {
		uint64_t e = table[i];

		if (!(e & PTE_P) || slot_is_hv(level, i) || (level == PTYPE_L1 && (e & PTE_GRANT)))
			continue;
		if (level > PTYPE_L1 && type_entry_is_linear(level, e))
			count_linear(a, f, level, e);
		else
			add(a, PTE_MFN(e).m, 1, level > PTYPE_L1 || (e & PTE_RW));
	}
}

static void count_window(struct audit *a, struct domain_mm *d)
{
	for (unsigned n = 0; n < AUDIT_WINDOW_VCPUS * PERDOMAIN_VCPU_PAGES; n++) {
		mfn_t mfn = perdomain_lookup(d, n / PERDOMAIN_VCPU_PAGES, n % PERDOMAIN_VCPU_PAGES);

		if (!mfn_eq(mfn, INVALID_MFN) && frame_owner(mfn))
			add(a, mfn.m, 1, 1);
	}
}

static void compare(struct audit *a, const struct domain_mm *d, const struct frame *f)
{
	const struct tally *t = &a->tally[frame_mfn(f).m];
	uint64_t count = f->count & COUNT_MASK, type = f->type & TYPE_COUNT;
	bool exact_type = a->exact || type_is_table(type_of(f->type));
	bool bad = f->owner != d || count < t->count || type < t->type || count < type;

	bad |= (a->exact && count != t->count) || (exact_type && type != t->type);
	bad |= (f->type & TYPE_PINNED) && !(f->type & TYPE_VALID);
	bad |= (f->type & TYPE_VALID) && !type;
	bad |= f->linear != t->linear;
	if (!bad)
		return;
	a->differences++;
	log_err("audit: d%u frame %lx: count %lx, counted %x; type word %lx, counted %x; owner d%u", d->domid,
	        (unsigned long)frame_mfn(f).m, (unsigned long)f->count, t->count, (unsigned long)f->type,
	        t->type, f->owner ? f->owner->domid : 0xffff);
}

static void for_each_frame(struct audit *a, struct domain_mm *d,
                           void (*fn)(struct audit *a, const struct frame *f))
{
	struct list *lists[2] = { &d->pages, &d->shared_pages }, *pos;

	for (unsigned i = 0; i < 2; i++)
		list_for_each(pos, lists[i])
			fn(a, list_entry(pos, struct frame, link));
}

static void count_frame(struct audit *a, const struct frame *f)
{
	count_own(a, f);
	count_entries(a, f);
}

static void compare_frame(struct audit *a, const struct frame *f)
{
	compare(a, f->owner, f);
}

int mm_audit(struct domain_mm *const *domains, unsigned domain_count, const struct audit_root *roots,
             unsigned root_count, bool exact)
{
	struct audit a = { .exact = exact };
	unsigned order = 0;
	mfn_t mem;

	while (PAGE_SIZE << order < max_mfn * sizeof(struct tally))
		order++;
	mem = heap_alloc(order, 0);
	if (mfn_eq(mem, INVALID_MFN))
		return -1;
	a.tally = mfn_map_own(mem);
	for (unsigned i = 0; i < root_count; i++)
		for (unsigned j = 0; j < 2; j++)
			add(&a, roots[i].l4[j].m, 1, 1);
	for (unsigned i = 0; i < domain_count; i++) {
		for_each_frame(&a, domains[i], count_frame);
		count_window(&a, domains[i]);
	}
	for (unsigned i = 0; i < domain_count; i++)
		for_each_frame(&a, domains[i], compare_frame);
	heap_free(mem, order);
#ifdef XYLEM_DEBUG
	if (a.differences)
		panic("audit: %u frames with wrong reference counts", a.differences);
#endif
	return (int)a.differences;
}
