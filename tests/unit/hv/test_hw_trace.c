/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The recorder of traces on a stub layer of its own: what a reader finds, by xen/trace.h alone and in the way that xentrace
 * goes about it; the ends of the buffer; lost records; records from an NMI in the middle of another one; readers that
 * write nonsense. Frames that are no buffer's end the test when they are touched.
 */
#include "hw/trace.c" /* its writers' places are its own */
#include "lib/string.h"
#include "../../lib/random.h"
#include "../../lib/tap.h"
#include <stdlib.h>

#define CPUS      2
#define PAGES_MAX 4
#define FIRST_MFN 0x1000 /* frames of buffers; not one behind the other */
#define EVENT     (TRC_SCHED_VERBOSE + 0x23)

cpumask_t cpus_online = { { (1u << CPUS) - 1 } };

static uint32_t memory[CPUS * PAGES_MAX][PAGE_SIZE / 4];
static struct {
	struct t_info t;
	uint16_t offsets[NR_CPUS];
	uint32_t mfns[CPUS * PAGES_MAX];
} info;
static unsigned pages, cpu, interrupts_off, works, warnings;
static uint64_t tsc;
static bool fast = true, bad;
static void (*map_hook)(void);

/* ---- the stub layer ---- */

unsigned this_cpu(void)
{
	return cpu;
}

void *mfn_map_own(mfn_t mfn)
{
	uint64_t i = (mfn.m - FIRST_MFN) / 3;

	if (map_hook)
		map_hook();
	if (mfn.m < FIRST_MFN || (mfn.m - FIRST_MFN) % 3 || i / PAGES_MAX != cpu || i % PAGES_MAX >= pages ||
	    !interrupts_off) {
		printf("Bail out! CPU %u touches frame %lx, interrupts %s\n", cpu, (unsigned long)mfn.m,
		       interrupts_off ? "off" : "on");
		exit(1);
	}
	return memory[i];
}

uint64_t rdtsc(void)
{
	return tsc += 0x100000001;
}

uint64_t irq_save(void)
{
	return interrupts_off++;
}

void irq_restore(uint64_t flags)
{
	interrupts_off = (unsigned)flags;
}

void work_raise(unsigned to, unsigned bit)
{
	bad |= to != cpu || bit != WORK_TRACE;
	works++;
}

void cpu_call(const cpumask_t *mask, void (*fn)(void *), void *arg)
{
	unsigned self = cpu;

	for_each_cpu_in(cpu, mask)
		fn(arg);
	cpu = self;
}

void fastpath_allow(bool allowed)
{
	fast = allowed;
}

void trace_places_set(bool on)
{
	bad |= on != trace_control.on || interrupts_off;
}

uint32_t trace_who(void)
{
	return 7 | 3 << 16;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
	warnings++;
}

void panic(const char *fmt, ...)
{
	printf("Bail out! panic: %s\n", fmt);
	exit(1);
}

/* ---- buffers ---- */

static struct t_buf *buffer(void)
{
	return (struct t_buf *)(void *)memory[cpu * PAGES_MAX];
}

/* Empty buffers where the writer stands wherever it stood: the reader catches up. */
static void drain(void)
{
	unsigned self = cpu;

	for (cpu = 0; cpu < CPUS; cpu++)
		buffer()->cons = buffer()->prod;
	cpu = self;
}

/* A word of the buffer's data, by its offset. */
static uint32_t *word(uint32_t at)
{
	uint32_t x = at % trace_control.data_bytes + sizeof(struct t_buf);

	return &memory[cpu * PAGES_MAX + x / PAGE_SIZE][x % PAGE_SIZE / 4];
}

static void begin(unsigned n)
{
	pages = n;
	memset(&info, 0, sizeof(info));
	info.t.tbuf_size = (uint16_t)n;
	for (unsigned c = 0; c < CPUS; c++) {
		info.t.mfn_offset[c] = (uint16_t)(offsetof(__typeof__(info), mfns) / 4 + c * n);
		for (unsigned i = 0; i < n; i++)
			info.mfns[c * n + i] = FIRST_MFN + 3 * (c * PAGES_MAX + i);
	}
	memset(memory, 0, sizeof(memory));
	trace_set_buffers(&info.t, n);
	trace_stop();
	trace_start();
	memset(writers, 0, sizeof(writers)); /* sizes do not change but here */
	cpu = 0;
	works = warnings = 0;
	bad = false;
}

/* What a reader takes out of the buffer at its cons: header, words, time. The fillers are passed over. */
struct record {
	uint32_t event, n, words[TRACE_EXTRA_MAX];
	bool timed;
	uint64_t tsc;
};

