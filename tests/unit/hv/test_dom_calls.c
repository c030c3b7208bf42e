/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hypercalls of the dom layer as guests and a toolstack may make them, at random and with bad arguments: two
 * guests and dom0, whose toolstack creates, pauses, destroys and asks. Whatever they do, nothing panics, no
 * lock is left held, time goes on, and when all guests are gone their memory is back. A seed may be given as
 * the argument.
 */
#include "hypercall/domctl.h"
#include "dom/domtable.h"
#include "dom/sched.h"
#include "dom/vcpu.h"
#include "hw/ioapic.h"
#include "hw/msi.h"
#include "hypercall/settings.h"
#include "hw/console.h"
#include "hw/irq.h"
#include "hw/smp.h"
#include "hw/uaccess.h"
#include "hypercall/sysctl.h"
#include "lib/framecopy.h"
#include "lib/pvbuild.h"
#include "fake/machine.h"
#include "../../lib/random.h"
#include "mm/dirtylog.h"
#include "mm/heap.h"
#include "mm/ptype.h"
#include "mm/validate.h"
#include <pthread.h>

#define GUEST_PAGES 6

static struct domain *guests[4]; /* 1 .. 3; each with a reference of ours */
static mfn_t pages[4][GUEST_PAGES];
static unsigned good_calls, calls, restarts;

/* Mostly a small number, sometimes one at an edge. */
static uint64_t number(uint32_t n)
{
	static const uint64_t edges[] = { 0,          63,         64,         127,    128,        255,
		                          511,        512,        1023,       1024,   4094,       4095,
		                          4096,       0x7ff0,     0x7fff,     0xffff, 0x7fffffff, 0x80000000,
		                          0xffffffff, 1ull << 40, ~0ull >> 1, ~0ull };

	return random_below(8) ? random_below(n) : edges[random_below(ARRAY_SIZE(edges))];
}

/* ---- what higher layers and rarer hardware supply ---- */

struct cpu_ids cpu_ids[NR_CPUS];
struct cpu_policy policy_raw, policy_host, policy_pv_max, policy_pv_default;
static struct cpu_policy policy;

unsigned cpu_policy_featureset(const struct cpu_policy *p, uint32_t words[FEATURESET_WORDS])
{
	(void)p;
	memset(words, 0, FEATURESET_WORDS * sizeof(*words));
	words[3] = 1;
	return FEATURESET_WORDS;
}

int cpu_policy_update(struct domain *d, const xen_cpuid_leaf_t *leaves, unsigned leaf_count,
                      const xen_msr_entry_t *msrs, unsigned msr_count, uint32_t *bad_msr)
{
	(void)d, (void)bad_msr;
	for (unsigned i = 0; i < leaf_count; i++)
		if (leaves[i].leaf == 0xdead)
			return -EINVAL;
	for (unsigned i = 0; i < msr_count; i++)
		if (msrs[i].idx == 0xdead)
			return -EINVAL;
	return 0;
}

int pv_vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
	if (v->initialised)
		return -EBUSY;
	v->initialised = true;
	if (c->flags & VGCF_online)
		bit_clear(&v->pause_flags, PAUSE_DOWN);
	return 0;
}

int pv_vcpu_reset(struct vcpu *v)
{
	v->initialised = false;
	return 0;
}

int domctl_vcpustate(struct domain *d, struct xen_domctl *op, bool *out)
{
	(void)d, (void)op, (void)out;
	return -EOPNOTSUPP;
}

void pv_vcpu_get_context(struct vcpu *v, struct vcpu_guest_context *c)
{
	(void)v;
	memset(c, 0, sizeof(*c));
}

void pv_hypercall_page(void *page)
{
	memset(page, 0xcc, PAGE_SIZE);
}

uint32_t console_ring_read(char *buf, uint32_t n, uint32_t *index)
{
	n = *index < 1000 ? MIN(n, 1000 - *index) : 0;
	memset(buf, 'x', n);
	*index += n;
	return n;
}

void console_ring_clear(void)
{
}

int debug_keys(const struct xen_sysctl_debug_keys *k)
{
	(void)k;
	return -EOPNOTSUPP;
}

int irq_gsi_setup(unsigned gsi, bool level, bool active_low)
{
	(void)active_low;
	machine_irq_level[gsi] = level;
	return 0;
}

int msi_restore(uint16_t segment, uint8_t bus, uint8_t devfn)
{
	(void)segment, (void)bus, (void)devfn;
	return -ENODEV;
}

int ioapic_guest_read(maddr_t apic, uint32_t reg, uint32_t *value)
{
	(void)apic;
	*value = reg;
	return 0;
}

/* ---- calls ---- */

static void call(hc_fn *fn, uint64_t a0, uint64_t a1, uint64_t a2)
{
	struct hc_args a = { { a0, a1, a2 } };
	struct vcpu *v = current_vcpu();
	unsigned cpu = this_cpu();
	int64_t rc;

	for (;;) {
		rc = fn(&a);
		if (rc != -ERESTART_HV)
			break;
		restarts++;
		machine_run(cpu);
		machine_become(cpu, v);
	}
	calls++;
	good_calls += rc >= 0;
}

/* Random words, then fields as the test wants them; at offset 0 of the guest's memory, or where it faults. */
static gva_t words(const uint32_t *w, unsigned n)
{
	for (unsigned i = 0; i < 64; i++)
		((uint32_t *)(void *)fake_guest)[i] = (uint32_t)number(40);
	memcpy(fake_guest, w, n * sizeof(*w));
	return random_below(30) ? GVA(0) : GVA(sizeof(fake_guest) - random_below(24));
}

static uint16_t some_domid(void)
{
	return random_below(3)   ? (uint16_t)random_below(4)
	       : random_below(2) ? DOMID_SELF
	                         : (uint16_t)number(9);
}

