/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A store into a page table is carried out for a guest that has asked for it (VMASST_TYPE_writable_pagetables), and is
 * the page fault of one that has not. Xen carries out dom0's either way.
 */
#include "pair.h"

const char test_name[] = "pair-assist";

static struct child child;
static volatile uint64_t *slot;

static void store(void *value)
{
	*slot = (uint64_t)value;
}

/* Whether a store of that value changes the entry; it faults, or else it does. */
static bool stores(uint64_t value)
{
	uint64_t before = *slot;
	struct fault f = guarded(store, (void *)value);

	EXPECT(f.vector == -1 || f.vector == 14);
	if (f.vector == -1) {
		EXPECT_EQ(*slot & ADDR, value & ADDR);
		return true;
	}
	EXPECT_EQ(f.error & 3, 3);
	EXPECT_EQ(f.cr2, (unsigned long)slot);
	EXPECT_EQ(*slot, before);
	return false;
}

static void ask(int command)
{
	EXPECT_EQ(HC(vm_assist, (unsigned)command, VMASST_TYPE_writable_pagetables), 0);
}

static void try_both(bool without)
{
	char *page = page_alloc(), *other = page_alloc();

	slot = (volatile uint64_t *)entry_of(page, 1);
	EXPECT_EQ(stores(PTE(mfn_of(other))), without);
	ask(VMASST_CMD_enable);
	EXPECT(stores(PTE(mfn_of(other))));
	EXPECT(stores(0));
	ask(VMASST_CMD_disable);
	EXPECT_EQ(stores(PTE(mfn_of(other))), without);
}

void child_run(void)
{
	try_both(false);
	child_step(1);
}

void run(void)
{
	try_both(true);
	child_build(&child, 0, 1);
	child_unpause(&child);
	child_wait_step(&child, 1);
	child_destroy(&child);
	while (child_exists(&child))
		rest();
}
