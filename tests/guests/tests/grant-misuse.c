/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A table page is not granted writable; a read-only mapping shows the page, faults at a write, and ends by an unmap */
#include "guest.h"

const char test_name[] = "grant-misuse";

static void write_it(void *p)
{
	*(volatile uint64_t *)p = 0;
}

static void read_it(void *p)
{
	(void)*(volatile uint64_t *)p;
}

void run(void)
{
	char *at = page_alloc(), *table_va = page_alloc();
	xen_pfn_t frame = 0;
	struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 1 };
	struct gnttab_map_grant_ref m = { .flags = GNTMAP_host_map, .dom = 0, .ref = 12 };
	struct gnttab_unmap_grant_ref u = { 0 };
	grant_entry_v1_t *table = (void *)table_va;
	volatile uint64_t *data = page_alloc();
	struct fault f;

	set_xen_guest_handle(setup.frame_list, &frame);
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_setup_table, &setup, 1), 0);
	EXPECT_EQ(map(table_va, PTE(frame)), 0);
	table[12].domid = 0;
	table[12].frame = (uint32_t)mfn_of((void *)start_info->pt_base);
	table[12].flags = GTF_permit_access;
	m.host_addr = (unsigned long)at;
	EXPECT_EQ(map(at, 0), 0);
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
	EXPECT(m.status < 0);
	EXPECT_EQ(table[12].flags & (GTF_reading | GTF_writing), 0);
	m.flags = GNTMAP_host_map | GNTMAP_readonly;
	table[12].flags = GTF_permit_access | GTF_readonly;
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
	EXPECT_EQ(m.status, GNTST_okay);
	EXPECT(!(*entry_of(at, 1) & RW));
	EXPECT_EQ(table[12].flags & (GTF_reading | GTF_writing), GTF_reading);
	EXPECT_EQ(memcmp(at, (void *)start_info->pt_base, 4096), 0);
	u.host_addr = m.host_addr;
	u.handle = m.handle;
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1), 0);
	EXPECT_EQ(u.status, GNTST_okay);
	EXPECT_EQ(table[12].flags & (GTF_reading | GTF_writing), 0);
	f = guarded(read_it, at);
	EXPECT_EQ(f.vector, 14);
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1), 0);
	EXPECT(u.status < 0);

	/* An ordinary page, read-only: stores to a table might be emulated. */
	data[0] = 42;
	table[13].domid = 0;
	table[13].frame = (uint32_t)mfn_of((void *)data);
	table[13].flags = GTF_permit_access;
	m.ref = 13;
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
	EXPECT_EQ(m.status, GNTST_okay);
	f = guarded(write_it, at);
	EXPECT_EQ(f.vector, 14);
	EXPECT_EQ(f.cr2, (unsigned long)at);
	EXPECT_EQ(f.error & 3, 3);
	EXPECT_EQ(data[0], 42);
}
