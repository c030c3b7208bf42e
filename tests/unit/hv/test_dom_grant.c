/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Grants on the real mm: what is mapped is looked at through the fake TLB, references and memory are counted,
 * guests lie about everything they may write, and domains die at every point.
 */
#include "fake/machine.h"
#include "dom/domtable.h"
#include "lib/errno.h"
#include "mm/dirtylog.h"
#include "mm/heap.h"
#include "mm/pagetable.h"
#include <pthread.h>

#define REF   8 /* first entry that tests use */
#define VA(i) (PAGE_SIZE * (uint64_t)(i))

struct guest {
	struct domain *d;
	grant_entry_v1_t *table;
	mfn_t l1, page[4];
};

static struct guest g1, g2; /* grants; maps */

static mfn_t page_of(struct domain *d)
{
	mfn_t mfn;

	if (domain_frame_alloc(&d->mm, 0, 0, &mfn))
		abort();
	return mfn;
}

/* A domain with four pages, a validated address space with an empty L1 table for addresses 0 .. 2 MiB, one
 * grant frame. */
static void guest_make(struct guest *g, uint16_t domid)
{
	mfn_t table[5], gt;

	g->d = machine_domain(domid, 1);
	for (unsigned i = 0; i < 4; i++)
		g->page[i] = page_of(g->d);
	for (unsigned level = 1; level <= 4; level++)
		table[level] = page_of(g->d);
	g->l1 = table[1];
	for (unsigned level = 2; level <= 4; level++)
		*(uint64_t *)mfn_map_own(table[level]) =
		        table[level - 1].m << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US | PTE_A;
	if (pt_get(&g->d->mm, table[4], PTYPE_L4, false))
		abort();
	g->d->vcpus[0]->l4_kernel = table[4];
	if (grant_table_frame(g->d, 0, &gt))
		abort();
	g->table = mfn_map_own(gt);
}

static void as(struct guest *g)
{
	unsigned cpu = g == &g1 ? 0 : 1;

	machine_become(cpu, g->d->vcpus[0]);
	cpumask_set(&g->d->mm.dirty_cpus, cpu);
	if (!mfn_eq(fake_loaded(cpu), g->d->vcpus[0]->l4_kernel))
		fake_load(cpu, &g->d->mm, g->d->vcpus[0]->l4_kernel);
}

static void grant(struct guest *g, unsigned ref, uint16_t to, mfn_t page, uint16_t flags)
{
	g->table[ref].domid = to;
	g->table[ref].frame = (uint32_t)page.m;
	g->table[ref].flags = flags;
}

static struct gnttab_map_grant_ref map_op(struct guest *user, uint16_t granter, unsigned ref, uint64_t va,
                                          uint32_t flags)
{
	struct gnttab_map_grant_ref op = { .host_addr = va, .flags = flags, .ref = ref, .dom = granter };
	unsigned done = 0;

	as(user);
	if (grant_op(GNTTABOP_map_grant_ref, machine_put(user == &g1 ? 0 : 4096, &op, sizeof(op)), 1,
	             &done) ||
	    done != 1)
		abort();
	memcpy(&op, fake_guest + (user == &g1 ? 0 : 4096), sizeof(op));
	return op;
}

static int unmap(struct guest *user, uint64_t va, grant_handle_t handle)
{
	struct gnttab_unmap_grant_ref op = { .host_addr = va, .handle = handle };
	unsigned done = 0;

	as(user);
	if (grant_op(GNTTABOP_unmap_grant_ref, machine_put(user == &g1 ? 512 : 4608, &op, sizeof(op)), 1,
	             &done) ||
	    done != 1)
		abort();
	memcpy(&op, fake_guest + (user == &g1 ? 512 : 4608), sizeof(op));
	return op.status;
}

