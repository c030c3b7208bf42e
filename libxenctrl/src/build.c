/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Building of a PV guest, in steps:
 *	1. unpack the kernel if need be, read what it says of itself, lay everything out (hypervisor/lib/pvbuild.h)
 *	2. limit the domain's memory and populate it
 *	3. map what is to be written, write it, unmap it: no writable mapping of a page table may remain
 *	4. hypercall page, shared_info, pin the page tables, registers of vcpu 0, grants
 * A failure leaves the domain half-built; its creator destroys it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel.h"
#include "private.h"
#include <xen/grant_table.h>

#define SUPERPAGE_ORDER 9
#define SUPERPAGE_PAGES (UINT64_C(1) << SUPERPAGE_ORDER)
#define AREAS           9
#define RFLAGS_IF       (UINT64_C(1) << 9)

struct builder {
	struct xyl *x;
	uint32_t domid;
	const struct xyl_pv_build *config;
	void *unpacked; /* ours to free, or NULL */
	struct pv_image image;
	struct pv_layout layout;
	const struct pv_area *areas[AREAS]; /* of the layout: what is written */
	uint64_t *p2m;                      /* layout.pages entries */
	uint8_t *window;                    /* the pages of these areas, one behind the other */
	uint64_t shared_info_mfn;
};

static int fail_pv(const struct builder *b, int rc)
{
	return xyl_fail_text(xyl_kernel_errno(rc), "domain %u: cannot build it: %s", b->domid,
	                     pv_error_text(rc));
}

/* Step 1. */
static int plan(struct builder *b)
{
	const struct xyl_pv_build *c = b->config;
	struct pv_request request = { .pages = c->memory_kib / 4,
		                      .ramdisk_bytes = c->ramdisk ? c->ramdisk_bytes : 0 };
	const void *kernel = c->kernel;
	size_t bytes = c->kernel_bytes;
	int rc;

	if (c->max_memory_kib && c->max_memory_kib < c->memory_kib)
		return xyl_fail_text(EINVAL, "domain %u: its maximal memory is less than its memory",
		                     b->domid);
	if (c->cmdline && strlen(c->cmdline) > PV_CMDLINE_MAX)
		return fail_pv(b, PV_ERR_CMDLINE);
	if (bytes < 4 || memcmp(kernel, "\177ELF", 4) != 0) {
		if (xyl_kernel_unpack(kernel, bytes, 0, &b->unpacked, &bytes) < 0)
			return -1;
		kernel = b->unpacked;
	}
	rc = pv_image_parse(&b->image, kernel, bytes);
	if (rc == PV_OK)
		rc = pv_layout_make(&b->layout, &b->image, &request);
	return rc == PV_OK ? 0 : fail_pv(b, rc);
}

/* Large extents first, because they are quick; single pages for the rest or when memory is in pieces. */
static int populate_all(struct builder *b)
{
	uint64_t whole = b->layout.pages / SUPERPAGE_PAGES;
	uint64_t at = 0, done = 0;

	if (whole) {
		uint64_t *extents = malloc(whole * sizeof(*extents));

		if (!extents)
			return xyl_fail(ENOMEM, "domain %u: cannot build it", b->domid);
		for (uint64_t i = 0; i < whole; i++)
			extents[i] = i * SUPERPAGE_PAGES;
		/* What it lacks is tried page by page below. */
		if (xyl_memory_populate(b->x, b->domid, whole, SUPERPAGE_ORDER, extents, &done) < 0 &&
		    errno != ENOMEM) {
			free(extents);
			return -1;
		}
		for (uint64_t i = 0; i < done; i++)
			for (uint64_t j = 0; j < SUPERPAGE_PAGES; j++)
				b->p2m[i * SUPERPAGE_PAGES + j] = extents[i] + j;
		free(extents);
		at = done * SUPERPAGE_PAGES;
	}
	for (uint64_t i = at; i < b->layout.pages; i++)
		b->p2m[i] = i;
	if (xyl_memory_populate(b->x, b->domid, b->layout.pages - at, 0, b->p2m + at, &done) < 0) {
		if (errno == ENOMEM)
			return xyl_fail_text(ENOMEM,
			                     "domain %u: the host has too little free memory for %llu KiB",
			                     b->domid, (unsigned long long)b->config->memory_kib);
		return -1;
	}
	return 0;
}

