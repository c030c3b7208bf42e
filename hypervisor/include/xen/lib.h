/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The public headers ask the hypervisor for one macro through this name (xen/arch-x86/xen-x86_64.h). */
#ifndef XEN_LIB_H
#define XEN_LIB_H
#define BUG() __builtin_trap()
#endif
