/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The page-type machine.
 *
 * Duty: what a frame may be used as. It changes its type only while it has no typed reference, and every CPU
 * that may still hold a translation of the former use flushes before the new use begins. docs/page-types.md
 * shows the states; tests/model/ptype.pml is the same machine in Promela.
 *
 * Invariants:
 *  - type words change by compare-and-exchange; a word's generation grows whenever its type or its state does or a
 *    lockless reference is dropped, so a flush or a stamp made between reading a word and replacing it covers every
 *    use that the word stands for;
 *  - a frame enters and leaves VALID, BUILDING and RELEASING as a table only under its owner's lock; whoever
 *    takes or drops a writable reference needs no lock and refuses frames in these states;
 *  - an entry of a table in state VALID holds one general and one typed reference (L1: typed where writable) on
 *    what it names; of BUILDING and RELEASING tables the entries [0, progress) do;
 *  - levels fall strictly from a table to what it names, so that neither building nor releasing needs more than
 *    four frames at a time, and there are no cycles; but for linear page tables, whose entries name a table of
 *    their own level that is valid already, one level deep (tests/model/linear.pml).
 *
 * It does not decide which entries are allowed (validate.c) and does not write live entries (pagetable.c).
 */
#include "mm/ptype.h"
#include "hw/tlb.h"
#include "mm/internal.h"
#include "mm/l4copy.h"
#include "mm/perdomain.h"
#include "mm/shadow.h"
#include "mm/validate.h"

/* Whoever may still use f as the type in word x flushes. The stamp is the time when that use ended. */
static void flush_before_change(struct frame *f, uint64_t x)
{
	cpumask_t cpus;

	if (likely(type_of(x) == PTYPE_NONE))
		return;
	cpus = cpus_online;
	if (!(x & TYPE_FOREIGN) && f->owner)
		cpus = cpumask_and(&f->owner->dirty_cpus, &cpus_online);
	tlb_filter(&cpus, READ_ONCE(f->tlb_stamp));
	if (!cpumask_empty(&cpus))
		tlb_flush(&cpus);
}

void type_flush_ahead(const struct domain_mm *d, uint64_t mfn, enum ptype t)
{
	cpumask_t cpus;
	struct frame *f;
	uint64_t x;

	f = ram_frame(mfn);
	if (!f)
		return;
	x = READ_ONCE(f->type);
	if (READ_ONCE(f->owner) != d || type_of(x) == PTYPE_NONE || type_of(x) == t ||
	    (x & (TYPE_COUNT | TYPE_FOREIGN | TYPE_BUILDING | TYPE_RELEASING)))
		return;
	cpus = cpumask_and(&d->dirty_cpus, &cpus_online);
	tlb_filter(&cpus, READ_ONCE(f->tlb_stamp));
	if (!cpumask_empty(&cpus))
		tlb_flush(&cpus);
}

int type_get_writable_slow(struct frame *f, const struct domain_mm *mapper)
{
	uint64_t foreign = f->owner == mapper ? 0 : TYPE_FOREIGN;
	uint64_t x = READ_ONCE(f->type), y;

	do {
		if (x & (TYPE_BUILDING | TYPE_RELEASING))
			return -EINVAL;
		if (type_of(x) == PTYPE_WRITABLE) {
			if ((x & TYPE_COUNT) >= TYPE_LIMIT)
				return -EINVAL;
			y = (x + 1) | foreign;
		} else {
			if (x & TYPE_COUNT)
				return -EINVAL;
			flush_before_change(f, x);
			y = type_word(x, PTYPE_WRITABLE, 1 | foreign);
		}
	} while (!word_cas(&f->type, &x, y));
	/* Of what is stored through another domain's tables no more is seen than where the mapping begins and ends. */
	if (foreign)
		frame_written(frame_mfn(f));
	return 0;
}