static bool read_record(struct record *r)
{
	struct t_buf *b = buffer();
	uint32_t size = trace_control.data_bytes, at, head, bytes;

	do {
		if (b->cons == b->prod)
			return false;
		at = b->cons % size;
		head = *word(at);
		*r = (struct record){ .event = TRC_HD_TO_EVENT(head),
			              .n = TRC_HD_EXTRA(head),
			              .timed = TRC_HD_INCLUDES_CYCLE_COUNT(head) };
		bytes = 4 * (1 + 2 * r->timed + r->n);
		bad |= at + bytes > size; /* it does not go round the end */
		if (r->timed)
			r->tsc = *word(at + 4) | (uint64_t)*word(at + 8) << 32;
		for (unsigned i = 0; i < r->n; i++)
			r->words[i] = *word(at + 4 * (1 + 2 * r->timed + i));
		bad |= r->event == TRC_TRACE_WRAP_BUFFER && at + bytes != size;
		b->cons = (b->cons + bytes) % (2 * size);
	} while (r->event == TRC_TRACE_WRAP_BUFFER);
	return true;
}

/* ---- format and masks ---- */

static void layout(void)
{
	static const uint32_t words[TRACE_EXTRA_MAX] = { 11, 12, 13, 14, 15, 16, 17 };
	struct record r;
	struct t_rec t;
	bool good = true;

	begin(1);
	tap_ok(trace_control.data_bytes == PAGE_SIZE - sizeof(struct t_buf) && !fast,
	       "a buffer has room behind its header; the fast path is closed");
	tsc = 0x1122334400000000;
	trace_record(EVENT, true, words, 3);
	memcpy(&t, word(0), sizeof(t));
	tap_ok(t.event == EVENT && t.extra_u32 == 3 && t.cycles_included == 1 &&
	               t.u.cycles.cycles_hi == 0x11223345 && t.u.cycles.cycles_lo == 1 &&
	               t.u.cycles.extra_u32[0] == 11 && t.u.cycles.extra_u32[2] == 13 &&
	               buffer()->prod == 24 && !buffer()->cons,
	       "a timed record is struct t_rec's");
	trace_record(EVENT, false, words, 2);
	memcpy(&t, word(24), sizeof(t));
	tap_ok(t.event == EVENT && t.extra_u32 == 2 && !t.cycles_included &&
	               t.u.nocycles.extra_u32[1] == 12 && buffer()->prod == 36,
	       "so is one without a time");
	drain();
	for (unsigned n = 0; n <= TRACE_EXTRA_MAX; n++) {
		trace_record(EVENT, n & 1, words, n);
		good &= read_record(&r) && r.n == n && r.timed == (n & 1) && !memcmp(r.words, words, 4 * n);
	}
	tap_ok(good && !bad, "0 to 7 words");
	TRACE(EVENT, 5, 6);
	tap_ok(read_record(&r) && r.n == 2 && r.timed && r.words[0] == 5 && r.words[1] == 6 &&
	               !read_record(&r),
	       "the macro's words");
	cpu = 1;
	TRACE(EVENT, 9);
	tap_ok(read_record(&r) && r.words[0] == 9, "each CPU has its buffer");
	cpu = 0;
	tap_ok(!read_record(&r), "and no other one's");
}

static bool recorded(uint32_t event)
{
	struct record r;

	drain();
	trace_record(event, false, NULL, 0);
	return read_record(&r) && r.event == event;
}

static unsigned computed;

static uint32_t compute(void)
{
	return ++computed;
}

static void masks(void)
{
	struct record r;

	begin(1);
	trace_control.events = TRC_SCHED_MIN;
	tap_ok(recorded(TRC_SCHED_RUNSTATE_CHANGE) && !recorded(TRC_SCHED_SWITCH) &&
	               !recorded(TRC_HW_IRQ_HANDLED) && !recorded(TRC_DOM0_DOM_ADD),
	       "one subclass of one class");
	trace_control.events = TRC_SCHED;
	tap_ok(recorded(TRC_SCHED_RUNSTATE_CHANGE) && recorded(TRC_SCHED_SWITCH) &&
	               !recorded(TRC_PV_TRAP | TRC_64_FLAG),
	       "a class");
	trace_control.events = TRC_PV | TRC_HW;
	tap_ok(recorded(TRC_PV_PAGE_FAULT | TRC_64_FLAG) && recorded(TRC_HW_IRQ_HANDLED) &&
	               recorded(TRC_PV_HYPERCALL_SUBCALL) && !recorded(TRC_MEM_PAGE_GRANT_MAP),
	       "two");
	trace_control.events = 0;
	tap_ok(!recorded(TRC_SCHED_SWITCH) && !recorded(~0u >> 4), "none");
	trace_control.events = 0xf000;
	tap_ok(!recorded(TRC_SCHED_SWITCH), "subclasses without a class");
	trace_control.events = TRC_ALL;
	tap_ok(recorded(TRC_MEM_DECREASE_RESERVATION) && recorded(TRC_SCHED_SWITCH), "all");
	trace_control.cpus.bits[0] = 2;
	tap_ok(!recorded(TRC_SCHED_SWITCH), "a CPU that is not wanted");
	cpu = 1;
	tap_ok(recorded(TRC_SCHED_SWITCH), "and one that is");
	cpu = 0;
	trace_control.cpus = cpumask_all();
	trace_stop();
	drain();
	TRACE(EVENT, compute());
	trace_record(EVENT, false, NULL, 0);
	tap_ok(!read_record(&r) && !computed && fast,
	       "off: no record, nothing is computed, the fast path is open");
	trace_start();
	TRACE(EVENT, compute());
	tap_ok(read_record(&r) && computed == 1, "and on again");
}

