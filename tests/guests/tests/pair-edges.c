/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every hypercall with arguments at their edges (tests/edges/) in an unprivileged guest's place, with one vcpu and with two by
 * turns; all references are recounted after each batch, while the guest goes on. It lasts 5 s, or as long as seconds=N on the
 * command line says; seed=N makes other calls.
 *
 * What would end the guest is left out but for one in 64 (pair-death makes all of it); what it does to itself it mostly
 * survives: entry points, masks and the arguments' memory are put back after each call, and whoever faults in a call goes on
 * behind it. Else, and when it has made its share, there is a new one. In the end all memory is back.
 */
#include "pair.h"
#include "edges_guest.h"

const char test_name[] = "pair-edges";

#define BATCH       256
#define SHARE       8192  /* calls of a guest */
#define STUCK       300   /* milliseconds without a call */
#define GONE        60000 /* and until it is gone, at the most */
#define LETHAL      64
#define MEM_PAGES   4
#define WORD_FRAMES 0 /* dom0's, in words 0 to 3 of the box */
#define WORD_CALLS  4 /* of each vcpu */
#define WORD_SEED   6
#define WORD_VCPUS  7

int guard_call(void (*fn)(void *), void *arg, void **keep);
void guard_return(void *keep) __attribute__((noreturn));

static struct child child;

/* ---- the guest ---- */

static struct fuzzer {
	struct edges_env env;
	struct vcpu_info *info;
	const struct edges_call *call;
	uint8_t asked[MEM_PAGES * PAGE]; /* the arguments' memory before the call */
	void *keep;                      /* of guard_call(): behind the call that is made */
	bool masked;
} fuzzers[2];
static char stack1[16384] __attribute__((aligned(4096)));

static void prepare(unsigned vcpu)
{
	struct fuzzer *f = &fuzzers[vcpu];
	struct edges_env *e = &f->env;
	struct vcpu_register_vcpu_info info = { 0 };
	uint64_t *tables[4];

	f->info = page_alloc();
	info.mfn = mfn_of(f->info);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_register_vcpu_info, vcpu, &info), 0);
	f->info->evtchn_upcall_mask = 1;
	e->seed = box->word[WORD_SEED] * (1 + 2 * vcpu) + vcpu;
	for (unsigned i = 0; i < MEM_PAGES; i++) {
		void *mem = page_alloc();

		if (!i)
			e->mem = mem;
	}
	EXPECT_EQ(map(page_alloc(), 0), 0);
	e->base = (uint64_t)e->mem;
	e->size = MEM_PAGES * PAGE;
	e->vcpus = (uint32_t)box->word[WORD_VCPUS];
	for (unsigned i = 0; i < EDGES_FRAMES; i++) {
		void *page = page_alloc();

		e->va[i] = (uint64_t)page;
		e->pages[i] = mfn_of(page);
		e->foreign[i] = i < 4    ? box->word[WORD_FRAMES + i]
		                : i == 4 ? start_info->shared_info / PAGE
		                         : 0x200 + i;
	}
	for (unsigned i = 0; i < 4; i++) {
		tables[i] = page_alloc();
		e->tables[i] = e->tables[4 + i] = mfn_of(tables[i]);
		if (i)
			tables[i][0] = mfn_of(tables[i - 1]) * PAGE | P | RW | US | A;
	}
	for (unsigned i = 0; i < 4; i++)
		EXPECT_EQ(map_read_only(tables[i]), 0);
	e->root = mfn_of((void *)start_info->pt_base);
	e->domids[1] = DOMID_SELF;
	e->domids[2] = 1;
	e->domids[3] = 0x7fef;
}

static struct fuzzer *self(const void *stack)
{
	return &fuzzers[(const char *)stack >= stack1 && (const char *)stack < stack1 + sizeof(stack1)];
}

static bool on_trap(struct regs *r)
{
	struct fuzzer *f = self(r);

	if (r->vector == 1 || r->vector == 2 || r->vector == 3)
		return true;
	if (f->keep)
		guard_return(f->keep);
	return false;
}

