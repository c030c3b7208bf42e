/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies between the hypervisor and the memory of the current guest, through its own mappings. Each returns
 * the number of bytes that could not be copied: a fault ends the copy, it never stops the hypervisor.
 * Addresses in the hypervisor's range are refused, non-canonical ones too. (SMAP is opened around the copy.)
 *
 * Guest data is copied once, the copy is validated, the copy is used.
 */
#ifndef HW_UACCESS_H
#define HW_UACCESS_H

#include "lib/errno.h"
#include "lib/types.h"
#include <xen/xen.h>

size_t guest_copy_in(void *dst, gva_t src, size_t n) __must_check;
size_t guest_copy_out(gva_t dst, const void *src, size_t n) __must_check;
size_t guest_clear(gva_t dst, size_t n) __must_check;
/* Whether [a, a + n) lies outside of the hypervisor's range and is canonical. */
bool guest_range_ok(gva_t a, size_t n);

/* Typed access through the ABI's handles: element index of the array that the handle points to. 0 or -EFAULT. */
#define handle_gva(h)     GVA((uintptr_t)(h).p)
#define handle_is_null(h) ((h).p == NULL)
#define copy_from_handle(dst, h, index, count)                                            \
	(guest_copy_in((dst), GVA((uintptr_t)(h).p + (uint64_t)(index) * sizeof(*(h).p)), \
	               (size_t)(count) * sizeof(*(h).p) + 0 * sizeof((dst) == (h).p))     \
	         ? -EFAULT                                                                \
	         : 0)
#define copy_to_handle(h, index, src, count)                                               \
	(guest_copy_out(GVA((uintptr_t)(h).p + (uint64_t)(index) * sizeof(*(h).p)), (src), \
	                (size_t)(count) * sizeof(*(h).p))                                  \
	         ? -EFAULT                                                                 \
	         : 0)

#endif
