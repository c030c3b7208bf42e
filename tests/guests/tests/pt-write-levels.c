/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stores into page tables are carried out for L1 tables alone: in one of a higher level they are page faults */
#include "guest.h"

const char test_name[] = "pt-write-levels";

static uint64_t *slot, value;

static void store(void *unused)
{
	(void)unused;
	*(volatile uint64_t *)slot = value;
}

static void exchange(void *unused)
{
	(void)unused;
	(void)__atomic_exchange_n(slot, value, __ATOMIC_SEQ_CST);
}

static void set_bit(void *unused)
{
	(void)unused;
	__asm__ volatile("lock btsq $9, %0" : "+m"(*slot));
}

static void byte(void *unused)
{
	(void)unused;
	*(volatile uint8_t *)slot = (uint8_t)value;
}

static void try_all(int level, bool empty)
{
	void (*const ways[])(void *) = { store, exchange, set_bit, byte };
	uint64_t before = *slot;

	value = before;
	for (unsigned i = 0; i < 4; i++) {
		struct fault f = guarded(ways[i], NULL);

		if (level == 1 && !empty) {
			EXPECT_EQ(f.vector, -1);
			continue;
		}
		if (f.vector != 14)
			FAIL("level %d, way %u: vector %d", level, i, f.vector);
		EXPECT_EQ(f.error & 3, 3);
		EXPECT_EQ(f.cr2, (unsigned long)slot);
		EXPECT_EQ(*slot, before);
	}
}

void run(void)
{
	char *page = page_alloc();

	EXPECT_EQ(HC(vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
	for (int level = 1; level <= 4; level++) {
		slot = (uint64_t *)entry_of(page, level);
		try_all(level, false);
	}
	/* An entry that is not in use yet, and one of the hypervisor's. */
	for (int level = 2; level <= 4; level++) {
		uint64_t *table = (uint64_t *)((unsigned long)entry_of(page, level) & ~(PAGE - 1));

		slot = &table[level == 4 ? 10 : 500];
		EXPECT_EQ(*slot, 0);
		try_all(level, true);
	}
	slot = (uint64_t *)((unsigned long)entry_of(page, 4) & ~(PAGE - 1)) + 260;
	try_all(4, true);
	/* And a table of a higher level that is none yet is ordinary memory. */
	slot = page_alloc();
	value = *entry_of(page, 4);
	store(NULL);
	EXPECT_EQ(*slot, value);
}
