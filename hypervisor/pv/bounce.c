/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entry into a guest's kernel: the exception frame on its stack, and the return from it.
 *
 * A 64-bit paravirtual kernel runs in ring 3 like its user mode; the frame tells them apart by the RPL of the saved CS
 * (0: kernel). Above the processor's frame lie RCX and R11, which SYSRET destroys. The saved CS slot carries the event
 * mask in its bits 32 to 39 (struct cpu_user_regs), RFLAGS.IF its complement.
 */
#include "pv/pv.h"
#include "lib/log.h"
#include "hw/entry.h"
#include "hw/rflags.h"
#include "hw/trap.h"
#include "hw/uaccess.h"

enum extra { EXTRA_NONE, EXTRA_ERROR_CODE, EXTRA_SEGMENTS };

struct bounce {
	uint64_t address;
	uint32_t error_code;
	enum extra extra;
	bool mask_events;
};

/*
 * 1. Kernel or user: the stack it goes on, the saved CS's RPL; from user mode the kernel's tables come in.
 * 2. The frame, in one copy to the guest's stack, which may fault.
 * 3. New registers: flat segments, so that the way out cannot fault.
 */
static void bounce_to(struct vcpu *v, const struct bounce *b)
{
	struct cpu_user_regs *regs = &cpu_info()->regs;
	uint64_t frame[12], *f = frame, sp = regs->rsp, rflags = regs->rflags & ~(uint64_t)(RFLAGS_IF | RFLAGS_IOPL);
	uint16_t cs = regs->cs;
	uint8_t mask = READ_ONCE(v->info->evtchn_upcall_mask);
	size_t bytes;

	if (pv_in_kernel(v)) {
		cs &= ~3;
	} else {
		pv_toggle_mode(v);
		sp = v->pv.kernel_sp;
	}
	if (!mask)
		rflags |= RFLAGS_IF;
	if (unlikely(v->domain->vm_assist & (1u << VMASST_TYPE_architectural_iopl)))
		rflags |= v->pv.iopl << 12;

	*f++ = regs->rcx;
	*f++ = regs->r11;
	if (b->extra == EXTRA_ERROR_CODE) {
		*f++ = b->error_code;
	} else if (b->extra == EXTRA_SEGMENTS) {
		*f++ = v->pv.ds;
		*f++ = v->pv.es;
		*f++ = v->pv.fs;
		*f++ = v->pv.gs;
	}
	*f++ = regs->rip;
	*f++ = cs | (uint64_t)(mask & 1) << 32;
	*f++ = rflags;
	*f++ = regs->rsp;
	*f++ = regs->ss;

	bytes = (size_t)((char *)f - (char *)frame);
	sp = (sp & ~15ull) - bytes;
	if (unlikely(guest_copy_out(GVA(sp), frame, bytes))) {
		domain_crash(v->domain, "vcpu %u: no room for a trap frame at stack %#lx (rip %#lx, handler %#lx)", v->id,
			     sp, regs->rip, b->address);
		return;
	}
	if (b->mask_events)
		WRITE_ONCE(v->info->evtchn_upcall_mask, 1);
	regs->rsp = sp;
	regs->rip = b->address;
	regs->cs = SEL_RING3_CS64;
	regs->ss = SEL_RING3_DS;
	regs->rflags = (regs->rflags & ~(uint64_t)(RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC | RFLAGS_DF | RFLAGS_IOPL)) |
		       RFLAGS_IF | RFLAGS_ONE;
	regs->entry_vector = ENTRY_SYSCALL;
}

static bool has_error_code(unsigned vector)
{
	return (1u << vector & (1u << 8 | 0x1fu << 10 | 1u << 17 | 1u << 21)) != 0;
}

void pv_inject_exception(struct vcpu *v, unsigned vector, uint32_t error_code)
{
	const struct trap_gate *gate = &v->pv.traps[vector];
	struct bounce b = { .address = gate->address,
			    .error_code = error_code,
			    .extra = vector < 32 && has_error_code(vector) ? EXTRA_ERROR_CODE : EXTRA_NONE,
			    .mask_events = gate->mask_events };

	if (!gate->address) {
		domain_crash(v->domain, "vcpu %u: no handler for trap %u, error code %#x (rip %#lx)", v->id, vector,
			     error_code, cpu_info()->regs.rip);
		return;
	}
	bounce_to(v, &b);
}

