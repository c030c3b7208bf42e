/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What may stand in a stream. Makes no hypercalls and reads nothing. Sources: Xen's docs/specs/libxl-migration-stream.pandoc
 * and libxc-migration-stream.pandoc: reserved fields are ignored, as these say, but bits of options and of page numbers,
 * which would change what all else means, are not.
 */
#include <arpa/inet.h>
#include <endian.h>

#include "streamcheck.h"
#include "vcpustate.h"

#define BIT(type)     (1u << (type))
#define PAGE_WORDS    (XYL_PAGE_BYTES / sizeof(uint64_t))
#define P2M_BYTES_MAX (sizeof(struct stream_p2m_frames) + (UINT64_C(1) << 32) / PAGE_WORDS * sizeof(uint64_t))
#define VCPU_MAX      (sizeof(struct stream_vcpu) + VCPUSTATE_BYTES_MAX)
#define EXTENDED_MAX  128u /* as the domctl says */
#define XSAVE_MIN     16u  /* XCR0 twice, before the area */
#define PAGE_DATA_MAX \
	(sizeof(struct stream_page_data) + (sizeof(uint64_t) + XYL_PAGE_BYTES) * (uint64_t)STREAM_PAGES_MAX)
#define MEMORY_BEGINS (BIT(STREAM_X86_PV_P2M_FRAMES) | BIT(STREAM_PAGE_DATA))
#define VCPU_RECORDS                                                                                        \
	(BIT(STREAM_X86_PV_VCPU_BASIC) | BIT(STREAM_X86_PV_VCPU_EXTENDED) | BIT(STREAM_X86_PV_VCPU_XSAVE) | \
	 BIT(STREAM_X86_PV_VCPU_MSRS))

/* What is known of a type of records. */
struct kind {
	const char *name;
	uint64_t min_bytes;
	uint64_t max_bytes;
	uint32_t needs; /* that must have come */
	uint32_t not_after;
	bool once;
	const char *refused; /* why it cannot be restored here, or NULL */
};

static const char for_hvm[] = "it belongs to an HVM guest, which cannot run here";
static const char for_remus[] = "it belongs to continuous replication, which is not supported";

static const struct kind kinds[STREAM_TYPES] = {
	[STREAM_END] = { "END", 0, 0,
	                 BIT(STREAM_X86_PV_P2M_FRAMES) | BIT(STREAM_PAGE_DATA) | BIT(STREAM_SHARED_INFO) |
	                         BIT(STREAM_X86_PV_VCPU_BASIC),
	                 0, true, NULL },
	[STREAM_PAGE_DATA] = { "PAGE_DATA", sizeof(struct stream_page_data) + sizeof(uint64_t), PAGE_DATA_MAX,
	                       BIT(STREAM_X86_PV_P2M_FRAMES), VCPU_RECORDS, false, NULL },
	[STREAM_X86_PV_INFO] = { "X86_PV_INFO", sizeof(struct stream_pv_info), sizeof(struct stream_pv_info),
	                         0, MEMORY_BEGINS | VCPU_RECORDS, true, NULL },
	[STREAM_X86_PV_P2M_FRAMES] = { "X86_PV_P2M_FRAMES",
	                               sizeof(struct stream_p2m_frames) + sizeof(uint64_t), P2M_BYTES_MAX,
	                               BIT(STREAM_X86_PV_INFO) | BIT(STREAM_STATIC_DATA_END), VCPU_RECORDS,
	                               false, NULL },
	[STREAM_X86_PV_VCPU_BASIC] = { "X86_PV_VCPU_BASIC", sizeof(struct stream_vcpu), VCPU_MAX,
	                               BIT(STREAM_PAGE_DATA), 0, false, NULL },
	[STREAM_X86_PV_VCPU_EXTENDED] = { "X86_PV_VCPU_EXTENDED", sizeof(struct stream_vcpu), VCPU_MAX,
	                                  BIT(STREAM_PAGE_DATA), 0, false, NULL },
	[STREAM_X86_PV_VCPU_XSAVE] = { "X86_PV_VCPU_XSAVE", sizeof(struct stream_vcpu), VCPU_MAX,
	                               BIT(STREAM_PAGE_DATA), 0, false, NULL },
	[STREAM_SHARED_INFO] = { "SHARED_INFO", XYL_PAGE_BYTES, XYL_PAGE_BYTES, BIT(STREAM_X86_PV_INFO), 0,
	                         true, NULL },
	[STREAM_X86_TSC_INFO] = { "X86_TSC_INFO", sizeof(struct stream_tsc), sizeof(struct stream_tsc), 0, 0,
	                          true, NULL },
	[STREAM_HVM_CONTEXT] = { .name = "HVM_CONTEXT", .refused = for_hvm },
	[STREAM_HVM_PARAMS] = { .name = "HVM_PARAMS", .refused = for_hvm },
	[STREAM_TOOLSTACK] = { .name = "TOOLSTACK", .refused = "it has no meaning any more" },
	[STREAM_X86_PV_VCPU_MSRS] = { "X86_PV_VCPU_MSRS", sizeof(struct stream_vcpu), VCPU_MAX,
	                              BIT(STREAM_PAGE_DATA), 0, false, NULL },
	[STREAM_VERIFY] = { "VERIFY", 0, 0, BIT(STREAM_PAGE_DATA), VCPU_RECORDS, false, NULL },
	[STREAM_CHECKPOINT] = { .name = "CHECKPOINT", .refused = for_remus },
	[STREAM_CHECKPOINT_DIRTY_PFN_LIST] = { .name = "CHECKPOINT_DIRTY_PFN_LIST", .refused = for_remus },
	[STREAM_STATIC_DATA_END] = { "STATIC_DATA_END", 0, 0, 0, MEMORY_BEGINS | VCPU_RECORDS, true, NULL },
	[STREAM_X86_CPUID_POLICY] = { "X86_CPUID_POLICY", sizeof(xen_cpuid_leaf_t), VCPUSTATE_BYTES_MAX, 0,
	                              BIT(STREAM_STATIC_DATA_END), true, NULL },
	[STREAM_X86_MSR_POLICY] = { "X86_MSR_POLICY", sizeof(xen_msr_entry_t), VCPUSTATE_BYTES_MAX, 0,
	                            BIT(STREAM_STATIC_DATA_END), true, NULL },
};

