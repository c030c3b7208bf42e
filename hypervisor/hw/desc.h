/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptor tables of this CPU: GDT, LDT, TSS, IDT. */
#ifndef HW_DESC_H
#define HW_DESC_H

#include "lib/types.h"

/* The frame with selectors 0xe000 .. 0xefff of a CPU: flat segments, TSS and LDT descriptors. Each guest's
 * GDT has it as page 14 while a vcpu runs on that CPU. */
mfn_t gdt_hv_page(unsigned cpu);
/* Loads GDTR; the page above must be in place. Interrupts off. */
void gdt_load(uintptr_t base, unsigned limit);
/* The GDT of a CPU that runs no guest. */
void gdt_load_hv(void);
/* Loads LDTR from this CPU's LDT descriptor; entries 0: the null LDT. Interrupts off. */
void ldt_load(uintptr_t base, unsigned entries);

void desc_early_init(void);          /* IDT with stubs, on the boot stack */
void desc_prepare_cpu(unsigned cpu); /* fills its GDT page, from any CPU */

/* Builds the IDT (stubs: entry.S's trap_stubs[256], 16 bytes each), TSS and IST of this CPU; LSTAR and friends. */
void traps_init_cpu(unsigned cpu);

#endif
