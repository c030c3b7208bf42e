/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUID policies. raw is what the processor says; host what of it the hypervisor keeps usable; pv_max what a
 * PV guest can be given; pv_default what it gets. Feature names are those of xen/arch-x86/cpufeatureset.h
 * (SDM Vol. 2, CPUID).
 *
 * A PV guest gets no feature that needs ring 0 or that the hypervisor does not switch between vcpus: no
 * FSGSBASE (the bases are kept by hypercall), no superpages, no MTRRs, no XSAVES, no monitor, nothing for its
 * own guests. Of machine checks it gets registers that report none (mce.c).
 */
#include "pv/cpuid.h"
#include "pv/pv.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "lib/release.h"
#include "lib/string.h"
#include <xen/arch-x86/cpuid.h>
#include <xen/arch-x86/cpufeatureset.h>
#include <xen/features.h>
#include <xen/version.h>

struct cpu_policy policy_raw, policy_host, policy_pv_max, policy_pv_default;

#define F(name)            (1u << (XEN_X86_FEATURE_##name % 32))

#define BASIC_LEAF_MAX     0xdu
#define EXTENDED_LEAF_MAX  0x80000021u
#define XSAVE_LEGACY_BYTES 576u
#define COMMON_BITS        0x0183f3ffu /* of leaf 1 EDX, which AMD repeats in leaf 0x80000001 */

enum reg { EAX, EBX, ECX, EDX };

/* Where each word of a feature set stands. */
static const struct {
	uint32_t leaf, subleaf;
	enum reg reg;
} word_source[FEATURESET_WORDS] = {
	{ 1, XEN_CPUID_NO_SUBLEAF, EDX },
	{ 1, XEN_CPUID_NO_SUBLEAF, ECX },
	{ 0x80000001, XEN_CPUID_NO_SUBLEAF, EDX },
	{ 0x80000001, XEN_CPUID_NO_SUBLEAF, ECX },
	{ 0xd, 1, EAX },
	{ 7, 0, EBX },
	{ 7, 0, ECX },
	{ 0x80000007, XEN_CPUID_NO_SUBLEAF, EDX },
	{ 0x80000008, XEN_CPUID_NO_SUBLEAF, EBX },
	{ 7, 0, EDX },
	{ 7, 1, EAX },
	{ 0x80000021, XEN_CPUID_NO_SUBLEAF, EAX },
	{ 7, 1, EBX },
	{ 7, 2, EDX },
	{ 7, 1, ECX },
	{ 7, 1, EDX },
	{ 0, 0, EAX } /* MSR_ARCH_CAPS */,
	{ 0, 0, EAX },
	{ 0x80000021, XEN_CPUID_NO_SUBLEAF, ECX },
};
#define WORD_ARCH_CAPS 16

static const uint32_t pv_mask[FEATURESET_WORDS] = {
	[0] = F(FPU) | F(DE) | F(TSC) | F(MSR) | F(PAE) | F(CX8) | F(MCE) | F(MCA) | F(APIC) | F(SEP) |
	      F(CMOV) | F(PAT) | F(CLFLUSH) | F(MMX) | F(FXSR) | F(SSE) | F(SSE2) | F(SS) | F(HTT),
	[1] = F(SSE3) | F(PCLMULQDQ) | F(SSSE3) | F(FMA) | F(CX16) | F(SSE4_1) | F(SSE4_2) | F(MOVBE) |
	      F(POPCNT) | F(AESNI) | F(XSAVE) | F(AVX) | F(F16C) | F(RDRAND) | F(HYPERVISOR),
	[2] = F(SYSCALL) | F(NX) | F(MMXEXT) | F(FFXSR) | F(RDTSCP) | F(LM) | F(3DNOWEXT) | F(3DNOW),
	[3] = F(LAHF_LM) | F(CMP_LEGACY) | F(ABM) | F(SSE4A) | F(MISALIGNSSE) | F(3DNOWPREFETCH) | F(XOP) |
	      F(FMA4) | F(TBM),
	[4] = F(XSAVEOPT) | F(XSAVEC) | F(XGETBV1),
	[5] = F(BMI1) | F(AVX2) | F(BMI2) | F(ERMS) | F(AVX512F) | F(AVX512DQ) | F(RDSEED) | F(ADX) |
	      F(AVX512_IFMA) | F(CLFLUSHOPT) | F(CLWB) | F(AVX512CD) | F(SHA) | F(AVX512BW) | F(AVX512VL) |
	      F(NO_FPU_SEL) | F(FDP_EXCP_ONLY),
	[6] = F(PREFETCHWT1) | F(AVX512_VBMI) | F(AVX512_VBMI2) | F(GFNI) | F(VAES) | F(VPCLMULQDQ) |
	      F(AVX512_VNNI) | F(AVX512_BITALG) | F(AVX512_VPOPCNTDQ) | F(RDPID),
	[7] = F(ITSC),
	[8] = F(CLZERO) | F(RSTR_FP_ERR_PTRS) | F(IBPB),
	[9] = F(AVX512_4VNNIW) | F(AVX512_4FMAPS) | F(FSRM) | F(MD_CLEAR) | F(SERIALIZE) | F(IBRSB) |
	      F(STIBP) | F(SSBD),
	[10] = F(AVX_VNNI) | F(AVX512_BF16) | F(FZRM) | F(FSRS) | F(FSRCS),
};

