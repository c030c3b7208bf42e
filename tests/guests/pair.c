/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See pair.h. */
#include "pair.h"
#include "../../hypervisor/lib/pvbuild.h"
#include <xen/domctl.h>
#include <xen/sysctl.h>

#define KEPT_PAGES 32    /* of the hypervisor's own and of dom0's tables, which grow by some pages at most */
#define COME_BACK  10000 /* rests */

struct mailbox *box;
static struct xen_domctl op;
static char *windows[2];
static struct mailbox *boxes[2];

/* ---- in dom0 ---- */

static long domctl(uint32_t cmd, domid_t domid)
{
	op.cmd = cmd;
	op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op.domain = domid;
	return HC(domctl, &op);
}

static void fresh(void)
{
	memset(&op, 0, sizeof(op));
}

void *foreign_map(struct child *c, unsigned long mfn, void *va)
{
	return HC(update_va_mapping_otherdomain, va, PTE(mfn), UVMF_INVLPG, c->domid) ? NULL : va;
}

static void *page_map(void *ctx, uint64_t pfn)
{
	struct child *c = ctx;

	/* The builder has at most two at once. */
	for (unsigned i = 0; i < 2; i++)
		if (!(*entry_of(windows[i], 1) & P))
			return foreign_map(c, c->p2m[pfn], windows[i]);
	return NULL;
}

static void page_unmap(void *ctx, uint64_t pfn, void *page)
{
	(void)ctx, (void)pfn;
	EXPECT_EQ(map(page, 0), 0);
}

static void page_mfns(void *ctx, uint64_t pfn, uint64_t count, uint64_t *out)
{
	struct child *c = ctx;

	for (uint64_t i = 0; i < count; i++)
		out[i] = c->p2m[pfn + i];
}

static void populate(struct child *c)
{
	for (unsigned long i = 0; i < CHILD_PAGES; i += 512) {
		struct xen_memory_reservation r = { .nr_extents = 512, .domid = c->domid };

		for (unsigned long k = 0; k < 512; k++)
			c->p2m[i + k] = i + k;
		set_xen_guest_handle(r.extent_start, &c->p2m[i]);
		EXPECT_EQ(HC(memory_op, XENMEM_populate_physmap, &r), 512);
	}
}

static void create(struct child *c, unsigned vcpus)
{
	fresh();
	op.u.createdomain.max_vcpus = vcpus;
	op.u.createdomain.max_evtchn_port = 1023;
	op.u.createdomain.max_grant_frames = 4;
	op.u.createdomain.max_maptrack_frames = 4;
	op.u.createdomain.grant_opts = XEN_DOMCTL_GRANT_version(1);
	EXPECT_EQ(domctl(XEN_DOMCTL_createdomain, 0), 0);
	c->domid = (domid_t)op.domain;
	fresh();
	op.u.max_vcpus.max = vcpus;
	EXPECT_EQ(domctl(XEN_DOMCTL_max_vcpus, c->domid), 0);
	fresh();
	op.u.max_mem.max_memkb = CHILD_PAGES * 4 + 64;
	EXPECT_EQ(domctl(XEN_DOMCTL_max_mem, c->domid), 0);
	populate(c);
}

static uint32_t store_port(struct child *c)
{
	struct evtchn_alloc_unbound a = { .dom = c->domid, .remote_dom = DOMID_SELF };
	struct evtchn_bind_interdomain b = { .remote_dom = c->domid };

	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_alloc_unbound, &a), 0);
	b.remote_port = a.port;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_bind_interdomain, &b), 0);
	c->local_port = b.local_port;
	return a.port;
}

static void set_context(struct child *c, const struct pv_layout *layout)
{
	static struct vcpu_guest_context ctx;
	struct mmuext_op pin = { .cmd = MMUEXT_PIN_L4_TABLE };

	pin.arg1.mfn = c->p2m[layout->cr3_pfn];
	EXPECT_EQ(HC(mmuext_op, &pin, 1, NULL, c->domid), 0);
	memset(&ctx, 0, sizeof(ctx));
	ctx.user_regs.rip = layout->rip;
	ctx.user_regs.rsp = layout->rsp;
	ctx.user_regs.rsi = layout->rsi;
	ctx.user_regs.rflags = 1u << 9;
	ctx.user_regs.cs = 0xe033;
	ctx.user_regs.ss = ctx.user_regs.ds = ctx.user_regs.es = 0xe02b;
	ctx.kernel_ss = 0xe02b;
	ctx.ctrlreg[3] = c->p2m[layout->cr3_pfn] << 12;
	ctx.flags = VGCF_in_kernel | VGCF_online;
	fresh();
	set_xen_guest_handle(op.u.vcpucontext.ctxt, &ctx);
	EXPECT_EQ(domctl(XEN_DOMCTL_setvcpucontext, c->domid), 0);
}

void child_build(struct child *c, unsigned n, unsigned vcpus)
{
	static struct pv_image image;
	static struct pv_layout layout;
	struct pv_request request = { .pages = CHILD_PAGES };
	struct pv_start start = { .cmdline = "" };
	struct pv_ops ops = { .ctx = c, .map = page_map, .unmap = page_unmap, .mfns = page_mfns };

	for (unsigned i = 0; i < 2; i++)
		if (!windows[i]) {
			windows[i] = page_alloc();
			boxes[i] = page_alloc();
			EXPECT_EQ(map(windows[i], 0), 0);
		}
	if (!start_info->mod_len)
		FAIL("there is no RAM disk with the guest's kernel");
	EXPECT_EQ(pv_image_parse(&image, (const void *)start_info->mod_start, start_info->mod_len), PV_OK);
	EXPECT_EQ(pv_layout_make(&layout, &image, &request), PV_OK);
	create(c, vcpus);
	start.store_port = store_port(c);
	fresh();
	EXPECT_EQ(domctl(XEN_DOMCTL_getdomaininfo, c->domid), 0);
	start.shared_info_maddr = op.u.getdomaininfo.shared_info_frame << 12;
	EXPECT_EQ(pv_build(&image, &layout, &start, &ops), PV_OK);
	c->box = foreign_map(c, c->p2m[layout.store.pfn], boxes[n]);
	EXPECT(c->box);
	set_context(c, &layout);
}

