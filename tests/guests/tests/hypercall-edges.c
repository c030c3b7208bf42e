/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every hypercall with arguments and fields of structures at the edges of their ranges (tests/edges/), by one vcpu, or by
 * two that race where there are two; all references are recounted after each batch (debug key m). It lasts 5 s, or as long
 * as seconds=N on the command line says; seed=N makes other calls.
 *
 * What would end the guest or the machine when it is done as asked is left to the host test, which can replace what died:
 * shutdowns, watchdogs, the last vcpu that goes down, power off, debug key R, and iret, also at the end of a multicall; and
 * what would last for hours: writing gigabytes to the serial line, since there is memory at all addresses here. So is a list
 * that takes the trap handlers away and then waits: the event that ends the wait would find data as its handler, and what
 * happens there nobody to turn to. No value is left out. The guest survives what it asks for itself, as follows:
 * 1. No frame that it lives on has a number that is an edge: those that have one are replaced at the start (settle()). All
 *    frames with such numbers that can be had are its own, and mapped writable permanently (hold_edges()): or one of them,
 *    which is empty, would be a table to live on that has the guest nowhere.
 * 2. A call may register an entry point that leads nowhere, and at once have something delivered there: an event or an
 *    NMI, also by the other vcpu; and another entry of the list may have taken the handler of page faults away. So one page
 *    of code is mapped wherever the guest maps nothing else (land_everywhere()), and whoever gets there goes on behind the
 *    call (go_on()). Entry points and the like are set anew after each call (restore()).
 * 3. What bounds the domain, such as its memory and its share of the processors, is set anew after each batch.
 * 4. What calls answer is not what later calls ask with: the context of the other vcpu names its stack, and a grant mapped
 *    there is what was asked for. The arguments' memory is put back after each call,
 *    and mapped again where it is not any more.
 */
#include "guest.h"
#include "edges_guest.h"
#include <xen/domctl.h>
#include <xen/sysctl.h>

const char test_name[] = "hypercall-edges";

#define BATCH       512
#define MEM_PAGES   8
#define VCPUS       2
#define MAX_MEM_KIB 0x1000000
#define HELD_MAX    160
#define FRAMES_MAX  0x10002

struct fuzzer {
	struct edges_env env;
	struct vcpu_info *info;
	grant_entry_v1_t *grants;
	void *va[EDGES_FRAMES];
	uint8_t asked[MEM_PAGES * PAGE]; /* the arguments' memory before the call */
	uint64_t mem_mfn[MEM_PAGES];     /* and its frames */
	const struct edges_call *call;
	bool masked; /* events, while it is made */
	void *keep;  /* of guard_call(): behind the call that is made */
	unsigned long calls, skipped, strayed, early, replaced;
};

/* Places that are named as code: whoever comes here has strayed. */
__asm__(".text\n"
        "landings:\n"
        ".rept 8\n"
        "call landed\n"
        ".balign 16\n"
        ".endr");
extern char landings[], _start[], text_end[], hypercall_end[];
int guard_call(void (*fn)(void *), void *arg, void **keep);
void guard_return(void *keep) __attribute__((noreturn));
void landed(void) __attribute__((noreturn));

static struct fuzzer fuzzers[VCPUS];
static char stack1[16384] __attribute__((aligned(4096)));
static volatile bool second_runs, stop, stopped;
static unsigned long last_op[VCPUS];

/* ---- frames with an edge's number ---- */

/* The hypervisor's on one machine, the guest's on another; devices. */
static const uint64_t named_frames[] = { 0x200, 0x210, 0x280, 0xa0, 0xfee00, 0x9f };

/* Whether a call may name the frame by itself, and not as one of the spare ones. */
static bool is_named(uint64_t mfn)
{
	for (unsigned i = 0; i < sizeof(named_frames) / sizeof(named_frames[0]); i++)
		if (named_frames[i] == mfn)
			return true;
	return edges_name_frame(mfn);
}

/* ---- the guest between calls ---- */

static unsigned long pfn_of(const void *va)
{
	return ((unsigned long)va - VIRT_BASE) / PAGE;
}

static unsigned self(const void *stack)
{
	return (const char *)stack >= stack1 && (const char *)stack < stack1 + sizeof(stack1);
}

/* An iret that changes nothing but that NMIs are let in again, and events are masked. */
static void leave_handler(void)
{
	__asm__ volatile("mov %%rsp, %%rcx\n"
	                 "pushq $0xe02b\n"
	                 "pushq %%rcx\n"
	                 "pushq $2\n"
	                 "pushq $0xe030\n"
	                 "pushq $1f\n"
	                 "pushq $0\n"
	                 "pushq $0\n"
	                 "pushq $0\n"
	                 "pushq $0\n"
	                 "mov $23, %%eax\n"
	                 "syscall\n"
	                 "1:"
	                 :
	                 :
	                 : "rax", "rcx", "r11", "memory", "cc");
}

