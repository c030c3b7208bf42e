/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What memory_op writes when it fails: counts done, arrays, and whom it takes for a domain */
#include "../transcript.h"

const char test_name[] = "args-memory";

#define LIST ((xen_pfn_t *)(tr_page[PAGE_B] + 512))
#define OUT  ((xen_pfn_t *)(tr_page[PAGE_C] + 512))

/* ---- single structures ---- */

static void fill_domid(char *arg)
{
	*(domid_t *)arg = DOMID_SELF;
}

static void fill_map(char *arg)
{
	struct xen_memory_map *m = (struct xen_memory_map *)arg;

	m->nr_entries = 100;
	set_xen_guest_handle(m->buffer, (void *)tr_page[PAGE_B]);
	tr_mask(tr_page[PAGE_B], PAGE);
}

static void fill_small_map(char *arg)
{
	fill_map(arg);
	((struct xen_memory_map *)arg)->nr_entries = 1;
}

static void fill_bad_map(char *arg)
{
	fill_map(arg);
	set_xen_guest_handle(((struct xen_memory_map *)arg)->buffer, (void *)(tr_page[PAGE_B] + PAGE - 30));
}

static void fill_mfn_list(char *arg)
{
	struct xen_machphys_mfn_list *l = (struct xen_machphys_mfn_list *)arg;

	l->max_extents = 1;
	set_xen_guest_handle(l->extent_start, LIST);
	tr_mask(LIST, 8);
}

static void fill_bad_mfn_list(char *arg)
{
	fill_mfn_list(arg);
	set_xen_guest_handle(((struct xen_machphys_mfn_list *)arg)->extent_start,
	                     (void *)(tr_page[PAGE_B] + PAGE - 4));
	tr_mask(tr_page[PAGE_B] + PAGE - 4, 4);
}

static void fill_set_map(char *arg)
{
	struct xen_foreign_memory_map *f = (struct xen_foreign_memory_map *)arg;

	f->domid = DOM_FRESH;
	f->map.nr_entries = 2;
	set_xen_guest_handle(f->map.buffer, (void *)tr_page[PAGE_B]);
	memset(tr_page[PAGE_B], 0, 64);
}

static void fill_resource(char *arg)
{
	struct xen_mem_acquire_resource *r = (struct xen_mem_acquire_resource *)arg;

	r->domid = DOM_FRESH;
	r->type = XENMEM_resource_grant_table;
	r->id = XENMEM_resource_grant_table_id_shared;
	r->nr_frames = 2;
	set_xen_guest_handle(r->frame_list, LIST);
	tr_mask(LIST, 16);
}

static void fill_resource_size(char *arg)
{
	fill_resource(arg);
	set_xen_guest_handle(((struct xen_mem_acquire_resource *)arg)->frame_list, (xen_pfn_t *)NULL);
	((struct xen_mem_acquire_resource *)arg)->nr_frames = 0;
}

static void fill_resource_beyond(char *arg)
{
	fill_resource(arg);
	((struct xen_mem_acquire_resource *)arg)->frame = 3;
}

static void fill_resource_cut(char *arg)
{
	fill_resource(arg);
	set_xen_guest_handle(((struct xen_mem_acquire_resource *)arg)->frame_list,
	                     (void *)(tr_page[PAGE_B] + PAGE - 8));
	tr_mask(tr_page[PAGE_B] + PAGE - 8, 8);
}

static void fill_resource_id(char *arg)
{
	fill_resource(arg);
	((struct xen_mem_acquire_resource *)arg)->id = 7;
}

static void fill_resource_type(char *arg)
{
	fill_resource(arg);
	((struct xen_mem_acquire_resource *)arg)->type = 7;
}

static void fill_resource_pad(char *arg)
{
	fill_resource(arg);
	((struct xen_mem_acquire_resource *)arg)->pad = 7;
}

static void fill_physmap(char *arg)
{
	struct xen_add_to_physmap *x = (struct xen_add_to_physmap *)arg;

	x->domid = DOMID_SELF;
	x->space = XENMAPSPACE_grant_table;
}

