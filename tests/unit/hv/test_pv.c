/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Address spaces, switches of vcpus, contexts, and emulated instructions of paravirtual guests. */
#include "mm/internal.h"
#include "dom/switch.h"
#include "mm/perdomain.h"
#include "mm/ptype.h"
#include "mm/shadow.h"
#include "hw/spec.h"
#include "hw/uaccess_words.h"
#include "pv/address.h"
#include "pv/decode.h"
#include "fake/pv.h"
#include "../../lib/check.h"
#include "pv/emulate.h"
#include "pv/vcpu.h"
#include <pthread.h>
#include <semaphore.h>
#include <xen/grant_table.h>

#define LEAF_FLAGS    (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define MSR_SPEC_CTRL 0x48
#define MSR_PRED_CMD  0x49

static struct domain *d0, *d1, *d2;

static void begin(void)
{
	fake_hook = NULL;
	fake_pv_fault_point = NULL;
	fake_preempt = 0;
	spec_policy = (struct spec_policy){ 0 };
	fake_set_cpu(0);
}

/* Gives a vcpu tables of its own. */
static struct fake_pv_tree give_tables(struct vcpu *v)
{
	struct fake_pv_tree t = fake_pv_tree(v->domain, fake_pv_frame(v->domain), LEAF_FLAGS);

	if (pt_get(&v->domain->mm, t.l4, PTYPE_L4, false))
		abort();
	v->l4_kernel = t.l4;
	v->pv.kernel_mode = true;
	return t;
}

/* ---- switches ---- */

static unsigned gdt_missing;
static struct domain *switching_to;

/* An exception now needs the hypervisor's code segment: page 14 of the GDT in the address space that is loaded. */
static void exception_here(void)
{
	uintptr_t gdt = fake_pv_cpus[this_cpu()].gdt;
	unsigned vcpu = (unsigned)((gdt - PERDOMAIN_BASE) / (PERDOMAIN_VCPU_PAGES * PAGE_SIZE));

	if (gdt && mfn_eq(perdomain_lookup(&switching_to->mm, vcpu, GDT_PAGES_MAX), INVALID_MFN))
		gdt_missing++;
}

/*
 * The new vcpu's runstate area is written when its tables are loaded and may fault, and an NMI comes when it
 * likes: both need a GDT. That of the vcpu before lies in a window that the other domain does not have.
 */
static void switch_between_domains_keeps_a_gdt(void)
{
	struct vcpu *from = d1->vcpus[3], *to = d2->vcpus[0];

	begin();
	switching_to = d1;
	cpu_set_current(fake_pv_idle(0));
	fake_pv_fault_point = exception_here;
	gdt_missing = 0;
	fake_pv_switch(fake_pv_idle(0), from);
	CHECK_THAT(!gdt_missing);
	switching_to = d2;
	fake_pv_switch(from, to);
	CHECK_THAT(!gdt_missing);
	CHECK_THAT(fake_pv_cpus[0].gdt == PERDOMAIN_BASE);
	fake_pv_switch(to, fake_pv_idle(0));
	CHECK_THAT(!fake_pv_cpus[0].gdt);
	verdict("at a switch between domains there is a GDT at each instruction");
}

static unsigned barriers(void)
{
	struct fake_pv_cpu *c = &fake_pv_cpus[this_cpu()];
	unsigned n = 0;

	for (unsigned i = 0; i < MIN(c->msr_count, (unsigned)FAKE_MSRS); i++)
		n += c->msr[i].number == MSR_PRED_CMD;
	c->msr_count = 0;
	return n;
}

static uint64_t spec_ctrl_written(void)
{
	struct fake_pv_cpu *c = &fake_pv_cpus[this_cpu()];
	uint64_t value = ~0ull;

	for (unsigned i = 0; i < MIN(c->msr_count, (unsigned)FAKE_MSRS); i++)
		if (c->msr[i].number == MSR_SPEC_CTRL)
			value = c->msr[i].value;
	c->msr_count = 0;
	return value;
}

