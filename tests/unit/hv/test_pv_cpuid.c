/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest sees of CPUID agrees with itself and with the MSRs beside it, on recorded processors (cpuid_models.h):
 * sizes, counts, vendors, features and what they need; by default, and after a toolstack changed a policy.
 */
#include "hw/cpu.h"
#include "hw/features.h"
#include "hw/options.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "pv/cpuid.h"
#include "../../lib/check.h"
#include "cpuid_models.h"
#include "pv/msr.h"
#include "pv/vcpu.h"
#include <stdlib.h>
#include <string.h>
#include <xen/arch-x86/cpufeatureset.h>

#define F(name) (1u << (XEN_X86_FEATURE_##name % 32))

struct options options;
static const struct cpuid_model *model;
static struct cpu_info info;
static struct domain d;
static struct vcpu v;

/* ---- the processor ---- */

struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	for (unsigned i = 0; i < model->count; i++)
		if (model->rows[i].leaf == leaf && model->rows[i].subleaf == subleaf)
			return model->rows[i].regs;
	return (struct cpuid_regs){ 0 };
}

/* The MSRs that can be read and written; none but in faulting(). */
static struct {
	uint32_t number;
	uint64_t value;
	bool read_only;
} msrs_there[2];
static unsigned msr_writes;

int rdmsr_safe(uint32_t msr, uint64_t *value)
{
	for (unsigned i = 0; i < ARRAY_SIZE(msrs_there); i++)
		if (msrs_there[i].number == msr) {
			*value = msrs_there[i].value;
			return 0;
		}
	return -EFAULT;
}

int wrmsr_safe(uint32_t msr, uint64_t value)
{
	msr_writes++;
	for (unsigned i = 0; i < ARRAY_SIZE(msrs_there); i++)
		if (msrs_there[i].number == msr && !msrs_there[i].read_only) {
			msrs_there[i].value = value;
			return 0;
		}
	return -EFAULT;
}

uint64_t rdmsr(uint32_t msr)
{
	(void)msr;
	return 0;
}

void wrmsr(uint32_t msr, uint64_t value)
{
	(void)msr, (void)value;
}

struct cpu_info *cpu_info(void)
{
	return &info;
}

struct vcpu *current_vcpu(void)
{
	return &v;
}

bool pv_address_ok(uint64_t address)
{
	return !address;
}

uint64_t time_now_ns(void)
{
	return 5000000;
}

uint64_t time_tsc_khz(void)
{
	return 2000000;
}

uint64_t rdtsc(void)
{
	return 77;
}

struct time_scale time_scale_read(void)
{
	return (struct time_scale){ .tsc_stable = true };
}

void log_line(enum log_level level, const char *fmt, ...)
{
	(void)level, (void)fmt;
}

void log_guest(enum log_level level, unsigned domid, const char *fmt, ...)
{
	(void)level, (void)domid, (void)fmt;
}

void panic(const char *fmt, ...)
{
	printf("Bail out! panic: %s\n", fmt);
	exit(1);
}

/* ---- what is looked at ---- */

static struct cpuid_regs see(uint32_t leaf, uint32_t subleaf)
{
	return pv_cpuid(&v, leaf, subleaf);
}

static bool zero(struct cpuid_regs r)
{
	return !(r.eax | r.ebx | r.ecx | r.edx);
}

static void limits(void)
{
	struct cpuid_regs r = see(0, 0), e = see(0x80000000, 0), raw = cpuid(0, 0);

	CHECK_THAT(r.eax <= 0xd && r.ebx == raw.ebx && r.ecx == raw.ecx && r.edx == raw.edx);
	CHECK_THAT(e.eax >= 0x80000001 && e.eax <= 0x80000021);
	CHECK_THAT(!e.ebx || (e.ebx == r.ebx && e.ecx == r.ecx && e.edx == r.edx));
	for (uint32_t leaf = r.eax + 1; leaf < 0x30; leaf++)
		CHECK_THAT(zero(see(leaf, 0)) && zero(see(leaf, 1)));
	for (uint32_t leaf = e.eax + 1; leaf < 0x80000030; leaf++)
		CHECK_THAT(zero(see(leaf, 0)));
	for (uint32_t sub = see(7, 0).eax + 1; sub < 5; sub++)
		CHECK_THAT(zero(see(7, sub)));
	CHECK_THAT(see(0x40000000, 0).eax >= 0x40000001 && zero(see(0x40000080, 0)));
}

