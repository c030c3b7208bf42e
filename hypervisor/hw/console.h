/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Serial port and VGA text, and the ring of what was printed (SYSCTL_readconsole). */
#ifndef HW_CONSOLE_H
#define HW_CONSOLE_H

#include "lib/types.h"

void console_early_init(const char *console_opt, const char *com1_opt);
/* Raw bytes, as a guest's console_io write hands over: to serial, VGA and the ring; newlines as they are. */
void console_write(const char *text, size_t n);
/* Input for dom0: bytes copied, 0 when none. A byte that arrives raises the handler in interrupt context. */
size_t console_read(char *buf, size_t n);
void console_on_input(void (*handler)(void));
/* Ring: copies from *index (a running count; advanced; lost bytes skipped), returns bytes copied. */
uint32_t console_ring_read(char *buf, uint32_t n, uint32_t *index);
void console_ring_clear(void);
/* First of the eight ports of the serial port in use, 0: none. */
uint16_t console_serial_port(void);

void console_late_init(void);   /* VGA and serial through final tables, the ring's final size */
void console_input_init(void);  /* serial input's interrupt */
void console_release_vga(void); /* dom0's from now on */
void console_panic_mode(void);  /* no locks any more */

#endif
