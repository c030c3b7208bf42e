/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading a PV guest's table of frames, in steps:
 *	1. find the pages that hold it (leaves): through page tables, or through the older tree of frame lists
 *	2. cut off the end where the guest repeats one table for "nothing here": Linux has room for half a TiB
 *	3. copy what the leaves say of frames that exist, and hash it to find the pfn of a frame
 * Frame numbers that the guest gives are only mapped as frames of this very domain, which the hypervisor checks.
 * Source: struct arch_shared_info of xen/arch-x86/xen.h.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "guestp2m.h"

#define ENTRIES      512u /* of 8 bytes in a page */
#define ENTRY_BITS   9
#define LEVELS       4
#define TREE_SPAN    ((uint64_t)ENTRIES * ENTRIES) /* pfns below one entry of the tree's root */
#define MFN_BITS     40
#define PTE_PRESENT  1u
#define PTE_LARGE    0x80u
#define PTE_FRAME(p) ((p) >> 12 & ((UINT64_C(1) << MFN_BITS) - 1))
#define VA_BITS      48
#define XEN_SLOT     256u /* L4 entries that are the hypervisor's */
#define XEN_SLOTS    16u
#define SLACK        65536u /* entries more than pages that are taken as a mistake, not as an attack */

/* A list of frames; the next level of a walk. */
struct frames {
	uint64_t *mfns;
	uint64_t count;
};

static int bad(uint32_t domid, const char *why, uint64_t value)
{
	return xyl_fail_text(EINVAL, "domain %u: its table of frames (p2m) is unusable: %s (%#llx)", domid,
	                     why, (unsigned long long)value);
}

static int frames_alloc(uint32_t domid, struct frames *f, uint64_t count)
{
	f->count = count;
	f->mfns = calloc(count, sizeof(*f->mfns));
	return f->mfns ? 0 : xyl_fail(ENOMEM, "domain %u: cannot read its table of frames", domid);
}

/* Copies word first.. of the pages in from, seen as one array. */
static int copy_words(struct xyl *x, uint32_t domid, const struct frames *from, uint64_t first, uint64_t *out,
                      uint64_t count)
{
	uint64_t done = 0;

	while (done < count) {
		uint64_t page = (first + done) / ENTRIES, offset = (first + done) % ENTRIES;
		uint64_t pages = (offset + count - done + ENTRIES - 1) / ENTRIES, n;
		uint64_t *window;

		pages = pages < XYL_BATCH ? pages : XYL_BATCH;
		if (page + pages > from->count)
			return bad(domid, "it is shorter than it says", first + count);
		n = pages * ENTRIES - offset;
		n = n < count - done ? n : count - done;
		window = xyl_foreign_map(x, domid, PROT_READ, from->mfns + page, pages, NULL);
		if (!window)
			return -1;
		memcpy(out + done, window + offset, n * sizeof(*out));
		if (xyl_foreign_unmap(x, window, pages) < 0)
			return -1;
		done += n;
	}
	return 0;
}

/* How many entries remain when a run of equal ones at the end is cut off: all of it, or all but the first of it. */
static uint64_t without_tail(const uint64_t *entries, uint64_t count, bool keep_first)
{
	uint64_t n = count;

	while (n > 1 && entries[n - 2] == entries[count - 1])
		n--;
	if (n == count || keep_first)
		return n;
	return n - 1;
}

/*
 * One level of page tables: from holds the tables, which cover entries first..last of this level (numbered from address 0
 * on); out becomes what these point to.
 */
static int walk_level(struct xyl *x, uint32_t domid, const struct frames *from, uint64_t first, uint64_t last,
                      struct frames *out)
{
	if (frames_alloc(domid, out, last - first + 1) < 0 ||
	    copy_words(x, domid, from, first % ENTRIES, out->mfns, out->count) < 0)
		return -1;
	for (uint64_t i = 0; i < out->count; i++) {
		uint64_t entry = out->mfns[i];

		if (!(entry & PTE_PRESENT) || entry & PTE_LARGE)
			return bad(domid, "its address is not mapped page by page", entry);
		out->mfns[i] = PTE_FRAME(entry);
	}
	return 0;
}