/* Bits that no paravirtual guest can have. */
static void forbidden(void)
{
	CHECK_THAT(!(see(1, 0).edx & (F(VME) | F(PSE) | F(MTRR) | F(PGE) | F(PSE36) | F(ACPI))));
	CHECK_THAT(!(see(1, 0).ecx & (F(MONITOR) | F(VMX) | F(SMX) | F(PCID) | F(X2APIC) | F(TSC_DEADLINE))));
	CHECK_THAT(see(1, 0).ecx & F(HYPERVISOR));
	CHECK_THAT(
	        !(see(7, 0).ebx & (F(FSGSBASE) | F(SMEP) | F(SMAP) | F(INVPCID) | F(RTM) | F(HLE) | F(PQM))));
	CHECK_THAT(!(see(7, 0).ecx & (F(PKU) | F(UMIP))) && !(see(7, 0).edx & F(ARCH_CAPS)));
	CHECK_THAT(!(see(0xd, 1).eax & F(XSAVES)) && !see(0xd, 1).ecx && !see(0xd, 1).edx);
	CHECK_THAT(!(see(0x80000001, 0).ecx & (F(SVM) | F(TOPOEXT))) &&
	           !(see(0x80000001, 0).edx & F(PAGE1GB)));
	CHECK_THAT(zero(see(0x8000000a, 0)) && zero(see(0x8000001d, 0)) && zero(see(0x8000001e, 0)));
	CHECK_THAT(zero(see(5, 0)) && zero(see(6, 0)) && zero(see(0xa, 0)) && zero(see(0x80000007, 0)));
}

static void needs(uint32_t what, uint32_t needed)
{
	CHECK_THAT(!what || needed);
}

static void dependences(void)
{
	uint32_t c1 = see(1, 0).ecx, b7 = see(7, 0).ebx, c7 = see(7, 0).ecx, d7 = see(7, 0).edx;
	uint32_t avx = c1 & F(AVX), avx512f = b7 & F(AVX512F);

	needs(avx | see(0xd, 1).eax, c1 & F(XSAVE));
	needs(c1 & (F(FMA) | F(F16C)), avx);
	needs((b7 & F(AVX2)) | (c7 & (F(VAES) | F(VPCLMULQDQ))), avx);
	needs(see(0x80000001, 0).ecx & (F(XOP) | F(FMA4)), avx);
	needs(avx512f | (see(7, 1).eax & F(AVX_VNNI)), b7 & F(AVX2));
	needs(b7 & (F(AVX512DQ) | F(AVX512_IFMA) | F(AVX512CD) | F(AVX512BW) | F(AVX512VL)), avx512f);
	needs(c7 & (F(AVX512_VBMI) | F(AVX512_VBMI2) | F(AVX512_VNNI) | F(AVX512_BITALG) |
	            F(AVX512_VPOPCNTDQ)),
	      avx512f);
	needs(d7 & (F(AVX512_4VNNIW) | F(AVX512_4FMAPS)), avx512f);
	needs(see(7, 1).eax & F(AVX512_BF16), avx512f);
	if (cpu_features.is_amd)
		CHECK_THAT((see(0x80000001, 0).edx & 0x0183f3ff) == (see(1, 0).edx & 0x0183f3ff));
	else
		CHECK_THAT(!(see(0x80000001, 0).edx & 0x0183f3ff));
}

