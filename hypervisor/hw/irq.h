/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts of devices: global system interrupts behind I/O APICs, and MSI. An irq is the hypervisor's
 * number for a source: 0 .. irq_gsi_count - 1 are the GSIs, MSIs come behind.
 */
#ifndef HW_IRQ_H
#define HW_IRQ_H

#include "lib/types.h"
#include "lib/bits.h"

#define IRQ_MAX 1024

extern unsigned irq_gsi_count;

/*
 * Binds a handler to an irq; it runs in interrupt context. For a level-triggered GSI the line is masked
 * from the interrupt until irq_eoi(). -EBUSY: bound already (share: several handlers are refused; a level
 * line is shared by binding it once per guest in dom/pirq.c). -EINVAL: no such irq, -ENOSPC: no vector left.
 */
int irq_bind(unsigned irq, void (*handler)(unsigned irq, void *data), void *data) __must_check;
void irq_unbind(unsigned irq);
void irq_eoi(unsigned irq);
void irq_mask(unsigned irq);
void irq_unmask(unsigned irq);
bool irq_is_level(unsigned irq);
void irq_set_affinity(unsigned irq, unsigned cpu);
/* PHYSDEVOP_setup_gsi: trigger and polarity before the first bind; no effect on a bound one of equal settings. */
int irq_gsi_setup(unsigned gsi, bool level, bool active_low) __must_check;

struct msi_request {
	uint16_t segment;
	uint8_t bus, devfn;
	uint16_t entry;      /* MSI-X table index; 0 for MSI */
	uint64_t table_base; /* 0: MSI; else machine address of the MSI-X table */
	unsigned count;      /* MSI: number of vectors; 1 .. 32, MSI-X: 1 */
};
/* Allocates count consecutive irqs and programs the device (masked until irq_unmask()). -ENODEV, -ENOSPC,
 * -EOPNOTSUPP when started with msi=false. *first is the first irq. */
int msi_setup(const struct msi_request *req, unsigned *first) __must_check;
void msi_teardown(unsigned first);
/* Writes the device's registers again after it was reset (PHYSDEVOP_restore_msi*). */
int msi_restore(uint16_t segment, uint8_t bus, uint8_t devfn) __must_check;

/* Indirect I/O APIC registers as a guest may read them (PHYSDEVOP_apic_read): id, version, redirection. */
int ioapic_guest_read(maddr_t apic, uint32_t reg, uint32_t *value) __must_check;

/* All that is delivered to one CPU goes to another one. What is on its way still comes there. */
void irqs_leave_cpu(unsigned cpu, unsigned to);

/* The redirection entry of a GSI; false where no I/O APIC has it. */
bool ioapic_look(unsigned gsi, uint64_t *entry);

uint32_t pci_read(uint16_t seg, uint8_t bus, uint8_t devfn, unsigned reg, unsigned width);
void pci_write(uint16_t seg, uint8_t bus, uint8_t devfn, unsigned reg, unsigned width, uint32_t value);

#endif
