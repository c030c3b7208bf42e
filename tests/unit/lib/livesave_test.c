/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Saving a guest that runs, on a fake hypervisor (fakehv.h): before each call of it the guest does something. What is
 * restored is what it had when it suspended, whatever it did before; rounds end; no exit leaves the log of dirty pages on,
 * or a page mapped. LIVE_SAVES=N in the environment: another number of random guests.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/random.h"
#include "restoredguest.h"

#define EXTRA 160u /* pages of data at pfns from LOW on, in guests that have many */

static struct xyl *const x = NULL; /* the fake hypervisor needs no handle */
static int fd = -1;

/* What the callbacks find, and shall do. */
static struct {
	unsigned asked;       /* the progress function, how often */
	unsigned stop_at;     /* it says no then; 0: never */
	unsigned suspended;   /* the suspend function, how often */
	bool refuse, pretend; /* it says no, or says yes and does nothing */
	void (*settle)(void); /* the guest's last work before it suspends */
	unsigned limits_asked;
	struct xyl_live_limits limits;
	void (*new_limits)(void);
	struct xyl_progress last;
	uint64_t dirty[64]; /* of each round */
	bool zeros_by_type;
	unsigned throttles[32], throttled; /* what the throttle function was told, and how often */
	bool cannot_throttle;
} t;

static bool progress(const struct xyl_progress *p, void *data)
{
	(void)data;
	t.last = *p;
	if (p->round < 64)
		t.dirty[p->round] = p->dirty_pages;
	return ++t.asked != t.stop_at;
}

static bool suspend(void *data)
{
	(void)data;
	t.suspended++;
	if (t.refuse)
		return false;
	if (t.settle)
		t.settle();
	if (t.pretend)
		return true;
	fake_between = NULL;
	fake_domains[1].shutdown = true;
	fake_domains[1].reason = XYL_SHUTDOWN_SUSPEND;
	return true;
}

static void limits(struct xyl_live_limits *l, void *data)
{
	(void)data;
	t.limits_asked++;
	if (t.new_limits)
		t.new_limits();
	*l = t.limits;
}

static bool throttle(unsigned percent, void *data)
{
	(void)data;
	if (t.throttled < 32)
		t.throttles[t.throttled] = percent;
	t.throttled++;
	return !t.cannot_throttle;
}

/* A guest that runs, with some or many pages. */
static void make_running(unsigned extra)
{
	guest_make();
	memset(&t, 0, sizeof(t));
	for (unsigned i = LOW; i < LOW + extra; i++) {
		guest_frames[i] = fake_give(1);
		guest_words(LEAF)[i] = guest_frames[i];
		memset(guest_words(i), (int)i, XYL_PAGE_BYTES);
	}
	fake_domains[1].shutdown = false;
	guest_shared(1)->evtchn_mask[63] = UINT64_C(1) << 63; /* as a kernel without FIFO event channels */
}

static int save_live(void)
{
	const struct xyl_live how = { suspend, limits, throttle, t.zeros_by_type };

	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	return xyl_domain_save_live(x, 1, fd, &how, progress, NULL);
}

static int restore(uint64_t max_pages)
{
	struct xyl_pv_restore how = { .console_port = 7, .store_port = 8, .max_memory_kib = max_pages * 4 };
	struct xyl_pv_restored made;
	int rc;

	fake_create(2);
	if (lseek(fd, 0, SEEK_SET) < 0)
		abort();
	rc = xyl_domain_restore(x, 2, fd, &how, &made, NULL, NULL);
	if (rc == 0)
		CHECK_THAT(made.pages == fake_domains[1].page_count &&
		           fake_domains[2].page_count == made.pages);
	return rc;
}

static bool nothing_left(void)
{
	return !fake_domains[1].logging && !fake_mapped && !fake_allocated;
}

static void write_page(unsigned pfn)
{
	memset(guest_words(pfn), random_below(4) ? (int)random_below(256) : 0, XYL_PAGE_BYTES);
	fake_dirty(1, pfn);
}

/* ---- rounds ---- */

static void test_quiet(void)
{
	make_running(0);
	CHECK_THAT(save_live() == 0 && nothing_left());
	CHECK_THAT(t.suspended == 1 && t.last.round == 2 && t.dirty[1] == LOW + 4 && t.last.downtime_us > 0);
	CHECK_THAT(t.dirty[2] == 2); /* store and console */
	CHECK_THAT(t.last.pages_done == t.last.pages_total && t.last.rate > 0);
	CHECK_THAT(restore(0) == 0);
	check_memory();
	verdict("a guest that does nothing: one round, and the pages that it shares");
}

