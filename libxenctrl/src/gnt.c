/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Grants of other domains, mapped through /dev/xen/gntdev. Source: xen/sys/gntdev.h. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "private.h"
#include <xen/sys/gntdev.h>

#define GNTDEV_PATH "/dev/xen/gntdev"

struct xyl_gnt {
	int fd;
};

struct xyl_gnt *xyl_gnt_open(void)
{
	struct xyl_gnt *g = malloc(sizeof(*g));

	if (!g) {
		xyl_fail(ENOMEM, "%s", GNTDEV_PATH);
		return NULL;
	}
	g->fd = open(GNTDEV_PATH, O_RDWR | O_CLOEXEC);
	if (g->fd < 0) {
		int error = errno;

		free(g);
		xyl_fail(error, "%s (kernel module xen_gntdev)", GNTDEV_PATH);
		return NULL;
	}
	return g;
}

void xyl_gnt_close(struct xyl_gnt *g)
{
	if (!g)
		return;
	close(g->fd);
	free(g);
}

static void forget(struct xyl_gnt *g, uint64_t index, uint32_t count)
{
	struct ioctl_gntdev_unmap_grant_ref op = { .index = index, .count = count };
	int saved = errno;

	(void)ioctl(g->fd, IOCTL_GNTDEV_UNMAP_GRANT_REF,
	            &op); /* nothing is mapped: closing the file frees it too */
	errno = saved;
}

/* Reserves an index in the device for the references. */
static int reserve(struct xyl_gnt *g, uint32_t domid, const uint32_t *refs, uint32_t count, uint64_t *index)
{
	struct ioctl_gntdev_map_grant_ref *op;
	int rc;

	*index = 0;
	if (!count || count > UINT16_MAX)
		return xyl_fail_text(EINVAL, "domain %u: cannot map %u grants at once", domid, count);
	op = calloc(1, sizeof(*op) + count * sizeof(op->refs[0]));
	if (!op)
		return xyl_fail(ENOMEM, "domain %u: cannot map %u grants", domid, count);
	op->count = count;
	for (uint32_t i = 0; i < count; i++) {
		op->refs[i].domid = domid;
		op->refs[i].ref = refs[i];
	}
	rc = ioctl(g->fd, IOCTL_GNTDEV_MAP_GRANT_REF, op);
	if (rc < 0)
		xyl_fail(errno, "domain %u: cannot map %u grants from reference %u on", domid, count,
		         refs[0]);
	*index = op->index;
	free(op);
	return rc;
}

static void *map_index(struct xyl_gnt *g, uint32_t domid, uint32_t ref, uint32_t count, int prot,
                       uint64_t index)
{
	void *p = mmap(NULL, (size_t)count * XYL_PAGE_BYTES, prot, MAP_SHARED, g->fd, (off_t)index);

	if (p != MAP_FAILED)
		return p;
	forget(g, index, count);
	xyl_fail(errno, "domain %u: cannot map grant %u: it may not be granted to this domain", domid, ref);
	return NULL;
}

void *xyl_gnt_map(struct xyl_gnt *g, uint32_t domid, const uint32_t *refs, uint32_t count, int prot)
{
	uint64_t index;

	if (reserve(g, domid, refs, count, &index) < 0)
		return NULL;
	return map_index(g, domid, refs[0], count, prot, index);
}

void *xyl_gnt_map_notify(struct xyl_gnt *g, uint32_t domid, uint32_t ref, int prot, uint32_t clear_offset,
                         uint32_t notify_port)
{
	struct ioctl_gntdev_unmap_notify op = { .event_channel_port = notify_port };
	uint64_t index;
	void *p;

	if (reserve(g, domid, &ref, 1, &index) < 0)
		return NULL;
	p = map_index(g, domid, ref, 1, prot, index);
	if (!p)
		return NULL;
	op.index = index;
	if (clear_offset != UINT32_MAX) {
		op.index += clear_offset;
		op.action |= UNMAP_NOTIFY_CLEAR_BYTE;
	}
	if (notify_port)
		op.action |= UNMAP_NOTIFY_SEND_EVENT;
	if (op.action && ioctl(g->fd, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &op) < 0) {
		int error = errno;

		xyl_gnt_unmap(g, p, 1);
		xyl_fail(error, "domain %u: cannot arrange the unmap notification of grant %u", domid, ref);
		return NULL;
	}
	return p;
}

int xyl_gnt_unmap(struct xyl_gnt *g, void *address, uint32_t count)
{
	struct ioctl_gntdev_get_offset_for_vaddr where = { .vaddr = (uintptr_t)address };

	if (ioctl(g->fd, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &where) < 0)
		return xyl_fail(errno, "no grant is mapped at %p", address);
	if (where.count != count)
		return xyl_fail_text(EINVAL, "%u grants are mapped at %p, not %u", where.count, address,
		                     count);
	if (munmap(address, (size_t)count * XYL_PAGE_BYTES) < 0)
		return xyl_fail(errno, "cannot unmap the grants at %p", address);
	forget(g, where.offset, count);
	return 0;
}
