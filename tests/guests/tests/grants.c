/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Grant tables: setup, mapping of the domain's own page, copies, and bad references */
#include "guest.h"

const char test_name[] = "grants";

void run(void)
{
	char *page = page_alloc(), *at = page_alloc(), *table_va = page_alloc();
	xen_pfn_t frame = 0;
	struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 1 };
	struct gnttab_map_grant_ref m = { .flags = GNTMAP_host_map, .dom = 0, .ref = 9 };
	struct gnttab_unmap_grant_ref u = { 0 };
	struct gnttab_copy c = { 0 };
	struct gnttab_query_size size = { .dom = DOMID_SELF };
	grant_entry_v1_t *table = (void *)table_va;

	set_xen_guest_handle(setup.frame_list, &frame);
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_query_size, &size, 1), 0);
	EXPECT_EQ(size.status, GNTST_okay);
	EXPECT(size.max_nr_frames >= 1);
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_setup_table, &setup, 1), 0);
	EXPECT_EQ(setup.status, GNTST_okay);
	EXPECT_EQ(map(table_va, PTE(frame)), 0);
	page[0] = 99;
	table[9].domid = 0;
	table[9].frame = (uint32_t)mfn_of(page);
	table[9].flags = GTF_permit_access;
	EXPECT_EQ(map(at, 0), 0);
	m.host_addr = (unsigned long)at;
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
	EXPECT_EQ(m.status, GNTST_okay);
	EXPECT_EQ(at[0], 99);
	at[1] = 5;
	EXPECT_EQ(page[1], 5);
	EXPECT_EQ(table[9].flags & (GTF_reading | GTF_writing), GTF_reading | GTF_writing);
	u.host_addr = m.host_addr;
	u.handle = m.handle;
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1), 0);
	EXPECT_EQ(u.status, GNTST_okay);
	EXPECT_EQ(table[9].flags & (GTF_reading | GTF_writing), 0);
	EXPECT_EQ(*entry_of(at, 1), 0);
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1), 0);
	EXPECT(u.status != GNTST_okay);
	m.ref = 10; /* not granted */
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
	EXPECT(m.status < 0);
	m.ref = 0x7fffffff;
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
	EXPECT_EQ(m.status, GNTST_bad_gntref);
	m.dom = 99;
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
	EXPECT_EQ(m.status, GNTST_bad_domain);
	EXPECT_EQ(map_writable(at), 0);
	c.source.u.ref = 9;
	c.source.domid = DOMID_SELF;
	c.dest.u.gmfn = mfn_of(at);
	c.dest.domid = DOMID_SELF;
	c.len = 64;
	c.flags = GNTCOPY_source_gref;
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_copy, &c, 1), 0);
	EXPECT_EQ(c.status, GNTST_okay);
	EXPECT_EQ(at[0], 99);
	c.len = 4097;
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_copy, &c, 1), 0);
	EXPECT(c.status < 0);
}
