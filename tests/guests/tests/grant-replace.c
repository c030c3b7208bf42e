/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may take the place of a grant mapping, made at an address or in an entry: moves, other grants, ordinary entries */
#include "guest.h"

#define REFS 6 /* for each way of mapping */

const char test_name[] = "grant-replace";

static grant_entry_v1_t *table;
static char *pages[REFS];
static unsigned by_pte; /* the mapping is made in an entry, by its machine address */

static uint64_t host_addr(char *va)
{
	return by_pte ? entry_maddr(va, 1) : (unsigned long)va;
}

static int do_map(unsigned ref, char *va, unsigned flags, grant_handle_t *handle)
{
	struct gnttab_map_grant_ref m = { .flags = GNTMAP_host_map | flags,
		                          .host_addr = host_addr(va),
		                          .ref = ref };

	m.flags |= by_pte ? GNTMAP_contains_pte : 0;
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
	*handle = m.handle;
	return m.status;
}

static int do_unmap(char *va, grant_handle_t handle)
{
	struct gnttab_unmap_grant_ref u = { .handle = handle, .host_addr = host_addr(va) };

	EXPECT_EQ(HC(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1), 0);
	return u.status;
}

static int do_replace(char *va, char *with, grant_handle_t handle)
{
	struct gnttab_unmap_and_replace r = { .handle = handle, .host_addr = host_addr(va) };

	r.new_addr = (unsigned long)with;
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_unmap_and_replace, &r, 1), 0);
	return r.status;
}

static void moves(unsigned ref, char *at)
{
	char *page = page_alloc();
	grant_handle_t h;

	page[0] = 77;
	/* The entry of another address moves here: not where the mapping was made by its entry's address. */
	EXPECT_EQ(do_map(ref, at, 0, &h), GNTST_okay);
	EXPECT_EQ(do_replace(at, page, h), by_pte ? GNTST_general_error : GNTST_okay);
	EXPECT_EQ(at[0], by_pte ? 10 : 77);
	EXPECT_EQ(!*entry_of(page, 1), !by_pte);
	EXPECT_EQ(do_unmap(at, h), by_pte ? GNTST_okay : GNTST_bad_handle);
	EXPECT_EQ(table[ref].flags, GTF_permit_access);
	EXPECT_EQ(map(at, 0), 0);
	/* Nothing in its place: an unmap. */
	EXPECT_EQ(do_map(ref, at, 0, &h), GNTST_okay);
	EXPECT_EQ(do_replace(at, NULL, h), GNTST_okay);
	EXPECT_EQ(do_unmap(at, h), GNTST_bad_handle);
	EXPECT_EQ(*entry_of(at, 1), 0);
	EXPECT_EQ(table[ref].flags, GTF_permit_access);
}

/* What is in the place of a grant's mapping keeps it from being unmapped, and its entry in use. */
static void others(unsigned ref, char *at)
{
	grant_handle_t h, h2;

	EXPECT_EQ(do_map(ref, at, 0, &h), GNTST_okay);
	EXPECT_EQ(do_map(ref + 1, at, 0, &h2), GNTST_okay);
	EXPECT_EQ(at[0], 12);
	EXPECT_EQ(do_unmap(at, h), GNTST_general_error);
	EXPECT_EQ(do_unmap(at, h2), GNTST_okay);
	EXPECT_EQ(*entry_of(at, 1), 0);
	EXPECT_EQ(do_unmap(at, h), GNTST_general_error);
	EXPECT_EQ(table[ref].flags, GTF_permit_access | GTF_reading | GTF_writing);
	EXPECT_EQ(table[ref + 1].flags, GTF_permit_access);

	EXPECT_EQ(do_map(ref + 2, at, GNTMAP_readonly, &h), GNTST_okay);
	EXPECT_EQ(map(at, PTE(mfn_of(pages[4]))), 0);
	EXPECT_EQ(at[0], 14);
	EXPECT_EQ(do_unmap(at, h), GNTST_general_error);
	EXPECT_EQ(map(at, 0), 0);
	EXPECT_EQ(table[ref + 2].flags, GTF_permit_access | GTF_reading);

	EXPECT_EQ(do_map(ref + 3, at, 0, &h), GNTST_okay);
	EXPECT_EQ(mmu_update(entry_maddr(at, 1), 0), 0);
	EXPECT_EQ(*entry_of(at, 1), 0);
	EXPECT_EQ(do_unmap(at, h), GNTST_general_error);
	EXPECT_EQ(table[ref + 3].flags, GTF_permit_access | GTF_reading | GTF_writing);
}

void run(void)
{
	struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 1 };
	xen_pfn_t frame = 0;

	table = page_alloc();
	set_xen_guest_handle(setup.frame_list, &frame);
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_setup_table, &setup, 1), 0);
	EXPECT_EQ(map(table, PTE(frame)), 0);
	for (unsigned i = 0; i < REFS; i++) {
		pages[i] = page_alloc();
		pages[i][0] = (char)(10 + i);
		for (unsigned way = 0; way < 2; way++) {
			table[9 + way * REFS + i].frame = (uint32_t)mfn_of(pages[i]);
			table[9 + way * REFS + i].flags = GTF_permit_access;
		}
	}
	for (by_pte = 0; by_pte < 2; by_pte++) {
		char *at = page_alloc();

		EXPECT_EQ(map(at, 0), 0);
		moves(9 + by_pte * REFS, at);
		others(9 + by_pte * REFS + 1, at);
	}
}