static void extended_state(void)
{
	struct cpuid_regs r = see(0xd, 0), one = see(0xd, 1);
	uint64_t xcr0 = (uint64_t)r.edx << 32 | r.eax;
	uint32_t largest = 576;

	if (!(see(1, 0).ecx & F(XSAVE))) {
		for (uint32_t i = 0; i < 63; i++)
			CHECK_THAT(zero(see(0xd, i)));
		return;
	}
	CHECK_THAT((xcr0 & 3) == 3 && xcr0 == cpu_policy_xcr0(d.cpu_policy));
	CHECK_THAT(!!(xcr0 & 4) == !!(see(1, 0).ecx & F(AVX)));
	CHECK_THAT((xcr0 & 0xe0) == (see(7, 0).ebx & F(AVX512F) ? 0xe0u : 0u) && !(xcr0 & ~0xe7ull));
	for (uint32_t i = 2; i < 63; i++) {
		struct cpuid_regs c = see(0xd, i);

		CHECK_THAT(zero(c) == !(xcr0 >> i & 1));
		CHECK_THAT(!(c.ecx & ~2u) && !c.edx);
		largest = MAX(largest, c.eax + c.ebx);
	}
	CHECK_THAT(r.ecx == largest && largest <= cpu_features.xsave_size);
	for (uint64_t on = 1; on <= xcr0; on = on << 1 | 1) {
		uint32_t standard = 576, compacted = 576;

		if (on & ~xcr0)
			continue;
		v.pv.xcr0 = on;
		for (uint32_t i = 2; i < 8; i++)
			if (on >> i & 1) {
				struct cpuid_regs c = see(0xd, i);

				standard = MAX(standard, c.eax + c.ebx);
				compacted = (c.ecx & 2 ? (compacted + 63) / 64 * 64 : compacted) + c.eax;
			}
		CHECK_THAT(see(0xd, 0).ebx == standard && see(0xd, 0).ecx == largest);
		CHECK_THAT(see(0xd, 1).ebx == (one.eax & F(XSAVEC) ? compacted : 0));
	}
	v.pv.xcr0 = xcr0;
	CHECK_THAT(see(0xd, 0).ebx == largest);
	v.pv.xcr0 = 1;
}

/* Levels of leaf 0xb: threads, cores, and nothing behind them; numbers of the package hold so many. */
static void levels(uint32_t in_package)
{
	struct cpuid_regs threads = see(0xb, 0), cores = see(0xb, 1);

	for (uint32_t sub = 0; sub < 4; sub++)
		CHECK_THAT((see(0xb, sub).ecx & ~0xff00u) == (see(0, 0).eax >= 0xb ? sub : 0));
	for (uint32_t sub = 2; sub < 4; sub++)
		CHECK_THAT(!(see(0xb, sub).eax | see(0xb, sub).ebx | see(0xb, sub).ecx >> 8));
	if (!threads.ebx) {
		CHECK_THAT(!(threads.eax | threads.ecx >> 8 | cores.eax | cores.ebx | cores.ecx >> 8));
		return;
	}
	CHECK_THAT(threads.ecx >> 8 == 1 && cores.ecx >> 8 == 2);
	CHECK_THAT(threads.eax <= cores.eax && cores.eax <= 16 && 1u << cores.eax >= in_package);
	if (cores.eax > 16 || threads.eax > cores.eax)
		return;
	CHECK_THAT(threads.ebx <= cores.ebx && threads.ebx <= 1u << threads.eax &&
	           cores.ebx <= 1u << cores.eax);
	CHECK_THAT(in_package > 1 || (!cores.eax && cores.ebx == 1));
}

/* What leaf 1 says of the package, 4 of those that share a cache, 0xb of levels, 0x80000008 of AMD's cores. */
static void topology(void)
{
	uint32_t in_package = see(1, 0).edx & F(HTT) ? see(1, 0).ebx >> 16 & 0xff : 1, numbers = 1;
	uint32_t amd = see(0x80000008, 0).ecx, core_bits = amd >> 12 & 0xf;

	CHECK_THAT(!(see(1, 0).edx & F(HTT)) == (in_package == 1));
	CHECK_THAT(in_package > 1 || !(see(1, 0).ebx >> 16 & 0xff || see(0x80000001, 0).ecx & F(CMP_LEGACY)));
	while (numbers < in_package)
		numbers *= 2;
	for (uint32_t sub = 0; sub < 6; sub++) {
		uint32_t caches = see(4, sub).eax;

		CHECK_THAT((caches >> 26) + 1 <= numbers && (caches >> 14 & 0xfff) + 1 <= numbers);
	}
	levels(in_package);
	CHECK_THAT((amd & 0xff) + 1 ==
	           (cpu_features.is_amd && cpu_features.max_ext_leaf >= 0x80000008 ? in_package : 1));
	CHECK_THAT(core_bits ? cpu_features.is_amd && 1u << core_bits >= in_package : !(amd & 0xf000));
	CHECK_THAT(!(see(0x80000001, 0).ecx & F(TOPOEXT)) && zero(see(0x8000001e, 0)));
	for (v.id = 0; v.id < 5; v.id++) {
		CHECK_THAT(see(1, 0).ebx >> 24 == v.id * 2);
		for (uint32_t sub = 0; see(0, 0).eax >= 0xb && sub < 4; sub++)
			CHECK_THAT(see(0xb, sub).edx == v.id * 2 && (see(0xb, sub).ecx & 0xff) == sub);
	}
	v.id = 0;
}

