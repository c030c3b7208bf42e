/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the hypervisor takes from ACPI's static tables. They are only read; the interpreter of AML is dom0's.
 */
#ifndef HW_ACPI_H
#define HW_ACPI_H

#include "lib/types.h"
#include "lib/bits.h"

#define ACPI_IOAPICS_MAX 16
#define ACPI_MCFG_MAX    8

struct acpi_cpu {
	uint32_t apic_id, acpi_id;
};

struct acpi_ioapic {
	uint8_t id;
	uint64_t address;
	uint32_t gsi_base;
};

/* An ISA interrupt that is not GSI = IRQ, edge, active high. */
struct acpi_override {
	uint8_t irq;
	uint32_t gsi;
	bool level, active_low;
};

struct acpi_mcfg {
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
};

struct acpi_info {
	bool present;
	uint64_t local_apic;
	struct acpi_cpu cpus[NR_CPUS]; /* usable ones, in the table's order */
	unsigned cpu_count, cpu_disabled_count;
	struct acpi_ioapic ioapics[ACPI_IOAPICS_MAX];
	unsigned ioapic_count;
	struct acpi_override overrides[24];
	unsigned override_count;
	uint64_t hpet; /* 0: none */
	struct acpi_mcfg mcfg[ACPI_MCFG_MAX];
	unsigned mcfg_count;
	/* FADT */
	uint16_t pm_timer_port; /* 0: none */
	bool pm_timer_32bit;
	uint16_t pm1a_control, pm1b_control, pm1a_event, pm1b_event, sci;
	uint8_t pm1_event_bytes, pm1_control_bytes;
	uint8_t century; /* index of the century in CMOS, 0: none */
	bool reset_supported;
	uint8_t reset_space, reset_value; /* 0 memory, 1 port, 2 PCI configuration */
	uint64_t reset_address;
	bool has_8042;
};
extern struct acpi_info acpi_info;

void acpi_init(void);
/* GSI and settings of an ISA interrupt. */
struct acpi_override acpi_isa_irq(unsigned irq);

void machine_own_init(void); /* after acpi_init() */

#endif