static void test_map(void)
{
	struct gnttab_map_grant_ref m, m2;
	uint16_t d1 = g1.d->domid, d2 = g2.d->domid;
	grant_entry_v1_t *e = &g1.table[REF];

	grant(&g1, REF, d2, g1.page[0], GTF_permit_access);
	m = map_op(&g2, d1, REF, VA(1), GNTMAP_host_map);
	tap_ok(m.status == GNTST_okay && m.dev_bus_addr == mfn_to_maddr(g1.page[0]).a,
	       "a granted page is mapped");
	tap_ok(fake_touch(1, VA(1), true), "and can be written");
	tap_ok((e->flags & (GTF_reading | GTF_writing)) == (GTF_reading | GTF_writing),
	       "the entry says that it is in use");
	m2 = map_op(&g2, d1, REF, VA(2), GNTMAP_host_map | GNTMAP_readonly);
	tap_ok(m2.status == GNTST_okay && fake_touch(1, VA(2), false) && !fake_touch(1, VA(2), true),
	       "a second mapping of it may be read-only, and is");
	tap_ok(unmap(&g2, VA(1), m.handle) == GNTST_okay && !fake_touch(1, VA(1), false),
	       "the first is unmapped, out of the TLB too");
	tap_ok((e->flags & (GTF_reading | GTF_writing)) == GTF_reading,
	       "which leaves the entry in use for reading");
	tap_ok(unmap(&g2, VA(1), m.handle) == GNTST_bad_handle, "a handle is good once");
	tap_ok(unmap(&g2, VA(3), m2.handle) == GNTST_general_error,
	       "the address must be the one that was mapped");
	tap_ok(unmap(&g2, VA(2), m2.handle) == GNTST_okay && e->flags == GTF_permit_access,
	       "after the last the entry is free");
	tap_ok(!fake_tlb_check(), "no stale translation reaches anything");
	m = map_op(&g2, d1, REF, VA(1), GNTMAP_device_map);
	tap_ok(m.status == GNTST_okay && !fake_touch(1, VA(1), false),
	       "a device mapping alone maps nothing for the CPU");
	{
		struct gnttab_unmap_grant_ref u = { .dev_bus_addr = m.dev_bus_addr + PAGE_SIZE,
			                            .handle = m.handle };
		unsigned done = 0;

		(void)!grant_op(GNTTABOP_unmap_grant_ref, machine_put(4608, &u, sizeof(u)), 1, &done);
		memcpy(&u, fake_guest + 4608, sizeof(u));
		tap_ok(u.status == GNTST_bad_dev_addr, "a wrong bus address is refused");
		u.dev_bus_addr = m.dev_bus_addr;
		done = 0;
		(void)!grant_op(GNTTABOP_unmap_grant_ref, machine_put(4608, &u, sizeof(u)), 1, &done);
		tap_ok(e->flags == GTF_permit_access, "the right one ends the device mapping");
	}
}

static void test_refusals(void)
{
	uint16_t d1 = g1.d->domid, d2 = g2.d->domid;
	uint64_t seg = g1.d->mm.tot_pages;

	grant(&g1, REF, d1, g1.page[0], GTF_permit_access);
	tap_ok(map_op(&g2, d1, REF, VA(1), GNTMAP_host_map).status == GNTST_general_error,
	       "what is granted to another is refused");
	grant(&g1, REF, d2, g1.page[0], GTF_permit_access | GTF_readonly);
	tap_ok(map_op(&g2, d1, REF, VA(1), GNTMAP_host_map).status == GNTST_general_error,
	       "a read-only grant is not mapped writable");
	grant(&g1, REF, d2, g1.page[0], GTF_invalid);
	tap_ok(map_op(&g2, d1, REF, VA(1), GNTMAP_host_map).status == GNTST_general_error,
	       "an entry that is free is refused");
	grant(&g1, REF, d2, g2.page[0], GTF_permit_access);
	tap_ok(map_op(&g2, d1, REF, VA(1), GNTMAP_host_map).status == GNTST_bad_page,
	       "nobody grants another's page");
	grant(&g1, REF, d2, MFN(0xffffffff), GTF_permit_access);
	tap_ok(map_op(&g2, d1, REF, VA(1), GNTMAP_host_map).status == GNTST_bad_page,
	       "nor one that is not there");
	grant(&g1, REF, d2, g1.l1, GTF_permit_access);
	tap_ok(map_op(&g2, d1, REF, VA(1), GNTMAP_host_map).status == GNTST_general_error,
	       "a page table is not mapped writable");
	tap_ok(!(g1.table[REF].flags & (GTF_reading | GTF_writing)),
	       "after a refusal the entry is not in use");
	tap_ok(map_op(&g2, d1, 512, VA(1), GNTMAP_host_map).status == GNTST_bad_gntref,
	       "a reference behind the table is refused");
	tap_ok(map_op(&g2, d1, 0xffffffff, VA(1), GNTMAP_host_map).status == GNTST_bad_gntref,
	       "the last number too");
	tap_ok(map_op(&g2, 99, REF, VA(1), GNTMAP_host_map).status == GNTST_bad_domain,
	       "a domain that is not there is refused");
	grant(&g1, REF, d2, g1.page[0], GTF_permit_access);
	tap_ok(map_op(&g2, d1, REF, VA(1), 0).status == GNTST_bad_gntref, "a mapping of no kind is refused");
	tap_ok(map_op(&g2, d1, REF, 1ull << 40, GNTMAP_host_map).status == GNTST_general_error,
	       "an address without a table is refused");
	tap_ok(map_op(&g2, d1, REF, ~0ull << 47, GNTMAP_host_map).status == GNTST_general_error,
	       "an address of the hypervisor is refused");
	tap_ok(!(g1.table[REF].flags & (GTF_reading | GTF_writing)), "and the pin is given back");
	tap_ok(unmap(&g2, VA(1), 0xffffffff) == GNTST_bad_handle &&
	               unmap(&g2, VA(1), 511) == GNTST_bad_handle,
	       "handles that were not given out are refused");
	tap_ok(g1.d->mm.tot_pages == seg, "no page was lost");
}

