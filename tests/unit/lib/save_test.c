/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Save, restore and dump of a small guest on a fake hypervisor (fakehv.h): what is restored is what was saved; guests and
 * streams that are not right are refused by a sentence; 10,000 damaged streams end in an error or a domain, with nothing left
 * mapped or allocated. SAVE_STREAMS=N in the environment: another number of them.
 */
#include <arpa/inet.h>
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../lib/check.h"
#include "../../lib/random.h"
#include "restoredguest.h"
#include "libxenctrl/src/streamformat.h"

#define STREAM_ROOM (1u << 20)
#define RECORDS_MAX 64u
#define FIRST                                                                    \
	(sizeof(struct stream_xl_header) + 8 + sizeof(struct stream_xc_header) + \
	 sizeof(struct stream_domain_header))

static struct xyl *const x = NULL; /* the fake hypervisor needs no handle */
static int fd = -1;

struct bytes {
	uint8_t *data;
	size_t count;
};

struct place {
	size_t offset;
	size_t bytes; /* with header and padding */
	uint32_t type;
};

static struct bytes saved; /* of guest_make() */
static struct place places[RECORDS_MAX];
static unsigned place_count;

/* ---- a stream in memory and in a file ---- */

static void to_file(const struct bytes *b)
{
	if (ftruncate(fd, 0) < 0 || pwrite(fd, b->data, b->count, 0) != (ssize_t)b->count ||
	    lseek(fd, 0, SEEK_SET) < 0)
		abort();
}

static void from_file(struct bytes *b)
{
	off_t end = lseek(fd, 0, SEEK_END);

	b->count = (size_t)end;
	if (end < 0 || b->count > STREAM_ROOM || pread(fd, b->data, b->count, 0) != (ssize_t)b->count)
		abort();
}

static struct bytes room(void)
{
	return (struct bytes){ malloc(STREAM_ROOM), 0 };
}

static int save(struct bytes *out)
{
	int rc;

	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	rc = xyl_domain_save(x, 1, fd, NULL, NULL);
	if (rc == 0 && out)
		from_file(out);
	return rc;
}

static int restore_from(int from, struct xyl_pv_restored *made, uint64_t max_kib)
{
	struct xyl_pv_restore how = { .console_port = 7, .store_port = 8, .max_memory_kib = max_kib };

	fake_create(2);
	return xyl_domain_restore(x, 2, from, &how, made, NULL, NULL);
}

static int restore(const struct bytes *b)
{
	struct xyl_pv_restored made;

	to_file(b);
	return restore_from(fd, &made, 0);
}

/* Where the records of libxc's layer lie. */
static void find_records(void)
{
	size_t at = FIRST;

	for (place_count = 0; place_count < RECORDS_MAX; place_count++) {
		struct stream_record r;

		memcpy(&r, saved.data + at, sizeof(r));
		places[place_count] = (struct place){ at, sizeof(r) + ((r.bytes + 7) & ~7u), r.type };
		at += places[place_count].bytes;
		if (r.type == STREAM_END)
			break;
	}
	place_count++;
}

static const struct place *place_of(uint32_t type)
{
	for (unsigned i = 0; i < place_count; i++)
		if (places[i].type == type)
			return &places[i];
	abort();
}

static void append(struct bytes *b, const void *data, size_t count)
{
	memcpy(b->data + b->count, data, count);
	b->count += count;
}

/* The stream with records in another order: numbers of places. */
static struct bytes reordered(const unsigned *order, unsigned count)
{
	struct bytes b = room();
	const struct place *last = &places[place_count - 1];

	append(&b, saved.data, FIRST);
	for (unsigned i = 0; i < count; i++)
		append(&b, saved.data + places[order[i]].offset, places[order[i]].bytes);
	append(&b, saved.data + last->offset + last->bytes, saved.count - last->offset - last->bytes);
	return b;
}

/* ---- what is restored is what was saved ---- */

static void check_types(void)
{
	CHECK_THAT(*fake_type(new_frames[ROOT]) == (8 | 4) && *fake_type(new_frames[USER]) == (8 | 4));
	CHECK_THAT(*fake_type(new_frames[L1]) == (8 | 1) && *fake_type(new_frames[L2]) == 0);
}

static void check_state(const struct xyl_pv_restored *made)
{
	const struct fake_domain *old = &fake_domains[1], *new = &fake_domains[2];
	const struct start_info *start =
	        (const struct start_info *)(const void *)fake_page(new_frames[START_INFO]);
	const struct shared_info *shared = guest_shared(2);

	CHECK_THAT(made->store_mfn == new_frames[STORE] && made->console_mfn == new_frames[CONSOLE]);
	CHECK_THAT(made->pages == LOW + 4 && new->page_count == LOW + 4 && new->max_pages == LOW + 4);
	CHECK_THAT(new->map_kib == (LOW + 4) * 4);
	CHECK_THAT(new->grants[0] == made->console_mfn);
	CHECK_THAT(new->grants[1] == made->store_mfn);
	CHECK_THAT(start->store_mfn == made->store_mfn && start->console.domU.mfn == made->console_mfn);
	CHECK_THAT(start->shared_info == (uint64_t)(FAKE_BASE + new->shared_index) << 12);
	CHECK_THAT(shared->vcpu_info[1].evtchn_upcall_mask == 1 && !shared->vcpu_info[1].evtchn_pending_sel);
	CHECK_THAT(!shared->evtchn_pending[0] && shared->evtchn_mask[0] == UINT64_MAX);
	CHECK_THAT(shared->arch.max_pfn == PFNS && !shared->arch.p2m_cr3 &&
	           !shared->arch.pfn_to_mfn_frame_list_list);
	CHECK_THAT(memcmp(&old->tsc, &new->tsc, sizeof(old->tsc)) == 0);
	CHECK_THAT(new->leaf_count == 2 && memcmp(old->leaves, new->leaves, 2 * sizeof(old->leaves[0])) == 0);
	CHECK_THAT(new->entry_count == 1 && memcmp(old->entries, new->entries, sizeof(old->entries)) == 0);
	for (unsigned i = 0; i < FAKE_VCPUS; i++) {
		vcpu_guest_context_t want = old->contexts[i];

		want.user_regs.rdx = i ? 0x1234 : new_frames[START_INFO];
		want.gdt_frames[0] = new_frames[GDT];
		want.ctrlreg[3] = new_frames[ROOT] << 12;
		want.ctrlreg[1] = i ? 0 : new_frames[USER] << 12;
		CHECK_THAT(memcmp(&want, &new->contexts[i], sizeof(want)) == 0);
		CHECK_THAT(memcmp(&old->extended[i], &new->extended[i], sizeof(old->extended[i])) == 0);
		CHECK_THAT(memcmp(&old->xsave[i], &new->xsave[i], sizeof(old->xsave[i])) == 0);
		CHECK_THAT(memcmp(&old->msrs[i], &new->msrs[i], sizeof(old->msrs[i])) == 0);
	}
}

