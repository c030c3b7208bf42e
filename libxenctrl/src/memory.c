/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory of domains: how much, and which frames. Source: xen/memory.h, xen/domctl.h. */
#include <string.h>

#include "private.h"
#include <xen/memory.h>

#define EXTENTS_MAX 65536u /* of one hypercall: 512 KiB of frame numbers */

int xyl_memory_set_max(struct xyl *x, uint32_t domid, uint64_t max_kib)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_max_mem, .domain = (domid_t)domid };

	op.u.max_mem.max_memkb = max_kib;
	return xyl_domctl(x, &op, "limit its memory");
}

int xyl_memory_get_nodes(struct xyl *x, uint32_t domid, uint8_t *map, size_t map_bytes)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_getnodeaffinity, .domain = (domid_t)domid };
	uint8_t *copy;
	int rc;

	if (!map_bytes || map_bytes > XYL_PAGE_BYTES)
		return xyl_fail_text(EINVAL, "domain %u: a map of nodes of %zu bytes cannot be", domid,
		                     map_bytes);
	copy = xyl_hypercall_alloc(x, map_bytes);
	if (!copy)
		return -1;
	set_xen_guest_handle(op.u.nodeaffinity.nodemap.bitmap, copy);
	op.u.nodeaffinity.nodemap.nr_bits = (uint32_t)map_bytes * 8;
	rc = xyl_domctl(x, &op, "read the nodes of its memory");
	if (rc == 0)
		memcpy(map, copy, map_bytes);
	xyl_hypercall_free(x, copy, map_bytes);
	return rc;
}

int xyl_memory_set_map(struct xyl *x, uint32_t domid, uint64_t max_kib)
{
	/* struct e820entry of the ABI: packed, 20 bytes */
	struct entry {
		uint64_t address;
		uint64_t size;
		uint32_t type;
	} __attribute__((packed)) *entry = xyl_hypercall_alloc(x, sizeof(*entry));
	struct xen_foreign_memory_map map = { .domid = (domid_t)domid };
	long rc;

	if (!entry)
		return -1;
	entry->size = max_kib << 10;
	entry->type = 1; /* RAM */
	map.map.nr_entries = 1;
	set_xen_guest_handle(map.map.buffer, entry);
	rc = xyl_memory_op(x, XENMEM_set_memory_map, &map, sizeof(map));
	xyl_hypercall_free(x, entry, sizeof(*entry));
	if (rc < 0)
		return xyl_fail(errno, "domain %u: cannot set its memory map", domid);
	return 0;
}

/* One of the three reservation calls, in pieces; list is read, and written back when answers is set. */
static int reservation(struct xyl *x, uint32_t domid, unsigned cmd, uint64_t count, unsigned order,
                       uint64_t *list, bool answers, uint64_t *done, const char *what)
{
	uint64_t chunk = count < EXTENTS_MAX ? count : EXTENTS_MAX;
	size_t bytes = (size_t)chunk * sizeof(xen_pfn_t);
	xen_pfn_t *extents;
	int error = 0;

	*done = 0;
	if (!count)
		return 0;
	extents = xyl_hypercall_alloc(x, bytes);
	if (!extents)
		return -1;
	while (*done < count && !error) {
		struct xen_memory_reservation r = { .extent_order = order, .domid = (domid_t)domid };
		uint64_t n = count - *done < chunk ? count - *done : chunk;
		long rc;

		memcpy(extents, list + *done, n * sizeof(*extents));
		r.nr_extents = n;
		set_xen_guest_handle(r.extent_start, extents);
		rc = xyl_memory_op(x, cmd, &r, sizeof(r));
		if (rc < 0) {
			error = errno;
			break;
		}
		if (answers)
			memcpy(list + *done, extents, (size_t)rc * sizeof(*extents));
		*done += (uint64_t)rc;
		if ((uint64_t)rc < n)
			error = ENOMEM;
	}
	xyl_hypercall_free(x, extents, bytes);
	if (!error)
		return 0;
	return xyl_fail(
	        error,
	        "domain %u: cannot %s %llu extents of %llu KiB (%llu done): its limit or the host's memory "
	        "may be exhausted",
	        domid, what, (unsigned long long)count, 4ULL << order, (unsigned long long)*done);
}

int xyl_memory_populate(struct xyl *x, uint32_t domid, uint64_t count, unsigned order, uint64_t *extents,
                        uint64_t *done)
{
	return reservation(x, domid, XENMEM_populate_physmap, count, order, extents, true, done, "populate");
}

int xyl_memory_increase(struct xyl *x, uint32_t domid, uint64_t count, unsigned order, uint64_t *mfns,
                        uint64_t *done)
{
	return reservation(x, domid, XENMEM_increase_reservation, count, order, mfns, true, done, "add");
}

int xyl_memory_decrease(struct xyl *x, uint32_t domid, uint64_t count, unsigned order, const uint64_t *mfns,
                        uint64_t *done)
{
	/* read only: nothing is written back */
	return reservation(x, domid, XENMEM_decrease_reservation, count, order, (uint64_t *)(uintptr_t)mfns,
	                   false, done, "remove");
}

static int ask(struct xyl *x, uint32_t domid, unsigned cmd, uint64_t *answer)
{
	domid_t id = (domid_t)domid;
	long rc;

	if (!answer)
		return 0;
	rc = xyl_memory_op(x, cmd, &id, sizeof(id));
	if (rc < 0)
		return xyl_fail(errno, "domain %u: cannot read its memory reservation", domid);
	*answer = (uint64_t)rc;
	return 0;
}

int xyl_memory_reservation(struct xyl *x, uint32_t domid, uint64_t *current_pages, uint64_t *max_pages,
                           uint64_t *max_pfn)
{
	if (ask(x, domid, XENMEM_current_reservation, current_pages) < 0 ||
	    ask(x, domid, XENMEM_maximum_reservation, max_pages) < 0)
		return -1;
	return ask(x, domid, XENMEM_maximum_gpfn, max_pfn);
}

int xyl_memory_claim(struct xyl *x, uint32_t domid, uint64_t pages)
{
	struct xen_memory_reservation r = { .nr_extents = pages, .domid = (domid_t)domid };

	if (xyl_memory_op(x, XENMEM_claim_pages, &r, sizeof(r)) < 0)
		return xyl_fail(errno, "domain %u: cannot set %llu KiB of memory aside for it", domid,
		                (unsigned long long)pages * 4);
	return 0;
}

int xyl_page_types(struct xyl *x, uint32_t domid, const uint64_t *mfns, uint8_t *types, unsigned count)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_getpageframeinfo3, .domain = (domid_t)domid };
	uint64_t *list = xyl_hypercall_alloc(x, XYL_BATCH * sizeof(*list));
	int rc;

	if (!list)
		return -1;
	memcpy(list, mfns, count * sizeof(*list));
	op.u.getpageframeinfo3.num = count;
	set_xen_guest_handle(op.u.getpageframeinfo3.array, list);
	rc = xyl_domctl(x, &op, "ask for the types of its frames");
	for (unsigned i = 0; i < count && rc == 0; i++)
		types[i] = list[i] >> XEN_DOMCTL_PFINFO_LTAB_SHIFT & 15;
	xyl_hypercall_free(x, list, XYL_BATCH * sizeof(*list));
	return rc;
}
