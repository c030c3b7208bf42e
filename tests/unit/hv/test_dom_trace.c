/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace buffers from the toolstack's side: each operation and what it is refused with, whose frames they are and how they
 * may be mapped, what happens where memory runs out; and the records of dom/ themselves, read by xen/trace.h and checked
 * as xenalyze does: who runs on each CPU, in which state each vcpu is.
 */
#include "dom/cpupool.h"
#include "dom/sched.h"
#include "dom/sched_private.h"
#include "dom/vcpu.h"
#include "hypercall/domctl.h"
#include "hw/trace.h"
#include "hypercall/sysctl.h"
#include "mm/audit.h"
#include "mm/heap.h"
#include "mm/internal.h"
#include "fake/machine.h"
#include "../../lib/random.h"
#include "mm/ptype.h"
#include <sys/wait.h>
#include <unistd.h>

#define CPUS  2
#define PAGES 120
#define MANY  1100 /* struct t_info has three frames then, of four */

/* hypercall/domctl.c's */
spinlock_t domctl_lock = SPINLOCK(RANK_DOMCTL);
static cpumask_t given_mask;
static int mask_result;

int bitmap_in(cpumask_t *mask, const struct xenctl_bitmap *map)
{
	(void)map;
	*mask = given_mask;
	return mask_result;
}

static struct domain *guest;
static const struct t_info *info;
static uint64_t info_mfn;
static uint32_t info_bytes;

static int op(uint32_t cmd, uint32_t size, uint32_t events, struct xen_sysctl_tbuf_op *q)
{
	struct xen_sysctl_tbuf_op own = { 0 };

	q = q ? q : &own;
	*q = (struct xen_sysctl_tbuf_op){ .cmd = cmd, .size = size, .evt_mask = events };
	return tbuf_op(q);
}

static int set_size(uint32_t pages)
{
	return op(XEN_SYSCTL_TBUFOP_set_size, pages, 0, NULL);
}

/* ---- before there are buffers ---- */

static void without(void)
{
	struct xen_sysctl_tbuf_op q;
	uint64_t mfn = heap_free_pages();

	tap_ok(!op(XEN_SYSCTL_TBUFOP_get_info, 0, 0, &q) && !q.buffer_mfn && !q.size && q.evt_mask == TRC_ALL,
	       "no buffers: no frame, no bytes, and all events");
	tap_ok(op(XEN_SYSCTL_TBUFOP_enable, 0, 0, NULL) == -EINVAL && !trace_on(), "none to be enabled");
	tap_ok(!op(XEN_SYSCTL_TBUFOP_disable, 0, 0, NULL), "disabled is what they are");
	tap_ok(op(6, 0, 0, NULL) == -EINVAL && op(~0u, 0, 0, NULL) == -EINVAL, "no such operation");
	tap_ok(set_size(0) == -EINVAL, "a buffer has a page");
	tap_ok(!op(XEN_SYSCTL_TBUFOP_set_evt_mask, 0, TRC_SCHED, NULL) &&
	               !op(XEN_SYSCTL_TBUFOP_get_info, 0, 0, &q) && q.evt_mask == TRC_SCHED,
	       "a mask of events is kept");
	given_mask = (cpumask_t){ { 2, 1 } };
	tap_ok(!op(XEN_SYSCTL_TBUFOP_set_cpu_mask, 0, 0, NULL) && trace_control.cpus.bits[0] == 2 &&
	               trace_control.cpus.bits[1] == 1,
	       "so is one of CPUs");
	given_mask = cpumask_all();
	mask_result = -EFAULT;
	tap_ok(op(XEN_SYSCTL_TBUFOP_set_cpu_mask, 0, 0, NULL) == -EFAULT && trace_control.cpus.bits[0] == 2,
	       "one that cannot be read changes nothing");
	mask_result = 0;
	tap_ok(!op(XEN_SYSCTL_TBUFOP_set_cpu_mask, 0, 0, NULL) &&
	               !op(XEN_SYSCTL_TBUFOP_set_evt_mask, 0, TRC_ALL, NULL) &&
	               trace_control.cpus.bits[1] == ~0ull,
	       "both back");
	tbuf_start(0, TRC_SCHED);
	tap_ok(trace_control.events == TRC_SCHED && !trace_on(), "tevt_mask= alone records nothing");
	tbuf_start(60000, TRC_ALL);
	tap_ok(trace_control.events == TRC_ALL && !trace_on() && heap_free_pages() == mfn,
	       "a tbuf_size= of more than there is: the machine starts without");
	tap_ok(set_size(60000) == -ENOMEM && set_size(~0u) == -ENOMEM && heap_free_pages() == mfn,
	       "more than there is: refused, and nothing is taken");
}

