/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every hypercall with arguments and fields of structures at the edges of their ranges (tests/edges/), by one vcpu, or by
 * two that race where there are two; all references are recounted after each batch (debug key m). It lasts 5 s, or as long
 * as seconds=N on the command line says.
 *
 * What would end the guest or the machine when it is done as asked is left to the host test, which can replace what died:
 * shutdowns, watchdogs, the last vcpu that goes down, power off, and iret, also at the end of a multicall. Of the guest's
 * own frames and addresses, only spare ones are named; what others than the guest own is named freely.
 */
#include "guest.h"
#include "../../edges/edges.h"
#include <xen/domctl.h>
#include <xen/sysctl.h>

const char test_name[] = "hypercall-edges";

#define BATCH     512
#define MEM_PAGES 8
#define VCPUS     2

struct fuzzer {
	struct edges_env env;
	struct vcpu_info *info;
	grant_entry_v1_t *grants;
	void *va[EDGES_FRAMES];
	unsigned long calls, skipped;
};

static struct fuzzer fuzzers[VCPUS];
static char stack1[16384] __attribute__((aligned(4096)));
static volatile bool second_runs, stop, stopped;
static unsigned long last_op[VCPUS];

/* ---- what ends the guest ---- */

static bool inside(const struct fuzzer *f, uint64_t at, unsigned bytes)
{
	return at >= f->env.base && at - f->env.base <= f->env.size - bytes;
}

static bool lethal(const struct fuzzer *f, uint32_t number, const uint64_t *arg)
{
	uint32_t cmd = (uint32_t)arg[0];

	switch (number) {
	case __HYPERVISOR_sched_op:
		return cmd == SCHEDOP_shutdown || cmd == SCHEDOP_shutdown_code ||
		       cmd == SCHEDOP_remote_shutdown || cmd == SCHEDOP_watchdog;
	case __HYPERVISOR_sched_op_compat:
		return cmd == SCHEDOP_shutdown;
	case __HYPERVISOR_vcpu_op:
		return cmd == VCPUOP_down;
	case __HYPERVISOR_iret:
		return true;
	case __HYPERVISOR_platform_op:
		return inside(f, arg[0], sizeof(struct xen_platform_op)) &&
		       ((struct xen_platform_op *)arg[0])->cmd == XENPF_enter_acpi_sleep;
	case __HYPERVISOR_multicall:
		for (uint64_t i = 0, at = arg[0];
		     i < (uint32_t)arg[1] && inside(f, at, sizeof(struct multicall_entry));
		     i++, at += sizeof(struct multicall_entry)) {
			const struct multicall_entry *m = (const void *)at;

			/* A list in a list is refused. */
			if (m->op != __HYPERVISOR_multicall &&
			    lethal(f, (uint32_t)m->op, (const uint64_t *)m->args))
				return true;
		}
		return false;
	default:
		return false;
	}
}

/* ---- the guest between calls ---- */

static unsigned self(const void *stack)
{
	return (const char *)stack >= stack1 && (const char *)stack < stack1 + sizeof(stack1);
}

static void on_event(void)
{
	char here;

	fuzzers[self(&here)].info->evtchn_upcall_pending = 0;
}

/* NMIs and breakpoints that were asked for. */
static bool on_trap(struct regs *r)
{
	if (r->vector == 2 || r->vector == 1)
		return true;
	print("vcpu %u: trap %lu after %s, call %lu", self(r), r->vector,
	      edges_op_name((unsigned)last_op[self(r)]), fuzzers[self(r)].calls);
	return false;
}

static unsigned long now_ns(unsigned vcpu)
{
	struct vcpu_runstate_info r;
	unsigned long sum = 0;

	EXPECT_EQ(HC(vcpu_op, VCPUOP_get_runstate_info, vcpu, &r), 0);
	for (unsigned i = 0; i < 4; i++)
		sum += r.time[i];
	return sum;
}

/* Every second page is mapped; the others can be given away. What is gone is replaced where there is memory. */
static void repair(struct fuzzer *f)
{
	for (unsigned i = 0; i < EDGES_FRAMES; i++) {
		xen_pfn_t pfn = f->env.pages[i];
		struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };

		if (map(f->va[i], PTE(f->env.pages[i]))) {
			set_xen_guest_handle(r.extent_start, &pfn);
			if (HC(memory_op, XENMEM_populate_physmap, &r) != 1)
				continue;
			f->env.pages[i] = pfn;
			(void)map(f->va[i], PTE(pfn));
		}
		if (i & 1)
			(void)map(f->va[i], 0);
	}
}