static void test_round_trip(void)
{
	struct xyl_pv_restored made;

	guest_make();
	CHECK_THAT(save(&saved) == 0);
	find_records();
	to_file(&saved);
	CHECK_THAT(restore_from(fd, &made, 0) == 0);
	CHECK_THAT((size_t)lseek(fd, 0, SEEK_CUR) == saved.count);
	check_memory();
	check_types();
	check_state(&made);
	CHECK_THAT(!fake_mapped && !fake_allocated);
	if (!good)
		printf("# %s\n", xyl_error());
	verdict("what is restored is what was saved");
}

/* The other way to tell of the table of frames, and one with room for half a TiB. */
static void test_p2m(void)
{
	struct bytes tree = room(), large = room();
	struct stream_p2m_frames frames;
	const struct place *shared;

	guest_make();
	guest_shared(1)->arch.p2m_cr3 = 0;
	CHECK_THAT(save(&tree) == 0 && tree.count == saved.count);
	shared = place_of(STREAM_SHARED_INFO);
	CHECK_THAT(memcmp(tree.data, saved.data, shared->offset) == 0);
	verdict("a tree of frame lists gives the same stream as a list");
	free(tree.data);

	/* as Linux does it: a page of nothing, a table that maps it everywhere, and that table everywhere above */
	guest_make();
	guest_shared(1)->arch.max_pfn = UINT64_C(100) << 18;
	memset(fake_page(guest_frames[LOW - 1]), 0xff, XYL_PAGE_BYTES);
	*fake_type(guest_frames[LOW - 2]) = 1;
	for (unsigned i = 0; i < 512; i++) {
		guest_words(LOW - 2)[i] = guest_entry(LOW - 1);
		if (i >= 3)
			guest_words(L1)[i] = guest_entry(LOW - 1);
		if (i >= 2)
			guest_words(L2)[i] = guest_entry(LOW - 2);
	}
	CHECK_THAT(save(&large) == 0);
	memcpy(&frames, large.data + place_of(STREAM_X86_PV_P2M_FRAMES)->offset + 8, sizeof(frames));
	CHECK_THAT(frames.last_pfn == (1 << 18) - 1 && restore(&large) == 0 &&
	           fake_domains[2].page_count == LOW + 4);
	if (!good)
		printf("# %s\n", xyl_error());
	verdict("of a table with room for 100 GiB, the end that says nothing is left out");
	free(large.data);
}

/* A guest cannot have more memory than it owns by telling of a frame twice. */
static void test_frame_twice(void)
{
	struct bytes b = room();
	struct xyl_pv_restored made;
	const Elf64_Ehdr *e = (const Elf64_Ehdr *)(const void *)b.data;

	guest_make();
	guest_words(LEAF)[LOW] = guest_frames[DATA];
	guest_words(LEAF + 2)[HIGH % 512 + 10] = guest_frames[HIGH];
	CHECK_THAT(save(&b) == 0);
	to_file(&b);
	CHECK_THAT(restore_from(fd, &made, 4 * (LOW + 4)) == 0 && made.pages == LOW + 4);
	CHECK_THAT(read_new_p2m() && new_frames[DATA] && !new_frames[LOW] && new_frames[HIGH] &&
	           !new_frames[HIGH + 10]);
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	CHECK_THAT(xyl_domain_dump(x, 1, fd, NULL, NULL) == 0);
	from_file(&b);
	CHECK_THAT(((const Elf64_Shdr *)(const void *)(b.data + e->e_shoff))[6].sh_size ==
	           (LOW + 4) * XYL_PAGE_BYTES);
	if (!good)
		printf("# %s\n", xyl_error());
	verdict("a frame that stands at two pfns is saved and dumped once, for the first");
	free(b.data);
}

/* Where a file is written at its end, pages of zeros are holes; elsewhere they are written. The bytes are the same. */
static void test_holes(void)
{
	struct bytes b = room();
	uint8_t junk[100];
	off_t hole;

	guest_make();
	CHECK_THAT(save(&b) == 0 && b.count == saved.count && memcmp(b.data, saved.data, b.count) == 0);
	hole = lseek(fd, 0, SEEK_HOLE);
	CHECK_THAT(hole > 0 && hole < (off_t)saved.count);
	verdict("pages of zeros are holes in a file (the first one at %lld of %zu)", (long long)hole,
	        saved.count);

	memset(b.data, 0xff, saved.count + 7);
	b.count = saved.count + 7;
	to_file(&b);
	guest_make();
	CHECK_THAT(xyl_domain_save(x, 1, fd, NULL, NULL) == 0);
	from_file(&b);
	CHECK_THAT(b.count == saved.count + 7 && memcmp(b.data, saved.data, saved.count) == 0 &&
	           b.data[saved.count] == 0xff);
	verdict("they are written over what a file has");

	memset(junk, 0x77, sizeof(junk));
	if (ftruncate(fd, 0) < 0 || pwrite(fd, junk, sizeof(junk), 0) != sizeof(junk) ||
	    lseek(fd, 0, SEEK_END) < 0)
		abort();
	guest_make();
	CHECK_THAT(xyl_domain_save(x, 1, fd, NULL, NULL) == 0);
	from_file(&b);
	CHECK_THAT(b.count == saved.count + sizeof(junk) &&
	           memcmp(b.data + sizeof(junk), saved.data, saved.count) == 0);
	verdict("a stream behind the header of somebody else's");

	guest_make();
	memset(fake_page(guest_frames[HIGH + 3]), 0, XYL_PAGE_BYTES);
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	CHECK_THAT(xyl_domain_dump(x, 1, fd, NULL, NULL) == 0 &&
	           lseek(fd, 0, SEEK_END) % XYL_PAGE_BYTES == 0);
	verdict("a core file whose last page is zeros has its length");
	free(b.data);
}

