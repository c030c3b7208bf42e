/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ABI's error numbers, by their plain names; a host build has the same values from its C library. */
#ifndef LIB_ERRNO_H
#define LIB_ERRNO_H
#if __STDC_HOSTED__
#include <errno.h>
#else
#define XEN_ERRNO(name, value) name = value,
enum abi_errno {
#include <xen/errno.h>
};
#endif

/* Internal: the operation was preempted and its progress is kept; the caller makes a continuation. Never
 * returned to a guest. */
#define ERESTART_HV 1024
#endif