/* Step 2. */
static int give_memory(struct builder *b)
{
	const struct xyl_pv_build *c = b->config;
	uint64_t max_kib = c->max_memory_kib ? c->max_memory_kib : c->memory_kib;

	if (xyl_memory_set_max(b->x, b->domid, max_kib) < 0 ||
	    xyl_memory_set_map(b->x, b->domid, max_kib) < 0)
		return -1;
	b->p2m = malloc(b->layout.pages * sizeof(*b->p2m));
	if (!b->p2m)
		return xyl_fail(ENOMEM, "domain %u: cannot build it", b->domid);
	return populate_all(b);
}

/* The areas lie in the window one behind the other; the padding between them is neither mapped nor written. */
static void *window_map(void *ctx, uint64_t pfn)
{
	struct builder *b = ctx;
	uint64_t slot = 0;

	for (unsigned i = 0; i < AREAS; i++) {
		if (pfn >= b->areas[i]->pfn && pfn - b->areas[i]->pfn < b->areas[i]->pages)
			return b->window + (slot + pfn - b->areas[i]->pfn) * XYL_PAGE_BYTES;
		slot += b->areas[i]->pages;
	}
	return NULL;
}

static void window_unmap(void *ctx, uint64_t pfn, void *page)
{
	(void)ctx;
	(void)pfn;
	(void)page; /* the whole window is unmapped at once */
}

static void window_mfns(void *ctx, uint64_t pfn, uint64_t count, uint64_t *out)
{
	struct builder *b = ctx;

	memcpy(out, b->p2m + pfn, count * sizeof(*out));
}

/* Maps the areas that are written; *pages is how many pages that are. */
static int open_window(struct builder *b, uint64_t *pages)
{
	const struct pv_layout *l = &b->layout;
	const struct pv_area *areas[AREAS] = { &l->kernel,     &l->ramdisk,    &l->p2m,
		                               &l->p2m_tables, &l->start_info, &l->store,
		                               &l->console,    &l->tables,     &l->stack };
	uint64_t *mfns, n = 0;

	memcpy(b->areas, areas, sizeof(areas));
	for (unsigned i = 0; i < AREAS; i++)
		n += areas[i]->pages;
	mfns = malloc(n * sizeof(*mfns));
	if (!mfns)
		return xyl_fail(ENOMEM, "domain %u: cannot build it", b->domid);
	*pages = n;
	n = 0;
	for (unsigned i = 0; i < AREAS; i++) {
		memcpy(mfns + n, b->p2m + areas[i]->pfn, areas[i]->pages * sizeof(*mfns));
		n += areas[i]->pages;
	}
	b->window = xyl_foreign_map(b->x, b->domid, PROT_READ | PROT_WRITE, mfns, n, NULL);
	free(mfns);
	return b->window ? 0 : -1;
}

/* Step 3. */
static int write_memory(struct builder *b)
{
	const struct xyl_pv_build *c = b->config;
	struct pv_ops ops = { .ctx = b, .map = window_map, .unmap = window_unmap, .mfns = window_mfns };
	struct pv_start start = {
		.ramdisk = c->ramdisk,
		.cmdline = c->cmdline,
		.shared_info_maddr = b->shared_info_mfn * XYL_PAGE_BYTES,
		.store_port = c->store_port,
		.console_port = c->console_port,
	};
	uint64_t pages = 0;
	int rc;

	if (open_window(b, &pages) < 0)
		return -1;
	rc = pv_build(&b->image, &b->layout, &start, &ops);
	if (xyl_foreign_unmap(b->x, b->window, pages) < 0)
		return -1;
	return rc == PV_OK ? 0 : fail_pv(b, rc);
}

