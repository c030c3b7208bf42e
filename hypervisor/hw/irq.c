/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts: from a vector to its source and the handler that is bound to it.
 *
 * A vector means the same on all CPUs. A level-triggered line is masked at the I/O APIC from its interrupt
 * until irq_eoi(), so that a guest may take its time; two reasons keep a source masked, and it is unmasked
 * when both are gone.
 */
#include "hw/irq.h"
#include "hw/acpi.h"
#include "hw/apic.h"
#include "hw/cpu.h"
#include "hw/ioapic.h"
#include "hw/irq_table.h"
#include "hw/lock.h"
#include "hw/msi.h"
#include "hw/smp.h"
#include "hw/time.h"
#include "hw/tlb.h"
#include "hw/trace.h"
#include "hw/vectors.h"
#include "lib/errno.h"
#include "lib/log.h"
#include "lib/string.h"

unsigned irq_gsi_count;

struct irq_source irq_table[IRQ_MAX];
spinlock_t irq_lock = SPINLOCK(RANK_IRQ);

static uint16_t vector_irq[256]; /* irq + 1; 0: free */
static unsigned irq_depth[NR_CPUS];

bool irq_context_active(void)
{
	return irq_depth[this_cpu()];
}

/* ---- vectors ---- */

/* First of count free vectors, aligned to count rounded up to a power of two; 0: none. */
static unsigned vectors_find(unsigned count, unsigned align)
{
	for (unsigned v = ROUND_UP(VECTOR_DEVICE_FIRST, align); v + count - 1 <= VECTOR_DEVICE_LAST;
	     v += align) {
		unsigned i = 0;

		while (i < count && !vector_irq[v + i] && v + i != 0x80 && v + i != 0x82)
			i++;
		if (i == count)
			return v;
	}
	return 0;
}

/* An irq gets or loses a vector, which is one of all CPUs. */
static void trace_vector(uint32_t event, unsigned irq, unsigned vector)
{
	uint32_t words[TRACE_EXTRA_MAX] = { irq | vector << 16 };

	_Static_assert(sizeof(cpus_online) < sizeof(words), "room for the mask");
	memcpy(words + 1, &cpus_online, sizeof(cpus_online));
	trace_record(event, true, words, ARRAY_SIZE(words));
}

unsigned irq_vectors_take(unsigned first_irq, unsigned count)
{
	unsigned align = 1, v;

	while (align < count)
		align *= 2;
	v = vectors_find(count, align);
	for (unsigned i = 0; v && i < count; i++) {
		vector_irq[v + i] = (uint16_t)(first_irq + i + 1);
		irq_table[first_irq + i].vector = (uint8_t)(v + i);
		if (trace_on())
			trace_vector(TRC_HW_IRQ_ASSIGN_VECTOR, first_irq + i, v + i);
	}
	return v;
}

void irq_vector_release(unsigned irq)
{
	if (trace_on())
		trace_vector(TRC_HW_IRQ_CLEAR_VECTOR, irq, irq_table[irq].vector);
	vector_irq[irq_table[irq].vector] = 0;
	irq_table[irq].vector = 0;
}

/* ---- masks; all with irq_lock held ---- */

static void apply_mask(unsigned irq)
{
	struct irq_source *s = &irq_table[irq];
	bool masked = s->masked || s->in_service;

	if (irq < irq_gsi_count)
		ioapic_set_mask(irq, masked);
	else
		msi_apply_mask(irq, masked);
}

/* ---- the interface ---- */

int irq_bind(unsigned irq, void (*handler)(unsigned irq, void *data), void *data)
{
	struct irq_source *s;
	uint64_t flags;
	int rc = 0;

	if (irq >= IRQ_MAX || (irq >= irq_gsi_count && !irq_table[irq].msi))
		return -EINVAL;
	s = &irq_table[irq];
	flags = spin_lock_irqsave(&irq_lock);
	if (s->handler) {
		rc = -EBUSY;
	} else if (!s->vector && !irq_vectors_take(irq, 1)) {
		rc = -ENOSPC;
	} else {
		s->data = data;
		s->handler = handler;
		s->masked = false;
		s->in_service = false;
		if (irq < irq_gsi_count)
			ioapic_write_entry(irq, s->vector, cpu_ids[s->cpu].apic_id, s->level, s->active_low,
			                   false);
		else
			msi_apply_mask(irq, false);
	}
	spin_unlock_irqrestore(&irq_lock, flags);
	return rc;
}

void irq_unbind(unsigned irq)
{
	struct irq_source *s = &irq_table[irq];
	uint64_t flags = spin_lock_irqsave(&irq_lock);

	s->masked = true;
	apply_mask(irq);
	s->handler = NULL;
	s->in_service = false;
	if (irq < irq_gsi_count && s->vector)
		irq_vector_release(irq);
	spin_unlock_irqrestore(&irq_lock, flags);
}

void irq_eoi(unsigned irq)
{
	struct irq_source *s = &irq_table[irq];
	uint64_t flags = spin_lock_irqsave(&irq_lock);

	if (s->in_service) {
		s->in_service = false;
		apply_mask(irq);
	}
	spin_unlock_irqrestore(&irq_lock, flags);
}

static void set_mask(unsigned irq, bool masked)
{
	uint64_t flags = spin_lock_irqsave(&irq_lock);

	if (irq_table[irq].handler) {
		irq_table[irq].masked = masked;
		apply_mask(irq);
	}
	spin_unlock_irqrestore(&irq_lock, flags);
}

void irq_mask(unsigned irq)
{
	set_mask(irq, true);
}