static mfn_t eaten[8192];
static unsigned eaten_count;

static void eat(uint64_t leave)
{
	while (heap_free_pages() > leave)
		eaten[eaten_count++] = heap_alloc(0, 0);
}

static void out_of_memory(void)
{
	uint64_t free_frames = heap_free_pages();
	struct xen_sysctl_tbuf_op q;
	unsigned restarts = 0;
	int rc;

	guest->mm.max_pages = free_frames;
	if (heap_claim(&guest->mm, heap_spare_pages() - 200 + guest->mm.tot_pages))
		abort();
	tap_ok(set_size(150) == -ENOMEM && heap_free_pages() == free_frames,
	       "what is set aside for a domain is not theirs");
	if (heap_claim(&guest->mm, 0))
		abort();
	fake_preempt = 1;
	while ((rc = set_size(150)) == -ERESTART_HV)
		if (++restarts == 3)
			eat(0);
	fake_preempt = 0;
	while (eaten_count)
		heap_free(eaten[--eaten_count], 0);
	tap_ok(rc == -ENOMEM && restarts >= 5 && heap_free_pages() == free_frames && !trace_on(),
	       "memory that ends on the way: all of it is given back, in %u slices", restarts + 1);
	tap_ok(!op(XEN_SYSCTL_TBUFOP_get_info, 0, 0, &q) && !q.buffer_mfn &&
	               op(XEN_SYSCTL_TBUFOP_enable, 0, 0, NULL) == -EINVAL,
	       "there is still no buffer");
}

/* ---- making them ---- */

static void make(void)
{
	uint64_t before = heap_free_pages();
	struct xen_sysctl_tbuf_op q;
	unsigned other = 0, restarts = 0;
	int rc;

	fake_preempt = 1;
	spin_lock(&domctl_lock);
	tap_ok(set_size(PAGES) == -ERESTART_HV, "another operation of the toolstack: again later");
	spin_unlock(&domctl_lock);
	while ((rc = set_size(PAGES)) == -ERESTART_HV) {
		restarts++;
		other += set_size(PAGES - 1) == -EINVAL;
	}
	fake_preempt = 0;
	tap_ok(!rc && restarts >= 6 && other == restarts, "made in %u slices; no other size goes in between",
	       restarts + 1);
	rc = op(XEN_SYSCTL_TBUFOP_get_info, 0, 0, &q);
	info_mfn = q.buffer_mfn;
	info_bytes = q.size;
	info = mfn_map_own(MFN(info_mfn));
	tap_ok(!rc && info_mfn && info_bytes == PAGE_SIZE && info->tbuf_size == PAGES &&
	               before - heap_free_pages() == PAGES * CPUS + 1,
	       "they take their frames, and one of struct t_info");
	tap_ok(trace_on(), "and record from now on");
	tap_ok(set_size(PAGES) == -EBUSY && set_size(PAGES - 1) == -EINVAL && set_size(0) == -EINVAL &&
	               set_size(~0u) == -EINVAL,
	       "made once");
}

static uint32_t buffer_mfn(unsigned cpu, unsigned i)
{
	return ((const uint32_t *)info)[info->mfn_offset[cpu] + i];
}

static void frames(void)
{
	static uint8_t seen[1 << 16];
	bool good = true, listed = true;
	unsigned n = info->tbuf_size;

	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		listed &= info->mfn_offset[cpu] * 4u >= offsetof(struct t_info, mfn_offset[NR_CPUS]) &&
		          (info->mfn_offset[cpu] + n) * 4 <= info_bytes;
		for (unsigned i = 0; i < n; i++) {
			uint32_t mfn = buffer_mfn(cpu, i);

			listed &= mfn_is_ram(MFN(mfn)) && mfn != info_mfn && !seen[mfn]++;
			good &= frame_owner(MFN(mfn)) == &xen_mm && m2p_get(MFN(mfn)) == M2P_INVALID;
			good &= !frame_get_type(MFN(mfn), &xen_mm, PTYPE_WRITABLE);
			frame_put_type(MFN(mfn));
			good &= frame_get_type(MFN(mfn), &xen_mm, PTYPE_SEGDESC) == -EINVAL;
			good &= !frame_get(MFN(mfn), &guest->mm) && !frame_get(MFN(mfn), &dom0->mm);
			good &= frame_at(mfn)->count == 1;
		}
	}
	tap_ok(listed && !info->mfn_offset[CPUS], "struct t_info names the frames of each CPU, each once");
	tap_ok(good, "the frames are DOMID_XEN's and may be mapped writable, and never be a table");
	tap_ok(frame_owner(MFN(info_mfn)) == &xen_mm && frame_get(MFN(info_mfn), &xen_mm),
	       "struct t_info is its as well");
	frame_put(MFN(info_mfn));
	tap_ok(frame_get_type(MFN(info_mfn), &xen_mm, PTYPE_WRITABLE) == -EINVAL &&
	               frame_at(info_mfn)->count == 1,
	       "and may be mapped for reading alone");
}

