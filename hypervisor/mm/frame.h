/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames of machine memory: who owns them, how often they are referred to, and as what.
 *
 * Two counts per frame. A general reference keeps the frame with its owner. A typed reference says what the
 * frame is used as; one type at a time, and the type changes only when its count is zero. docs/page-types.md
 * has the state machine; tests/model/ has it in Promela.
 *
 * Locking: both counts change by compare-and-exchange. A frame becomes or ceases to be a page table only
 * under its owner's mm lock; entries of a page table change only under that lock.
 */
#ifndef MM_FRAME_H
#define MM_FRAME_H

#include "lib/list.h"
#include "lib/bits.h"
#include "lib/range.h"
#include "hw/lock.h"
#include "hw/mem.h"
#include "mm/upward.h"
#include <xen/xen.h>

enum ptype {
	PTYPE_NONE,
	PTYPE_L1, /* page tables, validated */
	PTYPE_L2,
	PTYPE_L3,
	PTYPE_L4,
	PTYPE_SEGDESC,  /* segment descriptors: GDT or LDT */
	PTYPE_WRITABLE, /* mapped writable somewhere, or by the hypervisor on behalf of a guest */
};

/* One per frame of RAM. The words are read and changed by mm alone (mm/internal.h has their bits). */
struct frame {
	uint64_t count;             /* allocated bit and general references; atomic */
	uint64_t type;              /* type, state, generation and typed references; atomic */
	struct domain_mm *owner;    /* NULL: the hypervisor's or free; changes only while count is 0 */
	struct list link;           /* in the owner's list (pages_lock), or in a free list (heap lock) */
	struct frame *next_release; /* tables to be released; owner's mm lock */
	uint32_t tlb_stamp;         /* tlb_clock() when the last typed use ended, or when it was freed */
	uint16_t progress;          /* building, releasing: entries that hold references; owner's mm lock */
	int16_t linear;             /* table: entries of its level in it, or (< 0) to it; owner's mm lock */
	uint8_t order;              /* of a free block; heap lock */
	uint8_t flags;              /* FRAME_*: heap lock, or the one who owns the frame */
	uint32_t shadow;            /* table: number of its first shadow, 0: none; that pool's lock */
} __aligned_to(64);

/* What mm knows of a domain. Embedded in struct domain; the layers above use container_of. */
struct domain_mm {
	uint16_t domid;
	bool privileged;  /* may map what no RAM and nobody's is, within its ranges */
	bool dying;       /* its tables are torn down: no new references */
	bool translated;  /* reserved: always false for PV */
	bool l1tf_exempt; /* unsafe entries are nobody's business, or no processor walks its tables; lock */
	spinlock_t lock;  /* RANK_MMU */
	spinlock_t pages_lock; /* RANK_OWNED_PAGES: pages, shared_pages, tot_pages */
	struct list pages;     /* frames that count against max_pages */
	struct list
	        shared_pages; /* hypervisor frames that the guest may map: shared_info, grant table, ... */
	uint64_t tot_pages, max_pages; /* frames; max_pages: heap lock */
	uint64_t shared_count;         /* frames in shared_pages */
	uint64_t transit_pages; /* of tot_pages: counted, but not in pages for the moment; pages_lock */
	uint64_t claimed_pages; /* XENMEM_claim_pages: set aside in the heap */
	struct rangeset iomem;  /* mm_iomem_*(); pages_lock */
	cpumask_t dirty_cpus;   /* CPUs whose TLB may hold this domain's translations; set at switch-in */
	uint64_t l4_generation; /* changes with each L4 entry, never comes again: copies follow it; lock */
	bool linear_tables;     /* has or had a linear entry of any level; lock */
	bool linear_l4;         /* and of L4: CPUs run on copies (mm/l4copy.c); lock, never cleared */
	bool l4_copied;         /* that, or the layer above uses copies of its own (xpti) */
	bool pat_used;
	/* mm/dirtylog.h, mm/shadow.h. Once made they stay until the end; switched while no vcpu runs, but see shadow_force() */
	struct dirty_log *log;
	struct shadow *shadow;
	bool logged;
	bool shadowed;        /* lock */
	bool shadows_forever; /* lock */
	/* per-domain window (L4 slot 260) */
	mfn_t perdomain_l3;
	void *perdomain_private;
	struct memory_region *map; /* XENMEM_memory_map's answer, or NULL; lock */
	unsigned map_count;
	struct frame *release_head; /* tables whose references are being given back; lock */
	/* teardown: phase and frames left to visit in it; only the one that destroys the domain */
	unsigned relinquish_phase;
	uint64_t relinquish_left;
};

