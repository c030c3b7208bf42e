/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The PV builder against a fake domain: whatever it builds is checked by walking the page tables that it
 * wrote, as the processor would, and by comparing what lies behind each address with what the ABI says.
 *
 * $XYLEM_TEST_KERNEL names a real kernel (bzImage or ELF) to be built too.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xen/xen.h>

#include "hypervisor/lib/decompress.h"
#include "hypervisor/lib/pvbuild.h"
#include "fakemem.h"
#include "makeelf.h"
#include "../../lib/tap.h"

#define PTE_P      0x1u
#define PTE_W      0x2u
#define PTE_U      0x4u
#define PTE_MFN(e) ((0x000ffffffffff000 & (e)) >> 12)

struct built {
	struct pv_image image;
	struct pv_layout layout;
	struct fakemem mem;
	const uint8_t *ramdisk;
	const char *cmdline;
	uint64_t leaves; /* mapped pages seen by count_leaves */
	uint64_t tables;
	bool sound;
};

static uint8_t *at_mfn(struct built *b, uint64_t mfn)
{
	uint64_t pfn = fakemem_pfn(mfn);

	return pfn < b->mem.used_pages ? b->mem.memory + pfn * PV_PAGE_BYTES : NULL;
}

/* The L1 entry for va, or 0. */
static uint64_t walk(struct built *b, uint64_t va)
{
	uint64_t mfn = fakemem_mfn(&b->mem, b->layout.cr3_pfn);

	for (int level = 4; level >= 1; level--) {
		uint64_t *table = (uint64_t *)at_mfn(b, mfn);
		uint64_t entry;

		if (!table)
			return 0;
		entry = table[(va >> (12 + 9 * (level - 1))) & 511];
		if (!(entry & PTE_P) || !(entry & PTE_U) || level == 1)
			return entry & PTE_P ? entry : 0;
		mfn = PTE_MFN(entry);
	}
	return 0;
}

/* Counts all that is mapped and all tables; iterative over the four levels. */
static void count_level(struct built *b, uint64_t mfn, int level)
{
	uint64_t *table = (uint64_t *)at_mfn(b, mfn);

	b->tables++;
	if (!table) {
		b->sound = false;
		return;
	}
	for (int i = 0; i < 512; i++) {
		if (!(table[i] & PTE_P))
			b->sound &= table[i] == 0;
		else if (level == 1)
			b->leaves++;
		else
			count_level(b, PTE_MFN(table[i]), level - 1);
	}
}

static bool is_table(const struct pv_layout *l, uint64_t pfn)
{
	return (pfn >= l->tables.pfn && pfn < l->tables.pfn + l->tables.pages) ||
	       (pfn >= l->p2m_tables.pfn && pfn < l->p2m_tables.pfn + l->p2m_tables.pages);
}

/* Every page of the initial region, and of the p2m's, is mapped to its pfn with the right permissions;
 * nothing else is. */
static bool mappings_right(struct built *b)
{
	const struct pv_layout *l = &b->layout;
	uint64_t pages = (l->v_end - l->v_start) / PV_PAGE_BYTES;

	for (uint64_t pfn = 0; pfn < pages; pfn++) {
		uint64_t entry = walk(b, l->v_start + pfn * PV_PAGE_BYTES);

		if (!entry || PTE_MFN(entry) != fakemem_mfn(&b->mem, pfn) ||
		    !!(entry & PTE_W) == is_table(l, pfn))
			return false;
	}
	for (uint64_t i = 0; i < l->p2m.pages; i++) {
		uint64_t entry = walk(b, l->p2m_va + i * PV_PAGE_BYTES);

		if (!entry || PTE_MFN(entry) != fakemem_mfn(&b->mem, l->p2m.pfn + i) || !(entry & PTE_W))
			return false;
	}
	b->sound = true;
	count_level(b, fakemem_mfn(&b->mem, l->cr3_pfn), 4);
	return b->sound && b->leaves == pages + (l->p2m_tables.pages ? l->p2m.pages : 0) &&
	       b->tables == l->tables.pages + l->p2m_tables.pages;
}

