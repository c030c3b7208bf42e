/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of domctl and sysctl share. */
#ifndef HYPERCALL_DOMCTL_H
#define HYPERCALL_DOMCTL_H

#include "hypercall/hypercall.h"
#include "pv/cpuid.h"
#include <xen/domctl.h>
#include <xen/sysctl.h>

/* One toolstack operation at a time. Taken by trylock, the call is made again otherwise: its holder may be
 * waiting for the vcpu that asks to leave its CPU. */
extern spinlock_t domctl_lock;

/* How far a list came that is continued stands in its cmd, above the command, where none has bits. */
#define CMD_BITS 16
#define CMD_MASK ((1u << CMD_BITS) - 1)

void domctl_info(struct domain *d, struct xen_domctl_getdomaininfo *info);

/* The toolstack's bitmaps: any length on its side; bits beyond ours are dropped (in) or zero (out). 0 or -EFAULT. */
int bitmap_in(cpumask_t *mask, const struct xenctl_bitmap *map) __must_check;
int bitmap_out(const struct xenctl_bitmap *map, const cpumask_t *mask) __must_check;

/* Copies a policy's leaves and MSRs into the toolstack's arrays; a null array asks for the largest count
 * there is. 0, -ENOBUFS, -EFAULT. */
int policy_out(const struct cpu_policy *p, XEN_GUEST_HANDLE_64(xen_cpuid_leaf_t) leaves, uint32_t *leaf_count,
               XEN_GUEST_HANDLE_64(xen_msr_entry_t) msrs, uint32_t *msr_count) __must_check;

/* domctl_vcpu.c: those that name a vcpu. *out: the operation is to be copied back. */
int domctl_vcpu(struct domain *d, struct xen_domctl *op, bool *out) __must_check;
/* domctl_vcpustate.c: what a vcpu has besides its context. */
int domctl_vcpustate(struct domain *d, struct xen_domctl *op, bool *out) __must_check;
/* domctl_frames.c: XEN_DOMCTL_getpageframeinfo3 and XYLEM_DOMCTL_copy_frames, which are continued by what stands in cmd. */
bool domctl_is_of_frames(uint32_t cmd);
int domctl_frames(struct domain *d, struct xen_domctl *op) __must_check;
/* domctl_access.c: rights to the machine, and what the domain sees of the processor and its clock. */
int domctl_access(struct domain *d, struct xen_domctl *op, bool *out) __must_check;
/* domctl_shadow.c: XEN_DOMCTL_shadow_op. */
int domctl_shadow(struct domain *d, struct xen_domctl_shadow_op *op, bool *out) __must_check;

#endif