static void event_call(void)
{
	uint32_t w[4] = { (uint32_t)number(12), (uint32_t)number(12), (uint32_t)number(12), 0 };
	unsigned cmd = random_below(16);

	if (cmd == EVTCHNOP_alloc_unbound || cmd == EVTCHNOP_bind_interdomain || cmd == EVTCHNOP_reset ||
	    cmd == EVTCHNOP_status)
		w[0] = some_domid() | (uint32_t)some_domid() << 16;
	if (cmd == EVTCHNOP_bind_interdomain)
		w[1] = (uint32_t)number(12);
	call(hc_event_channel_op, random_below(40) ? cmd : number(20), words(w, 3).v, 0);
}

static void grant_entries(struct domain *d)
{
	mfn_t frame;
	grant_entry_v1_t *e;

	if (grant_table_frame(d, random_below(3), &frame))
		return;
	e = (grant_entry_v1_t *)mfn_map_own(frame) + random_below(6);
	e->domid = some_domid();
	e->frame = random_below(6) ? (uint32_t)pages[random_below(4)][random_below(GUEST_PAGES)].m
	                           : (uint32_t)number(4096);
	e->flags = (uint16_t)(random_below(5) ? GTF_permit_access | (random_below(4) ? 0 : GTF_readonly)
	                                      : number(64));
}

static void grant_call(void)
{
	struct gnttab_copy *c = (void *)fake_guest;
	unsigned cmd = random_below(13), count = random_below(4) ? 1 : random_below(3);
	uint32_t w[8] = { 0 };
	gva_t at;

	grant_entries(current_domain());
	switch (cmd) {
	case GNTTABOP_map_grant_ref: /* host_addr, flags, ref, dom */
		w[0] = random_below(16) << PAGE_SHIFT;
		w[2] = random_below(3) ? GNTMAP_device_map | (random_below(2) ? GNTMAP_readonly : 0)
		                       : (uint32_t)number(64);
		w[3] = (uint32_t)number(6);
		w[4] = some_domid();
		break;
	case GNTTABOP_unmap_grant_ref: /* host_addr, dev_bus_addr, handle */
		w[2] = (uint32_t)(pages[random_below(4)][random_below(GUEST_PAGES)].m << PAGE_SHIFT);
		w[4] = (uint32_t)number(8);
		break;
	case GNTTABOP_setup_table:
	case GNTTABOP_query_size:
		w[0] = some_domid();
		w[1] = (uint32_t)number(5);
		w[4] = 4096;
		break;
	}
	at = words(w, 8);
	if (cmd == GNTTABOP_copy && at.v == 0) {
		c->source.domid = some_domid();
		c->source.u.ref = (uint32_t)number(6);
		c->dest.domid = DOMID_SELF;
		c->dest.u.gmfn = pages[random_below(4)][random_below(GUEST_PAGES)].m;
		c->source.offset = (uint16_t)number(4096);
		c->dest.offset = (uint16_t)number(4096);
		c->len = (uint16_t)number(100);
		c->flags = (uint16_t)(random_below(3) ? GNTCOPY_source_gref : number(4));
	}
	call(hc_grant_table_op, random_below(40) ? cmd : number(20), at.v,
	     random_below(40) ? count : number(4));
}

static void vcpu_call(void)
{
	struct domain *d = current_domain();
	uint32_t w[4] = { (uint32_t)pages[random_below(4)][random_below(GUEST_PAGES)].m, 0,
		          (uint32_t)number(70) * 4, 0 };
	unsigned cmd = random_below(15);

	if (cmd == VCPUOP_set_periodic_timer)
		w[0] = (uint32_t)number(20000000);
	else if (cmd == VCPUOP_register_runstate_memory_area || cmd == VCPUOP_register_vcpu_time_memory_area)
		w[0] = (uint32_t)number(8000);
	/* The last vcpu that goes down takes the domain along: leave that to the shutdown calls. */
	if (cmd == VCPUOP_down)
		cmd = VCPUOP_is_up;
	call(hc_vcpu_op, cmd, number(d->max_vcpus + 1), words(w, 4).v);
}

static void sched_call(void)
{
	uint32_t w[4] = { 8192, 0, (uint32_t)number(4), 0 };
	unsigned cmd = random_below(8);
	bool end = cmd == SCHEDOP_shutdown || cmd == SCHEDOP_remote_shutdown || cmd == SCHEDOP_shutdown_code;

	if (end && (current_domain() == dom0 || random_below(20)))
		cmd = SCHEDOP_yield;
	if (cmd == SCHEDOP_watchdog)
		w[0] = (uint32_t)number(4), w[1] = 100000;
	for (unsigned i = 0; i < 8; i++)
		((uint32_t *)(void *)(fake_guest + 8192))[i] = (uint32_t)number(12);
	if (random_below(4))
		call(hc_sched_op, cmd, words(w, 4).v, 0);
	else
		call(hc_set_timer_op, random_below(3) ? fake_time_ns + random_below(100000000) : number(9), 0,
		     0);
}

static void physdev_call(void)
{
	uint32_t w[8] = { (uint32_t)number(30), (uint32_t)number(30), (uint32_t)number(30),
		          (uint32_t)number(5) };
	unsigned cmd = random_below(32);

	if (cmd == PHYSDEVOP_map_pirq) {
		w[0] = some_domid();
		w[1] = (uint32_t)number(4);
		w[3] = (uint32_t)number(40);
	} else if (cmd == PHYSDEVOP_pirq_eoi_gmfn_v1 || cmd == PHYSDEVOP_pirq_eoi_gmfn_v2) {
		w[0] = (uint32_t)pages[random_below(4)][random_below(GUEST_PAGES)].m;
		w[1] = 0;
	}
	call(hc_physdev_op, random_below(40) ? cmd : number(40), words(w, 5).v, 0);
	machine_irq_fire(random_below(64));
}

/* ---- the toolstack ---- */

static void forget(unsigned i)
{
	domain_put(guests[i]);
	guests[i] = NULL;
}

static void make_guest(unsigned i)
{
	struct domain *d = machine_domain((uint16_t)i, 1 + random_below(3));

	domain_ref(d);
	d->cpu_policy = &policy;
	guests[i] = d;
	for (unsigned k = 0; k < GUEST_PAGES; k++)
		if (domain_frame_alloc(&d->mm, 0, 0, &pages[i][k]))
			abort();
	machine_start(d);
}