/* Writes b to the file, with holes where whole blocks are zeros. */
static void to_sparse_file(const struct bytes *b)
{
	static const uint8_t zero[XYL_PAGE_BYTES];

	if (ftruncate(fd, 0) < 0 || ftruncate(fd, (off_t)b->count) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	for (size_t at = 0; at < b->count; at += XYL_PAGE_BYTES) {
		size_t n = b->count - at < XYL_PAGE_BYTES ? b->count - at : XYL_PAGE_BYTES;

		if (memcmp(b->data + at, zero, n) && pwrite(fd, b->data + at, n, (off_t)at) != (ssize_t)n)
			abort();
	}
}

/* Frames that were mapped to restore the file. */
static unsigned restore_sparse(const struct bytes *b, const char *extraversion)
{
	struct xyl_pv_restored made;

	to_sparse_file(b);
	guest_make();
	guest_shared(1)->evtchn_mask[63] = 1ull << 63;
	fake_extraversion = extraversion;
	fake_frames_mapped = 0;
	CHECK_THAT(restore_from(fd, &made, 0) == 0);
	fake_extraversion = ".5";
	check_memory();
	return fake_frames_mapped;
}

/* Frames that come as zeros are left alone where the file has a hole, unless something was there before. */
static void test_restored_holes(void)
{
	const struct stream_record verify = { STREAM_VERIFY, 0 };
	const struct place *pages = place_of(STREAM_PAGE_DATA);
	size_t contents = pages->offset + pages->bytes - (LOW + 4) * (size_t)XYL_PAGE_BYTES;
	struct bytes once = room(), twice = room();
	unsigned all, fewer;
	int memory = fd, disk = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC | O_DIRECT, 0600);

	if (disk < 0) {
		tap_skip("holes of a file are not read", "this folder's file system has no O_DIRECT");
		return;
	}
	fd = disk;
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_DIRECT) < 0)
		abort();
	guest_make();
	guest_shared(1)->evtchn_mask[63] = 1ull << 63;
	CHECK_THAT(save(&once) == 0);
	all = restore_sparse(&once, ".5");
	fewer = restore_sparse(&once, "-xylem");
	CHECK_THAT(fewer < all);
	verdict("pages in holes are not mapped: %u frames instead of %u", fewer, all);

	append(&twice, once.data, pages->offset + pages->bytes);
	memset(twice.data + contents + ZEROS * (size_t)XYL_PAGE_BYTES, 0x5a, 3 * (size_t)XYL_PAGE_BYTES);
	append(&twice, &verify, sizeof(verify));
	append(&twice, once.data + pages->offset, once.count - pages->offset);
	restore_sparse(&twice, "-xylem");
	verdict("a page that comes again, as zeros, in a hole");
	fd = memory;
	close(disk);
	free(once.data);
	free(twice.data);
}

/* ---- guests that cannot be saved ---- */

static void refuse_save(const char *name, int error, const char *word)
{
	int rc = save(NULL);

	tap_ok(rc < 0 && errno == error && strstr(xyl_error(), word) && !fake_mapped && !fake_allocated,
	       "not saved: %s", name);
	printf("# %s (errno %d)\n", rc < 0 ? xyl_error() : "it was saved", errno);
}

static void test_bad_guests(void)
{
	guest_make();
	fake_domains[1].shutdown = false;
	refuse_save("a domain that runs", EBUSY, "has not shut down");
	guest_make();
	fake_domains[1].reason = XYL_SHUTDOWN_CRASH;
	refuse_save("a domain that crashed", EBUSY, "has not shut down");
	guest_make();
	fake_domains[1].there = false;
	refuse_save("no domain", ESRCH, "domain 1");
	guest_make();
	guest_shared(1)->arch.max_pfn = 0;
	refuse_save("no pages", EINVAL, "its size cannot be");
	guest_make();
	guest_shared(1)->arch.max_pfn = UINT64_MAX;
	refuse_save("too many pages", EINVAL, "its size cannot be");
	guest_make();
	guest_shared(1)->arch.p2m_vaddr = P2M_VA + 8;
	refuse_save("a table at an odd address", EINVAL, "address cannot be");
	guest_make();
	guest_shared(1)->arch.p2m_vaddr = UINT64_C(0xffff800000000000);
	refuse_save("a table in the hypervisor's place", EINVAL, "address cannot be");
	guest_make();
	guest_shared(1)->arch.p2m_vaddr = UINT64_C(0xfffffffffffff000);
	refuse_save("a table beyond the end", EINVAL, "address cannot be");
	guest_make();
	guest_shared(1)->arch.p2m_vaddr = 0;
	refuse_save("a table that is not mapped", EINVAL, "not mapped page by page");
	guest_make();
	guest_shared(1)->arch.p2m_cr3 = 1 << 12;
	refuse_save("tables in a frame of others", EINVAL, "map");
	guest_make();
	guest_shared(1)->arch.p2m_cr3 = 0;
	guest_shared(1)->arch.pfn_to_mfn_frame_list_list = 0;
	refuse_save("no table", EINVAL, "has not set one up");
	guest_make();
	guest_words(L1)[150] = UINT64_C(0x777000) | 1;
	refuse_save("a page table that maps what is another's", EBUSY, "not its memory");
	guest_make();
	guest_words(L2)[2] = guest_entry(DATA) | 0x80;
	refuse_save("a large page", ENOTSUP, "large page");
	guest_make();
	guest_words(LEAF)[LEAF + 1] = UINT64_MAX;
	refuse_save("a table that does not have itself", EINVAL, "which the table does not have");
	guest_make();
	fake_domains[1].contexts[0].user_regs.rdx = 5;
	refuse_save("no start info", EINVAL, "start info");
	guest_make();
	fake_domains[1].contexts[1].ctrlreg[3] = 0;
	refuse_save("a vcpu without page table", EINVAL, "page table of vcpu 1");
	guest_make();
	fake_domains[1].contexts[1].gdt_ents = 8192;
	refuse_save("a GDT that is too long", EINVAL, "GDT entries");
	guest_make();
	fake_domains[1].online[0] = false;
	refuse_save("a domain whose vcpu 0 is offline", EINVAL, "vcpu 0 is offline");
	tap_ok(lseek(fd, 0, SEEK_END) == 0, "before anything of it is written");
}