static void spec_ctrl_of_each_vcpu(void)
{
	struct vcpu *idle = fake_pv_idle(0);

	begin();
	cpu_set_current(idle);
	d1->vcpus[0]->pv.spec_ctrl = 4;
	fake_pv_cpus[0].msr_count = 0;
	fake_pv_switch(idle, d1->vcpus[0]);
	CHECK_THAT(spec_ctrl_written() == 4);
	fake_pv_switch(d1->vcpus[0], d2->vcpus[0]);
	CHECK_THAT(spec_ctrl_written() == 0);
	fake_pv_switch(d2->vcpus[0], idle);
	fake_pv_switch(idle, d2->vcpus[0]);
	CHECK_THAT(spec_ctrl_written() == ~0ull);
	/* With IBRS on entry the exit path writes it. */
	fake_pv_cpus[0].info.spec_flags = SPEC_ENTRY_IBRS;
	fake_pv_switch(d2->vcpus[0], d1->vcpus[0]);
	CHECK_THAT(spec_ctrl_written() == ~0ull && fake_pv_cpus[0].info.guest_spec_ctrl == 4);
	fake_pv_switch(d1->vcpus[0], idle);
	fake_pv_cpus[0].info.spec_flags = fake_pv_cpus[0].info.guest_spec_ctrl = 0;
	d1->vcpus[0]->pv.spec_ctrl = 0;
	verdict("a vcpu's SPEC_CTRL is the processor's while it runs, and no other vcpu's");
}

static void barrier_between_domains_across_idle(void)
{
	struct vcpu *idle = fake_pv_idle(0);

	begin();
	spec_policy.ibpb_on_switch = true;
	cpu_set_current(idle);
	fake_pv_switch(idle, d1->vcpus[0]);
	(void)barriers();
	fake_pv_switch(d1->vcpus[0], d2->vcpus[0]);
	CHECK_THAT(barriers() == 1);
	fake_pv_switch(d2->vcpus[0], idle);
	CHECK_THAT(barriers() == 0);
	fake_pv_switch(idle, d2->vcpus[0]);
	CHECK_THAT(barriers() == 0);
	fake_pv_switch(d2->vcpus[0], idle);
	fake_pv_switch(idle, d1->vcpus[0]);
	CHECK_THAT(barriers() == 1);
	fake_pv_switch(d1->vcpus[0], idle);
	/* Another domain that gets the dead one's memory is another one. */
	switch_forget(d1);
	fake_pv_switch(idle, d1->vcpus[0]);
	CHECK_THAT(barriers() == 1);
	fake_pv_switch(d1->vcpus[0], idle);
	verdict("branch predictions of one domain do not reach another one that runs after an idle time");
}

/* ---- xpti ---- */

static struct domain *xpti_domain;
static mfn_t xpti_l4;

/* Another CPU drops the link to the L3 table in the middle of what this one does. */
static void drop_link(void)
{
	fake_hook = NULL;
	fake_set_cpu(1);
	if (pt_entry_write(&xpti_domain->mm, &xpti_domain->mm, mfn_to_maddr(xpti_l4), 0, PT_WRITE, NULL))
		abort();
	fake_set_cpu(0);
}

/*
 * CPU 0 loads its address space while CPU 1 drops an L4 entry, and turns the L3 table into memory that it may
 * write afterwards. Either CPU 0's copy is without the entry, or CPU 0 is asked to flush before, which makes
 * it look again.
 */
static void reduced_tables_are_not_older_than_the_flush(void)
{
	struct vcpu *v = d2->vcpus[0];
	struct fake_pv_tree t = give_tables(v);
	const uint64_t *copy;
	unsigned flushes;

	begin();
	d2->xpti = d2->mm.l4_copied = true;
	pv_address_init(0);
	cpu_set_current(v);
	cpumask_set(&d2->mm.dirty_cpus, 0);
	pv_load_address_space(v);
	xpti_domain = d2;
	xpti_l4 = t.l4;
	copy = mfn_map_own(maddr_to_mfn(MADDR(cpu_info()->guest_cr3)));
	CHECK_THAT(copy[0] & PTE_P);
	/* Something else changed before, so that the copy is renewed at all. */
	CHECK_THAT(!pt_entry_write(&d2->mm, &d2->mm, MADDR(mfn_to_maddr(t.l4).a | 511 * 8), 0x200, PT_WRITE,
	                           NULL));
	fake_hook = drop_link;
	CHECK_THAT(pv_refresh_copies(v));
	CHECK_THAT(!fake_hook);
	flushes = fake_flushes;
	CHECK_THAT(!frame_get_type(t.l3, &d2->mm, PTYPE_WRITABLE));
	copy = mfn_map_own(maddr_to_mfn(MADDR(cpu_info()->guest_cr3)));
	CHECK_THAT(!(copy[0] & PTE_P) || fake_flushes > flushes);
	CHECK_THAT(cpu_info()->hv_cr3 == mfn_to_maddr(t.l4).a);
	frame_put_type(t.l3);
	d2->xpti = d2->mm.l4_copied = false;
	v->l4_kernel = INVALID_MFN;
	CHECK_THAT(!pt_put(&d2->mm, t.l4, false));
	verdict("xpti: a copy of the tables is never older than the flush that its CPU is taken to have done");
}