/* A byte of the domain by virtual address; -1 where nothing is mapped. */
static int peek(struct built *b, uint64_t va)
{
	uint64_t entry = walk(b, va);
	uint8_t *page = entry ? at_mfn(b, PTE_MFN(entry)) : NULL;

	return page ? page[va % PV_PAGE_BYTES] : -1;
}

static bool kernel_right(struct built *b)
{
	const struct pv_image *i = &b->image;

	for (unsigned s = 0; s < i->segment_count; s++) {
		const struct pv_segment *g = &i->segments[s];

		for (uint64_t n = 0; n < g->memory_bytes; n++) {
			int want = n < g->file_bytes ? i->data[g->file_offset + n] : 0;

			if (peek(b, g->vaddr + n) != want)
				return false;
		}
	}
	return true;
}

static bool ramdisk_right(struct built *b)
{
	const struct pv_layout *l = &b->layout;
	uint64_t room = l->ramdisk.pages * PV_PAGE_BYTES;
	const uint8_t *there = b->mem.memory + l->ramdisk.pfn * PV_PAGE_BYTES;

	if (!l->ramdisk_bytes)
		return l->ramdisk.pages == 0;
	if (memcmp(there, b->ramdisk, l->ramdisk_bytes) != 0)
		return false;
	for (uint64_t n = l->ramdisk_bytes; n < room; n++) {
		if (there[n])
			return false;
	}
	return !l->ramdisk_mapped || peek(b, l->ramdisk_start) == b->ramdisk[0];
}

static bool p2m_right(struct built *b)
{
	const struct pv_layout *l = &b->layout;
	const uint64_t *list = (const uint64_t *)(b->mem.memory + l->p2m.pfn * PV_PAGE_BYTES);

	for (uint64_t pfn = 0; pfn < l->p2m.pages * 512; pfn++) {
		if (list[pfn] != (pfn < l->pages ? fakemem_mfn(&b->mem, pfn) : PV_MFN_NONE))
			return false;
	}
	return l->p2m.pages * 512 >= l->pages;
}

static bool start_info_right(struct built *b)
{
	const struct pv_layout *l = &b->layout;
	const struct start_info *s =
	        (const struct start_info *)(b->mem.memory + l->start_info.pfn * PV_PAGE_BYTES);
	bool unmapped = l->ramdisk_bytes && !l->ramdisk_mapped;

	if (strcmp(s->magic, "xen-3.0-x86_64") != 0 || s->nr_pages != l->pages ||
	    s->shared_info != 0xabc000 || s->pt_base != l->tables_va || s->nr_pt_frames != l->tables.pages ||
	    s->mfn_list != l->p2m_va || strcmp((const char *)s->cmd_line, b->cmdline) != 0 ||
	    !(s->flags & SIF_MOD_START_PFN) != !unmapped || s->mod_len != l->ramdisk_bytes ||
	    s->mod_start != (l->ramdisk_bytes ? l->ramdisk_start : 0))
		return false;
	if (l->p2m_tables.pages &&
	    (s->first_p2m_pfn != l->p2m.pfn || s->nr_p2m_frames != l->p2m.pages + l->p2m_tables.pages))
		return false;
	if (l->initial_domain)
		return (s->flags & SIF_INITDOMAIN) && s->console.dom0.info_size == 7 &&
		       memcmp((const char *)s + s->console.dom0.info_off, "console", 7) == 0;
	return s->store_mfn == fakemem_mfn(&b->mem, l->store.pfn) && s->store_evtchn == 11 &&
	       s->console.domU.evtchn == 12 && s->console.domU.mfn == fakemem_mfn(&b->mem, l->console.pfn);
}

