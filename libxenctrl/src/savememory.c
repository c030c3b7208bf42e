/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory of a domain that is saved, in batches: type, copy or map, turn frames in page tables to pfns, write. Which pages are
 * due is kept beside the table of frames, one byte for each page.
 *
 * A guest that runs changes its pages while they are read, what they are used for, and its table of frames. Whatever does
 * not fit together then is no error: such a page stays due. Nothing stays due that a suspended guest has, or it is an error.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "pvtables.h"
#include "saver.h"

#define WORD_BITS 64

/* ---- the table of frames ---- */

static uint64_t to_pfn(void *data, uint64_t mfn)
{
	return guestp2m_pfn(data, mfn);
}

/* The pfns of the pages that hold the table; NULL after an error. */
static uint64_t *find_leaves(const struct saver *v, const struct guestp2m *p2m)
{
	uint64_t *pfns = malloc(p2m->leaf_count * sizeof(*pfns));

	if (!pfns) {
		stream_fail(&v->s, ENOMEM, "out of memory");
		return NULL;
	}
	for (uint64_t i = 0; i < p2m->leaf_count; i++) {
		pfns[i] = guestp2m_pfn(p2m, p2m->leaves[i]);
		if (pfns[i] != XYL_PAGE_NONE)
			continue;
		stream_fail(&v->s, EINVAL,
		            "its table of frames lies in frame %#llx, which the table does not have",
		            (unsigned long long)p2m->leaves[i]);
		free(pfns);
		return NULL;
	}
	return pfns;
}

/* Takes the pfns. A table once told of may grow: who restores it has no way to make it shorter. */
static void take_leaves(struct saver *v, uint64_t *pfns)
{
	const struct guestp2m *p2m = &v->p2m;
	uint64_t pfn_count = p2m->pfn_count > v->pfn_count ? p2m->pfn_count : v->pfn_count;

	v->told = v->told && v->leaf_pfns && v->pfn_count == pfn_count && v->leaf_count == p2m->leaf_count &&
	          !memcmp(v->leaf_pfns, pfns, p2m->leaf_count * sizeof(*pfns));
	free(v->leaf_pfns);
	v->leaf_pfns = pfns;
	v->leaf_count = p2m->leaf_count;
	v->pfn_count = pfn_count;
}

int savememory_write_table(struct saver *v)
{
	struct stream_p2m_frames head = { 0, (uint32_t)(v->pfn_count - 1) };

	if (v->told)
		return 0;
	v->told = true;
	return stream_put(&v->s, STREAM_X86_PV_P2M_FRAMES, &head, sizeof(head), v->leaf_pfns,
	                  v->leaf_count * sizeof(*v->leaf_pfns));
}

/* What was sent of each page of the new table, by the old one. Returns whether a frame
 * has another pfn now, or none: page tables that name it were sent with what it had. */
static bool carry_over(const struct saver *v, const struct guestp2m *new, uint8_t *sent)
{
	const struct guestp2m *old = &v->p2m;
	uint64_t o = 0, carried = 0;

	for (uint64_t i = 0; i < new->used_count; i++) {
		const struct guestp2m_page *page = &new->pages[i];

		while (o < old->used_count && old->pages[o].pfn < page->pfn)
			o++;
		if (o < old->used_count && old->pages[o].pfn == page->pfn && old->pages[o].mfn == page->mfn) {
			sent[i] = v->sent[o];
			carried++;
			continue;
		}
		sent[i] = SAVER_DUE | STREAM_PAGE_NONE;
	}
	return carried < old->used_count;
}

static int take_table(struct saver *v, const struct guestp2m *new)
{
	uint8_t *sent = malloc(new->used_count ? new->used_count : 1);
	bool moved;

	if (!sent)
		return stream_fail(&v->s, ENOMEM, "out of memory");
	moved = carry_over(v, new, sent);
	v->may_be_gone = true;
	v->due_count = 0;
	for (uint64_t i = 0; i < new->used_count; i++) {
		if (moved && stream_page_is_table(sent[i] & SAVER_TYPE))
			sent[i] |= SAVER_DUE;
		v->due_count += sent[i] / SAVER_DUE;
	}
	free(v->sent);
	v->sent = sent;
	guestp2m_free(&v->p2m);
	v->p2m = *new;
	return 0;
}

