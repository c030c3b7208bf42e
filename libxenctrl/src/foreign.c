/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mapping of other domains' frames and grant tables. Source: xen/sys/privcmd.h, xen/grant_table.h, xen/memory.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "private.h"
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/sys/privcmd.h>

void *xyl_foreign_map(struct xyl *x, uint32_t domid, int prot, const uint64_t *mfns, size_t count,
                      int *errors)
{
	struct privcmd_mmapbatch_v2 batch = { .num = (unsigned)count, .dom = (domid_t)domid };
	int *err = errors ? errors : calloc(count ? count : 1, sizeof(*err));
	int error = 0;
	void *p;

	if (!count || count > UINT32_MAX || !err) {
		if (!errors)
			free(err);
		xyl_fail(err ? EINVAL : ENOMEM, "domain %u: cannot map %zu of its frames", domid, count);
		return NULL;
	}
	memset(err, 0, count * sizeof(*err));
	p = mmap(NULL, count * XYL_PAGE_BYTES, prot, MAP_SHARED, x->privcmd, 0);
	if (p == MAP_FAILED) {
		error = errno;
		goto out;
	}
	batch.addr = (uintptr_t)p;
	batch.arr = mfns;
	batch.err = err;
	if (ioctl(x->privcmd, IOCTL_PRIVCMD_MMAPBATCH_V2, &batch) < 0 && errno != ENOENT)
		error = errno;
	for (size_t i = 0; i < count; i++) {
		err[i] = err[i] < 0 ? -err[i] : err[i];
		if (err[i] && !errors && !error)
			error = err[i];
	}
	if (error)
		munmap(p, count * XYL_PAGE_BYTES);
out:
	if (!errors)
		free(err);
	if (error) {
		xyl_fail(error, "domain %u: cannot map %zu of its frames", domid, count);
		return NULL;
	}
	return p;
}

int xyl_foreign_unmap(struct xyl *x, void *address, size_t count)
{
	(void)x;
	if (munmap(address, count * XYL_PAGE_BYTES) < 0)
		return xyl_fail(errno, "cannot unmap %zu frames", count);
	return 0;
}

/* Asks for the frames' numbers and maps them as memory of the domain: where resources cannot be mapped. */
static void *grant_table_map_frames(struct xyl *x, uint32_t domid, uint32_t first, uint32_t count)
{
	struct gnttab_setup_table op = { .dom = (domid_t)domid, .nr_frames = first + count };
	size_t bytes = ((size_t)first + count) * sizeof(xen_pfn_t);
	xen_pfn_t *frames = xyl_hypercall_alloc(x, bytes);
	struct gnttab_setup_table *page = xyl_hypercall_alloc(x, sizeof(op));
	void *p = NULL;
	long rc;

	if (!frames || !page)
		goto out;
	*page = op;
	set_xen_guest_handle(page->frame_list, frames);
	rc = xyl_raw(x, __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, (uintptr_t)page, 1, 0, 0);
	if (rc < 0 || page->status != GNTST_okay) {
		xyl_fail(rc < 0 ? errno : EINVAL, "domain %u: cannot set up its grant table", domid);
		goto out;
	}
	p = xyl_foreign_map(x, domid, PROT_READ | PROT_WRITE, frames + first, count, NULL);
out:
	xyl_hypercall_free(x, frames, bytes);
	xyl_hypercall_free(x, page, sizeof(op));
	return p;
}

void *xyl_grant_table_map(struct xyl *x, uint32_t domid, uint32_t first, uint32_t count)
{
	struct privcmd_mmap_resource r = {
		.dom = (domid_t)domid,
		.type = XENMEM_resource_grant_table,
		.id = XENMEM_resource_grant_table_id_shared,
		.idx = first,
		.num = count,
	};
	int error;
	void *p;

	if (!count || count > UINT16_MAX || first > UINT16_MAX) {
		xyl_fail(EINVAL, "domain %u: cannot map %u frames of its grant table", domid, count);
		return NULL;
	}
	p = mmap(NULL, (size_t)count * XYL_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, x->privcmd, 0);
	if (p == MAP_FAILED) {
		xyl_fail(errno, "domain %u: cannot map its grant table", domid);
		return NULL;
	}
	r.addr = (uintptr_t)p;
	if (ioctl(x->privcmd, IOCTL_PRIVCMD_MMAP_RESOURCE, &r) == 0)
		return p;
	error = errno;
	munmap(p, (size_t)count * XYL_PAGE_BYTES);
	/* ENOTTY: the kernel is too old for it; EOPNOTSUPP and ENOSYS: the hypervisor is */
	if (error == ENOTTY || error == EOPNOTSUPP || error == ENOSYS)
		return grant_table_map_frames(x, domid, first, count);
	xyl_fail(error, "domain %u: cannot map its grant table", domid);
	return NULL;
}

int xyl_grant_seed(struct xyl *x, uint32_t domid, uint64_t console_mfn, uint32_t console_domid,
                   uint64_t store_mfn, uint32_t store_domid)
{
	grant_entry_v1_t *table;

	/* Version 1 grants name a frame by 32 bits. */
	if (console_mfn > UINT32_MAX || store_mfn > UINT32_MAX)
		return xyl_fail_text(ERANGE, "domain %u: its console or store page lies above 16 TiB", domid);
	table = xyl_grant_table_map(x, domid, 0, 1);
	if (!table)
		return -1;
	table[GNTTAB_RESERVED_CONSOLE].frame = (uint32_t)console_mfn;
	table[GNTTAB_RESERVED_CONSOLE].domid = (domid_t)console_domid;
	table[GNTTAB_RESERVED_XENSTORE].frame = (uint32_t)store_mfn;
	table[GNTTAB_RESERVED_XENSTORE].domid = (domid_t)store_domid;
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* an entry is valid from its flags on */
	table[GNTTAB_RESERVED_CONSOLE].flags = GTF_permit_access;
	table[GNTTAB_RESERVED_XENSTORE].flags = GTF_permit_access;
	return xyl_foreign_unmap(x, table, 1);
}
