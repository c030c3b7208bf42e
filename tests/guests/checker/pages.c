/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pages that are checked: all that the builder has not used. Each belongs to one worker, by its pfn, and holds a sequence
 * that follows from a seed and its stamp: its own pfn and a generation, or another page's of which it is a copy. They lie behind the kernel, at VIRT_BASE + pfn * PAGE.
 */
#include "checker.h"

#define SEED     0x6a09e667f3bcc908ul
#define REPORTED 20u
#define TO_SELF \
	8u /* references: one of each worker's for itself, one for domain 0; below are the tool stack's */
#define TO_DOM0 (TO_SELF + WORKERS)
#define BATCH   8u

static uint32_t generation[PAGES_MAX];
static uint64_t stamp[PAGES_MAX]; /* 0: it is empty */
static bool taken[PAGES_MAX];
static unsigned long first, end; /* pfns */
static uint64_t wrong;

void *page_va(unsigned long pfn)
{
	return (void *)(VIRT_BASE + pfn * PAGE);
}

unsigned long page_mfn(unsigned long pfn)
{
	return mfn_of(page_va(pfn));
}

unsigned long pages_count(void)
{
	return end - first;
}

uint64_t pages_wrong(void)
{
	return __atomic_load_n(&wrong, __ATOMIC_RELAXED);
}

/* ---- contents ---- */

/* The first word of a page's sequence, and the difference to the next. */
static uint64_t first_word(unsigned long pfn, uint64_t *step)
{
	uint64_t x = (SEED ^ stamp[pfn]) * 0x9e3779b97f4a7c15ul;

	*step = stamp[pfn] ? 0xd1342543de82ef95ul : 0;
	return stamp[pfn] ? x ^ x >> 29 : 0;
}

static void report(unsigned long pfn, unsigned at, uint64_t expected, uint64_t found, const char *by)
{
	unsigned byte = 0;

	while ((uint8_t)(expected >> 8 * byte) == (uint8_t)(found >> 8 * byte))
		byte++;
	if (__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED) <= REPORTED)
		say("checker: wrong: pfn %#lx (mfn %#lx) stamp %#lx, byte %u: %#x expected, %#x found, word %#lx, by %s",
		    pfn, page_mfn(pfn), stamp[pfn], at * 8 + byte, (uint8_t)(expected >> 8 * byte),
		    (uint8_t)(found >> 8 * byte), found, by);
}

void page_check(unsigned long pfn, const void *at, const char *by)
{
	const volatile uint64_t *word = at;
	uint64_t step, x = first_word(pfn, &step);

	for (unsigned i = 0; i < PAGE / 8; i++, x += step) {
		uint64_t found = word[i];

		if (found != x) {
			report(pfn, i, x, found, by);
			return;
		}
	}
}

void page_write(unsigned long pfn, void *at)
{
	uint64_t *word = at, step, x;

	stamp[pfn] = (uint64_t)pfn << 32 | ++generation[pfn];
	x = first_word(pfn, &step);
	for (unsigned i = 0; i < PAGE / 8; i++, x += step)
		word[i] = x;
}

/* ---- who has them ---- */

static unsigned long own(const struct worker *w, unsigned long n)
{
	return first + n % (pages_count() / worker_count) * worker_count + w->id;
}

unsigned long page_take(struct worker *w)
{
	unsigned long pfn;

	do
		pfn = own(w, random_next(w));
	while (taken[pfn]);
	taken[pfn] = true;
	return pfn;
}

void page_put(unsigned long pfn, bool rewrite)
{
	if (rewrite)
		page_write(pfn, page_va(pfn));
	taken[pfn] = false;
}

void page_protect(unsigned long pfn, bool read_only)
{
	unsigned long mfn = page_mfn(pfn);

	EXPECT_EQ(HC(update_va_mapping, page_va(pfn), read_only ? PTE_RO(mfn) : PTE(mfn),
	             UVMF_INVLPG | UVMF_ALL),
	          0);
}

/* ---- what is done to them ---- */

static void rewrite(struct worker *w)
{
	unsigned long pfn = page_take(w);

	page_check(pfn, page_va(pfn), "a load");
	page_put(pfn, true);
}

