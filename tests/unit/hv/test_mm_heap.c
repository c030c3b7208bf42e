/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The allocator: zones, buddies, the low reserve, small objects. */
#include "fake/dom.h"
#include "hw/tlb.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/heap.h"
#include <pthread.h>

#define LOW_FRAMES  4096
#define HIGH_FRAMES 1024
#define LOW_LIMIT   (1ull << 20)

static void buddies(void)
{
	uint64_t before = heap_free_pages();
	mfn_t a[16], big;
	bool good = true, clear = true;

	for (unsigned i = 0; i < 16; i++) {
		a[i] = heap_alloc(i % 4, 0);
		good &= !mfn_eq(a[i], INVALID_MFN) && !(a[i].m & ((1u << i % 4) - 1));
		memset(mfn_map_own(a[i]), 0xee, PAGE_SIZE << i % 4);
		for (unsigned j = 0; j < i; j++)
			good &= a[i].m + (1u << i % 4) <= a[j].m || a[j].m + (1u << j % 4) <= a[i].m;
	}
	tap_ok(good, "blocks are aligned and do not overlap");
	for (unsigned i = 0; i < 16; i++)
		heap_free(a[(i * 7) % 16], (i * 7) % 16 % 4);
	tap_ok(heap_free_pages() == before, "all of it comes back");
	big = heap_alloc(9, 0);
	for (unsigned i = 0; i < 512; i++)
		for (unsigned w = 0; w < 512; w++)
			clear &= !((uint64_t *)mfn_map_own(mfn_add(big, i)))[w];
	tap_ok(!mfn_eq(big, INVALID_MFN) && !(big.m & 511) && clear,
	       "freed blocks join again and are cleared");
	heap_free(big, 9);
	tap_ok(mfn_eq(heap_alloc(HEAP_MAX_ORDER, 0), INVALID_MFN) &&
	               mfn_eq(heap_alloc(HEAP_MAX_ORDER + 1, 0), INVALID_MFN),
	       "what is not there is refused");
}

static void zones(void)
{
	struct domain_mm *d0 = &fake_domains[0].mm, *d1 = &fake_domains[1].mm;
	/* The CPUs' own pages come from there too. */
	uint64_t low = 0, high = LOW_FRAMES - 1 + HIGH_FRAMES - heap_free_pages();
	uint64_t spare;
	mfn_t mfn;

	mfn = heap_alloc(0, HEAP_LOW);
	tap_ok(mfn.m < LOW_LIMIT, "low memory when it is asked for");
	heap_free(mfn, 0);
	spare = heap_spare_pages();
	tap_ok(heap_claim(d1, spare + 1) == -ENOMEM && !heap_claim(d1, spare) && !heap_claim(d1, 0),
	       "a domain may claim what the toolstack is told of, and no more");
	while (!domain_frame_alloc(d1, 0, 0, &mfn))
		*(mfn.m < LOW_LIMIT ? &low : &high) += 1;
	tap_ok(d1->tot_pages == spare && !heap_spare_pages(), "and is given all of that, and no more");
	tap_ok(high == HIGH_FRAMES, "a domain's memory comes from above 4 GiB first");
	tap_ok(low < LOW_FRAMES && heap_free_pages() >= (LOW_FRAMES - 1) / 32,
	       "a domain leaves the low reserve");
	tap_ok(domain_frame_alloc(d1, 0, HEAP_LOW, &mfn) == -ENOMEM, "also when it asks for low memory");
	tap_ok(!domain_frame_alloc(d0, 6, HEAP_LOW, &mfn) && mfn.m < LOW_LIMIT, "dom0 gets it");
	tap_ok(!domain_frame_release(d0, mfn) && d0->tot_pages == 63,
	       "the first frame of a larger block goes alone");
}

