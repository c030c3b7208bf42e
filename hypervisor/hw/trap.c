/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exceptions that interrupted the hypervisor itself, and NMI and #MC from anywhere. A fault at an instruction
 * with an entry in the exception table is expected and continues at its fix-up; any other one is a defect of
 * ours, and a panic.
 */
#include "hw/trap.h"
#include "hw/apic.h"
#include "hw/cpu.h"
#include "hw/panic.h"
#include "hw/snapshot.h"
#include "hw/msr.h"
#include "hw/rflags.h"
#include "hw/time.h"
#include "hw/trace.h"
#include "hw/upward.h"
#include "lib/log.h"

#define PORT_SYSTEM_CONTROL_B 0x61

extern const struct fault_fixup ex_table_start[], ex_table_end[];

static int stopping; /* NMI means: halt permanently */

static const char *const names[32] = {
	[0] = "divide error",        [1] = "debug",           [2] = "NMI",
	[3] = "breakpoint",          [4] = "overflow",        [5] = "bound range",
	[6] = "invalid opcode",      [7] = "no FPU",          [8] = "double fault",
	[10] = "invalid TSS",        [11] = "segment absent", [12] = "stack fault",
	[13] = "protection fault",   [14] = "page fault",     [16] = "x87 error",
	[17] = "alignment check",    [18] = "machine check",  [19] = "SIMD error",
	[21] = "control protection",
};

/* Where it goes on after a fault that is expected there, or NULL. */
static const struct fault_fixup *fixup_of(const struct cpu_user_regs *regs)
{
	for (const struct fault_fixup *f = ex_table_start; f < ex_table_end; f++)
		if ((uintptr_t)&f->from + (intptr_t)f->from == regs->rip)
			return f;
	return NULL;
}

/* A page fault in an access to the guest's memory that can be done again. */
static bool access_again(const struct cpu_user_regs *regs)
{
	gva_t cr2 = GVA(cr2_read());
	bool wait = regs->rflags & RFLAGS_IF, again;

	if (wait)
		irq_enable();
	again = guest_access_fault(cr2, regs->error_code, wait);
	irq_disable();
	return again;
}

void trap_in_hypervisor(struct cpu_user_regs *regs)
{
	unsigned vector = regs->entry_vector & 31;
	const struct fault_fixup *fixup = fixup_of(regs);

	if (vector == TRAP_BP && trace_places_breakpoint(regs))
		return;
	if (vector == TRAP_PF && fixup && access_again(regs))
		return;
	if (vector != TRAP_BP && fixup) {
		regs->rip = (uintptr_t)&fixup->to + (intptr_t)fixup->to;
		/* For exit_fault, which passes them on. */
		cpu_info()->scratch[1] = (uint64_t)vector << 32 | regs->error_code;
		return;
	}
	if (vector == TRAP_PF)
		panic_with(regs, "page fault in the hypervisor at %016llx, error code %04x",
		           (unsigned long long)cr2_read(), regs->error_code);
	panic_with(regs, "%s in the hypervisor, error code %04x",
	           names[vector] ? names[vector] : "reserved exception", regs->error_code);
}

/*
 * A guest single-stepped into SYSENTER and the flag came along, or a breakpoint of its own data was reached
 * by a copy or held back by MOV SS: nothing of the hypervisor's. The guest does not learn of it.
 */
void trap_debug_in_hypervisor(struct cpu_user_regs *regs)
{
	regs->rflags &= ~(uint64_t)RFLAGS_TF;
	__asm__ volatile("mov %0, %%dr6" : : "r"(0xffff0ff0ul));
}

void smp_stop_others(void)
{
	__atomic_store_n(&stopping, 1, __ATOMIC_SEQ_CST);
	apic_send_nmi_to_others();
	udelay(10000);
}

static void halt_here(void) __noreturn;

static void halt_here(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

void trap_nmi(struct cpu_user_regs *regs)
{
	static uint64_t count;
	uint32_t reason;

	if (__atomic_load_n(&stopping, __ATOMIC_SEQ_CST))
		halt_here();
	snapshot_nmi(regs);
	/* SERR (bit 7) and IOCHK (bit 6) mean that data may be lost; anything else is counted and ignored. */
	reason = port_in(PORT_SYSTEM_CONTROL_B, 1);
	if (reason & 0xc0)
		panic_with(regs, "NMI: hardware error, port 0x61 reads 0x%02x", reason);
	__atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
}

void trap_machine_check(struct cpu_user_regs *regs)
{
	uint64_t cap = 0, status = 0, bank = 0, address = 0;

	if (rdmsr_safe(MSR_MCG_CAP, &cap) || rdmsr_safe(MSR_MCG_STATUS, &status))
		panic_with(regs, "machine check");
	for (unsigned i = 0; i < (cap & 0xff); i++)
		if (!rdmsr_safe(MSR_MC0_STATUS + 4 * i, &bank) && bank >> 63) {
			if (rdmsr_safe(MSR_MC0_ADDR + 4 * i, &address))
				address = 0;
			panic_with(regs,
			           "machine check: MCG_STATUS %llx, bank %u status %016llx address %016llx",
			           (unsigned long long)status, i, (unsigned long long)bank,
			           (unsigned long long)address);
		}
	panic_with(regs, "machine check: MCG_STATUS %llx", (unsigned long long)status);
}

void trap_double_fault(struct cpu_user_regs *regs)
{
	uint64_t cr2 = cr2_read();
	uintptr_t guard = CPU_AREA(this_cpu()) + CPU_AREA_GUARD_PAGE * PAGE_SIZE;

	panic_with(regs, "double fault%s, cr2 %016llx", cr2 - guard < PAGE_SIZE ? " (stack overflow)" : "",
	           (unsigned long long)cr2);
}
