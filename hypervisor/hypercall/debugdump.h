/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What debug keys show (hypercall/debugkeys.c has the keys). */
#ifndef HYPERCALL_DEBUGDUMP_H
#define HYPERCALL_DEBUGDUMP_H

/* Lines that the next ones may write to the console; each has a title besides, and a last line where some are left out.
 * domctl_lock is held; no guest is stopped, so what is shown may change meanwhile. */
void dump_allow(unsigned lines);

void dump_dom0_registers(void);
void dump_cpu_registers(void);
void dump_event_channels(void);
void dump_grants(void);
void dump_heap(void);
void dump_interrupts(void);
void dump_msi(void);
void dump_memory(void);
void dump_nodes(void);
void dump_domains(void);
void dump_run_queues(void);
void dump_clocks(void);
void dump_timers(void);
void dump_ioapics(void);
void dump_idle_states(void);

#endif