/* CPU 1, in a thread of its own, is stopped where it is about to change the first copy of an L4. */
static sem_t stopped, go_on;
static __thread bool is_cpu1;

static void stop_at_the_copies(const spinlock_t *l)
{
	if (!is_cpu1 || l->rank != RANK_L4_COPY)
		return;
	fake_irq_lock_hook = NULL;
	sem_post(&stopped);
	sem_wait(&go_on);
}

static void *cpu1_drops_link(void *unused)
{
	is_cpu1 = true;
	fake_set_cpu(1);
	if (pt_entry_write(&xpti_domain->mm, &xpti_domain->mm, mfn_to_maddr(xpti_l4), 0, PT_WRITE, NULL))
		abort();
	return unused;
}

static pthread_t cpu1;

/* The hook comes before the copy's lock is taken, and again before the copy is loaded. */
static void start_cpu1(void)
{
	static unsigned calls;

	if (!calls++)
		return;
	fake_hook = NULL;
	fake_irq_lock_hook = stop_at_the_copies;
	if (pthread_create(&cpu1, NULL, cpu1_drops_link, NULL))
		abort();
	sem_wait(&stopped);
}

/*
 * The same where reduced tables are made of a copy of the L4, which CPU 1 changes after the L4 itself: CPU 0 reads the copy
 * in between.
 */
static void reduced_tables_of_a_copy(void)
{
	struct vcpu *v = d2->vcpus[0];
	struct fake_pv_tree t = give_tables(v);
	const uint64_t *reduced;

	begin();
	sem_init(&stopped, 0, 0);
	sem_init(&go_on, 0, 0);
	d2->xpti = d2->mm.l4_copied = d2->mm.linear_l4 = true;
	cpu_set_current(v);
	cpumask_set(&d2->mm.dirty_cpus, 0);
	pv_load_address_space(v);
	xpti_domain = d2;
	xpti_l4 = t.l4;
	reduced = mfn_map(maddr_to_mfn(MADDR(cpu_info()->guest_cr3)));
	CHECK_THAT(reduced[0] & PTE_P);
	CHECK_THAT(!pt_entry_write(&d2->mm, &d2->mm, MADDR(mfn_to_maddr(t.l4).a | 511 * 8), 0x200, PT_WRITE,
	                           NULL));
	fake_hook = start_cpu1; /* when the copy is made, and the reduced one is not */
	CHECK_THAT(pv_refresh_copies(v));
	sem_post(&go_on);
	pthread_join(cpu1, NULL);
	CHECK_THAT(
	        !frame_get_type(t.l3, &d2->mm, PTYPE_WRITABLE)); /* has CPU 0 flush, which looks again then */
	(void)pv_refresh_copies(v);
	CHECK_THAT(!(reduced[0] & PTE_P));
	frame_put_type(t.l3);
	d2->xpti = d2->mm.l4_copied = d2->mm.linear_l4 = false;
	v->l4_kernel = INVALID_MFN;
	CHECK_THAT(!pt_put(&d2->mm, t.l4, false));
	verdict("xpti: a copy of a copy of the tables is not taken for newer than that");
}

/* A kernel runs on the L4 that is its user's, too, and then on another one: no count of the domain's changes. */
static void reduced_tables_hide_the_m2p(void)
{
	struct vcpu *v = d2->vcpus[0];
	struct fake_pv_tree t = give_tables(v);
	const uint64_t *reduced;

	begin();
	d2->xpti = d2->mm.l4_copied = d2->mm.linear_l4 = true;
	cpu_set_current(v);
	v->l4_user = v->l4_kernel;
	v->pv.kernel_mode = false;
	pv_load_address_space(v);
	reduced = mfn_map(maddr_to_mfn(MADDR(cpu_info()->guest_cr3)));
	CHECK_THAT(reduced[HV_L4_FIRST] & PTE_P);
	v->l4_kernel = INVALID_MFN;
	pv_load_address_space(v);
	CHECK_THAT(reduced == mfn_map(maddr_to_mfn(MADDR(cpu_info()->guest_cr3))) && !reduced[HV_L4_FIRST]);
	v->pv.kernel_mode = true;
	v->l4_user = INVALID_MFN;
	d2->xpti = d2->mm.l4_copied = d2->mm.linear_l4 = false;
	CHECK_THAT(!pt_put(&d2->mm, t.l4, false));
	verdict("xpti: the user's tables have the M2P as long as they are the kernel's, and no longer");
}