/* Lets the domain go on while it is saved. */
static bool resume(const struct xyl_progress *p, void *data)
{
	(void)data;
	if (p->pages_done)
		fake_domains[1].shutdown = false;
	return true;
}

static void test_resumed(void)
{
	struct xyl_pv_restored made;

	guest_make();
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	CHECK_THAT(xyl_domain_save(x, 1, fd, resume, NULL) < 0 && errno == EBUSY &&
	           strstr(xyl_error(), "has not shut down for suspend"));
	CHECK_THAT(lseek(fd, 0, SEEK_SET) == 0 && restore_from(fd, &made, 0) < 0 && errno == EBADMSG &&
	           strstr(xyl_error(), "the stream ends within its"));
	CHECK_THAT(!fake_mapped && !fake_allocated);
	printf("# %s\n", xyl_error());
	verdict("not saved: a domain that somebody lets go on meanwhile; what was written has no END");
}

/* ---- streams that cannot be restored ---- */

static void refuse(const char *name, const struct bytes *b, int error, const char *word)
{
	int rc;

	guest_make();
	rc = restore(b);
	tap_ok(rc < 0 && errno == error && strstr(xyl_error(), word) && !fake_mapped && !fake_allocated,
	       "not restored: %s", name);
	printf("# %s (errno %d)\n", rc < 0 ? xyl_error() : "it was restored", errno);
}

static struct bytes copy(void)
{
	struct bytes b = room();

	append(&b, saved.data, saved.count);
	return b;
}

/* One value at an offset is another. */
static void refuse_value(const char *name, size_t offset, const void *value, size_t bytes, int error,
                         const char *word)
{
	struct bytes b = copy();

	memcpy(b.data + offset, value, bytes);
	refuse(name, &b, error, word);
	free(b.data);
}

static void refuse_u32(const char *name, size_t offset, uint32_t value, int error, const char *word)
{
	refuse_value(name, offset, &value, sizeof(value), error, word);
}

static void refuse_u64(const char *name, size_t offset, uint64_t value, int error, const char *word)
{
	refuse_value(name, offset, &value, sizeof(value), error, word);
}

static void test_headers(void)
{
	const size_t xc = sizeof(struct stream_xl_header) + 8, domain = xc + sizeof(struct stream_xc_header);
	const uint16_t big = htons(1), shift = 13;

	refuse_u32("another magic", 0, 0, EBADMSG, "LibxlFmt");
	refuse_u32("libxl version 3", 8, htonl(3), EBADMSG, "version 3");
	refuse_u32("libxl options", 12, htonl(2), EBADMSG, "options 0x2");
	refuse_u32("an emulator's record", 16, STREAM_XL_EMULATOR_CONTEXT, ENOTSUP, "EMULATOR_CONTEXT");
	refuse_u32("an emulator's store", 16, STREAM_XL_EMULATOR_XENSTORE_DATA, ENOTSUP,
	           "EMULATOR_XENSTORE_DATA");
	refuse_u32("an unknown record of libxl's", 16, 99, EBADMSG, "unknown type 0x63");
	refuse_u32("END at once", 16, STREAM_XL_END, EBADMSG, "without a record LIBXC_CONTEXT");
	refuse_u32("LIBXC_CONTEXT with a body", 20, 8, EBADMSG, "should have none");
	refuse_u32("no XENF", xc + 8, 0, EBADMSG, "XENF");
	refuse_u32("libxc version 4", xc + 12, htonl(4), EBADMSG, "version 4");
	refuse_value("big-endian", xc + 16, &big, sizeof(big), ENOTSUP, "big-endian");
	refuse_u32("an HVM guest", domain, STREAM_XC_TYPE_HVM, ENOTSUP, "HVM");
	refuse_u32("a guest of type 7", domain, 7, EBADMSG, "unknown type 0x7");
	refuse_value("pages of 8 KiB", domain + 4, &shift, sizeof(shift), EBADMSG, "2^13");
}

