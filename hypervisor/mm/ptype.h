/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Types of frames: taken, given back, and torn down in slices (docs/page-types.md). */
#ifndef MM_PTYPE_H
#define MM_PTYPE_H

#include "mm/frame.h"

struct slice;

/* A writable reference; the caller holds a general one. mapper: whose tables name it. 0 or -EINVAL. */
int type_get_writable_slow(struct frame *f, const struct domain_mm *mapper);
void type_put_plain(struct frame *f); /* writable, descriptors, or none of a read-only shared frame */

/* A hint, without lock or reference: d's frame is about to become t. The flush that this needs happens now
 * rather than under the lock, where other vcpus would wait for it; if the hint is wrong, nothing but a flush
 * is wasted. */
void type_flush_ahead(const struct domain_mm *d, uint64_t mfn, enum ptype t);

/* Tables: under d's lock. type_get_table() takes both references, building the table at first use;
 * 0, -EINVAL, -ERESTART_HV. type_put_table() drops both and may queue the table. type_drain(): 0,
 * -ERESTART_HV. */
int type_get_table(struct domain_mm *d, uint64_t mfn, enum ptype level, struct slice *s);
void type_put_table(struct domain_mm *d, struct frame *f);
int type_drain(struct domain_mm *d, struct slice *s);
/* The same for what a present entry e of table f, of a level above L1, names: a table of the level below, or a valid
 * one of the same level (linear page tables). */
int type_get_entry(struct domain_mm *d, struct frame *f, enum ptype level, uint64_t e, struct slice *s);
void type_put_entry(struct domain_mm *d, struct frame *f, enum ptype level, uint64_t e);
/* Whether a live entry of a table of that level is of the second kind. */
bool type_entry_is_linear(enum ptype level, uint64_t e);
/* An unfinished build of d is undone. */
void type_abandon(struct domain_mm *d, struct frame *f);

/* ---- typed references to what is no page table ---- */
/* PTYPE_WRITABLE or PTYPE_SEGDESC, general reference included. 0; -EINVAL: not d's or of another type; */
/* -EINVAL also where a descriptor in it is refused. Frame owned by d; any lock state below RANK_MMU. */
int frame_get_type(mfn_t mfn, const struct domain_mm *d, enum ptype t) __must_check;
void frame_put_type(mfn_t mfn); /* drops the typed and the general reference */

#endif
