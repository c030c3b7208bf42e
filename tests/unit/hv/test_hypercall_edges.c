/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "hypercall edges" on the host: a privileged and three other guests make every hypercall with arguments and fields of structures at
 * the edges of their ranges (tests/edges/), on the real hypercall/, dom/, mm/ and most of pv/ over the fake hardware layer.
 *
 *  1. a batch of calls by one vcpu after another, then a recount of all references; guests that died are replaced;
 *  2. the same by two threads, which are two vcpus of one domain on two CPUs;
 *  3. everything is destroyed, dom0 too, which does nothing but what is done to it: every page must be back;
 *  4. every case label of every hypercall was reached: the compiler reports each switch with its labels, and the sources
 *     tell how many switches there are.
 *
 * usage: test_hypercall_edges [SECONDS [SEED]]
 */
#include "hw/console.h"
#include "dom/domtable.h"
#include "dom/sched.h"
#include "dom/vcpu.h"
#include "hw/desc.h"
#include "hw/fpu.h"
#include "hw/ioapic.h"
#include "hw/irq.h"
#include "hw/msi.h"
#include "hw/paging.h"
#include "hw/power.h"
#include "hw/segment.h"
#include "hw/smp.h"
#include "hw/spec.h"
#include "hw/symbols.h"
#include "hw/tlb.h"
#include "hw/trace.h"
#include "hw/uaccess.h"
#include "lib/log.h"
#include "lib/pvbuild.h"
#include "fake/machine.h"
#include "../../edges/edges.h"
#include "mm/audit.h"
#include "mm/heap.h"
#include "mm/pagetable.h"
#include "mm/ptype.h"
#include "pv/address.h"
#include "pv/bounce.h"
#include "pv/cpuid.h"
#include "pv/msr.h"
#include "pv/switch.h"
#include "pv/upward.h"
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define GUESTS    4 /* the first one is privileged */
#define BATCH     256
#define TURN      16 /* calls of one vcpu in a row */
#define CALLS_MIN 300000
#define RATE_MIN  2e6 /* in a minute: with fewer, what --full makes in ten minutes is not worth the name */
#define AGAIN     200000
#define DOMAINS   64

struct guest {
	struct domain *d;
	struct edges_env env;
	mfn_t root;
};

static struct guest guests[GUESTS];
#define PAGES_MAX \
	256 /* of each domain, behind a batch: a call of dom0's may have let it take all there are */

static struct domain *idle_dom0, *keeper; /* keeper becomes dom0 when that is destroyed */
static uint64_t seed = 20261127;
static unsigned long calls, good, restarts, powered, deaths, audits, reached[64];
static __thread const struct edges_call *now; /* for who looks at a crash */

/* ---- what other layers supply ---- */

struct cpu_policy policy_raw, policy_host, policy_pv_max, policy_pv_default;
uint64_t acpi_rsdp;
struct cpu_ids cpu_ids[NR_CPUS];
static struct cpu_info infos[FAKE_CPUS];

struct cpu_info *cpu_info(void)
{
	return &infos[this_cpu()];
}

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
		if (leaves[i].leaf > 0x80000000)
			return -EINVAL;
	for (unsigned i = 0; i < msr_count; i++)
		if (msrs[i].idx > 0xce)
			return -EINVAL;
	return 0;
}

uint64_t pv_cr4_allowed(const struct domain *d)
{
	(void)d;
	return 0x26;
}

/* vcpu_switch() is machine.c's: these are named and not called. */
void pv_leave(struct vcpu *v)
{
	panic("vcpu %u leaves", v->id);
}

void pv_enter(struct vcpu *v)
{
	panic("vcpu %u enters", v->id);
}

void pv_stay(struct vcpu *v)
{
	vcpu_time_update(v, false);
}

void pv_hypercall_page(void *page)
{
	memset(page, 0xcc, PAGE_SIZE);
}

const void *build_id(size_t *bytes)
{
	*bytes = 20;
	return "made up for this test";
}

uint64_t rdmsr(uint32_t msr)
{
	(void)msr;
	return 0;
}