/* The list at arch.p2m_vaddr. */
static int leaves_of_list(struct xyl *x, uint32_t domid, const struct arch_shared_info *a, struct guestp2m *p,
                          struct frames *leaves)
{
	uint64_t va = a->p2m_vaddr & ((UINT64_C(1) << VA_BITS) - 1);
	uint64_t bytes = (p->pfn_count + ENTRIES - 1) / ENTRIES * XYL_PAGE_BYTES;
	uint64_t root = PTE_FRAME(a->p2m_cr3), slot = va >> (VA_BITS - ENTRY_BITS);
	struct frames now = { &root, 1 }, next = { NULL, 0 };
	int rc = 0;

	if (va % XYL_PAGE_BYTES || (uint64_t)((int64_t)(a->p2m_vaddr << 16) >> 16) != a->p2m_vaddr ||
	    bytes > (UINT64_C(1) << VA_BITS) - va ||
	    (slot < XEN_SLOT + XEN_SLOTS && (va + bytes - 1) >> (VA_BITS - ENTRY_BITS) >= XEN_SLOT))
		return bad(domid, "its address cannot be", a->p2m_vaddr);
	for (unsigned level = LEVELS; level && rc == 0; level--) {
		unsigned shift = 12 + ENTRY_BITS * (level - 1);

		rc = walk_level(x, domid, &now, va >> shift, (va + bytes - 1) >> shift, &next);
		if (rc == 0 && level == 2) {
			uint64_t kept = without_tail(next.mfns, next.count, false);
			uint64_t end = ((va >> shift) + kept) << shift;

			next.count = kept;
			if (end < va + bytes)
				bytes = end - va;
		}
		if (now.mfns != &root)
			free(now.mfns);
		now = next;
		next = (struct frames){ NULL, 0 };
	}
	if (rc < 0) {
		free(now.mfns);
		return -1;
	}
	*leaves = now;
	if (bytes / sizeof(uint64_t) < p->pfn_count)
		p->pfn_count = bytes / sizeof(uint64_t);
	return 0;
}

/* The tree: a page of frames of pages of frames of leaves. */
static int leaves_of_tree(struct xyl *x, uint32_t domid, const struct arch_shared_info *a, struct guestp2m *p,
                          struct frames *leaves)
{
	uint64_t root = a->pfn_to_mfn_frame_list_list;
	struct frames top = { &root, 1 }, middle;
	int rc = -1;

	if (!root || root == UINT64_MAX)
		return bad(domid, "the guest has not set one up", root);
	if (p->pfn_count > TREE_SPAN * ENTRIES)
		return bad(domid, "it is too large for a tree", p->pfn_count);
	if (frames_alloc(domid, &middle, (p->pfn_count + TREE_SPAN - 1) / TREE_SPAN) < 0)
		return -1;
	if (copy_words(x, domid, &top, 0, middle.mfns, middle.count) == 0) {
		middle.count = without_tail(middle.mfns, middle.count, true);
		if (p->pfn_count > middle.count * TREE_SPAN)
			p->pfn_count = middle.count * TREE_SPAN;
		rc = frames_alloc(domid, leaves, (p->pfn_count + ENTRIES - 1) / ENTRIES);
		if (rc == 0 && copy_words(x, domid, &middle, 0, leaves->mfns, leaves->count) < 0) {
			free(leaves->mfns);
			rc = -1;
		}
	}
	free(middle.mfns);
	return rc;
}

/* Takes over one leaf's entries. */
static int take_leaf(uint32_t domid, struct guestp2m *p, const uint64_t *entries, uint64_t first,
                     uint64_t limit)
{
	for (uint64_t i = 0; i < ENTRIES && first + i < p->pfn_count; i++) {
		uint64_t mfn = entries[i];

		/* Missing, foreign and identity entries have high bits; frame 0 is nobody's. */
		if (mfn >> MFN_BITS || !mfn)
			continue;
		if (p->used_count == limit)
			return bad(domid, "it names more frames than the domain has", limit);
		p->frames[first + i] = mfn + 1;
		p->used_count++;
	}
	return 0;
}

