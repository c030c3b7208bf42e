/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is done about speculation, by processor, microcode and options; and that the log names what is not. */
#include "hw/cpu.h"
#include "hw/options.h"
#include "hw/spec.h"
#include "lib/log.h"
#include "../../lib/tap.h"
#include <stdarg.h>
#include <string.h>

#define RDCL_NO    (1ull << 0)
#define IBRS_ALL   (1ull << 1)
#define MDS_NO     (1ull << 5)
#define TAA_NO     (1ull << 8)
#define MMIO_NO    (7ull << 13)
#define FB_CLEAR   (1ull << 17)
#define BHI_NO     (1ull << 20)
#define GDS_NO     (1ull << 26)
#define RFDS_NO    (1ull << 27)
#define RFDS_CLEAR (1ull << 28)

struct options options;
struct cpu_features cpu_features;
static char lines[4096];

void log_line(enum log_level level, const char *fmt, ...)
{
	size_t used = strlen(lines);
	va_list ap;

	(void)level;
	va_start(ap, fmt);
	vsnprintf(lines + used, sizeof(lines) - used, fmt, ap);
	va_end(ap);
}

enum { INTEL = 1, AMD = 2, UCODE = 4, MD = 8, TSX = 16, AVX = 32, FLUSH = 64, VERW = 128, NO_TSA = 256 };

