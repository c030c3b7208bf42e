/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A core file of a PV domain, in steps:
 *	1. its table of frames, and which of these are its own: how many pages the file will have
 *	2. head, registers, shared info, table of frames
 *	3. the pages, as they are: page tables hold frames, which the table of frames explains
 * Layout: dumpformat.h. The file is written from its beginning to its end, so that a pipe will do.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dumpformat.h"
#include "guestp2m.h"
#include "streamformat.h"
#include "streamio.h"

struct dumper {
	struct xyl *x;
	uint32_t domid;
	struct stream s;
	struct guestp2m p2m;
	struct shared_info *shared; /* mapped */
	vcpu_guest_context_t *vcpus;
	uint64_t vcpu_count;
	struct dump_p2m *pages;
	uint64_t page_count;
};

/* The registers of each vcpu that has been brought up. */
static int read_vcpus(struct dumper *d, uint32_t count)
{
	d->vcpus = calloc(count, sizeof(*d->vcpus));
	if (!d->vcpus)
		return stream_fail(&d->s, ENOMEM, "out of memory");
	for (uint32_t i = 0; i < count; i++) {
		if (xyl_vcpu_get_context(d->x, d->domid, i, &d->vcpus[d->vcpu_count]) == 0)
			d->vcpu_count++;
		else if (errno != ENODATA)
			return stream_because(&d->s);
	}
	return 0;
}

static int open_domain(struct dumper *d)
{
	struct xyl_dominfo info;

	if (xyl_domain_info(d->x, d->domid, &info) < 0)
		return stream_because(&d->s);
	if (info.hvm)
		return stream_fail(&d->s, ENOTSUP, "it is an HVM guest");
	d->shared = xyl_foreign_map(d->x, d->domid, PROT_READ, &info.shared_info_mfn, 1, NULL);
	if (!d->shared)
		return stream_because(&d->s);
	if (guestp2m_read(d->x, &d->s, d->shared, info.memory_pages, NULL, true, &d->p2m) < 0)
		return -1;
	return read_vcpus(d, info.max_vcpus);
}

/* Keeps, of a batch at the end of the list, what is the domain's own. */
static int keep_own(struct dumper *d, const uint64_t *mfns, unsigned count)
{
	struct dump_p2m *batch = d->pages + d->page_count;
	uint8_t types[XYL_BATCH];

	if (xyl_page_types(d->x, d->domid, mfns, types, count) < 0)
		return stream_because(&d->s);
	for (unsigned i = 0; i < count; i++)
		if (stream_page_has_content(types[i]))
			d->pages[d->page_count++] = batch[i];
	return stream_tick(&d->s);
}

/* Step 1. */
static int choose_pages(struct dumper *d)
{
	uint64_t mfns[XYL_BATCH];
	unsigned count = 0;

	d->pages = calloc(d->p2m.used_count ? d->p2m.used_count : 1, sizeof(*d->pages));
	if (!d->pages)
		return stream_fail(&d->s, ENOMEM, "out of memory");
	for (uint64_t i = 0; i < d->p2m.used_count; i++) {
		const struct guestp2m_page *page = &d->p2m.pages[i];

		d->pages[d->page_count + count] = (struct dump_p2m){ page->pfn, page->mfn };
		mfns[count++] = page->mfn;
		if (count == XYL_BATCH) {
			if (keep_own(d, mfns, count) < 0)
				return -1;
			count = 0;
		}
	}
	if (count && keep_own(d, mfns, count) < 0)
		return -1;
	d->s.progress.pages_total = d->page_count;
	return 0;
}

/* Step 2. */
static int write_head(struct dumper *d)
{
	static const uint8_t zero[XYL_PAGE_BYTES];
	struct dump_head head;
	struct xyl_version xen;
	const Elf64_Shdr *p2m = &head.sections[DUMP_P2M], *pages = &head.sections[DUMP_PAGES];

	if (xyl_host_version(d->x, &xen) < 0)
		return stream_because(&d->s);
	dump_layout(&head, &xen, d->vcpu_count, d->page_count);
	struct iovec parts[] = {
		{ &head, sizeof(head) },
		{ d->vcpus, d->vcpu_count * sizeof(*d->vcpus) },
		{ d->shared, XYL_PAGE_BYTES },
		{ d->pages, d->page_count * sizeof(*d->pages) },
		{ (void *)(uintptr_t)zero, pages->sh_offset - (p2m->sh_offset + p2m->sh_size) },
	};
	return stream_write(&d->s, parts, sizeof(parts) / sizeof(parts[0]));
}

/* Step 3. A frame that has gone meanwhile, as a domain that runs may give it back, is written as zeros. */
static int write_batch(struct dumper *d, const struct dump_p2m *pages, unsigned count)
{
	struct iovec parts[XYL_BATCH];
	size_t n = 0;
	uint64_t mfns[XYL_BATCH];
	int errors[XYL_BATCH];
	uint8_t *window;
	int rc;

	for (unsigned i = 0; i < count; i++)
		mfns[i] = pages[i].mfn;
	window = xyl_foreign_map(d->x, d->domid, PROT_READ, mfns, count, errors);
	if (!window)
		return stream_because(&d->s);
	for (unsigned i = 0; i < count; i++)
		n = stream_add_page(&d->s, parts, n, errors[i] ? NULL : window + (size_t)i * XYL_PAGE_BYTES);
	rc = stream_write(&d->s, parts, n);
	if (xyl_foreign_unmap(d->x, window, count) < 0 || rc < 0)
		return -1;
	d->s.progress.pages_done += count;
	return stream_tick(&d->s);
}

static int write_pages(struct dumper *d)
{
	for (uint64_t at = 0; at < d->page_count; at += XYL_BATCH) {
		uint64_t n = d->page_count - at < XYL_BATCH ? d->page_count - at : XYL_BATCH;

		if (write_batch(d, d->pages + at, (unsigned)n) < 0)
			return -1;
	}
	return stream_end_output(&d->s);
}

int xyl_domain_dump(struct xyl *x, uint32_t domid, int fd, xyl_progress_fn *progress, void *data)
{
	struct dumper d = {
		.x = x,
		.domid = domid,
		.s = { .fd = fd, .domid = domid, .verb = "dump", .fn = progress, .data = data },
	};
	int rc = -1, error;

	stream_begin_output(&d.s);
	if (open_domain(&d) == 0 && choose_pages(&d) == 0 && write_head(&d) == 0)
		rc = write_pages(&d);
	error = errno;
	stream_close(&d.s);
	guestp2m_free(&d.p2m);
	if (d.shared)
		(void)xyl_foreign_unmap(x, d.shared, 1);
	free(d.vcpus);
	free(d.pages);
	errno = error;
	return rc;
}