/* ---- full buffers ---- */

static void lost(void)
{
	struct record r;
	unsigned fit = 0, n = 0;
	bool good = true;
	uint64_t before;

	begin(1);
	while (fit < 1000) {
		uint32_t prod = buffer()->prod;

		TRACE(EVENT, fit);
		if (buffer()->prod == prod)
			break;
		fit++;
	}
	tap_ok(fit == trace_control.data_bytes / 16 && works == 1,
	       "%u records fill a buffer, and the reader is told once, half way", fit);
	before = tsc;
	for (unsigned i = 0; i < 4; i++)
		TRACE(EVENT, 1000 + i);
	tap_ok(buffer()->prod == fit * 16, "what does not fit in is not written");
	while (read_record(&r))
		good &= r.event == EVENT && r.words[0] == n++;
	tap_ok(good && n == fit, "what did is there, in order");
	TRACE(EVENT, 2000);
	tap_ok(read_record(&r) && r.event == TRC_LOST_RECORDS && r.n == 4 && r.timed && r.words[0] == 5 &&
	               r.words[1] == (7 | 3 << 16) && (r.words[2] | (uint64_t)r.words[3] << 32) == before,
	       "the next one comes behind how many were lost, who ran, and when that began");
	tap_ok(read_record(&r) && r.words[0] == 2000 && !read_record(&r) && !bad, "and itself");
	TRACE(EVENT, 2001);
	tap_ok(read_record(&r) && r.words[0] == 2001, "that is told once");
	while (buffer()->prod - buffer()->cons < trace_control.data_bytes - 16)
		TRACE(EVENT, 0);
	for (unsigned i = 0; i < 9; i++)
		TRACE(EVENT, 0);
	trace_stop();
	trace_start();
	drain();
	TRACE(EVENT, 3000);
	tap_ok(read_record(&r) && r.event == EVENT && r.words[0] == 3000,
	       "who stops and starts again hears nothing of those lost before");
}

/* ---- at random, with a reader now and then, and NMIs that record in the middle of a record ---- */

static unsigned nmis, nmi_in;

static void nmi(void)
{
	if (!nmi_in || --nmi_in)
		return;
	nmis++;
	trace_record(EVENT, true, NULL, 0);
}

static uint64_t told, taken;
static uint32_t last;

static void read_some(unsigned n)
{
	struct record r;

	while (n-- && read_record(&r)) {
		if (r.event == TRC_LOST_RECORDS) {
			told += r.words[0];
			continue;
		}
		taken++;
		/* The number that it has must be a later one than the last's; all words belong to it. */
		bad |= r.event != EVENT || !r.n || r.words[0] <= last;
		for (unsigned i = 1; i < r.n; i++)
			bad |= r.words[i] != r.words[0] * (i + 7);
		bad |= r.n != 1 + r.words[0] % TRACE_EXTRA_MAX;
		last = r.words[0];
	}
}

static void at_random(unsigned n)
{
	uint32_t number = 0;
	struct record r;

	begin(n);
	told = taken = nmis = last = 0;
	map_hook = nmi;
	for (unsigned i = 0; i < 300000; i++) {
		uint32_t words[TRACE_EXTRA_MAX];

		number++;
		words[0] = number;
		for (unsigned k = 1; k < TRACE_EXTRA_MAX; k++)
			words[k] = number * (k + 7);
		nmi_in = random_below(20) ? 0 : 1 + random_below(12);
		trace_record(EVENT, random_below(2), words, 1 + number % TRACE_EXTRA_MAX);
		nmi_in = 0;
		if (!random_below(40))
			read_some(random_below(random_below(8) ? 30 : 2000 * n));
	}
	map_hook = NULL;
	read_some(~0u);
	/* One more, behind what it says of those that are still to be told of. */
	trace_record(EVENT, false, (const uint32_t[]){ 1 }, 1);
	while (read_record(&r))
		told += r.event == TRC_LOST_RECORDS ? r.words[0] : 0;
	tap_ok(!bad && taken + told == number + (uint64_t)nmis && nmis > 1000 && told > 1000 && taken > 1000,
	       "%u pages: %u records and %u in the middle of one: %lu read, %lu lost, none torn", n, number,
	       nmis, (unsigned long)taken, (unsigned long)told);
}

