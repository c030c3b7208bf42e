/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records all events of the hypervisor in a trace buffer, and tells how many bytes of records came: dom0 with one CPU. */
#ifndef XYLEM_BENCH_TRACING_H
#define XYLEM_BENCH_TRACING_H

#include <stdint.h>

/* From here on all is recorded. Ends the program if the hypervisor cannot. */
void tracing_start(void);

/* As a reader that has read everything. */
void tracing_forget(void);

/* Bytes of records since then. Ends the program if the buffer was full, so that records may be lost. */
uint32_t tracing_bytes(void);

#endif