/* The granter rewrites its entry while it is in use. */
static void test_lies(void)
{
	uint16_t d1 = g1.d->domid, d2 = g2.d->domid;
	struct gnttab_map_grant_ref m, m2;

	grant(&g1, REF, d2, g1.page[0], GTF_permit_access);
	m = map_op(&g2, d1, REF, VA(1), GNTMAP_host_map);
	grant(&g1, REF, d2, g1.page[1], GTF_permit_access);
	m2 = map_op(&g2, d1, REF, VA(2), GNTMAP_host_map);
	tap_ok(m2.status == GNTST_okay && m2.dev_bus_addr == m.dev_bus_addr,
	       "a frame that is exchanged in use has no effect");
	grant(&g1, REF, d1, g1.page[1], GTF_permit_access);
	tap_ok(map_op(&g1, d1, REF, VA(1), GNTMAP_host_map).status == GNTST_general_error,
	       "nor another domain's number");
	g1.table[REF].flags = 0;
	tap_ok(unmap(&g2, VA(1), m.handle) == GNTST_okay && unmap(&g2, VA(2), m2.handle) == GNTST_okay &&
	               !g1.table[REF].flags,
	       "an entry that was wiped in use is unmapped all the same");
	tap_ok(domain_frame_release(&g1.d->mm, g1.page[3]) == 0, "a page that nobody uses can be given back");
	grant(&g1, REF, d2, g1.page[0], GTF_permit_access);
	m = map_op(&g2, d1, REF, VA(1), GNTMAP_host_map);
	tap_ok(domain_frame_release(&g1.d->mm, g1.page[0]) == 0 && fake_touch(1, VA(1), true) &&
	               !fake_tlb_check(),
	       "a granted page that its owner gives back stays until it is unmapped");
	tap_ok(unmap(&g2, VA(1), m.handle) == GNTST_okay && !fake_tlb_check(), "and is freed then");
	g1.page[0] = page_of(g1.d);
	g1.page[3] = page_of(g1.d);
}

static int copy(struct guest *user, struct gnttab_copy *op)
{
	unsigned done = 0;

	as(user);
	if (grant_op(GNTTABOP_copy, machine_put(8192, op, sizeof(*op)), 1, &done))
		return -1000;
	memcpy(op, fake_guest + 8192, sizeof(*op));
	return op->status;
}

