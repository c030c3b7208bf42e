/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Trace records of what the current vcpu entered for; while trace_on(). */
#ifndef PV_TRACE_H
#define PV_TRACE_H

#include "hw/trace.h"
#include "lib/types.h"

/* TRC_PV_HYPERCALL_V2 or _SUBCALL. args: the first five at least, of calls whose arguments are recorded. */
__trace void pv_trace_hypercall(uint32_t event, uint64_t number, const uint64_t *args);
__trace void pv_trace_trap(unsigned vector, bool has_error_code, uint32_t error_code);
__trace void pv_trace_page_fault(gva_t cr2, uint32_t error_code);
__trace void pv_trace_address(uint32_t event, uint64_t address);
__trace void pv_trace_addresses(uint32_t event, uint64_t first, uint64_t second);
__trace void pv_trace_table_write(gva_t va, uint64_t entry);

#endif
