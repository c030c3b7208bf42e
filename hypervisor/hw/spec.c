/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Speculation: what this processor is affected by, and what is done about it. Pure: cpu_features and options in,
 * spec_policy and a report out.
 *
 *  1. bugs_of(): from IA32_ARCH_CAPABILITIES where it says that something is not there, else from the model
 *     (Intel, "Affected Processors: Guidance for Security Issues"; AMD's security bulletins SB-1037, SB-1045, SB-7005,
 *     SB-7029).
 *  2. decide(): Spectre v1 is handled in the code (index_nospec). v2: retpolines where the return's prediction can be
 *     trusted, IBRS on entry where not or where it costs nothing (IBRS_ALL); the return stack is overwritten on entry;
 *     IBPB between domains. Meltdown: xpti. L1TF: a domain with an entry that is not safe runs on shadow page tables (mm/).
 *     MDS, TAA, MMIO stale data, RFDS, TSA: VERW on the way to a guest, where the microcode has made it clear buffers.
 *  3. spec_init() reports, and warns of each one that is there and not handled.
 */
#include "hw/spec.h"
#include "hw/cpu.h"
#include "hw/options.h"
#include "lib/log.h"

/* IA32_ARCH_CAPABILITIES (SDM Vol. 4, table 2-2) */
#define CAP_RDCL_NO    (1ull << 0)
#define CAP_IBRS_ALL   (1ull << 1)
#define CAP_RSBA       (1ull << 2)
#define CAP_MDS_NO     (1ull << 5)
#define CAP_TAA_NO     (1ull << 8)
#define CAP_SBDR_NO    (1ull << 13)
#define CAP_FBSDP_NO   (1ull << 14)
#define CAP_PSDP_NO    (1ull << 15)
#define CAP_FB_CLEAR   (1ull << 17)
#define CAP_BHI_NO     (1ull << 20)
#define CAP_GDS_NO     (1ull << 26)
#define CAP_RFDS_NO    (1ull << 27)
#define CAP_RFDS_CLEAR (1ull << 28)
#define CAP_MMIO_NO    (CAP_SBDR_NO | CAP_FBSDP_NO | CAP_PSDP_NO)

struct spec_policy spec_policy;

/* ---- which bugs ---- */

#define NONE (1u << 31) /* executes in order */
#define ATOM (1u << 30) /* affected neither by L1TF nor, but for what the table says, by MDS */
/* A return whose stack has run empty is predicted as an indirect branch: no retpolines. */
#define SKYLAKE  (1u << 29)
#define MMIO_GDS (BUG_MMIO | BUG_GDS)

/* clang-format off */
/* Family 6 by model. What is not listed: older ones have the bugs of always, newer ones tell by their capabilities. */
static const struct {
	uint8_t model;
	uint32_t bugs;
} intel[] = {
	/* Bonnell, Saltwell */
	{ 0x1c, NONE }, { 0x26, NONE }, { 0x27, NONE }, { 0x35, NONE }, { 0x36, NONE },
	/* Silvermont, Airmont; Knights Landing and Mill */
	{ 0x37, ATOM | BUG_MDS }, { 0x4a, ATOM | BUG_MDS }, { 0x4d, ATOM | BUG_MDS }, { 0x5a, ATOM | BUG_MDS },
	{ 0x4c, ATOM | BUG_MDS }, { 0x75, ATOM | BUG_MDS }, { 0x57, ATOM | BUG_MDS }, { 0x85, ATOM | BUG_MDS },
	/* Goldmont, Goldmont Plus, Tremont, Gracemont */
	{ 0x5c, ATOM | BUG_RFDS }, { 0x5f, ATOM | BUG_RFDS }, { 0x7a, ATOM | BUG_RFDS },
	{ 0x86, ATOM | BUG_MMIO | BUG_RFDS }, { 0x96, ATOM | BUG_MMIO | BUG_RFDS }, { 0x9c, ATOM | BUG_MMIO | BUG_RFDS },
	{ 0xbe, ATOM | BUG_RFDS },
	/* Haswell X, Broadwell D and X */
	{ 0x3f, BUG_MMIO }, { 0x56, BUG_MMIO }, { 0x4f, BUG_MMIO },
	/* Skylake to Comet Lake, Ice Lake, Lakefield, Rocket Lake, Tiger Lake */
	{ 0x55, SKYLAKE | MMIO_GDS | BUG_RETBLEED }, { 0x4e, SKYLAKE | MMIO_GDS | BUG_RETBLEED },
	{ 0x5e, SKYLAKE | MMIO_GDS | BUG_RETBLEED }, { 0x8e, SKYLAKE | MMIO_GDS | BUG_RETBLEED },
	{ 0x9e, SKYLAKE | MMIO_GDS | BUG_RETBLEED }, { 0xa5, SKYLAKE | MMIO_GDS | BUG_RETBLEED },
	{ 0xa6, SKYLAKE | MMIO_GDS | BUG_RETBLEED }, { 0x66, SKYLAKE | BUG_RETBLEED },
	{ 0x7e, SKYLAKE | MMIO_GDS | BUG_RETBLEED }, { 0x6a, SKYLAKE | MMIO_GDS }, { 0x6c, SKYLAKE | MMIO_GDS },
	{ 0x8a, SKYLAKE | BUG_MMIO | BUG_RETBLEED }, { 0xa7, SKYLAKE | MMIO_GDS | BUG_RETBLEED },
	{ 0x8c, SKYLAKE | BUG_GDS }, { 0x8d, SKYLAKE | BUG_GDS },
	/* Alder and Raptor Lake: small cores with RFDS */
	{ 0x97, SKYLAKE | BUG_RFDS }, { 0x9a, SKYLAKE | BUG_RFDS }, { 0xb7, SKYLAKE | BUG_RFDS },
	{ 0xba, SKYLAKE | BUG_RFDS }, { 0xbf, SKYLAKE | BUG_RFDS },
};
/* clang-format on */

