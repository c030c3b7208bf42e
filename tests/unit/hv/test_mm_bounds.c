/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much memory_op does between two looks at other work, when each look finds some: frames cleared, exchanged, given
 * back and told, as a machine's longest hypercalls have them. Each call must come to its end, too.
 */
#include "mm/internal.h"
#include "hypercall/hypercall.h"
#include "fake/dom.h"
#include "mm/boot.h"
#include "mm/heap.h"
#include "mm/perdomain.h"
#include <xen/memory.h>

#define LOW_FRAMES  4096
#define HIGH_FRAMES 2048
#define CALL        0x100
#define IN          0x1000
#define OUT         0x3000
#define RUNS_MAX    10000
#define CLEARS_MAX  (64 + 4) /* the hypervisor's own lists of them, too */

static struct domain_mm *d1;
static unsigned clears, most_clears, looks_before, runs;

static void note_clear(mfn_t mfn)
{
	(void)mfn;
	if (fake_looks != looks_before)
		clears = 0;
	looks_before = fake_looks;
	clears++;
	most_clears = MAX(most_clears, clears);
}

static bool is_clear(mfn_t mfn)
{
	const uint64_t *word = mfn_map_own(mfn);

	for (unsigned i = 0; i < PAGE_SIZE / sizeof(*word); i++)
		if (word[i])
			return false;
	return true;
}

static void fresh(void)
{
	static bool again;

	while (again && domain_mm_relinquish(d1) == -ERESTART_HV)
		;
	if (again)
		domain_mm_destroy(d1);
	again = true;
	fake_domain_create(1, 1 << 20);
	fake_set_cpu(1);
	fake_set_vcpu(fake_vcpu(1, 1));
	d1 = &fake_domains[1].mm;
	runs = most_clears = clears = 0;
	fake_looks = looks_before = 0;
}

/* To its end, with work at every look: runs is how often it was preempted. between: after each run. */
static int64_t call(unsigned cmd, void (*between)(void))
{
	struct hc_args a = { { cmd, CALL } };
	int64_t rc;

	fake_preempt = 1;
	while ((rc = hc_memory_op(&a)) == -ERESTART_HV && ++runs < RUNS_MAX)
		if (between)
			between();
	if (between)
		between();
	fake_preempt = 0;
	return rc;
}

/* ---- XENMEM_exchange ---- */

/* 512 frames as extents of one order for as many of another one; address bits as in xen/memory.h, 0: any. */
static int64_t exchange(unsigned in_order, unsigned out_order, unsigned out_bits)
{
	struct xen_memory_exchange x = {
		.in = { .nr_extents = 512u >> in_order, .extent_order = in_order, .domid = DOMID_SELF },
		.out = { .nr_extents = 512u >> out_order,
		         .extent_order = out_order,
		         .mem_flags = XENMEMF_address_bits(out_bits),
		         .domid = DOMID_SELF }
	};
	xen_pfn_t *in = (void *)(fake_guest + IN), *out = (void *)(fake_guest + OUT);
	int64_t rc;

	for (unsigned i = 0; i < x.in.nr_extents; i++) {
		mfn_t mfn = INVALID_MFN;

		if (domain_frame_alloc(d1, in_order, 0, &mfn))
			abort();
		in[i] = mfn.m;
	}
	for (unsigned i = 0; i < x.out.nr_extents; i++)
		out[i] = 0x10000 + (i << out_order);
	x.in.extent_start.p = (void *)IN;
	x.out.extent_start.p = (void *)OUT;
	memcpy(fake_guest + CALL, &x, sizeof(x));
	fake_map_hook = note_clear;
	rc = call(XENMEM_exchange, NULL);
	fake_map_hook = NULL;
	return rc;
}

/* The new frames are there, clear and known by their numbers, and nothing besides. */
static bool exchanged(unsigned out_order)
{
	const xen_pfn_t *out = (const void *)(fake_guest + OUT);
	bool good = d1->tot_pages == 512 && d1->transit_pages == 0;

	for (unsigned i = 0; i < 512; i++) {
		mfn_t mfn = MFN(out[i >> out_order] + (i & ((1u << out_order) - 1)));

		good = good && frame_owner(mfn) == d1 && m2p_get(mfn) == 0x10000 + i && is_clear(mfn);
	}
	return good;
}

static void exchanges(void)
{
	static const struct {
		unsigned in, out;
	} orders[] = { { 0, 0 }, { 9, 0 }, { 0, 9 }, { 9, 3 }, { 9, 7 }, { 7, 9 }, { 9, 9 } };

	for (unsigned i = 0; i < ARRAY_SIZE(orders); i++) {
		int64_t rc;

		fresh();
		fake_dirty_all();
		rc = exchange(orders[i].in, orders[i].out, 0);
		printf("# preempted %u times, at most %u frames cleared in one go\n", runs, most_clears);
		tap_ok(rc == 0 && runs < 1100 && exchanged(orders[i].out),
		       "512 frames in extents of order %u for others of order %u: done, however often it is preempted",
		       orders[i].in, orders[i].out);
		tap_ok(runs && most_clears <= CLEARS_MAX,
		       "no more than 64 frames are cleared between looks at other work");
	}
}

/* As for a device that reaches 4 GiB: nothing has to be cleared, and there is a look for each frame all the same. */
static void exchange_of_clear_frames(void)
{
	int64_t rc;

	fresh();
	while (heap_scrub())
		;
	rc = exchange(0, 0, 32);
	printf("# preempted %u times, at most %u frames cleared in one go\n", runs, most_clears);
	tap_ok(rc == 0 && exchanged(0) && most_clears <= 4 && runs == 511,
	       "512 clear frames are exchanged one by one, with a look at other work after each");
}

/* ---- decrease_reservation ---- */

