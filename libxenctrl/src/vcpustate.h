/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Private: what a stream holds of a vcpu beside its registers, and of a domain's processor; as the hypervisor gives it. */
#ifndef XYLEM_LIBXENCTRL_VCPUSTATE_H
#define XYLEM_LIBXENCTRL_VCPUSTATE_H

#include "private.h"

#define VCPUSTATE_BYTES_MAX 65536u /* of one piece */

/* Bytes of the hypervisor's that are passed on; memory of malloc(), or NULL when there is none. */
struct blob {
	void *data;
	size_t bytes;
};

XYL_HIDDEN void blob_free(struct blob *b);

/* Each fills *out, empty where the vcpu has no such state. */
XYL_HIDDEN int vcpustate_get_extended(struct xyl *x, uint32_t domid, uint32_t vcpu,
                                      struct blob *out) XYL_MUST_USE;
XYL_HIDDEN int vcpustate_get_xsave(struct xyl *x, uint32_t domid, uint32_t vcpu,
                                   struct blob *out) XYL_MUST_USE;
XYL_HIDDEN int vcpustate_get_msrs(struct xyl *x, uint32_t domid, uint32_t vcpu,
                                  struct blob *out) XYL_MUST_USE;
/* The blobs are those of a stream, of the lengths that streamcheck.c allows. */
XYL_HIDDEN int vcpustate_set_extended(struct xyl *x, uint32_t domid, uint32_t vcpu,
                                      const struct blob *b) XYL_MUST_USE;
XYL_HIDDEN int vcpustate_set_xsave(struct xyl *x, uint32_t domid, uint32_t vcpu,
                                   const struct blob *b) XYL_MUST_USE;
XYL_HIDDEN int vcpustate_set_msrs(struct xyl *x, uint32_t domid, uint32_t vcpu,
                                  const struct blob *b) XYL_MUST_USE;

/* What the domain sees of CPUID (an array of xen_cpuid_leaf_t) and of MSRs (of xen_msr_entry_t). */
XYL_HIDDEN int vcpustate_get_policy(struct xyl *x, uint32_t domid, struct blob *cpuid,
                                    struct blob *msrs) XYL_MUST_USE;
XYL_HIDDEN int vcpustate_set_policy(struct xyl *x, uint32_t domid, const struct blob *cpuid,
                                    const struct blob *msrs) XYL_MUST_USE;

#endif
