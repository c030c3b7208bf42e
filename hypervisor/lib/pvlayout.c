/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Second step of the PV builder: where everything lies. See pvbuild.h; source: "Start-of-day memory layout"
 * in xen/xen.h.
 */
#include <stdint.h>
#include <string.h>
#include <xen/xen.h>
#include <xen/features.h>

#include "pvbuild.h"
#include "pvregion.h"

#define VA_BITS     48
#define VA_MASK     ((UINT64_C(1) << VA_BITS) - 1)
#define PAGE_SHIFT  12
#define LEVEL_SHIFT 9
#define END_ALIGN   (UINT64_C(4) << 20)                   /* the initial region ends at such an address */
#define PAD_PAGES   ((UINT64_C(512) << 10) >> PAGE_SHIFT) /* and has at least so much room at its end */
#define PAGES_MAX   (UINT64_C(1) << 36)                   /* 256 TiB: keeps all sums below within 64 bits */

static bool canonical(uint64_t va)
{
	uint64_t top = va >> (VA_BITS - 1);

	return top == 0 || top == (UINT64_C(1) << (64 - VA_BITS + 1)) - 1;
}

bool pv_region_make(struct pv_region *region, uint64_t va, uint64_t pages, uint64_t pfn, uint64_t tables_pfn)
{
	uint64_t last, next = tables_pfn;

	memset(region, 0, sizeof(*region));
	if (!pages || pages > PAGES_MAX || __builtin_add_overflow(va, (pages << PAGE_SHIFT) - 1, &last))
		return false;
	/* Both ends in the same half, so that the hole between them is not within. */
	if (!canonical(va) || !canonical(last) || (va >> (VA_BITS - 1)) != (last >> (VA_BITS - 1)))
		return false;
	if (va < HYPERVISOR_VIRT_END && last >= HYPERVISOR_VIRT_START)
		return false;
	region->page = (va & VA_MASK) >> PAGE_SHIFT;
	region->pages = pages;
	region->pfn = pfn;
	for (int l = 3; l >= 1; l--) {
		struct pv_level *level = &region->level[l];

		level->first = region->page >> (LEVEL_SHIFT * l);
		level->count = ((region->page + pages - 1) >> (LEVEL_SHIFT * l)) - level->first + 1;
		level->pfn = next;
		next += level->count;
	}
	return true;
}

/* How many L3, L2 and L1 tables it takes. */
static uint64_t pv_region_tables(const struct pv_region *region)
{
	return region->level[1].count + region->level[2].count + region->level[3].count;
}

/* Whether both use the same L4 entry. */
static bool pv_region_share_l4(const struct pv_region *a, const struct pv_region *b)
{
	const struct pv_level *p = &a->level[3], *q = &b->level[3];

	return p->first < q->first + q->count && q->first < p->first + p->count;
}

static uint64_t pages_of(uint64_t bytes)
{
	return bytes / PV_PAGE_BYTES + (bytes % PV_PAGE_BYTES ? 1 : 0);
}

/* Gives an area the next pages. */
static void take(struct pv_area *area, uint64_t *next, uint64_t pages)
{
	area->pfn = *next;
	area->pages = pages;
	*next += pages;
}

static uint64_t va_of(const struct pv_layout *layout, uint64_t pfn)
{
	return layout->v_start + (pfn << PAGE_SHIFT);
}

/*
 * Page tables, stack and padding behind pfn next. The number of tables depends on where the region ends and
 * the other way round; the end only grows, so this settles after a few turns.
 */
static int place_tables(struct pv_layout *layout, struct pv_region *initial, uint64_t next)
{
	uint64_t tables = 1;

	for (;;) {
		uint64_t end, pages, need;

		if (__builtin_add_overflow(layout->v_start, (next + tables + 1 + PAD_PAGES) << PAGE_SHIFT,
		                           &end) ||
		    __builtin_add_overflow(end, END_ALIGN - 1, &end))
			return PV_ERR_TOO_LARGE;
		end &= ~(END_ALIGN - 1);
		pages = (end - layout->v_start) >> PAGE_SHIFT;
		if (pages > layout->pages)
			return PV_ERR_TOO_SMALL;
		/* The L4 comes first, so the others begin one page behind it. */
		if (!pv_region_make(initial, layout->v_start, pages, 0, next + 1))
			return PV_ERR_ADDRESS;
		need = 1 + pv_region_tables(initial);
		if (need <= tables) {
			layout->v_end = end;
			take(&layout->tables, &next, need);
			take(&layout->stack, &next, 1);
			return PV_OK;
		}
		tables = need;
	}
}