static const struct {
	const char *name;
	unsigned family, model, has;
	uint64_t caps;
	uint32_t flags;
	bool retpolines, xpti;
	uint32_t bugs, unhandled;
} cpus[] = {
	/* Without ARCH_CAPABILITIES: all the old bugs, by model. */
	{ "Sandy Bridge", 6, 0x2a, INTEL | UCODE | MD | FLUSH | AVX, 0, SPEC_ENTRY_RSB | SPEC_EXIT_VERW, true,
	  true, BUG_SPECTRE_V2 | BUG_MELTDOWN | BUG_L1TF | BUG_MDS, 0 },
	{ "Sandy Bridge, first microcode", 6, 0x2a, INTEL | AVX, 0, SPEC_ENTRY_RSB, true, true,
	  BUG_SPECTRE_V2 | BUG_MELTDOWN | BUG_L1TF | BUG_MDS, BUG_MDS },
	{ "Haswell with TSX", 6, 0x3c, INTEL | UCODE | MD | FLUSH | AVX | TSX, 0,
	  SPEC_ENTRY_RSB | SPEC_EXIT_VERW, true, true,
	  BUG_SPECTRE_V2 | BUG_MELTDOWN | BUG_L1TF | BUG_MDS | BUG_TAA, 0 },
	{ "Skylake", 6, 0x5e, INTEL | UCODE | MD | FLUSH | AVX, 0,
	  SPEC_ENTRY_IBRS | SPEC_ENTRY_RSB | SPEC_EXIT_VERW, false, true,
	  BUG_SPECTRE_V2 | BUG_MELTDOWN | BUG_L1TF | BUG_MDS | BUG_MMIO | BUG_GDS | BUG_RETBLEED, BUG_GDS },
	{ "Skylake, first microcode", 6, 0x5e, INTEL | AVX, 0, SPEC_ENTRY_RSB, true, true,
	  BUG_SPECTRE_V2 | BUG_MELTDOWN | BUG_L1TF | BUG_MDS | BUG_MMIO | BUG_GDS | BUG_RETBLEED,
	  BUG_SPECTRE_V2 | BUG_MDS | BUG_MMIO | BUG_GDS | BUG_RETBLEED },
	/* MDS_NO, and VERW all the same: for TAA, for MMIO stale data. */
	{ "Cascade Lake with TSX", 6, 0x55, INTEL | UCODE | MD | FLUSH | AVX | TSX,
	  RDCL_NO | IBRS_ALL | MDS_NO | GDS_NO | BHI_NO, SPEC_ENTRY_IBRS | SPEC_ENTRY_RSB | SPEC_EXIT_VERW,
	  false, false, BUG_SPECTRE_V2 | BUG_TAA | BUG_MMIO | BUG_RETBLEED, BUG_MMIO },
	{ "Ice Lake with FB_CLEAR", 6, 0x6a, INTEL | UCODE | MD | FLUSH | AVX,
	  RDCL_NO | IBRS_ALL | MDS_NO | TAA_NO | FB_CLEAR, SPEC_ENTRY_IBRS | SPEC_ENTRY_RSB | SPEC_EXIT_VERW,
	  false, false, BUG_SPECTRE_V2 | BUG_MMIO | BUG_GDS | BUG_BHI, BUG_GDS | BUG_BHI },
	{ "Ice Lake without", 6, 0x6a, INTEL | UCODE | MD | FLUSH | AVX,
	  RDCL_NO | IBRS_ALL | MDS_NO | TAA_NO | GDS_NO | BHI_NO, SPEC_ENTRY_IBRS | SPEC_ENTRY_RSB, false,
	  false, BUG_SPECTRE_V2 | BUG_MMIO, BUG_MMIO },
	{ "Sapphire Rapids", 6, 0x8f, INTEL | UCODE | MD | FLUSH | AVX,
	  RDCL_NO | IBRS_ALL | MDS_NO | TAA_NO | MMIO_NO | GDS_NO | RFDS_NO, SPEC_ENTRY_IBRS | SPEC_ENTRY_RSB,
	  false, false, BUG_SPECTRE_V2 | BUG_BHI, BUG_BHI },
	{ "Goldmont Plus", 6, 0x7a, INTEL | UCODE | MD, RDCL_NO | RFDS_CLEAR, SPEC_ENTRY_RSB | SPEC_EXIT_VERW,
	  true, false, BUG_SPECTRE_V2 | BUG_RFDS, 0 },
	{ "Goldmont", 6, 0x5c, INTEL | UCODE, 0, SPEC_ENTRY_RSB, true, true,
	  BUG_SPECTRE_V2 | BUG_MELTDOWN | BUG_RFDS, BUG_RFDS },
	{ "Silvermont", 6, 0x37, INTEL | UCODE | MD, 0, SPEC_ENTRY_RSB | SPEC_EXIT_VERW, true, true,
	  BUG_SPECTRE_V2 | BUG_MELTDOWN | BUG_MDS, 0 },
	{ "Bonnell", 6, 0x1c, INTEL, 0, 0, false, false, 0, 0 },
	{ "Piledriver", 0x15, 2, AMD | AVX, 0, SPEC_ENTRY_RSB, true, false, BUG_SPECTRE_V2 | BUG_RETBLEED,
	  BUG_RETBLEED },
	{ "Zen 2", 0x17, 0x31, AMD | AVX | UCODE, 0, SPEC_ENTRY_RSB, true, false,
	  BUG_SPECTRE_V2 | BUG_RETBLEED | BUG_SRSO, BUG_RETBLEED | BUG_SRSO },
	{ "Zen 3", 0x19, 0x21, AMD | AVX | UCODE | VERW, 0, SPEC_ENTRY_RSB | SPEC_EXIT_VERW, true, false,
	  BUG_SPECTRE_V2 | BUG_SRSO | BUG_TSA, BUG_SRSO },
	{ "Zen 3, before VERW_CLEAR", 0x19, 0x21, AMD | AVX | UCODE, 0, SPEC_ENTRY_RSB, true, false,
	  BUG_SPECTRE_V2 | BUG_SRSO | BUG_TSA, BUG_SRSO | BUG_TSA },
	{ "Zen 5", 0x1a, 0x44, AMD | AVX | UCODE | NO_TSA, 0, SPEC_ENTRY_RSB, true, false, BUG_SPECTRE_V2,
	  0 },
};