static xen_cpuid_leaf_t *find(struct cpu_policy *p, uint32_t leaf, uint32_t subleaf)
{
	for (unsigned i = 0; i < p->leaf_count; i++)
		if (p->leaves[i].leaf == leaf && p->leaves[i].subleaf == subleaf)
			return &p->leaves[i];
	return NULL;
}

static uint32_t *leaf_reg(xen_cpuid_leaf_t *l, enum reg reg)
{
	return reg == EAX ? &l->a : reg == EBX ? &l->b : reg == ECX ? &l->c : &l->d;
}

unsigned cpu_policy_featureset(const struct cpu_policy *p, uint32_t words[FEATURESET_WORDS])
{
	for (unsigned i = 0; i < FEATURESET_WORDS; i++) {
		xen_cpuid_leaf_t *l =
		        find((struct cpu_policy *)p, word_source[i].leaf, word_source[i].subleaf);

		words[i] = l && i != WORD_ARCH_CAPS && i != WORD_ARCH_CAPS + 1
		                   ? *leaf_reg(l, word_source[i].reg)
		                   : 0;
	}
	return FEATURESET_WORDS;
}

static void add_raw(struct cpu_policy *p, uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r = cpuid(leaf, subleaf == XEN_CPUID_NO_SUBLEAF ? 0 : subleaf);

	if (p->leaf_count < POLICY_LEAVES_MAX)
		p->leaves[p->leaf_count++] = (xen_cpuid_leaf_t){ leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx };
}

static bool has_subleaves(uint32_t leaf)
{
	return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd;
}

/*
 * Basic leaves to 0xd at the most, the two that name the hypervisor's own ranges, extended ones to
 * 0x80000021. All that the stock tools' own form has is there, empty or not: they write a policy back into as
 * many entries as they read.
 */
static void read_raw(struct cpu_policy *p)
{
	uint32_t max = MIN(cpu_features.max_leaf, BASIC_LEAF_MAX),
	         max_ext = MIN(cpu_features.max_ext_leaf, EXTENDED_LEAF_MAX);

	for (uint32_t leaf = 0; leaf <= max; leaf++) {
		unsigned count = leaf == 4 ? 6 : leaf == 7 ? 3 : leaf == 0xb ? 2 : 63;

		if (!has_subleaves(leaf)) {
			add_raw(p, leaf, XEN_CPUID_NO_SUBLEAF);
			continue;
		}
		for (unsigned sub = 0; sub < count; sub++) {
			struct cpuid_regs states = cpuid(0xd, 0);

			if (leaf != 0xd || sub < 2 || ((uint64_t)states.edx << 32 | states.eax) >> sub)
				add_raw(p, leaf, sub);
		}
	}
	p->leaves[p->leaf_count++] =
	        (xen_cpuid_leaf_t){ .leaf = 0x40000000, .subleaf = XEN_CPUID_NO_SUBLEAF };
	p->leaves[p->leaf_count++] =
	        (xen_cpuid_leaf_t){ .leaf = 0x40000100, .subleaf = XEN_CPUID_NO_SUBLEAF };
	for (uint32_t leaf = 0x80000000; leaf <= max_ext; leaf++)
		add_raw(p, leaf, XEN_CPUID_NO_SUBLEAF);
}

/* Leaves that a PV guest does not get at all. */
static bool hidden_leaf(uint32_t leaf)
{
	return leaf == 3 || leaf == 5 || leaf == 6 || leaf == 8 || leaf == 9 || leaf == 0xa || leaf == 0xc ||
	       (leaf >= 0x80000009 && leaf < 0x80000019) || (leaf > 0x8000001a && leaf <= 0x80000020);
}

