/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a hypercall enters: number in RAX, arguments in RDI, RSI, RDX, R10, R8, R9, result in RAX
 * (xen/arch-x86/xen-x86_64.h). IRET comes here as the last entry of a multicall only (pv/bounce.c).
 * docs/abi.md lists what each one supports. A number without a handler answers -ENOSYS.
 */
#include "hypercall/hypercall.h"
#include "hw/smp.h"
#include "hw/trace.h"
#include "pv/bounce.h"
#include "pv/trace.h"
#include "pv/upward.h"
#include <xen/xen.h>
#include <xen/arch-x86/xen-mca.h>

static hc_fn *const handlers[] = {
	[__HYPERVISOR_set_trap_table] = hc_set_trap_table,
	[__HYPERVISOR_mmu_update] = hc_mmu_update,
	[__HYPERVISOR_set_gdt] = hc_set_gdt,
	[__HYPERVISOR_stack_switch] = hc_stack_switch,
	[__HYPERVISOR_set_callbacks] = hc_set_callbacks,
	[__HYPERVISOR_fpu_taskswitch] = hc_fpu_taskswitch,
	[__HYPERVISOR_sched_op_compat] = hc_sched_op_compat,
	[__HYPERVISOR_platform_op] = hc_platform_op,
	[__HYPERVISOR_set_debugreg] = hc_set_debugreg,
	[__HYPERVISOR_get_debugreg] = hc_get_debugreg,
	[__HYPERVISOR_update_descriptor] = hc_update_descriptor,
	[__HYPERVISOR_memory_op] = hc_memory_op,
	[__HYPERVISOR_multicall] = hc_multicall,
	[__HYPERVISOR_update_va_mapping] = hc_update_va_mapping,
	[__HYPERVISOR_set_timer_op] = hc_set_timer_op,
	[__HYPERVISOR_event_channel_op_compat] = hc_event_channel_op_compat,
	[__HYPERVISOR_xen_version] = hc_xen_version,
	[__HYPERVISOR_console_io] = hc_console_io,
	[__HYPERVISOR_physdev_op_compat] = hc_physdev_op_compat,
	[__HYPERVISOR_grant_table_op] = hc_grant_table_op,
	[__HYPERVISOR_vm_assist] = hc_vm_assist,
	[__HYPERVISOR_update_va_mapping_otherdomain] = hc_update_va_mapping_otherdomain,
	[__HYPERVISOR_vcpu_op] = hc_vcpu_op,
	[__HYPERVISOR_set_segment_base] = hc_set_segment_base,
	[__HYPERVISOR_mmuext_op] = hc_mmuext_op,
	[__HYPERVISOR_sched_op] = hc_sched_op,
	[__HYPERVISOR_callback_op] = hc_callback_op,
	[__HYPERVISOR_event_channel_op] = hc_event_channel_op,
	[__HYPERVISOR_physdev_op] = hc_physdev_op,
	[__HYPERVISOR_sysctl] = hc_sysctl,
	[__HYPERVISOR_domctl] = hc_domctl,
	[__HYPERVISOR_hvm_op] = hc_hvm_op,
	[__HYPERVISOR_hypfs_op] = hc_hypfs_op,
	[__HYPERVISOR_dm_op] = hc_dm_op,
	[__HYPERVISOR_mca] = hc_mca,
};

static inline int64_t call(uint64_t number, struct hc_args *a)
{
	hc_fn *handler;

	if (unlikely(number >= ARRAY_SIZE(handlers)))
		return -ENOSYS;
	handler = handlers[index_nospec(number, ARRAY_SIZE(handlers))];
	return likely(handler) ? handler(a) : -ENOSYS;
}

/* Whether the call was preempted: what it goes on with is in its arguments then. What a debug register holds, or rax
 * after the IRET that ends a list (its count is 0 then), is the guest's choice: it is not taken for a preemption. */
static inline bool preempted(uint64_t number, int64_t result, const struct hc_args *a)
{
	return unlikely(result == -ERESTART_HV) && number != __HYPERVISOR_get_debugreg &&
	       (number != __HYPERVISOR_multicall || a->arg[1]);
}

void hypercall_from_guest(struct vcpu *v, struct cpu_user_regs *regs)
{
	struct hc_args a = { { regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9 } };
	uint64_t number = regs->rax;
	int64_t result;

	(void)v;
	if (trace_on())
		pv_trace_hypercall(TRC_PV_HYPERCALL_V2, number, a.arg);
	result = call(number, &a);
	if (preempted(number, result, &a)) {
		regs->rdi = a.arg[0];
		regs->rsi = a.arg[1];
		regs->rdx = a.arg[2];
		regs->r10 = a.arg[3];
		regs->r8 = a.arg[4];
		regs->r9 = a.arg[5];
		regs->rip -= 2; /* SYSCALL */
		return;
	}
	regs->rax = (uint64_t)result;
}

/* IRET as an entry: the frame on the guest's stack is taken and the list ends here, whatever follows. The
 * result is told as far as the guest's mode that comes next can be reached, and what rax becomes is an int,
 * as Xen has it. */
static int64_t multicall_iret(gva_t result_at)
{
	struct cpu_user_regs *regs = &cpu_info()->regs;
	int64_t result;

	pv_iret(current_vcpu(), regs);
	result = (int64_t)regs->rax;
	return guest_copy_out(result_at, &result, sizeof(result)) ? (int32_t)regs->rax : (int32_t)result;
}

/*
 * multicall(entries, count). An entry that was preempted is rewritten with its new arguments and the list
 * continues from it. A multicall within is no call that a list may hold.
 */
int64_t hc_multicall(struct hc_args *a)
{
	gva_t list = GVA(a->arg[0]);
	uint64_t count = (uint32_t)a->arg[1];

	if (!guest_range_ok(list, 1))
		return -EFAULT;
	for (uint64_t i = 0; i < count; i++) {
		gva_t at = GVA(list.v + i * sizeof(struct multicall_entry));
		gva_t result_at = GVA(at.v + offsetof(struct multicall_entry, result));
		struct multicall_entry e;
		struct hc_args inner;
		int64_t result;

		if (i && work_pending()) {
			a->arg[0] = at.v;
			a->arg[1] = count - i;
			return -ERESTART_HV;
		}
		if (guest_copy_in(&e, at, sizeof(e)))
			return -EFAULT;
		if (trace_on())
			pv_trace_hypercall(TRC_PV_HYPERCALL_SUBCALL, e.op, e.args);
		if (e.op == __HYPERVISOR_iret) {
			a->arg[1] = 0;
			return multicall_iret(result_at);
		}
		for (unsigned n = 0; n < 6; n++)
			inner.arg[n] = e.args[n];
		result = e.op != __HYPERVISOR_multicall ? call(e.op, &inner) : -EINVAL;
		if (preempted(e.op, result, &inner)) {
			for (unsigned n = 0; n < 6; n++)
				e.args[n] = inner.arg[n];
			if (guest_copy_out(at, &e, sizeof(e)))
				return -EFAULT;
			a->arg[0] = at.v;
			a->arg[1] = count - i;
			return -ERESTART_HV;
		}
		if (guest_copy_out(result_at, &result, sizeof(result)))
			return -EFAULT;
	}
	return 0;
}
