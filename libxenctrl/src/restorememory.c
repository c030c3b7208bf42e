/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory of a domain that is restored. Pages are read from the stream into its frames, right there or by way of a buffer, page
 * tables as they came, with pfns in them. When all is there:
 *	1. pfns in page tables become frames, which each must be the domain's
 *	2. the guest's own table of frames is written anew
 *	3. tables that were pinned are pinned: the hypervisor looks at every entry then
 * The same page may come more than once (a live save sends it again), as may the place of the table of frames: the last one
 * counts. A page that is told to be none any more keeps its frame until the domain needs it for another, or all is there.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "pvtables.h"
#include "restore.h"
#include "slothash.h"

#define PAGE_WORDS  (XYL_PAGE_BYTES / sizeof(uint64_t))
#define READ_PIECE  (256u * 1024)
#define FRAME_COMES (XYL_PAGE_NONE - 1) /* in place of a frame that the domain is about to be given */
#define RUN_ORDER   4u
#define RUN_PAGES   (1u << RUN_ORDER)

/* Reads count words, with memory taken as they come: a length alone takes none. */
static uint64_t *read_words(struct restore *r, uint64_t count, const char *what)
{
	uint64_t *words = NULL, *larger;
	uint64_t done = 0, room = 0;

	while (done < count) {
		uint64_t n = count - done < READ_PIECE / 8 ? count - done : READ_PIECE / 8;

		if (done + n > room) {
			room = 2 * room > done + n ? 2 * room : done + n;
			larger = realloc(words, room * sizeof(*words));
			if (!larger) {
				free(words);
				stream_fail(&r->s, ENOMEM, "out of memory");
				return NULL;
			}
			words = larger;
		}
		if (stream_read(&r->s, words + done, n * sizeof(*words), what) < 0) {
			free(words);
			return NULL;
		}
		done += n;
	}
	return words;
}

int restore_p2m_frames(struct restore *r, uint32_t bytes)
{
	struct stream_p2m_frames head;
	uint64_t count = 0;

	if (stream_read(&r->s, &head, sizeof(head), "record X86_PV_P2M_FRAMES") < 0 ||
	    stream_check_p2m_frames(&r->s, &head, bytes, &count) < 0)
		return -1;
	if (head.last_pfn + UINT64_C(1) < r->pfn_count)
		return stream_bad(
		        &r->s,
		        "it has a second record X86_PV_P2M_FRAMES, with pfns up to %#x instead of %#llx",
		        head.last_pfn, (unsigned long long)r->pfn_count - 1);
	free(r->table_pages);
	r->table_page_count = count;
	r->table_pages = read_words(r, count, "record X86_PV_P2M_FRAMES");
	if (!r->table_pages)
		return -1;
	r->pfn_count = (uint64_t)head.last_pfn + 1;
	for (uint64_t i = 0; i < r->table_page_count; i++)
		if (r->table_pages[i] >= r->pfn_count)
			return stream_bad(
			        &r->s, "its record X86_PV_P2M_FRAMES has pfn %#llx, but the last one is %#x",
			        (unsigned long long)r->table_pages[i], head.last_pfn);
	return 0;
}

/* ---- the domain's pages, by pfn ---- */

/* The slot that has the pfn, or the free one where it belongs. */
static uint32_t *slot_of(const struct restore *r, uint64_t pfn)
{
	uint64_t mask = (UINT64_C(1) << r->slot_bits) - 1;
	uint64_t slot = slothash(pfn, r->key, r->slot_bits);

	while (r->slots[slot] && r->pages[r->slots[slot] - 1].pfn != pfn)
		slot = (slot + 1) & mask;
	return &r->slots[slot];
}

struct restore_page *restore_page_far(struct restore *r, uint64_t pfn)
{
	uint32_t slot = r->slots ? *slot_of(r, pfn) : 0;

