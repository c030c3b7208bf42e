/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of interrupt sources, shared by hw/irq.c and hw/msi.c. */
#ifndef HW_IRQ_TABLE_H
#define HW_IRQ_TABLE_H

#include "hw/irq.h"
#include "hw/lock.h"

struct msi_device;

/* Guard: irq_lock. */
struct irq_source {
	void (*handler)(unsigned irq, void *data); /* NULL: not bound */
	void *data;
	uint8_t vector; /* 0: none */
	bool level, active_low;
	bool masked, in_service; /* each alone keeps it masked */
	unsigned cpu;            /* where it is delivered */
	struct msi_device *msi;  /* NULL: a GSI or unused */
};

extern struct irq_source irq_table[IRQ_MAX];
extern spinlock_t irq_lock;

/* Consecutive vectors for count irqs, aligned as MSI wants it; the first, or 0 when there are none. irq_lock held. */
unsigned irq_vectors_take(unsigned first_irq, unsigned count);
void irq_vector_release(unsigned irq);

/* hw/msi.c, irq_lock held. */
void msi_apply_mask(unsigned irq, bool masked);
void msi_write_message(unsigned irq);

#endif