/* In a process of its own: buffers are made once. Its exit status. */
static int many(void)
{
	uint64_t before = heap_free_pages();
	int status = 1;
	pid_t child = fork();

	if (child) {
		(void)waitpid(child, &status, 0);
		return status;
	}
	if (set_size(MANY) || before - heap_free_pages() != MANY * CPUS + 3)
		_exit(1);
	_exit(trace_control.info->mfn_offset[CPUS - 1] + MANY > 3 * (int)PAGE_SIZE / 4);
}

/* ---- records ---- */

struct record {
	uint32_t event, n, words[TRACE_EXTRA_MAX];
	uint64_t tsc;
};

static struct t_buf *buffer(unsigned cpu)
{
	return mfn_map_own(MFN(buffer_mfn(cpu, 0)));
}

static uint32_t word(unsigned cpu, uint32_t at)
{
	uint32_t x = at % trace_control.data_bytes + (uint32_t)sizeof(struct t_buf);

	return ((uint32_t *)mfn_map_own(MFN(buffer_mfn(cpu, x / PAGE_SIZE))))[x % PAGE_SIZE / 4];
}

/* The record at *at, which moves on behind it; false at prod. Fillers are passed over. */
static bool record_at(unsigned cpu, uint32_t *at, struct record *r)
{
	do {
		uint32_t head, timed;

		if (*at == buffer(cpu)->prod)
			return false;
		head = word(cpu, *at);
		timed = TRC_HD_INCLUDES_CYCLE_COUNT(head);
		*r = (struct record){ .event = TRC_HD_TO_EVENT(head), .n = TRC_HD_EXTRA(head) };
		if (timed)
			r->tsc = word(cpu, *at + 4) | (uint64_t)word(cpu, *at + 8) << 32;
		for (unsigned i = 0; i < r->n; i++)
			r->words[i] = word(cpu, *at + 4 * (1 + 2 * timed + i));
		*at = (*at + 4 * (1 + 2 * timed + r->n)) % (2 * trace_control.data_bytes);
	} while (r->event == TRC_TRACE_WRAP_BUFFER);
	return true;
}

/* How many records of the event with that first word are there to be read. */
static unsigned count(uint32_t event, uint32_t first)
{
	unsigned n = 0;

	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		uint32_t at = buffer(cpu)->cons;
		struct record r;

		while (record_at(cpu, &at, &r))
			n += r.event == event && r.words[0] == first;
	}
	return n;
}

static void forget(void)
{
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		buffer(cpu)->cons = buffer(cpu)->prod;
}

static void lives(void)
{
	struct xen_domctl_scheduler_op set = { .sched_id = cpupool0.sched_id,
		                               .cmd = XEN_DOMCTL_SCHEDOP_putinfo };
	const struct domain_config taken = { .kind = &pv_guest,
		                             .domid = 9,
		                             .max_vcpus = 1,
		                             .max_evtchn_port = 100,
		                             .max_grant_frames = 4,
		                             .max_maptrack_frames = 2 };
	struct domain *d, *other;

	forget();
	d = machine_domain(9, 1);
	tap_ok(count(TRC_DOM0_DOM_ADD, 9) == 1 && count(TRC_SCHED_DOM_ADD, 9) == 1, "a domain comes");
	set.u.credit.weight = 100;
	tap_ok(!sched_adjust(d, &set) && count(TRC_SCHED_ADJDOM, 9) == 1, "gets another weight");
	forget();
	tap_ok(domain_create(&taken, &other) == -EEXIST && !count(TRC_DOM0_DOM_ADD, 9) &&
	               !count(TRC_SCHED_DOM_ADD, 9) && !count(TRC_SCHED_DOM_REM, 9),
	       "one that is refused has not come, nor gone");
	machine_destroy(d);
	machine_run(0);
	tap_ok(count(TRC_DOM0_DOM_REM, 9) == 1 && count(TRC_SCHED_DOM_REM, 9) == 1, "and goes");
	machine_become(0, dom0->vcpus[0]);
	forget();
	guest->vcpus[1]->pause_flags |= 1ull << PAUSE_BLOCKED;
	vcpu_sleep(guest->vcpus[1]);
	vcpu_kick(guest->vcpus[1]);
	tap_ok(count(TRC_SCHED_SLEEP, 1) == 1 && count(TRC_SCHED_WAKE, 1) == 1, "a vcpu sleeps and wakes");
	machine_run(0);
}