static void restore(struct fuzzer *f)
{
	entry_points();
	HC(set_debugreg, 7, 0);
	HC(fpu_taskswitch, 0);
	HC(set_segment_base, SEGBASE_GS_KERNEL, 0);
	HC(set_segment_base, SEGBASE_FS, 0);
	f->info->evtchn_upcall_mask = 1;
}

static void write_grant(struct fuzzer *f)
{
	grant_entry_v1_t *e = &f->grants[edges_random(&f->env, 12)];

	e->domid = edges_random(&f->env, 3) ? 0 : (uint16_t)edges_value(&f->env);
	e->frame = (uint32_t)(edges_random(&f->env, 4) ? f->env.pages[edges_random(&f->env, EDGES_FRAMES)]
	                                               : edges_value(&f->env));
	e->flags = (uint16_t)(edges_random(&f->env, 5) ? GTF_permit_access : edges_value(&f->env));
}

static void one_call(struct fuzzer *f, unsigned vcpu)
{
	struct edges_call c;

	write_grant(f);
	f->env.now_ns = now_ns(vcpu);
	edges_make(&f->env, ~0u, &c);
	last_op[vcpu] = c.op;
	f->calls++;
	if (lethal(f, c.number, c.arg)) {
		f->skipped++;
		return;
	}
	/* Whoever blocks finds an event. */
	f->info->evtchn_upcall_pending = 1;
	f->info->evtchn_upcall_mask = c.number != __HYPERVISOR_sched_op &&
	                              c.number != __HYPERVISOR_sched_op_compat &&
	                              c.number != __HYPERVISOR_multicall;
	hypercall(c.number, c.arg[0], c.arg[1], c.arg[2], c.arg[3], c.arg[4]);
	restore(f);
}

/* ---- start ---- */

static void recount(void)
{
	static struct xen_sysctl s = { .cmd = XEN_SYSCTL_debug_keys,
		                       .interface_version = XEN_SYSCTL_INTERFACE_VERSION };
	static char key[] = "m";

	set_xen_guest_handle(s.u.debug_keys.keys, key);
	s.u.debug_keys.nr_keys = 1;
	EXPECT_EQ(HC(sysctl, &s), 0);
}

/* Domains that were created. */
static void destroy_others(void)
{
	static struct xen_domctl d;

	for (;;) {
		d = (struct xen_domctl){ .cmd = XEN_DOMCTL_getdomaininfo,
			                 .interface_version = XEN_DOMCTL_INTERFACE_VERSION,
			                 .domain = 1 };
		if (HC(domctl, &d) || !d.domain || d.u.getdomaininfo.flags & XEN_DOMINF_dying)
			return;
		d.cmd = XEN_DOMCTL_destroydomain;
		EXPECT_EQ(HC(domctl, &d), 0);
	}
}

static void tables(struct fuzzer *f)
{
	uint64_t *t[EDGES_FRAMES];

	for (unsigned i = 0; i < EDGES_FRAMES; i++) {
		t[i] = page_alloc();
		f->env.tables[i] = mfn_of(t[i]);
	}
	for (unsigned i = 0; i < 4; i++)
		t[0][i] = PTE_RO(f->env.pages[i]);
	for (unsigned i = 1; i < 4; i++)
		t[i][0] = mfn_of(t[i - 1]) * PAGE | P | RW | US | A;
	for (unsigned i = 0; i < EDGES_FRAMES; i++)
		EXPECT_EQ(map_read_only(t[i]), 0);
}

static void root(struct fuzzer *f)
{
	uint64_t *l4 = page_alloc();

	l4[511] = ((const uint64_t *)start_info->pt_base)[511];
	EXPECT_EQ(map_read_only(l4), 0);
	EXPECT_EQ(mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(l4), 0), 0);
	f->env.root = mfn_of(l4);
}

