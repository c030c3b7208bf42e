/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the other CPUs are doing at this moment, asked by NMI: for a person who looks for what hangs. */
#ifndef HW_SNAPSHOT_H
#define HW_SNAPSHOT_H

#include "lib/types.h"
#include <xen/xen.h>

#define SNAPSHOT_CALLERS 12

struct cpu_snapshot {
	struct cpu_user_regs regs;
	/* What looks like return addresses, when it was in the hypervisor. */
	uint64_t callers[SNAPSHOT_CALLERS];
	unsigned caller_count;
	bool taken; /* false: it did not answer in time */
};

/* One at a time (the caller sees to it); with interrupts on. [NR_CPUS], good until the next call; the caller's own CPU is
 * not in it. */
const struct cpu_snapshot *cpus_snapshot(void);
/* From the NMI's handler; there may be other reasons for the same NMI. */
void snapshot_nmi(const struct cpu_user_regs *regs);
/* Names an address: "function+0x12", or the number alone. */
const char *address_name(uint64_t address, char *buf, size_t size);

#endif