static void fill_claim(char *arg)
{
	struct xen_memory_reservation *r = (struct xen_memory_reservation *)arg;

	r->domid = DOM_FRESH;
	r->nr_extents = 0;
}

#define OPN(title, command, type, domid_offset, ...)                                               \
	{                                                                                          \
		.name = (title), .nr = __HYPERVISOR_memory_op, .cmd = (command), .shape = CMD_ARG, \
		.size = sizeof(type), .domid_at = (domid_offset), .fill = __VA_ARGS__              \
	}
#define OP(cmd, type, domid_at, ...) OPN(#cmd, cmd, type, domid_at, __VA_ARGS__)
static const struct tr_op ops[] = {
	OP(XENMEM_current_reservation, domid_t, 0, fill_domid, .mask_result = true),
	OP(XENMEM_maximum_reservation, domid_t, 0, fill_domid, .mask_result = true),
	OP(XENMEM_maximum_gpfn, domid_t, 0, fill_domid, .mask_result = true),
	OP(XENMEM_memory_map, struct xen_memory_map, -1, fill_map, { { 0, 4 } }),
	OPN("XENMEM_memory_map, one entry", XENMEM_memory_map, struct xen_memory_map, -1, fill_small_map,
	    { { 0, 4 } }),
	OPN("XENMEM_memory_map, cut", XENMEM_memory_map, struct xen_memory_map, -1, fill_bad_map),
	OP(XENMEM_machine_memory_map, struct xen_memory_map, -1, fill_map, { { 0, 4 } }),
	OPN("XENMEM_machine_memory_map, one entry", XENMEM_machine_memory_map, struct xen_memory_map, -1,
	    fill_small_map, { { 0, 4 } }),
	OPN("XENMEM_machine_memory_map, cut", XENMEM_machine_memory_map, struct xen_memory_map, -1,
	    fill_bad_map),
	OP(XENMEM_machphys_mfn_list, struct xen_machphys_mfn_list, -1, fill_mfn_list),
	OPN("XENMEM_machphys_mfn_list, cut", XENMEM_machphys_mfn_list, struct xen_machphys_mfn_list, -1,
	    fill_bad_mfn_list),
	OP(XENMEM_machphys_mapping, struct xen_machphys_mapping, -1, NULL, { { 0, 24 } }),
	OP(XENMEM_acquire_resource, struct xen_mem_acquire_resource, 0, fill_resource),
	OPN("XENMEM_acquire_resource, size", XENMEM_acquire_resource, struct xen_mem_acquire_resource, 0,
	    fill_resource_size),
	OPN("XENMEM_acquire_resource, beyond", XENMEM_acquire_resource, struct xen_mem_acquire_resource, 0,
	    fill_resource_beyond),
	OPN("XENMEM_acquire_resource, cut", XENMEM_acquire_resource, struct xen_mem_acquire_resource, 0,
	    fill_resource_cut),
	OPN("XENMEM_acquire_resource, id", XENMEM_acquire_resource, struct xen_mem_acquire_resource, 0,
	    fill_resource_id),
	OPN("XENMEM_acquire_resource, type", XENMEM_acquire_resource, struct xen_mem_acquire_resource, 0,
	    fill_resource_type),
	OPN("XENMEM_acquire_resource, pad", XENMEM_acquire_resource, struct xen_mem_acquire_resource, 0,
	    fill_resource_pad),
	OP(XENMEM_add_to_physmap, struct xen_add_to_physmap, 0, fill_physmap),
	OP(XENMEM_add_to_physmap_batch, struct xen_add_to_physmap_batch, 0, fill_domid),
	OP(XENMEM_remove_from_physmap, struct xen_remove_from_physmap, 0, fill_domid),
	OP(XENMEM_claim_pages, struct xen_memory_reservation, offsetof(struct xen_memory_reservation, domid),
	   fill_claim),
	OP(XENMEM_set_memory_map, struct xen_foreign_memory_map, 0, fill_set_map, .no_self = true),
	/* libxl gives a domain one map when it sets its memory, and another one with e820_host. */
	OPN("XENMEM_set_memory_map, again", XENMEM_set_memory_map, struct xen_foreign_memory_map, 0,
	    fill_set_map, .no_self = true),
	OP(XENMEM_set_pod_target, struct xen_pod_target, offsetof(struct xen_pod_target, domid), NULL,
	   .no_self = true),
	OP(XENMEM_get_pod_target, struct xen_pod_target, offsetof(struct xen_pod_target, domid), NULL,
	   .no_self = true),
	OP(XENMEM_get_vnumainfo, struct xen_vnuma_topology_info, 0, fill_domid),
};