int rdmsr_safe(uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = 0;
	return -EFAULT;
}

void wrmsr(uint32_t msr, uint64_t value)
{
	/* FS and GS bases: the processor refuses others, and the hypervisor would die of that. */
	if (msr >= 0xc0000100 && msr <= 0xc0000102 && !pv_address_ok(value))
		panic("WRMSR %x, %lx", msr, (unsigned long)value);
}

void dr_write(unsigned n, uint64_t value)
{
	if (n >= 6 && value >> 32)
		panic("DR%u = %lx", n, (unsigned long)value);
	if (n < 4 && !pv_address_ok(value))
		panic("DR%u = %lx", n, (unsigned long)value);
}

mfn_t gdt_hv_page(unsigned cpu)
{
	return MFN(0x30 + cpu);
}

void gdt_load(uintptr_t base, unsigned limit)
{
	(void)base, (void)limit;
}

void ldt_load(uintptr_t base, unsigned entries)
{
	(void)base;
	if (entries > 8192)
		panic("LDT of %u entries", entries);
}

void swapgs(void)
{
}

void segment_user_gs_load(uint16_t selector)
{
	(void)selector;
}

void fpu_stts(bool ts)
{
	(void)ts;
}

uint64_t cpu_policy_xcr0(const struct cpu_policy *p)
{
	(void)p;
	return 3;
}

uint32_t cpu_policy_xsave_bytes(uint64_t components)
{
	(void)components;
	return 576;
}

const uint32_t pv_msrs_kept[PV_MSRS_KEPT] = { 0x48, 0xc0000103 };

uint64_t pv_msr_kept(const struct vcpu *v, uint32_t msr)
{
	return msr == 0x48 ? v->pv.spec_ctrl : v->pv.tsc_aux;
}

int pv_msr_keep(struct vcpu *v, uint32_t msr, uint64_t value)
{
	if (msr != 0xc0000103)
		return -EINVAL;
	v->pv.tsc_aux = value;
	return 0;
}

void pv_iret(struct vcpu *v, struct cpu_user_regs *regs)
{
	(void)v, (void)regs;
}

void pv_inject_exception(struct vcpu *v, unsigned vector, uint32_t error_code)
{
	(void)v, (void)vector, (void)error_code;
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

int acpi_enter_s5(uint16_t pm1a_value, uint16_t pm1b_value)
{
	(void)pm1a_value, (void)pm1b_value;
	return -EIO;
}

void time_wallclock_set(uint64_t sec, uint32_t nsec, uint64_t system_ns)
{
	(void)sec, (void)nsec, (void)system_ns;
}

void console_write(const char *text, size_t n)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < n; i++) /* all of it can be read */
		sum ^= (uint8_t)text[i];
	__asm__ volatile("" : : "r"(sum));
}

