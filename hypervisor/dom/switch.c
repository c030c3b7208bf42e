/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From one vcpu to another on this CPU, whatever kinds of guest they belong to: the idle vcpus', and what keeps two
 * domains apart in the CPU itself.
 */
#include "dom/switch.h"
#include "dom/guest.h"
#include "hw/desc.h"
#include "hw/smp.h"
#include "hw/spec.h"
#include "hw/tlb.h"
#include "mm/boot.h"
#include "mm/heap.h"

#define MSR_PRED_CMD 0x49

/* Whose branches each CPU has seen last; the idle vcpus' do not count. */
static const struct domain *predicts[NR_CPUS];

void switch_forget(const struct domain *d)
{
	for (unsigned cpu = 0; cpu < NR_CPUS; cpu++)
		if (READ_ONCE(predicts[cpu]) == d)
			WRITE_ONCE(predicts[cpu], NULL);
}

/* Indirect branches that one domain has trained are not another one's (SDM Vol. 4, IA32_PRED_CMD). */
static void prediction_barrier(const struct domain *next)
{
	const struct domain **last = &predicts[this_cpu()];

	if (*last != next && spec_policy.ibpb_on_switch)
		wrmsr(MSR_PRED_CMD, 1);
	WRITE_ONCE(*last, next);
}

static void idle_enter(void)
{
	struct cpu_info *info = cpu_info();

	info->hv_cr3 = info->guest_cr3 = info->fast_cr3[0] = info->fast_cr3[1] = 0;
	ldt_load(0, 0);
	gdt_load_hv();
	cr3_load(mfn_to_maddr(pt_idle_l4()).a);
}

static void idle_loop(void)
{
	for (;;) {
		irq_enable();
		work_run();
		if (heap_scrub())
			continue;
		irq_disable();
		if (!work_pending())
			cpu_halt();
	}
}

void vcpu_switch(struct vcpu *prev, struct vcpu *next)
{
	if (!prev->is_idle)
		prev->domain->kind->leave(prev);
	cpu_set_current(next);
	if (next->is_idle) {
		idle_enter();
	} else {
		/* GDTR points into the window of the domain before, and the next one's need not have that page: an
		 * exception before enter() is through would find no code segment. */
		if (!prev->is_idle && prev->domain != next->domain)
			gdt_load_hv();
		cpumask_set(&next->domain->mm.dirty_cpus, this_cpu());
		next->domain->kind->enter(next);
		prediction_barrier(next->domain);
	}
	if (!prev->is_idle && prev->domain != next->domain)
		cpumask_clear(&prev->domain->mm.dirty_cpus, this_cpu());
	__atomic_store_n(&prev->running, false, __ATOMIC_RELEASE);
	if (next->is_idle)
		stack_reset_and_call(idle_loop);
	exit_to_guest();
}