static void objects(void)
{
	uint64_t before = heap_free_pages();
	static const size_t sizes[] = { 1, 16, 17, 100, 512, 2048, 2049, 4096, 5000, 65536 };
	void *p[200];
	bool good = true;

	for (unsigned i = 0; i < 200; i++) {
		size_t n = sizes[i % ARRAY_SIZE(sizes)];

		p[i] = hv_alloc(n);
		good &= p[i] && !((uintptr_t)p[i] & 15);
		for (size_t at = 0; p[i] && at < n; at += 13)
			good &= !((uint8_t *)p[i])[at];
		if (p[i])
			memset(p[i], (int)i + 1, n);
	}
	for (unsigned i = 0; i < 200; i++)
		for (size_t at = 0; p[i] && at < sizes[i % ARRAY_SIZE(sizes)]; at += 13)
			good &= ((uint8_t *)p[i])[at] == (uint8_t)(i + 1);
	tap_ok(good, "objects are clear, aligned and apart");
	for (unsigned i = 0; i < 200; i++)
		hv_free(p[(i * 77) % 200]);
	hv_free(NULL);
	tap_ok(heap_free_pages() == before, "the last object of a slab gives the frame back");
	p[0] = hv_alloc_aligned(100, 4096);
	p[1] = hv_alloc_aligned(24, 64);
	tap_ok(p[0] && !((uintptr_t)p[0] & 4095) && p[1] && !((uintptr_t)p[1] & 63), "alignment");
	hv_free(p[0]);
	hv_free(p[1]);
	tap_ok(!hv_alloc(65537) && !hv_alloc((size_t)-1) && !hv_alloc_aligned(1, 8192),
	       "oversize is refused");
}

static bool all_clear(mfn_t first, uint64_t n)
{
	const uint64_t *word = mfn_map_own(first);

	for (uint64_t i = 0; i < n * (PAGE_SIZE / sizeof(*word)); i++)
		if (word[i])
			return false;
	return true;
}

/* Until nothing is left to do; false when that does not end. */
static bool scrub_all(void)
{
	unsigned rounds = 0;

	while (heap_scrub())
		if (++rounds > 100000)
			return false;
	return true;
}

/* What idle CPUs do: free frames are cleared, once their former owner cannot reach them any more. */
static void scrub(void)
{
	struct domain_mm *d1 = &fake_domains[1].mm;
	uint64_t before = heap_free_pages();
	mfn_t block = heap_alloc(4, 0), mine = INVALID_MFN, again;
	unsigned flushes;
	bool good;

	memset(mfn_map_own(block), 0xee, PAGE_SIZE << 4);
	heap_free(block, 4);
	tap_ok(scrub_all() && all_clear(block, 16), "idle time clears free frames");
	tap_ok(heap_free_pages() == before, "and they stay free all the while");
	flushes = fake_flushes;
	again = heap_alloc(4, 0);
	memset(mfn_map_own(again), 0xdd, PAGE_SIZE << 4);
	heap_free(again, 4);
	block = heap_alloc(4, 0);
	tap_ok(all_clear(block, 16) && fake_flushes == flushes,
	       "what is freed and taken at once is cleared when taken");
	heap_free(block, 4);

	good = scrub_all() && !domain_frame_alloc(d1, 0, 0, &mine);
	memset(mfn_map_own(mine), 0xcc, PAGE_SIZE);
	flushes = fake_flushes;
	good &= !domain_frame_release(d1, mine);
	(void)heap_scrub();
	tap_ok(good && fake_flushes > flushes && !all_clear(mine, 1),
	       "a domain's frame: first every TLB is flushed");
	tap_ok(scrub_all() && all_clear(mine, 1), "then it is cleared");
	flushes = fake_flushes;
	again = heap_alloc(0, 0);
	tap_ok(fake_flushes == flushes && all_clear(again, 1), "and taken without a further flush");
	memset(mfn_map_own(again), 0xbb, PAGE_SIZE);
	heap_free(again, 0);

	/* A block that was half done when it was taken and freed again is not believed to be half done. */
	block = heap_alloc(5, HEAP_NOSCRUB);
	memset(mfn_map_own(block), 0xaa, PAGE_SIZE << 5);
	heap_free(block, 5);
	(void)heap_scrub();
	again = heap_alloc(5, HEAP_NOSCRUB);
	memset(mfn_map_own(again), 0xaa, PAGE_SIZE << 5);
	heap_free(again, 5);
	tap_ok(scrub_all() && all_clear(block, 32) && all_clear(again, 32),
	       "a block freed in the middle of its clearing");
	good = true;
	for (unsigned order = 0; order <= 9; order++) {
		block = heap_alloc(order, 0);
		good &= !mfn_eq(block, INVALID_MFN) && all_clear(block, 1ull << order);
		memset(mfn_map_own(block), 0x99, PAGE_SIZE << order);
		heap_free(block, order);
	}
	tap_ok(good, "blocks of all sizes are clear afterwards");
}

