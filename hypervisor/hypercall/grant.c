/* SPDX-License-Identifier: GPL-2.0-or-later */
/* grant_table_op(cmd, uop, count) (xen/grant_table.h). The work is dom/grant.c's. */
#include "hypercall/hypercall.h"
#include "dom/grant.h"

/* Bytes of one element of an array command, 0 for those that take one structure. */
static size_t element_bytes(unsigned cmd)
{
	switch (cmd) {
	case GNTTABOP_map_grant_ref:
		return sizeof(struct gnttab_map_grant_ref);
	case GNTTABOP_unmap_grant_ref:
		return sizeof(struct gnttab_unmap_grant_ref);
	case GNTTABOP_unmap_and_replace:
		return sizeof(struct gnttab_unmap_and_replace);
	case GNTTABOP_transfer:
		return sizeof(struct gnttab_transfer);
	case GNTTABOP_copy:
		return sizeof(struct gnttab_copy);
	case GNTTABOP_swap_grant_ref:
		return sizeof(struct gnttab_swap_grant_ref);
	case GNTTABOP_cache_flush:
		return sizeof(struct gnttab_cache_flush);
	default:
		return 0;
	}
}

/* Continued by moving uop behind what is done and taking that off count. */
int64_t hc_grant_table_op(struct hc_args *a)
{
	unsigned cmd = (unsigned)a->arg[0], count = (unsigned)a->arg[2], done = 0;
	int rc;

	if ((int)count < 0)
		return -EINVAL;
	if (element_bytes(cmd) && !guest_range_ok(GVA(a->arg[1]), 1)) /* of an empty list, too */
		return -EFAULT;
	rc = grant_op(cmd, GVA(a->arg[1]), count, &done);
	if (rc == -ERESTART_HV) {
		a->arg[1] += (uint64_t)done * element_bytes(cmd);
		a->arg[2] = count - done;
	}
	return rc;
}
