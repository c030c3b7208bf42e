/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests of two vcpus make every hypercall with arguments at their edges (tests/edges/) until they kill themselves or dom0
 * destroys them in the middle of it. After each death all references are recounted, and in the end all memory is back.
 */
#include "pair.h"
#include "../../edges/edges.h"

const char test_name[] = "pair-death";

#define GUESTS    8
#define MEM_PAGES 4

static struct child child;
static char stack[16384] __attribute__((aligned(4096)));
static struct edges_env env[2];

/* ---- the guest ---- */

static void prepare(struct edges_env *e, uint64_t seed)
{
	uint64_t *tables[4];

	e->seed = seed;
	for (unsigned i = 0; i < MEM_PAGES; i++) {
		void *mem = page_alloc();

		if (!i)
			e->mem = mem;
	}
	(void)map(page_alloc(), 0);
	e->base = (uint64_t)e->mem;
	e->size = MEM_PAGES * PAGE;
	e->vcpus = 2;
	for (unsigned i = 0; i < EDGES_FRAMES; i++) {
		void *page = page_alloc();

		e->va[i] = (uint64_t)page;
		e->pages[i] = mfn_of(page);
		e->foreign[i] = i < 4 ? box->word[i] : (i == 4 ? start_info->shared_info / PAGE : 0x200 + i);
	}
	for (unsigned i = 0; i < 4; i++) {
		tables[i] = page_alloc();
		e->tables[i] = e->tables[4 + i] = mfn_of(tables[i]);
		if (i)
			tables[i][0] = mfn_of(tables[i - 1]) * PAGE | P | RW | US | A;
	}
	for (unsigned i = 0; i < 4; i++)
		(void)map_read_only(tables[i]);
	e->root = mfn_of((void *)start_info->pt_base);
	e->domids[1] = DOMID_SELF;
	e->domids[2] = 1;
	e->domids[3] = 0x7fef;
}

static bool survive(struct regs *r)
{
	(void)r;
	return true;
}

static void fuzz(struct edges_env *e, volatile uint64_t *count)
{
	for (;;) {
		struct edges_call c;

		edges_make(e, ~0u, &c);
		hypercall(c.number, c.arg[0], c.arg[1], c.arg[2], c.arg[3], c.arg[4]);
		(*count)++;
		entry_points();
	}
}

static void second(void)
{
	entry_points();
	fuzz(&env[1], &box->word[5]);
}

void child_run(void)
{
	trap_hook = survive;
	prepare(&env[0], box->word[6]);
	prepare(&env[1], box->word[6] * 3 + 1);
	child_second_vcpu(second, stack + sizeof(stack));
	box->step = 1;
	fuzz(&env[0], &box->word[4]);
}

/* ---- dom0 ---- */

/* So many calls, or its death, or enough waiting: a guest may have blocked forever. */
static uint64_t let_run(uint64_t calls)
{
	for (unsigned n = 0; n < 2000 && child.box->word[4] + child.box->word[5] < calls; n++)
		rest();
	return child.box->word[4] + child.box->word[5];
}

void run(void)
{
	static char own[4][PAGE] __attribute__((aligned(4096)));
	unsigned long free_before = 0, calls = 0;

	for (unsigned i = 0; i < GUESTS; i++) {
		child_build(&child, 0, 2);
		for (unsigned k = 0; k < 4; k++)
			child.box->word[k] = mfn_of(own[k]);
		child.box->word[6] = 20261127 + i;
		child_unpause(&child);
		calls += let_run(100 + 300 * (i % 4));
		child_destroy(&child);
		while (child_exists(&child))
			rest();
		recount();
		if (!i)
			free_before = free_pages();
	}
	print("%u guests made %lu calls", GUESTS, calls);
	EXPECT(calls > GUESTS);
	EXPECT(pages_come_back(free_before));
}
