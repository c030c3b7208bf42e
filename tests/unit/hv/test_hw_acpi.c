/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI's tables as firmware builds them and as it should not: more of each kind than there are places, cut off, of length zero,
 * with a wrong sum, at addresses where nothing is. Each mapping is a copy of just what was asked for, so that the address
 * sanitizer sees a read beyond it or after its end.
 */
#include "hw/acpi.h"
#include "hw/device_map.h"
#include "hw/mem.h"
#include "lib/log.h"
#include "../../lib/check.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_MIB 0x100000u
#define RSDP      0xe0010u
#define XSDT      0x7fe00000ull
#define RSDT      0x7fd00000ull
#define TABLES    0x7ff00000ull /* one each 4 KiB */
#define PLACES    192           /* of hw/device_map.c */
#define MANY      300
#define LONGEST   8192

/* ---- the machine ---- */

static uint8_t first_mib[FIRST_MIB];
static struct table {
	uint64_t address;
	uint32_t size; /* that is there, whatever the header says */
	uint8_t bytes[LONGEST];
} tables[MANY + 8];
static unsigned table_count;
static uint8_t *mapped[PLACES];
static unsigned mapped_count, refused;
static char said[65536];
static size_t said_length;

void *mfn_map_own(mfn_t mfn)
{
	return mfn.m ? NULL : first_mib;
}

void *device_map(maddr_t base, size_t size)
{
	for (unsigned i = 0; i < table_count; i++) {
		const struct table *t = &tables[i];
		unsigned place = 0;

		if (base.a < t->address || base.a - t->address >= sizeof(t->bytes) ||
		    size > sizeof(t->bytes) - (base.a - t->address))
			continue;
		while (place < PLACES && mapped[place])
			place++;
		if (place == PLACES)
			break;
		mapped[place] = malloc(size);
		memcpy(mapped[place], t->bytes + (base.a - t->address), size);
		mapped_count++;
		return mapped[place];
	}
	refused++;
	return NULL;
}

void device_unmap(const volatile void *va)
{
	unsigned place = 0;

	while (place < PLACES && mapped[place] != va)
		place++;
	if (place == PLACES) {
		printf("Bail out! what is unmapped was not mapped\n");
		exit(1);
	}
	free(mapped[place]);
	mapped[place] = NULL;
	mapped_count--;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level >= LOG_INFO)
		return;
	va_start(ap, fmt);
	said_length += (size_t)vsnprintf(said + said_length, sizeof(said) - said_length, fmt, ap);
	va_end(ap);
	said[said_length++] = '\n';
}

static unsigned lines(const char *text)
{
	unsigned n = 0;

	for (const char *at = said; (at = strstr(at, text)); at++)
		n++;
	return n;
}

/* ---- tables ---- */

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
	memcpy(at, &value, bytes);
}

/* The sum over n bytes is zero by the one at that place. */
static void sum(uint8_t *p, size_t n, unsigned place)
{
	uint8_t s = 0;

	p[place] = 0;
	for (size_t i = 0; i < n; i++)
		s = (uint8_t)(s + p[i]);
	p[place] = (uint8_t)-s;
}

static void seal(struct table *t)
{
	put(t->bytes + 4, t->size, 4);
	sum(t->bytes, t->size, 9);
}

static struct table *new_table(const char *signature, uint64_t address, uint32_t size)
{
	struct table *t = &tables[table_count++];

	memset(t, 0, sizeof(*t));
	t->address = address;
	t->size = size;
	memcpy(t->bytes, signature, 4);
	return t;
}

static struct table *add(const char *signature, uint32_t size)
{
	return new_table(signature, TABLES + table_count * 4 * PAGE_SIZE, size);
}

static void entry(struct table *t, const uint8_t *bytes, unsigned n)
{
	memcpy(t->bytes + t->size, bytes, n);
	t->size += n;
}

static void add_cpu(struct table *t, unsigned id, bool enabled)
{
	uint8_t old[8] = { 0, 8, (uint8_t)(id + 1), (uint8_t)id, enabled };
	uint8_t new[16] = { 9, 16,      0, 0, (uint8_t)id, (uint8_t)(id >> 8), 0,
		            0, enabled, 0, 0, 0,           (uint8_t)(id + 1) };

	if (id < 255)
		entry(t, old, sizeof(old));
	else
		entry(t, new, sizeof(new));
}

static void add_ioapic(struct table *t, unsigned n)
{
	uint8_t e[12] = { 1, 12, (uint8_t)n };

	put(e + 4, 0xfec00000 + n * PAGE_SIZE, 4);
	put(e + 8, 24 * n, 4);
	entry(t, e, sizeof(e));
}