/* The reader's view of each CPU and of each vcpu. */
static struct {
	bool known;
	uint32_t who; /* domain, vcpu above */
} runs[CPUS];
static struct {
	bool known;
	unsigned state;
} states[3][4]; /* dom0, the guest, idle */
static unsigned checked, wrong, lost;
static bool losing;

static unsigned slot_of(uint32_t domid)
{
	return domid == DOMID_IDLE ? 2 : domid;
}

static void complain(unsigned cpu, const struct record *r, const char *what)
{
	if (wrong++ < 10)
		printf("# CPU %u, event %#x (%#x %#x %#x %#x): %s\n", cpu, r->event, r->words[0], r->words[1],
		       r->words[2], r->words[3], what);
}

static void check_runstate(unsigned cpu, const struct record *r)
{
	unsigned old = r->event >> 8 & 3, new = r->event >> 4 & 3, vcpu = r->words[0] & 0xffff,
	         slot = slot_of(r->words[0] >> 16);
	uint32_t who = r->words[0] >> 16 | r->words[0] << 16;

	/* Where records are lost, what other CPUs did to it is not known. */
	if (!losing && states[slot][vcpu].known && states[slot][vcpu].state != old)
		complain(cpu, r, "the vcpu was in another state");
	states[slot][vcpu].known = true;
	states[slot][vcpu].state = new;
	if (old == RUNSTATE_running && runs[cpu].known && runs[cpu].who != who)
		complain(cpu, r, "another vcpu ran");
	if (new == RUNSTATE_running) {
		runs[cpu].known = true;
		runs[cpu].who = who;
	}
}

static void check(unsigned cpu, const struct record *r)
{
	checked++;
	switch (r->event & ~0x330u) {
	case TRC_SCHED_RUNSTATE_CHANGE:
		check_runstate(cpu, r);
		return;
	}
	switch (r->event) {
	case TRC_SCHED_SWITCH_INFPREV:
	case TRC_SCHED_SWITCH:
		if (runs[cpu].known && runs[cpu].who != (r->words[0] | r->words[1] << 16))
			complain(cpu, r, "who gives up the CPU did not have it");
		break;
	case TRC_SCHED_CONTINUE_RUNNING:
		if (runs[cpu].known && runs[cpu].who != (r->words[0] >> 16 | r->words[0] << 16))
			complain(cpu, r, "who goes on did not run");
		break;
	case TRC_LOST_RECORDS:
		lost += r->words[0];
		/* What the reader takes for certain from here on. */
		runs[cpu].known = true;
		runs[cpu].who = r->words[1];
		break;
	}
}

/* All that is there, in the order of their times: what one CPU does to a vcpu that another one ran. */
static void read_all(void)
{
	for (;;) {
		unsigned first = CPUS;
		struct record r, best = { 0 };
		uint32_t next = 0;

		for (unsigned cpu = 0; cpu < CPUS; cpu++) {
			uint32_t at = buffer(cpu)->cons;

			if (record_at(cpu, &at, &r) && (first == CPUS || r.tsc < best.tsc)) {
				first = cpu;
				best = r;
				next = at;
			}
		}
		if (first == CPUS)
			return;
		check(first, &best);
		buffer(first)->cons = next;
	}
}

/* Some records of the CPU that is writing one now: that makes room between any two of them. */
static void read_in_between(mfn_t mfn)
{
	unsigned cpu = this_cpu(), n = 1 + random_below(20);
	uint32_t at;
	struct record r;

	(void)mfn;
	if (random_below(1000))
		return;
	fake_map_hook = NULL;
	at = buffer(cpu)->cons;
	while (n-- && record_at(cpu, &at, &r)) {
		check(cpu, &r);
		buffer(cpu)->cons = at;
	}
	fake_map_hook = read_in_between;
}

