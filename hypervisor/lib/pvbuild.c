/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Third step of the PV builder: writes the domain's initial memory. See pvbuild.h.
 *
 * The layout was made by pv_layout_make and is trusted; the image is read only within the bounds that
 * pv_image_parse checked. Each page that is written is written whole, because fresh frames are not zero on
 * every hypervisor.
 */
#include <stdint.h>
#include <string.h>
#include <xen/xen.h>

#include "pvbuild.h"
#include "pvregion.h"

#define PAGE_SHIFT    12
#define ENTRIES       512u
#define ENTRIES_SHIFT 9

#define PTE_PRESENT   UINT64_C(0x001)
#define PTE_WRITE     UINT64_C(0x002)
#define PTE_USER      UINT64_C(0x004) /* a PV kernel runs in ring 3 */
#define PTE_ACCESSED  UINT64_C(0x020)
#define PTE_DIRTY     UINT64_C(0x040)
#define PTE_LEAF      (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)
#define PTE_TABLE     (PTE_LEAF | PTE_DIRTY)

_Static_assert(sizeof(struct start_info) <= PV_PAGE_BYTES / 2,
               "start_info and the VGA information share a page");
_Static_assert(PV_CMDLINE_MAX == MAX_GUEST_CMDLINE - 1, "the command line lies within start_info");

struct writer {
	const struct pv_image *image;
	const struct pv_layout *layout;
	const struct pv_ops *ops;
	struct pv_region initial;
	struct pv_region p2m; /* no pages when the p2m lies within the initial region */
};

static bool contains(const struct pv_area *area, uint64_t pfn)
{
	return pfn >= area->pfn && pfn - area->pfn < area->pages;
}

static uint64_t mfn_at(const struct writer *w, uint64_t pfn)
{
	uint64_t mfn;

	w->ops->mfns(w->ops->ctx, pfn, 1, &mfn);
	return mfn;
}

static void *map_zeroed(const struct writer *w, uint64_t pfn)
{
	void *page = w->ops->map(w->ops->ctx, pfn);

	if (page)
		memset(page, 0, PV_PAGE_BYTES);
	return page;
}

static void unmap(const struct writer *w, uint64_t pfn, void *page)
{
	w->ops->unmap(w->ops->ctx, pfn, page);
}

/* Copies the part of a segment's file bytes that falls into the page at va. */
static void copy_part(const struct writer *w, const struct pv_segment *segment, uint64_t va, uint8_t *page)
{
	uint64_t start = segment->vaddr > va ? segment->vaddr : va;
	uint64_t end = segment->vaddr + segment->file_bytes;

	if (end > va + PV_PAGE_BYTES)
		end = va + PV_PAGE_BYTES;
	if (start < end)
		memcpy(page + (start - va), w->image->data + segment->file_offset + (start - segment->vaddr),
		       end - start);
}

/* Whether a segment's file bytes fill the page at va: then it need not be zeroed first. */
static bool filled(const struct writer *w, uint64_t va)
{
	for (unsigned s = 0; s < w->image->segment_count; s++) {
		const struct pv_segment *segment = &w->image->segments[s];

		if (segment->vaddr <= va && segment->file_bytes >= PV_PAGE_BYTES &&
		    va - segment->vaddr <= segment->file_bytes - PV_PAGE_BYTES)
			return true;
	}
	return false;
}

static int write_kernel(const struct writer *w)
{
	const struct pv_area *kernel = &w->layout->kernel;

	for (uint64_t i = 0; i < kernel->pages; i++) {
		uint64_t va = w->image->kernel_start + (i << PAGE_SHIFT), pfn = kernel->pfn + i;
		uint8_t *page = filled(w, va) ? w->ops->map(w->ops->ctx, pfn) : map_zeroed(w, pfn);

		if (!page)
			return PV_ERR_MAP;
		for (unsigned s = 0; s < w->image->segment_count; s++)
			copy_part(w, &w->image->segments[s], va, page);
		unmap(w, pfn, page);
	}
	return PV_OK;
}