/* Bits that the hypervisor overrides when the guest asks, or that a guest which began on Xen has seen and that do no harm. */
static uint32_t tolerated(unsigned word)
{
	return word == 0   ? F(HTT) | F(APIC)
	       : word == 1 ? F(OSXSAVE) | F(HYPERVISOR) | F(X2APIC)
	       : word == 3 ? F(CMP_LEGACY)
	       : word == 9 ? F(ARCH_CAPS)
	                   : 0;
}

static bool is_word(const xen_cpuid_leaf_t *l, unsigned word)
{
	return l->leaf == word_source[word].leaf && l->subleaf == word_source[word].subleaf && l->leaf;
}

/* Leaves nothing of l but the features in allowed, by words, and what beside features a PV guest gets. */
static void restrict_leaf(xen_cpuid_leaf_t *l, const uint32_t allowed[FEATURESET_WORDS])
{
	if (hidden_leaf(l->leaf))
		l->a = l->b = l->c = l->d = 0;
	for (unsigned i = 0; i < FEATURESET_WORDS; i++)
		if (is_word(l, i))
			*leaf_reg(l, word_source[i].reg) &= allowed[i];
	if ((l->leaf == 7 && l->subleaf == 2) || l->leaf == 0x80000007)
		l->a = l->b = l->c = 0;
	if (l->leaf == 0x80000021)
		l->b = l->d = 0;
}

/* Features that are nothing without another one (SDM Vol. 1, chapters 13 to 15); each stands behind what it needs. */
static const struct {
	uint8_t need_word;
	uint32_t need;
	uint8_t word;
	uint32_t features;
} dependences[] = {
	{ 1, F(XSAVE), 1, F(AVX) },
	{ 1, F(XSAVE), 4, F(XSAVEOPT) | F(XSAVEC) | F(XGETBV1) },
	{ 1, F(AVX), 1, F(FMA) | F(F16C) },
	{ 1, F(AVX), 3, F(XOP) | F(FMA4) },
	{ 1, F(AVX), 5, F(AVX2) },
	{ 1, F(AVX), 6, F(VAES) | F(VPCLMULQDQ) },
	{ 5, F(AVX2), 10, F(AVX_VNNI) },
	{ 5, F(AVX2), 5, F(AVX512F) },
	{ 5, F(AVX512F), 5, F(AVX512DQ) | F(AVX512_IFMA) | F(AVX512CD) | F(AVX512BW) | F(AVX512VL) },
	{ 5, F(AVX512F), 6, F(AVX512_VNNI) | F(AVX512_VPOPCNTDQ) },
	{ 5, F(AVX512F), 9, F(AVX512_4VNNIW) | F(AVX512_4FMAPS) },
	{ 5, F(AVX512BW), 6, F(AVX512_VBMI) | F(AVX512_VBMI2) | F(AVX512_BITALG) },
	{ 5, F(AVX512BW), 10, F(AVX512_BF16) },
};

static uint32_t *word_of(struct cpu_policy *p, unsigned word)
{
	static uint32_t none;
	xen_cpuid_leaf_t *l = find(p, word_source[word].leaf, word_source[word].subleaf);

	if (l)
		return leaf_reg(l, word_source[word].reg);
	none = 0;
	return &none;
}

uint64_t cpu_policy_xcr0(const struct cpu_policy *policy)
{
	struct cpu_policy *p = (struct cpu_policy *)policy;
	uint64_t xcr0 = 3;

	if (!(*word_of(p, 1) & F(XSAVE)))
		return 0;
	if (*word_of(p, 1) & F(AVX))
		xcr0 |= 4;
	if (*word_of(p, 5) & F(AVX512F))
		xcr0 |= 0xe0;
	return xcr0 & cpu_features.xcr0_mask;
}

bool cpu_policy_has(const struct cpu_policy *p, unsigned word, uint32_t bits)
{
	return *word_of((struct cpu_policy *)p, word) & bits;
}

