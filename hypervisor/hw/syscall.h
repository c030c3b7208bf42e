/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The CPU's registers for SYSCALL and SYSENTER. */
#ifndef HW_SYSCALL_H
#define HW_SYSCALL_H

/* This CPU's SYSCALL and SYSENTER entries; after traps_init_cpu() has given the CPU its stack. */
void syscall_init_cpu(unsigned cpu);

#endif