/* In one thread nobody else takes a vcpu off its CPU: before the toolstack may wait for that, all are. */
static void quiesce(bool on)
{
	struct vcpu *v = current_vcpu();
	unsigned cpu = this_cpu();

	for (unsigned i = 1; i < 4; i++) {
		if (guests[i] && on)
			domain_pause_nosync(guests[i]);
		else if (guests[i])
			domain_unpause(guests[i]);
	}
	for (unsigned i = 0; on && i < cpu_count; i++)
		machine_run(i);
	machine_become(cpu, v);
}

static void domctl_call(void)
{
	struct xen_domctl *op = (void *)fake_guest;
	unsigned who = 1 + random_below(3);
	uint32_t cmd = random_below(90);

	for (unsigned i = 0; i < sizeof(*op) / 4; i++)
		((uint32_t *)op)[i] = (uint32_t)number(50);
	/* Handles point into the guest's memory, mostly behind the operation. */
	for (unsigned i = 0; i < 16; i++)
		if (random_below(2))
			((uint64_t *)(void *)&op->u)[i] = 1024 + random_below(60000);
	op->cmd = cmd;
	op->interface_version = random_below(50) ? XEN_DOMCTL_INTERFACE_VERSION : number(50);
	op->domain = random_below(10) ? (uint16_t)who : some_domid();
	/* Numbers of the test's own guests are its to give; what it creates by chance it could not find again. */
	if (cmd == XEN_DOMCTL_createdomain || cmd == XEN_DOMCTL_max_mem)
		return;
	if (cmd == XEN_DOMCTL_destroydomain)
		op->domain = random_below(4) ? DOMID_INVALID : (uint16_t)who;
	if (cmd == XEN_DOMCTL_iomem_permission)
		op->u.iomem_permission.nr_mfns = 1 + random_below(9);
	call(hc_domctl, 0, 0, 0);
}

static void sysctl_call(void)
{
	struct xen_sysctl *op = (void *)fake_guest;

	for (unsigned i = 0; i < sizeof(*op) / 4; i++)
		((uint32_t *)op)[i] = (uint32_t)number(50);
	for (unsigned i = 0; i < 16; i++)
		if (random_below(2))
			((uint64_t *)(void *)&op->u)[i] = 1024 + random_below(60000);
	op->cmd = random_below(32);
	op->interface_version = random_below(50) ? XEN_SYSCTL_INTERFACE_VERSION : number(50);
	call(hc_sysctl, 0, 0, 0);
}

/* ---- the run ---- */

static void kill_guest(unsigned i)
{
	quiesce(true);
	machine_destroy(guests[i]);
	quiesce(false);
	forget(i);
}

static void reap(void)
{
	for (unsigned i = 1; i < 4; i++) {
		struct domain *d = guests[i];

		if (d && d->life == DOMAIN_DEAD)
			forget(i);
		else if (d && d->shut_down && !random_below(10))
			kill_guest(i);
	}
	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		machine_run(cpu);
	for (unsigned i = 1; i < 4; i++) {
		struct domain *d = guests[i] ? NULL : domain_get((uint16_t)i);

		if (d) /* dead, but somebody maps a frame of it */
			domain_put(d);
		else if (!guests[i]) {
			machine_become(0, dom0->vcpus[0]);
			make_guest(i);
		}
	}
}

static void one(void)
{
	static void (*const any[])(void) = { event_call, grant_call, vcpu_call, sched_call, physdev_call };
	unsigned who = random_below(4);
	struct domain *d = who ? guests[who] : dom0;

	if (!d || d->life != DOMAIN_ALIVE)
		return;
	machine_become(random_below(cpu_count), d->vcpus[random_below(d->max_vcpus)]);
	if (current_vcpu()->running) /* another CPU's: the scheduler decides, not the test */
		return;
	if (d == dom0 && !random_below(3)) {
		quiesce(true);
		(random_below(3) ? domctl_call : sysctl_call)();
		quiesce(false);
	} else
		any[random_below(ARRAY_SIZE(any))]();
}

static void step_time(void)
{
	fake_time_ns += random_below(5000000);
	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		fake_set_cpu(cpu);
		work_raise(cpu, WORK_TIMER);
	}
}

static uint64_t end_all(void)
{
	for (unsigned i = 1; i < 4; i++)
		if (guests[i])
			kill_guest(i);
	/* dom0 gives up what it maps, as if it had died; then those that it kept go. */
	machine_become(0, dom0->vcpus[0]);
	(void)!grant_domain_destroy(dom0);
	(void)!evtchn_reset(dom0);
	machine_run(0);
	machine_become(0, dom0->vcpus[0]);
	return heap_free_pages();
}

/* Builders clear shared_info once the domain is there, and set vcpu 0's registers at the end. */
static void wall_clock_of_a_built_guest(void)
{
	struct xen_domctl *op = (void *)fake_guest;
	struct domain *d = machine_domain(9, 2);
	bool by_other = false;

	memset(d->shared_info, 0, sizeof(*d->shared_info));
	for (unsigned i = 2; i--;) {
		memset(fake_guest, 0, 8192);
		op->cmd = XEN_DOMCTL_setvcpucontext;
		op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
		op->domain = 9;
		op->u.vcpucontext.vcpu = i;
		op->u.vcpucontext.ctxt.p = (void *)1024;
		call(hc_domctl, 0, 0, 0);
		if (i)
			by_other = d->shared_info->wc_sec;
	}
	tap_ok(!by_other && d->shared_info->wc_sec == 1700000000 && d->shared_info->wc_version &&
	               !(d->shared_info->wc_version & 1),
	       "vcpu 0's context brings the wall clock into a page that the builder cleared");
	machine_destroy(d);
	machine_run(0);
	machine_become(0, dom0->vcpus[0]);
}

static struct xen_sysctl_physinfo physinfo_of(struct cpu_ids first, struct cpu_ids second)
{
	struct xen_sysctl *op = (void *)fake_guest;