static void test_bodies(void)
{
	const size_t info = place_of(STREAM_X86_PV_INFO)->offset + 8,
	             p2m = place_of(STREAM_X86_PV_P2M_FRAMES)->offset + 8,
	             pages = place_of(STREAM_PAGE_DATA)->offset + 8,
	             vcpu = place_of(STREAM_X86_PV_VCPU_BASIC)->offset + 8,
	             end = place_of(STREAM_END)->offset;
	const uint8_t narrow[2] = { 4, 3 }, odd[2] = { 8, 5 };
	const size_t context = vcpu + 8, first_page = pages + 8 + 8 * (LOW + 4);
	const size_t l1 = first_page + (size_t)L1 * XYL_PAGE_BYTES;

	refuse_u32("an unknown record", end, 0x44, EBADMSG, "unknown type 0x44");
	refuse_u32("an HVM guest's record", end, STREAM_HVM_PARAMS, ENOTSUP, "HVM_PARAMS");
	refuse_u32("a record for replication", end, STREAM_CHECKPOINT, ENOTSUP, "CHECKPOINT");
	refuse_u32("END with a body", end + 4, 8, EBADMSG, "END has 8 bytes");
	refuse_value("a 32-bit guest", info, narrow, 2, ENOTSUP, "32-bit");
	refuse_value("five levels", info, odd, 2, EBADMSG, "5 levels");
	refuse_u32("a table from pfn 512 on", p2m, 512, EBADMSG, "begins with pfn 0x200");
	refuse_u32("a table up to pfn 2^32 - 1", p2m + 4, UINT32_MAX, EBADMSG, "not right for pfns up to");
	refuse_u32("a table shorter than told", p2m + 4, 100, EBADMSG, "not right for pfns up to");
	refuse_u64("a table beyond the domain", p2m + 8, PFNS, EBADMSG, "has pfn 0x44c");
	refuse_u64("a table where no page is", p2m + 8, 900, EBADMSG, "table of frames lies in pfn 0x384");
	refuse_u64("a table in a page table", p2m + 8, L1, EBADMSG, "no normal page");
	refuse_u32("no pages", pages, 0, EBADMSG, "tells of 0 pages");
	refuse_u32("too many pages", pages, 40000, EBADMSG, "40000 pages");
	refuse_u32("a page more", pages, LOW + 5, EBADMSG, "PAGE_DATA");
	refuse_u64("a page beyond the end", pages + 8, PFNS, EBADMSG, "pfn 0x44c");
	refuse_u64("a page of type 5", pages + 8, UINT64_C(5) << 60, EBADMSG, "unknown type 5");
	refuse_u64("reserved bits", pages + 8, UINT64_C(1) << 55, EBADMSG, "reserved bits");
	refuse_u64("a page less", pages + 8, UINT64_C(15) << 60, EBADMSG, "should have");
	refuse_u64("an entry to nowhere", l1, UINT64_C(900) << 12 | 1, EBADMSG,
	           "maps a page that the domain does not have");
	refuse_u64("a large page", l1 - XYL_PAGE_BYTES + 8, (uint64_t)DATA << 12 | 0x81, EBADMSG,
	           "maps a large page");
	refuse_u32("a vcpu too many", vcpu, FAKE_VCPUS, EBADMSG, "for vcpu 2, but the new domain has 2");
	refuse_u64("start info nowhere", context + offsetof(vcpu_guest_context_t, user_regs.rdx), 900,
	           EBADMSG, "start info");
	refuse_u64("a GDT too long", context + offsetof(vcpu_guest_context_t, gdt_ents), 8192, EBADMSG,
	           "GDT entries");
	refuse_u64("a GDT in a page table", context + offsetof(vcpu_guest_context_t, gdt_frames), ROOT,
	           EBADMSG, "GDT");
	refuse_u64("a root that is an L3", context + offsetof(vcpu_guest_context_t, ctrlreg) + 24,
	           (uint64_t)L3 << 12, EBADMSG, "which is no L4");
	refuse_u64("a root of programs that is none", context + offsetof(vcpu_guest_context_t, ctrlreg) + 8,
	           (uint64_t)DATA << 12 | 1, EBADMSG, "which is no L4");
	refuse_u64("a store's page nowhere", first_page + offsetof(struct start_info, store_mfn), 5000,
	           EBADMSG, "store's page");
	refuse_u64("a console's page nowhere", first_page + offsetof(struct start_info, console), 5000,
	           EBADMSG, "console's page");
}

/* The record that says how pages of zeros come, put before the first record of a type. */
static void refuse_zeros(const char *name, enum stream_type before, unsigned count, uint32_t bytes,
                         const char *word)
{
	const struct stream_record r = { STREAM_ZEROS_BY_TYPE, bytes };
	size_t at = place_of(before)->offset;
	struct bytes b = room();

	append(&b, saved.data, at);
	while (count--)
		append(&b, &r, sizeof(r));
	append(&b, saved.data + at, saved.count - at);
	refuse(name, &b, EBADMSG, word);
	free(b.data);
}

static void test_zeros_by_type(void)
{
	refuse_zeros("ZEROS_BY_TYPE behind memory", STREAM_SHARED_INFO, 1, 0,
	             "comes after its record PAGE_DATA");
	refuse_zeros("ZEROS_BY_TYPE twice", STREAM_X86_PV_P2M_FRAMES, 2, 0, "second record ZEROS_BY_TYPE");
	refuse_zeros("ZEROS_BY_TYPE with a body", STREAM_X86_PV_P2M_FRAMES, 1, 8, "should have none");
}

/* A guest that began on Xen has FIFO event channels, and would not survive without. */
static void test_fifo(void)
{
	struct bytes b = copy();
	uint64_t masked = 1ull << 63;

	fake_extraversion = "-xylem";
	refuse("a guest with FIFO event channels, on Xylem", &b, ENOTSUP, "xen.fifo_events=0");
	memcpy(b.data + place_of(STREAM_SHARED_INFO)->offset + sizeof(struct stream_record) +
	               offsetof(struct shared_info, evtchn_mask[63]),
	       &masked, sizeof(masked));
	guest_make();
	tap_ok(restore(&b) == 0, "restored: one without, on Xylem");
	fake_extraversion = ".5";
	free(b.data);
}

/* A hypervisor that leaves out features its host has not, and does not say so: the guest has seen them. What hypervisors answer
 * by themselves is no such feature. */
