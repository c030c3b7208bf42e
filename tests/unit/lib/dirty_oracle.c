/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether the hypervisor's log of dirty pages tells of each page of a guest that changes; started in a dom0 by
 * tests/system/test-save:
 *	dirty_oracle DOMID ROUNDS
 * In each round the guest runs for a while and is paused, its log is taken, and the checksums of all its pages are compared
 * with those of the round before. Back ends in dom0 go on meanwhile: what they write after the log was taken is in the next
 * one. So it is an error if a page differs whose bit is neither in this log nor in the next. Prints per round how many pages
 * differ and how many the log has, and at the end "LOGGED" or "MISSED".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libxenctrl/src/guestp2m.h"

#define BATCH    256
#define ROUND_US 300000

static struct xyl *x;
static uint32_t domid;
static uint64_t *sums, pfns; /* by pfn; 0: no page */
static uint8_t *late;        /* by pfn: it must be in the next log */

static void die(const char *what)
{
	fprintf(stderr, "dirty_oracle: %s: %s (errno %d)\n", what, xyl_error(), errno);
	exit(1);
}

static uint64_t sum_of(const uint64_t *page)
{
	uint64_t sum = 0xcbf29ce484222325;

	for (unsigned i = 0; i < XYL_PAGE_BYTES / 8; i++)
		sum = (sum ^ page[i]) * 0x100000001b3 + (sum >> 29);
	return sum | 1;
}

/* What all pages hold now; the guest is paused. */
static void sum_all(uint64_t *now)
{
	struct stream s = { .domid = domid, .verb = "look at" };
	struct guestp2m p2m = { 0 };
	struct xyl_dominfo info;
	struct shared_info *shared;

	if (xyl_domain_info(x, domid, &info) < 0)
		die("info");
	shared = xyl_foreign_map(x, domid, PROT_READ, &info.shared_info_mfn, 1, NULL);
	if (!shared || guestp2m_read(x, &s, shared, info.memory_pages, NULL, true, &p2m) < 0)
		die("table of frames");
	memset(now, 0, pfns * sizeof(*now));
	for (uint64_t at = 0; at < p2m.used_count; at += BATCH) {
		uint64_t mfns[BATCH], n = 0;
		uint8_t *window;

		for (; n < BATCH && at + n < p2m.used_count; n++)
			mfns[n] = p2m.pages[at + n].mfn;
		window = xyl_foreign_map(x, domid, PROT_READ, mfns, n, NULL);
		if (!window)
			die("map");
		for (uint64_t i = 0; i < n; i++)
			if (p2m.pages[at + i].pfn < pfns)
				now[p2m.pages[at + i].pfn] =
				        sum_of((const uint64_t *)(const void *)(window + i * XYL_PAGE_BYTES));
		if (xyl_foreign_unmap(x, window, n) < 0)
			die("unmap");
	}
	guestp2m_free(&p2m);
	if (xyl_foreign_unmap(x, shared, 1) < 0)
		die("unmap");
}

static int shadow_op(uint32_t what, uint64_t *bitmap)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_shadow_op, .domain = (domid_t)domid };

	op.u.shadow_op.op = what;
	op.u.shadow_op.pages = pfns;
	set_xen_guest_handle(op.u.shadow_op.dirty_bitmap, (uint8_t *)bitmap);
	return xyl_domctl(x, &op, "shadow_op");
}

/* One round: pages that differ; *missed: of this and the round before that are in no log. */
static unsigned compare(const uint64_t *now, const uint64_t *bitmap, unsigned *logged, unsigned *missed)
{
	unsigned changed = 0;

	for (uint64_t pfn = 0; pfn < pfns; pfn++) {
		bool bit = bitmap[pfn / 64] >> pfn % 64 & 1;

		*logged += bit;
		changed += now[pfn] != sums[pfn];
		if (late[pfn] && !bit && ++*missed <= 5)
			printf("pfn %#llx has changed and is not in the log\n", (unsigned long long)pfn);
		late[pfn] = now[pfn] != sums[pfn] && !bit && now[pfn];
	}
	return changed;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc == 3 ? (unsigned)atoi(argv[2]) : 0, missed = 0, seen = 0;
	struct xyl_dominfo info;
	uint64_t *bitmap, *now;
	size_t bytes;

	x = xyl_open();
	domid = rounds ? (uint32_t)atoi(argv[1]) : 0;
	if (!rounds || !x || xyl_domain_info(x, domid, &info) < 0)
		die("usage: dirty_oracle DOMID ROUNDS");
	pfns = (info.memory_pages + 4095) & ~4095ull;
	bytes = pfns / 8;
	bitmap = xyl_hypercall_alloc(x, bytes);
	sums = calloc(pfns, sizeof(*sums));
	now = calloc(pfns, sizeof(*now));
	late = calloc(pfns, 1);
	if (!bitmap || !sums || !now || !late || shadow_op(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, bitmap) < 0)
		die("log");
	/* One more for what comes late. */
	for (unsigned round = 0; round <= rounds + 1; round++) {
		unsigned logged = 0, changed;

		if (xyl_domain_pause(x, domid) < 0 || shadow_op(XEN_DOMCTL_SHADOW_OP_CLEAN, bitmap) < 0)
			die("clean");
		sum_all(now);
		if (round) {
			changed = compare(now, bitmap, &logged, &missed);
			seen += changed;
			printf("round %u: %u pages differ, %u in the log\n", round, changed, logged);
		}
		memcpy(sums, now, pfns * sizeof(*now));
		if (xyl_domain_unpause(x, domid) < 0)
			die("unpause");
		usleep(ROUND_US);
	}
	if (shadow_op(XEN_DOMCTL_SHADOW_OP_OFF, bitmap) < 0)
		die("off");
	printf("%s: %u changes, %u not in the log\n", missed ? "MISSED" : "LOGGED", seen, missed);
	return missed ? 1 : 0;
}
