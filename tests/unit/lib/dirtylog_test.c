/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pages counted that a guest changes, on a fake hypervisor (fakehv.h) that counts as Xen does, and as Xylem does: before each call of
 * it the guest does something. No exit leaves the log on.
 */
#include <string.h>
#include <time.h>

#include "../../lib/check.h"
#include "fakehv.h"

#define SHORT_US 1000u
#define PAGES    70u /* that the guest changes, again and again */

static struct xyl *const x = NULL; /* the fake hypervisor needs no handle */

static struct {
	unsigned asked;   /* the progress function, how often */
	unsigned stop_at; /* it says no then; 0: never */
	unsigned told;    /* it was told of something */
} t;
static struct xyl_dirty dirty;

static bool progress(const struct xyl_progress *p, void *data)
{
	static const struct xyl_progress nothing;

	CHECK_THAT(data == &t);
	t.told += memcmp(p, &nothing, sizeof(nothing)) != 0;
	return ++t.asked != t.stop_at;
}

/* What a guest does that runs. */
static void work(void)
{
	fake_domains[1].cpu_ns += 1000;
	for (unsigned pfn = 0; pfn < PAGES; pfn++)
		fake_dirty(1, 3 * pfn);
}

static void make(void (*between)(void))
{
	fake_reset();
	fake_create(1);
	memset(&t, 0, sizeof(t));
	memset(&dirty, 0x55, sizeof(dirty));
	fake_between = between;
	fake_calls = 0;
}

static int count(uint64_t duration_us)
{
	return xyl_domain_dirty_pages(x, 1, duration_us, &dirty, progress, &t);
}

static bool nothing_left(void)
{
	return !fake_domains[1].logging && !fake_mapped && !fake_allocated;
}

/* ---- the count ---- */

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void only_time(void)
{
	fake_domains[1].cpu_ns++;
}

/* Before the log is emptied, and not afterwards. */
static void early(void)
{
	if (fake_calls < 3)
		work();
	fake_domains[1].cpu_ns++;
}

static void test_counts(void)
{
	uint64_t began;

	make(work);
	CHECK_THAT(count(SHORT_US) == 0 && dirty.pages == PAGES && nothing_left());
	verdict("pages that change again and again are counted once");

	fake_domains[1].dirty_count = 1000;
	CHECK_THAT(count(SHORT_US) == 0 && dirty.pages == PAGES && nothing_left());
	verdict("what an earlier log has counted is not");

	make(early);
	CHECK_THAT(count(SHORT_US) == 0 && dirty.pages == 0 && nothing_left());
	CHECK_THAT(fake_calls > 3);
	verdict("nor what changes while the log is begun");

	make(only_time);
	CHECK_THAT(count(SHORT_US) == 0 && dirty.pages == 0 && nothing_left());
	fake_unseen = 5;
	CHECK_THAT(count(SHORT_US) == 0 && dirty.pages == (fake_copies ? 5 : 0));
	verdict("a guest that runs and changes nothing: what may be written to unseen is counted");

	make(NULL);
	fake_unseen = 5;
	CHECK_THAT(count(SHORT_US) == 0 && dirty.pages == 0 && nothing_left());
	fake_unseen = 0;
	verdict("of a guest that does not run nothing is");

	make(work);
	began = now_us();
	CHECK_THAT(count(130000) == 0 && dirty.elapsed_us >= 130000 && dirty.elapsed_us <= now_us() - began);
	CHECK_THAT(t.asked >= 3 && !t.told);
	verdict("it takes its time, in steps (%u of them)", t.asked);

	CHECK_THAT(xyl_domain_dirty_pages(x, 1, SHORT_US, &dirty, NULL, NULL) == 0 && dirty.pages == PAGES);
	verdict("nobody need be asked meanwhile");
}

/* ---- exits ---- */

static void refuse(const char *name, uint64_t duration_us, int error, const char *word)
{
	int rc = count(duration_us);

	tap_ok(rc < 0 && errno == error && strstr(xyl_error(), word) && nothing_left(), "not counted: %s",
	       name);
	printf("# %s (errno %d)\n", rc < 0 ? xyl_error() : "it was counted", errno);
}