/* What lies behind the initial mapping. */
static int place_unmapped(struct pv_layout *layout, const struct pv_image *image,
                          const struct pv_region *initial, uint64_t p2m_pages, uint64_t ramdisk_pages)
{
	uint64_t next = (layout->v_end - layout->v_start) >> PAGE_SHIFT;
	struct pv_region p2m;

	if (image->init_p2m != PV_UNSET) {
		take(&layout->p2m, &next, p2m_pages);
		if (!pv_region_make(&p2m, image->init_p2m, p2m_pages, layout->p2m.pfn, next) ||
		    pv_region_share_l4(&p2m, initial))
			return PV_ERR_ADDRESS;
		take(&layout->p2m_tables, &next, pv_region_tables(&p2m));
		layout->p2m_va = image->init_p2m;
	}
	if (ramdisk_pages && image->mod_start_pfn) {
		take(&layout->ramdisk, &next, ramdisk_pages);
		layout->ramdisk_start = layout->ramdisk.pfn;
	}
	layout->used_pages = next;
	return next > layout->pages ? PV_ERR_TOO_SMALL : PV_OK;
}

static int check_request(const struct pv_image *image, const struct pv_request *request)
{
	if (!request->pages || request->pages > PAGES_MAX)
		return request->pages ? PV_ERR_TOO_LARGE : PV_ERR_TOO_SMALL;
	if (request->initial_domain && image->supported_stated &&
	    !(image->features_supported & (UINT64_C(1) << XENFEAT_dom0)))
		return PV_ERR_NOT_DOM0;
	if (image->kernel_end <= image->kernel_start || image->kernel_start < image->virt_base)
		return PV_ERR_SEGMENTS;
	if (((image->kernel_end - image->virt_base) >> PAGE_SHIFT) > request->pages ||
	    pages_of(request->ramdisk_bytes) > request->pages)
		return PV_ERR_TOO_SMALL;
	return PV_OK;
}

int pv_layout_make(struct pv_layout *layout, const struct pv_image *image, const struct pv_request *request)
{
	uint64_t ramdisk_pages = pages_of(request->ramdisk_bytes);
	uint64_t p2m_pages = pages_of(request->pages * sizeof(uint64_t));
	struct pv_region initial;
	uint64_t next;
	int rc;

	memset(layout, 0, sizeof(*layout));
	rc = check_request(image, request);
	if (rc != PV_OK)
		return rc;
	layout->pages = request->pages;
	layout->initial_domain = request->initial_domain;
	layout->v_start = image->virt_base;
	layout->ramdisk_bytes = request->ramdisk_bytes;
	next = (image->kernel_start - image->virt_base) >> PAGE_SHIFT;
	take(&layout->kernel, &next, (image->kernel_end - image->kernel_start) >> PAGE_SHIFT);
	if (ramdisk_pages && !image->mod_start_pfn) {
		take(&layout->ramdisk, &next, ramdisk_pages);
		layout->ramdisk_mapped = true;
		layout->ramdisk_start = va_of(layout, layout->ramdisk.pfn);
	}
	if (image->init_p2m == PV_UNSET) {
		take(&layout->p2m, &next, p2m_pages);
		layout->p2m_va = va_of(layout, layout->p2m.pfn);
	}
	take(&layout->start_info, &next, 1);
	if (!request->initial_domain) {
		take(&layout->store, &next, 1);
		take(&layout->console, &next, 1);
	}
	rc = place_tables(layout, &initial, next);
	if (rc == PV_OK)
		rc = place_unmapped(layout, image, &initial, p2m_pages, ramdisk_pages);
	if (rc != PV_OK)
		return rc;
	layout->start_info_va = va_of(layout, layout->start_info.pfn);
	layout->tables_va = va_of(layout, layout->tables.pfn);
	layout->hypercall_pfn = PV_UNSET;
	if (image->hypercall_page != PV_UNSET)
		layout->hypercall_pfn = (image->hypercall_page - image->virt_base) >> PAGE_SHIFT;
	layout->rip = image->entry;
	layout->rsp = va_of(layout, layout->stack.pfn + 1);
	layout->rsi = layout->start_info_va;
	layout->cr3_pfn = layout->tables.pfn;
	return PV_OK;
}
