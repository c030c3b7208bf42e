/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each worker runs on a tree of page tables of its own, which has the kernel's L4 entries and maps some of its pages at
 * TREE_VA. Again and again it makes a new one of pages that were data, and the old one's pages become data.
 *
 * libxc asks what a page is, and looks into it some time later; what was an L4 then, and is data now, may have entries that it
 * takes for superpages, and it gives up ("Cannot migrate superpage"). For live migrations by libxc tables are thus kept
 * empty for a while ("retire=MILLISECONDS" on the command line) before they become data.
 */
#include "checker.h"

static void *tree_va(unsigned n)
{
	return (void *)(TREE_VA + n * PAGE);
}

unsigned long tree_root(const struct worker *w)
{
	return w->tree.table[0] == NO_PAGE ? mfn_of((void *)start_info->pt_base) : page_mfn(w->tree.table[3]);
}

static void fill_tables(struct worker *w, struct tree *t)
{
	const uint64_t *kernel = (const uint64_t *)start_info->pt_base;
	uint64_t *l1;

	for (unsigned i = 0; i < 4; i++) {
		uint64_t *table = page_va(t->table[i] = page_take(w));

		memset(table, 0, PAGE);
		if (i)
			table[i == 3 ? TREE_VA >> 39 : 0] = PTE(page_mfn(t->table[i - 1]));
		if (i == 3)
			memcpy(table + 272, kernel + 272, (512 - 272) * sizeof(*table));
	}
	l1 = page_va(t->table[0]);
	for (unsigned i = 0; i < TREE_PAGES; i++)
		l1[i] = PTE(page_mfn(t->data[i] = page_take(w)));
	for (unsigned i = 0; i < 4; i++)
		page_protect(t->table[i], true);
}

void tree_pin(struct worker *w)
{
	if (w->tree.table[0] == NO_PAGE || w->tree.pinned)
		return;
	EXPECT_EQ(mmuext(MMUEXT_PIN_L4_TABLE, page_mfn(w->tree.table[3]), 0), 0);
	w->tree.pinned = true;
}

static void retire(struct worker *w, unsigned long pfn)
{
	unsigned at = (w->retired_first + w->retired_count++) % RETIRED;

	memset(page_va(pfn), 0, PAGE);
	w->retired[at] = pfn;
	w->retired_ns[at] = system_time_ns();
}

/* Those whose time is up become data. Whether there is room for four more. */
static bool reuse_retired(struct worker *w)
{
	uint64_t now = system_time_ns();

	while (w->retired_count && w->retired_ns[w->retired_first] + retire_ns <= now) {
		page_put(w->retired[w->retired_first], true);
		w->retired_first = (w->retired_first + 1) % RETIRED;
		w->retired_count--;
	}
	return w->retired_count <= RETIRED - 4;
}

/* One that nobody runs on. */
static void take_down(struct worker *w, struct tree *t)
{
	if (t->pinned)
		EXPECT_EQ(mmuext(MMUEXT_UNPIN_TABLE, page_mfn(t->table[3]), 0), 0);
	if (t->l1_pinned)
		EXPECT_EQ(mmuext(MMUEXT_UNPIN_TABLE, page_mfn(t->table[0]), 0), 0);
	for (unsigned i = 0; i < 4; i++) {
		page_protect(t->table[i], false);
		if (retire_ns)
			retire(w, t->table[i]);
		else
			page_put(t->table[i], true);
	}
	for (unsigned i = 0; i < TREE_PAGES; i++) {
		page_check(t->data[i], page_va(t->data[i]), "its place after a tree");
		page_put(t->data[i], false);
	}
}

static void use_tree(struct worker *w)
{
	for (unsigned i = 0; i < TREE_PAGES; i++) {
		page_check(w->tree.data[i], tree_va(i), "its tree");
		if (i % 4 == 0)
			page_write(w->tree.data[i], tree_va(i));
	}
}

void tree_fork(struct worker *w)
{
	struct tree old = w->tree;
	uint64_t how = random_next(w);

	if (!reuse_retired(w))
		return;
	w->tree = (struct tree){ .pinned = false };
	fill_tables(w, &w->tree);
	if (how & 1) {
		EXPECT_EQ(mmuext(MMUEXT_PIN_L1_TABLE, page_mfn(w->tree.table[0]), 0), 0);
		w->tree.l1_pinned = true;
	}
	if (how & 6) /* else it is loaded as it is, and pinned before a suspend */
		tree_pin(w);
	EXPECT_EQ(mmuext(MMUEXT_NEW_BASEPTR, tree_root(w), 0), 0);
	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, how & 8 ? tree_root(w) : 0, 0), 0);
	if (old.table[0] != NO_PAGE)
		take_down(w, &old);
	use_tree(w);
}

/* An entry of the tree that is loaded becomes another page's; its L1 is taken out and put in again. */
void tree_change(struct worker *w)
{
	unsigned n = (unsigned)(random_next(w) % TREE_PAGES);
	struct tree *t = &w->tree;
	unsigned long new;
	uint64_t pte, *l1;

	if (t->table[0] == NO_PAGE)
		return;
	new = page_take(w);
	pte = PTE(page_mfn(new));
	l1 = page_va(t->table[0]);
	if (random_next(w) % 2)
		*(volatile uint64_t *)&l1[n] = pte;
	else
		EXPECT_EQ(mmu_update(page_mfn(t->table[0]) * PAGE + n * 8, pte), 0);
	EXPECT_EQ(mmuext(MMUEXT_INVLPG_LOCAL, (unsigned long)tree_va(n), 0), 0);
	page_put(t->data[n], true);
	t->data[n] = new;
	if (random_next(w) % 4 == 0) {
		uint64_t at = page_mfn(t->table[1]) * PAGE;

		EXPECT_EQ(mmu_update(at, 0), 0);
		EXPECT_EQ(mmu_update(at, PTE(page_mfn(t->table[0]))), 0);
		EXPECT_EQ(mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
	}
	use_tree(w);
}
