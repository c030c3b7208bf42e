/* SPDX-License-Identifier: GPL-2.0-or-later */
/* I/O APICs: redirection entries by global system interrupt. All registers behind one lock. */
#include "hw/ioapic.h"
#include "hw/acpi.h"
#include "hw/device_map.h"
#include "hw/irq.h"
#include "hw/lock.h"
#include "lib/errno.h"
#include "lib/log.h"

#define REG_ID      0
#define REG_VERSION 1
#define REG_ARB     2
#define REG_ENTRY   0x10
#define ENTRY_LOW   (1u << 13)
#define ENTRY_LEVEL (1u << 15)
#define ENTRY_MASK  (1u << 16)

static struct {
	volatile uint32_t *registers; /* select, and the window 16 bytes behind it */
	maddr_t address;
	unsigned gsi_base, count;
} ioapics[ACPI_IOAPICS_MAX];
static unsigned ioapic_count;
static spinlock_t lock = SPINLOCK(RANK_APIC);

static uint32_t reg_read(unsigned i, uint32_t reg)
{
	ioapics[i].registers[0] = reg;
	return ioapics[i].registers[4];
}

static void reg_write(unsigned i, uint32_t reg, uint32_t value)
{
	ioapics[i].registers[0] = reg;
	ioapics[i].registers[4] = value;
}

/* Index of the I/O APIC that has this GSI, or ioapic_count. */
static unsigned find(unsigned gsi)
{
	unsigned i = 0;

	while (i < ioapic_count && gsi - ioapics[i].gsi_base >= ioapics[i].count)
		i++;
	return i;
}

unsigned ioapic_gsi_count(void)
{
	unsigned end = 0;

	for (unsigned i = 0; i < ioapic_count; i++)
		end = MAX(end, ioapics[i].gsi_base + ioapics[i].count);
	return end;
}

static void ioapic_mask_all(void)
{
	uint64_t flags = spin_lock_irqsave(&lock);

	for (unsigned i = 0; i < ioapic_count; i++)
		for (unsigned pin = 0; pin < ioapics[i].count; pin++)
			reg_write(i, REG_ENTRY + 2 * pin, ENTRY_MASK);
	spin_unlock_irqrestore(&lock, flags);
}

void ioapic_init(void)
{
	for (unsigned i = 0; i < acpi_info.ioapic_count; i++) {
		const struct acpi_ioapic *a = &acpi_info.ioapics[i];
		volatile uint32_t *registers = device_map(MADDR(a->address), 32);

		if (!registers || a->gsi_base >= IRQ_MAX / 2) {
			log_err("I/O APIC at %#llx cannot be used", (unsigned long long)a->address);
			continue;
		}
		ioapics[ioapic_count].registers = registers;
		ioapics[ioapic_count].address = MADDR(a->address);
		ioapics[ioapic_count].gsi_base = a->gsi_base;
		ioapics[ioapic_count].count = (reg_read(ioapic_count, REG_VERSION) >> 16 & 0xff) + 1;
		log_info("I/O APIC at %#llx: GSI %u to %u", (unsigned long long)a->address, a->gsi_base,
		         a->gsi_base + ioapics[ioapic_count].count - 1);
		ioapic_count++;
	}
	ioapic_mask_all();
}

void ioapic_write_entry(unsigned gsi, unsigned vector, uint32_t dest, bool level, bool active_low,
                        bool masked)
{
	uint64_t flags = spin_lock_irqsave(&lock);
	unsigned i = find(gsi);

	if (i < ioapic_count) {
		uint32_t reg = REG_ENTRY + 2 * (gsi - ioapics[i].gsi_base);

		/* Masked while the halves do not fit together. */
		reg_write(i, reg, ENTRY_MASK);
		reg_write(i, reg + 1, dest << 24);
		reg_write(i, reg,
		          vector | (level ? ENTRY_LEVEL : 0) | (active_low ? ENTRY_LOW : 0) |
		                  (masked ? ENTRY_MASK : 0));
	}
	spin_unlock_irqrestore(&lock, flags);
}

void ioapic_set_mask(unsigned gsi, bool masked)
{
	uint64_t flags = spin_lock_irqsave(&lock);
	unsigned i = find(gsi);

	if (i < ioapic_count) {
		uint32_t reg = REG_ENTRY + 2 * (gsi - ioapics[i].gsi_base), low = reg_read(i, reg);

		reg_write(i, reg, masked ? low | ENTRY_MASK : low & ~ENTRY_MASK);
	}
	spin_unlock_irqrestore(&lock, flags);
}

int ioapic_guest_read(maddr_t apic, uint32_t reg, uint32_t *value)
{
	for (unsigned i = 0; i < ioapic_count; i++) {
		uint64_t flags;

		if (ioapics[i].address.a != apic.a)
			continue;
		if (reg > REG_ARB && (reg < REG_ENTRY || reg >= REG_ENTRY + 2 * ioapics[i].count))
			return -EINVAL;
		flags = spin_lock_irqsave(&lock);
		*value = reg_read(i, reg);
		spin_unlock_irqrestore(&lock, flags);
		return 0;
	}
	return -EINVAL;
}

bool ioapic_look(unsigned gsi, uint64_t *entry)
{
	unsigned i = find(gsi), pin;
	uint64_t flags;

	if (i == ioapic_count)
		return false;
	pin = gsi - ioapics[i].gsi_base;
	flags = spin_lock_irqsave(&lock);
	*entry = reg_read(i, 0x10 + 2 * pin) | (uint64_t)reg_read(i, 0x11 + 2 * pin) << 32;
	spin_unlock_irqrestore(&lock, flags);
	return true;
}
