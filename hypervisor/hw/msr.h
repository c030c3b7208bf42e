/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Model-specific registers and control register bits that the hardware layer uses (SDM Vol. 4, APM Vol. 2). */
#ifndef HW_MSR_H
#define HW_MSR_H

#define MSR_APIC_BASE     0x1b
#define APIC_BASE_BSP     (1ull << 8)
#define APIC_BASE_X2APIC  (1ull << 10)
#define APIC_BASE_ENABLE  (1ull << 11)
#define MSR_SPEC_CTRL     0x48
#define MSR_PRED_CMD      0x49
#define MSR_ARCH_CAPS     0x10a
#define MSR_PLATFORM_INFO 0xce
#define MSR_PAT           0x277
#define MSR_MISC_FEATURES 0x140
#define MISC_CPUID_FAULT  (1ull << 0) /* outside of ring 0, as HWCR's */
#define MSR_AMD_HWCR      0xc0010015
#define HWCR_CPUID_FAULT  (1ull << 35)
#define MSR_MCG_CAP       0x179
#define MSR_MCG_STATUS    0x17a
#define MSR_MC0_STATUS    0x401
#define MSR_MC0_ADDR      0x402
#define MSR_TSC_DEADLINE  0x6e0
#define MSR_X2APIC        0x800
#define MSR_EFER          0xc0000080
#define EFER_SCE          (1ull << 0)
#define EFER_LME          (1ull << 8)
#define EFER_NXE          (1ull << 11)
#define MSR_GS_BASE       0xc0000101
#define MSR_FS_BASE       0xc0000100

/* The entries that Linux expects of a PV host: WB, WT, UC-, UC, WC, WP, UC, UC. */
#define PAT_VALUE      0x0000050100070406ull

#define CR0_TS         (1ull << 3)
#define CR4_DE         (1ull << 3)
#define CR4_PAE        (1ull << 5)
#define CR4_MCE        (1ull << 6)
#define CR4_PGE        (1ull << 7)
#define CR4_OSFXSR     (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define CR4_UMIP       (1ull << 11)
#define CR4_OSXSAVE    (1ull << 18)
#define CR4_SMEP       (1ull << 20)
#define CR4_SMAP       (1ull << 21)

#endif