/* Behind the call that was made, whatever lies on the stack. */
static void __attribute__((noreturn)) go_on(struct fuzzer *f)
{
	f->strayed++;
	leave_handler();
	guard_return(f->keep);
}

void landed(void)
{
	char here;

	go_on(&fuzzers[self(&here)]);
}

/* A call that waits for this event would wait forever if it were made, or went on, without: it is left out. */
static void on_event(struct regs *r)
{
	struct fuzzer *f = &fuzzers[self(r)];

	f->info->evtchn_upcall_pending = 0;
	if (!f->keep || r->rip == (uint64_t)hypercall_end)
		return;
	f->early++;
	leave_handler();
	guard_return(f->keep);
}

/*
 * NMIs and breakpoints that were asked for. Outside of the text the vcpu has strayed; the failsafe callback, of whose
 * frame only the stack matters here, is registered at the stub of trap 0.
 */
static bool on_trap(struct regs *r)
{
	struct fuzzer *f = &fuzzers[self(r)];

	if (r->vector == 2 || r->vector == 1)
		return true;
	if (f->keep && (!r->vector || r->rip < (uint64_t)_start || r->rip >= (uint64_t)text_end))
		go_on(f);
	print("vcpu %u: trap %lu after %s, call %lu", self(r), r->vector,
	      edges_op_name((unsigned)last_op[self(r)]), f->calls);
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

/* What the calls of a batch may have taken from the domain. */
static void restore_limits(void)
{
	struct xen_domctl d = { .cmd = XEN_DOMCTL_max_mem,
		                .interface_version = XEN_DOMCTL_INTERFACE_VERSION,
		                .domain = 0 };

	d.u.max_mem.max_memkb = MAX_MEM_KIB;
	(void)HC(domctl, &d);
	d.cmd = XEN_DOMCTL_scheduler_op;
	d.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
	d.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_putinfo;
	d.u.scheduler_op.u.credit2.weight = 256;
	d.u.scheduler_op.u.credit2.cap = 0;
	(void)HC(domctl, &d);
}

/* One of the domain's, with no edge's number; those that have one are the price, and stay the guest's. */
static unsigned long new_frame(unsigned long pfn)
{
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };
	xen_pfn_t frame;

	set_xen_guest_handle(r.extent_start, &frame);
	do {
		frame = pfn;
		EXPECT_EQ(HC(memory_op, XENMEM_populate_physmap, &r), 1);
	} while (is_named(frame));
	return frame;
}

/*
 * A call may take the mapping of its own arguments away, by unmap_and_replace for one, or put a grant there. Then the other
 * vcpu may take the frame.
 */
static void remap_arguments(struct fuzzer *f)
{
	for (unsigned i = 0; i < MEM_PAGES; i++) {
		const char *va = (const char *)f->env.mem + i * PAGE;
		uint64_t pte = PTE(f->mem_mfn[i]);

		if (!((*entry_of(va, 1) ^ pte) & (ADDR | P | RW)) || !map((void *)va, pte))
			continue;
		restore_limits();
		f->mem_mfn[i] = new_frame(pfn_of(va));
		f->replaced++;
		EXPECT_EQ(map((void *)va, PTE(f->mem_mfn[i])), 0);
	}
}

static void restore(void *arg)
{
	struct fuzzer *f = arg;

	f->info->evtchn_upcall_mask = 1;
	entry_points();
	HC(set_debugreg, 7, 0);
	HC(fpu_taskswitch, 0);
	HC(set_segment_base, SEGBASE_GS_KERNEL, 0);
	HC(set_segment_base, SEGBASE_FS, 0);
	remap_arguments(f);
	memcpy(f->env.mem, f->asked, sizeof(f->asked));
}

static void write_grant(struct fuzzer *f)
{
	grant_entry_v1_t *e = &f->grants[edges_random(&f->env, 12)];

	e->domid = edges_random(&f->env, 3) ? 0 : (uint16_t)edges_value(&f->env);
	e->frame = (uint32_t)(edges_random(&f->env, 4) ? f->env.pages[edges_random(&f->env, EDGES_FRAMES)]
	                                               : edges_value(&f->env));
	e->flags = (uint16_t)(edges_random(&f->env, 5) ? GTF_permit_access : edges_value(&f->env));
}