size_t console_read(char *buf, size_t n)
{
	memset(buf, 'r', MIN(n, (size_t)3));
	return MIN(n, (size_t)3);
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

/* ---- coverage: each switch of the code under test, told by the compiler ---- */

#define SWITCHES 512
#define LABELS   128
static struct seen_switch {
	uintptr_t at;
	const uint64_t *table; /* count, bits, values */
	uint64_t hit[LABELS / 64];
} switches[SWITCHES];

void __sanitizer_cov_trace_switch(uint64_t value, void *labels);
void __sanitizer_cov_trace_switch(uint64_t value, void *labels)
{
	const uint64_t *table = labels;
	uintptr_t at = (uintptr_t)__builtin_return_address(0);
	struct seen_switch *s;

	for (unsigned n = 0, i = (unsigned)(at * 2654435761u >> 7);; i++, n++) {
		uintptr_t free_slot = 0;

		if (n == SWITCHES)
			abort();
		s = &switches[i % SWITCHES];
		if (s->at == at ||
		    (!s->at && __atomic_compare_exchange_n(&s->at, &free_slot, at, false, __ATOMIC_SEQ_CST,
		                                           __ATOMIC_SEQ_CST)))
			break;
		if (__atomic_load_n(&s->at, __ATOMIC_SEQ_CST) == at)
			break;
	}
	s->table = table;
	if (table[0] > LABELS)
		abort();
	for (unsigned k = 0; k < table[0]; k++)
		if (table[2 + k] == value)
			__atomic_fetch_or(&s->hit[k / 64], 1ull << (k % 64), __ATOMIC_RELAXED);
}

/* Comparisons are told as well, and are of no interest. */
#define IGNORE(name, type)         \
	void name(type a, type b); \
	void name(type a, type b)  \
	{                          \
		(void)a, (void)b;  \
	}
IGNORE(__sanitizer_cov_trace_cmp1, uint8_t)
IGNORE(__sanitizer_cov_trace_cmp2, uint16_t)
IGNORE(__sanitizer_cov_trace_cmp4, uint32_t)
IGNORE(__sanitizer_cov_trace_cmp8, uint64_t)
IGNORE(__sanitizer_cov_trace_const_cmp1, uint8_t)
IGNORE(__sanitizer_cov_trace_const_cmp2, uint16_t)
IGNORE(__sanitizer_cov_trace_const_cmp4, uint32_t)
IGNORE(__sanitizer_cov_trace_const_cmp8, uint64_t)

/* The switches by their place in the sources: one that was inlined several times is one again. */
static struct place {
	char file[512], function[64];
	const uint64_t *table;
	uint64_t hit[LABELS / 64];
} places[SWITCHES];
static unsigned place_count;

/* File and function, by binutils' addr2line. */
static void locate(const struct seen_switch *s, struct place *p)
{
	extern char __executable_start[]; /* the linker's */
	char command[128], line[512] = "", *name;
	FILE *f;

	snprintf(command, sizeof(command), "addr2line -f -e /proc/%d/exe %#lx", (int)getpid(),
	         (unsigned long)(s->at - 1 - (uintptr_t)__executable_start));
	f = popen(command, "r");
	if (!f || fscanf(f, "%63s %511s", p->function, line) != 2)
		panic("addr2line does not work");
	pclose(f);
	line[strcspn(line, ":")] = 0;
	name = strrchr(line, '/');
	snprintf(p->file, sizeof(p->file), "%s", name ? name + 1 : line);
	p->table = s->table;
}

static void merge(const struct seen_switch *s)
{
	struct place here = { 0 }, *p = places;

	locate(s, &here);
	while (p < places + place_count &&
	       (strcmp(p->file, here.file) || strcmp(p->function, here.function) ||
	        p->table[0] != here.table[0] ||
	        memcmp(p->table, here.table, (2 + here.table[0]) * sizeof(uint64_t))))
		p++;
	if (p == places + place_count)
		places[place_count++] = here;
	for (unsigned i = 0; i < ARRAY_SIZE(p->hit); i++)
		p->hit[i] |= s->hit[i];
}

/* Files of hypercall/ whose switches are more than were come to. */
static unsigned switches_missed(void)
{
	unsigned missed = 0, count, files = 0;
	char name[512];
	FILE *f = popen("grep -c 'switch (' " HYPERCALLS "/*.c | sed 's|.*/||; s/:/ /'", "r");

	while (f && fscanf(f, "%511s %u", name, &count) == 2) {
		files++;
		for (unsigned i = 0; i < place_count; i++)
			count -= count && !strcmp(places[i].file, name);
		if (count)
			printf("# not reached: %u switches of hypercall/%s\n", count, name);
		missed += count;
	}
	if (f)
		pclose(f);
	return files > 10 ? missed : 1;
}

/* Prints what was not reached of the labels and switches; their number. */
static unsigned coverage_report(void)
{
	unsigned labels = 0, missed = 0;

	for (unsigned i = 0; i < SWITCHES; i++)
		if (switches[i].at)
			merge(&switches[i]);
	for (const struct place *p = places; p < places + place_count; p++) {
		labels += (unsigned)p->table[0];
		for (unsigned k = 0; k < p->table[0]; k++)
			if (!(p->hit[k / 64] >> (k % 64) & 1)) {
				printf("# not reached: label %lu of a switch in %s, %s\n",
				       (unsigned long)p->table[2 + k], p->function, p->file);
				missed++;
			}
	}
	printf("# coverage: %u case labels of %u switches, %u not reached\n", labels, place_count, missed);
	return missed + switches_missed();
}

/* ---- guests ---- */

static mfn_t frame_of(struct guest *g)
{
	mfn_t mfn;

	if (domain_frame_alloc(&g->d->mm, 0, 0, &mfn))
		panic("no frame for a guest");
	return mfn;
}

static void put_entry(struct guest *g, mfn_t table, unsigned index, uint64_t value)
{
	if (frame_get_type(table, &g->d->mm, PTYPE_WRITABLE))
		panic("a new frame cannot be written");
	((uint64_t *)mfn_map_own(table))[index] = value;
	frame_put_type(table);
}

/* Four tables, L1 first; the L1 maps the guest's pages. */
static void tree(struct guest *g, uint64_t *tables)
{
	for (unsigned i = 0; i < 4; i++)
		tables[i] = frame_of(g).m;
	for (unsigned i = 0; i < EDGES_FRAMES; i++)
		put_entry(g, MFN(tables[0]), i, g->env.pages[i] << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US);
	for (unsigned i = 1; i < 4; i++)
		put_entry(g, MFN(tables[i]), 0, tables[i - 1] << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US);
}

static void give_root(struct guest *g, struct vcpu *v)
{
	int rc;

	do
		rc = pt_get(&g->d->mm, g->root, PTYPE_L4, true);
	while (rc == -ERESTART_HV);
	if (rc)
		panic("a guest's tables are refused: %d", rc);
	v->l4_kernel = g->root;
	v->initialised = true;
}

/* Foreign frames and numbers: of all others, of the hypervisor, of nobody. */
static void refresh(unsigned i)
{
	struct guest *g = &guests[i];
	struct edges_env *e = &g->env;
	mfn_t grant_frame;

	for (unsigned k = 0; k < 3; k++)
		e->foreign[k] = guests[(i + 1 + k) % GUESTS].env.pages[k];
	if (grant_table_frame(g->d, 0, &grant_frame))
		grant_frame = MFN(0);
	e->foreign[3] = grant_frame.m;
	e->foreign[4] = g->d->shared_info_mfn.m;
	e->foreign[5] = mfn_of(g->d).m;
	e->foreign[6] = max_mfn - edges_random(e, 2);
	e->foreign[7] = FAKE_RAM_FIRST - edges_random(e, 2);
	for (unsigned k = 0; k < GUESTS; k++)
		e->domids[k] = guests[k].d->domid;
	e->now_ns = fake_time_ns;
	e->vcpus = g->d->max_vcpus;
	e->mem = fake_guest;
	e->base = 0;
	e->size = sizeof(fake_guest);
}

static struct domain *new_domain(uint16_t domid, unsigned vcpus, bool privileged)
{
	struct domain_config c = { .kind = &pv_guest,
		                   .domid = domid,
		                   .privileged = privileged,
		                   .max_vcpus = vcpus,
		                   .max_evtchn_port = 1023,
		                   .max_grant_frames = 4,
		                   .max_maptrack_frames = 2 };
	struct domain *d;

	if (domain_create(&c, &d))
		panic("no domain");
	for (unsigned i = 0; i < vcpus; i++)
		if (vcpu_create(d, i))
			panic("no vcpu");
	return d;
}

static void make_guest(unsigned i)
{
	static uint16_t last;
	struct guest *g = &guests[i];
	struct domain *d;

	do {
		last = last + 1u < DOMID_FIRST_RESERVED ? (uint16_t)(last + 1) : 1;
		d = domain_get(last);
		if (d)
			domain_put(d);
	} while (d);
	g->d = new_domain(last, i == 2 || !i ? 2 : 1 + i % 3, !i);
	domain_ref(g->d);
	g->d->mm.max_pages = PAGES_MAX;
	seed += 0x9e3779b97f4a7c15;
	g->env = (struct edges_env){ .seed = seed, .privileged = !i };
	for (unsigned k = 0; k < EDGES_FRAMES; k++) {
		g->env.pages[k] = frame_of(g).m;
		g->env.va[k] = (uint64_t)k << PAGE_SHIFT;
		g->env.code[k] = g->env.va[k];
	}
	tree(g, g->env.tables);
	tree(g, g->env.tables + 4);
	g->env.root = g->env.tables[7];
	g->root = MFN(g->env.root);
	for (unsigned k = 0; k < g->d->max_vcpus; k++)
		give_root(g, g->d->vcpus[k]);
	machine_start(g->d);
	for (unsigned k = 0; k < GUESTS; k++)
		if (guests[k].d)
			g->env.domids[k] = guests[k].d->domid;
}

/* ---- calls ---- */

/* The guest's grant entries are memory of its own: it writes them as it likes. */
static void write_grants(struct guest *g)
{
	grant_entry_v1_t *e;
	mfn_t frame;

	if (grant_table_frame(g->d, 0, &frame))
		return;
	e = (grant_entry_v1_t *)mfn_map_own(frame) + edges_random(&g->env, 12);
	e->domid = g->env.domids[edges_random(&g->env, 4)];
	e->frame = (uint32_t)(edges_random(&g->env, 4) ? g->env.pages[edges_random(&g->env, EDGES_FRAMES)]
	                                               : edges_value(&g->env));
	e->flags = (uint16_t)(edges_random(&g->env, 5)
	                              ? GTF_permit_access | (edges_random(&g->env, 3) ? 0 : GTF_readonly)
	                              : edges_value(&g->env));
	if (!edges_random(&g->env, 8))
		e->flags = GTF_accept_transfer;
}

static int64_t enter(struct vcpu *v, const struct edges_call *c)
{
	struct cpu_user_regs *regs = &cpu_info()->regs;

	*regs = (struct cpu_user_regs){ .rax = c->number,
		                        .rdi = c->arg[0],
		                        .rsi = c->arg[1],
		                        .rdx = c->arg[2],
		                        .r10 = c->arg[3],
		                        .r8 = c->arg[4],
		                        .r9 = c->arg[5],
		                        .rip = 0x1002 };
	for (unsigned n = 0;; n++) {
		hypercall_from_guest(v, regs);
		if (regs->rip == 0x1002)
			return (int64_t)regs->rax;
		regs->rip = 0x1002;
		__atomic_fetch_add(&restarts, 1, __ATOMIC_RELAXED);
		if (n == AGAIN)
			panic("%s makes no progress", c->name);
		fake_exit(); /* it is made again from the guest */
	}
}

static bool lives(const struct domain *d)
{
	return READ_ONCE(d->life) == DOMAIN_ALIVE && !READ_ONCE(d->shut_down);
}

static void one_call(struct guest *g, struct vcpu *v, struct edges_env *e)
{
	struct edges_call c;
	volatile int64_t rc = -1;

	edges_make(e, ~0u, &c);
	now = &c;
	if (getenv("EDGES_VERBOSE"))
		fprintf(stderr, "d%d v%u %s: %lx %lx %lx %lx %lx\n", g->d->domid, v->id, c.name,
		        (long)c.arg[0], (long)c.arg[1], (long)c.arg[2], (long)c.arg[3], (long)c.arg[4]);
	MACHINE_EXPECT_POWER(rc = enter(v, &c));
	if (machine_power) {
		__atomic_fetch_add(&powered, 1, __ATOMIC_RELAXED);
		/* By remote_shutdown, whose reference to dom0 it did not live to drop, or by a debug key. */
		if (dom0->shutdown_code != SHUTDOWN_CODE_NONE) {
			dom0->shutdown_code = SHUTDOWN_CODE_NONE;
			domain_put(dom0);
		}
	}
	if (fake_locks_held())
		panic("%s leaves a lock held", c.name);
	if (!mfn_is_ram(v->l4_kernel) && g->d->life == DOMAIN_ALIVE)
		panic("%s leaves a vcpu without tables", c.name);
	__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&good, rc >= 0, __ATOMIC_RELAXED);
	if (c.number < ARRAY_SIZE(reached))
		__atomic_fetch_add(&reached[c.number], 1, __ATOMIC_RELAXED);
}