static uint32_t intel_model(const struct cpu_features *f)
{
	if (f->family != 6)
		return f->family < 6 ? NONE : 0;
	for (unsigned i = 0; i < ARRAY_SIZE(intel); i++)
		if (intel[i].model == f->model)
			return intel[i].bugs;
	return f->model > 0x9e ? SKYLAKE : 0;
}

static uint32_t intel_bugs(const struct cpu_features *f)
{
	uint64_t caps = f->arch_caps;
	uint32_t model = intel_model(f), bugs = BUG_SPECTRE_V2;

	if (model & NONE)
		return 0;
	bugs |= model & (BUG_MDS | BUG_MMIO | BUG_RFDS | BUG_GDS | BUG_RETBLEED);
	if (!(caps & CAP_RDCL_NO))
		bugs |= BUG_MELTDOWN | (model & ATOM || f->family != 6 ? 0 : BUG_L1TF);
	if (!(model & ATOM) && !(caps & CAP_MDS_NO))
		bugs |= BUG_MDS;
	if (f->rtm && !(caps & CAP_TAA_NO))
		bugs |= BUG_TAA;
	if (caps & CAP_IBRS_ALL && !(caps & CAP_BHI_NO))
		bugs |= BUG_BHI;
	if (caps & CAP_MDS_NO)
		bugs &= ~(uint32_t)BUG_MDS;
	if ((caps & CAP_MMIO_NO) == CAP_MMIO_NO)
		bugs &= ~(uint32_t)BUG_MMIO;
	if (caps & CAP_GDS_NO || !(f->xcr0_mask & 4))
		bugs &= ~(uint32_t)BUG_GDS;
	if (caps & CAP_RFDS_NO)
		bugs &= ~(uint32_t)BUG_RFDS;
	return bugs;
}

/* Families 0x15 to 0x19; Hygon's 0x18 is as 0x17. */
static uint32_t amd_bugs(const struct cpu_features *f)
{
	uint32_t bugs = BUG_SPECTRE_V2;

	if (f->family >= 0x15 && f->family <= 0x18)
		bugs |= BUG_RETBLEED;
	if (f->family >= 0x17 && f->family <= 0x19)
		bugs |= BUG_SRSO;
	if (f->family == 0x19 && !(f->tsa_sq_no && f->tsa_l1_no))
		bugs |= BUG_TSA;
	return bugs;
}

static uint32_t bugs_of(const struct cpu_features *f)
{
	if (f->is_intel)
		return intel_bugs(f);
	return f->is_amd ? amd_bugs(f) : BUG_SPECTRE_V2;
}

/* ---- what is done ---- */

/* by_cpu unless the option says 0 or 1. */
static bool decide(int option, bool by_cpu)
{
	return options.spec_ctrl && (option < 0 ? by_cpu : option > 0);
}

/* Bugs that VERW handles, with the microcode that is here. */
static uint32_t verw_clears(const struct cpu_features *f, uint32_t bugs)
{
	uint32_t clears = 0;

	if (f->md_clear)
		clears |= BUG_MDS | BUG_TAA;
	/* Microcode of before FB_CLEAR does it too, on processors that have MDS (Intel, "Processor MMIO Stale Data"). */
	if (f->arch_caps & CAP_FB_CLEAR || (f->md_clear && f->l1d_flush && !(f->arch_caps & CAP_MDS_NO)))
		clears |= BUG_MMIO;
	if (f->arch_caps & CAP_RFDS_CLEAR)
		clears |= BUG_RFDS;
	if (f->verw_clear)
		clears |= BUG_TSA;
	return bugs & clears;
}

static bool retpolines_hold(const struct cpu_features *f)
{
	return !f->is_intel || !(intel_model(f) & SKYLAKE || f->arch_caps & CAP_RSBA);
}