static void set_cpu(unsigned i)
{
	cpu_features = (struct cpu_features){ .is_intel = cpus[i].has & INTEL,
		                              .is_amd = cpus[i].has & AMD,
		                              .family = cpus[i].family,
		                              .model = cpus[i].model,
		                              .spec_ctrl = cpus[i].has & UCODE,
		                              .ibpb = cpus[i].has & UCODE,
		                              .md_clear = cpus[i].has & MD,
		                              .l1d_flush = cpus[i].has & FLUSH,
		                              .rtm = cpus[i].has & TSX,
		                              .xcr0_mask = cpus[i].has & AVX ? 7 : 3,
		                              .verw_clear = cpus[i].has & VERW,
		                              .tsa_sq_no = cpus[i].has & NO_TSA,
		                              .tsa_l1_no = cpus[i].has & NO_TSA,
		                              .arch_caps = cpus[i].caps };
	options = (struct options){ .spec_ctrl = true,
		                    .spec_ibrs = -1,
		                    .spec_ibpb = -1,
		                    .spec_md_clear = -1,
		                    .xpti_dom0 = -1,
		                    .xpti_domu = -1,
		                    .l1tf_dom0 = -1,
		                    .l1tf_domu = -1 };
	lines[0] = '\0';
}

static unsigned count(const char *what)
{
	unsigned n = 0;

	for (const char *at = lines; (at = strstr(at, what)); at++)
		n++;
	return n;
}

static void each_processor(void)
{
	const struct spec_policy *p = &spec_policy;
	for (unsigned i = 0; i < ARRAY_SIZE(cpus); i++) {
		bool good;

		set_cpu(i);
		spec_init();
		good = p->flags == cpus[i].flags && p->retpolines == cpus[i].retpolines &&
		       p->xpti_dom0 == cpus[i].xpti && p->xpti_domu == cpus[i].xpti &&
		       p->bugs == cpus[i].bugs && p->unhandled == cpus[i].unhandled && !p->l1tf_dom0 &&
		       p->l1tf_domu == !!(cpus[i].bugs & BUG_L1TF) &&
		       p->ibpb_on_switch == !!(cpus[i].has & UCODE) &&
		       count("affected and not protected") == (unsigned)__builtin_popcount(p->unhandled);
		if (!good)
			printf("# flags %x retpolines %d xpti %d bugs %x unhandled %x: %s\n", p->flags,
			       p->retpolines, p->xpti_dom0, p->bugs, p->unhandled, lines);
		tap_ok(good, "%s: bugs, mitigations, and what the log names", cpus[i].name);
	}
}

static void by_options(void)
{
	const struct spec_policy *p = &spec_policy;

	set_cpu(3);
	options.spec_ctrl = false;
	spec_init();
	tap_ok(!p->flags && !p->retpolines && !p->xpti_dom0 && !p->l1tf_domu && !p->ibpb_on_switch &&
	               count("switched off"),
	       "spec-ctrl=no: nothing, and the log says so");
	set_cpu(3);
	options.spec_ibrs = 0;
	options.spec_md_clear = 0;
	spec_init();
	tap_ok(p->flags == SPEC_ENTRY_RSB && p->retpolines && p->unhandled & BUG_SPECTRE_V2 &&
	               p->unhandled & BUG_MDS,
	       "spec-ctrl=no-ibrs,no-md-clear: retpolines instead, and what is open is named");
	set_cpu(0);
	options.spec_ibrs = 1;
	options.xpti_domu = 0;
	spec_init();
	tap_ok(p->flags & SPEC_ENTRY_IBRS && !p->retpolines && p->xpti_dom0 && !p->xpti_domu &&
	               p->unhandled == BUG_MELTDOWN,
	       "spec-ctrl=ibrs and xpti=domu=no are taken");
	set_cpu(0);
	options.l1tf_domu = 0;
	spec_init();
	tap_ok(!p->l1tf_domu && p->unhandled & BUG_L1TF,
	       "pv-l1tf=domu=no is taken, and what is open is named");
	set_cpu(0);
	options.spec_ctrl = false;
	options.l1tf_dom0 = options.l1tf_domu = 1;
	spec_init();
	tap_ok(p->l1tf_dom0 && p->l1tf_domu, "pv-l1tf=yes holds with spec-ctrl=no too");
	set_cpu(0);
	cpu_features.threads = 2;
	spec_init();
	tap_ok(count("hyperthreading"), "buffers that threads share are told of");
}

int main(void)
{
	each_processor();
	by_options();
	return tap_end();
}