/* Bytes of an XSAVE area for these components, by the sizes in p's leaf 0xd; compacted: the format of XSAVEC. */
static uint32_t xsave_bytes(struct cpu_policy *p, uint64_t xcr0, bool compacted)
{
	uint32_t bytes = XSAVE_LEGACY_BYTES;

	for (uint32_t i = 2; i < 63; i++) {
		const xen_cpuid_leaf_t *l = xcr0 >> i & 1 ? find(p, 0xd, i) : NULL;

		if (l && compacted)
			bytes = (l->c & 2 ? (bytes + 63) & ~63u : bytes) + l->a;
		else if (l)
			bytes = MAX(bytes, l->a + l->b);
	}
	return bytes;
}

uint32_t cpu_policy_xsave_bytes(uint64_t components)
{
	return xsave_bytes(&policy_raw, components, false);
}

static void settle_xsave(struct cpu_policy *p)
{
	uint64_t xcr0 = cpu_policy_xcr0(p);

	for (unsigned i = 0; i < p->leaf_count; i++) {
		xen_cpuid_leaf_t *l = &p->leaves[i], *raw;

		if (l->leaf != 0xd)
			continue;
		raw = l->subleaf > 1 && l->subleaf < 63 && xcr0 >> l->subleaf & 1
		              ? find(&policy_raw, 0xd, l->subleaf)
		              : NULL;
		l->b = raw ? raw->b : 0;
		l->c = raw ? raw->c & 2 : 0;
		l->d = 0;
		if (l->subleaf != 1)
			l->a = raw ? raw->a : 0;
	}
	if (xcr0) {
		xen_cpuid_leaf_t *l = find(p, 0xd, 0);

		l->a = (uint32_t)xcr0;
		l->d = (uint32_t)(xcr0 >> 32);
		l->c = xsave_bytes(p, xcr0, false);
	}
}

/* The least n with so many numbers of n bits. */
static uint32_t bits_for(uint32_t count)
{
	uint32_t n = 0;

	while (count > 1u << n)
		n++;
	return n;
}

/* Leaf 4: no more numbers of cores, nor of those that share a cache, than there are of a package's. */
static void settle_caches(struct cpu_policy *p, uint32_t package_bits)
{
	uint32_t most = (1u << package_bits) - 1;

	for (unsigned i = 0; i < p->leaf_count; i++) {
		xen_cpuid_leaf_t *l = &p->leaves[i];

		if (l->leaf == 4)
			l->a = MIN(l->a >> 26, most) << 26 | MIN(l->a >> 14 & 0xfff, most) << 14 |
			       (l->a & 0x3fff);
	}
}

/* Leaf 0xb: threads, then cores; none where it begins with another level. */
static void settle_levels(struct cpu_policy *p, uint32_t package_bits)
{
	xen_cpuid_leaf_t *threads = find(p, 0xb, 0), *cores = find(p, 0xb, 1);

	if (!threads || !cores)
		return;
	if (!threads->b || !cores->b || (threads->c >> 8 & 0xff) != 1 || (cores->c >> 8 & 0xff) != 2) {
		threads->a = threads->b = threads->c = cores->a = cores->b = cores->c = 0;
		return;
	}
	cores->a = package_bits ? MIN(MAX(cores->a & 31, package_bits), 16u) : 0;
	threads->a = MIN(threads->a & 31, cores->a);
	cores->b = MIN(cores->b & 0xffff, 1u << cores->a);
	threads->b = MIN(MIN(threads->b & 0xffff, 1u << threads->a), cores->b);
	threads->c = 0x100; /* kind, and the own number */
	cores->c = 0x201;
}

/* Topology by what leaf 1 says of the package: that there is one thread, or how many numbers they have. */
static void settle_topology(struct cpu_policy *p)
{
	xen_cpuid_leaf_t *first = find(p, 1, XEN_CPUID_NO_SUBLEAF),
	                 *sizes = find(p, 0x80000008, XEN_CPUID_NO_SUBLEAF);
	uint32_t count = first && first->d & F(HTT) ? first->b >> 16 & 0xff : 0, bits = bits_for(count), size;

	if (count < 2) {
		*word_of(p, 0) &= ~F(HTT);
		*word_of(p, 3) &= ~F(CMP_LEGACY);
		if (first)
			first->b &= 0xff00ffff;
	}
	settle_caches(p, bits);
	settle_levels(p, bits);
	if (!sizes)
		return;
	size = sizes->c >> 12 & 0xf;
	sizes->c &= ~0xf0ffu;
	if (cpu_features.is_amd && count > 1)
		sizes->c |= (count - 1) | (size ? MAX(size, bits) << 12 : 0);
}

