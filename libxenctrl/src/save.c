/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Saving a PV domain that has shut down for suspend, in steps:
 *	1. check that it has, and read its table of frames (guestp2m.h)
 *	2. headers, and what does not change while a domain runs: width, CPU policy
 *	3. its memory (savememory.c)
 *	4. its clock, shared info and vcpus, their frames turned to pfns
 *	5. check once more that it has not run meanwhile; the end
 * The guest has turned the frames in its start info to pfns by itself. Layout: streamformat.h. savelive.c takes the same
 * steps while the guest runs.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xen/version.h>

#include "saver.h"
#include "vcpustate.h"

#define GDT_ENTRIES_MAX (14u * 512) /* of the guest's own, FIRST_RESERVED_GDT_ENTRY */

_Static_assert(sizeof(vcpu_guest_context_t) == 5168, "layout of X86_PV_VCPU_BASIC");

/* Step 1. */
int saver_check_suspended(struct saver *v, struct xyl_dominfo *info)
{
	if (xyl_domain_info(v->x, v->domid, info) < 0)
		return stream_because(&v->s);
	if (info->dying || !info->shutdown || info->shutdown_reason != XYL_SHUTDOWN_SUSPEND)
		return stream_fail(&v->s, EBUSY, "it has not shut down for suspend");
	return 0;
}

static int check_domain(struct saver *v, const struct xyl_dominfo *info)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_get_address_size, .domain = (domid_t)v->domid };

	if (info->hvm)
		return stream_fail(&v->s, ENOTSUP, "it is an HVM guest");
	if (xyl_domctl(v->x, &op, "ask for its address size") < 0)
		return stream_because(&v->s);
	if (op.u.address_size.size != 64)
		return stream_fail(&v->s, ENOTSUP, "it is a %u-bit guest", op.u.address_size.size);
	return 0;
}

int saver_check_vcpus(struct saver *v)
{
	struct xyl_vcpuinfo first;

	if (xyl_vcpu_info(v->x, v->domid, 0, &first) < 0)
		return stream_because(&v->s);
	if (first.online)
		return 0;
	return stream_fail(&v->s, EINVAL,
	                   "its vcpu 0 is offline, on which it would wake when it is restored");
}

int saver_open(struct saver *v, const struct xyl_dominfo *info)
{
	uint64_t mfn = info->shared_info_mfn;

	if (check_domain(v, info) < 0)
		return -1;
	v->vcpu_count = info->max_vcpus;
	v->shared = xyl_foreign_map(v->x, v->domid, PROT_READ, &mfn, 1, NULL);
	if (!v->shared)
		return stream_because(&v->s);
	if (framecopy_open(v->x, v->domid, &v->copy) < 0)
		return stream_because(&v->s);
	v->tables = malloc((size_t)XYL_BATCH * XYL_PAGE_BYTES);
	return v->tables ? 0 : stream_fail(&v->s, ENOMEM, "out of memory");
}

/* Step 2. */
static int write_headers(struct saver *v)
{
	struct stream_xl_header xl = { htobe64(STREAM_XL_IDENT), htonl(STREAM_XL_VERSION), 0 };
	struct stream_record context = { STREAM_XL_LIBXC_CONTEXT, 0 };
	struct stream_xc_header xc = {
		STREAM_XC_MARKER, htonl(STREAM_XC_ID), htonl(STREAM_XC_VERSION), 0, 0, 0
	};
	struct stream_domain_header domain = { STREAM_XC_TYPE_PV, STREAM_PAGE_SHIFT, 0, 0, 0 };
	struct iovec parts[] = { { &xl, sizeof(xl) },
		                 { &context, sizeof(context) },
		                 { &xc, sizeof(xc) },
		                 { &domain, sizeof(domain) } };
	long version = xyl_raw(v->x, __HYPERVISOR_xen_version, XENVER_version, 0, 0, 0, 0);

	if (version < 0)
		return stream_fail(&v->s, errno, "cannot ask for the hypervisor's version: %s",
		                   strerror(errno));
	domain.xen_major = (uint32_t)version >> 16;
	domain.xen_minor = (uint32_t)version & 0xffff;
	return stream_write(&v->s, parts, 4);
}

