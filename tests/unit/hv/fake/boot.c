/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fake/boot.h */
#include "boot.h"
#include "hw/console.h"
#include "hw/cpu.h"
#include "hw/desc.h"
#include "hw/fpu.h"
#include "hw/mem.h"
#include "hw/segment.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "pv/bounce.h"
#include "pv/cpuid.h"
#include "fake.h"
#include "pv/switch.h"

struct cpu_policy policy_pv_default;
struct memory_region machine_own[24] = { { 0xfec00000, 0xfec01000, 2 }, { 0xfee00000, 0xfee01000, 2 } };
unsigned machine_own_count = 2;
static struct cpu_info infos[FAKE_CPUS];

struct cpu_info *cpu_info(void)
{
	return &infos[this_cpu()];
}

uint16_t console_serial_port(void)
{
	return FAKE_SERIAL_PORT;
}

uint64_t pv_cr4_allowed(const struct domain *d)
{
	(void)d;
	return 0x26;
}

/* Nobody runs here. */
void pv_leave(struct vcpu *v)
{
	panic("vcpu %u leaves", v->id);
}

void pv_enter(struct vcpu *v)
{
	panic("vcpu %u enters", v->id);
}

void pv_stay(struct vcpu *v)
{
	panic("vcpu %u stays", v->id);
}

void pv_inject_exception(struct vcpu *v, unsigned vector, uint32_t error_code)
{
	panic("exception %u for vcpu %u (%x)", vector, v->id, error_code);
}

uint64_t rdmsr(uint32_t msr)
{
	(void)msr;
	return 0;
}

void wrmsr(uint32_t msr, uint64_t value)
{
	(void)msr, (void)value;
}

void dr_write(unsigned n, uint64_t value)
{
	(void)n, (void)value;
}

mfn_t gdt_hv_page(unsigned cpu)
{
	return MFN(0x30 + cpu);
}

void gdt_load(uintptr_t base, unsigned limit)
{
	(void)base, (void)limit;
}

void ldt_load(uintptr_t base, unsigned entries)
{
	(void)base, (void)entries;
}

void swapgs(void)
{
}

void fpu_init_area(void *area)
{
	memset(area, 0, cpu_features.xsave_size);
}

bool fpu_legacy_set(void *area, const void *fxsave)
{
	memcpy(area, fxsave, 512);
	return true;
}

void fpu_legacy_get(const void *area, void *fxsave)
{
	memcpy(fxsave, area, 512);
}

/* ---- free memory ---- */

struct fake_block fake_eaten[FAKE_EATEN_MAX];
unsigned fake_eaten_count;
static void **small; /* objects, a chain of them */

void fake_eat(uint64_t leave, int order)
{
	for (; order >= 0; order--)
		while (fake_eaten_count < FAKE_EATEN_MAX && heap_free_pages() >= leave + (1ull << order)) {
			mfn_t mfn = heap_alloc((unsigned)order, HEAP_NOSCRUB);

			if (mfn_eq(mfn, INVALID_MFN))
				break;
			fake_eaten[fake_eaten_count].first = mfn;
			fake_eaten[fake_eaten_count++].order = (unsigned)order;
		}
}

void fake_eat_small(void)
{
	for (size_t bytes = 2048; bytes >= 16; bytes /= 2)
		for (void **p; (p = hv_alloc(bytes)); small = p)
			*p = small;
}

void fake_give_back(void)
{
	while (small) {
		void **next = *small;

		hv_free(small);
		small = next;
	}
	while (fake_eaten_count) {
		fake_eaten_count--;
		heap_free(fake_eaten[fake_eaten_count].first, fake_eaten[fake_eaten_count].order);
	}
}
