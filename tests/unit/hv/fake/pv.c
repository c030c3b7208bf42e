/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fake/pv.h: the CPU's registers, and the layers beside pv/. */
#include "pv.h"
#include "dom/sched.h"
#include "dom/switch.h"
#include "dom/vcpu.h"
#include "hw/pci.h"
#include "hw/upward.h"
#include "hw/desc.h"
#include "hw/fpu.h"
#include "hw/segment.h"
#include "hw/spec.h"
#include "mm/pagetable.h"
#include "mm/ptype.h"
#include "pv/vcpu.h"
#include <setjmp.h>

struct domain fake_pv_domains[FAKE_PV_DOMAINS];
struct fake_pv_cpu fake_pv_cpus[FAKE_CPUS];
unsigned fake_pv_crashes, fake_pv_faults;
uint64_t fake_pv_fault_address;
unsigned fake_pv_exception;
void (*fake_pv_fault_point)(void);
unsigned fake_pv_port, fake_pv_port_reads, fake_pv_port_writes;
uint32_t fake_pv_port_value;
void (*fake_pv_port_hook)(unsigned port, unsigned width, bool write);
unsigned fake_pv_msr_touched;

static struct vcpu idle_vcpus[FAKE_CPUS];
static struct domain idle_domain;
static jmp_buf entered;

/* ---- the CPU ---- */

struct cpu_info *cpu_info(void)
{
	return &fake_pv_cpus[this_cpu()].info;
}

void cpu_set_current(struct vcpu *v)
{
	cpu_info()->current = v;
	fake_set_vcpu(v);
}

uint64_t cr2_read(void)
{
	return fake_pv_cpus[this_cpu()].cr2;
}

uint64_t cr4_read(void)
{
	return 0x20;
}

void cr4_write(uint64_t value)
{
	(void)value;
}

uint64_t rdtsc(void)
{
	return 0x123456789abcdef0;
}

uint32_t trace_who(void)
{
	return current_domain()->domid;
}

void dr_write(unsigned n, uint64_t value)
{
	fake_pv_cpus[this_cpu()].dr[n] = value;
}

uint64_t rdmsr(uint32_t msr)
{
	(void)msr;
	return 0;
}

void wrmsr(uint32_t msr, uint64_t value)
{
	struct fake_pv_cpu *c = &fake_pv_cpus[this_cpu()];
	unsigned n = c->msr_count++ % FAKE_MSRS;

	c->msr[n].number = msr;
	c->msr[n].value = value;
}

void cpu_halt(void)
{
}

mfn_t gdt_hv_page(unsigned cpu)
{
	return MFN(0x30 + cpu);
}

void gdt_load(uintptr_t base, unsigned limit)
{
	(void)limit;
	fake_pv_cpus[this_cpu()].gdt = base;
}

void gdt_load_hv(void)
{
	fake_pv_cpus[this_cpu()].gdt = 0;
}

void ldt_load(uintptr_t base, unsigned entries)
{
	(void)base;
	(void)entries;
}

#define SEGMENT(name)                                 \
	uint16_t segment_##name(void)                 \
	{                                             \
		return 0;                             \
	}                                             \
	bool segment_##name##_load(uint16_t selector) \
	{                                             \
		return selector < 0xf000;             \
	}
SEGMENT(ds)
SEGMENT(es)
SEGMENT(fs)
SEGMENT(gs)

void swapgs(void)
{
}

void fpu_save(void *area, uint64_t xcr0)
{
	(void)area;
	(void)xcr0;
}

void fpu_restore(const void *area, uint64_t xcr0)
{
	(void)area;
	(void)xcr0;
}

void fpu_xcr0_load(uint64_t xcr0)
{
	fake_pv_cpus[this_cpu()].xcr0 = xcr0;
}

void fpu_stts(bool ts)
{
	fake_pv_cpus[this_cpu()].ts = ts;
}

bool segment_attributes(uint16_t selector, uint32_t *attributes)
{
	*attributes = selector == SEL_RING3_CS32 ? 0xcffb00 : 0xaffb00;
	return selector;
}

uint64_t dr6_take(void)
{
	uint64_t value = fake_pv_cpus[this_cpu()].dr[6];

	fake_pv_cpus[this_cpu()].dr[6] = 0xffff0ff0;
	return value;
}

/* ---- ports ---- */

uint32_t port_in(uint16_t port, unsigned width)
{
	if (fake_pv_port_hook)
		fake_pv_port_hook(port, width, false);
	fake_pv_port_reads++;
	fake_pv_port = port;
	return (uint32_t)(~(uint64_t)port & (0xffffffffull >> (32 - 8 * width)));
}

