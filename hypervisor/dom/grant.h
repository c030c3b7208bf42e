/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Grant tables, version 1. */
#ifndef DOM_GRANT_H
#define DOM_GRANT_H

#include "dom/domain.h"
#include <xen/grant_table.h>

/* What a domain's limits can be at the most. */
#define GRANT_FRAMES_MAX       256
#define GRANT_TRACK_FRAMES_MAX 1024

int grant_domain_init(struct domain *d, unsigned max_frames, unsigned max_maptrack) __must_check;
/* Revokes what others mapped where that is possible and drops this domain's mappings; preemptible. */
int grant_domain_destroy(struct domain *d) __must_check;
/* Gives up the frames of the table; what others have mapped through it stays accounted for until they unmap it. */
void grant_domain_unshare(struct domain *d);
void grant_domain_free(struct domain *d); /* no reference is left */
/* One GNTTABOP command over count elements at the guest's address; preemptible: -ERESTART_HV with *done
 * elements finished. 0 or -errno; per-element status is written into the elements. */
int grant_op(unsigned cmd, gva_t uop, unsigned count, unsigned *done) __must_check;
/* The machine frame of a grant-table page (XENMAPSPACE_grant_table, acquire_resource): grows the table as
 * needed; 0, -EINVAL, -ENOSPC, -ENOMEM, -ERESTART_HV. */
int grant_table_frame(struct domain *d, unsigned index, mfn_t *mfn) __must_check;
/* How many such pages the domain has, and may have. */
unsigned grant_table_frames(const struct domain *d);
unsigned grant_table_frames_max(const struct domain *d);

/* Marks the pages of d that others have mapped writable, or copy to, in its log: what they store is not seen. Of a few grants
 * from *ref on, which grows; true: there are more. */
bool grant_log_mapped(struct domain *d, unsigned *ref) __must_check;

struct grant_look {
	unsigned frames, frames_max, tracks, tracks_max;
	uint64_t entries; /* that may be in use */
};
struct grant_use {
	uint16_t domid; /* the user */
	uint32_t readers, writers;
	uint64_t mfn;
};
/* The size of a domain's table, and one entry of it; false where nobody uses that one. */
struct grant_look grant_look(struct domain *d);
bool grant_look_entry(struct domain *d, unsigned ref, struct grant_use *use);

#endif
