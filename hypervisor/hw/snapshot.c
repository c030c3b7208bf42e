/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots of what CPUs do. The NMI's handler only copies: it may have interrupted somebody who holds the console's lock,
 * so the one who asked prints.
 */
#include "hw/snapshot.h"
#include "hw/apic.h"
#include "hw/cpu.h"
#include "hw/symbols.h"
#include "hw/time.h"
#include "lib/string.h"

#define WAIT_NS 200000000ull

static struct cpu_snapshot snapshots[NR_CPUS];
static cpumask_t wanted; /* atomic */

/*
 * Only on this CPU's own stack: in the first instructions of an entry the stack pointer is still the guest's, which holds
 * what the guest likes, and below the guard page lie the stacks of other NMIs and machine checks.
 */
static void find_callers(struct cpu_snapshot *s)
{
	uint64_t end = (uintptr_t)cpu_info(), sp = ROUND_UP(s->regs.rsp, 8);
	uint64_t start = (end & ~(uint64_t)(HV_STACK_SIZE - 1)) + (CPU_AREA_GUARD_PAGE + 1) * PAGE_SIZE;
	struct symbol_hit hit;

	if (sp < start || sp >= end)
		return;
	for (; sp < end && s->caller_count < SNAPSHOT_CALLERS; sp += 8) {
		uint64_t value = *(const uint64_t *)sp;

		if (symbol_find(value, &hit))
			s->callers[s->caller_count++] = value;
	}
}

void snapshot_nmi(const struct cpu_user_regs *regs)
{
	unsigned cpu = this_cpu();
	struct cpu_snapshot *s = &snapshots[cpu];

	if (!cpumask_test(&wanted, cpu))
		return;
	s->regs = *regs;
	if (!(regs->cs & 3))
		find_callers(s);
	s->taken = true;
	cpumask_clear(&wanted, cpu); /* a full barrier */
}

const struct cpu_snapshot *cpus_snapshot(void)
{
	uint64_t end = time_now_ns() + WAIT_NS;
	unsigned cpu;

	memset(snapshots, 0, sizeof(snapshots));
	for_each_cpu_in(cpu, &cpus_online)
		if (cpu != this_cpu())
			cpumask_set(&wanted, cpu);
	apic_send_nmi_to_others();
	while (!cpumask_empty(&wanted) && time_now_ns() < end)
		cpu_relax();
	for_each_cpu_in(cpu, &cpus_online)
		cpumask_clear(&wanted, cpu);
	return snapshots;
}

const char *address_name(uint64_t address, char *buf, size_t size)
{
	struct symbol_hit hit;

	if (symbol_find(address, &hit))
		snprintf(buf, size, "%s+0x%lx", hit.name, (unsigned long)hit.offset);
	else
		snprintf(buf, size, "%016lx", (unsigned long)address);
	return buf;
}
