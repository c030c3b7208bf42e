/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI configuration space: by ports 0xcf8 and 0xcfc, or memory-mapped where ACPI's MCFG names it. */
#include "hw/pci.h"
#include "hw/acpi.h"
#include "hw/cpu.h"
#include "hw/device_map.h"
#include "hw/lock.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA    0xcfc

static spinlock_t lock = SPINLOCK(RANK_APIC);

static uint32_t all_ones(unsigned width)
{
	return width == 4 ? ~0u : (1u << 8 * width) - 1;
}

/* The 4 KiB of one function; NULL where there is no memory-mapped access. All buses are one mapping, which stays. */
static volatile uint8_t *ecam(uint16_t seg, uint8_t bus, uint8_t devfn)
{
	static volatile uint8_t *ranges[ACPI_MCFG_MAX];

	for (unsigned i = 0; i < acpi_info.mcfg_count; i++) {
		const struct acpi_mcfg *m = &acpi_info.mcfg[i];
		volatile uint8_t *p = READ_ONCE(ranges[i]);

		if (m->segment != seg || bus < m->first_bus || bus > m->last_bus)
			continue;
		if (!p) {
			p = device_map(MADDR(m->base + ((uint64_t)m->first_bus << 20)),
			               (m->last_bus - m->first_bus + 1ul) << 20);
			WRITE_ONCE(ranges[i], p);
		}
		return p ? p + ((uint64_t)(bus - m->first_bus) << 20 | (uint64_t)devfn << 12) : NULL;
	}
	return NULL;
}

static uint32_t address(uint8_t bus, uint8_t devfn, unsigned reg)
{
	return 1u << 31 | (uint32_t)bus << 16 | (uint32_t)devfn << 8 | (reg & 0xfc);
}

uint32_t pci_read(uint16_t seg, uint8_t bus, uint8_t devfn, unsigned reg, unsigned width)
{
	volatile uint8_t *p;
	uint64_t flags;
	uint32_t value;

	if (!seg && reg < 256) {
		flags = spin_lock_irqsave(&lock);
		port_out(PORT_ADDRESS, 4, address(bus, devfn, reg));
		value = port_in((uint16_t)(PORT_DATA + (reg & 3)), width);
		spin_unlock_irqrestore(&lock, flags);
		return value;
	}
	p = reg < 4096 ? ecam(seg, bus, devfn) : NULL;
	if (!p)
		return all_ones(width);
	return width == 1   ? p[reg]
	       : width == 2 ? *(volatile uint16_t *)(p + reg)
	                    : *(volatile uint32_t *)(p + reg);
}

void pci_write(uint16_t seg, uint8_t bus, uint8_t devfn, unsigned reg, unsigned width, uint32_t value)
{
	volatile uint8_t *p;
	uint64_t flags;

	if (!seg && reg < 256) {
		flags = spin_lock_irqsave(&lock);
		port_out(PORT_ADDRESS, 4, address(bus, devfn, reg));
		port_out((uint16_t)(PORT_DATA + (reg & 3)), width, value);
		spin_unlock_irqrestore(&lock, flags);
		return;
	}
	p = reg < 4096 ? ecam(seg, bus, devfn) : NULL;
	if (!p)
		return;
	if (width == 1)
		p[reg] = (uint8_t)value;
	else if (width == 2)
		*(volatile uint16_t *)(p + reg) = (uint16_t)value;
	else
		*(volatile uint32_t *)(p + reg) = value;
}