	cpu_ids[0] = first;
	cpu_ids[1] = second;
	memset(fake_guest, 0, sizeof(*op));
	op->cmd = XEN_SYSCTL_physinfo;
	op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	call(hc_sysctl, 0, 0, 0);
	return op->u.physinfo;
}

static void topology_of_two_cpus(void)
{
	const struct cpu_ids first = { .package = 1, .core = 4 }, sibling = first,
	                     core = { .package = 1, .core = 5 }, package = { .package = 2, .core = 4 };
	struct xen_sysctl_physinfo p = physinfo_of(first, sibling), q = physinfo_of(first, core),
	                           r = physinfo_of(first, package);
	struct xen_sysctl *op = (void *)fake_guest;
	xen_sysctl_cputopo_t *t = (void *)(fake_guest + 4096);

	tap_ok(p.threads_per_core == 2 && p.cores_per_socket == 1 && q.threads_per_core == 1 &&
	               q.cores_per_socket == 2 && r.threads_per_core == 1 && r.cores_per_socket == 1 &&
	               r.nr_cpus == 2,
	       "physinfo: threads, cores and packages as bring-up found them");
	memset(fake_guest, 0, 8192);
	op->cmd = XEN_SYSCTL_cputopoinfo;
	op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	op->u.cputopoinfo.num_cpus = 2;
	op->u.cputopoinfo.cputopo.p = (void *)4096;
	call(hc_sysctl, 0, 0, 0);
	tap_ok(t[0].socket == 1 && t[0].core == 4 && t[1].socket == 2 && t[1].core == 4,
	       "and so does cputopoinfo");
}

static uint32_t levelling_caps(bool faulting)
{
	struct xen_sysctl *op = (void *)fake_guest;

	cpu_features.cpuid_faulting = faulting;
	memset(fake_guest, 0, sizeof(*op));
	op->cmd = XEN_SYSCTL_get_cpu_levelling_caps;
	op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	op->u.cpu_levelling_caps.caps = 77;
	call(hc_sysctl, 0, 0, 0);
	return op->u.cpu_levelling_caps.caps;
}

#define MANY 70

static void sysctl_lists_are_preempted(void)
{
	struct xen_sysctl *op = (void *)fake_guest;
	struct xen_domctl_getdomaininfo *info = (void *)(fake_guest + 4096);
	struct domain *d[MANY];
	unsigned before = restarts, told;
	bool good = true;

	for (unsigned i = 0; i < MANY; i++)
		d[i] = machine_domain((uint16_t)(100 + 3 * i), 1);
	memset(fake_guest, 0, sizeof(fake_guest));
	op->cmd = XEN_SYSCTL_getdomaininfolist;
	op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	op->u.getdomaininfolist.first_domain = 100;
	op->u.getdomaininfolist.max_domains = MANY + 5;
	op->u.getdomaininfolist.buffer.p = (void *)4096;
	fake_preempt = 1;
	call(hc_sysctl, 0, 0, 0);
	fake_preempt = 0;
	told = op->u.getdomaininfolist.num_domains;
	for (unsigned i = 0; i < MANY; i++)
		good &= info[i].domain == 100 + 3 * i;
	printf("# %u domains, %u times preempted\n", told, restarts - before);
	tap_ok(told == MANY && good, "getdomaininfolist tells each domain once, also when it is preempted");
	tap_ok(restarts - before >= MANY / 16, "and looks for other work every 16 domains");
	tap_ok(op->cmd == XEN_SYSCTL_getdomaininfolist && op->u.getdomaininfolist.first_domain == 100 &&
	               op->u.getdomaininfolist.max_domains == MANY + 5,
	       "the question is as it was");
	for (unsigned i = 0; i < MANY; i++)
		machine_destroy(d[i]);
	machine_run(0);
	machine_become(0, dom0->vcpus[0]);
}

static bool domain_owns(const struct domain *d, unsigned mfn)
{
	return mfn_is_ram(MFN(mfn)) && frame_owner(MFN(mfn)) == &d->mm;
}

static void frame_types_are_preempted(void)
{
	struct xen_domctl *op = (void *)fake_guest;
	xen_pfn_t *list = (void *)(fake_guest + 16384);
	struct domain *d = machine_domain(9, 1);
	unsigned before = restarts;
	bool good = true;

	memset(fake_guest, 0, sizeof(fake_guest));
	op->cmd = XEN_DOMCTL_getpageframeinfo3;
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op->domain = 9;
	op->u.getpageframeinfo3.num = 1024;
	op->u.getpageframeinfo3.array.p = (void *)16384;
	for (unsigned i = 0; i < 1024; i++)
		list[i] = i;
	fake_preempt = 1;
	call(hc_domctl, 0, 0, 0);
	fake_preempt = 0;
	for (unsigned i = 0; i < 1024; i++)
		good &= list[i] == (domain_owns(d, i) ? 0 : XEN_DOMCTL_PFINFO_XTAB);
	tap_ok(good && op->cmd == XEN_DOMCTL_getpageframeinfo3 && restarts - before == 15,
	       "getpageframeinfo3 looks for other work every 64 frames, and answers each once");
	machine_destroy(d);
	machine_run(0);
	machine_become(0, dom0->vcpus[0]);
}

/* XYLEM_DOMCTL_copy_frames of domain 9's, with the list at 16 KiB of dom0's memory and contents from 20 KiB on. */
#define COPIES      10u
#define COPY_LIST   16384u
#define COPY_BUFFER 20480u

static int copy_frames(unsigned num, unsigned write)
{
	struct xen_domctl *op = (void *)fake_guest;
	struct xylem_copy_frames q = { num, write, COPY_LIST, COPY_BUFFER };
	struct hc_args a = { { 0 } };
	int64_t rc;

	memset(op, 0, sizeof(*op));
	op->cmd = XYLEM_DOMCTL_copy_frames;
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op->domain = 9;
	memcpy(&op->u, &q, sizeof(q));
	for (rc = hc_domctl(&a); rc == -ERESTART_HV; rc = hc_domctl(&a))
		restarts++;
	return (int)rc;
}