	if (!slot)
		return NULL;
	r->ahead = slot - 1 - pfn;
	return &r->pages[slot - 1];
}

static void fill_slots(struct restore *r)
{
	memset(r->slots, 0, (sizeof(*r->slots)) << r->slot_bits);
	for (uint64_t i = 0; i < r->page_count; i++)
		*slot_of(r, r->pages[i].pfn) = (uint32_t)i + 1;
}

/* Forgets pages without a frame. */
static void compact(struct restore *r)
{
	uint64_t kept = 0;

	r->spare_count = r->table_count = 0;
	for (uint64_t i = 0; i < r->page_count; i++) {
		struct restore_page page = r->pages[i];

		if (page.mfn == XYL_PAGE_NONE)
			continue;
		page.spare = page.type == STREAM_PAGE_NONE;
		if (page.spare)
			r->spare[r->spare_count++] = (uint32_t)kept;
		if (page.listed)
			r->tables[r->table_count++] = (uint32_t)kept;
		r->pages[kept++] = page;
	}
	r->page_count = kept;
	fill_slots(r);
}

/* Twice as many pages, and twice as many slots as that. */
static int grow(struct restore *r)
{
	uint64_t room = r->page_room ? 2 * r->page_room : 2 * XYL_BATCH;
	struct restore_page *pages = realloc(r->pages, room * sizeof(*pages));
	uint32_t *spare = pages ? realloc(r->spare, room * sizeof(*spare)) : NULL;
	uint32_t *tables = spare ? realloc(r->tables, room * sizeof(*tables)) : NULL;
	uint32_t *slots = tables ? calloc(2 * room, sizeof(*slots)) : NULL;

	if (pages)
		r->pages = pages;
	if (spare)
		r->spare = spare;
	if (tables)
		r->tables = tables;
	if (!slots)
		return stream_fail(&r->s, ENOMEM, "out of memory");
	if (!r->key)
		r->key = slothash_key();
	free(r->slots);
	r->slots = slots;
	r->slot_bits = (unsigned)__builtin_ctzll(2 * room);
	r->page_room = room;
	fill_slots(r);
	return 0;
}

/* Room for so many pages more, XYL_BATCH at most. Pages without a frame are forgotten when they are half: all
 * are looked at then, but as many have come since. */
static int make_room(struct restore *r, uint64_t count)
{
	while (!r->pages || r->page_room - r->page_count < count) {
		uint64_t without = r->page_count - r->frame_count;

		if (without && without >= r->page_count / 2)
			compact(r);
		else if (grow(r) < 0)
			return -1;
	}
	return 0;
}

/* Notes that the domain gets a page there, where it has none. There is room. */
static struct restore_page *add_page(struct restore *r, uint64_t pfn)
{
	struct restore_page *page = &r->pages[r->page_count];

	*page = (struct restore_page){ .mfn = XYL_PAGE_NONE,
		                       .pfn = (uint32_t)pfn,
		                       .type = STREAM_PAGE_ALLOCATED };
	*slot_of(r, pfn) = (uint32_t)++r->page_count;
	return page;
}

/* Gives back frames of pages that are none any more, as many as there are up to that. */
static int give_back(struct restore *r, uint64_t count)
{
	uint64_t mfns[XYL_BATCH], done;
	unsigned n = 0;

	while (count && r->spare_count) {
		struct restore_page *page = &r->pages[r->spare[--r->spare_count]];

		page->spare = false;
		if (page->type != STREAM_PAGE_NONE)
			continue; /* it is one again */
		mfns[n++] = page->mfn;
		page->mfn = XYL_PAGE_NONE;
		r->frame_count--;
		count--;
		if (n == XYL_BATCH && xyl_memory_decrease(r->x, r->domid, n, 0, mfns, &done) < 0)
			return stream_because(&r->s);
		n %= XYL_BATCH;
	}
	if (n && xyl_memory_decrease(r->x, r->domid, n, 0, mfns, &done) < 0)
		return stream_because(&r->s);
	return 0;
}