/* Events stay masked until the guest has a handler for them. */
static int write_shared_info(struct builder *b)
{
	struct shared_info *info =
	        xyl_foreign_map(b->x, b->domid, PROT_READ | PROT_WRITE, &b->shared_info_mfn, 1, NULL);

	if (!info)
		return -1;
	memset(info, 0, sizeof(*info));
	for (unsigned i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
		info->vcpu_info[i].evtchn_upcall_mask = 1;
	return xyl_foreign_unmap(b->x, info, 1);
}

static int pin_tables(struct builder *b)
{
	struct mmuext_op *op = xyl_hypercall_alloc(b->x, sizeof(*op));
	long rc;

	if (!op)
		return -1;
	op->cmd = MMUEXT_PIN_L4_TABLE;
	op->arg1.mfn = b->p2m[b->layout.cr3_pfn];
	rc = xyl_raw(b->x, __HYPERVISOR_mmuext_op, (uintptr_t)op, 1, 0, b->domid, 0);
	xyl_hypercall_free(b->x, op, sizeof(*op));
	if (rc < 0)
		return xyl_fail(errno, "domain %u: the hypervisor refuses its page tables", b->domid);
	return 0;
}

static int set_registers(struct builder *b)
{
	vcpu_guest_context_t *c = calloc(1, sizeof(*c));
	const uint16_t fcw = 0x37f;
	const uint32_t mxcsr = 0x1f80;
	int rc;

	if (!c)
		return xyl_fail(ENOMEM, "domain %u: cannot build it", b->domid);
	/* FXSAVE's layout: control word at 0, MXCSR at 24 */
	memcpy(c->fpu_ctxt.x, &fcw, sizeof(fcw));
	memcpy(c->fpu_ctxt.x + 24, &mxcsr, sizeof(mxcsr));
	c->flags = VGCF_in_kernel | VGCF_online | VGCF_i387_valid;
	c->user_regs.rip = b->layout.rip;
	c->user_regs.rsp = b->layout.rsp;
	c->user_regs.rsi = b->layout.rsi;
	c->user_regs.rflags = RFLAGS_IF;
	c->user_regs.cs = FLAT_KERNEL_CS;
	c->user_regs.ss = FLAT_KERNEL_SS;
	c->user_regs.ds = FLAT_KERNEL_DS;
	c->user_regs.es = FLAT_KERNEL_DS;
	c->user_regs.fs = FLAT_KERNEL_DS;
	c->user_regs.gs = FLAT_KERNEL_DS;
	c->kernel_ss = FLAT_KERNEL_SS;
	c->kernel_sp = b->layout.rsp;
	c->ctrlreg[3] = b->p2m[b->layout.cr3_pfn] * XYL_PAGE_BYTES;
	rc = xyl_vcpu_set_context(b->x, b->domid, 0, c);
	free(c);
	return rc;
}

/* Step 4. */
static int finish(struct builder *b)
{
	const struct pv_layout *l = &b->layout;

	if (l->hypercall_pfn != PV_UNSET &&
	    xyl_domain_hypercall_init(b->x, b->domid, b->p2m[l->hypercall_pfn]) < 0)
		return -1;
	if (write_shared_info(b) < 0 || pin_tables(b) < 0 || set_registers(b) < 0)
		return -1;
	return xyl_grant_seed(b->x, b->domid, b->p2m[l->console.pfn], b->config->console_domid,
	                      b->p2m[l->store.pfn], b->config->store_domid);
}

int xyl_domain_build_pv(struct xyl *x, uint32_t domid, const struct xyl_pv_build *build,
                        struct xyl_pv_built *built)
{
	struct builder b = { .x = x, .domid = domid, .config = build };
	struct xyl_dominfo info;
	int rc = -1;

	if (xyl_domain_info(x, domid, &info) < 0)
		return -1;
	b.shared_info_mfn = info.shared_info_mfn;
	if (plan(&b) == 0 && give_memory(&b) == 0 && write_memory(&b) == 0 && finish(&b) == 0) {
		built->console_mfn = b.p2m[b.layout.console.pfn];
		built->store_mfn = b.p2m[b.layout.store.pfn];
		built->pages = b.layout.pages;
		built->entry = b.layout.rip;
		rc = 0;
	}
	free(b.p2m);
	free(b.unpacked);
	return rc;
}
