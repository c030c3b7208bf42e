/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Speculation: what this processor is affected by, from CPUID and IA32_ARCH_CAPABILITIES, and what is done
 * about it. Handled: Spectre v1 (in the code: index_nospec), Spectre v2 (IBRS on entry, return stack
 * overwritten, IBPB between domains), Meltdown (xpti), L1TF (page-table entries are checked in mm/), MDS
 * (VERW on exit). Later issues are reported, not handled.
 */
#include "hw/spec.h"
#include "hw/cpu.h"
#include "hw/msr.h"
#include "hw/options.h"
#include "lib/log.h"

#define CAP_RDCL_NO    (1ull << 0)
#define CAP_IBRS_ALL   (1ull << 1)
#define CAP_SKIP_L1DFL (1ull << 3)
#define CAP_MDS_NO     (1ull << 5)
#define CAP_TAA_NO     (1ull << 8)
#define CAP_SBDR_NO    (1ull << 13)
#define CAP_BHI_NO     (1ull << 20)
#define CAP_GDS_NO     (1ull << 26)
#define CAP_RFDS_NO    (1ull << 27)

struct spec_policy spec_policy;

/* by_cpu unless the option says 0 or 1. */
static bool decide(int option, bool by_cpu)
{
	return options.spec_ctrl && (option < 0 ? by_cpu : option > 0);
}

static const char *yes_no(bool on)
{
	return on ? "on" : "off";
}

static void report_unhandled(uint64_t caps)
{
	const struct cpu_features *f = &cpu_features;

	if (f->is_intel) {
		if (!(caps & CAP_TAA_NO) && f->max_leaf >= 7 && (cpuid(7, 0).ebx >> 11 & 1))
			log_warn("speculation: TAA (TSX asynchronous abort) is not handled");
		if (!(caps & CAP_SBDR_NO))
			log_warn("speculation: MMIO stale data is not handled");
		if (!(caps & CAP_GDS_NO) && f->xcr0_mask & 4)
			log_warn("speculation: GDS (gather data sampling) is not handled");
		if (!(caps & CAP_RFDS_NO))
			log_warn(
			        "speculation: RFDS (register file data sampling) is not handled on Atom cores");
		if (!(caps & CAP_BHI_NO) && (caps & CAP_IBRS_ALL))
			log_warn("speculation: BHI (branch history injection) is not handled");
		if (!(caps & CAP_IBRS_ALL))
			log_warn("speculation: Retbleed is handled only as far as IBRS on entry does it");
	}
	if (f->is_amd && f->family >= 0x15 && f->family <= 0x19)
		log_warn("speculation: Retbleed and SRSO (return address prediction) are not handled");
}

static void decide_all(uint64_t caps)
{
	const struct cpu_features *f = &cpu_features;
	struct spec_policy *p = &spec_policy;
	bool old_intel = f->is_intel && !(caps & CAP_RDCL_NO);

	p->xpti_dom0 = decide(options.xpti_dom0, old_intel);
	p->xpti_domu = decide(options.xpti_domu, old_intel);
	/* Given by xpti=, they hold with spec-ctrl=no too. */
	if (options.xpti_dom0 >= 0)
		p->xpti_dom0 = options.xpti_dom0;
	if (options.xpti_domu >= 0)
		p->xpti_domu = options.xpti_domu;
	p->l1tf_vulnerable = options.spec_ctrl && old_intel && f->family == 6;
	if (f->spec_ctrl && decide(options.spec_ibrs, true))
		p->flags |= SPEC_ENTRY_IBRS | SPEC_ENTRY_RSB;
	if (f->md_clear && decide(options.spec_md_clear, f->is_intel && !(caps & CAP_MDS_NO)))
		p->flags |= SPEC_EXIT_VERW;
	p->ibpb_on_switch = f->ibpb && decide(options.spec_ibpb, true);
}

void spec_init(void)
{
	const struct cpu_features *f = &cpu_features;
	struct spec_policy *p = &spec_policy;
	uint64_t caps = 0;

	if (f->arch_capabilities && rdmsr_safe(MSR_ARCH_CAPS, &caps))
		caps = 0;
	decide_all(caps);
	log_info(
	        "speculation: xpti dom0 %s, domU %s; L1TF checks %s; IBRS on entry %s; IBPB %s; VERW on exit %s",
	        yes_no(p->xpti_dom0), yes_no(p->xpti_domu), yes_no(p->l1tf_vulnerable),
	        yes_no(p->flags & SPEC_ENTRY_IBRS), yes_no(p->ibpb_on_switch),
	        yes_no(p->flags & SPEC_EXIT_VERW));
	if (!options.spec_ctrl) {
		log_warn("speculation: switched off by spec-ctrl=no");
		return;
	}
	if (!f->spec_ctrl)
		log_warn("speculation: Spectre v2 is not handled: no IBRS in this processor's microcode");
	if (f->is_intel && !(caps & CAP_MDS_NO) && !f->md_clear)
		log_warn("speculation: MDS is not handled: no MD_CLEAR in this processor's microcode");
	report_unhandled(caps);
}