static void contents_are_copied(void)
{
	struct domain *d = machine_domain(9, 1);
	uint64_t *list = (void *)(fake_guest + COPY_LIST);
	uint8_t *buffer = fake_guest + COPY_BUFFER, *content;
	mfn_t of[COPIES];
	unsigned before;
	bool good = true;

	for (unsigned i = 0; i < COPIES; i++) {
		if (domain_frame_alloc(&d->mm, 0, 0, &of[i]))
			abort();
		memset(frame_map_to_write(of[i]), i % 3 ? (int)i : 0, PAGE_SIZE);
		list[i] = of[i].m;
	}
	((uint8_t *)frame_map_to_write(of[3]))[PAGE_SIZE - 1] = 7;
	list[5] = pages[0][0].m; /* dom0's */
	list[6] = ~0ull;
	memset(buffer, 0xee, COPIES * PAGE_SIZE);
	before = restarts;
	fake_preempt = 1;
	good &= copy_frames(COPIES, 0) == 0;
	fake_preempt = 0;
	tap_ok(good && restarts - before == 1,
	       "contents of ten frames are read, and other work is looked for each eight");
	for (unsigned i = 0; i < COPIES; i++) {
		bool own = i != 5 && i != 6, zero = own && i % 3 == 0 && i != 3;

		content = buffer + (uint64_t)i * PAGE_SIZE;
		good &= list[i] == (own ? zero : XEN_DOMCTL_PFINFO_XTAB);
		good &= own && !zero ? !memcmp(content, frame_map_to_write(of[i]), PAGE_SIZE)
		                     : content[0] == 0xee;
	}
	tap_ok(good, "what is zero or another's is told, and its place left alone");

	good = true;
	for (unsigned what = FRAMECOPY_LOOK; what <= FRAMECOPY_WHOLE; what++) {
		memset(buffer, 0xee, COPIES * PAGE_SIZE);
		for (unsigned i = 0; i < COPIES; i++)
			list[i] = i == 5 ? pages[0][0].m : i == 6 ? UINT64_MAX : of[i].m;
		good &= copy_frames(COPIES, what) == 0;
		for (unsigned i = 0; i < COPIES; i++) {
			bool own = i != 5 && i != 6, zero = own && i % 3 == 0 && i != 3;

			content = buffer + (uint64_t)i * PAGE_SIZE;
			good &= list[i] == (!own                             ? XEN_DOMCTL_PFINFO_XTAB
			                    : zero && what == FRAMECOPY_LOOK ? FRAMECOPY_ZERO
			                                                     : 0);
			good &= own && what == FRAMECOPY_WHOLE
			                ? !memcmp(content, frame_map_to_write(of[i]), PAGE_SIZE)
			                : content[0] == 0xee;
		}
	}
	tap_ok(good, "what they are is told without contents; contents are read whole");

	for (unsigned i = 0; i < COPIES; i++)
		list[i] = of[i].m;
	memset(buffer, 0x3c, COPIES * PAGE_SIZE);
	good = copy_frames(COPIES, 1) == 0;
	for (unsigned i = 0; i < COPIES; i++)
		good &= ((uint8_t *)frame_map_to_write(of[i]))[i * 100] == 0x3c && list[i] == of[i].m;
	memset(buffer, 0x4d, 3 * PAGE_SIZE);
	if (frame_get_type(of[1], &d->mm, PTYPE_SEGDESC))
		abort();
	good &= copy_frames(3, 1) == -EINVAL;
	good &= ((uint8_t *)frame_map_to_write(of[0]))[0] == 0x4d &&
	        ((uint8_t *)frame_map_to_write(of[1]))[0] == 0x3c &&
	        ((uint8_t *)frame_map_to_write(of[2]))[0] == 0x3c;
	frame_put_type(of[1]);
	list[0] = pages[0][0].m;
	good &= copy_frames(1, 1) == -EINVAL;
	tap_ok(good,
	       "contents are written, up to the first frame that the domain may not write to, or is another's");
	good = copy_frames(1025, 0) == -E2BIG && copy_frames(1, 4) == -EINVAL;
	for (unsigned write = 0; write < 2; write++) { /* the buffer ends behind its first page */
		struct xylem_copy_frames q = { 2, write, COPY_LIST, sizeof(fake_guest) - PAGE_SIZE };

		list[0] = of[7].m;
		list[1] = of[8].m;
		(void)copy_frames(0, 0);
		memcpy(&((struct xen_domctl *)(void *)fake_guest)->u, &q, sizeof(q));
		good &= hc_domctl(&(struct hc_args){ { 0 } }) == -EFAULT;
	}
	tap_ok(good, "too many, an unknown direction and a buffer that ends are refused");
	machine_destroy(d);
	machine_run(0);
	machine_become(0, dom0->vcpus[0]);
}

/* A call of dom0's for domain 9, to be filled in; it is made with no arguments of its own. */
static struct xen_domctl *permission(uint32_t cmd)
{
	struct xen_domctl *op = (void *)fake_guest;

	memset(fake_guest, 0, sizeof(*op));
	op->cmd = cmd;
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op->domain = 9;
	return op;
}

static int permit_ports(unsigned first, unsigned count, bool allow)
{
	struct xen_domctl_ioport_permission *q =
	        &permission(XEN_DOMCTL_ioport_permission)->u.ioport_permission;
	struct hc_args a = { { 0 } };

	q->first_port = first;
	q->nr_ports = count;
	q->allow_access = allow;
	return (int)hc_domctl(&a);
}

static int permit_frames(uint64_t first, uint64_t count, bool allow)
{
	struct xen_domctl_iomem_permission *q = &permission(XEN_DOMCTL_iomem_permission)->u.iomem_permission;
	struct hc_args a = { { 0 } };

	q->first_mfn = first;
	q->nr_mfns = count;
	q->allow_access = allow;
	return (int)hc_domctl(&a);
}