static void msrs(void)
{
	uint32_t d7 = see(7, 0).edx;
	uint64_t value;

	CHECK_THAT(!pv_msr_read(&v, 0x48, &value) ==
	           (cpu_features.spec_ctrl && d7 & (F(IBRSB) | F(STIBP) | F(SSBD))));
	CHECK_THAT(!pv_msr_write(&v, 0x48, 1) == (cpu_features.spec_ctrl && d7 & F(IBRSB)));
	CHECK_THAT(!pv_msr_write(&v, 0x48, 4) == (cpu_features.spec_ctrl && d7 & F(SSBD)));
	CHECK_THAT(pv_msr_write(&v, 0x48, 8) && pv_msr_write(&v, 0x48, 1ull << 32));
	CHECK_THAT(!pv_msr_write(&v, 0x49, 1) ==
	           (cpu_features.ibpb && (d7 & F(IBRSB) || see(0x80000008, 0).ebx & F(IBPB))));
	CHECK_THAT(!pv_msr_write(&v, 0x10b, 1) == (cpu_features.l1d_flush && d7 & F(L1D_FLUSH)));
	CHECK_THAT(!pv_msr_write(&v, 0xc0000103, 5) == !!(see(0x80000001, 0).edx & F(RDTSCP)));
	CHECK_THAT(pv_msr_write(&v, 0xc0000082, 0) && pv_msr_write(&v, 0xc0000080, 0x100) &&
	           pv_msr_read(&v, 0x10a, &value));
	CHECK_THAT(pv_msr_write(&v, 0xc0000100, 1) && !pv_msr_write(&v, 0xc0000100, 0));
}

static uint64_t msr(uint32_t number)
{
	uint64_t value = 0xbad;

	CHECK_THAT(!pv_msr_read(&v, number, &value));
	return value;
}

/* As Xen 4.17's dom0 reads and writes them through /dev/cpu/0/msr (on an Intel processor). */
static void machine_checks(void)
{
	uint64_t value;

	CHECK_THAT(see(1, 0).edx & F(MCE) && see(1, 0).edx & F(MCA));
	CHECK_THAT(msr(0x179) == (cpu_features.is_intel ? 0x1000c02 : 2));
	CHECK_THAT(!msr(0x17a) && !pv_msr_write(&v, 0x17a, 4) && msr(0x17a) == 4 &&
	           !pv_msr_write(&v, 0x17a, 0));
	CHECK_THAT(!msr(0x17b) && !pv_msr_write(&v, 0x17b, 5) && !msr(0x17b));
	CHECK_THAT(!pv_msr_write(&v, 0x179, 1) && msr(0x179) != 1);
	for (uint32_t bank = 0x400; bank < 0x408; bank += 4) {
		CHECK_THAT(msr(bank) == ~0ull && !pv_msr_write(&v, bank, 0) && msr(bank) == ~0ull);
		for (uint32_t i = 1; i < 4; i++)
			CHECK_THAT(!msr(bank + i) && !pv_msr_write(&v, bank + i, 0) &&
			           pv_msr_write(&v, bank + i, 1));
	}
	for (uint32_t other = 0x408; other < 0x480; other++)
		CHECK_THAT(!msr(other) && !pv_msr_write(&v, other, 1) && !msr(other));
	CHECK_THAT(pv_msr_read(&v, 0x4d0, &value) && pv_msr_read(&v, 0x17d, &value));
	if (!cpu_features.is_intel) {
		CHECK_THAT(pv_msr_read(&v, 0x280, &value) && pv_msr_write(&v, 0x280, 0));
		return;
	}
	CHECK_THAT(!msr(0x280) && !pv_msr_write(&v, 0x280, 1) && msr(0x280) == 1 && !msr(0x281));
	CHECK_THAT(!pv_msr_write(&v, 0x280, 0) && !pv_msr_write(&v, 0x282, 1) && !msr(0x282) && !msr(0x29f));
}