void pv_inject_page_fault(struct vcpu *v, gva_t cr2, uint32_t error_code)
{
	error_code &= ~PF_USER;
	if (!pv_in_kernel(v))
		error_code |= PF_USER;
	v->pv.cr2 = cr2.v;
	v->info->arch.cr2 = cr2.v;
	pv_inject_exception(v, TRAP_PF, error_code);
}

bool pv_software_interrupt(struct vcpu *v, unsigned vector, unsigned insn_bytes)
{
	const struct trap_gate *gate = &v->pv.traps[index_nospec(vector, 256)];
	struct bounce b = { .address = gate->address, .mask_events = gate->mask_events };

	if (!gate->address || (gate->dpl < 3 && !pv_in_kernel(v)))
		return false;
	cpu_info()->regs.rip += insn_bytes;
	bounce_to(v, &b);
	return true;
}

/* ---- entries that the guest registered by themselves ---- */

void syscall_from_guest(struct cpu_user_regs *regs)
{
	struct vcpu *v = current_vcpu();

	if (pv_in_kernel(v)) {
		irq_enable();
		hypercall_from_guest(v, regs);
		return;
	}
	if (unlikely(!v->pv.syscall_callback)) {
		regs->rip -= 2;
		pv_inject_exception(v, TRAP_UD, 0);
		return;
	}
	bounce_to(v, &(struct bounce){ .address = v->pv.syscall_callback, .mask_events = v->pv.syscall_masks_events });
}

void syscall32_from_guest(struct cpu_user_regs *regs)
{
	struct vcpu *v = current_vcpu();

	if (!v->pv.syscall32_callback || pv_in_kernel(v)) {
		regs->rip -= 2;
		pv_inject_exception(v, TRAP_UD, 0);
		return;
	}
	bounce_to(v, &(struct bounce){ .address = v->pv.syscall32_callback,
				       .mask_events = v->pv.syscall32_masks_events });
}

void sysenter_from_guest(struct cpu_user_regs *regs)
{
	struct vcpu *v = current_vcpu();

	(void)regs;
	if (!v->pv.sysenter_callback || pv_in_kernel(v)) {
		pv_inject_exception(v, TRAP_GP, 0);
		return;
	}
	bounce_to(v, &(struct bounce){ .address = v->pv.sysenter_callback, .mask_events = v->pv.sysenter_masks_events });
}

static void failsafe(struct vcpu *v)
{
	if (!v->pv.failsafe_callback) {
		domain_crash(v->domain, "vcpu %u: the return to %#lx faulted and there is no failsafe callback", v->id,
			     cpu_info()->regs.rip);
		return;
	}
	bounce_to(v, &(struct bounce){ .address = v->pv.failsafe_callback,
				       .extra = EXTRA_SEGMENTS,
				       .mask_events = v->pv.failsafe_masks_events });
}

static uint16_t segment_ds(void)
{
	uint16_t s;

	__asm__ volatile("mov %%ds, %0" : "=r"(s));
	return s;
}

static uint16_t segment_es(void)
{
	uint16_t s;

	__asm__ volatile("mov %%es, %0" : "=r"(s));
	return s;
}

static uint16_t segment_fs(void)
{
	uint16_t s;

	__asm__ volatile("mov %%fs, %0" : "=r"(s));
	return s;
}

static uint16_t segment_gs(void)
{
	uint16_t s;

	__asm__ volatile("mov %%gs, %0" : "=r"(s));
	return s;
}

void exit_fault_from_guest(struct cpu_user_regs *regs)
{
	struct vcpu *v = current_vcpu();

	(void)regs;
	v->pv.ds = segment_ds();
	v->pv.es = segment_es();
	v->pv.fs = segment_fs();
	v->pv.gs = segment_gs();
	failsafe(v);
}

void guest_exit_prepare(struct cpu_user_regs *regs)
{
	struct vcpu *v = current_vcpu();

	(void)regs;
	if (unlikely(v->pv.failsafe_pending)) {
		v->pv.failsafe_pending = false;
		failsafe(v);
	}
	if (unlikely(v->pv.nmi_pending) && !v->pv.nmi_masked && v->pv.traps[TRAP_NMI].address) {
		v->pv.nmi_pending = false;
		v->pv.nmi_masked = true;
		bounce_to(v, &(struct bounce){ .address = v->pv.traps[TRAP_NMI].address, .mask_events = true });
	}
	if (vcpu_event_pending(v))
		bounce_to(v, &(struct bounce){ .address = v->pv.event_callback, .mask_events = true });
}