int savememory_read(struct saver *v, uint64_t memory_pages)
{
	struct guestp2m new;
	uint64_t *pfns = NULL;
	int rc = guestp2m_read(v->x, &v->s, v->shared, memory_pages, &v->p2m, v->written, &new);

	if (rc > 0)
		v->written = false;
	if (rc)
		return rc < 0 ? -1 : 0;
	if (new.leaf_count < v->leaf_count)
		stream_fail(&v->s, EBUSY, "its table of frames has become shorter meanwhile");
	else
		pfns = find_leaves(v, &new);
	if (!pfns || take_table(v, &new) < 0) {
		guestp2m_free(&new);
		free(pfns);
		return -1;
	}
	take_leaves(v, pfns);
	v->written = false;
	return 0;
}

/* ---- what is due ---- */

void savememory_mark_table(struct saver *v, const uint64_t *bitmap, uint64_t pfns)
{
	for (uint64_t i = 0; i < v->leaf_count && !v->written; i++) {
		uint64_t pfn = v->leaf_pfns[i];

		v->written = pfn >= pfns || bitmap[pfn / WORD_BITS] >> pfn % WORD_BITS & 1;
	}
}

static void mark(struct saver *v, uint64_t i)
{
	v->due_count += !(v->sent[i] & SAVER_DUE);
	v->sent[i] |= SAVER_DUE;
}

/* It was sent as this, or left alone permanently. */
static void unmark(struct saver *v, uint64_t i, unsigned type)
{
	v->due_count -= v->sent[i] / SAVER_DUE;
	v->sent[i] = (uint8_t)type;
}

