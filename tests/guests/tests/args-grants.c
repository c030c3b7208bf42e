/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What grant_table_op writes: the status of each element and the rest of it, for each way to fail */
#include "../transcript.h"

const char test_name[] = "args-grants";

static grant_entry_v1_t *table;
static char *granted, *window[4]; /* a page that is granted, and where grants are mapped */

enum { REF_FREE = 8, REF_OK, REF_OTHER, REF_READ_ONLY, REF_TRANSFER, REF_NO_FRAME, REF_FRESH, REF_COUNT };

static void entry(unsigned ref, unsigned flags, uint16_t domid, unsigned long mfn)
{
	table[ref].flags = 0;
	table[ref].domid = domid;
	table[ref].frame = (uint32_t)mfn;
	__atomic_store_n(&table[ref].flags, (uint16_t)flags, __ATOMIC_SEQ_CST);
}

static void entries_set(void)
{
	entry(REF_FREE, 0, 0, 0);
	entry(REF_OK, GTF_permit_access, 0, mfn_of(granted));
	entry(REF_OTHER, GTF_permit_access, DOM_FRESH, mfn_of(granted));
	entry(REF_READ_ONLY, GTF_permit_access | GTF_readonly, 0, mfn_of(granted));
	entry(REF_TRANSFER, GTF_accept_transfer, 0, 0x5000);
	entry(REF_NO_FRAME, GTF_permit_access, 0, 0xffffff0);
}

/* n elements of size bytes so that page B ends behind them. */
static char *elements(unsigned n, unsigned size)
{
	char *at = tr_page[PAGE_B] + PAGE - n * size;

	tr_clear();
	memset(at, 0, n * size);
	return at;
}

static void map_fill(struct gnttab_map_grant_ref *m, unsigned i, unsigned ref, unsigned flags, uint16_t domid)
{
	*m = (struct gnttab_map_grant_ref){ .host_addr = (unsigned long)window[i],
		                            .flags = flags,
		                            .ref = ref,
		                            .dom = domid,
		                            .handle = 0x1234,
		                            .dev_bus_addr = 0x5678 };
	tr_mask(&m->dev_bus_addr, 8);
	tr_mask(&m->handle, 4);
}

static void windows_back(void)
{
	for (unsigned i = 0; i < 4; i++)
		EXPECT_EQ(map_writable(window[i]), 0);
}

/* Maps, tells, and unmaps what was mapped. */
static void map_call(unsigned n, unsigned count, const char *name, const char *who)
{
	struct gnttab_map_grant_ref *m = (void *)(tr_page[PAGE_B] + PAGE - n * sizeof(*m));

	tr_call(__HYPERVISOR_grant_table_op, GNTTABOP_map_grant_ref, (unsigned long)m, count, 0, 0,
	        "map, %s%s", name, who);
	for (unsigned i = 0; i < n; i++)
		if (!m[i].status) {
			struct gnttab_unmap_grant_ref u = { .host_addr = m[i].host_addr,
				                            .handle = m[i].handle };

			EXPECT_EQ(HC(grant_table_op, GNTTABOP_unmap_grant_ref, &u, 1), 0);
			EXPECT_EQ(u.status, 0);
		}
	windows_back();
	entries_set();
}