static void osxsave(void)
{
	uint32_t has = see(1, 0).ecx & F(XSAVE);

	v.pv.kernel_mode = false;
	CHECK_THAT(!(see(1, 0).ecx & F(OSXSAVE)));
	v.pv.kernel_mode = true;
	CHECK_THAT(!!(see(1, 0).ecx & F(OSXSAVE)) == !!has);
	CHECK_THAT(!(pv_cr4_allowed(&d) >> 18 & 1) == !has);
}

static void agrees(void)
{
	limits();
	forbidden();
	dependences();
	extended_state();
	topology();
	msrs();
	machine_checks();
	osxsave();
}

/* A leaf of the policy as a toolstack writes it. */
static int set_leaf(uint32_t leaf, uint32_t subleaf, struct cpuid_regs r)
{
	xen_cpuid_leaf_t l = { leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx };
	uint32_t bad_msr;

	return cpu_policy_update(&d, &l, 1, NULL, 0, &bad_msr);
}

/* The features of one word, less some, as libxl's <cpu> or cpuid= leaves them. */
static void without(uint32_t leaf, uint32_t subleaf, uint32_t ecx, uint32_t ebx)
{
	for (unsigned i = 0; i < d.cpu_policy->leaf_count; i++) {
		const xen_cpuid_leaf_t *l = &d.cpu_policy->leaves[i];

		if (l->leaf == leaf && l->subleaf == subleaf)
			CHECK_THAT(!set_leaf(leaf, subleaf,
			                     (struct cpuid_regs){ l->a, l->b & ~ebx, l->c & ~ecx, l->d }));
	}
}

static const xen_cpuid_leaf_t *leaf_of(const struct cpu_policy *p, uint32_t leaf)
{
	for (unsigned i = 0; i < p->leaf_count; i++)
		if (p->leaves[i].leaf == leaf)
			return &p->leaves[i];
	return NULL;
}

static void begin(const struct cpuid_model *m)
{
	model = m;
	memset(&cpu_features, 0, sizeof(cpu_features));
	memset(&policy_raw, 0, sizeof(policy_raw));
	cpu_features_init();
	cpuid_init();
	free(d.cpu_policy);
	d.cpu_policy = malloc(sizeof(*d.cpu_policy));
	*d.cpu_policy = policy_pv_default;
	v = (struct vcpu){ .domain = &d };
	v.pv.xcr0 = 1;
	v.pv.kernel_mode = true;
}

static void each(const struct cpuid_model *m)
{
	begin(m);
	agrees();
	verdict("%s: what a guest sees agrees with itself", m->name);
	begin(m);
	without(7, 0, 0, F(AVX2));
	agrees();
	without(1, XEN_CPUID_NO_SUBLEAF, F(AVX), 0);
	agrees();
	CHECK_THAT(!(see(0xd, 0).eax & 4) && !(see(7, 0).ebx & F(AVX512F)));
	without(1, XEN_CPUID_NO_SUBLEAF, F(XSAVE), 0);
	agrees();
	verdict("%s: so it does after a toolstack took AVX2, AVX and XSAVE away", m->name);
	begin(m);
	/* Numbers of a toolstack's own, or of another machine: sizes, limits. */
	CHECK_THAT(!set_leaf(0xd, 2, (struct cpuid_regs){ 0xffff, 0xffff, 3, 4 }));
	CHECK_THAT(!set_leaf(0xd, 0, (struct cpuid_regs){ 0x3ff, 0, 1, 1 }));
	CHECK_THAT(!set_leaf(0, XEN_CPUID_NO_SUBLEAF,
	                     (struct cpuid_regs){ 0x1f, see(0, 0).ebx, see(0, 0).ecx, see(0, 0).edx }));
	agrees();
	verdict("%s: and after it wrote sizes and limits that are not the processor's", m->name);
}