static void test_copy(void)
{
	uint16_t d1 = g1.d->domid, d2 = g2.d->domid;
	uint8_t *from = mfn_map_own(g1.page[0]), *to = mfn_map_own(g2.page[0]);
	struct gnttab_copy op = { .source = { .u.ref = REF, .domid = d1, .offset = 100 },
		                  .dest = { .u.gmfn = g2.page[0].m, .domid = DOMID_SELF, .offset = 200 },
		                  .len = 50,
		                  .flags = GNTCOPY_source_gref };
	struct gnttab_copy bad;

	grant(&g1, REF, d2, g1.page[0], GTF_permit_access | GTF_readonly);
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		from[i] = (uint8_t)(i * 7);
	tap_ok(copy(&g2, &op) == GNTST_okay && !memcmp(from + 100, to + 200, 50) && !to[199] && !to[250],
	       "copy from a grant");
	tap_ok(!(g1.table[REF].flags & (GTF_reading | GTF_writing)), "leaves no pin");
	bad = op;
	bad.len = 4000;
	tap_ok(copy(&g2, &bad) == GNTST_bad_copy_arg, "a copy beyond the page is refused");
	bad = op;
	bad.source.offset = 0xffff;
	tap_ok(copy(&g2, &bad) == GNTST_bad_copy_arg, "an offset beyond the page too");
	bad = op;
	bad.flags = 0;
	bad.source.u.gmfn = g1.page[0].m;
	tap_ok(copy(&g2, &bad) == GNTST_permission_denied,
	       "another domain's frame is not copied by its number");
	bad.source.domid = DOMID_SELF;
	tap_ok(copy(&g2, &bad) == GNTST_bad_page, "nor as one's own");
	bad = op;
	bad.dest.u.gmfn = g2.l1.m;
	tap_ok(copy(&g2, &bad) == GNTST_general_error, "a guest does not copy onto its own page table");
	bad = (struct gnttab_copy){
		.source = op.dest, .dest = op.source, .len = 8, .flags = GNTCOPY_dest_gref
	};
	tap_ok(copy(&g2, &bad) == GNTST_general_error, "nor onto a read-only grant");
	grant(&g1, REF, d2, g1.page[0], GTF_permit_access);
	memset(to + 200, 0xee, 8);
	tap_ok(copy(&g2, &bad) == GNTST_okay && from[100] == 0xee, "but onto a writable one");
}

static bool free_before_unused;

/* The other CPU, at any time. */
static void look_at_the_entry(void)
{
	bool pinned;

	if (!(g1.table[REF].flags & (GTF_reading | GTF_writing)) &&
	    frame_type(g1.page[1], &pinned) != PTYPE_NONE)
		free_before_unused = true;
}

/* A granter that sees its entry free may pin the page as a table at once. */
static void test_free_means_unused(void)
{
	struct gnttab_map_grant_ref m;

	grant(&g1, REF, g2.d->domid, g1.page[1], GTF_permit_access);
	m = map_op(&g2, g1.d->domid, REF, VA(5), GNTMAP_host_map);
	fake_hook = look_at_the_entry;
	tap_ok(m.status == GNTST_okay && unmap(&g2, VA(5), m.handle) == GNTST_okay && !free_before_unused,
	       "an entry is free only when its page is in nobody's use any more");
	fake_hook = NULL;
}

/* A guest's table of 200 frames is made in slices. */
/* Of a table of several pages a part at a time; the grants that are mapped for writing are found. */
static void test_log(void)
{
	struct gnttab_map_grant_ref m, read_only;
	unsigned ref = 0, slices = 1;
	uint64_t word;
	mfn_t mfn;

	if (grant_table_frame(g1.d, 2, &mfn) || dirty_log_make(&g1.d->mm, 4096))
		exit(1);
	m2p_set(g1.page[0], 70);
	m2p_set(g1.page[1], 71);
	dirty_log_start(&g1.d->mm);
	grant(&g1, 400, 2, g1.page[0], GTF_permit_access);
	grant(&g1, 3, 2, g1.page[1], GTF_permit_access | GTF_readonly);
	m = map_op(&g2, 1, 400, 0x2000, GNTMAP_host_map);
	read_only = map_op(&g2, 1, 3, 0x3000, GNTMAP_host_map | GNTMAP_readonly);
	(void)dirty_log_word(&g1.d->mm, 64, true);
	while (grant_log_mapped(g1.d, &ref))
		slices++;
	word = dirty_log_word(&g1.d->mm, 64, true);
	tap_ok(!m.status && !read_only.status && word == 1ull << 6 && slices == 3 && ref == 1536,
	       "pages that others can write are marked, a page of the table at a time");
	dirty_log_stop(&g1.d->mm);
	(void)unmap(&g2, 0x2000, m.handle);
	(void)unmap(&g2, 0x3000, read_only.handle);
}

static void test_large_table(void)
{
	struct gnttab_setup_table s = { .dom = DOMID_SELF,
		                        .nr_frames = 200,
		                        .frame_list = { (xen_pfn_t *)9000 } };
	struct domain *d = machine_domain(7, 1);
	unsigned slices = 0, done, largest = 0;
	int rc;

	grant_domain_free(d);
	if (grant_domain_init(d, 256, 1))
		abort();
	machine_become(1, d->vcpus[0]);
	fake_preempt = 1;
	do {
		unsigned before = d->grant ? grant_table_frames(d) : 0;

		done = 0;
		rc = grant_op(GNTTABOP_setup_table, machine_put(8192, &s, sizeof(s)), 1, &done);
		largest = MAX(largest, grant_table_frames(d) - before);
	} while (rc == -ERESTART_HV && ++slices < 1000);
	fake_preempt = 0;
	memcpy(&s, fake_guest + 8192, sizeof(s));
	tap_ok(!rc && s.status == GNTST_okay && grant_table_frames(d) == 200, "a large table is made");
	tap_ok(slices > 1 && largest <= 16, "in slices");
	machine_destroy(d);
}