/*
 * A domain changes its L4 more often than there are numbers up to its successor's, and dies. The successor gets its
 * memory: struct domain and L4 are at the same place, and the CPU's copy is still the old one.
 */
static void reduced_tables_are_no_successors(void)
{
	struct vcpu *v = d2->vcpus[0];
	struct fake_pv_tree t = give_tables(v);
	uint64_t *l4 = mfn_map_own(t.l4), e = l4[0];
	const uint64_t *copy;
	struct domain_mm next;

	begin();
	d2->xpti = d2->mm.l4_copied = true;
	cpu_set_current(v);
	domain_mm_init(&next, d2->domid, false);
	d2->mm.l4_generation = next.l4_generation - 1;
	CHECK_THAT(!pt_entry_write(&d2->mm, &d2->mm, MADDR(mfn_to_maddr(t.l4).a | 511 * 8), 0x200, PT_WRITE,
	                           NULL));
	pv_load_address_space(v);
	copy = mfn_map(maddr_to_mfn(MADDR(cpu_info()->guest_cr3)));
	CHECK_THAT(copy[0] & PTE_P);
	d2->mm.l4_generation = next.l4_generation;
	l4[0] = 0;
	pv_load_address_space(v);
	CHECK_THAT(!(copy[0] & PTE_P));
	l4[0] = e;
	d2->xpti = d2->mm.l4_copied = false;
	v->l4_kernel = INVALID_MFN;
	CHECK_THAT(!pt_put(&d2->mm, t.l4, false));
	tap_ok(good, "xpti: a copy of a dead domain's tables is nobody's, however often it changed them");
}

/* ---- the fast paths of SYSCALL and iret ---- */

/* What they load for the user's (false) and the kernel's mode of the current vcpu. */
static mfn_t fast(bool kernel)
{
	uint64_t cr3 = cpu_info()->fast_cr3[kernel];

	return cr3 ? maddr_to_mfn(MADDR(cr3)) : INVALID_MFN;
}

static bool fast_are(mfn_t user, mfn_t kernel)
{
	return mfn_eq(fast(false), user) && mfn_eq(fast(true), kernel);
}

static mfn_t give_user_tables(struct vcpu *v)
{
	struct fake_pv_tree t = fake_pv_tree(v->domain, fake_pv_frame(v->domain), LEAF_FLAGS);

	if (pt_get(&v->domain->mm, t.l4, PTYPE_L4, false))
		abort();
	return v->l4_user = t.l4;
}

static void fast_in_direct_mode(struct vcpu *v, struct vcpu *other)
{
	struct vcpu *idle = fake_pv_idle(0);

	cpu_set_current(idle);
	fake_pv_switch(idle, v);
	CHECK_THAT(fast_are(v->l4_user, v->l4_kernel));
	fake_pv_switch(v, other);
	CHECK_THAT(fast_are(INVALID_MFN, other->l4_kernel));
	fake_pv_switch(other, idle);
	CHECK_THAT(fast_are(INVALID_MFN, INVALID_MFN));
	pv_address_init(0);
	other->domain->xpti = other->domain->mm.l4_copied = true;
	fake_pv_switch(idle, other);
	CHECK_THAT(fast_are(INVALID_MFN, INVALID_MFN) && cpu_info()->hv_cr3 && cpu_info()->guest_cr3);
	fake_pv_switch(other, v);
	CHECK_THAT(fast_are(v->l4_user, v->l4_kernel) && !cpu_info()->hv_cr3);
	other->domain->xpti = other->domain->mm.l4_copied = false;
}

static void start_shadows(struct domain *d)
{
	CHECK_THAT(!shadow_set_pool(&d->mm, 64));
	shadow_start(&d->mm);
}

static void stop_shadows(struct domain *d)
{
	shadow_stop(&d->mm);
	CHECK_THAT(!shadow_set_pool(&d->mm, 0));
}

