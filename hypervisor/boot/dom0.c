/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The initial domain: its memory, its kernel (through the PV builder of lib/pvbuild.h, as libxenctrl builds guests), its
 * rights to the machine.
 *
 *  1. kernel_unpack(), pv_image_parse()
 *  2. how much memory: dom0_mem, or all but a reserve
 *  3. domain and vcpus, frames in blocks as large as there are
 *  4. pv_layout_make(), pv_build()
 *  5. pin the tables, set vcpu 0's context, give it the devices, let it run
 *
 * What goes wrong here is the end of the boot: a panic that says what is missing.
 */
#include "boot/boot.h"
#include "boot/unpack.h"
#include "dom/domain.h"
#include "dom/vcpu.h"
#include "hw/mem.h"
#include "hw/options.h"
#include "hw/paging.h"
#include "hw/spec.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "lib/pvbuild.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "mm/pagetable.h"
#include "mm/validate.h"
#include "pv/vcpu.h"

#define RESERVE_PAGES (64ul << 8) /* 64 MiB for the hypervisor itself, at the least */
#define BLOCK_ORDER   9           /* frames are given in blocks of 2 MiB as long as there are any */

struct building {
	struct domain *d;
	uint64_t pages;
	uint64_t *p2m; /* pages entries, in frames of the heap */
	unsigned p2m_order;
};

static uint64_t wanted_pages(void)
{
	uint64_t free_pages = heap_free_pages(), most, pages;

	most = free_pages - MIN(free_pages, MAX(RESERVE_PAGES, free_pages / 16));
	pages = options.dom0_mem >> PAGE_SHIFT;
	if (options.dom0_mem_negative < 0)
		pages = free_pages - MIN(free_pages, (uint64_t)-options.dom0_mem_negative >> PAGE_SHIFT);
	if (!pages)
		pages = most;
	pages = MAX(pages, options.dom0_mem_min >> PAGE_SHIFT);
	if (options.dom0_mem_max)
		pages = MIN(pages, options.dom0_mem_max >> PAGE_SHIFT);
	if (pages > most) {
		log_warn("dom0_mem: %lu MiB wanted, %lu MiB given (free memory less a reserve)", pages >> 8,
		         most >> 8);
		pages = most;
	}
	return pages;
}

static void allocate(struct building *b)
{
	unsigned order = BLOCK_ORDER;
	uint64_t pfn = 0;
	mfn_t p2m;

	while ((PAGE_SIZE << b->p2m_order) < b->pages * 8)
		b->p2m_order++;
	p2m = heap_alloc(b->p2m_order, HEAP_NOSCRUB);
	if (mfn_eq(p2m, INVALID_MFN))
		panic("dom0: no memory for its p2m list of %lu entries", b->pages);
	b->p2m = mfn_map_own(p2m);
	while (pfn < b->pages) {
		mfn_t first;

		while (1ull << order > b->pages - pfn)
			order--;
		if (domain_frame_alloc(&b->d->mm, order, 0, &first)) {
			if (!order--)
				panic("dom0: out of memory after %lu of %lu MiB", pfn >> 8, b->pages >> 8);
			continue;
		}
		for (uint64_t i = 0; i < 1ull << order; i++, pfn++) {
			b->p2m[pfn] = first.m + i;
			m2p_set(mfn_add(first, i), pfn);
		}
	}
}

static void *page_map(void *ctx, uint64_t pfn)
{
	const struct building *b = ctx;

	return frame_map_to_write(MFN(b->p2m[pfn]));
}

static void page_unmap(void *ctx, uint64_t pfn, void *page)
{
	(void)ctx, (void)pfn, (void)page;
}

static void page_mfns(void *ctx, uint64_t pfn, uint64_t count, uint64_t *out)
{
	const struct building *b = ctx;

	for (uint64_t i = 0; i < count; i++)
		out[i] = pfn + i < b->pages ? b->p2m[pfn + i] : PV_MFN_NONE;
}

static void fatal(const char *what, int err)
{
	panic("dom0: %s: %s", what, pv_error_text(err));
}

static void build(struct building *b, const struct pv_image *image, const struct boot_module *initrd,
                  const char *cmdline, struct pv_layout *layout)
{
	struct dom0_vga_console_info vga = { .video_type = XEN_VGATYPE_TEXT_MODE_3,
		                             .u.text_mode_3 = {
		                                     .font_height = 16, .rows = 25, .columns = 80 } };
	struct pv_request request = { .pages = b->pages,
		                      .initial_domain = true,
		                      .ramdisk_bytes = initrd ? initrd->bytes : 0 };
	struct pv_start start = { .ramdisk = initrd ? initrd->data : NULL,
		                  .cmdline = cmdline,
		                  .shared_info_maddr = mfn_to_maddr(b->d->shared_info_mfn).a,
		                  .flags = SIF_PRIVILEGED | SIF_INITDOMAIN,
		                  .vga_info = &vga,
		                  .vga_info_bytes = sizeof(vga) };
	struct pv_ops ops = { .ctx = b, .map = page_map, .unmap = page_unmap, .mfns = page_mfns };
	int err = pv_layout_make(layout, image, &request);

	if (err)
		fatal("its memory", err);
	err = pv_build(image, layout, &start, &ops);
	if (err)
		fatal("writing its memory", err);
	if (layout->hypercall_pfn != PV_UNSET)
		pv_hypercall_page(page_map(b, layout->hypercall_pfn));
}