static void test_tables(void)
{
	struct gnttab_query_size q = { .dom = DOMID_SELF };
	struct gnttab_setup_table s = { .dom = DOMID_SELF,
		                        .nr_frames = 3,
		                        .frame_list = { (xen_pfn_t *)9000 } };
	struct gnttab_set_version v = { .version = 2 };
	struct gnttab_swap_grant_ref w = { .ref_a = REF, .ref_b = REF + 1 };
	unsigned done = 0;

	as(&g2);
	tap_ok(!grant_op(GNTTABOP_query_size, machine_put(8192, &q, sizeof(q)), 1, &done), "query_size");
	memcpy(&q, fake_guest + 8192, sizeof(q));
	tap_ok(!q.status && q.nr_frames == 1 && q.max_nr_frames == 4, "tells one frame of four");
	tap_ok(!grant_op(GNTTABOP_setup_table, machine_put(8192, &s, sizeof(s)), 1, &done), "setup_table");
	memcpy(&s, fake_guest + 8192, sizeof(s));
	tap_ok(s.status == GNTST_okay && ((uint64_t *)(void *)(fake_guest + 9000))[2] != 0,
	       "grows it and lists the frames");
	s.nr_frames = 5;
	(void)!grant_op(GNTTABOP_setup_table, machine_put(8192, &s, sizeof(s)), 1, &done);
	memcpy(&s, fake_guest + 8192, sizeof(s));
	tap_ok(s.status == GNTST_general_error, "not beyond its limit");
	s = (struct gnttab_setup_table){ .dom = g1.d->domid, .nr_frames = 1 };
	(void)!grant_op(GNTTABOP_setup_table, machine_put(8192, &s, sizeof(s)), 1, &done);
	memcpy(&s, fake_guest + 8192, sizeof(s));
	tap_ok(s.status == GNTST_permission_denied, "and not another domain's");
	tap_ok(grant_op(GNTTABOP_set_version, machine_put(8192, &v, sizeof(v)), 1, &done) == -ENOSYS,
	       "version 2 is not there");
	v.version = 1;
	tap_ok(!grant_op(GNTTABOP_set_version, machine_put(8192, &v, sizeof(v)), 1, &done), "version 1 is");
	tap_ok(grant_op(GNTTABOP_dump_table, GVA(0), 1, &done) == -ENOSYS &&
	               grant_op(77, GVA(0), 1, &done) == -ENOSYS,
	       "unknown commands are named unknown");
	as(&g1);
	grant(&g1, REF, 1, g1.page[0], GTF_permit_access);
	grant(&g1, REF + 1, 2, g1.page[1], GTF_permit_access);
	done = 0;
	tap_ok(!grant_op(GNTTABOP_swap_grant_ref, machine_put(8192, &w, sizeof(w)), 1, &done) &&
	               g1.table[REF].domid == 2 && g1.table[REF + 1].frame == g1.page[0].m,
	       "entries are swapped");
	done = 0;
	tap_ok(grant_op(GNTTABOP_map_grant_ref, GVA(65530), 1, &done) == -EFAULT && !done,
	       "an operation that cannot be read faults");
}

/* max_mem was lowered below what the domain has, while a transfer of its fails. */
static void test_transfer_limit(void)
{
	mfn_t page = page_of(g1.d);
	struct gnttab_transfer t = { .mfn = page.m, .domid = g2.d->domid, .ref = REF };
	uint64_t n1 = g1.d->mm.tot_pages, limit = g1.d->mm.max_pages;
	unsigned done = 0;

	g1.d->mm.max_pages = 1;
	(void)!grant_op(GNTTABOP_transfer, machine_put(8192, &t, sizeof(t)), 1, &done);
	g1.d->mm.max_pages = limit;
	memcpy(&t, fake_guest + 8192, sizeof(t));
	tap_ok(t.status == GNTST_general_error && g1.d->mm.tot_pages == n1 && !g1.d->shutting_down,
	       "a failed transfer gives the page back, also over the domain's limit");
}

static mfn_t moving;
static bool late_m2p;

