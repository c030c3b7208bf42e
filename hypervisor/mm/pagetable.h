/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables of guests in direct mode: the guest's tables are the hardware's. Every entry is validated
 * before it is live. This interface is the seam for shadow paging: entry writes and CR3 loads go through here.
 *
 * Preemption: functions that say so return -ERESTART_HV after a bounded amount of work when the CPU has other
 * work; progress is kept in the frame, and the same call continues it.
 */
#ifndef MM_PAGETABLE_H
#define MM_PAGETABLE_H

#include "mm/frame.h"

#define PTE_P	   (1ull << 0)
#define PTE_RW	   (1ull << 1)
#define PTE_US	   (1ull << 2)
#define PTE_PWT	   (1ull << 3)
#define PTE_PCD	   (1ull << 4)
#define PTE_A	   (1ull << 5)
#define PTE_D	   (1ull << 6)
#define PTE_PSE	   (1ull << 7) /* PAT in an L1 entry */
#define PTE_G	   (1ull << 8)
#define PTE_NX	   (1ull << 63)
#define PTE_ADDR   0x000ffffffffff000ull
#define PTE_MFN(e) MFN(((e)&PTE_ADDR) >> PAGE_SHIFT)

struct mm_init_info; /* boot */

void domain_mm_init(struct domain_mm *d, uint16_t domid, bool privileged);
/* Preemptible. Unpins and releases every frame; the domain must not run. 0 or -ERESTART_HV. */
int domain_mm_relinquish(struct domain_mm *d) __must_check;
void domain_mm_destroy(struct domain_mm *d); /* after relinquish and the last reference */

/* ---- tables ---- */
/* Takes a typed reference (and a general one) to a frame as a table of this level, validating it at first use.
 * Preemptible when preemptible is set, otherwise runs through. Caller holds no lock. 0, -EINVAL, -ERESTART_HV. */
int pt_get(struct domain_mm *d, mfn_t table, enum ptype level, bool preemptible) __must_check;
int pt_put(struct domain_mm *d, mfn_t table, bool preemptible) __must_check;
int pt_pin(struct domain_mm *d, mfn_t table, enum ptype level) __must_check;   /* -EINVAL: pinned already */
int pt_unpin(struct domain_mm *d, mfn_t table) __must_check;		       /* preemptible */

enum pt_write { PT_WRITE, PT_WRITE_PRESERVE_AD, PT_CMPXCHG };
/*
 * Writes one entry of a table of d (or, for PT_WRITE where the frame is an ordinary writable one, one word of it):
 * mmu_update, emulated writes. pg_owner owns the frames that new may name (d itself, or another domain that the
 * caller was allowed to name, or NULL for machine memory (DOMID_IO)). PT_CMPXCHG: only if the entry equals *old;
 * otherwise -EAGAIN and *old is what it is. 0, -EINVAL, -EAGAIN, -ERESTART_HV (preemptible at table links).
 */
int pt_entry_write(struct domain_mm *d, struct domain_mm *pg_owner, maddr_t entry, uint64_t new, enum pt_write how,
		   uint64_t *old) __must_check;
/* update_va_mapping: the L1 entry that maps va under the L4 table l4. No flush. 0, -EINVAL. */
int pt_va_write(struct domain_mm *d, struct domain_mm *pg_owner, mfn_t l4, gva_t va, uint64_t new) __must_check;

struct pt_walk {
	uint64_t e[4];	    /* entries read: [0] L1 .. [3] L4; 0 where not reached */
	mfn_t table[4];	    /* the tables they stand in */
	int level;	    /* last level reached that was present and final: 1 (or 2 for a superpage); 0: not mapped */
	bool writable, user; /* all levels */
};
/* Reads the tables as the processor would; takes no reference. */
void pt_walk(mfn_t l4, gva_t va, struct pt_walk *w);

/* ---- grants: GNTMAP_host_map at a virtual address or (by_pte) in a given entry. flags: GNTMAP_*.
 * The caller holds the references on the granted frame. Errors are GNTST_*. */
int pt_grant_map(struct domain_mm *d, mfn_t l4, uint64_t host_addr, mfn_t frame, unsigned flags) __must_check;
int pt_grant_unmap(struct domain_mm *d, mfn_t l4, uint64_t host_addr, mfn_t frame, unsigned flags,
		   uint64_t new_addr) __must_check;

/* ---- hypervisor's part of the address space ---- */
mfn_t pt_idle_l4(void); /* the hypervisor's own tables */
/* Writes the hypervisor's slots into a frame that becomes an L4 of d. */
void pt_fill_hv_slots(struct domain_mm *d, uint64_t *l4);
/* The per-domain window: page 0..31 of one vcpu (hw/layout.h). mfn INVALID_MFN unmaps. No flush. */
int perdomain_map(struct domain_mm *d, unsigned vcpu, unsigned page, mfn_t mfn, bool writable) __must_check;
mfn_t perdomain_lookup(struct domain_mm *d, unsigned vcpu, unsigned page);

/* Recounts all references of all domains from scratch and compares; panics with the frame on a difference in
 * debug builds and returns the number of differences otherwise. domains: NULL-terminated array; each with the
 * table roots its vcpus use. All of them paused. */
struct audit_root {
	struct domain_mm *d;
	mfn_t l4[2]; /* kernel, user; INVALID_MFN where none */
};
unsigned mm_audit(const struct audit_root *roots, unsigned count);

#endif
