/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptor tables (SDM Vol. 3, chapters 3, 6 and 7). The IDT is one for all CPUs; each CPU has its own GDT
 * page, TSS and stacks for NMI, #MC, #DF and #DB, in its area (hw/layout.h).
 */
#include "hw/desc.h"
#include "hw/cpu.h"
#include "hw/entry.h"
#include "hw/paging.h"
#include "hw/syscall.h"
#include "hw/trace.h"
#include "lib/string.h"

struct idt_gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed));

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

enum { IST_DF = 1, IST_NMI, IST_MC };

#define GATE_INTERRUPT 0x8e
#define GATE_DPL3      0x60

extern char trap_stubs[256][16];

struct idt_gate idt_page[256] __aligned_to(4096);

static void gate_set(unsigned vector, unsigned ist, uint8_t type)
{
	uintptr_t stub = (uintptr_t)trap_stubs[vector];

	idt_page[vector] = (struct idt_gate){ .offset_low = (uint16_t)stub,
		                              .selector = HV_CS,
		                              .ist = (uint8_t)ist,
		                              .type = type,
		                              .offset_middle = (uint16_t)(stub >> 16),
		                              .offset_high = (uint32_t)(stub >> 32) };
}

static void idt_load(void)
{
	struct table_pointer p = { sizeof(idt_page) - 1, (uintptr_t)idt_page };

	__asm__ volatile("lidt %0" : : "m"(p));
}

void desc_early_init(void)
{
	for (unsigned v = 0; v < 256; v++)
		gate_set(v, 0, GATE_INTERRUPT);
	/* INT3, INTO and the old Linux system call are guests' to execute. */
	gate_set(3, 0, GATE_INTERRUPT | GATE_DPL3);
	gate_set(4, 0, GATE_INTERRUPT | GATE_DPL3);
	gate_set(VECTOR_INT80, 0, GATE_INTERRUPT | GATE_DPL3);
	idt_load();
}

static void gdt_fill(uint64_t *page, unsigned cpu)
{
	page[(HV_CS - GDT_HV_OFFSET) / 8] = 0x00af9b000000ffff;
	page[(HV_DS - GDT_HV_OFFSET) / 8] = 0x00cf93000000ffff;
	page[(SEL_RING1_CS32 - GDT_HV_OFFSET) / 8] = 0x00cfbb000000ffff;
	page[(SEL_RING3_CS32 - GDT_HV_OFFSET) / 8] = 0x00cffb000000ffff;
	page[(SEL_RING3_DS - GDT_HV_OFFSET) / 8] = 0x00cff3000000ffff;
	page[(SEL_RING3_CS64 - GDT_HV_OFFSET) / 8] = 0x00affb000000ffff;
	/* Read by LSL: byte granular, DPL 3, limit is the number. */
	page[(HV_PERCPU_SEL - GDT_HV_OFFSET) / 8] = 0x0040f30000000000 | cpu;
}

/* A 16-byte system descriptor: type 2 LDT, 9 available TSS. */
static void system_descriptor(unsigned selector, uintptr_t base, unsigned limit, unsigned type)
{
	uint64_t *d = (uint64_t *)(CPU_AREA(this_cpu()) + CPU_AREA_GDT_PAGE * PAGE_SIZE) +
	              (selector - GDT_HV_OFFSET) / 8;

	d[0] = (limit & 0xffff) | (base & 0xffffff) << 16 | (uint64_t)(0x80 | type) << 40 |
	       (uint64_t)(limit >> 16 & 15) << 48 | (base >> 24 & 0xff) << 56;
	d[1] = base >> 32;
}

mfn_t gdt_hv_page(unsigned cpu)
{
	return cpu_area_gdt_mfn(cpu);
}

void gdt_load(uintptr_t base, unsigned limit)
{
	struct table_pointer p = { (uint16_t)limit, base };

	__asm__ volatile("lgdt %0" : : "m"(p));
}

void gdt_load_hv(void)
{
	gdt_load(CPU_AREA(this_cpu()) + CPU_AREA_GDT_PAGE * PAGE_SIZE - GDT_HV_OFFSET,
	         GDT_HV_OFFSET + PAGE_SIZE - 1);
}

void ldt_load(uintptr_t base, unsigned entries)
{
	uint16_t selector = 0;

	if (entries) {
		system_descriptor(HV_LDT_SEL, base, entries * 8 - 1, 2);
		selector = HV_LDT_SEL;
	}
	__asm__ volatile("lldt %0" : : "r"(selector) : "memory");
}

void desc_prepare_cpu(unsigned cpu)
{
	gdt_fill((uint64_t *)(CPU_AREA(cpu) + CPU_AREA_GDT_PAGE * PAGE_SIZE), cpu);
}

/* On that CPU: GDT, TSS, IDT. */
static void desc_init_cpu(unsigned cpu)
{
	uintptr_t area = CPU_AREA(cpu);
	struct tss *tss = (struct tss *)(area + CPU_AREA_TSS_PAGE * PAGE_SIZE);
	struct cpu_info *info = cpu_info_of(cpu);

	gdt_load_hv();
	tss->rsp[0] = (uintptr_t)&info->regs.es;
	tss->ist[IST_DF - 1] = area + 1 * PAGE_SIZE;
	tss->ist[IST_NMI - 1] = area + 2 * PAGE_SIZE;
	tss->ist[IST_MC - 1] = area + 3 * PAGE_SIZE;
	tss->io_map = sizeof(*tss); /* beyond the limit: no ports */
	system_descriptor(HV_TSS_SEL, (uintptr_t)tss, sizeof(*tss) - 1, 9);
	__asm__ volatile("ltr %w0" : : "r"(HV_TSS_SEL) : "memory");
	idt_load();
}

void traps_init_cpu(unsigned cpu)
{
	desc_init_cpu(cpu);
	/* #DB shares the stack of #DF, which never returns. */
	gate_set(1, IST_DF, GATE_INTERRUPT);
	gate_set(2, IST_NMI, GATE_INTERRUPT);
	gate_set(8, IST_DF, GATE_INTERRUPT);
	gate_set(18, IST_MC, GATE_INTERRUPT);
	syscall_init_cpu(cpu);
}
