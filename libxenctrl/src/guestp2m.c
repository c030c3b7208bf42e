/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading a PV guest's table of frames, in steps:
 *	1. find the pages that hold it (leaves): through page tables, or through the older tree of frame lists
 *	2. cut off the end where the guest repeats one table for "nothing here": Linux has room for half a TiB
 *	3. copy what the leaves say of frames that exist, as pairs: what a guest spreads thinly takes no more; hash them to
 *	   find the pfn of a frame
 * Frame numbers that the guest gives are only mapped as frames of this very domain, which the hypervisor checks.
 * Source: struct arch_shared_info of xen/arch-x86/xen.h.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "guestp2m.h"
#include "slothash.h"
#include "streamformat.h"

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
#define SLACK        512u /* entries more than pages that are taken as a mistake, not as an attack */

/* A list of frames; the next level of a walk. */
struct frames {
	uint64_t *mfns;
	uint64_t count;
};

static int bad(const struct stream *s, const char *why, uint64_t value)
{
	return stream_fail(s, EINVAL, "its table of frames (p2m) is unusable: %s (%#llx)", why,
	                   (unsigned long long)value);
}

static int no_memory(const struct stream *s)
{
	return stream_fail(s, ENOMEM, "out of memory for its table of frames");
}

static int frames_alloc(const struct stream *s, struct frames *f, uint64_t count)
{
	f->count = count;
	f->mfns = calloc(count, sizeof(*f->mfns));
	return f->mfns ? 0 : no_memory(s);
}