/* The first of p2m.pages whose pfn is this or a later one. */
static uint64_t first_from(const struct saver *v, uint64_t pfn)
{
	uint64_t low = 0, high = v->p2m.used_count;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (v->p2m.pages[middle].pfn < pfn)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void savememory_mark(struct saver *v, uint64_t pfn)
{
	uint64_t i = first_from(v, pfn);

	if (i < v->p2m.used_count && v->p2m.pages[i].pfn == pfn)
		mark(v, i);
}

void savememory_mark_all(struct saver *v, const uint64_t *bitmap, uint64_t pfns)
{
	for (uint64_t word = 0; word < (pfns + WORD_BITS - 1) / WORD_BITS; word++) {
		if (!bitmap[word])
			continue;
		for (uint64_t i = first_from(v, word * WORD_BITS); i < v->p2m.used_count; i++) {
			uint64_t pfn = v->p2m.pages[i].pfn;

			if (pfn / WORD_BITS != word || pfn >= pfns)
				break;
			if (bitmap[word] >> pfn % WORD_BITS & 1)
				mark(v, i);
		}
	}
}

/* ---- a batch ---- */

static void keep(struct saver *v, unsigned to, unsigned from, uint64_t type)
{
	v->pages[to] = v->pages[from] | type << STREAM_PFN_TYPE_BIT;
	v->mfns[to] = v->mfns[from];
	v->at[to] = v->at[from];
	v->contents[to] = v->contents[from];
}

/* Whether contents are copied right to where they go: into a file's buffer, of a guest that does not change them meanwhile. */
static bool is_direct(const struct saver *v)
{
	return v->copy && v->s.file && !v->running && !v->zeros_by_type && framecopy_looks(v->copy);
}

/* The types of a batch and, where they are copied, its contents; or whether it has some. */
static int ask(struct saver *v, uint8_t *types, unsigned count)
{
	bool zero[FRAMECOPY_BATCH];

	if (!v->copy)
		return xyl_page_types(v->x, v->domid, v->mfns, types, count);
	if (is_direct(v)) {
		if (framecopy_look(v->copy, v->mfns, count, types, zero) < 0)
			return -1;
		for (unsigned i = 0; i < count; i++)
			v->contents[i] = zero[i] ? NULL : v->tables;
		return 0;
	}
	if (framecopy_read(v->copy, v->mfns, count, types, zero) < 0)
		return -1;
	for (unsigned i = 0; i < count; i++)
		v->contents[i] = zero[i] ? NULL : framecopy_buffer(v->copy) + (size_t)i * XYL_PAGE_BYTES;
	return 0;
}

/* Drops what is not the domain's own; returns how many remain, or -1. */
static int type_batch(struct saver *v, unsigned count)
{
	uint8_t types[XYL_BATCH];
	unsigned kept = 0;

	if (ask(v, types, count) < 0)
		return stream_because(&v->s);
	for (unsigned i = 0; i < count; i++) {
		if (types[i] == STREAM_PAGE_BROKEN)
			return stream_fail(&v->s, EIO, "its page %#llx lies in memory that is broken",
			                   (unsigned long long)v->pages[i]);
		if (types[i] != STREAM_PAGE_NONE && types[i] != STREAM_PAGE_ALLOCATED)
			keep(v, kept++, i, types[i]);
		else if (!v->running) {
			unmark(v, v->at[i], STREAM_PAGE_NONE);
			v->may_be_gone = true;
		}
	}
	return (int)kept;
}

/* 0; 1: not while the guest runs; or -1. */
static int normalise(struct saver *v, uint64_t page, const uint8_t *from, uint8_t *to)
{
	unsigned level = (unsigned)(page >> STREAM_PFN_TYPE_BIT) & 7;
	uint64_t entry = 0;
	enum pvtables_result result =
	        pvtables_translate((const uint64_t *)(const void *)from, (uint64_t *)(void *)to, level,
	                           to_pfn, NULL, &v->p2m, &entry);

	if (result == PVTABLES_OK)
		return 0;
	if (v->running)
		return 1;
	if (result == PVTABLES_UNKNOWN)
		return stream_fail(
		        &v->s, EBUSY, "its L%u page table %#llx maps what is not its memory (entry %#llx)",
		        level, (unsigned long long)(page & STREAM_PFN_MASK), (unsigned long long)entry);
	return stream_fail(&v->s, ENOTSUP, "its L%u page table %#llx maps a large page (entry %#llx)", level,
	                   (unsigned long long)(page & STREAM_PFN_MASK), (unsigned long long)entry);
}

/* Whether it goes without its contents. A page table goes with them, as it is one whatever it has. */
static bool by_type(const struct saver *v, unsigned i)
{
	return v->zeros_by_type && stream_pfn_type(v->pages[i]) == STREAM_PAGE_NORMAL &&
	       (!v->contents[i] || stream_is_zero(v->contents[i]));
}

/* Puts contents, with pfns in page tables, behind one another. *count becomes how many pages there are, *contents how many of
 * them have some. Returns parts, or -1. */
static int gather(struct saver *v, unsigned *count, unsigned *contents)
{
	unsigned copies = 0, kept = 0;
	size_t n = 0;

	*contents = 0;
	for (unsigned i = 0; i < *count; i++) {
		uint8_t *page = v->contents[i];

		if (by_type(v, i)) {
			keep(v, kept++, i, STREAM_PAGE_ALLOCATED);
			continue;
		}
		if (page && stream_page_is_table(stream_pfn_type(v->pages[i]))) {
			uint8_t *copy = v->tables + (size_t)copies++ * XYL_PAGE_BYTES;
			int rc = normalise(v, v->pages[i], page, copy);

			if (rc < 0)
				return -1;
			if (rc)
				continue;
			page = copy;
		}
		keep(v, kept++, i, 0);
		++*contents;
		n = stream_add_page(&v->s, v->parts + 3, n, page);
	}
	*count = kept;
	return (int)n;
}

/* All of the batch are sent. */
static void note_sent(struct saver *v, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t pfn = v->pages[i] & STREAM_PFN_MASK;

		unmark(v, v->at[i], stream_pfn_type(v->pages[i]));
		if (v->ever)
			v->ever[pfn / WORD_BITS] |= UINT64_C(1) << pfn % WORD_BITS;
	}
}