static void decide_all(const struct cpu_features *f, struct spec_policy *p)
{
	uint32_t clears;

	*p = (struct spec_policy){ .bugs = bugs_of(f) };
	p->xpti_dom0 = decide(options.xpti_dom0, p->bugs & BUG_MELTDOWN);
	p->xpti_domu = decide(options.xpti_domu, p->bugs & BUG_MELTDOWN);
	p->l1tf_dom0 = false; /* it can read all memory anyway */
	p->l1tf_domu = decide(options.l1tf_domu, p->bugs & BUG_L1TF);
	/* Given by xpti= and pv-l1tf=, they hold with spec-ctrl=no too. */
	if (options.xpti_dom0 >= 0)
		p->xpti_dom0 = options.xpti_dom0;
	if (options.xpti_domu >= 0)
		p->xpti_domu = options.xpti_domu;
	if (options.l1tf_dom0 >= 0)
		p->l1tf_dom0 = options.l1tf_dom0;
	if (options.l1tf_domu >= 0)
		p->l1tf_domu = options.l1tf_domu;
	if (f->spec_ctrl && decide(options.spec_ibrs, f->arch_caps & CAP_IBRS_ALL || !retpolines_hold(f)))
		p->flags |= SPEC_ENTRY_IBRS;
	if (options.spec_ctrl && p->bugs & BUG_SPECTRE_V2) {
		p->retpolines = !(p->flags & SPEC_ENTRY_IBRS);
		p->flags |= SPEC_ENTRY_RSB;
	}
	clears = verw_clears(f, p->bugs);
	if ((f->md_clear || clears) && decide(options.spec_md_clear, clears))
		p->flags |= SPEC_EXIT_VERW;
	p->ibpb_on_switch = f->ibpb && decide(options.spec_ibpb, true);

	p->unhandled = p->bugs;
	if (p->flags & SPEC_ENTRY_IBRS || (p->retpolines && retpolines_hold(f)))
		p->unhandled &= ~(uint32_t)BUG_SPECTRE_V2;
	if (p->xpti_dom0 && p->xpti_domu)
		p->unhandled &= ~(uint32_t)BUG_MELTDOWN;
	if (p->l1tf_domu)
		p->unhandled &= ~(uint32_t)BUG_L1TF;
	if (p->flags & SPEC_EXIT_VERW)
		p->unhandled &= ~clears;
	if (f->is_intel && p->flags & SPEC_ENTRY_IBRS)
		p->unhandled &= ~(uint32_t)BUG_RETBLEED;
}

/* ---- report ---- */

static const char *yes_no(bool on)
{
	return on ? "on" : "off";
}

static void report_unhandled(const struct cpu_features *f, const struct spec_policy *p)
{
	static const struct {
		uint32_t bug;
		const char *text;
	} texts[] = {
		{ BUG_SPECTRE_V2, "Spectre v2 (needs IBRS from microcode)" },
		{ BUG_MELTDOWN, "Meltdown (xpti is off)" },
		{ BUG_L1TF, "L1TF" },
		{ BUG_MDS, "MDS (needs MD_CLEAR from microcode)" },
		{ BUG_TAA, "TAA, TSX asynchronous abort (needs MD_CLEAR from microcode)" },
		{ BUG_MMIO, "MMIO stale data (needs FB_CLEAR from microcode)" },
		{ BUG_RFDS, "RFDS, register file data sampling (needs RFDS_CLEAR from microcode)" },
		{ BUG_GDS, "GDS, gather data sampling (newer microcode handles it by itself)" },
		{ BUG_RETBLEED, "Retbleed" },
		{ BUG_BHI, "BHI, branch history injection" },
		{ BUG_SRSO, "SRSO, speculative return stack overflow" },
		{ BUG_TSA, "TSA, transient scheduler attacks (needs VERW_CLEAR from microcode)" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
		if (p->unhandled & texts[i].bug)
			log_warn("speculation: this processor is affected and not protected: %s",
			         texts[i].text);
	if (p->bugs & (BUG_MDS | BUG_TAA | BUG_L1TF) && f->threads > 1)
		log_warn(
		        "speculation: threads of one core share buffers: guests that do not trust each other need "
		        "hyperthreading off");
}

void spec_init(void)
{
	struct spec_policy *p = &spec_policy;

	decide_all(&cpu_features, p);
	log_info(
	        "speculation: xpti dom0 %s, domU %s; L1TF dom0 %s, domU %s; indirect branches %s; IBPB %s; VERW on exit %s",
	        yes_no(p->xpti_dom0), yes_no(p->xpti_domu), yes_no(p->l1tf_dom0), yes_no(p->l1tf_domu),
	        p->flags & SPEC_ENTRY_IBRS ? "by IBRS on entry"
	        : p->retpolines            ? "by retpolines"
	                                   : "plain",
	        yes_no(p->ibpb_on_switch), yes_no(p->flags & SPEC_EXIT_VERW));
	if (!options.spec_ctrl) {
		log_warn("speculation: switched off by spec-ctrl=no");
		return;
	}
	report_unhandled(&cpu_features, p);
}
