/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reboot and power-off. reboot= picks the method (Xen's letters: a ACPI, k keyboard controller, p PCI port
 * 0xcf9, t triple fault); if it does not work, the others follow.
 */
#include "hw/power.h"
#include "hw/acpi.h"
#include "hw/cpu.h"
#include "hw/device_map.h"
#include "hw/options.h"
#include "hw/pci.h"
#include "hw/time.h"
#include "hw/trace.h"
#include "hw/trap.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "lib/string.h"

#define SLEEP_ENABLE (1u << 13)
#define SLEEP_TYPE   (7u << 10)

void machine_halt(void)
{
	irq_disable();
	smp_stop_others();
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void reset_by_acpi(void)
{
	const struct acpi_info *a = &acpi_info;

	if (!a->reset_supported)
		return;
	if (a->reset_space == 1) {
		port_out((uint16_t)a->reset_address, 1, a->reset_value);
	} else if (a->reset_space == 0) {
		volatile uint8_t *p = device_map(MADDR(a->reset_address), 1);

		if (p)
			*p = a->reset_value;
	} else if (a->reset_space == 2) {
		/* Bus 0: device in bits 47:32, function in 31:16, register in 15:0. */
		pci_write(0, 0, (uint8_t)((a->reset_address >> 32 & 31) << 3 | (a->reset_address >> 16 & 7)),
		          a->reset_address & 0xff, 1, a->reset_value);
	}
	udelay(100000);
}

static void reset_by_keyboard(void)
{
	if (!acpi_info.has_8042)
		return;
	for (unsigned i = 0; i < 1000 && (port_in(0x64, 1) & 2); i++)
		udelay(50);
	port_out(0x64, 1, 0xfe);
	udelay(100000);
}

static void reset_by_pci(void)
{
	uint32_t value = port_in(0xcf9, 1) & ~6u;

	port_out(0xcf9, 1, value | 2);
	udelay(50);
	port_out(0xcf9, 1, value | 6);
	udelay(100000);
}

static void reset_by_triple_fault(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_idt;

	__asm__ volatile("lidt %0; int3" : : "m"(no_idt));
}

void machine_reboot(void)
{
	irq_disable();
	smp_stop_others();
	switch (options.reboot[0]) {
	case 't':
		reset_by_triple_fault();
		break;
	case 'k':
		reset_by_keyboard();
		break;
	case 'p':
		reset_by_pci();
		break;
	}
	reset_by_acpi();
	reset_by_keyboard();
	reset_by_pci();
	reset_by_triple_fault();
	machine_halt();
}

/* Type first, then the enable bit with it, as ACPI 6.4, 16.1.7 asks for. */
static void sleep_write(uint16_t port, uint16_t value)
{
	uint32_t kept;

	if (!port)
		return;
	kept = port_in(port, 2) & ~(SLEEP_TYPE | SLEEP_ENABLE);
	port_out(port, 2, kept | (value & SLEEP_TYPE));
	port_out(port, 2, kept | (value & SLEEP_TYPE) | SLEEP_ENABLE);
}

int acpi_enter_s5(uint16_t pm1a_value, uint16_t pm1b_value)
{
	if (!acpi_info.pm1a_control)
		return -EINVAL;
	log_info("power off");
	irq_disable();
	smp_stop_others();
	sleep_write(acpi_info.pm1a_control, pm1a_value);
	sleep_write(acpi_info.pm1b_control, pm1b_value);
	udelay(1000000);
	log_err("the machine did not power off: halting machine");
	machine_halt();
}