static void tables_of_the_fast_paths(void)
{
	struct vcpu *v = d1->vcpus[0], *other = d2->vcpus[0];
	mfn_t copy[2], others[2], user = give_user_tables(v);

	begin();
	v->pv.kernel_mode = true;
	fast_in_direct_mode(v, other);
	/* The domain goes over to copies while it runs: at its next exit its own tables are not offered any more. */
	start_shadows(d1);
	CHECK_THAT(pv_refresh_copies(v));
	copy[1] = fast(true);
	CHECK_THAT(!mfn_eq(copy[1], v->l4_kernel) && fast_are(INVALID_MFN, copy[1]) &&
	           mfn_eq(copy[1], fake_loaded(0)) && !cpu_info()->hv_cr3);
	pv_toggle_mode(v);
	copy[0] = fast(false);
	CHECK_THAT(!mfn_eq(copy[0], user) && !mfn_eq(copy[0], INVALID_MFN) && fast_are(copy[0], copy[1]) &&
	           mfn_eq(copy[0], fake_loaded(0)));
	pv_toggle_mode(v);
	CHECK_THAT(fast_are(copy[0], copy[1]) && mfn_eq(copy[1], fake_loaded(0)));
	/* Other tables for user mode: the copy is not theirs. */
	v->l4_user = v->l4_kernel;
	pv_fastpath_tables(v);
	CHECK_THAT(fast_are(INVALID_MFN, copy[1]));
	v->l4_user = user;
	/* Another domain has copies of its own, and these stay. */
	start_shadows(d2);
	fake_pv_switch(v, other);
	others[1] = fast(true);
	CHECK_THAT(fast_are(INVALID_MFN, others[1]) && !mfn_eq(others[1], INVALID_MFN) &&
	           !mfn_eq(others[1], copy[1]));
	(void)give_user_tables(other);
	pv_toggle_mode(other);
	others[0] = fast(false);
	pv_toggle_mode(other);
	CHECK_THAT(fast_are(others[0], others[1]) && !mfn_eq(others[0], INVALID_MFN) &&
	           !mfn_eq(others[0], copy[0]));
	fake_pv_switch(other, v);
	CHECK_THAT(fast_are(copy[0], copy[1]));
	d1->xpti = true;
	pv_load_address_space(v);
	CHECK_THAT(fast_are(INVALID_MFN, INVALID_MFN) && cpu_info()->hv_cr3 == mfn_to_maddr(copy[1]).a);
	d1->xpti = false;
	fake_pv_switch(v, fake_pv_idle(0));
	stop_shadows(d1);
	stop_shadows(d2);
	fake_pv_switch(fake_pv_idle(0), v);
	CHECK_THAT(fast_are(user, v->l4_kernel));
	fake_pv_switch(v, fake_pv_idle(0));
	verdict("the fast paths load the vcpu's own L4s, or copies of them that the CPU has, or nothing");
}

/* ---- contexts ---- */

/* A context whose tables are good and whose GDT is not must not cost more than a slice to give up. */
static void refused_context_is_given_up_in_slices(void)
{
	struct vcpu_guest_context *c = calloc(1, sizeof(*c));
	struct vcpu *v = d1->vcpus[2];
	struct fake_pv_tree t = fake_pv_tree(d1, fake_pv_frame(d1), LEAF_FLAGS);
	int rc;

	begin();
	/* Many tables, full of entries that are not zero. */
	for (unsigned n = 1; n < 40; n++) {
		mfn_t l1 = fake_pv_frame(d1);

		for (unsigned i = 0; i < 512; i++)
			fake_pv_store(d1, l1, i, 0x200);
		fake_pv_store(d1, t.l2, n, l1.m << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US);
	}
	cpu_set_current(d1->vcpus[0]);
	c->ctrlreg[3] = mfn_to_maddr(t.l4).a;
	c->gdt_ents = 1;
	c->gdt_frames[0] = ~0ul;
	fake_preempt = 1;
	do
		rc = pv_vcpu_set_context(v, c);
	while (rc == -ERESTART_HV);
	CHECK_THAT(rc == -EINVAL);
	CHECK_THAT(mfn_eq(v->l4_kernel, INVALID_MFN));
	CHECK_THAT(d1->mm.release_head != NULL);
	while (pt_drain(&d1->mm, true))
		;
	CHECK_THAT(!(frame_table[t.l4.m].type & TYPE_COUNT));
	free(c);
	verdict("a refused vcpu context gives its tables back in slices");
}

/* ---- stores to page tables ---- */

#define SECRET 0x5ec4e75ec4e75ec4ull
#define TAKEN  64

static mfn_t stolen_table, mapping_l1, taken[TAKEN];

/* In the middle of an emulated store: another vcpu gives the table back, and another domain gets its memory. */
static void give_table_away(void)
{
	fake_copy_hook = NULL;
	fake_set_cpu(1);
	if (pt_entry_write(&d1->mm, &d1->mm, mfn_to_maddr(mapping_l1), 0, PT_WRITE, NULL) ||
	    pt_unpin(&d1->mm, stolen_table) || domain_frame_release(&d1->mm, stolen_table))
		abort();
	for (unsigned n = 0; n < TAKEN; n++) {
		taken[n] = fake_pv_frame(d2);
		fake_pv_store(d2, taken[n], 0, SECRET);
	}
	fake_set_cpu(0);
}

