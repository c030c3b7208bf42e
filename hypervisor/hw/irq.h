/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts of devices: global system interrupts behind I/O APICs, and MSI (hw/msi.h). An irq is the hypervisor's
 * number for a source: 0 .. irq_gsi_count - 1 are the GSIs, MSIs come behind.
 */
#ifndef HW_IRQ_H
#define HW_IRQ_H

#include "lib/types.h"
#include "lib/bits.h"
#include <xen/xen.h>

#define IRQ_MAX 1024

extern unsigned irq_gsi_count;

void pic_disable(void); /* before apic_init(): a request that is pending must not outlive its line */
void irq_init(void);

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

/* All that is delivered to one CPU goes to another one. What is on its way still comes there. */
void irqs_leave_cpu(unsigned cpu, unsigned to);

/* Consecutive vectors for count irqs, aligned as MSI wants it; the first, or 0 when there are none. irq_lock held. */
unsigned irq_vectors_take(unsigned first_irq, unsigned count);
void irq_vector_release(unsigned irq);

/* Whether this CPU is inside of an interrupt handler. */
bool irq_context_active(void);

/* Vectors 0x20 .. 0xff, from any mode. */
void irq_entry(struct cpu_user_regs *regs);

#endif