static bool zero_pages_right(struct built *b)
{
	static const uint8_t zero[PV_PAGE_BYTES];
	const struct pv_area *areas[] = { &b->layout.store, &b->layout.console, &b->layout.stack };

	for (int i = 0; i < 3; i++) {
		if (areas[i]->pages &&
		    memcmp(b->mem.memory + areas[i]->pfn * PV_PAGE_BYTES, zero, sizeof(zero)) != 0)
			return false;
	}
	return true;
}

/* Areas lie apart, below used_pages, and the region's end and padding are as the ABI wants. */
static bool layout_right(const struct built *b)
{
	const struct pv_layout *l = &b->layout;
	const struct pv_area *a[] = { &l->kernel, &l->ramdisk, &l->p2m,    &l->p2m_tables, &l->start_info,
		                      &l->store,  &l->console, &l->tables, &l->stack };
	uint64_t end = l->v_start + (l->stack.pfn + 1) * PV_PAGE_BYTES;

	for (unsigned i = 0; i < 9; i++) {
		if (a[i]->pages && a[i]->pfn + a[i]->pages > l->used_pages)
			return false;
		for (unsigned j = 0; j < i; j++) {
			if (a[i]->pages && a[j]->pages && a[i]->pfn < a[j]->pfn + a[j]->pages &&
			    a[j]->pfn < a[i]->pfn + a[i]->pages)
				return false;
		}
	}
	return l->v_end % (4u << 20) == 0 && l->v_end - end >= (512u << 10) && l->v_end - end < (8u << 20) &&
	       l->used_pages <= l->pages && l->rsp == end && l->rsi == l->start_info_va &&
	       l->rip == b->image.entry && l->cr3_pfn == l->tables.pfn &&
	       (l->store.pages == 0) == l->initial_domain;
}

static void check_one(const char *name, struct built *b, bool deep)
{
	struct pv_ops ops = fakemem_ops(&b->mem);
	struct pv_start start = { .ramdisk = b->ramdisk,
		                  .cmdline = b->cmdline,
		                  .shared_info_maddr = 0xabc000,
		                  .store_port = 11,
		                  .console_port = 12,
		                  .vga_info = "console",
		                  .vga_info_bytes = 7,
		                  .flags = b->layout.initial_domain ? SIF_PRIVILEGED | SIF_INITDOMAIN : 0 };

	tap_ok(layout_right(b), "%s: layout", name);
	if (!tap_ok(pv_build(&b->image, &b->layout, &start, &ops) == PV_OK, "%s: builds", name))
		return;
	tap_ok(mappings_right(b), "%s: page tables map what they should, and nothing else", name);
	tap_ok(p2m_right(b), "%s: p2m", name);
	tap_ok(ramdisk_right(b), "%s: ramdisk", name);
	tap_ok(start_info_right(b), "%s: start_info", name);
	tap_ok(zero_pages_right(b), "%s: rings and stack are zero", name);
	tap_ok(b->mem.mapped == 0 && b->mem.mapped_most <= 2, "%s: each page was given back", name);
	if (deep)
		tap_ok(kernel_right(b), "%s: kernel and its bss", name);
}

static void try_build(const char *name, const struct makeelf *m, uint64_t pages, uint64_t ramdisk_bytes,
                      bool dom0)
{
	static uint8_t image[MAKEELF_BYTES];
	struct pv_request request = { .pages = pages,
		                      .ramdisk_bytes = ramdisk_bytes,
		                      .initial_domain = dom0 };
	struct built b = { .cmdline = "root=/dev/xvda1 ro" };
	uint8_t *ramdisk = malloc(ramdisk_bytes + 1);
	size_t bytes = makeelf(m, image);

	for (uint64_t i = 0; i < ramdisk_bytes; i++)
		ramdisk[i] = (uint8_t)(i * 13 + 5);
	b.ramdisk = ramdisk_bytes ? ramdisk : NULL;
	if (tap_ok(pv_image_parse(&b.image, image, bytes) == PV_OK, "%s: parses", name) &&
	    tap_ok(pv_layout_make(&b.layout, &b.image, &request) == PV_OK, "%s: fits", name)) {
		fakemem_init(&b.mem, pages, b.layout.used_pages);
		check_one(name, &b, true);
		free(b.mem.memory);
	}
	free(ramdisk);
}