static const char *const xl_names[] = {
	[STREAM_XL_END] = "END",
	[STREAM_XL_LIBXC_CONTEXT] = "LIBXC_CONTEXT",
	[STREAM_XL_EMULATOR_XENSTORE_DATA] = "EMULATOR_XENSTORE_DATA",
	[STREAM_XL_EMULATOR_CONTEXT] = "EMULATOR_CONTEXT",
	[STREAM_XL_CHECKPOINT_END] = "CHECKPOINT_END",
	[STREAM_XL_CHECKPOINT_STATE] = "CHECKPOINT_STATE",
};

int stream_check_xl_header(const struct stream *s, const struct stream_xl_header *h)
{
	uint32_t version = ntohl(h->version), options = ntohl(h->options);

	if (be64toh(h->ident) != STREAM_XL_IDENT)
		return stream_bad(s, "it is no saved domain: it does not begin with \"LibxlFmt\"");
	if (version != STREAM_XL_VERSION)
		return stream_bad(s, "its format has version %u; version %u is known", version,
		                  STREAM_XL_VERSION);
	if (options)
		return stream_bad(s, "its header has the options %#x, of which none is known", options);
	return 0;
}

static int check_optional(const struct stream *s, const struct stream_record *r)
{
	if (r->bytes <= STREAM_OPTIONAL_MAX)
		return 0;
	return stream_bad(s, "its optional record of type %#x has %u bytes; up to %u are passed over",
	                  r->type, r->bytes, STREAM_OPTIONAL_MAX);
}

int stream_check_xl_record(const struct stream *s, const struct stream_record *r, bool started)
{
	if (r->type & STREAM_OPTIONAL)
		return check_optional(s, r);
	if (r->type >= sizeof(xl_names) / sizeof(xl_names[0]))
		return stream_bad(s, "it has a record of the unknown type %#x", r->type);
	if (r->type != STREAM_XL_END && r->type != STREAM_XL_LIBXC_CONTEXT)
		return stream_fail(s, ENOTSUP,
		                   "it has a record %s, for a guest with an emulator or a replica",
		                   xl_names[r->type]);
	if (r->bytes)
		return stream_bad(s, "its record %s has %u bytes, and should have none", xl_names[r->type],
		                  r->bytes);
	if (started == (r->type == STREAM_XL_LIBXC_CONTEXT))
		return stream_bad(s, started ? "it has a second record LIBXC_CONTEXT"
		                             : "it ends without a record LIBXC_CONTEXT");
	return 0;
}

int stream_check_xc_header(const struct stream *s, const struct stream_xc_header *h,
                           struct stream_order *order)
{
	uint16_t options = ntohs(h->options);

