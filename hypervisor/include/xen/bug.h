/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The public headers ask the hypervisor for one macro through this name (xen/hvm/save.h of 4.20; xen/lib.h is where 4.17 has it). */
#ifndef XEN_BUG_H
#define XEN_BUG_H
#define BUG() __builtin_trap()
#endif
