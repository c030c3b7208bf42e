/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypervisor's part of every address space: L4 slots 256 to 271, the range that Xen's ABI reserves
 * (HYPERVISOR_VIRT_START .. HYPERVISOR_VIRT_END). Also read by assembly.
 *
 *   256  M2P table, read-only for guests' kernels (ABI: MACH2PHYS_VIRT_START)
 *   260  per-domain windows: GDT and LDT of each vcpu (differs from domain to domain)
 *   261  hypervisor image, CPU areas, frame table, writable M2P, device mappings
 *   262- direct map of all memory, 512 GiB per slot, up to slot 271
 */
#ifndef HW_LAYOUT_H
#define HW_LAYOUT_H

#define HV_L4_FIRST     256
#define HV_L4_LAST      271

#define M2P_RO_BASE     0xffff800000000000
#define PERDOMAIN_BASE  0xffff820000000000
#define IMAGE_BASE      0xffff828040000000 /* virtual address of machine address 0 in the image's own mapping */
#define CPU_AREA_BASE   0xffff82a000000000 /* one area per CPU, see below */
#define DEVICE_BASE     0xffff82c000000000 /* device registers, uncached */
#define DEVICE_SIZE     0x0000001000000000
#define M2P_RW_BASE     0xffff82d000000000
#define FRAMETABLE_BASE 0xffff82e000000000
#define DIRECTMAP_BASE  0xffff830000000000
#define DIRECTMAP_SIZE  0x0000050000000000 /* 5 TiB */
#define HV_VIRT_END     0xffff880000000000

/* Per vcpu: 16 pages of GDT, then 16 pages of LDT. */
#define PERDOMAIN_VCPU_PAGES 32
#define PERDOMAIN_LDT_PAGE   16

#define HV_STACK_SIZE        32768 /* per CPU, naturally aligned; struct cpu_info lies at its top */

/*
 * A CPU's area: page 0 the stack for #DF and #DB, 1 for NMI, 2 for #MC, 3 not mapped, 4 to 7 the stack, with
 * struct cpu_info at the end; 8 the hypervisor's page of the GDT; 9 the TSS; 10 to 15 not mapped.
 */
#define CPU_AREA_SIZE       65536
#define CPU_AREA(cpu)       (CPU_AREA_BASE + CPU_AREA_SIZE * (cpu))
#define CPU_AREA_PAGES      10 /* with the hole */
#define CPU_AREA_GUARD_PAGE 3
#define CPU_AREA_GDT_PAGE   8
#define CPU_AREA_TSS_PAGE   9

/* Hypervisor's own descriptors, in page 14 of every GDT (ABI: FIRST_RESERVED_GDT_PAGE) and in the GDT of a
 * CPU that runs no guest. The selectors of xen/arch-x86/xen-x86_64.h come first. */
#define GDT_HV_OFFSET  0xe000 /* of page 14 in a GDT */
#define HV_CS          0xe008
#define HV_DS          0xe010
#define SEL_RING1_CS32 0xe019 /* FLAT_RING1_*: present for completeness */
#define SEL_RING3_CS32 0xe023 /* FLAT_RING3_CS32 */
#define SEL_RING3_DS   0xe02b /* FLAT_RING3_DS32, FLAT_RING3_SS64 */
#define SEL_RING3_CS64 0xe033 /* FLAT_RING3_CS64 */
#define HV_TSS_SEL     0xe040
#define HV_LDT_SEL     0xe050
#define HV_PERCPU_SEL  0xe060 /* limit holds the CPU number (LSL) */

#endif
