/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exceptions that a guest's own execution raised: some are the hypervisor's to fix (page-table writes,
 * privileged instructions, INT n), all others go to the guest's kernel as they are.
 */
#include "pv/pv.h"
#include "hw/fpu.h"
#include "hw/rflags.h"
#include "hw/tlb.h"
#include "hw/trace.h"
#include "hw/uaccess.h"
#include "hw/upward.h"
#include "lib/log.h"
#include "mm/shadow.h"
#include "pv/address.h"
#include "pv/bounce.h"
#include "pv/emulate.h"
#include "pv/trace.h"

/* Of a shadowed domain: whether what the guest's own tables allow was missing in the shadows. */
static bool fault_of_shadows(struct vcpu *v, gva_t cr2, uint32_t *error_code, bool wait)
{
	struct domain_mm *mm = &v->domain->mm;
	bool mapped = mm->shadowed && !(*error_code & PF_RSVD) &&
	              shadow_fault(mm, v->pv.kernel_mode ? v->l4_kernel : v->l4_user, cr2, error_code, wait);

	if (unlikely(!mapped && !wait))
		v->pv.areas_missed = true;
	return mapped;
}

bool guest_access_fault(gva_t va, uint32_t error_code, bool wait)
{
	struct vcpu *v = current_vcpu();

	return !v->is_idle && fault_of_shadows(v, va, &error_code, wait);
}

static void page_fault(struct vcpu *v, struct cpu_user_regs *regs)
{
	gva_t cr2 = GVA(cr2_read());
	uint32_t error_code = regs->error_code;

	irq_enable();
	if (unlikely(fault_of_shadows(v, cr2, &error_code, true)))
		return;
	if (unlikely(v->domain->xpti) && pv_refresh_copies(v)) {
		if (trace_on())
			pv_trace_addresses(TRC_PV_PAGING_FIXUP, regs->rip, cr2.v);
		return;
	}
	if ((error_code & (PF_PRESENT | PF_WRITE | PF_RSVD)) == (PF_PRESENT | PF_WRITE) && pv_in_kernel(v) &&
	    pv_emulate_table_write(v, regs, cr2))
		return;
	pv_inject_page_fault(v, cr2, error_code);
}

/* INT n is told from the instruction itself: the error code's index is not to be relied on under every emulator. */
static bool software_interrupt(struct vcpu *v, struct cpu_user_regs *regs)
{
	uint8_t insn[2];

	if ((regs->error_code & 7) != 2 || guest_copy_in(insn, GVA(regs->rip), 2) || insn[0] != 0xcd)
		return false;
	return pv_software_interrupt(v, insn[1], 2);
}

static void general_protection(struct vcpu *v, struct cpu_user_regs *regs)
{
	irq_enable();
	if (regs->error_code) {
		if (software_interrupt(v, regs))
			return;
	} else if (pv_emulate_privileged(v, regs)) {
		if (trace_on())
			pv_trace_address(TRC_PV_EMULATE_PRIVOP, regs->rip);
		return;
	}
	pv_inject_exception(v, TRAP_GP, regs->error_code);
}

static void debug(struct vcpu *v)
{
	v->pv.dr[6] |= dr6_take() & 0xe00f;
	irq_enable();
	pv_inject_exception(v, TRAP_DB, 0);
}

/* CR0.TS is the guest's wish for this trap, once: it finds the flag clear in its handler, and need not clear
 * it by a hypercall of its own (as under Xen). */
static void no_fpu(struct vcpu *v)
{
	bool wanted = v->pv.cr0_ts_em;

	v->pv.cr0_ts_em = 0;
	fpu_stts(false);
	irq_enable();
	if (wanted)
		pv_inject_exception(v, TRAP_NM, 0);
	else if (trace_on())
		trace_record(TRC_PV_MATH_STATE_RESTORE, true, NULL, 0);
}

void trap_from_guest(struct cpu_user_regs *regs)
{
	struct vcpu *v = current_vcpu();

	switch (regs->entry_vector) {
	case TRAP_PF:
		page_fault(v, regs);
		return;
	case TRAP_GP:
		general_protection(v, regs);
		return;
	case TRAP_UD:
		irq_enable();
		if (!pv_emulate_forced_cpuid(v, regs))
			pv_inject_exception(v, TRAP_UD, 0);
		return;
	case TRAP_DB:
		debug(v);
		return;
	case TRAP_NM:
		no_fpu(v);
		return;
	case 0x80:
		/* INT 0x80 has a gate of its own: the fast way for 32-bit programs. The processor is past it
		 * already. */
		regs->rip -= 2;
		irq_enable();
		if (!pv_software_interrupt(v, 0x80, 2))
			pv_inject_exception(v, TRAP_GP, 0x80 * 8 + 2);
		return;
	default:
		irq_enable();
		pv_inject_exception(v, regs->entry_vector, regs->error_code);
	}
}
