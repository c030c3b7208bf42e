/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Privileged instructions of a guest's kernel, and CPUID by the forced-emulation prefix (xen/arch-x86/xen.h,
 * XEN_EMULATE_PREFIX). What is not known here stays a #GP.
 */
#include "pv/pv.h"
#include "pv/cpuid.h"
#include "pv/debugreg.h"
#include "pv/decode.h"
#include "dom/sched.h"
#include "hw/fpu.h"
#include "hw/rflags.h"
#include "hw/segment.h"
#include "hw/tlb.h"
#include "hw/trace.h"
#include "hw/uaccess.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "lib/string.h"
#include "pv/emulate.h"
#include "pv/msr.h"
#include "pv/switch.h"
#include "pv/trace.h"

#define CR0_TS (1ull << 3)
#define CR0_PV 0x80050033ull /* PG AM WP NE ET MP PE: what a guest sees */

static void cpuid_to_regs(struct vcpu *v, struct cpu_user_regs *regs)
{
	struct cpuid_regs r = pv_cpuid(v, (uint32_t)regs->rax, (uint32_t)regs->rcx);

	regs->rax = r.eax;
	regs->rbx = r.ebx;
	regs->rcx = r.ecx;
	regs->rdx = r.edx;
}

bool pv_emulate_forced_cpuid(struct vcpu *v, struct cpu_user_regs *regs)
{
	static const uint8_t sequence[] = { 0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2 };
	uint8_t bytes[sizeof(sequence)];

	if (guest_copy_in(bytes, GVA(regs->rip), sizeof(bytes)) || memcmp(bytes, sequence, sizeof(bytes)))
		return false;
	cpuid_to_regs(v, regs);
	regs->rip += sizeof(bytes);
	pv_instruction_done(v, regs);
	if (trace_on())
		pv_trace_address(TRC_PV_FORCED_INVALID_OP, regs->rip);
	return true;
}

static bool cr_read(struct vcpu *v, unsigned cr, uint64_t *value)
{
	switch (cr) {
	case 0:
		*value = CR0_PV | v->pv.cr0_ts_em;
		return true;
	case 2:
		*value = v->pv.cr2;
		return true;
	case 3:
		*value = mfn_to_maddr(v->l4_kernel).a;
		return true;
	case 4:
		*value = v->pv.cr4;
		return true;
	case 8:
		*value = 0;
		return true;
	}
	return false;
}

static void set_ts(struct vcpu *v, bool ts)
{
	v->pv.cr0_ts_em = ts ? CR0_TS : 0;
	fpu_stts(ts);
}

static bool cr_write(struct vcpu *v, unsigned cr, uint64_t value)
{
	switch (cr) {
	case 0:
		if ((value ^ CR0_PV) & ~CR0_TS)
			log_guest(LOG_DEBUG, v->domain->domid, "CR0 = %#lx: only TS can change", value);
		set_ts(v, value & CR0_TS);
		return true;
	case 2:
		v->pv.cr2 = value;
		v->info->arch.cr2 = value;
		return true;
	case 4:
		if (value & ~pv_cr4_allowed(v->domain))
			return false;
		v->pv.cr4 = value;
		pv_load_cr4(v);
		return true;
	}
	return false;
}

/* The guest's kernel runs in ring 3, where CR4.TSD forbids it what is meant to be forbidden to its user mode. Where the TSC is
 * emulated it is set for both, whatever the guest wants. */
static bool read_tsc(struct vcpu *v, struct cpu_user_regs *regs, const struct insn *insn)
{
	bool rdtscp = insn->opcode == 0x0f01 && insn->modrm == 0xf9;
	uint64_t tsc;

	if (insn->opcode != 0x0f31 && !(rdtscp && cpu_features.rdtscp))
		return false;
	if (!pv_in_kernel(v) && (!v->domain->vtsc.emulated || (v->pv.cr4 & CR4_TSD)))
		return false;
	tsc = pv_tsc(v);
	regs->rax = (uint32_t)tsc;
	regs->rdx = tsc >> 32;
	if (rdtscp)
		regs->rcx = (uint32_t)v->pv.tsc_aux;
	return true;
}

static bool group7(struct vcpu *v, struct cpu_user_regs *regs, const struct insn *insn)
{
	uint64_t xcr0;

	if (insn->modrm == 0xd1) { /* xsetbv */
		xcr0 = (uint32_t)regs->rax | regs->rdx << 32;
		if ((uint32_t)regs->rcx || !(v->pv.cr4 & 1u << 18) || fpu_xcr0_check(xcr0) ||
		    xcr0 & ~cpu_policy_xcr0(v->domain->cpu_policy))
			return false;
		v->pv.xcr0 = xcr0;
		fpu_xcr0_load(xcr0);
		return true;
	}
	switch (insn->modrm >> 3 & 7) {
	case 4: /* smsw */
		if (insn->is_memory)
			return false;
		insn_reg_write(regs, insn->rm, insn->operand_bytes, CR0_PV | v->pv.cr0_ts_em);
		return true;
	case 6: /* lmsw */
		if (insn->is_memory)
			return false;
		set_ts(v, insn_reg_read(regs, insn->rm) & CR0_TS);
		return true;
	case 7: /* invlpg */
		if (!insn->is_memory)
			return false;
		tlb_flush_page_local(GVA(insn->address));
		return true;
	}
	return false;
}

