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

#endif
