/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests with linear L4 entries: stacks whose addresses lead through them to the hypervisor's slots (an iret frame, an
 * exception frame, a user program's system call) end the guest and nothing else; one that dies or is destroyed with its
 * linear entries leaves nothing behind; two vcpus make, use and drop them at the same time.
 */
#include "pair.h"

const char test_name[] = "pair-linear";

#define LINEAR(mfn) ((uint64_t)(mfn) << 12 | P | US | A)
#define SLOT        10

enum { IRET, EXCEPTION, SYSTEM_CALL, WAYS, RACE = WAYS, DIE };

static struct child child;
static char stack[16384] __attribute__((aligned(4096)));

static uint64_t make_address(unsigned i4, unsigned i3, unsigned i2, unsigned i1)
{
	return (uint64_t)i4 << 39 | (uint64_t)i3 << 30 | (uint64_t)i2 << 21 | (uint64_t)i1 << 12;
}

/* ---- the guest ---- */

static void iret_from(uint64_t sp)
{
	__asm__ volatile("movq %0, %%rsp; movl %1, %%eax; syscall; ud2"
	                 :
	                 : "r"(sp), "i"(__HYPERVISOR_iret)
	                 : "memory");
}

static void exception_on(uint64_t sp)
{
	__asm__ volatile("movq %0, %%rsp; ud2" : : "r"(sp) : "memory");
}

static void user_program(void)
{
	for (;;)
		__asm__ volatile("syscall" : : "a"(0) : "rcx", "r11", "memory");
}

static volatile bool second_ready;
static uint64_t *page_of[2];
static bool ours;

/* Makes and drops linear entries of both tables, looks through them, makes L4s with them and drops those. */
static void race(unsigned slot, uint64_t *own)
{
	const uint64_t *current = (const uint64_t *)start_info->pt_base;
	unsigned long l4 = mfn_of(current), base = l4 * PAGE;

	own[511] = current[511];
	own[SLOT] = LINEAR(mfn_of(own));
	for (unsigned n = 0; n < 300; n++) {
		EXPECT_EQ(mmu_update(base + slot * 8, LINEAR(l4)), 0);
		EXPECT_EQ(((volatile uint64_t *)make_address(slot, slot, slot, slot))[511] & ADDR,
		          current[511] & ADDR);
		EXPECT_EQ(HC(xen_version, XENVER_extraversion, make_address(slot, 256 + n % 16, n % 512, 0)),
		          -EFAULT);
		if (ours) /* stock Xen reads its own tables there */
			EXPECT_EQ(HC(mmu_update, make_address(slot, slot, 256 + n % 16, n % 512), 1, NULL,
			             DOMID_SELF),
			          -EFAULT);
		EXPECT_EQ(map_read_only(own), 0);
		EXPECT_EQ(mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(own), 0), 0);
		EXPECT_EQ(mmu_update(base + (slot + 1) * 8, LINEAR(mfn_of(own))), 0);
		EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of(own), 0), 0);
		EXPECT_EQ(mmuext(MMUEXT_UNPIN_TABLE, mfn_of(own), 0), 0);
		EXPECT_EQ(((volatile uint64_t *)make_address(slot + 1, SLOT, SLOT, SLOT))[511] & ADDR,
		          current[511] & ADDR);
		EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
		EXPECT_EQ(mmu_update(base + (slot + 1) * 8, 0), 0);
		EXPECT_EQ(mmu_update(base + slot * 8, 0), 0);
		EXPECT_EQ(mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0);
		EXPECT_EQ(map_writable(own), 0);
	}
}

static void second(void)
{
	entry_points();
	second_ready = true;
	race(SLOT + 2, page_of[1]);
	box->word[3] = 1;
	for (;;)
		HC(sched_op, SCHEDOP_yield, NULL);
}

static void start_second(void)
{
	child_second_vcpu(second, stack + sizeof(stack));
	while (!second_ready)
		HC(sched_op, SCHEDOP_yield, NULL);
}

void child_run(void)
{
	unsigned long l4 = mfn_of((void *)start_info->pt_base);
	unsigned long way = box->word[0], sp = box->word[1];

	if (way == RACE) {
		ours = is_xylem();
		page_of[0] = page_alloc();
		page_of[1] = page_alloc();
		start_second();
		race(SLOT, page_of[0]);
		while (!box->word[3])
			HC(sched_op, SCHEDOP_yield, NULL);
		box->step = 2;
		return;
	}
	EXPECT_EQ(mmu_update(l4 * PAGE + SLOT * 8, LINEAR(l4)), 0);
	box->step = 1;
	if (way == DIE) {
		for (;;)
			HC(sched_op, SCHEDOP_yield, NULL);
	} else if (way == IRET) {
		iret_from(sp);
	} else if (way == EXCEPTION) {
		exception_on(sp);
	} else {
		EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, l4, 0), 0);
		EXPECT_EQ(HC(stack_switch, 0xe02b, sp), 0);
		(void)user_run(user_program);
	}
	FAIL("way %lu with the stack at %lx came back", way, sp);
}

/* ---- dom0 ---- */

static unsigned one(unsigned long way, unsigned long sp, unsigned vcpus)
{
	unsigned reason = SHUTDOWN_crash;

	child_build(&child, 0, vcpus);
	child.box->word[0] = way;
	child.box->word[1] = sp;
	child_unpause(&child);
	if (way == DIE)
		child_wait_step(&child, 1);
	else
		reason = child_wait_end(&child);
	child_destroy(&child);
	while (child_exists(&child))
		HC(sched_op, SCHEDOP_yield, NULL);
	recount();
	return reason;
}

void run(void)
{
	bool xylem = is_xylem();
	unsigned long free_before;

	EXPECT_EQ(one(RACE, 0, 2), SHUTDOWN_poweroff);
	free_before = free_pages();
	EXPECT_EQ(one(DIE, 0, 1), SHUTDOWN_crash);
	for (unsigned way = 0; xylem && way < WAYS; way++)
		for (unsigned h = 256; h <= 271; h += 5) {
			EXPECT_EQ(one(way, make_address(SLOT, h, 0, 0) + 0x800, 1), SHUTDOWN_crash);
			EXPECT_EQ(one(way, make_address(SLOT, SLOT, h, 1) + 0x800, 1), SHUTDOWN_crash);
			EXPECT_EQ(one(way, make_address(SLOT, SLOT, SLOT, h) + 0x800, 1), SHUTDOWN_crash);
		}
	EXPECT(pages_come_back(free_before));
}
