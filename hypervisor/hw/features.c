/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the processor can do, from CPUID and a few MSRs (SDM Vol. 2, CPUID; APM Vol. 3, appendix E). Pure but for
 * cpuid(), rdmsr_safe() and wrmsr_safe(), which host tests answer from tables.
 */
#include "hw/features.h"
#include "hw/cpu.h"
#include "hw/msr.h"
#include "lib/log.h"
#include "lib/string.h"

struct cpu_features cpu_features;

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
		f->rtm = r.ebx >> 11 & 1;
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
	if (f->is_amd && f->max_ext_leaf >= 0x80000021) {
		r = cpuid(0x80000021, 0);
		f->verw_clear = r.eax >> 5 & 1;
		f->cpuid_faulting = r.eax >> 17 & 1;
		f->tsa_sq_no = r.ecx >> 1 & 1;
		f->tsa_l1_no = r.ecx >> 2 & 1;
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
	f->threads = f->max_leaf >= 11 ? cpuid(11, 0).ebx & 0xffff : 0;
	if (f->arch_capabilities && !rdmsr_safe(MSR_ARCH_CAPS, &value))
		f->arch_caps = value;
	if (f->is_intel && !rdmsr_safe(MSR_PLATFORM_INFO, &value))
		f->cpuid_faulting = value >> 31 & 1;
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
	       own.md_clear >= f->md_clear && own.cpuid_faulting >= f->cpuid_faulting &&
	       own.x2apic >= f->x2apic && own.tsc_deadline >= f->tsc_deadline;
}

void cpu_features_enforce(void)
{
	uint32_t msr = cpu_features.is_intel ? MSR_MISC_FEATURES : MSR_AMD_HWCR;
	uint64_t value;

	if (!cpu_features.cpuid_faulting)
		return;
	if (rdmsr_safe(msr, &value) ||
	    wrmsr_safe(msr, value | (cpu_features.is_intel ? MISC_CPUID_FAULT : HWCR_CPUID_FAULT))) {
		log_warn("CPU: no CPUID faulting: programs of guests see the processor's leaves");
		cpu_features.cpuid_faulting = false;
	}
}
