/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Page tables between frames and pfns: each entry as one by one, also where runs of frames are told faster. */
#include "../../lib/random.h"
#include "../../lib/tap.h"
#include "libxenctrl/src/pvtables.h"

#define PFNS     4096u
#define OFFSET_1 UINT64_C(0x100000) /* of the frames of the lower half of pfns; the upper half is */
#define OFFSET_2 UINT64_C(0x7ffff0) /* elsewhere, and each 97th has none */

struct lookup {
	uint64_t last;
	unsigned runs; /* frames that next() told */
};

static uint64_t frame_of(uint64_t pfn)
{
	if (pfn >= PFNS || pfn % 97 == 5)
		return XYL_PAGE_NONE;
	return pfn + (pfn < PFNS / 2 ? OFFSET_1 : OFFSET_2);
}

static uint64_t ask(void *data, uint64_t pfn)
{
	((struct lookup *)data)->last = pfn;
	return frame_of(pfn);
}

static uint64_t next(void *data)
{
	struct lookup *l = data;

	/* It may leave any to ask(). */
	if (random_below(8) == 0 || frame_of(l->last + 1) == XYL_PAGE_NONE)
		return XYL_PAGE_NONE;
	l->runs++;
	return frame_of(++l->last);
}

/* Runs, holes, other bits, entries that are not present, large ones, pfns that nobody has. */
static void fill(uint64_t *table, unsigned faults)
{
	uint64_t pfn = 0, bits = 0x27;

	for (unsigned i = 0; i < 512; i++) {
		uint32_t dice = random_below(64);

		if (dice == 0)
			pfn = random_below(PFNS);
		else if (dice == 1)
			bits = UINT64_C(0x8000000000000000) * random_below(2) | random_below(0x80) | 1;
		pfn = (pfn + 1) % PFNS;
		table[i] = dice == 2 ? random_below(1000) * 2 : (pfn << 12) | bits;
		if (frame_of(pfn) == XYL_PAGE_NONE)
			table[i] = 0;
		if (dice == 3)
			for (unsigned j = random_below(40); j && i + 1 < 512; j--)
				table[i++] = 0;
	}
	if (faults & 1)
		table[random_below(512)] = UINT64_C(0x5) << 12 | 1;
	if (faults & 2)
		table[random_below(512)] |= 0x81;
}

/* As the stream has it, entry by entry. */
static enum pvtables_result plainly(const uint64_t *from, uint64_t *to, unsigned level, uint64_t *entry)
{
	for (unsigned i = 0; i < 512; i++) {
		uint64_t e = from[i], frame = (e & UINT64_C(0x000ffffffffff000)) >> 12;

		to[i] = e;
		if (level == 4 && i >= 256 && i < 272)
			to[i] = 0;
		else if (e & 1) {
			*entry = e;
			if (level > 1 && (e & 0x80))
				return PVTABLES_LARGE;
			if (frame_of(frame) == XYL_PAGE_NONE)
				return PVTABLES_UNKNOWN;
			to[i] = (e & UINT64_C(0xfff0000000000fff)) | frame_of(frame) << 12;
		}
	}
	return PVTABLES_OK;
}

static bool same(const uint64_t *from, unsigned level, pvtables_next_fn *by, bool in_place, unsigned *runs)
{
	uint64_t expected[512], to[512], entry = 0, wrong = 0;
	struct lookup l = { 0 };
	enum pvtables_result want = plainly(from, expected, level, &wrong), got;

	if (in_place)
		memcpy(to, from, sizeof(to));
	got = pvtables_translate(in_place ? to : from, to, level, ask, by, &l, &entry);
	*runs += l.runs;
	return got == want && (got == PVTABLES_OK ? !memcmp(to, expected, sizeof(to)) : entry == wrong);
}

int main(void)
{
	static uint64_t table[512];
	unsigned results[3] = { 0 }, runs[5] = { 0 }, none = 0, bad = 0;

	for (unsigned n = 0; n < 20000; n++) {
		unsigned level = 1 + n % 4;
		uint64_t to[512], entry;

		fill(table, n / 4 % 8 < 4 ? 0 : n / 4);
		results[plainly(table, to, level, &entry)]++;
		bad += !same(table, level, NULL, false, &none) || !same(table, level, NULL, true, &none) ||
		       !same(table, level, next, false, &runs[level]) ||
		       !same(table, level, next, true, &runs[level]);
	}
	tap_ok(bad == 0, "every entry becomes what it becomes alone: %u tables of 20000 do not", bad);
	tap_ok(results[PVTABLES_OK] > 1000 && results[PVTABLES_UNKNOWN] > 1000 &&
	               results[PVTABLES_LARGE] > 1000,
	       "whole tables, unknown frames and large pages are among them: %u, %u, %u",
	       results[PVTABLES_OK], results[PVTABLES_UNKNOWN], results[PVTABLES_LARGE]);
	tap_ok(runs[1] > 100000 && !runs[2] && !runs[3] && !runs[4],
	       "runs are told in L1 tables: %u entries, and in no other", runs[1]);
	return tap_end();
}
