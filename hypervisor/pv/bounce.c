/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entry into a guest's kernel: the exception frame on its stack, and the return from it.
 *
 * A 64-bit paravirtual kernel runs in ring 3 like its user mode; the frame tells them apart by the RPL of the
 * saved CS (0: kernel). Above the processor's frame lie RCX and R11, which SYSRET destroys. The saved CS slot
 * carries the event mask in its bits 32 to 39 (struct cpu_user_regs), RFLAGS.IF its complement.
 */
#include "pv/bounce.h"
#include "hw/smp.h"
#include "hw/upward.h"
#include "pv/address.h"
#include "pv/pv.h"
#include "lib/log.h"
#include "hw/entry.h"
#include "hw/rflags.h"
#include "hw/trace.h"
#include "hw/uaccess_words.h"
#include "pv/switch.h"
#include "pv/trace.h"
#include "pv/upward.h"

enum extra { EXTRA_NONE, EXTRA_ERROR_CODE, EXTRA_SEGMENTS };

struct bounce {
	uint64_t address;
	uint32_t error_code;
	enum extra extra;
	bool mask_events;
};

/* Writes the frame upwards from sp; false where the guest's stack cannot be written (96 bytes from sp must be
 * the guest's). */
static bool trap_frame_put(uint64_t sp, const struct bounce *b, const struct vcpu *v,
                           const struct cpu_user_regs *regs, uint64_t cs_and_mask, uint64_t rflags)
{
	uint64_t at = sp;
	bool bad = false;

	if (unlikely(!guest_words_begin(&at, 12 * 8)))
		return false;
	guest_word_put(at, regs->rcx, &bad);
	guest_word_put(at + 8, regs->r11, &bad);
	at += 16;
	if (b->extra == EXTRA_ERROR_CODE) {
		guest_word_put(at, b->error_code, &bad);
		at += 8;
	} else if (b->extra == EXTRA_SEGMENTS) {
		guest_word_put(at, v->pv.ds, &bad);
		guest_word_put(at + 8, v->pv.es, &bad);
		guest_word_put(at + 16, v->pv.fs, &bad);
		guest_word_put(at + 24, v->pv.gs, &bad);
		at += 32;
	}
	guest_word_put(at, regs->rip, &bad);
	guest_word_put(at + 8, cs_and_mask, &bad);
	guest_word_put(at + 16, rflags, &bad);
	guest_word_put(at + 24, regs->rsp, &bad);
	guest_word_put(at + 32, regs->ss, &bad);
	guest_words_end();
	return !bad;
}

/*
 * 1. Kernel or user: the stack it goes on, the saved CS's RPL; from user mode the kernel's tables come in.
 * 2. The frame on the guest's stack, which may fault.
 * 3. New registers: flat segments, so that the exit path cannot fault.
 */
static inline void bounce_to(struct vcpu *v, struct cpu_user_regs *regs, const struct bounce *b)
{
	static const uint8_t frame_bytes[] = {
		[EXTRA_NONE] = 56, [EXTRA_ERROR_CODE] = 64, [EXTRA_SEGMENTS] = 88
	};
	uint64_t sp = regs->rsp, rflags = regs->rflags & ~(uint64_t)(RFLAGS_IF | RFLAGS_IOPL);
	uint16_t cs = regs->cs;
	uint8_t mask = READ_ONCE(v->info->evtchn_upcall_mask);

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
	sp = (sp & ~15ull) - frame_bytes[b->extra];
	if (unlikely(!trap_frame_put(sp, b, v, regs, cs | (uint64_t)(mask & 1) << 32, rflags))) {
		domain_crash(v->domain,
		             "vcpu %u: no room for a trap frame at stack %#lx (rip %#lx, handler %#lx)",
		             v->id, sp, regs->rip, b->address);
		return;
	}
	if (b->mask_events)
		WRITE_ONCE(v->info->evtchn_upcall_mask, 1);
	regs->rsp = sp;
	regs->rip = b->address;
	regs->cs = SEL_RING3_CS64;
	regs->ss = SEL_RING3_DS;
	regs->rflags = (regs->rflags & ~(uint64_t)(RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC | RFLAGS_DF |
	                                           RFLAGS_IOPL)) |
	               RFLAGS_IF | RFLAGS_ONE;
	regs->entry_vector = ENTRY_SYSCALL;
}

static bool has_error_code(unsigned vector)
{
	return vector < 32 && (1u << vector & (1u << 8 | 0x1fu << 10 | 1u << 17 | 1u << 21)) != 0;
}