static void test_features(void)
{
	const xen_cpuid_leaf_t seen = fake_domains[1].leaves[0];
	struct bytes b = copy();

	fake_lacks = (xen_cpuid_leaf_t){ 1, XEN_CPUID_NO_SUBLEAF, 0, 0, 0, 1u << 25 };
	refuse("a guest that has seen SSE, on a host without", &b, EINVAL,
	       "processors differ (CPUID leaf 0x1,");
	fake_lacks = (xen_cpuid_leaf_t){ 1, XEN_CPUID_NO_SUBLEAF, ~0u, ~0u, 1u << 31 | 1u << 27, 1u << 28 };
	guest_make();
	tap_ok(seen.leaf == 1 && seen.c >> 31 && seen.d >> 28 & 1 && restore(&b) == 0,
	       "restored: HTT and OSXSAVE are left out");
	memset(&fake_lacks, 0, sizeof(fake_lacks));
	free(b.data);
}

/* What a domain is not to see, and what goes with it; what is no feature of a processor changes nothing. */
static void test_hidden(void)
{
	static const struct xyl_cpuid off[] = { { 1, 0, 0, 0, 1u << 20, 1u << 25 } },
	                              bad[] = { { 1, 0, 0, 0, 1, 0 }, { 1, 0, 0, 0, 0, 1u << 9 } },
	                              none[] = { { 2, 0, 1, 0, 0, 0 } }, other[] = { { 1, 1, 0, 0, 1, 0 } };
	xen_cpuid_leaf_t *leaf = &fake_domains[1].leaves[0];

	guest_make();
	tap_ok(xyl_domain_hide_features(x, 1, bad, 2) < 0 && errno == EINVAL &&
	               strstr(xyl_error(), "CPUID leaf 0x1") && xyl_domain_hide_features(x, 1, none, 1) < 0 &&
	               xyl_domain_hide_features(x, 1, other, 1) < 0 && leaf->c == UINT32_MAX &&
	               leaf->d == UINT32_MAX,
	       "hidden: what is no feature is refused, and nothing is hidden");
	fake_lacks = (xen_cpuid_leaf_t){ 1, XEN_CPUID_NO_SUBLEAF, 0, 0, 0, 1u << 26 };
	tap_ok(xyl_domain_hide_features(x, 1, off, 1) == 0 && leaf->c == ~(1u << 20) &&
	               leaf->d == ~(3u << 25),
	       "hidden: two features, and one that cannot be without them");
	memset(&fake_lacks, 0, sizeof(fake_lacks));
	guest_make();
}

/* Each record left out, doubled, and moved to the front: most are refused, and none does harm. */
static void test_order(void)
{
	static const uint32_t may_lack[] = { STREAM_X86_CPUID_POLICY,  STREAM_X86_MSR_POLICY,
		                             STREAM_X86_TSC_INFO,      STREAM_X86_PV_VCPU_EXTENDED,
		                             STREAM_X86_PV_VCPU_XSAVE, STREAM_X86_PV_VCPU_MSRS };
	unsigned order[RECORDS_MAX + 1];

	for (unsigned i = 0; i < place_count; i++) {
		uint32_t type = places[i].type;
		bool lack = false;
		unsigned n = 0;
		struct bytes b;
		int rc;

		for (unsigned j = 0; j < sizeof(may_lack) / sizeof(may_lack[0]); j++)
			lack = lack || type == may_lack[j];
		for (unsigned j = 0; j < place_count; j++)
			if (j != i)
				order[n++] = j;
		b = reordered(order, n);
		guest_make();
		rc = restore(&b);
		/* without vcpu 1's registers its other records are alone */
		if (rc == 0 ? !lack : lack || errno != EBADMSG) {
			printf("# without record %u of type %#x: %d, %s\n", i, type, rc, xyl_error());
			good = false;
		}
		free(b.data);
		n = 0;
		for (unsigned j = 0; j < place_count; j++) {
			order[n++] = j;
			if (j == i)
				order[n++] = j;
		}
		b = reordered(order, n);
		guest_make();
		rc = restore(&b);
		/* memory and its table may come again; a second END is what libxl's layer would have to be */
		if (rc == 0 ? type != STREAM_PAGE_DATA && type != STREAM_X86_PV_P2M_FRAMES &&
		                      type != STREAM_END
		            : errno != EBADMSG) {
			printf("# with record %u of type %#x twice: %d, %s\n", i, type, rc, xyl_error());
			good = false;
		}
		free(b.data);
	}
	CHECK_THAT(!fake_mapped && !fake_allocated);
	verdict("each record left out, or doubled");
}

static void test_v2(void)
{
	struct bytes b;
	unsigned order[RECORDS_MAX], n = 0;
	uint32_t two = htonl(2);

	for (unsigned i = 0; i < place_count; i++)
		if (places[i].type != STREAM_STATIC_DATA_END)
			order[n++] = i;
	b = reordered(order, n);
	memcpy(b.data + sizeof(struct stream_xl_header) + 8 + 12, &two, sizeof(two));
	guest_make();
	CHECK_THAT(restore(&b) == 0 && fake_domains[2].leaf_count == 2);
	verdict("a stream of version 2, without STATIC_DATA_END");
	free(b.data);
}

/* As "xl migrate --debug" writes it: all pages again, to be compared. */
static void test_verify(void)
{
	const struct stream_record r = { STREAM_VERIFY, 0 };
	const struct place *pages = place_of(STREAM_PAGE_DATA);
	size_t end = pages->offset + pages->bytes;
	struct bytes b = room();

	append(&b, saved.data, end);
	append(&b, &r, sizeof(r));
	append(&b, saved.data + pages->offset, saved.count - pages->offset);
	guest_make();
	CHECK_THAT(restore(&b) == 0);
	check_memory();
	verdict("a stream with VERIFY");
	free(b.data);
}

static void test_optional(void)
{
	const struct stream_record r = { STREAM_OPTIONAL | 5, 13 };
	struct bytes b = room();

	append(&b, saved.data, FIRST);
	append(&b, &r, sizeof(r));
	append(&b, "what is this?   ", 16);
	append(&b, saved.data + FIRST, saved.count - FIRST);
	guest_make();
	CHECK_THAT(restore(&b) == 0);
	verdict("an optional record that is unknown is passed over");
	free(b.data);
}