/* Out of its place, and back into it, in each way that there is. */
static void remap(struct worker *w)
{
	struct mmu_update out[BATCH], in[BATCH];
	unsigned long pfn[BATCH];
	unsigned way = (unsigned)random_next(w) % 3;

	for (unsigned i = 0; i < BATCH; i++) {
		void *va = page_va(pfn[i] = page_take(w));
		uint64_t pte = PTE(page_mfn(pfn[i]));

		out[i] = (struct mmu_update){ entry_maddr(va, 1) | MMU_NORMAL_PT_UPDATE, 0 };
		in[i] = (struct mmu_update){ out[i].ptr, pte };
		if (way == 0) {
			*(volatile uint64_t *)entry_of(va, 1) = 0;
			*(volatile uint64_t *)entry_of(va, 1) = pte;
		} else if (way == 1) {
			EXPECT_EQ(map(va, 0), 0);
			EXPECT_EQ(map(va, pte), 0);
		}
	}
	if (way == 2) {
		EXPECT_EQ(HC(mmu_update, out, BATCH, NULL, DOMID_SELF), 0);
		EXPECT_EQ(HC(mmu_update, in, BATCH, NULL, DOMID_SELF), 0);
	}
	for (unsigned i = 0; i < BATCH; i++) {
		page_check(pfn[i], page_va(pfn[i]), "a page that was mapped anew");
		page_put(pfn[i], true);
	}
}

/* In another place too, which is written. */
static void window(struct worker *w)
{
	struct mmu_update u[WINDOW];
	unsigned long pfn[WINDOW];

	for (unsigned i = 0; i < WINDOW; i++) {
		pfn[i] = page_take(w);
		u[i] = (struct mmu_update){ entry_maddr(w->window[i], 1) | MMU_NORMAL_PT_UPDATE,
			                    PTE(page_mfn(pfn[i])) };
	}
	EXPECT_EQ(HC(mmu_update, u, WINDOW, NULL, DOMID_SELF), 0);
	EXPECT_EQ(mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
	for (unsigned i = 0; i < WINDOW; i++) {
		page_check(pfn[i], w->window[i], "a window");
		page_write(pfn[i], w->window[i]);
		u[i].val = 0;
	}
	EXPECT_EQ(HC(mmu_update, u, WINDOW, NULL, DOMID_SELF), 0);
	EXPECT_EQ(mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
	for (unsigned i = 0; i < WINDOW; i++) {
		page_check(pfn[i], page_va(pfn[i]), "its place after a window");
		page_put(pfn[i], false);
	}
}

/* What the hypervisor has written stays as it is: nothing else tells a dirty log of it. */
static void became_copy(unsigned long from, unsigned long to, const char *by)
{
	stamp[to] = stamp[from];
	page_check(to, page_va(to), by);
	page_put(to, false);
	page_put(from, false);
}

static void clear_by_mmuext(struct worker *w)
{
	unsigned long pfn = page_take(w);

	EXPECT_EQ(mmuext(MMUEXT_CLEAR_PAGE, page_mfn(pfn), 0), 0);
	stamp[pfn] = 0;
	page_check(pfn, page_va(pfn), "MMUEXT_CLEAR_PAGE");
	page_put(pfn, false);
}

static void copy_by_mmuext(struct worker *w)
{
	unsigned long from = page_take(w), to = page_take(w);
	struct mmuext_op op = { .cmd = MMUEXT_COPY_PAGE };

	op.arg1.mfn = page_mfn(to);
	op.arg2.src_mfn = page_mfn(from);
	EXPECT_EQ(HC(mmuext_op, &op, 1, NULL, DOMID_SELF), 0);
	became_copy(from, to, "MMUEXT_COPY_PAGE");
}

static void grant(uint32_t ref, domid_t to, unsigned long pfn, bool read_only)
{
	grants[ref].domid = to;
	grants[ref].frame = (uint32_t)page_mfn(pfn);
	__atomic_store_n(&grants[ref].flags, GTF_permit_access | (read_only ? GTF_readonly : 0),
	                 __ATOMIC_RELEASE);
}

static void grant_end(uint32_t ref)
{
	uint16_t flags = __atomic_exchange_n(&grants[ref].flags, 0, __ATOMIC_ACQ_REL);

	if (!(flags & GTF_permit_access) || flags & (GTF_reading | GTF_writing))
		FAIL("grant %u has flags %#x when it ends", ref, flags);
}

static void copy_by_grant(struct worker *w)
{
	unsigned long from = page_take(w), to = page_take(w);
	struct gnttab_copy c = { .len = PAGE, .flags = GNTCOPY_source_gref };

	grant(TO_SELF + w->id, me, from, true);
	c.source.u.ref = TO_SELF + w->id;
	c.source.domid = me;
	c.dest.u.gmfn = page_mfn(to);
	c.dest.domid = DOMID_SELF;
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_copy, &c, 1), 0);
	EXPECT_EQ(c.status, GNTST_okay);
	grant_end(TO_SELF + w->id);
	became_copy(from, to, "GNTTABOP_copy");
}