static void emulated_store_reads_no_foreign_memory(void)
{
	static const uint8_t cmpxchg[] = { 0x48, 0x0f, 0xb1, 0x0b }; /* cmpxchg %rcx, (%rbx) */
	struct cpu_user_regs regs = { .rax = 0x1111111111111111, .rip = 0x100 };
	struct vcpu *v = d1->vcpus[0];
	struct fake_pv_tree t;

	begin();
	cpu_set_current(v);
	/* An L1 table that is pinned by itself, and mapped read-only at address 0. */
	stolen_table = fake_pv_frame(d1);
	CHECK_THAT(!pt_pin(&d1->mm, stolen_table, PTYPE_L1));
	t = fake_pv_tree(d1, stolen_table, LEAF_FLAGS & ~PTE_RW);
	CHECK_THAT(!pt_get(&d1->mm, t.l4, PTYPE_L4, false));
	mapping_l1 = t.l1;
	v->l4_kernel = t.l4;
	memcpy(fake_guest + 0x100, cmpxchg, sizeof(cmpxchg));
	d1->vm_assist = 1u << VMASST_TYPE_writable_pagetables;
	fake_copy_hook = give_table_away;
	(void)pv_emulate_table_write(v, &regs, GVA(0));
	CHECK_THAT(!fake_copy_hook);
	CHECK_THAT(regs.rax != SECRET);
	for (unsigned n = 0; n < TAKEN; n++)
		CHECK_THAT(!domain_frame_release(&d2->mm, taken[n]));
	v->l4_kernel = INVALID_MFN;
	CHECK_THAT(!pt_put(&d1->mm, t.l4, false));
	verdict("an emulated store sees nothing of a table that was given away meanwhile");
}

/* One instruction of the guest's at 0x100, which stores to address 8: the L1 table's second entry, or what is there. */
static bool store_to_table(struct vcpu *v, struct cpu_user_regs *regs, const char *code, size_t bytes)
{
	memset(fake_guest + 0x100, 0xf1, 32);
	memcpy(fake_guest + 0x100, code, bytes);
	regs->rip = 0x100;
	return pv_emulate_table_write(v, regs, GVA(8));
}

#define STORE(code) store_to_table(v, &regs, code, sizeof(code) - 1)

/* The usual ones and their like, which all end at the same entry, or are refused. */
static void stores_to_tables(void)
{
	struct vcpu *v = d1->vcpus[0];
	mfn_t l1 = fake_pv_frame(d1), page = fake_pv_frame(d1), old_l4 = v->l4_kernel;
	uint64_t e = page.m << PAGE_SHIFT | PTE_P | PTE_US, *entry = (uint64_t *)mfn_map_own(l1) + 1;
	struct cpu_user_regs regs = { .rbx = 8, .rax = e, .r13 = 0x80, .rcx = e | PTE_RW };
	struct fake_pv_tree t;

	begin();
	cpu_set_current(v);
	CHECK_THAT(!pt_pin(&d1->mm, l1, PTYPE_L1));
	t = fake_pv_tree(d1, l1, LEAF_FLAGS & ~PTE_RW);
	CHECK_THAT(!pt_get(&d1->mm, t.l4, PTYPE_L4, false));
	v->l4_kernel = t.l4;
	d1->vm_assist = ~(1ull << VMASST_TYPE_writable_pagetables);
	CHECK_THAT(!STORE("\x48\x89\x03") && *entry == 0 && regs.rip == 0x100);
	d1->vm_assist = 1u << VMASST_TYPE_writable_pagetables;
	CHECK_THAT(STORE("\x48\x89\x03") && *entry == e && regs.rip == 0x103 && regs.rax == e);
	CHECK_THAT(STORE("\x48\x87\x0b") && *entry == (e | PTE_RW) && regs.rcx == e && regs.rip == 0x103);
	CHECK_THAT(STORE("\x49\x87\x4d\x88") && *entry == e && regs.rcx == (e | PTE_RW) && regs.rip == 0x104);
	/* LOCK before it is the same, and goes the long way. */
	CHECK_THAT(STORE("\xf0\x48\x87\x0b") && *entry == (e | PTE_RW) && regs.rcx == e);
	/* Half of it, at another address than the one that faulted, or relative to a segment: not the usual one, or none at all. */
	regs.rcx = 0;
	CHECK_THAT(STORE("\x89\x0b") && *entry == 0);
	CHECK_THAT(!STORE("\x48\x89\x43\x08") && !STORE("\x65\x48\x89\x03") && !STORE("\x48\x8b\x03"));
	regs.rbx = 9;
	CHECK_THAT(!STORE("\x48\x89\x03") && *entry == 0);
	CHECK_THAT(!pv_emulate_table_write(v, &regs, GVA(9)) && *entry == 0);
	/* What validation refuses is the guest's fault, and nothing has changed. */
	regs.rbx = 8;
	regs.rcx = l1.m << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US;
	CHECK_THAT(!STORE("\x48\x87\x0b") && *entry == 0 && regs.rip == 0x100 &&
	           regs.rcx == (l1.m << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US));
	CHECK_THAT(!STORE("\x48\x89\x0b") && *entry == 0 && regs.rip == 0x100);
	v->l4_kernel = old_l4;
	CHECK_THAT(!pt_put(&d1->mm, t.l4, false));
	verdict("stores to a page table by instructions that are usual, and by others");
}

