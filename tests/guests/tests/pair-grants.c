/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Grants and events between dom0 and two guests: mapping, copying, read-only, and a granter that dies first */
#include "pair.h"
#include <xen/domctl.h>

const char test_name[] = "pair-grants";

static struct child children[2];
static grant_entry_v1_t *table;

enum { REF_RW = 9, REF_RO, REF_OTHERS };

/* ---- the guest: grants a page in three ways, then answers events ---- */

static void grant_table(void)
{
	xen_pfn_t frame = 0;
	struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 1 };

	table = page_alloc();
	set_xen_guest_handle(setup.frame_list, &frame);
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_setup_table, &setup, 1), 0);
	EXPECT_EQ(setup.status, GNTST_okay);
	EXPECT_EQ(map(table, PTE(frame)), 0);
}

static void grant(unsigned ref, const void *page, unsigned flags, domid_t to)
{
	table[ref].domid = to;
	table[ref].frame = (uint32_t)mfn_of(page);
	__atomic_store_n(&table[ref].flags, (uint16_t)flags, __ATOMIC_SEQ_CST);
}

void child_run(void)
{
	volatile uint32_t *page = page_alloc();
	volatile uint32_t *pending = (volatile uint32_t *)shared->evtchn_pending;
	unsigned port = start_info->store_evtchn;

	grant_table();
	page[0] = 0x1234;
	grant(REF_RW, (void *)page, GTF_permit_access, 0);
	grant(REF_RO, (void *)page, GTF_permit_access | GTF_readonly, 0);
	grant(REF_OTHERS, (void *)page, GTF_permit_access, 0x7000);
	child_step(1);
	child_wait_go(1);
	EXPECT_EQ(page[1], 0x5678);
	EXPECT_EQ(page[2], 0x9abc);
	/* One event each way, 50 times; dom0 counts on in the page. */
	for (uint32_t n = 1; n <= 50; n++) {
		while (!(pending[port / 32] >> (port % 32) & 1))
			rest();
		__atomic_fetch_and(&pending[port / 32], ~(1u << (port % 32)), __ATOMIC_SEQ_CST);
		EXPECT_EQ(page[3], n);
		page[4] = n;
		child_step(1 + n);
	}
	child_wait_go(2);
	/* dom0 still maps REF_RW. */
	EXPECT_EQ(table[REF_RW].flags & (GTF_reading | GTF_writing), GTF_reading | GTF_writing);
	EXPECT_EQ(table[REF_RO].flags & (GTF_reading | GTF_writing), 0);
	child_step(1000);
}

/* ---- dom0 ---- */

static struct gnttab_map_grant_ref map_ref(struct child *c, unsigned ref, void *va, unsigned flags)
{
	struct gnttab_map_grant_ref m = {
		.host_addr = (unsigned long)va, .flags = flags, .ref = ref, .dom = c->domid
	};

	EXPECT_EQ(HC(grant_table_op, GNTTABOP_map_grant_ref, &m, 1), 0);
	return m;
}

static void unmap_ref(struct gnttab_map_grant_ref *m)
{
	struct gnttab_unmap_grant_ref u = { .host_addr = m->host_addr, .handle = m->handle };

	EXPECT_EQ(HC(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1), 0);
	EXPECT_EQ(u.status, GNTST_okay);
}

static void write_word(void *at)
{
	*(volatile uint32_t *)at = 1;
}

static int copy(struct child *c, unsigned ref, uint32_t *page, bool from, unsigned offset)
{
	struct gnttab_copy op = { .len = 4, .flags = from ? GNTCOPY_source_gref : GNTCOPY_dest_gref };

	if (from) {
		op.source.u.ref = ref, op.source.domid = c->domid, op.source.offset = (uint16_t)offset;
		op.dest.u.gmfn = mfn_of(page), op.dest.domid = DOMID_SELF;
	} else {
		op.dest.u.ref = ref, op.dest.domid = c->domid, op.dest.offset = (uint16_t)offset;
		op.source.u.gmfn = mfn_of(page), op.source.domid = DOMID_SELF;
	}
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_copy, &op, 1), 0);
	return op.status;
}

static struct gnttab_map_grant_ref use_grants(struct child *c, char *rw, char *ro)
{
	struct gnttab_map_grant_ref a, b, bad;
	uint32_t *page = page_alloc();

	EXPECT_EQ(map(rw, 0), 0);
	EXPECT_EQ(map(ro, 0), 0);
	a = map_ref(c, REF_RW, rw, GNTMAP_host_map);
	EXPECT_EQ(a.status, GNTST_okay);
	EXPECT_EQ(*(uint32_t *)rw, 0x1234);
	((volatile uint32_t *)rw)[1] = 0x5678;
	bad = map_ref(c, REF_RO, ro, GNTMAP_host_map);
	EXPECT(bad.status < 0);
	b = map_ref(c, REF_RO, ro, GNTMAP_host_map | GNTMAP_readonly);
	EXPECT_EQ(b.status, GNTST_okay);
	EXPECT_EQ(guarded(write_word, ro).vector, 14);
	unmap_ref(&b);
	bad = map_ref(c, REF_OTHERS, ro, GNTMAP_host_map);
	EXPECT(bad.status < 0);
	page[0] = 0x9abc;
	EXPECT_EQ(copy(c, REF_RW, page, false, 8), GNTST_okay);
	EXPECT_EQ(copy(c, REF_RO, page, true, 4), GNTST_okay);
	EXPECT_EQ(page[0], 0x5678);
	EXPECT(copy(c, REF_RO, page, false, 8) < 0);
	EXPECT(copy(c, REF_OTHERS, page, true, 8) < 0);
	return a;
}

static void ping_pong(struct child *c, char *rw)
{
	for (uint32_t n = 1; n <= 50; n++) {
		struct evtchn_send send = { .port = c->local_port };

		((volatile uint32_t *)rw)[3] = n;
		EXPECT_EQ(HC(event_channel_op, EVTCHNOP_send, &send), 0);
		child_wait_step(c, 1 + n);
		EXPECT_EQ(((volatile uint32_t *)rw)[4], n);
	}
}

void run(void)
{
	struct gnttab_map_grant_ref m[2];
	char *rw[2], *ro = page_alloc();
	unsigned long free_before = free_pages();

	for (unsigned i = 0; i < 2; i++) {
		child_build(&children[i], i, 1);
		child_unpause(&children[i]);
		child_wait_step(&children[i], 1);
		rw[i] = page_alloc();
		m[i] = use_grants(&children[i], rw[i], ro);
		children[i].box->go = 1;
	}
	for (unsigned i = 0; i < 2; i++)
		ping_pong(&children[i], rw[i]);
	recount();
	for (unsigned i = 0; i < 2; i++) {
		children[i].box->go = 2;
		child_wait_step(&children[i], 1000);
		EXPECT_EQ(child_wait_end(&children[i]), SHUTDOWN_poweroff);
		child_destroy(&children[i]);
		/* It dies, but dom0 maps its page: what it holds stays, and the page is still the same. */
		EXPECT(child_exists(&children[i]));
		EXPECT_EQ(((volatile uint32_t *)rw[i])[4], 50);
	}
	recount();
	for (unsigned i = 0; i < 2; i++) {
		unmap_ref(&m[i]);
		/* The domain goes when nobody looks; it may take a moment. */
		while (child_exists(&children[i]))
			rest();
	}
	recount();
	EXPECT(pages_come_back(free_before));
}