/* To the guest's handler of the vector, whoever has recorded it. */
static void inject(struct vcpu *v, unsigned vector, uint32_t error_code)
{
	const struct trap_gate *gate = &v->pv.traps[vector];
	struct bounce b = { .address = gate->address,
		            .error_code = error_code,
		            .extra = has_error_code(vector) ? EXTRA_ERROR_CODE : EXTRA_NONE,
		            .mask_events = gate->mask_events };

	if (!gate->address) {
		domain_crash(v->domain,
		             "vcpu %u: no handler for trap %u, error code %#x (rip %#lx, cr2 %#lx)", v->id,
		             vector, error_code, cpu_info()->regs.rip, v->pv.cr2);
		return;
	}
	bounce_to(v, &cpu_info()->regs, &b);
}

void pv_inject_exception(struct vcpu *v, unsigned vector, uint32_t error_code)
{
	if (trace_on())
		pv_trace_trap(vector, has_error_code(vector), error_code);
	inject(v, vector, error_code);
}

void pv_inject_page_fault(struct vcpu *v, gva_t cr2, uint32_t error_code)
{
	error_code &= ~PF_USER;
	if (!pv_in_kernel(v))
		error_code |= PF_USER;
	v->pv.cr2 = cr2.v;
	v->info->arch.cr2 = cr2.v;
	if (trace_on())
		pv_trace_page_fault(cr2, error_code);
	inject(v, TRAP_PF, error_code);
}

bool pv_software_interrupt(struct vcpu *v, unsigned vector, unsigned insn_bytes)
{
	const struct trap_gate *gate = &v->pv.traps[index_nospec(vector, 256)];
	struct bounce b = { .address = gate->address, .mask_events = gate->mask_events };

	if (!gate->address || (gate->dpl < 3 && !pv_in_kernel(v)))
		return false;
	cpu_info()->regs.rip += insn_bytes;
	if (trace_on())
		pv_trace_trap(vector, false, 0);
	bounce_to(v, &cpu_info()->regs, &b);
	return true;
}

/* ---- the exit path ---- */

static bool iret_frame_get(uint64_t sp, struct iret_context *c)
{
	bool bad = false;

	if (unlikely(!guest_words_begin(&sp, sizeof(*c))))
		return false;
	c->rax = guest_word_get(sp, &bad);
	c->r11 = guest_word_get(sp + 8, &bad);
	c->rcx = guest_word_get(sp + 16, &bad);
	c->flags = guest_word_get(sp + 24, &bad);
	c->rip = guest_word_get(sp + 32, &bad);
	c->cs = guest_word_get(sp + 40, &bad);
	c->rflags = guest_word_get(sp + 48, &bad);
	c->rsp = guest_word_get(sp + 56, &bad);
	c->ss = guest_word_get(sp + 64, &bad);
	guest_words_end();
	return !bad;
}

void pv_iret(struct vcpu *v, struct cpu_user_regs *regs)
{
	struct iret_context c;

	if (unlikely(!iret_frame_get(regs->rsp, &c))) {
		domain_crash(v->domain, "vcpu %u: iret with no frame at stack %#lx", v->id, regs->rsp);
		return;
	}
	if ((c.cs & 3) == 3) {
		if (unlikely(mfn_eq(v->l4_user, INVALID_MFN))) {
			domain_crash(v->domain, "vcpu %u: iret to user mode without page tables for it",
			             v->id);
			return;
		}
		pv_toggle_mode(v);
	}
	regs->rax = c.rax;
	regs->rip = c.rip;
	regs->cs = (uint16_t)(c.cs | 3);
	regs->rflags = (c.rflags & RFLAGS_GUEST & ~(uint64_t)RFLAGS_IOPL) | RFLAGS_IF | RFLAGS_ONE;
	regs->rsp = c.rsp;
	regs->ss = (uint16_t)(c.ss | 3);
	if (!(c.flags & VGCF_in_syscall)) {
		regs->entry_vector = 0;
		regs->r11 = c.r11;
		regs->rcx = c.rcx;
	}
	if (unlikely(v->domain->vm_assist & (1u << VMASST_TYPE_architectural_iopl)))
		v->pv.iopl = (unsigned)(c.rflags >> 12) & 3;
	v->pv.nmi_masked = false;
	WRITE_ONCE(v->info->evtchn_upcall_mask, !(c.rflags & RFLAGS_IF));
}

/* ---- entries that the guest registered by themselves ---- */

static __attribute__((noinline)) void syscall_from_user(struct vcpu *v, struct cpu_user_regs *regs)
{
	if (unlikely(!v->pv.syscall_callback)) {
		regs->rip -= 2;
		pv_inject_exception(v, TRAP_UD, 0);
		return;
	}
	bounce_to(v, regs,
	          &(struct bounce){ .address = v->pv.syscall_callback,
	                            .mask_events = v->pv.syscall_masks_events });
}