static int write_ramdisk(const struct writer *w, const uint8_t *ramdisk)
{
	const struct pv_area *area = &w->layout->ramdisk;

	for (uint64_t i = 0; i < area->pages; i++) {
		uint64_t left = w->layout->ramdisk_bytes - (i << PAGE_SHIFT);
		uint64_t part = left < PV_PAGE_BYTES ? left : PV_PAGE_BYTES;
		uint8_t *page = w->ops->map(w->ops->ctx, area->pfn + i);

		if (!page)
			return PV_ERR_MAP;
		memcpy(page, ramdisk + (i << PAGE_SHIFT), part);
		memset(page + part, 0, PV_PAGE_BYTES - part);
		unmap(w, area->pfn + i, page);
	}
	return PV_OK;
}

static int write_p2m(const struct writer *w)
{
	const struct pv_layout *layout = w->layout;

	for (uint64_t i = 0; i < layout->p2m.pages; i++) {
		uint64_t pfn = i << ENTRIES_SHIFT;
		uint64_t *page = w->ops->map(w->ops->ctx, layout->p2m.pfn + i);
		unsigned count;

		if (!page)
			return PV_ERR_MAP;
		/* Entries behind the last page say "no frame", as those of holes do. */
		count = layout->pages - pfn < ENTRIES ? (unsigned)(layout->pages - pfn) : ENTRIES;
		w->ops->mfns(w->ops->ctx, pfn, count, page);
		for (unsigned e = count; e < ENTRIES; e++)
			page[e] = PV_MFN_NONE;
		unmap(w, layout->p2m.pfn + i, page);
	}
	return PV_OK;
}

static uint64_t leaf_flags(const struct pv_layout *layout, uint64_t pfn)
{
	/* The hypervisor refuses page tables that the guest could write to. */
	if (contains(&layout->tables, pfn) || contains(&layout->p2m_tables, pfn))
		return PTE_LEAF & ~PTE_WRITE;
	return PTE_LEAF;
}

/* Entry for child number index of level (0: page, else a table of that level) of a region; 0 outside of it. */
static uint64_t entry_of(const struct writer *w, const struct pv_region *region, int level, uint64_t index)
{
	uint64_t first = level ? region->level[level].first : region->page;
	uint64_t count = level ? region->level[level].count : region->pages;
	uint64_t base = level ? region->level[level].pfn : region->pfn;
	uint64_t pfn;

	if (index < first || index - first >= count)
		return 0;
	pfn = base + (index - first);
	return (mfn_at(w, pfn) << PAGE_SHIFT) | (level ? PTE_TABLE : leaf_flags(w->layout, pfn));
}

static int write_tables(const struct writer *w, const struct pv_region *region)
{
	for (int l = 1; l <= 3; l++) {
		const struct pv_level *level = &region->level[l];

		for (uint64_t t = 0; t < level->count; t++) {
			uint64_t *table = w->ops->map(w->ops->ctx, level->pfn + t);
			uint64_t index = (level->first + t) << ENTRIES_SHIFT;

			if (!table)
				return PV_ERR_MAP;
			for (unsigned e = 0; e < ENTRIES; e++)
				table[e] = entry_of(w, region, l - 1, index + e);
			unmap(w, level->pfn + t, table);
		}
	}
	return PV_OK;
}

static int write_l4(const struct writer *w)
{
	uint64_t *table = w->ops->map(w->ops->ctx, w->layout->tables.pfn);

	if (!table)
		return PV_ERR_MAP;
	for (unsigned e = 0; e < ENTRIES; e++) {
		table[e] = entry_of(w, &w->initial, 3, e);
		if (w->p2m.pages && !table[e])
			table[e] = entry_of(w, &w->p2m, 3, e);
	}
	unmap(w, w->layout->tables.pfn, table);
	return PV_OK;
}