/* Makes the leaves of a policy agree with each other, whoever wrote them. */
static void settle(struct cpu_policy *p)
{
	xen_cpuid_leaf_t *l = find(p, 0, XEN_CPUID_NO_SUBLEAF);

	if (l)
		l->a = MIN(l->a, MIN(cpu_features.max_leaf, BASIC_LEAF_MAX));
	l = find(p, 0x80000000, XEN_CPUID_NO_SUBLEAF);
	if (l)
		l->a = MIN(l->a, MIN(cpu_features.max_ext_leaf, EXTENDED_LEAF_MAX));
	l = find(p, 7, 0);
	if (l)
		l->a = MIN(l->a, 1u);
	*word_of(p, 1) |= F(HYPERVISOR);
	if (!cpu_features.xsave)
		*word_of(p, 1) &= ~F(XSAVE);
	if (!(cpu_features.xcr0_mask & 4))
		*word_of(p, 1) &= ~F(AVX);
	if ((cpu_features.xcr0_mask & 0xe0) != 0xe0)
		*word_of(p, 5) &= ~F(AVX512F);
	for (unsigned i = 0; i < ARRAY_SIZE(dependences); i++)
		if (!(*word_of(p, dependences[i].need_word) & dependences[i].need))
			*word_of(p, dependences[i].word) &= ~dependences[i].features;
	/* AMD repeats leaf 1's bits. */
	*word_of(p, 2) &= ~COMMON_BITS;
	if (cpu_features.is_amd)
		*word_of(p, 2) |= *word_of(p, 0) & COMMON_BITS;
	settle_topology(p);
	settle_xsave(p);
}

void cpuid_init(void)
{
	read_raw(&policy_raw);
	policy_host = policy_raw;
	policy_pv_max = policy_raw;
	for (unsigned i = 0; i < policy_pv_max.leaf_count; i++)
		restrict_leaf(&policy_pv_max.leaves[i], pv_mask);
	settle(&policy_pv_max);
	policy_pv_max.msr_count = 0;
	policy_pv_default = policy_pv_max;
	*word_of(&policy_pv_default, 7) &= ~F(ITSC); /* the toolstack says who stays on this host */
}

/* A feature that there is not is no error, as on Xen: the guest does not see it. */
int cpu_policy_update(struct domain *d, const xen_cpuid_leaf_t *leaves, unsigned leaf_count,
                      const xen_msr_entry_t *msrs, unsigned msr_count, uint32_t *bad_msr)
{
	xen_msr_entry_t arch_caps = d->cpu_policy->msrs[0];
	uint32_t allowed[FEATURESET_WORDS];

	for (unsigned i = 0; i < msr_count; i++) {
		/* MSR_INTEL_PLATFORM_INFO and ARCH_CAPABILITIES come. What says that a fault is not there is not offered to
		 * a guest; what says that one is does no harm. */
		*bad_msr = msrs[i].idx;
		if (msrs[i].flags || (msrs[i].val & ~(msrs[i].idx == MSR_ARCH_CAPS ? ARCH_CAPS_WORSE : 0)))
			return -EINVAL;
		if (msrs[i].idx == MSR_ARCH_CAPS)
			arch_caps = msrs[i];
	}
	*bad_msr = ~0u;
	d->cpu_policy->msrs[0] = arch_caps;
	d->cpu_policy->msr_count = arch_caps.val != 0;
	(void)cpu_policy_featureset(&policy_pv_max, allowed);
	for (unsigned i = 0; i < FEATURESET_WORDS; i++)
		allowed[i] |= tolerated(i);
	for (unsigned i = 0; i < leaf_count; i++) {
		xen_cpuid_leaf_t *mine = find(d->cpu_policy, leaves[i].leaf, leaves[i].subleaf);

		if (!mine)
			continue;
		*mine = leaves[i];
		restrict_leaf(mine, allowed);
	}
	settle(d->cpu_policy);
	return 0;
}

/* Leaf 3: how the domain's TSC comes about. */
static struct cpuid_regs time_leaf(const struct domain *d, uint32_t subleaf)
{
	const struct vtsc *t = &d->vtsc;
	struct time_scale s = time_scale_read();
	uint32_t host_khz = (uint32_t)time_tsc_khz(), khz = t->khz || d->privileged ? t->khz : host_khz;
	uint64_t offset_ns = t->emulated ? 0 : t->offset_ns;

