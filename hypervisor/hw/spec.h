/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Speculation: what this CPU is affected by, what is done about it, and the flags that entry code reads. */
#ifndef HW_SPEC_H
#define HW_SPEC_H
#include "lib/types.h"
#include "hw/entry.h" /* SPEC_*: the flags that entry code reads */

/* Bits of a set of vulnerabilities. */
enum spec_bug {
	BUG_SPECTRE_V2 = 1 << 0,
	BUG_MELTDOWN = 1 << 1,
	BUG_L1TF = 1 << 2,
	BUG_MDS = 1 << 3,
	BUG_TAA = 1 << 4,
	BUG_MMIO = 1 << 5, /* MMIO stale data */
	BUG_RFDS = 1 << 6, /* register file data sampling */
	BUG_GDS = 1 << 7,  /* gather data sampling */
	BUG_RETBLEED = 1 << 8,
	BUG_BHI = 1 << 9, /* branch history injection */
	BUG_SRSO = 1 << 10,
	BUG_TSA = 1 << 11, /* AMD's transient scheduler attacks */
};

struct spec_policy {
	uint32_t flags;
	bool xpti_dom0, xpti_domu;
	bool l1tf_dom0,
	        l1tf_domu; /* non-present entries that are unsafe are kept from processors (mm/validate.c) */
	bool ibpb_on_switch;
	bool retpolines;          /* indirect branches of the hypervisor */
	uint32_t bugs, unhandled; /* of this processor; those about which nothing, or not enough, is done */
};
extern struct spec_policy spec_policy;
void spec_init(void);  /* decides from cpu_features and the options, and reports */
void spec_apply(void); /* spec_apply.c: after paging_init() */
#endif