static void test_layouts(void)
{
	struct makeelf modern = makeelf_modern(), classic = makeelf_classic();
	struct makeelf low = { .virt_base = 0, .load_paddr = 0x100000, .entry = 0x100000 };
	struct makeelf offset = classic, mixed = modern;

	try_build("modern guest", &modern, 16384, (5 << 20) + 3, false);
	try_build("modern guest without ramdisk", &modern, 8192, 0, false);
	try_build("modern dom0", &modern, 131072, 1, true);
	try_build("modern guest with much memory", &modern, 3000001, 4096, false);
	try_build("classic guest", &classic, 8192, 4097, false);
	try_build("classic dom0 with much memory", &classic, 2000000, 70000, true);
	try_build("guest at address 0", &low, 4096, 100, false);
	/* old kernels wrote virtual addresses into paddr */
	offset.paddr_offset = offset.virt_base;
	offset.load_paddr += offset.virt_base;
	try_build("guest with PADDR_OFFSET", &offset, 8192, 4096, false);
	mixed.init_p2m = 0;
	try_build("p2m within, ramdisk by pfn", &mixed, 16384, 8192, false);
	mixed = modern;
	mixed.mod_start_pfn = 0;
	mixed.notes_in_section = 1;
	try_build("notes in a section", &mixed, 16384, 8192, false);
	mixed = modern;
	mixed.init_p2m = 0x7fffe00000; /* spans two L4 slots with 512 MiB of list */
	try_build("p2m across L4 slots", &mixed, 600000, 0, false);
}

/* The least memory that a kernel takes is found by trying; one page less must be refused, not overrun. */
static void test_too_small(void)
{
	static uint8_t bytes_of[MAKEELF_BYTES];
	struct makeelf m = makeelf_modern();
	struct pv_request request = { .ramdisk_bytes = 10000 };
	struct pv_layout layout;
	struct pv_image image;
	uint64_t least = 0;

	tap_ok(pv_image_parse(&image, bytes_of, makeelf(&m, bytes_of)) == PV_OK, "small memory: parses");
	for (uint64_t pages = 0; pages < 16384 && !least; pages++) {
		request.pages = pages;
		if (pv_layout_make(&layout, &image, &request) == PV_OK)
			least = pages;
	}
	tap_ok(least == layout.used_pages, "small memory: the least that works is what is used");
	request.pages = least - 1;
	tap_ok(pv_layout_make(&layout, &image, &request) == PV_ERR_TOO_SMALL,
	       "small memory: a page less is refused");
	request.pages = 0;
	tap_ok(pv_layout_make(&layout, &image, &request) == PV_ERR_TOO_SMALL, "no memory is refused");
	request.pages = UINT64_MAX;
	tap_ok(pv_layout_make(&layout, &image, &request) == PV_ERR_TOO_LARGE, "absurd memory is refused");
	request.pages = 16384;
	request.ramdisk_bytes = UINT64_MAX;
	tap_ok(pv_layout_make(&layout, &image, &request) == PV_ERR_TOO_SMALL, "absurd ramdisk is refused");
	request.initial_domain = true;
	request.ramdisk_bytes = 0;
	m.features = "writable_page_tables";
	m.supported = 0;
	tap_ok(pv_image_parse(&image, bytes_of, makeelf(&m, bytes_of)) == PV_OK &&
	               pv_layout_make(&layout, &image, &request) == PV_OK,
	       "the older FEATURES note without dom0 does not keep a kernel from it");
	m.supported = 1;
	tap_ok(pv_image_parse(&image, bytes_of, makeelf(&m, bytes_of)) == PV_OK &&
	               pv_layout_make(&layout, &image, &request) == PV_ERR_NOT_DOM0,
	       "a kernel that cannot be dom0 is refused there");
}