/* The other CPU: its domain has the frame, and may have given it to a third one when the M2P is written. */
static void look_at_the_m2p(void)
{
	if (frame_owner(moving) == &g2.d->mm && m2p_get(moving) != 0x77)
		late_m2p = true;
}

static void test_transfer(void)
{
	mfn_t page = page_of(g1.d);
	struct gnttab_transfer t = { .mfn = page.m, .domid = g2.d->domid, .ref = REF };
	uint64_t n1 = g1.d->mm.tot_pages, n2 = g2.d->mm.tot_pages;
	unsigned done = 0;

	grant(&g2, REF, g1.d->domid, MFN(0x77), GTF_permit_access);
	as(&g1);
	(void)!grant_op(GNTTABOP_transfer, machine_put(8192, &t, sizeof(t)), 1, &done);
	memcpy(&t, fake_guest + 8192, sizeof(t));
	tap_ok(t.status == GNTST_general_error && g1.d->mm.tot_pages == n1,
	       "a page is not transferred where none is awaited");
	done = 0;
	g1.d->mm.max_pages = 1;
	(void)!grant_op(GNTTABOP_transfer, machine_put(8192, &t, sizeof(t)), 1, &done);
	memcpy(&t, fake_guest + 8192, sizeof(t));
	tap_ok(t.status == GNTST_general_error && g1.d->mm.tot_pages == n1 &&
	               frame_owner(page) == &g1.d->mm && !g1.d->shutting_down,
	       "it stays with its domain, also when that has more than its maximum by now");
	g1.d->mm.max_pages = 1024;
	grant(&g2, REF, g1.d->domid, MFN(0x77), GTF_accept_transfer);
	done = 0;
	g2.d->mm.max_pages = n2;
	(void)!grant_op(GNTTABOP_transfer, machine_put(8192, &t, sizeof(t)), 1, &done);
	memcpy(&t, fake_guest + 8192, sizeof(t));
	tap_ok(t.status == GNTST_address_too_big && g1.d->mm.tot_pages == n1 &&
	               g2.table[REF].flags == GTF_accept_transfer,
	       "and does not go where there is no room, which leaves the entry alone");
	g2.d->mm.max_pages = 1024;
	grant(&g2, REF, g1.d->domid, MFN(0x77), GTF_accept_transfer);
	done = 0;
	moving = page;
	fake_hook = look_at_the_m2p;
	(void)!grant_op(GNTTABOP_transfer, machine_put(8192, &t, sizeof(t)), 1, &done);
	fake_hook = NULL;
	tap_ok(!late_m2p, "the M2P is written before the frame has its new owner");
	memcpy(&t, fake_guest + 8192, sizeof(t));
	tap_ok(t.status == GNTST_okay && g1.d->mm.tot_pages == n1 - 1 && g2.d->mm.tot_pages == n2 + 1,
	       "and is where one is");
	tap_ok(g2.table[REF].frame == page.m &&
	               g2.table[REF].flags ==
	                       (GTF_accept_transfer | GTF_transfer_committed | GTF_transfer_completed) &&
	               m2p_get(page) == 0x77,
	       "the receiver's entry and the M2P tell of it");
	done = 0;
	t.mfn = g1.l1.m;
	(void)!grant_op(GNTTABOP_transfer, machine_put(8192, &t, sizeof(t)), 1, &done);
	memcpy(&t, fake_guest + 8192, sizeof(t));
	tap_ok(t.status == GNTST_bad_page, "a page table is not transferred");
	g2.table[REF].flags = 0;
	test_transfer_limit();
}

static void test_quota_and_batch(void)
{
	struct gnttab_map_grant_ref m;
	grant_handle_t handles[512];
	unsigned n = 0, done = 0, rounds = 0;
	struct gnttab_unmap_grant_ref *u = (void *)(fake_guest + 16384);

	grant(&g1, REF, g2.d->domid, g1.page[0], GTF_permit_access);
	while (n < 512) {
		m = map_op(&g2, g1.d->domid, REF, 0, GNTMAP_device_map);
		if (m.status != GNTST_okay)
			break;
		handles[n++] = m.handle;
	}
	tap_ok(n == 512 &&
	               map_op(&g2, g1.d->domid, REF, 0, GNTMAP_device_map).status == GNTST_no_device_space,
	       "the number of mappings is limited");
	for (unsigned i = 0; i < n; i++)
		u[i] = (struct gnttab_unmap_grant_ref){ .dev_bus_addr = m.dev_bus_addr,
			                                .handle = handles[i] };
	for (unsigned i = 0; i < n; i++)
		u[i].dev_bus_addr = mfn_to_maddr(g1.page[0]).a;
	as(&g2);
	fake_preempt = 1;
	while (grant_op(GNTTABOP_unmap_grant_ref, GVA(16384), n, &done) == -ERESTART_HV)
		rounds++;
	fake_preempt = 0;
	for (unsigned i = 0; i < n; i++)
		rounds += u[i].status ? 1000 : 0;
	tap_ok(done == n && rounds == 15, "a batch is unmapped in slices of 32");
	tap_ok(g1.table[REF].flags == GTF_permit_access, "to the last");
}