/*
 * The stamp is written before the count falls to zero, and must not be older than any use. Every drop changes
 * the generation: otherwise a reference that comes and goes between our stamp and our exchange would go
 * unnoticed.
 */
void type_put_plain(struct frame *f)
{
	uint64_t x = READ_ONCE(f->type), left;

	/* Descriptors: the processor has marked some as accessed. */
	if ((x & TYPE_FOREIGN) || type_of(x) == PTYPE_SEGDESC)
		frame_written(frame_mfn(f));
	do {
		CHECK(x & TYPE_COUNT);
		left = (x & TYPE_COUNT) - 1;
		if (!left)
			WRITE_ONCE(f->tlb_stamp, tlb_clock());
	} while (!word_cas(
	        &f->type, &x,
	        type_word(x, type_of(x), (x & (left ? TYPE_FOREIGN | TYPE_VALID : TYPE_FOREIGN)) | left)));
}

/* Descriptors: under the owner's lock, so that two vcpus that load one LDT wait for each other. */
static int type_get_segdesc(struct frame *f)
{
	uint64_t x = READ_ONCE(f->type);

	do {
		if (x & (TYPE_BUILDING | TYPE_RELEASING))
			return -EINVAL;
		if (type_of(x) == PTYPE_SEGDESC && (x & TYPE_VALID)) {
			if ((x & TYPE_COUNT) >= TYPE_LIMIT)
				return -EINVAL;
			if (word_cas(&f->type, &x, x + 1))
				return 0;
			continue;
		}
		if (x & TYPE_COUNT)
			return -EINVAL;
		if (type_of(x) != PTYPE_SEGDESC)
			flush_before_change(f, x);
		if (word_cas(&f->type, &x, type_word(x, PTYPE_SEGDESC, TYPE_BUILDING)))
			break;
	} while (true);

	x = f->type; /* ours alone while BUILDING */
	dirty_log_mark(f->owner, frame_mfn(f));
	if (!descriptors_check(frame_map_to_write(frame_mfn(f)))) {
		__atomic_store_n(&f->type, type_word(x, PTYPE_NONE, 0), __ATOMIC_SEQ_CST);
		return -EINVAL;
	}
	__atomic_store_n(&f->type, type_word(x, PTYPE_SEGDESC, TYPE_VALID | 1), __ATOMIC_SEQ_CST);
	return 0;
}

int frame_get_type(mfn_t mfn, const struct domain_mm *d, enum ptype t)
{
	struct domain_mm *owner = (struct domain_mm *)d;
	struct frame *f;
	int rc = -EINVAL;

	if (!frame_get(mfn, d))
		return -EINVAL;
	f = frame_at(mfn.m);
	if (t == PTYPE_WRITABLE) {
		rc = type_get_writable(f, d);
	} else if (t == PTYPE_SEGDESC) {
		spin_lock(&owner->lock);
		rc = type_get_segdesc(f);
		spin_unlock(&owner->lock);
	}
	if (rc)
		count_dec(f);
	return rc;
}

void frame_put_type(mfn_t mfn)
{
	struct frame *f = mfn_frame(mfn);

	type_put_plain(f);
	count_dec(f);
}

/* ---- tables ---- */

/*
 * 0: both references taken. 1: the frame is BUILDING at this level now (begun here or earlier); the general
 * reference that the state holds becomes that of whoever finishes. -EINVAL.
 */
static int table_hold(struct domain_mm *d, uint64_t mfn, enum ptype level, struct frame **out)
{
	struct frame *f;
	uint64_t x;

	f = *out = ram_frame(mfn);
	if (unlikely(!f) || !count_get_owned(f, d))
		return -EINVAL;
	x = READ_ONCE(f->type);
	for (;;) {
		if (type_of(x) == level && (x & TYPE_VALID) && (x & TYPE_COUNT) < TYPE_LIMIT) {
			if (word_cas(&f->type, &x, x + 1))
				return 0;
			continue;
		}
		if (type_of(x) == level && (x & TYPE_BUILDING)) {
			count_dec(f);
			return 1;
		}
		if (x & (TYPE_BUILDING | TYPE_RELEASING | TYPE_COUNT))
			break;
		if (type_of(x) != level)
			flush_before_change(f, x);
		if (word_cas(&f->type, &x, type_word(x, level, TYPE_BUILDING))) {
			f->progress = 0;
			return 1;
		}
	}
	count_dec(f);
	return -EINVAL;
}

