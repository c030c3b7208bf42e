/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a hostile guest or stream may cost who saves, restores or dumps it, on a fake hypervisor (fakehv.h): host memory is
 * bounded by the domain's own, and whoever wants to stop is asked in time. Cases run in a child each, which measures itself.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/check.h"
#include "fakeguest.h"
#include "libxenctrl/src/streamcheck.h"
#include "libxenctrl/src/streamformat.h"

#define MIB           (1024L * 1024)
#define GROWTH_KIB    (24L * 1024) /* that a case may use; the attacks wanted hundreds of MiB */
#define CASE_S        30           /* of CPU time, after which a case that hangs is ended */
#define ASLEEP_S      900          /* and when it sleeps: much, as others may have the CPUs */
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
		setitimer(ITIMER_PROF, &(struct itimerval){ .it_value.tv_sec = CASE_S }, NULL);
		alarm(ASLEEP_S);
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

/* Counts in *data, and stops at 0. */
static bool count_down(const struct xyl_progress *p, void *data)
{
	(void)p;
	return --*(int *)data > 0;
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

/* A table with room for CLAIMED_PAGES * 512 pfns, whose last one has a page. One leaf stands for all that is nothing. */
static void make_far_guest(void)
{
	enum { TOP = DATA, UPPER, MIDDLE, FIRST, SECOND, THIRD, NOTHING, LAST };
	struct shared_info *s;

	guest_make();
	for (unsigned i = 0; i < 512; i++) {
		guest_words(TOP)[i] = guest_entry(UPPER);
		guest_words(UPPER)[i] = guest_entry(MIDDLE);
		guest_words(MIDDLE)[i] = guest_entry(!i                             ? FIRST
		                                     : i == CLAIMED_PAGES / 512 - 1 ? THIRD
		                                                                    : SECOND);
		guest_words(FIRST)[i] = guest_entry(i < 3 ? LEAF + i : NOTHING);
		guest_words(SECOND)[i] = guest_entry(NOTHING);
		guest_words(THIRD)[i] = guest_entry(i == 511 ? LAST : NOTHING);
		guest_words(NOTHING)[i] = guest_words(LAST)[i] = UINT64_MAX;
	}
	guest_words(LAST)[511] = fake_give(1);
	s = guest_shared(1);
	s->arch.max_pfn = (uint64_t)CLAIMED_PAGES * 512;
	s->arch.p2m_cr3 = guest_frames[TOP] << 12;
	s->arch.p2m_vaddr = UINT64_C(0xffffc90000000000);
	fake_domains[1].shutdown = false;
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

static bool never(void *data)
{
	(void)data;
	return false;
}

static void sparse_guest_runs(void)
{
	static const struct xyl_live how = { .suspend = never };
	long before = most_kib();
	int left = 1000;

	make_sparse_guest();
	fake_domains[1].shutdown = false;
	CHECK_THAT(xyl_domain_save_live(x, 1, fd, &how, count_down, &left) < 0 &&
	           (errno == EINVAL || errno == ECANCELED));
	printf("# %s; %ld KiB\n", xyl_error(), most_kib() - before);
	CHECK_THAT(most_kib() - before < GROWTH_KIB);
	CHECK_THAT(!fake_mapped && !fake_allocated && !fake_domains[1].logging);
}

/* A guest with one page far above the others: what is kept of it is bits. */
static void far_page(void)
{
	static const struct xyl_live how = { .suspend = never };
	long before = most_kib();

	make_far_guest();
	CHECK_THAT(xyl_domain_save_live(x, 1, fd, &how, NULL, NULL) < 0 && errno == ECANCELED);
	printf("# %s; %ld KiB\n", xyl_error(), most_kib() - before);
	CHECK_THAT(most_kib() - before < 2 * GROWTH_KIB);
	CHECK_THAT(!fake_mapped && !fake_allocated && !fake_domains[1].logging);
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

static void reading_ticks(void)
{
	int left = CLAIMED_PAGES / 512 / XYL_BATCH + 50;

	make_sparse_guest();
	CHECK_THAT(xyl_domain_save(x, 1, fd, count_down, &left) < 0 && errno == ECANCELED &&
	           strcmp(xyl_error(), "domain 1: cannot save it: it was told to stop") == 0);
	CHECK_THAT(lseek(fd, 0, SEEK_CUR) == 0);
	CHECK_THAT(!fake_mapped && !fake_allocated);
}

/* ---- streams ---- */

static void put(const void *data, size_t bytes)
{
	if (write(fd, data, bytes) != (ssize_t)bytes)
		abort();
}

static void put_record(uint32_t type, uint32_t bytes)
{
	put(&(struct stream_record){ type, bytes }, sizeof(struct stream_record));
}

static void put_xl_header(void)
{
	const struct stream_xl_header xl = { htobe64(STREAM_XL_IDENT), htonl(STREAM_XL_VERSION), 0 };

	if (ftruncate(fd, 0) < 0)
		abort();
	rewind_stream();
	put(&xl, sizeof(xl));
}

/* From LIBXC_CONTEXT to where the memory begins. */
static void put_image_headers(void)
{
	const struct stream_xc_header xc = {
		STREAM_XC_MARKER, htonl(STREAM_XC_ID), htonl(STREAM_XC_VERSION), 0, 0, 0
	};
	const struct stream_domain_header domain = { STREAM_XC_TYPE_PV, STREAM_PAGE_SHIFT, 0, 4, 17 };
	const struct stream_pv_info info = { .guest_width = 8, .table_levels = 4 };

	put_record(STREAM_XL_LIBXC_CONTEXT, 0);
	put(&xc, sizeof(xc));
	put(&domain, sizeof(domain));
	put_record(STREAM_X86_PV_INFO, sizeof(info));
	put(&info, sizeof(info));
	put_record(STREAM_STATIC_DATA_END, 0);
}

static void put_p2m_frames(uint64_t pfn_count)
{
	const struct stream_p2m_frames head = { 0, (uint32_t)(pfn_count - 1) };
	static const uint64_t zero[512];
	uint64_t pages = (pfn_count + 511) / 512;

	put_record(STREAM_X86_PV_P2M_FRAMES, (uint32_t)(sizeof(head) + pages * 8));
	put(&head, sizeof(head));
	for (uint64_t at = 0; at < pages; at += 512)
		put(zero, (pages - at < 512 ? pages - at : 512) * 8);
}

/* Pages without content, each so many pfns behind the one before it; of two types by turns. */
static void put_pages_from(uint64_t first, uint64_t count, uint64_t stride, uint64_t type, uint64_t other)
{
	static uint64_t list[STREAM_PAGES_MAX];

	for (uint64_t at = 0; at < count; at += STREAM_PAGES_MAX) {
		const struct stream_page_data head = { STREAM_PAGES_MAX, 0 };

		for (uint64_t i = 0; i < STREAM_PAGES_MAX; i++)
			list[i] = (first + (at + i) * stride) | (i % 2 ? other : type) << STREAM_PFN_TYPE_BIT;
		put_record(STREAM_PAGE_DATA, sizeof(head) + sizeof(list));
		put(&head, sizeof(head));
		put(list, sizeof(list));
	}
}

static void put_pages(uint64_t count, uint64_t stride, uint64_t type, uint64_t other)
{
	put_pages_from(0, count, stride, type, other);
}

static uint64_t max_memory_kib; /* of restores; 0: no limit */

static int restore(xyl_progress_fn *progress, void *data)
{
	struct xyl_pv_restore how = { .max_memory_kib = max_memory_kib };
	struct xyl_pv_restored made;

	fake_reset();
	fake_bare = true;
	fake_create(2);
	rewind_stream();
	return xyl_domain_restore(x, 2, fd, &how, &made, progress, data);
}

/* Restores what was put; it should end at its END, which comes too early, in bounded memory. */
static void restore_bounded(void)
{
	long before = most_kib();

	put_record(STREAM_END, 0);
	CHECK_THAT(restore(NULL, NULL) < 0 && errno == EBADMSG && strstr(xyl_error(), "record END comes"));
	printf("# %s; %ld KiB\n", xyl_error(), most_kib() - before);
	CHECK_THAT(most_kib() - before < GROWTH_KIB);
	CHECK_THAT(!fake_mapped && !fake_allocated);
}

static void sparse_nothing(void)
{
	put_xl_header();
	put_image_headers();
	put_p2m_frames(UINT64_C(1) << 28);
	put_pages(2 * STREAM_PAGES_MAX, 4096, STREAM_PAGE_NONE, STREAM_PAGE_BROKEN);
	restore_bounded();
	CHECK_THAT(fake_domains[2].page_count == 0);
}

static void sparse_pages(void)
{
	put_xl_header();
	put_image_headers();
	put_p2m_frames((uint64_t)STREAM_PAGES_MAX * 512);
	put_pages(STREAM_PAGES_MAX, 512, STREAM_PAGE_ALLOCATED, STREAM_PAGE_ALLOCATED);
	restore_bounded();
	CHECK_THAT(fake_domains[2].page_count == STREAM_PAGES_MAX);
}

/* Pages that come, and are none again, at ever other pfns: those that are none are forgotten when others need room. */
static void come_and_go(void)
{
	put_xl_header();
	put_image_headers();
	put_p2m_frames((uint64_t)STREAM_PAGES_MAX * 16);
	for (uint64_t i = 0; i < 16; i++) {
		put_pages_from(i * STREAM_PAGES_MAX, STREAM_PAGES_MAX, 1, STREAM_PAGE_ALLOCATED,
		               STREAM_PAGE_ALLOCATED);
		put_pages_from(i * STREAM_PAGES_MAX, STREAM_PAGES_MAX, 1, STREAM_PAGE_NONE, STREAM_PAGE_NONE);
	}
	max_memory_kib = STREAM_PAGES_MAX * 4;
	restore_bounded();
	CHECK_THAT(fake_domains[2].page_count <= STREAM_PAGES_MAX);
	max_memory_kib = 0;
}

/* The same one by one, in a domain that has all it may have: each record costs what it brings, and not all of the domain. */
static void come_and_go_singly(void)
{
	enum { PAGES = 4 * STREAM_PAGES_MAX, TIMES = 100000 };
	const struct stream_page_data head = { 1, 0 };

	put_xl_header();
	put_image_headers();
	put_p2m_frames(PAGES + TIMES);
	put_pages(PAGES, 1, STREAM_PAGE_ALLOCATED, STREAM_PAGE_ALLOCATED);
	for (uint64_t i = 0; i < TIMES; i++) {
		uint64_t gone = i | (uint64_t)STREAM_PAGE_NONE << STREAM_PFN_TYPE_BIT,
		         come = (PAGES + i) | (uint64_t)STREAM_PAGE_ALLOCATED << STREAM_PFN_TYPE_BIT;

		put_record(STREAM_PAGE_DATA, sizeof(head) + sizeof(gone));
		put(&head, sizeof(head));
		put(&gone, sizeof(gone));
		put_record(STREAM_PAGE_DATA, sizeof(head) + sizeof(come));
		put(&head, sizeof(head));
		put(&come, sizeof(come));
	}
	put_record(STREAM_END, 0);
	max_memory_kib = (uint64_t)PAGES * 4;
	/* The sanitizer keeps what each call's buffers were: it is time that is measured, by the case's own end. */
	CHECK_THAT(restore(NULL, NULL) < 0 && errno == EBADMSG && strstr(xyl_error(), "record END comes"));
	CHECK_THAT(fake_domains[2].page_count == PAGES);
	max_memory_kib = 0;
}

static void last_pfn_too_large(void)
{
	put_xl_header();
	put_image_headers();
	put_p2m_frames((UINT64_C(1) << 28) + 1);
	put_record(STREAM_END, 0);
	CHECK_THAT(restore(NULL, NULL) < 0 && errno == ENOTSUP &&
	           strstr(xyl_error(), "X86_PV_P2M_FRAMES has pfns up to 0x10000000"));
	printf("# %s\n", xyl_error());
}

/* One L1 of zeros, a million times: it is noted once. The contents are holes. */
static void table_again(void)
{
	static uint64_t list[STREAM_PAGES_MAX];
	const struct stream_page_data head = { STREAM_PAGES_MAX, 0 };
	const uint64_t pages = (uint64_t)STREAM_PAGES_MAX * XYL_PAGE_BYTES;
	long before;

	for (unsigned i = 0; i < STREAM_PAGES_MAX; i++)
		list[i] = (uint64_t)STREAM_PAGE_L1 << STREAM_PFN_TYPE_BIT | 7;
	put_xl_header();
	put_image_headers();
	put_p2m_frames(512);
	for (unsigned i = 0; i < 32; i++) {
		put_record(STREAM_PAGE_DATA, (uint32_t)(sizeof(head) + sizeof(list) + pages));
		put(&head, sizeof(head));
		put(list, sizeof(list));
		if (lseek(fd, (off_t)pages, SEEK_CUR) < 0)
			abort();
	}
	put_record(STREAM_END, 0);
	before = most_kib();
	CHECK_THAT(restore(NULL, NULL) < 0 && errno == EBADMSG && strstr(xyl_error(), "record END comes"));
	printf("# %s; %ld KiB\n", xyl_error(), most_kib() - before);
	CHECK_THAT(most_kib() - before < GROWTH_KIB / 3);
	CHECK_THAT(fake_domains[2].page_count == 1 && !fake_mapped);
}

static void put_hole(uint32_t bytes)
{
	put_record(STREAM_OPTIONAL | 5, bytes);
	if (lseek(fd, bytes, SEEK_CUR) < 0)
		abort();
}

/* Optional records in libxl's layer, or in libxc's. */
static void put_optional(bool outer, unsigned count, uint32_t bytes)
{
	put_xl_header();
	for (unsigned i = 0; outer && i < count; i++)
		put_hole(bytes);
	put_image_headers();
	for (unsigned i = 0; !outer && i < count; i++)
		put_hole(bytes);
	put_record(STREAM_END, 0);
}

static void optional_records(void)
{
	int left;

	for (unsigned outer = 0; outer < 2; outer++) {
		put_optional(outer, 2, 64 * (uint32_t)MIB);
		left = 1 << 30;
		CHECK_THAT(restore(count_down, &left) < 0 && errno == EBADMSG);
		CHECK_THAT((1 << 30) - left >= 128);
		left = 3;
		CHECK_THAT(restore(count_down, &left) < 0 && errno == ECANCELED);
		CHECK_THAT(lseek(fd, 0, SEEK_CUR) < 4 * MIB);
		put_optional(outer, 300, 8);
		left = 1 << 30;
		CHECK_THAT(restore(count_down, &left) < 0 && errno == EBADMSG);
		CHECK_THAT((1 << 30) - left >= 300);
	}
	printf("# %s\n", xyl_error());
}

static void optional_too_long(void)
{
	for (unsigned outer = 0; outer < 2; outer++) {
		put_optional(outer, 1, 64 * (uint32_t)MIB + 8);
		CHECK_THAT(restore(NULL, NULL) < 0 && errno == EBADMSG &&
		           strstr(xyl_error(), "optional record of type 0x80000005 has 67108872 bytes"));
		printf("# %s\n", xyl_error());
	}
}

/* ---- those who do not read, or read slowly ---- */

/* Stops a while after writing has begun: less than a pipe or a small socket holds. */
static bool stop_when_written(const struct xyl_progress *p, void *data)
{
	++*(int *)data;
	return p->bytes_done < 4000;
}

static void save_unread(int ends[2])
{
	int asked = 0;

	guest_make();
	CHECK_THAT(xyl_domain_save(x, 1, ends[1], stop_when_written, &asked) < 0 && errno == ECANCELED);
	CHECK_THAT(asked > 0 && !fake_mapped && !fake_allocated);
	printf("# asked %d times: %s\n", asked, xyl_error());
}

static void unread_pipe(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		abort();
	save_unread(ends);
}

static void unread_socket(void)
{
	int ends[2], room = 16 * 1024;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ||
	    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) < 0)
		abort();
	save_unread(ends);
}

/*
 * A child that takes a KiB each tenth of a second: the socket is ready now and then, and the caller is asked all the same,
 * before most is written. (A pipe would be made large enough for all of it.)
 */
static void slow_reader(void)
{
	int ends[2], asked = 0, left = 0, room = 4096;
	long *taken = mmap(NULL, sizeof(*taken), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char some[1024];
	off_t all;
	pid_t child;

	guest_make();
	rewind_stream();
	CHECK_THAT(xyl_domain_save(x, 1, fd, NULL, NULL) == 0);
	all = lseek(fd, 0, SEEK_CUR);
	if (taken == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ||
	    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) < 0)
		abort();
	child = fork();
	if (child == 0) {
		close(ends[1]);
		for (;;) {
			ssize_t n;

			usleep(100 * 1000);
			n = read(ends[0], some, sizeof(some));
			if (n <= 0)
				_exit(0);
			*taken += n;
		}
	}
	guest_make();
	CHECK_THAT(xyl_domain_save(x, 1, ends[1], stop_when_written, &asked) < 0 && errno == ECANCELED);
	CHECK_THAT(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
	CHECK_THAT(ioctl(ends[0], FIONREAD, &left) == 0 && *taken > 0 && *taken + left < all / 2);
	printf("# asked %d times: %ld + %d of %ld bytes\n", asked, *taken, left, (long)all);
	close(ends[0]);
	close(ends[1]);
}

static void test_on(bool copies)
{
	printf("# the hypervisor %s\n", copies ? "copies" : "maps");
	fake_copies = copies;
	rewind_stream();
	isolated("a guest whose table of frames is spread thinly is saved in bounded memory",
	         sparse_guest_saved);
	rewind_stream();
	isolated("it is dumped in bounded memory", sparse_guest_dumped);
	rewind_stream();
	isolated("nor does a live save of it take more", sparse_guest_runs);
	rewind_stream();
	isolated("a live save of a guest with one page far above the others is bounded", far_page);
	rewind_stream();
	isolated("a table with many more entries than the domain has pages is refused", too_many_entries);
	rewind_stream();
	isolated("whoever wants to stop is asked while the table is read", reading_ticks);
	isolated("pfns without a page, far apart, take no memory in a restore", sparse_nothing);
	isolated("pages far apart are restored in memory bounded by their number", sparse_pages);
	isolated("pages that come and go take no more than those that may be there at once", come_and_go);
	isolated("and one by one", come_and_go_singly);
	isolated("a stream with pfns of more than a TiB is refused by name", last_pfn_too_large);
	isolated("a page table that comes again and again is noted once", table_again);
	isolated("whoever wants to stop is asked while optional records are passed over", optional_records);
	isolated("an optional record of more than 64 MiB is refused by name", optional_too_long);
	isolated("a blocking pipe that nobody reads does not hold whoever wants to stop", unread_pipe);
	isolated("nor does a blocking socket", unread_socket);
	isolated("nor does somebody who reads slowly", slow_reader);
}

int main(void)
{
	fd = memfd_create("stream", MFD_CLOEXEC);
	test_on(false);
	test_on(true);
	close(fd);
	return tap_end();
}