/* ---- extents ---- */

struct extent_case {
	const char *name;
	unsigned cmd, order, flags;
	uint16_t domid;
	unsigned nr, given; /* extents said, and those that are there before the page ends */
	unsigned bad;       /* the extent that is a frame of nobody, from 1 */
};

static const struct extent_case extents[] = {
	{ "populate for fresh", XENMEM_populate_physmap, 0, 0, DOM_FRESH, 4, 4, 0 },
	{ "populate, cut", XENMEM_populate_physmap, 0, 0, DOM_FRESH, 4, 2, 0 },
	{ "populate, nothing there", XENMEM_populate_physmap, 0, 0, DOM_FRESH, 4, 0, 0 },
	{ "populate, over the limit", XENMEM_populate_physmap, 0, 0, DOM_FRESH, 100, 100, 0 },
	{ "populate, order 1, over the limit", XENMEM_populate_physmap, 1, 0, DOM_FRESH, 100, 100, 0 },
	{ "populate, order 30", XENMEM_populate_physmap, 30, 0, DOM_FRESH, 4, 4, 0 },
	{ "populate, order 10", XENMEM_populate_physmap, 10, 0, DOM_FRESH, 4, 4, 0 },
	{ "populate, none", XENMEM_populate_physmap, 0, 0, DOM_FRESH, 0, 0, 0 },
	{ "populate, below 16 bits", XENMEM_populate_physmap, 0, 16, DOM_FRESH, 2, 2, 0 },
	{ "populate, below 11 bits", XENMEM_populate_physmap, 0, 11, DOM_FRESH, 2, 2, 0 },
	{ "populate, on demand", XENMEM_populate_physmap, 0, XENMEMF_populate_on_demand, DOM_FRESH, 2, 2, 0 },
	{ "populate, vnode", XENMEM_populate_physmap, 0, XENMEMF_vnode, DOM_FRESH, 2, 2, 0 },
	{ "populate, exact node 0", XENMEM_populate_physmap, 0, XENMEMF_exact_node(0), DOM_FRESH, 2, 2, 0 },
	{ "populate, exact node 9", XENMEM_populate_physmap, 0, XENMEMF_exact_node(9), DOM_FRESH, 2, 2, 0 },
	{ "increase for fresh", XENMEM_increase_reservation, 0, 0, DOM_FRESH, 3, 3, 0 },
	{ "increase, cut", XENMEM_increase_reservation, 0, 0, DOM_FRESH, 3, 1, 0 },
	{ "increase, order 30", XENMEM_increase_reservation, 30, 0, DOM_FRESH, 3, 3, 0 },
	{ "decrease, frames of nobody", XENMEM_decrease_reservation, 0, 0, DOM_FRESH, 3, 3, 1 },
	{ "decrease own, the second is nobody's", XENMEM_decrease_reservation, 0, 0, DOMID_SELF, 3, 3, 2 },
	{ "decrease own, cut", XENMEM_decrease_reservation, 0, 0, DOMID_SELF, 3, 1, 0 },
	{ "decrease own, order 30", XENMEM_decrease_reservation, 30, 0, DOMID_SELF, 3, 3, 0 },
	{ "decrease own, order 1", XENMEM_decrease_reservation, 1, 0, DOMID_SELF, 1, 1, 1 },
};

