/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The local APIC. */
#ifndef HW_APIC_H
#define HW_APIC_H

#include "lib/types.h"

void apic_init(void);

void apic_init_cpu(void);
uint32_t apic_id(void);
void apic_eoi(void);
void apic_send_ipi(uint32_t to_apic_id, unsigned vector);
void apic_send_nmi_to_others(void);
void apic_send_init(uint32_t to_apic_id);
void apic_send_startup(uint32_t to_apic_id, unsigned page);
uint32_t apic_timer_count(void);
void apic_timer_start(uint32_t count); /* one shot, divided by 16; 0 stops it */
void apic_timer_deadline_mode(void);

#endif
