/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A paravirtual guest's view of the processor: trap frames, descriptors, address space, privileged
 * instructions.
 */
#ifndef PV_PV_H
#define PV_PV_H

#include "dom/domain.h"
#include "dom/guest.h"
#include "hw/trace.h"
#include "pv/upward.h"
#include <xen/arch-x86/xen.h>

/* ---- address.c: CR3, GDT and LDT ---- */
/* Bring-up, where any domain may use xpti: the pages for a CPU's reduced tables. A switch cannot allocate. */
void pv_address_init(unsigned cpu);
/* Loads the tables of the current vcpu for the mode it is in (v->pv.kernel_mode) after l4_kernel or l4_user
 * changed. Flushes non-global translations. */
void pv_load_address_space(struct vcpu *v);
/* What the fast path may load for the two modes of v, which is current, after its L4s changed. */
void pv_fastpath_tables(const struct vcpu *v);
/* Kernel <-> user mode of a 64-bit guest: other L4, swapped GS. */
void pv_toggle_mode(struct vcpu *v);
/* Copies from the current vcpu's kernel, also while its user mode runs. Bytes not copied. */
size_t pv_kernel_copy_in(struct vcpu *v, void *dst, gva_t src, size_t n) __must_check;
/* An L4 entry of the current vcpu's domain may have changed elsewhere, or its first linear one is awaited: true when
 * this CPU's copies of its tables (xpti, linear_l4) were old or not in use, and have been loaded anew. */
bool pv_refresh_copies(struct vcpu *v);
/* MMUEXT_SET_LDT and set_gdt; v current or paused. Frames are typed as descriptors, old ones released. 0 or
 * -EINVAL. All pages of an LDT must be mapped at the time of the call. */
int pv_set_ldt(struct vcpu *v, gva_t base, unsigned entries) __must_check;
int pv_set_gdt(struct vcpu *v, const uint64_t *mfns, unsigned entries) __must_check;
void pv_release_descriptors(struct vcpu *v);
/* This CPU's GDT and LDT registers for the vcpu that is being switched in. */
void pv_load_descriptors(struct vcpu *v);

/* ---- bounce.c ---- */
/* Puts an exception frame on the guest kernel's stack and continues the current vcpu at its handler. Where
 * the guest has none, or its stack cannot be written, the domain crashes. v is current; interrupts on or off. */
void pv_inject_exception(struct vcpu *v, unsigned vector, uint32_t error_code);
void pv_inject_page_fault(struct vcpu *v, gva_t cr2, uint32_t error_code);
/*
 * The iret hypercall: the frame lies on the guest's stack (struct iret_context). RPL 3 in its CS means user
 * mode. The exit path uses SYSRET when the guest says that RCX and R11 are of no interest (VGCF_in_syscall).
 * A frame that cannot be read crashes the domain.
 */
void pv_iret(struct vcpu *v, struct cpu_user_regs *regs);
/* INT n executed by the guest at regs->rip: true when its gate took it, false when it is a #GP. */
bool pv_software_interrupt(struct vcpu *v, unsigned vector, unsigned insn_bytes);
/* Whether the guest's kernel, as opposed to its user mode, runs. */
static inline bool pv_in_kernel(const struct vcpu *v)
{
	return v->pv.kernel_mode;
}

/* ---- vcpu.c ---- */
/* After a change of what the fast paths of SYSCALL and iret go by. Callbacks and the kernel's stack: v is current or does
 * not run. vm_assist: the domain lock is held, or no vcpu runs. */
void pv_fastpath_update(struct vcpu *v);
void pv_assist_update(struct domain *d);
extern const struct guest_kind pv_guest;
/* Sets all registers of a paused vcpu from a toolstack's or guest's context; takes references to its tables and
 * descriptors, or, where it is initialised, keeps them. 0, -EINVAL, -EOPNOTSUPP it is initialised and c names others,
 * -EBUSY a reset of it has not ended, -ERESTART_HV: call again. Domain lock. */