/* For so many frames more: the limit that the caller wants, or one that grows with what the stream brings. */
static int set_limit(struct restore *r, uint64_t more)
{
	uint64_t most = r->how->max_memory_kib / 4, pages = r->frame_count + more;

	if (pages <= r->limit_pages)
		return 0;
	if (most && pages > most) {
		if (give_back(r, pages - most) < 0)
			return -1;
		pages = r->frame_count + more;
		if (pages <= r->limit_pages)
			return 0;
	}
	if (most && pages > most)
		return stream_fail(&r->s, ENOMEM, "it needs more memory than the %llu KiB that it may have",
		                   (unsigned long long)r->how->max_memory_kib);
	if (!most)
		most = pages;
	if (xyl_memory_set_max(r->x, r->domid, r->how->max_memory_kib ? r->how->max_memory_kib : most * 4) <
	    0)
		return stream_because(&r->s);
	r->limit_pages = most;
	return 0;
}

static bool is_run(const uint64_t *pfns)
{
	for (unsigned i = 1; i < RUN_PAGES; i++)
		if (pfns[i] != pfns[0] + i)
			return false;
	return true;
}

/*
 * Frames for up to XYL_BATCH pages: in, their pfns; out, the frames. Where pfns follow one another the hypervisor is asked for
 * runs of frames, each of which costs it little more than one frame; for single ones where it has no more runs.
 */
static int get_frames(const struct restore *r, uint64_t *mfns, uint64_t n)
{
	uint64_t runs[XYL_BATCH / RUN_PAGES], singles[XYL_BATCH], run_count = 0, single_count = 0, done = 0;
	unsigned run_at[XYL_BATCH / RUN_PAGES] = { 0 }, single_at[XYL_BATCH];

	for (unsigned i = 0; i < n;) {
		if (n - i >= RUN_PAGES && is_run(mfns + i)) {
			run_at[run_count] = i;
			runs[run_count++] = mfns[i];
			i += RUN_PAGES;
		} else {
			single_at[single_count] = i;
			singles[single_count++] = mfns[i++];
		}
	}
	(void)!xyl_memory_populate(r->x, r->domid, run_count, RUN_ORDER, runs, &done);
	for (uint64_t k = 0; k < run_count; k++) {
		for (unsigned j = 0; j < RUN_PAGES; j++) {
			unsigned i = run_at[k] + j;

			if (k >= done) {
				single_at[single_count] = i;
				singles[single_count++] = mfns[i];
			} else {
				mfns[i] = runs[k] + j;
			}
		}
	}
	if (xyl_memory_populate(r->x, r->domid, single_count, 0, singles, &done) < 0)
		return stream_because(&r->s);
	for (uint64_t k = 0; k < single_count; k++)
		mfns[single_at[k]] = singles[k];
	return 0;
}

/* How many of the pages have not come before. */
static uint64_t missing(struct restore *r, const uint64_t *list, uint32_t count)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < count; i++)
		n += !restore_page(r, stream_pfn(list[i]));
	return n;
}

/* Gives the domain frames for those of count pages that should have one and do not. */
static int populate(struct restore *r, const uint64_t *list, uint32_t count)
{
	struct restore_page *wanted[XYL_BATCH];
	uint64_t mfns[XYL_BATCH], n = 0;

	if ((!r->pages || r->page_room - r->page_count < count) && make_room(r, missing(r, list, count)) < 0)
		return -1;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t pfn = stream_pfn(list[i]);
		unsigned type = stream_pfn_type(list[i]);
		struct restore_page *page = restore_page(r, pfn);

		if (type == STREAM_PAGE_NONE || type == STREAM_PAGE_BROKEN)
			continue;
		if (!page)
			page = add_page(r, pfn);
		else if (page->type == STREAM_PAGE_NONE)
			page->type = STREAM_PAGE_ALLOCATED; /* it is one again, and keeps its frame */
		if (page->mfn != XYL_PAGE_NONE)
			continue;
		page->mfn = FRAME_COMES;
		wanted[n] = page;
		mfns[n++] = pfn;
	}
	if (!n)
		return 0;
	if (set_limit(r, n) < 0)
		return -1;
	if (get_frames(r, mfns, n) < 0)
		return -1;
	for (uint64_t i = 0; i < n; i++) {
		wanted[i]->mfn = mfns[i];
		wanted[i]->zero = r->clean;
	}
	r->frame_count += n;
	return 0;
}

