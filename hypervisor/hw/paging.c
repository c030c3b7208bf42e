/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypervisor's own tables. Text is read-only, all else is not executable; the direct map covers RAM and
 * the first MiB, so that no device's registers are ever cached through it. The device window's tables are made here as well;
 * what is in them is device_map.c's.
 */
#include "hw/paging.h"
#include "hw/bootmem.h"
#include "hw/device_map.h"
#include "hw/lock.h"
#include "hw/mem.h"
#include "hw/tlb.h"
#include "hw/upward.h"
#include "lib/log.h"
#include "lib/string.h"

#define PTE_ADDR_MASK 0x000ffffffffff000ull

_Static_assert(DEVICE_BASE - CPU_AREA_BASE >= NR_CPUS * CPU_AREA_SIZE, "an area for each CPU");
_Static_assert(DEVICE_END <= DEVICE_SIZE && DEVICE_BASE + DEVICE_SIZE <= M2P_RW_BASE,
               "the window of devices");

extern char text_start[], text_end[], rodata_end[], image_start[], image_end[];

static uint64_t hv_l4[512] __aligned_to(4096);

mfn_t mfn_of(const void *direct_map_va)
{
	return MFN(((uintptr_t)direct_map_va - DIRECTMAP_BASE) >> PAGE_SHIFT);
}

static mfn_t image_mfn(const void *va)
{
	return MFN(((uintptr_t)va - IMAGE_BASE) >> PAGE_SHIFT);
}

void text_write(void *at, const uint8_t *bytes, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint8_t *page =
		        mfn_map_own(image_mfn((uint8_t *)at + i)); /* text itself is mapped read-only */

		WRITE_ONCE(page[((uintptr_t)at + i) % PAGE_SIZE], bytes[i]);
	}
}

mfn_t hv_l4_mfn(void)
{
	return image_mfn(hv_l4);
}

static uint64_t *new_table(mfn_t *mfn)
{
	*mfn = boot_alloc(1, 1);
	memset(mfn_map_own(*mfn), 0, PAGE_SIZE);
	return mfn_map_own(*mfn);
}

/* The table that entry names, made when there is none. The flags of upper levels permit all that the lowest may. */
static uint64_t *table_below(uint64_t *entry, uint64_t flags)
{
	if (!(*entry & HV_PTE_P)) {
		mfn_t mfn;

		new_table(&mfn);
		*entry = mfn_to_maddr(mfn).a | HV_PTE_P | HV_PTE_RW;
	}
	/* A mapping for guests needs the user bit on all levels; what they see is decided at the lowest. */
	*entry |= flags & HV_PTE_US;
	return mfn_map_own(maddr_to_mfn(MADDR(*entry & PTE_ADDR_MASK)));
}

static unsigned index_of(uintptr_t va, unsigned level)
{
	return va >> (12 + 9 * (level - 1)) & 511;
}

/* Maps one page of the largest size that fits; returns how many frames it covers. */
static uint64_t map_one(uint64_t *l4, uintptr_t va, uint64_t mfn, uint64_t pages, uint64_t flags)
{
	uint64_t *table = table_below(&l4[index_of(va, 4)], flags);
	unsigned level = 3;

	for (;; level--) {
		uint64_t span = 1ull << (9 * (level - 1));
		uint64_t *entry = &table[index_of(va, level)];
		bool size_ok = level == 1 || level == 2 || cpu_features.page1gb;

		if (size_ok && pages >= span && !((va >> PAGE_SHIFT | mfn) & (span - 1)) &&
		    !(*entry & HV_PTE_P)) {
			*entry = mfn << PAGE_SHIFT | flags | (level > 1 ? HV_PTE_PSE : 0);
			return span;
		}
		CHECK(level > 1 && !(*entry & HV_PTE_PSE));
		table = table_below(entry, flags);
	}
}

static void map_in(uint64_t *l4, uintptr_t va, mfn_t mfn, uint64_t pages, uint64_t flags)
{
	flags |= HV_PTE_P;
	if (!cpu_features.nx)
		flags &= ~HV_PTE_NX;
	while (pages) {
		uint64_t done = map_one(l4, va, mfn.m, pages, flags);

		va += done << PAGE_SHIFT;
		mfn = mfn_add(mfn, done);
		pages -= done;
	}
}

uint64_t *hv_entry(uintptr_t va, unsigned level)
{
	uint64_t *table = hv_l4;

	for (unsigned l = 4; l > level; l--)
		table = mfn_map_own(maddr_to_mfn(MADDR(table[index_of(va, l)] & PTE_ADDR_MASK)));
	return &table[index_of(va, level)];
}