static void maps(void)
{
	static const struct {
		const char *name;
		unsigned ref, flags;
		unsigned long addr; /* 0: good */
	} cases[] = {
		{ "good", REF_OK, GNTMAP_host_map, 0 },
		{ "read-only", REF_OK, GNTMAP_host_map | GNTMAP_readonly, 0 },
		{ "no kind", REF_OK, 0, 0 },
		{ "application", REF_OK, GNTMAP_host_map | GNTMAP_application_map, 0 },
		{ "a free entry", REF_FREE, GNTMAP_host_map, 0 },
		{ "another's entry", REF_OTHER, GNTMAP_host_map, 0 },
		{ "writable where it is read-only", REF_READ_ONLY, GNTMAP_host_map, 0 },
		{ "read-only where it is read-only", REF_READ_ONLY, GNTMAP_host_map | GNTMAP_readonly, 0 },
		{ "an entry for transfer", REF_TRANSFER, GNTMAP_host_map, 0 },
		{ "no frame", REF_NO_FRAME, GNTMAP_host_map, 0 },
		{ "beyond the table", 511 * 64, GNTMAP_host_map, 0 },
		{ "entry ~0", ~0u, GNTMAP_host_map, 0 },
		{ "no table for the address", REF_OK, GNTMAP_host_map, 0x123000 },
		{ "the hypervisor's address", REF_OK, GNTMAP_host_map, 0xffff830000000000 },
		{ "not aligned", REF_OK, GNTMAP_host_map, 0x123001 },
		{ "an entry's address, none", REF_OK, GNTMAP_host_map | GNTMAP_contains_pte,
		  0xffffffffff000 },
		{ "unknown flags", REF_OK, GNTMAP_host_map | 0x8000, 0 },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (unsigned k = 0; k < 3; k++) { /* as the first of three, the second, the third */
			struct gnttab_map_grant_ref *m = (void *)elements(3, sizeof(*m));

			for (unsigned e = 0; e < 3; e++)
				map_fill(&m[e], e, REF_OK, GNTMAP_host_map, 0);
			m[k].ref = cases[i].ref;
			m[k].flags = cases[i].flags;
			if (cases[i].addr)
				m[k].host_addr = cases[i].addr;
			map_call(3, 3, cases[i].name, k == 0 ? ", first" : k == 1 ? ", second" : ", third");
		}
	for (unsigned i = 0; i < TR_DOMIDS; i++) {
		struct gnttab_map_grant_ref *m = (void *)elements(1, sizeof(*m));

		map_fill(m, 0, REF_OK, GNTMAP_host_map, tr_domids[i].domid);
		map_call(1, 1, "of ", tr_domids[i].name);
	}
	for (unsigned n = 0; n < 3; n++) {
		struct gnttab_map_grant_ref *m = (void *)elements(n, sizeof(*m));

		for (unsigned e = 0; e < n; e++)
			map_fill(&m[e], e, REF_OK, GNTMAP_host_map, 0);
		map_call(n, 3, "cut after ", n == 0 ? "none" : n == 1 ? "one" : "two");
	}
}

/* ---- copy ---- */

static void copy_fill(struct gnttab_copy *c)
{
	*c = (struct gnttab_copy){ .source = { .u.ref = REF_OK, .domid = 0 },
		                   .dest = { .u.gmfn = mfn_of(window[0]), .domid = DOMID_SELF },
		                   .len = 16,
		                   .flags = GNTCOPY_source_gref };
	tr_mask(&c->dest.u.gmfn, 8);
}

static void copies(void)
{
	struct gnttab_copy *c;

	for (unsigned i = 0; i < 16; i++) {
		static const char *const name[] = { "good",
			                            "len",
			                            "source's end",
			                            "target's end",
			                            "no flags",
			                            "both granted",
			                            "free entry",
			                            "another's",
			                            "beyond the table",
			                            "own foreign",
			                            "foreign frame",
			                            "no frame",
			                            "flags",
			                            "no length",
			                            "target is a table",
			                            "read-only entry as target" };

		c = (void *)elements(2, sizeof(*c));
		copy_fill(&c[0]);
		copy_fill(&c[1]);
		switch (i) {
		case 1:
			c->len = 4097;
			break;
		case 2:
			c->source.offset = 4090;
			break;
		case 3:
			c->dest.offset = 4090;
			break;
		case 4:
			c->flags = 0;
			break;
		case 5:
			c->flags = GNTCOPY_source_gref | GNTCOPY_dest_gref;
			c->dest.u.ref = REF_OK;
			c->dest.domid = 0;
			break;
		case 6:
			c->source.u.ref = REF_FREE;
			break;
		case 7:
			c->source.u.ref = REF_OTHER;
			break;
		case 8:
			c->source.u.ref = 511 * 64;
			break;
		case 9:
			c->dest.domid = 0;
			break;
		case 10:
			c->dest.domid = DOM_FRESH;
			break;
		case 11:
			c->dest.u.gmfn = 0xfffffff0;
			break;
		case 12:
			c->flags = 0xfffd;
			break;
		case 13:
			c->len = 0;
			break;
		case 14:
			c->dest.u.gmfn = mfn_of((void *)start_info->pt_base);
			break;
		case 15:
			c->flags = GNTCOPY_source_gref | GNTCOPY_dest_gref;
			c->dest.u.ref = REF_READ_ONLY;
			c->dest.domid = 0;
			break;
		}
		tr_call(__HYPERVISOR_grant_table_op, GNTTABOP_copy, (unsigned long)c, 2, 0, 0, "copy, %s",
		        name[i]);
	}
	for (unsigned i = 0; i < TR_DOMIDS; i++)
		for (unsigned k = 0; k < 4; k++) {
			c = (void *)elements(2, sizeof(*c));
			copy_fill(&c[0]);
			copy_fill(&c[1]);
			c->flags = (uint16_t)k;
			*(k & 1 ? &c->source.domid : &c->dest.domid) = tr_domids[i].domid;
			if (k & 2)
				c->dest.u.ref = REF_OK;
			tr_call(__HYPERVISOR_grant_table_op, GNTTABOP_copy, (unsigned long)c, 2, 0, 0,
			        "copy, flags %u, %s", k, tr_domids[i].name);
		}
	for (unsigned n = 0; n < 3; n++) {
		c = (void *)elements(n, sizeof(*c));
		for (unsigned e = 0; e < n; e++)
			copy_fill(&c[e]);
		tr_call(__HYPERVISOR_grant_table_op, GNTTABOP_copy, (unsigned long)c, 3, 0, 0,
		        "copy, %u of 3", n);
	}
}

/* ---- the others ---- */

static void unmaps(void)
{
	struct gnttab_unmap_grant_ref *u;
	struct gnttab_unmap_and_replace *r;
	struct gnttab_swap_grant_ref *s;
	struct gnttab_transfer *t;
	static const unsigned handles[] = { 0, 1, 77, 0x10000, 0x7fffffff, 0xffffffff };

	for (unsigned i = 0; i < 6; i++)
		for (unsigned k = 0; k < 2; k++) {
			u = (void *)elements(2, sizeof(*u));
			u[0].handle = u[1].handle = handles[i];
			u[0].host_addr = u[1].host_addr = k ? (unsigned long)window[0] : 0;
			tr_call(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_grant_ref, (unsigned long)u, 2, 0,
			        0, "unmap, handle %x, %s", handles[i], k ? "an address" : "none");
			r = (void *)elements(2, sizeof(*r));
			r[0].handle = r[1].handle = handles[i];
			r[0].host_addr = r[1].host_addr = k ? (unsigned long)window[0] : 0;
			r[0].new_addr = r[1].new_addr = k ? (unsigned long)window[1] : 0;
			tr_call(__HYPERVISOR_grant_table_op, GNTTABOP_unmap_and_replace, (unsigned long)r, 2,
			        0, 0, "replace, handle %x, %s", handles[i], k ? "addresses" : "none");
			s = (void *)elements(2, sizeof(*s));
			s[0].ref_a = handles[i];
			s[0].ref_b = k ? REF_OK : handles[i];
			s[1].ref_a = s[1].ref_b = REF_FREE;
			tr_call(__HYPERVISOR_grant_table_op, GNTTABOP_swap_grant_ref, (unsigned long)s, 2, 0,
			        0, "swap, %x, %u", handles[i], k);
			entries_set();
		}
	for (unsigned i = 0; i < TR_DOMIDS; i++) {
		t = (void *)elements(2, sizeof(*t));
		for (unsigned k = 0; k < 2; k++)
			t[k] = (struct gnttab_transfer){ .mfn = k ? 0xfffffff0 : mfn_of(window[3]),
				                         .domid = tr_domids[i].domid,
				                         .ref = REF_TRANSFER };
		tr_mask(&t[0].mfn, 8);
		tr_call(__HYPERVISOR_grant_table_op, GNTTABOP_transfer, (unsigned long)t, 2, 0, 0,
		        "transfer to %s", tr_domids[i].name);
	}
	for (unsigned cmd = 0; cmd < 16; cmd++) {
		static const unsigned long bad[] = { 0, 0x1000, 0x800000000000, 0xffff830000000000 };
		static const unsigned counts[] = { 0, 1, 2, 0x80000000, 0xffffffff };

		for (unsigned i = 0; i < 4; i++)
			for (unsigned k = 0; k < 5; k++) {
				tr_clear();
				tr_call(__HYPERVISOR_grant_table_op, cmd, bad[i], counts[k], 0, 0,
				        "grant_table_op %u, %x at %lx", cmd, counts[k], bad[i]);
			}
	}
}

/* ---- single structures ---- */

static void fill_setup(char *arg)
{
	struct gnttab_setup_table *s = (struct gnttab_setup_table *)arg;

	s->dom = DOMID_SELF;
	s->nr_frames = 2;
	set_xen_guest_handle(s->frame_list, (xen_pfn_t *)(tr_page[PAGE_B] + 64));
	tr_mask(tr_page[PAGE_B] + 64, 16);
}

static void fill_setup_many(char *arg)
{
	fill_setup(arg);
	((struct gnttab_setup_table *)arg)->nr_frames = 5000;
}

static void fill_setup_cut(char *arg)
{
	fill_setup(arg);
	set_xen_guest_handle(((struct gnttab_setup_table *)arg)->frame_list,
	                     (xen_pfn_t *)(tr_page[PAGE_B] + PAGE - 8));
	tr_mask(tr_page[PAGE_B] + PAGE - 8, 8);
}

static void fill_self(char *arg)
{
	*(domid_t *)arg = DOMID_SELF;
}

static void fill_version(char *arg)
{
	*(uint32_t *)arg = 1;
}

static void fill_version_3(char *arg)
{
	*(uint32_t *)arg = 3;
}

#define OP(title, command, type, domid_offset, ...)                                                         \
	{                                                                                                   \
		.name = (title), .nr = __HYPERVISOR_grant_table_op, .cmd = (command), .shape = CMD_ARG_ONE, \
		.size = sizeof(type), .domid_at = (domid_offset), .fill = __VA_ARGS__                       \
	}
static const struct tr_op ops[] = {
	OP("setup_table", GNTTABOP_setup_table, struct gnttab_setup_table, 0, fill_setup),
	OP("setup_table, too many", GNTTABOP_setup_table, struct gnttab_setup_table, 0, fill_setup_many),
	OP("setup_table, list cut", GNTTABOP_setup_table, struct gnttab_setup_table, 0, fill_setup_cut),
	OP("query_size", GNTTABOP_query_size, struct gnttab_query_size, 0, fill_self, .mask = { { 8, 4 } }),
	OP("get_version", GNTTABOP_get_version, struct gnttab_get_version, 0, fill_self),
	OP("set_version 1", GNTTABOP_set_version, struct gnttab_set_version, -1, fill_version),
	OP("set_version 3", GNTTABOP_set_version, struct gnttab_set_version, -1, fill_version_3),
	OP("set_version 0", GNTTABOP_set_version, struct gnttab_set_version, -1, NULL),
};

void run(void)
{
	struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 1 };
	xen_pfn_t frame;

	tr_begin();
	granted = page_alloc();
	for (unsigned i = 0; i < 4; i++)
		window[i] = page_alloc();
	table = page_alloc();
	set_xen_guest_handle(setup.frame_list, &frame);
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_setup_table, &setup, 1), 0);
	EXPECT_EQ(map(table, PTE(frame)), 0);
	entries_set();
	maps();
	copies();
	unmaps();
	TR_TRY(ops);
	tr_end();
}