static bool msr_access(struct vcpu *v, struct cpu_user_regs *regs, bool write)
{
	uint64_t value = (uint32_t)regs->rax | regs->rdx << 32;

	if (write)
		return !pv_msr_write(v, (uint32_t)regs->rcx, value);
	if (pv_msr_read(v, (uint32_t)regs->rcx, &value))
		return false;
	regs->rax = (uint32_t)value;
	regs->rdx = value >> 32;
	return true;
}

/* Instructions of the guest's kernel; true: done, RIP moves on. */
static bool kernel_instruction(struct vcpu *v, struct cpu_user_regs *regs, const struct insn *insn)
{
	uint64_t value;

	switch (insn->opcode) {
	case 0xf4: /* hlt */
		WRITE_ONCE(v->info->evtchn_upcall_mask, 0);
		vcpu_block();
		return true;
	case 0x0f01:
		return group7(v, regs, insn);
	case 0x0f06:
		set_ts(v, false);
		return true;
	case 0x0f08:
	case 0x0f09: /* invd as wbinvd: it must not lose anybody's data */
		if (v->domain->mm.iomem.count)
			cache_write_back(NULL);
		return true;
	case 0x0f20:
		if (!cr_read(v, insn->reg, &value))
			return false;
		insn_reg_write(regs, insn->rm, 8, value);
		return true;
	case 0x0f22:
		return cr_write(v, insn->reg, insn_reg_read(regs, insn->rm));
	case 0x0f21:
		insn_reg_write(regs, insn->rm, 8, pv_debugreg_get(v, insn->reg));
		return insn->reg < 8;
	case 0x0f23:
		return insn->reg < 8 && !pv_debugreg_set(v, insn->reg, insn_reg_read(regs, insn->rm));
	case 0x0f30:
	case 0x0f32:
		return msr_access(v, regs, insn->opcode == 0x0f30);
	}
	return false;
}

/* Whether a code segment has base 0, and whether it is one of 64-bit code (SDM Vol. 3, 5.2.1). Others (a base
 * of its own: 16- and 32-bit code of a foreign kind) are not looked into. */
static bool code_segment_flat(uint16_t selector, bool *mode64)
{
	uint32_t attributes = 0;
	uint64_t descriptor;
	uintptr_t window = PERDOMAIN_BASE + (uintptr_t)current_vcpu()->id * PERDOMAIN_VCPU_PAGES * PAGE_SIZE;

	if (!segment_attributes(selector, &attributes) || !(attributes & 1u << 15) ||
	    (attributes & 0x1800) != 0x1800)
		return false;
	*mode64 = attributes & 1u << 21;
	if (*mode64)
		return true;
	if (selector & 4)
		window += PERDOMAIN_LDT_PAGE * PAGE_SIZE;
	memcpy(&descriptor, (const void *)(window + index_nospec(selector & ~7u, 65536)), sizeof(descriptor));
	return !(descriptor >> 16 & 0xffffff) && !(descriptor >> 56);
}

bool pv_emulate_privileged(struct vcpu *v, struct cpu_user_regs *regs)
{
	uint8_t bytes[INSN_MAX_BYTES];
	struct insn insn;
	bool mode64;
	size_t got;

	if (!code_segment_flat(regs->cs, &mode64))
		return false;
	got = sizeof(bytes) - guest_copy_in(bytes, GVA(regs->rip), sizeof(bytes));
	if (insn_decode(bytes, got, regs, mode64, &insn))
		return false;
	if ((insn.opcode >= 0x6c && insn.opcode <= 0x6f) || (insn.opcode >= 0xe4 && insn.opcode <= 0xe7) ||
	    (insn.opcode >= 0xec && insn.opcode <= 0xef))
		return pv_emulate_io(v, regs, &insn);
	if (insn.opcode == 0x0fa2) { /* where CPUID faults */
		cpuid_to_regs(v, regs);
	} else if (insn.opcode == 0xfa || insn.opcode == 0xfb) {
		/* Allowed or not, they leave the event mask alone, as under Xen: the POPF that undoes a CLI
		 * would not trap. */
		if (!pv_iopl_allows(v))
			return false;
	} else if (!read_tsc(v, regs, &insn) && (!pv_in_kernel(v) || !kernel_instruction(v, regs, &insn))) {
		return false;
	}
	regs->rip += insn.length;
	pv_instruction_done(v, regs);
	return true;
}