static void leaf_entries(void)
{
	struct fake_pv_tree t = fake_pv_tree(d1, fake_pv_frame(d1), LEAF_FLAGS);
	uint64_t *l1 = mfn_map_own(t.l1), *l2 = mfn_map_own(t.l2), link = l2[0];

	begin();
	l1[1] = 0x200;
	CHECK_THAT(pt_leaf(t.l4, GVA(0)) == l1[0] && pt_leaf(t.l4, GVA(0x1000)) == 0x200);
	CHECK_THAT(!pt_leaf(t.l4, GVA(1ull << 21)) && !pt_leaf(t.l4, GVA(1ull << 30)));
	CHECK_THAT(!pt_leaf(t.l4, GVA(1ull << 39)) && !pt_leaf(INVALID_MFN, GVA(0)));
	l2[0] = link | PTE_PSE;
	CHECK_THAT(!pt_leaf(t.l4, GVA(0)));
	l2[0] = link & ~PTE_P;
	CHECK_THAT(!pt_leaf(t.l4, GVA(0)));
	l2[0] = link | 1ull << 45;
	CHECK_THAT(!pt_leaf(t.l4, GVA(0)));
	l2[0] = link;
	CHECK_THAT(pt_leaf(t.l4, GVA(0)) == l1[0]);
	verdict("the entry that maps an address is found, and none where a table is missing, a superpage, or no memory");
}

/* ---- lengths ---- */

/* REX.W overrides the operand-size prefix, also for the length of an immediate (SDM Vol. 2, 2.2.1.2). */
static void immediate_behind_both_size_prefixes(void)
{
	static const uint8_t add[15] = {
		0x66, 0x48, 0x81, 0x03, 0x11, 0x22, 0x33, 0x44
	}; /* add $0x44332211, (%rbx) */
	struct cpu_user_regs regs = { .rbx = 0x1000 };
	struct insn insn;

	begin();
	CHECK_THAT(!insn_decode(add, sizeof(add), &regs, true, &insn));
	CHECK_THAT(insn.length == 8 && insn.operand_bytes == 8 && insn.immediate == 0x44332211);
	verdict("the immediate behind an operand-size prefix and REX.W has four bytes");
}

/* Each first byte, opcode and ModRM, with a displacement that is negative: what the short decoder takes is what it is. */
static void usual_stores(void)
{
	struct cpu_user_regs regs = { .rip = 0x100 };
	unsigned usual = 0, wrong = 0;

	for (unsigned i = 0; i < 16; i++)
		insn_reg_write(&regs, i, 8, 0x1111111100000000ull * i + 0x1000 * i);
	begin();
	for (unsigned n = 0; n < 1u << 24; n++) {
		uint64_t code = n | 0x99887766f5000000ull;
		struct insn_store store;
		struct insn insn;

		if (!insn_decode_store(code, &regs, &store))
			continue;
		usual++;
		wrong += insn_decode((const uint8_t *)&code, 8, &regs, true, &insn) ||
		         insn.reg != store.reg || insn.opcode != (store.exchange ? 0x87 : 0x89) ||
		         insn.operand_bytes != 8 || insn.address != store.address ||
		         insn.length != store.length || insn.segment || insn.lock || insn.rep || insn.repne ||
		         !insn.is_memory || insn.address_bytes != 8;
	}
	/* REX.W with three more bits, two opcodes, eight registers, three kinds of addresses by seven registers, but rip. */
	CHECK_THAT(usual == 8 * 2 * 8 * (3 * 7 - 1) && !wrong);
	verdict("the short decoder of stores to tables agrees with the long one");
}