static void test_limits(void)
{
	struct xyl_pv_restored made;
	struct bytes b = copy();

	guest_make();
	to_file(&b);
	CHECK_THAT(restore_from(fd, &made, 4 * (LOW + 4) + 400) == 0 &&
	           fake_domains[2].max_pages == LOW + 4 + 100 &&
	           fake_domains[2].map_kib == 4 * (LOW + 4) + 400);
	verdict("a limit above what was saved");
	guest_make();
	to_file(&b);
	CHECK_THAT(restore_from(fd, &made, 4 * LOW) < 0 && errno == ENOMEM);
	printf("# %s\n", xyl_error());
	verdict("more memory than it may have");
	guest_make();
	to_file(&b);
	fake_create(2);
	fake_give(2);
	CHECK_THAT(xyl_domain_restore(x, 2, fd, &(struct xyl_pv_restore){ 0 }, &made, NULL, NULL) < 0 &&
	           errno == EINVAL);
	verdict("a domain that is not new");
	free(b.data);
}

static bool stop_at(const struct xyl_progress *p, void *data)
{
	(void)p;
	return --*(int *)data > 0;
}

static void test_cancel(void)
{
	struct xyl_pv_restored made;
	int left;

	for (int n = 1; n <= 2; n++) {
		guest_make();
		left = n;
		if (lseek(fd, 0, SEEK_SET) < 0)
			abort();
		CHECK_THAT(n > 1 || (xyl_domain_save(x, 1, fd, stop_at, &left) < 0 && errno == ECANCELED));
		left = n;
		CHECK_THAT(n > 1 || (xyl_domain_dump(x, 1, fd, stop_at, &left) < 0 && errno == ECANCELED));
		to_file(&saved);
		fake_create(2);
		left = n;
		CHECK_THAT(xyl_domain_restore(x, 2, fd, &(struct xyl_pv_restore){ 0 }, &made, stop_at,
		                              &left) < 0 &&
		           errno == ECANCELED);
	}
	CHECK_THAT(!fake_mapped && !fake_allocated);
	printf("# %s\n", xyl_error());
	verdict("a progress function that says no");
}

static bool stop_late(const struct xyl_progress *p, void *data)
{
	(void)data;
	return !p->pages_done;
}

/* What stands in a buffer when a save fails is of use to nobody, and its disk may be one that does not answer. */
static void test_failed_file(void)
{
	guest_make();
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	CHECK_THAT(xyl_domain_save(x, 1, fd, stop_late, NULL) < 0 && errno == ECANCELED);
	/* Where all is in the file it stands at its end. */
	CHECK_THAT(lseek(fd, 0, SEEK_CUR) == 0);
	verdict("a save that fails writes no more");
}

static void *feed(void *data)
{
	int to = *(int *)data;

	for (size_t at = 0; at < saved.count;) {
		size_t n = 1 + random_below(9000);

		n = n < saved.count - at ? n : saved.count - at;
		if (write(to, saved.data + at, n) != (ssize_t)n)
			abort();
		at += n;
	}
	close(to);
	return NULL;
}

static void test_pipe(void)
{
	struct xyl_pv_restored made;
	pthread_t thread;
	int ends[2], stop = 1;

	guest_make();
	if (pipe2(ends, O_CLOEXEC) < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ||
	    pthread_create(&thread, NULL, feed, &ends[1]) != 0)
		abort();
	CHECK_THAT(restore_from(ends[0], &made, 0) == 0);
	pthread_join(thread, NULL);
	close(ends[0]);
	verdict("from a pipe that does not block, in pieces");
	if (pipe2(ends, O_CLOEXEC) < 0)
		abort();
	fake_create(2);
	CHECK_THAT(xyl_domain_restore(x, 2, ends[0], &(struct xyl_pv_restore){ 0 }, &made, stop_at, &stop) <
	                   0 &&
	           errno == ECANCELED);
	verdict("a pipe into which nobody writes does not hold a caller who wants to stop");
	close(ends[0]);
	CHECK_THAT(restore_from(ends[1], &made, 0) < 0 && errno == EBADF);
	close(ends[1]);
	printf("# %s\n", xyl_error());
	verdict("what cannot be read is an error");
}

/* Each call of the hypervisor fails once. */
static void test_failing_calls(void)
{
	unsigned calls, instead = 0;
	int rc;

	guest_make();
	fake_calls = 0;
	CHECK_THAT(save(NULL) == 0);
	calls = fake_calls;
	for (unsigned i = 1; i <= calls; i++) {
		guest_make();
		fake_fail_at = i;
		if (save(NULL) == 0 || errno != ENOMEM || fake_mapped || fake_allocated) {
			printf("# call %u of a save: errno %d, %u mapped, %u allocated\n", i, errno,
			       fake_mapped, fake_allocated);
			good = false;
		}
	}
	verdict("a save in which call 1 to %u fails", calls);
	guest_make();
	fake_calls = 0;
	CHECK_THAT(restore(&saved) == 0);
	calls = fake_calls;
	for (unsigned i = 1; i <= calls; i++) {
		guest_make();
		fake_fail_at = i;
		rc = restore(&saved);
		if (rc == 0 && fake_run_failed) {
			instead++;
			continue;
		}
		if (rc == 0 || errno != ENOMEM || fake_mapped || fake_allocated) {
			printf("# call %u of a restore: errno %d, %u mapped, %u allocated\n", i, errno,
			       fake_mapped, fake_allocated);
			good = false;
		}
	}
	CHECK_THAT(instead == 1);
	verdict("a restore in which call 1 to %u fails; that for runs of frames alone has others in its place",
	        calls);
}

