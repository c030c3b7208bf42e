/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The window of devices: thousands of mappings that come and go find their places again, and a place is not used anew before
 * all CPUs have been asked to forget it; an MSI-X entry that is torn down leaves nothing mapped. The TLB remembers every
 * translation that was ever asked for, and keeps it until it is flushed.
 */
#include "hw/device_map.c"
#include "hw/device_map.h"
#include "hw/irq.h"
#include "hw/irq_table.h"
#include "hw/msi.h"
#include "hw/options.h"
#include "hw/pci.h"
#include "hw/smp.h"
#include "lib/errno.h"
#include "../../lib/check.h"
#include "../../lib/random.h"
#include <stdlib.h>
#include <string.h>

#define SMALL_ENTRIES (DEVICE_SMALL / PAGE_SIZE)
#define LARGE_ENTRIES (DEVICE_END / LARGE_PAGE)
#define DEVICES       0xc0000000ull
#define ADDRESS       0x000ffffffffff000ull

/* ---- the machine ---- */

struct cpu_features cpu_features = { .nx = true, .phys_bits = 40 };
struct options options = { .msi = true };
cpumask_t cpus_online;
static uint64_t small[SMALL_ENTRIES], large[LARGE_ENTRIES];
static uint64_t tlb_small[SMALL_ENTRIES], tlb_large[LARGE_ENTRIES]; /* of another CPU */
static bool taken;
static unsigned flushes;

uint64_t *hv_entry(uintptr_t va, unsigned level)
{
	uint64_t offset = va - DEVICE_BASE;

	CHECK_THAT(offset < DEVICE_END && (level == 1) == (offset < DEVICE_SMALL));
	return level == 1 ? &small[offset / PAGE_SIZE] : &large[offset / LARGE_PAGE];
}

uint64_t spin_lock_irqsave(spinlock_t *l)
{
	(void)l;
	CHECK_THAT(!taken);
	taken = true;
	return 0;
}

void spin_unlock_irqrestore(spinlock_t *l, uint64_t flags)
{
	(void)l, (void)flags;
	CHECK_THAT(taken);
	taken = false;
}

void tlb_flush_page_local(gva_t va)
{
	(void)va;
}

void tlb_flush_page(const cpumask_t *mask, gva_t va)
{
	uint64_t offset = va.v - DEVICE_BASE;

	CHECK_THAT(mask == &cpus_online && !taken); /* whoever waits for the lock could not answer */
	flushes++;
	if (offset < DEVICE_SMALL)
		tlb_small[offset / PAGE_SIZE] = 0;
	else
		tlb_large[offset / LARGE_PAGE] = 0;
}

void panic(const char *fmt, ...)
{
	printf("Bail out! panic: %s\n", fmt);
	exit(1);
}

/* What that CPU reaches there. */
static uint64_t reached(const void *va)
{
	uint64_t offset = (uintptr_t)va - DEVICE_BASE, page = offset < DEVICE_SMALL ? PAGE_SIZE : LARGE_PAGE;
	uint64_t *tlb =
	        offset < DEVICE_SMALL ? &tlb_small[offset / PAGE_SIZE] : &tlb_large[offset / LARGE_PAGE];
	uint64_t entry = offset < DEVICE_SMALL ? small[offset / PAGE_SIZE] : large[offset / LARGE_PAGE];

	if (!*tlb)
		*tlb = entry;
	CHECK_THAT(*tlb & HV_PTE_P && (*tlb & HV_PTE_UC) == HV_PTE_UC && *tlb & HV_PTE_NX);
	CHECK_THAT(!(*tlb & HV_PTE_PSE) == (page == PAGE_SIZE));
	return (*tlb & ADDRESS & ~(page - 1)) + offset % page;
}

static unsigned present(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SMALL_ENTRIES; i++)
		n += small[i] & HV_PTE_P;
	for (unsigned i = 0; i < LARGE_ENTRIES; i++)
		n += large[i] & HV_PTE_P;
	return n;
}

/* ---- mappings ---- */

static void before_the_window(void)
{
	CHECK_THAT(device_map(MADDR(0xb8000), 4000) == (void *)(DIRECTMAP_BASE + 0xb8000));
	CHECK_THAT(!device_map(MADDR((1ull << 32) - 8), 16) && !device_map(MADDR(1ull << 32), 16));
	device_window_open();
	device_unmap((void *)(DIRECTMAP_BASE + 0xb8000));
	CHECK_THAT(!device_map(MADDR(DEVICES), 0) && !device_map(MADDR(~0ull - 8), 16) &&
	           !device_map(MADDR(1ull << 40), 1) && !device_map(MADDR((1ull << 40) - 1), 2) &&
	           !present());
	verdict("what cannot be mapped is not, before the window is open and later");
}

