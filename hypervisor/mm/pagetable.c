/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables of guests in direct mode: live entries are written here and nowhere else.
 *
 * An entry is validated and its references are taken before it becomes live; it becomes live by
 * compare-and-exchange against the accessed and dirty bits that the processor sets meanwhile; the references
 * of the entry that it replaces are dropped afterwards. All under the lock of the domain that owns the table.
 * No function here flushes for the guest's sake; ptype.c flushes for ours, where a frame changes its use.
 *
 * A dropped link may leave a table whose release takes long: it waits in the domain's release queue, and
 * whoever next changes tables of that domain continues with it.
 */
#include "mm/pagetable.h"
#include "hw/paging.h"
#include "mm/heap.h"
#include "mm/internal.h"
#include "mm/l4copy.h"
#include "mm/ptype.h"
#include "mm/shadow.h"
#include "hw/spec.h"
#include "mm/validate.h"
#include <xen/grant_table.h>

void domain_mm_init(struct domain_mm *d, uint16_t domid, bool privileged)
{
	memset(d, 0, sizeof(*d));
	l4_changed(d);
	d->domid = domid;
	d->privileged = privileged;
	d->l1tf_exempt = !(privileged ? spec_policy.l1tf_dom0 : spec_policy.l1tf_domu);
	d->lock = SPINLOCK(RANK_MMU);
	d->pages_lock = SPINLOCK(RANK_OWNED_PAGES);
	list_init(&d->pages);
	list_init(&d->shared_pages);
	d->perdomain_l3 = INVALID_MFN;
}

/* ---- tables as a whole ---- */

int pt_drain_queue(struct domain_mm *d, bool preemptible)
{
	struct slice s = SLICE(preemptible);
	int rc;

	spin_lock(&d->lock);
	rc = type_drain(d, &s);
	spin_unlock(&d->lock);
	return rc;
}

int pt_get(struct domain_mm *d, mfn_t table, enum ptype level, bool preemptible)
{
	struct slice s = SLICE(preemptible);
	int rc;

	spin_lock(&d->lock);
	rc = type_drain(d, &s);
	if (!rc)
		rc = d->dying ? -EINVAL : type_get_table(d, table.m, level, &s);
	spin_unlock(&d->lock);
	return rc;
}

int pt_put(struct domain_mm *d, mfn_t table, bool preemptible)
{
	struct slice s = SLICE(preemptible);

	if (mfn_eq(table, INVALID_MFN))
		return 0;
	spin_lock(&d->lock);
	type_put_table(d, mfn_frame(table));
	(void)type_drain(d, &s);
	spin_unlock(&d->lock);
	return 0;
}

int pt_pin(struct domain_mm *d, mfn_t table, enum ptype level)
{
	struct slice s = SLICE(true);
	struct frame *f;
	int rc;

	type_flush_ahead(d, table.m, level);
	spin_lock(&d->lock);
	rc = type_drain(d, &s);
	if (!rc)
		rc = d->dying ? -EINVAL : type_get_table(d, table.m, level, &s);
	if (!rc) {
		f = frame_at(table.m);
		if (f->type & TYPE_PINNED) {
			type_put_table(d, f);
			rc = -EINVAL;
		} else {
			__atomic_fetch_or(&f->type, TYPE_PINNED, __ATOMIC_SEQ_CST);
			dirty_log_mark(d, table);
		}
	}
	spin_unlock(&d->lock);
	return rc;
}

static bool unpin_locked(struct domain_mm *d, struct frame *f)
{
	if (f->owner != d || !(READ_ONCE(f->type) & TYPE_PINNED))
		return false;
	__atomic_fetch_and(&f->type, ~TYPE_PINNED, __ATOMIC_SEQ_CST);
	dirty_log_mark(d, frame_mfn(f));
	type_put_table(d, f);
	return true;
}

int pt_unpin(struct domain_mm *d, mfn_t table)
{
	struct slice s = SLICE(true);
	int rc = -EINVAL;

	if (!frame_is_ram(table.m))
		return -EINVAL;
	spin_lock(&d->lock);
	if (unpin_locked(d, frame_at(table.m))) {
		(void)type_drain(d, &s);
		rc = 0;
	}
	spin_unlock(&d->lock);
	return rc;
}