/* Some calls of one vcpu, which runs in user mode in between: that fills the TLB. */
static void turn(struct guest *g, unsigned cpu, struct vcpu *v, struct edges_env *e, unsigned n)
{
	machine_become(cpu, v);
	fake_load(cpu, &g->d->mm, v->l4_kernel);
	for (unsigned i = 0; i < n && lives(g->d) && mfn_is_ram(v->l4_kernel); i++) {
		write_grants(g);
		one_call(g, v, e);
		(void)fake_touch(cpu, e->va[edges_random(e, EDGES_FRAMES)], edges_random(e, 2));
	}
	v->pv.kernel_mode = true;
	fake_load(cpu, NULL, INVALID_MFN);
}

/* ---- between batches ---- */

static struct domain *all[DOMAINS];

static unsigned hold_all(void)
{
	unsigned n = 0;
	struct domain *d;

	for (unsigned id = 0; n < DOMAINS && (d = domain_get_next((uint16_t)id)); id = d->domid + 1u)
		all[n++] = d;
	return n;
}

static void recount(void)
{
	struct domain_mm *mm[DOMAINS];
	static struct audit_root roots[DOMAINS * VCPUS_MAX];
	unsigned n = hold_all(), count = 0;

	for (unsigned i = 0; i < n; i++) {
		mm[i] = &all[i]->mm;
		for (unsigned k = 0; k < all[i]->max_vcpus; k++)
			if (all[i]->vcpus[k])
				roots[count++] = (struct audit_root){
					mm[i], { all[i]->vcpus[k]->l4_kernel, all[i]->vcpus[k]->l4_user }
				};
	}
	if (mm_audit(mm, n, roots, count, false))
		panic("the recount found a wrong count");
	audits++;
	for (unsigned i = 0; i < n; i++)
		domain_put(all[i]);
}