/* Of one leaf and subleaf. */
static void set(uint32_t leaf, uint32_t subleaf, uint32_t eax, uint32_t ebx, uint32_t ecx)
{
	const xen_cpuid_leaf_t *l = leaf_of(d.cpu_policy, leaf);

	CHECK_THAT(!set_leaf(leaf, subleaf, (struct cpuid_regs){ eax, ebx, ecx, l ? l->d : 0 }));
}

/* A toolstack may write another topology into one of the leaves, of another machine or its own. */
static void other_topologies(const struct cpuid_model *m)
{
	static const uint32_t counts[] = { 0, 1, 2, 3, 16, 24, 64, 200, 255 };
	const xen_cpuid_leaf_t *one = leaf_of(&policy_pv_default, 1),
	                       *eight = leaf_of(&policy_pv_default, 0x80000008);

	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
		begin(m);
		CHECK_THAT(!set_leaf(1, XEN_CPUID_NO_SUBLEAF,
		                     (struct cpuid_regs){ one->a, (one->b & ~0xff0000u) | counts[i] << 16,
		                                          one->c, one->d | F(HTT) }));
		topology();
		CHECK_THAT((see(1, 0).ebx >> 16 & 0xff) == (counts[i] > 1 ? counts[i] : 0));
		begin(m);
		set(4, 0, counts[i] << 26 | counts[i] << 14 | 0x121, 0x01c0003f, 0x3f);
		topology();
		begin(m);
		set(0xb, 0, counts[i], 2, 0x100);
		topology();
		set(0xb, 1, counts[i], counts[i], 0x201);
		topology();
		set(0xb, 0, 1, counts[i], counts[i] << 8);
		topology();
		begin(m);
		if (eight)
			set(0x80000008, XEN_CPUID_NO_SUBLEAF, eight->a, eight->b,
			    counts[i] | counts[i] << 12);
		topology();
	}
	begin(m);
	CHECK_THAT(!set_leaf(1, XEN_CPUID_NO_SUBLEAF,
	                     (struct cpuid_regs){ one->a, one->b, one->c, one->d & ~F(HTT) }));
	topology();
	CHECK_THAT(!(see(1, 0).edx & F(HTT)));
	verdict("%s: its topology agrees with itself after a toolstack wrote another into one leaf", m->name);
}

/* A toolstack asks for what there is not: it is not refused, as on Xen, and the guest does not see it. libxl does so for
 * each guest with nomigrate=1 (ITSC). */
static void wished_for(const struct cpuid_model *m)
{
	static const struct {
		uint32_t leaf, subleaf;
	} words[] = { { 1, XEN_CPUID_NO_SUBLEAF },
		      { 7, 0 },
		      { 7, 1 },
		      { 7, 2 },
		      { 0x80000001, XEN_CPUID_NO_SUBLEAF },
		      { 0xd, 1 },
		      { 0x80000007, XEN_CPUID_NO_SUBLEAF },
		      { 0x80000008, XEN_CPUID_NO_SUBLEAF },
		      { 0x80000021, XEN_CPUID_NO_SUBLEAF } };
	const xen_cpuid_leaf_t *host;
	uint32_t had[FEATURESET_WORDS], has[FEATURESET_WORDS];

	begin(m);
	CHECK_THAT(!set_leaf(0x80000007, XEN_CPUID_NO_SUBLEAF, (struct cpuid_regs){ .edx = F(ITSC) }));
	host = leaf_of(&policy_host, 0x80000007);
	CHECK_THAT(see(0x80000007, 0).edx == (host ? host->d & F(ITSC) : 0));
	verdict("%s: a guest that does not migrate sees an invariant TSC if there is one", m->name);
	begin(m);
	CHECK_THAT(!see(0x80000007, 0).edx);
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		CHECK_THAT(!set_leaf(words[i].leaf, words[i].subleaf,
		                     (struct cpuid_regs){ ~0u, ~0u, ~0u, ~0u }));
	limits();
	dependences();
	extended_state();
	topology();
	osxsave();
	CHECK_THAT(!(see(0x80000007, 0).eax | see(0x80000007, 0).ebx | see(0x80000007, 0).ecx));
	cpu_policy_featureset(&policy_pv_max, had);
	cpu_policy_featureset(d.cpu_policy, has);
	for (unsigned i = 0; i < FEATURESET_WORDS; i++)
		CHECK_THAT(!(has[i] & ~had[i] &
		             ~(i == 0   ? F(HTT) | F(APIC)
		               : i == 1 ? F(X2APIC) | F(OSXSAVE)
		               : i == 3 ? F(CMP_LEGACY)
		               : i == 9 ? F(ARCH_CAPS)
		                        : 0)));
	CHECK_THAT(!set_leaf(5, XEN_CPUID_NO_SUBLEAF, (struct cpuid_regs){ 1, 2, 3, 4 }) && zero(see(5, 0)));
	CHECK_THAT(!set_leaf(0xa, XEN_CPUID_NO_SUBLEAF, (struct cpuid_regs){ 1, 2, 3, 4 }) &&
	           zero(see(0xa, 0)));
	verdict("%s: features that there are not are left out, not refused", m->name);
}

