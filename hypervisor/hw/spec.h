/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Speculation: what this CPU is affected by, what is done about it, and the flags that entry code reads. */
#ifndef HW_SPEC_H
#define HW_SPEC_H
#include "lib/types.h"
#include "hw/entry.h" /* SPEC_*: the flags that entry code reads */

struct spec_policy {
	uint32_t flags;
	bool xpti_dom0, xpti_domu;
	bool l1tf_vulnerable; /* a guest's non-present entry must not name cacheable memory */
	bool ibpb_on_switch;
};
extern struct spec_policy spec_policy;
void spec_init(void); /* decides from CPUID and the options, and reports */
#endif