/* ---- guest addresses ---- */

static void clamped_addresses(void)
{
	static const uint64_t guests[] = {
		0, 0x1000, 0x00007fffffffffff, HV_VIRT_END, HV_VIRT_END + 1, ~0ull
	};
	static const uint64_t others[] = { 0x0000800000000000, 0x8000000000000000, 0xffff7fffffffffff,
		                           M2P_RO_BASE,        DIRECTMAP_BASE,     HV_VIRT_END - 1 };
	uint64_t a;

	begin();
	for (unsigned i = 0; i < ARRAY_SIZE(guests); i++)
		CHECK_THAT(guest_address_nospec(guests[i]) == guests[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
		CHECK_THAT(guest_address_nospec(others[i]) == HV_VIRT_END);
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		a = others[i];
		CHECK_THAT(!guest_words_begin(&a, 8));
		a = others[i] - 4;
		CHECK_THAT(guest_words_begin(&a, 8) == false);
	}
	a = ~0ull - 7;
	CHECK_THAT(guest_words_begin(&a, 8) && a == ~0ull - 7);
	CHECK_THAT(!guest_words_begin(&a, 9));
	verdict("an address that is not the guest's is none of the hypervisor's under speculation either");
}

/* ---- ports ---- */

static mfn_t bitmap_read_on;

static void note_tables(void)
{
	bitmap_read_on = fake_loaded(this_cpu());
}

/* The I/O bitmap lies in the guest's kernel: user mode's tables need not have it, or have something else there. */
static void io_bitmap_is_the_kernels(void)
{
	static const uint8_t in_dx[] = { 0xec };
	struct cpu_user_regs regs = { .rip = 0x100, .rdx = 0x70, .rax = 0 };
	struct insn insn;
	struct vcpu *v = d1->vcpus[1];
	struct fake_pv_tree kernel = give_tables(v), user = fake_pv_tree(d1, fake_pv_frame(d1), LEAF_FLAGS);
	uint64_t ports[1024] = { [1] = ~0ull };

	begin();
	if (pt_get(&d1->mm, user.l4, PTYPE_L4, false))
		abort();
	v->l4_user = user.l4;
	v->pv.kernel_mode = false;
	cpu_set_current(v);
	pv_load_address_space(v);
	CHECK_THAT(fake_loaded(0).m == user.l4.m);
	d1->ioports = ports;
	memset(fake_guest + 0x1000, 0xff, 8192);
	fake_guest[0x1000 + 0x70 / 8] = 0xfe;
	set_xen_guest_handle(v->pv.iobmp, (uint8_t *)0x1000);
	v->pv.iobmp_limit = 65536;
	CHECK_THAT(!insn_decode(in_dx, sizeof(in_dx), &regs, true, &insn));
	bitmap_read_on = INVALID_MFN;
	fake_copy_hook = note_tables;
	CHECK_THAT(pv_emulate_io(v, &regs, &insn));
	CHECK_THAT(bitmap_read_on.m == kernel.l4.m);
	CHECK_THAT(fake_loaded(0).m == user.l4.m && !v->pv.kernel_mode);
	CHECK_THAT((regs.rax & 0xff) == (~0x70 & 0xff) && regs.rip == 0x101);
	regs.rdx = 0x71;
	CHECK_THAT(!pv_emulate_io(v, &regs, &insn));
	fake_copy_hook = NULL;
	d1->ioports = NULL;
	verdict("the I/O bitmap of a user program is read in its kernel's address space");
}

int main(void)
{
	fake_init(4096, 0);
	d0 = fake_pv_domain(0, 1);
	d1 = fake_pv_domain(1, 4);
	d2 = fake_pv_domain(2, 1);
	(void)d0;
	tap_plan(16);
	emulated_store_reads_no_foreign_memory();
	refused_context_is_given_up_in_slices();
	reduced_tables_are_not_older_than_the_flush();
	reduced_tables_are_no_successors();
	reduced_tables_of_a_copy();
	reduced_tables_hide_the_m2p();
	give_tables(d1->vcpus[0]);
	give_tables(d1->vcpus[3]);
	give_tables(d2->vcpus[0]);
	switch_between_domains_keeps_a_gdt();
	barrier_between_domains_across_idle();
	spec_ctrl_of_each_vcpu();
	tables_of_the_fast_paths();
	io_bitmap_is_the_kernels();
	clamped_addresses();
	immediate_behind_both_size_prefixes();
	usual_stores();
	stores_to_tables();
	leaf_entries();
	return tap_end();
}