/* ---- single entries ---- */

/*
 * Makes new live in *pe, an entry of a valid table of that level, which was *cur when its references were looked at. The
 * lock is held, so only the processor changes the entry meanwhile. False: PT_CMPXCHG and it did.
 *
 * The one place where an entry changes that processors may walk; what stands for tables in another way than by themselves
 * follows from here: shadows, and the copies of L4s.
 */
static inline bool install(struct domain_mm *d, enum ptype level, uint64_t *pe, uint64_t *cur, uint64_t new,
                           enum pt_write how)
{
	uint64_t n = new;

	for (;;) {
		if (how == PT_WRITE_PRESERVE_AD)
			n = new | (*cur & (PTE_A | PTE_D));
		if (likely(word_cas(pe, cur, n)))
			break;
		if (how == PT_CMPXCHG)
			return false;
	}
	if (unlikely(d->shadowed))
		shadow_written(d, pe);
	if (level == PTYPE_L4)
		l4_written(d, pe);
	return true;
}

/* A change of flags only: the frame keeps its general reference. */
static int l1_write_flags(struct domain_mm *d, struct domain_mm *pg_owner, uint64_t *pe, uint64_t cur,
                          uint64_t new, enum pt_write how, uint64_t *old)
{
	uint64_t mfn = PTE_MFN(new).m;
	struct frame *f = frame_is_ram(mfn) ? frame_at(mfn) : NULL;
	int rc = l1e_check_flags(d, &new);

	/* The right to device memory may have been taken away since. */
	if (!rc && !f && (PTE_RW & new & ~cur))
		rc = l1e_get_io(d, pg_owner, mfn);
	if (rc)
		return rc;
	if (f && (PTE_RW & new & ~cur)) {
		if (f->owner != pg_owner || pg_owner->dying || type_get_writable(f, d))
			return -EBUSY;
	}
	if (unlikely(!install(d, PTYPE_L1, pe, &cur, new, how))) {
		if (f && (PTE_RW & new & ~cur))
			type_put_plain(f);
		*old = cur;
		return -EAGAIN;
	}
	if (f && (PTE_RW & cur & ~new))
		type_put_plain(f);
	return 0;
}

static int l1_write_in_full(struct domain_mm *d, struct domain_mm *pg_owner, uint64_t *pe, uint64_t new,
                            enum pt_write how, uint64_t *old)
{
	uint64_t cur = READ_ONCE(*pe);
	int rc;

	if (how == PT_CMPXCHG && cur != *old) {
		*old = cur;
		return -EAGAIN;
	}
	/* A grant mapping holds no references: what takes its place brings its own. */
	if ((PTE_P & cur & new) && !((cur ^ new) & (PTE_ADDR | PTE_CACHE)) && likely(!(cur & PTE_GRANT)))
		return l1_write_flags(d, pg_owner, pe, cur, new, how, old);
	rc = l1e_get(d, pg_owner, &new);
	if (unlikely(rc))
		return rc;
	if (unlikely(!install(d, PTYPE_L1, pe, &cur, new, how))) {
		l1e_put(new);
		*old = cur;
		return -EAGAIN;
	}
	l1e_put(cur);
	return 0;
}

/*
 * Other flags for a plain entry of the same frame, or a plain entry in the place of none. False: nothing was done, and
 * l1_write_in_full() decides. It makes no difference but in time which of the two does it.
 */
static inline bool l1_write_plain(struct domain_mm *d, struct domain_mm *pg_owner, uint64_t *pe, uint64_t new,
                                  enum pt_write how, uint64_t not_plain)
{
	uint64_t cur = READ_ONCE(*pe);
	struct frame *f = NULL;

	if (unlikely((new ^ PTE_P) & not_plain) || unlikely(!pg_owner))
		return false;
	if (!(cur & PTE_P)) {
		if (!l1e_get_plain(d, pg_owner, new, not_plain))
			return false;
		(void)install(d, PTYPE_L1, pe, &cur, new | PTE_US, how);
		return true;
	}
	if (((cur ^ new) & PTE_ADDR) || (cur & (PTE_CACHE | PTE_GRANT)))
		return false;
	if ((cur ^ new) & PTE_RW) {
		f = ram_frame(PTE_MFN(new).m);
		if (unlikely(!f))
			return false;
		if ((PTE_RW & new) && (f->owner != pg_owner || pg_owner->dying || type_get_writable(f, d)))
			return false;
	}
	(void)install(d, PTYPE_L1, pe, &cur, new | PTE_US, how);
	if (f && (cur & PTE_RW))
		type_put_writable(f);
	return true;
}