#define TABLES 8

static mfn_t page;
static unsigned uses, most_released;

static unsigned uses_now(void)
{
	return (unsigned)(mfn_frame(page)->count & COUNT_MASK);
}

static void note_released(void)
{
	most_released = MAX(most_released, uses - uses_now());
	uses = uses_now();
}

/* Frames that are pinned tables: what each names is released with it. */
static void pinned_tables(void)
{
	struct xen_memory_reservation r = { .nr_extents = 1, .extent_order = 3, .domid = DOMID_SELF };
	mfn_t tables = INVALID_MFN;
	int64_t rc;

	fresh();
	if (domain_frame_alloc(d1, 0, 0, &page) || domain_frame_alloc(d1, 3, 0, &tables))
		abort();
	for (unsigned i = 0; i < TABLES; i++) {
		for (unsigned k = 0; k < TABLE_ENTRIES; k++)
			((uint64_t *)mfn_map_own(mfn_add(tables, i)))[k] =
			        page.m << PAGE_SHIFT | PTE_P | PTE_US;
		if (pt_pin(d1, mfn_add(tables, i), PTYPE_L1))
			abort();
	}
	r.extent_start.p = (void *)IN;
	memcpy(fake_guest + CALL, &r, sizeof(r));
	memcpy(fake_guest + IN, &tables.m, sizeof(tables.m));
	uses = uses_now();
	most_released = 0;
	rc = call(XENMEM_decrease_reservation, note_released);
	printf("# %u entries at most, preempted %u times\n", most_released, runs);
	tap_ok(rc == 1 && pt_drain(d1, false) == 0 && uses_now() == 1 && d1->tot_pages == 1,
	       "an extent of 8 pinned tables is given back, and what they named is let go");
	tap_ok(most_released <= 2 * SLICE_ENTRIES,
	       "with a look at other work after at most two slices of their entries");
}

/* ---- lists ---- */

static unsigned copies;

static void note_copy(void)
{
	copies++;
}

/* 1,000 extents are the M2P of a machine with 1,000 GiB. */
static void machphys_list(void)
{
	struct xen_machphys_mfn_list l = { .max_extents = 1000 };
	const xen_pfn_t *told = (const void *)(fake_guest + IN);
	bool good = true;
	int64_t rc;

	fresh();
	fake_m2p_extents = 1000;
	memset(fake_guest, 0, sizeof(fake_guest));
	l.extent_start.p = (void *)IN;
	memcpy(fake_guest + CALL, &l, sizeof(l));
	rc = call(XENMEM_machphys_mfn_list, NULL);
	memcpy(&l, fake_guest + CALL, sizeof(l));
	for (unsigned i = 0; i < 1000; i++)
		good &= told[i] == m2p_extent(i).m;
	fake_m2p_extents = 1;
	tap_ok(rc == 0 && good && l.nr_extents == 1000 && runs == 15,
	       "machphys_mfn_list looks at other work every 64 extents, and tells each once");
}

/* What is refused is so before its lists are read, however long they are. */
static void physmap_batch(void)
{
	struct xen_add_to_physmap_batch b = { .domid = DOMID_SELF, .size = 65535 };
	int64_t rc;

	fresh();
	b.idxs.p = (void *)IN;
	b.gpfns.p = (void *)IN;
	b.errs.p = (void *)OUT;
	memcpy(fake_guest + CALL, &b, sizeof(b));
	copies = 0;
	fake_copy_hook = note_copy;
	rc = call(XENMEM_add_to_physmap_batch, NULL);
	fake_copy_hook = NULL;
	tap_ok(rc == -EACCES && copies == 1,
	       "add_to_physmap_batch of 65,535 pages reads its argument and no more");
}

/* ---- memory maps ---- */

/* As E820 gives them. */
struct map_entry {
	uint64_t addr, size;
	uint32_t type;
} __packed;

static int64_t map_set(unsigned count, uint64_t size)
{
	struct xen_foreign_memory_map f = { .domid = DOMID_SELF, .map.nr_entries = count };
	struct map_entry e = { .size = size, .type = 1 };

	for (unsigned i = 0; i < count; i++) {
		e.addr = i * size;
		memcpy(fake_guest + IN + i * sizeof(e), &e, sizeof(e));
	}
	f.map.buffer.p = (void *)IN;
	memcpy(fake_guest + CALL, &f, sizeof(f));
	return call(XENMEM_set_memory_map, NULL);
}

/* Entries that are told, or the error; the first one's size goes into *size. */
static int64_t map_told(uint64_t *size)
{
	struct xen_memory_map m = { .nr_entries = 8 };
	struct map_entry e;
	int64_t rc;

	m.buffer.p = (void *)OUT;
	memcpy(fake_guest + CALL, &m, sizeof(m));
	rc = call(XENMEM_memory_map, NULL);
	memcpy(&m, fake_guest + CALL, sizeof(m));
	memcpy(&e, fake_guest + OUT, sizeof(e));
	*size = e.size;
	return rc ? rc : (int64_t)m.nr_entries;
}

/* libxl sets a map twice (xl.cfg's e820_host). */
static void memory_maps(void)
{
	uint64_t size;

	fresh();
	fake_domains[1].privileged = true;
	tap_ok(map_told(&size) == -ENOSYS && !map_set(3, 4096) && map_told(&size) == 3 && size == 4096 &&
	               !map_set(1, 8192) && map_told(&size) == 1 && size == 8192,
	       "a domain's memory map is replaced by another one");
}

int main(void)
{
	tap_plan(2 * 7 + 6);
	fake_init(LOW_FRAMES, HIGH_FRAMES);
	exchanges();
	exchange_of_clear_frames();
	pinned_tables();
	machphys_list();
	physmap_batch();
	memory_maps();
	return tap_end();
}