/* Two frames of a block that became free at two times: is everybody flushed before it is handed out? */
static bool flushed_for(uint32_t clock, uint32_t first, uint32_t second)
{
	struct domain_mm *d1 = &fake_domains[1].mm;
	mfn_t block = INVALID_MFN, got[64];
	bool flushed = false;
	unsigned n = 0;

	if (domain_frame_alloc(d1, 1, HEAP_NOSCRUB, &block) || domain_frame_release(d1, block) ||
	    domain_frame_release(d1, mfn_add(block, 1)))
		return false;
	mfn_frame(block)->tlb_stamp = first;
	mfn_frame(mfn_add(block, 1))->tlb_stamp = second;
	fake_tlb_clock(clock);
	while (n < ARRAY_SIZE(got)) {
		unsigned before = fake_flushes;

		got[n] = heap_alloc(1, HEAP_NOSCRUB);
		flushed = fake_flushes > before;
		if (mfn_eq(got[n++], block))
			break;
	}
	flushed &= mfn_eq(got[n - 1], block);
	while (n)
		heap_free(got[--n], 1);
	return flushed;
}

/* The clock of flushes has 32 bits and starts again at 1 when it is full. */
static void stamps(void)
{
	uint32_t late = 0x90000005;

	tlb_flush(&cpus_online); /* all CPUs have flushed at some small time */
	tap_ok(flushed_for(late, 5, late) && flushed_for(late + 10, late + 9, 5),
	       "frames of a block that were freed more than half the clock apart");
	fake_tlb_clock(1);
	tlb_flush(&cpus_online);
	tap_ok(flushed_for(6, 6, 0x70000000) && flushed_for(20, 0x7000000f, 20),
	       "a stamp from before the clock wrapped hides none from after it");
	fake_tlb_clock(1000);
	tlb_flush(&cpus_online);
	tap_ok(flushed_for(2000, 0, 1) && flushed_for(3000, 1, 0),
	       "a stamp of when the clock stood still means everybody");
}

static unsigned locked_clears, clears, most_clears;

static void note_clear(mfn_t mfn)
{
	(void)mfn;
	locked_clears += fake_locks_held() != 0;
	clears++;
}

static void scrubbing_without_the_lock(void)
{
	fake_dirty_all();
	fake_map_hook = note_clear;
	locked_clears = clears = 0;
	while (heap_scrub())
		;
	fake_map_hook = NULL;
	tap_ok(clears > 1000 && !locked_clears, "idle CPUs clear free frames without the heap's lock");
}

static void taken_while_scrubbed(void)
{
	uint64_t before;
	bool clear = true;
	mfn_t big;

	fake_dirty_all();
	before = heap_free_pages();
	(void)heap_scrub();
	big = heap_alloc(9, 0);
	for (unsigned i = 0; i < 512; i++)
		for (unsigned w = 0; w < 512; w++)
			clear &= !((uint64_t *)mfn_map_own(mfn_add(big, i)))[w];
	tap_ok(clear, "what was cleared in part is clear when it is handed out");
	heap_free(big, 9);
	tap_ok(heap_free_pages() == before, "and all of it comes back");
}

static volatile bool stop;

