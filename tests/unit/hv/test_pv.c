/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Address spaces, switches of vcpus, contexts, and emulated instructions of paravirtual guests. */
#include "mm/internal.h"
#include "hw/spec.h"
#include "dom/sched.h"
#include "fake/pv.h"
#include <xen/grant_table.h>

#define LEAF_FLAGS (PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D)
#define MSR_PRED_CMD 0x49
#define CHECK_THAT(x) \
	do { \
		if (!(x)) { \
			printf("# line %d: %s\n", __LINE__, #x); \
			good = false; \
		} \
	} while (0)

static bool good;
static struct domain *d0, *d1, *d2;

static void begin(void)
{
	good = true;
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
 * The new vcpu's runstate area is written when its tables are loaded and may fault, and an NMI comes when it likes: both
 * need a GDT. That of the vcpu before lies in a window that the other domain does not have.
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
	tap_ok(good, "at a switch between domains there is a GDT at each instruction");
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
	pv_domain_destroy(d1);
	fake_pv_switch(idle, d1->vcpus[0]);
	CHECK_THAT(barriers() == 1);
	fake_pv_switch(d1->vcpus[0], idle);
	tap_ok(good, "branch predictions of one domain do not reach another one that runs after an idle time");
}

int main(void)
{
	fake_init(4096, 0);
	d0 = fake_pv_domain(0, 1);
	d1 = fake_pv_domain(1, 4);
	d2 = fake_pv_domain(2, 1);
	(void)d0;
	tap_plan(2);
	give_tables(d1->vcpus[0]);
	give_tables(d1->vcpus[3]);
	give_tables(d2->vcpus[0]);
	switch_between_domains_keeps_a_gdt();
	barrier_between_domains_across_idle();
	return tap_done();
}