static void come_and_go(void)
{
	unsigned good_ones = 0;

	for (unsigned i = 0; i < 100000; i++) {
		bool is_large = i % 16 == 0;
		uint64_t base = DEVICES + i * PAGE_SIZE * 3 + i % 4096;
		size_t size = is_large ? 3ul << 20 : 1 + i * 7 % 20000;
		char *va = device_map(MADDR(base), size);

		if (!va)
			break;
		good_ones += reached(va) == base && reached(va + size - 1) == base + size - 1;
		device_unmap(va + i % size);
	}
	CHECK_THAT(good_ones == 100000 && !present());
	verdict("a hundred thousand mappings come and go, each reaches what it names");
}

static void shared_ones(void)
{
	char *a = device_map(MADDR(DEVICES), 8192), *b = device_map(MADDR(DEVICES + 4096 + 16), 16),
	     *c = device_map(MADDR(DEVICES + 8190), 4);
	unsigned before = flushes;

	CHECK_THAT(b == a + 4096 + 16 && present() == 4 && c != a + 8190 && reached(c) == DEVICES + 8190);
	device_unmap(a);
	CHECK_THAT(flushes == before && reached(b) == DEVICES + 4096 + 16);
	CHECK_THAT(device_map(MADDR(DEVICES), 1) == a);
	device_unmap(b);
	CHECK_THAT(flushes == before && present() == 4);
	device_unmap(a);
	CHECK_THAT(flushes == before + 2 && present() == 2);
	device_unmap(c);
	CHECK_THAT(!present());
	verdict("a mapping is shared by all who want what is in it, and goes with the last one");
}

static void full(void)
{
	static char *va[DEVICES_MAX + 1], *wide[64];
	unsigned count = 0;

	while (count <= DEVICES_MAX && (va[count] = device_map(MADDR(DEVICES + count * 2 * PAGE_SIZE), 16)))
		count++;
	CHECK_THAT(count == DEVICES_MAX && !device_map(MADDR(1ull << 38), 4ul << 20));
	for (unsigned i = 0; i < count; i++)
		CHECK_THAT(reached(va[i]) == DEVICES + i * 2 * PAGE_SIZE);
	device_unmap(va[17]);
	va[17] = device_map(MADDR(1ull << 37), 16);
	CHECK_THAT(va[17] && reached(va[17]) == 1ull << 37 && !device_map(MADDR(1ull << 36), 16));
	for (unsigned i = 0; i < count; i++)
		device_unmap(va[i]);
	/* Buses of 7 segments fit, of 8 do not: the room is what limits them. */
	for (count = 0; count < 64; count++)
		if (!(wide[count] = device_map(MADDR(count << 28), 256ul << 20)))
			break;
	CHECK_THAT(count == 7 && !device_map(MADDR(0), DEVICE_END));
	for (unsigned i = 0; i < count; i++)
		CHECK_THAT(reached(wide[i] + 12345678) == (i << 28) + 12345678);
	device_unmap(wide[3]);
	CHECK_THAT(device_map(MADDR(1ull << 34), 128ul << 20) == wide[3]);
	CHECK_THAT(device_map(MADDR(1ull << 35), 128ul << 20) == wide[3] + (128ul << 20));
	device_unmap(wide[3]);
	device_unmap(wide[3] + (128ul << 20));
	for (unsigned i = 0; i < count; i++)
		if (i != 3)
			device_unmap(wide[i]);
	CHECK_THAT(!present());
	verdict("when it is full that is said, and what is given back is used again");
}

static void at_random(void)
{
	static struct {
		char *va;
		uint64_t base;
		size_t size;
	} held[64];
	unsigned made = 0;

	for (unsigned i = 0; i < 200000; i++) {
		unsigned n = random_below(64);

		if (held[n].va) {
			CHECK_THAT(reached(held[n].va + random_below((uint32_t)held[n].size)) >=
			           held[n].base);
			CHECK_THAT(reached(held[n].va) == held[n].base);
			device_unmap(held[n].va);
			held[n].va = NULL;
			continue;
		}
		held[n].base = DEVICES + random_below(1u << 26);
		held[n].size = 1 + random_below(random_below(8) ? 3 * PAGE_SIZE : 8u << 20);
		held[n].va = device_map(MADDR(held[n].base), held[n].size);
		made += held[n].va != NULL;
	}
	for (unsigned n = 0; n < 64; n++)
		if (held[n].va)
			device_unmap(held[n].va);
	CHECK_THAT(made > 90000 && !present());
	verdict("mappings at random, also of what others have: none is lost, none in another's place");
}