static void run_idle(void)
{
	unsigned n = hold_all();

	/* Nobody runs but what is deferred: the test decides who calls. */
	for (unsigned i = 0; i < n; i++)
		domain_pause_nosync(all[i]);
	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		fake_set_cpu(cpu);
		work_raise(cpu, WORK_TIMER);
		machine_run(cpu);
	}
	for (unsigned i = 0; i < n; i++) {
		domain_unpause(all[i]);
		domain_put(all[i]);
	}
}

static void destroy(struct domain *d)
{
	domain_pause_nosync(d);
	machine_destroy(d); /* asked for by dom0 */
}

/* The dead are replaced, and what dom0 created by chance is destroyed. */
static void reap(void)
{
	unsigned n = hold_all();

	for (unsigned i = 0; i < n; i++) {
		bool ours = all[i] == keeper || all[i] == idle_dom0;

		for (unsigned k = 0; k < GUESTS; k++)
			ours |= all[i] == guests[k].d;
		if (!ours && all[i]->life != DOMAIN_DEAD)
			destroy(all[i]);
		domain_put(all[i]);
	}
	for (unsigned k = 0; k < GUESTS; k++) {
		struct domain *d = guests[k].d;

		if (lives(d) && edges_random(&guests[0].env, 40))
			continue;
		if (d->life != DOMAIN_DEAD)
			destroy(d);
		deaths++;
		domain_put(d);
		guests[k].d = NULL;
		machine_become(0, keeper->vcpus[0]);
		make_guest(k);
	}
}

