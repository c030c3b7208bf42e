/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The window of device registers: the one part of the hypervisor's own tables that changes after bring-up. It begins with the
 * pages that have a number (device_map_page()); behind them small mappings, then those of 2 MiB pages. A mapping is shared by
 * all who want what lies in it, and goes with its last reference. Its place is free again when no CPU can have a translation
 * of it any more.
 */
#include "hw/device_map.h"
#include "hw/cpu.h"
#include "hw/layout.h"
#include "hw/lock.h"
#include "hw/mem.h"
#include "hw/paging.h"
#include "hw/tlb.h"
#include "lib/log.h"

#define DEVICES_MAX 192
#define LARGE_PAGE  (1ull << 21)
#define PAGES_END   (DEVICE_PAGES * PAGE_SIZE)

_Static_assert(DEVICE_SMALL / 2 >= PAGES_END, "room for other small mappings");

/* Guard: lock. */
static struct place {
	uint64_t base, size; /* page aligned both; size 0: free */
	uint64_t offset;     /* in the window */
	unsigned refs;       /* 0 and not free: it is being unmapped */
} places[DEVICES_MAX];
static spinlock_t lock = SPINLOCK(RANK_APIC);
static bool window_open;

void device_window_open(void)
{
	window_open = true;
}

static uint64_t page_flags(void)
{
	return HV_PTE_P | HV_PTE_RW | HV_PTE_UC | HV_PTE_G | (cpu_features.nx ? HV_PTE_NX : 0);
}

static uint64_t page_size(const struct place *p)
{
	return p->offset >= DEVICE_SMALL ? LARGE_PAGE : PAGE_SIZE;
}

/* Its entries name what it maps, or nothing. */
static void entries_write(const struct place *p, bool present)
{
	uint64_t page = page_size(p), flags = page_flags() | (page == LARGE_PAGE ? HV_PTE_PSE : 0);

	for (uint64_t at = 0; at < p->size; at += page)
		WRITE_ONCE(*hv_entry(DEVICE_BASE + p->offset + at, page == LARGE_PAGE ? 2 : 1),
		           present ? (p->base + at) | flags : 0);
}

static void page_flush(uintptr_t va)
{
	tlb_flush_page_local(GVA(va)); /* in bring-up no CPU is online */
	tlb_flush_page(&cpus_online, GVA(va));
}

static struct place *find(uint64_t base, uint64_t size)
{
	for (struct place *p = places; p < places + DEVICES_MAX; p++)
		if (p->refs && base >= p->base && base + size <= p->base + p->size)
			return p;
	return NULL;
}

/* The first room in that part of the window; its end: there is none. */
static uint64_t find_room(uint64_t from, uint64_t end, uint64_t size)
{
	bool moved;

	do {
		moved = false;
		for (const struct place *p = places; p < places + DEVICES_MAX; p++)
			if (p->size && from < p->offset + p->size && p->offset < from + size) {
				from = p->offset + p->size;
				moved = true;
			}
	} while (moved);
	return size <= end && from <= end - size ? from : end;
}

static struct place *add(uint64_t base, uint64_t size)
{
	bool large = size >= LARGE_PAGE;
	uint64_t page = large ? LARGE_PAGE : PAGE_SIZE, end = large ? DEVICE_END : DEVICE_SMALL;
	struct place new = { .base = base & ~(page - 1), .refs = 0 }, *p = places;

	new.size = ROUND_UP(base + size, page) - new.base;
	new.offset = find_room(large ? DEVICE_SMALL : PAGES_END, end, new.size);
	while (p < places + DEVICES_MAX && p->size)
		p++;
	if (new.offset == end || p == places + DEVICES_MAX)
		return NULL;
	*p = new;
	entries_write(p, true);
	return p;
}

void *device_map(maddr_t base, size_t size)
{
	struct place *p;
	uint64_t flags;
	void *va = NULL;

	if (!size || base.a + size < base.a || (base.a + size - 1) >> cpu_features.phys_bits)
		return NULL;
	/* Before the final tables there is one that maps the first 4 GiB. */
	if (!window_open)
		return base.a + size <= 1ull << 32 ? (void *)(DIRECTMAP_BASE + base.a) : NULL;
	flags = spin_lock_irqsave(&lock);
	p = find(base.a, size);
	if (!p)
		p = add(base.a, size);
	if (p) {
		p->refs++;
		va = (void *)(DEVICE_BASE + p->offset + (base.a - p->base));
	}
	spin_unlock_irqrestore(&lock, flags);
	return va;
}

void device_unmap(const volatile void *va)
{
	uint64_t offset = (uintptr_t)va - DEVICE_BASE, flags;
	struct place *p = places;
	bool last;

	if (offset >= DEVICE_END) /* mapped before the window was there */
		return;
	flags = spin_lock_irqsave(&lock);
	while (p < places + DEVICES_MAX && !(p->refs && offset - p->offset < p->size))
		p++;
	CHECK(p < places + DEVICES_MAX);
	last = !--p->refs;
	if (last)
		entries_write(p, false);
	spin_unlock_irqrestore(&lock, flags);
	if (!last)
		return;
	for (uint64_t at = 0; at < p->size; at += page_size(p))
		page_flush(DEVICE_BASE + p->offset + at);
	flags = spin_lock_irqsave(&lock);
	p->size = 0;
	spin_unlock_irqrestore(&lock, flags);
}

/* ---- pages with a number ---- */

static void page_write(unsigned number, uint64_t now)
{
	uintptr_t va = DEVICE_BASE + number * PAGE_SIZE;
	uint64_t *entry = hv_entry(va, 1);

	if (READ_ONCE(*entry) != now) {
		WRITE_ONCE(*entry, now);
		page_flush(va);
	}
}

void *device_map_page(unsigned number, maddr_t base)
{
	page_write(number, (base.a & ~(PAGE_SIZE - 1)) | page_flags());
	return (void *)(DEVICE_BASE + number * PAGE_SIZE + (base.a & (PAGE_SIZE - 1)));
}

void device_unmap_page(unsigned number)
{
	page_write(number, 0);
}