/* Lock held, *pe in a valid L1 table of d. */
static inline int l1_write(struct domain_mm *d, struct domain_mm *pg_owner, uint64_t *pe, uint64_t new,
                           enum pt_write how, uint64_t *old)
{
	if (how != PT_CMPXCHG && likely(l1_write_plain(d, pg_owner, pe, new, how, l1e_not_plain())))
		return 0;
	return l1_write_in_full(d, pg_owner, pe, new, how, old);
}

/* Lock held, *pe entry i of a valid table of d of a level above L1. */
static int upper_write(struct domain_mm *d, enum ptype level, unsigned i, uint64_t *pe, uint64_t new,
                       enum pt_write how, uint64_t *old)
{
	struct frame *f = mfn_frame(mfn_of(pe));
	uint64_t cur = READ_ONCE(*pe);
	struct slice s = SLICE(true);
	bool same;
	int rc;

	if (slot_is_hv(level, i))
		return -EINVAL;
	if (how == PT_CMPXCHG && cur != *old) {
		*old = cur;
		return -EAGAIN;
	}
	rc = upper_check(d, level, &new);
	if (rc)
		return rc;
	same = (PTE_P & cur & new) && !((cur ^ new) & PTE_ADDR);
	if (same && (PTE_RW & new & ~cur) && type_entry_is_linear(level, cur))
		return -EINVAL;
	if ((PTE_P & new) && !same) {
		rc = type_get_entry(d, f, level, new, &s);
		if (rc)
			return rc;
	}
	if (!install(d, level, pe, &cur, new, how)) {
		if ((PTE_P & new) && !same)
			type_put_entry(d, f, level, new);
		*old = cur;
		return -EAGAIN;
	}
	if ((cur & PTE_P) && !same)
		type_put_entry(d, f, level, cur);
	(void)type_drain(d, &s);
	return 0;
}

/*
 * The valid table of d that mfn is, or PTYPE_NONE. Lock held: it stays that until the lock is dropped. *page:
 * where it can be read; frame 0 where the processor only guesses that the frame is d's, for the guest chose the
 * number, and what is read there chooses the next frame that is looked at.
 */
static inline enum ptype valid_table(struct domain_mm *d, uint64_t mfn, uint64_t **page)
{
	struct domain_mm *owner;
	struct frame *f;
	uint64_t x;

	f = ram_frame(mfn);
	if (unlikely(!f))
		return PTYPE_NONE;
	owner = READ_ONCE(f->owner);
	*page = mfn_map_own(MFN(same_nospec(mfn, (uintptr_t)owner ^ (uintptr_t)d)));
	if (unlikely(owner != d))
		return PTYPE_NONE;
	x = READ_ONCE(f->type);
	return (x & TYPE_VALID) && type_is_table(type_of(x)) ? type_of(x) : PTYPE_NONE;
}

static inline bool is_entry_write(uint64_t ptr)
{
	return (ptr & 7) <= MMU_PT_UPDATE_NO_TRANSLATE && (ptr & 7) != MMU_MACHPHYS_UPDATE;
}

/*
 * Writes that follow each other to one ordinary page, under one writable reference; the first names it. How many were
 * done; none where it may take a flush, which has to wait until the lock is dropped.
 */
static unsigned plain_writes(struct domain_mm *d, const struct pt_request *req, unsigned count)
{
	uint64_t mfn = req->ptr >> PAGE_SHIFT, *words = frame_map_to_write(MFN(index_nospec(mfn, max_mfn)));
	struct frame *f = ram_frame(mfn);
	unsigned n = 0;

	if (!f || !count_get_owned(f, d))
		return 0;
	if (type_get_writable_again(f, d)) {
		for (; n < count && req[n].ptr >> PAGE_SHIFT == mfn && is_entry_write(req[n].ptr) &&
		       (req[n].ptr & 7) != MMU_PT_UPDATE_PRESERVE_AD;
		     n++)
			WRITE_ONCE(words[req[n].ptr % PAGE_SIZE / sizeof(*words)], req[n].val);
		frame_written(frame_mfn(f));
		type_put_writable(f);
	}
	count_dec(f);
	return n;
}