static unsigned busy_pages; /* that a guest writes in each round */
static unsigned calms;      /* how many fewer in each round */
static uint32_t busy_round;

static void busy(void)
{
	if (t.last.round == busy_round)
		return;
	busy_round = t.last.round;
	for (unsigned i = 0; i < busy_pages; i++)
		write_page(LOW + i);
	busy_pages -= calms < busy_pages ? calms : busy_pages;
}

static void make_busy(unsigned pages, unsigned calmer)
{
	make_running(EXTRA);
	t.limits.max_downtime_us = 1;
	busy_pages = pages;
	calms = calmer;
	busy_round = 0;
	fake_between = busy;
}

static void test_converges(void)
{
	make_busy(150, 40);
	CHECK_THAT(save_live() == 0 && nothing_left() && t.suspended == 1);
	CHECK_THAT(t.dirty[2] == 150 && t.dirty[3] == 110 && t.dirty[4] == 70 && t.last.round == 5);
	CHECK_THAT(restore(0) == 0);
	check_memory();
	verdict("a guest that changes less each time is suspended when that is little");

	make_busy(150, 0);
	t.limits.max_downtime_us = 60 * 1000000;
	CHECK_THAT(save_live() == 0 && nothing_left() && t.last.round == 2);
	verdict("or when the rest can be sent in the time that it may stand still");
}

static void test_never(void)
{
	make_busy(EXTRA, 0);
	t.limits.max_rounds = 2;
	CHECK_THAT(save_live() == 0 && nothing_left() && t.last.round == 3);
	CHECK_THAT(restore(0) == 0);
	check_memory();
	verdict("a guest that changes all of it all the time is suspended after so many rounds");

	make_busy(EXTRA, 0);
	CHECK_THAT(save_live() == 0 && nothing_left());
	CHECK_THAT(t.last.round < 6 && t.last.pages_done < 5 * (LOW + 4 + EXTRA));
	CHECK_THAT(restore(0) == 0);
	check_memory();
	verdict("or after three times its memory (%u rounds, %llu pages)", t.last.round,
	        (unsigned long long)t.last.pages_done);
}

/* What it writes is what its CPU time is enough for. */
static void busy_as_throttled(void)
{
	busy_pages = EXTRA * (100 - t.last.throttle) / 100;
	busy();
}

static void make_throttled(unsigned initial, unsigned increment)
{
	make_busy(EXTRA, 0);
	fake_between = busy_as_throttled;
	t.limits.throttle_initial = initial;
	t.limits.throttle_increment = increment;
}

static bool throttles_are(const unsigned *expected, unsigned count)
{
	return t.throttled == count && !memcmp(t.throttles, expected, count * sizeof(*expected));
}