static void list_table(struct restore *r, struct restore_page *page)
{
	page->listed = true;
	r->tables[r->table_count++] = (uint32_t)(page - r->pages);
}

/* What a page is from now on. */
static void set_type(struct restore *r, struct restore_page *page, unsigned type)
{
	page->type = (uint8_t)type;
	if (stream_page_is_table(type) && !page->listed)
		list_table(r, page);
	if (type != STREAM_PAGE_NONE || page->spare || page->mfn == XYL_PAGE_NONE)
		return;
	page->spare = true;
	r->spare[r->spare_count++] = (uint32_t)(page - r->pages);
}

/*
 * Which of the pages, whose contents come next, have them already (zero): those in a hole of the file that nobody has written
 * to. The others' frames are put into mfns; returns how many.
 */
static uint32_t without_holes(const struct restore *r, struct restore_page **pages, uint32_t count,
                              uint64_t *mfns, bool *zero)
{
	uint64_t end = 0;
	bool hole = false;
	uint32_t n = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t at = (uint64_t)i * XYL_PAGE_BYTES;

		if (at >= end) {
			hole = stream_hole(&r->s, at, &end);
			end = end < UINT64_MAX - at ? at + end : UINT64_MAX;
		}
		zero[i] = hole && end - at >= XYL_PAGE_BYTES && pages[i]->zero;
		if (zero[i])
			continue;
		pages[i]->zero = false;
		mfns[n++] = pages[i]->mfn;
	}
	return n;
}

/* Where contents of frames are read to. */
struct target {
	const uint64_t *mfns; /* what is still to come */
	uint8_t *window;      /* all of the frames mapped; or what is copied into them, a batch at a time */
	uint32_t room;        /* pages of the window */
	uint32_t filled;
};

/* What has been read goes into its frames. */
static int flush(const struct restore *r, struct target *t)
{
	if (!r->copy || !t->filled)
		return 0;
	if (framecopy_write(r->copy, t->mfns, t->filled) < 0)
		return stream_because(&r->s);
	t->mfns += t->filled;
	t->filled = 0;
	return 0;
}

/* Contents that stand in a file's buffer go from there into their frames. Returns how many pages of count have, or -1. */
static int write_ahead(struct restore *r, struct target *t, uint32_t count)
{
	const uint8_t *data;
	size_t bytes;
	uint32_t n;

	if (!r->copy)
		return 0;
	data = stream_next(&r->s, &bytes);
	if (bytes / XYL_PAGE_BYTES < count)
		count = (uint32_t)(bytes / XYL_PAGE_BYTES);
	n = count < FRAMECOPY_BATCH ? count : FRAMECOPY_BATCH;
	if (!data || !n)
		return 0;
	/* A page may come twice: first what came first. */
	if (flush(r, t) < 0)
		return -1;
	if (framecopy_write_from(r->copy, t->mfns, n, data) < 0)
		return stream_because(&r->s);
	t->mfns += n;
	stream_pass(&r->s, (uint64_t)n * XYL_PAGE_BYTES);
	return (int)n;
}