/*
 * Linear page tables: an entry of table f that names a table of f's own level. The processor then takes the named
 * table for one of the level below, and its entries for entries of that level, down to page tables as data. So the
 * entry must not permit writing, the named table is validated already, and nothing is built or released in a circle:
 * a table either has such entries (linear above 0, one for each) or is named by them (below 0). An entry that names
 * its own table stands for no reference.
 */
static bool linear_take(struct domain_mm *d, struct frame *f, struct frame *t, enum ptype level)
{
	uint64_t x;

	if (f->linear < 0 || f->linear == INT16_MAX || !count_get_owned(t, d))
		return false;
	x = READ_ONCE(t->type);
	if (type_of(x) != level || !(x & TYPE_VALID) || (x & TYPE_COUNT) >= TYPE_LIMIT || t->linear > 0 ||
	    t->linear == INT16_MIN) {
		count_dec(t);
		return false;
	}
	/* Under the lock nobody else changes the word of a valid table. */
	__atomic_store_n(&t->type, x + 1, __ATOMIC_SEQ_CST);
	f->linear++;
	t->linear--;
	return true;
}

static int linear_hold(struct domain_mm *d, struct frame *f, enum ptype level, uint64_t e)
{
	uint64_t mfn = PTE_MFN(e).m;
	struct frame *t;
	int rc;

	if ((e & PTE_RW) || !frame_is_ram(mfn))
		return -EINVAL;
	t = frame_at(mfn);
	if (READ_ONCE(t->owner) != d || type_of(READ_ONCE(t->type)) != level)
		return -EINVAL;
	rc = level == PTYPE_L4 ? l4_leave(d) : 0;
	if (rc)
		return rc;
	if (t != f && !linear_take(d, f, t, level))
		return -EINVAL;
	if (level == PTYPE_L4)
		l4_close(t);
	d->linear_tables = true;
	return 0;
}

bool type_entry_is_linear(enum ptype level, uint64_t e)
{
	return type_of(READ_ONCE(frame_at(PTE_MFN(e).m)->type)) == level;
}

int type_get_entry(struct domain_mm *d, struct frame *f, enum ptype level, uint64_t e, struct slice *s)
{
	int rc = type_get_table(d, PTE_MFN(e).m, level - 1, s);

	return rc == -EINVAL ? linear_hold(d, f, level, e) : rc;
}

void type_put_entry(struct domain_mm *d, struct frame *f, enum ptype level, uint64_t e)
{
	struct frame *t = frame_at(PTE_MFN(e).m);

	if (t == f)
		return;
	if (type_entry_is_linear(level, e)) {
		f->linear--;
		t->linear++;
	}
	type_put_table(d, t);
}

static void release_push(struct domain_mm *d, struct frame *f, enum ptype level)
{
	if (unlikely(d->shadowed))
		shadow_forget(d, f);
	dirty_log_mark(
	        d,
	        frame_mfn(f)); /* a copy of it is no table any more, and entries may have been given bits */
	WRITE_ONCE(f->tlb_stamp, tlb_clock());
	__atomic_store_n(&f->type, type_word(f->type, level, TYPE_RELEASING), __ATOMIC_SEQ_CST);
	f->next_release = d->release_head;
	d->release_head = f;
}

void type_abandon(struct domain_mm *d, struct frame *f)
{
	uint64_t x = READ_ONCE(f->type);

	if (type_is_table(type_of(x)) && (x & TYPE_BUILDING))
		release_push(d, f, type_of(x));
}