/* A range is one step however long it is, and of ranges there are so many at most. */
static void frames_in_ranges(void)
{
	const uint64_t all = 1ull << (cpu_features.phys_bits - PAGE_SHIFT);
	struct domain *d = machine_domain(9, 1);
	const struct rangeset *s = &d->mm.iomem;
	uint64_t before;
	unsigned n;
	int rc;

	if (rangeset_add(&dom0->mm.iomem, 0, all - 1))
		abort();
	before = heap_free_pages();
	tap_ok(permit_frames(0, 1ull << 40, true) == -EINVAL && permit_frames(1, ~0ull, true) == -EINVAL &&
	               !s->count && !permit_frames(0, all, true) && s->count == 1 &&
	               !permit_frames(0, all, false) && !s->count,
	       "all of the machine's frames are permitted and denied at once, more than it has are not");
	for (n = 0, rc = 0; !rc && n < 100000; n++)
		rc = permit_frames(2 * (uint64_t)n, 1, true);
	tap_ok(rc == -ENOMEM && s->count == RANGES_MAX && before - heap_free_pages() <= 17,
	       "every second frame makes a range: there are 4,096 at most, in 64 KiB");
	tap_ok(!permit_frames(0, all, true) && s->count == 1, "a larger one takes them in");
	for (n = 0, rc = 0; !rc && n < 100000; n++)
		rc = permit_frames(1 + 2 * (uint64_t)n, 1, false);
	tap_ok(rc == -ENOMEM && s->count == RANGES_MAX && before - heap_free_pages() <= 17 &&
	               rangeset_contains(s, 2 * (uint64_t)n - 1, 2 * (uint64_t)n - 1),
	       "holes make ranges, too: what cannot be denied stays permitted, and the call says so");
	tap_ok(!permit_frames(0, all, false) && !s->count, "all of them go at once");
	rangeset_free(&dom0->mm.iomem);
	machine_destroy(d);
	machine_run(0);
	machine_become(0, dom0->vcpus[0]);
}

static bool looking, looked; /* atomic */

/* Another CPU maps device memory of domain 9 for dom0: what was permitted all the time is found each time. */
static void *look_at_ranges(void *data)
{
	struct domain *d = data;
	unsigned long misses = 0, looks = 0;

	fake_set_cpu(1);
	for (; __atomic_load_n(&looking, __ATOMIC_SEQ_CST); looks++) {
		misses += l1e_get_io(&dom0->mm, &d->mm, 8001) != 0;
		__atomic_store_n(&looked, true, __ATOMIC_SEQ_CST);
	}
	printf("# %lu looks\n", looks);
	return (void *)misses;
}

static void ranges_change_while_looked_at(void)
{
	struct domain *d = machine_domain(9, 1);
	void *misses = NULL;
	bool good = true;
	pthread_t thread;

	if (rangeset_add(&dom0->mm.iomem, 0, 10000))
		abort();
	for (unsigned i = 1; i <= 4000; i++)
		good &= !permit_frames(2 * i + 1, 1, true);
	__atomic_store_n(&looking, true, __ATOMIC_SEQ_CST);
	if (pthread_create(&thread, NULL, look_at_ranges, d))
		abort();
	while (!__atomic_load_n(&looked, __ATOMIC_SEQ_CST))
		;
	for (unsigned i = 0; i < 300; i++)
		good &= !permit_frames(1, 1, true) && !permit_frames(1, 1, false);
	__atomic_store_n(&looking, false, __ATOMIC_SEQ_CST);
	pthread_join(thread, &misses);
	tap_ok(good && !misses, "ranges that are changed are the same for who looks at them: %lu misses",
	       (unsigned long)misses);
	rangeset_free(&dom0->mm.iomem);
	machine_destroy(d);
	machine_run(0);
	machine_become(0, dom0->vcpus[0]);
}

/* Word by word, and so bounded by 1,024 of them: the same as port by port. */
static void ports_in_words(void)
{
	static uint64_t own[1024], want[1024];
	struct domain *d = machine_domain(9, 1);
	uint64_t *before = dom0->ioports, had = heap_free_pages();
	bool good = true;

	memset(own, 0xff, sizeof(own));
	dom0->ioports = own;
	for (unsigned i = 0; i < 2000; i++) {
		unsigned first = random_below(65536),
		         count = random_below(2) ? random_below(200) : random_below(65536);
		bool allow = random_below(2), fits = count <= 65536 - first;

		good &= permit_ports(first, count, allow) == (fits ? 0 : -EINVAL);
		for (unsigned port = first; fits && port < first + count; port++)
			(allow ? bit_set : bit_clear)(want, port);
		good &= !d->ioports || !memcmp(d->ioports, want, sizeof(want));
	}
	tap_ok(good && d->ioports && had - heap_free_pages() <= 2,
	       "ports are permitted in words, exactly those asked for");
	bit_clear(own, 1000);
	tap_ok(permit_ports(0, 1000, true) == 0 && permit_ports(1001, 64535, true) == 0 &&
	               permit_ports(1000, 1, true) == -EPERM && permit_ports(0, 65536, true) == -EPERM &&
	               permit_ports(900, 200, true) == -EPERM,
	       "and none that dom0 has not");
	dom0->ioports = before;
	machine_destroy(d);
	machine_run(0);
	machine_become(0, dom0->vcpus[0]);
}

static int made(void)
{
	struct hc_args a = { { 0 } };

	return (int)hc_domctl(&a);
}

/* A new domain gets the limits that it asks for, or as many as /params says, and never more than that. */
static int create_with(int frames, int tracks)
{
	struct xen_domctl_createdomain *c = &permission(XEN_DOMCTL_createdomain)->u.createdomain;
	struct domain *d;
	int rc;

	c->max_vcpus = 1;
	c->max_evtchn_port = 1023;
	c->grant_opts = 1;
	c->max_grant_frames = frames;
	c->max_maptrack_frames = tracks;
	rc = made();
	d = rc ? NULL : domain_get(9);
	if (d) {
		machine_destroy(d);
		domain_put(d);
		machine_run(0);
		machine_become(0, dom0->vcpus[0]);
	}
	return rc;
}