static void fill_start_info(const struct writer *w, const struct pv_start *start, struct start_info *info)
{
	const struct pv_layout *layout = w->layout;

	memcpy(info->magic, "xen-3.0-x86_64", sizeof("xen-3.0-x86_64"));
	info->nr_pages = layout->pages;
	info->shared_info = start->shared_info_maddr;
	info->flags = start->flags;
	info->pt_base = layout->tables_va;
	info->nr_pt_frames = layout->tables.pages;
	info->mfn_list = layout->p2m_va;
	if (layout->p2m_tables.pages) {
		info->first_p2m_pfn = layout->p2m.pfn;
		info->nr_p2m_frames = layout->p2m.pages + layout->p2m_tables.pages;
	}
	if (layout->ramdisk.pages) {
		info->mod_start = layout->ramdisk_start;
		info->mod_len = layout->ramdisk_bytes;
		if (!layout->ramdisk_mapped)
			info->flags |= SIF_MOD_START_PFN;
	}
	if (start->cmdline)
		memcpy(info->cmd_line, start->cmdline, strlen(start->cmdline));
	if (!layout->initial_domain) {
		info->store_mfn = mfn_at(w, layout->store.pfn);
		info->store_evtchn = start->store_port;
		info->console.domU.mfn = mfn_at(w, layout->console.pfn);
		info->console.domU.evtchn = start->console_port;
	} else if (start->vga_info && start->vga_info_bytes <= PV_PAGE_BYTES - sizeof(*info)) {
		info->console.dom0.info_off = sizeof(*info);
		info->console.dom0.info_size = start->vga_info_bytes;
		memcpy((uint8_t *)info + sizeof(*info), start->vga_info, start->vga_info_bytes);
	}
}

static int write_pages(const struct writer *w, const struct pv_start *start)
{
	const struct pv_area *zeroed[] = { &w->layout->store, &w->layout->console, &w->layout->stack };
	void *page;

	for (unsigned i = 0; i < sizeof(zeroed) / sizeof(zeroed[0]); i++) {
		if (!zeroed[i]->pages)
			continue;
		page = map_zeroed(w, zeroed[i]->pfn);
		if (!page)
			return PV_ERR_MAP;
		unmap(w, zeroed[i]->pfn, page);
	}
	page = map_zeroed(w, w->layout->start_info.pfn);
	if (!page)
		return PV_ERR_MAP;
	fill_start_info(w, start, page);
	unmap(w, w->layout->start_info.pfn, page);
	return PV_OK;
}

int pv_build(const struct pv_image *image, const struct pv_layout *layout, const struct pv_start *start,
             const struct pv_ops *ops)
{
	struct writer w = { .image = image, .layout = layout, .ops = ops };
	int rc;

	if (start->cmdline && strlen(start->cmdline) > PV_CMDLINE_MAX)
		return PV_ERR_CMDLINE;
	if (!pv_region_make(&w.initial, layout->v_start, (layout->v_end - layout->v_start) >> PAGE_SHIFT, 0,
	                    layout->tables.pfn + 1))
		return PV_ERR_ADDRESS;
	if (layout->p2m_tables.pages && !pv_region_make(&w.p2m, layout->p2m_va, layout->p2m.pages,
	                                                layout->p2m.pfn, layout->p2m_tables.pfn))
		return PV_ERR_ADDRESS;
	rc = write_kernel(&w);
	if (rc == PV_OK && start->ramdisk)
		rc = write_ramdisk(&w, start->ramdisk);
	if (rc == PV_OK)
		rc = write_p2m(&w);
	if (rc == PV_OK)
		rc = write_tables(&w, &w.initial);
	if (rc == PV_OK && w.p2m.pages)
		rc = write_tables(&w, &w.p2m);
	if (rc == PV_OK)
		rc = write_l4(&w);
	if (rc == PV_OK)
		rc = write_pages(&w, start);
	return rc;
}

void pv_hypercall_page(void *page)
{
	/* push %rcx; push %r11; mov $n,%eax; syscall; pop %r11; pop %rcx; ret */
	static const uint8_t call[] = {
		0x51, 0x41, 0x53, 0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3
	};
	/* iret takes its frame from the stack: push %rcx; push %r11; push %rax; mov $n,%eax; syscall */
	static const uint8_t iret[] = { 0x51, 0x41, 0x53, 0x50, 0xb8, 0, 0, 0, 0, 0x0f, 0x05 };
	const size_t stride = 32;
	uint8_t *out = page;

	memset(out, 0xcc, PV_PAGE_BYTES); /* int3 where nothing should run */
	for (uint32_t n = 0; n < PV_PAGE_BYTES / stride; n++, out += stride) {
		if (n == __HYPERVISOR_iret) {
			memcpy(out, iret, sizeof(iret));
			memcpy(out + 5, &n, sizeof(n));
		} else {
			memcpy(out, call, sizeof(call));
			memcpy(out + 4, &n, sizeof(n));
		}
	}
}
