/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The processor: feature detection, control registers, MSRs, ports. */
#include "hw/cpu.h"
#include "hw/internal.h"
#include "hw/msr.h"
#include "hw/spec.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "lib/string.h"

struct cpu_features cpu_features;
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

void irq_enable(void)
{
	__asm__ volatile("sti" : : : "memory");
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

static void features_identity(struct cpu_features *f)
{
	struct cpuid_regs r = cpuid(0, 0);

	f->max_leaf = r.eax;
	memcpy(f->vendor, &r.ebx, 4);
	memcpy(f->vendor + 4, &r.edx, 4);
	memcpy(f->vendor + 8, &r.ecx, 4);
	f->is_intel = !strcmp(f->vendor, "GenuineIntel");
	f->is_amd = !strcmp(f->vendor, "AuthenticAMD") || !strcmp(f->vendor, "HygonGenuine");
	r = cpuid(1, 0);
	f->signature = r.eax;
	f->family = r.eax >> 8 & 15;
	f->model = r.eax >> 4 & 15;
	f->stepping = r.eax & 15;
	if (f->family == 6 || f->family == 15)
		f->model |= r.eax >> 12 & 0xf0;
	if (f->family == 15)
		f->family += r.eax >> 20 & 0xff;
	f->max_ext_leaf = cpuid(0x80000000, 0).eax;
	f->phys_bits = 36;
	f->virt_bits = 48;
	if (f->max_ext_leaf >= 0x80000008) {
		r = cpuid(0x80000008, 0);
		f->phys_bits = r.eax & 0xff;
		f->virt_bits = r.eax >> 8 & 0xff;
	}
}

static void features_standard(struct cpu_features *f)
{
	struct cpuid_regs r = cpuid(1, 0);

	f->pge = r.edx >> 13 & 1;
	f->pat = r.edx >> 16 & 1;
	f->pcid = r.ecx >> 17 & 1;
	f->x2apic = r.ecx >> 21 & 1;
	f->tsc_deadline = r.ecx >> 24 & 1;
	f->xsave = r.ecx >> 26 & 1;
	f->mwait = r.ecx >> 3 & 1;
	f->hypervisor = r.ecx >> 31 & 1;
	r = cpuid(0x80000001, 0);
	f->nx = r.edx >> 20 & 1;
	f->page1gb = r.edx >> 26 & 1;
	f->rdtscp = r.edx >> 27 & 1;
	/* AMD has SYSCALL in compatibility mode, Intel has not. */
	f->syscall32 = f->is_amd;
	if (f->max_ext_leaf >= 0x80000007)
		f->tsc_invariant = cpuid(0x80000007, 0).edx >> 8 & 1;
}

static void features_leaf7(struct cpu_features *f)
{
	struct cpuid_regs r;

	if (f->max_leaf >= 7) {
		r = cpuid(7, 0);
		f->smep = r.ebx >> 7 & 1;
		f->invpcid = r.ebx >> 10 & 1;
		f->smap = r.ebx >> 20 & 1;
		f->umip = r.ecx >> 2 & 1;
		f->md_clear = r.edx >> 10 & 1;
		f->spec_ctrl = f->ibpb = r.edx >> 26 & 1;
		f->stibp = r.edx >> 27 & 1;
		f->l1d_flush = r.edx >> 28 & 1;
		f->arch_capabilities = r.edx >> 29 & 1;
		f->ssbd = r.edx >> 31 & 1;
	}
	if (f->is_amd && f->max_ext_leaf >= 0x80000008) {
		r = cpuid(0x80000008, 0);
		f->ibpb = f->ibpb || (r.ebx >> 12 & 1);
		f->spec_ctrl = f->spec_ctrl || (r.ebx >> 14 & 1);
		f->stibp = f->stibp || (r.ebx >> 15 & 1);
		f->ssbd = f->ssbd || (r.ebx >> 24 & 1);
	}
}

static void features_xsave(struct cpu_features *f)
{
	struct cpuid_regs r;

	f->xsave_size = 512;
	f->xcr0_mask = 3;
	if (!f->xsave || f->max_leaf < 13) {
		f->xsave = false;
		return;
	}
	r = cpuid(13, 0);
	/* x87, SSE, AVX, AVX-512 and PKRU is left to guests' kernels that cannot use it: not offered. */
	f->xcr0_mask = ((uint64_t)r.edx << 32 | r.eax) & 0xe7;
	f->xsave_size = 576;
	for (unsigned i = 2; i < 8; i++) {
		struct cpuid_regs c = cpuid(13, i);

		if (f->xcr0_mask >> i & 1)
			f->xsave_size = MAX(f->xsave_size, c.ebx + c.eax);
	}
	r = cpuid(13, 1);
	f->xsaveopt = r.eax & 1;
	f->xsavec = r.eax >> 1 & 1;
	f->xsaves = r.eax >> 3 & 1;
}

static void features_read(struct cpu_features *f)
{
	uint64_t value;

	memset(f, 0, sizeof(*f));
	features_identity(f);
	features_standard(f);
	features_leaf7(f);
	features_xsave(f);
	f->cpuid_faulting = f->is_intel && !rdmsr_safe(MSR_PLATFORM_INFO, &value) && (value >> 31 & 1);
}

void cpu_features_init(void)
{
	features_read(&cpu_features);
	log_info("CPU: %s family %u model 0x%x stepping %u, %u physical and %u virtual address bits",
	         cpu_features.vendor, cpu_features.family, cpu_features.model, cpu_features.stepping,
	         cpu_features.phys_bits, cpu_features.virt_bits);
	if (!cpu_features.pat || !cpu_features.pge)
		panic("this processor has no PAT or no global pages");
}

bool cpu_features_match(void)
{
	static struct cpu_features own; /* one CPU at a time starts */
	const struct cpu_features *f = &cpu_features;

	features_read(&own);
	return !strcmp(own.vendor, f->vendor) && own.nx >= f->nx && own.page1gb >= f->page1gb &&
	       own.smep >= f->smep && own.smap >= f->smap && own.umip >= f->umip && own.xsave >= f->xsave &&
	       (own.xcr0_mask & f->xcr0_mask) == f->xcr0_mask && own.xsaveopt >= f->xsaveopt &&
	       own.rdtscp >= f->rdtscp && own.spec_ctrl >= f->spec_ctrl && own.ibpb >= f->ibpb &&
	       own.md_clear >= f->md_clear && own.x2apic >= f->x2apic && own.tsc_deadline >= f->tsc_deadline;
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
	fpu_init_cpu();
}