static void add_override(struct table *t, unsigned irq, unsigned gsi)
{
	uint8_t e[10] = { 2, 10, 0, (uint8_t)irq, (uint8_t)gsi, 0, 0, 0, 0xf, 0 };

	entry(t, e, sizeof(e));
}

static void add_range(struct table *t, unsigned segment)
{
	uint8_t e[16] = { 0, 0, 0, 0xe0, 0, 0, 0, 0, (uint8_t)segment, 0, 0, 0xff };

	entry(t, e, sizeof(e));
}

static struct table *new_madt(void)
{
	struct table *t = add("APIC", 44);

	put(t->bytes + 36, 0xfee00000, 4);
	return t;
}

static struct table *new_fadt(uint32_t size)
{
	struct table *t = add("FACP", size);

	t->bytes[8] = 6;
	put(t->bytes + 46, 9, 2);
	put(t->bytes + 56, 0x600, 4);
	put(t->bytes + 64, 0x604, 4);
	put(t->bytes + 76, 0x608, 4);
	put(t->bytes + 112, 1u << 10 | 1u << 8, 4);
	t->bytes[116] = 1;
	put(t->bytes + 120, 0xcf9, 8);
	t->bytes[128] = 6;
	return t;
}

static struct table *new_hpet(void)
{
	struct table *t = add("HPET", 56);

	put(t->bytes + 44, 0xfed00000, 8);
	return t;
}

static void begin(void)
{
	table_count = refused = 0;
	memset(first_mib, 0, sizeof(first_mib));
}

static void root(uint64_t address, unsigned bytes)
{
	unsigned count = table_count;
	struct table *r = new_table(bytes == 8 ? "XSDT" : "RSDT", address, 36);

	for (unsigned i = 0; i < count; i++) {
		put(r->bytes + r->size, tables[i].address, bytes);
		r->size += bytes;
	}
	seal(r);
}

static void rsdp(uint32_t at, uint64_t rsdt, uint64_t xsdt)
{
	uint8_t *p = first_mib + at;

	memcpy(p, "RSD PTR ", 8);
	p[15] = xsdt ? 2 : 0;
	put(p + 16, rsdt, 4);
	put(p + 20, 36, 4);
	put(p + 24, xsdt, 8);
	sum(p, 20, 8);
}

/* As at boot. Nothing stays mapped. */
static void look(void)
{
	memset(&acpi_info, 0, sizeof(acpi_info));
	said_length = 0;
	memset(said, 0, sizeof(said));
	machine_own_count = 0;
	acpi_init();
	CHECK_THAT(!mapped_count);
}

static void boot(void)
{
	root(XSDT, 8);
	rsdp(RSDP, 0, XSDT);
	look();
}

/* ---- what is looked at ---- */

static void sound(void)
{
	struct table *t;

	begin();
	t = new_madt();
	add_cpu(t, 0, true);
	add_cpu(t, 4, true);
	add_cpu(t, 300, true);
	add_cpu(t, 6, false);
	add_ioapic(t, 0);
	add_ioapic(t, 1);
	add_override(t, 0, 2);
	seal(t);
	seal(new_fadt(244));
	t = add("MCFG", 44);
	add_range(t, 0);
	add_range(t, 5);
	seal(t);
	seal(new_hpet());
	seal(add("SSDT", 100));
	boot();
	CHECK_THAT(acpi_info.present && acpi_info.local_apic == 0xfee00000 && !said_length && !refused);
	CHECK_THAT(acpi_info.cpu_count == 3 && acpi_info.cpus[1].apic_id == 4 &&
	           acpi_info.cpus[1].acpi_id == 5 && acpi_info.cpus[2].apic_id == 300 &&
	           acpi_info.cpu_disabled_count == 1);
	CHECK_THAT(acpi_info.ioapic_count == 2 && acpi_info.ioapics[1].address == 0xfec01000 &&
	           acpi_info.ioapics[1].gsi_base == 24);
	CHECK_THAT(acpi_info.override_count == 1 && acpi_isa_irq(0).gsi == 2 && acpi_isa_irq(0).level &&
	           acpi_isa_irq(0).active_low && acpi_isa_irq(3).gsi == 3 && !acpi_isa_irq(3).level);
	CHECK_THAT(acpi_info.mcfg_count == 2 && acpi_info.mcfg[1].segment == 5 &&
	           acpi_info.mcfg[1].base == 0xe0000000 && acpi_info.mcfg[1].last_bus == 0xff);
	CHECK_THAT(acpi_info.hpet == 0xfed00000 && acpi_info.pm_timer_port == 0x608 &&
	           acpi_info.pm_timer_32bit && acpi_info.pm1a_control == 0x604 && acpi_info.reset_supported &&
	           acpi_info.reset_address == 0xcf9);
	verdict("tables as they should be are read, and not kept mapped");
}