void port_out(uint16_t port, unsigned width, uint32_t value)
{
	if (fake_pv_port_hook)
		fake_pv_port_hook(port, width, true);
	fake_pv_port_writes++;
	fake_pv_port = port;
	fake_pv_port_value = value;
}

uint32_t pci_read(uint16_t segment, uint8_t bus, uint8_t devfn, unsigned reg, unsigned bytes)
{
	(void)segment;
	(void)bus;
	(void)devfn;
	return reg + bytes;
}

void pci_write(uint16_t segment, uint8_t bus, uint8_t devfn, unsigned reg, unsigned bytes, uint32_t value)
{
	(void)segment;
	(void)bus;
	(void)devfn;
	(void)reg;
	(void)bytes;
	(void)value;
}

/* ---- beside pv/ ---- */

void vcpu_block(void)
{
}

void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *out)
{
	*out = v->runstate;
}

bool vcpu_time_stale(const struct vcpu *v)
{
	(void)v;
	return false;
}

void vcpu_time_update(struct vcpu *v, bool force)
{
	(void)v;
	(void)force;
	if (fake_pv_fault_point)
		fake_pv_fault_point();
}

void domain_crash(struct domain *d, const char *fmt, ...)
{
	(void)d;
	(void)fmt;
	fake_pv_crashes++;
}

void mm_owner_hold(struct domain_mm *mm)
{
	(void)mm;
}

void mm_owner_drop(struct domain_mm *mm)
{
	(void)mm;
}

void mm_domain_crash(struct domain_mm *mm, const char *reason)
{
	(void)mm;
	(void)reason;
	fake_pv_crashes++;
}

/* ---- domains ---- */

struct domain *fake_pv_domain(unsigned domid, unsigned vcpus)
{
	struct domain *d = &fake_pv_domains[domid];
	static struct shared_info shared[FAKE_PV_DOMAINS];
	static struct vcpu v[FAKE_PV_DOMAINS][4];

	memset(d, 0, sizeof(*d));
	d->domid = (uint16_t)domid;
	d->privileged = !domid;
	d->lock = SPINLOCK(RANK_DOMAIN);
	d->kind = &pv_guest;
	d->max_vcpus = vcpus;
	d->shared_info = &shared[domid];
	domain_mm_init(&d->mm, (uint16_t)domid, !domid);
	d->mm.max_pages = 1024;
	for (unsigned i = 0; i < vcpus; i++) {
		d->vcpus[i] = &v[domid][i];
		memset(d->vcpus[i], 0, sizeof(*d->vcpus[i]));
		d->vcpus[i]->id = i;
		d->vcpus[i]->domain = d;
		d->vcpus[i]->info = &shared[domid].vcpu_info[i];
		if (pv_guest.vcpu_create(d->vcpus[i]))
			abort();
	}
	return d;
}

mfn_t fake_pv_frame(struct domain *d)
{
	mfn_t mfn = INVALID_MFN;

	if (domain_frame_alloc(&d->mm, 0, 0, &mfn))
		abort();
	return mfn;
}

void fake_pv_store(struct domain *d, mfn_t mfn, unsigned index, uint64_t value)
{
	if (frame_get_type(mfn, &d->mm, PTYPE_WRITABLE))
		abort();
	((uint64_t *)mfn_map_own(mfn))[index] = value;
	frame_put_type(mfn);
}

struct fake_pv_tree fake_pv_tree(struct domain *d, mfn_t leaf, uint64_t leaf_flags)
{
	const uint64_t link = PTE_P | PTE_RW | PTE_US | PTE_A;
	struct fake_pv_tree t;

	t.l1 = fake_pv_frame(d);
	t.l2 = fake_pv_frame(d);
	t.l3 = fake_pv_frame(d);
	t.l4 = fake_pv_frame(d);
	fake_pv_store(d, t.l1, 0, leaf.m << PAGE_SHIFT | leaf_flags);
	fake_pv_store(d, t.l2, 0, t.l1.m << PAGE_SHIFT | link);
	fake_pv_store(d, t.l3, 0, t.l2.m << PAGE_SHIFT | link);
	fake_pv_store(d, t.l4, 0, t.l3.m << PAGE_SHIFT | link);
	return t;
}

struct vcpu *fake_pv_idle(unsigned cpu)
{
	idle_vcpus[cpu].is_idle = true;
	idle_vcpus[cpu].domain = &idle_domain;
	return &idle_vcpus[cpu];
}

void exit_to_guest(void)
{
	longjmp(entered, 1);
}

void stack_reset_and_call(void (*fn)(void))
{
	(void)fn;
	longjmp(entered, 1);
}

void fake_pv_switch(struct vcpu *prev, struct vcpu *next)
{
	if (!setjmp(entered))
		vcpu_switch(prev, next);
}
