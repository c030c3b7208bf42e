/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Restoring a PV domain, in steps:
 *	1. headers
 *	2. records, one by one: each is checked (streamcheck.h) before anything is done; memory is filled, state is kept
 *	3. when the END of both layers has come: page tables, state of the domain and its vcpus
 * What a stream says is never trusted: lengths are bounded before memory is taken for them, and page tables are the
 * hypervisor's to judge. A failure leaves the domain half-built, and paused; its creator destroys it.
 */
#include <stdlib.h>
#include <string.h>

#include "restore.h"
#include <xen/version.h>

static const struct {
	uint32_t type;
	enum restore_piece piece;
} vcpu_pieces[] = {
	{ STREAM_X86_PV_VCPU_BASIC, RESTORE_BASIC },
	{ STREAM_X86_PV_VCPU_EXTENDED, RESTORE_EXTENDED },
	{ STREAM_X86_PV_VCPU_XSAVE, RESTORE_XSAVE },
	{ STREAM_X86_PV_VCPU_MSRS, RESTORE_MSRS },
};

uint64_t restore_normal_mfn(struct restore *r, uint64_t pfn, const char *what)
{
	const struct restore_page *page = restore_page(r, pfn);

	if (page && page->type == STREAM_PAGE_NORMAL)
		return page->mfn;
	stream_bad(&r->s, "%s lies in pfn %#llx, which is no normal page of the domain's", what,
	           (unsigned long long)pfn);
	return XYL_PAGE_NONE;
}

/* Passes over a record's body; as there may be any number of such records, the caller is asked after each. */
static int skip_record(struct restore *r, size_t bytes)
{
	return stream_skip(&r->s, bytes, "optional record") < 0 ? -1 : stream_tick(&r->s);
}

/* Step 1. */
static int read_headers(struct restore *r)
{
	struct stream_xl_header xl;
	struct stream_record record;

	if (stream_read(&r->s, &xl, sizeof(xl), "header") < 0 || stream_check_xl_header(&r->s, &xl) < 0)
		return -1;
	for (;;) {
		if (stream_read(&r->s, &record, sizeof(record), "first record") < 0 ||
		    stream_check_xl_record(&r->s, &record, false) < 0)
			return -1;
		if (record.type == STREAM_XL_LIBXC_CONTEXT)
			break;
		if (skip_record(r, ((size_t)record.bytes + 7) & ~(size_t)7) < 0)
			return -1;
	}
	return 0;
}

static int read_image_headers(struct restore *r)
{
	struct stream_xc_header xc;
	struct stream_domain_header domain;

	if (stream_read(&r->s, &xc, sizeof(xc), "image's header") < 0 ||
	    stream_check_xc_header(&r->s, &xc, &r->order) < 0)
		return -1;
	if (stream_read(&r->s, &domain, sizeof(domain), "domain's header") < 0)
		return -1;
	return stream_check_domain_header(&r->s, &domain);
}

/* Step 2. */
static int read_blob(struct restore *r, struct blob *b, uint32_t bytes, const char *what)
{
	b->data = malloc(bytes ? bytes : 1);
	if (!b->data)
		return stream_fail(&r->s, ENOMEM, "out of memory");
	b->bytes = bytes;
	return stream_read(&r->s, b->data, bytes, what);
}

static int read_pv_info(struct restore *r)
{
	struct stream_pv_info info;

	if (stream_read(&r->s, &info, sizeof(info), "record X86_PV_INFO") < 0)
		return -1;
	return stream_check_pv_info(&r->s, &info);
}

/* STATIC_DATA_END, which version 2 left to be guessed. */
static int end_static_data(struct restore *r)
{
	if (!r->cpuid.bytes && !r->msrs.bytes)
		return 0;
	return vcpustate_set_policy(r->x, r->domid, &r->cpuid, &r->msrs) < 0 ? stream_because(&r->s) : 0;
}

