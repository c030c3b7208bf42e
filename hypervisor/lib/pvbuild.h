/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The PV builder: turns an unpacked kernel into the initial memory of a 64-bit paravirtual domain, as "Start-of-day
 * memory layout" in xen/xen.h and the notes in xen/elfnote.h say. Pure code: no allocation, no recursion, no I/O; the new
 * domain's memory is reached through three callbacks. The hypervisor builds dom0 with it, libxenctrl the guests.
 *
 * Three steps:
 *	pv_image_parse	reads the kernel's ELF headers and Xen notes; trusts nothing in them
 *	pv_layout_make	decides where everything lies; after it nothing can fail for want of room
 *	pv_build	writes: kernel, ramdisk, p2m, start_info, page tables. Cost is linear in what is written and in the
 *			domain's pages (one mfn callback and eight bytes of p2m each)
 *
 * What it does not do: it creates no domain and allocates no memory, pins nothing, sets no registers (it says which), and
 * fills no hypercall page (image.hypercall_page says where one is wanted; hypercall_pfn in the layout). 32-bit kernels,
 * the old __xen_guest section and BSD symbol tables (XEN_ELFNOTE_BSD_SYMTAB) are not supported; the first two are errors,
 * a kernel that asks for its symbol table runs without it.
 *
 * Frames are numbered from the domain's point of view (pfn); pfn n is mapped at image.virt_base + n * 4096 up to v_end:
 *
 *	virt_base  ... kernel | ramdisk* | p2m* | start_info | store** | console** | page tables | stack | pad, v_end
 *	beyond v_end, not mapped there:  p2m and its page tables (at INIT_P2M) | ramdisk (by pfn)
 *	*  in here only when the kernel lacks the INIT_P2M or the MOD_START_PFN note	** not in dom0
 */
#ifndef XYLEM_PVBUILD_H
#define XYLEM_PVBUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pverror.h"

#define PV_PAGE_BYTES   4096u
#define PV_SEGMENTS_MAX 16u
#define PV_UNSET        UINT64_MAX /* "the kernel does not say", "there is none" */
#define PV_MFN_NONE     UINT64_MAX /* answer of the mfn callback for a pfn without a frame */
#define PV_CMDLINE_MAX  1023u      /* characters, without the terminator */

struct pv_segment {
	uint64_t file_offset;
	uint64_t file_bytes;
	uint64_t vaddr; /* where it runs: paddr - paddr_offset + virt_base */
	uint64_t memory_bytes;
};

/* A parsed kernel; points into the caller's copy of it, which must stay. */
struct pv_image {
	const uint8_t *data;
	uint64_t bytes;
	struct pv_segment segments[PV_SEGMENTS_MAX];
	unsigned segment_count;
	uint64_t kernel_start; /* virtual, page-aligned: lowest byte of all segments */
	uint64_t kernel_end;   /* virtual, page-aligned: one past the highest */
	uint64_t entry;
	uint64_t virt_base;
	uint64_t paddr_offset;
	uint64_t hypercall_page; /* virtual, page-aligned, or PV_UNSET: the kernel does its own syscall */
	uint64_t init_p2m;       /* virtual, page-aligned, or PV_UNSET: p2m within the initial mapping */
	uint64_t hv_start_low;   /* or PV_UNSET */
	bool mod_start_pfn;      /* takes its ramdisk unmapped */
	bool wants_symtab;
	bool suspend_cancel;
	bool supported_stated;       /* SUPPORTED_FEATURES was there; the older FEATURES denies nothing */
	uint64_t features_supported; /* bit n: XENFEAT n */
	uint64_t features_required;
	uint64_t l1_mfn_mask; /* L1_MFN_VALID; 0: none */
	uint64_t l1_mfn_value;
	char guest_os[16];
	char guest_version[16];
};

/* Reads an unpacked kernel. Returns PV_OK or an error of pverror.h. */
int pv_image_parse(struct pv_image *image, const void *data, uint64_t bytes);

