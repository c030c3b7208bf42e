/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The processor: feature detection, control registers, MSRs, ports. */
#include "hw/cpu.h"
#include "hw/features.h"
#include "hw/fpu.h"
#include "hw/msr.h"
#include "hw/spec.h"
#include "lib/errno.h"

cpumask_t cpus_online;
unsigned cpu_count = 1;

struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r;

	__asm__ volatile("cpuid"
	                 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
	                 : "a"(leaf), "c"(subleaf));
	return r;
}

int rdmsr_safe(uint32_t msr, uint64_t *value)
{
	uint32_t low = 0, high = 0;
	int failed = 0;

	__asm__ volatile("1: rdmsr\n"
	                 "2:\n"
	                 ".subsection 1\n"
	                 "3: movl $1, %0\n"
	                 "jmp 2b\n"
	                 ".previous\n"
	                 ".pushsection __ex_table, \"a\"\n"
	                 ".balign 4\n"
	                 ".long 1b - ., 3b - .\n"
	                 ".popsection"
	                 : "+r"(failed), "+a"(low), "+d"(high)
	                 : "c"(msr));
	if (failed)
		return -EFAULT;
	*value = (uint64_t)high << 32 | low;
	return 0;
}

int wrmsr_safe(uint32_t msr, uint64_t value)
{
	int failed = 0;

	__asm__ volatile("1: wrmsr\n"
	                 "2:\n"
	                 ".subsection 1\n"
	                 "3: movl $1, %0\n"
	                 "jmp 2b\n"
	                 ".previous\n"
	                 ".pushsection __ex_table, \"a\"\n"
	                 ".balign 4\n"
	                 ".long 1b - ., 3b - .\n"
	                 ".popsection"
	                 : "+r"(failed)
	                 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
	                 : "memory");
	return failed ? -EFAULT : 0;
}

uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

#define READ_CR(n)                                                                 \
	uint64_t cr##n##_read(void)                                                \
	{                                                                          \
		uint64_t value;                                                    \
		__asm__ volatile("mov %%cr" #n ", %0" : "=r"(value) : : "memory"); \
		return value;                                                      \
	}
READ_CR(0)
READ_CR(2)
READ_CR(3)
READ_CR(4)

void cr4_write(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

void dr_write(unsigned n, uint64_t value)
{
	switch (n) {
	case 0:
		__asm__ volatile("mov %0, %%dr0" : : "r"(value));
		break;
	case 1:
		__asm__ volatile("mov %0, %%dr1" : : "r"(value));
		break;
	case 2:
		__asm__ volatile("mov %0, %%dr2" : : "r"(value));
		break;
	case 3:
		__asm__ volatile("mov %0, %%dr3" : : "r"(value));
		break;
	case 7:
		__asm__ volatile("mov %0, %%dr7" : : "r"(value));
		break;
	}
}

uint64_t dr6_take(void)
{
	uint64_t value, initial = 0xffff0ff0;

	__asm__ volatile("mov %%dr6, %0" : "=r"(value));
	__asm__ volatile("mov %0, %%dr6" : : "r"(initial));
	return value;
}

uint64_t rdtsc(void)
{
	uint32_t low, high;

	/* The fence keeps it from being read before what precedes it. */
	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

void irq_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static uint64_t flags_read(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
	return flags;
}

uint64_t irq_save(void)
{
	uint64_t flags = flags_read();

	irq_disable();
	return flags;
}

void irq_restore(uint64_t flags)
{
	if (flags & 0x200)
		irq_enable();
	else
		irq_disable();
}

bool irq_enabled(void)
{
	return flags_read() & 0x200;
}

void cpu_halt(void)
{
	__asm__ volatile("sti; hlt" : : : "memory");
}

uint32_t port_in(uint16_t port, unsigned width)
{
	uint32_t value = 0;

	if (width == 1)
		__asm__ volatile("inb %w1, %b0" : "+a"(value) : "Nd"(port));
	else if (width == 2)
		__asm__ volatile("inw %w1, %w0" : "+a"(value) : "Nd"(port));
	else
		__asm__ volatile("inl %w1, %0" : "+a"(value) : "Nd"(port));
	return value;
}

void port_out(uint16_t port, unsigned width, uint32_t value)
{
	if (width == 1)
		__asm__ volatile("outb %b0, %w1" : : "a"(value), "Nd"(port));
	else if (width == 2)
		__asm__ volatile("outw %w0, %w1" : : "a"(value), "Nd"(port));
	else
		__asm__ volatile("outl %0, %w1" : : "a"(value), "Nd"(port));
}

void cpu_init(void)
{
	uint64_t cr4 = CR4_PAE | CR4_DE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT;

	/* With xpti a global translation of the hypervisor would survive the change to the guest's tables. */
	if (cpu_features.pge && !spec_policy.xpti_dom0 && !spec_policy.xpti_domu)
		cr4 |= CR4_PGE;
	if (cpu_features.smep)
		cr4 |= CR4_SMEP;
	if (cpu_features.smap)
		cr4 |= CR4_SMAP;
	if (cpu_features.umip)
		cr4 |= CR4_UMIP;
	if (cpu_features.xsave)
		cr4 |= CR4_OSXSAVE;
	cr4_write(cr4);
	wrmsr(MSR_PAT, PAT_VALUE);
	if (cpu_features.spec_ctrl)
		wrmsr(MSR_SPEC_CTRL, 0); /* as every vcpu begins */
	cpu_features_enforce();
	fpu_init_cpu();
}
