/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Other processors: numbers, start, stop. */
#ifndef HW_SMP_H
#define HW_SMP_H

#include "lib/types.h"
#include "lib/bits.h"

/* Of a CPU that was started; immutable afterwards. */
struct cpu_ids {
	uint32_t apic_id, acpi_id;
	uint32_t package, core; /* core within the package; threads of a core share both numbers */
};
extern struct cpu_ids cpu_ids[NR_CPUS];

static inline uint32_t cpu_apic_id(unsigned cpu)
{
	return cpu_ids[cpu].apic_id;
}

static inline uint32_t cpu_acpi_id(unsigned cpu)
{
	return cpu_ids[cpu].acpi_id;
}

/* Fills cpu_ids, gives each CPU that will be started its area. After acpi_init(), before mm_init(). */
void smp_prepare(void);
/* Starts the CPUs; each calls ap_main on its own stack with interrupts off, after it is in cpus_online. */
void smp_start(void (*ap_main)(void));

void cpu_call_interrupt(void);

/* Registers the handler of one work bit; at bring-up only. */
void work_register(unsigned bit, void (*handler)(void));
/* Asks a CPU to do it before it next runs a guest; sends an IPI to another CPU. Any context. */
void work_raise(unsigned cpu, unsigned bit);
/* Runs what is pending on this CPU until nothing is. Called by the exit path and the idle loop. */
void work_run(void);

/* Whether this CPU has other work: long operations end their slice then. */
bool work_pending(void);

/* Calls fn(arg) on each CPU of the mask in interrupt context and waits (this CPU, if named, directly). */
void cpu_call(const cpumask_t *mask, void (*fn)(void *), void *arg);

#endif
