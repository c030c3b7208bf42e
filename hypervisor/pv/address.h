/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CR3, GDT and LDT of PV guests. */
#ifndef PV_ADDRESS_H
#define PV_ADDRESS_H

#include "dom/domain.h"
#include "lib/types.h"

/* Bring-up, where any domain may use xpti: the pages for a CPU's reduced tables. A switch cannot allocate. */
void pv_address_init(unsigned cpu);
/* Loads the tables of the current vcpu for the mode it is in (v->pv.kernel_mode) after l4_kernel or l4_user
 * changed. Flushes non-global translations. */
void pv_load_address_space(struct vcpu *v);
/* What the fast path may load for the two modes of v, which is current, after its L4s changed. */
void pv_fastpath_tables(const struct vcpu *v);
/* Kernel <-> user mode of a 64-bit guest: other L4, swapped GS. */
void pv_toggle_mode(struct vcpu *v);
/* Copies from the current vcpu's kernel, also while its user mode runs. Bytes not copied. */
size_t pv_kernel_copy_in(struct vcpu *v, void *dst, gva_t src, size_t n) __must_check;
/* An L4 entry of the current vcpu's domain may have changed elsewhere, or its first linear one is awaited: true when
 * this CPU's copies of its tables (xpti, linear_l4) were old or not in use, and have been loaded anew. */
bool pv_refresh_copies(struct vcpu *v);
/* MMUEXT_SET_LDT and set_gdt; v current or paused. Frames are typed as descriptors, old ones released. 0 or
 * -EINVAL. All pages of an LDT must be mapped at the time of the call. */
int pv_set_ldt(struct vcpu *v, gva_t base, unsigned entries) __must_check;
int pv_set_gdt(struct vcpu *v, const uint64_t *mfns, unsigned entries) __must_check;
void pv_release_descriptors(struct vcpu *v);
/* This CPU's GDT and LDT registers for the vcpu that is being switched in. */
void pv_load_descriptors(struct vcpu *v);

#endif