/* A guest that began on Xen 4.17 has seen ARCH_CAPABILITIES, with what says that a fault is there. */
static void began_on_xen(void)
{
	xen_cpuid_leaf_t l = { 7, 0, 0, 0, 0, F(ARCH_CAPS) };
	xen_msr_entry_t msr = { 0x10a, 0, 0 };
	uint32_t bad;
	uint64_t value;

	CHECK_THAT(pv_msr_read(&v, 0x10a, &value));
	CHECK_THAT(!cpu_policy_update(&d, &l, 1, &msr, 1, &bad) && !d.cpu_policy->msr_count);
	CHECK_THAT(!pv_msr_read(&v, 0x10a, &value) && !value && pv_msr_write(&v, 0x10a, 1));
	msr.val = 1 << 2 | 1 << 19;
	CHECK_THAT(!cpu_policy_update(&d, &l, 1, &msr, 1, &bad) && d.cpu_policy->msr_count == 1);
	CHECK_THAT(!pv_msr_read(&v, 0x10a, &value) && value == msr.val && see(7, 0).edx & F(ARCH_CAPS));
	for (unsigned bit = 0; bit < 64; bit++) {
		msr.val = 1ull << bit;
		CHECK_THAT(!cpu_policy_update(&d, &l, 1, &msr, 1, &bad) == (bit == 2 || bit == 19));
		CHECK_THAT(bit == 2 || bit == 19 || bad == 0x10a);
	}
	msr = (xen_msr_entry_t){ 0xce, 0, 1 };
	CHECK_THAT(cpu_policy_update(&d, &l, 1, &msr, 1, &bad) == -EINVAL && bad == 0xce);
	verdict("a guest of Xen's keeps its ARCH_CAPABILITIES, unless it promises what nobody knows here");
}

/* As on Xen 4.17: whether it is emulated, its mode, rate and incarnation; scale and offset; the host's rate. */
static void how_the_tsc_comes_about(void)
{
	struct cpuid_regs r;
	uint64_t value;

	d.vtsc = (struct vtsc){ .incarnation = 1, .offset_ns = 1000000 };
	r = see(0x40000003, 0);
	CHECK_THAT((r.eax & 3) == 2 && !r.ebx && r.ecx == 2000000 && r.edx == 1);
	r = see(0x40000003, 1);
	CHECK_THAT(r.eax == 1000000 && !r.ebx && r.ecx == 1u << 31 && !r.edx);
	CHECK_THAT(see(0x40000003, 2).eax == 2000000 && zero(see(0x40000003, 3)));
	CHECK_THAT(!pv_msr_read(&v, 0x10, &value) && value == 77);
	d.vtsc.emulated = true;
	d.vtsc.mode = 1;
	d.vtsc.khz = 500000;
	r = see(0x40000003, 0);
	CHECK_THAT((r.eax & 3) == 3 && r.ebx == 1 && r.ecx == 500000);
	r = see(0x40000003, 1);
	CHECK_THAT(!r.eax && !r.ebx && r.ecx == 1u << 31 && r.edx == 2);
	CHECK_THAT(!pv_msr_read(&v, 0x10, &value) && value == 4 * 500000);
	CHECK_THAT(!pv_msr_read(&v, 0x10, &value) && value == 4 * 500000 && d.vtsc.last_ns == 5000001);
	d.vtsc.offset_ns = 6000000;
	CHECK_THAT(!pv_msr_read(&v, 0x10, &value) && value == -499999ull);
	/* It began on a host that was up for longer than this one. */
	d.vtsc.offset_ns = -5000000000000ull;
	CHECK_THAT(!pv_msr_read(&v, 0x10, &value) && value == 5000005ull * 500000 + 1);
	d.vtsc = (struct vtsc){ 0 };
	verdict("leaf 3 and MSR_TSC tell of an emulated TSC and of the processor's");
}