	order->version = ntohl(h->version);
	if (h->marker != STREAM_XC_MARKER || ntohl(h->id) != STREAM_XC_ID)
		return stream_bad(s, "it has no \"XENF\" where the domain's image should begin");
	if (order->version < STREAM_XC_VERSION_OLDEST || order->version > STREAM_XC_VERSION)
		return stream_bad(s, "the domain's image has version %u; versions %u to %u are known",
		                  order->version, STREAM_XC_VERSION_OLDEST, STREAM_XC_VERSION);
	if (options & STREAM_OPTION_BIG_ENDIAN)
		return stream_fail(s, ENOTSUP, "it was saved on a big-endian host");
	if (options)
		return stream_bad(s, "the image's header has the options %#x, of which none is known",
		                  options);
	return 0;
}

int stream_check_domain_header(const struct stream *s, const struct stream_domain_header *h)
{
	if (h->type == STREAM_XC_TYPE_HVM)
		return stream_fail(s, ENOTSUP, "it is an HVM guest");
	if (h->type != STREAM_XC_TYPE_PV)
		return stream_bad(s, "it is of the unknown type %#x", h->type);
	if (h->page_shift != STREAM_PAGE_SHIFT)
		return stream_bad(s, "its pages have 2^%u bytes, and should have 4,096", h->page_shift);
	return 0;
}

const char *stream_name(uint32_t type)
{
	if (type == STREAM_ZEROS_BY_TYPE)
		return "ZEROS_BY_TYPE";
	return type < STREAM_TYPES ? kinds[type].name : "unknown";
}

bool stream_seen(const struct stream_order *order, enum stream_type type)
{
	return order->seen & BIT(type);
}

/* The first of the types in a set. */
static const char *first_name(uint32_t set)
{
	return kinds[__builtin_ctz(set)].name;
}

static int check_zeros_by_type(const struct stream *s, struct stream_order *order,
                               const struct stream_record *r)
{
	uint32_t after = order->seen & (MEMORY_BEGINS | VCPU_RECORDS);

	if (after)
		return stream_bad(s, "its record %s comes after its record %s", stream_name(r->type),
		                  first_name(after));
	if (order->zeros_by_type)
		return stream_bad(s, "it has a second record %s", stream_name(r->type));
	if (r->bytes)
		return stream_bad(s, "its record %s has %u bytes, and should have none", stream_name(r->type),
		                  r->bytes);
	order->zeros_by_type = true;
	return 0;
}

int stream_check_record(const struct stream *s, struct stream_order *order, const struct stream_record *r)
{
	const struct kind *k;
	uint32_t needs;

	if (r->type & STREAM_OPTIONAL)
		return check_optional(s, r);
	if (r->type == STREAM_ZEROS_BY_TYPE)
		return check_zeros_by_type(s, order, r);
	if (r->type >= STREAM_TYPES)
		return stream_bad(s, "it has a record of the unknown type %#x", r->type);
	k = &kinds[r->type];
	if (k->refused)
		return stream_fail(s, ENOTSUP, "it has a record %s: %s", k->name, k->refused);
	needs = k->needs;
	/* Before version 3 the first record of memory ends the static data. */
	if (order->version < STREAM_XC_VERSION)
		needs &= ~BIT(STREAM_STATIC_DATA_END);
	if (needs & ~order->seen)
		return stream_bad(s, "its record %s comes before its record %s", k->name,
		                  first_name(needs & ~order->seen));
	if (k->not_after & order->seen)
		return stream_bad(s, "its record %s comes after its record %s", k->name,
		                  first_name(k->not_after & order->seen));
	if (k->once && stream_seen(order, r->type))
		return stream_bad(s, "it has a second record %s", k->name);
	if (r->bytes < k->min_bytes || r->bytes > k->max_bytes)
		return stream_bad(s, "its record %s has %u bytes, and should have %llu to %llu", k->name,
		                  r->bytes, (unsigned long long)k->min_bytes,
		                  (unsigned long long)k->max_bytes);
	if (r->type == STREAM_X86_CPUID_POLICY && r->bytes % sizeof(xen_cpuid_leaf_t))
		return stream_bad(s, "its record %s has %u bytes, no whole number of leaves", k->name,
		                  r->bytes);
	if (r->type == STREAM_X86_MSR_POLICY && r->bytes % sizeof(xen_msr_entry_t))
		return stream_bad(s, "its record %s has %u bytes, no whole number of MSRs", k->name,
		                  r->bytes);
	order->seen |= BIT(r->type);
	return 0;
}