static int write_policy(struct saver *v)
{
	struct blob cpuid, msrs;
	int rc = 0;

	if (vcpustate_get_policy(v->x, v->domid, &cpuid, &msrs) < 0)
		return stream_because(&v->s);
	if (cpuid.bytes)
		rc = stream_put(&v->s, STREAM_X86_CPUID_POLICY, NULL, 0, cpuid.data, cpuid.bytes);
	if (rc == 0 && msrs.bytes)
		rc = stream_put(&v->s, STREAM_X86_MSR_POLICY, NULL, 0, msrs.data, msrs.bytes);
	blob_free(&cpuid);
	blob_free(&msrs);
	return rc;
}

int saver_write_static(struct saver *v)
{
	struct stream_pv_info info = { .guest_width = 8, .table_levels = 4 };

	if (write_headers(v) < 0 || stream_put(&v->s, STREAM_X86_PV_INFO, &info, sizeof(info), NULL, 0) < 0 ||
	    write_policy(v) < 0 ||
	    (v->zeros_by_type && stream_put(&v->s, STREAM_ZEROS_BY_TYPE, NULL, 0, NULL, 0) < 0))
		return -1;
	return stream_put(&v->s, STREAM_STATIC_DATA_END, NULL, 0, NULL, 0);
}

/* Step 4. */
static int write_tsc(struct saver *v)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_gettscinfo, .domain = (domid_t)v->domid };
	struct stream_tsc tsc = { 0 };

	if (xyl_domctl(v->x, &op, "read its clock's mode") < 0)
		return stream_because(&v->s);
	tsc.mode = op.u.tsc_info.tsc_mode;
	tsc.khz = op.u.tsc_info.gtsc_khz;
	tsc.elapsed_ns = op.u.tsc_info.elapsed_nsec;
	tsc.incarnation = op.u.tsc_info.incarnation;
	return stream_put(&v->s, STREAM_X86_TSC_INFO, &tsc, sizeof(tsc), NULL, 0);
}

/* Turns one frame of a vcpu's context to a pfn. */
static int frame_to_pfn(struct saver *v, uint32_t vcpu, const char *what, uint64_t *frame)
{
	uint64_t pfn = guestp2m_pfn(&v->p2m, *frame);

	if (pfn == XYL_PAGE_NONE)
		return stream_fail(&v->s, EINVAL, "%s of vcpu %u lies in frame %#llx, which is not its own",
		                   what, vcpu, (unsigned long long)*frame);
	*frame = pfn;
	return 0;
}

static int root_to_pfn(struct saver *v, uint32_t vcpu, uint64_t *cr)
{
	uint64_t frame = *cr >> STREAM_PAGE_SHIFT;

	if (frame_to_pfn(v, vcpu, "the page table", &frame) < 0)
		return -1;
	*cr = frame << STREAM_PAGE_SHIFT;
	return 0;
}

static int context_to_pfns(struct saver *v, uint32_t vcpu, vcpu_guest_context_t *c)
{
	/* By the suspend hypercall's convention vcpu 0 holds the frame of its start info there. */
	if (vcpu == 0 && frame_to_pfn(v, vcpu, "the start info", &c->user_regs.rdx) < 0)
		return -1;
	if (c->gdt_ents > GDT_ENTRIES_MAX)
		return stream_fail(&v->s, EINVAL, "vcpu %u has %llu GDT entries", vcpu,
		                   (unsigned long long)c->gdt_ents);
	for (unsigned i = 0; i < (c->gdt_ents + 511) / 512; i++)
		if (frame_to_pfn(v, vcpu, "the GDT", &c->gdt_frames[i]) < 0)
			return -1;
	if (root_to_pfn(v, vcpu, &c->ctrlreg[3]) < 0)
		return -1;
	if (!c->ctrlreg[1])
		return 0;
	if (root_to_pfn(v, vcpu, &c->ctrlreg[1]) < 0)
		return -1;
	c->ctrlreg[1] |= 1; /* there is one, which may be pfn 0 */
	return 0;
}

static int write_blob(struct saver *v, uint32_t type, uint32_t vcpu, int rc, struct blob *b)
{
	struct stream_vcpu head = { vcpu, 0 };

	if (rc < 0)
		return stream_because(&v->s);
	if (b->bytes)
		rc = stream_put(&v->s, type, &head, sizeof(head), b->data, b->bytes);
	blob_free(b);
	return rc;
}

