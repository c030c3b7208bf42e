/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trace records of a paravirtual vcpu's entries into the hypervisor (xen/trace.h: TRC_PV_*), in the form for 64-bit
 * addresses. Called where tracing is on. The register frame is that of the current vcpu's entry.
 */
#include "pv/trace.h"
#include "hw/cpu.h"
#include "hw/trace.h"

#define LOW(x)  ((uint32_t)(x))
#define HIGH(x) ((uint32_t)((x) >> 32))

/* Which arguments of a call are recorded, 32 bits each: those that tell what it is about. */
static unsigned recorded_args(uint64_t number)
{
	switch (number) {
	case __HYPERVISOR_mmu_update:
	case __HYPERVISOR_mmuext_op:
	case __HYPERVISOR_multicall:
		return 1u << 1; /* count */
	case __HYPERVISOR_grant_table_op:
		return 1u << 0 | 1u << 2; /* command, count */
	case __HYPERVISOR_vcpu_op:
		return 1u << 0 | 1u << 1; /* command, vcpu */
	case __HYPERVISOR_sched_op:
		return 1u << 0; /* command */
	}
	return 0;
}

void pv_trace_hypercall(uint32_t event, uint64_t number, const uint64_t *args)
{
	/* A number that no call has must not reach into the bits that tell which arguments follow. */
	uint64_t known = MIN(number, (uint64_t)(uint32_t)~TRC_PV_HYPERCALL_V2_ARG_MASK);
	uint32_t words[3] = { LOW(known) };
	unsigned which = recorded_args(number), n = 1;

	for (unsigned i = 0; which >> i; i++) {
		if (!(which >> i & 1))
			continue;
		words[0] |= (uint32_t)TRC_PV_HYPERCALL_V2_ARG_32(i);
		words[n++] = LOW(args[i]);
	}
	trace_record(event, true, words, n);
}

void pv_trace_trap(unsigned vector, bool has_error_code, uint32_t error_code)
{
	uint64_t rip = cpu_info()->regs.rip;

	TRACE(TRC_PV_TRAP | TRC_64_FLAG, LOW(rip), HIGH(rip),
	      vector | (has_error_code ? 1u << 15 | error_code << 16 : 0));
}

void pv_trace_page_fault(gva_t cr2, uint32_t error_code)
{
	uint64_t rip = cpu_info()->regs.rip;

	TRACE(TRC_PV_PAGE_FAULT | TRC_64_FLAG, LOW(rip), HIGH(rip), LOW(cr2.v), HIGH(cr2.v), error_code);
}

void pv_trace_address(uint32_t event, uint64_t address)
{
	TRACE(event | TRC_64_FLAG, LOW(address), HIGH(address));
}

void pv_trace_addresses(uint32_t event, uint64_t first, uint64_t second)
{
	TRACE(event | TRC_64_FLAG, LOW(first), HIGH(first), LOW(second), HIGH(second));
}

void pv_trace_table_write(gva_t va, uint64_t entry)
{
	uint64_t rip = cpu_info()->regs.rip;

	TRACE(TRC_PV_PTWR_EMULATION | TRC_64_FLAG, LOW(entry), HIGH(entry), LOW(va.v), HIGH(va.v), LOW(rip),
	      HIGH(rip));
}