/* The next count pages with contents. */
static int read_pages(struct restore *r, struct target *t, uint32_t count)
{
	while (count) {
		int ahead = write_ahead(r, t, count);
		uint32_t n = count < t->room - t->filled ? count : t->room - t->filled;

		if (ahead < 0)
			return -1;
		if (ahead) {
			count -= (uint32_t)ahead;
			continue;
		}
		if (r->s.file && r->copy)
			n = 1; /* it goes beyond the buffer's end; those behind it do not */
		if (stream_read(&r->s, t->window + (size_t)t->filled * XYL_PAGE_BYTES,
		                (size_t)n * XYL_PAGE_BYTES, "record PAGE_DATA") < 0)
			return -1;
		t->filled += n;
		count -= n;
		if (t->filled == t->room && flush(r, t) < 0)
			return -1;
	}
	return 0;
}

static int read_to(struct restore *r, struct target *t, const bool *zero, uint32_t count)
{
	for (uint32_t i = 0, end; i < count; i = end) {
		for (end = i + 1; end < count && zero[end] == zero[i];)
			end++;
		if (zero[i])
			stream_pass(&r->s, (uint64_t)(end - i) * XYL_PAGE_BYTES);
		else if (read_pages(r, t, end - i) < 0)
			return -1;
	}
	return flush(r, t);
}

/* The contents of count pages, among which one may stand more than once. */
static int read_contents(struct restore *r, struct restore_page **pages, uint32_t count)
{
	uint64_t mfns[XYL_BATCH];
	bool zero[XYL_BATCH];
	uint32_t n = without_holes(r, pages, count, mfns, zero);
	struct target t = { .mfns = mfns, .room = n };
	int rc;

	if (r->copy) {
		t.window = framecopy_buffer(r->copy);
		t.room = FRAMECOPY_BATCH;
	} else if (n) {
		t.window = xyl_foreign_map(r->x, r->domid, PROT_READ | PROT_WRITE, mfns, n, NULL);
		if (!t.window)
			return stream_because(&r->s);
	}
	rc = read_to(r, &t, zero, count);
	if (!r->copy && n && xyl_foreign_unmap(r->x, t.window, n) < 0)
		return -1;
	return rc;
}

/* Pages that have come without contents: zeros are there, or are put there. */
static int clear_pages(struct restore *r, struct restore_page **pages, uint32_t count)
{
	uint64_t mfns[XYL_BATCH];
	uint8_t *window;
	uint32_t n = 0;
	int rc = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (!pages[i]->zero)
			mfns[n++] = pages[i]->mfn;
		pages[i]->zero = true;
	}
	if (!n)
		return 0;
	if (!r->copy) {
		window = xyl_foreign_map(r->x, r->domid, PROT_READ | PROT_WRITE, mfns, n, NULL);
		if (!window)
			return stream_because(&r->s);
		memset(window, 0, (size_t)n * XYL_PAGE_BYTES);
		return xyl_foreign_unmap(r->x, window, n);
	}
	memset(framecopy_buffer(r->copy), 0,
	       (size_t)(n < FRAMECOPY_BATCH ? n : FRAMECOPY_BATCH) * XYL_PAGE_BYTES);
	for (uint32_t at = 0; at < n && rc == 0; at += FRAMECOPY_BATCH)
		rc = framecopy_write(r->copy, mfns + at, n - at < FRAMECOPY_BATCH ? n - at : FRAMECOPY_BATCH);
	return rc < 0 ? stream_because(&r->s) : 0;
}

/* Up to XYL_BATCH pages of a record: frames for them, then their contents. */
static int read_batch(struct restore *r, const uint64_t *list, uint32_t count)
{
	struct restore_page *pages[XYL_BATCH], *zeros[XYL_BATCH];
	uint32_t n = 0, zero_count = 0;

	if (populate(r, list, count) < 0)
		return -1;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t pfn = stream_pfn(list[i]);
		unsigned type = stream_pfn_type(list[i]);
		struct restore_page *page = restore_page(r, pfn);

		if (!page)
			continue; /* there is none, and should be none */
		if (type == STREAM_PAGE_ALLOCATED && r->order.zeros_by_type) {
			set_type(r, page, STREAM_PAGE_NORMAL);
			zeros[zero_count++] = page;
			continue;
		}
		set_type(r, page, type);
		if (stream_page_has_content(type))
			pages[n++] = page;
	}
	if ((n && read_contents(r, pages, n) < 0) || clear_pages(r, zeros, zero_count) < 0)
		return -1;
	r->s.progress.pages_done += count;
	return stream_tick(&r->s);
}

