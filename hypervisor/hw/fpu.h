/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FPU and extended state. Eager: saved and restored at each switch between vcpus; never in use by the
 * hypervisor itself but in boot's decompressors. */
#ifndef HW_FPU_H
#define HW_FPU_H

#include "lib/types.h"

/* area: 64-byte aligned, cpu_features.xsave_size bytes; xcr0: the guest's (1 | SSE | ...), validated. */
void fpu_save(void *area, uint64_t xcr0);
void fpu_restore(const void *area, uint64_t xcr0);
/* ---- fpu_area.c ---- */
#define FPU_FCW_INITIAL   0x37f
#define FPU_MXCSR_INITIAL 0x1f80
#define FPU_MXCSR_OFFSET  24
/* Fills an area with the processor's initial state. */
void fpu_init_area(void *area);
/* The components that an area has, or that its vcpu may turn on again: a value that XCR0 could have. */
uint64_t fpu_area_components(const void *area, uint64_t xcr0);
/*
 * Whether a toolstack's area of such components (fpu_xcr0_check()) can be restored without a fault: 0; -EINVAL it has
 * others or MXCSR has bits that the processor does not know, -EOPNOTSUPP compacted format, -EIO reserved words are set.
 */
int fpu_area_check(const void *area, uint64_t components) __must_check;
/* x87 and SSE state from and to the 512 bytes of FXSAVE, as a vcpu context holds it; what else there is
 * becomes, or is left out as, the initial state. False: MXCSR has bits that the processor does not know, all
 * is initial then. */
bool fpu_legacy_set(void *area, const void *fxsave);
void fpu_legacy_get(const void *area, void *fxsave);
void fpu_xcr0_load(uint64_t xcr0); /* XSETBV of a checked value */
/* 0 or -EINVAL: whether XSETBV(0) may take this value (SDM Vol. 1, 13.3). */
int fpu_xcr0_check(uint64_t xcr0) __must_check;
void fpu_stts(bool ts); /* CR0.TS as the guest sees it */

void fpu_init_cpu(void);
extern uint32_t fpu_mxcsr_mask; /* bits of MXCSR that exist; fpu_area.c */

#endif
