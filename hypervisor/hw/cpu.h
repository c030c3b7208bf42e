/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processor: features, control and model-specific registers, and what each CPU keeps for itself.
 */
#ifndef HW_CPU_H
#define HW_CPU_H

#include "lib/types.h"
#include "lib/bits.h"
#include "hw/layout.h"
#include <xen/xen.h>

struct vcpu;

/*
 * At the top of each CPU's hypervisor stack, so that entry code finds it from the stack pointer alone.
 * Assembly knows its offsets from hw/entry.h and pv/offsets.c.
 */
struct cpu_info {
	struct cpu_user_regs regs; /* the interrupted guest; es, ds, fs, gs slots hold no live values */
	struct vcpu *current;      /* never NULL after bring-up: a guest's vcpu or the CPU's idle one */
	uint32_t cpu;
	uint32_t work;      /* WORK_* bits: looked at before each return to a guest; set by any CPU, atomic */
	uint64_t hv_cr3;    /* xpti: the full address space, loaded on entry; 0 when not in use */
	uint64_t guest_cr3; /* xpti: the reduced one, loaded on exit; 0 when not in use */
	/* What the fast paths load for current's user and kernel mode; 0: the way through C finds out. */
	uint64_t fast_cr3[2];
	uint64_t scratch[3];      /* entry code's own */
	uint32_t spec_flags;      /* SPEC_* of hw/spec.h: mitigations on entry and exit */
	uint32_t guest_spec_ctrl; /* what SPEC_CTRL holds while the guest runs */
};

/* Bits of cpu_info.work, whose handlers hw/smp.h registers; the lowest bit is handled first. */
enum { WORK_TIMER, WORK_SCHEDULE, WORK_DEFERRED, WORK_TRACE, WORK_COUNT };

#if __STDC_HOSTED__ /* host tests: the fake hardware layer supplies them */
struct cpu_info *cpu_info(void);
unsigned this_cpu(void);
struct vcpu *current_vcpu(void);
void cpu_set_current(struct vcpu *v);
#else
static inline struct cpu_info *cpu_info(void)
{
	uintptr_t sp;

	__asm__("mov %%rsp, %0" : "=r"(sp));
	return (struct cpu_info *)((sp & ~(uintptr_t)(HV_STACK_SIZE - 1)) + HV_STACK_SIZE) - 1;
}

static inline unsigned this_cpu(void)
{
	return cpu_info()->cpu;
}

static inline struct vcpu *current_vcpu(void)
{
	return cpu_info()->current;
}

static inline void cpu_set_current(struct vcpu *v)
{
	cpu_info()->current = v;
}
#endif

extern cpumask_t cpus_online;
extern unsigned cpu_count; /* CPUs that were started; their numbers are 0 .. cpu_count - 1 */

/* What was found at boot, the same for all CPUs (a CPU that lacks a feature of the first is not started). */
struct cpu_features {
	char vendor[13];
	bool is_intel, is_amd; /* AMD or Hygon */
	bool hypervisor;       /* there is one below us: it may take a CPU away at any time */
	uint32_t family, model, stepping, signature;
	uint32_t max_leaf, max_ext_leaf;
	uint8_t phys_bits, virt_bits;
	bool nx, page1gb, pge, pat, smep, smap, umip, pcid, invpcid, xsave, xsaveopt, xsavec, xsaves;
	bool x2apic, tsc_deadline, tsc_invariant, syscall32, rdtscp, cpuid_faulting, arch_capabilities, mwait;
	uint64_t arch_caps; /* IA32_ARCH_CAPABILITIES; 0: there is none */
	unsigned threads;   /* of a core, where leaf 0xb reports it */
	bool rtm, verw_clear, tsa_sq_no, tsa_l1_no;
	bool spec_ctrl, ibpb, stibp, ssbd, md_clear, l1d_flush;
	uint64_t xcr0_mask; /* state components that the hypervisor manages */
	/* Bytes of an XSAVE area for xcr0_mask, standard format; 512 where there is no XSAVE. */
	uint32_t xsave_size;
};
extern struct cpu_features cpu_features;

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf);
/* 0, or -EFAULT where the register does not exist (the #GP is caught). */
int rdmsr_safe(uint32_t msr, uint64_t *value) __must_check;
int wrmsr_safe(uint32_t msr, uint64_t value) __must_check;
uint64_t rdmsr(uint32_t msr);
void wrmsr(uint32_t msr, uint64_t value);
uint64_t cr0_read(void);
uint64_t cr2_read(void);
uint64_t cr3_read(void);
uint64_t cr4_read(void);
void cr4_write(uint64_t value);
void dr_write(unsigned n, uint64_t value); /* DR0 to DR3, DR7 */
uint64_t dr6_take(void);                   /* reads DR6 and sets it to its initial value */
uint64_t rdtsc(void);
void irq_disable(void);
#if __STDC_HOSTED__
void irq_enable(void);
#else
static inline void irq_enable(void)
{
	__asm__ volatile("sti" ::: "memory");
}
#endif
uint64_t irq_save(void); /* disables; returns the former flags */
void irq_restore(uint64_t flags);
bool irq_enabled(void);
static inline void cpu_relax(void)
{
	__builtin_ia32_pause();
}
void cpu_halt(void); /* sti; hlt: waits for an interrupt; called with interrupts off */

/* Port I/O of width 1, 2 or 4 bytes. */
uint32_t port_in(uint16_t port, unsigned width);
void port_out(uint16_t port, unsigned width, uint32_t value);

void cpu_init(void); /* each CPU: control registers, PAT, FPU */

/* cpu_info of any CPU. */
static inline struct cpu_info *cpu_info_of(unsigned cpu)
{
	return (struct cpu_info *)(CPU_AREA(cpu) + HV_STACK_SIZE) - 1;
}

#endif