void child_unpause(struct child *c)
{
	fresh();
	EXPECT_EQ(domctl(XEN_DOMCTL_unpausedomain, c->domid), 0);
}

static void check_child(struct child *c)
{
	if (c->box->failed)
		FAIL("domain %u: %s", c->domid, c->box->text);
}

bool child_comes_to(struct child *c, uint32_t step)
{
	while (c->box->step < step) {
		fresh();
		EXPECT_EQ(domctl(XEN_DOMCTL_getdomaininfo, c->domid), 0);
		check_child(c);
		if (op.u.getdomaininfo.flags & XEN_DOMINF_shutdown && c->box->step < step)
			return false;
		rest();
	}
	check_child(c);
	return true;
}

void child_wait_step(struct child *c, uint32_t step)
{
	if (!child_comes_to(c, step))
		FAIL("the guest has shut down (%#x) at step %u, %u was awaited", op.u.getdomaininfo.flags,
		     c->box->step, step);
}

bool child_has_ended(struct child *c)
{
	fresh();
	EXPECT_EQ(domctl(XEN_DOMCTL_getdomaininfo, c->domid), 0);
	return op.domain != c->domid || op.u.getdomaininfo.flags & XEN_DOMINF_shutdown;
}

unsigned child_wait_end(struct child *c)
{
	for (;;) {
		fresh();
		EXPECT_EQ(domctl(XEN_DOMCTL_getdomaininfo, c->domid), 0);
		EXPECT_EQ(op.domain, c->domid);
		check_child(c);
		if (op.u.getdomaininfo.flags & XEN_DOMINF_shutdown)
			return op.u.getdomaininfo.flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
		rest();
	}
}

void child_destroy(struct child *c)
{
	struct evtchn_close close = { .port = c->local_port };

	(void)HC(event_channel_op, EVTCHNOP_close, &close);
	if (c->box)
		EXPECT_EQ(map(c->box, 0), 0);
	c->box = NULL;
	fresh();
	EXPECT_EQ(domctl(XEN_DOMCTL_destroydomain, c->domid), 0);
}

bool child_exists(struct child *c)
{
	fresh();
	return !domctl(XEN_DOMCTL_getdomaininfo, c->domid) && op.domain == c->domid;
}

long shadow_op(struct child *c, uint32_t what, uint32_t *mb)
{
	long rc;

	fresh();
	op.u.shadow_op.op = what;
	rc = domctl(XEN_DOMCTL_shadow_op, c->domid);
	*mb = op.u.shadow_op.mb;
	return rc;
}

unsigned long free_pages(void)
{
	static struct xen_sysctl s;

	memset(&s, 0, sizeof(s));
	s.cmd = XEN_SYSCTL_physinfo;
	s.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	EXPECT_EQ(HC(sysctl, &s), 0);
	return s.u.physinfo.free_pages + s.u.physinfo.scrub_pages;
}

bool pages_come_back(unsigned long before)
{
	for (unsigned n = 0; free_pages() + KEPT_PAGES < before; n++) {
		if (n == COME_BACK)
			return false;
		rest();
	}
	return true;
}

void recount(void)
{
	static struct xen_sysctl s;
	static char key[] = "m";

	if (!is_xylem())
		return;
	s.cmd = XEN_SYSCTL_debug_keys;
	s.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	set_xen_guest_handle(s.u.debug_keys.keys, key);
	s.u.debug_keys.nr_keys = 1;
	EXPECT_EQ(HC(sysctl, &s), 0);
}

/* ---- in the guest ---- */

static unsigned long pfn_of_store(void)
{
	const unsigned long *list = (const unsigned long *)start_info->mfn_list;
	unsigned long pfn = 0;

	while (pfn < start_info->nr_pages && list[pfn] != start_info->store_mfn)
		pfn++;
	return pfn;
}

void child_main(void)
{
	box = (struct mailbox *)(VIRT_BASE + pfn_of_store() * PAGE);
	/* What a tool stack does to a new guest's vcpus. On stock Xen events are not masked before. */
	shared->vcpu_info[0].evtchn_upcall_mask = 1;
	child_run();
}

void child_failed(const char *text, unsigned n)
{
	for (unsigned i = 0; box && i < n && i < sizeof(box->text) - 1; i++)
		box->text[i] = text[i];
	if (box)
		box->failed = 1;
}

void child_step(uint32_t step)
{
	struct evtchn_send send = { .port = start_info->store_evtchn };

	box->step = step;
	EXPECT_EQ(HC(event_channel_op, EVTCHNOP_send, &send), 0);
}

void child_wait_go(uint32_t step)
{
	while (box->go < step)
		rest();
}

void child_second_vcpu(void (*entry)(void), void *stack_end)
{
	static struct vcpu_guest_context c;

	c.flags = VGCF_in_kernel;
	c.ctrlreg[3] = mfn_of((void *)start_info->pt_base) << 12;
	c.user_regs.rip = (uint64_t)entry;
	c.user_regs.rsp = (uint64_t)stack_end - 8;
	c.user_regs.cs = 0xe033;
	c.user_regs.ss = 0xe02b;
	EXPECT_EQ(HC(vcpu_op, VCPUOP_initialise, 1, &c), 0);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_up, 1, NULL), 0);
}