static void grant_limits(void)
{
	tap_ok(!create_with(64, 1024) && !create_with(-1, -1) && !create_with(1, 0) &&
	               create_with(65, 1) == -EINVAL && create_with(100000, 1) == -EINVAL &&
	               create_with(4, 1025) == -EINVAL && create_with(4, 1000000) == -EINVAL &&
	               create_with(0, 1) == -EINVAL,
	       "a grant table larger than the host's limits, or none, is refused at creation");
	default_grant_frames = 100;
	default_maptrack_frames = 500;
	tap_ok(!create_with(100, 500) && create_with(101, 1) == -EINVAL && create_with(4, 501) == -EINVAL,
	       "the limits are those of /params");
	default_grant_frames = 64;
	default_maptrack_frames = 1024;
}

static uint32_t info_flags(void)
{
	struct xen_domctl *op = permission(XEN_DOMCTL_getdomaininfo);

	return made() ? 0xdead : op->u.getdomaininfo.flags;
}

/* As xl list shows them: stock says 0xffff for a domain that has given no reason. */
static void states_told(void)
{
	struct domain *d = machine_domain(9, 2);
	const uint32_t none = 0xffffu << XEN_DOMINF_shutdownshift;

	tap_ok(info_flags() == (none | XEN_DOMINF_paused), "a domain without a vcpu online is not blocked");
	bit_clear(&d->vcpus[0]->pause_flags, PAUSE_DOWN);
	bit_set(&d->vcpus[0]->pause_flags, PAUSE_BLOCKED);
	tap_ok(info_flags() == (none | XEN_DOMINF_paused | XEN_DOMINF_blocked),
	       "one whose vcpus all wait is");
	domain_shutdown(d, SHUTDOWN_suspend);
	tap_ok(info_flags() == (SHUTDOWN_suspend << XEN_DOMINF_shutdownshift | XEN_DOMINF_shutdown |
	                        XEN_DOMINF_paused | XEN_DOMINF_blocked),
	       "and one that is shut down tells why");
	machine_destroy(d);
	machine_run(0);
	machine_become(0, dom0->vcpus[0]);
	d = machine_domain(9, 1);
	domain_ref(d);
	machine_destroy(d);
	tap_ok(info_flags() == (none | XEN_DOMINF_dying | XEN_DOMINF_paused),
	       "one that died before it shut down has no reason either");
	domain_put(d);
	machine_run(0);
	machine_become(0, dom0->vcpus[0]);
}

/* As on Xen: from the first unpause on that lets it run, whether or not a vcpu was on a CPU yet. A test that asked how long
 * its vcpus have run would not see the first slice. */
static void policy_is_for_the_unborn(void)
{
	struct domain *d = machine_domain(9, 1);
	struct xen_domctl *op;

	d->cpu_policy = &policy;
	op = permission(XEN_DOMCTL_set_cpu_policy);
	tap_ok(!made() && !domain_controller_pause(d) && !domain_controller_unpause(d) && !made(),
	       "a guest that was never let run gets a CPU policy, also after a pause");
	machine_start(d);
	tap_ok(made() == -EEXIST, "one that may run does not, before it has run at all");
	machine_run(0);
	machine_run(1);
	machine_become(0, dom0->vcpus[0]);
	tap_ok(d->vcpus[0]->running && !d->vcpus[0]->runstate.time[RUNSTATE_running] && made() == -EEXIST,
	       "nor in its first time slice");
	domain_pause_nosync(d);
	machine_run(0);
	machine_run(1);
	machine_become(0, dom0->vcpus[0]);
	op->u.cpu_policy.nr_leaves = ~0u;
	tap_ok(made() == -EEXIST, "nor paused, whatever the policy");
	machine_destroy(d);
	machine_run(0);
	machine_become(0, dom0->vcpus[0]);
}

/* Somebody holds a dead domain: the toolstack's calls work on it as on any other one, as on Xen, and it stays dead. */
static void calls_on_the_dead(void)
{
	static const struct {
		uint32_t cmd, word[4];
		int rc;
	} orders[] = {
		{ XEN_DOMCTL_pausedomain, { 0 }, 0 },
		{ XEN_DOMCTL_unpausedomain, { 0 }, 0 },
		{ XEN_DOMCTL_unpausedomain, { 0 }, 0 },
		{ XEN_DOMCTL_unpausedomain, { 0 }, -EINVAL }, /* more often than paused */
		{ XEN_DOMCTL_resumedomain, { 0 }, 0 },
		{ XEN_DOMCTL_subscribe, { 5 }, 0 },
		{ XEN_DOMCTL_max_vcpus, { 2 }, -EINVAL }, /* the second one is not there */
		{ XEN_DOMCTL_max_mem, { 8192 }, 0 },
		{ XEN_DOMCTL_setdomainhandle, { 1, 2, 3, 4 }, 0 },
		{ XEN_DOMCTL_settimeoffset, { 60 }, 0 },
		{ XEN_DOMCTL_setdebugging, { 0 }, 0 },
		{ XEN_DOMCTL_set_address_size, { 64 }, 0 },
		{ XEN_DOMCTL_sendtrigger, { XEN_DOMCTL_SENDTRIGGER_NMI, 0 }, 0 },
		{ XEN_DOMCTL_shadow_op, { XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY }, 0 },
		{ XEN_DOMCTL_getpageframeinfo3, { 0 }, 0 },
		{ XEN_DOMCTL_irq_permission, { 3, 0 }, 0 },
		{ XEN_DOMCTL_getvcpucontext, { 0 }, 0 },
		{ XEN_DOMCTL_setvcpucontext, { 0 }, -EINVAL },
		{ XEN_DOMCTL_set_virq_handler, { VIRQ_ARGO }, -EINVAL }, /* it would never go */
		{ XEN_DOMCTL_hypercall_init, { 5 }, -EINVAL },
	};
	struct domain *d = machine_domain(9, 2);
	uint64_t before;
	bool good = true;
	struct xen_domctl *op;

	vcpu_destroy(d->vcpus[1]);
	d->vcpus[1] = NULL;
	d->vcpus[0]->initialised = true;
	bit_clear(&d->vcpus[0]->pause_flags, PAUSE_DOWN);
	domain_shutdown(d, SHUTDOWN_poweroff);
	domain_ref(d);
	machine_destroy(d);
	before = heap_free_pages();
	for (unsigned i = 0; i < ARRAY_SIZE(orders); i++) {
		int rc;

		op = permission(orders[i].cmd);
		memcpy(&op->u, orders[i].word, sizeof(orders[i].word));
		rc = made();
		if (rc != orders[i].rc)
			printf("# domctl %u: %d\n", orders[i].cmd, rc);
		good &= rc == orders[i].rc;
	}
	tap_ok(good, "orders for a dead domain are taken as on Xen");
	op = permission(XEN_DOMCTL_scheduler_op);
	op->u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
	op->u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_putinfo;
	op->u.scheduler_op.u.credit2.weight = 512;
	good = !made();
	op = permission(XEN_DOMCTL_setvcpuaffinity);
	op->u.vcpuaffinity.flags = XEN_VCPUAFFINITY_HARD;
	op->u.vcpuaffinity.cpumap_hard.nr_bits = 8;
	op->u.vcpuaffinity.cpumap_hard.bitmap.p = (void *)4096;
	fake_guest[4096] = 2;
	tap_ok(good && !made() && cpumask_test(&d->vcpus[0]->hard_affinity, 1) &&
	               !cpumask_test(&d->vcpus[0]->hard_affinity, 0),
	       "its weight and where its vcpus may run can be set");
	tap_ok(d->life == DOMAIN_DEAD && !vcpu_runnable(d->vcpus[0]) && heap_free_pages() == before &&
	               !d->mm.claimed_pages && !d->mm.logged,
	       "none of it runs, and nothing is kept for it");
	domain_put(d);
	machine_run(0);
	machine_become(0, dom0->vcpus[0]);
	tap_ok(!domain_get(9), "and it goes with who held it");
}

