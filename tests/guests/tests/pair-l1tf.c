/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests that make entries which are not present and unsafe on a processor with L1TF: each way to write one, by one vcpu, and
 * by two at the same time. Where pv-l1tf is in force (l1tf=on on dom0's command line) the guest goes over to shadow paging for
 * good at the first one, while it runs, and notices nothing; stock Xen, which Debian builds without shadow paging, ends it. Where it
 * is not (l1tf=off) nothing happens. Without either word both will do.
 */
#include "pair.h"
#include <xen/domctl.h>

const char test_name[] = "pair-l1tf";

enum { UPDATE, PRESERVE_AD, VA_MAPPING, STORE, TABLE, SUPERPAGE, WAYS, RACE = WAYS };

#define LOW         0x7000ul /* what user programs read: entry 7 of an L1 table */
#define IN_NO_TABLE (VIRT_BASE + 511 * 512 * PAGE)
#define ROUNDS      200

static struct child child;

/* ---- the guest ---- */

/* Of existing memory, not present; with flags that an operating system might keep there. */
static uint64_t unsafe(const void *page)
{
	return (uint64_t)mfn_of(page) << 12 | RW | US | 0x200;
}

static void read_it(void *va)
{
	(void)*(volatile uint64_t *)va;
}

static void write_it(void *va)
{
	*(volatile uint64_t *)va = 1;
}

static void table_with(uint64_t e)
{
	uint64_t *table = page_alloc();

	table[9] = e;
	EXPECT_EQ(map_read_only(table), 0);
	EXPECT_EQ(mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(table), 0), 0);
	EXPECT_EQ(table[9], e);
	EXPECT_EQ(mmuext(MMUEXT_UNPIN_TABLE, mfn_of(table), 0), 0);
	EXPECT_EQ(map_writable(table), 0);
}

/* Makes an unsafe entry, of the page or beside it, and reads it back. */
static void make_unsafe(unsigned long way, void *page)
{
	uint64_t e = unsafe(page), at = entry_maddr(page, 1);

	if (way == TABLE) {
		table_with(e);
		return;
	}
	if (way == SUPERPAGE) {
		e = PSE | RW;
		EXPECT_EQ(mmu_update(entry_maddr((void *)IN_NO_TABLE, 2), e), 0);
		EXPECT_EQ(*entry_of((void *)IN_NO_TABLE, 2), e);
		EXPECT_EQ(mmu_update(entry_maddr((void *)IN_NO_TABLE, 2), 0), 0);
		return;
	}
	if (way == UPDATE)
		EXPECT_EQ(mmu_update(at, e), 0);
	else if (way == PRESERVE_AD)
		EXPECT_EQ(mmu_update(at | MMU_PT_UPDATE_PRESERVE_AD, e), 0);
	else if (way == VA_MAPPING)
		EXPECT_EQ(map(page, e), 0);
	else
		*(volatile uint64_t *)(unsigned long)entry_of(page, 1) = e;
	EXPECT_EQ(*entry_of(page, 1) & ~(A | D), e);
	EXPECT_EQ(mmuext(MMUEXT_INVLPG_LOCAL, (unsigned long)page, 0), 0);
}

/* The page is there, is not, and tells what was done with it, as a processor would have it. */
static void check_page(void *page)
{
	volatile const uint64_t *e = entry_of(page, 1);
	struct fault f;

	EXPECT_EQ(map(page, PTE(mfn_of(page)) & ~(A | D)), 0);
	EXPECT_EQ(*e & (A | D), 0);
	read_it(page);
	EXPECT_EQ(*e & (A | D), A);
	write_it(page);
	EXPECT_EQ(*e & (A | D), A | D);
	EXPECT_EQ(*(volatile uint64_t *)page, 1);
	EXPECT_EQ(map_read_only(page), 0);
	f = guarded(write_it, page);
	EXPECT(f.vector == 14 && (f.error & 3) == 3 && f.cr2 == (uint64_t)page);
	EXPECT_EQ(map(page, 0), 0);
	f = guarded(read_it, page);
	EXPECT(f.vector == 14 && !(f.error & 3) && f.cr2 == (uint64_t)page);
	EXPECT_EQ(map(page, unsafe(page)), 0);
	f = guarded(read_it, page);
	EXPECT(f.vector == 14 && !(f.error & 3) && f.cr2 == (uint64_t)page);
	EXPECT_EQ(map_writable(page), 0);
	EXPECT_EQ(*(volatile uint64_t *)page, 1);
}