#define ELEMENTS 512

/* An array of ELEMENTS at 16384, with work at every look: the most that was done in one go; ~0u: it was not all done. */
static unsigned largest_slice(unsigned cmd)
{
	unsigned done = 0, before, largest = 0;
	int rc;

	fake_preempt = 1;
	do {
		before = done;
		rc = grant_op(cmd, GVA(16384), ELEMENTS, &done);
		largest = MAX(largest, done - before);
	} while (rc == -ERESTART_HV && done > before);
	fake_preempt = 0;
	return rc || done != ELEMENTS ? ~0u : largest;
}

static void test_long_arrays(void)
{
	struct gnttab_map_grant_ref *m = (void *)(fake_guest + 16384);
	struct gnttab_unmap_grant_ref *u = (void *)m;
	struct gnttab_copy *c = (void *)m;
	struct gnttab_transfer *t = (void *)m;
	grant_handle_t handles[ELEMENTS];
	bool good = true;

	grant(&g1, REF, g2.d->domid, g1.page[0], GTF_permit_access);
	as(&g2);
	for (unsigned i = 0; i < ELEMENTS; i++)
		m[i] = (struct gnttab_map_grant_ref){ .flags = GNTMAP_device_map,
			                              .ref = REF,
			                              .dom = g1.d->domid };
	tap_ok(largest_slice(GNTTABOP_map_grant_ref) == 16, "512 grants are mapped in slices of 16");
	for (unsigned i = 0; i < ELEMENTS; i++) {
		good &= m[i].status == GNTST_okay;
		handles[i] = m[i].handle;
	}
	for (unsigned i = 0; i < ELEMENTS; i++)
		u[i] = (struct gnttab_unmap_grant_ref){ .dev_bus_addr = mfn_to_maddr(g1.page[0]).a,
			                                .handle = handles[i] };
	good &= largest_slice(GNTTABOP_unmap_grant_ref) == 32;
	tap_ok(good && g1.table[REF].flags == GTF_permit_access, "and unmapped, in slices of 32");

	for (unsigned i = 0; i < ELEMENTS; i++)
		c[i] = (struct gnttab_copy){ .source = { .u.ref = REF, .domid = g1.d->domid },
			                     .dest = { .u.gmfn = g2.page[0].m, .domid = DOMID_SELF },
			                     .len = PAGE_SIZE,
			                     .flags = GNTCOPY_source_gref };
	tap_ok(largest_slice(GNTTABOP_copy) == 16 && c[ELEMENTS - 1].status == GNTST_okay,
	       "512 pages are copied in slices of 16");

	for (unsigned i = 0; i < ELEMENTS; i++)
		t[i] = (struct gnttab_transfer){ .mfn = g2.page[0].m, .domid = g1.d->domid, .ref = REF };
	tap_ok(largest_slice(GNTTABOP_transfer) == 16 && t[0].status == GNTST_general_error &&
	               t[ELEMENTS - 1].status == GNTST_general_error,
	       "512 transfers are tried in slices of 16");

	memset(m, 0, ELEMENTS * sizeof(struct gnttab_swap_grant_ref));
	tap_ok(largest_slice(GNTTABOP_swap_grant_ref) == 16, "512 entries are swapped in slices of 16");
	memset(m, 0xff, ELEMENTS * sizeof(struct gnttab_unmap_and_replace));
	tap_ok(largest_slice(GNTTABOP_unmap_and_replace) == 32, "512 mappings are replaced in slices of 32");
}