unsigned pt_entries_write(struct domain_mm *d, struct domain_mm *pg_owner, const struct pt_request *req,
                          unsigned count)
{
	uint64_t *table = NULL, table_mfn = 0, not_plain = l1e_not_plain();
	unsigned n = 0, done;

	spin_lock(&d->lock);
	while (n < count && likely(!d->dying)) {
		uint64_t ptr = req[n].ptr, mfn = ptr >> PAGE_SHIFT, *pe;
		enum pt_write how = (ptr & 7) == MMU_PT_UPDATE_PRESERVE_AD ? PT_WRITE_PRESERVE_AD : PT_WRITE;

		if (unlikely(!is_entry_write(ptr)))
			break;
		/* An L1 table stays what it is as long as the lock is held: nothing here ends its use. */
		if (!table || mfn != table_mfn) {
			if (unlikely(valid_table(d, mfn, &table) != PTYPE_L1)) {
				table = NULL;
				done = how == PT_WRITE ? plain_writes(d, req + n, count - n) : 0;
				if (!done)
					break;
				n += done;
				continue;
			}
			table_mfn = mfn;
		}
		pe = table + ptr % PAGE_SIZE / sizeof(*pe);
		if (unlikely(!l1_write_plain(d, pg_owner, pe, req[n].val, how, not_plain)) &&
		    l1_write_in_full(d, pg_owner, pe, req[n].val, how, NULL))
			break;
		n++;
	}
	spin_unlock(&d->lock);
	return n;
}

/* One word of an ordinary page that the domain could write itself. */
static int plain_write(struct domain_mm *d, maddr_t at, uint64_t new)
{
	mfn_t mfn = maddr_to_mfn(at);
	int rc = frame_get_type(mfn, d, PTYPE_WRITABLE);

	if (rc)
		return rc;
	WRITE_ONCE(*((uint64_t *)frame_map_to_write(mfn) + (at.a % PAGE_SIZE) / sizeof(new)), new);
	frame_written(mfn);
	frame_put_type(mfn);
	return 0;
}

int pt_entry_write(struct domain_mm *d, struct domain_mm *pg_owner, maddr_t entry, uint64_t new,
                   enum pt_write how, uint64_t *old)
{
	struct slice s = SLICE(true);
	mfn_t mfn = maddr_to_mfn(entry);
	unsigned i = (entry.a % PAGE_SIZE) / sizeof(new);
	uint64_t *table;
	enum ptype level;
	int rc;

	if (entry.a % sizeof(new))
		return -EINVAL;
	spin_lock(&d->lock);
	level = d->dying ? PTYPE_NONE : valid_table(d, mfn.m, &table);
	if (level == PTYPE_L1) {
		rc = l1_write(d, pg_owner, table + i, new, how, old);
	} else if (level != PTYPE_NONE) {
		rc = type_drain(d, &s);
		/* The release may have been this table's: look again. */
		if (!rc)
			rc = valid_table(d, mfn.m, &table) != level
			             ? -EINVAL
			             : upper_write(d, level, i, table + i, new, how, old);
	} else {
		rc = -EINVAL;
	}
	spin_unlock(&d->lock);
	if (level == PTYPE_NONE && how == PT_WRITE && !d->dying)
		rc = plain_write(d, entry, new);
	return rc;
}

static inline unsigned va_index(gva_t va, enum ptype level)
{
	return va.v >> (PAGE_SHIFT + 9 * (level - 1)) & (TABLE_ENTRIES - 1);
}