/* So that a fault of shadow page tables in the guest's memory may wait for other CPUs; nothing else needs it. */
static void let_faults_wait(const struct vcpu *v)
{
	if (unlikely(READ_ONCE(v->domain->mm.shadowed)))
		irq_enable();
}

void syscall_from_guest(struct cpu_user_regs *regs)
{
	struct vcpu *v = current_vcpu();

	if (likely(pv_in_kernel(v) && regs->rax != __HYPERVISOR_iret)) {
		irq_enable();
		hypercall_from_guest(v, regs);
	} else if (pv_in_kernel(v)) {
		if (trace_on())
			pv_trace_hypercall(TRC_PV_HYPERCALL_V2, __HYPERVISOR_iret, NULL);
		let_faults_wait(v);
		pv_iret(v, regs);
	} else {
		let_faults_wait(v);
		syscall_from_user(v, regs);
	}
}

void syscall32_from_guest(struct cpu_user_regs *regs)
{
	struct vcpu *v = current_vcpu();

	let_faults_wait(v);
	if (!v->pv.syscall32_callback || pv_in_kernel(v)) {
		regs->rip -= 2;
		pv_inject_exception(v, TRAP_UD, 0);
		return;
	}
	bounce_to(v, regs,
	          &(struct bounce){ .address = v->pv.syscall32_callback,
	                            .mask_events = v->pv.syscall32_masks_events });
}

void sysenter_from_guest(struct cpu_user_regs *regs)
{
	struct vcpu *v = current_vcpu();

	let_faults_wait(v);
	if (!v->pv.sysenter_callback || pv_in_kernel(v)) {
		pv_inject_exception(v, TRAP_GP, 0);
		return;
	}
	bounce_to(v, regs,
	          &(struct bounce){ .address = v->pv.sysenter_callback,
	                            .mask_events = v->pv.sysenter_masks_events });
}

/* A segment register could not be loaded when the vcpu was switched in. */
static void failsafe(struct vcpu *v)
{
	if (!v->pv.failsafe_callback) {
		domain_crash(v->domain,
		             "vcpu %u: a segment register cannot be loaded at %#lx and there is no failsafe "
		             "callback",
		             v->id, cpu_info()->regs.rip);
		return;
	}
	bounce_to(v, &cpu_info()->regs,
	          &(struct bounce){ .address = v->pv.failsafe_callback,
	                            .extra = EXTRA_SEGMENTS,
	                            .mask_events = v->pv.failsafe_masks_events });
}

void exit_fault_from_guest(struct cpu_user_regs *regs)
{
	let_faults_wait(current_vcpu());
	pv_inject_exception(current_vcpu(), regs->entry_vector & 31, regs->error_code);
}

static void bounces(struct vcpu *v, struct cpu_user_regs *regs)
{
	if (unlikely(v->pv.failsafe_pending)) {
		v->pv.failsafe_pending = false;
		failsafe(v);
	}
	if (unlikely(v->pv.nmi_pending) && !v->pv.nmi_masked && v->pv.traps[TRAP_NMI].address) {
		v->pv.nmi_pending = false;
		v->pv.nmi_masked = true;
		bounce_to(v, regs,
		          &(struct bounce){ .address = v->pv.traps[TRAP_NMI].address, .mask_events = true });
	}
	if (vcpu_event_pending(v))
		bounce_to(v, regs, &(struct bounce){ .address = v->pv.event_callback, .mask_events = true });
}

/* An event that comes while faults of shadows may wait is not left behind; where there is work as well (the domain has
 * crashed), that sends the CPU through here once more. */
static __attribute__((noinline)) void exit_prepare(struct vcpu *v, struct cpu_user_regs *regs)
{
	if (unlikely(READ_ONCE(v->domain->mm.shadowed)))
		do {
			irq_enable();
			if (v->pv.areas_missed)
				pv_publish_again(v);
			bounces(v, regs);
			irq_disable();
		} while (vcpu_event_pending(v) && !work_pending());
	else
		bounces(v, regs);
	/* Whoever drops an L4 entry flushes this CPU's TLB, and that is how the CPU comes by here. */
	if (unlikely(READ_ONCE(v->domain->mm.l4_copied)))
		pv_refresh_copies(v);
}

void guest_exit_prepare(struct cpu_user_regs *regs)
{
	struct vcpu *v = current_vcpu();

	if (unlikely(READ_ONCE(v->domain->mm.l4_copied)) || unlikely(v->pv.failsafe_pending) ||
	    unlikely(v->pv.nmi_pending) || unlikely(READ_ONCE(v->info->evtchn_upcall_pending)))
		exit_prepare(v, regs);
}