/* ---- MSI-X ---- */

struct irq_source irq_table[IRQ_MAX];
spinlock_t irq_lock;
unsigned irq_gsi_count = 24;
struct cpu_ids cpu_ids[NR_CPUS];
static uint8_t configuration[64][256]; /* of each function */
static bool vectors_gone;
static uint8_t next_vector;

/* Devices' registers as msi.c sees them, under the number of their page. */
static uint32_t registers[DEVICE_PAGES][1024];

uint32_t pci_read(uint16_t seg, uint8_t bus, uint8_t devfn, unsigned reg, unsigned width)
{
	uint32_t value = 0;

	(void)seg, (void)bus;
	memcpy(&value, &configuration[devfn % 64][reg], width);
	return value;
}

void pci_write(uint16_t seg, uint8_t bus, uint8_t devfn, unsigned reg, unsigned width, uint32_t value)
{
	(void)seg, (void)bus;
	memcpy(&configuration[devfn % 64][reg], &value, width);
}

unsigned irq_vectors_take(unsigned first_irq, unsigned count)
{
	for (unsigned i = 0; i < count && !vectors_gone; i++)
		irq_table[first_irq + i].vector = (uint8_t)(0x40 + next_vector++ % 128);
	return vectors_gone ? 0 : irq_table[first_irq].vector;
}

void irq_vector_release(unsigned irq)
{
	irq_table[irq].vector = 0;
}

/* The mapping is made; what is written there goes to registers[], which the test can look at. */
static void *map_page_for_msi(unsigned number, maddr_t base)
{
	(void)device_map_page(number, base);
	return (char *)registers[number] + base.a % PAGE_SIZE;
}

#define device_map_page map_page_for_msi
#define lock            msi_lock
#define find            msi_find
#include "hw/msi.c"

static void msix_pages(void)
{
	static unsigned irqs[IRQ_MAX];
	unsigned before = present(), rounds = 0;
	struct msi_request r = { .count = 1 };

	for (unsigned f = 0; f < 64; f++) {
		uint8_t *c = configuration[f];

		memset(c, 0, 256);
		c[0] = 0x34;
		c[PCI_STATUS] = 1 << 4;
		c[PCI_CAPABILITIES] = 0x40;
		c[0x40] = CAP_MSIX;
		c[0x42] = 0xff; /* 256 entries */
	}
	for (unsigned i = 0; i < 5000; i++) {
		unsigned irq;

		r.devfn = (uint8_t)(i % 64);
		r.entry = (uint16_t)(i % 256);
		r.table_base = DEVICES + (uint64_t)i * 2 * PAGE_SIZE;
		if (msi_setup(&r, &irq))
			break;
		CHECK_THAT(present() == before + 1 && irq >= irq_gsi_count);
		CHECK_THAT((small[0] & ADDRESS) == ((r.table_base + r.entry * 16ull) & ADDRESS));
		msi_teardown(irq);
		CHECK_THAT(present() == before && !irq_table[irq].msi && !irq_table[irq].vector);
		rounds++;
	}
	CHECK_THAT(rounds == 5000);
	vectors_gone = true;
	CHECK_THAT(msi_setup(&r, irqs) == -ENOSPC && present() == before);
	vectors_gone = false;
	CHECK_THAT(!msi_setup(&r, irqs) && msi_setup(&r, irqs + 1) == -EEXIST && present() == before + 1);
	msi_teardown(irqs[0]);
	msi_teardown(irqs[0]);
	CHECK_THAT(present() == before);
	verdict("an MSI-X entry that is torn down, or not set up, leaves no page mapped");
	rounds = 0;
	for (unsigned i = 0; i < IRQ_MAX; i++, rounds++) {
		r.devfn = (uint8_t)(i / 256);
		r.entry = (uint16_t)(i % 256);
		r.table_base = DEVICES + r.devfn * 4 * PAGE_SIZE;
		if (msi_setup(&r, &irqs[i]))
			break;
	}
	CHECK_THAT(rounds == ARRAY_SIZE(devices) || rounds == IRQ_MAX - irq_gsi_count);
	CHECK_THAT(present() == before + rounds);
	for (unsigned i = 0; i < rounds; i++)
		msi_teardown(irqs[i]);
	CHECK_THAT(present() == before);
	verdict("as many as there are places for, and all pages come back");
}

int main(void)
{
	tap_plan(7);
	before_the_window();
	come_and_go();
	shared_ones();
	full();
	at_random();
	msix_pages();
	return tap_end();
}
