/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reboot, power-off and the ACPI registers behind them. */
#ifndef HW_POWER_H
#define HW_POWER_H
#include "lib/types.h"
/* Both stop the other CPUs first; never return. noreboot turns a reboot after a panic into a halt. */
void machine_reboot(void) __noreturn;
void machine_halt(void) __noreturn;
/* XENPF_enter_acpi_sleep, S5 only: writes the values that dom0's interpreter of \_S5 found. 0 or -EINVAL. */
int acpi_enter_s5(uint16_t pm1a_value, uint16_t pm1b_value) __must_check;
#endif