/* Writes PAGE_DATA of count pages, with n parts of content behind the first three. */
static int write_pages(struct saver *v, unsigned count, unsigned contents, size_t n)
{
	struct stream_page_data head = { count, 0 };
	struct stream_record record = { STREAM_PAGE_DATA,
		                        (uint32_t)(sizeof(head) + (size_t)count * sizeof(*v->pages) +
		                                   (size_t)contents * XYL_PAGE_BYTES) };

	v->parts[0] = (struct iovec){ &record, sizeof(record) };
	v->parts[1] = (struct iovec){ &head, sizeof(head) };
	v->parts[2] = (struct iovec){ v->pages, (size_t)count * sizeof(*v->pages) };
	return stream_write(&v->s, v->parts, 3 + n);
}

/* Of pages with their types and contents. */
static int send_contents(struct saver *v, unsigned count)
{
	unsigned contents;
	int n = gather(v, &count, &contents);

	if (n < 0 || (count && write_pages(v, count, contents, (size_t)n) < 0))
		return -1;
	note_sent(v, count);
	return 0;
}

/* The contents of n pages of the batch, which are of these types still. */
static int copy_to(struct saver *v, unsigned at, unsigned n, uint8_t *to)
{
	uint8_t types[FRAMECOPY_BATCH];

	if (framecopy_read_to(v->copy, v->mfns + at, n, types, to) < 0)
		return stream_because(&v->s);
	for (unsigned i = 0; i < n; i++)
		if (types[i] != stream_pfn_type(v->pages[at + i]))
			return stream_fail(&v->s, EBUSY, "its page %#llx changes while it is suspended",
			                   (unsigned long long)(v->pages[at + i] & STREAM_PFN_MASK));
	return 0;
}

/* One page by way of our own memory: a page table, or what the end of the file's buffer parts. */
static int write_single(struct saver *v, unsigned i)
{
	uint8_t *page = v->tables, *table = v->tables + XYL_PAGE_BYTES;
	struct iovec part = { page, XYL_PAGE_BYTES };

	if (copy_to(v, i, 1, page) < 0)
		return -1;
	if (stream_page_is_table(stream_pfn_type(v->pages[i]))) {
		if (normalise(v, v->pages[i], page, table) < 0)
			return -1;
		part.iov_base = table;
	}
	return stream_write(&v->s, &part, 1);
}

/* Pages first to end - 1 of the batch, with contents, and none of them a page table. */
static int write_run(struct saver *v, unsigned first, unsigned end)
{
	while (first < end) {
		size_t room;
		uint8_t *place = stream_room(&v->s, &room);
		unsigned n = end - first;

		if (n > room / XYL_PAGE_BYTES)
			n = (unsigned)(room / XYL_PAGE_BYTES);
		if (!n) {
			if (write_single(v, first++) < 0)
				return -1;
			continue;
		}
		if (copy_to(v, first, n, place) < 0 || stream_filled(&v->s, (size_t)n * XYL_PAGE_BYTES) < 0)
			return -1;
		first += n;
	}
	return 0;
}

enum content { CONTENT_ZERO, CONTENT_TABLE, CONTENT_PLAIN };

static enum content content_of(const struct saver *v, unsigned i)
{
	if (!v->contents[i])
		return CONTENT_ZERO;
	return stream_page_is_table(stream_pfn_type(v->pages[i])) ? CONTENT_TABLE : CONTENT_PLAIN;
}

/* Of pages with their types, of which it is known whether they have contents: these go right into the file's buffer. */
static int send_direct(struct saver *v, unsigned count)
{
	if (write_pages(v, count, count, 0) < 0)
		return -1;
	for (unsigned i = 0, end; i < count; i = end) {
		enum content content = content_of(v, i);
		struct iovec hole = { NULL, XYL_PAGE_BYTES };
		int rc;

		for (end = i + 1; end < count && content != CONTENT_TABLE && content_of(v, end) == content;)
			end++;
		hole.iov_len = (size_t)(end - i) * XYL_PAGE_BYTES;
		if (content == CONTENT_ZERO)
			rc = stream_write(&v->s, &hole, 1);
		else
			rc = content == CONTENT_TABLE ? write_single(v, i) : write_run(v, i, end);
		if (rc < 0)
			return -1;
	}
	note_sent(v, count);
	return 0;
}

