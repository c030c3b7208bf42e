/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables of guests. In direct mode they are the hardware's; of a domain that is shadowed, copies of them are (shadow.h).
 * Either way every entry is validated before it is live. Guest tables become real at two places: where an entry is written
 * (install() in pagetable.c), and where a CR3 is loaded (pv_load_address_space() in pv/address.c, of what pt_root() says;
 * pv/fastpath.S, of what pt_root_ready() said).
 *
 * Preemption: functions that say so return -ERESTART_HV after a bounded amount of work when the CPU has other
 * work; progress is kept in the frame, and the same call continues it.
 */
#ifndef MM_PAGETABLE_H
#define MM_PAGETABLE_H

#include "mm/frame.h"

#define PTE_P      (1ull << 0)
#define PTE_RW     (1ull << 1)
#define PTE_US     (1ull << 2)
#define PTE_PWT    (1ull << 3)
#define PTE_PCD    (1ull << 4)
#define PTE_A      (1ull << 5)
#define PTE_D      (1ull << 6)
#define PTE_PSE    (1ull << 7) /* PAT in an L1 entry */
#define PTE_G      (1ull << 8)
#define PTE_NX     (1ull << 63)
#define PTE_ADDR   0x000ffffffffff000ull
#define PTE_MFN(e) MFN((PTE_ADDR & (e)) >> PAGE_SHIFT)

void domain_mm_init(struct domain_mm *d, uint16_t domid, bool privileged);
/* Preemptible. Unpins and releases every frame; the domain must not run. 0 or -ERESTART_HV. */
int domain_mm_relinquish(struct domain_mm *d) __must_check;

/* ---- tables ---- */
/*
 * Takes a typed reference (and a general one) to a frame as a table of this level, validating it at first
 * use. Preemptible when preemptible is set, otherwise runs through. Caller holds no lock. 0, -EINVAL,
 * -ENOMEM, -ERESTART_HV: call again with the same arguments; a build that nobody continues is undone with the
 * domain.
 */
int pt_get(struct domain_mm *d, mfn_t table, enum ptype level, bool preemptible) __must_check;
/*
 * Drops them; table is INVALID_MFN or a table that the caller holds. A table whose last reference goes is
 * queued for release, and as much of the queue as fits in a slice is worked off (all of it if not
 * preemptible). Always 0: what is left is worked off by pt_drain().
 */
int pt_put(struct domain_mm *d, mfn_t table, bool preemptible) __must_check;
/* -EINVAL: pinned already; -ERESTART_HV */
int pt_pin(struct domain_mm *d, mfn_t table, enum ptype level) __must_check;
int pt_unpin(struct domain_mm *d, mfn_t table) __must_check; /* -EINVAL: not pinned; else 0, like pt_put() */
/* Works off what pt_put(), pt_unpin() and dropped links left. Each call that changes tables begins with it.
 * 0, -ERESTART_HV (preemptible). */
int pt_drain_queue(struct domain_mm *d, bool preemptible) __must_check;
static inline int __must_check pt_drain(struct domain_mm *d, bool preemptible)
{
	return likely(!READ_ONCE(d->release_head)) ? 0 : pt_drain_queue(d, preemptible);
}

enum pt_write { PT_WRITE, PT_WRITE_PRESERVE_AD, PT_CMPXCHG };
/*
 * Writes one entry of a table of d (or, for PT_WRITE where the frame is an ordinary writable one, one word of
 * it): mmu_update, emulated writes. pg_owner owns the frames that new may name (d itself, or another domain
 * that the caller was allowed to name, or NULL for machine memory (DOMID_IO)). PT_CMPXCHG: only if the entry
 * equals *old; otherwise -EAGAIN and *old is what it is. 0, -EINVAL, -EBUSY and -EPERM (as l1e_get()),
 * -EAGAIN, -ERESTART_HV (preemptible at table links: nothing is written yet; a new table is partly
 * validated). Caller holds no lock.
 */
int pt_entry_write(struct domain_mm *d, struct domain_mm *pg_owner, maddr_t entry, uint64_t new,
                   enum pt_write how, uint64_t *old) __must_check;
/*
 * The same for a run of entries (mmu_update): handles requests [0, count) as long as they name entries of
 * validated L1 tables of d, or words of its pages that it can write, and succeed, under one hold of the lock.
 * Returns how many were done; the caller takes the first one that was not to pt_entry_write(), which tells
 * why.
 */
struct pt_request {
	uint64_t ptr, val; /* as struct mmu_update: the command in the low bits of ptr */
};
unsigned pt_entries_write(struct domain_mm *d, struct domain_mm *pg_owner, const struct pt_request *req,
                          unsigned count);
/* update_va_mapping: the L1 entry that maps va under the L4 table l4. No flush. 0, -EINVAL, -EBUSY, -EPERM. */
int pt_va_write(struct domain_mm *d, struct domain_mm *pg_owner, mfn_t l4, gva_t va,
                uint64_t new) __must_check;

struct pt_walk {
	uint64_t e[4];  /* entries read: [0] L1 .. [3] L4; 0 where not reached */
	mfn_t table[4]; /* the tables they stand in */
	int level; /* last level reached that was present and final: 1 (or 2 for a superpage); 0: not mapped */
	bool writable, user; /* all levels */
};
/* Reads the tables as the processor would; takes no reference. */
void pt_walk(mfn_t l4, gva_t va, struct pt_walk *w);
/* The L1 entry that it comes to, or 0. */
uint64_t pt_leaf(mfn_t l4, gva_t va);

/* ---- grants: GNTMAP_host_map at a virtual address or (by_pte) in a given entry. flags: GNTMAP_*.
 * The caller holds the references on the granted frame. Errors are GNTST_*. */
int pt_grant_map(struct domain_mm *d, mfn_t l4, uint64_t host_addr, mfn_t frame, unsigned flags) __must_check;
int pt_grant_unmap(struct domain_mm *d, mfn_t l4, uint64_t host_addr, mfn_t frame, unsigned flags,
                   uint64_t new_addr) __must_check;

#endif
