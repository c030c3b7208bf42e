/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine-to-physical table is there for a guest's kernel, whichever table it loads, and not for user programs, which
 * have tables of their own. (Stock Xen shows it to them where it has xpti, and not always to a kernel where it has not.)
 */
#include "guest.h"

const char test_name[] = "m2p-user";

#define M2P 0xffff800000000000ul

static void user_reads(void)
{
	__asm__ volatile("movabs $0xffff800000000000, %%rax; mov (%%rax), %%rax; syscall"
	                 :
	                 :
	                 : "rax", "rcx", "r11", "memory");
}

/* It knows where the page of the tables is that it runs on. */
static void kernel_reads(void *pt)
{
	EXPECT_EQ(((uint64_t *)M2P)[mfn_of(pt)], ((unsigned long)pt - VIRT_BASE) / PAGE);
}

/* A copy of the kernel's top table, validated. */
static void *new_l4(void)
{
	uint64_t *l4 = page_alloc();

	memcpy(l4, entry_of((void *)VIRT_BASE, 4) - (VIRT_BASE >> 39 & 511), PAGE);
	for (unsigned i = 256; i < 272; i++)
		l4[i] = 0;
	EXPECT_EQ(map_read_only(l4), 0);
	EXPECT_EQ(mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(l4), 0), 0);
	return l4;
}

static void user_cannot_read(bool ours)
{
	struct user_result r = user_run(user_reads);

	if (!ours)
		return;
	EXPECT_EQ(r.vector, 14);
	EXPECT_EQ(r.cr2, M2P);
}

static void load(unsigned cmd, void *l4)
{
	EXPECT_EQ(mmuext(cmd, mfn_of(l4), 0), 0);
}

void run(void)
{
	void *first = (void *)start_info->pt_base, *second = new_l4(), *user = new_l4();
	bool ours = is_xylem();

	load(MMUEXT_NEW_USER_BASEPTR, user);
	user_cannot_read(ours);
	EXPECT_EQ(guarded(kernel_reads, first).vector, -1);
	load(MMUEXT_NEW_BASEPTR, second);
	user_cannot_read(ours);
	if (ours) {
		EXPECT_EQ(guarded(kernel_reads, second).vector, -1);
		/* They may change places. */
		load(MMUEXT_NEW_BASEPTR, user);
		EXPECT_EQ(guarded(kernel_reads, user).vector, -1);
		load(MMUEXT_NEW_USER_BASEPTR, second);
		user_cannot_read(ours);
		/* One table for both, which the kernel needs. */
		load(MMUEXT_NEW_USER_BASEPTR, user);
		EXPECT_EQ(guarded(kernel_reads, user).vector, -1);
	}
	load(MMUEXT_NEW_BASEPTR, first);
}
