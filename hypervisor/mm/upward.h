/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that mm/ calls of higher layers; tests/lint/layers.py compares this list with the objects' symbols. */
#ifndef MM_UPWARD_H
#define MM_UPWARD_H

struct domain_mm;

/* dom/domain.c: d's first frame appeared, d's last frame is gone; in between struct domain_mm must exist, since frames
 * name it. Called with locks up to RANK_MMU (also of other domains) held: the drop may free the domain only later. */
void mm_owner_hold(struct domain_mm *d);
void mm_owner_drop(struct domain_mm *d);
/* dom/domain.c: the guest broke its contract (domain_crash()); any lock below RANK_HEAP may be held. */
void mm_domain_crash(struct domain_mm *d, const char *reason);

#endif