static void test_map_failure(void)
{
	static uint8_t bytes_of[MAKEELF_BYTES];
	struct makeelf m = makeelf_modern();
	struct pv_request request = { .pages = 16384, .ramdisk_bytes = 5000 };
	struct pv_start start = { .ramdisk = bytes_of, .cmdline = "x" };
	bool all = true, leak = false;
	struct built b = { 0 };
	uint64_t calls;
	int rc = -1;

	(void)!pv_image_parse(&b.image, bytes_of, makeelf(&m, bytes_of));
	(void)!pv_layout_make(&b.layout, &b.image, &request);
	fakemem_init(&b.mem, 16384, b.layout.used_pages);
	struct pv_ops ops = fakemem_ops(&b.mem);

	rc = pv_build(&b.image, &b.layout, &start, &ops);
	calls = b.mem.maps;
	tap_ok(rc == PV_OK && calls > 10, "map failures: works without one");
	for (uint64_t n = 1; n <= calls; n++) {
		b.mem.maps = 0;
		b.mem.fail_at = n;
		all &= pv_build(&b.image, &b.layout, &start, &ops) == PV_ERR_MAP;
		leak |= b.mem.mapped != 0;
	}
	tap_ok(all, "map failures: each of %llu is reported", (unsigned long long)calls);
	tap_ok(!leak, "map failures: none leaves a page mapped");
	free(b.mem.memory);
}

static void test_cmdline(void)
{
	static uint8_t bytes_of[MAKEELF_BYTES];
	char line[PV_CMDLINE_MAX + 2];
	struct makeelf m = makeelf_modern();
	struct pv_request request = { .pages = 16384 };
	struct pv_start start = { .cmdline = line };
	struct built b = { 0 };

	(void)!pv_image_parse(&b.image, bytes_of, makeelf(&m, bytes_of));
	(void)!pv_layout_make(&b.layout, &b.image, &request);
	fakemem_init(&b.mem, 16384, b.layout.used_pages);
	struct pv_ops ops = fakemem_ops(&b.mem);

	memset(line, 'a', sizeof(line));
	line[PV_CMDLINE_MAX] = '\0';
	tap_ok(pv_build(&b.image, &b.layout, &start, &ops) == PV_OK,
	       "a command line of 1,023 characters fits");
	line[PV_CMDLINE_MAX] = 'a';
	line[PV_CMDLINE_MAX + 1] = '\0';
	tap_ok(pv_build(&b.image, &b.layout, &start, &ops) == PV_ERR_CMDLINE, "one of 1,024 is refused");
	free(b.mem.memory);
}

static void refuse(const char *name, struct makeelf m, int want)
{
	static uint8_t bytes_of[MAKEELF_BYTES];
	struct pv_request request = { .pages = 16384 };
	struct pv_layout layout;
	struct pv_image image;
	int rc = pv_image_parse(&image, bytes_of, makeelf(&m, bytes_of));

	if (rc == PV_OK)
		rc = pv_layout_make(&layout, &image, &request);
	tap_ok(rc == want, "refused: %s (%s)", name, pv_error_text(rc));
}