int restore_page_data(struct restore *r, uint32_t bytes)
{
	struct stream_page_data head;

	if (stream_read(&r->s, &head, sizeof(head), "record PAGE_DATA") < 0 ||
	    stream_check_page_count(&r->s, &head, bytes) < 0)
		return -1;
	if (stream_read(&r->s, r->list, head.count * sizeof(*r->list), "record PAGE_DATA") < 0 ||
	    stream_check_pages(&r->s, r->list, head.count, r->pfn_count, bytes) < 0)
		return -1;
	for (uint32_t at = 0; at < head.count; at += XYL_BATCH) {
		uint32_t n = head.count - at < XYL_BATCH ? head.count - at : XYL_BATCH;

		if (read_batch(r, r->list + at, n) < 0)
			return -1;
	}
	return 0;
}

/* ---- when all is there ---- */

/* Where the pages of a table's entries are looked for. */
struct cursor {
	struct restore *r;
	const struct restore_page *at, *end; /* of what was asked for last; of all */
};

static inline uint64_t to_mfn(void *data, uint64_t pfn)
{
	struct cursor *c = data;

	c->at = restore_page(c->r, pfn);
	return c->at ? c->at->mfn : XYL_PAGE_NONE;
}

static inline uint64_t to_next_mfn(void *data)
{
	struct cursor *c = data;

	if (c->at + 1 >= c->end || c->at[1].pfn != c->at->pfn + 1)
		return XYL_PAGE_NONE;
	c->at++;
	return c->at->mfn;
}

static int translate(struct restore *r, const struct restore_page *page, uint64_t *table)
{
	struct cursor c = { .r = r, .end = r->pages + r->page_count };
	unsigned level = page->type & 7u;
	uint64_t entry = 0;
	enum pvtables_result result =
	        pvtables_translate(table, table, level, to_mfn, to_next_mfn, &c, &entry);

	if (result == PVTABLES_OK)
		return 0;
	return stream_bad(&r->s, "its L%u page table %#llx maps %s (entry %#llx)", level,
	                  (unsigned long long)page->pfn,
	                  result == PVTABLES_LARGE ? "a large page" : "a page that the domain does not have",
	                  (unsigned long long)entry);
}

/* Drops those that are none any more. */
static void settle_tables(struct restore *r)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < r->table_count; i++)
		if (stream_page_is_table(r->pages[r->tables[i]].type))
			r->tables[n++] = r->tables[i];
	r->table_count = n;
}

static int translate_tables(struct restore *r)
{
	for (uint64_t at = 0; at < r->table_count; at += XYL_BATCH) {
		uint64_t n = r->table_count - at < XYL_BATCH ? r->table_count - at : XYL_BATCH;
		uint64_t mfns[XYL_BATCH], *window;
		int rc = 0;

		for (uint64_t i = 0; i < n; i++)
			mfns[i] = r->pages[r->tables[at + i]].mfn;
		window = xyl_foreign_map(r->x, r->domid, PROT_READ | PROT_WRITE, mfns, n, NULL);
		if (!window)
			return stream_because(&r->s);
		for (uint64_t i = 0; i < n && rc == 0; i++)
			rc = translate(r, &r->pages[r->tables[at + i]], window + i * PAGE_WORDS);
		if (xyl_foreign_unmap(r->x, window, n) < 0 || rc < 0 || stream_tick(&r->s) < 0)
			return -1;
	}
	return 0;
}