static void prepare(unsigned vcpu, grant_entry_v1_t *grants)
{
	struct fuzzer *f = &fuzzers[vcpu];
	char *page = page_alloc();
	struct vcpu_register_vcpu_info info = { .mfn = mfn_of(page) };

	f->env.seed = 20261127 + 0x9e3779b97f4a7c15 * vcpu;
	f->env.privileged = true;
	f->env.vcpus = VCPUS;
	f->grants = grants;
	for (unsigned i = 0; i < MEM_PAGES; i++) {
		void *mem = page_alloc();

		if (!i)
			f->env.mem = mem;
	}
	EXPECT_EQ(map(page_alloc(), 0), 0); /* behind them */
	f->env.base = (uint64_t)f->env.mem;
	f->env.size = MEM_PAGES * PAGE;
	for (unsigned i = 0; i < EDGES_FRAMES; i++) {
		f->va[i] = page_alloc();
		f->env.va[i] = (uint64_t)f->va[i];
		f->env.pages[i] = mfn_of(f->va[i]);
	}
	tables(f);
	root(f);
	/* The hypervisor's, nobody's, and shared ones. */
	f->env.foreign[0] = start_info->shared_info / PAGE;
	f->env.foreign[1] = (*entry_of(grants, 1) & ADDR) / PAGE;
	for (unsigned i = 2; i < EDGES_FRAMES; i++)
		f->env.foreign[i] = (const uint64_t[]){ 0x200, 0x210, 0x280, 0xa0, 0xfee00, 0x9f }[i - 2];
	f->env.domids[1] = 1;
	f->env.domids[2] = DOMID_SELF;
	f->env.domids[3] = 2;
	if (!HC(vcpu_op, VCPUOP_register_vcpu_info, vcpu, &info))
		f->info = (struct vcpu_info *)page;
	else
		FAIL("register_vcpu_info of vcpu %u", vcpu);
	f->info->evtchn_upcall_mask = 1;
}

static void fuzz(unsigned vcpu)
{
	struct fuzzer *f = &fuzzers[vcpu];

	for (unsigned i = 0; i < BATCH && !stop; i++)
		one_call(f, vcpu);
	repair(f);
}

static void second_main(void)
{
	entry_points();
	second_runs = true;
	while (!stop)
		fuzz(1);
	stopped = true;
	for (;;)
		HC(sched_op, SCHEDOP_yield, NULL);
}

static void start_second(void)
{
	static struct vcpu_guest_context c;

	c.flags = VGCF_in_kernel;
	c.ctrlreg[3] = mfn_of((void *)start_info->pt_base) << 12;
	c.user_regs.rip = (uint64_t)second_main;
	c.user_regs.rsp = (uint64_t)stack1 + sizeof(stack1) - 72;
	c.user_regs.cs = 0xe033;
	c.user_regs.ss = 0xe02b;
	EXPECT_EQ(HC(vcpu_op, VCPUOP_initialise, 1, &c), 0);
	EXPECT_EQ(HC(vcpu_op, VCPUOP_up, 1, NULL), 0);
	while (!second_runs)
		HC(sched_op, SCHEDOP_yield, NULL);
}

static unsigned long seconds(void)
{
	const char *word = "seconds=", *line = (const char *)start_info->cmd_line;
	unsigned long n = 0;

	for (; *line; line++)
		if (!memcmp(line, word, 8)) {
			for (line += 8; *line >= '0' && *line <= '9'; line++)
				n = n * 10 + (unsigned long)(*line - '0');
			return n;
		}
	return 5;
}

void run(void)
{
	struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 1 };
	char *grants = page_alloc();
	bool two = HC(vcpu_op, VCPUOP_is_up, 1, NULL) == 0;
	unsigned long end, batches = 0;
	xen_pfn_t frame = 0;

	set_xen_guest_handle(setup.frame_list, &frame);
	EXPECT_EQ(HC(grant_table_op, GNTTABOP_setup_table, &setup, 1), 0);
	EXPECT_EQ(map(grants, PTE(frame)), 0);
	trap_hook = on_trap;
	event_hook = on_event;
	prepare(0, (grant_entry_v1_t *)grants);
	if (two) {
		prepare(1, (grant_entry_v1_t *)grants);
		start_second();
	}
	for (end = now_ns(0) + seconds() * 1000000000ul; now_ns(0) < end; batches++) {
		fuzz(0);
		recount();
		destroy_others();
		if (two)
			(void)HC(vcpu_op, VCPUOP_up, 1, NULL);
	}
	stop = true;
	while (two && !stopped)
		HC(sched_op, SCHEDOP_yield, NULL);
	recount();
	print("%lu batches, %lu calls of vcpu 0 and %lu of vcpu 1, %lu left out", batches, fuzzers[0].calls,
	      fuzzers[1].calls, fuzzers[0].skipped + fuzzers[1].skipped);
	EXPECT(fuzzers[0].calls >= BATCH);
	EXPECT(!two || fuzzers[1].calls > 100);
}