static void on_event(struct regs *r)
{
	self(r)->info->evtchn_upcall_pending = 0;
}

static void make_call(void *arg)
{
	const struct fuzzer *f = arg;
	const struct edges_call *c = f->call;

	f->info->evtchn_upcall_pending = 1;
	f->info->evtchn_upcall_mask = f->masked;
	hypercall(c->number, c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4]);
}

static void restore(void *arg)
{
	struct fuzzer *f = arg;

	f->info->evtchn_upcall_mask = 1;
	entry_points();
	HC(set_debugreg, 7, 0);
	HC(fpu_taskswitch, 0);
	for (unsigned i = 0; i < MEM_PAGES; i++)
		(void)map_writable(f->env.mem + i * PAGE);
	memcpy(f->env.mem, f->asked, sizeof(f->asked));
}

static void fuzz(struct fuzzer *f, volatile uint64_t *count)
{
	for (;;) {
		struct edges_call c;

		f->env.now_ns = system_time_ns();
		edges_make(&f->env, ~0u, &c);
		(*count)++;
		if (edges_lethal(&f->env, c.number, c.arg) && edges_random(&f->env, LETHAL))
			continue;
		memcpy(f->asked, f->env.mem, sizeof(f->asked));
		f->masked = !edges_with_events(&f->env, &c);
		f->call = &c;
		guard_call(make_call, f, &f->keep);
		while (guard_call(restore, f, &f->keep))
			;
		f->keep = NULL;
	}
}

static void second(void)
{
	entry_points();
	fuzz(&fuzzers[1], &box->word[WORD_CALLS + 1]);
}

void child_run(void)
{
	trap_hook = on_trap;
	event_hook = on_event;
	prepare(0);
	if (box->word[WORD_VCPUS] == 2) {
		prepare(1);
		child_second_vcpu(second, stack1 + sizeof(stack1));
	}
	box->step = 1;
	fuzz(&fuzzers[0], &box->word[WORD_CALLS]);
}

/* ---- dom0 ---- */

static uint64_t calls_made(void)
{
	return child.box->word[WORD_CALLS] + child.box->word[WORD_CALLS + 1];
}

/* So many calls more; false: the guest has ended, or does nothing any more. */
static bool batch(void)
{
	uint64_t want = calls_made() + BATCH, last = calls_made();
	unsigned idle = 0;

	while (calls_made() < want && idle < STUCK) {
		if (child_has_ended(&child))
			return false;
		rest();
		idle = calls_made() == last ? idle + 1 : 0;
		last = calls_made();
	}
	return calls_made() >= want;
}

void run(void)
{
	static char own[4][PAGE] __attribute__((aligned(4096)));
	unsigned long free_before = 0, guests = 0, batches = 0, calls[2] = { 0 }, second_calls = 0;
	uint64_t end = system_time_ns() + command_line_number("seconds=", 5) * 1000000000ull;

	while (system_time_ns() < end || guests < 2) {
		unsigned vcpus = 1 + guests % 2;

		child_build(&child, 0, vcpus);
		for (unsigned k = 0; k < 4; k++)
			child.box->word[WORD_FRAMES + k] = mfn_of(own[k]);
		child.box->word[WORD_SEED] = command_line_number("seed=", 20261127) + guests;
		child.box->word[WORD_VCPUS] = vcpus;
		child_unpause(&child);
		while (calls_made() < SHARE && system_time_ns() < end && batch()) {
			recount();
			batches++;
		}
		calls[vcpus - 1] += calls_made();
		second_calls += child.box->word[WORD_CALLS + 1];
		child_destroy(&child);
		for (unsigned n = 0; child_exists(&child); n++) {
			EXPECT(n < GONE);
			rest();
		}
		recount();
		if (!guests++)
			free_before = free_pages();
	}
	print("%lu guests, %lu batches, %lu calls with one vcpu, %lu with two, of these %lu of the second",
	      guests, batches, calls[0], calls[1], second_calls);
	EXPECT(calls[0] > BATCH && calls[1] > BATCH && second_calls && batches);
	EXPECT(pages_come_back(free_before));
}