/* The entries of one page of the guest's table of frames. */
static void fill_table_page(struct restore *r, uint64_t first, uint64_t *out)
{
	for (uint64_t i = 0; i < PAGE_WORDS; i++) {
		const struct restore_page *page = restore_page(r, first + i), *end = r->pages + r->page_count;

		out[i] = page ? page->mfn : XYL_PAGE_NONE; /* which is all ones there as well */
		/* Those behind it mostly stand behind it here, too. */
		for (; page && i + 1 < PAGE_WORDS && page + 1 < end && page[1].pfn == first + i + 1; page++)
			out[++i] = page[1].mfn;
	}
}

static int write_table_pages(struct restore *r)
{
	for (uint64_t at = 0; at < r->table_page_count; at += XYL_BATCH) {
		uint64_t n = r->table_page_count - at < XYL_BATCH ? r->table_page_count - at : XYL_BATCH;
		uint64_t mfns[XYL_BATCH], *window;

		for (uint64_t i = 0; i < n; i++) {
			mfns[i] = restore_normal_mfn(r, r->table_pages[at + i], "its table of frames");
			if (mfns[i] == XYL_PAGE_NONE)
				return -1;
		}
		window = xyl_foreign_map(r->x, r->domid, PROT_READ | PROT_WRITE, mfns, n, NULL);
		if (!window)
			return stream_because(&r->s);
		for (uint64_t i = 0; i < n; i++)
			fill_table_page(r, (at + i) * PAGE_WORDS, window + i * PAGE_WORDS);
		if (xyl_foreign_unmap(r->x, window, n) < 0 || stream_tick(&r->s) < 0)
			return -1;
	}
	return 0;
}

static int pin_batch(struct restore *r, const struct mmuext_op *ops, unsigned count)
{
	if (!count || xyl_raw(r->x, __HYPERVISOR_mmuext_op, (uintptr_t)ops, count, 0, r->domid, 0) >= 0)
		return 0;
	return stream_bad(&r->s, "the hypervisor refuses its page tables: %s", strerror(errno));
}

static int pin_tables(struct restore *r)
{
	static const unsigned commands[] = { MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L2_TABLE, MMUEXT_PIN_L3_TABLE,
		                             MMUEXT_PIN_L4_TABLE };
	size_t bytes = XYL_BATCH * sizeof(struct mmuext_op);
	struct mmuext_op *ops = xyl_hypercall_alloc(r->x, bytes);
	unsigned n = 0;
	int rc = 0;

	if (!ops)
		return -1;
	for (uint64_t i = 0; i < r->table_count && rc == 0; i++) {
		const struct restore_page *page = &r->pages[r->tables[i]];

		if (!(page->type & STREAM_PAGE_PINNED))
			continue;
		ops[n].cmd = commands[(page->type & 7) - 1];
		ops[n].arg1.mfn = page->mfn;
		if (++n == XYL_BATCH) {
			rc = pin_batch(r, ops, n);
			n = 0;
			if (rc == 0)
				rc = stream_tick(&r->s);
		}
	}
	if (rc == 0)
		rc = pin_batch(r, ops, n);
	xyl_hypercall_free(r->x, ops, bytes);
	return rc;
}

int restore_finish_memory(struct restore *r)
{
	uint64_t kib;

	if (give_back(r, r->spare_count) < 0)
		return -1;
	kib = r->how->max_memory_kib ? r->how->max_memory_kib : r->frame_count * 4;
	settle_tables(r);
	if (translate_tables(r) < 0 || write_table_pages(r) < 0 || pin_tables(r) < 0)
		return -1;
	if (xyl_memory_set_max(r->x, r->domid, kib) < 0 || xyl_memory_set_map(r->x, r->domid, kib) < 0)
		return stream_because(&r->s);
	return 0;
}