static void test_throttled(void)
{
	static const unsigned by_twenty[] = { 40, 60, 80, 0 }, usual[] = { 45, 55, 65, 75, 0 },
	                      most[] = { 90, 99, 0 }, once[] = { 20, 0 };

	make_throttled(0, 5);
	CHECK_THAT(save_live() == 0 && nothing_left() && !t.throttled);
	verdict("no guest is throttled unless that is asked for");

	make_throttled(40, 20);
	CHECK_THAT(save_live() == 0 && nothing_left() && t.suspended == 1);
	CHECK_THAT(throttles_are(by_twenty, 4) && !t.last.throttle);
	CHECK_THAT(restore(0) == 0);
	check_memory();
	verdict("one that changes as much as is sent gets less CPU time until it does not, and all of it to suspend");

	make_throttled(45, 0);
	CHECK_THAT(save_live() == 0 && throttles_are(usual, 5) && t.last.pages_done > 3 * (LOW + 4 + EXTRA));
	verdict("by ten percent more, for longer than three times its memory takes");

	make_throttled(90, 90);
	fake_between = busy; /* and cares for nothing */
	CHECK_THAT(save_live() == 0 && nothing_left() && throttles_are(most, 3) && t.last.round == 31);
	CHECK_THAT(t.suspended == 1);
	verdict("not beyond 99 percent, and to the last round");

	make_busy(150, 80);
	t.limits.throttle_initial = 20;
	CHECK_THAT(save_live() == 0 && !t.throttled && t.last.round == 4);
	verdict("one that changes less than half as much as is sent keeps its CPU time");

	make_throttled(20, 0);
	t.cannot_throttle = true;
	CHECK_THAT(save_live() == 0 && nothing_left() && t.throttled && !t.last.throttle);
	CHECK_THAT(t.throttles[t.throttled - 1] && t.last.pages_done < 5 * (LOW + 4 + EXTRA));
	verdict("where it cannot be, a guest is suspended after three times its memory");

	for (unsigned at = 1;; at++) {
		make_throttled(20, 0);
		t.limits.max_rounds = 4;
		t.stop_at = at;
		if (save_live() == 0)
			break;
		CHECK_THAT(errno == ECANCELED && nothing_left() && (!t.throttled || throttles_are(once, 2)));
	}
	verdict("a save that is given up leaves none throttled");
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void lift(void)
{
	if (t.limits_asked == 4)
		t.limits.bandwidth = 0;
}

static void test_bandwidth(void)
{
	uint64_t began = now_ms();

	make_running(EXTRA);
	t.limits.bandwidth = 4000000;
	CHECK_THAT(save_live() == 0 && now_ms() - began >= 150);
	CHECK_THAT(t.last.rate > 0);
	verdict("a limit of bytes per second is kept");
	make_running(EXTRA);
	t.limits.bandwidth = 1;
	t.new_limits = lift;
	began = now_ms();
	CHECK_THAT(save_live() == 0 && nothing_left() && now_ms() - began < 10000);
	verdict("and may be lifted meanwhile");
	make_running(EXTRA);
	t.limits.bandwidth = 1;
	t.stop_at = 30;
	CHECK_THAT(save_live() < 0 && errno == ECANCELED && nothing_left() && !t.suspended);
	verdict("whoever waits for it can stop");
}

/* ---- exits ---- */

static void refuse(const char *name, int error, const char *word)
{
	int rc = save_live();

	tap_ok(rc < 0 && errno == error && strstr(xyl_error(), word) && nothing_left(), "not saved: %s",
	       name);
	printf("# %s (errno %d)\n", rc < 0 ? xyl_error() : "it was saved", errno);
}

static void test_refused(void)
{
	static const int errors[] = { ENOSYS, EOPNOTSUPP, EINVAL };

	for (unsigned i = 0; i < 3; i++) {
		make_running(0);
		fake_log_error = errors[i];
		refuse("a hypervisor without a log", ENOTSUP, "cannot save a guest while it runs");
	}
	tap_ok(lseek(fd, 0, SEEK_END) == 0, "before anything of it is written");
	make_running(0);
	fake_log_error = ENOMEM;
	refuse("one that has no memory for it", ENOMEM, "log which pages it changes");
	make_running(0);
	fake_domains[1].logging = true;
	CHECK_THAT(save_live() == 0 && nothing_left());
	verdict("a log that somebody has left on is begun anew");
	make_running(0);
	fake_domains[1].shutdown = true;
	refuse("a domain that does not run", EBUSY, "stopped by itself");
	make_running(0);
	fake_domains[1].there = false;
	refuse("no domain", ESRCH, "domain 1");
	make_running(0);
	fake_domains[1].online[0] = false;
	refuse("one whose vcpu 0 is offline", EINVAL, "vcpu 0");
	make_running(0);
	guest_shared(1)->arch.max_pfn = 0;
	fake_between = NULL;
	refuse("one without a table of frames, after some time", EINVAL, "its size cannot be");
	make_running(0);
	t.refuse = true;
	refuse("a guest that does not suspend", ECANCELED, "not suspended");
	make_running(0);
	t.pretend = true;
	refuse("nor when it is said that it has", EBUSY, "has not shut down for suspend");
	make_running(0);
	guest_words(L1)[150] = UINT64_C(0x777000) | 1;
	refuse("a page table that maps what is another's, also at the end", EBUSY, "not its memory");
	tap_ok(t.suspended == 1, "which is found out when it is suspended");
}

static void test_cancelled(void)
{
	unsigned most;

	make_busy(150, 40);
	CHECK_THAT(save_live() == 0);
	most = t.asked;
	for (unsigned i = 1; i <= most; i++) {
		make_busy(150, 40);
		t.stop_at = i;
		CHECK_THAT(save_live() < 0 && errno == ECANCELED && nothing_left());
	}
	verdict("cancelled at each of %u moments", most);
}

static unsigned calls_left;
static bool destroyed;

static void die(void)
{
	if (calls_left && --calls_left)
		return;
	if (destroyed)
		fake_domains[1].there = false;
	fake_domains[1].shutdown = true;
	fake_domains[1].reason = XYL_SHUTDOWN_CRASH;
}

static void test_dies(void)
{
	unsigned calls;

	make_running(0);
	CHECK_THAT(save_live() == 0);
	calls = fake_calls;
	for (unsigned i = 0; i < 2; i++)
		for (unsigned n = 1; n < calls; n++) {
			make_running(0);
			destroyed = i;
			calls_left = n;
			fake_between = die;
			if (save_live() == 0) /* it was suspended before */
				CHECK_THAT(t.suspended);
			else
				CHECK_THAT((errno == EBUSY || errno == ESRCH) &&
				           (i || !fake_domains[1].logging));
			CHECK_THAT(!fake_mapped && !fake_allocated && (t.suspended || !t.last.downtime_us));
			if (!good) {
				printf("# call %u of %u: errno %d, %s\n", n, calls, errno, xyl_error());
				break;
			}
		}
	verdict("a guest that crashes or is destroyed at each of %u moments", calls);
}

static void test_failing_calls(void)
{
	unsigned calls, saved = 0;

	make_busy(60, 0);
	CHECK_THAT(save_live() == 0);
	calls = fake_calls;
	for (unsigned i = 1; i <= calls; i++) {
		int rc;

		make_busy(60, 0);
		fake_fail_at = i;
		rc = save_live();
		saved += rc == 0; /* it was one that asks whether the guest lives */
		if ((rc < 0 && errno != ENOMEM) || !nothing_left()) {
			printf("# call %u: errno %d, %u mapped, %u allocated, log %d: %s\n", i, errno,
			       fake_mapped, fake_allocated, fake_domains[1].logging, xyl_error());
			good = false;
		}
	}
	CHECK_THAT(saved < calls / 2);
	verdict("a live save in which call 1 to %u fails", calls);
}

/* Whatever else fails: the log would cost the guest time for as long as it lives. */
static void test_log_stays(void)
{
	make_running(0);
	fake_log_stays = 3;
	CHECK_THAT(save_live() == 0 && nothing_left() && !fake_log_stays);
	make_running(0);
	fake_log_stays = 3;
	t.stop_at = 3;
	CHECK_THAT(save_live() < 0 && errno == ECANCELED && nothing_left() && !fake_log_stays);
	verdict("a log that is not switched off at the first try");
}

/* ---- guests that change what their memory is ---- */

/* Entries that name a page a second time, as if it had come since the domain was asked for. */
static void fill_table(bool full)
{
	for (unsigned pfn = 0; pfn < PFNS; pfn++)
		if (!guest_frames[pfn])
			guest_words(LEAF + pfn / 512)[pfn % 512] = full ? guest_frames[DATA] : UINT64_MAX;
	for (unsigned i = 0; i < 3; i++)
		fake_dirty(1, LEAF + i);
}

static void empty_table(void)
{
	fill_table(false);
}

static void test_grows(void)
{
	make_running(0);
	fake_domains[1].max_pages = PFNS;
	fill_table(true);
	t.settle = empty_table;
	CHECK_THAT(save_live() == 0 && nothing_left() && restore(0) == 0);
	check_memory();
	make_running(0);
	fake_domains[1].max_pages = fake_domains[1].page_count;
	fill_table(true);
	t.settle = empty_table;
	CHECK_THAT(save_live() < 0 && errno == EINVAL && nothing_left());
	verdict("a guest that gets more pages while it is looked at, up to its limit");
}

static void balloon_out(unsigned pfn)
{
	unsigned leaf = LEAF + pfn / 512;

	fake_take(1, guest_frames[pfn]);
	guest_frames[pfn] = 0;
	guest_words(leaf)[pfn % 512] = UINT64_MAX;
	fake_dirty(1, leaf);
}

static void balloon_in(unsigned pfn)
{
	unsigned leaf = LEAF + pfn / 512;

	guest_frames[pfn] = fake_give(1);
	guest_words(leaf)[pfn % 512] = guest_frames[pfn];
	fake_dirty(1, leaf);
	write_page(pfn);
}

/* Two pages of data change their frames; tables go on mapping the frames. */
static void swap(unsigned a, unsigned b)
{
	uint64_t mfn = guest_frames[a];

	guest_frames[a] = guest_frames[b];
	guest_frames[b] = mfn;
	guest_words(LEAF)[a] = guest_frames[a];
	guest_words(LEAF)[b] = guest_frames[b];
	fake_dirty(1, LEAF);
}

static void (*once)(void);

static void do_once(void)
{
	if (t.last.round == 1 && once) {
		once();
		once = NULL;
	}
}

static int save_changing(void (*change)(void))
{
	make_running(EXTRA);
	once = change;
	fake_between = do_once;
	return save_live();
}

static void shrink(void)
{
	for (unsigned i = LOW; i < LOW + 10; i++)
		balloon_out(i);
}

static void exchange(void)
{
	guest_words(L1)[140] = guest_entry(DATA);
	fake_dirty(1, L1);
	swap(DATA, DATA + 1);
}

static void make_table(void)
{
	memset(guest_words(LOW), 0, XYL_PAGE_BYTES);
	guest_words(LOW)[7] = guest_entry(DATA);
	*fake_type(guest_frames[LOW]) = 8 | 1;
	fake_dirty(1, LOW);
}

static void longer_table(void)
{
	unsigned leaf = LOW;

	memset(guest_words(leaf), 0xff, XYL_PAGE_BYTES);
	guest_words(leaf)[0] = guest_frames[LOW + 1];
	fake_dirty(1, leaf);
	guest_words(LEAF)[LOW + 1] = UINT64_MAX;
	fake_dirty(1, LEAF);
	guest_words(L1)[3] = guest_entry(leaf);
	fake_dirty(1, L1);
	guest_shared(1)->arch.max_pfn = 3 * 512 + 1;
}

static void shorter_table(void)
{
	guest_shared(1)->arch.max_pfn = 512;
}

static void tear(void)
{
	guest_shared(1)->arch.p2m_vaddr = 8;
	guest_words(L1)[141] = 0x777001;
	fake_dirty(1, L1);
}

static void mend(void)
{
	guest_shared(1)->arch.p2m_vaddr = P2M_VA;
	guest_words(L1)[141] = 0;
	fake_dirty(1, L1);
}

/* It gives a page back, and its table goes on to name it. */
static void lie(void)
{
	fake_dirty(1, LOW + 3);
	fake_take(1, guest_frames[LOW + 3]);
}

static unsigned stage;

/* When a round has been sent: pages go; some of them come again, and others. */
static void come_and_go(void)
{
	if (t.last.round != stage || t.last.pages_done != t.last.pages_total)
		return;
	if (stage == 1) {
		shrink();
	} else if (stage == 2) {
		for (unsigned i = 0; i < 5; i++) {
			balloon_in(LOW + i);
			balloon_in(LOW + EXTRA + i);
		}
	}
	for (unsigned i = 20; i < 100; i++)
		write_page(LOW + i);
	stage++;
}

static void test_changes(void)
{
	CHECK_THAT(save_changing(shrink) == 0 && restore(fake_domains[1].page_count + 10) == 0);
	check_memory();
	verdict("pages that the guest gives back are none in the end");
	make_running(EXTRA);
	t.settle = lie;
	CHECK_THAT(save_live() == 0 && restore(0) == 0 && read_new_p2m() && !new_frames[LOW + 3] &&
	           new_frames[LOW + 2]);
	verdict("nor are those that only its table has");
	make_running(EXTRA);
	t.limits.max_downtime_us = 1;
	t.limits.max_rounds = 3;
	stage = 1;
	fake_between = come_and_go;
	CHECK_THAT(save_live() == 0 && restore(fake_domains[1].page_count) == 0);
	check_memory();
	verdict("pages that come again find room");
	CHECK_THAT(save_changing(exchange) == 0 && restore(0) == 0);
	check_memory();
	verdict("frames that change places: page tables follow");
	CHECK_THAT(save_changing(make_table) == 0 && restore(0) == 0 &&
	           *fake_type(new_frames[LOW]) == (8 | 1));
	check_memory();
	verdict("a page of data that becomes a page table");
	CHECK_THAT(save_changing(longer_table) == 0 && restore(0) == 0);
	verdict("a table of frames that becomes longer");
	CHECK_THAT(save_changing(shorter_table) < 0 && errno == EBUSY && nothing_left());
	printf("# %s\n", xyl_error());
	verdict("not saved: one that becomes shorter");
	make_running(EXTRA);
	once = tear;
	fake_between = do_once;
	t.settle = mend;
	CHECK_THAT(save_live() == 0 && nothing_left() && restore(0) == 0);
	check_memory();
	verdict("what does not fit together while it runs is sent when it is suspended");
}

static off_t stream_bytes(void)
{
	return lseek(fd, 0, SEEK_END);
}

static void blank(void)
{
	for (unsigned i = LOW + 20; i < LOW + 40; i++) {
		memset(guest_words(i), 0, XYL_PAGE_BYTES);
		fake_dirty(1, i);
	}
}

/* The guest is restored where frames come with anything in them, and where they come as zeros. */
static void check_restored(void)
{
	CHECK_THAT(restore(0) == 0);
	check_memory();
	fake_extraversion = "-xylem";
	CHECK_THAT(restore(0) == 0);
	check_memory();
	fake_extraversion = ".5";
}

static void test_zeros(void)
{
	off_t whole;

	make_running(EXTRA);
	blank();
	CHECK_THAT(save_live() == 0);
	whole = stream_bytes();
	t.zeros_by_type = true;
	fake_domains[1].shutdown = false;
	CHECK_THAT(save_live() == 0 && stream_bytes() <= whole - 20 * (off_t)XYL_PAGE_BYTES);
	check_restored();
	verdict("pages of zeros go by their type: %lld bytes instead of %lld", (long long)stream_bytes(),
	        (long long)whole);

	make_running(EXTRA);
	t.zeros_by_type = true;
	once = blank;
	fake_between = do_once;
	CHECK_THAT(save_live() == 0);
	check_restored();
	verdict("those that had something else before are cleared");

	make_running(EXTRA);
	blank();
	fake_domains[1].shutdown = true;
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	CHECK_THAT(xyl_domain_send(x, 1, fd, NULL, NULL) == 0 && stream_bytes() < whole);
	check_restored();
	verdict("so do those of a guest that is suspended");
}

/* ---- a guest that does anything that a guest does ---- */

#define POOL_FIRST LOW
#define POOL_PAGES 60u

static uint64_t peak; /* pages that it ever had */

static unsigned any_page(void)
{
	unsigned pfn = POOL_FIRST + random_below(POOL_PAGES);

	return guest_frames[pfn] ? pfn : DATA;
}

static bool is_table(unsigned pfn)
{
	return *fake_type(guest_frames[pfn]) != 0;
}

/* No page table maps it any more. */
static void unmap_everywhere(unsigned pfn)
{
	for (unsigned i = POOL_FIRST; i < POOL_FIRST + POOL_PAGES; i++) {
		if (!guest_frames[i] || !is_table(i))
			continue;
		for (unsigned j = 0; j < 512; j++)
			if (guest_words(i)[j] == guest_entry(pfn)) {
				guest_words(i)[j] = 0;
				fake_dirty(1, i);
			}
	}
}

static void toggle_table(unsigned pfn)
{
	if (is_table(pfn)) {
		*fake_type(guest_frames[pfn]) = 0;
		write_page(pfn);
		return;
	}
	memset(guest_words(pfn), 0, XYL_PAGE_BYTES);
	for (unsigned i = 0; i < 8; i++)
		guest_words(pfn)[random_below(512)] = guest_entry(any_page());
	*fake_type(guest_frames[pfn]) = random_below(2) ? 8 | 1 : 1;
	fake_dirty(1, pfn);
}

static void toggle_balloon(void)
{
	unsigned pfn = POOL_FIRST + random_below(POOL_PAGES);

	if (!guest_frames[pfn]) {
		balloon_in(pfn);
	} else {
		unmap_everywhere(pfn);
		if (is_table(pfn))
			*fake_type(guest_frames[pfn]) = 0;
		balloon_out(pfn);
	}
	if (fake_domains[1].page_count > peak)
		peak = fake_domains[1].page_count;
}

static void act(void)
{
	unsigned pfn = any_page(), other = any_page();

	switch (random_below(8)) {
	case 0:
	case 1:
	case 2:
		if (pfn != DATA && !is_table(pfn))
			write_page(pfn);
		break;
	case 3:
		if (pfn != DATA)
			toggle_table(pfn);
		break;
	case 4:
		if (is_table(pfn)) {
			guest_words(pfn)[random_below(512)] = random_below(3) ? guest_entry(other) : 0;
			fake_dirty(1, pfn);
		}
		break;
	case 5:
		toggle_balloon();
		break;
	case 6: /* as MMU_MACHPHYS_UPDATE does, the pages are dirty, or somebody else has told that they are */
		if (pfn != DATA && other != DATA)
			swap(pfn, other);
		break;
	default: /* torn, until it suspends */
		if (random_below(10) == 0)
			tear();
		else if (random_below(2))
			mend();
		break;
	}
}

static void live_its_life(void)
{
	for (unsigned n = random_below(12); n; n--)
		act();
}

static void test_anything(void)
{
	const char *text = getenv("LIVE_SAVES");
	unsigned count = text ? (unsigned)atoi(text) : 500;

	for (unsigned i = 0; i < count && good; i++) {
		make_running(0);
		t.settle = mend;
		t.zeros_by_type = random_below(2);
		fake_extraversion = random_below(2) ? "-xylem" : ".5";
		t.limits.max_downtime_us = 1 + random_below(2) * 1000000;
		t.limits.max_rounds = 1 + random_below(8);
		peak = fake_domains[1].page_count;
		for (unsigned j = random_below(40); j; j--)
			act();
		mend(); /* of the first table it must be able to make sense */
		fake_between = live_its_life;
		CHECK_THAT(save_live() == 0 && nothing_left());
		CHECK_THAT(!good || restore(random_below(2) ? peak : 0) == 0);
		if (good)
			check_memory();
		if (!good)
			printf("# guest %u: %s\n", i, xyl_error());
	}
	fake_extraversion = ".5";
	verdict("%u guests that do anything: what is restored is what they had in the end", count);
}

/* ---- hostile ones ---- */

static bool from_the_first; /* or when the first table was read */

static void scramble(void)
{
	struct arch_shared_info *a = &guest_shared(1)->arch;
	unsigned pfn = LEAF + random_below(L1 + 1 - LEAF), i = random_below(4);

	if (!t.last.round && !from_the_first)
		return;
	for (unsigned n = 1 + random_below(4); n && guest_frames[pfn]; n--)
		guest_words(pfn)[random_below(512)] =
		        random_below(2)
		                ? FAKE_BASE + random_below(FAKE_FRAMES)
		                : (uint64_t)(FAKE_BASE + random_below(FAKE_FRAMES)) << 12 | random_below(256);
	if (i == 0)
		a->max_pfn = random_below(2) ? random_below(5000)
		                             : (uint64_t)random_below(UINT32_MAX) << random_below(32);
	else if (i == 1)
		a->p2m_vaddr = random_below(2) ? P2M_VA : (uint64_t)random_below(UINT32_MAX) << 12;
	else if (i == 2)
		a->p2m_cr3 = random_below(2) ? guest_frames[ROOT] << 12 : random_below(3);
	else
		*fake_type(guest_frames[random_below(LOW)]) = (uint8_t)random_below(16);
	if (random_below(3) == 0) { /* and back, to come farther */
		guest_p2m();
		guest_tables();
	}
	for (i = 0; i < 8; i++)
		fake_dirty(1, random_below(FAKE_PFNS));
}

static void test_hostile(void)
{
	unsigned saved = 0, count = 500;

	for (unsigned i = 0; i < count && good; i++) {
		make_running(0);
		from_the_first = i % 32 == 0;
		fake_between = scramble;
		if (random_below(2))
			t.stop_at = 1 + random_below(40);
		t.limits.max_rounds = 3;
		saved += save_live() == 0;
		CHECK_THAT(nothing_left());
	}
	verdict("%u guests that lie all the time: %u saved, nothing left of the others", count, saved);
}

/* All of it on a hypervisor that has frames mapped, as Xen has, or copies their contents, as Xylem does. */
static void test_on(bool copies)
{
	printf("# the hypervisor %s\n", copies ? "copies" : "maps");
	fake_copies = copies;
	test_quiet();
	test_zeros();
	test_converges();
	test_never();
	test_throttled();
	test_bandwidth();
	test_refused();
	test_cancelled();
	test_dies();
	test_failing_calls();
	test_log_stays();
	test_grows();
	test_changes();
	test_anything();
	test_hostile();
}

int main(void)
{
	fd = memfd_create("stream", MFD_CLOEXEC);
	test_on(false);
	test_on(true);
	close(fd);
	return tap_end();
}