static void make_call(void *arg)
{
	struct fuzzer *f = arg;
	const struct edges_call *c = f->call;

	f->info->evtchn_upcall_pending = 1;
	f->info->evtchn_upcall_mask = f->masked;
	hypercall(c->number, c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4]);
}

static bool calling[VCPUS], alone;

/* The other vcpu's call ends first, and it makes none until end_call(). */
static void begin_alone(unsigned vcpu)
{
	while (__atomic_exchange_n(&alone, true, __ATOMIC_SEQ_CST))
		;
	while (__atomic_load_n(&calling[!vcpu], __ATOMIC_SEQ_CST))
		;
}

static void begin_call(unsigned vcpu)
{
	for (;;) {
		__atomic_store_n(&calling[vcpu], true, __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&alone, __ATOMIC_SEQ_CST))
			return;
		__atomic_store_n(&calling[vcpu], false, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&alone, __ATOMIC_SEQ_CST))
			;
	}
}

static void end_call(unsigned vcpu, bool was_alone)
{
	__atomic_store_n(was_alone ? &alone : &calling[vcpu], false, __ATOMIC_SEQ_CST);
}

static void one_call(struct fuzzer *f, unsigned vcpu)
{
	bool keys;
	struct edges_call c;

	write_grant(f);
	f->env.now_ns = now_ns(vcpu);
	edges_make(&f->env, ~0u, &c);
	last_op[vcpu] = c.op;
	f->calls++;
	keys = edges_sends_keys(&f->env, c.number, c.arg);
	if (keys)
		begin_alone(vcpu);
	else
		begin_call(vcpu);
	if (edges_lethal(&f->env, c.number, c.arg)) {
		end_call(vcpu, keys);
		f->skipped++;
		return;
	}
	memcpy(f->asked, f->env.mem, sizeof(f->asked));
	f->masked = !edges_with_events(&f->env, &c);
	f->call = &c;
	guard_call(make_call, f, &f->keep);
	end_call(vcpu, keys);
	while (guard_call(restore, f, &f->keep))
		;
	f->keep = NULL;
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

/* ---- frames to live on ---- */

static char spare_page[PAGE] __attribute__((aligned(4096)));

/* For the page at va. */
static unsigned long other_frame(const void *va)
{
	unsigned long *list = (unsigned long *)start_info->mfn_list;

	return list[pfn_of(va)] = new_frame(pfn_of(va));
}

/* update_va_mapping of a page that was copied just before: with no use of the stack in between, which may lie there. */
static long copy_and_map(void *to, const void *va, uint64_t pte)
{
	register uint64_t where __asm__("r8") = (uint64_t)va, entry __asm__("r9") = pte;
	uint64_t count = PAGE / 8;
	const void *from = va;
	long rc;

	__asm__ volatile("rep movsq\n"
	                 "movq %%r8, %%rdi\n"
	                 "movq %%r9, %%rsi\n"
	                 "movl %[flush], %%edx\n"
	                 "movl %[number], %%eax\n"
	                 "syscall"
	                 : "=a"(rc), "+D"(to), "+S"(from), "+c"(count)
	                 : "r"(where), "r"(entry), [flush] "i"((int)(UVMF_INVLPG | UVMF_ALL)),
	                   [number] "i"(__HYPERVISOR_update_va_mapping)
	                 : "rdx", "r10", "r11", "memory", "cc");
	return rc;
}

static void move_page(void *va)
{
	unsigned long mfn = other_frame(va);

	EXPECT_EQ(map(spare_page, PTE(mfn)), 0);
	EXPECT_EQ(copy_and_map(spare_page, va, PTE(mfn)), 0);
}

/* The table of this level on the way to va. */
static void move_table(const void *va, int level)
{
	unsigned long own = mfn_of(spare_page), old, mfn;
	uint64_t *copy = (uint64_t *)spare_page, entry;
	uint64_t *table = (uint64_t *)((uint64_t)entry_of(va, level) & ~(PAGE - 1));

	old = mfn_of(table);
	mfn = other_frame(table);
	EXPECT_EQ(map(spare_page, PTE(mfn)), 0);
	memcpy(copy, table, PAGE);
	if (level == 1 && (uint64_t)va >> 21 == (uint64_t)spare_page >> 21)
		copy[(uint64_t)spare_page >> 12 & 511] = PTE(own);
	EXPECT_EQ(map(spare_page, PTE(own)), 0);
	if (level == 4) {
		EXPECT_EQ(mmuext(MMUEXT_PIN_L4_TABLE, mfn, 0), 0);
		EXPECT_EQ(mmuext(MMUEXT_NEW_BASEPTR, mfn, 0), 0);
		EXPECT_EQ(mmuext(MMUEXT_UNPIN_TABLE, old, 0), 0);
	} else {
		entry = *entry_of(va, level + 1);
		EXPECT_EQ(mmu_update(entry_maddr(va, level + 1), (entry & ~ADDR) | mfn * PAGE), 0);
	}
	EXPECT_EQ(mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0), 0);
	EXPECT_EQ(map(table, PTE_RO(mfn)), 0);
}

