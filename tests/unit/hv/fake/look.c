/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What debug keys look at in the hardware layer: an I/O APIC, interrupts, names of functions, and NMIs that CPUs answer. */
#include "fake.h"
#include "hw/apic.h"
#include "hw/cpu.h"
#include "hw/ioapic.h"
#include "hw/symbols.h"
#include "look.h"
#include "hw/irq_table.h"
#include "hw/snapshot.h"

struct irq_source irq_table[IRQ_MAX];
spinlock_t irq_lock = SPINLOCK(RANK_IRQ);
struct cpu_user_regs look_regs[FAKE_CPUS];
cpumask_t look_deaf;

bool ioapic_look(unsigned gsi, uint64_t *entry)
{
	*entry = gsi & 1 ? 0x10000 : 0x01000000000000a0 | 1ull << 15 | gsi;
	return gsi < 24;
}

bool symbol_find(uint64_t address, struct symbol_hit *hit)
{
	*hit = (struct symbol_hit){ "fake_symbol", address & 0xff };
	return address >> 8 == 0xc0de;
}

void apic_send_nmi_to_others(void)
{
	unsigned self = this_cpu();

	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		if (cpu == self || cpumask_test(&look_deaf, cpu))
			continue;
		fake_set_cpu(cpu);
		snapshot_nmi(&look_regs[cpu]);
	}
	fake_set_cpu(self);
	if (!cpumask_empty(&look_deaf))
		fake_time_ns += 1000000000;
}