/* Copies word first.. of the pages in from, seen as one array. */
static int copy_words(struct xyl *x, struct stream *s, const struct frames *from, uint64_t first,
                      uint64_t *out, uint64_t count)
{
	uint64_t done = 0;

	while (done < count) {
		uint64_t page = (first + done) / ENTRIES, offset = (first + done) % ENTRIES;
		uint64_t pages = (offset + count - done + ENTRIES - 1) / ENTRIES, n;
		uint64_t *window;

		pages = pages < XYL_BATCH ? pages : XYL_BATCH;
		if (page + pages > from->count)
			return bad(s, "it is shorter than it says", first + count);
		n = pages * ENTRIES - offset;
		n = n < count - done ? n : count - done;
		window = xyl_foreign_map(x, s->domid, PROT_READ, from->mfns + page, pages, NULL);
		if (!window)
			return stream_because(s);
		memcpy(out + done, window + offset, n * sizeof(*out));
		if (xyl_foreign_unmap(x, window, pages) < 0 || stream_tick(s) < 0)
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
static int walk_level(struct xyl *x, struct stream *s, const struct frames *from, uint64_t first,
                      uint64_t last, struct frames *out)
{
	if (frames_alloc(s, out, last - first + 1) < 0 ||
	    copy_words(x, s, from, first % ENTRIES, out->mfns, out->count) < 0)
		return -1;
	for (uint64_t i = 0; i < out->count; i++) {
		uint64_t entry = out->mfns[i];

		if (!(entry & PTE_PRESENT) || entry & PTE_LARGE)
			return bad(s, "its address is not mapped page by page", entry);
		out->mfns[i] = PTE_FRAME(entry);
	}
	return 0;
}

/* The list at arch.p2m_vaddr. */
static int leaves_of_list(struct xyl *x, struct stream *s, const struct arch_shared_info *a,
                          struct guestp2m *p, struct frames *leaves)
{
	uint64_t va = a->p2m_vaddr & ((UINT64_C(1) << VA_BITS) - 1);
	uint64_t bytes = (p->pfn_count + ENTRIES - 1) / ENTRIES * XYL_PAGE_BYTES;
	uint64_t root = PTE_FRAME(a->p2m_cr3), slot = va >> (VA_BITS - ENTRY_BITS);
	struct frames now = { &root, 1 }, next = { NULL, 0 };
	int rc = 0;

	if (va % XYL_PAGE_BYTES || (uint64_t)((int64_t)(a->p2m_vaddr << 16) >> 16) != a->p2m_vaddr ||
	    bytes > (UINT64_C(1) << VA_BITS) - va ||
	    (slot < XEN_SLOT + XEN_SLOTS && (va + bytes - 1) >> (VA_BITS - ENTRY_BITS) >= XEN_SLOT))
		return bad(s, "its address cannot be", a->p2m_vaddr);
	for (unsigned level = LEVELS; level && rc == 0; level--) {
		unsigned shift = 12 + ENTRY_BITS * (level - 1);

		rc = walk_level(x, s, &now, va >> shift, (va + bytes - 1) >> shift, &next);
		if (rc == 0 && level == 2) {
			uint64_t kept = without_tail(next.mfns, next.count, false);
			uint64_t end = ((va >> shift) + kept) << shift;

			if (!kept)
				rc = bad(s, "all of it is one table", va);
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
static int leaves_of_tree(struct xyl *x, struct stream *s, const struct arch_shared_info *a,
                          struct guestp2m *p, struct frames *leaves)
{
	uint64_t root = a->pfn_to_mfn_frame_list_list;
	struct frames top = { &root, 1 }, middle;
	int rc = -1;

	if (!root || root == UINT64_MAX)
		return bad(s, "the guest has not set one up", root);
	if (p->pfn_count > TREE_SPAN * ENTRIES)
		return bad(s, "it is too large for a tree", p->pfn_count);
	if (frames_alloc(s, &middle, (p->pfn_count + TREE_SPAN - 1) / TREE_SPAN) < 0)
		return -1;
	if (copy_words(x, s, &top, 0, middle.mfns, middle.count) == 0) {
		middle.count = without_tail(middle.mfns, middle.count, true);
		if (p->pfn_count > middle.count * TREE_SPAN)
			p->pfn_count = middle.count * TREE_SPAN;
		rc = frames_alloc(s, leaves, (p->pfn_count + ENTRIES - 1) / ENTRIES);
		if (rc == 0 && copy_words(x, s, &middle, 0, leaves->mfns, leaves->count) < 0) {
			free(leaves->mfns);
			rc = -1;
		}
	}
	free(middle.mfns);
	return rc;
}

/* Puts a pair behind the others, with memory taken as they come: a number of pages alone takes none. */
static int add_page(const struct stream *s, struct guestp2m *p, uint64_t pfn, uint64_t mfn)
{
	if (p->used_count == p->room) {
		uint64_t room = p->room ? 2 * p->room : ENTRIES;
		struct guestp2m_page *larger = realloc(p->pages, room * sizeof(*larger));

		if (!larger)
			return no_memory(s);
		p->pages = larger;
		p->room = room;
	}
	p->pages[p->used_count++] = (struct guestp2m_page){ pfn, mfn };
	return 0;
}

/* Takes over one leaf's entries. */
static int take_leaf(const struct stream *s, struct guestp2m *p, const uint64_t *entries, uint64_t first,
                     uint64_t limit)
{
	for (uint64_t i = 0; i < ENTRIES && first + i < p->pfn_count; i++) {
		uint64_t mfn = entries[i];

		/* Missing, foreign and identity entries have high bits; frame 0 is nobody's. */
		if (mfn >> MFN_BITS || !mfn)
			continue;
		if (p->used_count == limit)
			return bad(s, "it names more frames than the domain has", limit);
		if (add_page(s, p, first + i, mfn) < 0)
			return -1;
	}
	return 0;
}

static int take_leaves(struct xyl *x, struct stream *s, struct guestp2m *p, uint64_t limit)
{
	uint64_t before = XYL_PAGE_NONE;

	for (uint64_t at = 0; at < p->leaf_count; at += XYL_BATCH) {
		uint64_t n = p->leaf_count - at < XYL_BATCH ? p->leaf_count - at : XYL_BATCH;
		uint64_t *window = xyl_foreign_map(x, s->domid, PROT_READ, p->leaves + at, n, NULL);
		int rc = 0;

		if (!window)
			return stream_because(s);
		for (uint64_t i = 0; i < n && rc == 0; i++) {
			/* a page that is repeated stands for "nothing here", and is looked at once */
			if (p->leaves[at + i] != before)
				rc = take_leaf(s, p, window + i * ENTRIES, (at + i) * ENTRIES, limit);
			before = p->leaves[at + i];
		}
		if (xyl_foreign_unmap(x, window, n) < 0 || rc < 0 || stream_tick(s) < 0)
			return -1;
	}
	return 0;
}

/* The slot that has the frame, or the free one where it belongs. */
static uint32_t *slot_of(const struct guestp2m *p, uint64_t mfn)
{
	uint64_t mask = (UINT64_C(1) << p->slot_bits) - 1;
	uint64_t slot = slothash(mfn, p->key, p->slot_bits);

	while (p->slots[slot] && p->pages[p->slots[slot] - 1].mfn != mfn)
		slot = (slot + 1) & mask;
	return &p->slots[slot];
}

/* Hashes the frames; one that stands at more pfns than one is kept at the first, as the domain has it but once. */
static int hash(const struct stream *s, struct guestp2m *p)
{
	uint64_t kept = 0;

	p->key = slothash_key();
	p->slot_bits = 4;
	while (UINT64_C(1) << p->slot_bits < 2 * p->used_count)
		p->slot_bits++;
	p->slots = calloc(UINT64_C(1) << p->slot_bits, sizeof(*p->slots));
	if (!p->slots)
		return no_memory(s);
	for (uint64_t i = 0; i < p->used_count; i++) {
		uint32_t *slot = slot_of(p, p->pages[i].mfn);

		if (*slot)
			continue;
		p->pages[kept] = p->pages[i];
		*slot = (uint32_t)++kept;
	}
	p->used_count = kept;
	return 0;
}

/* Whether a leaf has the next of old's pages, from *next on, and nothing else. */
static bool leaf_is_same(const struct guestp2m *old, const uint64_t *entries, uint64_t first, uint64_t *next)
{
	const struct guestp2m_page *page = old->pages + *next, *end = old->pages + old->used_count;

	for (uint64_t i = 0; i < ENTRIES && first + i < old->pfn_count; i++) {
		uint64_t mfn = entries[i];

		if (mfn >> MFN_BITS || !mfn)
			continue;
		if (page == end || page->mfn != mfn || page->pfn != first + i)
			return false;
		page++;
	}
	*next = (uint64_t)(page - old->pages);
	return true;
}

/* 1: it is what the old one was; 0: it may be another; or -1. Of one with a frame at two pfns the second is never the same. */
static int is_same(struct xyl *x, struct stream *s, const struct guestp2m *p, const struct guestp2m *old,
                   bool written)
{
	uint64_t next = 0, before = XYL_PAGE_NONE;
	bool same = p->pfn_count == old->pfn_count && p->leaf_count == old->leaf_count &&
	            !memcmp(p->leaves, old->leaves, p->leaf_count * sizeof(*p->leaves));

	if (same && !written)
		return 1;
	for (uint64_t at = 0; same && at < p->leaf_count; at += XYL_BATCH) {
		uint64_t n = p->leaf_count - at < XYL_BATCH ? p->leaf_count - at : XYL_BATCH;
		uint64_t *window = xyl_foreign_map(x, s->domid, PROT_READ, p->leaves + at, n, NULL);

		if (!window)
			return stream_because(s);
		for (uint64_t i = 0; i < n && same; i++) {
			if (p->leaves[at + i] != before)
				same = leaf_is_same(old, window + i * ENTRIES, (at + i) * ENTRIES, &next);
			before = p->leaves[at + i];
		}
		if (xyl_foreign_unmap(x, window, n) < 0 || stream_tick(s) < 0)
			return -1;
	}
	return same && next == old->used_count;
}

int guestp2m_read(struct xyl *x, struct stream *s, const struct shared_info *info, uint64_t memory_pages,
                  const struct guestp2m *old, bool written, struct guestp2m *p)
{
	struct arch_shared_info a = info->arch; /* once: the guest could change it */
	struct frames leaves = { NULL, 0 };
	int rc;

	memset(p, 0, sizeof(*p));
	p->pfn_count = a.max_pfn;
	if (!p->pfn_count || p->pfn_count > STREAM_PFNS_MAX)
		return bad(s, "its size cannot be", p->pfn_count);
	rc = a.p2m_cr3 ? leaves_of_list(x, s, &a, p, &leaves) : leaves_of_tree(x, s, &a, p, &leaves);
	if (rc < 0)
		return -1;
	p->leaves = leaves.mfns;
	p->leaf_count = leaves.count;
	rc = old && old->pages ? is_same(x, s, p, old, written) : 0;
	if (rc == 0) {
		rc = take_leaves(x, s, p, memory_pages + SLACK);
		if (rc == 0)
			rc = hash(s, p);
	}
	if (rc)
		guestp2m_free(p);
	return rc;
}

void guestp2m_free(struct guestp2m *p)
{
	int saved = errno;

	free(p->leaves);
	free(p->pages);
	free(p->slots);
	memset(p, 0, sizeof(*p));
	errno = saved;
}

uint64_t guestp2m_pfn(const struct guestp2m *p, uint64_t mfn)
{
	uint32_t slot = *slot_of(p, mfn);

	return slot ? p->pages[slot - 1].pfn : XYL_PAGE_NONE;
}