static void too_many(void)
{
	struct table *t;

	begin();
	t = new_madt();
	for (unsigned i = 0; i < ACPI_IOAPICS_MAX + 2; i++)
		add_ioapic(t, i);
	for (unsigned i = 0; i < ARRAY_SIZE(acpi_info.overrides) + 2; i++)
		add_override(t, i, 100 + i);
	for (unsigned i = 0; i < NR_CPUS + 2; i++)
		add_cpu(t, i, true);
	seal(t);
	t = add("MCFG", 44);
	for (unsigned i = 0; i < ACPI_MCFG_MAX + 2; i++)
		add_range(t, i);
	seal(t);
	boot();
	CHECK_THAT(acpi_info.ioapic_count == ACPI_IOAPICS_MAX && acpi_info.mcfg_count == ACPI_MCFG_MAX &&
	           acpi_info.override_count == ARRAY_SIZE(acpi_info.overrides) &&
	           acpi_info.cpu_count == NR_CPUS);
	CHECK_THAT(acpi_info.ioapics[ACPI_IOAPICS_MAX - 1].gsi_base == 24 * (ACPI_IOAPICS_MAX - 1));
	CHECK_THAT(lines("beyond the limit") == 8);
	CHECK_THAT(lines("I/O APIC 16 at 0xfec10000, GSI 384 on") == 1 &&
	           lines("I/O APIC 17 at 0xfec11000, GSI 408 on") == 1);
	CHECK_THAT(lines("override of IRQ 24 by GSI 124") == 1 &&
	           lines("override of IRQ 25 by GSI 125") == 1);
	CHECK_THAT(lines("segment 8, buses 0 to 255") == 1 && lines("segment 9, buses 0 to 255") == 1);
	for (unsigned i = NR_CPUS; i < NR_CPUS + 2; i++) {
		char name[64];

		snprintf(name, sizeof(name), "CPU with APIC id %u is", i);
		CHECK_THAT(lines(name) == 1);
	}
	verdict("each I/O APIC, override, MMCONFIG range and CPU beyond a limit is logged by name");
	machine_own_init();
	CHECK_THAT(machine_own_count == ACPI_IOAPICS_MAX + 1 &&
	           machine_own[ACPI_IOAPICS_MAX].start == acpi_info.ioapics[ACPI_IOAPICS_MAX - 1].address);
	verdict("and all that there are places for are kept from dom0");
	begin();
	for (unsigned i = 0; i < MANY; i++)
		seal(add("SSDT", 100));
	t = new_madt();
	add_cpu(t, 3, true);
	seal(t);
	boot();
	CHECK_THAT(acpi_info.cpu_count == 1 && !refused && !said_length);
	verdict("more tables than can be mapped at once");
}

/* Each table at each length, its end anywhere. */
static void cut_off(void)
{
	unsigned looks = 0;

	for (unsigned kind = 0; kind < 4; kind++)
		for (uint32_t size = 0; size < 260; size++) {
			struct table *t;

			begin();
			t = kind == 0   ? new_madt()
			    : kind == 1 ? new_fadt(244)
			    : kind == 2 ? add("MCFG", 44)
			                : new_hpet();
			for (unsigned i = 0; kind == 0 && i < 5; i++) {
				add_cpu(t, 250 + 2 * i, true);
				add_ioapic(t, i);
				add_override(t, i, i);
			}
			for (unsigned i = 0; kind == 2 && i < 8; i++)
				add_range(t, i);
			t->size = size;
			seal(t);
			boot();
			CHECK_THAT(acpi_info.present && lines("is damaged") == (size < 36));
			CHECK_THAT(kind != 2 ||
			           acpi_info.mcfg_count == (size < 44 ? 0 : MIN((size - 44) / 16, 8u)));
			CHECK_THAT(kind != 3 || acpi_info.hpet == (size < 56 ? 0 : 0xfed00000));
			CHECK_THAT(kind != 1 || (acpi_info.pm_timer_port == (size < 116 ? 0 : 0x608) &&
			                         acpi_info.reset_supported == (size >= 129)));
			looks++;
		}
	CHECK_THAT(looks == 4 * 260);
	verdict("a table is cut off anywhere: what lies behind its end is not read");
}

