/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the hypervisor ends: the rest of it, besides panic() in lib/log.h. */
#ifndef HW_PANIC_H
#define HW_PANIC_H

#include "lib/types.h"
#include <xen/xen.h>

void regs_print(const struct cpu_user_regs *regs);
void panic_with(struct cpu_user_regs *regs, const char *fmt, ...) __printf(2, 3) __noreturn;
/* Tells about the current domain and vcpu in a panic; boot/ sets it. */
extern void (*panic_describe)(void);

#endif