static void test_refusals(void)
{
	struct makeelf m = makeelf_modern();

	m.no_notes = 1;
	refuse("no Xen notes", m, PV_ERR_NOTES);
	m = makeelf_modern();
	m.features = "!supervisor_mode_kernel";
	refuse("a feature that PV lacks", m, PV_ERR_FEATURE);
	m.features = "!of_the_future";
	refuse("a required feature that nobody knows", m, PV_ERR_FEATURE);
	m = makeelf_modern();
	m.virt_base = 0xffff800000000000;
	m.entry = 0xffff800001000000;
	refuse("kernel in the hypervisor's range", m, PV_ERR_ADDRESS);
	m = makeelf_modern();
	m.virt_base = 0x0000800000000000;
	m.entry = 0x0000800001000000;
	refuse("kernel at addresses that are not canonical", m, PV_ERR_ADDRESS);
	m = makeelf_modern();
	m.init_p2m = 0xffff820000000000;
	refuse("p2m in the hypervisor's range", m, PV_ERR_ADDRESS);
	m.init_p2m = 0xffffffff00000000;
	refuse("p2m in the kernel's own L4 slot", m, PV_ERR_ADDRESS);
	m.init_p2m = 0x8000000001;
	refuse("p2m not at a page", m, PV_ERR_NOTE_VALUE);
	m = makeelf_modern();
	m.entry = 0x1000;
	refuse("entry outside of the kernel", m, PV_ERR_NOTE_VALUE);
	m = makeelf_classic();
	m.hypercall_page = 0xffffffff90000000;
	refuse("hypercall page outside of the kernel", m, PV_ERR_NOTE_VALUE);
	m = makeelf_modern();
	m.virt_base = 0xfffffffffff00000;
	refuse("kernel beyond the last address", m, PV_ERR_ADDRESS);
	m = makeelf_modern();
	m.paddr_offset = 0x2000000;
	refuse("segment below PADDR_OFFSET", m, PV_ERR_SEGMENTS);
}

static void test_hypercall_page(void)
{
	static uint8_t page[PV_PAGE_BYTES];
	bool right = true;

	pv_hypercall_page(page);
	for (uint32_t n = 0; n < 128; n++) {
		const uint8_t *e = page + n * 32;
		unsigned mov = n == __HYPERVISOR_iret ? 4 : 3;
		uint32_t number;

		memcpy(&number, e + mov + 1, 4);
		right &= e[0] == 0x51 && e[mov] == 0xb8 && number == n && e[mov + 5] == 0x0f &&
		         e[mov + 6] == 0x05;
	}
	tap_ok(right, "the hypercall page has each number in its place");
}

/* A real kernel: built like any other; its bytes are compared page by page through the walk as well. */
static void test_real_kernel(void)
{
	const char *name = getenv("XYLEM_TEST_KERNEL");
	struct pv_request request = { .pages = 32768, .ramdisk_bytes = 3 << 20 };
	struct built b = { .cmdline = "console=hvc0" };
	static uint8_t ramdisk[3 << 20];
	struct payload payload;
	uint64_t produced = 0;
	uint8_t *file, *elf;
	bool found;
	long size;
	FILE *f = name ? fopen(name, "rb") : NULL;

	if (!f) {
		tap_skip("a real kernel", "XYLEM_TEST_KERNEL names none");
		return;
	}
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	rewind(f);
	file = malloc((size_t)size);
	tap_ok(file && fread(file, 1, (size_t)size, f) == (size_t)size, "real kernel: read");
	fclose(f);
	found = payload_find(file, (uint64_t)size, &payload) == PV_OK &&
	        payload.unpacked_bytes < (512u << 20);
	tap_ok(found, "real kernel: payload %s", payload_kind_name(payload.kind));
	elf = malloc(payload.unpacked_bytes);
	tap_ok(elf && decompress(&payload, elf, payload.unpacked_bytes, &produced) == PV_OK,
	       "real kernel: unpacks");
	if (tap_ok(pv_image_parse(&b.image, elf, produced) == PV_OK, "real kernel: parses") &&
	    tap_ok(pv_layout_make(&b.layout, &b.image, &request) == PV_OK,
	           "real kernel: fits into 128 MiB")) {
		memset(ramdisk, 0x5a, sizeof(ramdisk));
		b.ramdisk = ramdisk;
		fakemem_init(&b.mem, request.pages, b.layout.used_pages);
		check_one("real kernel", &b, true);
		free(b.mem.memory);
	}
	free(elf);
	free(file);
}

int main(void)
{
	test_layouts();
	test_too_small();
	test_map_failure();
	test_cmdline();
	test_refusals();
	test_hypercall_page();
	test_real_kernel();
	return tap_end();
}
