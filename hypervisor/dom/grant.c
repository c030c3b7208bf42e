/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Grant tables, version 1.
 *
 * The granting domain's table holds, for each entry in use, a struct active: who uses it, which frame it was
 * when the first use began, and how many uses there are (pins). Each pin holds its own reference to the frame
 * (typed as writable if it may write), taken before anything is mapped and dropped after the translation is
 * gone from all TLBs. The using domain's table holds a track per mapping, and a reference to the granting
 * domain.
 *
 *   entry free -> pinned (status bits set in the guest's entry by compare-and-exchange) -> ... -> free (cleared)
 *
 * The guest's entries are memory that it may change at any time: flags and domain are read and updated in one
 * compare-and-exchange, the frame number once, under the pin.
 *
 * Locks: each table's lock (RANK_GRANT) guards its entries' pins and its tracks. No two are held at once: the
 * using side claims its track first, then the granting side is worked on.
 */
#include "dom/grant.h"
#include "dom/domtable.h"
#include "hw/smp.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/dirtylog.h"
#include "mm/heap.h"
#include "mm/pagetable.h"
#include "hw/mem.h"
#include "hw/tlb.h"
#include "hw/trace.h"
#include "hw/uaccess.h"
#include "mm/ptype.h"

#define ENTRIES_PER_FRAME (PAGE_SIZE / sizeof(grant_entry_v1_t))
#define TRACKS_PER_CHUNK  256
#define UNMAP_BATCH       32
#define GROW_FRAMES       8 /* of a table between looks at work_pending(); each takes 16 KiB */
#define TRACK_NONE        (~0u)

struct active {
	uint32_t readers, writers; /* pins */
	mfn_t frame;
	uint16_t domid; /* the user */
};

/* flags of a track: GNTMAP_host_map, _device_map, _readonly, _contains_pte, and the two of ours */
#define TRACK_USED (1u << 14)
#define TRACK_BUSY (1u << 15) /* an unmap works on it */

struct track {
	struct domain *d; /* who granted, with a reference */
	uint32_t ref;     /* or the next free track */
	uint16_t flags;   /* 0: free */
};

struct grant_table {
	spinlock_t lock;
	bool dying;
	unsigned frame_count, frame_max;
	mfn_t frame[GRANT_FRAMES_MAX];
	struct active *active[GRANT_FRAMES_MAX]; /* [ENTRIES_PER_FRAME] each */
	unsigned track_count, track_max;         /* tracks that exist, and may */
	uint32_t track_free;                     /* list through .ref */
	uint32_t destroy_cursor;
	struct track *tracks[GRANT_TRACK_FRAMES_MAX];
};

/* ---- entries ---- */

static uint64_t entry_count(const struct grant_table *t)
{
	return t->frame_count * ENTRIES_PER_FRAME;
}

/* ref is below entry_count(). Table locked. */
static grant_entry_v1_t *entry_of(const struct grant_table *t, unsigned ref)
{
	grant_entry_v1_t *page = frame_map_to_write(t->frame[ref / ENTRIES_PER_FRAME]);

	return &page[ref % ENTRIES_PER_FRAME];
}

static struct active *active_of(const struct grant_table *t, unsigned ref)
{
	return &t->active[ref / ENTRIES_PER_FRAME][ref % ENTRIES_PER_FRAME];
}

/* flags and domid of an entry as the one word that is exchanged. */
static uint32_t *entry_word(grant_entry_v1_t *e)
{
	return (uint32_t *)(void *)e;
}

#define WORD_FLAGS(w) ((uint16_t)(w))
#define WORD_DOMID(w) ((uint16_t)((w) >> 16))

static void entry_clear_flags(grant_entry_v1_t *e, uint16_t flags)
{
	__atomic_fetch_and(&e->flags, (uint16_t)~flags, __ATOMIC_SEQ_CST);
}

/* Makes the table at least count frames long. Table locked. 0, -ENOSPC, -ENOMEM. */
static int table_grow(struct domain *d, unsigned count)
{
	struct grant_table *t = d->grant;

	if (count > t->frame_max || t->dying)
		return -ENOSPC;
	while (t->frame_count < count) {
		unsigned i = t->frame_count;

		if (!t->active[i])
			t->active[i] = hv_alloc(ENTRIES_PER_FRAME * sizeof(struct active));
		if (!t->active[i])
			return -ENOMEM;
		t->frame[i] = share_alloc(&d->mm, true);
		if (mfn_eq(t->frame[i], INVALID_MFN))
			return -ENOMEM;
		t->frame_count++;
	}
	return 0;
}

/* The same in slices, and without the lock in between: 0, -ENOSPC, -ENOMEM, -ERESTART_HV. */
static int table_grow_slices(struct domain *d, unsigned count)
{
	struct grant_table *t = d->grant;
	int rc;

	for (;;) {
		unsigned have;

		spin_lock(&t->lock);
		have = t->frame_count;
		rc = count > t->frame_max ? -ENOSPC : table_grow(d, MIN(count, have + GROW_FRAMES));
		spin_unlock(&t->lock);
		if (rc || count <= have + GROW_FRAMES)
			return rc;
		if (work_pending())
			return -ERESTART_HV;
	}
}

int grant_table_frame(struct domain *d, unsigned index, mfn_t *mfn)
{
	struct grant_table *t = d->grant;
	int rc;

	if (index >= t->frame_max)
		return -EINVAL;
	index = (unsigned)index_nospec(index, GRANT_FRAMES_MAX);
	rc = table_grow_slices(d, index + 1);
	if (rc)
		return rc;
	spin_lock(&t->lock);
	rc = table_grow(d, index + 1); /* nothing to do, unless the domain has died */
	if (!rc)
		*mfn = t->frame[index];
	spin_unlock(&t->lock);
	return rc;
}

unsigned grant_table_frames(const struct domain *d)
{
	return READ_ONCE(d->grant->frame_count);
}

unsigned grant_table_frames_max(const struct domain *d)
{
	return d->grant->frame_max;
}

/* ---- pins ---- */

/* Marks the guest's entry as used by user, if it permits that. Table locked. GNTST_*. */
static int entry_mark(grant_entry_v1_t *e, uint16_t user, bool write)
{
	uint32_t *word = entry_word(e), old = READ_ONCE(*word), new;

	/* A guest that keeps changing the entry gets an error, not our time. */
	for (int tries = 0; tries < 5; tries++) {
		if ((WORD_FLAGS(old) & GTF_type_mask) != GTF_permit_access || WORD_DOMID(old) != user)
			return GNTST_general_error;
		if (write && (WORD_FLAGS(old) & GTF_readonly))
			return GNTST_general_error;
		new = old | GTF_reading | (write ? GTF_writing : 0);
		if (__atomic_compare_exchange_n(word, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return GNTST_okay;
	}
	return GNTST_general_error; /* as Xen: after GNTST_eagain Linux sleeps, and asks again for half a minute */
}

/* Clears the status bits that no pin stands for any more. Table locked. */
static void entry_unmark(struct grant_table *t, unsigned ref, const struct active *a)
{
	grant_entry_v1_t *e;

	if (ref >= entry_count(t)) /* given up: the domain is dead */
		return;
	e = entry_of(t, ref);
	if (!a->writers)
		entry_clear_flags(e, GTF_writing);
	if (!a->writers && !a->readers)
		entry_clear_flags(e, GTF_reading);
}

/* A reference to d's frame, typed as writable for write. GNTST_bad_page: it is not d's; GNTST_general_error: it is in
 * another use. */
static int frame_hold(mfn_t frame, const struct domain_mm *d, bool write)
{
	int rc = GNTST_okay;

	if (!frame_get(frame, d))
		return GNTST_bad_page;
	if (!write)
		return GNTST_okay;
	if (frame_get_type(frame, d, PTYPE_WRITABLE))
		rc = GNTST_general_error;
	frame_put(frame);
	return rc;
}

/* One more use of entry ref of rd by user. *frame holds a reference (typed as writable for write). GNTST_*. */
static int grant_pin(struct domain *rd, unsigned ref, uint16_t user, bool write, mfn_t *frame)
{
	struct grant_table *t = rd->grant;
	struct active *a;
	grant_entry_v1_t *e;
	int rc;

	spin_lock(&t->lock);
	if (ref >= entry_count(t) || t->dying) {
		spin_unlock(&t->lock);
		/* The first page is there from the beginning, as far as anybody can tell, and its entries are free. */
		return ref < ENTRIES_PER_FRAME ? GNTST_general_error : GNTST_bad_gntref;
	}
	ref = (unsigned)index_nospec(ref, entry_count(t));
	a = active_of(t, ref);
	e = entry_of(t, ref);
	if ((a->readers || a->writers) && a->domid != user)
		rc = GNTST_general_error;
	else if (a->readers == UINT32_MAX || a->writers == UINT32_MAX)
		rc = GNTST_no_space;
	else
		rc = entry_mark(e, user, write);
	if (rc == GNTST_okay) {
		if (!a->readers && !a->writers) {
			a->frame = MFN(READ_ONCE(e->frame));
			a->domid = user;
		}
		rc = frame_hold(a->frame, &rd->mm, write);
		if (rc != GNTST_okay)
			entry_unmark(t, ref, a);
	}
	if (rc == GNTST_okay) {
		if (write)
			a->writers++;
		else
			a->readers++;
		*frame = a->frame;
	}
	spin_unlock(&t->lock);
	return rc;
}

static void grant_unpin(struct domain *rd, unsigned ref, bool write)
{
	struct grant_table *t = rd->grant;
	struct active *a;
	mfn_t frame;

	spin_lock(&t->lock);
	a = active_of(t, ref);
	frame = a->frame;
	if (write)
		a->writers--;
	else
		a->readers--;
	/* First the reference: a granter that sees the entry free may use the page as anything at once. */
	if (write) {
		frame_written(frame);
		frame_put_type(frame);
	} else {
		frame_put(frame);
	}
	entry_unmark(t, ref, a);
	spin_unlock(&t->lock);
}

/* ---- tracks ---- */

static struct track *track_of(const struct grant_table *t, uint32_t handle)
{
	return &t->tracks[handle / TRACKS_PER_CHUNK][handle % TRACKS_PER_CHUNK];
}

/* A track of this domain's own for a mapping to come, or TRACK_NONE. */
static uint32_t track_alloc(struct grant_table *t, struct domain *rd, uint32_t ref, uint16_t flags)
{
	uint32_t handle;
	struct track *k;

	spin_lock(&t->lock);
	if (t->track_free == TRACK_NONE && t->track_count + TRACKS_PER_CHUNK <= t->track_max) {
		struct track *chunk = hv_alloc(TRACKS_PER_CHUNK * sizeof(*chunk));

		if (chunk) {
			t->tracks[t->track_count / TRACKS_PER_CHUNK] = chunk;
			for (unsigned i = 0; i < TRACKS_PER_CHUNK; i++)
				chunk[i].ref = i + 1 < TRACKS_PER_CHUNK ? t->track_count + i + 1 : TRACK_NONE;
			t->track_free = t->track_count;
			t->track_count += TRACKS_PER_CHUNK;
		}
	}
	handle = t->dying ? TRACK_NONE : t->track_free;
	if (handle != TRACK_NONE) {
		k = track_of(t, handle);
		t->track_free = k->ref;
		domain_ref(rd);
		*k = (struct track){ .d = rd,
			             .ref = ref,
			             .flags = (uint16_t)(flags | TRACK_USED | TRACK_BUSY) };
	}
	spin_unlock(&t->lock);
	return handle;
}

static void track_free(struct grant_table *t, uint32_t handle)
{
	struct track *k;
	struct domain *rd;

	spin_lock(&t->lock);
	k = track_of(t, handle);
	rd = k->d;
	*k = (struct track){ .ref = t->track_free };
	t->track_free = handle;
	spin_unlock(&t->lock);
	domain_put(rd);
}

/* Claims the track of a mapping for an unmap: nobody else gets it until it is set ready or freed. */
static bool track_claim(struct grant_table *t, uint32_t handle, struct track *copy)
{
	struct track *k;
	bool ok = false;

	spin_lock(&t->lock);
	if (handle < t->track_count) {
		handle = (uint32_t)index_nospec(handle, t->track_count);
		k = track_of(t, handle);
		if ((k->flags & (TRACK_USED | TRACK_BUSY)) == TRACK_USED) {
			k->flags |= TRACK_BUSY;
			*copy = *k;
			ok = true;
		}
	}
	spin_unlock(&t->lock);
	return ok;
}

static void track_ready(struct grant_table *t, uint32_t handle, uint16_t flags)
{
	spin_lock(&t->lock);
	track_of(t, handle)->flags = (uint16_t)((flags | TRACK_USED) & ~TRACK_BUSY);
	spin_unlock(&t->lock);
}

/* ---- map ---- */

static void map_one(struct gnttab_map_grant_ref *op)
{
	struct domain *ld = current_domain(), *rd;
	struct grant_table *lt = ld->grant;
	bool write = !(op->flags & GNTMAP_readonly);
	uint32_t handle;
	mfn_t frame;
	int rc;

	/* Device mappings are for an IOMMU; there is none, a machine address is one for devices too. Application mappings
	 * (the kernel's gntdev asks for them) are no others: a guest's kernel and its user run in the same ring. */
	if (!(op->flags & (GNTMAP_host_map | GNTMAP_device_map))) {
		op->status = GNTST_bad_gntref;
		return;
	}
	rd = domain_get(op->dom); /* by its number: DOMID_SELF is nobody here */
	if (!rd) {
		op->status = GNTST_bad_domain;
		return;
	}
	handle = track_alloc(
	        lt, rd, op->ref,
	        op->flags & (GNTMAP_host_map | GNTMAP_device_map | GNTMAP_readonly | GNTMAP_contains_pte));
	if (handle == TRACK_NONE) {
		op->status = GNTST_no_device_space;
		domain_put(rd);
		return;
	}
	rc = grant_pin(rd, op->ref, ld->domid, write, &frame);
	if (rc == GNTST_okay && (op->flags & GNTMAP_host_map)) {
		rc = pt_grant_map(&ld->mm, current_vcpu()->l4_kernel, op->host_addr, frame, op->flags);
		if (rc != GNTST_okay)
			grant_unpin(rd, op->ref, write);
	}
	if (rc == GNTST_okay) {
		TRACE(TRC_MEM_PAGE_GRANT_MAP, rd->domid);
		op->dev_bus_addr = mfn_to_maddr(frame).a;
		op->handle = handle;
		track_ready(lt, handle,
		            op->flags & (GNTMAP_host_map | GNTMAP_device_map | GNTMAP_readonly |
		                         GNTMAP_contains_pte));
	} else {
		track_free(lt, handle);
	}
	op->status = (int16_t)rc;
	domain_put(rd);
}

/* ---- unmap ---- */

/* One element on its way: claimed, translations removed but perhaps still in a TLB. */
struct unmapping {
	uint32_t handle;
	struct track track;
	uint16_t flags_left; /* kinds of mapping that remain */
	bool pending;
};

/* First half. new_addr: for unmap_and_replace, else 0. GNTST_*. */
static int unmap_begin(struct unmapping *u, uint32_t handle, uint64_t host_addr, uint64_t dev_bus_addr,
                       uint64_t new_addr)
{
	struct domain *ld = current_domain();
	struct grant_table *rt;
	mfn_t frame;
	int rc = GNTST_okay;

	u->pending = false;
	u->handle = handle;
	if (!track_claim(ld->grant, handle, &u->track))
		return GNTST_bad_handle;
	TRACE(TRC_MEM_PAGE_GRANT_UNMAP, u->track.d->domid);
	u->flags_left = u->track.flags &
	                (GNTMAP_host_map | GNTMAP_device_map | GNTMAP_readonly | GNTMAP_contains_pte);
	rt = u->track.d->grant;
	spin_lock(&rt->lock);
	frame = active_of(rt, u->track.ref)->frame;
	spin_unlock(&rt->lock);
	if (dev_bus_addr && (u->flags_left & GNTMAP_device_map)) {
		if (dev_bus_addr != mfn_to_maddr(frame).a)
			rc = GNTST_bad_dev_addr;
		else
			u->flags_left &= (uint16_t)~GNTMAP_device_map;
	}
	if (rc == GNTST_okay && host_addr && (u->flags_left & GNTMAP_host_map)) {
		rc = pt_grant_unmap(&ld->mm, current_vcpu()->l4_kernel, host_addr, frame, u->track.flags,
		                    new_addr);
		if (rc == GNTST_okay)
			u->flags_left &= (uint16_t)~GNTMAP_host_map;
	}
	u->pending = true;
	return rc;
}

/* Second half, after the flush: drops the pin when no mapping is left. */
static void unmap_end(struct unmapping *u)
{
	struct grant_table *lt = current_domain()->grant;

	if (!u->pending)
		return;
	if (u->flags_left & (GNTMAP_host_map | GNTMAP_device_map)) {
		track_ready(lt, u->handle, u->flags_left);
		return;
	}
	grant_unpin(u->track.d, u->track.ref, !(u->track.flags & GNTMAP_readonly));
	track_free(lt, u->handle);
}

static void flush_own(void)
{
	tlb_flush(&current_domain()->mm.dirty_cpus);
}

/* ---- copy ---- */

struct copy_side {
	struct domain *d;
	mfn_t frame;
	bool granted, write, held;
	unsigned ref;
};

/* The side's domain has been found. */
static int copy_acquire(struct copy_side *s, const struct gnttab_copy_ptr *p, bool granted, bool write)
{
	int rc;

	s->granted = granted;
	s->write = write;
	if (!granted && p->domid != DOMID_SELF)
		return GNTST_permission_denied;
	if (granted) {
		rc = grant_pin(s->d, p->u.ref, current_domain()->domid, write, &s->frame);
		s->ref = p->u.ref;
		s->held = rc == GNTST_okay;
		return rc;
	}
	s->frame = MFN(p->u.gmfn);
	rc = frame_hold(s->frame, &s->d->mm, write);
	s->held = rc == GNTST_okay;
	return rc;
}

static void copy_release(struct copy_side *s)
{
	if (s->held && s->granted)
		grant_unpin(s->d, s->ref, s->write);
	else if (s->held && s->write)
		frame_put_type(s->frame);
	else if (s->held)
		frame_put(s->frame);
	if (s->d)
		domain_put(s->d);
}

static void copy_one(struct gnttab_copy *op)
{
	struct copy_side src = { 0 }, dst = { 0 };
	int rc;

	if (op->source.offset > PAGE_SIZE || op->dest.offset > PAGE_SIZE ||
	    op->source.offset + (unsigned)op->len > PAGE_SIZE ||
	    op->dest.offset + (unsigned)op->len > PAGE_SIZE) {
		op->status = GNTST_bad_copy_arg;
		return;
	}
	src.d = domain_get_self_or(op->source.domid);
	dst.d = domain_get_self_or(op->dest.domid);
	rc = src.d && dst.d ? GNTST_okay : GNTST_bad_domain;
	if (rc == GNTST_okay)
		rc = copy_acquire(&src, &op->source, op->flags & GNTCOPY_source_gref, false);
	if (rc == GNTST_okay)
		rc = copy_acquire(&dst, &op->dest, op->flags & GNTCOPY_dest_gref, true);
	if (rc == GNTST_okay)
		memmove((char *)frame_map_to_write(dst.frame) + op->dest.offset,
		        (const char *)mfn_map(src.frame) + op->source.offset, op->len);
	if (rc == GNTST_okay)
		frame_written(dst.frame);
	copy_release(&dst);
	copy_release(&src);
	op->status = (int16_t)rc;
}

/* ---- transfer ---- */

/* Claims an accept_transfer entry of rd. *pfn: where the frame shall be. GNTST_*. */
static int transfer_accept(struct domain *rd, unsigned ref, uint32_t *pfn)
{
	struct grant_table *t = rd->grant;
	int rc = GNTST_bad_gntref;

	spin_lock(&t->lock);
	if (ref < entry_count(t) && !t->dying) {
		grant_entry_v1_t *e = entry_of(t, (unsigned)index_nospec(ref, entry_count(t)));
		uint32_t *word = entry_word(e), old = READ_ONCE(*word);

		rc = GNTST_general_error;
		for (int tries = 0; tries < 5 && rc != GNTST_okay; tries++) {
			if (WORD_FLAGS(old) != GTF_accept_transfer ||
			    WORD_DOMID(old) != current_domain()->domid)
				break;
			if (__atomic_compare_exchange_n(word, &old, old | GTF_transfer_committed, false,
			                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
				rc = GNTST_okay;
		}
		*pfn = READ_ONCE(e->frame);
	}
	spin_unlock(&t->lock);
	return rc;
}

static void transfer_complete(struct domain *rd, unsigned ref, mfn_t mfn)
{
	struct grant_table *t = rd->grant;

	spin_lock(&t->lock);
	if (ref < entry_count(t)) {
		grant_entry_v1_t *e = entry_of(t, ref);

		WRITE_ONCE(e->frame, (uint32_t)mfn.m);
		__atomic_fetch_or(&e->flags, GTF_transfer_completed, __ATOMIC_SEQ_CST);
	}
	spin_unlock(&t->lock);
}

static void transfer_one(struct gnttab_transfer *op)
{
	struct domain *ld = current_domain(), *rd;
	mfn_t mfn = MFN(op->mfn);
	uint32_t pfn = 0;

	if (domain_frame_steal(&ld->mm, mfn)) {
		op->status = GNTST_bad_page;
		return;
	}
	rd = domain_get(op->domid);
	op->status = GNTST_bad_domain;
	if (rd && rd != ld) {
		/* Room first: an entry that is committed has to be completed. */
		if (domain_frame_reserve(&rd->mm)) {
			op->status = GNTST_address_too_big;
		} else {
			op->status = (int16_t)transfer_accept(rd, op->ref, &pfn);
			if (op->status != GNTST_okay)
				domain_frame_forget(&rd->mm);
		}
	}
	if (op->status == GNTST_okay) {
		TRACE(TRC_MEM_PAGE_GRANT_TRANSFER, rd->domid);
		/* While it is nobody's: the M2P is the new owner's to read, and may be a third one's soon. */
		m2p_set(mfn, pfn);
		domain_frame_return(&rd->mm, mfn);
		domain_frame_forget(&ld->mm);
		transfer_complete(rd, op->ref, mfn);
	} else {
		domain_frame_return(&ld->mm, mfn);
	}
	if (rd)
		domain_put(rd);
}

/* ---- the table itself ---- */

/* A domain whose table the caller may ask about: its own, or for dom0 any. 0 or GNTST_*. */
static int table_owner(uint16_t domid, struct domain **d)
{
	*d = domain_get_self_or(domid);
	if (!*d)
		return GNTST_bad_domain;
	if (*d == current_domain() || current_domain()->privileged)
		return GNTST_okay;
	domain_put(*d);
	return GNTST_permission_denied;
}

static int setup_table(gva_t uop)
{
	struct gnttab_setup_table op;
	struct domain *d;

	if (guest_copy_in(&op, uop, sizeof(op)))
		return -EFAULT;
	op.status = (int16_t)table_owner(op.dom, &d);
	if (op.status == GNTST_okay) {
		struct grant_table *t = d->grant;
		int rc = table_grow_slices(d, op.nr_frames);

		if (rc == -ERESTART_HV) {
			domain_put(d);
			return rc;
		}
		if (rc)
			op.status = GNTST_general_error;
		for (unsigned i = 0; i < op.nr_frames && op.status == GNTST_okay; i++) {
			xen_pfn_t gmfn = t->frame[index_nospec(i, GRANT_FRAMES_MAX)].m;

			if (copy_to_handle(op.frame_list, i, &gmfn, 1))
				op.status = GNTST_bad_virt_addr;
		}
		domain_put(d);
	}
	return guest_copy_out(uop, &op, sizeof(op)) ? -EFAULT : 0;
}

static int query_size(gva_t uop)
{
	struct gnttab_query_size op;
	struct domain *d;

	if (guest_copy_in(&op, uop, sizeof(op)))
		return -EFAULT;
	op.status = (int16_t)table_owner(op.dom, &d);
	if (op.status == GNTST_okay) {
		op.nr_frames = READ_ONCE(d->grant->frame_count);
		op.max_nr_frames = d->grant->frame_max;
		domain_put(d);
	}
	return guest_copy_out(uop, &op, sizeof(op)) ? -EFAULT : 0;
}

static int get_version(gva_t uop)
{
	struct gnttab_get_version op;
	struct domain *d;
	int rc;

	if (guest_copy_in(&op, uop, sizeof(op)))
		return -EFAULT;
	rc = table_owner(op.dom, &d);
	if (rc != GNTST_okay)
		return rc == GNTST_bad_domain ? -ESRCH : -EPERM;
	op.version = 1;
	domain_put(d);
	return guest_copy_out(uop, &op, sizeof(op)) ? -EFAULT : 0;
}

/* The status frames of version 2: of a table of version 1 there are none to ask for. */
static int get_status_frames(gva_t uop)
{
	struct gnttab_get_status_frames op;
	struct domain *d;

	if (guest_copy_in(&op, uop, sizeof(op)))
		return -EFAULT;
	op.status = (int16_t)table_owner(op.dom, &d);
	if (op.status == GNTST_okay) {
		if (op.nr_frames)
			op.status = GNTST_general_error;
		domain_put(d);
	}
	return guest_copy_out(uop, &op, sizeof(op)) ? -EFAULT : 0;
}

static int set_version(gva_t uop)
{
	struct gnttab_set_version op;
	int rc;

	if (guest_copy_in(&op, uop, sizeof(op)))
		return -EFAULT;
	rc = op.version == 1 ? 0 : op.version == 2 ? -ENOSYS : -EINVAL;
	op.version = 1;
	if (guest_copy_out(uop, &op, sizeof(op)))
		return -EFAULT;
	return rc;
}

static void swap_one(struct gnttab_swap_grant_ref *op)
{
	struct grant_table *t = current_domain()->grant;
	uint64_t n;

	spin_lock(&t->lock);
	n = entry_count(t);
	if (op->ref_a >= n || op->ref_b >= n) {
		op->status = GNTST_bad_gntref;
	} else if (op->ref_a != op->ref_b) {
		unsigned ra = (unsigned)index_nospec(op->ref_a, n), rb = (unsigned)index_nospec(op->ref_b, n);
		struct active *a = active_of(t, ra), *b = active_of(t, rb);

		op->status = GNTST_eagain;
		if (!a->readers && !a->writers && !b->readers && !b->writers) {
			grant_entry_v1_t *ea = entry_of(t, ra), *eb = entry_of(t, rb), tmp = *ea;

			*ea = *eb;
			*eb = tmp;
			op->status = GNTST_okay;
		}
	} else {
		op->status = GNTST_okay;
	}
	spin_unlock(&t->lock);
}

/* ---- commands over arrays ---- */

/* Element i of an array of elements of size bytes. */
static gva_t element(gva_t base, unsigned i, size_t size)
{
	return GVA(base.v + (uint64_t)i * size);
}

#define FOR_ELEMENTS(type, fn)                                                              \
	do {                                                                                \
		type op;                                                                    \
		for (i = *done; i < count; i++) {                                           \
			if (i > *done && i % 16 == 0 && work_pending()) {                   \
				rc = -ERESTART_HV;                                          \
				break;                                                      \
			}                                                                   \
			if (guest_copy_in(&op, element(uop, i, sizeof(op)), sizeof(op))) {  \
				rc = -EFAULT;                                               \
				break;                                                      \
			}                                                                   \
			fn(&op);                                                            \
			if (guest_copy_out(element(uop, i, sizeof(op)), &op, sizeof(op))) { \
				rc = -EFAULT;                                               \
				break;                                                      \
			}                                                                   \
		}                                                                           \
		*done = i;                                                                  \
	} while (0)

static int op_map(gva_t uop, unsigned count, unsigned *done)
{
	unsigned i;
	int rc = 0;

	FOR_ELEMENTS(struct gnttab_map_grant_ref, map_one);
	return rc;
}

static int op_copy(gva_t uop, unsigned count, unsigned *done)
{
	unsigned i;
	int rc = 0;

	FOR_ELEMENTS(struct gnttab_copy, copy_one);
	return rc;
}

static int op_transfer(gva_t uop, unsigned count, unsigned *done)
{
	unsigned i;
	int rc = 0;

	FOR_ELEMENTS(struct gnttab_transfer, transfer_one);
	return rc;
}

static int op_swap(gva_t uop, unsigned count, unsigned *done)
{
	unsigned i;
	int rc = 0;

	FOR_ELEMENTS(struct gnttab_swap_grant_ref, swap_one);
	return rc;
}

/* Both kinds of unmap share all but the element's layout. One flush per batch. */
static int op_unmap(gva_t uop, unsigned count, unsigned *done, bool replace)
{
	size_t size =
	        replace ? sizeof(struct gnttab_unmap_and_replace) : sizeof(struct gnttab_unmap_grant_ref);
	size_t status_at = replace ? offsetof(struct gnttab_unmap_and_replace, status)
	                           : offsetof(struct gnttab_unmap_grant_ref, status);
	struct unmapping batch[UNMAP_BATCH];
	union {
		struct gnttab_unmap_grant_ref unmap;
		struct gnttab_unmap_and_replace replace;
	} op;
	int rc = 0;

	while (*done < count && !rc) {
		unsigned n = 0;

		while (n < UNMAP_BATCH && *done < count && !rc) {
			gva_t at = element(uop, *done, size);
			int16_t status;

			if (guest_copy_in(&op, at, size)) {
				rc = -EFAULT;
				break;
			}
			if (replace)
				status = (int16_t)unmap_begin(&batch[n], op.replace.handle,
				                              op.replace.host_addr, 0, op.replace.new_addr);
			else
				status = (int16_t)unmap_begin(&batch[n], op.unmap.handle, op.unmap.host_addr,
				                              op.unmap.dev_bus_addr, 0);
			n++;
			if (guest_copy_out(GVA(at.v + status_at), &status, sizeof(status)))
				rc = -EFAULT;
			else
				(*done)++;
		}
		if (n)
			flush_own();
		for (unsigned i = 0; i < n; i++)
			unmap_end(&batch[i]);
		if (!rc && *done < count && work_pending())
			rc = -ERESTART_HV;
	}
	return rc;
}

int grant_op(unsigned cmd, gva_t uop, unsigned count, unsigned *done)
{
	struct gnttab_cache_flush flush;

	*done = MIN(*done, count);
	switch (cmd) {
	case GNTTABOP_map_grant_ref:
		return op_map(uop, count, done);
	case GNTTABOP_unmap_grant_ref:
		return op_unmap(uop, count, done, false);
	case GNTTABOP_unmap_and_replace:
		return op_unmap(uop, count, done, true);
	case GNTTABOP_copy:
		return op_copy(uop, count, done);
	case GNTTABOP_transfer:
		return op_transfer(uop, count, done);
	case GNTTABOP_swap_grant_ref:
		return op_swap(uop, count, done);
	case GNTTABOP_setup_table:
		return count == 1 ? setup_table(uop) : -EINVAL;
	case GNTTABOP_query_size:
		return count == 1 ? query_size(uop) : -EINVAL;
	case GNTTABOP_get_version:
		return get_version(uop);
	case GNTTABOP_set_version:
		return set_version(uop);
	case GNTTABOP_get_status_frames:
		return count == 1 ? get_status_frames(uop) : -EINVAL;
	case GNTTABOP_cache_flush: /* x86 is coherent with its devices: nobody needs it */
		if (count && guest_copy_in(&flush, uop, sizeof(flush)))
			return -EFAULT;
		return count ? -EOPNOTSUPP : 0;
	default: /* dump_table */
		return -ENOSYS;
	}
}

/* ---- life ---- */

int grant_domain_init(struct domain *d, unsigned max_frames, unsigned max_maptrack)
{
	struct grant_table *t = hv_alloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->lock = SPINLOCK(RANK_GRANT);
	t->frame_max = MIN(max_frames, GRANT_FRAMES_MAX);
	/* max_maptrack is in frames of tracks, as the toolstack counts them. */
	t->track_max = MIN(max_maptrack, GRANT_TRACK_FRAMES_MAX) * TRACKS_PER_CHUNK;
	t->track_free = TRACK_NONE;
	d->grant = t;
	return 0;
}

/* The domain is paused permanently and in no TLB: its mappings are given up without touching its tables. */
int grant_domain_destroy(struct domain *d)
{
	struct grant_table *t = d->grant;

	spin_lock(&t->lock);
	t->dying = true;
	spin_unlock(&t->lock);
	if (!t->destroy_cursor)
		tlb_flush(&d->mm.dirty_cpus);
	while (t->destroy_cursor < t->track_count) {
		uint32_t handle = t->destroy_cursor++;
		struct track k;

		if (track_claim(t, handle, &k)) {
			grant_unpin(k.d, k.ref, !(k.flags & GNTMAP_readonly));
			track_free(t, handle);
		}
		if (handle % 64 == 63 && work_pending())
			return -ERESTART_HV;
	}
	return 0;
}

void grant_domain_unshare(struct domain *d)
{
	struct grant_table *t = d->grant;
	unsigned count;

	spin_lock(&t->lock);
	count = t->frame_count;
	t->frame_count = 0;
	spin_unlock(&t->lock);
	for (unsigned i = 0; i < count; i++)
		share_free(t->frame[i]);
}

void grant_domain_free(struct domain *d)
{
	struct grant_table *t = d->grant;

	if (!t)
		return;
	grant_domain_unshare(d);
	for (unsigned i = 0; i < GRANT_FRAMES_MAX; i++)
		hv_free(t->active[i]);
	for (unsigned i = 0; i < GRANT_TRACK_FRAMES_MAX; i++)
		hv_free(t->tracks[i]);
	hv_free(t);
	d->grant = NULL;
}

/* ---- for those who look ---- */

struct grant_look grant_look(struct domain *d)
{
	struct grant_table *t = d->grant;
	struct grant_look l;

	spin_lock(&t->lock);
	l = (struct grant_look){ t->frame_count, t->frame_max, t->track_count, t->track_max, entry_count(t) };
	spin_unlock(&t->lock);
	return l;
}

bool grant_log_mapped(struct domain *d, unsigned *ref)
{
	struct grant_table *t = d->grant;
	bool more;

	spin_lock(&t->lock);
	for (unsigned n = 0; n < ENTRIES_PER_FRAME && *ref < entry_count(t); n++, ++*ref)
		if (active_of(t, *ref)->writers)
			frame_written(active_of(t, *ref)->frame);
	more = *ref < entry_count(t);
	spin_unlock(&t->lock);
	return more;
}

bool grant_look_entry(struct domain *d, unsigned ref, struct grant_use *use)
{
	struct grant_table *t = d->grant;
	bool used = false;

	spin_lock(&t->lock);
	if (ref < entry_count(t)) {
		const struct active *a = active_of(t, ref);

		*use = (struct grant_use){ a->domid, a->readers, a->writers, a->frame.m };
		used = a->readers || a->writers;
	}
	spin_unlock(&t->lock);
	return used;
}