void irq_unmask(unsigned irq)
{
	set_mask(irq, false);
}

bool irq_is_level(unsigned irq)
{
	return irq < irq_gsi_count && irq_table[irq].level;
}

void irq_set_affinity(unsigned irq, unsigned cpu)
{
	struct irq_source *s = &irq_table[irq];
	uint64_t flags = spin_lock_irqsave(&irq_lock);

	/* Without interrupt remapping a destination has 8 bits; the last one means everybody. */
	if (s->cpu != cpu && cpumask_test(&cpus_online, cpu) && cpu_ids[cpu].apic_id < 0xff) {
		s->cpu = cpu;
		if (!s->handler)
			;
		else if (irq < irq_gsi_count)
			ioapic_write_entry(irq, s->vector, cpu_ids[cpu].apic_id, s->level, s->active_low,
			                   s->masked || s->in_service);
		else
			msi_write_message(irq);
	}
	spin_unlock_irqrestore(&irq_lock, flags);
}

void irqs_leave_cpu(unsigned cpu, unsigned to)
{
	for (unsigned irq = 0; irq < IRQ_MAX; irq++)
		if (READ_ONCE(irq_table[irq].cpu) == cpu)
			irq_set_affinity(irq, to);
}

int irq_gsi_setup(unsigned gsi, bool level, bool active_low)
{
	struct irq_source *s;
	uint64_t flags;
	int rc = 0;

	if (gsi >= irq_gsi_count)
		return -EINVAL;
	s = &irq_table[gsi];
	flags = spin_lock_irqsave(&irq_lock);
	if (s->handler) {
		rc = s->level == level && s->active_low == active_low ? 0 : -EBUSY;
	} else {
		s->level = level;
		s->active_low = active_low;
	}
	spin_unlock_irqrestore(&irq_lock, flags);
	return rc;
}

/* ---- entry ---- */

static __trace void handle_traced(unsigned irq, void (*handler)(unsigned, void *), void *data)
{
	uint64_t begin = rdtsc();

	handler(irq, data);
	TRACE(TRC_HW_IRQ_HANDLED, irq, (uint32_t)begin, (uint32_t)rdtsc());
}

static void device_interrupt(unsigned vector)
{
	uint64_t flags = spin_lock_irqsave(&irq_lock);
	unsigned irq = (unsigned)vector_irq[vector] - 1;
	void (*handler)(unsigned, void *) = NULL;
	void *data = NULL;

	if (irq < IRQ_MAX) {
		struct irq_source *s = &irq_table[irq];

		handler = s->handler;
		data = s->data;
		if (handler && s->level && irq < irq_gsi_count) {
			s->in_service = true;
			apply_mask(irq);
		}
	} else {
		TRACE(TRC_HW_IRQ_UNMAPPED_VECTOR, vector);
	}
	spin_unlock_irqrestore(&irq_lock, flags);
	/* The line is masked by now where it must be: the local APIC may deliver the next one. */
	apic_eoi();
	if (!handler)
		return;
	if (trace_on())
		handle_traced(irq, handler, data);
	else
		handler(irq, data);
}

void irq_entry(struct cpu_user_regs *regs)
{
	unsigned vector = regs->entry_vector & 0xff, cpu = this_cpu();

	irq_depth[cpu]++;
	switch (vector) {
	case VECTOR_TIMER:
		apic_eoi();
		time_interrupt();
		break;
	case VECTOR_FLUSH:
		apic_eoi();
		tlb_flush_interrupt();
		break;
	case VECTOR_CALL:
		apic_eoi();
		cpu_call_interrupt();
		break;
	case VECTOR_WORK:
	case VECTOR_ERROR:
		apic_eoi();
		break;
	case VECTOR_SPURIOUS:
		break;
	default:
		if (vector >= VECTOR_DEVICE_FIRST)
			device_interrupt(vector);
	}
	irq_depth[cpu]--;
}

/* ---- bring-up ---- */

/* Both legacy controllers: vectors out of the exceptions' way, everything masked. */
void pic_disable(void)
{
	port_out(0x20, 1, 0x11);
	port_out(0xa0, 1, 0x11);
	port_out(0x21, 1, VECTOR_PIC);
	port_out(0xa1, 1, VECTOR_PIC + 8);
	port_out(0x21, 1, 4);
	port_out(0xa1, 1, 2);
	port_out(0x21, 1, 1);
	port_out(0xa1, 1, 1);
	port_out(0x21, 1, 0xff);
	port_out(0xa1, 1, 0xff);
}

void irq_init(void)
{
	ioapic_init();
	irq_gsi_count = MIN(ioapic_gsi_count(), IRQ_MAX / 2u);
	if (irq_gsi_count < ioapic_gsi_count())
		log_warn("GSIs %u to %u are beyond the limit of %u", irq_gsi_count, ioapic_gsi_count() - 1,
		         IRQ_MAX / 2u);
	for (unsigned gsi = 0; gsi < irq_gsi_count; gsi++) {
		/* ISA lines are edge, active high; PCI lines level, active low. */
		irq_table[gsi].level = irq_table[gsi].active_low = gsi >= 16;
		irq_table[gsi].masked = true;
	}
	for (unsigned i = 0; i < acpi_info.override_count; i++) {
		const struct acpi_override *o = &acpi_info.overrides[i];

		if (o->gsi < irq_gsi_count) {
			irq_table[o->gsi].level = o->level;
			irq_table[o->gsi].active_low = o->active_low;
		} else {
			log_warn("the override of IRQ %u by GSI %u, which there is not, is ignored", o->irq,
			         o->gsi);
		}
	}
}