/* The page maps, is used, and is a table afterwards; and the other way round. */
static void check_table(uint64_t *page)
{
	struct fault f;

	memset(page, 0, PAGE);
	page[3] = unsafe(page);
	EXPECT(mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(page), 0) < 0); /* it is mapped writable */
	EXPECT_EQ(map_read_only(page), 0);
	EXPECT_EQ(mmuext(MMUEXT_PIN_L1_TABLE, mfn_of(page), 0), 0);
	f = guarded(write_it, page + 1); /* is emulated, and no entry */
	EXPECT_EQ(f.vector, 14);
	page[4] = unsafe(page);
	EXPECT_EQ(page[4], unsafe(page));
	EXPECT_EQ(mmuext(MMUEXT_UNPIN_TABLE, mfn_of(page), 0), 0);
	EXPECT_EQ(map_writable(page), 0);
	page[4] = 0;
}

/* Tables of a user program, whose LOW is a page with the given word; all else is the kernel's. */
struct program {
	uint64_t *l[5], *page;
};

static void program_make(struct program *p, uint64_t word)
{
	p->page = page_alloc();
	*p->page = word;
	for (unsigned level = 1; level <= 4; level++) {
		p->l[level] = page_alloc();
		if (level == 1)
			p->l[1][LOW / PAGE] = PTE(mfn_of(p->page)) & ~(A | D);
		else
			p->l[level][0] = (PTE(mfn_of(p->l[level - 1])) | RW) & ~(A | D);
	}
	p->l[4][511] = ((const uint64_t *)start_info->pt_base)[511];
	for (unsigned level = 1; level <= 4; level++)
		EXPECT_EQ(map_read_only(p->l[level]), 0);
	EXPECT_EQ(mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(p->l[4]), 0), 0);
}

static void user_reads(void)
{
	__asm__ volatile("syscall" : : "a"(*(volatile uint64_t *)LOW) : "rcx", "r11", "memory");
}

static uint64_t run_user(void)
{
	struct user_result r = user_run(user_reads);

	EXPECT_EQ(r.vector, 256);
	EXPECT_EQ(r.cs & 3, 3);
	return r.rax;
}

/* User programs run on the tables that they were given last, with the entries that those have now. */
static void check_programs(struct program *p)
{
	for (unsigned n = 0; n < 20; n++) {
		struct program *q = &p[n % 2];
		uint64_t at = mfn_of(q->l[4]) * PAGE;

		EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of(q->l[4]), 0), 0);
		EXPECT_EQ(run_user(), *q->page);
		EXPECT_EQ(run_user(), *q->page);
		EXPECT_EQ(mmu_update(at, PTE(mfn_of(p[!(n % 2)].l[3]))), 0);
		EXPECT_EQ(mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
		EXPECT_EQ(run_user(), *p[!(n % 2)].page);
		EXPECT_EQ(mmu_update(at, PTE(mfn_of(q->l[3]))), 0);
	}
	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, mfn_of((void *)start_info->pt_base), 0), 0);
	EXPECT_EQ(user_run(user_reads).vector, 14);
	EXPECT_EQ(mmuext(MMUEXT_NEW_USER_BASEPTR, 0, 0), 0);
}

static char stack[16384] __attribute__((aligned(4096)));
static volatile bool second_ready, second_done;
static void *second_page;

/* Faults are vcpu 0's to try: the guard is one. */
static void race(void *page)
{
	volatile const uint64_t *e = entry_of(page, 1);

	for (uint64_t n = 0; n < ROUNDS; n++) {
		EXPECT_EQ(mmu_update(entry_maddr(page, 1), unsafe(page) | n << 52), 0);
		EXPECT_EQ(*e, unsafe(page) | n << 52);
		EXPECT_EQ(map(page, PTE(mfn_of(page)) & ~(A | D)), 0);
		EXPECT_EQ(*e & (A | D), 0);
		*(volatile uint64_t *)page = n;
		EXPECT_EQ(*e & (A | D), A | D);
		EXPECT_EQ(*(volatile uint64_t *)page, n);
		if (n % 8 == 0)
			EXPECT_EQ(mmuext(MMUEXT_TLB_FLUSH_ALL, 0, 0), 0);
	}
}

