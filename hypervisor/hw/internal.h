/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of hw/ and boot/ share and layers in between do not see: steps of bring-up, and the wires
 * between them. */
#ifndef HW_INTERNAL_H
#define HW_INTERNAL_H

#include "hw/cpu.h"
#include "hw/mem.h"

/* ---- bring-up, in this order ---- */
void desc_early_init(void);   /* IDT with stubs, on the boot stack */
void cpu_features_init(void); /* CPUID of the boot CPU */
void cpu_init(void);          /* each CPU: control registers, PAT, CPUID faulting, FPU */
/* In cpu_init(): guests, dom0 too, see what their policy says, by whichever way they ask. Where a CPU refuses it, it is no
 * feature of the machine's. */
void cpu_features_enforce(void);
bool cpu_features_match(void); /* each other CPU: whether it has what the first one has */
void boot_alloc_init(const struct memory_region *busy, unsigned count);
void boot_alloc_unlimit(void); /* the direct map is complete: memory above 4 GiB too */
void paging_init(void);        /* final tables of the image and of all memory; loads them */
void cpu_area_init(unsigned cpu);
mfn_t cpu_area_gdt_mfn(unsigned cpu);
void desc_prepare_cpu(unsigned cpu); /* fills its GDT page, from any CPU */
void console_late_init(void);        /* VGA and serial through final tables, the ring's final size */
void console_input_init(void);       /* serial input's interrupt */
void console_release_vga(void);      /* dom0's from now on */
void console_panic_mode(void);       /* no locks any more */
void pic_disable(void); /* before apic_init(): a request that is pending must not outlive its line */
void apic_init(void);
void machine_own_init(void); /* after acpi_init() */
void irq_init(void);
void time_init(void);
void time_init_cpu(unsigned cpu); /* each other CPU, while the first is in time_sync_with() */
void time_sync_with(unsigned cpu);
void fpu_init_cpu(void);
extern uint32_t fpu_mxcsr_mask; /* bits of MXCSR that exist; fpu_area.c */

/* cpu_info of any CPU. */
static inline struct cpu_info *cpu_info_of(unsigned cpu)
{
	return (struct cpu_info *)(CPU_AREA(cpu) + HV_STACK_SIZE) - 1;
}

/* ---- local APIC ---- */
void apic_init_cpu(void);
uint32_t apic_id(void);
void apic_eoi(void);
void apic_send_ipi(uint32_t to_apic_id, unsigned vector);
void apic_send_nmi_to_others(void);
void apic_send_init(uint32_t to_apic_id);
void apic_send_startup(uint32_t to_apic_id, unsigned page);
uint32_t apic_timer_count(void);
void apic_timer_start(uint32_t count); /* one shot, divided by 16; 0 stops it */
void apic_timer_deadline_mode(void);
/* Wired into irq_entry(). */
void time_interrupt(void);
void tlb_flush_interrupt(void);
void cpu_call_interrupt(void);

/* ---- interrupts: a device's vector ---- */
void irq_vector_interrupt(unsigned vector);
/* Programs for one source of irq.c's table. */
void ioapic_init(void);
unsigned ioapic_gsi_count(void);
void ioapic_write_entry(unsigned gsi, unsigned vector, uint32_t dest_apic_id, bool level, bool active_low,
                        bool masked);
void ioapic_set_mask(unsigned gsi, bool masked);

/* ---- time ---- */
void udelay(unsigned us); /* busy; before calibration too (PIT) */

/* ---- end ---- */
struct symbol_hit {
	const char *name;
	uint64_t offset;
};
bool symbol_find(uint64_t address, struct symbol_hit *hit);
void smp_stop_others(void); /* the other CPUs halt permanently */
void regs_print(const struct cpu_user_regs *regs);
void panic_with(struct cpu_user_regs *regs, const char *fmt, ...) __printf(2, 3) __noreturn;
/* Tells about the current domain and vcpu in a panic; boot/ sets it. */
extern void (*panic_describe)(void);

#endif
