/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Message signalled interrupts. */
#ifndef HW_MSI_H
#define HW_MSI_H

#include "lib/types.h"

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

/* irq_lock held. */
void msi_apply_mask(unsigned irq, bool masked);
void msi_write_message(unsigned irq);

#endif