static void *scrubber(void *arg)
{
	fake_set_cpu(1);
	while (!stop)
		(void)heap_scrub();
	return arg;
}

/* Frames come and go while another CPU clears free ones: what their owner writes stays. */
static void owned_while_scrubbed(void)
{
	pthread_t thread;
	bool good = true;

	fake_dirty_all();
	if (pthread_create(&thread, NULL, scrubber, NULL))
		abort();
	for (unsigned i = 0; i < 20000 && good; i++) {
		unsigned order = i % 5;
		mfn_t mfn = heap_alloc(order, i & 8 ? HEAP_NOSCRUB : 0);

		for (unsigned k = 0; k < 1u << order; k++)
			memset(mfn_map_own(mfn_add(mfn, k)), 0x5a, PAGE_SIZE);
		for (unsigned k = 0; k < 1u << order; k++)
			for (unsigned w = 0; w < 512; w += 7)
				good &= ((uint64_t *)mfn_map_own(mfn_add(mfn, k)))[w] == 0x5a5a5a5a5a5a5a5a;
		heap_free(mfn, order);
	}
	stop = true;
	pthread_join(thread, NULL);
	tap_ok(good, "nobody clears a frame that has an owner");
}

static void look_for_work(void)
{
	most_clears = MAX(most_clears, clears);
	clears = 0;
}

static void large_extents_are_cleared_in_parts(void)
{
	struct domain_mm *d0 = &fake_domains[0].mm;
	mfn_t mfn;
	unsigned calls = 0;

	fake_dirty_all();
	fake_map_hook = note_clear;
	clears = most_clears = locked_clears = 0;
	while (heap_clear_ahead(d0, 9, 0)) {
		calls++;
		look_for_work();
	}
	tap_ok(calls >= 8 && most_clears <= 64 && !locked_clears,
	       "a large block is cleared ahead, 64 frames at a time");
	clears = 0;
	tap_ok(!domain_frame_alloc(d0, 9, 0, &mfn) && clears == 0,
	       "and nothing is left to clear when it is taken");
	fake_map_hook = NULL;
	for (unsigned i = 0; i < 512; i++)
		if (domain_frame_release(d0, mfn_add(mfn, i)))
			abort();
}

/* What was handed out and given back unwritten, as an exchange of frames that is preempted does. */
static void unwritten_blocks_stay_clear(void)
{
	mfn_t block, again;
	bool good;

	fake_dirty_all();
	block = heap_alloc(5, 0);
	heap_free_clear(block, 5);
	clears = 0;
	fake_map_hook = note_clear;
	again = heap_alloc(5, 0);
	fake_map_hook = NULL;
	tap_ok(mfn_eq(again, block) && !clears && all_clear(again, 32),
	       "a block that comes back unwritten is not cleared again");
	memset(mfn_map_own(again), 0xee, PAGE_SIZE << 5);
	heap_free(again, 5);
	block = heap_alloc(5, 0);
	good = all_clear(block, 32);
	/* Beside one that was written it is no part of a clear block. */
	again = heap_alloc(5, 0);
	memset(mfn_map_own(block), 0xee, PAGE_SIZE << 5);
	heap_free(block, 5);
	heap_free_clear(again, 5);
	good &= scrub_all();
	clears = 0;
	fake_map_hook = note_clear;
	block = heap_alloc(6, 0);
	fake_map_hook = NULL;
	tap_ok(good && all_clear(block, 64) && !clears,
	       "one that was written is, by idle CPUs if they come first");
	heap_free(block, 6);
}

int main(void)
{
	tap_plan(29 + 6);
	fake_init(LOW_FRAMES, HIGH_FRAMES);
	for (unsigned i = 0; i < 2; i++)
		fake_domain_create(i, 1 << 20);
	buddies();
	objects();
	scrub();
	stamps();
	scrubbing_without_the_lock();
	taken_while_scrubbed();
	owned_while_scrubbed();
	large_extents_are_cleared_in_parts();
	unwritten_blocks_stay_clear();
	zones();
	return tap_end();
}