int stream_check_pv_info(const struct stream *s, const struct stream_pv_info *i)
{
	if (i->guest_width == 4 && i->table_levels == 3)
		return stream_fail(s, ENOTSUP, "it is a 32-bit guest");
	if (i->guest_width != 8 || i->table_levels != 4)
		return stream_bad(s, "its record X86_PV_INFO tells of %u bytes and %u levels of page tables",
		                  i->guest_width, i->table_levels);
	return 0;
}

int stream_check_p2m_frames(const struct stream *s, const struct stream_p2m_frames *f, uint32_t bytes,
                            uint64_t *count)
{
	uint64_t pages = (uint64_t)f->last_pfn / PAGE_WORDS + 1;

	if (f->first_pfn)
		return stream_bad(s, "its record X86_PV_P2M_FRAMES begins with pfn %#x instead of 0",
		                  f->first_pfn);
	if (bytes != sizeof(*f) + pages * sizeof(uint64_t))
		return stream_bad(
		        s, "its record X86_PV_P2M_FRAMES has %u bytes, which is not right for pfns up to %#x",
		        bytes, f->last_pfn);
	if (f->last_pfn >= STREAM_PFNS_MAX)
		return stream_fail(
		        s, ENOTSUP,
		        "its record X86_PV_P2M_FRAMES has pfns up to %#x; below %#llx they can be restored",
		        f->last_pfn, (unsigned long long)STREAM_PFNS_MAX);
	*count = pages;
	return 0;
}

int stream_check_page_count(const struct stream *s, const struct stream_page_data *p, uint32_t bytes)
{
	if (!p->count || p->count > STREAM_PAGES_MAX ||
	    bytes < sizeof(*p) + (uint64_t)p->count * sizeof(uint64_t))
		return stream_bad(s,
		                  "a record PAGE_DATA has %u bytes, and tells of %u pages (1 to %u can be)",
		                  bytes, p->count, STREAM_PAGES_MAX);
	return 0;
}

static bool type_known(unsigned type)
{
	return type == STREAM_PAGE_NORMAL || type >= STREAM_PAGE_BROKEN || stream_page_is_table(type);
}

int stream_check_pages(const struct stream *s, const uint64_t *pages, uint32_t count, uint64_t pfn_count,
                       uint32_t bytes)
{
	uint64_t expected = sizeof(struct stream_page_data) + (uint64_t)count * sizeof(*pages);

	for (uint32_t i = 0; i < count; i++) {
		uint64_t pfn = stream_pfn(pages[i]);
		unsigned type = stream_pfn_type(pages[i]);

		if (pages[i] & STREAM_PFN_RESERVED)
			return stream_bad(s, "a record PAGE_DATA has reserved bits set: %#llx",
			                  (unsigned long long)pages[i]);
		if (pfn >= pfn_count)
			return stream_bad(
			        s, "a record PAGE_DATA has pfn %#llx, but the domain's last one is %#llx",
			        (unsigned long long)pfn, (unsigned long long)pfn_count - 1);
		if (!type_known(type))
			return stream_bad(s,
			                  "a record PAGE_DATA says that pfn %#llx is of the unknown type %u",
			                  (unsigned long long)pfn, type);
		if (stream_page_has_content(type))
			expected += XYL_PAGE_BYTES;
	}
	if (bytes != expected)
		return stream_bad(s, "a record PAGE_DATA has %u bytes, and should have %llu for its pages",
		                  bytes, (unsigned long long)expected);
	return 0;
}

int stream_check_vcpu(const struct stream *s, uint32_t type, uint32_t vcpu, uint32_t vcpu_count,
                      uint32_t bytes)
{
	const char *name = stream_name(type);
	bool good = true;

	if (vcpu >= vcpu_count)
		return stream_bad(s, "it has a record %s for vcpu %u, but the new domain has %u", name, vcpu,
		                  vcpu_count);
	if (type == STREAM_X86_PV_VCPU_BASIC)
		good = bytes == sizeof(vcpu_guest_context_t);
	else if (!bytes)
		return 0; /* as Xen 4.6 to 4.8 write it: nothing */
	else if (type == STREAM_X86_PV_VCPU_EXTENDED)
		good = bytes >= 2 * sizeof(uint32_t) && bytes <= EXTENDED_MAX;
	else if (type == STREAM_X86_PV_VCPU_XSAVE)
		good = bytes >= XSAVE_MIN;
	else
		good = bytes % sizeof(xen_domctl_vcpu_msr_t) == 0;
	if (!good)
		return stream_bad(s, "its record %s for vcpu %u has %u bytes of state, which cannot be", name,
		                  vcpu, bytes);
	return 0;
}
