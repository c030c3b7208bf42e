/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a hostile guest or stream may cost who saves, restores or dumps it, on a fake hypervisor (fakehv.h): host memory is
 * bounded by the domain's own, and whoever wants to stop is asked in time. Cases run in a child each, which measures itself.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/check.h"
#include "fakeguest.h"
#include "libxenctrl/src/streamformat.h"

#define MIB           (1024L * 1024)
#define GROWTH_KIB    (24L * 1024) /* that a case may use; the attacks wanted hundreds of MiB */
#define CASE_S        60           /* after which a case that hangs is ended */
#define CLAIMED_PAGES 131072u      /* of the guest: 512 MiB */

static struct xyl *const x = NULL; /* the fake hypervisor needs no handle */
static int fd = -1;

/* Runs a case in a child; in it, CHECK_THAT() tells what is wrong. */
static void isolated(const char *name, void (*run)(void))
{
	int status = -1;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		alarm(CASE_S);
		run();
		fflush(stdout);
		_exit(good ? 0 : 1);
	}
	CHECK_THAT(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	if (status != 0)
		printf("# the case ended with status %#x\n", (unsigned)status);
	verdict("%s", name);
}

static long most_kib(void)
{
	struct rusage r;

	if (getrusage(RUSAGE_SELF, &r) < 0)
		abort();
	return r.ru_maxrss;
}

static void rewind_stream(void)
{
	if (lseek(fd, 0, SEEK_SET) < 0)
		abort();
}

/* ---- guests ---- */

/*
 * A table of frames in which each 4 KiB has one entry: every leaf is one of two pages, by turns, so that no end can be cut
 * off. It takes seven pages of the guest's.
 */
static void make_sparse_guest(void)
{
	enum { TOP = DATA, UPPER, MIDDLE, LOWER, LEAVES = LOWER + 2 };
	struct shared_info *s;

	guest_make();
	for (unsigned i = 0; i < 512; i++) {
		guest_words(TOP)[i] = guest_entry(UPPER);
		guest_words(UPPER)[i] = guest_entry(MIDDLE);
		guest_words(MIDDLE)[i] = guest_entry(LOWER + i % 2);
		for (unsigned j = 0; j < 2; j++) {
			guest_words(LOWER + j)[i] = guest_entry(LEAVES + i % 2);
			guest_words(LEAVES + j)[i] = i ? UINT64_MAX : guest_frames[LEAVES + j];
		}
	}
	s = guest_shared(1);
	s->arch.max_pfn = (uint64_t)CLAIMED_PAGES * 512;
	s->arch.p2m_cr3 = guest_frames[TOP] << 12;
	s->arch.p2m_vaddr = UINT64_C(0xffffc90000000000);
	fake_domains[1].page_count = CLAIMED_PAGES;
}

static void sparse_guest_saved(void)
{
	long before = most_kib();

	make_sparse_guest();
	CHECK_THAT(xyl_domain_save(x, 1, fd, NULL, NULL) < 0 && errno == EINVAL);
	printf("# %s; %ld KiB\n", xyl_error(), most_kib() - before);
	CHECK_THAT(most_kib() - before < GROWTH_KIB);
	CHECK_THAT(!fake_mapped && !fake_allocated);
}

static void sparse_guest_dumped(void)
{
	long before = most_kib();

	make_sparse_guest();
	CHECK_THAT(xyl_domain_dump(x, 1, fd, NULL, NULL) == 0);
	printf("# %ld KiB\n", most_kib() - before);
	CHECK_THAT(most_kib() - before < GROWTH_KIB);
	CHECK_THAT(!fake_mapped && !fake_allocated);
}

static void too_many_entries(void)
{
	make_sparse_guest();
	fake_domains[1].page_count = LOW + 4;
	CHECK_THAT(xyl_domain_save(x, 1, fd, NULL, NULL) < 0 && errno == EINVAL &&
	           strstr(xyl_error(), "names more frames than the domain has (0x21c)"));
	printf("# %s\n", xyl_error());
	guest_make();
	guest_shared(1)->arch.max_pfn = (UINT64_C(1) << 28) + 1;
	CHECK_THAT(xyl_domain_save(x, 1, fd, NULL, NULL) < 0 && errno == EINVAL &&
	           strstr(xyl_error(), "its size cannot be"));
}

/* Counts in *data, and stops at 0. */
static bool count_down(const struct xyl_progress *p, void *data)
{
	(void)p;
	return --*(int *)data > 0;
}

static void reading_ticks(void)
{
	int left = CLAIMED_PAGES / 512 / XYL_BATCH + 50;

	make_sparse_guest();
	CHECK_THAT(xyl_domain_save(x, 1, fd, count_down, &left) < 0 && errno == ECANCELED &&
	           strcmp(xyl_error(), "domain 1: cannot save it: it was told to stop") == 0);
	CHECK_THAT(lseek(fd, 0, SEEK_CUR) == 0);
	CHECK_THAT(!fake_mapped && !fake_allocated);
}

int main(void)
{
	fd = memfd_create("stream", MFD_CLOEXEC);
	isolated("a guest whose table of frames is spread thinly is saved in bounded memory",
	         sparse_guest_saved);
	rewind_stream();
	isolated("it is dumped in bounded memory", sparse_guest_dumped);
	rewind_stream();
	isolated("a table with many more entries than the domain has pages is refused", too_many_entries);
	rewind_stream();
	isolated("whoever wants to stop is asked while the table is read", reading_ticks);
	close(fd);
	return tap_end();
}