static void map_grant(struct worker *w)
{
	unsigned long pfn = page_take(w);
	struct gnttab_map_grant_ref m = { .flags = GNTMAP_host_map, .dom = me, .ref = TO_SELF + w->id };
	struct gnttab_unmap_grant_ref u = { 0 };

	grant(m.ref, me, pfn, false);
	m.host_addr = u.host_addr = (unsigned long)w->window[0];
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
	EXPECT_EQ(m.status, GNTST_okay);
	page_check(pfn, w->window[0], "a grant");
	page_write(pfn, w->window[0]);
	u.handle = m.handle;
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1), 0);
	EXPECT_EQ(u.status, GNTST_okay);
	grant_end(m.ref);
	page_check(pfn, page_va(pfn), "its place after a grant");
	page_put(pfn, false);
}

/* One page stays granted, also over a suspend. */
static void grant_other(struct worker *w)
{
	uint32_t ref = TO_DOM0 + w->id;

	if (w->granted != NO_PAGE) {
		if (grants[ref].frame != page_mfn(w->granted))
			FAIL("grant %u is of frame %#x, and not of %#lx", ref, grants[ref].frame,
			     page_mfn(w->granted));
		grant_end(ref);
		page_check(w->granted, page_va(w->granted), "the page that was granted");
		page_put(w->granted, true);
	}
	w->granted = page_take(w);
	grant(ref, 0, w->granted, false);
}

void pages_regrant(struct worker *w)
{
	if (w->granted != NO_PAGE)
		grant(TO_DOM0 + w->id, 0, w->granted, false);
}

/* All of them in their turn: what nobody has touched for long is right, too. */
static void sweep(struct worker *w)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned long pfn = own(w, w->swept++);

		if (!taken[pfn])
			page_check(pfn, page_va(pfn), "the sweep");
	}
}

void pages_round(struct worker *w)
{
	static void (*const operations[])(struct worker *) = {
		rewrite,         rewrite,        remap,         window,    tree_change, tree_fork,
		clear_by_mmuext, copy_by_mmuext, copy_by_grant, map_grant, grant_other,
	};

	for (unsigned i = 0; i < 6; i++)
		operations[random_next(w) % (sizeof(operations) / sizeof(operations[0]))](w);
	sweep(w);
}

/* ---- the beginning ---- */

static bool is_mapped(unsigned long pfn)
{
	const void *va = page_va(pfn);

	for (int level = 4; level; level--)
		if (!(*entry_of(va, level) & P))
			return false;
	return true;
}

/* The builder's tables end a little behind what it put there: the rest is mapped by more of them. */
void pages_init(void)
{
	end = start_info->nr_pages;
	if (end > PAGES_MAX)
		end = PAGES_MAX;
	first = (start_info->pt_base - VIRT_BASE) / PAGE;
	while (is_mapped(first))
		first++;
	for (unsigned long pfn = first; pfn < end;) {
		unsigned long at = pfn & ~511ul, stop = at + 512 < end ? at + 512 : end;
		uint64_t *table;

		if (*entry_of(page_va(pfn), 2) & P) {
			for (; pfn < stop; pfn++)
				EXPECT_EQ(map(page_va(pfn), PTE(page_mfn(pfn))), 0);
			continue;
		}
		table = page_alloc();
		for (; pfn < stop; pfn++)
			table[pfn - at] = PTE(page_mfn(pfn));
		EXPECT_EQ(map_read_only(table), 0);
		EXPECT_EQ(mmu_update(entry_maddr(page_va(at), 2), PTE(mfn_of(table))), 0);
	}
	for (unsigned long pfn = first; pfn < end; pfn++)
		page_write(pfn, page_va(pfn));
}