/* A processor of that vendor, which says that it has faulting; its MSR may be missing, or not be writable. */
static void processor_with_faulting(const struct cpuid_model *m, uint32_t msr, bool there, bool writable)
{
	model = m;
	msrs_there[0].number = 0xce; /* PLATFORM_INFO */
	msrs_there[0].value = 1ull << 31;
	msrs_there[0].read_only = true;
	msrs_there[1].number = there ? msr : 0;
	msrs_there[1].value = 0x100010;
	msrs_there[1].read_only = !writable;
	msr_writes = 0;
	cpu_features_init();
	CHECK_THAT(cpu_features.cpuid_faulting);
	cpu_features_enforce();
}

static void faulting_of(const struct cpuid_model *m, uint32_t msr, uint64_t bit)
{
	processor_with_faulting(m, msr, true, true);
	CHECK_THAT(cpu_features.cpuid_faulting && msr_writes == 1 && msrs_there[1].value == (0x100010 | bit));
	/* Each further CPU has one of its own. */
	msrs_there[1].value = 0;
	CHECK_THAT(cpu_features_match());
	cpu_features_enforce();
	CHECK_THAT(cpu_features.cpuid_faulting && msrs_there[1].value == bit);
	verdict("%s: CPUID faults on each CPU, for whoever runs there", m->name);
	msrs_there[1].read_only = true;
	cpu_features_enforce();
	CHECK_THAT(!cpu_features.cpuid_faulting && cpu_features_match());
	processor_with_faulting(m, msr, true, false);
	CHECK_THAT(!cpu_features.cpuid_faulting && msr_writes == 1);
	processor_with_faulting(m, msr, false, false);
	CHECK_THAT(!cpu_features.cpuid_faulting && !msr_writes);
	cpu_features_enforce();
	CHECK_THAT(!msr_writes);
	verdict("%s: where a CPU refuses it, nobody is told that it does", m->name);
	memset(msrs_there, 0, sizeof(msrs_there));
}

static void faulting(void)
{
	static const struct cpuid_row amd_rows[] = { { 0, 0, { 0xd, 0x68747541, 0x444d4163, 0x69746e65 } },
		                                     { 1, 0, { .edx = F(PAT) | F(PGE) } },
		                                     { 0x80000000, 0, { .eax = 0x80000021 } },
		                                     { 0x80000021, 0, { .eax = 1 << 17 } } };
	static const struct cpuid_row intel_rows[] = { { 0, 0, { 0xd, 0x756e6547, 0x6c65746e, 0x49656e69 } },
		                                       { 1, 0, { .edx = F(PAT) | F(PGE) } } };
	const struct cpuid_model amd = { "an AMD", amd_rows, ARRAY_SIZE(amd_rows) },
	                         intel = { "an Intel", intel_rows, ARRAY_SIZE(intel_rows) };

	faulting_of(&intel, 0x140, 1);
	faulting_of(&amd, 0xc0010015, 1ull << 35);
}

int main(void)
{
	faulting();
	for (unsigned i = 0; i < ARRAY_SIZE(cpuid_models); i++)
		wished_for(&cpuid_models[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(cpuid_models); i++)
		other_topologies(&cpuid_models[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(cpuid_models); i++)
		each(&cpuid_models[i]);
	how_the_tsc_comes_about();
	began_on_xen();
	free(d.cpu_policy);
	return tap_end();
}
