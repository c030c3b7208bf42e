/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stores into a read-only mapped page table are carried out with validation */
#include "guest.h"

const char test_name[] = "pt-write-emulation";

static uint64_t *slot;

static void store_bad(void *value)
{
	*(volatile uint64_t *)slot = (uint64_t)value;
}

void run(void)
{
	char *page = page_alloc(), *other = page_alloc();
	uint64_t old, expected, bad = PTE(mfn_of((void *)start_info->pt_base));
	struct fault f;

	EXPECT_EQ(HC(vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
	slot = (uint64_t *)entry_of(page, 1);
	other[0] = 42;
	*(volatile uint64_t *)slot = PTE(mfn_of(other));
	EXPECT_EQ(*slot & ADDR, PTE(mfn_of(other)) & ADDR);
	EXPECT_EQ(mmuext(MMUEXT_INVLPG_LOCAL, (unsigned long)page, 0), 0);
	EXPECT_EQ(page[0], 42);
	old = __atomic_exchange_n(slot, PTE_RO(mfn_of(other)), __ATOMIC_SEQ_CST);
	EXPECT_EQ(old & ADDR, PTE(mfn_of(other)) & ADDR);
	EXPECT(!(*slot & RW));
	expected = *slot;
	EXPECT(__atomic_compare_exchange_n(slot, &expected, PTE(mfn_of(page)), false, __ATOMIC_SEQ_CST,
	                                   __ATOMIC_SEQ_CST));
	EXPECT(*slot & RW);
	expected = 1;
	EXPECT(!__atomic_compare_exchange_n(slot, &expected, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	EXPECT_EQ(expected, *slot);
	__asm__ volatile("lock btrq $1, %0" : "+m"(*slot));
	EXPECT(!(*slot & RW));
	__asm__ volatile("lock btsq $1, %0" : "+m"(*slot));
	EXPECT(*slot & RW);
	__asm__ volatile("lock andq %1, %0" : "+m"(*slot) : "r"(~RW));
	EXPECT(!(*slot & RW));
	__asm__ volatile("lock orq %1, %0" : "+m"(*slot) : "r"(RW));
	EXPECT(*slot & RW);
	/* Bytes and halves of an entry, as a kernel on one CPU clears single bits. */
	__asm__ volatile("andb $0xfd, %0" : "+m"(*(char *)slot));
	EXPECT(!(*slot & RW));
	__asm__ volatile("orb $2, %0" : "+m"(*(char *)slot));
	EXPECT(*slot & RW);
	__asm__ volatile("btrl $1, %0" : "+m"(*(int *)slot));
	EXPECT(!(*slot & RW));
	__asm__ volatile("btsl $1, %0" : "+m"(*(int *)slot));
	__asm__ volatile("movb %1, 7+%0" : "+m"(*(char *)slot) : "q"((char)(*slot >> 56)));
	EXPECT(*slot & RW);
	f = guarded(store_bad, (void *)bad);
	EXPECT_EQ(f.vector, 14);
	EXPECT_EQ(f.error & 3, 3);
	EXPECT_EQ(f.cr2, (unsigned long)slot);
	EXPECT_EQ(*slot & ADDR, PTE(mfn_of(page)) & ADDR);
}