static void settle(void)
{
	char *end = (char *)start_info->pt_base + start_info->nr_pt_frames * PAGE;
	unsigned pages = 0, moved = 0;

	for (int level = 4; level; level--)
		for (char *va = (char *)VIRT_BASE; va < end; va += 512 * PAGE)
			if (is_named(mfn_of(entry_of(va, level)))) {
				move_table(va, level);
				moved++;
			}
	for (char *va = (char *)VIRT_BASE; va < end; va += PAGE, pages++)
		if ((*entry_of(va, 1) & RW) && is_named(mfn_of(va))) {
			move_page(va);
			moved++;
		}
	EXPECT_EQ(map(spare_page, PTE(mfn_of(spare_page))), 0);
	print("%u pages, %u of them moved", pages, moved);
}

static uint64_t *landing_l1;
static void *landing_page;

static void fill_table(uint64_t *table, const void *with, uint64_t flags)
{
	for (unsigned i = 0; i < 512; i++)
		table[i] = mfn_of(with) * PAGE | flags;
	EXPECT_EQ(map_read_only(table), 0);
}

/* Code that goes to landed() from wherever it is entered, at all addresses that are left: one table of each level. */
static void land_everywhere(void)
{
	static const uint8_t jump[] = {
		0x48, 0xc7, 0xc0, 0, 0, 0, 0, 0xff, 0xe0
	}; /* mov $landed, %rax; jmp *%rax */
	const uint64_t flags = P | RW | US | A;
	uint64_t *l2 = page_alloc(), *l3 = page_alloc();
	uint64_t own_l3 = entry_maddr((void *)VIRT_BASE, 3) & ~(PAGE - 1);
	uint64_t own_l4 = entry_maddr((void *)VIRT_BASE, 4) & ~(PAGE - 1);
	uint32_t to = (uint32_t)(uint64_t)landed;

	landing_page = page_alloc();
	landing_l1 = page_alloc();
	memset(landing_page, 0x90, PAGE);
	memcpy((char *)landing_page + 0xe00, jump, sizeof(jump));
	memcpy((char *)landing_page + 0xe03, &to, sizeof(to));
	EXPECT_EQ(map((void *)VIRT_BASE, PTE_RO(mfn_of(landing_page))), 0); /* its address is an edge */
	fill_table(landing_l1, landing_page, P | US | A);
	fill_table(l2, landing_l1, flags);
	fill_table(l3, l2, flags);
	for (unsigned i = 0; i < 512; i++)
		if (!(((const uint64_t *)start_info->pt_base)[i] & P) && (i < 256 || i > 271))
			EXPECT_EQ(mmu_update(own_l4 + 8 * i, mfn_of(l3) * PAGE | flags), 0);
	for (unsigned i = 0; i < 512; i++)
		if (i != (VIRT_BASE >> 30 & 511))
			EXPECT_EQ(mmu_update(own_l3 + 8 * i, mfn_of(l2) * PAGE | flags), 0);
}

static void restore_landings(void)
{
	(void)map((void *)VIRT_BASE, PTE_RO(mfn_of(landing_page)));
	for (unsigned i = 0; i < 512; i++)
		if ((landing_l1[i] & ~(A | D)) != (mfn_of(landing_page) * PAGE | P | US))
			(void)mmu_update(mfn_of(landing_l1) * PAGE + 8 * i,
			                 mfn_of(landing_page) * PAGE | P | US | A);
}

/* Frames with an edge's number: where each is mapped as soon as the guest owns it. */
static struct {
	unsigned long mfn;
	void *va; /* NULL: not yet */
} held[HELD_MAX];
static unsigned held_count;
static xen_pfn_t frames[FRAMES_MAX];

static void hold_edges(void)
{
	static void *va; /* of the next one */

	for (unsigned i = 0; i < held_count; i++) {
		if (!va)
			va = page_alloc();
		if (!held[i].va && !map(va, PTE(held[i].mfn))) {
			held[i].va = va;
			va = NULL;
		}
	}
}