static void test_refused(void)
{
	static const int errors[] = { ENOSYS, EOPNOTSUPP, EINVAL };

	make(work);
	refuse("in no time", 0, EINVAL, "outside 1..60000000");
	refuse("in more than a minute", 60000001, EINVAL, "outside 1..60000000");
	tap_ok(!fake_calls, "which is not even begun");
	for (unsigned i = 0; i < 3; i++) {
		make(work);
		fake_log_error = errors[i];
		refuse("on a hypervisor without a log", SHORT_US, ENOTSUP,
		       "cannot tell which pages it changes");
	}
	make(work);
	fake_log_error = ENOMEM;
	refuse("on one that has no memory for it", SHORT_US, ENOMEM, "log which pages it changes");
	make(work);
	fake_domains[1].shutdown = true;
	refuse("of a domain that has stopped", SHORT_US, EBUSY, "it has stopped");
	tap_ok(!t.asked && fake_calls == 1, "which is not watched at all");
	make(work);
	fake_domains[1].there = false;
	refuse("of no domain", SHORT_US, ESRCH, "domain 1");
}

static void test_left_on(void)
{
	make(work);
	fake_domains[1].logging = true;
	CHECK_THAT(count(SHORT_US) == 0 && dirty.pages == PAGES && nothing_left());
	verdict("a log that somebody has left on is begun anew");
	make(work);
	fake_log_stays = 3;
	CHECK_THAT(count(SHORT_US) == 0 && nothing_left() && !fake_log_stays);
	make(work);
	fake_log_stays = 3;
	t.stop_at = 1;
	CHECK_THAT(count(SHORT_US) < 0 && errno == ECANCELED && nothing_left() && !fake_log_stays);
	verdict("a log that is not switched off at the first try");
	make(work);
	fake_log_stays = 1000;
	CHECK_THAT(count(SHORT_US) < 0 && errno == ENOMEM);
	fake_log_stays = 0;
	CHECK_THAT(xyl_domain_save_live_end(x, 1) == 0 && nothing_left());
	verdict("one that cannot be switched off is an error");
}

static void test_cancelled(void)
{
	for (unsigned i = 1; i < 4; i++) {
		uint64_t began = now_us();

		make(work);
		t.stop_at = i;
		CHECK_THAT(count(60000000) < 0 && errno == ECANCELED && nothing_left() && t.asked == i);
		CHECK_THAT(now_us() - began < 30000000);
	}
	verdict("whoever waits for it can stop, at any time");
}

static unsigned calls_left;
static bool destroyed;

static void die(void)
{
	work();
	if (calls_left && --calls_left)
		return;
	if (destroyed)
		fake_domains[1].there = fake_domains[1].logging = false;
	fake_domains[1].shutdown = true;
	fake_domains[1].reason = XYL_SHUTDOWN_CRASH;
}

/* At the last call, which ends the log, the count has been made. */
static void test_dies(void)
{
	unsigned calls, counted = 0;

	make(work);
	CHECK_THAT(count(SHORT_US) == 0);
	calls = fake_calls;
	for (unsigned i = 0; i < 2; i++)
		for (unsigned n = 1; n <= calls; n++) {
			int rc;

			make(die);
			destroyed = i;
			calls_left = n;
			rc = count(SHORT_US);
			counted += rc == 0;
			CHECK_THAT(rc == 0 || errno == EBUSY || (destroyed && n == 1 && errno == ESRCH));
			CHECK_THAT(nothing_left());
		}
	CHECK_THAT(calls >= 7 && counted == 1);
	verdict("a guest that crashes or is destroyed at each of %u moments", calls);
	make(die);
	destroyed = false;
	calls_left = calls;
	CHECK_THAT(count(60000000) < 0 && errno == EBUSY && nothing_left());
	verdict("is not waited for to the end");
}

static void test_failing_calls(void)
{
	unsigned calls;

	make(work);
	CHECK_THAT(count(SHORT_US) == 0);
	calls = fake_calls;
	for (unsigned i = 1; i <= calls; i++) {
		int rc;

		make(work);
		fake_fail_at = i;
		rc = count(SHORT_US);
		/* The last one is made again. */
		CHECK_THAT(i == calls ? rc == 0 : rc < 0 && errno == ENOMEM);
		CHECK_THAT(nothing_left());
	}
	verdict("a count in which call 1 to %u fails", calls);
}

static void test_on(bool copies)
{
	printf("# the hypervisor counts %s\n", copies ? "as Xylem does" : "as Xen does");
	fake_copies = copies;
	test_counts();
	test_refused();
	test_left_on();
	test_cancelled();
	test_dies();
	test_failing_calls();
}

int main(void)
{
	test_on(false);
	test_on(true);
	return tap_end();
}