static int read_p2m_frames(struct restore *r, uint32_t bytes)
{
	if (r->order.version < STREAM_XC_VERSION && !r->table_pages && end_static_data(r) < 0)
		return -1;
	return restore_p2m_frames(r, bytes) < 0 ? -1 : stream_tick(&r->s);
}

static int read_vcpu(struct restore *r, const struct stream_record *record)
{
	const char *name = stream_name(record->type);
	uint32_t bytes = record->bytes - (uint32_t)sizeof(struct stream_vcpu);
	enum restore_piece piece = RESTORE_BASIC;
	struct stream_vcpu head;

	for (unsigned i = 0; i < sizeof(vcpu_pieces) / sizeof(vcpu_pieces[0]); i++)
		if (vcpu_pieces[i].type == record->type)
			piece = vcpu_pieces[i].piece;
	if (stream_read(&r->s, &head, sizeof(head), name) < 0 ||
	    stream_check_vcpu(&r->s, record->type, head.vcpu, r->vcpu_count, bytes) < 0)
		return -1;
	if (r->vcpus[head.vcpu].seen[piece])
		return stream_bad(&r->s, "it has a second record %s for vcpu %u", name, head.vcpu);
	r->vcpus[head.vcpu].seen[piece] = true;
	return bytes ? read_blob(r, &r->vcpus[head.vcpu].pieces[piece], bytes, name) : 0;
}

/* With event channels of two levels a kernel masks those that it does not use; with FIFO it leaves all of the masks alone. */
static bool uses_fifo(const struct shared_info *shared)
{
	for (unsigned i = 0; i < sizeof(shared->evtchn_mask) / sizeof(shared->evtchn_mask[0]); i++)
		if (shared->evtchn_mask[i])
			return false;
	return true;
}

static bool on_xylem(struct xyl *x)
{
	char extra[16] = "";

	return xyl_struct_op(x, __HYPERVISOR_xen_version, XENVER_extraversion, extra, sizeof(extra)) >= 0 &&
	       strncmp(extra, "-xylem", 6) == 0;
}

static int read_shared_info(struct restore *r)
{
	r->shared = malloc(XYL_PAGE_BYTES);
	if (!r->shared)
		return stream_fail(&r->s, ENOMEM, "out of memory");
	if (stream_read(&r->s, r->shared, XYL_PAGE_BYTES, "record SHARED_INFO") < 0)
		return -1;
	if (!uses_fifo(r->shared) || !on_xylem(r->x)) /* Xen has them since 4.4 */
		return 0;
	return stream_fail(
	        &r->s, ENOTSUP,
	        "its kernel uses FIFO event channels, which Xylem does not have; on Xen it is to be booted with "
	        "xen.fifo_events=0 before it is saved");
}

static int read_body(struct restore *r, const struct stream_record *record)
{
	switch (record->type) {
	case STREAM_END:
	case STREAM_ZEROS_BY_TYPE:
		return 0;
	case STREAM_VERIFY: /* pages come once more, to be compared; here they are taken, as any that come again */
		return stream_tick(&r->s);
	case STREAM_STATIC_DATA_END:
		return end_static_data(r);
	case STREAM_PAGE_DATA:
		return restore_page_data(r, record->bytes);
	case STREAM_X86_PV_INFO:
		return read_pv_info(r);
	case STREAM_X86_PV_P2M_FRAMES:
		return read_p2m_frames(r, record->bytes);
	case STREAM_X86_PV_VCPU_BASIC:
	case STREAM_X86_PV_VCPU_EXTENDED:
	case STREAM_X86_PV_VCPU_XSAVE:
	case STREAM_X86_PV_VCPU_MSRS:
		return read_vcpu(r, record);
	case STREAM_SHARED_INFO:
		return read_shared_info(r);
	case STREAM_X86_TSC_INFO:
		return stream_read(&r->s, &r->tsc, sizeof(r->tsc), "record X86_TSC_INFO");
	case STREAM_X86_CPUID_POLICY:
		return read_blob(r, &r->cpuid, record->bytes, "record X86_CPUID_POLICY");
	case STREAM_X86_MSR_POLICY:
		return read_blob(r, &r->msrs, record->bytes, "record X86_MSR_POLICY");
	default: /* an optional one */
		return skip_record(r, record->bytes);
	}
}