static unsigned long memory_call(unsigned cmd, xen_pfn_t *list, unsigned long n)
{
	struct xen_memory_reservation r = { .domid = DOMID_SELF };
	unsigned long done = 0;

	while (done < n) {
		r.nr_extents = n - done < 1024 ? n - done : 1024;
		set_xen_guest_handle(r.extent_start, list + done);
		unsigned long now = (unsigned long)HC(memory_op, cmd, &r);

		done += now;
		if (now != r.nr_extents)
			break;
	}
	return done;
}

/* Takes all memory that there is, holds the frames with an edge's number, and gives the others back. */
static void find_edges(void)
{
	unsigned long last = (unsigned long)HC(memory_op, XENMEM_maximum_ram_page, NULL), n, back = 0;

	for (unsigned long mfn = 0; mfn <= last && mfn < FRAMES_MAX; mfn++)
		if (is_named(mfn)) {
			EXPECT(held_count < HELD_MAX);
			held[held_count++].mfn = mfn;
		}
	n = memory_call(XENMEM_populate_physmap, frames, FRAMES_MAX);
	hold_edges();
	for (unsigned long i = 0; i < n; i++)
		if (!is_named(frames[i]))
			frames[back++] = frames[i];
	EXPECT_EQ(memory_call(XENMEM_decrease_reservation, frames, back), back);
	for (unsigned i = n = 0; i < held_count; i++)
		n += held[i].va != NULL;
	print("%lu of %u frames with an edge's number held", n, held_count);
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

	for (unsigned i = 0; i < 512; i++)
		if (i < 256 || i > 271)
			l4[i] = ((const uint64_t *)start_info->pt_base)[i];
	EXPECT_EQ(map_read_only(l4), 0);
	EXPECT_EQ(mmuext(MMUEXT_PIN_L4_TABLE, mfn_of(l4), 0), 0);
	f->env.root = mfn_of(l4);
}

static void prepare(unsigned vcpu, grant_entry_v1_t *grants)
{
	struct fuzzer *f = &fuzzers[vcpu];
	char *page = page_alloc();
	struct vcpu_register_vcpu_info info = { .mfn = mfn_of(page) };

	f->env.seed = command_line_number("seed=", 20261127) + 0x9e3779b97f4a7c15 * vcpu;
	f->env.privileged = true;
	f->env.vcpus = VCPUS;
	f->grants = grants;
	for (unsigned i = 0; i < MEM_PAGES; i++) {
		void *mem = page_alloc();

		if (!i)
			f->env.mem = mem;
		f->mem_mfn[i] = mfn_of(mem);
	}
	EXPECT_EQ(map(page_alloc(), 0), 0); /* behind them */
	f->env.base = (uint64_t)f->env.mem;
	f->env.size = MEM_PAGES * PAGE;
	for (unsigned i = 0; i < EDGES_FRAMES; i++) {
		f->va[i] = page_alloc();
		f->env.va[i] = (uint64_t)f->va[i];
		f->env.pages[i] = mfn_of(f->va[i]);
		f->env.code[i] = (uint64_t)landings + 16 * i;
	}
	tables(f);
	root(f);
	/* The hypervisor's, nobody's, and shared ones. */
	f->env.foreign[0] = start_info->shared_info / PAGE;
	f->env.foreign[1] = (*entry_of(grants, 1) & ADDR) / PAGE;
	for (unsigned i = 2; i < EDGES_FRAMES; i++)
		f->env.foreign[i] = named_frames[i - 2];
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
	restore_limits();
	settle();
	find_edges();
	land_everywhere();
	trap_hook = on_trap;
	event_hook = on_event;
	prepare(0, (grant_entry_v1_t *)grants);
	if (two) {
		prepare(1, (grant_entry_v1_t *)grants);
		start_second();
	}
	for (end = now_ns(0) + command_line_number("seconds=", 5) * 1000000000ul; now_ns(0) < end;
	     batches++) {
		fuzz(0);
		recount();
		destroy_others();
		restore_limits();
		hold_edges();
		restore_landings();
		if (two)
			(void)HC(vcpu_op, VCPUOP_up, 1, NULL);
	}
	stop = true;
	while (two && !stopped)
		HC(sched_op, SCHEDOP_yield, NULL);
	recount();
	print("%lu batches, %lu calls of vcpu 0 and %lu of vcpu 1, %lu left out, strayed %lu times, "
	      "%lu events came early, %lu pages of arguments were lost",
	      batches, fuzzers[0].calls, fuzzers[1].calls, fuzzers[0].skipped + fuzzers[1].skipped,
	      fuzzers[0].strayed + fuzzers[1].strayed, fuzzers[0].early + fuzzers[1].early,
	      fuzzers[0].replaced + fuzzers[1].replaced);
	EXPECT(fuzzers[0].calls >= BATCH);
	EXPECT(!two || fuzzers[1].calls > 100);
}
