/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC, by memory (xAPIC) or by MSRs (x2APIC, taken where the processor has it). SDM Vol. 3,
 * chapter 11. Destinations are physical APIC ids throughout.
 */
#include "hw/apic.h"
#include "hw/acpi.h"
#include "hw/cpu.h"
#include "hw/device_map.h"
#include "hw/msr.h"
#include "hw/vectors.h"
#include "lib/log.h"

enum {
	APIC_ID = 0x20,
	APIC_TPR = 0x80,
	APIC_EOI = 0xb0,
	APIC_LDR = 0xd0,
	APIC_SPURIOUS = 0xf0,
	APIC_ERROR = 0x280,
	APIC_ICR = 0x300,
	APIC_ICR_HIGH = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_LVT_ERROR = 0x370,
	APIC_TIMER_INITIAL = 0x380,
	APIC_TIMER_COUNT = 0x390,
	APIC_TIMER_DIVIDE = 0x3e0,
};

#define ICR_PENDING  (1u << 12)
#define ICR_ASSERT   (1u << 14)
#define ICR_NMI      (4u << 8)
#define ICR_INIT     (5u << 8)
#define ICR_STARTUP  (6u << 8)
#define ICR_LEVEL    (1u << 15)
#define ICR_OTHERS   (3u << 18)
#define LVT_MASKED   (1u << 16)
#define LVT_NMI      (4u << 8)
#define LVT_DEADLINE (2u << 17)
#define DIVIDE_BY_16 3

static volatile uint32_t *registers; /* NULL: x2APIC */
static bool deadline_mode;

static uint32_t apic_read(unsigned reg)
{
	return registers ? registers[reg / 4] : (uint32_t)rdmsr(MSR_X2APIC + reg / 16);
}

static void apic_write(unsigned reg, uint32_t value)
{
	if (registers)
		registers[reg / 4] = value;
	else
		wrmsr(MSR_X2APIC + reg / 16, value);
}

static void icr_write(uint32_t dest, uint32_t low)
{
	if (registers) {
		/* Two registers: no interrupt in between may use them. */
		uint64_t flags = irq_save();

		registers[APIC_ICR_HIGH / 4] = dest << 24;
		registers[APIC_ICR / 4] = low;
		while (registers[APIC_ICR / 4] & ICR_PENDING)
			cpu_relax();
		irq_restore(flags);
		return;
	}
	/* WRMSR to the x2APIC does not serialise: what was stored before must be seen first. */
	__asm__ volatile("mfence; lfence" : : : "memory");
	wrmsr(MSR_X2APIC + APIC_ICR / 16, (uint64_t)dest << 32 | low);
}

uint32_t apic_id(void)
{
	return registers ? registers[APIC_ID / 4] >> 24 : (uint32_t)rdmsr(MSR_X2APIC + APIC_ID / 16);
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_send_ipi(uint32_t to, unsigned vector)
{
	icr_write(to, vector | ICR_ASSERT);
}

void apic_send_nmi_to_others(void)
{
	if (cpu_count > 1)
		icr_write(0, ICR_NMI | ICR_ASSERT | ICR_OTHERS);
}

void apic_send_init(uint32_t to)
{
	icr_write(to, ICR_INIT | ICR_LEVEL | ICR_ASSERT);
}

void apic_send_startup(uint32_t to, unsigned page)
{
	icr_write(to, ICR_STARTUP | ICR_ASSERT | page);
}

uint32_t apic_timer_count(void)
{
	return apic_read(APIC_TIMER_COUNT);
}

void apic_timer_start(uint32_t count)
{
	apic_write(APIC_TIMER_INITIAL, count);
}

void apic_timer_deadline_mode(void)
{
	deadline_mode = true;
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER | LVT_DEADLINE);
	/* The mode is in force before the first write of the deadline (SDM Vol. 3, 11.5.4.1). */
	__asm__ volatile("mfence" : : : "memory");
}

void apic_init_cpu(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	base |= APIC_BASE_ENABLE;
	wrmsr(MSR_APIC_BASE, base);
	if (!registers)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
	apic_write(APIC_LVT_LINT0, LVT_MASKED);
	apic_write(APIC_LVT_LINT1, LVT_NMI);
	apic_write(APIC_LVT_ERROR, VECTOR_ERROR);
	apic_write(APIC_ERROR, 0);
	apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_16);
	apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	if (deadline_mode)
		apic_timer_deadline_mode();
}

void apic_init(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	/* Firmware may have turned x2APIC on; back is not possible without a reset. */
	if (!cpu_features.x2apic && !(base & APIC_BASE_X2APIC)) {
		registers = device_map(MADDR(base & 0x000ffffffffff000ull), PAGE_SIZE);
		if (!registers)
			panic("the local APIC cannot be mapped");
	}
	apic_init_cpu();
	log_info("local APIC: %s, id %u", registers ? "xAPIC" : "x2APIC", apic_id());
}