/* Validates its page tables as any guest's, pins them, and sets vcpu 0's registers (xen/xen.h, start of day). */
static void enter(struct building *b, const struct pv_layout *layout)
{
	static struct vcpu_guest_context c;
	struct vcpu *v = b->d->vcpus[0];
	mfn_t l4 = MFN(b->p2m[layout->cr3_pfn]);
	int err;

	do
		err = pt_pin(&b->d->mm, l4, PTYPE_L4);
	while (err == -ERESTART_HV);
	if (err)
		panic("dom0: its initial page tables are refused (%d)", err);
	c.user_regs.rip = layout->rip;
	c.user_regs.rsp = layout->rsp;
	c.user_regs.rsi = layout->rsi;
	c.user_regs.rflags = 1u << 9;
	c.ctrlreg[3] = mfn_to_maddr(l4).a;
	c.flags = VGCF_in_kernel | VGCF_online;
	do
		err = pv_vcpu_set_context(v, &c);
	while (err == -ERESTART_HV);
	if (err)
		panic("dom0: vcpu 0's context is refused (%d)", err);
	v->info->evtchn_upcall_mask = 1;
}

/* All of the machine but what the hypervisor drives itself. */
static void give_devices(struct domain *d)
{
	static const struct {
		uint16_t first, last;
	} own[] = { { 0x20, 0x21 }, { 0xa0, 0xa1 }, { 0x40, 0x43 }, { 0x61, 0x61 }, { 0xcf8, 0xcff } };
	int err = 0;

	d->ioports = hv_alloc(65536 / 8);
	if (!d->ioports)
		panic("dom0: no memory for its I/O permissions");
	memset(d->ioports, 0xff, 65536 / 8);
	for (unsigned i = 0; i < ARRAY_SIZE(own); i++)
		for (unsigned port = own[i].first; port <= own[i].last; port++)
			bit_clear(d->ioports, port);
	for (unsigned i = 0; i < 8 && console_serial_port(); i++)
		bit_clear(d->ioports, console_serial_port() + i);
	err = mm_iomem_permit(&d->mm, 0, (1ull << (cpu_features.phys_bits - PAGE_SHIFT)) - 1, true);
	for (unsigned i = 0; !err && i < machine_own_count; i++)
		err = mm_iomem_permit(&d->mm, machine_own[i].start >> PAGE_SHIFT,
		                      (machine_own[i].end - 1) >> PAGE_SHIFT, false);
	if (err)
		panic("dom0: no memory for its device ranges");
}

int dom0_build(const struct boot_module *kernel, const struct boot_module *initrd, const char *cmdline)
{
	struct domain_config config = { .kind = &pv_guest,
		                        .domid = 0,
		                        .privileged = true,
		                        .max_evtchn_port = 4095,
		                        .max_grant_frames = 64,
		                        .max_maptrack_frames = 1024 };
	static struct pv_image image;
	static struct pv_layout layout;
	struct building b = { 0 };
	struct unpacked unpacked;
	int err = kernel_unpack(kernel->data, kernel->bytes, &unpacked);

	if (err)
		fatal("unpacking its kernel", err);
	err = pv_image_parse(&image, unpacked.data, unpacked.bytes);
	if (err)
		fatal("its kernel", err);
	/* dom0_max_vcpus=MIN-MAX: one per CPU within these bounds; a plain number is both. */
	config.max_vcpus = MAX(cpu_count, options.dom0_max_vcpus_min);
	if (options.dom0_max_vcpus)
		config.max_vcpus = MIN(config.max_vcpus, options.dom0_max_vcpus);
	config.max_vcpus = MIN(config.max_vcpus, (unsigned)VCPUS_MAX);
	err = domain_create(&config, &b.d);
	if (err)
		panic("dom0: the domain cannot be created (%d)", err);
	dom0 = b.d;
	for (unsigned i = 0; i < config.max_vcpus; i++)
		if (vcpu_create(b.d, i))
			panic("dom0: no memory for vcpu %u", i);
	b.pages = wanted_pages();
	b.d->mm.max_pages = options.dom0_mem_max ? options.dom0_mem_max >> PAGE_SHIFT : b.pages;
	allocate(&b);
	build(&b, &image, initrd, cmdline, &layout);
	enter(&b, &layout);
	give_devices(b.d);
	domain_wallclock_update(b.d);
	log_info("dom0: %s %s, %lu MiB, %u vcpus, entry %#lx", image.guest_os, image.guest_version,
	         b.pages >> 8, config.max_vcpus, layout.rip);
	kernel_unpacked_free(&unpacked);
	heap_free(mfn_of(b.p2m), b.p2m_order);
	return 0;
}
