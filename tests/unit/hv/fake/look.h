/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Knobs of look.c. Addresses 0xc0de00 to 0xc0deff have the name fake_symbol. */
#ifndef FAKE_LOOK_H
#define FAKE_LOOK_H

#include "fake.h"

extern struct cpu_user_regs look_regs[FAKE_CPUS]; /* what an NMI interrupts */
extern cpumask_t look_deaf;                       /* CPUs that do not answer */

#endif