/* ---- translation between frame numbers and struct frame ---- */
struct frame *mfn_frame(mfn_t mfn); /* only for mfn_is_ram() frames */
mfn_t frame_mfn(const struct frame *f);
bool mfn_is_ram(mfn_t mfn); /* described by the frame table; guests may own it or not */

/*
 * A guest's frame, for the hypervisor to write to behind the guest's tables: what it shares with the guest, grants, contents.
 * All such writes begin here (mfn_map() is const), and end with frame_written() (mm/dirtylog.h). A page that stays mapped
 * (shared_info, vcpu_info, grant tables) may change at any time.
 */
static inline void *frame_map_to_write(mfn_t mfn)
{
	return mfn_map_own(mfn);
}

/* ---- frames of the hypervisor's own that dom0 may map, by DOMID_XEN ---- */
/* Their owner: the machine-to-physical table is its, and what else is shared with dom0. It lives for ever and
 * has no tables of its own. */
extern struct domain_mm xen_mm;
/* n frames become its permanently. Read-only ones nobody ever maps writable. They are the hypervisor's and
 * zero-count: fresh from boot_alloc() or heap_alloc(). */
void frames_share_with_dom0(mfn_t first, uint64_t n, bool writable);

/* ---- general references ---- */
/* Takes one if the frame is RAM, allocated and owned by d. False otherwise; nothing changed. */
bool frame_get(mfn_t mfn, const struct domain_mm *d) __must_check;
void frame_put(mfn_t mfn); /* the last one frees the frame into the heap */
/* Whether the frame is d's and an L1 table now (a store to it may be worth emulating); may change at once. */
bool frame_is_l1_table(mfn_t mfn, const struct domain_mm *d);
/* Current owner, without a reference: may change at once unless one is held. */
struct domain_mm *frame_owner(mfn_t mfn);

/* What d's frame is in use as now, and whether the guest pinned it; the caller holds a reference. */
enum ptype frame_type(mfn_t mfn, bool *pinned);

/* ---- M2P ---- */
#define M2P_INVALID (~0ull)
void m2p_set(mfn_t mfn, uint64_t pfn);
uint64_t m2p_get(mfn_t mfn);

void frame_free(struct frame *f); /* the last general reference went */
/* Drops the owner's own reference of a frame that the caller holds another one of: 0, or -EINVAL: it was dropped before. */
int frame_release(struct frame *f) __must_check;

/* 2^order zeroed frames for a domain, counted against max_pages, M2P set to invalid; the domain's own general
 * reference is part of it (dropped by domain_frame_release()). 0, -ENOMEM, -E2BIG over max_pages. */
int domain_frame_alloc(struct domain_mm *d, unsigned order, unsigned flags, mfn_t *first) __must_check;
/* The same, and the M2P says that they hold pfn and those that follow. */
int domain_frame_populate(struct domain_mm *d, unsigned order, unsigned flags, uint64_t pfn,
                          mfn_t *first) __must_check;
/* The domain gives a frame back (decrease_reservation): 0, -EINVAL not its own. Freed when the last reference goes. */
int domain_frame_release(struct domain_mm *d, mfn_t mfn) __must_check;
/*
 * XENMEM_exchange and GNTTABOP_transfer. Each domain counts what it has room for: domain_frame_steal() takes a
 * frame away without freeing it (-EINVAL when it is referenced or typed, or the domain dies), and the room stays;
 * domain_frame_reserve() makes room for one (-E2BIG over max_pages, -EINVAL). Then either a frame without owner
 * comes into the room, which cannot fail whatever becomes of max_pages (domain_frame_return()), or the room is
 * given up (domain_frame_forget()). A domain that dies waits for that.
 */
int domain_frame_steal(struct domain_mm *d, mfn_t mfn) __must_check;
int domain_frame_reserve(struct domain_mm *d) __must_check;
void domain_frame_return(struct domain_mm *d, mfn_t mfn);
void domain_frame_forget(struct domain_mm *d);

/* A zeroed hypervisor frame that the guest may map (writable or read-only): shared_info, grant frames.
 * Freed when the hypervisor's reference (share_free) and all of the guest's mappings are gone. */
mfn_t share_alloc(struct domain_mm *d, bool writable);
void share_free(mfn_t mfn);

#endif