static int read_records(struct restore *r)
{
	struct stream_record record;

	do {
		if (stream_read(&r->s, &record, sizeof(record), "records, before their END") < 0 ||
		    stream_check_record(&r->s, &r->order, &record) < 0 || read_body(r, &record) < 0)
			return -1;
		if (stream_skip(&r->s, (STREAM_ALIGN - record.bytes % STREAM_ALIGN) % STREAM_ALIGN,
		                "padding") < 0)
			return -1;
	} while (record.type != STREAM_END);
	return 0;
}

/* What comes behind the domain's image: END, as a PV guest has no emulator. */
static int read_trailer(struct restore *r)
{
	struct stream_record record;

	do {
		if (stream_read(&r->s, &record, sizeof(record), "last records") < 0 ||
		    stream_check_xl_record(&r->s, &record, true) < 0)
			return -1;
		if (skip_record(r, ((size_t)record.bytes + 7) & ~(size_t)7) < 0)
			return -1;
	} while (record.type != STREAM_XL_END);
	return 0;
}

static int open_domain(struct restore *r)
{
	struct xyl_dominfo info;

	if (xyl_domain_info(r->x, r->domid, &info) < 0)
		return stream_because(&r->s);
	if (info.hvm || info.dying || !info.paused || info.memory_pages || !info.max_vcpus)
		return stream_fail(&r->s, EINVAL, "it is not a new domain, paused and without memory");
	r->shared_info_mfn = info.shared_info_mfn;
	r->clean = on_xylem(r->x);
	if (framecopy_open(r->x, r->domid, &r->copy) < 0)
		return stream_because(&r->s);
	r->vcpu_count = info.max_vcpus;
	r->vcpus = calloc(r->vcpu_count, sizeof(*r->vcpus));
	r->list = malloc(STREAM_PAGES_MAX * sizeof(*r->list));
	if (!r->vcpus || !r->list)
		return stream_fail(&r->s, ENOMEM, "out of memory");
	return 0;
}

static void close_restore(struct restore *r)
{
	int error = errno;

	stream_end_input(&r->s);
	stream_close(&r->s);
	for (uint32_t i = 0; r->vcpus && i < r->vcpu_count; i++)
		for (unsigned j = 0; j < RESTORE_PIECES; j++)
			blob_free(&r->vcpus[i].pieces[j]);
	free(r->vcpus);
	framecopy_close(r->copy);
	free(r->list);
	free(r->pages);
	free(r->spare);
	free(r->slots);
	free(r->tables);
	free(r->table_pages);
	free(r->shared);
	blob_free(&r->cpuid);
	blob_free(&r->msrs);
	errno = error;
}

int xyl_domain_restore(struct xyl *x, uint32_t domid, int fd, const struct xyl_pv_restore *how,
                       struct xyl_pv_restored *out, xyl_progress_fn *progress, void *data)
{
	struct restore r = {
		.x = x,
		.domid = domid,
		.how = how,
		.s = { .fd = fd, .domid = domid, .verb = "restore", .fn = progress, .data = data },
	};
	int rc = -1;

	memset(out, 0, sizeof(*out));
	stream_begin_input(&r.s);
	if (open_domain(&r) == 0 && read_headers(&r) == 0 && read_image_headers(&r) == 0 &&
	    read_records(&r) == 0 && read_trailer(&r) == 0 && restore_finish_memory(&r) == 0)
		rc = restore_finish_state(&r, out);
	close_restore(&r);
	return rc;
}