static void odd_entries(void)
{
	struct table *t;

	for (unsigned length = 0; length < 256; length++)
		for (uint8_t type = 0; type < 12; type++) {
			const uint8_t e[2] = { type, (uint8_t)length };

			begin();
			t = new_madt();
			entry(t, e, 2);
			t->size += length > 2 ? length - 2 : 0;
			put(t->bytes + 48, 1, 4); /* enabled */
			put(t->bytes + 52, 1, 4);
			add_cpu(t, 7, true);
			seal(t);
			boot();
			/* Behind an entry that has no length nothing can be told. */
			CHECK_THAT(length < 2 ? !acpi_info.cpu_count
			                      : acpi_info.cpu_count &&
			                                acpi_info.cpus[acpi_info.cpu_count - 1].apic_id == 7);
		}
	begin();
	t = new_madt();
	add_cpu(t, 7, true);
	t->bytes[45] = 9; /* its last one reaches beyond the end */
	seal(t);
	boot();
	CHECK_THAT(!acpi_info.cpu_count);
	verdict("entries of the MADT of any length, zero and beyond its end too");
}

static void damaged(void)
{
	static const uint32_t lengths[] = { 0, 1, 35, (1u << 20) + 1, ~0u };

	for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
		begin();
		seal(add("APIC", 100));
		put(tables[0].bytes + 4, lengths[i], 4);
		seal(new_hpet());
		boot();
		CHECK_THAT(!acpi_info.local_apic && acpi_info.hpet && lines("at 0x7ff00000 is damaged") == 1);
	}
	begin();
	for (unsigned i = 0; i < 3; i++) {
		struct table *t = i == 0 ? new_madt() : i == 1 ? new_fadt(244) : add("MCFG", 44);

		if (i == 2)
			add_range(t, 0);
		seal(t);
		t->bytes[40]++;
	}
	seal(new_hpet());
	boot();
	CHECK_THAT(acpi_info.present && acpi_info.hpet && lines("is damaged") == 3);
	CHECK_THAT(!acpi_info.local_apic && !acpi_info.sci && !acpi_info.mcfg_count);
	verdict("a table of an impossible length or with a wrong sum is ignored, and that is logged");
}

/* A root table with one entry. */
static struct table *root_of_one(uint64_t at, unsigned bytes, uint64_t address)
{
	struct table *r = new_table(bytes == 8 ? "XSDT" : "RSDT", at, 36 + bytes);

	put(r->bytes + 36, address, bytes);
	seal(r);
	return r;
}

static void roots(void)
{
	static const uint64_t nowhere[] = { 0,          1,          FIRST_MIB - 1, FIRST_MIB,    0x10000000,
		                            1ull << 60, ~0ull - 35, ~0ull - 34,    ~0ull - 4096, ~0ull };

	for (unsigned bad = 0; bad < 4; bad++) {
		begin();
		seal(new_hpet());
		root_of_one(XSDT, 8, TABLES)->bytes[10] = bad & 1;
		root_of_one(RSDT, 4, TABLES)->bytes[10] = bad >> 1;
		rsdp(RSDP, RSDT, XSDT);
		look();
		CHECK_THAT(acpi_info.present == (bad < 3) && !!acpi_info.hpet == (bad < 3));
		CHECK_THAT(lines("at 0x7fe00000 is damaged") == (bad & 1) &&
		           lines("at 0x7fd00000 is damaged") == (bad == 3));
	}
	verdict("the RSDT is used where the XSDT is damaged, and no table where both are");
	for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
		begin();
		root_of_one(XSDT, 8, nowhere[i]);
		rsdp(RSDP, 0, XSDT);
		look();
		CHECK_THAT(acpi_info.present && lines("is damaged") == !!nowhere[i]);
		begin();
		rsdp(RSDP, (uint32_t)nowhere[i], nowhere[i]);
		look();
		CHECK_THAT(!acpi_info.present);
	}
	verdict("a table may be said to be anywhere");
	begin();
	seal(new_hpet());
	root_of_one(RSDT, 4, TABLES);
	rsdp(0x9fc20, RSDT, 0);
	look();
	CHECK_THAT(!acpi_info.present && lines("no tables") == 1);
	put(first_mib + 0x40e, 0x9fc0, 2);
	look();
	CHECK_THAT(acpi_info.present && acpi_info.hpet && !said_length);
	first_mib[0x9fc20 + 9]++;
	look();
	CHECK_THAT(!acpi_info.present && lines("no tables") == 1);
	put(first_mib + FIRST_MIB - 16, 0x2052545020445352, 8); /* "RSD PTR ", whose end is not there */
	sum(first_mib + FIRST_MIB - 16, 16, 15);
	look();
	CHECK_THAT(!acpi_info.present);
	verdict("the way to them is found in the EBDA too, if its sum is right");
}

int main(void)
{
	tap_plan(10);
	sound();
	too_many();
	cut_off();
	odd_entries();
	damaged();
	roots();
	return tap_end();
}