/* ---- readers that write nonsense ---- */

/* The buffer's content, to find out what a record changed. */
static uint32_t copy[PAGES_MAX][PAGE_SIZE / 4];

/* One record with this cons. Whether all went by the rules: nothing but [prod, prod + the record) changes, and only if the
 * reader's place is possible and leaves that free. */
static bool one_hostile(uint32_t cons, unsigned n)
{
	struct t_buf *b = buffer();
	uint32_t size = trace_control.data_bytes, at = writers[cpu].prod, used, end;
	bool possible, good = true;

	b->cons = cons;
	b->prod = random_below(2) ? cons : (uint32_t)random_seed; /* never read */
	used = (at - cons + 2 * size) % (2 * size);
	possible = !(cons & 3) && cons < 2 * size && used <= size;
	memcpy(copy, memory[cpu * PAGES_MAX], sizeof(copy));
	warnings = 0;
	trace_start();
	trace_record(EVENT, true, (const uint32_t[TRACE_EXTRA_MAX]){ 0 }, n);
	good &= trace_on() == possible && warnings == !possible && b->cons == cons;
	end = writers[cpu].prod;
	for (uint32_t x = 0; x < size; x += 4) {
		uint32_t behind =
		        (x + 2 * size - at % size) % size; /* how far behind the writer's place it lies */
		uint32_t now = *word(x);
		uint32_t was = copy[(x + 8) / PAGE_SIZE][(x + 8) % PAGE_SIZE / 4];

		if (now != was)
			good &= possible && behind < (end + 2 * size - at) % (2 * size) &&
			        behind < size - used;
	}
	if (end != at)
		good &= b->prod == end && end < 2 * size && !(end & 3);
	return good;
}

static void hostile(unsigned n)
{
	uint32_t size;
	unsigned tries = 0, wrong = 0;

	begin(n);
	size = trace_control.data_bytes;
	for (unsigned step = 0; step < 600; step++) {
		uint32_t at = writers[cpu].prod;
		const uint32_t edges[] = { 0,
			                   1,
			                   2,
			                   4,
			                   size - 4,
			                   size,
			                   size + 4,
			                   2 * size - 4,
			                   2 * size,
			                   2 * size + 4,
			                   ~0u,
			                   ~3u,
			                   1u << 31,
			                   at,
			                   at + 1,
			                   at + 4,
			                   at - 4,
			                   at + size,
			                   at + size + 4,
			                   at - size,
			                   at - size - 4,
			                   at + size - 40,
			                   random_seed,
			                   random_seed & ~3u,
			                   random_below(2 * size) & ~3u,
			                   3 * size,
			                   4 * size,
			                   size - 1 };

		for (unsigned i = 0; i < ARRAY_SIZE(edges); i++) {
			tries++;
			if (!one_hostile(edges[i], random_below(TRACE_EXTRA_MAX + 1)) && wrong++ < 5)
				printf("# cons %#x, writer at %#x of %#x\n", edges[i], at, size);
		}
		/* What lies in the data is nobody's concern. */
		for (unsigned i = 0; i < 100; i++)
			*word(random_below(size) & ~3u) = (uint32_t)random_seed;
		buffer()->cons = writers[cpu].prod;
	}
	tap_ok(!wrong,
	       "%u pages: %u places of a reader, possible and impossible, each at once with another prod", n,
	       tries);
}

static void ends_by_itself(void)
{
	struct record r;

	begin(1);
	buffer()->cons = 1;
	TRACE(EVENT, 1);
	TRACE(EVENT, 2);
	tap_ok(!trace_on() && warnings == 1 && fast && !buffer()->prod,
	       "a reader's place that cannot be ends tracing, with one line in the log");
	buffer()->cons = 0;
	trace_start();
	TRACE(EVENT, 3);
	tap_ok(read_record(&r) && r.words[0] == 3, "and it can be started again");
}

int main(void)
{
	layout();
	masks();
	lost();
	for (unsigned n = 1; n <= PAGES_MAX; n++)
		at_random(n);
	for (unsigned n = 1; n <= PAGES_MAX; n++)
		hostile(n);
	ends_by_itself();
	return tap_end();
}