/* Each truncation at and around a record's end, and within headers. */
static void test_truncated(void)
{
	struct bytes b = copy();

	for (unsigned i = 0; i < place_count; i++)
		for (size_t more = 0; more <= 40; more += 4) {
			b.count = places[i].offset + more;
			if (b.count >= saved.count)
				continue;
			guest_make();
			CHECK_THAT(restore(&b) < 0 && errno == EBADMSG &&
			           strstr(xyl_error(), "the stream ends"));
		}
	verdict("truncated streams");
	free(b.data);
}

/* A place to damage: mostly one that says what follows, as most bytes are contents of pages. */
static size_t damaged_place(void)
{
	const struct place *p = &places[random_below(place_count)];

	switch (random_below(4)) {
	case 0:
		return random_below((uint32_t)FIRST);
	case 1:
		return random_below((uint32_t)saved.count);
	default:
		return p->offset + random_below(p->bytes < 300 ? (uint32_t)p->bytes : 300);
	}
}

static void test_damaged(void)
{
	const char *text = getenv("SAVE_STREAMS");
	unsigned count = text ? (unsigned)atoi(text) : 10000, fine = 0, refused = 0;
	struct bytes b = copy();

	for (unsigned i = 0; i < count; i++) {
		int rc;

		memcpy(b.data, saved.data, saved.count);
		b.count = saved.count;
		for (unsigned n = 1 + random_below(4); n; n--) {
			size_t at = damaged_place();

			b.data[at] = random_below(2) ? (uint8_t)random_below(256)
			                             : b.data[at] ^ (uint8_t)(1u << random_below(8));
		}
		if (random_below(4) == 0)
			b.count = random_below((uint32_t)saved.count);
		guest_make();
		rc = restore(&b);
		fine += rc == 0;
		refused += rc < 0 &&
		           (errno == EBADMSG || errno == ENOTSUP || errno == EINVAL || errno == ENOMEM);
		CHECK_THAT(!fake_mapped && !fake_allocated);
	}
	CHECK_THAT(fine + refused == count && refused > count / 2);
	verdict("%u damaged streams: %u refused, %u restored", count, refused, fine);
	free(b.data);
}

/* ---- dump ---- */

static void test_dump(void)
{
	struct bytes b = room();
	const Elf64_Ehdr *e = (const Elf64_Ehdr *)(const void *)b.data;
	const Elf64_Shdr *s;
	const uint64_t *p2m;

	guest_make();
	fake_domains[1].reason = XYL_SHUTDOWN_CRASH;
	fake_domains[1].online[1] = false;
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	CHECK_THAT(xyl_domain_dump(x, 1, fd, NULL, NULL) == 0);
	from_file(&b);
	s = (const Elf64_Shdr *)(const void *)(b.data + e->e_shoff);
	CHECK_THAT(e->e_shnum == 7 &&
	           strcmp((char *)b.data + s[1].sh_offset + s[5].sh_name, ".xen_p2m") == 0);
	p2m = (const uint64_t *)(const void *)(b.data + s[5].sh_offset);
	CHECK_THAT(s[3].sh_size == sizeof(vcpu_guest_context_t) &&
	           memcmp(b.data + s[3].sh_offset, &fake_domains[1].contexts[0], s[3].sh_size) == 0);
	CHECK_THAT(memcmp(b.data + s[4].sh_offset, guest_shared(1), XYL_PAGE_BYTES) == 0);
	CHECK_THAT(s[5].sh_size == (LOW + 4) * 16 && s[6].sh_size == (LOW + 4) * XYL_PAGE_BYTES &&
	           s[6].sh_offset + s[6].sh_size == b.count);
	for (unsigned i = 0; i < LOW + 4 && good; i++) {
		CHECK_THAT(p2m[2 * i + 1] == guest_frames[p2m[2 * i]]);
		CHECK_THAT(memcmp(b.data + s[6].sh_offset + (size_t)i * XYL_PAGE_BYTES,
		                  fake_page(p2m[2 * i + 1]), XYL_PAGE_BYTES) == 0);
	}
	CHECK_THAT(!fake_mapped && !fake_allocated);
	verdict("a core file");
	free(b.data);
}

/* All of it on a hypervisor that has frames mapped, as Xen has, or copies their contents, as Xylem does. */
static void test_on(bool copies)
{
	printf("# the hypervisor %s\n", copies ? "copies" : "maps");
	fake_copies = copies;
	saved = room();
	test_round_trip();
	if (tap_failed)
		return;
	test_p2m();
	test_frame_twice();
	test_holes();
	test_restored_holes();
	test_bad_guests();
	test_resumed();
	test_headers();
	test_bodies();
	test_zeros_by_type();
	test_fifo();
	test_features();
	test_hidden();
	test_order();
	test_v2();
	test_verify();
	test_optional();
	test_limits();
	test_cancel();
	test_failed_file();
	test_pipe();
	test_failing_calls();
	test_truncated();
	test_damaged();
	test_dump();
	free(saved.data);
}

static void test_file(const char *how)
{
	printf("# a file on a disk, %s\n", how);
	saved = room();
	test_round_trip();
	if (tap_failed)
		return;
	test_holes();
	test_restored_holes();
	test_bad_guests();
	test_resumed();
	test_v2();
	test_verify();
	test_cancel();
	test_failed_file();
	test_failing_calls();
	free(saved.data);
}

/* A file past the page cache, into and out of whose buffer the hypervisor copies. */
static void test_on_disk(void)
{
	fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0) {
		tap_skip("a file on a disk", "this folder's file system has no O_TMPFILE");
		return;
	}
	test_file("the hypervisor copies");
	fake_away = true;
	test_file("no memory but the hypercalls' own is ever there");
	fake_away = false;
	fake_old_copies = true;
	test_file("the hypervisor copies as it first did");
	fake_old_copies = false;
	close(fd);
}

int main(void)
{
	fd = memfd_create("stream", MFD_CLOEXEC);
	test_on(false);
	test_on(true);
	close(fd);
	test_on_disk();
	return tap_end();
}