static int write_vcpu(struct saver *v, uint32_t vcpu)
{
	struct stream_vcpu head = { vcpu, 0 };
	vcpu_guest_context_t *c = malloc(sizeof(*c));
	struct blob b;
	int rc = -1;

	if (!c)
		return stream_fail(&v->s, ENOMEM, "out of memory");
	if (xyl_vcpu_get_context(v->x, v->domid, vcpu, c) < 0)
		rc = stream_because(&v->s);
	else if (context_to_pfns(v, vcpu, c) == 0)
		rc = stream_put(&v->s, STREAM_X86_PV_VCPU_BASIC, &head, sizeof(head), c, sizeof(*c));
	free(c);
	if (rc < 0)
		return -1;
	rc = vcpustate_get_extended(v->x, v->domid, vcpu, &b);
	if (write_blob(v, STREAM_X86_PV_VCPU_EXTENDED, vcpu, rc, &b) < 0)
		return -1;
	rc = vcpustate_get_xsave(v->x, v->domid, vcpu, &b);
	if (write_blob(v, STREAM_X86_PV_VCPU_XSAVE, vcpu, rc, &b) < 0)
		return -1;
	rc = vcpustate_get_msrs(v->x, v->domid, vcpu, &b);
	return write_blob(v, STREAM_X86_PV_VCPU_MSRS, vcpu, rc, &b);
}

static int write_vcpus(struct saver *v)
{
	for (uint32_t i = 0; i < v->vcpu_count; i++) {
		struct xyl_vcpuinfo info;

		if (xyl_vcpu_info(v->x, v->domid, i, &info) < 0)
			return stream_because(&v->s);
		if (info.online && write_vcpu(v, i) < 0)
			return -1;
	}
	return 0;
}

int saver_write_state(struct saver *v)
{
	if (write_tsc(v) < 0 || stream_put(&v->s, STREAM_SHARED_INFO, v->shared, XYL_PAGE_BYTES, NULL, 0) < 0)
		return -1;
	return write_vcpus(v);
}

/* Step 5. What was read is worth something if the domain has not run meanwhile, as somebody may have let it. */
int saver_write_end(struct saver *v)
{
	struct xyl_dominfo info;

	if (saver_check_suspended(v, &info) < 0)
		return -1;
	if (stream_put(&v->s, STREAM_END, NULL, 0, NULL, 0) < 0 ||
	    stream_put(&v->s, STREAM_XL_END, NULL, 0, NULL, 0) < 0)
		return -1;
	return stream_end_output(&v->s);
}

struct saver *saver_new(struct xyl *x, uint32_t domid, int fd, xyl_progress_fn *progress, void *data)
{
	struct saver *v = calloc(1, sizeof(*v));

	if (!v) {
		xyl_fail(ENOMEM, "domain %u: cannot save it", domid);
		return NULL;
	}
	v->x = x;
	v->domid = domid;
	v->s = (struct stream){ .fd = fd, .domid = domid, .verb = "save", .fn = progress, .data = data };
	stream_begin_output(&v->s);
	return v;
}

void saver_free(struct saver *v)
{
	int error = errno;

	stream_close(&v->s);
	savememory_free(v);
	if (v->shared)
		(void)xyl_foreign_unmap(v->x, v->shared, 1);
	free(v);
	errno = error;
}

/* The table of frames is written with the memory, and read before anything is written. */
static int save(struct saver *v)
{
	struct xyl_dominfo info;
	uint64_t at = 0;
	int rc;

	if (saver_check_suspended(v, &info) < 0 || saver_open(v, &info) < 0 || saver_check_vcpus(v) < 0 ||
	    savememory_read(v, info.memory_pages) < 0 || saver_write_static(v) < 0 ||
	    savememory_write_table(v) < 0)
		return -1;
	v->s.progress.pages_total = v->p2m.used_count;
	do {
		rc = savememory_send(v, &at);
	} while (rc > 0);
	return rc < 0 || saver_write_state(v) < 0 ? -1 : saver_write_end(v);
}

static int save_to(struct xyl *x, uint32_t domid, int fd, bool zeros_by_type, xyl_progress_fn *progress,
                   void *data)
{
	struct saver *v = saver_new(x, domid, fd, progress, data);
	int rc;

	if (!v)
		return -1;
	v->zeros_by_type = zeros_by_type;
	rc = save(v);
	saver_free(v);
	return rc;
}

int xyl_domain_save(struct xyl *x, uint32_t domid, int fd, xyl_progress_fn *progress, void *data)
{
	return save_to(x, domid, fd, false, progress, data);
}

int xyl_domain_send(struct xyl *x, uint32_t domid, int fd, xyl_progress_fn *progress, void *data)
{
	return save_to(x, domid, fd, true, progress, data);
}