static int take_leaves(struct xyl *x, uint32_t domid, struct guestp2m *p, uint64_t limit)
{
	uint64_t before = XYL_PAGE_NONE;

	for (uint64_t at = 0; at < p->leaf_count; at += XYL_BATCH) {
		uint64_t n = p->leaf_count - at < XYL_BATCH ? p->leaf_count - at : XYL_BATCH;
		uint64_t *window = xyl_foreign_map(x, domid, PROT_READ, p->leaves + at, n, NULL);
		int rc = 0;

		if (!window)
			return -1;
		for (uint64_t i = 0; i < n && rc == 0; i++) {
			/* a page that is repeated stands for "nothing here", and is looked at once */
			if (p->leaves[at + i] != before)
				rc = take_leaf(domid, p, window + i * ENTRIES, (at + i) * ENTRIES, limit);
			before = p->leaves[at + i];
		}
		if (xyl_foreign_unmap(x, window, n) < 0 || rc < 0)
			return -1;
	}
	return 0;
}

static uint64_t slot_of(const struct guestp2m *p, uint64_t mfn)
{
	return (mfn * p->factor) >> (64 - p->slot_bits);
}

static int hash(uint32_t domid, struct guestp2m *p)
{
	uint64_t mask;

	if (getrandom(&p->factor, sizeof(p->factor), GRND_NONBLOCK) != sizeof(p->factor))
		p->factor = UINT64_C(0x9e3779b97f4a7c15);
	p->factor |= 1;
	p->slot_bits = 4;
	while (UINT64_C(1) << p->slot_bits < 2 * p->used_count)
		p->slot_bits++;
	mask = (UINT64_C(1) << p->slot_bits) - 1;
	p->slots = calloc(mask + 1, sizeof(*p->slots));
	if (!p->slots)
		return xyl_fail(ENOMEM, "domain %u: cannot read its table of frames", domid);
	for (uint64_t pfn = 0; pfn < p->pfn_count; pfn++) {
		uint64_t slot;

		if (!p->frames[pfn])
			continue;
		slot = slot_of(p, p->frames[pfn] - 1);
		while (p->slots[slot] && p->frames[p->slots[slot] - 1] != p->frames[pfn])
			slot = (slot + 1) & mask;
		if (!p->slots[slot])
			p->slots[slot] = (uint32_t)pfn + 1;
	}
	return 0;
}

int guestp2m_read(struct xyl *x, uint32_t domid, const struct shared_info *info, uint64_t memory_pages,
                  struct guestp2m *p)
{
	struct arch_shared_info a = info->arch; /* once: the guest could change it */
	struct frames leaves = { NULL, 0 };
	int rc;

	memset(p, 0, sizeof(*p));
	p->pfn_count = a.max_pfn;
	if (!p->pfn_count || p->pfn_count > GUESTP2M_PFNS_MAX)
		return bad(domid, "its size cannot be", p->pfn_count);
	rc = a.p2m_cr3 ? leaves_of_list(x, domid, &a, p, &leaves) : leaves_of_tree(x, domid, &a, p, &leaves);
	if (rc < 0)
		return -1;
	p->leaves = leaves.mfns;
	p->leaf_count = leaves.count;
	p->frames = calloc(p->pfn_count, sizeof(*p->frames));
	if (!p->frames)
		rc = xyl_fail(ENOMEM, "domain %u: cannot read its table of frames", domid);
	if (rc == 0)
		rc = take_leaves(x, domid, p, memory_pages + SLACK);
	if (rc == 0)
		rc = hash(domid, p);
	if (rc < 0)
		guestp2m_free(p);
	return rc;
}

void guestp2m_free(struct guestp2m *p)
{
	int saved = errno;

	free(p->leaves);
	free(p->frames);
	free(p->slots);
	memset(p, 0, sizeof(*p));
	errno = saved;
}

uint64_t guestp2m_mfn(const struct guestp2m *p, uint64_t pfn)
{
	return pfn < p->pfn_count && p->frames[pfn] ? p->frames[pfn] - 1 : XYL_PAGE_NONE;
}

uint64_t guestp2m_pfn(const struct guestp2m *p, uint64_t mfn)
{
	uint64_t mask = (UINT64_C(1) << p->slot_bits) - 1;

	for (uint64_t slot = slot_of(p, mfn); p->slots[slot]; slot = (slot + 1) & mask)
		if (p->frames[p->slots[slot] - 1] == mfn + 1)
			return p->slots[slot] - 1;
	return XYL_PAGE_NONE;
}