static void extents_call(const struct extent_case *c, uint16_t domid, const char *who, bool null)
{
	struct xen_memory_reservation *r = (void *)tr_page[PAGE_A];
	xen_pfn_t *list = (xen_pfn_t *)(tr_page[PAGE_B] + PAGE) - c->given;

	tr_clear();
	memset(r, 0, sizeof(*r));
	for (unsigned i = 0; i < c->given && i < 100; i++) {
		list[i] = c->cmd != XENMEM_decrease_reservation ? 0x5000 + i
		          : i + 1 == c->bad                     ? 0xfffffffff
		                                                : mfn_of(page_alloc());
		tr_mask(&list[i], 8);
	}
	r->nr_extents = c->nr;
	r->extent_order = c->order;
	r->mem_flags = c->flags;
	r->domid = domid;
	set_xen_guest_handle(r->extent_start, null ? NULL : list);
	tr_call(__HYPERVISOR_memory_op, c->cmd, (unsigned long)r, 0, 0, 0, "%s, %s%s", c->name, who,
	        null ? ", no list" : "");
}

static void extents_all(void)
{
	static const struct extent_case any[] = {
		{ "populate", XENMEM_populate_physmap, 0, 0, 0, 2, 2, 0 },
		{ "increase", XENMEM_increase_reservation, 0, 0, 0, 2, 2, 0 },
		{ "decrease", XENMEM_decrease_reservation, 0, 0, 0, 2, 2, 1 },
	};
	unsigned long bad[] = { 0, 0x1000, 0x800000000000, 0xffff830000000000 };

	for (unsigned i = 0; i < sizeof(extents) / sizeof(extents[0]); i++)
		extents_call(&extents[i], extents[i].domid, "", false);
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned k = 0; k < TR_DOMIDS; k++) {
			extents_call(&any[i], tr_domids[k].domid, tr_domids[k].name, false);
			extents_call(&any[i], tr_domids[k].domid, tr_domids[k].name, true);
		}
		for (unsigned k = 0; k < 4; k++) {
			tr_clear();
			tr_call(__HYPERVISOR_memory_op, any[i].cmd, bad[k], 0, 0, 0, "%s at %lx", any[i].name,
			        bad[k]);
			/* as a continuation */
			tr_call(__HYPERVISOR_memory_op, any[i].cmd | 7 << 6, bad[k], 0, 0, 0,
			        "%s at %lx from extent 7", any[i].name, bad[k]);
		}
	}
}

/* ---- exchange ---- */

struct exchange_case {
	const char *name;
	unsigned in, in_order, out, out_order, done, flags;
	uint16_t in_domid, out_domid;
	bool cut_in, cut_out;
	unsigned bad; /* the extent that is a frame of nobody, from 1 */
};

static const struct exchange_case exchanges[] = {
	{ "four", 4, 0, 4, 0, 0, 0, DOMID_SELF, DOMID_SELF, false, false, 0 },
	{ "none", 0, 0, 0, 0, 0, 0, DOMID_SELF, DOMID_SELF, false, false, 0 },
	{ "four, one done", 4, 0, 4, 0, 1, 0, DOMID_SELF, DOMID_SELF, false, false, 0 },
	{ "four, all done", 4, 0, 4, 0, 4, 0, DOMID_SELF, DOMID_SELF, false, false, 0 },
	{ "four, five done", 4, 0, 4, 0, 5, 0, DOMID_SELF, DOMID_SELF, false, false, 0 },
	{ "four for three", 4, 0, 3, 0, 0, 0, DOMID_SELF, DOMID_SELF, false, false, 0 },
	{ "four for two pairs", 4, 0, 2, 1, 0, 0, DOMID_SELF, DOMID_SELF, false, false, 0 },
	{ "four for two pairs, one done", 4, 0, 2, 1, 1, 0, DOMID_SELF, DOMID_SELF, false, false, 0 },
	{ "three for one and a half", 3, 0, 1, 1, 0, 0, DOMID_SELF, DOMID_SELF, false, false, 0 },
	{ "to somebody else", 4, 0, 4, 0, 0, 0, DOMID_SELF, DOM_FRESH, false, false, 0 },
	{ "order 30", 4, 30, 4, 30, 0, 0, DOMID_SELF, DOMID_SELF, false, false, 0 },
	{ "order 30 of one side", 1, 30, 4, 28, 0, 0, DOMID_SELF, DOMID_SELF, false, false, 0 },
	{ "the list in ends", 4, 0, 4, 0, 0, 0, DOMID_SELF, DOMID_SELF, true, false, 0 },
	{ "the list out ends", 4, 0, 4, 0, 0, 0, DOMID_SELF, DOMID_SELF, false, true, 0 },
	{ "the first is nobody's", 4, 0, 4, 0, 0, 0, DOMID_SELF, DOMID_SELF, false, false, 1 },
	{ "the third is nobody's", 4, 0, 4, 0, 0, 0, DOMID_SELF, DOMID_SELF, false, false, 3 },
	{ "below 11 bits", 4, 0, 4, 0, 0, 11, DOMID_SELF, DOMID_SELF, false, false, 0 },
};