static void second(void)
{
	entry_points();
	second_ready = true;
	while (!second_done)
		race(second_page);
	second_ready = false;
	for (;;)
		HC(sched_op, SCHEDOP_yield, NULL);
}

static void start_second(void)
{
	second_page = page_alloc();
	child_second_vcpu(second, stack + sizeof(stack));
}

void child_run(void)
{
	unsigned long way = box->word[0];
	static struct program programs[2];
	void *page = page_alloc(), *table = page_alloc();

	EXPECT_EQ(HC(vm_assist, VMASST_CMD_enable, VMASST_TYPE_writable_pagetables), 0);
	program_make(&programs[0], 0x1234);
	program_make(&programs[1], 0x5678);
	check_programs(programs);
	/* Safe ones: nobody's memory. */
	EXPECT_EQ(map(page, unsafe(page) ^ ADDR), 0);
	EXPECT_EQ(*entry_of(page, 1), unsafe(page) ^ ADDR);
	EXPECT_EQ(map_writable(page), 0);
	child_step(1);
	child_wait_go(1);
	if (way == RACE)
		start_second();
	else
		make_unsafe(way, page);
	if (way == RACE)
		race(page);
	child_step(2);
	/* With dom0 switching a log on and off. */
	do {
		check_page(page);
		check_table(table);
		check_programs(programs);
		for (unsigned i = 0; i < WAYS - 2; i++)
			make_unsafe(i, page);
		EXPECT_EQ(map_writable(page), 0);
	} while (box->go < 2);
	second_done = true;
	while (second_ready)
		HC(sched_op, SCHEDOP_yield, NULL);
}

/* ---- dom0 ---- */

static bool on_shadows(void)
{
	uint32_t mb = 0;
	long rc = shadow_op(&child, XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION, &mb);

	EXPECT(rc == -EINVAL || (rc == 0 && mb));
	return !rc;
}

/* A log makes a domain shadowed, too; when it is off again it is shadowed if it is so permanently. */
static void log_comes_and_goes(bool for_good)
{
	uint32_t mb;

	for (unsigned n = 0; n < 5; n++) {
		EXPECT_EQ(shadow_op(&child, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, &mb), 0);
		EXPECT(on_shadows());
		rest();
		EXPECT_EQ(shadow_op(&child, XEN_DOMCTL_SHADOW_OP_CLEAN, &mb), 0);
		rest();
		EXPECT_EQ(shadow_op(&child, XEN_DOMCTL_SHADOW_OP_OFF, &mb), 0);
		EXPECT_EQ(on_shadows(), for_good);
		rest();
	}
}

/* Whether it went over to shadows. */
static bool one(unsigned long way, unsigned vcpus)
{
	bool shadowed = false;

	child_build(&child, 0, vcpus);
	child.box->word[0] = way;
	child_unpause(&child);
	child_wait_step(&child, 1);
	if (is_xylem())
		EXPECT(!on_shadows());
	child.box->go = 1;
	if (!child_comes_to(&child, 2)) {
		EXPECT(!is_xylem());
		EXPECT_EQ(child_wait_end(&child), SHUTDOWN_crash);
		shadowed = true;
	} else {
		if (is_xylem()) {
			shadowed = on_shadows();
			log_comes_and_goes(shadowed);
		}
		child.box->go = 2;
		EXPECT_EQ(child_wait_end(&child), SHUTDOWN_poweroff);
	}
	child_destroy(&child);
	while (child_exists(&child))
		HC(sched_op, SCHEDOP_yield, NULL);
	recount();
	return shadowed;
}

void run(void)
{
	bool shadowed = one(UPDATE, 1);
	unsigned long free_before = free_pages();

	if (command_line_has("l1tf=on") || command_line_has("l1tf=off"))
		EXPECT_EQ(shadowed, command_line_has("l1tf=on"));
	for (unsigned way = PRESERVE_AD; way < WAYS; way++)
		EXPECT_EQ(one(way, 1), shadowed);
	for (unsigned n = 0; n < 3; n++)
		EXPECT_EQ(one(RACE, 2), shadowed);
	EXPECT(pages_come_back(free_before));
}
