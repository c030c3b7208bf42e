/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a saved PV domain looks like in a stream: libxl's layer (version 2) around libxc's (version 3). Constants
 * and layouts alone. Sources: Xen's docs/specs/libxl-migration-stream.pandoc and libxc-migration-stream.pandoc.
 * All but the fields marked "be" is little-endian.
 */
#ifndef XYLEM_LIBXENCTRL_STREAMFORMAT_H
#define XYLEM_LIBXENCTRL_STREAMFORMAT_H

#include <stdint.h>

#define STREAM_XL_IDENT          UINT64_C(0x4c6962786c466d74) /* "LibxlFmt" */
#define STREAM_XL_VERSION        2u
#define STREAM_XC_MARKER         UINT64_MAX
#define STREAM_XC_ID             0x58454e46u /* "XENF" */
#define STREAM_XC_VERSION        3u
#define STREAM_XC_VERSION_OLDEST 2u /* Xen before 4.14: without STATIC_DATA_END */
#define STREAM_XC_TYPE_PV        1u
#define STREAM_XC_TYPE_HVM       2u
#define STREAM_OPTION_BIG_ENDIAN 1u
#define STREAM_PAGE_SHIFT        12
#define STREAM_PFNS_MAX \
	(UINT64_C(1) << 28) /* that are taken: 1 TiB; the format itself has 32 bits for them */

#define STREAM_OPTIONAL 0x80000000u /* bit of a record's type: who does not know it may skip it */
#define STREAM_ALIGN    8u          /* records begin at multiples of this */

enum stream_xl_type {
	STREAM_XL_END = 0,
	STREAM_XL_LIBXC_CONTEXT = 1,
	STREAM_XL_EMULATOR_XENSTORE_DATA = 2,
	STREAM_XL_EMULATOR_CONTEXT = 3,
	STREAM_XL_CHECKPOINT_END = 4,
	STREAM_XL_CHECKPOINT_STATE = 5,
};

enum stream_type {
	STREAM_END = 0x00,
	STREAM_PAGE_DATA = 0x01,
	STREAM_X86_PV_INFO = 0x02,
	STREAM_X86_PV_P2M_FRAMES = 0x03,
	STREAM_X86_PV_VCPU_BASIC = 0x04,
	STREAM_X86_PV_VCPU_EXTENDED = 0x05,
	STREAM_X86_PV_VCPU_XSAVE = 0x06,
	STREAM_SHARED_INFO = 0x07,
	STREAM_X86_TSC_INFO = 0x08,
	STREAM_HVM_CONTEXT = 0x09,
	STREAM_HVM_PARAMS = 0x0a,
	STREAM_TOOLSTACK = 0x0b,
	STREAM_X86_PV_VCPU_MSRS = 0x0c,
	STREAM_VERIFY = 0x0d,
	STREAM_CHECKPOINT = 0x0e,
	STREAM_CHECKPOINT_DIRTY_PFN_LIST = 0x0f,
	STREAM_STATIC_DATA_END = 0x10,
	STREAM_X86_CPUID_POLICY = 0x11,
	STREAM_X86_MSR_POLICY = 0x12,
	STREAM_TYPES, /* known mandatory ones are below this */
	/*
	 * Ours, mandatory, before all memory, and empty: pages of STREAM_PAGE_ALLOCATED are zeros, where the format leaves open
	 * what they are. Whoever does not know that refuses the stream.
	 */
	STREAM_ZEROS_BY_TYPE = 0x78590001,
};

struct stream_xl_header {
	uint64_t ident;   /* be */
	uint32_t version; /* be */
	uint32_t options; /* be */
};

struct stream_xc_header {
	uint64_t marker;
	uint32_t id;      /* be */
	uint32_t version; /* be */
	uint16_t options; /* be */
	uint16_t reserved;
	uint32_t reserved2;
};

struct stream_domain_header {
	uint32_t type;
	uint16_t page_shift;
	uint16_t reserved;
	uint32_t xen_major;
	uint32_t xen_minor;
};

/* Of both layers. */
struct stream_record {
	uint32_t type;
	uint32_t bytes; /* of the body, without the padding behind it */
};

struct stream_page_data {
	uint32_t count;
	uint32_t reserved;
	/* count times: a pfn and its type; then the pages that have content */
};

#define STREAM_PFN_MASK     UINT64_C(0x000fffffffffffff)
#define STREAM_PFN_RESERVED UINT64_C(0x0ff0000000000000)
#define STREAM_PFN_TYPE_BIT 60

/* Types of pages: XEN_DOMCTL_PFINFO_* of xen/domctl.h, shifted down by 28. */
enum stream_page {
	STREAM_PAGE_NORMAL = 0,
	STREAM_PAGE_L1 = 1,
	STREAM_PAGE_L4 = 4,
	STREAM_PAGE_PINNED = 8, /* a bit, beside L1 to L4 */
	STREAM_PAGE_BROKEN = 13,
	STREAM_PAGE_ALLOCATED = 14, /* without content */
	STREAM_PAGE_NONE = 15,
};

struct stream_pv_info {
	uint8_t guest_width; /* bytes */
	uint8_t table_levels;
	uint8_t reserved[6];
};

struct stream_p2m_frames {
	uint32_t first_pfn;
	uint32_t last_pfn;
	/* the pfn of each page of the guest's p2m, from that of first_pfn on */
};

struct stream_vcpu {
	uint32_t vcpu;
	uint32_t reserved;
	/* what the domctl gave */
};

struct stream_tsc {
	uint32_t mode;
	uint32_t khz;
	uint64_t elapsed_ns;
	uint32_t incarnation;
	uint32_t reserved;
};

_Static_assert(sizeof(struct stream_xl_header) == 16, "layout");
_Static_assert(sizeof(struct stream_xc_header) == 24, "layout");
_Static_assert(sizeof(struct stream_domain_header) == 16, "layout");
_Static_assert(sizeof(struct stream_record) == 8, "layout");
_Static_assert(sizeof(struct stream_page_data) == 8, "layout");
_Static_assert(sizeof(struct stream_pv_info) == 8, "layout");
_Static_assert(sizeof(struct stream_p2m_frames) == 8, "layout");
_Static_assert(sizeof(struct stream_vcpu) == 8, "layout");
_Static_assert(sizeof(struct stream_tsc) == 24, "layout");

static inline uint64_t stream_pfn(uint64_t page)
{
	return page & STREAM_PFN_MASK;
}

static inline unsigned stream_pfn_type(uint64_t page)
{
	return (unsigned)(page >> STREAM_PFN_TYPE_BIT);
}

/* Type t has a page of content in PAGE_DATA; is a page table. */
static inline int stream_page_has_content(unsigned t)
{
	return t < STREAM_PAGE_BROKEN;
}

static inline int stream_page_is_table(unsigned t)
{
	return t < STREAM_PAGE_BROKEN && (t & 7) >= STREAM_PAGE_L1 && (t & 7) <= STREAM_PAGE_L4;
}

#endif