static void shrink(struct domain *d)
{
	static mfn_t surplus[16384];
	struct list *pos;
	unsigned n = 0, kept = 0;

	d->mm.max_pages = PAGES_MAX;
	list_for_each(pos, &d->mm.pages)
		if (++kept > PAGES_MAX && n < ARRAY_SIZE(surplus))
			surplus[n++] = frame_mfn(list_entry(pos, struct frame, link));
	while (n--)
		if (domain_frame_release(&d->mm, surplus[n]))
			printf("# domain %u: frame %lx is given back already\n", d->domid,
			       (unsigned long)surplus[n].m);
}

/* What a guest has lost of its pages, it gets anew. */
static void repair(struct guest *g)
{
	shrink(g->d);
	for (unsigned k = 0; k < EDGES_FRAMES; k++) {
		mfn_t mfn;

		if (!frame_get(MFN(g->env.pages[k]), &g->d->mm)) {
			if (!domain_frame_alloc(&g->d->mm, 0, 0, &mfn))
				g->env.pages[k] = mfn.m;
		} else {
			frame_put(MFN(g->env.pages[k]));
		}
		if (g->env.tables[k] == g->env.root || frame_get(MFN(g->env.tables[k]), &g->d->mm)) {
			if (g->env.tables[k] != g->env.root)
				frame_put(MFN(g->env.tables[k]));
		} else if (!domain_frame_alloc(&g->d->mm, 0, 0, &mfn)) {
			g->env.tables[k] = mfn.m;
		}
	}
}

