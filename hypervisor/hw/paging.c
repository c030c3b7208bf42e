/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypervisor's own tables. Text is read-only, all else is not executable; the direct map covers RAM and
 * the first MiB, so that no device's registers are ever cached through it.
 *
 * The device window is the one part that changes after bring-up: its tables exist from the start; what driver code maps
 * stays, and pages with a number (device_map_page()) are replaced.
 */
#include "hw/paging.h"
#include "hw/bootmem.h"
#include "hw/lock.h"
#include "hw/mem.h"
#include "hw/tlb.h"
#include "hw/upward.h"
#include "lib/log.h"
#include "lib/string.h"

#define PTE_ADDR_MASK 0x000ffffffffff000ull
#define DEVICE_L1S    32 /* tables for small mappings: 64 MiB of window */
#define DEVICE_SMALL  ((uint64_t)DEVICE_L1S << 21)
#define DEVICE_END    (2ull << 30) /* of the window: behind the small ones, 2 MiB pages */
#define DEVICES_MAX   192          /* most are ACPI tables, of which servers have dozens */

_Static_assert(DEVICE_BASE - CPU_AREA_BASE >= NR_CPUS * CPU_AREA_SIZE, "an area for each CPU");
_Static_assert(DEVICE_SMALL / 2 >= DEVICE_PAGES * PAGE_SIZE, "room for other small mappings");
_Static_assert(DEVICE_END <= DEVICE_SIZE && DEVICE_BASE + DEVICE_SIZE <= M2P_RW_BASE,
               "the window of devices");

extern char text_start[], text_end[], rodata_end[], image_start[], image_end[];

static uint64_t hv_l4[512] __aligned_to(4096);

static struct {
	maddr_t base;
	size_t size; /* page aligned both */
	uintptr_t va;
} devices[DEVICES_MAX];
static unsigned device_count;
/* The window begins with the pages of device_map_page(). */
static uint64_t device_small_next = DEVICE_PAGES * PAGE_SIZE, device_large_next = DEVICE_SMALL;
static spinlock_t device_lock = SPINLOCK(RANK_APIC);
static bool paging_ready;

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
	paging_ready = true;
	boot_alloc_unlimit();
}

/* ---- devices ---- */

static uint64_t *device_entry(uintptr_t va, unsigned level)
{
	uint64_t *table = hv_l4;

	for (unsigned l = 4; l > level; l--)
		table = mfn_map_own(maddr_to_mfn(MADDR(table[index_of(va, l)] & PTE_ADDR_MASK)));
	return &table[index_of(va, level)];
}

static void *device_find(uint64_t base, size_t size)
{
	for (unsigned i = 0; i < device_count; i++)
		if (base >= devices[i].base.a && base + size <= devices[i].base.a + devices[i].size)
			return (void *)(devices[i].va + (base - devices[i].base.a));
	return NULL;
}

static uint64_t device_flags(void)
{
	return HV_PTE_P | HV_PTE_RW | HV_PTE_UC | HV_PTE_G | (cpu_features.nx ? HV_PTE_NX : 0);
}

static void *device_add(uint64_t base, size_t size)
{
	bool large = size >= 1ul << 21;
	uint64_t page = large ? 1ull << 21 : PAGE_SIZE, flags = device_flags();
	uint64_t first = base & ~(page - 1), end = ROUND_UP(base + size, page);
	uint64_t *next = large ? &device_large_next : &device_small_next,
	         stop = large ? DEVICE_END : DEVICE_SMALL;
	uintptr_t va = DEVICE_BASE + *next;

	if (device_count == DEVICES_MAX || end - first > stop - *next)
		return NULL;
	for (uint64_t at = first; at < end; at += page)
		*device_entry(va + (at - first), large ? 2 : 1) = at | flags | (large ? HV_PTE_PSE : 0);
	*next += end - first;
	devices[device_count].base = MADDR(first);
	devices[device_count].size = end - first;
	devices[device_count++].va = va;
	return (void *)(va + (base - first));
}

void *device_map(maddr_t base, size_t size)
{
	uint64_t flags;
	void *va;

	if (!size || base.a + size < base.a)
		return NULL;
	/* Before the final tables there is one that maps the first 4 GiB. */
	if (!paging_ready)
		return base.a + size <= 1ull << 32 ? (void *)(DIRECTMAP_BASE + base.a) : NULL;
	flags = spin_lock_irqsave(&device_lock);
	va = device_find(base.a, size);
	if (!va)
		va = device_add(base.a, size);
	spin_unlock_irqrestore(&device_lock, flags);
	return va;
}

void *device_map_page(unsigned number, maddr_t base)
{
	uintptr_t va = DEVICE_BASE + number * PAGE_SIZE;
	uint64_t *entry = device_entry(va, 1), now = (base.a & ~(PAGE_SIZE - 1)) | device_flags();

	if (READ_ONCE(*entry) != now) {
		WRITE_ONCE(*entry, now);
		tlb_flush_page(&cpus_online, GVA(va));
	}
	return (void *)(va + (base.a & (PAGE_SIZE - 1)));
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
	return maddr_to_mfn(MADDR(*device_entry(CPU_AREA(cpu) + page * PAGE_SIZE, 1) & PTE_ADDR_MASK));
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
