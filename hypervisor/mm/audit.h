/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All counts and types, counted again. */
#ifndef MM_AUDIT_H
#define MM_AUDIT_H

#include "mm/frame.h"
#include "lib/types.h"

/*
 * Recounts all references of the given domains from scratch and compares. Table references must agree
 * exactly; of general and writable references layers above hold some that mm does not know (grants,
 * vcpu_info), so those must not be fewer than the tables need; exact: they must agree too. Panics with the
 * frame on a difference in debug builds, and returns the number of differences otherwise (-1: no memory for
 * the recount). All domains that could map a frame of these are among them and paused; roots: what their
 * vcpus hold.
 */
struct audit_root {
	struct domain_mm *d;
	mfn_t l4[2]; /* kernel, user; INVALID_MFN where none */
};
int mm_audit(struct domain_mm *const *domains, unsigned domain_count, const struct audit_root *roots,
             unsigned root_count, bool exact) __must_check;

#endif