/* Of pages with their types. Those that a running guest has no more are left out. */
static int send_mapped(struct saver *v, unsigned count)
{
	int errors[XYL_BATCH];
	uint8_t *window =
	        xyl_foreign_map(v->x, v->domid, PROT_READ, v->mfns, count, v->running ? errors : NULL);
	unsigned there = 0;
	int rc;

	if (!window)
		return stream_because(&v->s);
	for (unsigned i = 0; i < count; i++) {
		if (v->running && errors[i])
			continue;
		v->contents[i] = window + (size_t)i * XYL_PAGE_BYTES;
		keep(v, there++, i, 0);
	}
	rc = send_contents(v, there);
	return xyl_foreign_unmap(v->x, window, count) < 0 ? -1 : rc;
}

/* Passes over pages of which none is due, eight at a time. */
static uint64_t pass_eights(const struct saver *v, uint64_t at)
{
	for (uint64_t eight; at + sizeof(eight) <= v->p2m.used_count; at += sizeof(eight)) {
		memcpy(&eight, v->sent + at, sizeof(eight));
		if (eight & SAVER_DUE * UINT64_C(0x0101010101010101))
			break;
	}
	return at;
}

int savememory_send(struct saver *v, uint64_t *at)
{
	unsigned count = 0, most = v->copy ? FRAMECOPY_BATCH : XYL_BATCH;
	int kept, rc = 0;

	/* When all that are due have been found, nothing is behind them. */
	for (; *at < v->p2m.used_count && count < most && count < v->due_count; ++*at) {
		if (*at % 8 == 0)
			*at = pass_eights(v, *at);
		if (*at == v->p2m.used_count)
			break;
		if (!(v->sent[*at] & SAVER_DUE))
			continue;
		v->pages[count] = v->p2m.pages[*at].pfn;
		v->mfns[count] = v->p2m.pages[*at].mfn;
		v->at[count++] = *at;
	}
	if (!count)
		return 0;
	kept = type_batch(v, count);
	if (kept > 0 && is_direct(v))
		rc = send_direct(v, (unsigned)kept);
	else if (kept > 0)
		rc = v->copy ? send_contents(v, (unsigned)kept) : send_mapped(v, (unsigned)kept);
	if (kept < 0 || rc < 0)
		return -1;
	v->s.progress.pages_done += count;
	return stream_tick(&v->s) < 0 ? -1 : 1;
}

/* ---- what is gone ---- */

/* Of a word's pfns, those that have a page. *i: of p2m.pages, moved on; the pfns that are asked for grow. */
static uint64_t present(const struct saver *v, uint64_t word, uint64_t *i)
{
	uint64_t bits = 0;

	while (*i < v->p2m.used_count && v->p2m.pages[*i].pfn / WORD_BITS < word)
		++*i;
	for (; *i < v->p2m.used_count && v->p2m.pages[*i].pfn / WORD_BITS == word; ++*i)
		if (v->sent[*i] != STREAM_PAGE_NONE)
			bits |= UINT64_C(1) << v->p2m.pages[*i].pfn % WORD_BITS;
	return bits;
}

int savememory_drop(struct saver *v)
{
	uint64_t words = (v->pfn_count + WORD_BITS - 1) / WORD_BITS, i = 0;
	unsigned count = 0;

	if (!v->may_be_gone)
		return 0;
	v->may_be_gone = false;
	for (uint64_t word = 0; word < words; word++) {
		uint64_t gone = v->ever[word];

		if (gone)
			gone &= ~present(v, word, &i);
		v->ever[word] &= ~gone;
		for (; gone; gone &= gone - 1) {
			uint64_t pfn = word * WORD_BITS + (unsigned)__builtin_ctzll(gone);

			v->pages[count++] = pfn | (uint64_t)STREAM_PAGE_NONE << STREAM_PFN_TYPE_BIT;
			if (count < XYL_BATCH)
				continue;
			if (write_pages(v, count, 0, 0) < 0 || stream_tick(&v->s) < 0)
				return -1;
			count = 0;
		}
	}
	return count ? write_pages(v, count, 0, 0) : 0;
}

void savememory_free(struct saver *v)
{
	guestp2m_free(&v->p2m);
	free(v->sent);
	free(v->leaf_pfns);
	free(v->ever);
	free(v->tables);
	framecopy_close(v->copy);
}
