/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PCI configuration space. */
#ifndef HW_PCI_H
#define HW_PCI_H

#include "lib/types.h"

uint32_t pci_read(uint16_t seg, uint8_t bus, uint8_t devfn, unsigned reg, unsigned width);
void pci_write(uint16_t seg, uint8_t bus, uint8_t devfn, unsigned reg, unsigned width, uint32_t value);

#endif