static void between(void)
{
	recount();
	run_idle();
	machine_become(0, keeper->vcpus[0]);
	/* First of all: new guests need frames, and one of these may have taken all. */
	if (idle_dom0->life == DOMAIN_ALIVE)
		shrink(idle_dom0);
	for (unsigned k = 0; k < GUESTS; k++)
		if (guests[k].d->life == DOMAIN_ALIVE)
			shrink(guests[k].d);
	reap();
	for (unsigned k = 0; k < GUESTS; k++) {
		repair(&guests[k]);
		refresh(k);
	}
	fake_time_ns += 3000000;
}

static void batch(void)
{
	for (unsigned n = 0; n < BATCH; n += TURN) {
		struct edges_env *e = &guests[0].env;
		struct guest *g = &guests[edges_random(e, GUESTS)];
		unsigned v = edges_random(e, g->d->max_vcpus);

		turn(g, edges_random(e, cpu_count), g->d->vcpus[v], &g->env, TURN);
		if (fake_tlb_check())
			panic("a stale translation reaches what it must not");
	}
	between();
}

/* ---- two vcpus that race ---- */

struct racer {
	struct guest *g;
	struct edges_env env;
	unsigned cpu, vcpu;
};

static void *race_main(void *arg)
{
	struct racer *r = arg;

	turn(r->g, r->cpu, r->g->d->vcpus[r->vcpu], &r->env, BATCH);
	return NULL;
}

/* dom0's toolstack calls wait for the vcpus of others to leave their CPUs, so one domain runs at a time. */
static void race(void)
{
	struct guest *g = &guests[edges_random(&guests[0].env, 2) ? 2 : 0];
	struct racer r[2];
	pthread_t other;

	for (unsigned i = 0; i < 2; i++)
		r[i] = (struct racer){ g, g->env, i, i % g->d->max_vcpus };
	r[1].env.seed = g->env.seed * 3 + 1;
	if (edges_random(&g->env, 2)) { /* arguments of their own, or the same that both rewrite */
		r[0].env.size /= 2;
		r[1].env.mem += sizeof(fake_guest) / 2;
		r[1].env.base += sizeof(fake_guest) / 2;
		r[1].env.size /= 2;
	}
	if (pthread_create(&other, NULL, race_main, &r[1]))
		abort();
	race_main(&r[0]);
	pthread_join(other, NULL);
	g->env.seed = r[0].env.seed ^ r[1].env.seed << 1;
	between();
}

/* ---- the run ---- */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* That this process has had of the processor. */
static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void start(void)
{
	fake_quiet = !getenv("EDGES_VERBOSE");
	machine_init(16384, 2);
	for (unsigned cpu = 0; cpu < FAKE_CPUS; cpu++)
		pv_address_init(cpu);
	spec_policy.xpti_domu = true;
	keeper = new_domain(0x7fe0, 1, true);
	machine_become(0, keeper->vcpus[0]);
}