	if (subleaf == 0)
		return (struct cpuid_regs){ (uint32_t)t->emulated | (uint32_t)s.tsc_stable << 1 |
			                            (uint32_t)cpu_features.rdtscp << 2,
			                    t->mode, khz, t->incarnation };
	if (subleaf == 2)
		return (struct cpuid_regs){ .eax = host_khz };
	if (subleaf != 1 || !khz)
		return (struct cpuid_regs){ 0 };
	time_scale_of_rate(khz * 1000ull, &s.tsc_to_ns_mul, &s.tsc_shift);
	return (struct cpuid_regs){ (uint32_t)offset_ns, (uint32_t)(offset_ns >> 32), s.tsc_to_ns_mul,
		                    (uint32_t)s.tsc_shift };
}

static struct cpuid_regs hypervisor_leaf(const struct domain *d, uint32_t n, uint32_t subleaf)
{
	struct cpuid_regs r = { 0 };

	switch (n) {
	case 0:
		r = (struct cpuid_regs){ XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES), XEN_CPUID_SIGNATURE_EBX,
			                 XEN_CPUID_SIGNATURE_ECX, XEN_CPUID_SIGNATURE_EDX };
		break;
	case 1:
		r.eax = XEN_RELEASE_MAJOR << 16 | XEN_RELEASE_MINOR;
		break;
	case 2: /* one hypercall page, MSR base (unused by PV), features */
		r.eax = 1;
		r.ebx = 0x40000000;
		r.ecx = XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD;
		break;
	case 3:
		return time_leaf(d, subleaf);
	case 5:
		r.ebx = cpu_features.phys_bits;
		break;
	}
	return r;
}

/* What depends on the vcpu or its state. */
static void dynamic(const struct vcpu *v, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *r)
{
	switch (leaf) {
	case 1:
		r->ebx = (r->ebx & 0x0000ffff) | v->id * 2 << 24 | (r->ebx & 0x00ff0000);
		r->ecx &= ~F(OSXSAVE);
		/* A PV kernel takes the bit as leave to use XSAVE, before it sets CR4 itself (Linux, and so
		 * the ABI). */
		if ((v->pv.cr4 & 1u << 18) || ((r->ecx & F(XSAVE)) && v == current_vcpu() && pv_in_kernel(v)))
			r->ecx |= F(OSXSAVE);
		r->ecx |= F(HYPERVISOR);
		break;
	case 0xb:
		r->ecx = (r->ecx & ~0xffu) | (subleaf & 0xff);
		r->edx = v->id * 2;
		break;
	case 0xd:
		if (subleaf == 0 && r->eax)
			r->ebx = xsave_bytes(v->domain->cpu_policy, v->pv.xcr0, false);
		else if (subleaf == 1 && (r->eax & F(XSAVEC)))
			r->ebx = xsave_bytes(v->domain->cpu_policy, v->pv.xcr0, true);
		break;
	}
}

struct cpuid_regs pv_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf)
{
	struct cpu_policy *p = v->domain->cpu_policy;
	struct cpuid_regs r = { 0 };
	uint32_t key = has_subleaves(leaf) ? subleaf : XEN_CPUID_NO_SUBLEAF;
	xen_cpuid_leaf_t *l;

	if (leaf >= XEN_CPUID_FIRST_LEAF && leaf <= XEN_CPUID_LEAF(0xff))
		return leaf <= XEN_CPUID_LEAF(XEN_CPUID_MAX_NUM_LEAVES)
		               ? hypervisor_leaf(v->domain, leaf - XEN_CPUID_FIRST_LEAF, subleaf)
		               : r;
	l = find(p, leaf, key);
	if (!l && (leaf != 0xb || leaf > cpu_features.max_leaf))
		return r;
	if (l)
		r = (struct cpuid_regs){ l->a, l->b, l->c, l->d };
	dynamic(v, leaf, subleaf, &r);
	return r;
}

uint64_t pv_cr4_allowed(const struct domain *d)
{
	xen_cpuid_leaf_t *l = find(d->cpu_policy, 1, XEN_CPUID_NO_SUBLEAF);
	uint64_t bits =
	        0x20 | 0x200 | 0x400 | 0x80 /* PAE OSFXSR OSXMMEXCPT PGE: always on or without meaning */;

	bits |= 1u << 2 | 1u << 3 | 1u << 6 | 1u << 0 | 1u << 1; /* TSD DE MCE VME PVI */
	if (l && (l->c & F(XSAVE)))
		bits |= 1u << 18;
	return bits;
}