/* Of the log of dirty pages, without a bitmap; -1: it cannot be had. */
static int log_count(uint32_t what)
{
	struct xen_domctl *op = permission(XEN_DOMCTL_shadow_op);

	op->u.shadow_op.op = what;
	op->u.shadow_op.stats.dirty_count = 12345;
	return made() ? -1 : (int)op->u.shadow_op.stats.dirty_count;
}

/* As the toolstack counts the pages that a guest changes: all bits, whatever number of pages it names. */
static void changed_pages_are_counted(void)
{
	struct domain *d = machine_domain(9, 1);
	int always, before;
	mfn_t m[3];

	for (unsigned i = 0; i < 3; i++) {
		if (domain_frame_alloc(&d->mm, 0, 0, &m[i]))
			abort();
		m2p_set(m[i], 100 + 5000 * i);
	}
	before = log_count(XEN_DOMCTL_SHADOW_OP_PEEK);
	if (log_count(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY) < 0)
		abort();
	(void)log_count(XEN_DOMCTL_SHADOW_OP_CLEAN);
	always = log_count(XEN_DOMCTL_SHADOW_OP_PEEK);
	for (unsigned i = 0; i < 6; i++)
		frame_written(m[i % 3]);
	tap_ok(before == -1 && always >= 0 && always < 3 &&
	               log_count(XEN_DOMCTL_SHADOW_OP_PEEK) == always + 3 &&
	               log_count(XEN_DOMCTL_SHADOW_OP_CLEAN) == always + 3 &&
	               log_count(XEN_DOMCTL_SHADOW_OP_PEEK) == always,
	       "pages that change are counted once, until the log is emptied");
	tap_ok(log_count(XEN_DOMCTL_SHADOW_OP_OFF) >= 0 && log_count(XEN_DOMCTL_SHADOW_OP_PEEK) == -1,
	       "and not when it is off");
	machine_destroy(d);
	machine_run(0);
	machine_become(0, dom0->vcpus[0]);
}

int main(int argc, char **argv)
{
	uint64_t before;
	unsigned gone = 0;

	random_seed = argc > 1 ? strtoull(argv[1], NULL, 0) | 1 : 20260101;
	tap_plan(41);
	machine_init(16384, 2);
	dom0 = machine_domain(0, 2);
	dom0->cpu_policy = &policy;
	for (unsigned k = 0; k < GUEST_PAGES; k++)
		if (domain_frame_alloc(&dom0->mm, 0, 0, &pages[0][k]))
			abort();
	machine_become(0, dom0->vcpus[0]);
	wall_clock_of_a_built_guest();
	grant_limits();
	states_told();
	policy_is_for_the_unborn();
	calls_on_the_dead();
	changed_pages_are_counted();
	topology_of_two_cpus();
	tap_ok(levelling_caps(true) == XEN_SYSCTL_CPU_LEVELCAP_faulting && !levelling_caps(false),
	       "CPUID faulting is told of when all CPUs do it");
	sysctl_lists_are_preempted();
	frame_types_are_preempted();
	contents_are_copied();
	ports_in_words();
	frames_in_ranges();
	ranges_change_while_looked_at();
	before = heap_free_pages();
	fake_preempt = 7;
	for (unsigned i = 1; i < 4; i++)
		make_guest(i);
	for (unsigned i = 0; i < 60000; i++) {
		one();
		if (!random_below(4))
			step_time();
		if (!random_below(8))
			reap();
	}
	fake_preempt = 0;
	printf("# %u calls, %u of them succeeded, %u continued\n", calls, good_calls, restarts);
	tap_ok(calls > 30000 && good_calls > calls / 10, "random calls are made, many of them good");
	tap_ok(restarts > 10, "some are preempted");
	before -= end_all();
	for (unsigned i = 1; i < 4; i++)
		gone += !domain_get((uint16_t)i);
	tap_ok(gone == 3, "all guests are gone in the end");
	/* dom0's own tables grew: its grant frames and tracks, event channels, and the slabs they lie in. */
	printf("# %lu pages more in use\n", (unsigned long)before);
	tap_ok(before < 64, "and their memory is back");
	return tap_end();
}