static uint64_t end(void)
{
	dom0 = keeper;
	machine_become(0, keeper->vcpus[0]);
	destroy(idle_dom0);
	for (unsigned i = 0; i < GUESTS; i++) {
		if (guests[i].d->life != DOMAIN_DEAD)
			destroy(guests[i].d);
		domain_put(guests[i].d);
	}
	run_idle();
	machine_become(0, keeper->vcpus[0]);
	for (unsigned i = 0, n = hold_all(); i < n; i++) {
		if (all[i] != keeper)
			printf("# still there: domain %u, %d references, %lu frames, %lu shared\n",
			       all[i]->domid, all[i]->refcount - 1, (unsigned long)all[i]->mm.tot_pages,
			       (unsigned long)all[i]->mm.shared_count);
		domain_put(all[i]);
	}
	return heap_free_pages();
}

/* Trace buffers stay for ever, and so do the pages that name their frames. */
static unsigned trace_frames(void)
{
	const struct t_info *info = trace_control.info;
	unsigned words = info ? info->mfn_offset[cpu_count - 1] + info->tbuf_size : 0;

	return info ? info->tbuf_size * cpu_count + (words + 1023) / 1024 : 0;
}

int main(int argc, char **argv)
{
	double length = argc > 1 ? atof(argv[1]) : 15, began, took, cpu;
	unsigned long single;
	uint64_t before, after;
	unsigned kept;
	unsigned numbers = 0, left;

	if (argc > 2)
		seed = strtoull(argv[2], NULL, 0);
	tap_plan(5);
	cpu_features.xsave = true;
	cpu_features.xcr0_mask = 3;
	start();
	dom0 = keeper;
	make_guest(1);
	destroy(guests[1].d); /* what is allocated once, is now */
	domain_put(guests[1].d);
	guests[1].d = NULL;
	run_idle();
	machine_become(0, keeper->vcpus[0]);
	before = heap_free_pages();
	idle_dom0 = dom0 = new_domain(0, 1, true);
	for (unsigned i = 0; i < GUESTS; i++)
		make_guest(i);
	for (unsigned i = 0; i < GUESTS; i++)
		refresh(i);
	fake_preempt = 5;
	began = seconds();
	cpu = cpu_seconds();
	/* On a busy machine it takes longer until everything was tried. */
	while (seconds() - began < length * 2 / 3 || (calls < CALLS_MIN && seconds() - began < length * 20))
		batch();
	took = seconds() - began;
	cpu = cpu_seconds() - cpu;
	single = calls;
	printf("# %lu calls of one vcpu at a time in %.1f s: %.2f million in a minute of a processor's time\n",
	       calls, took, (double)calls / cpu * 60 / 1e6);
	tap_ok(single > 1000 && audits > 3,
	       "hypercalls with arguments at their edges: no panic, every recount is clean");
	tap_ok((double)calls / cpu * 60 >= RATE_MIN,
	       "at least two million in a minute of a processor's time");
	fake_tlb_enable(false);
	began = seconds();
	while (seconds() - began < length / 3)
		race();
	fake_preempt = 0;
	printf("# %lu calls by two vcpus that race; in all %lu good, %lu continued, %lu deaths, %lu ends of the machine\n",
	       calls - single, good, restarts, deaths, powered);
	tap_ok(calls - single > 1000, "the same by two vcpus of one domain at once");
	after = end();
	kept = trace_frames();
	printf("# free pages: %lu before, %lu after, %u of trace buffers\n", (unsigned long)before,
	       (unsigned long)after, kept);
	tap_ok(after + kept == before, "everything is destroyed and every page is back");
	left = coverage_report();
	for (unsigned i = 0; i < ARRAY_SIZE(reached); i++)
		numbers += !!reached[i];
	printf("# %u hypercall numbers were called\n", numbers);
	tap_ok(!left, "every case label of every hypercall was reached");
	return tap_end();
}