struct pv_request {
	uint64_t pages;         /* the domain's memory; p2m and start_info speak of so many */
	uint64_t ramdisk_bytes; /* 0: none */
	bool initial_domain;    /* dom0: no store and console pages; the kernel must be able to be dom0 */
};

/* A run of the domain's frames. */
struct pv_area {
	uint64_t pfn;
	uint64_t pages; /* 0: absent */
};

struct pv_layout {
	uint64_t v_start; /* = virt_base: pfn 0 */
	uint64_t v_end;   /* multiple of 4 MiB */
	uint64_t pages;   /* of the request */
	struct pv_area kernel;
	struct pv_area ramdisk;
	struct pv_area p2m;        /* the list alone */
	struct pv_area p2m_tables; /* L3, L2, L1 that map it at INIT_P2M; absent otherwise */
	struct pv_area start_info;
	struct pv_area store;   /* absent for dom0 */
	struct pv_area console; /* absent for dom0 */
	struct pv_area tables;  /* L4 first, then L3, L2, L1 of the initial mapping; mapped read-only */
	struct pv_area stack;
	uint64_t used_pages; /* everything above lies in pfns 0 .. used_pages - 1 */
	uint64_t ramdisk_bytes;
	bool ramdisk_mapped;
	bool initial_domain;
	uint64_t ramdisk_start; /* for start_info: virtual address, or pfn when not mapped */
	uint64_t p2m_va;
	uint64_t start_info_va;
	uint64_t tables_va;
	uint64_t hypercall_pfn; /* PV_UNSET: none wanted */
	/* vcpu 0's registers; all others 0, flat ring-3 segments, interrupts (IF) as the ABI has them: set */
	uint64_t rip;
	uint64_t rsp;
	uint64_t rsi;
	uint64_t cr3_pfn; /* the L4; CR3 is its mfn << 12 */
};

/*
 * Finds a place for everything. Returns PV_OK or PV_ERR_{TOO_SMALL,TOO_LARGE,ADDRESS,NOT_DOM0,SEGMENTS}.
 */
int pv_layout_make(struct pv_layout *layout, const struct pv_image *image, const struct pv_request *request);

struct pv_ops {
	void *ctx;
	/*
	 * One 4 KiB page of the new domain, writable; NULL on failure. At most two pages are mapped at once (a page and a
	 * page table), each is given back by unmap. Only pfns below layout.used_pages are asked for.
	 */
	void *(*map)(void *ctx, uint64_t pfn);
	void (*unmap)(void *ctx, uint64_t pfn, void *page);
	/* The machine frames of count pfns from pfn on, all below layout.pages; PV_MFN_NONE where there is
	 * none (not below used_pages, which must be populated). */
	void (*mfns)(void *ctx, uint64_t pfn, uint64_t count, uint64_t *out);
};

/* What goes into start_info besides the layout. */
struct pv_start {
	const void *ramdisk; /* NULL with a ramdisk in the layout: the caller has put it there already */
	const char *cmdline; /* NULL: empty */
	uint64_t shared_info_maddr; /* machine address */
	uint32_t flags; /* SIF_PRIVILEGED | SIF_INITDOMAIN for dom0, 0 for guests; MOD_START_PFN is added */
	uint32_t store_port;   /* guests */
	uint32_t console_port; /* guests */
	const void *vga_info;  /* dom0: struct dom0_vga_console_info, copied behind start_info; or NULL */
	uint32_t vga_info_bytes;
};

/*
 * Writes the domain's initial memory. Frames need not be zero before. Returns PV_OK, PV_ERR_CMDLINE or
 * PV_ERR_MAP.
 */
int pv_build(const struct pv_image *image, const struct pv_layout *layout, const struct pv_start *start,
             const struct pv_ops *ops);

/* Writes a hypercall page (entries of 32 bytes, as the ABI for syscall from ring 3 has them) into page. */
void pv_hypercall_page(void *page);

#endif