/* The L1 entry that maps va in the guest's part of l4; lock held. */
static uint64_t *va_entry(struct domain_mm *d, mfn_t l4, gva_t va)
{
	mfn_t table = l4;
	uint64_t *page;

	if (slot_is_hv(PTYPE_L4, va_index(va, PTYPE_L4)) || valid_table(d, l4.m, &page) != PTYPE_L4)
		return NULL;
	for (enum ptype level = PTYPE_L4; level > PTYPE_L1; level--) {
		uint64_t e = READ_ONCE(((const uint64_t *)mfn_map(table))[va_index(va, level)]);

		if (unlikely(!(e & PTE_P)))
			return NULL;
		table = PTE_MFN(e);
	}
	/* Through a linear entry one comes to tables of higher levels. */
	if (unlikely(d->linear_tables) && valid_table(d, table.m, &page) != PTYPE_L1)
		return NULL;
	return (uint64_t *)mfn_map_own(table) + va_index(va, PTYPE_L1);
}

int pt_va_write(struct domain_mm *d, struct domain_mm *pg_owner, mfn_t l4, gva_t va, uint64_t new)
{
	uint64_t *pe;
	int rc = -EINVAL;

	if (!((PTE_P | PTE_RW) & ~new))
		type_flush_ahead(d, PTE_MFN(new).m, PTYPE_WRITABLE);
	spin_lock(&d->lock);
	pe = d->dying ? NULL : va_entry(d, l4, va);
	if (likely(pe))
		rc = l1_write(d, pg_owner, pe, new, PT_WRITE, NULL);
	spin_unlock(&d->lock);
	return rc;
}

void pt_walk(mfn_t l4, gva_t va, struct pt_walk *w)
{
	mfn_t table = l4;

	*w = (struct pt_walk){ .writable = true, .user = true };
	for (enum ptype level = PTYPE_L4; level >= PTYPE_L1; level--) {
		uint64_t e;

		/* Tables may be changing hands while we read: only RAM is looked at. */
		if (!frame_is_ram(table.m))
			return;
		e = READ_ONCE(((const uint64_t *)mfn_map(table))[va_index(va, level)]);
		w->table[level - 1] = table;
		w->e[level - 1] = e;
		if (!(e & PTE_P))
			return;
		w->writable &= !!(e & PTE_RW);
		w->user &= !!(e & PTE_US);
		if (level == PTYPE_L1 || (level <= PTYPE_L3 && (e & PTE_PSE))) {
			w->level = level;
			return;
		}
		table = PTE_MFN(e);
	}
}

uint64_t pt_leaf(mfn_t l4, gva_t va)
{
	uint64_t e = mfn_to_maddr(l4).a | PTE_P;

	for (enum ptype level = PTYPE_L4; level >= PTYPE_L1; level--) {
		if ((e & (PTE_P | PTE_PSE)) != PTE_P || !frame_is_ram(PTE_MFN(e).m))
			return 0;
		e = READ_ONCE(((const uint64_t *)mfn_map(PTE_MFN(e)))[va_index(va, level)]);
	}
	return e;
}

/* ---- grants ---- */

/* The L1 entry that a grant operation names; lock held. */
static uint64_t *grant_entry(struct domain_mm *d, mfn_t l4, uint64_t host_addr, unsigned flags)
{
	uint64_t *page;

	if (!(flags & GNTMAP_contains_pte))
		return va_entry(d, l4, GVA(host_addr));
	if (host_addr % sizeof(uint64_t) || valid_table(d, host_addr >> PAGE_SHIFT, &page) != PTYPE_L1)
		return NULL;
	return page + (host_addr % PAGE_SIZE) / sizeof(uint64_t);
}

int pt_grant_map(struct domain_mm *d, mfn_t l4, uint64_t host_addr, mfn_t frame, unsigned flags)
{
	uint64_t e = frame.m << PAGE_SHIFT | PTE_P | PTE_US | PTE_A | PTE_D | PTE_GRANT, cur;
	int rc = GNTST_general_error;
	uint64_t *pe;

	if (!(flags & GNTMAP_readonly))
		e |= PTE_RW;
	e |= (uint64_t)(flags >> _GNTMAP_guest_avail0 & 7) << 9;
	spin_lock(&d->lock);
	pe = d->dying ? NULL : grant_entry(d, l4, host_addr, flags);
	if (pe) {
		cur = READ_ONCE(*pe);
		(void)install(d, PTYPE_L1, pe, &cur, e, PT_WRITE);
		l1e_put(cur); /* another grant's holds nothing: its pin stays until it is mapped here again, or forever */
		rc = GNTST_okay;
	}
	spin_unlock(&d->lock);
	return rc;
}