static void exchange_call(const struct exchange_case *c, const char *who)
{
	struct xen_memory_exchange *x = (void *)tr_page[PAGE_A];
	xen_pfn_t *in = c->cut_in ? (void *)(tr_page[PAGE_B] + PAGE - 8) : LIST;
	xen_pfn_t *out = c->cut_out ? (void *)(tr_page[PAGE_C] + PAGE - 8) : OUT;

	tr_clear();
	for (unsigned i = 0; i < (c->cut_in ? 1 : c->in < 4 ? c->in : 4); i++) {
		void *page = page_alloc();

		in[i] = i + 1 == c->bad ? 0xfffffffff : mfn_of(page);
		EXPECT_EQ(map(page, 0), 0);
	}
	for (unsigned i = 0; i < (c->cut_out ? 1 : 4); i++)
		out[i] = 0x6000 + i;
	tr_mask(in, 32);
	tr_mask(out, 32);
	memset(x, 0, sizeof(*x));
	x->in = (struct xen_memory_reservation){ .nr_extents = c->in,
		                                 .extent_order = c->in_order,
		                                 .domid = c->in_domid };
	x->out = (struct xen_memory_reservation){ .nr_extents = c->out,
		                                  .extent_order = c->out_order,
		                                  .mem_flags = c->flags,
		                                  .domid = c->out_domid };
	set_xen_guest_handle(x->in.extent_start, in);
	set_xen_guest_handle(x->out.extent_start, out);
	x->nr_exchanged = c->done;
	tr_call(__HYPERVISOR_memory_op, XENMEM_exchange, (unsigned long)x, 0, 0, 0, "exchange, %s%s", c->name,
	        who);
}

static void exchange_all(void)
{
	static const unsigned long bad[] = { 0, 0x1000, 0x800000000000, 0xffff830000000000 };

	for (unsigned i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++)
		exchange_call(&exchanges[i], "");
	for (unsigned i = 1; i < TR_DOMIDS; i++) {
		struct exchange_case c = { .name = "of ", .in = 1, .out = 1, .bad = 1 };

		c.in_domid = c.out_domid = tr_domids[i].domid;
		exchange_call(&c, tr_domids[i].name);
	}
	for (unsigned i = 0; i < 4; i++) {
		tr_clear();
		tr_call(__HYPERVISOR_memory_op, XENMEM_exchange, bad[i], 0, 0, 0, "exchange at %lx", bad[i]);
	}
}

void run(void)
{
	tr_begin();
	TR_TRY(ops);
	extents_all();
	exchange_all();
	for (unsigned cmd = 28; cmd < 64; cmd++) {
		tr_clear();
		tr_call(__HYPERVISOR_memory_op, cmd, 0, 0, 0, 0, "memory_op %u", cmd);
	}
	tr_end();
}
