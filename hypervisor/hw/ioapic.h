/* SPDX-License-Identifier: GPL-2.0-or-later */
/* I/O APICs. */
#ifndef HW_IOAPIC_H
#define HW_IOAPIC_H

#include "lib/types.h"

void ioapic_init(void);
unsigned ioapic_gsi_count(void);
void ioapic_write_entry(unsigned gsi, unsigned vector, uint32_t dest_apic_id, bool level, bool active_low,
                        bool masked);
void ioapic_set_mask(unsigned gsi, bool masked);

/* Indirect I/O APIC registers as a guest may read them (PHYSDEVOP_apic_read): id, version, redirection. */
int ioapic_guest_read(maddr_t apic, uint32_t reg, uint32_t *value) __must_check;

/* The redirection entry of a GSI; false where no I/O APIC has it. */
bool ioapic_look(unsigned gsi, uint64_t *entry);

#endif
