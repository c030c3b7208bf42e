/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the real pv/ needs below and beside it, for tests of it on the real mm/: descriptor registers,
 * segments, MSRs and extended state of fake CPUs that remember what they were told, ports, and domains that
 * have only memory and vcpus.
 */
#ifndef FAKE_PV_H
#define FAKE_PV_H

#include "dom/domain.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "fake.h"

#define FAKE_PV_DOMAINS 3
#define FAKE_MSRS       16

extern struct domain fake_pv_domains[FAKE_PV_DOMAINS];
extern unsigned fake_pv_crashes, fake_pv_faults; /* domain_crash(), pv_inject_page_fault() */
extern uint64_t fake_pv_fault_address;
extern unsigned fake_pv_exception; /* pv_inject_exception() */

struct fake_pv_cpu {
	struct cpu_info info;
	uintptr_t gdt; /* base; 0: the hypervisor's own */
	uint64_t dr[8], cr2, xcr0;
	bool ts;
	unsigned msr_count;
	struct {
		uint32_t number;
		uint64_t value;
	} msr[FAKE_MSRS]; /* writes, the newest ones */
};
extern struct fake_pv_cpu fake_pv_cpus[FAKE_CPUS];

/* Called where the real code may take a fault or a non-maskable interrupt while it changes the address space. */
extern void (*fake_pv_fault_point)(void);
/* Ports read as their own number, complemented; the last one written. */
extern unsigned fake_pv_port, fake_pv_port_reads, fake_pv_port_writes;
extern uint32_t fake_pv_port_value;
extern void (*fake_pv_port_hook)(unsigned port, unsigned width, bool write); /* at each access, or NULL */
extern unsigned fake_pv_msr_touched; /* pv_msr_read() and pv_msr_write() */

/* A domain with its vcpus, 1024 frames allowed. Exits the test when it fails. */
struct domain *fake_pv_domain(unsigned domid, unsigned vcpus);
/* A frame of the domain's; a word of it, stored as the guest might. */
mfn_t fake_pv_frame(struct domain *d);
void fake_pv_store(struct domain *d, mfn_t mfn, unsigned index, uint64_t value);
/* An L4 of the domain's with a tree below it; slot 0 maps nothing but L1 entry 0, to the given frame. */
struct fake_pv_tree {
	mfn_t l1, l2, l3, l4;
};
struct fake_pv_tree fake_pv_tree(struct domain *d, mfn_t leaf, uint64_t leaf_flags);
/* vcpu_switch() from what runs on this CPU; comes back where the real one enters the guest or idles. */
void fake_pv_switch(struct vcpu *prev, struct vcpu *next);
struct vcpu *fake_pv_idle(unsigned cpu);

#endif