static void *map_storm(void *data)
{
	struct guest *g = data;
	uint16_t granter = g1.d->domid;
	unsigned bad = 0;

	for (unsigned i = 0; i < 5000; i++) {
		struct gnttab_map_grant_ref m = map_op(g, granter, REF + (g == &g1), VA(1 + i % 8),
		                                       GNTMAP_host_map | (i % 3 ? 0 : GNTMAP_readonly));

		if (m.status != GNTST_okay || unmap(g, VA(1 + i % 8), m.handle) != GNTST_okay)
			bad++;
	}
	return (void *)(uintptr_t)bad;
}

static void test_threads(void)
{
	pthread_t t[2];
	void *bad[2];

	grant(&g1, REF, g2.d->domid, g1.page[0], GTF_permit_access);
	grant(&g1, REF + 1, g1.d->domid, g1.page[0], GTF_permit_access);
	fake_tlb_enable(false);
	pthread_create(&t[0], NULL, map_storm, &g1);
	pthread_create(&t[1], NULL, map_storm, &g2);
	pthread_join(t[0], &bad[0]);
	pthread_join(t[1], &bad[1]);
	fake_tlb_enable(true);
	tap_ok(!bad[0] && !bad[1], "two domains map and unmap grants of one page at once");
	tap_ok(g1.table[REF].flags == GTF_permit_access && g1.table[REF + 1].flags == GTF_permit_access,
	       "and leave no pin");
}

static void test_death(void)
{
	struct gnttab_map_grant_ref m;
	uint64_t free_before;
	struct domain *d1 = g1.d;

	/* The user dies with a mapping. */
	grant(&g1, REF, g2.d->domid, g1.page[0], GTF_permit_access);
	m = map_op(&g2, d1->domid, REF, VA(1), GNTMAP_host_map);
	tap_ok(m.status == GNTST_okay, "a mapping is left behind");
	fake_load(1, NULL, INVALID_MFN);
	cpumask_clear(&g2.d->mm.dirty_cpus, 1);
	fake_preempt = 1;
	machine_destroy(g2.d);
	fake_preempt = 0;
	machine_run(0);
	tap_ok(!domain_get(2), "the domain that mapped is gone");
	tap_ok(g1.table[REF].flags == GTF_permit_access, "its pins with it");

	/* The granter dies with its page mapped: it stays, without memory but that page, until it is unmapped. */
	guest_make(&g2, 3);
	free_before = heap_free_pages();
	grant(&g1, REF, 3, g1.page[0], GTF_permit_access);
	m = map_op(&g2, d1->domid, REF, VA(1), GNTMAP_host_map);
	fake_load(0, NULL, INVALID_MFN);
	cpumask_clear(&d1->mm.dirty_cpus, 0);
	machine_destroy(d1);
	machine_run(0);
	d1 = domain_get(1);
	tap_ok(d1 && d1->life == DOMAIN_DEAD && d1->mm.tot_pages == 1,
	       "a dead domain keeps the page that is mapped, and its number");
	domain_put(d1);
	tap_ok(fake_touch(1, VA(1), true) && !fake_tlb_check(), "the user can still use it");
	tap_ok(map_op(&g2, 1, REF, VA(2), GNTMAP_host_map).status == GNTST_general_error,
	       "but maps nothing new of it");
	tap_ok(unmap(&g2, VA(1), m.handle) == GNTST_okay, "the last mapping goes");
	machine_run(1);
	as(&g2);
	tap_ok(!domain_get(1), "and the domain with it");
	tap_ok(heap_free_pages() > free_before, "its memory is back");
}

int main(void)
{
	uint64_t start;

	tap_plan(6 + 13 + 16 + 6 + 9 + 11 + 5 + 3 + 6 + 2 + 9 + 1 + 1);
	machine_init(4096, 2);
	dom0 = machine_domain(0, 1);
	machine_destroy(machine_domain(5, 1)); /* so that what stays permanently is there */
	machine_run(0);
	machine_become(0, dom0->vcpus[0]);
	start = heap_free_pages();
	guest_make(&g1, 1);
	guest_make(&g2, 2);
	test_map();
	test_refusals();
	test_lies();
	test_copy();
	test_tables();
	test_free_means_unused();
	test_large_table();
	test_log();
	test_transfer();
	test_quota_and_batch();
	test_long_arrays();
	test_threads();
	test_death();
	fake_load(1, NULL, INVALID_MFN);
	cpumask_clear(&g2.d->mm.dirty_cpus, 1);
	machine_destroy(g2.d);
	machine_run(0);
	machine_become(0, dom0->vcpus[0]);
	tap_ok(heap_free_pages() == start, "when all are gone not a page is missing");
	return tap_end();
}