/* Entries of zero stand for nothing: eight of them cost the slice as much as one other. */
static void slice_charge_zeroes(struct slice *s, unsigned count)
{
	s->left -= MIN(s->left - 1, count / 8);
}

static bool eight_zeroes(const uint64_t *e)
{
	return !(e[0] | e[1] | e[2] | e[3] | e[4] | e[5] | e[6] | e[7]);
}

/* Where entries of zero that begin at i end; not beyond end, a multiple of 8. Most tables are nearly empty. */
static unsigned zeroes_end(const uint64_t *table, unsigned i, unsigned end)
{
	while (i < end && !table[i])
		i += i % 8 || !eight_zeroes(table + i) ? 1 : 8;
	return i;
}

/* Where entries of zero that end before i begin. */
static unsigned zeroes_begin(const uint64_t *table, unsigned i)
{
	while (i && !table[i - 1])
		i -= i % 8 || !eight_zeroes(table + i - 8) ? 1 : 8;
	return i;
}

/* build_step() of an L1 table, from the entry in f->progress. */
static int build_l1(struct domain_mm *d, struct frame *f, struct slice *s)
{
	uint64_t *table = mfn_map_own(frame_mfn(f)), not_plain = l1e_not_plain();
	unsigned i = f->progress;
	int rc = 0;

	while (i < TABLE_ENTRIES) {
		uint64_t e = table[i];
		unsigned first = i;

		if (slice_over(s)) {
			rc = -ERESTART_HV;
			break;
		}
		if (!e) {
			i = zeroes_end(table, i, TABLE_ENTRIES);
			slice_charge_zeroes(s, i - first);
			continue;
		}
		if (likely(l1e_get_plain(d, d, e, not_plain)))
			e |= PTE_US;
		else
			rc = l1e_get(d, d, &e);
		if (unlikely(rc))
			break;
		if (table[i] != e)
			WRITE_ONCE(table[i], e);
		i++;
	}
	f->progress = (uint16_t)i;
	return rc;
}

/* Builds the next entries of one table. 0: complete; 1: *child has to be built first; -EINVAL, -ERESTART_HV. */
static int build_step(struct domain_mm *d, struct frame *f, enum ptype level, struct slice *s,
                      struct frame **child)
{
	uint64_t *table = mfn_map_own(frame_mfn(f));
	unsigned i = f->progress;
	int rc = 0;

	if (level == PTYPE_L1)
		return build_l1(d, f, s);
	while (i < TABLE_ENTRIES) {
		uint64_t e = table[i];
		unsigned first = i;

		if (slice_over(s)) {
			rc = -ERESTART_HV;
			break;
		}
		if (slot_is_hv(level, i)) {
			if (d->linear_l4)
				l4_close(f);
			else
				pt_fill_hv_slots(d, table);
			i = HV_L4_LAST + 1;
			continue;
		}
		if (!e) {
			i = zeroes_end(table, i,
			               level == PTYPE_L4 && i < HV_L4_FIRST ? HV_L4_FIRST : TABLE_ENTRIES);
			slice_charge_zeroes(s, i - first);
			continue;
		}
		rc = upper_check(d, level, &e);
		if (!rc && (e & PTE_P)) {
			rc = table_hold(d, PTE_MFN(e).m, level - 1, child);
			if (rc == -EINVAL)
				rc = linear_hold(d, f, level, e);
		}
		if (rc)
			break;
		if (table[i] != e)
			WRITE_ONCE(table[i], e);
		i++;
	}
	f->progress = (uint16_t)i;
	return rc;
}

/*
 * Builds root, which is BUILDING:
 * 1. go on where the topmost frame of the stack stands; an entry that names a table to be built pushes it;
 * 2. a complete table becomes VALID with one reference: that of the entry of the frame below, or the caller's;
 *    the frame below sees it VALID when it comes to that entry again, so hand over by dropping to it directly;
 * 3. an entry that is refused undoes all frames on the stack through the release queue.
 */