void hv_map(uintptr_t va, mfn_t mfn, uint64_t pages, uint64_t flags)
{
	map_in(hv_l4, va, mfn, pages, flags);
}

static void map_image_part(const char *from, const char *to, uint64_t flags)
{
	hv_map((uintptr_t)from, image_mfn(from), (uint64_t)(to - from) >> PAGE_SHIFT, flags | HV_PTE_G);
}

static void map_memory(void)
{
	/* The first MiB for the trampoline and the firmware's tables. */
	hv_map(DIRECTMAP_BASE, MFN(0), 256, HV_PTE_RW | HV_PTE_NX | HV_PTE_G);
	for (unsigned i = 0; i < memory_map_count; i++) {
		uint64_t first = (memory_map[i].start + PAGE_SIZE - 1) >> PAGE_SHIFT,
		         end = memory_map[i].end >> PAGE_SHIFT;

		first = MAX(first, 256ull);
		if (memory_map[i].type == 1 && first < end)
			hv_map(DIRECTMAP_BASE + (first << PAGE_SHIFT), MFN(first), end - first,
			       HV_PTE_RW | HV_PTE_NX | HV_PTE_G);
	}
}

static void make_device_tables(void)
{
	uint64_t *l3 = table_below(&hv_l4[index_of(DEVICE_BASE, 4)], 0);

	for (uint64_t offset = 0; offset < DEVICE_END; offset += 1ull << 30) {
		uint64_t *l2 = table_below(&l3[index_of(DEVICE_BASE + offset, 3)], 0);

		for (uint64_t small = offset; small < MIN(DEVICE_SMALL, offset + (1ull << 30));
		     small += 1ull << 21)
			(void)table_below(&l2[index_of(DEVICE_BASE + small, 2)], 0);
	}
}

void paging_init(void)
{
	map_image_part(text_start, text_end, 0);
	map_image_part(text_end, rodata_end, HV_PTE_NX);
	map_image_part(rodata_end, image_end, HV_PTE_RW | HV_PTE_NX);
	map_memory();
	make_device_tables();
	/* Tables for all of the hypervisor's slots exist before any other L4 copies them; slot 260 is each
	 * domain's own. */
	for (unsigned slot = HV_L4_FIRST; slot <= HV_L4_LAST; slot++)
		if (slot != index_of(PERDOMAIN_BASE, 4))
			(void)table_below(&hv_l4[slot], 0);
	boot_l4[index_of(IMAGE_BASE, 4)] = hv_l4[index_of(IMAGE_BASE, 4)];
	cr3_load(mfn_to_maddr(hv_l4_mfn()).a);
	device_window_open();
	boot_alloc_unlimit();
}

/* ---- per CPU ---- */

void cpu_area_init(unsigned cpu)
{
	for (unsigned page = 0; page < CPU_AREA_PAGES; page++) {
		mfn_t mfn;

		if (page == CPU_AREA_GUARD_PAGE)
			continue;
		new_table(&mfn);
		hv_map(CPU_AREA(cpu) + page * PAGE_SIZE, mfn, 1, HV_PTE_RW | HV_PTE_NX | HV_PTE_G);
	}
	cpu_info_of(cpu)->cpu = cpu;
}

/* The frame behind a page of a CPU's area. */
static mfn_t area_mfn(unsigned cpu, unsigned page)
{
	return maddr_to_mfn(MADDR(*hv_entry(CPU_AREA(cpu) + page * PAGE_SIZE, 1) & PTE_ADDR_MASK));
}

mfn_t cpu_area_gdt_mfn(unsigned cpu)
{
	return area_mfn(cpu, CPU_AREA_GDT_PAGE);
}

extern char idt_page[];

mfn_t hv_reduced_l3(unsigned cpu)
{
	static mfn_t tables[NR_CPUS];
	static uint64_t l4[512] __aligned_to(4096);
	const uint64_t kept = HV_PTE_NX;

	if (tables[cpu].m)
		return tables[cpu];
	memset(l4, 0, sizeof(l4));
	map_in(l4, (uintptr_t)text_start, image_mfn(text_start),
	       (uint64_t)(text_end - text_start) >> PAGE_SHIFT, 0);
	map_in(l4, (uintptr_t)idt_page, image_mfn(idt_page), 1, kept);
	for (unsigned page = 0; page < CPU_AREA_PAGES; page++)
		if (page != CPU_AREA_GUARD_PAGE)
			map_in(l4, CPU_AREA(cpu) + page * PAGE_SIZE, area_mfn(cpu, page), 1,
			       kept | HV_PTE_RW);
	tables[cpu] = maddr_to_mfn(MADDR(l4[index_of(IMAGE_BASE, 4)] & PTE_ADDR_MASK));
	return tables[cpu];
}