static void act(unsigned cpu)
{
	struct vcpu *v;

	fake_set_cpu(cpu);
	v = current_vcpu();
	switch (random_below(v->is_idle ? 3 : 6)) {
	case 0: /* somebody gets an event */
		v = random_below(3) ? guest->vcpus[random_below(3)] : dom0->vcpus[0];
		vcpu_mark_events_pending(v);
		break;
	case 1:
		fake_time_ns += random_below(20) * MS;
		work_raise(cpu, WORK_TIMER);
		break;
	case 2:
		break;
	case 3:
		vcpu_yield();
		break;
	case 4:
		v->info->evtchn_upcall_pending = 0;
		vcpu_block();
		break;
	case 5:
		v->info->evtchn_upcall_pending = 0;
		break;
	}
	machine_run(cpu);
}

/* Small pieces of time, all CPUs in turn; the buffers are read once in so many of them. */
static void live(unsigned rounds, unsigned reads)
{
	losing = reads > 5;
	memset(runs, 0, sizeof(runs));
	memset(states, 0, sizeof(states));
	checked = wrong = lost = 0;
	for (unsigned i = 0; i < rounds; i++) {
		fake_time_ns += MS / 4;
		fake_map_hook = losing ? read_in_between : NULL;
		act(random_below(CPUS));
		fake_map_hook = NULL;
		if (!random_below(reads))
			read_all();
	}
	read_all();
}

static void schedules(void)
{
	forget();
	live(20000, 5);
	tap_ok(!wrong && !lost && checked > 20000, "%u records tell a story without contradiction", checked);
	forget();
	live(300000, 30000);
	tap_ok(!wrong && lost > 10000 && checked > 10000, "so do %u with %u lost between them", checked,
	       lost);
}

/* ---- the reader is told ---- */

static void told(void)
{
	evtchn_port_t port;
	unsigned n = 0;

	machine_run(0);
	machine_become(0, dom0->vcpus[0]);
	if (evtchn_bind_virq(VIRQ_TBUF, 0, &port))
		abort();
	forget();
	while (!bit_test((uint64_t *)dom0->shared_info->evtchn_pending, port) && n < 100000) {
		machine_become(0, dom0->vcpus[0]);
		TRACE(TRC_SCHED_WAKE, 1, 2);
		machine_run(0);
		n++;
	}
	tap_ok(buffer(0)->prod != buffer(0)->cons && n >= trace_control.data_bytes / 2 / 24 &&
	               n < trace_control.data_bytes / 20,
	       "dom0 is sent VIRQ_TBUF when a buffer is half full, after %u records", n);
}

static void disabled(void)
{
	uint64_t before = heap_free_pages();
	struct domain_mm *all[] = { &dom0->mm, &guest->mm };
	uint32_t prod;
	bool good = true;

	tap_ok(!op(XEN_SYSCTL_TBUFOP_disable, 0, 0, NULL) && !trace_on(), "disabled");
	prod = buffer(0)->prod;
	for (unsigned i = 0; i < 1000; i++)
		act(i % CPUS);
	tap_ok(buffer(0)->prod == prod, "nothing is recorded");
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		for (unsigned i = 0; i < info->tbuf_size; i++)
			good &= frame_at(buffer_mfn(cpu, i))->count == 1 &&
			        (frame_at(buffer_mfn(cpu, i))->type & TYPE_COUNT) == 1;
	tap_ok(good && frame_at(info_mfn)->count == 1 && heap_free_pages() == before &&
	               !mm_audit(all, 2, NULL, 0, true),
	       "the frames stay, with the hypervisor's own references");
	tap_ok(!op(XEN_SYSCTL_TBUFOP_enable, 0, 0, NULL) && trace_on(), "and enabled again");
}

int main(void)
{
	fake_quiet = true;
	machine_init(8192, CPUS);
	machine_domain(0, 1);
	guest = machine_domain(1, 3);
	machine_start(dom0);
	machine_start(guest);
	machine_become(0, dom0->vcpus[0]);
	without();
	out_of_memory();
	tap_ok(!many(), "where struct t_info has several frames, those it does not need are given back");
	make();
	frames();
	lives();
	schedules();
	told();
	disabled();
	return tap_end();
}