int pt_grant_unmap(struct domain_mm *d, mfn_t l4, uint64_t host_addr, mfn_t frame, unsigned flags,
                   uint64_t new_addr)
{
	int rc = GNTST_general_error;
	uint64_t *pe, *from = NULL;
	uint64_t cur, new = 0, gone;

	spin_lock(&d->lock);
	pe = grant_entry(d, l4, host_addr, flags);
	if (!pe)
		goto out;
	cur = READ_ONCE(*pe);
	if ((cur & (PTE_P | PTE_GRANT)) != (PTE_P | PTE_GRANT) || PTE_MFN(cur).m != frame.m ||
	    !(cur & PTE_RW) != !!(flags & GNTMAP_readonly))
		goto out;
	if (new_addr) {
		/* GNTTABOP_unmap_and_replace: the entry at new_addr moves here, its references with it. As on Xen not
		 * where the mapping was made by the address of its entry. */
		from = flags & GNTMAP_contains_pte ? NULL : va_entry(d, l4, GVA(new_addr));
		if (!from || from == pe)
			goto out;
		gone = READ_ONCE(*from);
		(void)install(d, PTYPE_L1, from, &gone, 0, PT_WRITE);
		new = gone;
	}
	(void)install(d, PTYPE_L1, pe, &cur, new, PT_WRITE);
	rc = GNTST_okay;
out:
	spin_unlock(&d->lock);
	return rc;
}

/* ---- teardown ---- */

#define RELINQUISH_BATCH 64
#define ANY_TYPE         UINT64_MAX

/*
 * The next of the domain's frames whose type has one of these bits, with a reference; NULL when the batch or the round has
 * come to its end. A dying domain's frames are neither pinned nor built any more.
 */
static struct frame *next_page(struct domain_mm *d, uint64_t types, unsigned *batch)
{
	struct frame *f = NULL;

	spin_lock(&d->pages_lock);
	for (; !f && *batch && d->relinquish_left; --*batch, d->relinquish_left--) {
		if (list_empty(&d->pages))
			continue;
		f = list_entry(d->pages.next, struct frame, link);
		list_del(&f->link);
		list_add_tail(&f->link, &d->pages);
		if ((types != ANY_TYPE && !(READ_ONCE(f->type) & types)) || !count_inc(f))
			f = NULL;
	}
	spin_unlock(&d->pages_lock);
	return f;
}

/* Phases: 0 no new references; 1 pins and unfinished tables go; 2 the domain's own references go; 3 done. */
int domain_mm_relinquish(struct domain_mm *d)
{
	unsigned batch = RELINQUISH_BATCH;
	int rc;

	if (d->relinquish_phase == 0) {
		bool transit;

		spin_lock(&d->lock);
		spin_lock(&d->pages_lock);
		d->dying = true;
		transit = d->transit_pages;
		spin_unlock(&d->pages_lock);
		spin_unlock(&d->lock);
		/* Another CPU is about to give it a frame, or to give one back: the last that does. */
		if (transit)
			return -ERESTART_HV;
		rc = heap_claim(d, 0);
		CHECK(!rc);
		shadow_stop(d);
		dirty_log_stop(d);
		d->relinquish_left = d->tot_pages;
		d->relinquish_phase = 1;
	}
	rc = shadow_set_pool(d, 0);
	if (rc)
		return rc;
	while (d->relinquish_phase < 3) {
		bool pins = d->relinquish_phase == 1;
		struct frame *f;

		rc = pt_drain(d, true);
		if (rc)
			return rc;
		if (!d->relinquish_left) {
			d->relinquish_phase++;
			d->relinquish_left = d->tot_pages;
			continue;
		}
		f = next_page(d, pins ? TYPE_PINNED | TYPE_BUILDING : ANY_TYPE, &batch);
		if (f && pins) {
			spin_lock(&d->lock);
			if (!unpin_locked(d, f))
				type_abandon(d, f);
			spin_unlock(&d->lock);
		} else if (f) {
			rc = frame_release(f); /* -EINVAL: given back before, others hold it */
		}
		if (f)
			count_dec(f);
		if (!batch) {
			batch = RELINQUISH_BATCH;
			if (work_pending())
				return -ERESTART_HV;
		}
	}
	return 0;
}