static int table_build(struct domain_mm *d, struct frame *root, struct slice *s)
{
	struct frame *stack[4], *child = NULL;
	unsigned depth = 0;

	stack[0] = root;
	for (;;) {
		struct frame *f = stack[depth];
		enum ptype level = type_of(f->type);
		int rc = build_step(d, f, level, s, &child);

		if (rc == 1) {
			stack[++depth] = child;
			continue;
		}
		if (rc == -ERESTART_HV)
			return rc;
		if (rc) {
			for (unsigned i = 0; i <= depth; i++) {
				dirty_log_mark(d, frame_mfn(stack[i]));
				type_abandon(d, stack[i]);
			}
			(void)type_drain(d, s);
			return rc;
		}
		__atomic_store_n(&f->type, type_word(f->type, level, TYPE_VALID | 1), __ATOMIC_SEQ_CST);
		dirty_log_mark(d, frame_mfn(f)); /* its entries have been given bits that they lacked */
		if (level == PTYPE_L4)
			l4_changed(d);
		if (!depth)
			return 0;
		f = stack[--depth];
		((uint64_t *)mfn_map_own(frame_mfn(f)))[f->progress] |= PTE_US;
		f->progress++;
	}
}

int type_get_table(struct domain_mm *d, uint64_t mfn, enum ptype level, struct slice *s)
{
	struct frame *f;
	int rc = level == PTYPE_L4 ? perdomain_init(d) : 0;

	if (!rc)
		rc = table_hold(d, mfn, level, &f);
	return rc == 1 ? table_build(d, f, s) : rc;
}

void type_put_table(struct domain_mm *d, struct frame *f)
{
	uint64_t x = READ_ONCE(f->type);

	CHECK((x & TYPE_VALID) && (x & TYPE_COUNT) && type_is_table(type_of(x)) && f->owner == d);
	if ((x & TYPE_COUNT) > 1) {
		/* Under the lock nobody else changes the word of a valid table. */
		__atomic_store_n(&f->type, x - 1, __ATOMIC_SEQ_CST);
		count_dec(f);
		return;
	}
	CHECK(!(x & TYPE_PINNED));
	f->progress = TABLE_ENTRIES;
	release_push(d, f, type_of(x));
}

/* Gives back what entries [0, progress) of the first frame of the queue hold; tables that become unused join
 * the queue in front of it. */
static int release_step(struct domain_mm *d, struct frame *f, struct slice *s)
{
	enum ptype level = type_of(f->type);
	uint64_t *table = mfn_map_own(frame_mfn(f));
	unsigned i = f->progress;

	while (i) {
		unsigned last = i;
		uint64_t e;

		if (slice_over(s)) {
			f->progress = (uint16_t)i;
			return -ERESTART_HV;
		}
		if (!table[i - 1]) {
			i = zeroes_begin(table, i);
			slice_charge_zeroes(s, last - i);
			continue;
		}
		i--;
		e = READ_ONCE(table[i]);
		if (level == PTYPE_L1) {
			l1e_put(e);
		} else if (slot_is_hv(level, i)) {
			table[i] = 0;
		} else if (e & PTE_P) {
			type_put_entry(d, f, level, e);
			if (d->release_head != f) {
				f->progress = (uint16_t)i;
				return 0;
			}
		}
	}
	f->progress = 0;
	d->release_head = f->next_release;
	f->next_release = NULL;
	WRITE_ONCE(f->tlb_stamp, tlb_clock());
	__atomic_store_n(&f->type, type_word(f->type, level, 0), __ATOMIC_SEQ_CST);
	count_dec(f);
	return 0;
}

int type_drain(struct domain_mm *d, struct slice *s)
{
	int rc = 0;

	while (d->release_head && !rc)
		rc = release_step(d, d->release_head, s);
	return rc;
}
