/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A paravirtual guest's view of the processor: trap frames, descriptors, address space, privileged instructions.
 */
#ifndef PV_PV_H
#define PV_PV_H

#include "dom/domain.h"

/* ---- address.c: CR3, GDT and LDT of the running vcpu ---- */
/* Loads the tables of the current vcpu for the mode it is in (v->pv.kernel_mode) after l4_kernel or l4_user
 * changed. Flushes non-global translations. */
void pv_load_address_space(struct vcpu *v);
/* Kernel <-> user mode of a 64-bit guest: other L4, swapped GS. */
void pv_toggle_mode(struct vcpu *v);
/* MMUEXT_SET_LDT and set_gdt; v current or paused. Frames are typed as descriptors, old ones released. 0 or -EINVAL. */
int pv_set_ldt(struct vcpu *v, gva_t base, unsigned entries) __must_check;
int pv_set_gdt(struct vcpu *v, const uint64_t *mfns, unsigned entries) __must_check;
void pv_release_descriptors(struct vcpu *v);

/* ---- bounce.c ---- */
/* Arranges an exception frame on the guest kernel's stack; the exit path carries it out. */
void pv_inject_exception(struct vcpu *v, unsigned vector, uint32_t error_code);
void pv_inject_page_fault(struct vcpu *v, gva_t cr2, uint32_t error_code);

#endif