int pv_vcpu_set_context(struct vcpu *v, const struct vcpu_guest_context *c) __must_check;
/* Takes context and tables from a paused vcpu that is down. 0, -ERESTART_HV: call again. Domain lock. */
int pv_vcpu_reset(struct vcpu *v) __must_check;
void pv_vcpu_get_context(struct vcpu *v, struct vcpu_guest_context *c);
/* Address checks for callbacks: canonical. */
bool pv_address_ok(uint64_t address);
/* The selector that a guest runs code with: of ring 3, and the flat one where it named none. */
uint16_t pv_code_selector(uint16_t selector);

/* ---- debugreg.c: 0, -EPERM or -EINVAL; n 0 .. 7 ---- */
int pv_debugreg_set(struct vcpu *v, unsigned n, uint64_t value) __must_check;
uint64_t pv_debugreg_get(const struct vcpu *v, unsigned n);
void pv_debugregs_load(const struct vcpu *v); /* at switch-in, when DR7 enables any */
void pv_debugregs_off(void);

/* An instruction of the current vcpu was carried out for it, or one element of a repeated one: what the
 * processor does at its end. RF goes; a set TF is a #DB with DR6.BS (SDM Vol. 3, 17.3.1.4). */
void pv_instruction_done(struct vcpu *v, struct cpu_user_regs *regs);

/* ---- switch.c ---- */
/* The hypervisor's CR4 with the bits that the current vcpu chose (TSD, DE). */
void pv_load_cr4(const struct vcpu *v);
#define CR4_TSD (1ull << 2)

/* What the current vcpu v reads as its TSC. */
static inline uint64_t pv_tsc(struct vcpu *v)
{
	return v->domain->vtsc.emulated ? vtsc_read(&v->domain->vtsc) : rdtsc();
}

/* For struct guest_kind. */
void pv_leave(struct vcpu *v);
void pv_enter(struct vcpu *v);
void pv_stay(struct vcpu *v);
/* What they could not write to the areas that the guest registered, for want of a shadow page that was ready. v is current,
 * interrupts are on. */
void pv_publish_again(struct vcpu *v);

/* Whether the vcpu's I/O privilege level allows what runs to touch ports and to execute CLI and STI. A kernel
 * stands at level 1, or, with VMASST_TYPE_architectural_iopl, at 0. */
static inline bool pv_iopl_allows(const struct vcpu *v)
{
	unsigned kernel_level = v->domain->vm_assist & (1u << VMASST_TYPE_architectural_iopl) ? 0 : 1;

	return v->pv.iopl >= (pv_in_kernel(v) ? kernel_level : 3);
}

/* ---- trace.c: records of what the current vcpu entered for; while trace_on() ---- */
/* TRC_PV_HYPERCALL_V2 or _SUBCALL. args: the first five at least, of calls whose arguments are recorded. */
__trace void pv_trace_hypercall(uint32_t event, uint64_t number, const uint64_t *args);
__trace void pv_trace_trap(unsigned vector, bool has_error_code, uint32_t error_code);
__trace void pv_trace_page_fault(gva_t cr2, uint32_t error_code);
__trace void pv_trace_address(uint32_t event, uint64_t address);
__trace void pv_trace_addresses(uint32_t event, uint64_t first, uint64_t second);
__trace void pv_trace_table_write(gva_t va, uint64_t entry);

/* ---- emulation: each returns true when the instruction was carried out or an exception injected ---- */
bool pv_emulate_privileged(struct vcpu *v, struct cpu_user_regs *regs); /* privileged.c */
bool pv_emulate_forced_cpuid(struct vcpu *v,
                             struct cpu_user_regs *regs); /* privileged.c: ud2; "xen"; cpuid */
bool pv_emulate_table_write(struct vcpu *v, struct cpu_user_regs *regs, gva_t cr2); /* table_write.c */
struct insn;
bool pv_emulate_io(struct vcpu *v, struct cpu_user_regs *regs, const struct insn *insn); /* io.c */

#endif
